//! `keras.ops.nn`.

use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId, F};
use crate::keras::activations::Activation;
use crate::keras::layers::dot_product_attention as attention;
use crate::keras::ops::args::*;
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::DType;

/// An activation without options.
pub fn activation(cx: &mut Cx, call: &Call, activation: Activation) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    Ok(activation.apply(cx, x)?.into())
}

pub fn leaky_relu(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let slope = cfg.f64_or("negative_slope", 0.2)?;
    activation(cx, call, Activation::Unary(Unary::LeakyRelu(F(slope))))
}

pub fn elu(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let alpha = cfg.f64_or("alpha", 1.0)?;
    activation(cx, call, Activation::Unary(Unary::Elu(F(alpha))))
}

pub fn celu(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let alpha = cfg.f64_or("alpha", 1.0)?;
    activation(cx, call, Activation::Celu(alpha))
}

/// Unlike the activation of that name, an approximation by default.
pub fn gelu(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let op = match cfg.bool_or("approximate", true)? {
        true => Unary::GeluTanh,
        false => Unary::Gelu,
    };
    activation(cx, call, Activation::Unary(op))
}

pub fn glu(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let axis = axis(cfg, "axis", -1)?;
    activation(cx, call, Activation::Glu(axis))
}

pub fn hard_shrink(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let threshold = cfg.f64_or("threshold", 0.5)?;
    activation(cx, call, Activation::HardShrink(threshold))
}

pub fn soft_shrink(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let threshold = cfg.f64_or("threshold", 0.5)?;
    activation(cx, call, Activation::SoftShrink(threshold))
}

pub fn squareplus(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let b = cfg.f64_or("b", 4.0)?;
    activation(cx, call, Activation::Squareplus(b))
}

pub fn threshold(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let given = |key: &str| {
        let v = cfg.opt_f64(key)?;
        v.ok_or_else(|| cfg.bad(key, "a number"))
    };
    let (threshold, default) = (given("threshold")?, given("default_value")?);
    activation(cx, call, Activation::Threshold { threshold, default })
}

pub fn sparsemax(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let axis = axis(cfg, "axis", -1)?;
    activation(cx, call, Activation::Sparsemax(axis))
}

/// Softmax along one axis, several together, or all (null).
pub fn softmax(cx: &mut Cx, cfg: &Cfg, call: &Call, log: bool) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let shape = cx.shape(x);
    let rank = shape.len();
    let over = match cfg.has("axis") {
        true => axes(cx, cfg, "axis", rank)?,
        false => vec![cx.axis(-1, rank)?],
    };
    if let [axis] = over[..] {
        return Ok(cx.softmax(x, axis as isize, log)?.into());
    }
    let rest: Vec<usize> = (0..rank).filter(|a| !over.contains(a)).collect();
    let perm = [rest.clone(), over].concat();
    let moved: Vec<usize> = perm.iter().map(|&a| shape[a]).collect();
    let (lead, last) = moved.split_at(rest.len());
    let flat = [lead, &[last.iter().product()]].concat();
    let x = cx.transpose(x, &perm)?;
    let x = cx.reshape(x, &flat)?;
    let y = cx.softmax(x, -1, log)?;
    let y = cx.reshape(y, &moved)?;
    let mut back = vec![0; rank];
    for (i, &p) in perm.iter().enumerate() {
        back[p] = i;
    }
    Ok(cx.transpose(y, &back)?.into())
}

pub fn one_hot(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    Ok(encode(cx, cfg, x)?.into())
}

pub fn multi_hot(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    // The old name of num_classes.
    cfg.pass_over(&["num_tokens"]);
    let x = tensor(cx, call, 0, "inputs")?;
    let over = [if cx.rank(x) > 1 { 1 } else { 0 }];
    let hot = encode(cx, cfg, x)?;
    let kind = match cx.dtype(hot) {
        DType::Bool => Reduce::Any,
        _ => Reduce::Max,
    };
    Ok(cx.reduce(kind, hot, &over, false)?.into())
}

fn encode(cx: &mut Cx, cfg: &Cfg, x: ValueId) -> Result<ValueId> {
    if cfg.bool_or("sparse", false)? {
        return Err(cfg.bad("sparse", "false"));
    }
    let n = cfg.usize("num_classes")?;
    let dtype = dtype(cfg, "dtype")?.unwrap_or(DType::F32);
    let rank = cx.rank(x) + 1;
    let at = cx.axis(axis(cfg, "axis", -1)?, rank)?;
    let x = cx.cast(x, DType::I64)?;
    let x = cx.expand_dims(x, at as isize)?;
    let mut shape = vec![1; rank];
    shape[at] = n;
    let classes = cx.generated(shape, |i| i as i64)?;
    let hot = cx.binary(Binary::Eq, x, classes)?;
    cx.cast(hot, dtype)
}

