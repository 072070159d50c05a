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
/// (`backend.result_type`): the least upper bound in JAX's lattice, with
/// float32 and int32 for what only literals decide, and no uint64.
pub fn result_type(kinds: &[Kind]) -> DType {
    let strong: Vec<DType> = kinds
        .iter()
        .filter_map(|k| match k {
            Kind::Is(d) => Some(*d),
            _ => None,
        })
        .collect();
    if strong.contains(&DType::Str) {
        return DType::Str;
    }
    let floats = strong.iter().copied().filter(|d| d.is_float());
    if let Some(d) = floats.reduce(join_floats) {
        return d;
    }
    if kinds.contains(&Kind::WeakFloat) {
        return DType::F32;
    }
    let ints: Vec<DType> = strong.iter().copied().filter(|d| d.is_int()).collect();
    let (signed, unsigned): (Vec<DType>, Vec<DType>) = ints.iter().partition(|d| is_signed(**d));
    // No integer holds both, and a float that no dtype decides is float32.
    if unsigned.contains(&DType::U64) && !signed.is_empty() {
        return DType::F32;
    }
    match ints.into_iter().reduce(join_ints) {
        Some(DType::U64) => DType::U32,
        Some(d) => d,
        None if kinds.contains(&Kind::WeakInt) => DType::I32,
        None => DType::Bool,
    }
}

/// The dtype that numpy computes in, where Keras leaves the choice to it: Python's
/// numbers are int64 and float64 where nothing else decides.
pub fn numpy_result_type(kinds: &[Kind]) -> DType {
    let strong = kinds.iter().filter_map(|k| match k {
        Kind::Is(d) => Some(*d),
        _ => None,
    });
    let dtype = strong.reduce(join_as_numpy).unwrap_or(DType::Bool);
    if kinds.contains(&Kind::WeakFloat) && !dtype.is_float() {
        DType::F64
    } else if kinds.contains(&Kind::WeakInt) && dtype == DType::Bool {
        DType::I64
    } else {
        dtype
    }
}

fn join_as_numpy(a: DType, b: DType) -> DType {
    match (a.is_float(), b.is_float()) {
        (true, true) => join_floats(a, b),
        (false, false) if a.is_int() && b.is_int() => {
            let mixed = is_signed(a) != is_signed(b);
            match mixed && (a == DType::U64 || b == DType::U64) {
                true => DType::F64,
                false => join_ints(a, b),
            }
        }
        (true, false) | (false, true) => {
            let (float, other) = if a.is_float() { (a, b) } else { (b, a) };
            match other {
                DType::Bool | DType::I8 | DType::U8 => float,
                DType::I16 | DType::U16 => join_floats(float, DType::F32),
                _ => DType::F64,
            }
        }
        _ if a == DType::Bool => b,
        _ => a,
    }
}

fn join_floats(a: DType, b: DType) -> DType {
    match (a, b) {
        (a, b) if a == b => a,
        (DType::F64, _) | (_, DType::F64) => DType::F64,
        _ => DType::F32,
    }
}

fn is_signed(d: DType) -> bool {
    matches!(d, DType::I8 | DType::I16 | DType::I32 | DType::I64)
}

/// The smallest integer that holds both; not for uint64 with a signed one.
fn join_ints(a: DType, b: DType) -> DType {
    if is_signed(a) == is_signed(b) {
        return if a.size() >= b.size() { a } else { b };
    }
    let (s, u) = if is_signed(a) { (a, b) } else { (b, a) };
    match u {
        u if u.size() < s.size() => s,
        DType::U8 => DType::I16,
        DType::U16 => DType::I32,
        _ => DType::I64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Kind {
        match name {
            "int" => Kind::WeakInt,
            "float" => Kind::WeakFloat,
            name => Kind::Is(DType::parse(name).expect("a dtype")),
        }
    }

    /// Every pair, as real Keras promotes it.
    #[test]
    fn promotion_is_that_of_keras() {
        let table = include_str!("../../tests/fixtures/promotion/promotion.txt");
        let mut wrong = vec![];
        for line in table.lines() {
            let (kinds, want) = line.split_once(": ").expect("kinds: dtype");
            let kinds: Vec<Kind> = kinds.split(' ').map(kind).collect();
            if Kind::Is(result_type(&kinds)) != kind(want) {
                wrong.push(format!("{line}, not {}", result_type(&kinds)));
            }
        }
        assert!(
            table.lines().count() > 400 && wrong.is_empty(),
            "{wrong:#?}"
        );
    }
}
