//! Which rows each stage of a chain reads and makes, band by band.

use std::ops::Range;

/// Rows of an image below an output row: `span` of them from `row * stride -
/// before` on.
#[derive(Copy, Clone, Debug)]
pub(super) struct Reach {
    pub stride: usize,
    pub before: usize,
    pub span: usize,
}

/// Rows of zeros before and after an image's.
pub(super) type Padding = (usize, usize);

impl Reach {
    /// A row is below itself.
    pub const ROW: Reach = Reach {
        stride: 1,
        before: 0,
        span: 1,
    };

    /// The first row that an output row reads.
    fn first(self, row: usize) -> usize {
        (row * self.stride).saturating_sub(self.before)
    }

    /// Rows read for some output rows, one at least, of an image of `height` rows,
    /// and the padding around them.
    fn rows(self, out: &Range<usize>, height: usize) -> (Range<usize>, Padding) {
        let start = out.start * self.stride;
        let end = (out.end - 1) * self.stride + self.span;
        let padding = (
            self.before.saturating_sub(start),
            end.saturating_sub(self.before + height),
        );
        let end = end.saturating_sub(self.before).min(height);
        (self.first(out.start)..end, padding)
    }
}

/// What a stage does for one band. Buffers hold the rows from some row on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub read: Range<usize>,
    pub padding: Padding,
    /// Rows that are made; none if all that are needed are there.
    pub made: Range<usize>,
    /// Rows made before that are still needed: they move to the buffer's start.
    pub kept: Range<usize>,
    /// The row at the buffer's start until then, and from then on.
    pub was: usize,
    pub start: usize,
}

/// The pieces of each band, one a stage, that make `rows` of the last stage's
/// output in bands of `band` rows. `heights` are those of the first image and of
/// each stage's output.
pub(super) fn schedule(
    reach: &[Reach],
    heights: &[usize],
    rows: Range<usize>,
    band: usize,
) -> Vec<Vec<Piece>> {
    // What is held of each stage's output.
    let mut held = vec![0..0; reach.len()];
    let mut bands = vec![];
    for first in rows.clone().step_by(band.max(1)) {
        let mut wanted = first..(first + band.max(1)).min(rows.end);
        let mut pieces = vec![];
        for (j, reach) in reach.iter().enumerate().rev() {
            let have = held[j].clone();
            let made = have.end.max(wanted.start)..wanted.end.max(have.end);
            let kept = wanted.start..have.end.max(wanted.start);
            let height = heights[j];
            let (read, padding) = match made.is_empty() {
                false => reach.rows(&made, height),
                // What a later band reads stays.
                true => (reach.first(made.end).min(height)..0, (0, 0)),
            };
            held[j] = wanted.start..made.end;
            pieces.push(Piece {
                was: have.start,
                start: wanted.start,
                padding,
                made,
                kept,
                read: read.clone(),
            });
            wanted = read;
        }
        pieces.reverse();
        bands.push(pieces);
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_made_once_from_rows_that_are_held() {
        for (stride, before, span) in [(1, 0, 1), (1, 1, 3), (2, 0, 3), (2, 1, 3), (3, 0, 2)] {
            for band in [1, 2, 3, 5, 40] {
                let outer = Reach {
                    stride,
                    before,
                    span,
                };
                let reach = [Reach::ROW, outer, Reach::ROW];
                let height = 17;
                let after = if before > 0 { 1 } else { 0 };
                let out = (height + before + after - span) / stride + 1;
                let heights = [height, height, out, out];
                for rows in [0..out, 2..out, 0..out / 2] {
                    let bands = schedule(&reach, &heights, rows.clone(), band);
                    let mut held = [0..0, 0..0];
                    let mut made = rows.start;
                    for pieces in bands {
                        for (j, piece) in pieces.iter().enumerate() {
                            if piece.made.is_empty() {
                                continue;
                            }
                            if j > 0 {
                                let have: &Range<usize> = &held[j - 1];
                                assert!(have.start <= piece.read.start, "{piece:?} {have:?}");
                                assert!(piece.read.end <= have.end, "{piece:?} {have:?}");
                            }
                            let read = piece.read.len() + piece.padding.0 + piece.padding.1;
                            let r = reach[j];
                            assert_eq!((read - r.span) / r.stride + 1, piece.made.len());
                            if j < 2 {
                                assert!(piece.kept.is_empty() || piece.kept.end == held[j].end);
                                held[j] = piece.start..piece.made.end;
                            } else {
                                assert_eq!(piece.made.start, made);
                                made = piece.made.end;
                            }
                        }
                    }
                    assert_eq!(made, rows.end);
                }
            }
        }
    }
}
