//! Tests of single functions, casts and programs.

use std::sync::Arc;

use half::{bf16, f16};

use super::program::operands;
use super::strings::positions;
use super::*;
use crate::graph::{Binary, Unary};
use crate::kernels::testing::{noise, run, same_bits};
use crate::tensor::DType::*;
use crate::tensor::{numel, Tensor};

const NUMBERS: [DType; 12] = [U8, U16, U32, U64, I8, I16, I32, I64, F16, BF16, F32, F64];

fn program(inputs: usize, steps: Vec<(Step, DType)>) -> Program {
    let (steps, dtypes) = steps.into_iter().unzip();
    Program {
        inputs,
        steps,
        dtypes,
    }
}

/// What the tensor would hold if its elements were these numbers.
fn rounded(dtype: DType, shape: &[usize], values: &[f64]) -> Tensor {
    let mut out = Tensor::zeros(Fact::new(dtype, shape));
    let size = dtype.size();
    for (i, &v) in values.iter().enumerate() {
        let one = match dtype {
            I8 => Tensor::scalar(I8, v as i64 as i8 as f64),
            I16 => Tensor::scalar(I16, v as i64 as i16 as f64),
            I32 => Tensor::scalar(I32, v as i64 as i32 as f64),
            U8 => Tensor::scalar(U8, v as i64 as u8 as f64),
            U16 => Tensor::scalar(U16, v as i64 as u16 as f64),
            U32 => Tensor::scalar(U32, v as i64 as u32 as f64),
            U64 => Tensor::from_slice([], &[v as i64 as u64]),
            F16 => Tensor::from_slice([], &[f16::from_f32(v as f32)]),
            BF16 => Tensor::from_slice([], &[bf16::from_f32(v as f32)]),
            d => Tensor::scalar(d, v),
        };
        out.bytes_mut()[i * size..][..size].copy_from_slice(one.bytes());
    }
    out
}

const SHAPES: &[(&[usize], &[usize])] = &[
    (&[], &[]),
    (&[0, 3], &[1, 3]),
    (&[1], &[1]),
    (&[5], &[]),
    (&[3, 7], &[3, 7]),
    (&[3, 7], &[1, 7]),
    (&[700, 3], &[1, 3]),
    (&[300, 5], &[300, 1]),
    (&[9, 200], &[1, 200]),
    (&[9, 200], &[9, 1]),
    (&[2, 2100], &[1, 2100]),
    (&[1, 7, 5], &[4, 1, 5]),
    (&[3, 1, 4, 1], &[1, 5, 1, 6]),
    (&[2, 150, 1, 3], &[2, 150, 4, 1]),
    (&[1, 600], &[3, 1]),
    (&[7, 90, 40, 3], &[1, 1, 40, 1]),
    (&[3, 300, 8, 4], &[3, 1, 8, 1]),
    (&[5, 200, 3, 4], &[5, 1, 3, 1]),
];

fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let (a, b) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let size = |i: usize| match b.get(i) {
        Some(&n) if n != 1 => n,
        _ => a[i],
    };
    (0..a.len()).map(size).collect()
}

#[test]
fn binary_agrees_with_plain_arithmetic() {
    type Case = (Binary, fn(f64, f64) -> f64);
    let cases: &[Case] = &[
        (Binary::Add, |a, b| a + b),
        (Binary::Sub, |a, b| a - b),
        (Binary::Mul, |a, b| a * b),
        (Binary::FloorDiv, |a, b| (a / b).floor()),
        (Binary::Max, f64::max),
        (Binary::Min, f64::min),
        (Binary::Lt, |a, b| (a < b) as u8 as f64),
        (Binary::Ge, |a, b| (a >= b) as u8 as f64),
        (Binary::Eq, |a, b| (a == b) as u8 as f64),
    ];
    for &(a, b) in SHAPES {
        let shape = broadcast(a, b);
        for dtype in NUMBERS {
            let (x, y) = (noise(dtype, a, 1), noise(dtype, b, 2));
            let (ax, by) = (positions(a, &shape), positions(b, &shape));
            for &(op, oracle) in cases {
                let (v, w) = (x.to_f64(), y.to_f64());
                let want = (0..numel(&shape)).map(|i| {
                    let r = oracle(v[ax[i]], w[by[i]]);
                    if dtype.is_int() && w[by[i]] == 0.0 && op == Binary::FloorDiv {
                        0.0
                    } else {
                        r
                    }
                });
                let out = if op.is_comparison() { Bool } else { dtype };
                let want: Vec<f64> = want.collect();
                // f64 has fewer digits than 64-bit sums would need, but noise is small.
                let want = rounded(out, &shape, &want);
                let fact = want.fact().clone();
                let got = run(&Op::Binary(op), &[&x, &y], std::slice::from_ref(&fact)).unwrap();
                same_bits(&got[0], &want, &format!("{op:?} {dtype} {a:?} {b:?}"));
                let swapped = run(&Op::Binary(op), &[&y, &x], &[fact]);
                assert!(swapped.is_ok());
            }
        }
    }
}

