//! A loaded model: plans by input signature, predictions over any number of rows.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rayon::prelude::*;
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::format::{self, ModelFile, Weights};
use crate::graph::{rows_are_independent, Graph, Op, ValueId};
use crate::host::{Functions, FUNCTIONS};
use crate::keras::model::{identity, Graph as Calls, InputSpec, ModelLayer};
use crate::keras::submodel::{self, History, Symbol};
use crate::keras::{
    legacy, load, save, Cx, Hidden, Lacking, LayerNode, Reading, Staged, StateKey, T,
};
use crate::kernels::{PackCache, Par};
use crate::nest::Nest;
use crate::optimize::{optimize, Folds, Passes};
use crate::plan::{plan, Plan};
use crate::run::{pool, State};
use crate::summary::LayerCalls;
use crate::tensor::{show_shape, DType, Fact, Tensor, View, ViewMut};
use crate::trial;

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

/// How a prediction runs.
pub struct RunOptions<'a> {
    /// Whether layers train. `None`, as in `model(x)`, leaves it to what each
    /// call of a graph was recorded with; predictions give false.
    pub training: Option<bool>,
    /// What random numbers in training come from: equal seeds, equal numbers.
    pub seed: u64,
    /// Set by the caller to end the run after the batches under way.
    pub cancel: Option<&'a AtomicBool>,
    /// Which optimiser passes are left out, for tests.
    pub without: Passes,
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        RunOptions {
            training: Some(false),
            seed: 0,
            cancel: None,
            without: Passes::default(),
        }
    }
}

/// A model written as primitives.
pub struct Lowered {
    /// Inputs: those of the model, then the hidden ones. Outputs: those of the
    /// model, then the states after the batch.
    pub graph: Graph,
    /// The structure of the outputs.
    pub nest: Nest<usize>,
    pub hidden: Vec<Hidden>,
    /// What the outputs after the model's are.
    pub states: Vec<StateKey>,
}

/// A model, or what must be run before the rest of it can be lowered.
enum Part {
    Whole(Lowered),
    /// A graph that gives the tensor that the next stage reads.
    Stage(Lowered, Reading),
}

/// The plan of a [`Part`].
#[derive(Clone)]
enum Ready {
    Whole(Arc<Compiled>),
    Stage(Arc<Compiled>, Reading),
}

/// A plan with what belongs to it outside of the run.
pub struct Compiled {
    pub plan: Plan,
    /// Facts of the model's outputs.
    pub outputs: Vec<Fact>,
    /// What the plan's inputs after the model's are.
    hidden: Vec<Hidden>,
    /// What the plan's outputs after the model's are.
    kept: Vec<StateKey>,
    /// The structure of the outputs, over indices into `outputs`.
    pub output_nest: Nest<usize>,
    /// States that are not in use.
    states: Mutex<Vec<State>>,
}

impl Compiled {
    /// Runs with a state of its own: `before` writes the inputs, `after` reads the outputs.
    pub fn with_state<R>(
        &self,
        par: Par,
        before: impl FnOnce(&mut State, &Plan),
        after: impl FnOnce(&State, &Plan) -> R,
    ) -> Result<R> {
        let lock = || self.states.lock().unwrap_or_else(|e| e.into_inner());
        let held = lock().pop();
        let mut state = held.unwrap_or_default();
        state.fit(&self.plan)?;
        before(&mut state, &self.plan);
        let done = self.plan.run(&mut state, par);
        let result = done.map(|()| after(&state, &self.plan));
        lock().push(state);
        result
    }
}

/// Facts of the inputs and of the stages' tokens, and what decides the graph besides.
type Signature = (Vec<Option<Fact>>, Vec<Fact>, Option<bool>, Passes);

/// Plans by signature, the most recently used last.
#[derive(Default)]
struct PlanCache(Vec<(Signature, Ready)>);

const PLANS: usize = 32;

impl PlanCache {
    fn get(&mut self, is_wanted: impl Fn(&Signature) -> bool) -> Option<Ready> {
        let at = self.0.iter().rposition(|(key, _)| is_wanted(key))?;
        self.0[at..].rotate_left(1);
        self.0.last().map(|(_, ready)| ready.clone())
    }

