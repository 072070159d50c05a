//! Functions of TensorFlow in a functional graph, as operations of Keras 3.

use serde_json::{json, Value as Json};

use super::graph::literal;
use super::{keras_tensor, Object};

/// The module of a class of `keras.ops`.
pub(super) fn module(class: &str) -> Option<String> {
    MODULES
        .iter()
        .find(|(_, classes)| classes.contains(&class))
        .map(|(module, _)| format!("keras.src.ops.{module}"))
}

/// Classes of operations, by module.
const MODULES: [(&str, &[&str]); 6] = [
    (
        "numpy",
        &[
            "Absolute",
            "Add",
            "All",
            "Amax",
            "Amin",
            "Any",
            "Append",
            "Arange",
            "Arccos",
            "Arccosh",
            "Arcsin",
            "Arcsinh",
            "Arctan",
            "Arctan2",
            "Arctanh",
            "Argmax",
            "Argmin",
            "Argsort",
            "Average",
            "BroadcastTo",
            "Ceil",
            "Clip",
            "Concatenate",
            "Cos",
            "Cosh",
            "Cumprod",
            "Cumsum",
            "Diff",
            "Divide",
            "DivideNoNan",
            "Dot",
            "Einsum",
            "Equal",
            "Exp",
            "Exp2",
            "ExpandDims",
            "Expm1",
            "Flip",
            "Floor",
            "FloorDivide",
            "FullLike",
            "GetItem",
            "Greater",
            "GreaterEqual",
            "Isclose",
            "Isfinite",
            "Isinf",
            "Isnan",
            "Less",
            "LessEqual",
            "Log",
            "Log10",
            "Log1p",
            "Log2",
            "Logaddexp",
            "LogicalAnd",
            "LogicalNot",
            "LogicalOr",
            "LogicalXor",
            "Matmul",
            "Max",
            "Maximum",
            "Mean",
            "Median",
            "Min",
            "Minimum",
            "Mod",
            "Moveaxis",
            "Multiply",
            "NanToNum",
            "Negative",
            "NotEqual",
            "OnesLike",
            "Outer",
            "Pad",
            "Power",
            "Prod",
            "Quantile",
            "Ravel",
            "Reciprocal",
            "Repeat",
            "Reshape",
            "Roll",
            "Rot90",
            "Round",
            "Sign",
            "Sin",
            "Sinh",
            "Sort",
            "Split",
            "Sqrt",
            "Square",
            "Squeeze",
            "Stack",
            "Std",
            "Subtract",
            "Sum",
            "Swapaxes",
            "Take",
            "TakeAlongAxis",
            "Tan",
            "Tanh",
            "Tensordot",
            "Tile",
            "Transpose",
            "Tril",
            "Triu",
            "TrueDivide",
            "Trunc",
            "Var",
            "Where",
            "ZerosLike",
        ],
    ),
    (
        "nn",
        &[
            "AveragePool",
            "BatchNorm",
            "Celu",
            "Conv",
            "DepthwiseConv",
            "Elu",
            "Gelu",
            "Glu",
            "HardShrink",
            "HardSigmoid",
            "HardSilu",
            "HardTanh",
            "LeakyRelu",
            "LogSigmoid",
            "LogSoftmax",
            "MaxPool",
            "Moments",
            "Normalize",
            "OneHot",
            "Relu",
            "Relu6",
            "Selu",
            "Sigmoid",
            "Silu",
            "SoftShrink",
            "Softmax",
            "Softplus",
            "Softsign",
            "Sparsemax",
            "Squareplus",
            "TanhShrink",
            "Threshold",
        ],
    ),
    (
        "core",
        &[
            "Cast",
            "Scatter",
            "Shape",
            "Slice",
            "SliceUpdate",
            "StopGradient",
            "Unstack",
        ],
    ),
    (
        "math",
        &[
            "Erf",
            "Erfinv",
            "InTopK",
            "Logsumexp",
            "Rsqrt",
            "SegmentMax",
            "SegmentSum",
            "TopK",
        ],
    ),
    ("linalg", &["Norm"]),
    ("image", &["Resize"]),
];

