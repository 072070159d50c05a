//! Embedding and ReversibleEmbedding.

use crate::error::Result;
use crate::graph::{Binary, Unary, ValueId};
use crate::keras::policy::Quantization;
use crate::keras::quant::{
    any_weight, dequantize, exact, mixed, promoted, unpack_int4, AbsMax, Quant,
};
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Policy, Var, T};
use crate::tensor::{DType, Fact};

struct Embedding {
    rows: usize,
    width: usize,
    mask_zero: bool,
    mode: Option<Quantization>,
}

impl Embedding {
    fn from_cfg(cfg: &Cfg, mode: Option<Quantization>) -> Result<Embedding> {
        use Quantization as Q;
        cfg.pass_over(&["input_length"]);
        if matches!(
            mode,
            Some(Q::Float8 { .. } | Q::Gptq { .. } | Q::Awq { .. })
        ) {
            return Err(cfg.bad(
                "dtype",
                "a policy without quantization, or with int8 or int4",
            ));
        }
        Ok(Embedding {
            rows: cfg.usize("input_dim")?,
            width: cfg.usize("output_dim")?,
            mask_zero: cfg.bool_or("mask_zero", false)?,
            mode,
        })
    }

    fn grouped(&self) -> bool {
        matches!(self.mode, Some(Quantization::Int4 { block: Some(_) }))
    }

    /// Declares the table, in the order in which its parts are stored.
    fn vars(&self) -> Vec<Var> {
        if self.mode.is_none() {
            return vec![Var::new("embeddings")];
        }
        let mut vars = vec![Var::frozen("embeddings"), Var::frozen("embeddings_scale")];
        if self.grouped() {
            vars.extend([Var::frozen("embeddings_zero"), Var::frozen("g_idx")]);
        }
        vars
    }

    /// Tells of the weights of a table, rows at `axis`: `prefix` begins their names.
    fn tell(&self, cx: &Cx, me: &LayerNode, prefix: &str, axis: usize, zero: DType) {
        let Some(mode) = self.mode else { return };
        let variable = me.policy.variable;
        let sizes = |width: usize| match axis {
            0 => [self.rows, width],
            _ => [width, self.rows],
        };
        let width = match mode {
            Quantization::Int4 { .. } => self.width.div_ceil(2),
            _ => self.width,
        };
        let scale = match mode {
            Quantization::Int4 { block: Some(n) } => sizes(self.width.div_ceil(n)).to_vec(),
            _ => vec![self.rows],
        };
        let tell = |name: &str, fact: Fact| cx.has_weight(me, name, fact);
        tell(prefix, Fact::new(DType::I8, sizes(width)));
        tell(&format!("{prefix}_scale"), Fact::new(variable, &scale[..]));
        tell(&format!("{prefix}_zero"), Fact::new(zero, &scale[..]));
        tell("g_idx", Fact::new(DType::F32, [self.width]));
    }

    /// The table as stored, unpacked: of numbers or of what is to be scaled.
    fn table(&self, cx: &mut Cx, me: &LayerNode) -> Result<ValueId> {
        let shape = [self.rows, self.width];
        match self.mode {
            Some(Quantization::Int4 { .. }) => {
                let packed = [self.rows, self.width.div_ceil(2)];
                let table = cx.stored_weight(me, "embeddings", &packed)?;
                unpack_int4(cx, table, 1, self.width)
            }
            _ => cx.weight(me, "embeddings", &shape),
        }
    }

