//! `keras.ops.image`: colours, sizes, patches, filters.

use crate::error::Result;
use crate::graph::{Binary, ConvAttrs, PadMode, Reduce, Unary, ValueId};
use crate::keras::layers::same_pads;
use crate::keras::layers::{batched, to_channels_first, to_channels_last};
use crate::keras::ops::args::*;
use crate::keras::ops::windows::Patches;
use crate::keras::promote::{result_type, Kind};
use crate::keras::resize::Resize;
use crate::keras::{Call, Cfg, Cx, Out};
use crate::kernels::seeded_normals;
use crate::tensor::{DType, Tensor};

pub use super::warp::{affine_transform, map_coordinates, perspective_transform};
use super::warp::{bilinear, Sampler};

/// The images of a call, in a batch with channels last, through `f`.
fn through(
    cx: &mut Cx,
    cfg: &Cfg,
    call: &Call,
    f: impl Fn(&mut Cx, ValueId) -> Result<ValueId>,
) -> Result<Out> {
    let x = tensor(cx, call, 0, "images")?;
    let first = cfg.channels_first()?;
    Ok(batched(cx, x, first, f)?.into())
}

/// The parts of the last axis, each kept as an axis of size 1.
fn channels<const N: usize>(cx: &mut Cx, x: ValueId) -> Result<[ValueId; N]> {
    if cx.dim(x, -1)? != N {
        return Err(cx.error(format!(
            "images must have {N} channels, not {}",
            cx.dim(x, -1)?
        )));
    }
    let mut parts = [x; N];
    for (i, part) in parts.iter_mut().enumerate() {
        *part = cx.slice_axis(x, -1, i, i + 1)?;
    }
    Ok(parts)
}

pub fn rgb_to_grayscale(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    through(cx, cfg, call, to_grey)
}

/// The brightness of images, as one channel.
pub fn to_grey(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    if cx.dim(x, -1)? == 1 {
        return Ok(x);
    }
    let own = cx.dtype(x);
    let dtype = result_type(&[Kind::Is(own), Kind::WeakFloat]);
    // A product of matrices is rounded once.
    let wide = if dtype == DType::F64 {
        dtype
    } else {
        DType::F32
    };
    let x = cx.cast(x, wide)?;
    let mut sum = None;
    for (part, weight) in channels::<3>(cx, x)?
        .into_iter()
        .zip([0.2989, 0.587, 0.114])
    {
        let weight = Tensor::scalar(dtype, weight).to_f64()[0];
        let part = cx.mul_s(part, weight)?;
        sum = Some(match sum {
            None => part,
            Some(sum) => cx.add(sum, part)?,
        });
    }
    let y = cx.cast(sum.unwrap_or(x), dtype)?;
    cx.cast(y, own)
}

fn floats(cx: &Cx, x: ValueId) -> Result<()> {
    match cx.dtype(x).is_float() {
        true => Ok(()),
        false => Err(cx.call_error(format!("expected float images, not {}", cx.dtype(x)))),
    }
}

pub fn rgb_to_hsv(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    through(cx, cfg, call, to_hsv)
}