/// One operation to be.
struct Op {
    /// A layer of this class, rather than an operation.
    layer: bool,
    class: &'static str,
    config: Object,
    args: Vec<Json>,
    kwargs: Object,
}

impl Op {
    fn new(class: &'static str, args: Vec<Json>) -> Op {
        Op {
            layer: false,
            class,
            config: Object::new(),
            args,
            kwargs: Object::new(),
        }
    }

    fn layer(class: &'static str, args: Vec<Json>) -> Op {
        Op {
            layer: true,
            ..Op::new(class, args)
        }
    }

    fn with(mut self, key: &str, value: impl Into<Json>) -> Op {
        self.config.insert(key.to_string(), value.into());
        self
    }

    fn entry(mut self, name: &str) -> Json {
        self.config.insert("name".into(), name.into());
        let module = module(self.class).filter(|_| !self.layer);
        json!({
            "module": module.unwrap_or_else(|| "keras.layers".into()),
            "class_name": self.class,
            "config": self.config,
            "name": name,
            "inbound_nodes": [{"args": self.args, "kwargs": self.kwargs}],
        })
    }
}

/// The arguments of a call of a TensorFlow function.
struct Args<'a> {
    first: &'a Json,
    rest: &'a Object,
}

impl Args<'_> {
    /// An argument that may be a tensor; `None` where it is left out or None.
    fn any(&self, key: &str) -> Option<Json> {
        let value = self.rest.get(key).filter(|v| !v.is_null())?;
        Some(literal_or_tensor(value.clone()))
    }

    /// An argument that must not be a tensor; null where it is left out.
    fn plain(&self, key: &str) -> Option<Json> {
        match self.rest.get(key) {
            None => Some(Json::Null),
            Some(v) if has_tensor(v) => None,
            Some(v) => Some(v.clone()),
        }
    }

    fn plain_or(&self, key: &str, default: impl Into<Json>) -> Option<Json> {
        Some(match self.plain(key)? {
            Json::Null => default.into(),
            v => v,
        })
    }

    /// Whether a flag is absent or off.
    fn off(&self, key: &str) -> bool {
        matches!(
            self.rest.get(key),
            None | Some(Json::Null | Json::Bool(false))
        )
    }

    fn is_set(&self, key: &str) -> bool {
        self.rest.get(key).is_some_and(|v| !v.is_null())
    }
}

fn has_tensor(value: &Json) -> bool {
    match value {
        Json::Object(o) => {
            o.get("class_name").and_then(Json::as_str) == Some("__keras_tensor__")
                || o.values().any(has_tensor)
        }
        Json::Array(a) => a.iter().any(has_tensor),
        _ => false,
    }
}

fn literal_or_tensor(value: Json) -> Json {
    match has_tensor(&value) {
        true => value,
        false => literal(value),
    }
}

/// The Keras 3 entries for one call of a TensorFlow function, the last of them
/// under the layer's name; `None` where Keras 3 has no like.
pub(super) fn translate(
    name: &str,
    symbol: &str,
    first: &Json,
    rest: &Object,
) -> Option<Vec<Json>> {
    let symbol = symbol.strip_prefix("compat.v1.").unwrap_or(symbol);
    let (space, function) = symbol.rsplit_once('.').unwrap_or(("", symbol));
    if !matches!(
        space,
        "" | "math" | "nn" | "linalg" | "image" | "__operators__" | "activations"
    ) {
        return None;
    }
    let a = Args { first, rest };
    let mut ops = lower(function, &a)?;
    let last = ops.pop()?;
    // An operation before the last one is known by its place in the chain.
    let mut entries: Vec<Json> = ops
        .into_iter()
        .enumerate()
        .map(|(i, op)| op.entry(&step(name, i)))
        .collect();
    entries.push(last.entry(name));
    let mut entries = Json::Array(entries);
    name_steps(&mut entries, name);
    match entries {
        Json::Array(entries) => Some(entries),
        _ => None,
    }
}

