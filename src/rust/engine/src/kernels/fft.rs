//! Discrete Fourier transforms of any length, in float64: mixed radices, and
//! Bluestein's convolution for lengths with large prime factors.

use std::f64::consts::PI;
use std::ops::{Add, Mul, Sub};

use super::elementwise::PARALLEL;
use super::vecmath::multiversion;
use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::{FftAttrs, Op};
use crate::tensor::{DType, Line, View, ViewMut};

/// Prime factors up to this one are radices.
const LARGEST_RADIX: usize = 31;

/// Rows that are transformed side by side.
const LANES: usize = 4;

/// A complex number of each row.
#[derive(Copy, Clone, Default)]
struct C([f64; LANES], [f64; LANES]);

/// A complex number that is the same for all rows.
#[derive(Copy, Clone, Default)]
struct Factor(f64, f64);

#[inline(always)]
fn lanes(f: impl Fn(usize) -> f64) -> [f64; LANES] {
    std::array::from_fn(f)
}

impl Add for C {
    type Output = C;
    #[inline(always)]
    fn add(self, o: C) -> C {
        C(lanes(|i| self.0[i] + o.0[i]), lanes(|i| self.1[i] + o.1[i]))
    }
}
impl Sub for C {
    type Output = C;
    #[inline(always)]
    fn sub(self, o: C) -> C {
        C(lanes(|i| self.0[i] - o.0[i]), lanes(|i| self.1[i] - o.1[i]))
    }
}
impl Mul<Factor> for C {
    type Output = C;
    #[inline(always)]
    fn mul(self, o: Factor) -> C {
        C(
            lanes(|i| self.0[i] * o.0 - self.1[i] * o.1),
            lanes(|i| self.0[i] * o.1 + self.1[i] * o.0),
        )
    }
}

impl C {
    #[inline(always)]
    fn conj(self) -> C {
        C(self.0, lanes(|i| -self.1[i]))
    }
}

impl Factor {
    /// `exp(-2 pi i k / n)`.
    fn root(k: usize, n: usize) -> Factor {
        let (sin, cos) = (-2.0 * PI * (k % n) as f64 / n as f64).sin_cos();
        Factor(cos, sin)
    }
}

/// The transform of one length.
struct Transform {
    n: usize,
    radices: Vec<usize>,
    /// `exp(-2 pi i k / n)` for each k.
    roots: Vec<Factor>,
    chirp: Option<Box<Chirp>>,
}

/// Bluestein: a transform as a convolution with a chirp, done by transforms of a
/// power of 2.
struct Chirp {
    inner: Transform,
    /// `exp(-pi i k^2 / n)` for each k.
    values: Vec<Factor>,
    /// The transform of the conjugated chirp, wrapped around, over its length.
    filter: Vec<Factor>,
}

impl Transform {
    fn new(n: usize) -> Transform {
        let mut radices = vec![];
        let mut rest = n;
        for p in std::iter::once(4).chain(2..=LARGEST_RADIX) {
            while rest.is_multiple_of(p) && rest > 1 {
                radices.push(p);
                rest /= p;
            }
        }
        let chirp = (rest > 1).then(|| Box::new(Chirp::new(n)));
        let roots = match chirp {
            Some(_) => vec![],
            None => (0..n).map(|k| Factor::root(k, n)).collect(),
        };
        Transform {
            n,
            radices,
            roots,
            chirp,
        }
    }

    /// Transforms `x` into `y`; `space` is as long as [`Transform::space`] says.
    fn run(&self, x: &[C], y: &mut [C], space: &mut [C]) {
        match &self.chirp {
            Some(chirp) => chirp.run(x, y, space),
            None => step(self, x, 1, y, &self.radices),
        }
    }

    fn space(&self) -> usize {
        self.chirp.as_ref().map_or(0, |c| 2 * c.inner.n)
    }

