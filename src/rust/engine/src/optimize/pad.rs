//! Lets convolutions pad their images themselves.

use super::rewrite::{readers, Rewriter};
use crate::graph::{ConvAttrs, Graph, Node, Op, PadMode};

pub fn pad(graph: &Graph) -> Graph {
    let uses = readers(graph);
    let mut r = Rewriter::new(graph);
    for node in &graph.nodes {
        let Some((image, attrs)) = padded(graph, &uses, node) else {
            r.copy(node);
            continue;
        };
        let op = match &node.op {
            Op::Conv(_, e) => Op::Conv(attrs, e.clone()),
            Op::DepthwiseConv(_, e) => Op::DepthwiseConv(attrs, e.clone()),
            other => other.clone(),
        };
        let mut inputs: Vec<_> = node.inputs.iter().map(|&v| r.value(v)).collect();
        inputs[0] = r.value(image);
        let new = r.push(op, inputs, graph.fact(node.first).clone(), &node.path);
        r.set(node.first, new);
    }
    r.finish()
}

/// The image that a convolution's input pads with zeros for it alone, and the
/// convolution's attributes with that padding.
fn padded(
    graph: &Graph,
    uses: &[Vec<usize>],
    node: &Node,
) -> Option<(crate::graph::ValueId, ConvAttrs)> {
    let (Op::Conv(attrs, _) | Op::DepthwiseConv(attrs, _)) = &node.op else {
        return None;
    };
    let input = graph.producer(node.inputs[0]);
    let Op::Pad(pads, PadMode::Constant) = &input.op else {
        return None;
    };
    let zero = graph.constant(input.inputs[1])?.tensor.to_f64() == [0.0];
    let alone = uses[input.first.0 as usize].len() == 1;
    let last = pads.len() - 1;
    if !zero || !alone || pads[0] != (0, 0) || pads[last] != (0, 0) {
        return None;
    }
    let mut attrs = attrs.clone();
    for (own, more) in attrs.padding.iter_mut().zip(&pads[1..last]) {
        *own = (own.0 + more.0, own.1 + more.1);
    }
    Some((input.inputs[0], attrs))
}
