//! MultiHeadAttention, Attention and AdditiveAttention.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::keras::activations::Activation;
use crate::keras::layers::regularization::drop_out;
use crate::keras::ops::sum;
use crate::keras::policy::Quantization;
use crate::keras::promote::{result_type, Kind};
use crate::keras::quant::{tell_kernel, By, Quant};
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Policy, T};
use crate::nest::Nest;
use crate::tensor::{counted, show_shape, DType, Fact};

/// A projection of [`MultiHeadAttention`]: an EinsumDense whose equation fits
/// inputs of any rank.
struct Projection {
    equation: &'static str,
    /// The heads it projects to; it projects from heads where there are none.
    heads: Option<usize>,
    /// What a projection from heads gives, if the config says so.
    output: Option<Vec<usize>>,
    bias: bool,
    activation: Activation,
    quant: Quant,
}

impl Projection {
    /// The kernel's shape, which a packed kernel does not tell.
    fn kernel(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<Vec<usize>> {
        let columns = match self.quant.mode {
            Some(Quantization::Int4 { .. }) => -1,
            Some(Quantization::Gptq { .. } | Quantization::Awq { .. }) => 0,
            _ => {
                let kernel = cx.raw_weight(me, "kernel")?;
                return Ok(cx.shape(kernel));
            }
        };
        let scale = cx.raw_weight(me, "kernel_scale")?;
        let columns = cx.dim(scale, columns)?;
        let shape = cx.shape(x);
        Ok(match (self.heads, &self.output) {
            (Some(n), _) => vec![cx.dim(x, -1)?, n, columns / n.max(1)],
            (None, None) => [&shape[shape.len() - 2..], &[columns]].concat(),
            (None, Some(sizes)) => [&shape[shape.len() - 2..], sizes].concat(),
        })
    }
}

impl Layer for Projection {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let by = By {
            equation: self.equation,
            kernel: self.kernel(cx, me, x)?,
            dense: false,
        };
        let mut y = self.quant.project(cx, me, x, &by)?;
        if self.bias {
            let bias = cx.raw_weight(me, "bias")?;
            let shape = cx.shape(bias);
            let bias = self.quant.bias(cx, me, &shape)?;
            y = sum(cx, y, bias)?;
        }
        Ok(self.activation.apply(cx, y)?.into())
    }
}

/// Projects an input's features to heads.
pub const TO_HEADS: &str = "...a,abc->...bc";

/// A projection as a sublayer of the layer with this config.
pub fn projection(
    cfg: &Cfg,
    name: &str,
    equation: &'static str,
    bias: bool,
    activation: Activation,
) -> Result<Arc<LayerNode>> {
    let policy = Policy::of_sublayer(cfg, Some(name))?;
    let quant = Quant::of_kernel(cfg, policy)?;
    let own = match name {
        "key" | "value" => "num_key_value_heads",
        _ => "num_query_heads",
    };
    let heads = match cfg.opt_usize(own)? {
        None => cfg.opt_usize("num_heads")?,
        own => own,
    };
    let sizes = cfg.opt_ints("output_shape")?.filter(|s| !s.is_empty());
    let trainable = cfg.bool_or("trainable", true)?;
    let built = Built::new(Projection {
        equation,
        heads: heads.filter(|_| equation == TO_HEADS),
        output: sizes.map(|s| s.iter().map(|&n| n as usize).collect()),
        bias,
        activation,
        quant: quant.clone(),
    });
    let built = quant.kernel_vars(built, bias);
    let node = LayerNode::new(name, "EinsumDense", policy, trainable, built);
    Ok(Arc::new(node))
}

struct MultiHeadAttention {
    num_heads: usize,
    key_dim: usize,
    value_dim: usize,
    output_shape: Option<Vec<usize>>,
    /// Axes attended over; all but the first and last by default.
    axes: Option<Vec<i64>>,
    sliding_window: Option<usize>,
    use_gate: bool,
    dropout: f64,
    masks_stay: bool,
    masks_unseen: bool,
}

/// Config key of attention before Keras 2.10: masks of its inputs do nothing.
pub const MASKS_UNSEEN: &str = "masks_unseen";

/// A key for the configs of Keras before 3, whose layers had other rules for masks:
/// a call of attention leaves the masks of its inputs on them, merging layers are
/// masked where any input is, and in Keras 1 a masked step of Bidirectional keeps
/// the output of the step before.
pub const MASKS_STAY: &str = "masks_stay";

