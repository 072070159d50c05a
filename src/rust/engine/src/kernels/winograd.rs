//! Convolutions of 3 by 3 windows by Winograd's minimal filtering, F(2x2, 3x3) and
//! F(4x4, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural networks",
//! 2015).
//!
//! Tiles of N by N pixels, N = M + 2, are transformed, multiplied by the transformed
//! kernel at each of their places (as one matrix product over the tiles of a block),
//! and transformed back to M by M results: with M = 2, 16 products for what takes 36
//! otherwise, with M = 4, 36 for 144. The kernel's transform is computed in f64. A
//! result depends on its tile alone, whose place in the image is fixed: batches,
//! blocks and threads change nothing.
//!
//! The transforms of M = 2 only add and subtract. Those of M = 4 evaluate polynomials
//! at 0, at plus and minus a = sqrt(1/2), at plus and minus b = sqrt(2) and at
//! infinity; with these points the results are off three times as far as plain sums
//! are at most, and with the usual ones (0, 1, -1, 2, -2) ten times.

use std::sync::Arc;

use super::epilogue::{first_scale, Epilogue, Steps};
use super::gemm::{self, with_buffer, Dims, Packed, Strided};
use super::simd::{Job, Num, Simd, MAX_LANES};
use super::windows::Windows;
use super::{Kernel, Operand, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::{Const, ConvAttrs, Op};
use crate::tensor::{DType, Line, View, ViewMut, LINE};

/// Channels, on either side and together, from which on the products outweigh
/// the transforms.
pub(super) const CHANNELS: usize = 16;
pub(super) const CHANNELS_TOGETHER: usize = 48;
/// Results of an image, at least.
pub(super) const RESULTS: usize = 16;
/// What the transformed tiles of a block and their products may take, in bytes.
pub(super) const BLOCK_BYTES: usize = 384 * 1024;
/// Tiles of a block, at least and at most: each block reads all of the kernel.
pub(super) const TILES: std::ops::RangeInclusive<usize> = 48..=192;
/// The same for tiles of 4 by 4 results.
const LARGE_TILES: std::ops::RangeInclusive<usize> = 32..=96;

/// Channels of both sides, multiplied, up to which kernels of 36 places are worth
/// their memory.
const LARGEST: usize = 1 << 14;

/// The largest norm of an output channel's kernel. Results are off by up to about
/// 1e-6 of the norm times the size of the inputs; what is initialised as usual
/// has norms around 1.
pub(super) const NORM: f32 = 4.0;

/// The same for tiles of 4 by 4 results, which are off by up to about 1e-5 of it:
/// kernels initialised for relu have norms of 1.4.
const LARGE_NORM: f32 = 1.6;

/// The points a and b.
const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

/// Whether a convolution is computed this way. That must not depend on the
/// number of images.
pub(super) fn fits(req: &Request, attrs: &ConvAttrs) -> bool {
    let (x, kernel, out) = (req.ins[0].fact, &req.ins[1], &req.outs[0]);
    let k = &kernel.fact.shape;
    x.dtype == DType::F32
        && k[..k.len() - 2] == [3, 3]
        && attrs.groups == 1
        && attrs.strides == [1, 1]
        && attrs.dilation == [1, 1]
        && k[2] >= CHANNELS
        && k[3] >= CHANNELS
        && k[2] + k[3] >= CHANNELS_TOGETHER
        && out.shape[1] * out.shape[2] >= RESULTS
        && is_exact(req, kernel, NORM)
}

/// Whether tiles of 4 by 4 results are exact enough, and faster. That must not depend
/// on the number of images either.
fn takes_large_tiles(req: &Request) -> bool {
    let (kernel, out) = (&req.ins[1], &req.outs[0].shape);
    let k = &kernel.fact.shape;
    let products = |m: usize| out[1].div_ceil(m) * out[2].div_ceil(m) * (m + 2) * (m + 2);
    k[2] * k[3] <= LARGEST
        && 8 * products(4) <= 7 * products(2)
        && is_exact(req, kernel, LARGE_NORM)
}

/// Whether a kernel is a constant that the tolerance allows to be transformed,
/// with what the results are multiplied by: no
/// output channel's norm may be larger than `most`.
pub(super) fn is_exact(req: &Request, kernel: &Operand, most: f32) -> bool {
    let (Some(constant), Op::Conv(_, program)) = (kernel.constant, req.op) else {
        return false;
    };
    let norms = req.packs.get(constant, "norms", || norms(constant));
    let scale = first_scale(program, req, 2).map(|c| c.tensor.as_slice::<f32>());
    norms.iter().enumerate().all(|(i, norm)| {
        let scale = scale.map_or(1.0, |s| s.get(i).or(s.first()).copied().unwrap_or(1.0));
        norm * scale.abs() <= most
    })
}

/// The norms of the output channels' kernels.
fn norms(kernel: &Const) -> Vec<f32> {
    let cout = kernel.tensor.shape().last().copied().unwrap_or(1).max(1);
    let mut squares = vec![0f32; cout];
    for row in kernel.tensor.as_slice::<f32>().chunks_exact(cout) {
        for (sum, v) in squares.iter_mut().zip(row) {
            *sum += v * v;
        }
    }
    squares.into_iter().map(f32::sqrt).collect()
}

/// Tiles of `M` by `M` results, of `N` by `N` pixels.
struct Winograd<const M: usize, const N: usize> {
    windows: Windows,
    cin: usize,
    cout: usize,
    packed: Arc<Packed>,
    epilogue: Epilogue,
    /// Stands for a pixel in the padding.
    zeros: Vec<f32>,
    /// Lines of tiles of an image, tiles of a line, lines of a block.
    lines: usize,
    width: usize,
    block: usize,
}

/// Prepares a convolution that [`fits`].
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    match takes_large_tiles(req) {
        true => prepare_tiles::<4, 6>(req, "large winograd", LARGE_TILES),
        false => prepare_tiles::<2, 4>(req, "winograd", TILES),
    }
}

