//! The keys of this slice.

use crate::db::Family;

/// What is known of one `Idempotency-Key`.
pub(super) const RECORD: Family = Family {
    name: "idempotency",
    parts: "digest",
    kind: "string",
    routed_by: "the digest",
    lives: "60 s while the request runs, then 24 h",
    holds: "JSON: a digest that tells the request, which attempt began it, and its answer, sealed with AES-256-GCM under a key derived from the caller's credential",
    stays: Some("it ends within a day"),
};

/// All of them.
pub const FAMILIES: &[&Family] = &[&RECORD];
