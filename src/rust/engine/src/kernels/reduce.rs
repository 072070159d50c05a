//! Reductions over any axes.
//!
//! Neighbouring axes that are both kept or both reduced are one. Then either
//! the innermost axis is reduced: rows, each folded to a number; or it is kept:
//! columns, folded side by side. Sums of f32 are sums of short f32 sums in f64, in
//! an order that depends on the shape only.

use std::mem::MaybeUninit;

use super::elementwise::{load, native, store, Class, BLOCK, PARALLEL, TASK};
use super::vecmath::{self, multiversion, Isa};
use super::{Kernel, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::{Op, Reduce};
use crate::tensor::{DType, Line, View, ViewMut};

/// What reductions are made of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Prod,
    Max,
    Min,
}

/// Rows that are summed in f32 before the sum goes to f64.
const SHORT: usize = 32;
/// Partial results of a row.
const LANES: usize = 32;

/// Arithmetic of a compute class.
pub(super) trait Number: Copy + Send + Sync {
    /// What partial results are put together in.
    type Wide: Copy + Send + Sync;

    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// NaN where either is.
    fn max(self, other: Self) -> Self;
    fn min(self, other: Self) -> Self;
    fn identity(fold: Fold, dtype: DType) -> Self;
    fn wide(self) -> Self::Wide;
    fn merge(fold: Fold, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The total, or the mean of `n`.
    fn total(a: Self::Wide, mean_of: Option<usize>) -> Self;
    /// Orders as ArgMax (or ArgMin) does: the greatest wins. -0 is below 0, NaN
    /// never wins.
    fn key(self, max: bool) -> i64;
    /// Folds each row of `len` of `x` into an element of `acc`.
    fn rows(fold: Fold, x: &[Self], len: usize, start: Self, acc: &mut [Self::Wide]);
    /// Folds rows of `acc`'s length, `stride` apart, into `acc`.
    fn columns(fold: Fold, x: &[Self], stride: usize, acc: &mut [Self]);

    /// For floats: `d = exp(x - m)`, `m` one number or one for each of `x`.
    fn exp_minus(_x: &[Self], _m: &[Self], _d: &mut [Self]) {}
    /// For floats: what is subtracted before `exp`, finite.
    fn shift(self) -> Self {
        self
    }
    /// For floats: what a float of 16 bits would hold of it.
    fn rounded(self, _: DType) -> Self {
        self
    }
    /// For floats: `log(a) + m`.
    fn log_plus(_a: Self::Wide, m: Self) -> Self {
        m
    }
}

#[inline(always)]
fn fold_rows<T: Number>(fold: Fold, x: &[T], len: usize, start: T, acc: &mut [T::Wide]) {
    #[inline(always)]
    fn go<T: Number>(
        fold: Fold,
        x: &[T],
        len: usize,
        start: T,
        acc: &mut [T::Wide],
        f: impl Fn(T, T) -> T,
    ) {
        for (row, a) in x.chunks_exact(len).zip(acc) {
            let (chunks, rest) = row.as_chunks::<LANES>();
            let mut total = start;
            if !chunks.is_empty() {
                let mut lanes = [start; LANES];
                for c in chunks {
                    for i in 0..LANES {
                        lanes[i] = f(lanes[i], c[i]);
                    }
                }
                let mut half = LANES / 2;
                while half > 0 {
                    for i in 0..half {
                        lanes[i] = f(lanes[i], lanes[i + half]);
                    }
                    half /= 2;
                }
                total = lanes[0];
            }
            for &v in rest {
                total = f(total, v);
            }
            *a = T::merge(fold, *a, total.wide());
        }
    }
    match fold {
        Fold::Sum => go(fold, x, len, start, acc, T::add),
        Fold::Prod => go(fold, x, len, start, acc, T::mul),
        Fold::Max => go(fold, x, len, start, acc, T::max),
        Fold::Min => go(fold, x, len, start, acc, T::min),
    }
}

#[inline(always)]
fn fold_columns<T: Number>(fold: Fold, x: &[T], stride: usize, acc: &mut [T]) {
    #[inline(always)]
    fn go<T: Number>(x: &[T], stride: usize, acc: &mut [T], f: impl Fn(T, T) -> T) {
        let w = acc.len();
        let mut rest = x;
        // Four rows at a time: fewer passes over `acc`.
        while rest.len() >= 3 * stride + w {
            let (a, b) = (&rest[..w], &rest[stride..][..w]);
            let (c, d) = (&rest[2 * stride..][..w], &rest[3 * stride..][..w]);
            for i in 0..w {
                acc[i] = f(acc[i], f(f(a[i], b[i]), f(c[i], d[i])));
            }
            rest = rest.get(4 * stride..).unwrap_or(&[]);
        }
        while rest.len() >= w && w > 0 {
            for (a, &v) in acc.iter_mut().zip(rest) {
                *a = f(*a, v);
            }
            rest = rest.get(stride..).unwrap_or(&[]);
        }
    }
    match fold {
        Fold::Sum => go(x, stride, acc, T::add),
        Fold::Prod => go(x, stride, acc, T::mul),
        Fold::Max => go(x, stride, acc, T::max),
        Fold::Min => go(x, stride, acc, T::min),
    }
}

#[inline(always)]
fn exp_minus_f32_body<I: Isa>(x: &[f32], m: &[f32], d: &mut [f32]) {
    if let [m] = *m {
        for (d, &x) in d.iter_mut().zip(x) {
            *d = vecmath::exp::<I>(x - m);
        }
    } else {
        for ((d, &x), &m) in d.iter_mut().zip(x).zip(m) {
            *d = vecmath::exp::<I>(x - m);
        }
    }
}
multiversion!(fn exp_minus_f32(x: &[f32], m: &[f32], d: &mut [f32]) = exp_minus_f32_body::<_>);
multiversion!(fn rows_f32(fold: Fold, x: &[f32], len: usize, start: f32, acc: &mut [f64]) = fold_rows);
multiversion!(fn columns_f32(fold: Fold, x: &[f32], stride: usize, acc: &mut [f32]) = fold_columns);

fn exp_minus_f64(x: &[f64], m: &[f64], d: &mut [f64]) {
    for (i, (d, &x)) in d.iter_mut().zip(x).enumerate() {
        *d = (x - m[i % m.len()]).exp();
    }
}

macro_rules! float {
    ($t:ty, $bits:ty, $rows:path, $columns:path, $exp:path) => {
        impl Number for $t {
            type Wide = f64;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                if other > self || other.is_nan() {
                    other
                } else {
                    self
                }
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                if other < self || other.is_nan() {
                    other
                } else {
                    self
                }
            }
            fn identity(fold: Fold, _: DType) -> Self {
                match fold {
                    Fold::Sum => 0.0,
                    Fold::Prod => 1.0,
                    Fold::Max => <$t>::NEG_INFINITY,
                    Fold::Min => <$t>::INFINITY,
                }
            }
            #[inline(always)]
            fn wide(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn merge(fold: Fold, a: f64, b: f64) -> f64 {
                match fold {
                    Fold::Sum => a + b,
                    Fold::Prod => a * b,
                    Fold::Max => Number::max(a, b),
                    Fold::Min => Number::min(a, b),
                }
            }
            fn total(a: f64, mean_of: Option<usize>) -> Self {
                match mean_of {
                    Some(n) => (a / n as f64) as $t,
                    None => a as $t,
                }
            }
            #[inline(always)]
            fn rounded(self, dtype: DType) -> Self {
                match dtype {
                    DType::F16 => half::f16::from_f32(self as f32).to_f32() as $t,
                    DType::BF16 => half::bf16::from_f32(self as f32).to_f32() as $t,
                    _ => self,
                }
            }
            fn key(self, max: bool) -> i64 {
                // Bits as an integer that orders like the float.
                let v = if max { self } else { -self };
                let b = v.to_bits() as $bits;
                let ordered = b ^ (((b >> (<$bits>::BITS - 1)) as $bits) & <$bits>::MAX);
                if v > <$t>::NEG_INFINITY {
                    ordered as i64
                } else {
                    i64::MIN
                }
            }
            fn rows(fold: Fold, x: &[Self], len: usize, start: Self, acc: &mut [f64]) {
                $rows(fold, x, len, start, acc)
            }
            fn columns(fold: Fold, x: &[Self], stride: usize, acc: &mut [Self]) {
                $columns(fold, x, stride, acc)
            }
            fn exp_minus(x: &[Self], m: &[Self], d: &mut [Self]) {
                $exp(x, m, d)
            }
            fn shift(self) -> Self {
                if self.is_finite() {
                    self
                } else {
                    0.0
                }
            }
            fn log_plus(a: f64, m: Self) -> Self {
                (a.ln() + m as f64) as $t
            }
        }
    };
}
float!(f32, i32, rows_f32, columns_f32, exp_minus_f32);
float!(f64, i64, fold_rows, fold_columns, exp_minus_f64);

macro_rules! int {
    ($t:ty, $key:expr) => {
        impl Number for $t {
            type Wide = $t;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                Ord::max(self, other)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                Ord::min(self, other)
            }
            fn identity(fold: Fold, dtype: DType) -> Self {
                let bits = dtype.size() as u32 * 8;
                let signed = matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I64);
                match fold {
                    Fold::Sum => 0,
                    Fold::Prod => 1,
                    Fold::Max if signed => (i64::MIN >> (64 - bits)) as $t,
                    Fold::Max => 0,
                    Fold::Min if dtype == DType::Bool => 1,
                    Fold::Min if signed => (i64::MAX >> (64 - bits)) as $t,
                    Fold::Min => (u64::MAX >> (64 - bits)) as $t,
                }
            }
            #[inline(always)]
            fn wide(self) -> Self {
                self
            }
            #[inline(always)]
            fn merge(fold: Fold, a: Self, b: Self) -> Self {
                match fold {
                    Fold::Sum => Number::add(a, b),
                    Fold::Prod => Number::mul(a, b),
                    Fold::Max => Number::max(a, b),
                    Fold::Min => Number::min(a, b),
                }
            }
            fn total(a: Self, mean_of: Option<usize>) -> Self {
                match mean_of {
                    Some(0) => 0,
                    Some(n) => a.wrapping_div(n as $t),
                    None => a,
                }
            }
            fn key(self, max: bool) -> i64 {
                let key: i64 = $key(self);
                if max {
                    key
                } else {
                    !key
                }
            }
            fn rows(fold: Fold, x: &[Self], len: usize, start: Self, acc: &mut [Self]) {
                fold_rows(fold, x, len, start, acc)
            }
            fn columns(fold: Fold, x: &[Self], stride: usize, acc: &mut [Self]) {
                fold_columns(fold, x, stride, acc)
            }
        }
    };
}
int!(i64, |v| v);
int!(u64, |v| (v ^ (1 << 63)) as i64);
int!(u8, |v| v as i64);