/// The axes under a key of the config, -1 by default.
fn norm_axes(cx: &Cx, cfg: &Cfg, x: ValueId) -> Result<Vec<usize>> {
    match cfg.get("axis") {
        Some(_) => axes(cx, cfg, "axis", cx.rank(x)),
        None => Ok(vec![cx.axis(-1, cx.rank(x))?]),
    }
}

/// Keras' `epsilon()`.
const EPSILON: f64 = 1e-7;

pub fn normalize(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = to_float(cx, x)?;
    let epsilon = cfg.opt_f64("epsilon")?.unwrap_or(EPSILON);
    let order = cfg.f64_or("order", 2.0)?;
    let over = norm_axes(cx, cfg, x)?;
    if order == 2.0 {
        let s = cx.unary(Unary::Square, x)?;
        let s = cx.reduce(Reduce::Sum, s, &over, true)?;
        let s = cx.unary(Unary::Rsqrt, s)?;
        let s = cx.clip(s, None, Some(1.0 / epsilon))?;
        return Ok(cx.mul(x, s)?.into());
    }
    let s = cx.unary(Unary::Abs, x)?;
    let s = cx.binary_s(Binary::Pow, s, order)?;
    let s = cx.reduce(Reduce::Sum, s, &over, true)?;
    let s = cx.binary_s(Binary::Pow, s, 1.0 / order)?;
    let s = cx.clip(s, Some(epsilon), None)?;
    Ok(cx.div(x, s)?.into())
}

/// In float32 at least.
fn wide(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let dtype = result_type(&[Kind::Is(cx.dtype(x)), Kind::Is(DType::F32)]);
    cx.cast(x, dtype)
}

pub fn rms_norm(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let given = tensor(cx, call, 0, "x")?;
    let x = wide(cx, given)?;
    let epsilon = cfg.opt_f64("epsilon")?.unwrap_or(EPSILON);
    let over = norm_axes(cx, cfg, x)?;
    let s = cx.unary(Unary::Square, x)?;
    let s = cx.reduce(Reduce::Mean, s, &over, true)?;
    let s = cx.add_s(s, epsilon)?;
    let s = cx.unary(Unary::Rsqrt, s)?;
    let mut y = cx.mul(x, s)?;
    if let Some(scale) = opt_tensor(cx, call, 1, "scale")? {
        let dtype = cx.dtype(x);
        let scale = cx.cast(scale, dtype)?;
        y = cx.mul(y, scale)?;
    }
    let own = cx.dtype(given);
    Ok(cx.cast(y, own)?.into())
}

/// Mean and variance with the axes kept.
fn statistics(cx: &mut Cx, x: ValueId, over: &[usize]) -> Result<(ValueId, ValueId)> {
    let mean = cx.reduce(Reduce::Mean, x, over, true)?;
    let d = cx.sub(x, mean)?;
    let d = cx.unary(Unary::Square, d)?;
    Ok((mean, cx.reduce(Reduce::Mean, d, over, true)?))
}

pub fn layer_norm(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let given = tensor(cx, call, 0, "x")?;
    let x = wide(cx, given)?;
    let (dtype, shape) = (cx.dtype(x), cx.shape(x));
    let epsilon = cfg.opt_f64("epsilon")?.unwrap_or(EPSILON);
    let over = norm_axes(cx, cfg, x)?;
    let weight = |cx: &mut Cx, at: usize, name: &str| -> Result<Option<ValueId>> {
        let Some(w) = opt_tensor(cx, call, at, name)? else {
            return Ok(None);
        };
        let w = cx.cast(w, dtype)?;
        if cx.rank(w) == shape.len() || over == [shape.len() - 1] {
            return Ok(Some(w));
        }
        let along: Vec<usize> = (0..shape.len())
            .map(|a| if over.contains(&a) { shape[a] } else { 1 })
            .collect();
        cx.reshape(w, &along).map(Some)
    };
    let (gamma, beta) = (weight(cx, 1, "gamma")?, weight(cx, 2, "beta")?);
    let (mean, variance) = statistics(cx, x, &over)?;
    let inv = cx.add_s(variance, epsilon)?;
    let inv = cx.unary(Unary::Rsqrt, inv)?;
    let rms = cfg.bool_or("rms_scaling", false)?;
    let mut y = match rms {
        true => x,
        false => cx.sub(x, mean)?,
    };
    y = cx.mul(y, inv)?;
    if let Some(g) = gamma {
        y = cx.mul(y, g)?;
    }
    if let (Some(b), false) = (beta, rms) {
        y = cx.add(y, b)?;
    }
    let own = cx.dtype(given);
    Ok(cx.cast(y, own)?.into())
}

