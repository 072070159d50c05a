//! Hashing of text to bins.

use std::fmt::Write;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::Plain;
use crate::error::{Error, Result};
use crate::graph::HashAttrs;
use crate::tensor::{DType, View, ViewMut};

/// The kernel of `Hash`.
pub struct Hash(pub HashAttrs);

impl Hash {
    fn bin(&self, text: &[u8]) -> i64 {
        let hash = match self.0.key {
            None => fingerprint(text),
            Some((a, b)) => {
                let mut hasher = SipHasher24::new_with_keys(a, b);
                hasher.write(text);
                hasher.finish()
            }
        };
        (hash % self.0.bins) as i64
    }

    fn numbers(&self, values: impl Iterator<Item = i128>, out: &mut [i64]) {
        let mut text = String::new();
        for (o, v) in out.iter_mut().zip(values) {
            text.clear();
            // Writing to a String can't fail.
            let _ = write!(text, "{v}");
            *o = self.bin(text.as_bytes());
        }
    }
}

/// The elements of an integer tensor.
fn integers<'a>(x: &View<'a>) -> Option<Box<dyn Iterator<Item = i128> + 'a>> {
    macro_rules! wide {
        ($t:ty) => {
            Box::new(x.as_slice::<$t>().iter().map(|&v| v as i128))
        };
    }
    Some(match x.dtype {
        DType::U8 => wide!(u8),
        DType::U16 => wide!(u16),
        DType::U32 => wide!(u32),
        DType::U64 => wide!(u64),
        DType::I8 => wide!(i8),
        DType::I16 => wide!(i16),
        DType::I32 => wide!(i32),
        DType::I64 => wide!(i64),
        _ => return None,
    })
}

impl Plain for Hash {
    fn compute(&self, ins: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let (x, out) = (&ins[0], outs[0].as_mut::<i64>());
        match x.dtype {
            DType::Str => {
                let bins = x.strings().iter().map(|s| self.bin(s.as_bytes()));
                out.iter_mut().zip(bins).for_each(|(o, bin)| *o = bin);
            }
            DType::Bool => {
                let bins = [self.bin(b"false"), self.bin(b"true")];
                let values = x.bytes().iter().map(|&v| bins[usize::from(v != 0)]);
                out.iter_mut().zip(values).for_each(|(o, bin)| *o = bin);
            }
            _ => match integers(x) {
                Some(values) => self.numbers(values, out),
                None => return Err(Error::internal("a hash of floats")),
            },
        }
        Ok(())
    }
}

/// The kernel of `HashCross`, with the number of bins.
pub struct Cross(pub u64);

/// What a cross of features starts from in TensorFlow.
const CROSS_KEY: u64 = 0xDECAFCAFFE;

impl Plain for Cross {
    fn compute(&self, ins: &[View], outs: &mut [ViewMut]) -> Result<()> {
        for (i, out) in outs[0].as_mut::<i64>().iter_mut().enumerate() {
            let join = |hash: u64, x: &View| {
                let own = match x.dtype {
                    DType::Str => fingerprint(x.strings()[i].as_bytes()),
                    _ => x.as_slice::<i64>()[i] as u64,
                };
                concatenated(hash, own)
            };
            *out = (ins.iter().fold(CROSS_KEY, join) % self.0) as i64;
        }
        Ok(())
    }
}

/// TensorFlow's `FingerprintCat64`.
fn concatenated(a: u64, b: u64) -> u64 {
    const MUL: u64 = 0xc6a4a7935bd1e995;
    let mut h = a ^ MUL;
    h ^= shift_mix(b.wrapping_mul(MUL)).wrapping_mul(MUL);
    h = h.wrapping_mul(MUL);
    h = shift_mix(h).wrapping_mul(MUL);
    shift_mix(h)
}

fn shift_mix(v: u64) -> u64 {
    v ^ (v >> 47)
}

const K0: u64 = 0xc3a5c85c97cb3127;
const K1: u64 = 0xb492b66fbe98f273;
const K2: u64 = 0x9ae16a3b2f90404f;

