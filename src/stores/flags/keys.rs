//! The keys of this slice. A tenant's flags are one document and lie in its first partition.

use crate::db::{Family, Key, Partition, SystemDb, TenantDb};

const FLAGSET: Family = Family {
    name: "flagset",
    parts: "",
    kind: "hash",
    routed_by: "nothing",
    lives: "until the tenant is deleted",
    holds: "version, document (flagd's schema, JSON), changed (JSON: by flag, the version in which it changed last), digest \
            (SHA-256 of the document, base64url), updated (ms)",
    stays: None,
};

const HISTORY: Family = Family {
    name: "flagset-history",
    parts: "",
    kind: "hash",
    routed_by: "nothing",
    lives: "a field until 50 more versions were written",
    holds: "by version: when it was written (ms), and as JSON who did it, how, and what was there before",
    stays: None,
};

const EVALUATIONS: Family = Family {
    name: "flag-evaluations",
    parts: "day",
    kind: "hash",
    routed_by: "nothing",
    lives: "36 days from its first evaluation",
    holds: "by flag: for each variant its name, percent-encoded (`-` for none, `!` for a failure), and how often it was given",
    stays: None,
};

const CHANGES: Family = Family {
    name: "flag-changes",
    parts: "",
    kind: "zset",
    routed_by: "",
    lives: "until the tenant is deleted; the last 10,000",
    holds: "tenants; score: when their flags changed last (ms), no two the same",
    stays: Some("it is the server's"),
};

/// All of them, for `docs/keys.md`.
pub const FAMILIES: &[&Family] = &[&FLAGSET, &HISTORY, &EVALUATIONS, &CHANGES];

pub(super) fn flagset(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &FLAGSET, &[])
}

pub(super) fn history(db: &TenantDb) -> Key {
    db.key(Partition::FIRST, &HISTORY, &[])
}

/// `day` as in `2026-01-31`.
pub(super) fn evaluations(db: &TenantDb, day: &str) -> Key {
    db.key(Partition::FIRST, &EVALUATIONS, &[day])
}

pub(super) fn changes(db: &SystemDb) -> Key {
    db.key(&CHANGES, &[])
}
