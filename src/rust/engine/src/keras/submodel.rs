//! Models cut out of other models: the config of the part between some tensors
//! of a graph, as Keras makes it of `Model(inputs, outputs)`.

use std::collections::{BTreeMap, HashSet};

use serde_json::{json, Map, Value as Json};

use super::model::{history, identity, is_functional, Graph};
use crate::error::{Error, Result};
use crate::nest::Nest;
use crate::tensor::DType;

/// A tensor of a graph: the output `tensor` of call `node` of a layer, all
/// counted from 0, as in Keras' `_keras_history`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct History {
    pub layer: String,
    pub node: usize,
    pub tensor: usize,
}

/// What is known of a tensor of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Symbol {
    pub history: History,
    /// `None` for sizes that vary.
    pub shape: Vec<Option<usize>>,
    pub dtype: DType,
}

/// A layer's config with its calls.
struct Entry<'a> {
    name: String,
    class: String,
    spec: &'a Json,
    /// `{"args", "kwargs"}` of each call.
    nodes: Vec<Json>,
}

impl Entry<'_> {
    fn is_input(&self) -> bool {
        self.class == "InputLayer"
    }
}

fn not_connected(message: String) -> Error {
    Error::BadGraph { message }
}

/// The config of the model from `inputs` to `outputs`, tensors of the model whose
/// config and calls are given. `made` tells what a layer of a Sequential gives.
///
/// # Errors
/// `BadGraph` where the outputs need an input that is not there.
pub fn config_between(
    config: &Json,
    graph: &Graph,
    name: &str,
    inputs: &Nest<Symbol>,
    outputs: &Nest<History>,
    made: &dyn Fn(&str) -> Option<Nest<Symbol>>,
) -> Result<Json> {
    let entries = entries(config, graph, made)?;
    let given: Vec<&Symbol> = inputs.flatten();
    if given.is_empty() || outputs.flatten().is_empty() {
        return Err(not_connected(
            "a model needs inputs and outputs".to_string(),
        ));
    }
    let needed = needed(&entries, &given, outputs)?;

    // Calls keep their order; those that go leave no gap.
    let renumbered = |h: &History| {
        let before = |n: &&(String, usize)| n.0 == h.layer && n.1 < h.node;
        needed.iter().filter(before).count()
    };
    let mut names = InputNames::new(&entries, &needed);
    let mut new_inputs = vec![];
    let mut layers = vec![];
    for symbol in &given {
        let h = &symbol.history;
        let own = entries.iter().find(|e| e.name == h.layer && e.is_input());
        if let Some(entry) = own {
            new_inputs.push(entry.name.clone());
            layers.push(entry.spec.clone());
            continue;
        }
        let name = names.fresh(&h.layer);
        layers.push(json!({
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {
                "batch_shape": symbol.shape,
                "dtype": symbol.dtype.name(),
                "sparse": false,
                "name": name,
            },
            "registered_name": null,
            "name": name,
            "inbound_nodes": [],
        }));
        new_inputs.push(name);
    }
    let moved = |h: &History| -> (String, usize, usize) {
        match given.iter().position(|s| s.history == *h) {
            Some(i) => (new_inputs[i].clone(), 0, 0),
            None => (h.layer.clone(), renumbered(h), h.tensor),
        }
    };
    for entry in &entries {
        let calls: Vec<Json> = entry
            .nodes
            .iter()
            .enumerate()
            .filter(|(i, _)| needed.contains(&(entry.name.clone(), *i)))
            .map(|(_, node)| with_histories(node, &moved))
            .collect();
        if calls.is_empty() {
            continue;
        }
        let mut spec = entry.spec.clone();
        if let Some(o) = spec.as_object_mut() {
            o.insert("name".into(), json!(entry.name));
            o.insert("inbound_nodes".into(), Json::Array(calls));
        }
        layers.push(spec);
    }

    let mut at = 0;
    let input_layers = inputs.map(&mut |_| {
        at += 1;
        Ok::<_, Error>(json!([new_inputs[at - 1], 0, 0]))
    })?;
    let output_layers = outputs.map(&mut |h| {
        let (layer, node, tensor) = moved(h);
        // Keras counts its own graph as call 0 of a nested Functional.
        let nested = entries
            .iter()
            .any(|e| e.name == layer && is_functional(&e.class));
        Ok::<_, Error>(json!([layer, node + usize::from(nested), tensor]))
    })?;
    Ok(json!({
        "module": "keras",
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": true,
            "layers": layers,
            "input_layers": to_json(&input_layers),
            "output_layers": to_json(&output_layers),
        },
        "registered_name": "Functional",
    }))
}

fn to_json(nest: &Nest<Json>) -> Json {
    match nest {
        Nest::Leaf(v) => v.clone(),
        Nest::List(items) => items.iter().map(to_json).collect(),
        Nest::Dict(items) => {
            let items = items.iter().map(|(k, v)| (k.clone(), to_json(v)));
            Json::Object(items.collect())
        }
        Nest::Null => Json::Null,
    }
}

/// The layers of a model's config; those of a Sequential are called in a chain.
fn entries<'a>(
    config: &'a Json,
    graph: &Graph,
    made: &dyn Fn(&str) -> Option<Nest<Symbol>>,
) -> Result<Vec<Entry<'a>>> {
    let inner = &config["config"];
    let specs = inner["layers"].as_array();
    let specs = specs.ok_or_else(|| Error::internal("a model without layers"))?;
    let chain = config["class_name"] == "Sequential";
    let mut before = None;
    let mut out = vec![];
    for spec in specs {
        let (name, class) = identity(spec);
        let nodes = match spec.get("inbound_nodes").and_then(Json::as_array) {
            Some(nodes) if !chain => nodes.clone(),
            _ if class == "InputLayer" || !chain => vec![],
            _ => {
                let from = before.unwrap_or_else(|| keras_tensor(&graph.inputs[0].name, 0));
                vec![json!({"args": [from], "kwargs": {}})]
            }
        };
        before = chain.then(|| handed_on(&name, made));
        out.push(Entry {
            name,
            class,
            spec,
            nodes,
        });
    }
    count_from_zero(&mut out);
    Ok(out)
}

