//! Membership and distinct values.

use crate::error::Result;
use crate::graph::{Binary, Cumulate, PadMode, Reduce, Unary, ValueId};
use crate::keras::ops::args::*;
use crate::keras::ops::numpy::shape::no_matrix;
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{numel, show_shape, DType, Fact};

/// Whether each element is one of the second tensor's.
pub fn is_in(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    cfg.pass_over(&["assume_unique"]);
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let b = flat(cx, b)?;
    let a = cx.expand_dims(a, -1)?;
    let same = cx.binary(Binary::Eq, a, b)?;
    let last = [cx.rank(same) - 1];
    let some = cx.reduce(Reduce::Any, same, &last, false)?;
    match cfg.bool_or("invert", false)? && cx.fact(b).numel() > 0 {
        true => Ok(cx.unary(Unary::Not, some)?.into()),
        false => Ok(some.into()),
    }
}

/// The places of the `kth + 1` smallest integers along an axis, then of the others,
/// as TensorFlow's Keras has it: the others fall in order of what is left when
/// the smallest are 0, where the first axis of the tensor has become the count.
pub fn argpartition(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let given = cfg.opt_int("axis")?;
    let (x, axis) = match given {
        Some(a) => (x, a),
        None => (flat(cx, x)?, 0),
    };
    let x = cx.cast(x, DType::I32)?;
    let x = swapped(cx, x, axis)?;
    let n = cx.dim(x, -1)?;
    let count = (cfg.int_or("kth", 0)?.clamp(0, n as i64 - 1) + 1) as usize;
    let falling = cx.unary(Unary::Neg, x)?;
    let (_, order) = cx.sort(falling, true)?;
    let smallest = cx.slice_axis(order, -1, 0, count)?;
    let places = cx.generated([n], |i| i as i32)?;
    let at = cx.expand_dims(smallest, -1)?;
    let taken = cx.binary(Binary::Eq, at, places)?;
    let taken = cx.reduce(Reduce::Any, taken, &[0], false)?;
    let (have, want) = (cx.shape(taken), cx.shape(x));
    let fits = have.iter().zip(&want).all(|(h, w)| h <= w);
    if !fits {
        return Err(cx.error(format!(
            "can't partition a tensor of shape {} at {}",
            show_shape(&want),
            count - 1
        )));
    }
    let pads: Vec<(usize, usize)> = have.iter().zip(&want).map(|(h, w)| (0, w - h)).collect();
    let taken = cx.pad(taken, &pads, PadMode::Constant, 0.0)?;
    let zero = cx.scalar(DType::I32, 0.0);
    let rest = cx.select(taken, zero, x)?;
    let (_, order) = cx.sort(rest, true)?;
    let rest = cx.slice_axis(order, -1, 0, n - count)?;
    let y = cx.concat(&[smallest, rest], -1)?;
    Ok(swapped(cx, y, axis)?.into())
}

/// An axis and the last one swapped.
fn swapped(cx: &mut Cx, x: ValueId, axis: i64) -> Result<ValueId> {
    let rank = cx.rank(x);
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(cx.axis(axis as isize, rank)?, rank - 1);
    cx.transpose(x, &perm)
}

/// How often each number occurs along the last axis: at least `minlength` counts.
pub fn bincount(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let least = cfg.usize_or("minlength", 0)?;
    let x = cx.cast(x, DType::I32)?;
    let axes: Vec<usize> = (0..cx.rank(x)).collect();
    let largest = match cx.fact(x).numel() {
        0 => cx.scalar(DType::I32, -1.0),
        _ => cx.reduce(Reduce::Max, x, &axes, false)?,
    };
    let length = cx.add_s(largest, 1.0)?;
    let length = cx.binary_s(Binary::Max, length, least as f64)?;
    let length = cx.open_size(length)?;
    let shape = cx.shape(x);
    let (&n, lead) = shape
        .split_last()
        .filter(|s| s.1.len() <= 1)
        .ok_or_else(|| no_matrix(cx, x))?;
    let rows = numel(lead);
    let row = cx.generated([rows * n], |i| (i / n) as i32)?;
    let x = flat(cx, x)?;
    let at = stack(cx, &[row, x], -1)?;
    let zeros = cx.full(Fact::new(DType::I32, [rows, length]), 0.0)?;
    let ones = cx.full(Fact::new(DType::I32, [rows * n]), 1.0)?;
    let y = cx.scatter(zeros, at, ones, true)?;
    Ok(cx.reshape(y, &[lead, &[length]].concat())?.into())
}

