//! Arithmetic, comparison, logic and other elementwise operations.

use crate::error::Result;
use crate::graph::{Binary, Passing, Unary, ValueId};
use crate::keras::ops::args::*;
use crate::keras::promote::{numpy_result_type, result_type, Kind};
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{counted, DType, Fact};

/// A function of a float; other dtypes become float32.
pub fn float_unary(cx: &mut Cx, call: &Call, op: Unary) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = to_float(cx, x)?;
    Ok(cx.unary(op, x)?.into())
}

/// A function of a number that keeps its dtype.
pub fn unary(cx: &mut Cx, call: &Call, op: Unary) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    Ok(cx.unary(op, x)?.into())
}

/// The tensor itself.
pub fn identity(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    Ok(tensor(cx, call, 0, "x")?.into())
}

/// Arithmetic on two operands.
pub fn weak(cx: &mut Cx, call: &Call, op: Binary) -> Result<Out> {
    let (a, b) = weak_pair(cx, call, &[])?;
    Ok(cx.binary(op, a, b)?.into())
}

/// `keras.ops.add`.
pub fn add(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = weak_pair(cx, call, &[])?;
    Ok(sum(cx, a, b)?.into())
}

/// The sum of two tensors of one dtype. Where `b` is constant and all but one
/// of its axes have size 1, Keras adds it with TensorFlow's `bias_add`: along the
/// last axis of `a` if that has its size, else along the one after the batch,
/// wherever broadcasting would put it.
pub fn sum(cx: &mut Cx, a: ValueId, b: ValueId) -> Result<ValueId> {
    let (shape, other) = (cx.shape(a), cx.shape(b));
    let long: Vec<usize> = (0..other.len()).filter(|&i| other[i] > 1).collect();
    if let ([at], true) = (long.as_slice(), shape.len() > 1) {
        let (size, last) = (other[*at], shape.len() - 1);
        let along = [last, 1].into_iter().find(|&i| shape[i] == size);
        let broadcast = at + shape.len() - other.len().min(shape.len());
        if let Some(along) = along.filter(|&i| i != broadcast && cx.is_constant(b)) {
            let mut aligned = vec![1; shape.len()];
            aligned[along] = size;
            let b = cx.reshape(b, &aligned)?;
            return cx.add(a, b);
        }
    }
    cx.add(a, b)
}

/// A comparison; Python's numbers are int32 and float32.
pub fn compare(cx: &mut Cx, call: &Call, op: Binary) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    Ok(cx.binary(op, a, b)?.into())
}

/// Logic on what is not 0.
pub fn logical(cx: &mut Cx, call: &Call, op: Binary) -> Result<Out> {
    let a = tensor(cx, call, 0, "x1")?;
    let b = tensor(cx, call, 1, "x2")?;
    let (a, b) = (to_bool(cx, a)?, to_bool(cx, b)?);
    Ok(cx.binary(op, a, b)?.into())
}

pub fn logical_not(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = to_bool(cx, x)?;
    Ok(cx.unary(Unary::Not, x)?.into())
}

/// Logic on the bits of integers.
pub fn bitwise(cx: &mut Cx, call: &Call, op: Binary) -> Result<Out> {
    let (a, b) = match op {
        Binary::Shl | Binary::Shr => {
            let a = tensor(cx, call, 0, "x")?;
            match operand(cx, call, 1, "y")? {
                // A literal shift takes the dtype of what it shifts.
                Operand::Strong(_) => strong_pair(cx, call, ["x", "y"], &[])?,
                weak => {
                    let dtype = cx.dtype(a);
                    (a, weak.to(cx, dtype)?)
                }
            }
        }
        _ => strong_pair(cx, call, ["x", "y"], &[])?,
    };
    if !cx.dtype(a).is_int() {
        return Err(cx.call_error(format!("expected integers, not {}", cx.dtype(a))));
    }
    Ok(cx.binary(op, a, b)?.into())
}

/// Whether a dtype has 16 bits, which shows the steps that TensorFlow computes in.
fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// A quotient of floats. TensorFlow multiplies by the rounded reciprocal of a
/// constant, which shows in 16 bits.
fn quotient(cx: &mut Cx, a: ValueId, b: ValueId) -> Result<ValueId> {
    if is_half(cx.dtype(a)) && cx.is_constant(b) {
        let by = cx.unary(Unary::Reciprocal, b)?;
        return cx.mul(a, by);
    }
    cx.div(a, b)
}

