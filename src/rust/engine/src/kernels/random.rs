//! Random numbers by a counter-based generator: Philox4x32 with 10 rounds
//! (Salmon et al., 2011), so that they depend on no order of work.

use super::{Plain, Request};
use crate::error::Result;
use crate::graph::RandomKind;
use crate::tensor::{DType, View, ViewMut};

/// The kernel of `Random`.
pub struct Random {
    kind: RandomKind,
    stream: u32,
    dtype: DType,
}

impl Random {
    pub fn new(kind: RandomKind, stream: u32, req: &Request) -> Random {
        Random {
            kind,
            stream,
            dtype: req.outs[0].dtype,
        }
    }
}

/// Four random words from a counter and a key.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key[0] = key[0].wrapping_add(0x9E37_79B9);
        key[1] = key[1].wrapping_add(0xBB67_AE85);
    }
    counter
}

/// The normal numbers that TensorFlow's stateless generator draws for a seed: two
/// from two words in float32, two from four in float64.
pub fn seeded_normals(seed: [u64; 2], n: usize, wide: bool) -> Vec<f64> {
    // The seed is mixed into the key and the upper half of the counter.
    let words = |v: u64| [v as u32, (v >> 32) as u32];
    let ([a, b], [c, d]) = (words(seed[0]), words(seed[1]));
    let mix = philox([a, b, c, d], [0x3ec8_f720, 0x0246_1e29]);
    let key = [mix[0], mix[1]];
    let float = |w: u32| f64::from(w & 0x7f_ffff) / f64::from(1 << 23);
    let double = |high: u32, low: u32| {
        let word = u64::from(high & 0xf_ffff) << 32 | u64::from(low);
        word as f64 / (1u64 << 52) as f64
    };
    let pair = |u: f64, v: f64| {
        let r = (-2.0 * u.max(1e-7).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
        [r * sin, r * cos]
    };
    let block = |i: u64| {
        let [low, high] = words(i);
        let [a, b, c, d] = philox([low, high, mix[2], mix[3]], key);
        match wide {
            true => pair(double(a, b), double(c, d)).to_vec(),
            false => [pair(float(a), float(b)), pair(float(c), float(d))].concat(),
        }
    };
    (0..).flat_map(block).take(n).collect()
}

/// A number of [0, 1) with the precision of float32.
fn short(word: u32) -> f64 {
    f64::from(word >> 8) / f64::from(1 << 24)
}

/// A number of [0, 1) with the precision of float64.
fn long(high: u32, low: u32) -> f64 {
    let word = u64::from(high) << 32 | u64::from(low);
    (word >> 11) as f64 / (1u64 << 53) as f64
}

/// Two independent normal numbers from two uniform ones (Box and Muller).
fn normals(u: f64, v: f64) -> [f64; 2] {
    let r = (-2.0 * (1.0 - u).ln()).sqrt();
    let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
    [r * cos, r * sin]
}

/// As many draws as it takes for one number.
struct Draws {
    counter: [u32; 4],
    key: [u32; 2],
}

impl Draws {
    /// A uniform number above 0, and a normal one.
    fn next(&mut self) -> (f64, f64) {
        self.counter[1] += 1;
        let [a, b, c, d] = philox(self.counter, self.key);
        let [normal, _] = normals(short(c), short(d));
        (1.0 - long(a, b), normal)
    }

    /// The logarithm of a gamma number (Marsaglia and Tsang, 2000), which stays
    /// finite for small parameters.
    fn log_gamma(&mut self, alpha: f64) -> f64 {
        if alpha < 1.0 {
            let boost = self.next().0.ln() / alpha;
            return self.log_gamma(alpha + 1.0) + boost;
        }
        let d = alpha - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let (u, x) = self.next();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return (d * v).ln();
            }
        }
    }
}

