//! Runs plans.

pub mod pool;
pub mod scan;

use smallvec::SmallVec;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kernels::{with_crew, Par};
use crate::memory;
use crate::plan::{Place, Plan, Region, Slot, Step};
use crate::tensor::{Line, View, ViewMut};
use bytemuck::Zeroable;

/// All that changes while a plan runs.
#[derive(Default)]
pub struct State {
    arena: Vec<Line>,
    strings: Vec<Vec<Arc<str>>>,
}

impl State {
    /// A state for a plan; it may be used for other plans later.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn fit(&mut self, plan: &Plan) -> Result<()> {
        if self.arena.len() < plan.arena {
            self.arena = vec![];
            plan.ask_for_memory()?;
            self.arena = memory::filled(Line::zeroed(), plan.arena);
        }
        let empty: Arc<str> = Arc::from("");
        self.strings
            .resize_with(plan.strings.len().max(self.strings.len()), Vec::new);
        for (have, &want) in self.strings.iter_mut().zip(&plan.strings) {
            have.resize(want, empty.clone());
        }
        Ok(())
    }

    /// An input, to be written before the run.
    pub fn input<'a>(&'a mut self, plan: &'a Plan, i: usize) -> ViewMut<'a> {
        let slot = &plan.inputs[i];
        match slot.place {
            Place::Arena(r) => write_view(slot, &mut self.arena[r.start..r.start + r.len]),
            Place::Strings(s) => ViewMut::of_strings(&slot.fact.shape, &mut self.strings[s]),
            Place::Const(_) => ViewMut::new(slot.fact.dtype, &[0], &mut []),
        }
    }

    /// An output, after the run.
    pub fn output<'a>(&'a self, plan: &'a Plan, i: usize) -> View<'a> {
        let slot = &plan.outputs[i];
        match slot.place {
            Place::Arena(r) => read_view(slot, &self.arena[r.start..r.start + r.len]),
            Place::Strings(s) => View::of_strings(&slot.fact.shape, &self.strings[s]),
            Place::Const(c) => const_view(plan, slot, c),
        }
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.arena.len() * crate::tensor::LINE
    }
}

fn read_view<'a>(slot: &'a Slot, lines: &'a [Line]) -> View<'a> {
    let bytes: &[u8] = bytemuck::cast_slice(lines);
    View::new(
        slot.fact.dtype,
        &slot.fact.shape,
        &bytes[..slot.fact.bytes()],
    )
}

fn write_view<'a>(slot: &'a Slot, lines: &'a mut [Line]) -> ViewMut<'a> {
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(lines);
    ViewMut::new(
        slot.fact.dtype,
        &slot.fact.shape,
        &mut bytes[..slot.fact.bytes()],
    )
}

/// A constant under the slot's shape, which a reshape may have changed.
fn const_view<'a>(plan: &'a Plan, slot: &'a Slot, c: usize) -> View<'a> {
    let tensor = &plan.consts[c].tensor;
    match slot.fact.dtype {
        crate::tensor::DType::Str => View::of_strings(&slot.fact.shape, tensor.strings()),
        dtype => View::new(dtype, &slot.fact.shape, tensor.bytes()),
    }
}

impl Plan {
    /// Runs every step. Inputs must have been written to the state.
    pub fn run(&self, state: &mut State, par: Par) -> Result<()> {
        if self.on_caller && par == Par::Crew {
            return self.run_here(state);
        }
        for step in &self.steps {
            self.step(step, state, par)?;
        }
        Ok(())
    }

    /// Runs the steps that must on this thread alone, and shares the others.
    fn run_here(&self, state: &mut State) -> Result<()> {
        let here = |s: &Step| s.kernel.on_caller();
        for steps in self.steps.chunk_by(|a, b| here(a) == here(b)) {
            match pool::pool().filter(|_| !here(&steps[0])) {
                Some(pool) => with_crew(pool, || {
                    let mut steps = steps.iter();
                    steps.try_for_each(|s| self.step(s, state, Par::Crew))
                })?,
                None => steps
                    .iter()
                    .try_for_each(|s| self.step(s, state, Par::Serial))?,
            }
        }
        Ok(())
    }

