//! The same bytes as numbers of another dtype.

use super::{Kernel, Par};
use crate::error::Result;
use crate::tensor::{Line, View, ViewMut};

/// The kernel of `Bitcast`.
pub struct Bitcast;

impl Kernel for Bitcast {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        _: Par,
    ) -> Result<()> {
        outs[0].bytes().copy_from_slice(ins[0].bytes());
        Ok(())
    }
}
