//! Primitives that move elements: shapes, slices, indices.

use super::*;

impl Builder {
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

    /// The same tensor under another id.
    pub fn another(&mut self, x: ValueId) -> ValueId {
        let fact = self.fact(x).clone();
        self.push(Op::Reshape(fact.shape.clone()), vec![x], fact)
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
            return Err(self.defect(format!("indices must be integers, not {}", i.dtype)));
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
            _ => return Err(self.defect(format!("can't count the values of {fact}"))),
        }
        fact.dtype = DType::I32;
        Ok(self.push(Op::Count { bins, natural }, vec![x], fact))
    }
}
