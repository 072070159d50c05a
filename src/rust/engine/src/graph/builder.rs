//! Writes primitives into a graph, checking shapes and dtypes as it goes.

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::*;
use crate::error::{Error, Result};
use crate::host::Foreign;
use crate::memory;
use crate::tensor::{numel, show_shape, DType, Elem, Fact, Shape, Tensor};

/// A graph under construction. Every method that adds a primitive infers its
/// output's fact and fails with [`Error::Lowering`], naming the current layer,
/// when the inputs don't fit.
pub struct Builder {
    pub graph: Graph,
    path: Arc<str>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            graph: Graph::default(),
            path: Arc::from(""),
        }
    }
}

/// The id of a constant made from literal contents.
pub fn content_id(tensor: &Tensor) -> u64 {
    let mut h = DefaultHasher::new();
    tensor.fact().hash(&mut h);
    tensor.bytes().hash(&mut h);
    tensor.strings().hash(&mut h);
    h.finish()
}

/// Shape of two shapes broadcast together, numpy's rule.
pub fn broadcast_shapes(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// The name of a primitive, as messages have it.
fn named(primitive: &impl std::fmt::Debug) -> String {
    let name = format!("{primitive:?}").to_lowercase();
    name.split([' ', '('])
        .next()
        .unwrap_or_default()
        .to_string()
}

impl Builder {
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Sets the layer that following nodes belong to; gives the one before.
    pub fn set_path(&mut self, path: Arc<str>) -> Arc<str> {
        std::mem::replace(&mut self.path, path)
    }

    /// An [`Error::Lowering`] at the current layer.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::Lowering {
            layer: self.path.to_string(),
            message: message.into(),
        }
    }

    /// An [`Error::Call`] at the current layer: what the model asks for can't be run,
    /// whatever the shape of its input.
    pub fn call_error(&self, message: impl Into<String>) -> Error {
        Error::Call {
            layer: self.path.to_string(),
            message: message.into(),
        }
    }

    /// An [`Error::Internal`] at the current layer: no lowering asks for this.
    pub fn defect(&self, message: impl fmt::Display) -> Error {
        Error::internal(format!("layer '{}': {message}", self.path))
    }

    pub fn fact(&self, x: ValueId) -> &Fact {
        self.graph.fact(x)
    }

    pub fn shape(&self, x: ValueId) -> Shape {
        self.fact(x).shape.clone()
    }

    pub fn dtype(&self, x: ValueId) -> DType {
        self.fact(x).dtype
    }

    pub fn rank(&self, x: ValueId) -> usize {
        self.fact(x).rank()
    }

    /// Size of an axis, which may count from the end.
    pub fn dim(&self, x: ValueId, axis: isize) -> Result<usize> {
        let axis = self.axis(axis, self.rank(x))?;
        Ok(self.fact(x).shape[axis])
    }

    /// A possibly negative axis as an index below `rank`.
    pub fn axis(&self, axis: isize, rank: usize) -> Result<usize> {
        let r = rank as isize;
        if axis < -r || axis >= r {
            return Err(self.error(format!("axis {axis} is out of range for rank {rank}")));
        }
        Ok(if axis < 0 { axis + r } else { axis } as usize)
    }

    fn push(&mut self, op: Op, inputs: Vec<ValueId>, fact: Fact) -> ValueId {
        let path = self.path.clone();
        self.graph.push(op, inputs, vec![fact], path)
    }

    /// A new input of the graph.
    pub fn input(&mut self, fact: Fact) -> ValueId {
        let v = self.push(Op::Input(self.graph.inputs.len()), vec![], fact);
        self.graph.inputs.push(v);
        v
    }

    /// A weight, which keeps its identity over all plans of a model.
    pub fn weight(&mut self, weight: &Arc<Const>) -> ValueId {
        let fact = weight.tensor.fact().clone();
        self.push(Op::Const(weight.clone()), vec![], fact)
    }

    /// A literal tensor.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let id = content_id(&tensor);
        self.weight(&Const::new(id, tensor))
    }

    /// A literal of rank 0.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> ValueId {
        self.constant(Tensor::scalar(dtype, value))
    }

    pub fn f32s(&mut self, shape: impl Into<Shape>, values: &[f32]) -> ValueId {
        self.constant(Tensor::from_slice(shape, values))
    }

    pub fn i32s(&mut self, shape: impl Into<Shape>, values: &[i32]) -> ValueId {
        self.constant(Tensor::from_slice(shape, values))
    }

    /// A literal tensor of what `at` gives for each position, in row-major order.
    pub fn generated<T: Elem>(
        &mut self,
        shape: impl Into<Shape>,
        at: impl FnMut(usize) -> T,
    ) -> Result<ValueId> {
        let mut tensor = self.blank(Fact::new(T::DTYPE, shape))?;
        let all = tensor.as_mut::<T>().iter_mut().zip((0..).map(at));
        all.for_each(|(to, value)| *to = value);
        Ok(self.constant(tensor))
    }

    /// As [`Builder::generated`], of bools.
    pub fn generated_bools(
        &mut self,
        shape: impl Into<Shape>,
        mut at: impl FnMut(usize) -> bool,
    ) -> Result<ValueId> {
        let mut tensor = self.blank(Fact::new(DType::Bool, shape))?;
        let all = tensor.bytes_mut().iter_mut().enumerate();
        all.for_each(|(i, to)| *to = at(i) as u8);
        Ok(self.constant(tensor))
    }

    /// Zeros to be written to.
    ///
    /// # Errors
    /// [`Error::Memory`], naming the current layer, where they are too many.
    pub fn blank(&self, fact: Fact) -> Result<Tensor> {
        let shape = show_shape(&fact.shape);
        self.ask(fact.bytes(), &format!("a tensor of shape {shape}"))?;
        Ok(Tensor::zeros(fact))
    }

    /// Whether so much memory can be had for something of the current layer.
    pub fn ask(&self, bytes: usize, what: &str) -> Result<()> {
        memory::ask(bytes, || (self.path.to_string(), what.to_string()))
    }

    /// A tensor of one value.
    pub fn full(&mut self, fact: Fact, value: f64) -> Result<ValueId> {
        let s = self.scalar(fact.dtype, value);
        self.broadcast_to(s, &fact.shape)
    }

    // Elementwise ------------------------------------------------------------

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
            return Err(self.call_error(format!(
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

    // Movement ---------------------------------------------------------------

    pub fn reshape(&mut self, x: ValueId, shape: &[usize]) -> Result<ValueId> {
        let fact = self.fact(x);
        if fact.shape == shape {
            return Ok(x);
        }
        if fact.numel() != numel(shape) {
            return Err(self.error(format!(
                "can't reshape {} to {}",
                show_shape(&fact.shape),
                show_shape(shape)
            )));
        }
        let dtype = fact.dtype;
        Ok(self.push(
            Op::Reshape(shape.to_vec()),
            vec![x],
            Fact::new(dtype, shape),
        ))
    }

    /// A new axis of size 1 before `axis` of the result.
    pub fn expand_dims(&mut self, x: ValueId, axis: isize) -> Result<ValueId> {
        let mut shape = self.shape(x);
        let axis = self.axis(axis, shape.len() + 1)?;
        shape.insert(axis, 1);
        self.reshape(x, &shape)
    }

    /// Drops an axis of size 1.
    pub fn squeeze(&mut self, x: ValueId, axis: isize) -> Result<ValueId> {
        let mut shape = self.shape(x);
        let axis = self.axis(axis, shape.len())?;
        if shape[axis] != 1 {
            return Err(self.error(format!("can't squeeze an axis of size {}", shape[axis])));
        }
        shape.remove(axis);
        self.reshape(x, &shape)
    }

    pub fn transpose(&mut self, x: ValueId, perm: &[usize]) -> Result<ValueId> {
        let fact = self.fact(x);
        let mut seen = vec![false; fact.rank()];
        for &p in perm {
            if p >= seen.len() || std::mem::replace(&mut seen[p], true) {
                return Err(self.error(format!("{perm:?} is not a permutation of the axes")));
            }
        }
        if perm.len() != seen.len() {
            return Err(self.error(format!("{perm:?} is not a permutation of the axes")));
        }
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(x);
        }
        let shape: Shape = perm.iter().map(|&p| fact.shape[p]).collect();
        let fact = Fact::new(fact.dtype, shape);
        Ok(self.push(Op::Transpose(perm.to_vec()), vec![x], fact))
    }

    pub fn broadcast_to(&mut self, x: ValueId, shape: &[usize]) -> Result<ValueId> {
        let fact = self.fact(x);
        if fact.shape == shape {
            return Ok(x);
        }
        if broadcast_shapes(&fact.shape, shape).as_deref() != Some(shape) {
            return Err(self.error(format!(
                "can't broadcast {} to {}",
                show_shape(&fact.shape),
                show_shape(shape)
            )));
        }
        let dtype = fact.dtype;
        let mut full = vec![1; shape.len() - fact.rank()];
        full.extend(&fact.shape);
        let x = self.reshape(x, &full)?;
        if full == shape {
            return Ok(x);
        }
        Ok(self.push(
            Op::Broadcast(shape.to_vec()),
            vec![x],
            Fact::new(dtype, shape),
        ))
    }

    pub fn concat(&mut self, xs: &[ValueId], axis: isize) -> Result<ValueId> {
        let Some(&first) = xs.first() else {
            return Err(self.defect("nothing to concatenate"));
        };
        let mut fact = self.fact(first).clone();
        let axis = self.axis(axis, fact.rank())?;
        for &x in &xs[1..] {
            let f = self.fact(x);
            let fits = f.rank() == fact.rank()
                && f.dtype == fact.dtype
                && (0..f.rank()).all(|i| i == axis || f.shape[i] == fact.shape[i]);
            if !fits {
                return Err(self.error(format!(
                    "can't concatenate {fact} and {f} along axis {axis}"
                )));
            }
            fact.shape[axis] += f.shape[axis];
        }
        if xs.len() == 1 {
            return Ok(first);
        }
        Ok(self.push(Op::Concat(axis), xs.to_vec(), fact))
    }

    /// One [`SliceDim`] per axis.
    pub fn slice(&mut self, x: ValueId, dims: &[SliceDim]) -> Result<ValueId> {
        let fact = self.fact(x);
        if dims.len() != fact.rank() {
            return Err(self.defect("a slice needs one entry per axis"));
        }
        for (d, &size) in dims.iter().zip(&fact.shape) {
            let last = d.start as isize + d.step * d.len.saturating_sub(1) as isize;
            if d.len > 0 && (d.start >= size || last < 0 || last >= size as isize) {
                return Err(self.error(format!(
                    "{} elements from {} on don't fit an axis of size {size}",
                    d.len, d.start
                )));
            }
        }
        let whole = |(d, &size): (&SliceDim, &usize)| {
            d.len == size && d.start == 0 && (d.step == 1 || size == 1)
        };
        if dims.iter().zip(&fact.shape).all(whole) {
            return Ok(x);
        }
        let shape: Shape = dims.iter().map(|d| d.len).collect();
        let fact = Fact::new(fact.dtype, shape);
        Ok(self.push(Op::Slice(dims.to_vec()), vec![x], fact))
    }

    /// Elements `start..end` of one axis.
    pub fn slice_axis(
        &mut self,
        x: ValueId,
        axis: isize,
        start: usize,
        end: usize,
    ) -> Result<ValueId> {
        let shape = self.shape(x);
        let axis = self.axis(axis, shape.len())?;
        let mut dims: Vec<SliceDim> = whole_slices(&shape);
        dims[axis] = SliceDim {
            start,
            step: 1,
            len: end.saturating_sub(start),
        };
        self.slice(x, &dims)
    }

    /// Element `index` of an axis; the axis goes.
    pub fn index_axis(&mut self, x: ValueId, axis: isize, index: usize) -> Result<ValueId> {
        let x = self.slice_axis(x, axis, index, index + 1)?;
        self.squeeze(x, axis)
    }

    /// An axis in reverse order.
    pub fn reverse(&mut self, x: ValueId, axis: isize) -> Result<ValueId> {
        let shape = self.shape(x);
        let axis = self.axis(axis, shape.len())?;
        let mut dims = whole_slices(&shape);
        dims[axis].start = shape[axis].saturating_sub(1);
        dims[axis].step = -1;
        self.slice(x, &dims)
    }

    /// `value` is used by `PadMode::Constant` only.
    pub fn pad(
        &mut self,
        x: ValueId,
        pads: &[(usize, usize)],
        mode: PadMode,
        value: f64,
    ) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        if pads.len() != fact.rank() {
            return Err(self.defect("padding needs one pair per axis"));
        }
        if pads.iter().all(|&p| p == (0, 0)) {
            return Ok(x);
        }
        for (&(before, after), &size) in pads.iter().zip(&fact.shape) {
            let limit = match mode {
                PadMode::Constant => usize::MAX,
                PadMode::Reflect => size.saturating_sub(1),
                PadMode::Symmetric => size,
                PadMode::Edge if size > 0 => usize::MAX,
                PadMode::Edge => 0,
            };
            if before.max(after) > limit {
                return Err(self.error(format!(
                    "can't pad an axis of size {size} by {before} and {after} in mode {}",
                    named(&mode)
                )));
            }
        }
        let shape: Shape = pads
            .iter()
            .zip(&fact.shape)
            .map(|(p, s)| p.0 + s + p.1)
            .collect();
        let mut ins = vec![x];
        if mode == PadMode::Constant {
            ins.push(self.scalar(fact.dtype, value));
        }
        Ok(self.push(
            Op::Pad(pads.to_vec(), mode),
            ins,
            Fact::new(fact.dtype, shape),
        ))
    }

    /// `numpy.take(table, indices, axis)`; the first `batch` axes go together.
    pub fn gather(
        &mut self,
        table: ValueId,
        indices: ValueId,
        axis: usize,
        batch: usize,
    ) -> Result<ValueId> {
        let (t, i) = (self.fact(table).clone(), self.fact(indices).clone());
        if !matches!(i.dtype, DType::I32 | DType::I64) {
            return Err(self.call_error(format!("indices must be integers, not {}", i.dtype)));
        }
        if axis >= t.rank()
            || batch > axis
            || batch > i.rank()
            || t.shape[..batch] != i.shape[..batch]
        {
            return Err(self.error(format!(
                "can't take entries along axis {axis} of {t} at {i}"
            )));
        }
        let mut shape = t.shape[..axis].to_vec();
        shape.extend(&i.shape[batch..]);
        shape.extend(&t.shape[axis + 1..]);
        Ok(self.push(
            Op::Gather { axis, batch },
            vec![table, indices],
            Fact::new(t.dtype, shape),
        ))
    }

    /// `numpy.take_along_axis`; shapes agree but for `axis`.
    pub fn take_along(&mut self, x: ValueId, indices: ValueId, axis: isize) -> Result<ValueId> {
        let (f, i) = (self.fact(x).clone(), self.fact(indices).clone());
        let axis = self.axis(axis, f.rank())?;
        if i.rank() != f.rank() || (0..f.rank()).any(|k| k != axis && f.shape[k] != i.shape[k]) {
            return Err(self.error(format!("can't take values along axis {axis} of {f} at {i}")));
        }
        Ok(self.push(
            Op::TakeAlong { axis },
            vec![x, indices],
            Fact::new(f.dtype, i.shape),
        ))
    }

    /// Rows of `updates` (n, ...) added to (or set in) `base` at `indices` (n, k).
    pub fn scatter(
        &mut self,
        base: ValueId,
        indices: ValueId,
        updates: ValueId,
        add: bool,
    ) -> Result<ValueId> {
        let (b, i, u) = (
            self.fact(base).clone(),
            self.fact(indices).clone(),
            self.fact(updates).clone(),
        );
        let k = i.shape.get(1).copied().unwrap_or(0);
        let fits = i.rank() == 2
            && k <= b.rank()
            && u.dtype == b.dtype
            && u.rank() == b.rank() - k + 1
            && u.shape[0] == i.shape[0]
            && u.shape[1..] == b.shape[k..];
        if !fits {
            return Err(self.error(format!("can't scatter {u} at {i} into {b}")));
        }
        Ok(self.push(Op::Scatter { add }, vec![base, indices, updates], b))
    }

    /// How often each of `0..bins` occurs along the last axis (int32), of an int32
    /// or int64 tensor; whether negative values are an error.
    pub fn count(&mut self, x: ValueId, bins: usize, natural: bool) -> Result<ValueId> {
        let mut fact = self.fact(x).clone();
        match fact.shape.last_mut() {
            Some(last) if matches!(fact.dtype, DType::I32 | DType::I64) => *last = bins,
            _ => return Err(self.error(format!("can't count the values of {fact}"))),
        }
        fact.dtype = DType::I32;
        Ok(self.push(Op::Count { bins, natural }, vec![x], fact))
    }

    // Text -------------------------------------------------------------------

    /// The table's value of each element (int64).
    pub fn lookup(&mut self, x: ValueId, table: &Arc<Table>) -> Result<ValueId> {
        let fact = self.fact(x);
        let wanted = match table.keys {
            Keys::Strings(_) => DType::Str,
            Keys::Ints(_) => DType::I64,
        };
        if fact.dtype != wanted {
            let given = fact.dtype;
            return Err(self.call_error(format!("expected a {wanted} tensor, not {given}")));
        }
        let fact = Fact::new(DType::I64, fact.shape.clone());
        Ok(self.push(Op::Lookup(table.clone()), vec![x], fact))
    }

    /// The bin of each element's text (int64).
    pub fn hash(&mut self, x: ValueId, attrs: HashAttrs) -> Result<ValueId> {
        let fact = self.fact(x);
        if fact.dtype.is_float() || attrs.bins == 0 {
            let given = fact.dtype;
            return Err(self.call_error(format!("can't hash {given} to {} bins", attrs.bins)));
        }
        let fact = Fact::new(DType::I64, fact.shape.clone());
        Ok(self.push(Op::Hash(attrs), vec![x], fact))
    }

    /// The bin of each element of several int64 or string tensors together (int64).
    pub fn hash_cross(&mut self, xs: &[ValueId], bins: u64) -> Result<ValueId> {
        let shape = match xs {
            [first, ..] if bins > 0 => self.shape(*first),
            _ => return Err(self.call_error("nothing to cross")),
        };
        for &x in xs {
            let fact = self.fact(x);
            if fact.shape != shape || !matches!(fact.dtype, DType::I64 | DType::Str) {
                let given = fact.clone();
                return Err(self.error(format!("can't cross {given}")));
            }
        }
        let fact = Fact::new(DType::I64, shape);
        Ok(self.push(Op::HashCross { bins }, xs.to_vec(), fact))
    }

    /// Values of the tokens of each row of strings; see [`Op::Tokenize`].
    pub fn tokenize(
        &mut self,
        x: ValueId,
        tokenizer: &Arc<Tokenizer>,
        output: TokenOutput,
    ) -> Result<ValueId> {
        let mut fact = self.fact(x).clone();
        let (TokenOutput::Values(size) | TokenOutput::Counts(size)) = output;
        match fact.shape.last_mut() {
            Some(last) if fact.dtype == DType::Str => *last = size,
            _ => return Err(self.call_error(format!("can't take the tokens of {fact}"))),
        }
        fact.dtype = DType::I64;
        let op = Op::Tokenize(tokenizer.clone(), output);
        Ok(self.push(op, vec![x], fact))
    }

    /// The same bytes as numbers of another dtype; the last axis grows or shrinks
    /// with the sizes of the dtypes. Parts of complex numbers have it to themselves.
    pub fn bitcast(&mut self, x: ValueId, dtype: DType) -> Result<ValueId> {
        let mut fact = self.fact(x).clone();
        if fact.dtype == DType::Str || dtype == DType::Str {
            return Err(self.call_error(format!("can't view {} tensors as {dtype}", fact.dtype)));
        }
        let (from, to) = (fact.dtype.size(), dtype.size());
        if fact.dtype.part() == Some(dtype) {
            fact.shape.push(2);
        } else if dtype.part() == Some(fact.dtype) && fact.shape.last() == Some(&2) {
            fact.shape.pop();
        } else if from != to {
            match fact.shape.last_mut() {
                Some(last) if (*last * from).is_multiple_of(to) => *last = *last * from / to,
                _ => return Err(self.error(format!("can't view {fact} as {dtype}"))),
            }
        }
        fact.dtype = dtype;
        Ok(self.push(Op::Bitcast(dtype), vec![x], fact))
    }

    /// Linear algebra on matrices; see [`Linalg`] for the operands and results.
    pub fn linalg(&mut self, kind: Linalg, xs: &[ValueId]) -> Result<Vec<ValueId>> {
        let facts: Vec<Fact> = xs.iter().map(|&x| self.fact(x).clone()).collect();
        let bad = |s: &Self| {
            let facts: Vec<String> = facts.iter().map(Fact::to_string).collect();
            s.error(format!(
                "can't compute `{}` of {}",
                named(&kind),
                facts.join(" and ")
            ))
        };
        let first = facts.first().ok_or_else(|| bad(self))?;
        let [lead @ .., m, n] = first.shape.as_slice() else {
            return Err(bad(self));
        };
        let (m, n, dtype) = (*m, *n, first.dtype);
        let fits = matches!(dtype, DType::F32 | DType::F64)
            && match kind {
                Linalg::Qr { .. } | Linalg::Svd { .. } => xs.len() == 1,
                Linalg::Solve | Linalg::SolveTriangular { .. } => {
                    m == n
                        && matches!(&facts[1..], [b] if b.dtype == dtype
                            && b.rank() == first.rank()
                            && b.shape[..=lead.len()] == first.shape[..=lead.len()])
                }
                _ => m == n && xs.len() == 1,
            };
        if !fits {
            return Err(bad(self));
        }
        let k = m.min(n);
        let of = |tail: &[usize]| Fact::new(dtype, [lead, tail].concat());
        let wide = |full: bool, size: usize| if full { size } else { k };
        let outs = match kind {
            Linalg::Cholesky => vec![of(&[n, n])],
            Linalg::Lu => {
                let places = Fact::new(DType::I32, [lead, &[n]].concat());
                vec![of(&[n, n]), places]
            }
            Linalg::Det => vec![of(&[])],
            Linalg::LogDet => vec![of(&[]); 2],
            Linalg::Solve | Linalg::SolveTriangular { .. } => vec![facts[1].clone()],
            Linalg::Qr { full } => vec![of(&[m, wide(full, m)]), of(&[wide(full, m), n])],
            Linalg::Eigh => vec![of(&[n]), of(&[n, n])],
            Linalg::Svd { full } => {
                vec![of(&[m, wide(full, m)]), of(&[k]), of(&[n, wide(full, n)])]
            }
        };
        let count = outs.len() as u32;
        let path = self.path.clone();
        let first = self.graph.push(Op::Linalg(kind), xs.to_vec(), outs, path);
        Ok((0..count).map(|i| ValueId(first.0 + i)).collect())
    }

    /// The first `keep` coefficients of the discrete Fourier transform along
    /// the last axis, as real and imaginary parts; see [`Op::Fft`].
    pub fn fft(
        &mut self,
        real: ValueId,
        imaginary: Option<ValueId>,
        attrs: FftAttrs,
    ) -> Result<(ValueId, ValueId)> {
        let mut fact = self.fact(real).clone();
        if !matches!(fact.dtype, DType::F32 | DType::F64) {
            return Err(self.call_error(format!("can't transform {} tensors", fact.dtype)));
        }
        let fits = imaginary.is_none_or(|i| *self.fact(i) == fact)
            && fact.shape.last().is_some_and(|&n| n > 0 && attrs.keep <= n);
        if !fits {
            return Err(self.error(format!("can't transform {fact}")));
        }
        if let Some(last) = fact.shape.last_mut() {
            *last = attrs.keep;
        }
        let ins = [Some(real), imaginary].into_iter().flatten().collect();
        let path = self.path.clone();
        let outs = vec![fact; 2];
        let v = self.graph.push(Op::Fft(attrs), ins, outs, path);
        Ok((v, ValueId(v.0 + 1)))
    }

    /// Values and int32 indices, sorted along the last axis.
    pub fn sort(&mut self, x: ValueId, descending: bool) -> Result<(ValueId, ValueId)> {
        let all = self.shape(x).last().copied().unwrap_or(0);
        self.sort_first(x, descending, all)
    }

    /// The first `keep` of [`Builder::sort`].
    pub fn sort_first(
        &mut self,
        x: ValueId,
        descending: bool,
        keep: usize,
    ) -> Result<(ValueId, ValueId)> {
        let mut f = self.fact(x).clone();
        match f.shape.last_mut() {
            Some(last) if keep <= *last => *last = keep,
            Some(last) => {
                let message = format!("can't take the first {keep} of {last} elements");
                return Err(self.error(message));
            }
            None => return Err(self.error("can't sort a scalar")),
        }
        let i = Fact::new(DType::I32, f.shape.clone());
        let path = self.path.clone();
        let op = Op::Sort { descending, keep };
        let v = self.graph.push(op, vec![x], vec![f, i], path);
        Ok((v, ValueId(v.0 + 1)))
    }

    /// Elements along an axis as weighted sums of those of `x` (float32): `indices`
    /// and `weights` are (n, k).
    ///
    /// # Panics
    /// While running, where an index is not below the size of the axis.
    pub fn blend(
        &mut self,
        x: ValueId,
        axis: usize,
        indices: ValueId,
        weights: ValueId,
    ) -> Result<ValueId> {
        let (f, i, w) = (self.fact(x), self.fact(indices), self.fact(weights));
        let fits = f.dtype == DType::F32 && i.dtype == DType::I32 && w.dtype == DType::F32;
        if !fits || axis >= f.rank() || i.rank() != 2 || i.shape != w.shape {
            return Err(self.error(format!("can't blend {f} by {i} and {w}")));
        }
        let mut fact = f.clone();
        fact.shape[axis] = i.shape[0];
        Ok(self.push(Op::Blend { axis }, vec![x, indices, weights], fact))
    }

    /// How many of the bounds (n,) each element passes (int32).
    pub fn search(&mut self, x: ValueId, bounds: ValueId, passing: Passing) -> Result<ValueId> {
        let (f, b) = (self.fact(x), self.fact(bounds));
        if b.rank() != 1 || b.dtype != f.dtype || f.dtype == DType::Str || f.dtype.is_complex() {
            return Err(self.error(format!("can't search {f} in {b}")));
        }
        let fact = Fact::new(DType::I32, f.shape.clone());
        Ok(self.push(Op::Search(passing), vec![x, bounds], fact))
    }

    /// Random numbers of a fact, float32 or float64; see [`Op::Random`].
    pub fn random_of(
        &mut self,
        kind: RandomKind,
        stream: u32,
        seed: ValueId,
        parameters: &[ValueId],
        fact: Fact,
    ) -> Result<ValueId> {
        let needed = usize::from(kind == RandomKind::LogGamma);
        let known = |&p: &ValueId| *self.fact(p) == Fact::f32([0; 0]);
        if !matches!(fact.dtype, DType::F32 | DType::F64)
            || *self.fact(seed) != Fact::new(DType::I64, [2])
            || parameters.len() != needed
            || !parameters.iter().all(known)
        {
            return Err(self.defect(format!("can't draw random numbers of {fact}")));
        }
        let inputs = [&[seed], parameters].concat();
        Ok(self.push(Op::Random { kind, stream }, inputs, fact))
    }

    // Reductions ------------------------------------------------------------

    pub fn reduce(
        &mut self,
        kind: Reduce,
        x: ValueId,
        axes: &[usize],
        keepdims: bool,
    ) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        if axes.last().is_some_and(|&a| a >= fact.rank()) {
            return Err(self.defect(format!("can't reduce axes {axes:?} of {fact}")));
        }
        let dtype = match kind {
            Reduce::ArgMax | Reduce::ArgMin => DType::I32,
            Reduce::Any | Reduce::All => {
                if fact.dtype != DType::Bool {
                    return Err(self.defect("any and all need bool"));
                }
                DType::Bool
            }
            _ => fact.dtype,
        };
        let shape: Shape = (0..fact.rank())
            .filter_map(|i| match axes.contains(&i) {
                true => keepdims.then_some(1),
                false => Some(fact.shape[i]),
            })
            .collect();
        if fact.dtype == DType::Str || (kind == Reduce::LogSumExp && !dtype.is_float()) {
            return Err(self.call_error(format!(
                "can't compute `{}` of {} tensors",
                named(&kind),
                fact.dtype
            )));
        }
        if axes.is_empty() && dtype == fact.dtype && kind != Reduce::LogSumExp {
            return Ok(x);
        }
        if dtype.is_half() {
            if let Some(y) = self.reduce_in_steps(kind, x, &axes, keepdims)? {
                return Ok(y);
            }
        }
        Ok(self.push(
            Op::Reduce {
                kind,
                axes,
                keepdims,
            },
            vec![x],
            Fact { dtype, shape },
        ))
    }

    pub fn cumulate(
        &mut self,
        kind: Cumulate,
        x: ValueId,
        axis: isize,
        reverse: bool,
    ) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        let axis = self.axis(axis, fact.rank())?;
        if fact.dtype == DType::Str {
            return Err(self.call_error("can't add up or multiply strings"));
        }
        Ok(self.push(
            Op::Cumulate {
                kind,
                axis,
                reverse,
            },
            vec![x],
            fact,
        ))
    }

    /// Softmax along any one axis.
    pub fn softmax(&mut self, x: ValueId, axis: isize, log: bool) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        if !fact.dtype.is_float() {
            return Err(
                self.call_error(format!("can't compute `softmax` of {} tensors", fact.dtype))
            );
        }
        let axis = self.axis(axis, fact.rank())?;
        let last = fact.rank() - 1;
        if axis == last && fact.dtype.is_half() {
            return self.softmax_in_steps(x, log);
        }
        if axis == last {
            return Ok(self.push(Op::Softmax { log }, vec![x], fact));
        }
        let mut perm: Vec<usize> = (0..=last).collect();
        perm.swap(axis, last);
        let t = self.transpose(x, &perm)?;
        let s = self.softmax(t, -1, log)?;
        self.transpose(s, &perm)
    }

    /// Normalizes over the last axis; see [`Op::LayerNorm`].
    pub fn layer_norm(
        &mut self,
        x: ValueId,
        epsilon: f64,
        center: bool,
        gamma: Option<ValueId>,
        beta: Option<ValueId>,
    ) -> Result<ValueId> {
        let fact = self.fact(x).clone();
        let last = fact.shape.last().copied();
        for v in [gamma, beta].into_iter().flatten() {
            let f = self.fact(v);
            if f.dtype != fact.dtype || f.rank() != 1 || f.shape.first().copied() != last {
                return Err(self.error(format!("can't normalize {fact} with a weight of {f}")));
            }
        }
        let op = Op::LayerNorm {
            epsilon: F(epsilon),
            center,
            gamma: gamma.is_some(),
            beta: beta.is_some(),
        };
        let ins = [Some(x), gamma, beta].into_iter().flatten().collect();
        Ok(self.push(op, ins, fact))
    }

    // Products ---------------------------------------------------------------

    fn no_product(&self, a: &Fact, b: &Fact) -> Error {
        let (a, b) = (a.dtype, b.dtype);
        self.call_error(format!("can't multiply {a} by {b} tensors"))
    }

    /// Whether the elements of two tensors can be multiplied and added up.
    fn check_product(&self, a: &Fact, b: &Fact) -> Result<()> {
        match a.dtype == b.dtype && !matches!(a.dtype, DType::Str | DType::Bool) {
            true => Ok(()),
            false => Err(self.no_product(a, b)),
        }
    }

    /// Matrix product over the last two axes, leading axes broadcast.
    pub fn matmul(&mut self, a: ValueId, b: ValueId, ta: bool, tb: bool) -> Result<ValueId> {
        let (fa, fb) = (self.fact(a).clone(), self.fact(b).clone());
        let bad = |s: &Self| Err(s.error(format!("can't multiply {fa} by {fb}")));
        if fa.dtype != fb.dtype || fa.dtype == DType::Str {
            return Err(self.no_product(&fa, &fb));
        }
        if fa.rank() < 2 || fb.rank() < 2 {
            return bad(self);
        }
        let (la, lb) = (fa.rank() - 2, fb.rank() - 2);
        let pick = |f: &Fact, l: usize, t: bool| {
            if t {
                (f.shape[l + 1], f.shape[l])
            } else {
                (f.shape[l], f.shape[l + 1])
            }
        };
        let ((m, k), (k2, n)) = (pick(&fa, la, ta), pick(&fb, lb, tb));
        if k != k2 {
            return bad(self);
        }
        let Some(lead) = broadcast_shapes(&fa.shape[..la], &fb.shape[..lb]) else {
            return bad(self);
        };
        let widen = |s: &mut Self, v: ValueId, f: &Fact| {
            let mut shape = lead.clone();
            shape.extend(&f.shape[f.rank() - 2..]);
            s.broadcast_to(v, &shape)
        };
        let a = widen(self, a, &fa)?;
        let b = if lb == 0 { b } else { widen(self, b, &fb)? };
        let mut shape = lead.clone();
        shape.extend([m, n]);
        let op = Op::MatMul {
            ta,
            tb,
            epilogue: None,
        };
        Ok(self.push(op, vec![a, b], Fact::new(fa.dtype, shape)))
    }

    /// `x (..., k)` times `w (k, n)`, for x of any rank from 1.
    pub fn dense(&mut self, x: ValueId, w: ValueId) -> Result<ValueId> {
        let xs = self.shape(x);
        let ws = self.shape(w);
        let (Some(&k), 2) = (xs.last(), ws.len()) else {
            return Err(self.error(format!(
                "can't multiply {} by {}",
                show_shape(&xs),
                show_shape(&ws)
            )));
        };
        let rows = numel(&xs[..xs.len() - 1]);
        let flat = self.reshape(x, &[rows, k])?;
        let y = self.matmul(flat, w, false, false)?;
        let mut shape = xs[..xs.len() - 1].to_vec();
        shape.push(ws[1]);
        self.reshape(y, &shape)
    }

    /// Output size of a window over a padded axis; `None` if it does not fit.
    fn windows(
        size: usize,
        pad: (usize, usize),
        window: usize,
        dilation: usize,
        stride: usize,
    ) -> Option<usize> {
        let span = (window.checked_sub(1)?) * dilation + 1;
        Some((size + pad.0 + pad.1).checked_sub(span)? / stride.max(1) + 1)
    }

    /// Convolution; see [`Op::Conv`] for the layouts.
    pub fn conv(&mut self, x: ValueId, kernel: ValueId, attrs: ConvAttrs) -> Result<ValueId> {
        let (fx, fk) = (self.fact(x).clone(), self.fact(kernel).clone());
        let n = attrs.strides.len();
        let fits = fx.rank() == n + 2
            && fk.rank() == n + 2
            && attrs.groups > 0
            && fx.shape[n + 1] == fk.shape[n] * attrs.groups
            && fk.shape[n + 1].is_multiple_of(attrs.groups);
        self.check_product(&fx, &fk)?;
        if !fits {
            return Err(self.error(format!(
                "can't convolve {fx} with a kernel of {fk} in {} groups",
                attrs.groups
            )));
        }
        let channels = fk.shape[n + 1];
        let shape = self.conv_shape(&fx, &fk, &attrs, channels)?;
        if fx.dtype == DType::F16 && n == 3 {
            if let Some(y) = self.conv3_in_steps(x, kernel, &attrs, &shape)? {
                return Ok(y);
            }
        }
        Ok(self.push(
            Op::Conv(attrs, None),
            vec![x, kernel],
            Fact::new(fx.dtype, shape),
        ))
    }

    fn conv_shape(&self, fx: &Fact, fk: &Fact, a: &ConvAttrs, channels: usize) -> Result<Shape> {
        let mut shape = vec![fx.shape[0]];
        for i in 0..a.strides.len() {
            let size = Self::windows(
                fx.shape[i + 1],
                a.padding[i],
                fk.shape[i],
                a.dilation[i],
                a.strides[i],
            );
            shape.push(size.ok_or_else(|| {
                self.error(format!(
                    "a window of {} doesn't fit into {}",
                    show_shape(&fk.shape[..a.strides.len()]),
                    show_shape(&fx.shape)
                ))
            })?);
        }
        shape.push(channels);
        Ok(shape)
    }

    /// Depthwise convolution; see [`Op::DepthwiseConv`]. `attrs.groups` is ignored.
    pub fn depthwise_conv(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        mut attrs: ConvAttrs,
    ) -> Result<ValueId> {
        let (fx, fk) = (self.fact(x).clone(), self.fact(kernel).clone());
        let n = attrs.strides.len();
        self.check_product(&fx, &fk)?;
        if fx.rank() != n + 2 || fk.rank() != n + 2 || fx.shape[n + 1] != fk.shape[n] {
            return Err(self.error(format!(
                "can't convolve {fx} depthwise with a kernel of {fk}"
            )));
        }
        attrs.groups = fk.shape[n];
        let channels = fk.shape[n] * fk.shape[n + 1];
        let shape = self.conv_shape(&fx, &fk, &attrs, channels)?;
        if fx.dtype == DType::F16 && fk.numel() > 0 {
            if let Some(y) = self.depthwise_in_steps(x, kernel, &attrs, &shape)? {
                return Ok(y);
            }
        }
        Ok(self.push(
            Op::DepthwiseConv(attrs, None),
            vec![x, kernel],
            Fact::new(fx.dtype, shape),
        ))
    }

    /// Transposed convolution; see [`Op::ConvTranspose`].
    pub fn conv_transpose(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        attrs: ConvTransposeAttrs,
    ) -> Result<ValueId> {
        let (fx, fk) = (self.fact(x).clone(), self.fact(kernel).clone());
        let n = attrs.strides.len();
        self.check_product(&fx, &fk)?;
        if fx.rank() != n + 2 || fk.rank() != n + 2 || fx.shape[n + 1] != fk.shape[n + 1] {
            return Err(self.error(format!(
                "can't convolve {fx} transposed with a kernel of {fk}"
            )));
        }
        let mut shape = vec![fx.shape[0]];
        shape.extend(&attrs.output);
        shape.push(fk.shape[n]);
        if fx.dtype == DType::F16 {
            if let Some(y) = self.transpose_in_steps(x, kernel, &attrs, &shape)? {
                return Ok(y);
            }
        }
        Ok(self.push(
            Op::ConvTranspose(attrs, None),
            vec![x, kernel],
            Fact::new(fx.dtype, shape),
        ))
    }

    pub fn pool(&mut self, x: ValueId, attrs: PoolAttrs) -> Result<ValueId> {
        let fx = self.fact(x).clone();
        let n = attrs.size.len();
        if fx.rank() != n + 2 {
            return Err(self.defect(format!("can't pool {n} spatial axes of {fx}")));
        }
        if matches!(fx.dtype, DType::Str | DType::Bool) {
            return Err(self.call_error(format!("can't pool {} tensors", fx.dtype)));
        }
        let mut shape = vec![fx.shape[0]];
        for i in 0..n {
            let size = Self::windows(
                fx.shape[i + 1],
                attrs.padding[i],
                attrs.size[i],
                1,
                attrs.strides[i],
            );
            shape.push(size.ok_or_else(|| {
                self.error(format!(
                    "a pool of {} doesn't fit into {}",
                    show_shape(&attrs.size),
                    show_shape(&fx.shape)
                ))
            })?);
        }
        shape.push(fx.shape[n + 1]);
        if fx.dtype == DType::F16 && attrs.kind == PoolKind::Average {
            return self.average_in_steps(x, &attrs, &shape);
        }
        Ok(self.push(Op::Pool(attrs), vec![x], Fact::new(fx.dtype, shape)))
    }

    // Recurrence -------------------------------------------------------------

    /// A fused recurrent layer; gives the output and the last states. See [`Op::Rnn`].
    pub fn rnn(
        &mut self,
        attrs: RnnAttrs,
        projected: ValueId,
        recurrent: ValueId,
        recurrent_bias: Option<ValueId>,
        states: &[ValueId],
        mask: Option<ValueId>,
    ) -> Result<Vec<ValueId>> {
        let (fx, fr) = (self.fact(projected).clone(), self.fact(recurrent).clone());
        let (gates, n_states) = match attrs.cell {
            RnnCell::Lstm => (4, 2),
            RnnCell::Gru { .. } => (3, 1),
            RnnCell::Simple => (1, 1),
        };
        let units = fr.shape[0];
        let fits = fx.rank() == 3
            && fr.shape == [units, gates * units]
            && fx.shape[2] == gates * units
            && states.len() == n_states
            && states
                .iter()
                .all(|&s| self.fact(s).shape == [fx.shape[0], units] && self.dtype(s) == fx.dtype)
            && fr.dtype == fx.dtype
            && recurrent_bias.is_none_or(|b| self.fact(b).shape == [gates * units])
            && mask.is_none_or(|m| *self.fact(m) == Fact::new(DType::Bool, &fx.shape[..2]));
        if !fits
            || attrs.masked != mask.is_some()
            || attrs.recurrent_bias != recurrent_bias.is_some()
        {
            return Err(self.defect(format!(
                "can't run {:?} over {fx} with a recurrent kernel of {fr}",
                attrs.cell
            )));
        }
        let state = Fact::new(fx.dtype, [fx.shape[0], units]);
        let out = match attrs.sequences {
            true => Fact::new(fx.dtype, [fx.shape[0], fx.shape[1], units]),
            false => state.clone(),
        };
        let mut ins = vec![projected, recurrent];
        ins.extend(recurrent_bias);
        ins.extend(states);
        ins.extend(mask);
        let mut outs = vec![out];
        outs.extend(vec![state; n_states]);
        let count = outs.len() as u32;
        let path = self.path.clone();
        let first = self.graph.push(Op::Rnn(attrs), ins, outs, path);
        Ok((0..count).map(|i| ValueId(first.0 + i)).collect())
    }

    /// The likeliest label sequences and their scores; see [`Op::BeamSearch`].
    pub fn beam_search(
        &mut self,
        x: ValueId,
        lengths: ValueId,
        width: usize,
        paths: usize,
    ) -> Result<(ValueId, ValueId)> {
        let (x_fact, n) = (self.fact(x).clone(), self.fact(lengths).clone());
        let [batch, steps, classes] = x_fact.shape[..] else {
            return Err(self.error(format!("can't decode {x_fact}")));
        };
        let float = matches!(x_fact.dtype, DType::F32 | DType::F64);
        if !float || classes == 0 || n != Fact::new(DType::I32, [batch]) || paths > width {
            return Err(self.error(format!("can't decode {x_fact} with lengths of {n}")));
        }
        let outs = vec![
            Fact::new(DType::I32, [paths, batch, steps]),
            Fact::new(x_fact.dtype, [batch, paths]),
        ];
        let path = self.path.clone();
        let op = Op::BeamSearch { width, paths };
        let first = self.graph.push(op, vec![x, lengths], outs, path);
        Ok((first, ValueId(first.0 + 1)))
    }

    /// A general loop; see [`ScanAttrs`]. Gives the last carries, then the stacks.
    pub fn scan(
        &mut self,
        attrs: ScanAttrs,
        sequences: &[ValueId],
        carries: &[ValueId],
        closed: &[ValueId],
    ) -> Result<Vec<ValueId>> {
        let body = attrs.body.clone();
        let ins: Vec<ValueId> = [sequences, carries, closed].concat();
        let mut want = Vec::new();
        for (i, &v) in ins.iter().enumerate() {
            let f = self.fact(v).clone();
            if i < sequences.len() {
                if f.shape.first() != Some(&attrs.length) {
                    return Err(self.defect(format!("a loop of {} steps over {f}", attrs.length)));
                }
                want.push(Fact::new(f.dtype, &f.shape[1..]));
            } else {
                want.push(f);
            }
        }
        let have: Vec<&Fact> = body.inputs.iter().map(|&v| body.fact(v)).collect();
        if have.len() != want.len() || have.iter().zip(&want).any(|(h, w)| *h != w) {
            return Err(self.defect("the inputs of a loop don't fit its body"));
        }
        let mut outs = Vec::new();
        for (i, &v) in body.outputs.iter().enumerate() {
            let mut f = body.fact(v).clone();
            if i < carries.len() {
                if f != *self.fact(carries[i]) {
                    return Err(self.defect(format!(
                        "a loop carries {} but gives {f}",
                        self.fact(carries[i])
                    )));
                }
            } else {
                f.shape.insert(0, attrs.length);
            }
            outs.push(f);
        }
        let count = outs.len() as u32;
        let path = self.path.clone();
        let first = self.graph.push(Op::Scan(attrs), ins, outs, path);
        Ok((0..count).map(|i| ValueId(first.0 + i)).collect())
    }
}

impl Builder {
    /// A call of a function of the caller that gives tensors of these facts.
    pub fn foreign(
        &mut self,
        what: Arc<Foreign>,
        inputs: &[ValueId],
        facts: Vec<Fact>,
    ) -> Vec<ValueId> {
        let count = facts.len() as u32;
        let path = self.path.clone();
        let op = Op::Foreign(what);
        let first = self.graph.push(op, inputs.to_vec(), facts, path);
        (0..count).map(|i| ValueId(first.0 + i)).collect()
    }
}

/// Slices that take all of every axis.
pub fn whole_slices(shape: &[usize]) -> Vec<SliceDim> {
    shape
        .iter()
        .map(|&len| SliceDim {
            start: 0,
            step: 1,
            len,
        })
        .collect()
}
