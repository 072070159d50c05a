//! The functions of registers: one loop for each function and class.

use super::register::{cast, input, map, output, Class};
use crate::graph::{Binary, Unary};
use crate::kernels::special::{self, special};
use crate::kernels::vecmath::{self, multiversion, Isa};
use crate::tensor::DType;

/// What a step computes, with the dtype of its operands.
#[derive(Copy, Clone, Debug)]
pub(super) enum Code {
    Unary(Unary, DType),
    Binary(Binary, DType),
    Select(DType),
    Cast(DType, DType),
}
/// One step on one block.
///
/// # Safety
/// Operands and `dst` must be registers of `n` elements of the step's classes,
/// `dst` apart from the operands.
pub(super) unsafe fn exec(
    code: Code,
    a: *const u8,
    b: *const u8,
    c: *const u8,
    dst: *mut u8,
    n: usize,
) {
    match code {
        Code::Unary(op, dtype) => match (op, Class::of(dtype)) {
            (Unary::IsNan | Unary::IsInf | Unary::IsFinite, class) => {
                let d = output::<u8>(dst, n);
                match class {
                    Class::F32 => test_f32(op, input(a, n), d),
                    Class::F64 => test_f64(op, input(a, n), d),
                    _ => d.fill((op == Unary::IsFinite) as u8),
                }
            }
            (op, Class::F32) => unary_f32(op, input(a, n), output(dst, n)),
            (op, Class::F64) => unary_f64(op, input(a, n), output(dst, n)),
            (op, Class::Int) => unary_int(op, dtype == DType::U64, input(a, n), output(dst, n)),
            (Unary::Not, Class::Bool) => {
                map!(output::<u8>(dst, n), v = input::<u8>(a, n) => v ^ 1)
            }
            (_, Class::Bool) => output::<u8>(dst, n).copy_from_slice(input(a, n)),
        },
        Code::Binary(op, dtype) => match (op.is_comparison(), Class::of(dtype)) {
            (true, Class::F32) => compare_f32(op, input(a, n), input(b, n), output(dst, n)),
            (true, Class::F64) => compare_f64(op, input(a, n), input(b, n), output(dst, n)),
            (true, Class::Int) if dtype == DType::U64 => {
                compare_u64(op, input(a, n), input(b, n), output(dst, n))
            }
            (true, Class::Int) => compare_i64(op, input(a, n), input(b, n), output(dst, n)),
            (true, Class::Bool) => compare_u8(op, input(a, n), input(b, n), output(dst, n)),
            (_, Class::F32) if op == Binary::Atan2 => {
                atan2_f32(input(a, n), input(b, n), output(dst, n))
            }
            (_, Class::F32) => binary_f32(op, input(a, n), input(b, n), output(dst, n)),
            (_, Class::F64) => binary_f64(op, input(a, n), input(b, n), output(dst, n)),
            (_, Class::Int) => binary_int(op, dtype, input(a, n), input(b, n), output(dst, n)),
            (_, Class::Bool) => {
                let (x, y, d) = (input::<u8>(a, n), input::<u8>(b, n), output::<u8>(dst, n));
                match op {
                    Binary::Mul | Binary::Min | Binary::And => map!(d, v = x, w = y => v & w),
                    Binary::Xor => map!(d, v = x, w = y => v ^ w),
                    _ => map!(d, v = x, w = y => v | w),
                }
            }
        },
        Code::Select(dtype) => match Class::of(dtype).size() {
            1 => select_1(input(a, n), input(b, n), input(c, n), output(dst, n)),
            4 => select_4(input(a, n), input(b, n), input(c, n), output(dst, n)),
            _ => select_8(input(a, n), input(b, n), input(c, n), output(dst, n)),
        },
        Code::Cast(from, to) => cast(from, to, a, dst, n),
    }
}

macro_rules! select {
    ($name:ident, $body:ident, $t:ty) => {
        #[inline(always)]
        fn $body(c: &[u8], x: &[$t], y: &[$t], d: &mut [$t]) {
            for (((d, &c), &x), &y) in d.iter_mut().zip(c).zip(x).zip(y) {
                // Bits by a mask: what vector code does best.
                let mask = (c as $t).wrapping_neg();
                *d = (x & mask) | (y & !mask);
            }
        }
        multiversion!(fn $name(c: &[u8], x: &[$t], y: &[$t], d: &mut [$t]) = $body);
    };
}
select!(select_1, select_1_body, u8);
select!(select_4, select_4_body, u32);
select!(select_8, select_8_body, u64);

