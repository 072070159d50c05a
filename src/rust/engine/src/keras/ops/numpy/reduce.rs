//! Reductions, running reductions, sorting and order statistics.

use crate::error::Result;
use crate::graph::{Binary, Cumulate, Reduce, Unary, ValueId};
use crate::keras::ops::args::*;
use crate::keras::ops::numpy::elementwise::without_nan;
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Arg, Call, Cfg, Cx, Out};
use crate::tensor::{show_shape, DType};

/// The tensor, the axes of the config, and whether they stay.
struct Reduction {
    x: ValueId,
    axes: Vec<usize>,
    keepdims: bool,
}

impl Reduction {
    fn read(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Reduction> {
        let x = tensor(cx, call, 0, "x")?;
        Ok(Reduction {
            x,
            axes: axes(cx, cfg, "axis", cx.rank(x))?,
            keepdims: cfg.bool_or("keepdims", false)?,
        })
    }

    fn of(&self, cx: &mut Cx, kind: Reduce, x: ValueId) -> Result<ValueId> {
        cx.reduce(kind, x, &self.axes, self.keepdims)
    }

    /// How many elements go into one.
    fn count(&self, cx: &Cx) -> usize {
        let shape = cx.shape(self.x);
        self.axes.iter().map(|&a| shape[a]).product()
    }
}

/// The dtype sums and products are computed in: small integers grow to 32 bits.
pub fn sum_dtype(dtype: DType) -> DType {
    match dtype {
        DType::Bool | DType::I8 | DType::I16 => DType::I32,
        DType::U8 | DType::U16 => DType::U32,
        d => d,
    }
}

pub fn sum(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let wide = sum_dtype(cx.dtype(r.x));
    let x = cx.cast(r.x, wide)?;
    Ok(r.of(cx, Reduce::Sum, x)?.into())
}

pub fn prod(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    // Keras reads the dtype only where it is not given.
    let x = match dtype(cfg, "dtype")? {
        Some(_) => r.x,
        None => {
            let own = result_type(&[Kind::Is(cx.dtype(r.x))]);
            cx.cast(r.x, sum_dtype(own))?
        }
    };
    Ok(r.of(cx, Reduce::Prod, x)?.into())
}

pub fn mean(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let own = cx.dtype(r.x);
    let compute = result_type(&[Kind::Is(own), Kind::Is(DType::F32)]);
    let x = cx.cast(r.x, compute)?;
    let y = r.of(cx, Reduce::Mean, x)?;
    let result = if own.is_float() { own } else { compute };
    Ok(cx.cast(y, result)?.into())
}

/// Mean of the squared distances from the mean.
fn variance(cx: &mut Cx, r: &Reduction, x: ValueId) -> Result<ValueId> {
    let m = own_mean(cx, r, x, true)?;
    let d = cx.sub(x, m)?;
    let d = cx.unary(Unary::Square, d)?;
    own_mean(cx, r, d, r.keepdims)
}

/// The mean, which TensorFlow takes of a float16 sum where it is not asked for more.
fn own_mean(cx: &mut Cx, r: &Reduction, x: ValueId, keep: bool) -> Result<ValueId> {
    if cx.dtype(x) != DType::F16 {
        return cx.reduce(Reduce::Mean, x, &r.axes, keep);
    }
    let sum = cx.reduce(Reduce::Sum, x, &r.axes, keep)?;
    let count = r.count(cx) as f64;
    cx.binary_s(Binary::Div, sum, count)
}

pub fn var(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let own = Kind::Is(cx.dtype(r.x));
    let x = cx.cast(r.x, result_type(&[own, Kind::Is(DType::F32)]))?;
    let y = variance(cx, &r, x)?;
    Ok(cx.cast(y, result_type(&[own, Kind::WeakFloat]))?.into())
}

pub fn std(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let x = to_float(cx, r.x)?;
    let y = variance(cx, &r, x)?;
    Ok(cx.unary(Unary::Sqrt, y)?.into())
}

/// Maximum or minimum, also over a config's `initial`.
pub fn extreme(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: Reduce) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let (max, any) = match kind {
        Reduce::Max => (Binary::Max, Reduce::Any),
        _ => (Binary::Min, Reduce::All),
    };
    let bools = cx.dtype(r.x) == DType::Bool;
    let y = r.of(cx, if bools { any } else { kind }, r.x)?;
    let Some(initial) = cfg.opt_f64("initial")? else {
        return Ok(y.into());
    };
    let wide = if bools { DType::I32 } else { cx.dtype(y) };
    let y = cx.cast(y, wide)?;
    let y = cx.binary_s(max, y, initial)?;
    Ok(cx.cast(y, if bools { DType::Bool } else { wide })?.into())
}

