//! Padding: a constant, or elements of the tensor again.

use super::elementwise::PARALLEL;
use super::strided::{by_element, Element};
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::{Op, PadMode};
use crate::tensor::{Line, View, ViewMut};

#[derive(Copy, Clone)]
struct Axis {
    size: usize,
    before: usize,
    after: usize,
}

impl Axis {
    fn padded(&self) -> usize {
        self.before + self.size + self.after
    }

    /// Where a position of the output comes from; None is the constant.
    fn source(&self, i: usize, mode: PadMode) -> Option<usize> {
        let (i, n) = (i as isize - self.before as isize, self.size as isize);
        if (0..n).contains(&i) {
            return Some(i as usize);
        }
        let mirrored = |period: isize| {
            let m = i.rem_euclid(period.max(1));
            m.min(period - m - (period == 2 * n) as isize)
        };
        let from = match mode {
            PadMode::Constant => return None,
            PadMode::Edge => i.clamp(0, n - 1),
            // Without the edge again, and with it.
            PadMode::Reflect => mirrored(2 * n - 2),
            PadMode::Symmetric => mirrored(2 * n),
        };
        Some(from.max(0) as usize)
    }
}

struct Padding {
    axes: Vec<Axis>,
    mode: PadMode,
}

/// The kernel of `Pad`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Pad(widths, mode) = req.op else {
        return Err(Error::internal("not a padding"));
    };
    let mut axes: Vec<Axis> = Vec::new();
    for (&size, &(before, after)) in req.ins[0].fact.shape.iter().zip(widths) {
        match axes.last_mut() {
            // An axis without padding only makes the elements of the one before it
            // longer; where they are repeated they must stay whole.
            Some(a)
                if before + after == 0
                    && (*mode == PadMode::Constant || a.before + a.after == 0) =>
            {
                a.size *= size;
                a.before *= size;
                a.after *= size;
            }
            _ => axes.push(Axis {
                size,
                before,
                after,
            }),
        }
    }
    let empty = req.ins[0].fact.numel() == 0 && req.outs[0].numel() > 0;
    if empty && *mode != PadMode::Constant {
        return Err(Error::internal("padding repeats elements of nothing"));
    }
    Ok(Box::new(Padding { axes, mode: *mode }))
}

impl Padding {
    fn walk<T: Element>(&self, axes: &[Axis], src: &[T], dst: &mut [T], value: Option<&T>) {
        let Some((axis, rest)) = axes.split_first() else {
            return dst.clone_from_slice(src);
        };
        if dst.len() == src.len() {
            return dst.clone_from_slice(src);
        }
        if rest.is_empty() {
            let (before, others) = dst.split_at_mut(axis.before);
            let (middle, after) = others.split_at_mut(axis.size);
            middle.clone_from_slice(src);
            let ends = [(0, before), (axis.before + axis.size, after)];
            for (first, end) in ends {
                for (i, d) in (first..).zip(end) {
                    match (axis.source(i, self.mode), value) {
                        (Some(source), _) => d.clone_from(&src[source]),
                        (None, Some(value)) => d.clone_from(value),
                        (None, None) => {}
                    }
                }
            }
            return;
        }
        let (from, to) = (src.len() / axis.size.max(1), dst.len() / axis.padded());
        for (i, d) in dst.chunks_exact_mut(to).enumerate() {
            self.part(axis, rest, i, src, d, from, value);
        }
    }

    /// The `i`-th position of an axis; `from` elements in the input.
    #[allow(clippy::too_many_arguments)]
    fn part<T: Element>(
        &self,
        axis: &Axis,
        rest: &[Axis],
        i: usize,
        src: &[T],
        dst: &mut [T],
        from: usize,
        value: Option<&T>,
    ) {
        match (axis.source(i, self.mode), value) {
            (None, Some(value)) => dst.fill(value.clone()),
            (source, _) => {
                let at = source.unwrap_or(0) * from;
                self.walk(rest, &src[at..][..from], dst, value)
            }
        }
    }

    fn go<T: Element>(&self, src: &[T], dst: &mut [T], value: Option<&T>, par: Par) {
        if dst.is_empty() {
            return;
        }
        // An outermost axis of 1 would leave nothing to split.
        let skip = self
            .axes
            .iter()
            .take_while(|a| a.padded() == 1 && a.size == 1)
            .count();
        match self.axes[skip..].split_first() {
            Some((axis, rest)) if par == Par::Crew && dst.len() >= PARALLEL && !rest.is_empty() => {
                let (from, to) = (src.len() / axis.size.max(1), dst.len() / axis.padded());
                par.pieces(dst, to, |i, d| {
                    self.part(axis, rest, i, src, d, from, value)
                });
            }
            _ => self.walk(&self.axes[skip..], src, dst, value),
        }
    }
}

