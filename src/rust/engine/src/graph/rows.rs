//! Whether a graph treats the rows of a batch independently.
//!
//! Each value is followed: where its rows are (an axis, and how many
//! consecutive entries of it belong to one row), or that it does not depend on
//! the inputs. An operation that mixes rows ends the search.

use super::*;
use crate::tensor::numel;

/// Where the rows of a value are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Rows {
    /// The value does not depend on the inputs.
    Free,
    /// Entries `i * factor .. (i + 1) * factor` of `axis` are of row i.
    At { axis: usize, factor: usize },
    /// The value depends on how many rows there are.
    Counted,
}

use Rows::{At, Counted, Free};

/// Whether every output's leading axis holds the rows in order, each computed
/// from its own row of the inputs alone, in a graph lowered for `batch` rows.
/// A small batch of a size that no other axis has by chance makes the answer sharp.
pub fn rows_are_independent(graph: &Graph, batch: usize) -> bool {
    let inputs: Vec<Rows> = graph
        .inputs
        .iter()
        .map(|_| At { axis: 0, factor: 1 })
        .collect();
    let first = |v: &ValueId| graph.fact(*v).shape.first() == Some(&batch);
    graph.inputs.iter().all(first)
        && follow(graph, batch, &inputs)
            .is_some_and(|rows| rows.iter().all(|r| matches!(r, At { axis: 0, .. })))
}

/// Rows of the outputs; `None` if rows are mixed.
fn follow(graph: &Graph, batch: usize, inputs: &[Rows]) -> Option<Vec<Rows>> {
    let mut rows = vec![Free; graph.facts.len()];
    for node in &graph.nodes {
        let ins: Vec<Rows> = node.inputs.iter().map(|v| rows[v.0 as usize]).collect();
        let outs = match &node.op {
            Op::Input(i) => vec![inputs[*i]],
            Op::Const(_) if graph.sizes.contains(&node.first) => vec![Counted],
            _ if ins.contains(&Counted) => match ins.iter().any(|r| matches!(r, At { .. })) {
                true => return None,
                false => vec![Counted; node.outputs],
            },
            _ if ins.iter().all(|r| *r == Free) => vec![Free; node.outputs],
            op => through(graph, node, op, &ins, batch)?,
        };
        for (v, r) in node.output_ids().zip(outs) {
            rows[v.0 as usize] = r;
        }
    }
    Some(graph.outputs.iter().map(|v| rows[v.0 as usize]).collect())
}

/// Rows of a node's outputs, of which at least one input has rows.
fn through(graph: &Graph, node: &Node, op: &Op, ins: &[Rows], batch: usize) -> Option<Vec<Rows>> {
    let shape = |i: usize| graph.fact(node.inputs[i]).shape.as_slice();
    let one = |r: Rows| Some(vec![r]);
    let (axis, factor) = match ins[0] {
        At { axis, factor } => (axis, factor),
        Free | Counted => (usize::MAX, 0),
    };
    match op {
        Op::Unary(_) | Op::Cast(_) | Op::Binary(_) | Op::Select | Op::Map(_) => {
            one(together(graph, node, ins)?)
        }
        Op::Reshape(out) => one(reshaped(shape(0), axis, out, batch)?),
        Op::Transpose(perm) => one(At {
            axis: perm.iter().position(|&p| p == axis)?,
            factor,
        }),
        Op::Broadcast(_) => one(ins[0]),
        Op::Concat(along) => match together(graph, node, ins)? {
            At { axis, .. } if axis == *along => None,
            r => one(r),
        },
        Op::Slice(dims) => {
            let d = dims[axis];
            (d.start == 0 && d.step == 1 && d.len == shape(0)[axis]).then(|| vec![ins[0]])
        }
        Op::Pad(pads, _) => (pads[axis] == (0, 0)).then(|| vec![ins[0]]),
        Op::Gather {
            axis: at,
            batch: lead,
        } => match (ins[0], ins[1]) {
            (Free, At { axis, factor }) if *lead == 0 => one(At {
                axis: at + axis,
                factor,
            }),
            (At { axis, factor }, Free) if axis < *at && *lead == 0 => one(At { axis, factor }),
            (At { axis, factor }, Free) if axis > *at => one(At {
                axis: axis + shape(1).len() - lead - 1,
                factor,
            }),
            (At { axis, factor }, other) if axis < *lead && other == ins[0] => {
                one(At { axis, factor })
            }
            _ => None,
        },
        Op::TakeAlong { axis: along } => match together(graph, node, ins)? {
            At { axis, .. } if axis == *along => None,
            r => one(r),
        },
        Op::Lookup(_) | Op::Hash(_) => one(ins[0]),
        Op::HashCross { .. } => one(together(graph, node, ins)?),
        Op::Count { .. } | Op::Tokenize(..) => (axis + 1 < shape(0).len()).then(|| vec![ins[0]]),
        Op::Fft(_) => match together(graph, node, ins)? {
            At { axis, .. } if axis + 1 == shape(0).len() => None,
            r => Some(vec![r; 2]),
        },
        Op::Bitcast(_) => {
            let (from, to) = (graph.fact(node.inputs[0]), graph.fact(node.first));
            let complex = from.dtype.is_complex() || to.dtype.is_complex();
            (complex || from.shape == to.shape || axis + 1 < shape(0).len()).then(|| vec![ins[0]])
        }
        Op::Linalg(_) => match together(graph, node, ins)? {
            At { axis, .. } if axis + 2 >= shape(0).len() => None,
            r => Some(vec![r; node.outputs]),
        },
        Op::Blend { axis: along } => {
            (axis != *along && ins[1..] == [Free, Free]).then(|| vec![ins[0]])
        }
        Op::Search(_) => (ins[1] == Free).then(|| vec![ins[0]]),
        Op::Sort { .. } => (axis + 1 < shape(0).len()).then(|| vec![ins[0]; 2]),
        Op::Reduce { axes, keepdims, .. } => {
            if axes.contains(&axis) {
                return None;
            }
            let gone = axes.iter().filter(|a| **a < axis).count();
            one(At {
                axis: if *keepdims { axis } else { axis - gone },
                factor,
            })
        }
        Op::Cumulate { axis: along, .. } => (axis != *along).then(|| vec![ins[0]]),
        Op::Softmax { .. } => (axis + 1 < shape(0).len()).then(|| vec![ins[0]]),
        Op::LayerNorm { .. } => {
            (axis + 1 < shape(0).len() && ins[1..].iter().all(|r| *r == Free)).then(|| vec![ins[0]])
        }
        Op::MatMul {
            ta, epilogue: None, ..
        } => {
            let lead = shape(0).len() - 2;
            match (ins[0], ins[1]) {
                (At { axis, .. }, Free) if axis < lead && shape(1).len() > 2 => {
                    uniform(graph, node.inputs[1], axis).then(|| vec![ins[0]])
                }
                (At { axis, .. }, Free) if axis < lead => one(ins[0]),
                (At { axis, factor }, Free) if axis == if *ta { lead + 1 } else { lead } => {
                    one(At { axis: lead, factor })
                }
                (Free, At { axis, .. }) if axis < lead => {
                    uniform(graph, node.inputs[0], axis).then(|| vec![ins[1]])
                }
                (a, b) if a == b && axis < lead => one(a),
                _ => None,
            }
        }
        Op::Conv(_, None) | Op::DepthwiseConv(_, None) | Op::ConvTranspose(_, None) => {
            (axis == 0 && ins[1] == Free).then(|| vec![ins[0]])
        }
        Op::Pool(_) => (axis == 0).then(|| vec![ins[0]]),
        Op::Rnn(attrs) => {
            let states = if attrs.recurrent_bias { 3 } else { 2 };
            let fits = axis == 0
                && ins[1..states].iter().all(|r| *r == Free)
                && ins[states..]
                    .iter()
                    .zip(&node.inputs[states..])
                    .all(|(r, v)| *r == ins[0] || (*r == Free && uniform(graph, *v, 0)));
            fits.then(|| vec![ins[0]; node.outputs])
        }
        Op::Scan(attrs) => scanned(graph, node, attrs, ins, batch),
        _ => None,
    }
}

