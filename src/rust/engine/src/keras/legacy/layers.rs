//! Class names and config keys of layers, from Keras 1 and 2 to Keras 3.

use serde_json::{json, Value as Json};

use super::revisions::of_tensorflow;
use super::{entry_value, weights, Era, Object, SUBLAYERS};
use crate::error::Result;
use crate::keras::layer::STORED_CLASS;
use crate::keras::layers::{
    BIAS_ON_CHANNELS, COUNTS_IN_FLOATS, ENCODES_BY_DTYPE, MASKS_STAY, MASKS_UNSEEN,
    PIXELS_BY_CORNERS, REVERSED_STATES,
};

/// Classes that are both a layer and an operation.
pub(super) const SHARED_WITH_OPERATIONS: [&str; 9] = [
    "Add",
    "Subtract",
    "Multiply",
    "Maximum",
    "Minimum",
    "Concatenate",
    "Dot",
    "Softmax",
    "Identity",
];

/// Keras 3's name of a class.
fn modern_class(class: &str) -> &str {
    match class {
        "Convolution1D" | "AtrousConvolution1D" => "Conv1D",
        "Convolution2D" | "AtrousConvolution2D" => "Conv2D",
        "Convolution3D" => "Conv3D",
        "SeparableConvolution1D" => "SeparableConv1D",
        "SeparableConvolution2D" => "SeparableConv2D",
        "DepthwiseConvolution2D" => "DepthwiseConv2D",
        "Deconvolution2D" | "Deconv2D" | "Convolution2DTranspose" => "Conv2DTranspose",
        "Deconvolution3D" | "Deconv3D" | "Convolution3DTranspose" => "Conv3DTranspose",
        "TimeDistributedDense" => "Dense",
        "CuDNNLSTM" | "UnifiedLSTM" => "LSTM",
        "CuDNNGRU" | "UnifiedGRU" => "GRU",
        "BatchNormalizationV1" | "BatchNormalizationV2" | "SyncBatchNormalization" => {
            "BatchNormalization"
        }
        "ThresholdedReLU" => "ReLU",
        // They only count in training.
        "AddLoss" | "AddMetric" => "Identity",
        other => other,
    }
}

/// Old key, new key.
const RENAMED: [(&str, &str); 16] = [
    ("nb_filter", "filters"),
    ("filter_length", "kernel_size"),
    ("subsample", "strides"),
    ("subsample_length", "strides"),
    ("border_mode", "padding"),
    ("dim_ordering", "data_format"),
    ("atrous_rate", "dilation_rate"),
    ("bias", "use_bias"),
    ("pool_length", "pool_size"),
    ("stride", "strides"),
    ("length", "size"),
    ("p", "rate"),
    ("sigma", "stddev"),
    ("inner_activation", "recurrent_activation"),
    ("dropout_W", "dropout"),
    ("dropout_U", "recurrent_dropout"),
];

/// Keys of Keras 1 that matter in training only, or for the model's input.
const KERAS_1_TRAINING: [&str; 17] = [
    "input_dtype",
    "init",
    "inner_init",
    "forget_bias_init",
    "beta_init",
    "gamma_init",
    "W_regularizer",
    "U_regularizer",
    "b_regularizer",
    "W_constraint",
    "U_constraint",
    "b_constraint",
    "consume_less",
    "weights",
    "depthwise_init",
    "pointwise_init",
    "activity_regularizer",
];

/// Keys of Keras 2 without meaning for predictions.
const PASSED_OVER: [&str; 12] = [
    "implementation",
    "input_length",
    "build_input_shape",
    "batch_input_shape",
    "input_spec",
    "query_shape",
    "key_shape",
    "value_shape",
    "fused",
    "unconditional",
    "aggregation",
    "metric_name",
];

