//! Help for the kernels' tests.

use std::sync::Arc;

use half::{bf16, f16};

use super::{prepare, Operand, PackCache, Par, Request};
use crate::graph::{Const, Op};
use crate::tensor::{buffer, numel, DType, Fact, Shape, Tensor, View};

/// A small generator of numbers (SplitMix64).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from -1 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Numbers from -1 to 1, or from -9 to 9 for integers (0 to 9 unsigned).
    pub fn tensor(&mut self, dtype: DType, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let values: Vec<f64> = (0..numel(&shape)).map(|_| self.unit()).collect();
        of(dtype, shape, &values)
    }
}

/// A tensor of values, integers ten times larger and truncated.
pub fn of(dtype: DType, shape: impl Into<Shape>, values: &[f64]) -> Tensor {
    macro_rules! make {
        ($f:expr) => {
            Tensor::from_slice(shape, &values.iter().map($f).collect::<Vec<_>>())
        };
    }
    match dtype {
        DType::F32 => make!(|&v| v as f32),
        DType::F64 => make!(|&v| v),
        DType::F16 => make!(|&v| f16::from_f64(v)),
        DType::BF16 => make!(|&v| bf16::from_f64(v)),
        DType::I8 => make!(|&v| (v * 10.0) as i8),
        DType::I32 => make!(|&v| (v * 10.0) as i32),
        DType::I64 => make!(|&v| (v * 10.0) as i64),
        DType::U8 => make!(|&v| (v * 10.0) as u8),
        _ => panic!("no test tensors of {dtype}"),
    }
}

/// Runs a primitive on one thread and on three, which must agree in every bit.
/// `consts` are the inputs known when it is prepared.
pub fn run_both(
    op: &Op,
    ins: &[Tensor],
    consts: &[usize],
    dtype: DType,
    outs: &[Shape],
) -> Vec<Tensor> {
    let facts: Vec<Fact> = outs.iter().map(|s| Fact::new(dtype, s.clone())).collect();
    let constants: Vec<Arc<Const>> = ins
        .iter()
        .enumerate()
        .map(|(i, t)| {
            Arc::new(Const {
                id: i as u64,
                tensor: t.clone(),
            })
        })
        .collect();
    let operands: Vec<Operand> = ins
        .iter()
        .enumerate()
        .map(|(i, t)| Operand {
            fact: t.fact(),
            constant: consts.contains(&i).then(|| &constants[i]),
        })
        .collect();
    let packs = PackCache::default();
    let kernel = prepare(&Request {
        op,
        ins: &operands,
        outs: &facts,
        path: "test",
        packs: &packs,
    })
    .expect("prepared");
    let run = |par: Par| {
        let views: Vec<View> = ins.iter().map(|t| t.view()).collect();
        let mut outs: Vec<Tensor> = facts.iter().map(|f| Tensor::zeros(f.clone())).collect();
        // What an earlier kernel may have left behind.
        for out in &mut outs {
            out.bytes_mut().fill(0xff);
        }
        let mut scratch = buffer(kernel.scratch());
        bytemuck::cast_slice_mut::<_, u8>(&mut scratch).fill(0xff);
        let mut muts: Vec<_> = outs.iter_mut().map(|t| t.view_mut()).collect();
        kernel
            .run(&views, &mut muts, &mut scratch, None, par)
            .expect("run");
        outs
    };
    let serial = run(Par::Serial);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .expect("pool");
    let parallel = pool.install(|| run(Par::Pool));
    for (s, p) in serial.iter().zip(&parallel) {
        assert_eq!(s.bytes(), p.bytes(), "one thread against three: {op:?}");
    }
    serial
}

/// Whether results are as near as their dtype allows. For f32 that is
/// `|a - b| <= 1e-5 + 1e-4 |b|`.
pub fn assert_close(got: &Tensor, want: &[f64], what: &str) {
    let (abs, rel) = match got.dtype() {
        DType::F32 => (1e-5, 1e-4),
        DType::F64 => (1e-12, 1e-12),
        DType::F16 => (1e-3, 1e-3),
        DType::BF16 => (8e-3, 8e-3),
        _ => (0.0, 0.0),
    };
    let got = got.to_f64();
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan());
        assert!(
            same || (g - w).abs() <= abs + rel * w.abs(),
            "{what}: element {i} is {g}, not {w}"
        );
    }
}
