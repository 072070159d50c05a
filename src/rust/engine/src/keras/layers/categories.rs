//! Categories as numbers: CategoryEncoding, Discretization, Hashing, HashedCrossing.

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::graph::{Binary, HashAttrs, Reduce, ValueId};
use crate::keras::cfg::{as_f64, as_int};
use crate::keras::ops::bucket;
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};
use crate::tensor::{either, show_shape, DType, Fact, Tensor};

/// How categories are shown.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Int,
    OneHot,
    MultiHot,
    Count,
    TfIdf,
}

impl Mode {
    /// The `output_mode` of a config: one of some modes.
    pub(super) fn of(cfg: &Cfg, default: &'static str, modes: &[Mode]) -> Result<Mode> {
        let mode = match cfg.str_or("output_mode", default)? {
            "int" => Some(Mode::Int),
            "one_hot" => Some(Mode::OneHot),
            "multi_hot" | "binary" => Some(Mode::MultiHot),
            "count" => Some(Mode::Count),
            "tf_idf" | "tf-idf" => Some(Mode::TfIdf),
            _ => None,
        };
        mode.filter(|m| modes.contains(m)).ok_or_else(|| {
            let names: Vec<&str> = modes.iter().map(|m| m.name()).collect();
            cfg.bad("output_mode", &either(&names))
        })
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Int => "int",
            Mode::OneHot => "one_hot",
            Mode::MultiHot => "multi_hot",
            Mode::Count => "count",
            Mode::TfIdf => "tf_idf",
        }
    }
}

/// Whole numbers as int64.
fn integers(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    match cx.dtype(x) {
        DType::Str => Err(cx.call_error("expected numbers, not strings")),
        _ => cx.cast(x, DType::I64),
    }
}

/// One entry per category along a new last axis.
fn one_hot(cx: &mut Cx, x: ValueId, depth: usize, dtype: DType) -> Result<ValueId> {
    let x = cx.expand_dims(x, -1)?;
    let all = cx.generated([depth], |i| i as i64)?;
    let hot = cx.binary(Binary::Eq, x, all)?;
    cx.cast(hot, dtype)
}

/// Keras' `encode_categorical_inputs`. Sparse results are given dense.
pub(super) fn encode(
    cx: &mut Cx,
    x: ValueId,
    mode: Mode,
    depth: usize,
    dtype: DType,
    weights: Option<ValueId>,
) -> Result<ValueId> {
    if mode == Mode::Int {
        return cx.cast(x, dtype);
    }
    let mut x = integers(cx, x)?;
    if cx.rank(x) == 0 {
        x = cx.expand_dims(x, -1)?;
    }
    let rank = cx.rank(x);
    if mode == Mode::OneHot {
        if rank > 1 && cx.dim(x, -1)? == 1 {
            x = cx.squeeze(x, -1)?;
        }
        return one_hot(cx, x, depth, dtype);
    }
    if rank <= 2 && weights.is_none() {
        let counts = cx.count(x, depth, true)?;
        let counts = match mode {
            Mode::MultiHot => cx.clip(counts, None, Some(1.0))?,
            _ => counts,
        };
        return cx.cast(counts, dtype);
    }
    // Of higher ranks, Keras takes the second axis as the sample.
    let over = [usize::from(rank > 1)];
    let Some(weights) = weights else {
        let hot = one_hot(cx, x, depth, dtype)?;
        let kind = match mode {
            Mode::MultiHot => Reduce::Max,
            _ => Reduce::Sum,
        };
        return cx.reduce(kind, hot, &over, false);
    };
    let hot = one_hot(cx, x, depth, cx.dtype(weights))?;
    let weights = cx.expand_dims(weights, -1)?;
    let hot = cx.mul(hot, weights)?;
    let sum = cx.reduce(Reduce::Sum, hot, &over, false)?;
    match rank <= 2 {
        true => cx.cast(sum, dtype),
        false => Ok(sum),
    }
}

/// Set by configs of Keras before 3.4, whose one-hot vectors leave a last axis of size 1
/// where it is.
pub const KEEPS_LAST_AXIS: &str = "keeps_last_axis";

