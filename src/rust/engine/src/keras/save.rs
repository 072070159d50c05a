//! From a loaded model back to what Keras 3 saves.

use std::ptr;

use serde_json::{json, Value as Json};

use super::layers::MASKS_STAY;
use super::LayerNode;
use crate::error::{Error, Result};
use crate::format::legacy::functions_as_operations;
use crate::format::{ModelFile, StoredWeight, WeightTree, Weights};
use crate::tensor::{DType, Fact, Tensor};

/// The model in the form of Keras 3, whichever version it came from.
///
/// # Errors
/// `CantSave` where Keras 3 has no such layer.
pub fn modern(file: &ModelFile, root: &LayerNode) -> Result<ModelFile> {
    let mut layers = Vec::new();
    lost(root, &mut layers);
    if !layers.is_empty() {
        return Err(Error::CantSave { layers });
    }
    let mut config = file.config.clone();
    layers = functions_as_operations(&mut config);
    lost_modes(&config, &mut layers);
    if !layers.is_empty() {
        return Err(Error::CantSave { layers });
    }
    modern_config(&mut config);
    let major = file.keras_version.as_deref().and_then(|v| {
        let major = v.split('.').next()?;
        major.parse::<u32>().ok()
    });
    let weights = match &file.weights {
        None => None,
        // It holds more than predictions need, such as the states of random numbers.
        Some(Weights::Tree(tree)) if major >= Some(3) => Some(Weights::Tree(tree.clone())),
        Some(_) => Some(Weights::Tree(tree(root))),
    };
    Ok(ModelFile {
        config,
        keras_version: Some(KERAS_VERSION.to_string()),
        backend: None,
        weights,
        assets: file.assets.clone(),
    })
}

/// Adds the layers, as `name (class)`, that no version from Keras 3 on has.
fn lost(node: &LayerNode, layers: &mut Vec<String>) {
    let layer = format!("{} ({})", node.name, node.class);
    const KERAS_1: [&str; 5] = [
        "Cosine",
        "Highway",
        "MaxoutDense",
        "ParametricSoftplus",
        "SReLU",
    ];
    let class = node.class.as_str();
    let is_lost = class.starts_with("LocallyConnected") || KERAS_1.contains(&class);
    if is_lost && !layers.contains(&layer) {
        layers.push(layer);
    }
    for (_, child) in &node.children {
        lost(child, layers);
    }
}

/// Adds the normalizations that only Keras 1 has: of single samples, or without
/// what training has seen.
fn lost_modes(value: &Json, layers: &mut Vec<String>) {
    match value {
        Json::Object(o) => {
            let config = &value["config"];
            let mode = config["mode"].as_i64().unwrap_or(0);
            if value["class_name"] == "BatchNormalization" && mode != 0 {
                let name = config["name"].as_str().unwrap_or_default();
                layers.push(format!("{name} (BatchNormalization of mode {mode})"));
            }
            o.values().for_each(|v| lost_modes(v, layers));
        }
        Json::Array(a) => a.iter().for_each(|v| lost_modes(v, layers)),
        _ => {}
    }
}

/// The version whose form is written.
const KERAS_VERSION: &str = "3.15.1";

/// Writes what only this engine names as Keras 3 can read it.
fn modern_config(value: &mut Json) {
    match value {
        Json::Object(o) => {
            o.remove(crate::format::legacy::MODERN);
            o.remove(crate::model::FUNCTIONS);
            o.remove(MASKS_STAY);
            let class = o.get("class_name").and_then(Json::as_str).unwrap_or("");
            // Arguments of Keras 2 that the constructors of Keras 3 refuse.
            let gone = match class {
                c if c.starts_with("SpatialDropout") => Some("trainable"),
                c if c.starts_with("Random") => Some("rng_type"),
                _ => None,
            };
            let config = o.get_mut("config").and_then(Json::as_object_mut);
            if let (Some(key), Some(config)) = (gone, config) {
                config.remove(key);
            }
            for (key, value) in o.iter_mut() {
                let is_activation = key == "activation" || key.ends_with("_activation");
                match value.as_str() {
                    Some(OLD_HARD_SIGMOID) if is_activation => *value = old_hard_sigmoid(),
                    _ => modern_config(value),
                }
            }
        }
        Json::Array(a) => a.iter_mut().for_each(modern_config),
        _ => {}
    }
}

