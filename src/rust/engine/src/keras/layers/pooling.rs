//! Pooling over windows and over whole images. All drop the mask.

use crate::error::Result;
use crate::graph::{PoolAttrs, PoolKind, Reduce, ValueId};
use crate::keras::layers::conv::same_pads;
use crate::keras::layers::reshaping::{to_channels_first, to_channels_last};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};
use crate::tensor::DType;

/// Pooling over windows.
pub struct Pooling {
    kind: PoolKind,
    size: Vec<usize>,
    strides: Vec<usize>,
    same: bool,
    channels_first: bool,
}

fn pooling(cfg: &Cfg, kind: PoolKind, rank: usize) -> Result<Built> {
    Pooling::read(cfg, kind, rank).map(Built::new)
}

impl Pooling {
    /// From a layer's or an operation's config.
    pub fn read(cfg: &Cfg, kind: PoolKind, rank: usize) -> Result<Pooling> {
        let size = cfg.usizes_or("pool_size", rank, 2)?;
        let strides = cfg.opt_usizes("strides", rank)?.unwrap_or(size.clone());
        if size.contains(&0) {
            return Err(cfg.bad("pool_size", "whole numbers > 0"));
        }
        if strides.contains(&0) {
            return Err(cfg.bad("strides", "whole numbers > 0"));
        }
        let padding = cfg.str_or("padding", "valid")?.to_lowercase();
        let same = match padding.as_str() {
            "valid" => false,
            "same" => true,
            _ => return Err(cfg.bad("padding", "valid or same")),
        };
        let channels_first = cfg.channels_first()?;
        Ok(Pooling {
            kind,
            size,
            strides,
            same,
            channels_first,
        })
    }
}

/// Maxima of windows over `N` spatial axes.
pub fn max_pooling<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    pooling(cfg, PoolKind::Max, N)
}

/// Means of windows over `N` spatial axes; padding does not count.
pub fn average_pooling<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    pooling(cfg, PoolKind::Average, N)
}

impl Pooling {
    pub fn apply(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let mut x = x;
        cx.check_rank(x, self.size.len() + 2)?;
        if self.channels_first {
            x = to_channels_last(cx, x)?;
        }
        let shape = cx.shape(x);
        let pads = |i: usize| match self.same {
            true => same_pads(shape[i + 1], self.size[i], self.strides[i]),
            false => (0, 0),
        };
        let attrs = PoolAttrs {
            kind: self.kind,
            size: self.size.clone(),
            strides: self.strides.clone(),
            padding: (0..self.size.len()).map(pads).collect(),
        };
        let mut y = cx.pool(x, attrs)?;
        if self.channels_first {
            y = to_channels_first(cx, y)?;
        }
        Ok(y)
    }
}

impl Layer for Pooling {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        Ok(self.apply(cx, x)?.into())
    }
}

/// Pooling into a number of windows along each spatial axis, whose sizes
/// follow from the input's.
pub struct AdaptivePooling {
    kind: PoolKind,
    /// One for each spatial axis.
    output: Vec<usize>,
    channels_first: bool,
}

impl AdaptivePooling {
    /// From a layer's or an operation's config.
    pub fn read(cfg: &Cfg, kind: PoolKind, rank: usize) -> Result<AdaptivePooling> {
        let output = cfg.usizes("output_size", rank)?;
        const MOST: usize = 1 << 24;
        if output.contains(&0) {
            return Err(cfg.bad("output_size", "whole numbers > 0"));
        }
        if output.iter().any(|&n| n > MOST) {
            return Err(cfg.bad("output_size", "whole numbers that are not too large"));
        }
        Ok(AdaptivePooling {
            kind,
            output,
            channels_first: cfg.channels_first()?,
        })
    }

    pub fn apply(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        cx.check_rank(x, self.output.len() + 2)?;
        let mut y = x;
        if self.channels_first {
            y = to_channels_last(cx, y)?;
        }
        for (i, &windows) in self.output.iter().enumerate() {
            y = self.along(cx, y, i, windows)?;
        }
        match self.channels_first {
            true => to_channels_first(cx, y),
            false => Ok(y),
        }
    }

