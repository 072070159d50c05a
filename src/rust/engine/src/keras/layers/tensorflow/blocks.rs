//! Blocks of pixels in TensorFlow: moved into the batch and back, dilated, eroded,
//! and convolved to an output of a given size.

use super::args::{ints, Args};
use super::Name;
use crate::error::Result;
use crate::graph::{whole_slices, Binary, ConvTransposeAttrs, PadMode, SliceDim, Unary, ValueId};
use crate::keras::layers::no_image;
use crate::keras::{Cx, Out};
use crate::tensor::{numel, DType};

/// The functions of [`lower`].
pub const NAMES: [&str; 12] = [
    "batch_to_space",
    "batch_to_space_nd",
    "conv1d_transpose",
    "conv2d_transpose",
    "conv2d_transpose_v2",
    "conv3d_transpose",
    "dilation2d",
    "erosion2d",
    "extract_patches",
    "max_pool_with_argmax",
    "space_to_batch",
    "space_to_batch_nd",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out = match name.function {
        "space_to_batch" | "space_to_batch_nd" => to_batch(cx, a),
        "batch_to_space" | "batch_to_space_nd" => from_batch(cx, a),
        "dilation2d" => dilated(cx, a, false),
        "erosion2d" => dilated(cx, a, true),
        "extract_patches" => patches(cx, a),
        "max_pool_with_argmax" => return pooled(cx, a).map(Some),
        _ => transposed(cx, a),
    };
    Ok(Some(out?.into()))
}

/// The sizes of the blocks of an input.
fn blocks(cx: &Cx, a: &Args, x: ValueId) -> Result<Vec<usize>> {
    let given = match a.ints(cx, "block_shape")? {
        Some(sizes) => sizes,
        None => vec![a.int(cx, "block_size")?.unwrap_or(0); 2],
    };
    let sizes = given.iter().map(|&n| usize::try_from(n).ok());
    let sizes: Option<Vec<usize>> = sizes.map(|n| n.filter(|&n| n > 0)).collect();
    let sizes = sizes.filter(|s| s.len() < cx.rank(x));
    sizes.ok_or_else(|| cx.call_error("blocks must have a size for each of some axes"))
}

/// Pairs of what is added to, or cut from, both ends of `count` axes.
fn pairs(cx: &Cx, a: &Args, key: &str, count: usize) -> Result<Vec<(usize, usize)>> {
    let bad = || {
        cx.call_error(format!(
            "`{key}` must be two whole numbers for each block axis"
        ))
    };
    let given = a.json(cx, key)?.ok_or_else(bad)?;
    let rows = given.as_array().ok_or_else(bad)?;
    let pair = |row| match ints(row)?.as_slice() {
        &[low, high] => Some((usize::try_from(low).ok()?, usize::try_from(high).ok()?)),
        _ => None,
    };
    let pairs: Option<Vec<_>> = rows.iter().map(pair).collect();
    pairs.filter(|p| p.len() == count).ok_or_else(bad)
}

fn to_batch(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let size = blocks(cx, a, x)?;
    let m = size.len();
    let mut pads = vec![(0, 0); cx.rank(x)];
    pads[1..=m].copy_from_slice(&pairs(cx, a, "paddings", m)?);
    let x = cx.pad(x, &pads, PadMode::Constant, 0.0)?;
    let shape = cx.shape(x);
    let (mut parted, mut moved) = (vec![shape[0]], vec![]);
    for (i, &block) in size.iter().enumerate() {
        if !shape[i + 1].is_multiple_of(block) {
            let n = shape[i + 1];
            return Err(cx.error(format!("an axis of {n} has no whole blocks of {block}")));
        }
        parted.extend([shape[i + 1] / block, block]);
        moved.push(2 * i + 2);
    }
    parted.extend(&shape[m + 1..]);
    moved.push(0);
    moved.extend((0..m).map(|i| 2 * i + 1));
    moved.extend(2 * m + 1..parted.len());
    let y = cx.reshape(x, &parted)?;
    let y = cx.transpose(y, &moved)?;
    let mut out = shape.clone();
    for (i, &block) in size.iter().enumerate() {
        out[0] *= block;
        out[i + 1] /= block;
    }
    cx.reshape(y, &out)
}

fn from_batch(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let size = blocks(cx, a, x)?;
    let m = size.len();
    let crops = pairs(cx, a, "crops", m)?;
    let shape = cx.shape(x);
    let all: usize = size.iter().product();
    if !shape[0].is_multiple_of(all) {
        return Err(cx.error(format!(
            "a batch of {} has no whole blocks of {all}",
            shape[0]
        )));
    }
    let parted = [&size[..], &[shape[0] / all], &shape[1..]].concat();
    let mut moved = vec![m];
    let mut out = vec![shape[0] / all];
    for (i, &block) in size.iter().enumerate() {
        moved.extend([m + 1 + i, i]);
        out.push(shape[i + 1] * block);
    }
    moved.extend(2 * m + 1..parted.len());
    out.extend(&shape[m + 1..]);
    let y = cx.reshape(x, &parted)?;
    let y = cx.transpose(y, &moved)?;
    let mut y = cx.reshape(y, &out)?;
    for (i, &(low, high)) in crops.iter().enumerate() {
        let n = out[i + 1];
        if low + high > n {
            return Err(cx.error(format!("can't cut {low} and {high} from an axis of {n}")));
        }
        y = cx.slice_axis(y, i as isize + 1, low, n - high)?;
    }
    Ok(y)
}

