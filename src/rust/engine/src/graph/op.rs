//! The primitives: what is left of a Keras model after lowering.
//!
//! Layouts are channels-last; spatial attributes have one entry per spatial
//! axis (1 to 3). Inputs of a node are listed after each primitive.

use std::sync::Arc;

use crate::graph::{Graph, HashAttrs, Table, TokenOutput, Tokenizer};
use crate::host::Foreign;
use crate::tensor::{DType, Shape, Tensor};

/// A tensor known before the run. `id` is equal only for equal contents and is
/// what caches of packed or folded weights go by.
#[derive(Debug)]
pub struct Const {
    pub id: u64,
    pub tensor: Arc<Tensor>,
}

impl Const {
    pub fn new(id: u64, tensor: impl Into<Arc<Tensor>>) -> Arc<Const> {
        Arc::new(Const {
            id,
            tensor: tensor.into(),
        })
    }
}

/// f64 attribute that compares and hashes by its bits.
#[derive(Copy, Clone, Debug)]
pub struct F(pub f64);

impl PartialEq for F {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}
impl Eq for F {}
impl std::hash::Hash for F {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state)
    }
}

/// Special functions that few models have.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    BesselJ0,
    BesselJ1,
    BesselK0,
    BesselK0e,
    BesselK1,
    BesselK1e,
    BesselY0,
    BesselY1,
    Dawson,
    Expint,
    FresnelCos,
    FresnelSin,
    Spence,
}

