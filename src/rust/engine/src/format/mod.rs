//! Files to configs and weights; no Keras meaning beyond where things are stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::tensor::Tensor;

/// A weight as stored: the tensor and the name the file gives it.
#[derive(Clone, Debug)]
pub struct StoredWeight {
    pub name: String,
    pub tensor: Arc<Tensor>,
}

/// The tree of a Keras 3 weights store: a group's own `vars/0`, `vars/1`, ...
/// in order, and its child groups (`layers/dense_1`, `cell`, ...), keyed by
/// one path component each.
#[derive(Clone, Debug, Default)]
pub struct WeightTree {
    pub vars: Vec<StoredWeight>,
    pub children: BTreeMap<String, WeightTree>,
}

/// Weights of a legacy h5 file: per layer name, the flat list in `weight_names`
/// order, layers in `layer_names` order.
pub type LegacyWeights = Vec<(String, Vec<StoredWeight>)>;

#[derive(Clone, Debug)]
pub enum Weights {
    /// Keras 3 `.weights.h5`, npz or sharded store.
    Tree(WeightTree),
    /// `model_weights` of a legacy whole-model h5, or a legacy weights-only h5.
    Legacy(LegacyWeights),
}

/// What a model file holds, read and checked but not yet interpreted.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// `{"module", "class_name", "config", ...}` as Keras wrote it.
    pub config: Json,
    /// Version of the Keras that wrote it, such as `3.15.1`; `None` where the file doesn't say.
    pub keras_version: Option<String>,
    pub weights: Option<Weights>,
}
