//! Convolutions along one axis by Winograd's minimal filtering, F(2, 3): a window
//! is cut into groups of three places, each of which takes four products for two
//! results instead of six. All groups of a result share the transforms, since
//! these add up: one matrix product over groups and channels for each of the four
//! places. Windows with gaps see the places of one remainder only, as a line of
//! their own.
//!
//! What `super::winograd` says of exactness holds here too.

use std::sync::Arc;

use super::epilogue::{Epilogue, Steps};
use super::gemm::{self, with_buffer, Dims, Packed, Rows};
use super::simd::{prefetch, Job, Num, Simd, MAX_LANES};
use super::windows::Windows;
use super::winograd::{
    filter, finish, is_exact, sub, window, BLOCK_BYTES, CHANNELS, CHANNELS_TOGETHER, NORM, RESULTS,
    TILES,
};
use super::{Kernel, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::{ConvAttrs, Op};
use crate::tensor::{DType, Line, View, ViewMut, LINE as LINE_BYTES};

/// Products for the two results of a tile.
const PLACES: usize = 4;

/// Places of the window in a group.
const GROUP: usize = 3;

/// Whether a convolution is computed this way. That must not depend on the
/// number of lines.
pub(super) fn fits(req: &Request, attrs: &ConvAttrs) -> bool {
    let (x, kernel, out) = (req.ins[0].fact, &req.ins[1], &req.outs[0]);
    let &[size, cin, cout] = kernel.fact.shape.as_slice() else {
        return false;
    };
    // Places that fill the last group are products for nothing.
    let products = PLACES * size.div_ceil(GROUP);
    x.dtype == DType::F32
        && attrs.groups == 1
        && attrs.strides == [1]
        && 5 * products <= 4 * 2 * size
        && cin >= CHANNELS
        && cout >= CHANNELS
        && cin + cout >= CHANNELS_TOGETHER
        && out.shape[1] >= RESULTS * attrs.dilation[0]
        && is_exact(req, kernel, NORM)
}

struct WinogradLine {
    batch: usize,
    /// Lengths of the lines.
    input: usize,
    output: usize,
    size: usize,
    dilation: usize,
    before: usize,
    cin: usize,
    cout: usize,
    packed: Arc<Packed>,
    epilogue: Epilogue,
    /// Stands for a pixel in the padding.
    zeros: Vec<f32>,
    /// Tiles of a block.
    tiles: usize,
}

/// Prepares a convolution that [`fits`].
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Conv(attrs, epilogue) = req.op else {
        return Err(Error::internal("not a convolution"));
    };
    let (x, kernel) = (&req.ins[0].fact.shape, &req.ins[1].fact.shape);
    let (size, cin, cout) = (kernel[0], kernel[1], kernel[2]);
    let w = Windows::new(
        x,
        &req.outs[0].shape,
        &[size],
        &attrs.strides,
        &attrs.dilation,
        &attrs.padding,
    );
    let depth = size.div_ceil(GROUP) * cin;
    let len = gemm::packed_len::<f32>(depth, cout);
    let packed = gemm::pack_constant(
        &req.ins[1],
        req.packs,
        "winograd along a line",
        PLACES * len,
        |k: &[f32], out| {
            let transformed = transform_kernel(k, size, cin * cout);
            for (matrix, out) in transformed.chunks(depth * cout).zip(out.chunks_mut(len)) {
                gemm::pack(matrix, (depth, cout), (cout, 1), out, Par::Serial);
            }
        },
    );
    let tiles = BLOCK_BYTES / ((2 * cin + PLACES * cout) * size_of::<f32>());
    Ok(Box::new(WinogradLine {
        batch: w.batch,
        input: w.input[2],
        output: w.output[2],
        size,
        dilation: w.dilation[2],
        before: w.before[2],
        cin,
        cout,
        packed: packed.ok_or_else(|| Error::internal("the kernel is not constant"))?,
        epilogue: Epilogue::new(epilogue, req, 2)?,
        zeros: vec![0.0; cin],
        tiles: tiles.clamp(*TILES.start(), *TILES.end()),
    }))
}

