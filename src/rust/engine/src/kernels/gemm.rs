//! Matrix products whose right side is packed and whose left side may lie
//! anywhere: the one engine below dense layers, attention and convolutions.
//!
//! The left side is given as pointers, one for each row and *segment* of the
//! summed axis, so that a convolution reads its windows where they lie. Each
//! element is summed in an order that depends on the length of the summed axis
//! only: neither the number of rows, nor the tiles, nor the threads change a bit.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use super::epilogue::{Step, Steps};
use super::simd::{Job, Num, Simd, MAX_LANES};
use super::{Operand, PackCache, Par};
use crate::tensor::{buffer, lines, Line};

/// Rows of a block: with 256 summed elements its left side is 96 KB.
const BLOCK_ROWS: usize = 96;
/// Columns of a block, at most: with 96 rows its result is 192 KB.
const BLOCK_COLS: usize = 512;
/// Summed elements between two visits to the result.
const DEPTH: usize = 256;
/// Segments between two visits to the result, at most.
const SEGMENTS: usize = 16;
/// Rows of the highest tile.
const MAX_ROWS: usize = 12;
/// All heights of full tiles are multiples of it, or it.
const TILE_ROWS: usize = 6;
/// Products in a block that are worth a task of its own.
const TASK: usize = 1 << 18;

/// Lengths of a product.
#[derive(Copy, Clone, Debug)]
pub(super) struct Dims {
    pub rows: usize,
    pub cols: usize,
    /// The summed axis: segments, and elements of each.
    pub segments: usize,
    pub len: usize,
    /// Distance between a segment's elements on the left side.
    pub step: usize,
}

/// Where the rows of the left side and of the result lie.
///
/// # Safety
/// `left` must give pointers to `(len - 1) * step + 1` readable elements, and
/// `out` pointers to `cols` writable ones, no two rows overlapping.
pub(super) unsafe trait Rows<E>: Sync {
    /// Pointers to segment `segment` of the rows from `first` on.
    fn left(&self, segment: usize, first: usize, pointers: &mut [*const E]);
    /// Pointers to the result's rows from `first` on.
    fn out(&self, first: usize, pointers: &mut [*mut E]);
}

/// Rows at equal distances, of one segment.
pub(super) struct Strided<E> {
    pub left: *const E,
    pub left_stride: usize,
    pub out: *mut E,
    pub out_stride: usize,
}
// SAFETY: the pointers are read and written as `Rows` says.
unsafe impl<E: Sync> Sync for Strided<E> {}

// SAFETY: who makes one gives matrices of the product's size.
unsafe impl<E: Sync> Rows<E> for Strided<E> {
    #[inline(always)]
    fn left(&self, _: usize, first: usize, pointers: &mut [*const E]) {
        for (i, p) in pointers.iter_mut().enumerate() {
            *p = self.left.wrapping_add((first + i) * self.left_stride);
        }
    }
    #[inline(always)]
    fn out(&self, first: usize, pointers: &mut [*mut E]) {
        for (i, p) in pointers.iter_mut().enumerate() {
            *p = self.out.wrapping_add((first + i) * self.out_stride);
        }
    }
}

/// Columns of a panel of the packed right side.
fn panel<E: Num>() -> usize {
    2 * E::lanes()
}

/// Elements of a packed right side of `depth` by `cols`.
pub(super) fn packed_len<E: Num>(depth: usize, cols: usize) -> usize {
    cols.next_multiple_of(panel::<E>()) * depth
}

/// Packs the matrix of `depth` rows and `cols` columns whose elements are at
/// `row * row_stride + col * col_stride`: panels of columns one after the
/// other, each row by row, the last one padded with zeros.
pub(super) fn pack<E: Num>(
    matrix: &[E],
    (depth, cols): (usize, usize),
    (row_stride, col_stride): (usize, usize),
    out: &mut [E],
    par: Par,
) {
    let nr = panel::<E>();
    if depth == 0 || cols == 0 {
        return;
    }
    let panel = |j: usize, panel: &mut [E]| {
        let first = j * nr;
        let n = nr.min(cols - first);
        for (p, row) in panel.chunks_exact_mut(nr).enumerate() {
            let start = p * row_stride + first * col_stride;
            if col_stride == 1 {
                row[..n].copy_from_slice(&matrix[start..start + n]);
            } else {
                for (i, x) in row[..n].iter_mut().enumerate() {
                    *x = matrix[start + i * col_stride];
                }
            }
            row[n..].fill(E::default());
        }
    };
    let out = &mut out[..packed_len::<E>(depth, cols)];
    par.worth(out.len() > TASK).pieces(out, depth * nr, panel);
}

