//! Layers that only Keras 1 had.

use crate::error::Result;
use crate::graph::{Unary, ValueId};
use crate::keras::activations::Activation;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};

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
        Ok(cx.reduce(crate::graph::Reduce::Max, y, &[1], false)?.into())
    }
}

/// The shape of weights that a row's entries share along axes.
fn shared(cx: &Cx, x: ValueId, axes: &[i64]) -> Result<Vec<usize>> {
    let mut shape = cx.shape(x)[1..].to_vec();
    for &axis in axes {
        let at = usize::try_from(axis - 1).ok();
        match at.and_then(|i| shape.get_mut(i)) {
            Some(d) => *d = 1,
            None => return Err(cx.error(format!("there is no axis {axis} to share"))),
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
