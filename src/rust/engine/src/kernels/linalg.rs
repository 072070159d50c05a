//! Decompositions of small matrices, in float64. Where a factor is unique up to
//! signs only, the steps are Eigen's, which TensorFlow calls, so that the signs
//! are too.

use std::ops::{Index, IndexMut};

use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::{Linalg, Op};
use crate::tensor::{numel, DType, Fact, Line, View, ViewMut};

/// Matrices of fewer elements in all are computed by one thread.
const PARALLEL: usize = 1 << 12;

/// A matrix by rows.
#[derive(Clone, Debug, PartialEq)]
struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f64>,
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;
    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.data[i * self.columns + j]
    }
}
impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.data[i * self.columns + j]
    }
}

impl Matrix {
    fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix {
            rows,
            columns,
            data: vec![0.0; rows * columns],
        }
    }

    fn identity(rows: usize, columns: usize) -> Matrix {
        let mut m = Matrix::zeros(rows, columns);
        for i in 0..rows.min(columns) {
            m[(i, i)] = 1.0;
        }
        m
    }

    fn transposed(&self) -> Matrix {
        let mut m = Matrix::zeros(self.columns, self.rows);
        for i in 0..self.rows {
            for j in 0..self.columns {
                m[(j, i)] = self[(i, j)];
            }
        }
        m
    }

    /// The largest absolute value; NaN if there is one.
    fn size(&self) -> f64 {
        let larger = |a: f64, v: &f64| {
            if v.abs() > a || v.is_nan() {
                v.abs()
            } else {
                a
            }
        };
        self.data.iter().fold(0.0, larger)
    }

    fn swap_rows(&mut self, a: usize, b: usize) {
        for j in 0..self.columns {
            self.data.swap(a * self.columns + j, b * self.columns + j);
        }
    }

    fn swap_columns(&mut self, a: usize, b: usize) {
        for i in 0..self.rows {
            self.data.swap(i * self.columns + a, i * self.columns + b);
        }
    }

    /// Columns p and q become `c p - s q` and `s p + c q`.
    fn rotate_columns(&mut self, p: usize, q: usize, (c, s): Rotation) {
        for i in 0..self.rows {
            let (x, y) = (self[(i, p)], self[(i, q)]);
            self[(i, p)] = c * x - s * y;
            self[(i, q)] = s * x + c * y;
        }
    }

    /// Rows p and q become `c p + s q` and `c q - s p`.
    fn rotate_rows(&mut self, p: usize, q: usize, (c, s): Rotation) {
        for j in 0..self.columns {
            let (x, y) = (self[(p, j)], self[(q, j)]);
            self[(p, j)] = c * x + s * y;
            self[(q, j)] = c * y - s * x;
        }
    }

    /// Applies `I - tau v v'`, where v is 1 at row `k` and `tail` below, to the
    /// columns from `first` on.
    fn reflect(&mut self, k: usize, tail: &[f64], tau: f64, first: usize) {
        if tau == 0.0 {
            return;
        }
        for j in first..self.columns {
            let below = tail.iter().enumerate();
            let dot: f64 = below.map(|(i, v)| v * self[(k + 1 + i, j)]).sum();
            let dot = tau * (dot + self[(k, j)]);
            self[(k, j)] -= dot;
            for (i, v) in tail.iter().enumerate() {
                self[(k + 1 + i, j)] -= dot * v;
            }
        }
    }
}

/// Cosine and sine.
type Rotation = (f64, f64);

/// The reflection that turns `x` into `(beta, 0, ...)`: its vector below the
/// leading 1, tau, beta.
fn householder(x: &[f64]) -> (Vec<f64>, f64, f64) {
    let (first, tail) = (x[0], &x[1..]);
    let below: f64 = tail.iter().map(|v| v * v).sum();
    if below <= f64::MIN_POSITIVE {
        return (vec![0.0; tail.len()], 0.0, first);
    }
    let norm = (first * first + below).sqrt();
    let beta = if first >= 0.0 { -norm } else { norm };
    let tail = tail.iter().map(|v| v / (first - beta)).collect();
    (tail, (beta - first) / beta, beta)
}

fn column_below(m: &Matrix, k: usize, j: usize) -> Vec<f64> {
    (k..m.rows).map(|i| m[(i, j)]).collect()
}

/// A QR decomposition as reflections.
struct Reflections {
    /// R on and above the diagonal.
    r: Matrix,
    steps: Vec<(Vec<f64>, f64)>,
}