/// A packed constant, made once per model. `pack` fills the elements.
pub(super) fn pack_constant<E: Num>(
    operand: &Operand,
    packs: &PackCache,
    layout: &'static str,
    len: usize,
    pack: impl FnOnce(&[E], &mut [E]),
) -> Option<Arc<Packed>> {
    let constant = operand.constant?;
    Some(packs.get(constant, layout, || {
        let mut packed = Packed(buffer(len * size_of::<E>()));
        let out = &mut bytemuck::cast_slice_mut(&mut packed.0)[..len];
        pack(constant.tensor.as_slice::<E>(), out);
        packed
    }))
}

/// A packed right side.
pub(super) struct Packed(Vec<Line>);

impl Packed {
    pub fn as_slice<E: Num>(&self) -> &[E] {
        bytemuck::cast_slice(&self.0)
    }
}

thread_local! {
    static BUFFERS: Cell<Vec<Vec<Line>>> = const { Cell::new(Vec::new()) };
}

/// Lends a buffer of this thread's, for work whose need of memory depends on the
/// number of threads. A task that starts inside of another gets another.
pub(super) fn with_buffer<T>(bytes: usize, work: impl FnOnce(&mut [Line]) -> T) -> T {
    let mut free = BUFFERS.take();
    let mut lent = free.pop().unwrap_or_default();
    BUFFERS.set(free);
    if lent.len() < lines(bytes) {
        lent = buffer(bytes);
    }
    let out = work(&mut lent);
    let mut free = BUFFERS.take();
    free.push(lent);
    BUFFERS.set(free);
    out
}

/// Multiplies: the result's rows are the left side's rows times the packed
/// right side, finished by `steps`. `done` is called for each block of rows and columns once it is
/// complete.
pub(super) fn multiply<E: Num, R: Rows<E>>(
    rows: &R,
    dims: Dims,
    packed: &[E],
    steps: &Steps<E>,
    par: Par,
    done: &(dyn Fn(Range<usize>, Range<usize>) + Sync),
) {
    let nr = panel::<E>();
    assert!(packed.len() >= packed_len::<E>(dims.segments * dims.len, dims.cols));
    // Blocks of equal height, so that threads with as many have as much to do.
    let row_blocks = dims.rows.div_ceil(BLOCK_ROWS);
    let block = dims.rows.div_ceil(row_blocks.max(1));
    let block = block.next_multiple_of(TILE_ROWS);
    let mut cols = BLOCK_COLS;
    let depth = dims.segments * dims.len;
    if par == Par::Crew && row_blocks < 16 {
        // Few rows: narrower blocks, so that all threads have some.
        let wanted = dims.cols.div_ceil(16usize.div_ceil(row_blocks.max(1)));
        let worth = TASK / (dims.rows.min(block) * depth).max(1);
        cols = cols.min(wanted.max(worth)).next_multiple_of(nr);
    }
    let col_blocks = dims.cols.div_ceil(cols);
    let task = |t: usize| {
        let (r, c) = (t / col_blocks, t % col_blocks);
        let rs = r * block..dims.rows.min((r + 1) * block);
        let cs = c * cols..dims.cols.min((c + 1) * cols);
        // SAFETY: the pointers are good as `Rows` says.
        unsafe { run_block(rows, dims, packed, steps, rs.clone(), cs.clone()) };
        done(rs, cs);
    };
    let tasks = row_blocks * col_blocks;
    let par = par.worth(dims.rows * dims.cols * depth.max(1) > 2 * TASK);
    par.each(tasks, task);
}

/// What the tiles of a block share for one stretch of the summed axis.
struct Stretch<'a, E> {
    /// Pointers to the left side, `rows` for each segment.
    left: &'a [*const E],
    rows: usize,
    segments: usize,
    len: usize,
    step: usize,
    /// The stretch's first row in the first panel, and the panels' distance.
    right: *const E,
    panel_stride: usize,
    out: &'a [*mut E],
    cols: Range<usize>,
    /// There is no result yet, else it is added to.
    first: bool,
    /// What is done to results: nothing, unless the stretch is the last.
    steps: &'a [Step<E>],
}