fn step(name: &str, i: usize) -> String {
    format!("{name}.{i}")
}

/// Stands for the output of the i-th operation of a chain until it has a name.
fn chained(i: usize) -> Json {
    json!({"step": i})
}

fn name_steps(value: &mut Json, name: &str) {
    match value {
        Json::Object(o) => {
            if let (1, Some(i)) = (o.len(), o.get("step").and_then(Json::as_u64)) {
                *value = keras_tensor(&step(name, i as usize), 0, 0);
                return;
            }
            o.values_mut().for_each(|v| name_steps(v, name));
        }
        Json::Array(a) => a.iter_mut().for_each(|v| name_steps(v, name)),
        _ => {}
    }
}

fn lower(function: &str, a: &Args) -> Option<Vec<Op>> {
    let x = || literal_or_tensor(a.first.clone());
    let one = |op: Op| Some(vec![op]);
    if let Some(class) = unary(function) {
        return one(Op::new(class, vec![x()]));
    }
    if let Some(class) = binary(function) {
        return one(Op::new(class, vec![x(), a.any("y")?]));
    }
    if let Some(class) = reduction(function) {
        let mut op = Op::new(class, vec![x()])
            .with("axis", a.plain("axis")?)
            .with("keepdims", a.plain_or("keepdims", false)?);
        if matches!(class, "Max" | "Min") {
            op = op.with("initial", Json::Null);
        }
        return one(op);
    }
    match function {
        "getitem" => {
            let spec = a.rest.get("slice_spec")?;
            let spec = match spec {
                Json::Array(items) => items.iter().map(index).collect::<Option<Vec<_>>>()?,
                one => vec![index(one)?],
            };
            one(Op::new("GetItem", vec![x(), spec.into()]))
        }
        "slice" => {
            let begin = ints(&a.plain("begin")?)?;
            let size = ints(&a.plain("size")?)?;
            let spec: Vec<Json> = begin
                .iter()
                .zip(&size)
                .map(|(&b, &n)| match n {
                    -1 => slice(json!(b), Json::Null),
                    n => slice(json!(b), json!(b.saturating_add(n))),
                })
                .collect();
            one(Op::new("GetItem", vec![x(), spec.into()]))
        }
        "relu" => match ["alpha", "threshold", "negative_slope", "max_value"]
            .iter()
            .any(|k| a.is_set(k) && a.rest.get(*k) != Some(&json!(0.0)))
        {
            true => None,
            false => one(Op::new("Relu", vec![x()])),
        },
        "leaky_relu" => {
            one(Op::new("LeakyRelu", vec![x()]).with("negative_slope", a.plain_or("alpha", 0.2)?))
        }
        "elu" => one(Op::new("Elu", vec![x()]).with("alpha", a.plain_or("alpha", 1.0)?)),
        "gelu" => {
            one(Op::new("Gelu", vec![x()]).with("approximate", a.plain_or("approximate", false)?))
        }
        "silu" | "swish" => match a.plain_or("beta", 1.0)?.as_f64() {
            Some(1.0) => one(Op::new("Silu", vec![x()])),
            _ => None,
        },
        "softmax" => one(Op::new("Softmax", vec![x()]).with("axis", a.plain_or("axis", -1)?)),
        "log_softmax" => {
            one(Op::new("LogSoftmax", vec![x()]).with("axis", a.plain_or("axis", -1)?))
        }
        "squared_difference" => Some(vec![
            Op::new("Subtract", vec![x(), a.any("y")?]),
            Op::new("Square", vec![chained(0)]),
        ]),
        "scalar_mul" => one(Op::new("Multiply", vec![x(), a.any("x")?])),
        "bias_add" if a.plain_or("data_format", "NHWC")? == "NHWC" => {
            one(Op::new("Add", vec![x(), a.any("bias")?]))
        }
        "sort" if a.plain_or("direction", "ASCENDING")? == "ASCENDING" => {
            one(Op::new("Sort", vec![x()]).with("axis", a.plain_or("axis", -1)?))
        }
        "top_k" => one(Op::new("TopK", vec![x()])
            .with("k", a.plain_or("k", 1)?)
            .with("sorted", a.plain_or("sorted", true)?)),
        "add_n" => one(Op::layer("Add", vec![a.first.clone()])),
        "identity" | "stop_gradient" => one(Op::layer("Identity", vec![x()])),
        "matmul" => {
            let plain = [
                "adjoint_a",
                "adjoint_b",
                "a_is_sparse",
                "b_is_sparse",
                "output_type",
            ];
            if !plain.iter().all(|k| a.off(k)) {
                return None;
            }
            let mut ops = Vec::new();
            let mut operand = |value: Json, flag: &str| {
                if a.off(flag) {
                    return value;
                }
                let op = Op::new("Swapaxes", vec![value]);
                ops.push(op.with("axis1", -2).with("axis2", -1));
                chained(ops.len() - 1)
            };
            let args = vec![
                operand(x(), "transpose_a"),
                operand(a.any("b")?, "transpose_b"),
            ];
            ops.push(Op::new("Matmul", args));
            Some(ops)
        }
        "tensordot" => {
            one(Op::new("Tensordot", vec![x(), a.any("b")?]).with("axes", a.plain("axes")?))
        }
        "concat" => {
            one(Op::new("Concatenate", vec![a.first.clone()])
                .with("axis", integer(&a.plain("axis")?)?))
        }
        "stack" => {
            one(Op::new("Stack", vec![a.first.clone()]).with("axis", a.plain_or("axis", 0)?))
        }
        "unstack" => one(Op::new("Unstack", vec![x()])
            .with("num", a.plain("num")?)
            .with("axis", a.plain_or("axis", 0)?)),
        "split" => {
            let parts = match a.plain("num_or_size_splits")? {
                Json::Array(sizes) => {
                    let mut ends = Vec::new();
                    let mut end = 0;
                    for size in &sizes[..sizes.len().saturating_sub(1)] {
                        end = size.as_u64()?.checked_add(end)?;
                        ends.push(end);
                    }
                    ends.into()
                }
                count => count,
            };
            one(Op::new("Split", vec![x()])
                .with("indices_or_sections", parts)
                .with("axis", a.plain_or("axis", 0)?))
        }
        "reshape" => {
            let shape = ints(&a.plain("shape")?)?;
            one(Op::new("Reshape", vec![x()]).with("newshape", shape))
        }
        "transpose" if a.off("conjugate") => {
            one(Op::new("Transpose", vec![x()]).with("axes", a.plain("perm")?))
        }
        "matrix_transpose" if a.off("conjugate") => one(Op::new("Swapaxes", vec![x()])
            .with("axis1", -2)
            .with("axis2", -1)),
        "expand_dims" => {
            one(Op::new("ExpandDims", vec![x()]).with("axis", integer(&a.plain("axis")?)?))
        }
        "squeeze" => {
            let axis = match a.plain("axis")? {
                Json::Null => a.plain("squeeze_dims")?,
                axis => axis,
            };
            one(Op::new("Squeeze", vec![x()]).with("axis", axis))
        }
        "tile" => one(Op::new("Tile", vec![x()]).with("repeats", ints(&a.plain("multiples")?)?)),
        "repeat" => one(Op::new("Repeat", vec![x()])
            .with("repeats", a.plain("repeats")?)
            .with("axis", a.plain("axis")?)),
        "pad" => {
            let mode = a.plain_or("mode", "CONSTANT")?.as_str()?.to_lowercase();
            let fill = a.plain_or("constant_values", 0)?;
            let mut op = Op::new("Pad", vec![x()])
                .with("pad_width", a.plain("paddings")?)
                .with("mode", mode.as_str());
            let fill = if mode == "constant" { fill } else { Json::Null };
            op.kwargs.insert("constant_values".into(), fill);
            one(op)
        }
        "reverse" => one(Op::new("Flip", vec![x()]).with("axis", a.plain("axis")?)),
        "cumsum" if a.off("exclusive") && a.off("reverse") => one(Op::new("Cumsum", vec![x()])
            .with("axis", a.plain_or("axis", 0)?)
            .with("dtype", Json::Null)),
        "gather" => {
            match a.plain_or("batch_dims", 0)?.as_u64() {
                Some(0) => one(Op::new("Take", vec![x(), a.any("indices")?])
                    .with("axis", a.plain_or("axis", 0)?)),
                _ => None,
            }
        }
        "cast" => one(Op::new("Cast", vec![x()]).with("dtype", dtype(&a.plain("dtype")?)?)),
        "zeros_like" | "ones_like" => {
            let class = match function {
                "zeros_like" => "ZerosLike",
                _ => "OnesLike",
            };
            let dtype = match a.plain("dtype")? {
                Json::Null => Json::Null,
                given => dtype(&given)?,
            };
            one(Op::new(class, vec![x()]).with("dtype", dtype))
        }
        "clip_by_value" => one(Op::new("Clip", vec![x()])
            .with("x_min", number(&a.plain("clip_value_min")?)?)
            .with("x_max", number(&a.plain("clip_value_max")?)?)),
        "where" => one(Op::new("Where", vec![x(), a.any("x")?, a.any("y")?])),
        "one_hot" if !a.is_set("on_value") && !a.is_set("off_value") => {
            let dtype = match a.plain("dtype")? {
                Json::Null => "float32".into(),
                given => dtype(&given)?,
            };
            one(Op::new("OneHot", vec![x()])
                .with("num_classes", integer(&a.plain("depth")?)?)
                .with("axis", a.plain_or("axis", -1)?)
                .with("dtype", dtype)
                .with("sparse", false))
        }
        "argmax" | "argmin" => {
            let class = match function {
                "argmax" => "Argmax",
                _ => "Argmin",
            };
            let index = Op::new(class, vec![x()])
                .with("axis", a.plain_or("axis", 0)?)
                .with("keepdims", false);
            let dtype = dtype(&a.plain_or("output_type", "int64")?)?;
            Some(vec![
                index,
                Op::new("Cast", vec![chained(0)]).with("dtype", dtype),
            ])
        }
        "broadcast_to" => {
            one(Op::new("BroadcastTo", vec![x()]).with("shape", ints(&a.plain("shape")?)?))
        }
        // TensorFlow bounds the sum of squares from below, Keras its root.
        "l2_normalize" => {
            let epsilon = a.plain_or("epsilon", 1e-12)?.as_f64()?;
            one(Op::new("Normalize", vec![x()])
                .with("axis", a.plain("axis")?)
                .with("order", 2)
                .with("epsilon", epsilon.sqrt()))
        }
        "norm" => match a.plain_or("ord", "euclidean")?.as_str() {
            Some("euclidean") => one(Op::new("Norm", vec![x()])
                .with("ord", Json::Null)
                .with("axis", a.plain("axis")?)
                .with("keepdims", a.plain_or("keepdims", false)?)),
            _ => None,
        },
        "resize" if a.off("antialias") && a.off("preserve_aspect_ratio") => {
            let method = a.plain_or("method", "bilinear")?;
            matches!(method.as_str(), Some("bilinear" | "nearest" | "bicubic")).then_some(())?;
            let op = Op::new("Resize", vec![x()])
                .with("size", ints(&a.plain("size")?)?)
                .with("interpolation", method)
                .with("antialias", false)
                .with("data_format", "channels_last");
            one(op)
        }
        _ => None,
    }
}

