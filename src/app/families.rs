//! Which keys there are: the families of all that keep some.

use crate::db::{self, Family};
use crate::{jobs, stores, tenancy, vault};

/// The families of keys, by who keeps them.
pub fn families() -> [(&'static str, &'static [&'static Family]); 13] {
    [
        ("Tenants and API keys, owner `_system`", tenancy::FAMILIES),
        ("The vault, owner `_system`", vault::FAMILIES),
        ("Jobs, owner `_system`", jobs::FAMILIES),
        ("Sessions, owner the tenant", stores::sessions::FAMILIES),
        ("Tokens, owner the tenant", stores::tokens::FAMILIES),
        ("Feature flags, owner the tenant; `flag-changes`: the server", stores::flags::FAMILIES),
        ("Circuit breakers, owner the tenant", stores::breakers::FAMILIES),
        ("Rate limits, owner the tenant", stores::rate_limits::FAMILIES),
        ("Idempotency keys, owner the tenant, or `_system` on the admin API", stores::idempotency::FAMILIES),
        ("Tenants that are being deleted, owner the tenant", tenancy::DELETION_FAMILIES),
        ("Operations, owner the tenant or `_system`", db::FAMILIES),
        ("Looking at the backend, owner `_system`", db::EXAMINATION_FAMILIES),
        ("Ways to the backend, owner `_system`", super::FAMILIES),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_name_is_that_of_one_family_and_no_key_of_the_server_moves_with_a_tenant() {
        let mut names = HashSet::new();
        for (owner, families) in families() {
            for family in families {
                assert!(names.insert(family.name), "{} stands twice", family.name);
                let is_the_servers = owner.contains("_system") && !owner.contains("tenant,");
                assert!(!is_the_servers || family.stays.is_some(), "{}", family.name);
                assert!(["string", "hash", "zset"].contains(&family.kind), "{} cannot be moved", family.name);
            }
        }
    }
}
