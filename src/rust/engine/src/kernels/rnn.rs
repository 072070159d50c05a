//! LSTM, GRU and simple recurrent layers over whole sequences. The batch is cut
//! into blocks of rows; each goes through time on its own.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use super::epilogue::Steps;
use super::gemm::{self, with_buffer, Dims, Packed, Strided};
use super::real::{Exact, Fast, Math, Real};
use super::vecmath::{multiversion, Isa};
use super::{convert, Kernel, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::{Op, RnnActivation, RnnAttrs, RnnCell};
use crate::tensor::{Line, View, ViewMut};

/// Rows of a block, at most.
const BLOCK: usize = 48;

/// Prepares `Op::Rnn`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    convert::prepare_num(req, prepare_in::<f32>, prepare_in::<f64>, |_| {
        Err(Error::internal("a recurrent layer of integers"))
    })
}

fn prepare_in<E: Cells>(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Rnn(attrs) = req.op else {
        return Err(Error::internal("not a recurrent layer"));
    };
    let (x, units) = (&req.ins[0].fact.shape, req.ins[1].fact.shape[0]);
    let mut rnn = Rnn::<E> {
        batch: x[0],
        time: x[1],
        units,
        width: x[2],
        attrs: attrs.clone(),
        packed: None,
        elem: PhantomData,
    };
    let layout = match rnn.split() {
        Some(_) => "reset before",
        None => "gemm",
    };
    let size = rnn.packed_size();
    rnn.packed = gemm::pack_constant(&req.ins[1], req.packs, layout, size, |u: &[E], out| {
        rnn.pack(u, out, Par::Serial)
    });
    Ok(Box::new(rnn))
}

struct Rnn<E> {
    batch: usize,
    time: usize,
    units: usize,
    /// Gates times units.
    width: usize,
    attrs: RnnAttrs,
    packed: Option<Arc<Packed>>,
    elem: PhantomData<E>,
}

/// Elements that gates compute with.
trait Cells: Real {
    fn gates(gates: Gates<Self>);
}

impl Cells for f32 {
    fn gates(g: Gates<f32>) {
        gates_f32(g)
    }
}

impl Cells for f64 {
    fn gates(g: Gates<f64>) {
        gates::<f64, Exact>(g)
    }
}

#[inline(always)]
fn gates_f32_body<I: Isa>(g: Gates<f32>) {
    gates::<f32, Fast<I>>(g)
}
multiversion! {
    fn gates_f32(g: Gates<f32>) = gates_f32_body::<_>
}

/// What is computed of one row at one time step once products are there.
enum Part {
    /// z and r of a GRU that resets before the product, and the reset state.
    Reset,
    /// All else: the new states.
    States,
}

struct Gates<'a, E> {
    attrs: &'a RnnAttrs,
    part: Part,
    /// The projected input, and the state times the recurrent kernel, which becomes the gates.
    x: &'a [E],
    z: &'a mut [E],
    bias: Option<&'a [E]>,
    h: &'a mut [E],
    c: &'a mut [E],
}

/// `z = f(z + x)`.
#[inline(always)]
fn activate<E: Real, M: Math<E>>(f: RnnActivation, z: &mut [E], x: &[E]) {
    #[inline(always)]
    fn each<E: Real>(z: &mut [E], x: &[E], f: impl Fn(E) -> E) {
        for (z, x) in z.iter_mut().zip(x) {
            *z = f(*z + *x);
        }
    }
    #[inline(always)]
    fn clip<E: Real>(x: E) -> E {
        let (zero, one) = (E::of(0.0), E::of(1.0));
        let x = if x < zero { zero } else { x };
        if x > one {
            one
        } else {
            x
        }
    }
    match f {
        RnnActivation::Linear => each(z, x, |v| v),
        RnnActivation::Tanh => each(z, x, M::tanh),
        RnnActivation::Sigmoid => each(z, x, M::sigmoid),
        RnnActivation::Relu => each(z, x, |v| if v < E::of(0.0) { E::of(0.0) } else { v }),
        RnnActivation::HardSigmoid => each(z, x, |v| clip(v / E::of(6.0) + E::of(0.5))),
        RnnActivation::HardSigmoidLegacy => each(z, x, |v| clip(E::of(0.2) * v + E::of(0.5))),
    }
}