fn prepare_tiles<const M: usize, const N: usize>(
    req: &Request,
    layout: &'static str,
    tiles: std::ops::RangeInclusive<usize>,
) -> Result<Box<dyn Kernel>> {
    let Op::Conv(attrs, epilogue) = req.op else {
        return Err(Error::internal("not a convolution"));
    };
    let (x, kernel) = (&req.ins[0].fact.shape, &req.ins[1].fact.shape);
    let windows = Windows::new(
        x,
        &req.outs[0].shape,
        &[3, 3],
        &attrs.strides,
        &attrs.dilation,
        &attrs.padding,
    );
    let (cin, cout) = (kernel[2], kernel[3]);
    let len = gemm::packed_len::<f32>(cin, cout);
    let size = N * N * len;
    let packed = gemm::pack_constant(&req.ins[1], req.packs, layout, size, |k: &[f32], out| {
        let transformed = transform_kernel::<N>(k);
        for (matrix, out) in transformed.chunks(cin * cout).zip(out.chunks_mut(len)) {
            gemm::pack(matrix, (cin, cout), (cout, 1), out, Par::Serial);
        }
    });
    let packed = packed.ok_or_else(|| Error::internal("the kernel is not constant"))?;
    let lines = windows.output[1].div_ceil(M);
    let width = windows.output[2].div_ceil(M);
    let fitting = BLOCK_BYTES / (N * N * (cin + cout) * size_of::<f32>());
    let tiles = fitting.clamp(*tiles.start(), *tiles.end());
    Ok(Box::new(Winograd::<M, N> {
        cin,
        cout,
        packed,
        epilogue: Epilogue::new(epilogue, req, 2)?,
        zeros: vec![0.0; cin],
        lines,
        width,
        block: tiles.div_ceil(width),
        windows,
    }))
}

/// The kernel (3, 3, cin, cout) as one matrix for each place: `G k G'`.
fn transform_kernel<const N: usize>(kernel: &[f32]) -> Vec<f32> {
    let matrix = kernel.len() / 9;
    let mut out = vec![0.0; N * N * matrix];
    for at in 0..matrix {
        let k = |y: usize, x: usize| f64::from(kernel[(y * 3 + x) * matrix + at]);
        let columns = [0, 1, 2].map(|x| filter::<N>(k(0, x), k(1, x), k(2, x)));
        for y in 0..N {
            let line = filter::<N>(columns[0][y], columns[1][y], columns[2][y]);
            for (x, v) in line.into_iter().enumerate() {
                out[(y * N + x) * matrix + at] = v as f32;
            }
        }
    }
    out
}

