//! Indexing, joining, splitting and moving of elements.

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::graph::{
    broadcast_shapes, whole_slices, Binary, PadMode, Reduce, SliceDim, Unary, ValueId,
};
use crate::keras::cfg::as_int;
use crate::keras::ops::args::*;
use crate::keras::ops::numpy::reduce::sum_dtype;
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Arg, Call, Cfg, Cx, Out};
use crate::tensor::{counted, numel, show_shape, DType, Fact};

// Indexing -------------------------------------------------------------------

/// One part of an index.
enum Index {
    At(i64),
    Range(Option<i64>, Option<i64>, i64),
    Ellipsis,
    NewAxis,
}

impl Index {
    fn parse(arg: &Arg) -> Option<Index> {
        let Arg::Lit(v) = arg else { return None };
        match v {
            Json::Null => Some(Index::NewAxis),
            Json::Object(o) => match o.get("class_name")?.as_str()? {
                "__ellipsis__" => Some(Index::Ellipsis),
                "__slice__" => {
                    let bound = |key: &str| match &v["config"][key] {
                        Json::Null => Some(None),
                        b => as_int(b).map(Some),
                    };
                    let step = bound("step")?.unwrap_or(1);
                    (step != 0).then_some(())?;
                    Some(Index::Range(bound("start")?, bound("stop")?, step))
                }
                _ => None,
            },
            Json::String(s) if s == "Ellipsis" || s == "..." => Some(Index::Ellipsis),
            other => as_int(other).map(Index::At),
        }
    }
}

