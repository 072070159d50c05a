//! How errors reach R: as values, which R raises as classed conditions.

use std::panic::{catch_unwind, AssertUnwindSafe};

use extendr_api::prelude::*;
use keraspredict_engine::{memory, Error};

/// The class by which R tells an error from a result.
const CLASS: &str = "keraspredict_failure";

/// Runs `body` and turns its error, or its panic, into a list of kind,
/// message and data.
pub fn guard(body: impl FnOnce() -> keraspredict_engine::Result<Robj>) -> Robj {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => failed(&error),
        Err(panic) => failed(&memory::caught(panic)),
    }
}

fn failed(error: &Error) -> Robj {
    let data = error.data();
    let names = data.iter().map(|(name, _)| *name);
    let values = data.iter().map(|(_, value)| r_text(value));
    let mut data = List::from_values(values);
    // A list has as many names as values, so this can't fail.
    let _ = data.set_names(names);
    let mut list = list!(
        kind = error.kind(),
        message = r_text(&error.to_string()),
        data = data
    );
    let _ = list.set_class([CLASS]);
    list.into()
}

/// Text as an R string; R strings can't hold NUL.
fn r_text(text: &str) -> Robj {
    text.replace('\0', "\u{fffd}").into_robj()
}
