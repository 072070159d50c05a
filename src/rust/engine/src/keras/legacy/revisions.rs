//! What changed between versions of Keras 3.

use serde_json::{json, Value as Json};

use super::{Era, Object};
use crate::keras::layer::ENDS_MASKS;
use crate::keras::layers::{ENCODES_BY_DTYPE, KEEPS_LAST_AXIS, RESIZES};

/// Marks what layers of this version did otherwise than those of today.
pub(super) fn revise(value: &mut Json, era: &Era) {
    match value {
        Json::Array(a) => a.iter_mut().for_each(|v| revise(v, era)),
        Json::Object(o) => {
            let class = o.get("class_name").and_then(Json::as_str);
            let class = class.unwrap_or_default().to_string();
            match o.get_mut("config") {
                Some(name @ Json::String(_)) if class == "function" => of_tensorflow(name),
                Some(Json::Object(config)) => revise_layer(&class, config, era),
                _ => {}
            }
            for (key, value) in o.iter_mut() {
                match key.as_str() {
                    "activation" | "recurrent_activation" => of_tensorflow(value),
                    _ => {}
                }
                revise(value, era);
            }
        }
        _ => {}
    }
}

fn revise_layer(class: &str, c: &mut Object, era: &Era) {
    const OF_LISTS: [&str; 10] = [
        "Add",
        "AdditiveAttention",
        "Attention",
        "Average",
        "Concatenate",
        "Dot",
        "Maximum",
        "Minimum",
        "Multiply",
        "Subtract",
    ];
    // Operations have such names, too: they have no dtype of their own.
    if OF_LISTS.contains(&class) && era.before(3, 4) && c.contains_key("dtype") {
        c.insert(ENDS_MASKS.into(), true.into());
    }
    if class == "RandomCrop" && era.before(3, 8) {
        c.insert(RESIZES.into(), true.into());
    }
    if class == "Discretization" && era.before(3, 12) {
        c.insert(ENCODES_BY_DTYPE.into(), true.into());
    }
    if matches!(class, "Discretization" | "CategoryEncoding") && era.before(3, 4) {
        c.insert(KEEPS_LAST_AXIS.into(), true.into());
    }
}

/// Keras' names of activations that are functions of TensorFlow.
pub(super) fn of_tensorflow(name: &mut Json) {
    for (theirs, ours) in [("softmax_v2", "softmax"), ("log_softmax_v2", "log_softmax")] {
        if name.as_str() == Some(theirs) {
            *name = json!(ours);
        }
    }
}
