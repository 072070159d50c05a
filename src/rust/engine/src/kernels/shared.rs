//! Pointers that tasks share.

use std::ops::Range;

/// A pointer that tasks may share.
pub struct Shared<T>(pub *mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: who uses one keeps tasks from writing what others touch.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: see above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The pointer. A method, so that closures capture the whole.
    pub fn get(self) -> *mut T {
        self.0
    }

    /// A part of what it points to.
    ///
    /// # Safety
    /// The part exists, outlives the reference, and no other task touches it.
    pub unsafe fn part<'a>(self, range: Range<usize>) -> &'a mut [T] {
        std::slice::from_raw_parts_mut(self.0.add(range.start), range.len())
    }
}
