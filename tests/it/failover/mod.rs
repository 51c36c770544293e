//! Two ways to one database: when they are switched, and what becomes of requests meanwhile.

pub mod scripted;
mod switching;