/// Functions of one operand and no options.
fn unary(function: &str) -> Option<&'static str> {
    Some(match function {
        "negative" | "neg" => "Negative",
        "abs" => "Absolute",
        "exp" => "Exp",
        "expm1" => "Expm1",
        "log" => "Log",
        "log1p" => "Log1p",
        "sqrt" => "Sqrt",
        "rsqrt" => "Rsqrt",
        "square" => "Square",
        "reciprocal" => "Reciprocal",
        "sigmoid" => "Sigmoid",
        "tanh" => "Tanh",
        "sin" => "Sin",
        "cos" => "Cos",
        "tan" => "Tan",
        "asin" => "Arcsin",
        "acos" => "Arccos",
        "atan" => "Arctan",
        "sinh" => "Sinh",
        "cosh" => "Cosh",
        "floor" => "Floor",
        "ceil" => "Ceil",
        "round" => "Round",
        "sign" => "Sign",
        "erf" => "Erf",
        "softplus" => "Softplus",
        "softsign" => "Softsign",
        "relu6" => "Relu6",
        "selu" => "Selu",
        "logical_not" => "LogicalNot",
        "is_nan" => "Isnan",
        "is_inf" => "Isinf",
        "is_finite" => "Isfinite",
        _ => return None,
    })
}

