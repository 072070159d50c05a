//! SimpleRNNCell, LSTMCell and GRUCell: one step, with dropout in training.

use crate::error::Result;
use crate::graph::{RnnActivation, RnnCell, ValueId};
use crate::keras::activations::Activation;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Var};
use crate::nest::Nest;
use crate::tensor::{counted, Shape};

use super::{dropout_masks, states_of, Recur};

/// One step of a recurrent layer: kernel (features, gates * units),
/// recurrent_kernel (units, gates * units), bias.
#[derive(Clone)]
pub struct Cell {
    pub kind: RnnCell,
    pub units: usize,
    use_bias: bool,
    activation: Activation,
    recurrent_activation: Activation,
    dropout: f64,
    recurrent_dropout: f64,
}

pub fn simple_cell(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    Ok(Cell::from_cfg(cfg, RnnCell::Simple, nested)?.built())
}

pub fn lstm_cell(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["unit_forget_bias"]);
    Ok(Cell::from_cfg(cfg, RnnCell::Lstm, nested)?.built())
}

pub fn gru_cell(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let reset_after = cfg.bool_or("reset_after", true)?;
    Ok(Cell::from_cfg(cfg, RnnCell::Gru { reset_after }, nested)?.built())
}

impl Cell {
    pub fn from_cfg(cfg: &Cfg, kind: RnnCell, nested: &dyn Nested) -> Result<Cell> {
        cfg.pass_over(&["implementation"]);
        let rate = |key: &str| Ok(cfg.f64_or(key, 0.0)?.clamp(0.0, 1.0));
        Ok(Cell {
            kind,
            units: cfg.usize("units")?,
            use_bias: cfg.bool_or("use_bias", true)?,
            activation: Activation::from_cfg_or(cfg, "activation", "tanh", nested)?,
            recurrent_activation: match kind {
                RnnCell::Simple => Activation::Linear,
                _ => Activation::from_cfg_or(cfg, "recurrent_activation", "sigmoid", nested)?,
            },
            dropout: rate("dropout")?,
            recurrent_dropout: rate("recurrent_dropout")?,
        })
    }

    pub fn built(self) -> Built {
        let built = Built {
            vars: self.vars(),
            ..Built::new(self.clone())
        };
        let built = self.activation.child_of("activation", built);
        self.recurrent_activation
            .child_of("recurrent_activation", built)
    }

    fn vars(&self) -> Vec<Var> {
        let names = ["kernel", "recurrent_kernel", "bias"];
        let count = if self.use_bias { 3 } else { 2 };
        names[..count].iter().map(|n| Var::new(n)).collect()
    }

    fn gates(&self) -> usize {
        match self.kind {
            RnnCell::Lstm => 4,
            RnnCell::Gru { .. } => 3,
            RnnCell::Simple => 1,
        }
    }

    /// Columns of the kernels.
    fn width(&self) -> usize {
        self.gates() * self.units
    }

    fn state_count(&self) -> usize {
        match self.kind {
            RnnCell::Lstm => 2,
            _ => 1,
        }
    }

    /// Whether the recurrent product has a bias of its own.
    pub fn has_recurrent_bias(&self) -> bool {
        self.use_bias && matches!(self.kind, RnnCell::Gru { reset_after: true })
    }

    /// The biases of the input and of the recurrent product.
    pub fn biases(&self, cx: &mut Cx, me: &LayerNode) -> Result<[Option<ValueId>; 2]> {
        if !self.use_bias {
            return Ok([None, None]);
        }
        if !self.has_recurrent_bias() {
            return Ok([Some(cx.weight(me, "bias", &[self.width()])?), None]);
        }
        let both = cx.weight(me, "bias", &[2, self.width()])?;
        Ok([
            Some(cx.index_axis(both, 0, 0)?),
            Some(cx.index_axis(both, 0, 1)?),
        ])
    }

    /// The bias, where it is added to the sum of both products, as in an LSTM
    /// (with recurrent dropout, TensorFlow's graph is rearranged to that). It counts
    /// in 16 bits only.
    fn late_bias(&self, cx: &mut Cx, me: &LayerNode) -> Result<Option<ValueId>> {
        match self.kind == RnnCell::Lstm && me.policy.compute.is_half() {
            true => Ok(self.biases(cx, me)?[0]),
            false => Ok(None),
        }
    }

