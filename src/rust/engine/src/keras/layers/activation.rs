//! The activation layers. All pass the mask on.

use serde_json::Value as Json;

use super::MASKS_STAY;
use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId, F};
use crate::keras::activations::Activation as Function;
use crate::keras::cfg::as_int;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};
use crate::tensor::DType;

/// A layer that is one activation function.
struct Elementwise(Function);

impl Layer for Elementwise {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let value = self.0.apply(cx, x.value)?;
        Ok(T { value, ..x }.into())
    }
}

/// Any function of `keras.activations`.
pub fn activation(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let function = Function::with_layers(cfg, "activation", nested)?;
    Ok(function.child_of("activation", Built::new(Elementwise(function.clone()))))
}

/// A function of `keras.activations` without its mask.
struct Lambda(Function);

/// A `Lambda` of a function of `keras.activations`; `None` for one of Python code.
pub fn lambda(cfg: &Cfg) -> Result<Option<Built>> {
    let Some(mut function) = cfg.get("function").and_then(Function::from_function) else {
        return Ok(None);
    };
    let arguments = cfg.get("arguments").and_then(Json::as_object);
    for (key, value) in arguments.into_iter().flatten() {
        function = function
            .with_argument(key, value)
            .ok_or_else(|| cfg.bad("arguments", "those of the activation"))?;
    }
    cfg.pass_over(&["output_shape"]);
    Ok(Some(Built::new(Lambda(function))))
}

impl Layer for Lambda {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let value = self.0.apply(cx, x.value)?;
        // A tensor that is handed on keeps its mask.
        let mask = x.mask.filter(|_| value == x.value);
        Ok(T { value, mask }.into())
    }
}

/// `max(x, 0)` with a slope below a threshold, and a maximum.
pub fn relu(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    Ok(Built::new(Elementwise(Function::Relu {
        slope: cfg.f64_or("negative_slope", 0.0)?,
        max: cfg.opt_f64("max_value")?,
        threshold: cfg.f64_or("threshold", 0.0)?,
    })))
}

/// `x` above 0, else `negative_slope * x` (before Keras 3: `alpha`).
pub fn leaky_relu(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let slope = match cfg.opt_f64("negative_slope")? {
        Some(slope) => slope,
        None => cfg.f64_or("alpha", 0.3)?,
    };
    let function = Function::Unary(Unary::LeakyRelu(F(slope)));
    Ok(Built::new(Elementwise(function)))
}

/// `x` above 0, else `alpha * (exp(x) - 1)`.
pub fn elu(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let function = Function::Unary(Unary::Elu(F(cfg.f64_or("alpha", 1.0)?)));
    Ok(Built::new(Elementwise(function)))
}

/// `x` above theta, else 0 (before Keras 3).
pub fn thresholded_relu(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    Ok(Built::new(Elementwise(Function::Threshold {
        threshold: cfg.f64_or("theta", 1.0)?,
        default: 0.0,
    })))
}

struct PRelu {
    shared: Vec<i64>,
}

/// `x` above 0, else `alpha * x` with a learnt alpha, shared along some axes.
pub fn prelu(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let shared = cfg.opt_ints("shared_axes")?.unwrap_or_default();
    if shared.contains(&0) {
        return Err(cfg.bad("shared_axes", "axes from 1 on"));
    }
    Ok(Built::new(PRelu { shared }).var("alpha"))
}

impl Layer for PRelu {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let mut shape = cx.shape(x.value).split_off(1);
        for &axis in &self.shared {
            // Keras writes `shape[axis - 1]`, so -1 is the last axis but one.
            let axis = cx.axis(axis as isize - 1, shape.len())?;
            shape[axis] = 1;
        }
        let alpha = cx.weight(me, "alpha", &shape)?;
        let float = cx.dtype(alpha);
        let input = cx.cast(x.value, float)?;
        let above = cx.unary(Unary::Relu, input)?;
        let below = cx.unary(Unary::Neg, input)?;
        let below = cx.unary(Unary::Relu, below)?;
        let below = cx.mul(below, alpha)?;
        let value = cx.sub(above, below)?;
        Ok(T { value, ..x }.into())
    }
}

struct Softmax {
    axes: Vec<isize>,
    /// The mask is only handed on.
    old_masks: bool,
}

/// Softmax along one or several axes; what the mask leaves out gets 0.
pub fn softmax(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let axes = match cfg.get("axis") {
        None => vec![-1],
        Some(Json::Array(axes)) => axes
            .iter()
            .map(|a| as_int(a).map(|a| a as isize))
            .collect::<Option<_>>()
            .ok_or_else(|| cfg.bad("axis", "an axis or a list of axes"))?,
        Some(_) => vec![cfg.int_or("axis", -1)? as isize],
    };
    if axes.is_empty() {
        return Err(cfg.bad("axis", "an axis or a list of axes"));
    }
    Ok(Built::new(Softmax {
        axes,
        old_masks: cfg.bool_or(MASKS_STAY, false)?,
    }))
}

impl Softmax {
    fn over_axes(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        if let [axis] = self.axes[..] {
            return cx.softmax(x, axis, false);
        }
        let rank = cx.rank(x);
        let axes: Result<Vec<usize>> = self.axes.iter().map(|&a| cx.axis(a, rank)).collect();
        let total = cx.reduce(Reduce::LogSumExp, x, &axes?, true)?;
        let y = cx.sub(x, total)?;
        cx.unary(Unary::Exp, y)
    }
}

impl Layer for Softmax {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "mask"]
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let Some(mask) = call.mask() else {
            return Ok(self.over_axes(cx, x.value)?.into());
        };
        if self.old_masks {
            let value = self.over_axes(cx, x.value)?;
            return Ok(T { value, ..x }.into());
        }
        let keep = match cx.dtype(mask) {
            DType::Bool => mask,
            _ => cx.binary_s(Binary::Gt, mask, 0.5)?,
        };
        let dtype = cx.dtype(x.value);
        let low = cx.scalar(dtype, if dtype == DType::F16 { -3e4 } else { -1e9 });
        let zero = cx.scalar(dtype, 0.0);
        let y = cx.select(keep, x.value, low)?;
        let y = self.over_axes(cx, y)?;
        let value = cx.select(keep, y, zero)?;
        let mask = Some(mask);
        Ok(T { value, mask }.into())
    }
}