/// The logarithm of a base: in floats of 16 bits, a quotient.
pub fn log_of(cx: &mut Cx, call: &Call, op: Unary, base: f64) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = to_float(cx, x)?;
    let dtype = cx.dtype(x);
    if !is_half(dtype) {
        return Ok(cx.unary(op, x)?.into());
    }
    let base = cx.scalar(dtype, base);
    let (x, base) = (cx.unary(Unary::Log, x)?, cx.unary(Unary::Log, base)?);
    Ok(quotient(cx, x, base)?.into())
}

/// `/` in floats.
pub fn divide(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = weak_pair(cx, call, &[Kind::WeakFloat])?;
    Ok(quotient(cx, a, b)?.into())
}

/// `/` in floats, 0 where the divisor is 0.
pub fn divide_no_nan(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = weak_pair(cx, call, &[Kind::WeakFloat])?;
    let dtype = cx.dtype(a);
    let zero = cx.scalar(dtype, 0.0);
    let q = cx.div(a, b)?;
    let none = cx.binary(Binary::Eq, b, zero)?;
    Ok(cx.select(none, zero, q)?.into())
}

/// `%` with the sign of the divisor.
pub fn modulo(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = no_bools(cx, call)?;
    Ok(cx.binary(Binary::Mod, a, b)?.into())
}

/// `sign(a) * (|a| mod |b|)`.
pub fn fmod(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = no_bools(cx, call)?;
    let dtype = cx.dtype(a);
    let wide = match dtype {
        DType::U8 | DType::U16 | DType::U32 => DType::I32,
        d => d,
    };
    let (a, b) = (cx.cast(a, wide)?, cx.cast(b, wide)?);
    let sign = cx.unary(Unary::Sign, a)?;
    let (a, b) = (cx.unary(Unary::Abs, a)?, cx.unary(Unary::Abs, b)?);
    let m = cx.binary(Binary::Mod, a, b)?;
    let m = cx.mul(sign, m)?;
    Ok(cx.cast(m, dtype)?.into())
}

fn no_bools(cx: &mut Cx, call: &Call) -> Result<(ValueId, ValueId)> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    match cx.dtype(a) {
        DType::Bool => Ok((cx.cast(a, DType::I32)?, cx.cast(b, DType::I32)?)),
        _ => Ok((a, b)),
    }
}

pub fn power(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = weak_pair(cx, call, &[])?;
    let dtype = cx.dtype(a);
    if matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64) {
        let (a, b) = (cx.cast(a, DType::I32)?, cx.cast(b, DType::I32)?);
        let y = cx.binary(Binary::Pow, a, b)?;
        return Ok(cx.cast(y, dtype)?.into());
    }
    Ok(cx.binary(Binary::Pow, a, b)?.into())
}

/// Maximum or minimum where a NaN gives way to the other operand.
pub fn nan_last(cx: &mut Cx, call: &Call, op: Binary) -> Result<Out> {
    let (a, b) = weak_pair(cx, call, &[])?;
    let y = cx.binary(op, a, b)?;
    if !cx.dtype(a).is_float() {
        return Ok(y.into());
    }
    let (na, nb) = (cx.unary(Unary::IsNan, a)?, cx.unary(Unary::IsNan, b)?);
    let y = cx.select(na, b, y)?;
    Ok(cx.select(nb, a, y)?.into())
}

pub fn square(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = match cx.dtype(x) {
        DType::Bool => cx.cast(x, DType::I32)?,
        _ => x,
    };
    Ok(cx.unary(Unary::Square, x)?.into())
}

pub fn cbrt(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = match cx.dtype(x) {
        DType::I64 => cx.cast(x, DType::F64)?,
        _ => to_float(cx, x)?,
    };
    let sign = cx.unary(Unary::Sign, x)?;
    let size = cx.unary(Unary::Abs, x)?;
    let root = cx.binary_s(Binary::Pow, size, 1.0 / 3.0)?;
    Ok(cx.mul(sign, root)?.into())
}

/// `x * (over / under)`, in float64 for int64; the ratio is rounded as x is.
pub fn scaled(cx: &mut Cx, call: &Call, over: f64, under: f64) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = match cx.dtype(x) {
        DType::I64 => cx.cast(x, DType::F64)?,
        _ => to_float(cx, x)?,
    };
    let dtype = cx.dtype(x);
    let (over, under) = (cx.scalar(dtype, over), cx.scalar(dtype, under));
    let factor = cx.div(over, under)?;
    Ok(cx.mul(x, factor)?.into())
}

