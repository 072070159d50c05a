//! Special functions, statistics and losses of TensorFlow.

use serde_json::json;

use super::args::Args;
use super::like::op;
use super::Name;
use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::keras::layer::Call;
use crate::keras::{Arg, Cx, Out};
use crate::tensor::DType;

/// The functions of [`lower`].
pub const NAMES: [&str; 24] = [
    "angle",
    "batch_flatten",
    "bessel_i0e",
    "bessel_i1",
    "bessel_i1e",
    "binary_crossentropy",
    "bincount",
    "bitcast",
    "categorical_crossentropy",
    "conj",
    "digamma",
    "imag",
    "l2_loss",
    "lgamma",
    "log_poisson_loss",
    "polyval",
    "real",
    "sigmoid_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2",
    "sparse_categorical_crossentropy",
    "sparse_softmax_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
    "zero_fraction",
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
            y.ok_or_else(|| cx.call_error("a polynomial must have coefficients"))?
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
        _ => return loss(cx, function, a),
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

/// `log(1 + exp(-|x|))`.
fn soft_part(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let size = cx.unary(Unary::Abs, x)?;
    let falling = cx.unary(Unary::Neg, size)?;
    let falling = cx.unary(Unary::Exp, falling)?;
    cx.unary(Unary::Log1p, falling)
}

/// Losses: the labels come first.
fn loss(cx: &mut Cx, function: &str, a: &Args) -> Result<Option<Out>> {
    let labels = a.first(cx)?;
    let out = match function {
        "sigmoid_cross_entropy_with_logits" => {
            let x = a.tensor(cx, "logits")?;
            sigmoid_loss(cx, labels, x)?
        }
        "weighted_cross_entropy_with_logits" => {
            let x = a.tensor(cx, "logits")?;
            let weight = a.like(cx, "pos_weight", x)?;
            let more = cx.add_s(weight, -1.0)?;
            let more = cx.mul(more, labels)?;
            let more = cx.add_s(more, 1.0)?;
            let below = cx.unary(Unary::Neg, x)?;
            let below = cx.unary(Unary::Relu, below)?;
            let soft = soft_part(cx, x)?;
            let soft = cx.add(soft, below)?;
            let soft = cx.mul(more, soft)?;
            let rest = cx.unary(Unary::Neg, labels)?;
            let rest = cx.add_s(rest, 1.0)?;
            let rest = cx.mul(rest, x)?;
            cx.add(rest, soft)?
        }
        "log_poisson_loss" if !a.flag("compute_full_loss") => {
            let c = a.tensor(cx, "log_input")?;
            let rate = cx.unary(Unary::Exp, c)?;
            let known = cx.mul(c, labels)?;
            cx.sub(rate, known)?
        }
        "softmax_cross_entropy_with_logits" | "softmax_cross_entropy_with_logits_v2" => {
            let x = a.tensor(cx, "logits")?;
            let axis = match a.int(cx, "axis")? {
                Some(axis) => axis,
                None => a.int(cx, "dim")?.unwrap_or(-1),
            };
            let log = cx.softmax(x, axis as isize, true)?;
            weighted(cx, labels, log, axis as isize)?
        }
        "sparse_softmax_cross_entropy_with_logits" => {
            let x = a.tensor(cx, "logits")?;
            let log = cx.softmax(x, -1, true)?;
            of_labels(cx, labels, log)?
        }
        "binary_crossentropy" | "categorical_crossentropy" | "sparse_categorical_crossentropy" => {
            of_probabilities(cx, function, labels, a)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

fn sigmoid_loss(cx: &mut Cx, labels: ValueId, x: ValueId) -> Result<ValueId> {
    let above = cx.unary(Unary::Relu, x)?;
    let known = cx.mul(x, labels)?;
    let y = cx.sub(above, known)?;
    let soft = soft_part(cx, x)?;
    cx.add(y, soft)
}

/// `-sum(labels log)` along an axis.
fn weighted(cx: &mut Cx, labels: ValueId, log: ValueId, axis: isize) -> Result<ValueId> {
    let product = cx.mul(labels, log)?;
    let axis = cx.axis(axis, cx.rank(product))?;
    let total = cx.reduce(Reduce::Sum, product, &[axis], false)?;
    cx.unary(Unary::Neg, total)
}

/// The negative logarithms that labels choose along the last axis.
fn of_labels(cx: &mut Cx, labels: ValueId, log: ValueId) -> Result<ValueId> {
    let at = cx.cast(labels, DType::I32)?;
    let at = cx.expand_dims(at, -1)?;
    let y = cx.take_along(log, at, -1)?;
    let y = cx.squeeze(y, -1)?;
    cx.unary(Unary::Neg, y)
}

/// Losses of `keras.backend`, which keeps probabilities off 0 and 1.
fn of_probabilities(cx: &mut Cx, function: &str, labels: ValueId, a: &Args) -> Result<ValueId> {
    const EPSILON: f64 = 1e-7;
    let p = a.tensor(cx, "output")?;
    let from_logits = a.flag("from_logits");
    if function == "binary_crossentropy" {
        if from_logits {
            return sigmoid_loss(cx, labels, p);
        }
        let p = cx.clip(p, Some(EPSILON), Some(1.0 - EPSILON))?;
        let rest = |cx: &mut Cx, v: ValueId| -> Result<ValueId> {
            let v = cx.unary(Unary::Neg, v)?;
            cx.add_s(v, 1.0)
        };
        let term = |cx: &mut Cx, label: ValueId, p: ValueId| -> Result<ValueId> {
            let p = cx.add_s(p, EPSILON)?;
            let log = cx.unary(Unary::Log, p)?;
            cx.mul(label, log)
        };
        let yes = term(cx, labels, p)?;
        let (other, left) = (rest(cx, labels)?, rest(cx, p)?);
        let no = term(cx, other, left)?;
        let both = cx.add(yes, no)?;
        return cx.unary(Unary::Neg, both);
    }
    let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
    let sparse = function.starts_with("sparse");
    let last = cx.axis(axis, cx.rank(p))? + 1 == cx.rank(p);
    if sparse && (!last || a.get("ignore_class").is_some()) {
        return Err(cx.call_error("classes must be along the last axis, and all of them count"));
    }
    let log = match from_logits {
        true => cx.softmax(p, axis, true)?,
        false => {
            let at = cx.axis(axis, cx.rank(p))?;
            let p = match sparse {
                true => p,
                false => {
                    let total = cx.reduce(Reduce::Sum, p, &[at], true)?;
                    cx.div(p, total)?
                }
            };
            let p = cx.clip(p, Some(EPSILON), Some(1.0 - EPSILON))?;
            let log = cx.unary(Unary::Log, p)?;
            match sparse {
                // TensorFlow takes the softmax of the logarithms.
                true => cx.softmax(log, axis, true)?,
                false => log,
            }
        }
    };
    match sparse {
        true => of_labels(cx, labels, log),
        false => weighted(cx, labels, log, axis),
    }
}
