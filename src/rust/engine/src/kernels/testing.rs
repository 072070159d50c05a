//! Help for the kernels' tests.

use std::sync::Arc;

use half::{bf16, f16};

use super::{prepare, with_crew, Operand, PackCache, Par, Request};
use crate::error::Result;
use crate::graph::{Const, Op};
use crate::tensor::{buffer, numel, DType, Fact, Shape, Tensor, View, ViewMut};

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

/// Runs a primitive on one thread, on three, and in place where it can, which
/// must agree in every bit.
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
                tensor: t.clone().into(),
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
    let in_place = |at: usize| {
        let mut outs: Vec<Tensor> = facts.iter().map(|f| Tensor::zeros(f.clone())).collect();
        outs[0].bytes_mut().copy_from_slice(ins[at].bytes());
        let mut views: Vec<View> = ins.iter().map(|t| t.view()).collect();
        views[at] = View::new(ins[at].dtype(), &[0], &[]);
        let mut scratch = buffer(kernel.scratch());
        let mut muts: Vec<_> = outs.iter_mut().map(|t| t.view_mut()).collect();
        kernel
            .run(&views, &mut muts, &mut scratch, Some(at), Par::Serial)
            .expect("run in place");
        outs
    };
    let serial = run(Par::Serial);
    let parallel = with_crew(pool(), || run(Par::Crew));
    for (s, p) in serial.iter().zip(&parallel) {
        assert_eq!(s.bytes(), p.bytes(), "one thread against three: {op:?}");
    }
    for &at in kernel.in_place() {
        for (s, p) in serial.iter().zip(in_place(at)) {
            assert_eq!(s.bytes(), p.bytes(), "in place of input {at}: {op:?}");
        }
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

/// Reproducible small numbers with fractions, signs and zeros, as the dtype holds them.
pub fn noise(dtype: DType, shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let n = numel(shape);
    macro_rules! make {
        ($t:ty, $f:expr) => {
            Tensor::from_slice(shape, &(0..n).map(|_| $f(next()) as $t).collect::<Vec<_>>())
        };
    }
    let float = |u: f64| (u - 0.5) * 8.0;
    let int = |u: f64| (u * 11.0 - 5.0).round();
    let natural = |u: f64| (u * 11.0).floor();
    match dtype {
        DType::Bool => Tensor::bools(shape, &(0..n).map(|_| next() < 0.5).collect::<Vec<_>>()),
        DType::C64 | DType::C128 => Tensor::zeros(Fact::new(dtype, shape)),
        DType::Str => {
            let words = (0..n).map(|_| format!("w{}", (next() * 9.0) as u32).into());
            Tensor::from_strings(shape, words.collect())
        }
        DType::U8 => make!(u8, natural),
        DType::U16 => make!(u16, natural),
        DType::U32 => make!(u32, natural),
        DType::U64 => make!(u64, natural),
        DType::I8 => make!(i8, int),
        DType::I16 => make!(i16, int),
        DType::I32 => make!(i32, int),
        DType::I64 => make!(i64, int),
        DType::F32 => make!(f32, float),
        DType::F64 => make!(f64, float),
        DType::F16 | DType::BF16 => {
            let values: Vec<f64> = (0..n).map(|_| float(next())).collect();
            of(dtype, shape, &values)
        }
    }
}

/// Equal dtype, shape and bits; any NaN equals any other, and 0 equals -0.
#[track_caller]
pub fn same_bits(got: &Tensor, want: &Tensor, what: &str) {
    assert_eq!(got.fact(), want.fact(), "{what}");
    assert_eq!(got.strings(), want.strings(), "{what}");
    if got.bytes() == want.bytes() {
        return;
    }
    assert!(
        got.dtype().is_float(),
        "{what}: {:?} {:?}",
        got.to_f64(),
        want.to_f64()
    );
    for (i, (g, w)) in got.to_f64().iter().zip(want.to_f64()).enumerate() {
        assert!(
            *g == w || (g.is_nan() && w.is_nan()),
            "{what} at {i}: {g} {w}"
        );
    }
}

/// A pool of three threads.
pub fn pool() -> &'static rayon::ThreadPool {
    static POOL: std::sync::OnceLock<rayon::ThreadPool> = std::sync::OnceLock::new();
    POOL.get_or_init(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build();
        pool.expect("pool")
    })
}

/// Runs a primitive; the serial run, the pool's and those in place must agree.
pub fn run(op: &Op, ins: &[&Tensor], outs: &[Fact]) -> Result<Vec<Tensor>> {
    let packs = PackCache::default();
    let operands: Vec<Operand> = ins
        .iter()
        .map(|t| Operand {
            fact: t.fact(),
            constant: None,
        })
        .collect();
    let kernel = prepare(&Request {
        op,
        ins: &operands,
        outs,
        path: "test",
        packs: &packs,
    })?;
    let go = |par, aliased: Option<usize>| -> Result<Vec<Tensor>> {
        let mut results: Vec<Tensor> = outs.iter().cloned().map(Tensor::zeros).collect();
        // What was in memory before must not matter.
        for (i, out) in results.iter_mut().enumerate() {
            out.bytes_mut().fill(0xa5);
            if let (0, Some(a)) = (i, aliased) {
                out.bytes_mut().copy_from_slice(ins[a].bytes());
            }
        }
        let empty = [0];
        let mut views: Vec<View> = ins.iter().map(|t| t.view()).collect();
        if let Some(a) = aliased {
            views[a] = View::new(ins[a].dtype(), &empty, &[]);
        }
        let mut muts: Vec<ViewMut> = results.iter_mut().map(Tensor::view_mut).collect();
        let mut scratch = buffer(kernel.scratch());
        scratch.fill(bytemuck::cast([0xa5u8; 64]));
        kernel.run(&views, &mut muts, &mut scratch, aliased, par)?;
        Ok(results)
    };
    let serial = go(Par::Serial, None)?;
    let others = std::iter::once((Par::Crew, None));
    let others = others.chain(kernel.in_place().iter().map(|&i| (Par::Serial, Some(i))));
    for (par, aliased) in others {
        let again = with_crew(pool(), || go(par, aliased))?;
        for (a, b) in serial.iter().zip(&again) {
            same_bits(b, a, &format!("{op:?} {par:?} {aliased:?}"));
        }
    }
    Ok(serial)
}

pub const DTYPES: [DType; 14] = [
    DType::Bool,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::F16,
    DType::BF16,
    DType::F32,
    DType::F64,
    DType::Str,
];

/// The elements at flat positions.
pub fn pick(x: &Tensor, shape: &[usize], at: &[usize]) -> Tensor {
    if x.dtype() == DType::Str {
        let values = at.iter().map(|&i| x.strings()[i].clone());
        return Tensor::from_strings(shape, values.collect());
    }
    let size = x.dtype().size();
    let bytes = at.iter().flat_map(|i| &x.bytes()[i * size..][..size]);
    let bytes: Vec<u8> = bytes.copied().collect();
    Tensor::from_bytes(Fact::new(x.dtype(), shape), &bytes)
}
