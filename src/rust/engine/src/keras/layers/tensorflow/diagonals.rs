//! Diagonals of matrices: taken, set, and made to matrices.

use super::args::Args;
use super::Name;
use crate::error::Result;
use crate::graph::ValueId;
use crate::keras::{Cx, Out};
use crate::tensor::Fact;

/// The functions of [`lower`].
pub const NAMES: [&str; 3] = ["diag", "diag_part", "set_diag"];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out = match name.function {
        "diag" => made(cx, a)?,
        "diag_part" => taken(cx, a)?,
        _ => set(cx, a)?,
    };
    Ok(Some(out.into()))
}

/// A band of diagonals of matrices of one size, numbered from the main one upwards;
/// they stand as rows, from the highest on.
struct Band {
    low: i64,
    high: i64,
    rows: i64,
    columns: i64,
    /// Whether diagonals above and below the main one end where rows do.
    right: [bool; 2],
}

impl Band {
    fn read(cx: &Cx, a: &Args) -> Result<Band> {
        let (low, high) = match a.ints(cx, "k")?.as_deref() {
            None => (0, 0),
            Some(&[k]) => (k, k),
            Some(&[low, high]) if low <= high => (low, high),
            _ => return Err(cx.call_error("`k` must be one or two whole numbers")),
        };
        let right = match a.text("align").unwrap_or("RIGHT_LEFT") {
            "RIGHT_LEFT" => [true, false],
            "LEFT_RIGHT" => [false, true],
            "LEFT_LEFT" => [false, false],
            "RIGHT_RIGHT" => [true, true],
            other => return Err(cx.call_error(format!("`align` can't be '{other}'"))),
        };
        Ok(Band {
            low,
            high,
            rows: 0,
            columns: 0,
            right,
        })
    }

    fn of(mut self, cx: &Cx, x: ValueId) -> Result<Band> {
        (self.rows, self.columns) = (cx.dim(x, -2)? as i64, cx.dim(x, -1)? as i64);
        if self.high >= self.columns || self.low <= -self.rows {
            return Err(cx.error(format!(
                "{} has no diagonals from {} to {}",
                cx.fact(x),
                self.low,
                self.high
            )));
        }
        Ok(self)
    }

    fn count(&self) -> i64 {
        self.high - self.low + 1
    }

    fn len(&self, d: i64) -> i64 {
        (self.rows + d.min(0)).min(self.columns - d.max(0))
    }

    fn longest(&self) -> i64 {
        (self.rows + self.high.min(0)).min(self.columns - self.low.max(0))
    }

    /// Where a diagonal starts in its row.
    fn start(&self, d: i64) -> i64 {
        let ends = (d >= 0 && self.right[0]) || (d <= 0 && self.right[1]);
        if ends {
            self.longest() - self.len(d)
        } else {
            0
        }
    }

    /// The place of a matrix' entry among the diagonals.
    fn place(&self, i: i64, j: i64) -> Option<i64> {
        let d = j - i;
        let inside = (self.low..=self.high).contains(&d);
        let at = i.min(j) + self.start(d);
        inside.then(|| (self.high - d) * self.longest() + at)
    }

    /// The place in the matrix of an entry of the diagonals.
    fn entry(&self, row: i64, at: i64) -> Option<i64> {
        let d = self.high - row;
        let at = at - self.start(d);
        let inside = (0..self.len(d)).contains(&at);
        inside.then(|| (at - d.min(0)) * self.columns + at + d.max(0))
    }

    /// Diagonals (..., count, longest) as (..., count * longest); a single one has no row.
    fn flat(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let single = usize::from(self.count() > 1);
        let shape = cx.shape(x);
        let lead = shape.len().checked_sub(1 + single);
        let size = (self.count() * self.longest()).max(0) as usize;
        match lead {
            Some(lead) if shape[lead..].iter().product::<usize>() == size => {
                cx.reshape(x, &[&shape[..lead], &[size]].concat())
            }
            _ => {
                let count = match single {
                    0 => String::new(),
                    _ => format!("{}, ", self.count()),
                };
                let longest = self.longest();
                Err(cx.error(format!(
                    "expected diagonals of shape (..., {count}{longest}), not {}",
                    cx.fact(x)
                )))
            }
        }
    }
}

