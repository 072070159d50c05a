//! Quantized kernels and activations: `keras.quantizers`, and what Dense,
//! EinsumDense and the embeddings do with them.

use serde_json::Value as Json;

use super::cfg::{as_f64, as_int};
use super::layer::{Built, Cx, LayerNode};
use super::policy::{Policy, Quantization};
use super::promote::{result_type, Kind};
use super::Cfg;
use crate::error::{Error, Result};
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::tensor::{show_shape, DType, Fact};

/// The largest float8 (e4m3fn).
const E4M3_MAX: f64 = 448.0;

/// Up to this many products of two int8 sum exactly in float32.
const EXACT_PRODUCTS: usize = 1024;

/// Quantizes activations to int8 by their largest magnitude: `AbsMaxQuantizer`.
#[derive(Clone, Debug)]
pub struct AbsMax {
    /// Where the layer does not say along which axes.
    pub axes: Option<Vec<isize>>,
    low: f64,
    high: f64,
    epsilon: f64,
}

impl AbsMax {
    pub fn new(axes: Option<Vec<isize>>) -> AbsMax {
        AbsMax {
            axes,
            low: -127.0,
            high: 127.0,
            epsilon: 1e-7,
        }
    }

    fn parse(spec: &Json) -> Option<AbsMax> {
        if spec.get("class_name")?.as_str()? != "AbsMaxQuantizer" {
            return None;
        }
        let config = spec.get("config")?;
        if config.get("output_dtype").and_then(Json::as_str) != Some("int8") {
            return None;
        }
        let axes = match config.get("axis") {
            None | Some(Json::Null) => None,
            Some(Json::Array(axes)) => Some(
                axes.iter()
                    .map(|a| as_int(a).map(|a| a as isize))
                    .collect::<Option<_>>()?,
            ),
            Some(one) => Some(vec![as_int(one)? as isize]),
        };
        let (low, high) = match config.get("value_range")?.as_array()?.as_slice() {
            [low, high] => (as_f64(low)?, as_f64(high)?),
            _ => return None,
        };
        Some(AbsMax {
            axes,
            low,
            high,
            epsilon: config.get("epsilon").and_then(as_f64).unwrap_or(1e-7),
        })
    }

    /// The quantized tensor (int8), and what it was multiplied by, with axes of
    /// size 1 where the maximum was taken.
    pub fn quantize(&self, cx: &mut Cx, x: ValueId, axes: &[usize]) -> Result<(ValueId, ValueId)> {
        let dtype = cx.dtype(x);
        let size = cx.unary(Unary::Abs, x)?;
        let size = cx.reduce(Reduce::Max, size, axes, true)?;
        let size = cx.add_s(size, self.epsilon)?;
        let high = cx.scalar(dtype, self.high);
        let scale = cx.div(high, size)?;
        let y = cx.mul(x, scale)?;
        let y = cx.unary(Unary::Round, y)?;
        let y = cx.clip(y, Some(self.low), Some(self.high))?;
        Ok((cx.cast(y, DType::I8)?, scale))
    }
}

/// How a layer's weights, and what it multiplies with them, are quantized.
#[derive(Clone, Debug)]
pub struct Quant {
    pub mode: Option<Quantization>,
    /// Of the activations; `None` leaves them as they are.
    pub activations: Option<AbsMax>,
}

impl Quant {
    /// From a layer's policy and its `quantization_config`; `default` quantizes
    /// the activations where there is no config.
    pub fn from_cfg(cfg: &Cfg, policy: Policy, default: Option<AbsMax>) -> Result<Quant> {
        let mut quant = Quant {
            mode: policy.quantization,
            activations: default,
        };
        let (Some(mode), Some(spec)) = (policy.quantization, cfg.get("quantization_config")) else {
            return Ok(quant);
        };
        let config = spec.get("config").unwrap_or(&Json::Null);
        quant.activations = match config.get("activation_quantizer") {
            None | Some(Json::Null) => None,
            Some(q) => Some(
                AbsMax::parse(q)
                    .ok_or_else(|| cfg.bad("quantization_config", "an AbsMaxQuantizer to int8"))?,
            ),
        };
        let class = spec.get("class_name").and_then(Json::as_str);
        if matches!(mode, Quantization::Int4 { .. }) && class == Some("Int4QuantizationConfig") {
            let block = config.get("block_size").and_then(as_int);
            quant.mode = Some(Quantization::Int4 {
                block: block.filter(|&b| b > 0).map(|b| b as usize),
            });
        }
        Ok(quant)
    }