/// An argument that is there under one of two names.
fn either(cx: &mut Cx, a: &Args, names: [&str; 2]) -> Result<ValueId> {
    let [first, second] = names;
    a.tensor(
        cx,
        if a.get(first).is_some() {
            first
        } else {
            second
        },
    )
}

/// Numbers for `m` axes, of an argument under one of two names, which may stand
/// between those of the rows and the channels.
fn along(cx: &Cx, a: &Args, names: [&str; 2], m: usize) -> Result<Vec<usize>> {
    let mut given = None;
    for name in names {
        given = given.or(a.ints(cx, name)?);
    }
    let given = match given.as_deref() {
        None => vec![1; m],
        Some(&[n]) => vec![n; m],
        Some(&[1, ref inner @ .., 1]) if inner.len() == m => inner.to_vec(),
        Some(inner) if inner.len() == m => inner.to_vec(),
        _ => {
            let name = names[0];
            return Err(cx.call_error(format!("`{name}` must have a number for each axis")));
        }
    };
    let sizes = given.iter().map(|&n| usize::try_from(n).ok());
    let sizes: Option<Vec<usize>> = sizes.map(|n| n.filter(|&n| n > 0)).collect();
    sizes.ok_or_else(|| cx.call_error(format!("`{}` must be at least 1", names[0])))
}

/// Whether an axis is padded, so that each of its elements starts a window.
fn is_same(cx: &Cx, a: &Args) -> Result<bool> {
    match a.text("data_format") {
        None | Some("NHWC" | "NWC" | "NDHWC") => {}
        Some(other) => return Err(cx.call_error(format!("can't run with data format {other}"))),
    }
    match a.text("padding") {
        Some("SAME") | None => Ok(true),
        Some("VALID") => Ok(false),
        Some(other) => Err(cx.call_error(format!("can't pad by '{other}'"))),
    }
}

/// The largest sum of a pixel and the filter's value at its place in the window; of
/// an erosion, the smallest difference.
fn dilated(cx: &mut Cx, a: &Args, erodes: bool) -> Result<ValueId> {
    let x = a.first(cx)?;
    let names = if a.get("kernel").is_some() {
        ["kernel"; 2]
    } else {
        ["filters", "filter"]
    };
    let filter = either(cx, a, names)?;
    let dtype = cx.dtype(x);
    let filter = cx.cast(filter, dtype)?;
    let (shape, size) = (cx.shape(x), cx.shape(filter));
    let strides = along(cx, a, ["strides", "strides"], 2)?;
    let rates = along(cx, a, ["dilations", "rates"], 2)?;
    let same = is_same(cx, a)?;
    if shape.len() != 4 || size.len() != 3 || size[2] != shape[3] || !dtype.is_float() {
        return Err(cx.error("expected images of floats and a filter of their channels"));
    }
    // An erosion is the dilation of what is negative, by the filter turned round.
    let x = if erodes { cx.unary(Unary::Neg, x)? } else { x };
    let windows = Windows {
        size: vec![size[0], size[1]],
        strides,
        rates,
        same,
    };
    let parts = windows.parts(cx, x, f64::NEG_INFINITY)?;
    let mut most = None;
    for ([h, w], part) in parts {
        let [h, w] = match erodes {
            true => [size[0] - 1 - h, size[1] - 1 - w],
            false => [h, w],
        };
        let value = cx.slice_axis(filter, 0, h, h + 1)?;
        let value = cx.slice_axis(value, 1, w, w + 1)?;
        let value = cx.reshape(value, &[size[2]])?;
        let sum = cx.add(part, value)?;
        most = Some(match most {
            None => sum,
            Some(most) => cx.binary(Binary::Max, most, sum)?,
        });
    }
    let most = most.ok_or_else(|| cx.error("a filter must have elements"))?;
    match erodes {
        true => cx.unary(Unary::Neg, most),
        false => Ok(most),
    }
}

