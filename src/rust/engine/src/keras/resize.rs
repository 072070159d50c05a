//! Image resizing one axis at a time, with the weights of `tf.image.resize`.

use super::layer::Cx;
use crate::error::Result;
use crate::graph::ValueId;
use crate::tensor::DType;

/// How values between pixels are made.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Interpolation {
    Nearest,
    Bilinear,
    Bicubic,
    /// Of this radius.
    Lanczos(u8),
}

impl Interpolation {
    /// By Keras' name; `area` is none of them.
    pub fn named(name: &str) -> Option<Interpolation> {
        Some(match name {
            "nearest" => Interpolation::Nearest,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            "lanczos3" => Interpolation::Lanczos(3),
            "lanczos5" => Interpolation::Lanczos(5),
            _ => return None,
        })
    }

    fn radius(self) -> f32 {
        match self {
            Interpolation::Nearest => 0.5,
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos(r) => f32::from(r),
        }
    }

    /// The kernel of TensorFlow's `scale_and_translate`.
    fn kernel(self, x: f32) -> f32 {
        let x = x.abs();
        match self {
            Interpolation::Nearest => f32::from(x <= 0.5),
            Interpolation::Bilinear => (1.0 - x).max(0.0),
            Interpolation::Bicubic if x >= 2.0 => 0.0,
            Interpolation::Bicubic if x >= 1.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Interpolation::Bicubic => ((1.5 * x - 2.5) * x) * x + 1.0,
            Interpolation::Lanczos(r) if x > f32::from(r) => 0.0,
            Interpolation::Lanczos(_) if x <= 1e-3 => 1.0,
            Interpolation::Lanczos(r) => {
                let (r, pi) = (f32::from(r), std::f32::consts::PI);
                r * (pi * x).sin() * (pi * x / r).sin() / (pi * pi * x * x)
            }
        }
    }
}

/// What each output element is made of: (input index, weight).
type Taps = Vec<Vec<(usize, f32)>>;

/// Up to so many taps, gathering and adding costs less than a matrix product.
const FEW: usize = 4;

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
    let taps = taps(from, size, how, antialias);
    if how == Interpolation::Nearest {
        return gather(cx, x, axis, &taps, 0);
    }
    let x = cx.cast(x, DType::F32)?;
    let widest = taps.iter().map(Vec::len).max().unwrap_or(0);
    match widest <= FEW {
        true => by_gathers(cx, x, axis, &taps, widest),
        false => by_matrix(cx, x, axis, &taps, from),
    }
}

/// The k-th tap of each output element.
fn gather(cx: &mut Cx, x: ValueId, axis: usize, taps: &Taps, k: usize) -> Result<ValueId> {
    let rows: Vec<i32> = taps
        .iter()
        .map(|t| t.get(k).or(t.last()).map_or(0, |t| t.0 as i32))
        .collect();
    let rows = cx.i32s([taps.len()], &rows);
    cx.gather(x, rows, axis, 0)
}

fn by_gathers(cx: &mut Cx, x: ValueId, axis: usize, taps: &Taps, widest: usize) -> Result<ValueId> {
    let mut shape = vec![1; cx.rank(x)];
    shape[axis] = taps.len();
    let mut sum = None;
    for k in 0..widest.max(1) {
        let rows = gather(cx, x, axis, taps, k)?;
        let weights: Vec<f32> = taps.iter().map(|t| t.get(k).map_or(0.0, |t| t.1)).collect();
        let weights = cx.f32s(shape.clone(), &weights);
        let part = cx.mul(rows, weights)?;
        sum = Some(match sum {
            None => part,
            Some(sum) => cx.add(sum, part)?,
        });
    }
    sum.ok_or_else(|| cx.error("nothing to interpolate"))
}

fn by_matrix(cx: &mut Cx, x: ValueId, axis: usize, taps: &Taps, from: usize) -> Result<ValueId> {
    let to = taps.len();
    let mut matrix = vec![0.0f32; from * to];
    for (column, taps) in taps.iter().enumerate() {
        for &(row, weight) in taps {
            matrix[row * to + column] += weight;
        }
    }
    let matrix = cx.f32s([from, to], &matrix);
    let mut perm: Vec<usize> = (0..cx.rank(x)).collect();
    let last = perm.len() - 1;
    perm.swap(axis, last);
    let moved = cx.transpose(x, &perm)?;
    let y = cx.dense(moved, matrix)?;
    cx.transpose(y, &perm)
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

/// Keys' cubic from a table of 1024 steps; taps outside of the image count for nothing.
fn bicubic(i: usize, scale: f32, from: usize) -> Vec<(usize, f32)> {
    const STEPS: f32 = 1024.0;
    let at = (i as f32 + 0.5) * scale - 0.5;
    let base = at.floor();
    let step = ((at - base) * STEPS).round_ties_even() / STEPS;
    let near = |x: f32| ((1.5 * x - 2.5) * x) * x + 1.0;
    let far = |x: f32| ((-0.5 * (x + 1.0) + 2.5) * (x + 1.0) - 4.0) * (x + 1.0) + 2.0;
    let weights = [far(step), near(step), near(1.0 - step), far(1.0 - step)];
    let inside = |k: usize| {
        let at = base as isize - 1 + k as isize;
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
