//! Primitives of text and tables.

use super::*;

impl Builder {
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
            return Err(self.defect(format!("can't hash {given} to {} bins", attrs.bins)));
        }
        let fact = Fact::new(DType::I64, fact.shape.clone());
        Ok(self.push(Op::Hash(attrs), vec![x], fact))
    }

    /// The bin of each element of several int64 or string tensors together (int64).
    pub fn hash_cross(&mut self, xs: &[ValueId], bins: u64) -> Result<ValueId> {
        let shape = match xs {
            [first, ..] if bins > 0 => self.shape(*first),
            _ => return Err(self.defect("nothing to cross")),
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
}
