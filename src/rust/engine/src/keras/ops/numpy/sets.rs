//! Membership and distinct values.

use crate::error::Result;
use crate::graph::{Binary, Cumulate, PadMode, Reduce, Unary, ValueId};
use crate::keras::ops::args::*;
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{numel, DType, Fact};

/// Whether each element is one of the second tensor's.
pub fn is_in(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    cfg.pass_over(&["assume_unique"]);
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let b = flat(cx, b)?;
    let a = cx.expand_dims(a, -1)?;
    let same = cx.binary(Binary::Eq, a, b)?;
    let last = [cx.rank(same) - 1];
    let some = cx.reduce(Reduce::Any, same, &last, false)?;
    match cfg.bool_or("invert", false)? && cx.fact(b).numel() > 0 {
        true => Ok(cx.unary(Unary::Not, some)?.into()),
        false => Ok(some.into()),
    }
}

/// The places of the `kth + 1` smallest integers along an axis, then of the others,
/// as TensorFlow's Keras has it: the others fall in order of what is left when
/// the smallest are 0, where the first axis of the tensor has become the count.
pub fn argpartition(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let given = cfg.opt_int("axis")?;
    let (x, axis) = match given {
        Some(a) => (x, a),
        None => (flat(cx, x)?, 0),
    };
    let x = cx.cast(x, DType::I32)?;
    let x = swapped(cx, x, axis)?;
    let n = cx.dim(x, -1)?;
    let count = (cfg.int_or("kth", 0)?.clamp(0, n as i64 - 1) + 1) as usize;
    let falling = cx.unary(Unary::Neg, x)?;
    let (_, order) = cx.sort(falling, true)?;
    let smallest = cx.slice_axis(order, -1, 0, count)?;
    let places: Vec<i32> = (0..n as i32).collect();
    let places = cx.i32s([n], &places);
    let at = cx.expand_dims(smallest, -1)?;
    let taken = cx.binary(Binary::Eq, at, places)?;
    let taken = cx.reduce(Reduce::Any, taken, &[0], false)?;
    let (have, want) = (cx.shape(taken), cx.shape(x));
    let fits = have.iter().zip(&want).all(|(h, w)| h <= w);
    if !fits {
        return Err(cx.error(format!(
            "can't partition a tensor of {want:?} at {}",
            count - 1
        )));
    }
    let pads: Vec<(usize, usize)> = have.iter().zip(&want).map(|(h, w)| (0, w - h)).collect();
    let taken = cx.pad(taken, &pads, PadMode::Constant, 0.0)?;
    let zero = cx.scalar(DType::I32, 0.0);
    let rest = cx.select(taken, zero, x)?;
    let (_, order) = cx.sort(rest, true)?;
    let rest = cx.slice_axis(order, -1, 0, n - count)?;
    let y = cx.concat(&[smallest, rest], -1)?;
    Ok(swapped(cx, y, axis)?.into())
}

/// An axis and the last one swapped.
fn swapped(cx: &mut Cx, x: ValueId, axis: i64) -> Result<ValueId> {
    let rank = cx.rank(x);
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(cx.axis(axis as isize, rank)?, rank - 1);
    cx.transpose(x, &perm)
}

/// How often each number occurs along the last axis. There are `minlength`
/// counts: a number beyond fails in the run, where Keras would give more of them.
pub fn bincount(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let length = cfg.usize_or("minlength", 0)?;
    if length == 0 {
        return Err(cfg.bad(
            "minlength",
            "a number: the largest value is known in the run only",
        ));
    }
    let x = cx.cast(x, DType::I32)?;
    let shape = cx.shape(x);
    let (&n, lead) = shape
        .split_last()
        .filter(|s| s.1.len() <= 1)
        .ok_or_else(|| cx.error("expected a vector or a matrix"))?;
    let rows = numel(lead);
    let row: Vec<i32> = (0..rows as i32).flat_map(|i| vec![i; n]).collect();
    let row = cx.i32s([rows * n], &row);
    let x = flat(cx, x)?;
    let at = stack(cx, &[row, x], -1)?;
    let zeros = cx.full(Fact::new(DType::I32, [rows, length]), 0.0)?;
    let ones = cx.full(Fact::new(DType::I32, [rows * n]), 1.0)?;
    let y = cx.scatter(zeros, at, ones, true)?;
    Ok(cx.reshape(y, &[lead, &[length]].concat())?.into())
}

