//! Functions of TensorFlow that stand as layers in models of Keras 2.
//!
//! Most have a like in `keras.ops`: [`translate`] gives it, which is also how such
//! a model is saved for Keras 3. Sizes that a graph computes from shapes are known
//! here, since a model is lowered for given shapes: they become plain numbers
//! first. What `keras.ops` lacks is written in primitives.

mod blocks;
mod colour;
mod image;
mod signal;
mod special;

use serde_json::{json, Map, Value as Json};

use crate::error::Result;
use crate::graph::{Binary, Cumulate, Reduce, Unary, ValueId};
use crate::keras::cfg::as_int;
use crate::keras::layer::Call;
use crate::keras::layers::no_image;
use crate::keras::legacy::{translate, FunctionCall};
use crate::keras::model::history;
use crate::keras::ops::{self, numpy::shape::diagonal_of};
use crate::keras::{Arg, Built, Cfg, Cx, Layer, LayerNode, Nested, OfComplex, Out, T};
use crate::nest::Nest;
use crate::optimize::known;
use crate::tensor::{counted, numel, DType, Fact, Tensor};

struct Function {
    symbol: String,
}

/// A function by its name in TensorFlow, such as `math.add`.
pub fn function(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let symbol = cfg.str("function")?.to_string();
    Ok(Built::new(Function { symbol }))
}

impl Layer for Function {
    fn parameters(&self) -> &'static [&'static str] {
        &[]
    }

    fn autocast(&self) -> bool {
        false
    }

    fn of_complex(&self) -> OfComplex {
        OfComplex::Take
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let symbol = self.symbol.strip_prefix("compat.v1.");
        let old = symbol.is_some();
        let symbol = symbol.unwrap_or(&self.symbol);
        let (space, function) = symbol.rsplit_once('.').unwrap_or(("", symbol));
        let args = Args::of(cx, function, call)?;
        if cx.functions.is_some() {
            let call = args.recorded(cx)?;
            cx.functions
                .iter_mut()
                .for_each(|all| all.push(call.clone()));
        }
        // What is written in primitives takes pairs for numbers; operations know better.
        let written = [&LOWERED[..], &image::NAMES, &blocks::NAMES];
        let written = written.iter().any(|names| names.contains(&function));
        if written && !MOVES.contains(&function) {
            cx.check_real(call.tensors())?;
        }
        let out = match lower(cx, space, function, old, &args)? {
            Some(out) => out,
            None => args.translated(cx, &self.symbol)?,
        };
        // Masks end here.
        out.map(&mut |t: &T| Ok(t.value.into()))
    }
}

/// Functions that give back what they get.
const MOVES: [&str; 4] = [
    "identity",
    "ensure_shape",
    "convert_to_tensor",
    "convert_to_tensor_v2",
];

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
const SIZES: [&str; 47] = [
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
    "min_length",
    "mode",
];

/// The arguments of a call, in which sizes are numbers.
struct Args {
    first: Arg,
    rest: Vec<(String, Arg)>,
}

impl Args {
    fn of(cx: &mut Cx, function: &str, call: &Call) -> Result<Args> {
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
        Ok(Args { first, rest })
    }

    /// What is known of the arguments, for those who save the model.
    fn recorded(&self, cx: &Cx) -> Result<FunctionCall> {
        let mut known = Map::new();
        let first = std::iter::once(("", &self.first));
        let rest = self.rest.iter().map(|(k, v)| (k.as_str(), v));
        for (key, arg) in first.chain(rest) {
            known.insert(key.to_string(), known_of(cx, arg)?);
        }
        let args = std::iter::once(&self.first).chain(self.rest.iter().map(|(_, v)| v));
        let tensor = args.flat_map(Arg::tensors).next();
        Ok(FunctionCall {
            layer: cx.path().rsplit('/').next().unwrap_or_default().to_string(),
            known: known.into(),
            fact: tensor.map(|t| cx.fact(t.value).clone()),
        })
    }

    /// An argument that is there and not None.
    fn get(&self, key: &str) -> Option<&Arg> {
        let found = self.rest.iter().find(|(k, _)| k == key);
        found.map(|(_, v)| v).filter(|v| !v.is_none())
    }

    fn first(&self, cx: &mut Cx) -> Result<ValueId> {
        ops::convert(cx, &self.first)
    }

    fn tensor(&self, cx: &mut Cx, key: &str) -> Result<ValueId> {
        match self.get(key) {
            Some(arg) => ops::convert(cx, &arg.clone()),
            None => Err(cx.call_error(format!("argument `{key}` is missing"))),
        }
    }

    /// A tensor in the dtype of another, as TensorFlow makes it of numbers.
    fn like(&self, cx: &mut Cx, key: &str, x: ValueId) -> Result<ValueId> {
        let v = self.tensor(cx, key)?;
        let dtype = cx.dtype(x);
        match self.get(key) {
            Some(Arg::Tensor(_)) => Ok(v),
            _ => cx.cast(v, dtype),
        }
    }

    fn json(&self, cx: &Cx, key: &str) -> Result<Option<Json>> {
        match self.get(key) {
            None => Ok(None),
            Some(arg) => match literal(arg) {
                Some(v) => Ok(Some(v)),
                None => Err(cx.call_error(format!("`{key}` must be known before the run"))),
            },
        }
    }

    fn ints(&self, cx: &Cx, key: &str) -> Result<Option<Vec<i64>>> {
        let Some(value) = self.json(cx, key)? else {
            return Ok(None);
        };
        match ints(&value) {
            Some(v) => Ok(Some(v)),
            None => Err(cx.call_error(format!("`{key}` must be whole numbers"))),
        }
    }

    fn int(&self, cx: &Cx, key: &str) -> Result<Option<i64>> {
        Ok(self.ints(cx, key)?.and_then(|v| v.first().copied()))
    }