/// Python's slice of an axis of `size`.
fn range(start: Option<i64>, stop: Option<i64>, step: i64, size: usize) -> SliceDim {
    let n = size as i64;
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let bound = |b: Option<i64>, default: i64| match b {
        None => default,
        Some(b) => (if b < 0 { b + n } else { b }).clamp(low, high),
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let (start, stop) = (bound(start, first), bound(stop, last));
    let span = if step > 0 { stop - start } else { start - stop };
    let len = if span > 0 {
        (span - 1) / step.abs() + 1
    } else {
        0
    };
    SliceDim {
        start: if len > 0 { start as usize } else { 0 },
        step: step as isize,
        len: len as usize,
    }
}

/// `x[key]` for integers, slices, an ellipsis and new axes.
pub fn get_item(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let key = match call.args.get(1) {
        Some(k) => k.clone(),
        None => call
            .kwargs
            .iter()
            .find(|(k, _)| k == "key")
            .map(|(_, v)| v.clone())
            .ok_or_else(|| cx.call_error("argument `key` is missing"))?,
    };
    let parts = match &key {
        Arg::List(items) => items.iter().map(Index::parse).collect(),
        one => Index::parse(one).map(|i| vec![i]),
    };
    let Some(parts): Option<Vec<Index>> = parts else {
        return Err(cx.call_error("an index must be of integers, slices, ellipses and new axes"));
    };
    let shape = cx.shape(x);
    let used = parts
        .iter()
        .filter(|p| matches!(p, Index::At(_) | Index::Range(..)))
        .count();
    if used > shape.len() {
        return Err(cx.call_error(format!(
            "{} are too many for {}",
            counted(used, "index", "indices"),
            counted(shape.len(), "axis", "axes")
        )));
    }
    let mut dims: Vec<SliceDim> = vec![];
    let mut out: Vec<Option<usize>> = vec![];
    let mut seen_ellipsis = false;
    for part in &parts {
        let axis = dims.len();
        match *part {
            Index::NewAxis => out.push(None),
            Index::Ellipsis if seen_ellipsis => {
                return Err(cx.call_error("an index can have one ellipsis only"))
            }
            Index::Ellipsis => {
                seen_ellipsis = true;
                for &size in &shape[axis..axis + shape.len() - used] {
                    dims.push(range(None, None, 1, size));
                    out.push(Some(size));
                }
            }
            Index::At(i) => {
                let n = shape[axis] as i64;
                if i < -n || i >= n {
                    return Err(cx.error(format!("index {i} is outside of an axis of size {n}")));
                }
                let start = (if i < 0 { i + n } else { i }) as usize;
                dims.push(SliceDim {
                    start,
                    step: 1,
                    len: 1,
                });
            }
            Index::Range(start, stop, step) => {
                let d = range(start, stop, step, shape[axis]);
                dims.push(d);
                out.push(Some(d.len));
            }
        }
    }
    for &size in &shape[dims.len()..] {
        dims.push(range(None, None, 1, size));
        out.push(Some(size));
    }
    let y = cx.slice(x, &dims)?;
    let out: Vec<usize> = out.iter().map(|s| s.unwrap_or(1)).collect();
    Ok(cx.reshape(y, &out)?.into())
}

pub fn take(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let indices = tensor(cx, call, 1, "indices")?;
    let (x, axis) = flat_or_axis(cx, cfg, "axis", x)?;
    let axis = cx.axis(axis, cx.rank(x))?;
    let size = cx.dim(x, axis as isize)?;
    let indices = wrapped(cx, indices, size)?;
    Ok(cx.gather(x, indices, axis, 0)?.into())
}

/// Indices as int32 or int64, negative ones from the end.
fn wrapped(cx: &mut Cx, indices: ValueId, size: usize) -> Result<ValueId> {
    let indices = match cx.dtype(indices) {
        DType::I32 | DType::I64 => indices,
        _ => cx.cast(indices, DType::I32)?,
    };
    let negative = cx.binary_s(Binary::Lt, indices, 0.0)?;
    let from_end = cx.add_s(indices, size as f64)?;
    cx.select(negative, from_end, indices)
}

pub fn take_along_axis(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let indices = tensor(cx, call, 1, "indices")?;
    let indices = cx.cast(indices, DType::I64)?;
    let (x, axis) = flat_or_axis(cx, cfg, "axis", x)?;
    let rank = cx.rank(x);
    let axis = cx.axis(axis, rank)?;
    cx.check_rank(indices, rank)?;
    let (mut xs, mut is) = (cx.shape(x), cx.shape(indices));
    let unfit = format!(
        "indices of shape {} don't fit a tensor of shape {}",
        show_shape(&is),
        show_shape(&xs)
    );
    let (n, m) = (xs[axis], is[axis]);
    (xs[axis], is[axis]) = (1, 1);
    let mut shape = broadcast_shapes(&xs, &is).ok_or_else(|| cx.error(unfit))?;
    shape[axis] = n;
    let x = cx.broadcast_to(x, &shape)?;
    shape[axis] = m;
    let indices = cx.broadcast_to(indices, &shape)?;
    let indices = wrapped(cx, indices, n)?;
    Ok(cx.take_along(x, indices, axis as isize)?.into())
}

// Shapes ---------------------------------------------------------------------

/// A shape under a key, in which one size may be -1.
pub fn reshape(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let want = cfg
        .opt_ints("newshape")?
        .ok_or_else(|| cfg.bad("newshape", "a shape"))?;
    let known: usize = want
        .iter()
        .filter(|&&d| d >= 0)
        .map(|&d| d as usize)
        .product();
    let total = cx.fact(x).numel();
    let open = want.iter().filter(|&&d| d < 0).count();
    if open > 1 || want.iter().any(|&d| d < -1) {
        return Err(cfg.bad("newshape", "a shape with at most one -1"));
    }
    let rest = total.checked_div(known).unwrap_or(0);
    let shape: Vec<usize> = want
        .iter()
        .map(|&d| if d < 0 { rest } else { d as usize })
        .collect();
    Ok(cx.reshape(x, &shape)?.into())
}

pub fn ravel(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    Ok(flat(cx, x)?.into())
}

pub fn transpose(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let rank = cx.rank(x);
    let perm: Vec<usize> = match cfg.opt_ints("axes")?.filter(|a| !a.is_empty()) {
        Some(axes) => axes
            .iter()
            .map(|&a| cx.axis(a as isize, rank))
            .collect::<Result<_>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(cx.transpose(x, &perm)?.into())
}

pub fn swapaxes(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let rank = cx.rank(x);
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(
        cx.axis(axis(cfg, "axis1", 0)?, rank)?,
        cx.axis(axis(cfg, "axis2", 0)?, rank)?,
    );
    Ok(cx.transpose(x, &perm)?.into())
}

pub fn moveaxis(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let list = |key: &str| {
        let v = cfg.opt_ints(key)?;
        v.ok_or_else(|| cfg.bad(key, "axes"))
    };
    let (source, destination) = (list("source")?, list("destination")?);
    Ok(move_axes(cx, x, &source, &destination)?.into())
}

/// Numpy's moveaxis.
pub fn move_axes(cx: &mut Cx, x: ValueId, source: &[i64], destination: &[i64]) -> Result<ValueId> {
    let rank = cx.rank(x);
    let absolute = |axes: &[i64]| -> Result<Vec<usize>> {
        axes.iter().map(|&a| cx.axis(a as isize, rank)).collect()
    };
    let (from, to) = (absolute(source)?, absolute(destination)?);
    if from.len() != to.len() {
        return Err(cx.call_error(format!(
            "expected a destination for each of {}, not {}",
            counted(from.len(), "source", "sources"),
            to.len()
        )));
    }
    let mut perm: Vec<usize> = (0..rank).filter(|a| !from.contains(a)).collect();
    let mut moves: Vec<(usize, usize)> = to.into_iter().zip(from).collect();
    moves.sort_unstable();
    for (to, from) in moves {
        perm.insert(to.min(perm.len()), from);
    }
    cx.transpose(x, &perm)
}

pub fn expand_dims(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mut x = tensor(cx, call, 0, "x")?;
    let given = cfg
        .opt_ints("axis")?
        .ok_or_else(|| cfg.bad("axis", "an axis"))?;
    let rank = cx.rank(x) + given.len();
    let mut axes = given
        .iter()
        .map(|&a| cx.axis(a as isize, rank))
        .collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    for a in axes {
        x = cx.expand_dims(x, a as isize)?;
    }
    Ok(x.into())
}

pub fn squeeze(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mut x = tensor(cx, call, 0, "x")?;
    let shape = cx.shape(x);
    let axes = match cfg.opt_ints("axis")? {
        Some(_) => axes(cx, cfg, "axis", shape.len())?,
        None => (0..shape.len()).filter(|&a| shape[a] == 1).collect(),
    };
    for a in axes.into_iter().rev() {
        x = cx.squeeze(x, a as isize)?;
    }
    Ok(x.into())
}

pub fn broadcast_to(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let shape = sizes(cfg, "shape")?;
    Ok(cx.broadcast_to(x, &shape)?.into())
}

fn sizes(cfg: &Cfg, key: &str) -> Result<Vec<usize>> {
    let sizes = cfg.opt_ints(key)?.and_then(|s| {
        s.iter()
            .map(|&d| usize::try_from(d).ok())
            .collect::<Option<Vec<_>>>()
    });
    sizes.ok_or_else(|| cfg.bad(key, "a shape"))
}

/// A tensor of a fixed shape and one value.
pub fn full(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let dtype = dtype(cfg, "dtype")?.unwrap_or(DType::F32);
    let value = operand(cx, call, 0, "fill_value")?;
    let value = value.to(cx, dtype)?;
    let shape = sizes(cfg, "shape")?;
    Ok(cx.broadcast_to(value, &shape)?.into())
}

/// The number of axes.
pub fn ndim(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let rank = cx.rank(x);
    Ok(cx.scalar(DType::I64, rank as f64).into())
}

pub fn size(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let n = cx.fact(x).numel();
    Ok(cx.scalar(DType::I32, n as f64).into())
}

// Joining and splitting ------------------------------------------------------

pub fn concatenate(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mut xs = tensors(cx, call, 0, "xs")?;
    join(cx, &mut xs)?;
    Ok(cx.concat(&xs, axis(cfg, "axis", 0)?)?.into())
}

pub fn append(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    match cfg.opt_int("axis")? {
        Some(axis) => Ok(cx.concat(&[a, b], axis as isize)?.into()),
        None => {
            let (a, b) = (flat(cx, a)?, flat(cx, b)?);
            Ok(cx.concat(&[a, b], 0)?.into())
        }
    }
}

pub fn stacked(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mut xs = tensors(cx, call, 0, "x")?;
    join(cx, &mut xs)?;
    Ok(stack(cx, &xs, axis(cfg, "axis", 0)?)?.into())
}

pub fn hstack(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let mut xs = tensors(cx, call, 0, "xs")?;
    join(cx, &mut xs)?;
    let axis = if cx.rank(xs[0]) == 1 { 0 } else { 1 };
    Ok(cx.concat(&xs, axis)?.into())
}

pub fn vstack(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let mut xs = tensors(cx, call, 0, "xs")?;
    join(cx, &mut xs)?;
    Ok(cx.concat(&xs, 0)?.into())
}

pub fn dstack(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let mut xs = tensors(cx, call, 0, "xs")?;
    join(cx, &mut xs)?;
    for x in &mut xs {
        let mut shape = cx.shape(*x);
        match shape.len() {
            0 => shape = vec![1, 1, 1],
            1 => shape = vec![1, shape[0], 1],
            2 => shape.push(1),
            _ => {}
        }
        *x = cx.reshape(*x, &shape)?;
    }
    Ok(cx.concat(&xs, 2)?.into())
}

/// Splits along the config's axis.
pub fn split(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    split_along(cx, cfg, call, axis(cfg, "axis", 0)?)
}

/// Splits along axis 1, or 0 of a vector.
pub fn hsplit(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let axis = if cx.rank(x) == 1 { 0 } else { 1 };
    split_along(cx, cfg, call, axis)
}

/// Splits into equal parts, or at the positions of the config.
pub fn split_along(cx: &mut Cx, cfg: &Cfg, call: &Call, axis: isize) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let n = cx.dim(x, axis)?;
    let key = "indices_or_sections";
    let bounds: Vec<usize> = match cfg.get(key) {
        Some(Json::Array(_)) => {
            let mut at = sizes(cfg, key)?;
            at.insert(0, 0);
            at.push(n);
            at
        }
        _ => {
            let parts = cfg.usize(key)?;
            if parts == 0 || n % parts != 0 {
                return Err(cx.error(format!("can't split {n} elements into {parts} equal parts")));
            }
            (0..=parts).map(|p| p * n / parts).collect()
        }
    };
    cut(cx, x, axis, &bounds)
}

/// Splits into parts that differ by at most one.
pub fn array_split(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let axis = axis(cfg, "axis", 0)?;
    let n = cx.dim(x, axis)?;
    let parts = cfg.usize("indices_or_sections")?;
    if parts == 0 {
        return Err(cfg.bad("indices_or_sections", "a whole number > 0"));
    }
    let bounds: Vec<usize> = (0..=parts)
        .map(|p| p * (n / parts) + p.min(n % parts))
        .collect();
    cut(cx, x, axis, &bounds)
}

fn cut(cx: &mut Cx, x: ValueId, axis: isize, bounds: &[usize]) -> Result<Out> {
    let parts = bounds.windows(2).map(|w| {
        let part = cx.slice_axis(x, axis, w[0], w[1])?;
        Ok(Out::from(part))
    });
    Ok(Out::List(parts.collect::<Result<_>>()?))
}

/// The slices along an axis, without it.
pub fn unstack(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let axis = axis(cfg, "axis", 0)?;
    let n = cx.dim(x, axis)?;
    if cfg.opt_usize("num")?.is_some_and(|num| num != n) {
        return Err(cfg.bad("num", &format!("{n}, the size of the axis")));
    }
    let parts = (0..n).map(|i| Ok(Out::from(cx.index_axis(x, axis, i)?)));
    Ok(Out::List(parts.collect::<Result<_>>()?))
}

pub fn meshgrid(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let xy = cfg.one_of("indexing", "xy", &["xy", "ij"])? == "xy";
    let mut xs = vec![];
    for i in 0..call.args.len() {
        let x = tensor(cx, call, i, "x")?;
        xs.push(flat(cx, x)?);
    }
    // TensorFlow multiplies all by ones of the first one's dtype: of a bool, with
    // whole numbers.
    if xs.first().is_some_and(|&x| cx.dtype(x) == DType::Bool) {
        for x in &mut xs {
            if cx.dtype(*x).is_float() {
                *x = cx.cast(*x, DType::I64)?;
            }
            *x = cx.cast(*x, DType::Bool)?;
        }
    }
    let n = xs.len();
    let place = |i: usize| match (xy && n > 1, i) {
        (true, 0) => 1,
        (true, 1) => 0,
        _ => i,
    };
    let mut shape = vec![1; n];
    for (i, &x) in xs.iter().enumerate() {
        shape[place(i)] = cx.dim(x, 0)?;
    }
    let mut outs = vec![];
    for (i, &x) in xs.iter().enumerate() {
        let mut own = vec![1; n];
        own[place(i)] = shape[place(i)];
        let x = cx.reshape(x, &own)?;
        outs.push(Out::from(cx.broadcast_to(x, &shape)?));
    }
    Ok(Out::List(outs))
}

// Order ----------------------------------------------------------------------

pub fn flip(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mut x = tensor(cx, call, 0, "x")?;
    for a in axes(cx, cfg, "axis", cx.rank(x))? {
        x = cx.reverse(x, a as isize)?;
    }
    Ok(x.into())
}

pub fn flip_axis(cx: &mut Cx, call: &Call, axis: isize) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    Ok(cx.reverse(x, axis)?.into())
}