/// The different values of a tensor: `size` of them, filled up where there are less.
pub fn unique(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let Some(size) = cfg.opt_usize("size")? else {
        return Err(cfg.bad(
            "size",
            "a number: how many values there are depends on the data",
        ));
    };
    if cfg
        .opt_int("axis")?
        .is_some_and(|a| cx.rank(x) != 1 || !matches!(a, 0 | -1))
    {
        return Err(cfg.bad("axis", "null, for all elements"));
    }
    let shape = cx.shape(x);
    let x = flat(cx, x)?;
    let n = cx.dim(x, 0)?;
    let dtype = cx.dtype(x);
    let counts: Vec<i32> = (0..n as i32).collect();
    let positions = cx.i32s([n], &counts);
    let as_int = |cx: &mut Cx, v: ValueId| cx.cast(v, DType::I32);
    // Equal elements side by side, the first of each kind first.
    let (values, order) = cx.sort(x, false)?;
    let head = cx.slice_axis(values, 0, 0, n.saturating_sub(1))?;
    let tail = cx.slice_axis(values, 0, 1.min(n), n)?;
    let differs = cx.binary(Binary::Ne, head, tail)?;
    let first = cx.full(Fact::new(DType::Bool, [1.min(n)]), 1.0)?;
    let new = cx.concat(&[first, differs], 0)?;
    let new_count = as_int(cx, new)?;
    let rank = cx.cumulate(Cumulate::Sum, new_count, 0, false)?;
    let mut rank = cx.add_s(rank, -1.0)?;
    if !cfg.bool_or("sorted", true)? {
        // In the order of their first places: a value's rank is the number of
        // first places before its own.
        let starts = cx.full(Fact::new(DType::I32, [n]), 0.0)?;
        let firsts = scattered(cx, starts, order, new_count, false)?;
        let before = cx.cumulate(Cumulate::Sum, firsts, 0, false)?;
        let before = cx.add_s(before, -1.0)?;
        let place = first_of_kind(cx, rank, order, new, n)?;
        rank = cx.gather(before, place, 0, 0)?;
    }
    // What is past `size` goes to a place that is cut off.
    let capped = cx.binary_s(Binary::Min, rank, size as f64)?;
    let fill = cfg.f64_or("fill_value", 0.0)?;
    let base = cx.full(Fact::new(dtype, [size + 1]), fill)?;
    let cut = |cx: &mut Cx, v: ValueId| cx.slice_axis(v, 0, 0, size);
    let y = scattered(cx, base, capped, values, false)?;
    let mut outs = vec![cut(cx, y)?.into()];
    if cfg.bool_or("return_index", false)? {
        // Keras fills with 1. Later elements are sent to the place cut off.
        let beyond = cx.full(Fact::new(DType::I32, [n]), size as f64)?;
        let at = cx.select(new, capped, beyond)?;
        let base = cx.full(Fact::new(DType::I32, [size + 1]), 1.0)?;
        let v = scattered(cx, base, at, order, false)?;
        outs.push(cut(cx, v)?.into());
    }
    if cfg.bool_or("return_inverse", false)? {
        let v = scattered(cx, positions, order, rank, false)?;
        outs.push(cx.reshape(v, &shape)?.into());
    }
    if cfg.bool_or("return_counts", false)? {
        let ones = cx.full(Fact::new(DType::I32, [n]), 1.0)?;
        let base = cx.full(Fact::new(DType::I32, [size + 1]), 0.0)?;
        let v = scattered(cx, base, capped, ones, true)?;
        outs.push(cut(cx, v)?.into());
    }
    match outs.len() {
        1 => Ok(outs.remove(0)),
        _ => Ok(Out::List(outs)),
    }
}

/// Elements of vectors set (or added) at their places.
fn scattered(cx: &mut Cx, base: ValueId, at: ValueId, v: ValueId, add: bool) -> Result<ValueId> {
    let at = cx.expand_dims(at, -1)?;
    cx.scatter(base, at, v, add)
}

/// For each element in sorted order, the place of the first of its kind.
fn first_of_kind(
    cx: &mut Cx,
    rank: ValueId,
    order: ValueId,
    new: ValueId,
    n: usize,
) -> Result<ValueId> {
    let beyond = cx.full(Fact::new(DType::I32, [n]), n as f64)?;
    let at = cx.select(new, rank, beyond)?;
    let base = cx.full(Fact::new(DType::I32, [n + 1]), 0.0)?;
    let by_rank = scattered(cx, base, at, order, false)?;
    cx.gather(by_rank, rank, 0, 0)
}
