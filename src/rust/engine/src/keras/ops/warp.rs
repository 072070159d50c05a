//! Images read at computed places: affine and perspective transforms, and
//! `map_coordinates`.

use crate::error::Result;
use crate::graph::{Binary, Unary, ValueId};
use crate::keras::layers::batched;
use crate::keras::ops::args::*;
use crate::keras::{Call, Cfg, Cx, Out};
use crate::tensor::{numel, show_shape, DType, Tensor};

/// What is beyond the edges.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Fill {
    /// This value.
    Constant(f64),
    Nearest,
    Wrap,
    Reflect,
}

/// How images are read.
#[derive(Copy, Clone, Debug)]
pub struct Warp {
    pub bilinear: bool,
    pub fill: Fill,
}

/// Whether pixels are interpolated.
pub fn bilinear(cfg: &Cfg) -> Result<bool> {
    let how = cfg.one_of("interpolation", "bilinear", &["bilinear", "nearest"])?;
    Ok(how == "bilinear")
}

impl Warp {
    pub fn read(cfg: &Cfg) -> Result<Warp> {
        let value = cfg.f64_or("fill_value", 0.0)?;
        let modes = &["constant", "nearest", "wrap", "reflect"];
        let fill = match cfg.one_of("fill_mode", "constant", modes)? {
            "nearest" => Fill::Nearest,
            "wrap" => Fill::Wrap,
            "reflect" => Fill::Reflect,
            _ => Fill::Constant(value),
        };
        Ok(Warp {
            bilinear: bilinear(cfg)?,
            fill,
        })
    }

    /// Images (n, height, width, channels) under transforms (1 or n, 8) from
    /// places of the output to places of the input.
    pub fn apply(&self, cx: &mut Cx, x: ValueId, transforms: ValueId) -> Result<ValueId> {
        let shape = cx.shape(x);
        let (h, w) = (shape[1], shape[2]);
        let m = cx.dim(transforms, 0)?;
        cx.check_rank(transforms, 2)?;
        if cx.dim(transforms, 1)? != 8 || (m != 1 && m != shape[0]) || h * w == 0 {
            return Err(cx.error(format!(
                "8 numbers are needed for each image, or once for all, not {}",
                show_shape(&cx.shape(transforms))
            )));
        }
        let t = cx.cast(transforms, DType::F32)?;
        let mut k = vec![];
        for i in 0..8 {
            let c = cx.slice_axis(t, 1, i, i + 1)?;
            k.push(cx.reshape(c, &[m, 1, 1])?);
        }
        let columns = cx.generated([1, 1, w], |i| i as f32)?;
        let rows = cx.generated([1, h, 1], |i| i as f32)?;
        let line = |cx: &mut Cx, a: ValueId, b: ValueId| -> Result<ValueId> {
            let a = cx.mul(a, columns)?;
            let b = cx.mul(b, rows)?;
            cx.add(a, b)
        };
        let depth = line(cx, k[6], k[7])?;
        let depth = cx.add_s(depth, 1.0)?;
        let place = |cx: &mut Cx, a: usize, size: usize| -> Result<ValueId> {
            let p = line(cx, k[a], k[a + 1])?;
            let p = cx.add(p, k[a + 2])?;
            let p = cx.div(p, depth)?;
            self.inside(cx, p, size)
        };
        let (at_x, at_y) = (place(cx, 0, w)?, place(cx, 3, h)?);
        let own = cx.dtype(x);
        let read = match self.bilinear {
            true => self.between(cx, x, at_x, at_y)?,
            false => {
                let (i, j) = (rounded(cx, at_x)?, rounded(cx, at_y)?);
                self.pixels(cx, x, i, j)?
            }
        };
        let read = cx.cast(read, own)?;
        // Infinitely far away is outside.
        let near = cx.binary_s(Binary::Ne, depth, 0.0)?;
        let near = cx.expand_dims(near, 3)?;
        let fill = cx.scalar(own, self.value());
        cx.select(near, read, fill)
    }

    fn value(&self) -> f64 {
        match self.fill {
            Fill::Constant(v) => v,
            _ => 0.0,
        }
    }