/// The kernel, matrices of the given size, as those of all groups for each place.
fn transform_kernel(kernel: &[f32], size: usize, matrix: usize) -> Vec<f32> {
    let groups = size.div_ceil(GROUP);
    let mut out = vec![0.0; PLACES * groups * matrix];
    for group in 0..groups {
        for at in 0..matrix {
            let k = |i: usize| {
                let place = group * GROUP + i;
                let value = kernel.get(place * matrix + at);
                value.map_or(0.0, |&v| f64::from(v))
            };
            for (place, v) in filter::<4>(k(0), k(1), k(2)).into_iter().enumerate() {
                out[(place * groups + group) * matrix + at] = v as f32;
            }
        }
    }
    out
}

/// Tiles of one line: those of the outputs whose positions have a remainder.
struct Block<'a> {
    of: &'a WinogradLine,
    image: usize,
    remainder: usize,
    first: usize,
    tiles: usize,
    x: *const f32,
    kernel: &'a [f32],
    steps: &'a Steps<f32>,
    out: *mut f32,
}

impl Block<'_> {
    /// The pixel that the first place of the window of result `i` sees, or of as
    /// many places later.
    #[inline(always)]
    fn pixel(&self, i: usize) -> *const f32 {
        let of = self.of;
        let at = (self.remainder + i * of.dilation).wrapping_sub(of.before);
        match at < of.input {
            true => self.x.wrapping_add((self.image * of.input + at) * of.cin),
            false => of.zeros.as_ptr(),
        }
    }

    /// Where result `i` goes; null where there is none.
    #[inline(always)]
    fn result(&self, i: usize) -> *mut f32 {
        let of = self.of;
        let at = self.remainder + i * of.dilation;
        match at < of.output {
            true => self
                .out
                .wrapping_add((self.image * of.output + at) * of.cout),
            false => std::ptr::null_mut(),
        }
    }

    /// Transformed inputs: one for each result and place of the window, but for
    /// those that share one.
    fn inputs(&self) -> usize {
        2 * self.tiles + GROUP * (self.of.size.div_ceil(GROUP) - 1) - 1
    }
}

/// Pixels and tiles between asking for memory and using it: those of a window
/// with gaps are far apart.
const AHEAD: usize = 6;

/// Elements of a line of memory.
const LINE: usize = LINE_BYTES / size_of::<f32>();

/// Copies the pixels of a block's inputs, and those of the last input's tile.
fn collect(block: &Block, out: &mut [f32]) {
    let cin = block.of.cin;
    let first = 2 * block.first;
    for (i, out) in out.chunks_exact_mut(cin).enumerate() {
        let later = block.pixel(first + i + AHEAD);
        (0..cin)
            .step_by(LINE)
            .for_each(|c| prefetch(later.wrapping_add(c)));
        // SAFETY: a pixel has `cin` elements.
        out.copy_from_slice(unsafe { std::slice::from_raw_parts(block.pixel(first + i), cin) });
    }
}

/// What each place makes of the four pixels of a tile, `B' d`: one of them, and
/// another times a factor.
const FORWARD: [(usize, usize, f32); PLACES] =
    [(0, 2, -1.0), (1, 2, 1.0), (2, 1, -1.0), (1, 3, -1.0)];

/// Transforms the pixels of a block for one place: channels, place, pixels and
/// what becomes of them.
struct Forward<'a>(usize, usize, &'a [f32], &'a mut [f32]);

