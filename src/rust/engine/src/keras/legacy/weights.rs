//! Weights that older Keras versions keep in another layout.
//!
//! While a config is rewritten, the layers concerned are marked with the keys
//! below; [`apply`] turns the weights of the marked layers.

use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};
use crate::format::{LegacyWeights, StoredWeight};
use crate::tensor::{numel, show_shape, DType, Fact, Tensor};

/// Marks an LSTM or GRU, whose weights may be those of its cuDNN twin.
pub(super) const CUDNN: &str = "cudnn_weights";
/// Marks a layer with the weights of Keras 1.
pub(super) const KERAS_1: &str = "keras1_weights";
/// Marks a convolution with the flipped kernels of Theano.
pub(super) const THEANO: &str = "theano_weights";

const MARKS: [&str; 3] = [CUDNN, KERAS_1, THEANO];

/// Classes whose weights changed after Keras 1.
pub(super) const KERAS_1_CLASSES: [&str; 7] = [
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv2DTranspose",
    "LSTM",
    "GRU",
    "ConvLSTM2D",
];

/// Classes whose kernels Theano flips.
pub(super) const THEANO_CLASSES: [&str; 5] = [
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv2DTranspose",
    "ConvLSTM2D",
];

/// Turns the weights of all marked layers of a model.
pub(super) fn apply(model: &Json, weights: &mut LegacyWeights) -> Result<()> {
    if !is_marked(model) {
        return Ok(());
    }
    for layer in sublayers(model) {
        let name = name(layer);
        if let Some((_, stored)) = weights.iter_mut().find(|(n, _)| n == name) {
            *stored = of_layer(layer, std::mem::take(stored))?;
        }
    }
    Ok(())
}

/// Takes all marks out of a config.
pub(super) fn remove_marks(config: &mut Json) {
    match config {
        Json::Object(o) => {
            o.retain(|k, _| !MARKS.contains(&k.as_str()));
            o.values_mut().for_each(remove_marks);
        }
        Json::Array(a) => a.iter_mut().for_each(remove_marks),
        _ => {}
    }
}

fn is_marked(config: &Json) -> bool {
    super::any_key(config, &|k| MARKS.contains(&k))
}

fn sublayers(model: &Json) -> impl Iterator<Item = &Json> {
    let layers = model.get("config").and_then(|c| c.get("layers"));
    layers.and_then(Json::as_array).into_iter().flatten()
}

fn name(layer: &Json) -> &str {
    layer
        .get("name")
        .or_else(|| layer.get("config")?.get("name"))
        .and_then(Json::as_str)
        .unwrap_or_default()
}

/// The weights of one layer, wrapper or model inside of a model.
fn of_layer(layer: &Json, mut weights: Vec<StoredWeight>) -> Result<Vec<StoredWeight>> {
    if !is_marked(layer) {
        return Ok(weights);
    }
    let class = layer.get("class_name").and_then(Json::as_str);
    let Some(config) = layer.get("config").and_then(Json::as_object) else {
        return Ok(weights);
    };
    match (class.unwrap_or_default(), config.get("layer")) {
        ("Bidirectional", Some(forward)) => {
            let backward = config.get("backward_layer").filter(|l| l.is_object());
            let second = weights.split_off(weights.len() / 2);
            let mut turned = of_layer(forward, weights)?;
            turned.extend(of_layer(backward.unwrap_or(forward), second)?);
            Ok(turned)
        }
        (_, Some(inner)) if inner.is_object() => of_layer(inner, weights),
        ("Sequential" | "Functional", _) => {
            for inner in sublayers(layer).filter(|l| is_marked(l)) {
                weights = within(name(inner), inner, weights)?;
            }
            Ok(weights)
        }
        (class, _) => relayout(class, config, weights),
    }
}

