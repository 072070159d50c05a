//! ConvLSTM1D, 2D and 3D: an LSTM whose products are convolutions.

use crate::error::Result;
use crate::graph::{ConvAttrs, ValueId};
use crate::keras::activations::Activation;
use crate::keras::layers::conv::{same_pads, Window};
use crate::keras::layers::reshaping::{to_channels_first, to_channels_last};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Var};
use crate::nest::Nest;
use crate::tensor::Shape;

use super::{dropout_masks, Recur};

/// kernel (spatial..., channels, 4 * filters), recurrent_kernel (spatial...,
/// filters, 4 * filters), bias. Steps and states have channels last here.
pub struct ConvLstmCell {
    window: Window,
    filters: usize,
    activation: Activation,
    recurrent_activation: Activation,
    dropout: f64,
    recurrent_dropout: f64,
}

/// A convolutional LSTM over `(batch, time, spatial..., channels)`.
pub fn conv_lstm<const N: usize>(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["unit_forget_bias"]);
    let rate = |key: &str| Ok(cfg.f64_or(key, 0.0)?.clamp(0.0, 1.0));
    let activation = |key: &str, default: &str| Activation::from_cfg_or(cfg, key, default, nested);
    let cell = ConvLstmCell {
        window: Window::of(cfg, cfg.usizes("kernel_size", N)?)?,
        filters: cfg.usize("filters")?,
        activation: activation("activation", "tanh")?,
        recurrent_activation: activation("recurrent_activation", "sigmoid")?,
        dropout: rate("dropout")?,
        recurrent_dropout: rate("recurrent_dropout")?,
    };
    let names = ["kernel", "recurrent_kernel", "bias"];
    let count = if cell.window.use_bias { 3 } else { 2 };
    let vars = names[..count].iter().map(|n| Var::new(n)).collect();
    let functions = [
        ("activation", cell.activation.clone()),
        ("recurrent_activation", cell.recurrent_activation.clone()),
    ];
    let built = Built {
        vars,
        ..Built::new(cell)
    };
    let built = functions
        .iter()
        .fold(built, |built, (key, f)| f.child_of(key, built));
    super::recurrent_over(cfg, "conv_lstm_cell", "ConvLSTMCell", built)
}

impl ConvLstmCell {
    fn masks(&self, training: bool) -> [usize; 2] {
        let count = |rate: f64| match training && rate > 0.0 && rate < 1.0 {
            true => 4,
            false => 0,
        };
        [count(self.dropout), count(self.recurrent_dropout)]
    }

    /// The convolution for all gates, each seeing x through its mask if there are masks.
    fn convolve(
        &self,
        cx: &mut Cx,
        x: ValueId,
        kernel: ValueId,
        attrs: ConvAttrs,
        masks: &[ValueId],
    ) -> Result<ValueId> {
        // How products of float16 are added up depends on how many there are at a time.
        if masks.is_empty() && !cx.dtype(kernel).is_half() {
            return cx.conv(x, kernel, attrs);
        }
        let mut parts = vec![];
        for gate in 0..4 {
            let x = match masks.get(gate) {
                Some(&mask) => cx.mul(x, mask)?,
                None => x,
            };
            let (start, end) = (gate * self.filters, (gate + 1) * self.filters);
            let kernel = cx.slice_axis(kernel, -1, start, end)?;
            parts.push(cx.conv(x, kernel, attrs.clone())?);
        }
        cx.concat(&parts, -1)
    }

    fn apply(&self, cx: &mut Cx, f: &Activation, x: ValueId) -> Result<ValueId> {
        if f.is_elementwise() || !self.window.channels_first {
            return f.apply(cx, x);
        }
        let x = to_channels_first(cx, x)?;
        let y = f.apply(cx, x)?;
        to_channels_last(cx, y)
    }

    /// All steps of (batch, time, ...) as one batch; gives both sizes.
    fn fold(&self, cx: &mut Cx, x: ValueId) -> Result<(ValueId, [usize; 2])> {
        let mut shape = cx.shape(x);
        let lead = [shape[0], shape[1]];
        shape.splice(..2, [lead[0] * lead[1]]);
        Ok((cx.reshape(x, &shape)?, lead))
    }

    fn spatial(&self) -> usize {
        self.window.kernel.len()
    }

    /// z and the bias, where it is added `late`, to the sum of both convolutions, or
    /// before: TensorFlow's graph is rearranged to the former. It counts in 16 bits only.
    fn with_bias(&self, cx: &mut Cx, me: &LayerNode, z: ValueId, late: bool) -> Result<ValueId> {
        if !self.window.use_bias || late != me.policy.compute.is_half() {
            return Ok(z);
        }
        let bias = cx.weight(me, "bias", &[4 * self.filters])?;
        cx.add(z, bias)
    }
}

impl Recur for ConvLstmCell {
    fn enter(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        if !self.window.channels_first {
            return Ok(x);
        }
        if cx.rank(x) == self.spatial() + 2 {
            return to_channels_last(cx, x);
        }
        let (x, lead) = self.fold(cx, x)?;
        let x = to_channels_last(cx, x)?;
        unfold(cx, x, lead)
    }

