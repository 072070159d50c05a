//! Sorting along the last axis.

use std::cmp::Ordering;

use half::{bf16, f16};

use super::elementwise::PARALLEL;
use super::strided::{by_element, Element};
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{DType, Line, View, ViewMut};

struct Sort {
    descending: bool,
    len: usize,
    keep: usize,
    heaped: bool,
}

/// The kernel of `Sort`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Sort {
        descending,
        keep,
        heaped,
    } = *req.op
    else {
        return Err(Error::internal("not a sort"));
    };
    let len = req.ins[0].fact.shape.last().copied().unwrap_or(1);
    Ok(Box::new(Sort {
        descending,
        keep,
        len,
        // All of a row are in order.
        heaped: heaped && keep < len,
    }))
}

/// Numbers by size, NaN last either way.
fn compare<T: PartialOrd>(a: &T, b: &T, descending: bool) -> Ordering {
    match a.partial_cmp(b) {
        Some(order) if descending => order.reverse(),
        Some(order) => order,
        #[allow(clippy::eq_op)]
        None => (a != a).cmp(&(b != b)),
    }
}

/// A float as an integer that orders like it; the zeros are one.
fn key(v: f32) -> Option<u32> {
    let b = (v + 0.0).to_bits();
    let ordered = if b >> 31 == 0 { b | 1 << 31 } else { !b };
    (!v.is_nan()).then_some(ordered)
}

/// The first of an order as TensorFlow's `TopN` leaves them: a heap with the last of
/// them on top, which each element that is before the top takes part in.
fn as_in_heap(order: &[i32], first: &mut [i32]) {
    let keep = first.len();
    let mut ranks = vec![0; order.len()];
    for (rank, &i) in order.iter().enumerate() {
        ranks[i as usize] = rank;
    }
    let (heap, others) = ranks.split_at_mut(keep + 1);
    for parent in (0..heap.len() / 2).rev() {
        sift(heap, parent, heap[parent]);
    }
    let end = heap[keep];
    let heap = &mut heap[..keep];
    sift(heap, 0, end);
    for &mut rank in others {
        if rank < heap[0] {
            let end = heap[keep - 1];
            sift(&mut heap[..keep - 1], 0, end);
            rise(heap, keep - 1, 0, rank);
        }
    }
    for (place, &rank) in first.iter_mut().zip(heap.iter()) {
        *place = order[rank];
    }
}

/// Lets a hole sink to a leaf, and the value rise from there, as `std::pop_heap` does.
fn sift(heap: &mut [usize], top: usize, value: usize) {
    let mut hole = top;
    loop {
        let right = 2 * hole + 2;
        let child = match right.cmp(&heap.len()) {
            Ordering::Less if heap[right] < heap[right - 1] => right - 1,
            Ordering::Less => right,
            Ordering::Equal => right - 1,
            Ordering::Greater => break,
        };
        heap[hole] = heap[child];
        hole = child;
    }
    rise(heap, hole, top, value);
}

