//! Predictions over any number of rows: batches, tiles and threads.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::compile::{with_rows, Compiled, Ready};
use super::tiles::{self, Sizes, Work};
use super::{Model, RunOptions, States};
use crate::error::{Error, Result};
use crate::keras::Hidden;
use crate::kernels::{with_crew, Par};
use crate::plan::Plan;
use crate::run::{pool, State};
use crate::tensor::{show_shape, DType, Fact, Tensor, View, ViewMut};
/// Where inputs come from. Called from several threads at once.
pub trait Source: Sync {
    /// Dtype (of the model's input) and shape of an input, with all its rows;
    /// `None` for an optional input that is left out. Where there are masks, they
    /// follow the inputs, one (bool, or `None`) for each.
    fn fact(&self, input: usize) -> Option<Fact>;

    /// Whether there are masks.
    fn masks(&self) -> bool {
        false
    }

    /// How many rows are best read and written at once: more than one where a
    /// row's elements lie far apart.
    fn together(&self) -> usize {
        1
    }

    /// Writes rows of an input, row-major, in the model's dtype.
    fn fill(&self, input: usize, rows: Range<usize>, dst: ViewMut);
}

/// Where outputs go. Called from several threads at once, with rows that don't overlap.
pub trait Sink: Sync {
    /// Takes entries `rows` of the leading axis of an output (of a rank-0
    /// output: the entry of one batch).
    fn put(&self, output: usize, rows: Range<usize>, src: View);

    /// The shape of an output as a whole, where it is known beforehand: batches
    /// whose data give another are an error.
    fn shape(&self, _output: usize) -> Option<&[usize]> {
        None
    }
}

/// What a tile of rows may take of the caches, in bytes.
const TILE_BYTES: usize = 512 * 1024;

/// What rows that are read at once may take, in bytes.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// Rows of a tile of a recurrent model, at least: each step in time multiplies
/// its rows by the weights anew.
const RECURRENT_ROWS: usize = 8;

/// Work worth a smaller tile where few rows are left, which needs a plan of its own,
/// in floating point operations.
const TILE_FLOPS: f64 = 2e8;

/// Work worth a second thread, in floating point operations.
const PARALLEL_FLOPS: f64 = 1e6;

impl Model {
    /// The plan of the batch of some rows of the source.
    ///
    /// # Errors
    /// As [`Model::compile`], and those of running the stages before the rest.
    pub fn compile_batch(
        &self,
        source: &dyn Source,
        rows: Range<usize>,
        batch_size: usize,
        options: &RunOptions,
    ) -> Result<Arc<Compiled>> {
        let feed = Feed::new(self, source, batch_size, options);
        Ok(feed.batch(rows)?.compiled)
    }

    /// Facts of the predictions of the first `rows` rows in batches, as Keras joins
    /// them: along the leading axis; outputs of rank 0 make one entry a batch.
    /// Where texts decide shapes, by those of the first batch.
    pub fn result_facts(
        &self,
        source: &dyn Source,
        rows: usize,
        batch_size: usize,
        options: &RunOptions,
    ) -> Result<Vec<Fact>> {
        let feed = Feed::new(self, source, batch_size, options);
        let size = batch_size.min(rows);
        let full = feed.batch(0..size)?;
        if rows <= batch_size {
            return Ok(full.compiled.outputs.clone());
        }
        let leading = |fact: &Fact| fact.shape.first().copied().unwrap_or(1);
        let rest: Option<Vec<usize>> = match rows % batch_size {
            0 => None,
            r if full.staged.is_empty() => {
                let rest = self.compile(&with_rows(&feed.inputs, r), options)?;
                Some(rest.outputs.iter().map(leading).collect())
            }
            _ => {
                let outputs = full.compiled.outputs.iter();
                let rest = |f| rest_of(leading(f), size, rows);
                Some(outputs.map(rest).collect())
            }
        };
        let batches = rows / batch_size;
        let join = |(i, fact): (usize, &Fact)| {
            let mut fact = fact.clone();
            let last = rest.as_ref().map_or(0, |r| r[i]);
            match fact.shape.first_mut() {
                Some(d) => *d = *d * batches + last,
                None => fact.shape = vec![batches + last],
            }
            fact
        };
        Ok(full.compiled.outputs.iter().enumerate().map(join).collect())
    }

