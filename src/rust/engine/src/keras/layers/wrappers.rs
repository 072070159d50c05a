//! Bidirectional and TimeDistributed.

use std::sync::Arc;

use serde_json::{json, Value as Json};

use crate::error::Result;
use crate::graph::{Binary, Reduce, ValueId};
use crate::keras::layers::norm::to_unit_norm;
use crate::keras::layers::{rnn, MASKS_STAY};
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Policy, T};
use crate::nest::Nest;
use crate::tensor::{numel, show_shape, DType, Fact};

/// How the two directions become one output.
#[derive(Copy, Clone, PartialEq)]
enum Merge {
    Concat,
    Sum,
    Mul,
    Average,
    /// Both are given.
    None,
}

struct Bidirectional {
    merge: Merge,
    return_sequences: bool,
    return_state: bool,
    /// As before Keras 3: initial states don't hide the mask of the sequence.
    old_masks: bool,
}

/// A recurrent layer run in both directions over the sequence.
pub fn bidirectional(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let merge = match cfg.get("merge_mode") {
        None if cfg.has("merge_mode") => Merge::None,
        None => Merge::Concat,
        Some(Json::String(s)) => match s.as_str() {
            "concat" => Merge::Concat,
            "sum" => Merge::Sum,
            "mul" => Merge::Mul,
            "ave" => Merge::Average,
            _ => return Err(bad_merge(cfg)),
        },
        Some(_) => return Err(bad_merge(cfg)),
    };
    let spec = |key: &str| match cfg.get(key) {
        Some(v) if v["config"].is_object() => Ok(v.clone()),
        _ => Err(cfg.bad(key, "a recurrent layer")),
    };
    let mut forward = spec("layer")?;
    let mut backward = match cfg.get("backward_layer") {
        Some(_) => spec("backward_layer")?,
        None => flipped(&forward),
    };
    let option = |of: &Json, key: &str| of["config"][key].as_bool().unwrap_or(false);
    for key in ["return_sequences", "return_state"] {
        if option(&forward, key) != option(&backward, key) {
            return Err(cfg.bad("backward_layer", &format!("of the same {key} as layer")));
        }
    }
    if option(&forward, "go_backwards") == option(&backward, "go_backwards") {
        return Err(cfg.bad("backward_layer", "of the other go_backwards than layer"));
    }
    let layer = Bidirectional {
        merge,
        return_sequences: option(&forward, "return_sequences"),
        return_state: option(&forward, "return_state"),
        old_masks: option(&forward, MASKS_STAY),
    };
    // A masked step of a sequence is zero whatever the wrapped layers say, but in Keras 1.
    let repeats = cfg.bool_or(MASKS_STAY, false)?;
    let zeros = layer.return_sequences && !repeats;
    for spec in [&mut forward, &mut backward] {
        if let Some(config) = spec.get_mut("config").and_then(Json::as_object_mut) {
            config.insert("zero_output_for_mask".to_string(), json!(zeros));
        }
    }
    Ok(Built::new(layer)
        .child("forward_layer", nested.layer(&forward)?)
        .child("backward_layer", nested.layer(&backward)?))
}

fn bad_merge(cfg: &Cfg) -> crate::error::Error {
    cfg.bad("merge_mode", "concat, sum, mul, ave or null")
}

/// The layer in the other direction.
fn flipped(forward: &Json) -> Json {
    let mut spec = forward.clone();
    let config = &mut spec["config"];
    let backwards = config["go_backwards"].as_bool().unwrap_or(false);
    config["go_backwards"] = json!(!backwards);
    let name = config["name"].as_str().unwrap_or("layer");
    let name = name.strip_prefix("forward_").unwrap_or(name);
    config["name"] = json!(format!("backward_{name}"));
    spec
}

