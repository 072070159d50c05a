//! Special functions of TensorFlow, and numbers taken apart.

use std::sync::Arc;

use serde_json::json;

use super::args::{operands, Args};
use super::like::op;
use super::Name;
use crate::error::Result;
use crate::graph::{broadcast_shapes, Binary, Reduce, ScanAttrs, Special, Unary, ValueId};
use crate::keras::layer::Call;
use crate::keras::{Arg, Cx, Out};
use crate::tensor::{DType, Fact};

/// The functions of [`lower`].
pub const NAMES: [&str; 36] = [
    "angle",
    "batch_flatten",
    "bessel_i0e",
    "bessel_i1",
    "bessel_i1e",
    "bessel_j0",
    "bessel_j1",
    "bessel_k0",
    "bessel_k0e",
    "bessel_k1",
    "bessel_k1e",
    "bessel_y0",
    "bessel_y1",
    "betainc",
    "bincount",
    "bitcast",
    "complex",
    "conj",
    "dawsn",
    "digamma",
    "erfcinv",
    "expint",
    "fresnel_cos",
    "fresnel_sin",
    "igamma",
    "igammac",
    "imag",
    "l2_loss",
    "lbeta",
    "lgamma",
    "polygamma",
    "polyval",
    "real",
    "spence",
    "zero_fraction",
    "zeta",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let function = name.function;
    let out: ValueId = match function {
        "angle" | "imag" | "real" | "conj" => {
            let class = match function {
                "angle" => "Angle",
                "imag" => "Imag",
                "real" => "Real",
                _ => "Conjugate",
            };
            let call = Call {
                args: vec![a.first.clone()],
                kwargs: vec![],
            };
            return op(cx, class, json!({}), call).map(Some);
        }
        "lgamma" | "digamma" => {
            let x = a.first(cx)?;
            let kind = match function {
                "lgamma" => Unary::Lgamma,
                _ => Unary::Digamma,
            };
            cx.unary(kind, x)?
        }
        "bessel_i0e" | "bessel_i1" | "bessel_i1e" => bessel(cx, function, a)?,
        "polyval" => {
            let x = a.tensor(cx, "x")?;
            let dtype = cx.dtype(x);
            let coefficients = match &a.first {
                Arg::List(items) => items.clone(),
                one => vec![one.clone()],
            };
            let mut y = None;
            for c in coefficients {
                let c = crate::keras::ops::convert(cx, &c)?;
                let c = cx.cast(c, dtype)?;
                y = Some(match y {
                    None => c,
                    Some(y) => {
                        let y = cx.mul(y, x)?;
                        cx.add(y, c)?
                    }
                });
            }
            y.ok_or_else(|| cx.defect("a polynomial must have coefficients"))?
        }
        "l2_loss" => {
            let x = a.first(cx)?;
            let square = cx.unary(Unary::Square, x)?;
            let all: Vec<usize> = (0..cx.rank(x)).collect();
            let total = cx.reduce(Reduce::Sum, square, &all, false)?;
            cx.div_s(total, 2.0)?
        }
        "zero_fraction" => {
            let x = a.first(cx)?;
            let zero = cx.binary_s(Binary::Eq, x, 0.0)?;
            let zero = cx.cast(zero, DType::F32)?;
            let all: Vec<usize> = (0..cx.rank(x)).collect();
            cx.reduce(Reduce::Mean, zero, &all, false)?
        }
        "bitcast" => {
            let x = a.first(cx)?;
            match a.dtype(cx, "type")? {
                Some(d) if d.size() == cx.dtype(x).size() => cx.bitcast(x, d)?,
                _ => return Err(cx.call_error("can't read values as a dtype of another size")),
            }
        }
        "bincount" => bincount(cx, a)?,
        "batch_flatten" => {
            let x = a.first(cx)?;
            let rows = cx.dim(x, 0)?;
            let rest = cx.shape(x)[1..].iter().product();
            cx.reshape(x, &[rows, rest])?
        }
        "igamma" | "igammac" | "polygamma" | "zeta" => {
            let (kind, key) = match function {
                "igamma" => (Binary::Igamma, "x"),
                "igammac" => (Binary::Igammac, "x"),
                "polygamma" => (Binary::Polygamma, "x"),
                _ => (Binary::Zeta, "q"),
            };
            let (x, y) = operands(cx, a, key)?;
            cx.binary(kind, x, y)?
        }
        // The logarithm of the beta function of vectors.
        "lbeta" => {
            let x = a.first(cx)?;
            let last = [cx.axis(-1, cx.rank(x))?];
            let logs = cx.unary(Unary::Lgamma, x)?;
            let logs = cx.reduce(Reduce::Sum, logs, &last, false)?;
            let total = cx.reduce(Reduce::Sum, x, &last, false)?;
            let total = cx.unary(Unary::Lgamma, total)?;
            cx.sub(logs, total)?
        }
        "betainc" => beta(cx, a)?,
        "erfcinv" => {
            let x = a.first(cx)?;
            let x = cx.unary(Unary::Neg, x)?;
            let x = cx.add_s(x, 1.0)?;
            cx.unary(Unary::Erfinv, x)?
        }
        "complex" => {
            let (re, im) = operands(cx, a, "imag")?;
            let (one, other) = (cx.shape(re), cx.shape(im));
            let shape = broadcast_shapes(&one, &other)
                .ok_or_else(|| cx.error("the parts don't fit together"))?;
            let (re, im) = (cx.broadcast_to(re, &shape)?, cx.broadcast_to(im, &shape)?);
            cx.complex(re, im)?
        }
        _ => {
            let Some(f) = of_one(function) else {
                return Ok(None);
            };
            let x = a.first(cx)?;
            cx.unary(Unary::Special(f), x)?
        }
    };
    Ok(Some(out.into()))
}