impl Reflections {
    /// `permute` is told the step and the matrix, and may swap columns.
    fn new(mut r: Matrix, mut permute: impl FnMut(usize, &mut Matrix)) -> Reflections {
        let mut steps = vec![];
        for k in 0..r.rows.min(r.columns) {
            permute(k, &mut r);
            let (tail, tau, beta) = householder(&column_below(&r, k, k));
            r[(k, k)] = beta;
            for i in k + 1..r.rows {
                r[(i, k)] = 0.0;
            }
            r.reflect(k, &tail, tau, k + 1);
            steps.push((tail, tau));
        }
        Reflections { r, steps }
    }

    /// The first `columns` columns of Q.
    fn q(&self, columns: usize) -> Matrix {
        let mut q = Matrix::identity(self.r.rows, columns);
        for (k, (tail, tau)) in self.steps.iter().enumerate().rev() {
            q.reflect(k, tail, *tau, 0);
        }
        q
    }
}

/// The factors in one matrix, the rows that took each place, and the sign of
/// that permutation. Pivots are the largest of their columns.
fn lu(mut m: Matrix) -> (Matrix, Vec<usize>, f64) {
    let n = m.rows;
    let mut order: Vec<usize> = (0..n).collect();
    let mut sign = 1.0;
    for k in 0..n {
        let mut pivot = k;
        for i in k + 1..n {
            if m[(i, k)].abs() > m[(pivot, k)].abs() {
                pivot = i;
            }
        }
        if pivot != k {
            m.swap_rows(k, pivot);
            order.swap(k, pivot);
            sign = -sign;
        }
        if m[(k, k)] == 0.0 {
            continue;
        }
        for i in k + 1..n {
            m[(i, k)] /= m[(k, k)];
            for j in k + 1..n {
                let v = m[(i, k)] * m[(k, j)];
                m[(i, j)] -= v;
            }
        }
    }
    (m, order, sign)
}

/// Solves with a triangle of `a`, in place; the diagonal is 1 where `unit`.
fn substitute(a: &Matrix, b: &mut Matrix, lower: bool, unit: bool) {
    let n = a.rows;
    for step in 0..n {
        let i = if lower { step } else { n - 1 - step };
        let known = if lower { 0..i } else { i + 1..n };
        for j in 0..b.columns {
            let sum: f64 = known.clone().map(|k| a[(i, k)] * b[(k, j)]).sum();
            let v = b[(i, j)] - sum;
            b[(i, j)] = if unit { v } else { v / a[(i, i)] };
        }
    }
}

/// `None` where a pivot is 0.
fn solve(a: Matrix, b: &Matrix) -> Option<Matrix> {
    let (f, order, _) = lu(a);
    if (0..f.rows).any(|i| f[(i, i)] == 0.0) {
        return None;
    }
    let mut x = Matrix::zeros(b.rows, b.columns);
    for (i, &from) in order.iter().enumerate() {
        for j in 0..b.columns {
            x[(i, j)] = b[(from, j)];
        }
    }
    substitute(&f, &mut x, true, true);
    substitute(&f, &mut x, false, false);
    Some(x)
}

/// The lower factor of the lower triangle; `None` if it is not positive definite.
fn cholesky(m: &Matrix) -> Option<Matrix> {
    let n = m.rows;
    let mut l = Matrix::zeros(n, n);
    for j in 0..n {
        for i in j..n {
            let sum: f64 = (0..j).map(|k| l[(i, k)] * l[(j, k)]).sum();
            let v = m[(i, j)] - sum;
            l[(i, j)] = match i == j {
                true if v > 0.0 => v.sqrt(),
                true => return None,
                false => v / l[(j, j)],
            };
        }
    }
    Some(l)
}

/// The rotation that turns (p, q) into (r, 0).
fn givens(p: f64, q: f64) -> Rotation {
    let signed = |t: f64, by: f64| (1.0 + t * t).sqrt().copysign(by);
    if q == 0.0 {
        (if p < 0.0 { -1.0 } else { 1.0 }, 0.0)
    } else if p == 0.0 {
        (0.0, if q < 0.0 { 1.0 } else { -1.0 })
    } else if p.abs() > q.abs() {
        let t = q / p;
        let c = 1.0 / signed(t, p);
        (c, -t * c)
    } else {
        let t = p / q;
        let s = -1.0 / signed(t, q);
        (-t * s, s)
    }
}

