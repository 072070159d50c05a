//! What makes complex tensors, and what takes them.

use crate::error::Result;
use crate::graph::{Binary, Unary, ValueId};
use crate::keras::ops::args::*;
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::DType;

/// A cast, also to and from complex numbers: the real part remains.
pub fn cast(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let parts = cx.parts(x)?;
    let complex = match cfg.opt_str("dtype")? {
        Some("complex64") => DType::F32,
        Some("complex128") => DType::F64,
        _ => {
            let dtype = dtype(cfg, "dtype")?.ok_or_else(|| cfg.bad("dtype", "a dtype"))?;
            let real = parts.map_or(x, |p| p.0);
            return Ok(cx.cast(real, dtype)?.into());
        }
    };
    let (re, im) = match parts {
        Some((re, im)) => (cx.cast(re, complex)?, cx.cast(im, complex)?),
        None => {
            let re = cx.cast(x, complex)?;
            (re, zeros(cx, re)?)
        }
    };
    Ok(cx.complex(re, im)?.into())
}

fn zeros(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let fact = cx.fact(x).clone();
    cx.full(fact, 0.0)
}

/// The complex number of an absolute value and an angle.
pub fn polar(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let abs = tensor(cx, call, 0, "abs_")?;
    let angle = tensor(cx, call, 1, "angle")?;
    let (cos, sin) = (cx.unary(Unary::Cos, angle)?, cx.unary(Unary::Sin, angle)?);
    let (re, im) = (cx.mul(abs, cos)?, cx.mul(abs, sin)?);
    Ok(cx.complex(re, im)?.into())
}

pub fn absolute(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    if let Some((re, im)) = cx.parts(x)? {
        let (a, b) = (cx.unary(Unary::Square, re)?, cx.unary(Unary::Square, im)?);
        let sum = cx.add(a, b)?;
        return Ok(cx.unary(Unary::Sqrt, sum)?.into());
    }
    match cx.dtype(x) {
        DType::Bool | DType::U8 | DType::U16 | DType::U32 | DType::U64 => Ok(x.into()),
        _ => Ok(cx.unary(Unary::Abs, x)?.into()),
    }
}

/// The angle in the plane; of real numbers it is pi below 0.
pub fn angle(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    if let Some((re, im)) = cx.parts(x)? {
        return Ok(cx.binary(Binary::Atan2, im, re)?.into());
    }
    let x = to_float(cx, x)?;
    let below = cx.binary_s(Binary::Lt, x, 0.0)?;
    let dtype = cx.dtype(x);
    let pi = cx.scalar(dtype, std::f64::consts::PI);
    let zero = cx.scalar(dtype, 0.0);
    Ok(cx.select(below, pi, zero)?.into())
}

pub fn real(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    Ok(cx.parts(x)?.map_or(x, |p| p.0).into())
}

pub fn imag(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    match cx.parts(x)? {
        Some((_, im)) => Ok(im.into()),
        None => Ok(zeros(cx, x)?.into()),
    }
}

pub fn conjugate(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let Some((re, im)) = cx.parts(x)? else {
        return Ok(x.into());
    };
    let im = cx.unary(Unary::Neg, im)?;
    Ok(cx.complex(re, im)?.into())
}

/// Real and imaginary parts along a new last axis.
pub fn view_as_real(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let (re, im) = match cx.parts(x)? {
        Some(parts) => parts,
        None => (x, zeros(cx, x)?),
    };
    Ok(stack(cx, &[re, im], -1)?.into())
}