pub fn roll(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let shifts = cfg
        .opt_ints("shift")?
        .ok_or_else(|| cfg.bad("shift", "whole numbers"))?;
    let shape = cx.shape(x);
    let Some(axes) = cfg.opt_ints("axis")? else {
        let y = flat(cx, x)?;
        let y = rolled(cx, y, 0, shifts.iter().sum())?;
        return Ok(cx.reshape(y, &shape)?.into());
    };
    let mut y = x;
    for (i, &a) in axes.iter().enumerate() {
        let shift = shifts.get(i).or(shifts.last()).copied().unwrap_or(0);
        y = rolled(cx, y, a as isize, shift)?;
    }
    Ok(y.into())
}

fn rolled(cx: &mut Cx, x: ValueId, axis: isize, shift: i64) -> Result<ValueId> {
    let n = cx.dim(x, axis)?;
    if n == 0 {
        return Ok(x);
    }
    let at = n - shift.rem_euclid(n as i64) as usize;
    let tail = cx.slice_axis(x, axis, at, n)?;
    let head = cx.slice_axis(x, axis, 0, at)?;
    cx.concat(&[tail, head], axis)
}

/// A quarter turn, `k` times, in the plane of two axes.
pub fn rot90(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "array")?;
    let k = cfg.int_or("k", 1)?.rem_euclid(4);
    let rank = cx.rank(x);
    let axes = cfg.opt_ints("axes")?.unwrap_or(vec![0, 1]);
    let [a, b] = axes[..] else {
        return Err(cfg.bad("axes", "two axes"));
    };
    let (a, b) = (cx.axis(a as isize, rank)?, cx.axis(b as isize, rank)?);
    let (a_last, b_last) = (rank - 2, rank - 1);
    let axes = [a as i64, b as i64];
    let mut y = move_axes(cx, x, &axes, &[-2, -1])?;
    let turned = cx.shape(y);
    for turn in 0..k {
        if turn == 1 && k == 2 {
            // Keras on TensorFlow reads the rectangle anew here, which mixes its elements.
            y = cx.reshape(y, &turned)?;
        }
        y = cx.reverse(y, -1)?;
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(a_last, b_last);
        y = cx.transpose(y, &perm)?;
    }
    if k == 2 {
        y = cx.reshape(y, &turned)?;
    }
    Ok(move_axes(cx, y, &[-2, -1], &axes)?.into())
}

