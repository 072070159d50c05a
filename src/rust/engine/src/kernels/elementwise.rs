//! One evaluator for everything elementwise: single primitives and fused chains.
//!
//! A program runs block by block over registers of its steps' compute classes:
//! `f32` (for float16 and bfloat16 too, rounded after each step, as TensorFlow
//! computes op by op), `f64`, `i64` (every integer, wrapped after each step) and
//! `u8` (bool). Operands that already lie in memory as a register would are read
//! in place; others are loaded, repeated or converted block by block.

use std::cell::RefCell;
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::vecmath::{self, multiversion, Isa};
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::{Binary, Op, Program, Step, Unary};
use crate::tensor::{lines, numel, DType, Elem, Fact, Line, Shape, Tensor, View, ViewMut, LINE};

/// Elements computed at a time.
pub(super) const BLOCK: usize = 512;
/// Runs at least this long are read in place, blocks ending where they end.
const LONG_RUN: usize = 128;
/// Repeating vectors up to this length are laid out once, repeated.
const TILE: usize = 2048;
/// Elements one task computes, and from how many on there are tasks.
pub(super) const TASK: usize = 32 * 1024;
pub(super) const PARALLEL: usize = 2 * TASK;

/// What a register holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    F32,
    F64,
    Int,
    Bool,
}

impl Class {
    pub fn of(dtype: DType) -> Class {
        match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Class::F32,
            DType::F64 => Class::F64,
            DType::Bool => Class::Bool,
            _ => Class::Int,
        }
    }

    pub fn size(self) -> usize {
        match self {
            Class::F32 => 4,
            Class::F64 | Class::Int => 8,
            Class::Bool => 1,
        }
    }
}

/// Whether tensors of the dtype hold elements as registers do.
pub(super) fn native(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::F32 | DType::F64 | DType::I64 | DType::U64 | DType::Bool
    )
}

#[derive(Copy, Clone, Debug)]
enum Code {
    Unary(Unary, DType),
    Binary(Binary, DType),
    Select(DType),
    Cast(DType, DType),
}

/// A step with its operands and its result in place. Operands number inputs,
/// then steps; the last step has no slot, it writes the output.
struct Instr {
    code: Code,
    args: [usize; 3],
    slot: Option<usize>,
    dtype: DType,
}

/// A program made ready to run: checked, with registers allocated.
pub struct Compiled {
    inputs: Vec<DType>,
    steps: Vec<Instr>,
    slots: usize,
    slot_bytes: usize,
    out: DType,
}

fn operands(step: &Step) -> [Option<usize>; 3] {
    match *step {
        Step::Unary(_, a) | Step::Cast(_, a) => [Some(a), None, None],
        Step::Binary(_, a, b) => [Some(a), Some(b), None],
        Step::Select(c, a, b) => [Some(c), Some(a), Some(b)],
    }
}

impl Compiled {
    /// Compiles `program` for inputs of the given dtypes (no strings).
    ///
    /// # Errors
    /// [`Error::Internal`] when operands or dtypes don't fit together.
    pub fn new(program: &Program, inputs: &[DType]) -> Result<Compiled> {
        let bad = |what: &str| Error::internal(format!("elementwise program: {what}"));
        let k = program.inputs;
        if k != inputs.len() || program.steps.is_empty() {
            return Err(bad("wrong number of inputs or steps"));
        }
        if program.steps.len() != program.dtypes.len() {
            return Err(bad("wrong number of dtypes"));
        }
        let mut dtypes = inputs.to_vec();
        let mut last_use = vec![0; program.steps.len()];
        for (i, step) in program.steps.iter().enumerate() {
            for a in operands(step).into_iter().flatten().filter(|&a| a >= k) {
                if a >= k + i {
                    return Err(bad("operand before its step"));
                }
                last_use[a - k] = i;
            }
            let d = step
                .dtype(|a| dtypes.get(a).copied())
                .filter(|&d| d == program.dtypes[i])
                .ok_or_else(|| bad(&format!("step {i} ({step:?}) does not take its operands")))?;
            dtypes.push(d);
        }
        if dtypes.contains(&DType::Str) {
            return Err(bad("strings have no registers"));
        }
        let (mut free, mut slots, mut at) = (Vec::new(), 0, Vec::<Option<usize>>::new());
        let mut steps = Vec::new();
        for (i, step) in program.steps.iter().enumerate() {
            let d = |a: usize| dtypes[a];
            let last = i + 1 == program.steps.len();
            // The result never shares a register with an operand: operands are
            // freed afterwards.
            let slot = (!last).then(|| {
                free.pop().unwrap_or_else(|| {
                    slots += 1;
                    slots - 1
                })
            });
            let args = operands(step);
            at.push(slot);
            for s in 0..i {
                let used = args.contains(&Some(k + s));
                if used && last_use[s] == i {
                    free.extend(at[s]);
                }
            }
            if last_use[i] == 0 {
                free.extend(slot);
            }
            steps.push(Instr {
                code: match *step {
                    Step::Unary(op, a) => Code::Unary(op, d(a)),
                    Step::Binary(op, a, _) => Code::Binary(op, d(a)),
                    Step::Select(_, a, _) => Code::Select(d(a)),
                    Step::Cast(to, a) => Code::Cast(d(a), to),
                },
                args: args.map(|a| a.or(args[0]).unwrap_or(0)),
                slot,
                dtype: d(k + i),
            });
        }
        let widest = dtypes.iter().map(|&d| Class::of(d).size()).max();
        Ok(Compiled {
            inputs: inputs.to_vec(),
            out: dtypes[k + program.steps.len() - 1],
            steps,
            slots,
            slot_bytes: BLOCK * widest.unwrap_or(8),
        })
    }

    /// Runs an epilogue in place: `block` is a contiguous range of the row-major
    /// output, starting at its flat index `first_element`, and input 0 of the
    /// program. `extras` are the other inputs, in order: of one element, of
    /// `last_axis` elements (one per position along the last axis), or of the
    /// whole output's shape.
    pub fn apply_f32(
        &self,
        block: &mut [f32],
        first_element: usize,
        last_axis: usize,
        extras: &[View],
    ) {
        self.apply(block, first_element, last_axis, extras)
    }

    /// [`Compiled::apply_f32`] for any dtype; input 0 and the result are of it.
    pub fn apply<T: Elem>(
        &self,
        block: &mut [T],
        first_element: usize,
        last_axis: usize,
        extras: &[View],
    ) {
        debug_assert!(self.inputs[0] == T::DTYPE && self.out == T::DTYPE);
        debug_assert_eq!(self.inputs.len(), extras.len() + 1);
        let size = std::mem::size_of::<T>();
        let out = block
            .as_mut_ptr()
            .cast::<u8>()
            .wrapping_sub(first_element * size);
        with_scratch(|scratch| {
            scratch.sources.clear();
            scratch.sources.push(Source {
                base: out,
                access: Access::Full,
            });
            scratch.sources.extend(extras.iter().map(|v| Source {
                base: v.bytes().as_ptr(),
                access: match v.numel() {
                    1 => Access::Scalar,
                    n if n == last_axis => Access::Period(n),
                    _ => Access::Full,
                },
            }));
            // SAFETY: the block covers the range; extras cover what their access
            // reads, by the contract above.
            unsafe {
                self.range(
                    scratch,
                    out,
                    Some(0),
                    first_element..first_element + block.len(),
                )
            }
        })
    }

