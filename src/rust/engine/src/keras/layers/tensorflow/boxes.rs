//! Boxes in images: cropped and resized, and chosen by their scores.

use std::sync::Arc;

use super::args::Args;
use super::Name;
use crate::error::Result;
use crate::graph::{Binary, Cumulate, PadMode, Reduce, ScanAttrs, Unary, ValueId};
use crate::keras::{Cx, Out};
use crate::tensor::{DType, Fact};

/// The functions of [`lower`].
pub const NAMES: [&str; 5] = [
    "combined_non_max_suppression",
    "crop_and_resize",
    "non_max_suppression",
    "non_max_suppression_padded",
    "non_max_suppression_with_scores",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out = match name.function {
        "crop_and_resize" => cropped(cx, a)?.into(),
        "combined_non_max_suppression" => combined(cx, a)?,
        function => of_one_image(cx, function, a)?,
    };
    Ok(Some(out))
}

/// Boxes (n, 4) of images, each resized to one size.
fn cropped(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let boxes = a.tensor(cx, "boxes")?;
    let key = ["box_indices", "box_ind"].into_iter();
    let key = key.clone().find(|k| a.get(k).is_some());
    let image = a.tensor(cx, key.unwrap_or("box_indices"))?;
    let size = match a.ints(cx, "crop_size")?.as_deref() {
        Some(&[h, w]) if h > 0 && w > 0 => [h as usize, w as usize],
        _ => return Err(cx.call_error("`crop_size` must be height and width")),
    };
    let bilinear = match a.text("method").unwrap_or("bilinear") {
        "bilinear" => true,
        "nearest" => false,
        other => return Err(cx.call_error(format!("boxes can't be resized by '{other}'"))),
    };
    let outside = a.number(cx, "extrapolation_value", 0.0)?;
    let shape = cx.shape(x);
    let n = cx.dim(boxes, 0)?;
    if shape.len() != 4 || cx.shape(boxes) != [n, 4] || cx.shape(image) != [n] {
        return Err(cx.error("expected images, boxes (n, 4) and the image of each"));
    }
    let x = cx.cast(x, DType::F32)?;
    let image = cx.cast(image, DType::I32)?;
    let mut axes = vec![];
    for (i, &to) in size.iter().enumerate() {
        let top = shape[i + 1] as f64 - 1.0;
        let low = cx.slice_axis(boxes, 1, i, i + 1)?;
        let high = cx.slice_axis(boxes, 1, i + 2, i + 3)?;
        let place = if to > 1 {
            let span = cx.sub(high, low)?;
            let step = cx.mul_s(span, top)?;
            let step = cx.div_s(step, (to - 1) as f64)?;
            let at = cx.generated([1, to], |i| i as f32)?;
            let along = cx.mul(step, at)?;
            let start = cx.mul_s(low, top)?;
            cx.add(start, along)?
        } else {
            let both = cx.add(low, high)?;
            cx.mul_s(both, 0.5 * top)?
        };
        let not_below = cx.binary_s(Binary::Ge, place, 0.0)?;
        let not_above = cx.binary_s(Binary::Le, place, top)?;
        let inside = cx.and(not_below, not_above)?;
        axes.push((cx.clip(place, Some(0.0), Some(top))?, inside));
    }
    // By image, row and column: (n, height, width).
    let spread = |cx: &mut Cx, v: ValueId, axis: isize| cx.expand_dims(v, axis);
    let image = cx.reshape(image, &[n, 1, 1])?;
    let pixels = cx.reshape(x, &[shape[0] * shape[1] * shape[2], shape[3]])?;
    let pixel = |cx: &mut Cx, row: ValueId, column: ValueId| -> Result<ValueId> {
        let rows = cx.mul_s(image, shape[1] as f64)?;
        let row = cx.cast(row, DType::I32)?;
        let row = spread(cx, row, 2)?;
        let row = cx.add(rows, row)?;
        let row = cx.mul_s(row, shape[2] as f64)?;
        let column = cx.cast(column, DType::I32)?;
        let column = spread(cx, column, 1)?;
        let at = cx.add(row, column)?;
        cx.gather(pixels, at, 0, 0)
    };
    let (y, x) = (axes[0].0, axes[1].0);
    let value = if bilinear {
        let (top, left) = (cx.unary(Unary::Floor, y)?, cx.unary(Unary::Floor, x)?);
        let (bottom, right) = (cx.unary(Unary::Ceil, y)?, cx.unary(Unary::Ceil, x)?);
        let (down, along) = (cx.sub(y, top)?, cx.sub(x, left)?);
        let between = |cx: &mut Cx, from: ValueId, to: ValueId, part: ValueId, shape: &[usize]| {
            let step = cx.sub(to, from)?;
            let part = cx.reshape(part, shape)?;
            let step = cx.mul(step, part)?;
            cx.add(from, step)
        };
        let columns = [n, 1, size[1], 1];
        let (a, b) = (pixel(cx, top, left)?, pixel(cx, top, right)?);
        let upper = between(cx, a, b, along, &columns)?;
        let (a, b) = (pixel(cx, bottom, left)?, pixel(cx, bottom, right)?);
        let lower = between(cx, a, b, along, &columns)?;
        between(cx, upper, lower, down, &[n, size[0], 1, 1])?
    } else {
        // Halves go up.
        let mut near = [y, x];
        for v in &mut near {
            let up = cx.add_s(*v, 0.5)?;
            *v = cx.unary(Unary::Floor, up)?;
        }
        pixel(cx, near[0], near[1])?
    };
    let rows = cx.reshape(axes[0].1, &[n, size[0], 1, 1])?;
    let columns = cx.reshape(axes[1].1, &[n, 1, size[1], 1])?;
    let inside = cx.and(rows, columns)?;
    let outside = cx.scalar(DType::F32, outside);
    cx.select(inside, value, outside)
}

