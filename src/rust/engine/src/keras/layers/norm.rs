//! Normalization by moving statistics, layers, groups and norms.

use serde_json::Value as Json;

use crate::error::Result;
use crate::graph::{Reduce, Unary, ValueId};
use crate::keras::cfg::as_f64;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};
use crate::tensor::{numel, show_shape, DType, Fact};

/// What statistics are computed in: float32 at least.
fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// A weight as stored, in a dtype.
fn weight(
    cx: &mut Cx,
    me: &LayerNode,
    name: &str,
    shape: &[usize],
    dtype: DType,
) -> Result<ValueId> {
    let v = cx.stored_weight(me, name, shape)?;
    cx.cast(v, dtype)
}

/// `1 / sqrt(x + epsilon)`
fn rsqrt(cx: &mut Cx, x: ValueId, epsilon: f64) -> Result<ValueId> {
    let y = cx.add_s(x, epsilon)?;
    cx.unary(Unary::Rsqrt, y)
}

/// Deviations from the mean over axes, and their mean square.
fn moments(cx: &mut Cx, x: ValueId, axes: &[usize]) -> Result<(ValueId, ValueId)> {
    let mean = cx.reduce(Reduce::Mean, x, axes, true)?;
    let deviation = cx.sub(x, mean)?;
    let square = cx.unary(Unary::Square, deviation)?;
    Ok((deviation, cx.reduce(Reduce::Mean, square, axes, true)?))
}

struct BatchNormalization {
    axis: isize,
    epsilon: f64,
    center: bool,
    scale: bool,
    renorm: Option<Renorm>,
}

/// What batch renormalization keeps besides.
const OF_RENORM: [&str; 3] = ["moving_stddev", "renorm_mean", "renorm_stddev"];

/// Bounds of the corrections of batch renormalization.
struct Renorm {
    rmin: Option<f64>,
    rmax: Option<f64>,
    dmax: Option<f64>,
}

impl Renorm {
    fn from_cfg(cfg: &Cfg) -> Result<Option<Renorm>> {
        let clipping = cfg.get("renorm_clipping");
        if !cfg.bool_or("renorm", false)? {
            return Ok(None);
        }
        let bound = |key: &str| match clipping.and_then(|c| c.get(key)) {
            None | Some(Json::Null) => Ok(None),
            Some(v) => match as_f64(v) {
                Some(v) => Ok(Some(v)),
                None => Err(cfg.bad("renorm_clipping", "numbers rmin, rmax and dmax")),
            },
        };
        Ok(Some(Renorm {
            rmin: bound("rmin")?,
            rmax: bound("rmax")?,
            dmax: bound("dmax")?,
        }))
    }
}

/// `(x - moving_mean) / sqrt(moving_variance + epsilon) * gamma + beta` along
/// one axis. Passes the mask on.
pub fn batch_normalization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    if cfg.usize_or("mode", 0)? > 0 {
        return super::keras1::normalization(cfg);
    }
    let axes = cfg.opt_ints("axis")?.unwrap_or(vec![-1]);
    let [axis] = axes[..] else {
        return Err(cfg.bad("axis", "one axis"));
    };
    // How the moving statistics are made matters in training only.
    cfg.pass_over(&["momentum", "renorm_momentum"]);
    cfg.pass_over(&["synchronized", "virtual_batch_size", "fused"]);
    let layer = BatchNormalization {
        axis: axis as isize,
        epsilon: cfg.f64_or("epsilon", 1e-3)?,
        center: cfg.bool_or("center", true)?,
        scale: cfg.bool_or("scale", true)?,
        renorm: Renorm::from_cfg(cfg)?,
    };
    let (center, scale, renorm) = (layer.center, layer.scale, layer.renorm.is_some());
    let mut built = Built::new(layer)
        .var_if(scale, "gamma")
        .var_if(center, "beta")
        .frozen("moving_mean")
        .frozen("moving_variance");
    if renorm {
        for name in OF_RENORM {
            built = built.frozen(name);
        }
    }
    Ok(built)
}

