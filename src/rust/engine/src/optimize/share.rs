//! Computes equal nodes once; drops pairs of transposes and chains of reshapes.

use std::collections::HashMap;

use super::rewrite::Rewriter;
use crate::graph::{Graph, Node, Op, ValueId};

pub fn share(graph: &Graph) -> Graph {
    let mut r = Rewriter::new(graph);
    let mut seen: HashMap<(String, Vec<ValueId>), ValueId> = HashMap::new();
    for node in &graph.nodes {
        if shortcut(&mut r, node) {
            continue;
        }
        let inputs: Vec<ValueId> = node.inputs.iter().map(|&v| r.value(v)).collect();
        let key = match &node.op {
            Op::Input(_) | Op::Scan(_) | Op::Foreign(_) => None,
            Op::Const(c) => Some((format!("const {} {:?}", c.id, c.tensor.shape()), inputs)),
            op => Some((format!("{op:?}"), inputs)),
        };
        if let Some(found) = key.as_ref().and_then(|k| seen.get(k)) {
            for (i, v) in node.output_ids().enumerate() {
                r.set(v, ValueId(found.0 + i as u32));
            }
            continue;
        }
        r.copy(node);
        if let Some(key) = key {
            seen.insert(key, r.value(node.first));
        }
    }
    r.finish()
}

/// Reshapes of reshapes and transposes of transposes are one, or none.
fn shortcut(r: &mut Rewriter, node: &Node) -> bool {
    let Some(&input) = node.inputs.first() else {
        return false;
    };
    let x = r.value(input);
    let before = r.out.producer(x);
    let fact = r.from.fact(node.first).clone();
    let (op, source) = match (&node.op, &before.op) {
        (Op::Reshape(shape), Op::Reshape(_)) => (Op::Reshape(shape.clone()), before.inputs[0]),
        (Op::Transpose(p), Op::Transpose(q)) => (
            Op::Transpose(p.iter().map(|&i| q[i]).collect()),
            before.inputs[0],
        ),
        _ => return false,
    };
    let same = match &op {
        Op::Transpose(p) => p.iter().enumerate().all(|(i, &j)| i == j),
        _ => r.out.fact(source).shape == fact.shape,
    };
    let new = match same {
        true => source,
        false => r.push(op, vec![source], fact, &node.path),
    };
    r.set(node.first, new);
    true
}
