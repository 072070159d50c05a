//! What TensorFlow computes in several steps, for float16 and bfloat16: each
//! step is rounded, so that the steps decide about the last digit.

use super::*;
use crate::error::Result;
use crate::tensor::DType;

/// Rows shorter than this are summed element by element.
const PACKET: usize = 8;

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
                // The machine epsilons that TensorFlow takes for the two.
                let digits = if self.dtype(x) == DType::F16 { 13 } else { 7 };
                let limit = 2.0 - f64::from(digits) * std::f64::consts::LN_2;
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

    /// Softmax over the last axis, or its logarithm.
    pub(super) fn softmax_in_steps(&mut self, x: ValueId, log: bool) -> Result<ValueId> {
        let last = self.rank(x) - 1;
        let top = self.reduce(Reduce::Max, x, &[last], true)?;
        let x = self.sub(x, top)?;
        let e = self.unary(Unary::Exp, x)?;
        let n = self.dim(x, -1)?;
        let sum = if (1..PACKET).contains(&n) {
            let mut sum = self.slice_axis(e, -1, 0, 1)?;
            for i in 1..n {
                let next = self.slice_axis(e, -1, i, i + 1)?;
                sum = self.add(sum, next)?;
            }
            sum
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