/// A layer's class and config as Keras 3 has them.
pub(super) fn convert(class: &str, mut c: Object, era: &Era) -> Result<(String, Object)> {
    if class == "InputLayer" {
        return Ok((class.to_string(), input_layer(c)));
    }
    if class == "RandomCrop" {
        return Ok(resized(c));
    }
    if class == "Merge" {
        if let Some(merged) = merge(&c) {
            return Ok(merged);
        }
    }
    let modern = modern_class(class).to_string();
    if era.major < 2 {
        from_keras_1(&modern, &mut c, era);
    }
    let local = modern.starts_with("LocallyConnected");
    for key in PASSED_OVER {
        // the layout of its kernel depends on how it was computed
        if !(local && key == "implementation") {
            c.remove(key);
        }
    }
    for key in ["time_major", "softmax_robust_masking"] {
        if c.get(key) == Some(&Json::Bool(false)) {
            c.remove(key);
        }
    }
    if let Some(Json::Array(axis)) = c.get("axis") {
        if let [one] = axis.as_slice() {
            let one = one.clone();
            c.insert("axis".into(), one);
        }
    }
    if class == "SyncBatchNormalization" {
        c.insert(STORED_CLASS.into(), class.into());
    }
    class_rules(class, &modern, &mut c, era);
    for (key, value) in c.iter_mut() {
        if key == "activation" || key.ends_with("_activation") {
            old_activation(value);
        }
    }
    if era.major < 2 && weights::KERAS_1_CLASSES.contains(&modern.as_str()) {
        c.insert(weights::KERAS_1.into(), true.into());
    }
    if era.theano && weights::THEANO_CLASSES.contains(&modern.as_str()) {
        c.insert(weights::THEANO.into(), true.into());
    }
    for key in SUBLAYERS {
        if let Some(inner) = c.get_mut(key) {
            *inner = entry_value(inner.take(), era)?;
        }
    }
    if let Some(Json::Array(cells)) = c.get_mut("cells") {
        for cell in cells {
            *cell = entry_value(cell.take(), era)?;
        }
    }
    Ok((modern, c))
}

fn input_layer(mut c: Object) -> Object {
    for (old, new) in [
        ("batch_input_shape", "batch_shape"),
        ("input_dtype", "dtype"),
    ] {
        rename(&mut c, old, new);
    }
    c
}

/// Up to Keras 2 RandomCrop resized in predictions, which Keras 3 doesn't.
fn resized(c: Object) -> (String, Object) {
    let mut new = Object::new();
    for key in ["name", "trainable", "dtype", "height", "width"] {
        if let Some(value) = c.get(key) {
            new.insert(key.into(), value.clone());
        }
    }
    new.insert("interpolation".into(), "bilinear".into());
    new.insert("crop_to_aspect_ratio".into(), true.into());
    ("Resizing".to_string(), new)
}

fn rename(c: &mut Object, old: &str, new: &str) {
    if let Some(value) = c.remove(old) {
        if !c.contains_key(new) {
            c.insert(new.to_string(), value);
        }
    }
}

fn from_keras_1(class: &str, c: &mut Object, era: &Era) {
    for key in KERAS_1_TRAINING {
        c.remove(key);
    }
    let sizes = |c: &mut Object, keys: &[&str]| {
        let sizes: Vec<Json> = keys.iter().filter_map(|k| c.remove(*k)).collect();
        if sizes.len() == keys.len() {
            c.insert("kernel_size".into(), sizes.into());
        }
    };
    sizes(c, &["nb_row", "nb_col"]);
    sizes(c, &["kernel_dim1", "kernel_dim2", "kernel_dim3"]);
    if class == "Embedding" {
        c.remove("dropout");
    } else {
        c.remove("input_dim");
        rename(c, "output_dim", "units");
    }
    for (old, new) in RENAMED {
        rename(c, old, new);
    }
    match c.get("data_format").and_then(Json::as_str) {
        Some("tf") => {
            c.insert("data_format".into(), "channels_last".into());
        }
        Some("th") => {
            c.insert("data_format".into(), "channels_first".into());
        }
        None if !is_saved_unordered(class) => {}
        None | Some("default") => {
            let order = match era.channels_first {
                true => "channels_first",
                false => "channels_last",
            };
            c.insert("data_format".into(), order.into());
        }
        _ => {}
    }
    match class {
        "Conv2DTranspose" => {
            c.remove("output_shape");
        }
        "Highway" | "MaxoutDense" | "SReLU" | "ParametricSoftplus" => {
            c.remove("transform_bias");
            c.retain(|key, _| !key.ends_with("_init"));
        }
        "BatchNormalization" if c.get("mode") == Some(&json!(0)) => {
            c.remove("mode");
        }
        "ZeroPadding1D" | "ZeroPadding2D" => {
            let side = |p: &Json, k: &str| p.get(k).cloned().unwrap_or(json!(0));
            let pair = |p: &Json, a: &str, b: &str| json!([side(p, a), side(p, b)]);
            let new = match c.get("padding") {
                Some(p @ Json::Object(_)) if class == "ZeroPadding1D" => {
                    Some(pair(p, "left_pad", "right_pad"))
                }
                Some(p @ Json::Object(_)) => Some(json!([
                    pair(p, "top_pad", "bottom_pad"),
                    pair(p, "left_pad", "right_pad")
                ])),
                Some(Json::Array(p)) if p.len() == 4 => Some(json!([[p[0], p[1]], [p[2], p[3]]])),
                _ => None,
            };
            if let Some(new) = new {
                c.insert("padding".into(), new);
            }
        }
        _ => {}
    }
}

