//! The R side of keraspredict: R values in, R values out; no arithmetic.

mod failure;

use extendr_api::prelude::*;

use failure::guard;

/// The version of the engine.
/// @noRd
#[extendr]
fn engine_version() -> Robj {
    guard(|| Ok(env!("CARGO_PKG_VERSION").into_robj()))
}

extendr_module! {
    mod keraspredict;
    fn engine_version;
}
