//! Programs over strings.

use std::sync::Arc;

use half::{bf16, f16};

use super::compile;
use super::program::operands;
use crate::error::{Error, Result};
use crate::graph::{Binary, Program, Step};
use crate::kernels::{Kernel, Par};
use crate::tensor::{numel, DType, Fact, Line, Shape, Tensor, View, ViewMut};

/// Programs over strings: whole tensors, step by step.
pub(super) struct Strings {
    program: Program,
    path: String,
}

/// For each element of shape `to`, where it comes from in shape `from`.
pub(super) fn positions(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut at = vec![0];
    let mut stride = 1;
    for axis in (0..to.len()).rev() {
        let size = from.get(axis).copied().unwrap_or(1);
        let step = if size == 1 { 0 } else { stride };
        stride *= size;
        let inner = std::mem::take(&mut at);
        at = (0..to[axis])
            .flat_map(|i| inner.iter().map(move |p| p + i * step))
            .collect();
    }
    at
}

impl Strings {
    pub fn new(program: &Program, path: &str) -> Strings {
        Strings {
            program: program.clone(),
            path: path.into(),
        }
    }

    fn step(&self, step: &Step, dtype: DType, args: &[&Tensor]) -> Result<Tensor> {
        let rank = args.iter().map(|t| t.shape().len()).max().unwrap_or(0);
        let size = |axis: usize| {
            let sizes = args.iter().filter_map(|t| t.shape().get(axis).copied());
            sizes.fold(1, |a, b| if a == 1 { b } else { a })
        };
        let shape: Shape = (0..rank).map(size).collect();
        if dtype != DType::Str && args.iter().all(|t| t.dtype() != DType::Str) {
            let program = Program {
                inputs: args.len(),
                steps: vec![match *step {
                    Step::Unary(op, _) => Step::Unary(op, 0),
                    Step::Binary(op, ..) => Step::Binary(op, 0, 1),
                    Step::Select(..) => Step::Select(0, 1, 2),
                    Step::Cast(to, _) => Step::Cast(to, 0),
                }],
                dtypes: vec![dtype],
            };
            let mut out = Tensor::zeros(Fact::new(dtype, shape));
            let facts: Vec<&Fact> = args.iter().map(|t| t.fact()).collect();
            let views: Vec<View> = args.iter().map(|t| t.view()).collect();
            let kernel = compile(&program, &facts, out.fact(), &self.path)?;
            kernel.run(&views, &mut [out.view_mut()], &mut [], None, Par::Serial)?;
            return Ok(out);
        }
        let index: Vec<_> = args.iter().map(|t| positions(t.shape(), &shape)).collect();
        let text = |a: usize, i: usize| &args[a].strings()[index[a][i]];
        let all = 0..numel(&shape);
        match *step {
            Step::Select(..) => {
                let test = args[0].bytes();
                let pick = |i: usize| text(if test[index[0][i]] != 0 { 1 } else { 2 }, i).clone();
                Ok(Tensor::from_strings(shape, all.map(pick).collect()))
            }
            Step::Binary(op, ..) => {
                let test = |i: usize| {
                    let order = text(0, i).cmp(text(1, i));
                    match op {
                        Binary::Eq => order.is_eq(),
                        Binary::Ne => order.is_ne(),
                        Binary::Lt => order.is_lt(),
                        Binary::Le => order.is_le(),
                        Binary::Gt => order.is_gt(),
                        _ => order.is_ge(),
                    }
                };
                let bools: Vec<bool> = all.map(test).collect();
                Ok(Tensor::bools(shape, &bools))
            }
            Step::Cast(DType::Str, _) => Ok(Tensor::from_strings(shape, show(args[0]))),
            Step::Cast(to, _) => self.parse(args[0], to),
            Step::Unary(..) => Err(Error::internal("strings have no such function")),
        }
    }

    /// Strings as numbers.
    fn parse(&self, x: &Tensor, to: DType) -> Result<Tensor> {
        let bad = |s: &str| Error::Values {
            layer: self.path.clone(),
            message: format!("can't read a number ({to}) from \"{s}\""),
        };
        let float = |s: &Arc<str>| s.trim().parse::<f64>().map_err(|_| bad(s));
        // Not by way of f64, which has 53 bits.
        let int = |s: &Arc<str>| match (s.trim().parse::<i64>(), s.trim().parse::<u64>()) {
            (Ok(v), _) => Ok(v),
            (_, Ok(v)) => Ok(v as i64),
            _ => float(s).map(|v| v as i64),
        };
        let wide = if to.is_int() {
            let values: Result<Vec<i64>> = x.strings().iter().map(int).collect();
            Tensor::from_slice(x.shape(), &values?)
        } else {
            let values: Result<Vec<f64>> = x.strings().iter().map(float).collect();
            Tensor::from_slice(x.shape(), &values?)
        };
        self.step(&Step::Cast(to, 0), to, &[&wide])
    }
}

/// Elements as text: the shortest that reads back the same.
fn show(x: &Tensor) -> Vec<Arc<str>> {
    macro_rules! text {
        ($t:ty) => {
            x.as_slice::<$t>()
                .iter()
                .map(|v| Arc::from(v.to_string()))
                .collect()
        };
    }
    match x.dtype() {
        DType::Str => x.strings().to_vec(),
        DType::Bool => {
            let name = |&v: &u8| Arc::from(if v != 0 { "true" } else { "false" });
            x.bytes().iter().map(name).collect()
        }
        DType::U8 => text!(u8),
        DType::U16 => text!(u16),
        DType::U32 => text!(u32),
        DType::U64 => text!(u64),
        DType::I8 => text!(i8),
        DType::I16 => text!(i16),
        DType::I32 => text!(i32),
        DType::I64 => text!(i64),
        DType::F16 => text!(f16),
        DType::BF16 => text!(bf16),
        DType::F32 => text!(f32),
        DType::F64 => text!(f64),
        // Complex numbers are met in no elementwise operation.
        DType::C64 | DType::C128 => vec![],
    }
}

impl Kernel for Strings {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        _: Par,
    ) -> Result<()> {
        let mut values: Vec<Tensor> = ins.iter().map(View::to_tensor).collect();
        for (step, &dtype) in self.program.steps.iter().zip(&self.program.dtypes) {
            let args: Vec<&Tensor> = operands(step)
                .into_iter()
                .flatten()
                .map(|a| &values[a])
                .collect();
            values.push(self.step(step, dtype, &args)?);
        }
        let Some(last) = values.pop() else {
            return Err(Error::internal("elementwise program: no steps"));
        };
        let out = &mut outs[0];
        let index = positions(last.shape(), out.shape);
        let size = out.dtype.size();
        for (i, &p) in index.iter().enumerate() {
            match out.dtype {
                DType::Str => out.strings()[i] = last.strings()[p].clone(),
                _ => out.bytes()[i * size..][..size]
                    .copy_from_slice(&last.bytes()[p * size..][..size]),
            }
        }
        Ok(())
    }
}
