//! Recurrent layers: LSTM, GRU, SimpleRNN, ConvLSTM, and RNN over any cell.

mod cell;
mod conv_lstm;
mod stacked;

use std::sync::Arc;

use crate::error::Result;
use crate::graph::{RnnActivation, RnnAttrs, RnnCell, ScanAttrs, ValueId};
use crate::keras::layers::custom::Custom;
use crate::keras::layers::regularization::drop_out;
use crate::keras::layers::MASKS_STAY;
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Policy, T};
use crate::nest::Nest;
use crate::tensor::{counted, show_shape, DType, Fact, Shape};

use cell::Cell;
pub use cell::{gru_cell, lstm_cell, simple_cell};
pub use conv_lstm::conv_lstm;
use conv_lstm::ConvLstmCell;
pub use stacked::{stacked, REVERSED_STATES};

/// What a recurrent layer asks of its cell. Steps are (batch, ...), without time.
pub trait Recur {
    /// Shapes of the states for steps of shape `x`, as Keras nests them.
    fn state_shapes(&self, cx: &Cx, me: &LayerNode, x: &[usize]) -> Result<Nest<Shape>>;

    /// Whether its states start from something else than zeros.
    fn has_own_start(&self, _: &LayerNode) -> bool {
        false
    }

    /// The states to start from.
    fn start(&self, cx: &mut Cx, me: &LayerNode, x: &[usize]) -> Result<Vec<ValueId>> {
        zeros(self, cx, me, x)
    }

    /// Shape of the output of a step.
    fn output_shape(&self, cx: &Cx, me: &LayerNode, x: &[usize]) -> Result<Shape>;

    /// The dropout masks of a whole sequence, made before the loop.
    fn drops(&self, _: &mut Cx, _: &LayerNode, _: &[usize]) -> Result<Vec<ValueId>> {
        Ok(vec![])
    }

    /// How many masks that is.
    fn drop_count(&self, _training: bool, _: &LayerNode) -> usize {
        0
    }

    /// What can be done of one step's input, or of all steps (batch, time, ...).
    fn prepare(
        &self,
        _: &mut Cx,
        _: &LayerNode,
        x: ValueId,
        _drops: &[ValueId],
    ) -> Result<ValueId> {
        Ok(x)
    }

    /// The output and the new states, from a prepared step and the states before.
    fn step(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        z: ValueId,
        states: &[ValueId],
        drops: &[ValueId],
    ) -> Result<(ValueId, Vec<ValueId>)>;

    /// A sequence or a state in the cell's layout.
    fn enter(&self, _: &mut Cx, x: ValueId) -> Result<ValueId> {
        Ok(x)
    }

    /// An output or a state in Keras' layout.
    fn leave(&self, _: &mut Cx, x: ValueId) -> Result<ValueId> {
        Ok(x)
    }

    /// Axes of a step's input, unless any number will do.
    fn step_rank(&self) -> Option<usize> {
        Some(2)
    }
}

/// The dropout masks of inputs and of states: how many there are of a rate and a shape.
fn dropout_masks(
    cx: &mut Cx,
    me: &LayerNode,
    wanted: [(usize, f64, &[usize]); 2],
) -> Result<Vec<ValueId>> {
    let mut out = vec![];
    for (count, rate, shape) in wanted {
        for _ in 0..count {
            let ones = cx.full(Fact::new(me.policy.compute, shape), 1.0)?;
            out.push(drop_out(cx, ones, rate, shape)?);
        }
    }
    Ok(out)
}

/// States of a cell that are zero.
pub fn zeros<R: Recur + ?Sized>(
    cell: &R,
    cx: &mut Cx,
    me: &LayerNode,
    x: &[usize],
) -> Result<Vec<ValueId>> {
    let shapes = cell.state_shapes(cx, me, x)?;
    let zero = |shape: &Shape| cx.full(Fact::new(me.policy.compute, shape.clone()), 0.0);
    shapes.flatten().into_iter().map(zero).collect()
}

/// The behaviour of a layer that is a cell.
fn cell_of(node: &LayerNode) -> Option<&dyn Recur> {
    let any = node.layer.as_any()?;
    let plain = any.downcast_ref::<Cell>().map(|c| c as &dyn Recur);
    let conv = || any.downcast_ref::<ConvLstmCell>().map(|c| c as &dyn Recur);
    let custom = || any.downcast_ref::<Custom>().map(|c| c as &dyn Recur);
    plain
        .or_else(conv)
        .or_else(custom)
        .or_else(|| stacked::of(node))
}

fn as_cell<'a>(cx: &Cx, node: &'a LayerNode) -> Result<&'a dyn Recur> {
    cell_of(node).ok_or_else(|| cx.call_error(format!("`{}` is no recurrent cell", node.name)))
}

