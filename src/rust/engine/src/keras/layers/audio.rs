//! Spectrograms: STFTSpectrogram and MelSpectrogram. Both drop the mask.

use crate::error::Result;
use crate::graph::{Binary, ConvAttrs, PadMode, Reduce, Unary, ValueId};
use crate::keras::layers::conv::same_pads;
use crate::keras::spectrum::Stft;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};
use crate::tensor::{DType, Fact};

/// Keras' `epsilon()`.
const EPSILON: f64 = 1e-7;

#[derive(Copy, Clone, Debug, PartialEq)]
enum Mode {
    Log,
    Magnitude,
    Psd,
    Real,
    Imag,
    Angle,
    Stft,
}

struct StftSpectrogram {
    mode: Mode,
    frame: usize,
    step: usize,
    /// Frequencies given.
    bins: usize,
    same: bool,
    expand: bool,
    channels_first: bool,
}

/// Spectra of the frames of signals, by convolution with stored waves.
pub fn stft_spectrogram(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let modes = [
        ("log", Mode::Log),
        ("magnitude", Mode::Magnitude),
        ("psd", Mode::Psd),
        ("real", Mode::Real),
        ("imag", Mode::Imag),
        ("angle", Mode::Angle),
        ("stft", Mode::Stft),
    ];
    let name = cfg.str_or("mode", "log")?;
    let mode = modes.iter().find(|(n, _)| *n == name).map(|(_, m)| *m);
    let mode = mode.ok_or_else(|| {
        let known = "one of log, magnitude, psd, real, imag, angle, stft";
        cfg.bad("mode", known)
    })?;
    let frame = cfg.usize_or("frame_length", 256)?;
    let step = cfg.opt_usize("frame_step")?.unwrap_or(frame / 2);
    if frame == 0 || step == 0 {
        return Err(cfg.bad("frame_length", "a whole number > 0, like frame_step"));
    }
    let fft = cfg.opt_usize("fft_length")?.filter(|&n| n > 0);
    let fft = fft.unwrap_or(frame.next_power_of_two());
    // They made the stored waves.
    cfg.pass_over(&["window", "periodic", "scaling"]);
    let layer = StftSpectrogram {
        mode,
        frame,
        step,
        bins: fft / 2 + 1,
        same: cfg.one_of("padding", "valid", &["valid", "same"])? == "same",
        expand: cfg.bool_or("expand_dims", false)?,
        channels_first: cfg.channels_first()?,
    };
    Ok(Built::new(layer)
        .var_if(mode != Mode::Imag, "real_kernel")
        .var_if(mode != Mode::Real, "imag_kernel"))
}

impl StftSpectrogram {
    /// Signals (rows, time, 1) by waves: (rows, frames, frequencies).
    fn waves(&self, cx: &mut Cx, me: &LayerNode, x: ValueId, name: &str) -> Result<ValueId> {
        let kernel = cx.weight(me, name, &[self.frame, 1, self.bins])?;
        let dtype = cx.dtype(x);
        let kernel = cx.cast(kernel, dtype)?;
        let padding = match self.same {
            true => same_pads(cx.dim(x, 1)?, self.frame, self.step),
            false => (0, 0),
        };
        let attrs = ConvAttrs {
            strides: vec![self.step],
            padding: vec![padding],
            dilation: vec![1],
            groups: 1,
        };
        cx.conv(x, kernel, attrs)
    }

    fn spectrum(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<ValueId> {
        match self.mode {
            Mode::Real => return self.waves(cx, me, x, "real_kernel"),
            Mode::Imag => return self.waves(cx, me, x, "imag_kernel"),
            _ => {}
        }
        let re = self.waves(cx, me, x, "real_kernel")?;
        let im = self.waves(cx, me, x, "imag_kernel")?;
        match self.mode {
            Mode::Angle => return cx.binary(Binary::Atan2, im, re),
            Mode::Stft => return cx.concat(&[re, im], 2),
            _ => {}
        }
        let re = cx.unary(Unary::Square, re)?;
        let im = cx.unary(Unary::Square, im)?;
        let power = cx.add(re, im)?;
        if self.mode == Mode::Psd {
            // Every frequency but the first and the last stands for two.
            let last = self.bins.saturating_sub(1).max(1);
            let inner = cx.slice_axis(power, 2, 1.min(last), last)?;
            let around = [(0, 0), (0, 0), (1, self.bins - last)];
            let inner = cx.pad(inner, &around, PadMode::Constant, 0.0)?;
            return cx.add(power, inner);
        }
        let power = cx.clip(power, Some(EPSILON), None)?;
        let linear = cx.unary(Unary::Sqrt, power)?;
        if self.mode == Mode::Magnitude {
            return Ok(linear);
        }
        let linear = cx.clip(linear, Some(EPSILON), None)?;
        cx.unary(Unary::Log, linear)
    }
}

impl Layer for StftSpectrogram {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        cx.check_rank(x, 3)?;
        if !matches!(cx.dtype(x), DType::F16 | DType::F32 | DType::F64) {
            return Err(cx.call_error(format!(
                "expected a float16, float32 or float64 tensor, not {}",
                cx.dtype(x)
            )));
        }
        let x = match self.channels_first {
            true => x,
            false => cx.transpose(x, &[0, 2, 1])?,
        };
        let shape = cx.shape(x);
        let (n, channels) = (shape[0], shape[1]);
        let x = cx.reshape(x, &[n * channels, shape[2], 1])?;
        let y = self.spectrum(cx, me, x)?;
        let (frames, bins) = (cx.dim(y, 1)?, cx.dim(y, 2)?);
        let y = cx.reshape(y, &[n, channels, frames, bins])?;
        let flat = channels * bins;
        Ok(match (self.expand, self.channels_first) {
            (true, true) => y,
            (true, false) => cx.transpose(y, &[0, 2, 3, 1])?,
            (false, true) => {
                let y = cx.transpose(y, &[0, 1, 3, 2])?;
                cx.reshape(y, &[n, flat, frames])?
            }
            (false, false) => {
                let y = cx.transpose(y, &[0, 2, 1, 3])?;
                cx.reshape(y, &[n, frames, flat])?
            }
        }
        .into())
    }
}