impl Layer for Bidirectional {
    fn parameters(&self) -> &'static [&'static str] {
        rnn::PARAMETERS
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let (x, states) = sequence_and_states(cx, call)?;
        let explicit = call
            .arg(2, "mask")
            .and_then(|a| a.tensors().first().copied())
            .map(|t| t.value);
        // As for any recurrent layer, initial states hide the implicit mask.
        let implicit = x.mask.filter(|_| states.is_none() || self.old_masks);
        let out_mask = explicit.or(x.mask).filter(|_| self.return_sequences);

        let half = states.as_ref().map_or(0, |s| s.len() / 2);
        let run = |cx: &mut Cx, key: &str, states: Option<&[T]>| -> Result<Vec<ValueId>> {
            let mut inner = Call::on(T::from(x.value));
            if let Some(m) = explicit.or(implicit) {
                inner = inner.with("mask", Arg::Tensor(m.into()));
            }
            if let Some(s) = states {
                let list = s.iter().map(|&t| Arg::Tensor(t)).collect();
                inner = inner.with("initial_state", Arg::List(list));
            }
            let out = cx.call(me.child(key)?, &inner)?;
            Ok(out.flatten().iter().map(|t| t.value).collect())
        };
        let mut forward = run(cx, "forward_layer", states.as_ref().map(|s| &s[..half]))?;
        let mut backward = run(cx, "backward_layer", states.as_ref().map(|s| &s[half..]))?;

        let compute = me.policy.compute;
        let y = cx.cast(forward.remove(0), compute)?;
        let mut rev = cx.cast(backward.remove(0), compute)?;
        if self.return_sequences {
            rev = cx.reverse(rev, 1)?;
        }
        let merged = match self.merge {
            Merge::Concat => vec![cx.concat(&[y, rev], -1)?],
            Merge::Sum => vec![cx.add(y, rev)?],
            Merge::Mul => vec![cx.mul(y, rev)?],
            Merge::Average => {
                let sum = cx.add(y, rev)?;
                vec![cx.div_s(sum, 2.0)?]
            }
            Merge::None => vec![y, rev],
        };
        let mut outs: Vec<Out> = merged
            .into_iter()
            .map(|value| {
                T {
                    value,
                    mask: out_mask,
                }
                .into()
            })
            .collect();
        if self.return_state {
            outs.extend(forward.into_iter().chain(backward).map(Out::from));
        }
        match outs.len() {
            1 => Ok(outs.remove(0)),
            _ => Ok(Nest::List(outs)),
        }
    }
}

/// The sequence and the initial states of both directions; Keras 2 passed them
/// in one list.
fn sequence_and_states(cx: &Cx, call: &Call) -> Result<(T, Option<Vec<T>>)> {
    if let Some(Arg::List(_)) = call.args.first() {
        let mut all = cx.many(call)?;
        let x = all.remove(0);
        return Ok((x, (!all.is_empty()).then_some(all)));
    }
    let states = call.arg(1, "initial_state").map(Arg::tensors);
    Ok((cx.one(call)?, states))
}

struct SpectralNormalization {
    iterations: usize,
    kernel: &'static str,
}

/// A layer whose kernel training divides by its largest singular value, which
/// power iterations estimate; predictions take it as it was stored.
pub fn spectral_normalization(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let spec = cfg
        .get("layer")
        .ok_or_else(|| cfg.bad("layer", "a layer"))?;
    let node = nested.layer(spec)?;
    let kernel = ["kernel", "embeddings"]
        .into_iter()
        .find(|k| node.vars.iter().any(|v| v.name == *k));
    let kernel = kernel.ok_or_else(|| cfg.bad("layer", "a layer with a kernel or embeddings"))?;
    let layer = SpectralNormalization {
        iterations: cfg.usize_or("power_iterations", 1)?,
        kernel,
    };
    Ok(Built::new(layer).frozen("vector_u").child("layer", node))
}

impl SpectralNormalization {
    /// The kernel of this call, divided by its norm.
    fn normalized(&self, cx: &mut Cx, me: &LayerNode, node: &LayerNode) -> Result<ValueId> {
        let kernel = cx.raw_weight(node, self.kernel)?;
        let shape = cx.shape(kernel);
        let last = shape.last().copied().unwrap_or(1).max(1);
        let weights = cx.reshape(kernel, &[numel(&shape) / last, last])?;
        let mut u = cx.stored_weight(me, "vector_u", &[1, last])?;
        let mut v = u;
        for _ in 0..self.iterations {
            v = cx.matmul(u, weights, false, true)?;
            v = to_unit_norm(cx, v, &[0, 1], 1e-7)?;
            u = cx.matmul(v, weights, false, false)?;
            u = to_unit_norm(cx, u, &[0, 1], 1e-7)?;
        }
        let sigma = cx.matmul(v, weights, false, false)?;
        let sigma = cx.matmul(sigma, u, false, true)?;
        let scaled = cx.div(weights, sigma)?;
        // A kernel of zeros stays as it is.
        let differs = cx.binary_s(Binary::Ne, weights, 0.0)?;
        let any = cx.reduce(Reduce::Any, differs, &[0, 1], true)?;
        let scaled = cx.select(any, scaled, weights)?;
        cx.reshape(scaled, &shape)
    }
}

