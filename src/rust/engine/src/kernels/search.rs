//! How many bounds numbers pass.

use half::{bf16, f16};

use super::elementwise::{PARALLEL, TASK};
use super::{Kernel, Par};
use crate::error::{Error, Result};
use crate::graph::Passing;
use crate::tensor::{DType, Elem, Line, View, ViewMut};

/// The kernel of `Search`.
pub struct Search(pub Passing);

impl Search {
    fn go<T: Elem>(&self, x: &View, bounds: &View, counts: &mut [i32], par: Par) {
        let (x, bounds) = (x.as_slice::<T>(), bounds.as_slice::<T>());
        let passes = |bound: &T, v: &T| match self.0 {
            Passing::Below => v > bound,
            Passing::BelowOrEqual => v >= bound,
            Passing::NotAbove => !matches!(v.partial_cmp(bound), Some(std::cmp::Ordering::Less)),
        };
        // What is passed is a first part of sorted bounds only.
        let sorted = bounds.is_sorted();
        let task = |i: usize, counts: &mut [i32]| {
            for (count, v) in counts.iter_mut().zip(&x[i * TASK / 8..]) {
                *count = match sorted {
                    true => bounds.partition_point(|b| passes(b, v)),
                    false => bounds.iter().filter(|b| passes(b, v)).count(),
                } as i32;
            }
        };
        par.worth(x.len() >= PARALLEL / 8)
            .pieces(counts, TASK / 8, task);
    }
}

impl Kernel for Search {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let (x, bounds, counts) = (&ins[0], &ins[1], outs[0].as_mut::<i32>());
        match x.dtype {
            DType::Bool | DType::U8 => self.go::<u8>(x, bounds, counts, par),
            DType::U16 => self.go::<u16>(x, bounds, counts, par),
            DType::U32 => self.go::<u32>(x, bounds, counts, par),
            DType::U64 => self.go::<u64>(x, bounds, counts, par),
            DType::I8 => self.go::<i8>(x, bounds, counts, par),
            DType::I16 => self.go::<i16>(x, bounds, counts, par),
            DType::I32 => self.go::<i32>(x, bounds, counts, par),
            DType::I64 => self.go::<i64>(x, bounds, counts, par),
            DType::F16 => self.go::<f16>(x, bounds, counts, par),
            DType::BF16 => self.go::<bf16>(x, bounds, counts, par),
            DType::F32 => self.go::<f32>(x, bounds, counts, par),
            DType::F64 => self.go::<f64>(x, bounds, counts, par),
            DType::C64 | DType::C128 | DType::Str => {
                return Err(Error::internal("only numbers pass bounds"))
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Op;
    use crate::kernels::testing::{noise, run};
    use crate::tensor::{Fact, Tensor};

    #[test]
    fn agrees_with_counting() {
        let nan = f32::NAN;
        let x = Tensor::from_slice([2, 4], &[-1.0, 0.0, 0.5, 1.0, 1.5, 9.0, nan, f32::INFINITY]);
        for bounds in [
            &[0.0, 0.5, 0.5, 1.0, 2.0][..],
            &[1.0, 0.0, 0.5],
            &[],
            &[nan, 0.0],
        ] {
            let b = Tensor::from_slice([bounds.len()], bounds);
            for (passing, passes) in [
                (Passing::Below, (|v, b| v > b) as fn(f32, f32) -> bool),
                (Passing::BelowOrEqual, |v, b| v >= b),
                (Passing::NotAbove, |v, b| v >= b || v.is_nan() || b.is_nan()),
            ] {
                let fact = Fact::new(DType::I32, [2, 4]);
                let got = run(&Op::Search(passing), &[&x, &b], &[fact]).unwrap();
                let count = |v: &f32| bounds.iter().filter(|b| passes(*v, **b)).count() as i32;
                let want: Vec<i32> = x.as_slice().iter().map(count).collect();
                assert_eq!(got[0].as_slice::<i32>(), want, "{passing:?} {bounds:?}");
            }
        }
    }

    #[test]
    fn counts_in_parallel_as_in_one_thread() {
        let x = noise(DType::F32, &[20_000], 3);
        let bounds = Tensor::from_slice([3], &[-0.5f32, 0.0, 0.5]);
        let fact = Fact::new(DType::I32, [20_000]);
        let got = run(&Op::Search(Passing::Below), &[&x, &bounds], &[fact]).unwrap();
        let count = |v: &f32| [-0.5, 0.0, 0.5].iter().filter(|b| v > *b).count() as i32;
        let want: Vec<i32> = x.as_slice().iter().map(count).collect();
        assert_eq!(got[0].as_slice::<i32>(), want);
    }
}
