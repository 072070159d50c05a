//! Losses of `tf.nn` and of `keras.backend`.

use serde_json::json;

use super::args::Args;
use super::like::op;
use super::Name;
use crate::error::Result;
use crate::graph::{Reduce, Unary, ValueId};
use crate::keras::layer::Call;
use crate::keras::{Arg, Cx, Out};
use crate::tensor::DType;

/// The functions of [`lower`].
pub const NAMES: [&str; 10] = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "ctc_decode",
    "log_poisson_loss",
    "sigmoid_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2",
    "sparse_categorical_crossentropy",
    "sparse_softmax_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
];

/// `log(1 + exp(-|x|))`.
fn soft_part(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let size = cx.unary(Unary::Abs, x)?;
    let falling = cx.unary(Unary::Neg, size)?;
    let falling = cx.unary(Unary::Exp, falling)?;
    cx.unary(Unary::Log1p, falling)
}

/// What `keras.backend` keeps probabilities off 0 by.
const EPSILON: f64 = 1e-7;

/// The likeliest labels of sequences of probabilities, and how likely they are.
fn decoded(cx: &mut Cx, a: &Args) -> Result<Out> {
    let x = a.first(cx)?;
    let lengths = a.tensor(cx, "input_length")?;
    let x = cx.add_s(x, EPSILON)?;
    let x = cx.unary(Unary::Log, x)?;
    let greedy = !a.is_off("greedy");
    let config = json!({
        "strategy": if greedy { "greedy" } else { "beam_search" },
        "beam_width": a.int(cx, "beam_width")?.unwrap_or(100),
        "top_paths": a.int(cx, "top_paths")?.unwrap_or(1),
        "merge_repeated": true,
    });
    let call = Call {
        args: vec![Arg::Tensor(x.into()), Arg::Tensor(lengths.into())],
        kwargs: vec![],
    };
    let out = op(cx, "CTCDecode", config, call)?;
    let parts: Vec<ValueId> = out.flatten().iter().map(|t| t.value).collect();
    let &[labels, scores] = parts.as_slice() else {
        return Err(cx.defect("labels without scores"));
    };
    let mut paths = vec![];
    for i in 0..cx.dim(labels, 0)? {
        let path = cx.index_axis(labels, 0, i)?;
        let path = cx.cast(path, DType::I64)?;
        paths.push(path.into());
    }
    Ok(Out::List(vec![Out::List(paths), scores.into()]))
}