    fn put(&mut self, key: Signature, ready: Ready) {
        if self.0.len() == PLANS {
            self.0.remove(0);
        }
        self.0.push((key, ready));
    }
}

/// A model ready to predict. It can be shared by threads.
pub struct Model {
    file: ModelFile,
    root: Arc<LayerNode>,
    calls: Arc<Calls>,
    packs: Arc<PackCache>,
    folds: Arc<Folds>,
    plans: Mutex<PlanCache>,
    /// Whether rows are independent, by input signature without the batch size.
    independent: Mutex<HashMap<Signature, bool>>,
    memory: Memory,
    pub(crate) layer_calls: OnceLock<Vec<LayerCalls>>,
    pub(crate) lacking: OnceLock<Lacking>,
}

/// What stateful layers keep from batch to batch.
#[derive(Default)]
struct Memory {
    states: Mutex<States>,
    /// Held by the prediction under way: batches follow each other.
    turn: Mutex<()>,
}

/// States that are not there are zero.
type States = HashMap<StateKey, Tensor>;

/// A batch size that no other axis is likely to have.
const ODD_BATCH: usize = 23;

/// What a tile of rows may take of the caches, in bytes.
const TILE_BYTES: usize = 512 * 1024;

/// What rows that are read at once may take, in bytes.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// The largest size of an axis that data may decide.
const LARGEST_SIZE: usize = 1 << 31;

/// Rows of a tile of a recurrent model, at least: each step in time multiplies
/// its rows by the weights anew.
const RECURRENT_ROWS: usize = 8;

/// Work worth a second thread, in floating point operations.
const PARALLEL_FLOPS: f64 = 1e6;

impl Model {
    /// Loads a model from a file or folder.
    ///
    /// # Errors
    /// See [`Error`]: what is wrong with the file, or every layer that can't be run.
    pub fn load(path: &Path) -> Result<Model> {
        Model::new(format::read(path)?)
    }

    /// Loads a model from the bytes of a file; `label` stands for the path in errors.
    pub fn from_bytes(bytes: Vec<u8>, label: &str) -> Result<Model> {
        Model::new(format::read_bytes(bytes, label)?)
    }

