//! What a model looks like: its layers, shapes and parameters.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};
use crate::graph::Graph as Lowered;
use crate::keras::legacy::FunctionCall;
use crate::keras::model::{join_path, Graph as Calls, InputSpec, ModelLayer, Target};
use crate::keras::policy::Quantization;
use crate::keras::submodel::{History, Symbol};
use crate::keras::{address, Cx, Lacking, LayerNode, Staged, Traced, T};
use crate::model::Model;
use crate::nest::Nest;
use crate::tensor::{DType, Fact};

/// Sizes of a tensor; `None` where they vary.
pub type Dims = Vec<Option<usize>>;

/// A layer (or operation, or input) of a model.
#[derive(Clone, Debug)]
pub struct LayerRow {
    pub name: String,
    pub class: String,
    /// Of the last call; `None` where it could not be found out.
    pub output: Option<Nest<Dims>>,
    pub params: Params,
    pub trainable: bool,
    /// `name[call][tensor]` of every tensor that the layer's calls take.
    pub connected_to: Vec<String>,
    /// The layers of a nested model.
    pub children: Vec<LayerRow>,
    /// Dtype of the computation.
    pub dtype: &'static str,
}

/// A layer (or operation, or input) with its calls.
#[derive(Clone, Debug)]
pub struct LayerCalls {
    pub name: String,
    pub class: String,
    pub is_op: bool,
    /// The tensors that each call takes, and what it gives.
    pub calls: Vec<(Vec<Symbol>, Nest<Symbol>)>,
}

/// Counts of a layer's or model's weights, each shared weight once.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pub trainable: usize,
    pub frozen: usize,
    pub trainable_bytes: usize,
    pub frozen_bytes: usize,
}

impl Params {
    pub fn total(self) -> usize {
        self.trainable + self.frozen
    }

    fn add(&mut self, trainable: bool, numel: usize, bytes: usize) {
        let (count, size) = match trainable {
            true => (&mut self.trainable, &mut self.trainable_bytes),
            false => (&mut self.frozen, &mut self.frozen_bytes),
        };
        *count += numel;
        *size += bytes;
    }
}

/// Weights that have been counted: those that are there by their identity, others
/// by layer and position.
type Seen = HashSet<(u64, usize)>;

fn count(node: &LayerNode, trainable: bool, lacking: &Lacking, seen: &mut Seen, sum: &mut Params) {
    if let (None, Some(twin)) = (node.weights.get(), &node.twin) {
        return count(twin, trainable, lacking, seen, sum);
    }
    let trainable = trainable && node.trainable;
    let mut add = |i: usize, key: (u64, usize), fact: &Fact| {
        if !seen.insert(key) {
            return;
        }
        let lora = node.lora.filter(|_| i == 0);
        if let Some(lora) = lora {
            let packed = matches!(node.policy.quantization, Some(Quantization::Int4 { .. }));
            let adapter = lora.params(&fact.shape, packed);
            sum.add(trainable, adapter, adapter * DType::F32.size());
        }
        // The weights of a custom layer are taken for trainable ones.
        let trains = lora.is_none() && node.vars.get(i).is_none_or(|v| v.trainable);
        sum.add(trainable && trains, fact.numel(), fact.bytes());
    };
    match node.weights.get() {
        Some(weights) => {
            let weights = weights.iter().enumerate();
            weights.for_each(|(i, w)| add(i, (w.id, 0), w.tensor.fact()));
        }
        None => {
            let at = address(node);
            let facts = (0..node.vars.len()).map(|i| Some((i, lacking.get(&(at, i))?)));
            let facts = facts.flatten();
            facts.for_each(|(i, fact)| add(i, (at as u64, i + 1), fact));
        }
    }
    for child in node.tracked() {
        count(child, trainable, lacking, seen, sum);
    }
}

/// Sizes tried for axes that vary: each pair is lowered, and sizes that differ
/// between the two vary with them.
const PROBES: [(usize, usize); 4] = [(64, 96), (16, 24), (224, 256), (1, 2)];
const BATCHES: (usize, usize) = (23, 29);

type Trace = Vec<Traced<Fact>>;

/// A tensor whose sizes may vary.
type Open = (Dims, DType);

impl Model {
    /// A row for each layer, in the order of the model.
    pub fn summary(&self) -> Vec<LayerRow> {
        let shapes = self.traced_shapes().unwrap_or_default();
        let count = |node: &LayerNode| self.params_of(node);
        rows(self.calls(), self.class(), "", &shapes, &count)
    }