    /// Computes the elements of a range.
    ///
    /// # Safety
    /// `out` must be valid for writing the range's elements, each source of
    /// `scratch` for reading what its access makes of the range, and only the
    /// source `aliased` may overlap the output.
    unsafe fn range(
        &self,
        scratch: &mut Scratch,
        out: *mut u8,
        aliased: Option<usize>,
        range: std::ops::Range<usize>,
    ) {
        let Scratch {
            mem,
            ptrs,
            sources,
            feeds,
            index,
        } = scratch;
        let k = self.inputs.len();
        // Where the last step would write what it reads, its result makes a detour.
        let last = &self.steps[self.steps.len() - 1];
        let detour = !native(self.out) || aliased.is_some_and(|i| last.args.contains(&i));
        let mut bytes = (self.slots + detour as usize) * self.slot_bytes;
        let staging = self.slots * self.slot_bytes;
        feeds.clear();
        for (source, &dtype) in sources.iter().zip(&self.inputs) {
            let size = Class::of(dtype).size();
            let feed = match source.access {
                Access::Full if native(dtype) => Feed::Direct,
                Access::Full => Feed::Load(bytes),
                Access::Scalar => Feed::Fixed(bytes),
                Access::Period(p) if native(dtype) && p >= LONG_RUN => Feed::Cut(p),
                Access::Period(p) if p <= TILE => {
                    let len = range.len().min(BLOCK + p);
                    Feed::Tile(bytes, p, len)
                }
                Access::Period(_) | Access::Runs(_) => Feed::Runs(bytes),
            };
            bytes += match feed {
                Feed::Direct | Feed::Cut(_) => 0,
                Feed::Tile(_, _, len) => (len * size).next_multiple_of(LINE),
                _ => BLOCK * size,
            };
            feeds.push(feed);
        }
        if mem.len() < lines(bytes) {
            mem.resize(lines(bytes), bytemuck::Zeroable::zeroed());
        }
        let base = mem.as_mut_ptr().cast::<u8>();
        ptrs.clear();
        ptrs.resize(k, std::ptr::null());
        ptrs.extend(self.steps.iter().map(|s| {
            s.slot.map_or(std::ptr::null(), |i| {
                base.add(i * self.slot_bytes).cast_const()
            })
        }));
        for (i, feed) in feeds.iter().enumerate() {
            let (dtype, src) = (self.inputs[i], sources[i].base);
            match *feed {
                Feed::Fixed(at) => fill(dtype, src, base.add(at), range.len().min(BLOCK)),
                Feed::Tile(at, p, len) => {
                    let (size, each) = (Class::of(dtype).size(), dtype.size());
                    let mut done = 0;
                    while done < len {
                        let from = (range.start + done) % p;
                        let n = (p - from).min(len - done);
                        load(dtype, src.add(from * each), base.add(at + done * size), n);
                        done += n;
                    }
                }
                _ => {}
            }
        }
        let mut pos = range.start;
        while pos < range.end {
            let mut n = BLOCK.min(range.end - pos);
            for (i, feed) in feeds.iter().enumerate() {
                match (feed, &sources[i].access) {
                    (Feed::Cut(p), _) => n = n.min(p - pos % p),
                    (Feed::Runs(_), Access::Runs(dims)) if dims[0].0 >= LONG_RUN => {
                        n = n.min(dims[0].0 - pos % dims[0].0)
                    }
                    _ => {}
                }
            }
            for (i, feed) in feeds.iter().enumerate() {
                let (dtype, src) = (self.inputs[i], sources[i].base);
                let (size, each) = (Class::of(dtype).size(), dtype.size());
                ptrs[i] = match *feed {
                    Feed::Direct => src.wrapping_add(pos * each),
                    Feed::Fixed(at) => base.add(at),
                    Feed::Tile(at, p, _) => base.add(at + (pos - range.start) % p * size),
                    Feed::Cut(p) => src.add(pos % p * each),
                    Feed::Load(at) => {
                        load(dtype, src.wrapping_add(pos * each), base.add(at), n);
                        base.add(at)
                    }
                    Feed::Runs(at) => {
                        let to = base.add(at);
                        match &sources[i].access {
                            Access::Runs(dims) => runs(dtype, src, dims, index, pos, n, to),
                            Access::Period(p) => {
                                runs(dtype, src, &[(*p, 1), (usize::MAX, 0)], index, pos, n, to)
                            }
                            _ => to,
                        }
                    }
                };
            }
            let out = out.wrapping_add(pos * self.out.size());
            for (i, step) in self.steps.iter().enumerate() {
                let dst = match step.slot {
                    Some(_) => ptrs[k + i].cast_mut(),
                    None if detour => base.add(staging),
                    None => out,
                };
                let [a, b, c] = step.args.map(|a| ptrs[a]);
                exec(step.code, a, b, c, dst, n);
                normalise(step.dtype, dst, n);
            }
            if detour {
                store(self.out, base.add(staging), out, n);
            }
            pos += n;
        }
    }
}

/// How an operand follows the output's flat index.
#[derive(Clone, Debug, PartialEq)]
enum Access {
    Full,
    Scalar,
    /// A vector along the last axes.
    Period(usize),
    /// Axes, innermost first, as size and stride (in elements).
    Runs(Arc<[(usize, usize)]>),
}

