//! Plans: the order of kernels and the memory they share, made once per shape.

mod arena;
mod bands;

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::graph::{Const, Graph, Op, ValueId};
use crate::kernels::bands::{prepare_bands, Stage};
use crate::kernels::{self, Kernel, PackCache, Request};
use crate::memory;
use crate::run::scan::ScanKernel;
use crate::tensor::{lines, show_shape, DType, Fact, LINE};

use bands::Chain;

pub use arena::Region;
pub use bands::Banding;

/// Where a value is while a plan runs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the arena.
    Arena(Region),
    Const(usize),
    /// In the vector of string tensors.
    Strings(usize),
}

/// A value of a plan: where it is, and its dtype and shape.
#[derive(Clone, Debug)]
pub struct Slot {
    pub place: Place,
    pub fact: Fact,
}

/// One kernel and what it works on.
pub struct Step {
    pub kernel: Box<dyn Kernel>,
    pub ins: Vec<Slot>,
    pub outs: Vec<Slot>,
    pub scratch: Option<Region>,
    /// The input whose buffer the first output took over.
    pub aliased: Option<usize>,
    pub path: Arc<str>,
    /// The primitive's name, for the profile.
    pub name: String,
}

/// A graph made ready to run: any number of runs at once, each with a state of its own.
pub struct Plan {
    pub steps: Vec<Step>,
    pub consts: Vec<Arc<Const>>,
    pub inputs: Vec<Slot>,
    pub outputs: Vec<Slot>,
    /// Size of the arena in lines.
    pub arena: usize,
    /// Element counts of the string tensors.
    pub strings: Vec<usize>,
    /// Floating point operations of a run, roughly.
    pub flops: f64,
    /// Whether some step must run on the thread that called the engine.
    pub on_caller: bool,
}

impl Plan {
    /// Whether there is memory for a run.
    ///
    /// # Errors
    /// [`Error::Memory`], with the layer of the largest tensor.
    pub fn ask_for_memory(&self) -> Result<()> {
        let bytes = self.arena.saturating_mul(LINE);
        let all = self
            .steps
            .iter()
            .flat_map(|s| s.outs.iter().map(|o| (&s.path, &o.fact)));
        memory::ask(bytes, || match all.max_by_key(|(_, fact)| fact.bytes()) {
            Some((path, fact)) => {
                let shape = show_shape(&fact.shape);
                let what = format!("a batch whose largest tensor is of shape {shape}");
                (path.to_string(), what)
            }
            None => (String::new(), "a batch".to_string()),
        })
    }

    /// Whether some step is a loop over time.
    pub fn is_recurrent(&self) -> bool {
        self.steps
            .iter()
            .any(|s| matches!(s.name.as_str(), "Rnn" | "Scan"))
    }
}

/// Makes a plan of a graph.
///
/// # Errors
/// If a kernel can't be made, which is a defect.
pub fn plan(graph: &Graph, packs: &PackCache, banding: Banding) -> Result<Plan> {
    Planner::new(graph, bands::chains(graph, banding)?).plan(packs)
}

/// A buffer: one or more values of the same bytes (reshapes, in-place results).
#[derive(Clone)]
struct Buffer {
    bytes: usize,
    first: usize,
    last: usize,
}

struct Planner<'a> {
    graph: &'a Graph,
    /// Nodes that are computed together.
    chains: Vec<Chain>,
    /// The chain of each node that is in one.
    chain_of: Vec<Option<usize>>,
    /// Buffer, constant or string slot of each value.
    homes: Vec<Option<Home>>,
    buffers: Vec<Buffer>,
    consts: Vec<Arc<Const>>,
    const_index: HashMap<u64, usize>,
    strings: Vec<usize>,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Home {
    Buffer(usize),
    Const(usize),
    Strings(usize),
}