    /// Pools the i-th spatial axis. Windows have at most two sizes: all windows
    /// of each are computed, and the wanted ones taken.
    fn along(&self, cx: &mut Cx, x: ValueId, i: usize, windows: usize) -> Result<ValueId> {
        let size = cx.dim(x, i as isize + 1)?;
        if size == 0 {
            return Err(cx.error("can't pool an empty axis"));
        }
        let start = |w: usize| w * size / windows;
        let span = |w: usize| ((w + 1) * size).div_ceil(windows) - start(w);
        let mut spans: Vec<usize> = (0..windows).map(span).collect();
        spans.sort_unstable();
        spans.dedup();
        let mut pooled = vec![];
        let mut first = vec![];
        let mut total = 0;
        for &s in &spans {
            let ones = vec![1; self.output.len()];
            let mut window = ones.clone();
            window[i] = s;
            let attrs = PoolAttrs {
                kind: self.kind,
                size: window,
                padding: vec![(0, 0); ones.len()],
                strides: ones,
            };
            pooled.push(cx.pool(x, attrs)?);
            first.push(total);
            total += size - s + 1;
        }
        let all = cx.concat(&pooled, i as isize + 1)?;
        let place = |w: usize| {
            let group = spans.iter().position(|&s| s == span(w)).unwrap_or(0);
            (first[group] + start(w)) as i32
        };
        let places = cx.generated([windows], place)?;
        cx.gather(all, places, i + 1, 0)
    }
}

impl Layer for AdaptivePooling {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        Ok(self.apply(cx, x)?.into())
    }
}

/// Means of a number of windows along each of `N` spatial axes.
pub fn adaptive_average<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    AdaptivePooling::read(cfg, PoolKind::Average, N).map(Built::new)
}

/// Maxima of a number of windows along each of `N` spatial axes.
pub fn adaptive_max<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    AdaptivePooling::read(cfg, PoolKind::Max, N).map(Built::new)
}

struct GlobalPooling {
    kind: Reduce,
    rank: usize,
    channels_first: bool,
    keepdims: bool,
    /// Whether masked steps are left out.
    masked: bool,
}

fn global_pooling(cfg: &Cfg, kind: Reduce, rank: usize) -> Result<Built> {
    Ok(Built::new(GlobalPooling {
        kind,
        rank,
        channels_first: cfg.channels_first()?,
        keepdims: cfg.bool_or("keepdims", false)?,
        masked: kind == Reduce::Mean && rank == 1,
    }))
}

/// The maximum over `N` spatial axes.
pub fn global_max<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    global_pooling(cfg, Reduce::Max, N)
}

/// The mean over `N` spatial axes; over one, masked steps are left out.
pub fn global_average<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    global_pooling(cfg, Reduce::Mean, N)
}

impl GlobalPooling {
    fn masked_mean(&self, cx: &mut Cx, x: ValueId, mask: ValueId, axis: usize) -> Result<ValueId> {
        let keep = cx.expand_dims(mask, if self.channels_first { 1 } else { 2 })?;
        let keep = cx.cast(keep, DType::Bool)?;
        let dtype = cx.dtype(x);
        let zero = cx.scalar(dtype, 0.0);
        let kept = cx.select(keep, x, zero)?;
        let total = cx.reduce(Reduce::Sum, kept, &[axis], self.keepdims)?;
        let ones = cx.cast(keep, dtype)?;
        let count = cx.reduce(Reduce::Sum, ones, &[axis], self.keepdims)?;
        cx.div(total, count)
    }
}

impl Layer for GlobalPooling {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "mask"]
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let mut x = cx.one(call)?.value;
        cx.check_rank(x, self.rank + 2)?;
        let mask = call.mask().filter(|_| self.masked);
        if self.kind == Reduce::Mean && !cx.dtype(x).is_float() {
            // Keras divides masked sums of integers, which gives float64.
            let wide = mask.map_or(DType::F32, |_| DType::F64);
            x = cx.cast(x, wide)?;
        }
        let first = if self.channels_first { 2 } else { 1 };
        if let Some(mask) = mask {
            return Ok(self.masked_mean(cx, x, mask, first)?.into());
        }
        let axes: Vec<usize> = (first..first + self.rank).collect();
        Ok(cx.reduce(self.kind, x, &axes, self.keepdims)?.into())
    }
}