/// Turns the weights of a layer that stand among those of a whole model: those
/// with the layer's name in their own.
fn within(name: &str, layer: &Json, weights: Vec<StoredWeight>) -> Result<Vec<StoredWeight>> {
    // Older names run together: `lstm_1_W_i` next to `lstm_1/kernel:0`.
    let is_own = |w: &StoredWeight| {
        w.name.split('/').any(|part| part == name)
            || w.name.strip_prefix(name).is_some_and(|r| {
                r.starts_with(['_']) && !r[1..].starts_with(|c: char| c.is_ascii_digit())
            })
    };
    let inner = sublayers(layer).count() > 0;
    let mut own = Vec::new();
    let mut rest = Vec::new();
    let mut at = None;
    for w in weights {
        match inner || is_own(&w) {
            true => {
                at.get_or_insert(rest.len());
                own.push(w);
            }
            false => rest.push(w),
        }
    }
    let Some(at) = at else {
        return Err(Error::BadWeight {
            layer: name.to_string(),
            weight: "kernel".to_string(),
            expected: "named after its layer".to_string(),
            given: "missing".to_string(),
        });
    };
    let own = of_layer(layer, own)?;
    rest.splice(at..at, own);
    Ok(rest)
}

/// The weights of a layer in the layout of Keras 3, given its class and its
/// config with the marks.
fn relayout(
    class: &str,
    config: &Map<String, Json>,
    mut weights: Vec<StoredWeight>,
) -> Result<Vec<StoredWeight>> {
    let marked = |key: &str| config.get(key) == Some(&Json::Bool(true));
    let layer = config.get("name").and_then(Json::as_str).unwrap_or(class);
    if marked(KERAS_1) {
        weights = from_keras_1(layer, class, config, weights)?;
    }
    if marked(THEANO) {
        let kernels = if class == "ConvLSTM2D" { 2 } else { 1 };
        for w in weights.iter_mut().take(kernels) {
            w.tensor = flip_kernel(&w.tensor).into();
        }
    }
    if marked(CUDNN) && are_cudnn(class, &weights) {
        weights = from_cudnn(layer, class, weights)?;
    }
    Ok(weights)
}

/// Whether weights are laid out as cuDNN wants them: the bias of both products
/// stands in one vector.
fn are_cudnn(class: &str, weights: &[StoredWeight]) -> bool {
    let gates = if class == "GRU" { 3 } else { 4 };
    match weights {
        [_, recurrent, bias] => match (recurrent.tensor.shape(), bias.tensor.shape()) {
            (&[units, _], &[n]) => n == 2 * gates * units,
            _ => false,
        },
        _ => false,
    }
}

fn from_cudnn(layer: &str, class: &str, weights: Vec<StoredWeight>) -> Result<Vec<StoredWeight>> {
    let gates = if class == "GRU" { 3 } else { 4 };
    let three: [StoredWeight; 3] = weights
        .try_into()
        .map_err(|_| Error::internal("a recurrent layer has three weights"))?;
    let [mut kernel, mut recurrent, mut bias] = three;
    let units = match *recurrent.tensor.shape() {
        [u, n] if n == gates * u => u,
        _ => return Err(bad(layer, &recurrent, "a matrix of (units, gates x units)")),
    };
    let inputs = match *kernel.tensor.shape() {
        [i, n] if n == gates * units => i,
        _ => return Err(bad(layer, &kernel, "a matrix of (inputs, gates x units)")),
    };
    // Gate by gate, read row by row as (units, inputs) and transposed.
    kernel.tensor = blocks(&kernel.tensor, gates, |i, j| {
        let flat = j * inputs + i;
        (flat / units, flat % units)
    })
    .into();
    recurrent.tensor = blocks(&recurrent.tensor, gates, |i, j| (j, i)).into();
    bias.tensor = match class {
        "GRU" => bias.tensor.as_ref().clone().reshaped([2, gates * units]),
        _ => add_halves(&bias.tensor).ok_or_else(|| bad(layer, &bias, "floating point"))?,
    }
    .into();
    Ok(vec![kernel, recurrent, bias])
}