    /// Runs every step and gives the nanoseconds each took.
    pub fn profile(&self, state: &mut State, par: Par) -> Result<Vec<u64>> {
        let mut times = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let start = std::time::Instant::now();
            self.step(step, state, par)?;
            times.push(start.elapsed().as_nanos() as u64);
        }
        Ok(times)
    }

    fn step(&self, step: &Step, state: &mut State, par: Par) -> Result<()> {
        // The arena's parts that this step touches, in order of address.
        let mut regions: SmallVec<[Region; 12]> = SmallVec::new();
        let all = step
            .ins
            .iter()
            .chain(&step.outs)
            .filter_map(arena_region)
            .chain(step.scratch);
        for r in all {
            if r.len > 0 && !regions.iter().any(|x| x.start == r.start) {
                regions.push(r);
            }
        }
        regions.sort_unstable();
        let mut parts: SmallVec<[Part; 12]> = SmallVec::new();
        let State { arena, strings } = state;
        let mut rest: &mut [Line] = arena;
        let mut at = 0;
        for r in &regions {
            if r.start < at {
                return Err(Error::internal("buffers of a step overlap"));
            }
            let (_, tail) = rest.split_at_mut(r.start - at);
            let (part, tail) = tail.split_at_mut(r.len);
            parts.push(Part::Free(part));
            rest = tail;
            at = r.start + r.len;
        }
        let find = |r: Region| {
            regions
                .binary_search_by_key(&r.start, |x| x.start)
                .ok()
                .filter(|_| r.len > 0)
        };

        // Strings that are written leave the state meanwhile.
        let mut written: SmallVec<[Vec<Arc<str>>; 3]> = SmallVec::new();
        for slot in &step.outs {
            written.push(match slot.place {
                Place::Strings(s) => std::mem::take(&mut strings[s]),
                _ => vec![],
            });
        }
        let mut outs: SmallVec<[ViewMut; 3]> = SmallVec::new();
        for (slot, text) in step.outs.iter().zip(&mut written) {
            if let Place::Strings(_) = slot.place {
                outs.push(ViewMut::of_strings(&slot.fact.shape, text));
                continue;
            }
            let lines = match arena_region(slot).and_then(find) {
                Some(i) => parts[i].take(),
                None => &mut [],
            };
            outs.push(write_view(slot, lines));
        }
        let scratch = match step.scratch.and_then(find) {
            Some(i) => parts[i].take(),
            None => &mut [],
        };
        for part in &mut parts {
            part.share();
        }
        let mut ins: SmallVec<[View; 8]> = SmallVec::new();
        for (i, slot) in step.ins.iter().enumerate() {
            ins.push(match slot.place {
                Place::Const(c) => const_view(self, slot, c),
                Place::Strings(s) => View::of_strings(&slot.fact.shape, &strings[s]),
                _ if step.aliased == Some(i) => View::new(slot.fact.dtype, &[0], &[]),
                _ => match arena_region(slot).and_then(find) {
                    Some(i) => read_view(slot, parts[i].shared()),
                    None => View::new(slot.fact.dtype, &slot.fact.shape, &[]),
                },
            });
        }
        let done = step.kernel.run(&ins, &mut outs, scratch, step.aliased, par);
        drop((ins, outs));
        for (slot, text) in step.outs.iter().zip(written) {
            if let Place::Strings(s) = slot.place {
                strings[s] = text;
            }
        }
        done
    }
}

/// A part of the arena: lent to one writer, or to any number of readers.
enum Part<'a> {
    Free(&'a mut [Line]),
    Written,
    Shared(&'a [Line]),
}

impl<'a> Part<'a> {
    fn take(&mut self) -> &'a mut [Line] {
        match std::mem::replace(self, Part::Written) {
            Part::Free(lines) => lines,
            _ => &mut [],
        }
    }

    fn share(&mut self) {
        if let Part::Free(lines) = std::mem::replace(self, Part::Written) {
            *self = Part::Shared(lines);
        }
    }

    fn shared(&self) -> &'a [Line] {
        match self {
            Part::Shared(lines) => lines,
            _ => &[],
        }
    }
}

fn arena_region(slot: &Slot) -> Option<Region> {
    match slot.place {
        Place::Arena(r) => Some(r),
        _ => None,
    }
}
