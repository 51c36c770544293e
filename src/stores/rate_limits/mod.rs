//! Rate limits: who may use how much of what, in which time, counted once for all instances.
//!
//! A check is one script in the partition of its key, in the time of the backend, and judges before it
//! counts. What is used of a key, by every algorithm and over every window, is one short text, so that a
//! check reads once and writes once.

mod across;
mod asked;
pub mod keys;
mod record;
mod reservations;
pub mod scripts;
mod store;
#[cfg(test)]
mod tests;
mod types;

pub use keys::FAMILIES;
pub use scripts::SCRIPTS;
pub use store::RateLimits;
pub use types::{
    Algorithm, Check, Checked, Decision, Error, LONGEST_WINDOW, MOST_UNITS, Quota, QuotaFault, Reservation,
    ReserveOutcome, SettleOutcome, Settlement, Subject,
};