/// Axes as size and stride in elements, outermost first.
type Axes = Vec<(usize, usize)>;

struct Reducer {
    kind: Reduce,
    dtype: DType,
    out: DType,
    /// Kept axes but the columns', reduced axes but the rows'.
    kept: Axes,
    reduced: Axes,
    /// Length of rows, or of columns side by side.
    inner: usize,
    rows: bool,
    /// So many columns side by side are one result.
    together: usize,
    /// Elements behind each result.
    count: usize,
}

/// Puts partial results to others.
fn merge<T: Number>(fold: Fold, acc: &mut [T::Wide], part: &[T]) {
    for (a, p) in acc.iter_mut().zip(part) {
        *a = T::merge(fold, *a, p.wide());
    }
}

/// The kernel of `Reduce`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Reduce { kind, axes, .. } = req.op else {
        return Err(Error::internal("not a reduction"));
    };
    let (x, out) = (req.ins[0].fact, &req.outs[0]);
    let fits = match kind {
        Reduce::Any | Reduce::All => out.dtype == DType::Bool,
        Reduce::ArgMax | Reduce::ArgMin => out.dtype.is_int(),
        Reduce::LogSumExp => x.dtype.is_float() && out.dtype == x.dtype,
        _ => out.dtype == x.dtype,
    };
    if !fits || x.dtype == DType::Str {
        return Err(Error::internal(format!(
            "{kind:?} of {} can't give {}",
            x.dtype, out.dtype
        )));
    }
    // Groups of axes, innermost first.
    let mut groups: Vec<(bool, usize, usize)> = Vec::new();
    let mut stride = 1;
    for (axis, &size) in x.shape.iter().enumerate().rev().filter(|(_, &n)| n != 1) {
        let reduced = axes.contains(&axis);
        match groups.last_mut() {
            Some((same, n, _)) if *same == reduced => *n *= size,
            _ => groups.push((reduced, size, stride)),
        }
        stride *= size;
    }
    let (rows, inner) = match groups.first() {
        Some(&(reduced, n, _)) => (reduced, n),
        None => (true, 1),
    };
    // Short rows, of which many are one result: columns, put together at the end.
    let plain = !matches!(
        kind,
        Reduce::LogSumExp | Reduce::ArgMax | Reduce::ArgMin | Reduce::Any | Reduce::All
    );
    let (rows, inner, together) = match groups[..] {
        [(true, n, _), (_, kept, _), _, ..] if plain && n < LANES => {
            groups.remove(0);
            (false, n * kept, n)
        }
        _ => (rows, inner, 1),
    };
    let pick = |which: bool| -> Axes {
        let outer = groups.iter().skip(1).rev();
        let some = outer.filter(|g| g.0 == which);
        some.map(|&(_, n, stride)| (n, stride)).collect()
    };
    let count = x.shape.iter().enumerate();
    let count = count.filter(|(a, _)| axes.contains(a)).map(|(_, n)| n);
    Ok(Box::new(Reducer {
        kind: *kind,
        dtype: x.dtype,
        out: out.dtype,
        kept: pick(false),
        reduced: pick(true),
        inner,
        rows,
        together,
        count: count.product(),
    }))
}

