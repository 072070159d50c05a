//! Activations and normalizations.

use super::args::Args;
use super::{by_place, like::op, Name};
use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::keras::layer::Call;
use crate::keras::{Cx, Out};
use crate::nest::Nest;
use crate::tensor::DType;
use serde_json::json;

/// The functions of [`lower`].
pub const NAMES: [&str; 11] = [
    "batch_normalization",
    "crelu",
    "dropout",
    "l2_normalize",
    "local_response_normalization",
    "lrn",
    "moments",
    "reduce_mean",
    "relu",
    "silu",
    "swish",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out: ValueId = match name.function {
        "dropout" => match a.number(cx, "rate", 0.0)? {
            0.0 => a.first(cx)?,
            _ => return Err(cx.call_error("`tf.nn.dropout` draws TensorFlow's random numbers")),
        },
        "crelu" => {
            let x = a.first(cx)?;
            let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
            let y = cx.unary(Unary::Neg, x)?;
            let both = cx.concat(&[x, y], axis)?;
            cx.unary(Unary::Relu, both)?
        }
        "silu" | "swish" => {
            let x = a.first(cx)?;
            let beta = a.number(cx, "beta", 1.0)?;
            match beta {
                1.0 => cx.unary(Unary::Silu, x)?,
                beta => {
                    let s = cx.mul_s(x, beta)?;
                    let s = cx.unary(Unary::Sigmoid, s)?;
                    cx.mul(x, s)?
                }
            }
        }
        "relu" => {
            let slope = match a.get("alpha") {
                Some(_) => a.number(cx, "alpha", 0.0)?,
                None => a.number(cx, "negative_slope", 0.0)?,
            };
            let max = a.json(cx, "max_value")?.unwrap_or_default();
            let threshold = a.number(cx, "threshold", 0.0)?;
            let config = json!({"negative_slope": slope, "max_value": max, "threshold": threshold});
            let call = Call {
                args: vec![a.first.clone()],
                kwargs: vec![],
            };
            return op(cx, "ReLU", config, call).map(Some);
        }
        "l2_normalize" => {
            let x = a.first(cx)?;
            let key = if a.get("axis").is_some() {
                "axis"
            } else {
                "dim"
            };
            let axes = a.axes(cx, key, cx.rank(x))?;
            let epsilon = a.number(cx, "epsilon", 1e-12)?;
            let square = cx.unary(Unary::Square, x)?;
            let total = cx.reduce(Reduce::Sum, square, &axes, true)?;
            let total = cx.clip(total, Some(epsilon), None)?;
            let by = cx.unary(Unary::Rsqrt, total)?;
            cx.mul(x, by)?
        }
        "moments" => {
            let x = a.first(cx)?;
            let axes = a.axes(cx, "axes", cx.rank(x))?;
            let keep = a.flag("keepdims") || a.flag("keep_dims");
            let (mean, var) = moments(cx, x, &axes)?;
            let (mean, var) = match keep {
                true => (mean, var),
                false => {
                    let kept = |cx: &Cx, v: ValueId| -> Vec<usize> {
                        let shape = cx.shape(v);
                        (0..shape.len())
                            .filter(|i| !axes.contains(i))
                            .map(|i| shape[i])
                            .collect()
                    };
                    let shape = kept(cx, mean);
                    (cx.reshape(mean, &shape)?, cx.reshape(var, &shape)?)
                }
            };
            return Ok(Some(Nest::List(vec![mean.into(), var.into()])));
        }
        "batch_normalization" => {
            let x = a.first(cx)?;
            let (mean, var) = (a.like(cx, "mean", x)?, a.like(cx, "variance", x)?);
            let epsilon = a.number(cx, "variance_epsilon", 0.0)?;
            let var = cx.add_s(var, epsilon)?;
            let mut by = cx.unary(Unary::Rsqrt, var)?;
            if a.get("scale").is_some() {
                let scale = a.like(cx, "scale", x)?;
                by = cx.mul(by, scale)?;
            }
            let y = cx.sub(x, mean)?;
            let y = cx.mul(y, by)?;
            match a.get("offset").is_some() {
                true => {
                    let offset = a.like(cx, "offset", x)?;
                    cx.add(y, offset)?
                }
                false => y,
            }
        }
        "lrn" | "local_response_normalization" => {
            let x = a.first(cx)?;
            let radius = a.int(cx, "depth_radius")?.unwrap_or(5).max(0) as usize;
            let (bias, alpha, beta) = (
                a.number(cx, "bias", 1.0)?,
                a.number(cx, "alpha", 1.0)?,
                a.number(cx, "beta", 0.5)?,
            );
            let n = cx.dim(x, -1)?;
            let square = cx.unary(Unary::Square, x)?;
            let near = by_place(cx, n, n, |i, j| i.abs_diff(j) <= radius)?;
            let dtype = cx.dtype(x);
            let near = cx.cast(near, dtype)?;
            let total = cx.matmul(square, near, false, false)?;
            let total = cx.mul_s(total, alpha)?;
            let total = cx.add_s(total, bias)?;
            let power = cx.scalar(dtype, -beta);
            let by = cx.binary(Binary::Pow, total, power)?;
            cx.mul(x, by)?
        }
        "reduce_mean" => {
            let x = a.first(cx)?;
            if cx.dtype(x).is_float() {
                return Ok(None);
            }
            let key = if a.get("axis").is_some() {
                "axis"
            } else {
                "reduction_indices"
            };
            let axes = a.axes(cx, key, cx.rank(x))?;
            let n: usize = axes.iter().map(|&i| cx.shape(x)[i]).product();
            let keep = a.flag("keepdims") || a.flag("keep_dims");
            let dtype = cx.dtype(x);
            let total = cx.reduce(Reduce::Sum, x, &axes, keep)?;
            let total = cx.cast(total, DType::F64)?;
            let mean = cx.div_s(total, n as f64)?;
            cx.cast(mean, dtype)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

/// Mean and variance over axes that stay.
pub(super) fn moments(cx: &mut Cx, x: ValueId, axes: &[usize]) -> Result<(ValueId, ValueId)> {
    let mean = cx.reduce(Reduce::Mean, x, axes, true)?;
    let d = cx.sub(x, mean)?;
    let d = cx.unary(Unary::Square, d)?;
    Ok((mean, cx.reduce(Reduce::Mean, d, axes, true)?))
}