/// All tensors of an argument with states, in the order they were given.
fn states_of(arg: &Arg) -> Vec<ValueId> {
    arg.tensors().iter().map(|t| t.value).collect()
}

/// Values in the structure of a nest.
fn pack(nest: &Nest<Shape>, values: &[ValueId]) -> Out {
    let mut values = values.iter();
    let out = nest.map(&mut |_| match values.next() {
        Some(&v) => Ok(T::from(v)),
        None => Err(crate::Error::internal("too few states")),
    });
    out.unwrap_or(Nest::Null)
}

/// A recurrent layer over (batch, time, ...); its weights are the cell's.
struct Recurrent {
    return_sequences: bool,
    return_state: bool,
    go_backwards: bool,
    unroll: bool,
    zero_output_for_mask: bool,
    stateful: bool,
    /// As before Keras 3: initial states don't hide the mask of the sequence.
    old_masks: bool,
}

pub fn lstm(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["unit_forget_bias"]);
    recurrent(cfg, RnnCell::Lstm, "lstm_cell", nested)
}

pub fn gru(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let reset_after = cfg.bool_or("reset_after", true)?;
    recurrent(cfg, RnnCell::Gru { reset_after }, "gru_cell", nested)
}

pub fn simple_rnn(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    recurrent(cfg, RnnCell::Simple, "simple_rnn_cell", nested)
}

/// A recurrent layer over any cell.
pub fn rnn(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let spec = cfg.get("cell").ok_or_else(|| cfg.bad("cell", "a cell"))?;
    let node = nested.layer(spec)?;
    let layer = Recurrent::from_cfg(cfg)?;
    if cfg.usize_or("num_constants", 0)? > 0 {
        return Err(cfg.bad("num_constants", "0"));
    }
    Ok(Built::new(layer).child("cell", node))
}

fn recurrent(cfg: &Cfg, kind: RnnCell, cell_name: &str, nested: &dyn Nested) -> Result<Built> {
    let built = Cell::from_cfg(cfg, kind, nested)?.built();
    recurrent_over(cfg, cell_name, &format!("{}Cell", cfg.class), built)
}

/// A recurrent layer over the cell that it makes from its own config.
/// The store has a layer that is the cell's activation under the recurrent layer,
/// where Keras meets it before the cell.
fn recurrent_over(cfg: &Cfg, name: &str, class: &str, mut cell: Built) -> Result<Built> {
    let policy = Policy::of_sublayer(cfg, Some(name))?;
    let trainable = cfg.bool_or("trainable", true)?;
    let all = std::mem::take(&mut cell.children);
    let (first, rest) = all.into_iter().partition(|(key, _)| key == "activation");
    cell.children = rest;
    let node = LayerNode::new(name, class, policy, trainable, cell);
    let mut built = Built::new(Recurrent::from_cfg(cfg)?);
    built.children = first;
    Ok(built.child("cell", Arc::new(node)))
}

impl Recurrent {
    fn from_cfg(cfg: &Cfg) -> Result<Recurrent> {
        if cfg.bool_or("time_major", false)? {
            return Err(cfg.bad("time_major", "false"));
        }
        cfg.pass_over(&["use_cudnn", "input_length", "input_dim", "input_shape"]);
        Ok(Recurrent {
            return_sequences: cfg.bool_or("return_sequences", false)?,
            return_state: cfg.bool_or("return_state", false)?,
            go_backwards: cfg.bool_or("go_backwards", false)?,
            unroll: cfg.bool_or("unroll", false)?,
            zero_output_for_mask: cfg.bool_or("zero_output_for_mask", false)?,
            stateful: cfg.bool_or("stateful", false)?,
            old_masks: cfg.bool_or(MASKS_STAY, false)?,
        })
    }
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
    fn read(cx: &Cx, call: &Call, old_masks: bool) -> Result<Inputs> {
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
        let implicit = x.mask.filter(|_| states.is_none() || old_masks);
        Ok(Inputs {
            x,
            states,
            mask: explicit.or(implicit),
            out_mask: explicit.or(x.mask),
        })
    }
}

/// A sequence ready for the loop.
struct Loop<'a> {
    cell: &'a dyn Recur,
    node: &'a LayerNode,
    z: ValueId,
    states: Vec<ValueId>,
    /// Bool (batch, time), or (batch, time, units).
    mask: Option<ValueId>,
    drops: Vec<ValueId>,
    /// Shape of a step's output.
    output: Shape,
    zero_masked: bool,
}

/// What the calls of recurrent layers name their arguments.
pub const PARAMETERS: &[&str] = &["sequences", "initial_state", "mask", "training"];

