//! Arithmetic and functions of f32 and f64 alike.

use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Sub};

use super::simd::Num;
use super::vecmath::{self, Isa};

/// f32 and f64.
pub(super) trait Real:
    Num + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    const LOWEST: Self;
    fn of(x: f64) -> Self;
    fn sqrt(self) -> Self;
}

macro_rules! real {
    ($($t:ty),*) => { $(impl Real for $t {
        const LOWEST: Self = <$t>::NEG_INFINITY;
        #[inline(always)]
        fn of(x: f64) -> $t {
            x as $t
        }
        #[inline(always)]
        fn sqrt(self) -> $t {
            <$t>::sqrt(self)
        }
    })* };
}
real!(f32, f64);

/// Functions of elements, as loops that compilers vectorise use them.
pub(super) trait Math<E> {
    fn exp(x: E) -> E;
    fn log(x: E) -> E;
    fn tanh(x: E) -> E;
    fn sigmoid(x: E) -> E;
}

/// f32, by polynomials.
pub(super) struct Fast<I>(PhantomData<I>);

impl<I: Isa> Math<f32> for Fast<I> {
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        vecmath::exp::<I>(x)
    }
    #[inline(always)]
    fn log(x: f32) -> f32 {
        vecmath::log::<I>(x)
    }
    #[inline(always)]
    fn tanh(x: f32) -> f32 {
        vecmath::tanh::<I>(x)
    }
    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        vecmath::sigmoid::<I>(x)
    }
}

/// f64, by the standard library.
pub(super) struct Exact;

impl Math<f64> for Exact {
    #[inline(always)]
    fn exp(x: f64) -> f64 {
        x.exp()
    }
    #[inline(always)]
    fn log(x: f64) -> f64 {
        x.ln()
    }
    #[inline(always)]
    fn tanh(x: f64) -> f64 {
        x.tanh()
    }
    #[inline(always)]
    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }
}

/// Folds values in sixteen lanes, then the lanes: fast, the same on every
/// processor, and more exact than one sum.
#[inline(always)]
pub(super) fn fold<E: Copy>(
    x: &[E],
    start: E,
    value: impl Fn(E) -> E,
    join: impl Fn(E, E) -> E,
) -> E {
    if x.len() < 16 {
        return x.iter().fold(start, |a, v| join(a, value(*v)));
    }
    let mut acc = [start; 16];
    let mut chunks = x.chunks_exact(16);
    for chunk in &mut chunks {
        for (a, v) in acc.iter_mut().zip(chunk) {
            *a = join(*a, value(*v));
        }
    }
    for (a, v) in acc.iter_mut().zip(chunks.remainder()) {
        *a = join(*a, value(*v));
    }
    let mut width = 8;
    while width > 0 {
        for i in 0..width {
            acc[i] = join(acc[i], acc[i + width]);
        }
        width /= 2;
    }
    acc[0]
}