    /// Makes a model of what a file holds.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn new(file: ModelFile) -> Result<Model> {
        Model::with_functions(file, &[])
    }

    /// As [`Model::new`]; functions of the caller, by name, may stand in for layers:
    /// see [`crate::host`].
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn with_functions(mut file: ModelFile, functions: &[String]) -> Result<Model> {
        legacy::modernize(&mut file)?;
        let kept = file.config[FUNCTIONS].as_array().into_iter().flatten();
        let kept = kept.filter_map(Json::as_str).map(str::to_string);
        let functions = Functions::new(functions.iter().cloned().chain(kept));
        let (root, calls) = load::Loader::root(&file.config, &functions)?;
        let used = functions.used();
        if !used.is_empty() {
            file.config[FUNCTIONS] = used.into();
        }
        if let Some(weights) = &file.weights {
            load::assign(&root, weights)?;
        }
        load::restore(&root, file.weights.as_ref(), &file.assets)?;
        let model = Model::of_parts(file, root, calls);
        if model.file.weights.is_some() {
            model.check()?;
        }
        Ok(model)
    }

    /// The same model with the weights of a file. Those that don't fit are an error,
    /// or are left as they were: the names of these layers are returned.
    ///
    /// # Errors
    /// `BadWeight` names the layer and what doesn't fit.
    pub fn with_weights(
        &self,
        weights: Weights,
        skip_mismatch: bool,
    ) -> Result<(Model, Vec<String>)> {
        let weights = match weights {
            Weights::Legacy(layers) => Weights::Legacy(load::in_names_of(&self.root, layers)),
            tree => tree,
        };
        let mut file = ModelFile {
            config: legacy::original(&self.file.config).clone(),
            weights: Some(weights),
            ..self.file.clone()
        };
        if !skip_mismatch {
            return Ok((Model::with_functions(file, &self.functions())?, vec![]));
        }
        legacy::modernize(&mut file)?;
        let functions = Functions::new(self.functions());
        let (root, _) = load::Loader::root(&file.config, &functions)?;
        let (read, _) = load::Loader::root(&file.config, &functions)?;
        let weights = file.weights.take();
        let weights = weights.ok_or_else(|| Error::internal("the weights are gone"))?;
        let skipped = load::assign_over(&root, &self.root, &read, &weights)?;
        file.weights = Some(Weights::Tree(save::tree(&root, None)));
        Ok((Model::with_functions(file, &self.functions())?, skipped))
    }

    /// Whether there are weights, not an architecture only.
    pub fn has_weights(&self) -> bool {
        self.file.weights.is_some()
    }

    /// The model as Keras 3 saves it.
    ///
    /// # Errors
    /// `CantSave` where it has layers that Keras 3 doesn't.
    pub fn modern(&self) -> Result<ModelFile> {
        let functions = save::functions(&self.file.config);
        let calls = match functions.is_empty() {
            true => Default::default(),
            false => self.function_calls()?,
        };
        let file = save::modern(&self.file, &self.root, calls)?;
        if !functions.is_empty() {
            // Like functions may differ in what they make of dtypes or of zeros.
            let again = Model::with_functions(file.clone(), &self.functions());
            let agree = again.and_then(|again| trial::agree(self, &again));
            if agree != Ok(true) {
                return Err(Error::CantSave { layers: functions });
            }
        }
        let layers = save::with_old_ways(&self.file.config);
        if !layers.is_empty() {
            // Old ways are no part of the file: there must be none that matter.
            let again = Model::with_functions(file.clone(), &self.functions())?;
            if self.sketch()? != again.sketch()? {
                return Err(Error::CantSave { layers });
            }
        }
        Ok(file)
    }

    /// The operations of the model for some size of its inputs and what each reads:
    /// the same for models that compute the same of equal weights.
    fn sketch(&self) -> Result<Vec<(String, Vec<ValueId>)>> {
        const OPEN: usize = 7;
        let fact = |input: &InputSpec| {
            let shape: Vec<usize> = input.shape.iter().map(|d| d.unwrap_or(OPEN)).collect();
            Some(Fact::new(input.dtype, shape))
        };
        let inputs = self.inputs().iter().map(fact).collect();
        let key = (inputs, vec![], Some(false), Passes::ALL);
        let (Part::Whole(lowered) | Part::Stage(lowered, _)) = self.lower(&key)?;
        let graph = optimize(lowered.graph, &self.folds, Passes::ALL)?;
        let nodes = graph.nodes.iter().map(|node| {
            let op = match &node.op {
                Op::Const(c) => c.tensor.fact().to_string(),
                op => format!("{op:?}"),
            };
            (op, node.inputs.to_vec())
        });
        Ok(nodes.collect())
    }

    fn of_parts(file: ModelFile, root: Arc<LayerNode>, calls: Arc<Calls>) -> Model {
        Model {
            file,
            root,
            calls,
            packs: Arc::default(),
            folds: Arc::default(),
            plans: Mutex::default(),
            independent: Mutex::default(),
            memory: Memory::default(),
            layer_calls: OnceLock::new(),
            lacking: OnceLock::new(),
        }
    }

    /// A part of this model as a model of its own, which shares the weights and
    /// what is made of them. `whole` has layers of the same names as `root`, if that is
    /// new.
    fn part(
        &self,
        config: Json,
        root: Arc<LayerNode>,
        calls: Arc<Calls>,
        whole: Option<&LayerNode>,
    ) -> Model {
        let mut config = config;
        let functions = self.functions();
        if !functions.is_empty() {
            config[FUNCTIONS] = functions.into();
        }
        // It is a part of a config that has been rewritten.
        legacy::mark_as_modern(&mut config);
        let weights = self.file.weights.as_ref();
        let file = ModelFile {
            config,
            keras_version: self.file.keras_version.clone(),
            backend: self.file.backend.clone(),
            weights: weights.map(|_| Weights::Tree(save::tree(&root, whole))),
            assets: self.assets_of(&root),
        };
        Model {
            packs: self.packs.clone(),
            folds: self.folds.clone(),
            ..Model::of_parts(file, root, calls)
        }
    }

    /// The model's files that belong to layers of a part of it, under the part's paths.
    fn assets_of(&self, part: &LayerNode) -> format::Assets {
        let mut from = vec![];
        load::places(&self.root, "", &mut from);
        let mut to = vec![];
        load::places(part, "", &mut to);
        let assets = self.file.assets.iter();
        let moved = assets.filter_map(|(path, bytes)| {
            // The innermost place that a path begins with is the layer's.
            let inside = |p: &&load::Place| path.starts_with(&format!("{}/", p.path));
            let old = from.iter().filter(inside).max_by_key(|p| p.path.len())?;
            let new = to.iter().find(|p| p.same_layer(old))?;
            Some((path.replacen(&old.path, &new.path, 1), bytes.clone()))
        });
        moved.collect()
    }

    /// The model between tensors of this one.
    ///
    /// # Errors
    /// `BadGraph` where the outputs need an input that is not among `inputs`.
    pub fn between(
        &self,
        name: &str,
        inputs: &Nest<Symbol>,
        outputs: &Nest<History>,
    ) -> Result<Model> {
        let config =
            submodel::config_between(&self.file.config, &self.calls, name, inputs, outputs)?;
        let functions = Functions::new(self.functions());
        let (root, calls) = load::Loader::root(&config, &functions)?;
        load::share_weights(&root, &self.root);
        let model = self.part(config, root, calls, Some(&self.root));
        load::restore(&model.root, model.file.weights.as_ref(), &model.file.assets)?;
        model.check()?;
        Ok(model)
    }

    /// A nested model as a model of its own; `None` where the layer is none.
    pub fn nested(&self, layer: &str) -> Option<Model> {
        let (_, node) = self.root.children.iter().find(|(_, n)| n.name == layer)?;
        let nested = ModelLayer::of(node)?;
        let config = self.layer_config(layer)?;
        Some(self.part(config.clone(), node.clone(), nested.graph.clone(), None))
    }

    /// Names of the caller's functions that the model may call.
    pub fn functions(&self) -> Vec<String> {
        let names = self.file.config[FUNCTIONS].as_array().into_iter().flatten();
        names.filter_map(Json::as_str).map(str::to_string).collect()
    }

    /// The model as Keras serializes it, without what the engine has noted in it.
    pub fn config(&self) -> Json {
        let mut config = self.file.config.clone();
        if let Some(o) = config.as_object_mut() {
            o.remove(FUNCTIONS);
            o.remove(legacy::MODERN);
        }
        config
    }

    /// A layer of the model.
    pub fn layer(&self, name: &str) -> Option<&Arc<LayerNode>> {
        let found = self.root.children.iter().find(|(_, n)| n.name == name);
        found.map(|(_, node)| node)
    }

    /// A layer, operation or input as Keras serialized it.
    pub fn layer_config(&self, name: &str) -> Option<&Json> {
        let layers = self.file.config["config"]["layers"].as_array()?;
        layers.iter().find(|spec| identity(spec).0 == name)
    }

    /// What the file held: config, weights, version.
    pub fn file(&self) -> &ModelFile {
        &self.file
    }

    /// The model as bytes that [`Model::from_bytes`] reads back.
    pub fn to_bytes(&self) -> Vec<u8> {
        format::native::write(&self.file)
    }

    /// The model as a layer.
    pub fn root(&self) -> &Arc<LayerNode> {
        &self.root
    }

    /// The model's calls.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    pub fn name(&self) -> &str {
        &self.root.name
    }

    /// `Sequential` or `Functional`.
    pub fn class(&self) -> &str {
        &self.root.class
    }

    /// The inputs, flattened.
    pub fn inputs(&self) -> &[InputSpec] {
        &self.calls.inputs
    }

    /// The structure of the inputs, over indices into [`Model::inputs`].
    pub fn input_nest(&self) -> &Nest<usize> {
        &self.calls.input_nest
    }

    /// Names of the layers that make the outputs, flattened.
    pub fn output_names(&self) -> &[String] {
        &self.calls.output_names
    }

    /// Rows of the batches that a model with stateful layers must be given.
    pub fn stateful_batch(&self) -> Option<usize> {
        self.fixed_batch()
            .filter(|_| has_flag(&self.file.config, "stateful"))
    }

    fn fixed_batch(&self) -> Option<usize> {
        self.inputs().iter().find_map(|i| *i.shape.first()?)
    }

    /// Stateful layers need batches of one size, as their states have.
    fn check_batches(&self, rows: usize, batch_size: usize) -> Result<()> {
        let Some(size) = self.fixed_batch() else {
            return Ok(());
        };
        let batch = batch_size.min(rows);
        if batch == size && rows.is_multiple_of(size) {
            return Ok(());
        }
        Err(Error::BadInput {
            input: self
                .inputs()
                .first()
                .map_or(String::new(), |i| i.name.clone()),
            expected: format!("in whole batches of {size} rows, since the model is stateful"),
            given: match rows % batch_size.max(1) {
                0 => format!("batches of {batch}"),
                rest => {
                    format!("{rows} rows in batches of {batch_size}, of which the last has {rest}")
                }
            },
        })
    }

    /// Whether some call of the graph was recorded with `training = True`, which
    /// `model(x)` goes by.
    pub fn records_training(&self) -> bool {
        has_flag(&self.file.config, "training")
    }

    /// Sets the states of all stateful layers to zero.
    pub fn reset_states(&self) {
        let _turn = self.memory.turn.lock().unwrap_or_else(|e| e.into_inner());
        let mut states = self.memory.states.lock().unwrap_or_else(|e| e.into_inner());
        states.clear();
    }

    /// The primitive graph for inputs of given shapes, before any optimisation, or
    /// that of the next stage.
    fn lower(&self, key: &Signature) -> Result<Part> {
        let mut cx = Cx::new(key.2).with_staged(Staged::Known(key.1.clone()));
        let out = self.lower_into(&mut cx, &key.0);
        let Some(stage) = cx.waiting.take() else {
            return Ok(Part::Whole(finish(cx, out?)?));
        };
        let read = Nest::Leaf(T::from(stage.input));
        let lowered = finish(cx, read)?;
        Ok(Part::Stage(without_states(lowered), stage.reading))
    }

    /// The primitive graph where every text of open length has so many tokens; weights
    /// that are not there are zero.
    pub fn lower_assuming(&self, inputs: &[Option<Fact>], tokens: usize) -> Result<Lowered> {
        let mut cx = self.sketching(tokens);
        let out = self.lower_into(&mut cx, inputs)?;
        finish(cx, out)
    }

    /// Writes the model into a context.
    pub fn lower_into(&self, cx: &mut Cx, inputs: &[Option<Fact>]) -> Result<crate::keras::Out> {
        let mut values = inputs
            .iter()
            .map(|f| f.as_ref().map(|f| cx.input(f.clone())));
        let n = self.inputs().len().min(inputs.len());
        let xs: Vec<_> = values.by_ref().take(n).collect();
        let masks = values.chain(std::iter::repeat(None));
        let flat: Vec<Option<T>> = xs
            .into_iter()
            .zip(masks)
            .map(|(x, mask)| x.map(|value| T { value, mask }))
            .collect();
        self.calls.run(cx, &flat)
    }

    /// The plan for inputs of given facts (`None` for one left out), followed by
    /// those of their masks if there are any.
    ///
    /// # Errors
    /// If a layer can't take these shapes, named, or where the data of a text
    /// decides shapes: [`Model::compile_batch`] reads it.
    pub fn compile(&self, inputs: &[Option<Fact>], options: &RunOptions) -> Result<Arc<Compiled>> {
        match self.ready(inputs, &[], options)? {
            Ready::Whole(compiled) => Ok(compiled),
            Ready::Stage(..) => Err(Error::internal("shapes depend on the data")),
        }
    }

    fn ready(
        &self,
        inputs: &[Option<Fact>],
        staged: &[Tensor],
        options: &RunOptions,
    ) -> Result<Ready> {
        let is_wanted = |key: &Signature| {
            key.0 == inputs
                && key.1.iter().eq(staged.iter().map(|t| t.fact()))
                && (key.2, key.3) == (options.training, options.without)
        };
        let lock = || self.plans.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(found) = lock().get(is_wanted) {
            return Ok(found);
        }
        let facts = staged.iter().map(|t| t.fact().clone()).collect();
        let key = (inputs.to_vec(), facts, options.training, options.without);
        let compile = |lowered: Lowered| -> Result<Arc<Compiled>> {
            let graph = optimize(lowered.graph, &self.folds, options.without)?;
            let plan = plan(&graph, &self.packs)?;
            let outputs = plan.outputs.len() - lowered.states.len();
            let facts = plan.outputs[..outputs].iter().map(|s| s.fact.clone());
            Ok(Arc::new(Compiled {
                outputs: facts.collect(),
                plan,
                hidden: lowered.hidden,
                kept: lowered.states,
                output_nest: lowered.nest,
                states: Mutex::default(),
            }))
        };
        let ready = match self.lower(&key)? {
            Part::Whole(lowered) => Ready::Whole(compile(lowered)?),
            Part::Stage(lowered, reading) => Ready::Stage(compile(lowered)?, reading),
        };
        lock().put(key, ready.clone());
        Ok(ready)
    }

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

    /// Whether a row's predictions depend on that row alone.
    pub fn rows_independent(&self, inputs: &[Option<Fact>], options: &RunOptions) -> bool {
        let facts = with_rows(inputs, ODD_BATCH);
        let key = (facts, vec![], options.training, options.without);
        let lock = || self.independent.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(&known) = lock().get(&key) {
            return known;
        }
        // A model that can't take this many rows looks at how many there are; texts
        // are as long as the longest of the batch.
        let answer = match self.lower(&key) {
            Ok(Part::Whole(lowered)) => rows_are_independent(&lowered.graph, ODD_BATCH),
            Ok(Part::Stage(..)) | Err(_) => false,
        };
        lock().insert(key, answer);
        answer
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
                let par = if small { Par::Serial } else { Par::Pool };
                run.batch(&feed.batch(range.clone())?, range, par)
            });
        }
        let workers = if small { None } else { pool::pool() };
        let threads = workers.map_or(1, |p| p.current_num_threads());
        run.independent =
            !staged && full.hidden.is_empty() && self.rows_independent(inputs, options);
        let size = match run.independent {
            true => tile_rows(&full, batch_size.min(n), n, threads),
            false => batch_size,
        };
        if run.independent {
            let chunk = chunk_rows(&full, &feed, size, n.div_ceil(threads));
            if chunk > size {
                let starts: Vec<usize> = rows.clone().step_by(chunk).collect();
                let chunk = |start: usize| {
                    let range = start..(start + chunk).min(rows.end);
                    run_chunk(&feed, &full, sink, range, (size, batch_size.min(n)))
                };
                return match workers {
                    Some(pool) if starts.len() > 1 => pool.install(|| {
                        let starts = starts.par_iter().with_max_len(1);
                        first_error(starts.map(|&s| chunk(s)))
                    }),
                    _ => starts.iter().try_for_each(|&s| chunk(s)),
                };
            }
        }
        let starts: Vec<usize> = rows.clone().step_by(size.max(1)).collect();
        let tile = |start: usize, par: Par| -> Result<()> {
            if options.cancel.is_some_and(|c| c.load(Ordering::Relaxed)) {
                return Err(Error::Interrupted);
            }
            let range = start..(start + size).min(rows.end);
            run.batch(&feed.batch(range.clone())?, range, par)
        };
        match workers {
            Some(pool) if starts.len() >= threads && !stateful => pool.install(|| {
                let starts = starts.par_iter().with_max_len(1);
                first_error(starts.map(|&s| tile(s, Par::Serial)))
            }),
            Some(pool) => pool.install(|| starts.iter().try_for_each(|&s| tile(s, Par::Pool))),
            None => starts.iter().try_for_each(|&s| tile(s, Par::Serial)),
        }
    }
}

