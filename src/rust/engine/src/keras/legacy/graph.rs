//! Sequential models, and Functional models with their nodes.

use std::collections::HashMap;

use serde_json::{json, Value as Json};

use super::{entry, keras_tensor, malformed, name_of, nodes, numpy, Era, Object};
use crate::error::Result;
use crate::format::LegacyWeights;
use crate::keras::layers::runs_function;

/// The config of a Sequential, its layers converted and an InputLayer in front.
pub(super) fn sequential(mut config: Object, era: &Era) -> Result<Object> {
    let layers = match config.remove("layers") {
        Some(Json::Array(layers)) => layers,
        given => return Err(bad_model(&config, "Sequential", "layers", given.as_ref())),
    };
    let mut converted = Vec::with_capacity(layers.len() + 1);
    for (i, layer) in layers.into_iter().enumerate() {
        let layer = match layer {
            Json::Object(layer) => layer,
            given => return Err(bad_model(&config, "Sequential", "layers", Some(&given))),
        };
        let declared = (i == 0).then(|| declared_input(&layer)).flatten();
        let layer = entry(layer, era)?;
        if i == 0 && layer["class_name"] != "InputLayer" {
            let (shape, dtype) = declared
                .or_else(|| nested_input(&layer))
                .or_else(|| {
                    let shape = config.get("build_input_shape")?;
                    let is_shape = shape.as_array()?.iter().all(|d| !d.is_array());
                    is_shape.then(|| (shape.clone(), "float32".into()))
                })
                .unwrap_or((Json::Null, Json::Null));
            if !shape.is_null() {
                let name = format!("{}_input", name_of(&layer));
                converted.push(input_layer(&name, shape, dtype));
            }
        }
        converted.push(Json::Object(layer));
    }
    config.remove("build_input_shape");
    config.insert("layers".into(), converted.into());
    Ok(config)
}

/// Gives a Sequential that says nothing of its input the one that the weights of its
/// first layer are for: Keras 2.2 forgot the `InputLayer` that a user added.
pub(super) fn find_input(model: &mut Object, weights: &LegacyWeights) {
    let is_sequential = model.get("class_name").and_then(Json::as_str) == Some("Sequential");
    let Some(config) = model.get_mut("config").filter(|_| is_sequential) else {
        return;
    };
    let Some(Json::Array(layers)) = config.get_mut("layers") else {
        return;
    };
    let input = layers.first().and_then(|first| {
        let name = name_of(first.as_object()?);
        let (_, stored) = weights.iter().find(|(layer, _)| *layer == name)?;
        let kernel = stored.first()?.tensor.shape();
        let shape = input_of_kernel(first, kernel)?;
        Some(input_layer(
            &format!("{name}_input"),
            shape,
            "float32".into(),
        ))
    });
    if let Some(input) = input {
        layers.insert(0, input);
    }
}

/// The shape of the input that a layer with this kernel takes.
fn input_of_kernel(layer: &Json, kernel: &[usize]) -> Option<Json> {
    let class = layer["class_name"].as_str()?;
    if layer["config"]["data_format"] == "channels_first" {
        return None;
    }
    Some(match (class, kernel) {
        ("Dense", [n, _]) => json!([null, n]),
        ("Embedding", _) => json!([null, null]),
        ("LSTM" | "GRU" | "SimpleRNN" | "Bidirectional", [n, _])
        | ("Conv1D" | "SeparableConv1D", [_, n, _]) => json!([null, null, n]),
        ("Conv2D" | "SeparableConv2D" | "DepthwiseConv2D", [_, _, n, _]) => {
            json!([null, null, null, n])
        }
        ("Conv3D", [_, _, _, n, _]) => json!([null, null, null, null, n]),
        _ => return None,
    })
}

