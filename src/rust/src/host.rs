//! Calls of R functions that stand in for layers. They are made on R's own
//! thread: the engine runs such steps on the thread that called it.

use std::cell::RefCell;
use std::collections::HashMap;

use extendr_api::prelude::*;
use extendr_ffi::{
    R_NilValue, R_tryEvalSilent, Rf_install, Rf_lcons, Rf_protect, Rf_unprotect, SEXP,
};
use keraspredict_engine::host::{Foreign, Given, Host, Made, Role};
use keraspredict_engine::nest::Nest;
use keraspredict_engine::tensor::{DType, Tensor, View};
use keraspredict_engine::{Error, Result};
use serde_json::Value as Json;

use crate::json::from_json;
use crate::sink::array_of;
use crate::source::Input;

// R's values are opaque here.
#[allow(improper_ctypes)]
extern "C" {
    fn R_FindNamespace(name: SEXP) -> SEXP;
}

/// Functions of R by name, for as long as a call of the engine runs.
pub struct Functions {
    functions: List,
    /// Weights as R arrays, by the identities of all of a layer's.
    weights: RefCell<HashMap<Vec<u64>, Robj>>,
}

impl Functions {
    pub fn new(functions: List) -> Functions {
        Functions {
            functions,
            weights: RefCell::default(),
        }
    }

    fn function(&self, key: &str) -> Option<Robj> {
        let mut all = self.functions.iter();
        all.find(|(name, _)| *name == key).map(|(_, f)| f)
    }

    fn weights(&self, what: &Foreign) -> Result<Robj> {
        let key: Vec<u64> = what.weights.iter().map(|(_, w)| w.id).collect();
        if let Some(found) = self.weights.borrow().get(&key) {
            return Ok(found.clone());
        }
        let arrays = what.weights.iter().map(|(_, w)| array_of(w.tensor.view()));
        let mut list = List::from_values(arrays.collect::<Result<Vec<_>>>()?);
        let _ = list.set_names(what.weights.iter().map(|(name, _)| name.as_str()));
        let list: Robj = list.into();
        self.weights.borrow_mut().insert(key, list.clone());
        Ok(list)
    }
}

impl Host for Functions {
    fn call(&self, what: &Foreign, tensors: &[View], probing: bool) -> Result<Nest<Made>> {
        let fun = self.function(&what.key);
        let fun = match what.role {
            Role::InitialState => fun.and_then(|f| f.get_attrib("initial_state")),
            _ => fun,
        };
        let fun = fun.ok_or_else(|| what.failed(format!("there is no function `{}`", what.key)))?;
        let mask = match what.mask {
            Some(i) => array_of(tensors[i])?,
            None => ().into(),
        };
        let mut named = vec![];
        for (_, arg) in &what.named {
            named.push(given(arg, tensors)?);
        }
        let mut named = List::from_values(named);
        let _ = named.set_names(what.named.iter().map(|(name, _)| name.as_str()));
        let told = list!(
            inputs = given(&what.inputs, tensors)?,
            config = from_json(&what.config),
            weights = self.weights(what)?,
            named = named,
            mask = mask,
            training = what.training,
            activation = what.role == Role::Activation,
            probing = probing
        );
        let result = call_r(&fun, &told.into()).ok_or(Error::Interrupted)?;
        let field = |name: &str| result.dollar(name).ok();
        if field("interrupted").is_some_and(|v| v.as_bool() == Some(true)) {
            return Err(Error::Interrupted);
        }
        if let Some(reason) = field("failed").and_then(|v| v.as_str().map(str::to_string)) {
            return Err(what.failed(reason));
        }
        made(&field("value").unwrap_or_default(), what)
    }

    fn has_initial_state(&self, key: &str) -> bool {
        let start = self
            .function(key)
            .and_then(|f| f.get_attrib("initial_state"));
        start.is_some_and(|start| start.is_function())
    }

