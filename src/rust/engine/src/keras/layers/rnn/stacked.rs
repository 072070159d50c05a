//! StackedRNNCells: cells one after another, as one cell.

use std::sync::Arc;

use crate::error::Result;
use crate::graph::ValueId;
use crate::keras::model::StoreNames;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};
use crate::nest::Nest;
use crate::tensor::Shape;

use super::cell::one_step;
use super::{as_cell, Recur};

/// Config key of Keras 2: the states of the last cell come first.
pub const REVERSED_STATES: &str = "reverse_state_order";

struct Stacked {
    /// Where the cells are among the sublayers.
    keys: Vec<String>,
    /// The states of the last cell come first.
    reversed: bool,
}

/// Cells, each over the output of the one before.
pub fn stacked(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let cells = cfg
        .get("cells")
        .and_then(serde_json::Value::as_array)
        .filter(|c| !c.is_empty())
        .ok_or_else(|| cfg.bad("cells", "a list of cells"))?;
    let mut names = StoreNames::default();
    let mut children = vec![];
    for spec in cells {
        let node = nested.layer(spec)?;
        let key = names.next(&node.class).replacen("layers/", "cells/", 1);
        children.push((key, node));
    }
    Ok(Built {
        layer: Box::new(Stacked {
            keys: children.iter().map(|c| c.0.clone()).collect(),
            reversed: cfg.bool_or(REVERSED_STATES, false)?,
        }),
        vars: vec![],
        children,
    })
}

/// What one cell takes of the lists of all.
struct Part<'a> {
    cell: &'a dyn Recur,
    node: &'a Arc<LayerNode>,
    /// Shape of a step of its input.
    input: Shape,
}

impl Stacked {
    /// One list of what each cell has of the states.
    fn joined<T>(&self, mut parts: Vec<Vec<T>>) -> Vec<T> {
        if self.reversed {
            parts.reverse();
        }
        parts.into_iter().flatten().collect()
    }

    fn parts<'a>(&self, cx: &Cx, me: &'a LayerNode, x: &[usize]) -> Result<Vec<Part<'a>>> {
        let mut input = x.to_vec();
        let mut parts = vec![];
        for key in &self.keys {
            let node = me.child(key)?;
            let cell = as_cell(cx, node)?;
            let output = cell.output_shape(cx, node, &input)?;
            parts.push(Part {
                cell,
                node,
                input: std::mem::replace(&mut input, output),
            });
        }
        Ok(parts)
    }
}

impl Recur for Stacked {
    fn state_shapes(&self, cx: &Cx, me: &LayerNode, x: &[usize]) -> Result<Nest<Shape>> {
        let parts = self.parts(cx, me, x)?;
        let shapes = parts
            .iter()
            .map(|p| Ok(vec![p.cell.state_shapes(cx, p.node, &p.input)?]));
        Ok(Nest::List(self.joined(shapes.collect::<Result<_>>()?)))
    }

    fn has_own_start(&self, me: &LayerNode) -> bool {
        let mut cells = self.keys.iter().filter_map(|k| me.child(k).ok());
        cells.any(|n| super::cell_of(n).is_some_and(|cell| cell.has_own_start(n)))
    }

    fn start(&self, cx: &mut Cx, me: &LayerNode, x: &[usize]) -> Result<Vec<ValueId>> {
        let mut out = vec![];
        for p in self.parts(cx, me, x)? {
            out.push(p.cell.start(cx, p.node, &p.input)?);
        }
        Ok(self.joined(out))
    }

    fn output_shape(&self, cx: &Cx, me: &LayerNode, x: &[usize]) -> Result<Shape> {
        let parts = self.parts(cx, me, x)?;
        match parts.last() {
            Some(p) => p.cell.output_shape(cx, p.node, &p.input),
            None => Ok(x.to_vec()),
        }
    }

    fn drops(&self, cx: &mut Cx, me: &LayerNode, x: &[usize]) -> Result<Vec<ValueId>> {
        let mut out = vec![];
        for p in self.parts(cx, me, x)? {
            out.extend(p.cell.drops(cx, p.node, &p.input)?);
        }
        Ok(out)
    }

    /// The work of the first cell's input is done here, before the loop.
    fn prepare(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        x: ValueId,
        drops: &[ValueId],
    ) -> Result<ValueId> {
        let node = me.child(&self.keys[0])?;
        as_cell(cx, node)?.prepare(cx, node, x, drops)
    }

    fn step(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        z: ValueId,
        states: &[ValueId],
        drops: &[ValueId],
    ) -> Result<(ValueId, Vec<ValueId>)> {
        let (mut y, mut states, mut drops) = (z, states, drops);
        let mut new = vec![];
        for (i, key) in self.keys.iter().enumerate() {
            let node = me.child(key)?;
            let cell = as_cell(cx, node)?;
            let shape = cx.shape(y);
            if i > 0 {
                y = cell.prepare(cx, node, y, drops)?;
            }
            let count = cell.state_shapes(cx, node, &shape)?.flatten().len();
            let at = if self.reversed {
                states.len() - count
            } else {
                count
            };
            let (first, last) = states.split_at(at);
            let (mine, rest) = if self.reversed {
                (last, first)
            } else {
                (first, last)
            };
            let (output, after) = cell.step(cx, node, y, mine, drops)?;
            y = output;
            new.push(after);
            states = rest;
            drops = &drops[cell.drop_count(cx.training, node)..];
        }
        Ok((y, self.joined(new)))
    }

    fn drop_count(&self, training: bool, me: &LayerNode) -> usize {
        let cells = self.keys.iter().filter_map(|k| me.child(k).ok());
        cells
            .filter_map(|n| Some(super::cell_of(n)?.drop_count(training, n)))
            .sum()
    }
}

impl Layer for Stacked {
    fn parameters(&self) -> &'static [&'static str] {
        &["inputs", "states", "training"]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        one_step(self, cx, me, call)
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

/// The behaviour of a stack, for who holds its layer.
pub fn of(node: &LayerNode) -> Option<&dyn Recur> {
    let any = node.layer.as_any()?;
    any.downcast_ref::<Stacked>().map(|s| s as &dyn Recur)
}
