//! Layers that make one tensor of several.

use serde_json::Value as Json;

use super::attention::MASKS_STAY;
use super::norm::to_unit_norm;
use crate::error::Result;
use crate::graph::{Binary, Reduce, ValueId};
use crate::keras::cfg::as_int;
use crate::keras::ops::sum;
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, OfComplex, Out, T};
use crate::tensor::{numel, DType, Fact};

/// The inputs in the dtype they promote to.
fn inputs(cx: &mut Cx, call: &Call) -> Result<Vec<T>> {
    let xs = cx.many(call)?;
    let kinds: Vec<Kind> = xs.iter().map(|x| Kind::Is(cx.dtype(x.value))).collect();
    let dtype = result_type(&kinds);
    let cast = |x: T| {
        let value = cx.cast(x.value, dtype)?;
        Ok(T { value, ..x })
    };
    xs.into_iter().map(cast).collect()
}

/// Steps that any input has, where all inputs have masks.
fn any_mask(cx: &mut Cx, xs: &[T]) -> Result<Option<ValueId>> {
    let masks: Option<Vec<ValueId>> = xs.iter().map(|x| x.mask).collect();
    let Some((&first, rest)) = masks.as_deref().and_then(<[ValueId]>::split_first) else {
        return Ok(None);
    };
    let mut mask = first;
    for &m in rest {
        mask = cx.or(mask, m)?;
    }
    Ok(Some(mask))
}

/// Steps that all inputs with a mask have.
fn all_masks(cx: &mut Cx, xs: &[T]) -> Result<Option<ValueId>> {
    let mut all = None;
    for mask in xs.iter().filter_map(|x| x.mask) {
        all = Some(match all {
            None => mask,
            Some(all) => cx.and(all, mask)?,
        });
    }
    Ok(all)
}

/// Inputs of lower rank get axes after the batch; Keras forgets their masks then.
fn same_rank(cx: &mut Cx, xs: &[T]) -> Result<Vec<T>> {
    let rank = xs.iter().map(|x| cx.rank(x.value)).max().unwrap_or(0);
    let mut out = vec![];
    for x in xs {
        let mut shape = cx.shape(x.value);
        if shape.len() == rank {
            out.push(*x);
            continue;
        }
        if shape.is_empty() {
            return Err(cx.error("can't merge a tensor of rank 0"));
        }
        let missing = rank - shape.len();
        shape.splice(1..1, vec![1; missing]);
        out.push(cx.reshape(x.value, &shape)?.into());
    }
    Ok(out)
}

#[derive(Copy, Clone, PartialEq)]
enum How {
    Add,
    Subtract,
    Multiply,
    Average,
    Maximum,
    Minimum,
}

/// Merges element by element. The result is masked where all inputs are.
struct Merge {
    how: How,
    /// As before Keras 3: the result is masked where any input is, and values
    /// don't depend on masks.
    old_masks: bool,
}

fn merge(cfg: &Cfg, how: How) -> Result<Built> {
    let old_masks = cfg.bool_or(MASKS_STAY, false)?;
    Ok(Built::new(Merge { how, old_masks }))
}

pub fn add(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    merge(cfg, How::Add)
}
pub fn subtract(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    merge(cfg, How::Subtract)
}
pub fn multiply(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    merge(cfg, How::Multiply)
}
pub fn average(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    merge(cfg, How::Average)
}
pub fn maximum(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    merge(cfg, How::Maximum)
}
pub fn minimum(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    merge(cfg, How::Minimum)
}

/// The sum of Inception-ResNet's blocks.
struct Residual {
    scale: f64,
}

/// `x + scale * y` of two inputs, as keras.applications defines it. The mask is lost.
pub fn custom_scale(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let scale = cfg.f64_or("scale", 1.0)?;
    Ok(Built::new(Residual { scale }))
}

impl Layer for Residual {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let [x, y] = inputs(cx, call)?[..] else {
            return Err(cx.call_error("expected two tensors"));
        };
        let y = cx.mul_s(y.value, self.scale)?;
        Ok(cx.add(x.value, y)?.into())
    }
}

impl Layer for Merge {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let given = inputs(cx, call)?;
        if self.how == How::Subtract && given.len() != 2 {
            return Err(cx.call_error(format!("expected two tensors, not {}", given.len())));
        }
        let mut xs = same_rank(cx, &given)?;
        if self.old_masks {
            xs.iter_mut().for_each(|x| x.mask = None);
        }
        let is_bool = cx.dtype(xs[0].value) == DType::Bool;
        let value = match self.how {
            How::Add if is_bool => fold(cx, Binary::Or, &xs)?,
            How::Add => sum_of(cx, &xs)?,
            How::Subtract => fold(cx, Binary::Sub, &xs)?,
            How::Average => average_of(cx, &xs)?,
            How::Multiply => product(cx, &xs)?,
            How::Maximum => extreme(cx, Binary::Max, &xs)?,
            How::Minimum => extreme(cx, Binary::Min, &xs)?,
        };
        let mask = match self.old_masks {
            true => all_masks(cx, &given)?,
            false => any_mask(cx, &given)?,
        };
        Ok(T { value, mask }.into())
    }
}

