//! Reading and writing at positions that are data: Gather, TakeAlong, Scatter.
//!
//! Indices are looked at before anything is written: one that is out of range is
//! an error that names the layer.

use half::{bf16, f16};

use super::elementwise::{PARALLEL, TASK};
use super::strided::{by_element, copy, strides, Element};
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{numel, DType, Elem, Line, View, ViewMut};

/// Positions from 0 to `size`, from indices that wrap once below 0 (if `wrap`).
fn resolve(view: &View, size: usize, wrap: bool, path: &str, to: &mut [u64]) -> Result<()> {
    macro_rules! of {
        ($t:ty) => {
            for (d, &i) in to.iter_mut().zip(view.as_slice::<$t>()) {
                // Beyond i64 is out of range all the more.
                let i = i64::try_from(i).unwrap_or(i64::MAX);
                let at = if wrap && i < 0 { i + size as i64 } else { i };
                if at < 0 || at >= size as i64 {
                    return Err(Error::Index {
                        layer: path.into(),
                        index: i,
                        size,
                    });
                }
                *d = at as u64;
            }
        };
    }
    match view.dtype {
        DType::U8 => of!(u8),
        DType::U16 => of!(u16),
        DType::U32 => of!(u32),
        DType::U64 => of!(u64),
        DType::I8 => of!(i8),
        DType::I16 => of!(i16),
        DType::I32 => of!(i32),
        DType::I64 => of!(i64),
        d => return Err(Error::internal(format!("indices of {d}"))),
    }
    Ok(())
}

/// The first `n` numbers of the scratch memory.
fn positions(scratch: &mut [Line], n: usize) -> &mut [u64] {
    &mut bytemuck::cast_slice_mut(scratch)[..n]
}

struct Gather {
    path: String,
    /// Batches; positions of the axes before, along and after the gathered one.
    batch: usize,
    outer: usize,
    size: usize,
    inner: usize,
    /// Indices in a batch.
    count: usize,
}

/// The kernel of `Gather`, `TakeAlong` or `Scatter`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let path = req.path.to_string();
    let shape = |i: usize| &req.ins[i].fact.shape[..];
    match *req.op {
        Op::Gather { axis, batch } => Ok(Box::new(Gather {
            path,
            batch: numel(&shape(0)[..batch]),
            outer: numel(&shape(0)[batch..axis]),
            size: shape(0)[axis],
            inner: numel(&shape(0)[axis + 1..]),
            count: numel(&shape(1)[batch..]),
        })),
        Op::TakeAlong { axis } => {
            let out = &req.outs[0].shape;
            // Sizes of 1 go with any.
            let walk = |shape: &[usize]| -> Vec<usize> {
                let by = strides(shape);
                (0..out.len())
                    .map(|a| if shape[a] == 1 { 0 } else { by[a] })
                    .collect()
            };
            let mut x = walk(shape(0));
            x[axis] = 0;
            Ok(Box::new(TakeAlong {
                path,
                size: shape(0)[axis],
                stride: strides(shape(0))[axis],
                count: numel(shape(1)),
                x,
                index: walk(shape(1)),
            }))
        }
        Op::Scatter { add } => {
            let k = shape(1)[1];
            Ok(Box::new(Scatter {
                path,
                strings: req.outs[0].dtype == DType::Str,
                add,
                sizes: shape(0)[..k].to_vec(),
                row: numel(&shape(0)[k..]),
                count: shape(1)[0],
            }))
        }
        _ => Err(Error::internal("not a primitive of indices")),
    }
}

impl Gather {
    fn go<T: Element>(&self, table: &[T], positions: &[u64], dst: &mut [T], par: Par) {
        let (n, inner) = (self.count, self.inner);
        if dst.is_empty() {
            return;
        }
        // Rows of the output go by batch, outer position and index.
        let task = |first: usize, mut rows: &mut [T]| {
            let mut first = first;
            while !rows.is_empty() {
                let (block, i) = (first / n, first % n);
                let part = (n - i).min(rows.len() / inner);
                let (some, rest) = rows.split_at_mut(part * inner);
                let table = &table[block * self.size * inner..][..self.size * inner];
                let at = &positions[block / self.outer * n + i..][..part];
                if inner == 1 {
                    for (d, &at) in some.iter_mut().zip(at) {
                        d.clone_from(&table[at as usize]);
                    }
                } else {
                    for (d, &at) in some.chunks_exact_mut(inner).zip(at) {
                        copy(d, &table[at as usize * inner..][..inner]);
                    }
                }
                rows = rest;
                first += part;
            }
        };
        if par == Par::Crew && dst.len() >= PARALLEL {
            let group = TASK.div_ceil(inner);
            par.pieces(dst, group * inner, |i, rows| task(i * group, rows));
        } else {
            task(0, dst);
        }
    }
}

