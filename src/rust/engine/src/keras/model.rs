//! Sequential and Functional models as layers: the graph of calls, resolved
//! once when the model is loaded, replayed whenever it is lowered.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::activations::is_layer;
use super::cfg::{dims, short};
use super::layer::{Arg, Built, Call, Cx, Layer, LayerNode, OfComplex, OpDef, Out, T};
use super::load::Loader;
use super::order::{run_order, Node};
use super::policy::Policy;
use super::{ops, Cfg};
use crate::error::{Error, Result};
use crate::nest::Nest;
use crate::tensor::{show_shape, DType};

/// One input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    pub name: String,
    /// With the batch axis; `None` where the size varies.
    pub shape: Vec<Option<usize>>,
    pub dtype: DType,
    /// Whether it may be left out.
    pub optional: bool,
}

/// An argument of a recorded call.
enum Template {
    /// The i-th tensor of a slot.
    Ref(usize, usize),
    /// All that a slot holds.
    Whole(usize),
    Lit(Json),
    List(Vec<Template>),
    Dict(Vec<(String, Template)>),
}

/// What a step calls.
pub enum Target {
    Layer(Arc<LayerNode>),
    Op {
        name: String,
        def: &'static OpDef,
        config: Map<String, Json>,
    },
}

impl Target {
    pub fn name(&self) -> &str {
        match self {
            Target::Layer(n) => &n.name,
            Target::Op { name, .. } => name,
        }
    }

    pub fn class(&self) -> &str {
        match self {
            Target::Layer(n) => &n.class,
            Target::Op { def, .. } => def.class,
        }
    }
}

/// One call of a layer or operation; its output goes to a slot.
struct Step {
    target: usize,
    args: Vec<Template>,
    kwargs: Vec<(String, Template)>,
    slot: usize,
}

/// The calls of a model.
pub struct Graph {
    /// Names and specs of the inputs, flattened.
    pub inputs: Vec<InputSpec>,
    /// The structure of the inputs, over indices into `inputs`.
    pub input_nest: Nest<usize>,
    /// Slot that each input fills.
    input_slots: Vec<usize>,
    pub targets: Vec<Target>,
    /// In the order of the config: input layers are `None`.
    pub order: Vec<(String, Option<usize>)>,
    steps: Vec<Step>,
    slots: usize,
    /// The structure of the outputs: slot and position in it.
    outputs: Nest<(usize, usize)>,
    /// Names of the layers that make the outputs, flattened.
    pub output_names: Vec<String>,
    /// Whether the outputs are whatever the last slot holds (Sequential).
    whole: Option<usize>,
}

/// A model as a layer.
pub struct ModelLayer {
    pub graph: Arc<Graph>,
}

impl Graph {
    /// Replays the calls on flattened inputs (`None` for one left out).
    pub fn run(&self, cx: &mut Cx, inputs: &[Option<T>]) -> Result<Out> {
        if inputs.len() != self.inputs.len() {
            return Err(cx.call_error(format!(
                "expected {} inputs, not {}",
                self.inputs.len(),
                inputs.len()
            )));
        }
        let mut slots: Vec<Option<Out>> = (0..self.slots).map(|_| None).collect();
        for ((spec, input), &slot) in self.inputs.iter().zip(inputs).zip(&self.input_slots) {
            slots[slot] = Some(match input {
                Some(t) => Nest::Leaf(accept(cx, spec, *t)?),
                None if spec.optional => Nest::Null,
                None => return Err(missing(cx, &spec.name)),
            });
        }
        for step in &self.steps {
            let call = Call {
                args: step
                    .args
                    .iter()
                    .map(|a| fill(a, cx, &slots))
                    .collect::<Result<_>>()?,
                kwargs: step
                    .kwargs
                    .iter()
                    .map(|(k, a)| Ok((k.clone(), fill(a, cx, &slots)?)))
                    .collect::<Result<_>>()?,
            };
            let out = match &self.targets[step.target] {
                Target::Layer(node) if ModelLayer::of(node).is_some() => cx.call(node, &call)?,
                Target::Layer(node) => {
                    let out = cx.call(node, &call)?;
                    told_apart(cx, &call, out, false)?
                }
                Target::Op { name, def, config } => {
                    let out = cx.call_op(name, def, config, &call)?;
                    told_apart(cx, &call, out, def.hands_on)?
                }
            };
            if cx.trace.is_some() {
                let path = join_path(cx.path(), self.targets[step.target].name());
                let slot = cx.path().is_empty().then_some(step.slot);
                if let Some(trace) = &mut cx.trace {
                    trace.push((path.into(), slot, out.clone()));
                }
            }
            slots[step.slot] = Some(out);
        }
        if let Some(slot) = self.whole {
            return slots[slot].take().ok_or_else(unresolved);
        }
        self.outputs
            .map(&mut |&(slot, at)| tensor_of(&slots, slot, at))
    }