pub fn multi_head_attention(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    // TensorFlow has no flash attention: Keras fails there if it is asked for.
    if cfg.bool_or("flash_attention", false)? {
        return Err(cfg.bad("flash_attention", "false"));
    }
    let use_bias = cfg.bool_or("use_bias", true)?;
    let output_shape = cfg.opt_ints("output_shape")?.filter(|s| !s.is_empty());
    let key_dim = cfg.usize("key_dim")?;
    let layer = MultiHeadAttention {
        num_heads: cfg.usize("num_heads")?,
        key_dim,
        value_dim: cfg
            .opt_usize("value_dim")?
            .filter(|&d| d > 0)
            .unwrap_or(key_dim),
        output_shape: output_shape.map(|s| s.iter().map(|&n| n.max(0) as usize).collect()),
        axes: cfg.opt_ints("attention_axes")?.filter(|a| !a.is_empty()),
        sliding_window: cfg.opt_usize("sliding_window")?,
        use_gate: cfg.bool_or("use_gate", false)?,
        dropout: cfg.f64_or("dropout", 0.0)?,
        masks_stay: cfg.bool_or(MASKS_STAY, false)?,
        masks_unseen: cfg.bool_or(MASKS_UNSEEN, false)?,
    };
    let from_heads = match layer.output_shape.as_ref().map_or(1, Vec::len) {
        1 => "...ab,abc->...c",
        2 => "...ab,abcd->...cd",
        3 => "...ab,abcde->...cde",
        _ => return Err(cfg.bad("output_shape", "of at most three sizes")),
    };
    let make = |name: &str, equation: &'static str, activation: Activation| {
        projection(cfg, name, equation, use_bias, activation)
    };
    let linear = Activation::Linear;
    let gate = layer.use_gate;
    let mut built = Built::new(layer)
        .child("query_dense", make("query", TO_HEADS, linear.clone())?)
        .child("key_dense", make("key", TO_HEADS, linear.clone())?);
    if gate {
        let sigmoid = Activation::Unary(Unary::Sigmoid);
        built = built.child("_gate_dense", make("gate", TO_HEADS, sigmoid)?);
    }
    Ok(built
        .child("value_dense", make("value", TO_HEADS, linear.clone())?)
        .child(
            "output_dense",
            make("attention_output", from_heads, linear)?,
        ))
}

/// What the calls of attention with heads name their arguments.
pub const PARAMETERS: &[&str] = &[
    "query",
    "value",
    "key",
    "query_mask",
    "value_mask",
    "key_mask",
    "attention_mask",
    "return_attention_scores",
    "training",
    "use_causal_mask",
];