/// `G` times a column of the kernel.
pub(super) fn filter<const N: usize>(k0: f64, k1: f64, k2: f64) -> [f64; N] {
    let mut out = [k2; N];
    out[0] = k0;
    let pairs = match N {
        4 => &[(1.0, 2.0)][..],
        _ => &[(f64::sqrt(0.5), -1.5), (f64::sqrt(2.0), 6.0)],
    };
    for (i, (point, divisor)) in pairs.iter().enumerate() {
        let (even, odd) = (k0 + point * point * k2, point * k1);
        out[1 + 2 * i] = (even + odd) / divisor;
        out[2 + 2 * i] = (even - odd) / divisor;
    }
    out
}

#[inline(always)]
pub(super) unsafe fn sub<S: Simd<E = f32>>(a: S::V, b: S::V) -> S::V {
    S::fma(b, S::splat(-1.0), a)
}

/// `factor * a + b`.
#[inline(always)]
unsafe fn times<S: Simd<E = f32>>(factor: f32, a: S::V, b: S::V) -> S::V {
    S::fma(a, S::splat(factor), b)
}

/// `B'` times a column of pixels.
#[inline(always)]
unsafe fn transform<S: Simd<E = f32>, const N: usize>(d: [S::V; N]) -> [S::V; N] {
    let mut out = d;
    if N == 4 {
        out[0] = sub::<S>(d[0], d[2]);
        out[1] = S::add(d[1], d[2]);
        out[2] = sub::<S>(d[2], d[1]);
        out[3] = sub::<S>(d[1], d[3]);
    } else {
        out[0] = times::<S>(-2.5, d[2], S::add(d[0], d[4]));
        let (even, odd) = (times::<S>(-2.0, d[2], d[4]), times::<S>(-2.0, d[1], d[3]));
        out[1] = times::<S>(A, odd, even);
        out[2] = times::<S>(-A, odd, even);
        let (even, odd) = (times::<S>(-0.5, d[2], d[4]), times::<S>(-0.5, d[1], d[3]));
        out[3] = times::<S>(B, odd, even);
        out[4] = times::<S>(-B, odd, even);
        out[5] = times::<S>(-2.5, d[3], S::add(d[1], d[5]));
    }
    out
}

/// `A'` times a column of products.
#[inline(always)]
unsafe fn collect<S: Simd<E = f32>, const M: usize, const N: usize>(m: [S::V; N]) -> [S::V; M] {
    let mut out = [S::zero(); M];
    if N == 4 {
        out[0] = S::add(S::add(m[0], m[1]), m[2]);
        out[1] = sub::<S>(sub::<S>(m[1], m[2]), m[3]);
    } else {
        let (even_a, odd_a) = (S::add(m[1], m[2]), sub::<S>(m[1], m[2]));
        let (even_b, odd_b) = (S::add(m[3], m[4]), sub::<S>(m[3], m[4]));
        out[0] = S::add(S::add(m[0], even_a), even_b);
        out[1] = times::<S>(A, odd_a, times::<S>(B, odd_b, S::zero()));
        out[2] = times::<S>(0.5, even_a, times::<S>(2.0, even_b, S::zero()));
        out[3] = times::<S>(A / 2.0, odd_a, times::<S>(2.0 * B, odd_b, m[5]));
    }
    out
}

/// Elements between the matrices of two places: an odd number of the cache's lines,
/// since places that are whole pages apart would share a few of them.
fn stride(tiles: usize, channels: usize) -> usize {
    const APART: usize = LINE / size_of::<f32>();
    ((tiles * channels).div_ceil(APART) | 1) * APART
}

/// A block of lines of tiles.
struct Block<'a, const M: usize, const N: usize> {
    of: &'a Winograd<M, N>,
    /// The first line of all images' lines, and how many.
    first: usize,
    lines: usize,
    x: *const f32,
    kernel: &'a [f32],
    steps: &'a Steps<f32>,
    out: *mut f32,
}