    #[inline(always)]
    fn two(&self, y: &mut [C], m: usize, stride: usize) {
        let (low, high) = y.split_at_mut(m);
        for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
            let t = *b * self.roots[k * stride];
            *b = *a - t;
            *a = *a + t;
        }
    }

    #[inline(always)]
    fn four(&self, y: &mut [C], m: usize, stride: usize) {
        for k in 0..m {
            let w = |q: usize| self.roots[q * k * stride];
            let (a, b) = (y[k], y[k + m] * w(1));
            let (c, d) = (y[k + 2 * m] * w(2), y[k + 3 * m] * w(3));
            let (even, odd) = (a + c, b + d);
            let (even2, odd2) = (a - c, b - d);
            // -i times odd2
            let turned = C(odd2.1, lanes(|i| -odd2.0[i]));
            y[k] = even + odd;
            y[k + m] = even2 + turned;
            y[k + 2 * m] = even - odd;
            y[k + 3 * m] = even2 - turned;
        }
    }

    #[inline(always)]
    fn any(&self, y: &mut [C], m: usize, p: usize, stride: usize) {
        let mut terms = [C::default(); LARGEST_RADIX];
        for k in 0..m {
            for (q, t) in terms[..p].iter_mut().enumerate() {
                *t = y[k + q * m] * self.roots[q * k * stride];
            }
            for r in 0..p {
                let mut sum = terms[0];
                let step = r * m * stride;
                let mut at = 0;
                for &t in &terms[1..p] {
                    at = (at + step) % self.n;
                    sum = sum + t * self.roots[at];
                }
                y[k + r * m] = sum;
            }
        }
    }
}

#[inline(always)]
fn step_body(t: &Transform, x: &[C], stride: usize, y: &mut [C], radices: &[usize]) {
    let Some((&p, rest)) = radices.split_first() else {
        y[0] = x[0];
        return;
    };
    let m = y.len() / p;
    for (q, part) in y.chunks_exact_mut(m).enumerate() {
        match rest.is_empty() {
            true => part[0] = x[q * stride],
            false => step(t, &x[q * stride..], stride * p, part, rest),
        }
    }
    match p {
        2 => t.two(y, m, stride),
        4 => t.four(y, m, stride),
        p => t.any(y, m, p, stride),
    }
}
multiversion! {
    /// Every `stride`-th element of `x`, transformed into `y`.
    fn step(t: &Transform, x: &[C], stride: usize, y: &mut [C], radices: &[usize]) = step_body
}

impl Chirp {
    fn new(n: usize) -> Chirp {
        let inner = Transform::new((2 * n - 1).next_power_of_two());
        let values: Vec<Factor> = (0..n)
            .map(|k| Factor::root(((k as u128 * k as u128) % (2 * n as u128)) as usize, 2 * n))
            .collect();
        let size = inner.n;
        let mut wrapped = vec![C::default(); size];
        for (k, v) in values.iter().enumerate() {
            wrapped[k] = C([v.0 / size as f64; LANES], [-v.1 / size as f64; LANES]);
            wrapped[(size - k) % size] = wrapped[k];
        }
        let mut filter = vec![C::default(); size];
        inner.run(&wrapped, &mut filter, &mut []);
        let filter = filter.iter().map(|f| Factor(f.0[0], f.1[0])).collect();
        Chirp {
            inner,
            values,
            filter,
        }
    }

    fn run(&self, x: &[C], y: &mut [C], space: &mut [C]) {
        let (a, b) = space.split_at_mut(self.inner.n);
        a.fill(C::default());
        for ((a, &x), &v) in a.iter_mut().zip(x).zip(&self.values) {
            *a = x * v;
        }
        self.inner.run(a, b, &mut []);
        // The inverse transform is the conjugate of the conjugate's transform.
        for (b, &f) in b.iter_mut().zip(&self.filter) {
            *b = (*b * f).conj();
        }
        self.inner.run(b, a, &mut []);
        for ((y, a), &v) in y.iter_mut().zip(a).zip(&self.values) {
            *y = a.conj() * v;
        }
    }
}

