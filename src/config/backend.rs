//! Which backend, and how to reach it: many variables, of which each only means something beside others.

use super::file;
use crate::base::duration;
use crate::base::env::{Env, Variable};
use crate::base::secret::Secret;
use crate::db::transport::native::{NativeSettings, TlsFiles, UnusableSettings};
use crate::db::transport::rest::{MAX_REPLY_BYTES, RestSettings, RestUrl};
use std::time::Duration;

/// Which backend, and how to reach it.
#[derive(Clone)]
pub enum BackendSettings {
    /// In this process.
    Memory,
    /// A Redis.
    Native(NativeSettings),
    /// A database behind the Upstash REST API.
    Rest(RestSettings),
    /// One database that is reached both ways: over REST while the native way is shut.
    Both {
        /// The native way.
        native: NativeSettings,
        /// REST.
        rest: RestSettings,
        /// How long the native way must have been good before it is taken again.
        failback_after: Duration,
    },
}

/// Variables that speak of a Redis: any of them turns it on.
const NATIVE: &[&str] =
    &["UPSTASH_REDIS_URL", "REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE"];
const REST: &[&str] = &["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "UPSTASH_REDIS_REST_TOKEN_FILE"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Native,
    Rest,
}

/// The settings of the backend, and the first part of every key.
pub(super) fn read(env: &mut Env) -> (BackendSettings, String) {
    env.section("Backend: nothing set means the embedded one, in this process");
    for (name, off) in [("REDIS_CLUSTER", "false"), ("REDIS_SENTINEL_MASTER", "")] {
        // To take such a promise and not keep it would be worse than to refuse it.
        if env.is_set_to_other_than(name, off) {
            env.mistake(name, "is not supported by this version");
        }
    }
    let mentioned = (env.any_set(NATIVE), env.any_set(REST));
    let enable = Variable::new(
        "REDIS_ENABLE",
        "false: the embedded backend, whatever else is set. Default: true when any Redis or Upstash variable is set.",
    );
    let enabled = env.flag(enable);
    let protocol = Variable::new("REDIS_PROTOCOL", "native (RESP) or rest (Upstash REST).").default("native");
    let protocol =
        env.choice(protocol, &[("native", Protocol::Native), ("rest", Protocol::Rest)]).unwrap_or(Protocol::Native);
    // Who asks for REST and gives no endpoint is told so, rather than served from memory.
    let enabled = enabled.unwrap_or(mentioned.0 || mentioned.1 || protocol == Protocol::Rest);
    let native = native(env);
    let rest = rest(env);
    let tls = tls_files(env);
    let connections =
        Variable::new("REDIS_MAX_POOL_SIZE", "Most connections.").alias("REDIS_MAX_CONNECTIONS").default("10");
    let max_connections =
        env.parsed(connections, "is not a number above zero", |t| t.parse().ok().filter(|n| *n > 0)).unwrap_or(10);
    let connection_timeout = env.positive_duration(
        Variable::new("REDIS_CONNECTION_TIMEOUT", "Longest that making a connection may take.").default("5s"),
    );
    let attempt =
        Variable::new("REDIS_COMMAND_TIMEOUT", "Longest that one attempt may take. Default: 500ms native, 3s REST.")
            .alias("REDIS_SOCKET_TIMEOUT");
    let attempt =
        env.parsed(attempt, "is not a duration above zero", |t| duration::parse(t).ok().filter(|d| !d.is_zero()));
    let prefix = Variable::new("REDIS_KEY_PREFIX", "First part of every key.").default("agentapi");
    let good = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
            .then(|| text.to_owned())
    };
    let key_prefix =
        env.parsed(prefix, "may have letters, digits, '-', '_', '.' and ':' only", good).unwrap_or_default();
    let fallback = Variable::new(
        "REDIS_REST_FALLBACK",
        "Whether requests go over REST while the native way is shut. Default: true when REDIS_PROTOCOL is native and REST is configured too.",
    );
    let fallback = env.flag(fallback);
    let failback_after = Variable::new(
        "REDIS_FAILBACK_AFTER",
        "How long the native way must have been good before requests take it again.",
    );
    let failback_after = env.duration(failback_after.default("30s"));
    let rest = |env: &mut Env, wanted_for: &str| match rest {
        (Some(url), Some(token)) => Some(RestSettings {
            url,
            token,
            connection_timeout,
            command_timeout: attempt.unwrap_or(Duration::from_secs(3)),
            max_connections,
            ca_pem: tls.ca.clone(),
            max_reply_bytes: MAX_REPLY_BYTES,
        }),
        (url, token) => {
            for (name, is_missing) in
                [("UPSTASH_REDIS_REST_URL", url.is_none()), ("UPSTASH_REDIS_REST_TOKEN", token.is_none())]
            {
                if is_missing {
                    env.mistake(name, &format!("is needed for {wanted_for}"));
                }
            }
            None
        }
    };
    let backend = match (enabled, protocol) {
        (false, _) => BackendSettings::Memory,
        (true, Protocol::Native) => {
            if mentioned == (false, true) {
                env.mistake("REDIS_PROTOCOL", "is native, but only REST is configured: set REDIS_URL or UPSTASH_REDIS_URL, or REDIS_PROTOCOL=rest");
            }
            let rest = match fallback.unwrap_or(mentioned == (true, true)) {
                true => rest(env, "REDIS_REST_FALLBACK"),
                false => None,
            };
            let attempt = attempt.unwrap_or(Duration::from_millis(500));
            // A little less than an attempt: "not reached" is then told from "no answer".
            let patience = connection_timeout.min(attempt * 9 / 10);
            let settings = NativeSettings { url: native, tls, max_connections, connection_timeout, patience, attempt };
            match settings.check() {
                Ok(()) => {}
                Err(UnusableSettings::Url) => env.mistake("REDIS_URL", "is not a redis:// or rediss:// URL"),
                Err(UnusableSettings::Certificates) => {
                    env.mistake("REDIS_TLS_CA_FILE", "or the system has no certificates that can be used");
                }
            }
            match rest {
                Some(rest) => BackendSettings::Both { native: settings, rest, failback_after },
                None => BackendSettings::Native(settings),
            }
        }
        (true, Protocol::Rest) => match rest(env, "REDIS_PROTOCOL=rest") {
            Some(settings) => BackendSettings::Rest(settings),
            None => BackendSettings::Memory,
        },
    };
    (backend, key_prefix)
}

