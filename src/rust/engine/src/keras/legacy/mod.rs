//! Configs of earlier Keras versions, rewritten to the form of Keras 3.
//!
//! [`modernize`] leaves one form for the model builder: `InputLayer`s with
//! `batch_shape`, `Functional` models whose nodes are `{"args", "kwargs"}` with
//! `__keras_tensor__`s, `Sequential` models that start with their `InputLayer`,
//! Keras 3's names of classes and keys, and a `module` on every layer, which
//! tells operations (`keras.src.ops...`) from layers.
//!
//! Weights that older versions keep in another layout are turned to that of Keras 3.

mod functions;
mod graph;
mod layers;
mod nodes;
mod ops;
mod revisions;
mod weights;

pub(crate) use functions::{functions_as_operations, FunctionCall};
pub(crate) use ops::{has_like, translate};

use serde_json::{json, Map, Value as Json};

use crate::error::{Error, Result};
use crate::format::{ModelFile, Weights};

/// A JSON object.
type Object = Map<String, Json>;

/// Says of a config that it has been rewritten, so that it isn't twice. Where there
/// are no weights yet, it holds the config as it was, for weights of its version.
pub(crate) const MODERN: &str = "modernized";

/// Rewrites the config of an older Keras in place; a model of Keras 3 stays as it is.
///
/// # Errors
/// `BadConfig` where the config is of no form that any Keras wrote, `BadWeight`
/// where weights in an older layout have the wrong shape.
pub fn modernize(file: &mut ModelFile) -> Result<()> {
    if file.config.get(MODERN).is_some() {
        return Ok(());
    }
    let era = Era::of(file);
    let given = file.weights.is_none().then(|| file.config.clone());
    let config = decode(std::mem::take(&mut file.config));
    file.config = match config {
        Json::Object(model) if era.major >= 3 => {
            let mut model = Json::Object(add_modules(model));
            revisions::revise(&mut model, &era);
            model
        }
        Json::Object(model) => {
            let mut model = entry(model, &era)?;
            if let Some(Weights::Legacy(weights)) = &file.weights {
                graph::find_input(&mut model, weights);
            }
            model.insert(MODERN.into(), given.unwrap_or(true.into()));
            let mut model = Json::Object(model);
            if let Some(Weights::Legacy(weights)) = &mut file.weights {
                weights::apply(&model, weights)?;
            }
            weights::remove_marks(&mut model);
            model
        }
        other => other,
    };
    Ok(())
}

/// The config as it was in its file, where it has been rewritten without weights.
pub fn original(config: &Json) -> &Json {
    config
        .get(MODERN)
        .filter(|c| c.is_object())
        .unwrap_or(config)
}

/// Marks a config as one that needs no rewriting.
pub fn mark_as_modern(config: &mut Json) {
    config[MODERN] = true.into();
}

/// Which Keras wrote a config.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Era {
    major: u32,
    minor: u32,
    /// Written by `tf.keras` rather than by Keras itself.
    tensorflow: bool,
    /// Convolution kernels are stored flipped.
    theano: bool,
    /// Channels come first in layers of Keras 1 that don't say.
    channels_first: bool,
}

impl Era {
    fn of(file: &ModelFile) -> Era {
        let version = file.keras_version.as_deref().unwrap_or_default();
        let mut parts = version
            .split(['.', '-'])
            .map_while(|p| p.parse::<u32>().ok());
        let ordered = |order: &str| {
            any_entry(&file.config, &|k, v| {
                k == "dim_ordering" && v.as_str() == Some(order)
            })
        };
        let major = parts.next().unwrap_or_else(|| guess_major(&file.config));
        // A config of Keras 3 that doesn't say is taken for one of today.
        let latest = if major >= 3 { u32::MAX } else { 0 };
        Era {
            channels_first: ordered("th") && !ordered("tf"),
            major,
            minor: parts.next().unwrap_or(latest),
            tensorflow: version.ends_with("-tf"),
            theano: file.backend.as_deref() == Some("theano"),
        }
    }

    /// Before this version of Keras, or the same of `tf.keras`.
    fn before(&self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) < (major, minor)
    }

    /// Whether pixels are interpolated as TensorFlow 1 does: by Keras up to 2.3, and by
    /// `tf.keras` up to TF 1.14, which can't be told from TF 2.0.
    fn samples_by_corners(&self) -> bool {
        !self.tensorflow && self.before(2, 4)
    }
}