struct Fft {
    attrs: FftAttrs,
    n: usize,
    /// Of the whole length, or of half of it for real input of even length.
    transform: Transform,
    halved: bool,
    /// `exp(-2 pi i k / n)`, to join the halves.
    joints: Vec<Factor>,
}

/// The kernel of `Fft`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Fft(attrs) = *req.op else {
        return Err(Error::internal("not a Fourier transform"));
    };
    let n = req.ins[0].fact.shape.last().copied().unwrap_or(1);
    let halved = req.ins.len() == 1 && n.is_multiple_of(2);
    let joints = match halved {
        true => (0..=n / 2).map(|k| Factor::root(k, n)).collect(),
        false => vec![],
    };
    Ok(Box::new(Fft {
        attrs,
        n,
        transform: Transform::new(if halved { n / 2 } else { n }),
        halved,
        joints,
    }))
}

/// A float of the tensors.
trait Real: Copy + Send + Sync {
    fn wide(self) -> f64;
    fn narrow(v: f64) -> Self;
}
impl Real for f32 {
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn narrow(v: f64) -> f32 {
        v as f32
    }
}
impl Real for f64 {
    fn wide(self) -> f64 {
        self
    }
    fn narrow(v: f64) -> f64 {
        v
    }
}

/// The memory one task works in.
struct Work {
    x: Vec<C>,
    y: Vec<C>,
    space: Vec<C>,
}

impl Fft {
    fn work(&self) -> Work {
        let n = self.transform.n;
        Work {
            x: vec![C::default(); n],
            y: vec![C::default(); n],
            space: vec![C::default(); self.transform.space()],
        }
    }

    /// Up to [`LANES`] rows: the inverse swaps the parts, which turns the exponent's
    /// sign.
    fn rows<R: Real>(&self, re: &[R], given: Option<&[R]>, to: (&mut [R], &mut [R]), w: &mut Work) {
        let (n, inverse, keep) = (self.n, self.attrs.inverse, self.attrs.keep);
        let count = re.len() / n.max(1);
        let of = |x: &[R], k: usize| lanes(|i| x[i.min(count - 1) * n + k].wide());
        for (k, x) in w.x.iter_mut().enumerate() {
            *x = match (self.halved, given) {
                (true, _) => C(of(re, 2 * k), of(re, 2 * k + 1)),
                (false, None) => C(of(re, k), [0.0; LANES]),
                (false, Some(im)) if inverse => C(of(im, k), of(re, k)),
                (false, Some(im)) => C(of(re, k), of(im, k)),
            };
        }
        self.transform.run(&w.x, &mut w.y, &mut w.space);
        for k in 0..keep {
            let v = match self.halved {
                true if k > n / 2 => self.joined(&w.y, n - k).conj(),
                true => self.joined(&w.y, k),
                false => w.y[k],
            };
            let v = match (inverse, given.is_some()) {
                (true, true) => C(v.1, v.0),
                // Of real input the exponent's sign turns the imaginary part's.
                (true, false) => v.conj(),
                (false, _) => v,
            };
            for i in 0..count {
                to.0[i * keep + k] = R::narrow(v.0[i]);
                to.1[i * keep + k] = R::narrow(v.1[i]);
            }
        }
    }

    /// The k-th coefficient of real rows from those of their even and odd halves.
    fn joined(&self, y: &[C], k: usize) -> C {
        let m = y.len();
        let (a, b) = (y[k % m], y[(m - k) % m].conj());
        let (even, odd) = (a + b, a - b);
        even * Factor(0.5, 0.0) + odd * Factor(0.0, -0.5) * self.joints[k]
    }

