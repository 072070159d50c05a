//! Products of matrices and tensors.

use crate::error::Result;
use crate::graph::{ConvAttrs, PadMode, ValueId};
use crate::keras::ops::args::*;
use crate::keras::ops::numpy::shape::move_axes;
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{show_shape, DType};

/// Two operands in floats, and the dtype that the product goes back to.
fn operands(cx: &mut Cx, call: &Call) -> Result<(ValueId, ValueId, DType)> {
    let a = tensor(cx, call, 0, "x1")?;
    let b = tensor(cx, call, 1, "x2")?;
    let kinds = [Kind::Is(cx.dtype(a)), Kind::Is(cx.dtype(b))];
    let result = result_type(&kinds);
    let compute = result_type(&[kinds[0], kinds[1], Kind::WeakFloat]);
    Ok((cx.cast(a, compute)?, cx.cast(b, compute)?, result))
}

pub fn matmul(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let both_i8 = {
        let (a, b) = (tensor(cx, call, 0, "x1")?, tensor(cx, call, 1, "x2")?);
        let i8s = cx.dtype(a) == DType::I8 && cx.dtype(b) == DType::I8;
        i8s && cx.rank(a) != 1 && cx.rank(b) != 1
    };
    let (a, b, mut result) = operands(cx, call)?;
    if both_i8 {
        result = DType::I32;
    }
    let y = product(cx, a, b)?;
    Ok(cx.cast(y, result)?.into())
}

/// The product of matrices or vectors of one dtype.
pub fn product(cx: &mut Cx, a: ValueId, b: ValueId) -> Result<ValueId> {
    match (cx.rank(a), cx.rank(b)) {
        (0, _) | (_, 0) => Err(cx.error("can't multiply a scalar as a matrix")),
        (_, 1) => dot_last(cx, a, b),
        (1, _) => {
            let a = cx.expand_dims(a, 0)?;
            let y = cx.matmul(a, b, false, false)?;
            cx.squeeze(y, -2)
        }
        (_, 2) => cx.dense(a, b),
        _ => cx.matmul(a, b, false, false),
    }
}

/// Over the last axis of `a` and a vector.
fn dot_last(cx: &mut Cx, a: ValueId, b: ValueId) -> Result<ValueId> {
    let b = cx.expand_dims(b, -1)?;
    let y = cx.dense(a, b)?;
    cx.squeeze(y, -1)
}

/// Numpy's dot: over the last axis of one and the last but one of the other.
pub fn dot(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b, result) = operands(cx, call)?;
    let y = match (cx.rank(a), cx.rank(b)) {
        (0, _) | (_, 0) => cx.mul(a, b)?,
        (_, 1) => dot_last(cx, a, b)?,
        (ra, rb) => contract(cx, a, b, &[ra - 1], &[rb - 2])?,
    };
    Ok(cx.cast(y, result)?.into())
}

pub fn vdot(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b, result) = operands(cx, call)?;
    let (a, b) = (flat(cx, a)?, flat(cx, b)?);
    let y = contract(cx, a, b, &[0], &[0])?;
    Ok(cx.cast(y, result)?.into())
}

pub fn outer(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let (a, b) = (flat(cx, a)?, flat(cx, b)?);
    let a = cx.expand_dims(a, -1)?;
    Ok(cx.mul(a, b)?.into())
}

pub fn tensordot(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (a, b, result) = operands(cx, call)?;
    let (ra, rb) = (cx.rank(a), cx.rank(b));
    let bad = || cfg.bad("axes", "a number of axes, or the axes of both tensors");
    let (of_a, of_b) = match cfg.get("axes") {
        Some(serde_json::Value::Array(pair)) if pair.len() == 2 => {
            let list = |v: &serde_json::Value, rank: usize| -> Result<Vec<usize>> {
                let items = match v {
                    serde_json::Value::Array(items) => items.clone(),
                    one => vec![one.clone()],
                };
                items
                    .iter()
                    .map(|i| cx.axis(i.as_i64().ok_or_else(bad)? as isize, rank))
                    .collect()
            };
            (list(&pair[0], ra)?, list(&pair[1], rb)?)
        }
        _ => {
            let n = cfg.usize_or("axes", 2)?;
            if n > ra || n > rb {
                return Err(bad());
            }
            ((ra - n..ra).collect(), (0..n).collect())
        }
    };
    let y = contract(cx, a, b, &of_a, &of_b)?;
    Ok(cx.cast(y, result)?.into())
}