pub fn repeat(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let repeats = sizes(cfg, "repeats")?;
    let (x, axis) = flat_or_axis(cx, cfg, "axis", x)?;
    let axis = cx.axis(axis, cx.rank(x))?;
    let n = cx.dim(x, axis as isize)?;
    if repeats.len() != 1 && repeats.len() != n {
        return Err(cfg.bad("repeats", &format!("one number, or {n} of them")));
    }
    let times = |i: usize| repeats.get(i).or(repeats.first()).copied().unwrap_or(0);
    let total = (0..n).fold(0usize, |sum, i| sum.saturating_add(times(i)));
    let mut indices = (0..n).flat_map(|i| std::iter::repeat_n(i as i32, times(i)));
    let indices = cx.generated([total], |_| indices.next().unwrap_or(0))?;
    Ok(cx.gather(x, indices, axis, 0)?.into())
}

pub fn tile(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let mut repeats = sizes(cfg, "repeats")?;
    let mut shape = cx.shape(x);
    while repeats.len() < shape.len() {
        repeats.insert(0, 1);
    }
    while shape.len() < repeats.len() {
        shape.insert(0, 1);
    }
    let interleave =
        |v: &[usize]| -> Vec<usize> { v.iter().zip(&shape).flat_map(|(&r, &s)| [r, s]).collect() };
    let apart = interleave(&vec![1; shape.len()]);
    let wide = interleave(&repeats);
    let out: Vec<usize> = repeats.iter().zip(&shape).map(|(r, s)| r * s).collect();
    let x = cx.reshape(x, &apart)?;
    let x = cx.broadcast_to(x, &wide)?;
    Ok(cx.reshape(x, &out)?.into())
}