    /// Times of the steps of one batch of all rows on one thread: the least of
    /// `repeats` runs, after one that is not counted.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn profile(
        &self,
        source: &dyn Source,
        rows: usize,
        repeats: usize,
    ) -> Result<Vec<StepTime>> {
        let count = self.inputs().len() * if source.masks() { 2 } else { 1 };
        let inputs: Vec<Option<Fact>> = (0..count).map(|i| source.fact(i)).collect();
        let plan = &self.compile(&inputs, &RunOptions::default())?.plan;
        let present: Vec<usize> = (0..count).filter(|&i| inputs[i].is_some()).collect();
        let mut state = State::default();
        state.fit(plan)?;
        let mut least = vec![u64::MAX; plan.steps.len()];
        for run in 0..=repeats {
            // Buffers are used again, so the inputs have to be written each time.
            for i in 0..plan.inputs.len() {
                match present.get(i) {
                    Some(&input) => source.fill(input, 0..rows, state.input(plan, i)),
                    None => state.input(plan, i).bytes().fill(0),
                }
            }
            let times = plan.profile(&mut state, Par::Serial)?;
            if run > 0 {
                for (least, nanos) in least.iter_mut().zip(times) {
                    *least = nanos.min(*least);
                }
            }
        }
        let steps = plan.steps.iter().zip(least);
        Ok(steps
            .map(|(step, nanos)| StepTime {
                path: step.path.clone(),
                operation: step.name.clone(),
                inputs: step.ins.iter().map(|s| s.fact.clone()).collect(),
                seconds: nanos as f64 / 1e9,
            })
            .collect())
    }

    /// Predicts rows of the source, in batches of `batch_size` counted from row 0.
    /// Rows are computed in tiles of the engine's choice where they are independent.
    ///
    /// # Errors
    /// What a layer can't take, an index without an embedding, or `Interrupted`.
    pub fn predict(
        &self,
        source: &dyn Source,
        sink: &dyn Sink,
        rows: Range<usize>,
        batch_size: usize,
        options: &RunOptions,
    ) -> Result<()> {
        let feed = Feed::new(self, source, batch_size, options);
        let inputs = &feed.inputs;
        let n = rows.len();
        let one_batch = n <= batch_size;
        let first = feed.batch(rows.start..rows.start + batch_size.min(n))?;
        let staged = !first.staged.is_empty();
        let full = first.compiled.clone();
        let small = full.plan.flops * (n as f64 / batch_size.min(n).max(1) as f64) < PARALLEL_FLOPS;
        // Where outputs go is counted in full batches, of which `rows` may be the partial rest.
        let whole = match rows.start {
            _ if staged => None,
            0 => Some(full.clone()),
            _ => Some(self.compile(&with_rows(inputs, batch_size), options)?),
        };
        let mut run = Run {
            feed: &feed,
            full: whole.as_deref(),
            sink,
            independent: false,
        };
        let stateful = !full.kept.is_empty();
        if stateful {
            self.check_batches(n, batch_size)?;
        }
        let turn = || self.memory.turn.lock().unwrap_or_else(|e| e.into_inner());
        let _turn = stateful.then(turn);
        if n == 0 || (one_batch && small) {
            return run.batch(&first, rows, Par::Serial);
        }
        // Work with text does not show in the operations.
        let small = small && !staged;
        if full.plan.on_caller {
            return rows.clone().step_by(batch_size).try_for_each(|start| {
                if options.cancel.is_some_and(|c| c.load(Ordering::Relaxed)) {
                    return Err(Error::Interrupted);
                }
                let range = start..(start + batch_size).min(rows.end);
                let par = if small { Par::Serial } else { Par::Crew };
                run.batch(&feed.batch(range.clone())?, range, par)
            });
        }
        let workers = if small { None } else { pool::pool() };
        let threads = workers.map_or(1, |p| p.current_num_threads());
        run.independent =
            !staged && full.hidden.is_empty() && self.rows_independent(inputs, options);
        let sizes = match run.independent {
            true => sizes(&full, &feed, (batch_size.min(n), n), threads),
            false => Sizes {
                chunk: batch_size,
                tile: batch_size,
                least: batch_size,
            },
        };
        let starts = rows.clone().step_by(sizes.tile.max(1));
        match workers {
            Some(pool) if stateful || starts.len() < threads => with_crew(pool, || {
                starts.into_iter().try_for_each(|start| {
                    let range = start..(start + sizes.tile).min(rows.end);
                    run.tile(range, Par::Crew)
                })
            }),
            _ => {
                let tiles = Tiles {
                    run: &run,
                    full: &full,
                    batch: batch_size.min(n),
                    copies: sizes.chunk > sizes.tile,
                };
                tiles::run(&tiles, rows, sizes, workers)
            }
        }
    }
}

