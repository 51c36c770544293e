//! The rules of flags: a document in flagd's format becomes a [`Ruleset`], and a [`Flag`] of it a [`Decision`] for a
//! [`Context`]. Pure: no clock, no backend, no HTTP.
//!
//! `ruleset` and `definition` check the document, `rule` turns what an author wrote into what the `engine` runs, and
//! `operators` are the functions that the engine calls. A rule costs no more than `meter` allows, whatever the context.
//!
//! Where flagd leaves a choice, or would hide a mistake behind the default:
//!
//! - a split without a targeting key fails, and so does one that hashes a number, or whose weights come out wrong;
//! - a result that names no variant fails; a number names the variant that is called as it is written;
//! - `$flagd` is the evaluator's in every scope, in iterations too, and a context's member of that name is not read;
//! - `rollout`, and the ways of writing case, which flagd has since taken up, are unknown operators.

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
mod skim;
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
