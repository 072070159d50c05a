//! The arguments of a call of a function of TensorFlow.

use std::cell::RefCell;
use std::collections::HashSet;

use serde_json::{json, Map, Value as Json};

use crate::error::Result;
use crate::format::json::number as number_of;
use crate::graph::ValueId;
use crate::keras::cfg::as_int;
use crate::keras::layer::Call;
use crate::keras::{ops, Arg, Cx};
use crate::optimize::known;
use crate::tensor::{numel, DType, Tensor};

/// Functions whose first argument is a size.
const OF_SIZES: [&str; 7] = [
    "fill",
    "zeros",
    "ones",
    "range",
    "eye",
    "linspace",
    "lin_space",
];

/// Arguments that are sizes, axes or indices.
const SIZES: [&str; 66] = [
    "axes",
    "axis",
    "batch_axis",
    "batch_dims",
    "batch_shape",
    "begin",
    "block_shape",
    "block_size",
    "crops",
    "delta",
    "depth",
    "dims",
    "end",
    "k",
    "ksize",
    "limit",
    "maxlen",
    "multiples",
    "newshape",
    "num",
    "num_columns",
    "num_lower",
    "num_or_size_splits",
    "num_upper",
    "offset_height",
    "offset_width",
    "output_shape",
    "paddings",
    "perm",
    "repeats",
    "seq_axis",
    "shape",
    "shift",
    "size",
    "slice_spec",
    "start",
    "stop",
    "strides",
    "target_height",
    "target_width",
    "mask",
    "central_fraction",
    "squeeze_dims",
    "reduction_indices",
    "dimension",
    "crop_size",
    "max_output_size",
    "max_output_size_per_class",
    "max_total_size",
    "iou_threshold",
    "score_threshold",
    "num_segments",
    "input_min",
    "input_max",
    "min",
    "max",
    "value_range",
    "nbins",
    "rcond",
    "l2_regularizer",
    "frame_length",
    "frame_step",
    "fft_length",
    "n",
    "min_length",
    "mode",
];

/// The arguments of a call, in which sizes are numbers.
pub struct Args {
    pub first: Arg,
    pub rest: Vec<(String, Arg)>,
    read: RefCell<HashSet<String>>,
}

impl Args {
    pub fn of(cx: &mut Cx, function: &str, call: &Call) -> Result<Args> {
        let first = call.args.first().cloned();
        let mut first = first.unwrap_or(Arg::Lit(Json::Null));
        if OF_SIZES.contains(&function) {
            first = plain(cx, first)?;
        }
        let mut rest = Vec::with_capacity(call.kwargs.len());
        for (key, value) in &call.kwargs {
            let value = match (key.as_str(), &first, value) {
                (key, ..) if SIZES.contains(&key) => plain(cx, value.clone())?,
                // An array beside a tensor has its dtype.
                ("y" | "bias", Arg::Tensor(t), Arg::List(_)) if function != "where" => {
                    let dtype = cx.dtype(t.value);
                    let value = ops::convert(cx, value)?;
                    Arg::Tensor(cx.cast(value, dtype)?.into())
                }
                _ => value.clone(),
            };
            rest.push((key.clone(), value));
        }
        Ok(Args {
            first,
            rest,
            read: RefCell::default(),
        })
    }

    /// The name of an argument that says something and has not been read.
    pub fn unread(&self) -> Option<&str> {
        const HARMLESS: [&str; 7] = [
            "name",
            "validate_indices",
            "validate_shape",
            "stable",
            "seed",
            "noise_shape",
            // How a table is cut into parts; it is whole here.
            "partition_strategy",
        ];
        let says = |v: &Arg| match v {
            Arg::Lit(Json::Null | Json::Bool(false)) => false,
            Arg::Lit(Json::String(s)) => !s.is_empty(),
            Arg::Lit(Json::Array(items)) => !items.is_empty(),
            Arg::List(items) => !items.is_empty(),
            _ => true,
        };
        let read = self.read.borrow();
        let mut rest = self.rest.iter();
        let found = rest.find(|(key, value)| {
            says(value) && !HARMLESS.contains(&key.as_str()) && !read.contains(key)
        });
        found.map(|(key, _)| key.as_str())
    }