/// As [`encode`], and as Keras before 3.4 did.
fn encode_keeping_axis(
    cx: &mut Cx,
    x: ValueId,
    mode: Mode,
    depth: usize,
    dtype: DType,
) -> Result<ValueId> {
    let rank = cx.rank(x);
    match mode {
        Mode::OneHot if rank > 0 => {
            let x = integers(cx, x)?;
            one_hot(cx, x, depth, dtype)
        }
        Mode::MultiHot if rank > 2 => {
            let x = integers(cx, x)?;
            let hot = one_hot(cx, x, depth, dtype)?;
            cx.reduce(Reduce::Max, hot, &[rank - 1], false)
        }
        _ => encode(cx, x, mode, depth, dtype, None),
    }
}

struct CategoryEncoding {
    tokens: usize,
    mode: Mode,
    keeps_axis: bool,
}

/// Whole numbers below `num_tokens` as vectors.
pub fn category_encoding(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let modes = [Mode::OneHot, Mode::MultiHot, Mode::Count];
    let tokens = match cfg.opt_usize("num_tokens")? {
        Some(n) => n,
        None => cfg.usize("max_tokens")?,
    };
    cfg.pass_over(&["sparse"]);
    Ok(Built::new(CategoryEncoding {
        tokens,
        mode: Mode::of(cfg, "multi_hot", &modes)?,
        keeps_axis: cfg.bool_or(KEEPS_LAST_AXIS, false)?,
    }))
}

impl Layer for CategoryEncoding {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "count_weights"]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let weights = match call.arg(1, "count_weights") {
            None => None,
            Some(_) if self.mode != Mode::Count => {
                return Err(cx.call_error("`count_weights` needs the output mode 'count'"));
            }
            Some(Arg::Tensor(w)) => Some(cx.cast(w.value, me.policy.compute)?),
            Some(_) => return Err(cx.call_error("`count_weights` must be a tensor")),
        };
        let dtype = me.policy.variable;
        let encoded = match self.mode {
            Mode::OneHot if self.keeps_axis => {
                encode_keeping_axis(cx, x, self.mode, self.tokens, dtype)?
            }
            mode => encode(cx, x, mode, self.tokens, dtype, weights)?,
        };
        Ok(encoded.into())
    }

    fn autocast(&self) -> bool {
        false
    }
}

/// Set by configs of Keras before 3.12, which gave bins in the dtype of the layer.
pub const ENCODES_BY_DTYPE: &str = "encodes_by_dtype";

struct Discretization {
    bounds: Bounds,
    mode: Mode,
    by_dtype: bool,
    keeps_axis: bool,
}

/// More intervals than anyone adapts.
const MOST: usize = 1 << 20;

/// Where intervals end.
enum Bounds {
    Given(Vec<f32>),
    /// So many intervals, by the quantiles of data that a weight sums up in about so
    /// many numbers.
    Adapted(usize, usize),
}

/// The ends of so many intervals of like shares: by values in order (the first row of a
/// summary) and how often there were such (the second).
fn quantiles(summary: &[f64], count: usize) -> Vec<f32> {
    let (values, shares) = summary.split_at(summary.len() / 2);
    let step = 1.0 / count as f64;
    if values.len() as f64 * step < 1.0 {
        let inner = values.len().saturating_sub(1);
        return values[..inner].iter().map(|v| *v as f32).collect();
    }
    // Of float32, as the summary is.
    let mut sum = 0f32;
    let sums: Vec<f32> = shares
        .iter()
        .map(|v| {
            sum += *v as f32;
            sum
        })
        .collect();
    let parts: Vec<f64> = sums.iter().map(|v| f64::from(*v / sum)).collect();
    let at = |share: f64| {
        let above = parts.partition_point(|p| *p <= share);
        match (above, values.get(above)) {
            (0, _) => values[0],
            (n, None) => values[n - 1],
            (n, Some(next)) => {
                let slope = (next - values[n - 1]) / (parts[n] - parts[n - 1]);
                slope * (share - parts[n - 1]) + values[n - 1]
            }
        }
    };
    // As many as `np.arange(0, 1, step)` makes.
    let ends = (1.0 / step).ceil() as usize;
    let ends = (0..ends.saturating_sub(1)).map(|i| step + i as f64 * step);
    ends.map(|share| at(share) as f32).collect()
}