/// The labels come first.
pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let function = name.function;
    if function == "ctc_decode" {
        return decoded(cx, a).map(Some);
    }
    let labels = a.first(cx)?;
    let out = match function {
        "sigmoid_cross_entropy_with_logits" => {
            let x = a.tensor(cx, "logits")?;
            sigmoid_loss(cx, labels, x)?
        }
        "weighted_cross_entropy_with_logits" => {
            let x = a.tensor(cx, "logits")?;
            let weight = a.like(cx, "pos_weight", x)?;
            let more = cx.add_s(weight, -1.0)?;
            let more = cx.mul(more, labels)?;
            let more = cx.add_s(more, 1.0)?;
            let below = cx.unary(Unary::Neg, x)?;
            let below = cx.unary(Unary::Relu, below)?;
            let soft = soft_part(cx, x)?;
            let soft = cx.add(soft, below)?;
            let soft = cx.mul(more, soft)?;
            let rest = cx.unary(Unary::Neg, labels)?;
            let rest = cx.add_s(rest, 1.0)?;
            let rest = cx.mul(rest, x)?;
            cx.add(rest, soft)?
        }
        "log_poisson_loss" if !a.flag("compute_full_loss") => {
            let c = a.tensor(cx, "log_input")?;
            let rate = cx.unary(Unary::Exp, c)?;
            let known = cx.mul(c, labels)?;
            cx.sub(rate, known)?
        }
        "softmax_cross_entropy_with_logits" | "softmax_cross_entropy_with_logits_v2" => {
            let x = a.tensor(cx, "logits")?;
            let axis = match a.int(cx, "axis")? {
                Some(axis) => axis,
                None => a.int(cx, "dim")?.unwrap_or(-1),
            };
            let log = cx.softmax(x, axis as isize, true)?;
            weighted(cx, labels, log, axis as isize)?
        }
        "sparse_softmax_cross_entropy_with_logits" => {
            let x = a.tensor(cx, "logits")?;
            let log = cx.softmax(x, -1, true)?;
            of_labels(cx, labels, log)?
        }
        "binary_crossentropy" | "categorical_crossentropy" | "sparse_categorical_crossentropy" => {
            of_probabilities(cx, function, labels, a)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

fn sigmoid_loss(cx: &mut Cx, labels: ValueId, x: ValueId) -> Result<ValueId> {
    let above = cx.unary(Unary::Relu, x)?;
    let known = cx.mul(x, labels)?;
    let y = cx.sub(above, known)?;
    let soft = soft_part(cx, x)?;
    cx.add(y, soft)
}

/// `-sum(labels log)` along an axis.
fn weighted(cx: &mut Cx, labels: ValueId, log: ValueId, axis: isize) -> Result<ValueId> {
    let product = cx.mul(labels, log)?;
    let axis = cx.axis(axis, cx.rank(product))?;
    let total = cx.reduce(Reduce::Sum, product, &[axis], false)?;
    cx.unary(Unary::Neg, total)
}

/// The negative logarithms that labels choose along the last axis.
fn of_labels(cx: &mut Cx, labels: ValueId, log: ValueId) -> Result<ValueId> {
    let at = cx.cast(labels, DType::I32)?;
    let at = cx.expand_dims(at, -1)?;
    let y = cx.take_along(log, at, -1)?;
    let y = cx.squeeze(y, -1)?;
    cx.unary(Unary::Neg, y)
}

/// Losses of `keras.backend`, which keeps probabilities off 0 and 1.
fn of_probabilities(cx: &mut Cx, function: &str, labels: ValueId, a: &Args) -> Result<ValueId> {
    let p = a.tensor(cx, "output")?;
    let from_logits = a.flag("from_logits");
    if function == "binary_crossentropy" {
        if from_logits {
            return sigmoid_loss(cx, labels, p);
        }
        let p = cx.clip(p, Some(EPSILON), Some(1.0 - EPSILON))?;
        let rest = |cx: &mut Cx, v: ValueId| -> Result<ValueId> {
            let v = cx.unary(Unary::Neg, v)?;
            cx.add_s(v, 1.0)
        };
        let term = |cx: &mut Cx, label: ValueId, p: ValueId| -> Result<ValueId> {
            let p = cx.add_s(p, EPSILON)?;
            let log = cx.unary(Unary::Log, p)?;
            cx.mul(label, log)
        };
        let yes = term(cx, labels, p)?;
        let (other, left) = (rest(cx, labels)?, rest(cx, p)?);
        let no = term(cx, other, left)?;
        let both = cx.add(yes, no)?;
        return cx.unary(Unary::Neg, both);
    }
    let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
    let sparse = function.starts_with("sparse");
    let last = cx.axis(axis, cx.rank(p))? + 1 == cx.rank(p);
    if sparse && (!last || a.get("ignore_class").is_some()) {
        return Err(cx.call_error("classes must be along the last axis, and all of them count"));
    }
    let log = match from_logits {
        true => cx.softmax(p, axis, true)?,
        false => {
            let at = cx.axis(axis, cx.rank(p))?;
            let p = match sparse {
                true => p,
                false => {
                    let total = cx.reduce(Reduce::Sum, p, &[at], true)?;
                    cx.div(p, total)?
                }
            };
            let p = cx.clip(p, Some(EPSILON), Some(1.0 - EPSILON))?;
            let log = cx.unary(Unary::Log, p)?;
            match sparse {
                // TensorFlow takes the softmax of the logarithms.
                true => cx.softmax(log, axis, true)?,
                false => log,
            }
        }
    };
    match sparse {
        true => of_labels(cx, labels, log),
        false => weighted(cx, labels, log, axis),
    }
}
