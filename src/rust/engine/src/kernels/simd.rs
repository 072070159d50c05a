//! Registers of numbers: each kernel is written once over these traits and
//! compiled for every instruction set.

use std::mem::MaybeUninit;

use crate::tensor::Elem;

/// What sums, products and maxima need of a register of `LANES` elements.
///
/// The functions are unsafe since the processor must have the instruction set
/// (that is what [`dispatch`] looks after) and since pointers must be good for
/// `LANES` elements; alignment does not matter.
pub(super) trait Simd: Copy + Send + Sync + 'static {
    type E: Copy;
    type V: Copy;
    const LANES: usize;
    /// Rows of a tile of a matrix product: two registers a row, and three left
    /// for the operands.
    const ROWS: usize;

    unsafe fn splat(x: Self::E) -> Self::V;
    unsafe fn zero() -> Self::V;
    unsafe fn load(p: *const Self::E) -> Self::V;
    unsafe fn store(p: *mut Self::E, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a` where it is larger, else `b`: `b` where either is NaN.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;

    /// Loads `n <= LANES` elements; the others are those of [`Simd::zero`].
    #[inline(always)]
    unsafe fn load_part(p: *const Self::E, n: usize) -> Self::V {
        if n == Self::LANES {
            return Self::load(p);
        }
        let mut part = [MaybeUninit::<Self::E>::uninit(); MAX_LANES];
        let part = part.as_mut_ptr().cast::<Self::E>();
        Self::store(part, Self::zero());
        std::ptr::copy_nonoverlapping(p, part, n);
        Self::load(part)
    }

    /// Stores the first `n <= LANES` elements.
    #[inline(always)]
    unsafe fn store_part(p: *mut Self::E, v: Self::V, n: usize) {
        if n == Self::LANES {
            return Self::store(p, v);
        }
        let mut part = [MaybeUninit::<Self::E>::uninit(); MAX_LANES];
        let part = part.as_mut_ptr().cast::<Self::E>();
        Self::store(part, v);
        std::ptr::copy_nonoverlapping(part, p, n);
    }
}

/// Elements of the widest register.
pub(super) const MAX_LANES: usize = 16;

/// What the kernels that exist for f32 only need besides.
#[allow(dead_code)]
pub(super) trait Float: Simd<E = f32> {
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a` where it is smaller, else `b`: `b` where either is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// The nearest integer, even in ties.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `2^n` of integers n from -126 to 127.
    unsafe fn pow2(n: Self::V) -> Self::V;
    /// The bits that are set in both.
    unsafe fn and(a: Self::V, b: Self::V) -> Self::V;
}

/// Functions from registers to a register.
macro_rules! ops {
    ($v:ty; $($name:ident($($arg:ident),*) = $body:expr;)*) => { $(
        #[inline(always)]
        unsafe fn $name($($arg: $v),*) -> $v {
            $body
        }
    )* };
}

/// Scalars of the portable registers.
pub(super) trait Scalar: Copy + Default + PartialOrd + Send + Sync + 'static {
    fn plus(self, other: Self) -> Self;
    fn times_plus(self, b: Self, c: Self) -> Self;
    fn over(self, other: Self) -> Self;
    /// What maxima over windows of `rank` axes start from. TensorFlow starts
    /// from the lowest finite number, but over three axes.
    fn lowest(rank: usize) -> Self;
    fn count(n: usize) -> Self;
}

/// Whether `mul_add` is one instruction in code compiled for the base target;
/// elsewhere it would be a call.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

macro_rules! scalar_float {
    ($($t:ty),*) => { $(impl Scalar for $t {
        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            self + other
        }
        #[inline(always)]
        fn times_plus(self, b: Self, c: Self) -> Self {
            if FUSED { self.mul_add(b, c) } else { self * b + c }
        }
        #[inline(always)]
        fn over(self, other: Self) -> Self {
            self / other
        }
        #[inline(always)]
        fn lowest(rank: usize) -> Self {
            if rank < 3 { <$t>::MIN } else { <$t>::NEG_INFINITY }
        }
        #[inline(always)]
        fn count(n: usize) -> Self {
            n as $t
        }
    })* };
}
scalar_float!(f32, f64);

impl Scalar for i64 {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn times_plus(self, b: Self, c: Self) -> Self {
        self.wrapping_mul(b).wrapping_add(c)
    }
    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self.checked_div(other).unwrap_or(0)
    }
    #[inline(always)]
    fn lowest(_: usize) -> Self {
        i64::MIN
    }
    #[inline(always)]
    fn count(n: usize) -> Self {
        n as i64
    }
}

/// Registers for any processor and any number: four elements in an array.
#[derive(Copy, Clone)]
pub(super) struct Portable<T>(std::marker::PhantomData<T>);

/// Lane by lane, as plain loops that compilers vectorise.
macro_rules! lanes {
    ($f:expr, $($v:expr),*) => {{
        let mut out = [Default::default(); 4];
        for (i, o) in out.iter_mut().enumerate() {
            *o = $f($($v[i]),*);
        }
        out
    }};
}