fn size(axes: &Axes) -> usize {
    axes.iter().map(|a| a.0).product()
}

/// Offset of the `i`-th position.
fn offset(axes: &Axes, mut i: usize) -> usize {
    let mut at = 0;
    for &(n, stride) in axes.iter().rev() {
        at += i % n * stride;
        i /= n;
    }
    at
}

/// A block of memory that costs nothing before it is filled.
struct Room<T>([MaybeUninit<T>; BLOCK]);

impl<T: Copy> Room<T> {
    fn new() -> Self {
        Room([const { MaybeUninit::uninit() }; BLOCK])
    }

    /// `n` elements of the value.
    fn filled(&mut self, n: usize, value: T) -> &mut [T] {
        let part = &mut self.0[..n];
        for d in part.iter_mut() {
            d.write(value);
        }
        // SAFETY: all of them were just written.
        unsafe { &mut *(part as *mut [MaybeUninit<T>] as *mut [T]) }
    }
}

/// A tensor's elements in blocks of the compute class: where they lie, or
/// converted.
struct Blocks<'a, T> {
    base: *const u8,
    dtype: DType,
    /// Any and All look at whether numbers are 0.
    truth: bool,
    room: &'a mut Room<T>,
}

impl<T: Copy + Default> Blocks<'_, T> {
    fn direct(&self) -> bool {
        native(self.dtype) && !self.truth
    }

    /// # Safety
    /// `n` elements from `at` must be within the tensor; where they are to be
    /// converted, `n` must be no more than there is room.
    unsafe fn get(&mut self, at: usize, n: usize) -> &[T] {
        let src = self.base.add(at * self.dtype.size());
        if self.direct() {
            return std::slice::from_raw_parts(src.cast(), n);
        }
        let room = self.room.filled(n, T::default());
        if self.truth {
            let each = self.dtype.size();
            // Floats have two zeros and integers one, whose bits are all 0 but
            // for the sign.
            let sign = if self.dtype.is_float() { 0x7f } else { 0xff };
            for (i, d) in room.iter_mut().enumerate() {
                let bytes = std::slice::from_raw_parts(src.add(i * each), each);
                let (top, low) = (bytes[each - 1] & sign, &bytes[..each - 1]);
                let truth = (top != 0 || low.iter().any(|&b| b != 0)) as u8;
                *(d as *mut T).cast::<u8>() = truth;
            }
        } else {
            load(self.dtype, src, room.as_mut_ptr().cast(), n);
        }
        room
    }
}