    /// Names of the layers that the recorded calls of a target take tensors
    /// from, as `name[node][tensor]` is in Keras' summary: per call of it.
    pub fn connections(&self, target: usize) -> Vec<(usize, usize)> {
        let calls = self.calls_to(target).into_iter();
        calls.flat_map(|(_, taken)| taken).collect()
    }

    /// The calls of a layer (position in `order`) in turn: the slot each fills
    /// and the tensors it takes, as slots and positions. An input has one call.
    pub fn calls_of(&self, layer: usize) -> Vec<(usize, Vec<(usize, usize)>)> {
        let (name, target) = &self.order[layer];
        let Some(target) = target else {
            let inputs = self.inputs.iter().zip(&self.input_slots);
            let own = inputs.filter(|(spec, _)| spec.name == *name);
            return own.map(|(_, &slot)| (slot, vec![])).collect();
        };
        self.calls_to(*target)
    }

    /// The same of a target.
    fn calls_to(&self, target: usize) -> Vec<(usize, Vec<(usize, usize)>)> {
        let steps = self.steps.iter().filter(|s| s.target == target);
        let mut calls: Vec<_> = steps.map(|step| (step.slot, taken(step))).collect();
        calls.sort();
        calls
    }

    /// The structure of the outputs, as slots and positions; `None` where the
    /// model gives whatever its last layer gives.
    pub fn output_slots(&self) -> Option<&Nest<(usize, usize)>> {
        self.whole.is_none().then_some(&self.outputs)
    }

    /// The slot of each input.
    pub fn input_slots(&self) -> &[usize] {
        &self.input_slots
    }

    /// The slot that all outputs come from, where the model gives whatever its
    /// last layer gives.
    pub fn whole_slot(&self) -> Option<usize> {
        self.whole
    }

    /// The layer (position in `order`) and call number that fill a slot.
    pub fn slot_source(&self, slot: usize) -> Option<(usize, usize)> {
        if let Some(i) = self.input_slots.iter().position(|&s| s == slot) {
            let at = self
                .order
                .iter()
                .position(|(n, t)| t.is_none() && *n == self.inputs[i].name)?;
            return Some((at, 0));
        }
        let step = self.steps.iter().find(|s| s.slot == slot)?;
        let at = self
            .order
            .iter()
            .position(|(_, t)| *t == Some(step.target))?;
        let mut calls = self
            .steps
            .iter()
            .filter(|s| s.target == step.target)
            .map(|s| s.slot)
            .collect::<Vec<_>>();
        calls.sort_unstable();
        Some((at, calls.iter().position(|&s| s == slot)?))
    }
}

/// What a call gives, told apart from the tensors that it takes: a mask is on a
/// tensor of Keras, which one of ours may stand for twice where a call has nothing to
/// do. A call that hands its tensor on leaves the mask on it.
fn told_apart(cx: &mut Cx, call: &Call, out: Out, hands_on: bool) -> Result<Out> {
    let mut masked = call.tensors();
    masked.retain(|t| t.mask.is_some());
    if masked.is_empty() {
        return Ok(out);
    }
    out.map(&mut |&t| {
        let mut alike = masked.iter().filter(|m| m.value == t.value);
        Ok(match alike.next() {
            Some(taken) if hands_on => *taken,
            Some(taken) if taken.mask != t.mask => T {
                value: cx.another(t.value),
                ..t
            },
            _ => t,
        })
    })
}

fn refs(t: &Template, out: &mut Vec<(usize, usize)>) {
    match t {
        Template::Ref(slot, at) => out.push((*slot, *at)),
        Template::Whole(slot) => out.push((*slot, 0)),
        Template::Lit(_) => {}
        Template::List(items) => items.iter().for_each(|i| refs(i, out)),
        Template::Dict(items) => {
            let mut sorted: Vec<_> = items.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            sorted.into_iter().for_each(|(_, i)| refs(i, out));
        }
    }
}