impl Layer for BatchNormalization {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "training", "mask"]
    }

    /// One multiply and one add by constants, which fold into a kernel before them.
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let rank = cx.rank(x.value);
        let axis = cx.axis(self.axis, rank)?;
        let n = cx.shape(x.value)[axis];
        let dtype = wide(cx.dtype(x.value));
        let given = x.value;
        let x = T {
            value: cx.cast(given, dtype)?,
            ..x
        };
        if cx.training && me.trainable {
            let value = self.train(cx, me, x.value, axis, call.mask())?;
            let value = cx.cast(value, me.policy.compute)?;
            return Ok(T { value, ..x }.into());
        }
        let variance = weight(cx, me, "moving_variance", &[n], dtype)?;
        let mut factor = rsqrt(cx, variance, self.epsilon)?;
        if self.scale {
            let gamma = weight(cx, me, "gamma", &[n], dtype)?;
            factor = cx.mul(factor, gamma)?;
        }
        if self.renorm.is_some() {
            let fact = Fact::new(me.policy.variable, [n]);
            for name in OF_RENORM {
                cx.has_weight(me, name, fact.clone());
            }
        }
        let mean = weight(cx, me, "moving_mean", &[n], dtype)?;
        let moved = cx.mul(mean, factor)?;
        let mut shift = cx.unary(Unary::Neg, moved)?;
        if self.center {
            let beta = weight(cx, me, "beta", &[n], dtype)?;
            shift = cx.sub(beta, moved)?;
        }
        let mut along = vec![1; rank];
        along[axis] = n;
        let factor = cx.reshape(factor, &along)?;
        let shift = cx.reshape(shift, &along)?;
        let y = cx.mul(x.value, factor)?;
        let y = cx.add(y, shift)?;
        let value = cx.cast(y, me.policy.compute)?;
        Ok(T { value, ..x }.into())
    }
}

impl BatchNormalization {
    /// Normalizes by the statistics of the batch, over all axes but one.
    fn train(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        x: ValueId,
        axis: usize,
        mask: Option<ValueId>,
    ) -> Result<ValueId> {
        let shape = cx.shape(x);
        let dtype = cx.dtype(x);
        let n = shape[axis];
        let mut along = vec![1; shape.len()];
        along[axis] = n;
        let axes: Vec<usize> = (0..shape.len()).filter(|&a| a != axis).collect();
        let (deviation, variance, mean) = match mask {
            None => {
                let mean = cx.reduce(Reduce::Mean, x, &axes, true)?;
                let (deviation, variance) = moments(cx, x, &axes)?;
                (deviation, variance, mean)
            }
            Some(mask) => masked_moments(cx, x, mask, &axes)?,
        };
        let mut factor = rsqrt(cx, variance, self.epsilon)?;
        let get = |cx: &mut Cx, name: &str| -> Result<ValueId> {
            let v = weight(cx, me, name, &[n], dtype)?;
            cx.reshape(v, &along)
        };
        let mut shift = None;
        if let Some(renorm) = &self.renorm {
            let stddev = cx.add_s(variance, self.epsilon)?;
            let stddev = cx.unary(Unary::Sqrt, stddev)?;
            let usual = get(cx, "renorm_stddev")?;
            let usual = cx.clip(usual, Some(self.epsilon.sqrt()), None)?;
            let r = cx.div(stddev, usual)?;
            let r = cx.clip(r, renorm.rmin, None)?;
            let r = cx.clip(r, None, renorm.rmax)?;
            let center = get(cx, "renorm_mean")?;
            let d = cx.sub(mean, center)?;
            let d = cx.div(d, usual)?;
            shift = Some(cx.clip(d, renorm.dmax.map(|d| -d), renorm.dmax)?);
            factor = cx.mul(factor, r)?;
        }
        if self.scale {
            let gamma = get(cx, "gamma")?;
            factor = cx.mul(factor, gamma)?;
            shift = match shift {
                Some(d) => Some(cx.mul(d, gamma)?),
                None => None,
            };
        }
        if self.center {
            let beta = get(cx, "beta")?;
            shift = Some(match shift {
                Some(d) => cx.add(d, beta)?,
                None => beta,
            });
        }
        let y = cx.mul(deviation, factor)?;
        match shift {
            Some(shift) => cx.add(y, shift),
            None => Ok(y),
        }
    }
}