    /// For a layer that multiplies by a kernel.
    pub fn of_kernel(cfg: &Cfg, policy: Policy) -> Result<Quant> {
        let default = match policy.quantization {
            Some(Quantization::Int8) => Some(AbsMax::new(None)),
            _ => None,
        };
        Quant::from_cfg(cfg, policy, default)
    }

    /// Declares kernel and bias in the order in which they are stored.
    pub fn kernel_vars(&self, built: Built, bias: bool) -> Built {
        use Quantization as Q;
        match self.mode {
            None => built.var("kernel").var_if(bias, "bias"),
            Some(Q::Int8) => built
                .frozen("kernel")
                .var_if(bias, "bias")
                .frozen("kernel_scale"),
            Some(Q::Int4 { block }) => {
                let built = built
                    .frozen("kernel")
                    .var_if(bias, "bias")
                    .frozen("kernel_scale");
                match block {
                    None => built,
                    Some(_) => built.frozen("kernel_zero").frozen("g_idx"),
                }
            }
            Some(Q::Float8 { .. }) => {
                let built = built.var("kernel").var_if(bias, "bias");
                [
                    "inputs_scale",
                    "inputs_amax_history",
                    "kernel_scale",
                    "kernel_amax_history",
                    "outputs_grad_scale",
                    "outputs_grad_amax_history",
                ]
                .into_iter()
                .fold(built, Built::var)
            }
            Some(Q::Gptq { .. }) => built
                .var_if(bias, "bias")
                .frozen("kernel")
                .frozen("kernel_scale")
                .frozen("kernel_zero")
                .frozen("g_idx"),
            Some(Q::Awq { .. }) => built
                .var_if(bias, "bias")
                .frozen("kernel")
                .frozen("kernel_scale")
                .frozen("kernel_zero")
                .frozen("awq_scales")
                .frozen("g_idx"),
        }
    }

    /// The bias, as it is added.
    pub fn bias(&self, cx: &mut Cx, me: &LayerNode, shape: &[usize]) -> Result<ValueId> {
        let bias = cx.weight(me, "bias", shape)?;
        let float8 =
            matches!(self.mode, Some(Quantization::Float8 { .. })) && !cx.called_directly();
        if float8 && cx.dtype(bias) == DType::F32 {
            let short = cx.cast(bias, DType::BF16)?;
            return cx.cast(short, DType::F32);
        }
        Ok(bias)
    }

