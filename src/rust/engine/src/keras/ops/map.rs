//! A layer or a function of `keras.activations` over the entries of the leading axis.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::error::Result;
use crate::graph::ScanAttrs;
use crate::keras::activations::Activation;
use crate::keras::{Arg, Built, Call, Cfg, Cx, Layer, LayerNode, Out, Policy, T};
use crate::tensor::Fact;

/// The function that an operation maps, as Keras serialized it: `Map` has it among
/// the arguments of its call.
pub fn function<'a>(
    class: &str,
    config: &'a Map<String, Json>,
    call: &'a Json,
) -> Option<&'a Json> {
    match class {
        "VectorizedMap" => config.get("function"),
        "Map" => call.get("args")?.get(0),
        _ => None,
    }
}

pub fn vectorized_map(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let f = Activation::from_cfg(cfg, "function")?;
    by_activation(cx, &f, call.args.first())
}

pub fn map(cx: &mut Cx, cfg: &Cfg, call: &Call) -> Result<Out> {
    let Some(Arg::Lit(function)) = call.args.first() else {
        return Err(cx.defect("there is no function to map"));
    };
    let config = Map::from_iter([("function".to_string(), function.clone())]);
    let f = Activation::from_cfg(&Cfg::new(&cfg.layer, &cfg.class, &config), "function")?;
    by_activation(cx, &f, call.args.get(1))
}

fn by_activation(cx: &mut Cx, f: &Activation, x: Option<&Arg>) -> Result<Out> {
    over_entries(cx, x, |cx, x| match x {
        Arg::Tensor(t) => Ok(f.apply(cx, t.value)?.into()),
        _ => Err(cx.call_error("an activation takes one tensor")),
    })
}

/// `f` of each entry, as a loop.
fn over_entries(
    cx: &mut Cx,
    x: Option<&Arg>,
    f: impl FnOnce(&mut Cx, &Arg) -> Result<Out>,
) -> Result<Out> {
    let x = x.filter(|x| !x.tensors().is_empty());
    let x = x.ok_or_else(|| cx.call_error("there is nothing to map over"))?;
    let mut body = cx.for_body();
    let mut sequences = vec![];
    let entry = x.map(&mut |t| {
        let fact = cx.fact(t.value);
        let shape = fact.shape.get(1..);
        let shape = shape.ok_or_else(|| cx.error("can't map over a scalar"))?;
        sequences.push(t.value);
        Ok(T::from(body.input(Fact::new(fact.dtype, shape))))
    })?;
    let length = cx.dim(sequences[0], 0)?;
    let out = f(&mut body, &entry)?;
    body.check_real(out.flatten().into_iter().copied())?;
    let outputs = out.flatten().iter().map(|t| t.value).collect();
    let mut graph = body.into_builder().graph;
    graph.outputs = outputs;
    let attrs = ScanAttrs {
        body: Arc::new(graph),
        sequences: sequences.len(),
        carries: 0,
        length,
        reverse: false,
    };
    let mut outs = cx.scan(attrs, &sequences, &[], &[])?.into_iter();
    out.map(&mut |_| match outs.next() {
        Some(v) => Ok(T::from(v)),
        None => Err(cx.defect("a loop gives too little")),
    })
}

/// The operation with a layer.
struct Mapped(Arc<LayerNode>);

/// The operation `class` that maps a layer; its weights are the layer's.
pub fn of_layer(name: &str, class: &str, function: Arc<LayerNode>) -> LayerNode {
    let built = Built::new(Mapped(function.clone())).child("function", function);
    LayerNode::new(name, class, Policy::default(), true, built)
}

impl Layer for Mapped {
    fn parameters(&self) -> &'static [&'static str] {
        &[]
    }

    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = call.args.get(usize::from(me.class == "Map"));
        over_entries(cx, x, |cx, x| {
            let call = Call {
                args: vec![x.clone()],
                kwargs: vec![],
            };
            cx.call(&self.0, &call)
        })
    }

    fn autocast(&self) -> bool {
        false
    }

    fn tracks_sublayers(&self) -> bool {
        false
    }
}