impl Random {
    /// The numbers that one block of the generator gives, four or two.
    fn block(&self, words: [u32; 4]) -> ([f64; 4], usize) {
        let [a, b, c, d] = words;
        let (u, n) = match self.dtype {
            DType::F64 => ([long(a, b), long(c, d), 0.0, 0.0], 2),
            _ => ([short(a), short(b), short(c), short(d)], 4),
        };
        match self.kind {
            RandomKind::Uniform => (u, n),
            // What else there is, is made of other draws.
            RandomKind::Normal | RandomKind::LogGamma => {
                let ([p, q], [r, s]) = (normals(u[0], u[1]), normals(u[2], u[3]));
                ([p, q, r, s], n)
            }
        }
    }

    /// `alpha` is the shape parameter of gamma numbers.
    fn fill<T>(&self, seed: &[i64], alpha: Option<f32>, out: &mut [T], of: impl Fn(f64) -> T) {
        let key = [seed[0] as u32, (seed[0] >> 32) as u32];
        if let Some(alpha) = alpha {
            for (i, o) in out.iter_mut().enumerate() {
                let mut draws = Draws {
                    counter: [i as u32, 0, self.stream, seed[1] as u32],
                    key,
                };
                *o = of(draws.log_gamma(alpha.into()));
            }
            return;
        }
        let (_, size) = self.block([0; 4]);
        for (i, chunk) in out.chunks_mut(size).enumerate() {
            let counter = [i as u32, (i >> 32) as u32, self.stream, seed[1] as u32];
            let (numbers, _) = self.block(philox(counter, key));
            for (o, v) in chunk.iter_mut().zip(numbers) {
                *o = of(v);
            }
        }
    }
}

impl Plain for Random {
    fn compute(&self, ins: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let seed: &[i64] = ins[0].as_slice();
        let alpha = ins.get(1).map(|v| v.as_slice::<f32>()[0]);
        match self.dtype {
            DType::F64 => self.fill(seed, alpha, outs[0].as_mut::<f64>(), |v| v),
            _ => self.fill(seed, alpha, outs[0].as_mut::<f32>(), |v| v as f32),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of Random123.
    #[test]
    fn philox_gives_its_known_answers() {
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
        );
        assert_eq!(ones, [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    }

    fn draw(kind: RandomKind, alpha: Option<f32>, dtype: DType, stream: u32, n: usize) -> Vec<f64> {
        let random = Random {
            kind,
            stream,
            dtype,
        };
        let mut out = vec![0.0; n];
        random.fill(&[42, 0], alpha, &mut out, |v| v);
        out
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let n = 100_000;
        for dtype in [DType::F32, DType::F64] {
            for (kind, alpha, mean, variance) in [
                (RandomKind::Uniform, None, 0.5f64, 1.0f64 / 12.0),
                (RandomKind::Normal, None, 0.0, 1.0),
                // digamma and trigamma of the parameter
                (RandomKind::LogGamma, Some(0.5), -1.963_510, 4.934_802),
                (RandomKind::LogGamma, Some(1.0), -0.577_216, 1.644_934),
                (RandomKind::LogGamma, Some(3.0), 0.922_784, 0.394_934),
            ] {
                let x = draw(kind, alpha, dtype, 3, n);
                let m = x.iter().sum::<f64>() / n as f64;
                let v = x.iter().map(|x| (x - m).powi(2)).sum::<f64>() / n as f64;
                assert!(
                    (m - mean).abs() < 0.015 * variance.max(1.0),
                    "{kind:?} {alpha:?} {dtype}: mean {m}"
                );
                assert!(
                    (v - variance).abs() < 0.02 * variance.max(1.0),
                    "{kind:?} {alpha:?} {dtype}: variance {v}"
                );
                let lag = x.windows(2).map(|w| (w[0] - m) * (w[1] - m)).sum::<f64>();
                assert!(
                    (lag / n as f64 / v).abs() < 0.015,
                    "{kind:?} {alpha:?} {dtype}: lag {lag}"
                );
            }
        }
    }

    #[test]
    fn streams_differ() {
        let of = |stream| draw(RandomKind::Uniform, None, DType::F32, stream, 8);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
