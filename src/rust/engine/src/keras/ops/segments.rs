//! Reductions over segments, of `keras.ops.math`.

use crate::error::Result;
use crate::graph::{Binary, Reduce, ValueId};
use crate::keras::ops::args::*;
use crate::keras::ops::numpy::sets::Kinds;
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{counted, DType, Tensor};

/// What an empty segment gives: the value that changes nothing.
fn neutral(kind: Reduce, dtype: DType) -> f64 {
    let bits = 8 * dtype.size() as i32;
    let (low, high) = match dtype {
        DType::F16 => (-65504.0, 65504.0),
        DType::BF16 => (-3.3895313892515355e38, 3.3895313892515355e38),
        DType::F32 => (f64::from(f32::MIN), f64::from(f32::MAX)),
        DType::F64 => (f64::MIN, f64::MAX),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => (0.0, 2f64.powi(bits) - 1.0),
        _ => (-2f64.powi(bits - 1), 2f64.powi(bits - 1) - 1.0),
    };
    match kind {
        Reduce::Max => low,
        Reduce::Min => high,
        Reduce::Prod => 1.0,
        _ => 0.0,
    }
}

/// The rows of each segment reduced to one; rows of negative numbers do not count,
/// numbers that are too large are an error.
pub fn reduced(cx: &mut Cx, cfg: &Cfg, call: &Call, kind: Reduce) -> Result<Out> {
    let x = tensor(cx, call, 0, "data")?;
    let ids = tensor(cx, call, 1, "segment_ids")?;
    cx.check_rank(ids, 1)?;
    let sorted = cfg.bool_or("sorted", false)?;
    let count = match cfg.opt_usize("num_segments")? {
        Some(n) => n,
        None => count_of(cx, ids, kind, sorted)?,
    };
    let shape = cx.shape(x);
    if shape.is_empty() || shape[0] != cx.dim(ids, 0)? {
        return Err(cx.error(format!(
            "expected a segment for each of {}, not {}",
            counted(shape.first().copied().unwrap_or(0), "row", "rows"),
            cx.dim(ids, 0)?
        )));
    }
    let ids = cx.cast(ids, DType::I32)?;
    cx.ask(count.saturating_mul(8), "a list of segments")?;
    let numbers: Vec<i32> = (0..count as i32).collect();
    let ids = checked(cx, ids, &numbers)?;
    let ids = cx.expand_dims(ids, 0)?;
    let numbers = cx.i32s([count, 1], &numbers);
    let inside = cx.binary(Binary::Eq, ids, numbers)?;
    let mut wide = vec![count, shape[0]];
    wide.resize(shape.len() + 1, 1);
    let inside = cx.reshape(inside, &wide)?;
    let dtype = cx.dtype(x);
    // Sorted segments without rows are 0, but in products.
    let rest = neutral(kind, dtype);
    let outside = cx.constant(limit(dtype, rest));
    let rows = cx.expand_dims(x, 0)?;
    let rows = cx.select(inside, rows, outside)?;
    let y = cx.reduce(kind, rows, &[1], false)?;
    if !sorted || !matches!(kind, Reduce::Max | Reduce::Min) {
        return Ok(y.into());
    }
    let some = cx.reduce(Reduce::Any, inside, &[1], false)?;
    let zero = cx.scalar(dtype, 0.0);
    Ok(cx.select(some, y, zero)?.into())
}

/// The segments of rows, of which those that are too large are an error of the run.
fn checked(cx: &mut Cx, ids: ValueId, numbers: &[i32]) -> Result<ValueId> {
    if numbers.is_empty() {
        return Ok(ids);
    }
    let table = cx.i32s([numbers.len()], numbers);
    let natural = cx.clip(ids, Some(0.0), None)?;
    let found = cx.gather(table, natural, 0, 0)?;
    let none = cx.binary_s(Binary::Lt, ids, 0.0)?;
    cx.select(none, ids, found)
}

/// A scalar; the largest integers, which f64 can't hold, exactly.
fn limit(dtype: DType, value: f64) -> Tensor {
    let no_shape: [usize; 0] = [];
    match dtype {
        DType::I64 => Tensor::from_slice(no_shape, &[value as i64]),
        DType::U64 => Tensor::from_slice(no_shape, &[value as u64]),
        _ => Tensor::scalar(dtype, value),
    }
}

/// The number of segments: known before the run, or of the data.
fn count_of(cx: &mut Cx, ids: ValueId, kind: Reduce, sorted: bool) -> Result<usize> {
    // Keras counts the different numbers where sums are taken of unsorted segments.
    let different = kind == Reduce::Sum && !sorted;
    let Some(known) = cx.graph.constant(ids) else {
        let count = if different {
            Kinds::of(cx, ids)?.count(cx)?
        } else {
            let ids = cx.cast(ids, DType::I64)?;
            let largest = cx.reduce(Reduce::Max, ids, &[0], false)?;
            let count = cx.add_s(largest, 1.0)?;
            cx.binary_s(Binary::Max, count, 0.0)?
        };
        return cx.open_size(count);
    };
    let mut numbers = known.tensor.to_f64();
    let largest = numbers.iter().fold(-1.0f64, |a, &b| a.max(b));
    if different {
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        return Ok(numbers.len());
    }
    Ok((largest + 1.0) as usize)
}