    fn between(&self, cx: &mut Cx, x: ValueId, at_x: ValueId, at_y: ValueId) -> Result<ValueId> {
        let x = cx.cast(x, DType::F32)?;
        let (left, top) = (cx.unary(Unary::Floor, at_x)?, cx.unary(Unary::Floor, at_y)?);
        let (right, bottom) = (cx.add_s(left, 1.0)?, cx.add_s(top, 1.0)?);
        let weight = |cx: &mut Cx, a: ValueId, b: ValueId| -> Result<ValueId> {
            let d = cx.sub(a, b)?;
            cx.expand_dims(d, 3)
        };
        let (to_right, to_left) = (weight(cx, right, at_x)?, weight(cx, at_x, left)?);
        let (to_bottom, to_top) = (weight(cx, bottom, at_y)?, weight(cx, at_y, top)?);
        let row = |cx: &mut Cx, j: ValueId| -> Result<ValueId> {
            let a = self.pixels(cx, x, left, j)?;
            let a = cx.mul(to_right, a)?;
            let b = self.pixels(cx, x, right, j)?;
            let b = cx.mul(to_left, b)?;
            cx.add(a, b)
        };
        let upper = row(cx, top)?;
        let upper = cx.mul(to_bottom, upper)?;
        let lower = row(cx, bottom)?;
        let lower = cx.mul(to_top, lower)?;
        cx.add(upper, lower)
    }

    /// The pixels of images (n, height, width, channels) at whole places
    /// (1 or n, rows, columns), which may lie outside.
    fn pixels(&self, cx: &mut Cx, x: ValueId, i: ValueId, j: ValueId) -> Result<ValueId> {
        let shape = cx.shape(x);
        let (n, h, w, c) = (shape[0], shape[1], shape[2], shape[3]);
        let index = |cx: &mut Cx, v: ValueId, size: usize| -> Result<ValueId> {
            let v = cx.clip(v, Some(0.0), Some((size - 1) as f64))?;
            cx.cast(v, DType::I32)
        };
        let (column, row) = (index(cx, i, w)?, index(cx, j, h)?);
        let row = cx.mul_s(row, w as f64)?;
        let at = cx.add(column, row)?;
        let flat = cx.reshape(x, &[n, h * w, c])?;
        let places = cx.shape(at);
        let read = match places[0] == n {
            true => cx.gather(flat, at, 1, 1)?,
            false => {
                let at = cx.reshape(at, &places[1..])?;
                cx.gather(flat, at, 1, 0)?
            }
        };
        let Fill::Constant(value) = self.fill else {
            return Ok(read);
        };
        let mut inside = None;
        for (v, size) in [(i, w), (j, h)] {
            let low = cx.binary_s(Binary::Ge, v, 0.0)?;
            let high = cx.binary_s(Binary::Lt, v, size as f64)?;
            let both = cx.and(low, high)?;
            inside = Some(match inside {
                None => both,
                Some(inside) => cx.and(inside, both)?,
            });
        }
        let inside = inside.ok_or_else(|| cx.defect("no place to read"))?;
        let inside = cx.expand_dims(inside, 3)?;
        let dtype = cx.dtype(x);
        let fill = cx.scalar(dtype, value);
        cx.select(inside, read, fill)
    }

