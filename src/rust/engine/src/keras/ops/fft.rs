//! The Fourier transforms of `keras.ops.math`. Complex tensors are pairs of
//! real and imaginary parts.

use crate::error::Result;
use crate::graph::{FftAttrs, Unary, ValueId};
use crate::keras::ops::args::*;
use crate::keras::spectrum::{self, Complex, Stft};
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::DType;

/// The pair of the first argument, both of the same shape and float dtype.
fn pair(cx: &mut Cx, call: &Call) -> Result<Complex> {
    let parts = tensors(cx, call, 0, "x")?;
    let [re, im] = parts[..] else {
        return Err(cx.call_error("expected the real and the imaginary part"));
    };
    match cx.fact(re) == cx.fact(im) {
        true => Ok((re, im)),
        false => Err(cx.error("the real and the imaginary part must be of one shape and dtype")),
    }
}

fn out((re, im): Complex) -> Out {
    Out::List(vec![re.into(), im.into()])
}

fn along_last(cx: &mut Cx, (re, im): Complex) -> Result<Complex> {
    let attrs = FftAttrs {
        inverse: false,
        keep: cx.dim(re, -1)?,
    };
    cx.fft(re, Some(im), attrs)
}

fn swapped(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let rank = cx.rank(x);
    if rank < 2 {
        return Err(cx.error("expected a tensor of rank 2 at least"));
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 1, rank - 2);
    cx.transpose(x, &perm)
}

fn along_last_two(cx: &mut Cx, x: Complex) -> Result<Complex> {
    let (re, im) = along_last(cx, x)?;
    let turned = (swapped(cx, re)?, swapped(cx, im)?);
    let (re, im) = along_last(cx, turned)?;
    Ok((swapped(cx, re)?, swapped(cx, im)?))
}

pub fn fft(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = pair(cx, call)?;
    Ok(out(along_last(cx, x)?))
}

pub fn fft2(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = pair(cx, call)?;
    Ok(out(along_last_two(cx, x)?))
}

/// By way of the conjugate's transform.
pub fn ifft2(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (re, im) = pair(cx, call)?;
    let im = cx.unary(Unary::Neg, im)?;
    let (re, im) = along_last_two(cx, (re, im))?;
    let size = (cx.dim(re, -1)? * cx.dim(re, -2)?) as f64;
    let re = cx.div_s(re, size)?;
    let im = cx.unary(Unary::Neg, im)?;
    Ok(out((re, cx.div_s(im, size)?)))
}

/// A signal that can be transformed.
fn signal(cx: &mut Cx, call: &Call) -> Result<ValueId> {
    let x = tensor(cx, call, 0, "x")?;
    match cx.dtype(x) {
        DType::F32 | DType::F64 if cx.rank(x) > 0 => Ok(x),
        dtype => Err(cx.call_error(format!("can't transform {dtype} tensors"))),
    }
}

fn length(cfg: &Cfg) -> Result<Option<usize>> {
    match cfg.opt_usize("fft_length")? {
        Some(0) => Err(cfg.bad("fft_length", "a whole number > 0")),
        n => Ok(n),
    }
}

pub fn rfft(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = signal(cx, call)?;
    let length = match length(cfg)? {
        Some(n) => n,
        None => cx.dim(x, -1)?,
    };
    Ok(out(spectrum::rfft(cx, x, length)?))
}

pub fn irfft(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = pair(cx, call)?;
    let length = match length(cfg)? {
        Some(n) => n,
        None => 2 * (cx.dim(x.0, -1)?.max(1) - 1),
    };
    Ok(spectrum::irfft(cx, x, length)?.into())
}

pub fn stft(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = signal(cx, call)?;
    let stft = Stft::read(cfg, cfg.bool_or("center", true)?)?;
    Ok(out(stft.apply(cx, x)?))
}

pub fn istft(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = pair(cx, call)?;
    let stft = Stft::read(cfg, cfg.bool_or("center", true)?)?;
    let length = cfg.opt_usize("length")?;
    Ok(stft.invert(cx, x, length)?.into())
}

pub fn extract_sequences(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let (length, stride) = (cfg.usize("sequence_length")?, cfg.usize("sequence_stride")?);
    Ok(spectrum::frames(cx, x, length, stride)?.into())
}