impl<T: Scalar> Simd for Portable<T> {
    type E = T;
    type V = [T; 4];
    const LANES: usize = 4;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn splat(x: T) -> [T; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const T) -> [T; 4] {
        p.cast::<[T; 4]>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn store(p: *mut T, v: [T; 4]) {
        p.cast::<[T; 4]>().write_unaligned(v)
    }
    ops! { [T; 4];
        zero() = [T::default(); 4];
        add(a, b) = lanes!(T::plus, a, b);
        fma(a, b, c) = lanes!(T::times_plus, a, b, c);
        div(a, b) = lanes!(T::over, a, b);
        max(a, b) = lanes!(|x: T, y: T| if x > y { x } else { y }, a, b);
    }
}

impl Float for Portable<f32> {
    ops! { [f32; 4];
        sub(a, b) = lanes!(|x: f32, y: f32| x - y, a, b);
        mul(a, b) = lanes!(|x: f32, y: f32| x * y, a, b);
        min(a, b) = lanes!(|x: f32, y: f32| if x < y { x } else { y }, a, b);
        round(a) = lanes!(f32::round_ties_even, a);
        pow2(n) = lanes!(|x: f32| f32::from_bits(((x as i32 + 127) as u32) << 23), n);
        and(a, b) = lanes!(|x: f32, y: f32| f32::from_bits(x.to_bits() & y.to_bits()), a, b);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Float, Simd};
    use std::arch::x86_64::*;

    /// AVX2 with FMA.
    #[derive(Copy, Clone)]
    pub struct Avx2;

    impl Simd for Avx2 {
        type E = f32;
        type V = __m256;
        const LANES: usize = 8;
        const ROWS: usize = 6;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m256 {
            _mm256_set1_ps(x)
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m256 {
            _mm256_loadu_ps(p)
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m256) {
            _mm256_storeu_ps(p, v)
        }
        ops! { __m256;
            zero() = _mm256_setzero_ps();
            add(a, b) = _mm256_add_ps(a, b);
            fma(a, b, c) = _mm256_fmadd_ps(a, b, c);
            div(a, b) = _mm256_div_ps(a, b);
            max(a, b) = _mm256_max_ps(a, b);
        }
    }

    impl Float for Avx2 {
        ops! { __m256;
            sub(a, b) = _mm256_sub_ps(a, b);
            mul(a, b) = _mm256_mul_ps(a, b);
            min(a, b) = _mm256_min_ps(a, b);
            round(a) = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
            pow2(n) = {
                let e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(e))
            };
            and(a, b) = _mm256_and_ps(a, b);
        }
    }

    /// AVX-512 (foundation).
    #[derive(Copy, Clone)]
    pub struct Avx512;

    impl Simd for Avx512 {
        type E = f32;
        type V = __m512;
        const LANES: usize = 16;
        const ROWS: usize = 12;

        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            _mm512_set1_ps(x)
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            _mm512_loadu_ps(p)
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            _mm512_storeu_ps(p, v)
        }
        ops! { __m512;
            zero() = _mm512_setzero_ps();
            add(a, b) = _mm512_add_ps(a, b);
            fma(a, b, c) = _mm512_fmadd_ps(a, b, c);
            div(a, b) = _mm512_div_ps(a, b);
            max(a, b) = _mm512_max_ps(a, b);
        }
    }

    impl Float for Avx512 {
        ops! { __m512;
            sub(a, b) = _mm512_sub_ps(a, b);
            mul(a, b) = _mm512_mul_ps(a, b);
            min(a, b) = _mm512_min_ps(a, b);
            round(a) = _mm512_roundscale_ps::<0>(a);
            pow2(n) = {
                let e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
                _mm512_castsi512_ps(_mm512_slli_epi32::<23>(e))
            };
            and(a, b) = _mm512_castsi512_ps(_mm512_and_si512(
                _mm512_castps_si512(a),
                _mm512_castps_si512(b),
            ));
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

/// Work on elements `E` that is compiled for each instruction set. `run` and
/// all it calls must be `#[inline(always)]`, so that they become part of a
/// function that has the instructions.
pub(super) trait Job<E> {
    type Out;
    /// # Safety
    /// The processor has the instructions of `S`.
    unsafe fn run<S: Simd<E = E>>(self) -> Self::Out;
}

/// A [`Job`] for f32 only.
pub(super) trait FloatJob {
    type Out;
    /// # Safety
    /// The processor has the instructions of `S`.
    unsafe fn run<S: Float>(self) -> Self::Out;
}

/// Runs a job with the best instructions the processor has.
pub(super) fn dispatch<J: FloatJob>(job: J) -> J::Out {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn avx512<J: FloatJob>(job: J) -> J::Out {
            job.run::<Avx512>()
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2<J: FloatJob>(job: J) -> J::Out {
            job.run::<Avx2>()
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has it, and with it AVX2 and FMA.
            return unsafe { avx512(job) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has both.
            return unsafe { avx2(job) };
        }
    }
    // SAFETY: every processor has these.
    unsafe { job.run::<Portable<f32>>() }
}

/// Elements that jobs run on.
pub(super) trait Num: Scalar + Elem {
    fn dispatch<J: Job<Self>>(job: J) -> J::Out;

    /// Elements of a register.
    fn lanes() -> usize {
        struct Lanes;
        impl<E> Job<E> for Lanes {
            type Out = usize;
            #[inline(always)]
            unsafe fn run<S: Simd<E = E>>(self) -> usize {
                S::LANES
            }
        }
        Self::dispatch(Lanes)
    }
}

impl Num for f32 {
    fn dispatch<J: Job<f32>>(job: J) -> J::Out {
        struct OfFloats<J>(J);
        impl<J: Job<f32>> FloatJob for OfFloats<J> {
            type Out = J::Out;
            #[inline(always)]
            unsafe fn run<S: Float>(self) -> J::Out {
                self.0.run::<S>()
            }
        }
        dispatch(OfFloats(job))
    }
}

macro_rules! portable {
    ($($t:ty),*) => { $(impl Num for $t {
        fn dispatch<J: Job<$t>>(job: J) -> J::Out {
            // SAFETY: every processor has these.
            unsafe { job.run::<Portable<$t>>() }
        }
    })* };
}
portable!(f64, i64);
