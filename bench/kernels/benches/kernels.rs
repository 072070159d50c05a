//! Times the engine's kernels on one thread, at sizes that the models of
//! bench/workloads.py have. Products and convolutions are shown as GFLOP/s and
//! as a share of what the processor's multiply-add units can do, measured here
//! by a bare loop; a share over 100 % is that of an algorithm with fewer
//! operations. The others are shown as elements a second.

use std::hint::black_box;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use keraspredict_engine::graph::{
    AttentionAttrs, Const, ConvAttrs, Op, PoolAttrs, PoolKind, RnnActivation, RnnAttrs, RnnCell,
    Unary, F,
};
use keraspredict_engine::kernels::{prepare, Kernel, Operand, PackCache, Par, Request};
use keraspredict_engine::tensor::{buffer, numel, DType, Fact, Tensor, View};

/// Wall time; elements of a throughput are floating point operations.
struct Flops(WallTime);

impl Measurement for Flops {
    type Intermediate = Instant;
    type Value = std::time::Duration;

    fn start(&self) -> Instant {
        self.0.start()
    }
    fn end(&self, start: Instant) -> Self::Value {
        self.0.end(start)
    }
    fn add(&self, a: &Self::Value, b: &Self::Value) -> Self::Value {
        self.0.add(a, b)
    }
    fn zero(&self) -> Self::Value {
        self.0.zero()
    }
    fn to_f64(&self, value: &Self::Value) -> f64 {
        self.0.to_f64(value)
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        &ShareOfPeak
    }
}

struct ShareOfPeak;

impl ShareOfPeak {
    fn rate(throughput: &Throughput, nanos: f64) -> (f64, &'static str) {
        match *throughput {
            Throughput::Elements(n) => (n as f64 / nanos, "GFLOP/s"),
            Throughput::Bytes(n) => (n as f64 / 4.0 / nanos, "elements/ns"),
            _ => (nanos, "ns"),
        }
    }
}

impl ValueFormatter for ShareOfPeak {
    fn format_throughput(&self, throughput: &Throughput, nanos: f64) -> String {
        let (rate, unit) = Self::rate(throughput, nanos);
        match throughput {
            Throughput::Elements(_) => {
                format!("{rate:.1} {unit}, {:.0} % of peak", 100.0 * rate / peak())
            }
            _ => format!("{rate:.2} {unit}"),
        }
    }
    fn scale_values(&self, _: f64, values: &mut [f64]) -> &'static str {
        values.iter_mut().for_each(|v| *v /= 1e3);
        "us"
    }
    fn scale_throughputs(
        &self,
        _: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        let mut unit = "";
        for v in values {
            (*v, unit) = Self::rate(throughput, *v);
        }
        unit
    }
    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "ns"
    }
}

/// GFLOP/s of independent multiply-adds in registers of one thread.
fn peak() -> f64 {
    static PEAK: OnceLock<f64> = OnceLock::new();
    *PEAK.get_or_init(|| {
        let best = (0..7).map(|_| peak_once()).fold(0.0, f64::max);
        println!("peak of one thread: {best:.1} GFLOP/s");
        best
    })
}

const ROUNDS: usize = 1_000_000;
/// Sums under way: enough to hide the latency of two units.
const SUMS: usize = 12;

fn peak_once() -> f64 {
    let start = Instant::now();
    let lanes = sums();
    let seconds = start.elapsed().as_secs_f64();
    (ROUNDS * SUMS * lanes * 2) as f64 / seconds / 1e9
}