impl Reducer {
    fn fold(&self) -> Fold {
        match self.kind {
            Reduce::Sum | Reduce::Mean | Reduce::LogSumExp => Fold::Sum,
            Reduce::Prod => Fold::Prod,
            Reduce::Max | Reduce::Any | Reduce::ArgMax => Fold::Max,
            Reduce::Min | Reduce::All | Reduce::ArgMin => Fold::Min,
        }
    }

    /// Bool sums and products are `any` and `all`.
    fn fold_of<T>(&self) -> Fold {
        match self.fold() {
            Fold::Sum if std::mem::size_of::<T>() == 1 => Fold::Max,
            Fold::Prod if std::mem::size_of::<T>() == 1 => Fold::Min,
            fold => fold,
        }
    }

    /// Calls `f` on the blocks of kept position `k`: of a row, or of the columns
    /// `from..from + w`; with the index of the block's first element among the
    /// reduced ones. Blocks of columns are rows, `stride` apart, and short.
    ///
    /// # Safety
    /// The position must be within the tensor `x` is of.
    unsafe fn blocks<T: Copy + Default>(
        &self,
        x: &mut Blocks<T>,
        at: usize,
        w: usize,
        mut f: impl FnMut(usize, &[T], usize),
    ) {
        if self.rows {
            for r in 0..size(&self.reduced) {
                let start = at + offset(&self.reduced, r);
                for i in (0..self.inner).step_by(BLOCK) {
                    let n = BLOCK.min(self.inner - i);
                    f(r * self.inner + i, x.get(start + i, n), n);
                }
            }
            return;
        }
        let (count, direct) = (size(&self.reduced), x.direct());
        let (inner, stride) = self.reduced.last().copied().unwrap_or((1, w));
        let mut r = 0;
        while r < count {
            let start = at + offset(&self.reduced, r);
            let n = if direct {
                SHORT.min(inner - r % inner)
            } else {
                1
            };
            f(r, x.get(start, (n - 1) * stride + w), stride);
            r += n;
        }
    }

