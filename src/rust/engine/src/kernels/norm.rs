//! Normalization of rows to mean 0 and variance 1.

use std::marker::PhantomData;

use super::real::{fold, Real};
use super::vecmath::multiversion;
use super::windows::for_lines;
use super::{convert, Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{Line, View, ViewMut};

struct LayerNorm<E> {
    axis: usize,
    epsilon: f64,
    center: bool,
    gamma: Option<usize>,
    beta: Option<usize>,
    elem: PhantomData<E>,
}

/// Prepares `Op::LayerNorm`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    convert::prepare_num(req, prepare_in::<f32>, prepare_in::<f64>, |_| {
        Err(Error::internal("a normalization of integers"))
    })
}

fn prepare_in<E: Rows>(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::LayerNorm {
        epsilon,
        center,
        gamma,
        beta,
    } = req.op
    else {
        return Err(Error::internal("not a normalization"));
    };
    Ok(Box::new(LayerNorm::<E> {
        axis: req.outs[0].shape.last().copied().unwrap_or(1),
        epsilon: epsilon.0,
        center: *center,
        gamma: gamma.then_some(1),
        beta: beta.then_some(1 + *gamma as usize),
        elem: PhantomData,
    }))
}

/// Rows to normalize.
struct Job<'a, E> {
    rows: &'a mut [E],
    axis: usize,
    epsilon: E,
    center: bool,
    gamma: Option<&'a [E]>,
    beta: Option<&'a [E]>,
}

trait Rows: Real {
    fn normalize(job: Job<Self>);
}

impl Rows for f32 {
    fn normalize(job: Job<f32>) {
        normalize_f32(job)
    }
}

impl Rows for f64 {
    fn normalize(job: Job<f64>) {
        normalize(job)
    }
}

#[inline(always)]
fn normalize_f32_body(job: Job<f32>) {
    normalize(job)
}
multiversion! {
    fn normalize_f32(job: Job<f32>) = normalize_f32_body
}

#[inline(always)]
fn normalize<E: Real>(job: Job<E>) {
    let n = E::count(job.axis);
    let zero = E::of(0.0);
    for row in job.rows.chunks_exact_mut(job.axis) {
        if job.center {
            let mean = fold(row, zero, |v| v, |a, v| a + v) / n;
            for v in row.iter_mut() {
                *v = *v - mean;
            }
        }
        let variance = fold(row, zero, |v| v * v, |a, v| a + v) / n;
        let scale = E::of(1.0) / (variance + job.epsilon).sqrt();
        match job.gamma {
            Some(gamma) => {
                for (v, g) in row.iter_mut().zip(gamma) {
                    *v = *v * scale * *g;
                }
            }
            None => {
                for v in row.iter_mut() {
                    *v = *v * scale;
                }
            }
        }
        if let Some(beta) = job.beta {
            for (v, b) in row.iter_mut().zip(beta) {
                *v = *v + *b;
            }
        }
    }
}

impl<E: Rows> Kernel for LayerNorm<E> {
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
            E::normalize(Job {
                rows,
                axis: self.axis,
                epsilon: E::of(self.epsilon),
                center: self.center,
                gamma: self.gamma.map(|i| ins[i].as_slice()),
                beta: self.beta.map(|i| ins[i].as_slice()),
            });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::graph::F;
    use crate::tensor::DType;

    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(10);
        for (rows, axis) in [(1, 1), (7, 3), (5, 16), (9, 37), (100, 768)] {
            for bits in 0..8 {
                for dtype in [DType::F32, DType::F64, DType::F16] {
                    let (center, gamma, beta) = (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
                    let op = Op::LayerNorm {
                        epsilon: F(1e-3),
                        center,
                        gamma,
                        beta,
                    };
                    let mut ins = vec![rng.tensor(dtype, vec![rows, axis])];
                    for _ in 0..gamma as usize + beta as usize {
                        ins.push(rng.tensor(dtype, vec![axis]));
                    }
                    let g = if gamma {
                        ins[1].to_f64()
                    } else {
                        vec![1.0; axis]
                    };
                    let b = match beta {
                        true => ins[ins.len() - 1].to_f64(),
                        false => vec![0.0; axis],
                    };
                    let mut want = Vec::new();
                    for row in ins[0].to_f64().chunks_exact(axis) {
                        let n = axis as f64;
                        let mean = if center {
                            row.iter().sum::<f64>() / n
                        } else {
                            0.0
                        };
                        let var = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                        for (i, v) in row.iter().enumerate() {
                            want.push((v - mean) / (var + 1e-3).sqrt() * g[i] + b[i]);
                        }
                    }
                    let got = run_both(&op, &ins, &[], dtype, &[vec![rows, axis]]);
                    assert_close(&got[0], &want, &format!("{rows} {axis} {bits} {dtype}"));
                }
            }
        }
    }
}
