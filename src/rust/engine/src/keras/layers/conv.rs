//! Convolutions of any rank: plain, depthwise, separable, transposed. All drop
//! the mask. The primitives are channels-last; `channels_first` is transposed around them.

use crate::error::{Error, Result};
use crate::graph::{ConvAttrs, ConvTransposeAttrs, ValueId};
use crate::keras::activations::Activation;
use crate::keras::layers::reshaping::{to_channels_first, to_channels_last};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};

/// What is padded around the spatial axes.
#[derive(Copy, Clone, PartialEq)]
enum Padding {
    Valid,
    /// As many windows as strides fit; the odd zero goes to the end.
    Same,
    /// Zeros before only, so that no output sees a later input.
    Causal,
}

/// The config that all convolutions share.
pub struct Window {
    pub kernel: Vec<usize>,
    strides: Vec<usize>,
    dilation: Vec<usize>,
    padding: Padding,
    pub channels_first: bool,
    pub use_bias: bool,
    /// Whether the bias is always added along the channels.
    bias_on_channels: bool,
    activation: Activation,
}

/// The key of convolutions of Keras 2 that have their channels first: since then
/// TensorFlow adds a bias along the last axis if that has the bias' size, but for
/// plain convolutions over one or two axes.
pub const BIAS_ON_CHANNELS: &str = "bias_on_channels";

impl Window {
    pub fn read(cfg: &Cfg, rank: usize, nested: &dyn Nested) -> Result<Window> {
        let window = Window::of(cfg, cfg.usizes("kernel_size", rank)?)?;
        Ok(Window {
            activation: Activation::with_layers(cfg, "activation", nested)?,
            ..window
        })
    }

    /// Windows of the size of a kernel.
    pub fn of(cfg: &Cfg, kernel: Vec<usize>) -> Result<Window> {
        let rank = kernel.len();
        let positive = |key: &'static str, values: Vec<usize>| match values.contains(&0) {
            true => Err(cfg.bad(key, "whole numbers > 0")),
            false => Ok(values),
        };
        let padding = cfg.str_or("padding", "valid")?.to_lowercase();
        Ok(Window {
            kernel: positive("kernel_size", kernel)?,
            strides: positive("strides", cfg.usizes_or("strides", rank, 1)?)?,
            dilation: positive("dilation_rate", cfg.usizes_or("dilation_rate", rank, 1)?)?,
            padding: match padding.as_str() {
                "valid" => Padding::Valid,
                "same" => Padding::Same,
                "causal" if rank == 1 => Padding::Causal,
                _ => return Err(cfg.bad("padding", "valid or same, or causal in one dimension")),
            },
            channels_first: cfg.channels_first()?,
            use_bias: cfg.bool_or("use_bias", true)?,
            bias_on_channels: cfg.bool_or(BIAS_ON_CHANNELS, !cfg.channels_first()?)?,
            activation: Activation::Linear,
        })
    }

    /// Elements that a window spans along an axis.
    fn span(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Zeros before and after an axis of `size`.
    fn pads(&self, axis: usize, size: usize) -> (usize, usize) {
        match self.padding {
            Padding::Valid => (0, 0),
            Padding::Causal => (self.span(axis) - 1, 0),
            Padding::Same => same_pads(size, self.span(axis), self.strides[axis]),
        }
    }

    /// How many windows fit on an axis of `size`.
    pub fn windows(&self, axis: usize, size: usize) -> Option<usize> {
        let (before, after) = self.pads(axis, size);
        let room = (size + before + after).checked_sub(self.span(axis))?;
        Some(room / self.strides[axis] + 1)
    }

    pub fn attrs(&self, cx: &Cx, x: ValueId, groups: usize) -> ConvAttrs {
        let shape = cx.shape(x);
        let axes = 0..self.kernel.len();
        ConvAttrs {
            strides: self.strides.clone(),
            padding: axes.map(|i| self.pads(i, shape[i + 1])).collect(),
            dilation: self.dilation.clone(),
            groups,
        }
    }

    /// The call's input with channels last, and their number.
    fn enter(&self, cx: &mut Cx, call: &Call) -> Result<(ValueId, usize)> {
        let mut x = cx.one(call)?.value;
        cx.check_rank(x, self.kernel.len() + 2)?;
        if self.channels_first {
            x = to_channels_last(cx, x)?;
        }
        Ok((x, cx.dim(x, -1)?))
    }

    /// Bias, activation, and channels back to where they belong.
    fn leave(&self, cx: &mut Cx, me: &LayerNode, y: ValueId) -> Result<Out> {
        let mut y = y;
        if self.use_bias {
            let channels = cx.dim(y, -1)?;
            let mut bias = cx.weight(me, "bias", &[channels])?;
            if !self.bias_on_channels && channels > 1 && cx.dim(y, -2)? == channels {
                bias = cx.reshape(bias, &[channels, 1])?;
            }
            y = cx.add(y, bias)?;
        }
        if self.activation.is_elementwise() {
            y = self.activation.apply(cx, y)?;
        }
        if self.channels_first {
            y = to_channels_first(cx, y)?;
        }
        if !self.activation.is_elementwise() {
            y = self.activation.apply(cx, y)?;
        }
        Ok(y.into())
    }

    /// The shape of a kernel: spatial sizes, then these.
    pub fn kernel_shape(&self, tail: [usize; 2]) -> Vec<usize> {
        [self.kernel.as_slice(), &tail].concat()
    }
}

