//! Statistics of `tf.math` and `tf.nn`.

use super::args::{literal, Args};
use super::Name;
use crate::error::Result;
use crate::graph::{Binary, Cumulate, Passing, Reduce, Unary, ValueId};
use crate::keras::{Cx, Out};
use crate::tensor::{DType, Fact};

/// The functions of [`lower`].
pub const NAMES: [&str; 5] = [
    "cumulative_logsumexp",
    "histogram_fixed_width",
    "histogram_fixed_width_bins",
    "searchsorted",
    "weighted_moments",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out: ValueId = match name.function {
        "cumulative_logsumexp" => running(cx, a)?,
        "searchsorted" => searched(cx, a)?,
        "weighted_moments" => return weighted(cx, a).map(Some),
        function => {
            let bins = a.int(cx, "nbins")?.unwrap_or(100).max(1);
            let dtype = a.dtype(cx, "dtype")?.unwrap_or(DType::I32);
            let at = bins_of(cx, a, bins as f64)?;
            if function.ends_with("bins") {
                return Ok(Some(cx.cast(at, dtype)?.into()));
            }
            let all = cx.fact(at).numel();
            let at = cx.reshape(at, &[all])?;
            let counts = cx.count(at, bins as usize, false)?;
            cx.cast(counts, dtype)?
        }
    };
    Ok(Some(out.into()))
}

/// The bin of each value, of those of equal width in a range.
fn bins_of(cx: &mut Cx, a: &Args, bins: f64) -> Result<ValueId> {
    let x = a.first(cx)?;
    let range = a.json(cx, "value_range")?;
    let range: Option<Vec<f64>> = range
        .as_ref()
        .and_then(|v| v.as_array())
        .and_then(|v| v.iter().map(|n| n.as_f64()).collect());
    let Some(&[low, high]) = range.as_deref() else {
        return Err(cx.call_error("`value_range` must be two numbers"));
    };
    let from_low = cx.add_s(x, -low)?;
    let part = cx.div_s(from_low, high - low)?;
    let at = cx.mul_s(part, bins)?;
    let at = cx.unary(Unary::Floor, at)?;
    let at = cx.clip(at, Some(0.0), Some(bins - 1.0))?;
    cx.cast(at, DType::I32)
}

/// Running logarithms of sums of exponentials; float64 holds what is far below the
/// largest value.
fn running(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let axis = a.int(cx, "axis")?.unwrap_or(0) as isize;
    let (own, at) = (cx.dtype(x), cx.axis(axis, cx.rank(x))?);
    let reverse = a.flag("reverse");
    let wide = cx.cast(x, DType::F64)?;
    let top = cx.reduce(Reduce::Max, wide, &[at], true)?;
    let below = cx.sub(wide, top)?;
    let powers = cx.unary(Unary::Exp, below)?;
    let sums = cx.cumulate(Cumulate::Sum, powers, axis, reverse)?;
    let logs = cx.unary(Unary::Log, sums)?;
    let y = cx.add(logs, top)?;
    let y = cx.cast(y, own)?;
    if !a.flag("exclusive") {
        return Ok(y);
    }
    let n = cx.dim(x, axis)?;
    let start = usize::from(reverse).min(n);
    let kept = cx.slice_axis(y, axis, start, (start + n).saturating_sub(1))?;
    let mut shape = cx.shape(x);
    shape[at] = n.min(1);
    let first = cx.full(Fact::new(own, shape), f64::NEG_INFINITY)?;
    match reverse {
        true => cx.concat(&[kept, first], axis),
        false => cx.concat(&[first, kept], axis),
    }
}

/// How many of the sorted numbers are below (or not above) each value, row by row.
fn searched(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let (sorted, values) = (a.first(cx)?, a.tensor(cx, "values")?);
    let passing = match a.text("side").unwrap_or("left") {
        "left" => Passing::Below,
        "right" => Passing::BelowOrEqual,
        other => return Err(cx.call_error(format!("can't search from side '{other}'"))),
    };
    let dtype = a.dtype(cx, "out_type")?.unwrap_or(DType::I32);
    let kind = cx.dtype(values);
    let sorted = match a.first.clone() {
        arg if literal(&arg).is_some() => cx.cast(sorted, kind)?,
        _ => sorted,
    };
    if cx.rank(sorted) == 1 && cx.rank(values) == 1 {
        let found = cx.search(values, sorted, passing)?;
        return cx.cast(found, dtype);
    }
    let values = cx.expand_dims(values, -1)?;
    let sorted = cx.expand_dims(sorted, -2)?;
    let is = match passing {
        Passing::Below => Binary::Lt,
        _ => Binary::Le,
    };
    let passed = cx.binary(is, sorted, values)?;
    let passed = cx.cast(passed, dtype)?;
    let last = [cx.rank(passed) - 1];
    cx.reduce(Reduce::Sum, passed, &last, false)
}

/// Mean and variance of values that count as often as their weights say.
fn weighted(cx: &mut Cx, a: &Args) -> Result<Out> {
    let x = a.first(cx)?;
    let axes = a.axes(cx, "axes", cx.rank(x))?;
    let weights = a.like(cx, "frequency_weights", x)?;
    let keep = a.flag("keepdims") || a.flag("keep_dims");
    let shape = cx.shape(x);
    let weights = cx.broadcast_to(weights, &shape)?;
    let all = cx.reduce(Reduce::Sum, weights, &axes, true)?;
    let part = |cx: &mut Cx, v: ValueId| -> Result<ValueId> {
        let v = cx.mul(weights, v)?;
        let sum = cx.reduce(Reduce::Sum, v, &axes, true)?;
        cx.div(sum, all)
    };
    let mean = part(cx, x)?;
    let from = cx.sub(x, mean)?;
    let square = cx.unary(Unary::Square, from)?;
    let variance = part(cx, square)?;
    let mut outs = vec![];
    for v in [mean, variance] {
        let kept = (0..shape.len()).filter(|i| !axes.contains(i));
        let short: Vec<usize> = kept.map(|i| shape[i]).collect();
        outs.push(match keep {
            true => v.into(),
            false => cx.reshape(v, &short)?.into(),
        });
    }
    Ok(Out::List(outs))
}
