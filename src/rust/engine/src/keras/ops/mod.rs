//! The table of `keras.ops` classes that stand as nodes in functional graphs:
//! one line a class, one file a module of `keras.ops`.

pub mod args;
mod complex;
mod core;
mod fft;
pub mod image;
pub mod linalg;
mod losses;
pub mod map;
mod nn;
pub mod numpy;
mod segments;
pub mod warp;
mod windows;

use self::numpy::{elementwise as el, linear, reduce as red, sets, shape};
use super::activations::Activation as A;
use super::cfg::short;
use super::layer::{Lower, OpDef};
use crate::graph::{Binary as B, Cumulate, Linalg, PoolKind, Reduce as R, Unary as U};

pub use self::numpy::elementwise::sum;
pub use args::convert;
pub use numpy::elementwise::bucket;

const fn op(module: &'static str, class: &'static str, lower: Lower) -> OpDef {
    OpDef {
        class,
        module,
        lower: Some(lower),
        note: "",
        complex: None,
        hands_on: false,
    }
}

/// An entry of an operation that can't be run, and why.
const fn refused(module: &'static str, class: &'static str, note: &'static str) -> OpDef {
    OpDef {
        class,
        module,
        lower: None,
        note,
        complex: None,
        hands_on: false,
    }
}

const fn core(class: &'static str, lower: Lower) -> OpDef {
    op("core", class, lower)
}
const fn image(class: &'static str, lower: Lower) -> OpDef {
    op("image", class, lower)
}
const fn linalg(class: &'static str, lower: Lower) -> OpDef {
    op("linalg", class, lower)
}
const fn math(class: &'static str, lower: Lower) -> OpDef {
    op("math", class, lower)
}
const fn nn(class: &'static str, lower: Lower) -> OpDef {
    op("nn", class, lower)
}
const fn numpy(class: &'static str, lower: Lower) -> OpDef {
    op("numpy", class, lower)
}

const FUNCTION: &str = "calls a Python function, which is not in the file";
const FAILS: &str = "fails in Keras on TensorFlow";
const MAPPED: &str = "of a layer, or of a function of `keras.activations`";
const CONSTANT: &str = "gives no tensor that a model could hold";

/// The lowering of an operation by a function of its call that also takes which
/// of several alike operations it is.
macro_rules! on_call {
    ($function:path, $($which:expr),+) => {
        |cx, _, call| $function(cx, call, $($which),+)
    };
}

/// The same by a function of its config and its call.
macro_rules! on_config {
    ($function:path, $($which:expr),+) => {
        |cx, cfg, call| $function(cx, cfg, call, $($which),+)
    };
}