/// TensorFlow's "same" padding of an axis.
pub fn same_pads(size: usize, span: usize, stride: usize) -> (usize, usize) {
    let windows = size.div_ceil(stride);
    let reach = windows.saturating_sub(1) * stride + span;
    let total = reach.saturating_sub(size);
    (total / 2, total - total / 2)
}

fn no_groups(cfg: &Cfg) -> Result<()> {
    match cfg.usize_or("groups", 1)? {
        1 => Ok(()),
        _ => Err(cfg.bad("groups", "1")),
    }
}

struct Conv {
    window: Window,
    filters: usize,
    groups: usize,
}

/// Convolution over `N` spatial axes; kernel (spatial..., channels / groups, filters).
pub fn conv<const N: usize>(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let mut layer = Conv {
        window: Window::read(cfg, N, nested)?,
        filters: cfg.usize("filters")?,
        groups: cfg.usize_or("groups", 1)?.max(1),
    };
    // TensorFlow makes one operation of these and their bias, which knows better.
    let plain = N < 3 && layer.groups == 1 && layer.window.dilation.iter().all(|&d| d == 1);
    layer.window.bias_on_channels |= plain;
    let (bias, activation) = (layer.window.use_bias, layer.window.activation.clone());
    let built = Built::new(layer).var("kernel").var_if(bias, "bias");
    Ok(activation.child_of("activation", built))
}

impl Layer for Conv {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let (x, channels) = self.window.enter(cx, call)?;
        let shape = self
            .window
            .kernel_shape([channels / self.groups, self.filters]);
        let kernel = cx.weight(me, "kernel", &shape)?;
        let attrs = self.window.attrs(cx, x, self.groups);
        let y = cx.conv(x, kernel, attrs)?;
        self.window.leave(cx, me, y)
    }
}

struct DepthwiseConv {
    window: Window,
    multiplier: usize,
}

/// Each channel convolved by itself; kernel (spatial..., channels, multiplier).
pub fn depthwise_conv<const N: usize>(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    no_groups(cfg)?;
    let layer = DepthwiseConv {
        window: Window::read(cfg, N, nested)?,
        multiplier: cfg.usize_or("depth_multiplier", 1)?,
    };
    let (bias, activation) = (layer.window.use_bias, layer.window.activation.clone());
    let built = Built::new(layer).var("kernel").var_if(bias, "bias");
    Ok(activation.child_of("activation", built))
}

impl Layer for DepthwiseConv {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let (x, channels) = self.window.enter(cx, call)?;
        let shape = self.window.kernel_shape([channels, self.multiplier]);
        let kernel = cx.weight(me, "kernel", &shape)?;
        let attrs = self.window.attrs(cx, x, channels);
        let y = cx.depthwise_conv(x, kernel, attrs)?;
        self.window.leave(cx, me, y)
    }
}

struct SeparableConv {
    window: Window,
    multiplier: usize,
    filters: usize,
}

/// A depthwise convolution, then a pointwise one; strides and dilation are the
/// depthwise one's.
pub fn separable_conv<const N: usize>(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    no_groups(cfg)?;
    let layer = SeparableConv {
        window: Window::read(cfg, N, nested)?,
        multiplier: cfg.usize_or("depth_multiplier", 1)?,
        filters: cfg.usize("filters")?,
    };
    let (bias, activation) = (layer.window.use_bias, layer.window.activation.clone());
    let built = Built::new(layer)
        .var("depthwise_kernel")
        .var("pointwise_kernel")
        .var_if(bias, "bias");
    Ok(activation.child_of("activation", built))
}