const OLD_HARD_SIGMOID: &str = "hard_sigmoid_legacy";

/// The hard_sigmoid of Keras 1 and 2, as an activation made of layers.
fn old_hard_sigmoid() -> Json {
    let layer = |class: &str, config: Json| {
        json!({"module": "keras.layers", "class_name": class, "config": config,
               "registered_name": null})
    };
    json!({
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": OLD_HARD_SIGMOID, "trainable": true, "layers": [
            layer("Rescaling", json!({"name": "scale", "scale": 0.2, "offset": 0.5})),
            layer("ReLU", json!({"name": "clip", "max_value": 1.0, "negative_slope": 0.0,
                                 "threshold": 0.0})),
        ]},
        "registered_name": null,
    })
}

/// Whether a serialized activation is that of [`modern`].
pub fn is_old_hard_sigmoid(config: &Json) -> bool {
    config.get("name").and_then(Json::as_str) == Some(OLD_HARD_SIGMOID)
        && config == &old_hard_sigmoid()["config"]
}

/// The store of a model's weights.
pub fn tree(root: &LayerNode) -> WeightTree {
    let mut out = WeightTree::default();
    add(root, &mut out, &mut Vec::new());
    out
}

/// Adds a layer; each is stored once, where it is met first.
fn add<'a>(node: &'a LayerNode, at: &mut WeightTree, met: &mut Vec<&'a LayerNode>) {
    if met.iter().any(|n| ptr::eq(*n, node)) {
        return;
    }
    met.push(node);
    let weights = |node: &LayerNode| node.weights.get().cloned().unwrap_or_default();
    let own = weights(node);
    if node.layer.takes_any_weights() {
        let names = node.names.get().into_iter().flatten();
        for (name, constant) in names.zip(&own) {
            // The names are paths in the layer's part of the store.
            let (path, name) = name.rsplit_once('/').unwrap_or(("", name));
            let parts = path.split('/').filter(|part| !part.is_empty());
            let group = parts.fold(&mut *at, |group, part| {
                group.children.entry(part.to_string()).or_default()
            });
            group.vars.push(StoredWeight {
                name: name.to_string(),
                tensor: constant.tensor.clone(),
            });
        }
        return;
    }
    let borrowed = node.children.first().map(|(_, child)| weights(child));
    let borrowed = borrowed.unwrap_or_default();
    let borrowed = borrowed.iter().take(node.layer.borrowed());
    for constant in borrowed.chain(&own) {
        at.vars.push(StoredWeight {
            name: at.vars.len().to_string(),
            tensor: constant.tensor.clone(),
        });
    }
    for (group, variable) in node.layer.named_variables() {
        let group = match group {
            "" => &mut *at,
            group => at.children.entry(group.to_string()).or_default(),
        };
        group.vars.push(variable);
    }
    for key in random_states(&node.class) {
        let seed = Tensor::zeros(Fact::new(DType::U32, [2]));
        let seed = StoredWeight {
            name: "0".to_string(),
            tensor: seed.into(),
        };
        let group = at.children.entry(key.to_string()).or_default();
        group.vars = vec![seed];
    }
    for (key, child) in &node.children {
        let group = key.split('/').fold(&mut *at, |group, part| {
            group.children.entry(part.to_string()).or_default()
        });
        add(child, group, met);
    }
}

/// Where a class keeps states of random numbers, which have no part in predictions.
fn random_states(class: &str) -> &'static [&'static str] {
    if class.starts_with("Random") {
        return &["generator", "seed_generator"];
    }
    const SEEDED: [&str; 7] = [
        "Dropout",
        "Noise",
        "RNN",
        "LSTM",
        "GRU",
        "Cell",
        "Attention",
    ];
    match SEEDED.iter().any(|s| class.contains(s)) {
        true => &["seed_generator"],
        false => &[],
    }
}
