//! Concatenation: for each outer position, a piece of every input.

use super::elementwise::{PARALLEL, TASK};
use super::strided::{by_element, copy, Element};
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{numel, Line, View, ViewMut};

struct Concat {
    /// Elements an input contributes at a time.
    pieces: Vec<usize>,
    row: usize,
}

/// The kernel of `Concat`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Concat(axis) = *req.op else {
        return Err(Error::internal("not a concatenation"));
    };
    let pieces: Vec<usize> = req
        .ins
        .iter()
        .map(|i| numel(&i.fact.shape[axis..]))
        .collect();
    Ok(Box::new(Concat {
        row: pieces.iter().sum(),
        pieces,
    }))
}

impl Concat {
    fn go<T: Element>(&self, ins: &[View], dst: &mut [T], par: Par) {
        if dst.is_empty() {
            return;
        }
        let ins: Vec<&[T]> = ins.iter().map(T::of).collect();
        let group = TASK.div_ceil(self.row);
        let task = |first: usize, rows: &mut [T]| {
            for (i, mut row) in rows.chunks_exact_mut(self.row).enumerate() {
                for (x, &n) in ins.iter().zip(&self.pieces) {
                    let (piece, rest) = row.split_at_mut(n);
                    copy(piece, &x[(first + i) * n..][..n]);
                    row = rest;
                }
            }
        };
        if par == Par::Crew && dst.len() >= PARALLEL {
            par.pieces(dst, group * self.row, |i, rows| task(i * group, rows));
        } else {
            task(0, dst);
        }
    }
}

impl Kernel for Concat {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        by_element!(outs[0].dtype, T => self.go(ins, T::of_mut(&mut outs[0]), par));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{noise, run, same_bits, DTYPES};
    use crate::tensor::{DType, Fact, Tensor};

    #[test]
    fn slices_give_the_inputs_back() {
        let cases: &[(&[usize], usize, &[usize])] = &[
            (&[3], 0, &[1, 0, 4]),
            (&[2, 1, 3], 1, &[2, 5, 1]),
            (&[2, 3, 1], 2, &[1, 1, 1]),
            (&[1, 300, 200], 0, &[1, 2]),
            (&[300, 200, 1], 2, &[1, 3]),
        ];
        for &(shape, axis, sizes) in cases {
            for dtype in DTYPES {
                if numel(shape) > 10_000 && dtype != DType::F32 {
                    continue;
                }
                let make = |(i, &n): (usize, &usize)| {
                    let mut shape = shape.to_vec();
                    shape[axis] = n;
                    noise(dtype, &shape, i as u64 + 1)
                };
                let ins: Vec<Tensor> = sizes.iter().enumerate().map(make).collect();
                let refs: Vec<&Tensor> = ins.iter().collect();
                let mut to = shape.to_vec();
                to[axis] = sizes.iter().sum();
                let all = run(&Op::Concat(axis), &refs, &[Fact::new(dtype, &to[..])])
                    .unwrap()
                    .remove(0);
                let mut next = 0;
                for x in &ins {
                    let start = next;
                    let dims = to
                        .iter()
                        .enumerate()
                        .map(|(a, &len)| crate::graph::SliceDim {
                            start: if a == axis { start } else { 0 },
                            step: 1,
                            len: if a == axis { x.shape()[a] } else { len },
                        });
                    next += x.shape()[axis];
                    let back = run(
                        &Op::Slice(dims.collect()),
                        &[&all],
                        std::slice::from_ref(x.fact()),
                    );
                    same_bits(&back.unwrap()[0], x, &format!("{dtype} {shape:?}"));
                }
            }
        }
    }
}