/// Some files number the calls of nested models from 1.
fn count_from_zero(entries: &mut [Entry]) {
    let mut shifted = HashSet::new();
    for node in entries.iter().flat_map(|e| &e.nodes) {
        each_tensor(node, &mut |h| {
            let calls = entries.iter().find(|e| e.name == h.layer);
            let calls = calls.map_or(usize::MAX, |e| e.nodes.len().max(1));
            if h.node >= calls {
                shifted.insert(h.layer);
            }
        });
    }
    if shifted.is_empty() {
        return;
    }
    let moved = |h: &History| {
        let node = h
            .node
            .saturating_sub(usize::from(shifted.contains(&h.layer)));
        (h.layer.clone(), node, h.tensor)
    };
    for node in entries.iter_mut().flat_map(|e| &mut e.nodes) {
        *node = with_histories(node, &moved);
    }
}

/// What a layer of a Sequential hands on: all that it gives.
fn handed_on(layer: &str, made: &dyn Fn(&str) -> Option<Nest<Symbol>>) -> Json {
    let nest = made(layer).unwrap_or(Nest::Null);
    let mut tensor = |s: &Symbol| Ok::<_, Error>(keras_tensor(layer, s.history.tensor));
    match nest.map(&mut tensor) {
        Ok(Nest::List(items)) if items.len() == 1 => to_json(&items[0]),
        Ok(several @ (Nest::List(_) | Nest::Dict(_))) => to_json(&several),
        _ => keras_tensor(layer, 0),
    }
}

/// An output of the first call of a layer.
fn keras_tensor(layer: &str, tensor: usize) -> Json {
    json!({"class_name": "__keras_tensor__", "config": {"keras_history": [layer, 0, tensor]}})
}

/// The calls that the outputs need when the inputs are given.
fn needed(
    entries: &[Entry],
    inputs: &[&Symbol],
    outputs: &Nest<History>,
) -> Result<HashSet<(String, usize)>> {
    let mut found = HashSet::new();
    let mut open: Vec<History> = outputs.flatten().into_iter().cloned().collect();
    while let Some(h) = open.pop() {
        if inputs.iter().any(|s| s.history == h) || found.contains(&(h.layer.clone(), h.node)) {
            continue;
        }
        let entry = entries.iter().find(|e| e.name == h.layer);
        if entry.is_none_or(Entry::is_input) {
            return Err(not_connected(format!(
                "the outputs need input `{}`, which is not among the inputs",
                h.layer
            )));
        }
        let node = entry.and_then(|e| e.nodes.get(h.node));
        let node = node
            .ok_or_else(|| not_connected(format!("layer '{}' has no call {}", h.layer, h.node)))?;
        each_tensor(node, &mut |h| open.push(h));
        found.insert((h.layer, h.node));
    }
    Ok(found)
}

fn owned(v: &Json) -> Option<History> {
    let (layer, node, tensor) = history(v)?;
    Some(History {
        layer: layer.to_string(),
        node,
        tensor,
    })
}

fn each_tensor(v: &Json, f: &mut impl FnMut(History)) {
    if let Some(h) = owned(v) {
        return f(h);
    }
    match v {
        Json::Array(items) => items.iter().for_each(|i| each_tensor(i, f)),
        Json::Object(o) => o.values().for_each(|i| each_tensor(i, f)),
        _ => {}
    }
}

/// The same arguments with other histories of tensors.
fn with_histories(v: &Json, moved: &impl Fn(&History) -> (String, usize, usize)) -> Json {
    if let Some(h) = owned(v) {
        let mut out = v.clone();
        out["config"]["keras_history"] = json!(moved(&h));
        return out;
    }
    match v {
        Json::Array(items) => items.iter().map(|i| with_histories(i, moved)).collect(),
        Json::Object(o) => {
            let items = o.iter().map(|(k, i)| (k.clone(), with_histories(i, moved)));
            Json::Object(items.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Names of new inputs: that of the layer whose tensor is given, unless the
/// layer is called in the model.
struct InputNames {
    taken: HashSet<String>,
    counts: BTreeMap<String, usize>,
}

impl InputNames {
    fn new(entries: &[Entry], needed: &HashSet<(String, usize)>) -> InputNames {
        let inputs = entries.iter().filter(|e| e.is_input());
        let inputs = inputs.map(|e| e.name.clone());
        InputNames {
            taken: needed.iter().map(|n| n.0.clone()).chain(inputs).collect(),
            counts: BTreeMap::new(),
        }
    }

    fn fresh(&mut self, layer: &str) -> String {
        let n = self.counts.entry(layer.to_string()).or_insert(0);
        loop {
            let name = match *n {
                0 => layer.to_string(),
                n => format!("{layer}_{n}"),
            };
            *n += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// The input layer of a Sequential that was saved without it.
pub fn with_input_layer(config: &mut Json, graph: &Graph) {
    let Some(layers) = config["config"]["layers"].as_array_mut() else {
        return;
    };
    let has = layers.iter().any(|l| l["class_name"] == "InputLayer");
    if has {
        return;
    }
    let input = &graph.inputs[0];
    layers.insert(
        0,
        json!({
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {
                "batch_shape": input.shape,
                "dtype": input.dtype.name(),
                "sparse": false,
                "name": input.name,
            },
            "registered_name": null,
        }),
    );
}