impl Layer for MultiHeadAttention {
    fn parameters(&self) -> &'static [&'static str] {
        PARAMETERS
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let tensor = |cx: &Cx, position, name: &str| -> Result<Option<T>> {
            let found = tensor_arg(cx, call, position, name)?;
            Ok(found.map(|t| if self.masks_unseen { t.value.into() } else { t }))
        };
        let required = |cx: &Cx, t: Option<T>, name: &str| {
            t.ok_or_else(|| cx.call_error(format!("argument `{name}` is missing")))
        };
        let query = tensor(cx, 0, "query")?;
        let query = required(cx, query, "query")?;
        let value = tensor(cx, 1, "value")?;
        let value = required(cx, value, "value")?;
        let given_key = tensor(cx, 2, "key")?;
        let key = given_key.unwrap_or(value);
        let mask_of = |cx: &Cx, position, name: &str, t: Option<T>| -> Result<Option<ValueId>> {
            let explicit = tensor(cx, position, name)?.map(|t| t.value);
            Ok(explicit.or(t.and_then(|t| t.mask)))
        };
        // A passed query_mask gives way to the implicit one, whatever that is.
        let query_mask = query.mask;
        let value_mask = mask_of(cx, 4, "value_mask", Some(value))?;
        let key_mask = mask_of(cx, 5, "key_mask", given_key)?;
        let attention_mask = tensor(cx, 6, "attention_mask")?.map(|t| t.value);
        let return_scores = flag(call, 7, "return_attention_scores");
        let causal = flag(call, 9, "use_causal_mask");
        if !self.masks_stay {
            for t in [query, value, key] {
                cx.set_mask(t.value, None);
            }
        }

        let mut mask = None;
        if let Some(m) = query_mask {
            let m = cx.cast(m, DType::Bool)?;
            let m = cx.expand_dims(m, -1)?;
            mask = Some(both(cx, mask, m)?);
        }
        for m in [value_mask, key_mask].into_iter().flatten() {
            let m = cx.cast(m, DType::Bool)?;
            let m = cx.expand_dims(m, -2)?;
            mask = Some(both(cx, mask, m)?);
        }
        let (t, s) = (cx.dim(query.value, 1)?, cx.dim(value.value, 1)?);
        if causal {
            let m = band(cx, t, s, |i, j| i >= j)?;
            mask = Some(both(cx, mask, m)?);
        }
        if let Some(w) = self.sliding_window {
            let m = band(cx, t, s, |i, j| i.abs_diff(j) < w)?;
            mask = Some(both(cx, mask, m)?);
        }
        if let Some(m) = attention_mask {
            let m = cx.cast(m, DType::Bool)?;
            mask = Some(both(cx, mask, m)?);
        }

        let gate = match self.use_gate {
            true => {
                let heads = [self.num_heads, self.value_dim];
                Some(project(
                    cx,
                    me.child("_gate_dense")?,
                    query.value,
                    1,
                    &heads,
                )?)
            }
            false => None,
        };
        let heads = [self.num_heads, self.key_dim];
        let q = project(cx, me.child("query_dense")?, query.value, 1, &heads)?;
        let k = project(cx, me.child("key_dense")?, key.value, 1, &heads)?;
        let heads = [self.num_heads, self.value_dim];
        let v = project(cx, me.child("value_dense")?, value.value, 1, &heads)?;

        let simple = self.dropout == 0.0 && !return_scores && cx.rank(q) == 4;
        let (mut y, scores) = match simple {
            true => {
                let mask = match mask {
                    Some(m) => Some(spread_over_heads(cx, m, 4, 1)?),
                    None => None,
                };
                let scale = 1.0 / (self.key_dim as f64).sqrt();
                (dot_product_attention(cx, q, k, v, None, mask, scale)?, None)
            }
            false => {
                let (y, scores) = self.with_scores(cx, q, k, v, mask)?;
                (y, Some(scores))
            }
        };
        if let Some(g) = gate {
            y = cx.mul(y, g)?;
        }
        let sizes = match &self.output_shape {
            Some(sizes) => sizes.clone(),
            None => vec![cx.dim(query.value, -1)?],
        };
        let output = project(cx, me.child("output_dense")?, y, 2, &sizes)?;
        let output = Out::from(T {
            value: output,
            mask: query_mask,
        });
        match scores.filter(|_| return_scores) {
            Some(scores) => Ok(Nest::List(vec![output, scores.into()])),
            None => Ok(output),
        }
    }
}

/// The projection of the last axes of `x`, as many as `contracted`, to `sizes`, which
/// the projection's weights must give.
pub fn project(
    cx: &mut Cx,
    node: &LayerNode,
    x: ValueId,
    contracted: usize,
    sizes: &[usize],
) -> Result<ValueId> {
    let shape = cx.shape(x);
    let (kept, last) = shape.split_at(shape.len().saturating_sub(contracted));
    if !cx.lacks_weights(node) {
        let y = cx.call_one(node, x)?.value;
        let (expected, given) = ([kept, sizes].concat(), cx.shape(y));
        if given != expected {
            let makes = |shape: &[usize]| format!("one that makes {}", show_shape(shape));
            return Err(Error::BadWeight {
                layer: format!("{}/{}", cx.path(), node.name),
                weight: "kernel".to_string(),
                expected: makes(&expected),
                given: makes(&given),
            });
        }
        return Ok(y);
    }
    let kernel = [last, sizes].concat();
    match node.policy.quantization {
        Some(mode) => {
            let kept: Vec<bool> = (0..kernel.len()).map(|i| i >= contracted).collect();
            tell_kernel(cx, node, mode, &kernel, &kept);
        }
        None => {
            cx.stored_weight(node, "kernel", &kernel)?;
        }
    }
    cx.has_weight(node, "bias", Fact::new(node.policy.variable, sizes));
    cx.full(Fact::new(node.policy.compute, [kept, sizes].concat()), 0.0)
}