impl<const M: usize, const N: usize> Block<'_, M, N> {
    fn tiles(&self) -> usize {
        self.lines * self.of.width
    }

    /// Image, line and column of the first result of a tile.
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let line = self.first + tile / self.of.width;
        let (image, y) = (line / self.of.lines, line % self.of.lines);
        (image, M * y, M * (tile % self.of.width))
    }

    /// The pixel under place (`ky`, `kx`) of the window at (`y`, `x`).
    fn pixel(&self, image: usize, y: usize, x: usize) -> *const f32 {
        let w = &self.of.windows;
        let [_, iy, ix] = w.input;
        match (y.wrapping_sub(w.before[1]), x.wrapping_sub(w.before[2])) {
            (y, x) if y < iy && x < ix => self
                .x
                .wrapping_add(((image * iy + y) * ix + x) * self.of.cin),
            _ => self.of.zeros.as_ptr(),
        }
    }

    /// The results of a tile that exist: their line and column, and where they go.
    fn results(&self, tile: usize) -> impl Iterator<Item = ((usize, usize), *mut f32)> + '_ {
        let [_, oy, ox] = self.of.windows.output;
        let (image, y, x) = self.place(tile);
        (0..M * M).filter_map(move |i| {
            let (line, column) = (i / M, i % M);
            let (y, x) = (y + line, x + column);
            let row = (image * oy + y) * ox + x;
            let out = self.out.wrapping_add(row * self.of.cout);
            (y < oy && x < ox).then_some(((line, column), out))
        })
    }
}

/// Transforms a block's tiles: `B' d B`, by place, tile and channel.
struct Forward<'a, const M: usize, const N: usize>(&'a Block<'a, M, N>, &'a mut [f32]);

impl<const M: usize, const N: usize> Job<f32> for Forward<'_, M, N> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = f32>>(self) {
        let Forward(block, out) = self;
        let (cin, tiles) = (block.of.cin, block.tiles());
        for tile in 0..tiles {
            let (image, y, x) = block.place(tile);
            let mut pixels = [[std::ptr::null::<f32>(); N]; N];
            for (i, line) in pixels.iter_mut().enumerate() {
                for (j, p) in line.iter_mut().enumerate() {
                    *p = block.pixel(image, y + i, x + j);
                }
            }
            let out = out[tile * cin..].as_mut_ptr();
            let mut c = 0;
            while c + S::LANES <= cin {
                forward::<S, N>(&pixels, c, S::LANES, out.add(c), stride(tiles, cin));
                c += S::LANES;
            }
            if c < cin {
                forward::<S, N>(&pixels, c, cin - c, out.add(c), stride(tiles, cin));
            }
        }
    }
}

/// `n` channels from `c` on of a tile.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn forward<S: Simd<E = f32>, const N: usize>(
    pixels: &[[*const f32; N]; N],
    c: usize,
    n: usize,
    out: *mut f32,
    stride: usize,
) {
    let mut d = [[S::zero(); N]; N];
    for y in 0..N {
        for x in 0..N {
            d[y][x] = S::load_part(pixels[y][x].add(c), n);
        }
        d[y] = transform::<S, N>(d[y]);
    }
    for x in 0..N {
        let mut column = [S::zero(); N];
        for y in 0..N {
            column[y] = d[y][x];
        }
        let column = transform::<S, N>(column);
        for y in 0..N {
            S::store_part(out.add((y * N + x) * stride), column[y], n);
        }
    }
}

/// Transforms a block's products back, `A' m A`, and finishes the results.
struct Backward<'a, const M: usize, const N: usize>(&'a Block<'a, M, N>, &'a [f32]);