impl Access {
    fn new(from: &[usize], to: &[usize]) -> Access {
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

struct Source {
    base: *const u8,
    access: Access,
}

/// How a source's next block is brought about; numbers are offsets in the
/// scratch memory.
#[derive(Copy, Clone)]
enum Feed {
    Direct,
    Load(usize),
    Fixed(usize),
    Tile(usize, usize, usize),
    Cut(usize),
    Runs(usize),
}

/// Per thread: registers and lists that are used again and again.
#[derive(Default)]
struct Scratch {
    mem: Vec<Line>,
    ptrs: Vec<*const u8>,
    sources: Vec<Source>,
    feeds: Vec<Feed>,
    index: Vec<usize>,
}

fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
    SCRATCH.with_borrow_mut(f)
}

/// # Safety
/// `p` must be aligned and valid for reading `n` values.
#[inline(always)]
unsafe fn input<'a, T>(p: *const u8, n: usize) -> &'a [T] {
    std::slice::from_raw_parts(p.cast(), n)
}

/// # Safety
/// `p` must be aligned and valid for writing `n` values that nothing else refers to.
#[inline(always)]
unsafe fn output<'a, T>(p: *mut u8, n: usize) -> &'a mut [T] {
    std::slice::from_raw_parts_mut(p.cast(), n)
}

/// `$d[i] = $e` for each element of one to three slices.
macro_rules! map {
    ($d:expr, $v:ident = $x:expr => $e:expr) => {
        for (d, &$v) in $d.iter_mut().zip($x) {
            *d = $e;
        }
    };
    ($d:expr, $v:ident = $x:expr, $w:ident = $y:expr => $e:expr) => {
        for ((d, &$v), &$w) in $d.iter_mut().zip($x).zip($y) {
            *d = $e;
        }
    };
}

/// Elements of a tensor into a register.
///
/// # Safety
/// `src` and `dst` must be valid for `n` elements and apart.
#[inline(always)]
unsafe fn load_body(dtype: DType, src: *const u8, dst: *mut u8, n: usize) {
    macro_rules! int {
        ($t:ty) => {
            map!(output::<i64>(dst, n), v = input::<$t>(src, n) => v as i64)
        };
    }
    match dtype {
        DType::F16 => input::<f16>(src, n).convert_to_f32_slice(output(dst, n)),
        DType::BF16 => {
            map!(output::<u32>(dst, n), v = input::<u16>(src, n) => (v as u32) << 16)
        }
        DType::U8 => int!(u8),
        DType::U16 => int!(u16),
        DType::U32 => int!(u32),
        DType::I8 => int!(i8),
        DType::I16 => int!(i16),
        DType::I32 => int!(i32),
        d => std::ptr::copy_nonoverlapping(src, dst, n * d.size()),
    }
}

/// A register into elements of a tensor. Half floats are rounded, integers wrap.
///
/// # Safety
/// As for [`load_body`].
#[inline(always)]
unsafe fn store_body(dtype: DType, src: *const u8, dst: *mut u8, n: usize) {
    macro_rules! int {
        ($t:ty) => {
            map!(output::<$t>(dst, n), v = input::<i64>(src, n) => v as $t)
        };
    }
    match dtype {
        DType::F16 => output::<f16>(dst, n).convert_from_f32_slice(input(src, n)),
        DType::BF16 => {
            map!(output::<u16>(dst, n), v = input::<u32>(src, n) => (rounded_bf16(v) >> 16) as u16)
        }
        DType::U8 | DType::I8 => int!(u8),
        DType::U16 | DType::I16 => int!(u16),
        DType::U32 | DType::I32 => int!(u32),
        d => std::ptr::copy_nonoverlapping(src, dst, n * d.size()),
    }
}

/// One element, repeated.
///
/// # Safety
/// As for [`load_body`], one element of `src`.
unsafe fn fill(dtype: DType, src: *const u8, dst: *mut u8, n: usize) {
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

/// A block of a broadcast operand: a pointer into it where one run covers the
/// block, else the runs gathered at `dst`.
///
/// # Safety
/// `src` must be valid wherever `dims` lead from flat indices `pos..pos + n`.
unsafe fn runs(
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
    let mut done = 0;
    loop {
        let run = (inner - index[0]).min(n - done);
        let (from, to) = (src.add(offset * each), dst.add(done * size));
        match (step, size) {
            // A few elements are not worth a call.
            (_, 4) if run < 16 && native(dtype) => few::<u32>(from, to, step, run),
            (_, 8) if run < 16 && native(dtype) => few::<u64>(from, to, step, run),
            (0, _) => fill(dtype, from, to, run),
            _ => load(dtype, from, to, run),
        }
        done += run;
        if done == n {
            return dst;
        }
        offset -= index[0] * step;
        index[0] = 0;
        for (i, &(len, stride)) in index.iter_mut().zip(dims).skip(1) {
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

/// The bits of the f32 that is the nearest bfloat16.
#[inline(always)]
fn rounded_bf16(v: u32) -> u32 {
    let round = v.wrapping_add(0x7fff + ((v >> 16) & 1));
    let quiet = v | 0x0040_0000;
    let nan = v & 0x7fff_ffff > 0x7f80_0000;
    let bits = if nan { quiet } else { round };
    bits & 0xffff_0000
}

/// Makes a register's values values of `dtype`: rounds half floats, wraps
/// narrow integers.
///
/// # Safety
/// `p` must be a register of `n` elements.
#[inline(always)]
unsafe fn normalise_body(dtype: DType, p: *mut u8, n: usize) {
    macro_rules! wrap {
        ($t:ty) => {
            for v in output::<i64>(p, n) {
                *v = *v as $t as i64;
            }
        };
    }
    match dtype {
        DType::F16 => {
            let mut half = [f16::ZERO; BLOCK];
            half[..n].convert_from_f32_slice(input(p, n));
            half[..n].convert_to_f32_slice(output(p, n));
        }
        DType::BF16 => {
            for v in output::<u32>(p, n) {
                *v = rounded_bf16(*v);
            }
        }
        DType::U8 => wrap!(u8),
        DType::U16 => wrap!(u16),
        DType::U32 => wrap!(u32),
        DType::I8 => wrap!(i8),
        DType::I16 => wrap!(i16),
        DType::I32 => wrap!(i32),
        _ => {}
    }
}

/// One step on one block.
///
/// # Safety
/// Operands and `dst` must be registers of `n` elements of the step's classes,
/// `dst` apart from the operands.
unsafe fn exec(code: Code, a: *const u8, b: *const u8, c: *const u8, dst: *mut u8, n: usize) {
    match code {
        Code::Unary(op, dtype) => match (op, Class::of(dtype)) {
            (Unary::IsNan | Unary::IsInf | Unary::IsFinite, class) => {
                let d = output::<u8>(dst, n);
                match class {
                    Class::F32 => test_f32(op, input(a, n), d),
                    Class::F64 => test_f64(op, input(a, n), d),
                    _ => d.fill((op == Unary::IsFinite) as u8),
                }
            }
            (op, Class::F32) => unary_f32(op, input(a, n), output(dst, n)),
            (op, Class::F64) => unary_f64(op, input(a, n), output(dst, n)),
            (op, Class::Int) => unary_int(op, dtype == DType::U64, input(a, n), output(dst, n)),
            (Unary::Not, Class::Bool) => {
                map!(output::<u8>(dst, n), v = input::<u8>(a, n) => v ^ 1)
            }
            (_, Class::Bool) => output::<u8>(dst, n).copy_from_slice(input(a, n)),
        },
        Code::Binary(op, dtype) => match (op.is_comparison(), Class::of(dtype)) {
            (true, Class::F32) => compare_f32(op, input(a, n), input(b, n), output(dst, n)),
            (true, Class::F64) => compare_f64(op, input(a, n), input(b, n), output(dst, n)),
            (true, Class::Int) if dtype == DType::U64 => {
                compare_u64(op, input(a, n), input(b, n), output(dst, n))
            }
            (true, Class::Int) => compare_i64(op, input(a, n), input(b, n), output(dst, n)),
            (true, Class::Bool) => compare_u8(op, input(a, n), input(b, n), output(dst, n)),
            (_, Class::F32) => binary_f32(op, input(a, n), input(b, n), output(dst, n)),
            (_, Class::F64) => binary_f64(op, input(a, n), input(b, n), output(dst, n)),
            (_, Class::Int) => binary_int(op, dtype, input(a, n), input(b, n), output(dst, n)),
            (_, Class::Bool) => {
                let (x, y, d) = (input::<u8>(a, n), input::<u8>(b, n), output::<u8>(dst, n));
                match op {
                    Binary::Mul | Binary::Min | Binary::And => map!(d, v = x, w = y => v & w),
                    Binary::Xor => map!(d, v = x, w = y => v ^ w),
                    _ => map!(d, v = x, w = y => v | w),
                }
            }
        },
        Code::Select(dtype) => match Class::of(dtype).size() {
            1 => select_1(input(a, n), input(b, n), input(c, n), output(dst, n)),
            4 => select_4(input(a, n), input(b, n), input(c, n), output(dst, n)),
            _ => select_8(input(a, n), input(b, n), input(c, n), output(dst, n)),
        },
        Code::Cast(from, to) => cast(from, to, a, dst, n),
    }
}

macro_rules! select {
    ($name:ident, $body:ident, $t:ty) => {
        #[inline(always)]
        fn $body(c: &[u8], x: &[$t], y: &[$t], d: &mut [$t]) {
            for (((d, &c), &x), &y) in d.iter_mut().zip(c).zip(x).zip(y) {
                // Bits by a mask: what vector code does best.
                let mask = (c as $t).wrapping_neg();
                *d = (x & mask) | (y & !mask);
            }
        }
        multiversion!(fn $name(c: &[u8], x: &[$t], y: &[$t], d: &mut [$t]) = $body);
    };
}
select!(select_1, select_1_body, u8);
select!(select_4, select_4_body, u32);
select!(select_8, select_8_body, u64);

macro_rules! compare {
    ($name:ident, $body:ident, $t:ty) => {
        #[inline(always)]
        fn $body(op: Binary, x: &[$t], y: &[$t], d: &mut [u8]) {
            match op {
                Binary::Eq => map!(d, v = x, w = y => (v == w) as u8),
                Binary::Ne => map!(d, v = x, w = y => (v != w) as u8),
                Binary::Lt => map!(d, v = x, w = y => (v < w) as u8),
                Binary::Le => map!(d, v = x, w = y => (v <= w) as u8),
                Binary::Gt => map!(d, v = x, w = y => (v > w) as u8),
                _ => map!(d, v = x, w = y => (v >= w) as u8),
            }
        }
        multiversion!(fn $name(op: Binary, x: &[$t], y: &[$t], d: &mut [u8]) = $body);
    };
}
compare!(compare_f32, compare_f32_body, f32);
compare!(compare_f64, compare_f64_body, f64);
compare!(compare_i64, compare_i64_body, i64);
compare!(compare_u64, compare_u64_body, u64);
compare!(compare_u8, compare_u8_body, u8);

macro_rules! float {
    ($t:ty, $test:ident, $test_body:ident, $binary:ident, $binary_body:ident, $rest:ident) => {
        #[inline(always)]
        fn $test_body(op: Unary, x: &[$t], d: &mut [u8]) {
            match op {
                Unary::IsNan => map!(d, v = x => v.is_nan() as u8),
                Unary::IsInf => map!(d, v = x => v.is_infinite() as u8),
                _ => map!(d, v = x => v.is_finite() as u8),
            }
        }
        multiversion!(fn $test(op: Unary, x: &[$t], d: &mut [u8]) = $test_body);

        #[inline(always)]
        fn $binary_body(op: Binary, x: &[$t], y: &[$t], d: &mut [$t]) {
            match op {
                Binary::Add => map!(d, v = x, w = y => v + w),
                Binary::Sub => map!(d, v = x, w = y => v - w),
                Binary::Mul => map!(d, v = x, w = y => v * w),
                Binary::Div => map!(d, v = x, w = y => v / w),
                // As TensorFlow: the floor of the rounded quotient.
                Binary::FloorDiv => map!(d, v = x, w = y => (v / w).floor()),
                Binary::Mod => map!(d, v = x, w = y => {
                    let r = v % w;
                    if r != 0.0 && (r < 0.0) != (w < 0.0) { r + w } else { r }
                }),
                Binary::Max => map!(d, v = x, w = y => if v > w || v.is_nan() { v } else { w }),
                Binary::Min => map!(d, v = x, w = y => if v < w || v.is_nan() { v } else { w }),
                Binary::Pow => map!(d, v = x, w = y => v.powf(w)),
                _ => map!(d, v = x, w = y => v.atan2(w)),
            }
        }
        multiversion!(fn $binary(op: Binary, x: &[$t], y: &[$t], d: &mut [$t]) = $binary_body);

        /// What std computes, element by element.
        fn $rest(op: Unary, x: &[$t], d: &mut [$t]) {
            const HALF: $t = 0.5;
            match op {
                Unary::Neg => map!(d, v = x => -v),
                Unary::Abs => map!(d, v = x => v.abs()),
                Unary::Sign => map!(d, v = x => if v > 0.0 { 1.0 } else if v < 0.0 { -1.0 } else { v }),
                Unary::Floor => map!(d, v = x => v.floor()),
                Unary::Ceil => map!(d, v = x => v.ceil()),
                Unary::Trunc => map!(d, v = x => v.trunc()),
                Unary::Round => map!(d, v = x => v.round_ties_even()),
                Unary::Sqrt => map!(d, v = x => v.sqrt()),
                Unary::Rsqrt => map!(d, v = x => 1.0 / v.sqrt()),
                Unary::Square => map!(d, v = x => v * v),
                Unary::Reciprocal => map!(d, v = x => 1.0 / v),
                Unary::Exp => map!(d, v = x => v.exp()),
                Unary::Exp2 => map!(d, v = x => v.exp2()),
                Unary::Expm1 => map!(d, v = x => v.exp_m1()),
                Unary::Log => map!(d, v = x => v.ln()),
                Unary::Log2 => map!(d, v = x => v.log2()),
                Unary::Log10 => map!(d, v = x => v.log10()),
                Unary::Log1p => map!(d, v = x => v.ln_1p()),
                Unary::Sin => map!(d, v = x => v.sin()),
                Unary::Cos => map!(d, v = x => v.cos()),
                Unary::Tan => map!(d, v = x => v.tan()),
                Unary::Asin => map!(d, v = x => v.asin()),
                Unary::Acos => map!(d, v = x => v.acos()),
                Unary::Atan => map!(d, v = x => v.atan()),
                Unary::Sinh => map!(d, v = x => v.sinh()),
                Unary::Cosh => map!(d, v = x => v.cosh()),
                Unary::Tanh => map!(d, v = x => v.tanh()),
                Unary::Asinh => map!(d, v = x => v.asinh()),
                Unary::Acosh => map!(d, v = x => v.acosh()),
                Unary::Atanh => map!(d, v = x => v.atanh()),
                Unary::RoundE4M3 => map!(d, v = x => vecmath::round_e4m3(v as f64) as $t),
                Unary::Erf => map!(d, v = x => libm::erf(v as f64) as $t),
                Unary::Erfinv => map!(d, v = x => vecmath::erfinv(v as f64) as $t),
                Unary::Lgamma => map!(d, v = x => vecmath::lgamma(v as f64) as $t),
                Unary::Digamma => map!(d, v = x => vecmath::digamma(v as f64) as $t),
                Unary::BesselI0 => map!(d, v = x => vecmath::bessel_i0(v as f64) as $t),
                Unary::Sigmoid => map!(d, v = x => {
                    let e = (-v.abs()).exp();
                    (if v < 0.0 { e } else { 1.0 }) / (1.0 + e)
                }),
                Unary::Softplus => map!(d, v = x => {
                    let t = (-v.abs()).exp().ln_1p();
                    if v > 0.0 { v + t } else { t }
                }),
                Unary::Silu => map!(d, v = x => {
                    let e = (-v.abs()).exp();
                    (if v < 0.0 { v * e } else { v }) / (1.0 + e)
                }),
                Unary::Gelu => map!(d, v = x => {
                    let z = v as f64 * std::f64::consts::FRAC_1_SQRT_2;
                    HALF * v * libm::erfc(-z) as $t
                }),
                Unary::GeluTanh => map!(d, v = x => {
                    let c = std::f64::consts::FRAC_2_PI.sqrt() as $t;
                    HALF * v * (1.0 + (c * (v + 0.044715 * v * v * v)).tanh())
                }),
                Unary::Relu => map!(d, v = x => if v < 0.0 { 0.0 } else { v }),
                Unary::Elu(a) => map!(d, v = x => if v > 0.0 { v } else { a.0 as $t * v.exp_m1() }),
                Unary::Selu => map!(d, v = x => {
                    let s = if v > 0.0 { v } else { vecmath::SELU_ALPHA as $t * v.exp_m1() };
                    vecmath::SELU_SCALE as $t * s
                }),
                Unary::LeakyRelu(a) => map!(d, v = x => if v > 0.0 { v } else { a.0 as $t * v }),
                // Tests have bool results and go another way.
                Unary::Not | Unary::IsNan | Unary::IsInf | Unary::IsFinite => {}
            }
        }
    };
}
float!(
    f32,
    test_f32,
    test_f32_body,
    binary_f32,
    binary_f32_body,
    unary_f32_std
);
float!(
    f64,
    test_f64,
    test_f64_body,
    binary_f64,
    binary_f64_body,
    unary_f64
);

#[inline(always)]
fn unary_f32_body<I: Isa>(op: Unary, x: &[f32], d: &mut [f32]) {
    match op {
        Unary::Neg => map!(d, v = x => -v),
        Unary::Abs => map!(d, v = x => v.abs()),
        Unary::Floor => map!(d, v = x => v.floor()),
        Unary::Ceil => map!(d, v = x => v.ceil()),
        Unary::Trunc => map!(d, v = x => v.trunc()),
        Unary::Round => map!(d, v = x => v.round_ties_even()),
        Unary::Sqrt => map!(d, v = x => v.sqrt()),
        Unary::Rsqrt => map!(d, v = x => 1.0 / v.sqrt()),
        Unary::Square => map!(d, v = x => v * v),
        Unary::Reciprocal => map!(d, v = x => 1.0 / v),
        Unary::Exp => map!(d, v = x => vecmath::exp::<I>(v)),
        Unary::Expm1 => map!(d, v = x => vecmath::expm1::<I>(v)),
        Unary::Log => map!(d, v = x => vecmath::log::<I>(v)),
        Unary::Log1p => map!(d, v = x => vecmath::log1p::<I>(v)),
        Unary::Tanh => map!(d, v = x => vecmath::tanh::<I>(v)),
        Unary::Erf => map!(d, v = x => vecmath::erf::<I>(v)),
        Unary::Sigmoid => map!(d, v = x => vecmath::sigmoid::<I>(v)),
        Unary::Softplus => map!(d, v = x => vecmath::softplus::<I>(v)),
        Unary::Silu => map!(d, v = x => vecmath::silu::<I>(v)),
        Unary::Gelu => map!(d, v = x => vecmath::gelu::<I>(v)),
        Unary::GeluTanh => map!(d, v = x => vecmath::gelu_tanh::<I>(v)),
        Unary::Relu => map!(d, v = x => if v < 0.0 { 0.0 } else { v }),
        Unary::Elu(a) => map!(d, v = x => vecmath::elu::<I>(v, a.0 as f32)),
        Unary::Selu => map!(d, v = x => {
            vecmath::SELU_SCALE as f32 * vecmath::elu::<I>(v, vecmath::SELU_ALPHA as f32)
        }),
        Unary::LeakyRelu(a) => map!(d, v = x => if v > 0.0 { v } else { a.0 as f32 * v }),
        _ => unary_f32_std(op, x, d),
    }
}
multiversion! {
    /// A function of each element of `x`, as [`Unary`] defines it, into `d`.
    pub fn unary_f32(op: Unary, x: &[f32], d: &mut [f32]) = unary_f32_body::<_>
}

fn unary_int(op: Unary, unsigned: bool, x: &[i64], d: &mut [i64]) {
    match op {
        Unary::Neg => map!(d, v = x => v.wrapping_neg()),
        Unary::Abs if !unsigned => map!(d, v = x => v.wrapping_abs()),
        Unary::Sign if !unsigned => map!(d, v = x => v.signum()),
        Unary::Sign => map!(d, v = x => (v != 0) as i64),
        Unary::Relu if !unsigned => map!(d, v = x => v.max(0)),
        Unary::Square => map!(d, v = x => v.wrapping_mul(v)),
        Unary::Not => map!(d, v = x => !v),
        Unary::Abs | Unary::Relu | Unary::Floor | Unary::Ceil | Unary::Trunc | Unary::Round => {
            d.copy_from_slice(x)
        }
        _ => {
            for (d, &v) in d.iter_mut().zip(x) {
                let v = if unsigned { v as u64 as f64 } else { v as f64 };
                let mut r = [0.0];
                unary_f64(op, &[v], &mut r);
                *d = if unsigned {
                    r[0] as u64 as i64
                } else {
                    r[0] as i64
                };
            }
        }
    }
}

/// `x^y` modulo 2^64; 0 for negative powers but those of 1 and -1.
fn pow_int(mut x: i64, y: i64, unsigned: bool) -> i64 {
    let mut y = match y {
        y if y >= 0 || unsigned => y as u64,
        _ => match x {
            1 => return 1,
            -1 => return if y & 1 == 0 { 1 } else { -1 },
            _ => return 0,
        },
    };
    let mut r = 1i64;
    while y > 0 {
        if y & 1 == 1 {
            r = r.wrapping_mul(x);
        }
        x = x.wrapping_mul(x);
        y >>= 1;
    }
    r
}

/// Euclid's algorithm on absolute values.
fn gcd(x: i64, y: i64, unsigned: bool) -> i64 {
    let size = |v: i64| if unsigned { v as u64 } else { v.unsigned_abs() };
    let (mut a, mut b) = (size(x), size(y));
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a as i64
}

/// Integers by 0 give 0, where TensorFlow fails.
fn binary_int(op: Binary, dtype: DType, x: &[i64], y: &[i64], d: &mut [i64]) {
    let unsigned = dtype == DType::U64;
    let u = |v: i64, w: i64, f: fn(u64, u64) -> u64| f(v as u64, w as u64) as i64;
    let top = dtype.size() as i64 * 8 - 1;
    // As TensorFlow: shifts are clamped to the width.
    let by = |w: i64| {
        if unsigned {
            (w as u64).min(63) as u32
        } else {
            w.clamp(0, top) as u32
        }
    };
    match op {
        Binary::Add => map!(d, v = x, w = y => v.wrapping_add(w)),
        Binary::Sub => map!(d, v = x, w = y => v.wrapping_sub(w)),
        Binary::Mul => map!(d, v = x, w = y => v.wrapping_mul(w)),
        _ if matches!(op, Binary::Div | Binary::FloorDiv) && unsigned => {
            map!(d, v = x, w = y => u(v, w, |v, w| v.checked_div(w).unwrap_or(0)))
        }
        Binary::Mod if unsigned => {
            map!(d, v = x, w = y => u(v, w, |v, w| v.checked_rem(w).unwrap_or(0)))
        }
        Binary::Max if unsigned => map!(d, v = x, w = y => u(v, w, u64::max)),
        Binary::Min if unsigned => map!(d, v = x, w = y => u(v, w, u64::min)),
        Binary::Shr if unsigned => map!(d, v = x, w = y => ((v as u64) >> by(w)) as i64),
        Binary::Div => map!(d, v = x, w = y => if w == 0 { 0 } else { v.wrapping_div(w) }),
        Binary::FloorDiv => map!(d, v = x, w = y => match w {
            0 => 0,
            _ => {
                let q = v.wrapping_div(w);
                q - (v.wrapping_rem(w) != 0 && (v < 0) != (w < 0)) as i64
            }
        }),
        Binary::Mod => map!(d, v = x, w = y => match w {
            0 => 0,
            _ => {
                let r = v.wrapping_rem(w);
                if r != 0 && (r < 0) != (w < 0) { r + w } else { r }
            }
        }),
        Binary::Max => map!(d, v = x, w = y => v.max(w)),
        Binary::Min => map!(d, v = x, w = y => v.min(w)),
        Binary::Pow => map!(d, v = x, w = y => pow_int(v, w, unsigned)),
        Binary::Gcd => map!(d, v = x, w = y => gcd(v, w, unsigned)),
        Binary::And => map!(d, v = x, w = y => v & w),
        Binary::Or => map!(d, v = x, w = y => v | w),
        Binary::Xor => map!(d, v = x, w = y => v ^ w),
        Binary::Shl => map!(d, v = x, w = y => v << by(w)),
        _ => map!(d, v = x, w = y => v >> by(w)),
    }
}

/// Floats to integers truncate; integers wrap.
///
/// # Safety
/// As for [`exec`].
#[inline(always)]
unsafe fn cast_body(from: DType, to: DType, a: *const u8, dst: *mut u8, n: usize) {
    macro_rules! go {
        ($s:ty, $d:ty, $v:ident => $e:expr) => {
            map!(output::<$d>(dst, n), $v = input::<$s>(a, n) => $e)
        };
    }
    // Out of range and NaN: the lowest integer, as the processor's own conversion
    // (and TensorFlow on it) gives; narrow integers wrap.
    macro_rules! to_int {
        ($s:ty) => {{
            const TOP: $s = 2_147_483_648.0;
            let top = TOP * TOP * 2.0;
            let narrow = |v: $s| if (-TOP..TOP).contains(&v) { v as i32 } else { i32::MIN };
            match to {
                DType::U32 => go!($s, i64, v => {
                    if (-TOP..2.0 * TOP).contains(&v) { v as i64 } else { 1 << 31 }
                }),
                DType::U64 => go!($s, i64, v => {
                    if (-top..top).contains(&v) { v as i64 }
                    else if (top..2.0 * top).contains(&v) { v as u64 as i64 }
                    else { i64::MIN }
                }),
                DType::I64 => go!($s, i64, v => {
                    if (-top..top).contains(&v) { v as i64 } else { i64::MIN }
                }),
                _ => go!($s, i64, v => narrow(v) as i64),
            }
        }};
    }
    use Class::*;
    match (Class::of(from), Class::of(to)) {
        (F32, F64) => go!(f32, f64, v => v as f64),
        (F32, Bool) => go!(f32, u8, v => (v != 0.0) as u8),
        (F32, Int) => to_int!(f32),
        (F64, F32) => go!(f64, f32, v => v as f32),
        (F64, Bool) => go!(f64, u8, v => (v != 0.0) as u8),
        (F64, Int) => to_int!(f64),
        (Int, F32) if from == DType::U64 => go!(u64, f32, v => v as f32),
        (Int, F64) if from == DType::U64 => go!(u64, f64, v => v as f64),
        // Exact by way of i32 where that is all there can be, and vectorised.
        (Int, F32) if from.size() < 4 || from == DType::I32 => go!(i64, f32, v => v as i32 as f32),
        (Int, F32) => go!(i64, f32, v => v as f32),
        (Int, F64) => go!(i64, f64, v => v as f64),
        (Int, Bool) => go!(i64, u8, v => (v != 0) as u8),
        (Bool, F32) => go!(u8, f32, v => v as f32),
        (Bool, F64) => go!(u8, f64, v => v as f64),
        (Bool, Int) => go!(u8, i64, v => v as i64),
        (F32, F32) | (F64, F64) | (Int, Int) | (Bool, Bool) => {
            std::ptr::copy_nonoverlapping(a, dst, n * Class::of(to).size())
        }
    }
}

multiversion! {
    /// # Safety
    /// As for [`load_body`].
    pub(super) unsafe fn load(dtype: DType, src: *const u8, dst: *mut u8, n: usize) = load_body
}
multiversion! {
    /// # Safety
    /// As for [`load_body`].
    pub(super) unsafe fn store(dtype: DType, src: *const u8, dst: *mut u8, n: usize) = store_body
}
multiversion! {
    /// # Safety
    /// As for [`normalise_body`].
    unsafe fn normalise(dtype: DType, p: *mut u8, n: usize) = normalise_body
}
multiversion! {
    /// # Safety
    /// As for [`exec`].
    unsafe fn cast(from: DType, to: DType, a: *const u8, dst: *mut u8, n: usize) = cast_body
}

struct Map {
    code: Compiled,
    access: Vec<Access>,
    in_place: Vec<usize>,
}

/// A pointer that tasks share; each writes elements of its own.
#[derive(Copy, Clone)]
pub(super) struct Shared(pub *mut u8);
// SAFETY: users keep the ranges they touch apart.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Shared {
    pub fn get(self) -> *mut u8 {
        self.0
    }
}

impl Kernel for Map {
    fn in_place(&self) -> &[usize] {
        &self.in_place
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let n = outs[0].numel();
        let out = Shared(outs[0].bytes().as_mut_ptr());
        let task = |range: std::ops::Range<usize>| {
            with_scratch(|scratch| {
                scratch.sources.clear();
                let sources = ins.iter().zip(&self.access).enumerate();
                scratch
                    .sources
                    .extend(sources.map(|(i, (v, access))| Source {
                        base: match aliased {
                            Some(a) if a == i => out.get(),
                            _ => v.bytes().as_ptr(),
                        },
                        access: access.clone(),
                    }));
                // SAFETY: views and output have the shapes the kernel was prepared
                // for; ranges of tasks don't overlap.
                unsafe { self.code.range(scratch, out.get(), aliased, range) }
            })
        };
        if par == Par::Pool && n >= PARALLEL {
            (0..n.div_ceil(TASK))
                .into_par_iter()
                .for_each(|i| task(i * TASK..n.min((i + 1) * TASK)));
        } else {
            task(0..n);
        }
        Ok(())
    }
}

/// The kernel of a program; `path` names the layer in errors.
fn compile(program: &Program, ins: &[&Fact], out: &Fact, path: &str) -> Result<Box<dyn Kernel>> {
    let dtypes: Vec<DType> = ins.iter().map(|f| f.dtype).collect();
    if dtypes.contains(&DType::Str) || program.dtypes.contains(&DType::Str) {
        return Ok(Box::new(Strings {
            program: program.clone(),
            path: path.into(),
        }));
    }
    let code = Compiled::new(program, &dtypes)?;
    let same = |f: &Fact| f.numel() == out.numel() && f.dtype.size() == out.dtype.size();
    Ok(Box::new(Map {
        code,
        access: ins
            .iter()
            .map(|f| Access::new(&f.shape, &out.shape))
            .collect(),
        in_place: (0..ins.len()).filter(|&i| same(ins[i])).collect(),
    }))
}

/// The kernel of `Unary`, `Binary`, `Select`, `Cast` or `Map`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let step = match *req.op {
        Op::Unary(op) => Step::Unary(op, 0),
        Op::Binary(op) => Step::Binary(op, 0, 1),
        Op::Select => Step::Select(0, 1, 2),
        Op::Cast(to) => Step::Cast(to, 0),
        Op::Map(ref program) => return compile(program, &req.facts(), &req.outs[0], req.path),
        _ => return Err(Error::internal("not an elementwise primitive")),
    };
    let program = Program {
        inputs: req.ins.len(),
        steps: vec![step],
        dtypes: vec![req.outs[0].dtype],
    };
    compile(&program, &req.facts(), &req.outs[0], req.path)
}

/// Programs over strings: whole tensors, step by step.
struct Strings {
    program: Program,
    path: String,
}

/// For each element of shape `to`, where it comes from in shape `from`.
fn positions(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut at = vec![0];
    let mut stride = 1;
    for axis in (0..to.len()).rev() {
        let size = from.get(axis).copied().unwrap_or(1);
        let step = if size == 1 { 0 } else { stride };
        stride *= size;
        let inner = std::mem::take(&mut at);
        at = (0..to[axis])
            .flat_map(|i| inner.iter().map(move |p| p + i * step))
            .collect();
    }
    at
}

impl Strings {
    fn step(&self, step: &Step, dtype: DType, args: &[&Tensor]) -> Result<Tensor> {
        let rank = args.iter().map(|t| t.shape().len()).max().unwrap_or(0);
        let size = |axis: usize| {
            let sizes = args.iter().filter_map(|t| t.shape().get(axis).copied());
            sizes.fold(1, |a, b| if a == 1 { b } else { a })
        };
        let shape: Shape = (0..rank).map(size).collect();
        if dtype != DType::Str && args.iter().all(|t| t.dtype() != DType::Str) {
            let program = Program {
                inputs: args.len(),
                steps: vec![match *step {
                    Step::Unary(op, _) => Step::Unary(op, 0),
                    Step::Binary(op, ..) => Step::Binary(op, 0, 1),
                    Step::Select(..) => Step::Select(0, 1, 2),
                    Step::Cast(to, _) => Step::Cast(to, 0),
                }],
                dtypes: vec![dtype],
            };
            let mut out = Tensor::zeros(Fact::new(dtype, shape));
            let facts: Vec<&Fact> = args.iter().map(|t| t.fact()).collect();
            let views: Vec<View> = args.iter().map(|t| t.view()).collect();
            let kernel = compile(&program, &facts, out.fact(), &self.path)?;
            kernel.run(&views, &mut [out.view_mut()], &mut [], None, Par::Serial)?;
            return Ok(out);
        }
        let index: Vec<_> = args.iter().map(|t| positions(t.shape(), &shape)).collect();
        let text = |a: usize, i: usize| &args[a].strings()[index[a][i]];
        let all = 0..numel(&shape);
        match *step {
            Step::Select(..) => {
                let test = args[0].bytes();
                let pick = |i: usize| text(if test[index[0][i]] != 0 { 1 } else { 2 }, i).clone();
                Ok(Tensor::from_strings(shape, all.map(pick).collect()))
            }
            Step::Binary(op, ..) => {
                let test = |i: usize| {
                    let order = text(0, i).cmp(text(1, i));
                    match op {
                        Binary::Eq => order.is_eq(),
                        Binary::Ne => order.is_ne(),
                        Binary::Lt => order.is_lt(),
                        Binary::Le => order.is_le(),
                        Binary::Gt => order.is_gt(),
                        _ => order.is_ge(),
                    }
                };
                let bools: Vec<bool> = all.map(test).collect();
                Ok(Tensor::bools(shape, &bools))
            }
            Step::Cast(DType::Str, _) => Ok(Tensor::from_strings(shape, show(args[0]))),
            Step::Cast(to, _) => self.parse(args[0], to),
            Step::Unary(..) => Err(Error::internal("strings have no such function")),
        }
    }

    /// Strings as numbers.
    fn parse(&self, x: &Tensor, to: DType) -> Result<Tensor> {
        let bad = |s: &str| Error::BadInput {
            input: self.path.clone(),
            expected: format!("the text of a number ({to})"),
            given: format!("\"{s}\""),
        };
        let float = |s: &Arc<str>| s.trim().parse::<f64>().map_err(|_| bad(s));
        // Not by way of f64, which has 53 bits.
        let int = |s: &Arc<str>| match (s.trim().parse::<i64>(), s.trim().parse::<u64>()) {
            (Ok(v), _) => Ok(v),
            (_, Ok(v)) => Ok(v as i64),
            _ => float(s).map(|v| v as i64),
        };
        let wide = if to.is_int() {
            let values: Result<Vec<i64>> = x.strings().iter().map(int).collect();
            Tensor::from_slice(x.shape(), &values?)
        } else {
            let values: Result<Vec<f64>> = x.strings().iter().map(float).collect();
            Tensor::from_slice(x.shape(), &values?)
        };
        self.step(&Step::Cast(to, 0), to, &[&wide])
    }
}

/// Elements as text: the shortest that reads back the same.
fn show(x: &Tensor) -> Vec<Arc<str>> {
    macro_rules! text {
        ($t:ty) => {
            x.as_slice::<$t>()
                .iter()
                .map(|v| Arc::from(v.to_string()))
                .collect()
        };
    }
    match x.dtype() {
        DType::Str => x.strings().to_vec(),
        DType::Bool => {
            let name = |&v: &u8| Arc::from(if v != 0 { "true" } else { "false" });
            x.bytes().iter().map(name).collect()
        }
        DType::U8 => text!(u8),
        DType::U16 => text!(u16),
        DType::U32 => text!(u32),
        DType::U64 => text!(u64),
        DType::I8 => text!(i8),
        DType::I16 => text!(i16),
        DType::I32 => text!(i32),
        DType::I64 => text!(i64),
        DType::F16 => text!(f16),
        DType::BF16 => text!(bf16),
        DType::F32 => text!(f32),
        DType::F64 => text!(f64),
        // Complex numbers are met in no elementwise operation.
        DType::C64 | DType::C128 => vec![],
    }
}

impl Kernel for Strings {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        _: Par,
    ) -> Result<()> {
        let mut values: Vec<Tensor> = ins.iter().map(View::to_tensor).collect();
        for (step, &dtype) in self.program.steps.iter().zip(&self.program.dtypes) {
            let args: Vec<&Tensor> = operands(step)
                .into_iter()
                .flatten()
                .map(|a| &values[a])
                .collect();
            values.push(self.step(step, dtype, &args)?);
        }
        let Some(last) = values.pop() else {
            return Err(Error::internal("elementwise program: no steps"));
        };
        let out = &mut outs[0];
        let index = positions(last.shape(), out.shape);
        let size = out.dtype.size();
        for (i, &p) in index.iter().enumerate() {
            match out.dtype {
                DType::Str => out.strings()[i] = last.strings()[p].clone(),
                _ => out.bytes()[i * size..][..size]
                    .copy_from_slice(&last.bytes()[p * size..][..size]),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{noise, run, same_bits};
    use crate::tensor::DType::*;

    const NUMBERS: [DType; 12] = [U8, U16, U32, U64, I8, I16, I32, I64, F16, BF16, F32, F64];

    fn program(inputs: usize, steps: Vec<(Step, DType)>) -> Program {
        let (steps, dtypes) = steps.into_iter().unzip();
        Program {
            inputs,
            steps,
            dtypes,
        }
    }

    /// What the tensor would hold if its elements were these numbers.
    fn rounded(dtype: DType, shape: &[usize], values: &[f64]) -> Tensor {
        let mut out = Tensor::zeros(Fact::new(dtype, shape));
        let size = dtype.size();
        for (i, &v) in values.iter().enumerate() {
            let one = match dtype {
                I8 => Tensor::scalar(I8, v as i64 as i8 as f64),
                I16 => Tensor::scalar(I16, v as i64 as i16 as f64),
                I32 => Tensor::scalar(I32, v as i64 as i32 as f64),
                U8 => Tensor::scalar(U8, v as i64 as u8 as f64),
                U16 => Tensor::scalar(U16, v as i64 as u16 as f64),
                U32 => Tensor::scalar(U32, v as i64 as u32 as f64),
                U64 => Tensor::from_slice([], &[v as i64 as u64]),
                F16 => Tensor::from_slice([], &[f16::from_f32(v as f32)]),
                BF16 => Tensor::from_slice([], &[bf16::from_f32(v as f32)]),
                d => Tensor::scalar(d, v),
            };
            out.bytes_mut()[i * size..][..size].copy_from_slice(one.bytes());
        }
        out
    }

    const SHAPES: &[(&[usize], &[usize])] = &[
        (&[], &[]),
        (&[0, 3], &[1, 3]),
        (&[1], &[1]),
        (&[5], &[]),
        (&[3, 7], &[3, 7]),
        (&[3, 7], &[1, 7]),
        (&[700, 3], &[1, 3]),
        (&[300, 5], &[300, 1]),
        (&[9, 200], &[1, 200]),
        (&[9, 200], &[9, 1]),
        (&[2, 2100], &[1, 2100]),
        (&[1, 7, 5], &[4, 1, 5]),
        (&[3, 1, 4, 1], &[1, 5, 1, 6]),
        (&[2, 150, 1, 3], &[2, 150, 4, 1]),
        (&[1, 600], &[3, 1]),
    ];

    fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
        let (a, b) = if a.len() < b.len() { (b, a) } else { (a, b) };
        let size = |i: usize| match b.get(i) {
            Some(&n) if n != 1 => n,
            _ => a[i],
        };
        (0..a.len()).map(size).collect()
    }

    #[test]
    fn binary_agrees_with_plain_arithmetic() {
        type Case = (Binary, fn(f64, f64) -> f64);
        let cases: &[Case] = &[
            (Binary::Add, |a, b| a + b),
            (Binary::Sub, |a, b| a - b),
            (Binary::Mul, |a, b| a * b),
            (Binary::FloorDiv, |a, b| (a / b).floor()),
            (Binary::Max, f64::max),
            (Binary::Min, f64::min),
            (Binary::Lt, |a, b| (a < b) as u8 as f64),
            (Binary::Ge, |a, b| (a >= b) as u8 as f64),
            (Binary::Eq, |a, b| (a == b) as u8 as f64),
        ];
        for &(a, b) in SHAPES {
            let shape = broadcast(a, b);
            for dtype in NUMBERS {
                let (x, y) = (noise(dtype, a, 1), noise(dtype, b, 2));
                let (ax, by) = (positions(a, &shape), positions(b, &shape));
                for &(op, oracle) in cases {
                    let (v, w) = (x.to_f64(), y.to_f64());
                    let want = (0..numel(&shape)).map(|i| {
                        let r = oracle(v[ax[i]], w[by[i]]);
                        if dtype.is_int() && w[by[i]] == 0.0 && op == Binary::FloorDiv {
                            0.0
                        } else {
                            r
                        }
                    });
                    let out = if op.is_comparison() { Bool } else { dtype };
                    let want: Vec<f64> = want.collect();
                    // f64 has fewer digits than 64-bit sums would need, but noise is small.
                    let want = rounded(out, &shape, &want);
                    let fact = want.fact().clone();
                    let got = run(&Op::Binary(op), &[&x, &y], std::slice::from_ref(&fact)).unwrap();
                    same_bits(&got[0], &want, &format!("{op:?} {dtype} {a:?} {b:?}"));
                    let swapped = run(&Op::Binary(op), &[&y, &x], &[fact]);
                    assert!(swapped.is_ok());
                }
            }
        }
    }

    #[test]
    fn integers_follow_python() {
        let case = |op, a: i32, b: i32, want: i32| {
            let t = |v| Tensor::from_slice([1], &[v]);
            let got = run(&Op::Binary(op), &[&t(a), &t(b)], &[Fact::new(I32, [1])]).unwrap();
            assert_eq!(got[0].as_slice::<i32>(), &[want], "{op:?} {a} {b}");
        };
        for (a, b, div, floor, rem) in [
            (7, 2, 3, 3, 1),
            (-7, 2, -3, -4, 1),
            (7, -2, -3, -4, -1),
            (-7, -2, 3, 3, -1),
            (5, 0, 0, 0, 0),
            (i32::MIN, -1, i32::MIN, i32::MIN, 0),
        ] {
            case(Binary::Div, a, b, div);
            case(Binary::FloorDiv, a, b, floor);
            case(Binary::Mod, a, b, rem);
        }
        for (a, b, want) in [
            (2, 10, 1024),
            (-2, 3, -8),
            (0, 0, 1),
            (2, 40, 0),
            (2, -1, 0),
            (-1, -3, -1),
        ] {
            case(Binary::Pow, a, b, want);
        }
        for (a, b, want) in [
            (1, 31, i32::MIN),
            (1, 33, i32::MIN),
            (1, -1, 1),
            (-1, 40, i32::MIN),
        ] {
            case(Binary::Shl, a, b, want);
        }
        for (a, b, want) in [(-8, 1, -4), (-8, 40, -1), (8, 40, 0), (8, -1, 8)] {
            case(Binary::Shr, a, b, want);
        }
        case(Binary::Add, i32::MAX, 1, i32::MIN);
        let big = Tensor::from_slice([2], &[u64::MAX, 3]);
        let two = Tensor::from_slice([2], &[2u64, 4]);
        let of = |op, out| {
            run(&Op::Binary(op), &[&big, &two], &[Fact::new(out, [2])])
                .unwrap()
                .remove(0)
        };
        assert_eq!(of(Binary::Div, U64).as_slice::<u64>(), &[u64::MAX / 2, 0]);
        assert_eq!(of(Binary::Mod, U64).as_slice::<u64>(), &[1, 3]);
        assert_eq!(of(Binary::Max, U64).as_slice::<u64>(), &[u64::MAX, 4]);
        assert_eq!(of(Binary::Shr, U64).as_slice::<u64>(), &[u64::MAX / 4, 0]);
        assert_eq!(of(Binary::Gt, Bool).bytes(), &[1, 0]);
        let float = run(&Op::Cast(F32), &[&big], &[Fact::f32([2])]).unwrap();
        assert_eq!(float[0].as_slice::<f32>(), &[1.844_674_4e19, 3.0]);
    }

    #[test]
    fn floats_follow_tensorflow() {
        let x = [
            7.5,
            -7.5,
            7.5,
            -7.5,
            1.,
            0.,
            f32::INFINITY,
            1.,
            -1.,
            5.,
            -5.,
            f32::NAN,
        ];
        let y = [
            2.,
            2.,
            -2.,
            -2.,
            0.,
            0.,
            2.,
            f32::INFINITY,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::INFINITY,
            1.,
        ];
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let t = |v: &[f32]| Tensor::from_slice([v.len()], v);
        let of = |op| {
            run(&Op::Binary(op), &[&t(&x), &t(&y)], &[Fact::f32([12])])
                .unwrap()
                .remove(0)
        };
        let floor = [3., -4., -4., 3., inf, nan, inf, 0., -0., -0., -0., nan];
        let rem = [1.5, 0.5, -0.5, -1.5, nan, nan, nan, 1., inf, -inf, inf, nan];
        // -1 / inf is -0, whose floor is -0.
        same_bits(&of(Binary::FloorDiv), &t(&floor), "floor");
        same_bits(&of(Binary::Mod), &t(&rem), "mod");
        let max = |a: f32, b: f32| {
            run(
                &Op::Binary(Binary::Max),
                &[&t(&[a]), &t(&[b])],
                &[Fact::f32([1])],
            )
            .unwrap()
            .remove(0)
            .to_f64()[0]
        };
        assert!(max(nan, 1.0).is_nan() && max(1.0, nan).is_nan());
        assert_eq!(max(2.0, 1.0), 2.0);
        for op in [
            Unary::Relu,
            Unary::Sign,
            Unary::LeakyRelu(crate::graph::F(0.1)),
            Unary::Elu(crate::graph::F(1.0)),
        ] {
            let got = run(&Op::Unary(op), &[&t(&[nan, 2.0])], &[Fact::f32([2])]).unwrap();
            assert!(
                got[0].to_f64()[0].is_nan() && got[0].to_f64()[1] > 0.0,
                "{op:?}"
            );
        }
        let got = run(
            &Op::Unary(Unary::Round),
            &[&t(&[0.5, 1.5, 2.5, -0.5])],
            &[Fact::f32([4])],
        );
        same_bits(&got.unwrap()[0], &t(&[0., 2., 2., -0.]), "round");
    }

    #[test]
    fn every_cast() {
        let all = [
            Bool, U8, U16, U32, U64, I8, I16, I32, I64, F16, BF16, F32, F64,
        ];
        for from in all {
            let x = noise(from, &[3, 400], 5);
            for to in all {
                let got = run(&Op::Cast(to), &[&x], &[Fact::new(to, [3, 400])]).unwrap();
                let want: Vec<f64> = x.to_f64();
                let want = match to {
                    Bool => Tensor::bools(
                        [3, 400],
                        &want.iter().map(|&v| v != 0.0).collect::<Vec<_>>(),
                    ),
                    d => rounded(d, &[3, 400], &want),
                };
                same_bits(&got[0], &want, &format!("{from} to {to}"));
            }
        }
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e9, -1.5];
        let cast = |to| {
            run(
                &Op::Cast(to),
                &[&Tensor::from_slice([5], &odd)],
                &[Fact::new(to, [5])],
            )
            .unwrap()
            .remove(0)
        };
        assert_eq!(
            cast(I32).as_slice::<i32>(),
            &[i32::MIN, i32::MIN, i32::MIN, i32::MIN, -1]
        );
        assert_eq!(
            cast(I64).as_slice::<i64>(),
            &[i64::MIN, i64::MIN, i64::MIN, 3_000_000_000, -1]
        );
        assert_eq!(
            cast(U32).as_slice::<u32>(),
            &[1 << 31, 1 << 31, 1 << 31, 3_000_000_000, u32::MAX]
        );
        assert_eq!(
            cast(U64).as_slice::<u64>(),
            &[1 << 63, 1 << 63, 1 << 63, 3_000_000_000, u64::MAX]
        );
        assert_eq!(cast(U8).bytes(), &[0, 0, 0, 0, 255]);
        assert_eq!(cast(Bool).bytes(), &[1; 5]);
    }

    /// A chain with casts, a choice, broadcasting and many registers.
    fn chain() -> Program {
        use Step::*;
        program(
            4,
            vec![
                (Binary(crate::graph::Binary::Mul, 0, 1), F32),
                (Binary(crate::graph::Binary::Add, 4, 2), F32),
                (Unary(crate::graph::Unary::Tanh, 5), F32),
                (Cast(F32, 3), F32),
                (Binary(crate::graph::Binary::Lt, 6, 7), Bool),
                (Unary(crate::graph::Unary::Gelu, 4), F32),
                (Select(8, 5, 9), F32),
                (Binary(crate::graph::Binary::Sub, 10, 0), F32),
            ],
        )
    }

    #[test]
    fn programs_equal_their_steps() {
        for rows in [1, 7, 900] {
            let shape = [rows, 130];
            let ins = [
                noise(F32, &shape, 1),
                noise(F32, &[1, 130], 2),
                noise(F32, &[], 3),
                noise(I32, &[rows, 1], 4),
            ];
            let ins: Vec<&Tensor> = ins.iter().collect();
            let program = chain();
            let got = run(
                &Op::Map(Arc::new(program.clone())),
                &ins,
                &[Fact::f32(shape)],
            )
            .unwrap();
            let mut values: Vec<Tensor> = ins.iter().map(|t| (*t).clone()).collect();
            for (step, &dtype) in program.steps.iter().zip(&program.dtypes) {
                let args: Vec<&Tensor> = operands(step)
                    .into_iter()
                    .flatten()
                    .map(|a| &values[a])
                    .collect();
                let op = match *step {
                    Step::Unary(op, _) => Op::Unary(op),
                    Step::Binary(op, ..) => Op::Binary(op),
                    Step::Select(..) => Op::Select,
                    Step::Cast(to, _) => Op::Cast(to),
                };
                let shape = args
                    .iter()
                    .fold(vec![1, 1], |s, t| broadcast(&s, t.shape()));
                let out = run(&op, &args, &[Fact::new(dtype, shape)])
                    .unwrap()
                    .remove(0);
                values.push(out);
            }
            same_bits(&got[0], values.last().unwrap(), "chain");
        }
    }

    #[test]
    fn epilogues_run_on_any_range() {
        let program = program(
            4,
            vec![
                (Step::Binary(Binary::Add, 0, 1), F32),
                (Step::Unary(Unary::Relu, 4), F32),
                (Step::Binary(Binary::Mul, 5, 2), F32),
                (Step::Binary(Binary::Add, 6, 3), F32),
            ],
        );
        for last in [3, 64, 200, 3000] {
            let shape = [6, last];
            let ins = [
                noise(F32, &shape, 1),
                noise(F32, &[1, last], 2),
                noise(F32, &[], 3),
                noise(F32, &shape, 4),
            ];
            let refs: Vec<&Tensor> = ins.iter().collect();
            let want = run(
                &Op::Map(Arc::new(program.clone())),
                &refs,
                &[Fact::f32(shape)],
            )
            .unwrap();
            let code = Compiled::new(&program, &[F32; 4]).unwrap();
            let extras: Vec<View> = ins[1..].iter().map(Tensor::view).collect();
            let n = 6 * last;
            for (from, to) in [
                (0, n),
                (1, n),
                (last, 2 * last),
                (last + 1, last + 2),
                (5, n - 3),
            ] {
                let mut block = ins[0].as_slice::<f32>()[from..to].to_vec();
                code.apply_f32(&mut block, from, last, &extras);
                assert_eq!(
                    block,
                    want[0].as_slice::<f32>()[from..to],
                    "{last} {from} {to}"
                );
            }
        }
    }

    #[test]
    fn strings() {
        let s = |v: &[&str]| Tensor::from_strings([v.len()], v.iter().map(|&s| s.into()).collect());
        let (x, y) = (s(&["a", "", "ü", "12"]), s(&["a", "b", "u", "2"]));
        let bools = |op| {
            run(&Op::Binary(op), &[&x, &y], &[Fact::new(Bool, [4])])
                .unwrap()
                .remove(0)
        };
        assert_eq!(bools(Binary::Eq).bytes(), &[1, 0, 0, 0]);
        assert_eq!(bools(Binary::Ne).bytes(), &[0, 1, 1, 1]);
        let c = bools(Binary::Eq);
        let empty = Tensor::from_strings([], vec!["-".into()]);
        let picked = run(&Op::Select, &[&c, &x, &empty], &[Fact::new(Str, [4])]).unwrap();
        assert_eq!(picked[0].strings(), s(&["a", "-", "-", "-"]).strings());
        let n = s(&["1", " 2.75", "-3"]);
        let ints = run(&Op::Cast(I32), &[&n], &[Fact::new(I32, [3])]).unwrap();
        assert_eq!(ints[0].as_slice::<i32>(), &[1, 2, -3]);
        let floats = run(&Op::Cast(F32), &[&n], &[Fact::f32([3])]).unwrap();
        assert_eq!(floats[0].as_slice::<f32>(), &[1.0, 2.75, -3.0]);
        assert!(run(&Op::Cast(F32), &[&x], &[Fact::f32([4])]).is_err());
        let back = run(&Op::Cast(Str), &[&ints[0]], &[Fact::new(Str, [3])]).unwrap();
        assert_eq!(back[0].strings(), s(&["1", "2", "-3"]).strings());
    }

    #[test]
    fn misfits_are_errors() {
        let one = |step, dtype, ins: &[DType]| {
            Compiled::new(&program(ins.len(), vec![(step, dtype)]), ins).is_err()
        };
        assert!(one(Step::Binary(Binary::Add, 0, 1), F32, &[F32, F64]));
        assert!(one(Step::Binary(Binary::Shl, 0, 0), F32, &[F32]));
        assert!(one(Step::Unary(Unary::Not, 0), F32, &[F32]));
        assert!(one(Step::Unary(Unary::Neg, 1), F32, &[F32]));
        assert!(one(Step::Select(0, 0, 0), F32, &[F32]));
        assert!(one(Step::Unary(Unary::Neg, 0), I32, &[F32]));
        assert!(Compiled::new(&program(1, vec![]), &[F32]).is_err());
    }
}
