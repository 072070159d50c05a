//! Functions of TensorFlow in a functional graph, as operations of Keras 3.

use std::cell::RefCell;

use serde_json::{json, Value as Json};

use super::graph::literal;
use super::{keras_tensor, module, Object};

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
    read: RefCell<Vec<String>>,
}

impl Args<'_> {
    /// The argument, which counts as read.
    fn get(&self, key: &str) -> Option<&Json> {
        self.read.borrow_mut().push(key.to_string());
        self.rest.get(key)
    }

    /// Whether an argument that says something has not been read.
    fn has_unread(&self) -> bool {
        let read = self.read.borrow();
        self.rest.iter().any(|(key, value)| {
            let says = !matches!(value, Json::Null | Json::Bool(false)) && value != "";
            let harmless = ["name", "validate_indices", "use_cudnn_on_gpu"];
            says && !harmless.contains(&key.as_str()) && !read.contains(key)
        })
    }

    /// An argument that may be a tensor; `None` where it is left out or None.
    fn any(&self, key: &str) -> Option<Json> {
        let value = self.get(key).filter(|v| !v.is_null())?;
        Some(literal_or_tensor(value.clone()))
    }

    /// An argument that must not be a tensor; null where it is left out.
    fn plain(&self, key: &str) -> Option<Json> {
        match self.get(key) {
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
        matches!(self.get(key), None | Some(Json::Null | Json::Bool(false)))
    }

    fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| !v.is_null())
    }
}