    /// Parameters of the whole model.
    pub fn params(&self) -> Params {
        self.params_of(self.root())
    }

    /// Parameters of a layer of the model and all in it.
    pub fn params_of(&self, node: &LayerNode) -> Params {
        let mut sum = Params::default();
        count(node, true, self.lacking(), &mut Seen::new(), &mut sum);
        sum
    }

    /// The weights of a model that has an architecture only, as far as they can be
    /// found out.
    fn lacking(&self) -> &Lacking {
        self.lacking.get_or_init(|| {
            let found = |m: &Model, facts: &[Option<Fact>], size| -> Result<Lacking> {
                let mut cx = m.sketching(size);
                m.lower_into(&mut cx, facts)?;
                Ok(cx.lacking.take().unwrap_or_default().take())
            };
            match self.probe(found) {
                Ok((lacking, _)) => lacking,
                Err(_) => self.some_batch(found).unwrap_or_default(),
            }
        })
    }

    /// A context to find out shapes in.
    pub(crate) fn sketching(&self, size: usize) -> Cx {
        let mut cx = Cx::new(false).with_staged(Staged::Assumed(size));
        cx.lacking = (!self.has_weights()).then(Default::default);
        cx
    }

    /// Shapes of the outputs, flattened, with `None` where sizes vary.
    ///
    /// # Errors
    /// What a layer can't take, when no probed size fits.
    pub fn output_shapes(&self) -> Result<Vec<Dims>> {
        let (a, b) = self.probe(|m, facts, size| {
            let mut lowered = m.lower_assuming(facts, size)?;
            let outputs = lowered.graph.outputs.len() - lowered.states.len();
            lowered.graph.outputs.truncate(outputs);
            Ok(lowered.graph)
        })?;
        let shapes = |g: &Lowered| -> Vec<Vec<usize>> {
            g.outputs.iter().map(|&v| g.fact(v).shape.clone()).collect()
        };
        Ok(shapes(&a)
            .iter()
            .zip(&shapes(&b))
            .map(|(x, y)| merge(x, y))
            .collect())
    }

    /// Checks that the model can be lowered, so that a wrong weight or option
    /// shows when the model is loaded. Sizes that vary may fit no probe.
    ///
    /// # Errors
    /// Whatever lowering finds, if the input's sizes are all known.
    pub fn check(&self) -> Result<()> {
        let fixed = self.has_fixed_sizes();
        match self.output_shapes() {
            Err(e) if !e.is_of_sizes() => Err(e),
            Err(e) if fixed => {
                let lowered = |m: &Model, facts: &[_], size| m.lower_assuming(facts, size);
                self.some_batch(lowered).map(|_| ()).ok_or(e)
            }
            _ => Ok(()),
        }
    }

    /// What `f` makes of inputs of the first number of rows that it takes: literals
    /// and splits along the batch's axis allow few.
    fn some_batch<R>(&self, f: impl Fn(&Model, &[Option<Fact>], usize) -> Result<R>) -> Option<R> {
        let mut sizes = (1..=8).chain([12, 16, 32, 64]);
        sizes.find_map(|n| f(self, &self.probe_facts(n, 1), 1).ok())
    }

    /// Facts of inputs of `batch` rows, where sizes that vary are `size`.
    fn probe_facts(&self, batch: usize, size: usize) -> Vec<Option<Fact>> {
        let fact = |i: &InputSpec| {
            let mut shape: Vec<usize> = i.shape.iter().map(|d| d.unwrap_or(size)).collect();
            if let Some(d) = shape.first_mut() {
                *d = i.shape[0].unwrap_or(batch);
            }
            Some(Fact::new(i.dtype, shape))
        };
        self.inputs().iter().map(fact).collect()
    }

    /// Whether all sizes but the number of rows are known; the number of a text's
    /// tokens is not.
    fn has_fixed_sizes(&self) -> bool {
        !self.has_open_sizes() && self.inputs().iter().all(|i| i.dtype != DType::Str)
    }

    /// Whether an input has a size besides its rows that isn't known.
    fn has_open_sizes(&self) -> bool {
        let mut inputs = self.inputs().iter();
        inputs.any(|i| i.shape.iter().skip(1).any(Option::is_none))
    }