/// The little-endian number at a position.
fn u64_at(s: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&s[at..at + 8]);
    u64::from_le_bytes(bytes)
}

fn u32_at(s: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&s[at..at + 4]);
    u64::from(u32::from_le_bytes(bytes))
}

fn mix(u: u64, v: u64, mul: u64) -> u64 {
    let a = shift_mix((u ^ v).wrapping_mul(mul));
    shift_mix((v ^ a).wrapping_mul(mul)).wrapping_mul(mul)
}

/// FarmHash's `Fingerprint64` (farmhashna), which never changes.
pub(super) fn fingerprint(s: &[u8]) -> u64 {
    let n = s.len();
    let mul = K2.wrapping_add(2 * n as u64);
    match n {
        0 => K2,
        1..=3 => {
            let y = u64::from(s[0]) + (u64::from(s[n >> 1]) << 8);
            let z = n as u64 + (u64::from(s[n - 1]) << 2);
            shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K0)).wrapping_mul(K2)
        }
        4..=7 => mix(n as u64 + (u32_at(s, 0) << 3), u32_at(s, n - 4), mul),
        8..=16 => {
            let a = u64_at(s, 0).wrapping_add(K2);
            let b = u64_at(s, n - 8);
            let c = b.rotate_right(37).wrapping_mul(mul).wrapping_add(a);
            let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(mul);
            mix(c, d, mul)
        }
        17..=32 => {
            let a = u64_at(s, 0).wrapping_mul(K1);
            let b = u64_at(s, 8);
            let c = u64_at(s, n - 8).wrapping_mul(mul);
            let d = u64_at(s, n - 16).wrapping_mul(K2);
            let u = a.wrapping_add(b).rotate_right(43);
            let u = u.wrapping_add(c.rotate_right(30)).wrapping_add(d);
            let v = a.wrapping_add(b.wrapping_add(K2).rotate_right(18));
            mix(u, v.wrapping_add(c), mul)
        }
        33..=64 => {
            let a = u64_at(s, 0).wrapping_mul(K2);
            let b = u64_at(s, 8);
            let c = u64_at(s, n - 8).wrapping_mul(mul);
            let d = u64_at(s, n - 16).wrapping_mul(K2);
            let y = a.wrapping_add(b).rotate_right(43);
            let y = y.wrapping_add(c.rotate_right(30)).wrapping_add(d);
            let z = a.wrapping_add(b.wrapping_add(K2).rotate_right(18));
            let z = mix(y, z.wrapping_add(c), mul);
            let e = u64_at(s, 16).wrapping_mul(mul);
            let f = u64_at(s, 24);
            let g = y.wrapping_add(u64_at(s, n - 32)).wrapping_mul(mul);
            let h = z.wrapping_add(u64_at(s, n - 24)).wrapping_mul(mul);
            let u = e.wrapping_add(f).rotate_right(43);
            let u = u.wrapping_add(g.rotate_right(30)).wrapping_add(h);
            let v = e.wrapping_add(f.wrapping_add(a).rotate_right(18));
            mix(u, v.wrapping_add(g), mul)
        }
        _ => long(s),
    }
}

/// Two halves of 16 bytes of state from 32 bytes.
fn weak(s: &[u8], a: u64, b: u64) -> (u64, u64) {
    let (w, x, y, z) = (u64_at(s, 0), u64_at(s, 8), u64_at(s, 16), u64_at(s, 24));
    let a = a.wrapping_add(w);
    let b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let c = a;
    let a = a.wrapping_add(x).wrapping_add(y);
    let b = b.wrapping_add(a.rotate_right(44));
    (a.wrapping_add(z), b.wrapping_add(c))
}

