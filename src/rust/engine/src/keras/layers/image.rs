//! Image preprocessing that acts at inference: Resizing, CenterCrop,
//! AutoContrast, ContrastLimitedAdaptiveHistogramEqualization, MaxNumBoundingBoxes.
//!
//! All take images (one, or a batch), or a dict of images and what belongs to
//! them, and cast what they are given to the compute dtype.

use crate::error::{Error, Result};
use crate::graph::{Binary, PadMode, Reduce, Unary, ValueId};
use crate::keras::layers::clahe::Clahe;
use crate::keras::layers::reshaping::{to_channels_first, to_channels_last};
use crate::keras::resize::{crop_to_ratio, Fit, Interpolation, Resize};
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};
use crate::nest::Nest;
use crate::tensor::DType;

/// What a layer does to each part of its data.
pub trait Transform: Send + Sync {
    /// Images (n, height, width, channels).
    fn images(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId>;

    /// Segmentation masks, which have the layout of images.
    fn masks(&self, _: &mut Cx, x: ValueId) -> Result<ValueId> {
        Ok(x)
    }

    /// Bounding boxes (n, boxes, 4), or their labels (n, boxes).
    fn boxes(&self, _: &mut Cx, x: ValueId) -> Result<ValueId> {
        Ok(x)
    }
}

/// A layer over images, or over a dict of data.
struct ImageLayer<F> {
    transform: F,
    channels_first: bool,
}

/// The layer, from the keys that all of its kind have.
fn build(cfg: &Cfg, transform: impl Transform + 'static) -> Result<Built> {
    cfg.pass_over(&["bounding_box_format", "factor"]);
    let channels_first = cfg.channels_first()?;
    Ok(Built::new(ImageLayer {
        transform,
        channels_first,
    }))
}

/// The error for a tensor that is neither an image nor a batch of images.
pub fn no_image(cx: &Cx, x: ValueId) -> Error {
    let rank = cx.rank(x);
    cx.error(format!(
        "expected an image or a batch of images, not a tensor of rank {rank}"
    ))
}

/// Applies `f` to images (n, height, width, channels) made of the given ones,
/// which may be one image, and may have their channels first.
pub fn batched(
    cx: &mut Cx,
    x: ValueId,
    channels_first: bool,
    f: impl Fn(&mut Cx, ValueId) -> Result<ValueId>,
) -> Result<ValueId> {
    let rank = cx.rank(x);
    if !matches!(rank, 3 | 4) {
        return Err(no_image(cx, x));
    }
    let mut y = match rank {
        3 => cx.expand_dims(x, 0)?,
        _ => x,
    };
    if channels_first {
        y = to_channels_last(cx, y)?;
    }
    y = f(cx, y)?;
    if channels_first {
        y = to_channels_first(cx, y)?;
    }
    match rank {
        3 => cx.squeeze(y, 0),
        _ => Ok(y),
    }
}

/// A call's data, every tensor in the compute dtype, but for bounding boxes, which
/// are float32 whatever that is.
pub fn data(cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Arg> {
    let Some(data) = call.args.first() else {
        return Err(cx.call_error("expected images"));
    };
    let mut data = data.map(&mut |t| Ok(cx.cast(t.value, me.policy.compute)?.into()))?;
    let boxes = entry(&mut data, "bounding_boxes").and_then(|found| entry(found, "boxes"));
    if let Some(boxes) = boxes {
        *boxes = boxes.map(&mut |t| Ok(cx.cast(t.value, DType::F32)?.into()))?;
    }
    Ok(data)
}

/// What a dict of data has under a name.
fn entry<'a>(data: &'a mut Arg, name: &str) -> Option<&'a mut Arg> {
    match data {
        Arg::Dict(parts) => parts
            .iter_mut()
            .find(|(key, _)| key == name)
            .map(|p| &mut p.1),
        _ => None,
    }
}

impl<F: Transform> ImageLayer<F> {
    fn part(&self, cx: &mut Cx, key: &str, t: T) -> Result<T> {
        let first = self.channels_first;
        let value = match key {
            "images" => batched(cx, t.value, first, |cx, x| self.transform.images(cx, x))?,
            "segmentation_masks" => {
                batched(cx, t.value, first, |cx, x| self.transform.masks(cx, x))?
            }
            _ => t.value,
        };
        Ok(value.into())
    }
}

