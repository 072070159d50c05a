//! Random image augmentation, which does nothing but cast at inference (some of
//! it can train), and the Pipeline of such layers.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::Result;
use crate::graph::{Binary, RandomKind, Reduce, ValueId};
use crate::keras::cfg::numbers;
use crate::keras::layers::image::{batched, data, nest, value_range};
use crate::keras::model::StoreNames;
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};
use crate::tensor::DType;

/// What the layers are told, none of which matters at inference.
const KEYS: &[&str] = &[
    "addition_factor",
    "all_ops",
    "alpha",
    "bins",
    "bounding_box_format",
    "brightness_factor",
    "chain_depth",
    "contrast_factor",
    "factor",
    "fill_mode",
    "fill_value",
    "force_generator",
    "height",
    "height_factor",
    "hue_factor",
    "interpolation",
    "kernel_size",
    "mode",
    "num_chains",
    "num_ops",
    "rng_type",
    "saturation_factor",
    "scale",
    "sigma",
    "threshold_factor",
    "value_range",
    "width",
    "width_factor",
    "x_factor",
    "y_factor",
];

/// What a layer does in training.
enum Training {
    /// Images are mirrored, half of them.
    Flip { across: bool, down: bool },
    /// A number between the factors, as a part of the range, is added.
    Brightness { factor: [f64; 2], range: (f64, f64) },
    /// The distance from the mean is multiplied by 1 and a number between the factors.
    Contrast { factor: [f64; 2], range: (f64, f64) },
    /// Values are taken from the end of the range, in a part of the images.
    Invert { factor: [f64; 2], range: (f64, f64) },
    /// Not known here.
    Other,
}

impl Training {
    fn read(cfg: &Cfg) -> Result<Training> {
        // Keras 2 writes a single number as it was given.
        let factor = |low: f64| match cfg.get("factor").map(numbers) {
            Some(Some((shape, v))) if shape == [2] => Ok([v[0], v[1]]),
            Some(Some((shape, v))) if shape.is_empty() => Ok([low * v[0], v[0]]),
            _ => Err(cfg.bad("factor", "one number or two")),
        };
        Ok(match cfg.class.as_str() {
            "RandomFlip" => {
                let modes = &["horizontal_and_vertical", "horizontal", "vertical"];
                let mode = cfg.one_of("mode", modes[0], modes)?;
                Training::Flip {
                    across: mode != "vertical",
                    down: mode != "horizontal",
                }
            }
            "RandomBrightness" => Training::Brightness {
                factor: factor(-1.0)?,
                range: value_range(cfg)?,
            },
            "RandomContrast" => Training::Contrast {
                factor: factor(1.0)?,
                range: value_range(cfg)?,
            },
            "RandomInvert" => Training::Invert {
                factor: factor(0.0)?,
                range: value_range(cfg)?,
            },
            _ => Training::Other,
        })
    }

