//! What random augmentation does to images in training.

use crate::error::Result;
use crate::graph::{Binary, Cumulate, RandomKind, Reduce, Unary, ValueId};
use crate::keras::cfg::numbers;
use crate::keras::layers::image::{change_range, value_range, AutoContrast, Transform, BYTE};
use crate::keras::ops::image::{filtered, filtered_by, from_hsv, to_grey, to_hsv, Elastic};
use crate::keras::ops::warp::{bilinear, homography, Fill, Warp};
use crate::keras::resize::{Fit, Interpolation, Resize};
use crate::keras::{Cfg, Cx};
use crate::tensor::{DType, Fact};

/// Two numbers to draw between.
pub(super) type Span = [f64; 2];

/// What is done to images.
#[derive(Clone)]
pub enum Training {
    /// Mirrored, half of them.
    Flip {
        across: bool,
        down: bool,
    },
    /// A number, as a part of the range, is added.
    Brightness {
        factor: Span,
        range: (f64, f64),
    },
    /// The distance from the mean is multiplied by 1 and a number.
    Contrast {
        factor: Span,
        range: (f64, f64),
    },
    /// Values are taken from the end of the range, in a part of the images.
    Invert {
        factor: Span,
        range: (f64, f64),
    },
    /// Moved by parts of the height and the width.
    Translation {
        down: Span,
        across: Span,
        warp: Warp,
    },
    /// Turned by parts of a circle.
    Rotation {
        factor: Span,
        warp: Warp,
    },
    /// Made larger or smaller; without `width` alike in both directions.
    Zoom {
        height: Span,
        width: Option<Span>,
        warp: Warp,
    },
    Shear {
        x: Span,
        y: Span,
        warp: Warp,
    },
    /// Corners moved, in a part of the images.
    Perspective {
        factor: Span,
        scale: f64,
        warp: Warp,
    },
    /// A part of all images of the batch.
    Crop {
        size: [usize; 2],
    },
    Hue {
        factor: Span,
        range: (f64, f64),
    },
    Saturation {
        factor: Span,
        range: (f64, f64),
    },
    /// Without colour, in a part of the images.
    Grayscale {
        factor: f64,
    },
    /// Some of the colour is taken away.
    Degeneration {
        factor: Span,
        range: (f64, f64),
    },
    /// Fewer bits.
    Posterization {
        factor: Span,
        range: (f64, f64),
    },
    Sharpness {
        factor: Span,
        range: (f64, f64),
    },
    /// Values above a threshold are taken from the end of the range.
    Solarization {
        addition: Span,
        threshold: Span,
        range: (f64, f64),
    },
    /// Boxes filled, in a part of the images; without `fill` by noise.
    Erasing {
        factor: Span,
        scale: Span,
        fill: Option<Vec<f64>>,
        range: (f64, f64),
    },
    /// Blurred, in a part of the images.
    Blur {
        factor: Span,
        sigma: Span,
        size: [usize; 2],
        range: (f64, f64),
    },
    /// All values of a channel are made as frequent, over the batch.
    Equalization {
        bins: usize,
        range: (f64, f64),
    },
    /// Mixed with other images of the batch.
    MixUp {
        alpha: f64,
    },
    /// Boxes of other images of the batch are put in.
    CutMix {
        factor: Span,
    },
    /// Pixels moved by smooth noise, in a part of the images.
    Elastic {
        factor: Span,
        scale: Span,
        warp: Elastic,
        range: (f64, f64),
    },
    /// The values of each channel are stretched over the range.
    AutoContrast {
        range: (f64, f64),
    },
    /// Some of the steps, drawn for the batch; one that comes again does the same again.
    Choice {
        steps: Vec<Training>,
        count: usize,
    },
    /// The images, mixed with what chains of steps, drawn for the batch, make of them.
    Mix {
        steps: Vec<Training>,
        chains: usize,
        depth: usize,
        alpha: f64,
        range: (f64, f64),
    },
    /// One after the other.
    Chain(Vec<Training>),
    /// Not known here.
    Other,
}

/// A key that is one number or two.
fn one_or_two(cfg: &Cfg, key: &str) -> Result<Option<Vec<f64>>> {
    match cfg.get(key).map(numbers) {
        None => Ok(None),
        Some(Some((shape, v))) if shape.is_empty() || shape == [2] => Ok(Some(v)),
        Some(_) => Err(cfg.bad(key, "one number or two")),
    }
}

/// A key that is one number or two: one is read as up to it, from its negative
/// where the factor goes in both directions.
fn span(cfg: &Cfg, key: &str, both: bool) -> Result<Option<Span>> {
    Ok(one_or_two(cfg, key)?.map(|v| match v[..] {
        [a, b] => [a.min(b), a.max(b)],
        _ if both => [-v[0].abs(), v[0].abs()],
        _ => [0.0, v[0].abs()],
    }))
}

/// The distances of a contrast below and above 1, which are no interval; one number,
/// as Keras 2 writes it, is both.
fn distances(cfg: &Cfg, key: &str) -> Result<Option<Span>> {
    Ok(one_or_two(cfg, key)?.map(|v| [v[0], v[v.len() - 1]]))
}

/// A number above 0.
fn positive(cfg: &Cfg, key: &str, default: f64) -> Result<f64> {
    match cfg.f64_or(key, default)? {
        v if v > 0.0 => Ok(v),
        _ => Err(cfg.bad(key, "a number > 0")),
    }
}

