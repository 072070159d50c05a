//! Reading layer configs: every key that is read is recorded, and what is left
//! over must be a key that can't change predictions.

use std::cell::RefCell;
use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};
use crate::host::Functions;
use crate::tensor::either;

/// Keys that matter in training only, or are read for every layer by the model.
const PASSED_OVER: &[&str] = &[
    "name",
    "trainable",
    "dtype",
    "batch_input_shape",
    "batch_shape",
    "build_config",
    "quantization_config",
    "autocast",
    "seed",
    // Adapters are merged into the kernel when a model is saved.
    "lora_rank",
    "lora_alpha",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "embeddings_initializer",
    "depthwise_initializer",
    "pointwise_initializer",
    "alpha_initializer",
    "gamma_initializer",
    "beta_initializer",
    "moving_mean_initializer",
    "moving_variance_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "embeddings_regularizer",
    "depthwise_regularizer",
    "pointwise_regularizer",
    "activity_regularizer",
    "alpha_regularizer",
    "gamma_regularizer",
    "beta_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "embeddings_constraint",
    "depthwise_constraint",
    "pointwise_constraint",
    "alpha_constraint",
    "gamma_constraint",
    "beta_constraint",
];

/// The config of one layer (or operation).
pub struct Cfg<'a> {
    pub layer: String,
    pub class: String,
    map: &'a Map<String, Json>,
    read: RefCell<HashSet<&'a str>>,
    functions: Functions,
}

impl<'a> Cfg<'a> {
    pub fn new(layer: &str, class: &str, map: &'a Map<String, Json>) -> Self {
        Cfg {
            layer: layer.to_string(),
            class: class.to_string(),
            map,
            read: RefCell::default(),
            functions: Functions::default(),
        }
    }

    /// The same config, in which functions of the caller may stand in.
    pub fn with_functions(self, functions: &Functions) -> Self {
        Cfg {
            functions: functions.clone(),
            ..self
        }
    }

    /// The functions of the caller that may stand in.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// The raw value of a key, recorded as read; `None` where absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Json> {
        let (k, v) = self.map.get_key_value(key)?;
        self.read.borrow_mut().insert(k.as_str());
        (!v.is_null()).then_some(v)
    }

    /// Whether the key is there, be it null.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Records keys that have no meaning at inference for this class.
    pub fn pass_over(&self, keys: &[&str]) {
        for key in keys {
            self.get(key);
        }
    }

    /// An error about a key's value.
    pub fn bad(&self, key: &str, expected: &str) -> Error {
        let given = self.map.get(key).map_or("missing".into(), short);
        Error::BadConfig {
            layer: self.layer.clone(),
            class: self.class.clone(),
            key: key.to_string(),
            expected: expected.to_string(),
            given,
        }
    }

    fn opt<T>(
        &self,
        key: &str,
        expected: &str,
        f: impl Fn(&'a Json) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(v) => f(v).map(Some).ok_or_else(|| self.bad(key, expected)),
        }
    }

    fn must<T>(&self, key: &str, expected: &str, v: Option<T>) -> Result<T> {
        v.ok_or_else(|| self.bad(key, expected))
    }

    pub fn opt_bool(&self, key: &str) -> Result<Option<bool>> {
        self.opt(key, "true or false", as_bool)
    }

    pub fn bool_or(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.opt_bool(key)?.unwrap_or(default))
    }

    pub fn opt_f64(&self, key: &str) -> Result<Option<f64>> {
        self.opt(key, "a number", as_f64)
    }

    pub fn f64_or(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.opt_f64(key)?.unwrap_or(default))
    }

    pub fn opt_int(&self, key: &str) -> Result<Option<i64>> {
        self.opt(key, "a whole number", as_int)
    }

    pub fn int_or(&self, key: &str, default: i64) -> Result<i64> {
        Ok(self.opt_int(key)?.unwrap_or(default))
    }

    pub fn opt_usize(&self, key: &str) -> Result<Option<usize>> {
        self.opt(key, "a whole number >= 0", |v| {
            usize::try_from(as_int(v)?).ok()
        })
    }

    pub fn usize_or(&self, key: &str, default: usize) -> Result<usize> {
        Ok(self.opt_usize(key)?.unwrap_or(default))
    }

    /// A required whole number >= 0.
    pub fn usize(&self, key: &str) -> Result<usize> {
        let v = self.opt_usize(key)?;
        self.must(key, "a whole number >= 0", v)
    }

    pub fn opt_str(&self, key: &str) -> Result<Option<&'a str>> {
        self.opt(key, "a string", |v| v.as_str())
    }

    pub fn str_or(&self, key: &str, default: &'a str) -> Result<&'a str> {
        Ok(self.opt_str(key)?.unwrap_or(default))
    }

    /// A required string.
    pub fn str(&self, key: &str) -> Result<&'a str> {
        let v = self.opt_str(key)?;
        self.must(key, "a string", v)
    }

    /// One of the given strings.
    pub fn one_of(
        &self,
        key: &str,
        default: &'a str,
        choices: &[&'static str],
    ) -> Result<&'static str> {
        let v = self.str_or(key, default)?;
        choices
            .iter()
            .find(|c| **c == v)
            .copied()
            .ok_or_else(|| self.bad(key, &either(choices)))
    }

    /// A list of whole numbers >= 0, or one number `n` times over.
    pub fn opt_usizes(&self, key: &str, n: usize) -> Result<Option<Vec<usize>>> {
        let what = format!("{n} whole numbers >= 0");
        self.opt(key, &what, |v| match v {
            Json::Array(items) if items.len() == n => items
                .iter()
                .map(|i| usize::try_from(as_int(i)?).ok())
                .collect(),
            Json::Array(_) => None,
            one => Some(vec![usize::try_from(as_int(one)?).ok()?; n]),
        })
    }

    pub fn usizes(&self, key: &str, n: usize) -> Result<Vec<usize>> {
        let v = self.opt_usizes(key, n)?;
        self.must(key, &format!("{n} whole numbers >= 0"), v)
    }

    pub fn usizes_or(&self, key: &str, n: usize, default: usize) -> Result<Vec<usize>> {
        Ok(self.opt_usizes(key, n)?.unwrap_or(vec![default; n]))
    }

    /// Whole numbers of any count; a single number is a list of one.
    pub fn opt_ints(&self, key: &str) -> Result<Option<Vec<i64>>> {
        self.opt(key, "whole numbers", |v| match v {
            Json::Array(items) => items.iter().map(as_int).collect(),
            one => Some(vec![as_int(one)?]),
        })
    }

    /// Sizes of which some may be null.
    pub fn opt_dims(&self, key: &str) -> Result<Option<Vec<Option<usize>>>> {
        self.opt(key, "a list of sizes", dims)
    }

    /// Whether images are `(channels, spatial...)`.
    pub fn channels_first(&self) -> Result<bool> {
        let choices = &["channels_last", "channels_first"];
        Ok(self.one_of("data_format", "channels_last", choices)? == "channels_first")
    }

    /// Keys that were never read and could change predictions: an error.
    pub fn finish(&self) -> Result<()> {
        let read = self.read.borrow();
        for (key, value) in self.map {
            let off = value.is_null() || *value == Json::Bool(false);
            if !off && !read.contains(key.as_str()) && !PASSED_OVER.contains(&key.as_str()) {
                return Err(Error::UnknownKey {
                    layer: self.layer.clone(),
                    class: self.class.clone(),
                    key: key.clone(),
                    value: short(value),
                });
            }
        }
        Ok(())
    }
}