/// Functions of two operands, `x` and `y`.
fn binary(function: &str) -> Option<&'static str> {
    Some(match function {
        "add" => "Add",
        "subtract" | "sub" => "Subtract",
        "multiply" | "mul" => "Multiply",
        "divide" => "Divide",
        "truediv" | "realdiv" => "TrueDivide",
        "divide_no_nan" => "DivideNoNan",
        "floordiv" | "floor_div" => "FloorDivide",
        "floormod" | "mod" => "Mod",
        "pow" => "Power",
        "maximum" => "Maximum",
        "minimum" => "Minimum",
        "atan2" => "Arctan2",
        "greater" => "Greater",
        "greater_equal" => "GreaterEqual",
        "less" => "Less",
        "less_equal" => "LessEqual",
        "equal" => "Equal",
        "not_equal" => "NotEqual",
        "logical_and" => "LogicalAnd",
        "logical_or" => "LogicalOr",
        "logical_xor" => "LogicalXor",
        _ => return None,
    })
}

fn reduction(function: &str) -> Option<&'static str> {
    Some(match function {
        "reduce_sum" => "Sum",
        "reduce_mean" => "Mean",
        "reduce_max" => "Max",
        "reduce_min" => "Min",
        "reduce_prod" => "Prod",
        "reduce_any" => "Any",
        "reduce_all" => "All",
        "reduce_std" => "Std",
        "reduce_variance" => "Var",
        "reduce_logsumexp" => "Logsumexp",
        _ => return None,
    })
}

