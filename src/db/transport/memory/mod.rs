//! The embedded backend: the commands of [`COMMANDS`](crate::db::COMMANDS) in this process.