/// Elementwise functions of one tensor. The dtype stays, but for the tests
/// (`IsNan`, `IsInf`, `IsFinite`, `Not`), which give bool.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    Neg,
    Abs,
    Sign,
    Floor,
    Ceil,
    Trunc,
    /// Half to even.
    Round,
    Sqrt,
    Rsqrt,
    Square,
    Reciprocal,
    Exp,
    Exp2,
    Expm1,
    Log,
    Log2,
    Log10,
    Log1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    /// The nearest float8 (e4m3fn), of numbers within its range.
    RoundE4M3,
    Erf,
    Erfinv,
    Lgamma,
    Digamma,
    /// The modified Bessel function of the first kind and order 0.
    BesselI0,
    Special(Special),
    Sigmoid,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x * sigmoid(x)`.
    Silu,
    /// Exact gelu, by erf.
    Gelu,
    /// Gelu by the tanh approximation.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `exp(x) - 1` below 0, scaled by alpha.
    Elu(F),
    Selu,
    /// `x` above 0, else `alpha * x`.
    LeakyRelu(F),
    /// Not, bitwise for integers, logical for bool.
    Not,
    IsNan,
    IsInf,
    IsFinite,
}

/// Elementwise functions of two tensors of one dtype and one shape after
/// broadcasting. Comparisons and logic give bool.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// True division of floats; truncating for integers.
    Div,
    FloorDiv,
    /// The sign of the divisor (Python's `%`).
    Mod,
    /// NaN-propagating, as Keras'.
    Max,
    Min,
    Pow,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// Logical for bool, bitwise for integers.
    And,
    Or,
    Xor,
    Shl,
    Shr,
    /// The greatest common divisor of integers.
    Gcd,
    /// The regularized lower incomplete gamma function, of the exponent and the bound.
    Igamma,
    /// The upper one.
    Igammac,
    /// Hurwitz' zeta function, of the exponent and the offset.
    Zeta,
    /// A derivative of the digamma function, of its order and the place.
    Polygamma,
}

impl Binary {
    /// Whether the result is bool whatever the inputs.
    pub fn is_comparison(self) -> bool {
        use Binary::*;
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
}

/// One step of a fused elementwise chain. Operands number the registers:
/// first the inputs of the node, then the results of the steps, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    /// Condition (bool), then, else.
    Select(usize, usize, usize),
    Cast(DType, usize),
}

impl Step {
    /// The dtype of the result, or None where the primitive has no meaning.
    pub fn dtype(&self, of: impl Fn(usize) -> Option<DType>) -> Option<DType> {
        Some(match *self {
            Step::Cast(to, a) => of(a).map(|_| to)?,
            Step::Select(c, a, b) => {
                let d = of(a)?;
                (of(c)? == DType::Bool && of(b)? == d).then_some(d)?
            }
            Step::Unary(op, a) => match (op, of(a)?) {
                (_, DType::Str) => return None,
                (Unary::IsNan | Unary::IsInf | Unary::IsFinite, _) => DType::Bool,
                (Unary::Not, d) => (!d.is_float()).then_some(d)?,
                (Unary::Abs | Unary::Relu, DType::Bool) => DType::Bool,
                (_, DType::Bool) => return None,
                (_, d) => d,
            },
            Step::Binary(op, a, b) => {
                use Binary::*;
                let d = of(a)?;
                if of(b)? != d {
                    return None;
                }
                match (op, d) {
                    _ if op.is_comparison() => DType::Bool,
                    (_, DType::Str) => return None,
                    (Add | Mul | Max | Min | And | Or | Xor, DType::Bool) => d,
                    (_, DType::Bool) => return None,
                    (Atan2 | Igamma | Igammac | Zeta | Polygamma, d) => {
                        d.is_float().then_some(d)?
                    }
                    (And | Or | Xor | Shl | Shr | Gcd, d) => d.is_int().then_some(d)?,
                    (_, d) => d,
                }
            }
        })
    }
}

/// A chain of elementwise steps over inputs that broadcast to the output's
/// shape; the last step is the result. `dtypes[i]` is the dtype of step i.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    pub inputs: usize,
    pub steps: Vec<Step>,
    pub dtypes: Vec<DType>,
}

/// Which bounds an element passes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Passing {
    Below,
    BelowOrEqual,
    /// As `BelowOrEqual`, but that NaN passes all.
    NotAbove,
}

/// Reductions over axes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    Sum,
    Mean,
    Prod,
    Max,
    Min,
    Any,
    All,
    ArgMax,
    ArgMin,
    /// `log(sum(exp(x)))`, stable.
    LogSumExp,
}

/// Running reductions along an axis.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cumulate {
    Sum,
    Prod,
    Max,
    Min,
}

/// A slice of one axis: elements `start`, `start + step`, ..., `len` of them.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct SliceDim {
    pub start: usize,
    pub step: isize,
    pub len: usize,
}

/// Distributions of random numbers.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum RandomKind {
    /// Uniform on [0, 1).
    Uniform,
    /// Normal with mean 0 and deviation 1.
    Normal,
    /// The logarithm of gamma numbers (with scale 1).
    LogGamma,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum PadMode {
    /// The value is the node's second input, of rank 0.
    Constant,
    Reflect,
    Symmetric,
    Edge,
}

/// Windows over the spatial axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvAttrs {
    pub strides: Vec<usize>,
    /// Zeros before and after each spatial axis.
    pub padding: Vec<(usize, usize)>,
    pub dilation: Vec<usize>,
    pub groups: usize,
}

/// Attention: `softmax(scores(q k')) v`, matrix by matrix.
#[derive(Clone, Debug)]
pub struct AttentionAttrs {
    /// What is done to the scores before the softmax; its input 0 is the scores.
    pub scores: Option<Arc<Program>>,
    /// Whether q, k, v and the result have their axes 1 and 2 swapped, of four:
    /// (batch, length, heads, size).
    pub swapped: [bool; 4],
}

/// Transposed convolution: the gradient of the convolution of the same
/// attributes with respect to its input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvTransposeAttrs {
    pub strides: Vec<usize>,
    /// What is cut from the full result before and after each spatial axis.
    pub crop: Vec<(usize, usize)>,
    pub dilation: Vec<usize>,
    /// Spatial sizes of the output.
    pub output: Vec<usize>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    Max,
    /// Padding does not count.
    Average,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolAttrs {
    pub kind: PoolKind,
    pub size: Vec<usize>,
    pub strides: Vec<usize>,
    pub padding: Vec<(usize, usize)>,
}

/// A discrete Fourier transform over the last axis.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct FftAttrs {
    /// The other sign of the exponent; not divided by the length.
    pub inverse: bool,
    /// Coefficients given: the first ones.
    pub keep: usize,
}

/// Linear algebra on the last two axes; leading axes are equal. Float32 and
/// float64 alone.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Linalg {
    /// x, of which the lower triangle is read: the lower factor.
    Cholesky,
    /// x: both factors in one matrix, and (int32) the place that each row went to.
    Lu,
    /// x: its determinant.
    Det,
    /// x: the sign of its determinant and the logarithm of its absolute value.
    LogDet,
    /// a, b (n, k)
    Solve,
    /// a, of which one triangle is read; b (n, k)
    SolveTriangular { lower: bool },
    /// x: Q and R, as large as they can be where `full`
    Qr { full: bool },
    /// x, of which the lower triangle is read: eigenvalues in ascending order, eigenvectors
    Eigh,
    /// x: U, the singular values in descending order, V (not transposed)
    Svd { full: bool },
}

