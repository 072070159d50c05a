//! Drops nodes that no output needs. Inputs stay.

use super::rewrite::Rewriter;
use crate::graph::{Graph, Op};

pub fn prune(graph: &Graph) -> Graph {
    let mut needed = vec![false; graph.nodes.len()];
    for v in &graph.outputs {
        needed[graph.producers[v.0 as usize] as usize] = true;
    }
    for i in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[i];
        needed[i] |= matches!(node.op, Op::Input(_));
        if needed[i] {
            for v in &node.inputs {
                needed[graph.producers[v.0 as usize] as usize] = true;
            }
        }
    }
    let mut r = Rewriter::new(graph);
    for (node, needed) in graph.nodes.iter().zip(needed) {
        if needed {
            r.copy(node);
        }
    }
    r.finish()
}
