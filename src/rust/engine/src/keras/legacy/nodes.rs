//! Nodes of TensorFlow's graphs, which stood as layers before its functions did
//! (TF 2.0 to 2.3), as these functions.

use serde_json::Value as Json;

use super::graph::literal;
use super::ops::has_tensor;
use super::Object;

/// The function that a node computes, with its arguments; `None` where it is of no
/// kind that has one.
pub(super) fn of_node(config: &Object, tensors: &Json) -> Option<(String, Json, Object)> {
    let node = config.get("node_def")?;
    let mut tensors = match tensors {
        Json::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
    .into_iter();
    let constants = config.get("constants").and_then(Json::as_object);
    let count = node
        .get("input")
        .and_then(Json::as_array)
        .map_or(0, |names| {
            let control = |n: &&Json| n.as_str().is_some_and(|n| n.starts_with('^'));
            names.len() - names.iter().filter(control).count()
        });
    let mut inputs = Vec::with_capacity(count);
    for i in 0..count {
        let constant = constants.and_then(|c| c.get(&i.to_string()));
        inputs.push(match constant {
            Some(value) => value.clone(),
            None => tensors.next()?,
        });
    }
    let attr = |key: &str| node.get("attr")?.get(key).and_then(attribute);
    let op = node.get("op")?.as_str()?;
    let (function, names, attrs): (&str, &[&str], &[(&str, &str)]) = signature(op)?;
    let mut rest = Object::new();
    for (from, to) in attrs {
        if let Some(value) = attr(from) {
            rest.insert(to.to_string(), value);
        }
    }
    // As long as there was no choice.
    if op.starts_with("Matrix") && op.ends_with("V2") {
        rest.insert("align".into(), "LEFT_LEFT".into());
    }
    if op == "UpperBound" {
        rest.insert("side".into(), "right".into());
    }
    if op == "Cast" {
        rest.insert("dtype".into(), attr("DstT")?);
    }
    let first = match names {
        // Any number of tensors, then the named ones.
        ["*", last @ ..] => {
            let named = inputs.split_off(inputs.len().checked_sub(last.len())?);
            for (name, value) in last.iter().zip(named) {
                rest.insert(name.to_string(), value);
            }
            inputs.into_iter().map(operand).collect()
        }
        names => {
            let at = names.iter().position(|n| n.is_empty())?;
            let mut first = None;
            for (i, value) in inputs.into_iter().enumerate() {
                match names.get(i) {
                    _ if i == at => first = Some(value),
                    Some(name) => {
                        rest.insert(name.to_string(), value);
                    }
                    None => return None,
                }
            }
            operand(first?)
        }
    };
    Some((function.to_string(), first, rest))
}

/// A constant as the first argument.
fn operand(value: Json) -> Json {
    match has_tensor(&value) {
        true => value,
        false => literal(value),
    }
}

/// The value of an attribute of a node.
fn attribute(value: &Json) -> Option<Json> {
    let (kind, value) = value.as_object()?.iter().next()?;
    let int = |v: &Json| v.as_i64().or_else(|| v.as_str()?.parse().ok());
    Some(match kind.as_str() {
        "b" | "f" => value.clone(),
        "i" => int(value)?.into(),
        "s" => text(value.as_str()?)?.into(),
        "type" => dtype_named(value.as_str()?)?.into(),
        "list" => match value.get("i").and_then(Json::as_array) {
            Some(items) => items
                .iter()
                .map(|v| int(v).map(Json::from))
                .collect::<Option<_>>()?,
            None => Json::Array(vec![]),
        },
        _ => return None,
    })
}

/// The text of bytes in base 64.
fn text(coded: &str) -> Option<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held) = (0u32, 0);
    let mut bytes = Vec::new();
    for c in coded.bytes().filter(|c| *c != b'=') {
        let value = LETTERS.iter().position(|l| *l == c)? as u32;
        bits = bits << 6 | value;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The dtype of TensorFlow's enum.
fn dtype_named(name: &str) -> Option<String> {
    Some(match name {
        "DT_FLOAT" => "float32".to_string(),
        "DT_DOUBLE" => "float64".to_string(),
        "DT_HALF" => "float16".to_string(),
        name => name.strip_prefix("DT_")?.to_lowercase(),
    })
}

type Signature = (
    &'static str,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

/// The function of a kind of node, the names of its inputs (the first argument has
/// an empty one, `*` are all before the last) and of its attributes.
fn signature(op: &str) -> Option<Signature> {
    const KEEP: &[(&str, &str)] = &[("keep_dims", "keepdims")];
    const RESIZE: &[(&str, &str)] = &[
        ("align_corners", "align_corners"),
        ("half_pixel_centers", "half_pixel_centers"),
    ];
    const WINDOW: &[(&str, &str)] = &[
        ("ksize", "ksize"),
        ("strides", "strides"),
        ("padding", "padding"),
        ("data_format", "data_format"),
    ];
    const CONV: &[(&str, &str)] = &[
        ("strides", "strides"),
        ("padding", "padding"),
        ("explicit_paddings", "explicit_paddings"),
        ("data_format", "data_format"),
        ("dilations", "dilations"),
    ];
    const ALIGN: &[(&str, &str)] = &[("align", "align")];
    const IDS: &[&str] = &["", "segment_ids"];
    const COUNTED: &[&str] = &["", "segment_ids", "num_segments"];
    const RANGE: &[&str] = &["", "min", "max"];
    const FAKE: &[(&str, &str)] = &[("num_bits", "num_bits"), ("narrow_range", "narrow_range")];
    let one = |function| Some((function, &[""][..], &[][..]));
    let two = |function| Some((function, &["", "y"][..], &[][..]));
    let over = |function| Some((function, &["", "axis"][..], KEEP));
    match op {
        "Neg" => one("negative"),
        "Abs" => one("abs"),
        "Exp" => one("exp"),
        "Expm1" => one("expm1"),
        "Log" => one("log"),
        "Log1p" => one("log1p"),
        "Sqrt" => one("sqrt"),
        "Rsqrt" => one("rsqrt"),
        "Square" => one("square"),
        "Reciprocal" | "Inv" => one("reciprocal"),
        "Sigmoid" => one("sigmoid"),
        "Tanh" => one("tanh"),
        "Sin" => one("sin"),
        "Cos" => one("cos"),
        "Tan" => one("tan"),
        "Asin" => one("asin"),
        "Acos" => one("acos"),
        "Atan" => one("atan"),
        "Sinh" => one("sinh"),
        "Cosh" => one("cosh"),
        "Asinh" => one("asinh"),
        "Acosh" => one("acosh"),
        "Atanh" => one("atanh"),
        "Floor" => one("floor"),
        "Ceil" => one("ceil"),
        "Round" => one("round"),
        "Rint" => one("rint"),
        "Sign" => one("sign"),
        "Erf" => one("erf"),
        "Erfc" => one("erfc"),
        "Erfinv" => one("erfinv"),
        "Ndtri" => one("ndtri"),
        "Lgamma" => one("lgamma"),
        "BesselJ0" => one("bessel_j0"),
        "BesselJ1" => one("bessel_j1"),
        "BesselK0" => one("bessel_k0"),
        "BesselK0e" => one("bessel_k0e"),
        "BesselK1" => one("bessel_k1"),
        "BesselK1e" => one("bessel_k1e"),
        "BesselY0" => one("bessel_y0"),
        "BesselY1" => one("bessel_y1"),
        "Dawsn" => one("dawsn"),
        "Expint" => one("expint"),
        "FresnelCos" => one("fresnel_cos"),
        "FresnelSin" => one("fresnel_sin"),
        "Spence" => one("spence"),
        "Igamma" => Some(("igamma", &["", "x"], &[])),
        "Igammac" => Some(("igammac", &["", "x"], &[])),
        "Polygamma" => Some(("polygamma", &["", "x"], &[])),
        "Betainc" => Some(("betainc", &["", "b", "x"], &[])),
        "Zeta" => Some(("zeta", &["", "q"], &[])),
        "Complex" => Some(("complex", &["", "imag"], &[])),
        "Digamma" => one("digamma"),
        "BesselI0" => one("bessel_i0"),
        "BesselI0e" => one("bessel_i0e"),
        "BesselI1" => one("bessel_i1"),
        "BesselI1e" => one("bessel_i1e"),
        "ComplexAbs" => one("abs"),
        "Real" => one("real"),
        "Imag" => one("imag"),
        "Angle" => one("angle"),
        "Conj" => one("conj"),
        "FFT" => one("fft"),
        "FFT2D" => one("fft2d"),
        "FFT3D" => one("fft3d"),
        "IFFT2D" => one("ifft2d"),
        "IFFT3D" => one("ifft3d"),
        "IFFT" => one("ifft"),
        "RFFT" => Some(("rfft", &["", "fft_length"], &[])),
        "IRFFT" => Some(("irfft", &["", "fft_length"], &[])),
        "L2Loss" => one("l2_loss"),
        "Bitcast" => Some(("bitcast", &[""], &[("type", "type")])),
        "AdjustContrastv2" => Some(("adjust_contrast", &["", "contrast_factor"], &[])),
        "AdjustSaturation" => Some(("adjust_saturation", &["", "saturation_factor"], &[])),
        "AdjustHue" => Some(("adjust_hue", &["", "delta"], &[])),
        "Softplus" => one("softplus"),
        "Softsign" => one("softsign"),
        "Relu" => one("relu"),
        "Relu6" => one("relu6"),
        "Elu" => one("elu"),
        "Selu" => one("selu"),
        "LogicalNot" => one("logical_not"),
        "Invert" => one("invert"),
        "IsNan" => one("is_nan"),
        "IsInf" => one("is_inf"),
        "IsFinite" => one("is_finite"),
        "Identity" | "EnsureShape" => one("identity"),
        "IdentityN" => Some(("identity", &["*"], &[])),
        "StopGradient" | "PreventGradient" => one("stop_gradient"),
        "ZerosLike" => one("zeros_like"),
        "OnesLike" => one("ones_like"),
        "Softmax" => one("softmax"),
        "LogSoftmax" => one("log_softmax"),
        "Rank" => one("rank"),
        "MatrixInverse" => Some(("inv", &[""], &[("adjoint", "adjoint")])),
        "MatrixDeterminant" => one("det"),
        "Cholesky" => one("cholesky"),
        "RGBToHSV" => one("rgb_to_hsv"),
        "HSVToRGB" => one("hsv_to_rgb"),
        "MatrixDiag" => one("diag"),
        "MatrixDiagV2" | "MatrixDiagV3" => Some((
            "diag",
            &["", "k", "num_rows", "num_cols", "padding_value"],
            ALIGN,
        )),
        "MatrixDiagPart" => one("diag_part"),
        "MatrixDiagPartV2" | "MatrixDiagPartV3" => {
            Some(("diag_part", &["", "k", "padding_value"], ALIGN))
        }
        "MatrixSetDiag" => Some(("set_diag", &["", "diagonal"], &[])),
        "MatrixSetDiagV2" | "MatrixSetDiagV3" => Some(("set_diag", &["", "diagonal", "k"], ALIGN)),
        "Shape" => Some(("shape", &[""], &[("out_type", "out_type")])),
        "Size" => Some(("size", &[""], &[("out_type", "out_type")])),
        "Add" | "AddV2" => two("add"),
        "Sub" => two("subtract"),
        "Mul" => two("multiply"),
        "RealDiv" => two("truediv"),
        "Div" => two("div"),
        "DivNoNan" => two("divide_no_nan"),
        "MulNoNan" => two("multiply_no_nan"),
        "FloorDiv" => two("floordiv"),
        "FloorMod" => two("floormod"),
        "Mod" | "TruncateMod" => two("truncatemod"),
        "TruncateDiv" => two("truncatediv"),
        "Pow" => two("pow"),
        "Maximum" => two("maximum"),
        "Minimum" => two("minimum"),
        "SquaredDifference" => two("squared_difference"),
        "Atan2" => two("atan2"),
        "Xdivy" => two("xdivy"),
        "Xlogy" => two("xlogy"),
        "Xlog1py" => two("xlog1py"),
        "NextAfter" => two("nextafter"),
        "Greater" => two("greater"),
        "GreaterEqual" => two("greater_equal"),
        "Less" => two("less"),
        "LessEqual" => two("less_equal"),
        "Equal" => two("equal"),
        "NotEqual" => two("not_equal"),
        "LogicalAnd" => two("logical_and"),
        "LogicalOr" => two("logical_or"),
        "BitwiseAnd" => two("bitwise_and"),
        "BitwiseOr" => two("bitwise_or"),
        "BitwiseXor" => two("bitwise_xor"),
        "LeftShift" => two("left_shift"),
        "RightShift" => two("right_shift"),
        "Sum" => over("reduce_sum"),
        "Mean" => over("reduce_mean"),
        "Max" => over("reduce_max"),
        "Min" => over("reduce_min"),
        "Prod" => over("reduce_prod"),
        "Any" => over("reduce_any"),
        "All" => over("reduce_all"),
        "EuclideanNorm" => over("reduce_euclidean_norm"),
        "ArgMax" => Some(("argmax", &["", "axis"], &[("output_type", "output_type")])),
        "ArgMin" => Some(("argmin", &["", "axis"], &[("output_type", "output_type")])),
        "Cumsum" => Some((
            "cumsum",
            &["", "axis"],
            &[("exclusive", "exclusive"), ("reverse", "reverse")],
        )),
        "Cumprod" => Some((
            "cumprod",
            &["", "axis"],
            &[("exclusive", "exclusive"), ("reverse", "reverse")],
        )),
        "Reshape" => Some(("reshape", &["", "shape"], &[])),
        "Transpose" => Some(("transpose", &["", "perm"], &[])),
        "ExpandDims" => Some(("expand_dims", &["", "axis"], &[])),
        "Squeeze" => Some(("squeeze", &[""], &[("squeeze_dims", "axis")])),
        "Tile" => Some(("tile", &["", "multiples"], &[])),
        "BroadcastTo" => Some(("broadcast_to", &["", "shape"], &[])),
        "Fill" => Some(("fill", &["", "value"], &[])),
        "Range" => Some(("range", &["", "limit", "delta"], &[])),
        "LinSpace" => Some(("linspace", &["", "stop", "num"], &[])),
        "Cast" => one("cast"),
        "ConcatV2" => Some(("concat", &["*", "axis"], &[])),
        "AddN" => Some(("add_n", &["*"], &[])),
        "Pack" => Some(("stack", &["*"], &[("axis", "axis")])),
        "Unpack" => Some(("unstack", &[""], &[("num", "num"), ("axis", "axis")])),
        "Split" => Some((
            "split",
            &["axis", ""],
            &[("num_split", "num_or_size_splits")],
        )),
        "SplitV" => Some(("split", &["", "num_or_size_splits", "axis"], &[])),
        "SelectV2" => Some(("where", &["", "x", "y"], &[])),
        "Select" => Some(("compat.v1.where", &["", "x", "y"], &[])),
        "GatherV2" => Some((
            "gather",
            &["", "indices", "axis"],
            &[("batch_dims", "batch_dims")],
        )),
        "Gather" | "ResourceGather" => Some(("gather", &["", "indices"], &[])),
        "GatherNd" => Some(("gather_nd", &["", "indices"], &[])),
        "ScatterNd" => Some(("scatter_nd", &["", "updates", "shape"], &[])),
        "TensorScatterUpdate" => {
            Some(("tensor_scatter_nd_update", &["", "indices", "updates"], &[]))
        }
        "TensorScatterSub" => Some(("tensor_scatter_nd_sub", &["", "indices", "updates"], &[])),
        "SegmentMax" => Some(("segment_max", IDS, &[])),
        "SegmentMean" => Some(("segment_mean", IDS, &[])),
        "SegmentMin" => Some(("segment_min", IDS, &[])),
        "SegmentProd" => Some(("segment_prod", IDS, &[])),
        "SegmentSum" => Some(("segment_sum", IDS, &[])),
        "UnsortedSegmentMax" => Some(("unsorted_segment_max", COUNTED, &[])),
        "UnsortedSegmentMin" => Some(("unsorted_segment_min", COUNTED, &[])),
        "UnsortedSegmentProd" => Some(("unsorted_segment_prod", COUNTED, &[])),
        "UnsortedSegmentSum" => Some(("unsorted_segment_sum", COUNTED, &[])),
        "CumulativeLogsumexp" => Some((
            "cumulative_logsumexp",
            &["", "axis"],
            &[("exclusive", "exclusive"), ("reverse", "reverse")],
        )),
        "LowerBound" | "UpperBound" => {
            Some(("searchsorted", &["", "values"], &[("out_type", "out_type")]))
        }
        "TensorScatterAdd" => Some(("tensor_scatter_nd_add", &["", "indices", "updates"], &[])),
        "StridedSlice" => Some((
            "strided_slice",
            &["", "begin", "end", "strides"],
            &[
                ("begin_mask", "begin_mask"),
                ("end_mask", "end_mask"),
                ("ellipsis_mask", "ellipsis_mask"),
                ("new_axis_mask", "new_axis_mask"),
                ("shrink_axis_mask", "shrink_axis_mask"),
            ],
        )),
        "Slice" => Some(("slice", &["", "begin", "size"], &[])),
        "Pad" => Some(("pad", &["", "paddings"], &[])),
        "PadV2" => Some(("pad", &["", "paddings", "constant_values"], &[])),
        "MirrorPad" => Some(("pad", &["", "paddings"], &[("mode", "mode")])),
        "MatMul" => Some((
            "matmul",
            &["", "b"],
            &[
                ("transpose_a", "transpose_a"),
                ("transpose_b", "transpose_b"),
            ],
        )),
        "BatchMatMul" | "BatchMatMulV2" => Some((
            "matmul",
            &["", "b"],
            &[("adj_x", "adjoint_a"), ("adj_y", "adjoint_b")],
        )),
        "MatrixSolve" => Some(("solve", &["", "rhs"], &[("adjoint", "adjoint")])),
        "MatrixTriangularSolve" => Some((
            "triangular_solve",
            &["", "rhs"],
            &[("lower", "lower"), ("adjoint", "adjoint")],
        )),
        "Qr" => Some(("qr", &[""], &[("full_matrices", "full_matrices")])),
        "Svd" => Some((
            "svd",
            &[""],
            &[
                ("compute_uv", "compute_uv"),
                ("full_matrices", "full_matrices"),
            ],
        )),
        "Lu" => Some(("lu", &[""], &[("output_idx_type", "output_idx_type")])),
        "SelfAdjointEigV2" => one("eigh"),
        "MatrixExponential" => one("expm"),
        "MatrixBandPart" => Some(("band_part", &["", "num_lower", "num_upper"], &[])),
        "Cross" => Some(("cross", &["", "b"], &[])),
        "BiasAdd" => Some(("bias_add", &["", "bias"], &[("data_format", "data_format")])),
        "TopKV2" => Some(("top_k", &["", "k"], &[("sorted", "sorted")])),
        "OneHot" => Some((
            "one_hot",
            &["", "depth", "on_value", "off_value"],
            &[("axis", "axis")],
        )),
        "ReverseV2" => Some(("reverse", &["", "axis"], &[])),
        "ReverseSequence" => Some((
            "reverse_sequence",
            &["", "seq_lengths"],
            &[("seq_dim", "seq_axis"), ("batch_dim", "batch_axis")],
        )),
        "Roll" => Some(("roll", &["", "shift", "axis"], &[])),
        "LeakyRelu" => Some(("leaky_relu", &[""], &[("alpha", "alpha")])),
        "ClipByValue" => Some((
            "clip_by_value",
            &["", "clip_value_min", "clip_value_max"],
            &[],
        )),
        "LRN" => Some((
            "lrn",
            &[""],
            &[
                ("depth_radius", "depth_radius"),
                ("bias", "bias"),
                ("alpha", "alpha"),
                ("beta", "beta"),
            ],
        )),
        "ResizeBilinear" => Some(("resize_bilinear", &["", "size"], RESIZE)),
        "ResizeNearestNeighbor" => Some(("resize_nearest_neighbor", &["", "size"], RESIZE)),
        "ResizeBicubic" => Some(("resize_bicubic", &["", "size"], RESIZE)),
        "ScaleAndTranslate" => Some((
            "scale_and_translate",
            &["", "size", "scale", "translation"],
            &[("kernel_type", "kernel_type"), ("antialias", "antialias")],
        )),
        "ResizeArea" => Some(("resize_area", &["", "size"], RESIZE)),
        "SpaceToBatchND" => Some(("space_to_batch_nd", &["", "block_shape", "paddings"], &[])),
        "BatchToSpaceND" => Some(("batch_to_space_nd", &["", "block_shape", "crops"], &[])),
        "Dilation2D" => Some((
            "dilation2d",
            &["", "filters"],
            &[
                ("strides", "strides"),
                ("rates", "dilations"),
                ("padding", "padding"),
            ],
        )),
        "Conv2DBackpropInput" => Some(("conv2d_transpose", &["output_shape", "filters", ""], CONV)),
        "Conv3DBackpropInputV2" => {
            Some(("conv3d_transpose", &["output_shape", "filters", ""], CONV))
        }
        "CropAndResize" => Some((
            "crop_and_resize",
            &["", "boxes", "box_indices", "crop_size"],
            &[
                ("method", "method"),
                ("extrapolation_value", "extrapolation_value"),
            ],
        )),
        "NonMaxSuppressionV3" => Some((
            "non_max_suppression",
            &[
                "",
                "scores",
                "max_output_size",
                "iou_threshold",
                "score_threshold",
            ],
            &[],
        )),
        "CombinedNonMaxSuppression" => Some((
            "combined_non_max_suppression",
            &[
                "",
                "scores",
                "max_output_size_per_class",
                "max_total_size",
                "iou_threshold",
                "score_threshold",
            ],
            &[
                ("pad_per_class", "pad_per_class"),
                ("clip_boxes", "clip_boxes"),
            ],
        )),
        "FakeQuantWithMinMaxArgs" => Some((
            "fake_quant_with_min_max_args",
            &[""],
            &[
                ("min", "min"),
                ("max", "max"),
                ("num_bits", "num_bits"),
                ("narrow_range", "narrow_range"),
            ],
        )),
        "FakeQuantWithMinMaxVars" => Some(("fake_quant_with_min_max_vars", RANGE, FAKE)),
        "FakeQuantWithMinMaxVarsPerChannel" => {
            Some(("fake_quant_with_min_max_vars_per_channel", RANGE, FAKE))
        }
        "QuantizeAndDequantizeV2" | "QuantizeAndDequantizeV4" => Some((
            "quantize_and_dequantize_v2",
            &["", "input_min", "input_max"],
            &[
                ("signed_input", "signed_input"),
                ("num_bits", "num_bits"),
                ("range_given", "range_given"),
                ("round_mode", "round_mode"),
                ("narrow_range", "narrow_range"),
                ("axis", "axis"),
            ],
        )),
        "MaxPoolWithArgmax" => Some((
            "max_pool_with_argmax",
            &[""],
            &[
                ("ksize", "ksize"),
                ("strides", "strides"),
                ("padding", "padding"),
                ("Targmax", "output_dtype"),
                ("include_batch_in_index", "include_batch_in_index"),
            ],
        )),
        "SpaceToDepth" => Some((
            "space_to_depth",
            &[""],
            &[("block_size", "block_size"), ("data_format", "data_format")],
        )),
        "DepthToSpace" => Some((
            "depth_to_space",
            &[""],
            &[("block_size", "block_size"), ("data_format", "data_format")],
        )),
        "MaxPool" => Some(("max_pool", &[""], WINDOW)),
        "AvgPool" => Some(("avg_pool", &[""], WINDOW)),
        "Conv2D" | "Conv3D" => Some(("conv2d", &["", "filters"], CONV)),
        "DepthwiseConv2dNative" => Some(("depthwise_conv2d", &["", "filters"], CONV)),
        "ExtractImagePatches" => Some((
            "extract_patches",
            &[""],
            &[
                ("ksizes", "sizes"),
                ("strides", "strides"),
                ("rates", "rates"),
                ("padding", "padding"),
            ],
        )),
        "InTopKV2" => Some(("in_top_k", &["predictions", "", "k"], &[])),
        "Einsum" => Some(("einsum", &["*"], &[("equation", "equation")])),
        _ => None,
    }
}