/// Makes `n` pointers of an array that was not initialised.
#[inline(always)]
fn pointers<P: Copy>(array: &mut [MaybeUninit<P>], n: usize, null: P) -> &mut [P] {
    let part = &mut array[..n];
    for p in part.iter_mut() {
        p.write(null);
    }
    // SAFETY: all of the part was just written.
    unsafe { &mut *(part as *mut [MaybeUninit<P>] as *mut [P]) }
}

impl<E: Copy> Job<E> for Stretch<'_, E> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = E>>(self) {
        run_stretch::<S>(&self)
    }
}

/// Computes a block of the result; its columns start at a panel.
unsafe fn run_block<E: Num, R: Rows<E>>(
    left_side: &R,
    dims: Dims,
    packed: &[E],
    steps: &Steps<E>,
    row_range: Range<usize>,
    col_range: Range<usize>,
) {
    let Dims {
        segments,
        len,
        step,
        ..
    } = dims;
    let nr = panel::<E>();
    let first_row = row_range.start;
    let rows = row_range.len();
    // Either some segments at once, or a part of one.
    let (count, part) = if len > DEPTH + DEPTH / 4 {
        (1, len.div_ceil(len.div_ceil(DEPTH + DEPTH / 4)))
    } else {
        ((DEPTH / len.max(1)).clamp(1, SEGMENTS), len)
    };
    let mut out = [const { MaybeUninit::uninit() }; BLOCK_ROWS];
    let out = pointers(&mut out, rows, std::ptr::null_mut());
    left_side.out(first_row, out);
    let mut left = [const { MaybeUninit::uninit() }; BLOCK_ROWS * SEGMENTS];

    let panel_stride = segments * len * nr;
    let right = packed.as_ptr().add(col_range.start / nr * panel_stride);
    let (mut segment, mut at) = (0, 0);
    loop {
        let count = count.min(segments - segment);
        let left = pointers(&mut left, count * rows, std::ptr::null());
        for s in 0..count {
            let row = &mut left[s * rows..(s + 1) * rows];
            left_side.left(segment + s, first_row, row);
            for p in row {
                *p = p.wrapping_add(at * step);
            }
        }
        let done = segment * len + at;
        let stretch = part.min(len - at);
        let last = segment + count >= segments && at + stretch >= len;
        E::dispatch(Stretch {
            left,
            rows,
            segments: count,
            len: stretch,
            step,
            right: right.add(done * nr),
            panel_stride,
            out,
            cols: col_range.clone(),
            first: done == 0,
            steps: if last { steps } else { &[] },
        });
        at += part;
        if at >= len {
            at = 0;
            segment += count;
        }
        if segment >= segments {
            break;
        }
    }
}

#[inline(always)]
unsafe fn run_stretch<S: Simd>(s: &Stretch<S::E>) {
    let panels = s.cols.len().div_ceil(2 * S::LANES);
    // Few rows take more columns at once, so that enough sums are under way.
    match s.rows {
        1 => return sweep::<S, 1, 4>(s, panels),
        2 => return sweep::<S, 2, 2>(s, panels),
        3 => return sweep::<S, 3, 2>(s, panels),
        _ => {}
    }
    for panel in 0..panels {
        if s.cols.len() - panel * 2 * S::LANES <= S::LANES {
            rows::<S, 1>(s, panel);
        } else {
            rows::<S, 2>(s, panel);
        }
    }
}

/// All rows times one panel, of which `W` registers are used.
#[inline(always)]
unsafe fn rows<S: Simd, const W: usize>(s: &Stretch<S::E>, panel: usize) {
    // One register a row: more rows, so that enough sums are under way.
    let most = if W == 1 { MAX_ROWS } else { S::ROWS };
    let mut row = 0;
    while row < s.rows {
        let left = s.rows - row;
        // A rest too small to be fast shares with the tile before it.
        let rows = if left > most && left < most + 4 {
            left.div_ceil(2)
        } else {
            left.min(most)
        };
        match rows {
            1 => tile::<S, 1, 1, W>(s, row, panel),
            2 => tile::<S, 2, 1, W>(s, row, panel),
            3 => tile::<S, 3, 1, W>(s, row, panel),
            4 => tile::<S, 4, 1, W>(s, row, panel),
            5 => tile::<S, 5, 1, W>(s, row, panel),
            6 => tile::<S, 6, 1, W>(s, row, panel),
            rows if W == 1 || S::ROWS == MAX_ROWS => match rows {
                7 => tile::<S, 7, 1, W>(s, row, panel),
                8 => tile::<S, 8, 1, W>(s, row, panel),
                9 => tile::<S, 9, 1, W>(s, row, panel),
                10 => tile::<S, 10, 1, W>(s, row, panel),
                11 => tile::<S, 11, 1, W>(s, row, panel),
                _ => tile::<S, 12, 1, W>(s, row, panel),
            },
            _ => {}
        }
        row += rows;
    }
}

