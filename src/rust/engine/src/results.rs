//! Predictions as tensors.

use std::ops::Range;
use std::sync::Mutex;

use crate::model::Sink;
use crate::tensor::{DType, Fact, Tensor, View};

/// Takes the predictions of a model into tensors.
pub struct Results(Vec<Mutex<Tensor>>);

impl Results {
    /// For outputs of these facts, as [`crate::Model::result_facts`] gives them.
    pub fn new(facts: impl IntoIterator<Item = Fact>) -> Results {
        let tensors = facts.into_iter().map(Tensor::zeros);
        Results(tensors.map(Mutex::new).collect())
    }

    /// What has come so far.
    pub fn tensors(&self) -> Vec<Tensor> {
        let tensors = self.0.iter();
        let tensors = tensors.map(|t| t.lock().unwrap_or_else(|e| e.into_inner()));
        tensors.map(|t| t.clone()).collect()
    }
}

impl Sink for Results {
    fn put(&self, output: usize, rows: Range<usize>, src: View) {
        let mut to = self.0[output].lock().unwrap_or_else(|e| e.into_inner());
        if src.dtype == DType::Str {
            let row = src.numel() / rows.len().max(1);
            to.view_mut().strings()[rows.start * row..rows.end * row]
                .clone_from_slice(src.strings());
            return;
        }
        let row = src.bytes().len() / rows.len().max(1);
        to.bytes_mut()[rows.start * row..rows.end * row].copy_from_slice(src.bytes());
    }
}
