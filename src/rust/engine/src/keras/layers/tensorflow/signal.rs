//! `tf.signal`: transforms of signals along the last axis.

use super::args::{ints, literal, Args};
use super::Name;
use crate::error::Result;
use crate::graph::{FftAttrs, PadMode, Unary, ValueId};
use crate::keras::spectrum::{self, fitted, Complex};
use crate::keras::{Cx, Out};
use crate::tensor::DType;

/// The functions of [`lower`].
pub const NAMES: [&str; 17] = [
    "dct",
    "fft",
    "fft2d",
    "fft3d",
    "fftshift",
    "frame",
    "idct",
    "ifft",
    "ifft2d",
    "ifft3d",
    "ifftshift",
    "inverse_stft",
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
            if cx.axis(axis, cx.rank(x))? + 1 != cx.rank(x) {
                return Err(cx.call_error("signals must be along the last axis"));
            }
            let mut x = x;
            if a.flag("pad_end") {
                // Every step starts a frame.
                let n = cx.dim(x, -1)?;
                let all = n.div_ceil(step).max(1) * step - step + length;
                let mut pads = vec![(0, 0); cx.rank(x)];
                pads[cx.rank(x) - 1] = (0, all.saturating_sub(n));
                let fill = a.number(cx, "pad_value", 0.0)?;
                x = cx.pad(x, &pads, PadMode::Constant, fill)?;
            } else {
                a.get("pad_value");
            }
            let frames = spectrum::frames(cx, x, length, step)?;
            if function == "frame" {
                return Ok(Some(frames.into()));
            }
            let size = match a.get("fft_length") {
                Some(_) => count(cx, "fft_length")?,
                None => length.next_power_of_two(),
            };
            let frames = windowed(cx, a, frames, spectrum::hann(length))?;
            complex(cx, |cx| spectrum::rfft(cx, frames, size))?
        }
        "inverse_stft" => {
            let (length, step) = (count(cx, "frame_length")?, count(cx, "frame_step")?);
            let size = match a.get("fft_length") {
                Some(_) => count(cx, "fft_length")?,
                None => length.next_power_of_two(),
            };
            let parts = parts(cx, x)?;
            let y = spectrum::irfft(cx, parts, size)?;
            let y = fitted(cx, y, length)?;
            let y = windowed(cx, a, y, spectrum::hann(length))?;
            spectrum::overlapped(cx, y, step)?
        }
        "fft2d" | "fft3d" | "ifft2d" | "ifft3d" => {
            let axes = if function.ends_with("2d") { 2 } else { 3 };
            let inverse = function.starts_with('i');
            let mut both = parts(cx, x)?;
            let rank = cx.rank(both.0);
            if rank < axes {
                return Err(cx.error(format!("expected a tensor of rank {axes} at least")));
            }
            for axis in rank - axes..rank {
                both = along_axis(cx, both, axis, inverse)?;
            }
            complex(cx, |_| Ok(both))?
        }
        "fftshift" | "ifftshift" => match cx.parts(x)? {
            Some((re, im)) => {
                let parts = (shifted(cx, a, re, function)?, shifted(cx, a, im, function)?);
                complex(cx, |_| Ok(parts))?
            }
            None => shifted(cx, a, x, function)?,
        },
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
            let both = parts(cx, x)?;
            let last = cx.axis(-1, cx.rank(both.0))?;
            complex(cx, |cx| along_axis(cx, both, last, function == "ifft"))?
        }
        "dct" | "idct" => {
            let kind = match (function, a.int(cx, "type")?.unwrap_or(2)) {
                ("idct", 2) => 3,
                ("idct", 3) => 2,
                (_, kind) => kind,
            };
            let x = match a.get("n") {
                Some(_) => {
                    let n = count(cx, "n")?;
                    fitted(cx, x, n)?
                }
                None => x,
            };
            transformed(cx, x, kind, a.text("norm") == Some("ortho"))?
        }
        "mfccs_from_log_mel_spectrograms" => {
            // Of the second kind, and the first coefficient is no other.
            let n = cx.dim(x, -1)?;
            let by = (2.0 / n as f64).sqrt();
            by_matrix(cx, x, |i, k| by * turn(k * (2 * i + 1), 4 * n))?
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

/// Frames times a window, unless the call says that there is none.
fn windowed(cx: &mut Cx, a: &Args, frames: ValueId, window: Vec<f64>) -> Result<ValueId> {
    if a.is_none("window_fn") {
        return Ok(frames);
    }
    let dtype = cx.dtype(frames);
    let window = spectrum::vector(cx, &window, dtype);
    cx.mul(frames, window)
}

/// Both halves of axes swapped.
fn shifted(cx: &mut Cx, a: &Args, x: ValueId, function: &str) -> Result<ValueId> {
    let mut x = x;
    for axis in a.axes(cx, "axes", cx.rank(x))? {
        let (n, axis) = (cx.shape(x)[axis], axis as isize);
        let at = match function {
            "fftshift" => n.div_ceil(2),
            _ => n / 2,
        };
        let front = cx.slice_axis(x, axis, at, n)?;
        let back = cx.slice_axis(x, axis, 0, at)?;
        x = cx.concat(&[front, back], axis)?;
    }
    Ok(x)
}

/// The transform along one axis.
fn along_axis(cx: &mut Cx, x: Complex, axis: usize, inverse: bool) -> Result<Complex> {
    let rank = cx.rank(x.0);
    let n = cx.shape(x.0)[axis];
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    let (re, im) = (cx.transpose(x.0, &perm)?, cx.transpose(x.1, &perm)?);
    let (mut re, mut im) = cx.fft(re, Some(im), FftAttrs { inverse, keep: n })?;
    if inverse {
        (re, im) = (cx.div_s(re, n as f64)?, cx.div_s(im, n as f64)?);
    }
    Ok((cx.transpose(re, &perm)?, cx.transpose(im, &perm)?))
}

/// The cosine of a part of a turn, which is kept small for an exact one.
fn turn(part: usize, whole: usize) -> f64 {
    (2.0 * std::f64::consts::PI * (part % whole) as f64 / whole as f64).cos()
}

/// The discrete cosine transform of a type.
fn transformed(cx: &mut Cx, x: ValueId, kind: i64, ortho: bool) -> Result<ValueId> {
    let n = cx.dim(x, -1)?;
    let by = |first: bool| match (ortho, first) {
        (false, _) => 2.0,
        (true, false) => (2.0 / n as f64).sqrt(),
        (true, true) => (1.0 / n as f64).sqrt(),
    };
    match kind {
        1 if n > 1 && !ortho => by_matrix(cx, x, |i, k| {
            let ends = i == 0 || i == n - 1;
            let by = if ends { 1.0 } else { 2.0 };
            by * turn(i * k, 2 * (n - 1))
        }),
        2 => by_matrix(cx, x, |i, k| by(k == 0) * turn(k * (2 * i + 1), 4 * n)),
        3 => by_matrix(cx, x, |i, k| match (ortho, i) {
            (false, 0) => 1.0,
            _ => by(i == 0) * turn(i * (2 * k + 1), 4 * n),
        }),
        4 => by_matrix(cx, x, |i, k| {
            by(false) * turn((2 * i + 1) * (2 * k + 1), 8 * n)
        }),
        _ => Err(cx.call_error(format!("can't compute a cosine transform of type {kind}"))),
    }
}

/// Sums of the last axis, by weights of its elements in each result.
fn by_matrix(cx: &mut Cx, x: ValueId, weight: impl Fn(usize, usize) -> f64) -> Result<ValueId> {
    let n = cx.dim(x, -1)?;
    let matrix = cx.generated([n, n], |at| weight(at / n, at % n) as f32)?;
    let dtype = cx.dtype(x);
    let matrix = cx.cast(matrix, dtype)?;
    cx.dense(x, matrix)
}
