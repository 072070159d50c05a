//! Layers, tensors and weights of models as R values.

use std::sync::Arc;

use extendr_api::prelude::*;
use keraspredict_engine::graph::Const;
use keraspredict_engine::keras::model::ModelLayer;
use keraspredict_engine::keras::submodel::{History, Symbol};
use keraspredict_engine::keras::LayerNode;
use keraspredict_engine::nest::Nest;
use keraspredict_engine::tensor::DType;
use keraspredict_engine::{Error, Model, Result};

use crate::sink::array_of;
use crate::{dims_with_na, sizes_with_na};

/// The class of a tensor of a graph on its way between R and here.
const SYMBOL: &str = "keraspredict_symbol";

/// A row for each layer, operation and input of a model: what it is and its calls.
pub fn layers(model: &Model) -> Result<Robj> {
    let rows = model.layers()?.iter().map(|layer| {
        let node = model.layer(&layer.name);
        let calls = layer.calls.iter().map(|(inputs, outputs)| {
            let inputs = List::from_values(inputs.iter().map(symbol));
            list!(inputs = inputs, outputs = symbols(outputs))
        });
        list!(
            name = layer.name.as_str(),
            class = layer.class.as_str(),
            is_op = layer.is_op,
            nested = node.is_some_and(|n| ModelLayer::of(n).is_some()),
            trainable = node.is_none_or(|n| n.trainable),
            dtype = node.map_or("float32", |n| n.policy.compute.name()),
            params = node.map_or(0, |n| model.params_of(n).total()) as f64,
            calls = List::from_values(calls)
        )
    });
    Ok(List::from_values(rows).into())
}

fn symbol(symbol: &Symbol) -> Robj {
    let mut list = list!(
        layer = symbol.history.layer.as_str(),
        node = symbol.history.node as i32,
        tensor = symbol.history.tensor as i32,
        shape = dims_with_na(&symbol.shape),
        dtype = symbol.dtype.name()
    );
    let _ = list.set_class([SYMBOL]);
    list.into()
}

/// Tensors in their structure.
pub fn symbols(nest: &Nest<Symbol>) -> Robj {
    match nest {
        Nest::Leaf(one) => symbol(one),
        Nest::List(items) => List::from_values(items.iter().map(symbols)).into(),
        Nest::Dict(items) => {
            let mut list = List::from_values(items.iter().map(|(_, item)| symbols(item)));
            let _ = list.set_names(items.iter().map(|(name, _)| name.as_str()));
            list.into()
        }
        Nest::Null => ().into(),
    }
}

/// Tensors that R gives, in their structure.
///
/// # Errors
/// If there is anything else among them.
pub fn read_symbols(x: &Robj) -> Result<Nest<Symbol>> {
    let lost = || Error::internal("expected tensors of a model");
    let list = x.as_list().ok_or_else(lost)?;
    if x.inherits(SYMBOL) {
        let text = |name: &str| list.dollar(name).ok()?.as_str().map(str::to_string);
        let int = |name: &str| list.dollar(name).ok()?.as_integer();
        let read = || {
            Some(Symbol {
                history: History {
                    layer: text("layer")?,
                    node: int("node")? as usize,
                    tensor: int("tensor")? as usize,
                },
                shape: sizes_with_na(&list.dollar("shape").ok()?),
                dtype: DType::parse(&text("dtype")?)?,
            })
        };
        return Ok(Nest::Leaf(read().ok_or_else(lost)?));
    }
    if x.names().is_none() {
        let items = list.values().map(|v| read_symbols(&v));
        return Ok(Nest::List(items.collect::<Result<_>>()?));
    }
    let items = list
        .iter()
        .map(|(k, v)| Ok((k.to_string(), read_symbols(&v)?)));
    Ok(Nest::Dict(items.collect::<Result<_>>()?))
}

/// The arrays of a layer's weights in Keras' order: its own, trainable ones first,
/// then those of its sublayers; shared ones once.
pub fn weights(node: &LayerNode) -> Result<Robj> {
    fn own(node: &LayerNode) -> impl Iterator<Item = &Arc<Const>> {
        let all = node.weights.get().into_iter().flatten().enumerate();
        let (first, rest): (Vec<_>, Vec<_>) =
            all.partition(|(i, _)| node.vars.get(*i).is_none_or(|v| v.trainable));
        first.into_iter().chain(rest).map(|(_, weight)| weight)
    }
    fn collect<'a>(node: &'a LayerNode, out: &mut Vec<&'a Arc<Const>>) {
        // A wrapper that computes with a weight of its layer's has it first.
        let lent = node.tracked().flat_map(|child| own(child));
        for weight in lent.take(node.layer.borrowed()).chain(own(node)) {
            if !out.iter().any(|w| w.id == weight.id) {
                out.push(weight);
            }
        }
        for child in node.tracked() {
            collect(child, out);
        }
    }
    let mut all = vec![];
    collect(node, &mut all);
    let arrays = all.iter().map(|weight| array_of(weight.tensor.view()));
    Ok(List::from_values(arrays.collect::<Result<Vec<_>>>()?).into())
}