impl Kernel for Padding {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        by_element!(outs[0].dtype, T => {
            let value = match self.mode {
                PadMode::Constant => T::of(&ins[1]).first(),
                _ => None,
            };
            self.go(T::of(&ins[0]), T::of_mut(&mut outs[0]), value, par)
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{noise, pick, run, same_bits, DTYPES};
    use crate::tensor::{numel, DType, Fact, Tensor};

    fn source(i: usize, before: usize, n: usize, mode: PadMode) -> Option<usize> {
        let mut i = i as isize - before as isize;
        let n = n as isize;
        while !(0..n).contains(&i) {
            i = match mode {
                PadMode::Constant => return None,
                PadMode::Edge => i.clamp(0, n - 1),
                PadMode::Reflect if n == 1 => 0,
                PadMode::Reflect if i < 0 => -i,
                PadMode::Reflect => 2 * n - 2 - i,
                PadMode::Symmetric if i < 0 => -i - 1,
                PadMode::Symmetric => 2 * n - 1 - i,
            };
        }
        Some(i as usize)
    }

    #[test]
    fn agrees_with_plain_indices() {
        type Case = (&'static [usize], &'static [(usize, usize)]);
        let cases: &[Case] = &[
            (&[4], &[(2, 3)]),
            (&[4], &[(0, 0)]),
            (&[1], &[(2, 1)]),
            (&[3], &[(7, 11)]),
            (&[2, 3], &[(1, 0), (0, 2)]),
            (&[1, 5, 6, 3], &[(0, 0), (1, 2), (2, 1), (0, 0)]),
            (&[2, 5, 1, 3], &[(0, 0), (1, 2), (0, 0), (1, 1)]),
            (&[2, 2, 3], &[(0, 0), (0, 0), (2, 0)]),
            (&[1, 200, 150, 3], &[(0, 0), (3, 3), (1, 2), (0, 0)]),
        ];
        for &(from, widths) in cases {
            let to: Vec<usize> = from
                .iter()
                .zip(widths)
                .map(|(n, w)| n + w.0 + w.1)
                .collect();
            for dtype in DTYPES {
                if numel(&to) > 10_000 && dtype != DType::F32 {
                    continue;
                }
                let x = noise(dtype, from, 3);
                let value = noise(dtype, &[1], 9).reshaped([]);
                for mode in [
                    PadMode::Constant,
                    PadMode::Edge,
                    PadMode::Reflect,
                    PadMode::Symmetric,
                ] {
                    let mut at = vec![Some(0)];
                    for a in 0..from.len() {
                        at = at
                            .iter()
                            .flat_map(|&outer| {
                                (0..to[a]).map(move |i| {
                                    let inner = source(i, widths[a].0, from[a], mode);
                                    Some(outer? * from[a] + inner?)
                                })
                            })
                            .collect();
                    }
                    // The constant stands behind the elements.
                    let n = numel(from);
                    let at: Vec<usize> = at.into_iter().map(|i| i.unwrap_or(n)).collect();
                    let mut both = x.to_f64();
                    both.extend(value.to_f64());
                    let op = Op::Pad(widths.to_vec(), mode);
                    let ins: &[&Tensor] = if mode == PadMode::Constant {
                        &[&x, &value]
                    } else {
                        &[&x]
                    };
                    let got = run(&op, ins, &[Fact::new(dtype, &to[..])])
                        .unwrap()
                        .remove(0);
                    let all = run(
                        &Op::Concat(0),
                        &[&x.clone().reshaped([n]), &value.clone().reshaped([1])],
                        &[Fact::new(dtype, [n + 1])],
                    )
                    .unwrap()
                    .remove(0);
                    same_bits(
                        &got,
                        &pick(&all, &to, &at),
                        &format!("{mode:?} {dtype} {from:?}"),
                    );
                }
            }
        }
        let nothing = Tensor::zeros(Fact::f32([0, 2]));
        let op = Op::Pad(vec![(1, 1), (0, 0)], PadMode::Constant);
        let one = Tensor::scalar(DType::F32, 1.0);
        let got = run(&op, &[&nothing, &one], &[Fact::f32([2, 2])]).unwrap();
        assert_eq!(got[0].as_slice::<f32>(), &[1.0; 4]);
        let op = Op::Pad(vec![(1, 1), (0, 0)], PadMode::Edge);
        assert!(run(&op, &[&nothing], &[Fact::f32([2, 2])]).is_err());
    }
}