impl Layer for Recurrent {
    fn parameters(&self) -> &'static [&'static str] {
        PARAMETERS
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let inputs = Inputs::read(cx, call, self.old_masks)?;
        let node = me.child("cell")?;
        let cell = as_cell(cx, node)?;
        if let Some(rank) = cell.step_rank() {
            cx.check_rank(inputs.x.value, rank + 1)?;
        }
        if cx.dim(inputs.x.value, 1)? == 0 {
            return Err(cx.error("expected at least one time step"));
        }
        let x = cell.enter(cx, inputs.x.value)?;
        let mut step = cx.shape(x);
        step.remove(1);
        let nest = cell.state_shapes(cx, node, &step)?;
        let output = cell.output_shape(cx, node, &step)?;
        let states = self.initial_states(cx, me, cell, &inputs, (&step, &nest))?;
        let mask = match inputs.mask {
            Some(m) => Some(step_mask(cx, m, &output)?),
            None => None,
        };
        let drops = cell.drops(cx, node, &step)?;
        let z = cell.prepare(cx, node, x, &drops)?;

        // Keras' unrolled loop zeroes backward sequences by the mask in time order.
        let late_zeros = self.zero_output_for_mask
            && self.unroll
            && self.go_backwards
            && self.return_sequences
            && mask.is_some();
        let run = Loop {
            cell,
            node,
            z,
            states,
            mask,
            drops,
            output,
            zero_masked: self.zero_output_for_mask && !late_zeros,
        };
        let whole_steps = mask.is_none_or(|m| cx.rank(m) == 2);
        let plain = node.layer.as_any().and_then(|a| a.downcast_ref::<Cell>());
        // The fused kernel does not round in between.
        let plain = plain.filter(|_| !node.policy.compute.is_half());
        let fused = plain.and_then(|c| Some((c, c.fused(cx.training)?)));
        let mut outs = match fused {
            Some((cell, acts)) if whole_steps => self.fused(cx, cell, acts, &run)?,
            _ => self.scan(cx, &run)?,
        };
        if let (true, Some(mask)) = (late_zeros, mask) {
            let rank = cx.rank(outs[0]);
            let mask = cx.spread_mask(mask, rank)?;
            let dtype = cx.dtype(outs[0]);
            let nothing = cx.scalar(dtype, 0.0);
            outs[0] = cx.select(mask, outs[0], nothing)?;
        }
        for out in &mut outs {
            let y = cx.cast(*out, me.policy.compute)?;
            *out = cell.leave(cx, y)?;
        }
        if self.stateful {
            for (at, &value) in outs[1..].iter().enumerate() {
                let fact = Fact::new(me.policy.variable, cx.shape(value));
                cx.set_state(me, at, &fact, value)?;
            }
        }
        let output = Out::from(T {
            value: outs[0],
            mask: inputs.out_mask.filter(|_| self.return_sequences),
        });
        if !self.return_state {
            return Ok(output);
        }
        let states = match pack(&nest, &outs[1..]) {
            Nest::List(items) => items,
            one => vec![one],
        };
        Ok(Nest::List(std::iter::once(output).chain(states).collect()))
    }
}

impl Recurrent {
    /// The given initial states, those of the batch before, or the cell's own, in its
    /// layout and dtype.
    fn initial_states(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        cell: &dyn Recur,
        inputs: &Inputs,
        (step, nest): (&[usize], &Nest<Shape>),
    ) -> Result<Vec<ValueId>> {
        let node = me.child("cell")?;
        let dtype = node.policy.compute;
        let shapes: Vec<Shape> = nest.flatten().into_iter().cloned().collect();
        let mut out = vec![];
        match &inputs.states {
            Some(given) if given.len() == shapes.len() => {
                for (&s, want) in given.iter().zip(&shapes) {
                    let s = cx.cast(s, dtype)?;
                    let s = cell.enter(cx, s)?;
                    if cx.shape(s) != *want {
                        return Err(cx.error(format!(
                            "expected an initial state of shape {}, not {}",
                            show_shape(want),
                            show_shape(&cx.shape(s))
                        )));
                    }
                    out.push(s);
                }
            }
            Some(given) => {
                let wanted = counted(shapes.len(), "initial state", "initial states");
                return Err(cx.call_error(format!("expected {wanted}, not {}", given.len())));
            }
            None if self.stateful && cell.has_own_start(node) => {
                return Err(cx.call_error("a stateful layer can only start from zeros"));
            }
            None if self.stateful => {
                for (at, shape) in shapes.iter().enumerate() {
                    // States are kept in Keras' layout; only its shape is of interest here.
                    let zeros = cx.full(Fact::new(dtype, shape.clone()), 0.0)?;
                    let zeros = cell.leave(cx, zeros)?;
                    let fact = Fact::new(me.policy.variable, cx.shape(zeros));
                    let kept = cx.state(me, at, &fact)?;
                    let kept = cx.cast(kept, dtype)?;
                    out.push(cell.enter(cx, kept)?);
                }
            }
            None => return cell.start(cx, node, step),
        }
        Ok(out)
    }