    /// Places on an axis of `size` elements, brought inside, but for a constant fill.
    fn inside(&self, cx: &mut Cx, p: ValueId, size: usize) -> Result<ValueId> {
        let (n, last) = (size as f64, (size - 1) as f64);
        let folded = match self.fill {
            Fill::Constant(_) => return Ok(p),
            Fill::Wrap | Fill::Reflect if size == 1 => cx.mul_s(p, 0.0)?,
            Fill::Nearest => p,
            Fill::Wrap => {
                let below = cx.div_s(p, -last)?;
                let below = cx.unary(Unary::Trunc, below)?;
                let below = cx.add_s(below, 1.0)?;
                let below = cx.mul_s(below, n)?;
                let below = cx.add(p, below)?;
                let above = cx.div_s(p, last)?;
                let above = cx.unary(Unary::Trunc, above)?;
                let above = cx.mul_s(above, n)?;
                let above = cx.sub(p, above)?;
                sides(cx, p, last, below, above)?
            }
            Fill::Reflect => {
                let period = 2.0 * n;
                let below = cx.div_s(p, -period)?;
                let below = cx.unary(Unary::Trunc, below)?;
                let below = cx.mul_s(below, period)?;
                let below = cx.add(below, p)?;
                let far = cx.binary_s(Binary::Lt, below, -n)?;
                let over = cx.add_s(below, period)?;
                let back = cx.unary(Unary::Neg, below)?;
                let back = cx.add_s(back, -1.0)?;
                let below = cx.select(far, over, back)?;
                let above = cx.div_s(p, period)?;
                let above = cx.unary(Unary::Trunc, above)?;
                let above = cx.mul_s(above, period)?;
                let above = cx.sub(p, above)?;
                let far = cx.binary_s(Binary::Ge, above, n)?;
                let back = cx.unary(Unary::Neg, above)?;
                let back = cx.add_s(back, period)?;
                let back = cx.add_s(back, -1.0)?;
                let above = cx.select(far, back, above)?;
                sides(cx, p, last, below, above)?
            }
        };
        cx.clip(folded, Some(0.0), Some(last))
    }
}

/// `below` where p is negative, `above` beyond `last`, else p.
fn sides(cx: &mut Cx, p: ValueId, last: f64, below: ValueId, above: ValueId) -> Result<ValueId> {
    let negative = cx.binary_s(Binary::Lt, p, 0.0)?;
    let beyond = cx.binary_s(Binary::Gt, p, last)?;
    let p = cx.select(beyond, above, p)?;
    cx.select(negative, below, p)
}

/// The nearest whole number, halves away from 0.
fn rounded(cx: &mut Cx, p: ValueId) -> Result<ValueId> {
    let size = cx.unary(Unary::Abs, p)?;
    let low = cx.unary(Unary::Floor, size)?;
    let rest = cx.sub(size, low)?;
    let up = cx.binary_s(Binary::Ge, rest, 0.5)?;
    let high = cx.add_s(low, 1.0)?;
    let size = cx.select(up, high, low)?;
    let sign = cx.unary(Unary::Sign, p)?;
    cx.mul(size, sign)
}

pub fn affine_transform(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "images")?;
    let mut t = tensor(cx, call, 1, "transform")?;
    if cx.rank(t) == 1 {
        t = cx.expand_dims(t, 0)?;
    }
    let warp = Warp::read(cfg)?;
    let first = cfg.channels_first()?;
    Ok(batched(cx, x, first, |cx, x| warp.apply(cx, x, t))?.into())
}

pub fn perspective_transform(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "images")?;
    let start = points(cx, call, 1, "start_points")?;
    let end = points(cx, call, 2, "end_points")?;
    let t = homography(cx, start, end)?;
    let warp = Warp::read(cfg)?;
    let first = cfg.channels_first()?;
    Ok(batched(cx, x, first, |cx, x| warp.apply(cx, x, t))?.into())
}

/// Four points (n, 4, 2) for each image, as their coordinates (n, 1) in float64.
fn points(cx: &mut Cx, call: &Call, at: usize, name: &str) -> Result<[[ValueId; 2]; 4]> {
    let mut p = tensor(cx, call, at, name)?;
    if cx.rank(p) == 2 {
        p = cx.expand_dims(p, 0)?;
    }
    if cx.rank(p) != 3 || cx.shape(p)[1..] != [4, 2] {
        return Err(cx.error(format!(
            "`{name}` must be four points for each image, not {}",
            cx.fact(p)
        )));
    }
    let p = cx.cast(p, DType::F32)?;
    let p = cx.cast(p, DType::F64)?;
    let mut found = [[p; 2]; 4];
    for (i, point) in found.iter_mut().enumerate() {
        for (j, c) in point.iter_mut().enumerate() {
            let v = cx.slice_axis(p, 1, i, i + 1)?;
            *c = cx.slice_axis(v, 2, j, j + 1)?;
        }
    }
    Ok(found)
}

type Matrix = [[ValueId; 3]; 3];