/// `c[0] + c[1] x + ...`.
fn polynomial(cx: &mut Cx, x: ValueId, coefficients: &[f64]) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let mut y = cx.scalar(dtype, 0.0);
    for &c in coefficients.iter().rev() {
        let product = cx.mul(y, x)?;
        y = cx.add_s(product, c)?;
    }
    Ok(y)
}

/// Modified Bessel functions of the first kind, by the polynomials 9.8.1 to 9.8.4
/// of Abramowitz and Stegun, which are exact to 2e-7.
fn bessel(cx: &mut Cx, function: &str, a: &Args) -> Result<ValueId> {
    const I0: [f64; 7] = [
        1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813,
    ];
    const I0_FAR: [f64; 9] = [
        0.39894228,
        0.01328592,
        0.00225319,
        -0.00157565,
        0.00916281,
        -0.02057706,
        0.02635537,
        -0.01647633,
        0.00392377,
    ];
    const I1: [f64; 7] = [
        0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411,
    ];
    const I1_FAR: [f64; 9] = [
        0.39894228,
        -0.03988024,
        -0.00362018,
        0.00163801,
        -0.01031555,
        0.02282967,
        -0.02895312,
        0.01787654,
        -0.00420059,
    ];
    let x = a.first(cx)?;
    let size = cx.unary(Unary::Abs, x)?;
    let odd = function != "bessel_i0e";
    let near = cx.clip(size, None, Some(3.75))?;
    let t = cx.div_s(near, 3.75)?;
    let t = cx.unary(Unary::Square, t)?;
    let mut low = polynomial(cx, t, if odd { &I1 } else { &I0 })?;
    if odd {
        low = cx.mul(low, near)?;
    }
    let far = cx.clip(size, Some(3.75), None)?;
    let u = cx.unary(Unary::Reciprocal, far)?;
    let u = cx.mul_s(u, 3.75)?;
    let mut high = polynomial(cx, u, if odd { &I1_FAR } else { &I0_FAR })?;
    let root = cx.unary(Unary::Rsqrt, far)?;
    high = cx.mul(high, root)?;
    match function.ends_with('e') {
        true => {
            let falling = cx.unary(Unary::Neg, near)?;
            let falling = cx.unary(Unary::Exp, falling)?;
            low = cx.mul(low, falling)?;
        }
        false => {
            let rising = cx.unary(Unary::Exp, far)?;
            high = cx.mul(high, rising)?;
        }
    }
    let is_near = cx.binary_s(Binary::Lt, size, 3.75)?;
    let y = cx.select(is_near, low, high)?;
    match odd {
        false => Ok(y),
        true => {
            let sign = cx.unary(Unary::Sign, x)?;
            cx.mul(y, sign)
        }
    }
}

/// Counts along the last axis, for a number of bins that is known.
fn bincount(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let bins = match (a.int(cx, "minlength")?, a.int(cx, "maxlength")?) {
        (Some(low), Some(high)) if low == high && low >= 0 => low,
        _ => return Err(cx.call_error("`minlength` and `maxlength` must be given, and equal")),
    };
    let x = a.first(cx)?;
    let along_last = a.int(cx, "axis")? == Some(-1);
    if !along_last || a.get("weights").is_some() || cx.rank(x) != 2 {
        return Err(cx.call_error("only rows of values can be counted, along axis -1"));
    }
    let x = cx.cast(x, DType::I64)?;
    let x = cx.expand_dims(x, -1)?;
    let values = cx.generated([bins.max(0) as usize], |i| i as i64)?;
    let hit = cx.binary(Binary::Eq, x, values)?;
    let dtype = a.dtype(cx, "dtype")?.unwrap_or(DType::I32);
    match a.flag("binary_output") {
        true => {
            let any = cx.reduce(Reduce::Any, hit, &[1], false)?;
            cx.cast(any, dtype)
        }
        false => {
            let hit = cx.cast(hit, dtype)?;
            cx.reduce(Reduce::Sum, hit, &[1], false)
        }
    }
}