    /// # Safety
    /// `T` must be the compute class of the input; `x` and `out` must be the
    /// tensors the kernel was prepared for.
    unsafe fn go<T: Number + Default>(&self, x: *const u8, out: *mut u8, par: Par) {
        let (x, out) = (Shared(x.cast_mut()), Shared(out));
        let kept = size(&self.kept);
        let total = kept * self.inner * size(&self.reduced);
        let parallel = par == Par::Crew && total >= PARALLEL;
        // Columns are independent: how many go together is a matter of speed only.
        let width = match self.rows {
            true => 1,
            false if parallel && kept * self.inner < 8 * BLOCK => BLOCK / 8,
            false => BLOCK,
        };
        let width = width / self.together * self.together;
        let tiles = if self.rows {
            1
        } else {
            self.inner.div_ceil(width)
        };
        let units = kept * tiles;
        let each = (total / units.max(1)).max(1);
        let group = TASK.div_ceil(each);
        let task = |units: std::ops::Range<usize>| {
            let mut room = Room::<T>::new();
            let mut blocks = Blocks {
                base: x.get().cast_const(),
                dtype: self.dtype,
                truth: self.truth(),
                room: &mut room,
            };
            if self.rows {
                self.row_units(&mut blocks, out.get(), units);
            } else {
                for u in units {
                    let (k, from) = (u / tiles, u % tiles * width);
                    let w = width.min(self.inner - from);
                    self.column_unit(&mut blocks, out.get(), k, from, w);
                }
            }
        };
        if parallel && units > 1 {
            par.each(units.div_ceil(group), |i| {
                task(i * group..units.min((i + 1) * group))
            });
        } else {
            task(0..units);
        }
    }

    fn arg(&self) -> bool {
        matches!(self.kind, Reduce::ArgMax | Reduce::ArgMin)
    }

    /// Whether numbers are looked at for being 0 or not.
    fn truth(&self) -> bool {
        matches!(self.kind, Reduce::Any | Reduce::All) && self.dtype != DType::Bool
    }

    /// What the reduction of nothing gives.
    fn identity<T: Number>(&self, fold: Fold) -> T {
        T::identity(
            fold,
            if self.truth() {
                DType::Bool
            } else {
                self.dtype
            },
        )
    }

    fn mean_of(&self) -> Option<usize> {
        (self.kind == Reduce::Mean).then_some(self.count)
    }

    /// # Safety
    /// As for [`Reducer::go`].
    unsafe fn row_units<T: Number + Default>(
        &self,
        x: &mut Blocks<T>,
        out: *mut u8,
        units: std::ops::Range<usize>,
    ) {
        let (fold, len) = (self.fold_of::<T>(), self.inner);
        let start = self.identity::<T>(fold);
        let low = self.identity::<T>(Fold::Max);
        let (mut acc, mut done) = (Room::new(), Room::new());
        let (mut shift, mut exps) = (Room::new(), Room::new());
        // Short rows that follow one another go together.
        let many = if self.reduced.is_empty() && (1..=BLOCK / 2).contains(&len) && !self.arg() {
            BLOCK / len
        } else {
            1
        };
        let mut u = units.start;
        while u < units.end {
            let n = many.min(units.end - u);
            let at = offset(&self.kept, u);
            if self.arg() {
                let (mut best, mut index) = (i64::MIN, 0i64);
                let max = self.kind == Reduce::ArgMax;
                self.blocks(x, at, 1, |i, block, _| {
                    for (j, v) in block.iter().enumerate() {
                        let key = v.key(max);
                        if key > best {
                            (best, index) = (key, (i + j) as i64);
                        }
                    }
                });
                self.put_index(&[index], out, u);
                u += 1;
                continue;
            }
            let acc = acc.filled(n, start.wide());
            let done = done.filled(n, start);
            if many > 1 {
                let block = x.get(at, n * len);
                if self.kind == Reduce::LogSumExp {
                    acc.fill(low.wide());
                    T::rows(Fold::Max, block, len, low, acc);
                    let shift = shift.filled(n * len, start);
                    for i in 0..n {
                        let m = T::total(acc[i], None).shift();
                        (done[i], acc[i]) = (m, start.wide());
                        shift[i * len..][..len].fill(m);
                    }
                    let exps = exps.filled(n * len, start);
                    T::exp_minus(block, shift, exps);
                    T::rows(fold, exps, len, start, acc);
                } else {
                    T::rows(fold, block, len, start, acc);
                }
            } else if self.kind == Reduce::LogSumExp {
                let mut top = [low.wide()];
                self.blocks(x, at, 1, |_, b, n| T::rows(Fold::Max, b, n, low, &mut top));
                let m = T::total(top[0], None).shift();
                done[0] = m;
                self.blocks(x, at, 1, |_, b, n| {
                    let exps = exps.filled(n, start);
                    T::exp_minus(b, &[m], exps);
                    T::rows(fold, exps, n, start, acc);
                });
            } else {
                self.blocks(x, at, 1, |_, b, n| T::rows(fold, b, n, start, acc));
            }
            for (d, &a) in done.iter_mut().zip(&*acc) {
                *d = match self.kind {
                    Reduce::LogSumExp => T::log_plus(a, *d),
                    _ => T::total(a, self.mean_of()),
                };
            }
            self.put(done, out, u);
            u += n;
        }
    }

