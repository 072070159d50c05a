//! A FeatureSpace as the functional model that it makes of its features.

use serde_json::{json, Map, Value as Json};

use super::layer::Built;
use super::load::Loader;
use super::model::{functional, StoreNames};
use super::Cfg;
use crate::error::Result;

/// The layer that joins the features; no feature has this name by chance.
const JOINED: &str = "all features";

/// A feature or a cross of some: its name, its preprocessor, how it is encoded.
struct Part<'a> {
    name: String,
    preprocessor: Json,
    /// Layers that a cross takes.
    inputs: Vec<String>,
    one_hot: bool,
    /// Values that the preprocessor can give.
    values: Option<&'a Json>,
}

fn config(v: &Json) -> Option<&Map<String, Json>> {
    v.get("config")?.as_object()
}

fn feature<'a>(name: &str, spec: &'a Json) -> Option<Part<'a>> {
    let own = config(spec)?;
    let preprocessor = own.get("preprocessor")?;
    let inner = config(preprocessor)?;
    let values = match preprocessor.get("class_name")?.as_str()? {
        "StringLookup" | "IntegerLookup" => inner.get("vocabulary_size"),
        "CategoryEncoding" => inner.get("num_tokens"),
        "Discretization" | "Hashing" | "HashedCrossing" => inner.get("num_bins"),
        _ => None,
    };
    Some(Part {
        name: name.to_string(),
        preprocessor: preprocessor.clone(),
        inputs: vec![],
        one_hot: own.get("output_mode")?.as_str()? == "one_hot",
        values: values.filter(|v| !v.is_null()),
    })
}

fn cross(spec: &Json) -> Option<Part<'_>> {
    let own = config(spec)?;
    let names = own.get("feature_names")?.as_array()?;
    let names: Option<Vec<&str>> = names.iter().map(Json::as_str).collect();
    let names = names?;
    let bins = own.get("crossing_dim")?;
    let name = names.join("_X_");
    Some(Part {
        preprocessor: json!({
            "module": "keras.layers",
            "class_name": "HashedCrossing",
            "config": {"name": name, "num_bins": bins, "output_mode": "int", "dtype": "int64"},
        }),
        name,
        inputs: names.iter().map(|n| format!("feature {n}")).collect(),
        one_hot: own.get("output_mode")?.as_str()? == "one_hot",
        values: Some(bins),
    })
}

fn tensor(layer: &str) -> Json {
    json!({"class_name": "__keras_tensor__", "config": {"keras_history": [layer, 0, 0]}})
}

/// A layer of the functional config, called once.
fn layer(name: &str, spec: &Json, args: Json) -> Json {
    let mut layer = spec.clone();
    if let Some(layer) = layer.as_object_mut() {
        layer.insert("name".into(), name.into());
        layer.insert(
            "inbound_nodes".into(),
            json!([{"args": [args], "kwargs": {}}]),
        );
    }
    layer
}

/// All features, encoded, in one vector or in a dict.
pub fn feature_space(cfg: &Cfg, loader: &Loader) -> Result<Built> {
    cfg.pass_over(&["crossing_dim", "hashing_dim", "num_discretization_bins"]);
    let concat = cfg.one_of("output_mode", "concat", &["concat", "dict"])? == "concat";
    let features = cfg.get("features").and_then(Json::as_object);
    let features = features.ok_or_else(|| cfg.bad("features", "a dict of features"))?;
    let bad = || cfg.bad("features", "features as Keras saves them");
    let mut inputs = vec![];
    let mut layers = vec![];
    let mut parts = vec![];
    for (name, spec) in features {
        let dtype = config(spec).and_then(|c| c.get("dtype")).ok_or_else(bad)?;
        layers.push(json!({
            "class_name": "InputLayer",
            "name": name,
            "config": {"name": name, "batch_shape": [null, 1], "dtype": dtype},
        }));
        inputs.push((name.clone(), json!([name, 0, 0])));
        parts.push(feature(name, spec).ok_or_else(bad)?);
    }
    let crosses = cfg.get("crosses").and_then(Json::as_array);
    let crosses: Option<Vec<Part>> = crosses.into_iter().flatten().map(cross).collect();
    let count = parts.len();
    parts.extend(crosses.ok_or_else(|| cfg.bad("crosses", "crosses as Keras saves them"))?);
    let mut encoded = vec![];
    for (i, part) in parts.iter().enumerate() {
        // Layers are named apart from the inputs, which are the features'.
        let own = match i < count {
            true => format!("feature {}", part.name),
            false => format!("cross {}", part.name),
        };
        let args = match i < count {
            true => tensor(&part.name),
            false => part.inputs.iter().map(|n| tensor(n)).collect(),
        };
        layers.push(layer(&own, &part.preprocessor, args));
        let mut last = own;
        if let (true, Some(n)) = (part.one_hot, part.values) {
            let encoder = format!("encoded {}", part.name);
            let spec = json!({
                "class_name": "CategoryEncoding",
                "config": {"name": encoder, "num_tokens": n, "output_mode": "multi_hot"},
            });
            layers.push(layer(&encoder, &spec, tensor(&last)));
            last = encoder;
        }
        encoded.push((i >= count, part.name.clone(), last));
    }
    encoded.sort();
    let outputs: Json = match concat {
        true => {
            let spec = json!({"class_name": "TFDConcat", "config": {"name": JOINED, "axis": -1}});
            let all: Json = encoded.iter().map(|(_, _, l)| tensor(l)).collect();
            layers.push(layer(JOINED, &spec, all));
            json!([JOINED, 0, 0])
        }
        false => {
            let outputs = encoded.iter();
            let outputs = outputs.map(|(_, name, l)| (name.clone(), json!([l, 0, 0])));
            Json::Object(outputs.collect())
        }
    };
    let model = json!({
        "layers": layers,
        "input_layers": Json::Object(inputs.into_iter().collect()),
        "output_layers": outputs,
    });
    let empty = Map::new();
    let model = model.as_object().unwrap_or(&empty);
    let mut built = functional(&Cfg::new(&cfg.layer, "Functional", model), loader)?;
    // The file keeps the features' layers by class, in the order of the features.
    let mut names = StoreNames::default();
    for (key, child) in &mut built.children {
        if features
            .keys()
            .any(|f| child.name == format!("feature {f}"))
        {
            *key = names
                .next(&child.class)
                .replace("layers/", "preprocessors/");
        }
    }
    Ok(built)
}
