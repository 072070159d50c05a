//! Depthwise convolutions: each channel has windows of its own.

use super::convert;
use super::epilogue::{Epilogue, Step};
use super::simd::{Job, Num, Simd};
use super::windows::{for_lines, Channels, Windows};
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{Line, View, ViewMut};

struct Depthwise {
    windows: Windows,
    /// Output channels.
    channels: usize,
    /// Output channels of an input channel; more than one work on an image
    /// whose channels are repeated.
    multiplier: usize,
    epilogue: Epilogue,
}

/// Prepares `Op::DepthwiseConv`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    convert::prepare_num(req, prepare_in::<f32>, prepare_in::<f64>, prepare_in::<i64>)
}

fn prepare_in<E: Num>(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::DepthwiseConv(attrs, epilogue) = req.op else {
        return Err(Error::internal("not a depthwise convolution"));
    };
    let kernel = &req.ins[1].fact.shape;
    let spatial = kernel.len() - 2;
    Ok(Box::new(Of::<E> {
        conv: Depthwise {
            windows: Windows::new(
                &req.ins[0].fact.shape,
                &req.outs[0].shape,
                &kernel[..spatial],
                &attrs.strides,
                &attrs.dilation,
                &attrs.padding,
            ),
            channels: kernel[spatial] * kernel[spatial + 1],
            multiplier: kernel[spatial + 1],
            epilogue: Epilogue::new(epilogue, req, 2)?,
        },
        elem: std::marker::PhantomData,
    }))
}

struct Of<E> {
    conv: Depthwise,
    elem: std::marker::PhantomData<E>,
}

/// What a run reads.
#[derive(Copy, Clone)]
struct Reads<'a, E> {
    conv: &'a Depthwise,
    x: &'a [E],
    kernel: &'a [E],
    steps: &'a [Step<E>],
}

impl<'a, E> Reads<'a, E> {
    #[inline(always)]
    fn strip<const PLACES: usize>(
        &self,
        place: usize,
        out: *mut E,
        under: &'a [(usize, usize)],
    ) -> Strip<'a, E, PLACES> {
        let w = &self.conv.windows;
        let along = w.covered(2, place);
        Strip {
            x: self.x.as_ptr(),
            kernel: self.kernel.as_ptr(),
            out,
            channels: self.conv.channels,
            steps: self.steps,
            under: if along.is_empty() { &[] } else { under },
            width: w.size[2],
            start: w.first_pixel(place, along.start),
            along,
            dilation: w.dilation[2],
            stride: w.strides[2],
        }
    }
}

/// Some lines of output.
struct Lines<'a, E> {
    reads: Reads<'a, E>,
    first: usize,
    out: &'a mut [E],
}

impl<E: Num> Job<E> for Lines<'_, E> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = E>>(self) {
        let reads = self.reads;
        let (w, channels) = (&reads.conv.windows, reads.conv.channels);
        let places = w.output[2];
        let full = |place: usize| w.covered(2, place).len() == w.size[2];
        let mut under = Vec::new();
        let lines = self.out.chunks_exact_mut(places * channels);
        for (line, out) in (self.first..).zip(lines) {
            w.lines_under(line, &mut under);
            let mut place = 0;
            while place < places {
                // Where the windows of four places are whole they share the weights.
                let four = place + 4 <= places && full(place) && full(place + 3);
                let out = out.as_mut_ptr().add(place * channels);
                if four {
                    reads.strip::<4>(place, out, &under).all::<S, 2>(channels);
                    place += 4;
                } else {
                    // So many sums at once that none waits for the one before.
                    reads.strip::<1>(place, out, &under).all::<S, 4>(channels);
                    place += 1;
                }
            }
        }
    }
}

/// So many neighbouring places of a line.
struct Strip<'a, E, const PLACES: usize> {
    x: *const E,
    kernel: *const E,
    out: *mut E,
    channels: usize,
    steps: &'a [Step<E>],
    under: &'a [(usize, usize)],
    /// Positions in a line of the window, and which of them are used.
    width: usize,
    along: std::ops::Range<usize>,
    /// The first pixel in the image's lines.
    start: usize,
    dilation: usize,
    stride: usize,
}

