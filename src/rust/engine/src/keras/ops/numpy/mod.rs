//! `keras.ops.numpy`.

pub mod elementwise;
pub mod linear;
pub mod reduce;
pub mod sets;
pub mod shape;