/// The major version of a config that doesn't say, by its keys.
fn guess_major(config: &Json) -> u32 {
    const KERAS_1: [&str; 5] = [
        "nb_filter",
        "border_mode",
        "inner_activation",
        "W_regularizer",
        "dim_ordering",
    ];
    const KERAS_3: [&str; 3] = ["batch_shape", "registered_name", "module"];
    let has = |keys: &[&str]| any_key(config, &|k| keys.contains(&k));
    if has(&KERAS_1) {
        1
    } else if has(&KERAS_3) && !any_key(config, &|k| k == "batch_input_shape") {
        3
    } else {
        2
    }
}

fn any_key(value: &Json, is: &impl Fn(&str) -> bool) -> bool {
    any_entry(value, &|k, _| is(k))
}

fn any_entry(value: &Json, is: &impl Fn(&str, &Json) -> bool) -> bool {
    match value {
        Json::Object(o) => o.iter().any(|(k, v)| is(k, v) || any_entry(v, is)),
        Json::Array(a) => a.iter().any(|v| any_entry(v, is)),
        _ => false,
    }
}

/// Replaces what old encoders wrote around plain values.
fn decode(value: Json) -> Json {
    match value {
        Json::Object(mut o) => {
            let class = o.get("class_name").and_then(Json::as_str);
            if matches!(class, Some("TensorShape" | "__tuple__")) {
                if let Some(items) = o.remove("items") {
                    return decode(items);
                }
            }
            if o.get("type").and_then(Json::as_str) == Some("ndarray") {
                if let Some(value) = o.remove("value") {
                    return decode(value);
                }
            }
            Json::Object(o.into_iter().map(|(k, v)| (k, decode(v))).collect())
        }
        Json::Array(a) => Json::Array(a.into_iter().map(decode).collect()),
        other => other,
    }
}

/// One `{"class_name", "config"}` of an older Keras: a layer or a whole model.
fn entry(mut old: Object, era: &Era) -> Result<Object> {
    let class = match old.get("class_name") {
        Some(Json::String(class)) => class.clone(),
        _ => {
            return Err(malformed(
                &name_of(&old),
                "",
                "class_name",
                old.get("class_name"),
            ))
        }
    };
    // Keras 1 and 2.0 write the layers of a Sequential without anything around them.
    if let Some(Json::Array(layers)) = old.get_mut("config") {
        let layers = std::mem::take(layers);
        let mut config = Object::new();
        let name = match old.get("name") {
            Some(Json::String(name)) => name.clone(),
            _ => "sequential".to_string(),
        };
        config.insert("name".into(), name.into());
        config.insert("layers".into(), layers.into());
        old.insert("config".into(), config.into());
    }
    let config = match old.remove("config") {
        Some(Json::Object(config)) => config,
        given => return Err(malformed(&name_of(&old), &class, "config", given.as_ref())),
    };
    let (class, config) = match class.as_str() {
        "Sequential" => match graph::of_towers(&config) {
            Some(graph) => ("Model".to_string(), graph),
            None => (class, config),
        },
        _ => (class, config),
    };
    let (class, module, config) = match class.as_str() {
        "Sequential" => (
            "Sequential".into(),
            "keras",
            graph::sequential(config, era)?,
        ),
        "Model" | "Functional" | "Network" | "Container" if config.contains_key("layers") => (
            "Functional".into(),
            "keras.src.models.functional",
            graph::functional(config, era)?,
        ),
        _ => {
            let (class, config) = layers::convert(&class, config, era)?;
            (class, "keras.layers", config)
        }
    };
    let keep_module = |m: &str| !m.starts_with("keras") && !m.starts_with("tf_keras");
    if class.contains('>') {
        // A registered class of the user's.
        old.insert("registered_name".into(), class.clone().into());
    } else if !matches!(old.get("module"), Some(Json::String(m)) if keep_module(m)) {
        old.insert("module".into(), module.into());
    }
    old.remove("build_config");
    old.insert("class_name".into(), class.into());
    old.insert("config".into(), config.into());
    Ok(old)
}

/// As [`entry`], where the value may be anything else too, which stays.
fn entry_value(value: Json, era: &Era) -> Result<Json> {
    match value {
        Json::Object(o) if o.contains_key("class_name") && o.contains_key("config") => {
            Ok(Json::Object(entry(o, era)?))
        }
        other => Ok(other),
    }
}

