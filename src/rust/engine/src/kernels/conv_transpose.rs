//! Transposed convolutions. Output places whose distance to the first is the
//! same modulo the strides (a *phase*) meet the same positions of the window,
//! so each phase is a convolution of its own, without scattering or zeros.

use std::sync::Arc;

use super::epilogue::Epilogue;
use super::gemm::{self, Dims, Rows};
use super::simd::Num;
use super::windows::{for_lines, three};
use super::{convert, Kernel, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{buffer, Line, View, ViewMut};

/// The places of one phase along one axis.
#[derive(Clone, PartialEq)]
struct Axis {
    /// The first place, and how many there are, `stride` apart.
    first: usize,
    count: usize,
    stride: usize,
    /// Window positions they meet, each with the input element of the first place.
    taps: Vec<(usize, isize)>,
}

fn axes([window, stride, dilation, crop, output]: [usize; 5]) -> Vec<Axis> {
    (0..stride.min(output))
        .map(|first| {
            let at = (first + crop) as isize;
            let source = |k: usize| at - (k * dilation) as isize;
            Axis {
                first,
                count: (output - first).div_ceil(stride),
                stride,
                taps: (0..window)
                    .filter(|&k| source(k).rem_euclid(stride as isize) == 0)
                    .map(|k| (k, source(k).div_euclid(stride as isize)))
                    .collect(),
            }
        })
        .collect()
}

struct Phase {
    axes: [Axis; 3],
    /// Where its packed kernel starts.
    packed: usize,
}

impl Phase {
    fn taps(&self) -> usize {
        self.axes.iter().map(|a| a.taps.len()).product()
    }

    /// Window positions in the order of segments.
    fn position(&self, segment: usize) -> [(usize, isize); 3] {
        let [z, y, x] = &self.axes;
        [
            z.taps[segment / (y.taps.len() * x.taps.len())],
            y.taps[segment / x.taps.len() % y.taps.len()],
            x.taps[segment % x.taps.len()],
        ]
    }
}

struct Geometry {
    batch: usize,
    input: [usize; 3],
    output: [usize; 3],
    window: [usize; 3],
    cin: usize,
    cout: usize,
    phases: Vec<Phase>,
    packed_len: usize,
}

/// A packed kernel and what it was packed for.
struct PhasePack {
    taps: Vec<[(usize, isize); 3]>,
    data: Vec<Line>,
}

struct ConvTranspose<E> {
    geometry: Geometry,
    packed: Option<Arc<PhasePack>>,
    epilogue: Epilogue,
    zeros: Vec<E>,
}

/// Prepares `Op::ConvTranspose`.
pub(super) fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    convert::prepare_num(req, prepare_in::<f32>, prepare_in::<f64>, prepare_in::<i64>)
}

fn prepare_in<E: Num>(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::ConvTranspose(attrs, epilogue) = req.op else {
        return Err(Error::internal("not a transposed convolution"));
    };
    let (x, kernel) = (&req.ins[0].fact.shape, &req.ins[1].fact.shape);
    let spatial = kernel.len() - 2;
    let (cout, cin) = (kernel[spatial], kernel[spatial + 1]);
    let crop: Vec<usize> = attrs.crop.iter().map(|c| c.0).collect();
    let (window, output) = (three(&kernel[..spatial], 1), three(&attrs.output, 1));
    let (strides, dilation) = (three(&attrs.strides, 1), three(&attrs.dilation, 1));
    let crop = three(&crop, 0);
    let along = |d: usize| axes([window[d], strides[d], dilation[d], crop[d], output[d]]);
    let mut phases = Vec::new();
    let mut packed = 0;
    for z in along(0) {
        for y in along(1) {
            for x in along(2) {
                let phase = Phase {
                    axes: [z.clone(), y.clone(), x],
                    packed,
                };
                packed += gemm::packed_len::<E>(phase.taps() * cin, cout);
                phases.push(phase);
            }
        }
    }
    let geometry = Geometry {
        batch: x[0],
        input: three(&x[1..=spatial], 1),
        output,
        window,
        cin,
        cout,
        phases,
        packed_len: packed,
    };
    let taps = geometry.taps();
    let pack = || {
        let mut data = buffer(packed * size_of::<E>());
        if let Some(c) = req.ins[1].constant {
            geometry.pack::<E>(c.tensor.as_slice(), bytemuck::cast_slice_mut(&mut data));
        }
        PhasePack {
            taps: taps.clone(),
            data,
        }
    };
    let packed = req.ins[1].constant.map(|c| {
        let found = req.packs.get(c, "transposed convolution", pack);
        // The same kernel may serve strides that need another order.
        match found.taps == taps {
            true => found,
            false => Arc::new(pack()),
        }
    });
    Ok(Box::new(ConvTranspose::<E> {
        geometry,
        packed,
        epilogue: Epilogue::new(epilogue, req, 2)?,
        zeros: vec![E::default(); cin],
    }))
}

