//! Functions of TensorFlow in a model of Keras 2, as Keras 3 can save them.
//!
//! What such a model computes of shapes is known to whoever runs it: it becomes
//! plain numbers, and what only served to compute it goes.

use std::collections::{HashMap, HashSet};

use serde_json::{json, Value as Json};

use super::ops::{has_tensor, translate};
use super::{Object, MODERN};
use crate::keras::model::history;
use crate::tensor::Fact;

/// One call of a function, as it was lowered.
#[derive(Clone)]
pub struct FunctionCall {
    /// The layer's name.
    pub layer: String,
    /// The arguments by name, the first one under "": what is known of their values
    /// before the run, null for the rest.
    pub known: Json,
    /// The first tensor among the arguments.
    pub fact: Option<Fact>,
}

/// A number that differs between two sizes of the inputs.
const VARIES: &str = "varies";

/// A slice's end that is that of the axis.
const OPEN: &str = "open";

/// What is known of a function's arguments whatever the sizes of the inputs.
struct Known {
    arguments: Json,
    /// The sizes of the first tensor.
    shape: Json,
    whole: bool,
}

/// Puts operations of Keras 3 in the place of functions of TensorFlow in a config
/// that has been rewritten. `calls` are those of the model at two sizes of its inputs.
/// Returns the layers, as `name (class)`, that have no like.
pub fn functions_as_operations(
    config: &mut Json,
    calls: (Vec<FunctionCall>, Vec<FunctionCall>),
) -> Vec<String> {
    let mut known: HashMap<String, Option<Known>> = HashMap::new();
    for (a, b) in calls.0.into_iter().zip(calls.1) {
        let shape = |call: &FunctionCall| json!(call.fact.as_ref().map(|f| &f.shape));
        let call = Known {
            arguments: merged(&a.known, &b.known),
            shape: merged(&shape(&a), &shape(&b)),
            whole: a.fact.is_some_and(|f| f.dtype.is_int()),
        };
        // Calls that differ say nothing.
        let same = |k: &Known| k.arguments == call.arguments && k.shape == call.shape;
        match known.get_mut(&a.layer) {
            Some(k) if !k.as_ref().is_some_and(same) => *k = None,
            Some(_) => {}
            None => {
                known.insert(a.layer, Some(call));
            }
        }
    }
    let mut lost = Vec::new();
    replace(config, &known, &mut lost);
    lost
}

fn merged(a: &Json, b: &Json) -> Json {
    match (a, b) {
        (Json::Array(x), Json::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).map(|(a, b)| merged(a, b)).collect()
        }
        (Json::Object(x), Json::Object(y)) => {
            let pairs = x.iter().map(|(k, v)| (k.clone(), merged(v, &b[k])));
            debug_assert_eq!(x.len(), y.len());
            pairs.collect::<Object>().into()
        }
        _ if a == b => a.clone(),
        (Json::Number(_), Json::Number(_)) => json!({ VARIES: [a, b] }),
        _ => Json::Null,
    }
}

fn varies(value: &Json) -> bool {
    match value {
        Json::Object(o) => o.contains_key(VARIES) || o.values().any(varies),
        Json::Array(a) => a.iter().any(varies),
        _ => false,
    }
}

fn is_function(layer: &Json) -> bool {
    let class = layer.get("class_name").and_then(Json::as_str);
    matches!(class, Some("TFOpLambda" | "SlicingOpLambda")) && layer.get("inbound_nodes").is_some()
}

fn replace(value: &mut Json, known: &HashMap<String, Option<Known>>, lost: &mut Vec<String>) {
    let Json::Object(o) = value else {
        if let Json::Array(items) = value {
            items.iter_mut().for_each(|v| replace(v, known, lost));
        }
        return;
    };
    if let Some(Json::Array(layers)) = o.get_mut("layers") {
        if layers.iter().any(is_function) {
            let layers = std::mem::take(layers);
            let mut ends = o.get("output_layers").cloned().unwrap_or_default();
            o["layers"] = of_graph(layers, &mut ends, known, lost).into();
            o["output_layers"] = ends;
        }
    }
    // The config as it was in the file stays as it was.
    let parts = o.iter_mut().filter(|(key, _)| *key != MODERN);
    parts.for_each(|(_, v)| replace(v, known, lost));
}

/// The layers of one graph without functions of TensorFlow.
fn of_graph(
    mut layers: Vec<Json>,
    outputs: &mut Json,
    known: &HashMap<String, Option<Known>>,
    lost: &mut Vec<String>,
) -> Vec<Json> {
    let name = |layer: &Json| layer["name"].as_str().unwrap_or_default().to_string();
    for layer in layers.iter_mut().filter(|l| is_function(l)) {
        if let Some(Some(known)) = known.get(&name(layer)) {
            fill_in(layer, known);
        }
    }
    let lists = layers.iter().filter_map(passed_on).collect();
    for layer in &mut layers {
        resolve(&mut layer["inbound_nodes"], &lists);
    }
    resolve(outputs, &lists);
    // Functions whose results nobody needs any more.
    loop {
        let mut used = HashSet::new();
        names(outputs, &mut used);
        for layer in &layers {
            names(&layer["inbound_nodes"], &mut used);
        }
        let before = layers.len();
        layers.retain(|l| !is_function(l) || used.contains(&name(l)));
        if layers.len() == before {
            break;
        }
    }
    let mut all = Vec::with_capacity(layers.len());
    for layer in layers {
        if !is_function(&layer) {
            all.push(layer);
            continue;
        }
        let whole = known.get(&name(&layer)).and_then(Option::as_ref);
        match as_operations(&layer, whole.is_some_and(|k| k.whole)) {
            Some(entries) => all.extend(entries),
            None => {
                let function = layer["config"]["function"].as_str().unwrap_or_default();
                lost.push(format!("{} (tf.{function})", name(&layer)));
            }
        }
    }
    all
}

