//! Functions of TensorFlow by operations of `keras.ops` that do the same.

use serde_json::{json, Map, Value as Json};

use super::args::{literal, plain, Args};
use crate::error::Result;
use crate::graph::ValueId;
use crate::keras::layer::Call;
use crate::keras::legacy::{translate, FunctionCall};
use crate::keras::model::history;
use crate::keras::{ops, Arg, Cx, Out};

impl Args {
    /// What is known of the arguments, for those who save the model.
    pub fn recorded(&self, cx: &Cx) -> Result<FunctionCall> {
        let mut known = Map::new();
        let first = std::iter::once(("", &self.first));
        let rest = self.rest.iter().map(|(k, v)| (k.as_str(), v));
        for (key, arg) in first.chain(rest) {
            known.insert(key.to_string(), known_of(cx, arg)?);
        }
        let args = std::iter::once(&self.first).chain(self.rest.iter().map(|(_, v)| v));
        let tensor = args.flat_map(Arg::tensors).next();
        Ok(FunctionCall {
            layer: cx.path().rsplit('/').next().unwrap_or_default().to_string(),
            known: known.into(),
            fact: tensor.map(|t| cx.fact(t.value).clone()),
        })
    }

    /// The bounds of a strided slice must be of one length.
    fn check_bounds(&self, cx: &Cx) -> Result<()> {
        let count = |key: &str| Ok(self.ints(cx, key)?.map(|v| v.len()));
        let (begin, end, strides) = (count("begin")?, count("end")?, count("strides")?);
        match begin == end && (strides.is_none() || strides == begin) {
            true => Ok(()),
            false => Err(cx.call_error("`begin`, `end` and `strides` must be of one length")),
        }
    }

    /// The result of the operations of `keras.ops` that do the same.
    pub fn translated(&self, cx: &mut Cx, symbol: &str) -> Result<Out> {
        if symbol.ends_with("strided_slice") {
            self.check_bounds(cx)?;
        }
        let mut tensors = Vec::new();
        let first = as_json(&self.first, &mut tensors);
        let mut rest = Map::new();
        for (key, value) in &self.rest {
            rest.insert(key.clone(), as_json(value, &mut tensors));
        }
        let Some(entries) = translate(OUT, symbol, &first, &rest) else {
            return Err(cx.call_error(format!("`tf.{symbol}` can't be run with these arguments")));
        };
        let mut made: Vec<(String, Out)> = Vec::new();
        for entry in &entries {
            let name = entry["name"].as_str().unwrap_or(OUT);
            let class = entry["class_name"].as_str().unwrap_or_default();
            let node = &entry["inbound_nodes"][0];
            let arg = |v: &Json| as_arg(v, &tensors, &made);
            let args: Option<Vec<Arg>> =
                node["args"].as_array().map(|a| a.iter().map(arg).collect());
            let kwargs = node["kwargs"].as_object();
            let call = Call {
                args: args.unwrap_or_default(),
                kwargs: kwargs
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| (k.clone(), arg(v)))
                    .collect(),
            };
            let is_layer = entry["module"] == "keras.layers";
            let out = match (class, ops::find(class)) {
                ("Identity", _) => call.args.first().and_then(Arg::as_out),
                ("Add", _) if is_layer => Some(sum_of(cx, &call)?.into()),
                (_, Some(def)) => {
                    let mut config = entry["config"].as_object().cloned().unwrap_or_default();
                    config.remove("name");
                    Some(cx.call_op(&def.class.to_lowercase(), def, &config, &call)?)
                }
                _ => None,
            };
            let out = out.ok_or_else(|| cx.call_error(format!("`tf.{symbol}` can't be run")))?;
            made.push((name.to_string(), out));
        }
        match made.pop() {
            Some((_, out)) => Ok(out),
            None => Err(cx.call_error(format!("`tf.{symbol}` can't be run"))),
        }
    }
}

/// The value of an argument, where it is small and known before the run; else null.
fn known_of(cx: &Cx, arg: &Arg) -> Result<Json> {
    const MOST: usize = 4096;
    Ok(match arg {
        Arg::Tensor(t) if cx.fact(t.value).numel() > MOST => Json::Null,
        Arg::Tensor(_) => literal(&plain(cx, arg.clone())?).unwrap_or_default(),
        Arg::List(items) => {
            let items = items.iter().map(|a| known_of(cx, a));
            items.collect::<Result<_>>()?
        }
        Arg::Dict(items) => {
            let items = items.iter().map(|(k, a)| Ok((k.clone(), known_of(cx, a)?)));
            Json::Object(items.collect::<Result<_>>()?)
        }
        Arg::Lit(v) => v.clone(),
    })
}

/// The name of a function's last operation.
const OUT: &str = "out";
/// The name under which the tensors of a call are numbered.
const GIVEN: &str = "given";

fn as_json(arg: &Arg, tensors: &mut Vec<Arg>) -> Json {
    match arg {
        Arg::Lit(v) => v.clone(),
        Arg::List(items) => items.iter().map(|a| as_json(a, tensors)).collect(),
        Arg::Dict(items) => items
            .iter()
            .map(|(k, v)| (k.clone(), as_json(v, tensors)))
            .collect::<Map<_, _>>()
            .into(),
        Arg::Tensor(_) => {
            tensors.push(arg.clone());
            json!({"class_name": "__keras_tensor__",
                   "config": {"keras_history": [GIVEN, 0, tensors.len() - 1]}})
        }
    }
}

fn as_arg(value: &Json, tensors: &[Arg], made: &[(String, Out)]) -> Arg {
    if let Some((name, _, at)) = history(value) {
        if let (GIVEN, Some(t)) = (name, tensors.get(at)) {
            return t.clone();
        }
        let out = made.iter().find(|(n, _)| n == name).map(|(_, out)| out);
        return match out.and_then(|o| o.flatten().get(at).copied().copied()) {
            Some(t) => Arg::Tensor(t),
            None => Arg::Lit(Json::Null),
        };
    }
    match value {
        Json::Array(items) => Arg::List(items.iter().map(|v| as_arg(v, tensors, made)).collect()),
        other => Arg::Lit(other.clone()),
    }
}

fn sum_of(cx: &mut Cx, call: &Call) -> Result<ValueId> {
    let mut all = cx.many(call)?.into_iter().map(|t| t.value);
    let mut total = match all.next() {
        Some(first) => first,
        None => return Err(cx.call_error("expected a list of tensors")),
    };
    for x in all {
        total = cx.add(total, x)?;
    }
    Ok(total)
}

/// The one result of an operation of `keras.ops` on tensors.
pub(super) fn of_tensors(
    cx: &mut Cx,
    class: &str,
    config: Json,
    xs: &[ValueId],
) -> Result<ValueId> {
    let call = Call {
        args: xs.iter().map(|&x| Arg::Tensor(x.into())).collect(),
        kwargs: vec![],
    };
    let out = op(cx, class, config, call)?;
    let one = out.flatten().first().map(|t| t.value);
    one.ok_or_else(|| cx.defect(format!("no result of {class}")))
}

/// Calls an operation of `keras.ops`.
pub(super) fn op(cx: &mut Cx, class: &str, config: Json, call: Call) -> Result<Out> {
    match (ops::find(class), config.as_object()) {
        (Some(def), Some(config)) => cx.call_op(&class.to_lowercase(), def, config, &call),
        _ => Err(cx.call_error(format!("{class} can't be run"))),
    }
}