/// Colours as hue, saturation and value.
pub fn to_hsv(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    floats(cx, x)?;
    let [r, g, b] = channels(cx, x)?;
    let dtype = cx.dtype(x);
    let zero = cx.scalar(dtype, 0.0);
    let value = cx.reduce(Reduce::Max, x, &[3], true)?;
    let low = cx.reduce(Reduce::Min, x, &[3], true)?;
    let range = cx.sub(value, low)?;
    let saturation = cx.div(range, value)?;
    let bright = cx.binary(Binary::Gt, value, zero)?;
    let saturation = cx.select(bright, saturation, zero)?;
    let norm = cx.unary(Unary::Reciprocal, range)?;
    let norm = cx.mul_s(norm, 1.0 / 6.0)?;
    let turn = |cx: &mut Cx, a: ValueId, b: ValueId, sixths: f64| -> Result<ValueId> {
        let d = cx.sub(a, b)?;
        let d = cx.mul(norm, d)?;
        match sixths {
            0.0 => Ok(d),
            s => cx.add_s(d, s / 6.0),
        }
    };
    let (red, green) = (turn(cx, g, b, 0.0)?, turn(cx, b, r, 2.0)?);
    let blue = turn(cx, r, g, 4.0)?;
    let is_green = cx.binary(Binary::Eq, g, value)?;
    let hue = cx.select(is_green, green, blue)?;
    let is_red = cx.binary(Binary::Eq, r, value)?;
    let hue = cx.select(is_red, red, hue)?;
    let coloured = cx.binary(Binary::Gt, range, zero)?;
    let hue = cx.select(coloured, hue, zero)?;
    let negative = cx.binary(Binary::Lt, hue, zero)?;
    let next = cx.add_s(hue, 1.0)?;
    let hue = cx.select(negative, next, hue)?;
    cx.concat(&[hue, saturation, value], -1)
}

pub fn hsv_to_rgb(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    through(cx, cfg, call, from_hsv)
}

/// Hue, saturation and value as colours.
pub fn from_hsv(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    floats(cx, x)?;
    let [h, s, v] = channels(cx, x)?;
    let turn = cx.mul_s(h, 6.0)?;
    let part = |cx: &mut Cx, centre: f64, sign: f64, offset: f64| -> Result<ValueId> {
        let d = cx.add_s(turn, -centre)?;
        let d = cx.unary(Unary::Abs, d)?;
        let d = cx.mul_s(d, sign)?;
        let d = cx.add_s(d, offset)?;
        cx.clip(d, Some(0.0), Some(1.0))
    };
    let parts = [
        part(cx, 3.0, 1.0, -1.0)?,
        part(cx, 2.0, -1.0, 2.0)?,
        part(cx, 4.0, -1.0, 2.0)?,
    ];
    let grey = cx.unary(Unary::Neg, s)?;
    let grey = cx.add_s(grey, 1.0)?;
    let mut rgb = vec![];
    for part in parts {
        let part = cx.mul(s, part)?;
        let part = cx.add(grey, part)?;
        rgb.push(cx.mul(part, v)?);
    }
    cx.concat(&rgb, -1)
}

pub fn resize(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let size = cfg.usizes("size", 2)?;
    let resize = Resize::read(cfg, [size[0], size[1]])?;
    through(cx, cfg, call, |cx, x| resize.apply(cx, x, 1))
}

/// Before and after, of which one may follow from the target.
fn around(cx: &Cx, cfg: &Cfg, keys: [&str; 3], from: usize, sign: i64) -> Result<(i64, i64)> {
    let [before, after, target] = keys;
    let (b, a) = (cfg.opt_int(before)?, cfg.opt_int(after)?);
    let total = cfg.opt_int(target)?.map(|t| (t - from as i64) * sign);
    let sides = match (b, a, total) {
        (Some(b), Some(a), None) => Some((b, a)),
        (Some(b), None, Some(t)) => Some((b, t - b)),
        (None, Some(a), Some(t)) => Some((t - a, a)),
        _ => None,
    };
    match sides {
        Some((b, a)) if b >= 0 && a >= 0 => Ok((b, a)),
        Some(_) => Err(cx.call_error(format!("`{before}` and `{after}` must not be negative"))),
        None => Err(cx.call_error(format!(
            "exactly two of `{before}`, `{after}` and `{target}` are needed"
        ))),
    }
}

pub fn pad_images(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    through(cx, cfg, call, |cx, x| {
        let shape = cx.shape(x);
        let keys = ["top_padding", "bottom_padding", "target_height"];
        let rows = around(cx, cfg, keys, shape[1], 1)?;
        let keys = ["left_padding", "right_padding", "target_width"];
        let columns = around(cx, cfg, keys, shape[2], 1)?;
        let pair = |p: (i64, i64)| (p.0 as usize, p.1 as usize);
        let pads = [(0, 0), pair(rows), pair(columns), (0, 0)];
        cx.pad(x, &pads, PadMode::Constant, 0.0)
    })
}

