//! Attention whose scores are never written out: some queries at a time, their
//! scores stay in the cache until they are used.

use super::epilogue::{Epilogue, Steps};
use super::gemm::{self, with_buffer, Dims, Strided};
use super::softmax;
use super::{Kernel, Operand, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{numel, Fact, Line, Shape, View, ViewMut};

/// What the scores of a block of queries may take, in bytes.
const BLOCK_BYTES: usize = 96 * 1024;
/// Queries of a block: a multiple of the rows of a tile.
const STEP: usize = 12;
const QUERIES: std::ops::RangeInclusive<usize> = STEP..=96;

/// How the matrices of a tensor lie in it.
struct Matrices {
    heads: usize,
    rows: usize,
    cols: usize,
    swapped: bool,
}

impl Matrices {
    fn new(shape: &Shape, swapped: bool) -> Self {
        let rank = shape.len();
        let (heads, rows) = match swapped {
            true => (shape[2], shape[1]),
            false => (1, shape[rank - 2]),
        };
        Matrices {
            heads,
            rows,
            cols: shape[rank - 1],
            swapped,
        }
    }

    /// Where the `i`-th matrix starts.
    fn start(&self, i: usize) -> usize {
        match self.swapped {
            true => (i / self.heads * self.rows * self.heads + i % self.heads) * self.cols,
            false => i * self.rows * self.cols,
        }
    }

    /// Distance of its rows.
    fn stride(&self) -> usize {
        self.heads * self.cols
    }
}

struct Attention {
    /// How many matrices there are.
    batch: usize,
    q: Matrices,
    k: Matrices,
    v: Matrices,
    out: Matrices,
    /// Queries of a block.
    block: usize,
    scores: Epilogue,
}

/// Prepares `Op::Attention`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Attention(attrs) = req.op else {
        return Err(Error::internal("not attention"));
    };
    let [sq, sk, sv, so] = attrs.swapped;
    let shape = |i: usize| &req.ins[i].fact.shape;
    let q = Matrices::new(shape(0), sq);
    let k = Matrices::new(shape(1), sk);
    let v = Matrices::new(shape(2), sv);
    let batch = numel(shape(0)) / (q.rows * q.cols).max(1);
    // The scores' epilogue is that of a product of this shape.
    let scores = [Fact::f32(vec![batch, q.rows, k.rows])];
    let ins: Vec<Operand> = [0, 1]
        .into_iter()
        .chain(3..req.ins.len())
        .map(|i| Operand {
            fact: req.ins[i].fact,
            constant: req.ins[i].constant,
        })
        .collect();
    let request = Request {
        op: req.op,
        ins: &ins,
        outs: &scores,
        path: req.path,
        packs: req.packs,
    };
    let queries = BLOCK_BYTES / (k.rows * size_of::<f32>()).max(1) / STEP * STEP;
    Ok(Box::new(Attention {
        batch,
        block: queries.clamp(*QUERIES.start(), *QUERIES.end()),
        scores: Epilogue::whole(&attrs.scores, &request, 2)?,
        out: Matrices::new(&req.outs[0].shape, so),
        q,
        k,
        v,
    }))
}

impl Attention {
    fn packed(&self) -> [usize; 2] {
        [
            gemm::packed_len::<f32>(self.k.cols, self.k.rows),
            gemm::packed_len::<f32>(self.v.rows, self.v.cols),
        ]
    }

    fn bytes(&self) -> usize {
        let scores = self.block * self.k.rows;
        (self.packed().iter().sum::<usize>() + scores) * size_of::<f32>()
    }

    /// Attention of the `i`-th matrices.
    fn matrix(&self, i: usize, ins: &[View], out: Shared<f32>, buffer: &mut [Line]) {
        let buffer = bytemuck::cast_slice_mut::<Line, f32>(buffer);
        let [keys, values] = self.packed();
        let (packed_k, rest) = buffer.split_at_mut(keys);
        let (packed_v, scores) = rest.split_at_mut(values);
        let (n, width) = (self.k.rows, self.v.cols);
        let at = |j: usize, m: &Matrices| &ins[j].as_slice::<f32>()[m.start(i)..];
        let q = at(0, &self.q);
        let depth = (self.k.cols, n);
        let strides = (1, self.k.stride());
        gemm::pack(at(1, &self.k), depth, strides, packed_k, Par::Serial);
        let depth = (n, width);
        let strides = (self.v.stride(), 1);
        gemm::pack(at(2, &self.v), depth, strides, packed_v, Par::Serial);
        let multiply =
            |rows: &Strided<f32>, count: usize, cols: usize, len: usize, packed: &[f32]| {
                let dims = Dims {
                    rows: count,
                    cols,
                    segments: 1,
                    len,
                    step: 1,
                };
                gemm::multiply(rows, dims, packed, &Steps::none(), Par::Serial, &|_, _| {});
            };
        let operands = [&ins[..2], &ins[3..]].concat();
        for first in (0..self.q.rows).step_by(self.block) {
            let count = self.block.min(self.q.rows - first);
            let scores = &mut scores[..count * n];
            let rows = Strided {
                left: q[first * self.q.stride()..].as_ptr(),
                left_stride: self.q.stride(),
                out: scores.as_mut_ptr(),
                out_stride: n,
            };
            multiply(&rows, count, n, self.q.cols, packed_k);
            let before = (i * self.q.rows + first) * n;
            self.scores.apply(scores, before, n, &operands);
            softmax::rows_f32(scores, n, false);
            let start = self.out.start(i) + first * self.out.stride();
            let rows = Strided {
                left: scores.as_ptr(),
                left_stride: n,
                out: out.get().wrapping_add(start),
                out_stride: self.out.stride(),
            };
            multiply(&rows, count, width, n, packed_v);
        }
    }
}