/// Entries of a leading axis for a part of the rows of a batch.
fn part(leading: usize, batch: usize, rows: usize) -> usize {
    match batch > 0 && leading.is_multiple_of(batch) {
        true => leading / batch * rows,
        false => leading,
    }
}

/// Entries of the last, partial batch, where a full one gives `full` of them.
fn rest_of(full: usize, batch: usize, rows: usize) -> usize {
    match rows % batch {
        0 => 0,
        rest => part(full, batch, rest),
    }
}

/// A step of a plan, and how long it took.
pub struct StepTime {
    /// The layer it came from.
    pub path: Arc<str>,
    /// The primitive's name.
    pub operation: String,
    pub inputs: Vec<Fact>,
    pub seconds: f64,
}

/// What the batches of one prediction are fed with.
struct Feed<'a> {
    model: &'a Model,
    source: &'a dyn Source,
    /// With masks, if there are any.
    inputs: Vec<Option<Fact>>,
    /// Inputs that are not left out, in order.
    present: Vec<usize>,
    batch_size: usize,
    options: &'a RunOptions<'a>,
}

/// The plan of one batch and the tokens of its stages.
struct Batch {
    compiled: Arc<Compiled>,
    staged: Vec<Tensor>,
}

impl<'a> Feed<'a> {
    fn new(
        model: &'a Model,
        source: &'a dyn Source,
        batch_size: usize,
        options: &'a RunOptions,
    ) -> Feed<'a> {
        let count = model.inputs().len() * if source.masks() { 2 } else { 1 };
        let inputs: Vec<Option<Fact>> = (0..count).map(|i| source.fact(i)).collect();
        Feed {
            model,
            source,
            present: (0..count).filter(|&i| inputs[i].is_some()).collect(),
            inputs,
            batch_size,
            options,
        }
    }

    fn states(&self) -> std::sync::MutexGuard<'_, States> {
        let states = &self.model.memory.states;
        states.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The plan for some rows: runs the stages that come before.
    fn batch(&self, rows: Range<usize>) -> Result<Batch> {
        let inputs = with_rows(&self.inputs, rows.len());
        let mut staged = vec![];
        loop {
            match self.model.ready(&inputs, &staged, self.options)? {
                Ready::Whole(compiled) => return Ok(Batch { compiled, staged }),
                Ready::Stage(compiled, reading) => {
                    let read = compiled.with_state(
                        Par::Serial,
                        |state, plan| self.fill(&compiled, &staged, &rows, state, plan),
                        |state, plan| reading.of(&state.output(plan, 0)),
                    )?;
                    staged.push(read?);
                }
            }
        }
    }

    /// Writes all inputs of a plan for some rows.
    fn fill(
        &self,
        compiled: &Compiled,
        staged: &[Tensor],
        rows: &Range<usize>,
        state: &mut State,
        plan: &Plan,
    ) {
        for (at, &input) in self.present.iter().enumerate() {
            self.source.fill(input, rows.clone(), state.input(plan, at));
        }
        for (i, hidden) in compiled.hidden.iter().enumerate() {
            let dst = state.input(plan, self.present.len() + i);
            self.fill_hidden(hidden, staged, rows, dst);
        }
    }

    fn fill_hidden(
        &self,
        hidden: &Hidden,
        staged: &[Tensor],
        rows: &Range<usize>,
        mut dst: ViewMut,
    ) {
        match hidden {
            Hidden::Seed => {
                let batch = rows.start / self.batch_size.max(1);
                dst.as_mut()
                    .copy_from_slice(&[self.options.seed as i64, batch as i64]);
            }
            Hidden::State(key) => match self.states().get(key) {
                Some(value) => dst.bytes().copy_from_slice(value.bytes()),
                None => dst.bytes().fill(0),
            },
            Hidden::Stage(i) => dst.bytes().copy_from_slice(staged[*i].bytes()),
        }
    }
}

/// One prediction over many batches.
struct Run<'a> {
    feed: &'a Feed<'a>,
    /// The plan of a full batch; none where the data of each batch decides it.
    full: Option<&'a Compiled>,
    sink: &'a dyn Sink,
    independent: bool,
}

