//! Writes primitives into a graph, checking shapes and dtypes as it goes.

mod einsum;
mod elementwise;
mod half;
mod half_products;
mod movement;
mod numeric;
mod products;
mod recurrence;
mod reductions;
mod text;

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::*;
use crate::error::{Error, Result};
use crate::host::Foreign;
use crate::memory;
use crate::tensor::{numel, show_shape, DType, Elem, Fact, Shape, Tensor};

/// A graph under construction. Every method that adds a primitive infers its
/// output's fact and fails with [`Error::Lowering`], naming the current layer,
/// when the inputs don't fit.
pub struct Builder {
    pub graph: Graph,
    path: Arc<str>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            graph: Graph::default(),
            path: Arc::from(""),
        }
    }
}

/// The id of a constant made from literal contents.
pub fn content_id(tensor: &Tensor) -> u64 {
    let mut h = DefaultHasher::new();
    tensor.fact().hash(&mut h);
    tensor.bytes().hash(&mut h);
    tensor.strings().hash(&mut h);
    h.finish()
}

/// Shape of two shapes broadcast together, numpy's rule.
pub fn broadcast_shapes(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// The name of a primitive, as messages have it.
fn named(primitive: &impl std::fmt::Debug) -> String {
    let name = format!("{primitive:?}").to_lowercase();
    name.split([' ', '('])
        .next()
        .unwrap_or_default()
        .to_string()
}

impl Builder {
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// Sets the layer that following nodes belong to; gives the one before.
    pub fn set_path(&mut self, path: Arc<str>) -> Arc<str> {
        std::mem::replace(&mut self.path, path)
    }

    /// An [`Error::Lowering`] at the current layer.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::Lowering {
            layer: self.path.to_string(),
            message: message.into(),
        }
    }

    /// An [`Error::Call`] at the current layer: what the model asks for can't be run,
    /// whatever the shape of its input.
    pub fn call_error(&self, message: impl Into<String>) -> Error {
        Error::Call {
            layer: self.path.to_string(),
            message: message.into(),
        }
    }

    /// An [`Error::Internal`] at the current layer: no lowering asks for this.
    pub fn defect(&self, message: impl fmt::Display) -> Error {
        Error::internal(format!("layer '{}': {message}", self.path))
    }

    pub fn fact(&self, x: ValueId) -> &Fact {
        self.graph.fact(x)
    }

    pub fn shape(&self, x: ValueId) -> Shape {
        self.fact(x).shape.clone()
    }

    pub fn dtype(&self, x: ValueId) -> DType {
        self.fact(x).dtype
    }

    pub fn rank(&self, x: ValueId) -> usize {
        self.fact(x).rank()
    }

    /// Size of an axis, which may count from the end.
    pub fn dim(&self, x: ValueId, axis: isize) -> Result<usize> {
        let axis = self.axis(axis, self.rank(x))?;
        Ok(self.fact(x).shape[axis])
    }

    /// A possibly negative axis as an index below `rank`.
    pub fn axis(&self, axis: isize, rank: usize) -> Result<usize> {
        let r = rank as isize;
        if axis < -r || axis >= r {
            return Err(self.error(format!("axis {axis} is out of range for rank {rank}")));
        }
        Ok(if axis < 0 { axis + r } else { axis } as usize)
    }

    fn push(&mut self, op: Op, inputs: Vec<ValueId>, fact: Fact) -> ValueId {
        let path = self.path.clone();
        self.graph.push(op, inputs, vec![fact], path)
    }

    /// A new input of the graph.
    pub fn input(&mut self, fact: Fact) -> ValueId {
        let v = self.push(Op::Input(self.graph.inputs.len()), vec![], fact);
        self.graph.inputs.push(v);
        v
    }

    /// A weight, which keeps its identity over all plans of a model.
    pub fn weight(&mut self, weight: &Arc<Const>) -> ValueId {
        let fact = weight.tensor.fact().clone();
        self.push(Op::Const(weight.clone()), vec![], fact)
    }

    /// A literal tensor.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let id = content_id(&tensor);
        self.weight(&Const::new(id, tensor))
    }

    /// A literal of rank 0.
    pub fn scalar(&mut self, dtype: DType, value: f64) -> ValueId {
        self.constant(Tensor::scalar(dtype, value))
    }

    pub fn f32s(&mut self, shape: impl Into<Shape>, values: &[f32]) -> ValueId {
        self.constant(Tensor::from_slice(shape, values))
    }

    pub fn i32s(&mut self, shape: impl Into<Shape>, values: &[i32]) -> ValueId {
        self.constant(Tensor::from_slice(shape, values))
    }

    /// A literal tensor of what `at` gives for each position, in row-major order.
    pub fn generated<T: Elem>(
        &mut self,
        shape: impl Into<Shape>,
        at: impl FnMut(usize) -> T,
    ) -> Result<ValueId> {
        let mut tensor = self.blank(Fact::new(T::DTYPE, shape))?;
        let all = tensor.as_mut::<T>().iter_mut().zip((0..).map(at));
        all.for_each(|(to, value)| *to = value);
        Ok(self.constant(tensor))
    }

    /// As [`Builder::generated`], of bools.
    pub fn generated_bools(
        &mut self,
        shape: impl Into<Shape>,
        mut at: impl FnMut(usize) -> bool,
    ) -> Result<ValueId> {
        let mut tensor = self.blank(Fact::new(DType::Bool, shape))?;
        let all = tensor.bytes_mut().iter_mut().enumerate();
        all.for_each(|(i, to)| *to = at(i) as u8);
        Ok(self.constant(tensor))
    }

    /// Zeros to be written to.
    ///
    /// # Errors
    /// [`Error::Memory`], naming the current layer, where they are too many.
    pub fn blank(&self, fact: Fact) -> Result<Tensor> {
        let shape = show_shape(&fact.shape);
        self.ask(fact.bytes(), &format!("a tensor of shape {shape}"))?;
        Ok(Tensor::zeros(fact))
    }

    /// Whether so much memory can be had for something of the current layer.
    pub fn ask(&self, bytes: usize, what: &str) -> Result<()> {
        memory::ask(bytes, || (self.path.to_string(), what.to_string()))
    }

    /// A tensor of one value.
    pub fn full(&mut self, fact: Fact, value: f64) -> Result<ValueId> {
        let s = self.scalar(fact.dtype, value);
        self.broadcast_to(s, &fact.shape)
    }

    /// A call of a function of the caller that gives tensors of these facts.
    pub fn foreign(
        &mut self,
        what: Arc<Foreign>,
        inputs: &[ValueId],
        facts: Vec<Fact>,
    ) -> Vec<ValueId> {
        let count = facts.len() as u32;
        let path = self.path.clone();
        let op = Op::Foreign(what);
        let first = self.graph.push(op, inputs.to_vec(), facts, path);
        (0..count).map(|i| ValueId(first.0 + i)).collect()
    }
}

/// Slices that take all of every axis.
pub fn whole_slices(shape: &[usize]) -> Vec<SliceDim> {
    shape
        .iter()
        .map(|&len| SliceDim {
            start: 0,
            step: 1,
            len,
        })
        .collect()
}