impl Kernel for Attention {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _scratch: &mut [Line],
        _aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let out = Shared(outs[0].as_mut::<f32>().as_mut_ptr());
        let matrix = |i: usize| {
            with_buffer(self.bytes(), |buffer| self.matrix(i, ins, out, buffer));
        };
        par.each(self.batch, matrix);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::graph::{AttentionAttrs, Binary, Op, Program, Step};
    use crate::tensor::{DType, Tensor};
    use std::sync::Arc;

    /// A tensor (b, h, n, s) with axes 1 and 2 swapped.
    fn swap(t: &Tensor) -> Tensor {
        let [b, h, n, s] = *t.shape() else {
            panic!("rank")
        };
        let x = t.to_f64();
        let mut out = vec![];
        for (i, j, k) in
            (0..b).flat_map(|i| (0..n).flat_map(move |j| (0..h).map(move |k| (i, j, k))))
        {
            out.extend_from_slice(&x[((i * h + k) * n + j) * s..][..s]);
        }
        of(DType::F32, vec![b, n, h, s], &out)
    }

    /// Scaled and masked, in every layout, with blocks that are cut.
    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(4);
        for (b, h, m, n, s, d) in [
            (2, 3, 5, 7, 4, 6),
            (1, 2, 130, 40, 8, 20),
            (1, 2, 30, 2500, 4, 3),
        ] {
            let q = rng.tensor(DType::F32, vec![b, h, m, s]);
            let k = rng.tensor(DType::F32, vec![b, h, n, s]);
            let v = rng.tensor(DType::F32, vec![b, h, n, d]);
            let mask = rng.tensor(DType::F32, vec![b, h, m, n]);
            let scale = of(DType::F32, vec![], &[0.5]);
            let program = Arc::new(Program {
                inputs: 3,
                steps: vec![
                    Step::Binary(Binary::Mul, 0, 1),
                    Step::Binary(Binary::Add, 3, 2),
                ],
                dtypes: vec![DType::F32; 2],
            });
            let [qv, kv, vv, mv] = [&q, &k, &v, &mask].map(Tensor::to_f64);
            let mut want = vec![];
            for i in 0..b * h {
                for r in 0..m {
                    let scores: Vec<f64> = (0..n)
                        .map(|c| {
                            let dot: f64 = (0..s)
                                .map(|p| qv[(i * m + r) * s + p] * kv[(i * n + c) * s + p])
                                .sum();
                            (dot * 0.5 + mv[(i * m + r) * n + c]).exp()
                        })
                        .collect();
                    let sum: f64 = scores.iter().sum();
                    want.extend((0..d).map(|e| {
                        (0..n)
                            .map(|c| scores[c] / sum * vv[(i * n + c) * d + e])
                            .sum::<f64>()
                    }));
                }
            }
            let want = of(DType::F32, vec![b, h, m, d], &want);
            for bits in 0..16 {
                let swapped = [0, 1, 2, 3].map(|i| bits >> i & 1 == 1);
                let lay = |t: &Tensor, i: usize| if swapped[i] { swap(t) } else { t.clone() };
                let ins = [
                    lay(&q, 0),
                    lay(&k, 1),
                    lay(&v, 2),
                    scale.clone(),
                    mask.clone(),
                ];
                let op = Op::Attention(AttentionAttrs {
                    scores: Some(program.clone()),
                    swapped,
                });
                let want = lay(&want, 3);
                let got = run_both(&op, &ins, &[3], DType::F32, &[want.shape().into()]);
                assert_close(
                    &got[0],
                    &want.to_f64(),
                    &format!("{b} {h} {m} {n} {swapped:?}"),
                );
            }
        }
    }
}