pub fn ptp(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let high = r.of(cx, Reduce::Max, r.x)?;
    let low = r.of(cx, Reduce::Min, r.x)?;
    Ok(cx.sub(high, low)?.into())
}

/// Any or all of what is not 0.
pub fn truth(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: Reduce) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let x = to_bool(cx, r.x)?;
    Ok(r.of(cx, kind, x)?.into())
}

pub fn count_nonzero(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let x = to_bool(cx, r.x)?;
    let x = cx.cast(x, DType::I32)?;
    Ok(r.of(cx, Reduce::Sum, x)?.into())
}

pub fn logsumexp(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let x = to_float(cx, r.x)?;
    Ok(r.of(cx, Reduce::LogSumExp, x)?.into())
}

/// The index of the largest or smallest element, along one axis or of all.
fn arg_index(cx: &mut Cx, cfg: &Cfg, x: ValueId, kind: Reduce, keepdims: bool) -> Result<ValueId> {
    let rank = cx.rank(x);
    let (y, axis) = flat_or_axis(cx, cfg, "axis", x)?;
    let at = cx.axis(axis, cx.rank(y))?;
    let whole = cfg.opt_int("axis")?.is_none();
    let y = cx.reduce(kind, y, &[at], keepdims && !whole)?;
    match keepdims && whole {
        true => cx.reshape(y, &vec![1; rank]),
        false => Ok(y),
    }
}

pub fn arg_extreme(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: Reduce) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = match cx.dtype(x) {
        DType::Bool => cx.cast(x, DType::U8)?,
        _ => x,
    };
    let keepdims = cfg.bool_or("keepdims", false)?;
    Ok(arg_index(cx, cfg, x, kind, keepdims)?.into())
}

/// As [`arg_extreme`] without NaN, -1 where there is nothing else.
pub fn nan_arg_extreme(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: Reduce) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    if !cx.dtype(r.x).is_float() {
        return arg_extreme(cx, cfg, call, kind);
    }
    let worst = match kind {
        Reduce::ArgMax => f64::NEG_INFINITY,
        _ => f64::INFINITY,
    };
    let nan = cx.unary(Unary::IsNan, r.x)?;
    let x = replaced(cx, nan, r.x, worst)?;
    let at = arg_index(cx, cfg, x, kind, r.keepdims)?;
    let none = r.of(cx, Reduce::All, nan)?;
    Ok(replaced(cx, none, at, -1.0)?.into())
}

fn replaced(cx: &mut Cx, which: ValueId, x: ValueId, value: f64) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let value = cx.scalar(dtype, value);
    cx.select(which, value, x)
}

/// Maximum or minimum of what is not NaN.
pub fn nan_extreme(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: Reduce) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    if !cx.dtype(r.x).is_float() {
        return extreme(cx, cfg, call, kind);
    }
    let worst = match kind {
        Reduce::Max => f64::NEG_INFINITY,
        _ => f64::INFINITY,
    };
    let nan = cx.unary(Unary::IsNan, r.x)?;
    let x = replaced(cx, nan, r.x, worst)?;
    let y = r.of(cx, kind, x)?;
    let none = r.of(cx, Reduce::All, nan)?;
    Ok(replaced(cx, none, y, f64::NAN)?.into())
}

/// NaN as a neutral element; other dtypes as they are.
fn nan_as(cx: &mut Cx, x: ValueId, value: f64) -> Result<ValueId> {
    if !cx.dtype(x).is_float() {
        return Ok(x);
    }
    let nan = cx.unary(Unary::IsNan, x)?;
    replaced(cx, nan, x, value)
}