impl<const M: usize, const N: usize> Job<f32> for Backward<'_, M, N> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = f32>>(self) {
        let Backward(block, products) = self;
        let (cout, tiles) = (block.of.cout, block.tiles());
        for tile in 0..tiles {
            let mut out = [[std::ptr::null_mut::<f32>(); M]; M];
            for ((line, column), p) in block.results(tile) {
                out[line][column] = p;
            }
            let products = products[tile * cout..].as_ptr();
            let mut finite = S::zero();
            let mut c = 0;
            while c < cout {
                let n = S::LANES.min(cout - c);
                let results = match n == S::LANES {
                    true => backward::<S, M, N>(products.add(c), S::LANES, stride(tiles, cout)),
                    false => backward::<S, M, N>(products.add(c), n, stride(tiles, cout)),
                };
                for v in results.into_iter().flatten() {
                    // Zero times what is not finite is NaN.
                    finite = S::fma(v, S::zero(), finite);
                }
                for (results, out) in results.into_iter().zip(&out) {
                    finish::<S, M>(block.steps, results, out, c, n);
                }
                c += n;
            }
            let mut lanes = [0.0; MAX_LANES];
            S::store(lanes.as_mut_ptr(), finite);
            if lanes.iter().any(|v| v.is_nan()) {
                plainly::<S, M, N>(block, tile);
            }
        }
    }
}

/// `n` columns of a tile's results.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn backward<S: Simd<E = f32>, const M: usize, const N: usize>(
    products: *const f32,
    n: usize,
    stride: usize,
) -> [[S::V; M]; M] {
    let mut lines = [[S::zero(); N]; M];
    for x in 0..N {
        let mut column = [S::zero(); N];
        for y in 0..N {
            column[y] = S::load_part(products.add((y * N + x) * stride), n);
        }
        let column = collect::<S, M, N>(column);
        for y in 0..M {
            lines[y][x] = column[y];
        }
    }
    let mut results = [[S::zero(); M]; M];
    for y in 0..M {
        results[y] = collect::<S, M, N>(lines[y]);
    }
    results
}

/// Stores `n` columns of results, from `c` on, after the epilogue's steps;
/// results without a place go nowhere.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd<E = f32>, const N: usize>(
    steps: &Steps<f32>,
    mut results: [S::V; N],
    out: &[*mut f32; N],
    c: usize,
    n: usize,
) {
    for step in steps.iter() {
        let column = step.column::<S>(c, n);
        for (v, p) in results.iter_mut().zip(out) {
            if !p.is_null() {
                *v = step.apply::<S>(*v, column, p.add(c), (c, n));
            }
        }
    }
    for (v, p) in results.into_iter().zip(out) {
        if !p.is_null() {
            S::store_part(p.add(c), v, n);
        }
    }
}

/// The results of a tile in which numbers are not finite.
#[inline(always)]
unsafe fn plainly<S: Simd<E = f32>, const M: usize, const N: usize>(
    block: &Block<M, N>,
    tile: usize,
) {
    let (image, y, x) = block.place(tile);
    for ((line, column), out) in block.results(tile) {
        let (y, x) = (y + line, x + column);
        let pixel = |k: usize| block.pixel(image, y + k / 3, x + k % 3);
        let Block { kernel, steps, .. } = block;
        window::<S>(kernel, (9, block.of.cin, block.of.cout), pixel, steps, out);
    }
}

/// A result as the sum over its window, which depends on nothing else: `pixel`
/// gives the pixel under each place, `sizes` are places, channels and results.
#[inline(always)]
pub(super) unsafe fn window<S: Simd<E = f32>>(
    kernel: &[f32],
    sizes: (usize, usize, usize),
    pixel: impl Fn(usize) -> *const f32,
    steps: &Steps<f32>,
    out: *mut f32,
) {
    let (places, cin, cout) = sizes;
    let mut c = 0;
    while c < cout {
        let n = S::LANES.min(cout - c);
        let mut sum = S::zero();
        for k in 0..places {
            let pixel = pixel(k);
            for q in 0..cin {
                let weights = kernel.as_ptr().add((k * cin + q) * cout + c);
                sum = S::fma(S::splat(*pixel.add(q)), S::load_part(weights, n), sum);
            }
        }
        finish::<S, 1>(steps, [sum], &[out], c, n);
        c += n;
    }
}