/// Eigenvalues in ascending order and eigenvectors of the symmetric matrix of
/// the lower triangle: tridiagonal form, then implicit QR steps.
fn eigh(m: &Matrix, epsilon: f64) -> (Vec<f64>, Matrix) {
    let n = m.rows;
    let mut a = m.clone();
    for i in 0..n {
        for j in i + 1..n {
            a[(i, j)] = a[(j, i)];
        }
    }
    if n <= 1 {
        return (a.data, Matrix::identity(n, n));
    }
    let scale = match a.size() {
        0.0 => 1.0,
        s if s.is_finite() => s,
        _ => return (vec![f64::NAN; n], nans(n, n)),
    };
    a.data.iter_mut().for_each(|v| *v /= scale);
    let (mut d, mut e) = (vec![0.0; n], vec![0.0; n - 1]);
    let mut steps = vec![];
    for (k, e) in e.iter_mut().enumerate() {
        let (tail, tau, beta) = householder(&column_below(&a, k + 1, k));
        *e = beta;
        a.reflect(k + 1, &tail, tau, k + 1);
        a = a.transposed();
        a.reflect(k + 1, &tail, tau, k + 1);
        steps.push((tail, tau));
    }
    for (i, d) in d.iter_mut().enumerate() {
        *d = a[(i, i)];
    }
    let mut v = Matrix::identity(n, n);
    for (k, (tail, tau)) in steps.iter().enumerate().rev() {
        v.reflect(k + 1, tail, *tau, 0);
    }
    let (mut end, mut rounds) = (n - 1, 0);
    while end > 0 {
        for i in 0..end {
            let small = e[i] / epsilon;
            if e[i].abs() < f64::MIN_POSITIVE || small * small <= d[i].abs() + d[i + 1].abs() {
                e[i] = 0.0;
            }
        }
        while end > 0 && e[end - 1] == 0.0 {
            end -= 1;
        }
        rounds += 1;
        if end == 0 || rounds > 30 * n {
            break;
        }
        let mut start = end - 1;
        while start > 0 && e[start - 1] != 0.0 {
            start -= 1;
        }
        qr_step(&mut d, &mut e, start, end, &mut v);
    }
    for i in 0..n {
        let least = (i..n).fold(i, |k, j| if d[j] < d[k] { j } else { k });
        if least != i {
            d.swap(i, least);
            v.swap_columns(i, least);
        }
    }
    (d.into_iter().map(|w| w * scale).collect(), v)
}

/// One QR step with Wilkinson's shift on rows `start..=end` of a tridiagonal matrix.
fn qr_step(d: &mut [f64], e: &mut [f64], start: usize, end: usize, v: &mut Matrix) {
    let td = (d[end - 1] - d[end]) * 0.5;
    let last = e[end - 1];
    let mut mu = d[end];
    if td == 0.0 {
        mu -= last.abs();
    } else if last != 0.0 {
        let h = td.hypot(last);
        let far = td + if td > 0.0 { h } else { -h };
        mu -= match last * last {
            0.0 => last / (far / last),
            square => square / far,
        };
    }
    let (mut x, mut z) = (d[start] - mu, e[start]);
    for k in start..end {
        if z == 0.0 {
            break;
        }
        let (c, s) = givens(x, z);
        let sdk = s * d[k] + c * e[k];
        let dkp1 = s * e[k] + c * d[k + 1];
        d[k] = c * (c * d[k] - s * e[k]) - s * (c * e[k] - s * d[k + 1]);
        d[k + 1] = s * sdk + c * dkp1;
        e[k] = c * sdk - s * dkp1;
        if k > start {
            e[k - 1] = c * e[k - 1] - s * z;
        }
        x = e[k];
        if k + 1 < end {
            z = -s * e[k + 1];
            e[k + 1] *= c;
        }
        v.rotate_columns(k, k + 1, (c, s));
    }
}

fn nans(rows: usize, columns: usize) -> Matrix {
    Matrix {
        rows,
        columns,
        data: vec![f64::NAN; rows * columns],
    }
}

/// QR with the column of the largest rest first; gives the order of columns too.
fn pivoted(m: Matrix) -> (Reflections, Vec<usize>) {
    let mut order: Vec<usize> = (0..m.columns).collect();
    let qr = Reflections::new(m, |k, r| {
        let rest = |j: usize| -> f64 { (k..r.rows).map(|i| r[(i, j)] * r[(i, j)]).sum() };
        let best = (k..r.columns).fold(k, |b, j| if rest(j) > rest(b) { j } else { b });
        if best != k {
            r.swap_columns(k, best);
            order.swap(k, best);
        }
    });
    (qr, order)
}