pub fn pad(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let mode = match cfg.one_of("mode", "constant", &["constant", "reflect", "symmetric"])? {
        "constant" => PadMode::Constant,
        "reflect" => PadMode::Reflect,
        _ => PadMode::Symmetric,
    };
    let value = match call.arg(1, "constant_values") {
        None => 0.0,
        Some(arg) => {
            let value = match arg {
                Arg::Lit(v) => number_in(v, cx.dtype(x)),
                _ => None,
            };
            value.ok_or_else(|| cx.call_error("`constant_values` must be a number"))?
        }
    };
    let bad = || cfg.bad("pad_width", "pairs of whole numbers");
    let size = |v: &Json| as_int(v).and_then(|i| usize::try_from(i).ok());
    let pair = |v: &Json| match v {
        Json::Array(p) if p.len() == 1 => Some((size(&p[0])?, size(&p[0])?)),
        Json::Array(p) if p.len() == 2 => Some((size(&p[0])?, size(&p[1])?)),
        one => Some((size(one)?, size(one)?)),
    };
    let width = cfg.get("pad_width").ok_or_else(bad)?;
    let pads: Option<Vec<(usize, usize)>> = match width {
        Json::Array(items) if items.iter().any(Json::is_array) => items.iter().map(pair).collect(),
        one => pair(one).map(|p| vec![p]),
    };
    let mut pads = pads.ok_or_else(bad)?;
    if pads.len() == 1 {
        pads = vec![pads[0]; cx.rank(x)];
    }
    Ok(cx.pad(x, &pads, mode, value)?.into())
}

// Matrices -------------------------------------------------------------------

/// What the test of row, column and `k` keeps; 0 elsewhere.
pub fn triangle(
    cx: &mut Cx,
    cfg: &Cfg,
    call: &Call,
    keep: fn(i64, i64, i64) -> bool,
) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let k = cfg.int_or("k", 0)?;
    let (rows, columns) = (cx.dim(x, -2)?, cx.dim(x, -1)?);
    let at = |p: usize| keep((p / columns) as i64, (p % columns) as i64, k);
    let mask = cx.generated_bools([rows, columns], at)?;
    let dtype = cx.dtype(x);
    let zero = cx.scalar(dtype, 0.0);
    Ok(cx.select(mask, x, zero)?.into())
}

/// A diagonal of two axes, as the last axis.
pub fn diagonal_of(cx: &mut Cx, x: ValueId, k: i64, axes: [i64; 2]) -> Result<ValueId> {
    let x = move_axes(cx, x, &axes, &[-2, -1])?;
    let mut shape = cx.shape(x);
    let (Some(columns), Some(rows)) = (shape.pop(), shape.pop()) else {
        return Err(cx.defect("a diagonal needs two axes"));
    };
    let (m, n) = (rows as i64, columns as i64);
    let len = (m + k.min(0)).min(n - k.max(0)).max(0) as usize;
    shape.push(rows * columns);
    let flat = cx.reshape(x, &shape)?;
    let mut dims = whole_slices(&shape);
    let start = if k >= 0 { k } else { -k * n } as usize;
    if let Some(last) = dims.last_mut() {
        *last = SliceDim {
            start: if len > 0 { start } else { 0 },
            step: n as isize + 1,
            len,
        };
    }
    cx.slice(flat, &dims)
}

pub fn diagonal(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let axes = [cfg.int_or("axis1", 0)?, cfg.int_or("axis2", 1)?];
    Ok(diagonal_of(cx, x, cfg.int_or("offset", 0)?, axes)?.into())
}

pub fn trace(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let wide = sum_dtype(cx.dtype(x));
    let x = cx.cast(x, wide)?;
    let axes = [cfg.int_or("axis1", 0)?, cfg.int_or("axis2", 1)?];
    let d = diagonal_of(cx, x, cfg.int_or("offset", 0)?, axes)?;
    let last = [cx.rank(d) - 1];
    Ok(cx.reduce(Reduce::Sum, d, &last, false)?.into())
}

/// The error for a tensor that is neither a vector nor a matrix.
pub fn no_matrix(cx: &Cx, x: ValueId) -> Error {
    let shape = show_shape(&cx.shape(x));
    cx.error(format!(
        "expected a vector or a matrix, not a tensor of shape {shape}"
    ))
}

pub fn diag(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let k = cfg.int_or("k", 0)?;
    match cx.rank(x) {
        1 => Ok(with_diagonal(cx, x, k)?.into()),
        2 => Ok(diagonal_of(cx, x, k, [0, 1])?.into()),
        _ => Err(no_matrix(cx, x)),
    }
}

pub fn diagflat(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = flat(cx, x)?;
    Ok(with_diagonal(cx, x, cfg.int_or("k", 0)?)?.into())
}