pub fn sinc(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = to_float(cx, x)?;
    let dtype = cx.dtype(x);
    let p = cx.mul_s(x, std::f64::consts::PI)?;
    let s = cx.unary(Unary::Sin, p)?;
    let s = cx.div(s, p)?;
    let at_zero = cx.binary_s(Binary::Eq, x, 0.0)?;
    let one = cx.scalar(dtype, 1.0);
    Ok(cx.select(at_zero, one, s)?.into())
}

pub fn signbit(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    if cx.dtype(x) == DType::Bool {
        let fact = cx.fact(x).clone();
        return Ok(cx.full(fact, 0.0)?.into());
    }
    if !cx.dtype(x).is_float() {
        return Ok(cx.binary_s(Binary::Lt, x, 0.0)?.into());
    }
    // atan2(0, x) is pi for negative numbers and for -0.
    let x = cx.cast(x, DType::F32)?;
    let zero = cx.scalar(DType::F32, 0.0);
    let angle = cx.binary(Binary::Atan2, zero, x)?;
    Ok(cx.binary_s(Binary::Gt, angle, 1.0)?.into())
}

pub fn round(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let decimals = cfg.int_or("decimals", 0)?;
    if decimals == 0 {
        return Ok(cx.unary(Unary::Round, x)?.into());
    }
    let dtype = cx.dtype(x);
    if !dtype.is_float() && decimals > 0 {
        return Ok(x.into());
    }
    let y = to_float(cx, x)?;
    let factor = 10f64.powi(decimals as i32);
    let y = cx.mul_s(y, factor)?;
    let y = cx.unary(Unary::Round, y)?;
    let y = cx.div_s(y, factor)?;
    Ok(cx.cast(y, dtype)?.into())
}

pub fn clip(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = match cx.dtype(x) {
        DType::Bool => cx.cast(x, DType::I32)?,
        _ => x,
    };
    let dtype = cx.dtype(x);
    let bound = |key| {
        let v = cfg.get(key).filter(|v| !v.is_null());
        let number = |v| number_in(v, dtype).ok_or_else(|| cfg.bad(key, "a number"));
        v.map(number).transpose()
    };
    let (low, high) = (bound("x_min")?, bound("x_max")?);
    let y = match (low, high) {
        // The lower bound goes before the upper one.
        (Some(low), Some(high)) if low > high => {
            let y = cx.binary_s(Binary::Min, x, high)?;
            cx.binary_s(Binary::Max, y, low)?
        }
        _ => cx.clip(x, low, high)?,
    };
    Ok(y.into())
}

/// Elements of two tensors by a condition; of a condition alone, as `nonzero`.
pub fn where_(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    if call.arg(1, "x1").is_none() && call.arg(2, "x2").is_none() {
        return super::sets::nonzero(cx, cfg, call);
    }
    let condition = tensor(cx, call, 0, "condition")?;
    let condition = to_bool(cx, condition)?;
    let (a, b) = (operand(cx, call, 1, "x1")?, operand(cx, call, 2, "x2")?);
    let dtype = result_type(&[a.kind(cx), b.kind(cx)]);
    let (a, b) = (a.to(cx, dtype)?, b.to(cx, dtype)?);
    Ok(cx.select(condition, a, b)?.into())
}

/// The first choice whose condition holds.
pub fn select(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let conditions = tensors(cx, call, 0, "condlist")?;
    let mut choices = tensors(cx, call, 1, "choicelist")?;
    if conditions.len() != choices.len() {
        return Err(cx.call_error(format!(
            "expected a choice for each of {}, not {}",
            counted(conditions.len(), "condition", "conditions"),
            choices.len()
        )));
    }
    let default = match call.arg(2, "default") {
        Some(_) => operand(cx, call, 2, "default")?,
        None => Operand::Weak(0.into(), Kind::WeakInt),
    };
    let own = choices.iter().map(|&x| Kind::Is(cx.dtype(x)));
    let kinds: Vec<Kind> = own.chain([default.kind(cx)]).collect();
    let dtype = numpy_result_type(&kinds);
    for x in &mut choices {
        *x = cx.cast(*x, dtype)?;
    }
    let mut y = default.to(cx, dtype)?;
    for (&c, &x) in conditions.iter().zip(&choices).rev() {
        let c = to_bool(cx, c)?;
        y = cx.select(c, x, y)?;
    }
    Ok(y.into())
}