impl Kernel for Gather {
    fn scratch(&self) -> usize {
        self.batch * self.count * 8
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let at = positions(scratch, self.batch * self.count);
        resolve(&ins[1], self.size, true, &self.path, at)?;
        by_element!(outs[0].dtype, T => {
            self.go(T::of(&ins[0]), at, T::of_mut(&mut outs[0]), par)
        });
        Ok(())
    }
}

struct TakeAlong {
    path: String,
    size: usize,
    /// Distance of neighbours along the axis.
    stride: usize,
    count: usize,
    /// For each axis of the output, the step in x (0 along the axis) and in the
    /// indices.
    x: Vec<usize>,
    index: Vec<usize>,
}

impl TakeAlong {
    fn go<T: Element>(&self, x: &[T], at: &[u64], shape: &[usize], dst: &mut [T]) {
        let mut index = vec![0; shape.len()];
        let (mut i, mut base) = (0, 0);
        for d in dst {
            d.clone_from(&x[base + at[i] as usize * self.stride]);
            for a in (0..shape.len()).rev() {
                index[a] += 1;
                i += self.index[a];
                base += self.x[a];
                if index[a] < shape[a] {
                    break;
                }
                i -= shape[a] * self.index[a];
                base -= shape[a] * self.x[a];
                index[a] = 0;
            }
        }
    }
}

impl Kernel for TakeAlong {
    fn scratch(&self) -> usize {
        self.count * 8
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        _: Option<usize>,
        _: Par,
    ) -> Result<()> {
        let at = positions(scratch, self.count);
        resolve(&ins[1], self.size, true, &self.path, at)?;
        let shape = outs[0].shape;
        by_element!(outs[0].dtype, T => {
            self.go(T::of(&ins[0]), at, shape, T::of_mut(&mut outs[0]))
        });
        Ok(())
    }
}

struct Scatter {
    path: String,
    strings: bool,
    add: bool,
    /// Sizes of the indexed axes.
    sizes: Vec<usize>,
    /// Elements of an update.
    row: usize,
    count: usize,
}

impl Scatter {
    fn set<T: Element>(&self, at: &[u64], updates: &[T], dst: &mut [T]) {
        if self.row == 0 {
            return;
        }
        for (&at, u) in at.iter().zip(updates.chunks_exact(self.row)) {
            dst[at as usize * self.row..][..self.row].clone_from_slice(u);
        }
    }

    fn sum<T: Elem>(&self, at: &[u64], updates: &View, out: &mut ViewMut, f: fn(T, T) -> T) {
        if self.row == 0 {
            return;
        }
        let updates: &[T] = bytemuck::cast_slice(updates.bytes());
        let dst: &mut [T] = bytemuck::cast_slice_mut(out.bytes());
        for (&at, u) in at.iter().zip(updates.chunks_exact(self.row)) {
            let row = &mut dst[at as usize * self.row..][..self.row];
            for (d, &u) in row.iter_mut().zip(u) {
                *d = f(*d, u);
            }
        }
    }
}

impl Kernel for Scatter {
    fn scratch(&self) -> usize {
        self.count * 8
    }