impl Run<'_> {
    fn tile(&self, rows: Range<usize>, par: Par) -> Result<()> {
        let cancel = self.feed.options.cancel;
        if cancel.is_some_and(|c| c.load(Ordering::Relaxed)) {
            return Err(Error::Interrupted);
        }
        self.batch(&self.feed.batch(rows.clone())?, rows, par)
    }

    fn batch(&self, batch: &Batch, rows: Range<usize>, par: Par) -> Result<()> {
        let compiled = &batch.compiled;
        let sent = compiled.with_state(
            par,
            |state, plan| self.feed.fill(compiled, &batch.staged, &rows, state, plan),
            |state, plan| {
                self.check_shapes(compiled, &rows)?;
                let first = compiled.outputs.len();
                for (i, key) in compiled.kept.iter().enumerate() {
                    let value = state.output(plan, first + i).to_tensor();
                    self.feed.states().insert(*key, value);
                }
                for (i, fact) in compiled.outputs.iter().enumerate() {
                    let len = fact.shape.first().copied().unwrap_or(1);
                    let start = self.start(i, len, &rows);
                    self.sink.put(i, start..start + len, state.output(plan, i));
                }
                Ok(())
            },
        )?;
        sent
    }

    /// Where the entries of a batch begin in an output.
    fn start(&self, output: usize, len: usize, rows: &Range<usize>) -> usize {
        if self.independent {
            return rows.start * (len / rows.len().max(1));
        }
        let batch = self.feed.batch_size;
        let full = match self.full {
            Some(full) => full.outputs[output].shape.first().copied().unwrap_or(1),
            None => part(len, rows.len(), batch),
        };
        rows.start / batch * full
    }

    /// Batches are joined along their first axis: where data decide sizes, the
    /// batches must come out as [`Model::result_facts`] took them to.
    fn check_shapes(&self, compiled: &Compiled, rows: &Range<usize>) -> Result<()> {
        if self.full.is_some() {
            return Ok(());
        }
        let total = self.feed.inputs.iter().flatten().next();
        let total = total.map_or(rows.len(), |f| f.shape[0]);
        let batch = self.feed.batch_size;
        for (i, fact) in compiled.outputs.iter().enumerate() {
            let Some(whole) = self.sink.shape(i).filter(|s| !s.is_empty()) else {
                continue;
            };
            let len = fact.shape.first().copied().unwrap_or(1);
            let full = part(len, rows.len(), batch);
            let joined = match total <= batch {
                true => len,
                false => full * (total / batch) + rest_of(full, batch, total),
            };
            if fact.shape.get(1..) != whole.get(1..) || joined != whole[0] {
                let inputs = self.feed.model.inputs();
                return Err(Error::BadInput {
                    input: inputs.first().map_or(String::new(), |i| i.name.clone()),
                    expected: format!(
                        "in batches that give outputs of one shape, such as one batch of all \
                         rows, since the data decide it: the outputs were taken to be {}",
                        show_shape(whole)
                    ),
                    given: format!("a batch that gives {}", show_shape(&fact.shape)),
                });
            }
        }
        Ok(())
    }
}

/// Rows that are read and written at once: as many as the source asks for, if
/// they are not large, at most an even `share` for each thread.
fn chunk_rows(full: &Compiled, feed: &Feed, tile: usize, share: usize) -> usize {
    let inputs = feed.inputs.iter().flatten();
    let facts: Vec<&Fact> = inputs.chain(&full.outputs).collect();
    let row = |f: &&Fact| f.bytes() / f.shape.first().map_or(1, |&d| d.max(1));
    let bytes: usize = facts.iter().map(row).sum();
    let together = feed.source.together().min(share);
    if facts.iter().any(|f| f.dtype == DType::Str) || bytes * together > CHUNK_BYTES {
        return tile;
    }
    together / tile * tile
}

/// Tiles of independent rows, or batches.
struct Tiles<'a> {
    run: &'a Run<'a>,
    /// The plan of `batch` rows.
    full: &'a Compiled,
    batch: usize,
    /// Whether tiles are cut from row-major copies of chunks.
    copies: bool,
}

impl<'a> Work for Tiles<'a> {
    type Chunk = Option<Chunk<'a>>;

    fn open(&self, rows: Range<usize>) -> Self::Chunk {
        self.copies
            .then(|| Chunk::new(self.run.feed, self.full, self.batch, &rows))
    }

    fn tile(&self, chunk: &Self::Chunk, rows: Range<usize>) -> Result<()> {
        let Some(chunk) = chunk else {
            return self.run.tile(rows, Par::Serial);
        };
        let feed = self.run.feed;
        let feed = Feed::new(feed.model, chunk, feed.batch_size, feed.options);
        let run = Run {
            feed: &feed,
            full: Some(self.full),
            sink: chunk,
            independent: true,
        };
        run.tile(rows, Par::Serial)
    }

