//! Plans by input signature: a model lowered, optimised and planned for shapes.

use std::sync::{Arc, Mutex};

use super::{Model, RunOptions};
use crate::error::{Error, Result};
use crate::graph::{rows_are_independent, Graph};
use crate::keras::{Cx, Hidden, Out, Reading, Staged, StateKey, T};
use crate::kernels::Par;
use crate::nest::Nest;
use crate::optimize::{optimize, Passes};
use crate::plan::{plan, Banding, Plan};
use crate::run::State;
use crate::tensor::{DType, Fact, Tensor, View};
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
pub(super) enum Part {
    Whole(Lowered),
    /// A graph that gives the tensor that the next stage reads.
    Stage(Lowered, Reading),
}

/// The plan of a [`Part`].
#[derive(Clone)]
pub(super) enum Ready {
    Whole(Arc<Compiled>),
    Stage(Arc<Compiled>, Reading),
}

/// A plan with what belongs to it outside of the run.
pub struct Compiled {
    pub plan: Plan,
    /// Facts of the model's outputs.
    pub outputs: Vec<Fact>,
    /// What the plan's inputs after the model's are.
    pub(super) hidden: Vec<Hidden>,
    /// What the plan's outputs after the model's are.
    pub(super) kept: Vec<StateKey>,
    /// The structure of the outputs, over indices into `outputs`.
    pub output_nest: Nest<usize>,
    arenas: Arc<Arenas>,
}

/// States that are not in use, which all plans of a model share.
pub(super) type Arenas = Mutex<Vec<State>>;

impl Compiled {
    /// Runs with a state of its own: `before` writes the inputs, `after` reads the outputs.
    pub fn with_state<R>(
        &self,
        par: Par,
        before: impl FnOnce(&mut State, &Plan),
        after: impl FnOnce(&State, &Plan) -> R,
    ) -> Result<R> {
        let lock = || self.arenas.lock().unwrap_or_else(|e| e.into_inner());
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

/// What decides a plan.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Signature {
    inputs: Vec<Option<Fact>>,
    /// Facts of the stages' tokens.
    staged: Vec<Fact>,
    training: Option<bool>,
    without: Passes,
    banding: Banding,
}

impl Signature {
    pub fn new(inputs: Vec<Option<Fact>>, staged: Vec<Fact>, options: &RunOptions) -> Signature {
        Signature {
            inputs,
            staged,
            training: options.training,
            without: options.without,
            banding: options.banding,
        }
    }
}

/// Plans by signature, the most recently used last.
#[derive(Default)]
pub(super) struct PlanCache(Vec<(Signature, Ready)>);

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

/// A batch size that no other axis is likely to have.
const ODD_BATCH: usize = 23;

/// The largest size of an axis that data may decide.
const LARGEST_SIZE: usize = 1 << 31;

impl Model {
    /// The primitive graph for inputs of given shapes, before any optimisation, or
    /// that of the next stage.
    pub(super) fn lower(&self, key: &Signature) -> Result<Part> {
        let mut cx = Cx::new(key.training).with_staged(Staged::Known(key.staged.clone()));
        let out = self.lower_into(&mut cx, &key.inputs);
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
    pub fn lower_into(&self, cx: &mut Cx, inputs: &[Option<Fact>]) -> Result<Out> {
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

    pub(super) fn ready(
        &self,
        inputs: &[Option<Fact>],
        staged: &[Tensor],
        options: &RunOptions,
    ) -> Result<Ready> {
        let is_wanted = |key: &Signature| {
            key.inputs == inputs
                && key.staged.iter().eq(staged.iter().map(|t| t.fact()))
                && (key.training, key.without) == (options.training, options.without)
                && key.banding == options.banding
        };
        let lock = || self.plans.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(found) = lock().get(is_wanted) {
            return Ok(found);
        }
        let facts = staged.iter().map(|t| t.fact().clone()).collect();
        let key = Signature::new(inputs.to_vec(), facts, options);
        let compile = |lowered: Lowered| -> Result<Arc<Compiled>> {
            let graph = optimize(lowered.graph, &self.folds, options.without)?;
            let plan = plan(&graph, &self.packs, options.banding)?;
            let outputs = plan.outputs.len() - lowered.states.len();
            let facts = plan.outputs[..outputs].iter().map(|s| s.fact.clone());
            Ok(Arc::new(Compiled {
                outputs: facts.collect(),
                plan,
                hidden: lowered.hidden,
                kept: lowered.states,
                output_nest: lowered.nest,
                arenas: self.arenas.clone(),
            }))
        };
        let ready = match self.lower(&key)? {
            Part::Whole(lowered) => Ready::Whole(compile(lowered)?),
            Part::Stage(lowered, reading) => Ready::Stage(compile(lowered)?, reading),
        };
        lock().put(key, ready.clone());
        Ok(ready)
    }

    /// Whether a row's predictions depend on that row alone.
    pub fn rows_independent(&self, inputs: &[Option<Fact>], options: &RunOptions) -> bool {
        let facts = with_rows(inputs, ODD_BATCH);
        let key = Signature::new(facts, vec![], options);
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
}

/// The graph of a context whose lowering gave `out`.
fn finish(mut cx: Cx, out: Out) -> Result<Lowered> {
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
    pub(super) fn of(&self, tensor: &View) -> Result<Tensor> {
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

/// The same facts with another number of rows.
pub(super) fn with_rows(inputs: &[Option<Fact>], rows: usize) -> Vec<Option<Fact>> {
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
