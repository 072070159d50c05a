//! Everything that only walks through its input in another order: Reshape,
//! Transpose, Broadcast and Slice.
//!
//! Each is a list of axes, those of the output, with the distance between
//! neighbours in the input. Axes that lie in one line are one axis.

use std::sync::Arc;

use super::elementwise::{PARALLEL, TASK};
use super::{Kernel, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{numel, DType, Line, View, ViewMut};

/// What kernels that move elements see of them: their size, or that they are strings.
pub(super) trait Element: Clone + Send + Sync + 'static {
    fn of<'a>(view: &View<'a>) -> &'a [Self];
    fn of_mut<'a>(view: &'a mut ViewMut) -> &'a mut [Self];

    /// Transposes a tile: element (r, c), which is at `r + c * stride` of `src`, to
    /// `r * apart + c` of `dst`.
    ///
    /// # Safety
    /// Both must be valid there for r and c below [`TILE`].
    unsafe fn tile(src: *const Self, stride: isize, dst: *mut Self, apart: usize) {
        for r in 0..TILE {
            for c in 0..TILE {
                (*dst.add(r * apart + c)).clone_from(&*src.offset(c as isize * stride).add(r));
            }
        }
    }
}

/// `dst.clone_from_slice(src)`, without a call for a few elements.
#[inline(always)]
pub(super) fn copy<T: Element>(dst: &mut [T], src: &[T]) {
    match (dst, src) {
        ([a], [x]) => a.clone_from(x),
        ([a, b], [x, y]) => {
            a.clone_from(x);
            b.clone_from(y);
        }
        ([a, b, c], [x, y, z]) => {
            a.clone_from(x);
            b.clone_from(y);
            c.clone_from(z);
        }
        ([a, b, c, d], [x, y, z, w]) => {
            a.clone_from(x);
            b.clone_from(y);
            c.clone_from(z);
            d.clone_from(w);
        }
        (dst, src) => dst.clone_from_slice(src),
    }
}

macro_rules! element {
    ($($t:ty),*) => { $(impl Element for $t {
        fn of<'a>(view: &View<'a>) -> &'a [Self] {
            // What is empty need not be aligned.
            match view.bytes() {
                [] => &[],
                bytes => bytemuck::cast_slice(bytes),
            }
        }
        fn of_mut<'a>(view: &'a mut ViewMut) -> &'a mut [Self] {
            match view.bytes() {
                [] => &mut [],
                bytes => bytemuck::cast_slice_mut(bytes),
            }
        }
        unsafe fn tile(src: *const Self, stride: isize, dst: *mut Self, apart: usize) {
            // By way of a copy: each line of the one and the other is touched once,
            // however unluckily they fall into the cache.
            let mut tile = [[0; TILE]; TILE];
            for (c, line) in tile.iter_mut().enumerate() {
                let src = src.offset(c as isize * stride);
                line.copy_from_slice(std::slice::from_raw_parts(src, TILE));
            }
            for r in 0..TILE {
                let dst = std::slice::from_raw_parts_mut(dst.add(r * apart), TILE);
                for (d, line) in dst.iter_mut().zip(&tile) {
                    *d = line[r];
                }
            }
        }
    })* };
}
element!(u8, u16, u32, u64);

impl Element for Arc<str> {
    fn of<'a>(view: &View<'a>) -> &'a [Self] {
        view.strings()
    }
    fn of_mut<'a>(view: &'a mut ViewMut) -> &'a mut [Self] {
        view.strings()
    }
}

/// `$e` with `$T` the [`Element`] of a dtype.
macro_rules! by_element {
    ($dtype:expr, $T:ident => $e:expr) => {
        match $dtype.size() {
            1 => {
                type $T = u8;
                $e
            }
            2 => {
                type $T = u16;
                $e
            }
            4 => {
                type $T = u32;
                $e
            }
            8 => {
                type $T = u64;
                $e
            }
            _ => {
                type $T = std::sync::Arc<str>;
                $e
            }
        }
    };
}
pub(super) use by_element;