pub fn nansum(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let x = nan_as(cx, r.x, 0.0)?;
    let wide = sum_dtype(cx.dtype(r.x));
    let x = cx.cast(x, wide)?;
    Ok(r.of(cx, Reduce::Sum, x)?.into())
}

pub fn nanprod(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let x = nan_as(cx, r.x, 1.0)?;
    let own = result_type(&[Kind::Is(cx.dtype(x))]);
    let x = cx.cast(x, sum_dtype(own))?;
    Ok(r.of(cx, Reduce::Prod, x)?.into())
}

/// Mean over what is not NaN, with the axes kept or not.
fn nan_mean(cx: &mut Cx, r: &Reduction, x: ValueId, keepdims: bool) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let clean = nan_as(cx, x, 0.0)?;
    let total = cx.reduce(Reduce::Sum, clean, &r.axes, keepdims)?;
    let count = valid(cx, x)?;
    let count = cx.cast(count, dtype)?;
    let count = cx.reduce(Reduce::Sum, count, &r.axes, keepdims)?;
    cx.div(total, count)
}

fn valid(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let nan = cx.unary(Unary::IsNan, x)?;
    cx.unary(Unary::Not, nan)
}

pub fn nanmean(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    if r.axes.is_empty() {
        return Ok(r.x.into());
    }
    let x = to_float(cx, r.x)?;
    Ok(nan_mean(cx, &r, x, r.keepdims)?.into())
}

fn nan_variance(cx: &mut Cx, r: &Reduction) -> Result<ValueId> {
    let x = to_float(cx, r.x)?;
    let m = nan_mean(cx, r, x, true)?;
    let d = cx.sub(x, m)?;
    let d = cx.unary(Unary::Square, d)?;
    let ok = valid(cx, x)?;
    let not = cx.unary(Unary::Not, ok)?;
    let d = replaced(cx, not, d, 0.0)?;
    let dtype = cx.dtype(x);
    let count = cx.cast(ok, dtype)?;
    let count = r.of(cx, Reduce::Sum, count)?;
    let total = r.of(cx, Reduce::Sum, d)?;
    cx.div(total, count)
}

pub fn nanvar(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    Ok(nan_variance(cx, &r)?.into())
}

pub fn nanstd(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let v = nan_variance(cx, &r)?;
    Ok(cx.unary(Unary::Sqrt, v)?.into())
}

/// Mean, weighted by the call's weights.
pub fn average(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let weights = opt_tensor(cx, call, 1, "weights")?;
    let mut kinds = vec![Kind::Is(cx.dtype(r.x)), Kind::WeakFloat];
    kinds.extend(weights.map(|w| Kind::Is(cx.dtype(w))));
    let dtype = result_type(&kinds);
    let x = cx.cast(r.x, dtype)?;
    let Some(w) = weights else {
        if dtype != DType::F16 {
            return Ok(r.of(cx, Reduce::Mean, x)?.into());
        }
        let total = r.of(cx, Reduce::Sum, x)?;
        let count = cx.graph.fact(x).numel() / cx.graph.fact(total).numel().max(1);
        let count = cx.scalar(dtype, count as f64);
        return Ok(cx.div(total, count)?.into());
    };
    let mut w = cx.cast(w, dtype)?;
    if cx.rank(w) != cx.rank(x) {
        let (1, [axis]) = (cx.rank(w), r.axes.as_slice()) else {
            return Err(cx.error(format!(
                "weights must be of the rank of {}, or along one axis, not of shape {}",
                show_shape(&cx.shape(x)),
                show_shape(&cx.shape(w))
            )));
        };
        let mut shape = vec![1; cx.rank(x)];
        shape[*axis] = cx.dim(w, 0)?;
        w = cx.reshape(w, &shape)?;
    }
    let product = cx.mul(x, w)?;
    let total = r.of(cx, Reduce::Sum, product)?;
    let weight = r.of(cx, Reduce::Sum, w)?;
    Ok(cx.div(total, weight)?.into())
}

