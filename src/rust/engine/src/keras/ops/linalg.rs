//! `keras.ops.linalg`.

use crate::error::Result;
use crate::graph::{broadcast_shapes, Binary, Linalg, Reduce, Unary, ValueId};
use crate::keras::cfg::as_f64;
use crate::keras::ops::args::*;
use crate::keras::ops::numpy::shape::{diagonal_of, move_axes};
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{show_shape, DType, Fact};

/// The decomposition of a tensor's matrices; floats of 16 bits are computed in float32.
pub fn decompose(cx: &mut Cx, kind: Linalg, xs: &[ValueId]) -> Result<Vec<ValueId>> {
    let own = cx.dtype(xs[0]);
    if !matches!(own, DType::F16 | DType::BF16) {
        return cx.linalg(kind, xs);
    }
    let xs = xs
        .iter()
        .map(|&x| cx.cast(x, DType::F32))
        .collect::<Result<Vec<_>>>()?;
    let outs = cx.linalg(kind, &xs)?;
    outs.into_iter()
        .map(|v| match cx.dtype(v).is_float() {
            true => cx.cast(v, own),
            false => Ok(v),
        })
        .collect()
}

/// The last two axes swapped.
pub fn transposed(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    move_axes(cx, x, &[-1], &[-2])
}

/// The operation's results as they are.
pub fn plain(cx: &mut Cx, call: &Call, kind: Linalg) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let outs = decompose(cx, kind, &[x])?;
    Ok(match outs[..] {
        [one] => one.into(),
        _ => Out::List(outs.into_iter().map(Out::from).collect()),
    })
}

pub fn cholesky(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let l = decompose(cx, Linalg::Cholesky, &[x])?[0];
    match cfg.bool_or("upper", false)? {
        true => Ok(transposed(cx, l)?.into()),
        false => Ok(l.into()),
    }
}

/// The identity matrix, once for each matrix of a tensor.
fn identity(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let fact = cx.fact(x).clone();
    let n = cx.dim(x, -1)?;
    let eye = cx.generated_bools([n, n], |i| i % (n + 1) == 0)?;
    let eye = cx.cast(eye, fact.dtype)?;
    cx.broadcast_to(eye, &fact.shape)
}

/// The inverse of the matrix that a Cholesky factor is of.
pub fn cholesky_inverse(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let upper = cfg.bool_or("upper", false)?;
    let eye = identity(cx, x)?;
    let kind = Linalg::SolveTriangular { lower: !upper };
    let inverse = decompose(cx, kind, &[x, eye])?[0];
    Ok(cx.matmul(inverse, inverse, !upper, upper)?.into())
}

pub fn inv(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let eye = identity(cx, x)?;
    Ok(decompose(cx, Linalg::Solve, &[x, eye])?[0].into())
}

/// The logarithm of the determinant of a positive definite matrix.
pub fn logdet(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let l = decompose(cx, Linalg::Cholesky, &[x])?[0];
    let d = diagonal_of(cx, l, 0, [-2, -1])?;
    let d = cx.unary(Unary::Log, d)?;
    let last = [cx.rank(d) - 1];
    let sum = cx.reduce(Reduce::Sum, d, &last, false)?;
    Ok(cx.mul_s(sum, 2.0)?.into())
}

pub fn qr(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let full = cfg.one_of("mode", "reduced", &["reduced", "complete"])? == "complete";
    plain(cx, call, Linalg::Qr { full })
}

/// Solves with a kind of matrix; a right side of one axis less is one vector each.
fn solved(cx: &mut Cx, call: &Call, kind: Linalg) -> Result<Out> {
    let a = tensor(cx, call, 0, "a")?;
    let b = tensor(cx, call, 1, "b")?;
    let vector = cx.rank(b) + 1 == cx.rank(a);
    let b = match vector {
        true => cx.expand_dims(b, -1)?,
        false => b,
    };
    let (sa, sb) = (cx.shape(a), cx.shape(b));
    if sa.len() < 2 || sb.len() < 2 {
        return Err(cx.error(format!(
            "expected matrices, not {} and {}",
            cx.fact(a),
            cx.fact(b)
        )));
    }
    let ((lead_a, tail_a), (lead_b, tail_b)) =
        (sa.split_at(sa.len() - 2), sb.split_at(sb.len() - 2));
    let Some(lead) = broadcast_shapes(lead_a, lead_b) else {
        return Err(cx.error(format!(
            "batches of matrices of shapes {} and {} don't fit together",
            show_shape(&sa),
            show_shape(&sb)
        )));
    };
    let a = cx.broadcast_to(a, &[&lead, tail_a].concat())?;
    let b = cx.broadcast_to(b, &[&lead, tail_b].concat())?;
    let x = decompose(cx, kind, &[a, b])?[0];
    match vector {
        true => Ok(cx.squeeze(x, -1)?.into()),
        false => Ok(x.into()),
    }
}

