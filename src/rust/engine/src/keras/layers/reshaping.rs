//! Layers that move, cut, pad and repeat. All drop the mask.

use serde_json::Value as Json;

use super::tensorflow::resized_before_2;
use crate::error::Result;
use crate::graph::{PadMode, Unary, ValueId};
use crate::keras::cfg::as_int;
use crate::keras::resize::{self, Interpolation};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, OfComplex, Out};
use crate::tensor::{counted, numel, show_shape, DType};

/// Channels of `(n, channels, spatial...)` to the end.
pub fn to_channels_last(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let rank = cx.rank(x);
    let mut perm: Vec<usize> = (0..rank).filter(|&i| i != 1).collect();
    perm.extend((rank > 1).then_some(1));
    cx.transpose(x, &perm)
}

/// Channels of `(n, spatial..., channels)` to the front.
pub fn to_channels_first(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let last = cx.axis(-1, cx.rank(x))?;
    let mut perm = vec![0, last];
    perm.extend(1..last);
    cx.transpose(x, &perm)
}

/// The first spatial axis.
fn first_spatial(channels_first: bool) -> usize {
    if channels_first {
        2
    } else {
        1
    }
}

struct Flatten {
    channels_first: bool,
}

/// `(n, ...)` to `(n, features)`, channels last.
pub fn flatten(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let channels_first = cfg.channels_first()?;
    Ok(Built::new(Flatten { channels_first }))
}

impl Layer for Flatten {
    fn of_complex(&self) -> OfComplex {
        OfComplex::ByParts
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let mut x = cx.one(call)?.value;
        if self.channels_first && cx.rank(x) > 1 {
            x = to_channels_last(cx, x)?;
        }
        let n = cx.dim(x, 0)?;
        let features = numel(&cx.shape(x)[1..]);
        Ok(cx.reshape(x, &[n, features])?.into())
    }
}

struct Reshape {
    /// `None` is what is left over.
    target: Vec<Option<usize>>,
}

/// The axes after the batch in a new shape.
pub fn reshape(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let expected = "a shape with at most one -1";
    let items = match cfg.get("target_shape") {
        Some(Json::Array(items)) => items.clone(),
        Some(one) => vec![one.clone()],
        None => return Err(cfg.bad("target_shape", expected)),
    };
    let dim = |d: &Json| match as_int(d) {
        None if d.is_null() => Some(None),
        None => None,
        Some(-1) => Some(None),
        Some(d) => usize::try_from(d).ok().map(Some),
    };
    let target: Option<Vec<Option<usize>>> = items.iter().map(dim).collect();
    match target {
        Some(target) if target.iter().filter(|d| d.is_none()).count() <= 1 => {
            Ok(Built::new(Reshape { target }))
        }
        _ => Err(cfg.bad("target_shape", expected)),
    }
}

impl Layer for Reshape {
    fn of_complex(&self) -> OfComplex {
        OfComplex::ByParts
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let from = cx.shape(x);
        let size = numel(&from[1..]);
        let known: usize = self.target.iter().flatten().product();
        let mut shape = vec![from[0]];
        for d in &self.target {
            shape.push(match d {
                Some(d) => *d,
                None if known > 0 && size.is_multiple_of(known) => size / known,
                None => {
                    return Err(cx.error(format!(
                        "can't reshape {} into rows of a multiple of {known}",
                        show_shape(&from)
                    )))
                }
            });
        }
        Ok(cx.reshape(x, &shape)?.into())
    }
}

struct Permute {
    perm: Vec<usize>,
}

/// The axes after the batch in another order; `dims` count from 1.
pub fn permute(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let dims = cfg
        .opt_dims("dims")?
        .and_then(|dims| dims.into_iter().collect::<Option<Vec<usize>>>())
        .ok_or_else(|| cfg.bad("dims", "a list of axes"))?;
    let perm = [vec![0], dims].concat();
    Ok(Built::new(Permute { perm }))
}

impl Layer for Permute {
    fn of_complex(&self) -> OfComplex {
        OfComplex::ByParts
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        Ok(cx.transpose(x, &self.perm)?.into())
    }
}

struct RepeatVector {
    n: usize,
}

/// `(batch, features)` to `(batch, n, features)`.
pub fn repeat_vector(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let n = cfg.usize("n")?;
    Ok(Built::new(RepeatVector { n }))
}

impl Layer for RepeatVector {
    fn of_complex(&self) -> OfComplex {
        OfComplex::ByParts
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        cx.check_rank(x, 2)?;
        let shape = cx.shape(x);
        let row = cx.expand_dims(x, 1)?;
        Ok(cx.broadcast_to(row, &[shape[0], self.n, shape[1]])?.into())
    }
}

/// Pairs for each of `n` spatial axes: one number for all, one or a pair for each.
fn pairs(cfg: &Cfg, key: &str, n: usize, default: usize) -> Result<Vec<(usize, usize)>> {
    let whole = |v: &Json| usize::try_from(as_int(v)?).ok();
    let pair = |v: &Json| match v.as_array().map(Vec::as_slice) {
        Some([a, b]) => Some((whole(a)?, whole(b)?)),
        Some(_) => None,
        None => whole(v).map(|v| (v, v)),
    };
    let Some(value) = cfg.get(key) else {
        return Ok(vec![(default, default); n]);
    };
    let found = match value {
        // In one dimension the list itself is the pair.
        Json::Array(_) if n == 1 => pair(value).map(|p| vec![p]),
        Json::Array(axes) => axes.iter().map(pair).collect(),
        one => pair(one).map(|p| vec![p; n]),
    };
    found.filter(|f| f.len() == n).ok_or_else(|| {
        let axes = counted(n, "axis", "axes");
        cfg.bad(key, &format!("pairs of whole numbers >= 0 for {axes}"))
    })
}