impl MultiHeadAttention {
    /// Attention over any axes, with a softmax that zeroes what is masked;
    /// also gives the scores.
    fn with_scores(
        &self,
        cx: &mut Cx,
        q: ValueId,
        k: ValueId,
        v: ValueId,
        mask: Option<ValueId>,
    ) -> Result<(ValueId, ValueId)> {
        let rank = cx.rank(v);
        let axes: Vec<usize> = match &self.axes {
            Some(axes) => axes
                .iter()
                .map(|&a| cx.axis(a as isize, rank - 1))
                .collect::<Result<_>>()?,
            None => (1..rank - 2).collect(),
        };
        let (dot, combine, scores_rank) = equations(rank, &axes);
        let scale = 1.0 / (self.key_dim as f64).sqrt();
        let q = cx.mul_s(q, scale)?;
        let scores = cx.einsum(&dot, k, q)?;
        let mask = match mask {
            Some(m) => Some(spread_over_heads(cx, m, scores_rank, axes.len())?),
            None => None,
        };
        let (scores, dropped) = attend(cx, scores, mask, axes.len(), self.dropout)?;
        Ok((cx.einsum(&combine, dropped, v)?, scores))
    }
}

/// Softmax of scores over the last `axes` axes, zero where the mask is false;
/// and what dropout leaves of it in training.
pub fn attend(
    cx: &mut Cx,
    scores: ValueId,
    mask: Option<ValueId>,
    axes: usize,
    dropout: f64,
) -> Result<(ValueId, ValueId)> {
    let mut scores = scores;
    let dtype = cx.dtype(scores);
    if let Some(m) = mask {
        let low = if dtype == DType::F16 { -3e4 } else { -1e9 };
        let low = cx.scalar(dtype, low);
        scores = cx.select(m, scores, low)?;
    }
    scores = softmax_over_last(cx, scores, axes)?;
    if let Some(m) = mask {
        let zero = cx.scalar(dtype, 0.0);
        scores = cx.select(m, scores, zero)?;
    }
    Ok((scores, dropped(cx, scores, dropout)?))
}

/// What dropout leaves of weights in training.
fn dropped(cx: &mut Cx, weights: ValueId, rate: f64) -> Result<ValueId> {
    if !cx.training {
        return Ok(weights);
    }
    let shape = cx.shape(weights);
    drop_out(cx, weights, rate, &shape)
}

/// A tensor among the arguments of a call.
pub fn tensor_arg(cx: &Cx, call: &Call, position: usize, name: &str) -> Result<Option<T>> {
    match call.arg(position, name) {
        Some(Arg::Tensor(t)) => Ok(Some(*t)),
        None => Ok(None),
        Some(_) => Err(cx.call_error(format!("`{name}` must be a tensor"))),
    }
}

/// A boolean argument of a call.
pub fn flag(call: &Call, position: usize, name: &str) -> bool {
    matches!(call.arg(position, name), Some(Arg::Lit(v)) if v.as_bool() == Some(true))
}

pub fn both(cx: &mut Cx, mask: Option<ValueId>, other: ValueId) -> Result<ValueId> {
    match mask {
        Some(m) => cx.and(m, other),
        None => Ok(other),
    }
}

/// A mask (1, t, s) of the positions where `keep(i, j)`.
pub fn band(
    cx: &mut Cx,
    t: usize,
    s: usize,
    keep: impl Fn(usize, usize) -> bool,
) -> Result<ValueId> {
    cx.generated_bools([1, t, s], |p| keep(p / s, p % s))
}

/// Axes of size 1 where the mask of (batch, queries, keys) lacks the heads and
/// other batch axes of scores of `rank`.
fn spread_over_heads(cx: &mut Cx, mask: ValueId, rank: usize, axes: usize) -> Result<ValueId> {
    let mut mask = mask;
    for _ in cx.rank(mask)..rank {
        mask = cx.expand_dims(mask, -(2 * axes as isize) - 1)?;
    }
    Ok(mask)
}

/// Softmax over the last `n` axes together.
fn softmax_over_last(cx: &mut Cx, x: ValueId, n: usize) -> Result<ValueId> {
    if n == 1 {
        return cx.softmax(x, -1, false);
    }
    let shape = cx.shape(x);
    let (lead, last) = shape.split_at(shape.len() - n);
    let flat = [lead, &[last.iter().product()]].concat();
    let x = cx.reshape(x, &flat)?;
    let y = cx.softmax(x, -1, false)?;
    cx.reshape(y, &shape)
}

