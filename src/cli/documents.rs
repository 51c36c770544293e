//! The project's documents that are made from its code.

use crate::app;
use crate::db::{self, Family};
use crate::http::openapi;
use crate::{http, jobs, stores, tenancy, vault};

/// The API description.
pub(super) fn openapi() -> serde_json::Value {
    openapi::document(&app::described())
}

/// `docs/api.md`.
pub fn reference() -> String {
    http::markdown(&app::described())
}

/// The families of keys, by who keeps them.
fn families() -> [(&'static str, &'static [&'static Family]); 12] {
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
        ("Ways to the backend, owner `_system`", app::FAMILIES),
    ]
}

/// `docs/keys.md`.
pub fn keys_table() -> String {
    let mut text = String::from(
        "# Keys\n\nMade by `agentapi keys`. A key is `agentapi:{owner:pp}:family:parts`: `agentapi` is `REDIS_KEY_PREFIX`, the owner a\n\
         tenant or `_system`, `pp` one of 256 partitions in two hexadecimal digits, chosen by what the family is routed\n\
         by. What stands in braces decides the Redis Cluster slot. In parts, bytes other than `A-Z a-z 0-9 . _ ~ -` are\n\
         written as `%XX`. No session id, refresh token or API key is stored: where one is named, its SHA-256 is.\n",
    );
    for (title, families) in families() {
        text.push_str(&format!("\n## {title}\n\n| key | type | routed by | lives | holds |\n|---|---|---|---|---|\n"));
        for family in families {
            let parts = family.parts.split(':').filter(|part| !part.is_empty()).map(|part| format!(":{{{part}}}"));
            let name: String = std::iter::once(family.name.to_owned()).chain(parts).collect();
            let Family { kind, routed_by, lives, holds, .. } = family;
            text.push_str(&format!("| `{name}` | {kind} | {routed_by} | {lives} | {holds} |\n"));
        }
    }
    text
}