fn of_one(function: &str) -> Option<Special> {
    Some(match function {
        "bessel_j0" => Special::BesselJ0,
        "bessel_j1" => Special::BesselJ1,
        "bessel_k0" => Special::BesselK0,
        "bessel_k0e" => Special::BesselK0e,
        "bessel_k1" => Special::BesselK1,
        "bessel_k1e" => Special::BesselK1e,
        "bessel_y0" => Special::BesselY0,
        "bessel_y1" => Special::BesselY1,
        "dawsn" => Special::Dawson,
        "expint" => Special::Expint,
        "fresnel_cos" => Special::FresnelCos,
        "fresnel_sin" => Special::FresnelSin,
        "spence" => Special::Spence,
        _ => return None,
    })
}

/// The regularized incomplete beta function, by its continued fraction.
fn beta(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    /// Enough for exponents of some thousands.
    const STEPS: usize = 200;
    let (p, q) = operands(cx, a, "b")?;
    let x = a.like(cx, "x", p)?;
    let own = cx.dtype(x);
    let mut shape = cx.shape(p);
    for v in [q, x] {
        let with = broadcast_shapes(&shape, &cx.shape(v));
        shape = with.ok_or_else(|| cx.error("the arguments don't fit together"))?;
    }
    let mut wide = [p, q, x];
    for v in &mut wide {
        let y = cx.cast(*v, DType::F64)?;
        *v = cx.broadcast_to(y, &shape)?;
    }
    let [p, q, x] = wide;
    // The fraction is short below the mean; above it the other tail is computed.
    let sum = cx.add(p, q)?;
    let bound = cx.add_s(p, 1.0)?;
    let more = cx.add_s(sum, 2.0)?;
    let bound = cx.div(bound, more)?;
    let turned = cx.binary(Binary::Gt, x, bound)?;
    let rest = cx.unary(Unary::Neg, x)?;
    let rest = cx.add_s(rest, 1.0)?;
    let (u, v) = (cx.select(turned, q, p)?, cx.select(turned, p, q)?);
    let (z, w) = (cx.select(turned, rest, x)?, cx.select(turned, x, rest)?);
    let mut logs = cx.unary(Unary::Lgamma, sum)?;
    for (e, base) in [(u, z), (v, w)] {
        let gamma = cx.unary(Unary::Lgamma, e)?;
        logs = cx.sub(logs, gamma)?;
        let log = cx.unary(Unary::Log, base)?;
        let log = cx.mul(e, log)?;
        logs = cx.add(logs, log)?;
    }
    let scale = cx.unary(Unary::Exp, logs)?;
    let scale = cx.div(scale, u)?;

    let fact = Fact::new(DType::F64, shape);
    let mut body = cx.for_body();
    let m = body.input(Fact::new(DType::F64, [0; 0]));
    let carries: Vec<ValueId> = (0..3).map(|_| body.input(fact.clone())).collect();
    let closed: Vec<ValueId> = (0..3).map(|_| body.input(fact.clone())).collect();
    let b = &mut body;
    let (mut c, mut d, mut h) = (carries[0], carries[1], carries[2]);
    let twice = b.mul_s(m, 2.0)?;
    let at = b.add(closed[0], twice)?;
    for odd in [false, true] {
        // m (v - m) z / ((at - 1) at), and -(u + m) (u + v + m) z / (at (at + 1)).
        let (one, two, by) = match odd {
            false => (m, b.sub(closed[1], m)?, -1.0),
            true => {
                let one = b.add(closed[0], m)?;
                let one = b.unary(Unary::Neg, one)?;
                let two = b.add(closed[0], closed[1])?;
                (one, b.add(two, m)?, 1.0)
            }
        };
        let top = b.mul(one, two)?;
        let top = b.mul(top, closed[2])?;
        let near = b.add_s(at, by)?;
        let bottom = b.mul(at, near)?;
        let part = b.div(top, bottom)?;
        let under = b.mul(part, d)?;
        let under = b.add_s(under, 1.0)?;
        d = b.unary(Unary::Reciprocal, under)?;
        let over = b.div(part, c)?;
        c = b.add_s(over, 1.0)?;
        let factor = b.mul(c, d)?;
        h = b.mul(h, factor)?;
    }
    let mut graph = body.into_builder().graph;
    graph.outputs = vec![c, d, h];
    let attrs = ScanAttrs {
        body: Arc::new(graph),
        sequences: 1,
        carries: 3,
        length: STEPS,
        reverse: false,
    };
    let steps = cx.generated([STEPS], |i| i as f64 + 1.0)?;
    // The first step of the fraction.
    let one = cx.full(fact, 1.0)?;
    let first = cx.mul(sum, z)?;
    let next = cx.add_s(u, 1.0)?;
    let first = cx.div(first, next)?;
    let first = cx.sub(one, first)?;
    let start = cx.unary(Unary::Reciprocal, first)?;
    let fraction = cx.scan(attrs, &[steps], &[one, start, start], &[u, v, z])?[2];
    let y = cx.mul(scale, fraction)?;
    let other = cx.sub(one, y)?;
    let y = cx.select(turned, other, y)?;
    cx.cast(y, own)
}
