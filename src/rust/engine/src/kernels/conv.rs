//! Convolutions as matrix products whose left side is read where it lies in
//! the image: a segment of the summed axis is one position of the window.

use std::sync::Arc;

use super::convert;
use super::epilogue::Epilogue;
use super::gemm::{self, with_buffer, Dims, Packed, Rows};
use super::simd::Num;
use super::windows::{for_lines, Windows};
use super::{winograd, winograd_line, Shared};
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{lines, Line, View, ViewMut};

/// Windows of fewer channels are read from a copy of the image that is padded
/// along its last spatial axis, so that a segment is a row of the window.
const FEW_CHANNELS: usize = 16;

struct Conv<E> {
    windows: Windows,
    /// Channels of a group, and of the whole image.
    cin: usize,
    channels: usize,
    /// Output channels of a group, and of the whole.
    cols: usize,
    cout: usize,
    /// Elements that lie together in a window.
    segment: usize,
    copy: Option<Copy>,
    packed: Option<Arc<Packed>>,
    epilogue: Epilogue,
    /// Stands for a segment in the padding.
    zeros: Vec<E>,
}

/// A copy of an image that is padded along its last spatial axis.
struct Copy {
    /// Lines of the image, elements of each, zeros before, elements of a padded line.
    lines: usize,
    len: usize,
    before: usize,
    padded: usize,
}

impl Copy {
    fn make<E: Num>(&self, image: &[E], out: &mut [E], par: Par) {
        let kept = self.len.min(self.padded - self.before);
        for_lines(out, self.padded, par, |first, out| {
            let lines = image.chunks_exact(self.len).skip(first);
            for (from, to) in lines.zip(out.chunks_exact_mut(self.padded)) {
                to[..self.before].fill(E::default());
                to[self.before..self.before + kept].copy_from_slice(&from[..kept]);
                to[self.before + kept..].fill(E::default());
            }
        });
    }
}

/// Prepares `Op::Conv`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    if let Op::Conv(attrs, _) = req.op {
        if winograd::fits(req, attrs) {
            return winograd::prepare(req);
        }
        if winograd_line::fits(req, attrs) {
            return winograd_line::prepare(req);
        }
    }
    convert::prepare_num(req, prepare_in::<f32>, prepare_in::<f64>, prepare_in::<i64>)
}

fn prepare_in<E: Num>(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Conv(attrs, epilogue) = req.op else {
        return Err(Error::internal("not a convolution"));
    };
    let (x, kernel) = (&req.ins[0].fact.shape, &req.ins[1].fact.shape);
    let spatial = kernel.len() - 2;
    let mut windows = Windows::new(
        x,
        &req.outs[0].shape,
        &kernel[..spatial],
        &attrs.strides,
        &attrs.dilation,
        &attrs.padding,
    );
    let (cin, cout) = (kernel[spatial], kernel[spatial + 1]);
    let channels = x[x.len() - 1];
    let cols = cout / attrs.groups;
    let depth = windows.size.iter().product::<usize>() * cin;
    let len = gemm::packed_len::<E>(depth, cols);
    let layout = match attrs.groups {
        1 => "gemm",
        _ => "grouped convolution",
    };
    let size = attrs.groups * len;
    let packed = gemm::pack_constant(&req.ins[1], req.packs, layout, size, |kernel: &[E], out| {
        pack(kernel, depth, cols, cout, out, Par::Serial)
    });

    // A row of the window is one segment where it lies in one piece.
    let mut segment = cin;
    let mut copy = None;
    let width = windows.input[2];
    let padded = (windows.output[2].max(1) - 1) * windows.strides[2] + windows.size[2];
    let fits = windows.before[2] == 0 && padded <= width;
    let whole = channels == cin && windows.dilation[2] == 1 && windows.size[2] > 1;
    if whole && (fits || cin < FEW_CHANNELS) {
        if !fits {
            copy = Some(Copy {
                lines: windows.input[0] * windows.input[1],
                len: width * cin,
                before: windows.before[2].min(padded) * cin,
                padded: padded * cin,
            });
            windows.input[2] = padded;
            windows.before[2] = 0;
        }
        segment = windows.size[2] * cin;
        windows.size[2] = 1;
    }
    Ok(Box::new(Conv::<E> {
        zeros: vec![E::default(); segment],
        windows,
        cin,
        channels,
        cols,
        cout,
        segment,
        copy,
        packed,
        epilogue: Epilogue::new(epilogue, req, 2)?,
    }))
}

