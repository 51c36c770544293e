//! AgentAPI: the multi-tenant session and state server.
//!
//! The floors, from the ground: [`base`], [`db`], [`tenancy`], [`stores`]. Each knows only those below it.

#![cfg_attr(test, allow(clippy::string_slice, reason = "a panic fails the test, as it should"))]

pub mod base;
pub mod db;
pub mod http;
pub mod stores;
pub mod tenancy;
