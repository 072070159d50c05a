//! Layers and activations that functions of the caller stand in for.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::Result;
use crate::graph::ValueId;
use crate::host::{Foreign, Given};
use crate::keras::{Arg, Built, Call, Cx, Layer, LayerNode, Out, T};
use crate::nest::Nest;
use crate::tensor::{Fact, Tensor, View};

/// A layer of a class that the engine does not know.
struct Custom {
    key: String,
    config: Json,
}

/// The layer that the function `key` computes.
pub fn custom(key: String, config: Json) -> Built {
    Built::new(Custom { key, config })
}

impl Layer for Custom {
    fn parameters(&self) -> &'static [&'static str] {
        &[]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let mut tensors = vec![];
        let inputs = match call.args.as_slice() {
            [one] => given(one, &mut tensors),
            all => Nest::List(all.iter().map(|a| given(a, &mut tensors)).collect()),
        };
        let mut named = vec![];
        for (name, arg) in &call.kwargs {
            if !arg.is_none() && name != "training" && name != "mask" {
                named.push((name.clone(), given(arg, &mut tensors)));
            }
        }
        let mask = call.mask().or_else(|| {
            let first = call.args.first().map(Arg::tensors);
            first.and_then(|t| t.first()?.mask)
        });
        let mask = mask.map(|m| {
            tensors.push(m);
            tensors.len() - 1
        });
        let names = me.names.get().into_iter().flatten().cloned();
        let weights = me.weights.get().into_iter().flatten().cloned();
        let what = Foreign {
            key: self.key.clone(),
            layer: cx.path().to_string(),
            class: me.class.clone(),
            activation: false,
            config: self.config.clone(),
            weights: names.zip(weights).collect(),
            inputs,
            named,
            mask,
            training: cx.training,
            float: me.policy.compute,
        };
        foreign(cx, what, &tensors)
    }

    fn takes_any_weights(&self) -> bool {
        true
    }
}

fn given(arg: &Arg, tensors: &mut Vec<ValueId>) -> Nest<Given> {
    match arg {
        Arg::Tensor(t) => {
            tensors.push(t.value);
            Nest::Leaf(Given::Tensor(tensors.len() - 1))
        }
        Arg::Lit(Json::Null) => Nest::Null,
        Arg::Lit(v) => Nest::Leaf(Given::Lit(v.clone())),
        Arg::List(items) => Nest::List(items.iter().map(|a| given(a, tensors)).collect()),
        Arg::Dict(items) => {
            let items = items.iter().map(|(k, a)| (k.clone(), given(a, tensors)));
            Nest::Dict(items.collect())
        }
    }
}

/// An activation that the function `key` computes.
pub fn custom_activation(cx: &mut Cx, key: &str, x: ValueId) -> Result<ValueId> {
    let float = cx.dtype(x);
    let what = Foreign {
        key: key.to_string(),
        layer: cx.path().to_string(),
        class: "activation".to_string(),
        activation: true,
        config: Json::Null,
        weights: vec![],
        inputs: Nest::Leaf(Given::Tensor(0)),
        named: vec![],
        mask: None,
        training: cx.training,
        float,
    };
    let out = foreign(cx, what, &[x])?;
    match out.single() {
        Some(y) => Ok(y.value),
        None => Err(cx.error("an activation must give one tensor")),
    }
}

/// Writes a call of a function of the caller. What it gives is found out by
/// calling it on zeros.
fn foreign(cx: &mut Cx, what: Foreign, tensors: &[ValueId]) -> Result<Out> {
    let zeros = tensors.iter().map(|&v| Tensor::zeros(cx.fact(v).clone()));
    let zeros: Vec<Tensor> = zeros.collect();
    let views: Vec<View> = zeros.iter().map(Tensor::view).collect();
    let made = what.call(&views, true)?;
    let leaves = made.flatten();
    let mut facts: Vec<Fact> = leaves.iter().map(|m| m.0.fact().clone()).collect();
    if facts.is_empty() {
        return Err(what.failed("it gives no array"));
    }
    let count = facts.len();
    // Masks follow the results.
    let mut masks = vec![];
    for (_, mask) in leaves {
        masks.push(mask.as_ref().map(|m| {
            facts.push(m.fact().clone());
            facts.len() - 1
        }));
    }
    let values = cx.foreign(Arc::new(what), tensors, facts);
    let mut at = 0;
    debug_assert_eq!(masks.len(), count);
    made.map(&mut |_| {
        at += 1;
        Ok(T {
            value: values[at - 1],
            mask: masks[at - 1].map(|m| values[m]),
        })
    })
}
