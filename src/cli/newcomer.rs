//! The first minute: on the embedded backend the start makes an admin key, a first tenant and a key for it,
//! and prints a request that works as pasted.

use crate::app::Application;
use crate::base::id;
use crate::base::secret::Secret;
use crate::base::text::TenantId;
use crate::config::{BackendSettings, Config};
use crate::tenancy::{NewKey, NewTenant, Scopes};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// Whether nothing survives this process, so that keys may be made up.
pub(super) fn is_embedded(config: &Config) -> bool {
    matches!(config.backend, BackendSettings::Memory)
}

/// An admin key where the operator gave none.
pub(super) fn admin_key() -> Option<Secret> {
    id::random_base62(id::SECRET_LENGTH).ok().map(|random| Secret::new(format!("adm_{random}")))
}

/// Makes the tenant `default` and a key for it.
pub(super) async fn first_tenant(app: &Application) -> Option<Secret> {
    let tenant = TenantId::parse("default").ok()?;
    app.registry().create_tenant(NewTenant::plain(tenant.clone())).await.ok()?;
    let key = NewKey { name: None, scopes: Scopes::ALL, expires_at: None };
    app.registry().create_key(&tenant, key).await.ok()?.map(|(_, secret)| secret)
}

/// What is printed.
pub(super) fn welcome(address: SocketAddr, tls: bool, admin: Option<&Secret>, key: Option<&Secret>) -> String {
    let host = if address.ip().is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { address.ip() };
    let scheme = if tls { "https" } else { "http" };
    let base = format!("{scheme}://{}", SocketAddr::new(host, address.port()));
    let mut text = format!("AgentAPI {} listens on {base}\n\n", env!("CARGO_PKG_VERSION"));
    text.push_str("  Embedded backend: everything is in this process and ends with it. Set REDIS_URL to keep it.\n\n");
    let mut line = |name: &str, value: &str| {
        let written = writeln!(text, "  {name:<12}{value}");
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    };
    if let Some(admin) = admin {
        line("admin key", admin.expose());
    }
    if let Some(key) = key {
        line("tenant", "default");
        line("API key", key.expose());
        line("reference", &format!("{base}/docs"));
        let request = format!(
            "\nTry it:\n\n  curl -s {base}/v1/sessions -H 'Authorization: Bearer {}' \\\n    \
             -H 'Content-Type: application/json' -d '{{\"user_id\":\"u1\"}}'\n",
            key.expose()
        );
        text.push_str(&request);
    }
    text.push('\n');
    text
}