/// The equations for scores and output where projections have `rank` axes, of
/// which `axes` are attended over, and the rank of the scores.
fn equations(rank: usize, axes: &[usize]) -> (String, String, usize) {
    let letter = |i: usize| (b'a' + i as u8) as char;
    let target: Vec<char> = (0..rank).map(letter).collect();
    let mut next = rank;
    let source: Vec<char> = (0..rank)
        .map(|i| match axes.contains(&i) {
            false => target[i],
            true => {
                next += 1;
                letter(next - 1)
            }
        })
        .collect();
    let mut scores: Vec<char> = (0..rank - 1)
        .filter(|i| !axes.contains(i))
        .map(|i| target[i])
        .collect();
    scores.extend(axes.iter().map(|&i| target[i]));
    scores.extend(axes.iter().map(|&i| source[i]));
    let text = |v: &[char]| v.iter().collect::<String>();
    let (target, source, product) = (text(&target), text(&source), text(&scores));
    (
        format!("{source},{target}->{product}"),
        format!("{product},{source}->{target}"),
        scores.len(),
    )
}

/// `keras.ops.dot_product_attention` of query (batch, t, heads, size), key and
/// value (batch, s, heads, size): a plain softmax in float32 at least, over
/// scores that are very negative where the mask is false.
pub fn dot_product_attention(
    cx: &mut Cx,
    q: ValueId,
    k: ValueId,
    v: ValueId,
    bias: Option<ValueId>,
    mask: Option<ValueId>,
    scale: f64,
) -> Result<ValueId> {
    let dtype = cx.dtype(k);
    let wide = result_type(&[Kind::Is(cx.dtype(q)), Kind::Is(DType::F32)]);
    let by_head = [0, 2, 1, 3];
    let q = cx.transpose(q, &by_head)?;
    let k = cx.transpose(k, &by_head)?;
    let v = cx.transpose(v, &by_head)?;
    let logits = match dtype {
        DType::F16 => {
            let k = cx.transpose(k, &[0, 1, 3, 2])?;
            cx.einsum_product(q, k)?
        }
        _ => cx.matmul(q, k, false, true)?,
    };
    let logits = cx.cast(logits, wide)?;
    let mut logits = cx.mul_s(logits, scale)?;
    if let Some(b) = bias {
        let b = cx.cast(b, wide)?;
        logits = cx.add(logits, b)?;
    }
    if let Some(m) = mask {
        let low = cx.scalar(wide, 3.38953e38 * -0.7);
        logits = cx.select(m, logits, low)?;
    }
    let weights = cx.softmax(logits, -1, false)?;
    let weights = cx.cast(weights, dtype)?;
    let y = cx.einsum_product(weights, v)?;
    cx.transpose(y, &by_head)
}

/// How queries and keys are compared.
enum Score {
    /// Their product, scaled by a weight or not.
    Dot,
    /// `concat_score_weight * sum(tanh(scale * (q + k)))`.
    Concat,
    /// `sum(scale * tanh(q + k))` with a scale for each feature.
    Additive,
}

/// Attention on a list of query (batch, t, size), value (batch, s, size), and key.
struct Attention {
    score: Score,
    use_scale: bool,
    dropout: f64,
}

pub fn attention(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let concat = cfg.one_of("score_mode", "dot", &["dot", "concat"])? == "concat";
    let layer = Attention {
        score: if concat { Score::Concat } else { Score::Dot },
        use_scale: cfg.bool_or("use_scale", false)?,
        dropout: cfg.f64_or("dropout", 0.0)?,
    };
    let use_scale = layer.use_scale;
    Ok(Built::new(layer)
        .var_if(use_scale, "scale")
        .var_if(concat, "concat_score_weight"))
}

pub fn additive_attention(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let layer = Attention {
        score: Score::Additive,
        use_scale: cfg.bool_or("use_scale", true)?,
        dropout: cfg.f64_or("dropout", 0.0)?,
    };
    let use_scale = layer.use_scale;
    Ok(Built::new(layer).var_if(use_scale, "scale"))
}