/// true, false, or 0 and 1 as old files have them.
pub fn as_bool(v: &Json) -> Option<bool> {
    v.as_bool().or(match v.as_i64() {
        Some(0) => Some(false),
        Some(1) => Some(true),
        _ => None,
    })
}

/// A number; Python's float literals `inf` and `nan` come as strings or null,
/// numpy's scalars as objects with a value.
pub fn as_f64(v: &Json) -> Option<f64> {
    match v {
        Json::Number(n) => n.as_f64(),
        Json::String(s) => match s.as_str() {
            "inf" | "Infinity" => Some(f64::INFINITY),
            "-inf" | "-Infinity" => Some(f64::NEG_INFINITY),
            "nan" | "NaN" => Some(f64::NAN),
            _ => None,
        },
        Json::Object(o) => {
            let inner = o.get("config").and_then(Json::as_object).unwrap_or(o);
            inner.get("value").and_then(as_f64)
        }
        _ => None,
    }
}

/// A whole number, also written as `2.0`.
pub fn as_int(v: &Json) -> Option<i64> {
    v.as_i64().or_else(|| {
        let f = v.as_f64()?;
        (f.fract() == 0.0 && f.abs() < 9e15).then_some(f as i64)
    })
}

/// A shape with nulls for sizes that vary.
pub fn dims(v: &Json) -> Option<Vec<Option<usize>>> {
    v.as_array()?
        .iter()
        .map(|d| match d {
            Json::Null => Some(None),
            d => Some(Some(usize::try_from(as_int(d)?).ok()?)),
        })
        .collect()
}

/// JSON text, cut at 80 characters.
pub fn short(v: &Json) -> String {
    let text = v.to_string();
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// A number or nested lists of them, also as a serialized array: shape and elements.
pub fn numbers(v: &Json) -> Option<(Vec<usize>, Vec<f64>)> {
    match v {
        Json::Object(o) => {
            let inner = o.get("config").and_then(Json::as_object).unwrap_or(o);
            numbers(inner.get("value")?)
        }
        Json::Array(items) => {
            let parts: Vec<_> = items.iter().map(numbers).collect::<Option<_>>()?;
            let shape = parts.first().map_or(vec![], |p| p.0.clone());
            if parts.iter().any(|p| p.0 != shape) {
                return None;
            }
            let shape = [vec![items.len()], shape].concat();
            Some((shape, parts.into_iter().flat_map(|p| p.1).collect()))
        }
        one => as_f64(one).map(|v| (vec![], vec![v])),
    }
}