/// Boxes (lead, n, 4) by falling score: the boxes, their scores, their places, and
/// which of them overlap no better one that stays by more than `overlap`.
struct Kept {
    boxes: ValueId,
    scores: ValueId,
    places: ValueId,
    stays: ValueId,
}

fn kept(cx: &mut Cx, boxes: ValueId, scores: ValueId, least: f64, overlap: f64) -> Result<Kept> {
    let shape = cx.shape(scores);
    let (lead, n) = (shape[0], shape[1]);
    let (scores, places) = cx.sort(scores, true)?;
    let boxes = cx.gather(boxes, places, 1, 1)?;
    let good = cx.binary_s(Binary::Gt, scores, least)?;
    // Corners in any order.
    let part = |cx: &mut Cx, i: usize| {
        let v = cx.slice_axis(boxes, 2, i, i + 1)?;
        cx.reshape(v, &[lead, n])
    };
    let mut ends = vec![];
    for i in 0..2 {
        let (one, other) = (part(cx, i)?, part(cx, i + 2)?);
        ends.extend([cx.minimum(one, other)?, cx.maximum(one, other)?]);
    }
    let spans = |cx: &mut Cx, low: ValueId, high: ValueId| cx.sub(high, low);
    let (h, w) = (spans(cx, ends[0], ends[1])?, spans(cx, ends[2], ends[3])?);
    ends.push(cx.mul(h, w)?);
    let dtype = cx.dtype(boxes);

    let mut body = cx.for_body();
    let own: Vec<ValueId> = (0..5)
        .map(|_| body.input(Fact::new(dtype, [lead, 1])))
        .collect();
    let is_good = body.input(Fact::new(DType::Bool, [lead, 1]));
    let at = body.input(Fact::new(DType::I32, [1, 1]));
    let stays = body.input(Fact::new(DType::Bool, [lead, n]));
    let all: Vec<ValueId> = (0..5)
        .map(|_| body.input(Fact::new(dtype, [lead, n])))
        .collect();
    let counting = body.input(Fact::new(DType::I32, [1, n]));
    let b = &mut body;
    let here = b.binary(Binary::Eq, counting, at)?;
    let mut shared = None;
    for i in 0..2 {
        let low = b.maximum(own[2 * i], all[2 * i])?;
        let high = b.minimum(own[2 * i + 1], all[2 * i + 1])?;
        let span = b.sub(high, low)?;
        let span = b.clip(span, Some(0.0), None)?;
        shared = Some(match shared {
            None => span,
            Some(v) => b.mul(v, span)?,
        });
    }
    let shared = shared.unwrap_or(own[4]);
    let both = b.add(own[4], all[4])?;
    let both = b.sub(both, shared)?;
    let share = b.div(shared, both)?;
    // Boxes without an area overlap none.
    let over = b.binary_s(Binary::Gt, share, overlap)?;
    let (mine, theirs) = (
        b.binary_s(Binary::Gt, own[4], 0.0)?,
        b.binary_s(Binary::Gt, all[4], 0.0)?,
    );
    let real = b.and(mine, theirs)?;
    let over = b.and(over, real)?;
    let over = b.and(over, stays)?;
    let covered = b.reduce(Reduce::Any, over, &[1], true)?;
    let free = b.unary(Unary::Not, covered)?;
    let new = b.and(free, is_good)?;
    let new = b.and(new, here)?;
    let next = b.or(stays, new)?;
    let mut graph = body.into_builder().graph;
    graph.outputs = vec![next];
    let attrs = ScanAttrs {
        body: Arc::new(graph),
        sequences: 7,
        carries: 1,
        length: n,
        reverse: false,
    };
    let step = |cx: &mut Cx, v: ValueId| -> Result<ValueId> {
        let v = cx.transpose(v, &[1, 0])?;
        cx.expand_dims(v, -1)
    };
    let mut sequences = vec![];
    for &v in ends.iter().chain([&good]) {
        sequences.push(step(cx, v)?);
    }
    sequences.push(cx.generated([n, 1, 1], |i| i as i32)?);
    let none = cx.full(Fact::new(DType::Bool, [lead, n]), 0.0)?;
    ends.push(cx.generated([1, n], |i| i as i32)?);
    let stays = cx.scan(attrs, &sequences, &[none], &ends)?[0];
    Ok(Kept {
        boxes,
        scores,
        places,
        stays,
    })
}

