//! Image resizing one axis at a time, with the weights of `tf.image.resize`.

use super::cfg::Cfg;
use super::layer::Cx;
use crate::error::Result;
use crate::graph::{PadMode, Unary, ValueId};
use crate::tensor::DType;

/// How values between pixels are made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Interpolation {
    Nearest,
    Bilinear,
    Bicubic,
    /// Of this radius.
    Lanczos(u8),
    /// The mean of what a pixel covers.
    Area,
    /// Only TensorFlow has it.
    Gaussian,
    /// Mitchell's and Netravali's cubic; only TensorFlow has it.
    Mitchell,
}

impl Interpolation {
    /// By Keras' name.
    pub fn named(name: &str) -> Option<Interpolation> {
        Some(match name {
            "nearest" => Interpolation::Nearest,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            "lanczos3" => Interpolation::Lanczos(3),
            "lanczos5" => Interpolation::Lanczos(5),
            "area" => Interpolation::Area,
            _ => return None,
        })
    }

    /// By TensorFlow's name.
    pub fn of_tensorflow(name: &str) -> Option<Interpolation> {
        match name {
            "gaussian" => Some(Interpolation::Gaussian),
            "mitchellcubic" => Some(Interpolation::Mitchell),
            name => Interpolation::named(name),
        }
    }

    fn radius(self) -> f32 {
        match self {
            Interpolation::Nearest | Interpolation::Area => 0.5,
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic | Interpolation::Mitchell => 2.0,
            Interpolation::Gaussian => 1.5,
            Interpolation::Lanczos(r) => f32::from(r),
        }
    }

    /// The kernel of TensorFlow's `scale_and_translate`.
    fn kernel(self, x: f32) -> f32 {
        let x = x.abs();
        match self {
            Interpolation::Nearest | Interpolation::Area => f32::from(x <= 0.5),
            Interpolation::Bilinear => (1.0 - x).max(0.0),
            Interpolation::Bicubic if x >= 2.0 => 0.0,
            Interpolation::Bicubic if x >= 1.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Interpolation::Bicubic => ((1.5 * x - 2.5) * x) * x + 1.0,
            Interpolation::Mitchell if x >= 2.0 => 0.0,
            Interpolation::Mitchell if x >= 1.0 => {
                ((-7.0 / 18.0 * x + 2.0) * x - 10.0 / 3.0) * x + 16.0 / 9.0
            }
            Interpolation::Mitchell => ((7.0 / 6.0 * x - 2.0) * x) * x + 8.0 / 9.0,
            Interpolation::Gaussian if x >= 1.5 => 0.0,
            Interpolation::Gaussian => (-x * x / 0.5).exp(),
            Interpolation::Lanczos(r) if x > f32::from(r) => 0.0,
            Interpolation::Lanczos(_) if x <= 1e-3 => 1.0,
            Interpolation::Lanczos(r) => {
                let (r, pi) = (f32::from(r), std::f32::consts::PI);
                r * (pi * x).sin() * (pi * x / r).sin() / (pi * pi * x * x)
            }
        }
    }
}

/// How images get another aspect ratio before they are resized.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Fit {
    Stretch,
    /// The middle of the image is kept.
    Crop,
    /// The image is put in the middle of a canvas of this value.
    Pad(f64),
}

/// What `keras.ops.image.resize` is told.
#[derive(Copy, Clone, Debug)]
pub struct Resize {
    /// Height and width.
    pub size: [usize; 2],
    pub how: Interpolation,
    pub antialias: bool,
    pub fit: Fit,
}