/// Sums over pairs of axes; the rest of `a`, then the rest of `b`, remain.
fn contract(
    cx: &mut Cx,
    a: ValueId,
    b: ValueId,
    of_a: &[usize],
    of_b: &[usize],
) -> Result<ValueId> {
    let (sa, sb) = (cx.shape(a), cx.shape(b));
    let fits = of_a.len() == of_b.len() && of_a.iter().zip(of_b).all(|(&i, &j)| sa[i] == sb[j]);
    if !fits {
        return Err(cx.error(format!(
            "axes {of_a:?} of {} don't fit axes {of_b:?} of {}",
            show_shape(&sa),
            show_shape(&sb)
        )));
    }
    let free = |shape: &[usize], used: &[usize]| -> Vec<usize> {
        (0..shape.len()).filter(|i| !used.contains(i)).collect()
    };
    let (free_a, free_b) = (free(&sa, of_a), free(&sb, of_b));
    let size = |s: &[usize], axes: &[usize]| -> usize { axes.iter().map(|&i| s[i]).product() };
    let (m, k, n) = (size(&sa, &free_a), size(&sa, of_a), size(&sb, &free_b));
    let a = cx.transpose(a, &[&free_a[..], of_a].concat())?;
    let a = cx.reshape(a, &[m, k])?;
    let b = cx.transpose(b, &[of_b, &free_b[..]].concat())?;
    let b = cx.reshape(b, &[k, n])?;
    let y = cx.matmul(a, b, false, false)?;
    let shape: Vec<usize> = free_a
        .iter()
        .map(|&i| sa[i])
        .chain(free_b.iter().map(|&i| sb[i]))
        .collect();
    cx.reshape(y, &shape)
}

/// The vector product of vectors of 2 or 3 elements.
pub fn cross(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let axis = cfg.opt_int("axis")?;
    let of = |key: &str| -> Result<i64> { Ok(axis.unwrap_or(cfg.int_or(key, -1)?)) };
    let (axis_a, axis_b, axis_c) = (of("axisa")?, of("axisb")?, of("axisc")?);
    let a = move_axes(cx, a, &[axis_a], &[-1])?;
    let b = move_axes(cx, b, &[axis_b], &[-1])?;
    let (na, nb) = (cx.dim(a, -1)?, cx.dim(b, -1)?);
    if !(2..=3).contains(&na) || !(2..=3).contains(&nb) {
        return Err(cx.error(format!(
            "expected vectors of 2 or 3 elements, not {na} and {nb}"
        )));
    }
    let part = |cx: &mut Cx, x: ValueId, n: usize, i: usize| match i < n {
        true => cx.index_axis(x, -1, i).map(Some),
        false => Ok(None),
    };
    let mut parts = vec![];
    for (i, j) in [(1, 2), (2, 0), (0, 1)] {
        let mut term = |x, nx, i, y, ny, j| -> Result<Option<ValueId>> {
            match (part(cx, x, nx, i)?, part(cx, y, ny, j)?) {
                (Some(p), Some(q)) => cx.mul(p, q).map(Some),
                _ => Ok(None),
            }
        };
        let plus = term(a, na, i, b, nb, j)?;
        let minus = term(a, na, j, b, nb, i)?;
        parts.push(match (plus, minus) {
            (Some(p), Some(m)) => Some(cx.sub(p, m)?),
            (Some(p), None) => Some(p),
            (None, Some(m)) => Some(cx.unary(crate::graph::Unary::Neg, m)?),
            (None, None) => None,
        });
    }
    match parts[..] {
        [None, None, Some(z)] => Ok(z.into()),
        [Some(x), Some(y), Some(z)] => {
            let v = stack(cx, &[x, y, z], -1)?;
            Ok(move_axes(cx, v, &[-1], &[axis_c])?.into())
        }
        _ => Err(cx.defect("vectors of 2 or 3 elements are needed")),
    }
}

/// Einstein's summation over any number of operands.
pub fn einsum(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let text: String = cfg
        .str("subscripts")?
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let mut xs = vec![];
    for i in 0..call.args.len() {
        xs.push(tensor(cx, call, i, "operands")?);
    }
    let i8s = xs.iter().all(|&x| cx.dtype(x) == DType::I8);
    let result = if i8s {
        join(cx, &mut xs)?;
        DType::I32
    } else {
        join(cx, &mut xs)?
    };
    for x in &mut xs {
        *x = to_float(cx, *x)?;
    }
    let (inputs, output) = match text.split_once("->") {
        Some((i, o)) => (i.to_string(), o.to_string()),
        None => (text.clone(), implicit_output(&text)),
    };
    let mut labels: Vec<String> = inputs.split(',').map(str::to_string).collect();
    if labels.len() != xs.len() || xs.is_empty() {
        return Err(cfg.bad(
            "subscripts",
            &format!("an equation for {} operands", xs.len()),
        ));
    }
    if xs.len() == 1 {
        let dtype = cx.dtype(xs[0]);
        xs.push(cx.scalar(dtype, 1.0));
        labels.push(String::new());
    }
    while xs.len() > 2 {
        let (b, lb) = (xs.remove(1), labels.remove(1));
        let kept = kept_labels(&labels[0], &lb, &labels[1..], &output);
        xs[0] = cx.einsum(&format!("{},{lb}->{kept}", labels[0]), xs[0], b)?;
        labels[0] = kept;
    }
    let y = cx.einsum(
        &format!("{},{}->{output}", labels[0], labels[1]),
        xs[0],
        xs[1],
    )?;
    Ok(cx.cast(y, result)?.into())
}