/// A test of floats, which other dtypes answer the same everywhere.
pub fn test(cx: &mut Cx, call: &Call, op: Unary) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    if cx.dtype(x).is_float() {
        return Ok(cx.unary(op, x)?.into());
    }
    let always = f64::from(u8::from(op == Unary::IsFinite));
    let fact = Fact::new(DType::Bool, cx.shape(x));
    Ok(cx.full(fact, always)?.into())
}

/// Whether a float is the infinity given.
pub fn is_infinity(cx: &mut Cx, call: &Call, which: f64) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    if cx.dtype(x).is_float() {
        return Ok(cx.binary_s(Binary::Eq, x, which)?.into());
    }
    let fact = Fact::new(DType::Bool, cx.shape(x));
    Ok(cx.full(fact, 0.0)?.into())
}

pub fn isreal(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let fact = Fact::new(DType::Bool, cx.shape(x));
    Ok(cx.full(fact, 1.0)?.into())
}

pub fn isclose(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let number = |at: usize, name: &str, default: f64| match call.arg(at, name) {
        Some(crate::keras::Arg::Lit(v)) => v.as_f64().unwrap_or(default),
        _ => default,
    };
    let (rtol, atol) = (number(2, "rtol", 1e-5), number(3, "atol", 1e-8));
    if !cx.dtype(a).is_float() {
        return Ok(cx.binary(Binary::Eq, a, b)?.into());
    }
    let close = within(cx, a, b, rtol, atol)?;
    let close = with_nans(cx, close, a, b, cfg.bool_or("equal_nan", false)?)?;
    Ok(close.into())
}

pub fn allclose(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let (rtol, atol) = (cfg.f64_or("rtol", 1e-5)?, cfg.f64_or("atol", 1e-8)?);
    let equal_nan = cfg.bool_or("equal_nan", false)?;
    let mut same = cx.binary(Binary::Eq, a, b)?;
    if cx.dtype(a).is_float() {
        let (fa, fb) = (cx.unary(Unary::IsFinite, a)?, cx.unary(Unary::IsFinite, b)?);
        let finite = cx.and(fa, fb)?;
        let close = within(cx, a, b, rtol, atol)?;
        let close = cx.and(finite, close)?;
        same = cx.or(close, same)?;
        same = with_nans(cx, same, a, b, equal_nan)?;
    }
    let all: Vec<usize> = (0..cx.rank(same)).collect();
    Ok(cx
        .reduce(crate::graph::Reduce::All, same, &all, false)?
        .into())
}

/// `|a - b| <= atol + rtol |b|`.
fn within(cx: &mut Cx, a: ValueId, b: ValueId, rtol: f64, atol: f64) -> Result<ValueId> {
    let d = cx.sub(a, b)?;
    let d = cx.unary(Unary::Abs, d)?;
    let bound = cx.unary(Unary::Abs, b)?;
    let bound = cx.mul_s(bound, rtol)?;
    let bound = cx.add_s(bound, atol)?;
    cx.binary(Binary::Le, d, bound)
}

fn with_nans(cx: &mut Cx, same: ValueId, a: ValueId, b: ValueId, on: bool) -> Result<ValueId> {
    if !on {
        return Ok(same);
    }
    let (a, b) = (cx.unary(Unary::IsNan, a)?, cx.unary(Unary::IsNan, b)?);
    let both = cx.and(a, b)?;
    cx.or(same, both)
}

pub fn arctan2(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[Kind::WeakFloat])?;
    Ok(cx.binary(Binary::Atan2, a, b)?.into())
}

/// `log(base^a + base^b)` for the base whose logarithm is `log`.
pub fn logaddexp(cx: &mut Cx, call: &Call, log: f64) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[Kind::WeakFloat])?;
    let delta = cx.sub(a, b)?;
    let size = cx.unary(Unary::Abs, delta)?;
    let e = cx.mul_s(size, -log)?;
    let e = cx.unary(Unary::Exp, e)?;
    let e = cx.unary(Unary::Log1p, e)?;
    let e = cx.div_s(e, log)?;
    let top = cx.maximum(a, b)?;
    let y = cx.add(top, e)?;
    let undefined = cx.unary(Unary::IsNan, delta)?;
    let sum = cx.add(a, b)?;
    Ok(cx.select(undefined, sum, y)?.into())
}

/// Two numbers in floats: float64 for int64, float32 for smaller integers.
fn float_pair(cx: &mut Cx, call: &Call) -> Result<(ValueId, ValueId)> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let dtype = match cx.dtype(a) {
        DType::I64 => DType::F64,
        d if d.is_int() => DType::F32,
        d => d,
    };
    Ok((cx.cast(a, dtype)?, cx.cast(b, dtype)?))
}