impl<const M: usize, const N: usize> Kernel for Winograd<M, N> {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _scratch: &mut [Line],
        _aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let x = Shared(ins[0].as_slice::<f32>().as_ptr().cast_mut());
        let out = Shared(outs[0].as_mut::<f32>().as_mut_ptr());
        let steps = self.epilogue.steps(ins, 0, out.get());
        let [_, oy, ox] = self.windows.output;
        let (cin, cout) = (self.cin, self.cout);
        let len = gemm::packed_len::<f32>(cin, cout);
        let all = self.windows.batch * self.lines;
        let block = |first: usize| {
            let block = Block {
                of: self,
                first,
                lines: self.block.min(all - first),
                x: x.get(),
                kernel: ins[1].as_slice(),
                steps: &steps,
                out: out.get(),
            };
            let tiles = block.tiles();
            let (from, to) = (stride(tiles, cin), stride(tiles, cout));
            let bytes = N * N * (from + to) * size_of::<f32>();
            with_buffer(bytes, |buffer| {
                let buffer = bytemuck::cast_slice_mut::<Line, f32>(buffer);
                let (transformed, rest) = buffer.split_at_mut(N * N * from);
                let products = &mut rest[..N * N * to];
                f32::dispatch(Forward(&block, transformed));
                let places = transformed
                    .chunks_exact(from)
                    .zip(products.chunks_exact_mut(to))
                    .zip(self.packed.as_slice::<f32>().chunks_exact(len));
                for ((left, out), packed) in places {
                    let rows = Strided {
                        left: left.as_ptr(),
                        left_stride: cin,
                        out: out.as_mut_ptr(),
                        out_stride: cout,
                    };
                    let dims = Dims {
                        rows: tiles,
                        cols: cout,
                        segments: 1,
                        len: cin,
                        step: 1,
                    };
                    gemm::multiply(&rows, dims, packed, &Steps::none(), Par::Serial, &|_, _| {});
                }
                f32::dispatch(Backward(&block, products));
            });
            let line = |line: usize| {
                let (image, y) = (line / self.lines, line % self.lines);
                (image * oy + (M * y).min(oy)) * ox
            };
            let rows = line(first)..line(first + block.lines);
            // SAFETY: the rows are those of this block's tiles.
            unsafe { self.epilogue.finish(out, rows, 0..cout, cout, ins) };
        };
        let blocks = all.div_ceil(self.block);
        par.each(blocks, |b| block(b * self.block));
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::conv::tests::oracle;
    use super::super::testing::*;
    use super::*;
    use crate::graph::{Binary, Program, Step, Unary};
    use crate::kernels::PackCache;
    use crate::tensor::{Fact, Tensor};

    fn attrs(padding: [(usize, usize); 2]) -> ConvAttrs {
        ConvAttrs {
            strides: vec![1, 1],
            padding: padding.to_vec(),
            dilation: vec![1, 1],
            groups: 1,
        }
    }

    /// A kernel whose channels have norms around 1.
    pub fn kernel(rng: &mut Rng, window: &[usize], cin: usize, cout: usize) -> Tensor {
        let size: usize = window.iter().product();
        let scale = (3.0 / (size * cin) as f64).sqrt();
        let shape = [window, &[cin, cout]].concat();
        let k = rng.tensor(DType::F32, shape.clone()).to_f64();
        let k: Vec<f64> = k.into_iter().map(|v| v * scale).collect();
        of(DType::F32, shape, &k)
    }

    /// Compares a convolution of random images of `shape`, without their number,
    /// with plain loops: by itself, and with bias and bounds in registers and a
    /// factor after them.
    pub fn check(rng: &mut Rng, shape: &[usize], k: &Tensor, attrs: &ConvAttrs) {
        let program = Arc::new(Program {
            inputs: 3,
            steps: vec![
                Step::Binary(Binary::Add, 0, 1),
                Step::Unary(Unary::Relu, 3),
                Step::Binary(Binary::Mul, 4, 2),
            ],
            dtypes: vec![DType::F32; 3],
        });
        for batch in [1, 3] {
            let x = rng.tensor(DType::F32, [&[batch], shape].concat());
            let bias = rng.tensor(DType::F32, k.shape()[k.shape().len() - 1..].to_vec());
            let factor = of(DType::F32, vec![], &[1.5]);
            let (shape, mut want) = oracle(&x, k, attrs);
            let what = format!("{:?} {:?} {attrs:?}", x.shape(), k.shape());
            let ins = [x.clone(), k.clone()];
            let op = Op::Conv(attrs.clone(), None);
            let got = run_both(&op, &ins, &[1], DType::F32, std::slice::from_ref(&shape));
            assert_close(&got[0], &want, &what);
            for (w, b) in want.iter_mut().zip(bias.to_f64().iter().cycle()) {
                *w = (*w + b).max(0.0) * 1.5;
            }
            let op = Op::Conv(attrs.clone(), Some(program.clone()));
            let ins = [x, k.clone(), bias, factor];
            let got = run_both(&op, &ins, &[1, 3], DType::F32, &[shape]);
            assert_close(&got[0], &want, &what);
        }
    }