/// The matrix that moves columns into an order.
fn permutation(order: &[usize]) -> Matrix {
    let mut p = Matrix::zeros(order.len(), order.len());
    for (j, &i) in order.iter().enumerate() {
        p[(i, j)] = 1.0;
    }
    p
}

/// U, singular values in descending order, and V: two-sided Jacobi rotations of
/// the triangle of a pivoted QR decomposition. `full`: U and V are square.
fn svd(m: &Matrix, full: bool, epsilon: f64) -> (Matrix, Vec<f64>, Matrix) {
    let n = m.rows.min(m.columns);
    let width = |size: usize| if full { size } else { n };
    let scale = match m.size() {
        0.0 => 1.0,
        s if s.is_finite() => s,
        _ => {
            let (u, v) = (width(m.rows), width(m.columns));
            return (nans(m.rows, u), vec![f64::NAN; n], nans(m.columns, v));
        }
    };
    let mut a = m.clone();
    a.data.iter_mut().for_each(|v| *v /= scale);
    let (mut w, mut u, mut v);
    if m.rows > m.columns {
        let (qr, order) = pivoted(a);
        u = qr.q(width(m.rows));
        v = permutation(&order);
        w = qr.r;
    } else if m.rows < m.columns {
        let (qr, order) = pivoted(a.transposed());
        v = qr.q(width(m.columns));
        u = permutation(&order);
        w = qr.r.transposed();
    } else {
        u = Matrix::identity(n, n);
        v = Matrix::identity(n, n);
        w = a;
    }
    let diagonal = |w: &Matrix| (0..n).fold(0.0f64, |a, i| a.max(w[(i, i)].abs()));
    let mut largest = diagonal(&w);
    let mut finished = false;
    while !finished {
        finished = true;
        for p in 1..n {
            for q in 0..p {
                let threshold = (2.0 * epsilon * largest).max(f64::MIN_POSITIVE);
                if w[(p, q)].abs() <= threshold && w[(q, p)].abs() <= threshold {
                    continue;
                }
                finished = false;
                let (left, right) = jacobi(&w, p, q);
                w.rotate_rows(p, q, left);
                u.rotate_columns(p, q, (left.0, -left.1));
                w.rotate_columns(p, q, right);
                v.rotate_columns(p, q, right);
                largest = largest.max(w[(p, p)].abs()).max(w[(q, q)].abs());
            }
        }
    }
    let mut values: Vec<f64> = (0..n).map(|i| w[(i, i)]).collect();
    for (j, s) in values.iter_mut().enumerate() {
        if *s < 0.0 {
            for i in 0..u.rows {
                u[(i, j)] = -u[(i, j)];
            }
        }
        *s = s.abs() * scale;
    }
    for i in 0..n {
        let best = (i..n).fold(i, |k, j| if values[j] > values[k] { j } else { k });
        if best != i {
            values.swap(i, best);
            u.swap_columns(i, best);
            v.swap_columns(i, best);
        }
    }
    (u, values, v)
}

/// The rotations of rows and columns that make a block of two rows and columns diagonal.
fn jacobi(w: &Matrix, p: usize, q: usize) -> (Rotation, Rotation) {
    let mut m = Matrix {
        rows: 2,
        columns: 2,
        data: vec![w[(p, p)], w[(p, q)], w[(q, p)], w[(q, q)]],
    };
    let (t, d) = (m[(0, 0)] + m[(1, 1)], m[(1, 0)] - m[(0, 1)]);
    let first = match d.abs() < f64::MIN_POSITIVE {
        true => (1.0, 0.0),
        false => {
            let u = t / d;
            let s = 1.0 / (1.0 + u * u).sqrt();
            (u * s, s)
        }
    };
    m.rotate_rows(0, 1, first);
    let (x, y, z) = (m[(0, 0)], m[(0, 1)], m[(1, 1)]);
    let right = match 2.0 * y.abs() {
        deno if deno < f64::MIN_POSITIVE => (1.0, 0.0),
        deno => {
            let tau = (x - z) / deno;
            let r = (tau * tau + 1.0).sqrt();
            let t = 1.0 / if tau > 0.0 { tau + r } else { tau - r };
            let c = 1.0 / (t * t + 1.0).sqrt();
            (c, -t.signum() * y.signum() * t.abs() * c)
        }
    };
    // The first rotation, then the transposed second one.
    let ((c1, s1), (c2, s2)) = (first, (right.0, -right.1));
    ((c1 * c2 - s1 * s2, c1 * s2 + s1 * c2), right)
}