fn cross(cx: &mut Cx, a: [ValueId; 3], b: [ValueId; 3]) -> Result<[ValueId; 3]> {
    let mut minor = |i: usize, j: usize| -> Result<ValueId> {
        let p = cx.mul(a[i], b[j])?;
        let q = cx.mul(a[j], b[i])?;
        cx.sub(p, q)
    };
    Ok([minor(1, 2)?, minor(2, 0)?, minor(0, 1)?])
}

fn dot(cx: &mut Cx, a: [ValueId; 3], b: [ValueId; 3]) -> Result<ValueId> {
    let p = cx.mul(a[0], b[0])?;
    let q = cx.mul(a[1], b[1])?;
    let r = cx.mul(a[2], b[2])?;
    let s = cx.add(p, q)?;
    cx.add(s, r)
}

/// The projection, by its columns, that takes the unit vectors and their sum to
/// four points, up to a factor.
fn basis(cx: &mut Cx, p: [[ValueId; 2]; 4]) -> Result<Matrix> {
    let shape = cx.shape(p[0][0]);
    let one = cx.scalar(DType::F64, 1.0);
    let one = cx.broadcast_to(one, &shape)?;
    let [a, b, c, d] = p.map(|[x, y]| [x, y, one]);
    let scales = [(b, c), (c, a), (a, b)];
    let mut columns = [a, b, c];
    for (column, (u, v)) in columns.iter_mut().zip(scales) {
        let normal = cross(cx, u, v)?;
        let scale = dot(cx, normal, d)?;
        for v in column {
            *v = cx.mul(*v, scale)?;
        }
    }
    Ok(columns)
}

/// The projections (n, 8) that take each end point to its start point.
pub fn homography(
    cx: &mut Cx,
    start: [[ValueId; 2]; 4],
    end: [[ValueId; 2]; 4],
) -> Result<ValueId> {
    let from = basis(cx, end)?;
    let to = basis(cx, start)?;
    // Rows of the inverse, up to a factor.
    let rows = [
        cross(cx, from[1], from[2])?,
        cross(cx, from[2], from[0])?,
        cross(cx, from[0], from[1])?,
    ];
    let mut all = vec![];
    let row = |m: &Matrix, i: usize| m.map(|column| column[i]);
    for i in 0..3 {
        for j in 0..3 {
            all.push(dot(cx, row(&to, i), row(&rows, j))?);
        }
    }
    let last = all.pop().unwrap_or(all[0]);
    let n = cx.dim(last, 0)?;
    let mut parts = vec![];
    for v in all {
        let v = cx.div(v, last)?;
        parts.push(cx.reshape(v, &[n, 1])?);
    }
    let t = cx.concat(&parts, 1)?;
    cx.cast(t, DType::F32)
}

/// An index or two along one axis, each with its weight and whether it is inside.
type Tap = (ValueId, Option<ValueId>, ValueId);

fn brought_in(
    cx: &mut Cx,
    mode: &str,
    index: ValueId,
    size: usize,
) -> Result<(ValueId, Option<ValueId>)> {
    let n = size as f64;
    match mode {
        "constant" => {
            let low = cx.binary_s(Binary::Ge, index, 0.0)?;
            let high = cx.binary_s(Binary::Lt, index, n)?;
            let valid = cx.and(low, high)?;
            Ok((cx.clip(index, Some(0.0), Some(n - 1.0))?, Some(valid)))
        }
        "nearest" => Ok((cx.clip(index, Some(0.0), Some(n - 1.0))?, None)),
        "wrap" => Ok((cx.binary_s(Binary::Mod, index, n)?, None)),
        mode => {
            let index = cx.unary(Unary::Abs, index)?;
            let rest = cx.binary_s(Binary::Mod, index, 2.0 * n)?;
            let under = cx.binary_s(Binary::Lt, rest, n)?;
            let back = cx.unary(Unary::Neg, rest)?;
            let skip = if mode == "reflect" { 1.0 } else { 0.0 };
            let back = cx.add_s(back, 2.0 * n - skip)?;
            Ok((cx.select(under, rest, back)?, None))
        }
    }
}

