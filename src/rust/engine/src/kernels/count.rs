//! Counting small whole numbers along the last axis.

use super::elementwise::PARALLEL;
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{DType, Line, View, ViewMut};

struct Count {
    path: String,
    len: usize,
    bins: usize,
    natural: bool,
}

/// The kernel of `Count`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Count { bins, natural } = *req.op else {
        return Err(Error::internal("not a count"));
    };
    let len = req.ins[0].fact.shape.last().copied().unwrap_or(0);
    Ok(Box::new(Count {
        path: req.path.to_string(),
        len,
        bins,
        natural,
    }))
}

impl Count {
    fn go<T: Copy + Sync + Into<i64>>(&self, x: &[T], counts: &mut [i32], par: Par) -> Result<()> {
        if self.natural {
            if let Some(index) = x.iter().map(|&v| v.into()).find(|&v: &i64| v < 0) {
                return Err(Error::Index {
                    layer: self.path.clone(),
                    index,
                    size: self.bins,
                });
            }
        }
        let row = |i: usize, counts: &mut [i32]| {
            counts.fill(0);
            for &v in &x[i * self.len..(i + 1) * self.len] {
                let v: i64 = v.into();
                if let Some(c) = usize::try_from(v).ok().and_then(|v| counts.get_mut(v)) {
                    *c += 1;
                }
            }
        };
        let rows = self.bins.max(1);
        par.worth(x.len() >= PARALLEL).pieces(counts, rows, row);
        Ok(())
    }
}

impl Kernel for Count {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let counts = outs[0].as_mut::<i32>();
        match ins[0].dtype {
            DType::I64 => self.go(ins[0].as_slice::<i64>(), counts, par),
            _ => self.go(ins[0].as_slice::<i32>(), counts, par),
        }
    }
}