pub fn crop_images(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    through(cx, cfg, call, |cx, x| {
        let mut y = x;
        let all = [
            ["top_cropping", "bottom_cropping", "target_height"],
            ["left_cropping", "right_cropping", "target_width"],
        ];
        for (axis, keys) in (1..).zip(all) {
            let size = cx.dim(y, axis)?;
            let (before, after) = around(cx, cfg, keys, size, -1)?;
            let end = size.saturating_sub(after as usize);
            let start = (before as usize).min(end);
            y = cx.slice_axis(y, axis, start, end)?;
        }
        Ok(y)
    })
}

/// Patches of images or volumes, flattened into channels.
pub fn extract_patches(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "images")?;
    let n = match cfg.get("size") {
        Some(serde_json::Value::Array(items)) => items.len(),
        _ => 2,
    };
    let positive = |key: &'static str, v: Vec<usize>| match v.contains(&0) {
        true => Err(cfg.bad(key, "whole numbers > 0")),
        false => Ok(v),
    };
    let size = positive("size", cfg.usizes("size", n)?)?;
    let strides = cfg.opt_usizes("strides", n)?.unwrap_or(size.clone());
    let strides = positive("strides", strides)?;
    let dilation = positive("dilation_rate", cfg.usizes_or("dilation_rate", n, 1)?)?;
    let padding = cfg.str_or("padding", "valid")?.to_lowercase();
    let same = match padding.as_str() {
        "same" => true,
        "valid" => false,
        _ => return Err(cfg.bad("padding", "valid or same")),
    };
    let first = cfg.channels_first()?;
    let one = cx.rank(x) == n + 1;
    let mut y = match one {
        true => cx.expand_dims(x, 0)?,
        false => x,
    };
    cx.check_rank(y, n + 2)?;
    if first {
        y = to_channels_last(cx, y)?;
    }
    let shape = cx.shape(y);
    let pads = |i: usize| match same {
        true => same_pads(shape[i + 1], (size[i] - 1) * dilation[i] + 1, strides[i]),
        false => (0, 0),
    };
    let patches = Patches {
        padding: (0..n).map(pads).collect(),
        size,
        strides,
        dilation,
    };
    y = patches.apply(cx, y)?;
    let made = cx.shape(y);
    let flat = made[n + 1..].iter().product();
    y = cx.reshape(y, &[&made[..n + 1], &[flat]].concat())?;
    if first {
        y = to_channels_first(cx, y)?;
    }
    if one {
        y = cx.squeeze(y, 0)?;
    }
    Ok(y.into())
}

/// The values of a normalized bell curve.
fn bell(cx: &Cx, size: usize, sigma: f64) -> Result<Vec<f64>> {
    cx.ask(size.saturating_mul(size_of::<f64>()), "a bell curve")?;
    let middle = (size as f64 - 1.0) / 2.0;
    let at = |i: usize| (-0.5 * ((i as f64 - middle) / sigma).powi(2)).exp();
    let values: Vec<f64> = (0..size).map(at).collect();
    let sum: f64 = values.iter().sum();
    Ok(values.iter().map(|v| v / sum).collect())
}

/// The products of the values of two curves.
fn outer(cx: &Cx, a: &[f64], b: &[f64]) -> Result<Vec<f64>> {
    let bytes = a
        .len()
        .saturating_mul(b.len())
        .saturating_mul(size_of::<f64>());
    cx.ask(bytes, "a filter")?;
    let products = a.iter().flat_map(|a| b.iter().map(move |b| a * b));
    Ok(products.collect())
}

/// Filters each channel by a kernel (rows, columns).
pub fn filtered(
    cx: &mut Cx,
    x: ValueId,
    kernel: &[f64],
    size: [usize; 2],
    same: bool,
) -> Result<ValueId> {
    let values: Vec<f32> = kernel.iter().map(|&v| v as f32).collect();
    let kernel = cx.f32s(size, &values);
    filtered_by(cx, x, kernel, same)
}

