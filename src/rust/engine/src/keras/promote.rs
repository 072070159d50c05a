//! Dtype promotion as `keras/src/backend/common/dtypes.py` does it.

use crate::tensor::DType;

/// A tensor's dtype, or a Python literal's weak type.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Is(DType),
    /// Python's int: any number dtype wins over it.
    WeakInt,
    /// Python's float: any float dtype wins over it.
    WeakFloat,
}

/// The dtype Keras computes in when tensors and literals meet
/// (`backend.result_type`).
pub fn result_type(kinds: &[Kind]) -> DType {
    let mut strong: Option<DType> = None;
    let (mut weak_int, mut weak_float) = (false, false);
    for k in kinds {
        match *k {
            Kind::Is(d) => strong = Some(strong.map_or(d, |s| join(s, d))),
            Kind::WeakInt => weak_int = true,
            Kind::WeakFloat => weak_float = true,
        }
    }
    match (strong, weak_float, weak_int) {
        (Some(d), true, _) if !d.is_float() => DType::F32,
        (Some(DType::Bool), false, true) => DType::I32,
        (Some(d), ..) => d,
        (None, true, _) => DType::F32,
        (None, ..) => DType::I32,
    }
}

/// Least upper bound of two dtypes in JAX's lattice, with Keras' limits
/// (no 64-bit result unless an input has 64 bits).
fn join(a: DType, b: DType) -> DType {
    use DType::*;
    if a == b {
        return a;
    }
    match (a.is_float(), b.is_float()) {
        (true, true) => match (a, b) {
            (F64, _) | (_, F64) => F64,
            (F32, _) | (_, F32) => F32,
            _ => F32,
        },
        (true, false) => a,
        (false, true) => b,
        (false, false) => match (a, b) {
            (Bool, o) | (o, Bool) => o,
            (Str, o) | (o, Str) => o,
            _ => join_ints(a, b),
        },
    }
}

fn join_ints(a: DType, b: DType) -> DType {
    use DType::*;
    let signed = |d| matches!(d, I8 | I16 | I32 | I64);
    if signed(a) == signed(b) {
        return if a.size() >= b.size() { a } else { b };
    }
    let (s, u) = if signed(a) { (a, b) } else { (b, a) };
    match u {
        // JAX's float0 corner: uint64 with any signed integer is a weak float, float32 in Keras.
        U64 => F32,
        u if u.size() < s.size() => s,
        U8 => I16,
        U16 => I32,
        _ => I64,
    }
}
