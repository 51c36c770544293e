//! The integration tests, one binary: real backends, the real application, HTTP in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

mod api;
mod authorization;
mod backend_errors;
mod breaker;
mod breakers_store;
mod chaos;
mod command_counts;
mod conformance;
mod exactness;
mod failover;
mod flags_store;
mod floors;
mod generated;
mod harness;
mod isolation;
mod jobs;
mod lost_changes;
mod operations;
mod outbound;
mod overload;
mod pipelining;
mod platform;
mod process;
mod properties;
mod publishing;
mod rate_limits_store;
mod rest;
mod sessions_store;
mod standby;
mod supervision;
mod tenant_deletion;
mod tls;
mod tokens_store;
mod vault;
mod vault_api;