    pub fn recurrent_kernel(&self, cx: &mut Cx, me: &LayerNode) -> Result<ValueId> {
        cx.weight(me, "recurrent_kernel", &[self.units, self.width()])
    }

    /// How many masks input and state have in training: one, or one a gate.
    fn masks(&self, training: bool) -> [usize; 2] {
        let each = match self.recurrent_dropout > 0.0 {
            true => self.gates(),
            false => 1,
        };
        // Gated cells take a rate of 1 as none.
        let drops = |rate: f64| match self.kind {
            RnnCell::Simple => rate > 0.0,
            _ => rate > 0.0 && rate < 1.0,
        };
        let count = |rate: f64| if training && drops(rate) { each } else { 0 };
        [count(self.dropout), count(self.recurrent_dropout)]
    }

    /// x (..., features) by the input kernel, where each gate may see it
    /// through another mask; input bias included.
    fn project(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        x: ValueId,
        masks: &[ValueId],
    ) -> Result<ValueId> {
        let features = cx.dim(x, -1)?;
        let kernel = cx.weight(me, "kernel", &[features, self.width()])?;
        let dtype = cx.dtype(kernel);
        let x = cx.cast(x, dtype)?;
        let y = self.by_gates(cx, x, kernel, masks)?;
        match self.biases(cx, me)?[0] {
            Some(bias) if self.late_bias(cx, me)?.is_none() => cx.add(y, bias),
            _ => Ok(y),
        }
    }

    /// The product of all gates, seen through no mask, one, or one each.
    fn by_gates(
        &self,
        cx: &mut Cx,
        x: ValueId,
        kernel: ValueId,
        masks: &[ValueId],
    ) -> Result<ValueId> {
        match masks {
            [] => cx.dense(x, kernel),
            [one] => {
                let x = cx.mul(x, *one)?;
                cx.dense(x, kernel)
            }
            many => {
                let kernels = self.split(cx, kernel)?;
                let mut parts = vec![];
                for (&mask, kernel) in many.iter().zip(kernels) {
                    let x = cx.mul(x, mask)?;
                    parts.push(cx.dense(x, kernel)?);
                }
                cx.concat(&parts, -1)
            }
        }
    }

    fn gate(&self, cx: &mut Cx, x: ValueId, inner: ValueId) -> Result<ValueId> {
        let s = cx.add(x, inner)?;
        self.recurrent_activation.apply(cx, s)
    }

    /// The gates of (..., gates * units).
    fn split(&self, cx: &mut Cx, x: ValueId) -> Result<Vec<ValueId>> {
        let u = self.units;
        (0..self.gates())
            .map(|g| cx.slice_axis(x, -1, g * u, (g + 1) * u))
            .collect()
    }

    /// The activations in the fused kernel's terms, if it knows both and no
    /// mask comes between.
    pub fn fused(&self, training: bool) -> Option<(RnnActivation, RnnActivation)> {
        if self.masks(training)[1] > 0 {
            return None;
        }
        Some((
            self.activation.in_rnn()?,
            self.recurrent_activation.in_rnn()?,
        ))
    }

    fn lstm(&self, cx: &mut Cx, z: ValueId, c: ValueId) -> Result<Vec<ValueId>> {
        let (act, rec) = (&self.activation, &self.recurrent_activation);
        let z = self.split(cx, z)?;
        let i = rec.apply(cx, z[0])?;
        let f = rec.apply(cx, z[1])?;
        let g = act.apply(cx, z[2])?;
        let o = rec.apply(cx, z[3])?;
        let kept = cx.mul(f, c)?;
        let new = cx.mul(i, g)?;
        let c = cx.add(kept, new)?;
        let y = act.apply(cx, c)?;
        Ok(vec![cx.mul(o, y)?, c])
    }

