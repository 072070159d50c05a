//! Matrix products, batched or not.

use std::marker::PhantomData;
use std::sync::Arc;

use super::convert;
use super::epilogue::Epilogue;
use super::gemm::{self, with_buffer, Dims, Packed, Strided};
use super::simd::Num;
use super::{Kernel, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{numel, Line, View, ViewMut};

struct MatMul<E> {
    batch: usize,
    m: usize,
    k: usize,
    n: usize,
    ta: bool,
    tb: bool,
    /// All of the batch share b.
    shared: bool,
    packed: Option<Arc<Packed>>,
    epilogue: Epilogue,
    elem: PhantomData<E>,
}

/// Prepares `Op::MatMul`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    convert::prepare_num(req, prepare_in::<f32>, prepare_in::<f64>, prepare_in::<i64>)
}

fn prepare_in<E: Num>(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::MatMul { ta, tb, epilogue } = req.op else {
        return Err(Error::internal("not a matrix product"));
    };
    let (a, b) = (&req.ins[0].fact.shape, &req.ins[1].fact.shape);
    let last = |s: &[usize], swapped: bool| match (s[s.len() - 2], s[s.len() - 1]) {
        (x, y) if swapped => (y, x),
        pair => pair,
    };
    let (mut m, k) = last(a, *ta);
    let (_, n) = last(b, *tb);
    let mut batch = numel(&a[..a.len() - 2]);
    let shared = b.len() == 2;
    if shared && !ta {
        (batch, m) = (1, batch * m);
    }
    let matrices = if shared { 1 } else { batch };
    let len = gemm::packed_len::<E>(k, n);
    let layout = if *tb { "gemm transposed" } else { "gemm" };
    let packed = gemm::pack_constant(
        &req.ins[1],
        req.packs,
        layout,
        matrices * len,
        |b: &[E], out| {
            if k * n > 0 {
                for (b, out) in b.chunks_exact(k * n).zip(out.chunks_exact_mut(len)) {
                    gemm::pack(b, (k, n), strides(k, n, *tb), out, Par::Serial);
                }
            }
        },
    );
    Ok(Box::new(MatMul::<E> {
        batch,
        m,
        k,
        n,
        ta: *ta,
        tb: *tb,
        shared,
        packed,
        epilogue: Epilogue::new(epilogue, req, 2)?,
        elem: PhantomData,
    }))
}

/// Distances of rows and of columns in a matrix that may lie transposed.
fn strides(rows: usize, cols: usize, transposed: bool) -> (usize, usize) {
    match transposed {
        true => (1, rows),
        false => (cols, 1),
    }
}

impl<E: Num> MatMul<E> {
    /// Packs the right side of one product.
    fn pack(&self, b: &[E], out: &mut [E], par: Par) {
        let strides = strides(self.k, self.n, self.tb);
        gemm::pack(b, (self.k, self.n), strides, out, par);
    }

    /// Multiplies the `i`-th matrix of the batch.
    fn multiply(&self, i: usize, packed: &[E], ins: &[View], out: Shared<E>, par: Par) {
        let (m, k, n) = (self.m, self.k, self.n);
        let (row, col) = strides(m, k, self.ta);
        let a = &ins[0].as_slice::<E>()[i * m * k..(i + 1) * m * k];
        let rows = Strided {
            left: a.as_ptr(),
            left_stride: row,
            out: out.get().wrapping_add(i * m * n),
            out_stride: n,
        };
        let dims = Dims {
            rows: m,
            cols: n,
            segments: 1,
            len: k,
            step: col,
        };
        let steps = self.epilogue.steps(ins, 0, out.get());
        gemm::multiply(&rows, dims, packed, &steps, par, &|rows, cols| {
            let rows = i * m + rows.start..i * m + rows.end;
            // SAFETY: blocks don't overlap, nor do the matrices of a batch.
            unsafe { self.epilogue.finish(out, rows, cols, n, ins) };
        });
    }
}

