//! What passes share: copying a graph node by node, and counting uses.

use std::sync::Arc;

use crate::graph::{Const, Graph, Node, Op, ValueId};
use crate::tensor::Fact;

/// A graph being rebuilt from another.
pub struct Rewriter<'a> {
    pub from: &'a Graph,
    pub out: Graph,
    map: Vec<Option<ValueId>>,
}

impl<'a> Rewriter<'a> {
    pub fn new(from: &'a Graph) -> Self {
        Rewriter {
            from,
            out: Graph::default(),
            map: vec![None; from.facts.len()],
        }
    }

    /// The new value of an old one, which must have been made already.
    pub fn value(&self, old: ValueId) -> ValueId {
        self.map[old.0 as usize].unwrap_or(ValueId(u32::MAX))
    }

    pub fn set(&mut self, old: ValueId, new: ValueId) {
        self.map[old.0 as usize] = Some(new);
    }

    /// Copies a node as it is.
    pub fn copy(&mut self, node: &Node) {
        let inputs = node.inputs.iter().map(|&v| self.value(v)).collect();
        let facts = node
            .output_ids()
            .map(|v| self.from.fact(v).clone())
            .collect();
        let new = self
            .out
            .push(node.op.clone(), inputs, facts, node.path.clone());
        for (i, v) in node.output_ids().enumerate() {
            self.set(v, ValueId(new.0 + i as u32));
        }
        if let Op::Input(_) = node.op {
            self.out.inputs.push(new);
        }
    }

    /// Adds a node with one output.
    pub fn push(&mut self, op: Op, inputs: Vec<ValueId>, fact: Fact, path: &Arc<str>) -> ValueId {
        self.out.push(op, inputs, vec![fact], path.clone())
    }

    /// Adds a constant.
    pub fn constant(&mut self, c: Arc<Const>, path: &Arc<str>) -> ValueId {
        let fact = c.tensor.fact().clone();
        self.push(Op::Const(c), vec![], fact, path)
    }

    pub fn finish(mut self) -> Graph {
        self.out.outputs = self.from.outputs.iter().map(|&v| self.value(v)).collect();
        self.out
    }
}

/// For each value: the nodes that read it (once per read); outputs of the graph
/// count as a reader that is no node.
pub fn readers(graph: &Graph) -> Vec<Vec<usize>> {
    let mut out = vec![vec![]; graph.facts.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        for v in &node.inputs {
            out[v.0 as usize].push(i);
        }
    }
    for v in &graph.outputs {
        out[v.0 as usize].push(usize::MAX);
    }
    out
}