/// How many of a row's first `most` stay, and the values of those that do, in order
/// and filled up with `fill`: (lead, most, ...).
fn first_of(
    cx: &mut Cx,
    stays: ValueId,
    values: &[ValueId],
    most: usize,
) -> Result<(ValueId, Vec<ValueId>)> {
    let shape = cx.shape(stays);
    let (lead, n) = (shape[0], shape[1]);
    let ones = cx.cast(stays, DType::I32)?;
    let rank = cx.cumulate(Cumulate::Sum, ones, 1, false)?;
    let total = cx.reduce(Reduce::Sum, ones, &[1], false)?;
    let count = cx.clip(total, None, Some(most as f64))?;
    // The others go to a place that is cut off.
    let before = cx.add_s(rank, -1.0)?;
    let before = cx.clip(before, None, Some(most as f64))?;
    let beyond = cx.scalar(DType::I32, most as f64);
    let at = cx.select(stays, before, beyond)?;
    let rows = cx.generated([lead, n], |i| (i / n * (most + 1)) as i32)?;
    let at = cx.add(at, rows)?;
    let at = cx.reshape(at, &[lead * n, 1])?;
    let mut outs = vec![];
    for &v in values {
        let tail = cx.shape(v)[2..].to_vec();
        let dtype = cx.dtype(v);
        let flat = cx.reshape(v, &[&[lead * n], &tail[..]].concat())?;
        let zeros = cx.full(
            Fact::new(dtype, [&[lead * (most + 1)], &tail[..]].concat()),
            0.0,
        )?;
        let found = cx.scatter(zeros, at, flat, false)?;
        let found = cx.reshape(found, &[&[lead, most + 1], &tail[..]].concat())?;
        outs.push(cx.slice_axis(found, 1, 0, most)?);
    }
    Ok((count, outs))
}

/// A number that is known before the run; no score is too low where it is left out.
fn bounds(cx: &Cx, a: &Args) -> Result<(f64, f64)> {
    let overlap = a.number(cx, "iou_threshold", 0.5)?;
    Ok((a.number(cx, "score_threshold", f64::NEG_INFINITY)?, overlap))
}

fn of_one_image(cx: &mut Cx, function: &str, a: &Args) -> Result<Out> {
    let boxes = a.first(cx)?;
    let scores = a.tensor(cx, "scores")?;
    let most = match a.int(cx, "max_output_size")? {
        Some(n) if n >= 0 => n as usize,
        _ => return Err(cx.call_error("`max_output_size` must be a whole number")),
    };
    if a.number(cx, "soft_nms_sigma", 0.0)? != 0.0 {
        return Err(cx.call_error("`soft_nms_sigma` must be 0"));
    }
    let (least, overlap) = bounds(cx, a)?;
    let padded = a.flag("pad_to_max_output_size");
    // They only say how fast it can be found.
    for key in ["sorted_input", "canonicalized_coordinates", "tile_size"] {
        a.get(key);
    }
    let batched = cx.rank(boxes) == 3 && function == "non_max_suppression_padded";
    let (boxes, scores) = match batched {
        true => (boxes, scores),
        false => (cx.expand_dims(boxes, 0)?, cx.expand_dims(scores, 0)?),
    };
    let n = cx.shape(scores).get(1).copied().unwrap_or(0);
    let lead = cx.dim(boxes, 0)?;
    if cx.shape(boxes) != [lead, n, 4] || cx.shape(scores) != [lead, n] {
        return Err(cx.error("expected boxes (n, 4) and the score of each"));
    }
    let kept = kept(cx, boxes, scores, least, overlap)?;
    let size = match padded || batched {
        true => most,
        false => most.min(n),
    };
    let (count, outs) = first_of(cx, kept.stays, &[kept.places, kept.scores], size)?;
    if batched {
        return Ok(Out::List(vec![outs[0].into(), count.into()]));
    }
    let count = cx.reshape(count, &[])?;
    let size = match padded {
        true => most,
        false => cx.open_size(count)?,
    };
    let one = |cx: &mut Cx, v: ValueId| -> Result<ValueId> {
        let v = cx.index_axis(v, 0, 0)?;
        cx.slice_axis(v, 0, 0, size)
    };
    let places = one(cx, outs[0])?;
    Ok(match function {
        "non_max_suppression" => places.into(),
        "non_max_suppression_padded" => Out::List(vec![places.into(), count.into()]),
        _ => {
            let scores = one(cx, outs[1])?;
            Out::List(vec![places.into(), scores.into()])
        }
    })
}