#[test]
fn integers_follow_python() {
    let case = |op, a: i32, b: i32, want: i32| {
        let t = |v| Tensor::from_slice([1], &[v]);
        let got = run(&Op::Binary(op), &[&t(a), &t(b)], &[Fact::new(I32, [1])]).unwrap();
        assert_eq!(got[0].as_slice::<i32>(), &[want], "{op:?} {a} {b}");
    };
    for (a, b, div, floor, rem) in [
        (7, 2, 3, 3, 1),
        (-7, 2, -3, -4, 1),
        (7, -2, -3, -4, -1),
        (-7, -2, 3, 3, -1),
        (5, 0, 0, 0, 0),
        (i32::MIN, -1, i32::MIN, i32::MIN, 0),
    ] {
        case(Binary::Div, a, b, div);
        case(Binary::FloorDiv, a, b, floor);
        case(Binary::Mod, a, b, rem);
    }
    for (a, b, want) in [
        (2, 10, 1024),
        (-2, 3, -8),
        (0, 0, 1),
        (2, 40, 0),
        (2, -1, 0),
        (-1, -3, -1),
    ] {
        case(Binary::Pow, a, b, want);
    }
    for (a, b, want) in [
        (1, 31, i32::MIN),
        (1, 33, i32::MIN),
        (1, -1, 1),
        (-1, 40, i32::MIN),
    ] {
        case(Binary::Shl, a, b, want);
    }
    for (a, b, want) in [(-8, 1, -4), (-8, 40, -1), (8, 40, 0), (8, -1, 8)] {
        case(Binary::Shr, a, b, want);
    }
    case(Binary::Add, i32::MAX, 1, i32::MIN);
    let big = Tensor::from_slice([2], &[u64::MAX, 3]);
    let two = Tensor::from_slice([2], &[2u64, 4]);
    let of = |op, out| {
        run(&Op::Binary(op), &[&big, &two], &[Fact::new(out, [2])])
            .unwrap()
            .remove(0)
    };
    assert_eq!(of(Binary::Div, U64).as_slice::<u64>(), &[u64::MAX / 2, 0]);
    assert_eq!(of(Binary::Mod, U64).as_slice::<u64>(), &[1, 3]);
    assert_eq!(of(Binary::Max, U64).as_slice::<u64>(), &[u64::MAX, 4]);
    assert_eq!(of(Binary::Shr, U64).as_slice::<u64>(), &[u64::MAX / 4, 0]);
    assert_eq!(of(Binary::Gt, Bool).bytes(), &[1, 0]);
    let float = run(&Op::Cast(F32), &[&big], &[Fact::f32([2])]).unwrap();
    assert_eq!(float[0].as_slice::<f32>(), &[1.844_674_4e19, 3.0]);
}

#[test]
fn floats_follow_tensorflow() {
    let x = [
        7.5,
        -7.5,
        7.5,
        -7.5,
        1.,
        0.,
        f32::INFINITY,
        1.,
        -1.,
        5.,
        -5.,
        f32::NAN,
    ];
    let y = [
        2.,
        2.,
        -2.,
        -2.,
        0.,
        0.,
        2.,
        f32::INFINITY,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::INFINITY,
        1.,
    ];
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let t = |v: &[f32]| Tensor::from_slice([v.len()], v);
    let of = |op| {
        run(&Op::Binary(op), &[&t(&x), &t(&y)], &[Fact::f32([12])])
            .unwrap()
            .remove(0)
    };
    let floor = [3., -4., -4., 3., inf, nan, inf, 0., -0., -0., -0., nan];
    let rem = [1.5, 0.5, -0.5, -1.5, nan, nan, nan, 1., inf, -inf, inf, nan];
    // -1 / inf is -0, whose floor is -0.
    same_bits(&of(Binary::FloorDiv), &t(&floor), "floor");
    same_bits(&of(Binary::Mod), &t(&rem), "mod");
    let max = |a: f32, b: f32| {
        run(
            &Op::Binary(Binary::Max),
            &[&t(&[a]), &t(&[b])],
            &[Fact::f32([1])],
        )
        .unwrap()
        .remove(0)
        .to_f64()[0]
    };
    assert!(max(nan, 1.0).is_nan() && max(1.0, nan).is_nan());
    assert_eq!(max(2.0, 1.0), 2.0);
    for op in [
        Unary::Relu,
        Unary::Sign,
        Unary::LeakyRelu(crate::graph::F(0.1)),
        Unary::Elu(crate::graph::F(1.0)),
    ] {
        let got = run(&Op::Unary(op), &[&t(&[nan, 2.0])], &[Fact::f32([2])]).unwrap();
        assert!(
            got[0].to_f64()[0].is_nan() && got[0].to_f64()[1] > 0.0,
            "{op:?}"
        );
    }
    let got = run(
        &Op::Unary(Unary::Round),
        &[&t(&[0.5, 1.5, 2.5, -0.5])],
        &[Fact::f32([4])],
    );
    same_bits(&got.unwrap()[0], &t(&[0., 2., 2., -0.]), "round");
}

