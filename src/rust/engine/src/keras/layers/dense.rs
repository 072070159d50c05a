//! Dense.

use crate::error::Result;
use crate::keras::activations::Activation;
use crate::keras::quant::{By, Quant};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Policy, T};

struct Dense {
    units: usize,
    use_bias: bool,
    activation: Activation,
    quant: Quant,
}

/// `activation(x . kernel + bias)` over the last axis; kernel (features, units).
pub fn dense(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let layer = Dense {
        units: cfg.usize("units")?,
        use_bias: cfg.bool_or("use_bias", true)?,
        activation: Activation::from_cfg(cfg, "activation")?,
        quant: Quant::of_kernel(cfg, Policy::of(cfg)?)?,
    };
    let (use_bias, quant) = (layer.use_bias, layer.quant.clone());
    Ok(quant.kernel_vars(Built::new(layer), use_bias))
}

impl Layer for Dense {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let by = By {
            equation: "...a,ab->...b",
            kernel: vec![cx.dim(x.value, -1)?, self.units],
            dense: true,
        };
        let mut y = self.quant.project(cx, me, x.value, &by)?;
        if self.use_bias {
            let bias = self.quant.bias(cx, me, &[self.units])?;
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
