//! Layers and activations that functions of the caller stand in for.

use std::any::Any;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::Result;
use crate::graph::ValueId;
use crate::host::{self, Foreign, Given, Role};
use crate::keras::layers::rnn::{zeros, Recur};
use crate::keras::{Arg, Built, Call, Cx, Layer, LayerNode, Out, T};
use crate::nest::Nest;
use crate::tensor::{counted, show_shape, Fact, Shape, Tensor, View};

/// A layer of a class that the engine does not know.
pub struct Custom {
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
        let what = Foreign {
            mask,
            ..self.foreign(cx, me, inputs, named)
        };
        foreign(cx, what, &tensors)
    }

    fn takes_any_weights(&self) -> bool {
        true
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Custom {
    fn foreign(
        &self,
        cx: &Cx,
        me: &LayerNode,
        inputs: Nest<Given>,
        named: Vec<(String, Nest<Given>)>,
    ) -> Foreign {
        let names = me.names.get().into_iter().flatten().cloned();
        let weights = me.weights.get().into_iter().flatten().cloned();
        Foreign {
            key: self.key.clone(),
            layer: cx.path().to_string(),
            class: me.class.clone(),
            role: Role::Layer,
            config: self.config.clone(),
            weights: names.zip(weights).collect(),
            inputs,
            named,
            mask: None,
            training: cx.training,
            float: me.policy.compute,
        }
    }

    /// The call of one step: the first tensor is the input, the others are the states.
    fn one_step(&self, cx: &Cx, me: &LayerNode, states: usize) -> Foreign {
        let tensor = |i| Nest::Leaf(Given::Tensor(i));
        let states = Nest::List((1..=states).map(tensor).collect());
        self.foreign(cx, me, tensor(0), vec![("states".to_string(), states)])
    }
}

/// As the cell of an RNN, the function takes the states, too, and gives the output
/// with the new states after it.
impl Recur for Custom {
    fn state_shapes(&self, cx: &Cx, me: &LayerNode, x: &[usize]) -> Result<Nest<Shape>> {
        let config = |key: &str| self.config.get(key).cloned();
        let size = host::state_size(&self.key).or_else(|| config("state_size"));
        let size = size.or_else(|| config("units")).unwrap_or_default();
        let rows = x.first().copied().unwrap_or(1);
        let shape = |size: &Json| -> Option<Nest<Shape>> {
            let sizes = match size {
                Json::Array(sizes) => sizes.iter().map(as_size).collect::<Option<Vec<_>>>()?,
                one => vec![as_size(one)?],
            };
            Some(Nest::Leaf([vec![rows], sizes].concat()))
        };
        let shapes = match &size {
            Json::Array(all) if all.is_empty() => None,
            Json::Array(all) => all.iter().map(shape).collect::<Option<_>>().map(Nest::List),
            one => shape(one),
        };
        shapes.ok_or_else(|| {
            self.one_step(cx, me, 0).failed(
                "the sizes of its states are not known; give the function an attribute \
                 'state_size', such as 8 or c(8, 8)",
            )
        })
    }

    fn has_own_start(&self, _: &LayerNode) -> bool {
        host::has_initial_state(&self.key)
    }

    fn start(&self, cx: &mut Cx, me: &LayerNode, x: &[usize]) -> Result<Vec<ValueId>> {
        if !self.has_own_start(me) {
            return zeros(self, cx, me, x);
        }
        let shapes = self.state_shapes(cx, me, x)?;
        let rows = Nest::Leaf(Given::Lit(x.first().copied().unwrap_or(1).into()));
        let what = Foreign {
            role: Role::InitialState,
            ..self.foreign(cx, me, rows, vec![])
        };
        let wanted: Vec<Shape> = shapes.flatten().into_iter().cloned().collect();
        let wrong = what.failed(format!(
            "its initial states must have the shapes {}",
            wanted
                .iter()
                .map(|s| show_shape(s))
                .collect::<Vec<_>>()
                .join(", ")
        ));
        let made = foreign(cx, what, &[])?;
        let made: Vec<ValueId> = made.flatten().into_iter().map(|t| t.value).collect();
        if made.iter().map(|&v| cx.shape(v)).ne(wanted) {
            return Err(wrong);
        }
        made.iter()
            .map(|&v| cx.cast(v, me.policy.compute))
            .collect()
    }

    fn output_shape(&self, cx: &Cx, me: &LayerNode, x: &[usize]) -> Result<Shape> {
        let states = self.state_shapes(cx, me, x)?;
        let shapes = std::iter::once(x.to_vec()).chain(states.flatten().into_iter().cloned());
        let zeros = shapes.map(|s| cx.blank(Fact::new(me.policy.compute, s)));
        let zeros: Vec<Tensor> = zeros.collect::<Result<_>>()?;
        let views: Vec<View> = zeros.iter().map(Tensor::view).collect();
        let what = self.one_step(cx, me, zeros.len() - 1);
        let made = what.call(&views, true)?;
        let output = made.flatten().first().map(|m| m.0.shape().to_vec());
        output.ok_or_else(|| what.failed("it gives no array"))
    }

    fn step(
        &self,
        cx: &mut Cx,
        me: &LayerNode,
        z: ValueId,
        states: &[ValueId],
        _: &[ValueId],
    ) -> Result<(ValueId, Vec<ValueId>)> {
        let what = self.one_step(cx, me, states.len());
        let wrong = what.failed(format!(
            "it must give a list of the output and {}, of the shapes of the old",
            counted(states.len(), "new state", "new states")
        ));
        let made = foreign(cx, what, &[&[z], states].concat())?;
        let made: Vec<ValueId> = made.flatten().into_iter().map(|t| t.value).collect();
        let Some((&output, after)) = made.split_first() else {
            return Err(wrong);
        };
        let fits = |(&new, &old): (&ValueId, &ValueId)| cx.shape(new) == cx.shape(old);
        if after.len() != states.len() || !after.iter().zip(states).all(fits) {
            return Err(wrong);
        }
        let dtype = me.policy.compute;
        let after = after
            .iter()
            .map(|&s| cx.cast(s, dtype))
            .collect::<Result<_>>()?;
        Ok((cx.cast(output, dtype)?, after))
    }

    fn step_rank(&self) -> Option<usize> {
        None
    }
}

fn as_size(value: &Json) -> Option<usize> {
    let size = value
        .as_f64()
        .filter(|n| n.fract() == 0.0 && (0.0..1e9).contains(n))?;
    Some(size as usize)
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
        role: Role::Activation,
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
        None => Err(cx.call_error("an activation must give one array")),
    }
}

/// Writes a call of a function of the caller. What it gives is found out by
/// calling it on zeros.
fn foreign(cx: &mut Cx, what: Foreign, tensors: &[ValueId]) -> Result<Out> {
    let zeros = tensors.iter().map(|&v| cx.blank(cx.fact(v).clone()));
    let zeros: Vec<Tensor> = zeros.collect::<Result<_>>()?;
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