/// Entries of the last axis, with a value where there is none.
fn picked(
    cx: &mut Cx,
    x: ValueId,
    padding: ValueId,
    shape: &[usize],
    place: impl Fn(usize) -> Option<i64>,
) -> Result<ValueId> {
    let (lead, n) = (cx.shape(x), cx.dim(x, -1)?);
    let lead = &lead[..lead.len() - 1];
    let one = cx.broadcast_to(padding, &[lead, &[1]].concat())?;
    let x = cx.concat(&[x, one], -1)?;
    let at = cx.generated(shape, |i| place(i).unwrap_or(n as i64) as i32)?;
    cx.gather(x, at, lead.len(), 0)
}

fn padding(cx: &mut Cx, a: &Args, x: ValueId) -> Result<ValueId> {
    match a.get("padding_value") {
        Some(_) => a.like(cx, "padding_value", x),
        None => {
            let dtype = cx.dtype(x);
            Ok(cx.scalar(dtype, 0.0))
        }
    }
}

fn taken(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let band = Band::read(cx, a)?.of(cx, x)?;
    let fill = padding(cx, a, x)?;
    let shape = cx.shape(x);
    let lead = &shape[..shape.len() - 2];
    let x = cx.reshape(x, &[lead, &[(band.rows * band.columns) as usize]].concat())?;
    let longest = band.longest() as usize;
    let y = picked(cx, x, fill, &[band.count() as usize, longest], |i| {
        band.entry((i / longest) as i64, (i % longest) as i64)
    })?;
    match band.count() {
        1 => cx.squeeze(y, -2),
        _ => Ok(y),
    }
}

fn made(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let mut band = Band::read(cx, a)?;
    let fill = padding(cx, a, x)?;
    let longest = cx.dim(x, -1)? as i64;
    let least = [longest - band.high.min(0), longest + band.low.max(0)];
    let mut given = [None; 2];
    for (size, key) in given.iter_mut().zip(["num_rows", "num_cols"]) {
        *size = a.int(cx, key)?.filter(|&n| n != -1);
    }
    (band.rows, band.columns) = match given {
        [None, None] => (least[0].max(least[1]), least[0].max(least[1])),
        [rows, columns] => (rows.unwrap_or(least[0]), columns.unwrap_or(least[1])),
    };
    if band.rows < least[0] || band.columns < least[1] || band.longest() != longest {
        return Err(cx.call_error("`num_rows` and `num_cols` don't fit the diagonals"));
    }
    let x = band.flat(cx, x)?;
    let (rows, columns) = (band.rows as usize, band.columns as usize);
    cx.ask(
        rows.saturating_mul(columns).saturating_mul(4),
        "a table of diagonals",
    )?;
    picked(cx, x, fill, &[rows, columns], |i| {
        band.place((i / columns) as i64, (i % columns) as i64)
    })
}

fn set(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let (x, d) = (a.first(cx)?, a.tensor(cx, "diagonal")?);
    let band = Band::read(cx, a)?.of(cx, x)?;
    let d = band.flat(cx, d)?;
    let Fact { dtype, shape } = cx.fact(x).clone();
    let zero = cx.scalar(dtype, 0.0);
    let columns = band.columns as usize;
    let place = |i: usize| band.place((i / columns) as i64, (i % columns) as i64);
    let all = [band.rows as usize, columns];
    let new = picked(cx, d, zero, &all, place)?;
    let new = cx.broadcast_to(new, &shape)?;
    let is_set = cx.generated_bools(all, |i| place(i).is_some())?;
    cx.select(is_set, new, x)
}