/// Keras 3 writes no modules into a legacy h5 file.
fn add_modules(mut old: Object) -> Object {
    let class = match old.get("class_name") {
        Some(Json::String(class)) => class.clone(),
        _ => return old,
    };
    if class.contains('>') {
        old.insert("registered_name".into(), class.clone().into());
    } else if !old.contains_key("module") {
        let module = match class.as_str() {
            "Sequential" => "keras".to_string(),
            "Functional" => "keras.src.models.functional".to_string(),
            _ if is_operation(&class, &old) => module(&class).unwrap_or_default(),
            _ => "keras.layers".to_string(),
        };
        old.insert("module".into(), module.into());
    }
    if let Some(Json::Object(config)) = old.get_mut("config") {
        for (key, value) in config.iter_mut() {
            match value {
                Json::Array(items) if key == "layers" || key == "cells" => {
                    for item in items {
                        add_modules_to(item);
                    }
                }
                value if SUBLAYERS.contains(&key.as_str()) => add_modules_to(value),
                _ => {}
            }
        }
    }
    old
}

fn add_modules_to(value: &mut Json) {
    if let Json::Object(o) = value {
        if o.contains_key("class_name") {
            *value = Json::Object(add_modules(std::mem::take(o)));
        }
    }
}

/// Config keys under which layers keep other layers.
const SUBLAYERS: [&str; 4] = ["layer", "backward_layer", "forward_layer", "cell"];

/// Where Keras 3 defines the operation of this class.
fn module(class: &str) -> Option<String> {
    super::ops::find(class).map(|op| match op.module {
        own @ ("activations" | "quantizers") => format!("keras.src.{own}.{own}"),
        module => format!("keras.src.ops.{module}"),
    })
}

/// Whether a class that may be a layer or an operation is the operation: the
/// config of a layer says whether it is trainable; merging layers take a list,
/// operations their operands one by one.
fn is_operation(class: &str, entry: &Object) -> bool {
    let trainable = entry.get("config").and_then(|c| c.get("trainable"));
    if module(class).is_none() || trainable.is_some() {
        return false;
    }
    if !layers::SHARED_WITH_OPERATIONS.contains(&class) {
        return true;
    }
    let args = entry
        .get("inbound_nodes")
        .and_then(|n| n.get(0))
        .and_then(|n| n.get("args"))
        .and_then(Json::as_array);
    match (class, args.map(Vec::as_slice)) {
        ("Softmax" | "Identity", _) => true,
        (_, Some([Json::Array(_)])) => false,
        (_, Some(args)) => !args.is_empty(),
        (_, None) => false,
    }
}

/// The name of a layer, for errors and for the nodes that refer to it.
fn name_of(entry: &Object) -> String {
    let name = |v: Option<&Json>| v.and_then(Json::as_str).map(str::to_string);
    name(entry.get("name"))
        .or_else(|| name(entry.get("config").and_then(|c| c.get("name"))))
        .unwrap_or_default()
}

fn malformed(layer: &str, class: &str, key: &str, given: Option<&Json>) -> Error {
    let mut given = given.map_or("missing".to_string(), Json::to_string);
    if let Some((cut, _)) = given.char_indices().nth(80) {
        given.truncate(cut);
        given.push_str("...");
    }
    Error::BadConfig {
        layer: layer.to_string(),
        class: class.to_string(),
        key: key.to_string(),
        expected: "of a form that Keras writes".to_string(),
        given,
    }
}

/// A reference to the output of another layer, as Keras 3 writes it. Nobody looks at
/// its shape, but there must be one.
fn keras_tensor(layer: &str, node: u64, tensor: u64) -> Json {
    json!({
        "class_name": "__keras_tensor__",
        "config": {"shape": [], "dtype": "float32", "keras_history": [layer, node, tensor]},
    })
}