/// The fingerprint of more than 64 bytes.
fn long(s: &[u8]) -> u64 {
    const SEED: u64 = 81;
    let mut x = SEED;
    let mut y = SEED.wrapping_mul(K1).wrapping_add(113);
    let mut z = shift_mix(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let (mut v, mut w) = ((0u64, 0u64), (0u64, 0u64));
    x = x.wrapping_mul(K2).wrapping_add(u64_at(s, 0));
    let n = s.len();
    // Every whole block but the last; then the last 64 bytes.
    for block in s[..(n - 1) / 64 * 64].chunks_exact(64) {
        x = x
            .wrapping_add(y)
            .wrapping_add(v.0)
            .wrapping_add(u64_at(block, 8));
        x = x.rotate_right(37).wrapping_mul(K1);
        y = y.wrapping_add(v.1).wrapping_add(u64_at(block, 48));
        y = y.rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y = y.wrapping_add(v.0).wrapping_add(u64_at(block, 40));
        z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(K1);
        v = weak(block, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        let seed = y.wrapping_add(u64_at(block, 16));
        w = weak(&block[32..], z.wrapping_add(w.1), seed);
        std::mem::swap(&mut z, &mut x);
    }
    let mul = K1.wrapping_add((z & 0xff) << 1);
    let last = &s[n - 64..];
    w.0 = w.0.wrapping_add((n as u64 - 1) & 63);
    v.0 = v.0.wrapping_add(w.0);
    w.0 = w.0.wrapping_add(v.0);
    x = x
        .wrapping_add(y)
        .wrapping_add(v.0)
        .wrapping_add(u64_at(last, 8));
    x = x.rotate_right(37).wrapping_mul(mul);
    y = y.wrapping_add(v.1).wrapping_add(u64_at(last, 48));
    y = y.rotate_right(42).wrapping_mul(mul);
    x ^= w.1.wrapping_mul(9);
    y = y
        .wrapping_add(v.0.wrapping_mul(9))
        .wrapping_add(u64_at(last, 40));
    z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(mul);
    v = weak(last, v.1.wrapping_mul(mul), x.wrapping_add(w.0));
    let seed = y.wrapping_add(u64_at(last, 16));
    w = weak(&last[32..], z.wrapping_add(w.1), seed);
    std::mem::swap(&mut z, &mut x);
    let a = mix(v.0, w.0, mul)
        .wrapping_add(shift_mix(y).wrapping_mul(K0))
        .wrapping_add(z);
    mix(a, mix(v.1, w.1, mul).wrapping_add(x), mul)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What TensorFlow 2.21 gives.
    #[test]
    fn hashes_are_tensorflows() {
        let repeated = |c: &str, n| c.repeat(n);
        let texts: Vec<String> = vec![
            String::new(),
            "a".into(),
            "ab".into(),
            "abc".into(),
            "abcd".into(),
            "hello world".into(),
            repeated("x", 16),
            repeated("y", 17),
            repeated("z", 32),
            repeated("q", 33),
            repeated("w", 64),
            repeated("e", 65),
            repeated("r", 128),
            repeated("t", 129),
            repeated("u", 192),
            repeated("äöü", 30),
        ];
        let plain: [u64; 16] = [
            11160318154034397263,
            12917804110809363939,
            12289600257749001502,
            2640714258260161385,
            1897425971756105985,
            6381520714923946011,
            3320895591121647644,
            426471879119003573,
            5529242935250131553,
            9560505979865311075,
            4555407945498560506,
            8492481647093572336,
            7659572552235200165,
            17069556985261149106,
            916666175353135825,
            11322815821359458057,
        ];
        let keyed: [i64; 16] = [
            316627932347062996,
            2466253977694453450,
            3814769135020288330,
            2288159068006480041,
            3196519216900852167,
            3672456908529363296,
            3062600254328431651,
            3371921574912791489,
            2755587857091745110,
            2328483825788399753,
            702089228601891224,
            3305474046547870435,
            2171806520189904691,
            50603660898189821,
            3758875043913569710,
            3109609861830321318,
        ];
        let strong = Hash(HashAttrs {
            bins: 1 << 62,
            key: Some((133, 137)),
        });
        for ((text, plain), keyed) in texts.iter().zip(plain).zip(keyed) {
            assert_eq!(fingerprint(text.as_bytes()), plain, "{text}");
            assert_eq!(strong.bin(text.as_bytes()), keyed, "{text}");
        }
    }
}