/// Values of a tensor at coordinates (rank, ...), nearest (order 0) or
/// interpolated (order 1).
pub fn map_coordinates(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let x = tensor(cx, call, 0, "inputs")?;
    let at = tensor(cx, call, 1, "coordinates")?;
    let order = cfg.usize_or("order", 1)?;
    if order > 1 {
        return Err(cfg.bad("order", "0 or 1"));
    }
    let modes = &["constant", "nearest", "wrap", "mirror", "reflect"];
    let mode = cfg.one_of("fill_mode", "constant", modes)?;
    let fill = cfg.f64_or("fill_value", 0.0)?;
    let (shape, own, dtype) = (cx.shape(x), cx.dtype(x), cx.dtype(at));
    if cx.rank(at) < 2 || cx.dim(at, 0)? != shape.len() || shape.contains(&0) {
        return Err(cx.error(format!(
            "the coordinates must have a row for each axis of {}, not be of shape {}",
            show_shape(&shape),
            show_shape(&cx.shape(at))
        )));
    }
    let coordinates = (0..shape.len()).map(|i| cx.index_axis(at, 0, i));
    let coordinates = coordinates.collect::<Result<Vec<_>>>()?;
    let flat = cx.reshape(x, &[numel(&shape)])?;
    let fill = cx.constant(Tensor::scalar(own, fill));
    let sampler = Sampler {
        shape: &shape,
        order,
        mode,
        fill: cx.cast(fill, dtype)?,
    };
    let mut y = sampler.sample(cx, &coordinates, |cx, index| {
        let read = cx.gather(flat, index, 0, 0)?;
        cx.cast(read, dtype)
    })?;
    if own.is_int() {
        y = cx.unary(Unary::Round, y)?;
    }
    Ok(cx.cast(y, own)?.into())
}

/// Reads between the elements of an array.
pub struct Sampler<'a> {
    pub shape: &'a [usize],
    /// The nearest element (0), or those around, interpolated (1).
    pub order: usize,
    pub mode: &'a str,
    /// What is outside in the mode "constant".
    pub fill: ValueId,
}

impl Sampler<'_> {
    /// The values at coordinates, one tensor for each axis; `read` gives those at
    /// flat indices.
    pub fn sample(
        &self,
        cx: &mut Cx,
        at: &[ValueId],
        read: impl Fn(&mut Cx, ValueId) -> Result<ValueId>,
    ) -> Result<ValueId> {
        let shape = self.shape;
        let mut axes: Vec<Vec<Tap>> = vec![];
        for (&c, &size) in at.iter().zip(shape) {
            let dtype = cx.dtype(c);
            let one = cx.scalar(dtype, 1.0);
            let nodes = match self.order {
                0 => vec![(cx.unary(Unary::Round, c)?, one)],
                _ => {
                    let low = cx.unary(Unary::Floor, c)?;
                    let upper = cx.sub(c, low)?;
                    let lower = cx.sub(one, upper)?;
                    vec![(low, lower), (cx.add_s(low, 1.0)?, upper)]
                }
            };
            let mut taps = vec![];
            for (index, weight) in nodes {
                let index = cx.cast(index, DType::I32)?;
                let (index, valid) = brought_in(cx, self.mode, index, size)?;
                taps.push((index, valid, weight));
            }
            axes.push(taps);
        }
        let mut sum = None;
        for corner in 0..1usize << (self.order * shape.len()) {
            let bit = |i: usize| corner >> (shape.len() - 1 - i) & 1;
            let taps: Vec<Tap> = (0..shape.len()).map(|i| axes[i][bit(i)]).collect();
            let (mut index, mut valid, mut weight) = taps[0];
            for (i, &(next, inside, w)) in taps.iter().enumerate().skip(1) {
                index = cx.mul_s(index, shape[i] as f64)?;
                index = cx.add(index, next)?;
                weight = cx.mul(weight, w)?;
                valid = match (valid, inside) {
                    (Some(a), Some(b)) => Some(cx.and(a, b)?),
                    (a, b) => a.or(b),
                };
            }
            let mut value = read(cx, index)?;
            if let Some(valid) = valid {
                value = cx.select(valid, value, self.fill)?;
            }
            let part = cx.mul(weight, value)?;
            sum = Some(match sum {
                None => part,
                Some(sum) => cx.add(sum, part)?,
            });
        }
        sum.ok_or_else(|| cx.defect("nothing to read"))
    }
}