impl<E: Num> Kernel for MatMul<E> {
    fn scratch(&self) -> usize {
        match self.packed {
            Some(_) => 0,
            None => gemm::packed_len::<E>(self.k, self.n) * size_of::<E>(),
        }
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        _aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let out = Shared(outs[0].as_mut::<E>().as_mut_ptr());
        let size = self.k * self.n;
        let len = gemm::packed_len::<E>(self.k, self.n);
        let b = ins[1].as_slice::<E>();
        // Matrices of a batch go to threads whole, where there are enough of them.
        let whole = par.has_enough(self.batch);
        let inner = par.worth(!whole);
        match &self.packed {
            Some(packed) => {
                let product = |i: usize| {
                    let at = if self.shared { 0 } else { i * len };
                    let packed = &packed.as_slice::<E>()[at..at + len];
                    self.multiply(i, packed, ins, out, inner);
                };
                par.worth(whole).each(self.batch, product);
            }
            None if self.shared || !whole => {
                let packed = &mut bytemuck::cast_slice_mut(scratch)[..len];
                for i in 0..self.batch {
                    if i == 0 || !self.shared {
                        self.pack(&b[i * size..(i + 1) * size], packed, par);
                    }
                    self.multiply(i, packed, ins, out, par);
                }
            }
            None => par.each(self.batch, |i| {
                with_buffer(len * size_of::<E>(), |buffer| {
                    let packed = &mut bytemuck::cast_slice_mut(buffer)[..len];
                    self.pack(&b[i * size..(i + 1) * size], packed, Par::Serial);
                    self.multiply(i, packed, ins, out, Par::Serial);
                })
            }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::graph::{Binary, Program, Step, Unary};
    use crate::tensor::{DType, Tensor};

    /// a (batch.., m, k) times b in f64.
    fn oracle(a: &Tensor, b: &Tensor, ta: bool, tb: bool, shape: &[usize]) -> Vec<f64> {
        let (av, bv) = (a.to_f64(), b.to_f64());
        let [m, n] = shape[shape.len() - 2..] else {
            panic!("rank")
        };
        let s = a.shape();
        let k = if ta { s[s.len() - 2] } else { s[s.len() - 1] };
        let batch = numel(&shape[..shape.len() - 2]);
        let mut out = Vec::new();
        for i in 0..batch {
            let a = &av[i * m * k..];
            let b = &bv[if b.shape().len() == 2 { 0 } else { i * k * n }..];
            for r in 0..m {
                for c in 0..n {
                    out.push(
                        (0..k)
                            .map(|p| {
                                let x = if ta { a[p * m + r] } else { a[r * k + p] };
                                let y = if tb { b[c * k + p] } else { b[p * n + c] };
                                x * y
                            })
                            .sum(),
                    );
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(1);
        let mut cases = Vec::new();
        for &(m, k, n) in &[
            (1, 1, 1),
            (1, 20, 64),
            (1, 64, 1),
            (2, 33, 17),
            (3, 300, 50),
            (5, 7, 130),
            (6, 64, 16),
            (7, 641, 31),
            (13, 100, 33),
            (97, 65, 600),
            (200, 257, 40),
            (4, 0, 5),
            (0, 4, 5),
        ] {
            for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
                cases.push((vec![], m, k, n, ta, tb));
            }
        }
        for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
            cases.push((vec![2, 3], 9, 40, 21, ta, tb));
        }
        for (batch, m, k, n, ta, tb) in cases {
            for shared in [true, false] {
                for constant in [true, false] {
                    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I32] {
                        let with = |tail: [usize; 2], own: bool, swap: bool| {
                            let mut s = if own { batch.clone() } else { vec![] };
                            s.extend(if swap { [tail[1], tail[0]] } else { tail });
                            s
                        };
                        let a = rng.tensor(dtype, with([m, k], true, ta));
                        let b = rng.tensor(dtype, with([k, n], !shared, tb));
                        let out = with([m, n], true, false);
                        let want = oracle(&a, &b, ta, tb, &out);
                        let op = Op::MatMul {
                            ta,
                            tb,
                            epilogue: None,
                        };
                        let consts: &[usize] = if constant { &[1] } else { &[] };
                        let got = run_both(&op, &[a, b], consts, dtype, &[out]);
                        assert_close(&got[0], &want, &format!("{m} {k} {n} {ta} {tb} {dtype}"));
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_others() {
        let mut rng = Rng::new(2);
        for (k, n) in [(20, 64), (64, 1), (777, 50), (3, 129)] {
            let b = rng.tensor(DType::F32, vec![k, n]);
            let a = rng.tensor(DType::F32, vec![211, k]);
            let op = Op::MatMul {
                ta: false,
                tb: false,
                epilogue: None,
            };
            let all = run_both(
                &op,
                &[a.clone(), b.clone()],
                &[1],
                DType::F32,
                &[vec![211, n]],
            );
            for m in 1..14 {
                let some = Tensor::from_slice([m, k], &a.as_slice::<f32>()[..m * k]);
                let got = run_both(&op, &[some, b.clone()], &[], DType::F32, &[vec![m, n]]);
                let want = &all[0].as_slice::<f32>()[..m * n];
                assert_eq!(got[0].as_slice::<f32>(), want, "{m} {k} {n}");
            }
        }
    }

    #[test]
    fn epilogues_see_each_element_once() {
        let mut rng = Rng::new(6);
        // relu(product + bias) * factor + residual
        let program = Arc::new(Program {
            inputs: 4,
            steps: vec![
                Step::Binary(Binary::Add, 0, 1),
                Step::Unary(Unary::Relu, 4),
                Step::Binary(Binary::Mul, 5, 2),
                Step::Binary(Binary::Add, 6, 3),
            ],
            dtypes: vec![DType::F32; 4],
        });
        for (m, k, n) in [(1, 20, 64), (130, 30, 77), (50, 300, 700), (9, 8, 1)] {
            let a = rng.tensor(DType::F32, vec![2, m, k]);
            let b = rng.tensor(DType::F32, vec![k, n]);
            let bias = rng.tensor(DType::F32, vec![n]);
            let factor = rng.tensor(DType::F32, vec![]);
            let residual = rng.tensor(DType::F32, vec![2, m, n]);
            let out = vec![2, m, n];
            let mut want = oracle(&a, &b, false, false, &out);
            let (bv, fv, rv) = (bias.to_f64(), factor.to_f64(), residual.to_f64());
            for (i, w) in want.iter_mut().enumerate() {
                *w = (*w + bv[i % n]).max(0.0) * fv[0] + rv[i];
            }
            let op = Op::MatMul {
                ta: false,
                tb: false,
                epilogue: Some(program.clone()),
            };
            let ins = [a, b, bias, factor, residual];
            let got = run_both(&op, &ins, &[1], DType::F32, &[out]);
            assert_close(&got[0], &want, &format!("{m} {k} {n}"));
        }
    }

    #[test]
    fn integers_wrap() {
        let a = Tensor::from_slice([1, 2], &[100i8, 100]);
        let b = Tensor::from_slice([2, 1], &[100i8, 27]);
        let op = Op::MatMul {
            ta: false,
            tb: false,
            epilogue: None,
        };
        let ins = [a, b];
        let narrow = run_both(&op, &ins, &[], DType::I8, &[vec![1, 1]]);
        assert_eq!(narrow[0].as_slice::<i8>(), &[12700i32 as i8]);
        let wide = run_both(&op, &ins, &[], DType::I32, &[vec![1, 1]]);
        assert_eq!(wide[0].as_slice::<i32>(), &[12700]);
    }
}