    fn in_place(&self) -> &[usize] {
        // Strings are not in buffers.
        if self.strings {
            &[]
        } else {
            &[0]
        }
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        aliased: Option<usize>,
        _: Par,
    ) -> Result<()> {
        let (out, at) = (&mut outs[0], positions(scratch, self.count));
        at.fill(0);
        let k = self.sizes.len();
        let each = ins[1].dtype.size();
        let mut one = [0];
        for (n, at) in at.iter_mut().enumerate() {
            for (j, &size) in self.sizes.iter().enumerate() {
                let bytes = &ins[1].bytes()[(n * k + j) * each..][..each];
                let index = View::new(ins[1].dtype, &[], bytes);
                resolve(&index, size, false, &self.path, &mut one)?;
                *at = *at * size as u64 + one[0];
            }
        }
        let at = &*at;
        if aliased.is_none() {
            by_element!(out.dtype, T => T::of_mut(out).clone_from_slice(T::of(&ins[0])));
        }
        if !self.add {
            by_element!(out.dtype, T => self.set(at, T::of(&ins[2]), T::of_mut(out)));
            return Ok(());
        }
        let u = &ins[2];
        match out.dtype {
            DType::Bool => self.sum::<u8>(at, u, out, |a, b| a | b),
            DType::U8 | DType::I8 => self.sum::<u8>(at, u, out, u8::wrapping_add),
            DType::U16 | DType::I16 => self.sum::<u16>(at, u, out, u16::wrapping_add),
            DType::U32 | DType::I32 => self.sum::<u32>(at, u, out, u32::wrapping_add),
            DType::U64 | DType::I64 => self.sum::<u64>(at, u, out, u64::wrapping_add),
            DType::F16 => self.sum::<f16>(at, u, out, |a, b| a + b),
            DType::BF16 => self.sum::<bf16>(at, u, out, |a, b| a + b),
            DType::F32 => self.sum::<f32>(at, u, out, |a, b| a + b),
            DType::F64 => self.sum::<f64>(at, u, out, |a, b| a + b),
            DType::C64 | DType::C128 | DType::Str => {
                return Err(Error::internal("only numbers can be added"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{noise, pick, run, same_bits, DTYPES};
    use crate::tensor::{Fact, Tensor};

    /// Indices from `-size` to `size - 1`.
    fn indices(dtype: DType, shape: &[usize], size: usize) -> (Tensor, Vec<usize>) {
        let raw = noise(DType::U16, shape, 11).to_f64();
        let at = |(i, v): (usize, &f64)| (*v as usize * 7 + i) % (2 * size);
        let at: Vec<i64> = raw
            .iter()
            .enumerate()
            .map(|i| at(i) as i64 - size as i64)
            .collect();
        let unsigned = matches!(dtype, DType::U8 | DType::U16 | DType::U32 | DType::U64);
        let at: Vec<i64> = at
            .iter()
            .map(|&i| {
                if unsigned {
                    i.rem_euclid(size as i64)
                } else {
                    i
                }
            })
            .collect();
        let mut t = Tensor::zeros(Fact::new(dtype, shape));
        let each = dtype.size();
        for (i, v) in at.iter().enumerate() {
            t.bytes_mut()[i * each..][..each].copy_from_slice(&v.to_le_bytes()[..each]);
        }
        (
            t,
            at.iter()
                .map(|&i| i.rem_euclid(size as i64) as usize)
                .collect(),
        )
    }

    #[test]
    fn gathers() {
        type Case = (&'static [usize], &'static [usize], usize, usize);
        let cases: &[Case] = &[
            (&[5], &[], 0, 0),
            (&[5], &[3], 0, 0),
            (&[5, 3], &[2, 4], 0, 0),
            (&[2, 5, 3], &[4], 1, 0),
            (&[2, 5, 3], &[2, 4], 1, 1),
            (&[2, 3, 5, 2], &[2, 4, 2], 2, 1),
            (&[2, 3, 5, 2], &[2, 3, 4], 2, 2),
            (&[2, 5], &[0], 1, 0),
            (&[50, 64], &[1500], 0, 0),
        ];
        for &(table, index, axis, batch) in cases {
            let int = [DType::I32, DType::I64, DType::I8, DType::U16][axis % 4];
            let (i, at) = indices(int, index, table[axis]);
            let to = [&table[..axis], &index[batch..], &table[axis + 1..]].concat();
            let (outer, inner) = (numel(&table[batch..axis]), numel(&table[axis + 1..]));
            let n = numel(&index[batch..]);
            let places: Vec<usize> = (0..numel(&to))
                .map(|o| {
                    let (o, i) = (o / inner, o % inner);
                    let (block, k) = (o / n, o % n);
                    (block * table[axis] + at[block / outer * n + k]) * inner + i
                })
                .collect();
            for dtype in DTYPES {
                let x = noise(dtype, table, 3);
                let op = Op::Gather { axis, batch };
                let got = run(&op, &[&x, &i], &[Fact::new(dtype, &to[..])]).unwrap();
                same_bits(
                    &got[0],
                    &pick(&x, &to, &places),
                    &format!("{dtype} {table:?} {index:?}"),
                );
            }
        }
    }

    #[test]
    fn indices_out_of_range_name_the_layer() {
        let x = noise(DType::F32, &[3, 2], 1);
        for (bad, axis, size) in [(3i32, 0, 3), (-4, 0, 3), (2, 1, 2)] {
            let i = Tensor::from_slice([3], &[0, bad, 1]);
            let shape = if axis == 0 { vec![3, 2] } else { vec![3, 3] };
            let got = run(
                &Op::Gather { axis, batch: 0 },
                &[&x, &i],
                &[Fact::f32(shape)],
            );
            let want = Error::Index {
                layer: "test".into(),
                index: bad as i64,
                size,
            };
            assert_eq!(got.unwrap_err(), want);
        }
        let huge = Tensor::from_slice([1], &[u64::MAX]);
        let got = run(
            &Op::Gather { axis: 0, batch: 0 },
            &[&x, &huge],
            &[Fact::f32([1, 2])],
        );
        assert!(got.is_err());
    }

    #[test]
    fn takes_along() {
        type Case = (&'static [usize], &'static [usize], usize);
        let cases: &[Case] = &[
            (&[5], &[3], 0),
            (&[4, 5], &[4, 2], 1),
            (&[4, 5], &[6, 5], 0),
            (&[2, 4, 5], &[2, 3, 5], 1),
            (&[2, 4, 5], &[1, 3, 5], 1),
            (&[1, 4, 5], &[3, 2, 1], 1),
            (&[2, 4], &[2, 0], 1),
        ];
        for &(from, index, axis) in cases {
            let (i, at) = indices(DType::I32, index, from[axis]);
            let size = |a: usize| {
                if a == axis {
                    index[a]
                } else {
                    from[a].max(index[a])
                }
            };
            let to: Vec<usize> = (0..from.len()).map(size).collect();
            let places: Vec<usize> = (0..numel(&to))
                .map(|o| {
                    let coords: Vec<usize> = strides(&to)
                        .iter()
                        .zip(&to)
                        .map(|(s, n)| o / s % n)
                        .collect();
                    let flat = |shape: &[usize], c: &[usize]| {
                        shape.iter().zip(c).fold(0, |f, (&n, &c)| f * n + c % n)
                    };
                    let mut c = coords.clone();
                    c[axis] = at[flat(index, &coords)];
                    flat(from, &c)
                })
                .collect();
            for dtype in DTYPES {
                let x = noise(dtype, from, 3);
                let got = run(
                    &Op::TakeAlong { axis },
                    &[&x, &i],
                    &[Fact::new(dtype, &to[..])],
                )
                .unwrap();
                same_bits(
                    &got[0],
                    &pick(&x, &to, &places),
                    &format!("{dtype} {from:?} {index:?}"),
                );
            }
        }
    }

    #[test]
    fn scatters() {
        let base = Tensor::from_slice([3, 2], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let rows = Tensor::from_slice([3, 1], &[2i32, 0, 2]);
        let updates = Tensor::from_slice([3, 2], &[10.0f32, 20.0, 30.0, 40.0, 50.0, 60.0]);
        let go = |add, ins: &[&Tensor]| {
            run(
                &Op::Scatter { add },
                ins,
                std::slice::from_ref(ins[0].fact()),
            )
        };
        let got = go(true, &[&base, &rows, &updates]).unwrap();
        assert_eq!(
            got[0].as_slice::<f32>(),
            &[31.0, 42.0, 3.0, 4.0, 65.0, 86.0]
        );
        // The last one wins.
        let got = go(false, &[&base, &rows, &updates]).unwrap();
        assert_eq!(
            got[0].as_slice::<f32>(),
            &[30.0, 40.0, 3.0, 4.0, 50.0, 60.0]
        );
        let cells = Tensor::from_slice([2, 2], &[0i64, 1, 2, 0]);
        for dtype in DTYPES {
            let (base, updates) = (noise(dtype, &[3, 2], 1), noise(dtype, &[2], 2));
            let got = go(false, &[&base, &cells, &updates]).unwrap().remove(0);
            let both = run(
                &Op::Concat(0),
                &[&base.reshaped([6]), &updates],
                &[Fact::new(dtype, [8])],
            );
            let want = pick(&both.unwrap()[0], &[3, 2], &[0, 6, 2, 3, 7, 5]);
            same_bits(&got, &want, dtype.name());
        }
        let ints = Tensor::from_slice([3, 2], &[250u8; 6]);
        let got = go(true, &[&ints, &cells, &Tensor::from_slice([2], &[10u8, 1])]).unwrap();
        assert_eq!(got[0].bytes(), &[250, 4, 250, 250, 251, 250]);
        for bad in [-1i32, 3] {
            let rows = Tensor::from_slice([3, 1], &[0, bad, 0]);
            assert!(matches!(
                go(true, &[&base, &rows, &updates]),
                Err(Error::Index { size: 3, .. })
            ));
        }
    }
}