/// A function that gives back a list, with that list.
fn passed_on(layer: &Json) -> Option<(String, Vec<Json>)> {
    let function = layer["config"]["function"].as_str()?;
    let is_identity = is_function(layer) && function.rsplit('.').next()? == "identity";
    let list = layer["inbound_nodes"][0]["args"][0].as_array()?;
    is_identity.then(|| {
        (
            layer["name"].as_str().unwrap_or_default().to_string(),
            list.clone(),
        )
    })
}

/// Puts the members of lists that functions give back in the place of references to them.
fn resolve(value: &mut Json, lists: &HashMap<String, Vec<Json>>) {
    let member = |name: &str, at: usize| lists.get(name)?.get(at);
    if let Some((name, _, at)) = history(value) {
        if let Some(member) = member(name, at) {
            *value = member.clone();
            resolve(value, lists);
        }
        return;
    }
    match value {
        Json::Array(items) => {
            let found = match items.as_slice() {
                [Json::String(name), _, Json::Number(at)] => at
                    .as_u64()
                    .and_then(|at| history(member(name, at as usize)?)),
                _ => None,
            };
            if let Some((layer, node, at)) = found {
                *value = json!([layer, node, at]);
                return resolve(value, lists);
            }
            items.iter_mut().for_each(|v| resolve(v, lists));
        }
        Json::Object(o) => o.values_mut().for_each(|v| resolve(v, lists)),
        _ => {}
    }
}

/// The layers that a value refers to: those of tensors, and of inputs and outputs.
fn names(value: &Json, out: &mut HashSet<String>) {
    match value {
        Json::Array(items) => {
            if let [Json::String(name), Json::Number(_), Json::Number(_)] = items.as_slice() {
                out.insert(name.clone());
            }
            items.iter().for_each(|v| names(v, out));
        }
        Json::Object(o) => o.values().for_each(|v| names(v, out)),
        _ => {}
    }
}

/// Puts what is known in the place of tensors.
fn fill_in(layer: &mut Json, known: &Known) {
    let function = layer["config"]["function"].as_str().unwrap_or_default();
    let function = function.rsplit('.').next().unwrap_or_default().to_string();
    let Some(nodes) = layer["inbound_nodes"].as_array_mut() else {
        return;
    };
    for node in nodes {
        if let Some(first) = node["args"].get_mut(0) {
            fill(first, &known.arguments[""]);
        }
        if let Some(rest) = node["kwargs"].as_object_mut() {
            for (key, value) in rest {
                let mut found = known.arguments[key].clone();
                if varies(&found) {
                    found = open(&function, key, found, known);
                }
                fill(value, &found);
            }
        }
    }
}

fn fill(value: &mut Json, known: &Json) {
    if !has_tensor(value) || known.is_null() {
        return;
    }
    if value.get("class_name").is_some() {
        if !varies(known) {
            *value = known.clone();
        }
        return;
    }
    match (value, known) {
        (Json::Array(values), Json::Array(known)) if values.len() == known.len() => {
            values.iter_mut().zip(known).for_each(|(v, k)| fill(v, k));
        }
        (Json::Object(values), Json::Object(known)) => {
            for (key, v) in values {
                match known.get(key) {
                    Some(k) if k == OPEN => *v = Json::Null,
                    Some(k) => fill(v, k),
                    None => {}
                }
            }
        }
        _ => {}
    }
}

/// A size that varies in the form that leaves it to the run, where there is one.
fn open(function: &str, key: &str, size: Json, known: &Known) -> Json {
    let Json::Array(mut items) = size else {
        return size;
    };
    let open: Vec<usize> = (0..items.len()).filter(|&i| varies(&items[i])).collect();
    match (function, key) {
        ("reshape", "shape") => {
            if let ([at], false) = (open.as_slice(), items.contains(&json!(-1))) {
                items[*at] = json!(-1);
            }
        }
        // To the end of the axis.
        ("slice", "size") => {
            for at in open {
                let from_start = known.arguments["begin"][at] == json!(0);
                if from_start && items[at] == known.shape[at] {
                    items[at] = json!(-1);
                }
            }
        }
        ("getitem", "slice_spec") => {
            let plain = |v: &Json| v.is_number() || v.get("start").is_some();
            for at in open {
                let is_axis = items[..=at].iter().all(plain);
                if is_axis && items[at]["stop"] == known.shape[at] {
                    items[at]["stop"] = json!(OPEN);
                }
            }
        }
        ("strided_slice", "end") => {
            for at in open {
                let masks = ["ellipsis_mask", "new_axis_mask"];
                let is_axis = masks.iter().all(|k| known.arguments[*k] == json!(0));
                if is_axis && items[at] == known.shape[at] {
                    items[at] = json!(i32::MAX);
                }
            }
        }
        _ => {}
    }
    Json::Array(items)
}

/// The operations of a function; `whole` says that it is one of whole numbers.
fn as_operations(layer: &Json, whole: bool) -> Option<Vec<Json>> {
    let name = layer["name"].as_str()?;
    let function = layer["config"]["function"].as_str()?;
    match layer["inbound_nodes"].as_array()?.as_slice() {
        [node] => {
            let (first, rest) = (node["args"].get(0)?, node["kwargs"].as_object()?);
            // The mean of whole numbers is a whole number in TensorFlow.
            match whole && function.ends_with("reduce_mean") {
                true => None,
                false => translate(name, function, first, rest),
            }
        }
        _ => None,
    }
}
