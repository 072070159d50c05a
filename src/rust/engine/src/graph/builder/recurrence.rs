//! Loops over time.

use super::*;

impl Builder {
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