impl Layer for SpectralNormalization {
    fn borrowed(&self) -> usize {
        1
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let T { value: x, mask } = cx.one(call)?;
        let node = me.child("layer")?;
        let y = match cx.training {
            true => {
                let kernel = self.normalized(cx, me, node)?;
                let outer = cx.replace_weight(node, self.kernel, Some(kernel));
                let y = cx.call_one(node, x);
                cx.replace_weight(node, self.kernel, outer);
                y?
            }
            false => {
                let y = cx.call_one(node, x)?;
                let kernel = cx.weight_fact(node, self.kernel);
                if let Some(&last) = kernel.as_ref().and_then(|k| k.shape.last()) {
                    let fact = Fact::new(me.policy.variable, [1, last]);
                    cx.has_weight(me, "vector_u", fact);
                }
                y
            }
        };
        let dtype = cx.dtype(x);
        let value = cx.cast(y.value, dtype)?;
        Ok(T { value, mask }.into())
    }
}

struct TimeDistributed {
    /// Whether a step begins with the states that the step before ended with.
    stateful: bool,
    /// What the layer casts its output to by itself.
    casts: Option<DType>,
    /// As before Keras 3: the mask is what the layer makes of it, step by step.
    old_masks: bool,
}

/// Layers that cast what they return to their own dtype, whatever they computed in.
const CASTING: &[&str] = &[
    "BatchNormalization",
    "Embedding",
    "GroupNormalization",
    "LayerNormalization",
];

/// A layer applied to every step of (batch, time, ...).
pub fn time_distributed(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let spec = cfg
        .get("layer")
        .ok_or_else(|| cfg.bad("layer", "a layer"))?;
    let class = spec["class_name"].as_str().unwrap_or_default();
    let own = Policy::parse(spec["config"].get("dtype").unwrap_or(&Json::Null), "");
    let casts = own.filter(|_| CASTING.contains(&class)).map(|p| p.compute);
    let stateful = has_states(spec);
    let mut layer = nested.layer(&in_wrapper(cfg, spec, true)?)?;
    if layer.vars.is_empty() {
        layer = nested.layer(&in_wrapper(cfg, spec, false)?)?;
    }
    let layer_of = TimeDistributed {
        stateful,
        casts,
        old_masks: cfg.bool_or(MASKS_STAY, false)?,
    };
    Ok(Built::new(layer_of).child("layer", layer))
}

/// Whether any layer in a config is stateful.
fn has_states(config: &Json) -> bool {
    match config {
        Json::Array(items) => items.iter().any(has_states),
        Json::Object(o) => o.get("stateful") == Some(&json!(true)) || o.values().any(has_states),
        _ => false,
    }
}

/// The wrapped layer with the dtype that it computes in: Keras calls it without
/// casting, on tensors that the wrapper has cast, and weights if it has any.
fn in_wrapper(cfg: &Cfg, spec: &Json, has_weights: bool) -> Result<Json> {
    let mut spec = spec.clone();
    let policy = |v: Option<&Json>| Policy::parse(v.unwrap_or(&Json::Null), "");
    let outer = policy(cfg.get("dtype")).ok_or_else(|| cfg.bad("dtype", "a dtype policy"))?;
    let inner = policy(spec["config"].get("dtype"));
    let has_own = ["layers", "layer", "cell"]
        .iter()
        .all(|k| spec["config"].get(k).is_none());
    let recurrent = spec["config"].get("return_sequences").is_some();
    let casts_itself = spec["class_name"] == "Rescaling";
    if let (Some(inner), true, false) = (inner, has_own, recurrent || casts_itself) {
        let compute = match outer.compute == outer.variable && has_weights {
            true => result_type(&[Kind::Is(outer.compute), Kind::Is(inner.variable)]),
            false => outer.compute,
        };
        if compute != inner.compute {
            if let Some(config) = spec.get_mut("config").and_then(Json::as_object_mut) {
                config.insert("dtype".to_string(), json!(compute.name()));
            }
        }
    }
    Ok(spec)
}