impl Layer for SeparableConv {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let (x, channels) = self.window.enter(cx, call)?;
        let rank = self.window.kernel.len();
        let shape = self.window.kernel_shape([channels, self.multiplier]);
        let depthwise = cx.weight(me, "depthwise_kernel", &shape)?;
        let between = channels * self.multiplier;
        let shape = [vec![1; rank], vec![between, self.filters]].concat();
        let pointwise = cx.weight(me, "pointwise_kernel", &shape)?;
        let attrs = self.window.attrs(cx, x, channels);
        let y = cx.depthwise_conv(x, depthwise, attrs)?;
        let attrs = ConvAttrs {
            strides: vec![1; rank],
            padding: vec![(0, 0); rank],
            dilation: vec![1; rank],
            groups: 1,
        };
        let y = cx.conv(y, pointwise, attrs)?;
        self.window.leave(cx, me, y)
    }
}

/// Transposed convolution.
pub struct ConvTranspose {
    pub window: Window,
    filters: usize,
    output_padding: Option<Vec<usize>>,
}

/// Transposed convolution; kernel (spatial..., filters, channels).
pub fn conv_transpose<const N: usize>(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    no_groups(cfg)?;
    let layer = ConvTranspose {
        window: Window::read(cfg, N, nested)?,
        filters: cfg.usize("filters")?,
        output_padding: cfg.opt_usizes("output_padding", N)?,
    };
    if layer.window.padding == Padding::Causal {
        return Err(cfg.bad("padding", "valid or same"));
    }
    let (bias, activation) = (layer.window.use_bias, layer.window.activation.clone());
    let built = Built::new(layer).var("kernel").var_if(bias, "bias");
    Ok(activation.child_of("activation", built))
}

impl ConvTranspose {
    /// With the windows of an operation's config.
    pub fn of(cfg: &Cfg, window: Window, filters: usize) -> Result<ConvTranspose> {
        let rank = window.kernel.len();
        Ok(ConvTranspose {
            window,
            filters,
            output_padding: cfg.opt_usizes("output_padding", rank)?,
        })
    }

    /// The output size of an axis of `size`.
    fn output(&self, axis: usize, size: usize) -> usize {
        let (span, stride) = (self.window.span(axis), self.window.strides[axis]);
        let steps = size.saturating_sub(1) * stride;
        let extra = self.output_padding.as_ref().map(|p| p[axis]);
        match (self.window.padding, extra) {
            (Padding::Same, None) => size * stride,
            (Padding::Same, Some(extra)) => steps + span % 2 + extra,
            (_, extra) => steps + span + extra.unwrap_or(span.max(stride) - span),
        }
    }

    /// What TensorFlow cuts from the full result: the padding of the
    /// convolution that would make the input from the output.
    pub fn attrs(&self, cx: &Cx, x: ValueId) -> Result<ConvTransposeAttrs> {
        let shape = cx.shape(x);
        let (mut crop, mut output) = (vec![], vec![]);
        for axis in 0..self.window.kernel.len() {
            let (size, stride) = (shape[axis + 1], self.window.strides[axis]);
            let span = self.window.span(axis);
            let out = self.output(axis, size);
            let before = self.window.pads(axis, out).0;
            let full = size.saturating_sub(1) * stride + span;
            let windows = match self.window.padding {
                Padding::Same => out.div_ceil(stride),
                _ => (out + 1).saturating_sub(span).div_ceil(stride),
            };
            if windows != size {
                return Err(self.unfit(cx, size, out));
            }
            crop.push((before, (full - before).saturating_sub(out)));
            output.push(out);
        }
        Ok(ConvTransposeAttrs {
            strides: self.window.strides.clone(),
            crop,
            dilation: self.window.dilation.clone(),
            output,
        })
    }

    fn unfit(&self, cx: &Cx, size: usize, out: usize) -> Error {
        cx.error(format!(
            "an output of size {out} doesn't fit an input of size {size}"
        ))
    }
}

impl Layer for ConvTranspose {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let (x, channels) = self.window.enter(cx, call)?;
        let shape = self.window.kernel_shape([self.filters, channels]);
        let kernel = cx.weight(me, "kernel", &shape)?;
        let attrs = self.attrs(cx, x)?;
        let y = cx.conv_transpose(x, kernel, attrs)?;
        self.window.leave(cx, me, y)
    }
}
