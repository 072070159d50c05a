//! What layers make of shapes, and what they refuse. Their numbers are the golden cases'.

use serde_json::{json, Value as Json};

use super::LAYERS;
use crate::graph::Const;
use crate::keras::load::Loader;
use crate::keras::{Call, Cx, LayerNode, T};
use crate::tensor::{Fact, Tensor};

struct Case {
    class: &'static str,
    config: Json,
    weights: &'static [&'static [usize]],
    input: &'static [usize],
    /// The shape of the output, or a part of the error.
    expected: Result<&'static [usize], &'static str>,
}

fn layer(class: &str, config: &Json, weights: &[&[usize]]) -> crate::error::Result<LayerNode> {
    let spec = json!({"class_name": class, "config": config});
    let node = Loader::default().layer_node(&spec)?;
    let zeros = |s: &&[usize]| Const::new(0, Tensor::zeros(Fact::f32(*s)));
    let _ = node.weights.set(weights.iter().map(zeros).collect());
    std::sync::Arc::into_inner(node).ok_or_else(|| crate::Error::internal("shared"))
}

/// Calls a layer on a tensor, masked where it has steps.
fn call(node: &LayerNode, input: &[usize], training: bool) -> crate::error::Result<(Cx, T)> {
    let mut cx = Cx::new(training);
    let value = cx.input(Fact::f32(input));
    let mask = match input.len() {
        3 => Some(cx.full(Fact::new(crate::tensor::DType::Bool, &input[..2]), 1.0)?),
        _ => None,
    };
    let out = cx.call(node, &Call::on(T { value, mask }))?;
    let out = *out.single().expect("one tensor");
    Ok((cx, out))
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let case = |class, config, weights, input, expected| Case { class, config, weights, input, expected };
    vec![
        case("TextVectorization", json!({"standardize": {"class_name": "function"}, "split": "whitespace"}), &[], &[2, 1], Err("config key 'standardize' must be lower, strip_punctuation")),
        case("TextVectorization", json!({"split": {"class_name": "function"}}), &[], &[2, 1], Err("config key 'split' must be whitespace, character or null")),
        case("TextVectorization", json!({"split": "whitespace", "ragged": true}), &[], &[2, 1], Err("config key 'ragged' = true is not known")),
        case("Lambda", json!({"function": {"class_name": "function", "config": "elu"}, "arguments": {"alpha": 2.0}}), &[], &[2, 3], Ok(&[2, 3])),
        case("Lambda", json!({"function": {"class_name": "function", "config": "elu"}, "arguments": {"beta": 2.0}}), &[], &[2, 3], Err("config key 'arguments' must be those of the activation")),
        case("Lambda", json!({"function": {"class_name": "function", "config": "relu"}, "arguments": {"beta": 2.0}}), &[], &[2, 3], Err("config key 'arguments' must be those of the activation")),
        case("StringLookup", json!({"num_oov_indices": 1}), &[], &[2, 1], Err("weight 'vocabulary' must be in the file, not missing")),
        case("IntegerLookup", json!({"vocabulary": "words.txt"}), &[], &[2, 1], Err("config key 'vocabulary' must be a list")),
        case("Hashing", json!({"num_bins": 0}), &[], &[2, 1], Err("config key 'num_bins' must be a whole number > 0")),
        case("Hashing", json!({"num_bins": 3, "mask_value": "x"}), &[], &[2, 1], Err("`mask_value` doesn't fit float32 input")),
        case("HashedCrossing", json!({"num_bins": 3}), &[], &[2, 1], Err("expected one integer or string per row")),
        case("Discretization", json!({"num_bins": 3, "bin_boundaries": null}), &[], &[2, 1], Err("config key 'bin_boundaries' must be a list of numbers")),
        case("CategoryEncoding", json!({"num_tokens": 5, "output_mode": "int"}), &[], &[2, 3], Err("config key 'output_mode'")),
        case("CategoryEncoding", json!({"num_tokens": 5, "output_mode": "one_hot"}), &[], &[2, 3], Ok(&[2, 3, 5])),
        case("Conv2D", json!({"filters": 4, "kernel_size": [3, 2], "padding": "same", "strides": 2}), &[&[3, 2, 3, 4], &[4]], &[1, 7, 8, 3], Ok(&[1, 4, 4, 4])),
        case("Conv2D", json!({"filters": 4, "kernel_size": 3, "data_format": "channels_first", "use_bias": false}), &[&[3, 3, 2, 4]], &[1, 2, 7, 8], Ok(&[1, 4, 5, 6])),
        case("Conv2D", json!({"filters": 4, "kernel_size": 3}), &[&[3, 3, 2, 4], &[4]], &[1, 7, 8, 3], Err("weight 'kernel' must be of shape (3, 3, 3, 4), not (3, 3, 2, 4)")),
        case("Conv2D", json!({"filters": 4, "kernel_size": 9}), &[&[9, 9, 3, 4], &[4]], &[1, 7, 8, 3], Err("doesn't fit into")),
        case("Conv2D", json!({"filters": 4, "kernel_size": 3, "padding": "causal"}), &[], &[1, 7, 8, 3], Err("config key 'padding' must be valid or same")),
        case("Conv2D", json!({"filters": 4, "kernel_size": [3, 3, 3]}), &[], &[1, 7, 8, 3], Err("config key 'kernel_size' must be 2 whole numbers")),
        case("Conv2D", json!({"filters": 4, "kernel_size": 3, "strides": 0}), &[], &[1, 7, 8, 3], Err("config key 'strides' must be whole numbers > 0")),
        case("Conv2D", json!({"filters": 4, "kernel_size": 3, "surprise": 1}), &[], &[1, 7, 8, 3], Err("config key 'surprise' = 1 is not known")),
        case("Conv2D", json!({"kernel_size": 3}), &[], &[1, 7, 8, 3], Err("config key 'filters'")),
        case("Conv1D", json!({"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}), &[&[3, 3, 4], &[4]], &[2, 7, 3], Ok(&[2, 7, 4])),
        case("Conv1D", json!({"filters": 4, "kernel_size": 3}), &[], &[2, 7], Err("expected a tensor of rank 3, not one of shape (2, 7)")),
        case("DepthwiseConv2D", json!({"kernel_size": 3, "groups": 2}), &[], &[1, 7, 8, 3], Err("config key 'groups' must be 1")),
        case("SeparableConv1D", json!({"filters": 5, "kernel_size": 2, "depth_multiplier": 2}), &[&[2, 3, 2], &[1, 6, 5], &[5]], &[2, 7, 3], Ok(&[2, 6, 5])),
        case("Conv1DTranspose", json!({"filters": 4, "kernel_size": 2, "strides": 5}), &[&[2, 4, 3], &[4]], &[2, 7, 3], Ok(&[2, 35, 4])),
        case("Conv1DTranspose", json!({"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0}), &[&[3, 4, 3], &[4]], &[2, 7, 3], Ok(&[2, 13, 4])),
        case("Conv1DTranspose", json!({"filters": 4, "kernel_size": 2, "strides": 2, "padding": "same", "output_padding": 0}), &[&[2, 4, 3], &[4]], &[2, 7, 3], Err("an output of size 12 doesn't fit an input of size 7")),
        case("MaxPooling1D", json!({"pool_size": 8}), &[], &[2, 7, 3], Err("doesn't fit into")),
        case("MaxPool2D", json!({}), &[], &[1, 7, 8, 3], Ok(&[1, 3, 4, 3])),
        case("GlobalAvgPool2D", json!({"data_format": "channels_first", "keepdims": true}), &[], &[1, 7, 8, 3], Ok(&[1, 7, 1, 1])),
        case("Flatten", json!({"data_format": "channels_middle"}), &[], &[2, 7, 3], Err("channels_last or channels_first")),
        case("Flatten", json!({}), &[], &[2], Ok(&[2, 1])),
        case("Reshape", json!({"target_shape": [-1, 7]}), &[], &[2, 7, 3], Ok(&[2, 3, 7])),
        case("Reshape", json!({"target_shape": [-1, 5]}), &[], &[2, 7, 3], Err("can't reshape (2, 7, 3)")),
        case("Reshape", json!({"target_shape": [-1, -1]}), &[], &[2, 7, 3], Err("config key 'target_shape'")),
        case("Permute", json!({"dims": [2, 2]}), &[], &[2, 7, 3], Err("is not a permutation")),
        case("RepeatVector", json!({"n": 3}), &[], &[2, 7], Ok(&[2, 3, 7])),
        case("Cropping1D", json!({"cropping": [3, 4]}), &[], &[2, 7, 3], Err("can't crop 3 and 4 from an axis of size 7")),
        case("Cropping2D", json!({"cropping": [1, [2, 0]]}), &[], &[1, 7, 8, 3], Ok(&[1, 5, 6, 3])),
        case("ZeroPadding2D", json!({"padding": [[1, 2]]}), &[], &[1, 7, 8, 3], Err("config key 'padding'")),
        case("ZeroPadding3D", json!({"data_format": "channels_first"}), &[], &[1, 2, 3, 4, 5], Ok(&[1, 2, 5, 6, 7])),
        case("UpSampling2D", json!({"interpolation": "bell"}), &[], &[1, 7, 8, 3], Err("config key 'interpolation'")),
        case("UpSampling2D", json!({"interpolation": "lanczos5", "size": [2, 3]}), &[], &[1, 7, 8, 3], Ok(&[1, 14, 24, 3])),
        case("EinsumDense", json!({"equation": "abc,cd->abd", "output_shape": [null, 4], "bias_axes": "d"}), &[&[3, 4], &[4]], &[2, 7, 3], Ok(&[2, 7, 4])),
        case("EinsumDense", json!({"equation": "abc,cd->abd", "output_shape": [6, 4]}), &[&[3, 4]], &[2, 7, 3], Err("equation 'abc,cd->abd' gives (2, 7, 4), not (2, 6, 4)")),
        case("EinsumDense", json!({"equation": "abc,cd->abd", "output_shape": [null, 4]}), &[&[1, 4]], &[2, 7, 3], Err("weight 'kernel' must be of shape (3, 4)")),
        case("EinsumDense", json!({"equation": "abc", "output_shape": 4}), &[], &[2, 7, 3], Err("config key 'equation'")),
        case("EinsumDense", json!({"equation": "ab,bc->ac", "output_shape": 4, "bias_axes": "z"}), &[], &[2, 7], Err("config key 'bias_axes'")),
        case("PReLU", json!({"shared_axes": [1]}), &[&[1, 3]], &[2, 7, 3], Ok(&[2, 7, 3])),
        case("PReLU", json!({"shared_axes": [0]}), &[], &[2, 7, 3], Err("config key 'shared_axes'")),
        case("Softmax", json!({"axis": []}), &[], &[2, 7], Err("config key 'axis'")),
        case("Activation", json!({"activation": "relux"}), &[], &[2, 7], Err("this layer is not supported")),
        case("BatchNormalization", json!({"axis": [1]}), &[&[7], &[7], &[7], &[7]], &[2, 7, 3], Ok(&[2, 7, 3])),
        case("BatchNormalization", json!({"axis": [1, 2]}), &[], &[2, 7, 3], Err("config key 'axis' must be one axis")),
        case("BatchNormalization", json!({"axis": 3}), &[&[7], &[7], &[7], &[7]], &[2, 7, 3], Err("axis 3 is out of range for rank 3")),
        case("LayerNormalization", json!({"axis": [1, 2]}), &[&[7, 3], &[7, 3]], &[2, 7, 3], Ok(&[2, 7, 3])),
        case("GroupNormalization", json!({"groups": 2}), &[&[3], &[3]], &[2, 7, 3], Err("can't make 2 groups of 3 channels")),
        case("Normalization", json!({"mean": [1.0, 2.0], "variance": [1.0, 2.0]}), &[], &[5, 3], Err("")),
        case("Normalization", json!({"mean": [[1.0]], "variance": [[1.0]]}), &[], &[5, 3], Err("config key 'mean'")),
        case("Normalization", json!({"axis": null, "mean": 1.0, "variance": {"class_name": "__numpy__", "config": {"value": 2.0, "dtype": "float32"}}}), &[], &[5, 3], Ok(&[5, 3])),
        case("Normalization", json!({}), &[&[4], &[4], &[]], &[5, 3], Err("the mean doesn't fit the input")),
        case("Dense", json!({"units": 4, "dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int4", "source_name": "float32"}}}), &[&[2, 4], &[4], &[4]], &[5, 3], Err("packed weights must be whole numbers")),
        case("Rescaling", json!({"scale": "big"}), &[], &[5, 3], Err("config key 'scale'")),
    ]
}

#[test]
fn shapes_and_refusals() {
    for c in cases() {
        let done = layer(c.class, &c.config, c.weights)
            .and_then(|node| call(&node, c.input, false))
            .map(|(cx, out)| cx.shape(out.value))
            .map_err(|e| e.to_string());
        let fits = match (&done, c.expected) {
            (Ok(shape), Ok(expected)) => shape == expected,
            (Err(e), Err(part)) => e.contains(part),
            _ => false,
        };
        assert!(fits, "{} {}: {done:?}", c.class, c.config);
    }
}

#[test]
fn random_layers_train_and_predict() {
    for (class, config) in [
        ("Dropout", json!({"rate": 0.5})),
        ("GaussianNoise", json!({"stddev": 0.5})),
    ] {
        let node = layer(class, &config, &[]).expect("a layer");
        assert!(call(&node, &[2, 3], true).is_ok());
        assert!(call(&node, &[2, 3], false).is_ok());
    }
    let never = layer("Dropout", &json!({"rate": 0.0}), &[]).expect("a layer");
    assert!(call(&never, &[2, 3], true).is_ok());
}

#[test]
fn masks_are_passed_on_or_dropped() {
    let passing: &[(&str, Json)] = &[
        ("Activation", json!({"activation": "relu"})),
        ("Dropout", json!({"rate": 0.5})),
        ("UnitNormalization", json!({})),
        ("Rescaling", json!({"scale": 2})),
        ("Masking", json!({})),
    ];
    let dropping: &[(&str, Json)] = &[
        ("Flatten", json!({})),
        ("Permute", json!({"dims": [2, 1]})),
        ("MaxPooling1D", json!({})),
        ("GlobalAveragePooling1D", json!({})),
        ("UpSampling1D", json!({})),
    ];
    for (expected, layers) in [(true, passing), (false, dropping)] {
        for (class, config) in layers {
            let node = layer(class, config, &[]).expect("a layer");
            let (_, out) = call(&node, &[2, 4, 3], false).expect("a call");
            assert_eq!(out.mask.is_some(), expected, "{class}");
        }
    }
}

#[test]
fn classes_stand_once() {
    let mut classes: Vec<&str> = LAYERS.iter().map(|l| l.class).collect();
    classes.sort_unstable();
    let count = classes.len();
    classes.dedup();
    assert_eq!(classes.len(), count);
}