/// A running reduction.
pub fn cumulative(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: Cumulate) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    running(cx, cfg, x, kind)
}

/// A running reduction in which NaN has no effect.
pub fn nan_cumulative(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: Cumulate) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let neutral = if kind == Cumulate::Prod { 1.0 } else { 0.0 };
    let x = without_nan(cx, x, neutral, None, None)?;
    running(cx, cfg, x, kind)
}

fn running(cx: &mut Cx, cfg: &Cfg, x: ValueId, kind: Cumulate) -> Result<Out> {
    let x = match dtype(cfg, "dtype")? {
        Some(d) => cx.cast(x, d)?,
        None => x,
    };
    let x = match cx.dtype(x) {
        DType::Bool => cx.cast(x, DType::I32)?,
        _ => x,
    };
    let (x, axis) = flat_or_axis(cx, cfg, "axis", x)?;
    Ok(cx.cumulate(kind, x, axis, false)?.into())
}

/// Values and indices sorted upwards along an axis.
fn sorted(cx: &mut Cx, x: ValueId, axis: isize) -> Result<(ValueId, ValueId)> {
    let rank = cx.rank(x);
    let at = cx.axis(axis, rank)?;
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(at, rank - 1);
    let t = cx.transpose(x, &perm)?;
    let (v, i) = cx.sort(t, false)?;
    Ok((cx.transpose(v, &perm)?, cx.transpose(i, &perm)?))
}

pub fn sort(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let own = cx.dtype(x);
    let (x, axis) = sort_axis(cx, cfg, x)?;
    let y = sorted(cx, x, axis)?.0;
    Ok(cx.cast(y, own)?.into())
}

pub fn argsort(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    if cx.rank(x) == 0 {
        return Ok(cx.i32s([1], &[0]).into());
    }
    let (x, axis) = sort_axis(cx, cfg, x)?;
    Ok(sorted(cx, x, axis)?.1.into())
}

/// The axis to sort along: the last by default, all elements where it is null.
fn sort_axis(cx: &mut Cx, cfg: &Cfg, x: ValueId) -> Result<(ValueId, isize)> {
    let x = match cx.dtype(x) {
        DType::Bool => cx.cast(x, DType::U8)?,
        _ => x,
    };
    match cfg.has("axis") {
        true => flat_or_axis(cx, cfg, "axis", x),
        false => Ok((x, -1)),
    }
}

/// The `k` largest elements of the last axis and where they are.
pub fn top_k(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let k = cfg.usize("k")?;
    let sorted = cfg.bool_or("sorted", true)?;
    let (values, indices) = cx.sort_first(x, true, k, !sorted)?;
    Ok(Out::List(vec![values.into(), indices.into()]))
}

pub fn median(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    quantiles(cx, &r, &[0.5], true, "linear")
}

/// Quantiles at the call's literal `q`. Keras' node has a method, but does not
/// use it.
pub fn quantile(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    cfg.pass_over(&["method"]);
    at_ranks(cx, cfg, call, "linear", 1.0)
}

/// Quantiles at hundredths of the call's literal `q`.
pub fn percentile(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let methods = &["linear", "lower", "higher", "midpoint", "nearest"];
    let method = cfg.one_of("method", "linear", methods)?;
    at_ranks(cx, cfg, call, method, 100.0)
}

fn at_ranks(cx: &mut Cx, cfg: &Cfg, call: &Call, method: &str, scale: f64) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    let (q, scalar) = ranks(cx, call, scale)?;
    quantiles(cx, &r, &q, scalar, method)
}

/// The argument `q` over `scale`, and whether it is a single number.
fn ranks(cx: &mut Cx, call: &Call, scale: f64) -> Result<(Vec<f64>, bool)> {
    let q = argument(cx, call, 1, "q")?;
    let (q, scalar) = numbers(&q).ok_or_else(|| cx.call_error("`q` must be numbers"))?;
    // Keras rounds the numbers to float32.
    let round = |&v: &f64| f64::from(v as f32 / scale as f32);
    Ok((q.iter().map(round).collect(), scalar))
}

