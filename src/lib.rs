//! AgentAPI: the multi-tenant session and state server.
//!
//! The floors, from the ground: [`base`], [`db`], [`tenancy`]. Each knows only those below it.

pub mod base;
pub mod db;
pub mod tenancy;
