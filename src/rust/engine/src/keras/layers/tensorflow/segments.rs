//! Rows reduced by segments, in `tf.math`.

use serde_json::json;

use super::args::Args;
use super::like::of_tensors;
use super::Name;
use crate::error::Result;
use crate::graph::{Binary, Unary, ValueId};
use crate::keras::{Cx, Out};
use crate::tensor::Fact;

/// The functions of [`lower`].
pub const NAMES: [&str; 11] = [
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "unsorted_segment_max",
    "unsorted_segment_mean",
    "unsorted_segment_min",
    "unsorted_segment_prod",
    "unsorted_segment_sqrt_n",
    "unsorted_segment_sum",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let mut x = a.first(cx)?;
    let mut ids = a.tensor(cx, "segment_ids")?;
    let (shape, places) = (cx.shape(x), cx.shape(ids));
    if !shape.starts_with(&places) || places.is_empty() {
        return Err(cx.error("the segments must be those of the first axes"));
    }
    let all: usize = places.iter().product();
    x = cx.reshape(x, &[&[all], &shape[places.len()..]].concat())?;
    ids = cx.reshape(ids, &[all])?;
    let (sorted, kind) = match name.function.strip_prefix("unsorted_segment_") {
        Some(kind) => (false, kind),
        None => (true, name.function.trim_start_matches("segment_")),
    };
    let count = match sorted {
        true => None,
        false => a.int(cx, "num_segments")?,
    };
    let class = match kind {
        "max" => "SegmentMax",
        "min" => "SegmentMin",
        "prod" => "SegmentProd",
        _ => "SegmentSum",
    };
    let config = json!({"num_segments": count, "sorted": sorted});
    let reduced = |cx: &mut Cx, x: ValueId| of_tensors(cx, class, config.clone(), &[x, ids]);
    let sums = reduced(cx, x)?;
    if !matches!(kind, "mean" | "sqrt_n") {
        return Ok(Some(sums.into()));
    }
    let mut ones = vec![1; cx.rank(x)];
    ones[0] = all;
    let fact = Fact::new(cx.dtype(x), ones);
    let ones = cx.full(fact, 1.0)?;
    let counts = reduced(cx, ones)?;
    let counts = cx.binary_s(Binary::Max, counts, 1.0)?;
    let counts = match kind {
        "mean" => counts,
        _ => cx.unary(Unary::Sqrt, counts)?,
    };
    Ok(Some(cx.div(sums, counts)?.into()))
}
