//! The losses of `keras.ops.nn`, and what goes with them.

use std::sync::Arc;

use crate::error::Result;
use crate::graph::{Binary, Cumulate, Op, Reduce, ScanAttrs, Unary, ValueId};
use crate::keras::ops::args::*;
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{DType, Fact};

/// Keras' `epsilon()`.
const EPSILON: f64 = 1e-7;

/// The logits that a probability was made of, as Keras looks for them, or the
/// value itself; and whether these are logits.
fn logits(cx: &Cx, output: ValueId, made_by: fn(&Op) -> bool, said: bool) -> (ValueId, bool) {
    let node = |v: ValueId| cx.graph.producer(v);
    if made_by(&node(output).op) {
        return (node(output).inputs[0], true);
    }
    // Functions along another axis than the last stand between two transpositions.
    if let Op::Transpose(back) = &node(output).op {
        let made = node(node(output).inputs[0]);
        if made_by(&made.op) {
            if let Op::Transpose(there) = &node(made.inputs[0]).op {
                if there == back {
                    return (node(made.inputs[0]).inputs[0], true);
                }
            }
        }
    }
    (output, said)
}

fn is_softmax(op: &Op) -> bool {
    matches!(op, Op::Softmax { log: false })
}

fn clipped(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    cx.clip(x, Some(EPSILON), Some(1.0 - EPSILON))
}

fn pair(cx: &mut Cx, call: &Call) -> Result<(ValueId, ValueId)> {
    let target = tensor(cx, call, 0, "target")?;
    let output = tensor(cx, call, 1, "output")?;
    let dtype = cx.dtype(output);
    Ok((cx.cast(target, dtype)?, output))
}

pub fn binary_crossentropy(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (target, output) = pair(cx, call)?;
    let sigmoid = |op: &Op| matches!(op, Op::Unary(Unary::Sigmoid));
    let said = cfg.bool_or("from_logits", false)?;
    let (x, are_logits) = logits(cx, output, sigmoid, said);
    let dtype = cx.dtype(x);
    let one = cx.scalar(dtype, 1.0);
    if are_logits {
        // max(x, 0) - x t + log(1 + exp(-|x|))
        let top = cx.unary(Unary::Relu, x)?;
        let xt = cx.mul(x, target)?;
        let size = cx.unary(Unary::Abs, x)?;
        let e = cx.unary(Unary::Neg, size)?;
        let e = cx.unary(Unary::Exp, e)?;
        let e = cx.unary(Unary::Log1p, e)?;
        let y = cx.sub(top, xt)?;
        return Ok(cx.add(y, e)?.into());
    }
    let p = clipped(cx, x)?;
    let q = cx.sub(one, p)?;
    let (p, q) = (cx.unary(Unary::Log, p)?, cx.unary(Unary::Log, q)?);
    let rest = cx.sub(one, target)?;
    let (a, b) = (cx.mul(target, p)?, cx.mul(rest, q)?);
    let sum = cx.add(a, b)?;
    Ok(cx.unary(Unary::Neg, sum)?.into())
}

pub fn categorical_crossentropy(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (target, output) = pair(cx, call)?;
    let said = cfg.bool_or("from_logits", false)?;
    let (x, are_logits) = logits(cx, output, is_softmax, said);
    let axis = axis(cfg, "axis", -1)?;
    let over = [cx.axis(axis, cx.rank(x))?];
    let logs = match are_logits {
        true => cx.softmax(x, axis, true)?,
        false => {
            let sum = cx.reduce(Reduce::Sum, x, &over, true)?;
            let p = cx.div(x, sum)?;
            let p = clipped(cx, p)?;
            cx.unary(Unary::Log, p)?
        }
    };
    let y = cx.mul(target, logs)?;
    let y = cx.reduce(Reduce::Sum, y, &over, false)?;
    Ok(cx.unary(Unary::Neg, y)?.into())
}

pub fn sparse_categorical_crossentropy(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let target = tensor(cx, call, 0, "target")?;
    let output = tensor(cx, call, 1, "output")?;
    let last = cx.rank(output) as isize - 1;
    if !matches!(axis(cfg, "axis", -1)?, a if a == -1 || a == last) {
        return Err(cfg.bad("axis", "the last axis"));
    }
    let said = cfg.bool_or("from_logits", false)?;
    let (mut x, are_logits) = logits(cx, output, is_softmax, said);
    if !are_logits {
        let p = clipped(cx, x)?;
        x = cx.unary(Unary::Log, p)?;
    }
    let logs = cx.softmax(x, -1, true)?;
    let target = cx.cast(target, DType::I64)?;
    let target = match cx.rank(target) == cx.rank(output) {
        true => target,
        false => cx.expand_dims(target, -1)?,
    };
    let y = cx.take_along(logs, target, -1)?;
    let y = cx.squeeze(y, -1)?;
    Ok(cx.unary(Unary::Neg, y)?.into())
}

