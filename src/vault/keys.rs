//! The key families of the vault. All belong to the server and lie in one partition, beside the tenants, so that no
//! data key is made for a tenant that is gone.

use crate::db::Family;

pub(super) const DATA_KEYS: Family = Family {
    name: "data-keys",
    parts: "tenant",
    kind: "string",
    routed_by: "nothing",
    lives: "until the tenant is deleted",
    holds: "the tenant's data keys by version, each wrapped under a root key, and the highest version there was (JSON)",
    stays: Some("they go along in the first line"),
};

pub(super) const ROOT_KEYS: Family = Family {
    name: "root-keys",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "always",
    holds: "ids of root keys; score: how many data keys are wrapped under it",
    stays: Some("it is counted anew"),
};

/// Every family of the vault, for `docs/keys.md`.
pub const FAMILIES: &[&Family] = &[&DATA_KEYS, &ROOT_KEYS];
