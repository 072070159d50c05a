//! How operands are read: in place, repeated, or gathered block by block.

use std::cell::RefCell;
use std::sync::Arc;

use super::register::{load, native, output, Class};
use crate::tensor::{numel, DType, Line};

/// Runs at least this long are read in place, blocks ending where they end.
pub(super) const LONG_RUN: usize = 128;
/// Repeating vectors up to this length are laid out once, repeated.
pub(super) const TILE: usize = 2048;

/// How an operand follows the output's flat index.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Access {
    Full,
    Scalar,
    /// A vector along the last axes.
    Period(usize),
    /// Axes, innermost first, as size and stride (in elements).
    Runs(Arc<[(usize, usize)]>),
}

impl Access {
    pub fn new(from: &[usize], to: &[usize]) -> Access {
        let n = numel(from);
        if n == numel(to) {
            return Access::Full;
        }
        if n == 1 {
            return Access::Scalar;
        }
        let mut dims: Vec<(usize, usize)> = Vec::new();
        let mut stride = 1;
        for (&f, &t) in from.iter().zip(to).rev().filter(|(_, &t)| t != 1) {
            let s = if f == 1 { 0 } else { stride };
            stride *= f;
            match dims.last_mut() {
                // Neighbours of one kind are one axis.
                Some((size, inner)) if (*inner == 0) == (s == 0) => *size *= t,
                _ => dims.push((t, s)),
            }
        }
        match dims[..] {
            [(p, 1), (_, 0)] => Access::Period(p),
            _ => Access::Runs(dims.into()),
        }
    }
}

/// The length of what short runs repeat, if something, and how far it goes on.
pub(super) fn pattern(dims: &[(usize, usize)]) -> Option<(usize, usize)> {
    let axis = (1..dims.len()).find(|&i| dims[i].1 == 0)?;
    let period: usize = dims[..axis].iter().map(|d| d.0).product();
    let region = period * dims[axis].0;
    let worth = dims[0].0 < LONG_RUN && period <= TILE && region >= 4 * LONG_RUN.max(period);
    worth.then_some((period, region))
}

pub(super) struct Source {
    pub base: *const u8,
    pub access: Access,
}

/// How a source's next block is brought about; numbers are offsets in the
/// scratch memory.
#[derive(Copy, Clone)]
pub(super) enum Feed {
    Direct,
    Load(usize),
    Fixed(usize),
    Tile(usize, usize, usize),
    Cut(usize),
    /// A period that repeats throughout each region of so many elements, laid out
    /// for the region that starts at `of`.
    Pattern {
        at: usize,
        period: usize,
        region: usize,
        of: usize,
    },
    Runs(usize),
}

/// Per thread: registers and lists that are used again and again.
#[derive(Default)]
pub(super) struct Scratch {
    pub mem: Vec<Line>,
    pub ptrs: Vec<*const u8>,
    pub sources: Vec<Source>,
    pub feeds: Vec<Feed>,
    pub index: Vec<usize>,
}

pub(super) fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
    SCRATCH.with_borrow_mut(f)
}
/// One element, repeated.
///
/// # Safety
/// As for [`load_body`], one element of `src`.
pub(super) unsafe fn fill(dtype: DType, src: *const u8, dst: *mut u8, n: usize) {
    load(dtype, src, dst, 1);
    match Class::of(dtype).size() {
        1 => output::<u8>(dst, n).fill(*dst),
        4 => output::<u32>(dst, n).fill(*dst.cast()),
        _ => output::<u64>(dst, n).fill(*dst.cast()),
    }
}

/// `n` elements `step` apart.
///
/// # Safety
/// As for [`load_body`].
#[inline(always)]
unsafe fn few<T: Copy>(src: *const u8, dst: *mut u8, step: usize, n: usize) {
    let (src, dst) = (src.cast::<T>(), dst.cast::<T>());
    for i in 0..n {
        *dst.add(i) = *src.add(i * step);
    }
}

/// `n` elements, each `times` times.
///
/// # Safety
/// As for [`load_body`].
#[inline(always)]
unsafe fn repeat<T: Copy>(src: *const u8, dst: *mut u8, times: usize, n: usize) {
    #[inline(always)]
    unsafe fn go<T: Copy>(src: *const T, dst: *mut T, times: usize, n: usize) {
        for i in 0..n {
            for k in 0..times {
                *dst.add(i * times + k) = *src.add(i);
            }
        }
    }
    let (src, dst) = (src.cast::<T>(), dst.cast::<T>());
    match times {
        2 => go(src, dst, 2, n),
        3 => go(src, dst, 3, n),
        4 => go(src, dst, 4, n),
        8 => go(src, dst, 8, n),
        16 => go(src, dst, 16, n),
        _ => go(src, dst, times, n),
    }
}

/// A block of a broadcast operand: a pointer into it where one run covers the
/// block, else the runs gathered at `dst`.
///
/// # Safety
/// `src` must be valid wherever `dims` lead from flat indices `pos..pos + n`.
pub(super) unsafe fn runs(
    dtype: DType,
    src: *const u8,
    dims: &[(usize, usize)],
    index: &mut Vec<usize>,
    pos: usize,
    n: usize,
    dst: *mut u8,
) -> *const u8 {
    let (size, each) = (Class::of(dtype).size(), dtype.size());
    index.clear();
    let (mut rest, mut offset) = (pos, 0);
    for &(len, stride) in dims {
        index.push(rest % len);
        offset += rest % len * stride;
        rest /= len;
    }
    let (inner, step) = dims[0];
    if step != 0 && native(dtype) && inner - index[0] >= n {
        return src.add(offset * each);
    }
    let repeats = step == 0 && native(dtype) && dims.get(1).is_some_and(|d| d.1 == 1);
    let mut done = 0;
    loop {
        let (from, to) = (src.add(offset * each), dst.add(done * size));
        // The axes that have been walked through, and where the next one goes on.
        let walked = match repeats && index[0] == 0 && inner <= n - done {
            true => {
                let count = ((n - done) / inner).min(dims[1].0 - index[1]);
                match size {
                    1 => repeat::<u8>(from, to, inner, count),
                    4 => repeat::<u32>(from, to, inner, count),
                    _ => repeat::<u64>(from, to, inner, count),
                }
                done += count * inner;
                offset += count;
                index[1] += count;
                match index[1] == dims[1].0 {
                    true => {
                        offset -= index[1];
                        index[1] = 0;
                        2
                    }
                    false => dims.len(),
                }
            }
            false => {
                let run = (inner - index[0]).min(n - done);
                match (step, size) {
                    // A few elements are not worth a call.
                    (_, 4) if run < 16 && native(dtype) => few::<u32>(from, to, step, run),
                    (_, 8) if run < 16 && native(dtype) => few::<u64>(from, to, step, run),
                    (0, _) => fill(dtype, from, to, run),
                    _ => load(dtype, from, to, run),
                }
                done += run;
                offset -= index[0] * step;
                index[0] = 0;
                1
            }
        };
        if done == n {
            return dst;
        }
        for (i, &(len, stride)) in index.iter_mut().zip(dims).skip(walked) {
            *i += 1;
            offset += stride;
            if *i < len {
                break;
            }
            offset -= len * stride;
            *i = 0;
        }
    }
}