/// One entry of an index, unless it is a tensor.
fn index(spec: &Json) -> Option<Json> {
    match spec {
        spec if has_tensor(spec) => None,
        Json::Null | Json::Number(_) => Some(spec.clone()),
        Json::String(s) if s == "Ellipsis" => Some(ellipsis()),
        Json::Object(o) if o.get("class_name").and_then(Json::as_str) == Some("__ellipsis__") => {
            Some(ellipsis())
        }
        Json::Object(o) if o.contains_key("start") && o.contains_key("stop") => Some(json!({
            "class_name": "__slice__",
            "config": {"start": o["start"], "stop": o["stop"], "step": o.get("step")},
        })),
        _ => None,
    }
}

fn ellipsis() -> Json {
    json!({"class_name": "__ellipsis__", "config": {}})
}

fn slice(start: Json, stop: Json) -> Json {
    json!({
        "class_name": "__slice__",
        "config": {"start": start, "stop": stop, "step": null},
    })
}

fn ints(value: &Json) -> Option<Vec<i64>> {
    value.as_array()?.iter().map(Json::as_i64).collect()
}

fn integer(value: &Json) -> Option<i64> {
    value.as_i64()
}

fn number(value: &Json) -> Option<Json> {
    value.is_number().then(|| value.clone())
}

fn dtype(value: &Json) -> Option<Json> {
    value.is_string().then(|| value.clone())
}
