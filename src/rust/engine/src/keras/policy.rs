//! Dtype policies.

use serde_json::Value as Json;

use crate::tensor::DType;

/// What a layer computes in and what its variables are.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub compute: DType,
    pub variable: DType,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            compute: DType::F32,
            variable: DType::F32,
        }
    }
}

impl Policy {
    /// A policy's name (`float32`, `mixed_bfloat16`) or Keras' serialized object.
    pub fn parse(config: &Json) -> Option<Policy> {
        match config {
            Json::Null => Some(Policy::default()),
            Json::String(name) => Policy::named(name),
            Json::Object(o) => {
                let class = o.get("class_name").and_then(Json::as_str)?;
                if !matches!(
                    class,
                    "DTypePolicy" | "FloatDTypePolicy" | "Policy" | "PolicyV1"
                ) {
                    return None;
                }
                Policy::named(o.get("config")?.get("name")?.as_str()?)
            }
            _ => None,
        }
    }

    fn named(name: &str) -> Option<Policy> {
        let (compute, variable) = match name {
            "mixed_float16" => (DType::F16, DType::F32),
            "mixed_bfloat16" => (DType::BF16, DType::F32),
            _ => {
                let d = DType::parse(name)?;
                (d, d)
            }
        };
        Some(Policy { compute, variable })
    }
}
