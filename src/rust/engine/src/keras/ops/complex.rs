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
    Ok(from_polar(cx, abs, angle)?.into())
}

fn from_polar(cx: &mut Cx, size: ValueId, angle: ValueId) -> Result<ValueId> {
    let (cos, sin) = (cx.unary(Unary::Cos, angle)?, cx.unary(Unary::Sin, angle)?);
    let (re, im) = (cx.mul(size, cos)?, cx.mul(size, sin)?);
    cx.complex(re, im)
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

/// An operation that only moves, adds or drops elements.
pub fn by_parts(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let lower = super::find(&cfg.class).and_then(|def| def.lower);
    let lower = lower.ok_or_else(|| cx.defect("is not an operation"))?;
    cx.by_parts(call, |cx, call| lower(cx, cfg, call))
}

/// Real and imaginary parts of one operand.
type Parts = (ValueId, ValueId);

/// An operand as a complex number, whose parts Keras takes in float32.
fn complex_operand(cx: &mut Cx, call: &Call, position: usize, name: &str) -> Result<Parts> {
    let value = match operand(cx, call, position, name)? {
        Operand::Strong(v) => v,
        weak => weak.to(cx, DType::F32)?,
    };
    let (re, im) = match cx.parts(value)? {
        Some(parts) => parts,
        None => (value, zeros(cx, value)?),
    };
    Ok((cx.cast(re, DType::F32)?, cx.cast(im, DType::F32)?))
}

fn operands(cx: &mut Cx, call: &Call) -> Result<(Parts, Parts)> {
    let a = complex_operand(cx, call, 0, "x1")?;
    Ok((a, complex_operand(cx, call, 1, "x2")?))
}

pub fn add(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = operands(cx, call)?;
    let (re, im) = (cx.add(a.0, b.0)?, cx.add(a.1, b.1)?);
    Ok(cx.complex(re, im)?.into())
}

pub fn subtract(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = operands(cx, call)?;
    let (re, im) = (cx.sub(a.0, b.0)?, cx.sub(a.1, b.1)?);
    Ok(cx.complex(re, im)?.into())
}

/// `product` of numbers as that of complex ones.
fn bilinear(
    cx: &mut Cx,
    (a, b): (Parts, Parts),
    product: impl Fn(&mut Cx, ValueId, ValueId) -> Result<ValueId>,
) -> Result<Parts> {
    let (rr, ii) = (product(cx, a.0, b.0)?, product(cx, a.1, b.1)?);
    let (ri, ir) = (product(cx, a.0, b.1)?, product(cx, a.1, b.0)?);
    Ok((cx.sub(rr, ii)?, cx.add(ri, ir)?))
}

pub fn multiply(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let pair = operands(cx, call)?;
    let (re, im) = bilinear(cx, pair, |cx, a, b| cx.mul(a, b))?;
    Ok(cx.complex(re, im)?.into())
}

pub fn square(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = complex_operand(cx, call, 0, "x")?;
    let (re, im) = bilinear(cx, (x, x), |cx, a, b| cx.mul(a, b))?;
    Ok(cx.complex(re, im)?.into())
}

fn quotient(cx: &mut Cx, a: Parts, b: Parts) -> Result<ValueId> {
    let conjugate = (b.0, cx.unary(Unary::Neg, b.1)?);
    let (re, im) = bilinear(cx, (a, conjugate), |cx, a, b| cx.mul(a, b))?;
    let norm = squared_norm(cx, b)?;
    let (re, im) = (cx.div(re, norm)?, cx.div(im, norm)?);
    cx.complex(re, im)
}

fn squared_norm(cx: &mut Cx, x: Parts) -> Result<ValueId> {
    let (re, im) = (cx.unary(Unary::Square, x.0)?, cx.unary(Unary::Square, x.1)?);
    cx.add(re, im)
}

pub fn divide(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = operands(cx, call)?;
    Ok(quotient(cx, a, b)?.into())
}

pub fn reciprocal(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = complex_operand(cx, call, 0, "x")?;
    let one = (cx.scalar(DType::F32, 1.0), cx.scalar(DType::F32, 0.0));
    Ok(quotient(cx, one, x)?.into())
}

pub fn exp(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (re, im) = complex_operand(cx, call, 0, "x")?;
    let size = cx.unary(Unary::Exp, re)?;
    Ok(from_polar(cx, size, im)?.into())
}

pub fn log(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = complex_operand(cx, call, 0, "x")?;
    let norm = squared_norm(cx, x)?;
    let re = cx.unary(Unary::Log, norm)?;
    let re = cx.mul_s(re, 0.5)?;
    let im = cx.binary(Binary::Atan2, x.1, x.0)?;
    Ok(cx.complex(re, im)?.into())
}

/// The root whose real part is not negative.
pub fn sqrt(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = complex_operand(cx, call, 0, "x")?;
    let norm = squared_norm(cx, x)?;
    let size = cx.unary(Unary::Sqrt, norm)?;
    let size = cx.unary(Unary::Sqrt, size)?;
    let angle = cx.binary(Binary::Atan2, x.1, x.0)?;
    let angle = cx.mul_s(angle, 0.5)?;
    Ok(from_polar(cx, size, angle)?.into())
}

/// Products of matrices.
pub fn matmul(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let pair = operands(cx, call)?;
    let (re, im) = bilinear(cx, pair, super::linear::product)?;
    Ok(cx.complex(re, im)?.into())
}

/// Whether numbers are equal, in both parts.
pub fn equal(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    Ok(same(cx, call)?.into())
}

pub fn not_equal(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let same = same(cx, call)?;
    Ok(cx.unary(Unary::Not, same)?.into())
}

fn same(cx: &mut Cx, call: &Call) -> Result<ValueId> {
    let (a, b) = operands(cx, call)?;
    let re = cx.binary(Binary::Eq, a.0, b.0)?;
    let im = cx.binary(Binary::Eq, a.1, b.1)?;
    cx.and(re, im)
}