/// 0, 1, ... along the last axis.
fn counting(cx: &mut Cx, n: usize) -> Result<ValueId> {
    cx.generated([n], |i| i as i32)
}

/// Whether a step is within its sequence: (batch, steps).
fn within(cx: &mut Cx, lengths: ValueId, steps: usize) -> Result<ValueId> {
    let lengths = cx.cast(lengths, DType::I32)?;
    let lengths = cx.expand_dims(lengths, -1)?;
    let at = counting(cx, steps)?;
    cx.binary(Binary::Lt, at, lengths)
}

/// Stands for the logarithm of 0, without its NaN in differences.
const NEVER: f64 = -1e30;

/// The loss of connectionist temporal classification: the negative logarithm of
/// the probability of all paths through blanks and labels.
pub fn ctc_loss(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let target = tensor(cx, call, 0, "target")?;
    let output = tensor(cx, call, 1, "output")?;
    let target_length = tensor(cx, call, 2, "target_length")?;
    let output_length = tensor(cx, call, 3, "output_length")?;
    let result = result_type(&[Kind::Is(cx.dtype(output)), Kind::Is(DType::F32)]);
    let blank = cfg.int_or("mask_index", 0)?;
    cx.check_rank(output, 3)?;
    cx.check_rank(target, 2)?;
    let shape = cx.shape(output);
    let (batch, steps, classes) = (shape[0], shape[1], shape[2]);
    let labels = cx.dim(target, -1)?;
    let blank = cx.axis(blank as isize, classes)?;
    let states = 2 * labels + 1;

    let x = cx.cast(output, DType::F32)?;
    let logs = cx.softmax(x, -1, true)?;
    // Blanks before, between and after the labels: (batch, states).
    let target = cx.cast(target, DType::I32)?;
    let blanks = Fact::new(DType::I32, [batch, labels, 1]);
    let blanks = cx.full(blanks, blank as f64)?;
    let each = cx.expand_dims(target, -1)?;
    let both = cx.concat(&[blanks, each], -1)?;
    let both = cx.reshape(both, &[batch, 2 * labels])?;
    let last = cx.full(Fact::new(DType::I32, [batch, 1]), blank as f64)?;
    let path = cx.concat(&[both, last], -1)?;
    // A label may follow another one directly where the two differ.
    let early = cx.full(Fact::new(DType::I32, [batch, 2.min(states)]), blank as f64)?;
    let late = cx.slice_axis(path, -1, 0, states - 2.min(states))?;
    let before = cx.concat(&[early, late], -1)?;
    let odd = cx.generated_bools([1, states], |s| s % 2 == 1 && s > 1)?;
    let differs = cx.binary(Binary::Ne, path, before)?;
    let skips = cx.and(differs, odd)?;

    // The score of each state's class at each step: (steps, batch, states).
    let index = cx.expand_dims(path, 1)?;
    let index = cx.broadcast_to(index, &[batch, steps, states])?;
    let scores = cx.take_along(logs, index, -1)?;
    let scores = cx.transpose(scores, &[1, 0, 2])?;
    let live = within(cx, output_length, steps)?;
    let live = cx.transpose(live, &[1, 0])?;
    let live = cx.expand_dims(live, -1)?;

    // Before the first step only the first state can be reached, from nowhere.
    let first = |s: usize| if s == 0 { 0.0 } else { NEVER as f32 };
    let start = cx.generated([1, states], first)?;
    let start = cx.broadcast_to(start, &[batch, states])?;

    let mut body = cx.for_body();
    let score = body.input(Fact::new(DType::F32, [batch, states]));
    let alive = body.input(Fact::new(DType::Bool, [batch, 1]));
    let reached = body.input(Fact::new(DType::F32, [batch, states]));
    let skip = body.input(Fact::new(DType::Bool, [batch, states]));
    let never = body.scalar(DType::F32, NEVER);
    let shifted = |b: &mut Cx, by: usize| -> Result<ValueId> {
        let by = by.min(states);
        let head = b.full(Fact::new(DType::F32, [batch, by]), NEVER)?;
        let tail = b.slice_axis(reached, -1, 0, states - by)?;
        b.concat(&[head, tail], -1)
    };
    let one = shifted(&mut body, 1)?;
    let two = shifted(&mut body, 2)?;
    let two = body.select(skip, two, never)?;
    let ways = stack(&mut body, &[reached, one, two], -1)?;
    let sum = body.reduce(Reduce::LogSumExp, ways, &[2], false)?;
    let next = body.add(sum, score)?;
    let next = body.select(alive, next, reached)?;
    let mut graph = body.into_builder().graph;
    graph.outputs = vec![next];
    let attrs = ScanAttrs {
        body: Arc::new(graph),
        sequences: 2,
        carries: 1,
        length: steps,
        reverse: false,
    };
    let reached = cx.scan(attrs, &[scores, live], &[start], &[skips])?[0];

    // Paths end in the last label or the blank after it.
    let end = cx.cast(target_length, DType::I32)?;
    let end = cx.mul_s(end, 2.0)?;
    let end = cx.expand_dims(end, -1)?;
    let at = counting(cx, states)?;
    let behind = cx.sub(end, at)?;
    let not_past = cx.binary_s(Binary::Ge, behind, 0.0)?;
    let near = cx.binary_s(Binary::Le, behind, 1.0)?;
    let ends = cx.and(not_past, near)?;
    let never = cx.scalar(DType::F32, NEVER);
    let ways = cx.select(ends, reached, never)?;
    let y = cx.reduce(Reduce::LogSumExp, ways, &[1], false)?;
    let y = cx.unary(Unary::Neg, y)?;
    let impossible = cx.binary_s(Binary::Gt, y, -NEVER / 10.0)?;
    let infinite = cx.scalar(DType::F32, f64::INFINITY);
    let y = cx.select(impossible, infinite, y)?;
    Ok(cx.cast(y, result)?.into())
}

