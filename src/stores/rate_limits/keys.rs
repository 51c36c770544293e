//! Every key of the rate limits. What is known of one subject lies in one partition, so that one script can
//! change it all.

use super::types::Subject;
use crate::db::{Family, Key, Partition, TenantDb};

/// What is used of a key that the tenant chose.
pub static LIMIT: Family = Family {
    name: "rate-limit",
    parts: "key",
    kind: "string",
    routed_by: "key",
    lives: "until nothing that it says matters any more: at most twice the longest window, or until a bucket is empty",
    holds: "a line for each algorithm and window: both, when the line ends (ms), units held and when the next of them may \
            be free (ms or 0), then of sliding_window its start (ms), units of the window before and of this one; of \
            fixed_window its start, 0, units; of token_bucket when (ms) which level (drops), drops in a unit",
    stays: Some("counts begin anew"),
};

/// The same for the requests of an API key.
pub static REQUESTS: Family = Family {
    name: "api-requests",
    parts: "public id of the API key",
    kind: "string",
    routed_by: "the id",
    lives: "as rate-limit",
    holds: "as rate-limit",
    stays: Some("counts begin anew"),
};

/// The uses that `sliding_log` counts.
pub static LOG: Family = Family {
    name: "rate-limit-log",
    parts: "`key` or `api`, the key or the id, window (ms)",
    kind: "zset",
    routed_by: "the key or the id",
    lives: "a window from the last use",
    holds: "units used before (16 digits) and by this use; score: when, ms",
    stays: Some("counts begin anew"),
};

/// What is held by reservations, and for a moment by checks of several keys.
pub static HOLDS: Family = Family {
    name: "rate-limit-holds",
    parts: "`key` or `api`, the key or the id",
    kind: "zset",
    routed_by: "the key or the id",
    lives: "until the last of them is free",
    holds: "id of the hold, algorithm, window (ms), units; score: when they are free, ms",
    stays: Some("counts begin anew"),
};

/// A reservation.
pub static RESERVATION: Family = Family {
    name: "rate-limit-reservation",
    parts: "id of the hold",
    kind: "string",
    routed_by: "the partition in the reservation's id, which is that of its key",
    lives: "until it is free, or if it was settled at least a minute from then",
    holds: "`settled` and the units used, if it was; when it is free (ms), its quota, `key` or `api`, the key or the id",
    stays: Some("counts begin anew"),
};

/// The terms of named policies.
pub static POLICIES: Family = Family {
    name: "rate-limit-policies",
    parts: "",
    kind: "hash",
    routed_by: "nothing",
    lives: "until the last policy is deleted",
    holds: "per policy: limit, burst, window, algorithm, whether it is a shadow (JSON)",
    stays: None,
};

/// Their names in order.
pub static POLICY_NAMES: Family = Family {
    name: "rate-limit-policy-names",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "until the last policy is deleted",
    holds: "the names of the tenant's policies, every score 0",
    stays: None,
};

/// All of them, for `docs/keys.md`.
pub static FAMILIES: &[&Family] = &[&LIMIT, &REQUESTS, &LOG, &HOLDS, &RESERVATION, &POLICIES, &POLICY_NAMES];

impl Subject {
    /// Where all that is known of it lies.
    pub(super) fn partition(&self) -> Partition {
        Partition::of(self.named().1)
    }

    /// What kind it is, and its name.
    pub(super) fn named(&self) -> (&'static str, &str) {
        match self {
            Subject::Named(name) => ("key", name.as_str()),
            Subject::Requests(id) => ("api", id.as_str()),
        }
    }
}

/// The key of what is used.
pub fn state(db: &TenantDb, at: Partition, subject: &Subject) -> Key {
    let family = match subject {
        Subject::Named(_) => &LIMIT,
        Subject::Requests(_) => &REQUESTS,
    };
    db.key(at, family, &[subject.named().1])
}

/// The key of what is held.
pub fn holds(db: &TenantDb, at: Partition, subject: &Subject) -> Key {
    let (kind, name) = subject.named();
    db.key(at, &HOLDS, &[kind, name])
}

/// The key of the log of a window in milliseconds.
pub fn log(db: &TenantDb, at: Partition, subject: &Subject, window: &str) -> Key {
    let (kind, name) = subject.named();
    db.key(at, &LOG, &[kind, name, window])
}

/// The key of a reservation.
pub fn reservation(db: &TenantDb, at: Partition, hold: &str) -> Key {
    db.key(at, &RESERVATION, &[hold])
}

/// The key of the terms of policies.
pub fn policies(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &POLICIES, &[])
}

/// The key of their names.
pub fn policy_names(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &POLICY_NAMES, &[])
}