/// As [`filtered`], by a kernel that is computed.
pub fn filtered_by(cx: &mut Cx, x: ValueId, kernel: ValueId, same: bool) -> Result<ValueId> {
    let shape = cx.shape(x);
    let size = cx.shape(kernel);
    let kernel = cx.reshape(kernel, &[size[0], size[1], 1, 1])?;
    let dtype = cx.dtype(x);
    let kernel = cx.cast(kernel, dtype)?;
    let kernel = cx.broadcast_to(kernel, &[size[0], size[1], shape[3], 1])?;
    let pads = |i: usize| match same {
        true => same_pads(shape[i + 1], size[i], 1),
        false => (0, 0),
    };
    let attrs = ConvAttrs {
        strides: vec![1; 2],
        padding: vec![pads(0), pads(1)],
        dilation: vec![1; 2],
        groups: 1,
    };
    cx.depthwise_conv(x, kernel, attrs)
}

pub fn gaussian_blur(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let size = cfg.usizes_or("kernel_size", 2, 3)?;
    if size.contains(&0) {
        return Err(cfg.bad("kernel_size", "whole numbers > 0"));
    }
    let sigma = match cfg.get("sigma").map(crate::keras::cfg::numbers) {
        None => vec![1.0; 2],
        Some(Some((_, v))) if v.len() == 2 => v,
        Some(_) => return Err(cfg.bad("sigma", "two numbers")),
    };
    let (first, second) = (bell(cx, size[0], sigma[0])?, bell(cx, size[1], sigma[1])?);
    // Keras makes the kernel (size[1], size[0]) and reads it as (size[0], size[1]).
    let kernel = outer(cx, &second, &first)?;
    through(cx, cfg, call, |cx, x| {
        floats(cx, x)?;
        filtered(cx, x, &kernel, [size[0], size[1]], true)
    })
}

/// Differences down and across, as a last axis.
pub fn sobel_edges(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "images")?;
    cx.check_rank(x, 4)?;
    floats(cx, x)?;
    let first = cfg.channels_first()?;
    let x = match first {
        true => to_channels_last(cx, x)?,
        false => x,
    };
    let pads = [(0, 0), (1, 1), (1, 1), (0, 0)];
    let x = cx.pad(x, &pads, PadMode::Reflect, 0.0)?;
    let down = [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0];
    let across = [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0];
    let edges = [
        filtered(cx, x, &down, [3, 3], false)?,
        filtered(cx, x, &across, [3, 3], false)?,
    ];
    let y = stack(cx, &edges, -1)?;
    match first {
        true => Ok(cx.transpose(y, &[0, 3, 1, 2, 4])?.into()),
        false => Ok(y.into()),
    }
}

