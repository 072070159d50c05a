//! Arithmetic where TensorFlow differs from `keras.ops`.

use super::args::{operands, Args};
use super::{like::op, Name};
use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::keras::layer::Call;
use crate::keras::{Arg, Cx, Out};
use crate::tensor::DType;
use serde_json::json;

/// The functions of [`lower`].
pub const NAMES: [&str; 16] = [
    "clip_by_norm",
    "clip_by_value",
    "div",
    "divide",
    "mul_no_nan",
    "multiply_no_nan",
    "ndtri",
    "realdiv",
    "reciprocal_no_nan",
    "rint",
    "truediv",
    "truncatediv",
    "truncatemod",
    "xdivy",
    "xlog1py",
    "xlogy",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out: ValueId = match name.function {
        "divide" | "truediv" | "realdiv" | "div" => {
            let (x, y) = operands(cx, a, "y")?;
            match cx.dtype(x) {
                d if d.is_float() => cx.div(x, y)?,
                // Division of integers, as Python's `//` did before there was `/`.
                _ if name.function == "div" => cx.binary(Binary::FloorDiv, x, y)?,
                d => {
                    let wide = match d.size() {
                        1 | 2 => DType::F32,
                        _ => DType::F64,
                    };
                    let (x, y) = (cx.cast(x, wide)?, cx.cast(y, wide)?);
                    cx.div(x, y)?
                }
            }
        }
        "truncatediv" => {
            let (x, y) = operands(cx, a, "y")?;
            let dtype = cx.dtype(x);
            let (x, y) = (cx.cast(x, DType::F64)?, cx.cast(y, DType::F64)?);
            let q = cx.div(x, y)?;
            let q = cx.unary(Unary::Trunc, q)?;
            cx.cast(q, dtype)?
        }
        "truncatemod" => {
            let (x, y) = operands(cx, a, "y")?;
            let call = Call {
                args: vec![Arg::Tensor(x.into()), Arg::Tensor(y.into())],
                kwargs: vec![],
            };
            return op(cx, "Fmod", json!({}), call).map(Some);
        }
        "multiply_no_nan" | "mul_no_nan" => {
            let (x, y) = operands(cx, a, "y")?;
            let product = cx.mul(x, y)?;
            zero_where_zero(cx, y, product)?
        }
        "reciprocal_no_nan" => {
            let x = a.first(cx)?;
            let r = cx.unary(Unary::Reciprocal, x)?;
            zero_where_zero(cx, x, r)?
        }
        "xdivy" | "xlogy" | "xlog1py" => {
            let (x, y) = operands(cx, a, "y")?;
            let out = match name.function {
                "xdivy" => cx.div(x, y)?,
                "xlogy" => {
                    let l = cx.unary(Unary::Log, y)?;
                    cx.mul(x, l)?
                }
                _ => {
                    let l = cx.unary(Unary::Log1p, y)?;
                    cx.mul(x, l)?
                }
            };
            zero_where_zero(cx, x, out)?
        }
        "rint" => {
            let x = a.first(cx)?;
            cx.unary(Unary::Round, x)?
        }
        "ndtri" => {
            let x = a.first(cx)?;
            let x = cx.mul_s(x, 2.0)?;
            let x = cx.add_s(x, -1.0)?;
            let x = cx.unary(Unary::Erfinv, x)?;
            cx.mul_s(x, std::f64::consts::SQRT_2)?
        }
        "clip_by_value" => {
            let x = a.first(cx)?;
            let high = a.like(cx, "clip_value_max", x)?;
            let low = a.like(cx, "clip_value_min", x)?;
            let x = cx.minimum(x, high)?;
            cx.maximum(x, low)?
        }
        "clip_by_norm" => {
            let x = a.first(cx)?;
            let clip = a.like(cx, "clip_norm", x)?;
            let axes = a.axes(cx, "axes", cx.rank(x))?;
            let square = cx.unary(Unary::Square, x)?;
            let total = cx.reduce(Reduce::Sum, square, &axes, true)?;
            let norm = cx.unary(Unary::Sqrt, total)?;
            let scaled = cx.mul(x, clip)?;
            let by = cx.maximum(norm, clip)?;
            cx.div(scaled, by)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

fn zero_where_zero(cx: &mut Cx, x: ValueId, y: ValueId) -> Result<ValueId> {
    let is = cx.binary_s(Binary::Eq, x, 0.0)?;
    let dtype = cx.dtype(y);
    let zero = cx.scalar(dtype, 0.0);
    cx.select(is, zero, y)
}
