//! Matrices and norms.

use super::args::Args;
use super::like::of_tensors;
use super::{by_place, Name};
use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::keras::ops::numpy::shape::diagonal_of;
use crate::keras::{Cx, Out};
use serde_json::{json, Value as Json};

/// The functions of [`lower`].
pub const NAMES: [&str; 8] = [
    "band_part",
    "clip_by_global_norm",
    "global_norm",
    "matvec",
    "norm",
    "normalize",
    "reduce_euclidean_norm",
    "trace",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out: ValueId = match name.function {
        "norm" | "reduce_euclidean_norm" => {
            let keep = a.flag("keepdims") || a.flag("keep_dims");
            norm(cx, a, keep)?
        }
        "matvec" => {
            let (x, y) = (a.first(cx)?, a.tensor(cx, "b")?);
            let y = cx.expand_dims(y, -1)?;
            let turned = a.flag("transpose_a") || a.flag("adjoint_a");
            let product = cx.matmul(x, y, turned, false)?;
            cx.squeeze(product, -1)?
        }
        "trace" => {
            let x = a.first(cx)?;
            let d = diagonal_of(cx, x, 0, [-2, -1])?;
            let last = cx.rank(d) - 1;
            cx.reduce(Reduce::Sum, d, &[last], false)?
        }
        "normalize" => {
            let x = a.first(cx)?;
            let size = norm(cx, a, true)?;
            let y = cx.div(x, size)?;
            return Ok(Some(Out::List(vec![y.into(), size.into()])));
        }
        "global_norm" | "clip_by_global_norm" => {
            let xs = a.all(cx)?;
            let size = global_norm(cx, &xs)?;
            if name.function == "global_norm" {
                return Ok(Some(size.into()));
            }
            let clip = a.tensor(cx, "clip_norm")?;
            let size = match a.get("use_norm") {
                Some(_) => a.tensor(cx, "use_norm")?,
                None => size,
            };
            let dtype = cx.dtype(size);
            let clip = cx.cast(clip, dtype)?;
            let one = cx.scalar(dtype, 1.0);
            let (most, by) = (cx.div(one, clip)?, cx.div(one, size)?);
            let by = cx.minimum(by, most)?;
            let by = cx.mul(clip, by)?;
            let mut outs = vec![];
            for x in xs {
                outs.push(cx.mul(x, by)?.into());
            }
            return Ok(Some(Out::List(vec![Out::List(outs), size.into()])));
        }
        "band_part" => {
            let x = a.first(cx)?;
            let bound = |n: Option<i64>| n.filter(|&n| n >= 0).map_or(usize::MAX, |n| n as usize);
            let (low, high) = (
                bound(a.int(cx, "num_lower")?),
                bound(a.int(cx, "num_upper")?),
            );
            let (m, n) = (cx.dim(x, -2)?, cx.dim(x, -1)?);
            let keep = by_place(cx, m, n, |i, j| {
                i.saturating_sub(j) <= low && j.saturating_sub(i) <= high
            })?;
            let dtype = cx.dtype(x);
            let zero = cx.scalar(dtype, 0.0);
            cx.select(keep, x, zero)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

/// Norms of vectors, and the Frobenius norm.
fn norm(cx: &mut Cx, a: &Args, keep: bool) -> Result<ValueId> {
    let x = a.first(cx)?;
    let given = a.axes(cx, "axis", cx.rank(x))?;
    let order = a.json(cx, "ord")?.unwrap_or(json!("euclidean"));
    let order = match &order {
        Json::String(s) if matches!(s.as_str(), "euclidean" | "fro") => 2.0,
        v => match crate::format::json::number(v).or(v.as_f64()) {
            Some(p) if p > 0.0 && given.len() == 1 => p,
            Some(_) if given.len() == 2 => {
                let config = json!({"ord": order, "axis": given, "keepdims": keep});
                return of_tensors(cx, "Norm", config, &[x]);
            }
            _ => return Err(cx.call_error(format!("a norm can't be of order {order}"))),
        },
    };
    let size = cx.unary(Unary::Abs, x)?;
    if order == f64::INFINITY {
        return cx.reduce(Reduce::Max, size, &given, keep);
    }
    if order == 1.0 {
        return cx.reduce(Reduce::Sum, size, &given, keep);
    }
    if order == 2.0 {
        let square = cx.unary(Unary::Square, x)?;
        let total = cx.reduce(Reduce::Sum, square, &given, keep)?;
        return cx.unary(Unary::Sqrt, total);
    }
    let dtype = cx.dtype(x);
    let p = cx.scalar(dtype, order);
    let powers = cx.binary(Binary::Pow, size, p)?;
    let total = cx.reduce(Reduce::Sum, powers, &given, keep)?;
    let root = cx.scalar(dtype, 1.0 / order);
    cx.binary(Binary::Pow, total, root)
}

/// The magnitude of all values of a list of tensors.
fn global_norm(cx: &mut Cx, xs: &[ValueId]) -> Result<ValueId> {
    let mut total = None;
    for &x in xs {
        let square = cx.unary(Unary::Square, x)?;
        let all: Vec<usize> = (0..cx.rank(x)).collect();
        let sum = cx.reduce(Reduce::Sum, square, &all, false)?;
        total = Some(match total {
            None => sum,
            Some(total) => cx.add(total, sum)?,
        });
    }
    let total = total.ok_or_else(|| cx.call_error("expected a list of tensors"))?;
    cx.unary(Unary::Sqrt, total)
}
