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
    /// The last size of the kernel, which int4 packs.
    last: Option<usize>,
}

impl Lora {
    /// The adapter that a layer's config speaks of.
    pub fn read(config: &Map<String, Json>) -> Option<Lora> {
        let rank = as_int(config.get("lora_rank")?).filter(|&r| r > 0)?;
        let alpha = config.get("lora_alpha").and_then(as_f64);
        let last = ["units", "output_dim", "output_shape"]
            .iter()
            .find_map(|key| config.get(*key))
            .and_then(|v| as_int(v.as_array().and_then(|v| v.last()).unwrap_or(v)));
        Some(Lora {
            rank: rank as usize,
            scale: alpha.map_or(1.0, |alpha| alpha / rank as f64),
            last: last.filter(|&n| n > 0).map(|n| n as usize),
        })
    }

    /// How many numbers the adapter of a kernel has. A packed kernel is a matrix
    /// whose columns stand in pairs, the last one maybe alone.
    pub fn params(self, kernel: &[usize], packed: bool) -> usize {
        let (size, last) = match (kernel, self.last) {
            (&[rows, pairs], Some(last)) if packed => {
                let odd = (2 * pairs).saturating_sub(1);
                let columns = if odd == last || 2 * pairs % last != 0 {
                    odd
                } else {
                    2 * pairs
                };
                (rows * columns, last)
            }
            _ => (numel(kernel), kernel.last().copied().unwrap_or(1)),
        };
        self.rank * (size / last.max(1) + last)
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
