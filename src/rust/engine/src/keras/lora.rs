//! Low-rank adapters of kernels. Keras 3 merges them into the kernel when it
//! writes its own format, not in a legacy h5 file.

use serde_json::{Map, Value as Json};

use super::cfg::{as_f64, as_int};
use crate::tensor::{numel, DType, Tensor};

/// The adapter of a layer's first variable, which it freezes: two variables of
/// shapes (..., rank) and (rank, last).
#[derive(Copy, Clone, Debug)]
pub struct Lora {
    rank: usize,
    scale: f64,
}

impl Lora {
    /// The adapter that a layer's config speaks of.
    pub fn read(config: &Map<String, Json>) -> Option<Lora> {
        let rank = as_int(config.get("lora_rank")?).filter(|&r| r > 0)?;
        let alpha = config.get("lora_alpha").and_then(as_f64);
        Some(Lora {
            rank: rank as usize,
            scale: alpha.map_or(1.0, |alpha| alpha / rank as f64),
        })
    }

    /// How many numbers the adapter of a kernel has.
    pub fn params(self, kernel: &[usize]) -> usize {
        let last = kernel.last().copied().unwrap_or(1);
        self.rank * (numel(kernel) / last.max(1) + last)
    }

    /// `kernel + scale * a b`; `None` where shapes or dtypes are not an adapter's.
    pub fn merged(self, kernel: &Tensor, a: &Tensor, b: &Tensor) -> Option<Tensor> {
        let (last, outer) = kernel.shape().split_last()?;
        let fits = a.shape().split_last() == Some((&self.rank, outer))
            && b.shape() == [self.rank, *last]
            && a.dtype().is_float();
        if !fits {
            return None;
        }
        let (mut sum, a, b) = (kernel.to_f64(), a.to_f64(), b.to_f64());
        for (row, a) in sum.chunks_mut(*last).zip(a.chunks(self.rank)) {
            for (a, b) in a.iter().zip(b.chunks(*last)) {
                for (y, b) in row.iter_mut().zip(b) {
                    *y += self.scale * a * b;
                }
            }
        }
        let shape = kernel.shape();
        match kernel.dtype() {
            DType::F64 => Some(Tensor::from_slice(shape, &sum)),
            DType::F32 => {
                let sum: Vec<f32> = sum.into_iter().map(|y| y as f32).collect();
                Some(Tensor::from_slice(shape, &sum))
            }
            _ => None,
        }
    }
}