impl Geometry {
    /// Window positions in the order they are packed in.
    fn taps(&self) -> Vec<[(usize, isize); 3]> {
        self.phases
            .iter()
            .flat_map(|p| (0..p.taps()).map(|s| p.position(s)))
            .collect()
    }

    /// Packs, for each phase, the matrices of its window positions below each other.
    fn pack<E: Num>(&self, kernel: &[E], out: &mut [E]) {
        let (cin, cout) = (self.cin, self.cout);
        let [_, ky, kx] = self.window;
        for phase in &self.phases {
            // Each position's (cout, cin) read as (cin, cout).
            let depth = phase.taps() * cin;
            let mut rows = vec![E::default(); depth * cout];
            for (s, rows) in rows.chunks_exact_mut((cin * cout).max(1)).enumerate() {
                let [(z, _), (y, _), (x, _)] = phase.position(s);
                let at = ((z * ky + y) * kx + x) * cin * cout;
                let matrix = &kernel[at..at + cin * cout];
                for (o, column) in matrix.chunks_exact(cin).enumerate() {
                    for (i, v) in column.iter().enumerate() {
                        rows[i * cout + o] = *v;
                    }
                }
            }
            let len = gemm::packed_len::<E>(depth, cout);
            let part = &mut out[phase.packed..phase.packed + len];
            gemm::pack(&rows, (depth, cout), (cout, 1), part, Par::Serial);
        }
    }
}

/// Rows of a phase's product: its places in the output.
struct Places<'a, E> {
    geometry: &'a Geometry,
    phase: &'a Phase,
    x: *const E,
    zeros: *const E,
    out: *mut E,
}
// SAFETY: the pointers are read and written as `Rows` says.
unsafe impl<E: Sync> Sync for Places<'_, E> {}

impl<E> Places<'_, E> {
    /// Image and place along each axis of a row.
    fn place(&self, row: usize) -> (usize, [usize; 3]) {
        let [z, y, x] = &self.phase.axes;
        let line = row / x.count;
        let plane = line / y.count;
        (
            plane / z.count,
            [plane % z.count, line % y.count, row % x.count],
        )
    }
}

// SAFETY: segments lie in the image or are the zeros, each of `cin` elements;
// each place of the output is a row of one phase.
unsafe impl<E: Sync> Rows<E> for Places<'_, E> {
    fn left(&self, segment: usize, first: usize, pointers: &mut [*const E]) {
        let g = self.geometry;
        let taps = self.phase.position(segment);
        for (i, p) in pointers.iter_mut().enumerate() {
            let (n, place) = self.place(first + i);
            let at: [usize; 3] = std::array::from_fn(|d| (place[d] as isize + taps[d].1) as usize);
            *p = if (0..3).all(|d| at[d] < g.input[d]) {
                let pixel = ((n * g.input[0] + at[0]) * g.input[1] + at[1]) * g.input[2] + at[2];
                self.x.wrapping_add(pixel * g.cin)
            } else {
                self.zeros
            };
        }
    }

    fn out(&self, first: usize, pointers: &mut [*mut E]) {
        let g = self.geometry;
        for (i, p) in pointers.iter_mut().enumerate() {
            let (n, place) = self.place(first + i);
            let at: [usize; 3] = std::array::from_fn(|d| {
                let axis = &self.phase.axes[d];
                axis.first + place[d] * axis.stride
            });
            let pixel = ((n * g.output[0] + at[0]) * g.output[1] + at[1]) * g.output[2] + at[2];
            *p = self.out.wrapping_add(pixel * g.cout);
        }
    }
}

