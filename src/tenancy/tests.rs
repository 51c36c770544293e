//! The registry over a backend.
