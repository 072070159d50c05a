//! `tf.signal`: transforms of signals along the last axis.

use super::args::{ints, literal, Args};
use super::Name;
use crate::error::Result;
use crate::graph::{FftAttrs, Unary, ValueId};
use crate::keras::spectrum::{self, Complex};
use crate::keras::{Cx, Out};
use crate::tensor::DType;

/// The functions of [`lower`].
pub const NAMES: [&str; 9] = [
    "dct",
    "fft",
    "frame",
    "ifft",
    "irfft",
    "mfccs_from_log_mel_spectrograms",
    "overlap_and_add",
    "rfft",
    "stft",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let function = name.function;
    let x = a.first(cx)?;
    let count = |cx: &Cx, key: &str| -> Result<usize> {
        match a.int(cx, key)? {
            Some(n) if n > 0 => Ok(n as usize),
            _ => Err(cx.call_error(format!("`{key}` must be a whole number > 0"))),
        }
    };
    let out = match function {
        "frame" | "stft" => {
            let (length, step) = (count(cx, "frame_length")?, count(cx, "frame_step")?);
            let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
            if a.flag("pad_end") || cx.axis(axis, cx.rank(x))? + 1 != cx.rank(x) {
                return Err(cx.call_error("signals must be along the last axis, and not be padded"));
            }
            let frames = spectrum::frames(cx, x, length, step)?;
            if function == "frame" {
                return Ok(Some(frames.into()));
            }
            if a.get("window_fn").is_some() {
                return Err(cx.call_error("`window_fn` must be that of a Hann window"));
            }
            let size = match a.get("fft_length") {
                Some(_) => count(cx, "fft_length")?,
                None => length.next_power_of_two(),
            };
            let window = spectrum::hann(length);
            let dtype = cx.dtype(frames);
            let window = spectrum::vector(cx, &window, dtype);
            let frames = cx.mul(frames, window)?;
            complex(cx, |cx| spectrum::rfft(cx, frames, size))?
        }
        "rfft" => {
            let size = match length(cx, a)? {
                Some(n) => n,
                None => cx.dim(x, -1)?,
            };
            complex(cx, |cx| spectrum::rfft(cx, x, size))?
        }
        "irfft" => {
            let parts = parts(cx, x)?;
            let size = match length(cx, a)? {
                Some(n) => n,
                None => 2 * (cx.dim(parts.0, -1)?.max(1) - 1),
            };
            spectrum::irfft(cx, parts, size)?
        }
        "fft" | "ifft" => {
            let (re, im) = parts(cx, x)?;
            let n = cx.dim(re, -1)?;
            let inverse = function == "ifft";
            let attrs = FftAttrs { inverse, keep: n };
            complex(cx, |cx| {
                let (re, im) = cx.fft(re, Some(im), attrs)?;
                match inverse {
                    false => Ok((re, im)),
                    true => Ok((cx.div_s(re, n as f64)?, cx.div_s(im, n as f64)?)),
                }
            })?
        }
        "dct" => {
            let n = cx.dim(x, -1)?;
            let plain = a.int(cx, "type")?.unwrap_or(2) == 2 && a.get("n").is_none();
            if !plain {
                return Err(cx.call_error("`type` must be 2, and `n` not be given"));
            }
            let ortho = a.text("norm") == Some("ortho");
            cosines(cx, x, |k| match (ortho, k) {
                (false, _) => 1.0,
                (true, 0) => (0.25 / n as f64).sqrt(),
                (true, _) => (0.5 / n as f64).sqrt(),
            })?
        }
        "mfccs_from_log_mel_spectrograms" => {
            let n = cx.dim(x, -1)? as f64;
            cosines(cx, x, |_| (0.5 / n).sqrt())?
        }
        _ => {
            let step = count(cx, "frame_step")?;
            spectrum::overlapped(cx, x, step)?
        }
    };
    Ok(Some(out.into()))
}

/// The first size under `fft_length`.
fn length(cx: &Cx, a: &Args) -> Result<Option<usize>> {
    let Some(given) = a.get("fft_length") else {
        return Ok(None);
    };
    match literal(given).and_then(|v| ints(&v)).as_deref() {
        Some(&[n]) if n > 0 => Ok(Some(n as usize)),
        _ => Err(cx.call_error("`fft_length` must be a whole number > 0")),
    }
}

fn complex(cx: &mut Cx, f: impl FnOnce(&mut Cx) -> Result<Complex>) -> Result<ValueId> {
    let (re, im) = f(cx)?;
    cx.complex(re, im)
}

/// Real and imaginary parts, which is 0 for real numbers.
fn parts(cx: &mut Cx, x: ValueId) -> Result<Complex> {
    if let Some(parts) = cx.parts(x)? {
        return Ok(parts);
    }
    if cx.dtype(x) != DType::F64 && cx.dtype(x) != DType::F32 {
        return Err(cx.call_error(format!("can't transform {} tensors", cx.dtype(x))));
    }
    let zero = cx.unary(Unary::Neg, x)?;
    Ok((x, cx.add(x, zero)?))
}

/// The discrete cosine transform of type 2, each coefficient scaled.
fn cosines(cx: &mut Cx, x: ValueId, scale: impl Fn(usize) -> f64) -> Result<ValueId> {
    let n = cx.dim(x, -1)?;
    let matrix = cx.generated([n, n], |at| {
        let (i, k) = (at / n, at % n);
        // The turn is kept small, for an exact cosine.
        let turn = (k * (2 * i + 1)) % (4 * n);
        let angle = std::f64::consts::PI * turn as f64 / (2 * n) as f64;
        (2.0 * angle.cos() * scale(k)) as f32
    })?;
    let dtype = cx.dtype(x);
    let matrix = cx.cast(matrix, dtype)?;
    cx.dense(x, matrix)
}
