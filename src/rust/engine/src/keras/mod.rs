//! Keras meaning: configs and weights become layers, and layers write primitives.

pub mod activations;
pub mod cfg;
mod feature_space;
pub mod layer;
pub mod layers;
pub mod legacy;
pub mod load;
mod lora;
pub mod model;
pub mod ops;
mod order;
pub mod policy;
pub mod promote;
pub mod quant;
pub mod resize;
pub mod save;
pub mod spectrum;
pub mod submodel;

pub use cfg::Cfg;
pub use layer::{
    address, Arg, Built, Call, Cx, Hidden, Lacking, Layer, LayerDef, LayerNode, Nested, OfComplex,
    OpDef, Out, Reading, Stage, Staged, StateKey, Stored, Traced, Var, T,
};
pub use policy::Policy;