/// A square matrix of zeros but for its k-th diagonal.
fn with_diagonal(cx: &mut Cx, x: ValueId, k: i64) -> Result<ValueId> {
    let n = cx.dim(x, 0)? + k.unsigned_abs() as usize;
    let on = |p: usize| (p % n) as i64 - (p / n) as i64 == k;
    let at = |p: usize| match on(p) {
        true => (p / n) as i64 - (-k).max(0),
        false => 0,
    };
    let indices = cx.generated([n, n], |p| at(p) as i32)?;
    let mask = cx.generated_bools([n, n], on)?;
    let y = cx.gather(x, indices, 0, 0)?;
    let dtype = cx.dtype(x);
    let zero = cx.scalar(dtype, 0.0);
    cx.select(mask, y, zero)
}

pub fn diff(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mut x = tensor(cx, call, 0, "a")?;
    let axis = axis(cfg, "axis", -1)?;
    for _ in 0..cfg.usize_or("n", 1)? {
        x = differences(cx, x, axis)?;
    }
    Ok(x.into())
}

fn differences(cx: &mut Cx, x: ValueId, axis: isize) -> Result<ValueId> {
    let n = cx.dim(x, axis)?;
    let after = cx.slice_axis(x, axis, 1.min(n), n)?;
    let before = cx.slice_axis(x, axis, 0, n.saturating_sub(1))?;
    match cx.dtype(x) {
        DType::Bool => cx.binary(Binary::Ne, after, before),
        _ => cx.sub(after, before),
    }
}

/// The area under `y` along an axis, by trapezoids.
pub fn trapezoid(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let y = tensor(cx, call, 0, "y")?;
    let y = to_float(cx, y)?;
    let dtype = cx.dtype(y);
    let axis = axis(cfg, "axis", -1)?;
    let width = match cfg.get("x") {
        None => cx.scalar(dtype, cfg.f64_or("dx", 1.0)?),
        Some(v) => {
            cfg.pass_over(&["dx"]);
            let x = convert(cx, &Arg::Lit(v.clone()))?;
            let x = cx.cast(x, dtype)?;
            let d = differences(cx, x, axis)?;
            move_axes(cx, d, &[axis as i64], &[-1])?
        }
    };
    let y = move_axes(cx, y, &[axis as i64], &[-1])?;
    let n = cx.dim(y, -1)?;
    let after = cx.slice_axis(y, -1, 1.min(n), n)?;
    let before = cx.slice_axis(y, -1, 0, n.saturating_sub(1))?;
    let sum = cx.add(after, before)?;
    let height = cx.mul_s(sum, 0.5)?;
    let area = cx.mul(height, width)?;
    let last = [cx.rank(area) - 1];
    Ok(cx.reduce(Reduce::Sum, area, &last, false)?.into())
}

/// Coordinates of flat indices. Keras divides by the sizes from the last one on, but
/// from the first one on where the indices are no vector.
pub fn unravel_index(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mut rest = tensor(cx, call, 0, "indices")?;
    let mut dims = sizes(cfg, "shape")?;
    if cx.rank(rest) == 1 {
        dims.reverse();
    }
    let mut coordinates = vec![];
    for dim in dims {
        coordinates.push(Out::from(cx.binary_s(Binary::Mod, rest, dim as f64)?));
        rest = cx.binary_s(Binary::FloorDiv, rest, dim as f64)?;
    }
    coordinates.reverse();
    Ok(Out::List(coordinates))
}

/// `num` numbers from one tensor to another, along a new axis.
pub fn linspace(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    if cfg.bool_or("retstep", false)? {
        return Err(cfg.bad("retstep", "false"));
    }
    let (start, stop) = ends(cx, call)?;
    Ok(spaced(cx, cfg, start, stop)?.into())
}

/// `base` to the powers of a [`linspace`].
pub fn logspace(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (start, stop) = ends(cx, call)?;
    let powers = spaced(cx, cfg, start, stop)?;
    let dtype = cx.dtype(powers);
    let base = cx.scalar(dtype, cfg.f64_or("base", 10.0)?);
    Ok(cx.binary(Binary::Pow, base, powers)?.into())
}

/// Numbers whose ratios are the same, by their logarithms.
pub fn geomspace(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (start, stop) = (tensor(cx, call, 0, "start")?, tensor(cx, call, 1, "stop")?);
    let dtype = dtype(cfg, "dtype")?.unwrap_or(DType::F32);
    if !dtype.is_float() {
        return Err(cfg.bad("dtype", "a float dtype"));
    }
    let power = |cx: &mut Cx, x: ValueId| -> Result<Operand> {
        let x = cx.unary(Unary::Abs, x)?;
        let x = cx.cast(x, dtype)?;
        let log = cx.unary(Unary::Log, x)?;
        let base = cx.scalar(dtype, std::f64::consts::LN_10);
        Ok(Operand::Strong(cx.div(log, base)?))
    };
    let (from, to) = (power(cx, start)?, power(cx, stop)?);
    let powers = spaced(cx, cfg, from, to)?;
    let ten = cx.scalar(dtype, 10.0);
    let y = cx.binary(Binary::Pow, ten, powers)?;
    let sign = cx.cast(start, dtype)?;
    let sign = cx.unary(Unary::Sign, sign)?;
    Ok(cx.mul(y, sign)?.into())
}

fn ends(cx: &mut Cx, call: &Call) -> Result<(Operand, Operand)> {
    Ok((
        operand(cx, call, 0, "start")?,
        operand(cx, call, 1, "stop")?,
    ))
}

