//! LSTM, GRU, SimpleRNN and their cells.

use std::sync::Arc;

use crate::error::{Error, Result, Unsupported};
use crate::graph::{RnnActivation, RnnAttrs, RnnCell, ScanAttrs, ValueId};
use crate::keras::activations::Activation;
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Policy, Var, T};
use crate::nest::Nest;
use crate::tensor::{DType, Fact};

/// One step of a recurrent layer: kernel (features, gates * units),
/// recurrent_kernel (units, gates * units), bias.
#[derive(Clone)]
struct Cell {
    kind: RnnCell,
    units: usize,
    use_bias: bool,
    activation: Activation,
    recurrent_activation: Activation,
}

impl Cell {
    fn from_cfg(cfg: &Cfg, kind: RnnCell) -> Result<Cell> {
        cfg.pass_over(&["dropout", "recurrent_dropout", "implementation"]);
        Ok(Cell {
            kind,
            units: cfg.usize("units")?,
            use_bias: cfg.bool_or("use_bias", true)?,
            activation: Activation::from_cfg_or(cfg, "activation", "tanh")?,
            recurrent_activation: match kind {
                RnnCell::Simple => Activation::Linear,
                _ => Activation::from_cfg_or(cfg, "recurrent_activation", "sigmoid")?,
            },
        })
    }

    fn vars(&self) -> Vec<Var> {
        let names = ["kernel", "recurrent_kernel", "bias"];
        let count = if self.use_bias { 3 } else { 2 };
        names[..count].iter().map(|n| Var::new(n)).collect()
    }

    /// Columns of the kernels.
    fn width(&self) -> usize {
        let gates = match self.kind {
            RnnCell::Lstm => 4,
            RnnCell::Gru { .. } => 3,
            RnnCell::Simple => 1,
        };
        gates * self.units
    }

    fn states(&self) -> usize {
        match self.kind {
            RnnCell::Lstm => 2,
            _ => 1,
        }
    }

    /// Whether the recurrent product has a bias of its own.
    fn has_recurrent_bias(&self) -> bool {
        self.use_bias && matches!(self.kind, RnnCell::Gru { reset_after: true })
    }

    /// The biases of the input and of the recurrent product.
    fn biases(&self, cx: &mut Cx, me: &LayerNode) -> Result<(Option<ValueId>, Option<ValueId>)> {
        if !self.use_bias {
            return Ok((None, None));
        }
        if !self.has_recurrent_bias() {
            return Ok((Some(cx.weight(me, "bias", &[self.width()])?), None));
        }
        let both = cx.weight(me, "bias", &[2, self.width()])?;
        Ok((
            Some(cx.index_axis(both, 0, 0)?),
            Some(cx.index_axis(both, 0, 1)?),
        ))
    }

    fn recurrent_kernel(&self, cx: &mut Cx, me: &LayerNode) -> Result<ValueId> {
        cx.weight(me, "recurrent_kernel", &[self.units, self.width()])
    }