    fn look_up(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<ValueId> {
        let indices = match cx.dtype(x) {
            DType::I32 | DType::I64 => x,
            _ => cx.cast(x, DType::I32)?,
        };
        let lacks = self.mode.is_some() && cx.lacks_weights(me);
        let table = match lacks {
            true => {
                self.tell(cx, me, "embeddings", 0, DType::I8);
                cx.full(Fact::new(DType::I8, [self.rows, self.width]), 0.0)?
            }
            false => self.table(cx, me)?,
        };
        let rows = cx.gather(table, indices, 0, 0)?;
        let rows = cx.cast(rows, me.policy.compute)?;
        if lacks || self.mode.is_none() || cx.called_directly() {
            return Ok(rows);
        }
        let scale = any_weight(cx, me, "embeddings_scale")?;
        let scale = cx.gather(scale, indices, 0, 0)?;
        if !self.grouped() {
            let scale = cx.expand_dims(scale, -1)?;
            return mixed(cx, Binary::Div, rows, scale);
        }
        let zero = any_weight(cx, me, "embeddings_zero")?;
        let zero = cx.gather(zero, indices, 0, 0)?;
        let groups = any_weight(cx, me, "g_idx")?;
        let axis = cx.rank(scale) - 1;
        dequantize(cx, rows, scale, zero, groups, axis)
    }

    fn mask(&self, cx: &mut Cx, x: ValueId) -> Result<Option<ValueId>> {
        match self.mask_zero {
            true => Ok(Some(cx.binary_s(Binary::Ne, x, 0.0)?)),
            false => Ok(None),
        }
    }
}

/// Rows of a table by index, counted from the end where negative.
/// Indices outside of the table are a run-time error.
pub fn embedding(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let quant = Quant::from_cfg(cfg, Policy::of(cfg)?, None)?;
    let layer = Embedding::from_cfg(cfg, quant.mode)?;
    Ok(Built {
        vars: layer.vars(),
        layer: Box::new(layer),
        children: vec![],
    })
}

impl Layer for Embedding {
    fn autocast(&self) -> bool {
        false
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let value = self.look_up(cx, me, x)?;
        let mask = self.mask(cx, x)?;
        Ok(T { value, mask }.into())
    }
}

struct ReversibleEmbedding {
    forward: Embedding,
    tied: bool,
    reverse_dtype: Option<DType>,
    soft_cap: Option<f64>,
    activations: Option<AbsMax>,
}

/// An embedding that, called with `reverse = True`, multiplies by its table, or
/// by one of its own.
pub fn reversible_embedding(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let by_row = Some(AbsMax::new(Some(vec![-1])));
    let quant = Quant::from_cfg(cfg, Policy::of(cfg)?, by_row)?;
    let reverse_dtype = match cfg.opt_str("reverse_dtype")? {
        None => None,
        Some(name) => Some(DType::parse(name).ok_or_else(|| cfg.bad("reverse_dtype", "a dtype"))?),
    };
    let forward = Embedding::from_cfg(cfg, quant.mode)?;
    let tied = cfg.bool_or("tie_weights", true)?;
    let layer = ReversibleEmbedding {
        forward,
        tied,
        reverse_dtype,
        soft_cap: cfg.opt_f64("logit_soft_cap")?,
        activations: quant.activations,
    };
    let mut vars = layer.forward.vars();
    if !tied {
        match layer.forward.mode {
            None => vars.push(Var::new("reverse_embeddings")),
            Some(_) => vars.extend([
                Var::frozen("reverse_embeddings"),
                Var::frozen("reverse_embeddings_scale"),
            ]),
        }
        if layer.forward.grouped() {
            vars.push(Var::frozen("reverse_embeddings_zero"));
        }
    }
    Ok(Built {
        vars,
        layer: Box::new(layer),
        children: vec![],
    })
}

impl Layer for ReversibleEmbedding {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "reverse"]
    }

    fn autocast(&self) -> bool {
        false
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let reverse = match call.arg(1, "reverse") {
            Some(Arg::Lit(v)) => v.as_bool() == Some(true),
            _ => false,
        };
        if cx.lacks_weights(me) {
            self.tell(cx, me);
        }
        if !reverse {
            let value = self.forward.look_up(cx, me, x)?;
            // Quantized, the layer passes no mask on.
            let mask = match self.forward.mode {
                None => self.forward.mask(cx, x)?,
                Some(_) => None,
            };
            return Ok(T { value, mask }.into());
        }
        let logits = match self.forward.mode {
            Some(_) if cx.lacks_weights(me) => {
                let kernel = cx.full(Fact::new(me.policy.compute, self.shape()), 0.0)?;
                let (x, kernel) = promoted(cx, x, kernel)?;
                cx.dense(x, kernel)?
            }
            None => self.plain(cx, me, x)?,
            Some(_) => self.quantized(cx, me, x)?,
        };
        let Some(cap) = self.soft_cap else {
            return Ok(logits.into());
        };
        let y = cx.div_s(logits, cap)?;
        let y = cx.unary(Unary::Tanh, y)?;
        Ok(cx.mul_s(y, cap)?.into())
    }
}

