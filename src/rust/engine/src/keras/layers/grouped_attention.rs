//! GroupedQueryAttention: groups of query heads share keys and values.

use std::sync::Arc;

use crate::error::Result;
use crate::graph::{Unary, ValueId};
use crate::keras::activations::Activation;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};
use crate::nest::Nest;
use crate::tensor::DType;

use super::attention::{
    attend, band, both, dot_product_attention, flag, project, projection, tensor_arg, PARAMETERS,
    TO_HEADS,
};

struct GroupedQueryAttention {
    head_dim: usize,
    heads: usize,
    groups: usize,
    sliding_window: Option<usize>,
    use_gate: bool,
    dropout: f64,
}

pub fn grouped_query_attention(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    // TensorFlow has no flash attention: Keras fails there if it is asked for.
    if cfg.bool_or("flash_attention", false)? {
        return Err(cfg.bad("flash_attention", "false"));
    }
    let bias = cfg.bool_or("use_bias", true)?;
    let layer = GroupedQueryAttention {
        head_dim: cfg.usize("head_dim")?,
        heads: cfg.usize("num_query_heads")?,
        groups: cfg.usize("num_key_value_heads")?,
        sliding_window: cfg.opt_usize("sliding_window")?,
        use_gate: cfg.bool_or("use_gate", false)?,
        dropout: cfg.f64_or("dropout", 0.0)?,
    };
    if layer.groups == 0 || !layer.heads.is_multiple_of(layer.groups) {
        return Err(cfg.bad("num_query_heads", "a multiple of num_key_value_heads"));
    }
    let gate = layer.use_gate;
    let linear = || Activation::Linear;
    let to_heads = |name: &str, f: Activation| projection(cfg, name, TO_HEADS, bias, f);
    let mut built = Built::new(layer)
        .child("_query_dense", to_heads("query", linear())?)
        .child("_key_dense", to_heads("key", linear())?);
    if gate {
        let sigmoid = Activation::Unary(Unary::Sigmoid);
        built = built.child("_gate_dense", to_heads("gate", sigmoid)?);
    }
    let output = projection(cfg, "attention_output", "...ab,abc->...c", bias, linear())?;
    Ok(built
        .child("_value_dense", to_heads("value", linear())?)
        .child("_output_dense", output))
}

impl GroupedQueryAttention {
    /// All masks in one, (batch, t, s) with sizes that may be 1.
    fn mask(
        &self,
        cx: &mut Cx,
        call: &Call,
        [q, v]: [T; 2],
        k: Option<T>,
    ) -> Result<Option<ValueId>> {
        let mut mask = None;
        let sources = [
            (3, "query_mask", Some(q), -1),
            (4, "value_mask", Some(v), -2),
            (5, "key_mask", k, -2),
        ];
        for (position, name, of, axis) in sources {
            let explicit = tensor_arg(cx, call, position, name)?.map(|t| t.value);
            if let Some(m) = explicit.or(of.and_then(|t| t.mask)) {
                let m = cx.cast(m, DType::Bool)?;
                let m = cx.expand_dims(m, axis)?;
                mask = Some(both(cx, mask, m)?);
            }
        }
        let (t, s) = (cx.dim(q.value, 1)?, cx.dim(v.value, 1)?);
        if flag(call, 9, "use_causal_mask") {
            let m = band(cx, t, s, |i, j| i >= j)?;
            mask = Some(both(cx, mask, m)?);
        }
        if let Some(w) = self.sliding_window {
            let m = band(cx, t, s, |i, j| i.abs_diff(j) < w)?;
            mask = Some(both(cx, mask, m)?);
        }
        if let Some(m) = tensor_arg(cx, call, 6, "attention_mask")? {
            let m = cx.cast(m.value, DType::Bool)?;
            mask = Some(both(cx, mask, m)?);
        }
        let Some(mut mask) = mask else {
            return Ok(None);
        };
        while cx.rank(mask) < 4 {
            mask = cx.expand_dims(mask, -3)?;
        }
        Ok(Some(mask))
    }

    /// Each head of (batch, s, groups, size) as often as query heads share it.
    fn spread(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let [b, s, g, d] = cx.shape(x)[..] else {
            return Err(cx.defect("expected projections of rank 4"));
        };
        let x = cx.reshape(x, &[b, s, g, 1, d])?;
        let x = cx.broadcast_to(x, &[b, s, g, self.heads / self.groups, d])?;
        cx.reshape(x, &[b, s, self.heads, d])
    }

    fn project(
        &self,
        cx: &mut Cx,
        node: &Arc<LayerNode>,
        x: ValueId,
        heads: usize,
    ) -> Result<ValueId> {
        project(cx, node, x, 1, &[heads, self.head_dim])
    }
}

impl Layer for GroupedQueryAttention {
    fn parameters(&self) -> &'static [&'static str] {
        PARAMETERS
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let missing = |cx: &Cx, name: &str| cx.call_error(format!("argument `{name}` is missing"));
        let query = tensor_arg(cx, call, 0, "query")?.ok_or_else(|| missing(cx, "query"))?;
        let value = tensor_arg(cx, call, 1, "value")?.ok_or_else(|| missing(cx, "value"))?;
        let given_key = tensor_arg(cx, call, 2, "key")?;
        let key = given_key.unwrap_or(value);
        let return_scores = flag(call, 7, "return_attention_scores");
        let mask = self.mask(cx, call, [query, value], given_key)?;

        let gate = match self.use_gate {
            true => {
                let heads = [self.heads, self.head_dim];
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
        let q = self.project(cx, me.child("_query_dense")?, query.value, self.heads)?;
        let k = self.project(cx, me.child("_key_dense")?, key.value, self.groups)?;
        let v = self.project(cx, me.child("_value_dense")?, value.value, self.groups)?;
        let (k, v) = (self.spread(cx, k)?, self.spread(cx, v)?);
        let scale = 1.0 / (self.head_dim as f64).sqrt();
        let (mut y, scores) = match self.dropout > 0.0 || return_scores {
            false => (dot_product_attention(cx, q, k, v, None, mask, scale)?, None),
            true => {
                let q = cx.mul_s(q, scale)?;
                let scores = cx.einsum("bquh,bkuh->buqk", q, k)?;
                let rate = self.dropout;
                let (scores, dropped) = attend(cx, scores, mask, 1, rate)?;
                let y = cx.einsum("buqk,bkuh->bquh", dropped, v)?;
                (y, Some(scores))
            }
        };
        if let Some(g) = gate {
            y = cx.mul(y, g)?;
        }
        let sizes = [cx.dim(query.value, -1)?];
        let output = project(cx, me.child("_output_dense")?, y, 2, &sizes)?;
        let output = Out::from(T {
            value: output,
            mask: query.mask,
        });
        match scores.filter(|_| return_scores) {
            Some(scores) => Ok(Nest::List(vec![output, scores.into()])),
            None => Ok(output),
        }
    }
}