macro_rules! compare {
    ($name:ident, $body:ident, $t:ty) => {
        #[inline(always)]
        fn $body(op: Binary, x: &[$t], y: &[$t], d: &mut [u8]) {
            match op {
                Binary::Eq => map!(d, v = x, w = y => (v == w) as u8),
                Binary::Ne => map!(d, v = x, w = y => (v != w) as u8),
                Binary::Lt => map!(d, v = x, w = y => (v < w) as u8),
                Binary::Le => map!(d, v = x, w = y => (v <= w) as u8),
                Binary::Gt => map!(d, v = x, w = y => (v > w) as u8),
                _ => map!(d, v = x, w = y => (v >= w) as u8),
            }
        }
        multiversion!(fn $name(op: Binary, x: &[$t], y: &[$t], d: &mut [u8]) = $body);
    };
}
compare!(compare_f32, compare_f32_body, f32);
compare!(compare_f64, compare_f64_body, f64);
compare!(compare_i64, compare_i64_body, i64);
compare!(compare_u64, compare_u64_body, u64);
compare!(compare_u8, compare_u8_body, u8);

macro_rules! float {
    ($t:ty, $test:ident, $test_body:ident, $binary:ident, $binary_body:ident, $rest:ident) => {
        #[inline(always)]
        fn $test_body(op: Unary, x: &[$t], d: &mut [u8]) {
            match op {
                Unary::IsNan => map!(d, v = x => v.is_nan() as u8),
                Unary::IsInf => map!(d, v = x => v.is_infinite() as u8),
                _ => map!(d, v = x => v.is_finite() as u8),
            }
        }
        multiversion!(fn $test(op: Unary, x: &[$t], d: &mut [u8]) = $test_body);

        #[inline(always)]
        fn $binary_body(op: Binary, x: &[$t], y: &[$t], d: &mut [$t]) {
            match op {
                Binary::Add => map!(d, v = x, w = y => v + w),
                Binary::Sub => map!(d, v = x, w = y => v - w),
                Binary::Mul => map!(d, v = x, w = y => v * w),
                Binary::Div => map!(d, v = x, w = y => v / w),
                // As TensorFlow: the floor of the rounded quotient.
                Binary::FloorDiv => map!(d, v = x, w = y => (v / w).floor()),
                Binary::Mod => map!(d, v = x, w = y => {
                    let r = v % w;
                    if r != 0.0 && (r < 0.0) != (w < 0.0) { r + w } else { r }
                }),
                Binary::Max => map!(d, v = x, w = y => if v > w || v.is_nan() { v } else { w }),
                Binary::Min => map!(d, v = x, w = y => if v < w || v.is_nan() { v } else { w }),
                Binary::Pow => map!(d, v = x, w = y => v.powf(w)),
                Binary::Igamma | Binary::Igammac | Binary::Zeta | Binary::Polygamma => {
                    let f = special::of_two(op);
                    map!(d, v = x, w = y => f(v as f64, w as f64) as $t)
                }
                _ => map!(d, v = x, w = y => v.atan2(w)),
            }
        }
        multiversion!(fn $binary(op: Binary, x: &[$t], y: &[$t], d: &mut [$t]) = $binary_body);

        /// What std computes, element by element.
        fn $rest(op: Unary, x: &[$t], d: &mut [$t]) {
            const HALF: $t = 0.5;
            match op {
                Unary::Neg => map!(d, v = x => -v),
                Unary::Abs => map!(d, v = x => v.abs()),
                Unary::Sign => map!(d, v = x => if v > 0.0 { 1.0 } else if v < 0.0 { -1.0 } else { v }),
                Unary::Floor => map!(d, v = x => v.floor()),
                Unary::Ceil => map!(d, v = x => v.ceil()),
                Unary::Trunc => map!(d, v = x => v.trunc()),
                Unary::Round => map!(d, v = x => v.round_ties_even()),
                Unary::Sqrt => map!(d, v = x => v.sqrt()),
                Unary::Rsqrt => map!(d, v = x => 1.0 / v.sqrt()),
                Unary::Square => map!(d, v = x => v * v),
                Unary::Reciprocal => map!(d, v = x => 1.0 / v),
                Unary::Exp => map!(d, v = x => v.exp()),
                Unary::Exp2 => map!(d, v = x => v.exp2()),
                Unary::Expm1 => map!(d, v = x => v.exp_m1()),
                Unary::Log => map!(d, v = x => v.ln()),
                Unary::Log2 => map!(d, v = x => v.log2()),
                Unary::Log10 => map!(d, v = x => v.log10()),
                Unary::Log1p => map!(d, v = x => v.ln_1p()),
                Unary::Sin => map!(d, v = x => v.sin()),
                Unary::Cos => map!(d, v = x => v.cos()),
                Unary::Tan => map!(d, v = x => v.tan()),
                Unary::Asin => map!(d, v = x => v.asin()),
                Unary::Acos => map!(d, v = x => v.acos()),
                Unary::Atan => map!(d, v = x => v.atan()),
                Unary::Sinh => map!(d, v = x => v.sinh()),
                Unary::Cosh => map!(d, v = x => v.cosh()),
                Unary::Tanh => map!(d, v = x => v.tanh()),
                Unary::Asinh => map!(d, v = x => v.asinh()),
                Unary::Acosh => map!(d, v = x => v.acosh()),
                Unary::Atanh => map!(d, v = x => v.atanh()),
                Unary::RoundE4M3 => map!(d, v = x => vecmath::round_e4m3(v as f64) as $t),
                Unary::Erf => map!(d, v = x => libm::erf(v as f64) as $t),
                Unary::Erfinv => map!(d, v = x => vecmath::erfinv(v as f64) as $t),
                Unary::Lgamma => map!(d, v = x => vecmath::lgamma(v as f64) as $t),
                Unary::Digamma => map!(d, v = x => vecmath::digamma(v as f64) as $t),
                Unary::BesselI0 => map!(d, v = x => vecmath::bessel_i0(v as f64) as $t),
                Unary::Special(f) => map!(d, v = x => special(f, v as f64) as $t),
                Unary::Sigmoid => map!(d, v = x => {
                    let e = (-v.abs()).exp();
                    (if v < 0.0 { e } else { 1.0 }) / (1.0 + e)
                }),
                Unary::Softplus => map!(d, v = x => {
                    let t = (-v.abs()).exp().ln_1p();
                    if v > 0.0 { v + t } else { t }
                }),
                Unary::Silu => map!(d, v = x => {
                    let e = (-v.abs()).exp();
                    (if v < 0.0 { v * e } else { v }) / (1.0 + e)
                }),
                Unary::Gelu => map!(d, v = x => {
                    let z = v as f64 * std::f64::consts::FRAC_1_SQRT_2;
                    HALF * v * libm::erfc(-z) as $t
                }),
                Unary::GeluTanh => map!(d, v = x => {
                    let c = std::f64::consts::FRAC_2_PI.sqrt() as $t;
                    HALF * v * (1.0 + (c * (v + 0.044715 * v * v * v)).tanh())
                }),
                Unary::Relu => map!(d, v = x => if v < 0.0 { 0.0 } else { v }),
                Unary::Elu(a) => map!(d, v = x => if v > 0.0 { v } else { a.0 as $t * v.exp_m1() }),
                Unary::Selu => map!(d, v = x => {
                    let s = if v > 0.0 { v } else { vecmath::SELU_ALPHA as $t * v.exp_m1() };
                    vecmath::SELU_SCALE as $t * s
                }),
                Unary::LeakyRelu(a) => map!(d, v = x => if v > 0.0 { v } else { a.0 as $t * v }),
                // Tests have bool results and go another way.
                Unary::Not | Unary::IsNan | Unary::IsInf | Unary::IsFinite => {}
            }
        }
    };
}
float!(
    f32,
    test_f32,
    test_f32_body,
    binary_f32,
    binary_f32_body,
    unary_f32_std
);
float!(
    f64,
    test_f64,
    test_f64_body,
    binary_f64,
    binary_f64_body,
    unary_f64
);