fn missing(cx: &Cx, input: &str) -> Error {
    cx.call_error(format!("input `{input}` is missing"))
}

fn unresolved() -> Error {
    Error::BadGraph {
        message: "the config refers to an output that no layer gives before".to_string(),
    }
}

fn tensor_of(slots: &[Option<Out>], slot: usize, at: usize) -> Result<T> {
    let out = slots[slot].as_ref().ok_or_else(unresolved)?;
    out.flatten().get(at).map(|t| **t).ok_or_else(unresolved)
}

fn fill(t: &Template, cx: &Cx, slots: &[Option<Out>]) -> Result<Arg> {
    Ok(match t {
        Template::Ref(slot, at) => match &slots[*slot] {
            Some(Nest::Null) => Arg::Lit(Json::Null),
            _ => Arg::Tensor(cx.masked(tensor_of(slots, *slot, *at)?)),
        },
        Template::Whole(slot) => {
            let out = slots[*slot].as_ref().ok_or_else(unresolved)?;
            let arg = match out {
                Nest::List(items) if items.len() == 1 => Arg::from(&items[0]),
                _ => Arg::from(out),
            };
            arg.map(&mut |t| Ok(cx.masked(t)))?
        }
        Template::Lit(j) => Arg::Lit(j.clone()),
        Template::List(items) => Arg::List(
            items
                .iter()
                .map(|i| fill(i, cx, slots))
                .collect::<Result<_>>()?,
        ),
        Template::Dict(items) => Arg::Dict(
            items
                .iter()
                .map(|(k, v)| Ok((k.clone(), fill(v, cx, slots)?)))
                .collect::<Result<_>>()?,
        ),
    })
}

/// An input as the model takes it: rank adjusted by an axis of size 1, sizes
/// checked, in the input's dtype.
fn accept(cx: &mut Cx, spec: &InputSpec, t: T) -> Result<T> {
    if cx.is_complex(t.value) || cx.dtype(t.value).is_complex() || spec.dtype.is_complex() {
        return accept_complex(cx, spec, t);
    }
    let shape = cx.shape(t.value);
    let (have, want) = (shape.len(), spec.shape.len());
    let value = if have == want + 1 && shape[have - 1] == 1 {
        cx.squeeze(t.value, -1)?
    } else if have + 1 == want && spec.shape[want - 1] == Some(1) {
        cx.expand_dims(t.value, -1)?
    } else {
        t.value
    };
    let shape = cx.shape(value);
    check_shape(spec, &shape)?;
    Ok(T {
        value: cx.cast(value, spec.dtype)?,
        mask: t.mask,
    })
}

fn check_shape(spec: &InputSpec, shape: &[usize]) -> Result<()> {
    let fits = shape.len() == spec.shape.len()
        && shape
            .iter()
            .zip(&spec.shape)
            .skip(1)
            .all(|(s, w)| w.is_none_or(|w| w == *s));
    match fits {
        true => Ok(()),
        false => Err(Error::BadInput {
            input: spec.name.clone(),
            expected: format!("of shape {}", show_dims(&spec.shape)),
            given: show_shape(shape),
        }),
    }
}

/// A complex input, which must have the dtype and the rank of the model's.
fn accept_complex(cx: &mut Cx, spec: &InputSpec, t: T) -> Result<T> {
    let value = cx.complex_input(t.value)?;
    let fact = cx.keras_fact(value);
    if fact.dtype != spec.dtype {
        return Err(Error::BadInput {
            input: spec.name.clone(),
            expected: spec.dtype.to_string(),
            given: fact.dtype.to_string(),
        });
    }
    check_shape(spec, &fact.shape)?;
    Ok(T { value, ..t })
}

/// A shape with sizes that vary as `None`.
pub fn show_dims(shape: &[Option<usize>]) -> String {
    let text: Vec<String> = shape
        .iter()
        .map(|d| d.map_or("None".into(), |d| d.to_string()))
        .collect();
    match text.len() {
        1 => format!("({},)", text[0]),
        _ => format!("({})", text.join(", ")),
    }
}