/// The structural similarity of images.
pub fn ssim(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let a = tensor(cx, call, 0, "image1")?;
    let b = tensor(cx, call, 1, "image2")?;
    let own = cx.dtype(a);
    let first = cfg.channels_first()?;
    let one = cx.rank(a) == 3;
    let enter = |cx: &mut Cx, x: ValueId| -> Result<ValueId> {
        let dtype = result_type(&[Kind::Is(own), Kind::WeakFloat]);
        let x = cx.cast(x, dtype)?;
        let x = if one { cx.expand_dims(x, 0)? } else { x };
        cx.check_rank(x, 4)?;
        if first {
            to_channels_last(cx, x)
        } else {
            Ok(x)
        }
    };
    let (a, b) = (enter(cx, a)?, enter(cx, b)?);
    let most = cfg.f64_or("max_val", 1.0)?;
    let size = cfg.usize_or("filter_size", 11)?;
    let curve = bell(cx, size, cfg.f64_or("filter_sigma", 1.5)?)?;
    let kernel = outer(cx, &curve, &curve)?;
    let c1 = (cfg.f64_or("k1", 0.01)? * most).powi(2);
    let c2 = (cfg.f64_or("k2", 0.03)? * most).powi(2);
    let local = |cx: &mut Cx, x: ValueId, y: ValueId| -> Result<ValueId> {
        let xy = cx.mul(x, y)?;
        filtered(cx, xy, &kernel, [size, size], false)
    };
    let mean_a = filtered(cx, a, &kernel, [size, size], false)?;
    let mean_b = filtered(cx, b, &kernel, [size, size], false)?;
    let (aa, bb) = (cx.mul(mean_a, mean_a)?, cx.mul(mean_b, mean_b)?);
    let ab = cx.mul(mean_a, mean_b)?;
    let (var_a, var_b, cov) = (local(cx, a, a)?, local(cx, b, b)?, local(cx, a, b)?);
    let (var_a, var_b) = (cx.sub(var_a, aa)?, cx.sub(var_b, bb)?);
    let cov = cx.sub(cov, ab)?;
    let twice = |cx: &mut Cx, x: ValueId, c: f64| -> Result<ValueId> {
        let x = cx.mul_s(x, 2.0)?;
        cx.add_s(x, c)
    };
    let (top, top2) = (twice(cx, ab, c1)?, twice(cx, cov, c2)?);
    let top = cx.mul(top, top2)?;
    let means = cx.add(aa, bb)?;
    let means = cx.add_s(means, c1)?;
    let variances = cx.add(var_a, var_b)?;
    let variances = cx.add_s(variances, c2)?;
    let bottom = cx.mul(means, variances)?;
    let map = cx.div(top, bottom)?;
    let each = cx.reduce(Reduce::Mean, map, &[1, 2], false)?;
    let mut y = cx.reduce(Reduce::Mean, each, &[1], false)?;
    if one {
        y = cx.squeeze(y, 0)?;
    }
    Ok(cx.cast(y, own)?.into())
}

/// The kernel of a method at distances from a pixel.
fn near(cx: &mut Cx, method: &str, x: ValueId) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let (zero, one) = (cx.scalar(dtype, 0.0), cx.scalar(dtype, 1.0));
    let poly = |cx: &mut Cx, c: [f64; 4]| -> Result<ValueId> {
        let y = cx.mul_s(x, c[0])?;
        let y = cx.add_s(y, c[1])?;
        let y = cx.mul(y, x)?;
        let y = cx.add_s(y, c[2])?;
        let y = cx.mul(y, x)?;
        cx.add_s(y, c[3])
    };
    match method {
        "linear" => {
            let y = cx.sub(one, x)?;
            cx.maximum(zero, y)
        }
        "cubic" => {
            let inner = poly(cx, [1.5, -2.5, 0.0, 1.0])?;
            let outer = poly(cx, [-0.5, 2.5, -4.0, 2.0])?;
            let far = cx.binary_s(Binary::Ge, x, 1.0)?;
            let y = cx.select(far, outer, inner)?;
            let out = cx.binary_s(Binary::Ge, x, 2.0)?;
            cx.select(out, zero, y)
        }
        lanczos => {
            let radius = if lanczos == "lanczos3" { 3.0 } else { 5.0 };
            let pi = std::f64::consts::PI;
            let angle = cx.mul_s(x, pi)?;
            let wave = cx.unary(Unary::Sin, angle)?;
            let slow = cx.div_s(angle, radius)?;
            let slow = cx.unary(Unary::Sin, slow)?;
            let y = cx.mul_s(wave, radius)?;
            let y = cx.mul(y, slow)?;
            let square = cx.unary(Unary::Square, x)?;
            let square = cx.mul_s(square, pi * pi)?;
            let at_zero = cx.binary(Binary::Eq, x, zero)?;
            let square = cx.select(at_zero, one, square)?;
            let y = cx.div(y, square)?;
            let away = cx.binary_s(Binary::Gt, x, 1e-3)?;
            let y = cx.select(away, y, one)?;
            let out = cx.binary_s(Binary::Gt, x, radius)?;
            cx.select(out, zero, y)
        }
    }
}

