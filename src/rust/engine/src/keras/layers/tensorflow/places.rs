//! Parts and places of tensors.

use super::args::{ints, literal, Args};
use super::{like::op, Name};
use crate::error::Result;
use crate::graph::{Binary, Reduce, ValueId};
use crate::keras::layer::Call;
use crate::keras::{Arg, Cx, Out};
use crate::nest::Nest;
use crate::tensor::{counted, DType, Tensor};
use serde_json::{json, Value as Json};

/// The functions of [`lower`].
pub const NAMES: [&str; 8] = [
    "boolean_mask",
    "embedding_lookup",
    "gather",
    "gather_nd",
    "getitem",
    "one_hot",
    "reverse_sequence",
    "split",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out: ValueId = match name.function {
        "getitem" => {
            let key = match a.get("slice_spec") {
                Some(Arg::List(items)) => Arg::List(items.iter().map(index).collect()),
                Some(one) => index(one),
                None => return Ok(None),
            };
            let call = Call {
                args: vec![a.first.clone(), key],
                kwargs: vec![],
            };
            return op(cx, "GetItem", json!({}), call).map(Some);
        }
        "gather" => {
            let (x, i) = (a.first(cx)?, a.tensor(cx, "indices")?);
            let i = whole(cx, i)?;
            let batch = a.int(cx, "batch_dims")?.unwrap_or(0) as isize;
            let batch = if batch < 0 {
                batch + cx.rank(i) as isize
            } else {
                batch
            };
            let axis = a.int(cx, "axis")?.map_or(batch, |v| v as isize);
            let axis = cx.axis(axis, cx.rank(x))?;
            cx.gather(x, i, axis, batch.max(0) as usize)?
        }
        "embedding_lookup" if a.get("max_norm").is_none() => {
            let (x, i) = (a.first(cx)?, a.tensor(cx, "ids")?);
            let i = whole(cx, i)?;
            cx.gather(x, i, 0, 0)?
        }
        "gather_nd" => gather_nd(cx, a)?,
        "boolean_mask" => {
            let x = a.first(cx)?;
            let mask = a.json(cx, "mask")?;
            let mask = mask
                .as_ref()
                .and_then(Json::as_array)
                .filter(|m| !m.is_empty());
            let axis = a.int(cx, "axis")?.unwrap_or(0) as isize;
            let axis = cx.axis(axis, cx.rank(x))?;
            let Some(mask) = mask else {
                return Err(cx.call_error("`mask` must be known before the run"));
            };
            let kept: Vec<i32> = (0..)
                .zip(mask)
                .filter(|(_, m)| m.as_bool() == Some(true))
                .map(|(i, _)| i)
                .collect();
            if mask.iter().any(|m| !m.is_boolean()) || mask.len() != cx.dim(x, axis as isize)? {
                return Err(cx.call_error("`mask` must have a value for each entry of one axis"));
            }
            let kept = cx.i32s([kept.len()], &kept);
            cx.gather(x, kept, axis, 0)?
        }
        "one_hot" => one_hot(cx, a)?,
        "reverse_sequence" => {
            let x = a.first(cx)?;
            let lengths = a.tensor(cx, "seq_lengths")?;
            let axis = |cx: &Cx, keys: [&str; 2]| -> Result<usize> {
                let given = match a.int(cx, keys[0])? {
                    Some(v) => v,
                    None => a.int(cx, keys[1])?.unwrap_or(0),
                };
                cx.axis(given as isize, cx.rank(x))
            };
            let (time, rows) = (
                axis(cx, ["seq_axis", "seq_dim"])?,
                axis(cx, ["batch_axis", "batch_dim"])?,
            );
            if (rows, time) != (0, 1) {
                return Err(cx.call_error("sequences must be along axis 1"));
            }
            let n = cx.dim(x, 1)?;
            let places = cx.generated([1, n], |i| i as i64)?;
            let lengths = cx.cast(lengths, DType::I64)?;
            let lengths = cx.expand_dims(lengths, -1)?;
            let last = cx.add_s(lengths, -1.0)?;
            let turned = cx.sub(last, places)?;
            let inside = cx.binary(Binary::Lt, places, lengths)?;
            let from = cx.select(inside, turned, places)?;
            cx.gather(x, from, 1, 1)?
        }
        "split" => {
            let x = a.first(cx)?;
            let axis = a.int(cx, "axis")?.unwrap_or(0) as isize;
            let n = cx.dim(x, axis)?;
            let given = a.json(cx, "num_or_size_splits")?.unwrap_or_default();
            let parts: Vec<usize> = match (ints(&given), given.is_array()) {
                (Some(v), true) => {
                    let used: i64 = v.iter().filter(|&&s| s >= 0).sum();
                    let rest = n as i64 - used;
                    v.iter()
                        .map(|&s| if s < 0 { rest } else { s }.max(0) as usize)
                        .collect()
                }
                (Some(v), false) if v[0] > 0 && n % v[0] as usize == 0 => {
                    vec![n / v[0] as usize; v[0] as usize]
                }
                _ => {
                    return Err(cx.error(format!(
                        "{n} entries can't be cut into equal parts, or parts of these sizes"
                    )))
                }
            };
            if parts.iter().sum::<usize>() != n {
                return Err(cx.error(format!("can't split {n} entries into {parts:?}")));
            }
            let mut start = 0;
            let mut outs: Vec<Out> = Vec::new();
            for len in parts {
                outs.push(cx.slice_axis(x, axis, start, start + len)?.into());
                start += len;
            }
            return Ok(Some(Nest::List(outs)));
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

/// Indices as int32 or int64.
fn whole(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    match cx.dtype(x) {
        DType::I32 | DType::I64 => Ok(x),
        _ => cx.cast(x, DType::I32),
    }
}

/// One part of an index as `keras.ops` has it.
fn index(part: &Arg) -> Arg {
    let Some(v) = literal(part) else {
        return part.clone();
    };
    match v.as_object() {
        Some(o) if o.contains_key("start") && o.contains_key("stop") => Arg::Lit(json!({
            "class_name": "__slice__",
            "config": {"start": o["start"], "stop": o["stop"], "step": o.get("step")},
        })),
        _ => Arg::Lit(v),
    }
}

fn gather_nd(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let (x, i) = (a.first(cx)?, a.tensor(cx, "indices")?);
    let i = cx.cast(i, DType::I64)?;
    let batch = a.int(cx, "batch_dims")?.unwrap_or(0).max(0) as usize;
    let (shape, places) = (cx.shape(x), cx.shape(i));
    let k = places.last().copied().unwrap_or(0);
    let Some(inner) = shape.get(batch..batch + k) else {
        return Err(cx.error(format!(
            "{} too many for {} with {} of the batch",
            counted(k, "index is", "indices are"),
            cx.fact(x),
            counted(batch, "axis", "axes")
        )));
    };
    let mut steps = vec![1i64; k];
    for at in (1..k).rev() {
        steps[at - 1] = steps[at] * inner[at] as i64;
    }
    let steps = cx.constant(Tensor::from_slice([k], &steps));
    let product = cx.mul(i, steps)?;
    let last = cx.rank(product) - 1;
    let flat = cx.reduce(Reduce::Sum, product, &[last], false)?;
    let all: usize = inner.iter().product();
    let table = [&shape[..batch], &[all], &shape[batch + k..]].concat();
    let x = cx.reshape(x, &table)?;
    cx.gather(x, flat, batch, batch)
}

fn one_hot(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let n = a.int(cx, "depth")?.unwrap_or(0).max(0) as usize;
    let rank = cx.rank(x) + 1;
    let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
    let at = cx.axis(axis, rank)?;
    let x = cx.cast(x, DType::I64)?;
    let x = cx.expand_dims(x, at as isize)?;
    let mut shape = vec![1; rank];
    shape[at] = n;
    let classes = cx.generated(shape, |i| i as i64)?;
    let hot = cx.binary(Binary::Eq, x, classes)?;
    let given = a.dtype(cx, "dtype")?;
    let value = |cx: &mut Cx, key: &str| match a.get(key) {
        Some(_) => a.tensor(cx, key).map(Some),
        None => Ok(None),
    };
    let (on, off) = (value(cx, "on_value")?, value(cx, "off_value")?);
    let dtype = given
        .or_else(|| on.or(off).map(|v| cx.dtype(v)))
        .unwrap_or(DType::F32);
    if on.is_none() && off.is_none() {
        return cx.cast(hot, dtype);
    }
    let on = match on {
        Some(v) => cx.cast(v, dtype)?,
        None => cx.scalar(dtype, 1.0),
    };
    let off = match off {
        Some(v) => cx.cast(v, dtype)?,
        None => cx.scalar(dtype, 0.0),
    };
    cx.select(hot, on, off)
}