/// The path of a layer in the model at `path`.
pub fn join_path(path: &str, name: &str) -> String {
    match path {
        "" => name.to_string(),
        _ => format!("{path}/{name}"),
    }
}

impl Layer for ModelLayer {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "training", "mask"]
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let flat = match call.args.first().or(call.kwarg("inputs")) {
            Some(arg) => self.flatten_inputs(cx, arg)?,
            None => vec![],
        };
        let mut flat = flat;
        if let Some(mask) = call.kwarg("mask") {
            let masks = optional_tensors(mask);
            for (t, m) in flat.iter_mut().zip(masks) {
                if let (Some(t), Some(m)) = (t, m) {
                    t.mask = Some(m.value);
                    cx.set_mask(t.value, t.mask);
                }
            }
        }
        self.graph.run(cx, &flat)
    }

    fn autocast(&self) -> bool {
        false
    }

    fn of_complex(&self) -> OfComplex {
        OfComplex::Take
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

fn optional_tensors(arg: &Arg) -> Vec<Option<T>> {
    match arg {
        Arg::Tensor(t) => vec![Some(*t)],
        Arg::Lit(_) => vec![None],
        Arg::List(items) => items.iter().flat_map(optional_tensors).collect(),
        Arg::Dict(items) => {
            let mut sorted: Vec<_> = items.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            sorted
                .into_iter()
                .flat_map(|(_, v)| optional_tensors(v))
                .collect()
        }
    }
}

impl ModelLayer {
    /// The model that a layer is.
    pub fn of(node: &LayerNode) -> Option<&ModelLayer> {
        node.layer.as_any()?.downcast_ref()
    }

    /// A list model takes a dict by the names of its inputs; of a dict for a dict model,
    /// Keras takes as many as the model has, in the order of their keys.
    fn flatten_inputs(&self, cx: &Cx, arg: &Arg) -> Result<Vec<Option<T>>> {
        if let (Arg::Dict(items), false) = (arg, matches!(self.graph.input_nest, Nest::Dict(_))) {
            return self
                .graph
                .inputs
                .iter()
                .map(|spec| match items.iter().find(|(k, _)| *k == spec.name) {
                    Some((_, a)) => Ok(optional_tensors(a).first().copied().flatten()),
                    None => Err(missing(cx, &spec.name)),
                })
                .collect();
        }
        let mut flat = optional_tensors(arg);
        if let (Arg::Dict(items), Nest::Dict(own)) = (arg, &self.graph.input_nest) {
            if let Some((key, _)) = own.iter().find(|(k, _)| items.iter().all(|(i, _)| i != k)) {
                return Err(missing(cx, key));
            }
            flat.truncate(self.graph.inputs.len());
        }
        Ok(flat)
    }
}

/// The spec of an InputLayer's config.
pub fn input_spec(cfg: &Cfg) -> Result<InputSpec> {
    let shape = match cfg.opt_dims("batch_shape")? {
        Some(s) => s,
        None => match cfg.opt_dims("batch_input_shape")? {
            Some(s) => s,
            None => match cfg.opt_dims("shape")? {
                Some(mut s) => {
                    s.insert(0, None);
                    s
                }
                None => return Err(cfg.bad("batch_shape", "a list of sizes")),
            },
        },
    };
    let dtype = match cfg.get("dtype") {
        None => DType::F32,
        Some(Json::String(s)) => DType::parse(s).ok_or_else(|| cfg.bad("dtype", "a dtype"))?,
        Some(_) => Policy::of(cfg)?.compute,
    };
    let spec = InputSpec {
        name: cfg.layer.clone(),
        shape,
        dtype,
        optional: cfg.bool_or("optional", false)?,
    };
    // A sparse input is the same numbers in another layout; a ragged one takes
    // dense numbers, too.
    cfg.pass_over(&["input_tensor", "sparse", "ragged"]);
    cfg.finish()?;
    Ok(spec)
}

/// Keras' `naming.to_snake_case`.
pub fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let mut first = String::new();
    let mut i = 0;
    while i < chars.len() {
        first.push(chars[i]);
        let word = i + 2 < chars.len()
            && chars[i + 1].is_ascii_uppercase()
            && chars[i + 2].is_ascii_lowercase();
        i += 1;
        if word {
            first.push('_');
            first.push(chars[i]);
            i += 1;
            while i < chars.len() && chars[i].is_ascii_lowercase() {
                first.push(chars[i]);
                i += 1;
            }
        }
    }
    let mut out = String::new();
    let mut before = ' ';
    for c in first.chars() {
        if before.is_ascii_lowercase() && c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        before = c;
    }
    out
}

