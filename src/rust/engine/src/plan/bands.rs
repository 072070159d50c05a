//! Which nodes of a graph are computed together, band by band.

use std::sync::Arc;

use crate::error::Result;
use crate::graph::{Graph, Node, Op, ValueId};
use crate::kernels::bands::{buffer_bytes, Stage};
use crate::kernels::Operand;

/// Where chains of nodes over images are computed in bands.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Banding {
    Never,
    /// Where what lies between the nodes is too large for the caches.
    #[default]
    Large,
    /// Wherever it is possible, a row at a time: for tests.
    Always,
}

/// Bytes of an image between two nodes from which on they are computed together:
/// below, the caches hold it anyhow.
const LARGE: usize = 1 << 20;
/// What the bands of a chain may take of the caches, in bytes, and its weights,
/// which are read once a band.
const BAND_BYTES: usize = 192 * 1024;
const WEIGHT_BYTES: usize = 256 * 1024;
/// Channels from which on a window is better off in whole images.
const CHANNELS: usize = 16;

/// Nodes that are computed together, in order, each the only reader of the one
/// before it.
pub struct Chain {
    /// Each node, and the one of its inputs that the node before it makes.
    pub nodes: Vec<(usize, usize)>,
    /// Rows of a band.
    pub height: usize,
}

impl Chain {
    pub fn stages<'a>(&self, graph: &'a Graph) -> Vec<Stage<'a>> {
        let each = self.nodes.iter();
        each.map(|&(n, main)| stage(graph, &graph.nodes[n], main))
            .collect()
    }

    /// The node whose turn is the chain's: the last.
    pub fn turn(&self) -> usize {
        self.nodes[self.nodes.len() - 1].0
    }

    /// Inputs of the first node, then those of each other one but the main.
    pub fn inputs(&self, graph: &Graph) -> Vec<ValueId> {
        let mut inputs = vec![];
        for (k, &(n, main)) in self.nodes.iter().enumerate() {
            let all = graph.nodes[n].inputs.iter().enumerate();
            inputs.extend(all.filter(|(i, _)| k == 0 || *i != main).map(|(_, &v)| v));
        }
        inputs
    }

    /// The paths of its layers, each once.
    pub fn path(&self, graph: &Graph) -> Arc<str> {
        let mut paths: Vec<&str> = self
            .nodes
            .iter()
            .map(|&(n, _)| &*graph.nodes[n].path)
            .collect();
        paths.dedup();
        paths.join(" + ").into()
    }

    /// Whether it can be computed in bands, and is worth it.
    fn is_allowed(&self, graph: &Graph, banding: Banding) -> Result<bool> {
        let stages = self.stages(graph);
        if !stages.iter().all(Stage::fits) {
            return Ok(false);
        }
        // Rows that a window reads again are moved: a second one would move more.
        let windows = stages.iter().filter(|s| s.is_windowed()).count();
        let between = &stages[..stages.len() - 1];
        Ok(banding == Banding::Always
            || (windows <= 1
                && between.iter().all(|s| image_bytes(s) >= LARGE)
                && weights(&stages) <= WEIGHT_BYTES
                && !stages.iter().any(is_wide)
                && height(&stages)?.is_some()))
    }
}

/// A node as a stage of a chain.
pub fn stage<'a>(graph: &'a Graph, node: &'a Node, main: usize) -> Stage<'a> {
    let ins = node.inputs.iter().map(|&v| Operand {
        fact: graph.fact(v),
        constant: graph.constant(v),
    });
    Stage {
        op: &node.op,
        ins: ins.collect(),
        out: graph.fact(node.first),
        main,
        path: &node.path,
    }
}

/// The chains of a graph: no node is in two of them. Nodes with most between them
/// are joined first.
pub fn chains(graph: &Graph, banding: Banding) -> Result<Vec<Chain>> {
    if banding == Banding::Never {
        return Ok(vec![]);
    }
    let mut chains: Vec<Chain> = vec![];
    let mut chain_of: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    let chain = |nodes: Vec<(usize, usize)>| Chain { nodes, height: 1 };
    for (i, node) in graph.nodes.iter().enumerate() {
        if let Some(main) = first_main(graph, node) {
            chain_of[i] = Some(chains.len());
            chains.push(chain(vec![(i, main)]));
        }
    }
    let between = |i: usize| graph.fact(graph.nodes[i].first).bytes();
    let mut edges: Vec<(usize, usize)> = sole_readers(graph)
        .into_iter()
        .enumerate()
        .filter_map(|(i, reader)| reader.map(|r| (i, r)))
        .collect();
    edges.sort_by_key(|&(i, _)| (std::cmp::Reverse(between(i)), i));
    for (i, next) in edges {
        let (Some(a), Some(b)) = (chain_of[i], chain_of[next]) else {
            continue;
        };
        let (before, after) = (&chains[a].nodes, &chains[b].nodes);
        // The reader may have joined another chain by another of its inputs.
        if before[before.len() - 1].0 != i || after[0].0 != next {
            continue;
        }
        let out = graph.nodes[i].first;
        let Some(main) = graph.nodes[next].inputs.iter().position(|&v| v == out) else {
            continue;
        };
        let mut joined = chain([&before[..], &after[..]].concat());
        joined.nodes[before.len()].1 = main;
        if joined.is_allowed(graph, banding)? {
            joined.nodes.iter().for_each(|n| chain_of[n.0] = Some(a));
            chains[b].nodes.clear();
            chains[a] = joined;
        }
    }
    chains.retain(|c| c.nodes.len() > 1);
    if banding == Banding::Large {
        for chain in &mut chains {
            chain.height = height(&chain.stages(graph))?.unwrap_or(1);
        }
    }
    Ok(chains)
}