/// Power by mel bands, in decibels if asked for.
struct MelSpectrogram {
    stft: Stft,
    rate: f64,
    bands: usize,
    low: f64,
    high: f64,
    decibels: bool,
    /// How far below the batch's loudest values may lie.
    range: Option<f64>,
    exponent: f64,
    least: f64,
    reference: f64,
}

pub fn mel_spectrogram(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let rate = cfg.f64_or("sampling_rate", 16000.0)?;
    let high = cfg.opt_f64("max_freq")?.filter(|&f| f != 0.0);
    Ok(Built::new(MelSpectrogram {
        stft: Stft::read(cfg, true)?,
        rate,
        bands: cfg.usize_or("num_mel_bins", 128)?,
        low: cfg.f64_or("min_freq", 20.0)?,
        high: high.unwrap_or((rate / 2.0).trunc()),
        decibels: cfg.bool_or("power_to_db", true)?,
        range: cfg.opt_f64("top_db")?,
        exponent: cfg.f64_or("mag_exp", 2.0)?,
        least: cfg.f64_or("min_power", 1e-10)?,
        reference: cfg.f64_or("ref_power", 1.0)?,
    }))
}

/// `num` float32 numbers from `start` to `stop`, in TensorFlow's steps.
fn linspace(start: f32, stop: f32, num: usize) -> Vec<f32> {
    let delta = (stop - start) / num.saturating_sub(1).max(1) as f32;
    let mut values: Vec<f32> = (0..num).map(|i| start + delta * i as f32).collect();
    if num > 1 {
        values[num - 1] = stop;
    }
    values
}

fn mel(hertz: f32) -> f32 {
    1127.0 * (1.0 + hertz / 700.0).ln()
}

impl MelSpectrogram {
    /// How much each of `bins` frequencies counts in each band: (bins, bands).
    fn weights(&self, cx: &mut Cx, bins: usize) -> Result<ValueId> {
        let frequencies = linspace(0.0, self.rate as f32 / 2.0, bins);
        let ends = (mel(self.low as f32), mel(self.high as f32));
        let edges = linspace(ends.0, ends.1, self.bands + 2);
        let mut weights = cx.blank(Fact::f32([bins, self.bands]))?;
        let values = weights.as_mut::<f32>();
        for (bin, &hertz) in frequencies.iter().enumerate().skip(1) {
            let at = mel(hertz);
            for band in 0..self.bands {
                let (low, mid, high) = (edges[band], edges[band + 1], edges[band + 2]);
                let (up, down) = ((at - low) / (mid - low), (high - at) / (high - mid));
                values[bin * self.bands + band] = up.min(down).max(0.0);
            }
        }
        Ok(cx.constant(weights))
    }

    /// In decibels.
    fn decibels(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let x = cx.clip(x, Some(self.least), None)?;
        let x = cx.unary(Unary::Log, x)?;
        let x = cx.div_s(x, std::f64::consts::LN_10)?;
        let x = cx.mul_s(x, 10.0)?;
        let reference = self.reference.abs().max(self.least).log10() * 10.0;
        let x = cx.binary_s(Binary::Sub, x, reference)?;
        let Some(range) = self.range else {
            return Ok(x);
        };
        let all: Vec<usize> = (0..cx.rank(x)).collect();
        let loudest = cx.reduce(Reduce::Max, x, &all, false)?;
        let least = cx.binary_s(Binary::Sub, loudest, range)?;
        cx.maximum(x, least)
    }
}

impl Layer for MelSpectrogram {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        if !matches!(cx.rank(x), 1 | 2) {
            let rank = cx.rank(x);
            return Err(cx.error(format!(
                "expected a signal or a batch of signals, not a tensor of rank {rank}"
            )));
        }
        // TensorFlow's graphs cast to the compute dtype before the layer sees it.
        let x = cx.cast(x, me.policy.compute)?;
        let dtype = match me.policy.compute {
            DType::F64 => DType::F64,
            _ => DType::F32,
        };
        let x = cx.cast(x, dtype)?;
        let (re, im) = self.stft.apply(cx, x)?;
        let re = cx.unary(Unary::Square, re)?;
        let im = cx.unary(Unary::Square, im)?;
        let mut y = cx.add(re, im)?;
        if self.exponent != 2.0 {
            y = cx.unary(Unary::Sqrt, y)?;
            y = cx.binary_s(Binary::Pow, y, self.exponent)?;
        }
        let bins = cx.dim(y, -1)?;
        let weights = self.weights(cx, bins)?;
        let weights = cx.cast(weights, dtype)?;
        y = cx.dense(y, weights)?;
        if self.decibels {
            y = self.decibels(cx, y)?;
        }
        let mut perm: Vec<usize> = (0..cx.rank(y)).collect();
        let last = perm.len() - 1;
        perm.swap(last, last - 1);
        let y = cx.transpose(y, &perm)?;
        Ok(cx.cast(y, me.policy.compute)?.into())
    }
}