impl Job<f32> for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = f32>>(self) {
        let Forward(cin, place, pixels, out) = self;
        let (a, b, factor) = FORWARD[place];
        let factor = S::splat(factor);
        // Positions follow each other as their pixels do.
        let (a, b) = (pixels[a * cin..].as_ptr(), pixels[b * cin..].as_ptr());
        let mut c = 0;
        while c < out.len() {
            let n = S::LANES.min(out.len() - c);
            let (a, b) = (S::load_part(a.add(c), n), S::load_part(b.add(c), n));
            S::store_part(out.as_mut_ptr().add(c), S::fma(b, factor, a), n);
            c += n;
        }
    }
}

/// The products of one place: rows are tiles, segments groups.
struct Groups {
    left: *const f32,
    cin: usize,
    out: *mut f32,
    cout: usize,
}
// SAFETY: the pointers are read and written as `Rows` says.
unsafe impl Sync for Groups {}

// SAFETY: the left side holds the inputs of all tiles and groups, the output all tiles.
unsafe impl Rows<f32> for Groups {
    fn left(&self, segment: usize, first: usize, pointers: &mut [*const f32]) {
        for (i, p) in pointers.iter_mut().enumerate() {
            let at = 2 * (first + i) + GROUP * segment;
            *p = self.left.wrapping_add(at * self.cin);
        }
    }

    fn out(&self, first: usize, pointers: &mut [*mut f32]) {
        for (i, p) in pointers.iter_mut().enumerate() {
            *p = self.out.wrapping_add((first + i) * self.cout);
        }
    }
}

/// Transforms a block's products back, `A' m`, and finishes the results.
struct Backward<'a>(&'a Block<'a>, &'a [f32]);

impl Job<f32> for Backward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = f32>>(self) {
        let Backward(block, products) = self;
        let cout = block.of.cout;
        for tile in 0..block.tiles {
            if block.of.dilation > 1 {
                for i in [0, 1] {
                    let later = block.result(2 * (block.first + tile + AHEAD) + i);
                    for c in (0..cout).step_by(LINE) {
                        prefetch(later.wrapping_add(c));
                        let steps = block.steps.iter();
                        steps.for_each(|s| s.prefetch(later.wrapping_add(c)));
                    }
                }
            }
            let out = [0, 1].map(|i| block.result(2 * (block.first + tile) + i));
            let mut finite = S::zero();
            let mut c = 0;
            while c < cout {
                let n = S::LANES.min(cout - c);
                let m = |place: usize| {
                    let p = products.as_ptr();
                    S::load_part(p.add((place * block.tiles + tile) * cout + c), n)
                };
                let (a, b) = (m(1), m(2));
                let results = [S::add(S::add(m(0), a), b), sub::<S>(sub::<S>(a, b), m(3))];
                for v in results {
                    // Zero times what is not finite is NaN.
                    finite = S::fma(v, S::zero(), finite);
                }
                finish::<S, 2>(block.steps, results, &out, c, n);
                c += n;
            }
            let mut lanes = [0.0; MAX_LANES];
            S::store(lanes.as_mut_ptr(), finite);
            if lanes.iter().any(|v| v.is_nan()) {
                plainly::<S>(block, 2 * (block.first + tile));
            }
        }
    }
}

/// The two results of a tile in which numbers are not finite.
#[inline(always)]
unsafe fn plainly<S: Simd<E = f32>>(block: &Block, first: usize) {
    let Block { kernel, steps, .. } = block;
    let sizes = (block.of.size, block.of.cin, block.of.cout);
    for i in [first, first + 1] {
        let out = block.result(i);
        if !out.is_null() {
            window::<S>(kernel, sizes, |k| block.pixel(i + k), steps, out);
        }
    }
}

impl WinogradLine {
    /// Tiles of the longest line of an image, whose outputs have one remainder.
    fn line(&self) -> usize {
        self.output.div_ceil(self.dilation).div_ceil(2)
    }

