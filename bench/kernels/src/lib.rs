//! Nothing: the benches are in benches/kernels.rs.