    /// Whether an argument is given as None.
    pub fn is_none(&self, key: &str) -> bool {
        self.rest.iter().any(|(k, v)| k == key && v.is_none())
    }

    /// An argument that is there and not None; it counts as read.
    pub fn get(&self, key: &str) -> Option<&Arg> {
        self.read.borrow_mut().insert(key.to_string());
        let found = self.rest.iter().find(|(k, _)| k == key);
        found.map(|(_, v)| v).filter(|v| !v.is_none())
    }

    pub fn first(&self, cx: &mut Cx) -> Result<ValueId> {
        ops::convert(cx, &self.first)
    }

    pub fn tensor(&self, cx: &mut Cx, key: &str) -> Result<ValueId> {
        match self.get(key) {
            Some(arg) => ops::convert(cx, &arg.clone()),
            None => Err(cx.call_error(format!("argument `{key}` is missing"))),
        }
    }

    /// A tensor in the dtype of another, as TensorFlow makes it of numbers.
    pub fn like(&self, cx: &mut Cx, key: &str, x: ValueId) -> Result<ValueId> {
        let v = self.tensor(cx, key)?;
        let dtype = cx.dtype(x);
        match self.get(key) {
            Some(Arg::Tensor(_)) => Ok(v),
            _ => cx.cast(v, dtype),
        }
    }

    pub fn json(&self, cx: &Cx, key: &str) -> Result<Option<Json>> {
        match self.get(key) {
            None => Ok(None),
            Some(arg) => match literal(arg) {
                Some(v) => Ok(Some(v)),
                None => Err(cx.call_error(format!("`{key}` must be known before the run"))),
            },
        }
    }

    pub fn ints(&self, cx: &Cx, key: &str) -> Result<Option<Vec<i64>>> {
        let Some(value) = self.json(cx, key)? else {
            return Ok(None);
        };
        match ints(&value) {
            Some(v) => Ok(Some(v)),
            None => Err(cx.call_error(format!("`{key}` must be whole numbers"))),
        }
    }

    pub fn int(&self, cx: &Cx, key: &str) -> Result<Option<i64>> {
        Ok(self.ints(cx, key)?.and_then(|v| v.first().copied()))
    }

    pub fn number(&self, cx: &Cx, key: &str, default: f64) -> Result<f64> {
        match self.json(cx, key)? {
            None => Ok(default),
            Some(v) => {
                number_of(&v).ok_or_else(|| cx.call_error(format!("`{key}` must be a number")))
            }
        }
    }

    pub fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Arg::Lit(Json::Bool(true))))
    }

    /// Whether a flag is given, and off.
    pub fn is_off(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Arg::Lit(Json::Bool(false))))
    }

    /// The tensors of a list that comes first.
    pub fn all(&self, cx: &mut Cx) -> Result<Vec<ValueId>> {
        match &self.first {
            Arg::List(items) => items.iter().map(|item| ops::convert(cx, item)).collect(),
            one => Ok(vec![ops::convert(cx, one)?]),
        }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Arg::Lit(Json::String(s))) => Some(s),
            _ => None,
        }
    }

    pub fn dtype(&self, cx: &Cx, key: &str) -> Result<Option<DType>> {
        match (self.get(key), self.text(key).and_then(DType::parse)) {
            (None, _) => Ok(None),
            (_, Some(d)) => Ok(Some(d)),
            _ => Err(cx.call_error(format!("`{key}` must be a dtype"))),
        }
    }

    /// The axes under a key, all where there are none.
    pub fn axes(&self, cx: &Cx, key: &str, rank: usize) -> Result<Vec<usize>> {
        let Some(given) = self.ints(cx, key)? else {
            return Ok((0..rank).collect());
        };
        given.iter().map(|&a| cx.axis(a as isize, rank)).collect()
    }
}