/// Places of the elements that are not 0, one tensor for each axis.
pub fn nonzero(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let name = if call.kwarg("condition").is_some() {
        "condition"
    } else {
        "x"
    };
    let x = tensor(cx, call, 0, name)?;
    let shape = cx.shape(x);
    let x = to_bool(cx, x)?;
    let x = flat(cx, x)?;
    let n = cx.dim(x, 0)?;
    let (count, rank) = ranks(cx, x)?;
    let count = cx.open_size(count)?;
    let places = cx.generated([n], |i| i as i32)?;
    // Zeros go to a place that is cut off.
    let beyond = cx.full(Fact::new(DType::I32, [n]), count as f64)?;
    let at = cx.select(x, rank, beyond)?;
    let base = cx.full(Fact::new(DType::I32, [count + 1]), 0.0)?;
    let found = scattered(cx, base, at, places, false)?;
    let found = cx.slice_axis(found, 0, 0, count)?;
    let mut outs = vec![];
    for (axis, &d) in shape.iter().enumerate() {
        let after = numel(&shape[axis + 1..]);
        let i = cx.binary_s(Binary::Div, found, after as f64)?;
        outs.push(cx.binary_s(Binary::Mod, i, d as f64)?.into());
    }
    Ok(Out::List(outs))
}

/// How many of a bool vector are true, and how many are before each.
fn ranks(cx: &mut Cx, x: ValueId) -> Result<(ValueId, ValueId)> {
    let ones = cx.cast(x, DType::I32)?;
    let count = cx.reduce(Reduce::Sum, ones, &[0], false)?;
    let rank = cx.cumulate(Cumulate::Sum, ones, 0, false)?;
    Ok((count, cx.add_s(rank, -1.0)?))
}

/// The elements of a vector in order, equal ones side by side.
pub struct Kinds {
    pub sorted: ValueId,
    /// The place that each came from.
    pub order: ValueId,
    /// Whether each is the first of its kind (bool).
    pub new: ValueId,
}

impl Kinds {
    pub fn of(cx: &mut Cx, x: ValueId) -> Result<Kinds> {
        let n = cx.dim(x, 0)?;
        let (sorted, order) = cx.sort(x, false)?;
        let head = cx.slice_axis(sorted, 0, 0, n.saturating_sub(1))?;
        let tail = cx.slice_axis(sorted, 0, 1.min(n), n)?;
        let differs = cx.binary(Binary::Ne, head, tail)?;
        let first = cx.full(Fact::new(DType::Bool, [1.min(n)]), 1.0)?;
        let new = cx.concat(&[first, differs], 0)?;
        Ok(Kinds { sorted, order, new })
    }

    /// How many kinds there are.
    pub fn count(&self, cx: &mut Cx) -> Result<ValueId> {
        let new = cx.cast(self.new, DType::I32)?;
        cx.reduce(Reduce::Sum, new, &[0], false)
    }
}

/// The different values of a tensor (or its different parts along an axis):
/// `size` of them, filled up where there are less, or all.
pub fn unique(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let sorted = cfg.bool_or("sorted", true)?;
    let size = cfg.opt_usize("size")?;
    let fill = cfg.f64_or("fill_value", 0.0)?;
    let shape = cx.shape(x);
    let (found, inverse_shape) = match cfg.opt_int("axis")? {
        Some(axis) if shape.len() != 1 => {
            let axis = cx.axis(axis as isize, shape.len())?;
            (Distinct::parts(cx, x, axis, sorted)?, vec![shape[axis]])
        }
        _ => (Distinct::elements(cx, x, sorted)?, shape),
    };
    let size = match size {
        Some(size) => size,
        None => cx.open_size(found.count)?,
    };
    let n = cx.dim(found.rank, 0)?;
    // What is past `size` goes to a place that is cut off.
    let capped = cx.binary_s(Binary::Min, found.rank, size as f64)?;
    let cut = |cx: &mut Cx, v: ValueId| cx.slice_axis(v, 0, 0, size);
    let mut rows = cx.shape(found.rows);
    rows[0] = size + 1;
    let fact = Fact::new(cx.dtype(found.rows), rows);
    let base = cx.full(fact, fill)?;
    let y = scattered(cx, base, capped, found.rows, false)?;
    let y = cut(cx, y)?;
    let mut outs = vec![match found.axis {
        0 => y,
        axis => swapped_with_first(cx, y, axis)?,
    }
    .into()];
    if cfg.bool_or("return_index", false)? {
        // Keras fills with 1. Later elements are sent to the place cut off.
        let beyond = cx.full(Fact::new(DType::I32, [n]), size as f64)?;
        let at = cx.select(found.new, capped, beyond)?;
        let base = cx.full(Fact::new(DType::I32, [size + 1]), 1.0)?;
        let v = scattered(cx, base, at, found.place, false)?;
        outs.push(cut(cx, v)?.into());
    }
    if cfg.bool_or("return_inverse", false)? {
        let base = cx.full(Fact::new(DType::I32, [n]), 0.0)?;
        let v = scattered(cx, base, found.place, found.rank, false)?;
        outs.push(cx.reshape(v, &inverse_shape)?.into());
    }
    if cfg.bool_or("return_counts", false)? {
        let ones = cx.full(Fact::new(DType::I32, [n]), 1.0)?;
        let base = cx.full(Fact::new(DType::I32, [size + 1]), 0.0)?;
        let v = scattered(cx, base, capped, ones, true)?;
        outs.push(cut(cx, v)?.into());
    }
    match outs.len() {
        1 => Ok(outs.remove(0)),
        _ => Ok(Out::List(outs)),
    }
}

