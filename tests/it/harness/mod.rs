//! What tests stand on.

pub mod app;
pub mod backend;
pub mod chaos_proxy;
pub mod collector;
pub mod listening;
pub mod loss;
pub mod more_rows;
pub mod noting;
pub mod oauth_server;
pub mod operations;
pub mod raw;
pub mod redis_server;
pub mod rest_double;
pub mod table;
