//! Special functions of mathematics, in float64: exact to a few units of the last
//! place of a float32 at least.

use std::f64::consts::PI;

use super::vecmath::{digamma, lgamma};
use crate::graph::{Binary, Special};

const EULER: f64 = 0.577_215_664_901_532_9;

/// The function's value.
pub fn special(f: Special, x: f64) -> f64 {
    match f {
        Special::BesselJ0 => libm::j0(x),
        Special::BesselJ1 => libm::j1(x),
        Special::BesselY0 => libm::y0(x),
        Special::BesselY1 => libm::y1(x),
        Special::BesselK0 => bessel_k(0.0, x) * (-x).exp(),
        Special::BesselK1 => bessel_k(1.0, x) * (-x).exp(),
        Special::BesselK0e => bessel_k(0.0, x),
        Special::BesselK1e => bessel_k(1.0, x),
        Special::Dawson => dawson(x),
        Special::Expint => expint(x),
        Special::FresnelCos => fresnel(x, 0.5),
        Special::FresnelSin => fresnel(x, 1.5),
        Special::Spence => spence(x),
    }
}

/// A function of two numbers.
pub fn of_two(f: Binary) -> fn(f64, f64) -> f64 {
    match f {
        Binary::Igamma => igamma,
        Binary::Igammac => igammac,
        Binary::Zeta => zeta,
        _ => polygamma,
    }
}

/// The modified Bessel function of the second kind times `exp(x)`, by its integral,
/// for which the trapezoidal rule is exact.
fn bessel_k(order: f64, x: f64) -> f64 {
    match x {
        x if x.is_nan() || x < 0.0 => return f64::NAN,
        0.0 => return f64::INFINITY,
        f64::INFINITY => return 0.0,
        _ => {}
    }
    // Narrow where the integrand falls fast.
    let step = (1.0 / x.sqrt()).clamp(1e-8, 1.0) / 16.0;
    let (mut sum, mut t) = (0.5, step);
    loop {
        let half = (t / 2.0).sinh();
        let term = (-2.0 * x * half * half).exp() * (order * t).cosh();
        sum += term;
        if term <= sum * 1e-18 {
            return sum * step;
        }
        t += step;
    }
}

/// The integral of `exp(t) / t` from minus infinity on, of numbers that are not negative.
fn expint(x: f64) -> f64 {
    match x {
        x if x.is_nan() || x < 0.0 => f64::NAN,
        0.0 => f64::NEG_INFINITY,
        x if x < 40.0 => {
            let (mut term, mut sum, mut k) = (1.0, 0.0, 1.0);
            while k < 200.0 {
                term *= x / k;
                sum += term / k;
                k += 1.0;
            }
            EULER + x.ln() + sum
        }
        x => {
            let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
            while k < x.min(40.0) {
                term *= k / x;
                sum += term;
                k += 1.0;
            }
            x.exp() / x * sum
        }
    }
}

/// `exp(-x^2)` times the integral of `exp(t^2)` from 0 to x, by Rybicki's sum.
fn dawson(x: f64) -> f64 {
    const STEP: f64 = 0.2;
    let size = x.abs();
    if size < 0.2 {
        let square = x * x;
        let (mut term, mut sum) = (x, x);
        for k in 1..12 {
            term *= -2.0 * square / f64::from(2 * k + 1);
            sum += term;
        }
        return sum;
    }
    if size > 1e4 {
        return 0.5 / x;
    }
    let near = 2.0 * (size / (2.0 * STEP)).round();
    let mut sum = 0.0;
    for k in (-39..=39).step_by(2) {
        let n = near + f64::from(k);
        let d = size - n * STEP;
        sum += (-d * d).exp() / n;
    }
    (sum / PI.sqrt()).copysign(x)
}

/// The integral of the cosine (`power` 0.5) or sine (1.5) of `pi t^2 / 2` from 0 to x.
fn fresnel(x: f64, power: f64) -> f64 {
    let size = x.abs();
    let turn = PI * size * size / 2.0;
    let odd = power - 0.5;
    if size < 3.2 {
        // The series of the sine or cosine, term by term.
        let mut term = if odd == 0.0 { size } else { size * turn };
        let (mut sum, mut n) = (0.0, odd);
        for _ in 0..80 {
            sum += term / (2.0 * n + 1.0);
            term *= -turn * turn / ((n + 1.0) * (n + 2.0));
            n += 2.0;
        }
        return sum.copysign(x);
    }
    // Past the last turn the halves are approached by two asymptotic series.
    let z = 1.0 / (PI * size * size);
    let (mut f, mut g, mut term) = (0.0, 0.0, 1.0);
    for k in 0..7 {
        let k = f64::from(k);
        f += term;
        term *= (4.0 * k + 1.0) * z;
        g += term;
        term *= -(4.0 * k + 3.0) * z;
    }
    let by = 1.0 / (PI * size);
    // The turn to within one, which keeps the angle exact.
    let quarter = (size * size / 4.0).fract() * 2.0 * PI;
    let (s, c) = match size < 1e8 {
        true => quarter.sin_cos(),
        false => (0.0, 0.0),
    };
    let y = match odd == 0.0 {
        true => 0.5 + by * (f * s - g * c),
        false => 0.5 - by * (f * c + g * s),
    };
    y.copysign(x)
}

