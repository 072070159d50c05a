//! `keras.ops.core`, but for what moves elements, and `keras.ops.math`.

use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary};
use crate::keras::ops::args::*;
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{DType, Fact, Tensor};

/// A cast that stops at the bounds of the dtype.
pub fn saturate_cast(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let dtype = dtype(cfg, "dtype")?.ok_or_else(|| cfg.bad("dtype", "a dtype"))?;
    let own = cx.dtype(x);
    if let Some(bound) = wrapped_bound(own, dtype) {
        let fact = Fact::new(dtype, cx.shape(x));
        return Ok(cx.full(fact, bound)?.into());
    }
    let (low, high) = saturation(own, dtype);
    let x = cx.clip(x, low, high)?;
    Ok(cx.cast(x, dtype)?.into())
}

/// The bounds of a cast that bind.
fn saturation(own: DType, dtype: DType) -> (Option<f64>, Option<f64>) {
    let bits = 8 * dtype.size() as i32;
    let (low, high) = match dtype {
        DType::Bool => (0.0, 1.0),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => (0.0, 2f64.powi(bits) - 1.0),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
            (-2f64.powi(bits - 1), 2f64.powi(bits - 1) - 1.0)
        }
        // The next smaller bfloat16.
        DType::F16 if own == DType::BF16 => (-65280.0, 65280.0),
        _ => (-largest(dtype), largest(dtype)),
    };
    if own.is_float() {
        let most = largest(own);
        return (Some(low.max(-most)), Some(high.min(most)));
    }
    if own == DType::Bool || dtype.is_float() && dtype != DType::F16 {
        return (None, None);
    }
    // Bounds that the tensor's own dtype can't reach don't bind.
    let fits = |v: &f64| Tensor::scalar(own, *v).to_f64() == [*v];
    (Some(low).filter(fits), Some(high).filter(fits))
}

/// The largest number of a float.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => f64::from(half::f16::MAX),
        DType::BF16 => f64::from(half::bf16::MAX),
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

/// The only value of a saturating cast to a float that can't hold the largest
/// integer: Keras rounds that bound up and reads it back as an integer, which
/// wraps around below every other one.
fn wrapped_bound(from: DType, to: DType) -> Option<f64> {
    let digits = match to {
        DType::F16 => 11,
        DType::BF16 => 8,
        DType::F32 => 24,
        DType::F64 => 53,
        _ => return None,
    };
    let bits = 8 * from.size() as i32;
    let signed = matches!(from, DType::I16 | DType::I32 | DType::I64);
    let value_bits = if signed { bits - 1 } else { bits };
    // The largest float16 is a bound of its own.
    let beyond = to == DType::F16 && value_bits > 15;
    (from.is_int() && value_bits > digits && !beyond).then(|| {
        if signed {
            -2f64.powi(bits - 1)
        } else {
            0.0
        }
    })
}

/// The tensor, in the config's dtype if there is one.
pub fn convert_to_tensor(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    match dtype(cfg, "dtype")? {
        Some(d) => Ok(cx.cast(x, d)?.into()),
        None => Ok(x.into()),
    }
}

pub fn stop_gradient(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    Ok(tensor(cx, call, 0, "variable")?.into())
}

pub fn erfc(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let mut x = to_float(cx, x)?;
    let dtype = cx.dtype(x);
    if dtype.is_half() {
        x = cx.cast(x, DType::F32)?;
    }
    let e = cx.unary(Unary::Erf, x)?;
    let y = cx.unary(Unary::Neg, e)?;
    let y = cx.add_s(y, 1.0)?;
    Ok(cx.cast(y, dtype)?.into())
}

/// Whether the target's score is among the `k` largest.
pub fn in_top_k(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let targets = tensor(cx, call, 0, "targets")?;
    let scores = tensor(cx, call, 1, "predictions")?;
    cx.check_rank(targets, 1)?;
    let targets = cx.cast(targets, DType::I32)?;
    let targets = cx.expand_dims(targets, -1)?;
    let own = cx.take_along(scores, targets, -1)?;
    let above = cx.binary(Binary::Gt, scores, own)?;
    let above = cx.cast(above, DType::I32)?;
    let above = cx.reduce(Reduce::Sum, above, &[1], false)?;
    let inside = cx.binary_s(Binary::Lt, above, cfg.usize("k")? as f64)?;
    let finite = cx.unary(Unary::IsFinite, own)?;
    let finite = cx.squeeze(finite, -1)?;
    Ok(cx.and(inside, finite)?.into())
}

/// Distances between the rows of two matrices.
pub fn cdist(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let a = tensor(cx, call, 0, "x")?;
    let b = tensor(cx, call, 1, "y")?;
    let (a, b) = (to_float(cx, a)?, to_float(cx, b)?);
    let a = cx.expand_dims(a, -2)?;
    let b = cx.expand_dims(b, -3)?;
    let d = cx.sub(a, b)?;
    let d = cx.unary(Unary::Square, d)?;
    let last = [cx.rank(d) - 1];
    let d = cx.reduce(Reduce::Sum, d, &last, false)?;
    Ok(cx.unary(Unary::Sqrt, d)?.into())
}

/// The same bytes as numbers of another dtype.
pub fn view(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    match dtype(cfg, "dtype")? {
        Some(d) => Ok(cx.bitcast(x, d)?.into()),
        None => Ok(x.into()),
    }
}
