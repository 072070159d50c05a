//! The table of layers: one line a class.

mod attention;
mod dense;
mod rnn;
mod wrappers;

use super::cfg::Cfg;
use super::layer::{Built, LayerDef, Nested};
use crate::error::Result;

/// Every layer class there is, by concept (one block a file).
pub static LAYERS: &[LayerDef] = &[
    // attention
    layer("AdditiveAttention", attention::additive_attention),
    layer("Attention", attention::attention),
    layer("MultiHeadAttention", attention::multi_head_attention),
    // dense
    layer("Dense", dense::dense),
    // rnn
    layer("GRU", rnn::gru),
    layer("LSTM", rnn::lstm),
    layer("SimpleRNN", rnn::simple_rnn),
    // wrappers
    layer("Bidirectional", wrappers::bidirectional),
    layer("TimeDistributed", wrappers::time_distributed),
];

const fn layer(class: &'static str, build: fn(&Cfg, &dyn Nested) -> Result<Built>) -> LayerDef {
    LayerDef { class, build }
}

/// The entry of a class.
pub fn find(class: &str) -> Option<&'static LayerDef> {
    LAYERS.iter().find(|d| d.class == class)
}