/// Minus the integral of `log(t) / (t - 1)` from 1 to x.
fn spence(x: f64) -> f64 {
    match x {
        x if x.is_nan() || x < 0.0 => f64::NAN,
        0.0 => PI * PI / 6.0,
        x if x < 0.5 => PI * PI / 6.0 - x.ln() * (-x).ln_1p() - spence(1.0 - x),
        x if x > 1.5 => -spence(1.0 / x) - 0.5 * x.ln() * x.ln(),
        x => {
            let y = 1.0 - x;
            let (mut term, mut sum) = (1.0, 0.0);
            for k in 1..64 {
                term *= y;
                sum += term / f64::from(k * k);
            }
            sum
        }
    }
}

/// The regularized lower incomplete gamma function.
fn igamma(a: f64, x: f64) -> f64 {
    match gamma_parts(a, x) {
        Some(Part::Lower(p)) => p,
        Some(Part::Upper(q)) => 1.0 - q,
        None => f64::NAN,
    }
}

/// The regularized upper incomplete gamma function.
fn igammac(a: f64, x: f64) -> f64 {
    match gamma_parts(a, x) {
        Some(Part::Lower(p)) => 1.0 - p,
        Some(Part::Upper(q)) => q,
        None => f64::NAN,
    }
}

enum Part {
    Lower(f64),
    Upper(f64),
}

/// The part of the integral that is found by a short series or fraction.
fn gamma_parts(a: f64, x: f64) -> Option<Part> {
    if a.is_nan() || x.is_nan() || a <= 0.0 || x < 0.0 {
        return None;
    }
    if x == 0.0 {
        return Some(Part::Lower(0.0));
    }
    if x.is_infinite() {
        return (!a.is_infinite()).then_some(Part::Upper(0.0));
    }
    if a.is_infinite() {
        return Some(Part::Lower(0.0));
    }
    let scale = (a * x.ln() - x - lgamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        while term > sum * f64::EPSILON {
            k += 1.0;
            term *= x / k;
            sum += term;
        }
        return Some(Part::Lower(sum * scale));
    }
    // Lentz's continued fraction.
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let (mut h, mut i) = (d, 1.0);
    loop {
        let by = -i * (i - a);
        b += 2.0;
        d = by * d + b;
        d = 1.0 / if d.abs() < TINY { TINY } else { d };
        c = b + by / c;
        c = if c.abs() < TINY { TINY } else { c };
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-15 || i > 1e6 {
            return Some(Part::Upper(h * scale));
        }
        i += 1.0;
    }
}

/// The sum of `1 / (q + k)^x` over k from 0 on, by Euler and Maclaurin.
fn zeta(x: f64, q: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    if x.is_nan() || q.is_nan() || x < 1.0 {
        return f64::NAN;
    }
    if q <= 0.0 {
        if q == q.floor() {
            return f64::INFINITY;
        }
        if x != x.floor() {
            return f64::NAN;
        }
    }
    // Bernoulli numbers over factorials.
    const TERMS: [f64; 8] = [
        1.0 / 12.0,
        -1.0 / 720.0,
        1.0 / 30240.0,
        -1.0 / 1209600.0,
        1.0 / 47900160.0,
        -691.0 / 1307674368000.0,
        1.0 / 74724249600.0,
        -3617.0 / 10670622842880000.0,
    ];
    let (mut sum, mut at) = (0.0, q);
    while at < q + 10.0 || at < 10.0 {
        sum += at.powf(-x);
        at += 1.0;
    }
    let last = at.powf(-x);
    sum += last * at / (x - 1.0) + 0.5 * last;
    let mut by = x * last / at;
    for (k, term) in TERMS.iter().enumerate() {
        sum += term * by;
        let k = 2.0 * k as f64;
        by *= (x + k + 1.0) * (x + k + 2.0) / (at * at);
    }
    sum
}

/// The n-th derivative of the digamma function.
fn polygamma(n: f64, x: f64) -> f64 {
    if n == 0.0 {
        return digamma(x);
    }
    if n < 0.0 || n != n.floor() {
        return f64::NAN;
    }
    let sign = if n % 2.0 == 0.0 { -1.0 } else { 1.0 };
    sign * lgamma(n + 1.0).exp() * zeta(n + 1.0, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_functions_are_exact() {
        let near = |have: f64, want: f64| {
            assert!(
                (have - want).abs() <= 1e-9 * want.abs(),
                "{have} for {want}"
            );
        };
        near(special(Special::BesselK0, 0.5), 0.924_419_071_227_666);
        near(special(Special::BesselK1, 2.0), 0.139_865_881_816_522_4);
        near(special(Special::BesselK0e, 100.0), 0.125_175_621_659_126_5);
        near(special(Special::Expint, 1.0), 1.895_117_816_355_936_8);
        near(special(Special::Expint, 50.0), 1.058_563_689_713_169e20);
        near(special(Special::Dawson, 0.1), 0.099_335_992_397_853);
        near(special(Special::Dawson, -2.0), -0.301_340_388_923_792);
        near(special(Special::FresnelSin, 1.0), 0.438_259_147_390_354_8);
        near(special(Special::FresnelCos, 5.0), 0.563_631_188_704_012);
        near(special(Special::Spence, 3.0), -1.436_746_366_883_680_9);
        near(special(Special::Spence, 0.25), 0.978_469_392_930_306);
        near(igamma(2.0, 3.0), 0.800_851_726_528_544);
        near(igammac(30.0, 12.0), 0.999_991_129_861_201);
        near(zeta(2.0, 1.0), PI * PI / 6.0);
        near(polygamma(2.0, 1.5), -0.828_796_644_234_319);
    }
}
