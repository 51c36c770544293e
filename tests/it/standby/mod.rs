//! Sessions while the backend is away: what is served, what is refused, and that nothing is lost or comes back.

mod bench;
mod bounds;
mod by_chance;
mod condition;
mod flapping;
mod over_http;
mod returning;
mod serving;
mod two;