    fn close(&self, chunk: &Self::Chunk) {
        if let Some(chunk) = chunk {
            chunk.send(self.run.sink);
        }
    }
}

/// Some rows of the inputs and outputs, row-major.
struct Chunk<'a> {
    source: &'a dyn Source,
    first: usize,
    inputs: Vec<Option<Tensor>>,
    outputs: Mutex<Vec<Piece>>,
}

/// A part of an output, and the entry of its leading axis that it starts at.
struct Piece {
    start: usize,
    tensor: Tensor,
}

impl<'a> Chunk<'a> {
    fn new(feed: &Feed<'a>, full: &Compiled, batch: usize, rows: &Range<usize>) -> Self {
        let source = feed.source;
        let facts = with_rows(&feed.inputs, rows.len());
        let inputs = facts.into_iter().enumerate().map(|(i, fact)| {
            let mut tensor = Tensor::zeros(fact?);
            source.fill(i, rows.clone(), tensor.view_mut());
            Some(tensor)
        });
        let outputs = full.outputs.iter().map(|fact| {
            let mut fact = fact.clone();
            let mut start = 0;
            if let Some(d) = fact.shape.first_mut() {
                let entries = *d / batch.max(1);
                (start, *d) = (rows.start * entries, rows.len() * entries);
            }
            let tensor = Tensor::zeros(fact);
            Piece { start, tensor }
        });
        Chunk {
            source,
            first: rows.start,
            inputs: inputs.collect(),
            outputs: Mutex::new(outputs.collect()),
        }
    }

    fn send(&self, sink: &dyn Sink) {
        let parts = self.outputs.lock().unwrap_or_else(|e| e.into_inner());
        for (i, Piece { start, tensor }) in parts.iter().enumerate() {
            let len = tensor.shape().first().copied().unwrap_or(1);
            sink.put(i, *start..start + len, tensor.view());
        }
    }
}

/// The bytes of entries of a leading axis.
fn entries(tensor: &Tensor, range: Range<usize>) -> Range<usize> {
    let all = tensor.shape().first().map_or(1, |&d| d.max(1));
    let each = tensor.fact().bytes() / all;
    range.start * each..range.end * each
}

impl Source for Chunk<'_> {
    fn fact(&self, input: usize) -> Option<Fact> {
        self.source.fact(input)
    }

    fn masks(&self) -> bool {
        self.source.masks()
    }

    fn fill(&self, input: usize, rows: Range<usize>, mut dst: ViewMut) {
        if let Some(tensor) = &self.inputs[input] {
            let rows = rows.start - self.first..rows.end - self.first;
            let bytes = &tensor.bytes()[entries(tensor, rows)];
            dst.bytes().copy_from_slice(bytes);
        }
    }
}

impl Sink for Chunk<'_> {
    fn put(&self, output: usize, rows: Range<usize>, src: View) {
        let mut parts = self.outputs.lock().unwrap_or_else(|e| e.into_inner());
        let Piece { start, tensor } = &mut parts[output];
        let bytes = entries(tensor, rows.start - *start..rows.end - *start);
        tensor.bytes_mut()[bytes].copy_from_slice(src.bytes());
    }
}

/// Sizes of tiles of `rows` independent rows: what fits the caches, at most an even
/// share for each thread. `full` is the plan of `batch` rows.
fn sizes(full: &Compiled, feed: &Feed, (batch, rows): (usize, usize), threads: usize) -> Sizes {
    let bytes = full.plan.arena * crate::tensor::LINE;
    let per_row = (bytes / batch.max(1)).max(1);
    // The weights are read once a tile, and should not be most of what is read.
    let weights: usize = full
        .plan
        .consts
        .iter()
        .map(|c| c.tensor.fact().bytes())
        .sum();
    let recurrent = full.plan.is_recurrent();
    let least = match recurrent {
        true => RECURRENT_ROWS,
        false => (weights / (4 * per_row)).clamp(1, 8),
    };
    let fitting = (TILE_BYTES / per_row).clamp(least, 1024);
    let tile = fitting.min(rows.div_ceil(threads)).max(1);
    let flops = full.plan.flops / batch.max(1) as f64;
    Sizes {
        chunk: chunk_rows(full, feed, tile, rows.div_ceil(threads)).max(tile),
        tile,
        least: match recurrent {
            true => tile,
            false => ((TILE_FLOPS / flops.max(1.0)) as usize).clamp(1, tile),
        },
    }
}
