//! The loop primitive: a plan of the body, run once a step.

use std::sync::Mutex;

use super::State;
use crate::error::Result;
use crate::graph::ScanAttrs;
use crate::kernels::{Kernel, PackCache, Par};
use crate::plan::{plan, Banding, Plan};
use crate::tensor::{Line, View, ViewMut};

/// See [`ScanAttrs`].
pub struct ScanKernel {
    body: Plan,
    sequences: usize,
    carries: usize,
    length: usize,
    reverse: bool,
    /// States of the body that are not in use.
    states: Mutex<Vec<State>>,
}

impl ScanKernel {
    pub fn new(attrs: &ScanAttrs, packs: &PackCache) -> Result<ScanKernel> {
        Ok(ScanKernel {
            body: plan(&attrs.body, packs, Banding::default())?,
            sequences: attrs.sequences,
            carries: attrs.carries,
            length: attrs.length,
            reverse: attrs.reverse,
            states: Mutex::default(),
        })
    }
}

impl Kernel for ScanKernel {
    fn on_caller(&self) -> bool {
        self.body.on_caller
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let lock = || self.states.lock().unwrap_or_else(|e| e.into_inner());
        let mut state = lock().pop().unwrap_or_default();
        state.fit(&self.body)?;
        for (out, init) in outs
            .iter_mut()
            .zip(&ins[self.sequences..])
            .take(self.carries)
        {
            out.bytes().copy_from_slice(init.bytes());
        }
        for step in 0..self.length {
            let t = if self.reverse {
                self.length - 1 - step
            } else {
                step
            };
            for (i, x) in ins.iter().enumerate() {
                let mut input = state.input(&self.body, i);
                let bytes = input.bytes();
                if i < self.sequences {
                    let size = bytes.len();
                    bytes.copy_from_slice(&x.bytes()[t * size..(t + 1) * size]);
                } else if i < self.sequences + self.carries {
                    bytes.copy_from_slice(outs[i - self.sequences].view().bytes());
                } else {
                    bytes.copy_from_slice(x.bytes());
                }
            }
            self.body.run(&mut state, par)?;
            for (k, out) in outs.iter_mut().enumerate() {
                let value = state.output(&self.body, k);
                let size = value.bytes().len();
                // Stacks are in order of the steps, as they are run.
                let at = if k < self.carries { 0 } else { step * size };
                out.bytes()[at..at + size].copy_from_slice(value.bytes());
            }
        }
        lock().push(state);
        Ok(())
    }
}