/// Row-major strides.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut out = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        out[i - 1] = out[i] * shape[i];
    }
    out
}

/// Size, and distance in the input.
type Axis = (usize, isize);

struct Strided {
    /// Where the first element lies.
    start: usize,
    axes: Vec<Axis>,
    in_place: &'static [usize],
}

/// The kernel of `Reshape`, `Transpose`, `Broadcast` or `Slice`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let from = &req.ins[0].fact.shape;
    let by = strides(from);
    let mut start = 0;
    let axes: Vec<Axis> = match req.op {
        Op::Reshape(_) => vec![(numel(from), 1)],
        Op::Transpose(perm) => perm.iter().map(|&a| (from[a], by[a] as isize)).collect(),
        Op::Broadcast(to) => {
            let new = to.len() - from.len();
            let axis = |i: usize| match i.checked_sub(new) {
                Some(a) if from[a] == to[i] => (to[i], by[a] as isize),
                _ => (to[i], 0),
            };
            (0..to.len()).map(axis).collect()
        }
        Op::Slice(dims) => {
            let axis = |(d, &by): (&crate::graph::SliceDim, &usize)| {
                // Where nothing is taken, nothing must be pointed at.
                start += if d.len > 0 { d.start * by } else { 0 };
                (d.len, d.step * by as isize)
            };
            dims.iter().zip(&by).map(axis).collect()
        }
        _ => return Err(Error::internal("not a primitive of strides")),
    };
    let mut merged: Vec<Axis> = Vec::new();
    for (n, stride) in axes.into_iter().filter(|a| a.0 != 1) {
        match merged.last_mut() {
            Some((m, s)) if *s == stride * n as isize => (*m, *s) = (*m * n, stride),
            _ => merged.push((n, stride)),
        }
    }
    let whole = req.outs[0].dtype != DType::Str
        && req.outs[0].numel() == numel(from)
        && matches!(merged[..], [] | [(_, 1)]);
    Ok(Box::new(Strided {
        start,
        axes: merged,
        in_place: if whole { &[0] } else { &[] },
    }))
}

/// Fills `dst`, of the shape of `axes`.
///
/// # Safety
/// `src` must be valid wherever `axes` lead.
unsafe fn walk<T: Element>(axes: &[Axis], src: *const T, dst: &mut [T]) {
    let transposed = |q: Axis| q.1 != 0 && q.1 != 1;
    match *axes {
        [] => dst[0].clone_from(&*src),
        [(n, 1)] => copy(dst, std::slice::from_raw_parts(src, n)),
        [(_, 0)] => dst.fill((*src).clone()),
        [(_, stride)] => {
            for (i, d) in dst.iter_mut().enumerate() {
                d.clone_from(&*src.offset(i as isize * stride));
            }
        }
        [(rows, 1), ref between @ .., q] if transposed(q) => {
            let apart = dst.len() / rows;
            transpose(between, (rows, apart), q, src, dst);
        }
        [(n, stride), ref rest @ ..] => {
            let chunk = dst.len() / n;
            for (i, d) in dst.chunks_exact_mut(chunk).enumerate() {
                walk(rest, src.offset(i as isize * stride), d);
            }
        }
    }
}

/// Lines of the one and the other direction that go together: what a tile reads
/// and writes stays in the cache.
const TILE: usize = 16;