/// Mean and variance.
pub fn moments(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    cfg.pass_over(&["synchronized"]);
    let given = tensor(cx, call, 0, "x")?;
    let own = cx.dtype(given);
    let x = match own {
        DType::F16 | DType::BF16 => cx.cast(given, DType::F32)?,
        _ => given,
    };
    let over = axes(cx, cfg, "axes", cx.rank(x))?;
    let (mean, variance) = statistics(cx, x, &over)?;
    let keepdims = cfg.bool_or("keepdims", false)?;
    let mut finish = |mut v: ValueId| -> Result<Out> {
        if own != cx.dtype(v) {
            v = cx.clip(v, Some(-65504.0), Some(65504.0))?;
            v = cx.cast(v, own)?;
        }
        if !keepdims {
            for &a in over.iter().rev() {
                v = cx.squeeze(v, a as isize)?;
            }
        }
        Ok(v.into())
    };
    Ok(Out::List(vec![finish(mean)?, finish(variance)?]))
}

pub fn batch_norm(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let (dtype, rank) = (cx.dtype(x), cx.rank(x));
    let at = cx.axis(axis(cfg, "axis", -1)?, rank)?;
    let mut along = vec![1; rank];
    along[at] = cx.dim(x, at as isize)?;
    let weight =
        |cx: &mut Cx, position: usize, name: &str| match opt_tensor(cx, call, position, name)? {
            Some(w) => {
                let w = cx.cast(w, dtype)?;
                cx.reshape(w, &along).map(Some)
            }
            None => Ok(None),
        };
    let (mean, variance) = (weight(cx, 1, "mean")?, weight(cx, 2, "variance")?);
    let (offset, scale) = (weight(cx, 3, "offset")?, weight(cx, 4, "scale")?);
    let (Some(mean), Some(variance)) = (mean, variance) else {
        return Err(cx.call_error("arguments `mean` and `variance` are needed"));
    };
    let inv = cx.add_s(variance, cfg.f64_or("epsilon", 1e-3)?)?;
    let mut inv = cx.unary(Unary::Rsqrt, inv)?;
    if let Some(s) = scale {
        inv = cx.mul(inv, s)?;
    }
    let d = cx.sub(x, mean)?;
    let y = cx.mul(d, inv)?;
    match offset {
        Some(o) => Ok(cx.add(y, o)?.into()),
        None => Ok(y.into()),
    }
}

pub fn dot_product_attention(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    if cfg.bool_or("flash_attention", false)? {
        return Err(cfg.bad("flash_attention", "false"));
    }
    // Without effect in Keras on TensorFlow.
    cfg.pass_over(&["attn_logits_soft_cap"]);
    let mut qkv = [
        tensor(cx, call, 0, "query")?,
        tensor(cx, call, 1, "key")?,
        tensor(cx, call, 2, "value")?,
    ];
    join(cx, &mut qkv)?;
    let [q, mut k, mut v] = qkv;
    for x in [q, k, v] {
        cx.check_rank(x, 4)?;
    }
    let (heads, given) = (cx.dim(q, 2)?, cx.dim(k, 2)?);
    if heads > given && given > 0 {
        k = repeated_heads(cx, k, heads / given)?;
        v = repeated_heads(cx, v, heads / given)?;
    }
    let bias = opt_tensor(cx, call, 3, "bias")?;
    let mut mask = opt_tensor(cx, call, 4, "mask")?;
    if let Some(m) = mask {
        mask = Some(to_bool(cx, m)?);
    }
    if cfg.bool_or("is_causal", false)? {
        let (t, s) = (cx.dim(q, 1)?, cx.dim(k, 1)?);
        let lower = cx.generated_bools([1, 1, t, s], |p| p / s >= p % s)?;
        mask = Some(match mask {
            Some(m) => cx.and(m, lower)?,
            None => lower,
        });
    }
    let scale = match call.arg(5, "scale") {
        Some(crate::keras::Arg::Lit(v)) => v
            .as_f64()
            .ok_or_else(|| cx.call_error("`scale` must be a number"))?,
        Some(_) => return Err(cx.call_error("`scale` must be a number")),
        None => 1.0 / (cx.dim(k, -1)? as f64).sqrt(),
    };
    Ok(attention(cx, q, k, v, bias, mask, scale)?.into())
}