impl Layer for TimeDistributed {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "training", "mask"]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let mask = call.mask();
        let shape = cx.shape(x.value);
        if shape.len() < 2 {
            return Err(cx.error("expected a tensor of at least two axes, batch and time"));
        }
        if let Some(m) = mask {
            let have = cx.shape(m);
            if have.len() < 2 || have[..2] != shape[..2] {
                return Err(cx.error(format!(
                    "a mask of shape {} doesn't fit an input of shape {}",
                    show_shape(&have),
                    show_shape(&shape)
                )));
            }
        }
        let layer = me.child("layer")?.clone();
        let (value, made) = match cx.training || self.stateful {
            // Statistics of a batch are statistics of one step.
            true => (per_step(cx, &layer, x.value, mask)?, None),
            false => folded(cx, &layer, x.value, mask)?,
        };
        let mask = match (self.old_masks, made, mask) {
            (true, Some(made), _) => Some(made),
            // A step is there where any part of it is, if its parts are gone.
            (true, None, Some(m)) if cx.rank(value) <= cx.rank(m) => {
                let parts: Vec<usize> = (2..cx.rank(m)).collect();
                Some(cx.reduce(Reduce::Any, m, &parts, false)?)
            }
            _ => mask,
        };
        let value = match self.casts {
            Some(dtype) => cx.cast(value, dtype)?,
            None => value,
        };
        Ok(T { value, mask }.into())
    }
}

/// All steps as one batch: rows don't know of each other in inference. Gives the
/// mask of the layer too, where it makes one.
fn folded(
    cx: &mut Cx,
    layer: &Arc<LayerNode>,
    x: ValueId,
    mask: Option<ValueId>,
) -> Result<(ValueId, Option<ValueId>)> {
    let lead = cx.shape(x)[..2].to_vec();
    let fold = |cx: &mut Cx, v: ValueId| {
        let mut shape = cx.shape(v);
        shape.splice(..2, [lead[0] * lead[1]]);
        cx.reshape(v, &shape)
    };
    let x = fold(cx, x)?;
    let mask = match mask {
        Some(m) => Some(fold(cx, m)?),
        None => None,
    };
    let y = step(cx, layer, x, mask)?;
    let unfold = |cx: &mut Cx, v: ValueId| {
        let mut shape = cx.shape(v);
        shape.splice(..1, lead.clone());
        cx.reshape(v, &shape)
    };
    let value = unfold(cx, y.value)?;
    let mask = match y.mask {
        Some(m) => Some(unfold(cx, m)?),
        None => None,
    };
    Ok((value, mask))
}

fn per_step(
    cx: &mut Cx,
    layer: &Arc<LayerNode>,
    x: ValueId,
    mask: Option<ValueId>,
) -> Result<ValueId> {
    let mut steps = vec![];
    for t in 0..cx.dim(x, 1)? {
        let xt = cx.index_axis(x, 1, t)?;
        let mt = match mask {
            Some(m) => Some(cx.index_axis(m, 1, t)?),
            None => None,
        };
        let y = step(cx, layer, xt, mt)?.value;
        steps.push(cx.expand_dims(y, 1)?);
    }
    cx.concat(&steps, 1)
}

/// The wrapped layer on one step (or all of them folded into the batch), with
/// the step's mask as an argument, as Keras passes it.
fn step(cx: &mut Cx, layer: &Arc<LayerNode>, x: ValueId, mask: Option<ValueId>) -> Result<T> {
    let mut call = Call::on(x);
    if let Some(m) = mask {
        call = call.with("mask", Arg::Tensor(m.into()));
    }
    let out = cx.call_directly(layer, &call)?;
    out.single()
        .copied()
        .ok_or_else(|| cx.call_error("the wrapped layer must give one tensor"))
}
