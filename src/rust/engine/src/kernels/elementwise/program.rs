//! Programs made ready to run, and the loop that runs them block by block.

use super::access::{
    fill, pattern, runs, with_scratch, Access, Feed, Scratch, Source, LONG_RUN, TILE,
};
use super::functions::{exec, Code};
use super::register::{load, native, normalise, store, Class, BLOCK};
use crate::error::{Error, Result};
use crate::graph::{Program, Step};
use crate::tensor::{lines, DType, Elem, View, LINE};

/// A step with its operands and its result in place. Operands number inputs,
/// then steps; the last step has no slot, it writes the output.
struct Instr {
    code: Code,
    args: [usize; 3],
    slot: Option<usize>,
    dtype: DType,
}

/// A program made ready to run: checked, with registers allocated.
pub struct Compiled {
    inputs: Vec<DType>,
    steps: Vec<Instr>,
    slots: usize,
    slot_bytes: usize,
    out: DType,
}

pub(super) fn operands(step: &Step) -> [Option<usize>; 3] {
    match *step {
        Step::Unary(_, a) | Step::Cast(_, a) => [Some(a), None, None],
        Step::Binary(_, a, b) => [Some(a), Some(b), None],
        Step::Select(c, a, b) => [Some(c), Some(a), Some(b)],
    }
}

impl Compiled {
    /// Compiles `program` for inputs of the given dtypes (no strings).
    ///
    /// # Errors
    /// [`Error::Internal`] when operands or dtypes don't fit together.
    pub fn new(program: &Program, inputs: &[DType]) -> Result<Compiled> {
        let bad = |what: &str| Error::internal(format!("elementwise program: {what}"));
        let k = program.inputs;
        if k != inputs.len() || program.steps.is_empty() {
            return Err(bad("wrong number of inputs or steps"));
        }
        if program.steps.len() != program.dtypes.len() {
            return Err(bad("wrong number of dtypes"));
        }
        let mut dtypes = inputs.to_vec();
        let mut last_use = vec![0; program.steps.len()];
        for (i, step) in program.steps.iter().enumerate() {
            for a in operands(step).into_iter().flatten().filter(|&a| a >= k) {
                if a >= k + i {
                    return Err(bad("operand before its step"));
                }
                last_use[a - k] = i;
            }
            let d = step
                .dtype(|a| dtypes.get(a).copied())
                .filter(|&d| d == program.dtypes[i])
                .ok_or_else(|| bad(&format!("step {i} ({step:?}) does not take its operands")))?;
            dtypes.push(d);
        }
        if dtypes.contains(&DType::Str) {
            return Err(bad("strings have no registers"));
        }
        let (mut free, mut slots, mut at) = (Vec::new(), 0, Vec::<Option<usize>>::new());
        let mut steps = Vec::new();
        for (i, step) in program.steps.iter().enumerate() {
            let d = |a: usize| dtypes[a];
            let last = i + 1 == program.steps.len();
            // The result never shares a register with an operand: operands are
            // freed afterwards.
            let slot = (!last).then(|| {
                free.pop().unwrap_or_else(|| {
                    slots += 1;
                    slots - 1
                })
            });
            let args = operands(step);
            at.push(slot);
            for s in 0..i {
                let used = args.contains(&Some(k + s));
                if used && last_use[s] == i {
                    free.extend(at[s]);
                }
            }
            if last_use[i] == 0 {
                free.extend(slot);
            }
            steps.push(Instr {
                code: match *step {
                    Step::Unary(op, a) => Code::Unary(op, d(a)),
                    Step::Binary(op, a, _) => Code::Binary(op, d(a)),
                    Step::Select(_, a, _) => Code::Select(d(a)),
                    Step::Cast(to, a) => Code::Cast(d(a), to),
                },
                args: args.map(|a| a.or(args[0]).unwrap_or(0)),
                slot,
                dtype: d(k + i),
            });
        }
        let widest = dtypes.iter().map(|&d| Class::of(d).size()).max();
        Ok(Compiled {
            inputs: inputs.to_vec(),
            out: dtypes[k + program.steps.len() - 1],
            steps,
            slots,
            slot_bytes: BLOCK * widest.unwrap_or(8),
        })
    }

