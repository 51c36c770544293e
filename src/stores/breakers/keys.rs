//! Every key of the circuit breakers. A tenant's breakers lie together, so that all are listed in one round trip; a
//! breaker is a few fields of them and no key of its own.

use crate::db::{Family, Key, Partition, TenantDb};

/// The names of all breakers that are stored.
pub static NAMES: Family = Family {
    name: "breaker-names",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "until it is empty: a breaker that has settings or something to remember is in it",
    holds: "names; score: 0; at most 10,000",
    stays: None,
};

/// What the breakers remember.
pub static STATES: Family = Family {
    name: "breakers",
    parts: "",
    kind: "hash",
    routed_by: "nothing",
    lives: "a field until its breaker has nothing to remember, or is deleted",
    holds: "by name: the state, since when (ms), ends (of the open time or a forced state), row (failures), opened (times), \
            successes; then a line each for actor, reason, probe (permit, end, instance), failure (ms, outcome, count, \
            instance; the last five), instance (digest, last failure ms, whether in the row), bucket of the window (start \
            ms, calls, failures, slow)",
    stays: None,
};

/// The settings of the breakers that have their own.
pub static SETTINGS: Family = Family {
    name: "breaker-settings",
    parts: "",
    kind: "hash",
    routed_by: "nothing",
    lives: "a field until its breaker is deleted",
    holds: "by name: the settings, durations in ms, rates in millionths",
    stays: None,
};

/// All of them, for `docs/keys.md`.
pub static FAMILIES: &[&Family] = &[&NAMES, &STATES, &SETTINGS];

/// The key of the states.
pub fn states(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &STATES, &[])
}

/// The key of the settings.
pub fn settings(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &SETTINGS, &[])
}

/// The key of the names.
pub fn names(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &NAMES, &[])
}