pub fn solve(cx: &mut Cx, _: &Cfg, call: &Call) -> Result<Out> {
    solved(cx, call, Linalg::Solve)
}

pub fn solve_triangular(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let lower = cfg.bool_or("lower", false)?;
    solved(cx, call, Linalg::SolveTriangular { lower })
}

pub fn svd(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let full = cfg.bool_or("full_matrices", true)?;
    let outs = decompose(cx, Linalg::Svd { full }, &[x])?;
    if !cfg.bool_or("compute_uv", true)? {
        return Ok(outs[1].into());
    }
    let v = transposed(cx, outs[2])?;
    Ok(Out::List(vec![outs[0].into(), outs[1].into(), v.into()]))
}

/// U, singular values and V, no larger than they must be, and the largest
/// singular value of each matrix, with an axis of 1.
fn thin(cx: &mut Cx, x: ValueId) -> Result<([ValueId; 3], ValueId)> {
    let outs = decompose(cx, Linalg::Svd { full: false }, &[x])?;
    let last = [cx.rank(outs[1]) - 1];
    let top = cx.reduce(Reduce::Max, outs[1], &last, true)?;
    Ok(([outs[0], outs[1], outs[2]], top))
}

/// What Keras adds to 1 and still tells apart, times the larger size of a matrix.
fn rounding(cx: &Cx, x: ValueId) -> Result<f64> {
    let epsilon = match cx.dtype(x) {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    Ok(epsilon * cx.dim(x, -1)?.max(cx.dim(x, -2)?) as f64)
}

pub fn pinv(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let ratio = match cfg.opt_f64("rcond")? {
        Some(r) => r,
        None => 10.0 * rounding(cx, x)?,
    };
    let ([u, s, v], top) = thin(cx, x)?;
    let cut = cx.mul_s(top, ratio)?;
    let keep = cx.binary(Binary::Gt, s, cut)?;
    let dtype = cx.dtype(s);
    let infinite = cx.scalar(dtype, f64::INFINITY);
    let s = cx.select(keep, s, infinite)?;
    let s = cx.expand_dims(s, -2)?;
    let v = cx.div(v, s)?;
    Ok(cx.matmul(v, u, false, true)?.into())
}

pub fn matrix_rank(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let ([_, s, _], top) = thin(cx, x)?;
    let bound = match cfg.opt_f64("tol")? {
        Some(tol) => {
            let dtype = cx.dtype(s);
            cx.scalar(dtype, tol)
        }
        None => {
            let by = rounding(cx, x)?;
            cx.mul_s(top, by)?
        }
    };
    let above = cx.binary(Binary::Gt, s, bound)?;
    let above = cx.cast(above, DType::I32)?;
    let last = [cx.rank(above) - 1];
    Ok(cx.reduce(Reduce::Sum, above, &last, false)?.into())
}

/// The smallest of the solutions with the least squared error.
pub fn lstsq(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let a = tensor(cx, call, 0, "a")?;
    let b = tensor(cx, call, 1, "b")?;
    cx.check_rank(a, 2)?;
    let vector = cx.rank(b) == 1;
    let b = match vector {
        true => cx.expand_dims(b, -1)?,
        false => b,
    };
    let ratio = match cfg.opt_f64("rcond")? {
        None => rounding(cx, a)?,
        Some(r) if r < 0.0 => rounding(cx, a)? / cx.dim(a, 0)?.max(cx.dim(a, 1)?) as f64,
        Some(r) => r,
    };
    let ([u, s, v], top) = thin(cx, a)?;
    let cut = cx.mul_s(top, ratio)?;
    let keep = cx.binary(Binary::Ge, s, cut)?;
    let dtype = cx.dtype(s);
    let (one, zero) = (cx.scalar(dtype, 1.0), cx.scalar(dtype, 0.0));
    let inverse = cx.select(keep, s, one)?;
    let inverse = cx.unary(Unary::Reciprocal, inverse)?;
    let inverse = cx.select(keep, inverse, zero)?;
    let inverse = cx.expand_dims(inverse, -1)?;
    let y = cx.matmul(u, b, true, false)?;
    let y = cx.mul(inverse, y)?;
    let x = cx.matmul(v, y, false, false)?;
    match vector {
        true => Ok(flat(cx, x)?.into()),
        false => Ok(x.into()),
    }
}

/// The norm of vectors along one axis, or of matrices along two.
pub fn norm(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "x")?;
    let x = to_float(cx, x)?;
    let keepdims = cfg.bool_or("keepdims", false)?;
    let rank = cx.rank(x);
    let axes = match cfg.opt_ints("axis")? {
        Some(given) => given
            .iter()
            .map(|&a| cx.axis(a as isize, rank))
            .collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let bad = || cfg.bad("ord", "a norm of vectors or matrices");
    let ord = match cfg.get("ord") {
        None => None,
        Some(v) => match (v.as_str(), as_f64(v)) {
            (_, Some(p)) => Some(p),
            (Some("fro"), _) if axes.len() == 2 => None,
            (Some("nuc"), _) if axes.len() == 2 => {
                return Ok(of_values(cx, x, &axes, Reduce::Sum, keepdims)?.into());
            }
            _ => return Err(bad()),
        },
    };
    let y = match (ord, axes.as_slice()) {
        (None, _) => euclid(cx, x, &axes, keepdims)?,
        (Some(p), [_]) => of_vectors(cx, x, p, &axes, keepdims)?,
        (Some(p), &[rows, columns]) => {
            let kind = if p > 0.0 { Reduce::Max } else { Reduce::Min };
            let (over, along) = match p.abs() {
                1.0 => (rows, columns),
                f64::INFINITY => (columns, rows),
                2.0 => return Ok(of_values(cx, x, &axes, kind, keepdims)?.into()),
                _ => return Err(bad()),
            };
            let abs = cx.unary(Unary::Abs, x)?;
            let sums = cx.reduce(Reduce::Sum, abs, &[over], true)?;
            let y = cx.reduce(kind, sums, &[along], true)?;
            match keepdims {
                true => y,
                false => without(cx, y, &axes)?,
            }
        }
        _ => return Err(bad()),
    };
    Ok(y.into())
}

fn euclid(cx: &mut Cx, x: ValueId, axes: &[usize], keepdims: bool) -> Result<ValueId> {
    let s = cx.unary(Unary::Square, x)?;
    let s = cx.reduce(Reduce::Sum, s, axes, keepdims)?;
    cx.unary(Unary::Sqrt, s)
}

fn of_vectors(cx: &mut Cx, x: ValueId, p: f64, axes: &[usize], keepdims: bool) -> Result<ValueId> {
    let abs = cx.unary(Unary::Abs, x)?;
    if p == f64::INFINITY {
        cx.reduce(Reduce::Max, abs, axes, keepdims)
    } else if p == f64::NEG_INFINITY {
        cx.reduce(Reduce::Min, abs, axes, keepdims)
    } else if p == 0.0 {
        let some = cx.binary_s(Binary::Ne, x, 0.0)?;
        let dtype = cx.dtype(x);
        let some = cx.cast(some, dtype)?;
        cx.reduce(Reduce::Sum, some, axes, keepdims)
    } else if p == 1.0 {
        cx.reduce(Reduce::Sum, abs, axes, keepdims)
    } else if p == 2.0 {
        euclid(cx, x, axes, keepdims)
    } else {
        let s = cx.binary_s(Binary::Pow, abs, p)?;
        let s = cx.reduce(Reduce::Sum, s, axes, keepdims)?;
        cx.binary_s(Binary::Pow, s, 1.0 / p)
    }
}

/// Drops axes of size 1.
fn without(cx: &mut Cx, x: ValueId, axes: &[usize]) -> Result<ValueId> {
    let shape = cx.shape(x);
    let kept = (0..shape.len()).filter(|a| !axes.contains(a));
    let kept: Vec<usize> = kept.map(|a| shape[a]).collect();
    cx.reshape(x, &kept)
}

/// The sum, the largest or the smallest of the singular values.
fn of_values(
    cx: &mut Cx,
    x: ValueId,
    axes: &[usize],
    kind: Reduce,
    keepdims: bool,
) -> Result<ValueId> {
    let Fact { dtype, mut shape } = cx.fact(x).clone();
    let moved: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
    let x = move_axes(cx, x, &moved, &[-2, -1])?;
    let s = decompose(cx, Linalg::Svd { full: false }, &[x])?[1];
    let last = [cx.rank(s) - 1];
    let y = cx.reduce(kind, s, &last, false)?;
    let y = cx.cast(y, dtype)?;
    if !keepdims {
        return Ok(y);
    }
    for &a in axes {
        shape[a] = 1;
    }
    cx.reshape(y, &shape)
}