    /// What `f` makes of the model's inputs at two sizes.
    fn probe<R>(&self, f: impl Fn(&Model, &[Option<Fact>], usize) -> Result<R>) -> Result<(R, R)> {
        let fixed = self.has_fixed_sizes();
        let probes = if fixed { &PROBES[..1] } else { &PROBES[..] };
        let mut failed = None;
        for &(small, large) in probes {
            let one = f(self, &self.probe_facts(BATCHES.0, small), small);
            let two = |a| Ok((a, f(self, &self.probe_facts(BATCHES.1, large), large)?));
            match one.and_then(two) {
                Ok(found) => return Ok(found),
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        // Where only the number of rows is open, few of them may do.
        let alone = match self.has_open_sizes() {
            true => None,
            false => self.some_batch(|m, facts, size| Ok((f(m, facts, size)?, f(m, facts, size)?))),
        };
        alone.ok_or_else(|| failed.unwrap_or_else(|| Error::internal("no probe")))
    }

    /// The calls of TensorFlow's functions at two sizes of the inputs.
    ///
    /// # Errors
    /// What a layer can't take, when no probed size fits.
    pub(crate) fn function_calls(&self) -> Result<(Vec<FunctionCall>, Vec<FunctionCall>)> {
        self.probe(|m, facts, size| {
            let mut cx = Cx::new(false).with_staged(Staged::Assumed(size));
            cx.functions = Some(vec![]);
            m.lower_into(&mut cx, facts)?;
            Ok(cx.functions.take().unwrap_or_default())
        })
    }

    /// Outputs of every call of a model's layers.
    fn traced(&self) -> Result<Vec<Traced<Open>>> {
        let (a, b) = self.probe(|m, facts, size| m.trace(facts, size))?;
        a.into_iter()
            .zip(b)
            .map(|((path, slot, x), (_, _, y))| {
                let others: Vec<&Fact> = y.flatten();
                let mut at = 0;
                let merged = x.map(&mut |fact: &Fact| {
                    at += 1;
                    let other = others.get(at - 1).map_or(&[][..], |f| &f.shape);
                    Ok::<Open, Error>((merge(&fact.shape, other), fact.dtype))
                })?;
                Ok((path, slot, merged))
            })
            .collect()
    }

    fn traced_shapes(&self) -> Result<HashMap<String, Nest<Dims>>> {
        let shape = |t: &Open| Ok::<Dims, Error>(t.0.clone());
        self.traced()?
            .into_iter()
            .map(|(path, _, out)| Ok((path.to_string(), out.map(&mut { shape })?)))
            .collect()
    }

    /// The model's layers with their calls, and the tensors of these. It is found
    /// out once.
    ///
    /// # Errors
    /// What a layer can't take, when no probed size fits.
    pub fn layers(&self) -> Result<&[LayerCalls]> {
        if let Some(found) = self.layer_calls.get() {
            return Ok(found);
        }
        let found = self.find_layers()?;
        Ok(self.layer_calls.get_or_init(|| found))
    }

    fn find_layers(&self) -> Result<Vec<LayerCalls>> {
        let graph = self.calls();
        let mut tensors: HashMap<usize, Nest<Open>> = HashMap::new();
        for (spec, &slot) in graph.inputs.iter().zip(graph.input_slots()) {
            tensors.insert(slot, Nest::Leaf((spec.shape.clone(), spec.dtype)));
        }
        for (_, slot, out) in self.traced()? {
            tensors.extend(slot.map(|slot| (slot, out)));
        }
        let symbol = |slot: usize, tensor: usize| -> Option<Symbol> {
            let (at, node) = graph.slot_source(slot)?;
            let (shape, dtype) = (*tensors.get(&slot)?.flatten().get(tensor)?).clone();
            let layer = graph.order[at].0.clone();
            Some(Symbol {
                history: History {
                    layer,
                    node,
                    tensor,
                },
                shape,
                dtype,
            })
        };
        let calls = |at: usize| {
            let calls = graph.calls_of(at).into_iter().map(|(slot, taken)| {
                let inputs = taken.iter().filter_map(|&(s, i)| symbol(s, i)).collect();
                let mut at = 0;
                let outputs = tensors.get(&slot).map_or(Nest::Null, |nest| {
                    let made = nest.map(&mut |_| {
                        at += 1;
                        symbol(slot, at - 1).ok_or(())
                    });
                    made.unwrap_or(Nest::Null)
                });
                (inputs, outputs)
            });
            calls.collect()
        };
        let layers = graph.order.iter().enumerate().map(|(at, (name, target))| {
            let target = target.map(|t| &graph.targets[t]);
            LayerCalls {
                name: name.clone(),
                class: target.map_or("InputLayer", |t| t.class()).to_string(),
                is_op: matches!(target, Some(Target::Op { .. })),
                calls: calls(at),
            }
        });
        Ok(layers.collect())
    }

    /// The tensors that the model gives, in their structure.
    ///
    /// # Errors
    /// As [`Model::layers`].
    pub fn output_symbols(&self) -> Result<Nest<Symbol>> {
        let graph = self.calls();
        let find = |slot: usize| {
            let (at, node) = graph.slot_source(slot)?;
            Some(&self.layers().ok()?.get(at)?.calls.get(node)?.1)
        };
        let lost = || Error::internal("an output of no layer");
        self.layers()?;
        match graph.whole_slot() {
            Some(slot) => find(slot).cloned().ok_or_else(lost),
            None => graph.output_slots().ok_or_else(lost)?.map(&mut |&(s, i)| {
                let found = find(s).and_then(|n| n.flatten().get(i).map(|s| (*s).clone()));
                found.ok_or_else(lost)
            }),
        }
    }

    /// The tensors that the model takes, in their structure.
    ///
    /// # Errors
    /// If an index has no input, which is a defect.
    pub fn input_symbols(&self) -> Result<Nest<Symbol>> {
        self.input_nest().map(&mut |&i| {
            let spec = self.inputs().get(i);
            let spec = spec.ok_or_else(|| Error::internal("no such input"))?;
            Ok(Symbol {
                history: History {
                    layer: spec.name.clone(),
                    node: 0,
                    tensor: 0,
                },
                shape: spec.shape.clone(),
                dtype: spec.dtype,
            })
        })
    }

    /// Outputs of every call, by the path of the layer.
    fn trace(&self, facts: &[Option<Fact>], size: usize) -> Result<Trace> {
        let mut cx = self.sketching(size);
        cx.trace = Some(vec![]);
        self.lower_into(&mut cx, facts)?;
        let trace = cx.trace.take().unwrap_or_default();
        trace
            .into_iter()
            .map(|(path, slot, out)| {
                let facts = out.map(&mut |t: &T| Ok::<_, Error>(cx.keras_fact(t.value)));
                Ok((path, slot, facts?))
            })
            .collect()
    }
}

fn merge(a: &[usize], b: &[usize]) -> Dims {
    a.iter()
        .zip(b)
        .map(|(x, y)| (x == y).then_some(*x))
        .collect()
}

/// Rows of the model at `path`; a Sequential has no row for its input.
fn rows(
    calls: &Calls,
    class: &str,
    path: &str,
    shapes: &HashMap<String, Nest<Dims>>,
    count: &dyn Fn(&LayerNode) -> Params,
) -> Vec<LayerRow> {
    calls
        .order
        .iter()
        .filter(|(_, target)| target.is_some() || class != "Sequential")
        .map(|(name, target)| match target {
            None => {
                let spec = calls.inputs.iter().find(|i| i.name == *name);
                LayerRow {
                    name: name.clone(),
                    class: "InputLayer".to_string(),
                    output: spec.map(|s| Nest::Leaf(s.shape.clone())),
                    params: Params::default(),
                    trainable: true,
                    connected_to: vec![],
                    children: vec![],
                    dtype: spec.map_or("float32", |s| s.dtype.name()),
                }
            }
            Some(at) => row(calls, *at, path, shapes, count),
        })
        .collect()
}

fn row(
    calls: &Calls,
    at: usize,
    path: &str,
    shapes: &HashMap<String, Nest<Dims>>,
    count: &dyn Fn(&LayerNode) -> Params,
) -> LayerRow {
    let target = &calls.targets[at];
    let path = join_path(path, target.name());
    let node = match target {
        Target::Layer(n) => Some(n),
        Target::Op { .. } => None,
    };
    let connected_to = calls
        .connections(at)
        .into_iter()
        .filter_map(|(slot, tensor)| {
            let (layer, call) = calls.slot_source(slot)?;
            Some(format!("{}[{call}][{tensor}]", calls.order[layer].0))
        })
        .collect();
    LayerRow {
        name: target.name().to_string(),
        class: target.class().to_string(),
        output: shapes.get(&path).cloned(),
        params: node.map_or(Params::default(), |n| count(n)),
        trainable: node.is_none_or(|n| n.trainable),
        connected_to,
        children: node
            .and_then(|n| ModelLayer::of(n))
            .map(|m| rows(&m.graph, target.class(), &path, shapes, count))
            .unwrap_or_default(),
        dtype: node.map_or("float32", |n| n.policy.compute.name()),
    }
}
