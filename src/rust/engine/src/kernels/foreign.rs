//! Calls of the caller's functions.

use std::sync::Arc;

use super::{Plain, Request};
use crate::error::{Error, Result};
use crate::host::Foreign;
use crate::tensor::{DType, Fact, Tensor, View, ViewMut};

/// The kernel of `Foreign`.
pub struct ForeignKernel {
    what: Arc<Foreign>,
    outs: Vec<Fact>,
}

impl ForeignKernel {
    pub fn new(what: &Arc<Foreign>, req: &Request) -> ForeignKernel {
        ForeignKernel {
            what: what.clone(),
            outs: req.outs.to_vec(),
        }
    }
}

impl Plain for ForeignKernel {
    fn only_on_caller(&self) -> bool {
        true
    }

    fn compute(&self, ins: &[View], outs: &mut [ViewMut]) -> Result<()> {
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
