//! The operations of `keras.ops.nn` over windows: pooling, convolutions,
//! patches and back.

use crate::error::Result;
use crate::graph::{PadMode, PoolKind, Reduce, Unary, ValueId};
use crate::keras::layers::{to_channels_first, to_channels_last};
use crate::keras::layers::{AdaptivePooling, ConvTranspose, Pooling, Window};
use crate::keras::ops::args::*;
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{counted, show_shape};

/// The number of spatial axes of a tensor with batch and channels.
fn spatial(cx: &Cx, x: ValueId) -> Result<usize> {
    match cx.rank(x) {
        rank @ 3..=5 => Ok(rank - 2),
        rank => Err(cx.error(format!("expected a tensor of rank 3 to 5, not {rank}"))),
    }
}

pub fn pool(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: PoolKind) -> Result<Out> {
    let x = tensor(cx, call, 0, "inputs")?;
    let pooling = Pooling::read(cfg, kind, spatial(cx, x)?)?;
    Ok(pooling.apply(cx, x)?.into())
}

pub fn adaptive_pool(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: PoolKind) -> Result<Out> {
    let x = tensor(cx, call, 0, "inputs")?;
    let pooling = AdaptivePooling::read(cfg, kind, spatial(cx, x)?)?;
    Ok(pooling.apply(cx, x)?.into())
}

/// The input with channels last, and the windows that a kernel (spatial...,
/// a, b) makes with the config.
fn enter(cx: &mut Cx, cfg: &Cfg, x: ValueId, kernel: ValueId) -> Result<(ValueId, Window)> {
    let rank = spatial(cx, x)?;
    cx.check_rank(kernel, rank + 2)?;
    let shape = cx.shape(kernel);
    let window = Window::of(cfg, shape[..rank].to_vec())?;
    match window.channels_first {
        true => Ok((to_channels_last(cx, x)?, window)),
        false => Ok((x, window)),
    }
}

fn leave(cx: &mut Cx, y: ValueId, window: &Window) -> Result<Out> {
    match window.channels_first {
        true => Ok(to_channels_first(cx, y)?.into()),
        false => Ok(y.into()),
    }
}

/// The input and the kernels in one dtype.
fn operands(cx: &mut Cx, call: &Call, names: &[&str]) -> Result<Vec<ValueId>> {
    let mut found = vec![];
    for (i, name) in names.iter().enumerate() {
        let v = tensor(cx, call, i, name)?;
        found.push(v);
    }
    let dtype = cx.dtype(found[0]);
    for v in &mut found[1..] {
        *v = cx.cast(*v, dtype)?;
    }
    Ok(found)
}

pub fn conv(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let args = operands(cx, call, &["inputs", "kernel"])?;
    let (x, window) = enter(cx, cfg, args[0], args[1])?;
    let (channels, wanted) = (cx.dim(x, -1)?, cx.dim(args[1], -2)?);
    if wanted == 0 || !channels.is_multiple_of(wanted) {
        return Err(cx.error(format!(
            "a kernel for {} doesn't fit an input of {}",
            counted(wanted, "channel", "channels"),
            counted(channels, "channel", "channels")
        )));
    }
    let attrs = window.attrs(cx, x, channels / wanted);
    let y = cx.conv(x, args[1], attrs)?;
    leave(cx, y, &window)
}

pub fn depthwise_conv(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let args = operands(cx, call, &["inputs", "kernel"])?;
    let (x, window) = enter(cx, cfg, args[0], args[1])?;
    let attrs = window.attrs(cx, x, 1);
    let y = cx.depthwise_conv(x, args[1], attrs)?;
    leave(cx, y, &window)
}

pub fn separable_conv(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let args = operands(
        cx,
        call,
        &["inputs", "depthwise_kernel", "pointwise_kernel"],
    )?;
    let (x, window) = enter(cx, cfg, args[0], args[1])?;
    let attrs = window.attrs(cx, x, 1);
    let y = cx.depthwise_conv(x, args[1], attrs)?;
    let shape = cx.shape(args[2]);
    let rank = shape.len();
    if rank != cx.rank(x) || shape[..rank - 2].iter().any(|&s| s != 1) {
        return Err(cx.call_error("the pointwise kernel must span one position"));
    }
    let kernel = cx.reshape(args[2], &shape[rank - 2..])?;
    let y = cx.dense(y, kernel)?;
    leave(cx, y, &window)
}

