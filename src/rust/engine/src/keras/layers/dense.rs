//! Dense.

use crate::error::Result;
use crate::graph::{Unary, ValueId};
use crate::keras::activations::Activation;
use crate::keras::quant::{By, Quant};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Policy, T};
use crate::tensor::DType;

struct Dense {
    units: usize,
    use_bias: bool,
    activation: Activation,
    quant: Quant,
}

/// `activation(x . kernel + bias)` over the last axis; kernel (features, units).
pub fn dense(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let layer = Dense {
        units: cfg.usize("units")?,
        use_bias: cfg.bool_or("use_bias", true)?,
        activation: Activation::with_layers(cfg, "activation", nested)?,
        quant: Quant::of_kernel(cfg, Policy::of(cfg)?)?,
    };
    let (use_bias, quant) = (layer.use_bias, layer.quant.clone());
    let activation = layer.activation.clone();
    Ok(activation.child_of("activation", quant.kernel_vars(Built::new(layer), use_bias)))
}

impl Layer for Dense {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let by = By {
            equation: "...a,ab->...b",
            kernel: vec![cx.dim(x.value, -1)?, self.units],
            dense: true,
        };
        if let Some(value) = self.fused(cx, me, x.value)? {
            return Ok(T { value, ..x }.into());
        }
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

impl Dense {
    /// In bfloat16 TensorFlow computes product, bias and activation of a matrix
    /// in one kernel, in float32, and rounds once.
    fn fused(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<Option<ValueId>> {
        use Unary::{Relu, Sigmoid, Tanh};
        let one_kernel = matches!(
            self.activation,
            Activation::Linear | Activation::Unary(Relu | Sigmoid | Tanh)
        );
        let plain = self.quant.mode.is_none() && self.use_bias && one_kernel;
        if !plain || cx.dtype(x) != DType::BF16 || cx.rank(x) != 2 {
            return Ok(None);
        }
        let kernel = cx.weight(me, "kernel", &[cx.dim(x, -1)?, self.units])?;
        let bias = cx.weight(me, "bias", &[self.units])?;
        if cx.dtype(kernel) != DType::BF16 {
            return Ok(None);
        }
        let x = cx.cast(x, DType::F32)?;
        let kernel = cx.cast(kernel, DType::F32)?;
        let bias = cx.cast(bias, DType::F32)?;
        let y = cx.dense(x, kernel)?;
        let y = cx.add(y, bias)?;
        let y = self.activation.apply(cx, y)?;
        Ok(Some(cx.cast(y, DType::BF16)?))
    }
}
