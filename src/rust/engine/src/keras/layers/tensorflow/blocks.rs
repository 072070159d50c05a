//! Blocks of pixels in TensorFlow: moved into the batch and back, dilated, eroded,
//! and convolved to an output of a given size.

use super::args::{ints, Args};
use super::Name;
use crate::error::Result;
use crate::graph::{whole_slices, Binary, ConvTransposeAttrs, PadMode, SliceDim, Unary, ValueId};
use crate::keras::{Cx, Out};

/// The functions of [`lower`].
pub const NAMES: [&str; 8] = [
    "batch_to_space",
    "batch_to_space_nd",
    "conv2d_transpose",
    "conv2d_transpose_v2",
    "dilation2d",
    "erosion2d",
    "space_to_batch",
    "space_to_batch_nd",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out = match name.function {
        "space_to_batch" | "space_to_batch_nd" => to_batch(cx, a),
        "batch_to_space" | "batch_to_space_nd" => from_batch(cx, a),
        "dilation2d" => dilated(cx, a, false),
        "erosion2d" => dilated(cx, a, true),
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

/// Numbers for height and width, of an argument under one of two names, which may
/// stand between those of the rows and the channels.
fn steps(cx: &Cx, a: &Args, names: [&str; 2]) -> Result<[usize; 2]> {
    let mut given = None;
    for name in names {
        given = given.or(a.ints(cx, name)?);
    }
    let [h, w] = match given.as_deref() {
        None => [1, 1],
        Some(&[n]) => [n, n],
        Some(&[h, w] | &[1, h, w, 1]) => [h, w],
        _ => return Err(cx.call_error(format!("`{}` must be height and width", names[0]))),
    };
    match (usize::try_from(h), usize::try_from(w)) {
        (Ok(h), Ok(w)) if h > 0 && w > 0 => Ok([h, w]),
        _ => Err(cx.call_error(format!("`{}` must be at least 1", names[0]))),
    }
}

/// Whether an axis is padded, so that each of its elements starts a window.
fn is_same(cx: &Cx, a: &Args) -> Result<bool> {
    match a.text("data_format") {
        None | Some("NHWC") => {}
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
    let strides = steps(cx, a, ["strides", "strides"])?;
    let rates = steps(cx, a, ["dilations", "rates"])?;
    let same = is_same(cx, a)?;
    if shape.len() != 4 || size.len() != 3 || size[2] != shape[3] || !dtype.is_float() {
        return Err(cx.error("expected images of floats and a filter of their channels"));
    }
    let mut pads = vec![(0, 0); 4];
    let mut places = [0; 2];
    for i in 0..2 {
        let span = (size[i].max(1) - 1) * rates[i] + 1;
        let n = shape[i + 1];
        if same {
            places[i] = n.div_ceil(strides[i]);
            let all = ((places[i].max(1) - 1) * strides[i] + span).saturating_sub(n);
            pads[i + 1] = (all / 2, all - all / 2);
        } else if span <= n {
            places[i] = (n - span) / strides[i] + 1;
        }
    }
    // An erosion is the dilation of what is negative, by the filter turned round.
    let x = if erodes { cx.unary(Unary::Neg, x)? } else { x };
    let x = cx.pad(x, &pads, PadMode::Constant, f64::NEG_INFINITY)?;
    let mut most = None;
    for h in 0..size[0] {
        for w in 0..size[1] {
            let mut dims = whole_slices(&cx.shape(x));
            for (i, at) in [h, w].into_iter().enumerate() {
                dims[i + 1] = SliceDim {
                    start: at * rates[i],
                    step: strides[i] as isize,
                    len: places[i],
                };
            }
            let part = cx.slice(x, &dims)?;
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
    }
    let most = most.ok_or_else(|| cx.error("a filter must not be empty"))?;
    match erodes {
        true => cx.unary(Unary::Neg, most),
        false => Ok(most),
    }
}

/// The transposed convolution to an output of a given size.
fn transposed(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let kernel = either(cx, a, ["filters", "filter"])?;
    let strides = steps(cx, a, ["strides", "strides"])?;
    let dilation = steps(cx, a, ["dilations", "dilations"])?;
    let same = is_same(cx, a)?;
    let bad = |cx: &Cx| cx.call_error("`output_shape` doesn't fit the input");
    let output = match a.ints(cx, "output_shape")?.as_deref() {
        Some(&[_, h, w, _]) => [h, w].map(|n| usize::try_from(n).unwrap_or(0)),
        _ => return Err(bad(cx)),
    };
    let (shape, size) = (cx.shape(x), cx.shape(kernel));
    if shape.len() != 4 || size.len() != 4 {
        return Err(cx.error("expected images and a kernel of 4 axes"));
    }
    let mut crop = vec![];
    for i in 0..2 {
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
        strides: strides.to_vec(),
        crop,
        dilation: dilation.to_vec(),
        output: output.to_vec(),
    };
    cx.conv_transpose(x, kernel, attrs)
}