pub fn conv_transpose(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let args = operands(cx, call, &["inputs", "kernel"])?;
    let (x, window) = enter(cx, cfg, args[0], args[1])?;
    let conv = ConvTranspose::of(cfg, window, cx.dim(args[1], -2)?)?;
    let attrs = conv.attrs(cx, x)?;
    let y = cx.conv_transpose(x, args[1], attrs)?;
    leave(cx, y, &conv.window)
}

/// Windows of each of the spatial axes, which start at axis 1.
pub struct Patches {
    pub size: Vec<usize>,
    pub strides: Vec<usize>,
    pub dilation: Vec<usize>,
    /// Zeros before and after each axis.
    pub padding: Vec<(usize, usize)>,
}

impl Patches {
    /// Patches (n, places..., sizes..., channels) of x (n, spatial..., channels).
    pub fn apply(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let n = self.size.len();
        let pads = [vec![(0, 0)], self.padding.clone(), vec![(0, 0)]].concat();
        let mut y = cx.pad(x, &pads, PadMode::Constant, 0.0)?;
        for i in 0..n {
            // The axes before have become two each.
            let axis = 1 + 2 * i;
            let length = cx.dim(y, axis as isize)?;
            let span = (self.size[i].max(1) - 1) * self.dilation[i] + 1;
            if span > length {
                return Err(cx.error(format!(
                    "a patch of {span} doesn't fit into an axis of size {length}"
                )));
            }
            let places = (length - span) / self.strides[i] + 1;
            let at = |p: usize| {
                let (place, k) = (p / self.size[i], p % self.size[i]);
                (place * self.strides[i] + k * self.dilation[i]) as i32
            };
            let rows = cx.generated([places, self.size[i]], at)?;
            y = cx.gather(y, rows, axis, 0)?;
        }
        let places = (0..n).map(|i| 1 + 2 * i);
        let sizes = (0..n).map(|i| 2 + 2 * i);
        let perm: Vec<usize> = [0]
            .into_iter()
            .chain(places)
            .chain(sizes)
            .chain([2 * n + 1])
            .collect();
        cx.transpose(y, &perm)
    }
}

/// Two whole numbers under a key, all at least `least`.
fn two(cfg: &Cfg, key: &'static str, default: usize, least: usize) -> Result<[usize; 2]> {
    let v = cfg.usizes_or(key, 2, default)?;
    match v.iter().all(|&v| v >= least) {
        true => Ok([v[0], v[1]]),
        false => Err(cfg.bad(key, &format!("whole numbers >= {least}"))),
    }
}

/// How `Unfold` and `Fold` go over images.
struct Sliding {
    kernel: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
    stride: [usize; 2],
}

impl Sliding {
    fn read(cfg: &Cfg) -> Result<Sliding> {
        Ok(Sliding {
            kernel: two(cfg, "kernel_size", 0, 1)?,
            dilation: two(cfg, "dilation", 1, 1)?,
            padding: two(cfg, "padding", 0, 0)?,
            stride: two(cfg, "stride", 1, 1)?,
        })
    }
}

/// Patches of images (n, channels, height, width) as columns.
pub fn unfold(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    cx.check_rank(x, 4)?;
    let s = Sliding::read(cfg)?;
    let x = to_channels_last(cx, x)?;
    let (n, channels) = (cx.dim(x, 0)?, cx.dim(x, -1)?);
    let patches = Patches {
        size: s.kernel.to_vec(),
        strides: s.stride.to_vec(),
        dilation: s.dilation.to_vec(),
        padding: s.padding.iter().map(|&p| (p, p)).collect(),
    };
    let y = patches.apply(cx, x)?;
    let shape = cx.shape(y);
    let y = cx.transpose(y, &[0, 5, 3, 4, 1, 2])?;
    let rows = channels * s.kernel[0] * s.kernel[1];
    Ok(cx.reshape(y, &[n, rows, shape[1] * shape[2]])?.into())
}