    /// Output and last states by the fused kernel.
    fn fused(
        &self,
        cx: &mut Cx,
        cell: &Cell,
        (activation, recurrent_activation): (RnnActivation, RnnActivation),
        run: &Loop,
    ) -> Result<Vec<ValueId>> {
        let kernel = cell.recurrent_kernel(cx, run.node)?;
        let bias = match cell.has_recurrent_bias() {
            true => cell.biases(cx, run.node)?[1],
            false => None,
        };
        let attrs = RnnAttrs {
            cell: cell.kind,
            activation,
            recurrent_activation,
            reverse: self.go_backwards,
            sequences: self.return_sequences,
            zero_masked: run.zero_masked,
            masked: run.mask.is_some(),
            recurrent_bias: bias.is_some(),
        };
        cx.rnn(attrs, run.z, kernel, bias, &run.states, run.mask)
    }

    /// Output and last states by a loop, for cells, activations and masks that
    /// the fused kernel does not know. The loop carries the output, then the states.
    fn scan(&self, cx: &mut Cx, run: &Loop) -> Result<Vec<ValueId>> {
        let length = cx.dim(run.z, 1)?;
        let mut sequences = vec![];
        for x in [Some(run.z), run.mask].into_iter().flatten() {
            let mut perm: Vec<usize> = (0..cx.rank(x)).collect();
            perm.swap(0, 1);
            let mut x = cx.transpose(x, &perm)?;
            if self.go_backwards {
                x = cx.reverse(x, 0)?;
            }
            sequences.push(x);
        }
        let dtype = cx.dtype(run.states[0]);
        let first = cx.full(Fact::new(dtype, run.output.clone()), 0.0)?;
        let carries = [&[first], run.states.as_slice()].concat();

        let mut body = cx.for_body();
        let slice = |cx: &Cx, v: ValueId| {
            let f = cx.fact(v);
            Fact::new(f.dtype, &f.shape[1..])
        };
        let whole = |cx: &Cx, v: ValueId| cx.fact(v).clone();
        let xs: Vec<ValueId> = sequences
            .iter()
            .map(|&s| body.input(slice(cx, s)))
            .collect();
        let before: Vec<ValueId> = carries.iter().map(|&c| body.input(whole(cx, c))).collect();
        let drops: Vec<ValueId> = run
            .drops
            .iter()
            .map(|&d| body.input(whole(cx, d)))
            .collect();
        let (mut output, mut after) =
            run.cell
                .step(&mut body, run.node, xs[0], &before[1..], &drops)?;
        if let Some(&m) = xs.get(1) {
            let dtype = body.dtype(output);
            let held = match run.zero_masked {
                true => body.scalar(dtype, 0.0),
                false => before[0],
            };
            output = masked(&mut body, m, output, held)?;
            for (new, &old) in after.iter_mut().zip(&before[1..]) {
                *new = masked(&mut body, m, *new, old)?;
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
        let mut outs = cx.scan(attrs, &sequences, &carries, &run.drops)?;
        if self.return_sequences {
            if let Some(stack) = outs.pop() {
                let mut perm: Vec<usize> = (0..cx.rank(stack)).collect();
                perm.swap(0, 1);
                outs[0] = cx.transpose(stack, &perm)?;
            }
        }
        Ok(outs)
    }
}

/// The new value where the step's mask (batch) or (batch, units) is true.
fn masked(cx: &mut Cx, mask: ValueId, new: ValueId, old: ValueId) -> Result<ValueId> {
    let mask = cx.spread_mask(mask, cx.rank(new))?;
    cx.select(mask, new, old)
}

/// The mask as bool (batch, time), or (batch, time, units) where it is one of
/// single units.
fn step_mask(cx: &mut Cx, mask: ValueId, output: &[usize]) -> Result<ValueId> {
    let mask = cx.cast(mask, DType::Bool)?;
    match cx.shape(mask)[..] {
        [_, _, 1] => cx.squeeze(mask, -1),
        [_, _] => Ok(mask),
        [_, _, n] if output.len() == 2 && output[1] == n => Ok(mask),
        ref shape => Err(cx.error(format!(
            "a mask of shape {} is not one of steps",
            show_shape(shape)
        ))),
    }
}
