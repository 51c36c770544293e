//! The rules of flags: a document in flagd's format becomes a [`Ruleset`], and a [`Flag`] of it a [`Decision`] for a
//! [`Context`]. Pure: no clock, no backend, no HTTP.
//!
//! `ruleset` and `definition` check the document, `rule` turns what an author wrote into what the `engine` runs, and
//! `operators` are the functions that the engine calls. A rule costs no more than `meter` allows, whatever the context.

mod coercion;
mod context;
mod context_fault;
mod context_reader;
mod definition;
mod engine;
mod explanation;
mod failure;
mod fault;
mod flag;
mod meter;
mod murmur3;
mod operators;
mod rule;
mod ruleset;
mod shown;
#[cfg(test)]
mod tests;
mod walk;

pub use context::{Arena, Context};
pub use context_fault::ContextFault;
pub use explanation::{Bucketing, Explanation, Step};
pub use failure::Failure;
pub use fault::Fault;
pub use flag::{Decision, Flag, Reason, State, Variant};
pub use ruleset::Ruleset;