/// The sum of patches, given as columns, where they were in images.
pub fn fold(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    cx.check_rank(x, 3)?;
    let s = Sliding::read(cfg)?;
    let output = two(cfg, "output_size", 0, 1)?;
    let shape = cx.shape(x);
    let taps = s.kernel[0] * s.kernel[1];
    let span = |i: usize| s.dilation[i] * (s.kernel[i] - 1) + 1;
    let places = |i: usize| {
        let room = (output[i] + 2 * s.padding[i]).checked_sub(span(i));
        room.map_or(0, |room| room / s.stride[i] + 1)
    };
    let (rows, columns) = (places(0), places(1));
    if !shape[1].is_multiple_of(taps) || rows * columns != shape[2] {
        return Err(cx.error(format!(
            "the columns don't fit images of {}",
            show_shape(&output)
        )));
    }
    let (n, channels) = (shape[0], shape[1] / taps);
    let x = cx.reshape(x, &[n, channels, taps, rows, columns])?;
    let mut sum = None;
    for tap in 0..taps {
        let piece = cx.index_axis(x, 2, tap)?;
        let at = [tap / s.kernel[1], tap % s.kernel[1]];
        let piece = spread(cx, piece, &s, at, output)?;
        sum = Some(match sum {
            None => piece,
            Some(sum) => cx.add(sum, piece)?,
        });
    }
    let Some(sum) = sum else {
        return Err(cx.defect("there are no patches"));
    };
    let y = cx.slice_axis(sum, 2, s.padding[0], s.padding[0] + output[0])?;
    Ok(cx
        .slice_axis(y, 3, s.padding[1], s.padding[1] + output[1])?
        .into())
}

/// One element of each patch (n, channels, rows, columns), put where it belongs
/// in the padded image, zeros elsewhere.
fn spread(
    cx: &mut Cx,
    x: ValueId,
    s: &Sliding,
    at: [usize; 2],
    output: [usize; 2],
) -> Result<ValueId> {
    let mut y = x;
    for i in 0..2 {
        let axis = 2 + i;
        let shape = cx.shape(y);
        let places = shape[axis];
        y = cx.expand_dims(y, axis as isize + 1)?;
        let mut pads = vec![(0, 0); shape.len() + 1];
        pads[axis + 1].1 = s.stride[i] - 1;
        y = cx.pad(y, &pads, PadMode::Constant, 0.0)?;
        let mut flat = shape.clone();
        flat[axis] = places * s.stride[i];
        y = cx.reshape(y, &flat)?;
        let length = (places - 1) * s.stride[i] + 1;
        y = cx.slice_axis(y, axis as isize, 0, length)?;
        let before = at[i] * s.dilation[i];
        let whole = output[i] + 2 * s.padding[i];
        let mut pads = vec![(0, 0); shape.len()];
        pads[axis] = (before, whole.saturating_sub(before + length));
        y = cx.pad(y, &pads, PadMode::Constant, 0.0)?;
    }
    Ok(y)
}

/// The peak signal-to-noise ratio, in decibels, over all elements.
pub fn psnr(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let a = tensor(cx, call, 0, "x1")?;
    let b = tensor(cx, call, 1, "x2")?;
    let most = cfg
        .opt_f64("max_val")?
        .ok_or_else(|| cfg.bad("max_val", "a number"))?;
    let d = cx.sub(a, b)?;
    let d = cx.unary(Unary::Square, d)?;
    let all: Vec<usize> = (0..cx.rank(d)).collect();
    let error = cx.reduce(Reduce::Mean, d, &all, false)?;
    let error = to_float(cx, error)?;
    let log = cx.unary(Unary::Log10, error)?;
    let noise = cx.mul_s(log, -10.0)?;
    Ok(cx.add_s(noise, 20.0 * most.log10())?.into())
}
