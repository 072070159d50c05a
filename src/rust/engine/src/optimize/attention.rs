//! Makes one operation of attention: a product, its softmax, and the product of
//! that. The scores, which are as many as queries times keys, then need not be
//! written out. Transposes that only move the heads are read through.

use std::sync::Arc;

use super::epilogue::reordered;
use super::rewrite::{readers, Rewriter};
use crate::graph::{AttentionAttrs, Graph, Node, Op, Program, Step, ValueId};
use crate::tensor::{numel, DType};

pub fn attention(graph: &Graph) -> Graph {
    let uses = readers(graph);
    let search = Search { graph, uses: &uses };
    let mut found: Vec<Option<Found>> = vec![None; graph.nodes.len()];
    for node in &graph.nodes {
        if let Some((last, attention)) = search.around(node) {
            found[last] = Some(attention);
        }
    }
    let mut r = Rewriter::new(graph);
    for (node, found) in graph.nodes.iter().zip(found) {
        let Some(found) = found else {
            // What an attention replaces stays, unused, for the pruning.
            r.copy(node);
            continue;
        };
        let inputs = found.inputs.iter().map(|&v| r.value(v)).collect();
        let fact = graph.fact(node.first).clone();
        let new = r.push(Op::Attention(found.attrs), inputs, fact, &found.path);
        r.set(node.first, new);
    }
    r.finish()
}

#[derive(Clone)]
struct Found {
    inputs: Vec<ValueId>,
    attrs: AttentionAttrs,
    path: Arc<str>,
}

/// Queries and keys, the program that finishes their products, and its operands.
struct Scores {
    q: ValueId,
    k: ValueId,
    program: Option<Arc<Program>>,
    operands: Vec<ValueId>,
}

struct Search<'a> {
    graph: &'a Graph,
    uses: &'a [Vec<usize>],
}

impl Search<'_> {
    fn producer(&self, v: ValueId) -> &Node {
        &self.graph.nodes[self.graph.producers[v.0 as usize] as usize]
    }

    fn shape(&self, v: ValueId) -> &[usize] {
        &self.graph.fact(v).shape
    }

    /// The only node that reads a value.
    fn reader(&self, v: ValueId) -> Option<usize> {
        match self.uses[v.0 as usize].as_slice() {
            &[one] if one != usize::MAX => Some(one),
            _ => None,
        }
    }

    /// The attention whose softmax a node is, and the last node of it.
    fn around(&self, softmax: &Node) -> Option<(usize, Found)> {
        let weights = softmax.first;
        let fact = self.graph.fact(weights);
        if !matches!(softmax.op, Op::Softmax { log: false })
            || fact.dtype != DType::F32
            || fact.rank() < 3
            || fact.numel() == 0
        {
            return None;
        }
        let Scores {
            q,
            k,
            program,
            operands,
        } = self.scores(softmax.inputs[0])?;
        let mut last = self.reader(weights)?;
        let context = &self.graph.nodes[last];
        let plain = matches!(
            context.op,
            Op::MatMul {
                ta: false,
                tb: false,
                epilogue: None
            }
        );
        let (first, v) = (*context.inputs.first()?, *context.inputs.get(1)?);
        let stacked = |v: ValueId| self.shape(v).len() == fact.rank();
        if !plain || first != weights || v == weights || ![q, k, v].into_iter().all(stacked) {
            return None;
        }
        let path = self.producer(softmax.inputs[0]).path.clone();
        let mut swapped = [false; 4];
        let mut inputs: Vec<ValueId> = [q, k, v]
            .into_iter()
            .zip(&mut swapped)
            .map(|(v, swapped)| {
                let producer = self.producer(v);
                *swapped = moves_heads(&producer.op);
                if *swapped {
                    producer.inputs[0]
                } else {
                    v
                }
            })
            .collect();
        inputs.extend(operands);
        if let Some(after) = self.reader(context.first) {
            if moves_heads(&self.graph.nodes[after].op) {
                swapped[3] = true;
                last = after;
            }
        }
        let attrs = AttentionAttrs {
            scores: program,
            swapped,
        };
        Some((
            last,
            Found {
                inputs,
                attrs,
                path,
            },
        ))
    }

    /// Where the scores before a softmax come from.
    fn scores(&self, v: ValueId) -> Option<Scores> {
        self.reader(v)?;
        let node = self.producer(v);
        if let Some((q, k, program)) = product(node) {
            return Some(Scores {
                q,
                k,
                program,
                operands: node.inputs[2..].to_vec(),
            });
        }
        let program = elementwise(node, self.graph)?;
        let shape = self.shape(v);
        let last = shape[shape.len() - 1];
        for (at, &x) in node.inputs.iter().enumerate() {
            let others = || (0..node.inputs.len()).filter(|&i| i != at);
            let fits = others().all(|i| {
                let s = self.shape(node.inputs[i]);
                numel(s) == 1 || s == shape || (numel(s) == last && s.last() == Some(&last))
            });
            let Some((q, k, None)) = product(self.producer(x)) else {
                continue;
            };
            if fits && self.reader(x).is_some() && self.shape(x) == shape {
                let order: Vec<usize> = std::iter::once(at).chain(others()).collect();
                let program = Arc::new(reordered(&program, &order));
                let operands = others().map(|i| node.inputs[i]).collect();
                return Some(Scores {
                    q,
                    k,
                    program: Some(program),
                    operands,
                });
            }
        }
        None
    }
}

/// Both sides of a product of the first's rows with the second's, and its epilogue.
fn product(node: &Node) -> Option<(ValueId, ValueId, Option<Arc<Program>>)> {
    match &node.op {
        Op::MatMul {
            ta: false,
            tb: true,
            epilogue,
        } => Some((node.inputs[0], node.inputs[1], epilogue.clone())),
        _ => None,
    }
}

/// The program of an elementwise node.
fn elementwise(node: &Node, graph: &Graph) -> Option<Program> {
    let step = match &node.op {
        Op::Map(program) => return Some((**program).clone()),
        Op::Unary(op) => Step::Unary(*op, 0),
        Op::Binary(op) => Step::Binary(*op, 0, 1),
        Op::Select => Step::Select(0, 1, 2),
        _ => return None,
    };
    Some(Program {
        inputs: node.inputs.len(),
        steps: vec![step],
        dtypes: vec![graph.fact(node.first).dtype],
    })
}

/// Whether an operation swaps the middle axes of four.
fn moves_heads(op: &Op) -> bool {
    matches!(op, Op::Transpose(perm) if perm == &[0, 2, 1, 3])
}
