//! Registers of numbers: each kernel is written once over these traits and
//! compiled for every instruction set.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

#[cfg(target_arch = "x86_64")]
use super::vecmath::has_avx2_fma;
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
    /// `a` where it is smaller, else `b`: `b` where either is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;

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

/// Asks for a line of memory that will be used soon, where the processor can't
/// foresee it.
#[inline(always)]
pub fn prefetch<T>(p: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which may name any address.
    unsafe {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// Elements of the widest register.
pub(super) const MAX_LANES: usize = 16;

/// Functions from registers to a register.
macro_rules! ops {
    ($v:ty; $($name:ident($($arg:ident),*) = $body:expr;)*) => { $(
        #[inline(always)]
        unsafe fn $name($($arg: $v),*) -> $v {
            $body
        }
    )* };
}

/// Elements of the portable registers.
pub(super) trait Scalar: Copy + Default + PartialOrd + Send + Sync + 'static {
    fn plus(self, other: Self) -> Self;
    /// `self * b + c`, in one instruction where `FUSED`.
    fn times_plus<const FUSED: bool>(self, b: Self, c: Self) -> Self;
    fn over(self, other: Self) -> Self;
    /// What maxima over windows of `rank` axes start from. TensorFlow starts
    /// from the lowest finite number, but over three axes.
    fn lowest(rank: usize) -> Self;
    fn count(n: usize) -> Self;
}

macro_rules! scalar_float {
    ($($t:ty),*) => { $(impl Scalar for $t {
        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            self + other
        }
        #[inline(always)]
        fn times_plus<const FUSED: bool>(self, b: Self, c: Self) -> Self {
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
    fn times_plus<const FUSED: bool>(self, b: Self, c: Self) -> Self {
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

/// Registers for any processor and any number: four elements in an array, which
/// compilers make registers of. `FUSED` where the code is compiled for processors
/// with fused multiply-add, which elsewhere would be a call.
#[derive(Copy, Clone)]
pub(super) struct Portable<T, const FUSED: bool>(PhantomData<T>);

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

impl<T: Scalar, const FUSED: bool> Simd for Portable<T, FUSED> {
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
        fma(a, b, c) = lanes!(T::times_plus::<FUSED>, a, b, c);
        div(a, b) = lanes!(T::over, a, b);
        max(a, b) = lanes!(|x: T, y: T| if x > y { x } else { y }, a, b);
        min(a, b) = lanes!(|x: T, y: T| if x < y { x } else { y }, a, b);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    /// A mask of the first `n` of eight elements of four bytes.
    #[inline(always)]
    unsafe fn first(n: usize) -> __m256i {
        const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        _mm256_loadu_si256(ONES.as_ptr().add(8 - n).cast())
    }

    /// A register type: its name, elements, registers and sizes, the instructions, and
    /// the mask of the first `n` elements with its loads and stores.
    macro_rules! registers {
        ($(#[$doc:meta])* $name:ident, $e:ty, $v:ty, $lanes:expr, $rows:expr,
         $set1:ident, $zero:ident, $load:ident, $store:ident, $add:ident, $fma:ident,
         $div:ident, $max:ident, $min:ident,
         |$n:ident| $mask:expr, |$p:ident, $m:ident| $load_part:expr,
         |$q:ident, $k:ident, $w:ident| $store_part:expr) => {
            $(#[$doc])*
            #[derive(Copy, Clone)]
            pub struct $name;

            impl Simd for $name {
                type E = $e;
                type V = $v;
                const LANES: usize = $lanes;
                const ROWS: usize = $rows;

                #[inline(always)]
                unsafe fn splat(x: $e) -> $v {
                    $set1(x)
                }
                #[inline(always)]
                unsafe fn load(p: *const $e) -> $v {
                    $load(p)
                }
                #[inline(always)]
                unsafe fn store(p: *mut $e, v: $v) {
                    $store(p, v)
                }
                #[inline(always)]
                unsafe fn load_part($p: *const $e, $n: usize) -> $v {
                    if $n == Self::LANES {
                        return Self::load($p);
                    }
                    let $m = $mask;
                    $load_part
                }
                #[inline(always)]
                unsafe fn store_part($q: *mut $e, $w: $v, $n: usize) {
                    if $n == Self::LANES {
                        return Self::store($q, $w);
                    }
                    let $k = $mask;
                    $store_part
                }
                ops! { $v;
                    zero() = $zero();
                    add(a, b) = $add(a, b);
                    fma(a, b, c) = $fma(a, b, c);
                    div(a, b) = $div(a, b);
                    max(a, b) = $max(a, b);
                    min(a, b) = $min(a, b);
                }
            }
        };
    }

    registers! {
        /// AVX2 with FMA.
        Avx2, f32, __m256, 8, 6,
        _mm256_set1_ps, _mm256_setzero_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps,
        _mm256_fmadd_ps, _mm256_div_ps, _mm256_max_ps, _mm256_min_ps,
        |n| first(n), |p, m| _mm256_maskload_ps(p, m), |p, m, v| _mm256_maskstore_ps(p, m, v)
    }
    registers! {
        /// AVX2 with FMA, of float64.
        Avx2Wide, f64, __m256d, 4, 6,
        _mm256_set1_pd, _mm256_setzero_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd,
        _mm256_fmadd_pd, _mm256_div_pd, _mm256_max_pd, _mm256_min_pd,
        |n| first(2 * n), |p, m| _mm256_maskload_pd(p, m), |p, m, v| _mm256_maskstore_pd(p, m, v)
    }
    registers! {
        /// AVX-512 (foundation).
        Avx512, f32, __m512, 16, 12,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps,
        _mm512_fmadd_ps, _mm512_div_ps, _mm512_max_ps, _mm512_min_ps,
        |n| ((1u32 << n) - 1) as __mmask16, |p, m| _mm512_maskz_loadu_ps(m, p),
        |p, m, v| _mm512_mask_storeu_ps(p, m, v)
    }
    registers! {
        /// AVX-512 (foundation), of float64.
        Avx512Wide, f64, __m512d, 8, 12,
        _mm512_set1_pd, _mm512_setzero_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_add_pd,
        _mm512_fmadd_pd, _mm512_div_pd, _mm512_max_pd, _mm512_min_pd,
        |n| ((1u32 << n) - 1) as __mmask8, |p, m| _mm512_maskz_loadu_pd(m, p),
        |p, m, v| _mm512_mask_storeu_pd(p, m, v)
    }
}

#[cfg(target_arch = "x86_64")]
use x86::{Avx2, Avx2Wide, Avx512, Avx512Wide};

/// Work on elements `E` that is compiled for each instruction set. `run` and
/// all it calls must be `#[inline(always)]`, so that they become part of a
/// function that has the instructions.
pub(super) trait Job<E> {
    type Out;
    /// # Safety
    /// The processor has the instructions of `S`.
    unsafe fn run<S: Simd<E = E>>(self) -> Self::Out;
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

/// Compiles a job for wider instruction sets of this family, and runs it with
/// the best the processor has.
macro_rules! widest {
    ($t:ty, $job:expr, $avx512:ty, $avx2:ty) => {{
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx512f,avx2,fma")]
            unsafe fn avx512<J: Job<$t>>(job: J) -> J::Out {
                job.run::<$avx512>()
            }
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<J: Job<$t>>(job: J) -> J::Out {
                job.run::<$avx2>()
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has it, and with it AVX2 and FMA.
                return unsafe { avx512($job) };
            }
            if has_avx2_fma() {
                // SAFETY: the processor has both.
                return unsafe { avx2($job) };
            }
        }
        // SAFETY: every processor has these, and ARM's fuse.
        unsafe { $job.run::<Portable<$t, { cfg!(target_arch = "aarch64") }>>() }
    }};
}

impl Num for f32 {
    fn dispatch<J: Job<f32>>(job: J) -> J::Out {
        widest!(f32, job, Avx512, Avx2)
    }
}

impl Num for f64 {
    fn dispatch<J: Job<f64>>(job: J) -> J::Out {
        widest!(f64, job, Avx512Wide, Avx2Wide)
    }
}

impl Num for i64 {
    fn dispatch<J: Job<i64>>(job: J) -> J::Out {
        widest!(i64, job, Portable<i64, true>, Portable<i64, true>)
    }
}