/// Whether Keras 1 leaves the order of the channels out of a class' config.
fn is_saved_unordered(class: &str) -> bool {
    const KINDS: [&str; 3] = ["Cropping", "UpSampling", "ZeroPadding"];
    KINDS.iter().any(|k| class.starts_with(k)) && !class.ends_with("1D")
}

/// A merging layer of Keras 1, unless it computes with a function.
fn merge(c: &Object) -> Option<(String, Object)> {
    let class = match c.get("mode")?.as_str()? {
        "sum" => "Add",
        "mul" => "Multiply",
        "ave" => "Average",
        "max" => "Maximum",
        "concat" => "Concatenate",
        "dot" => "Dot",
        "cos" => "Cosine",
        _ => return None,
    };
    let mut new = Object::new();
    if !matches!(class, "Dot" | "Cosine") {
        new.insert(MASKS_STAY.into(), true.into());
    }
    if let Some(name) = c.get("name") {
        new.insert("name".into(), name.clone());
    }
    match class {
        "Concatenate" => {
            let axis = c.get("concat_axis").cloned().unwrap_or(json!(-1));
            new.insert("axis".into(), axis);
        }
        "Dot" | "Cosine" => {
            let axes = match c.get("dot_axes")? {
                Json::Array(axes) => axes.iter().map(|a| a.get(0).unwrap_or(a).clone()).collect(),
                one => one.clone(),
            };
            new.insert("axes".into(), axes);
        }
        _ => {}
    }
    Some((class.to_string(), new))
}

