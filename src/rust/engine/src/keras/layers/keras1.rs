//! Layers that only Keras 1 had.

use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::keras::activations::Activation;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};

use super::merging::{batch_dot, merge_axes};
use crate::tensor::Fact;

struct Highway {
    use_bias: bool,
    activation: Activation,
}

/// A dense layer and its input, mixed by a gate.
pub fn highway(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let use_bias = cfg.bool_or("use_bias", true)?;
    let activation = Activation::from_cfg(cfg, "activation")?;
    let layer = Highway {
        use_bias,
        activation,
    };
    Ok(Built::new(layer)
        .var("W")
        .var("W_carry")
        .var_if(use_bias, "b")
        .var_if(use_bias, "b_carry"))
}

impl Layer for Highway {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let n = cx.dim(x, -1)?;
        let dense = |cx: &mut Cx, kernel: &str, bias: &str| -> Result<ValueId> {
            let w = cx.weight(me, kernel, &[n, n])?;
            let y = cx.dense(x, w)?;
            match self.use_bias {
                true => {
                    let b = cx.weight(me, bias, &[n])?;
                    cx.add(y, b)
                }
                false => Ok(y),
            }
        };
        let gate = dense(cx, "W_carry", "b_carry")?;
        let gate = cx.unary(Unary::Sigmoid, gate)?;
        let y = dense(cx, "W", "b")?;
        let y = self.activation.apply(cx, y)?;
        // gate y + (1 - gate) x
        let step = cx.sub(y, x)?;
        let step = cx.mul(gate, step)?;
        Ok(cx.add(x, step)?.into())
    }
}

struct MaxoutDense {
    units: usize,
    pieces: usize,
    use_bias: bool,
}

/// The largest of several dense layers, unit by unit.
pub fn maxout_dense(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let layer = MaxoutDense {
        units: cfg.usize("units")?,
        pieces: cfg.usize_or("nb_feature", 4)?,
        use_bias: cfg.bool_or("use_bias", true)?,
    };
    let use_bias = layer.use_bias;
    Ok(Built::new(layer).var("W").var_if(use_bias, "b"))
}

impl Layer for MaxoutDense {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        cx.check_rank(x, 2)?;
        let (rows, n) = (cx.dim(x, 0)?, cx.dim(x, 1)?);
        let (pieces, units) = (self.pieces, self.units);
        let w = cx.weight(me, "W", &[pieces, n, units])?;
        let w = cx.transpose(w, &[1, 0, 2])?;
        let w = cx.reshape(w, &[n, pieces * units])?;
        let mut y = cx.dense(x, w)?;
        if self.use_bias {
            let b = cx.weight(me, "b", &[pieces, units])?;
            let b = cx.reshape(b, &[pieces * units])?;
            y = cx.add(y, b)?;
        }
        let y = cx.reshape(y, &[rows, pieces, units])?;
        Ok(cx.reduce(Reduce::Max, y, &[1], false)?.into())
    }
}

/// The shape of weights that a row's entries share along axes.
fn shared(cx: &Cx, x: ValueId, axes: &[i64]) -> Result<Vec<usize>> {
    let mut shape = cx.shape(x)[1..].to_vec();
    for &axis in axes {
        let at = usize::try_from(axis - 1).ok();
        match at.and_then(|i| shape.get_mut(i)) {
            Some(d) => *d = 1,
            None => return Err(cx.call_error(format!("there is no axis {axis} to share"))),
        }
    }
    Ok(shape)
}

struct SRelu {
    shared: Vec<i64>,
}

/// Three straight lines, with learned joints and slopes.
pub fn s_relu(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let shared = cfg.opt_ints("shared_axes")?.unwrap_or_default();
    Ok(Built::new(SRelu { shared })
        .var("t_left")
        .var("a_left")
        .var("t_right")
        .var("a_right"))
}

impl Layer for SRelu {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let T { value: x, mask } = cx.one(call)?;
        let shape = shared(cx, x, &self.shared)?;
        let mut weight = |name: &str| cx.weight(me, name, &shape);
        let (left, slope) = (weight("t_left")?, weight("a_left")?);
        let (width, slope_right) = (weight("t_right")?, weight("a_right")?);
        let width = cx.unary(Unary::Abs, width)?;
        let right = cx.add(left, width)?;
        let from_left = cx.sub(x, left)?;
        let middle = cx.unary(Unary::Relu, from_left)?;
        let middle = cx.minimum(middle, width)?;
        let below = cx.unary(Unary::Neg, from_left)?;
        let below = cx.unary(Unary::Relu, below)?;
        let below = cx.mul(slope, below)?;
        let y = cx.add(left, middle)?;
        let y = cx.sub(y, below)?;
        let above = cx.sub(x, right)?;
        let above = cx.unary(Unary::Relu, above)?;
        let above = cx.mul(above, slope_right)?;
        let value = cx.add(y, above)?;
        Ok(T { value, mask }.into())
    }
}

