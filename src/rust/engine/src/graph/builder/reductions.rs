//! Reductions, sums that run along, softmax and normalisation.

use super::*;

impl Builder {
    pub fn reduce(
        &mut self,
        kind: Reduce,
        x: ValueId,
        axes: &[usize],
        keepdims: bool,
    ) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        if axes.last().is_some_and(|&a| a >= fact.rank()) {
            return Err(self.defect(format!("can't reduce axes {axes:?} of {fact}")));
        }
        let dtype = match kind {
            Reduce::ArgMax | Reduce::ArgMin => DType::I32,
            Reduce::Any | Reduce::All => {
                if fact.dtype != DType::Bool {
                    return Err(self.defect("any and all need bool"));
                }
                DType::Bool
            }
            _ => fact.dtype,
        };
        let shape: Shape = (0..fact.rank())
            .filter_map(|i| match axes.contains(&i) {
                true => keepdims.then_some(1),
                false => Some(fact.shape[i]),
            })
            .collect();
        if fact.dtype == DType::Str || (kind == Reduce::LogSumExp && !dtype.is_float()) {
            return Err(self.call_error(format!(
                "can't compute `{}` of {} tensors",
                named(&kind),
                fact.dtype
            )));
        }
        if axes.is_empty() && dtype == fact.dtype && kind != Reduce::LogSumExp {
            return Ok(x);
        }
        if dtype.is_half() {
            if let Some(y) = self.reduce_in_steps(kind, x, &axes, keepdims)? {
                return Ok(y);
            }
        }
        Ok(self.push(
            Op::Reduce {
                kind,
                axes,
                keepdims,
            },
            vec![x],
            Fact { dtype, shape },
        ))
    }

    pub fn cumulate(
        &mut self,
        kind: Cumulate,
        x: ValueId,
        axis: isize,
        reverse: bool,
    ) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        let axis = self.axis(axis, fact.rank())?;
        if fact.dtype == DType::Str {
            return Err(self.call_error("can't add up or multiply strings"));
        }
        Ok(self.push(
            Op::Cumulate {
                kind,
                axis,
                reverse,
            },
            vec![x],
            fact,
        ))
    }

    /// Softmax along any one axis.
    pub fn softmax(&mut self, x: ValueId, axis: isize, log: bool) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        if !fact.dtype.is_float() {
            return Err(
                self.call_error(format!("can't compute `softmax` of {} tensors", fact.dtype))
            );
        }
        let axis = self.axis(axis, fact.rank())?;
        let last = fact.rank() - 1;
        if axis == last && fact.dtype.is_half() {
            return self.softmax_in_steps(x, log);
        }
        if axis == last {
            return Ok(self.push(Op::Softmax { log }, vec![x], fact));
        }
        let mut perm: Vec<usize> = (0..=last).collect();
        perm.swap(axis, last);
        let t = self.transpose(x, &perm)?;
        let s = self.softmax(t, -1, log)?;
        self.transpose(s, &perm)
    }

    /// Normalizes over the last axis; see [`Op::LayerNorm`].
    pub fn layer_norm(
        &mut self,
        x: ValueId,
        epsilon: f64,
        center: bool,
        gamma: Option<ValueId>,
        beta: Option<ValueId>,
    ) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        let last = fact.shape.last().copied();
        for v in [gamma, beta].into_iter().flatten() {
            let f = self.fact(v);
            if f.dtype != fact.dtype || f.rank() != 1 || f.shape.first().copied() != last {
                return Err(self.defect(format!("can't normalize {fact} with a weight of {f}")));
            }
        }
        let op = Op::LayerNorm {
            epsilon: F(epsilon),
            center,
            gamma: gamma.is_some(),
            beta: beta.is_some(),
        };
        let ins = [Some(x), gamma, beta].into_iter().flatten().collect();
        Ok(self.push(op, ins, fact))
    }
}
