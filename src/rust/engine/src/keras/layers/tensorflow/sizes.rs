//! Sizes, and tensors made of them.

use super::args::{literal, number, sizes, Args};
use super::{by_place, Name};
use crate::error::Result;
use crate::graph::{Binary, ValueId};
use crate::keras::{Cx, Out};
use crate::optimize::known;
use crate::tensor::{DType, Tensor};
use serde_json::json;

/// The functions of [`lower`].
pub const NAMES: [&str; 13] = [
    "eye",
    "fill",
    "lin_space",
    "linspace",
    "ones",
    "range",
    "rank",
    "sequence_mask",
    "shape",
    "shape_v2",
    "size",
    "size_v2",
    "zeros",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out: ValueId = match name.function {
        "shape" | "shape_v2" => {
            let x = a.first(cx)?;
            let dtype = a.dtype(cx, "out_type")?.unwrap_or(DType::I32);
            let shape: Vec<i64> = cx.shape(x).iter().map(|&n| n as i64).collect();
            let shape = Tensor::from_slice([shape.len()], &shape);
            let shape = sized(cx, shape);
            cx.cast(shape, dtype)?
        }
        "size" | "size_v2" => {
            let x = a.first(cx)?;
            let dtype = a.dtype(cx, "out_type")?.unwrap_or(DType::I32);
            let n = cx.fact(x).numel();
            let n = sized(cx, Tensor::scalar(DType::I64, n as f64));
            cx.cast(n, dtype)?
        }
        "rank" => {
            let x = a.first(cx)?;
            let rank = cx.rank(x) as f64;
            cx.scalar(DType::I32, rank)
        }
        "fill" | "zeros" | "ones" => {
            let shape = sizes(cx, &a.first)?;
            let value = match name.function {
                "fill" => a.tensor(cx, "value")?,
                _ => {
                    let dtype = a.dtype(cx, "dtype")?.unwrap_or(DType::F32);
                    cx.scalar(dtype, f64::from(u8::from(name.function == "ones")))
                }
            };
            cx.broadcast_to(value, &shape)?
        }
        "eye" => {
            let rows = sizes(cx, &a.first)?[0];
            let columns = a
                .int(cx, "num_columns")?
                .map_or(rows, |n| n.max(0) as usize);
            let dtype = a.dtype(cx, "dtype")?.unwrap_or(DType::F32);
            let eye = by_place(cx, rows, columns, |i, j| i == j)?;
            let eye = cx.cast(eye, dtype)?;
            let lead = a.ints(cx, "batch_shape")?.unwrap_or_default();
            let mut shape: Vec<usize> = lead.iter().map(|&n| n.max(0) as usize).collect();
            shape.extend([rows, columns]);
            cx.broadcast_to(eye, &shape)?
        }
        "range" => range(cx, a)?,
        "linspace" | "lin_space" => {
            let (start, stop) = (number(cx, &a.first)?, a.number(cx, "stop", 0.0)?);
            let n = a.int(cx, "num")?.unwrap_or(1).max(0) as usize;
            let step = (stop - start) / n.saturating_sub(1).max(1) as f64;
            let at = |i: usize| match i > 0 && i == n - 1 {
                true => stop,
                false => start + step * i as f64,
            };
            cx.generated([n], |i| at(i) as f32)?
        }
        "sequence_mask" => {
            let lengths = a.first(cx)?;
            let n = match a.int(cx, "maxlen")? {
                Some(n) => n.max(0),
                None => match known(&cx.graph, lengths)? {
                    Some(t) => t.to_f64().into_iter().fold(0.0, f64::max) as i64,
                    None => return Err(cx.call_error("`maxlen` must be known before the run")),
                },
            };
            let places = cx.generated([n as usize], |i| i as i64)?;
            let lengths = cx.cast(lengths, DType::I64)?;
            let lengths = cx.expand_dims(lengths, -1)?;
            let mask = cx.binary(Binary::Lt, places, lengths)?;
            let dtype = a.dtype(cx, "dtype")?.unwrap_or(DType::Bool);
            cx.cast(mask, dtype)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

/// A constant that says how many rows there are.
fn sized(cx: &mut Cx, tensor: Tensor) -> ValueId {
    let value = cx.constant(tensor);
    cx.graph.sizes.push(value);
    value
}

fn range(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let first = literal(&a.first).unwrap_or_default();
    let (start, limit) = match a.json(cx, "limit")? {
        Some(limit) => (first, limit),
        None => (json!(0), first),
    };
    let delta = a.json(cx, "delta")?.unwrap_or(json!(1));
    let all = [&start, &limit, &delta];
    let dtype = match a.dtype(cx, "dtype")? {
        Some(d) => d,
        None if all.iter().all(|v| v.is_i64()) => DType::I32,
        None => DType::F32,
    };
    let numbers: Option<Vec<f64>> = all.iter().map(|v| v.as_f64()).collect();
    let Some(&[start, limit, delta]) = numbers.as_deref() else {
        return Err(cx.call_error("a range must be known before the run"));
    };
    let n = ((limit - start) / delta).ceil();
    if n.is_nan() || n >= 1e9 {
        return Err(cx.call_error("a range must have an end"));
    }
    let values = cx.generated([n.max(0.0) as usize], |i| start + delta * i as f64)?;
    cx.cast(values, dtype)
}
