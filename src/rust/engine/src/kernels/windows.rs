//! Windows over one to three spatial axes, as convolutions and pooling see
//! them: always three, the missing ones in front having length 1.

use super::simd::{Num, Simd};
use super::Par;
use crate::tensor::Shape;

#[derive(Clone, Debug)]
pub(super) struct Windows {
    pub batch: usize,
    /// Spatial sizes of the input, the output and the window.
    pub input: [usize; 3],
    pub output: [usize; 3],
    pub size: [usize; 3],
    pub strides: [usize; 3],
    pub dilation: [usize; 3],
    /// Padding before each axis.
    pub before: [usize; 3],
}

/// Three axes from the last ones, `fill` in front.
pub(super) fn three(axes: &[usize], fill: usize) -> [usize; 3] {
    let mut out = [fill; 3];
    out[3 - axes.len()..].copy_from_slice(axes);
    out
}

impl Windows {
    /// `input` and `output` are channels-last, with batch and channels.
    pub fn new(
        input: &Shape,
        output: &Shape,
        size: &[usize],
        strides: &[usize],
        dilation: &[usize],
        padding: &[(usize, usize)],
    ) -> Self {
        let spatial = |s: &Shape| three(&s[1..s.len() - 1], 1);
        let before: Vec<usize> = padding.iter().map(|p| p.0).collect();
        Windows {
            batch: input[0],
            input: spatial(input),
            output: spatial(output),
            size: three(size, 1),
            strides: three(strides, 1),
            dilation: three(dilation, 1),
            before: three(&before, 0),
        }
    }

    /// Number of windows' places in one image.
    pub fn places(&self) -> usize {
        self.output.iter().product()
    }

    /// The first pixel, within its line, of a window at `place` that covers
    /// positions from `first` on.
    #[inline(always)]
    pub fn first_pixel(&self, place: usize, first: usize) -> usize {
        (place * self.strides[2] + first * self.dilation[2]).wrapping_sub(self.before[2])
    }

    /// Elements of an axis that a window at `place` covers, as positions in
    /// the window: the others are padding.
    pub fn covered(&self, axis: usize, place: usize) -> std::ops::Range<usize> {
        let (size, dilation) = (self.size[axis], self.dilation[axis]);
        let at = place * self.strides[axis];
        let before = self.before[axis];
        if dilation == 1 {
            // The usual case, without divisions.
            let first = before.saturating_sub(at).min(size);
            let end = (self.input[axis] + before).saturating_sub(at).min(size);
            return first..end.max(first);
        }
        let first = before.saturating_sub(at).div_ceil(dilation).min(size);
        let end = (self.input[axis] + before)
            .saturating_sub(at)
            .div_ceil(dilation)
            .min(size);
        first..end.max(first)
    }

    /// Where position `k` of the window at `place` lies on an axis, if it is
    /// not padding.
    #[inline(always)]
    pub fn source(&self, axis: usize, place: usize, k: usize) -> Option<usize> {
        let at =
            (place * self.strides[axis] + k * self.dilation[axis]).wrapping_sub(self.before[axis]);
        (at < self.input[axis]).then_some(at)
    }

    /// The lines of the image under the windows of an output line, as the
    /// pixel they start at, and the lines of the window they meet.
    pub fn lines_under(&self, line: usize, found: &mut Vec<(usize, usize)>) {
        found.clear();
        let [_, oy, _] = self.output;
        let (y, z, n) = (
            line % oy,
            line / oy % self.output[0],
            line / oy / self.output[0],
        );
        for kz in self.covered(0, z) {
            for ky in self.covered(1, y) {
                if let (Some(sz), Some(sy)) = (self.source(0, z, kz), self.source(1, y, ky)) {
                    let line = (n * self.input[0] + sz) * self.input[1] + sy;
                    found.push((line * self.input[2], kz * self.size[1] + ky));
                }
            }
        }
    }
}

/// Work on the channels of some places, block by block.
pub(super) trait Channels<E: Num> {
    /// `B` registers of `n` channels each, from channel `c` on.
    ///
    /// # Safety
    /// The processor has the instructions of `S`; the channels are there.
    unsafe fn block<S: Simd<E = E>, const B: usize>(&self, c: usize, n: usize);

    /// All channels, `WIDE` registers at a time as long as they last.
    ///
    /// # Safety
    /// As [`Channels::block`].
    #[inline(always)]
    unsafe fn all<S: Simd<E = E>, const WIDE: usize>(&self, channels: usize) {
        let mut c = 0;
        while c + WIDE * S::LANES <= channels {
            self.block::<S, WIDE>(c, S::LANES);
            c += WIDE * S::LANES;
        }
        while c + S::LANES <= channels {
            self.block::<S, 1>(c, S::LANES);
            c += S::LANES;
        }
        if c < channels {
            // The last register overlaps the one before, where there is one.
            let n = channels.min(S::LANES);
            self.block::<S, 1>(channels - n, n);
        }
    }
}

/// Does `work` for pieces of an output of whole lines: it gets the first line
/// and the piece.
pub(super) fn for_lines<E: Send>(
    out: &mut [E],
    line: usize,
    par: Par,
    work: impl Fn(usize, &mut [E]) + Sync,
) {
    const PIECE: usize = 1 << 14;
    if line == 0 {
        return;
    }
    let lines = (PIECE / line).max(1);
    par.worth(out.len() > PIECE)
        .pieces(out, lines * line, |i, piece| work(i * lines, piece));
}