/// The only `R` rows times all panels, `P` full panels at once.
#[inline(always)]
unsafe fn sweep<S: Simd, const R: usize, const P: usize>(s: &Stretch<S::E>, panels: usize) {
    let full = s.cols.len() / (2 * S::LANES) / P * P;
    for panel in (0..full).step_by(P) {
        tile::<S, R, P, 2>(s, 0, panel);
    }
    for panel in full..panels {
        match s.cols.len() - panel * 2 * S::LANES <= S::LANES {
            true => tile::<S, R, 1, 1>(s, 0, panel),
            false => tile::<S, R, 1, 2>(s, 0, panel),
        }
    }
}

/// `R` rows times `P` panels, of which `W` registers are used: 2 if `P > 1`.
/// All but the last panel must be full, and the last if `P > 1`.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
unsafe fn tile<S: Simd, const R: usize, const P: usize, const W: usize>(
    s: &Stretch<S::E>,
    row: usize,
    panel: usize,
) {
    let nr = 2 * S::LANES;
    let mut acc = [[[S::zero(); W]; P]; R];
    let mut right = s.right.add(panel * s.panel_stride);
    let mut left = s.left.as_ptr().add(row);
    for _ in 0..s.segments {
        let rows: [*const S::E; R] = left.cast::<[*const S::E; R]>().read();
        let mut k = 0;
        for _ in 0..s.len {
            for j in 0..P {
                let mut b = [S::zero(); W];
                for h in 0..W {
                    b[h] = S::load(right.add(j * s.panel_stride + h * S::LANES));
                }
                for i in 0..R {
                    let a = S::splat(*rows[i].add(k));
                    for h in 0..W {
                        acc[i][j][h] = S::fma(a, b[h], acc[i][j][h]);
                    }
                }
            }
            right = right.add(nr);
            k += s.step;
        }
        left = left.add(s.rows);
    }
    let col = panel * nr;
    let valid = s.cols.len() - col;
    let mut out = [std::ptr::null_mut::<S::E>(); R];
    for i in 0..R {
        out[i] = (*s.out.as_ptr().add(row + i)).add(s.cols.start + col);
    }
    if valid >= nr {
        if !s.first {
            for i in 0..R {
                for j in 0..P {
                    for h in 0..W {
                        let p = out[i].add(j * nr + h * S::LANES);
                        acc[i][j][h] = S::add(S::load(p), acc[i][j][h]);
                    }
                }
            }
        }
        for step in s.steps {
            for j in 0..P {
                for h in 0..W {
                    let at = j * nr + h * S::LANES;
                    let columns = (s.cols.start + col + at, S::LANES);
                    let column = step.column::<S>(columns.0, S::LANES);
                    for i in 0..R {
                        acc[i][j][h] =
                            step.apply::<S>(acc[i][j][h], column, out[i].add(at), columns);
                    }
                }
            }
        }
        for i in 0..R {
            for j in 0..P {
                for h in 0..W {
                    S::store(out[i].add(j * nr + h * S::LANES), acc[i][j][h]);
                }
            }
        }
        return;
    }
    // The last panel may be wider than the result. Its sums go through memory
    // here, since loops over registers that are not unrolled would keep them
    // there all the time.
    let mut sums = [MaybeUninit::<S::E>::uninit(); MAX_ROWS * 2 * MAX_LANES];
    let sums = sums.as_mut_ptr().cast::<S::E>();
    for i in 0..R {
        for h in 0..W {
            S::store(sums.add(i * nr + h * S::LANES), acc[i][0][h]);
        }
    }
    for i in 0..R {
        let mut done = 0;
        while done < valid {
            let n = S::LANES.min(valid - done);
            let p = out[i].add(done);
            let mut v = S::load(sums.add(i * nr + done));
            if !s.first {
                v = S::add(S::load_part(p, n), v);
            }
            for step in s.steps {
                let first = s.cols.start + col + done;
                let column = step.column::<S>(first, n);
                v = step.apply::<S>(v, column, p, (first, n));
            }
            S::store_part(p, v, n);
            done += n;
        }
    }
}
