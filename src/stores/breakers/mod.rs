//! Circuit breakers: whether it is worth calling something, known to all instances that call it.
//!
//! Every call is one script, and only its caller is told of a change that it made, so that no state is
//! changed twice. A breaker that nobody configured and that has nothing to remember is not stored.

mod keys;
mod policy;
mod record;
mod scripts;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod transitions;
mod types;

pub use keys::FAMILIES;
pub use scripts::SCRIPTS;
pub use settings::BreakerSettings;
pub use store::{Breakers, Reported};
pub use transitions::Transitions;
pub use types::{
    Acquired, Breaker, CallOutcome, Counters, Error, Failure, Force, Forced, ForcedBy, Policy, Report, State,
    Transition,
};
