//! Convolutions of 3 by 3 windows by Winograd's minimal filtering, F(2x2, 3x3)
//! (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015).
//!
//! Tiles of 4 by 4 pixels are transformed, multiplied by the transformed
//! kernel at each of their 16 places (as one matrix product over the tiles of a
//! block), and transformed back to 2 by 2 results: 16 products for what takes 36
//! otherwise. The transforms only add and subtract; the kernel's is computed in
//! f64. A result depends on its tile alone, whose place in the image is fixed:
//! batches, blocks and threads change nothing.

use std::sync::Arc;

use super::epilogue::{first_scale, Epilogue, Steps};
use super::gemm::{self, with_buffer, Dims, Packed, Strided};
use super::simd::{Job, Num, Simd, MAX_LANES};
use super::windows::Windows;
use super::{Kernel, Operand, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::{Const, ConvAttrs, Op};
use crate::tensor::{DType, Line, View, ViewMut};

/// Places in a tile.
const PLACES: usize = 16;
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

/// The largest norm of an output channel's kernel. Results are off by up to about
/// 1e-6 of the norm times the size of the inputs; what is initialised as usual
/// has norms around 1.
const NORM: f32 = 4.0;

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
        && is_exact(req, kernel)
}

/// Whether a kernel is a constant that the tolerance allows to be transformed,
/// with what the results are multiplied by.
pub(super) fn is_exact(req: &Request, kernel: &Operand) -> bool {
    let (Some(constant), Op::Conv(_, program)) = (kernel.constant, req.op) else {
        return false;
    };
    let norms = req.packs.get(constant, "norms", || norms(constant));
    let scale = first_scale(program, req, 2).map(|c| c.tensor.as_slice::<f32>());
    norms.iter().enumerate().all(|(i, norm)| {
        let scale = scale.map_or(1.0, |s| s.get(i).or(s.first()).copied().unwrap_or(1.0));
        norm * scale.abs() <= NORM
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

struct Winograd {
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
    let size = PLACES * len;
    let packed = gemm::pack_constant(
        &req.ins[1],
        req.packs,
        "winograd",
        size,
        |k: &[f32], out| {
            let transformed = transform_kernel(k);
            for (matrix, out) in transformed.chunks(cin * cout).zip(out.chunks_mut(len)) {
                gemm::pack(matrix, (cin, cout), (cout, 1), out, Par::Serial);
            }
        },
    );
    let packed = packed.ok_or_else(|| Error::internal("the kernel is not constant"))?;
    let lines = windows.output[1].div_ceil(2);
    let width = windows.output[2].div_ceil(2);
    let tiles = BLOCK_BYTES / (PLACES * (cin + cout) * size_of::<f32>());
    let tiles = tiles.clamp(*TILES.start(), *TILES.end());
    Ok(Box::new(Winograd {
        cin,
        cout,
        packed,
        epilogue: Epilogue::new(epilogue, req, 2)?,
        zeros: vec![0.0; cin],
        lines,
        width,
        block: (tiles / width).max(1),
        windows,
    }))
}

/// The kernel (3, 3, cin, cout) as one matrix for each place: `G k G'`.
fn transform_kernel(kernel: &[f32]) -> Vec<f32> {
    let matrix = kernel.len() / 9;
    let mut out = vec![0.0; PLACES * matrix];
    for at in 0..matrix {
        let k = |y: usize, x: usize| f64::from(kernel[(y * 3 + x) * matrix + at]);
        let lines = [0, 1, 2].map(|x| filter(k(0, x), k(1, x), k(2, x)));
        for y in 0..4 {
            let line = filter(lines[0][y], lines[1][y], lines[2][y]);
            for (x, v) in line.into_iter().enumerate() {
                out[(y * 4 + x) * matrix + at] = v as f32;
            }
        }
    }
    out
}

/// `G` times a column of the kernel.
pub(super) fn filter(a: f64, b: f64, c: f64) -> [f64; 4] {
    [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c]
}

#[inline(always)]
pub(super) unsafe fn sub<S: Simd<E = f32>>(a: S::V, b: S::V) -> S::V {
    S::fma(b, S::splat(-1.0), a)
}

/// A block of lines of tiles.
struct Block<'a> {
    of: &'a Winograd,
    /// The first line of all images' lines, and how many.
    first: usize,
    lines: usize,
    x: *const f32,
    kernel: &'a [f32],
    steps: &'a Steps<f32>,
    out: *mut f32,
}

impl Block<'_> {
    fn tiles(&self) -> usize {
        self.lines * self.of.width
    }

    /// Image, line and column of the first result of a tile.
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let line = self.first + tile / self.of.width;
        let (image, y) = (line / self.of.lines, line % self.of.lines);
        (image, 2 * y, 2 * (tile % self.of.width))
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

    /// The results of a tile that exist: their place among the four, and where
    /// they go.
    fn results(&self, tile: usize) -> impl Iterator<Item = (usize, *mut f32)> + '_ {
        let [_, oy, ox] = self.of.windows.output;
        let (image, y, x) = self.place(tile);
        (0..4).filter_map(move |i| {
            let (y, x) = (y + i / 2, x + i % 2);
            let row = (image * oy + y) * ox + x;
            (y < oy && x < ox).then(|| (i, self.out.wrapping_add(row * self.of.cout)))
        })
    }
}