/// The rows of a tensor, in any order, with the number of the kind of each.
struct Distinct {
    rows: ValueId,
    /// The axis of the tensor that became the first.
    axis: usize,
    /// The place of each row along that axis.
    place: ValueId,
    /// The number of its kind.
    rank: ValueId,
    /// Whether it is the first of its kind (bool).
    new: ValueId,
    /// How many kinds there are.
    count: ValueId,
}

impl Distinct {
    /// Of all elements; kinds are numbered by value, or by their first place.
    fn elements(cx: &mut Cx, x: ValueId, sorted: bool) -> Result<Distinct> {
        let x = flat(cx, x)?;
        let n = cx.dim(x, 0)?;
        let kinds = Kinds::of(cx, x)?;
        let (count, mut rank) = ranks(cx, kinds.new)?;
        if !sorted {
            // A kind's number is the number of first places before its own.
            let starts = cx.full(Fact::new(DType::I32, [n]), 0.0)?;
            let new = cx.cast(kinds.new, DType::I32)?;
            let firsts = scattered(cx, starts, kinds.order, new, false)?;
            let before = cx.cumulate(Cumulate::Sum, firsts, 0, false)?;
            let before = cx.add_s(before, -1.0)?;
            let place = first_of_kind(cx, rank, kinds.order, kinds.new, n)?;
            rank = cx.gather(before, place, 0, 0)?;
        }
        Ok(Distinct {
            rows: kinds.sorted,
            axis: 0,
            place: kinds.order,
            rank,
            new: kinds.new,
            count,
        })
    }

    /// Of the parts along an axis, each compared with each; kinds are numbered in
    /// lexicographic order, or by their first place.
    fn parts(cx: &mut Cx, x: ValueId, axis: usize, sorted: bool) -> Result<Distinct> {
        let rows = swapped_with_first(cx, x, axis)?;
        let n = cx.dim(rows, 0)?;
        let width = numel(&cx.shape(rows)[1..]);
        let a = cx.reshape(rows, &[n, 1, width])?;
        let b = cx.reshape(rows, &[1, n, width])?;
        let equal = cx.binary(Binary::Eq, a, b)?;
        let same = cx.reduce(Reduce::All, equal, &[2], false)?;
        let place = cx.generated([n], |i| i as i32)?;
        let first = cx.reduce(Reduce::ArgMax, same, &[1], false)?;
        let first = cx.cast(first, DType::I32)?;
        let new = cx.binary(Binary::Eq, first, place)?;
        // Whether row j is before row i.
        let before = if sorted {
            let differs = cx.unary(Unary::Not, equal)?;
            let at = cx.reduce(Reduce::ArgMax, differs, &[2], true)?;
            let at = cx.cast(at, DType::I32)?;
            let less = cx.binary(Binary::Lt, b, a)?;
            let less = cx.take_along(less, at, 2)?;
            cx.squeeze(less, -1)?
        } else {
            let first = cx.expand_dims(first, -1)?;
            cx.binary(Binary::Lt, place, first)?
        };
        let before = cx.and(before, new)?;
        let before = cx.cast(before, DType::I32)?;
        let rank = cx.reduce(Reduce::Sum, before, &[1], false)?;
        let ones = cx.cast(new, DType::I32)?;
        Ok(Distinct {
            rows,
            axis,
            place,
            rank,
            new,
            count: cx.reduce(Reduce::Sum, ones, &[0], false)?,
        })
    }
}

fn swapped_with_first(cx: &mut Cx, x: ValueId, axis: usize) -> Result<ValueId> {
    let mut perm: Vec<usize> = (0..cx.rank(x)).collect();
    perm.swap(0, axis);
    cx.transpose(x, &perm)
}

/// Elements of vectors set (or added) at their places.
fn scattered(cx: &mut Cx, base: ValueId, at: ValueId, v: ValueId, add: bool) -> Result<ValueId> {
    let at = cx.expand_dims(at, -1)?;
    cx.scatter(base, at, v, add)
}

/// For each element in sorted order, the place of the first of its kind.
fn first_of_kind(
    cx: &mut Cx,
    rank: ValueId,
    order: ValueId,
    new: ValueId,
    n: usize,
) -> Result<ValueId> {
    let beyond = cx.full(Fact::new(DType::I32, [n]), n as f64)?;
    let at = cx.select(new, rank, beyond)?;
    let base = cx.full(Fact::new(DType::I32, [n + 1]), 0.0)?;
    let by_rank = scattered(cx, base, at, order, false)?;
    cx.gather(by_rank, rank, 0, 0)
}
