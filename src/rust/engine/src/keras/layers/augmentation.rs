//! Random image augmentation, which does nothing but cast at inference, and the
//! Pipeline of such layers.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::Result;
use crate::keras::layers::image::{data, nest};
use crate::keras::model::StoreNames;
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};

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

struct Augmentation;

/// A layer that changes images in training only.
pub fn augmentation(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    cfg.pass_over(KEYS);
    cfg.channels_first()?;
    Ok(Built::new(Augmentation))
}

impl Layer for Augmentation {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        if cx.training {
            return Err(cx.error(format!(
                "training = TRUE is not supported for a layer of class {}",
                me.class
            )));
        }
        Ok(nest(&data(cx, me, call)?))
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
