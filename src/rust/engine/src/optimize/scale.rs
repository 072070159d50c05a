//! Multiplies scales into the weights before them: `(x * w + b) * s` becomes
//! `x * (w s) + b s`. This is how BatchNormalization disappears. Where weights are
//! large, a copy of them would be too: there it becomes `(x * w) * s + b s`, which
//! a convolution does while it has its results in registers.

use std::sync::Arc;

use super::fold::{evaluate, Folds};
use super::rewrite::{readers, Rewriter};
use crate::error::Result;
use crate::graph::{Binary, Const, Graph, Node, Op, ValueId};
use crate::tensor::{DType, Fact};

pub fn scale(graph: &Graph, folds: &Folds) -> Result<Graph> {
    let uses = readers(graph);
    let mut pass = Pass {
        r: Rewriter::new(graph),
        folds,
        old_uses: &uses,
        uses: vec![],
    };
    for node in &graph.nodes {
        if !pass.rewrite(node)? {
            pass.copy(node);
        }
    }
    Ok(pass.r.finish())
}

struct Pass<'a> {
    r: Rewriter<'a>,
    folds: &'a Folds,
    old_uses: &'a [Vec<usize>],
    /// How many readers each new value has in the end.
    uses: Vec<usize>,
}

impl Pass<'_> {
    fn copy(&mut self, node: &Node) {
        self.r.copy(node);
        for v in node.output_ids() {
            let n = self.old_uses[v.0 as usize].len();
            self.count(self.r.value(v), n);
        }
    }

    fn count(&mut self, v: ValueId, n: usize) {
        self.uses.resize(self.uses.len().max(v.0 as usize + 1), 0);
        self.uses[v.0 as usize] = n;
    }

    /// A constant of one value per channel of the last axis: rank 1, or ones before it.
    fn channels(&self, v: ValueId, size: usize) -> Option<Arc<Const>> {
        let c = self.r.out.constant(v)?;
        let shape = c.tensor.shape();
        let fits = shape.last() == Some(&size) && shape.iter().rev().skip(1).all(|&d| d == 1);
        (fits && c.tensor.dtype() == DType::F32).then(|| c.clone())
    }

    /// Rewrites `v * s` and `v + t` over constants `s`, `t`.
    fn rewrite(&mut self, node: &Node) -> Result<bool> {
        let op = match node.op {
            Op::Binary(op @ (Binary::Mul | Binary::Add)) => op,
            _ => return Ok(false),
        };
        let fact = self.r.from.fact(node.first).clone();
        let Some(&size) = fact.shape.last() else {
            return Ok(false);
        };
        let (a, b) = (self.r.value(node.inputs[0]), self.r.value(node.inputs[1]));
        for (x, y) in [(a, b), (b, a)] {
            let Some(c) = self.channels(y, size) else {
                continue;
            };
            if self.r.out.fact(x).shape != fact.shape {
                continue;
            }
            let new = match op {
                Binary::Mul => self.multiply(x, &c, node)?,
                _ => self.add(x, &c, node)?,
            };
            if let Some(new) = new {
                let n = self.old_uses[node.first.0 as usize].len();
                self.count(new, n);
                self.r.set(node.first, new);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn combine(
        &self,
        op: Binary,
        a: &Arc<Const>,
        b: &Arc<Const>,
        path: &str,
    ) -> Result<Arc<Const>> {
        let n = a.tensor.numel().max(b.tensor.numel());
        let flat = |c: &Arc<Const>| self.reshape(c, &[c.tensor.numel()], path);
        let ins = [flat(a)?, flat(b)?];
        let out = evaluate(&Op::Binary(op), &ins, &[Fact::f32([n])], path, self.folds)?;
        Ok(out[0].clone())
    }

    fn reshape(&self, c: &Arc<Const>, shape: &[usize], path: &str) -> Result<Arc<Const>> {
        let fact = Fact::new(c.tensor.dtype(), shape);
        Ok(evaluate(
            &Op::Reshape(shape.to_vec()),
            std::slice::from_ref(c),
            &[fact],
            path,
            self.folds,
        )?[0]
            .clone())
    }

    /// `x * s` where x is a product with a constant, or that plus a constant.
    fn multiply(&mut self, x: ValueId, s: &Arc<Const>, node: &Node) -> Result<Option<ValueId>> {
        if self.uses.get(x.0 as usize) != Some(&1) {
            return Ok(None);
        }
        let before = self.r.out.producer(x).clone();
        let fact = self.r.out.fact(x).clone();
        match &before.op {
            Op::Binary(Binary::Add) => {
                let (y, t) = (before.inputs[0], before.inputs[1]);
                let Some(t) = self.channels(t, fact.shape[fact.rank() - 1]) else {
                    return Ok(None);
                };
                let Some(product) = self.multiply(y, s, node)? else {
                    return Ok(None);
                };
                self.count(product, 1);
                let t = self.combine(Binary::Mul, &t, s, &node.path)?;
                Ok(Some(self.plus(product, t, fact, node)?))
            }
            Op::Reshape(shape) => {
                let y = before.inputs[0];
                if self.r.out.fact(y).shape.last() != fact.shape.last() {
                    return Ok(None);
                }
                let Some(product) = self.multiply(y, s, node)? else {
                    return Ok(None);
                };
                self.count(product, 1);
                let op = Op::Reshape(shape.clone());
                Ok(Some(self.r.push(op, vec![product], fact, &before.path)))
            }
            op => {
                let Some(kernel) = before
                    .inputs
                    .get(1)
                    .and_then(|&k| self.r.out.constant(k))
                    .cloned()
                else {
                    return Ok(None);
                };
                let Some(shape) = scale_shape(op, kernel.tensor.shape()) else {
                    return Ok(None);
                };
                if matches!(op, Op::Conv(..)) && kernel.tensor.fact().bytes() >= LARGE {
                    let s = self.spread(s, fact.rank(), &node.path)?;
                    let s = self.r.constant(s, &node.path);
                    let op = Op::Binary(Binary::Mul);
                    return Ok(Some(self.r.push(op, vec![x, s], fact, &node.path)));
                }
                let spread = self.reshape(s, &shape, &before.path)?;
                let ins = [kernel.clone(), spread];
                let kernel_fact = kernel.tensor.fact().clone();
                let scaled = evaluate(
                    &Op::Binary(Binary::Mul),
                    &ins,
                    &[kernel_fact],
                    &before.path,
                    self.folds,
                )?;
                let k = self.r.constant(scaled[0].clone(), &before.path);
                Ok(Some(self.r.push(
                    op.clone(),
                    vec![before.inputs[0], k],
                    fact,
                    &before.path,
                )))
            }
        }
    }

    /// `x + t` where x already is something plus a constant.
    fn add(&mut self, x: ValueId, t: &Arc<Const>, node: &Node) -> Result<Option<ValueId>> {
        let before = self.r.out.producer(x).clone();
        let fact = self.r.out.fact(x).clone();
        if self.uses.get(x.0 as usize) != Some(&1) || !matches!(before.op, Op::Binary(Binary::Add))
        {
            return Ok(None);
        }
        let Some(first) = self.channels(before.inputs[1], fact.shape[fact.rank() - 1]) else {
            return Ok(None);
        };
        let sum = self.combine(Binary::Add, &first, t, &node.path)?;
        Ok(Some(self.plus(before.inputs[0], sum, fact, node)?))
    }

    fn plus(&mut self, x: ValueId, t: Arc<Const>, fact: Fact, node: &Node) -> Result<ValueId> {
        let t = self.spread(&t, fact.rank(), &node.path)?;
        let t = self.r.constant(t, &node.path);
        let op = Op::Binary(Binary::Add);
        Ok(self.r.push(op, vec![x, t], fact, &node.path))
    }

    /// One value per channel in the shape in which it meets tensors of a rank.
    fn spread(&self, c: &Arc<Const>, rank: usize, path: &str) -> Result<Arc<Const>> {
        let mut shape = vec![1; rank - 1];
        shape.push(c.tensor.numel());
        self.reshape(c, &shape, path)
    }
}

/// Kernels of convolutions that are not copied for a scale, from how many bytes on.
const LARGE: usize = 64 * 1024;

/// The shape in which output channels meet the kernel; `None` for other operations.
fn scale_shape(op: &Op, kernel: &[usize]) -> Option<Vec<usize>> {
    let rank = kernel.len();
    let mut shape = vec![1; rank];
    match op {
        Op::Conv(_, None) => shape[rank - 1] = kernel[rank - 1],
        Op::MatMul {
            tb: false,
            epilogue: None,
            ..
        } if rank == 2 => shape[1] = kernel[1],
        Op::DepthwiseConv(_, None) => {
            shape[rank - 2] = kernel[rank - 2];
            shape[rank - 1] = kernel[rank - 1];
        }
        Op::ConvTranspose(_, None) => shape[rank - 2] = kernel[rank - 2],
        _ => return None,
    }
    Some(shape)
}