impl<E: Num> Kernel for ConvTranspose<E> {
    fn scratch(&self) -> usize {
        match self.packed {
            Some(_) => 0,
            None => self.geometry.packed_len * size_of::<E>(),
        }
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        _aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let g = &self.geometry;
        let packed: &[E] = match &self.packed {
            Some(packed) => bytemuck::cast_slice(&packed.data),
            None => {
                let packed = &mut bytemuck::cast_slice_mut(scratch)[..g.packed_len];
                g.pack::<E>(ins[1].as_slice(), packed);
                packed
            }
        };
        let out = outs[0].as_mut::<E>();
        let pointer = Shared(out.as_mut_ptr());
        let steps = self.epilogue.steps(ins, 0, pointer.get());
        for phase in &g.phases {
            let rows = Places {
                geometry: g,
                phase,
                x: ins[0].as_slice::<E>().as_ptr(),
                zeros: self.zeros.as_ptr(),
                out: pointer.get(),
            };
            let dims = Dims {
                rows: g.batch * phase.axes.iter().map(|a| a.count).product::<usize>(),
                cols: g.cout,
                segments: phase.taps(),
                len: g.cin,
                step: 1,
            };
            let packed = &packed[phase.packed..];
            gemm::multiply(&rows, dims, packed, &steps, par, &|_, _| {});
        }
        if self.epilogue.is_some() {
            for_lines(out, g.cout, par, |first, piece| {
                self.epilogue.apply(piece, first * g.cout, g.cout, ins)
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::graph::{Binary, ConvTransposeAttrs, Program, Step};
    use crate::tensor::{DType, Tensor};

    fn oracle(x: &Tensor, kernel: &Tensor, a: &ConvTransposeAttrs) -> Vec<f64> {
        let (xs, ks) = (x.shape(), kernel.shape());
        let rank = a.strides.len();
        let (xv, kv) = (x.to_f64(), kernel.to_f64());
        let (i3, o3) = (three(&xs[1..=rank], 1), three(&a.output, 1));
        let (k3, s3) = (three(&ks[..rank], 1), three(&a.strides, 1));
        let d3 = three(&a.dilation, 1);
        let crop: Vec<usize> = a.crop.iter().map(|c| c.0).collect();
        let c3 = three(&crop, 0);
        let (cout, cin) = (ks[rank], ks[rank + 1]);
        let places: usize = o3.iter().product();
        let mut out = vec![0.0; xs[0] * places * cout];
        let split = |p: usize, s: [usize; 3]| [p / (s[1] * s[2]), p / s[2] % s[1], p % s[2]];
        for n in 0..xs[0] {
            for p in 0..i3.iter().product() {
                let i = split(p, i3);
                for q in 0..k3.iter().product() {
                    let k = split(q, k3);
                    let o: Vec<usize> = (0..3)
                        .map(|d| (i[d] * s3[d] + k[d] * d3[d]).wrapping_sub(c3[d]))
                        .collect();
                    if (0..3).any(|d| o[d] >= o3[d]) {
                        continue;
                    }
                    let from = (n * i3.iter().product::<usize>() + p) * cin;
                    let to = (n * places + (o[0] * o3[1] + o[1]) * o3[2] + o[2]) * cout;
                    for c in 0..cout {
                        for j in 0..cin {
                            out[to + c] += xv[from + j] * kv[(q * cout + c) * cin + j];
                        }
                    }
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_plain_loops() {
        let mut rng = Rng::new(11);
        // Image, window, channels, strides, crop, dilation, and what the output has
        // beyond the full result.
        type Case = (
            &'static [usize],
            &'static [usize],
            [usize; 2],
            &'static [usize],
            &'static [(usize, usize)],
            &'static [usize],
            usize,
        );
        let cases: &[Case] = &[
            (
                &[5, 7],
                &[3, 3],
                [4, 6],
                &[1, 1],
                &[(0, 0), (0, 0)],
                &[1, 1],
                0,
            ),
            (
                &[5, 7],
                &[3, 3],
                [4, 6],
                &[2, 2],
                &[(0, 1), (0, 1)],
                &[1, 1],
                0,
            ),
            (
                &[5, 7],
                &[4, 2],
                [20, 33],
                &[2, 3],
                &[(1, 1), (0, 0)],
                &[1, 1],
                2,
            ),
            (
                &[5, 7],
                &[2, 2],
                [20, 33],
                &[3, 3],
                &[(0, 0), (0, 0)],
                &[1, 1],
                1,
            ),
            (
                &[5, 7],
                &[3, 3],
                [3, 5],
                &[1, 1],
                &[(2, 2), (1, 3)],
                &[2, 2],
                0,
            ),
            (
                &[5, 7],
                &[3, 2],
                [3, 5],
                &[2, 2],
                &[(2, 2), (1, 1)],
                &[3, 2],
                0,
            ),
            (&[20], &[5], [9, 17], &[2], &[(1, 2)], &[1], 1),
            (
                &[3, 4, 5],
                &[2, 3, 2],
                [6, 5],
                &[1, 2, 2],
                &[(0, 0), (1, 0), (0, 1)],
                &[1, 1, 1],
                0,
            ),
        ];
        for (image, window, [cin, cout], strides, crop, dilation, extra) in cases {
            let output: Vec<usize> = (0..image.len())
                .map(|d| {
                    let full = (image[d] - 1) * strides[d] + (window[d] - 1) * dilation[d] + 1;
                    full + extra - crop[d].0 - crop[d].1
                })
                .collect();
            let attrs = ConvTransposeAttrs {
                strides: strides.to_vec(),
                crop: crop.to_vec(),
                dilation: dilation.to_vec(),
                output: output.clone(),
            };
            let shape = [&[3], &output[..], &[*cout]].concat();
            for dtype in [DType::F32, DType::F64, DType::I32] {
                let x = rng.tensor(dtype, [&[3], *image, &[*cin]].concat());
                let k = rng.tensor(dtype, [*window, &[*cout, *cin]].concat());
                let want = oracle(&x, &k, &attrs);
                let op = Op::ConvTranspose(attrs.clone(), None);
                let what = format!("{image:?} {window:?} {attrs:?} {dtype}");
                for consts in [&[][..], &[1]] {
                    let ins = [x.clone(), k.clone()];
                    let got = run_both(&op, &ins, consts, dtype, std::slice::from_ref(&shape));
                    assert_close(&got[0], &want, &what);
                }
            }
            let program = Arc::new(Program {
                inputs: 2,
                steps: vec![Step::Binary(Binary::Add, 0, 1)],
                dtypes: vec![DType::F32],
            });
            let x = rng.tensor(DType::F32, [&[3], *image, &[*cin]].concat());
            let k = rng.tensor(DType::F32, [*window, &[*cout, *cin]].concat());
            let bias = rng.tensor(DType::F32, vec![*cout]);
            let mut want = oracle(&x, &k, &attrs);
            for (w, b) in want.iter_mut().zip(bias.to_f64().iter().cycle()) {
                *w += b;
            }
            let op = Op::ConvTranspose(attrs, Some(program));
            let got = run_both(&op, &[x, k, bias], &[1], DType::F32, &[shape]);
            assert_close(&got[0], &want, "bias");
        }
    }
}