    /// Runs an epilogue in place: `block` is a contiguous range of the row-major
    /// output, starting at its flat index `first_element`, and input 0 of the
    /// program. `extras` are the other inputs, in order: of one element, of
    /// `last_axis` elements (one per position along the last axis), or of the
    /// whole output's shape.
    pub fn apply_f32(
        &self,
        block: &mut [f32],
        first_element: usize,
        last_axis: usize,
        extras: &[View],
    ) {
        self.apply(block, first_element, last_axis, extras)
    }

    /// [`Compiled::apply_f32`] for any dtype; input 0 and the result are of it.
    pub fn apply<T: Elem>(
        &self,
        block: &mut [T],
        first_element: usize,
        last_axis: usize,
        extras: &[View],
    ) {
        debug_assert!(self.inputs[0] == T::DTYPE && self.out == T::DTYPE);
        debug_assert_eq!(self.inputs.len(), extras.len() + 1);
        let size = std::mem::size_of::<T>();
        let out = block
            .as_mut_ptr()
            .cast::<u8>()
            .wrapping_sub(first_element * size);
        with_scratch(|scratch| {
            scratch.sources.clear();
            scratch.sources.push(Source {
                base: out,
                access: Access::Full,
            });
            scratch.sources.extend(extras.iter().map(|v| Source {
                base: v.bytes().as_ptr(),
                access: match v.numel() {
                    1 => Access::Scalar,
                    n if n == last_axis => Access::Period(n),
                    _ => Access::Full,
                },
            }));
            // SAFETY: the block covers the range; extras cover what their access
            // reads, by the contract above.
            unsafe {
                self.range(
                    scratch,
                    out,
                    Some(0),
                    first_element..first_element + block.len(),
                )
            }
        })
    }

