//! Convolutions with weights of their own at every place, which Keras 1 and 2 had.

use crate::error::Result;
use crate::graph::ValueId;
use crate::keras::activations::Activation;
use crate::keras::layers::reshaping::{to_channels_first, to_channels_last};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};
use crate::tensor::{numel, Fact};

struct LocallyConnected {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    same: bool,
    channels_first: bool,
    filters: usize,
    implementation: usize,
    use_bias: bool,
    activation: Activation,
}

pub fn locally_connected<const RANK: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let layer = LocallyConnected {
        kernel: cfg.usizes("kernel_size", RANK)?,
        strides: cfg.usizes_or("strides", RANK, 1)?,
        same: cfg.str_or("padding", "valid")?.to_lowercase() == "same",
        channels_first: cfg.channels_first()?,
        filters: cfg.usize("filters")?,
        implementation: cfg.usize_or("implementation", 1)?,
        use_bias: cfg.bool_or("use_bias", true)?,
        activation: Activation::from_cfg(cfg, "activation")?,
    };
    if layer.kernel.contains(&0) || layer.strides.contains(&0) {
        return Err(cfg.bad("kernel_size", "whole numbers > 0"));
    }
    if !(1..=3).contains(&layer.implementation) {
        return Err(cfg.bad("implementation", "1, 2 or 3"));
    }
    let use_bias = layer.use_bias;
    Ok(Built::new(layer).var("kernel").var_if(use_bias, "bias"))
}

/// Where windows lie on an input.
struct Windows {
    out: Vec<usize>,
    taps: usize,
    /// For every output and tap the flat place in the input, if inside.
    places: Vec<Option<usize>>,
}

/// The positions of an array of this shape.
fn positions(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..numel(shape)).map(|mut flat| {
        let mut at = vec![0; shape.len()];
        for (i, &d) in shape.iter().enumerate().rev() {
            at[i] = flat % d;
            flat /= d;
        }
        at
    })
}

impl LocallyConnected {
    fn windows(&self, cx: &Cx, size: &[usize]) -> Result<Windows> {
        let mut out = Vec::new();
        for ((&n, &k), &s) in size.iter().zip(&self.kernel).zip(&self.strides) {
            out.push(match (self.same, n.checked_sub(k)) {
                (true, _) => n.div_ceil(s),
                (false, Some(room)) => room / s + 1,
                (false, None) => {
                    return Err(cx.error(format!(
                        "a window of {k} doesn't fit into an axis of size {n}"
                    )))
                }
            });
        }
        let mut places = Vec::new();
        for p in positions(&out) {
            for tap in positions(&self.kernel) {
                let mut flat = Some(0);
                for (i, &n) in size.iter().enumerate() {
                    let before = if self.same { self.kernel[i] / 2 } else { 0 };
                    let at = (p[i] * self.strides[i] + tap[i]).checked_sub(before);
                    flat = flat.zip(at.filter(|&a| a < n)).map(|(f, a)| f * n + a);
                }
                places.push(flat);
            }
        }
        Ok(Windows {
            out,
            taps: numel(&self.kernel),
            places,
        })
    }

    /// The weights as (outputs, taps x channels, filters), whichever way they are stored.
    fn weights(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        size: &[usize],
        c: usize,
        w: &Windows,
    ) -> Result<ValueId> {
        let (outs, taps, f, ins) = (numel(&w.out), w.taps, self.filters, numel(size));
        let target = [outs, taps * c, f];
        let first = self.channels_first;
        // output, tap, channel and filter of every weight
        let all = || {
            let inner = move |p: usize| positions_of(p, taps, c, f);
            (0..outs).flat_map(inner)
        };
        // places in the flat input and the flat output
        let pair = |(p, t, i, o): (usize, usize, usize, usize)| {
            let place = w.places[p * taps + t]?;
            Some(match first {
                true => (i * ins + place, o * outs + p),
                false => (place * c + i, p * f + o),
            })
        };
        let (stored, index): (Vec<usize>, Vec<Option<usize>>) = match self.implementation {
            1 if !first => return cx.weight(me, "kernel", &target),
            1 => {
                let at = |(p, t, i, o)| Some(((p * c + i) * taps + t) * f + o);
                (target.to_vec(), all().map(at).collect())
            }
            2 => {
                let stored = match first {
                    true => [&[c], size, &[f], w.out.as_slice()].concat(),
                    false => [size, &[c], w.out.as_slice(), &[f]].concat(),
                };
                let at = |q| pair(q).map(|(i, o)| i * outs * f + o);
                (stored, all().map(at).collect())
            }
            _ => {
                let mut sorted: Vec<(usize, usize)> =
                    all().filter_map(pair).map(|(i, o)| (o, i)).collect();
                sorted.sort_unstable();
                let at = |q| sorted.binary_search(&pair(q).map(|(i, o)| (o, i))?).ok();
                (vec![sorted.len()], all().map(at).collect())
            }
        };
        let count = numel(&stored);
        let kernel = cx.weight(me, "kernel", &stored)?;
        let flat = cx.reshape(kernel, &[count])?;
        let dtype = cx.dtype(flat);
        let zero = cx.full(Fact::new(dtype, [1]), 0.0)?;
        let padded = cx.concat(&[flat, zero], 0)?;
        let index: Vec<i32> = index
            .into_iter()
            .map(|at| at.unwrap_or(count) as i32)
            .collect();
        let index = cx.i32s(target, &index);
        cx.gather(padded, index, 0, 0)
    }
}

/// Output, tap, channel and filter of the weights of one output.
fn positions_of(
    p: usize,
    taps: usize,
    channels: usize,
    filters: usize,
) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..taps * channels * filters).map(move |n| {
        let (rest, o) = (n / filters, n % filters);
        (p, rest / channels, rest % channels, o)
    })
}

impl Layer for LocallyConnected {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let mut x = cx.one(call)?.value;
        cx.check_rank(x, self.kernel.len() + 2)?;
        if self.channels_first {
            x = to_channels_last(cx, x)?;
        }
        let shape = cx.shape(x);
        let (n, c) = (shape[0], cx.dim(x, -1)?);
        let size = shape[1..shape.len() - 1].to_vec();
        let w = self.windows(cx, &size)?;
        let (outs, width) = (numel(&w.out), w.taps * c);
        let kernel = self.weights(cx, me, &size, c, &w)?;
        // What is outside has no weight, so that any place will do.
        let place = |i: usize| w.places[i].unwrap_or(0) as i32;
        let places = cx.generated([w.places.len()], place)?;
        let flat = cx.reshape(x, &[n, numel(&size), c])?;
        let patches = cx.gather(flat, places, 1, 0)?;
        let patches = cx.reshape(patches, &[n, outs, width])?;
        let patches = cx.transpose(patches, &[1, 0, 2])?;
        let y = cx.matmul(patches, kernel, false, false)?;
        let y = cx.transpose(y, &[1, 0, 2])?;
        let result = [&w.out[..], &[self.filters]].concat();
        let mut y = cx.reshape(y, &[&[n], &result[..]].concat())?;
        if self.use_bias {
            let bias = cx.weight(me, "bias", &result)?;
            y = match self.channels_first {
                false => cx.add(y, bias)?,
                true => {
                    // Keras reads the bias in its own order as if channels came first.
                    let first = [&[self.filters], &w.out[..]].concat();
                    let bias = cx.reshape(bias, &first)?;
                    y = to_channels_first(cx, y)?;
                    cx.add(y, bias)?
                }
            };
        } else if self.channels_first {
            y = to_channels_first(cx, y)?;
        }
        Ok(self.activation.apply(cx, y)?.into())
    }
}
