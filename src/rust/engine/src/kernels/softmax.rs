//! Softmax and its logarithm over the last axis.

use std::marker::PhantomData;

use super::real::{fold, Exact, Fast, Math, Real};
use super::vecmath::{multiversion, Isa};
use super::windows::for_lines;
use super::{convert, Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{Line, View, ViewMut};

/// Elements that exp is taken of at once, at least.
const TOGETHER: usize = 1024;

struct Softmax<E> {
    axis: usize,
    log: bool,
    elem: PhantomData<E>,
}

/// Prepares `Op::Softmax`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    convert::prepare_num(req, prepare_in::<f32>, prepare_in::<f64>, |_| {
        Err(Error::internal("a softmax of integers"))
    })
}

fn prepare_in<E: Rows>(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Softmax { log } = req.op else {
        return Err(Error::internal("not a softmax"));
    };
    Ok(Box::new(Softmax::<E> {
        axis: req.outs[0].shape.last().copied().unwrap_or(1),
        log: *log,
        elem: PhantomData,
    }))
}

trait Rows: Real {
    /// Replaces rows of `axis` elements.
    fn rows(rows: &mut [Self], axis: usize, log: bool);
}

impl Rows for f32 {
    fn rows(rows: &mut [f32], axis: usize, log: bool) {
        rows_f32(rows, axis, log)
    }
}

impl Rows for f64 {
    fn rows(rows: &mut [f64], axis: usize, log: bool) {
        softmax::<f64, Exact>(rows, axis, log)
    }
}

#[inline(always)]
fn rows_f32_body<I: Isa>(rows: &mut [f32], axis: usize, log: bool) {
    softmax::<f32, Fast<I>>(rows, axis, log)
}
multiversion! {
    /// Replaces rows of `axis` elements.
    pub(super) fn rows_f32(rows: &mut [f32], axis: usize, log: bool) = rows_f32_body::<_>
}

#[inline(always)]
fn softmax<E: Real, M: Math<E>>(rows: &mut [E], axis: usize, log: bool) {
    let largest = |row: &[E]| fold(row, E::LOWEST, |v| v, |a, v| if v > a { v } else { a });
    if log {
        for row in rows.chunks_exact_mut(axis) {
            let top = largest(row);
            let sum = fold(row, E::of(0.0), |v| M::exp(v - top), |a, v| a + v);
            let log_sum = M::log(sum);
            for v in row {
                *v = *v - top - log_sum;
            }
        }
        return;
    }
    // Some rows at once, so that exp has enough elements where rows are short.
    for rows in rows.chunks_mut((TOGETHER / axis).max(1) * axis) {
        for row in rows.chunks_exact_mut(axis) {
            let top = largest(row);
            for v in row {
                *v = *v - top;
            }
        }
        for v in rows.iter_mut() {
            *v = M::exp(*v);
        }
        for row in rows.chunks_exact_mut(axis) {
            let scale = E::of(1.0) / fold(row, E::of(0.0), |v| v, |a, v| a + v);
            for v in row {
                *v = *v * scale;
            }
        }
    }
}

impl<E: Rows> Kernel for Softmax<E> {
    fn in_place(&self) -> &[usize] {
        &[0]
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _scratch: &mut [Line],
        aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let x = aliased.is_none().then(|| ins[0].as_slice::<E>());
        for_lines(outs[0].as_mut::<E>(), self.axis, par, |first, rows| {
            if let Some(x) = x {
                rows.copy_from_slice(&x[first * self.axis..][..rows.len()]);
            }
            E::rows(rows, self.axis, self.log);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::tensor::{DType, Tensor};

    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(9);
        for (rows, axis) in [(1, 1), (7, 3), (5, 16), (9, 37), (300, 1000)] {
            for log in [false, true] {
                for dtype in [DType::F32, DType::F64, DType::BF16] {
                    let values: Vec<f64> = (0..rows * axis).map(|_| rng.unit() * 30.0).collect();
                    let x = of(dtype, vec![rows, axis], &values);
                    let mut want = Vec::new();
                    for row in x.to_f64().chunks_exact(axis) {
                        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                        let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
                        want.extend(row.iter().map(|v| match log {
                            true => v - top - sum.ln(),
                            false => (v - top).exp() / sum,
                        }));
                    }
                    let shape = vec![rows, axis];
                    let got = run_both(&Op::Softmax { log }, &[x], &[], dtype, &[shape]);
                    assert_close(&got[0], &want, &format!("{rows} {axis} {log} {dtype}"));
                }
            }
        }
    }

    #[test]
    fn infinities_are_tensorflows() {
        const INF: f32 = f32::INFINITY;
        let x = [-INF, -INF, -INF, 1.0, INF, 2.0, 1.0, -INF, 2.0];
        let x = Tensor::from_slice(vec![3, 3], &x);
        let nan = f64::NAN;
        let e = 1f64.exp();
        let run = |log| {
            let ins = [x.clone()];
            run_both(&Op::Softmax { log }, &ins, &[], DType::F32, &[vec![3, 3]]).remove(0)
        };
        let (p, q) = (1.0 / (1.0 + e), e / (1.0 + e));
        assert_close(
            &run(false),
            &[nan, nan, nan, nan, nan, nan, p, 0.0, q],
            "softmax",
        );
        let low = f64::NEG_INFINITY;
        assert_close(
            &run(true),
            &[nan, nan, nan, nan, nan, nan, p.ln(), low, q.ln()],
            "log",
        );
    }
}
