//! A loaded model: its parts, its plans, its predictions.

mod compile;
mod predict;
mod tiles;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::format::{self, ModelFile, Weights};
use crate::graph::{Op, ValueId};
use crate::host::{Functions, FUNCTIONS};
use crate::keras::model::{identity, Graph as Calls, InputSpec, ModelLayer};
use crate::keras::submodel::{self, History, Symbol};
use crate::keras::{legacy, load, save, Lacking, LayerNode, StateKey};
use crate::kernels::PackCache;
use crate::nest::Nest;
use crate::optimize::{optimize, Folds, Passes};
use crate::plan::Banding;
use crate::summary::LayerCalls;
use crate::tensor::{Fact, Tensor};
use crate::trial;

use compile::{Arenas, Part, PlanCache, Signature};

pub use compile::{Compiled, Lowered};
pub use predict::{Sink, Source, StepTime};

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
    /// Where images are computed in bands.
    pub banding: Banding,
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        RunOptions {
            training: Some(false),
            seed: 0,
            cancel: None,
            without: Passes::default(),
            banding: Banding::default(),
        }
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
    arenas: Arc<Arenas>,
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
            let again = Model::with_functions(file.clone(), &self.functions());
            let sketch = again.and_then(|again| again.sketch());
            if sketch.ok() != Some(self.sketch()?) {
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
        let options = RunOptions {
            without: Passes::ALL,
            ..RunOptions::default()
        };
        let key = Signature::new(inputs, vec![], &options);
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
            arenas: Arc::default(),
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
            arenas: self.arenas.clone(),
            ..Model::of_parts(file, root, calls)
        }
    }

    /// The model's files that belong to layers of a part of it, under the part's paths.
    fn assets_of(&self, part: &LayerNode) -> format::Assets {
        let mut from = vec![];
        load::places(&self.root, "", &self.file.assets, &mut from);
        let mut to = vec![];
        load::places(part, "", &format::Assets::default(), &mut to);
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
        let made = |layer: &str| {
            let own = self.layers().ok()?.iter().find(|l| l.name == layer)?;
            own.calls.first().map(|(_, outputs)| outputs.clone())
        };
        let config =
            submodel::config_between(&self.file.config, &self.calls, name, inputs, outputs, &made)?;
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
            given: format!("{rows} rows in batches of {batch}"),
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
}

/// Whether a key is true anywhere in a config.
fn has_flag(v: &Json, key: &str) -> bool {
    match v {
        Json::Array(items) => items.iter().any(|i| has_flag(i, key)),
        Json::Object(o) => {
            o.get(key).and_then(Json::as_bool) == Some(true) || o.values().any(|i| has_flag(i, key))
        }
        _ => false,
    }
}
