//! The table of `keras.ops` classes that stand as nodes in functional graphs:
//! one line a class, one file a module of `keras.ops`.

mod numpy;

use super::layer::OpDef;

pub static OPS: &[OpDef] = &[OpDef {
    class: "Add",
    lower: numpy::add,
}];

/// The entry of a class.
pub fn find(class: &str) -> Option<&'static OpDef> {
    OPS.iter().find(|d| d.class == class)
}