/// Transforms a block's tiles: `B' d B`, by place, tile and channel.
struct Forward<'a>(&'a Block<'a>, &'a mut [f32]);

impl Job<f32> for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = f32>>(self) {
        let Forward(block, out) = self;
        let (cin, tiles) = (block.of.cin, block.tiles());
        for tile in 0..tiles {
            let (image, y, x) = block.place(tile);
            let mut pixels = [std::ptr::null::<f32>(); PLACES];
            for (i, p) in pixels.iter_mut().enumerate() {
                *p = block.pixel(image, y + i / 4, x + i % 4);
            }
            let out = out[tile * cin..].as_mut_ptr();
            let mut c = 0;
            while c + S::LANES <= cin {
                forward::<S>(&pixels, c, S::LANES, out.add(c), tiles * cin);
                c += S::LANES;
            }
            if c < cin {
                forward::<S>(&pixels, c, cin - c, out.add(c), tiles * cin);
            }
        }
    }
}

/// `n` channels from `c` on of a tile.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn forward<S: Simd<E = f32>>(
    pixels: &[*const f32; PLACES],
    c: usize,
    n: usize,
    out: *mut f32,
    stride: usize,
) {
    let mut d = [[S::zero(); 4]; 4];
    for y in 0..4 {
        for x in 0..4 {
            d[y][x] = S::load_part(pixels[y * 4 + x].add(c), n);
        }
        d[y] = [
            sub::<S>(d[y][0], d[y][2]),
            S::add(d[y][1], d[y][2]),
            sub::<S>(d[y][2], d[y][1]),
            sub::<S>(d[y][1], d[y][3]),
        ];
    }
    for x in 0..4 {
        let put = |y: usize, v: S::V| S::store_part(out.add((y * 4 + x) * stride), v, n);
        put(0, sub::<S>(d[0][x], d[2][x]));
        put(1, S::add(d[1][x], d[2][x]));
        put(2, sub::<S>(d[2][x], d[1][x]));
        put(3, sub::<S>(d[1][x], d[3][x]));
    }
}

/// Transforms a block's products back, `A' m A`, and finishes the results.
struct Backward<'a>(&'a Block<'a>, &'a [f32]);

impl Job<f32> for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = f32>>(self) {
        let Backward(block, products) = self;
        let (cout, tiles) = (block.of.cout, block.tiles());
        for tile in 0..tiles {
            let mut out = [std::ptr::null_mut::<f32>(); 4];
            for (i, p) in block.results(tile) {
                out[i] = p;
            }
            let products = products[tile * cout..].as_ptr();
            let mut finite = S::zero();
            let mut c = 0;
            while c < cout {
                let n = S::LANES.min(cout - c);
                let results = match n == S::LANES {
                    true => backward::<S>(products.add(c), S::LANES, tiles * cout),
                    false => backward::<S>(products.add(c), n, tiles * cout),
                };
                for v in results {
                    // Zero times what is not finite is NaN.
                    finite = S::fma(v, S::zero(), finite);
                }
                finish::<S, 4>(block.steps, results, &out, c, n);
                c += n;
            }
            let mut lanes = [0.0; MAX_LANES];
            S::store(lanes.as_mut_ptr(), finite);
            if lanes.iter().any(|v| v.is_nan()) {
                plainly::<S>(block, tile);
            }
        }
    }
}

/// `n` columns of a tile's four results.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn backward<S: Simd<E = f32>>(products: *const f32, n: usize, stride: usize) -> [S::V; 4] {
    let mut lines = [[S::zero(); 4]; 2];
    for x in 0..4 {
        let m = |y: usize| S::load_part(products.add((y * 4 + x) * stride), n);
        let (a, b) = (m(1), m(2));
        lines[0][x] = S::add(S::add(m(0), a), b);
        lines[1][x] = sub::<S>(sub::<S>(a, b), m(3));
    }
    let mut results = [S::zero(); 4];
    for (y, l) in lines.into_iter().enumerate() {
        results[2 * y] = S::add(S::add(l[0], l[1]), l[2]);
        results[2 * y + 1] = sub::<S>(sub::<S>(l[1], l[2]), l[3]);
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
unsafe fn plainly<S: Simd<E = f32>>(block: &Block, tile: usize) {
    let (image, y, x) = block.place(tile);
    for (i, out) in block.results(tile) {
        let (y, x) = (y + i / 2, x + i % 2);
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

impl Kernel for Winograd {
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
            let bytes = PLACES * tiles * (cin + cout) * size_of::<f32>();
            with_buffer(bytes, |buffer| {
                let buffer = bytemuck::cast_slice_mut::<Line, f32>(buffer);
                let (transformed, rest) = buffer.split_at_mut(PLACES * tiles * cin);
                let products = &mut rest[..PLACES * tiles * cout];
                f32::dispatch(Forward(&block, transformed));
                let places = transformed
                    .chunks_exact(tiles * cin)
                    .zip(products.chunks_exact_mut(tiles * cout))
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
                (image * oy + (2 * y).min(oy)) * ox
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