    fn number(&self, cx: &Cx, key: &str, default: f64) -> Result<f64> {
        match self.json(cx, key)? {
            None => Ok(default),
            Some(v) => v
                .as_f64()
                .ok_or_else(|| cx.call_error(format!("`{key}` must be a number"))),
        }
    }

    fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Arg::Lit(Json::Bool(true))))
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Arg::Lit(Json::String(s))) => Some(s),
            _ => None,
        }
    }

    fn dtype(&self, cx: &Cx, key: &str) -> Result<Option<DType>> {
        match (self.get(key), self.text(key).and_then(DType::parse)) {
            (None, _) => Ok(None),
            (_, Some(d)) => Ok(Some(d)),
            _ => Err(cx.call_error(format!("`{key}` must be a dtype"))),
        }
    }

    /// The axes under a key, all where there are none.
    fn axes(&self, cx: &Cx, key: &str, rank: usize) -> Result<Vec<usize>> {
        let Some(given) = self.ints(cx, key)? else {
            return Ok((0..rank).collect());
        };
        given.iter().map(|&a| cx.axis(a as isize, rank)).collect()
    }

    /// The bounds of a strided slice must be of one length.
    fn check_bounds(&self, cx: &Cx) -> Result<()> {
        let count = |key: &str| Ok(self.ints(cx, key)?.map(|v| v.len()));
        let (begin, end, strides) = (count("begin")?, count("end")?, count("strides")?);
        match begin == end && (strides.is_none() || strides == begin) {
            true => Ok(()),
            false => Err(cx.call_error("`begin`, `end` and `strides` must be of one length")),
        }
    }

    /// The result of the operations of `keras.ops` that do the same.
    fn translated(&self, cx: &mut Cx, symbol: &str) -> Result<Out> {
        if symbol.ends_with("strided_slice") {
            self.check_bounds(cx)?;
        }
        let mut tensors = Vec::new();
        let first = as_json(&self.first, &mut tensors);
        let mut rest = Map::new();
        for (key, value) in &self.rest {
            rest.insert(key.clone(), as_json(value, &mut tensors));
        }
        let Some(entries) = translate(OUT, symbol, &first, &rest) else {
            return Err(cx.call_error(format!("`tf.{symbol}` can't be run with these arguments")));
        };
        let mut made: Vec<(String, Out)> = Vec::new();
        for entry in &entries {
            let name = entry["name"].as_str().unwrap_or(OUT);
            let class = entry["class_name"].as_str().unwrap_or_default();
            let node = &entry["inbound_nodes"][0];
            let arg = |v: &Json| as_arg(v, &tensors, &made);
            let args: Option<Vec<Arg>> =
                node["args"].as_array().map(|a| a.iter().map(arg).collect());
            let kwargs = node["kwargs"].as_object();
            let call = Call {
                args: args.unwrap_or_default(),
                kwargs: kwargs
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| (k.clone(), arg(v)))
                    .collect(),
            };
            let is_layer = entry["module"] == "keras.layers";
            let out = match (class, ops::find(class)) {
                ("Identity", _) => call.args.first().and_then(Arg::as_out),
                ("Add", _) if is_layer => Some(sum_of(cx, &call)?.into()),
                (_, Some(def)) => {
                    let mut config = entry["config"].as_object().cloned().unwrap_or_default();
                    config.remove("name");
                    Some(cx.call_op(&def.class.to_lowercase(), def, &config, &call)?)
                }
                _ => None,
            };
            let out = out.ok_or_else(|| cx.call_error(format!("`tf.{symbol}` can't be run")))?;
            made.push((name.to_string(), out));
        }
        match made.pop() {
            Some((_, out)) => Ok(out),
            None => Err(cx.call_error(format!("`tf.{symbol}` can't be run"))),
        }
    }
}

/// The value of an argument, where it is small and known before the run; else null.
fn known_of(cx: &Cx, arg: &Arg) -> Result<Json> {
    const MOST: usize = 4096;
    Ok(match arg {
        Arg::Tensor(t) if cx.fact(t.value).numel() > MOST => Json::Null,
        Arg::Tensor(_) => literal(&plain(cx, arg.clone())?).unwrap_or_default(),
        Arg::List(items) => {
            let items = items.iter().map(|a| known_of(cx, a));
            items.collect::<Result<_>>()?
        }
        Arg::Dict(items) => {
            let items = items.iter().map(|(k, a)| Ok((k.clone(), known_of(cx, a)?)));
            Json::Object(items.collect::<Result<_>>()?)
        }
        Arg::Lit(v) => v.clone(),
    })
}

/// The name of a function's last operation.
const OUT: &str = "out";
/// The name under which the tensors of a call are numbered.
const GIVEN: &str = "given";

fn as_json(arg: &Arg, tensors: &mut Vec<Arg>) -> Json {
    match arg {
        Arg::Lit(v) => v.clone(),
        Arg::List(items) => items.iter().map(|a| as_json(a, tensors)).collect(),
        Arg::Dict(items) => items
            .iter()
            .map(|(k, v)| (k.clone(), as_json(v, tensors)))
            .collect::<Map<_, _>>()
            .into(),
        Arg::Tensor(_) => {
            tensors.push(arg.clone());
            json!({"class_name": "__keras_tensor__",
                   "config": {"keras_history": [GIVEN, 0, tensors.len() - 1]}})
        }
    }
}

fn as_arg(value: &Json, tensors: &[Arg], made: &[(String, Out)]) -> Arg {
    if let Some((name, _, at)) = history(value) {
        if let (GIVEN, Some(t)) = (name, tensors.get(at)) {
            return t.clone();
        }
        let out = made.iter().find(|(n, _)| n == name).map(|(_, out)| out);
        return match out.and_then(|o| o.flatten().get(at).copied().copied()) {
            Some(t) => Arg::Tensor(t),
            None => Arg::Lit(Json::Null),
        };
    }
    match value {
        Json::Array(items) => Arg::List(items.iter().map(|v| as_arg(v, tensors, made)).collect()),
        other => Arg::Lit(other.clone()),
    }
}

