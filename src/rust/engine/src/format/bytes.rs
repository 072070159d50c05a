//! A part of a file's bytes that shares the whole.

use std::ops::{Deref, Range};
use std::sync::Arc;

#[derive(Clone)]
pub struct Bytes {
    whole: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Bytes {
    pub fn new(bytes: Vec<u8>) -> Self {
        Bytes {
            range: 0..bytes.len(),
            whole: Arc::new(bytes),
        }
    }

    /// A part of this one, or `None` where it is out of bounds.
    pub fn slice(&self, start: usize, len: usize) -> Option<Bytes> {
        let end = start.checked_add(len)?;
        if end > self.len() {
            return None;
        }
        let first = self.range.start + start;
        Some(Bytes {
            whole: self.whole.clone(),
            range: first..first + len,
        })
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.whole[self.range.clone()]
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
