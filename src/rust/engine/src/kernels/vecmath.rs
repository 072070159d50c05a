//! Transcendental functions of `f32` as branch-free polynomials, which the
//! compiler turns into vector code, and special functions of `f64`.
//!
//! Each is written once over [`Isa`] and gives the same bits on every CPU. The
//! coefficients are minimax fits of our own; tests measure the error over all
//! exponents (1 to 2 ulp, atan 2.7, silu 3, gelu 4.5).

/// How `a * b + c` with one rounding is computed.
pub trait Isa: Copy {
    fn fma(a: f32, b: f32, c: f32) -> f32;
}

/// The CPU has fused multiply-add.
#[derive(Copy, Clone)]
pub struct Fused;

/// The CPU has none: the same bits by way of f64.
#[derive(Copy, Clone)]
pub struct Portable;

impl Isa for Fused {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Isa for Portable {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        // The product is exact in f64. Rounding the sum to odd makes the second
        // rounding, to f32, the only one that counts.
        let (p, c) = (a as f64 * b as f64, c as f64);
        let s = p + c;
        let t = s - p;
        let err = (p - (s - t)) + (c - t);
        let bits = s.to_bits();
        let inexact = err.abs() > 0.0;
        let away = (err > 0.0) == (s > 0.0);
        let odd = if away {
            bits.wrapping_add(1)
        } else {
            bits.wrapping_sub(1)
        };
        f64::from_bits(if inexact && bits & 1 == 0 { odd } else { bits }) as f32
    }
}

/// Whether functions compiled for AVX2 and FMA may be called.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn has_avx2_fma() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

/// Whether functions compiled for AVX-512, of the kind that all such processors
/// but the first have, may be called.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && has_avx2_fma()
}

/// Declares a function that runs `body`, compiled for the CPU at hand. `body`
/// must be `#[inline(always)]`; as `body::<_>` it is generic over [`Isa`].
macro_rules! multiversion {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident::<_>) => {
        $crate::kernels::vecmath::multiversion! {
            @ $(#[$doc])* $vis fn $name($($arg: $ty),*),
            $body::<$crate::kernels::vecmath::Fused>,
            $body::<$crate::kernels::vecmath::Portable>
        }
    };
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident) => {
        $crate::kernels::vecmath::multiversion! {
            @ $(#[$doc])* $vis fn $name($($arg: $ty),*), $body, $body
        }
    };
    // Where `body` is unsafe, so is the function, for the same reasons.
    ($(#[$doc:meta])* $vis:vis unsafe fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:ident) => {
        $(#[$doc])*
        $vis unsafe fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2($($arg: $ty),*) {
                    $body($($arg),*)
                }
                if $crate::kernels::vecmath::has_avx2_fma() {
                    return avx2($($arg),*);
                }
            }
            $body($($arg),*)
        }
    };
    (@ $(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*), $fused:expr, $portable:expr) => {
        $(#[$doc])*
        $vis fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) {
                    $fused($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) {
                    $fused($($arg),*)
                }
                if $crate::kernels::vecmath::has_avx512() {
                    // SAFETY: the CPU has the features `avx512` is compiled for.
                    return unsafe { avx512($($arg),*) };
                }
                if $crate::kernels::vecmath::has_avx2_fma() {
                    // SAFETY: the CPU has the features `avx2` is compiled for.
                    return unsafe { avx2($($arg),*) };
                }
            }
            #[cfg(target_arch = "aarch64")]
            {
                $fused($($arg),*)
            }
            #[cfg(not(target_arch = "aarch64"))]
            {
                $portable($($arg),*)
            }
        }
    };
}
pub(crate) use multiversion;

/// `a` if `test`, else `b`, both computed: a branch would keep the loop from
/// becoming vector code.
#[inline(always)]
fn select(test: bool, a: f32, b: f32) -> f32 {
    std::hint::select_unpredictable(test, a, b)
}

/// Horner's rule; the first coefficient is the constant.
#[inline(always)]
fn poly<I: Isa, const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut r = c[N - 1];
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        r = I::fma(r, x, c[i]);
    }
    r
}

const LOG2E: f32 = std::f32::consts::LOG2_E;
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;
/// Adding and subtracting it rounds to an integer.
const MAGIC: f32 = 12_582_912.0;

