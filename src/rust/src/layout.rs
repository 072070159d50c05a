//! Between R's column-major arrays and the engine's row-major ones. The rows
//! are the first axis of both.

use std::ops::Range;

use keraspredict_engine::kernels::{prefetch, Par};

/// Rows converted together: few enough that what they touch stays in the
/// first-level cache.
const BLOCK: usize = 32;

/// Entries of the second axis converted together: they are near each other in
/// R's array, while those of the last axis are far apart, on pages of their own.
const HIGH: usize = 8;

/// Visits of a lane between asking for a stretch of R's array and reading it.
const AHEAD: usize = 2;

/// Elements of one large row that are worth sharing among threads.
const LARGE: usize = 1 << 15;

/// R's doubles in a line of the cache.
const LINE: usize = 8;

/// Copies rows of a column-major array of the given shape to row-major `dst`.
/// The threads of a run that shares its work share this too.
///
/// # Panics
/// If `src` does not fill `shape`, or `dst` the rows.
pub fn gather<S: Copy + Sync, D: Send>(
    src: &[S],
    shape: &[usize],
    rows: Range<usize>,
    dst: &mut [D],
    convert: impl Fn(S) -> D + Copy + Sync,
) {
    let (shape, rows) = without_ones(shape, rows);
    let width: usize = shape[1..].iter().product();
    assert!(rows.end <= shape[0] && src.len() == shape[0] * width);
    assert_eq!(dst.len(), rows.len() * width);
    let par = Par::Crew.worth(dst.len() > LARGE);
    if par.threads() == 1 {
        return gather_rows(src, shape, rows, dst, convert);
    }
    par.pieces(dst, BLOCK * width, |i, part| {
        let first = rows.start + i * BLOCK;
        let rows = first..rows.end.min(first + BLOCK);
        gather_rows(src, shape, rows, part, convert);
    });
}

fn gather_rows<S: Copy, D>(
    src: &[S],
    shape: &[usize],
    rows: Range<usize>,
    dst: &mut [D],
    convert: impl Fn(S) -> D + Copy,
) {
    let width: usize = shape[1..].iter().product();
    blocks(shape, rows, |lane| {
        lane.runs(|from, to, next| {
            let ahead = src.as_ptr().wrapping_add(next);
            let mut at = 0;
            while at < lane.rows {
                prefetch(ahead.wrapping_add(at));
                at += LINE;
            }
            // The line in which the stretch ends, where it does not begin with one.
            prefetch(ahead.wrapping_add(lane.rows - 1));
            for (i, &v) in src[from..from + lane.rows].iter().enumerate() {
                dst[to + i * width] = convert(v);
            }
        });
    });
}

/// The same elements without leading axes of one entry: both layouts agree on them.
fn without_ones(mut shape: &[usize], mut rows: Range<usize>) -> (&[usize], Range<usize>) {
    while let [1, rest @ ..] = shape {
        if rest.is_empty() || rows.is_empty() {
            break;
        }
        shape = rest;
        rows = 0..rest[0];
    }
    (shape, rows)
}

/// A column-major array that several threads write, each its own rows.
pub struct Columns<D>(pub *mut D);

// SAFETY: `scatter` asks its callers to write disjoint rows.
unsafe impl<D> Sync for Columns<D> {}
unsafe impl<D> Send for Columns<D> {}

/// Copies row-major rows into a column-major array of the given shape.
///
/// # Panics
/// If `src` does not fill the rows.
///
/// # Safety
/// `dst` must have room for `shape`, and no other thread may use these rows.
pub unsafe fn scatter<S: Copy, D>(
    src: &[S],
    shape: &[usize],
    rows: Range<usize>,
    dst: &Columns<D>,
    convert: impl Fn(S) -> D + Copy,
) {
    let (shape, rows) = without_ones(shape, rows);
    let width: usize = shape[1..].iter().product();
    assert!(rows.end <= shape[0]);
    assert_eq!(src.len(), rows.len() * width);
    blocks(shape, rows, |lane| {
        lane.runs(|to, from, _| {
            for i in 0..lane.rows {
                dst.0.add(to + i).write(convert(src[from + i * width]));
            }
        });
    });
}

/// Runs along the last axis, for a block of rows and of the second axis.
struct Lane {
    /// Where it starts in each layout.
    column_major: usize,
    row_major: usize,
    /// Elements along the last axis, and how far apart they are column-major.
    len: usize,
    step: usize,
    /// Entries of the second axis, and how far apart they are in each layout.
    high: usize,
    high_column: usize,
    high_row: usize,
    rows: usize,
    /// Where the lane after this one starts column-major.
    next: usize,
}

impl Lane {
    /// Visits the first row of each place of the lane: where it is column-major
    /// and row-major, and where a later visit is column-major.
    #[inline(always)]
    fn runs(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for k in 0..self.len {
            let later = match k + AHEAD {
                later if later < self.len => self.column_major + later * self.step,
                later => self.next + later % self.len * self.step,
            };
            for h in 0..self.high {
                visit(
                    self.column_major + k * self.step + h * self.high_column,
                    self.row_major + k + h * self.high_row,
                    later + h * self.high_column,
                );
            }
        }
    }
}

fn blocks(shape: &[usize], rows: Range<usize>, mut visit: impl FnMut(Lane)) {
    let width: usize = shape[1..].iter().product();
    if width == 0 {
        return;
    }
    // The second axis, those between, and the last; the second may be missing.
    let (high, between, len) = match &shape[1..] {
        [] => (1, &[][..], 1),
        [len] => (1, &[][..], *len),
        [high, between @ .., len] => (*high, between, *len),
    };
    // Column-major strides of the axes between.
    let strides: Vec<usize> = between
        .iter()
        .scan(shape[0] * high, |stride, &dim| {
            let own = *stride;
            *stride *= dim;
            Some(own)
        })
        .collect();
    let step = shape[0] * high * between.iter().product::<usize>();
    let high_row = width / high;
    let mut index = vec![0; between.len()];
    for start in rows.clone().step_by(BLOCK) {
        for first in (0..high).step_by(HIGH) {
            let mut column_major = start + first * shape[0];
            let mut row_major = (start - rows.start) * width + first * high_row;
            index.fill(0);
            'lanes: loop {
                visit(Lane {
                    column_major,
                    row_major,
                    len,
                    step,
                    high: HIGH.min(high - first),
                    high_column: shape[0],
                    high_row,
                    rows: BLOCK.min(rows.end - start),
                    next: column_major + strides.last().unwrap_or(&0),
                });
                row_major += len;
                for axis in (0..between.len()).rev() {
                    index[axis] += 1;
                    column_major += strides[axis];
                    if index[axis] < between[axis] {
                        continue 'lanes;
                    }
                    column_major -= strides[axis] * between[axis];
                    index[axis] = 0;
                }
                break;
            }
        }
    }
}