/// Deviations from the mean over the unmasked steps, their mean square, and the
/// mean; the mask has the shape of x without the last axis.
fn masked_moments(
    cx: &mut Cx,
    x: ValueId,
    mask: ValueId,
    axes: &[usize],
) -> Result<(ValueId, ValueId, ValueId)> {
    let (shape, dtype) = (cx.shape(x), cx.dtype(x));
    if cx.rank(mask) + 1 != shape.len() {
        return Err(cx.error(format!(
            "a mask of shape {} must have one axis less than an input of shape {}",
            show_shape(&cx.shape(mask)),
            show_shape(&shape)
        )));
    }
    let mask = cx.cast(mask, DType::Bool)?;
    let mask = cx.expand_dims(mask, -1)?;
    let mask = cx.broadcast_to(mask, &shape)?;
    let zero = cx.scalar(dtype, 0.0);
    let ones = cx.cast(mask, dtype)?;
    let count = cx.reduce(Reduce::Sum, ones, axes, true)?;
    let count = cx.add_s(count, 1e-7)?;
    let mean = |cx: &mut Cx, x: ValueId| -> Result<ValueId> {
        let x = cx.select(mask, x, zero)?;
        let sum = cx.reduce(Reduce::Sum, x, axes, true)?;
        cx.div(sum, count)
    };
    let center = mean(cx, x)?;
    let deviation = cx.sub(x, center)?;
    let square = cx.unary(Unary::Square, deviation)?;
    let variance = mean(cx, square)?;
    Ok((deviation, variance, center))
}

/// Axes as given, sorted as Keras sorts them (by sign, too).
fn sorted_axes(cfg: &Cfg) -> Result<Vec<isize>> {
    let mut axes: Vec<isize> = cfg
        .opt_ints("axis")?
        .unwrap_or(vec![-1])
        .into_iter()
        .map(|a| a as isize)
        .collect();
    axes.sort_unstable();
    match axes.is_empty() {
        true => Err(cfg.bad("axis", "an axis or a list of axes")),
        false => Ok(axes),
    }
}

fn resolve(cx: &Cx, axes: &[isize], rank: usize) -> Result<Vec<usize>> {
    axes.iter().map(|&a| cx.axis(a, rank)).collect()
}

struct LayerNormalization {
    axes: Vec<isize>,
    epsilon: f64,
    gamma: bool,
    beta: bool,
    /// Scales by the deviation without centring, as Keras once did.
    rms_scaling: bool,
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, statistics over the
/// axes of each row. Passes the mask on.
pub fn layer_normalization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let rms_scaling = cfg.bool_or("rms_scaling", false)?;
    let center = cfg.bool_or("center", true)?;
    let scale = cfg.bool_or("scale", true)?;
    let (gamma, beta) = (scale || rms_scaling, center && !rms_scaling);
    let layer = LayerNormalization {
        axes: sorted_axes(cfg)?,
        epsilon: cfg.f64_or("epsilon", 1e-3)?,
        gamma,
        beta,
        rms_scaling,
    };
    Ok(Built::new(layer)
        .var_if(gamma, "gamma")
        .var_if(beta, "beta"))
}

