//! Fourier transforms of signals along the last axis: real, framed, and back.

use super::cfg::{numbers, Cfg};
use super::layer::Cx;
use crate::error::Result;
use crate::graph::{FftAttrs, PadMode, ValueId};
use crate::tensor::{DType, Tensor};

/// Real and imaginary parts.
pub type Complex = (ValueId, ValueId);

/// Overlapping sequences of the last axis: (..., sequences, length).
pub fn frames(cx: &mut Cx, x: ValueId, length: usize, stride: usize) -> Result<ValueId> {
    let size = cx.dim(x, -1)?;
    if length == 0 || stride == 0 {
        return Err(cx.call_error("sequences must have a length and a stride"));
    }
    let count = (size + stride).saturating_sub(length) / stride;
    let at = |i: usize| (i / length * stride + i % length) as i32;
    let places = cx.generated([count, length], at)?;
    let last = cx.rank(x) - 1;
    cx.gather(x, places, last, 0)
}

/// The last axis cut, or filled up with zeros, to a size.
pub fn fitted(cx: &mut Cx, x: ValueId, size: usize) -> Result<ValueId> {
    let have = cx.dim(x, -1)?;
    if have >= size {
        return cx.slice_axis(x, -1, 0, size);
    }
    let mut pads = vec![(0, 0); cx.rank(x)];
    if let Some(last) = pads.last_mut() {
        last.1 = size - have;
    }
    cx.pad(x, &pads, PadMode::Constant, 0.0)
}

/// The transform of real sequences of a length: the coefficients up to the
/// middle, the others being their conjugates.
pub fn rfft(cx: &mut Cx, x: ValueId, length: usize) -> Result<Complex> {
    let x = fitted(cx, x, length)?;
    let attrs = FftAttrs {
        inverse: false,
        keep: length / 2 + 1,
    };
    cx.fft(x, None, attrs)
}

/// Real sequences of a length from their coefficients up to the middle.
pub fn irfft(cx: &mut Cx, (re, im): Complex, length: usize) -> Result<ValueId> {
    if length == 0 {
        return Err(cx.defect("can't transform sequences of length 0"));
    }
    let mirrored = |cx: &mut Cx, x: ValueId, conjugate: bool| -> Result<ValueId> {
        let x = fitted(cx, x, length / 2 + 1)?;
        if length <= 2 {
            return cx.slice_axis(x, -1, 0, length);
        }
        let rest = cx.slice_axis(x, -1, 1, length.div_ceil(2))?;
        let mut rest = cx.reverse(rest, -1)?;
        if conjugate {
            rest = cx.unary(crate::graph::Unary::Neg, rest)?;
        }
        cx.concat(&[x, rest], -1)
    };
    let re = mirrored(cx, re, false)?;
    let im = mirrored(cx, im, true)?;
    let attrs = FftAttrs {
        inverse: true,
        keep: length,
    };
    let (re, _) = cx.fft(re, Some(im), attrs)?;
    cx.div_s(re, length as f64)
}

/// Hann's window.
pub fn hann(length: usize) -> Vec<f64> {
    raised_cosine(length, 0.5)
}

fn raised_cosine(length: usize, a: f64) -> Vec<f64> {
    // TensorFlow's periodic window of an odd length is symmetric.
    let period = (length - length % 2).max(1) as f64;
    let value = |i: usize| {
        let turn = 2.0 * std::f64::consts::PI * i as f64 / period;
        a - (1.0 - a) * turn.cos()
    };
    match length {
        1 => vec![1.0],
        _ => (0..length).map(value).collect(),
    }
}

/// What is multiplied with each sequence.
#[derive(Clone, Debug)]
pub enum Window {
    None,
    Hann,
    Hamming,
    Values(Vec<f64>),
}

impl Window {
    /// From the config's `window`.
    pub fn read(cfg: &Cfg) -> Result<Window> {
        match cfg.get("window") {
            None if cfg.has("window") => Ok(Window::None),
            None => Ok(Window::Hann),
            Some(v) => match (v.as_str(), numbers(v)) {
                (Some("hann"), _) => Ok(Window::Hann),
                (Some("hamming"), _) => Ok(Window::Hamming),
                (None, Some((shape, values))) if shape.len() == 1 => Ok(Window::Values(values)),
                _ => Err(cfg.bad("window", "hann, hamming, null or numbers")),
            },
        }
    }

    /// The window's values, with zeros around them up to `outer`.
    fn values(&self, cx: &Cx, length: usize, outer: usize) -> Result<Option<Vec<f64>>> {
        cx.ask(outer.saturating_mul(2 * size_of::<f64>()), "a window")?;
        let inner = match self {
            Window::None => return Ok(None),
            Window::Hann => hann(length),
            Window::Hamming => raised_cosine(length, 0.54),
            Window::Values(values) => values.clone(),
        };
        if inner.len() != length {
            return Err(cx.call_error(format!(
                "the window must have {length} values, not {}",
                inner.len()
            )));
        }
        let before = (outer - length) / 2;
        let mut values = vec![0.0; outer];
        values[before..before + length].copy_from_slice(&inner);
        Ok(Some(values))
    }
}