/// Rows lie side by side in the input and `rows.1` apart in the output; columns
/// the other way round.
///
/// # Safety
/// As for [`walk`].
unsafe fn transpose<T: Element>(
    between: &[Axis],
    rows: (usize, usize),
    columns: Axis,
    src: *const T,
    dst: &mut [T],
) {
    if let [(n, stride), ref rest @ ..] = *between {
        let size: usize = rest.iter().map(|a| a.0).product::<usize>() * columns.0;
        for i in 0..n {
            let from = src.offset(i as isize * stride);
            transpose(rest, rows, columns, from, &mut dst[i * size..]);
        }
        return;
    }
    let ((p, apart), (q, stride)) = (rows, columns);
    assert!(dst.len() >= (p - 1) * apart + q);
    let dst = dst.as_mut_ptr();
    let rest = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        for r in rows {
            for c in columns.clone() {
                let from = src.offset(c as isize * stride).add(r);
                (*dst.add(r * apart + c)).clone_from(&*from);
            }
        }
    };
    let (whole_rows, whole_columns) = (p - p % TILE, q - q % TILE);
    for r in (0..whole_rows).step_by(TILE) {
        for c in (0..whole_columns).step_by(TILE) {
            let from = src.offset(c as isize * stride).add(r);
            T::tile(from, stride, dst.add(r * apart + c), apart);
        }
    }
    rest(0..whole_rows, whole_columns..q);
    rest(whole_rows..p, 0..q);
}

impl Strided {
    fn go<T: Element>(&self, src: &[T], dst: &mut [T], par: Par) {
        if dst.is_empty() {
            return;
        }
        // SAFETY: axes and start were made from the shapes of both tensors.
        let src = unsafe { src.as_ptr().add(self.start) };
        if par == Par::Serial || dst.len() < PARALLEL || self.axes.is_empty() {
            return unsafe { walk(&self.axes, src, dst) };
        }
        // The axis to split: there are enough pieces, with those before it.
        let (mut split, mut before) = (0, 1);
        while before * self.axes[split].0 < 32 && split + 1 < self.axes.len() {
            before *= self.axes[split].0;
            split += 1;
        }
        let (n, stride) = self.axes[split];
        let inner: usize = self.axes[split + 1..].iter().map(|a| a.0).product();
        let group = (TASK / inner).clamp(1, n);
        let pieces = n.div_ceil(group);
        let src = Shared(src.cast_mut());
        let task = |i: usize, rows: &mut [T]| {
            let (mut outer, from) = (i / pieces, i % pieces * group);
            let mut at = from as isize * stride;
            for &(n, stride) in self.axes[..split].iter().rev() {
                at += (outer % n) as isize * stride;
                outer /= n;
            }
            let mut axes = vec![(rows.len() / inner, stride)];
            axes.extend_from_slice(&self.axes[split + 1..]);
            // SAFETY: as above, a part of it.
            unsafe { walk(&axes, src.get().cast_const().offset(at), rows) }
        };
        let rows = dst.chunks_mut(n * inner);
        let mut parts: Vec<_> = rows.flat_map(|r| r.chunks_mut(group * inner)).collect();
        par.pieces(&mut parts, 1, |i, rows| task(i, rows[0]));
    }
}