/// An argument in which tensors that follow from shapes are numbers.
pub fn plain(cx: &Cx, arg: Arg) -> Result<Arg> {
    Ok(match arg {
        Arg::Tensor(t) => match known(&cx.graph, t.value)? {
            Some(tensor) => Arg::Lit(nested(&tensor)),
            None => arg,
        },
        Arg::List(items) => Arg::List(
            items
                .into_iter()
                .map(|a| plain(cx, a))
                .collect::<Result<_>>()?,
        ),
        Arg::Dict(items) => {
            let mut out = Vec::with_capacity(items.len());
            for (k, v) in items {
                out.push((k, plain(cx, v)?));
            }
            // A slice is one literal.
            let whole = Arg::Dict(out);
            literal(&whole).map_or(whole, Arg::Lit)
        }
        Arg::Lit(v) => Arg::Lit(match v.get("class_name").and_then(Json::as_str) {
            Some("__numpy__") => v["config"]["value"].clone(),
            _ => v,
        }),
    })
}

/// A tensor's numbers as nested lists.
pub fn nested(tensor: &Tensor) -> Json {
    let whole = !tensor.dtype().is_float();
    let flat: Vec<Json> = tensor
        .to_f64()
        .into_iter()
        .map(|v| match whole {
            _ if tensor.dtype() == DType::Bool => json!(v != 0.0),
            true => json!(v as i64),
            false => json!(v),
        })
        .collect();
    fn build(shape: &[usize], values: &[Json]) -> Json {
        match shape {
            [] => values.first().cloned().unwrap_or_default(),
            [_, rest @ ..] if numel(rest) == 0 => Json::Array(vec![]),
            [_, rest @ ..] => values.chunks(numel(rest)).map(|c| build(rest, c)).collect(),
        }
    }
    build(tensor.shape(), &flat)
}

/// An argument without tensors as JSON.
pub fn literal(arg: &Arg) -> Option<Json> {
    match arg {
        Arg::Tensor(_) => None,
        Arg::Lit(v) => Some(v.clone()),
        Arg::List(items) => items
            .iter()
            .map(literal)
            .collect::<Option<_>>()
            .map(Json::Array),
        Arg::Dict(items) => items
            .iter()
            .map(|(k, v)| Some((k.clone(), literal(v)?)))
            .collect::<Option<Map<_, _>>>()
            .map(Json::Object),
    }
}

pub fn ints(v: &Json) -> Option<Vec<i64>> {
    match v {
        Json::Array(items) => items.iter().map(as_int).collect(),
        one => as_int(one).map(|i| vec![i]),
    }
}

/// Sizes that an argument holds.
pub fn sizes(cx: &Cx, arg: &Arg) -> Result<Vec<usize>> {
    let given = literal(arg).and_then(|v| ints(&v));
    given
        .and_then(|v| v.iter().map(|&n| usize::try_from(n).ok()).collect())
        .ok_or_else(|| cx.call_error("sizes must be known before the run"))
}

pub fn number(cx: &Cx, arg: &Arg) -> Result<f64> {
    literal(arg)
        .and_then(|v| v.as_f64())
        .ok_or_else(|| cx.call_error("expected a number that is known before the run"))
}

/// Two operands, of which numbers take the dtype of the tensor.
pub fn operands(cx: &mut Cx, a: &Args, key: &str) -> Result<(ValueId, ValueId)> {
    let x = a.first(cx)?;
    match a.first {
        Arg::Tensor(_) => Ok((x, a.like(cx, key, x)?)),
        _ => {
            let y = a.tensor(cx, key)?;
            let dtype = cx.dtype(y);
            Ok((cx.cast(x, dtype)?, y))
        }
    }
}