/// A matrix of column blocks, with element (i, j) of each block taken from
/// where `from` says in the same block.
fn blocks(t: &Tensor, count: usize, from: impl Fn(usize, usize) -> (usize, usize)) -> Tensor {
    let (rows, columns) = (t.shape()[0], t.shape()[1]);
    let width = columns / count;
    let size = t.dtype().size();
    let mut out = Tensor::zeros(t.fact().clone());
    let source = t.bytes();
    for (at, cell) in out.bytes_mut().chunks_exact_mut(size).enumerate() {
        let (i, column) = (at / columns, at % columns);
        let (block, j) = (column / width, column % width);
        let (si, sj) = from(i, j);
        debug_assert!(si < rows);
        let start = (si * columns + block * width + sj) * size;
        cell.copy_from_slice(&source[start..start + size]);
    }
    out
}

/// The sum of the two halves of a vector.
fn add_halves(t: &Tensor) -> Option<Tensor> {
    fn add<T: crate::tensor::Elem + std::ops::Add<Output = T>>(t: &Tensor) -> Tensor {
        let (a, b) = t.as_slice::<T>().split_at(t.numel() / 2);
        let sum: Vec<T> = a.iter().zip(b).map(|(&a, &b)| a + b).collect();
        Tensor::from_slice([sum.len()], &sum)
    }
    match t.dtype() {
        DType::F16 => Some(add::<half::f16>(t)),
        DType::BF16 => Some(add::<half::bf16>(t)),
        DType::F32 => Some(add::<f32>(t)),
        DType::F64 => Some(add::<f64>(t)),
        _ => None,
    }
}

fn from_keras_1(
    layer: &str,
    class: &str,
    config: &Map<String, Json>,
    mut weights: Vec<StoredWeight>,
) -> Result<Vec<StoredWeight>> {
    let first = config.get("data_format").and_then(Json::as_str) == Some("channels_first");
    match class {
        "LSTM" if weights.len() == 12 => return gates(layer, weights, &[0, 2, 1, 3]),
        "GRU" if weights.len() == 9 => return gates(layer, weights, &[0, 1, 2]),
        "ConvLSTM2D" if weights.len() == 12 => {
            for at in (0..12).filter(|at| first && at % 3 < 2) {
                permute_at(layer, &mut weights, at, &[2, 3, 1, 0])?;
            }
            weights = gates(layer, weights, &[0, 2, 1, 3])?;
        }
        // Keras 1 has (length, 1, in, out), Keras 1.1 (out, in, length, 1).
        "Conv1D" => {
            let length = config
                .get("kernel_size")
                .and_then(|k| k.as_u64().or_else(|| k.get(0).and_then(Json::as_u64)));
            let filters = config.get("filters").and_then(Json::as_u64);
            let Some(kernel) = weights.first_mut() else {
                return Ok(weights);
            };
            let is = |d: usize, n: Option<u64>| Some(d as u64) == n;
            kernel.tensor = match *kernel.tensor.shape() {
                [l, 1, i, o] if is(l, length) && is(o, filters) => {
                    kernel.tensor.as_ref().clone().reshaped([l, i, o])
                }
                [o, i, l, 1] if is(l, length) && is(o, filters) => {
                    permute(&kernel.tensor, &[2, 3, 1, 0]).reshaped([l, i, o])
                }
                _ => return Err(bad(layer, kernel, "a kernel of Keras 1")),
            }
            .into();
        }
        "Conv2D" if first => permute_at(layer, &mut weights, 0, &[2, 3, 1, 0])?,
        "Conv3D" if first => permute_at(layer, &mut weights, 0, &[2, 3, 4, 1, 0])?,
        "Conv2DTranspose" if first => permute_at(layer, &mut weights, 0, &[2, 3, 0, 1])?,
        "Conv2DTranspose" => permute_at(layer, &mut weights, 0, &[0, 1, 3, 2])?,
        _ => {}
    }
    Ok(weights)
}