struct Decomposition {
    kind: Linalg,
    /// Shapes of the inputs' and outputs' last axes.
    ins: Vec<(usize, usize)>,
    outs: Vec<usize>,
    count: usize,
    epsilon: f64,
    path: String,
}

/// The kernel of `Linalg`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Linalg(kind) = *req.op else {
        return Err(Error::internal("not linear algebra"));
    };
    let block = |f: &Fact| match f.shape.as_slice() {
        [.., m, n] => Ok((*m, *n)),
        _ => Err(Error::internal("a matrix has two axes")),
    };
    let facts = req.facts();
    let ins = facts.iter().map(|f| block(f)).collect::<Result<Vec<_>>>()?;
    let shape = &facts[0].shape;
    let count = numel(&shape[..shape.len() - 2]);
    Ok(Box::new(Decomposition {
        kind,
        ins,
        outs: req.outs.iter().map(|f| f.numel() / count.max(1)).collect(),
        count,
        epsilon: match facts[0].dtype {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        },
        path: req.path.to_string(),
    }))
}

impl Decomposition {
    fn fails(&self, message: &str) -> Error {
        Error::Values {
            layer: self.path.clone(),
            message: message.to_string(),
        }
    }

    /// The results for one matrix (or pair), one after another.
    fn one(&self, mut xs: Vec<Matrix>) -> Result<Vec<Vec<f64>>> {
        let second = if xs.len() > 1 { xs.pop() } else { None };
        let Some(x) = xs.pop() else {
            return Err(Error::internal("linear algebra without a matrix"));
        };
        let small = x.rows.min(x.columns);
        Ok(match (self.kind, second) {
            (Linalg::Cholesky, _) => match cholesky(&x) {
                Some(l) => vec![l.data],
                None => return Err(self.fails("the matrix is not positive definite")),
            },
            (Linalg::Lu, _) => {
                let (f, order, _) = lu(x);
                let mut places = vec![0.0; order.len()];
                for (place, &row) in order.iter().enumerate() {
                    places[row] = place as f64;
                }
                vec![f.data, places]
            }
            (Linalg::Det, _) => {
                let (f, _, sign) = lu(x);
                vec![vec![(0..f.rows).fold(sign, |d, i| d * f[(i, i)])]]
            }
            (Linalg::LogDet, _) => {
                let (f, _, sign) = lu(x);
                let diagonal = || (0..f.rows).map(|i| f[(i, i)]);
                let signum = |v: f64| if v == 0.0 { 0.0 } else { v.signum() };
                let sign = diagonal().fold(sign, |s, v| s * signum(v));
                vec![vec![sign], vec![diagonal().map(|v| v.abs().ln()).sum()]]
            }
            (Linalg::Solve, Some(b)) => match solve(x, &b) {
                Some(x) => vec![x.data],
                None => return Err(self.fails("the matrix is not invertible")),
            },
            (Linalg::SolveTriangular { lower }, Some(mut b)) => {
                substitute(&x, &mut b, lower, false);
                vec![b.data]
            }
            (Linalg::Qr { full }, _) => {
                let (m, n) = (x.rows, x.columns);
                let k = if full { m } else { small };
                let qr = Reflections::new(x, |_, _| {});
                let q = qr.q(k);
                let mut r = qr.r.data;
                r.truncate(k * n);
                vec![q.data, r]
            }
            (Linalg::Eigh, _) => {
                let (w, v) = eigh(&x, self.epsilon);
                vec![w, v.data]
            }
            (Linalg::Svd { full }, _) => {
                let (u, s, v) = svd(&x, full, self.epsilon);
                vec![u.data, s, v.data]
            }
            _ => return Err(Error::internal("linear algebra without its second matrix")),
        })
    }
}

fn read(view: &View, from: usize, (rows, columns): (usize, usize)) -> Matrix {
    let range = from * rows * columns..(from + 1) * rows * columns;
    let data = match view.dtype {
        DType::F64 => view.as_slice::<f64>()[range].to_vec(),
        _ => view.as_slice::<f32>()[range]
            .iter()
            .map(|&v| f64::from(v))
            .collect(),
    };
    Matrix {
        rows,
        columns,
        data,
    }
}

