//! Dense.

use crate::error::Result;
use crate::keras::activations::Activation;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};

struct Dense {
    units: usize,
    use_bias: bool,
    activation: Activation,
}

/// `activation(x . kernel + bias)` over the last axis; kernel (features, units).
pub fn dense(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let layer = Dense {
        units: cfg.usize("units")?,
        use_bias: cfg.bool_or("use_bias", true)?,
        activation: Activation::from_cfg(cfg, "activation")?,
    };
    let use_bias = layer.use_bias;
    Ok(Built::new(layer).var("kernel").var_if(use_bias, "bias"))
}

impl Layer for Dense {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let features = cx.dim(x.value, -1)?;
        let kernel = cx.weight(me, "kernel", &[features, self.units])?;
        let dtype = cx.dtype(kernel);
        let value = cx.cast(x.value, dtype)?;
        let mut y = cx.dense(value, kernel)?;
        if self.use_bias {
            let bias = cx.weight(me, "bias", &[self.units])?;
            y = cx.add(y, bias)?;
        }
        let value = self.activation.apply(cx, y)?;
        Ok(T {
            value,
            mask: x.mask,
        }
        .into())
    }
}