    /// x (..., features) by the input kernel, input bias included.
    fn project(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<ValueId> {
        let features = cx.dim(x, -1)?;
        let kernel = cx.weight(me, "kernel", &[features, self.width()])?;
        let dtype = cx.dtype(kernel);
        let x = cx.cast(x, dtype)?;
        let y = cx.dense(x, kernel)?;
        match self.biases(cx, me)?.0 {
            Some(bias) => cx.add(y, bias),
            None => Ok(y),
        }
    }

    /// The states (h first, which is the output) after a step over the
    /// projected input `z` (batch, gates * units).
    fn step(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        z: ValueId,
        states: &[ValueId],
    ) -> Result<Vec<ValueId>> {
        let (act, rec) = (&self.activation, &self.recurrent_activation);
        let h = states[0];
        let kernel = self.recurrent_kernel(cx, me)?;
        match self.kind {
            RnnCell::Simple => {
                let r = cx.dense(h, kernel)?;
                let z = cx.add(z, r)?;
                Ok(vec![act.apply(cx, z)?])
            }
            RnnCell::Lstm => {
                let r = cx.dense(h, kernel)?;
                let z = cx.add(z, r)?;
                let z = self.split(cx, z)?;
                let i = rec.apply(cx, z[0])?;
                let f = rec.apply(cx, z[1])?;
                let g = act.apply(cx, z[2])?;
                let o = rec.apply(cx, z[3])?;
                let kept = cx.mul(f, states[1])?;
                let new = cx.mul(i, g)?;
                let c = cx.add(kept, new)?;
                let y = act.apply(cx, c)?;
                Ok(vec![cx.mul(o, y)?, c])
            }
            RnnCell::Gru { reset_after } => {
                let x = self.split(cx, z)?;
                let (z, r, hh);
                if reset_after {
                    let mut inner = cx.dense(h, kernel)?;
                    if let (_, Some(bias)) = self.biases(cx, me)? {
                        inner = cx.add(inner, bias)?;
                    }
                    let inner = self.split(cx, inner)?;
                    z = self.gate(cx, x[0], inner[0])?;
                    r = self.gate(cx, x[1], inner[1])?;
                    hh = cx.mul(r, inner[2])?;
                } else {
                    let kernels = self.split(cx, kernel)?;
                    let inner = cx.dense(h, kernels[0])?;
                    z = self.gate(cx, x[0], inner)?;
                    let inner = cx.dense(h, kernels[1])?;
                    r = self.gate(cx, x[1], inner)?;
                    let reset = cx.mul(r, h)?;
                    hh = cx.dense(reset, kernels[2])?;
                }
                let hh = cx.add(x[2], hh)?;
                let hh = act.apply(cx, hh)?;
                let kept = cx.mul(z, h)?;
                let dtype = cx.dtype(z);
                let one = cx.scalar(dtype, 1.0);
                let rest = cx.sub(one, z)?;
                let new = cx.mul(rest, hh)?;
                Ok(vec![cx.add(kept, new)?])
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
        (0..self.width() / u)
            .map(|g| cx.slice_axis(x, -1, g * u, (g + 1) * u))
            .collect()
    }

    /// The activations in the fused kernel's terms, if it knows both.
    fn fused(&self) -> Option<(RnnActivation, RnnActivation)> {
        Some((
            self.activation.in_rnn()?,
            self.recurrent_activation.in_rnn()?,
        ))
    }
}

/// A cell as a sublayer: keeps the weights, and can be called for one step.
impl Layer for Cell {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let states: Vec<ValueId> = match call.arg(1, "states") {
            Some(arg) => arg.tensors().iter().map(|t| t.value).collect(),
            None => vec![],
        };
        if states.len() != self.states() {
            return Err(cx.error(format!("expected {} states", self.states())));
        }
        let z = self.project(cx, me, x.value)?;
        let states = self.step(cx, me, z, &states)?;
        let output = Out::from(states[0]);
        let states = states.into_iter().map(Out::from).collect();
        Ok(Nest::List(vec![output, Nest::List(states)]))
    }
}

/// A recurrent layer over (batch, time, features); its weights are the cell's.
struct Recurrent {
    cell: Cell,
    return_sequences: bool,
    return_state: bool,
    go_backwards: bool,
    unroll: bool,
    zero_output_for_mask: bool,
    dropout: bool,
}

pub fn lstm(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["unit_forget_bias"]);
    recurrent(cfg, RnnCell::Lstm, "lstm_cell")
}

pub fn gru(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let reset_after = cfg.bool_or("reset_after", true)?;
    recurrent(cfg, RnnCell::Gru { reset_after }, "gru_cell")
}

pub fn simple_rnn(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    recurrent(cfg, RnnCell::Simple, "simple_rnn_cell")
}

fn recurrent(cfg: &Cfg, kind: RnnCell, cell_name: &str) -> Result<Built> {
    if cfg.bool_or("stateful", false)? {
        return Err(Error::UnsupportedLayers {
            layers: vec![Unsupported {
                name: cfg.layer.clone(),
                class: cfg.class.clone(),
                hint: "stateful recurrent layers are not supported; \
                       save the model with stateful = FALSE"
                    .to_string(),
            }],
        });
    }
    if cfg.bool_or("time_major", false)? {
        return Err(cfg.bad("time_major", "false"));
    }
    cfg.pass_over(&["use_cudnn", "input_length", "input_dim", "input_shape"]);
    let dropout = cfg.f64_or("dropout", 0.0)? > 0.0 || cfg.f64_or("recurrent_dropout", 0.0)? > 0.0;
    let cell = Cell::from_cfg(cfg, kind)?;
    let node = cell_node(cfg, &cell, cell_name)?;
    let layer = Recurrent {
        cell,
        return_sequences: cfg.bool_or("return_sequences", false)?,
        return_state: cfg.bool_or("return_state", false)?,
        go_backwards: cfg.bool_or("go_backwards", false)?,
        unroll: cfg.bool_or("unroll", false)?,
        zero_output_for_mask: cfg.bool_or("zero_output_for_mask", false)?,
        dropout,
    };
    Ok(Built::new(layer).child("cell", node))
}

/// The cell that a recurrent layer makes from its own config.
fn cell_node(cfg: &Cfg, cell: &Cell, name: &str) -> Result<Arc<LayerNode>> {
    let policy = match cfg.get("dtype") {
        Some(v) => Policy::parse(v).ok_or_else(|| cfg.bad("dtype", "a dtype policy"))?,
        None => Policy::default(),
    };
    let built = Built {
        layer: Box::new(cell.clone()),
        vars: cell.vars(),
        children: vec![],
    };
    let class = format!("{}Cell", cfg.class);
    let trainable = cfg.bool_or("trainable", true)?;
    let node = LayerNode::new(name, &class, policy, trainable, built);
    Ok(Arc::new(node))
}

/// The sequence, its initial states if they are given, and two masks (batch,
/// time): the one that steps go by, and the one to pass on.
struct Inputs {
    x: T,
    states: Option<Vec<ValueId>>,
    mask: Option<ValueId>,
    out_mask: Option<ValueId>,
}

impl Inputs {
    /// Keras looks for an implicit mask only where the sequence is the only
    /// tensor of the call, so that initial states hide it from the loop; it is
    /// passed on all the same. A list (sequence, states...) is Keras 2's form.
    fn read(cx: &Cx, call: &Call) -> Result<Inputs> {
        let explicit = call
            .arg(2, "mask")
            .and_then(|a| a.tensors().first().copied())
            .map(|t| t.value);
        if let Some(Arg::List(items)) = call.args.first() {
            let mut all = items.iter().flat_map(Arg::tensors);
            let x = all
                .next()
                .ok_or_else(|| cx.error("expected a sequence to run over"))?;
            let rest: Vec<ValueId> = all.map(|t| t.value).collect();
            let mask = explicit.or(x.mask);
            return Ok(Inputs {
                x,
                states: (!rest.is_empty()).then_some(rest),
                mask,
                out_mask: mask,
            });
        }
        let x = cx.one(call)?;
        let states: Option<Vec<ValueId>> = call
            .arg(1, "initial_state")
            .map(|a| a.tensors().iter().map(|t| t.value).collect());
        let implicit = if states.is_none() { x.mask } else { None };
        Ok(Inputs {
            x,
            states,
            mask: explicit.or(implicit),
            out_mask: explicit.or(x.mask),
        })
    }
}

impl Layer for Recurrent {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        if cx.training && self.dropout {
            return Err(cx.error("dropout of recurrent layers is not supported in training"));
        }
        let inputs = Inputs::read(cx, call)?;
        cx.check_rank(inputs.x.value, 3)?;
        if cx.dim(inputs.x.value, 1)? == 0 {
            return Err(cx.error("expected at least one time step"));
        }
        let cell = me.child("cell")?;
        let compute = me.policy.compute;
        let states = self.initial_states(cx, &inputs, compute)?;
        let mask = match inputs.mask {
            Some(m) => Some(self.step_mask(cx, m)?),
            None => None,
        };
        let z = self.cell.project(cx, cell, inputs.x.value)?;

