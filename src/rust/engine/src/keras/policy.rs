//! Dtype policies.

use serde_json::Value as Json;

use super::cfg::{as_int, Cfg};
use crate::error::Result;
use crate::tensor::DType;

/// How a layer's weights are quantized.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Quantization {
    Int8,
    /// Blocks of so many inputs have a scale of their own; `None`: one scale a channel.
    Int4 {
        block: Option<usize>,
    },
    /// As many of the largest values are kept.
    Float8 {
        history: usize,
    },
    /// Groups of so many inputs have a scale of their own; `None`: one group.
    Gptq {
        bits: usize,
        group: Option<usize>,
    },
    Awq {
        group: Option<usize>,
    },
}

/// How many of the largest values Keras keeps where the policy doesn't say.
const FLOAT8_HISTORY: usize = 1024;

impl Quantization {
    /// A mode as policies write it: `int8`, `int4/128`, `gptq/4/128`.
    fn parse(mode: &str) -> Option<Quantization> {
        let mut parts = mode.split('/');
        let name = parts.next()?;
        let numbers: Vec<i64> = parts.map(|p| p.parse().ok()).collect::<Option<_>>()?;
        let size = |n: i64| usize::try_from(n).ok().filter(|&n| n > 0);
        Some(match (name, numbers.as_slice()) {
            ("int8", []) => Quantization::Int8,
            ("int4", []) | ("int4", [-1]) => Quantization::Int4 { block: None },
            ("int4", [block]) if *block > 0 => Quantization::Int4 {
                block: size(*block),
            },
            ("float8", []) => Quantization::Float8 {
                history: FLOAT8_HISTORY,
            },
            ("gptq", [bits, group]) if [2, 3, 4, 8].contains(bits) => Quantization::Gptq {
                bits: *bits as usize,
                group: size(*group),
            },
            ("awq", [4, group]) => Quantization::Awq {
                group: size(*group),
            },
            _ => return None,
        })
    }
}

/// What a layer computes in and what its variables are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub compute: DType,
    pub variable: DType,
    pub quantization: Option<Quantization>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy::of_dtype(DType::F32)
    }
}

impl Policy {
    fn of_dtype(dtype: DType) -> Policy {
        Policy {
            compute: dtype,
            variable: dtype,
            quantization: None,
        }
    }

    /// The policy in a layer's config, for the layer itself.
    pub fn of(cfg: &Cfg) -> Result<Policy> {
        Policy::of_sublayer(cfg, None)
    }

    /// The policy in a layer's config, for a sublayer that inherits it.
    pub fn of_sublayer(cfg: &Cfg, sublayer: Option<&str>) -> Result<Policy> {
        let Some(config) = cfg.get("dtype") else {
            return Ok(Policy::default());
        };
        let path = match sublayer {
            None => cfg.layer.clone(),
            Some(name) => format!("{}/{name}", cfg.layer),
        };
        Policy::parse(config, &path).ok_or_else(|| cfg.bad("dtype", "a dtype policy"))
    }