pub static OPS: &[OpDef] = &[
    // numpy: elementwise
    numpy("Abs", complex::absolute).of_complex(),
    numpy("Absolute", complex::absolute).of_complex(),
    numpy("Add", el::add).complex(complex::add),
    numpy("AllClose", el::allclose),
    numpy("Arccos", on_call!(el::float_unary, U::Acos)),
    numpy("Arccosh", on_call!(el::float_unary, U::Acosh)),
    numpy("Arcsin", on_call!(el::float_unary, U::Asin)),
    numpy("Arcsinh", on_call!(el::float_unary, U::Asinh)),
    numpy("Arctan", on_call!(el::float_unary, U::Atan)),
    numpy("Arctan2", el::arctan2),
    numpy("Arctanh", on_call!(el::float_unary, U::Atanh)),
    numpy("Array", core::convert_to_tensor).hands_on(),
    numpy("BitwiseAnd", on_call!(el::bitwise, B::And)),
    numpy("BitwiseInvert", on_call!(el::unary, U::Not)),
    numpy("BitwiseLeftShift", on_call!(el::bitwise, B::Shl)),
    numpy("BitwiseNot", on_call!(el::unary, U::Not)),
    numpy("BitwiseOr", on_call!(el::bitwise, B::Or)),
    numpy("BitwiseRightShift", on_call!(el::bitwise, B::Shr)),
    numpy("BitwiseXor", on_call!(el::bitwise, B::Xor)),
    numpy("Cbrt", el::cbrt),
    numpy("Ceil", on_call!(el::float_unary, U::Ceil)),
    numpy("Clip", el::clip),
    numpy("Conj", complex::conjugate).of_complex().hands_on(),
    numpy("Conjugate", complex::conjugate)
        .of_complex()
        .hands_on(),
    numpy("Copy", el::identity).complex(complex::by_parts),
    numpy("Cos", on_call!(el::float_unary, U::Cos)),
    numpy("Cosh", on_call!(el::float_unary, U::Cosh)),
    numpy("Deg2rad", on_call!(el::scaled, std::f64::consts::PI, 180.0)),
    numpy("Digitize", el::digitize),
    numpy("Divide", el::divide).complex(complex::divide),
    numpy("DivideNoNan", el::divide_no_nan),
    numpy("EmptyLike", on_config!(el::like, 0.0)),
    numpy("Equal", on_call!(el::compare, B::Eq)).complex(complex::equal),
    numpy("Exp", on_call!(el::float_unary, U::Exp)).complex(complex::exp),
    numpy("Exp2", on_call!(el::float_unary, U::Exp2)),
    numpy("Expm1", on_call!(el::float_unary, U::Expm1)),
    numpy("Fabs", on_call!(el::float_unary, U::Abs)),
    numpy("Floor", on_call!(el::float_unary, U::Floor)),
    numpy("FloorDivide", on_call!(el::weak, B::FloorDiv)),
    numpy("Fmax", on_call!(el::nan_last, B::Max)),
    numpy("Fmin", on_call!(el::nan_last, B::Min)),
    numpy("Fmod", el::fmod),
    numpy("FullLike", el::full_like),
    numpy("Greater", on_call!(el::compare, B::Gt)),
    numpy("GreaterEqual", on_call!(el::compare, B::Ge)),
    numpy("Heaviside", el::heaviside),
    numpy("Hypot", el::hypot),
    numpy("Isclose", el::isclose),
    numpy("Isfinite", on_call!(el::test, U::IsFinite)),
    numpy("Isinf", on_call!(el::test, U::IsInf)),
    numpy("Isnan", on_call!(el::test, U::IsNan)),
    numpy("Isneginf", on_call!(el::is_infinity, f64::NEG_INFINITY)),
    numpy("Isposinf", on_call!(el::is_infinity, f64::INFINITY)),
    numpy("Isreal", el::isreal),
    numpy("Ldexp", el::ldexp),
    numpy("LeftShift", on_call!(el::bitwise, B::Shl)),
    numpy("Less", on_call!(el::compare, B::Lt)),
    numpy("LessEqual", on_call!(el::compare, B::Le)),
    numpy("Log", on_call!(el::float_unary, U::Log)).complex(complex::log),
    numpy("Log10", on_call!(el::log_of, U::Log10, 10.0)),
    numpy("Log1p", on_call!(el::float_unary, U::Log1p)),
    numpy("Log2", on_call!(el::log_of, U::Log2, 2.0)),
    numpy("Logaddexp", on_call!(el::logaddexp, 1.0)),
    numpy(
        "Logaddexp2",
        on_call!(el::logaddexp, std::f64::consts::LN_2),
    ),
    numpy("LogicalAnd", on_call!(el::logical, B::And)),
    numpy("LogicalNot", el::logical_not),
    numpy("LogicalOr", on_call!(el::logical, B::Or)),
    numpy("LogicalXor", on_call!(el::logical, B::Xor)),
    numpy("Maximum", on_call!(el::weak, B::Max)),
    numpy("Minimum", on_call!(el::weak, B::Min)),
    numpy("Mod", el::modulo),
    numpy("Multiply", on_call!(el::weak, B::Mul)).complex(complex::multiply),
    numpy("NanToNum", el::nan_to_num),
    numpy("Negative", on_call!(el::unary, U::Neg)).complex(complex::by_parts),
    numpy("NotEqual", on_call!(el::compare, B::Ne)).complex(complex::not_equal),
    numpy("OnesLike", on_config!(el::like, 1.0)),
    numpy("Power", el::power),
    numpy("Rad2deg", on_call!(el::scaled, 180.0, std::f64::consts::PI)),
    numpy("Real", complex::real).of_complex().hands_on(),
    numpy("Reciprocal", on_call!(el::unary, U::Reciprocal)).complex(complex::reciprocal),
    numpy("RightShift", on_call!(el::bitwise, B::Shr)),
    numpy("Round", el::round),
    numpy("SearchSorted", el::searchsorted),
    numpy("Select", el::select),
    numpy("Sign", on_call!(el::unary, U::Sign)),
    numpy("Signbit", el::signbit),
    numpy("Sin", on_call!(el::float_unary, U::Sin)),
    numpy("Sinc", el::sinc),
    numpy("Sinh", on_call!(el::float_unary, U::Sinh)),
    numpy("Sqrt", on_call!(el::float_unary, U::Sqrt)).complex(complex::sqrt),
    numpy("Square", el::square).complex(complex::square),
    numpy("Subtract", on_call!(el::weak, B::Sub)).complex(complex::subtract),
    numpy("Tan", on_call!(el::float_unary, U::Tan)),
    numpy("Tanh", on_call!(el::float_unary, U::Tanh)),
    numpy("TrueDivide", el::divide).complex(complex::divide),
    numpy("Trunc", on_call!(el::unary, U::Trunc)),
    numpy("Vander", el::vander),
    numpy("Where", el::where_).complex(complex::by_parts),
    numpy("ZerosLike", on_config!(el::like, 0.0)).complex(complex::by_parts),
    numpy("Angle", complex::angle).of_complex(),
    numpy("Gcd", el::gcd),
    numpy("I0", el::i0),
    numpy("Imag", complex::imag).of_complex(),
    numpy("Lcm", el::lcm),
    numpy("Nextafter", el::nextafter),
    numpy("View", core::view),
    // numpy: products
    numpy("Cross", linear::cross),
    numpy("Dot", linear::dot),
    numpy("Einsum", linear::einsum),
    numpy("Matmul", linear::matmul).complex(complex::matmul),
    numpy("Outer", linear::outer),
    numpy("Tensordot", linear::tensordot),
    numpy("Vdot", linear::vdot),
    numpy("Correlate", linear::correlate),
    numpy("Inner", linear::inner),
    numpy("Kron", linear::kron),
    // numpy: reductions and order
    numpy("All", on_config!(red::truth, R::All)),
    numpy("Amax", on_config!(red::extreme, R::Max)),
    numpy("Amin", on_config!(red::extreme, R::Min)),
    numpy("Any", on_config!(red::truth, R::Any)),
    numpy("Argmax", on_config!(red::arg_extreme, R::ArgMax)),
    numpy("Argmin", on_config!(red::arg_extreme, R::ArgMin)),
    numpy("Argsort", red::argsort),
    numpy("Average", red::average),
    numpy("Corrcoef", red::corrcoef),
    numpy("CountNonzero", red::count_nonzero),
    numpy("Cumprod", on_config!(red::cumulative, Cumulate::Prod)),
    numpy("Cumsum", on_config!(red::cumulative, Cumulate::Sum)).complex(complex::by_parts),
    numpy("Max", on_config!(red::extreme, R::Max)),
    numpy("Mean", red::mean).complex(complex::by_parts),
    numpy("Median", red::median),
    numpy("Min", on_config!(red::extreme, R::Min)),
    numpy("Nanargmax", on_config!(red::nan_arg_extreme, R::ArgMax)),
    numpy("Nanargmin", on_config!(red::nan_arg_extreme, R::ArgMin)),
    numpy(
        "Nancumprod",
        on_config!(red::nan_cumulative, Cumulate::Prod),
    ),
    numpy("Nancumsum", on_config!(red::nan_cumulative, Cumulate::Sum)),
    numpy("Nanmax", on_config!(red::nan_extreme, R::Max)),
    numpy("Nanmean", red::nanmean),
    numpy("Nanmin", on_config!(red::nan_extreme, R::Min)),
    numpy("Nanprod", red::nanprod),
    numpy("Nanstd", red::nanstd),
    numpy("Nansum", red::nansum),
    numpy("Nanvar", red::nanvar),
    numpy("Percentile", red::percentile),
    numpy("Prod", red::prod),
    numpy("Ptp", red::ptp),
    numpy("Quantile", red::quantile),
    numpy("Sort", red::sort),
    numpy("Std", red::std),
    numpy("Sum", red::sum).complex(complex::by_parts),
    numpy("Var", red::var),
    numpy("Argpartition", sets::argpartition),
    numpy("Bincount", sets::bincount),
    numpy("IsIn", sets::is_in),
    numpy("Nanmedian", red::nanmedian),
    numpy("Nanpercentile", on_config!(red::nan_ranks, 100.0)),
    numpy("Nanquantile", on_config!(red::nan_ranks, 1.0)),
    numpy("Slogdet", on_call!(linalg::plain, Linalg::LogDet)),
    numpy("Nonzero", sets::nonzero),
    numpy("Unique", sets::unique),
    // numpy: indexing, joining, moving
    numpy("Append", shape::append),
    numpy("ArraySplit", shape::array_split),
    numpy("BroadcastTo", shape::broadcast_to).complex(complex::by_parts),
    numpy("Concatenate", shape::concatenate).complex(complex::by_parts),
    numpy("Diag", shape::diag).complex(complex::by_parts),
    numpy("Diagflat", shape::diagflat),
    numpy("Diagonal", shape::diagonal).complex(complex::by_parts),
    numpy("Diff", shape::diff).complex(complex::by_parts),
    numpy("Dsplit", on_config!(shape::split_along, 2)),
    numpy("Dstack", shape::dstack).complex(complex::by_parts),
    numpy("ExpandDims", shape::expand_dims).complex(complex::by_parts),
    numpy("Flip", shape::flip).complex(complex::by_parts),
    numpy("Fliplr", on_call!(shape::flip_axis, 1)).complex(complex::by_parts),
    numpy("Flipud", on_call!(shape::flip_axis, 0)).complex(complex::by_parts),
    numpy("Full", shape::full),
    numpy("GetItem", shape::get_item).complex(complex::by_parts),
    numpy("Hsplit", shape::hsplit),
    numpy("Hstack", shape::hstack).complex(complex::by_parts),
    numpy("Linspace", shape::linspace),
    numpy("Logspace", shape::logspace),
    numpy("Meshgrid", shape::meshgrid),
    numpy("Moveaxis", shape::moveaxis)
        .complex(complex::by_parts)
        .hands_on(),
    numpy("Ndim", shape::ndim),
    numpy("Pad", shape::pad).complex(complex::by_parts),
    numpy("Ravel", shape::ravel).complex(complex::by_parts),
    numpy("Repeat", shape::repeat).complex(complex::by_parts),
    numpy("Reshape", shape::reshape).complex(complex::by_parts),
    numpy("Roll", shape::roll).complex(complex::by_parts),
    numpy("Rot90", shape::rot90).complex(complex::by_parts),
    numpy("Size", shape::size),
    numpy("Split", shape::split).complex(complex::by_parts),
    numpy("Squeeze", shape::squeeze).complex(complex::by_parts),
    numpy("Stack", shape::stacked).complex(complex::by_parts),
    numpy("Swapaxes", shape::swapaxes)
        .complex(complex::by_parts)
        .hands_on(),
    numpy("Take", shape::take).complex(complex::by_parts),
    numpy("TakeAlongAxis", shape::take_along_axis).complex(complex::by_parts),
    numpy("Tile", shape::tile).complex(complex::by_parts),
    numpy("Trace", shape::trace).complex(complex::by_parts),
    numpy("Transpose", shape::transpose).complex(complex::by_parts),
    numpy("Trapezoid", shape::trapezoid),
    numpy("Tril", |cx, cfg, c| {
        shape::triangle(cx, cfg, c, |i, j, k| j <= i + k)
    })
    .complex(complex::by_parts),
    numpy("Triu", |cx, cfg, c| {
        shape::triangle(cx, cfg, c, |i, j, k| j >= i + k)
    })
    .complex(complex::by_parts),
    numpy("UnravelIndex", shape::unravel_index),
    numpy("Vsplit", on_config!(shape::split_along, 0)),
    numpy("Vstack", shape::vstack).complex(complex::by_parts),
    numpy("Geomspace", shape::geomspace),
    // core
    core("Cast", complex::cast).of_complex().hands_on(),
    core("ConvertToTensor", core::convert_to_tensor)
        .complex(complex::by_parts)
        .hands_on(),
    core("SaturateCast", core::saturate_cast),
    core("Map", map::map).note(MAPPED),
    core("Scatter", shape::scatter),
    core("ScatterUpdate", shape::scatter_update),
    core("Slice", shape::slice).complex(complex::by_parts),
    core("StopGradient", core::stop_gradient).complex(complex::by_parts),
    core("VectorizedMap", map::vectorized_map).note(MAPPED),
    core("Unstack", shape::unstack).complex(complex::by_parts),
    core("SliceUpdate", shape::slice_update),
    // linalg
    linalg("Norm", linalg::norm),
    linalg("Cholesky", linalg::cholesky),
    linalg("CholeskyInverse", linalg::cholesky_inverse),
    linalg("Det", on_call!(linalg::plain, Linalg::Det)),
    linalg("Eigh", on_call!(linalg::plain, Linalg::Eigh)),
    linalg("Inv", linalg::inv),
    linalg("Lstsq", linalg::lstsq),
    linalg("LuFactor", on_call!(linalg::plain, Linalg::Lu)),
    linalg("MatrixRank", linalg::matrix_rank),
    linalg("Pinv", linalg::pinv),
    linalg("Qr", linalg::qr),
    linalg("SVD", linalg::svd),
    linalg("Solve", linalg::solve),
    linalg("SolveTriangular", linalg::solve_triangular),
    // fft
    math("ExtractSequences", fft::extract_sequences),
    math("FFT", fft::fft),
    math("FFT2", fft::fft2),
    math("IFFT2", fft::ifft2),
    math("IRFFT", fft::irfft),
    math("ISTFT", fft::istft),
    math("RFFT", fft::rfft),
    math("STFT", fft::stft),
    // image
    image("AffineTransform", image::affine_transform),
    image("CropImages", image::crop_images),
    image("ElasticTransform", image::elastic_transform).note("with a seed"),
    image("ExtractPatches", image::extract_patches),
    image("GaussianBlur", image::gaussian_blur),
    image("HSVToRGB", image::hsv_to_rgb),
    image("MapCoordinates", image::map_coordinates),
    image("PadImages", image::pad_images),
    image("PerspectiveTransform", image::perspective_transform),
    image("RGBToGrayscale", image::rgb_to_grayscale),
    image("RGBToHSV", image::rgb_to_hsv),
    image("Resize", image::resize),
    image("SSIM", image::ssim),
    image("ScaleAndTranslate", image::scale_and_translate),
    image("SobelEdges", image::sobel_edges),
    // nn: windows
    nn(
        "AdaptiveAveragePool",
        on_config!(windows::adaptive_pool, PoolKind::Average),
    ),
    nn(
        "AdaptiveMaxPool",
        on_config!(windows::adaptive_pool, PoolKind::Max),
    ),
    nn("AveragePool", on_config!(windows::pool, PoolKind::Average)),
    nn("Conv", windows::conv),
    nn("ConvTranspose", windows::conv_transpose),
    nn("DepthwiseConv", windows::depthwise_conv),
    nn("Fold", windows::fold),
    nn("MaxPool", on_config!(windows::pool, PoolKind::Max)),
    nn("PSNR", windows::psnr),
    nn("SeparableConv", windows::separable_conv),
    nn("Unfold", windows::unfold),
    // math
    math("CDist", core::cdist),
    math("ViewAsReal", complex::view_as_real).of_complex(),
    math("Erf", on_call!(el::float_unary, U::Erf)),
    math("Erfc", core::erfc),
    math("Erfinv", on_call!(el::float_unary, U::Erfinv)),
    math("InTopK", core::in_top_k),
    math("Logsumexp", red::logsumexp),
    math("Rsqrt", on_call!(el::float_unary, U::Rsqrt)),
    math("TopK", red::top_k),
    math("Logdet", linalg::logdet),
    math("SegmentMax", on_config!(segments::reduced, R::Max)),
    math("SegmentMin", on_config!(segments::reduced, R::Min)),
    math("SegmentProd", on_config!(segments::reduced, R::Prod)),
    math("SegmentSum", on_config!(segments::reduced, R::Sum)),
    // nn
    nn("BatchNorm", nn::batch_norm),
    nn("Polar", complex::polar),
    nn("Celu", nn::celu),
    nn("DepthToSpace", on_config!(nn::depth_space, true)),
    nn("DotProductAttention", nn::dot_product_attention),
    nn("Elu", nn::elu),
    nn("Gelu", nn::gelu),
    nn("Glu", nn::glu),
    nn("HardShrink", nn::hard_shrink),
    nn("HardSigmoid", on_call!(nn::activation, A::HardSigmoid)),
    nn("HardSilu", on_call!(nn::activation, A::HardSilu)),
    nn("HardTanh", on_call!(nn::activation, A::HardTanh)),
    nn("LayerNorm", nn::layer_norm),
    nn("LeakyRelu", nn::leaky_relu),
    nn("LogSigmoid", on_call!(nn::activation, A::LogSigmoid)),
    nn("LogSoftmax", on_config!(nn::softmax, true)),
    nn("Moments", nn::moments),
    nn("MultiHot", nn::multi_hot),
    nn("Normalize", nn::normalize),
    nn("OneHot", nn::one_hot),
    nn("RMSNorm", nn::rms_norm),
    nn("Relu", on_call!(el::unary, U::Relu)),
    nn(
        "Relu6",
        on_call!(
            nn::activation,
            A::Relu {
                slope: 0.0,
                max: Some(6.0),
                threshold: 0.0,
            }
        ),
    ),
    nn("Selu", on_call!(el::unary, U::Selu)),
    nn("Sigmoid", on_call!(el::unary, U::Sigmoid)),
    nn("Silu", on_call!(el::unary, U::Silu)),
    nn("SoftShrink", nn::soft_shrink),
    nn("Softmax", on_config!(nn::softmax, false)),
    nn("Softplus", on_call!(el::unary, U::Softplus)),
    nn("Softsign", on_call!(nn::activation, A::Softsign)),
    nn("SpaceToDepth", on_config!(nn::depth_space, false)),
    nn("SparsePlus", on_call!(nn::activation, A::SparsePlus)),
    nn("SparseSigmoid", on_call!(nn::activation, A::SparseSigmoid)),
    nn("Sparsemax", nn::sparsemax),
    nn("Squareplus", nn::squareplus),
    nn("TanhShrink", on_call!(nn::activation, A::TanhShrink)),
    nn("Threshold", nn::threshold),
    nn("BinaryCrossentropy", losses::binary_crossentropy),
    nn("CTCDecode", losses::ctc_decode),
    nn("CTCLoss", losses::ctc_loss),
    nn("CategoricalCrossentropy", losses::categorical_crossentropy),
    nn(
        "SparseCategoricalCrossentropy",
        losses::sparse_categorical_crossentropy,
    ),
    // beside keras.ops
    op("activations", "Mish", on_call!(nn::activation, A::Mish)),
    op("activations", "ReLU", nn::relu),
    op("quantizers", "FakeQuantWithMinMaxVars", nn::fake_quant),
    // einops
    op("einops", "Rearrange", shape::rearrange),
    // refused
    refused("core", "AssociativeScan", FUNCTION),
    refused("core", "Cond", FUNCTION),
    refused("core", "ForiLoop", FUNCTION),
    refused("core", "Scan", FUNCTION),
    refused("core", "Switch", FUNCTION),
    refused("core", "WhileLoop", FUNCTION),
    refused("linalg", "JVP", FUNCTION),
    refused(
        "linalg",
        "Eig",
        "gives complex numbers in an order that is not known",
    ),
    refused("math", "ViewAsComplex", FAILS),
    refused("numpy", "Arange", CONSTANT),
    refused("numpy", "Histogram", FAILS),
];

/// The entry of a class.
pub fn find(class: &str) -> Option<&'static OpDef> {
    OPS.iter().find(|d| d.class == class)
}
