//! The table of `keras.ops` classes that stand as nodes in functional graphs:
//! one line a class, one file a module of `keras.ops`.

pub mod args;
mod complex;
mod core;
mod fft;
pub mod image;
mod linalg;
mod losses;
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
        complex: false,
    }
}

/// An entry of an operation that can't be run, and why.
const fn refused(module: &'static str, class: &'static str, note: &'static str) -> OpDef {
    OpDef {
        class,
        module,
        lower: None,
        note,
        complex: false,
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

const SEGMENTS: &str = "the number of segments must be known before the run";
const FUNCTION: &str = "calls a Python function, which is not in the file";
const FAILS: &str = "fails in Keras on TensorFlow";
const CONSTANT: &str = "gives no tensor that a model could hold";
const SIZE: &str = "gives a size that depends on the data";

pub static OPS: &[OpDef] = &[
    // numpy: elementwise
    numpy("Abs", complex::absolute).of_complex(),
    numpy("Absolute", complex::absolute).of_complex(),
    numpy("Add", el::add),
    numpy("AllClose", el::allclose),
    numpy("Arccos", |cx, _, c| el::float_unary(cx, c, U::Acos)),
    numpy("Arccosh", |cx, _, c| el::float_unary(cx, c, U::Acosh)),
    numpy("Arcsin", |cx, _, c| el::float_unary(cx, c, U::Asin)),
    numpy("Arcsinh", |cx, _, c| el::float_unary(cx, c, U::Asinh)),
    numpy("Arctan", |cx, _, c| el::float_unary(cx, c, U::Atan)),
    numpy("Arctan2", el::arctan2),
    numpy("Arctanh", |cx, _, c| el::float_unary(cx, c, U::Atanh)),
    numpy("Array", core::convert_to_tensor),
    numpy("BitwiseAnd", |cx, _, c| el::bitwise(cx, c, B::And)),
    numpy("BitwiseInvert", |cx, _, c| el::unary(cx, c, U::Not)),
    numpy("BitwiseLeftShift", |cx, _, c| el::bitwise(cx, c, B::Shl)),
    numpy("BitwiseNot", |cx, _, c| el::unary(cx, c, U::Not)),
    numpy("BitwiseOr", |cx, _, c| el::bitwise(cx, c, B::Or)),
    numpy("BitwiseRightShift", |cx, _, c| el::bitwise(cx, c, B::Shr)),
    numpy("BitwiseXor", |cx, _, c| el::bitwise(cx, c, B::Xor)),
    numpy("Cbrt", el::cbrt),
    numpy("Ceil", |cx, _, c| el::float_unary(cx, c, U::Ceil)),
    numpy("Clip", el::clip),
    numpy("Conj", complex::conjugate).of_complex(),
    numpy("Conjugate", complex::conjugate).of_complex(),
    numpy("Copy", el::identity),
    numpy("Cos", |cx, _, c| el::float_unary(cx, c, U::Cos)),
    numpy("Cosh", |cx, _, c| el::float_unary(cx, c, U::Cosh)),
    numpy("Deg2rad", |cx, _, c| {
        el::scaled(cx, c, std::f64::consts::PI, 180.0)
    }),
    numpy("Digitize", el::digitize),
    numpy("Divide", el::divide),
    numpy("DivideNoNan", el::divide_no_nan),
    numpy("EmptyLike", |cx, cfg, c| el::like(cx, cfg, c, 0.0)),
    numpy("Equal", |cx, _, c| el::compare(cx, c, B::Eq)),
    numpy("Exp", |cx, _, c| el::float_unary(cx, c, U::Exp)),
    numpy("Exp2", |cx, _, c| el::float_unary(cx, c, U::Exp2)),
    numpy("Expm1", |cx, _, c| el::float_unary(cx, c, U::Expm1)),
    numpy("Fabs", |cx, _, c| el::float_unary(cx, c, U::Abs)),
    numpy("Floor", |cx, _, c| el::float_unary(cx, c, U::Floor)),
    numpy("FloorDivide", |cx, _, c| el::weak(cx, c, B::FloorDiv)),
    numpy("Fmax", |cx, _, c| el::nan_last(cx, c, B::Max)),
    numpy("Fmin", |cx, _, c| el::nan_last(cx, c, B::Min)),
    numpy("Fmod", el::fmod),
    numpy("FullLike", el::full_like),
    numpy("Greater", |cx, _, c| el::compare(cx, c, B::Gt)),
    numpy("GreaterEqual", |cx, _, c| el::compare(cx, c, B::Ge)),
    numpy("Heaviside", el::heaviside),
    numpy("Hypot", el::hypot),
    numpy("Isclose", el::isclose),
    numpy("Isfinite", |cx, _, c| el::test(cx, c, U::IsFinite)),
    numpy("Isinf", |cx, _, c| el::test(cx, c, U::IsInf)),
    numpy("Isnan", |cx, _, c| el::test(cx, c, U::IsNan)),
    numpy("Isneginf", |cx, _, c| {
        el::is_infinity(cx, c, f64::NEG_INFINITY)
    }),
    numpy("Isposinf", |cx, _, c| el::is_infinity(cx, c, f64::INFINITY)),
    numpy("Isreal", el::isreal),
    numpy("Ldexp", el::ldexp),
    numpy("LeftShift", |cx, _, c| el::bitwise(cx, c, B::Shl)),
    numpy("Less", |cx, _, c| el::compare(cx, c, B::Lt)),
    numpy("LessEqual", |cx, _, c| el::compare(cx, c, B::Le)),
    numpy("Log", |cx, _, c| el::float_unary(cx, c, U::Log)),
    numpy("Log10", |cx, _, c| el::log_of(cx, c, U::Log10, 10.0)),
    numpy("Log1p", |cx, _, c| el::float_unary(cx, c, U::Log1p)),
    numpy("Log2", |cx, _, c| el::log_of(cx, c, U::Log2, 2.0)),
    numpy("Logaddexp", |cx, _, c| el::logaddexp(cx, c, 1.0)),
    numpy("Logaddexp2", |cx, _, c| {
        el::logaddexp(cx, c, std::f64::consts::LN_2)
    }),
    numpy("LogicalAnd", |cx, _, c| el::logical(cx, c, B::And)),
    numpy("LogicalNot", el::logical_not),
    numpy("LogicalOr", |cx, _, c| el::logical(cx, c, B::Or)),
    numpy("LogicalXor", |cx, _, c| el::logical(cx, c, B::Xor)),
    numpy("Maximum", |cx, _, c| el::weak(cx, c, B::Max)),
    numpy("Minimum", |cx, _, c| el::weak(cx, c, B::Min)),
    numpy("Mod", el::modulo),
    numpy("Multiply", |cx, _, c| el::weak(cx, c, B::Mul)),
    numpy("NanToNum", el::nan_to_num),
    numpy("Negative", |cx, _, c| el::unary(cx, c, U::Neg)),
    numpy("NotEqual", |cx, _, c| el::compare(cx, c, B::Ne)),
    numpy("OnesLike", |cx, cfg, c| el::like(cx, cfg, c, 1.0)),
    numpy("Power", el::power),
    numpy("Rad2deg", |cx, _, c| {
        el::scaled(cx, c, 180.0, std::f64::consts::PI)
    }),
    numpy("Real", complex::real).of_complex(),
    numpy("Reciprocal", |cx, _, c| el::unary(cx, c, U::Reciprocal)),
    numpy("RightShift", |cx, _, c| el::bitwise(cx, c, B::Shr)),
    numpy("Round", el::round),
    numpy("SearchSorted", el::searchsorted),
    numpy("Select", el::select),
    numpy("Sign", |cx, _, c| el::unary(cx, c, U::Sign)),
    numpy("Signbit", el::signbit),
    numpy("Sin", |cx, _, c| el::float_unary(cx, c, U::Sin)),
    numpy("Sinc", el::sinc),
    numpy("Sinh", |cx, _, c| el::float_unary(cx, c, U::Sinh)),
    numpy("Sqrt", |cx, _, c| el::float_unary(cx, c, U::Sqrt)),
    numpy("Square", el::square),
    numpy("Subtract", |cx, _, c| el::weak(cx, c, B::Sub)),
    numpy("Tan", |cx, _, c| el::float_unary(cx, c, U::Tan)),
    numpy("Tanh", |cx, _, c| el::float_unary(cx, c, U::Tanh)),
    numpy("TrueDivide", el::divide),
    numpy("Trunc", |cx, _, c| el::unary(cx, c, U::Trunc)),
    numpy("Vander", el::vander),
    numpy("Where", el::where_),
    numpy("ZerosLike", |cx, cfg, c| el::like(cx, cfg, c, 0.0)),
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
    numpy("Matmul", linear::matmul),
    numpy("Outer", linear::outer),
    numpy("Tensordot", linear::tensordot),
    numpy("Vdot", linear::vdot),
    numpy("Correlate", linear::correlate),
    numpy("Inner", linear::inner),
    numpy("Kron", linear::kron),
    // numpy: reductions and order
    numpy("All", |cx, cfg, c| red::truth(cx, cfg, c, R::All)),
    numpy("Amax", |cx, cfg, c| red::extreme(cx, cfg, c, R::Max)),
    numpy("Amin", |cx, cfg, c| red::extreme(cx, cfg, c, R::Min)),
    numpy("Any", |cx, cfg, c| red::truth(cx, cfg, c, R::Any)),
    numpy("Argmax", |cx, cfg, c| {
        red::arg_extreme(cx, cfg, c, R::ArgMax)
    }),
    numpy("Argmin", |cx, cfg, c| {
        red::arg_extreme(cx, cfg, c, R::ArgMin)
    }),
    numpy("Argsort", red::argsort),
    numpy("Average", red::average),
    numpy("Corrcoef", red::corrcoef),
    numpy("CountNonzero", red::count_nonzero),
    numpy("Cumprod", |cx, cfg, c| {
        red::cumulative(cx, cfg, c, Cumulate::Prod)
    }),
    numpy("Cumsum", |cx, cfg, c| {
        red::cumulative(cx, cfg, c, Cumulate::Sum)
    }),
    numpy("Max", |cx, cfg, c| red::extreme(cx, cfg, c, R::Max)),
    numpy("Mean", red::mean),
    numpy("Median", red::median),
    numpy("Min", |cx, cfg, c| red::extreme(cx, cfg, c, R::Min)),
    numpy("Nanargmax", |cx, cfg, c| {
        red::nan_arg_extreme(cx, cfg, c, R::ArgMax)
    }),
    numpy("Nanargmin", |cx, cfg, c| {
        red::nan_arg_extreme(cx, cfg, c, R::ArgMin)
    }),
    numpy("Nancumprod", |cx, cfg, c| {
        red::nan_cumulative(cx, cfg, c, Cumulate::Prod)
    }),
    numpy("Nancumsum", |cx, cfg, c| {
        red::nan_cumulative(cx, cfg, c, Cumulate::Sum)
    }),
    numpy("Nanmax", |cx, cfg, c| red::nan_extreme(cx, cfg, c, R::Max)),
    numpy("Nanmean", red::nanmean),
    numpy("Nanmin", |cx, cfg, c| red::nan_extreme(cx, cfg, c, R::Min)),
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
    numpy("Sum", red::sum),
    numpy("Var", red::var),
    numpy("Argpartition", sets::argpartition),
    numpy("Bincount", sets::bincount).note("with a minlength, which no value reaches"),
    numpy("IsIn", sets::is_in),
    numpy("Nanmedian", red::nanmedian),
    numpy("Nanpercentile", |cx, cfg, c| {
        red::nan_ranks(cx, cfg, c, 100.0)
    }),
    numpy("Nanquantile", |cx, cfg, c| red::nan_ranks(cx, cfg, c, 1.0)),
    numpy("Slogdet", |cx, _, c| linalg::plain(cx, c, Linalg::LogDet)),
    numpy("Unique", sets::unique).note("with a size, of all elements"),
    // numpy: indexing, joining, moving
    numpy("Append", shape::append),
    numpy("ArraySplit", shape::array_split),
    numpy("BroadcastTo", shape::broadcast_to),
    numpy("Concatenate", shape::concatenate),
    numpy("Diag", shape::diag),
    numpy("Diagflat", shape::diagflat),
    numpy("Diagonal", shape::diagonal),
    numpy("Diff", shape::diff),
    numpy("Dsplit", |cx, cfg, c| shape::split_along(cx, cfg, c, 2)),
    numpy("Dstack", shape::dstack),
    numpy("ExpandDims", shape::expand_dims),
    numpy("Flip", shape::flip),
    numpy("Fliplr", |cx, _, c| shape::flip_axis(cx, c, 1)),
    numpy("Flipud", |cx, _, c| shape::flip_axis(cx, c, 0)),
    numpy("Full", shape::full),
    numpy("GetItem", shape::get_item),
    numpy("Hsplit", shape::hsplit),
    numpy("Hstack", shape::hstack),
    numpy("Linspace", shape::linspace),
    numpy("Logspace", shape::logspace),
    numpy("Meshgrid", shape::meshgrid),
    numpy("Moveaxis", shape::moveaxis),
    numpy("Ndim", shape::ndim),
    numpy("Pad", shape::pad),
    numpy("Ravel", shape::ravel),
    numpy("Repeat", shape::repeat),
    numpy("Reshape", shape::reshape),
    numpy("Roll", shape::roll),
    numpy("Rot90", shape::rot90),
    numpy("Size", shape::size),
    numpy("Split", shape::split),
    numpy("Squeeze", shape::squeeze),
    numpy("Stack", shape::stacked),
    numpy("Swapaxes", shape::swapaxes),
    numpy("Take", shape::take),
    numpy("TakeAlongAxis", shape::take_along_axis),
    numpy("Tile", shape::tile),
    numpy("Trace", shape::trace),
    numpy("Transpose", shape::transpose),
    numpy("Trapezoid", shape::trapezoid),
    numpy("Tril", |cx, cfg, c| {
        shape::triangle(cx, cfg, c, |i, j, k| j <= i + k)
    }),
    numpy("Triu", |cx, cfg, c| {
        shape::triangle(cx, cfg, c, |i, j, k| j >= i + k)
    }),
    numpy("UnravelIndex", shape::unravel_index),
    numpy("Vsplit", |cx, cfg, c| shape::split_along(cx, cfg, c, 0)),
    numpy("Vstack", shape::vstack),
    numpy("Geomspace", shape::geomspace),
    // core
    core("Cast", complex::cast).of_complex(),
    core("ConvertToTensor", core::convert_to_tensor),
    core("SaturateCast", core::saturate_cast),
    core("Scatter", shape::scatter),
    core("ScatterUpdate", shape::scatter_update),
    core("Slice", shape::slice),
    core("StopGradient", core::stop_gradient),
    core("Unstack", shape::unstack),
    core("SliceUpdate", shape::slice_update),
    // linalg
    linalg("Norm", linalg::norm),
    linalg("Cholesky", linalg::cholesky),
    linalg("CholeskyInverse", linalg::cholesky_inverse),
    linalg("Det", |cx, _, c| linalg::plain(cx, c, Linalg::Det)),
    linalg("Eigh", |cx, _, c| linalg::plain(cx, c, Linalg::Eigh)),
    linalg("Inv", linalg::inv),
    linalg("Lstsq", linalg::lstsq),
    linalg("LuFactor", |cx, _, c| linalg::plain(cx, c, Linalg::Lu)),
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
    nn("AdaptiveAveragePool", |cx, cfg, c| {
        windows::adaptive_pool(cx, cfg, c, PoolKind::Average)
    }),
    nn("AdaptiveMaxPool", |cx, cfg, c| {
        windows::adaptive_pool(cx, cfg, c, PoolKind::Max)
    }),
    nn("AveragePool", |cx, cfg, c| {
        windows::pool(cx, cfg, c, PoolKind::Average)
    }),
    nn("Conv", windows::conv),
    nn("ConvTranspose", windows::conv_transpose),
    nn("DepthwiseConv", windows::depthwise_conv),
    nn("Fold", windows::fold),
    nn("MaxPool", |cx, cfg, c| {
        windows::pool(cx, cfg, c, PoolKind::Max)
    }),
    nn("PSNR", windows::psnr),
    nn("SeparableConv", windows::separable_conv),
    nn("Unfold", windows::unfold),
    // math
    math("CDist", core::cdist),
    math("ViewAsReal", complex::view_as_real).of_complex(),
    math("Erf", |cx, _, c| el::float_unary(cx, c, U::Erf)),
    math("Erfc", core::erfc),
    math("Erfinv", |cx, _, c| el::float_unary(cx, c, U::Erfinv)),
    math("InTopK", core::in_top_k),
    math("Logsumexp", red::logsumexp),
    math("Rsqrt", |cx, _, c| el::float_unary(cx, c, U::Rsqrt)),
    math("TopK", red::top_k),
    math("Logdet", linalg::logdet),
    math("SegmentMax", |cx, cfg, c| {
        segments::reduced(cx, cfg, c, R::Max)
    })
    .note(SEGMENTS),
    math("SegmentMin", |cx, cfg, c| {
        segments::reduced(cx, cfg, c, R::Min)
    })
    .note(SEGMENTS),
    math("SegmentProd", |cx, cfg, c| {
        segments::reduced(cx, cfg, c, R::Prod)
    })
    .note(SEGMENTS),
    math("SegmentSum", |cx, cfg, c| {
        segments::reduced(cx, cfg, c, R::Sum)
    })
    .note(SEGMENTS),
    // nn
    nn("BatchNorm", nn::batch_norm),
    nn("Polar", complex::polar),
    nn("Celu", nn::celu),
    nn("DepthToSpace", |cx, cfg, c| {
        nn::depth_space(cx, cfg, c, true)
    }),
    nn("DotProductAttention", nn::dot_product_attention),
    nn("Elu", nn::elu),
    nn("Gelu", nn::gelu),
    nn("Glu", nn::glu),
    nn("HardShrink", nn::hard_shrink),
    nn("HardSigmoid", |cx, _, c| {
        nn::activation(cx, c, A::HardSigmoid)
    }),
    nn("HardSilu", |cx, _, c| nn::activation(cx, c, A::HardSilu)),
    nn("HardTanh", |cx, _, c| nn::activation(cx, c, A::HardTanh)),
    nn("LayerNorm", nn::layer_norm),
    nn("LeakyRelu", nn::leaky_relu),
    nn("LogSigmoid", |cx, _, c| {
        nn::activation(cx, c, A::LogSigmoid)
    }),
    nn("LogSoftmax", |cx, cfg, c| nn::softmax(cx, cfg, c, true)),
    nn("Moments", nn::moments),
    nn("MultiHot", nn::multi_hot),
    nn("Normalize", nn::normalize),
    nn("OneHot", nn::one_hot),
    nn("RMSNorm", nn::rms_norm),
    nn("Relu", |cx, _, c| el::unary(cx, c, U::Relu)),
    nn("Relu6", |cx, _, c| {
        nn::activation(
            cx,
            c,
            A::Relu {
                slope: 0.0,
                max: Some(6.0),
                threshold: 0.0,
            },
        )
    }),
    nn("Selu", |cx, _, c| el::unary(cx, c, U::Selu)),
    nn("Sigmoid", |cx, _, c| el::unary(cx, c, U::Sigmoid)),
    nn("Silu", |cx, _, c| el::unary(cx, c, U::Silu)),
    nn("SoftShrink", nn::soft_shrink),
    nn("Softmax", |cx, cfg, c| nn::softmax(cx, cfg, c, false)),
    nn("Softplus", |cx, _, c| el::unary(cx, c, U::Softplus)),
    nn("Softsign", |cx, _, c| nn::activation(cx, c, A::Softsign)),
    nn("SpaceToDepth", |cx, cfg, c| {
        nn::depth_space(cx, cfg, c, false)
    }),
    nn("SparsePlus", |cx, _, c| {
        nn::activation(cx, c, A::SparsePlus)
    }),
    nn("SparseSigmoid", |cx, _, c| {
        nn::activation(cx, c, A::SparseSigmoid)
    }),
    nn("Sparsemax", nn::sparsemax),
    nn("Squareplus", nn::squareplus),
    nn("TanhShrink", |cx, _, c| {
        nn::activation(cx, c, A::TanhShrink)
    }),
    nn("Threshold", nn::threshold),
    nn("BinaryCrossentropy", losses::binary_crossentropy),
    nn("CTCDecode", losses::ctc_decode).note("the greedy strategy"),
    nn("CTCLoss", losses::ctc_loss),
    nn("CategoricalCrossentropy", losses::categorical_crossentropy),
    nn(
        "SparseCategoricalCrossentropy",
        losses::sparse_categorical_crossentropy,
    ),
    // beside keras.ops
    op("activations", "Mish", |cx, _, c| {
        nn::activation(cx, c, A::Mish)
    }),
    op("activations", "ReLU", nn::relu),
    op("quantizers", "FakeQuantWithMinMaxVars", nn::fake_quant),
    // einops
    op("einops", "Rearrange", shape::rearrange),
    // refused
    refused("core", "AssociativeScan", FUNCTION),
    refused("core", "Cond", FUNCTION),
    refused("core", "ForiLoop", FUNCTION),
    refused("core", "Map", FUNCTION),
    refused("core", "Scan", FUNCTION),
    refused("core", "Switch", FUNCTION),
    refused("core", "VectorizedMap", FUNCTION),
    refused("core", "WhileLoop", FUNCTION),
    refused("linalg", "JVP", FUNCTION),
    refused(
        "linalg",
        "Eig",
        "gives complex numbers in an order that is not known",
    ),
    refused("math", "ViewAsComplex", FAILS),
    refused(
        "image",
        "ElasticTransform",
        "draws TensorFlow's random numbers",
    ),
    refused("numpy", "Arange", CONSTANT),
    refused("numpy", "Nonzero", SIZE),
    refused("numpy", "Histogram", FAILS),
];

/// The entry of a class.
pub fn find(class: &str) -> Option<&'static OpDef> {
    OPS.iter().find(|d| d.class == class)
}