/// Hands out the names of a container in the weight store: `dense`, `dense_1`, ...
#[derive(Default)]
pub struct StoreNames(HashMap<String, usize>);

impl StoreNames {
    pub fn next(&mut self, class: &str) -> String {
        let base = match class {
            // Its Python class has another name than the one it is exported by.
            "GroupQueryAttention" => "grouped_query_attention".to_string(),
            _ => snake_case(class),
        };
        let n = self.0.entry(base.clone()).or_insert(0);
        *n += 1;
        match *n {
            1 => format!("layers/{base}"),
            n => format!("layers/{base}_{}", n - 1),
        }
    }
}

/// Name and class of a serialized layer.
pub fn identity(spec: &Json) -> (String, String) {
    let class = spec.get("class_name").and_then(Json::as_str).unwrap_or("?");
    let name = spec
        .get("name")
        .or_else(|| spec.get("config").and_then(|c| c.get("name")))
        .and_then(Json::as_str)
        .unwrap_or(class);
    (name.to_string(), class.to_string())
}

fn bad(cfg: &Cfg, key: &str, reason: String) -> Error {
    Error::BadConfig {
        layer: cfg.layer.clone(),
        class: cfg.class.clone(),
        key: key.to_string(),
        expected: "a graph of calls as Keras saves it".to_string(),
        given: reason,
    }
}

/// A Sequential model: a chain of calls.
pub fn sequential(cfg: &Cfg, loader: &Loader) -> Result<Built> {
    let layers = cfg
        .get("layers")
        .and_then(Json::as_array)
        .ok_or_else(|| cfg.bad("layers", "a list of layers"))?;
    let empty = Map::new();
    let mut spec = None;
    let mut names = StoreNames::default();
    let mut order = vec![];
    let mut targets = vec![];
    let mut steps = vec![];
    let mut children = vec![];
    for layer in layers {
        let (name, class) = identity(layer);
        if class == "InputLayer" {
            let config = layer
                .get("config")
                .and_then(Json::as_object)
                .unwrap_or(&empty);
            spec = Some(input_spec(&Cfg::new(&name, &class, config))?);
            order.push((name, None));
            continue;
        }
        let node = loader.layer_node(layer)?;
        children.push((names.next(&class), node.clone()));
        order.push((node.name.clone(), Some(targets.len())));
        steps.push(Step {
            target: targets.len(),
            args: vec![],
            kwargs: vec![],
            slot: targets.len() + 1,
        });
        targets.push(Target::Layer(node));
    }
    let spec = match spec {
        Some(s) => s,
        None => inferred_spec(cfg, layers)?,
    };
    let last = steps.len();
    for step in &mut steps {
        step.args.push(Template::Whole(step.slot - 1));
    }
    // A layer that gives several tensors hands all of them on.
    let output_names = match targets.last() {
        Some(t) => vec![t.name().to_string()],
        None => vec![spec.name.clone()],
    };
    cfg.pass_over(&["build_input_shape"]);
    let graph = Graph {
        inputs: vec![spec],
        input_nest: Nest::Leaf(0),
        input_slots: vec![0],
        targets,
        order,
        steps,
        slots: last + 1,
        outputs: Nest::Leaf((last, 0)),
        output_names,
        whole: Some(last),
    };
    Ok(Built {
        layer: Box::new(ModelLayer {
            graph: loader.keep(graph),
        }),
        vars: vec![],
        children,
    })
}

/// The input of a Sequential that was saved without its InputLayer.
fn inferred_spec(cfg: &Cfg, layers: &[Json]) -> Result<InputSpec> {
    let first = layers.first();
    let shape = cfg
        .opt_dims("build_input_shape")?
        .or_else(|| {
            let f = first?;
            let config = f.get("config")?;
            config
                .get("batch_input_shape")
                .and_then(dims)
                .or_else(|| f.get("build_config")?.get("input_shape").and_then(dims))
        })
        .ok_or_else(|| cfg.bad("build_input_shape", "the shape of the input"))?;
    let dtype = first
        .and_then(|f| f.get("config")?.get("dtype"))
        .and_then(|p| Policy::parse(p, ""))
        .unwrap_or_default()
        .compute;
    Ok(InputSpec {
        name: match first {
            Some(f) => format!("{}_input", identity(f).0),
            None => "input".to_string(),
        },
        shape,
        dtype,
        optional: false,
    })
}

