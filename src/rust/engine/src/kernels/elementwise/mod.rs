//! One evaluator for everything elementwise: single primitives and fused chains.
//!
//! A program runs block by block over registers of its steps' compute classes:
//! `f32` (for float16 and bfloat16 too, rounded after each step, as TensorFlow
//! computes op by op), `f64`, `i64` (every integer, wrapped after each step) and
//! `u8` (bool). Operands that already lie in memory as a register would are read
//! in place; others are loaded, repeated or converted block by block.

mod access;
mod functions;
mod program;
mod register;
mod strings;
#[cfg(test)]
mod tests;

use super::{Kernel, Par, Request, Shared};
use crate::error::{Error, Result};
use crate::graph::{Op, Program, Step};
use crate::tensor::{DType, Fact, Line, View, ViewMut};

use access::{with_scratch, Access, Source};
use strings::Strings;

pub use functions::unary_f32;
pub use program::Compiled;
pub(super) use register::{load, native, store, Class, BLOCK};

/// Elements one task computes, and from how many on there are tasks.
pub(super) const TASK: usize = 32 * 1024;
pub(super) const PARALLEL: usize = 2 * TASK;

/// A program over numbers, with how its inputs follow the output.
struct Map {
    code: Compiled,
    access: Vec<Access>,
    in_place: Vec<usize>,
}
impl Kernel for Map {
    fn in_place(&self) -> &[usize] {
        &self.in_place
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let n = outs[0].numel();
        let out = Shared(outs[0].bytes().as_mut_ptr());
        let task = |range: std::ops::Range<usize>| {
            with_scratch(|scratch| {
                scratch.sources.clear();
                let sources = ins.iter().zip(&self.access).enumerate();
                scratch
                    .sources
                    .extend(sources.map(|(i, (v, access))| Source {
                        base: match aliased {
                            Some(a) if a == i => out.get(),
                            _ => v.bytes().as_ptr(),
                        },
                        access: access.clone(),
                    }));
                // SAFETY: views and output have the shapes the kernel was prepared
                // for; ranges of tasks don't overlap.
                unsafe { self.code.range(scratch, out.get(), aliased, range) }
            })
        };
        if par == Par::Crew && n >= PARALLEL {
            par.each(n.div_ceil(TASK), |i| task(i * TASK..n.min((i + 1) * TASK)));
        } else {
            task(0..n);
        }
        Ok(())
    }
}

/// The kernel of a program; `path` names the layer in errors.
fn compile(program: &Program, ins: &[&Fact], out: &Fact, path: &str) -> Result<Box<dyn Kernel>> {
    let dtypes: Vec<DType> = ins.iter().map(|f| f.dtype).collect();
    if dtypes.contains(&DType::Str) || program.dtypes.contains(&DType::Str) {
        return Ok(Box::new(Strings::new(program, path)));
    }
    let code = Compiled::new(program, &dtypes)?;
    let same = |f: &Fact| f.numel() == out.numel() && f.dtype.size() == out.dtype.size();
    Ok(Box::new(Map {
        code,
        access: ins
            .iter()
            .map(|f| Access::new(&f.shape, &out.shape))
            .collect(),
        in_place: (0..ins.len()).filter(|&i| same(ins[i])).collect(),
    }))
}

/// The kernel of `Unary`, `Binary`, `Select`, `Cast` or `Map`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let step = match *req.op {
        Op::Unary(op) => Step::Unary(op, 0),
        Op::Binary(op) => Step::Binary(op, 0, 1),
        Op::Select => Step::Select(0, 1, 2),
        Op::Cast(to) => Step::Cast(to, 0),
        Op::Map(ref program) => return compile(program, &req.facts(), &req.outs[0], req.path),
        _ => return Err(Error::internal("not an elementwise primitive")),
    };
    let program = Program {
        inputs: req.ins.len(),
        steps: vec![step],
        dtypes: vec![req.outs[0].dtype],
    };
    compile(&program, &req.facts(), &req.outs[0], req.path)
}