impl<E: Num, const PLACES: usize> Channels<E> for Strip<'_, E, PLACES> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    unsafe fn block<S: Simd<E = E>, const B: usize>(&self, c: usize, n: usize) {
        let mut acc = [[S::zero(); B]; PLACES];
        for &(line, row) in self.under {
            let position = row * self.width + self.along.start;
            let mut k = self.kernel.add(position * self.channels + c);
            let mut x = self.x.add((line + self.start) * self.channels + c);
            for _ in 0..self.along.len() {
                for b in 0..B {
                    let k = S::load_part(k.add(b * S::LANES), n);
                    for p in 0..PLACES {
                        let x = x.add(p * self.stride * self.channels + b * S::LANES);
                        acc[p][b] = S::fma(S::load_part(x, n), k, acc[p][b]);
                    }
                }
                k = k.add(self.channels);
                x = x.add(self.dilation * self.channels);
            }
        }
        for step in self.steps {
            for b in 0..B {
                let first = c + b * S::LANES;
                let column = step.column::<S>(first, n);
                for p in 0..PLACES {
                    let out = self.out.add(p * self.channels + c + b * S::LANES);
                    acc[p][b] = step.apply::<S>(acc[p][b], column, out, (first, n));
                }
            }
        }
        for p in 0..PLACES {
            for b in 0..B {
                let out = self.out.add(p * self.channels + c + b * S::LANES);
                S::store_part(out, acc[p][b], n);
            }
        }
    }
}

impl<E: Num> Kernel for Of<E> {
    fn scratch(&self) -> usize {
        let w = &self.conv.windows;
        match self.conv.multiplier {
            1 => 0,
            _ => w.batch * w.input.iter().product::<usize>() * self.conv.channels * size_of::<E>(),
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
        let conv = &self.conv;
        let mut x = ins[0].as_slice::<E>();
        if conv.multiplier > 1 {
            let repeated = &mut bytemuck::cast_slice_mut(scratch)[..x.len() * conv.multiplier];
            for_lines(repeated, conv.multiplier, par, |first, out| {
                for (out, x) in out.chunks_exact_mut(conv.multiplier).zip(&x[first..]) {
                    out.fill(*x);
                }
            });
            x = repeated;
        }
        let kernel = ins[1].as_slice::<E>();
        let line = conv.windows.output[2] * conv.channels;
        let out = outs[0].as_mut::<E>();
        let steps = conv.epilogue.steps(ins, 0, out.as_ptr());
        for_lines(out, line, par, |first, out| {
            let reads = Reads {
                conv,
                x,
                kernel,
                steps: &steps,
            };
            E::dispatch(Lines { reads, first, out });
            conv.epilogue.apply(out, first * line, conv.channels, ins);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::conv::tests::oracle;
    use super::super::testing::*;
    use super::*;
    use crate::graph::ConvAttrs;
    use crate::tensor::{DType, Tensor};

    #[test]
    fn agrees_with_a_grouped_convolution() {
        let mut rng = Rng::new(5);
        type Case = (
            &'static [usize],
            &'static [usize],
            [usize; 2],
            &'static [usize],
            &'static [(usize, usize)],
            &'static [usize],
        );
        let cases: &[Case] = &[
            (
                &[9, 11],
                &[3, 3],
                [1, 1],
                &[1, 1],
                &[(1, 1), (1, 1)],
                &[1, 1],
            ),
            (
                &[9, 11],
                &[3, 3],
                [5, 3],
                &[1, 1],
                &[(1, 1), (1, 1)],
                &[1, 1],
            ),
            (
                &[19, 23],
                &[3, 3],
                [70, 1],
                &[1, 1],
                &[(1, 1), (1, 1)],
                &[1, 1],
            ),
            (
                &[19, 23],
                &[3, 5],
                [37, 1],
                &[2, 2],
                &[(0, 1), (1, 2)],
                &[1, 1],
            ),
            (
                &[19, 23],
                &[3, 3],
                [8, 2],
                &[1, 1],
                &[(2, 2), (2, 2)],
                &[2, 2],
            ),
            (&[40], &[4], [24, 1], &[1], &[(3, 0)], &[1]),
            (&[2], &[5], [9, 1], &[1], &[(4, 4)], &[2]),
            (
                &[5, 6, 7],
                &[2, 2, 3],
                [9, 2],
                &[2, 1, 1],
                &[(0, 1), (1, 0), (1, 1)],
                &[1, 2, 1],
            ),
        ];
        for (image, window, [channels, multiplier], strides, padding, dilation) in cases {
            let attrs = ConvAttrs {
                strides: strides.to_vec(),
                padding: padding.to_vec(),
                dilation: dilation.to_vec(),
                groups: *channels,
            };
            for dtype in [DType::F32, DType::F64, DType::F16, DType::I32] {
                let x = rng.tensor(dtype, [&[3], *image, &[*channels]].concat());
                let k = rng.tensor(dtype, [*window, &[*channels, *multiplier]].concat());
                let grouped = [*window, &[1, channels * multiplier]].concat();
                let (shape, want) = oracle(&x, &k.clone().reshaped(grouped), &attrs);
                let op = Op::DepthwiseConv(attrs.clone(), None);
                let ins: [Tensor; 2] = [x, k];
                let got = run_both(&op, &ins, &[1], dtype, &[shape]);
                assert_close(
                    &got[0],
                    &want,
                    &format!("{image:?} {window:?} {attrs:?} {dtype}"),
                );
            }
        }
    }
}