/// How an axis' elements are made of those of the input: (from, to).
fn blend(
    cx: &mut Cx,
    (from, to): (usize, usize),
    (scale, shift): (ValueId, ValueId),
    method: &str,
    antialias: bool,
) -> Result<ValueId> {
    let dtype = cx.dtype(scale);
    let inverse = cx.unary(Unary::Reciprocal, scale)?;
    let places = cx.generated([1, to], |i| i as f32 + 0.5)?;
    let places = cx.cast(places, dtype)?;
    let at = cx.mul(places, inverse)?;
    let shift = cx.mul(shift, inverse)?;
    let at = cx.sub(at, shift)?;
    let at = cx.add_s(at, -0.5)?;
    let pixels = cx.generated([from, 1], |i| i as f32)?;
    let pixels = cx.cast(pixels, dtype)?;
    let far = cx.sub(at, pixels)?;
    let mut far = cx.unary(Unary::Abs, far)?;
    if antialias {
        let stretch = cx.binary_s(Binary::Max, inverse, 1.0)?;
        far = cx.div(far, stretch)?;
    }
    let weights = near(cx, method, far)?;
    let (zero, one) = (cx.scalar(dtype, 0.0), cx.scalar(dtype, 1.0));
    let sum = cx.reduce(Reduce::Sum, weights, &[0], true)?;
    let none = cx.binary(Binary::Eq, sum, zero)?;
    let total = cx.select(none, one, sum)?;
    let size = cx.unary(Unary::Abs, sum)?;
    let enough = cx.binary_s(Binary::Gt, size, 1000.0 * f64::from(f32::EPSILON))?;
    let weights = cx.div(weights, total)?;
    let weights = cx.select(enough, weights, zero)?;
    let after = cx.binary_s(Binary::Ge, at, -0.5)?;
    let before = cx.binary_s(Binary::Le, at, from as f64 - 0.5)?;
    let inside = cx.and(after, before)?;
    cx.select(inside, weights, zero)
}

pub fn scale_and_translate(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "images")?;
    let size = argument(cx, call, 1, "output_shape")?;
    let size = convert(cx, &size)?;
    let size = match cx.graph.constant(size) {
        Some(c) if c.tensor.shape() == [cx.rank(x)] => c.tensor.to_f64(),
        _ => return Err(cx.call_error("`output_shape` must be a list of sizes")),
    };
    let mut by = [
        tensor(cx, call, 2, "scale")?,
        tensor(cx, call, 3, "translation")?,
    ];
    join(cx, &mut by)?;
    for v in &mut by {
        *v = to_float(cx, *v)?;
    }
    let method = match cfg.str("method")? {
        "linear" | "bilinear" | "trilinear" => "linear",
        "cubic" | "bicubic" | "tricubic" => "cubic",
        "lanczos3" => "lanczos3",
        "lanczos5" => "lanczos5",
        _ => return Err(cfg.bad("method", "linear, cubic, lanczos3 or lanczos5")),
    };
    let antialias = cfg.bool_or("antialias", true)?;
    let own = cx.dtype(x);
    let mut y = to_float(cx, x)?;
    let dtype = cx.dtype(y);
    let dims = cfg.opt_ints("spatial_dims")?.unwrap_or_default();
    for (i, &d) in dims.iter().enumerate() {
        let axis = cx.axis(d as isize, cx.rank(x))?;
        let from = cx.dim(y, axis as isize)?;
        let scale = cx.index_axis(by[0], 0, i)?;
        let shift = cx.index_axis(by[1], 0, i)?;
        let sizes = (from, size[axis] as usize);
        let weights = blend(cx, sizes, (scale, shift), method, antialias)?;
        let weights = cx.cast(weights, dtype)?;
        let mut perm: Vec<usize> = (0..cx.rank(y)).collect();
        let last = perm.len() - 1;
        perm.swap(axis, last);
        y = cx.transpose(y, &perm)?;
        y = cx.dense(y, weights)?;
        y = cx.transpose(y, &perm)?;
    }
    if !own.is_float() && !dims.is_empty() {
        let all: Vec<usize> = (0..cx.rank(x)).collect();
        y = cx.unary(Unary::Round, y)?;
        for (kind, op) in [(Reduce::Min, Binary::Max), (Reduce::Max, Binary::Min)] {
            let bound = cx.reduce(kind, x, &all, false)?;
            let bound = cx.cast(bound, DType::F32)?;
            y = cx.binary(op, y, bound)?;
        }
    }
    Ok(cx.cast(y, own)?.into())
}