/// Resolves `[layer, node, tensor]` references to slots.
struct Resolver<'a, 'b> {
    cfg: &'a Cfg<'b>,
    /// First slot and number of calls of each layer.
    slots: HashMap<String, (usize, usize)>,
    /// Nested models whose calls old files number from 1.
    shifted: HashMap<String, bool>,
}

impl Resolver<'_, '_> {
    fn slot(&self, layer: &str, node: usize, shift: bool) -> Result<usize> {
        let Some(&(first, calls)) = self.slots.get(layer) else {
            return Err(bad(
                self.cfg,
                "inbound_nodes",
                format!("a reference to `{layer}`, which is not there"),
            ));
        };
        let node = match shift {
            true => node.saturating_sub(1),
            false => node,
        };
        if node >= calls {
            return Err(bad(
                self.cfg,
                "inbound_nodes",
                format!("a reference to call {node} of `{layer}`"),
            ));
        }
        Ok(first + node)
    }

    fn template(&self, v: &Json) -> Result<Template> {
        if let Some((layer, node, tensor)) = history(v) {
            let shift = self.shifted.get(layer).copied().unwrap_or(false);
            return Ok(Template::Ref(self.slot(layer, node, shift)?, tensor));
        }
        Ok(match v {
            Json::Array(items) => Template::List(
                items
                    .iter()
                    .map(|i| self.template(i))
                    .collect::<Result<_>>()?,
            ),
            Json::Object(o) if !o.contains_key("class_name") => Template::Dict(
                o.iter()
                    .map(|(k, v)| Ok((k.clone(), self.template(v)?)))
                    .collect::<Result<_>>()?,
            ),
            other => Template::Lit(other.clone()),
        })
    }
}

/// The history of a serialized tensor: layer, call, position.
pub fn history(v: &Json) -> Option<(&str, usize, usize)> {
    let o = v.as_object()?;
    if o.get("class_name")?.as_str()? != "__keras_tensor__" {
        return None;
    }
    triple(o.get("config")?.get("keras_history")?)
}

fn triple(v: &Json) -> Option<(&str, usize, usize)> {
    match v.as_array()?.as_slice() {
        [Json::String(name), node, tensor] => {
            Some((name, node.as_u64()? as usize, tensor.as_u64()? as usize))
        }
        _ => None,
    }
}

fn each_history<'a>(v: &'a Json, f: &mut impl FnMut(&'a str, usize)) {
    if let Some((layer, node, _)) = history(v) {
        return f(layer, node);
    }
    match v {
        Json::Array(items) => items.iter().for_each(|i| each_history(i, f)),
        Json::Object(o) => o.values().for_each(|i| each_history(i, f)),
        _ => {}
    }
}

/// The nest of `[layer, node, tensor]` triples of `input_layers`, `output_layers`.
fn triples(v: &Json) -> Option<Nest<(String, usize, usize)>> {
    if let Some((name, node, tensor)) = triple(v) {
        return Some(Nest::Leaf((name.to_string(), node, tensor)));
    }
    match v {
        Json::Array(items) => Some(Nest::List(
            items.iter().map(triples).collect::<Option<_>>()?,
        )),
        Json::Object(o) => Some(Nest::Dict(
            o.iter()
                .map(|(k, v)| Some((k.clone(), triples(v)?)))
                .collect::<Option<_>>()?,
        )),
        _ => None,
    }
}

/// A layer of a functional config before its calls are resolved.
struct Entry<'a> {
    name: String,
    class: String,
    target: Option<usize>,
    nodes: &'a [Json],
}

