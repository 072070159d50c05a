//! What TensorFlow computes in several steps, for float16 and bfloat16: each
//! step is rounded, so that the steps decide about the last digit.

use super::*;
use crate::error::Result;
use crate::tensor::{numel, DType, Fact};

/// Lanes of a packet. Shorter rows are summed element by element.
const PACKET: usize = 8;

/// Rows of this length have four sums of packets at a time.
const LONG_ROW: usize = 8 * PACKET;

/// Columns shorter than this are summed element by element.
const COLUMN: usize = 16;

/// Sums of more than this are taken at once, in float32: each step is a node of
/// the graph.
const LONGEST: usize = 512;

impl DType {
    pub fn is_half(self) -> bool {
        matches!(self, DType::F16 | DType::BF16)
    }
}

impl Builder {
    /// A function of float16 or bfloat16 in TensorFlow's steps; `None` where it
    /// is one step.
    pub(super) fn unary_in_steps(&mut self, op: Unary, x: ValueId) -> Result<Option<ValueId>> {
        Ok(Some(match op {
            Unary::Sigmoid => {
                let e = self.unary(Unary::Exp, x)?;
                let d = self.add_s(e, 1.0)?;
                let y = self.div(e, d)?;
                let large = self.unary(Unary::IsInf, e)?;
                let one = self.scalar(self.dtype(x), 1.0);
                self.select(large, one, y)?
            }
            Unary::Silu => {
                let s = self.unary(Unary::Sigmoid, x)?;
                self.mul(x, s)?
            }
            Unary::Softplus => {
                // Logarithms of the machine epsilons that TensorFlow takes for the
                // two, 2^-13 and 2^-7, rounded.
                let log = match self.dtype(x) {
                    DType::F16 => -9.007_812_5,
                    _ => -4.843_75,
                };
                let limit = 2.0 + log;
                let e = self.unary(Unary::Exp, x)?;
                let y = self.unary(Unary::Log1p, e)?;
                let low = self.binary_s(Binary::Lt, x, limit)?;
                let y = self.select(low, e, y)?;
                let high = self.binary_s(Binary::Gt, x, -limit)?;
                self.select(high, x, y)?
            }
            Unary::Gelu => {
                // 0.5 x erfc(-x sqrt(0.5)), of which erfc is one step.
                let a = self.mul_s(x, -std::f64::consts::FRAC_1_SQRT_2)?;
                let a = self.cast(a, DType::F32)?;
                let e = self.unary(Unary::Erf, a)?;
                let e = self.unary(Unary::Neg, e)?;
                let e = self.add_s(e, 1.0)?;
                let e = self.cast(e, self.dtype(x))?;
                let h = self.mul_s(x, 0.5)?;
                self.mul(h, e)?
            }
            Unary::GeluTanh => {
                let square = self.unary(Unary::Square, x)?;
                let cube = self.mul(square, x)?;
                let a = self.mul_s(cube, 0.044_715)?;
                let a = self.add(x, a)?;
                let a = self.mul_s(a, (2.0 / std::f64::consts::PI).sqrt())?;
                let t = self.unary(Unary::Tanh, a)?;
                let t = self.add_s(t, 1.0)?;
                let h = self.mul_s(x, 0.5)?;
                self.mul(h, t)?
            }
            Unary::Elu(F(alpha)) => {
                let low = self.exp_less_1(x)?;
                let low = if alpha == 1.0 {
                    low
                } else {
                    self.mul_s(low, alpha)?
                };
                self.where_positive(x, x, low)?
            }
            Unary::Selu => {
                let low = self.exp_less_1(x)?;
                let low = self.mul_s(low, 1.758_099_340_847_376_8)?;
                let high = self.mul_s(x, 1.050_700_987_355_480_5)?;
                self.where_positive(x, high, low)?
            }
            Unary::LeakyRelu(F(slope)) => {
                let low = self.mul_s(x, slope)?;
                self.where_positive(x, x, low)?
            }
            _ => return Ok(None),
        }))
    }

    fn exp_less_1(&mut self, x: ValueId) -> Result<ValueId> {
        let e = self.unary(Unary::Exp, x)?;
        self.add_s(e, -1.0)
    }

    fn where_positive(&mut self, x: ValueId, high: ValueId, low: ValueId) -> Result<ValueId> {
        let positive = self.binary_s(Binary::Gt, x, 0.0)?;
        self.select(positive, high, low)
    }

