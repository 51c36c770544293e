//! What tests stand on.

pub mod rest_double;