impl Training {
    pub fn read(cfg: &Cfg) -> Result<Training> {
        use Training as A;
        let there =
            |key: &str, found: Option<Span>| found.ok_or_else(|| cfg.bad(key, "one number or two"));
        let needed = |key: &str, both: bool| there(key, span(cfg, key, both)?);
        let factor = |both: bool| needed("factor", both);
        let range = || value_range(cfg);
        let warp = || Warp::read(cfg);
        Ok(match cfg.class.as_str() {
            "RandomFlip" => {
                let modes = &["horizontal_and_vertical", "horizontal", "vertical"];
                let mode = cfg.one_of("mode", modes[0], modes)?;
                A::Flip {
                    across: mode != "vertical",
                    down: mode != "horizontal",
                }
            }
            "RandomBrightness" => A::Brightness {
                factor: factor(true)?,
                range: range()?,
            },
            "RandomContrast" => A::Contrast {
                factor: there("factor", distances(cfg, "factor")?)?,
                range: range()?,
            },
            "RandomInvert" => A::Invert {
                factor: factor(false)?,
                range: range()?,
            },
            "RandomTranslation" => A::Translation {
                down: needed("height_factor", true)?,
                across: needed("width_factor", true)?,
                warp: warp()?,
            },
            "RandomRotation" => A::Rotation {
                factor: factor(true)?,
                warp: warp()?,
            },
            "RandomZoom" => A::Zoom {
                height: needed("height_factor", true)?,
                width: span(cfg, "width_factor", true)?,
                warp: warp()?,
            },
            "RandomShear" => A::Shear {
                x: needed("x_factor", true)?,
                y: needed("y_factor", true)?,
                warp: warp()?,
            },
            "RandomPerspective" => A::Perspective {
                factor: factor(false)?,
                scale: cfg.f64_or("scale", 1.0)?,
                warp: warp()?,
            },
            "RandomCrop" => A::Crop {
                size: [cfg.usize("height")?, cfg.usize("width")?],
            },
            "RandomHue" => A::Hue {
                factor: factor(false)?,
                range: range()?,
            },
            "RandomSaturation" => A::Saturation {
                factor: factor(true)?,
                range: range()?,
            },
            "RandomGrayscale" => A::Grayscale {
                factor: cfg.f64_or("factor", 0.5)?,
            },
            "RandomColorDegeneration" => A::Degeneration {
                factor: factor(true)?,
                range: range()?,
            },
            "RandomPosterization" => A::Posterization {
                factor: factor(false)?.map(f64::floor),
                range: range()?,
            },
            "RandomSharpness" => A::Sharpness {
                factor: factor(false)?,
                range: range()?,
            },
            "RandomColorJitter" => A::jitter(cfg)?,
            "Solarization" => A::Solarization {
                addition: span(cfg, "addition_factor", false)?.unwrap_or_default(),
                threshold: span(cfg, "threshold_factor", false)?.unwrap_or_default(),
                range: range()?,
            },
            "RandomErasing" => A::Erasing {
                factor: factor(false)?,
                scale: needed("scale", false)?,
                fill: match cfg.get("fill_value").map(numbers) {
                    None => None,
                    Some(Some((_, v))) if matches!(v.len(), 1 | 3) => Some(v),
                    Some(_) => return Err(cfg.bad("fill_value", "one number or three")),
                },
                range: range()?,
            },
            "RandomGaussianBlur" => {
                let size = cfg.usizes_or("kernel_size", 2, 3)?;
                if size.contains(&0) {
                    return Err(cfg.bad("kernel_size", "whole numbers > 0"));
                }
                A::Blur {
                    factor: factor(false)?,
                    sigma: needed("sigma", false)?,
                    size: [size[0], size[1]],
                    range: range()?,
                }
            }
            "Equalization" => A::Equalization {
                bins: cfg.usize_or("bins", 256)?,
                range: range()?,
            },
            "MixUp" => A::MixUp {
                alpha: positive(cfg, "alpha", 0.2)?,
            },
            "CutMix" => A::CutMix {
                factor: span(cfg, "factor", false)?.unwrap_or([0.0, 1.0]),
            },
            "RandomElasticTransform" => A::Elastic {
                factor: span(cfg, "factor", false)?.unwrap_or([0.0, 1.0]),
                scale: span(cfg, "scale", false)?.unwrap_or([0.0, 1.0]),
                warp: Elastic::read(cfg)?,
                range: range()?,
            },
            "RandAugment" => {
                let factor = span(cfg, "factor", false)?.unwrap_or([0.0, 0.5]);
                let mut steps = A::moves(cfg, factor)?;
                steps.extend(A::shades(factor, range()?));
                steps.extend(A::levels(factor, range()?));
                A::Choice {
                    steps,
                    count: cfg.usize_or("num_ops", 2)?,
                }
            }
            "AugMix" => {
                let factor = span(cfg, "factor", false)?.unwrap_or([0.0, 0.3]);
                let mut steps = A::moves(cfg, factor)?;
                steps.extend(A::levels(factor, range()?));
                if cfg.bool_or("all_ops", true)? {
                    steps.extend(A::shades(factor, range()?));
                }
                A::Mix {
                    steps,
                    chains: cfg.usize_or("num_chains", 3)?,
                    depth: cfg.usize_or("chain_depth", 3)?,
                    alpha: positive(cfg, "alpha", 1.0)?,
                    range: range()?,
                }
            }
            _ => A::Other,
        })
    }