/// The graph of a Sequential of Keras 1 that starts with a `Merge` of others.
pub(super) fn of_towers(config: &Object) -> Option<Object> {
    let layers = config.get("layers")?.as_array()?;
    let first = layers.first()?;
    first.get("config")?.get("layers")?;
    if first.get("class_name")? != "Merge" {
        return None;
    }
    let mut graph = Towers::default();
    let last = graph.add(layers)?;
    let mut out = Object::new();
    if let Some(name) = config.get("name") {
        out.insert("name".into(), name.clone());
    }
    out.insert("layers".into(), graph.layers.into());
    out.insert("input_layers".into(), graph.inputs.into());
    out.insert("output_layers".into(), json!([[last, 0, 0]]));
    Some(out)
}

/// Layers of Sequentials as those of one graph.
#[derive(Default)]
struct Towers {
    layers: Vec<Json>,
    inputs: Vec<Json>,
}

impl Towers {
    /// Adds layers, each of which takes what the one before gives; returns the last one's name.
    fn add(&mut self, layers: &[Json]) -> Option<String> {
        let (first, rest) = layers.split_first()?;
        let merged = first.get("config")?.get("layers").and_then(Json::as_array);
        let mut last = match merged {
            Some(towers) if first.get("class_name")? == "Merge" => {
                let mut ends = Vec::with_capacity(towers.len());
                for tower in towers {
                    let end = match tower.get("config")? {
                        Json::Array(inner) => self.add(inner)?,
                        config if tower.get("class_name")? == "Sequential" => {
                            self.add(config.get("layers")?.as_array()?)?
                        }
                        _ => self.add(std::slice::from_ref(tower))?,
                    };
                    ends.push(json!([end, 0, 0]));
                }
                self.push(first, ends)?
            }
            _ => {
                let (shape, dtype) = declared_input(first.as_object()?)?;
                let name = format!("{}_input", first["config"]["name"].as_str()?);
                let mut input = input_layer(&name, shape, dtype);
                input["name"] = name.clone().into();
                input["inbound_nodes"] = json!([]);
                self.layers.push(input);
                self.inputs.push(json!([name, 0, 0]));
                self.push(first, vec![json!([name, 0, 0])])?
            }
        };
        for layer in rest {
            last = self.push(layer, vec![json!([last, 0, 0])])?;
        }
        Some(last)
    }

    /// Adds one layer, unless there is one of its name.
    fn push(&mut self, layer: &Json, inputs: Vec<Json>) -> Option<String> {
        let mut layer = layer.clone();
        let name = layer.get("config")?.get("name")?.as_str()?.to_string();
        if self.layers.iter().any(|l| l["name"] == name) {
            return None;
        }
        layer["config"].as_object_mut()?.remove("layers");
        layer["name"] = name.clone().into();
        layer["inbound_nodes"] = json!([inputs]);
        self.layers.push(layer);
        Some(name)
    }
}

fn input_layer(name: &str, shape: Json, dtype: Json) -> Json {
    json!({
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": shape, "dtype": dtype, "sparse": false, "name": name},
        "registered_name": null,
    })
}

/// The input that a first layer declares for its model.
fn declared_input(layer: &Object) -> Option<(Json, Json)> {
    let config = layer.get("config")?;
    let shape = config.get("batch_input_shape").filter(|s| s.is_array())?;
    let dtype = config
        .get("input_dtype")
        .or_else(|| config.get("dtype"))
        .filter(|d| d.as_str().is_some_and(|d| !d.starts_with("mixed")))
        .cloned()
        .unwrap_or_else(|| "float32".into());
    Some((shape.clone(), dtype))
}

/// The input of a model that is the first layer of another.
fn nested_input(model: &Object) -> Option<(Json, Json)> {
    let config = model.get("config")?;
    let layers = config.get("layers")?.as_array()?;
    let input = match config.get("input_layers") {
        None => layers.first()?,
        Some(at) => layers.iter().find(|l| l.get("name") == at.get(0))?,
    };
    if input.get("class_name")? != "InputLayer" {
        return None;
    }
    let input = input.get("config")?;
    Some((
        input.get("batch_shape")?.clone(),
        input.get("dtype")?.clone(),
    ))
}