pub fn hypot(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = float_pair(cx, call)?;
    let dtype = cx.dtype(a);
    let (a, b) = (cx.unary(Unary::Abs, a)?, cx.unary(Unary::Abs, b)?);
    let (high, low) = (cx.maximum(a, b)?, cx.minimum(a, b)?);
    let zero = cx.scalar(dtype, 0.0);
    let none = cx.binary(Binary::Eq, high, zero)?;
    let ratio = cx.div(low, high)?;
    let ratio = cx.select(none, zero, ratio)?;
    let s = cx.unary(Unary::Square, ratio)?;
    let s = cx.add_s(s, 1.0)?;
    let s = cx.unary(Unary::Sqrt, s)?;
    Ok(cx.mul(high, s)?.into())
}

pub fn heaviside(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = float_pair(cx, call)?;
    let dtype = cx.dtype(a);
    let (zero, one) = (cx.scalar(dtype, 0.0), cx.scalar(dtype, 1.0));
    let above = cx.binary(Binary::Gt, a, zero)?;
    let below = cx.binary(Binary::Lt, a, zero)?;
    let y = cx.select(above, one, b)?;
    Ok(cx.select(below, zero, y)?.into())
}

pub fn ldexp(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[Kind::WeakFloat])?;
    let dtype = cx.dtype(a);
    let two = cx.scalar(dtype, 2.0);
    let p = cx.binary(Binary::Pow, two, b)?;
    let y = cx.mul(a, p)?;
    let (inf, zero) = (cx.unary(Unary::IsInf, a)?, cx.binary_s(Binary::Eq, a, 0.0)?);
    let keep = cx.or(inf, zero)?;
    Ok(cx.select(keep, a, y)?.into())
}

pub fn nan_to_num(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let nan = cfg.f64_or("nan", 0.0)?;
    let (high, low) = (cfg.opt_f64("posinf")?, cfg.opt_f64("neginf")?);
    Ok(without_nan(cx, x, nan, high, low)?.into())
}

/// NaN and the infinities replaced, the latter by the largest numbers there are.
pub fn without_nan(
    cx: &mut Cx,
    x: ValueId,
    nan: f64,
    high: Option<f64>,
    low: Option<f64>,
) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let largest = match dtype {
        DType::F16 => 65504.0,
        DType::BF16 => half::bf16::MAX.to_f64(),
        DType::F32 => f64::from(f32::MAX),
        DType::F64 => f64::MAX,
        _ => return Ok(x),
    };
    let mut y = x;
    for (op, value) in [
        (cx.unary(Unary::IsNan, x)?, nan),
        (
            cx.binary_s(Binary::Eq, x, f64::INFINITY)?,
            high.unwrap_or(largest),
        ),
        (
            cx.binary_s(Binary::Eq, x, f64::NEG_INFINITY)?,
            low.unwrap_or(-largest),
        ),
    ] {
        let value = cx.scalar(dtype, value);
        y = cx.select(op, value, y)?;
    }
    Ok(y)
}

/// A tensor of x's shape (and dtype, but for the config's) and one value.
pub fn like(cx: &mut Cx, cfg: &Cfg, call: &Call, value: f64) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let dtype = dtype(cfg, "dtype")?.unwrap_or(cx.dtype(x));
    let fact = Fact::new(dtype, cx.shape(x));
    Ok(cx.full(fact, value)?.into())
}

pub fn full_like(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let dtype = result_type(&[Kind::Is(dtype(cfg, "dtype")?.unwrap_or(cx.dtype(x)))]);
    let value = operand(cx, call, 1, "fill_value")?;
    let value = value.to(cx, dtype)?;
    let shape = cx.shape(x);
    Ok(cx.broadcast_to(value, &shape)?.into())
}

/// The bin of each element: how many bounds it reaches.
pub fn digitize(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let bins = tensor(cx, call, 1, "bins")?;
    Ok(bucket(cx, x, bins)?.into())
}

