//! The table of `keras.ops` classes that stand as nodes in functional graphs:
//! one line a class, one file a module of `keras.ops`.

mod args;
mod core;
mod fft;
mod image;
mod nn;
mod numpy;
mod warp;
mod windows;

use self::numpy::{elementwise as el, linear, reduce as red, shape};
use super::activations::Activation as A;
use super::cfg::short;
use super::layer::OpDef;
use crate::error::Result;
use crate::graph::{Binary as B, Cumulate, PoolKind, Reduce as R, Unary as U};
use crate::keras::{Call, Cfg, Cx, Out};

pub use self::numpy::elementwise::sum;
pub use args::convert;
pub use numpy::elementwise::bucket;

type Lower = fn(&mut Cx, &Cfg, &Call) -> Result<Out>;

const fn op(class: &'static str, lower: Lower) -> OpDef {
    OpDef { class, lower }
}

pub static OPS: &[OpDef] = &[
    // numpy: elementwise
    op("Abs", el::absolute),
    op("Absolute", el::absolute),
    op("Add", el::add),
    op("AllClose", el::allclose),
    op("Arccos", |cx, _, c| el::float_unary(cx, c, U::Acos)),
    op("Arccosh", |cx, _, c| el::float_unary(cx, c, U::Acosh)),
    op("Arcsin", |cx, _, c| el::float_unary(cx, c, U::Asin)),
    op("Arcsinh", |cx, _, c| el::float_unary(cx, c, U::Asinh)),
    op("Arctan", |cx, _, c| el::float_unary(cx, c, U::Atan)),
    op("Arctan2", el::arctan2),
    op("Arctanh", |cx, _, c| el::float_unary(cx, c, U::Atanh)),
    op("Array", core::convert_to_tensor),
    op("BitwiseAnd", |cx, _, c| el::bitwise(cx, c, B::And)),
    op("BitwiseInvert", |cx, _, c| el::unary(cx, c, U::Not)),
    op("BitwiseLeftShift", |cx, _, c| el::bitwise(cx, c, B::Shl)),
    op("BitwiseNot", |cx, _, c| el::unary(cx, c, U::Not)),
    op("BitwiseOr", |cx, _, c| el::bitwise(cx, c, B::Or)),
    op("BitwiseRightShift", |cx, _, c| el::bitwise(cx, c, B::Shr)),
    op("BitwiseXor", |cx, _, c| el::bitwise(cx, c, B::Xor)),
    op("Cbrt", el::cbrt),
    op("Ceil", |cx, _, c| el::float_unary(cx, c, U::Ceil)),
    op("Clip", el::clip),
    op("Conj", el::identity),
    op("Conjugate", el::identity),
    op("Copy", el::identity),
    op("Cos", |cx, _, c| el::float_unary(cx, c, U::Cos)),
    op("Cosh", |cx, _, c| el::float_unary(cx, c, U::Cosh)),
    op("Deg2rad", |cx, _, c| {
        el::scaled(cx, c, std::f64::consts::PI / 180.0)
    }),
    op("Digitize", el::digitize),
    op("Divide", el::divide),
    op("DivideNoNan", el::divide_no_nan),
    op("EmptyLike", |cx, cfg, c| el::like(cx, cfg, c, 0.0)),
    op("Equal", |cx, _, c| el::compare(cx, c, B::Eq)),
    op("Exp", |cx, _, c| el::float_unary(cx, c, U::Exp)),
    op("Exp2", |cx, _, c| el::float_unary(cx, c, U::Exp2)),
    op("Expm1", |cx, _, c| el::float_unary(cx, c, U::Expm1)),
    op("Fabs", |cx, _, c| el::float_unary(cx, c, U::Abs)),
    op("Floor", |cx, _, c| el::float_unary(cx, c, U::Floor)),
    op("FloorDivide", |cx, _, c| el::weak(cx, c, B::FloorDiv)),
    op("Fmax", |cx, _, c| el::nan_last(cx, c, B::Max)),
    op("Fmin", |cx, _, c| el::nan_last(cx, c, B::Min)),
    op("Fmod", el::fmod),
    op("FullLike", el::full_like),
    op("Greater", |cx, _, c| el::compare(cx, c, B::Gt)),
    op("GreaterEqual", |cx, _, c| el::compare(cx, c, B::Ge)),
    op("Heaviside", el::heaviside),
    op("Hypot", el::hypot),
    op("Isclose", el::isclose),
    op("Isfinite", |cx, _, c| el::test(cx, c, U::IsFinite)),
    op("Isinf", |cx, _, c| el::test(cx, c, U::IsInf)),
    op("Isnan", |cx, _, c| el::test(cx, c, U::IsNan)),
    op("Isneginf", |cx, _, c| {
        el::is_infinity(cx, c, f64::NEG_INFINITY)
    }),
    op("Isposinf", |cx, _, c| el::is_infinity(cx, c, f64::INFINITY)),
    op("Isreal", el::isreal),
    op("Ldexp", el::ldexp),
    op("LeftShift", |cx, _, c| el::bitwise(cx, c, B::Shl)),
    op("Less", |cx, _, c| el::compare(cx, c, B::Lt)),
    op("LessEqual", |cx, _, c| el::compare(cx, c, B::Le)),
    op("Log", |cx, _, c| el::float_unary(cx, c, U::Log)),
    op("Log10", |cx, _, c| el::float_unary(cx, c, U::Log10)),
    op("Log1p", |cx, _, c| el::float_unary(cx, c, U::Log1p)),
    op("Log2", |cx, _, c| el::float_unary(cx, c, U::Log2)),
    op("Logaddexp", |cx, _, c| el::logaddexp(cx, c, 1.0)),
    op("Logaddexp2", |cx, _, c| {
        el::logaddexp(cx, c, std::f64::consts::LN_2)
    }),
    op("LogicalAnd", |cx, _, c| el::logical(cx, c, B::And)),
    op("LogicalNot", el::logical_not),
    op("LogicalOr", |cx, _, c| el::logical(cx, c, B::Or)),
    op("LogicalXor", |cx, _, c| el::logical(cx, c, B::Xor)),
    op("Maximum", |cx, _, c| el::weak(cx, c, B::Max)),
    op("Minimum", |cx, _, c| el::weak(cx, c, B::Min)),
    op("Mod", el::modulo),
    op("Multiply", |cx, _, c| el::weak(cx, c, B::Mul)),
    op("NanToNum", el::nan_to_num),
    op("Negative", |cx, _, c| el::unary(cx, c, U::Neg)),
    op("NotEqual", |cx, _, c| el::compare(cx, c, B::Ne)),
    op("OnesLike", |cx, cfg, c| el::like(cx, cfg, c, 1.0)),
    op("Power", el::power),
    op("Rad2deg", |cx, _, c| {
        el::scaled(cx, c, 180.0 / std::f64::consts::PI)
    }),
    op("Real", el::identity),
    op("Reciprocal", |cx, _, c| el::unary(cx, c, U::Reciprocal)),
    op("RightShift", |cx, _, c| el::bitwise(cx, c, B::Shr)),
    op("Round", el::round),
    op("SearchSorted", el::searchsorted),
    op("Select", el::select),
    op("Sign", |cx, _, c| el::unary(cx, c, U::Sign)),
    op("Signbit", el::signbit),
    op("Sin", |cx, _, c| el::float_unary(cx, c, U::Sin)),
    op("Sinc", el::sinc),
    op("Sinh", |cx, _, c| el::float_unary(cx, c, U::Sinh)),
    op("Sqrt", |cx, _, c| el::float_unary(cx, c, U::Sqrt)),
    op("Square", el::square),
    op("Subtract", |cx, _, c| el::weak(cx, c, B::Sub)),
    op("Tan", |cx, _, c| el::float_unary(cx, c, U::Tan)),
    op("Tanh", |cx, _, c| el::float_unary(cx, c, U::Tanh)),
    op("TrueDivide", el::divide),
    op("Trunc", |cx, _, c| el::unary(cx, c, U::Trunc)),
    op("Vander", el::vander),
    op("Where", el::where_),
    op("ZerosLike", |cx, cfg, c| el::like(cx, cfg, c, 0.0)),
    // numpy: products
    op("Cross", linear::cross),
    op("Dot", linear::dot),
    op("Einsum", linear::einsum),
    op("Matmul", linear::matmul),
    op("Outer", linear::outer),
    op("Tensordot", linear::tensordot),
    op("Vdot", linear::vdot),
    // numpy: reductions and order
    op("All", |cx, cfg, c| red::truth(cx, cfg, c, R::All)),
    op("Amax", |cx, cfg, c| red::extreme(cx, cfg, c, R::Max)),
    op("Amin", |cx, cfg, c| red::extreme(cx, cfg, c, R::Min)),
    op("Any", |cx, cfg, c| red::truth(cx, cfg, c, R::Any)),
    op("Argmax", |cx, cfg, c| {
        red::arg_extreme(cx, cfg, c, R::ArgMax)
    }),
    op("Argmin", |cx, cfg, c| {
        red::arg_extreme(cx, cfg, c, R::ArgMin)
    }),
    op("Argsort", red::argsort),
    op("Average", red::average),
    op("Corrcoef", red::corrcoef),
    op("CountNonzero", red::count_nonzero),
    op("Cumprod", |cx, cfg, c| {
        red::cumulative(cx, cfg, c, Cumulate::Prod)
    }),
    op("Cumsum", |cx, cfg, c| {
        red::cumulative(cx, cfg, c, Cumulate::Sum)
    }),
    op("Max", |cx, cfg, c| red::extreme(cx, cfg, c, R::Max)),
    op("Mean", red::mean),
    op("Median", red::median),
    op("Min", |cx, cfg, c| red::extreme(cx, cfg, c, R::Min)),
    op("Nanargmax", |cx, cfg, c| {
        red::nan_arg_extreme(cx, cfg, c, R::ArgMax)
    }),
    op("Nanargmin", |cx, cfg, c| {
        red::nan_arg_extreme(cx, cfg, c, R::ArgMin)
    }),
    op("Nancumprod", |cx, cfg, c| {
        red::nan_cumulative(cx, cfg, c, Cumulate::Prod)
    }),
    op("Nancumsum", |cx, cfg, c| {
        red::nan_cumulative(cx, cfg, c, Cumulate::Sum)
    }),
    op("Nanmax", |cx, cfg, c| red::nan_extreme(cx, cfg, c, R::Max)),
    op("Nanmean", red::nanmean),
    op("Nanmin", |cx, cfg, c| red::nan_extreme(cx, cfg, c, R::Min)),
    op("Nanprod", red::nanprod),
    op("Nanstd", red::nanstd),
    op("Nansum", red::nansum),
    op("Nanvar", red::nanvar),
    op("Percentile", red::percentile),
    op("Prod", red::prod),
    op("Ptp", red::ptp),
    op("Quantile", red::quantile),
    op("Sort", red::sort),
    op("Std", red::std),
    op("Sum", red::sum),
    op("Var", red::var),
    // numpy: indexing, joining, moving
    op("Append", shape::append),
    op("ArraySplit", shape::array_split),
    op("BroadcastTo", shape::broadcast_to),
    op("Concatenate", shape::concatenate),
    op("Diag", shape::diag),
    op("Diagflat", shape::diagflat),
    op("Diagonal", shape::diagonal),
    op("Diff", shape::diff),
    op("Dsplit", |cx, cfg, c| shape::split_along(cx, cfg, c, 2)),
    op("Dstack", shape::dstack),
    op("ExpandDims", shape::expand_dims),
    op("Flip", shape::flip),
    op("Fliplr", |cx, _, c| shape::flip_axis(cx, c, 1)),
    op("Flipud", |cx, _, c| shape::flip_axis(cx, c, 0)),
    op("Full", shape::full),
    op("GetItem", shape::get_item),
    op("Hsplit", shape::hsplit),
    op("Hstack", shape::hstack),
    op("Linspace", shape::linspace),
    op("Logspace", shape::logspace),
    op("Meshgrid", shape::meshgrid),
    op("Moveaxis", shape::moveaxis),
    op("Pad", shape::pad),
    op("Ravel", shape::ravel),
    op("Repeat", shape::repeat),
    op("Reshape", shape::reshape),
    op("Roll", shape::roll),
    op("Rot90", shape::rot90),
    op("Size", shape::size),
    op("Split", shape::split),
    op("Squeeze", shape::squeeze),
    op("Stack", shape::stacked),
    op("Swapaxes", shape::swapaxes),
    op("Take", shape::take),
    op("TakeAlongAxis", shape::take_along_axis),
    op("Tile", shape::tile),
    op("Trace", shape::trace),
    op("Transpose", shape::transpose),
    op("Trapezoid", shape::trapezoid),
    op("Tril", |cx, cfg, c| {
        shape::triangle(cx, cfg, c, |i, j, k| j <= i + k)
    }),
    op("Triu", |cx, cfg, c| {
        shape::triangle(cx, cfg, c, |i, j, k| j >= i + k)
    }),
    op("UnravelIndex", shape::unravel_index),
    op("Vsplit", |cx, cfg, c| shape::split_along(cx, cfg, c, 0)),
    op("Vstack", shape::vstack),
    // core
    op("Cast", core::cast),
    op("ConvertToTensor", core::convert_to_tensor),
    op("SaturateCast", core::saturate_cast),
    op("Scatter", shape::scatter),
    op("ScatterUpdate", shape::scatter_update),
    op("Slice", shape::slice),
    op("StopGradient", core::stop_gradient),
    op("Unstack", shape::unstack),
    // linalg
    op("Norm", linear::norm),
    // fft
    op("ExtractSequences", fft::extract_sequences),
    op("FFT", fft::fft),
    op("FFT2", fft::fft2),
    op("IFFT2", fft::ifft2),
    op("IRFFT", fft::irfft),
    op("ISTFT", fft::istft),
    op("RFFT", fft::rfft),
    op("STFT", fft::stft),
    // image
    op("AffineTransform", image::affine_transform),
    op("CropImages", image::crop_images),
    op("ExtractPatches", image::extract_patches),
    op("GaussianBlur", image::gaussian_blur),
    op("HSVToRGB", image::hsv_to_rgb),
    op("MapCoordinates", image::map_coordinates),
    op("PadImages", image::pad_images),
    op("PerspectiveTransform", image::perspective_transform),
    op("RGBToGrayscale", image::rgb_to_grayscale),
    op("RGBToHSV", image::rgb_to_hsv),
    op("Resize", image::resize),
    op("SSIM", image::ssim),
    op("ScaleAndTranslate", image::scale_and_translate),
    op("SobelEdges", image::sobel_edges),
    // nn: windows
    op("AdaptiveAveragePool", |cx, cfg, c| {
        windows::adaptive_pool(cx, cfg, c, PoolKind::Average)
    }),
    op("AdaptiveMaxPool", |cx, cfg, c| {
        windows::adaptive_pool(cx, cfg, c, PoolKind::Max)
    }),
    op("AveragePool", |cx, cfg, c| {
        windows::pool(cx, cfg, c, PoolKind::Average)
    }),
    op("Conv", windows::conv),
    op("ConvTranspose", windows::conv_transpose),
    op("DepthwiseConv", windows::depthwise_conv),
    op("Fold", windows::fold),
    op("MaxPool", |cx, cfg, c| {
        windows::pool(cx, cfg, c, PoolKind::Max)
    }),
    op("PSNR", windows::psnr),
    op("SeparableConv", windows::separable_conv),
    op("Unfold", windows::unfold),
    // math
    op("CDist", core::cdist),
    op("Erf", |cx, _, c| el::float_unary(cx, c, U::Erf)),
    op("Erfc", core::erfc),
    op("Erfinv", |cx, _, c| el::float_unary(cx, c, U::Erfinv)),
    op("InTopK", core::in_top_k),
    op("Logsumexp", red::logsumexp),
    op("Rsqrt", |cx, _, c| el::float_unary(cx, c, U::Rsqrt)),
    op("TopK", red::top_k),
    // nn
    op("BatchNorm", nn::batch_norm),
    op("Celu", nn::celu),
    op("DepthToSpace", |cx, cfg, c| {
        nn::depth_space(cx, cfg, c, true)
    }),
    op("DotProductAttention", nn::dot_product_attention),
    op("Elu", nn::elu),
    op("Gelu", nn::gelu),
    op("Glu", nn::glu),
    op("HardShrink", nn::hard_shrink),
    op("HardSigmoid", |cx, _, c| {
        nn::activation(cx, c, A::HardSigmoid)
    }),
    op("HardSilu", |cx, _, c| nn::activation(cx, c, A::HardSilu)),
    op("HardTanh", |cx, _, c| nn::activation(cx, c, A::HardTanh)),
    op("LayerNorm", nn::layer_norm),
    op("LeakyRelu", nn::leaky_relu),
    op("LogSigmoid", |cx, _, c| {
        nn::activation(cx, c, A::LogSigmoid)
    }),
    op("LogSoftmax", |cx, cfg, c| nn::softmax(cx, cfg, c, true)),
    op("Moments", nn::moments),
    op("MultiHot", nn::multi_hot),
    op("Normalize", nn::normalize),
    op("OneHot", nn::one_hot),
    op("RMSNorm", nn::rms_norm),
    op("Relu", |cx, _, c| el::unary(cx, c, U::Relu)),
    op("Relu6", |cx, _, c| {
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
    op("Selu", |cx, _, c| el::unary(cx, c, U::Selu)),
    op("Sigmoid", |cx, _, c| el::unary(cx, c, U::Sigmoid)),
    op("Silu", |cx, _, c| el::unary(cx, c, U::Silu)),
    op("SoftShrink", nn::soft_shrink),
    op("Softmax", |cx, cfg, c| nn::softmax(cx, cfg, c, false)),
    op("Softplus", |cx, _, c| el::unary(cx, c, U::Softplus)),
    op("Softsign", |cx, _, c| nn::activation(cx, c, A::Softsign)),
    op("SpaceToDepth", |cx, cfg, c| {
        nn::depth_space(cx, cfg, c, false)
    }),
    op("SparsePlus", |cx, _, c| {
        nn::activation(cx, c, A::SparsePlus)
    }),
    op("SparseSigmoid", |cx, _, c| {
        nn::activation(cx, c, A::SparseSigmoid)
    }),
    op("Sparsemax", nn::sparsemax),
    op("Squareplus", nn::squareplus),
    op("TanhShrink", |cx, _, c| {
        nn::activation(cx, c, A::TanhShrink)
    }),
    op("Threshold", nn::threshold),
];

/// The entry of a class.
pub fn find(class: &str) -> Option<&'static OpDef> {
    OPS.iter().find(|d| d.class == class)
}
