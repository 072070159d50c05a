//! Registers: blocks of elements in the form that they are computed in.

use crate::kernels::halves;
use crate::kernels::vecmath::multiversion;
use crate::tensor::DType;

/// Elements computed at a time.
pub(in crate::kernels) const BLOCK: usize = 512;

/// What a register holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(in crate::kernels) enum Class {
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
pub(in crate::kernels) fn native(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::F32 | DType::F64 | DType::I64 | DType::U64 | DType::Bool
    )
}
/// # Safety
/// `p` must be aligned and valid for reading `n` values.
#[inline(always)]
pub(super) unsafe fn input<'a, T>(p: *const u8, n: usize) -> &'a [T] {
    std::slice::from_raw_parts(p.cast(), n)
}

/// # Safety
/// `p` must be aligned and valid for writing `n` values that nothing else refers to.
#[inline(always)]
pub(super) unsafe fn output<'a, T>(p: *mut u8, n: usize) -> &'a mut [T] {
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
pub(super) use map;

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
        DType::F16 => halves::to_f32(input(src, n), output(dst, n)),
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
        DType::F16 => halves::from_f32(input(src, n), output(dst, n)),
        DType::BF16 => {
            map!(output::<u16>(dst, n), v = input::<u32>(src, n) => (rounded_bf16(v) >> 16) as u16)
        }
        DType::U8 | DType::I8 => int!(u8),
        DType::U16 | DType::I16 => int!(u16),
        DType::U32 | DType::I32 => int!(u32),
        d => std::ptr::copy_nonoverlapping(src, dst, n * d.size()),
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
        DType::F16 => halves::round(output(p, n)),
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
    pub(in crate::kernels) unsafe fn load(dtype: DType, src: *const u8, dst: *mut u8, n: usize) = load_body
}
multiversion! {
    /// # Safety
    /// As for [`load_body`].
    pub(in crate::kernels) unsafe fn store(dtype: DType, src: *const u8, dst: *mut u8, n: usize) = store_body
}
multiversion! {
    /// # Safety
    /// As for [`normalise_body`].
    pub(super) unsafe fn normalise(dtype: DType, p: *mut u8, n: usize) = normalise_body
}
multiversion! {
    /// # Safety
    /// As for [`exec`].
    pub(super) unsafe fn cast(from: DType, to: DType, a: *const u8, dst: *mut u8, n: usize) = cast_body
}