/// How many of the sorted bounds each element is not below (int32).
pub fn bucket(cx: &mut Cx, x: ValueId, bounds: ValueId) -> Result<ValueId> {
    if cx.dtype(x) == DType::Str {
        return Err(cx.call_error("expected numbers, not strings"));
    }
    let bounds = cx.cast(bounds, DType::F32)?;
    let compute = match cx.dtype(x) {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let (x, bounds) = (cx.cast(x, compute)?, cx.cast(bounds, compute)?);
    cx.search(x, bounds, Passing::NotAbove)
}

/// Where values would go into a sorted sequence.
pub fn searchsorted(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let sorted = tensor(cx, call, 0, "sorted_sequence")?;
    let values = tensor(cx, call, 1, "values")?;
    cx.check_rank(sorted, 1)?;
    let passing = match cfg.one_of("side", "left", &["left", "right"])? {
        "left" => Passing::Below,
        _ => Passing::BelowOrEqual,
    };
    Ok(cx.search(values, sorted, passing)?.into())
}

/// `x` to the powers `n - 1 .. 0`, or `0 .. n`, along a new last axis.
pub fn vander(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    cx.check_rank(x, 1)?;
    let n = match cfg.opt_usize("N")? {
        Some(n) => n,
        None => cx.dim(x, 0)?,
    };
    let result = result_type(&[Kind::Is(cx.dtype(x))]);
    let compute = result_type(&[Kind::Is(cx.dtype(x)), Kind::Is(DType::F32)]);
    let rises = cfg.bool_or("increasing", false)?;
    let powers = cx.generated([n], |i| if rises { i } else { n - 1 - i } as f32)?;
    let powers = cx.cast(powers, compute)?;
    let x = cx.cast(x, compute)?;
    let x = cx.expand_dims(x, -1)?;
    let y = cx.binary(Binary::Pow, x, powers)?;
    Ok(cx.cast(y, result)?.into())
}

/// Two integers in the dtype they promote to.
fn integer_pair(cx: &mut Cx, call: &Call) -> Result<(ValueId, ValueId)> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    match cx.dtype(a) {
        d if d.is_int() => Ok((a, b)),
        d => Err(cx.call_error(format!("expected integers, not {d}"))),
    }
}

pub fn gcd(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = integer_pair(cx, call)?;
    Ok(cx.binary(Binary::Gcd, a, b)?.into())
}

/// The least common multiple; 0 with a 0.
pub fn lcm(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = integer_pair(cx, call)?;
    let (a, b) = (cx.unary(Unary::Abs, a)?, cx.unary(Unary::Abs, b)?);
    let divisor = cx.binary(Binary::Gcd, a, b)?;
    let rest = cx.binary(Binary::FloorDiv, b, divisor)?;
    Ok(cx.mul(a, rest)?.into())
}

/// The modified Bessel function of order 0; float64 for int64.
pub fn i0(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = match cx.dtype(x) {
        DType::I64 => cx.cast(x, DType::F64)?,
        _ => to_float(cx, x)?,
    };
    Ok(cx.unary(Unary::BesselI0, x)?.into())
}

/// The float64 next to the first number on the way to the second, rounded to the
/// dtype of the result, as Keras does.
pub fn nextafter(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[Kind::WeakFloat])?;
    let dtype = cx.dtype(a);
    let (a, b) = (cx.cast(a, DType::F64)?, cx.cast(b, DType::F64)?);
    let sum = cx.add(a, b)?;
    let bits = cx.bitcast(a, DType::I64)?;
    let fact = cx.fact(bits).clone();
    let (one, back) = (cx.scalar(DType::I64, 1.0), cx.scalar(DType::I64, -1.0));
    // The bits of a number grow with its distance from 0.
    let (up, above) = (
        cx.binary(Binary::Gt, b, a)?,
        cx.binary_s(Binary::Gt, a, 0.0)?,
    );
    let outwards = cx.binary(Binary::Eq, up, above)?;
    let step = cx.select(outwards, one, back)?;
    let next = cx.add(bits, step)?;
    let shape = cx.shape(sum);
    let next = cx.broadcast_to(next, &shape)?;
    let next = cx.bitcast(next, DType::F64)?;
    // From 0 it is the smallest number of the sign.
    let least = cx.full(fact, 1.0)?;
    let least = cx.bitcast(least, DType::F64)?;
    let zero = cx.binary_s(Binary::Eq, a, 0.0)?;
    let sign = cx.unary(Unary::Sign, b)?;
    let least = cx.mul(least, sign)?;
    let next = cx.select(zero, least, next)?;
    let same = cx.binary(Binary::Eq, a, b)?;
    let next = cx.select(same, b, next)?;
    let undefined = cx.unary(Unary::IsNan, sum)?;
    let next = cx.select(undefined, sum, next)?;
    Ok(cx.cast(next, dtype)?.into())
}
