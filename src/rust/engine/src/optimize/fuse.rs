//! Fuses elementwise chains into single passes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::rewrite::{readers, Rewriter};
use crate::graph::{Graph, Node, Op, Program, Step, ValueId};
use crate::tensor::DType;

/// Longest chain of one pass.
const STEPS: usize = 24;
/// Most inputs of one pass.
const INPUTS: usize = 8;

/// Whether a node is elementwise and may join a chain.
fn elementwise(graph: &Graph, node: &Node) -> bool {
    matches!(
        node.op,
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_)
    ) && graph.fact(node.first).dtype != DType::Str
        && node
            .inputs
            .iter()
            .all(|&v| graph.fact(v).dtype != DType::Str)
}

pub fn fuse(graph: &Graph) -> Graph {
    let uses = readers(graph);
    let mut apart = vec![false; graph.nodes.len()];
    let mut root = chains(graph, &uses, &apart);
    while cut(graph, &root, &mut apart) {
        root = chains(graph, &uses, &apart);
    }
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for (i, &to) in root.iter().enumerate() {
        members.entry(to).or_default().push(i);
    }
    let mut r = Rewriter::new(graph);
    for (i, node) in graph.nodes.iter().enumerate() {
        if root[i] != i {
            continue;
        }
        match &members[&i] {
            chain if chain.len() > 1 => {
                let (program, inputs) = program(graph, chain);
                let inputs = inputs.into_iter().map(|v| r.value(v)).collect();
                let fact = graph.fact(node.first).clone();
                let new = r.push(Op::Map(Arc::new(program)), inputs, fact, &node.path);
                r.set(node.first, new);
            }
            _ => r.copy(node),
        }
    }
    r.finish()
}

/// The chain (its last node) that each node joins: its readers' common one, or its
/// own, which is always so for those that are to stand `apart`.
fn chains(graph: &Graph, uses: &[Vec<usize>], apart: &[bool]) -> Vec<usize> {
    let mut root: Vec<usize> = (0..graph.nodes.len()).collect();
    let mut sizes = vec![1usize; graph.nodes.len()];
    for i in (0..graph.nodes.len()).rev() {
        let node = &graph.nodes[i];
        let read_by = &uses[node.first.0 as usize];
        let Some(&reader) = read_by.first() else {
            continue;
        };
        if apart[i] || !elementwise(graph, node) || read_by.contains(&usize::MAX) {
            continue;
        }
        let to = root[reader];
        let last = &graph.nodes[to];
        let joins = elementwise(graph, last)
            && read_by.iter().all(|&r| root[r] == to)
            && graph.fact(node.first).shape == graph.fact(last.first).shape
            && sizes[to] < STEPS;
        if joins {
            root[i] = to;
            sizes[to] += 1;
        }
    }
    root
}

/// Sets the largest part that a pass can take apart from each chain that has too
/// many inputs; whether there was one.
fn cut(graph: &Graph, root: &[usize], apart: &mut [bool]) -> bool {
    // What each node and those of its chain before it read from outside.
    let mut reads: Vec<BTreeSet<ValueId>> = vec![];
    // Of each chain: the node to be cut off, with how many inputs it has.
    let mut best: HashMap<usize, (usize, usize)> = HashMap::new();
    let mut found = false;
    for (i, node) in graph.nodes.iter().enumerate() {
        let mut all = BTreeSet::new();
        for &v in &node.inputs {
            let producer = graph.producers[v.0 as usize] as usize;
            match root[producer] == root[i] {
                true => all.extend(reads[producer].iter().copied()),
                false => all.extend([v]),
            }
        }
        let count = all.len();
        reads.push(all);
        if root[i] != i {
            let best = best.entry(root[i]).or_insert((i, 0));
            if count <= INPUTS && count >= best.1 {
                *best = (i, count);
            }
        } else if count > INPUTS {
            if let Some(&(part, _)) = best.get(&i) {
                apart[part] = true;
                found = true;
            }
        }
    }
    found
}

/// The program of a chain (in order of the graph) and its inputs.
fn program(graph: &Graph, chain: &[usize]) -> (Program, Vec<ValueId>) {
    let mut inputs: Vec<ValueId> = vec![];
    let made: Vec<ValueId> = chain.iter().map(|&i| graph.nodes[i].first).collect();
    for &i in chain {
        for &v in &graph.nodes[i].inputs {
            if !made.contains(&v) && !inputs.contains(&v) {
                inputs.push(v);
            }
        }
    }
    // Inputs of the output's shape first, so that the result may take one over.
    let last = chain.last().map(|&i| graph.nodes[i].first);
    let full = |v: &ValueId| last.is_some_and(|l| graph.fact(*v).shape == graph.fact(l).shape);
    inputs.sort_by_key(|v| !full(v));
    let register = |v: ValueId| match made.iter().position(|m| *m == v) {
        Some(i) => inputs.len() + i,
        None => inputs.iter().position(|x| *x == v).unwrap_or(0),
    };
    let mut steps = vec![];
    let mut dtypes = vec![];
    for &i in chain {
        let node = &graph.nodes[i];
        let arg = |k: usize| register(node.inputs[k]);
        steps.push(match node.op {
            Op::Unary(op) => Step::Unary(op, arg(0)),
            Op::Binary(op) => Step::Binary(op, arg(0), arg(1)),
            Op::Cast(dtype) => Step::Cast(dtype, arg(0)),
            _ => Step::Select(arg(0), arg(1), arg(2)),
        });
        dtypes.push(graph.fact(node.first).dtype);
    }
    let program = Program {
        inputs: inputs.len(),
        steps,
        dtypes,
    };
    (program, inputs)
}