#[inline(always)]
fn gates<E: Real, M: Math<E>>(g: Gates<E>) {
    let Gates {
        attrs,
        part,
        x,
        z,
        bias,
        h,
        c,
    } = g;
    let units = h.len();
    let (f, recurrent) = (attrs.activation, attrs.recurrent_activation);
    if let Some(bias) = bias {
        for (z, b) in z.iter_mut().zip(bias) {
            *z = *z + *b;
        }
    }
    match attrs.cell {
        RnnCell::Simple => {
            activate::<E, M>(f, z, x);
            h.copy_from_slice(z);
        }
        RnnCell::Lstm => {
            let (xi, rest) = x.split_at(2 * units);
            let (xc, xo) = rest.split_at(units);
            let (zi, rest) = z.split_at_mut(2 * units);
            let (zc, zo) = rest.split_at_mut(units);
            activate::<E, M>(recurrent, zi, xi);
            activate::<E, M>(f, zc, xc);
            activate::<E, M>(recurrent, zo, xo);
            let (i, f_gate) = zi.split_at(units);
            for ((c, (i, f)), g) in c.iter_mut().zip(i.iter().zip(f_gate)).zip(&*zc) {
                *c = *f * *c + *i * *g;
            }
            h.fill(E::of(0.0));
            activate::<E, M>(f, h, c);
            for (h, o) in h.iter_mut().zip(zo) {
                *h = *o * *h;
            }
        }
        RnnCell::Gru { reset_after } => {
            let (xzr, xh) = x.split_at(2 * units);
            let (zr, zh) = z.split_at_mut(2 * units);
            if reset_after || matches!(part, Part::Reset) {
                activate::<E, M>(recurrent, zr, xzr);
                let (_, r) = zr.split_at(units);
                match reset_after {
                    true => {
                        for (n, r) in zh.iter_mut().zip(r) {
                            *n = *r * *n;
                        }
                    }
                    // c is where the reset state goes to be multiplied.
                    false => {
                        for ((c, r), h) in c.iter_mut().zip(r).zip(&*h) {
                            *c = *r * *h;
                        }
                    }
                }
            }
            if matches!(part, Part::States) {
                activate::<E, M>(f, zh, xh);
                for ((h, z), n) in h.iter_mut().zip(&*zr).zip(&*zh) {
                    *h = *z * *h + (E::of(1.0) - *z) * *n;
                }
            }
        }
    }
}

impl<E: Cells> Rnn<E> {
    /// Columns of the first product where a second one follows it.
    fn split(&self) -> Option<usize> {
        match self.attrs.cell {
            RnnCell::Gru { reset_after: false } => Some(2 * self.units),
            _ => None,
        }
    }

    /// Column ranges of the products.
    fn products(&self) -> impl Iterator<Item = Range<usize>> {
        let first = self.split().unwrap_or(self.width);
        [0..first, first..self.width]
            .into_iter()
            .filter(|r| !r.is_empty())
    }

    fn packed_size(&self) -> usize {
        self.products()
            .map(|r| gemm::packed_len::<E>(self.units, r.len()))
            .sum()
    }

    fn pack(&self, u: &[E], mut out: &mut [E], par: Par) {
        for r in self.products() {
            let len = gemm::packed_len::<E>(self.units, r.len());
            let (part, rest) = out.split_at_mut(len);
            let size = (self.units, r.len());
            gemm::pack(&u[r.start..], size, (self.width, 1), part, par);
            out = rest;
        }
    }