/// The native URL: given whole, or put together from single variables.
fn native(env: &mut Env) -> Secret {
    let upstash =
        env.secret(Variable::new("UPSTASH_REDIS_URL", "Native URL of an Upstash database; wins over REDIS_URL."));
    let url = env.secret(Variable::new("REDIS_URL", "redis:// or rediss://, wins over the single variables. Default when Redis is enabled and nothing else is given: redis://localhost:6379/0"));
    let host = env.text(Variable::new("REDIS_HOST", "Host.")).unwrap_or_else(|| "localhost".to_owned());
    let port: Option<u16> =
        env.parsed(Variable::new("REDIS_PORT", "Port. Default: 6379"), "is not a port", |text| text.parse().ok());
    let user = env.text(Variable::new("REDIS_USERNAME", "User name."));
    let password = env.secret(Variable::new("REDIS_PASSWORD", "Password."));
    let db: Option<u16> =
        env.parsed(Variable::new("REDIS_DB", "Database number. Default: 0"), "is not a database number", |text| {
            text.parse().ok()
        });
    let tls = env.flag(Variable::new("REDIS_TLS", "true: rediss://")).unwrap_or(false);
    if let Some(given) = upstash.or(url) {
        return given;
    }
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let credentials = match (user, password) {
        (None, None) => String::new(),
        (user, None) => format!("{}@", encode(&user.unwrap_or_default())),
        (user, Some(password)) => format!("{}:{}@", encode(&user.unwrap_or_default()), encode(password.expose())),
    };
    let scheme = if tls { "rediss" } else { "redis" };
    Secret::new(format!("{scheme}://{credentials}{host}:{}/{}", port.unwrap_or(6379), db.unwrap_or(0)))
}

fn rest(env: &mut Env) -> (Option<RestUrl>, Option<Secret>) {
    let url = Variable::new("UPSTASH_REDIS_REST_URL", "REST endpoint.");
    let url = env.parsed(url, "is not an http:// or https:// URL", |text| RestUrl::parse(text).ok());
    (url, env.secret(Variable::new("UPSTASH_REDIS_REST_TOKEN", "Its token.")))
}

fn tls_files(env: &mut Env) -> TlsFiles {
    let ca = file(
        env,
        Variable::new("REDIS_TLS_CA_FILE", "CA to trust, in PEM. Default: the system's roots."),
        "REDIS_TLS_CA_FILE",
    );
    let certificate =
        file(env, Variable::new("REDIS_TLS_CERT_FILE", "Client certificate, in PEM."), "REDIS_TLS_CERT_FILE");
    let key = file(env, Variable::new("REDIS_TLS_KEY_FILE", "Its key, in PEM."), "REDIS_TLS_KEY_FILE");
    if certificate.is_some() != key.is_some() {
        env.mistake("REDIS_TLS_CERT_FILE", "and REDIS_TLS_KEY_FILE go together");
    }
    TlsFiles { ca, client: certificate.zip(key) }
}