    /// A sum, a product or the logarithm of a sum of exponentials, rounded as
    /// often as TensorFlow rounds it; `None` where that is once. Axes are sorted.
    pub(super) fn reduce_in_steps(
        &mut self,
        kind: Reduce,
        x: ValueId,
        axes: &[usize],
        keepdims: bool,
    ) -> Result<Option<ValueId>> {
        let Fact { dtype, shape } = self.fact(x).clone();
        let out: Vec<usize> = (0..shape.len())
            .filter(|i| keepdims || !axes.contains(i))
            .map(|i| if axes.contains(&i) { 1 } else { shape[i] })
            .collect();
        let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else {
            return Ok(None);
        };
        let op = match kind {
            Reduce::LogSumExp => {
                let top = self.reduce(Reduce::Max, x, axes, true)?;
                let zero = self.scalar(dtype, 0.0);
                let finite = self.unary(Unary::IsFinite, top)?;
                let top = self.select(finite, top, zero)?;
                let x = self.sub(x, top)?;
                let e = self.unary(Unary::Exp, x)?;
                let sum = self.reduce(Reduce::Sum, e, axes, true)?;
                let sum = self.unary(Unary::Log, sum)?;
                let y = self.add(sum, top)?;
                return self.reshape(y, &out).map(Some);
            }
            // Sums of bfloat16 are kept in float32.
            Reduce::Sum if dtype == DType::F16 => Binary::Add,
            Reduce::Prod => Binary::Mul,
            _ => return Ok(None),
        };
        let (n, inner) = (numel(&shape[first..=last]), numel(&shape[last + 1..]));
        if last - first + 1 != axes.len() || !(2..=LONGEST).contains(&n) {
            return Ok(None);
        }
        let row = inner == 1;
        let short = n < if row { PACKET } else { COLUMN };
        // Columns that fill no packet are summed one by one; where they fill some,
        // it depends on the place in the batch which of them do.
        let simple = short || (op == Binary::Add && !row && inner < PACKET);
        let packed = op == Binary::Add && (row || inner.is_multiple_of(PACKET));
        if !simple && !packed {
            return Ok(None);
        }
        let x = self.reshape(x, &[numel(&shape[..first]), n, inner])?;
        let y = match (simple, row) {
            (true, _) => self.fold_axis(op, x, 1)?,
            (false, true) => self.sum_row(x)?,
            (false, false) => {
                let blocks = n / 4 * 4;
                let y = self.four_sums(x, blocks)?;
                self.add_rest(y, x, blocks)?
            }
        };
        self.reshape(y, &out).map(Some)
    }

    /// Sums over axis 1 of (outer, n, 1), packet by packet.
    fn sum_row(&mut self, x: ValueId) -> Result<ValueId> {
        let (outer, n) = (self.dim(x, 0)?, self.dim(x, 1)?);
        let packets = n / PACKET;
        let whole = self.slice_axis(x, 1, 0, packets * PACKET)?;
        let whole = self.reshape(whole, &[outer, packets, PACKET])?;
        let sum = match n < LONG_ROW {
            true => self.fold_axis(Binary::Add, whole, 1)?,
            false => {
                let blocks = packets / 4 * 4;
                let y = self.four_sums(whole, blocks)?;
                self.add_rest(y, whole, blocks)?
            }
        };
        let sum = self.cast(sum, DType::F32)?;
        let sum = self.reduce(Reduce::Sum, sum, &[2], true)?;
        let sum = self.cast(sum, DType::F16)?;
        if packets * PACKET == n {
            return Ok(sum);
        }
        let rest = self.slice_axis(x, 1, packets * PACKET, n)?;
        let rest = self.fold_axis(Binary::Add, rest, 1)?;
        self.add(rest, sum)
    }

    /// The first `n` along axis 1 of (outer, any, inner), every fourth summed apart.
    fn four_sums(&mut self, x: ValueId, n: usize) -> Result<ValueId> {
        let (outer, inner) = (self.dim(x, 0)?, self.dim(x, 2)?);
        let x = self.slice_axis(x, 1, 0, n)?;
        let x = self.reshape(x, &[outer, n / 4, 4 * inner])?;
        let sums = self.fold_axis(Binary::Add, x, 1)?;
        let sums = self.reshape(sums, &[outer, 4, inner])?;
        self.fold_axis(Binary::Add, sums, 1)
    }

    /// A sum, and what stands along axis 1 from `start` on, one after another.
    fn add_rest(&mut self, sum: ValueId, x: ValueId, start: usize) -> Result<ValueId> {
        let mut sum = sum;
        for i in start..self.dim(x, 1)? {
            let next = self.slice_axis(x, 1, i, i + 1)?;
            sum = self.add(sum, next)?;
        }
        Ok(sum)
    }

    /// Folds the elements along an axis one after another, and keeps the axis.
    fn fold_axis(&mut self, op: Binary, x: ValueId, axis: isize) -> Result<ValueId> {
        let mut y = self.slice_axis(x, axis, 0, 1)?;
        for i in 1..self.dim(x, axis)? {
            let next = self.slice_axis(x, axis, i, i + 1)?;
            y = self.binary(op, y, next)?;
        }
        Ok(y)
    }

    /// Softmax over the last axis, or its logarithm.
    pub(super) fn softmax_in_steps(&mut self, x: ValueId, log: bool) -> Result<ValueId> {
        let last = self.rank(x) - 1;
        let top = self.reduce(Reduce::Max, x, &[last], true)?;
        let x = self.sub(x, top)?;
        let e = self.unary(Unary::Exp, x)?;
        let n = self.dim(x, -1)?;
        let sum = if (1..PACKET).contains(&n) {
            self.fold_axis(Binary::Add, e, -1)?
        } else {
            self.reduce(Reduce::Sum, e, &[last], true)?
        };
        if log {
            let sum = self.unary(Unary::Log, sum)?;
            return self.sub(x, sum);
        }
        let scale = self.unary(Unary::Reciprocal, sum)?;
        self.mul(e, scale)
    }
}