/// How signals are cut into sequences and transformed.
#[derive(Clone, Debug)]
pub struct Stft {
    pub length: usize,
    pub stride: usize,
    pub fft_length: usize,
    pub window: Window,
    /// Whether sequences are centered at their position: the signal is
    /// reflected at its ends.
    pub center: bool,
}

pub fn vector(cx: &mut Cx, values: &[f64], dtype: DType) -> ValueId {
    let n = values.len();
    match dtype {
        DType::F64 => cx.constant(Tensor::from_slice([n], values)),
        _ => {
            let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            cx.f32s([n], &values)
        }
    }
}

impl Stft {
    /// From the keys that layers and operations share.
    pub fn read(cfg: &Cfg, center: bool) -> Result<Stft> {
        let fft_length = cfg.usize("fft_length")?;
        let length = cfg.usize_or("sequence_length", fft_length)?;
        if length > fft_length || length == 0 {
            let expected = "a whole number from 1 to fft_length";
            return Err(cfg.bad("sequence_length", expected));
        }
        let stride = cfg.usize("sequence_stride")?;
        if stride == 0 {
            return Err(cfg.bad("sequence_stride", "a whole number > 0"));
        }
        Ok(Stft {
            length,
            stride,
            fft_length,
            window: Window::read(cfg)?,
            center,
        })
    }

    /// Coefficients (..., sequences, fft_length / 2 + 1) of signals (..., time).
    pub fn apply(&self, cx: &mut Cx, x: ValueId) -> Result<Complex> {
        let dtype = cx.dtype(x);
        let mut x = x;
        if self.center {
            let mut pads = vec![(0, 0); cx.rank(x)];
            if let Some(last) = pads.last_mut() {
                *last = (self.fft_length / 2, self.fft_length / 2);
            }
            x = cx.pad(x, &pads, PadMode::Reflect, 0.0)?;
        }
        x = frames(cx, x, self.fft_length, self.stride)?;
        if let Some(window) = self.window.values(cx, self.length, self.fft_length)? {
            let window = vector(cx, &window, dtype);
            x = cx.mul(x, window)?;
        }
        rfft(cx, x, self.fft_length)
    }

    /// Signals from their coefficients; `length` is theirs, if it is known.
    pub fn invert(&self, cx: &mut Cx, x: Complex, length: Option<usize>) -> Result<ValueId> {
        let dtype = cx.dtype(x.0);
        let mut y = irfft(cx, x, self.fft_length)?;
        if let Some(window) = self.window.values(cx, self.length, self.fft_length)? {
            let window = vector(cx, &self.inverse(&window), dtype);
            y = cx.mul(y, window)?;
        }
        let y = overlapped(cx, y, self.stride)?;
        let half = self.fft_length / 2;
        let size = cx.dim(y, -1)?;
        let start = if self.center { half } else { 0 };
        let end = match length {
            Some(length) => start + length,
            None if self.center => size.saturating_sub(half),
            None => size,
        };
        let end = end.min(size);
        cx.slice_axis(y, -1, start.min(end), end)
    }

    /// The window that undoes the window where sequences overlap.
    fn inverse(&self, window: &[f64]) -> Vec<f64> {
        let total = |at: usize| -> f64 {
            let same = (at % self.stride..window.len()).step_by(self.stride);
            same.map(|i| window[i] * window[i]).sum()
        };
        let values = window.iter().enumerate();
        values
            .map(|(i, w)| match total(i) {
                0.0 => 0.0,
                total => w / total,
            })
            .collect()
    }
}

/// Sums overlapping sequences (..., sequences, length) into signals.
pub fn overlapped(cx: &mut Cx, x: ValueId, stride: usize) -> Result<ValueId> {
    let shape = cx.shape(x);
    if shape.len() < 2 || stride == 0 {
        return Err(cx.error("expected a tensor of rank 2 at least"));
    }
    let (lead, last) = shape.split_at(shape.len() - 2);
    let (count, length) = (last[0], last[1]);
    let parts = length.div_ceil(stride);
    let x = fitted(cx, x, parts * stride)?;
    let x = cx.reshape(x, &[lead, &[count, parts, stride]].concat())?;
    let mut pads = vec![(0, 0); lead.len() + 2];
    let mut sum = None;
    for part in 0..parts {
        let piece = cx.index_axis(x, -2, part)?;
        pads[lead.len()] = (part, parts - 1 - part);
        let piece = cx.pad(piece, &pads, PadMode::Constant, 0.0)?;
        sum = Some(match sum {
            None => piece,
            Some(sum) => cx.add(sum, piece)?,
        });
    }
    let Some(sum) = sum else {
        return Err(cx.error("sequences must have a length"));
    };
    let all = (count + parts - 1) * stride;
    let y = cx.reshape(sum, &[lead, &[all]].concat())?;
    let size = (count.max(1) - 1) * stride + length;
    cx.slice_axis(y, -1, 0, size.min(all))
}