impl Kernel for Strided {
    fn in_place(&self) -> &[usize] {
        self.in_place
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        if aliased.is_none() {
            by_element!(outs[0].dtype, T => {
                self.go(T::of(&ins[0]), T::of_mut(&mut outs[0]), par)
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::SliceDim;
    use crate::kernels::testing::{noise, pick, run, same_bits, DTYPES};
    use crate::tensor::Fact;

    /// For each index of a shape, its position along each axis.
    fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
        (0..numel(shape)).map(|mut i| {
            let mut at = vec![0; shape.len()];
            for a in (0..shape.len()).rev() {
                at[a] = i % shape[a];
                i /= shape[a];
            }
            at
        })
    }

    fn flat(shape: &[usize], at: impl Iterator<Item = usize>) -> usize {
        shape.iter().zip(at).fold(0, |i, (n, a)| i * n + a)
    }

    fn check(op: &Op, from: &[usize], to: &[usize], source: impl Fn(&[usize]) -> usize) {
        for dtype in DTYPES {
            if numel(to) > 100_000 && dtype.size() != 4 {
                continue;
            }
            let x = noise(dtype, from, 3);
            let at: Vec<usize> = indices(to).map(|i| source(&i)).collect();
            let got = run(op, &[&x], &[Fact::new(dtype, to)]).unwrap();
            same_bits(
                &got[0],
                &pick(&x, to, &at),
                &format!("{op:?} {dtype} {from:?}"),
            );
        }
    }

    #[test]
    fn transposes() {
        let cases: &[(&[usize], &[usize])] = &[
            (&[], &[]),
            (&[5], &[0]),
            (&[3, 0], &[1, 0]),
            (&[3, 5], &[1, 0]),
            (&[3, 5], &[0, 1]),
            (&[40, 33], &[1, 0]),
            (&[2, 35, 18, 3], &[0, 3, 1, 2]),
            (&[2, 3, 35, 18], &[0, 2, 3, 1]),
            (&[2, 7, 4, 9], &[0, 2, 1, 3]),
            (&[2, 3, 4, 5], &[3, 2, 1, 0]),
            (&[2, 3, 4, 5], &[1, 3, 0, 2]),
            (&[2, 3, 4, 5, 6], &[4, 1, 3, 2, 0]),
            (&[17, 1, 20, 19], &[3, 1, 2, 0]),
            (&[300, 500], &[1, 0]),
            (&[2, 300, 400], &[0, 2, 1]),
            (&[3, 200, 300], &[1, 2, 0]),
        ];
        for (from, perm) in cases {
            let to: Vec<usize> = perm.iter().map(|&a| from[a]).collect();
            check(&Op::Transpose(perm.to_vec()), from, &to, |at| {
                let place = |a: usize| perm.iter().position(|&p| p == a).unwrap();
                flat(from, (0..from.len()).map(|a| at[place(a)]))
            });
        }
    }

    #[test]
    fn broadcasts() {
        let cases: &[(&[usize], &[usize])] = &[
            (&[1], &[5]),
            (&[], &[2, 3]),
            (&[1, 3], &[4, 3]),
            (&[3, 1], &[3, 4]),
            (&[1, 3, 1], &[2, 3, 4]),
            (&[2, 1, 3, 1, 2], &[2, 5, 3, 4, 2]),
            (&[1, 3], &[0, 3]),
            (&[300, 1], &[300, 400]),
            (&[1, 400], &[300, 400]),
        ];
        for (from, to) in cases {
            check(&Op::Broadcast(to.to_vec()), from, to, |at| {
                let at = &at[at.len() - from.len()..];
                flat(
                    from,
                    from.iter()
                        .zip(at)
                        .map(|(&n, &i)| if n == 1 { 0 } else { i }),
                )
            });
        }
    }

    #[test]
    fn slices() {
        let d = |start, step, len| SliceDim { start, step, len };
        let cases: &[(&[usize], Vec<SliceDim>)] = &[
            (&[7], vec![d(2, 1, 3)]),
            (&[7], vec![d(6, -1, 7)]),
            (&[7], vec![d(7, 1, 0)]),
            (&[7, 5], vec![d(5, -2, 3), d(1, 3, 2)]),
            (&[7, 5], vec![d(0, 1, 7), d(0, 1, 5)]),
            (&[7, 5, 3], vec![d(3, 1, 4), d(4, -1, 5), d(0, 1, 3)]),
            (&[7, 5, 3], vec![d(3, 1, 4), d(0, 1, 5), d(2, -1, 3)]),
            (&[300, 501], vec![d(0, 1, 300), d(1, 1, 500)]),
            (&[300, 501], vec![d(299, -1, 300), d(0, 2, 251)]),
        ];
        for (from, dims) in cases {
            let to: Vec<usize> = dims.iter().map(|d| d.len).collect();
            check(&Op::Slice(dims.clone()), from, &to, |at| {
                let along = |(&i, d): (&usize, &SliceDim)| {
                    (d.start as isize + i as isize * d.step) as usize
                };
                flat(from, at.iter().zip(dims).map(along))
            });
        }
    }

    #[test]
    fn reshapes() {
        check(&Op::Reshape(vec![3, 2]), &[6], &[3, 2], |at| {
            at[0] * 2 + at[1]
        });
    }
}