    /// A policy's name (`float32`, `int8_from_mixed_bfloat16`) or Keras'
    /// serialized object; of a map, the policy of the layer at `path`.
    pub fn parse(config: &Json, path: &str) -> Option<Policy> {
        match config {
            Json::Null => Some(Policy::default()),
            Json::String(name) => Policy::named(name),
            Json::Object(o) => {
                let class = o.get("class_name").and_then(Json::as_str)?;
                let config = o.get("config")?;
                let text = |key: &str| match config.get(key) {
                    None | Some(Json::Null) => Some("float32"),
                    Some(v) => v.as_str(),
                };
                match class {
                    "DTypePolicy" | "FloatDTypePolicy" | "Policy" | "PolicyV1" => {
                        Policy::named(text("name")?)
                    }
                    "QuantizedDTypePolicy"
                    | "QuantizedFloat8DTypePolicy"
                    | "Int4DTypePolicy"
                    | "GPTQDTypePolicy"
                    | "AWQDTypePolicy" => {
                        let mode = config.get("mode")?.as_str()?;
                        let mut policy = Policy::quantized(mode, text("source_name")?)?;
                        let length = config.get("amax_history_length").and_then(as_int);
                        if let (Some(Quantization::Float8 { history }), Some(n)) =
                            (&mut policy.quantization, length)
                        {
                            *history = usize::try_from(n).ok()?;
                        }
                        Some(policy)
                    }
                    "DTypePolicyMap" => Policy::from_map(config, path),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn quantized(mode: &str, source: &str) -> Option<Policy> {
        Some(Policy {
            quantization: Some(Quantization::parse(mode)?),
            ..Policy::named(source)?
        })
    }

    fn named(name: &str) -> Option<Policy> {
        if let Some((mode, source)) = name.split_once("_from_") {
            return Policy::quantized(mode, source);
        }
        Some(match name {
            "mixed_float16" => Policy {
                compute: DType::F16,
                ..Policy::default()
            },
            "mixed_bfloat16" => Policy {
                compute: DType::BF16,
                ..Policy::default()
            },
            _ => Policy::of_dtype(DType::parse(name)?),
        })
    }

    /// The entry of the path itself, else of the one pattern that matches it
    /// whole, else the default.
    fn from_map(config: &Json, path: &str) -> Option<Policy> {
        let map = config.get("policy_map")?.as_object()?;
        let map = match map.get("config").and_then(Json::as_object) {
            Some(inner) if map.contains_key("class_name") => inner,
            _ => map,
        };
        if let Some(entry) = map.get(path) {
            return Policy::parse(entry, path);
        }
        let mut found = map.iter().filter(|(pattern, _)| matches(pattern, path));
        match (found.next(), found.next()) {
            (Some((_, entry)), None) => Policy::parse(entry, path),
            (Some(_), Some(_)) => None,
            _ => Policy::parse(config.get("default_policy").unwrap_or(&Json::Null), path),
        }
    }
}

/// Whether a pattern matches a path from end to end: letters, `.`, `*`, `+`
/// and `?` with the meaning they have in regular expressions.
fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let path: Vec<char> = path.chars().collect();
    matches_from(&pattern, &path)
}

fn matches_from(pattern: &[char], path: &[char]) -> bool {
    let (one, width) = match pattern {
        [] => return path.is_empty(),
        ['\\', c, ..] => (Some(*c), 2),
        ['.', ..] => (None, 1),
        [c, ..] => (Some(*c), 1),
    };
    let fits = |c: char| one.is_none_or(|one| one == c);
    let (least, most, rest) = match pattern.get(width) {
        Some('*') => (0, usize::MAX, &pattern[width + 1..]),
        Some('+') => (1, usize::MAX, &pattern[width + 1..]),
        Some('?') => (0, 1, &pattern[width + 1..]),
        _ => (1, 1, &pattern[width..]),
    };
    let run = path.iter().take(most).take_while(|c| fits(**c)).count();
    (least..=run).any(|n| matches_from(rest, &path[n..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policies_are_read() {
        let quantized = |name: &str| Policy::named(name).and_then(|p| p.quantization);
        assert_eq!(quantized("int8_from_float32"), Some(Quantization::Int8));
        assert_eq!(
            quantized("int4/32_from_mixed_bfloat16"),
            Some(Quantization::Int4 { block: Some(32) })
        );
        assert_eq!(
            quantized("gptq/4/128_from_float32"),
            Some(Quantization::Gptq {
                bits: 4,
                group: Some(128)
            })
        );
        assert_eq!(Policy::named("int5_from_float32"), None);
    }

    #[test]
    fn maps_go_by_path_then_pattern() {
        let map = json!({"class_name": "DTypePolicyMap", "config": {
            "default_policy": "float16",
            "policy_map": {"mha/query": "bfloat16", "mha/.*": "float64"},
        }});
        let compute = |path: &str| Policy::parse(&map, path).map(|p| p.compute);
        assert_eq!(compute("mha/query"), Some(DType::BF16));
        assert_eq!(compute("mha/key"), Some(DType::F64));
        assert_eq!(compute("mha"), Some(DType::F16));
    }
}