    fn leave(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        if !self.window.channels_first {
            return Ok(x);
        }
        if cx.rank(x) == self.spatial() + 2 {
            return to_channels_first(cx, x);
        }
        let (x, lead) = self.fold(cx, x)?;
        let x = to_channels_first(cx, x)?;
        unfold(cx, x, lead)
    }

    fn step_rank(&self) -> Option<usize> {
        Some(self.spatial() + 2)
    }

    fn state_shapes(&self, cx: &Cx, me: &LayerNode, x: &[usize]) -> Result<Nest<Shape>> {
        let state = Nest::Leaf(self.output_shape(cx, me, x)?);
        Ok(Nest::List(vec![state; 2]))
    }

    fn output_shape(&self, cx: &Cx, _: &LayerNode, x: &[usize]) -> Result<Shape> {
        let mut shape = vec![x[0]];
        for (axis, &size) in x[1..x.len() - 1].iter().enumerate() {
            let windows = self.window.windows(axis, size);
            shape.push(windows.ok_or_else(|| {
                let window = self.window.kernel[axis];
                cx.error(format!(
                    "a window of {window} doesn't fit into an axis of size {size}"
                ))
            })?);
        }
        shape.push(self.filters);
        Ok(shape)
    }

    fn drops(&self, cx: &mut Cx, me: &LayerNode, x: &[usize]) -> Result<Vec<ValueId>> {
        let [inputs, states] = self.masks(cx.training);
        let state = self.output_shape(cx, me, x)?;
        let of_inputs = (inputs, self.dropout, x);
        let of_states = (states, self.recurrent_dropout, &state[..]);
        dropout_masks(cx, me, [of_inputs, of_states])
    }

    fn drop_count(&self, training: bool, _: &LayerNode) -> usize {
        self.masks(training).iter().sum()
    }

    /// The convolution of all steps at once.
    fn prepare(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        x: ValueId,
        drops: &[ValueId],
    ) -> Result<ValueId> {
        let width = 4 * self.filters;
        let shape = self.window.kernel_shape([cx.dim(x, -1)?, width]);
        let kernel = cx.weight(me, "kernel", &shape)?;
        let dtype = cx.dtype(kernel);
        let x = cx.cast(x, dtype)?;
        let all = cx.shape(x);
        let (x, lead) = self.fold(cx, x)?;
        let mut masks = vec![];
        for &m in &drops[..self.masks(cx.training)[0]] {
            let m = cx.expand_dims(m, 1)?;
            let m = cx.broadcast_to(m, &all)?;
            masks.push(self.fold(cx, m)?.0);
        }
        let attrs = self.window.attrs(cx, x, 1);
        let y = self.convolve(cx, x, kernel, attrs, &masks)?;
        let y = self.with_bias(cx, me, y, false)?;
        unfold(cx, y, lead)
    }

    fn step(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        z: ValueId,
        states: &[ValueId],
        drops: &[ValueId],
    ) -> Result<(ValueId, Vec<ValueId>)> {
        let [inputs, own] = self.masks(cx.training);
        let masks = &drops[inputs..inputs + own];
        let shape = self.window.kernel_shape([self.filters, 4 * self.filters]);
        let kernel = cx.weight(me, "recurrent_kernel", &shape)?;
        let sizes = cx.shape(states[0]);
        let spatial = self.window.kernel.iter().zip(&sizes[1..]);
        let attrs = ConvAttrs {
            strides: vec![1; self.spatial()],
            padding: spatial.map(|(&k, &n)| same_pads(n, k, 1)).collect(),
            dilation: vec![1; self.spatial()],
            groups: 1,
        };
        let r = self.convolve(cx, states[0], kernel, attrs, masks)?;
        let z = cx.add(z, r)?;
        let z = self.with_bias(cx, me, z, true)?;
        let mut gates = vec![];
        for g in 0..4 {
            let x = cx.slice_axis(z, -1, g * self.filters, (g + 1) * self.filters)?;
            let f = if g == 2 {
                &self.activation
            } else {
                &self.recurrent_activation
            };
            gates.push(self.apply(cx, f, x)?);
        }
        let kept = cx.mul(gates[1], states[1])?;
        let new = cx.mul(gates[0], gates[2])?;
        let c = cx.add(kept, new)?;
        let y = self.apply(cx, &self.activation, c)?;
        let h = cx.mul(gates[3], y)?;
        Ok((h, vec![h, c]))
    }
}

fn unfold(cx: &mut Cx, x: ValueId, lead: [usize; 2]) -> Result<ValueId> {
    let mut shape = cx.shape(x);
    shape.splice(..1, lead);
    cx.reshape(x, &shape)
}

impl Layer for ConvLstmCell {
    fn call(&self, cx: &mut Cx, _: &LayerNode, _: &Call) -> Result<Out> {
        Err(cx.defect("a convolutional cell can't be called by itself"))
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}