impl LayerNormalization {
    fn normalize(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<ValueId> {
        let shape = cx.shape(x);
        let axes = resolve(cx, &self.axes, shape.len())?;
        let sizes: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
        let dtype = cx.dtype(x);
        let mut get = |on: bool, name: &str| match on {
            true => weight(cx, me, name, &sizes, dtype).map(Some),
            false => Ok(None),
        };
        let (gamma, beta) = (get(self.gamma, "gamma")?, get(self.beta, "beta")?);
        let first = shape.len() - axes.len();
        if !self.rms_scaling && axes.iter().copied().eq(first..shape.len()) {
            return trailing(cx, x, first, self.epsilon, gamma, beta);
        }
        let mut along = vec![1; shape.len()];
        axes.iter().for_each(|&a| along[a] = shape[a]);
        let (deviation, variance) = moments(cx, x, &axes)?;
        let inverse = rsqrt(cx, variance, self.epsilon)?;
        let mut y = cx.mul(if self.rms_scaling { x } else { deviation }, inverse)?;
        if let Some(gamma) = gamma {
            let gamma = cx.reshape(gamma, &along)?;
            y = cx.mul(y, gamma)?;
        }
        if let Some(beta) = beta {
            let beta = cx.reshape(beta, &along)?;
            y = cx.add(y, beta)?;
        }
        Ok(y)
    }
}

/// Normalizes over all axes from `first` on, as one axis.
fn trailing(
    cx: &mut Cx,
    x: ValueId,
    first: usize,
    epsilon: f64,
    gamma: Option<ValueId>,
    beta: Option<ValueId>,
) -> Result<ValueId> {
    let shape = cx.shape(x);
    let size = numel(&shape[first..]);
    let flat = [&shape[..first], &[size]].concat();
    let mut flatten = |v: Option<ValueId>| v.map(|v| cx.reshape(v, &[size])).transpose();
    let (gamma, beta) = (flatten(gamma)?, flatten(beta)?);
    let y = cx.reshape(x, &flat)?;
    let y = cx.layer_norm(y, epsilon, true, gamma, beta)?;
    cx.reshape(y, &shape)
}

impl Layer for LayerNormalization {
    fn autocast(&self) -> bool {
        false
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let given = cx.dtype(x.value);
        let y = cx.cast(x.value, wide(given))?;
        let y = self.normalize(cx, me, y)?;
        let y = cx.cast(y, given)?;
        let value = cx.cast(y, me.policy.compute)?;
        Ok(T { value, ..x }.into())
    }
}

struct GroupNormalization {
    /// `None` makes each channel a group.
    groups: Option<usize>,
    axis: isize,
    epsilon: f64,
    center: bool,
    scale: bool,
}

/// As layer normalization, over the channels of each group and all other axes
/// but the batch. Passes the mask on.
pub fn group_normalization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let groups = match cfg.int_or("groups", 32)? {
        -1 => None,
        n if n > 0 => Some(n as usize),
        _ => return Err(cfg.bad("groups", "a whole number > 0, or -1")),
    };
    let layer = GroupNormalization {
        groups,
        axis: cfg.int_or("axis", -1)? as isize,
        epsilon: cfg.f64_or("epsilon", 1e-3)?,
        center: cfg.bool_or("center", true)?,
        scale: cfg.bool_or("scale", true)?,
    };
    let (center, scale) = (layer.center, layer.scale);
    Ok(Built::new(layer)
        .var_if(scale, "gamma")
        .var_if(center, "beta"))
}