    /// `x` times the kernel.
    pub fn project(&self, cx: &mut Cx, me: &LayerNode, x: ValueId, by: &By) -> Result<ValueId> {
        let compute = me.policy.compute;
        match self.mode {
            Some(mode) if cx.lacks_weights(me) => {
                tell_kernel(cx, me, mode, &by.kernel, &by.kept());
                let kernel = cx.full(Fact::new(compute, &by.kernel[..]), 0.0)?;
                by.product(cx, x, kernel)
            }
            _ if cx.called_directly() => self.unscaled(cx, me, x, by),
            None => {
                let kernel = cx.weight(me, "kernel", &by.kernel)?;
                by.product(cx, x, kernel)
            }
            Some(Quantization::Int8) => {
                let kernel = cx.stored_weight(me, "kernel", &by.kernel)?;
                self.scaled(cx, me, x, kernel, by)
            }
            Some(Quantization::Int4 { block: None }) => {
                let kernel = cx.raw_weight(me, "kernel")?;
                let kernel = unpack_int4(cx, kernel, 1, by.columns())?;
                if by.dense {
                    return self.scaled(cx, me, x, kernel, by);
                }
                let scale = any_weight(cx, me, "kernel_scale")?;
                let kernel = cx.cast(kernel, compute)?;
                let kernel = mixed(cx, Binary::Div, kernel, scale)?;
                let kernel = cx.reshape(kernel, &by.kernel)?;
                let Some(quantizer) = &self.activations else {
                    return by.product(cx, x, kernel);
                };
                let axes = by.summed(cx.rank(x));
                let (q, scale) = quantizer.quantize(cx, x, &axes)?;
                let scale = by.align(cx, scale)?;
                let y = by.product(cx, q, kernel)?;
                mixed(cx, Binary::Div, y, scale)
            }
            Some(Quantization::Int4 { .. }) => {
                let kernel = cx.raw_weight(me, "kernel")?;
                let kernel = unpack_int4(cx, kernel, 1, by.columns())?;
                let kernel = self.regrouped(cx, me, kernel, 0)?;
                let kernel = cx.cast(kernel, compute)?;
                let kernel = cx.reshape(kernel, &by.kernel)?;
                by.product(cx, x, kernel)
            }
            Some(Quantization::Float8 { .. }) => {
                let kernel = cx.weight(me, "kernel", &by.kernel)?;
                let x = cx.cast(x, compute)?;
                let x = through_float8(cx, me, x, "inputs_scale")?;
                let kernel = through_float8(cx, me, kernel, "kernel_scale")?;
                by.product(cx, x, kernel)
            }
            Some(mode @ (Quantization::Gptq { .. } | Quantization::Awq { .. })) => {
                let mut kernel = cx.raw_weight(me, "kernel")?;
                if !matches!(mode, Quantization::Gptq { bits, .. } if bits != 4) {
                    kernel = unpack_int4(cx, kernel, 0, by.columns())?;
                }
                let kernel = self.regrouped(cx, me, kernel, 1)?;
                let mut kernel = cx.transpose(kernel, &[1, 0])?;
                if matches!(mode, Quantization::Awq { .. }) {
                    let scales = any_weight(cx, me, "awq_scales")?;
                    let scales = cx.expand_dims(scales, -1)?;
                    kernel = mixed(cx, Binary::Div, kernel, scales)?;
                }
                let kernel = cx.reshape(kernel, &by.kernel)?;
                by.product(cx, x, kernel)
            }
        }
    }

    /// `x` times the kernel's numbers as they are: what Keras computes where a
    /// layer is run past its `__call__`.
    fn unscaled(&self, cx: &mut Cx, me: &LayerNode, x: ValueId, by: &By) -> Result<ValueId> {
        let kernel = match self.mode {
            Some(Quantization::Int4 { .. }) => {
                let kernel = cx.raw_weight(me, "kernel")?;
                let kernel = unpack_int4(cx, kernel, 1, by.columns())?;
                cx.reshape(kernel, &by.kernel)?
            }
            _ => cx.weight(me, "kernel", &by.kernel)?,
        };
        by.product(cx, x, kernel)
    }

    /// A product with integers, scaled back afterwards.
    fn scaled(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        x: ValueId,
        kernel: ValueId,
        by: &By,
    ) -> Result<ValueId> {
        let scale = any_weight(cx, me, "kernel_scale")?;
        let compute = me.policy.compute;
        let Some(quantizer) = &self.activations else {
            let y = by.product(cx, x, kernel)?;
            let y = cx.cast(y, compute)?;
            return mixed(cx, Binary::Div, y, scale);
        };
        let axes = by.summed(cx.rank(x));
        let (q, given) = quantizer.quantize(cx, x, &axes)?;
        let given = by.align(cx, given)?;
        let scale = mixed(cx, Binary::Mul, scale, given)?;
        let terms = axes.iter().map(|&a| cx.shape(x)[a]).product();
        let y = exact(cx, q, kernel, terms, |cx, q, k| by.product(cx, q, k))?;
        let y = cx.cast(y, compute)?;
        mixed(cx, Binary::Div, y, scale)
    }

