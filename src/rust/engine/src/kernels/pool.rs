//! Maximum and average over windows.

use std::marker::PhantomData;

use super::simd::{Job, Num, Simd};
use super::windows::{for_lines, Channels, Windows};
use super::{convert, Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::{Op, PoolKind};
use crate::tensor::{Line, View, ViewMut};

struct Pool<E> {
    windows: Windows,
    channels: usize,
    kind: PoolKind,
    rank: usize,
    elem: PhantomData<E>,
}

/// Prepares `Op::Pool`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    convert::prepare_num(req, prepare_in::<f32>, prepare_in::<f64>, prepare_in::<i64>)
}

fn prepare_in<E: Num>(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Pool(attrs) = req.op else {
        return Err(Error::internal("not a pooling"));
    };
    let x = &req.ins[0].fact.shape;
    let dilation = vec![1; attrs.size.len()];
    Ok(Box::new(Pool::<E> {
        windows: Windows::new(
            x,
            &req.outs[0].shape,
            &attrs.size,
            &attrs.strides,
            &dilation,
            &attrs.padding,
        ),
        channels: x[x.len() - 1],
        kind: attrs.kind,
        rank: attrs.size.len(),
        elem: PhantomData,
    }))
}

/// Some lines of output.
struct Lines<'a, E> {
    pool: &'a Pool<E>,
    x: &'a [E],
    first: usize,
    out: &'a mut [E],
}

impl<E: Num> Job<E> for Lines<'_, E> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = E>>(self) {
        let (w, channels) = (&self.pool.windows, self.pool.channels);
        let mut under = Vec::new();
        let lines = self.out.chunks_exact_mut(w.output[2] * channels);
        for (line, out) in (self.first..).zip(lines) {
            w.lines_under(line, &mut under);
            for (place, out) in out.chunks_exact_mut(channels).enumerate() {
                match self.pool.kind {
                    PoolKind::Max => self.pool.window::<S, true>(self.x, place, out, &under),
                    PoolKind::Average => self.pool.window::<S, false>(self.x, place, out, &under),
                }
            }
        }
    }
}

impl<E: Num> Pool<E> {
    #[inline(always)]
    unsafe fn window<S: Simd<E = E>, const MAX: bool>(
        &self,
        x: &[E],
        place: usize,
        out: &mut [E],
        under: &[(usize, usize)],
    ) {
        let along = self.windows.covered(2, place);
        let window = Window::<E, MAX> {
            x: x.as_ptr(),
            out: out.as_mut_ptr(),
            channels: self.channels,
            under: if along.is_empty() { &[] } else { under },
            start: self.windows.first_pixel(place, along.start),
            along: along.len(),
            rank: self.rank,
        };
        window.all::<S, 4>(self.channels);
    }
}

/// One window, for its maximum or its average.
struct Window<'a, E, const MAX: bool> {
    x: *const E,
    out: *mut E,
    channels: usize,
    under: &'a [(usize, usize)],
    /// First pixel in its lines, and number of pixels.
    start: usize,
    along: usize,
    rank: usize,
}

impl<E: Num, const MAX: bool> Channels<E> for Window<'_, E, MAX> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    unsafe fn block<S: Simd<E = E>, const B: usize>(&self, c: usize, n: usize) {
        let mut acc = [match MAX {
            true => S::splat(E::lowest(self.rank)),
            false => S::zero(),
        }; B];
        for (line, _) in self.under {
            let mut p = self.x.add((line + self.start) * self.channels + c);
            for _ in 0..self.along {
                for b in 0..B {
                    let x = S::load_part(p.add(b * S::LANES), n);
                    acc[b] = match MAX {
                        true => S::max(x, acc[b]),
                        false => S::add(acc[b], x),
                    };
                }
                p = p.add(self.channels);
            }
        }
        for b in 0..B {
            if !MAX {
                let count = E::count(self.under.len() * self.along);
                acc[b] = S::div(acc[b], S::splat(count));
            }
            S::store_part(self.out.add(c + b * S::LANES), acc[b], n);
        }
    }
}