pub fn nanmedian(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    nan_quantiles(cx, cfg, call, "linear", (vec![0.5], true))
}

/// Quantiles of what is not NaN; `scale` is what a `q` of 1 is written as.
pub fn nan_ranks(cx: &mut Cx, cfg: &Cfg, call: &Call, scale: f64) -> Result<Out> {
    let methods = &["linear", "lower", "higher", "midpoint", "nearest"];
    let method = cfg.one_of("method", "linear", methods)?;
    let q = ranks(cx, call, scale)?;
    nan_quantiles(cx, cfg, call, method, q)
}

/// As [`quantiles`], where how many elements there are is known in the run.
fn nan_quantiles(
    cx: &mut Cx,
    cfg: &Cfg,
    call: &Call,
    method: &str,
    (q, scalar): (Vec<f64>, bool),
) -> Result<Out> {
    let r = Reduction::read(cx, cfg, call)?;
    if !cx.dtype(r.x).is_float() {
        return Err(cx.call_error(format!("expected floats, not {}", cx.dtype(r.x))));
    }
    let (y, kept) = side_by_side(cx, &r)?;
    let there = valid(cx, y)?;
    let (y, _) = cx.sort(y, false)?;
    let there = cx.cast(there, DType::F64)?;
    let last = [cx.rank(y) - 1];
    let count = cx.reduce(Reduce::Sum, there, &last, true)?;
    let top = cx.add_s(count, -1.0)?;
    let dtype = cx.dtype(y);
    let mut outs = vec![];
    for &q in &q {
        let at = cx.mul_s(top, q)?;
        let (floor, ceil) = (cx.unary(Unary::Floor, at)?, cx.unary(Unary::Ceil, at)?);
        // Without elements the place is -1, where a NaN is.
        let pick = |cx: &mut Cx, i: ValueId| {
            let i = cx.clip(i, Some(0.0), None)?;
            let i = cx.cast(i, DType::I32)?;
            cx.take_along(y, i, -1)
        };
        let v = match method {
            "lower" => pick(cx, floor)?,
            "higher" => pick(cx, ceil)?,
            "nearest" => {
                let near = cx.unary(Unary::Round, at)?;
                pick(cx, near)?
            }
            "midpoint" => {
                let (a, b) = (pick(cx, floor)?, pick(cx, ceil)?);
                let s = cx.add(a, b)?;
                cx.mul_s(s, 0.5)?
            }
            _ => {
                let low = cx.add_s(ceil, -1.0)?;
                let low = cx.clip(low, Some(0.0), None)?;
                let high = cx.add_s(low, 1.0)?;
                let high = cx.minimum(high, top)?;
                let of_low = cx.sub(high, at)?;
                let of_low = cx.cast(of_low, dtype)?;
                let one = cx.scalar(dtype, 1.0);
                let of_high = cx.sub(one, of_low)?;
                let (a, b) = (pick(cx, high)?, pick(cx, low)?);
                let (a, b) = (cx.mul(a, of_high)?, cx.mul(b, of_low)?);
                cx.add(a, b)?
            }
        };
        outs.push(cx.reshape(v, &kept)?);
    }
    match scalar {
        true => Ok(outs[0].into()),
        false => Ok(stack(cx, &outs, 0)?.into()),
    }
}

/// The elements to reduce along the last axis, behind the others; and the shape
/// of the result.
fn side_by_side(cx: &mut Cx, r: &Reduction) -> Result<(ValueId, Vec<usize>)> {
    let shape = cx.shape(r.x);
    let rest: Vec<usize> = (0..shape.len()).filter(|a| !r.axes.contains(a)).collect();
    let perm = [rest.clone(), r.axes.clone()].concat();
    let y = cx.transpose(r.x, &perm)?;
    let mut lead: Vec<usize> = rest.iter().map(|&a| shape[a]).collect();
    lead.push(r.count(cx));
    let y = cx.reshape(y, &lead)?;
    let kept = (0..shape.len())
        .filter_map(|a| match r.axes.contains(&a) {
            true => r.keepdims.then_some(1),
            false => Some(shape[a]),
        })
        .collect();
    Ok((y, kept))
}