impl Resize {
    /// The keys that the layer and the operation share, all but the size.
    ///
    /// # Errors
    /// For values that Keras refuses.
    pub fn read(cfg: &Cfg, size: [usize; 2]) -> Result<Resize> {
        if size.contains(&0) {
            return Err(cfg.bad("size", "whole numbers > 0"));
        }
        let name = cfg.str_or("interpolation", "bilinear")?.to_lowercase();
        // Keras 2 took TensorFlow's names.
        let how = Interpolation::of_tensorflow(&name).ok_or_else(|| {
            let known = "nearest, bilinear, bicubic, lanczos3, lanczos5 or area";
            cfg.bad("interpolation", known)
        })?;
        cfg.one_of("fill_mode", "constant", &["constant"])?;
        let crop = cfg.bool_or("crop_to_aspect_ratio", false)?;
        let pad = cfg.bool_or("pad_to_aspect_ratio", false)?;
        let fill = cfg.f64_or("fill_value", 0.0)?;
        let fit = match (crop, pad) {
            (true, true) => {
                return Err(cfg.bad("pad_to_aspect_ratio", "false where images are cropped"))
            }
            (true, false) => Fit::Crop,
            (false, true) => Fit::Pad(fill),
            (false, false) => Fit::Stretch,
        };
        Ok(Resize {
            size,
            how,
            antialias: cfg.bool_or("antialias", false)?,
            fit,
        })
    }

    /// Resizes images whose height and width are the axes `at` and `at + 1`, in
    /// their dtype.
    pub fn apply(&self, cx: &mut Cx, x: ValueId, at: usize) -> Result<ValueId> {
        let dtype = cx.dtype(x);
        let y = self.resample(cx, x, at)?;
        saturated(cx, y, dtype)
    }

    /// As [`Resize::apply`], but what is interpolated is float32.
    pub fn resample(&self, cx: &mut Cx, x: ValueId, at: usize) -> Result<ValueId> {
        let x = match self.fit {
            Fit::Stretch => x,
            Fit::Crop => crop_to_ratio(cx, x, at, self.size)?,
            Fit::Pad(value) => pad_to_ratio(cx, x, at, self.size, value)?,
        };
        if cx.shape(x)[at..at + 2] == self.size {
            return Ok(x);
        }
        let y = axis(cx, x, at, self.size[0], self.how, self.antialias)?;
        axis(cx, y, at + 1, self.size[1], self.how, self.antialias)
    }
}

/// Height and width of the largest part of an image with the ratio of `size`,
/// which is also how far a canvas of that ratio reaches beyond it.
fn ratio(from: [usize; 2], size: [usize; 2]) -> [usize; 2] {
    let part = |n: usize, by: usize, over: usize| ((n * by) as f32 / over as f32) as usize;
    [
        part(from[1], size[0], size[1]),
        part(from[0], size[1], size[0]),
    ]
}

/// The middle of images, of the aspect ratio of `size`.
pub fn crop_to_ratio(cx: &mut Cx, x: ValueId, at: usize, size: [usize; 2]) -> Result<ValueId> {
    let shape = cx.shape(x);
    let wanted = ratio([shape[at], shape[at + 1]], size);
    let mut y = x;
    for (axis, part) in (at..).zip(wanted) {
        let len = part.min(shape[axis]).max(1);
        let start = shape[axis].saturating_sub(len) / 2;
        y = cx.slice_axis(y, axis as isize, start, start + len)?;
    }
    Ok(y)
}

fn pad_to_ratio(
    cx: &mut Cx,
    x: ValueId,
    at: usize,
    size: [usize; 2],
    value: f64,
) -> Result<ValueId> {
    let shape = cx.shape(x);
    let wanted = ratio([shape[at], shape[at + 1]], size);
    let mut pads = vec![(0, 0); shape.len()];
    for (axis, whole) in (at..).zip(wanted) {
        let side = whole.saturating_sub(shape[axis]) / 2;
        pads[axis] = (side, side);
    }
    cx.pad(x, &pads, PadMode::Constant, value)
}

