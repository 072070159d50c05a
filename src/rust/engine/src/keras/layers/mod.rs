//! The table of layers: one line a class.

mod dense;

use super::layer::LayerDef;

/// Every layer class there is, by concept.
pub static LAYERS: &[LayerDef] = &[LayerDef {
    class: "Dense",
    build: dense::dense,
}];

/// The entry of a class.
pub fn find(class: &str) -> Option<&'static LayerDef> {
    LAYERS.iter().find(|d| d.class == class)
}
