//! Functions of elements, with the dtypes and shapes that go together.

use super::*;

impl Builder {
    pub fn unary(&mut self, op: Unary, x: ValueId) -> Result<ValueId> {
        let mut fact = self.fact(x).clone();
        match op {
            Unary::IsNan | Unary::IsInf | Unary::IsFinite => fact.dtype = DType::Bool,
            Unary::Not => {
                if fact.dtype.is_float() || fact.dtype == DType::Str {
                    return Err(self.call_error(format!(
                        "can't compute the logical not of {} tensors",
                        fact.dtype
                    )));
                }
            }
            Unary::Neg | Unary::Abs | Unary::Sign | Unary::Square | Unary::Relu => {
                self.check_step(Step::Unary(op, 0), fact.dtype)?;
            }
            Unary::Floor | Unary::Ceil | Unary::Trunc | Unary::Round => {
                if !fact.dtype.is_float() {
                    return Ok(x);
                }
            }
            _ => {
                if !fact.dtype.is_float() {
                    return Err(self.call_error(format!(
                        "can't compute `{}` of {} tensors",
                        named(&op),
                        fact.dtype
                    )));
                }
                if fact.dtype.is_half() {
                    if let Some(y) = self.unary_in_steps(op, x)? {
                        return Ok(y);
                    }
                }
            }
        }
        Ok(self.push(Op::Unary(op), vec![x], fact))
    }

    /// An error where an elementwise step has no meaning for a dtype.
    fn check_step(&self, step: Step, dtype: DType) -> Result<()> {
        let op = match step {
            Step::Unary(op, _) => named(&op),
            Step::Binary(op, ..) => named(&op),
            _ => return Ok(()),
        };
        match step.dtype(|_| Some(dtype)) {
            Some(_) => Ok(()),
            None => Err(self.call_error(format!("can't compute `{op}` of {dtype} tensors"))),
        }
    }

    /// Two tensors of one dtype, broadcast together.
    pub fn binary(&mut self, op: Binary, x: ValueId, y: ValueId) -> Result<ValueId> {
        let (dx, dy) = (self.dtype(x), self.dtype(y));
        if dx != dy {
            return Err(self.defect(format!(
                "can't compute `{}` of {dx} and {dy} tensors",
                named(&op)
            )));
        }
        self.check_step(Step::Binary(op, 0, 1), dx)?;
        let (xs, ys) = (self.shape(x), self.shape(y));
        let Some(shape) = broadcast_shapes(&xs, &ys) else {
            return Err(self.error(format!(
                "shapes {} and {} can't be broadcast together",
                show_shape(&xs),
                show_shape(&ys)
            )));
        };
        let (x, y) = (self.align(x, shape.len())?, self.align(y, shape.len())?);
        let dtype = if op.is_comparison() { DType::Bool } else { dx };
        Ok(self.push(Op::Binary(op), vec![x, y], Fact { dtype, shape }))
    }

    /// Leading axes of size 1 up to `rank`; scalars stay scalars.
    fn align(&mut self, x: ValueId, rank: usize) -> Result<ValueId> {
        let shape = self.shape(x);
        if shape.is_empty() || shape.len() == rank {
            return Ok(x);
        }
        let mut full = vec![1; rank - shape.len()];
        full.extend(shape);
        self.reshape(x, &full)
    }

    /// `condition ? x : y`, broadcast together.
    pub fn select(&mut self, condition: ValueId, x: ValueId, y: ValueId) -> Result<ValueId> {
        let (dc, dx, dy) = (self.dtype(condition), self.dtype(x), self.dtype(y));
        if dc != DType::Bool || dx != dy {
            return Err(self.defect(format!("select by {dc} of {dx} and {dy} tensors")));
        }
        let (xs, ys, cs) = (self.shape(x), self.shape(y), self.shape(condition));
        let shape = broadcast_shapes(&xs, &ys).and_then(|s| broadcast_shapes(&s, &cs));
        let Some(shape) = shape else {
            return Err(self.error(format!(
                "shapes {}, {} and {} can't be broadcast together",
                show_shape(&cs),
                show_shape(&xs),
                show_shape(&ys)
            )));
        };
        let rank = shape.len();
        let ins = vec![
            self.align(condition, rank)?,
            self.align(x, rank)?,
            self.align(y, rank)?,
        ];
        Ok(self.push(Op::Select, ins, Fact { dtype: dx, shape }))
    }

    pub fn cast(&mut self, x: ValueId, dtype: DType) -> Result<ValueId> {
        if self.dtype(x) == dtype {
            return Ok(x);
        }
        let shape = self.shape(x);
        Ok(self.push(Op::Cast(dtype), vec![x], Fact { dtype, shape }))
    }

    pub fn add(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        self.binary(Binary::Add, x, y)
    }
    /// Whether a value is made of constants and weights only.
    pub fn is_constant(&self, x: ValueId) -> bool {
        let node = self.graph.producer(x);
        match node.op {
            Op::Const(_) => true,
            Op::Input(_) => false,
            _ => !node.inputs.is_empty() && node.inputs.iter().all(|&i| self.is_constant(i)),
        }
    }
    pub fn sub(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        self.binary(Binary::Sub, x, y)
    }
    pub fn mul(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        self.binary(Binary::Mul, x, y)
    }
    pub fn div(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        self.binary(Binary::Div, x, y)
    }
    pub fn maximum(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        self.binary(Binary::Max, x, y)
    }
    pub fn minimum(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        self.binary(Binary::Min, x, y)
    }
    pub fn and(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        self.binary(Binary::And, x, y)
    }
    pub fn or(&mut self, x: ValueId, y: ValueId) -> Result<ValueId> {
        self.binary(Binary::Or, x, y)
    }

    /// `op(x, value)` with the value in x's dtype.
    pub fn binary_s(&mut self, op: Binary, x: ValueId, value: f64) -> Result<ValueId> {
        let y = self.scalar(self.dtype(x), value);
        self.binary(op, x, y)
    }
    pub fn add_s(&mut self, x: ValueId, value: f64) -> Result<ValueId> {
        self.binary_s(Binary::Add, x, value)
    }
    pub fn mul_s(&mut self, x: ValueId, value: f64) -> Result<ValueId> {
        self.binary_s(Binary::Mul, x, value)
    }
    pub fn div_s(&mut self, x: ValueId, value: f64) -> Result<ValueId> {
        let dtype = self.dtype(x);
        if dtype.is_half() {
            // TensorFlow multiplies by the rounded reciprocal.
            let y = self.scalar(dtype, value);
            let y = self.unary(Unary::Reciprocal, y)?;
            return self.mul(x, y);
        }
        self.binary_s(Binary::Div, x, value)
    }

    /// `min(max(x, low), high)`; a bound left out does not bind.
    pub fn clip(&mut self, x: ValueId, low: Option<f64>, high: Option<f64>) -> Result<ValueId> {
        let x = match low {
            Some(v) => self.binary_s(Binary::Max, x, v)?,
            None => x,
        };
        match high {
            Some(v) => self.binary_s(Binary::Min, x, v),
            None => Ok(x),
        }
    }
}
