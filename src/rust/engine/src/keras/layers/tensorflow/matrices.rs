//! Matrices and norms.

use super::args::Args;
use super::{by_place, Name};
use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::keras::ops::numpy::shape::diagonal_of;
use crate::keras::{Cx, Out};
use serde_json::{json, Value as Json};

/// The functions of [`lower`].
pub const NAMES: [&str; 8] = [
    "band_part",
    "diag",
    "diag_part",
    "matvec",
    "norm",
    "reduce_euclidean_norm",
    "set_diag",
    "trace",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out: ValueId = match name.function {
        "norm" | "reduce_euclidean_norm" => norm(cx, a)?,
        "matvec" => {
            let (x, y) = (a.first(cx)?, a.tensor(cx, "b")?);
            let y = cx.expand_dims(y, -1)?;
            let turned = a.flag("transpose_a") || a.flag("adjoint_a");
            let product = cx.matmul(x, y, turned, false)?;
            cx.squeeze(product, -1)?
        }
        "diag" => {
            let x = a.first(cx)?;
            if a.int(cx, "k")?.unwrap_or(0) != 0 {
                return Err(cx.call_error("`k` must be 0"));
            }
            let n = cx.dim(x, -1)?;
            for key in ["num_rows", "num_cols"] {
                if !matches!(a.int(cx, key)?, None | Some(-1)) {
                    return Err(cx.call_error("the matrix must be as large as the diagonal"));
                }
            }
            let x = cx.expand_dims(x, -1)?;
            let eye = by_place(cx, n, n, |i, j| i == j)?;
            let dtype = cx.dtype(x);
            let zero = cx.scalar(dtype, 0.0);
            cx.select(eye, x, zero)?
        }
        "diag_part" | "trace" => {
            let x = a.first(cx)?;
            let k = match name.function {
                "trace" => 0,
                _ => a.int(cx, "k")?.unwrap_or(0),
            };
            let d = diagonal_of(cx, x, k, [-2, -1])?;
            match name.function {
                "trace" => {
                    let last = cx.rank(d) - 1;
                    cx.reduce(Reduce::Sum, d, &[last], false)?
                }
                _ => d,
            }
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
        "set_diag" => {
            let (x, d) = (a.first(cx)?, a.tensor(cx, "diagonal")?);
            if a.int(cx, "k")?.unwrap_or(0) != 0 {
                return Err(cx.call_error("`k` must be 0"));
            }
            let (m, n) = (cx.dim(x, -2)?, cx.dim(x, -1)?);
            let len = m.min(n);
            let at = cx.axis(-1, cx.rank(d))?;
            // Stretched along the rows: entry j of column j is what is taken.
            let mut pads = vec![(0, 0); cx.rank(d)];
            pads[at] = (0, n - len);
            let d = cx.pad(d, &pads, crate::graph::PadMode::Constant, 0.0)?;
            let d = cx.expand_dims(d, -2)?;
            let eye = by_place(cx, m, n, |i, j| i == j)?;
            cx.select(eye, d, x)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

/// Norms of vectors, and the Frobenius norm.
fn norm(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let given = a.axes(cx, "axis", cx.rank(x))?;
    let keep = a.flag("keepdims") || a.flag("keep_dims");
    let order = a.json(cx, "ord")?.unwrap_or(json!("euclidean"));
    let order = match &order {
        Json::String(s) if matches!(s.as_str(), "euclidean" | "fro") => 2.0,
        v => match crate::format::json::number(v).or(v.as_f64()) {
            Some(p) if p > 0.0 && given.len() == 1 => p,
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