impl ReversibleEmbedding {
    /// Tells of all weights, whichever direction uses them.
    fn tell(&self, cx: &Cx, me: &LayerNode) {
        let variable = me.policy.variable;
        match self.forward.mode {
            None => {
                let sizes = [self.forward.rows, self.forward.width];
                cx.has_weight(me, "embeddings", Fact::new(variable, sizes));
                cx.has_weight(me, "reverse_embeddings", Fact::new(variable, self.shape()));
            }
            Some(_) => {
                self.forward.tell(cx, me, "embeddings", 0, DType::I8);
                self.forward.tell(cx, me, "reverse_embeddings", 1, variable);
            }
        }
    }

    fn shape(&self) -> [usize; 2] {
        [self.forward.width, self.forward.rows]
    }

    fn plain(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<ValueId> {
        let kernel = match self.tied {
            true => {
                let table = self.forward.table(cx, me)?;
                cx.transpose(table, &[1, 0])?
            }
            false => cx.weight(me, "reverse_embeddings", &self.shape())?,
        };
        let (x, kernel) = match self.reverse_dtype {
            Some(dtype) => (cx.cast(x, dtype)?, cx.cast(kernel, dtype)?),
            None => promoted(cx, x, kernel)?,
        };
        cx.dense(x, kernel)
    }

    fn quantized(&self, cx: &mut Cx, me: &LayerNode, x: ValueId) -> Result<ValueId> {
        let compute = me.policy.compute;
        let int4 = matches!(self.forward.mode, Some(Quantization::Int4 { .. }));
        let kernel = match (self.tied, int4) {
            (true, _) => {
                let table = self.forward.table(cx, me)?;
                cx.transpose(table, &[1, 0])?
            }
            (false, true) => {
                let packed = cx.raw_weight(me, "reverse_embeddings")?;
                unpack_int4(cx, packed, 0, self.forward.width)?
            }
            (false, false) => cx.weight(me, "reverse_embeddings", &self.shape())?,
        };
        let (scale, zero) = match self.tied {
            true => ("embeddings_scale", "embeddings_zero"),
            false => ("reverse_embeddings_scale", "reverse_embeddings_zero"),
        };
        let mut scale = any_weight(cx, me, scale)?;
        let (x, given) = match &self.activations {
            Some(quantizer) => {
                let rank = cx.rank(x);
                let axes = quantizer.axes.as_deref().unwrap_or(&[-1]);
                let axes: Vec<usize> = axes
                    .iter()
                    .map(|&a| cx.axis(a, rank))
                    .collect::<Result<_>>()?;
                quantizer.quantize(cx, x, &axes)?
            }
            None => (x, cx.scalar(compute, 1.0)),
        };
        if self.forward.grouped() {
            let mut zero = any_weight(cx, me, zero)?;
            if self.tied {
                scale = cx.transpose(scale, &[1, 0])?;
                zero = cx.transpose(zero, &[1, 0])?;
            }
            let groups = any_weight(cx, me, "g_idx")?;
            let kernel = cx.cast(kernel, compute)?;
            let kernel = dequantize(cx, kernel, scale, zero, groups, 0)?;
            let (x, kernel) = promoted(cx, x, kernel)?;
            let y = cx.dense(x, kernel)?;
            return mixed(cx, Binary::Div, y, given);
        }
        let y = match cx.dtype(x) {
            DType::I8 => exact(cx, x, kernel, self.forward.width, |cx, x, k| cx.dense(x, k))?,
            _ => {
                let (x, kernel) = promoted(cx, x, kernel)?;
                cx.dense(x, kernel)?
            }
        };
        let y = cx.cast(y, compute)?;
        let scale = mixed(cx, Binary::Mul, given, scale)?;
        mixed(cx, Binary::Div, y, scale)
    }
}