/// Keras 1 has a kernel, a recurrent kernel and a bias for each gate; `order`
/// says which gate comes where now.
fn gates(layer: &str, weights: Vec<StoredWeight>, order: &[usize]) -> Result<Vec<StoredWeight>> {
    (0..3)
        .map(|kind| {
            let parts: Vec<&StoredWeight> = order.iter().map(|g| &weights[3 * g + kind]).collect();
            let fact = parts[0].tensor.fact();
            if let Some(other) = parts.iter().find(|p| p.tensor.fact() != fact) {
                return Err(bad(layer, other, &fact.to_string()));
            }
            let mut shape = fact.shape.clone();
            let Some(last) = shape.last_mut() else {
                return Err(bad(layer, parts[0], "a matrix or a vector"));
            };
            let row = *last * fact.dtype.size();
            *last *= parts.len();
            let mut tensor = Tensor::zeros(Fact::new(fact.dtype, shape));
            if row > 0 {
                let rows = tensor.bytes_mut().chunks_exact_mut(row * parts.len());
                for (r, out) in rows.enumerate() {
                    for (part, out) in parts.iter().zip(out.chunks_exact_mut(row)) {
                        out.copy_from_slice(&part.tensor.bytes()[r * row..(r + 1) * row]);
                    }
                }
            }
            Ok(StoredWeight {
                name: parts[0].name.clone(),
                tensor: tensor.into(),
            })
        })
        .collect()
}

fn permute_at(layer: &str, weights: &mut [StoredWeight], at: usize, axes: &[usize]) -> Result<()> {
    let Some(w) = weights.get_mut(at) else {
        return Ok(());
    };
    if w.tensor.shape().len() != axes.len() {
        return Err(bad(layer, w, &format!("of rank {}", axes.len())));
    }
    w.tensor = permute(&w.tensor, axes).into();
    Ok(())
}

/// The tensor with its axes in another order.
fn permute(t: &Tensor, axes: &[usize]) -> Tensor {
    let shape: Vec<usize> = axes.iter().map(|&a| t.shape()[a]).collect();
    let strides: Vec<usize> = axes.iter().map(|&a| numel(&t.shape()[a + 1..])).collect();
    gather(t, &shape, |index| {
        index.iter().zip(&strides).map(|(i, s)| i * s).sum()
    })
}

/// A kernel with all its spatial axes reversed; the last two are channels.
fn flip_kernel(t: &Tensor) -> Tensor {
    let shape = t.shape().to_vec();
    let spatial = shape.len().saturating_sub(2);
    gather(t, &shape, |index| {
        index.iter().enumerate().fold(0, |at, (axis, &i)| {
            let i = if axis < spatial {
                shape[axis] - 1 - i
            } else {
                i
            };
            at * shape[axis] + i
        })
    })
}

