//! Circuit breakers: whether it is worth calling something, known to all instances that call it.
//!
//! Every call is one script, and only its caller is told of a change that it made, so that no state is
//! changed twice. A breaker that nobody configured and that has nothing to remember is not stored.

mod answers;
mod bodies;
mod fields;
mod keys;
mod last_known;
mod policy;
mod record;
pub mod routes;
mod scripts;
mod served;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod transitions;
mod types;

pub use keys::FAMILIES;
pub use scripts::SCRIPTS;
pub use served::Served;
pub use settings::BreakerSettings;
pub use store::{Breakers, Reported};
pub use transitions::Transitions;
pub use types::{
    Acquired, Breaker, CallOutcome, Counters, Error, Failure, Force, Forced, ForcedBy, Policy, Report, State,
    Transition,
};