    /// Carries a block of rows through time.
    fn block(&self, rows: Range<usize>, packed: &[E], ins: &[View], outs: &Outs<E>) {
        let (units, width, count) = (self.units, self.width, rows.len());
        let lstm = self.attrs.cell == RnnCell::Lstm;
        let x = ins[0].as_slice::<E>();
        let bias = self.attrs.recurrent_bias.then(|| ins[2].as_slice::<E>());
        let states = 2 + self.attrs.recurrent_bias as usize;
        let mask = self
            .attrs
            .masked
            .then(|| ins[ins.len() - 1].as_slice::<u8>());
        let state = rows.start * units..rows.end * units;
        let y_row = match self.attrs.sequences {
            true => self.time * units,
            false => units,
        };
        // SAFETY: the rows of the outputs that belong to this block.
        let y = unsafe { outs.y.part(rows.start * y_row..rows.end * y_row) };
        // SAFETY: as above.
        let h = unsafe { outs.h.part(state.clone()) };
        h.copy_from_slice(&ins[states].as_slice::<E>()[state.clone()]);
        with_buffer(count * (width + units) * size_of::<E>(), |buffer| {
            let (z, rest) = bytemuck::cast_slice_mut(buffer).split_at_mut(count * width);
            let c = match lstm {
                // SAFETY: as above.
                true => unsafe { outs.c.part(state.clone()) },
                false => &mut rest[..count * units],
            };
            if lstm {
                c.copy_from_slice(&ins[states + 1].as_slice::<E>()[state]);
            }
            if !self.attrs.sequences {
                y.fill(E::default());
            }
            for step in 0..self.time {
                let t = match self.attrs.reverse {
                    true => self.time - 1 - step,
                    false => step,
                };
                let kept = |r: usize| mask.is_none_or(|m| m[(rows.start + r) * self.time + t] != 0);
                let mut at = 0;
                for (i, cols) in self.products().enumerate() {
                    let len = gemm::packed_len::<E>(units, cols.len());
                    let left = if i == 0 { &*h } else { &*c };
                    self.product(
                        left,
                        &packed[at..at + len],
                        &mut z[cols.start..],
                        cols.len(),
                    );
                    at += len;
                    for r in (0..count).filter(|&r| kept(r)) {
                        let x = &x[((rows.start + r) * self.time + t) * width..][..width];
                        E::gates(Gates {
                            attrs: &self.attrs,
                            part: match i == 0 && self.split().is_some() {
                                true => Part::Reset,
                                false => Part::States,
                            },
                            x,
                            z: &mut z[r * width..(r + 1) * width],
                            bias,
                            h: &mut h[r * units..(r + 1) * units],
                            c: &mut c[r * units..(r + 1) * units],
                        });
                    }
                }
                for r in 0..count {
                    let h = &h[r * units..(r + 1) * units];
                    let y = &mut y[r * y_row..(r + 1) * y_row];
                    let now = if self.attrs.sequences {
                        step * units
                    } else {
                        0
                    };
                    if kept(r) {
                        y[now..now + units].copy_from_slice(h);
                    } else if self.attrs.zero_masked || step == 0 {
                        y[now..now + units].fill(E::default());
                    } else if self.attrs.sequences {
                        y.copy_within(now - units..now, now);
                    }
                }
            }
        });
    }

    /// The states of a block times a part of the recurrent kernel.
    fn product(&self, left: &[E], packed: &[E], out: &mut [E], cols: usize) {
        let rows = Strided {
            left: left.as_ptr(),
            left_stride: self.units,
            out: out.as_mut_ptr(),
            out_stride: self.width,
        };
        let dims = Dims {
            rows: left.len() / self.units.max(1),
            cols,
            segments: 1,
            len: self.units,
            step: 1,
        };
        gemm::multiply(&rows, dims, packed, &Steps::none(), Par::Serial, &|_, _| {});
    }
}

/// Outputs, written by blocks of rows.
struct Outs<E> {
    y: Shared<E>,
    h: Shared<E>,
    c: Shared<E>,
}