    fn go<R: Real>(&self, re: &[R], im: Option<&[R]>, to: (&mut [R], &mut [R]), par: Par) {
        let (n, keep) = (self.n, self.attrs.keep);
        if keep == 0 {
            return;
        }
        let part = |i: usize| {
            let range = i * LANES * n..((i + 1) * LANES * n).min(re.len());
            (&re[range.clone()], im.map(|im| &im[range]))
        };
        let group = LANES * keep;
        let par = par.worth(re.len() >= PARALLEL / 8);
        let groups = to.0.chunks_mut(group).zip(to.1.chunks_mut(group));
        let mut groups: Vec<_> = groups.collect();
        let together = groups.len().div_ceil(8 * par.threads()).max(1);
        par.pieces(&mut groups, together, |first, groups| {
            let mut w = self.work();
            for (i, to) in groups.iter_mut().enumerate() {
                let (re, im) = part(first * together + i);
                self.rows(re, im, (to.0, to.1), &mut w);
            }
        });
    }
}

impl Kernel for Fft {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let [re, im] = outs else {
            return Err(Error::internal("a transform has two outputs"));
        };
        match ins[0].dtype {
            DType::F64 => {
                let given = ins.get(1).map(|v| v.as_slice::<f64>());
                let to = (re.as_mut(), im.as_mut());
                self.go::<f64>(ins[0].as_slice(), given, to, par);
            }
            _ => {
                let given = ins.get(1).map(|v| v.as_slice::<f32>());
                let to = (re.as_mut(), im.as_mut());
                self.go::<f32>(ins[0].as_slice(), given, to, par);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{noise, run};
    use crate::tensor::Tensor;

    /// The sum by its definition, of complex numbers.
    fn slowly(x: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let n = x.len();
        let sum = |k: usize| {
            x.iter().enumerate().fold((0.0, 0.0), |sum, (j, v)| {
                let w = Factor::root(j * k, n);
                (sum.0 + v.0 * w.0 - v.1 * w.1, sum.1 + v.0 * w.1 + v.1 * w.0)
            })
        };
        (0..n).map(sum).collect()
    }

    #[test]
    fn every_length_is_the_definition() {
        for n in (1..=130).chain([211, 256, 360, 997, 1024, 1155]) {
            let rows: Vec<Vec<(f64, f64)>> = (0..LANES)
                .map(|row| {
                    let at = |i: usize| (row * n + i) as f64;
                    (0..n)
                        .map(|i| ((at(i) * 1.7).sin(), (at(i) * 0.3 + 1.0).cos()))
                        .collect()
                })
                .collect();
            let x: Vec<C> = (0..n)
                .map(|k| C(lanes(|i| rows[i][k].0), lanes(|i| rows[i][k].1)))
                .collect();
            let t = Transform::new(n);
            let mut y = vec![C::default(); n];
            let mut space = vec![C::default(); t.space()];
            t.run(&x, &mut y, &mut space);
            for (i, row) in rows.iter().enumerate() {
                let far = y.iter().zip(slowly(row));
                let far = far.map(|(a, b)| (a.0[i] - b.0).hypot(a.1[i] - b.1));
                let far = far.fold(0.0, f64::max);
                assert!(far < 1e-10 * n as f64, "length {n}: off by {far}");
            }
        }
    }

    #[test]
    fn rows_stand_alone() {
        for (n, complex) in [(12, false), (15, false), (10, true)] {
            let all = noise(DType::F32, &[7, n], 3);
            let op = Op::Fft(FftAttrs {
                inverse: false,
                keep: n,
            });
            let transform = |x: &Tensor| {
                let facts = vec![x.fact().clone(); 2];
                let ins: &[&Tensor] = if complex { &[x, x] } else { &[x] };
                run(&op, ins, &facts).unwrap()
            };
            let together = transform(&all);
            for row in 0..7 {
                let x = &all.as_slice::<f32>()[row * n..][..n];
                let alone = transform(&Tensor::from_slice([1, n], x));
                for (a, b) in together.iter().zip(&alone) {
                    assert_eq!(&a.as_slice::<f32>()[row * n..][..n], b.as_slice::<f32>());
                }
            }
        }
    }
}