/// Runs the loop and gives the numbers of a register.
fn sums() -> usize {
    macro_rules! run {
        ($feature:literal, $set:ident, $fma:ident, $lanes:literal) => {{
            #[target_feature(enable = $feature)]
            unsafe fn run() {
                let factor = black_box($set(0.5));
                let mut sums = [$set(1.0); SUMS];
                for _ in 0..ROUNDS {
                    for s in &mut sums {
                        *s = $fma(*s, factor, factor);
                    }
                }
                black_box(sums);
            }
            // SAFETY: the processor has the instructions.
            unsafe { run() };
            return $lanes;
        }};
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        if is_x86_feature_detected!("avx512f") {
            run!("avx512f", _mm512_set1_ps, _mm512_fmadd_ps, 16)
        }
        if is_x86_feature_detected!("fma") {
            run!("avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps, 8)
        }
    }
    let factor = black_box([0.5f32; 4]);
    let mut sums = [[1.0f32; 4]; SUMS];
    for _ in 0..ROUNDS {
        for s in &mut sums {
            for (x, f) in s.iter_mut().zip(factor) {
                *x = *x * f + f;
            }
        }
    }
    black_box(sums);
    4
}

/// A kernel with inputs and outputs of its own.
struct Bench {
    kernel: Box<dyn Kernel>,
    ins: Vec<Tensor>,
    outs: Vec<Tensor>,
}

impl Bench {
    /// `constant` says which inputs are known beforehand; as weights they are
    /// scaled so that outputs are as large as inputs.
    fn new(op: Op, ins: &[&[usize]], constant: &[usize], outs: &[&[usize]]) -> Bench {
        let mut seed = 1u32;
        let mut number = || {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        };
        let mut tensor = |(i, shape): (usize, &&[usize])| {
            let scale = match (constant.contains(&i), shape.split_last()) {
                (true, Some((_, summed))) if !summed.is_empty() => {
                    (3.0 / numel(summed) as f32).sqrt()
                }
                _ => 1.0,
            };
            let values: Vec<f32> = (0..numel(shape)).map(|_| scale * number()).collect();
            Tensor::from_slice(*shape, &values)
        };
        let ins: Vec<Tensor> = ins.iter().enumerate().map(&mut tensor).collect();
        let facts: Vec<Fact> = outs.iter().map(|s| Fact::new(DType::F32, *s)).collect();
        let known = |(i, t): (usize, &Tensor)| {
            constant.contains(&i).then(|| {
                Arc::new(Const {
                    id: i as u64,
                    tensor: t.clone().into(),
                })
            })
        };
        let constants: Vec<_> = ins.iter().enumerate().map(known).collect();
        let operands: Vec<Operand> = ins
            .iter()
            .zip(&constants)
            .map(|(t, constant)| Operand {
                fact: t.fact(),
                constant: constant.as_ref(),
            })
            .collect();
        let kernel = prepare(&Request {
            op: &op,
            ins: &operands,
            outs: &facts,
            path: "bench",
            packs: &PackCache::default(),
        });
        Bench {
            kernel: kernel.expect("a kernel"),
            outs: facts.into_iter().map(Tensor::zeros).collect(),
            ins,
        }
    }

    fn run(&mut self, scratch: &mut [keraspredict_engine::tensor::Line]) {
        let ins: Vec<View> = self.ins.iter().map(Tensor::view).collect();
        let mut outs: Vec<_> = self.outs.iter_mut().map(Tensor::view_mut).collect();
        let done = self.kernel.run(&ins, &mut outs, scratch, None, Par::Serial);
        done.expect("a result");
    }

    fn measure(mut self, c: &mut Criterion<Flops>, group: &str, name: &str, work: Throughput) {
        let mut group = c.benchmark_group(group);
        group.throughput(work);
        let mut scratch = buffer(self.kernel.scratch());
        group.bench_function(name, |b| b.iter(|| self.run(&mut scratch)));
        group.finish();
    }
}

fn products(c: &mut Criterion<Flops>) {
    let op = || Op::MatMul {
        ta: false,
        tb: false,
        epilogue: None,
    };
    for (m, k, n) in [
        (256, 20, 128),
        (256, 128, 128),
        (1, 1280, 1000),
        (1024, 256, 1024),
        (3136, 64, 256),
        (196, 1024, 256),
    ] {
        let flops = Throughput::Elements((2 * m * k * n) as u64);
        Bench::new(op(), &[&[m, k], &[k, n]], &[1], &[&[m, n]]).measure(
            c,
            "dense",
            &format!("{m}x{k}x{n}"),
            flops,
        );
    }
    let (heads, tokens, size) = (8, 128, 32);
    let flops = Throughput::Elements((4 * heads * tokens * tokens * size) as u64);
    let shape: &[usize] = &[1, tokens, heads, size];
    let op = Op::Attention(AttentionAttrs {
        scores: None,
        swapped: [true; 4],
    });
    Bench::new(op, &[shape; 3], &[], &[shape]).measure(
        c,
        "attention",
        "128 tokens, 8 heads of 32",
        flops,
    );
}

fn attrs(size: [usize; 2], stride: usize, groups: usize) -> ConvAttrs {
    ConvAttrs {
        strides: vec![stride; 2],
        padding: size.map(|s| ((s - 1) / 2, s / 2)).to_vec(),
        dilation: vec![1; 2],
        groups,
    }
}

fn convolutions(c: &mut Criterion<Flops>) {
    for (side, cin, cout, window, stride) in [
        (224, 3, 64, 7, 2),
        (56, 64, 64, 3, 1),
        (28, 128, 128, 3, 1),
        (14, 256, 256, 3, 1),
        (7, 512, 512, 3, 1),
        (128, 16, 16, 3, 1),
        (26, 1, 32, 3, 1),
        (13, 32, 64, 3, 1),
        (56, 64, 256, 1, 1),
        (28, 256, 128, 3, 2),
    ] {
        let out = side / stride;
        let flops = 2 * out * out * window * window * cin * cout;
        Bench::new(
            Op::Conv(attrs([window; 2], stride, 1), None),
            &[&[1, side, side, cin], &[window, window, cin, cout]],
            &[1],
            &[&[1, out, out, cout]],
        )
        .measure(
            c,
            "convolution",
            &format!("{side}x{side}x{cin} to {cout}, window {window}, stride {stride}"),
            Throughput::Elements(flops as u64),
        );
    }
    for (side, channels, window, stride) in [(112, 32, 3, 1), (56, 144, 3, 2), (14, 672, 5, 1)] {
        let out = side / stride;
        let flops = 2 * out * out * window * window * channels;
        Bench::new(
            Op::DepthwiseConv(attrs([window; 2], stride, 1), None),
            &[&[1, side, side, channels], &[window, window, channels, 1]],
            &[1],
            &[&[1, out, out, channels]],
        )
        .measure(
            c,
            "depthwise",
            &format!("{side}x{side}x{channels}, window {window}, stride {stride}"),
            Throughput::Elements(flops as u64),
        );
    }
}

fn recurrent(c: &mut Criterion<Flops>) {
    for (name, cell, gates, states) in [
        ("LSTM", RnnCell::Lstm, 4, 2),
        ("GRU", RnnCell::Gru { reset_after: true }, 3, 1),
    ] {
        let (batch, time, units) = (32, 100, 128);
        let recurrent_bias = gates == 3;
        let op = Op::Rnn(RnnAttrs {
            cell,
            activation: RnnActivation::Tanh,
            recurrent_activation: RnnActivation::Sigmoid,
            reverse: false,
            sequences: true,
            zero_masked: false,
            masked: false,
            recurrent_bias,
        });
        let width = gates * units;
        let (x, kernel, bias, state) = (
            [batch, time, width],
            [units, width],
            [width],
            [batch, units],
        );
        let mut ins: Vec<&[usize]> = vec![&x, &kernel];
        if recurrent_bias {
            ins.push(&bias);
        }
        ins.extend(vec![&state[..]; states]);
        let sequences = [batch, time, units];
        let mut outs: Vec<&[usize]> = vec![&sequences];
        outs.extend(vec![&state[..]; states]);
        let flops = Throughput::Elements((2 * batch * time * units * width) as u64);
        Bench::new(op, &ins, &[1], &outs).measure(c, "recurrent", name, flops);
    }
}

/// What is bound by memory or by functions: elements a second.
fn elements(c: &mut Criterion<Flops>) {
    let shape: &[usize] = &[256, 1024];
    let work = || Throughput::Bytes(4 * 256 * 1024);
    for (name, op) in [
        ("relu", Op::Unary(Unary::Relu)),
        ("exp", Op::Unary(Unary::Exp)),
        ("tanh", Op::Unary(Unary::Tanh)),
        ("sigmoid", Op::Unary(Unary::Sigmoid)),
        ("erf", Op::Unary(Unary::Erf)),
        ("gelu", Op::Unary(Unary::Gelu)),
        ("softmax", Op::Softmax { log: false }),
    ] {
        Bench::new(op, &[shape], &[], &[shape]).measure(c, "elements", name, work());
    }
    let norm = Op::LayerNorm {
        epsilon: F(1e-3),
        center: true,
        gamma: true,
        beta: true,
    };
    Bench::new(norm, &[shape, &[1024], &[1024]], &[1, 2], &[shape]).measure(
        c,
        "elements",
        "layer norm",
        work(),
    );
    let pool = Op::Pool(PoolAttrs {
        kind: PoolKind::Max,
        size: vec![2; 2],
        strides: vec![2; 2],
        padding: vec![(0, 0); 2],
    });
    Bench::new(pool, &[&[1, 64, 64, 64]], &[], &[&[1, 32, 32, 64]]).measure(
        c,
        "elements",
        "max pooling",
        work(),
    );
}

fn config() -> Criterion<Flops> {
    Criterion::default()
        .without_plots()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1))
        .sample_size(20)
        .with_measurement(Flops(WallTime))
}

criterion_group!(name = benches; config = config(); targets = products, convolutions, recurrent, elements);
criterion_main!(benches);
