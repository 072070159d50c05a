//! Lets products and convolutions finish their results with the elementwise
//! chain that follows: bias, activation, residual.

use std::sync::Arc;

use super::rewrite::{readers, Rewriter};
use crate::graph::{Const, Graph, Node, Op, Program, Step, ValueId};
use crate::tensor::{numel, DType, Fact};

pub fn epilogue(graph: &Graph) -> Graph {
    let uses = readers(graph);
    // For each chain: the product it joins, and the reshape between them if any.
    let mut joins: Vec<Option<Join>> = vec![None; graph.nodes.len()];
    let mut taken = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        let Some(program) = chain(graph, node) else {
            continue;
        };
        // The latest product: all other operands are there by then.
        let mut candidates: Vec<(usize, Join)> = (0..node.inputs.len())
            .filter_map(|at| candidate(graph, &uses, node, at, &program))
            .collect();
        candidates.sort_by_key(|c| c.0);
        if let Some((producer, join)) = candidates.pop() {
            if !taken[producer] {
                taken[producer] = true;
                if let Some(v) = join.reshape {
                    taken[v] = true;
                }
                joins[i] = Some(join);
            }
        }
    }
    let mut r = Rewriter::new(graph);
    for (i, node) in graph.nodes.iter().enumerate() {
        match &joins[i] {
            Some(join) => write(&mut r, node, join),
            None if taken[i] => {}
            None => r.copy(node),
        }
    }
    r.finish()
}

#[derive(Clone)]
struct Join {
    product: usize,
    reshape: Option<usize>,
    /// Which input of the chain the product is.
    at: usize,
    program: Program,
}

/// The chain of a node, a single elementwise operation included, if it is f32 throughout.
fn chain(graph: &Graph, node: &Node) -> Option<Program> {
    let single = |step: Step| Program {
        inputs: node.inputs.len(),
        steps: vec![step],
        dtypes: vec![DType::F32],
    };
    let program = match &node.op {
        Op::Map(p) => (**p).clone(),
        Op::Unary(op) => single(Step::Unary(*op, 0)),
        Op::Binary(op) => single(Step::Binary(*op, 0, 1)),
        _ => return None,
    };
    let f32s = graph.fact(node.first).dtype == DType::F32
        && program.dtypes.iter().all(|d| *d == DType::F32)
        && node
            .inputs
            .iter()
            .all(|&v| graph.fact(v).dtype == DType::F32);
    f32s.then_some(program)
}

fn is_product(op: &Op) -> bool {
    matches!(
        op,
        Op::MatMul { epilogue: None, .. }
            | Op::Conv(_, None)
            | Op::DepthwiseConv(_, None)
            | Op::ConvTranspose(_, None)
    )
}

fn candidate(
    graph: &Graph,
    uses: &[Vec<usize>],
    node: &Node,
    at: usize,
    program: &Program,
) -> Option<(usize, Join)> {
    let shape = &graph.fact(node.first).shape;
    let v = node.inputs[at];
    let alone = |v: ValueId| {
        let u = &uses[v.0 as usize];
        !u.contains(&usize::MAX) && u.windows(2).all(|w| w[0] == w[1])
    };
    if !alone(v) || graph.fact(v).shape != *shape || shape.is_empty() {
        return None;
    }
    let mut producer = graph.producers[v.0 as usize] as usize;
    let mut reshape = None;
    if let Op::Reshape(_) = graph.nodes[producer].op {
        let source = graph.nodes[producer].inputs[0];
        if !alone(source) || graph.fact(source).shape.last() != shape.last() {
            return None;
        }
        reshape = Some(producer);
        producer = graph.producers[source.0 as usize] as usize;
    }
    if !is_product(&graph.nodes[producer].op) {
        return None;
    }
    let last = shape[shape.len() - 1];
    let fits = node.inputs.iter().enumerate().all(|(i, &w)| {
        let s = &graph.fact(w).shape;
        let channels = s.last() == Some(&last) && numel(s) == last;
        i == at || numel(s) == 1 || channels || s == shape
    });
    let join = Join {
        product: producer,
        reshape,
        at,
        program: program.clone(),
    };
    fits.then_some((producer, join))
}

/// Writes the product with its epilogue in the chain's place.
fn write(r: &mut Rewriter, node: &Node, join: &Join) {
    let product = &r.from.nodes[join.product];
    let shape = r.from.fact(product.first).shape.clone();
    let last = shape.last().copied().unwrap_or(1);
    // The product becomes register 0, the others follow in order.
    let inputs = join.program.inputs;
    let order: Vec<usize> = std::iter::once(join.at)
        .chain((0..inputs).filter(|&i| i != join.at))
        .collect();
    let program = Arc::new(reordered(&join.program, &order));
    let mut ins: Vec<ValueId> = product.inputs.iter().map(|&v| r.value(v)).collect();
    for &i in &order[1..] {
        let v = r.value(node.inputs[i]);
        let n = r.out.fact(v).numel();
        let want = match n {
            1 => vec![],
            n if n == last && r.out.fact(v).shape != r.from.fact(node.first).shape => vec![last],
            _ => shape.clone(),
        };
        let v = match r.out.constant(v).cloned() {
            _ if r.out.fact(v).shape == want => v,
            // What is constant stays so for the kernel.
            Some(c) => {
                let tensor = (*c.tensor).clone().reshaped(want);
                r.constant(Const::new(c.id, tensor), &node.path)
            }
            None => {
                let op = Op::Reshape(want.clone());
                r.push(op, vec![v], Fact::f32(want), &node.path)
            }
        };
        ins.push(v);
    }
    let op = match product.op.clone() {
        Op::MatMul { ta, tb, .. } => Op::MatMul {
            ta,
            tb,
            epilogue: Some(program),
        },
        Op::Conv(a, _) => Op::Conv(a, Some(program)),
        Op::DepthwiseConv(a, _) => Op::DepthwiseConv(a, Some(program)),
        Op::ConvTranspose(a, _) => Op::ConvTranspose(a, Some(program)),
        other => other,
    };
    let out = r.from.fact(node.first).clone();
    let mut new = r.push(op, ins, Fact::f32(shape.clone()), &product.path);
    if shape != out.shape {
        new = r.push(Op::Reshape(out.shape.clone()), vec![new], out, &node.path);
    }
    r.set(node.first, new);
}

/// The program with its inputs in another order.
pub(super) fn reordered(p: &Program, order: &[usize]) -> Program {
    let at = |i: usize| match i < p.inputs {
        true => order.iter().position(|&o| o == i).unwrap_or(i),
        false => i,
    };
    let steps = p
        .steps
        .iter()
        .map(|s| match *s {
            Step::Unary(op, a) => Step::Unary(op, at(a)),
            Step::Binary(op, a, b) => Step::Binary(op, at(a), at(b)),
            Step::Select(a, b, c) => Step::Select(at(a), at(b), at(c)),
            Step::Cast(d, a) => Step::Cast(d, at(a)),
        })
        .collect();
    Program {
        inputs: p.inputs,
        steps,
        dtypes: p.dtypes.clone(),
    }
}