/// The graph of a context whose lowering gave `out`.
fn finish(mut cx: Cx, out: crate::keras::Out) -> Result<Lowered> {
    let mut values = vec![];
    let nest = out.map(&mut |t: &T| {
        values.push(cx.complex_output(t.value)?);
        Ok::<usize, Error>(values.len() - 1)
    })?;
    values.extend(cx.states().iter().map(|s| s.1));
    let states = cx.states().iter().map(|s| s.0).collect();
    let hidden = std::mem::take(&mut cx.hidden);
    let mut graph = cx.into_builder().graph;
    graph.outputs = values;
    Ok(Lowered {
        graph,
        nest,
        hidden,
        states,
    })
}

impl Reading {
    /// What is read of a tensor.
    fn of(&self, tensor: &View) -> Result<Tensor> {
        match self {
            Reading::Tokens(tokenizer) => Ok(tokenizer.padded(tensor)),
            Reading::Size => {
                let n = usize::try_from(tensor.as_slice::<i64>()[0]).ok();
                let n = n.filter(|&n| n <= LARGEST_SIZE);
                n.map(|n| Tensor::zeros(Fact::new(DType::Bool, [n])))
                    .ok_or_else(|| Error::internal("a size that no tensor can have"))
            }
        }
    }
}

/// A stage leaves the states alone: the run after it sets them.
fn without_states(mut lowered: Lowered) -> Lowered {
    let outputs = lowered.graph.outputs.len() - lowered.states.len();
    lowered.graph.outputs.truncate(outputs);
    lowered.states.clear();
    lowered
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

/// Whether a key is true anywhere in a config.
fn has_flag(v: &serde_json::Value, key: &str) -> bool {
    match v {
        serde_json::Value::Array(items) => items.iter().any(|i| has_flag(i, key)),
        serde_json::Value::Object(o) => {
            o.get(key).and_then(serde_json::Value::as_bool) == Some(true)
                || o.values().any(|i| has_flag(i, key))
        }
        _ => false,
    }
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

/// The error of the first task that has one.
fn first_error(results: impl IndexedParallelIterator<Item = Result<()>>) -> Result<()> {
    let failed = results.filter_map(Result::err).find_first(|_| true);
    failed.map_or(Ok(()), Err)
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

/// Predicts some rows tile by tile, in copies that are row-major. `full` is the
/// plan of `batch` rows.
fn run_chunk(
    feed: &Feed,
    full: &Compiled,
    sink: &dyn Sink,
    rows: Range<usize>,
    (tile, batch): (usize, usize),
) -> Result<()> {
    let chunk = Chunk::new(feed, full, batch, &rows);
    let feed = Feed::new(feed.model, &chunk, feed.batch_size, feed.options);
    let run = Run {
        feed: &feed,
        full: Some(full),
        sink: &chunk,
        independent: true,
    };
    for start in rows.clone().step_by(tile) {
        if feed
            .options
            .cancel
            .is_some_and(|c| c.load(Ordering::Relaxed))
        {
            return Err(Error::Interrupted);
        }
        let range = start..(start + tile).min(rows.end);
        run.batch(&feed.batch(range.clone())?, range, Par::Serial)?;
    }
    chunk.send(sink);
    Ok(())
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

    fn send(self, sink: &dyn Sink) {
        let parts = self.outputs.into_inner().unwrap_or_else(|e| e.into_inner());
        for (i, Piece { start, tensor }) in parts.into_iter().enumerate() {
            let len = tensor.shape().first().copied().unwrap_or(1);
            sink.put(i, start..start + len, tensor.view());
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

/// The same facts with another number of rows.
fn with_rows(inputs: &[Option<Fact>], rows: usize) -> Vec<Option<Fact>> {
    inputs
        .iter()
        .map(|f| {
            f.clone().map(|mut f| {
                if let Some(d) = f.shape.first_mut() {
                    *d = rows;
                }
                f
            })
        })
        .collect()
}

/// Rows of a tile: what fits the caches, at most an even share for each thread.
fn tile_rows(compiled: &Compiled, batch: usize, rows: usize, threads: usize) -> usize {
    let bytes = compiled.plan.arena * crate::tensor::LINE;
    let per_row = (bytes / batch.max(1)).max(1);
    // The weights are read once a tile, and should not be most of what is read.
    let weights: usize = compiled
        .plan
        .consts
        .iter()
        .map(|c| c.tensor.fact().bytes())
        .sum();
    let least = match compiled.plan.is_recurrent() {
        true => RECURRENT_ROWS,
        false => (weights / (4 * per_row)).clamp(1, 8),
    };
    let fitting = (TILE_BYTES / per_row).clamp(least, 1024);
    fitting.min(rows.div_ceil(threads)).max(1)
}