    fn state_size(&self, key: &str) -> Option<Json> {
        let fun = self.function(key)?;
        let sizes = fun.get_attrib("state_size")?;
        let numbers = |v: &Robj| -> Json {
            let numbers = v.as_integer_vector().map(Json::from);
            let numbers = numbers.or_else(|| v.as_real_vector().map(Json::from));
            numbers.unwrap_or_default()
        };
        Some(match sizes.as_list() {
            Some(list) => list.values().map(|v| numbers(&v)).collect(),
            None => numbers(&sizes),
        })
    }
}

/// `keraspredict:::run_custom(fun, told)`, which catches what R can catch; `None`
/// where R jumped past it.
fn call_r(fun: &Robj, told: &Robj) -> Option<Robj> {
    // SAFETY: main thread; all values are protected, and nothing jumps over Rust.
    unsafe {
        let name: Robj = "keraspredict".into();
        let space = Rf_protect(R_FindNamespace(name.get()));
        let args = Rf_protect(Rf_lcons(told.get(), R_NilValue));
        let args = Rf_protect(Rf_lcons(fun.get(), args));
        let call = Rf_protect(Rf_lcons(Rf_install(c"run_custom".as_ptr()), args));
        let mut failed = 0;
        let value = R_tryEvalSilent(call, space, &mut failed);
        let value = (failed == 0).then(|| Robj::from_sexp(value));
        Rf_unprotect(4);
        value
    }
}

/// An argument as R sees it.
fn given(arg: &Nest<Given>, tensors: &[View]) -> Result<Robj> {
    Ok(match arg {
        Nest::Leaf(Given::Tensor(i)) => array_of(tensors[*i])?,
        Nest::Leaf(Given::Lit(v)) => from_json(v),
        Nest::List(items) => {
            let items = items.iter().map(|i| given(i, tensors));
            List::from_values(items.collect::<Result<Vec<_>>>()?).into()
        }
        Nest::Dict(items) => {
            let values = items.iter().map(|(_, i)| given(i, tensors));
            let mut list = List::from_values(values.collect::<Result<Vec<_>>>()?);
            let _ = list.set_names(items.iter().map(|(name, _)| name.as_str()));
            list.into()
        }
        Nest::Null => ().into(),
    })
}

/// What a function gave.
fn made(value: &Robj, what: &Foreign) -> Result<Nest<Made>> {
    if value.is_null() {
        return Err(what.failed("it gave NULL, not an array"));
    }
    if let Some(list) = value.as_list() {
        if list.is_empty() {
            return Err(what.failed("it gave an empty list"));
        }
        if value.names().is_none() {
            let items = list.values().map(|v| made(&v, what));
            return Ok(Nest::List(items.collect::<Result<_>>()?));
        }
        let items = list
            .iter()
            .map(|(k, v)| Ok((k.to_string(), made(&v, what)?)));
        return Ok(Nest::Dict(items.collect::<Result<_>>()?));
    }
    let mask = match value.get_attrib("mask") {
        Some(mask) => Some(tensor(&mask, DType::Bool, what)?),
        None => None,
    };
    Ok(Nest::Leaf((tensor(value, what.float, what)?, mask)))
}

fn tensor(value: &Robj, float: DType, what: &Foreign) -> Result<Tensor> {
    let dtype = match value.rtype() {
        _ if float == DType::Bool => float,
        Rtype::Doubles => float,
        Rtype::Integers => DType::I32,
        Rtype::Logicals => DType::Bool,
        Rtype::Strings => DType::Str,
        _ => return Err(what.failed("it gave something that is no array")),
    };
    let shape: Vec<usize> = match value.dim() {
        Some(dim) => dim.iter().map(|d| d.0 as usize).collect(),
        None => vec![value.len()],
    };
    let rows = 0..shape.first().copied().unwrap_or(1);
    Input::new(value, dtype, &shape, rows)?.to_tensor()
}