        // Keras' unrolled loop zeroes backward sequences by the mask in time order.
        let late_zeros = self.zero_output_for_mask
            && self.unroll
            && self.go_backwards
            && self.return_sequences
            && mask.is_some();
        let zero = self.zero_output_for_mask && !late_zeros;
        let whole_steps = mask.is_none_or(|m| cx.rank(m) == 2);
        let mut outs = match self.cell.fused() {
            Some(acts) if whole_steps => self.fused(cx, cell, acts, z, &states, mask, zero)?,
            _ => self.scan(cx, cell, z, &states, mask, zero)?,
        };
        if let (true, Some(mask)) = (late_zeros, mask) {
            let mask = cx.spread_mask(mask, 3)?;
            let nothing = cx.scalar(compute, 0.0);
            outs[0] = cx.select(mask, outs[0], nothing)?;
        }
        let output = Out::from(T {
            value: outs[0],
            mask: inputs.out_mask.filter(|_| self.return_sequences),
        });
        if !self.return_state {
            return Ok(output);
        }
        let states = outs[1..].iter().map(|&s| Out::from(s));
        Ok(Nest::List(std::iter::once(output).chain(states).collect()))
    }
}

impl Recurrent {
    /// The given initial states, or zeros.
    fn initial_states(&self, cx: &mut Cx, inputs: &Inputs, dtype: DType) -> Result<Vec<ValueId>> {
        let count = self.cell.states();
        match &inputs.states {
            Some(given) if given.len() == count => {
                given.iter().map(|&s| cx.cast(s, dtype)).collect()
            }
            Some(given) => Err(cx.error(format!(
                "expected {count} initial states, not {}",
                given.len()
            ))),
            None => {
                let batch = cx.dim(inputs.x.value, 0)?;
                let zeros = cx.full(Fact::new(dtype, [batch, self.cell.units]), 0.0)?;
                Ok(vec![zeros; count])
            }
        }
    }