/// A Functional model: a graph of calls.
pub fn functional(cfg: &Cfg, loader: &Loader) -> Result<Built> {
    let layers = cfg
        .get("layers")
        .and_then(Json::as_array)
        .ok_or_else(|| cfg.bad("layers", "a list of layers"))?;
    let empty = Map::new();
    let mut names = StoreNames::default();
    let mut specs: HashMap<String, InputSpec> = HashMap::new();
    let mut targets = vec![];
    let mut entries: Vec<Entry> = vec![];
    let mut children = vec![];
    for layer in layers {
        let (name, class) = identity(layer);
        let config = layer
            .get("config")
            .and_then(Json::as_object)
            .unwrap_or(&empty);
        let nodes = layer
            .get("inbound_nodes")
            .and_then(Json::as_array)
            .map_or(&[][..], Vec::as_slice);
        let target = if class == "InputLayer" {
            names.next(&class);
            specs.insert(name.clone(), input_spec(&Cfg::new(&name, &class, config))?);
            None
        } else if loader.is_op(layer) {
            let function = nodes
                .first()
                .and_then(|node| ops::map::function(&class, config, node));
            targets.push(match function.filter(|f| is_layer(f)) {
                Some(f) => {
                    let made = ops::map::of_layer(&name, &class, loader.layer_node(f)?);
                    Target::Layer(Arc::new(made))
                }
                None => loader.op(layer, &name, config)?,
            });
            Some(targets.len() - 1)
        } else {
            let node = loader.layer_node(layer)?;
            children.push((names.next(&class), node.clone()));
            targets.push(Target::Layer(node));
            Some(targets.len() - 1)
        };
        entries.push(Entry {
            name,
            class,
            target,
            nodes,
        });
    }

    let mut resolver = Resolver {
        cfg,
        slots: HashMap::new(),
        shifted: HashMap::new(),
    };
    let mut slots = 0;
    for e in &entries {
        let calls = if e.target.is_none() { 1 } else { e.nodes.len() };
        resolver.slots.insert(e.name.clone(), (slots, calls));
        slots += calls;
    }
    for e in &entries {
        for node in e.nodes {
            each_history(node, &mut |layer, index| {
                if resolver
                    .slots
                    .get(layer)
                    .is_some_and(|&(_, calls)| index >= calls)
                {
                    resolver.shifted.insert(layer.to_string(), true);
                }
            });
        }
    }

    let steps = steps(cfg, &resolver, &entries)?;
    let ends = |key: &str| -> Result<Nest<(String, usize, usize)>> {
        cfg.get(key)
            .and_then(triples)
            .ok_or_else(|| cfg.bad(key, "references to layers"))
    };
    let input_refs = ends("input_layers")?;
    let mut inputs = vec![];
    let mut input_slots = vec![];
    let input_nest = input_refs.map(&mut |(name, ..)| {
        let spec = specs.get(name).ok_or_else(|| {
            bad(
                cfg,
                "input_layers",
                format!("`{name}`, which is no InputLayer"),
            )
        })?;
        inputs.push(spec.clone());
        input_slots.push(resolver.slots[name].0);
        Ok(inputs.len() - 1)
    })?;
    let mut output_names = vec![];
    let outputs = ends("output_layers")?.map(&mut |(name, node, tensor)| {
        output_names.push(name.clone());
        let nested = entries
            .iter()
            .any(|e| e.name == *name && is_functional(&e.class));
        let calls = resolver.slots.get(name).map_or(0, |s| s.1);
        // Keras counts a nested Functional's outputs from 1: its own graph is call 0.
        let shift = *node > 0 && (nested || *node >= calls);
        Ok((resolver.slot(name, *node, shift)?, *tensor))
    })?;
    // A list of one output is that output, as in Keras' Functional.call.
    let outputs = match outputs {
        Nest::List(mut one) if one.len() == 1 => one.swap_remove(0),
        other => other,
    };
    let ends: Vec<usize> = outputs.flatten().into_iter().map(|end| end.0).collect();
    let (steps, depths) = in_run_order(steps, slots, &ends)
        .ok_or_else(|| bad(cfg, "inbound_nodes", "a graph with a loop".to_string()))?;
    children.extend(mapped_layers(&entries, &targets, &resolver, &depths));
    let order = entries.iter().map(|e| (e.name.clone(), e.target)).collect();
    let graph = Graph {
        inputs,
        input_nest,
        input_slots,
        targets,
        order,
        steps,
        slots,
        outputs,
        output_names,
        whole: None,
    };
    Ok(Built {
        layer: Box::new(ModelLayer {
            graph: loader.keep(graph),
        }),
        vars: vec![],
        children,
    })
}