impl<F: Transform> Layer for ImageLayer<F> {
    fn parameters(&self) -> &'static [&'static str] {
        &["data", "training"]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let parts = match data(cx, me, call)? {
            Arg::Dict(parts) => parts,
            Arg::Tensor(t) => return Ok(self.part(cx, "images", t)?.into()),
            _ => return Err(cx.call_error("expected images, or a dict of them")),
        };
        let mut made = vec![];
        for (key, part) in parts {
            let part = match (key.as_str(), &part) {
                ("bounding_boxes", boxes) => {
                    boxes.map(&mut |t| Ok(self.transform.boxes(cx, t.value)?.into()))?
                }
                (key, Arg::Tensor(t)) => Arg::Tensor(self.part(cx, key, *t)?),
                _ => return Err(cx.call_error(format!("`{key}` must be a tensor"))),
            };
            made.push((key, nest(&part)));
        }
        Ok(Nest::Dict(made))
    }
}

/// Data as a layer gives it back.
pub fn nest(data: &Arg) -> Out {
    match data {
        Arg::Tensor(t) => Nest::Leaf(*t),
        Arg::List(items) => Nest::List(items.iter().map(nest).collect()),
        Arg::Dict(items) => Nest::Dict(items.iter().map(|(k, v)| (k.clone(), nest(v))).collect()),
        Arg::Lit(_) => Nest::Null,
    }
}

/// Resizes images; masks by their nearest pixels.
struct Resizing(Resize);

fn height_width(cfg: &Cfg) -> Result<[usize; 2]> {
    Ok([cfg.usize("height")?, cfg.usize("width")?])
}

pub fn resizing(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    build(cfg, Resizing(Resize::read(cfg, height_width(cfg)?)?))
}

impl Transform for Resizing {
    fn images(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        self.0.apply(cx, x, 1)
    }

    fn masks(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let nearest = Resize {
            how: Interpolation::Nearest,
            ..self.0
        };
        nearest.apply(cx, x, 1)
    }

    fn boxes(&self, cx: &mut Cx, _: ValueId) -> Result<ValueId> {
        Err(no_boxes(cx))
    }
}

/// Keras can't save a model in which bounding boxes are resized or cropped.
fn no_boxes(cx: &Cx) -> Error {
    cx.call_error("bounding boxes can't be resized or cropped")
}

/// The largest part of images that has the ratio of a size, in that size.
pub(super) fn smart_resize(cx: &mut Cx, x: ValueId, size: [usize; 2]) -> Result<ValueId> {
    let x = crop_to_ratio(cx, x, 1, size)?;
    let stretch = Resize {
        size,
        how: Interpolation::Bilinear,
        antialias: false,
        fit: Fit::Stretch,
    };
    stretch.resample(cx, x, 1)
}

/// The middle of images; of smaller ones, the largest part of that ratio, resized.
struct CenterCrop {
    size: [usize; 2],
}

pub fn center_crop(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let size = height_width(cfg)?;
    if size.contains(&0) {
        return Err(cfg.bad("height", "a whole number > 0"));
    }
    build(cfg, CenterCrop { size })
}

impl Transform for CenterCrop {
    fn images(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let shape = cx.shape(x);
        let [height, width] = self.size;
        if shape[1] < height || shape[2] < width {
            return smart_resize(cx, x, self.size);
        }
        let (top, left) = ((shape[1] - height) / 2, (shape[2] - width) / 2);
        let x = cx.slice_axis(x, 1, top, top + height)?;
        cx.slice_axis(x, 2, left, left + width)
    }

    fn masks(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        self.images(cx, x)
    }

    fn boxes(&self, cx: &mut Cx, _: ValueId) -> Result<ValueId> {
        Err(no_boxes(cx))
    }
}

/// The two numbers of `value_range`, in order.
pub fn value_range(cfg: &Cfg) -> Result<(f64, f64)> {
    let expected = "two different numbers";
    let range = match cfg.get("value_range") {
        None => (0.0, 255.0),
        Some(v) => match crate::keras::cfg::numbers(v) {
            Some((shape, v)) if shape == [2] => (v[0].min(v[1]), v[0].max(v[1])),
            _ => return Err(cfg.bad("value_range", expected)),
        },
    };
    match range.0 < range.1 {
        true => Ok(range),
        false => Err(cfg.bad("value_range", expected)),
    }
}