impl GroupNormalization {
    fn normalize(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<ValueId> {
        let shape = cx.shape(x);
        let axis = cx.axis(self.axis, shape.len())?;
        let channels = shape[axis];
        let groups = self.groups.unwrap_or(channels);
        if axis == 0 || groups == 0 || !channels.is_multiple_of(groups) {
            return Err(cx.error(format!("can't make {groups} groups of {channels} channels")));
        }
        let mut grouped = shape.clone();
        grouped[axis] = channels / groups;
        grouped.insert(axis, groups);
        let mut along = vec![1; grouped.len()];
        along[axis] = groups;
        along[axis + 1] = channels / groups;
        let dtype = cx.dtype(x);

        let y = cx.reshape(x, &grouped)?;
        let axes: Vec<usize> = (1..grouped.len()).filter(|&a| a != axis).collect();
        let (deviation, variance) = moments(cx, y, &axes)?;
        let mut factor = rsqrt(cx, variance, self.epsilon)?;
        if self.scale {
            let gamma = weight(cx, me, "gamma", &[channels], dtype)?;
            let gamma = cx.reshape(gamma, &along)?;
            factor = cx.mul(factor, gamma)?;
        }
        let mut y = cx.mul(deviation, factor)?;
        if self.center {
            let beta = weight(cx, me, "beta", &[channels], dtype)?;
            let beta = cx.reshape(beta, &along)?;
            y = cx.add(y, beta)?;
        }
        cx.reshape(y, &shape)
    }
}

impl Layer for GroupNormalization {
    fn autocast(&self) -> bool {
        false
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let given = cx.dtype(x.value);
        let y = cx.cast(x.value, wide(given))?;
        let y = self.normalize(cx, me, y)?;
        let y = cx.cast(y, given)?;
        let value = cx.cast(y, me.policy.compute)?;
        Ok(T { value, ..x }.into())
    }
}

struct UnitNormalization {
    axes: Vec<isize>,
}

/// `x / max(norm, 1e-12)`, norms over the axes. Passes the mask on.
pub fn unit_normalization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let axes = sorted_axes(cfg)?;
    Ok(Built::new(UnitNormalization { axes }))
}

impl Layer for UnitNormalization {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let axes = resolve(cx, &self.axes, cx.rank(x.value))?;
        let value = to_unit_norm(cx, x.value, &axes, 1e-12)?;
        Ok(T { value, ..x }.into())
    }
}

/// `x` times the inverse of its Euclidean norm over axes, which is at most `1 / epsilon`.
pub fn to_unit_norm(cx: &mut Cx, x: ValueId, axes: &[usize], epsilon: f64) -> Result<ValueId> {
    let square = cx.unary(Unary::Square, x)?;
    let sum = cx.reduce(Reduce::Sum, square, axes, true)?;
    let inverse = cx.unary(Unary::Rsqrt, sum)?;
    let inverse = cx.clip(inverse, None, Some(1.0 / epsilon))?;
    cx.mul(x, inverse)
}

struct RmsNormalization {
    axes: Vec<isize>,
    epsilon: f64,
}

/// `x / sqrt(mean(x^2) + epsilon) * scale`; the scale goes along the last axes,
/// whatever the axes of the mean are. The mask is lost.
pub fn rms_normalization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    Ok(Built::new(RmsNormalization {
        axes: sorted_axes(cfg)?,
        epsilon: cfg.f64_or("epsilon", 1e-6)?,
    })
    .var("scale"))
}

impl Layer for RmsNormalization {
    fn parameters(&self) -> &'static [&'static str] {
        &["x"]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let shape = cx.shape(x);
        let axes = resolve(cx, &self.axes, shape.len())?;
        let sizes: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
        let given = cx.dtype(x);
        let scale = cx.weight(me, "scale", &sizes)?;
        let scale = cx.cast(scale, wide(given))?;
        let x = cx.cast(x, wide(given))?;
        let y = if axes == [shape.len() - 1] {
            cx.layer_norm(x, self.epsilon, false, Some(scale), None)?
        } else {
            let square = cx.unary(Unary::Square, x)?;
            let mean = cx.reduce(Reduce::Mean, square, &axes, true)?;
            let inverse = rsqrt(cx, mean, self.epsilon)?;
            let y = cx.mul(x, inverse)?;
            cx.mul(y, scale)?
        };
        Ok(cx.cast(y, given)?.into())
    }
}

struct LayerScale {
    size: usize,
}

/// The scale of ConvNeXt's blocks: `x * gamma` along the last axis. The mask is lost.
pub fn layer_scale(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["init_values"]);
    let size = cfg.usize("projection_dim")?;
    Ok(Built::new(LayerScale { size }).var("gamma"))
}

impl Layer for LayerScale {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let gamma = cx.weight(me, "gamma", &[self.size])?;
        Ok(cx.mul(x, gamma)?.into())
    }
}
