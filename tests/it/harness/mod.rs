//! What tests stand on.

pub mod backend;
pub mod redis_server;