/// Values of one range as values of another.
pub fn change_range(cx: &mut Cx, x: ValueId, from: (f64, f64), to: (f64, f64)) -> Result<ValueId> {
    if from == to {
        return Ok(x);
    }
    let dtype = cx.dtype(x);
    let rounded = |v: f64| crate::tensor::Tensor::scalar(dtype, v).to_f64()[0];
    let y = cx.binary_s(Binary::Sub, x, from.0)?;
    let y = cx.div_s(y, rounded(from.1) - rounded(from.0))?;
    let y = cx.mul_s(y, rounded(to.1) - rounded(to.0))?;
    cx.add_s(y, to.0)
}

/// Stretches the values of each channel over the whole range.
pub struct AutoContrast {
    pub range: (f64, f64),
}

/// The range of 8-bit images.
pub const BYTE: (f64, f64) = (0.0, 255.0);

pub fn auto_contrast(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let range = value_range(cfg)?;
    // Heights are the axes 1 and 2 whatever the format.
    cfg.pass_over(&["bounding_box_format"]);
    cfg.channels_first()?;
    Ok(Built::new(ImageLayer {
        transform: AutoContrast { range },
        channels_first: false,
    }))
}

impl Transform for AutoContrast {
    fn images(&self, cx: &mut Cx, given: ValueId) -> Result<ValueId> {
        if !cx.dtype(given).is_float() {
            return Err(cx.call_error("the contrast of integers can't be stretched"));
        }
        let x = change_range(cx, given, self.range, BYTE)?;
        let low = cx.reduce(Reduce::Min, x, &[1, 2], true)?;
        let high = cx.reduce(Reduce::Max, x, &[1, 2], true)?;
        let width = cx.sub(high, low)?;
        let dtype = cx.dtype(x);
        let most = cx.scalar(dtype, 255.0);
        let scale = cx.div(most, width)?;
        let offset = cx.unary(Unary::Neg, low)?;
        let offset = cx.mul(offset, scale)?;
        let y = cx.mul(x, scale)?;
        let y = cx.add(y, offset)?;
        let y = cx.clip(y, Some(0.0), Some(255.0))?;
        let y = change_range(cx, y, BYTE, self.range)?;
        // Channels of one value stay.
        let flat = cx.unary(Unary::IsNan, y)?;
        cx.select(flat, given, y)
    }
}

pub fn clahe(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let grid = cfg.usizes_or("tile_grid_size", 2, 8)?;
    if grid.contains(&0) {
        return Err(cfg.bad("tile_grid_size", "whole numbers > 0"));
    }
    // Unlike AutoContrast, Keras takes the range as it is given.
    let range = value_range(cfg)?;
    let clahe = Equalizer {
        range,
        clahe: Clahe {
            limit: cfg.f64_or("clip_limit", 4.0)?,
            grid: [grid[0], grid[1]],
        },
    };
    build(cfg, clahe)
}

struct Equalizer {
    range: (f64, f64),
    clahe: Clahe,
}

impl Transform for Equalizer {
    fn images(&self, cx: &mut Cx, given: ValueId) -> Result<ValueId> {
        let dtype = cx.dtype(given);
        let x = match self.range == BYTE {
            true => given,
            false => cx.cast(given, DType::F32)?,
        };
        let x = change_range(cx, x, self.range, BYTE)?;
        let y = self.clahe.apply(cx, x)?;
        let y = change_range(cx, y, BYTE, self.range)?;
        cx.cast(y, dtype)
    }
}

/// Cuts or fills up bounding boxes to a number of them.
struct MaxNumBoundingBoxes {
    count: usize,
    fill: f64,
}

pub fn max_num_bounding_boxes(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let layer = MaxNumBoundingBoxes {
        count: cfg.usize("max_number")?,
        fill: cfg.f64_or("fill_value", -1.0)?,
    };
    build(cfg, layer)
}

impl Transform for MaxNumBoundingBoxes {
    fn images(&self, _: &mut Cx, x: ValueId) -> Result<ValueId> {
        Ok(x)
    }

    fn boxes(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let have = cx.dim(x, 1)?;
        let x = cx.slice_axis(x, 1, 0, have.min(self.count))?;
        let mut pads = vec![(0, 0); cx.rank(x)];
        pads[1].1 = self.count.saturating_sub(have);
        cx.pad(x, &pads, PadMode::Constant, self.fill)
    }
}
