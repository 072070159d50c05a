//! From a loaded model back to what Keras 3 saves.

use std::collections::HashMap;
use std::ptr;

use serde_json::{json, Value as Json};

use super::layer::{ENDS_MASKS, STORED_CLASS};
use super::layers::{
    BIAS_ON_CHANNELS, COUNTS_IN_FLOATS, ENCODES_BY_DTYPE, KEEPS_LAST_AXIS, MASKS_STAY,
    MASKS_UNSEEN, PIXELS_BY_CORNERS, RESIZES, REVERSED_STATES,
};
use super::load::{apart, rename_children};
use super::LayerNode;
use crate::error::{Error, Result};
use crate::format::{ModelFile, StoredWeight, WeightTree, Weights};
use crate::keras::legacy::{functions_as_operations, FunctionCall, MODERN};
use crate::tensor::{DType, Fact, Tensor};

/// The model in the form of Keras 3, whichever version it came from. `functions` are
/// the calls of TensorFlow's functions at two sizes of the inputs.
///
/// # Errors
/// `CantSave` where Keras 3 has no such layer.
pub fn modern(
    file: &ModelFile,
    root: &LayerNode,
    functions: (Vec<FunctionCall>, Vec<FunctionCall>),
) -> Result<ModelFile> {
    let mut layers = Vec::new();
    lost(root, &mut layers);
    if !layers.is_empty() {
        return Err(Error::CantSave { layers });
    }
    let mut config = file.config.clone();
    layers = functions_as_operations(&mut config, functions);
    lost_modes(&config, &mut layers);
    if !layers.is_empty() {
        return Err(Error::CantSave { layers });
    }
    modern_config(&mut config);
    without_slashes(&mut config);
    let major = file.keras_version.as_deref().and_then(|v| {
        let major = v.split('.').next()?;
        major.parse::<u32>().ok()
    });
    let weights = match &file.weights {
        None => None,
        // It holds more than predictions need, such as the states of random numbers.
        Some(Weights::Tree(tree)) if major >= Some(3) && !has_twins(root) => {
            let mut tree = tree.clone();
            rename_children(root, &mut tree);
            Some(Weights::Tree(tree))
        }
        Some(_) if major >= Some(3) => Some(Weights::Tree(tree(root, None))),
        // What Keras 2 shares between models gets copies: Keras 3 counts the calls of
        // shared ones otherwise.
        Some(_) => {
            apart(&mut config);
            let mut out = WeightTree::default();
            add(root, None, &mut out, &mut None);
            Some(Weights::Tree(out))
        }
    };
    Ok(ModelFile {
        config,
        keras_version: Some(KERAS_VERSION.to_string()),
        backend: None,
        weights,
        assets: file.assets.clone(),
    })
}

/// Whether the store may lack weights of a layer, which are another's, too.
fn has_twins(node: &LayerNode) -> bool {
    node.twin.is_some() || node.children.iter().any(|(_, child)| has_twins(child))
}

/// Adds the layers, as `name (class)`, that no version from Keras 3 on has.
fn lost(node: &LayerNode, layers: &mut Vec<String>) {
    let layer = format!("{} ({})", node.name, node.class);
    const OLD: [&str; 7] = [
        "Cosine",
        "Highway",
        "MaxoutDense",
        "ParametricSoftplus",
        "RandomHeight",
        "RandomWidth",
        "SReLU",
    ];
    let class = node.class.as_str();
    let adapted = class == "Discretization" && !node.vars.is_empty();
    let is_lost = class.starts_with("LocallyConnected") || OLD.contains(&class) || adapted;
    if is_lost && !layers.contains(&layer) {
        layers.push(layer);
    }
    for (_, child) in &node.children {
        lost(child, layers);
    }
}

/// The layers, as `name (class)`, that may do what earlier versions of Keras did: with
/// masks, with a bias on channels that come first, with states in another order, or with
/// an axis of size 1.
pub fn with_old_ways(config: &Json) -> Vec<String> {
    let mut layers = Vec::new();
    each_layer(config, &mut |class, config| {
        let name = config["name"].as_str().unwrap_or_default();
        if config[MASKS_STAY] == true {
            layers.push(format!("{name} ({class} with the masks of Keras 2)"));
        }
        if config[ENDS_MASKS] == true {
            layers.push(format!("{name} ({class} without the masks of lists)"));
        }
        if config[RESIZES] == true {
            layers.push(format!("{name} ({class} that resizes in predictions)"));
        }
        if config[BIAS_ON_CHANNELS] == true {
            layers.push(format!(
                "{name} ({class} with a bias on channels that come first)"
            ));
        }
        if config[KEEPS_LAST_AXIS] == true && config["output_mode"] != "int" {
            layers.push(format!("{name} ({class} that keeps an axis of size 1)"));
        }
        if config[REVERSED_STATES] == true {
            layers.push(format!(
                "{name} ({class} with the last cell's states first)"
            ));
        }
    });
    layers
}