/// How images are read whose pixels are moved.
#[derive(Clone)]
pub struct Elastic {
    mode: String,
    order: usize,
    fill: f64,
}

impl Elastic {
    /// The same by the nearest pixels.
    pub fn nearest(&self) -> Elastic {
        Elastic {
            order: 0,
            ..self.clone()
        }
    }

    pub fn read(cfg: &Cfg) -> Result<Elastic> {
        let modes = &["constant", "nearest", "wrap", "reflect"];
        Ok(Elastic {
            mode: cfg.one_of("fill_mode", "reflect", modes)?.to_string(),
            order: bilinear(cfg)?.into(),
            fill: cfg.f64_or("fill_value", 0.0)?,
        })
    }

    /// Images (n, height, width, channels), each pixel read as far down as across,
    /// as `moved` (n, height, width, 1) tells.
    pub fn apply(&self, cx: &mut Cx, x: ValueId, moved: ValueId) -> Result<ValueId> {
        let shape = cx.shape(x);
        let [n, height, width, channels] = shape[..] else {
            return Err(cx.call_error("expected images"));
        };
        let dtype = cx.dtype(x);
        let mut at = vec![];
        for (axis, count) in [(1, height), (2, width)] {
            let mut shape = [1; 4];
            shape[axis] = count;
            let places = cx.generated(shape, |i| i as f32)?;
            let places = cx.cast(places, dtype)?;
            at.push(cx.add(moved, places)?);
        }
        let pixels = cx.reshape(x, &[n, height * width, channels])?;
        let sampler = Sampler {
            shape: &[height, width],
            order: self.order,
            mode: &self.mode,
            fill: cx.scalar(dtype, self.fill),
        };
        sampler.sample(cx, &at, |cx, index| {
            let index = cx.squeeze(index, -1)?;
            cx.gather(pixels, index, 1, 1)
        })
    }
}

/// Images whose pixels are moved by smooth noise, the same down and across: it is
/// what TensorFlow draws for the seed, for as many images as come together.
pub fn elastic_transform(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let Some(seed) = cfg.opt_int("seed")? else {
        return Err(cfg.bad("seed", "a number (without one the result is random)"));
    };
    let (alpha, sigma) = (cfg.f64_or("alpha", 20.0)?, cfg.f64_or("sigma", 5.0)?);
    let warp = Elastic::read(cfg)?;
    let size = (6 * sigma as usize) | 1;
    let bell = bell(cx, size, sigma)?;
    let kernel = outer(cx, &bell, &bell)?;
    through(cx, cfg, call, |cx, x| {
        floats(cx, x)?;
        let shape = cx.shape(x);
        let [n, height, width, _] = shape[..] else {
            return Err(cx.call_error("expected images"));
        };
        let dtype = cx.dtype(x);
        cx.ask(n * height * width * 8, "the noise of a seed")?;
        let drawn = seeded_normals(
            [i64::from(seed as i32) as u64, 0],
            n * height * width,
            dtype == DType::F64,
        );
        let grid = [n, height, width, 1];
        let noise = match dtype {
            DType::F64 => cx.constant(Tensor::from_slice(grid, &drawn)),
            _ => {
                let drawn: Vec<f32> = drawn.iter().map(|&v| v as f32).collect();
                let drawn = cx.f32s(grid, &drawn);
                cx.cast(drawn, dtype)?
            }
        };
        let noise = cx.mul_s(noise, sigma)?;
        let noise = filtered(cx, noise, &kernel, [size; 2], true)?;
        let moved = cx.mul_s(noise, alpha)?;
        warp.apply(cx, x, moved)
    })
}
