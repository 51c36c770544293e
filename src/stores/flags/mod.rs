//! Feature flags: definitions in flagd's schema, evaluated in this process for any OpenFeature SDK.
//!
//! `rules` knows what a definition means and nothing else. `store` keeps the definitions, a version at a time; `live` has
//! them compiled in memory and true; `counts` knows how often they gave what.

mod answers;
mod bodies;
mod compiled;
mod counts;
mod document;
mod keys;
mod live;
mod looks;
mod reasons;
pub mod routes;
pub mod rules;
mod scripts;
mod store;
mod types;

pub use compiled::Compiled;
pub use counts::{Day, MOST_DAYS};
pub use keys::FAMILIES;
pub use live::{Current, Live, Watch};
pub use scripts::SCRIPTS;
pub use store::Flags;
pub use types::{Error, FlagChange, FlagSet, How, MOST_BYTES, Put, REMEMBERED, Version, Written};
