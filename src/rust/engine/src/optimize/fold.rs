//! Computes subgraphs of constants, once per model.

use std::collections::hash_map::DefaultHasher;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use super::rewrite::Rewriter;
use crate::error::Result;
use crate::graph::{Const, Graph, Op, ValueId};
use crate::kernels::{prepare, Operand, PackCache, Par, Request};
use crate::tensor::{buffer, DType, Fact, Tensor, View, ViewMut};

/// What has been folded for a model: all its plans share the results.
#[derive(Default)]
pub struct Folds {
    done: Mutex<HashMap<u64, Vec<Arc<Const>>>>,
}

/// Folding must not blow up memory: broadcasts of this size are left to the run.
/// Casts are not: weights in few bits would be cast for each tile of rows.
const LARGEST: usize = 1 << 20;

/// Replaces nodes whose inputs are all constant.
pub fn fold(graph: &Graph, folds: &Folds) -> Result<Graph> {
    let mut r = Rewriter::new(graph);
    for node in &graph.nodes {
        let consts: Option<Vec<Arc<Const>>> = node
            .inputs
            .iter()
            .map(|&v| r.out.constant(r.value(v)).cloned())
            .collect();
        let facts: Vec<Fact> = node.output_ids().map(|v| graph.fact(v).clone()).collect();
        let grows = |ins: &[Arc<Const>]| {
            let into: usize = ins.iter().map(|c| c.tensor.fact().bytes()).sum();
            let out: usize = facts.iter().map(Fact::bytes).sum();
            out > LARGEST && out > into
        };
        match consts {
            Some(ins)
                if !ins.is_empty()
                    && !matches!(node.op, Op::Scan(_) | Op::Foreign(_))
                    && (matches!(node.op, Op::Cast(_)) || !grows(&ins)) =>
            {
                let results = evaluate(&node.op, &ins, &facts, &node.path, folds)?;
                for (v, c) in node.output_ids().zip(results) {
                    let new = r.constant(c, &node.path);
                    r.set(v, new);
                }
            }
            _ => r.copy(node),
        }
    }
    Ok(r.finish())
}

/// The tensor of a value that follows from constants alone; `None` where it doesn't,
/// or where there is more to compute than sizes and indices take.
///
/// # Errors
/// Those of the operations it comes from.
pub fn known(graph: &Graph, value: ValueId) -> Result<Option<Tensor>> {
    const MOST: usize = 1 << 16;
    if let Some(c) = graph.constant(value) {
        return Ok(Some((*c.tensor).clone()));
    }
    let node = graph.producer(value);
    let facts: Vec<Fact> = node.output_ids().map(|v| graph.fact(v).clone()).collect();
    let large = |f: &Fact| f.numel() > MOST || f.dtype == DType::Str;
    let loops = matches!(node.op, Op::Scan(_) | Op::Foreign(_));
    if node.inputs.is_empty() || loops || facts.iter().any(large) {
        return Ok(None);
    }
    let mut ins = Vec::with_capacity(node.inputs.len());
    for &v in &node.inputs {
        match known(graph, v)? {
            Some(t) => ins.push(Const::new(0, t)),
            None => return Ok(None),
        }
    }
    let at = (value.0 - node.first.0) as usize;
    if let Op::Reshape(shape) = &node.op {
        let tensor = (*ins[0].tensor).clone();
        return Ok(Some(tensor.reshaped(shape.clone())));
    }
    let mut outs = compute(&node.op, &ins, &facts, &node.path)?;
    Ok(Some(outs.swap_remove(at)))
}

/// The results of a node of constants, from the cache where it was met before.
pub fn evaluate(
    op: &Op,
    ins: &[Arc<Const>],
    facts: &[Fact],
    path: &str,
    folds: &Folds,
) -> Result<Vec<Arc<Const>>> {
    let mut h = DefaultHasher::new();
    format!("{op:?}").hash(&mut h);
    for c in ins {
        (c.id, c.tensor.shape()).hash(&mut h);
    }
    let id = h.finish();
    let lock = || folds.done.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(found) = lock().get(&id).cloned() {
        return Ok(found);
    }
    let tensors = match op {
        Op::Reshape(shape) => vec![(*ins[0].tensor).clone().reshaped(shape.clone())],
        _ => compute(op, ins, facts, path)?,
    };
    let results: Vec<Arc<Const>> = tensors
        .into_iter()
        .enumerate()
        .map(|(i, t)| Const::new(id.wrapping_add(i as u64), t))
        .collect();
    lock().insert(id, results.clone());
    Ok(results)
}

fn compute(op: &Op, ins: &[Arc<Const>], facts: &[Fact], path: &str) -> Result<Vec<Tensor>> {
    let operands: Vec<Operand> = ins
        .iter()
        .map(|c| Operand {
            fact: c.tensor.fact(),
            constant: None,
        })
        .collect();
    let packs = PackCache::default();
    let kernel = prepare(&Request {
        op,
        ins: &operands,
        outs: facts,
        path,
        packs: &packs,
    })?;
    let mut outs: Vec<Tensor> = facts.iter().map(|f| Tensor::zeros(f.clone())).collect();
    let views: Vec<View> = ins.iter().map(|c| c.tensor.view()).collect();
    let mut writes: Vec<ViewMut> = outs.iter_mut().map(Tensor::view_mut).collect();
    let mut scratch = buffer(kernel.scratch());
    kernel.run(&views, &mut writes, &mut scratch, None, Par::Serial)?;
    drop(writes);
    Ok(outs)
}
