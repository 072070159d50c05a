//! The same bytes as numbers of another dtype.

use super::Plain;
use crate::error::Result;
use crate::tensor::{View, ViewMut};

/// The kernel of `Bitcast`.
pub struct Bitcast;

impl Plain for Bitcast {
    fn compute(&self, ins: &[View], outs: &mut [ViewMut]) -> Result<()> {
        outs[0].bytes().copy_from_slice(ins[0].bytes());
        Ok(())
    }
}