pub(super) fn has_tensor(value: &Json) -> bool {
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
pub fn translate(name: &str, symbol: &str, first: &Json, rest: &Object) -> Option<Vec<Json>> {
    let symbol = symbol.strip_prefix("compat.v1.").unwrap_or(symbol);
    let (space, function) = symbol.rsplit_once('.').unwrap_or(("", symbol));
    if !matches!(
        space,
        "" | "math"
            | "nn"
            | "linalg"
            | "image"
            | "bitwise"
            | "dtypes"
            | "__operators__"
            | "activations"
    ) {
        return None;
    }
    // Images are transposed otherwise than tensors.
    if (space, function) == ("image", "transpose") {
        return None;
    }
    let a = Args {
        first,
        rest,
        read: RefCell::default(),
    };
    let mut ops = lower(function, &a)?;
    let last = ops.pop()?;
    if a.has_unread() {
        return None;
    }
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
        let key = match function {
            "atan2" => "x",
            "nextafter" => "x2",
            _ => "y",
        };
        let other = a.any(key).or_else(|| a.any("y"));
        return one(Op::new(class, vec![x(), other?]));
    }
    if let Some(class) = reduction(function) {
        let axis = match a.plain("axis")? {
            Json::Null => a.plain("reduction_indices")?,
            axis => axis,
        };
        let keep = !a.off("keepdims") || !a.off("keep_dims");
        let mut op = Op::new(class, vec![x()])
            .with("axis", axis)
            .with("keepdims", keep);
        if matches!(class, "Max" | "Min") {
            op = op.with("initial", Json::Null);
        }
        return one(op);
    }
    match function {
        "getitem" => {
            let spec = a.get("slice_spec")?;
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
        "relu" => {
            // The slope below the threshold has two names.
            let slope = match a.plain("alpha")? {
                Json::Null => a.plain_or("negative_slope", 0.0)?,
                alpha => alpha,
            };
            let (threshold, max) = (a.plain_or("threshold", 0.0)?, a.plain("max_value")?);
            match max.is_null() && slope.as_f64() == Some(0.0) && threshold.as_f64() == Some(0.0) {
                true => one(Op::new("Relu", vec![x()])),
                false => one(Op::layer("ReLU", vec![x()])
                    .with("max_value", max)
                    .with("negative_slope", slope)
                    .with("threshold", threshold)),
            }
        }
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
        // Unsorted is in any order.
        "top_k" => one(Op::new("TopK", vec![x()])
            .with("k", a.plain_or("k", 1)?)
            .with("sorted", a.plain_or("sorted", true)?)),
        "add_n" | "accumulate_n" => one(Op::layer("Add", vec![a.first.clone()])),
        "identity" | "convert_to_tensor" | "convert_to_tensor_v2" | "stop_gradient" => {
            one(Op::layer("Identity", vec![x()]))
        }
        "matmul" => {
            let mut ops = Vec::new();
            // Of real matrices the adjoint is the transpose.
            let mut operand = |value: Json, flags: [&str; 2]| {
                if flags.iter().all(|flag| a.off(flag)) {
                    return value;
                }
                let op = Op::new("Swapaxes", vec![value]);
                ops.push(op.with("axis1", -2).with("axis2", -1));
                chained(ops.len() - 1)
            };
            let args = vec![
                operand(x(), ["transpose_a", "adjoint_a"]),
                operand(a.any("b")?, ["transpose_b", "adjoint_b"]),
            ];
            ops.push(Op::new("Matmul", args));
            Some(ops)
        }
        "einsum" => {
            let equation = a.plain("equation")?.as_str()?.to_string();
            let args = a.first.as_array()?.clone();
            one(Op::new("Einsum", args).with("subscripts", equation))
        }
        "tensordot" => {
            one(Op::new("Tensordot", vec![x(), a.any("b")?]).with("axes", a.plain("axes")?))
        }
        "concat" => {
            // An empty list is of any dtype.
            let mut parts = a.first.clone();
            if let Json::Array(items) = &mut parts {
                let has_any = items.iter().any(has_tensor);
                items.retain(|item| !(has_any && item.as_array().is_some_and(Vec::is_empty)));
            }
            one(Op::new("Concatenate", vec![parts]).with("axis", integer(&a.plain("axis")?)?))
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
        "matrix_transpose" | "adjoint" if a.off("conjugate") => one(Op::new("Swapaxes", vec![x()])
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
            let axis = match axis {
                Json::Array(axes) if axes.is_empty() => Json::Null,
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
        "roll" => one(Op::new("Roll", vec![x()])
            .with("shift", a.plain("shift")?)
            .with("axis", a.plain("axis")?)),
        "count_nonzero" => {
            let keep = !a.off("keepdims") || !a.off("keep_dims");
            let dtype = dtype(&a.plain_or("dtype", "int64")?)?;
            let count = Op::new("CountNonzero", vec![x()]).with("axis", a.plain("axis")?);
            (!keep).then(|| {
                vec![
                    count,
                    Op::new("Cast", vec![chained(0)]).with("dtype", dtype),
                ]
            })
        }
        "saturate_cast" => {
            one(Op::new("SaturateCast", vec![x()]).with("dtype", dtype(&a.plain("dtype")?)?))
        }
        "scatter_nd" => one(Op::new("Scatter", vec![x(), a.any("updates")?])
            .with("shape", ints(&a.plain("shape")?)?)),
        "tensor_scatter_nd_update" | "tensor_scatter_nd_add" => {
            let reduction = match function.ends_with("add") {
                true => "add".into(),
                false => Json::Null,
            };
            let args = vec![x(), a.any("indices")?, a.any("updates")?];
            one(Op::new("ScatterUpdate", args).with("reduction", reduction))
        }
        "tensor_scatter_nd_sub" => {
            let taken = Op::new("Negative", vec![a.any("updates")?]);
            let args = vec![x(), a.any("indices")?, chained(0)];
            Some(vec![
                taken,
                Op::new("ScatterUpdate", args).with("reduction", "add"),
            ])
        }
        "solve" if a.off("adjoint") => one(Op::new("Solve", vec![x(), a.any("rhs")?])),
        "triangular_solve" if a.off("adjoint") => {
            one(Op::new("SolveTriangular", vec![x(), a.any("rhs")?])
                .with("lower", a.plain_or("lower", true)?))
        }
        "matrix_rank" => one(Op::new("MatrixRank", vec![x()]).with("tol", a.plain("tol")?)),
        "cross" => one(Op::new("Cross", vec![x(), a.any("b")?])),
        "in_top_k" => {
            // In version 1 of TensorFlow the predictions come first.
            let args = match a.any("targets") {
                Some(targets) => vec![targets, x()],
                None => vec![x(), a.any("predictions")?],
            };
            one(Op::new("InTopK", args).with("k", integer(&a.plain("k")?)?))
        }
        "space_to_depth" | "depth_to_space" if a.plain_or("data_format", "NHWC")? == "NHWC" => {
            let class = match function {
                "space_to_depth" => "SpaceToDepth",
                _ => "DepthToSpace",
            };
            one(Op::new(class, vec![x()])
                .with("block_size", integer(&a.plain("block_size")?)?)
                .with("data_format", "channels_last"))
        }
        "rgb_to_grayscale" | "rgb_to_hsv" | "hsv_to_rgb" => {
            let class = match function {
                "rgb_to_grayscale" => "RGBToGrayscale",
                "rgb_to_hsv" => "RGBToHSV",
                _ => "HSVToRGB",
            };
            one(Op::new(class, vec![x()]).with("data_format", "channels_last"))
        }
        "extract_patches" => {
            let inner = |key: &str| match ints(&a.plain(key)?)?.as_slice() {
                &[1, h, w, 1] => Some(json!([h, w])),
                _ => None,
            };
            let padding = a.plain("padding")?.as_str()?.to_lowercase();
            let dilation = inner("rates")?;
            (dilation == json!([1, 1])).then_some(())?;
            one(Op::new("ExtractPatches", vec![x()])
                .with("size", inner("sizes")?)
                .with("strides", inner("strides")?)
                .with("dilation_rate", 1)
                .with("padding", padding)
                .with("data_format", "channels_last"))
        }
        "max_pool" | "max_pool1d" | "max_pool2d" | "max_pool3d" | "max_pool_v2" | "avg_pool"
        | "avg_pool1d" | "avg_pool2d" | "avg_pool3d" | "avg_pool_v2" => {
            let class = match function.starts_with("max") {
                true => "MaxPool",
                false => "AveragePool",
            };
            one(Op::new(class, vec![x()])
                .with("pool_size", window(&a.plain("ksize")?)?)
                .with("strides", window(&a.plain("strides")?)?)
                .with("padding", a.plain("padding")?.as_str()?.to_lowercase())
                .with("data_format", channels(a)?))
        }
        "conv1d" | "conv2d" | "conv3d" | "depthwise_conv2d" | "convolution" => {
            let class = match function {
                "depthwise_conv2d" => "DepthwiseConv",
                _ => "Conv",
            };
            let kernel = match a.any("filters") {
                Some(kernel) => kernel,
                None => a.any("filter")?,
            };
            let strides = match a.plain("strides")? {
                Json::Null => a.plain_or("stride", 1)?,
                strides => strides,
            };
            let dilations = ["dilations", "dilation_rate", "rate"].map(|key| a.plain(key));
            let dilations = dilations.into_iter().collect::<Option<Vec<_>>>()?;
            let dilations = dilations.into_iter().find(|d| !d.is_null());
            let (ops, x, padding) = padded(x(), a)?;
            let conv = Op::new(class, vec![x, kernel])
                .with("strides", window(&strides)?)
                .with("padding", padding)
                .with("data_format", channels(a)?)
                .with("dilation_rate", window(&dilations.unwrap_or(1.into()))?);
            Some(ops.into_iter().chain([conv]).collect())
        }
        "separable_conv2d" => {
            let rate = match a.plain("rate")? {
                Json::Null => a.plain_or("dilations", 1)?,
                rate => rate,
            };
            let padding = a.plain_or("padding", "VALID")?;
            let conv = |class, args: Vec<Json>, padding: String| -> Option<Op> {
                Some(
                    Op::new(class, args)
                        .with("padding", padding)
                        .with("data_format", channels(a)?),
                )
            };
            let depth = a.any("depthwise_filter")?;
            let point = a.any("pointwise_filter")?;
            Some(vec![
                conv(
                    "DepthwiseConv",
                    vec![x(), depth],
                    padding.as_str()?.to_lowercase(),
                )?
                .with("strides", window(&a.plain("strides")?)?)
                .with("dilation_rate", window(&rate)?),
                conv("Conv", vec![chained(0), point], "valid".into())?
                    .with("strides", 1)
                    .with("dilation_rate", 1),
            ])
        }
        "pool" if matches!(a.plain_or("dilation_rate", 1)?, Json::Number(n) if n.as_i64() == Some(1)) =>
        {
            let class = match a.plain("pooling_type")?.as_str()? {
                "MAX" => "MaxPool",
                "AVG" => "AveragePool",
                _ => return None,
            };
            one(Op::new(class, vec![x()])
                .with("pool_size", a.plain("window_shape")?)
                .with("strides", a.plain_or("strides", 1)?)
                .with(
                    "padding",
                    a.plain_or("padding", "VALID")?.as_str()?.to_lowercase(),
                )
                .with("data_format", channels(a)?))
        }
        "reverse" => one(Op::new("Flip", vec![x()]).with("axis", a.plain("axis")?)),
        "strided_slice" => one(Op::new("GetItem", vec![x(), strided(a)?])),
        "sequence_mask" => {
            let places: Vec<i64> = (0..integer(&a.plain("maxlen")?)?).collect();
            let mut ops = vec![
                Op::new("ExpandDims", vec![x()]).with("axis", -1),
                Op::new("Greater", vec![chained(0), literal(json!(places))]),
            ];
            if a.is_set("dtype") {
                ops.push(
                    Op::new("Cast", vec![chained(1)]).with("dtype", dtype(&a.plain("dtype")?)?),
                );
            }
            Some(ops)
        }
        "zero_fraction" => Some(vec![
            Op::new("Equal", vec![x(), 0.into()]),
            Op::new("Cast", vec![chained(0)]).with("dtype", "float32"),
            reduced("Mean", chained(1), Json::Null, false),
        ]),
        "l2_loss" => Some(vec![
            Op::new("Square", vec![x()]),
            reduced("Sum", chained(0), Json::Null, false),
            Op::new("Multiply", vec![chained(1), 0.5.into()]),
        ]),
        "reduce_euclidean_norm" => {
            let keep = !a.off("keepdims") || !a.off("keep_dims");
            Some(vec![
                Op::new("Square", vec![x()]),
                reduced("Sum", chained(0), a.plain("axis")?, keep),
                Op::new("Sqrt", vec![chained(1)]),
            ])
        }
        // 0 where the first operand is, whatever the other one.
        "xlogy" | "xlog1py" | "xdivy" => {
            let y = a.any("y")?;
            let mut ops = vec![Op::new("Equal", vec![x(), 0.into()])];
            ops.extend(match function {
                "xlogy" => vec![
                    Op::new("Log", vec![y]),
                    Op::new("Multiply", vec![x(), chained(1)]),
                ],
                "xlog1py" => {
                    vec![
                        Op::new("Log1p", vec![y]),
                        Op::new("Multiply", vec![x(), chained(1)]),
                    ]
                }
                _ => vec![Op::new("TrueDivide", vec![x(), y])],
            });
            let product = chained(ops.len() - 1);
            ops.push(Op::new("Where", vec![chained(0), 0.into(), product]));
            Some(ops)
        }
        "multiply_no_nan" | "mul_no_nan" => {
            let y = a.any("y")?;
            Some(vec![
                Op::new("Equal", vec![y.clone(), 0.into()]),
                Op::new("Multiply", vec![x(), y]),
                Op::new("Where", vec![chained(0), 0.into(), chained(1)]),
            ])
        }
        "reciprocal_no_nan" => one(Op::new("DivideNoNan", vec![1.into(), x()])),
        "rint" => one(Op::new("Round", vec![x()])),
        "ndtri" => Some(vec![
            Op::new("Multiply", vec![x(), 2.into()]),
            Op::new("Subtract", vec![chained(0), 1.into()]),
            Op::new("Erfinv", vec![chained(1)]),
            Op::new(
                "Multiply",
                vec![chained(2), std::f64::consts::SQRT_2.into()],
            ),
        ]),
        "bessel_i0e" => Some(vec![
            Op::new("Absolute", vec![x()]),
            Op::new("Negative", vec![chained(0)]),
            Op::new("Exp", vec![chained(1)]),
            Op::new("I0", vec![x()]),
            Op::new("Multiply", vec![chained(3), chained(2)]),
        ]),
        "crelu" => Some(vec![
            Op::new("Negative", vec![x()]),
            Op::new("Concatenate", vec![json!([x(), chained(0)])])
                .with("axis", a.plain_or("axis", -1)?),
            Op::new("Relu", vec![chained(1)]),
        ]),
        "matvec" if ["transpose_a", "adjoint_a"].iter().all(|k| a.off(k)) => Some(vec![
            Op::new("ExpandDims", vec![a.any("b")?]).with("axis", -1),
            Op::new("Matmul", vec![x(), chained(0)]),
            Op::new("Squeeze", vec![chained(1)]).with("axis", -1),
        ]),
        "embedding_lookup" if !a.is_set("max_norm") => {
            one(Op::new("Take", vec![x(), a.any("ids")?]).with("axis", 0))
        }
        "flip_left_right" => one(Op::new("Flip", vec![x()]).with("axis", -2)),
        "flip_up_down" => one(Op::new("Flip", vec![x()]).with("axis", -3)),
        "grayscale_to_rgb" => one(Op::new("Repeat", vec![x()])
            .with("repeats", 3)
            .with("axis", -1)),
        "adjust_contrast" => {
            let factor = a.any("contrast_factor")?;
            Some(vec![
                reduced("Mean", x(), json!([-3, -2]), true),
                Op::new("Subtract", vec![x(), chained(0)]),
                Op::new("Multiply", vec![chained(1), factor]),
                Op::new("Add", vec![chained(2), chained(0)]),
            ])
        }
        "adjust_brightness" => one(Op::new("Add", vec![x(), a.any("delta")?])),
        "adjust_gamma" => Some(vec![
            Op::new("Power", vec![x(), a.any("gamma").unwrap_or(1.into())]),
            Op::new(
                "Multiply",
                vec![chained(0), a.any("gain").unwrap_or(1.into())],
            ),
        ]),
        "resize_bilinear" | "resize_nearest_neighbor"
            if !a.off("half_pixel_centers") && a.off("align_corners") =>
        {
            let method = match function {
                "resize_bilinear" => "bilinear",
                _ => "nearest",
            };
            one(Op::new("Resize", vec![x()])
                .with("size", ints(&a.plain("size")?)?)
                .with("interpolation", method)
                .with("antialias", false)
                .with("data_format", "channels_last"))
        }
        "batch_flatten" => one(Op::layer("Flatten", vec![x()])),
        "batch_normalization" => {
            let epsilon = a.any("variance_epsilon")?;
            let mut ops = vec![
                Op::new("Subtract", vec![x(), a.any("mean")?]),
                Op::new("Add", vec![a.any("variance")?, epsilon]),
                Op::new("Rsqrt", vec![chained(1)]),
                Op::new("Multiply", vec![chained(0), chained(2)]),
            ];
            for (class, key) in [("Multiply", "scale"), ("Add", "offset")] {
                if let Some(y) = a.any(key) {
                    ops.push(Op::new(class, vec![chained(ops.len() - 1), y]));
                }
            }
            Some(ops)
        }
        "cumsum" => {
            let axis = a.plain_or("axis", 0)?;
            let cumsum = |x| {
                Op::new("Cumsum", vec![x])
                    .with("axis", axis.clone())
                    .with("dtype", Json::Null)
            };
            let flip = |x| Op::new("Flip", vec![x]).with("axis", axis.clone());
            let mut ops = match a.off("reverse") {
                true => vec![cumsum(x())],
                false => vec![flip(x()), cumsum(chained(0)), flip(chained(1))],
            };
            if !a.off("exclusive") {
                ops.push(Op::new("Subtract", vec![chained(ops.len() - 1), x()]));
            }
            Some(ops)
        }
        "argsort" if a.plain_or("direction", "ASCENDING")? == "ASCENDING" => {
            one(Op::new("Argsort", vec![x()]).with("axis", a.plain_or("axis", -1)?))
        }
        "moments" if !a.is_set("shift") => {
            let keep = !a.off("keepdims") || !a.off("keep_dims");
            one(Op::new("Moments", vec![x()])
                .with("axes", a.plain("axes")?)
                .with("keepdims", keep)
                .with("synchronized", false))
        }
        "gather" => {
            match a.plain_or("batch_dims", 0)?.as_u64() {
                Some(0) => one(Op::new("Take", vec![x(), a.any("indices")?])
                    .with("axis", a.plain_or("axis", 0)?)),
                _ => None,
            }
        }
        "cast" => one(Op::new("Cast", vec![x()]).with("dtype", dtype(&a.plain("dtype")?)?)),
        "zeros_like" | "ones_like" | "zeros_like_v2" | "ones_like_v2" => {
            let class = match function {
                "zeros_like" | "zeros_like_v2" => "ZerosLike",
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
        "where" | "where_v2" => one(Op::new("Where", vec![x(), a.any("x")?, a.any("y")?])),
        "one_hot" => {
            let dtype = match a.plain("dtype")? {
                Json::Null => "float32".into(),
                given => dtype(&given)?,
            };
            let hot = Op::new("OneHot", vec![x()])
                .with("num_classes", integer(&a.plain("depth")?)?)
                .with("axis", a.plain_or("axis", -1)?)
                .with("dtype", dtype)
                .with("sparse", false);
            let (on, off) = (a.plain_or("on_value", 1)?, a.plain_or("off_value", 0)?);
            match (on.as_f64()?, off.as_f64()?) {
                (1.0, 0.0) => one(hot),
                (on, off) => Some(vec![
                    hot,
                    Op::new("Multiply", vec![chained(0), (on - off).into()]),
                    Op::new("Add", vec![chained(1), off.into()]),
                ]),
            }
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

fn reduced(class: &'static str, x: Json, axis: Json, keep: bool) -> Op {
    Op::new(class, vec![x])
        .with("axis", axis)
        .with("keepdims", keep)
}

/// The index of a slice by bounds and bit masks.
fn strided(a: &Args) -> Option<Json> {
    let (begin, end) = (ints(&a.plain("begin")?)?, ints(&a.plain("end")?)?);
    let strides = match a.plain("strides")? {
        Json::Null => vec![1; begin.len()],
        strides => ints(&strides)?,
    };
    (begin.len() == end.len() && begin.len() == strides.len()).then_some(())?;
    let mask = |key: &str| a.plain_or(key, 0)?.as_i64();
    let bits = |mask: i64| move |i: usize| i < 63 && mask >> i & 1 == 1;
    let (open_begin, open_end) = (bits(mask("begin_mask")?), bits(mask("end_mask")?));
    let (is_ellipsis, is_new) = (bits(mask("ellipsis_mask")?), bits(mask("new_axis_mask")?));
    let is_single = bits(mask("shrink_axis_mask")?);
    let parts = (0..begin.len()).map(|i| match () {
        () if is_ellipsis(i) => ellipsis(),
        () if is_new(i) => Json::Null,
        () if is_single(i) => json!(begin[i]),
        () => json!({"class_name": "__slice__", "config": {
            "start": (!open_begin(i)).then_some(begin[i]),
            "stop": (!open_end(i)).then_some(end[i]),
            "step": strides[i],
        }}),
    });
    Some(parts.collect())
}

/// The padding of a convolution, and its input; where the padding is a list of
/// widths, the operation that pads first.
fn padded(x: Json, a: &Args) -> Option<(Vec<Op>, Json, Json)> {
    let explicit = a.plain("explicit_paddings")?;
    match a.plain_or("padding", "VALID")? {
        Json::String(kind) if kind != "EXPLICIT" => Some((vec![], x, kind.to_lowercase().into())),
        given => {
            let widths = match given {
                Json::Array(_) => given,
                _ => {
                    let flat = ints(&explicit)?;
                    flat.chunks(2).map(|pair| json!(pair)).collect()
                }
            };
            let mut pad = Op::new("Pad", vec![x])
                .with("pad_width", widths)
                .with("mode", "constant");
            pad.kwargs.insert("constant_values".into(), 0.into());
            Some((vec![pad], chained(0), "valid".into()))
        }
    }
}

/// Sizes of a window, which may stand between those of the rows and the channels.
/// Equal ones are one number: not every operation takes a list.
fn window(value: &Json) -> Option<Json> {
    let sizes = match value {
        Json::Array(sizes) => sizes.as_slice(),
        Json::Number(_) => return Some(value.clone()),
        _ => return None,
    };
    let inner = match sizes {
        [one, inner @ .., last] if sizes.len() > 2 && *one == 1 && *last == 1 => inner,
        _ => sizes,
    };
    Some(match inner {
        [first, rest @ ..] if rest.iter().all(|s| s == first) => first.clone(),
        _ => inner.into(),
    })
}

/// The format of data, which must have its channels last.
fn channels(a: &Args) -> Option<&'static str> {
    let format = a.plain_or("data_format", "NHWC")?;
    let format = format.as_str()?;
    (format.starts_with('N') && format.ends_with('C')).then_some("channels_last")
}

/// The functions with a case in [`lower`] of their own.
const LIKE: [&str; 75] = [
    "add_n",
    "argmax",
    "argmin",
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "avg_pool_v2",
    "bias_add",
    "broadcast_to",
    "cast",
    "concat",
    "conv1d",
    "conv2d",
    "conv3d",
    "convolution",
    "count_nonzero",
    "cross",
    "depth_to_space",
    "depthwise_conv2d",
    "einsum",
    "elu",
    "expand_dims",
    "extract_patches",
    "gelu",
    "hsv_to_rgb",
    "in_top_k",
    "leaky_relu",
    "log_softmax",
    "matmul",
    "matrix_transpose",
    "adjoint",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_v2",
    "ones_like",
    "ones_like_v2",
    "pad",
    "pool",
    "repeat",
    "reshape",
    "reverse",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "roll",
    "saturate_cast",
    "scalar_mul",
    "scatter_nd",
    "separable_conv2d",
    "slice",
    "softmax",
    "solve",
    "space_to_depth",
    "squared_difference",
    "squeeze",
    "stack",
    "stop_gradient",
    "strided_slice",
    "matrix_rank",
    "tensor_scatter_nd_add",
    "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update",
    "tensordot",
    "tile",
    "top_k",
    "transpose",
    "triangular_solve",
    "unstack",
    "where",
    "where_v2",
    "zeros_like",
    "zeros_like_v2",
    "accumulate_n",
];

/// Whether `keras.ops` can do what a function of TensorFlow does.
pub fn has_like(function: &str) -> bool {
    unary(function).is_some()
        || binary(function).is_some()
        || reduction(function).is_some()
        || LIKE.contains(&function)
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
        "mish" => "Mish",
        "log_sigmoid" => "LogSigmoid",
        "asinh" => "Arcsinh",
        "acosh" => "Arccosh",
        "atanh" => "Arctanh",
        "erfc" => "Erfc",
        "erfinv" => "Erfinv",
        "bessel_i0" => "I0",
        "invert" => "BitwiseInvert",
        "inv" => "Inv",
        "det" => "Det",
        "cholesky" => "Cholesky",
        "logdet" => "Logdet",
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
        "bitwise_and" => "BitwiseAnd",
        "bitwise_or" => "BitwiseOr",
        "bitwise_xor" => "BitwiseXor",
        "left_shift" => "BitwiseLeftShift",
        "right_shift" => "BitwiseRightShift",
        "nextafter" => "Nextafter",
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