    /// # Safety
    /// As for [`Reducer::go`].
    unsafe fn column_unit<T: Number + Default>(
        &self,
        x: &mut Blocks<T>,
        out: *mut u8,
        k: usize,
        from: usize,
        w: usize,
    ) {
        let fold = self.fold_of::<T>();
        let at = offset(&self.kept, k) + from;
        let to = (k * self.inner + from) / self.together;
        let start = self.identity::<T>(fold);
        if self.arg() {
            let (mut best, mut index) = (Room::new(), Room::new());
            let (best, index) = (best.filled(w, i64::MIN), index.filled(w, 0i64));
            let max = self.kind == Reduce::ArgMax;
            self.blocks(x, at, w, |r, rows, stride| {
                for (j, row) in rows.chunks(stride.max(1)).enumerate() {
                    for (i, v) in row[..w].iter().enumerate() {
                        let key = v.key(max);
                        if key > best[i] {
                            (best[i], index[i]) = (key, (r + j) as i64);
                        }
                    }
                }
            });
            return self.put_index(index, out, to);
        }
        let (mut part, mut acc) = (Room::new(), Room::new());
        let (part, acc) = (part.filled(w, start), acc.filled(w, start.wide()));
        let mut shift = Room::new();
        let shift = shift.filled(w, self.identity::<T>(Fold::Max));
        if matches!(fold, Fold::Max | Fold::Min) {
            self.blocks(x, at, w, |_, b, stride| T::columns(fold, b, stride, part));
            for (a, p) in acc.iter_mut().zip(&*part) {
                *a = p.wide();
            }
        } else if self.kind == Reduce::LogSumExp {
            let mut exps = Room::new();
            let exps = exps.filled(w, start);
            self.blocks(x, at, w, |_, b, stride| {
                T::columns(Fold::Max, b, stride, shift)
            });
            for m in &mut *shift {
                *m = m.shift();
            }
            self.blocks(x, at, w, |_, b, stride| {
                part.fill(start);
                for row in b.chunks(stride.max(1)) {
                    T::exp_minus(&row[..w], shift, exps);
                    T::columns(fold, exps, w, part);
                }
                merge(fold, acc, part);
            });
        } else {
            self.blocks(x, at, w, |_, b, stride| {
                part.fill(start);
                T::columns(fold, b, stride, part);
                merge(fold, acc, part);
            });
        }
        let results = &mut part[..w / self.together];
        let columns = acc.chunks_exact(self.together);
        for ((d, columns), &m) in results.iter_mut().zip(columns).zip(&*shift) {
            let all = columns.iter().copied();
            let all = all.reduce(|a, b| T::merge(fold, a, b));
            let all = all.unwrap_or(start.wide());
            *d = match self.kind {
                Reduce::LogSumExp => T::log_plus(all, m),
                _ => T::total(all, self.mean_of()),
            };
        }
        self.put(results, out, to);
    }

    /// # Safety
    /// `out` must have room for the values at the given index.
    unsafe fn put<T>(&self, values: &[T], out: *mut u8, at: usize) {
        let dst = out.add(at * self.out.size());
        store(self.out, values.as_ptr().cast(), dst, values.len());
    }

    /// # Safety
    /// As for [`Reducer::put`].
    unsafe fn put_index(&self, values: &[i64], out: *mut u8, at: usize) {
        self.put(values, out, at)
    }
}

