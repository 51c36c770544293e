//! The key families of tenancy. All belong to the server and lie in one partition, so that each admin
//! change and its mark are one script.

use crate::base::text::TenantId;
use crate::db::{Family, Key, SystemDb};

pub(super) const TENANT: Family = Family {
    name: "tenant",
    parts: "tenant",
    kind: "string",
    routed_by: "nothing",
    lives: "until the tenant is deleted",
    holds: "the tenant: name, status, limits, settings, version, times (JSON)",
    stays: Some("it goes along in the first line"),
};

pub(super) const TENANTS: Family = Family {
    name: "tenants",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "always",
    holds: "the ids of all tenants, every score 0",
    stays: Some("it is made from the tenant"),
};

pub(super) const API_KEY: Family = Family {
    name: "api-key",
    parts: "key id",
    kind: "string",
    routed_by: "nothing",
    lives: "until the key is revoked",
    holds: "the API key: tenant, name, scopes, SHA-256 of its secret, times (JSON)",
    stays: Some("it goes along in a line of its own"),
};

pub(super) const TENANT_KEYS: Family = Family {
    name: "tenant-keys",
    parts: "tenant",
    kind: "zset",
    routed_by: "nothing",
    lives: "until the tenant is deleted",
    holds: "the ids of the tenant's API keys, every score 0",
    stays: Some("it is made from the API keys"),
};

pub(super) const API_KEY_USED: Family = Family {
    name: "api-key-used",
    parts: "key id",
    kind: "string",
    routed_by: "nothing",
    lives: "until the key is revoked",
    holds: "the hour in which the API key was used last (RFC 3339)",
    stays: Some("it tells of this installation"),
};

pub(super) const CHANGES: Family = Family {
    name: "changes",
    parts: "",
    kind: "string",
    routed_by: "nothing",
    lives: "always",
    holds: "a random token that each change of a tenant or an API key replaces; every server watches it",
    stays: Some("it is the server's"),
};

pub(super) const DELETION: Family = Family {
    name: "deletion",
    parts: "",
    kind: "string",
    routed_by: "all partitions",
    lives: "until the tenant is deleted, 6 h at the most",
    holds: "the job that deletes the tenant, and how often that changed hands: without it, nothing is deleted here",
    stays: Some("a tenant that is being deleted does not move"),
};

/// The key of a tenant's record, for scripts that must know that it is there.
pub fn tenant_key(db: &SystemDb, id: &TenantId) -> Key {
    db.key(&TENANT, &[id.as_str()])
}

/// The families of a tenant that is being deleted, which are its own, for `docs/keys.md`.
pub const DELETION_FAMILIES: &[&Family] = &[&DELETION];

/// Every family of tenancy that belongs to the server, for `docs/keys.md`.
pub const FAMILIES: &[&Family] = &[&TENANT, &TENANTS, &API_KEY, &TENANT_KEYS, &API_KEY_USED, &CHANGES];