/// Letters that stand once, in alphabetical order, after the ellipsis.
fn implicit_output(inputs: &str) -> String {
    let mut letters: Vec<char> = inputs.chars().filter(char::is_ascii_alphabetic).collect();
    letters.sort_unstable();
    let once = |c: &char| letters.iter().filter(|l| *l == c).count() == 1;
    let tail: String = letters.iter().filter(|c| once(c)).collect();
    match inputs.contains("...") {
        true => format!("...{tail}"),
        false => tail,
    }
}

/// What of two operands is still needed by the others or the output.
fn kept_labels(a: &str, b: &str, rest: &[String], output: &str) -> String {
    let mut kept = String::new();
    if a.contains("...") || b.contains("...") {
        kept.push_str("...");
    }
    for c in a.chars().chain(b.chars()).filter(char::is_ascii_alphabetic) {
        let needed = output.contains(c) || rest.iter().any(|r| r.contains(c));
        if needed && !kept.contains(c) {
            kept.push(c);
        }
    }
    kept
}

/// Products of all elements of one tensor by the whole other one, as blocks.
pub fn kron(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (mut a, mut b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let rank = cx.rank(a).max(cx.rank(b));
    while cx.rank(a) < rank {
        a = cx.expand_dims(a, 0)?;
    }
    while cx.rank(b) < rank {
        b = cx.expand_dims(b, 0)?;
    }
    let (sa, sb) = (cx.shape(a), cx.shape(b));
    let wide_a: Vec<usize> = sa.iter().flat_map(|&n| [n, 1]).collect();
    let wide_b: Vec<usize> = sb.iter().flat_map(|&n| [1, n]).collect();
    let a = cx.reshape(a, &wide_a)?;
    let b = cx.reshape(b, &wide_b)?;
    let y = cx.mul(a, b)?;
    let shape: Vec<usize> = sa.iter().zip(&sb).map(|(m, n)| m * n).collect();
    Ok(cx.reshape(y, &shape)?.into())
}

/// Over the last axes of both.
pub fn inner(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let (a, b, result) = operands(cx, call)?;
    let y = match (cx.rank(a), cx.rank(b)) {
        (0, _) | (_, 0) => cx.mul(a, b)?,
        (ra, rb) => contract(cx, a, b, &[ra - 1], &[rb - 1])?,
    };
    Ok(cx.cast(y, result)?.into())
}

/// Products of one vector with the other one, moved along it.
pub fn correlate(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let mode = cfg.one_of("mode", "valid", &["valid", "same", "full"])?;
    let (a, b) = strong_pair(cx, call, ["x1", "x2"], &[])?;
    let dtype = match cx.dtype(a) {
        DType::I64 | DType::F64 => DType::F64,
        d if d.is_float() => d,
        _ => DType::F32,
    };
    let (a, b) = (cx.cast(a, dtype)?, cx.cast(b, dtype)?);
    cx.check_rank(a, 1)?;
    cx.check_rank(b, 1)?;
    let (n, m) = (cx.dim(a, 0)?, cx.dim(b, 0)?);
    let beyond = if mode == "valid" {
        0
    } else {
        m.saturating_sub(1)
    };
    let a = cx.pad(a, &[(beyond, beyond)], PadMode::Constant, 0.0)?;
    let a = cx.reshape(a, &[1, n + 2 * beyond, 1])?;
    let b = cx.reshape(b, &[m, 1, 1])?;
    let attrs = ConvAttrs {
        strides: vec![1],
        padding: vec![(0, 0)],
        dilation: vec![1],
        groups: 1,
    };
    let y = cx.conv(a, b, attrs)?;
    let y = flat(cx, y)?;
    if mode != "same" {
        return Ok(y.into());
    }
    let len = n.max(m);
    let start = (n + m - 1 - len) / 2;
    Ok(cx.slice_axis(y, 0, start, start + len)?.into())
}