    /// A kernel of two axes from integers with a scale and a zero for each group.
    fn regrouped(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        kernel: ValueId,
        axis: usize,
    ) -> Result<ValueId> {
        let scale = any_weight(cx, me, "kernel_scale")?;
        let zero = cx.raw_weight(me, "kernel_zero")?;
        let groups = any_weight(cx, me, "g_idx")?;
        dequantize(cx, kernel, scale, zero, groups, axis)
    }
}

/// How a layer multiplies.
pub struct By<'a> {
    /// `input,kernel->output`, with dots for leading axes of the input.
    pub equation: &'a str,
    /// The shape of the kernel, were it not packed.
    pub kernel: Vec<usize>,
    /// Whether it is Dense, which scales results where EinsumDense scales kernels.
    pub dense: bool,
}

impl By<'_> {
    /// The labels of input, kernel and output, where dots are digits.
    fn labels(&self, rank: usize) -> (Vec<char>, Vec<char>, Vec<char>) {
        let (operands, output) = self.equation.split_once("->").unwrap_or_default();
        let (input, kernel) = operands.split_once(',').unwrap_or_default();
        let letters = input.replace("...", "").chars().count();
        let elided: String = ('0'..).take(rank.saturating_sub(letters)).collect();
        let spread = |s: &str| s.replace("...", &elided).chars().collect();
        (spread(input), spread(kernel), spread(output))
    }

    /// The input's axes that are summed over.
    fn summed(&self, rank: usize) -> Vec<usize> {
        let (input, _, output) = self.labels(rank);
        (0..input.len())
            .filter(|&i| !output.contains(&input[i]))
            .collect()
    }

    /// Whether the kernel's axes are in the output, not summed over.
    fn kept(&self) -> Vec<bool> {
        let (_, kernel, output) = self.labels(0);
        kernel.iter().map(|label| output.contains(label)).collect()
    }

    /// The size of the kernel's axes that are not summed over.
    fn columns(&self) -> usize {
        columns(&self.kernel, &self.kept())
    }

    /// A scale of the input, laid out to meet the output.
    fn align(&self, cx: &mut Cx, scale: ValueId) -> Result<ValueId> {
        let shape = cx.shape(scale);
        let (input, _, output) = self.labels(shape.len());
        let place = |label: &char| input.iter().position(|l| l == label);
        let mut perm: Vec<usize> = output.iter().filter_map(place).collect();
        perm.extend((0..input.len()).filter(|&i| !output.contains(&input[i])));
        let sizes: Vec<usize> = output
            .iter()
            .map(|label| place(label).map_or(1, |i| shape[i]))
            .collect();
        let scale = cx.transpose(scale, &perm)?;
        cx.reshape(scale, &sizes)
    }

    /// The product, in the dtype both promote to.
    fn product(&self, cx: &mut Cx, x: ValueId, kernel: ValueId) -> Result<ValueId> {
        let (x, kernel) = promoted(cx, x, kernel)?;
        match self.dense {
            true => cx.dense(x, kernel),
            false => cx.einsum(self.equation, x, kernel),
        }
    }
}

fn columns(kernel: &[usize], kept: &[bool]) -> usize {
    let sizes = kernel.iter().zip(kept);
    sizes.filter(|(_, &kept)| kept).map(|(n, _)| n).product()
}