/// Literal numbers, and whether they are a single one.
fn numbers(arg: &Arg) -> Option<(Vec<f64>, bool)> {
    match arg {
        Arg::Lit(v) if v["class_name"] == "__numpy__" => {
            let value = &v["config"]["value"];
            match value.as_array() {
                Some(items) => Some((
                    items.iter().map(|v| v.as_f64()).collect::<Option<_>>()?,
                    false,
                )),
                None => Some((vec![value.as_f64()?], true)),
            }
        }
        Arg::Lit(v) => Some((vec![v.as_f64()?], true)),
        Arg::List(items) => {
            let each = items.iter().map(|a| match a {
                Arg::Lit(v) => v.as_f64(),
                _ => None,
            });
            Some((each.collect::<Option<_>>()?, false))
        }
        _ => None,
    }
}

/// Order statistics between the neighbours of `(n - 1) q`, as TensorFlow
/// Probability computes them. Several numbers make a new first axis.
fn quantiles(cx: &mut Cx, r: &Reduction, q: &[f64], scalar: bool, method: &str) -> Result<Out> {
    let own = Kind::Is(cx.dtype(r.x));
    let x = cx.cast(r.x, result_type(&[own, Kind::WeakFloat]))?;
    let n = r.count(cx);
    if n == 0 {
        return Err(cx.error("can't compute quantiles along an empty axis"));
    }
    let r = &Reduction {
        x,
        axes: r.axes.clone(),
        keepdims: r.keepdims,
    };
    let (y, kept) = side_by_side(cx, r)?;
    let (y, _) = cx.sort(y, false)?;
    let nan = cx.unary(Unary::IsNan, x)?;
    let nan = cx.reduce(Reduce::Any, nan, &r.axes, r.keepdims)?;
    let mut outs = vec![];
    for &q in q {
        let at = (n - 1) as f64 * q;
        let index = |v: f64| (v.max(0.0) as usize).min(n - 1);
        let pick = |cx: &mut Cx, i: usize| {
            let v = cx.index_axis(y, -1, i)?;
            cx.reshape(v, &kept)
        };
        let v = match method {
            "lower" => pick(cx, index(at.floor()))?,
            "higher" => pick(cx, index(at.ceil()))?,
            "nearest" => pick(cx, index(at.round_ties_even()))?,
            "midpoint" => {
                let (a, b) = (pick(cx, index(at.floor()))?, pick(cx, index(at.ceil()))?);
                let s = cx.add(a, b)?;
                cx.mul_s(s, 0.5)?
            }
            _ => {
                let low = index(at.ceil()).saturating_sub(1);
                let high = (low + 1).min(n - 1);
                let fraction = high as f64 - at;
                let (a, b) = (pick(cx, high)?, pick(cx, low)?);
                let a = cx.mul_s(a, 1.0 - fraction)?;
                let b = cx.mul_s(b, fraction)?;
                cx.add(a, b)?
            }
        };
        outs.push(replaced(cx, nan, v, f64::NAN)?);
    }
    match scalar {
        true => Ok(outs[0].into()),
        false => Ok(stack(cx, &outs, 0)?.into()),
    }
}

/// Correlation of the rows of a matrix.
pub fn corrcoef(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    cx.check_rank(x, 2)?;
    let x = to_float(cx, x)?;
    let n = cx.dim(x, -1)?;
    let last = [cx.rank(x) - 1];
    let m = cx.reduce(Reduce::Mean, x, &last, true)?;
    let d = cx.sub(x, m)?;
    let cov = cx.matmul(d, d, false, true)?;
    let cov = cx.div_s(cov, n as f64 - 1.0)?;
    let s = cx.unary(Unary::Square, d)?;
    let s = cx.reduce(Reduce::Sum, s, &last, true)?;
    let s = cx.div_s(s, n as f64 - 1.0)?;
    let s = cx.unary(Unary::Sqrt, s)?;
    let outer = cx.matmul(s, s, false, true)?;
    let y = cx.div(cov, outer)?;
    Ok(cx.clip(y, Some(-1.0), Some(1.0))?.into())
}