/// Attention is told with each call, not when it is made, to look at the past only.
fn takes_causal(class: &str, layer: &mut Object) -> bool {
    match (class, layer.get_mut("config")) {
        ("Attention" | "AdditiveAttention", Some(Json::Object(config))) => {
            config.remove("causal") == Some(Json::Bool(true))
        }
        _ => false,
    }
}

/// How the nodes of a layer are counted by those that refer to it.
#[derive(Clone, Copy)]
struct Counting {
    /// References inside the model are from 1, since node 0 is the model's own.
    from_one: bool,
    /// The layer is a Functional, whose outputs Keras 3 counts from 1.
    functional: bool,
}

struct Graph {
    layers: HashMap<String, Counting>,
}

/// The config of a Functional model, its layers and nodes converted.
pub(super) fn functional(mut config: Object, era: &Era) -> Result<Object> {
    let layers = match config.remove("layers") {
        Some(Json::Array(layers)) => layers,
        given => return Err(bad_model(&config, "Functional", "layers", given.as_ref())),
    };
    let mut converted = Vec::with_capacity(layers.len());
    let mut graph = Graph {
        layers: HashMap::new(),
    };
    for layer in layers {
        let mut layer = match layer {
            Json::Object(layer) => layer,
            given => return Err(bad_model(&config, "Functional", "layers", Some(&given))),
        };
        let nodes = match layer.remove("inbound_nodes") {
            Some(Json::Array(nodes)) => nodes,
            None | Some(Json::Null) => vec![],
            given => return Err(bad_layer(&layer, "inbound_nodes", given.as_ref())),
        };
        let name = name_of(&layer);
        let layer = entry(layer, era)?;
        let counting = Counting {
            from_one: false,
            functional: layer["class_name"] == "Functional",
        };
        graph.layers.insert(name.clone(), counting);
        converted.push((name, layer, nodes));
    }
    let ends: Vec<Json> = ["input_layers", "output_layers"]
        .iter()
        .filter_map(|key| config.get(*key).cloned())
        .collect();
    graph.find_counting(&converted, &ends);

    let mut layers = Vec::with_capacity(converted.len());
    for (name, mut layer, nodes) in converted {
        if matches!(
            layer["class_name"].as_str(),
            Some("TFOpLambda" | "SlicingOpLambda" | "TensorFlowOpLayer")
        ) {
            layers.push(graph.function(&name, layer, nodes)?);
            continue;
        }
        let class = layer["class_name"].as_str().unwrap_or_default().to_string();
        let causal = takes_causal(&class, &mut layer);
        let nodes = nodes
            .into_iter()
            .map(|node| graph.node(&name, &class, causal, node))
            .collect::<Result<Vec<_>>>()?;
        layer.insert("name".into(), name.into());
        layer.insert("inbound_nodes".into(), nodes.into());
        layers.push(Json::Object(layer));
    }
    config.insert("layers".into(), layers.into());
    for key in ["input_layers", "output_layers"] {
        let given = config.get(key).cloned();
        let ends = given
            .as_ref()
            .and_then(|ends| graph.ends(ends))
            .ok_or_else(|| bad_model(&config, "Functional", key, given.as_ref()))?;
        config.insert(key.into(), ends);
    }
    Ok(config)
}

fn bad_model(config: &Object, class: &str, key: &str, given: Option<&Json>) -> crate::Error {
    let name = config.get("name").and_then(Json::as_str);
    malformed(name.unwrap_or("model"), class, key, given)
}

fn bad_layer(layer: &Object, key: &str, given: Option<&Json>) -> crate::Error {
    let class = layer.get("class_name").and_then(Json::as_str);
    malformed(&name_of(layer), class.unwrap_or_default(), key, given)
}

/// A reference `[layer, node, tensor]`, perhaps with the call's other arguments.
struct Ref<'a> {
    layer: &'a str,
    node: u64,
    tensor: u64,
    kwargs: Option<&'a Object>,
}

/// An operand that no layer made: `["_CONSTANT_VALUE", -1, value, kwargs]`.
const CONSTANT: &str = "_CONSTANT_VALUE";