/// A float tensor in another dtype: integers are rounded, and stop at their bounds.
pub fn saturated(cx: &mut Cx, x: ValueId, dtype: DType) -> Result<ValueId> {
    if cx.dtype(x) == dtype {
        return Ok(x);
    }
    let bits = 8 * dtype.size() as i32;
    let (low, high) = match dtype {
        DType::U8 | DType::U16 | DType::U32 => (0.0, 2f64.powi(bits) - 1.0),
        DType::I8 | DType::I16 | DType::I32 => (-2f64.powi(bits - 1), 2f64.powi(bits - 1) - 1.0),
        DType::F16 => (-65504.0, 65504.0),
        DType::I64 | DType::U64 => (-2f64.powi(63), 2f64.powi(63)),
        _ => return cx.cast(x, dtype),
    };
    let x = match dtype.is_float() {
        true => x,
        false => cx.unary(Unary::Round, x)?,
    };
    let x = cx.clip(x, Some(low), Some(high))?;
    cx.cast(x, dtype)
}

/// What each output element is made of: (input index, weight).
type Taps = Vec<Vec<(usize, f32)>>;

/// Resizes one axis of an image batch to `size` elements. All but `Nearest`
/// give float32, as TensorFlow does.
///
/// # Errors
/// If the axis is empty.
pub fn axis(
    cx: &mut Cx,
    x: ValueId,
    axis: usize,
    size: usize,
    how: Interpolation,
    antialias: bool,
) -> Result<ValueId> {
    let from = cx.dim(x, axis as isize)?;
    if from == 0 {
        return Err(cx.error("can't resize an empty image"));
    }
    ask_for_taps(cx, from, size)?;
    let taps = taps(from, size, how, antialias);
    if how == Interpolation::Nearest {
        let rows = cx.generated([size], |i| taps[i][0].0 as i32)?;
        return cx.gather(x, rows, axis, 0);
    }
    sampled(cx, x, axis, &taps)
}

/// As [`axis`] with areas, where an output element is `scale` input elements long.
pub fn area_axis(cx: &mut Cx, x: ValueId, axis: usize, size: usize, scale: f32) -> Result<ValueId> {
    let from = cx.dim(x, axis as isize)?;
    ask_for_taps(cx, from, size)?;
    let taps = (0..size).map(|i| area(i, scale, from)).collect();
    sampled(cx, x, axis, &taps)
}

/// As [`area_axis`], with the cubic of TensorFlow 1: it is steeper, pixels begin where
/// they are counted from, and those at the edges go on.
pub fn old_bicubic_axis(
    cx: &mut Cx,
    x: ValueId,
    axis: usize,
    size: usize,
    scale: f32,
) -> Result<ValueId> {
    let from = cx.dim(x, axis as isize)?;
    ask_for_taps(cx, from, size)?;
    let tap = |i: usize| {
        let (base, weights) = cubic(i as f32 * scale, -0.75);
        let at = |k: usize| (base - 1 + k as isize).clamp(0, from as isize - 1) as usize;
        (0..4).map(|k| (at(k), weights[k])).collect()
    };
    let taps = (0..size).map(tap).collect();
    sampled(cx, x, axis, &taps)
}

/// Asks for the memory of the taps of `size` elements.
fn ask_for_taps(cx: &Cx, from: usize, size: usize) -> Result<()> {
    // What is smaller than its source has more of it in each element.
    let each = (2 * from.div_ceil(size.max(1)) + 4) * size_of::<(usize, f32)>();
    cx.ask(size.saturating_mul(each), "a table of weights")
}

/// The sums of the taps, float32.
fn sampled(cx: &mut Cx, x: ValueId, axis: usize, taps: &Taps) -> Result<ValueId> {
    let x = cx.cast(x, DType::F32)?;
    let widest = taps.iter().map(Vec::len).max().unwrap_or(0).max(1);
    // What a sum lacks counts for nothing.
    let tap = |i: usize| {
        let taps = &taps[i / widest];
        let rest = (taps.last().map_or(0, |t| t.0), 0.0);
        taps.get(i % widest).copied().unwrap_or(rest)
    };
    let shape = [taps.len(), widest];
    let indices = cx.generated(shape, |i| tap(i).0 as i32)?;
    let weights = cx.generated(shape, |i| tap(i).1)?;
    cx.blend(x, axis, indices, weights)
}