    /// The mask as bool (batch, time), or (batch, time, units) where it is one
    /// of single units.
    fn step_mask(&self, cx: &mut Cx, mask: ValueId) -> Result<ValueId> {
        let mask = cx.cast(mask, DType::Bool)?;
        match cx.shape(mask)[..] {
            [_, _, 1] => cx.squeeze(mask, -1),
            [_, _] => Ok(mask),
            [_, _, n] if n == self.cell.units => Ok(mask),
            ref shape => Err(cx.error(format!("a mask of shape {shape:?} is not one of steps"))),
        }
    }

    /// Output and last states by the fused kernel.
    #[allow(clippy::too_many_arguments)] // one per part of Keras' `rnn`
    fn fused(
        &self,
        cx: &mut Cx,
        cell: &LayerNode,
        (activation, recurrent_activation): (RnnActivation, RnnActivation),
        z: ValueId,
        states: &[ValueId],
        mask: Option<ValueId>,
        zero_masked: bool,
    ) -> Result<Vec<ValueId>> {
        let kernel = self.cell.recurrent_kernel(cx, cell)?;
        let bias = match self.cell.has_recurrent_bias() {
            true => self.cell.biases(cx, cell)?.1,
            false => None,
        };
        let attrs = RnnAttrs {
            cell: self.cell.kind,
            activation,
            recurrent_activation,
            reverse: self.go_backwards,
            sequences: self.return_sequences,
            zero_masked,
            masked: mask.is_some(),
            recurrent_bias: bias.is_some(),
        };
        cx.rnn(attrs, z, kernel, bias, states, mask)
    }

    /// Output and last states by a loop, for activations and masks that the fused
    /// kernel does not know. The loop carries the output, then the states.
    fn scan(
        &self,
        cx: &mut Cx,
        cell: &LayerNode,
        z: ValueId,
        states: &[ValueId],
        mask: Option<ValueId>,
        zero_masked: bool,
    ) -> Result<Vec<ValueId>> {
        let length = cx.dim(z, 1)?;
        let mut sequences = vec![cx.transpose(z, &[1, 0, 2])?];
        if let Some(m) = mask {
            sequences.push(match cx.rank(m) {
                2 => {
                    let m = cx.transpose(m, &[1, 0])?;
                    cx.expand_dims(m, -1)?
                }
                _ => cx.transpose(m, &[1, 0, 2])?,
            });
        }
        if self.go_backwards {
            for s in &mut sequences {
                *s = cx.reverse(*s, 0)?;
            }
        }
        let fact = cx.fact(states[0]).clone();
        let first = cx.full(fact, 0.0)?;
        let carries = [&[first], states].concat();

        let mut body = cx.for_body();
        let slice = |cx: &Cx, v: ValueId| {
            let f = cx.fact(v);
            Fact::new(f.dtype, &f.shape[1..])
        };
        let xs: Vec<ValueId> = sequences
            .iter()
            .map(|&s| body.input(slice(cx, s)))
            .collect();
        let before: Vec<ValueId> = carries
            .iter()
            .map(|&c| body.input(cx.fact(c).clone()))
            .collect();
        let mut after = self.cell.step(&mut body, cell, xs[0], &before[1..])?;
        let mut output = after[0];
        if let Some(&m) = xs.get(1) {
            let dtype = body.dtype(output);
            let held = match zero_masked {
                true => body.scalar(dtype, 0.0),
                false => before[0],
            };
            output = body.select(m, output, held)?;
            for (new, &old) in after.iter_mut().zip(&before[1..]) {
                *new = body.select(m, *new, old)?;
            }
        }
        let mut outputs = vec![output];
        outputs.extend(after);
        if self.return_sequences {
            outputs.push(output);
        }
        let mut graph = body.into_builder().graph;
        graph.outputs = outputs;
        let attrs = ScanAttrs {
            body: Arc::new(graph),
            sequences: sequences.len(),
            carries: carries.len(),
            length,
            reverse: false,
        };
        let mut outs = cx.scan(attrs, &sequences, &carries, &[])?;
        if self.return_sequences {
            if let Some(stack) = outs.pop() {
                outs[0] = cx.transpose(stack, &[1, 0, 2])?;
            }
        }
        Ok(outs)
    }
}