/// The most likely class of each step, repeats and blanks left out; -1 after the end.
pub fn ctc_decode(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "inputs")?;
    let lengths = tensor(cx, call, 1, "sequence_lengths")?;
    cx.check_rank(x, 3)?;
    let strategy = cfg.one_of("strategy", "greedy", &["greedy", "beam_search"])?;
    let (width, paths) = (
        cfg.usize_or("beam_width", 100)?,
        cfg.usize_or("top_paths", 1)?,
    );
    let dtype = result_type(&[Kind::Is(cx.dtype(x)), Kind::Is(DType::F32)]);
    let x = cx.cast(x, dtype)?;
    let shape = cx.shape(x);
    let (batch, steps, classes) = (shape[0], shape[1], shape[2]);
    let blank = match cfg.opt_int("mask_index")? {
        Some(i) => cx.axis(i as isize, classes)?,
        None => classes.saturating_sub(1),
    };
    if strategy == "beam_search" {
        cfg.pass_over(&["merge_repeated"]);
        let before = cx.slice_axis(x, 2, 0, blank)?;
        let x = if cfg.opt_int("mask_index")? == Some(-1) {
            // Keras' slices around the last class are the classes before, nothing,
            // and all classes.
            cx.concat(&[before, x], 2)?
        } else {
            let own = cx.slice_axis(x, 2, blank, blank + 1)?;
            let after = cx.slice_axis(x, 2, blank + 1, classes)?;
            cx.concat(&[before, after, own], 2)?
        };
        let lengths = cx.cast(lengths, DType::I32)?;
        let (labels, scores) = cx.beam_search(x, lengths, width, paths)?;
        // Labels from the blank's place on have moved up by one.
        let moved = cx.binary_s(Binary::Ge, labels, blank as f64)?;
        let moved = cx.cast(moved, DType::I32)?;
        let labels = cx.add(labels, moved)?;
        return Ok(Out::List(vec![labels.into(), scores.into()]));
    }
    let live = within(cx, lengths, steps)?;
    let best = cx.reduce(Reduce::ArgMax, x, &[2], false)?;
    let mut keep = cx.binary_s(Binary::Ne, best, blank as f64)?;
    keep = cx.and(keep, live)?;
    if cfg.bool_or("merge_repeated", true)? {
        let none = cx.full(Fact::new(DType::I32, [batch, 1]), -1.0)?;
        let before = cx.slice_axis(best, 1, 0, steps.saturating_sub(1))?;
        let before = cx.concat(&[none, before], 1)?;
        let new = cx.binary(Binary::Ne, best, before)?;
        keep = cx.and(keep, new)?;
    }
    // One past the place of each kept class, 0 of the others: (batch, steps, 1).
    let kept = cx.cast(keep, DType::I32)?;
    let place = cx.cumulate(Cumulate::Sum, kept, 1, false)?;
    let place = cx.mul(place, kept)?;
    let place = cx.expand_dims(place, -1)?;
    let places = cx.generated([steps], |i| i as i32 + 1)?;
    let here = cx.binary(Binary::Eq, place, places)?;
    let best = cx.expand_dims(best, -1)?;
    let none = cx.scalar(DType::I32, -1.0);
    let y = cx.select(here, best, none)?;
    let y = cx.reduce(Reduce::Max, y, &[1], false)?;
    let y = cx.expand_dims(y, 0)?;

    let top = cx.reduce(Reduce::Max, x, &[2], false)?;
    let zero = cx.scalar(dtype, 0.0);
    let top = cx.select(live, top, zero)?;
    let score = cx.reduce(Reduce::Sum, top, &[1], true)?;
    let score = cx.unary(Unary::Neg, score)?;
    Ok(Out::List(vec![y.into(), score.into()]))
}