impl Layer for Attention {
    fn parameters(&self) -> &'static [&'static str] {
        &[
            "inputs",
            "mask",
            "training",
            "return_attention_scores",
            "use_causal_mask",
        ]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let mut inputs = cx.many(call)?;
        for t in &mut inputs {
            if !cx.dtype(t.value).is_float() {
                t.value = cx.cast(t.value, me.policy.compute)?;
            }
        }
        if !(2..=3).contains(&inputs.len()) {
            let given = counted(inputs.len(), "tensor", "tensors");
            return Err(cx.call_error(format!(
                "expected a list of query, value and maybe key, not {given}"
            )));
        }
        let (q, v) = (inputs[0].value, inputs[1].value);
        let k = inputs.get(2).map_or(v, |t| t.value);
        let (q_mask, v_mask) = masks(cx, call, &inputs)?;
        let return_scores = flag(call, 3, "return_attention_scores");
        let causal = flag(call, 4, "use_causal_mask");

        let mut scores = self.scores(cx, me, q, k)?;
        let mut mask = match v_mask {
            Some(m) if cx.rank(m) == 2 => Some(cx.expand_dims(m, -2)?),
            m => m,
        };
        if causal {
            let (t, s) = (cx.dim(scores, -2)?, cx.dim(scores, -1)?);
            let lower = band(cx, t, s, |i, j| i >= j)?;
            mask = Some(both(cx, mask, lower)?);
        }
        if let Some(m) = mask {
            let far = if cx.dtype(scores) == DType::F16 {
                65504.0
            } else {
                1e9
            };
            let low = cx.binary_s(Binary::Sub, scores, far)?;
            scores = cx.select(m, scores, low)?;
        }
        let weights = cx.softmax(scores, -1, false)?;
        let weights = dropped(cx, weights, self.dropout)?;
        let mut y = cx.matmul(weights, v, false, false)?;
        if let Some(m) = q_mask {
            let m = cx.expand_dims(m, -1)?;
            let dtype = cx.dtype(y);
            let zero = cx.scalar(dtype, 0.0);
            y = cx.select(m, y, zero)?;
        }
        let output = Out::from(T {
            value: y,
            mask: q_mask,
        });
        match return_scores {
            true => Ok(Nest::List(vec![output, weights.into()])),
            false => Ok(output),
        }
    }
}

impl Attention {
    /// Scores (batch, t, s).
    fn scores(&self, cx: &mut Cx, me: &LayerNode, q: ValueId, k: ValueId) -> Result<ValueId> {
        let size = cx.dim(q, -1)?;
        let scale = match (self.use_scale, &self.score) {
            (false, _) => None,
            (true, Score::Additive) => Some(cx.weight(me, "scale", &[size])?),
            (true, _) => Some(cx.weight(me, "scale", &[])?),
        };
        let scaled = |cx: &mut Cx, x: ValueId| match scale {
            Some(s) => cx.mul(s, x),
            None => Ok(x),
        };
        if let Score::Dot = self.score {
            let s = cx.matmul(q, k, false, true)?;
            return scaled(cx, s);
        }
        let q = cx.expand_dims(q, -2)?;
        let k = cx.expand_dims(k, -3)?;
        let mut s = cx.add(q, k)?;
        if let Score::Concat = self.score {
            s = scaled(cx, s)?;
        }
        s = cx.unary(Unary::Tanh, s)?;
        if let Score::Additive = self.score {
            s = scaled(cx, s)?;
        }
        let last = [cx.rank(s) - 1];
        let s = cx.reduce(Reduce::Sum, s, &last, false)?;
        match self.score {
            Score::Concat => {
                let w = cx.weight(me, "concat_score_weight", &[])?;
                cx.mul(w, s)
            }
            _ => Ok(s),
        }
    }
}

/// The masks of query and value: passed as a list, else those the inputs carry.
fn masks(cx: &mut Cx, call: &Call, inputs: &[T]) -> Result<(Option<ValueId>, Option<ValueId>)> {
    let of = |at: usize| match call.arg(1, "mask") {
        Some(Arg::List(items)) => match items.get(at) {
            Some(Arg::Tensor(t)) => Some(t.value),
            _ => None,
        },
        Some(_) => None,
        None => inputs[at].mask,
    };
    let mut as_bool = |m: Option<ValueId>| m.map(|m| cx.cast(m, DType::Bool)).transpose();
    Ok((as_bool(of(0))?, as_bool(of(1))?))
}