fn fold(cx: &mut Cx, op: Binary, xs: &[T]) -> Result<ValueId> {
    let mut out = xs[0].value;
    for x in &xs[1..] {
        out = cx.binary(op, out, x.value)?;
    }
    Ok(out)
}

fn sum_of(cx: &mut Cx, xs: &[T]) -> Result<ValueId> {
    let mut out = xs[0].value;
    for x in &xs[1..] {
        out = sum(cx, out, x.value)?;
    }
    Ok(out)
}

fn average_of(cx: &mut Cx, xs: &[T]) -> Result<ValueId> {
    let mut sum = sum_of(cx, xs)?;
    let dtype = cx.dtype(sum);
    if !dtype.is_float() {
        // Python's division of a TensorFlow tensor.
        let wide = if dtype.size() > 2 {
            DType::F64
        } else {
            DType::F32
        };
        sum = cx.cast(sum, wide)?;
    }
    cx.div_s(sum, xs.len() as f64)
}

/// A mask over the last axis of its tensor.
fn spread(cx: &mut Cx, x: &T) -> Result<Option<ValueId>> {
    x.mask.map(|m| cx.expand_dims(m, -1)).transpose()
}

/// The product of what is not masked; 0 where all inputs are masked.
fn product(cx: &mut Cx, xs: &[T]) -> Result<ValueId> {
    let dtype = cx.dtype(xs[0].value);
    let op = if dtype == DType::Bool {
        Binary::And
    } else {
        Binary::Mul
    };
    let mut out = None;
    for x in xs {
        let mut value = x.value;
        if let Some(mask) = spread(cx, x)? {
            let one = cx.scalar(dtype, 1.0);
            value = cx.select(mask, value, one)?;
        }
        out = Some(match out {
            None => value,
            Some(out) => cx.binary(op, out, value)?,
        });
    }
    let out = out.ok_or_else(|| cx.defect("nothing to multiply"))?;
    match any_mask(cx, xs)? {
        None => Ok(out),
        Some(mask) => {
            let mask = cx.expand_dims(mask, -1)?;
            let zero = cx.scalar(dtype, 0.0);
            cx.select(mask, out, zero)
        }
    }
}

/// Maxima (or minima) of what is not masked.
fn extreme(cx: &mut Cx, op: Binary, xs: &[T]) -> Result<ValueId> {
    let is_bool = cx.dtype(xs[0].value) == DType::Bool;
    let op = match op {
        Binary::Max if is_bool => Binary::Or,
        Binary::Min if is_bool => Binary::And,
        op => op,
    };
    let mut out = xs[0].value;
    let mut out_mask = spread(cx, &xs[0])?;
    for x in &xs[1..] {
        let mask = spread(cx, x)?;
        let mut value = x.value;
        if let Some(mask) = mask {
            value = cx.select(mask, value, out)?;
        }
        if let Some(mask) = out_mask {
            out = cx.select(mask, out, value)?;
        }
        out_mask = match (out_mask, mask) {
            (Some(a), Some(b)) => Some(cx.or(a, b)?),
            _ => None,
        };
        out = cx.binary(op, out, value)?;
    }
    Ok(out)
}

struct Concatenate {
    axis: isize,
    /// As before Keras 3: a step counts where it does in all inputs.
    old_masks: bool,
}

/// Tensors one after the other along an axis. The masks go along, where any
/// input has one.
pub fn concatenate(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let axis = cfg.int_or("axis", -1)? as isize;
    let old_masks = cfg.bool_or(MASKS_STAY, false)?;
    Ok(Built::new(Concatenate { axis, old_masks }))
}

impl Layer for Concatenate {
    fn of_complex(&self) -> OfComplex {
        OfComplex::ByParts
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let xs = inputs(cx, call)?;
        let values: Vec<ValueId> = xs.iter().map(|x| x.value).collect();
        let value = cx.concat(&values, self.axis)?;
        let mask = match xs.iter().any(|x| x.mask.is_some()) {
            true => Some(self.mask(cx, &xs)?),
            false => None,
        };
        Ok(T { value, mask }.into())
    }
}

