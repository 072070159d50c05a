//! Einsum, lowered to transposes, reductions and one matrix product.

use super::*;
use crate::error::Result;
use crate::tensor::numel;

impl Builder {
    /// `numpy.einsum` of two operands, explicit output, ellipses allowed
    /// (they broadcast and stand for leading axes where the equation puts them).
    pub fn einsum(&mut self, equation: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        let parsed = parse(equation, self.rank(a), self.rank(b));
        let Some((la, lb, lo)) = parsed else {
            return Err(self.error(format!(
                "equation '{equation}' doesn't fit operands of rank {} and {}",
                self.rank(a),
                self.rank(b)
            )));
        };
        let (a, la) = self.diagonal_free(equation, a, la)?;
        let (b, lb) = self.diagonal_free(equation, b, lb)?;
        // Axes of one operand only that the output lacks are summed away first.
        let (a, la) = self.sum_unused(a, la, &lb, &lo)?;
        let (b, lb) = self.sum_unused(b, lb, &la, &lo)?;

        let mut batch = vec![];
        let mut contracted = vec![];
        for &l in &la {
            if lb.contains(&l) {
                if lo.contains(&l) {
                    batch.push(l);
                } else {
                    contracted.push(l);
                }
            }
        }
        let only = |l: &[Label], other: &[Label]| -> Vec<Label> {
            l.iter().filter(|x| !other.contains(x)).copied().collect()
        };
        let (ma, nb) = (only(&la, &lb), only(&lb, &la));

        let size = |s: &Self, l: Label| -> Result<usize> {
            let of = |v: ValueId, ls: &[Label]| {
                ls.iter()
                    .position(|x| *x == l)
                    .map(|i| s.graph.fact(v).shape[i])
            };
            match (of(a, &la), of(b, &lb)) {
                (Some(x), Some(y)) if x == y || y == 1 => Ok(x),
                (Some(1), Some(y)) => Ok(y),
                (Some(x), Some(y)) => Err(s.error(format!(
                    "equation '{equation}' doesn't fit sizes {x} and {y} of one axis"
                ))),
                (x, y) => Ok(x.or(y).unwrap_or(1)),
            }
        };
        let sizes = |s: &Self, ls: &[Label]| -> Result<Vec<usize>> {
            ls.iter().map(|&l| size(s, l)).collect()
        };
        let (sb, sk, sm, sn) = (
            sizes(self, &batch)?,
            sizes(self, &contracted)?,
            sizes(self, &ma)?,
            sizes(self, &nb)?,
        );

        let flat = [numel(&sb), numel(&sm), numel(&sk), numel(&sn)];
        let left = [batch.clone(), ma.clone(), contracted.clone()].concat();
        let left_shape = [sb.clone(), sm.clone(), sk.clone()].concat();
        let right = [batch.clone(), contracted, nb.clone()].concat();
        let right_shape = [sb.clone(), sk, sn.clone()].concat();
        let x = self.arrange(a, &la, &left, &left_shape)?;
        let y = self.arrange(b, &lb, &right, &right_shape)?;
        let product = if batch.is_empty() {
            let x = self.reshape(x, &[flat[1], flat[2]])?;
            let y = self.reshape(y, &[flat[2], flat[3]])?;
            self.matmul(x, y, false, false)?
        } else {
            let x = self.reshape(x, &[flat[0], flat[1], flat[2]])?;
            let y = self.reshape(y, &[flat[0], flat[2], flat[3]])?;
            self.matmul(x, y, false, false)?
        };
        let have = [batch, ma, nb].concat();
        let shape = [sb, sm, sn].concat();
        let out = self.reshape(product, &shape)?;
        let perm: Option<Vec<usize>> = lo
            .iter()
            .map(|l| have.iter().position(|h| h == l))
            .collect();
        match perm {
            Some(p) if p.len() == have.len() => self.transpose(out, &p),
            _ => Err(self.call_error(format!("equation '{equation}' can't be computed"))),
        }
    }