    /// Convolves an image of `shape` in which one number is infinite: what is not
    /// finite must stay within the windows that see it, `seen` of them.
    pub fn check_infinity(shape: &[usize], at: usize, k: &Tensor, attrs: ConvAttrs, seen: usize) {
        let mut x = Rng::new(6).tensor(DType::F32, shape.to_vec()).to_f64();
        x[at] = f64::INFINITY;
        let x = of(DType::F32, shape.to_vec(), &x);
        let (shape, want) = oracle(&x, k, &attrs);
        let op = Op::Conv(attrs, None);
        let got = run_both(&op, &[x, k.clone()], &[1], DType::F32, &[shape]);
        let got = got[0].to_f64();
        let cout = k.shape()[k.shape().len() - 1];
        let infinite = want.iter().filter(|v| v.is_infinite()).count();
        assert_eq!(infinite, seen * cout);
        for (g, w) in got.iter().zip(&want) {
            assert!(g == w || (g - w).abs() < 1e-4, "{g} {w}");
        }
    }

    /// Odd and even sizes, partial registers, several blocks and images.
    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(5);
        for ([y, x], [cin, cout], padding) in [
            ([7, 6], [24, 24], [(1, 1), (1, 1)]),
            ([6, 7], [27, 21], [(0, 0), (0, 0)]),
            ([9, 8], [24, 40], [(2, 0), (0, 3)]),
            ([31, 30], [32, 16], [(1, 1), (1, 1)]),
            ([5, 4], [300, 50], [(1, 2), (3, 1)]),
            ([8, 12], [24, 40], [(1, 1), (1, 1)]),
            ([17, 24], [33, 29], [(0, 2), (3, 1)]),
            ([5, 200], [64, 64], [(1, 1), (1, 1)]),
        ] {
            let k = kernel(&mut rng, &[3, 3], cin, cout);
            check(&mut rng, &[y, x, cin], &k, &attrs(padding));
        }
    }

    #[test]
    fn infinity_stays_in_its_windows() {
        let k = kernel(&mut Rng::new(7), &[3, 3], 24, 26);
        let at = (3 * 8 + 4) * 24 + 2;
        check_infinity(&[1, 8, 8, 24], at, &k, attrs([(0, 0), (0, 0)]), 9);
        check_infinity(&[1, 8, 8, 24], at, &k, attrs([(1, 1), (1, 1)]), 9);
    }

    /// Kernels of norms so large that the tolerance asks for plain sums.
    #[test]
    fn large_kernels_are_left_alone() {
        let mut rng = Rng::new(7);
        let attrs = attrs([(1, 1), (1, 1)]);
        let op = Op::Conv(attrs.clone(), None);
        for (scale, want) in [(1.0, true), (10.0, false)] {
            let k = kernel(&mut rng, &[3, 3], 32, 32).to_f64();
            let k: Vec<f64> = k.into_iter().map(|v| v * scale).collect();
            let k = of(DType::F32, vec![3, 3, 32, 32], &k);
            let x = Fact::f32(vec![1, 8, 8, 32]);
            let constant = Arc::new(Const {
                id: 1,
                tensor: k.clone().into(),
            });
            let ins = [
                Operand {
                    fact: &x,
                    constant: None,
                },
                Operand {
                    fact: k.fact(),
                    constant: Some(&constant),
                },
            ];
            let request = Request {
                op: &op,
                ins: &ins,
                outs: std::slice::from_ref(&x),
                path: "test",
                packs: &PackCache::default(),
            };
            assert_eq!(fits(&request, &attrs), want);
        }
    }
}