/// Activations that the fused recurrent kernels compute themselves.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum RnnActivation {
    Linear,
    Tanh,
    Sigmoid,
    Relu,
    /// `clip(x / 6 + 0.5, 0, 1)`.
    HardSigmoid,
    /// `clip(0.2 x + 0.5, 0, 1)`, Keras before 3.
    HardSigmoidLegacy,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum RnnCell {
    /// Gates i, f, c, o. States h, c.
    Lstm,
    /// Gates z, r, h.
    Gru {
        reset_after: bool,
    },
    Simple,
}

/// A fused recurrent layer over a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RnnAttrs {
    pub cell: RnnCell,
    pub activation: RnnActivation,
    pub recurrent_activation: RnnActivation,
    /// Time runs from the last step to the first; outputs stay in that order.
    pub reverse: bool,
    /// All outputs (batch, time, units), else the last (batch, units).
    pub sequences: bool,
    /// Masked steps give zeros, not the output before.
    pub zero_masked: bool,
    /// Whether a mask (batch, time) is the last input.
    pub masked: bool,
    /// Whether the recurrent bias is an input (GRU with reset_after).
    pub recurrent_bias: bool,
}

/// A loop over time: `body` is run once a step.
///
/// Node inputs: the sequences (leading axis is time), the initial carries, the
/// closed-over values. Body inputs: one slice (without the time axis) of each
/// sequence, the carries, the closed-over values. Body outputs: the carries,
/// then the values to stack. Node outputs: the last carries, then the stacks
/// (leading axis is time).
#[derive(Clone, Debug)]
pub struct ScanAttrs {
    pub body: Arc<Graph>,
    pub sequences: usize,
    pub carries: usize,
    /// Steps, for loops without sequences.
    pub length: usize,
    pub reverse: bool,
}

#[derive(Clone, Debug)]
pub enum Op {
    /// The i-th input of the graph.
    Input(usize),
    Const(Arc<Const>),

    /// x
    Unary(Unary),
    /// x, y
    Binary(Binary),
    /// condition, then, else
    Select,
    /// x; float to integer truncates, number to bool is `!= 0`
    Cast(DType),
    /// Fused elementwise chain, made by the optimiser.
    Map(Arc<Program>),

