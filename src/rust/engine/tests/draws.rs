//! What training draws: shares, scales, and what is drawn together. Distributions are
//! compared with those of Keras by `golden/draws.py`.

#[allow(dead_code)]
#[path = "golden/pack.rs"]
mod pack;

use keraspredict_engine::tensor::Tensor;
use keraspredict_engine::RunOptions;
use pack::{predict, Case};
use serde_json::{json, Value as Json};

/// What a layer makes of x in training, with a seed.
fn draw(class: &str, config: Json, x: &Tensor, seed: u64) -> Vec<f64> {
    let (rows, shape) = (x.shape()[0], &x.shape()[1..]);
    let size: Vec<Json> = std::iter::once(Json::Null)
        .chain(shape.iter().map(|&d| d.into()))
        .collect();
    let mut layer = json!({"name": "layer"});
    for (key, value) in config.as_object().expect("an object") {
        layer[key] = value.clone();
    }
    let model = json!({"class_name": "Sequential", "config": {"name": "model", "layers": [
        {"class_name": "InputLayer", "config": {"name": "input", "batch_shape": size, "dtype": "float32"}},
        {"class_name": class, "config": layer},
    ]}});
    let case = Case {
        id: class.to_string(),
        meta: json!({"rows": rows, "call": {"training": true}}),
        model: model.to_string().into_bytes(),
        weights: None,
        inputs: vec![x.clone()],
        outputs: vec![],
        seed,
    };
    let model = case.load().expect("a model");
    let outputs = predict(&model, &case, rows, rows, RunOptions::default()).expect(class);
    outputs[0].to_f64()
}

fn ones(shape: &[usize]) -> Tensor {
    Tensor::from_slice(shape, &vec![1.0f32; shape.iter().product()])
}

/// Images of one value each: 0, 1, 2 and so on.
fn flat_images(n: usize) -> Tensor {
    let values: Vec<f32> = (0..n).flat_map(|i| [i as f32; 5 * 6 * 3]).collect();
    Tensor::from_slice([n, 5, 6, 3], &values)
}

fn moments(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

#[test]
fn shares_and_scales_are_those_asked_for() {
    let x = ones(&[200, 5, 20]);
    for rate in [0.2, 0.5, 0.9] {
        for class in ["Dropout", "SpatialDropout1D"] {
            let y = draw(class, json!({"rate": rate}), &x, 1);
            let zeros = y.iter().filter(|&&v| v == 0.0).count() as f64 / y.len() as f64;
            assert!((zeros - rate).abs() < 0.03, "{class} {rate}: {zeros}");
            let scale = 1.0 / (1.0 - rate);
            let kept = y.iter().filter(|&&v| v != 0.0);
            assert!(kept.clone().all(|v| (v - scale).abs() < 1e-5), "{class}");
        }
        let (mean, deviation) = moments(&draw("GaussianDropout", json!({"rate": rate}), &x, 1));
        let wanted = (rate / (1.0 - rate)).sqrt();
        assert!((mean - 1.0).abs() < 0.1 && (deviation / wanted - 1.0).abs() < 0.03);
        let (mean, deviation) = moments(&draw("GaussianNoise", json!({"stddev": rate}), &x, 1));
        assert!((mean - 1.0).abs() < 0.03 && (deviation / rate - 1.0).abs() < 0.03);
    }
}

#[test]
fn what_shares_a_draw_is_dropped_together() {
    let x = ones(&[50, 4, 3]);
    // How many elements hold whole draws, and how far those of one are apart.
    for (class, config, size, apart) in [
        ("SpatialDropout1D", json!({"rate": 0.4}), 12, 3),
        (
            "Dropout",
            json!({"rate": 0.4, "noise_shape": [null, 1, 3]}),
            12,
            3,
        ),
        (
            "Dropout",
            json!({"rate": 0.4, "noise_shape": [1, 4, 3]}),
            600,
            12,
        ),
        (
            "AlphaDropout",
            json!({"rate": 0.4, "noise_shape": [null, 4, 1]}),
            3,
            1,
        ),
    ] {
        let y = draw(class, config.clone(), &x, 2);
        let together = |part: &[f64]| part.windows(apart + 1).all(|w| w[0] == w[apart]);
        assert!(y.chunks(size).all(together), "{class} {config}");
        assert!(y.iter().any(|&v| v != y[0]), "{class} {config}");
    }
}

#[test]
fn images_are_changed_one_by_one_and_within_the_range() {
    let x = flat_images(40);
    let y = draw("RandomBrightness", json!({"factor": [-0.2, 0.4]}), &x, 3);
    let mut moved = vec![];
    for (i, image) in y.chunks(5 * 6 * 3).enumerate() {
        assert!(image.iter().all(|&v| v == image[0]), "image {i}");
        let by = (image[0] - i as f64) / 255.0;
        assert!((-0.2..=0.4).contains(&by), "image {i}: {by}");
        moved.push(by);
    }
    let (_, deviation) = moments(&moved);
    assert!(deviation > 0.1, "{deviation}");
    for class in ["RandAugment", "AugMix", "RandomElasticTransform"] {
        let y = draw(class, json!({"value_range": [5, 30]}), &x, 3);
        assert!(y.iter().all(|v| (5.0..=30.0).contains(v)), "{class}");
    }
}

#[test]
fn boxes_of_other_images_are_put_in() {
    let y = draw("CutMix", json!({"factor": [0.5, 1.0]}), &flat_images(40), 4);
    let mut mixed = 0;
    for (i, image) in y.chunks(5 * 6 * 3).enumerate() {
        let others: Vec<f64> = image.iter().copied().filter(|&v| v != i as f64).collect();
        assert!(
            others.iter().all(|&v| v == others[0] && v < 40.0),
            "image {i}"
        );
        mixed += usize::from(!others.is_empty());
    }
    assert!(mixed > 20, "{mixed}");
}

#[test]
fn nothing_is_done_where_no_step_is_asked_for() {
    let x = flat_images(3);
    for (class, config) in [
        ("RandAugment", json!({"num_ops": 0})),
        ("AugMix", json!({"chain_depth": 0})),
        ("RandomElasticTransform", json!({"factor": 0.0})),
        ("RandomElasticTransform", json!({"scale": 0.0})),
    ] {
        let y = draw(class, config.clone(), &x, 5);
        let apart = y.iter().zip(x.to_f64()).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-5, "{class} {config}");
    }
}

#[test]
fn seeds_decide() {
    let x = ones(&[4, 8]);
    let of = |seed| draw("Dropout", json!({"rate": 0.5}), &x, seed);
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}
