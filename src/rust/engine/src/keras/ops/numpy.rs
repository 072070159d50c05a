//! `keras.ops.numpy`.

use serde_json::Value as Json;

use crate::error::Result;
use crate::graph::{Binary, ValueId};
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Arg, Call, Cfg, Cx, Out};

/// The argument at a position or of a name: a tensor, or a literal as Keras
/// would convert it.
pub fn operand(cx: &Cx, call: &Call, position: usize, name: &str) -> Result<Arg> {
    call.arg(position, name)
        .cloned()
        .ok_or_else(|| cx.error(format!("argument '{name}' is missing")))
}

/// How an operand takes part in promotion.
pub fn kind(cx: &Cx, arg: &Arg) -> Result<Kind> {
    match arg {
        Arg::Tensor(t) => Ok(Kind::Is(cx.dtype(t.value))),
        Arg::Lit(Json::Number(n)) if n.is_f64() => Ok(Kind::WeakFloat),
        Arg::Lit(Json::Number(_)) => Ok(Kind::WeakInt),
        Arg::Lit(Json::Bool(_)) => Ok(Kind::Is(crate::tensor::DType::Bool)),
        _ => Err(cx.error("expected a tensor or a number")),
    }
}

/// The operand as a tensor of `dtype`.
pub fn convert(cx: &mut Cx, arg: &Arg, dtype: crate::tensor::DType) -> Result<ValueId> {
    match arg {
        Arg::Tensor(t) => cx.cast(t.value, dtype),
        Arg::Lit(Json::Number(n)) => Ok(cx.scalar(dtype, n.as_f64().unwrap_or(f64::NAN))),
        Arg::Lit(Json::Bool(b)) => Ok(cx.scalar(dtype, f64::from(u8::from(*b)))),
        _ => Err(cx.error("expected a tensor or a number")),
    }
}

/// Both operands in the dtype they promote to.
pub fn promoted(cx: &mut Cx, call: &Call) -> Result<(ValueId, ValueId)> {
    let (a, b) = (operand(cx, call, 0, "x1")?, operand(cx, call, 1, "x2")?);
    let dtype = result_type(&[kind(cx, &a)?, kind(cx, &b)?]);
    Ok((convert(cx, &a, dtype)?, convert(cx, &b, dtype)?))
}

pub fn add(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = promoted(cx, call)?;
    Ok(cx.binary(Binary::Add, a, b)?.into())
}