struct Draft {
    /// The node, the last one of a chain.
    node: usize,
    inputs: Vec<ValueId>,
    kernel: Box<dyn Kernel>,
    scratch: Option<usize>,
    aliased: Option<usize>,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, chains: Vec<Chain>) -> Self {
        let mut chain_of = vec![None; graph.nodes.len()];
        for (c, chain) in chains.iter().enumerate() {
            chain.nodes.iter().for_each(|n| chain_of[n.0] = Some(c));
        }
        Planner {
            graph,
            chains,
            chain_of,
            homes: vec![None; graph.facts.len()],
            buffers: vec![],
            consts: vec![],
            const_index: HashMap::new(),
            strings: vec![],
        }
    }

    fn home(&self, v: ValueId) -> Result<Home> {
        self.homes[v.0 as usize].ok_or_else(|| Error::internal("a value is used before it is made"))
    }

    fn new_home(&mut self, v: ValueId, at: usize) -> Home {
        let fact = self.graph.fact(v);
        let home = if fact.dtype == DType::Str {
            self.strings.push(fact.numel());
            Home::Strings(self.strings.len() - 1)
        } else {
            self.buffers.push(Buffer {
                bytes: fact.bytes(),
                first: at,
                last: at,
            });
            Home::Buffer(self.buffers.len() - 1)
        };
        self.homes[v.0 as usize] = Some(home);
        home
    }

    fn chain(&self, node: usize) -> Option<&Chain> {
        Some(&self.chains[self.chain_of[node]?])
    }

    /// Index of the last node that reads each value's buffer; outputs live on.
    fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![0; self.graph.facts.len()];
        // A reshape keeps the buffer of its input: uses of the result count for the source.
        let mut root: Vec<usize> = (0..self.graph.facts.len()).collect();
        for (i, node) in self.graph.nodes.iter().enumerate() {
            if let Op::Reshape(_) = node.op {
                root[node.first.0 as usize] = root[node.inputs[0].0 as usize];
            }
            let turn = self.chain(i).map_or(i, Chain::turn);
            for v in &node.inputs {
                let last = &mut last[root[v.0 as usize]];
                *last = turn.max(*last);
            }
        }
        for v in &self.graph.outputs {
            last[root[v.0 as usize]] = usize::MAX;
        }
        (0..last.len()).map(|v| last[root[v]]).collect()
    }

    fn plan(mut self, packs: &PackCache) -> Result<Plan> {
        let graph = self.graph;
        let last = self.last_uses();
        let mut drafts: Vec<Draft> = vec![];
        let mut flops = 0.0;
        for (i, node) in graph.nodes.iter().enumerate() {
            let mut inputs = node.inputs.clone();
            flops += cost(graph, node);
            for out in node.output_ids().map(|v| graph.fact(v)) {
                memory::check(held(out), || (node.path.to_string(), tensor_of(out)))?;
            }
            if self.chain(i).is_some_and(|c| c.turn() != i) {
                continue;
            }
            match &node.op {
                Op::Input(_) => {
                    self.new_home(node.first, 0);
                }
                Op::Const(c) => {
                    let next = self.consts.len();
                    let at = *self.const_index.entry(c.id).or_insert(next);
                    if at == next {
                        self.consts.push(c.clone());
                    }
                    self.homes[node.first.0 as usize] = Some(Home::Const(at));
                }
                Op::Reshape(_) => {
                    let home = self.home(node.inputs[0])?;
                    self.homes[node.first.0 as usize] = Some(home);
                }
                op => {
                    let outs: Vec<Fact> =
                        node.output_ids().map(|v| graph.fact(v).clone()).collect();
                    let kernel: Box<dyn Kernel> = match (self.chain(i), op) {
                        (Some(chain), _) => {
                            let stages = chain.stages(graph);
                            inputs = chain.inputs(graph);
                            prepare_bands(&stages, chain.height, packs)?
                        }
                        (_, Op::Scan(attrs)) => Box::new(ScanKernel::new(attrs, packs)?),
                        _ => {
                            let Stage { ins, .. } = bands::stage(graph, node, 0);
                            kernels::prepare(&Request {
                                op,
                                ins: &ins,
                                outs: &outs,
                                path: &node.path,
                                packs,
                            })?
                        }
                    };
                    let aliased = self.place_outputs(i, &*kernel, &last)?;
                    let scratch = (kernel.scratch() > 0).then(|| {
                        self.buffers.push(Buffer {
                            bytes: kernel.scratch(),
                            first: i,
                            last: i,
                        });
                        self.buffers.len() - 1
                    });
                    drafts.push(Draft {
                        node: i,
                        inputs: inputs.clone(),
                        kernel,
                        scratch,
                        aliased,
                    });
                }
            }
            // Reads extend the life of the buffers that are read.
            for v in &inputs {
                if let Home::Buffer(b) = self.home(*v)? {
                    self.buffers[b].last = self.buffers[b].last.max(i);
                }
            }
        }
        for v in &graph.outputs {
            if let Home::Buffer(b) = self.home(*v)? {
                self.buffers[b].last = usize::MAX;
            }
        }
        self.finish(drafts, flops)
    }

    /// Homes for a node's outputs: the first may take over an input's buffer.
    fn place_outputs(
        &mut self,
        i: usize,
        kernel: &dyn Kernel,
        last: &[usize],
    ) -> Result<Option<usize>> {
        let node = &self.graph.nodes[i];
        let mut aliased = None;
        for (k, v) in node.output_ids().enumerate() {
            let bytes = self.graph.fact(v).bytes();
            let takes = (k == 0)
                .then(|| kernel.in_place())
                .into_iter()
                .flatten()
                .copied()
                .find(|&at| {
                    let input = node.inputs[at];
                    let sole = node.inputs.iter().enumerate().all(|(j, w)| {
                        j == at || self.homes[w.0 as usize] != self.homes[input.0 as usize]
                    });
                    let fits = match self.homes[input.0 as usize] {
                        Some(Home::Buffer(b)) => self.buffers[b].bytes == bytes,
                        _ => false,
                    };
                    sole && fits && bytes > 0 && last[input.0 as usize] == i
                });
            match takes {
                Some(at) => {
                    let home = self.home(node.inputs[at])?;
                    self.homes[v.0 as usize] = Some(home);
                    if let Home::Buffer(b) = home {
                        self.buffers[b].last = i;
                    }
                    aliased = Some(at);
                }
                None => {
                    self.new_home(v, i);
                }
            }
        }
        Ok(aliased)
    }

    fn finish(self, drafts: Vec<Draft>, flops: f64) -> Result<Plan> {
        let wanted: Vec<(usize, usize, usize)> = self
            .buffers
            .iter()
            .map(|b| (lines(b.bytes), b.first, b.last))
            .collect();
        let (regions, size) = arena::assign(&wanted);
        let slot = |v: ValueId| -> Result<Slot> {
            let fact = self.graph.fact(v).clone();
            let place = match self.home(v)? {
                Home::Buffer(b) => Place::Arena(Region {
                    start: regions[b].start,
                    len: lines(fact.bytes()),
                }),
                Home::Const(c) => Place::Const(c),
                Home::Strings(s) => Place::Strings(s),
            };
            Ok(Slot { place, fact })
        };
        let mut steps: Vec<Step> = vec![];
        for d in drafts {
            let node = &self.graph.nodes[d.node];
            let chain = self.chain(d.node);
            steps.push(Step {
                ins: d.inputs.iter().map(|&v| slot(v)).collect::<Result<_>>()?,
                outs: node.output_ids().map(slot).collect::<Result<_>>()?,
                scratch: d.scratch.map(|b| regions[b]),
                aliased: d.aliased,
                path: chain.map_or(node.path.clone(), |c| c.path(self.graph)),
                name: chain.map_or_else(|| op_name(&node.op), |_| "Bands".to_string()),
                kernel: d.kernel,
            });
        }
        let on_caller = steps.iter().any(|s| s.kernel.on_caller());
        Ok(Plan {
            steps,
            inputs: self
                .graph
                .inputs
                .iter()
                .map(|&v| slot(v))
                .collect::<Result<_>>()?,
            outputs: self
                .graph
                .outputs
                .iter()
                .map(|&v| slot(v))
                .collect::<Result<_>>()?,
            consts: self.consts,
            arena: size,
            strings: self.strings,
            flops,
            on_caller,
        })
    }
}