/// Sines and the like of what is too large (or not finite) for a short reduction.
#[inline(always)]
fn many_turns(x: &[f32], d: &mut [f32], f: impl Fn(f32) -> f32) {
    let few = |v: &f32| v.abs() <= vecmath::TURNS;
    if x.iter().fold(true, |all, v| all & few(v)) {
        return;
    }
    for (d, v) in d.iter_mut().zip(x).filter(|(_, v)| !few(v)) {
        *d = f(*v);
    }
}

#[inline(always)]
fn atan2_f32_body<I: Isa>(y: &[f32], x: &[f32], d: &mut [f32]) {
    map!(d, v = y, w = x => vecmath::atan2::<I>(v, w));
    for ((d, &y), &x) in d.iter_mut().zip(y).zip(x) {
        let size = y.abs() + x.abs();
        if !(size > 0.0 && size < f32::INFINITY) {
            *d = y.atan2(x);
        }
    }
}
multiversion!(fn atan2_f32(y: &[f32], x: &[f32], d: &mut [f32]) = atan2_f32_body::<_>);

#[inline(always)]
fn unary_f32_body<I: Isa>(op: Unary, x: &[f32], d: &mut [f32]) {
    match op {
        Unary::Neg => map!(d, v = x => -v),
        Unary::Abs => map!(d, v = x => v.abs()),
        Unary::Floor => map!(d, v = x => v.floor()),
        Unary::Ceil => map!(d, v = x => v.ceil()),
        Unary::Trunc => map!(d, v = x => v.trunc()),
        Unary::Round => map!(d, v = x => v.round_ties_even()),
        Unary::Sqrt => map!(d, v = x => v.sqrt()),
        Unary::Rsqrt => map!(d, v = x => 1.0 / v.sqrt()),
        Unary::Square => map!(d, v = x => v * v),
        Unary::Reciprocal => map!(d, v = x => 1.0 / v),
        Unary::Exp => map!(d, v = x => vecmath::exp::<I>(v)),
        Unary::Expm1 => map!(d, v = x => vecmath::expm1::<I>(v)),
        Unary::Log => map!(d, v = x => vecmath::log::<I>(v)),
        // As Keras: quotients of natural logarithms.
        Unary::Log2 => map!(d, v = x => vecmath::log::<I>(v) / std::f32::consts::LN_2),
        Unary::Log10 => map!(d, v = x => vecmath::log::<I>(v) / std::f32::consts::LN_10),
        Unary::Log1p => map!(d, v = x => vecmath::log1p::<I>(v)),
        Unary::Tanh => map!(d, v = x => vecmath::tanh::<I>(v)),
        Unary::Erf => map!(d, v = x => vecmath::erf::<I>(v)),
        Unary::Sin => {
            map!(d, v = x => vecmath::sin::<I>(v));
            many_turns(x, d, f32::sin);
        }
        Unary::Cos => {
            map!(d, v = x => vecmath::cos::<I>(v));
            many_turns(x, d, f32::cos);
        }
        Unary::Tan => {
            map!(d, v = x => vecmath::sin::<I>(v) / vecmath::cos::<I>(v));
            many_turns(x, d, f32::tan);
        }
        Unary::Atan => map!(d, v = x => vecmath::atan::<I>(v)),
        Unary::Sigmoid => map!(d, v = x => vecmath::sigmoid::<I>(v)),
        Unary::Softplus => map!(d, v = x => vecmath::softplus::<I>(v)),
        Unary::Silu => map!(d, v = x => vecmath::silu::<I>(v)),
        Unary::Gelu => map!(d, v = x => vecmath::gelu::<I>(v)),
        Unary::GeluTanh => map!(d, v = x => vecmath::gelu_tanh::<I>(v)),
        Unary::Relu => map!(d, v = x => if v < 0.0 { 0.0 } else { v }),
        Unary::Elu(a) => map!(d, v = x => vecmath::elu::<I>(v, a.0 as f32)),
        Unary::Selu => map!(d, v = x => {
            vecmath::SELU_SCALE as f32 * vecmath::elu::<I>(v, vecmath::SELU_ALPHA as f32)
        }),
        Unary::LeakyRelu(a) => map!(d, v = x => if v > 0.0 { v } else { a.0 as f32 * v }),
        _ => unary_f32_std(op, x, d),
    }
}
multiversion! {
    /// A function of each element of `x`, as [`Unary`] defines it, into `d`.
    pub fn unary_f32(op: Unary, x: &[f32], d: &mut [f32]) = unary_f32_body::<_>
}

