//! The engine of keraspredict: from a Keras model file to predictions.
//!
//! ```text
//! file -> config + weights -> primitive graph -> plan -> run
//! format/     keras/              graph/         plan/   run/
//! ```

pub mod error;
pub mod format;
pub mod graph;
pub mod host;
pub mod keras;
pub mod kernels;
pub mod memory;
pub mod model;
pub mod nest;
pub mod optimize;
pub mod plan;
pub mod results;
pub mod run;
pub mod summary;
pub mod tensor;
mod trial;

pub use error::{Error, Result};
pub use model::{Model, RunOptions, Sink, Source};