/// Numbers by the interval that they are in.
pub fn discretization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let modes = [Mode::Int, Mode::OneHot, Mode::MultiHot, Mode::Count];
    let numbers = |v: &Json| -> Option<Vec<f32>> {
        let items = v.as_array()?.iter();
        items.map(|v| as_f64(v).map(|v| v as f32)).collect()
    };
    let by_dtype = cfg.bool_or(ENCODES_BY_DTYPE, false)?;
    let bounds = cfg.get("bin_boundaries").and_then(numbers);
    let parts = (1.0 / cfg.f64_or("epsilon", 0.01)?).round();
    let parts = parts.clamp(1.0, MOST as f64) as usize;
    cfg.pass_over(&["num_bins", "sparse"]);
    let adapted = match by_dtype && cfg.get("bin_boundaries").is_none() {
        true => cfg
            .opt_usize("num_bins")?
            .filter(|n| (1..=MOST).contains(n)),
        false => None,
    };
    let bounds = match (bounds, adapted) {
        (Some(bounds), _) => Bounds::Given(bounds),
        (None, Some(count)) => Bounds::Adapted(count, parts),
        (None, None) => return Err(cfg.bad("bin_boundaries", "a list of numbers")),
    };
    let adapts = matches!(bounds, Bounds::Adapted(..));
    let built = Built::new(Discretization {
        bounds,
        mode: Mode::of(cfg, "int", &modes)?,
        by_dtype,
        keeps_axis: cfg.bool_or(KEEPS_LAST_AXIS, false)?,
    });
    Ok(match adapts {
        true => built.frozen("summary"),
        false => built,
    })
}

impl Discretization {
    fn bounds(&self, cx: &Cx, me: &LayerNode) -> Result<Vec<f32>> {
        let (count, parts) = match &self.bounds {
            Bounds::Given(bounds) => return Ok(bounds.clone()),
            Bounds::Adapted(count, parts) => (*count, *parts),
        };
        let summary = me.weights.get().and_then(|w| w.first());
        let Some(summary) = summary.map(|w| &w.tensor) else {
            cx.has_weight(me, "summary", Fact::new(DType::F32, [2, parts]));
            return Ok(vec![0.0; count - 1]);
        };
        match summary.shape() {
            [2, n] if *n > 0 => Ok(quantiles(&summary.to_f64(), count)),
            shape => Err(Error::BadWeight {
                layer: cx.path().to_string(),
                weight: "summary".to_string(),
                expected: format!("of shape {}", show_shape(&[2, parts])),
                given: show_shape(shape),
            }),
        }
    }
}

impl Layer for Discretization {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let bounds = self.bounds(cx, me)?;
        let depth = bounds.len() + 1;
        let bounds = cx.f32s([bounds.len()], &bounds);
        let bins = bucket(cx, x, bounds)?;
        let dtype = match self.mode {
            Mode::Int if !self.by_dtype => DType::I32,
            _ => me.policy.compute,
        };
        let encoded = match self.keeps_axis {
            true => encode_keeping_axis(cx, bins, self.mode, depth, dtype)?,
            false => encode(cx, bins, self.mode, depth, dtype, None)?,
        };
        Ok(encoded.into())
    }
}

/// The two halves of a salt.
pub(super) fn salt(cfg: &Cfg) -> Result<Option<(u64, u64)>> {
    let bad = || cfg.bad("salt", "one or two whole numbers");
    let Some(salt) = cfg.get("salt") else {
        return Ok(None);
    };
    let whole = |v: &Json| {
        let signed = as_int(v).map(|v| v as u64);
        signed.or_else(|| v.as_u64()).ok_or_else(bad)
    };
    match salt {
        Json::Array(parts) => match parts.as_slice() {
            [a, b] => Ok(Some((whole(a)?, whole(b)?))),
            _ => Err(bad()),
        },
        one => Ok(Some((whole(one)?, whole(one)?))),
    }
}