/// The operations that map a layer, and where the store has them: in a list of all
/// operations by their distance from the outputs.
fn mapped_layers(
    entries: &[Entry],
    targets: &[Target],
    resolver: &Resolver,
    depths: &[usize],
) -> Vec<(String, Arc<LayerNode>)> {
    let mut names: HashMap<usize, StoreNames> = HashMap::new();
    let mut found = vec![];
    for e in entries {
        let Some(Target::Layer(node)) = e.target.map(|t| &targets[t]) else {
            continue;
        };
        if ops::find(&e.class).is_none() {
            continue;
        }
        let (first, calls) = resolver.slots[&e.name];
        let depth = depths[first..first + calls].iter().copied().max();
        let depth = depth.unwrap_or(0);
        let list = match depth {
            0 => "_operations_by_depth/container/".to_string(),
            n => format!("_operations_by_depth/container_{n}/"),
        };
        let key = names.entry(depth).or_default().next(&e.class);
        found.push((key.replacen("layers/", &list, 1), node.clone()));
    }
    found
}

/// Whether a class is a functional model.
pub fn is_functional(class: &str) -> bool {
    matches!(class, "Functional" | "Model")
}

/// The calls as they were recorded.
fn steps(cfg: &Cfg, resolver: &Resolver, entries: &[Entry]) -> Result<Vec<Step>> {
    let mut steps = vec![];
    for e in entries {
        let (first, _) = resolver.slots[&e.name];
        let Some(target) = e.target else { continue };
        for (i, node) in e.nodes.iter().enumerate() {
            let (args, kwargs) =
                arguments(node).ok_or_else(|| bad(cfg, "inbound_nodes", short(node)))?;
            steps.push(Step {
                target,
                args: args
                    .iter()
                    .map(|a| resolver.template(a))
                    .collect::<Result<_>>()?,
                kwargs: kwargs
                    .into_iter()
                    .flatten()
                    .map(|(k, a)| Ok((k.clone(), resolver.template(a)?)))
                    .collect::<Result<_>>()?,
                slot: first + i,
            });
        }
    }
    Ok(steps)
}

/// Steps in the order in which Keras runs them, and how far each slot is from an
/// output. `None` if the graph has a loop.
fn in_run_order(
    steps: Vec<Step>,
    slots: usize,
    outputs: &[usize],
) -> Option<(Vec<Step>, Vec<usize>)> {
    let mut of_slot = vec![None; slots];
    for (i, step) in steps.iter().enumerate() {
        of_slot[step.slot] = Some(i);
    }
    let nodes: Vec<Node> = steps
        .iter()
        .map(|step| Node {
            target: step.target,
            inputs: taken(step).iter().filter_map(|t| of_slot[t.0]).collect(),
        })
        .collect();
    let outputs: Vec<usize> = outputs.iter().filter_map(|&slot| of_slot[slot]).collect();
    let order = run_order(&nodes, &outputs)?;
    let mut depths = vec![0; slots];
    for (step, depth) in steps.iter().zip(order.depths) {
        depths[step.slot] = depth;
    }
    let mut left: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let sorted = order.calls.into_iter().filter_map(|i| left[i].take());
    Some((sorted.collect(), depths))
}

/// The tensors that a step takes, in the order in which Keras flattens arguments.
fn taken(step: &Step) -> Vec<(usize, usize)> {
    let mut named: Vec<_> = step.kwargs.iter().collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    let mut found = vec![];
    let all = step.args.iter().chain(named.into_iter().map(|(_, a)| a));
    all.for_each(|a| refs(a, &mut found));
    found
}

type Kwargs<'a> = Option<&'a Map<String, Json>>;

fn arguments(node: &Json) -> Option<(&[Json], Kwargs<'_>)> {
    let o = node.as_object()?;
    let args = o.get("args")?.as_array()?;
    Some((args, o.get("kwargs").and_then(Json::as_object)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_keras() {
        for (class, want) in [
            ("Dense", "dense"),
            ("Conv2DTranspose", "conv2d_transpose"),
            ("LSTM", "lstm"),
            ("ReLU", "re_lu"),
            ("PReLU", "p_re_lu"),
            ("GRUCell", "gru_cell"),
            ("RMSNormalization", "rms_normalization"),
            ("SeparableConv1D", "separable_conv1d"),
            ("ELU", "elu"),
            ("InputLayer", "input_layer"),
        ] {
            assert_eq!(snake_case(class), want);
        }
    }
}
