//! Contrast-limited adaptive histogram equalization.

use crate::error::Result;
use crate::graph::{Cumulate, PadMode, Reduce, ValueId};
use crate::keras::Cx;
use crate::tensor::DType;

/// The grey levels of a byte.
const LEVELS: usize = 256;

/// Equalizes each channel of each tile, and blends the tiles' curves in between.
pub struct Clahe {
    /// Most pixels of a level, as a multiple of the mean; off at 0 and below.
    pub limit: f64,
    /// Tiles along the height and the width.
    pub grid: [usize; 2],
}

/// Along one axis, for each pixel: the tiles before and after it in the grid
/// with its edges doubled, and how far it is on the way.
struct Blend {
    low: Vec<i32>,
    high: Vec<i32>,
    weight: Vec<f32>,
}

impl Blend {
    fn new(tile: usize, grid: usize) -> Blend {
        let last = (grid + 1) as f32;
        let at = |i: usize| (i as f32 - tile as f32 / 2.0) / tile as f32 + 1.0;
        let places: Vec<f32> = (0..tile * grid).map(at).collect();
        let index = |v: f32| v.clamp(0.0, last) as i32;
        Blend {
            low: places.iter().map(|p| index(p.floor())).collect(),
            high: places.iter().map(|p| index(p.floor() + 1.0)).collect(),
            weight: places.iter().map(|p| p - p.floor()).collect(),
        }
    }
}

impl Clahe {
    /// Images (n, height, width, channels) of values from 0 to 255, as float32.
    pub fn apply(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let shape = cx.shape(x);
        let [gh, gw] = self.grid;
        let (th, tw) = (shape[1].div_ceil(gh), shape[2].div_ceil(gw));
        let (h, w) = (th * gh, tw * gw);
        let pads = [(0, 0), (0, h - shape[1]), (0, w - shape[2]), (0, 0)];
        let x = cx.pad(x, &pads, PadMode::Symmetric, 0.0)?;
        let pixels = self.levels(cx, x)?;
        let curves = self.curves(cx, pixels, [th, tw])?;
        let y = self.blend(cx, pixels, curves, [th, tw])?;
        let y = cx.slice_axis(y, 1, 0, shape[1])?;
        cx.slice_axis(y, 2, 0, shape[2])
    }

    fn levels(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        let x = cx.cast(x, DType::I32)?;
        cx.clip(x, Some(0.0), Some((LEVELS - 1) as f64))
    }

    /// What each level becomes in each tile: (n, rows, columns, channels, level).
    fn curves(&self, cx: &mut Cx, pixels: ValueId, tile: [usize; 2]) -> Result<ValueId> {
        let shape = cx.shape(pixels);
        let ([gh, gw], [th, tw]) = (self.grid, tile);
        let (n, c, count) = (shape[0], shape[3], th * tw);
        let t = cx.reshape(pixels, &[n, gh, th, gw, tw, c])?;
        let t = cx.transpose(t, &[0, 1, 3, 5, 2, 4])?;
        let t = cx.reshape(t, &[n, gh, gw, c, count])?;
        let counts = cx.count(t, LEVELS, false)?;
        let mut levels = cx.cast(counts, DType::F32)?;
        if self.limit > 0.0 {
            let most = self.limit * count as f64 / LEVELS as f64;
            let clipped = cx.clip(levels, Some(0.0), Some(most))?;
            let excess = cx.sub(levels, clipped)?;
            let excess = cx.reduce(Reduce::Sum, excess, &[4], true)?;
            let share = cx.div_s(excess, LEVELS as f64)?;
            levels = cx.add(clipped, share)?;
        }
        let below = cx.cumulate(Cumulate::Sum, levels, -1, false)?;
        let least = cx.reduce(Reduce::Min, below, &[4], true)?;
        let above = cx.sub(below, least)?;
        let above = cx.mul_s(above, 255.0)?;
        let whole = cx.scalar(DType::F32, count as f64);
        let range = cx.sub(whole, least)?;
        let zero = cx.scalar(DType::F32, 0.0);
        let one = cx.scalar(DType::F32, 1.0);
        let empty = cx.binary(crate::graph::Binary::Eq, range, zero)?;
        let range = cx.select(empty, one, range)?;
        let curve = cx.div(above, range)?;
        cx.clip(curve, Some(0.0), Some(255.0))
    }

    fn blend(
        &self,
        cx: &mut Cx,
        pixels: ValueId,
        curves: ValueId,
        tile: [usize; 2],
    ) -> Result<ValueId> {
        let shape = cx.shape(pixels);
        let (n, c) = (shape[0], shape[3]);
        let [gh, gw] = self.grid;
        let edges = [(0, 0), (1, 1), (1, 1), (0, 0), (0, 0)];
        let curves = cx.pad(curves, &edges, PadMode::Edge, 0.0)?;
        let curves = cx.reshape(curves, &[n, (gh + 2) * (gw + 2) * c * LEVELS])?;
        let (down, across) = (Blend::new(tile[0], gh), Blend::new(tile[1], gw));
        let step = (LEVELS * c) as i32;
        let channel = cx.generated([1, 1, 1, c], |i| (i * LEVELS) as i32)?;
        let base = cx.add(pixels, channel)?;
        let corner = |cx: &mut Cx, rows: &[i32], columns: &[i32]| -> Result<ValueId> {
            let rows: Vec<i32> = rows.iter().map(|r| r * step * (gw as i32 + 2)).collect();
            let columns: Vec<i32> = columns.iter().map(|r| r * step).collect();
            let rows = cx.i32s([1, rows.len(), 1, 1], &rows);
            let columns = cx.i32s([1, 1, columns.len(), 1], &columns);
            let at = cx.add(base, rows)?;
            let at = cx.add(at, columns)?;
            cx.gather(curves, at, 1, 1)
        };
        let north = [
            corner(cx, &down.low, &across.low)?,
            corner(cx, &down.low, &across.high)?,
        ];
        let south = [
            corner(cx, &down.high, &across.low)?,
            corner(cx, &down.high, &across.high)?,
        ];
        let right = cx.f32s([1, 1, across.weight.len(), 1], &across.weight);
        let lower = cx.f32s([1, down.weight.len(), 1, 1], &down.weight);
        let top = mix(cx, north, right)?;
        let bottom = mix(cx, south, right)?;
        mix(cx, [top, bottom], lower)
    }
}

/// `a * (1 - weight) + b * weight`.
fn mix(cx: &mut Cx, [a, b]: [ValueId; 2], weight: ValueId) -> Result<ValueId> {
    let one = cx.f32s([], &[1.0]);
    let rest = cx.sub(one, weight)?;
    let a = cx.mul(a, rest)?;
    let b = cx.mul(b, weight)?;
    cx.add(a, b)
}