    fn compute(&self, block: &Block) {
        let (cin, cout, tiles) = (self.cin, self.cout, block.tiles);
        let inputs = block.inputs();
        let pixels = (inputs + GROUP) * cin;
        let bytes = (pixels + inputs * cin + PLACES * tiles * cout) * size_of::<f32>();
        with_buffer(bytes, |buffer| {
            let buffer = bytemuck::cast_slice_mut::<Line, f32>(buffer);
            let (pixels, rest) = buffer.split_at_mut(pixels);
            let (transformed, rest) = rest.split_at_mut(inputs * cin);
            collect(block, pixels);
            let products = &mut rest[..PLACES * tiles * cout];
            let dims = Dims {
                rows: tiles,
                cols: cout,
                segments: self.size.div_ceil(GROUP),
                len: cin,
                step: 1,
            };
            let len = gemm::packed_len::<f32>(dims.segments * cin, cout);
            let packed = self.packed.as_slice::<f32>().chunks_exact(len);
            let products_of = products.chunks_exact_mut(tiles * cout);
            for (place, (out, packed)) in products_of.zip(packed).enumerate() {
                f32::dispatch(Forward(cin, place, pixels, transformed));
                let rows = Groups {
                    left: transformed.as_ptr(),
                    cin,
                    out: out.as_mut_ptr(),
                    cout,
                };
                gemm::multiply(&rows, dims, packed, &Steps::none(), Par::Serial, &|_, _| {});
            }
            f32::dispatch(Backward(block, products));
        });
    }
}

impl Kernel for WinogradLine {
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
        let line = self.line();
        let per_line = line.div_ceil(self.tiles);
        let task = |task: usize| {
            let first = task % per_line * self.tiles;
            let at = task / per_line;
            let (image, remainder) = (at / self.dilation, at % self.dilation);
            let block = Block {
                of: self,
                image,
                remainder,
                first,
                tiles: self.tiles.min(line - first),
                x: x.get(),
                kernel: ins[1].as_slice(),
                steps: &steps,
                out: out.get(),
            };
            self.compute(&block);
            let places = (2 * first..2 * (first + block.tiles))
                .map(|i| remainder + i * self.dilation)
                .filter(|&at| at < self.output)
                .map(|at| image * self.output + at);
            let whole = match self.dilation {
                1 => places.clone().min().zip(places.clone().max()),
                _ => None,
            };
            // SAFETY: the rows are those of this block's tiles.
            let finish = |rows| unsafe {
                self.epilogue
                    .finish(out, rows, 0..self.cout, self.cout, ins)
            };
            match whole {
                Some((first, last)) => finish(first..last + 1),
                None => places.for_each(|at| finish(at..at + 1)),
            }
        };
        let tasks = self.batch * self.dilation * per_line;
        par.each(tasks, task);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rng;
    use super::super::winograd::tests::{check, check_infinity, kernel};
    use super::*;

    fn attrs(padding: (usize, usize), dilation: usize) -> ConvAttrs {
        ConvAttrs {
            strides: vec![1],
            padding: vec![padding],
            dilation: vec![dilation],
            groups: 1,
        }
    }

    /// Whole and partial groups, partial registers, gaps, several blocks and lines.
    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(5);
        for (length, size, [cin, cout], padding, dilation) in [
            (40, 3, [24, 24], (1, 1), 1),
            (41, 5, [27, 21], (0, 0), 1),
            (170, 11, [24, 40], (50, 3), 5),
            (1000, 9, [32, 16], (8, 0), 1),
            (90, 6, [100, 50], (1, 2), 2),
            (83, 41, [16, 32], (60, 60), 3),
        ] {
            let k = kernel(&mut rng, &[size], cin, cout);
            check(&mut rng, &[length, cin], &k, &attrs(padding, dilation));
        }
    }

    #[test]
    fn infinity_stays_in_its_windows() {
        let k = kernel(&mut Rng::new(7), &[5], 24, 26);
        check_infinity(&[1, 64, 24], 33 * 24 + 2, &k, attrs((0, 0), 2), 5);
    }
}