fn write(out: &mut ViewMut, to: usize, values: &[f64]) {
    let range = to * values.len()..(to + 1) * values.len();
    match out.dtype {
        DType::F64 => out.as_mut::<f64>()[range].copy_from_slice(values),
        DType::I32 => put(&mut out.as_mut::<i32>()[range], values, |v| v as i32),
        _ => put(&mut out.as_mut::<f32>()[range], values, |v| v as f32),
    }
}

fn put<T>(to: &mut [T], values: &[f64], f: fn(f64) -> T) {
    for (t, &v) in to.iter_mut().zip(values) {
        *t = f(v);
    }
}

impl Kernel for Decomposition {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let task = |i: usize| {
            let xs = ins.iter().zip(&self.ins).map(|(v, &s)| read(v, i, s));
            self.one(xs.collect())
        };
        let size = self.ins.first().map_or(0, |(m, n)| m * n) * self.count;
        let mut results: Vec<Result<Vec<Vec<f64>>>> = vec![Ok(vec![]); self.count];
        let par = par.worth(size >= PARALLEL);
        par.pieces(&mut results, 1, |i, result| result[0] = task(i));
        for (i, result) in results.into_iter().enumerate() {
            for ((out, values), &size) in outs.iter_mut().zip(result?).zip(&self.outs) {
                debug_assert_eq!(values.len(), size);
                write(out, i, &values);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rows: usize, columns: usize, seed: u64) -> Matrix {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let mut m = Matrix::zeros(rows, columns);
        m.data.iter_mut().for_each(|v| *v = next());
        m
    }

    fn product(a: &Matrix, b: &Matrix) -> Matrix {
        let mut m = Matrix::zeros(a.rows, b.columns);
        for i in 0..a.rows {
            for j in 0..b.columns {
                m[(i, j)] = (0..a.columns).map(|k| a[(i, k)] * b[(k, j)]).sum();
            }
        }
        m
    }

    fn diagonal(values: &[f64], rows: usize, columns: usize) -> Matrix {
        let mut m = Matrix::zeros(rows, columns);
        for (i, &v) in values.iter().enumerate() {
            m[(i, i)] = v;
        }
        m
    }

    fn same(a: &Matrix, b: &Matrix, what: &str) {
        assert_eq!((a.rows, a.columns), (b.rows, b.columns), "{what}");
        for (x, y) in a.data.iter().zip(&b.data) {
            assert!((x - y).abs() < 1e-10, "{what}: {a:?} {b:?}");
        }
    }

    #[test]
    fn factors_multiply_to_the_matrix() {
        for (m, n) in [
            (1, 1),
            (2, 2),
            (3, 3),
            (7, 7),
            (5, 2),
            (2, 5),
            (9, 4),
            (20, 17),
        ] {
            let a = random(m, n, (m * 31 + n) as u64);
            let what = format!("{m} x {n}");
            let qr = Reflections::new(a.clone(), |_, _| {});
            same(&product(&qr.q(m), &qr.r), &a, &what);
            for full in [true, false] {
                let (u, s, v) = svd(&a, full, f64::EPSILON);
                let middle = diagonal(&s, u.columns, v.columns);
                same(&product(&product(&u, &middle), &v.transposed()), &a, &what);
                same(
                    &product(&u.transposed(), &u),
                    &Matrix::identity(u.columns, u.columns),
                    &what,
                );
                assert!(s.windows(2).all(|p| p[0] >= p[1]), "{what}");
            }
            if m != n {
                continue;
            }
            let symmetric = product(&a, &a.transposed());
            let (w, v) = eigh(&symmetric, f64::EPSILON);
            let middle = diagonal(&w, n, n);
            same(
                &product(&product(&v, &middle), &v.transposed()),
                &symmetric,
                &what,
            );
            let l = cholesky(&symmetric).expect("a positive definite matrix");
            same(&product(&l, &l.transposed()), &symmetric, &what);
            let b = random(n, 2, 5);
            let x = solve(a.clone(), &b).expect("a solution");
            assert!(product(&a, &x)
                .data
                .iter()
                .zip(&b.data)
                .all(|(x, y)| (x - y).abs() < 1e-8));
        }
    }

    #[test]
    fn what_has_no_answer_says_so() {
        assert_eq!(cholesky(&diagonal(&[1.0, -1.0], 2, 2)), None);
        assert_eq!(solve(Matrix::zeros(2, 2), &Matrix::identity(2, 2)), None);
        let (u, s, _) = svd(&nans(2, 3), true, f64::EPSILON);
        assert!(s.iter().all(|v| v.is_nan()) && (u.rows, u.columns) == (2, 2));
    }
}