impl<E: Cells> Kernel for Rnn<E> {
    fn scratch(&self) -> usize {
        match self.packed {
            Some(_) => 0,
            None => self.packed_size() * size_of::<E>(),
        }
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        _aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let mut pointers = outs
            .iter_mut()
            .map(|o| Shared(o.as_mut::<E>().as_mut_ptr()));
        let mut next = || pointers.next().unwrap_or(Shared(std::ptr::null_mut()));
        let outs = Outs {
            y: next(),
            h: next(),
            c: next(),
        };
        let packed = match &self.packed {
            Some(packed) => &packed.as_slice::<E>()[..self.packed_size()],
            None => {
                let packed = &mut bytemuck::cast_slice_mut(scratch)[..self.packed_size()];
                self.pack(ins[1].as_slice::<E>(), packed, par);
                packed
            }
        };
        let mut block = BLOCK;
        if par == Par::Crew {
            let share = self.batch.div_ceil(par.threads());
            block = share.next_multiple_of(6).min(BLOCK);
        }
        let block = block.max(1);
        let rows = |i: usize| i * block..self.batch.min((i + 1) * block);
        let blocks = self.batch.div_ceil(block);
        par.each(blocks, |i| self.block(rows(i), packed, ins, &outs));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::tensor::{DType, Tensor};

    fn act(f: RnnActivation, x: f64) -> f64 {
        match f {
            RnnActivation::Linear => x,
            RnnActivation::Tanh => x.tanh(),
            RnnActivation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            RnnActivation::Relu => x.max(0.0),
            RnnActivation::HardSigmoid => (x / 6.0 + 0.5).clamp(0.0, 1.0),
            RnnActivation::HardSigmoidLegacy => (0.2 * x + 0.5).clamp(0.0, 1.0),
        }
    }

    /// Keras' cells and its loop, one row after the other, in f64.
    fn oracle(a: &RnnAttrs, ins: &[Tensor]) -> Vec<Vec<f64>> {
        let (xs, units) = (ins[0].shape().to_vec(), ins[1].shape()[0]);
        let (batch, time, width) = (xs[0], xs[1], xs[2]);
        let v: Vec<Vec<f64>> = ins.iter().map(|t| t.to_f64()).collect();
        let zeros = vec![0.0; width];
        let bias = if a.recurrent_bias { &v[2] } else { &zeros };
        let states = 2 + a.recurrent_bias as usize;
        let (f, rec) = (a.activation, a.recurrent_activation);
        let mut out = vec![vec![]; if a.cell == RnnCell::Lstm { 3 } else { 2 }];
        for b in 0..batch {
            let row = |s: &[f64]| s[b * units..(b + 1) * units].to_vec();
            let mut h = row(&v[states]);
            let mut c = match a.cell {
                RnnCell::Lstm => row(&v[states + 1]),
                _ => vec![],
            };
            let mut output = vec![0.0; units];
            for s in 0..time {
                let t = if a.reverse { time - 1 - s } else { s };
                let kept = !a.masked || v[ins.len() - 1][b * time + t] != 0.0;
                let x = &v[0][(b * time + t) * width..][..width];
                let dot = |h: &[f64], j: usize| -> f64 {
                    (0..units).map(|k| h[k] * v[1][k * width + j]).sum::<f64>() + bias[j]
                };
                let (old_h, old_c) = (h.clone(), c.clone());
                for u in 0..units {
                    let gate = |g: usize| x[g * units + u] + dot(&old_h, g * units + u);
                    match a.cell {
                        RnnCell::Simple => h[u] = act(f, gate(0)),
                        RnnCell::Lstm => {
                            c[u] =
                                act(rec, gate(1)) * old_c[u] + act(rec, gate(0)) * act(f, gate(2));
                            h[u] = act(rec, gate(3)) * act(f, c[u]);
                        }
                        RnnCell::Gru { reset_after } => {
                            let (z, r) = (act(rec, gate(0)), act(rec, gate(1)));
                            let inner = if reset_after {
                                r * dot(&old_h, 2 * units + u)
                            } else {
                                let reset: Vec<f64> = (0..units)
                                    .map(|k| {
                                        let j = units + k;
                                        act(rec, x[j] + dot(&old_h, j)) * old_h[k]
                                    })
                                    .collect();
                                dot(&reset, 2 * units + u)
                            };
                            h[u] = z * old_h[u] + (1.0 - z) * act(f, x[2 * units + u] + inner);
                        }
                    }
                }
                if kept {
                    output = h.clone();
                } else {
                    (h, c) = (old_h, old_c);
                    if a.zero_masked {
                        output.fill(0.0);
                    }
                }
                if a.sequences {
                    out[0].extend(&output);
                }
            }
            if !a.sequences {
                out[0].extend(output);
            }
            out[1].extend(h);
            if a.cell == RnnCell::Lstm {
                out[2].extend(c);
            }
        }
        out
    }

    #[test]
    fn agrees_with_keras_loop() {
        use RnnActivation::*;
        let mut rng = Rng::new(7);
        let cells = [
            RnnCell::Simple,
            RnnCell::Lstm,
            RnnCell::Gru { reset_after: true },
            RnnCell::Gru { reset_after: false },
        ];
        let mut n = 0;
        for cell in cells {
            for (batch, time, units) in [(1, 3, 1), (5, 7, 4), (3, 40, 33), (53, 3, 18)] {
                for bits in 0..16 {
                    n += 1;
                    let attrs = RnnAttrs {
                        cell,
                        activation: [Tanh, Tanh, Relu, Linear][n % 4],
                        recurrent_activation: [Sigmoid, HardSigmoid, HardSigmoidLegacy][n % 3],
                        reverse: bits & 1 > 0,
                        sequences: bits & 2 > 0,
                        zero_masked: bits & 4 > 0,
                        masked: bits & 8 > 0,
                        recurrent_bias: cell == RnnCell::Gru { reset_after: true } && n % 2 > 0,
                    };
                    let gates = match cell {
                        RnnCell::Lstm => 4,
                        RnnCell::Simple => 1,
                        _ => 3,
                    };
                    let dtype = [DType::F32, DType::F32, DType::F64][n % 3];
                    let mut ins = vec![rng.tensor(dtype, vec![batch, time, gates * units])];
                    // Small enough that linear and relu cells stay tame.
                    let scale = 1.0 / units as f64;
                    let u: Vec<f64> = (0..units * gates * units)
                        .map(|_| rng.unit() * scale)
                        .collect();
                    ins.push(of(dtype, vec![units, gates * units], &u));
                    if attrs.recurrent_bias {
                        ins.push(rng.tensor(dtype, vec![gates * units]));
                    }
                    for _ in 0..1 + (cell == RnnCell::Lstm) as usize {
                        ins.push(rng.tensor(dtype, vec![batch, units]));
                    }
                    if attrs.masked {
                        let mask: Vec<bool> =
                            (0..batch * time).map(|_| rng.unit() > -0.4).collect();
                        ins.push(Tensor::bools(vec![batch, time], &mask));
                    }
                    let want = oracle(&attrs, &ins);
                    let mut outs = vec![vec![batch, units]; want.len()];
                    if attrs.sequences {
                        outs[0] = vec![batch, time, units];
                    }
                    let consts: &[usize] = if n % 2 == 0 { &[1] } else { &[] };
                    let what = format!("{batch} {time} {units} {attrs:?}");
                    let got = run_both(&Op::Rnn(attrs), &ins, consts, dtype, &outs);
                    for (got, want) in got.iter().zip(&want) {
                        assert_close(got, want, &what);
                    }
                }
            }
        }
    }

    #[test]
    fn half_precision_keeps_its_mask() {
        let attrs = RnnAttrs {
            cell: RnnCell::Simple,
            activation: RnnActivation::Tanh,
            recurrent_activation: RnnActivation::Linear,
            reverse: false,
            sequences: true,
            zero_masked: true,
            masked: true,
            recurrent_bias: false,
        };
        let mut rng = Rng::new(8);
        let ins = [
            rng.tensor(DType::F16, vec![2, 3, 4]),
            rng.tensor(DType::F16, vec![4, 4]),
            rng.tensor(DType::F16, vec![2, 4]),
            Tensor::bools(vec![2, 3], &[true, false, true, false, true, true]),
        ];
        let want = oracle(&attrs, &ins);
        let outs = [vec![2, 3, 4], vec![2, 4]];
        let got = run_both(&Op::Rnn(attrs), &ins, &[1], DType::F16, &outs);
        assert_close(&got[0], &want[0], "f16");
    }
}