fn spaced(cx: &mut Cx, cfg: &Cfg, start: Operand, stop: Operand) -> Result<ValueId> {
    let kinds = [start.kind(cx), stop.kind(cx), Kind::WeakFloat];
    let dtype = dtype(cfg, "dtype")?.unwrap_or(result_type(&kinds));
    if !dtype.is_float() {
        return Err(cfg.bad("dtype", "a float dtype"));
    }
    let (start, stop) = (start.to(cx, dtype)?, stop.to(cx, dtype)?);
    let num = cfg.usize_or("num", 50)?;
    let endpoint = cfg.bool_or("endpoint", true)?;
    let axis = axis(cfg, "axis", 0)?;
    let (a, b) = (cx.shape(start), cx.shape(stop));
    let shape = broadcast_shapes(&a, &b)
        .ok_or_else(|| cx.error("the shapes of start and stop can't be broadcast together"))?;
    let (start, mut stop) = (
        cx.broadcast_to(start, &shape)?,
        cx.broadcast_to(stop, &shape)?,
    );
    if !endpoint && num > 1 {
        let span = cx.sub(stop, start)?;
        let step = cx.div_s(span, num as f64)?;
        stop = cx.sub(stop, step)?;
    }
    let at = cx.axis(axis, shape.len() + 1)?;
    let (start, stop) = (
        cx.expand_dims(start, at as isize)?,
        cx.expand_dims(stop, at as isize)?,
    );
    // Both ends as they are, and what is between them.
    let between = num.saturating_sub(2);
    let mut along = vec![1; shape.len() + 1];
    along[at] = between;
    let counts = cx.generated(along, |i| (i + 1) as f64)?;
    let counts = cx.cast(counts, dtype)?;
    // TensorFlow's graph is rearranged to one product, which shows in 16 bits.
    let steps = cx.scalar(dtype, (between + 1) as f64);
    let step = cx.unary(Unary::Reciprocal, steps)?;
    let parts = cx.mul(counts, step)?;
    let span = cx.sub(stop, start)?;
    let way = cx.mul(span, parts)?;
    let inner = cx.add(start, way)?;
    let all = cx.concat(&[start, inner, stop], at as isize)?;
    cx.slice_axis(all, at as isize, 0, num)
}

// keras.ops.core -------------------------------------------------------------