/// The best boxes of all classes of each image.
fn combined(cx: &mut Cx, a: &Args) -> Result<Out> {
    let boxes = a.first(cx)?;
    let scores = a.tensor(cx, "scores")?;
    let size = |cx: &Cx, key: &str| match a.int(cx, key)? {
        Some(n) if n > 0 => Ok(n as usize),
        _ => Err(cx.call_error(format!("`{key}` must be a whole number > 0"))),
    };
    let most = size(cx, "max_output_size_per_class")?;
    let all = size(cx, "max_total_size")?;
    let (least, overlap) = bounds(cx, a)?;
    let pads = a.flag("pad_per_class");
    let clips = a.get("clip_boxes").is_none() || a.flag("clip_boxes");
    let (shape, by_class) = (cx.shape(boxes), cx.shape(scores));
    let (&[batch, n, q, 4], &[_, _, classes]) = (shape.as_slice(), by_class.as_slice()) else {
        return Err(cx.error("expected boxes (batch, n, classes or 1, 4) and scores"));
    };
    if by_class[..2] != [batch, n] || !(q == 1 || q == classes) {
        return Err(cx.error("the boxes don't fit their scores"));
    }
    // Classes go along the batch.
    let lead = batch * classes;
    let boxes = cx.transpose(boxes, &[0, 2, 1, 3])?;
    let boxes = cx.broadcast_to(boxes, &[batch, classes, n, 4])?;
    let boxes = cx.reshape(boxes, &[lead, n, 4])?;
    let scores = cx.transpose(scores, &[0, 2, 1])?;
    let scores = cx.reshape(scores, &[lead, n])?;
    let kept = kept(cx, boxes, scores, least, overlap)?;
    let (count, outs) = first_of(cx, kept.stays, &[kept.boxes, kept.scores], most.min(n))?;
    let per_class = cx.dim(outs[1], 1)?;
    let candidates = classes * per_class;
    let place = cx.generated([1, per_class], |i| i as i32)?;
    let count = cx.expand_dims(count, -1)?;
    let there = cx.binary(Binary::Lt, place, count)?;
    let there = cx.reshape(there, &[batch, candidates])?;
    let scores = cx.reshape(outs[1], &[batch, candidates])?;
    let boxes = cx.reshape(outs[0], &[batch, candidates, 4])?;
    // Of all classes by falling score, those that are no boxes last.
    let dtype = cx.dtype(scores);
    let never = cx.scalar(dtype, f64::NEG_INFINITY);
    let keys = cx.select(there, scores, never)?;
    let (_, order) = cx.sort(keys, true)?;
    let class = cx.generated([1, candidates], |i| (i / per_class) as f32)?;
    let class = cx.broadcast_to(class, &[batch, candidates])?;
    let class = cx.cast(class, dtype)?;
    let to = match pads {
        true => all.min(most.saturating_mul(classes)),
        false => all,
    };
    let taken = to.min(candidates);
    let order = cx.slice_axis(order, 1, 0, taken)?;
    let ones = cx.cast(there, DType::I32)?;
    let total = cx.reduce(Reduce::Sum, ones, &[1], false)?;
    let valid = cx.clip(total, None, Some(to as f64))?;
    let last = cx.expand_dims(valid, -1)?;
    let mut results: Vec<Out> = vec![];
    for (i, v) in [boxes, scores, class].into_iter().enumerate() {
        let v = cx.gather(v, order, 1, 1)?;
        let place = cx.generated([1, taken], |i| i as i32)?;
        let mut there = cx.binary(Binary::Lt, place, last)?;
        if i == 0 {
            there = cx.expand_dims(there, -1)?;
        }
        let zero = cx.scalar(dtype, 0.0);
        let mut v = cx.select(there, v, zero)?;
        if i == 0 && clips {
            v = cx.clip(v, Some(0.0), Some(1.0))?;
        }
        let mut pads = vec![(0, 0); cx.rank(v)];
        pads[1] = (0, to - taken);
        let v = cx.pad(v, &pads, PadMode::Constant, 0.0)?;
        results.push(v.into());
    }
    results.push(valid.into());
    Ok(Out::List(results))
}