impl Kernel for Reducer {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let (x, out) = (ins[0].bytes().as_ptr(), outs[0].bytes().as_mut_ptr());
        // SAFETY: the tensors have the shapes and dtypes the kernel was prepared for.
        unsafe {
            match Class::of(self.dtype) {
                Class::Bool => self.go::<u8>(x, out, par),
                _ if self.truth() => self.go::<u8>(x, out, par),
                Class::F32 => self.go::<f32>(x, out, par),
                Class::F64 => self.go::<f64>(x, out, par),
                Class::Int if self.dtype == DType::U64 => self.go::<u64>(x, out, par),
                Class::Int => self.go::<i64>(x, out, par),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{noise, of, run};
    use crate::tensor::DType::*;
    use crate::tensor::{numel, Fact, Tensor};

    /// The result's shape and, for each of its elements, those behind it.
    fn groups(shape: &[usize], axes: &[usize], keepdims: bool) -> (Vec<usize>, Vec<Vec<usize>>) {
        let full: Vec<usize> = (0..shape.len())
            .map(|a| if axes.contains(&a) { 1 } else { shape[a] })
            .collect();
        let mut members = vec![Vec::new(); numel(&full)];
        for i in 0..numel(shape) {
            let (mut rest, mut to, mut stride) = (i, 0, 1);
            for a in (0..shape.len()).rev() {
                if !axes.contains(&a) {
                    to += rest % shape[a] * stride;
                }
                rest /= shape[a];
                stride *= full[a];
            }
            members[to].push(i);
        }
        let kept = (0..shape.len()).filter(|a| keepdims || !axes.contains(a));
        (kept.map(|a| full[a]).collect(), members)
    }

    fn oracle(kind: Reduce, dtype: DType, v: &[f64]) -> f64 {
        let n = v.len() as f64;
        let sum: f64 = v.iter().sum();
        let empty = |low: f64, lowest: f64| if dtype.is_float() { low } else { lowest };
        let first = |better: fn(f64, f64) -> bool| {
            let best = (1..v.len()).fold(0, |b, i| if better(v[i], v[b]) { i } else { b });
            best as f64
        };
        match kind {
            Reduce::Sum if dtype == Bool => v.contains(&1.0) as u8 as f64,
            Reduce::Sum => sum,
            Reduce::Mean if dtype.is_float() => sum / n,
            Reduce::Mean => {
                if v.is_empty() {
                    0.0
                } else {
                    (sum / n).trunc()
                }
            }
            Reduce::Prod => v.iter().product(),
            Reduce::Max if v.is_empty() => empty(
                f64::NEG_INFINITY,
                if dtype == I32 { i32::MIN as f64 } else { 0.0 },
            ),
            Reduce::Max => v.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Reduce::Min if v.is_empty() => empty(
                f64::INFINITY,
                if dtype == I32 { i32::MAX as f64 } else { 1.0 },
            ),
            Reduce::Min => v.iter().copied().fold(f64::INFINITY, f64::min),
            Reduce::Any => v.iter().any(|&x| x != 0.0) as u8 as f64,
            Reduce::All => v.iter().all(|&x| x != 0.0) as u8 as f64,
            Reduce::ArgMax => first(|a, b| a > b),
            Reduce::ArgMin => first(|a, b| a < b),
            Reduce::LogSumExp => v.iter().map(|x| x.exp()).sum::<f64>().ln(),
        }
    }

    const KINDS: [Reduce; 10] = [
        Reduce::Sum,
        Reduce::Mean,
        Reduce::Prod,
        Reduce::Max,
        Reduce::Min,
        Reduce::Any,
        Reduce::All,
        Reduce::ArgMax,
        Reduce::ArgMin,
        Reduce::LogSumExp,
    ];

    fn check(dtype: DType, shape: &[usize], axes: &[usize]) {
        let x = noise(dtype, shape, 7);
        let v = x.to_f64();
        for kind in KINDS {
            if (kind == Reduce::LogSumExp && !dtype.is_float())
                || (kind == Reduce::Mean && dtype == Bool)
            {
                continue;
            }
            let (to, members) = groups(shape, axes, axes.len() < 2);
            let out = match kind {
                Reduce::Any | Reduce::All => Bool,
                Reduce::ArgMax | Reduce::ArgMin => I32,
                _ => dtype,
            };
            let want: Vec<f64> = members
                .iter()
                .map(|m| oracle(kind, dtype, &m.iter().map(|&i| v[i]).collect::<Vec<_>>()))
                .collect();
            let op = Op::Reduce {
                kind,
                axes: axes.to_vec(),
                keepdims: false,
            };
            let got = run(&op, &[&x], &[Fact::new(out, to)]).unwrap().remove(0);
            // A result next to zero is as exact as what it is the sum of.
            let tolerance = match out {
                F32 => 1e-6,
                F64 => 1e-14,
                F16 => 1e-3,
                BF16 => 8e-3,
                _ => 0.0,
            };
            for (i, (g, w)) in got.to_f64().into_iter().zip(want).enumerate() {
                let scale = match kind {
                    Reduce::Prod => w.abs(),
                    _ => w.abs() + members[i].len() as f64 / 4.0,
                };
                // What wraps, or is too large or small for the dtype, tells nothing.
                let wraps = out.is_int() && kind == Reduce::Prod;
                let w = if out.is_float() {
                    of(out, [1], &[w]).to_f64()[0]
                } else {
                    w
                };
                let lost = kind == Reduce::Prod && !(1e-3..1e3).contains(&w.abs());
                assert!(
                    wraps
                        || lost
                        || g == w
                        || (g.is_nan() && w.is_nan())
                        || (g - w).abs() <= tolerance * scale,
                    "{kind:?} {dtype} {shape:?} over {axes:?} at {i}: {g} not {w}"
                );
            }
        }
    }

    #[test]
    fn agrees_with_plain_loops() {
        let cases: &[(&[usize], &[usize])] = &[
            (&[], &[]),
            (&[1], &[0]),
            (&[7], &[0]),
            (&[7], &[]),
            (&[0], &[0]),
            (&[3, 0], &[1]),
            (&[0, 3], &[0]),
            (&[3, 0, 2], &[2]),
            (&[3, 90, 8, 4], &[1, 3]),
            (&[2, 5, 200, 7], &[1, 3]),
            (&[2, 3, 5, 3, 2], &[1, 2, 4]),
            (&[2, 0, 5, 3], &[1, 3]),
            (&[1000], &[0]),
            (&[5, 33], &[1]),
            (&[300, 3], &[1]),
            (&[3, 1300], &[1]),
            (&[700, 5], &[0]),
            (&[70, 600], &[0]),
            (&[2, 49, 65], &[1]),
            (&[3, 4, 5, 6], &[1, 2]),
            (&[3, 4, 5, 6], &[0, 2]),
            (&[3, 40, 5, 6], &[1, 3]),
            (&[3, 4, 5, 6], &[0, 3]),
            (&[2, 3, 1, 4], &[0, 1, 2, 3]),
        ];
        for &(shape, axes) in cases {
            for dtype in [F32, F64, F16, BF16, I32, Bool] {
                check(dtype, shape, axes);
            }
        }
        for dtype in [U8, U16, U32, U64, I8, I16, I64] {
            check(dtype, &[3, 4, 5, 6], &[1]);
            check(dtype, &[3, 4, 5, 6], &[0, 3]);
        }
        check(F32, &[300, 500], &[1]);
        check(F32, &[500, 300], &[0]);
        check(F32, &[2, 900, 100], &[1]);
    }

    fn one(kind: Reduce, v: &[f32]) -> f64 {
        let op = Op::Reduce {
            kind,
            axes: vec![0],
            keepdims: false,
        };
        let out = if matches!(kind, Reduce::ArgMax | Reduce::ArgMin) {
            I32
        } else {
            F32
        };
        let x = Tensor::from_slice([v.len()], v);
        let row = run(&op, &[&x], &[Fact::new(out, [])]).unwrap().remove(0);
        // The same as columns.
        let pairs: Vec<f32> = v.iter().flat_map(|&v| [v, v]).collect();
        let x = Tensor::from_slice([v.len(), 2], &pairs);
        let columns = run(&op, &[&x], &[Fact::new(out, [2])])
            .unwrap()
            .remove(0)
            .to_f64();
        let row = row.to_f64()[0];
        assert!(columns[1] == row || (columns[1].is_nan() && row.is_nan()));
        row
    }

    #[test]
    fn nan_infinity_and_signed_zero() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        for len in [3, 70] {
            for at in [0, 1, len - 1] {
                let mut v = vec![1.0; len];
                v[at] = nan;
                for kind in [Reduce::Max, Reduce::Min, Reduce::Sum, Reduce::LogSumExp] {
                    assert!(one(kind, &v).is_nan(), "{kind:?} {len} {at}");
                }
            }
        }
        // As TensorFlow: NaN never wins, -0 is below 0.
        for (v, max, min) in [
            (vec![1.0, nan, 3.0], 2.0, 0.0),
            (vec![nan, nan], 0.0, 0.0),
            (vec![-0.0, 0.0], 1.0, 0.0),
            (vec![0.0, -0.0], 0.0, 1.0),
            (vec![-inf, nan, -inf], 0.0, 0.0),
            (vec![2.0, 3.0, 3.0, 2.0], 1.0, 0.0),
        ] {
            assert_eq!(one(Reduce::ArgMax, &v), max, "{v:?}");
            assert_eq!(one(Reduce::ArgMin, &v), min, "{v:?}");
        }
        assert_eq!(one(Reduce::LogSumExp, &[-inf, -inf]), f64::NEG_INFINITY);
        assert_eq!(one(Reduce::LogSumExp, &[1.0, inf]), f64::INFINITY);
        let twice = 1000.0 + std::f32::consts::LN_2;
        assert_eq!(one(Reduce::LogSumExp, &[1000.0, 1000.0]), twice as f64);
    }

    #[test]
    fn long_sums_keep_their_digits() {
        let n = 1 << 20;
        let x = Tensor::from_slice([n, 2], &vec![0.1f32; 2 * n]);
        for (axes, to) in [(vec![0], vec![2]), (vec![0, 1], vec![])] {
            let op = Op::Reduce {
                kind: Reduce::Mean,
                axes,
                keepdims: false,
            };
            let got = run(&op, &[&x], &[Fact::f32(to.clone())]).unwrap().remove(0);
            for v in got.to_f64() {
                assert!((v - 0.1).abs() < 2e-8, "{to:?}: {v}");
            }
        }
        // Half precision is summed in single.
        let x = noise(F16, &[5000], 1);
        let ones = Tensor::from_bytes(x.fact().clone(), &[0x00, 0x3c].repeat(5000));
        let op = Op::Reduce {
            kind: Reduce::Sum,
            axes: vec![0],
            keepdims: false,
        };
        assert_eq!(
            run(&op, &[&ones], &[Fact::new(F16, [])]).unwrap()[0].to_f64(),
            [5000.0]
        );
    }

    #[test]
    fn misfits_are_errors() {
        let x = noise(I32, &[3], 1);
        let op = Op::Reduce {
            kind: Reduce::LogSumExp,
            axes: vec![0],
            keepdims: false,
        };
        assert!(run(&op, &[&x], &[Fact::new(I32, [])]).is_err());
    }
}