    /// The steps of RandAugment and AugMix that move pixels.
    fn moves(cfg: &Cfg, factor: Span) -> Result<Vec<Training>> {
        let warp = Warp {
            bilinear: bilinear(cfg)?,
            fill: Fill::Reflect,
        };
        Ok(vec![
            Training::Shear {
                x: factor,
                y: factor,
                warp,
            },
            Training::Translation {
                down: factor,
                across: factor,
                warp,
            },
            Training::Rotation { factor, warp },
        ])
    }

    /// Those that make pixels brighter, greyer or sharper.
    fn shades(factor: Span, range: (f64, f64)) -> Vec<Training> {
        vec![
            Training::Brightness { factor, range },
            Training::Degeneration { factor, range },
            Training::Contrast { factor, range },
            Training::Sharpness { factor, range },
        ]
    }

    /// Those that map each level to another.
    fn levels(factor: Span, range: (f64, f64)) -> Vec<Training> {
        let bits = (8.0 * factor[1]).floor().max(1.0);
        vec![
            Training::Posterization {
                factor: [1.0, bits],
                range,
            },
            Training::Solarization {
                addition: factor,
                threshold: factor,
                range,
            },
            Training::AutoContrast { range },
            Training::Equalization { bins: 256, range },
        ]
    }

    /// Brightness, contrast, saturation and hue, those that have a factor.
    fn jitter(cfg: &Cfg) -> Result<Training> {
        let range = value_range(cfg)?;
        let mut steps = vec![];
        if let Some(factor) = span(cfg, "brightness_factor", true)? {
            steps.push(Training::Brightness { factor, range });
        }
        if let Some(factor) = span(cfg, "contrast_factor", false)? {
            steps.push(Training::Contrast { factor, range });
        }
        if let Some(factor) = span(cfg, "saturation_factor", true)? {
            steps.push(Training::Saturation { factor, range });
        }
        if let Some(factor) = span(cfg, "hue_factor", false)? {
            steps.push(Training::Hue { factor, range });
        }
        Ok(Training::Chain(steps))
    }