/// What changed for single classes after Keras 1.
fn class_rules(old: &str, class: &str, c: &mut Object, era: &Era) {
    const RECURRENT: [&str; 7] = [
        "ConvLSTM1D",
        "ConvLSTM2D",
        "ConvLSTM3D",
        "GRU",
        "LSTM",
        "RNN",
        "SimpleRNN",
    ];
    if RECURRENT.contains(&class) {
        c.insert(MASKS_STAY.into(), true.into());
    }
    let default = |c: &mut Object, key: &str, value: Json| {
        c.entry(key).or_insert(value);
    };
    let drop_if = |c: &mut Object, key: &str, value: Json| {
        if c.get(key) == Some(&value) {
            c.remove(key);
        }
    };
    match class {
        "MultiHeadAttention" if era.before(2, 10) => {
            c.insert(MASKS_UNSEEN.into(), true.into());
            c.insert(MASKS_STAY.into(), true.into());
        }
        "MultiHeadAttention" | "Add" | "Subtract" | "Multiply" | "Average" | "Maximum"
        | "Minimum" | "Concatenate" | "TimeDistributed" => {
            c.insert(MASKS_STAY.into(), true.into());
        }
        "Conv1D" | "Conv2D" | "Conv3D" | "Conv1DTranspose" | "Conv2DTranspose"
        | "Conv3DTranspose" | "DepthwiseConv1D" | "DepthwiseConv2D" | "SeparableConv1D"
        | "SeparableConv2D"
            if c.get("data_format") == Some(&json!("channels_first")) =>
        {
            c.insert(BIAS_ON_CHANNELS.into(), true.into());
        }
        "Bidirectional" if keeps_masked_steps(c, era) => {
            c.insert(MASKS_STAY.into(), true.into());
        }
        "StackedRNNCells" if era.before(2, 2) => {
            c.insert(REVERSED_STATES.into(), true.into());
        }
        "Softmax" if era.before(2, 4) => {
            c.insert(MASKS_STAY.into(), true.into());
        }
        "UpSampling2D" if era.samples_by_corners() => {
            c.insert(PIXELS_BY_CORNERS.into(), true.into());
        }
        // The dtype of its input.
        "Embedding" if c.get("dtype") == Some(&json!("int32")) => {
            c.remove("dtype");
        }
        "Discretization" => {
            rename(c, "bins", "bin_boundaries");
            if !era.before(2, 6) {
                c.insert(ENCODES_BY_DTYPE.into(), true.into());
                if c.get("output_mode").is_none_or(|mode| mode == "int") {
                    c.insert("dtype".into(), "int64".into());
                }
            }
        }
        "StringLookup" | "TextVectorization" => {
            c.insert(COUNTS_IN_FLOATS.into(), true.into());
        }
        // Indices are whole numbers, whatever the layer's dtype was.
        "Hashing" => {
            // What TF 2.3 and 2.4 save where there is no salt.
            const NONE: u64 = 0xDECAFCAFFE;
            drop_if(c, "salt", json!([NONE, NONE]));
            let has = |key: &str, part: &str| {
                let value = c.get(key).and_then(Json::as_str);
                value.is_some_and(|v| v.contains(part))
            };
            if !has("dtype", "int") && (!c.contains_key("output_mode") || has("output_mode", "int"))
            {
                c.insert("dtype".into(), "int64".into());
            }
        }
        "IntegerLookup" => {
            rename(c, "max_values", "max_tokens");
            rename(c, "mask_value", "mask_token");
            rename(c, "oov_value", "oov_token");
            c.insert(COUNTS_IN_FLOATS.into(), true.into());
        }
        "LSTM" | "LSTMCell" | "GRU" | "GRUCell" | "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => {
            let cudnn = old.starts_with("CuDNN");
            default(c, "activation", "tanh".into());
            let gate = match !cudnn && era.before(2, 3) && !era.tensorflow {
                true => "hard_sigmoid",
                false if class.starts_with("Conv") => "hard_sigmoid",
                false => "sigmoid",
            };
            default(c, "recurrent_activation", gate.into());
            if class.starts_with("GRU") {
                default(c, "reset_after", cudnn.into());
            }
            if matches!(class, "LSTM" | "GRU") {
                c.insert(weights::CUDNN.into(), true.into());
            }
        }
        "BatchNormalization" if c.get("renorm") != Some(&Json::Bool(true)) => {
            for key in ["renorm", "renorm_clipping", "renorm_momentum"] {
                c.remove(key);
            }
        }
        "LeakyReLU" => rename(c, "alpha", "negative_slope"),
        "ReLU" if old == "ThresholdedReLU" => rename(c, "theta", "threshold"),
        "DepthwiseConv1D" | "DepthwiseConv2D" | "SeparableConv1D" | "SeparableConv2D"
        | "Conv1DTranspose" | "Conv2DTranspose" | "Conv3DTranspose" => {
            drop_if(c, "groups", json!(1));
        }
        _ => {}
    }
    if class.starts_with("Depthwise") || class.starts_with("Separable") {
        // Left over from the convolution that the class derives from.
        for key in [
            "kernel_initializer",
            "kernel_regularizer",
            "kernel_constraint",
        ] {
            c.remove(key);
        }
    }
}

/// Whether a Bidirectional repeats outputs at masked steps of its sequences: in Keras
/// always, in `tf.keras` before TF 1.13, and in TF 2.0 and 2.1 where cuDNN could run it.
fn keeps_masked_steps(c: &Object, era: &Era) -> bool {
    if !era.tensorflow {
        return era.before(2, 4);
    }
    let fits = |layer: &Json| {
        let config = &layer["config"];
        config["implementation"] == 2
            && config["activation"] == "tanh"
            && config["recurrent_activation"] == "sigmoid"
            && config["use_bias"] == true
            && config["unroll"] == false
            && config["recurrent_dropout"].as_f64().unwrap_or(0.0) == 0.0
            && config["reset_after"] != false
    };
    era.before(2, 2) || (era.before(2, 3) && c.get("layer").is_some_and(fits))
}

/// Before Keras 3, hard_sigmoid was another function, and log_softmax TensorFlow's.
fn old_activation(value: &mut Json) {
    const OLD: &str = "hard_sigmoid";
    const NEW: &str = "hard_sigmoid_legacy";
    match value {
        Json::String(name) if name == OLD => *name = NEW.to_string(),
        Json::String(_) => of_tensorflow(value),
        Json::Object(o) => {
            for key in ["config", "activation"] {
                if let Some(inner) = o.get_mut(key) {
                    old_activation(inner);
                }
            }
        }
        _ => {}
    }
}