fn sum_of(cx: &mut Cx, call: &Call) -> Result<ValueId> {
    let mut all = cx.many(call)?.into_iter().map(|t| t.value);
    let mut total = match all.next() {
        Some(first) => first,
        None => return Err(cx.call_error("expected a list of tensors")),
    };
    for x in all {
        total = cx.add(total, x)?;
    }
    Ok(total)
}

/// An argument in which tensors that follow from shapes are numbers.
fn plain(cx: &Cx, arg: Arg) -> Result<Arg> {
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
fn nested(tensor: &Tensor) -> Json {
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
fn literal(arg: &Arg) -> Option<Json> {
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

fn ints(v: &Json) -> Option<Vec<i64>> {
    match v {
        Json::Array(items) => items.iter().map(as_int).collect(),
        one => as_int(one).map(|i| vec![i]),
    }
}

/// The functions that are lowered here or have a like in `keras.ops`.
pub(crate) fn runs(symbol: &str) -> bool {
    let symbol = symbol.strip_prefix("compat.v1.").unwrap_or(symbol);
    let (space, function) = symbol.rsplit_once('.').unwrap_or(("", symbol));
    const SPACES: [&str; 12] = [
        "dtypes",
        "keras.backend",
        "",
        "math",
        "nn",
        "linalg",
        "image",
        "bitwise",
        "__operators__",
        "activations",
        "keras.activations",
        "signal",
    ];
    SPACES.contains(&space)
        && (LOWERED.contains(&function)
            || special::NAMES.contains(&function)
            || signal::NAMES.contains(&function)
            || colour::NAMES.contains(&function)
            || image::NAMES.contains(&function)
            || blocks::NAMES.contains(&function)
            || crate::keras::legacy::has_like(function))
}

/// The functions of [`lower`].
const LOWERED: [&str; 64] = [
    "argsort",
    "band_part",
    "batch_normalization",
    "boolean_mask",
    "clip_by_norm",
    "clip_by_value",
    "convert_to_tensor",
    "convert_to_tensor_v2",
    "crelu",
    "cumprod",
    "cumsum",
    "diag",
    "diag_part",
    "div",
    "divide",
    "dropout",
    "embedding_lookup",
    "ensure_shape",
    "eye",
    "fill",
    "gather",
    "gather_nd",
    "getitem",
    "identity",
    "l2_normalize",
    "lin_space",
    "linspace",
    "local_response_normalization",
    "lrn",
    "matvec",
    "mul_no_nan",
    "multiply_no_nan",
    "ndtri",
    "norm",
    "one_hot",
    "ones",
    "range",
    "rank",
    "realdiv",
    "reciprocal_no_nan",
    "reduce_euclidean_norm",
    "reduce_mean",
    "relu",
    "reverse_sequence",
    "rint",
    "sequence_mask",
    "set_diag",
    "shape",
    "shape_v2",
    "silu",
    "size",
    "size_v2",
    "sort",
    "split",
    "swish",
    "trace",
    "truediv",
    "truncatediv",
    "truncatemod",
    "xdivy",
    "xlog1py",
    "xlogy",
    "zeros",
    "moments",
];

/// Writes a function in primitives; `None` for those that `keras.ops` has.
fn lower(cx: &mut Cx, space: &str, function: &str, old: bool, a: &Args) -> Result<Option<Out>> {
    if (space, function) == ("image", "transpose") {
        let x = a.first(cx)?;
        let mut perm: Vec<usize> = (0..cx.rank(x)).collect();
        let Some(at) = perm.len().checked_sub(3) else {
            return Err(no_image(cx, x));
        };
        perm.swap(at, at + 1);
        return Ok(Some(cx.transpose(x, &perm)?.into()));
    }
    if signal::NAMES.contains(&function) {
        return signal::lower(cx, function, a).map(Some);
    }
    if special::NAMES.contains(&function) {
        return special::lower(cx, function, a);
    }
    if colour::NAMES.contains(&function) {
        return Ok(Some(colour::lower(cx, function, a)?.into()));
    }
    if image::NAMES.contains(&function) {
        return image::lower(cx, space, function, old, a);
    }
    if blocks::NAMES.contains(&function) {
        return Ok(Some(blocks::lower(cx, function, a)?.into()));
    }
    if old && matches!(function, "where") {
        if let Some(out) = rows_where(cx, a)? {
            return Ok(Some(out.into()));
        }
    }
    if !LOWERED.contains(&function) {
        return Ok(None);
    }
    let out: ValueId = match function {
        // Sizes
        "shape" | "shape_v2" => {
            let x = a.first(cx)?;
            let dtype = a.dtype(cx, "out_type")?.unwrap_or(DType::I32);
            let shape: Vec<i64> = cx.shape(x).iter().map(|&n| n as i64).collect();
            let shape = Tensor::from_slice([shape.len()], &shape);
            let shape = sized(cx, shape);
            cx.cast(shape, dtype)?
        }
        "size" | "size_v2" => {
            let x = a.first(cx)?;
            let dtype = a.dtype(cx, "out_type")?.unwrap_or(DType::I32);
            let n = cx.fact(x).numel();
            let n = sized(cx, Tensor::scalar(DType::I64, n as f64));
            cx.cast(n, dtype)?
        }
        "rank" => {
            let x = a.first(cx)?;
            let rank = cx.rank(x) as f64;
            cx.scalar(DType::I32, rank)
        }
        "fill" | "zeros" | "ones" => {
            let shape = sizes(cx, &a.first)?;
            let value = match function {
                "fill" => a.tensor(cx, "value")?,
                _ => {
                    let dtype = a.dtype(cx, "dtype")?.unwrap_or(DType::F32);
                    cx.scalar(dtype, f64::from(u8::from(function == "ones")))
                }
            };
            cx.broadcast_to(value, &shape)?
        }
        "eye" => {
            let rows = sizes(cx, &a.first)?[0];
            let columns = a
                .int(cx, "num_columns")?
                .map_or(rows, |n| n.max(0) as usize);
            let dtype = a.dtype(cx, "dtype")?.unwrap_or(DType::F32);
            let eye = by_place(cx, rows, columns, |i, j| i == j)?;
            let eye = cx.cast(eye, dtype)?;
            let lead = a.ints(cx, "batch_shape")?.unwrap_or_default();
            let mut shape: Vec<usize> = lead.iter().map(|&n| n.max(0) as usize).collect();
            shape.extend([rows, columns]);
            cx.broadcast_to(eye, &shape)?
        }
        "range" => range(cx, a)?,
        "linspace" | "lin_space" => {
            let (start, stop) = (number(cx, &a.first)?, a.number(cx, "stop", 0.0)?);
            let n = a.int(cx, "num")?.unwrap_or(1).max(0) as usize;
            let step = (stop - start) / n.saturating_sub(1).max(1) as f64;
            let at = |i: usize| match i > 0 && i == n - 1 {
                true => stop,
                false => start + step * i as f64,
            };
            cx.generated([n], |i| at(i) as f32)?
        }
        "sequence_mask" => {
            let lengths = a.first(cx)?;
            let n = match a.int(cx, "maxlen")? {
                Some(n) => n.max(0),
                None => match known(&cx.graph, lengths)? {
                    Some(t) => t.to_f64().into_iter().fold(0.0, f64::max) as i64,
                    None => return Err(cx.call_error("`maxlen` must be known before the run")),
                },
            };
            let places = cx.generated([n as usize], |i| i as i64)?;
            let lengths = cx.cast(lengths, DType::I64)?;
            let lengths = cx.expand_dims(lengths, -1)?;
            let mask = cx.binary(Binary::Lt, places, lengths)?;
            let dtype = a.dtype(cx, "dtype")?.unwrap_or(DType::Bool);
            cx.cast(mask, dtype)?
        }
        // Indexing
        "getitem" => {
            let key = match a.get("slice_spec") {
                Some(Arg::List(items)) => Arg::List(items.iter().map(index).collect()),
                Some(one) => index(one),
                None => return Ok(None),
            };
            let call = Call {
                args: vec![a.first.clone(), key],
                kwargs: vec![],
            };
            return op(cx, "GetItem", json!({}), call).map(Some);
        }
        "gather" => {
            let (x, i) = (a.first(cx)?, a.tensor(cx, "indices")?);
            let i = whole(cx, i)?;
            let batch = a.int(cx, "batch_dims")?.unwrap_or(0) as isize;
            let batch = if batch < 0 {
                batch + cx.rank(i) as isize
            } else {
                batch
            };
            let axis = a.int(cx, "axis")?.map_or(batch, |v| v as isize);
            let axis = cx.axis(axis, cx.rank(x))?;
            cx.gather(x, i, axis, batch.max(0) as usize)?
        }
        "embedding_lookup" if a.get("max_norm").is_none() => {
            let (x, i) = (a.first(cx)?, a.tensor(cx, "ids")?);
            let i = whole(cx, i)?;
            cx.gather(x, i, 0, 0)?
        }
        "gather_nd" => gather_nd(cx, a)?,
        "boolean_mask" => {
            let x = a.first(cx)?;
            let mask = a.json(cx, "mask")?;
            let mask = mask
                .as_ref()
                .and_then(Json::as_array)
                .filter(|m| !m.is_empty());
            let axis = a.int(cx, "axis")?.unwrap_or(0) as isize;
            let axis = cx.axis(axis, cx.rank(x))?;
            let Some(mask) = mask else {
                return Err(cx.call_error("`mask` must be known before the run"));
            };
            let kept: Vec<i32> = (0..)
                .zip(mask)
                .filter(|(_, m)| m.as_bool() == Some(true))
                .map(|(i, _)| i)
                .collect();
            if mask.iter().any(|m| !m.is_boolean()) || mask.len() != cx.dim(x, axis as isize)? {
                return Err(cx.call_error("`mask` must have a value for each entry of one axis"));
            }
            let kept = cx.i32s([kept.len()], &kept);
            cx.gather(x, kept, axis, 0)?
        }
        "one_hot" => one_hot(cx, a)?,
        "reverse_sequence" => {
            let x = a.first(cx)?;
            let lengths = a.tensor(cx, "seq_lengths")?;
            let axis = |cx: &Cx, keys: [&str; 2]| -> Result<usize> {
                let given = match a.int(cx, keys[0])? {
                    Some(v) => v,
                    None => a.int(cx, keys[1])?.unwrap_or(0),
                };
                cx.axis(given as isize, cx.rank(x))
            };
            let (time, rows) = (
                axis(cx, ["seq_axis", "seq_dim"])?,
                axis(cx, ["batch_axis", "batch_dim"])?,
            );
            if (rows, time) != (0, 1) {
                return Err(cx.call_error("sequences must be along axis 1"));
            }
            let n = cx.dim(x, 1)?;
            let places = cx.generated([1, n], |i| i as i64)?;
            let lengths = cx.cast(lengths, DType::I64)?;
            let lengths = cx.expand_dims(lengths, -1)?;
            let last = cx.add_s(lengths, -1.0)?;
            let turned = cx.sub(last, places)?;
            let inside = cx.binary(Binary::Lt, places, lengths)?;
            let from = cx.select(inside, turned, places)?;
            cx.gather(x, from, 1, 1)?
        }
        "split" => {
            let x = a.first(cx)?;
            let axis = a.int(cx, "axis")?.unwrap_or(0) as isize;
            let n = cx.dim(x, axis)?;
            let given = a.json(cx, "num_or_size_splits")?.unwrap_or_default();
            let parts: Vec<usize> = match (ints(&given), given.is_array()) {
                (Some(v), true) => {
                    let used: i64 = v.iter().filter(|&&s| s >= 0).sum();
                    let rest = n as i64 - used;
                    v.iter()
                        .map(|&s| if s < 0 { rest } else { s }.max(0) as usize)
                        .collect()
                }
                (Some(v), false) if v[0] > 0 && n % v[0] as usize == 0 => {
                    vec![n / v[0] as usize; v[0] as usize]
                }
                _ => {
                    return Err(cx.error(format!(
                        "{n} entries can't be cut into equal parts, or parts of these sizes"
                    )))
                }
            };
            if parts.iter().sum::<usize>() != n {
                return Err(cx.error(format!("can't split {n} entries into {parts:?}")));
            }
            let mut start = 0;
            let mut outs: Vec<Out> = Vec::new();
            for len in parts {
                outs.push(cx.slice_axis(x, axis, start, start + len)?.into());
                start += len;
            }
            return Ok(Some(Nest::List(outs)));
        }
        // Order
        "sort" | "argsort" => {
            let x = a.first(cx)?;
            let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
            let descending = match a.text("direction").unwrap_or("ASCENDING") {
                "ASCENDING" => false,
                "DESCENDING" => true,
                other => return Err(cx.call_error(format!("can't sort in direction '{other}'"))),
            };
            let rank = cx.rank(x);
            let at = cx.axis(axis, rank)?;
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.swap(at, rank - 1);
            let x = cx.transpose(x, &perm)?;
            let (values, places) = cx.sort(x, descending)?;
            let out = match function {
                "sort" => values,
                _ => cx.cast(places, DType::I32)?,
            };
            cx.transpose(out, &perm)?
        }
        "cumsum" | "cumprod" => {
            let x = a.first(cx)?;
            let axis = a.int(cx, "axis")?.unwrap_or(0) as isize;
            let reverse = a.flag("reverse");
            let kind = match function {
                "cumsum" => Cumulate::Sum,
                _ => Cumulate::Prod,
            };
            let x = match a.flag("exclusive") {
                false => x,
                true => {
                    let n = cx.dim(x, axis)?;
                    let len = n.saturating_sub(1);
                    let start = usize::from(reverse && n > 0);
                    let kept = cx.slice_axis(x, axis, start, start + len)?;
                    let at = cx.axis(axis, cx.rank(x))?;
                    let mut shape = cx.shape(x);
                    shape[at] = n - len;
                    let neutral = f64::from(u8::from(kind == Cumulate::Prod));
                    let fact = Fact::new(cx.dtype(x), shape);
                    let first = cx.full(fact, neutral)?;
                    match reverse {
                        true => cx.concat(&[kept, first], axis)?,
                        false => cx.concat(&[first, kept], axis)?,
                    }
                }
            };
            cx.cumulate(kind, x, axis, reverse)?
        }
        // Arithmetic
        "divide" | "truediv" | "realdiv" | "div" => {
            let (x, y) = operands(cx, a, "y")?;
            match cx.dtype(x) {
                d if d.is_float() => cx.div(x, y)?,
                // Division of integers, as Python's `//` did before there was `/`.
                _ if function == "div" => cx.binary(Binary::FloorDiv, x, y)?,
                d => {
                    let wide = match d.size() {
                        1 | 2 => DType::F32,
                        _ => DType::F64,
                    };
                    let (x, y) = (cx.cast(x, wide)?, cx.cast(y, wide)?);
                    cx.div(x, y)?
                }
            }
        }
        "truncatediv" => {
            let (x, y) = operands(cx, a, "y")?;
            let dtype = cx.dtype(x);
            let (x, y) = (cx.cast(x, DType::F64)?, cx.cast(y, DType::F64)?);
            let q = cx.div(x, y)?;
            let q = cx.unary(Unary::Trunc, q)?;
            cx.cast(q, dtype)?
        }
        "truncatemod" => {
            let (x, y) = operands(cx, a, "y")?;
            let call = Call {
                args: vec![Arg::Tensor(x.into()), Arg::Tensor(y.into())],
                kwargs: vec![],
            };
            return op(cx, "Fmod", json!({}), call).map(Some);
        }
        "multiply_no_nan" | "mul_no_nan" => {
            let (x, y) = operands(cx, a, "y")?;
            let product = cx.mul(x, y)?;
            zero_where_zero(cx, y, product)?
        }
        "reciprocal_no_nan" => {
            let x = a.first(cx)?;
            let r = cx.unary(Unary::Reciprocal, x)?;
            zero_where_zero(cx, x, r)?
        }
        "xdivy" | "xlogy" | "xlog1py" => {
            let (x, y) = operands(cx, a, "y")?;
            let out = match function {
                "xdivy" => cx.div(x, y)?,
                "xlogy" => {
                    let l = cx.unary(Unary::Log, y)?;
                    cx.mul(x, l)?
                }
                _ => {
                    let l = cx.unary(Unary::Log1p, y)?;
                    cx.mul(x, l)?
                }
            };
            zero_where_zero(cx, x, out)?
        }
        "rint" => {
            let x = a.first(cx)?;
            cx.unary(Unary::Round, x)?
        }
        "ndtri" => {
            let x = a.first(cx)?;
            let x = cx.mul_s(x, 2.0)?;
            let x = cx.add_s(x, -1.0)?;
            let x = cx.unary(Unary::Erfinv, x)?;
            cx.mul_s(x, std::f64::consts::SQRT_2)?
        }
        name if MOVES.contains(&name) => match (a.first.as_out(), &a.first) {
            (Some(out), _) => return Ok(Some(out)),
            (None, Arg::List(items)) => {
                let one = |item: &Arg| Ok(Nest::Leaf(ops::convert(cx, item)?.into()));
                let items: Result<Vec<Out>> = items.iter().map(one).collect();
                return Ok(Some(Nest::List(items?)));
            }
            _ => a.first(cx)?,
        },
        "clip_by_value" => {
            let x = a.first(cx)?;
            let high = a.like(cx, "clip_value_max", x)?;
            let low = a.like(cx, "clip_value_min", x)?;
            let x = cx.minimum(x, high)?;
            cx.maximum(x, low)?
        }
        "clip_by_norm" => {
            let x = a.first(cx)?;
            let clip = a.like(cx, "clip_norm", x)?;
            let axes = a.axes(cx, "axes", cx.rank(x))?;
            let square = cx.unary(Unary::Square, x)?;
            let total = cx.reduce(Reduce::Sum, square, &axes, true)?;
            let norm = cx.unary(Unary::Sqrt, total)?;
            let scaled = cx.mul(x, clip)?;
            let by = cx.maximum(norm, clip)?;
            cx.div(scaled, by)?
        }
        // Activations
        "dropout" => match a.number(cx, "rate", 0.0)? {
            0.0 => a.first(cx)?,
            _ => return Err(cx.call_error("`tf.nn.dropout` draws TensorFlow's random numbers")),
        },
        "crelu" => {
            let x = a.first(cx)?;
            let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
            let y = cx.unary(Unary::Neg, x)?;
            let both = cx.concat(&[x, y], axis)?;
            cx.unary(Unary::Relu, both)?
        }
        "silu" | "swish" => {
            let x = a.first(cx)?;
            let beta = a.number(cx, "beta", 1.0)?;
            match beta {
                1.0 => cx.unary(Unary::Silu, x)?,
                beta => {
                    let s = cx.mul_s(x, beta)?;
                    let s = cx.unary(Unary::Sigmoid, s)?;
                    cx.mul(x, s)?
                }
            }
        }
        "relu" => {
            let slope = match a.get("alpha") {
                Some(_) => a.number(cx, "alpha", 0.0)?,
                None => a.number(cx, "negative_slope", 0.0)?,
            };
            let max = a.json(cx, "max_value")?.unwrap_or_default();
            let threshold = a.number(cx, "threshold", 0.0)?;
            let config = json!({"negative_slope": slope, "max_value": max, "threshold": threshold});
            let call = Call {
                args: vec![a.first.clone()],
                kwargs: vec![],
            };
            return op(cx, "ReLU", config, call).map(Some);
        }
        "l2_normalize" => {
            let x = a.first(cx)?;
            let key = if a.get("axis").is_some() {
                "axis"
            } else {
                "dim"
            };
            let axes = a.axes(cx, key, cx.rank(x))?;
            let epsilon = a.number(cx, "epsilon", 1e-12)?;
            let square = cx.unary(Unary::Square, x)?;
            let total = cx.reduce(Reduce::Sum, square, &axes, true)?;
            let total = cx.clip(total, Some(epsilon), None)?;
            let by = cx.unary(Unary::Rsqrt, total)?;
            cx.mul(x, by)?
        }
        "moments" => {
            let x = a.first(cx)?;
            let axes = a.axes(cx, "axes", cx.rank(x))?;
            let keep = a.flag("keepdims") || a.flag("keep_dims");
            let (mean, var) = moments(cx, x, &axes)?;
            let (mean, var) = match keep {
                true => (mean, var),
                false => {
                    let kept = |cx: &Cx, v: ValueId| -> Vec<usize> {
                        let shape = cx.shape(v);
                        (0..shape.len())
                            .filter(|i| !axes.contains(i))
                            .map(|i| shape[i])
                            .collect()
                    };
                    let shape = kept(cx, mean);
                    (cx.reshape(mean, &shape)?, cx.reshape(var, &shape)?)
                }
            };
            return Ok(Some(Nest::List(vec![mean.into(), var.into()])));
        }
        "batch_normalization" => {
            let x = a.first(cx)?;
            let (mean, var) = (a.like(cx, "mean", x)?, a.like(cx, "variance", x)?);
            let epsilon = a.number(cx, "variance_epsilon", 0.0)?;
            let var = cx.add_s(var, epsilon)?;
            let mut by = cx.unary(Unary::Rsqrt, var)?;
            if a.get("scale").is_some() {
                let scale = a.like(cx, "scale", x)?;
                by = cx.mul(by, scale)?;
            }
            let y = cx.sub(x, mean)?;
            let y = cx.mul(y, by)?;
            match a.get("offset").is_some() {
                true => {
                    let offset = a.like(cx, "offset", x)?;
                    cx.add(y, offset)?
                }
                false => y,
            }
        }
        "lrn" | "local_response_normalization" => {
            let x = a.first(cx)?;
            let radius = a.int(cx, "depth_radius")?.unwrap_or(5).max(0) as usize;
            let (bias, alpha, beta) = (
                a.number(cx, "bias", 1.0)?,
                a.number(cx, "alpha", 1.0)?,
                a.number(cx, "beta", 0.5)?,
            );
            let n = cx.dim(x, -1)?;
            let square = cx.unary(Unary::Square, x)?;
            let near = by_place(cx, n, n, |i, j| i.abs_diff(j) <= radius)?;
            let dtype = cx.dtype(x);
            let near = cx.cast(near, dtype)?;
            let total = cx.matmul(square, near, false, false)?;
            let total = cx.mul_s(total, alpha)?;
            let total = cx.add_s(total, bias)?;
            let power = cx.scalar(dtype, -beta);
            let by = cx.binary(Binary::Pow, total, power)?;
            cx.mul(x, by)?
        }
        // Reductions
        "reduce_mean" => {
            let x = a.first(cx)?;
            if cx.dtype(x).is_float() {
                return Ok(None);
            }
            let key = if a.get("axis").is_some() {
                "axis"
            } else {
                "reduction_indices"
            };
            let axes = a.axes(cx, key, cx.rank(x))?;
            let n: usize = axes.iter().map(|&i| cx.shape(x)[i]).product();
            let keep = a.flag("keepdims") || a.flag("keep_dims");
            let dtype = cx.dtype(x);
            let total = cx.reduce(Reduce::Sum, x, &axes, keep)?;
            let total = cx.cast(total, DType::F64)?;
            let mean = cx.div_s(total, n as f64)?;
            cx.cast(mean, dtype)?
        }
        "norm" | "reduce_euclidean_norm" => norm(cx, a)?,
        // Matrices
        "matvec" => {
            let (x, y) = (a.first(cx)?, a.tensor(cx, "b")?);
            let y = cx.expand_dims(y, -1)?;
            let turned = a.flag("transpose_a") || a.flag("adjoint_a");
            let product = cx.matmul(x, y, turned, false)?;
            cx.squeeze(product, -1)?
        }
        "diag" => {
            let x = a.first(cx)?;
            if a.int(cx, "k")?.unwrap_or(0) != 0 {
                return Err(cx.call_error("`k` must be 0"));
            }
            let n = cx.dim(x, -1)?;
            for key in ["num_rows", "num_cols"] {
                if !matches!(a.int(cx, key)?, None | Some(-1)) {
                    return Err(cx.call_error("the matrix must be as large as the diagonal"));
                }
            }
            let x = cx.expand_dims(x, -1)?;
            let eye = by_place(cx, n, n, |i, j| i == j)?;
            let dtype = cx.dtype(x);
            let zero = cx.scalar(dtype, 0.0);
            cx.select(eye, x, zero)?
        }
        "diag_part" | "trace" => {
            let x = a.first(cx)?;
            let k = match function {
                "trace" => 0,
                _ => a.int(cx, "k")?.unwrap_or(0),
            };
            let d = diagonal_of(cx, x, k, [-2, -1])?;
            match function {
                "trace" => {
                    let last = cx.rank(d) - 1;
                    cx.reduce(Reduce::Sum, d, &[last], false)?
                }
                _ => d,
            }
        }
        "band_part" => {
            let x = a.first(cx)?;
            let bound = |n: Option<i64>| n.filter(|&n| n >= 0).map_or(usize::MAX, |n| n as usize);
            let (low, high) = (
                bound(a.int(cx, "num_lower")?),
                bound(a.int(cx, "num_upper")?),
            );
            let (m, n) = (cx.dim(x, -2)?, cx.dim(x, -1)?);
            let keep = by_place(cx, m, n, |i, j| {
                i.saturating_sub(j) <= low && j.saturating_sub(i) <= high
            })?;
            let dtype = cx.dtype(x);
            let zero = cx.scalar(dtype, 0.0);
            cx.select(keep, x, zero)?
        }
        "set_diag" => {
            let (x, d) = (a.first(cx)?, a.tensor(cx, "diagonal")?);
            if a.int(cx, "k")?.unwrap_or(0) != 0 {
                return Err(cx.call_error("`k` must be 0"));
            }
            let (m, n) = (cx.dim(x, -2)?, cx.dim(x, -1)?);
            let len = m.min(n);
            let at = cx.axis(-1, cx.rank(d))?;
            // Stretched along the rows: entry j of column j is what is taken.
            let mut pads = vec![(0, 0); cx.rank(d)];
            pads[at] = (0, n - len);
            let d = cx.pad(d, &pads, crate::graph::PadMode::Constant, 0.0)?;
            let d = cx.expand_dims(d, -2)?;
            let eye = by_place(cx, m, n, |i, j| i == j)?;
            cx.select(eye, d, x)?
        }
        // Images
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

/// Calls an operation of `keras.ops`.
fn op(cx: &mut Cx, class: &str, config: Json, call: Call) -> Result<Out> {
    match (ops::find(class), config.as_object()) {
        (Some(def), Some(config)) => cx.call_op(&class.to_lowercase(), def, config, &call),
        _ => Err(cx.call_error(format!("{class} can't be run"))),
    }
}

/// A constant that says how many rows there are.
fn sized(cx: &mut Cx, tensor: Tensor) -> ValueId {
    let value = cx.constant(tensor);
    cx.graph.sizes.push(value);
    value
}

/// Sizes that an argument holds.
fn sizes(cx: &Cx, arg: &Arg) -> Result<Vec<usize>> {
    let given = literal(arg).and_then(|v| ints(&v));
    given
        .and_then(|v| v.iter().map(|&n| usize::try_from(n).ok()).collect())
        .ok_or_else(|| cx.call_error("sizes must be known before the run"))
}

fn number(cx: &Cx, arg: &Arg) -> Result<f64> {
    literal(arg)
        .and_then(|v| v.as_f64())
        .ok_or_else(|| cx.call_error("expected a number that is known before the run"))
}

/// Two operands, of which numbers take the dtype of the tensor.
fn operands(cx: &mut Cx, a: &Args, key: &str) -> Result<(ValueId, ValueId)> {
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

/// Indices as int32 or int64.
fn whole(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    match cx.dtype(x) {
        DType::I32 | DType::I64 => Ok(x),
        _ => cx.cast(x, DType::I32),
    }
}

/// `tf.where` of TensorFlow 1 by a vector: it chooses rows. `None` where the
/// condition is of the rank of what it chooses from.
fn rows_where(cx: &mut Cx, a: &Args) -> Result<Option<ValueId>> {
    let condition = a.first(cx)?;
    let (Some(_), Some(_)) = (a.get("x"), a.get("y")) else {
        return Ok(None);
    };
    let (x, y) = (a.tensor(cx, "x")?, a.tensor(cx, "y")?);
    let rank = cx.rank(x);
    if cx.rank(condition) != 1 || rank < 2 {
        return Ok(None);
    }
    let condition = cx.spread_mask(condition, rank)?;
    cx.select(condition, x, y).map(Some)
}

/// A matrix of bools, by row and column.
fn by_place(
    cx: &mut Cx,
    rows: usize,
    columns: usize,
    is: impl Fn(usize, usize) -> bool,
) -> Result<ValueId> {
    cx.generated_bools([rows, columns], |p| is(p / columns, p % columns))
}

fn zero_where_zero(cx: &mut Cx, x: ValueId, y: ValueId) -> Result<ValueId> {
    let is = cx.binary_s(Binary::Eq, x, 0.0)?;
    let dtype = cx.dtype(y);
    let zero = cx.scalar(dtype, 0.0);
    cx.select(is, zero, y)
}

/// Mean and variance over axes that stay.
fn moments(cx: &mut Cx, x: ValueId, axes: &[usize]) -> Result<(ValueId, ValueId)> {
    let mean = cx.reduce(Reduce::Mean, x, axes, true)?;
    let d = cx.sub(x, mean)?;
    let d = cx.unary(Unary::Square, d)?;
    Ok((mean, cx.reduce(Reduce::Mean, d, axes, true)?))
}

fn range(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let first = literal(&a.first).unwrap_or_default();
    let (start, limit) = match a.json(cx, "limit")? {
        Some(limit) => (first, limit),
        None => (json!(0), first),
    };
    let delta = a.json(cx, "delta")?.unwrap_or(json!(1));
    let all = [&start, &limit, &delta];
    let dtype = match a.dtype(cx, "dtype")? {
        Some(d) => d,
        None if all.iter().all(|v| v.is_i64()) => DType::I32,
        None => DType::F32,
    };
    let numbers: Option<Vec<f64>> = all.iter().map(|v| v.as_f64()).collect();
    let Some(&[start, limit, delta]) = numbers.as_deref() else {
        return Err(cx.call_error("a range must be known before the run"));
    };
    let n = ((limit - start) / delta).ceil();
    if n.is_nan() || n >= 1e9 {
        return Err(cx.call_error("a range must have an end"));
    }
    let values = cx.generated([n.max(0.0) as usize], |i| start + delta * i as f64)?;
    cx.cast(values, dtype)
}

/// One part of an index as `keras.ops` has it.
fn index(part: &Arg) -> Arg {
    let Some(v) = literal(part) else {
        return part.clone();
    };
    match v.as_object() {
        Some(o) if o.contains_key("start") && o.contains_key("stop") => Arg::Lit(json!({
            "class_name": "__slice__",
            "config": {"start": o["start"], "stop": o["stop"], "step": o.get("step")},
        })),
        _ => Arg::Lit(v),
    }
}

fn gather_nd(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let (x, i) = (a.first(cx)?, a.tensor(cx, "indices")?);
    let i = cx.cast(i, DType::I64)?;
    let batch = a.int(cx, "batch_dims")?.unwrap_or(0).max(0) as usize;
    let (shape, places) = (cx.shape(x), cx.shape(i));
    let k = places.last().copied().unwrap_or(0);
    let Some(inner) = shape.get(batch..batch + k) else {
        return Err(cx.error(format!(
            "{} too many for {} with {} of the batch",
            counted(k, "index is", "indices are"),
            cx.fact(x),
            counted(batch, "axis", "axes")
        )));
    };
    let mut steps = vec![1i64; k];
    for at in (1..k).rev() {
        steps[at - 1] = steps[at] * inner[at] as i64;
    }
    let steps = cx.constant(Tensor::from_slice([k], &steps));
    let product = cx.mul(i, steps)?;
    let last = cx.rank(product) - 1;
    let flat = cx.reduce(Reduce::Sum, product, &[last], false)?;
    let all: usize = inner.iter().product();
    let table = [&shape[..batch], &[all], &shape[batch + k..]].concat();
    let x = cx.reshape(x, &table)?;
    cx.gather(x, flat, batch, batch)
}

fn one_hot(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let n = a.int(cx, "depth")?.unwrap_or(0).max(0) as usize;
    let rank = cx.rank(x) + 1;
    let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
    let at = cx.axis(axis, rank)?;
    let x = cx.cast(x, DType::I64)?;
    let x = cx.expand_dims(x, at as isize)?;
    let mut shape = vec![1; rank];
    shape[at] = n;
    let classes = cx.generated(shape, |i| i as i64)?;
    let hot = cx.binary(Binary::Eq, x, classes)?;
    let given = a.dtype(cx, "dtype")?;
    let value = |cx: &mut Cx, key: &str| match a.get(key) {
        Some(_) => a.tensor(cx, key).map(Some),
        None => Ok(None),
    };
    let (on, off) = (value(cx, "on_value")?, value(cx, "off_value")?);
    let dtype = given
        .or_else(|| on.or(off).map(|v| cx.dtype(v)))
        .unwrap_or(DType::F32);
    if on.is_none() && off.is_none() {
        return cx.cast(hot, dtype);
    }
    let on = match on {
        Some(v) => cx.cast(v, dtype)?,
        None => cx.scalar(dtype, 1.0),
    };
    let off = match off {
        Some(v) => cx.cast(v, dtype)?,
        None => cx.scalar(dtype, 0.0),
    };
    cx.select(hot, on, off)
}

/// Norms of vectors, and the Frobenius norm.
fn norm(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let given = a.axes(cx, "axis", cx.rank(x))?;
    let keep = a.flag("keepdims") || a.flag("keep_dims");
    let order = a.json(cx, "ord")?.unwrap_or(json!("euclidean"));
    let order = match &order {
        Json::String(s) if matches!(s.as_str(), "euclidean" | "fro") => 2.0,
        v => match crate::format::json::number(v).or(v.as_f64()) {
            Some(p) if p > 0.0 && given.len() == 1 => p,
            _ => return Err(cx.call_error(format!("a norm can't be of order {order}"))),
        },
    };
    let size = cx.unary(Unary::Abs, x)?;
    if order == f64::INFINITY {
        return cx.reduce(Reduce::Max, size, &given, keep);
    }
    if order == 1.0 {
        return cx.reduce(Reduce::Sum, size, &given, keep);
    }
    if order == 2.0 {
        let square = cx.unary(Unary::Square, x)?;
        let total = cx.reduce(Reduce::Sum, square, &given, keep)?;
        return cx.unary(Unary::Sqrt, total);
    }
    let dtype = cx.dtype(x);
    let p = cx.scalar(dtype, order);
    let powers = cx.binary(Binary::Pow, size, p)?;
    let total = cx.reduce(Reduce::Sum, powers, &given, keep)?;
    let root = cx.scalar(dtype, 1.0 / order);
    cx.binary(Binary::Pow, total, root)
}
