//! Floor 3: capabilities, a folder each, the same file names in every one. They know no HTTP but in their
//! `routes.rs`, and never each other.

pub mod breakers;
pub mod flags;
pub mod idempotency;
pub mod rate_limits;
pub mod sessions;
pub mod tokens;
