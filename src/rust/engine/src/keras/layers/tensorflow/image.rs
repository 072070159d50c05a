//! Sizes, places and brightness of `tf.image`.

use serde_json::Value as Json;

use super::args::{literal, plain, Args};
use super::nets::moments;
use super::Name;
use crate::error::Result;
use crate::graph::{PadMode, Unary, ValueId};
use crate::keras::layers::no_image;
use crate::keras::resize::{self, area_axis, old_bicubic_axis, Fit, Interpolation, Resize};
use crate::keras::{Arg, Cx, Out};
use crate::tensor::DType;

/// The functions of [`lower`].
pub const NAMES: [&str; 18] = [
    "central_crop",
    "crop_to_bounding_box",
    "flip_left_right",
    "flip_up_down",
    "grayscale_to_rgb",
    "pad_to_bounding_box",
    "per_image_standardization",
    "resize",
    "resize_area",
    "resize_bicubic",
    "resize_bilinear",
    "resize_images",
    "resize_images_v2",
    "resize_nearest_neighbor",
    "resize_with_crop_or_pad",
    "resize_with_pad",
    "rot90",
    "scale_and_translate",
];

/// Writes a function of images; `None` where `keras.ops` has it, or nothing does.
pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let &Name {
        space,
        function,
        old,
    } = name;
    if !matches!(space, "image" | "") {
        return Ok(None);
    }
    let x = a.first(cx)?;
    let rank = cx.rank(x);
    if !matches!(rank, 3 | 4) {
        return Err(no_image(cx, x));
    }
    let at = rank - 3;
    let (height, width) = (cx.shape(x)[at], cx.shape(x)[at + 1]);
    let size = |cx: &Cx, key: &str| -> Result<usize> {
        match a.int(cx, key)? {
            Some(n) if n >= 0 => Ok(n as usize),
            _ => Err(cx.call_error(format!("`{key}` must be a whole number"))),
        }
    };
    let out: ValueId = match function {
        "resize" | "resize_images" | "resize_images_v2" => {
            let size = match a.ints(cx, "size")?.as_deref() {
                Some(&[h, w]) if h > 0 && w > 0 => [h as usize, w as usize],
                _ => return Err(cx.call_error("`size` must be height and width")),
            };
            let method = match a.json(cx, "method")? {
                None => "bilinear".to_string(),
                Some(Json::String(s)) => s,
                Some(n) => match n.as_u64() {
                    Some(0) => "bilinear",
                    Some(1) => "nearest",
                    Some(2) => "bicubic",
                    Some(3) => "area",
                    _ => return Ok(None),
                }
                .to_string(),
            };
            let size = match a.flag("preserve_aspect_ratio") {
                false => size,
                true => {
                    let scale = (size[0] as f32 / height as f32).min(size[1] as f32 / width as f32);
                    [height, width].map(|n| (n as f32 * scale).round_ties_even() as usize)
                }
            };
            if old && function != "resize_images_v2" {
                resized_before_2(cx, x, at, size, &method, a.flag("align_corners"), false)?
            } else {
                let Some(how) = Interpolation::of_tensorflow(&method) else {
                    return Err(cx.call_error(format!("images can't be resized by '{method}'")));
                };
                let nearest = how == Interpolation::Nearest;
                let x = if nearest { x } else { cx.cast(x, DType::F32)? };
                let resize = Resize {
                    size,
                    how,
                    antialias: a.flag("antialias"),
                    fit: Fit::Stretch,
                };
                resize.resample(cx, x, at)?
            }
        }
        "resize_area" | "resize_bicubic" | "resize_bilinear" | "resize_nearest_neighbor" => {
            let size = match a.ints(cx, "size")?.as_deref() {
                Some(&[h, w]) if h > 0 && w > 0 => [h as usize, w as usize],
                _ => return Err(cx.call_error("`size` must be height and width")),
            };
            let method = match function {
                "resize_nearest_neighbor" => "nearest",
                other => other.trim_start_matches("resize_"),
            };
            let (corners, centers) = (a.flag("align_corners"), a.flag("half_pixel_centers"));
            resized_before_2(cx, x, at, size, method, corners, centers)?
        }
        "scale_and_translate" => {
            let size = [0, 1].map(|i| {
                let sizes = a.ints(cx, "size").ok().flatten()?;
                usize::try_from(*sizes.get(i)?).ok().filter(|&n| n > 0)
            });
            let [Some(h), Some(w)] = size else {
                return Err(cx.call_error("`size` must be height and width"));
            };
            let whole = [(h, height), (w, width)].map(|(to, from)| to as f32 / from as f32);
            let stretches = numbers(cx, a, "scale")? == whole;
            if !stretches || numbers(cx, a, "translation")? != [0.0; 2] {
                return Err(cx.call_error("only whole images can be resized"));
            }
            let kind = a.text("kernel_type").unwrap_or("lanczos3");
            let how = match kind {
                "triangle" => Some(Interpolation::Bilinear),
                "keyscubic" => Some(Interpolation::Bicubic),
                name => Interpolation::of_tensorflow(name),
            };
            let x = cx.cast(x, DType::F32)?;
            let resize = Resize {
                size: [h, w],
                how: how
                    .ok_or_else(|| cx.call_error(format!("`kernel_type` can't be '{kind}'")))?,
                antialias: a.flag("antialias"),
                fit: Fit::Stretch,
            };
            resize.resample(cx, x, at)?
        }
        "flip_left_right" => cx.reverse(x, at as isize + 1)?,
        "flip_up_down" => cx.reverse(x, at as isize)?,
        "rot90" => {
            let k = a.int(cx, "k")?.unwrap_or(1).rem_euclid(4);
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.swap(at, at + 1);
            let (h, w) = (at as isize, at as isize + 1);
            match k {
                0 => x,
                1 => {
                    let y = cx.transpose(x, &perm)?;
                    cx.reverse(y, h)?
                }
                2 => {
                    let y = cx.reverse(x, h)?;
                    cx.reverse(y, w)?
                }
                _ => {
                    let y = cx.transpose(x, &perm)?;
                    cx.reverse(y, w)?
                }
            }
        }
        "central_crop" => {
            let fraction = a.number(cx, "central_fraction", 1.0)?;
            let part = |n: usize| {
                let start = ((n as f64 - n as f64 * fraction) / 2.0) as usize;
                (start, n - 2 * start)
            };
            let (top, left) = (part(height), part(width));
            cropped(cx, x, at, [top, left])?
        }
        "crop_to_bounding_box" => {
            let box_ = [
                (size(cx, "offset_height")?, size(cx, "target_height")?),
                (size(cx, "offset_width")?, size(cx, "target_width")?),
            ];
            cropped(cx, x, at, box_)?
        }
        "pad_to_bounding_box" => {
            let box_ = [
                (size(cx, "offset_height")?, size(cx, "target_height")?),
                (size(cx, "offset_width")?, size(cx, "target_width")?),
            ];
            padded(cx, x, at, box_)?
        }
        "resize_with_crop_or_pad" => {
            let (h, w) = (size(cx, "target_height")?, size(cx, "target_width")?);
            let inner = |n: usize, to: usize| match n > to {
                true => ((n - to) / 2, to),
                false => (0, n),
            };
            let outer = |n: usize, to: usize| ((to.saturating_sub(n)) / 2, to);
            let y = cropped(cx, x, at, [inner(height, h), inner(width, w)])?;
            padded(cx, y, at, [outer(height, h), outer(width, w)])?
        }
        "resize_with_pad" => {
            let (h, w) = (size(cx, "target_height")?, size(cx, "target_width")?);
            let method = a.text("method").unwrap_or("bilinear");
            let Some(how) = Interpolation::of_tensorflow(method) else {
                return Err(cx.call_error(format!("images can't be resized by '{method}'")));
            };
            let ratio = (width as f32 / w as f32).max(height as f32 / h as f32);
            let inner = [height as f32 / ratio, width as f32 / ratio];
            let start =
                |to: usize, inner: f32| ((to as f32 - inner) / 2.0).floor().max(0.0) as usize;
            let (top, left) = (start(h, inner[0]), start(w, inner[1]));
            let nearest = how == Interpolation::Nearest;
            let x = if nearest { x } else { cx.cast(x, DType::F32)? };
            let resize = Resize {
                size: inner.map(|n| n.floor() as usize),
                how,
                antialias: a.flag("antialias"),
                fit: Fit::Stretch,
            };
            let y = resize.resample(cx, x, at)?;
            padded(cx, y, at, [(top, h), (left, w)])?
        }
        "grayscale_to_rgb" => {
            let mut shape = cx.shape(x);
            shape[rank - 1] = 3;
            cx.broadcast_to(x, &shape)?
        }
        "per_image_standardization" => {
            let x = cx.cast(x, DType::F32)?;
            let axes = [at, at + 1, at + 2];
            let n: usize = cx.shape(x)[at..].iter().product();
            let (mean, var) = moments(cx, x, &axes)?;
            let std = cx.unary(Unary::Sqrt, var)?;
            let std = cx.clip(std, Some(1.0 / (n as f64).sqrt()), None)?;
            let y = cx.sub(x, mean)?;
            cx.div(y, std)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

/// Numbers that follow from constants and sizes.
fn numbers(cx: &Cx, a: &Args, key: &str) -> Result<Vec<f32>> {
    let arg = a.get(key).cloned().unwrap_or(Arg::Lit(Json::Null));
    let value = literal(&plain(cx, arg)?);
    let numbers = value.as_ref().and_then(Json::as_array);
    let numbers = numbers.and_then(|v| v.iter().map(|n| Some(n.as_f64()? as f32)).collect());
    numbers.ok_or_else(|| cx.call_error(format!("`{key}` must be known before the run")))
}

/// The part of images from a start on, for height and width.
fn cropped(cx: &mut Cx, x: ValueId, at: usize, parts: [(usize, usize); 2]) -> Result<ValueId> {
    let mut y = x;
    for (i, (start, len)) in parts.into_iter().enumerate() {
        let axis = at + i;
        if start + len > cx.shape(x)[axis] {
            return Err(cx.error(format!(
                "{len} pixels from {start} on don't fit an image of {}",
                cx.shape(x)[axis]
            )));
        }
        y = cx.slice_axis(y, axis as isize, start, start + len)?;
    }
    Ok(y)
}

/// Images within zeros, from a start on, for height and width.
fn padded(cx: &mut Cx, x: ValueId, at: usize, parts: [(usize, usize); 2]) -> Result<ValueId> {
    let mut pads = vec![(0, 0); cx.rank(x)];
    for (i, (start, to)) in parts.into_iter().enumerate() {
        let n = cx.shape(x)[at + i];
        let after = to.checked_sub(start + n);
        pads[at + i] = (
            start,
            after.ok_or_else(|| {
                cx.error(format!(
                    "{n} pixels from {start} on don't fit into {to} pixels"
                ))
            })?,
        );
    }
    cx.pad(x, &pads, PadMode::Constant, 0.0)
}

/// Resizing as TensorFlow 1 samples: from the corners, or with both corners kept.
pub fn resized_before_2(
    cx: &mut Cx,
    x: ValueId,
    at: usize,
    size: [usize; 2],
    method: &str,
    corners: bool,
    centers: bool,
) -> Result<ValueId> {
    let mut y = match method {
        "nearest" => x,
        "bilinear" | "bicubic" | "area" => cx.cast(x, DType::F32)?,
        _ => return Err(cx.call_error(format!("images can't be resized by '{method}'"))),
    };
    for (i, &to) in size.iter().enumerate() {
        let axis = at + i;
        let from = cx.shape(x)[axis];
        let scale = match corners && to > 1 {
            true => (from - 1) as f32 / (to - 1) as f32,
            false => from as f32 / to as f32,
        };
        let top = from.saturating_sub(1) as f32;
        let place = |i: usize| match centers {
            true => (i as f32 + 0.5) * scale - 0.5,
            false => i as f32 * scale,
        };
        if method == "nearest" {
            let near = |i: usize| match (corners, centers) {
                (true, _) => (i as f32 * scale).round(),
                (_, true) => ((i as f32 + 0.5) * scale).floor(),
                _ => (i as f32 * scale).floor(),
            };
            let near = cx.generated([to], |i| near(i).clamp(0.0, top) as i32)?;
            y = cx.gather(y, near, axis, 0)?;
            continue;
        }
        if method != "bilinear" {
            y = match method {
                "area" => area_axis(cx, y, axis, to, scale)?,
                _ if centers => resize::axis(cx, y, axis, to, Interpolation::Bicubic, false)?,
                _ => old_bicubic_axis(cx, y, axis, to, scale)?,
            };
            continue;
        }
        let low = cx.generated([to], |i| place(i).floor().max(0.0) as i32)?;
        let high = cx.generated([to], |i| place(i).ceil().min(top) as i32)?;
        let mut shape = vec![1; cx.rank(x)];
        shape[axis] = to;
        let part = cx.generated(shape, |i| place(i) - place(i).floor())?;
        let (low, high) = (cx.gather(y, low, axis, 0)?, cx.gather(y, high, axis, 0)?);
        let step = cx.sub(high, low)?;
        let step = cx.mul(step, part)?;
        y = cx.add(low, step)?;
    }
    Ok(y)
}
