//! Squares floats whose constant exponent is 2.

use super::rewrite::Rewriter;
use crate::graph::{Binary, Graph, Node, Op, Unary};
use crate::tensor::DType;

pub fn power(graph: &Graph) -> Graph {
    let mut r = Rewriter::new(graph);
    for node in &graph.nodes {
        if !is_square(graph, node) {
            r.copy(node);
            continue;
        }
        let x = r.value(node.inputs[0]);
        let fact = graph.fact(node.first).clone();
        let square = r.push(Op::Unary(Unary::Square), vec![x], fact, &node.path);
        r.set(node.first, square);
    }
    r.finish()
}

fn is_square(graph: &Graph, node: &Node) -> bool {
    let fact = graph.fact(node.first);
    if !matches!(node.op, Op::Binary(Binary::Pow))
        || !matches!(fact.dtype, DType::F32 | DType::F64)
        || fact.shape != graph.fact(node.inputs[0]).shape
    {
        return false;
    }
    let exponent = graph.constant(node.inputs[1]).map(|c| &c.tensor);
    exponent.is_some_and(|t| t.numel() == 1 && t.to_f64() == [2.0])
}