#[test]
fn every_cast() {
    let all = [
        Bool, U8, U16, U32, U64, I8, I16, I32, I64, F16, BF16, F32, F64,
    ];
    for from in all {
        let x = noise(from, &[3, 400], 5);
        for to in all {
            let got = run(&Op::Cast(to), &[&x], &[Fact::new(to, [3, 400])]).unwrap();
            let want: Vec<f64> = x.to_f64();
            let want = match to {
                Bool => Tensor::bools(
                    [3, 400],
                    &want.iter().map(|&v| v != 0.0).collect::<Vec<_>>(),
                ),
                d => rounded(d, &[3, 400], &want),
            };
            same_bits(&got[0], &want, &format!("{from} to {to}"));
        }
    }
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e9, -1.5];
    let cast = |to| {
        run(
            &Op::Cast(to),
            &[&Tensor::from_slice([5], &odd)],
            &[Fact::new(to, [5])],
        )
        .unwrap()
        .remove(0)
    };
    assert_eq!(
        cast(I32).as_slice::<i32>(),
        &[i32::MIN, i32::MIN, i32::MIN, i32::MIN, -1]
    );
    assert_eq!(
        cast(I64).as_slice::<i64>(),
        &[i64::MIN, i64::MIN, i64::MIN, 3_000_000_000, -1]
    );
    assert_eq!(
        cast(U32).as_slice::<u32>(),
        &[1 << 31, 1 << 31, 1 << 31, 3_000_000_000, u32::MAX]
    );
    assert_eq!(
        cast(U64).as_slice::<u64>(),
        &[1 << 63, 1 << 63, 1 << 63, 3_000_000_000, u64::MAX]
    );
    assert_eq!(cast(U8).bytes(), &[0, 0, 0, 0, 255]);
    assert_eq!(cast(Bool).bytes(), &[1; 5]);
}

/// A chain with casts, a choice, broadcasting and many registers.
fn chain() -> Program {
    use Step::*;
    program(
        4,
        vec![
            (Binary(crate::graph::Binary::Mul, 0, 1), F32),
            (Binary(crate::graph::Binary::Add, 4, 2), F32),
            (Unary(crate::graph::Unary::Tanh, 5), F32),
            (Cast(F32, 3), F32),
            (Binary(crate::graph::Binary::Lt, 6, 7), Bool),
            (Unary(crate::graph::Unary::Gelu, 4), F32),
            (Select(8, 5, 9), F32),
            (Binary(crate::graph::Binary::Sub, 10, 0), F32),
        ],
    )
}

#[test]
fn programs_equal_their_steps() {
    for rows in [1, 7, 900] {
        let shape = [rows, 130];
        let ins = [
            noise(F32, &shape, 1),
            noise(F32, &[1, 130], 2),
            noise(F32, &[], 3),
            noise(I32, &[rows, 1], 4),
        ];
        let ins: Vec<&Tensor> = ins.iter().collect();
        let program = chain();
        let got = run(
            &Op::Map(Arc::new(program.clone())),
            &ins,
            &[Fact::f32(shape)],
        )
        .unwrap();
        let mut values: Vec<Tensor> = ins.iter().map(|t| (*t).clone()).collect();
        for (step, &dtype) in program.steps.iter().zip(&program.dtypes) {
            let args: Vec<&Tensor> = operands(step)
                .into_iter()
                .flatten()
                .map(|a| &values[a])
                .collect();
            let op = match *step {
                Step::Unary(op, _) => Op::Unary(op),
                Step::Binary(op, ..) => Op::Binary(op),
                Step::Select(..) => Op::Select,
                Step::Cast(to, _) => Op::Cast(to),
            };
            let shape = args
                .iter()
                .fold(vec![1, 1], |s, t| broadcast(&s, t.shape()));
            let out = run(&op, &args, &[Fact::new(dtype, shape)])
                .unwrap()
                .remove(0);
            values.push(out);
        }
        same_bits(&got[0], values.last().unwrap(), "chain");
    }
}

