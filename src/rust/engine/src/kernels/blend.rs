//! Elements along an axis as weighted sums of a few others, as images are resized.

use super::vecmath::multiversion;
use super::windows::for_lines;
use super::{Kernel, Par, Request};
use crate::error::Result;
use crate::tensor::{numel, Line, View, ViewMut};

/// The kernel of `Blend`.
pub struct Blend {
    /// Sizes of the axis, before and after, and of what lies within.
    from: usize,
    to: usize,
    inner: usize,
    /// Terms of a sum.
    terms: usize,
}

impl Blend {
    pub fn new(axis: usize, req: &Request) -> Blend {
        let (x, indices) = (&req.ins[0].fact.shape, &req.ins[1].fact.shape);
        Blend {
            from: x[axis],
            to: indices[0],
            inner: numel(&x[axis + 1..]),
            terms: indices[1],
        }
    }
}

/// Lines of some elements each, next to one another.
struct Lines<'a> {
    x: &'a [f32],
    /// Where in x the terms of the first sum lie; and, of all, where and how much.
    first: usize,
    indices: &'a [i32],
    weights: &'a [f32],
}

impl Blend {
    #[inline(always)]
    fn blend(&self, x: &Lines, out: &mut [f32]) {
        match self.inner {
            1 => self.short::<1>(x, out),
            2 => self.short::<2>(x, out),
            3 => self.short::<3>(x, out),
            4 => self.short::<4>(x, out),
            _ => self.long(x, out),
        }
    }

    /// The image of a line of output, and the terms of its sum.
    #[inline(always)]
    fn terms<'a>(&self, x: &Lines<'a>, line: usize) -> (usize, &'a [i32], &'a [f32]) {
        let at = x.first + line;
        let terms = at % self.to * self.terms..(at % self.to + 1) * self.terms;
        let image = at / self.to * self.from;
        (image, &x.indices[terms.clone()], &x.weights[terms])
    }

    #[inline(always)]
    fn short<const INNER: usize>(&self, x: &Lines, out: &mut [f32]) {
        for (line, out) in out.chunks_exact_mut(INNER).enumerate() {
            let (image, indices, weights) = self.terms(x, line);
            let mut sum = [0.0; INNER];
            for (&i, &w) in indices.iter().zip(weights) {
                let term = &x.x[(image + i as usize) * INNER..][..INNER];
                for c in 0..INNER {
                    sum[c] += w * term[c];
                }
            }
            out.copy_from_slice(&sum);
        }
    }

    #[inline(always)]
    fn long(&self, x: &Lines, out: &mut [f32]) {
        for (line, out) in out.chunks_exact_mut(self.inner).enumerate() {
            let (image, indices, weights) = self.terms(x, line);
            let term = |i: i32| &x.x[(image + i as usize) * self.inner..][..self.inner];
            match (indices, weights) {
                (&[a, b], &[wa, wb]) => {
                    for ((d, a), b) in out.iter_mut().zip(term(a)).zip(term(b)) {
                        *d = wa * a + wb * b;
                    }
                }
                _ => {
                    out.fill(0.0);
                    for (&i, &w) in indices.iter().zip(weights) {
                        for (d, x) in out.iter_mut().zip(term(i)) {
                            *d += w * x;
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn run_body(blend: &Blend, x: &Lines, out: &mut [f32]) {
    blend.blend(x, out)
}
multiversion!(fn run(blend: &Blend, x: &Lines, out: &mut [f32]) = run_body);

impl Kernel for Blend {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        for_lines(outs[0].as_mut::<f32>(), self.inner, par, |first, out| {
            let x = Lines {
                x: ins[0].as_slice(),
                first,
                indices: ins[1].as_slice(),
                weights: ins[2].as_slice(),
            };
            run(self, &x, out)
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::Op;
    use crate::kernels::testing::{noise, run};
    use crate::tensor::{DType, Fact, Tensor};

    #[test]
    fn agrees_with_plain_loops() {
        for (shape, axis) in [
            (&[2usize, 5, 1][..], 1),
            (&[3, 4, 2], 1),
            (&[1, 6, 3], 1),
            (&[2, 5, 4, 3], 1),
            (&[7], 0),
            (&[0, 5, 2], 1),
        ] {
            for terms in [1usize, 2, 3] {
                let x = noise(DType::F32, shape, 3);
                let (from, to) = (shape[axis], 4);
                let indices: Vec<i32> = (0..to * terms).map(|i| (i * 3 % from) as i32).collect();
                let weights: Vec<f32> = (0..to * terms).map(|i| i as f32 * 0.5 - 1.0).collect();
                let mut out = shape.to_vec();
                out[axis] = to;
                let inner: usize = shape[axis + 1..].iter().product();
                let v = x.as_slice::<f32>();
                let want: Vec<f32> = (0..out.iter().product())
                    .map(|at| {
                        let (c, o, image) = (at % inner, at / inner % to, at / inner / to);
                        let term = |k: usize| {
                            let i = indices[o * terms + k] as usize;
                            weights[o * terms + k] * v[(image * from + i) * inner + c]
                        };
                        (0..terms).map(term).sum()
                    })
                    .collect();
                let indices = Tensor::from_slice([to, terms], &indices);
                let weights = Tensor::from_slice([to, terms], &weights);
                let ins = [&x, &indices, &weights];
                let got = run(&Op::Blend { axis }, &ins, &[Fact::f32(out)]).unwrap();
                assert_eq!(got[0].as_slice::<f32>(), want, "{shape:?} of {terms}");
            }
        }
    }
}