enum MaskValue {
    Text(String),
    Number(f64),
}

struct Hashing {
    bins: usize,
    key: Option<(u64, u64)>,
    mask: Option<MaskValue>,
    mode: Mode,
}

/// Text, or the text of numbers, by its hash; bin 0 is the mask value's.
pub fn hashing(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let modes = [Mode::Int, Mode::OneHot, Mode::MultiHot, Mode::Count];
    let mask = match cfg.get("mask_value") {
        None => None,
        Some(Json::String(s)) => Some(MaskValue::Text(s.clone())),
        Some(v) => match as_f64(v) {
            Some(v) => Some(MaskValue::Number(v)),
            None => return Err(cfg.bad("mask_value", "a string or a number")),
        },
    };
    let bins = cfg.usize("num_bins")?;
    if bins == 0 {
        return Err(cfg.bad("num_bins", "a whole number > 0"));
    }
    cfg.pass_over(&["sparse"]);
    Ok(Built::new(Hashing {
        bins,
        key: salt(cfg)?,
        mask,
        mode: Mode::of(cfg, "int", &modes)?,
    }))
}

impl Hashing {
    fn bins(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let mut attrs = HashAttrs {
            bins: self.bins as u64,
            key: self.key,
        };
        let mut masked = None;
        if let Some(mask) = self.mask.as_ref().filter(|_| self.bins > 1) {
            attrs.bins -= 1;
            let dtype = cx.dtype(x);
            let mask = match (mask, dtype) {
                (MaskValue::Text(s), DType::Str) => {
                    Tensor::from_strings([0; 0], vec![s.as_str().into()])
                }
                (MaskValue::Number(v), d) if d != DType::Str => Tensor::scalar(d, *v),
                _ => return Err(cx.call_error(format!("`mask_value` doesn't fit {dtype} input"))),
            };
            let mask = cx.constant(mask);
            masked = Some(cx.binary(Binary::Eq, x, mask)?);
        }
        let x = match cx.dtype(x).is_float() {
            true => cx.cast(x, DType::I64)?,
            false => x,
        };
        let bins = cx.hash(x, attrs)?;
        let Some(masked) = masked else {
            return Ok(bins);
        };
        let bins = cx.add_s(bins, 1.0)?;
        let zero = cx.scalar(DType::I64, 0.0);
        cx.select(masked, zero, bins)
    }
}

impl Layer for Hashing {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let mut x = cx.one(call)?.value;
        if self.mode == Mode::OneHot && cx.rank(x) > 1 && cx.dim(x, -1)? == 1 {
            x = cx.squeeze(x, -1)?;
        }
        let bins = self.bins(cx, x)?;
        let dtype = me.policy.variable;
        Ok(encode(cx, bins, self.mode, self.bins, dtype, None)?.into())
    }

    fn autocast(&self) -> bool {
        false
    }
}

struct HashedCrossing {
    bins: usize,
    mode: Mode,
}

/// Several features together, by the hash of their values.
pub fn hashed_crossing(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["sparse"]);
    Ok(Built::new(HashedCrossing {
        bins: cfg.usize("num_bins")?,
        mode: Mode::of(cfg, "int", &[Mode::Int, Mode::OneHot])?,
    }))
}

impl Layer for HashedCrossing {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let mut xs = vec![];
        for t in cx.many(call)? {
            let dtype = cx.dtype(t.value);
            let fits = cx.rank(t.value) < 2 || cx.rank(t.value) == 2 && cx.dim(t.value, 1)? == 1;
            if !fits || !(dtype == DType::Str || dtype.is_int()) {
                let fact = cx.fact(t.value).clone();
                return Err(cx.error(format!(
                    "expected one integer or string per row, not {fact}"
                )));
            }
            xs.push(match dtype {
                DType::Str => t.value,
                _ => cx.cast(t.value, DType::I64)?,
            });
        }
        let bins = cx.hash_cross(&xs, self.bins as u64)?;
        let dtype = me.policy.compute;
        Ok(encode(cx, bins, self.mode, self.bins, dtype, None)?.into())
    }

    fn autocast(&self) -> bool {
        false
    }
}