fn unary_int(op: Unary, unsigned: bool, x: &[i64], d: &mut [i64]) {
    match op {
        Unary::Neg => map!(d, v = x => v.wrapping_neg()),
        Unary::Abs if !unsigned => map!(d, v = x => v.wrapping_abs()),
        Unary::Sign if !unsigned => map!(d, v = x => v.signum()),
        Unary::Sign => map!(d, v = x => (v != 0) as i64),
        Unary::Relu if !unsigned => map!(d, v = x => v.max(0)),
        Unary::Square => map!(d, v = x => v.wrapping_mul(v)),
        Unary::Not => map!(d, v = x => !v),
        Unary::Abs | Unary::Relu | Unary::Floor | Unary::Ceil | Unary::Trunc | Unary::Round => {
            d.copy_from_slice(x)
        }
        _ => {
            for (d, &v) in d.iter_mut().zip(x) {
                let v = if unsigned { v as u64 as f64 } else { v as f64 };
                let mut r = [0.0];
                unary_f64(op, &[v], &mut r);
                *d = if unsigned {
                    r[0] as u64 as i64
                } else {
                    r[0] as i64
                };
            }
        }
    }
}

/// `x^y` modulo 2^64; 0 for negative powers but those of 1 and -1.
fn pow_int(mut x: i64, y: i64, unsigned: bool) -> i64 {
    let mut y = match y {
        y if y >= 0 || unsigned => y as u64,
        _ => match x {
            1 => return 1,
            -1 => return if y & 1 == 0 { 1 } else { -1 },
            _ => return 0,
        },
    };
    let mut r = 1i64;
    while y > 0 {
        if y & 1 == 1 {
            r = r.wrapping_mul(x);
        }
        x = x.wrapping_mul(x);
        y >>= 1;
    }
    r
}

