//! Numbers along the last axes: sorting, searching, transforms, linear algebra.

use super::*;

impl Builder {
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
        self.sort_first(x, descending, all, false)
    }

    /// The first `keep` of [`Builder::sort`], in order or as in TensorFlow's heap.
    pub fn sort_first(
        &mut self,
        x: ValueId,
        descending: bool,
        keep: usize,
        heaped: bool,
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
        let op = Op::Sort {
            descending,
            keep,
            heaped,
        };
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
            return Err(self.defect(format!("can't blend {f} by {i} and {w}")));
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
}
