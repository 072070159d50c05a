//! Models tried on made-up inputs.

use std::ops::Range;

use crate::error::Result;
use crate::model::{Model, RunOptions, Source};
use crate::results::Results;
use crate::tensor::{DType, Fact, Tensor, ViewMut};

/// Rows of a trial.
const ROWS: usize = 3;
/// The size of axes that the model leaves open.
const OPEN: usize = 7;

/// Whether two models of the same inputs give the same, as far as a trial can tell.
///
/// # Errors
/// Where the second model can't be run, while the first one can.
pub fn agree(a: &Model, b: &Model) -> Result<bool> {
    let Some(inputs) = MadeUp::of(a) else {
        return Ok(true);
    };
    let Ok(want) = outputs(a, &inputs) else {
        return Ok(true);
    };
    let have = outputs(b, &inputs)?;
    Ok(want.len() == have.len() && want.iter().zip(&have).all(|(w, h)| is_close(w, h)))
}

fn is_close(want: &Tensor, have: &Tensor) -> bool {
    if want.fact() != have.fact() {
        return false;
    }
    if want.dtype() == DType::Str {
        return want.strings() == have.strings();
    }
    let close = |(w, h): (f64, f64)| {
        w == h || (w.is_nan() && h.is_nan()) || (w - h).abs() <= 1e-5 + 1e-4 * w.abs()
    };
    want.to_f64().into_iter().zip(have.to_f64()).all(close)
}

fn outputs(model: &Model, inputs: &MadeUp) -> Result<Vec<Tensor>> {
    let options = RunOptions::default();
    let facts = model.result_facts(inputs, ROWS, ROWS, &options)?;
    let results = Results::new(facts);
    model.predict(inputs, &results, 0..ROWS, ROWS, &options)?;
    Ok(results.tensors())
}

/// Inputs that look random.
struct MadeUp(Vec<Fact>);

impl MadeUp {
    /// Inputs for a model without texts.
    fn of(model: &Model) -> Option<MadeUp> {
        let facts = model.inputs().iter().map(|input| {
            let mut shape: Vec<usize> = input.shape.iter().map(|d| d.unwrap_or(OPEN)).collect();
            // A fixed number of rows is not for a trial.
            *shape.first_mut()? = match input.shape[0] {
                None | Some(ROWS) => ROWS,
                Some(_) => return None,
            };
            (input.dtype != DType::Str).then(|| Fact::new(input.dtype, shape))
        });
        facts.collect::<Option<_>>().map(MadeUp)
    }
}

impl Source for MadeUp {
    fn fact(&self, input: usize) -> Option<Fact> {
        self.0.get(input).cloned()
    }

    fn fill(&self, input: usize, rows: Range<usize>, mut dst: ViewMut) {
        let fact = &self.0[input];
        let row: usize = fact.shape.iter().skip(1).product();
        let is_float = fact.dtype.is_float();
        let values = (rows.start * row..rows.end * row).map(|i| {
            let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ input as u64;
            let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33;
            match fact.dtype {
                _ if is_float => mixed as f64 / (1u64 << 30) as f64 - 1.0,
                DType::Bool => (mixed % 2) as f64,
                _ => (mixed % 3) as f64,
            }
        });
        let size = fact.dtype.size();
        for (to, value) in dst.bytes().chunks_exact_mut(size).zip(values) {
            to.copy_from_slice(Tensor::scalar(fact.dtype, value).bytes());
        }
    }
}