/// Each head of (batch, time, heads, size) several times in a row.
fn repeated_heads(cx: &mut Cx, x: ValueId, times: usize) -> Result<ValueId> {
    let s = cx.shape(x);
    let x = cx.expand_dims(x, 3)?;
    let x = cx.broadcast_to(x, &[s[0], s[1], s[2], times, s[3]])?;
    cx.reshape(x, &[s[0], s[1], s[2] * times, s[3]])
}

/// Blocks of channels laid out in space, or back.
pub fn depth_space(cx: &mut Cx, cfg: &Cfg, call: &Call, to_space: bool) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    cx.check_rank(x, 4)?;
    let b = cfg.usize("block_size")?.max(1);
    let first = cfg.channels_first()?;
    let x = match first {
        true => cx.transpose(x, &[0, 2, 3, 1])?,
        false => x,
    };
    let s = cx.shape(x);
    let fits = match to_space {
        true => s[3].is_multiple_of(b * b),
        false => s[1].is_multiple_of(b) && s[2].is_multiple_of(b),
    };
    if !fits {
        return Err(cx.error(format!("blocks of {b} don't fit {}", cx.fact(x))));
    }
    let y = match to_space {
        true => {
            let c = s[3] / (b * b);
            // TensorFlow's channels-first kernel orders channels as channels-last does.
            let y = cx.reshape(x, &[s[0], s[1], s[2], b, b, c])?;
            let y = cx.transpose(y, &[0, 1, 3, 2, 4, 5])?;
            cx.reshape(y, &[s[0], s[1] * b, s[2] * b, c])?
        }
        false => {
            let y = cx.reshape(x, &[s[0], s[1] / b, b, s[2] / b, b, s[3]])?;
            let y = cx.transpose(y, &[0, 1, 3, 2, 4, 5])?;
            cx.reshape(y, &[s[0], s[1] / b, s[2] / b, b * b * s[3]])?
        }
    };
    match first {
        true => Ok(cx.transpose(y, &[0, 3, 1, 2])?.into()),
        false => Ok(y.into()),
    }
}

/// `keras.activations.relu` with its options.
pub fn relu(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let relu = Activation::Relu {
        slope: cfg.f64_or("negative_slope", 0.0)?,
        max: cfg.opt_f64("max_value")?,
        threshold: cfg.f64_or("threshold", 0.0)?,
    };
    activation(cx, call, relu)
}

/// Numbers rounded to what integers of some bits between two bounds can tell.
pub fn fake_quant(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "inputs")?;
    let own = cx.dtype(x);
    let x = cx.cast(x, DType::F32)?;
    let least = if cfg.bool_or("narrow_range", false)? {
        1.0
    } else {
        0.0
    };
    let most = 2f64.powi(cfg.int_or("num_bits", 8)? as i32) - 1.0;
    let mut along = vec![1; cx.rank(x)];
    if let Some(a) = cfg.opt_int("axis")? {
        let axis = cx.axis(a as isize, along.len())?;
        along[axis] = cx.dim(x, axis as isize)?;
    }
    let bound = |cx: &mut Cx, at: usize, name: &str| -> Result<ValueId> {
        let v = tensor(cx, call, at, name)?;
        let v = cx.cast(v, DType::F32)?;
        cx.reshape(v, &along)
    };
    let (low, high) = (bound(cx, 1, "min_vals")?, bound(cx, 2, "max_vals")?);
    let half_up = |cx: &mut Cx, v: ValueId| {
        let v = cx.add_s(v, 0.5)?;
        cx.unary(Unary::Floor, v)
    };
    let span = cx.sub(high, low)?;
    let scale = cx.div_s(span, most - least)?;
    let steps = cx.unary(Unary::Reciprocal, scale)?;
    // The bounds move so that 0 is one of the numbers.
    let zero = cx.div(low, scale)?;
    let zero = cx.unary(Unary::Neg, zero)?;
    let zero = cx.add_s(zero, least)?;
    let zero = half_up(cx, zero)?;
    let zero = cx.clip(zero, Some(least), Some(most))?;
    let edge = |cx: &mut Cx, of: f64| {
        let at = cx.scalar(DType::F32, of);
        let at = cx.sub(at, zero)?;
        cx.mul(at, scale)
    };
    let (low, high) = (edge(cx, least)?, edge(cx, most)?);
    let offset = cx.unary(Unary::Neg, low)?;
    let offset = cx.mul(offset, steps)?;
    let offset = half_up(cx, offset)?;
    let y = cx.maximum(x, low)?;
    let y = cx.minimum(y, high)?;
    let y = cx.sub(y, low)?;
    let y = cx.mul(y, steps)?;
    let y = cx.sub(y, offset)?;
    let y = half_up(cx, y)?;
    let y = cx.mul(y, scale)?;
    Ok(cx.cast(y, own)?.into())
}