/// The transposed convolution to an output of a given size.
fn transposed(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let kernel = either(cx, a, ["filters", "filter"])?;
    let (shape, size) = (cx.shape(x), cx.shape(kernel));
    let m = shape.len().saturating_sub(2);
    if !(1..=3).contains(&m) || size.len() != m + 2 {
        return Err(cx.error("expected images and a kernel of as many axes"));
    }
    let strides = along(cx, a, ["strides", "stride"], m)?;
    let dilation = along(cx, a, ["dilations", "dilations"], m)?;
    let same = is_same(cx, a)?;
    let bad = |cx: &Cx| cx.call_error("`output_shape` doesn't fit the input");
    let sizes = |n: &[i64]| n.iter().map(|&n| usize::try_from(n).ok()).collect();
    let output: Option<Vec<usize>> = match a.ints(cx, "output_shape")?.as_deref() {
        Some([_, inner @ .., _]) if inner.len() == m => sizes(inner),
        _ => None,
    };
    let output = output.ok_or_else(|| bad(cx))?;
    let mut crop = vec![];
    for i in 0..m {
        let span = (size[i].max(1) - 1) * dilation[i] + 1;
        let full = shape[i + 1].saturating_sub(1) * strides[i] + span;
        let windows = match same {
            true => output[i].div_ceil(strides[i]),
            false => (output[i] + 1).saturating_sub(span).div_ceil(strides[i]),
        };
        if windows != shape[i + 1] {
            return Err(bad(cx));
        }
        let before = if same {
            full.saturating_sub(output[i]) / 2
        } else {
            0
        };
        crop.push((before, (full - before).saturating_sub(output[i])));
    }
    let attrs = ConvTransposeAttrs {
        strides,
        crop,
        dilation,
        output,
    };
    cx.conv_transpose(x, kernel, attrs)
}

/// Windows that slide over height and width.
struct Windows {
    size: Vec<usize>,
    strides: Vec<usize>,
    rates: Vec<usize>,
    same: bool,
}

impl Windows {
    /// The pixel of each place of the window, for all windows; outside is `fill`.
    fn parts(&self, cx: &mut Cx, x: ValueId, fill: f64) -> Result<Vec<([usize; 2], ValueId)>> {
        let shape = cx.shape(x);
        let mut pads = vec![(0, 0); 4];
        let mut places = [0; 2];
        for (i, place) in places.iter_mut().enumerate() {
            let span = (self.size[i].max(1) - 1) * self.rates[i] + 1;
            let (n, stride) = (shape[i + 1], self.strides[i]);
            if self.same {
                *place = n.div_ceil(stride);
                let all = (((*place).max(1) - 1) * stride + span).saturating_sub(n);
                pads[i + 1] = (all / 2, all - all / 2);
            } else if span <= n {
                *place = (n - span) / stride + 1;
            }
        }
        let x = cx.pad(x, &pads, PadMode::Constant, fill)?;
        let mut parts = vec![];
        for h in 0..self.size[0] {
            for w in 0..self.size[1] {
                let mut dims = whole_slices(&cx.shape(x));
                for (i, at) in [h, w].into_iter().enumerate() {
                    dims[i + 1] = SliceDim {
                        start: at * self.rates[i],
                        step: self.strides[i] as isize,
                        len: places[i],
                    };
                }
                parts.push(([h, w], cx.slice(x, &dims)?));
            }
        }
        Ok(parts)
    }
}

/// Windows of pixels that may stand apart, as channels.
fn patches(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    if cx.rank(x) != 4 {
        return Err(no_image(cx, x));
    }
    let windows = Windows {
        size: along(cx, a, ["sizes", "ksizes"], 2)?,
        strides: along(cx, a, ["strides", "strides"], 2)?,
        rates: along(cx, a, ["rates", "rates"], 2)?,
        same: is_same(cx, a)?,
    };
    let parts = windows.parts(cx, x, 0.0)?;
    let parts: Vec<ValueId> = parts.into_iter().map(|p| p.1).collect();
    cx.concat(&parts, -1)
}

/// The largest pixel of each window, and its place in the image or the batch.
fn pooled(cx: &mut Cx, a: &Args) -> Result<Out> {
    let x = a.first(cx)?;
    if cx.rank(x) != 4 {
        return Err(no_image(cx, x));
    }
    let windows = Windows {
        size: along(cx, a, ["ksize", "ksize"], 2)?,
        strides: along(cx, a, ["strides", "strides"], 2)?,
        rates: vec![1, 1],
        same: is_same(cx, a)?,
    };
    let dtype = a.dtype(cx, "output_dtype")?.unwrap_or(DType::I64);
    let shape = cx.shape(x);
    let first = if a.flag("include_batch_in_index") {
        0
    } else {
        1
    };
    let size = numel(&shape[first..]);
    let all = [&vec![1; first][..], &shape[first..]].concat();
    let places = cx.generated(all, |i| (i % size.max(1)) as i64)?;
    let places = cx.broadcast_to(places, &shape)?;
    let values = windows.parts(cx, x, f64::NEG_INFINITY)?;
    let places = windows.parts(cx, places, 0.0)?;
    let mut most: Option<(ValueId, ValueId)> = None;
    for ((_, value), (_, place)) in values.into_iter().zip(places) {
        most = Some(match most {
            None => (value, place),
            Some(best) => {
                let more = cx.binary(Binary::Gt, value, best.0)?;
                (
                    cx.select(more, value, best.0)?,
                    cx.select(more, place, best.1)?,
                )
            }
        });
    }
    let (value, place) = most.ok_or_else(|| cx.defect("a window must not be empty"))?;
    let place = cx.cast(place, dtype)?;
    Ok(Out::List(vec![value.into(), place.into()]))
}