    /// Images (n, height, width, channels) changed at random.
    fn images(&self, cx: &mut Cx, class: &str, x: ValueId) -> Result<ValueId> {
        let dtype = cx.dtype(x);
        if !dtype.is_float() {
            return Err(cx.error(format!("{class} can't train on {dtype} images")));
        }
        let each = [cx.dim(x, 0)?, 1, 1, 1];
        let between = |cx: &mut Cx, low: f64, high: f64| -> Result<ValueId> {
            let u = cx.random(RandomKind::Uniform, &each, DType::F32)?;
            let u = cx.mul_s(u, high - low)?;
            cx.add_s(u, low)
        };
        match self {
            Training::Flip { across, down } => {
                let u = between(cx, 0.0, 1.0)?;
                let flips = cx.binary_s(Binary::Le, u, 0.5)?;
                let mut y = x;
                for axis in [across.then_some(2), down.then_some(1)]
                    .into_iter()
                    .flatten()
                {
                    y = cx.reverse(y, axis)?;
                }
                cx.select(flips, y, x)
            }
            Training::Brightness { factor, range } => {
                let delta = between(cx, factor[0], factor[1])?;
                let delta = cx.mul_s(delta, range.1 - range.0)?;
                let delta = cx.cast(delta, dtype)?;
                let y = cx.add(x, delta)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::Contrast { factor, range } => {
                let by = between(cx, 1.0 - factor[0], 1.0 + factor[1])?;
                let by = cx.cast(by, dtype)?;
                let mean = cx.reduce(Reduce::Mean, x, &[1, 2], true)?;
                let y = cx.sub(x, mean)?;
                let y = cx.mul(y, by)?;
                let y = cx.add(y, mean)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::Invert { factor, range } => {
                let chance = between(cx, factor[0], factor[1])?;
                let u = between(cx, 0.0, 1.0)?;
                let inverted = cx.binary(Binary::Lt, u, chance)?;
                let y = cx.mul_s(x, -1.0)?;
                let y = cx.add_s(y, range.1)?;
                cx.select(inverted, y, x)
            }
            Training::Other => Err(cx.error(format!(
                "training = TRUE is not supported for a layer of class {class}"
            ))),
        }
    }
}

struct Augmentation {
    training: Training,
    channels_first: bool,
}

/// A layer that changes images in training only.
pub fn augmentation(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let training = Training::read(cfg)?;
    cfg.pass_over(KEYS);
    Ok(Built::new(Augmentation {
        training,
        channels_first: cfg.channels_first()?,
    }))
}

impl Layer for Augmentation {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let data = data(cx, me, call)?;
        if !cx.training {
            return Ok(nest(&data));
        }
        let Arg::Tensor(t) = data else {
            return Err(cx.error("training = TRUE is supported for images alone"));
        };
        let change = |cx: &mut Cx, x: ValueId| self.training.images(cx, &me.class, x);
        Ok(batched(cx, t.value, self.channels_first, change)?.into())
    }
}

/// Layers one after another; not a model.
struct Pipeline {
    keys: Vec<String>,
}

pub fn pipeline(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let Some(Json::Array(specs)) = cfg.get("layers") else {
        return Err(cfg.bad("layers", "a list of layers"));
    };
    let mut names = StoreNames::default();
    let layers: Vec<(String, Arc<LayerNode>)> = specs
        .iter()
        .map(|spec| {
            let layer = nested.layer(spec)?;
            Ok((names.next(&layer.class), layer))
        })
        .collect::<Result<_>>()?;
    let keys = layers.iter().map(|(key, _)| key.clone()).collect();
    let built = Built::new(Pipeline { keys });
    Ok(layers
        .into_iter()
        .fold(built, |built, (key, layer)| built.child(&key, layer)))
}

impl Layer for Pipeline {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let Some(mut data) = call.args.first().cloned() else {
            return Err(cx.error("expected images"));
        };
        for key in &self.keys {
            let mut step = Call {
                args: vec![data],
                kwargs: vec![],
            };
            if let Some(training) = call.kwarg("training") {
                step = step.with("training", training.clone());
            }
            let out = cx.call(me.child(key)?, &step)?;
            data = Arg::from(&out);
        }
        Ok(nest(&data))
    }

    fn autocast(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::keras::load::Loader;
    use crate::keras::Cx;
    use crate::tensor::Fact;

    fn trained(class: &str, factor: f64) -> Result<Vec<usize>, String> {
        let config = match class {
            "RandomFlip" => json!({"name": "layer"}),
            _ => json!({"name": "layer", "factor": [0.0, factor]}),
        };
        let spec = json!({"class_name": class, "config": config});
        let node = Loader::default().layer_node(&spec);
        let node = node.map_err(|e| e.to_string())?;
        let mut cx = Cx::new(true);
        let x = cx.input(Fact::f32([2, 3, 4, 1]));
        let y = cx.call_one(&node, x).map_err(|e| e.to_string())?;
        Ok(cx.shape(y.value))
    }

    #[test]
    fn some_layers_train_and_the_others_say_that_they_cannot() {
        for class in [
            "RandomFlip",
            "RandomBrightness",
            "RandomContrast",
            "RandomInvert",
        ] {
            assert_eq!(trained(class, 0.2), Ok(vec![2, 3, 4, 1]), "{class}");
        }
        let refused = trained("RandomSharpness", 0.2).expect_err("not supported");
        assert!(refused.contains("RandomSharpness"), "{refused}");
    }
}