/// A tensor of another shape, each element taken from the flat place that `from` says.
fn gather(t: &Tensor, shape: &[usize], from: impl Fn(&[usize]) -> usize) -> Tensor {
    let size = t.dtype().size();
    let mut out = Tensor::zeros(Fact::new(t.dtype(), shape));
    let mut index = vec![0; shape.len()];
    for cell in out.bytes_mut().chunks_exact_mut(size.max(1)) {
        let start = from(&index) * size;
        cell.copy_from_slice(&t.bytes()[start..start + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

fn bad(layer: &str, weight: &StoredWeight, expected: &str) -> Error {
    Error::BadWeight {
        layer: layer.to_string(),
        weight: weight.name.clone(),
        expected: expected.to_string(),
        given: format!(
            "{} {}",
            weight.tensor.dtype(),
            show_shape(weight.tensor.shape())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ramp(shape: &[usize]) -> StoredWeight {
        let values: Vec<f32> = (0..numel(shape)).map(|v| v as f32).collect();
        StoredWeight {
            name: "w".to_string(),
            tensor: Tensor::from_slice(shape, &values).into(),
        }
    }

    fn check(class: &str, config: Json, given: &[&[usize]], want: &[(&[usize], &[f64])]) {
        let Json::Object(config) = config else {
            panic!("no object");
        };
        let given = given.iter().map(|s| ramp(s)).collect();
        let got = relayout(class, &config, given).expect(class);
        assert_eq!(got.len(), want.len(), "{class}");
        for (got, (shape, values)) in got.iter().zip(want) {
            assert_eq!(got.tensor.shape(), *shape, "{class}");
            assert_eq!(got.tensor.to_f64(), *values, "{class}");
        }
    }

    /// Values from `_convert_rnn_weights` of Keras 2.
    #[test]
    fn cudnn_weights_are_turned() {
        check(
            "LSTM",
            json!({"cudnn_weights": true}),
            &[&[3, 8], &[2, 8], &[16]],
            &[
                (
                    &[3, 8],
                    &[
                        0., 9., 2., 11., 4., 13., 6., 15., 1., 16., 3., 18., 5., 20., 7., 22., 8.,
                        17., 10., 19., 12., 21., 14., 23.,
                    ],
                ),
                (
                    &[2, 8],
                    &[
                        0., 8., 2., 10., 4., 12., 6., 14., 1., 9., 3., 11., 5., 13., 7., 15.,
                    ],
                ),
                (&[8], &[8., 10., 12., 14., 16., 18., 20., 22.]),
            ],
        );
        check(
            "GRU",
            json!({"cudnn_weights": true}),
            &[&[3, 6], &[2, 6], &[12]],
            &[
                (
                    &[3, 6],
                    &[
                        0., 7., 2., 9., 4., 11., 1., 12., 3., 14., 5., 16., 6., 13., 8., 15., 10.,
                        17.,
                    ],
                ),
                (&[2, 6], &[0., 6., 2., 8., 4., 10., 1., 7., 3., 9., 5., 11.]),
                (&[2, 6], &[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11.]),
            ],
        );
    }

    #[test]
    fn keras_1_weights_are_turned() {
        let one = [1, 1];
        let bias = [1];
        let twelve: Vec<&[usize]> = (0..12)
            .map(|i| if i % 3 == 2 { &bias[..] } else { &one[..] })
            .collect();
        check(
            "LSTM",
            json!({"keras1_weights": true}),
            &twelve,
            &[(&[1, 4], &[0.; 4]), (&[1, 4], &[0.; 4]), (&[4], &[0.; 4])],
        );
        check(
            "Conv2D",
            json!({"keras1_weights": true, "data_format": "channels_first"}),
            &[&[2, 1, 1, 2]],
            &[(&[1, 2, 1, 2], &[0., 2., 1., 3.])],
        );
        check(
            "Conv1D",
            json!({"keras1_weights": true, "kernel_size": 2, "filters": 3}),
            &[&[3, 1, 2, 1]],
            &[(&[2, 1, 3], &[0., 2., 4., 1., 3., 5.])],
        );
        check(
            "Conv2D",
            json!({"theano_weights": true}),
            &[&[1, 3, 1, 2], &[2]],
            &[
                (&[1, 3, 1, 2], &[4., 5., 2., 3., 0., 1.]),
                (&[2], &[0., 1.]),
            ],
        );
    }

    #[test]
    fn gates_are_put_in_order() {
        let weight = |v: f32| StoredWeight {
            name: v.to_string(),
            tensor: Tensor::from_slice([2, 1], &[v, v + 0.5]).into(),
        };
        let weights = (0..12).map(|i| weight(i as f32)).collect();
        let Json::Object(config) = json!({"keras1_weights": true}) else {
            panic!("no object");
        };
        let got = relayout("LSTM", &config, weights).expect("LSTM");
        let want = [0., 6., 3., 9., 0.5, 6.5, 3.5, 9.5];
        assert_eq!(got[0].tensor.to_f64(), want);
        assert_eq!(got[0].tensor.shape(), [2, 4]);
    }

    #[test]
    fn weights_that_cant_be_turned_are_told() {
        let cudnn = || json!({"cudnn_weights": true});
        let keras_1 = || json!({"keras1_weights": true, "kernel_size": 2, "filters": 3});
        let scalars: [&[usize]; 12] = [&[]; 12];
        let mut uneven: [&[usize]; 12] = [&[1, 1]; 12];
        uneven[6] = &[1, 2];
        let cases: [(&str, Json, &[&[usize]], &str); 5] = [
            (
                "LSTM",
                cudnn(),
                &[&[3, 8], &[2, 9], &[16]],
                "must be a matrix of (units, gates x units), not ",
            ),
            (
                "GRU",
                cudnn(),
                &[&[3, 8], &[2, 6], &[12]],
                "must be a matrix of (inputs, gates x units), not ",
            ),
            (
                "Conv1D",
                keras_1(),
                &[&[7, 1, 2, 2]],
                "must be a kernel of Keras 1, not ",
            ),
            (
                "LSTM",
                keras_1(),
                &scalars,
                "must be a matrix or a vector, not ",
            ),
            ("LSTM", keras_1(), &uneven, "must be float32 (1, 1), not "),
        ];
        for (class, config, given, told) in cases {
            let Json::Object(config) = config else {
                panic!("no object");
            };
            let given = given.iter().map(|s| ramp(s)).collect();
            let e = relayout(class, &config, given).map(|_| ());
            let e = e.expect_err(told).to_string();
            assert!(e.contains(told), "{e}");
        }
        let whole = |shape: &[usize]| StoredWeight {
            name: "w".to_string(),
            tensor: Tensor::zeros(Fact::new(DType::I32, shape)).into(),
        };
        let Json::Object(config) = cudnn() else {
            panic!("no object");
        };
        let weights = [&[3, 8][..], &[2, 8], &[16]].map(whole).into();
        let e = relayout("LSTM", &config, weights).map(|_| ());
        let e = e.expect_err("a bias").to_string();
        assert!(e.contains("must be floating point, not int32 (16,)"), "{e}");
    }

    #[test]
    fn nested_layers_are_found_by_name() {
        let named = |name: &str, shape: &[usize]| StoredWeight {
            name: name.to_string(),
            ..ramp(shape)
        };
        let lstm = |name: &str| json!({"class_name": "LSTM", "config": {"name": name, "cudnn_weights": true}});
        let model = json!({"class_name": "Sequential", "config": {"layers": [
            {"class_name": "Bidirectional", "config": {"name": "b", "layer": lstm("f")}},
            {"class_name": "Functional", "name": "inner", "config": {"layers": [
                {"class_name": "Dense", "config": {"name": "lstm"}},
                lstm("lstm_1")]}}]}});
        let three = |name: &str| {
            [
                named(&format!("{name}/kernel:0"), &[3, 8]),
                named(&format!("{name}/recurrent_kernel:0"), &[2, 8]),
                named(&format!("{name}/bias:0"), &[16]),
            ]
        };
        let both = [three("b/forward_f"), three("b/backward_f")].concat();
        let mut inner = vec![named("lstm/kernel:0", &[2, 8]), named("lstm/bias:0", &[8])];
        inner.extend(three("lstm_1"));
        let mut weights = vec![("b".to_string(), both), ("inner".to_string(), inner)];
        apply(&model, &mut weights).expect("apply");
        let shapes = |at: usize| -> Vec<Vec<usize>> {
            let weights = weights[at].1.iter();
            weights.map(|w| w.tensor.shape().to_vec()).collect()
        };
        let lstm = [vec![3, 8], vec![2, 8], vec![8]];
        assert_eq!(shapes(0), [lstm.clone(), lstm.clone()].concat());
        assert_eq!(
            shapes(1),
            [vec![vec![2, 8], vec![8]], lstm.to_vec()].concat()
        );
        assert_eq!(weights[1].1[0].tensor.to_f64()[1], 1.0);
        assert_eq!(weights[1].1[2].tensor.to_f64()[1], 9.0);

        let mut lost = vec![("inner".to_string(), three("other").to_vec())];
        assert!(apply(&model, &mut lost).is_err());
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let Json::Object(config) = json!({"name": "rnn", "cudnn_weights": true}) else {
            panic!("no object");
        };
        let weights =
            |shapes: &[&[usize]]| -> Vec<StoredWeight> { shapes.iter().map(|s| ramp(s)).collect() };
        let wrong = weights(&[&[3, 7], &[2, 8], &[16]]);
        let e = relayout("LSTM", &config, wrong).expect_err("a shape");
        assert_eq!(e.kind(), "bad_weight");
        // Those of a plain LSTM stay.
        let plain = weights(&[&[3, 8], &[2, 8], &[8]]);
        let got = relayout("LSTM", &config, plain).expect("an LSTM");
        assert_eq!(got[0].tensor.to_f64()[1], 1.0);
    }
}