impl Graph {
    fn as_ref<'a>(&self, value: &'a Json) -> Option<Ref<'a>> {
        let (at, kwargs) = match value.as_array()?.as_slice() {
            [layer, node, tensor] => ((layer, node, tensor), None),
            [layer, node, tensor, kwargs] => ((layer, node, tensor), Some(kwargs)),
            _ => return None,
        };
        let layer = at.0.as_str()?;
        if !self.layers.contains_key(layer) {
            return None;
        }
        Some(Ref {
            layer,
            node: at.1.as_u64()?,
            tensor: at.2.as_u64()?,
            kwargs: match kwargs {
                None | Some(Json::Null) => None,
                Some(kwargs) => Some(kwargs.as_object()?),
            },
        })
    }

    /// Models inside of models start with a node of their own, which is not
    /// saved, so that references count from 1; those without an input of their
    /// own count from 0. Since all saved nodes are referred to, a 0 decides.
    fn find_counting(&mut self, layers: &[(String, Object, Vec<Json>)], ends: &[Json]) {
        let mut nested: HashMap<String, bool> = layers
            .iter()
            .filter(|(_, l, _)| {
                matches!(l["class_name"].as_str(), Some("Functional" | "Sequential"))
            })
            .map(|(name, _, _)| (name.clone(), true))
            .collect();
        fn scan(graph: &Graph, value: &Json, nested: &mut HashMap<String, bool>) {
            if let Some(r) = graph.as_ref(value) {
                if let (0, Some(from_one)) = (r.node, nested.get_mut(r.layer)) {
                    *from_one = false;
                }
            }
            match value {
                Json::Array(a) => a.iter().for_each(|v| scan(graph, v, nested)),
                Json::Object(o) => o.values().for_each(|v| scan(graph, v, nested)),
                _ => {}
            }
        }
        for (_, _, nodes) in layers {
            nodes.iter().for_each(|n| scan(self, n, &mut nested));
        }
        ends.iter().for_each(|e| scan(self, e, &mut nested));
        for (name, from_one) in nested {
            if let Some(counting) = self.layers.get_mut(&name) {
                counting.from_one = from_one;
            }
        }
    }

    /// The node a reference means, counted from 0.
    fn node_index(&self, r: &Ref) -> u64 {
        let from_one = self.layers.get(r.layer).is_some_and(|c| c.from_one);
        r.node.saturating_sub(from_one as u64)
    }

    fn tensor(&self, r: &Ref) -> Json {
        keras_tensor(r.layer, self.node_index(r), r.tensor)
    }

    /// Inputs or outputs of the model. A single one is itself, not a list.
    fn ends(&self, value: &Json) -> Option<Json> {
        if let Some(r) = self.as_ref(value) {
            let functional = self.layers.get(r.layer).is_some_and(|c| c.functional);
            let node = self.node_index(&r) + functional as u64;
            return Some(json!([r.layer, node, r.tensor]));
        }
        match value {
            Json::Array(items) => match items.as_slice() {
                [one] => self.ends(one),
                items => items.iter().map(|i| self.ends(i)).collect(),
            },
            Json::Object(items) => items
                .iter()
                .map(|(k, v)| Some((k.clone(), self.ends(v)?)))
                .collect::<Option<Object>>()
                .map(Json::Object),
            _ => None,
        }
    }

    /// The first argument of a call, and the keyword arguments that stand beside
    /// each of its tensors.
    fn first_argument(&self, value: &Json, kwargs: &mut Object) -> Option<Json> {
        if let Some(r) = self.as_ref(value) {
            if let Some(more) = r.kwargs {
                kwargs.extend(more.iter().map(|(k, v)| (k.clone(), self.argument(v))));
            }
            return Some(self.tensor(&r));
        }
        match value {
            Json::Array(items) => match items.as_slice() {
                [Json::String(mark), _, constant, rest @ ..] if mark == CONSTANT => {
                    if let Some(Json::Object(more)) = rest.first() {
                        kwargs.extend(more.iter().map(|(k, v)| (k.clone(), self.argument(v))));
                    }
                    Some(literal(constant.clone()))
                }
                items => items
                    .iter()
                    .map(|i| self.first_argument(i, kwargs))
                    .collect(),
            },
            Json::Object(items) => items
                .iter()
                .map(|(k, v)| Some((k.clone(), self.first_argument(v, kwargs)?)))
                .collect::<Option<Object>>()
                .map(Json::Object),
            _ => None,
        }
    }

    /// Any other argument: references become tensors, the rest stays.
    fn argument(&self, value: &Json) -> Json {
        if let Some(r) = self.as_ref(value) {
            return self.tensor(&r);
        }
        match value {
            Json::Array(items) => items.iter().map(|i| self.argument(i)).collect(),
            Json::Object(items) => items
                .iter()
                .map(|(k, v)| (k.clone(), self.argument(v)))
                .collect::<Object>()
                .into(),
            other => other.clone(),
        }
    }

    /// One call of a layer.
    fn node(&self, name: &str, class: &str, causal: bool, node: Json) -> Result<Json> {
        if node.get("args").is_some() && node.get("kwargs").is_some() {
            return Ok(node);
        }
        let mut kwargs = Object::new();
        let mut first = self
            .first_argument(&node, &mut kwargs)
            .ok_or_else(|| malformed(name, class, "inbound_nodes", Some(&node)))?;
        if let Json::Array(items) = &mut first {
            if items.len() == 1 {
                first = items.remove(0);
            }
        }
        // Recurrent layers were called on a list of the input and its initial states.
        let recurrent = class.ends_with("LSTM")
            || class.ends_with("GRU")
            || class.ends_with("RNN")
            || class == "Bidirectional"
            || class == "ConvLSTM2D";
        if let (true, Json::Array(items)) = (recurrent, &mut first) {
            if items.len() > 1 {
                let states = items.split_off(1);
                kwargs.insert("initial_state".into(), states.into());
                first = items.remove(0);
            }
        }
        if causal {
            kwargs.insert("use_causal_mask".into(), true.into());
        }
        kwargs.retain(|_, v| !v.is_null());
        Ok(json!({"args": [first], "kwargs": kwargs}))
    }

    /// A function of TensorFlow that stands as a layer, or a node of TensorFlow's
    /// graph, which is made to such a function.
    fn function(&self, name: &str, mut layer: Object, nodes: Vec<Json>) -> Result<Json> {
        let is_node = layer["class_name"] == "TensorFlowOpLayer";
        let mut symbol = match layer["config"].get("function") {
            Some(Json::String(symbol)) => symbol.clone(),
            _ => String::new(),
        };
        let mut calls = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let mut kwargs = Object::new();
            let mut first = self
                .first_argument(node, &mut kwargs)
                .ok_or_else(|| malformed(name, &symbol, "inbound_nodes", Some(node)))?;
            kwargs.remove("name");
            if is_node {
                let config = layer["config"].as_object();
                match config.and_then(|c| nodes::of_node(c, &first)) {
                    Some((function, operand, rest)) => {
                        symbol = function;
                        first = operand;
                        kwargs = rest;
                    }
                    None => {
                        let op = &layer["config"]["node_def"]["op"];
                        symbol = format!("raw_ops.{}", op.as_str().unwrap_or("?"));
                    }
                }
            }
            calls.push(json!({"args": [first], "kwargs": kwargs}));
        }
        // Functions that can't be run are told by their names.
        let class = match runs_function(&symbol) {
            true => "TFOpLambda".to_string(),
            false => format!("tf.{symbol}"),
        };
        layer.insert("class_name".into(), class.into());
        layer.insert("module".into(), "keras.layers".into());
        layer.insert("config".into(), json!({"name": name, "function": symbol}));
        layer.insert("name".into(), name.into());
        layer.insert("inbound_nodes".into(), calls.into());
        Ok(Json::Object(layer))
    }
}

/// A constant operand: lists of numbers are arrays.
pub(super) fn literal(value: Json) -> Json {
    match value {
        Json::Array(_) => numpy(value),
        other => other,
    }
}
