//! AgentAPI: the multi-tenant session and state server.
//!
//! The floors, from the ground: [`base`], [`db`] and [`outbound`], [`tenancy`] and [`vault`], [`stores`], [`http`], [`admin`], and
//! the composition of all in [`app`], [`config`] and [`cli`]. Each knows only those below it.

#![cfg_attr(test, allow(clippy::string_slice, reason = "a panic fails the test, as it should"))]

pub mod admin;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod db;
pub mod http;
pub mod outbound;
pub mod stores;
pub mod tenancy;
pub mod vault;