/// Tells of the weights that a quantized layer has for a kernel, of which some axes
/// are kept and others summed over.
pub fn tell_kernel(cx: &Cx, me: &LayerNode, mode: Quantization, kernel: &[usize], kept: &[bool]) {
    use Quantization as Q;
    let all: usize = kernel.iter().product();
    let columns = match (mode, kernel) {
        // A projection to heads if the first size is the largest, else from heads.
        (Q::Gptq { .. } | Q::Awq { .. }, &[a, b, c]) => match a >= b.max(c) {
            true => b * c,
            false => c,
        },
        (Q::Gptq { .. } | Q::Awq { .. }, &[_, columns]) => columns,
        _ => columns(kernel, kept),
    };
    let rows = all.checked_div(columns).unwrap_or(0);
    let groups = |size: Option<usize>| size.map_or(1, |n| rows.div_ceil(n));
    let variable = me.policy.variable;
    let tell = |name: &str, dtype: DType, shape: &[usize]| {
        cx.has_weight(me, name, Fact::new(dtype, shape));
    };
    match mode {
        Q::Int8 => {
            tell("kernel", DType::I8, kernel);
            tell("kernel_scale", variable, &[columns]);
        }
        Q::Int4 { block } => {
            let scale = match block {
                None => vec![columns],
                Some(_) => vec![groups(block), columns],
            };
            tell("kernel", DType::I8, &[rows, columns.div_ceil(2)]);
            tell("kernel_scale", variable, &scale);
            tell("kernel_zero", DType::I8, &scale);
            tell("g_idx", DType::F32, &[rows]);
        }
        Q::Float8 { history } => {
            tell("kernel", variable, kernel);
            for name in ["inputs", "kernel", "outputs_grad"] {
                tell(&format!("{name}_scale"), DType::F32, &[]);
                tell(&format!("{name}_amax_history"), DType::F32, &[history]);
            }
        }
        Q::Gptq { group, .. } | Q::Awq { group } => {
            let packed = match mode {
                Q::Gptq { bits, .. } if bits != 4 => columns,
                _ => columns.div_ceil(2),
            };
            let scale = [columns, groups(group)];
            tell("kernel", DType::U8, &[packed, rows]);
            tell("kernel_scale", variable, &scale);
            tell("kernel_zero", DType::U8, &scale);
            tell("awq_scales", variable, &[rows]);
            tell("g_idx", DType::F32, &[rows]);
        }
    }
}

/// A weight of any shape, in the compute dtype.
pub fn any_weight(cx: &mut Cx, me: &LayerNode, name: &str) -> Result<ValueId> {
    let v = cx.raw_weight(me, name)?;
    let shape = cx.shape(v);
    cx.weight(me, name, &shape)
}

/// Two tensors in the dtype they promote to.
pub fn promoted(cx: &mut Cx, x: ValueId, y: ValueId) -> Result<(ValueId, ValueId)> {
    let dtype = result_type(&[Kind::Is(cx.dtype(x)), Kind::Is(cx.dtype(y))]);
    Ok((cx.cast(x, dtype)?, cx.cast(y, dtype)?))
}

/// An operation on two tensors in the dtype they promote to.
pub fn mixed(cx: &mut Cx, op: Binary, x: ValueId, y: ValueId) -> Result<ValueId> {
    let (x, y) = promoted(cx, x, y)?;
    cx.binary(op, x, y)
}

/// A product of int8 tensors, summing `terms` products each, without rounding.
pub fn exact(
    cx: &mut Cx,
    x: ValueId,
    y: ValueId,
    terms: usize,
    product: impl Fn(&mut Cx, ValueId, ValueId) -> Result<ValueId>,
) -> Result<ValueId> {
    let dtype = match terms <= EXACT_PRODUCTS {
        true => DType::F32,
        false => DType::F64,
    };
    let x = cx.cast(x, dtype)?;
    let y = cx.cast(y, dtype)?;
    let z = product(cx, x, y)?;
    cx.cast(z, DType::I32)
}

