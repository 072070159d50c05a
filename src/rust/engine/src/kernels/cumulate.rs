//! Running sums, products, maxima and minima along an axis.

use super::elementwise::{load, store, Class, BLOCK, PARALLEL, TASK};
use super::reduce::{Fold, Number};
use super::{Kernel, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::{Cumulate, Op};
use crate::tensor::{numel, DType, Line, View, ViewMut};

struct Running {
    fold: Fold,
    dtype: DType,
    reverse: bool,
    outer: usize,
    len: usize,
    inner: usize,
}

/// The kernel of `Cumulate`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Cumulate {
        kind,
        axis,
        reverse,
    } = *req.op
    else {
        return Err(Error::internal("not a running reduction"));
    };
    let (x, out) = (req.ins[0].fact, &req.outs[0]);
    if x.dtype != out.dtype || x.dtype == DType::Str {
        return Err(Error::internal(format!(
            "{kind:?} of {} can't give {}",
            x.dtype, out.dtype
        )));
    }
    Ok(Box::new(Running {
        fold: match (kind, x.dtype) {
            // Sums and products of bool are `any` and `all`.
            (Cumulate::Max, _) | (Cumulate::Sum, DType::Bool) => Fold::Max,
            (Cumulate::Min, _) | (Cumulate::Prod, DType::Bool) => Fold::Min,
            (Cumulate::Sum, _) => Fold::Sum,
            (Cumulate::Prod, _) => Fold::Prod,
        },
        dtype: x.dtype,
        reverse,
        outer: numel(&x.shape[..axis]),
        len: x.shape[axis],
        inner: numel(&x.shape[axis + 1..]),
    }))
}

impl Running {
    /// # Safety
    /// `T` must be the compute class of the dtype, `x` and `out` the tensors the
    /// kernel was prepared for.
    unsafe fn go<T: Number + Default>(&self, x: *const u8, out: *mut u8, par: Par) {
        let dtype = self.dtype;
        match self.fold {
            // Each sum is rounded before the next is added.
            Fold::Sum if dtype.is_half() => {
                self.run_by(x, out, par, |a: T, b| a.add(b).rounded(dtype))
            }
            Fold::Prod if dtype.is_half() => {
                self.run_by(x, out, par, |a: T, b| a.mul(b).rounded(dtype))
            }
            Fold::Sum => self.run_by(x, out, par, T::add),
            Fold::Prod => self.run_by(x, out, par, T::mul),
            Fold::Max => self.run_by(x, out, par, T::max),
            Fold::Min => self.run_by(x, out, par, T::min),
        }
    }

    /// # Safety
    /// As for [`Running::go`].
    unsafe fn run_by<T: Number + Default>(
        &self,
        x: *const u8,
        out: *mut u8,
        par: Par,
        f: impl Fn(T, T) -> T + Sync,
    ) {
        let (x, out) = (Shared(x.cast_mut()), Shared(out));
        let each = self.dtype.size();
        let tiles = self.inner.div_ceil(BLOCK);
        let units = self.outer * tiles;
        let task = |unit: usize| {
            let (from, w) = {
                let from = unit % tiles * BLOCK;
                (from, BLOCK.min(self.inner - from))
            };
            let base = unit / tiles * self.len * self.inner + from;
            let mut acc = [T::default(); BLOCK];
            let mut block = [T::default(); BLOCK];
            // Rows of columns side by side; of one column, as many as fit.
            let rows = if self.inner == 1 { BLOCK } else { 1 };
            for i in (0..self.len).step_by(rows) {
                let n = rows.min(self.len - i);
                let first = if self.reverse { self.len - i - n } else { i };
                let (at, count) = (base + first * self.inner, n * w);
                // SAFETY: the block is within the tensors, and no other task's.
                load(
                    self.dtype,
                    x.get().add(at * each),
                    block.as_mut_ptr().cast(),
                    count,
                );
                if rows == 1 {
                    for (a, b) in acc[..w].iter_mut().zip(&mut block) {
                        *a = if i == 0 { *b } else { f(*a, *b) };
                        *b = *a;
                    }
                } else {
                    let mut step = |b: &mut T, start: bool| {
                        acc[0] = if start { *b } else { f(acc[0], *b) };
                        *b = acc[0];
                    };
                    for j in 0..n {
                        let at = if self.reverse { n - 1 - j } else { j };
                        step(&mut block[at], i + j == 0);
                    }
                }
                store(
                    self.dtype,
                    block.as_ptr().cast(),
                    out.get().add(at * each),
                    count,
                );
            }
        };
        let each = self.len * BLOCK.min(self.inner);
        if par == Par::Crew && units * each >= PARALLEL && units > 1 {
            let group = TASK.div_ceil(each);
            par.each(units.div_ceil(group), |i| {
                (i * group..units.min((i + 1) * group)).for_each(&task);
            });
        } else {
            (0..units).for_each(task);
        }
    }
}