/// Packs each group's columns of a kernel of `depth` rows.
fn pack<E: Num>(kernel: &[E], depth: usize, cols: usize, cout: usize, out: &mut [E], par: Par) {
    let len = gemm::packed_len::<E>(depth, cols);
    for (g, out) in out.chunks_exact_mut(len.max(1)).enumerate() {
        gemm::pack(&kernel[g * cols..], (depth, cols), (cout, 1), out, par);
    }
}

/// Rows of a convolution: the places of its windows.
struct Places<'a, E> {
    windows: &'a Windows,
    /// The first channel of the group in the first image.
    x: *const E,
    channels: usize,
    zeros: *const E,
    out: *mut E,
    cout: usize,
}
// SAFETY: the pointers are read and written as `Rows` says.
unsafe impl<E: Sync> Sync for Places<'_, E> {}

// SAFETY: segments lie in the image or are the zeros, each as long as a
// segment; the output has `cout` elements a row.
unsafe impl<E: Sync> Rows<E> for Places<'_, E> {
    fn left(&self, segment: usize, first: usize, pointers: &mut [*const E]) {
        let w = self.windows;
        let [_, ky, kx] = w.size;
        let k = [segment / (ky * kx), segment / kx % ky, segment % kx];
        let [_, oy, ox] = w.output;
        let [_, iy, ix] = w.input;
        let (mut line, mut x) = (first / ox, first % ox);
        let mut rest = pointers;
        while !rest.is_empty() {
            let (part, tail) = rest.split_at_mut(rest.len().min(ox - x));
            rest = tail;
            let (y, z, n) = (line % oy, line / oy % w.output[0], line / oy / w.output[0]);
            match (w.source(0, z, k[0]), w.source(1, y, k[1])) {
                (Some(sz), Some(sy)) => {
                    let base = ((n * w.input[0] + sz) * iy + sy) * ix;
                    let pixel = |sx: usize| self.x.wrapping_add((base + sx) * self.channels);
                    let last = x + part.len() - 1;
                    match (w.source(2, x, k[2]), w.source(2, last, k[2])) {
                        // All lie in the image, at equal distances.
                        (Some(sx), Some(_)) => {
                            let step = w.strides[2] * self.channels;
                            for (i, p) in part.iter_mut().enumerate() {
                                *p = pixel(sx).wrapping_add(i * step);
                            }
                        }
                        _ => {
                            for (i, p) in part.iter_mut().enumerate() {
                                *p = w.source(2, x + i, k[2]).map_or(self.zeros, pixel);
                            }
                        }
                    }
                }
                _ => part.fill(self.zeros),
            }
            line += 1;
            x = 0;
        }
    }

    fn out(&self, first: usize, pointers: &mut [*mut E]) {
        for (i, p) in pointers.iter_mut().enumerate() {
            *p = self.out.wrapping_add((first + i) * self.cout);
        }
    }
}

impl<E: Num> Conv<E> {
    fn depth(&self) -> usize {
        self.windows.size.iter().product::<usize>() * self.segment
    }

    fn packed_size(&self) -> usize {
        self.cout / self.cols.max(1) * gemm::packed_len::<E>(self.depth(), self.cols)
    }

    fn copy_size(&self) -> usize {
        self.copy.as_ref().map_or(0, |c| c.lines * c.padded)
    }

    /// Convolves images that lie at `x`; they are the `first`-th of the batch and on.
    fn images(
        &self,
        x: &[E],
        (first, count): (usize, usize),
        packed: &[E],
        ins: &[View],
        out: Shared<E>,
        par: Par,
    ) {
        let places = self.windows.places();
        let len = gemm::packed_len::<E>(self.depth(), self.cols);
        for (g, packed) in packed.chunks_exact(len.max(1)).enumerate() {
            let rows = Places {
                windows: &self.windows,
                x: x.as_ptr().wrapping_add(g * self.cin),
                channels: self.channels,
                zeros: self.zeros.as_ptr(),
                out: out
                    .get()
                    .wrapping_add(first * places * self.cout + g * self.cols),
                cout: self.cout,
            };
            let dims = Dims {
                rows: count * places,
                cols: self.cols,
                segments: self.depth() / self.segment.max(1),
                len: self.segment,
                step: 1,
            };
            let steps = self.epilogue.steps(ins, g * self.cols, out.get());
            gemm::multiply(&rows, dims, packed, &steps, par, &|rows, cols| {
                let rows = first * places + rows.start..first * places + rows.end;
                let cols = g * self.cols + cols.start..g * self.cols + cols.end;
                // SAFETY: blocks don't overlap, nor do images and groups.
                unsafe { self.epilogue.finish(out, rows, cols, self.cout, ins) };
            });
        }
    }
}

