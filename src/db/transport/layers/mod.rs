//! What wraps a transport and is one itself: each layer adds one behaviour and knows no backend.

pub mod pipelining;
