//! Between R's column-major arrays and the engine's row-major ones. The rows
//! are the first axis of both.

use std::ops::Range;

/// Rows converted together: few enough that what they touch stays in the
/// first-level cache.
const BLOCK: usize = 32;

/// Copies rows of a column-major array of the given shape to row-major `dst`.
///
/// # Panics
/// If `src` does not fill `shape`, or `dst` the rows.
pub fn gather<S: Copy, D>(
    src: &[S],
    shape: &[usize],
    rows: Range<usize>,
    dst: &mut [D],
    convert: impl Fn(S) -> D + Copy,
) {
    let width: usize = shape[1..].iter().product();
    assert!(rows.end <= shape[0] && src.len() == shape[0] * width);
    assert_eq!(dst.len(), rows.len() * width);
    blocks(shape, rows, |lane| {
        for k in 0..lane.len {
            let from = lane.column_major + k * lane.step;
            let values = &src[from..from + lane.rows];
            let cells = dst[lane.row_major + k..].iter_mut().step_by(width);
            cells.zip(values).for_each(|(d, &v)| *d = convert(v));
        }
    });
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
    let width: usize = shape[1..].iter().product();
    assert!(rows.end <= shape[0]);
    assert_eq!(src.len(), rows.len() * width);
    blocks(shape, rows, |lane| {
        for k in 0..lane.len {
            let to = dst.0.add(lane.column_major + k * lane.step);
            let values = src[lane.row_major + k..].iter().step_by(width);
            for (i, &v) in values.take(lane.rows).enumerate() {
                to.add(i).write(convert(v));
            }
        }
    });
}

/// One run along the last axis, for a block of rows.
struct Lane {
    /// Where it starts in each layout.
    column_major: usize,
    row_major: usize,
    /// Elements along the last axis, and how far apart they are column-major.
    len: usize,
    step: usize,
    rows: usize,
}

fn blocks(shape: &[usize], rows: Range<usize>, mut visit: impl FnMut(Lane)) {
    let inner = &shape[1..];
    let width: usize = inner.iter().product();
    if width == 0 {
        return;
    }
    let (len, outer) = match inner.split_last() {
        Some((&last, outer)) => (last, outer),
        None => (1, inner),
    };
    // Column-major strides of the axes before the last.
    let strides: Vec<usize> = outer
        .iter()
        .scan(shape[0], |stride, &dim| {
            let own = *stride;
            *stride *= dim;
            Some(own)
        })
        .collect();
    let step = shape[0] * outer.iter().product::<usize>();
    let mut index = vec![0; outer.len()];
    for start in rows.clone().step_by(BLOCK) {
        let count = BLOCK.min(rows.end - start);
        let mut column_major = start;
        let mut row_major = (start - rows.start) * width;
        index.fill(0);
        'lanes: loop {
            visit(Lane {
                column_major,
                row_major,
                len,
                step,
                rows: count,
            });
            row_major += len;
            for axis in (0..outer.len()).rev() {
                index[axis] += 1;
                column_major += strides[axis];
                if index[axis] < outer[axis] {
                    continue 'lanes;
                }
                column_major -= strides[axis] * outer[axis];
                index[axis] = 0;
            }
            break;
        }
    }
}