/// Puts a value where it belongs between a hole and the top.
fn rise(heap: &mut [usize], hole: usize, top: usize, value: usize) {
    let mut hole = hole;
    while hole > top && heap[(hole - 1) / 2] < value {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    if let Some(place) = heap.get_mut(hole) {
        *place = value;
    }
}

impl Sort {
    /// The first of each row's order, written to `order` by `task`.
    fn rows<T: Sync>(
        &self,
        x: &[T],
        order: &mut [i32],
        par: Par,
        task: impl Fn(&[T], &mut [i32]) + Sync,
    ) {
        let par = par.worth(x.len() >= PARALLEL);
        par.pieces(order, self.keep, |i, order| {
            let x = &x[i * self.len..(i + 1) * self.len];
            if !self.heaped {
                return task(x, order);
            }
            let mut all = vec![0; x.len()];
            task(x, &mut all);
            as_in_heap(&all, order);
        });
    }

    /// By comparing.
    fn compared<T: PartialOrd + Sync>(&self, x: &[T], order: &mut [i32], par: Par) {
        self.rows(x, order, par, |x, order| {
            let mut all: Vec<i32> = (0..x.len() as i32).collect();
            all.sort_by(|&a, &b| compare(&x[a as usize], &x[b as usize], self.descending));
            order.copy_from_slice(&all[..order.len()]);
        });
    }

    /// By integers made of key and position, which is faster; None comes last.
    fn keyed<T: Copy + Sync>(
        &self,
        x: &[T],
        order: &mut [i32],
        par: Par,
        key: impl Fn(T) -> Option<u32> + Sync,
    ) {
        self.rows(x, order, par, |x, order| {
            let flip = if self.descending { u32::MAX } else { 0 };
            let of = |v: T| key(v).map_or(u32::MAX, |k| k ^ flip);
            let keys = x.iter().enumerate();
            let mut keys: Vec<u64> = keys
                .map(|(i, &v)| (of(v) as u64) << 32 | i as u64)
                .collect();
            if order.len() < keys.len() {
                keys.select_nth_unstable(order.len());
                keys.truncate(order.len());
            }
            keys.sort_unstable();
            for (o, k) in order.iter_mut().zip(keys) {
                *o = k as i32;
            }
        });
    }

    fn values<T: Element>(&self, x: &[T], order: &[i32], dst: &mut [T]) {
        for (i, (d, &o)) in dst.iter_mut().zip(order).enumerate() {
            d.clone_from(&x[i / self.keep * self.len + o as usize]);
        }
    }
}

impl Kernel for Sort {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let [values, order] = outs else {
            return Err(Error::internal("a sort gives values and indices"));
        };
        if order.dtype != DType::I32 {
            return Err(Error::internal("indices of a sort must be int32"));
        }
        let (x, order) = (&ins[0], order.as_mut::<i32>());
        if order.is_empty() {
            return Ok(());
        }
        let signed = |v: i32| Some(v as u32 ^ 1 << 31);
        match x.dtype {
            DType::Bool | DType::U8 => self.keyed(x.bytes(), order, par, |v| Some(v as u32)),
            DType::U16 => self.keyed(x.as_slice::<u16>(), order, par, |v| Some(v as u32)),
            DType::U32 => self.keyed(x.as_slice::<u32>(), order, par, Some),
            DType::I8 => self.keyed(x.as_slice::<i8>(), order, par, |v| signed(v as i32)),
            DType::I16 => self.keyed(x.as_slice::<i16>(), order, par, |v| signed(v as i32)),
            DType::I32 => self.keyed(x.as_slice::<i32>(), order, par, signed),
            DType::F16 => self.keyed(x.as_slice::<f16>(), order, par, |v| key(v.to_f32())),
            DType::BF16 => self.keyed(x.as_slice::<bf16>(), order, par, |v| key(v.to_f32())),
            DType::F32 => self.keyed(x.as_slice::<f32>(), order, par, key),
            DType::U64 => self.compared(x.as_slice::<u64>(), order, par),
            DType::I64 => self.compared(x.as_slice::<i64>(), order, par),
            DType::F64 => self.compared(x.as_slice::<f64>(), order, par),
            DType::Str => self.compared(x.strings(), order, par),
            DType::C64 | DType::C128 => return Err(Error::internal("an order of complex numbers")),
        }
        by_element!(x.dtype, T => self.values(T::of(x), order, T::of_mut(values)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{noise, pick, run, same_bits, DTYPES};
    use crate::tensor::{Fact, Shape, Tensor};

    #[test]
    fn is_stable_for_every_dtype() {
        for shape in [&[7usize][..], &[3, 40], &[2, 0], &[300, 300], &[1]] {
            for dtype in DTYPES {
                if shape[0] == 300 && dtype != DType::F32 {
                    continue;
                }
                let n = shape[shape.len() - 1];
                let x = noise(dtype, shape, 5);
                for descending in [false, true] {
                    let key = |i: usize| match dtype {
                        DType::Str => x.strings()[i][1..].parse().unwrap(),
                        _ => 0.0,
                    };
                    let values = x.to_f64();
                    let key = |i: usize| {
                        if dtype == DType::Str {
                            key(i)
                        } else {
                            values[i]
                        }
                    };
                    let mut at: Vec<usize> = (0..x.numel()).collect();
                    for row in at.chunks_mut(n.max(1)) {
                        // Insertion sort, stable.
                        for i in 1..row.len() {
                            let before = |a: usize, b: usize| {
                                if descending {
                                    key(a) > key(b)
                                } else {
                                    key(a) < key(b)
                                }
                            };
                            let mut j = i;
                            while j > 0 && before(row[j], row[j - 1]) {
                                row.swap(j, j - 1);
                                j -= 1;
                            }
                        }
                    }
                    let facts = [Fact::new(dtype, shape), Fact::new(DType::I32, shape)];
                    let op = Op::Sort {
                        descending,
                        keep: n,
                        heaped: false,
                    };
                    let got = run(&op, &[&x], &facts).unwrap();
                    same_bits(
                        &got[0],
                        &pick(&x, shape, &at),
                        &format!("{dtype} {shape:?}"),
                    );
                    let order: Vec<i32> = at.iter().map(|i| (i % n) as i32).collect();
                    assert_eq!(got[1].as_slice::<i32>(), order);
                    let keep = n.min(3);
                    let few: Shape = [&shape[..shape.len() - 1], &[keep]].concat();
                    let facts = [Fact::new(dtype, few.clone()), Fact::new(DType::I32, few)];
                    let op = Op::Sort {
                        descending,
                        keep,
                        heaped: false,
                    };
                    let got = run(&op, &[&x], &facts).unwrap();
                    let first: Vec<i32> = order
                        .chunks(n.max(1))
                        .flat_map(|o| &o[..keep])
                        .copied()
                        .collect();
                    assert_eq!(got[1].as_slice::<i32>(), first);
                }
            }
        }
    }

    #[test]
    fn nan_comes_last() {
        let nan = f32::NAN;
        let x = Tensor::from_slice([6], &[3.0, nan, -0.0, nan, 0.0, f32::NEG_INFINITY]);
        let facts = [Fact::f32([6]), Fact::new(DType::I32, [6])];
        let order = |descending| {
            run(
                &Op::Sort {
                    descending,
                    keep: 6,
                    heaped: false,
                },
                &[&x],
                &facts,
            )
            .unwrap()
            .remove(1)
        };
        assert_eq!(order(false).as_slice::<i32>(), &[5, 2, 4, 0, 1, 3]);
        assert_eq!(order(true).as_slice::<i32>(), &[0, 2, 4, 5, 1, 3]);
    }
}