/// The layers, as `name (tf.function)`, that are functions of TensorFlow.
pub fn functions(config: &Json) -> Vec<String> {
    let mut layers = Vec::new();
    each_layer(config, &mut |class, config| {
        if matches!(class, "TFOpLambda" | "SlicingOpLambda") {
            let text = |key: &str| config[key].as_str().unwrap_or_default();
            layers.push(format!("{} (tf.{})", text("name"), text("function")));
        }
    });
    layers
}

/// Visits class and config of everything serialized in a config.
fn each_layer<'a>(value: &'a Json, visit: &mut impl FnMut(&'a str, &'a Json)) {
    match value {
        Json::Object(o) => {
            if let Some(class) = value["class_name"].as_str() {
                visit(class, &value["config"]);
            }
            // The config as it was in the file is no part of it.
            let parts = o.iter().filter(|(key, _)| *key != MODERN);
            parts.for_each(|(_, v)| each_layer(v, visit));
        }
        Json::Array(a) => a.iter().for_each(|v| each_layer(v, visit)),
        _ => {}
    }
}

/// Names may not hold slashes in Keras 3.
fn without_slashes(config: &mut Json) {
    let mut names: Vec<String> = Vec::new();
    each_layer(config, &mut |_, config| {
        let name = config["name"].as_str().unwrap_or_default();
        names.push(name.to_string());
    });
    let mut renamed = HashMap::new();
    for name in names.iter().filter(|name| name.contains('/')) {
        let mut new = name.replace('/', "_");
        while names.contains(&new) || renamed.values().any(|n| *n == new) {
            new.push('_');
        }
        renamed.entry(name.clone()).or_insert(new);
    }
    if !renamed.is_empty() {
        rename(config, &renamed);
    }
}

fn rename(value: &mut Json, names: &HashMap<String, String>) {
    match value {
        Json::String(s) => {
            if let Some(new) = names.get(s) {
                *s = new.clone();
            }
        }
        Json::Object(o) => o.values_mut().for_each(|v| rename(v, names)),
        Json::Array(a) => a.iter_mut().for_each(|v| rename(v, names)),
        _ => {}
    }
}

/// Adds the normalizations that only Keras 1 has (of single samples, or without what
/// training has seen), and the images enlarged as before TF 2.
fn lost_modes(config: &Json, layers: &mut Vec<String>) {
    each_layer(config, &mut |class, config| {
        let name = config["name"].as_str().unwrap_or_default();
        let mode = config["mode"].as_i64().unwrap_or(0);
        if class == "BatchNormalization" && mode != 0 {
            layers.push(format!("{name} (BatchNormalization of mode {mode})"));
        }
        if config[PIXELS_BY_CORNERS] == true && config["interpolation"] == "bilinear" {
            layers.push(format!(
                "{name} (UpSampling2D as TensorFlow 1 interpolates)"
            ));
        }
        let how = config["interpolation"].as_str().unwrap_or_default();
        if ["gaussian", "mitchellcubic"].contains(&how) {
            layers.push(format!("{name} ({class} with interpolation {how})"));
        }
    });
}

/// The version whose form is written.
const KERAS_VERSION: &str = "3.15.1";