/// The node that reads each node's output, if it is one, and reads it once.
fn sole_readers(graph: &Graph) -> Vec<Option<usize>> {
    let mut readers: Vec<Vec<usize>> = vec![vec![]; graph.nodes.len()];
    let producer = |v: &ValueId| graph.producers[v.0 as usize] as usize;
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs
            .iter()
            .for_each(|v| readers[producer(v)].push(i));
    }
    for v in &graph.outputs {
        readers[producer(v)].push(usize::MAX);
    }
    let sole = |all: Vec<usize>| match all[..] {
        [one] if one != usize::MAX => Some(one),
        _ => None,
    };
    readers.into_iter().map(sole).collect()
}

/// The input of a chain's first node that goes along with its rows.
fn first_main(graph: &Graph, node: &Node) -> Option<usize> {
    (0..node.inputs.len()).find(|&i| {
        let image = !matches!(graph.producer(node.inputs[i]).op, Op::Const(_));
        image && stage(graph, node, i).fits()
    })
}

/// Bytes of the output of one image.
fn image_bytes(stage: &Stage) -> usize {
    stage.row_bytes() * stage.height()
}

fn weights(stages: &[Stage]) -> usize {
    let constants = stages.iter().flat_map(|s| &s.ins);
    let constants = constants.filter(|i| i.constant.is_some());
    constants.map(|i| i.fact.bytes()).sum()
}

/// Whether it is a convolution with wide windows, which has better ways of its own.
fn is_wide(stage: &Stage) -> bool {
    let shape = stage.ins.get(1).map_or(&[][..], |k| &k.fact.shape);
    let channels = shape.len().checked_sub(2).map_or(0, |at| shape[at]);
    matches!(stage.op, Op::Conv(..)) && stage.is_windowed() && channels >= CHANNELS
}

/// The height of the bands of a chain; `None` if even the lowest are too large.
fn height(stages: &[Stage]) -> Result<Option<usize>> {
    let rows = stages.last().map_or(1, Stage::height).max(1);
    let heights = (0..=rows.ilog2()).rev().flat_map(|i| [3 << i >> 1, 1 << i]);
    for height in heights {
        if buffer_bytes(stages, height)? <= BAND_BYTES {
            return Ok(Some(height));
        }
    }
    let between = &stages[..stages.len() - 1];
    let between: usize = between.iter().map(image_bytes).sum();
    Ok((2 * buffer_bytes(stages, 1)? <= between).then_some(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Const, ConvAttrs};
    use crate::tensor::{Fact, Tensor};

    fn conv(g: &mut Graph, x: ValueId, kernel: [usize; 4], depthwise: bool) -> ValueId {
        let shape = g.fact(x).shape.clone();
        let id = g.nodes.len() as u64;
        let weights = Tensor::zeros(Fact::f32(kernel));
        let fact = weights.fact().clone();
        let k = g.push(
            Op::Const(Const::new(id, weights)),
            vec![],
            vec![fact],
            "k".into(),
        );
        let pad = (kernel[0] - 1) / 2;
        let attrs = ConvAttrs {
            strides: vec![1; 2],
            padding: vec![(pad, pad); 2],
            dilation: vec![1; 2],
            groups: 1,
        };
        let channels = match depthwise {
            true => shape[3],
            false => kernel[3],
        };
        let op = match depthwise {
            true => Op::DepthwiseConv(attrs, None),
            false => Op::Conv(attrs, None),
        };
        let out = Fact::f32([shape[0], shape[1], shape[2], channels]);
        let path = format!("{id}");
        g.push(op, vec![x, k], vec![out], path.as_str().into())
    }

    /// An image and an inverted bottleneck of so many pixels a side.
    fn bottleneck(side: usize) -> Graph {
        let mut g = Graph::default();
        let x = g.push(
            Op::Input(0),
            vec![],
            vec![Fact::f32([2, side, side, 16])],
            "".into(),
        );
        g.inputs.push(x);
        let wide = conv(&mut g, x, [1, 1, 16, 96], false);
        let deep = conv(&mut g, wide, [3, 3, 96, 1], true);
        let narrow = conv(&mut g, deep, [1, 1, 96, 24], false);
        let next = conv(&mut g, narrow, [1, 1, 24, 24], false);
        g.outputs.push(next);
        g
    }

    #[test]
    fn large_images_are_joined_and_small_ones_are_not() {
        let nodes = |side: usize, banding: Banding| -> Vec<Vec<usize>> {
            let graph = bottleneck(side);
            let chains = chains(&graph, banding).expect("chains");
            let ids = |c: Chain| c.nodes.iter().map(|n| n.0).collect();
            chains.into_iter().map(ids).collect()
        };
        // What is narrow fits the caches and parts the chain.
        assert_eq!(nodes(64, Banding::Large), [[2, 4, 6]]);
        assert!(nodes(16, Banding::Large).is_empty());
        assert_eq!(nodes(16, Banding::Always), [[2, 4, 6, 8]]);
        assert!(nodes(64, Banding::Never).is_empty());
    }
}