    /// x
    Reshape(Shape),
    /// x; output axis i is input axis `perm[i]`
    Transpose(Vec<usize>),
    /// x, of the rank of the shape, sizes equal or 1
    Broadcast(Shape),
    /// any number of tensors
    Concat(usize),
    /// x; one entry per axis
    Slice(Vec<SliceDim>),
    /// x, and the value for `PadMode::Constant`; (before, after) per axis
    Pad(Vec<(usize, usize)>, PadMode),
    /// table, indices (int32 or int64, non-negative or wrapping once): the
    /// indices' axes stand in place of `axis`; the first `batch` axes of both go together
    Gather {
        axis: usize,
        batch: usize,
    },
    /// x, indices: numpy's take_along_axis
    TakeAlong {
        axis: usize,
    },
    /// seed: int64 (seed, number of the batch); for gamma numbers, their shape parameter
    /// too, float32 of rank 0. Random numbers, float32 or float64, that the seed, the
    /// stream and the position decide; each call has a stream of its own.
    Random {
        kind: RandomKind,
        stream: u32,
    },
    /// base, indices (n, k), updates (n, ...): rows added (or set) at positions
    Scatter {
        add: bool,
    },
    /// x (int32 or int64): how often 0, 1, ... `bins` - 1 occur along the last axis,
    /// which becomes the bins (int32); other values do not count, or negative ones
    /// are an error
    Count {
        bins: usize,
        natural: bool,
    },
    /// x (int64 or strings, as the table's keys): the table's value of each (int64)
    Lookup(Arc<Table>),
    /// x (strings, integers or bool): the bin of each one's text (int64)
    Hash(HashAttrs),
    /// any number of tensors of one shape (int64 or strings): the bin of each
    /// element of all of them together (int64), as TensorFlow crosses features
    HashCross {
        bins: u64,
    },
    /// x (strings; the last axis is a row): values of the tokens of each row (int64)
    Tokenize(Arc<Tokenizer>, TokenOutput),
    /// x (float32), indices (n, k; int32), weights (n, k; float32): each of n elements
    /// along an axis is the sum of k of x's, weighted
    Blend {
        axis: usize,
    },
    /// x, bounds (n,) of one dtype: how many of the bounds each element passes (int32)
    Search(Passing),
    /// x, sorted along the last axis; stable; gives the first `keep` values and
    /// their indices (int32)
    Sort {
        descending: bool,
        keep: usize,
        /// The first ones stand as they are in the heap that TensorFlow finds them with,
        /// the last of them first.
        heaped: bool,
    },

    /// x
    Reduce {
        kind: Reduce,
        axes: Vec<usize>,
        keepdims: bool,
    },
    /// x
    Cumulate {
        kind: Cumulate,
        axis: usize,
        reverse: bool,
    },
    /// x, over the last axis
    Softmax {
        log: bool,
    },
    /// x, then gamma and beta (each there or not) of the last axis' size:
    /// `(x - mean) / sqrt(var + eps)` over the last axis; without `center` only x / rms
    LayerNorm {
        epsilon: F,
        center: bool,
        gamma: bool,
        beta: bool,
    },

    /// a (..., m, k), b (..., k, n); leading axes are equal, or b has rank 2;
    /// `ta`/`tb`: the last two axes of a/b are swapped. Then the epilogue's operands.
    MatMul {
        ta: bool,
        tb: bool,
        epilogue: Option<Arc<Program>>,
    },
    /// q (..., m, size), k (..., n, size), v (..., n, width), then the operands of
    /// `scores`: of one element, of n, or of the scores' shape; gives (..., m, width)
    Attention(AttentionAttrs),
    /// x (n, spatial..., cin), kernel (spatial..., cin / groups, cout), epilogue operands
    Conv(ConvAttrs, Option<Arc<Program>>),
    /// x (n, spatial..., c), kernel (spatial..., c, multiplier), epilogue operands;
    /// the output has c * multiplier channels
    DepthwiseConv(ConvAttrs, Option<Arc<Program>>),
    /// x (n, spatial..., cin), kernel (spatial..., cout, cin), epilogue operands
    ConvTranspose(ConvTransposeAttrs, Option<Arc<Program>>),
    /// x (n, spatial..., c)
    Pool(PoolAttrs),

    /// x; the same bytes as numbers of another dtype, along the last axis, which the
    /// parts of complex numbers have to themselves
    Bitcast(DType),
    Linalg(Linalg),

    /// Real and imaginary parts (or the real part alone) of sequences along the
    /// last axis; gives real and imaginary parts of their discrete Fourier transform
    Fft(FftAttrs),

    /// logits (batch, steps, classes), of which the last class is the blank, int32
    /// lengths (batch); float32 or float64. Gives the likeliest label sequences
    /// (paths, batch, steps), int32 and -1 past their ends, and the logarithms of
    /// their probabilities (batch, paths)
    BeamSearch {
        width: usize,
        paths: usize,
    },

    /// x projected by the input kernel, bias included (batch, time, gates * units);
    /// recurrent kernel (units, gates * units); recurrent bias?; initial states; mask?
    /// Gives the output and the last states.
    Rnn(RnnAttrs),
    Scan(ScanAttrs),

    /// any number of tensors; gives what a function of the caller gives for them
    Foreign(Arc<Foreign>),
}
