//! The table of layers: one line a class.

mod dense;

use super::cfg::Cfg;
use super::layer::{Built, LayerDef, Nested};
use crate::error::Result;

/// Every layer class there is, by concept (one block a file).
pub static LAYERS: &[LayerDef] = &[
    // dense
    layer("Dense", dense::dense),
];

const fn layer(class: &'static str, build: fn(&Cfg, &dyn Nested) -> Result<Built>) -> LayerDef {
    LayerDef { class, build }
}

/// The entry of a class.
pub fn find(class: &str) -> Option<&'static LayerDef> {
    LAYERS.iter().find(|d| d.class == class)
}