    /// Computes the elements of a range.
    ///
    /// # Safety
    /// `out` must be valid for writing the range's elements, each source of
    /// `scratch` for reading what its access makes of the range, and only the
    /// source `aliased` may overlap the output.
    pub(super) unsafe fn range(
        &self,
        scratch: &mut Scratch,
        out: *mut u8,
        aliased: Option<usize>,
        range: std::ops::Range<usize>,
    ) {
        let Scratch {
            mem,
            ptrs,
            sources,
            feeds,
            index,
        } = scratch;
        let k = self.inputs.len();
        // Where the last step would write what it reads, its result makes a detour.
        let last = &self.steps[self.steps.len() - 1];
        let detour = !native(self.out) || aliased.is_some_and(|i| last.args.contains(&i));
        let mut bytes = (self.slots + detour as usize) * self.slot_bytes;
        let staging = self.slots * self.slot_bytes;
        feeds.clear();
        for (source, &dtype) in sources.iter().zip(&self.inputs) {
            let size = Class::of(dtype).size();
            let feed = match source.access {
                Access::Full if native(dtype) => Feed::Direct,
                Access::Full => Feed::Load(bytes),
                Access::Scalar => Feed::Fixed(bytes),
                Access::Period(p) if native(dtype) && p >= LONG_RUN => Feed::Cut(p),
                Access::Period(p) if p <= TILE => {
                    let len = range.len().min(BLOCK + p);
                    Feed::Tile(bytes, p, len)
                }
                Access::Period(_) => Feed::Runs(bytes),
                Access::Runs(ref dims) => match pattern(dims) {
                    Some((period, region)) => Feed::Pattern {
                        at: bytes,
                        period,
                        region,
                        of: usize::MAX,
                    },
                    None => Feed::Runs(bytes),
                },
            };
            bytes += match feed {
                Feed::Direct | Feed::Cut(_) => 0,
                Feed::Tile(_, _, len) => (len * size).next_multiple_of(LINE),
                Feed::Pattern { period, .. } => ((BLOCK + period) * size).next_multiple_of(LINE),
                _ => BLOCK * size,
            };
            feeds.push(feed);
        }
        if mem.len() < lines(bytes) {
            mem.resize(lines(bytes), bytemuck::Zeroable::zeroed());
        }
        let base = mem.as_mut_ptr().cast::<u8>();
        ptrs.clear();
        ptrs.resize(k, std::ptr::null());
        ptrs.extend(self.steps.iter().map(|s| {
            s.slot.map_or(std::ptr::null(), |i| {
                base.add(i * self.slot_bytes).cast_const()
            })
        }));
        for (i, feed) in feeds.iter().enumerate() {
            let (dtype, src) = (self.inputs[i], sources[i].base);
            match *feed {
                Feed::Fixed(at) => fill(dtype, src, base.add(at), range.len().min(BLOCK)),
                Feed::Tile(at, p, len) => {
                    let (size, each) = (Class::of(dtype).size(), dtype.size());
                    let mut done = 0;
                    while done < len {
                        let from = (range.start + done) % p;
                        let n = (p - from).min(len - done);
                        load(dtype, src.add(from * each), base.add(at + done * size), n);
                        done += n;
                    }
                }
                _ => {}
            }
        }
        let mut pos = range.start;
        while pos < range.end {
            let mut n = BLOCK.min(range.end - pos);
            for (i, feed) in feeds.iter().enumerate() {
                match (feed, &sources[i].access) {
                    (Feed::Cut(p), _) => n = n.min(p - pos % p),
                    (Feed::Pattern { region, .. }, _) => n = n.min(region - pos % region),
                    (Feed::Runs(_), Access::Runs(dims)) if dims[0].0 >= LONG_RUN => {
                        n = n.min(dims[0].0 - pos % dims[0].0)
                    }
                    _ => {}
                }
            }
            for (i, feed) in feeds.iter_mut().enumerate() {
                let (dtype, src) = (self.inputs[i], sources[i].base);
                let (size, each) = (Class::of(dtype).size(), dtype.size());
                ptrs[i] = match *feed {
                    Feed::Direct => src.wrapping_add(pos * each),
                    Feed::Fixed(at) => base.add(at),
                    Feed::Tile(at, p, _) => base.add(at + (pos - range.start) % p * size),
                    Feed::Cut(p) => src.add(pos % p * each),
                    Feed::Load(at) => {
                        load(dtype, src.wrapping_add(pos * each), base.add(at), n);
                        base.add(at)
                    }
                    Feed::Pattern {
                        at,
                        period,
                        region,
                        ref mut of,
                    } => {
                        let start = pos - pos % region;
                        if let (true, Access::Runs(dims)) = (*of != start, &sources[i].access) {
                            let len = region.min(BLOCK + period);
                            runs(dtype, src, dims, index, start, len, base.add(at));
                            *of = start;
                        }
                        base.add(at + (pos - start) % period * size)
                    }
                    Feed::Runs(at) => {
                        let to = base.add(at);
                        match &sources[i].access {
                            Access::Runs(dims) => runs(dtype, src, dims, index, pos, n, to),
                            Access::Period(p) => {
                                runs(dtype, src, &[(*p, 1), (usize::MAX, 0)], index, pos, n, to)
                            }
                            _ => to,
                        }
                    }
                };
            }
            let out = out.wrapping_add(pos * self.out.size());
            for (i, step) in self.steps.iter().enumerate() {
                let dst = match step.slot {
                    Some(_) => ptrs[k + i].cast_mut(),
                    None if detour => base.add(staging),
                    None => out,
                };
                let [a, b, c] = step.args.map(|a| ptrs[a]);
                exec(step.code, a, b, c, dst, n);
                normalise(step.dtype, dst, n);
            }
            if detour {
                store(self.out, base.add(staging), out, n);
            }
            pos += n;
        }
    }
}
