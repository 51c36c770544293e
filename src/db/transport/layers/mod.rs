//! Layers: each wraps a transport and is one. Their order stands in [`stack`](super::stack).

pub mod breaker;
pub mod either_way;
pub mod failover;
mod kinds;
pub mod metrics;
pub mod pipelining;
pub mod retry;
pub mod spans;
pub mod timeout;
