//! Normalization and Rescaling of inputs.

use crate::error::Result;
use crate::graph::{Unary, ValueId};
use crate::keras::cfg::numbers;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, T};
use crate::tensor::{DType, Fact};

/// An array of the config: its shape and its elements.
type Array = (Vec<usize>, Vec<f64>);

fn array(cfg: &Cfg, key: &str) -> Result<Option<Array>> {
    let read = |v| numbers(v).ok_or_else(|| cfg.bad(key, "a number or an array of them"));
    cfg.get(key).map(read).transpose()
}

/// An array of the config as Keras converts it: by way of float32.
fn constant(cx: &mut Cx, (shape, values): &Array, dtype: DType) -> Result<ValueId> {
    let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    let v = cx.f32s(shape.clone(), &values);
    cx.cast(v, dtype)
}

struct Normalization {
    axes: Vec<i64>,
    /// Mean and variance of the config; else they are weights.
    given: Option<(Array, Array)>,
    invert: bool,
}

/// `(x - mean) / max(sqrt(variance), 1e-7)` along some axes, or its inverse.
/// Passes the mask on.
pub fn normalization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let axes = match cfg.opt_ints("axis")? {
        Some(axes) => axes,
        None if cfg.has("axis") => vec![],
        None => vec![-1],
    };
    let given = array(cfg, "mean")?.zip(array(cfg, "variance")?);
    if let Some((mean, variance)) = &given {
        if mean.0.len() > axes.len() {
            return Err(cfg.bad("mean", "of no higher rank than there are axes"));
        }
        if mean.0 != variance.0 {
            return Err(cfg.bad("variance", "of the mean's shape"));
        }
    }
    let stored = given.is_none();
    let built = Built::new(Normalization {
        axes,
        given,
        invert: cfg.bool_or("invert", false)?,
    });
    Ok(match stored {
        true => built.frozen("mean").frozen("variance").frozen("count"),
        false => built,
    })
}

impl Normalization {
    /// Mean and variance in shapes that broadcast along the axes.
    fn statistics(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        shape: &[usize],
    ) -> Result<(ValueId, ValueId)> {
        let rank = shape.len();
        let axes: Result<Vec<usize>> = self
            .axes
            .iter()
            .map(|&a| cx.axis(a as isize, rank))
            .collect();
        let mut axes = axes?;
        axes.sort_unstable();
        let mut along = vec![1; rank];
        let (mean, variance) = match &self.given {
            Some((mean, variance)) => {
                for (axis, size) in axes.iter().rev().zip(mean.0.iter().rev()) {
                    along[*axis] = *size;
                }
                let mean = constant(cx, mean, me.policy.compute)?;
                (mean, constant(cx, variance, me.policy.compute)?)
            }
            None => {
                axes.iter().for_each(|&a| along[a] = shape[a]);
                let sizes: Vec<usize> = axes.iter().map(|&a| shape[a]).collect();
                // The layer may have seen other data than the model takes.
                let mean = cx.weight_fact(me, "mean");
                if mean.is_some_and(|mean| mean.shape != sizes) {
                    return Err(cx.error("the mean doesn't fit the input"));
                }
                cx.has_weight(me, "count", Fact::new(DType::I64, []));
                let mean = cx.weight(me, "mean", &sizes)?;
                (mean, cx.weight(me, "variance", &sizes)?)
            }
        };
        Ok((cx.reshape(mean, &along)?, cx.reshape(variance, &along)?))
    }
}

impl Layer for Normalization {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let y = cx.cast(x.value, me.policy.compute)?;
        let shape = cx.shape(y);
        let (mean, variance) = self.statistics(cx, me, &shape)?;
        let deviation = cx.unary(Unary::Sqrt, variance)?;
        let deviation = cx.clip(deviation, Some(1e-7), None)?;
        let value = match self.invert {
            true => {
                let y = cx.mul(y, deviation)?;
                cx.add(mean, y)?
            }
            false => {
                let y = cx.sub(y, mean)?;
                cx.div(y, deviation)?
            }
        };
        if cx.shape(value) != shape {
            return Err(cx.error("the mean doesn't fit the input"));
        }
        Ok(T { value, ..x }.into())
    }
}

struct Rescaling {
    scale: Array,
    offset: Array,
}

/// `x * scale + offset`; arrays go along the last axes. Passes the mask on.
pub fn rescaling(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let scale = array(cfg, "scale")?.ok_or_else(|| cfg.bad("scale", "a number"))?;
    let offset = array(cfg, "offset")?.unwrap_or((vec![], vec![0.0]));
    Ok(Built::new(Rescaling { scale, offset }))
}

impl Layer for Rescaling {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?;
        let dtype = me.policy.compute;
        let scale = constant(cx, &self.scale, dtype)?;
        let offset = constant(cx, &self.offset, dtype)?;
        let y = cx.cast(x.value, dtype)?;
        let y = cx.mul(y, scale)?;
        let value = cx.add(y, offset)?;
        Ok(T { value, ..x }.into())
    }
}