/// Bytes that a tensor takes, in a buffer or as strings.
fn held(fact: &Fact) -> usize {
    match fact.dtype {
        DType::Str => fact.numel().saturating_mul(size_of::<Arc<str>>()),
        _ => fact.bytes(),
    }
}

fn tensor_of(fact: &Fact) -> String {
    format!("a tensor of shape {}", show_shape(&fact.shape))
}

/// The variant's name.
fn op_name(op: &Op) -> String {
    let text = format!("{op:?}");
    text.split([' ', '(', '{']).next().unwrap_or("").to_string()
}

/// Floating point operations of a node, roughly: enough to tell small from large.
fn cost(graph: &Graph, node: &crate::graph::Node) -> f64 {
    let out = graph.fact(node.first).numel() as f64;
    let elements = |i: usize| graph.fact(node.inputs[i]).numel() as f64;
    let last = |i: usize| {
        graph
            .fact(node.inputs[i])
            .shape
            .last()
            .copied()
            .unwrap_or(1) as f64
    };
    match &node.op {
        Op::MatMul { ta, .. } => {
            let f = graph.fact(node.inputs[0]);
            let k = if *ta {
                f.shape[f.rank() - 2]
            } else {
                f.shape[f.rank() - 1]
            };
            2.0 * out * k as f64
        }
        Op::Blend { .. } => 2.0 * out * last(1),
        Op::Attention(a) => {
            let k = &graph.fact(node.inputs[1]).shape;
            let n = k[if a.swapped[1] { 1 } else { k.len() - 2 }] as f64;
            2.0 * n * (elements(0) + out)
        }
        Op::Conv(..) | Op::DepthwiseConv(..) => 2.0 * out * elements(1) / last(1).max(1.0),
        Op::ConvTranspose(..) => {
            let f = graph.fact(node.inputs[0]);
            let channels = f.shape.last().copied().unwrap_or(1).max(1) as f64;
            2.0 * elements(0) * elements(1) / channels
        }
        Op::Pool(a) => out * a.size.iter().product::<usize>() as f64,
        Op::Rnn(_) => 2.0 * elements(0) * graph.fact(node.inputs[1]).shape[0] as f64,
        Op::Scan(a) => {
            let body = &a.body;
            a.length as f64 * body.nodes.iter().map(|n| cost(body, n)).sum::<f64>()
        }
        Op::Map(p) => out * p.steps.len() as f64,
        Op::Input(_) | Op::Const(_) | Op::Reshape(_) => 0.0,
        _ => node
            .inputs
            .iter()
            .map(|&v| graph.fact(v).numel() as f64)
            .sum::<f64>()
            .max(out),
    }
}