/// An array or a list of numbers, as Keras 3 writes a constant operand.
fn numpy(value: Json) -> Json {
    fn all(v: &Json, is: &impl Fn(&Json) -> bool) -> bool {
        match v {
            Json::Array(a) => a.iter().all(|v| all(v, is)),
            v => is(v),
        }
    }
    let dtype = if all(&value, &|v| v.is_boolean()) {
        "bool"
    } else if all(&value, &|v| v.is_i64()) {
        "int32"
    } else {
        "float32"
    };
    json!({"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Assets, StoredWeight};
    use crate::tensor::Tensor;

    fn modern(version: Option<&str>, config: Json) -> Json {
        let mut file = ModelFile {
            config,
            keras_version: version.map(str::to_string),
            backend: None,
            weights: None,
            assets: Assets::new(),
        };
        modernize(&mut file).expect("modernize");
        file.config
    }

    fn layers(model: &Json) -> &Vec<Json> {
        model["config"]["layers"].as_array().expect("layers")
    }

    fn layer<'a>(model: &'a Json, name: &str) -> &'a Json {
        layers(model)
            .iter()
            .find(|l| l["name"] == name)
            .unwrap_or_else(|| panic!("no layer '{name}'"))
    }

    /// What a call of a layer is given, as `name:node:tensor`.
    fn args(layer: &Json, node: usize) -> Json {
        fn short(v: &Json) -> Json {
            match v {
                Json::Object(o) if o.get("class_name") == Some(&json!("__keras_tensor__")) => {
                    let h = &o["config"]["keras_history"];
                    format!("{}:{}:{}", h[0].as_str().unwrap_or("?"), h[1], h[2]).into()
                }
                Json::Object(o) => o
                    .iter()
                    .map(|(k, v)| (k.clone(), short(v)))
                    .collect::<Object>()
                    .into(),
                Json::Array(a) => a.iter().map(short).collect(),
                v => v.clone(),
            }
        }
        short(&layer["inbound_nodes"][node])
    }

    /// What a class of this version becomes.
    fn modern_layer(version: &str, class: &str, config: Json) -> Json {
        let input = json!({"class_name": "InputLayer", "config": {
            "name": "x", "batch_input_shape": [null, 4], "sparse": false, "dtype": "float32"}});
        let layer = json!({"class_name": class, "config": config});
        let model = json!({"class_name": "Sequential", "config": {
            "name": "s", "layers": [input, layer]}});
        layers(&modern(Some(version), model))[1]["config"].clone()
    }

    #[test]
    fn what_changed_between_versions_of_keras_2_is_told() {
        let marked = |version: &str, class: &str, config: Json, key: &str| {
            modern_layer(version, class, config)[key] == true
        };
        let bilinear = || json!({"name": "u", "interpolation": "bilinear"});
        let cell = json!({"class_name": "LSTMCell", "config": {"name": "c", "units": 2}});
        let cells = || json!({"name": "r", "cells": [cell]});
        let lstm = json!({"class_name": "LSTM", "config": {"name": "l", "units": 2}});
        let both = || json!({"name": "b", "layer": lstm});
        for (version, masks, pixels, states) in [
            ("2.0.0", true, true, true),
            ("2.1.6-tf", true, false, true),
            ("2.2.4", true, true, false),
            ("2.2.4-tf", false, false, false),
            ("2.3.1", true, true, false),
            ("2.3.0-tf", false, false, false),
            ("2.4.0", false, false, false),
        ] {
            let have = (
                marked(version, "Bidirectional", both(), "masks_stay"),
                marked(version, "UpSampling2D", bilinear(), "pixels_by_corners"),
                marked(version, "StackedRNNCells", cells(), "reverse_state_order"),
            );
            assert_eq!(have, (masks, pixels, states), "{version}");
        }
        let config = json!({"name": "l", "units": 2, "activation": "tanh", "implementation": 2,
            "recurrent_activation": "sigmoid", "use_bias": true, "unroll": false});
        let both = json!({"name": "b", "layer": {"class_name": "LSTM", "config": config}});
        for (version, masks) in [("2.2.4-tf", true), ("2.3.0-tf", false)] {
            let config = modern_layer(version, "Bidirectional", both.clone());
            assert_eq!(config["masks_stay"] == true, masks, "{version}");
        }
        let embedding = json!({"name": "e", "input_dim": 3, "output_dim": 2, "dtype": "int32"});
        let embedding = modern_layer("2.0.0", "Embedding", embedding);
        assert!(embedding.get("dtype").is_none());
    }

    #[test]
    fn what_changed_between_versions_of_keras_3_is_told() {
        let marks = |version: Option<&str>, class: &str| {
            let config = json!({"name": "l", "dtype": "int64", "output_mode": "one_hot"});
            let layer = json!({"class_name": class, "config": config});
            let config = json!({"name": "s", "layers": [layer]});
            let model = json!({"module": "keras", "class_name": "Sequential",
                               "registered_name": null, "config": config});
            let model = modern(version, model);
            let marks = layers(&model)[0]["config"].as_object().expect("config");
            let known = ["name", "dtype", "output_mode"];
            let marks = marks.keys().filter(|k| !known.contains(&k.as_str()));
            marks.cloned().collect::<Vec<_>>()
        };
        let (axis, bins) = ("keeps_last_axis", "encodes_by_dtype");
        for (version, class, want) in [
            (Some("3.3.3"), "Discretization", vec![bins, axis]),
            (Some("3.11.0"), "Discretization", vec![bins]),
            (Some("3.12.0"), "Discretization", vec![]),
            (None, "Discretization", vec![]),
            (Some("3.3.3"), "CategoryEncoding", vec![axis]),
            (Some("3.4.0"), "CategoryEncoding", vec![]),
            (Some("3.3.3"), "Concatenate", vec!["masks_of_lists_end"]),
            (Some("3.4.0"), "Concatenate", vec![]),
            (Some("3.7.0"), "RandomCrop", vec!["resizes_in_predictions"]),
            (Some("3.8.0"), "RandomCrop", vec![]),
        ] {
            let mut have = marks(version, class);
            let mut want: Vec<String> = want.into_iter().map(String::from).collect();
            have.sort();
            want.sort();
            assert_eq!(have, want, "{version:?} {class}");
        }
    }

    #[test]
    fn activations_may_be_functions_of_tensorflow() {
        let function = json!({"module": "builtins", "class_name": "function",
                              "config": "softmax_v2", "registered_name": "function"});
        let dense = json!({"class_name": "Dense", "config": {"activation": function}});
        let other = json!({"class_name": "Dense", "config": {"activation": "softmax_v2"}});
        let model = json!({"module": "keras", "class_name": "Sequential",
                           "config": {"layers": [dense, other]}});
        let model = modern(Some("3.3.3"), model);
        let activation = |i: usize| &layers(&model)[i]["config"]["activation"];
        assert_eq!(activation(0)["config"], "softmax");
        assert_eq!(activation(1), "softmax");
    }

    #[test]
    fn an_input_is_found_by_weights() {
        let model = json!({"class_name": "Sequential", "config": {"name": "s", "layers": [
            {"class_name": "Dense", "config": {"name": "d", "units": 2}}]}});
        let kernel = StoredWeight {
            name: "d/kernel:0".to_string(),
            tensor: Tensor::from_slice([5, 2], &[0.0f32; 10]).into(),
        };
        let mut file = ModelFile {
            config: model,
            keras_version: Some("2.2.4".to_string()),
            backend: None,
            weights: Some(Weights::Legacy(vec![("d".to_string(), vec![kernel])])),
            assets: Assets::new(),
        };
        modernize(&mut file).expect("modernize");
        let input = &layers(&file.config)[0];
        assert_eq!(input["config"]["name"], "d_input");
        assert_eq!(input["config"]["batch_shape"], json!([null, 5]));
    }

    #[test]
    fn keras_1_is_read() {
        let got = modern(
            Some("1.2.2"),
            json!({"class_name": "Sequential", "config": [
                {"class_name": "Convolution2D", "config": {
                    "name": "c", "trainable": true, "batch_input_shape": [null, 3, 8, 8],
                    "input_dtype": "float32", "nb_filter": 4, "nb_row": 3, "nb_col": 2,
                    "init": "glorot_uniform", "activation": "relu", "border_mode": "same",
                    "subsample": [1, 2], "dim_ordering": "th", "W_regularizer": {"l1": 0.1},
                    "b_constraint": null, "bias": true}},
                {"class_name": "LSTM", "config": {
                    "name": "l", "output_dim": 5, "inner_activation": "hard_sigmoid",
                    "activation": "tanh", "consume_less": "gpu", "forget_bias_init": "one",
                    "dropout_W": 0.1, "dropout_U": 0.0, "input_dim": 3, "input_length": null}},
                {"class_name": "Dropout", "config": {"name": "d", "p": 0.5}},
                {"class_name": "MaxPooling1D", "config": {
                    "name": "m", "pool_length": 2, "stride": 1, "border_mode": "valid"}},
                {"class_name": "ZeroPadding2D", "config": {
                    "name": "z", "padding": {"top_pad": 1, "left_pad": 2}}}
            ]}),
        );
        let l = layers(&got);
        assert_eq!(
            l[0]["config"],
            json!({"batch_shape": [null, 3, 8, 8], "dtype": "float32", "sparse": false,
                   "name": "c_input"})
        );
        assert_eq!(l[1]["class_name"], "Conv2D");
        assert_eq!(
            l[1]["config"],
            json!({"name": "c", "trainable": true, "filters": 4, "kernel_size": [3, 2],
                   "activation": "relu", "padding": "same", "strides": [1, 2],
                   "data_format": "channels_first", "use_bias": true,
                   "bias_on_channels": true})
        );
        assert_eq!(
            l[2]["config"],
            json!({"name": "l", "units": 5, "activation": "tanh", "dropout": 0.1,
                   "recurrent_activation": "hard_sigmoid_legacy", "recurrent_dropout": 0.0,
                   "masks_stay": true})
        );
        assert_eq!(l[3]["config"], json!({"name": "d", "rate": 0.5}));
        assert_eq!(
            l[4]["config"],
            json!({"name": "m", "pool_size": 2, "strides": 1, "padding": "valid"})
        );
        assert_eq!(l[5]["config"]["padding"], json!([[1, 0], [2, 0]]));
    }

    #[test]
    fn models_inside_of_models_count_their_nodes_from_0() {
        let dense = |name: &str| {
            json!({"class_name": "Dense", "config": {
                "name": name, "units": 2, "batch_input_shape": [null, 2]}})
        };
        let input = |name: &str| {
            json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [],
                   "config": {"name": name, "batch_input_shape": [null, 2], "dtype": "float32",
                              "sparse": false}})
        };
        let got = modern(
            Some("2.2.4"),
            json!({"class_name": "Model", "config": {"name": "m", "layers": [
                input("x"),
                {"class_name": "Sequential", "name": "seq", "config": [dense("s")],
                 "inbound_nodes": [[["x", 0, 0, {}]], [["seq", 1, 0, {}]]]},
                {"class_name": "Model", "name": "fun", "config": {
                    "name": "fun", "layers": [
                        input("y"),
                        {"class_name": "Dense", "name": "f", "config": {"units": 2, "name": "f"},
                         "inbound_nodes": [[["y", 0, 0, {}]]]}],
                    "input_layers": [["y", 0, 0]], "output_layers": [["f", 0, 0]]},
                 "inbound_nodes": [[["seq", 2, 0, {}]]]},
                {"class_name": "Add", "name": "add", "config": {"name": "add"},
                 "inbound_nodes": [[["fun", 1, 0, {}], ["seq", 1, 0, {}]]]}],
                "input_layers": [["x", 0, 0]],
                "output_layers": [["add", 0, 0], ["fun", 1, 0], ["seq", 2, 0]]}}),
        );
        assert_eq!(got["class_name"], "Functional");
        assert_eq!(args(layer(&got, "seq"), 0)["args"], json!(["x:0:0"]));
        assert_eq!(args(layer(&got, "seq"), 1)["args"], json!(["seq:0:0"]));
        assert_eq!(args(layer(&got, "fun"), 0)["args"], json!(["seq:1:0"]));
        assert_eq!(
            args(layer(&got, "add"), 0)["args"],
            json!([["fun:0:0", "seq:0:0"]])
        );
        assert_eq!(got["config"]["input_layers"], json!(["x", 0, 0]));
        assert_eq!(
            got["config"]["output_layers"],
            json!([["add", 0, 0], ["fun", 1, 0], ["seq", 1, 0]])
        );
        let seq = &layer(&got, "seq")["config"];
        assert_eq!(seq["name"], "seq");
        assert_eq!(seq["layers"][0]["config"]["batch_shape"], json!([null, 2]));
        let fun = &layer(&got, "fun")["config"];
        assert_eq!(fun["output_layers"], json!(["f", 0, 0]));
    }

    #[test]
    fn recurrent_layers_keep_their_meaning() {
        let rnn = |class: &str, more: Json| {
            let mut config = json!({"name": "r", "units": 2, "activation": "tanh"});
            if let (Json::Object(c), Json::Object(more)) = (&mut config, more) {
                c.extend(more);
            }
            json!({"class_name": "Sequential", "config": {"name": "s", "layers": [
                {"class_name": "Bidirectional", "config": {
                    "name": "b", "batch_input_shape": [null, 3, 2], "merge_mode": "concat",
                    "layer": {"class_name": class, "config": config}}}]}})
        };
        let inner = |version: &str, class: &str, more: Json| {
            let got = modern(Some(version), rnn(class, more));
            layers(&got).last().expect("a layer")["config"]["layer"].clone()
        };
        let gru = inner(
            "2.1.6",
            "GRU",
            json!({"recurrent_activation": "hard_sigmoid",
                                               "implementation": 2}),
        );
        assert_eq!(gru["config"]["reset_after"], false);
        assert_eq!(gru["config"]["recurrent_activation"], "hard_sigmoid_legacy");
        assert_eq!(gru["config"].get("implementation"), None);
        let gru = inner("2.4.0", "GRU", json!({"reset_after": true}));
        assert_eq!(gru["config"]["reset_after"], true);
        let gru = inner("2.2.4", "CuDNNGRU", json!({}));
        assert_eq!(gru["class_name"], "GRU");
        assert_eq!(gru["config"]["reset_after"], true);
        assert_eq!(gru["config"]["recurrent_activation"], "sigmoid");
        assert_eq!(gru["config"].get("cudnn_weights"), None);
        let lstm = inner("2.2.4", "LSTM", json!({}));
        assert_eq!(
            lstm["config"]["recurrent_activation"],
            "hard_sigmoid_legacy"
        );
        let lstm = inner("2.3.0", "LSTM", json!({}));
        assert_eq!(lstm["config"]["recurrent_activation"], "sigmoid");
        let lstm = inner(
            "3.1.0",
            "LSTM",
            json!({"recurrent_activation": "hard_sigmoid"}),
        );
        assert_eq!(lstm["config"]["recurrent_activation"], "hard_sigmoid");
    }

    #[test]
    fn initial_states_and_tensors_in_keywords_are_found() {
        let input = |name: &str| {
            json!({"class_name": "InputLayer", "name": name, "inbound_nodes": [],
                   "config": {"name": name, "batch_input_shape": [null, 3, 2]}})
        };
        let got = modern(
            Some("2.9.0"),
            json!({"class_name": "Functional", "config": {"name": "m", "layers": [
                input("x"), input("h"), input("c"),
                {"class_name": "LSTM", "name": "rnn", "config": {"name": "rnn", "units": 2},
                 "inbound_nodes": [[["x", 0, 0, {}], ["h", 0, 0, {}], ["c", 0, 0, {}]]]},
                {"class_name": "MultiHeadAttention", "name": "mha", "config": {"name": "mha"},
                 "inbound_nodes": [[["x", 0, 0, {"value": ["x", 0, 0], "key": null}]]]},
                {"class_name": "Attention", "name": "att",
                 "config": {"name": "att", "causal": true},
                 "inbound_nodes": [[["x", 0, 0, {}], ["x", 0, 0, {}]]]}],
                "input_layers": [["x", 0, 0], ["h", 0, 0], ["c", 0, 0]],
                "output_layers": {"b": ["rnn", 0, 0], "a": [["mha", 0, 0], ["att", 0, 0]]}}}),
        );
        assert_eq!(
            args(layer(&got, "rnn"), 0),
            json!({"args": ["x:0:0"], "kwargs": {"initial_state": ["h:0:0", "c:0:0"]}})
        );
        assert_eq!(
            args(layer(&got, "mha"), 0),
            json!({"args": ["x:0:0"], "kwargs": {"value": "x:0:0"}})
        );
        assert_eq!(
            args(layer(&got, "att"), 0),
            json!({"args": [["x:0:0", "x:0:0"]], "kwargs": {"use_causal_mask": true}})
        );
        assert_eq!(layer(&got, "att")["config"], json!({"name": "att"}));
        assert_eq!(
            got["config"]["output_layers"],
            json!({"b": ["rnn", 0, 0], "a": [["mha", 0, 0], ["att", 0, 0]]})
        );
    }

    #[test]
    fn functions_of_tensorflow_become_operations() {
        let op = |class: &str, name: &str, function: &str, node: Json| {
            json!({"class_name": class, "name": name, "inbound_nodes": [node],
                   "config": {"name": name, "trainable": true, "dtype": "float32",
                              "function": function}})
        };
        let got = modern(
            Some("2.9.0"),
            json!({"class_name": "Functional", "config": {"name": "m", "layers": [
                {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
                 "config": {"name": "x", "batch_input_shape": [null, 3, 2]}},
                op("TFOpLambda", "sub", "math.subtract",
                   json!(["_CONSTANT_VALUE", -1, 1.0, {"y": ["x", 0, 0], "name": null}])),
                op("TFOpLambda", "cat", "concat",
                   json!([["x", 0, 0, {"axis": -1}], ["sub", 0, 0, {"axis": -1}]])),
                op("SlicingOpLambda", "get", "__operators__.getitem",
                   json!(["cat", 0, 0, {"slice_spec": [
                       {"class_name": "__ellipsis__"}, null,
                       {"start": 1, "stop": null, "step": null}]}])),
                op("TFOpLambda", "mat", "linalg.matmul",
                   json!(["x", 0, 0, {"b": [[1.0, 2.0]], "transpose_b": true}])),
                {"class_name": "TensorFlowOpLayer", "name": "node",
                 "inbound_nodes": [[["x", 0, 0, {}]]],
                 "config": {"name": "node", "constants": {"1": [-1, 2]}, "node_def": {
                     "name": "node", "op": "Reshape", "input": ["x", "shape"],
                     "attr": {"T": {"type": "DT_FLOAT"}}}}},
                op("TFOpLambda", "odd", "nn.odd", json!(["x", 0, 0, {"filters": 1}]))],
                "input_layers": [["x", 0, 0]],
                "output_layers": [["get", 0, 0], ["mat", 0, 0], ["node", 0, 0]]}}),
        );
        assert_eq!(
            args(layer(&got, "sub"), 0),
            json!({"args": [1.0], "kwargs": {"y": "x:0:0"}})
        );
        assert_eq!(layer(&got, "odd")["class_name"], "tf.nn.odd");
        let mut saved = got;
        let lost = functions_as_operations(&mut saved, (vec![], vec![]));
        assert_eq!(lost, ["node (TFOpLambda)"; 0]);
        let sub = layer(&saved, "sub");
        assert_eq!(sub["module"], "keras.src.ops.numpy");
        assert_eq!(sub["class_name"], "Subtract");
        assert_eq!(args(sub, 0), json!({"args": [1.0, "x:0:0"], "kwargs": {}}));
        let cat = layer(&saved, "cat");
        assert_eq!(cat["config"], json!({"axis": -1, "name": "cat"}));
        assert_eq!(args(cat, 0)["args"], json!([["x:0:0", "sub:0:0"]]));
        let get = args(layer(&saved, "get"), 0);
        assert_eq!(get["args"][1][0]["class_name"], "__ellipsis__");
        assert_eq!(get["args"][1][1], Json::Null);
        assert_eq!(
            get["args"][1][2]["config"],
            json!({"start": 1, "stop": null, "step": null})
        );
        assert_eq!(
            args(layer(&saved, "mat"), 0)["args"],
            json!(["x:0:0", "mat.0:0:0"])
        );
        assert_eq!(layer(&saved, "mat.0")["class_name"], "Swapaxes");
        let node = layer(&saved, "node");
        assert_eq!(node["class_name"], "Reshape");
        assert_eq!(node["config"]["newshape"], json!([-1, 2]));
    }

    #[test]
    fn keras_3_stays_as_it_is() {
        let model = json!({"module": "keras", "class_name": "Sequential", "config": {
            "name": "s", "layers": [
                {"module": "keras.layers", "class_name": "Activation",
                 "config": {"activation": "hard_sigmoid"}}]}});
        assert_eq!(modern(Some("3.15.1"), model.clone()), model);
        assert_eq!(modern(None, model.clone()), model);
    }

    #[test]
    fn keras_3_gets_its_modules_back() {
        let tensor = |name: &str| keras_tensor(name, 0, 0);
        let got = modern(
            Some("3.15.1"),
            json!({"class_name": "Functional", "config": {"name": "m", "layers": [
                {"class_name": "Add", "name": "op", "config": {"name": "op"},
                 "inbound_nodes": [{"args": [tensor("x"), 1.0], "kwargs": {}}]},
                {"class_name": "Add", "name": "layer", "config": {"name": "layer"},
                 "inbound_nodes": [{"args": [[tensor("x"), tensor("op")]], "kwargs": {}}]},
                {"class_name": "RFFT", "name": "fft", "config": {"name": "fft"}},
                {"class_name": "Mish", "name": "mish", "config": {"name": "mish"}},
                {"class_name": "Average", "name": "mean",
                 "config": {"name": "mean", "trainable": true}}]}}),
        );
        let modules: Vec<&Json> = layers(&got).iter().map(|l| &l["module"]).collect();
        let expected = [
            "keras.src.ops.numpy",
            "keras.layers",
            "keras.src.ops.math",
            "keras.src.activations.activations",
            "keras.layers",
        ];
        assert_eq!(modules, expected);
    }

    #[test]
    fn malformed_configs_are_errors() {
        for config in [
            json!({"class_name": 1, "config": {}}),
            json!({"class_name": "Sequential", "config": {"layers": 3}}),
            json!({"class_name": "Sequential", "config": [7]}),
            json!({"class_name": "Model", "config": {"layers": [{"class_name": "Dense"}]}}),
            json!({"class_name": "Model", "config": {"layers": [
                {"class_name": "Dense", "config": {}, "name": "d", "inbound_nodes": [[["e", 0]]]}],
                "input_layers": [], "output_layers": []}}),
            json!({"class_name": "Model", "config": {"layers": []}}),
        ] {
            let mut file = ModelFile {
                config,
                keras_version: Some("2.1.0".to_string()),
                backend: None,
                weights: None,
                assets: Assets::new(),
            };
            let e = modernize(&mut file).expect_err("malformed");
            assert_eq!(e.kind(), "bad_config");
        }
    }
}