/// Writes what only this engine names as Keras 3 can read it.
fn modern_config(value: &mut Json) {
    match value {
        Json::Object(o) => {
            o.remove(MODERN);
            o.remove(crate::host::FUNCTIONS);
            o.remove(MASKS_STAY);
            o.remove(MASKS_UNSEEN);
            o.remove(BIAS_ON_CHANNELS);
            o.remove(PIXELS_BY_CORNERS);
            o.remove(REVERSED_STATES);
            o.remove(ENCODES_BY_DTYPE);
            o.remove(KEEPS_LAST_AXIS);
            o.remove(COUNTS_IN_FLOATS);
            o.remove(RESIZES);
            o.remove(ENDS_MASKS);
            o.remove(STORED_CLASS);
            // Whole-model HDF5 files of Keras 3 hold the classes' own names alone.
            if o.get("module") == Some(&json!("keras.layers")) {
                match o.get("class_name").and_then(Json::as_str) {
                    Some("GroupedQueryAttention") => {
                        o["class_name"] = "GroupQueryAttention".into();
                    }
                    Some("LayerScale") => {
                        o["module"] = "keras.src.applications.convnext".into();
                    }
                    _ => {}
                }
            }
            let class = o.get("class_name").and_then(Json::as_str).unwrap_or("");
            if class == "Policy" {
                let config = json!({"name": o["config"]["name"]});
                *value = json!({"module": "keras", "class_name": "DTypePolicy",
                                "config": config, "registered_name": null});
                return;
            }
            // Arguments of Keras 2 that the constructors of Keras 3 refuse.
            let gone: &[&str] = match class {
                c if c.starts_with("SpatialDropout") => &["trainable", "noise_shape"],
                c if c.starts_with("Random") => &["rng_type"],
                _ => &[],
            };
            if let Some(config) = o.get_mut("config").and_then(Json::as_object_mut) {
                gone.iter().for_each(|&key| {
                    config.remove(key);
                });
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

/// The store of a model's weights. Layers that keep some by name keep them in `whole`,
/// if the model is a new part of that.
pub fn tree(root: &LayerNode, whole: Option<&LayerNode>) -> WeightTree {
    let mut out = WeightTree::default();
    add(root, whole, &mut out, &mut Some(Vec::new()));
    out
}

/// Adds a layer: once, where it is met first, if those met are given.
fn add<'a>(
    node: &'a LayerNode,
    whole: Option<&LayerNode>,
    at: &mut WeightTree,
    met: &mut Option<Vec<&'a LayerNode>>,
) {
    if let Some(met) = met {
        if met.iter().any(|n| ptr::eq(*n, node)) {
            return;
        }
        met.push(node);
    }
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
    for (group, variable) in whole.unwrap_or(node).layer.named_variables() {
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
        let of_whole = whole.and_then(|w| w.child_named(&child.name)).map(|n| &**n);
        add(child, of_whole, group, met);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_as_keras_3_takes_them() {
        let layer = |class: &str, name: &str, more: Json| {
            let mut config = json!({"name": name});
            config
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({"class_name": class, "name": name, "config": config})
        };
        let mut config = json!({"layers": [
            layer("SpatialDropout1D", "a/b", json!({"rate": 0.5, "trainable": true, "noise_shape": null})),
            layer("RandomFlip", "a_b", json!({"rng_type": "stateful"})),
            layer("Add", "c", json!({MASKS_STAY: true})),
        ], "output_layers": [["a/b", 0, 0]]});
        let old = with_old_ways(&config);
        assert_eq!(old, ["c (Add with the masks of Keras 2)"]);
        let older = json!({"layers": [
            layer("Conv2D", "d", json!({BIAS_ON_CHANNELS: true})),
            layer("BatchNormalization", "e", json!({"mode": 1})),
            layer("StackedRNNCells", "f", json!({REVERSED_STATES: true})),
            layer("UpSampling2D", "g", json!({PIXELS_BY_CORNERS: true, "interpolation": "bilinear"})),
            layer("UpSampling2D", "h", json!({PIXELS_BY_CORNERS: true, "interpolation": "nearest"})),
            layer("CategoryEncoding", "i", json!({KEEPS_LAST_AXIS: true, "output_mode": "count"})),
            layer("Discretization", "j", json!({KEEPS_LAST_AXIS: true, "output_mode": "int"})),
            layer("Add", "k", json!({ENDS_MASKS: true})),
            layer("RandomCrop", "l", json!({RESIZES: true})),
            layer("Resizing", "m", json!({"interpolation": "gaussian"})),
        ]});
        let mut lost = with_old_ways(&older);
        lost_modes(&older, &mut lost);
        let told = [
            "d (Conv2D with a bias on channels that come first)",
            "f (StackedRNNCells with the last cell's states first)",
            "i (CategoryEncoding that keeps an axis of size 1)",
            "k (Add without the masks of lists)",
            "l (RandomCrop that resizes in predictions)",
            "e (BatchNormalization of mode 1)",
            "g (UpSampling2D as TensorFlow 1 interpolates)",
            "m (Resizing with interpolation gaussian)",
        ];
        assert_eq!(lost, told);
        modern_config(&mut config);
        without_slashes(&mut config);
        let want = json!({"layers": [
            layer("SpatialDropout1D", "a_b_", json!({"rate": 0.5})),
            layer("RandomFlip", "a_b", json!({})),
            layer("Add", "c", json!({})),
        ], "output_layers": [["a_b_", 0, 0]]});
        assert_eq!(config, want);
    }
}