struct ParametricSoftplus {
    shared: Vec<i64>,
}

/// `alpha softplus(beta x)`, both learned.
pub fn parametric_softplus(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let shared = cfg.opt_ints("shared_axes")?.unwrap_or_default();
    Ok(Built::new(ParametricSoftplus { shared })
        .var("alphas")
        .var("betas"))
}

impl Layer for ParametricSoftplus {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let T { value: x, mask } = cx.one(call)?;
        let shape = shared(cx, x, &self.shared)?;
        let (alpha, beta) = (
            cx.weight(me, "alphas", &shape)?,
            cx.weight(me, "betas", &shape)?,
        );
        let y = cx.mul(beta, x)?;
        let y = cx.unary(Unary::Softplus, y)?;
        let value = cx.mul(alpha, y)?;
        Ok(T { value, mask }.into())
    }
}

struct Cosine {
    axes: [isize; 2],
}

/// Mode "cos" of `Merge`: products as of `Dot`, over the root of those of each
/// tensor with itself. The mask is lost.
pub fn cosine(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let axes = merge_axes(cfg)?;
    Ok(Built::new(Cosine { axes }))
}

impl Layer for Cosine {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let xs = cx.many(call)?;
        let [x, y] = xs[..] else {
            return Err(cx.call_error(format!("expected two tensors, not {}", xs.len())));
        };
        let (x, y) = (x.value, y.value);
        let a = cx.axis(self.axes[0], cx.rank(x))?;
        let b = cx.axis(self.axes[1], cx.rank(y))?;
        if a == 0 || b == 0 || cx.rank(x) > 3 || cx.rank(y) > 3 {
            return Err(cx.call_error("can't sum over the batch, or over more than two axes"));
        }
        // Keras sums each tensor with itself over both axes' places.
        let (own, others) = (batch_dot(cx, x, x, a, b)?, batch_dot(cx, y, y, a, b)?);
        let norm = cx.mul(own, others)?;
        let norm = cx.unary(Unary::Sqrt, norm)?;
        // TensorFlow takes the bound for the root of a negative number too.
        let above = cx.binary_s(Binary::Gt, norm, 1e-7)?;
        let dtype = cx.dtype(norm);
        let bound = cx.scalar(dtype, 1e-7);
        let norm = cx.select(above, norm, bound)?;
        let z = batch_dot(cx, x, y, a, b)?;
        let z = cx.div(z, norm)?;
        Ok(cx.expand_dims(z, 1)?.into())
    }
}

/// Normalization by the statistics of each row, or of the batch.
struct Normalization {
    /// Axis of the batch's statistics; `None` for those of the last axis, row by row.
    axis: Option<isize>,
    epsilon: f64,
}

/// `BatchNormalization` in modes 1 and 2 of Keras 1. Passes the mask on.
pub fn normalization(cfg: &Cfg) -> Result<Built> {
    cfg.pass_over(&["momentum"]);
    let axis = cfg.int_or("axis", -1)? as isize;
    let axis = match cfg.usize("mode")? {
        1 => None,
        2 => Some(axis),
        _ => return Err(cfg.bad("mode", "0, 1 or 2")),
    };
    let epsilon = cfg.f64_or("epsilon", 1e-3)?;
    let layer = Normalization { axis, epsilon };
    Ok(Built::new(layer)
        .var("gamma")
        .var("beta")
        .frozen("moving_mean")
        .frozen("moving_variance"))
}

impl Layer for Normalization {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let T { value: x, mask } = cx.one(call)?;
        let rank = cx.rank(x);
        let axis = cx.axis(self.axis.unwrap_or(-1), rank)?;
        let over: Vec<usize> = match self.axis {
            Some(_) => (0..rank).filter(|&i| i != axis).collect(),
            None => vec![axis],
        };
        let n = cx.shape(x)[axis];
        let mut shape = vec![1; rank];
        shape[axis] = n;
        let mut weight = |name: &str| -> Result<ValueId> {
            let w = cx.weight(me, name, &[n])?;
            cx.reshape(w, &shape)
        };
        let (gamma, beta) = (weight("gamma")?, weight("beta")?);
        for name in ["moving_mean", "moving_variance"] {
            cx.has_weight(me, name, Fact::new(me.policy.variable, [n]));
        }
        let mean = cx.reduce(Reduce::Mean, x, &over, true)?;
        let centred = cx.sub(x, mean)?;
        let square = cx.unary(Unary::Square, centred)?;
        let var = cx.reduce(Reduce::Mean, square, &over, true)?;
        let var = cx.add_s(var, self.epsilon)?;
        let mut std = cx.unary(Unary::Sqrt, var)?;
        if self.axis.is_none() {
            std = cx.add_s(std, self.epsilon)?;
        }
        let y = cx.div(centred, std)?;
        let y = cx.mul(y, gamma)?;
        let value = cx.add(y, beta)?;
        Ok(T { value, mask }.into())
    }
}
