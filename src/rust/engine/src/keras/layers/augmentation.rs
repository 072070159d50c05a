//! Random image augmentation, which does nothing but cast at inference (some of
//! it can train), and the Pipeline of such layers.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::Result;
use crate::graph::ValueId;
use crate::keras::layers::augment::Training;
use crate::keras::layers::image::{batched, data, nest, no_image, smart_resize};
use crate::keras::layers::reshaping::to_channels_last;
use crate::keras::model::StoreNames;
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};
use crate::nest::Nest;

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

/// Set for RandomCrop by configs of Keras before 3.8, where it resizes in predictions.
pub const RESIZES: &str = "resizes_in_predictions";

struct Augmentation {
    training: Training,
    /// To what images are resized in predictions.
    resized: Option<[usize; 2]>,
    channels_first: bool,
}

/// A layer that changes images in training only.
pub fn augmentation(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let training = Training::read(cfg)?;
    let resized = match cfg.bool_or(RESIZES, false)? {
        true => Some([cfg.usize("height")?, cfg.usize("width")?]),
        false => None,
    };
    cfg.pass_over(KEYS);
    Ok(Built::new(Augmentation {
        training,
        resized,
        channels_first: cfg.channels_first()?,
    }))
}

impl Layer for Augmentation {
    fn parameters(&self) -> &'static [&'static str] {
        &["data", "training"]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let data = data(cx, me, call)?;
        if !cx.training {
            return match (self.resized, &data) {
                (Some(size), Arg::Tensor(t)) => {
                    let resize = |cx: &mut Cx, x: ValueId| smart_resize(cx, x, size);
                    Ok(batched(cx, t.value, self.channels_first, resize)?.into())
                }
                _ => Ok(nest(&data)),
            };
        }
        match &data {
            Arg::Tensor(t) => Ok(self.images(cx, me, t.value)?.into()),
            Arg::Dict(parts) => self.parts(cx, me, parts),
            _ => Err(cx.call_error("expected images, or a dict of them")),
        }
    }
}

impl Augmentation {
    fn images(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<ValueId> {
        let change = |cx: &mut Cx, x: ValueId| self.training.images(cx, &me.class, x);
        batched(cx, x, self.channels_first, change)
    }

    /// Images and what belongs to them, all changed by the same draws.
    fn parts(&self, cx: &mut Cx, me: &LayerNode, parts: &[(String, Arg)]) -> Result<Out> {
        let images = parts.iter().find(|(key, _)| key == "images");
        let Some(&(_, Arg::Tensor(T { value: images, .. }))) = images else {
            return Err(cx.call_error("expected `images` among the data"));
        };
        if cx.rank(images) != 4 {
            return Err(no_image(cx, images));
        }
        let start = cx.streams();
        let changed = self.images(cx, me, images)?;
        let fresh = cx.streams();
        let images = match self.channels_first {
            true => to_channels_last(cx, images)?,
            false => images,
        };
        let shape = cx.shape(images);
        let mut made = vec![];
        for (key, part) in parts {
            let out = match (key.as_str(), part) {
                ("images", _) => changed.into(),
                ("labels", Arg::Tensor(t)) => {
                    let labels = |cx: &mut Cx| self.training.labels(cx, &shape, t.value);
                    cx.redraw(start, labels)?.into()
                }
                ("segmentation_masks", Arg::Tensor(t)) => {
                    let masks = |cx: &mut Cx, x: ValueId| {
                        self.training.masks(cx, &me.class, images, x, fresh)
                    };
                    let masks = |cx: &mut Cx| batched(cx, t.value, self.channels_first, masks);
                    cx.redraw(start, masks)?.into()
                }
                ("bounding_boxes", _) if !self.training.leaves_boxes() => {
                    return Err(cx.call_error(format!(
                        "`training = TRUE` of {} is not supported for bounding boxes",
                        me.class
                    )));
                }
                _ => nest(part),
            };
            made.push((key.clone(), out));
        }
        Ok(Nest::Dict(made))
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
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "training", "mask"]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let Some(mut data) = call.args.first().cloned() else {
            return Err(cx.call_error("expected images"));
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
            "RandomFlip" | "MixUp" | "RandomGrayscale" | "RandomHeight" => json!({"name": "layer"}),
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
            "RandomRotation",
            "RandomSharpness",
            "RandomGrayscale",
            "MixUp",
            "CutMix",
            "RandAugment",
            "AugMix",
            "RandomElasticTransform",
        ] {
            assert_eq!(trained(class, 0.2), Ok(vec![2, 3, 4, 1]), "{class}");
        }
        let refused = trained("RandomHeight", 0.2).expect_err("not supported");
        assert!(refused.contains("RandomHeight"), "{refused}");
    }
}