/// The first index of each axis: numbers, or parts of tensors.
fn starts(cx: &mut Cx, call: &Call, rank: usize) -> Result<Vec<Start>> {
    let given = argument(cx, call, 1, "start_indices")?;
    let known = |v: &Json| as_int(v).and_then(|i| usize::try_from(i).ok());
    let list: Option<Vec<usize>> = match &given {
        Arg::List(items) => items
            .iter()
            .map(|a| match a {
                Arg::Lit(v) => known(v),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    let starts: Vec<Start> = match list {
        Some(list) => list.into_iter().map(Start::Known).collect(),
        None => {
            let all = convert(cx, &given)?;
            let all = cx.cast(all, DType::I32)?;
            cx.check_rank(all, 1)?;
            (0..cx.dim(all, 0)?)
                .map(|i| cx.index_axis(all, 0, i).map(Start::Computed))
                .collect::<Result<_>>()?
        }
    };
    match starts.len() == rank {
        true => Ok(starts),
        false => Err(cx.call_error(format!(
            "expected a start for each of {}, not {}",
            counted(rank, "axis", "axes"),
            starts.len()
        ))),
    }
}

/// Where a slice of an axis begins.
enum Start {
    Known(usize),
    Computed(ValueId),
}

impl Start {
    /// The indices of `len` elements from here on; clamped so that they are there.
    fn indices(&self, cx: &mut Cx, size: usize, len: usize, clamp: bool) -> Result<ValueId> {
        let last = size.saturating_sub(len);
        let counts = cx.generated([len], |i| i as i32)?;
        let start = match *self {
            Start::Known(i) => cx.scalar(DType::I32, if clamp { i.min(last) } else { i } as f64),
            Start::Computed(v) if clamp => cx.clip(v, Some(0.0), Some(last as f64))?,
            Start::Computed(v) => v,
        };
        cx.add(counts, start)
    }
}

/// The elements of a fixed size from where the indices say.
pub fn slice(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mut x = tensor(cx, call, 0, "inputs")?;
    let shape = cx.shape(x);
    let starts = starts(cx, call, shape.len())?;
    let want = cfg
        .opt_ints("shape")?
        .filter(|w| w.len() == shape.len())
        .ok_or_else(|| cfg.bad("shape", "a size for each axis"))?;
    for (axis, (start, want)) in starts.iter().zip(want).enumerate() {
        x = match (start, usize::try_from(want)) {
            (Start::Known(i), Ok(n)) => cx.slice_axis(x, axis as isize, *i, i + n)?,
            (Start::Known(i), Err(_)) => cx.slice_axis(x, axis as isize, *i, shape[axis])?,
            (Start::Computed(_), Ok(n)) => {
                let at = start.indices(cx, shape[axis], n, false)?;
                cx.gather(x, at, axis, 0)?
            }
            (Start::Computed(_), Err(_)) => {
                return Err(cfg.bad("shape", "sizes: they depend on the data"));
            }
        };
    }
    Ok(x.into())
}

/// A tensor with another one in it, from where the indices say; moved so that it fits.
pub fn slice_update(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "inputs")?;
    let updates = tensor(cx, call, 2, "updates")?;
    let dtype = cx.dtype(x);
    let updates = cx.cast(updates, dtype)?;
    let (shape, part) = (cx.shape(x), cx.shape(updates));
    let rank = shape.len();
    let fits = part.len() == rank && part.iter().zip(&shape).all(|(p, s)| p <= s);
    if !fits {
        return Err(cx.error(format!(
            "can't update {} by {}",
            show_shape(&shape),
            show_shape(&part)
        )));
    }
    let mut coordinates = vec![];
    for (axis, start) in starts(cx, call, rank)?.iter().enumerate() {
        let at = start.indices(cx, shape[axis], part[axis], true)?;
        let mut along = vec![1; rank];
        along[axis] = part[axis];
        let at = cx.reshape(at, &along)?;
        coordinates.push(cx.broadcast_to(at, &part)?);
    }
    let n = numel(&part);
    let at = stack(cx, &coordinates, -1)?;
    let at = cx.reshape(at, &[n, rank])?;
    let updates = cx.reshape(updates, &[n])?;
    Ok(cx.scatter(x, at, updates, false)?.into())
}

/// A pattern of axes such as `b (h w) c -> b h w c`: the names in each group.
fn pattern(text: &str) -> Vec<Vec<String>> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let (mut groups, mut inside) = (vec![], None::<Vec<String>>);
    for word in spaced.split_whitespace() {
        match (word, &mut inside) {
            ("(", _) => inside = Some(vec![]),
            (")", _) => groups.extend(inside.take()),
            (name, Some(group)) => group.push(name.to_string()),
            (name, None) => groups.push(vec![name.to_string()]),
        }
    }
    groups
}

/// Axes split, moved and merged by a pattern, as einops does it.
pub fn rearrange(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "tensor")?;
    let text = match argument(cx, call, 1, "pattern")? {
        Arg::Lit(Json::String(s)) => s,
        _ => return Err(cx.call_error("`pattern` must be a string")),
    };
    let bad = |cx: &Cx| cx.error(format!("pattern '{text}' doesn't fit {}", cx.fact(x)));
    let (from, to) = text.split_once("->").ok_or_else(|| bad(cx))?;
    let (from, to) = (pattern(from), pattern(to));
    let shape = cx.shape(x);
    if from.len() != shape.len() {
        return Err(bad(cx));
    }
    let given = |name: &str| match call.kwarg(name) {
        Some(Arg::Lit(v)) => as_int(v).and_then(|n| usize::try_from(n).ok()),
        _ => None,
    };
    let mut sizes: Vec<(String, usize)> = vec![];
    for (group, &size) in from.iter().zip(&shape) {
        let known: usize = group.iter().filter_map(|a| given(a)).product();
        for axis in group {
            let rest = if group.len() == 1 {
                size
            } else {
                size / known.max(1)
            };
            sizes.push((axis.clone(), given(axis).unwrap_or(rest)));
        }
    }
    let place = |name: &String| sizes.iter().position(|(n, _)| n == name);
    let perm: Option<Vec<usize>> = to.iter().flatten().map(place).collect();
    let perm = perm.ok_or_else(|| bad(cx))?;
    let split: Vec<usize> = sizes.iter().map(|s| s.1).collect();
    let merged: Vec<usize> = to
        .iter()
        .map(|group| group.iter().filter_map(place).map(|i| split[i]).product())
        .collect();
    let x = cx.reshape(x, &split)?;
    let x = cx.transpose(x, &perm)?;
    Ok(cx.reshape(x, &merged)?.into())
}

/// Values added up at their positions in zeros.
pub fn scatter(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let indices = tensor(cx, call, 0, "indices")?;
    let values = tensor(cx, call, 1, "values")?;
    let shape = sizes(cfg, "shape")?;
    let fact = Fact::new(cx.dtype(values), shape);
    let zeros = cx.full(fact, 0.0)?;
    let (indices, values) = rows(cx, zeros, indices, values)?;
    Ok(cx.scatter(zeros, indices, values, true)?.into())
}

/// Values set (or added) at positions of a tensor.
pub fn scatter_update(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "inputs")?;
    let indices = tensor(cx, call, 1, "indices")?;
    let updates = tensor(cx, call, 2, "updates")?;
    let dtype = cx.dtype(x);
    let updates = cx.cast(updates, dtype)?;
    let add = match cfg.opt_str("reduction")? {
        None => false,
        Some("add") => true,
        Some(_) => return Err(cfg.bad("reduction", "null or \"add\"")),
    };
    let (indices, updates) = rows(cx, x, indices, updates)?;
    Ok(cx.scatter(x, indices, updates, add)?.into())
}

/// Indices as (n, k) and updates as (n, ...).
fn rows(
    cx: &mut Cx,
    base: ValueId,
    indices: ValueId,
    updates: ValueId,
) -> Result<(ValueId, ValueId)> {
    let indices = match cx.dtype(indices) {
        DType::I32 | DType::I64 => indices,
        _ => cx.cast(indices, DType::I32)?,
    };
    let shape = cx.shape(indices);
    let Some((&k, lead)) = shape.split_last() else {
        return Err(cx.error("indices must have an axis of coordinates"));
    };
    let n = numel(lead);
    let base = cx.shape(base);
    let tail = base.get(k..).unwrap_or(&[]);
    let indices = cx.reshape(indices, &[n, k])?;
    let updates = cx.reshape(updates, &[&[n], tail].concat())?;
    Ok((indices, updates))
}