impl Concatenate {
    /// Masks over all axes but the last, side by side; along the last axis a
    /// step counts if it does in any input (before Keras 3, in all).
    fn mask(&self, cx: &mut Cx, xs: &[T]) -> Result<ValueId> {
        let mut masks = vec![];
        for x in xs {
            masks.push(full_mask(cx, x)?);
        }
        let rank = cx.rank(xs[0].value);
        let axis = cx.axis(self.axis, rank)?;
        if axis + 1 < rank {
            return cx.concat(&masks, axis as isize);
        }
        let mut joined = masks[0];
        for &m in &masks[1..] {
            joined = match self.old_masks {
                true => cx.and(joined, m)?,
                false => cx.or(joined, m)?,
            };
        }
        Ok(joined)
    }
}

/// The mask of each element but for the last axis; true where there is none.
fn full_mask(cx: &mut Cx, x: &T) -> Result<ValueId> {
    let shape = cx.shape(x.value);
    let last = shape.len() - 1;
    match x.mask {
        None => cx.full(Fact::new(DType::Bool, &shape[..last]), 1.0),
        Some(mask) if cx.rank(mask) > last => cx.reduce(Reduce::Any, mask, &[last], false),
        Some(mask) => cx.broadcast_to(mask, &shape[..last]),
    }
}

struct Dot {
    axes: [isize; 2],
    normalize: bool,
}

/// The axis of each of two tensors to sum over.
pub(super) fn merge_axes(cfg: &Cfg) -> Result<[isize; 2]> {
    let expected = "an axis or two axes";
    let axes = match cfg.get("axes") {
        Some(Json::Array(axes)) => match axes.as_slice() {
            [a, b] => as_int(a).zip(as_int(b)),
            _ => None,
        },
        Some(axis) => as_int(axis).map(|a| (a, a)),
        None => None,
    };
    let (a, b) = axes.ok_or_else(|| cfg.bad("axes", expected))?;
    Ok([a as isize, b as isize])
}

/// Products of two tensors summed along one axis of each, row by row. The mask is lost.
pub fn dot(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    Ok(Built::new(Dot {
        axes: merge_axes(cfg)?,
        normalize: cfg.bool_or("normalize", false)?,
    }))
}

impl Layer for Dot {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let xs = inputs(cx, call)?;
        let [x, y] = xs[..] else {
            return Err(cx.call_error(format!("expected two tensors, not {}", xs.len())));
        };
        let (mut x, mut y) = (x.value, y.value);
        let dtype = cx.dtype(x);
        // Products of int8 tensors are int32 in Keras.
        if matches!(dtype, DType::I8 | DType::Bool) {
            (x, y) = (cx.cast(x, DType::I32)?, cx.cast(y, DType::I32)?);
        }
        let a = cx.axis(self.axes[0], cx.rank(x))?;
        let b = cx.axis(self.axes[1], cx.rank(y))?;
        if a == 0 || b == 0 {
            return Err(cx.call_error("can't sum along the batch"));
        }
        if self.normalize {
            x = to_unit_norm(cx, x, &[a], 1e-7)?;
            y = to_unit_norm(cx, y, &[b], 1e-7)?;
        }
        let z = batch_dot(cx, x, y, a, b)?;
        Ok(match dtype {
            DType::Bool => cx.cast(z, dtype)?,
            _ => z,
        }
        .into())
    }
}

/// `(n, ...)` and `(n, ...)` to `(n, axes of x but a, axes of y but b)`; at
/// least of rank 2.
pub(super) fn batch_dot(
    cx: &mut Cx,
    x: ValueId,
    y: ValueId,
    a: usize,
    b: usize,
) -> Result<ValueId> {
    let rest = |shape: &[usize], axis: usize| -> Vec<usize> {
        (1..shape.len()).filter(|&i| i != axis).collect()
    };
    let (xs, ys) = (cx.shape(x), cx.shape(y));
    let (xr, yr) = (rest(&xs, a), rest(&ys, b));
    let x = cx.transpose(x, &[vec![0], xr.clone(), vec![a]].concat())?;
    let y = cx.transpose(y, &[vec![0, b], yr.clone()].concat())?;
    let xr: Vec<usize> = xr.into_iter().map(|i| xs[i]).collect();
    let yr: Vec<usize> = yr.into_iter().map(|i| ys[i]).collect();
    let x = cx.reshape(x, &[xs[0], numel(&xr), xs[a]])?;
    let y = cx.reshape(y, &[ys[0], ys[b], numel(&yr)])?;
    let z = cx.matmul(x, y, false, false)?;
    let mut shape = [vec![xs[0]], xr, yr].concat();
    if shape.len() == 1 {
        shape.push(1);
    }
    cx.reshape(z, &shape)
}