struct Cropping {
    channels_first: bool,
    crops: Vec<(usize, usize)>,
}

/// Cuts the borders of `N` spatial axes.
pub fn cropping<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    Ok(Built::new(Cropping {
        channels_first: cfg.channels_first()?,
        crops: pairs(cfg, "cropping", N, usize::from(N != 2))?,
    }))
}

impl Layer for Cropping {
    fn of_complex(&self) -> OfComplex {
        OfComplex::ByParts
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let mut x = cx.one(call)?.value;
        cx.check_rank(x, self.crops.len() + 2)?;
        for (i, &(before, after)) in self.crops.iter().enumerate() {
            let axis = (first_spatial(self.channels_first) + i) as isize;
            let size = cx.dim(x, axis)?;
            if before + after >= size {
                return Err(cx.error(format!(
                    "can't crop {before} and {after} from an axis of size {size}"
                )));
            }
            x = cx.slice_axis(x, axis, before, size - after)?;
        }
        Ok(x.into())
    }
}

struct ZeroPadding {
    channels_first: bool,
    pads: Vec<(usize, usize)>,
}

/// Zeros around `N` spatial axes.
pub fn zero_padding<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    Ok(Built::new(ZeroPadding {
        channels_first: cfg.channels_first()?,
        pads: pairs(cfg, "padding", N, 1)?,
    }))
}

impl Layer for ZeroPadding {
    fn of_complex(&self) -> OfComplex {
        OfComplex::ByParts
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        cx.check_rank(x, self.pads.len() + 2)?;
        let mut pads = vec![(0, 0); self.pads.len() + 2];
        for (i, &p) in self.pads.iter().enumerate() {
            pads[first_spatial(self.channels_first) + i] = p;
        }
        Ok(cx.pad(x, &pads, PadMode::Constant, 0.0)?.into())
    }
}

/// Config key: pixels are interpolated as TensorFlow 1 does.
pub const PIXELS_BY_CORNERS: &str = "pixels_by_corners";

struct UpSampling {
    channels_first: bool,
    size: Vec<usize>,
    /// `None` repeats elements.
    interpolation: Option<Interpolation>,
    by_corners: bool,
}

/// `N` spatial axes enlarged by whole factors; two of them also by interpolation.
pub fn up_sampling<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let expected = "one of nearest, bilinear, bicubic, lanczos3, lanczos5, area";
    let interpolation = match cfg
        .str_or("interpolation", "nearest")?
        .to_lowercase()
        .as_str()
    {
        // Areas within one element are that element.
        "nearest" | "area" => None,
        name => {
            let named = Interpolation::of_tensorflow(name);
            Some(named.ok_or_else(|| cfg.bad("interpolation", expected))?)
        }
    };
    Ok(Built::new(UpSampling {
        channels_first: cfg.channels_first()?,
        size: cfg.usizes_or("size", N, 2)?,
        interpolation,
        by_corners: cfg.bool_or(PIXELS_BY_CORNERS, false)?,
    }))
}

impl Layer for UpSampling {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let mut x = cx.one(call)?.value;
        let dtype = cx.dtype(x);
        cx.check_rank(x, self.size.len() + 2)?;
        if self.by_corners && self.interpolation == Some(Interpolation::Bilinear) {
            let at = first_spatial(self.channels_first);
            let size = [0, 1].map(|i| cx.shape(x)[at + i] * self.size[i]);
            let x = resized_before_2(cx, x, at, size, "bilinear", false, false)?;
            return Ok(x.into());
        }
        for (i, &factor) in self.size.iter().enumerate() {
            let axis = first_spatial(self.channels_first) + i;
            x = match self.interpolation {
                None => repeat(cx, x, axis, factor)?,
                Some(how) => {
                    let size = cx.shape(x)[axis];
                    resize::axis(cx, x, axis, size * factor, how, false)?
                }
            };
        }
        Ok(rounded(cx, x, dtype)?.into())
    }
}

/// Interpolated values in the dtype of the image: integers are rounded, and
/// what overshoots is cut.
fn rounded(cx: &mut Cx, x: ValueId, dtype: DType) -> Result<ValueId> {
    if !dtype.is_int() || cx.dtype(x) == dtype {
        return cx.cast(x, dtype);
    }
    let x = cx.unary(Unary::Round, x)?;
    let (low, high) = match dtype {
        DType::U8 => (0.0, 255.0),
        DType::I8 => (-128.0, 127.0),
        DType::U16 => (0.0, 65535.0),
        DType::I16 => (-32768.0, 32767.0),
        DType::U32 | DType::U64 => (0.0, f64::INFINITY),
        _ => return cx.cast(x, dtype),
    };
    let high = high.is_finite().then_some(high);
    let x = cx.clip(x, Some(low), high)?;
    cx.cast(x, dtype)
}

/// Each element of an axis `times` over.
fn repeat(cx: &mut Cx, x: ValueId, axis: usize, times: usize) -> Result<ValueId> {
    if times == 1 {
        return Ok(x);
    }
    let mut shape = cx.shape(x);
    let wide = cx.expand_dims(x, axis as isize + 1)?;
    let mut spread = shape.clone();
    spread.insert(axis + 1, times);
    let wide = cx.broadcast_to(wide, &spread)?;
    shape[axis] *= times;
    cx.reshape(wide, &shape)
}