/// Rows of operands that meet element by element: those with rows agree, the
/// others are the same for all rows.
fn together(graph: &Graph, node: &Node, ins: &[Rows]) -> Option<Rows> {
    let found = *ins.iter().find(|r| **r != Free)?;
    let At { axis, .. } = found else { return None };
    let fits = ins.iter().zip(&node.inputs).all(|(r, v)| match r {
        Free | Counted => uniform(graph, *v, axis),
        r => *r == found,
    });
    fits.then_some(found)
}

/// Whether a value that does not depend on the inputs is the same all along an axis.
fn uniform(graph: &Graph, v: ValueId, axis: usize) -> bool {
    let shape = &graph.fact(v).shape;
    if shape.is_empty() || shape.get(axis) == Some(&1) {
        return true;
    }
    let node = graph.producer(v);
    match &node.op {
        Op::Broadcast(_) => graph.fact(node.inputs[0]).shape.get(axis) == Some(&1),
        Op::Cast(_) | Op::Unary(_) => uniform(graph, node.inputs[0], axis),
        Op::Const(c) => {
            let bytes = c.tensor.bytes();
            let run = numel(&shape[axis + 1..]) * c.tensor.dtype().size();
            let block = run * shape[axis];
            run > 0
                && !bytes.is_empty()
                && bytes
                    .chunks(block)
                    .all(|b| b.chunks(run).all(|r| r == &b[..run]))
        }
        _ => false,
    }
}

fn reshaped(from: &[usize], axis: usize, to: &[usize], batch: usize) -> Option<Rows> {
    let before = numel(&from[..axis]);
    let mut product = 1;
    for (j, &size) in to.iter().enumerate() {
        if product == before && size % batch == 0 && size > 0 {
            return Some(At {
                axis: j,
                factor: size / batch,
            });
        }
        product *= size;
    }
    None
}

/// Rows through a loop: the body must keep the carries' rows where they are.
fn scanned(
    graph: &Graph,
    node: &Node,
    attrs: &ScanAttrs,
    ins: &[Rows],
    batch: usize,
) -> Option<Vec<Rows>> {
    let mut inside: Vec<Rows> = ins
        .iter()
        .enumerate()
        .map(|(i, r)| match *r {
            At { axis, factor } if i < attrs.sequences => {
                axis.checked_sub(1).map(|axis| At { axis, factor })
            }
            r => Some(r),
        })
        .collect::<Option<_>>()?;
    let carries = attrs.sequences..attrs.sequences + attrs.carries;
    // A carry that starts the same for all rows has rows after the first step.
    for _ in 0..=attrs.carries {
        let outs = follow(&attrs.body, batch, &inside)?;
        let mut changed = false;
        for (k, i) in carries.clone().enumerate() {
            if outs[k] == inside[i] {
                continue;
            }
            let At { axis, .. } = outs[k] else {
                return None;
            };
            if inside[i] != Free || !uniform(graph, node.inputs[i], axis) {
                return None;
            }
            inside[i] = outs[k];
            changed = true;
        }
        if !changed {
            let stacked = |(k, r): (usize, Rows)| match r {
                At { axis, factor } if k >= attrs.carries => At {
                    axis: axis + 1,
                    factor,
                },
                r => r,
            };
            return Some(outs.into_iter().enumerate().map(stacked).collect());
        }
    }
    None
}