/// `keras.quantizers.unpack_int4`: two numbers a byte along an axis, the lower
/// half first. Signed for int8, from 0 on for uint8.
pub fn unpack_int4(cx: &mut Cx, packed: ValueId, axis: usize, len: usize) -> Result<ValueId> {
    if !cx.dtype(packed).is_int() {
        return Err(cx.call_error("packed weights must be whole numbers"));
    }
    let mut shape = cx.shape(packed);
    let signed = cx.dtype(packed) == DType::I8;
    let high = cx.binary_s(Binary::Shr, packed, 4.0)?;
    let mut halves = vec![];
    for half in [packed, high] {
        let mut v = cx.binary_s(Binary::And, half, 15.0)?;
        if signed {
            v = cx.binary_s(Binary::Xor, v, 8.0)?;
            v = cx.add_s(v, -8.0)?;
        }
        halves.push(cx.expand_dims(v, axis as isize + 1)?);
    }
    let both = cx.concat(&halves, axis as isize + 1)?;
    shape[axis] *= 2;
    let both = cx.reshape(both, &shape)?;
    if len > shape[axis] {
        return Err(cx.defect(format!(
            "{} packed numbers where {len} are needed",
            shape[axis]
        )));
    }
    cx.slice_axis(both, axis as isize, 0, len)
}

/// `keras.quantizers.dequantize_with_sz_map`: `(x - zero) * scale`, where scale
/// and zero stand in groups along `axis`.
pub fn dequantize(
    cx: &mut Cx,
    x: ValueId,
    scale: ValueId,
    zero: ValueId,
    groups: ValueId,
    axis: usize,
) -> Result<ValueId> {
    let shape = cx.shape(x);
    for (weight, value) in [("scale", scale), ("zero", zero)] {
        let have = cx.shape(value);
        if have.len() != shape.len() || axis >= shape.len() {
            return Err(Error::BadWeight {
                layer: cx.path().to_string(),
                weight: weight.to_string(),
                expected: format!("of as many axes as {}", show_shape(&shape)),
                given: show_shape(&have),
            });
        }
    }
    if let Some(block) = block_size(cx, groups, cx.shape(scale)[axis], shape[axis]) {
        // As usual, neighbours have one scale: nothing as large as x need be made.
        let mut blocks = shape.clone();
        blocks.splice(axis..=axis, [shape[axis] / block, block]);
        let x = cx.reshape(x, &blocks)?;
        let scale = cx.expand_dims(scale, axis as isize + 1)?;
        let zero = cx.expand_dims(zero, axis as isize + 1)?;
        let y = moved_and_scaled(cx, x, scale, zero)?;
        return cx.reshape(y, &shape);
    }
    let groups = cx.cast(groups, DType::I32)?;
    let scale = cx.gather(scale, groups, axis, 0)?;
    let zero = cx.gather(zero, groups, axis, 0)?;
    moved_and_scaled(cx, x, scale, zero)
}

/// The length of groups that are all equally long and follow one another.
fn block_size(cx: &Cx, groups: ValueId, count: usize, len: usize) -> Option<usize> {
    let groups = cx.graph.constant(groups)?.tensor.to_f64();
    let block = groups.len().checked_div(count).filter(|&b| b > 0)?;
    let regular = groups.len() == len
        && len == count * block
        && groups
            .iter()
            .enumerate()
            .all(|(i, &g)| g == (i / block) as f64);
    regular.then_some(block)
}

fn moved_and_scaled(cx: &mut Cx, x: ValueId, scale: ValueId, zero: ValueId) -> Result<ValueId> {
    let dtype = cx.dtype(scale);
    let zero = cx.cast(zero, dtype)?;
    let moved = mixed(cx, Binary::Sub, x, zero)?;
    mixed(cx, Binary::Mul, moved, scale)
}

/// `keras.quantizers.quantize_and_dequantize` by float8, with a stored scale.
fn through_float8(cx: &mut Cx, me: &LayerNode, x: ValueId, scale: &str) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let scale = cx.stored_weight(me, scale, &[])?;
    let scale = cx.cast(scale, dtype)?;
    let y = cx.div(x, scale)?;
    let y = cx.clip(y, Some(-E4M3_MAX), Some(E4M3_MAX))?;
    let y = cx.unary(Unary::RoundE4M3, y)?;
    cx.mul(y, scale)
}