/// `2^n` for n in -126..=127.
#[inline(always)]
fn pow2(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `x = n ln 2 + r`; n and `e^r - 1`. NaN stays in the second.
#[inline(always)]
fn exp_parts<I: Isa>(x: f32) -> (i32, f32) {
    let k = I::fma(x, LOG2E, MAGIC);
    let n = (k.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32);
    let k = k - MAGIC;
    let r = I::fma(-k, LN2_LO, I::fma(-k, LN2_HI, x));
    // In pairs, which wait for each other less than Horner's rule does.
    let r2 = r * r;
    let p = I::fma(0.166_666_66, r, 0.5);
    let q = I::fma(0.008_333_504, r, 0.041_666_28);
    let s = I::fma(0.000_197_892_62, r, 0.001_394_575_2);
    let p = I::fma(I::fma(s, r2, q), r2, p);
    (n, I::fma(r2, p, r))
}

/// Keeps `x` within the bounds; NaN stays.
#[inline(always)]
fn clamp(x: f32, lo: f32, hi: f32) -> f32 {
    let x = select(x < lo, lo, x);
    select(x > hi, hi, x)
}

/// `e^x` as two factors, the first in full precision even where the product is
/// too small for it (down to x = -126), the second a power of 2.
#[inline(always)]
fn exp_factors<I: Isa>(x: f32) -> (f32, f32) {
    let (n, em1) = exp_parts::<I>(clamp(x, -126.0, 90.0));
    let h = n >> 1;
    ((em1 + 1.0) * pow2(h), pow2(n - h))
}

#[inline(always)]
pub fn exp<I: Isa>(x: f32) -> f32 {
    let (a, b) = exp_factors::<I>(x);
    a * b
}

#[inline(always)]
pub fn expm1<I: Isa>(x: f32) -> f32 {
    let (n, em1) = exp_parts::<I>(clamp(x, -30.0, 90.0));
    let h = std::hint::select_unpredictable(n > 64, 64, 0);
    let s = pow2(n - h);
    // Beyond 2^64 the 1 no longer counts.
    let r = I::fma(em1, s, s - select(h > 0, 0.0, 1.0)) * pow2(h);
    // Keeps -0 and denormals.
    select(x.abs() < 1e-8, x, r)
}

/// `x = 2^k (1 + f)` with `1 + f` in [sqrt(1/2), sqrt(2)), for positive normal x.
#[inline(always)]
fn log_parts(x: f32) -> (f32, f32) {
    const HALF_SQRT: i32 = 0x3f35_04f3;
    let b = (x.to_bits() as i32).wrapping_sub(HALF_SQRT);
    let k = b >> 23;
    let m = f32::from_bits((b & 0x007f_ffff).wrapping_add(HALF_SQRT) as u32);
    (k as f32, m - 1.0)
}

/// `k ln 2 + log(1 + f) + c`.
#[inline(always)]
fn log_sum<I: Isa>(k: f32, f: f32, c: f32) -> f32 {
    let p = poly::<I, 9>(
        f,
        [
            0.333_333_13,
            -0.250_000_1,
            0.200_021_19,
            -0.166_679_96,
            0.142_195_52,
            -0.124_055_89,
            0.118_881_635,
            -0.116_756_506,
            0.067_466_356,
        ],
    );
    let f2 = f * f;
    let tail = I::fma(k, LN2_LO, c);
    let tail = I::fma(-0.5, f2, I::fma(f2 * f, p, tail));
    I::fma(k, LN2_HI, f + tail)
}

#[inline(always)]
pub fn log<I: Isa>(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let (k, f) = log_parts(select(tiny, x * 16_777_216.0, x));
    let r = log_sum::<I>(select(tiny, k - 24.0, k), f, 0.0);
    let r = select(x < f32::INFINITY, r, x);
    let r = select(x > 0.0, r, f32::NAN);
    select(x == 0.0, f32::NEG_INFINITY, r)
}

#[inline(always)]
pub fn log1p<I: Isa>(x: f32) -> f32 {
    let u = 1.0 + x;
    let (k, f) = log_parts(u);
    // What rounding lost in 1 + x, relative to it.
    let c = select(k > 1.0, 1.0 - (u - x), x - (u - 1.0)) / u;
    let near = k == 0.0;
    let r = log_sum::<I>(k, select(near, x, f), select(near, 0.0, c));
    let r = select(x < f32::INFINITY, r, x);
    let r = select(x > -1.0, r, f32::NAN);
    let r = select(x == -1.0, f32::NEG_INFINITY, r);
    select(x.abs() < 1e-8, x, r)
}

#[inline(always)]
pub fn tanh<I: Isa>(x: f32) -> f32 {
    let t = x.abs();
    let z = x * x;
    let p = poly::<I, 5>(
        z,
        [
            -0.333_332_78,
            0.133_313_31,
            -0.053_730_007,
            0.020_606_177,
            -0.005_666_977_3,
        ],
    );
    let near = I::fma(p * z, x, x);
    let far = 1.0 - 2.0 / (exp::<I>(2.0 * t) + 1.0);
    select(t < 0.625, near, far.copysign(x))
}

/// Beyond it [`sin`] and [`cos`] lose what reduces their argument.
pub const TURNS: f32 = 8192.0;
const PI_2_HI: f32 = 1.570_796_4;
const PI_2_MID: f32 = -4.371_139e-8;
const PI_2_LO: f32 = -1.715_124_6e-15;

/// `x = q pi/2 + r`: sine and cosine of r, and the quarter q.
#[inline(always)]
fn sin_cos_parts<I: Isa>(x: f32) -> (f32, f32, u32) {
    let k = I::fma(x, std::f32::consts::FRAC_2_PI, MAGIC);
    let quarter = k.to_bits();
    let k = MAGIC - k;
    let r = I::fma(k, PI_2_LO, I::fma(k, PI_2_MID, I::fma(k, PI_2_HI, x)));
    let z = r * r;
    let p = poly::<I, 3>(z, [-0.166_666_55, 0.008_332_176, -0.000_195_169_78]);
    let sin = I::fma(p * z, r, r);
    let p = poly::<I, 3>(z, [0.041_666_646, -0.001_388_736_4, 0.000_024_438_09]);
    let cos = I::fma(z * z, p, I::fma(-0.5, z, 1.0));
    (sin, cos, quarter)
}

/// For x within [`TURNS`].
#[inline(always)]
pub fn sin<I: Isa>(x: f32) -> f32 {
    let (sin, cos, quarter) = sin_cos_parts::<I>(x);
    let v = select(quarter & 1 == 0, sin, cos);
    f32::from_bits(v.to_bits() ^ (quarter & 2) << 30)
}

/// For x within [`TURNS`].
#[inline(always)]
pub fn cos<I: Isa>(x: f32) -> f32 {
    let (sin, cos, quarter) = sin_cos_parts::<I>(x);
    let v = select(quarter & 1 == 0, cos, sin);
    f32::from_bits(v.to_bits() ^ (quarter.wrapping_add(1) & 2) << 30)
}

/// The angle whose tangent is `low / high`, for 0 <= low <= high.
#[inline(always)]
fn angle<I: Isa>(low: f32, high: f32) -> f32 {
    const EIGHTH: f32 = 0.414_213_57;
    let t = low / high;
    let far = t > EIGHTH;
    let r = select(far, (t - 1.0) / (t + 1.0), t);
    let z = r * r;
    let c = [-0.333_329_53, 0.199_778_68, -0.138_791_52, 0.080_578_76];
    let a = I::fma(poly::<I, 4>(z, c) * z, r, r);
    select(far, std::f32::consts::FRAC_PI_4 + a, a)
}

#[inline(always)]
pub fn atan<I: Isa>(x: f32) -> f32 {
    let t = x.abs();
    let steep = t > 1.0;
    let a = angle::<I>(select(steep, 1.0, t), select(steep, t, 1.0));
    let a = select(steep, std::f32::consts::FRAC_PI_2 - a, a);
    a.copysign(x)
}

/// For y and x that are finite and not both 0.
#[inline(always)]
pub fn atan2<I: Isa>(y: f32, x: f32) -> f32 {
    let (up, along) = (y.abs(), x.abs());
    let steep = up > along;
    let a = angle::<I>(select(steep, along, up), select(steep, up, along));
    let a = select(steep, std::f32::consts::FRAC_PI_2 - a, a);
    let a = select(x < 0.0, std::f32::consts::PI - a, a);
    a.copysign(y)
}

#[inline(always)]
pub fn sigmoid<I: Isa>(x: f32) -> f32 {
    let e = exp::<I>(-x.abs());
    select(x < 0.0, e, 1.0) / (1.0 + e)
}

#[inline(always)]
pub fn silu<I: Isa>(x: f32) -> f32 {
    let (a, b) = exp_factors::<I>(-x.abs());
    let d = 1.0 + a * b;
    // So that -inf gives NaN, as in Keras, and not -inf.
    let a = select(x < -126.0, 0.0, a);
    let negative = x < 0.0;
    x * select(negative, a, 1.0) / d * select(negative, b, 1.0)
}

#[inline(always)]
pub fn softplus<I: Isa>(x: f32) -> f32 {
    let tail = log1p::<I>(exp::<I>(-x.abs()));
    select(x > 0.0, x + tail, tail)
}

#[inline(always)]
pub fn erf<I: Isa>(x: f32) -> f32 {
    let t = x.abs();
    let near = poly::<I, 6>(
        x * x,
        [
            0.128_379_14,
            -0.376_124_47,
            0.112_813_21,
            -0.026_748_871,
            0.004_967_513_5,
            -0.000_586_211,
        ],
    );
    // erfc(t) = exp(-t - t q(t))
    let tc = select(t > 4.0, 4.0, t);
    let q = poly::<I, 7>(
        tc,
        [
            0.128_637_08,
            0.635_198_06,
            0.106_159_03,
            -0.023_694_55,
            0.003_610_334_4,
            -0.000_314_856_15,
            1.043_290_65e-5,
        ],
    );
    let far = 1.0 - exp::<I>(-I::fma(q, tc, tc));
    select(t < 0.9375, I::fma(near, x, x), far.copysign(x))
}

/// `x * Phi(x)`, with relative accuracy in the tail.
#[inline(always)]
pub fn gelu<I: Isa>(x: f32) -> f32 {
    let a = x.abs();
    let a = select(a > 14.5, 14.5, a);
    // Phi(-a) = exp(-a^2 / 2) g(a), g smooth: a polynomial in (a - 4) / (a + 4).
    let t = 1.0 / (a + 4.0);
    let g = t * poly::<I, 10>(
        (a - 4.0) * t,
        [
            0.755_285_14,
            -0.607_896_57,
            0.387_136_9,
            -0.186_523_44,
            0.060_403_83,
            -0.007_525_271_3,
            -0.003_512_553_9,
            0.001_569_923_5,
            0.000_179_354_23,
            -0.000_131_971_8,
        ],
    );
    let h = a * a;
    let low = I::fma(a, a, -h);
    let (e, b) = exp_factors::<I>(-0.5 * h);
    let phi = I::fma(-0.5 * low, e, e) * g;
    let phi = select(x < -14.5, 0.0, phi);
    // Near 0 the deviation from one half.
    let near = poly::<I, 6>(
        h,
        [
            0.398_942_3,
            -0.066_490_35,
            0.009_973_267,
            -0.001_186_185_7,
            0.000_113_331_03,
            -7.594_733_7e-6,
        ],
    );
    let far = select(x > 0.0, x * (1.0 - phi * b), x * phi * b);
    select(a < 1.0, x * I::fma(near, x, 0.5), far)
}

/// The tanh approximation: `x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))`.
#[inline(always)]
pub fn gelu_tanh<I: Isa>(x: f32) -> f32 {
    const C: f32 = 0.797_884_6;
    let inner = C * x * I::fma(0.044_715 * x, x, 1.0);
    0.5 * x * (1.0 + tanh::<I>(inner))
}

#[inline(always)]
pub fn elu<I: Isa>(x: f32, alpha: f32) -> f32 {
    select(x > 0.0, x, alpha * expm1::<I>(x))
}

pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
pub const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// The nearest number with three fractional bits, half to even, of at least
/// float8 e4m3fn's smallest step, 2^-9.
pub fn round_e4m3(x: f64) -> f64 {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    let step = f64::from_bits(((exponent.max(-6) - 3 + 1023) as u64) << 52);
    match x.is_finite() {
        true => (x / step).round_ties_even() * step,
        false => x,
    }
}

/// The inverse of erf: a rational estimate, then two steps of Halley's method.
pub fn erfinv(x: f64) -> f64 {
    if x.is_nan() || x.abs() >= 1.0 {
        return match x {
            1.0 => f64::INFINITY,
            -1.0 => f64::NEG_INFINITY,
            _ => f64::NAN,
        };
    }
    if x == 0.0 {
        return x;
    }
    let (a, c) = (x.abs(), 1.0 - x.abs());
    // Winitzki's estimate.
    let l = ((1.0 - a) * (1.0 + a)).ln();
    let b = 2.0 / (std::f64::consts::PI * 0.147) + l / 2.0;
    let mut y = ((b * b - l / 0.147).sqrt() - b).max(0.0).sqrt();
    for _ in 0..3 {
        // In the tail, the complement keeps the digits.
        let err = if a < 0.5 {
            libm::erf(y) - a
        } else {
            c - libm::erfc(y)
        };
        let step = err / (std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// `log |gamma(x)|`; infinite at 0 and the negative integers.
pub fn lgamma(x: f64) -> f64 {
    if x.is_infinite() {
        return f64::INFINITY;
    }
    libm::lgamma(x)
}

/// The modified Bessel function of the first kind and order 0: its power series,
/// or the asymptotic one.
pub fn bessel_i0(x: f64) -> f64 {
    let x = x.abs();
    if x < 20.0 {
        let square = x * x / 4.0;
        let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
        while term > sum * f64::EPSILON {
            term *= square / (k * k);
            sum += term;
            k += 1.0;
        }
        return if x.is_nan() { x } else { sum };
    }
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..20 {
        let odd = f64::from(2 * k - 1);
        term *= odd * odd / (8.0 * x * f64::from(k));
        sum += term;
    }
    // In two factors, of which neither overflows before the product does.
    let half = (x / 2.0).exp();
    half / (2.0 * std::f64::consts::PI * x).sqrt() * sum * half
}

/// The derivative of `log gamma`; NaN at 0 and the negative integers, as TensorFlow's.
pub fn digamma(x: f64) -> f64 {
    if x <= 0.0 && (x == x.floor() || x.is_infinite()) {
        return f64::NAN;
    }
    if x < 0.5 {
        // Reflection; the tangent's period is 1.
        let r = x - x.round();
        let pi = std::f64::consts::PI;
        return digamma(1.0 - x) - pi / (pi * r).tan();
    }
    let (mut x, mut r) = (x, 0.0);
    while x < 10.0 {
        r -= 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    // Bernoulli numbers over 2k.
    let tail = z
        * (1.0 / 12.0
            - z * (1.0 / 120.0
                - z * (1.0 / 252.0
                    - z * (1.0 / 240.0 - z * (1.0 / 132.0 - z * (691.0 / 32760.0 - z / 12.0))))));
    r + x.ln() - 0.5 / x - tail
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Floats of all signs, exponents and many mantissas, and the odd ones.
    fn sweep() -> impl Iterator<Item = f32> {
        let odd = [
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MIN_POSITIVE,
            f32::MAX,
            1.0,
            -1.0,
        ];
        let bits = (0..u32::MAX).step_by(2039).map(f32::from_bits);
        bits.filter(|x| !x.is_nan()).chain(odd)
    }

    /// The error in units of the last place of a f32.
    fn ulps(got: f32, want: f64) -> f64 {
        let nearest = want as f32;
        if got == nearest || (got.is_nan() && nearest.is_nan()) {
            return 0.0;
        }
        if !got.is_finite() || !nearest.is_finite() {
            // Just beyond the largest float.
            let edge = want.abs() > f32::MAX as f64 * (1.0 - 1e-6) && !got.is_nan();
            return if edge { 1.0 } else { f64::INFINITY };
        }
        let exponent = (nearest.to_bits() >> 23 & 255).max(1) as i32;
        (got as f64 - want).abs() / 2f64.powi(exponent - 150)
    }

    fn sigmoid64(x: f64) -> f64 {
        let e = (-x.abs()).exp();
        (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
    }

    fn gelu64(x: f64) -> f64 {
        0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
    }

    #[test]
    fn functions_are_within_a_few_ulps() {
        type Case = (&'static str, f64, fn(f32) -> f32, fn(f64) -> f64);
        let cases: &[Case] = &[
            ("exp", 1.0, exp::<Fused>, f64::exp),
            ("expm1", 1.5, expm1::<Fused>, f64::exp_m1),
            ("log", 1.0, log::<Fused>, f64::ln),
            ("log1p", 1.0, log1p::<Fused>, f64::ln_1p),
            ("tanh", 1.5, tanh::<Fused>, f64::tanh),
            ("sin", 1.5, sin::<Fused>, f64::sin),
            ("cos", 1.6, cos::<Fused>, f64::cos),
            ("atan", 2.7, atan::<Fused>, f64::atan),
            ("sigmoid", 2.1, sigmoid::<Fused>, sigmoid64),
            ("silu", 3.0, silu::<Fused>, |x| x * sigmoid64(x)),
            ("softplus", 1.6, softplus::<Fused>, |x| {
                x.max(0.0) + (-x.abs()).exp().ln_1p()
            }),
            ("erf", 1.5, erf::<Fused>, libm::erf),
            ("gelu", 4.5, gelu::<Fused>, gelu64),
        ];
        let mut failed = Vec::new();
        for (name, limit, f, oracle) in cases {
            let mut worst = (0.0, 0.0);
            let turns = matches!(*name, "sin" | "cos");
            for x in sweep().filter(|x| !turns || x.abs() <= TURNS) {
                let err = ulps(f(x), oracle(x as f64));
                if err > worst.0 {
                    worst = (err, x);
                }
            }
            println!("{name}: {:.2} ulp at {:e}", worst.0, worst.1);
            if worst.0 > *limit {
                failed.push((name, worst));
            }
            assert!(f(f32::NAN).is_nan(), "{name}");
        }
        assert!(failed.is_empty(), "{failed:?}");
    }

    #[test]
    fn both_ways_give_the_same_bits() {
        type Pair = (fn(f32) -> f32, fn(f32) -> f32);
        let pairs: &[Pair] = &[
            (exp::<Fused>, exp::<Portable>),
            (expm1::<Fused>, expm1::<Portable>),
            (log1p::<Fused>, log1p::<Portable>),
            (erf::<Fused>, erf::<Portable>),
            (gelu::<Fused>, gelu::<Portable>),
            (gelu_tanh::<Fused>, gelu_tanh::<Portable>),
        ];
        for (fused, portable) in pairs {
            for x in sweep().step_by(7) {
                let (a, b) = (fused(x), portable(x));
                assert!(
                    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                    "{x:e}"
                );
            }
        }
        let mut bits = 1u32;
        let mut next = || {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from_bits(bits)
        };
        for _ in 0..1_000_000 {
            let (a, b, c) = (next(), next(), next());
            let (x, y) = (Fused::fma(a, b, c), Portable::fma(a, b, c));
            assert!(
                x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()),
                "{a:e} {b:e} {c:e}"
            );
            // Sums that cancel.
            let c = -(a * b);
            let (x, y) = (Fused::fma(a, b, c), Portable::fma(a, b, c));
            assert!(
                x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()),
                "{a:e} {b:e} {c:e}"
            );
        }
    }

    #[test]
    fn special_functions() {
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-13 * b.abs().max(1e-3), "{a} {b}");
        for i in 1..200 {
            for x in [
                i as f64 / 200.0,
                1.0 - 0.5f64.powi(i.min(50)),
                10f64.powi(-i),
            ] {
                let y = erfinv(x);
                // Through the complement where that is the one that tells.
                near(libm::erf(y), x);
                let tail = libm::erfc(y) / (1.0 - x) - 1.0;
                assert!(tail.abs() < 1e-11, "{x} {tail}");
                assert_eq!(erfinv(-x), -y);
            }
        }
        assert_eq!(erfinv(1.0), f64::INFINITY);
        assert!(erfinv(1.5).is_nan() && erfinv(f64::NAN).is_nan());
        near(digamma(1.0), -0.577_215_664_901_532_9);
        near(digamma(0.5), -1.963_510_026_021_423_5);
        near(digamma(-1.5), 0.703_156_640_645_243_2);
        near(digamma(1e10), 23.025_850_929_890_46);
        assert!(digamma(0.0).is_nan() && digamma(-3.0).is_nan() && digamma(f64::NAN).is_nan());
        assert_eq!(digamma(f64::INFINITY), f64::INFINITY);
        near(lgamma(-1.5), 0.860_047_015_376_481);
        assert_eq!(lgamma(0.0), f64::INFINITY);
        assert_eq!(lgamma(-2.0), f64::INFINITY);
    }
}