impl Kernel for Running {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let (x, out) = (ins[0].bytes().as_ptr(), outs[0].bytes().as_mut_ptr());
        // SAFETY: the tensors have the shape and dtype the kernel was prepared for.
        unsafe {
            match Class::of(self.dtype) {
                Class::Bool => self.go::<u8>(x, out, par),
                Class::F32 => self.go::<f32>(x, out, par),
                Class::F64 => self.go::<f64>(x, out, par),
                Class::Int if self.dtype == DType::U64 => self.go::<u64>(x, out, par),
                Class::Int => self.go::<i64>(x, out, par),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{noise, run};
    use crate::tensor::{Fact, Tensor};

    #[test]
    fn agrees_with_plain_loops() {
        let cases: &[(&[usize], usize)] = &[
            (&[7], 0),
            (&[0], 0),
            (&[1300], 0),
            (&[3, 5], 1),
            (&[3, 5], 0),
            (&[2, 600, 3], 1),
            (&[4, 3, 700], 1),
            (&[300, 300], 1),
            (&[300, 2, 150], 1),
        ];
        for &(shape, axis) in cases {
            for dtype in [
                DType::F32,
                DType::F64,
                DType::F16,
                DType::BF16,
                DType::I32,
                DType::U8,
                DType::U64,
                DType::Bool,
            ] {
                let x = noise(dtype, shape, 3);
                let (n, inner) = (shape[axis], numel(&shape[axis + 1..]));
                for kind in [Cumulate::Sum, Cumulate::Prod, Cumulate::Max, Cumulate::Min] {
                    for reverse in [false, true] {
                        let mut want = x.to_f64();
                        let all: Vec<usize> = (0..want.len()).collect();
                        let steps: Vec<usize> = if reverse {
                            all.into_iter().rev().collect()
                        } else {
                            all
                        };
                        let edge = if reverse { n.saturating_sub(1) } else { 0 };
                        for i in steps {
                            if i / inner % n == edge {
                                continue;
                            }
                            let before = want[if reverse { i + inner } else { i - inner }];
                            let v = want[i];
                            let v = match kind {
                                Cumulate::Sum if dtype == DType::Bool => before.max(v),
                                Cumulate::Sum => before + v,
                                Cumulate::Prod => before * v,
                                Cumulate::Max => before.max(v),
                                Cumulate::Min => before.min(v),
                            };
                            want[i] = v.rounded(dtype);
                        }
                        let op = Op::Cumulate {
                            kind,
                            axis,
                            reverse,
                        };
                        let got = run(&op, &[&x], std::slice::from_ref(x.fact()))
                            .unwrap()
                            .remove(0);
                        let wrap = |v: f64| match dtype {
                            DType::U8 => v.rem_euclid(256.0),
                            _ => v,
                        };
                        let (abs, rel) = match dtype {
                            DType::F32 => (2e-4, 1e-4),
                            DType::F16 => (1e-2, 1e-2),
                            DType::BF16 => (5e-2, 5e-2),
                            DType::F64 => (1e-11, 1e-12),
                            _ => (0.0, 0.0),
                        };
                        // Integer products wrap far beyond what f64 can tell.
                        if dtype.is_int() && kind == Cumulate::Prod {
                            continue;
                        }
                        for (i, (g, w)) in got
                            .to_f64()
                            .into_iter()
                            .zip(want.into_iter().map(wrap))
                            .enumerate()
                        {
                            let far = w.abs() > 1e4 || (w.abs() < 1e-3 && kind == Cumulate::Prod);
                            let ok = g == w || (g - w).abs() <= abs + rel * w.abs();
                            assert!(
                                ok || (far && dtype.is_float()),
                                "{kind:?} {dtype} {shape:?} at {i}: {g} not {w}"
                            );
                        }
                    }
                }
            }
        }
        let op = Op::Cumulate {
            kind: Cumulate::Max,
            axis: 0,
            reverse: false,
        };
        let x = Tensor::from_slice([3], &[1.0, f32::NAN, 2.0]);
        let got = run(&op, &[&x], &[Fact::f32([3])]).unwrap()[0].to_f64();
        assert!(got[0] == 1.0 && got[1].is_nan() && got[2].is_nan());
    }
}