impl<E: Num> Kernel for Conv<E> {
    fn scratch(&self) -> usize {
        let packed = match self.packed {
            Some(_) => 0,
            None => lines(self.packed_size() * size_of::<E>()) * size_of::<Line>(),
        };
        packed + self.copy_size() * size_of::<E>()
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        _aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let x = ins[0].as_slice::<E>();
        let out = Shared(outs[0].as_mut::<E>().as_mut_ptr());
        let batch = self.windows.batch;
        let size = self.packed_size();
        let (packed, scratch) = match &self.packed {
            Some(packed) => (&packed.as_slice::<E>()[..size], scratch),
            None => {
                let (packed, rest) = scratch.split_at_mut(lines(size * size_of::<E>()));
                let packed = &mut bytemuck::cast_slice_mut(packed)[..size];
                let kernel = ins[1].as_slice::<E>();
                pack(kernel, self.depth(), self.cols, self.cout, packed, par);
                (&*packed, rest)
            }
        };
        let Some(copy) = &self.copy else {
            self.images(x, (0, batch), packed, ins, out, par);
            return Ok(());
        };
        let image = copy.lines * copy.len;
        let one = |i: usize, buffer: &mut [Line], par: Par| {
            let padded = &mut bytemuck::cast_slice_mut(buffer)[..self.copy_size()];
            copy.make(&x[i * image..(i + 1) * image], padded, par);
            self.images(padded, (i, 1), packed, ins, out, par);
        };
        if par.has_enough(batch) {
            let bytes = self.copy_size() * size_of::<E>();
            par.each(batch, |i| {
                with_buffer(bytes, |buffer| one(i, buffer, Par::Serial))
            });
        } else {
            (0..batch).for_each(|i| one(i, scratch, par));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::graph::{Binary, ConvAttrs, Program, Step};
    use crate::kernels::windows::three;
    use crate::tensor::{DType, Tensor};

    /// Shape of a convolution's output, without channels.
    pub fn places(x: &[usize], k: &[usize], a: &ConvAttrs) -> Vec<usize> {
        (0..a.strides.len())
            .map(|i| {
                let (before, after) = a.padding[i];
                let span = (k[i] - 1) * a.dilation[i] + 1;
                (x[i + 1] + before + after - span) / a.strides[i] + 1
            })
            .collect()
    }

    /// Convolution in f64. `kernel` is (spatial..., cin / groups, cout).
    pub fn oracle(x: &Tensor, kernel: &Tensor, a: &ConvAttrs) -> (Vec<usize>, Vec<f64>) {
        let (xs, ks) = (x.shape(), kernel.shape());
        let rank = a.strides.len();
        let at = places(xs, ks, a);
        let (xv, kv) = (x.to_f64(), kernel.to_f64());
        let (i3, o3) = (three(&xs[1..=rank], 1), three(&at, 1));
        let (k3, s3) = (three(&ks[..rank], 1), three(&a.strides, 1));
        let d3 = three(&a.dilation, 1);
        let before: Vec<usize> = a.padding.iter().map(|p| p.0).collect();
        let p3 = three(&before, 0);
        let (channels, cin, cout) = (xs[rank + 1], ks[rank], ks[rank + 1]);
        let mut out = Vec::new();
        for n in 0..xs[0] {
            for place in 0..o3.iter().product() {
                let o = [
                    place / (o3[1] * o3[2]),
                    place / o3[2] % o3[1],
                    place % o3[2],
                ];
                for c in 0..cout {
                    let mut sum = 0.0;
                    for p in 0..k3.iter().product() {
                        let k = [p / (k3[1] * k3[2]), p / k3[2] % k3[1], p % k3[2]];
                        let i: Vec<usize> = (0..3)
                            .map(|d| (o[d] * s3[d] + k[d] * d3[d]).wrapping_sub(p3[d]))
                            .collect();
                        if (0..3).any(|d| i[d] >= i3[d]) {
                            continue;
                        }
                        let pixel = ((n * i3[0] + i[0]) * i3[1] + i[1]) * i3[2] + i[2];
                        let first = c / (cout / a.groups) * cin;
                        for q in 0..cin {
                            sum += xv[pixel * channels + first + q] * kv[(p * cin + q) * cout + c];
                        }
                    }
                    out.push(sum);
                }
            }
        }
        let mut shape = vec![xs[0]];
        shape.extend(at);
        shape.push(cout);
        (shape, out)
    }

    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(3);
        // Image, window, channels, output channels, groups, strides, padding, dilation.
        type Case = (
            &'static [usize],
            &'static [usize],
            [usize; 3],
            &'static [usize],
            &'static [(usize, usize)],
            &'static [usize],
        );
        let cases: &[Case] = &[
            (
                &[9, 11],
                &[3, 3],
                [5, 7, 1],
                &[1, 1],
                &[(1, 1), (1, 1)],
                &[1, 1],
            ),
            (
                &[9, 11],
                &[3, 3],
                [5, 7, 1],
                &[1, 1],
                &[(0, 0), (0, 0)],
                &[1, 1],
            ),
            (
                &[15, 14],
                &[7, 7],
                [3, 20, 1],
                &[2, 2],
                &[(3, 3), (3, 3)],
                &[1, 1],
            ),
            (
                &[15, 14],
                &[5, 3],
                [2, 20, 1],
                &[2, 3],
                &[(0, 1), (1, 0)],
                &[1, 1],
            ),
            (
                &[12, 13],
                &[3, 3],
                [20, 33, 1],
                &[2, 2],
                &[(0, 1), (0, 1)],
                &[1, 1],
            ),
            (
                &[12, 13],
                &[3, 3],
                [33, 17, 1],
                &[1, 1],
                &[(2, 2), (2, 2)],
                &[2, 2],
            ),
            (
                &[12, 13],
                &[3, 2],
                [3, 17, 1],
                &[1, 1],
                &[(2, 2), (1, 1)],
                &[2, 3],
            ),
            (
                &[12, 13],
                &[3, 3],
                [12, 18, 3],
                &[1, 1],
                &[(1, 1), (1, 1)],
                &[1, 1],
            ),
            (
                &[12, 13],
                &[1, 1],
                [12, 18, 1],
                &[1, 1],
                &[(0, 0), (0, 0)],
                &[1, 1],
            ),
            (
                &[12, 13],
                &[1, 1],
                [12, 18, 2],
                &[2, 2],
                &[(0, 0), (0, 0)],
                &[1, 1],
            ),
            (
                &[6, 6],
                &[3, 3],
                [400, 10, 1],
                &[1, 1],
                &[(1, 1), (1, 1)],
                &[1, 1],
            ),
            (&[30], &[4], [6, 9, 1], &[1], &[(3, 0)], &[1]),
            (&[30], &[4], [24, 9, 1], &[1], &[(6, 0)], &[2]),
            (&[3], &[9], [4, 9, 1], &[1], &[(4, 4)], &[1]),
            (
                &[5, 6, 7],
                &[2, 3, 2],
                [4, 9, 1],
                &[1, 2, 1],
                &[(0, 1), (1, 1), (1, 0)],
                &[1, 1, 1],
            ),
            (
                &[5, 6, 7],
                &[2, 3, 2],
                [18, 9, 1],
                &[2, 1, 1],
                &[(0, 1), (1, 1), (1, 0)],
                &[1, 1, 2],
            ),
        ];
        for (image, window, [cin, cout, groups], strides, padding, dilation) in cases {
            let attrs = ConvAttrs {
                strides: strides.to_vec(),
                padding: padding.to_vec(),
                dilation: dilation.to_vec(),
                groups: *groups,
            };
            // The same with a bias, which must find each channel of each group.
            let program = Arc::new(Program {
                inputs: 2,
                steps: vec![Step::Binary(Binary::Add, 0, 1)],
                dtypes: vec![DType::F32],
            });
            let x = rng.tensor(DType::F32, [&[3], *image, &[*cin]].concat());
            let k = rng.tensor(DType::F32, [*window, &[cin / groups, *cout]].concat());
            let bias = rng.tensor(DType::F32, vec![*cout]);
            let (shape, mut want) = oracle(&x, &k, &attrs);
            for (w, b) in want.iter_mut().zip(bias.to_f64().iter().cycle()) {
                *w += b;
            }
            let op = Op::Conv(attrs.clone(), Some(program));
            let got = run_both(&op, &[x, k, bias], &[1], DType::F32, &[shape]);
            assert_close(
                &got[0],
                &want,
                &format!("bias {image:?} {window:?} {attrs:?}"),
            );
            for batch in [1, 4] {
                for dtype in [DType::F32, DType::F64, DType::F16, DType::I32] {
                    let x = rng.tensor(dtype, [&[batch], *image, &[*cin]].concat());
                    let k = rng.tensor(dtype, [*window, &[cin / groups, *cout]].concat());
                    let (shape, want) = oracle(&x, &k, &attrs);
                    let op = Op::Conv(attrs.clone(), None);
                    for consts in [&[][..], &[1]] {
                        let ins = [x.clone(), k.clone()];
                        let got = run_both(&op, &ins, consts, dtype, std::slice::from_ref(&shape));
                        let what = format!("{image:?} {window:?} {cin} {attrs:?} {dtype}");
                        assert_close(&got[0], &want, &what);
                    }
                }
            }
        }
    }
}
