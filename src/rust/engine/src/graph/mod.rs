//! The primitive graph: nodes in topological order, each value with its fact.

mod builder;
mod op;
mod rows;
mod text;

pub use builder::*;
pub use op::*;
pub use rows::rows_are_independent;
pub use text::*;

use std::sync::Arc;

use crate::tensor::Fact;

/// A value of a graph: the output of one node.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// One primitive: its inputs, its outputs (consecutive ids), where it came from.
#[derive(Clone, Debug)]
pub struct Node {
    pub op: Op,
    pub inputs: Vec<ValueId>,
    pub first: ValueId,
    pub outputs: usize,
    /// The path of the layer that wrote the node, for errors and the profile.
    pub path: Arc<str>,
}

/// A graph for fixed shapes.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
    /// Fact of each value.
    pub facts: Vec<Fact>,
    /// Index of the node that makes each value.
    pub producers: Vec<u32>,
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
    /// Constants that hold the number of rows.
    pub sizes: Vec<ValueId>,
}

impl Graph {
    pub fn fact(&self, value: ValueId) -> &Fact {
        &self.facts[value.0 as usize]
    }

    pub fn producer(&self, value: ValueId) -> &Node {
        &self.nodes[self.producers[value.0 as usize] as usize]
    }

    /// The tensor of a constant value.
    pub fn constant(&self, value: ValueId) -> Option<&Arc<Const>> {
        match &self.producer(value).op {
            Op::Const(c) => Some(c),
            _ => None,
        }
    }

    /// Adds a node without checks and gives its first output.
    pub fn push(
        &mut self,
        op: Op,
        inputs: Vec<ValueId>,
        outputs: Vec<Fact>,
        path: Arc<str>,
    ) -> ValueId {
        let first = ValueId(self.facts.len() as u32);
        let node = self.nodes.len() as u32;
        self.producers
            .resize(self.facts.len() + outputs.len(), node);
        self.nodes.push(Node {
            op,
            inputs,
            first,
            outputs: outputs.len(),
            path,
        });
        self.facts.extend(outputs);
        first
    }
}

impl Node {
    /// The ids of the node's outputs.
    pub fn output_ids(&self) -> impl Iterator<Item = ValueId> {
        let first = self.first.0;
        (0..self.outputs as u32).map(move |i| ValueId(first + i))
    }
}
