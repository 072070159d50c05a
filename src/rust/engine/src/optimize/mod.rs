//! Passes from graph to graph. Each keeps the values (floats to rounding) and
//! can be left out.

mod attention;
mod epilogue;
mod fold;
mod fuse;
mod pad;
mod power;
mod prune;
mod rewrite;
mod scale;
mod share;

pub use fold::{known, Folds};

use crate::error::Result;
use crate::graph::Graph;

/// A set of passes, by bit: those to leave out.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Passes(pub u32);

impl Passes {
    /// Subgraphs of constants are computed once.
    pub const FOLD: Passes = Passes(1);
    /// Equal nodes are computed once.
    pub const SHARE: Passes = Passes(2);
    /// Scales are multiplied into the weights before them.
    pub const SCALE: Passes = Passes(4);
    /// Elementwise chains are computed in one pass.
    pub const FUSE: Passes = Passes(8);
    /// Elementwise chains join the product or convolution before them.
    pub const EPILOGUE: Passes = Passes(16);
    /// Convolutions pad their images.
    pub const PAD: Passes = Passes(32);
    /// Products around a softmax become attention.
    pub const ATTENTION: Passes = Passes(64);
    /// Powers of 2 are squares.
    pub const POWER: Passes = Passes(128);
    pub const ALL: Passes = Passes(255);

    pub fn has(self, pass: Passes) -> bool {
        self.0 & pass.0 != 0
    }
}

/// Runs all passes but those of `without`.
pub fn optimize(graph: Graph, folds: &Folds, without: Passes) -> Result<Graph> {
    let mut g = prune::prune(&graph);
    if !without.has(Passes::SHARE) {
        g = share::share(&g);
    }
    if !without.has(Passes::FOLD) {
        g = fold::fold(&g, folds)?;
    }
    if !without.has(Passes::POWER) {
        g = power::power(&g);
    }
    if !without.has(Passes::PAD) {
        g = pad::pad(&g);
    }
    if !without.has(Passes::SCALE) && !without.has(Passes::FOLD) {
        g = scale::scale(&g, folds)?;
    }
    if !without.has(Passes::FUSE) {
        g = fuse::fuse(&prune::prune(&g));
        if !without.has(Passes::EPILOGUE) {
            g = epilogue::epilogue(&g);
        }
    }
    if !without.has(Passes::ATTENTION) {
        g = attention::attention(&g);
    }
    Ok(prune::prune(&g))
}