/// Euclid's algorithm on absolute values.
fn gcd(x: i64, y: i64, unsigned: bool) -> i64 {
    let size = |v: i64| if unsigned { v as u64 } else { v.unsigned_abs() };
    let (mut a, mut b) = (size(x), size(y));
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a as i64
}

/// Integers by 0 give 0, where TensorFlow fails.
fn binary_int(op: Binary, dtype: DType, x: &[i64], y: &[i64], d: &mut [i64]) {
    let unsigned = dtype == DType::U64;
    let u = |v: i64, w: i64, f: fn(u64, u64) -> u64| f(v as u64, w as u64) as i64;
    let top = dtype.size() as i64 * 8 - 1;
    // As TensorFlow: shifts are clamped to the width.
    let by = |w: i64| {
        if unsigned {
            (w as u64).min(63) as u32
        } else {
            w.clamp(0, top) as u32
        }
    };
    match op {
        Binary::Add => map!(d, v = x, w = y => v.wrapping_add(w)),
        Binary::Sub => map!(d, v = x, w = y => v.wrapping_sub(w)),
        Binary::Mul => map!(d, v = x, w = y => v.wrapping_mul(w)),
        _ if matches!(op, Binary::Div | Binary::FloorDiv) && unsigned => {
            map!(d, v = x, w = y => u(v, w, |v, w| v.checked_div(w).unwrap_or(0)))
        }
        Binary::Mod if unsigned => {
            map!(d, v = x, w = y => u(v, w, |v, w| v.checked_rem(w).unwrap_or(0)))
        }
        Binary::Max if unsigned => map!(d, v = x, w = y => u(v, w, u64::max)),
        Binary::Min if unsigned => map!(d, v = x, w = y => u(v, w, u64::min)),
        Binary::Shr if unsigned => map!(d, v = x, w = y => ((v as u64) >> by(w)) as i64),
        Binary::Div => map!(d, v = x, w = y => if w == 0 { 0 } else { v.wrapping_div(w) }),
        Binary::FloorDiv => map!(d, v = x, w = y => match w {
            0 => 0,
            _ => {
                let q = v.wrapping_div(w);
                q - (v.wrapping_rem(w) != 0 && (v < 0) != (w < 0)) as i64
            }
        }),
        Binary::Mod => map!(d, v = x, w = y => match w {
            0 => 0,
            _ => {
                let r = v.wrapping_rem(w);
                if r != 0 && (r < 0) != (w < 0) { r + w } else { r }
            }
        }),
        Binary::Max => map!(d, v = x, w = y => v.max(w)),
        Binary::Min => map!(d, v = x, w = y => v.min(w)),
        Binary::Pow => map!(d, v = x, w = y => pow_int(v, w, unsigned)),
        Binary::Gcd => map!(d, v = x, w = y => gcd(v, w, unsigned)),
        Binary::And => map!(d, v = x, w = y => v & w),
        Binary::Or => map!(d, v = x, w = y => v | w),
        Binary::Xor => map!(d, v = x, w = y => v ^ w),
        Binary::Shl => map!(d, v = x, w = y => v << by(w)),
        _ => map!(d, v = x, w = y => v >> by(w)),
    }
}