#[test]
fn epilogues_run_on_any_range() {
    let program = program(
        4,
        vec![
            (Step::Binary(Binary::Add, 0, 1), F32),
            (Step::Unary(Unary::Relu, 4), F32),
            (Step::Binary(Binary::Mul, 5, 2), F32),
            (Step::Binary(Binary::Add, 6, 3), F32),
        ],
    );
    for last in [3, 64, 200, 3000] {
        let shape = [6, last];
        let ins = [
            noise(F32, &shape, 1),
            noise(F32, &[1, last], 2),
            noise(F32, &[], 3),
            noise(F32, &shape, 4),
        ];
        let refs: Vec<&Tensor> = ins.iter().collect();
        let want = run(
            &Op::Map(Arc::new(program.clone())),
            &refs,
            &[Fact::f32(shape)],
        )
        .unwrap();
        let code = Compiled::new(&program, &[F32; 4]).unwrap();
        let extras: Vec<View> = ins[1..].iter().map(Tensor::view).collect();
        let n = 6 * last;
        for (from, to) in [
            (0, n),
            (1, n),
            (last, 2 * last),
            (last + 1, last + 2),
            (5, n - 3),
        ] {
            let mut block = ins[0].as_slice::<f32>()[from..to].to_vec();
            code.apply_f32(&mut block, from, last, &extras);
            assert_eq!(
                block,
                want[0].as_slice::<f32>()[from..to],
                "{last} {from} {to}"
            );
        }
    }
}

#[test]
fn strings() {
    let s = |v: &[&str]| Tensor::from_strings([v.len()], v.iter().map(|&s| s.into()).collect());
    let (x, y) = (s(&["a", "", "ü", "12"]), s(&["a", "b", "u", "2"]));
    let bools = |op| {
        run(&Op::Binary(op), &[&x, &y], &[Fact::new(Bool, [4])])
            .unwrap()
            .remove(0)
    };
    assert_eq!(bools(Binary::Eq).bytes(), &[1, 0, 0, 0]);
    assert_eq!(bools(Binary::Ne).bytes(), &[0, 1, 1, 1]);
    let c = bools(Binary::Eq);
    let empty = Tensor::from_strings([], vec!["-".into()]);
    let picked = run(&Op::Select, &[&c, &x, &empty], &[Fact::new(Str, [4])]).unwrap();
    assert_eq!(picked[0].strings(), s(&["a", "-", "-", "-"]).strings());
    let n = s(&["1", " 2.75", "-3"]);
    let ints = run(&Op::Cast(I32), &[&n], &[Fact::new(I32, [3])]).unwrap();
    assert_eq!(ints[0].as_slice::<i32>(), &[1, 2, -3]);
    let floats = run(&Op::Cast(F32), &[&n], &[Fact::f32([3])]).unwrap();
    assert_eq!(floats[0].as_slice::<f32>(), &[1.0, 2.75, -3.0]);
    assert!(run(&Op::Cast(F32), &[&x], &[Fact::f32([4])]).is_err());
    let back = run(&Op::Cast(Str), &[&ints[0]], &[Fact::new(Str, [3])]).unwrap();
    assert_eq!(back[0].strings(), s(&["1", "2", "-3"]).strings());
}

#[test]
fn misfits_are_errors() {
    let one = |step, dtype, ins: &[DType]| {
        Compiled::new(&program(ins.len(), vec![(step, dtype)]), ins).is_err()
    };
    assert!(one(Step::Binary(Binary::Add, 0, 1), F32, &[F32, F64]));
    assert!(one(Step::Binary(Binary::Shl, 0, 0), F32, &[F32]));
    assert!(one(Step::Unary(Unary::Not, 0), F32, &[F32]));
    assert!(one(Step::Unary(Unary::Neg, 1), F32, &[F32]));
    assert!(one(Step::Select(0, 0, 0), F32, &[F32]));
    assert!(one(Step::Unary(Unary::Neg, 0), I32, &[F32]));
    assert!(Compiled::new(&program(1, vec![]), &[F32]).is_err());
}