/// TensorFlow's samples, with half-pixel centres, in its own float32 steps.
fn taps(from: usize, to: usize, how: Interpolation, antialias: bool) -> Taps {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|i| match how {
            Interpolation::Nearest => {
                let at = ((i as f32 + 0.5) * scale).floor() as usize;
                vec![(at.min(from - 1), 1.0)]
            }
            Interpolation::Area => area(i, scale, from),
            Interpolation::Bilinear if !antialias => bilinear(i, scale, from),
            Interpolation::Bicubic if !antialias => bicubic(i, scale, from),
            _ => spans(i, to as f32 / from as f32, from, how, antialias),
        })
        .collect()
}

fn bilinear(i: usize, scale: f32, from: usize) -> Vec<(usize, f32)> {
    let at = (i as f32 + 0.5) * scale - 0.5;
    let t = at - at.floor();
    let low = at.floor().max(0.0) as usize;
    let high = (at.ceil().max(0.0) as usize).min(from - 1);
    vec![(low, 1.0 - t), (high, t)]
}

/// The part of each pixel that an output pixel covers. Past the edge the last
/// pixel goes on.
fn area(i: usize, scale: f32, from: usize) -> Vec<(usize, f32)> {
    let (low, high) = (i as f32 * scale, (i + 1) as f32 * scale);
    let cover = |at: f32| match (at < low, at + 1.0 > high) {
        (true, true) => scale,
        (true, false) => at + 1.0 - low,
        (false, true) => high - at,
        (false, false) => 1.0,
    };
    let pixels = low.floor() as usize..high.ceil() as usize;
    pixels
        .map(|at| (at.min(from - 1), cover(at as f32) / scale))
        .collect()
}

/// The pixel before a place, and the weights of those from the one before it on: a
/// cubic of slope `a` from a table of 1024 steps.
fn cubic(at: f32, a: f32) -> (isize, [f32; 4]) {
    const STEPS: f32 = 1024.0;
    let base = at.floor();
    let step = ((at - base) * STEPS).round_ties_even() / STEPS;
    let near = |x: f32| (((a + 2.0) * x - (a + 3.0)) * x) * x + 1.0;
    let far = |x: f32| {
        let x = x + 1.0;
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    };
    let weights = [far(step), near(step), near(1.0 - step), far(1.0 - step)];
    (base as isize, weights)
}

/// Keys' cubic; taps outside of the image count for nothing.
fn bicubic(i: usize, scale: f32, from: usize) -> Vec<(usize, f32)> {
    let (base, weights) = cubic((i as f32 + 0.5) * scale - 0.5, -0.5);
    let inside = |k: usize| {
        let at = base - 1 + k as isize;
        usize::try_from(at).ok().filter(|&at| at < from)
    };
    let taps: Vec<(usize, f32)> = (0..4)
        .filter_map(|k| Some((inside(k)?, weights[k])))
        .collect();
    normalized(taps)
}

fn spans(
    i: usize,
    factor: f32,
    from: usize,
    how: Interpolation,
    antialias: bool,
) -> Vec<(usize, f32)> {
    let inverse = 1.0 / factor;
    let stretch = if antialias { inverse.max(1.0) } else { 1.0 };
    let at = (i as f32 + 0.5) * inverse;
    if at < 0.0 || at > from as f32 {
        return vec![];
    }
    let reach = how.radius() * stretch;
    let clamp = |v: f32| (v.max(0.0) as usize).min(from - 1);
    let (start, end) = (
        clamp((at - reach - 0.5).ceil()),
        clamp((at + reach - 0.5).floor()),
    );
    let weight = |source: usize| how.kernel((source as f32 + 0.5 - at) * (1.0 / stretch));
    normalized((start..=end).map(|s| (s, weight(s))).collect())
}

