//! Calls of the caller's functions.

use std::sync::Arc;

use super::{Kernel, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::host::Foreign;
use crate::tensor::{DType, Fact, Line, Tensor, View, ViewMut};

struct ForeignKernel {
    what: Arc<Foreign>,
    outs: Vec<Fact>,
}

/// The kernel of `Foreign`.
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    let Op::Foreign(what) = req.op else {
        return Err(Error::internal("no function"));
    };
    Ok(Box::new(ForeignKernel {
        what: what.clone(),
        outs: req.outs.to_vec(),
    }))
}

impl Kernel for ForeignKernel {
    fn on_caller(&self) -> bool {
        true
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        _: Par,
    ) -> Result<()> {
        let made = self.what.call(ins, false)?;
        let made = made.flatten();
        let masks = made.iter().filter_map(|m| m.1.as_ref());
        let made: Vec<&Tensor> = made.iter().map(|m| &m.0).chain(masks).collect();
        let facts = || made.iter().map(|t| t.fact());
        if !facts().eq(&self.outs) {
            let show = |facts: &mut dyn Iterator<Item = &Fact>| {
                let all: Vec<String> = facts.map(Fact::to_string).collect();
                all.join(", ")
            };
            return Err(Error::CustomOutput {
                layer: self.what.layer.clone(),
                class: self.what.class.clone(),
                expected: show(&mut self.outs.iter()),
                given: show(&mut facts()),
            });
        }
        for (out, tensor) in outs.iter_mut().zip(&made) {
            match tensor.dtype() {
                DType::Str => out.strings().clone_from_slice(tensor.strings()),
                _ => out.bytes().copy_from_slice(tensor.bytes()),
            }
        }
        Ok(())
    }
}
