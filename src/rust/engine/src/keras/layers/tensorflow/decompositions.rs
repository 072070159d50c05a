//! Decompositions of matrices, and what is computed by them.

use super::args::Args;
use super::Name;
use crate::error::Result;
use crate::graph::{Binary, Linalg, Reduce, ValueId};
use crate::keras::ops::linalg::{decompose, transposed};
use crate::keras::{Cx, Out};
use crate::tensor::DType;

/// The functions of [`lower`].
pub const NAMES: [&str; 15] = [
    "cholesky_solve",
    "eigh",
    "eigvalsh",
    "expm",
    "inv",
    "lstsq",
    "lu",
    "lu_matrix_inverse",
    "lu_reconstruct",
    "lu_solve",
    "pinv",
    "qr",
    "solve",
    "svd",
    "triangular_solve",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let x = a.first(cx)?;
    if cx.rank(x) < 2 {
        return Err(cx.error(format!("expected matrices, not {}", cx.fact(x))));
    }
    let out: ValueId = match name.function {
        "svd" => {
            let full = a.flag("full_matrices");
            let outs = decompose(cx, Linalg::Svd { full }, &[x])?;
            if a.is_off("compute_uv") {
                return Ok(Some(outs[1].into()));
            }
            return Ok(Some(list([outs[1], outs[0], outs[2]])));
        }
        "qr" => {
            let full = a.flag("full_matrices");
            let outs = decompose(cx, Linalg::Qr { full }, &[x])?;
            return Ok(Some(list([outs[0], outs[1]])));
        }
        "eigh" | "eigvalsh" => {
            let outs = decompose(cx, Linalg::Eigh, &[x])?;
            if name.function == "eigh" {
                return Ok(Some(list([outs[0], outs[1]])));
            }
            outs[0]
        }
        "lu" => {
            let outs = decompose(cx, Linalg::Lu, &[x])?;
            // Where each row came from.
            let (_, from) = cx.sort(outs[1], false)?;
            let dtype = a.dtype(cx, "output_idx_type")?.unwrap_or(DType::I32);
            let from = cx.cast(from, dtype)?;
            return Ok(Some(list([outs[0], from])));
        }
        "lu_solve" | "lu_matrix_inverse" => {
            let from = a.tensor(cx, "perm")?;
            let b = match name.function {
                "lu_solve" => a.tensor(cx, "rhs")?,
                _ => identity(cx, x)?,
            };
            let b = rows_at(cx, b, from)?;
            let lower = unit_lower(cx, x)?;
            let y = decompose(cx, Linalg::SolveTriangular { lower: true }, &[lower, b])?[0];
            decompose(cx, Linalg::SolveTriangular { lower: false }, &[x, y])?[0]
        }
        "lu_reconstruct" => {
            let from = a.tensor(cx, "perm")?;
            let lower = unit_lower(cx, x)?;
            let upper = triangle(cx, x, |i, j| i <= j)?;
            let y = cx.matmul(lower, upper, false, false)?;
            let from = cx.cast(from, DType::I32)?;
            let (_, to) = cx.sort(from, false)?;
            rows_at(cx, y, to)?
        }
        "cholesky_solve" => {
            let b = a.tensor(cx, "rhs")?;
            of_factor(cx, x, b)?
        }
        "triangular_solve" => {
            let b = a.tensor(cx, "rhs")?;
            if !a.flag("adjoint") {
                return Ok(None);
            }
            let x = transposed(cx, x)?;
            let lower = a.is_off("lower");
            decompose(cx, Linalg::SolveTriangular { lower }, &[x, b])?[0]
        }
        "solve" => {
            if !a.flag("adjoint") {
                return Ok(None);
            }
            let x = transposed(cx, x)?;
            let b = a.tensor(cx, "rhs")?;
            decompose(cx, Linalg::Solve, &[x, b])?[0]
        }
        "inv" => {
            if !a.flag("adjoint") {
                return Ok(None);
            }
            let x = transposed(cx, x)?;
            let eye = identity(cx, x)?;
            decompose(cx, Linalg::Solve, &[x, eye])?[0]
        }
        "pinv" => {
            let epsilon = match cx.dtype(x) {
                DType::F64 => f64::EPSILON,
                _ => f64::from(f32::EPSILON),
            };
            let size = cx.dim(x, -1)?.max(cx.dim(x, -2)?) as f64;
            let ratio = a.number(cx, "rcond", 10.0 * size * epsilon)?;
            inverse(cx, x, ratio)?
        }
        "lstsq" => least_squares(cx, x, a)?,
        "expm" => exponential(cx, x)?,
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}

fn list<const N: usize>(values: [ValueId; N]) -> Out {
    Out::List(values.into_iter().map(Out::from).collect())
}

/// What is kept of square matrices, by row and column; 0 elsewhere.
fn triangle(cx: &mut Cx, x: ValueId, keeps: impl Fn(usize, usize) -> bool) -> Result<ValueId> {
    let (m, n) = (cx.dim(x, -2)?, cx.dim(x, -1)?);
    let kept = super::by_place(cx, m, n, keeps)?;
    let dtype = cx.dtype(x);
    let zero = cx.scalar(dtype, 0.0);
    cx.select(kept, x, zero)
}

/// The lower factor of two in one matrix.
fn unit_lower(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let below = triangle(cx, x, |i, j| i > j)?;
    let eye = identity(cx, x)?;
    cx.add(below, eye)
}

fn identity(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let fact = cx.fact(x).clone();
    let n = cx.dim(x, -1)?;
    let eye = super::by_place(cx, n, n, |i, j| i == j)?;
    let eye = cx.cast(eye, fact.dtype)?;
    cx.broadcast_to(eye, &fact.shape)
}

/// Rows of matrices at places, of each matrix its own.
fn rows_at(cx: &mut Cx, x: ValueId, places: ValueId) -> Result<ValueId> {
    let at = cx.rank(x) - 2;
    let places = cx.cast(places, DType::I32)?;
    cx.gather(x, places, at, at)
}

/// Solves by the lower Cholesky factor of a matrix.
fn of_factor(cx: &mut Cx, l: ValueId, b: ValueId) -> Result<ValueId> {
    let y = decompose(cx, Linalg::SolveTriangular { lower: true }, &[l, b])?[0];
    let u = transposed(cx, l)?;
    Ok(decompose(cx, Linalg::SolveTriangular { lower: false }, &[u, y])?[0])
}

/// The pseudo-inverse, without the singular values up to a part of the largest.
fn inverse(cx: &mut Cx, x: ValueId, ratio: f64) -> Result<ValueId> {
    let outs = decompose(cx, Linalg::Svd { full: false }, &[x])?;
    let (u, s, v) = (outs[0], outs[1], outs[2]);
    let last = [cx.rank(s) - 1];
    let top = cx.reduce(Reduce::Max, s, &last, true)?;
    let cut = cx.mul_s(top, ratio)?;
    let keep = cx.binary(Binary::Gt, s, cut)?;
    let dtype = cx.dtype(s);
    let infinite = cx.scalar(dtype, f64::INFINITY);
    let s = cx.select(keep, s, infinite)?;
    let s = cx.expand_dims(s, -2)?;
    let v = cx.div(v, s)?;
    cx.matmul(v, u, false, true)
}

/// By the normal equations, or without them where the call is not to be fast.
fn least_squares(cx: &mut Cx, x: ValueId, a: &Args) -> Result<ValueId> {
    let b = a.tensor(cx, "rhs")?;
    let penalty = a.number(cx, "l2_regularizer", 0.0)?;
    if a.is_off("fast") {
        let epsilon = match cx.dtype(x) {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        };
        let y = inverse(cx, x, epsilon * cx.dim(x, -1)?.min(cx.dim(x, -2)?) as f64)?;
        return cx.matmul(y, b, false, false);
    }
    let tall = cx.dim(x, -2)? >= cx.dim(x, -1)?;
    let mut square = cx.matmul(x, x, tall, !tall)?;
    if penalty != 0.0 {
        let eye = identity(cx, square)?;
        let eye = cx.mul_s(eye, penalty)?;
        square = cx.add(square, eye)?;
    }
    let l = decompose(cx, Linalg::Cholesky, &[square])?[0];
    match tall {
        true => {
            let b = cx.matmul(x, b, true, false)?;
            of_factor(cx, l, b)
        }
        false => {
            let y = of_factor(cx, l, b)?;
            cx.matmul(x, y, true, false)
        }
    }
}

/// Exponentials of matrices: a Taylor polynomial of a small part of the matrix,
/// squared again and again; float64 holds what squaring loses.
fn exponential(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    const HALVINGS: i32 = 10;
    const DEGREE: i32 = 12;
    let own = cx.dtype(x);
    let x = cx.cast(x, DType::F64)?;
    let eye = identity(cx, x)?;
    let small = cx.mul_s(x, 2f64.powi(-HALVINGS))?;
    let mut sum = eye;
    for k in (1..=DEGREE).rev() {
        let product = cx.matmul(small, sum, false, false)?;
        let product = cx.div_s(product, f64::from(k))?;
        sum = cx.add(eye, product)?;
    }
    for _ in 0..HALVINGS {
        sum = cx.matmul(sum, sum, false, false)?;
    }
    cx.cast(sum, own)
}