/// Weights that sum to 1, if they sum to anything.
fn normalized(mut taps: Vec<(usize, f32)>) -> Vec<(usize, f32)> {
    let sum: f32 = taps.iter().map(|t| t.1).sum();
    if sum.abs() < 1000.0 * f32::MIN_POSITIVE {
        return vec![];
    }
    let inverse = 1.0 / sum;
    taps.iter_mut().for_each(|t| t.1 *= inverse);
    taps
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        to: usize,
        how: Interpolation,
        antialias: bool,
        /// What `keras.ops.image.resize` gives.
        expected: &'static [f64],
    }

    const ROW: [f32; 5] = [-3.0, -2.0, 1.0, 6.0, 13.0];

    #[rustfmt::skip]
    const CASES: &[Case] = &[
        Case { to: 15, how: Interpolation::Bilinear, antialias: false, expected: &[
            -3.0, -3.0, -2.6666665, -2.3333333, -2.0, -0.9999999, 2.38e-7, 1.0, 2.6666675, 4.333334, 6.0, 8.333334, 10.666669, 13.0, 13.0] },
        Case { to: 15, how: Interpolation::Bicubic, antialias: false, expected: &[
            -3.105206, -3.0, -2.8277881, -2.5353239, -2.0, -1.2230902, -0.22113705, 1.0, 2.4429257, 4.1128478, 6.0, 8.604349, 11.243602, 13.0, 13.736444] },
        Case { to: 15, how: Interpolation::Lanczos(3), antialias: false, expected: &[
            -3.030921, -3.0, -2.890703, -2.529191, -1.9999998, -1.2418325, -0.14452904, 1.0, 2.1158466, 3.6240425, 5.9999995, 8.922586, 11.437424, 13.0, 13.93136] },
        Case { to: 15, how: Interpolation::Lanczos(5), antialias: false, expected: &[
            -3.0267553, -3.0, -2.9834445, -2.7589798, -1.9999998, -0.74015570, 0.3763594, 1.0, 1.6064312, 3.14698, 5.9999995, 9.128237, 11.484558, 13.0, 13.985515] },
        Case { to: 3, how: Interpolation::Nearest, antialias: false, expected: &[-3.0, 1.0, 13.0] },
        Case { to: 3, how: Interpolation::Bilinear, antialias: false, expected: &[-2.6666667, 1.0, 10.666666] },
        Case { to: 3, how: Interpolation::Bilinear, antialias: true, expected: &[-2.5714288, 1.4444445, 9.999999] },
        Case { to: 3, how: Interpolation::Bicubic, antialias: false, expected: &[-2.8277881, 1.0, 11.243602] },
        Case { to: 3, how: Interpolation::Bicubic, antialias: true, expected: &[-2.8307698, 1.1953483, 10.338462] },
        Case { to: 3, how: Interpolation::Lanczos(3), antialias: false, expected: &[-2.8907027, 1.0, 11.437421] },
        Case { to: 3, how: Interpolation::Lanczos(3), antialias: true, expected: &[-2.8967116, 0.99999964, 10.530499] },
    ];

    #[test]
    fn weights_are_tensorflows() {
        for c in CASES {
            let rows = taps(ROW.len(), c.to, c.how, c.antialias);
            let sum = |taps: &Vec<(usize, f32)>| taps.iter().map(|t| ROW[t.0] * t.1).sum();
            let have: Vec<f32> = rows.iter().map(sum).collect();
            let close = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() <= 1e-5 + 1e-5 * b.abs();
            assert!(
                have.len() == c.expected.len() && have.iter().zip(c.expected).all(close),
                "{:?} to {}: {have:?}",
                c.how,
                c.to
            );
        }
    }
}