    /// Images (n, height, width, channels) changed at random.
    pub fn images(&self, cx: &mut Cx, class: &str, x: ValueId) -> Result<ValueId> {
        let dtype = cx.dtype(x);
        if !dtype.is_float() {
            return Err(cx.call_error(format!("{class} can't train on {dtype} images")));
        }
        let shape = cx.shape(x);
        let n = shape[0];
        let [height, width] = [shape[1] as f64, shape[2] as f64];
        let each = [n, 1, 1, 1];
        match self {
            Training::Flip { across, down } => {
                let u = between(cx, [0.0, 1.0], &each)?;
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
                let delta = between(cx, *factor, &each)?;
                let delta = cx.mul_s(delta, range.1 - range.0)?;
                let delta = cx.cast(delta, dtype)?;
                let y = cx.add(x, delta)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::Contrast { factor, range } => {
                let by = between(cx, [1.0 - factor[0], 1.0 + factor[1]], &each)?;
                let by = cx.cast(by, dtype)?;
                let mean = cx.reduce(Reduce::Mean, x, &[1, 2], true)?;
                let y = cx.sub(x, mean)?;
                let y = cx.mul(y, by)?;
                let y = cx.add(y, mean)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::Invert { factor, range } => {
                let inverted = some(cx, *factor, n)?;
                let y = cx.mul_s(x, -1.0)?;
                let y = cx.add_s(y, range.1)?;
                cx.select(inverted, y, x)
            }
            Training::Translation { down, across, warp } => {
                let down = between(cx, *down, &[n, 1])?;
                let down = cx.mul_s(down, -height)?;
                let across = between(cx, *across, &[n, 1])?;
                let across = cx.mul_s(across, -width)?;
                let (one, zero) = constants(cx, n)?;
                let parts = [one, zero, across, zero, one, down, zero, zero];
                let t = cx.concat(&parts, 1)?;
                warp.apply(cx, x, t)
            }
            Training::Rotation { factor, warp } => {
                let angle = between(cx, factor.map(|f| f * 360.0), &[n, 1])?;
                let angle = cx.mul_s(angle, std::f64::consts::PI / 180.0)?;
                let (cos, sin) = (cx.unary(Unary::Cos, angle)?, cx.unary(Unary::Sin, angle)?);
                let against = cx.unary(Unary::Neg, sin)?;
                let centre = [0.5 * (width - 1.0), 0.5 * (height - 1.0)];
                // What moves the centre to where it was.
                let offset = |cx: &mut Cx, own: f64, a: ValueId, b: ValueId| -> Result<ValueId> {
                    let a = cx.mul_s(a, -centre[0])?;
                    let a = cx.add_s(a, own)?;
                    let b = cx.mul_s(b, centre[1])?;
                    cx.sub(a, b)
                };
                let right = offset(cx, centre[0], cos, against)?;
                let down = offset(cx, centre[1], sin, cos)?;
                let (_, zero) = constants(cx, n)?;
                let t = cx.concat(&[cos, against, right, sin, cos, down, zero, zero], 1)?;
                warp.apply(cx, x, t)
            }
            Training::Zoom {
                height: by_height,
                width: by_width,
                warp,
            } => {
                let tall = between(cx, by_height.map(|f| 1.0 + f), &[n, 1])?;
                let wide = match by_width {
                    Some(by) => between(cx, by.map(|f| 1.0 + f), &[n, 1])?,
                    None => tall,
                };
                let offset = |cx: &mut Cx, zoom: ValueId, size: f64| -> Result<ValueId> {
                    let rest = cx.unary(Unary::Neg, zoom)?;
                    let rest = cx.add_s(rest, 1.0)?;
                    cx.mul_s(rest, (size - 1.0) / 2.0)
                };
                let (right, down) = (offset(cx, wide, width)?, offset(cx, tall, height)?);
                let (_, zero) = constants(cx, n)?;
                let t = cx.concat(&[wide, zero, right, zero, tall, down, zero, zero], 1)?;
                warp.apply(cx, x, t)
            }
            Training::Shear {
                x: by_x,
                y: by_y,
                warp,
            } => {
                let sign = sign(cx, &[n, 1])?;
                let across = between(cx, *by_x, &[n, 1])?;
                let across = cx.mul(across, sign)?;
                let down = between(cx, *by_y, &[n, 1])?;
                let down = cx.mul(down, sign)?;
                let (one, zero) = constants(cx, n)?;
                let t = cx.concat(&[one, across, zero, down, one, zero, zero, zero], 1)?;
                warp.apply(cx, x, t)
            }
            Training::Perspective {
                factor,
                scale,
                warp,
            } => {
                let changed = some(cx, *factor, n)?;
                let corners = [
                    [0.0, 0.0],
                    [width - 1.0, 0.0],
                    [0.0, height - 1.0],
                    [width - 1.0, height - 1.0],
                ];
                let zero = cx.full(Fact::f32([n, 1]), 0.0)?;
                let mut start = [[zero; 2]; 4];
                let mut end = start;
                for (i, corner) in corners.iter().enumerate() {
                    for (j, &at) in corner.iter().enumerate() {
                        let by = between(cx, [1.0 - 0.5 * scale, 1.0 + 0.5 * scale], &[n, 1])?;
                        let to = cx.mul_s(by, at)?;
                        end[i][j] = cx.cast(to, DType::F64)?;
                        start[i][j] = cx.full(Fact::new(DType::F64, [n, 1]), at)?;
                    }
                }
                let t = homography(cx, start, end)?;
                let y = warp.apply(cx, x, t)?;
                cx.select(changed, y, x)
            }
            Training::Crop { size } => crop(cx, x, *size),
            Training::Hue { factor, range } => {
                let sign = sign(cx, &each)?;
                let by = between(cx, factor.map(|f| 0.5 * f), &each)?;
                let by = cx.mul(by, sign)?;
                let by = cx.cast(by, dtype)?;
                let y = change_range(cx, x, *range, (0.0, 1.0))?;
                let y = to_hsv(cx, y)?;
                let hue = cx.slice_axis(y, 3, 0, 1)?;
                let rest = cx.slice_axis(y, 3, 1, 3)?;
                let hue = cx.add(hue, by)?;
                let (above, less) = (cx.binary_s(Binary::Gt, hue, 1.0)?, cx.add_s(hue, -1.0)?);
                let hue = cx.select(above, less, hue)?;
                let (below, more) = (cx.binary_s(Binary::Lt, hue, 0.0)?, cx.add_s(hue, 1.0)?);
                let hue = cx.select(below, more, hue)?;
                let y = cx.concat(&[hue, rest], 3)?;
                let y = from_hsv(cx, y)?;
                let y = cx.clip(y, Some(0.0), Some(1.0))?;
                change_range(cx, y, (0.0, 1.0), *range)
            }
            Training::Saturation { factor, range } => {
                let by = between(cx, *factor, &each)?;
                // From 0 to 1, with 1 in the middle for what stays.
                let rest = cx.unary(Unary::Neg, by)?;
                let rest = cx.add_s(rest, 1.0)?;
                let rest = cx.add_s(rest, 1e-7)?;
                let by = cx.div(by, rest)?;
                let by = cx.cast(by, dtype)?;
                let y = to_hsv(cx, x)?;
                let hue = cx.slice_axis(y, 3, 0, 1)?;
                let saturation = cx.slice_axis(y, 3, 1, 2)?;
                let value = cx.slice_axis(y, 3, 2, 3)?;
                let saturation = cx.mul(saturation, by)?;
                let saturation = cx.clip(saturation, Some(range.0), Some(range.1))?;
                let y = cx.concat(&[hue, saturation, value], 3)?;
                from_hsv(cx, y)
            }
            Training::Grayscale { factor } => {
                let u = between(cx, [0.0, 1.0], &each)?;
                let grey = cx.binary_s(Binary::Lt, u, *factor)?;
                let y = to_grey(cx, x)?;
                let y = cx.broadcast_to(y, &shape)?;
                cx.select(grey, y, x)
            }
            Training::Degeneration { factor, range } => {
                let by = between(cx, *factor, &each)?;
                let by = cx.cast(by, dtype)?;
                let y = to_grey(cx, x)?;
                let y = cx.sub(y, x)?;
                let y = cx.mul(by, y)?;
                let y = cx.add(x, y)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::Posterization { factor, range } => {
                // Whole numbers below the upper end.
                let most = if factor[0] == factor[1] { 1.0 } else { 0.0 };
                let bits = between(cx, [factor[0], factor[1] + most], &each)?;
                let bits = cx.unary(Unary::Floor, bits)?;
                let shift = cx.unary(Unary::Neg, bits)?;
                let shift = cx.add_s(shift, 8.0)?;
                let step = cx.unary(Unary::Exp2, shift)?;
                let y = change_range(cx, x, *range, BYTE)?;
                let y = cx.cast(y, DType::F32)?;
                let y = cx.unary(Unary::Floor, y)?;
                let y = cx.div(y, step)?;
                let y = cx.unary(Unary::Floor, y)?;
                let y = cx.mul(y, step)?;
                let y = cx.cast(y, dtype)?;
                change_range(cx, y, BYTE, *range)
            }
            Training::Sharpness { factor, range } => {
                let by = between(cx, factor.map(|f| 1.0 - 2.0 * f), &each)?;
                let by = cx.cast(by, dtype)?;
                let (a, b) = (1.0 / 13.0, 5.0 / 13.0);
                let smooth = filtered(cx, x, &[a, a, a, a, b, a, a, a, a], [3, 3], true)?;
                let y = cx.sub(smooth, x)?;
                let y = cx.mul(by, y)?;
                let y = cx.add(x, y)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::Solarization {
                addition,
                threshold,
                range,
            } => {
                let to_byte = |s: &Span| [s[0], s[1] * 255.0];
                let more = between(cx, to_byte(addition), &each)?;
                let more = cx.cast(more, dtype)?;
                let limit = between(cx, to_byte(threshold), &each)?;
                let limit = cx.cast(limit, dtype)?;
                let y = change_range(cx, x, *range, BYTE)?;
                let y = cx.add(y, more)?;
                let y = cx.clip(y, Some(0.0), Some(255.0))?;
                let low = cx.binary(Binary::Lt, y, limit)?;
                let from_end = cx.unary(Unary::Neg, y)?;
                let from_end = cx.add_s(from_end, 255.0)?;
                let y = cx.select(low, y, from_end)?;
                change_range(cx, y, BYTE, *range)
            }
            Training::Erasing {
                factor,
                scale,
                fill,
                range,
            } => {
                let inside = |cx: &mut Cx, axis: usize, size: usize| -> Result<ValueId> {
                    let part = between(cx, *scale, &each)?;
                    let part = cx.unary(Unary::Sqrt, part)?;
                    in_span(cx, part, axis, size)
                };
                let columns = inside(cx, 2, shape[2])?;
                let rows = inside(cx, 1, shape[1])?;
                let boxes = cx.and(columns, rows)?;
                let changed = some(cx, *factor, n)?;
                let boxes = cx.and(boxes, changed)?;
                let filler = match fill {
                    None => {
                        let noise = cx.random(RandomKind::Normal, &shape, dtype)?;
                        cx.mul_s(noise, range.1)?
                    }
                    Some(v) => {
                        let v: Vec<f32> = v.iter().map(|&v| v as f32).collect();
                        let v = cx.f32s([1, 1, 1, v.len()], &v);
                        let v = cx.cast(v, dtype)?;
                        cx.broadcast_to(v, &shape)?
                    }
                };
                let filler = cx.clip(filler, Some(range.0), Some(range.1))?;
                cx.select(boxes, filler, x)
            }
            Training::Blur {
                factor,
                sigma,
                size,
                range,
            } => {
                let changed = some(cx, *factor, n)?;
                let sigmas = between(cx, *sigma, &[2])?;
                let sigmas = cx.add_s(sigmas, 1e-6)?;
                let bell = |cx: &mut Cx, i: usize| -> Result<ValueId> {
                    let middle = (size[i] as f64 - 1.0) / 2.0;
                    let at = cx.generated([size[i]], |k| (k as f64 - middle) as f32)?;
                    let sigma = cx.slice_axis(sigmas, 0, i, i + 1)?;
                    let y = cx.div(at, sigma)?;
                    let y = cx.unary(Unary::Square, y)?;
                    let y = cx.mul_s(y, -0.5)?;
                    let y = cx.unary(Unary::Exp, y)?;
                    let sum = cx.reduce(Reduce::Sum, y, &[0], true)?;
                    cx.div(y, sum)
                };
                let (first, second) = (bell(cx, 0)?, bell(cx, 1)?);
                // Read as (size[0], size[1]) though it is made the other way round.
                let first = cx.reshape(first, &[1, size[0]])?;
                let second = cx.reshape(second, &[size[1], 1])?;
                let kernel = cx.mul(second, first)?;
                let kernel = cx.reshape(kernel, size)?;
                let y = filtered_by(cx, x, kernel, true)?;
                let y = cx.select(changed, y, x)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::Equalization { bins, range } => equalized(cx, x, *bins, *range),
            Training::MixUp { alpha } => mixture(cx, *alpha, n)?.of(cx, x),
            Training::CutMix { factor } => {
                let (boxes, mixture) = patches(cx, *factor, &shape)?;
                let others = cx.gather(x, mixture.order, 0, 0)?;
                cx.select(boxes, others, x)
            }
            Training::Elastic { factor, scale, .. } if factor[1] == 0.0 || scale[1] == 0.0 => Ok(x),
            Training::Elastic {
                factor,
                scale,
                warp,
                range,
            } => {
                let changed = some(cx, *factor, n)?;
                let strength = between(cx, *scale, &[])?;
                let moved = smooth_noise(cx, strength, [n, shape[1], shape[2]], scale[1])?;
                let moved = cx.cast(moved, dtype)?;
                let y = warp.apply(cx, x, moved)?;
                let y = cx.select(changed, y, x)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::AutoContrast { range } => AutoContrast { range: *range }.images(cx, x),
            Training::Choice { steps, count } => chosen(cx, steps, *count, x, |cx, step, x| {
                step.images(cx, class, x)
            }),
            Training::Mix {
                steps,
                chains,
                depth,
                alpha,
                range,
            } => {
                let size = [*chains, *depth];
                let y = chained(cx, steps, size, *alpha, x, |cx, step, x| {
                    step.images(cx, class, x)
                })?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::Chain(steps) => {
                let mut y = x;
                for step in steps {
                    y = step.images(cx, class, y)?;
                }
                Ok(y)
            }
            Training::Other => Err(cx.call_error(format!(
                "`training = TRUE` is not supported for a layer of class {class}"
            ))),
        }
    }
}

/// Random numbers between two ends.
pub(super) fn between(cx: &mut Cx, span: Span, shape: &[usize]) -> Result<ValueId> {
    let u = cx.random(RandomKind::Uniform, shape, DType::F32)?;
    let u = cx.mul_s(u, span[1] - span[0])?;
    cx.add_s(u, span[0])
}

/// 1 or -1 at random.
fn sign(cx: &mut Cx, shape: &[usize]) -> Result<ValueId> {
    let u = cx.random(RandomKind::Uniform, shape, DType::F32)?;
    let above = cx.binary_s(Binary::Gt, u, 0.5)?;
    let (up, down) = (cx.scalar(DType::F32, 1.0), cx.scalar(DType::F32, -1.0));
    cx.select(above, down, up)
}

/// Beta numbers whose parameters are both `alpha` (float32, rank 0).
fn beta(cx: &mut Cx, alpha: ValueId, shape: &[usize]) -> Result<ValueId> {
    let (x, y) = (cx.log_gamma(alpha, shape)?, cx.log_gamma(alpha, shape)?);
    let y = cx.sub(x, y)?;
    cx.unary(Unary::Sigmoid, y)
}

/// `count` whole numbers below `below`, each as frequent.
fn pick(cx: &mut Cx, below: usize, count: usize) -> Result<ValueId> {
    let u = between(cx, [0.0, below as f64], &[count])?;
    cx.unary(Unary::Floor, u)
}

/// How rows of a batch are mixed with others.
pub(super) struct Mixture {
    /// The others: n row numbers.
    pub order: ValueId,
    /// Of the own row (n, 1, 1, 1).
    pub weight: ValueId,
}

impl Mixture {
    /// `x` mixed with its other rows.
    pub fn of(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let others = cx.gather(x, self.order, 0, 0)?;
        self.with(cx, x, others)
    }

    /// `x` mixed with others.
    pub fn with(&self, cx: &mut Cx, x: ValueId, others: ValueId) -> Result<ValueId> {
        let weight = match cx.rank(x) {
            4 => self.weight,
            _ => {
                let n = cx.dim(self.weight, 0)?;
                cx.reshape(self.weight, &[n, 1])?
            }
        };
        let dtype = cx.dtype(x);
        let weight = cx.cast(weight, dtype)?;
        blended(cx, x, others, weight)
    }
}

/// `weight` of one and the rest of another.
fn blended(cx: &mut Cx, one: ValueId, other: ValueId, weight: ValueId) -> Result<ValueId> {
    let rest = cx.unary(Unary::Neg, weight)?;
    let rest = cx.add_s(rest, 1.0)?;
    let (one, other) = (cx.mul(weight, one)?, cx.mul(rest, other)?);
    cx.add(one, other)
}

/// What MixUp draws for n rows.
pub(super) fn mixture(cx: &mut Cx, alpha: f64, n: usize) -> Result<Mixture> {
    let order = shuffled(cx, n)?;
    let alpha = cx.scalar(DType::F32, alpha);
    let weight = beta(cx, alpha, &[n, 1, 1, 1])?;
    Ok(Mixture { order, weight })
}

/// What CutMix draws for images of a shape: which pixels are of other images, and the
/// part of the others.
pub(super) fn patches(cx: &mut Cx, factor: Span, shape: &[usize]) -> Result<(ValueId, Mixture)> {
    let alpha = between(cx, factor, &[])?;
    let alpha = cx.add_s(alpha, 1e-6)?;
    let weight = beta(cx, alpha, &[shape[0], 1, 1, 1])?;
    let part = cx.unary(Unary::Neg, weight)?;
    let part = cx.add_s(part, 1.0)?;
    let part = cx.unary(Unary::Sqrt, part)?;
    let columns = in_span(cx, part, 2, shape[2])?;
    let rows = in_span(cx, part, 1, shape[1])?;
    let boxes = cx.and(columns, rows)?;
    let order = shuffled(cx, shape[0])?;
    Ok((boxes, Mixture { order, weight }))
}

/// The numbers below n in a random order.
fn shuffled(cx: &mut Cx, n: usize) -> Result<ValueId> {
    let order = cx.random(RandomKind::Uniform, &[n], DType::F32)?;
    Ok(cx.sort(order, false)?.1)
}

/// `x` after some of the steps, drawn for the batch.
pub(super) fn chosen(
    cx: &mut Cx,
    steps: &[Training],
    count: usize,
    x: ValueId,
    mut apply: impl FnMut(&mut Cx, &Training, ValueId) -> Result<ValueId>,
) -> Result<ValueId> {
    let drawn = pick(cx, steps.len(), count)?;
    let mut starts = vec![];
    let mut y = x;
    for round in 0..count {
        let index = cx.index_axis(drawn, 0, round)?;
        let from = y;
        for (i, step) in steps.iter().enumerate() {
            if round == 0 {
                starts.push(cx.streams());
            }
            let made = cx.redraw(starts[i], |cx| apply(cx, step, from))?;
            let chosen = cx.binary_s(Binary::Eq, index, i as f64)?;
            y = cx.select(chosen, made, y)?;
        }
    }
    Ok(y)
}

/// `x` mixed with what so many chains, each so long, of steps make of it.
pub(super) fn chained(
    cx: &mut Cx,
    steps: &[Training],
    [chains, depth]: [usize; 2],
    alpha: f64,
    x: ValueId,
    mut apply: impl FnMut(&mut Cx, &Training, ValueId) -> Result<ValueId>,
) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let alpha = cx.scalar(DType::F32, alpha);
    // A Dirichlet distribution.
    let weights = cx.log_gamma(alpha, &[chains])?;
    let weights = cx.softmax(weights, 0, false)?;
    let weights = cx.cast(weights, dtype)?;
    let own = beta(cx, alpha, &[])?;
    let own = cx.cast(own, dtype)?;
    // One more for none.
    let drawn = pick(cx, steps.len() + 1, chains * depth)?;
    let mut sum = cx.mul_s(x, 0.0)?;
    for chain in 0..chains {
        let mut y = x;
        for at in 0..depth {
            let index = cx.index_axis(drawn, 0, chain * depth + at)?;
            let from = y;
            for (i, step) in steps.iter().enumerate() {
                let made = apply(cx, step, from)?;
                let chosen = cx.binary_s(Binary::Eq, index, i as f64)?;
                y = cx.select(chosen, made, y)?;
            }
        }
        let weight = cx.index_axis(weights, 0, chain)?;
        let part = cx.mul(y, weight)?;
        sum = cx.add(sum, part)?;
    }
    blended(cx, x, sum, own)
}

/// Normal noise (n, height, width, 1) of a strength up to `most` (float32, rank 0),
/// blurred the more, the stronger it is.
pub(super) fn smooth_noise(
    cx: &mut Cx,
    strength: ValueId,
    size: [usize; 3],
    most: f64,
) -> Result<ValueId> {
    let [n, height, width] = size;
    let deviation = |f: f64| height.min(width) as f64 * 0.05 * f;
    let sigma = cx.mul_s(strength, deviation(1.0))?;
    let noise = cx.random(RandomKind::Normal, &[n, height, width, 1], DType::F32)?;
    let noise = cx.mul(noise, sigma)?;
    // The bell ends at three times the deviation, cut to a whole number.
    let half = 3 * deviation(most) as i32;
    let places: Vec<f32> = (-half..=half).map(|i| i as f32).collect();
    let places = cx.f32s([places.len()], &places);
    let end = cx.unary(Unary::Floor, sigma)?;
    let end = cx.mul_s(end, 3.0)?;
    let away = cx.unary(Unary::Abs, places)?;
    let within = cx.binary(Binary::Le, away, end)?;
    let bell = cx.div(places, sigma)?;
    let bell = cx.unary(Unary::Square, bell)?;
    let bell = cx.mul_s(bell, -0.5)?;
    let bell = cx.unary(Unary::Exp, bell)?;
    let zero = cx.scalar(DType::F32, 0.0);
    let bell = cx.select(within, bell, zero)?;
    let sum = cx.reduce(Reduce::Sum, bell, &[0], true)?;
    let bell = cx.div(bell, sum)?;
    let (down, across) = (cx.expand_dims(bell, 1)?, cx.expand_dims(bell, 0)?);
    let kernel = cx.mul(down, across)?;
    let noise = filtered_by(cx, noise, kernel, true)?;
    let by = cx.mul_s(strength, height.max(width) as f64 * 0.1)?;
    cx.mul(noise, by)
}

/// Which of n images are changed: each with a probability between two ends.
pub(super) fn some(cx: &mut Cx, factor: Span, n: usize) -> Result<ValueId> {
    let chance = between(cx, factor, &[n, 1, 1, 1])?;
    let u = between(cx, [0.0, 1.0], &[n, 1, 1, 1])?;
    cx.binary(Binary::Lt, u, chance)
}

/// Ones and zeros (n, 1).
fn constants(cx: &mut Cx, n: usize) -> Result<(ValueId, ValueId)> {
    let one = cx.full(Fact::f32([n, 1]), 1.0)?;
    Ok((one, cx.full(Fact::f32([n, 1]), 0.0)?))
}

/// Whether places along an axis of images are in a random stretch of it, whose
/// length is a part (n, 1, 1, 1) of the axis.
fn in_span(cx: &mut Cx, part: ValueId, axis: usize, size: usize) -> Result<ValueId> {
    let each = cx.shape(part);
    let length = cx.mul_s(part, size as f64)?;
    let room = cx.unary(Unary::Neg, length)?;
    let room = cx.add_s(room, size as f64)?;
    let u = between(cx, [0.0, 1.0], &each)?;
    let start = cx.mul(u, room)?;
    let end = cx.add(start, length)?;
    let mut shape = vec![1; 4];
    shape[axis] = size;
    let places = cx.generated(shape, |i| i as f32)?;
    let after = cx.binary(Binary::Ge, places, start)?;
    let before = cx.binary(Binary::Lt, places, end)?;
    cx.and(after, before)
}

/// A part of a size at a random place, the same for the batch; the middle of images
/// that are no larger both ways, resized.
fn crop(cx: &mut Cx, x: ValueId, size: [usize; 2]) -> Result<ValueId> {
    let shape = cx.shape(x);
    let [height, width] = size;
    if shape[1] > height && shape[2] > width {
        let mut y = x;
        for (axis, len) in [(1, height), (2, width)] {
            let u = between(cx, [0.0, (shape[axis] - len + 1) as f64], &[1])?;
            let start = cx.cast(u, DType::I32)?;
            let places = cx.generated([len], |i| i as i32)?;
            let places = cx.add(places, start)?;
            y = cx.gather(y, places, axis, 0)?;
        }
        return Ok(y);
    }
    let part = |own: usize, other: usize, to: usize, by: usize| {
        let len = (other as f64 * to as f64 / by as f64) as usize;
        (own - len.min(own).max(1)) / 2
    };
    let top = part(shape[1], shape[2], height, width);
    let left = part(shape[2], shape[1], width, height);
    let y = cx.slice_axis(x, 1, top, (top + height).min(shape[1]))?;
    let y = cx.slice_axis(y, 2, left, (left + width).min(shape[2]))?;
    if cx.shape(y)[1..3] == size {
        return Ok(y);
    }
    let stretch = Resize {
        size,
        how: Interpolation::Bilinear,
        antialias: false,
        fit: Fit::Stretch,
    };
    stretch.resample(cx, y, 1)
}

/// Each channel, over all images, through the table that evens out its values.
fn equalized(cx: &mut Cx, x: ValueId, bins: usize, range: (f64, f64)) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let shape = cx.shape(x);
    let channels = shape[3];
    let scaled = |cx: &mut Cx, x: ValueId, from: (f64, f64), to: (f64, f64)| -> Result<ValueId> {
        if from == to {
            return Ok(x);
        }
        let scale = (to.1 - to.0) / (from.1 - from.0);
        let y = cx.mul_s(x, scale)?;
        cx.add_s(y, to.0 - from.0 * scale)
    };
    let byte = scaled(cx, x, range, BYTE)?;
    // A row of values for each channel.
    let rows = cx.transpose(byte, &[3, 0, 1, 2])?;
    let count = shape[0] * shape[1] * shape[2];
    let rows = cx.reshape(rows, &[channels, count])?;
    let wide = cx.cast(rows, DType::F32)?;
    let last = (bins - 1) as f64;
    let places = cx.mul_s(wide, last)?;
    let places = cx.div_s(places, 255.0)?;
    let places = cx.cast(places, DType::I32)?;
    let places = cx.clip(places, Some(0.0), Some(last))?;
    let counts = cx.count(places, bins, false)?;
    let zero = cx.scalar(DType::I32, 0.0);
    let filled = cx.binary(Binary::Gt, counts, zero)?;
    let filled = cx.cast(filled, DType::I32)?;
    let filled = cx.reduce(Reduce::Sum, filled, &[1], true)?;
    let sums = cx.cumulate(Cumulate::Sum, counts, 1, false)?;
    // The first sum that is not 0: what is 0 is put above all others.
    let there = cx.binary(Binary::Gt, sums, zero)?;
    let most = cx.scalar(DType::I32, f64::from(i32::MAX));
    let lowest = cx.select(there, sums, most)?;
    let lowest = cx.reduce(Reduce::Min, lowest, &[1], true)?;
    let total = cx.slice_axis(sums, 1, bins - 1, bins)?;
    let room = cx.sub(total, lowest)?;
    let one = cx.scalar(DType::I32, 1.0);
    let room = cx.maximum(room, one)?;
    let table = cx.sub(sums, lowest)?;
    let table = cx.cast(table, DType::F64)?;
    let table = cx.mul_s(table, 255.0)?;
    let room = cx.cast(room, DType::F64)?;
    let table = cx.div(table, room)?;
    let table = cx.unary(Unary::Round, table)?;
    let table = cx.clip(table, Some(0.0), Some(255.0))?;
    let table = cx.cast(table, dtype)?;
    let index = cx.div_s(rows, 255.0)?;
    let index = cx.mul_s(index, last)?;
    let index = cx.clip(index, Some(0.0), Some(last))?;
    let index = cx.cast(index, DType::I32)?;
    let y = cx.take_along(table, index, 1)?;
    let varied = cx.binary(Binary::Gt, filled, one)?;
    let y = cx.select(varied, y, rows)?;
    let y = scaled(cx, y, BYTE, range)?;
    let y = cx.reshape(y, &[channels, shape[0], shape[1], shape[2]])?;
    cx.transpose(y, &[1, 2, 3, 0])
}