impl<E: Num> Kernel for Pool<E> {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _scratch: &mut [Line],
        _aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let x = ins[0].as_slice::<E>();
        let line = self.windows.output[2] * self.channels;
        for_lines(outs[0].as_mut::<E>(), line, par, |first, out| {
            E::dispatch(Lines {
                pool: self,
                x,
                first,
                out,
            })
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::conv::tests::places;
    use super::super::testing::*;
    use super::*;
    use crate::graph::{ConvAttrs, PoolAttrs};
    use crate::kernels::windows::three;
    use crate::tensor::{DType, Tensor};

    fn oracle(x: &Tensor, a: &PoolAttrs, at: &[usize]) -> Vec<f64> {
        let xs = x.shape();
        let rank = at.len();
        let v = x.to_f64();
        let (i3, o3) = (three(&xs[1..=rank], 1), three(at, 1));
        let (k3, s3) = (three(&a.size, 1), three(&a.strides, 1));
        let before: Vec<usize> = a.padding.iter().map(|p| p.0).collect();
        let p3 = three(&before, 0);
        let channels = xs[rank + 1];
        let mut out = Vec::new();
        for n in 0..xs[0] {
            for place in 0..o3.iter().product() {
                let o = [
                    place / (o3[1] * o3[2]),
                    place / o3[2] % o3[1],
                    place % o3[2],
                ];
                for c in 0..channels {
                    let mut seen = Vec::new();
                    for p in 0..k3.iter().product() {
                        let k = [p / (k3[1] * k3[2]), p / k3[2] % k3[1], p % k3[2]];
                        let i: Vec<usize> = (0..3)
                            .map(|d| (o[d] * s3[d] + k[d]).wrapping_sub(p3[d]))
                            .collect();
                        if (0..3).all(|d| i[d] < i3[d]) {
                            let pixel = ((n * i3[0] + i[0]) * i3[1] + i[1]) * i3[2] + i[2];
                            seen.push(v[pixel * channels + c]);
                        }
                    }
                    out.push(match a.kind {
                        PoolKind::Max => seen.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                        PoolKind::Average => seen.iter().sum::<f64>() / seen.len() as f64,
                    });
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(4);
        type Case = (
            &'static [usize],
            usize,
            &'static [usize],
            &'static [usize],
            &'static [(usize, usize)],
        );
        let cases: &[Case] = &[
            (&[9, 11], 1, &[2, 2], &[2, 2], &[(0, 0), (0, 0)]),
            (&[9, 11], 5, &[3, 2], &[2, 2], &[(1, 1), (0, 1)]),
            (&[40, 30], 70, &[3, 3], &[2, 1], &[(1, 1), (1, 1)]),
            (&[7, 7], 37, &[7, 7], &[1, 1], &[(0, 0), (0, 0)]),
            (&[30], 19, &[3], &[2], &[(1, 1)]),
            (&[2], 8, &[5], &[1], &[(2, 2)]),
            (
                &[5, 6, 7],
                9,
                &[2, 2, 3],
                &[2, 1, 3],
                &[(0, 1), (1, 0), (1, 1)],
            ),
        ];
        for (image, channels, size, strides, padding) in cases {
            for kind in [PoolKind::Max, PoolKind::Average] {
                for dtype in [DType::F32, DType::F64, DType::BF16, DType::I32] {
                    if dtype == DType::I32 && kind == PoolKind::Average {
                        continue;
                    }
                    let attrs = PoolAttrs {
                        kind,
                        size: size.to_vec(),
                        strides: strides.to_vec(),
                        padding: padding.to_vec(),
                    };
                    let x = rng.tensor(dtype, [&[3], *image, &[*channels]].concat());
                    let conv = ConvAttrs {
                        strides: strides.to_vec(),
                        padding: padding.to_vec(),
                        dilation: vec![1; size.len()],
                        groups: 1,
                    };
                    let at = places(x.shape(), size, &conv);
                    let want = oracle(&x, &attrs, &at);
                    let shape = [&[3], &at[..], &[*channels]].concat();
                    let what = format!("{image:?} {attrs:?} {dtype}");
                    let got = run_both(&Op::Pool(attrs), &[x], &[], dtype, &[shape]);
                    assert_close(&got[0], &want, &what);
                }
            }
        }
    }

    #[test]
    fn maxima_pass_over_nan_as_tensorflow_does() {
        let x = Tensor::from_slice([1, 4, 1], &[f32::NAN, -3.0, f32::NEG_INFINITY, f32::NAN]);
        let attrs = PoolAttrs {
            kind: PoolKind::Max,
            size: vec![2],
            strides: vec![2],
            padding: vec![(0, 0)],
        };
        let got = run_both(&Op::Pool(attrs), &[x], &[], DType::F32, &[vec![1, 2, 1]]);
        assert_eq!(got[0].as_slice::<f32>(), &[-3.0, f32::MIN]);
    }
}