    /// An operand in the order of `want`, broadcast to `shape`.
    fn arrange(
        &mut self,
        x: ValueId,
        have: &[Label],
        want: &[Label],
        shape: &[usize],
    ) -> Result<ValueId> {
        let perm: Vec<usize> = want
            .iter()
            .filter_map(|l| have.iter().position(|h| h == l))
            .collect();
        let x = self.transpose(x, &perm)?;
        self.broadcast_to(x, shape)
    }

    /// A repeated label of one operand takes the diagonal of those axes.
    fn diagonal_free(
        &mut self,
        equation: &str,
        x: ValueId,
        mut labels: Vec<Label>,
    ) -> Result<(ValueId, Vec<Label>)> {
        let mut x = x;
        while let Some((i, j)) = repeated(&labels) {
            let n = self.fact(x).shape[i];
            if self.fact(x).shape[j] != n {
                return Err(self.error(format!(
                    "equation '{equation}' takes a diagonal of unequal axes"
                )));
            }
            // Both axes to the end, flattened, every (n + 1)-th element.
            let rank = labels.len();
            let rest: Vec<usize> = (0..rank).filter(|k| *k != i && *k != j).collect();
            let perm = [rest.clone(), vec![i, j]].concat();
            let t = self.transpose(x, &perm)?;
            let mut shape: Vec<usize> = rest.iter().map(|&k| self.fact(x).shape[k]).collect();
            shape.push(n * n);
            let t = self.reshape(t, &shape)?;
            let mut dims = whole_slices(&shape);
            if let Some(last) = dims.last_mut() {
                *last = SliceDim {
                    start: 0,
                    step: n as isize + 1,
                    len: n,
                };
            }
            let label = labels[i];
            x = self.slice(t, &dims)?;
            labels = rest.iter().map(|&k| labels[k]).collect();
            labels.push(label);
        }
        Ok((x, labels))
    }

    fn sum_unused(
        &mut self,
        x: ValueId,
        labels: Vec<Label>,
        other: &[Label],
        out: &[Label],
    ) -> Result<(ValueId, Vec<Label>)> {
        let unused = |l: &Label| !other.contains(l) && !out.contains(l);
        let axes: Vec<usize> = (0..labels.len()).filter(|&i| unused(&labels[i])).collect();
        if axes.is_empty() {
            return Ok((x, labels));
        }
        let y = self.reduce(Reduce::Sum, x, &axes, false)?;
        Ok((y, labels.into_iter().filter(|l| !unused(l)).collect()))
    }
}

/// A letter, or the n-th axis (from the end) of an ellipsis.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Label {
    Letter(char),
    Ellipsis(usize),
}

fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|i| {
        let j = (i + 1..labels.len()).find(|&j| labels[j] == labels[i])?;
        Some((i, j))
    })
}

type Labels = Vec<Label>;

fn parse(equation: &str, ra: usize, rb: usize) -> Option<(Labels, Labels, Labels)> {
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (ins, out) = equation.split_once("->")?;
    let (a, b) = ins.split_once(',')?;
    let letters = |s: &str| s.replace("...", "").chars().count();
    let covers = |s: &str, rank: usize| match s.contains("...") {
        true => rank.checked_sub(letters(s)),
        false => (letters(s) == rank).then_some(0),
    };
    let (ea, eb) = (covers(a, ra)?, covers(b, rb)?);
    let widest = ea.max(eb);
    let labels = |s: &str, n: usize| -> Option<Labels> {
        let mut out = vec![];
        let mut rest = s;
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("...") {
                out.extend((0..n).rev().map(Label::Ellipsis));
                rest = after;
            } else if c.is_ascii_alphabetic() {
                out.push(Label::Letter(c));
                rest = &rest[1..];
            } else {
                return None;
            }
        }
        Some(out)
    };
    Some((labels(a, ea)?, labels(b, eb)?, labels(out, widest)?))
}
