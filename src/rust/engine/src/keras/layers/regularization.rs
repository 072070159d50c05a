//! Dropout, noise and penalties: layers that act in training only. All pass
//! their input and its mask on.

use crate::error::Result;
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out};

struct PassThrough {
    /// Whether training changes the values.
    random: bool,
}

impl Layer for PassThrough {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        if self.random && cx.trains(call) {
            return Err(cx.error("training = TRUE is not supported yet"));
        }
        Ok(cx.one(call)?.into())
    }
}

/// Dropout, spatial dropout, alpha dropout and Gaussian dropout.
pub fn dropout(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let random = cfg.f64_or("rate", 0.0)? > 0.0;
    cfg.pass_over(&["noise_shape", "data_format"]);
    Ok(Built::new(PassThrough { random }))
}

pub fn gaussian_noise(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let random = cfg.f64_or("stddev", 0.0)? > 0.0;
    Ok(Built::new(PassThrough { random }))
}

/// Adds to the loss only.
pub fn activity_regularization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["l1", "l2"]);
    Ok(Built::new(PassThrough { random: false }))
}

/// Returns its input.
pub fn identity(_: &Cfg, _: &dyn Nested) -> Result<Built> {
    Ok(Built::new(PassThrough { random: false }))
}