    fn gru(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        z: ValueId,
        h: ValueId,
        masks: &[ValueId],
    ) -> Result<ValueId> {
        let kernel = self.recurrent_kernel(cx, me)?;
        let x = self.split(cx, z)?;
        let (z, r, hh);
        if self.kind == (RnnCell::Gru { reset_after: true }) {
            let mut inner = self.by_gates(cx, h, kernel, masks)?;
            if let Some(bias) = self.biases(cx, me)?[1] {
                inner = cx.add(inner, bias)?;
            }
            let inner = self.split(cx, inner)?;
            z = self.gate(cx, x[0], inner[0])?;
            r = self.gate(cx, x[1], inner[1])?;
            hh = cx.mul(r, inner[2])?;
        } else {
            let kernels = self.split(cx, kernel)?;
            let seen = |cx: &mut Cx, gate: usize| match masks.get(gate) {
                Some(&m) => cx.mul(h, m),
                None => Ok(h),
            };
            let hz = seen(cx, 0)?;
            let inner = cx.dense(hz, kernels[0])?;
            z = self.gate(cx, x[0], inner)?;
            let hr = seen(cx, 1)?;
            let inner = cx.dense(hr, kernels[1])?;
            r = self.gate(cx, x[1], inner)?;
            let hc = seen(cx, 2)?;
            let reset = cx.mul(r, hc)?;
            hh = cx.dense(reset, kernels[2])?;
        }
        let hh = cx.add(x[2], hh)?;
        let hh = self.activation.apply(cx, hh)?;
        let kept = cx.mul(z, h)?;
        let dtype = cx.dtype(z);
        let one = cx.scalar(dtype, 1.0);
        let rest = cx.sub(one, z)?;
        let new = cx.mul(rest, hh)?;
        cx.add(kept, new)
    }
}

impl Recur for Cell {
    fn state_shapes(&self, _: &Cx, _: &LayerNode, x: &[usize]) -> Result<Nest<Shape>> {
        let state = Nest::Leaf(vec![x[0], self.units]);
        Ok(Nest::List(vec![state; self.state_count()]))
    }

    fn drops(&self, cx: &mut Cx, me: &LayerNode, x: &[usize]) -> Result<Vec<ValueId>> {
        let [inputs, states] = self.masks(cx.training);
        let state = [x[0], self.units];
        let of_inputs = (inputs, self.dropout, x);
        let of_states = (states, self.recurrent_dropout, &state[..]);
        dropout_masks(cx, me, [of_inputs, of_states])
    }

    fn drop_count(&self, training: bool, _: &LayerNode) -> usize {
        self.masks(training).iter().sum()
    }

    fn output_shape(&self, _: &Cx, _: &LayerNode, x: &[usize]) -> Result<Shape> {
        Ok(vec![x[0], self.units])
    }

    fn prepare(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        x: ValueId,
        drops: &[ValueId],
    ) -> Result<ValueId> {
        let inputs = self.masks(cx.training)[0];
        let rank = cx.rank(x);
        let mut masks = vec![];
        for &m in &drops[..inputs] {
            masks.push(if rank == 3 { cx.expand_dims(m, 1)? } else { m });
        }
        self.project(cx, me, x, &masks)
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
        let h = states[0];
        if let RnnCell::Gru { .. } = self.kind {
            let h = self.gru(cx, me, z, h, masks)?;
            return Ok((h, vec![h]));
        }
        let kernel = self.recurrent_kernel(cx, me)?;
        let r = self.by_gates(cx, h, kernel, masks)?;
        let mut z = cx.add(z, r)?;
        if let Some(bias) = self.late_bias(cx, me)? {
            z = cx.add(z, bias)?;
        }
        let states = match self.kind {
            RnnCell::Lstm => self.lstm(cx, z, states[1])?,
            _ => vec![self.activation.apply(cx, z)?],
        };
        Ok((states[0], states))
    }
}

/// A cell called by itself, for one step.
impl Layer for Cell {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "states", "training"]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        one_step(self, cx, me, call)
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

/// `cell(inputs, states)`: the output, and the new states as they were given.
pub fn one_step(cell: &dyn Recur, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
    let x = cx.one(call)?.value;
    let given = call.arg(1, "states");
    let shape = cx.shape(x);
    let nest = cell.state_shapes(cx, me, &shape)?;
    let states = given.map_or(vec![], states_of);
    if states.len() != nest.flatten().len() {
        let n = nest.flatten().len();
        return Err(cx.call_error(format!(
            "expected {}, not {}",
            counted(n, "state", "states"),
            states.len()
        )));
    }
    let drops = cell.drops(cx, me, &shape)?;
    let z = cell.prepare(cx, me, x, &drops)?;
    let (y, states) = cell.step(cx, me, z, &states, &drops)?;
    // A state that was given by itself comes back by itself.
    let single = states.len() == 1 && matches!(given, Some(crate::keras::Arg::Tensor(_)));
    let states = match single {
        true => Out::from(states[0]),
        false => super::pack(&nest, &states),
    };
    Ok(Nest::List(vec![y.into(), states]))
}
