//! Rate limits: who may use how much of what, in which time, counted once for all instances.
//!
//! A check is one script in the partition of its key, in the time of the backend, and judges before it
//! counts. What is used of a key, by every algorithm and over every window, is one short text, so that a
//! check reads once and writes once.

mod across;
mod addresses;
mod blocked;
mod bodies;
mod counts;
mod exchange;
mod guard;
pub mod keys;
pub mod policies;
mod question;
mod record;
mod remembered;
mod reservations;
pub mod routes;
pub mod scripts;
mod settings;
mod slices;
mod store;
#[cfg(test)]
mod tests;
mod together;
mod types;
#[cfg(test)]
mod wire;

pub use addresses::Addresses;
pub use guard::{Guard, Guarded};
pub use keys::FAMILIES;
pub use scripts::SCRIPTS;
pub use settings::{Fail, RateLimitSettings};
pub use slices::{Grant, Slices, Standing};
pub use store::RateLimits;
pub use types::{
    ASK_AGAIN, Algorithm, Check, Checked, Decision, Error, LONGEST_WINDOW, MOST_UNITS, Quota, QuotaFault, Reservation,
    ReserveOutcome, SettleOutcome, Settlement, Subject, Told,
};
