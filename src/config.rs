//! The configuration of the whole process, read from the environment in one place.

use crate::base::env::{Env, Variable};
use crate::base::secret::Secret;
use crate::db::transport::native::{NativeSettings, TlsFiles, UnusableSettings};
use crate::db::transport::rest::{MAX_REPLY_BYTES, RestSettings, RestUrl};
use crate::http::server::ServerSettings;
use crate::http::{PlatformSettings, TrustedProxies};
use crate::stores::sessions::{SessionFallback, SessionSettings};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Which backend, and how to reach it.
#[derive(Clone)]
pub enum BackendSettings {
    /// In this process.
    Memory,
    /// A Redis, with the time that one attempt may take.
    Native(NativeSettings, Duration),
    /// A database behind the Upstash REST API, with the time that one attempt may take.
    Rest(RestSettings, Duration),
    /// One database that is reached both ways: over REST while the native way is shut.
    Both {
        /// The native way, with the time that one attempt may take.
        native: (NativeSettings, Duration),
        /// REST, with the same.
        rest: (RestSettings, Duration),
        /// How long the native way must have been good before it is taken again.
        failback_after: Duration,
    },
}

/// Everything.
#[derive(Clone)]
pub struct Config {
    /// The backend.
    pub backend: BackendSettings,
    /// The first part of every key.
    pub key_prefix: String,
    /// Whether sessions stay in this process while everything else is in the backend.
    pub sessions_in_memory: bool,
    /// What holds for sessions where a tenant says nothing else.
    pub sessions: SessionSettings,
    /// What serves sessions while the backend cannot be asked.
    pub session_fallback: SessionFallback,
    /// Where to listen.
    pub address: (IpAddr, u16),
    /// How to listen.
    pub server: ServerSettings,
    /// What holds for every request.
    pub platform: PlatformSettings,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: TrustedProxies,
    /// What protects `/metrics`.
    pub metrics_token: Option<Secret>,
    /// How to log.
    pub log: LogSettings,
}

/// How to log.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// From which level on.
    pub level: tracing::Level,
    /// As JSON, or as text for people; as fits the terminal when nothing is said.
    pub json: Option<bool>,
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

impl Config {
    /// Reads everything; mistakes stay in `env`, for [`Env::finish`].
    pub fn read(env: &mut Env) -> Config {
        let (backend, key_prefix) = backend(env);
        env.section("Sessions");
        let storage = Variable::new(
            "SESSION_STORAGE",
            "Where sessions are: redis, or memory to keep them in this process while everything else is in Redis. Default: redis when Redis is used.",
        );
        let in_memory = env.choice(storage, &[("redis", false), ("memory", true)]);
        let without_redis = matches!(backend, BackendSettings::Memory);
        if without_redis && in_memory == Some(false) {
            env.mistake("SESSION_STORAGE", "is redis, but no Redis is configured");
        }
        let sessions_in_memory = in_memory.unwrap_or(without_redis);
        let session_fallback = SessionFallback::read(env);
        if sessions_in_memory && session_fallback == SessionFallback::Memory {
            env.mistake("SESSION_FALLBACK", "is memory, but sessions are not in a Redis that could be away");
        }
        let sessions = SessionSettings::read(env);
        env.section("Server");
        let host = Variable::new("HOST", "Address to listen on.").default("0.0.0.0");
        let host =
            env.parsed(host, "is not an IP address", |text| text.parse().ok()).unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let port = env.number(Variable::new("PORT", "Port to listen on.").default("3284"));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = Variable::new("WORKERS", "Threads that serve requests. Default: the number of cores.");
        let workers = env.parsed(workers, "is not a number from 1 to 1024", |text| {
            text.parse().ok().filter(|n| (1..=1024).contains(n))
        });
        let admin_key = env.secret(Variable::new("ADMIN_API_KEY", "Key of the admin API, at least 32 characters. Without one that API is off; on the embedded backend one is made and printed."));
        if admin_key.as_ref().is_some_and(|key| key.expose().len() < 32) {
            env.mistake("ADMIN_API_KEY", "is shorter than 32 characters");
        }
        if admin_key.as_ref().is_some_and(|key| !key.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            env.mistake("ADMIN_API_KEY", "has characters that no header can carry");
        }
        let tls = tls(env);
        let in_flight = Variable::new(
            "MAX_IN_FLIGHT",
            "Most requests in flight at one time; a tenant may have half of them unless its limits say otherwise.",
        )
        .default("1024");
        let max_in_flight = env.parsed(in_flight, "is not a number from 1 to 1000000", |text| {
            text.parse().ok().filter(|n| (1..=1_000_000).contains(n))
        });
        let platform = PlatformSettings {
            max_in_flight: max_in_flight.unwrap_or(1),
            max_body_bytes: env.bytes(Variable::new("MAX_BODY_BYTES", "Largest request body.").default("1MiB")),
            request_timeout: env.positive_duration(
                Variable::new("REQUEST_TIMEOUT", "Longest that one request may take.").default("2s"),
            ),
            admin_key,
        };
        let proxies = Variable::new(
            "TRUSTED_PROXIES",
            "Addresses and CIDR ranges whose X-Forwarded-For counts, comma separated.",
        );
        let trusted_proxies = env.parsed(proxies, "is not a list of addresses and CIDR ranges", TrustedProxies::parse);
        let log = log(env);
        let metrics_token = env.secret(Variable::new("METRICS_TOKEN", "Bearer token that protects /metrics."));
        let grace = Variable::new("SHUTDOWN_GRACE", "How long running requests may take at shutdown.").default("10s");
        let shutdown_grace = env.duration(grace);
        let delay =
            "How long the server goes on serving after SIGTERM, not ready, so that load balancers see it leave.";
        let shutdown_delay = env.duration(Variable::new("SHUTDOWN_DELAY", delay).default("5s"));
        Config {
            backend,
            key_prefix,
            sessions_in_memory,
            sessions,
            session_fallback,
            address: (host, port),
            server: ServerSettings { workers: workers.unwrap_or(cores), shutdown_grace, shutdown_delay, tls },
            platform,
            trusted_proxies: trusted_proxies.unwrap_or_default(),
            metrics_token,
            log,
        }
    }
}

fn log(env: &mut Env) -> LogSettings {
    let levels = [
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
    let level = env.choice(Variable::new("LOG_LEVEL", "error, warn, info or debug.").default("info"), &levels);
    let format = Variable::new("LOG_FORMAT", "text or json. Default: text on a terminal, else json.");
    LogSettings {
        level: level.unwrap_or(tracing::Level::INFO),
        json: env.choice(format, &[("text", false), ("json", true)]),
    }
}

fn backend(env: &mut Env) -> (BackendSettings, String) {
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
    let attempt = env.parsed(attempt, "is not a duration above zero", |t| {
        crate::base::duration::parse(t).ok().filter(|d| !d.is_zero())
    });
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
        (Some(url), Some(token)) => {
            let command_timeout = attempt.unwrap_or(Duration::from_secs(3));
            let settings = RestSettings {
                url,
                token,
                connection_timeout,
                command_timeout,
                max_connections,
                ca_pem: tls.ca.clone(),
                max_reply_bytes: MAX_REPLY_BYTES,
            };
            Some((settings, command_timeout))
        }
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
                Some(rest) => BackendSettings::Both { native: (settings, attempt), rest, failback_after },
                None => BackendSettings::Native(settings, attempt),
            }
        }
        (true, Protocol::Rest) => match rest(env, "REDIS_PROTOCOL=rest") {
            Some((settings, attempt)) => BackendSettings::Rest(settings, attempt),
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

fn file(env: &mut Env, variable: Variable, name: &str) -> Option<Vec<u8>> {
    let path = env.text(variable)?;
    let read = std::fs::read(path).ok();
    if read.is_none() {
        env.mistake(name, "names a file that cannot be read");
    }
    read
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

/// TLS for those who connect to this server.
fn tls(env: &mut Env) -> Option<Arc<rustls::ServerConfig>> {
    let certificate =
        file(env, Variable::new("TLS_CERT_FILE", "Certificate chain in PEM: serve HTTPS."), "TLS_CERT_FILE");
    let key = file(env, Variable::new("TLS_KEY_FILE", "Its key, in PEM."), "TLS_KEY_FILE");
    let (certificate, key) = match (certificate, key) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            env.mistake("TLS_CERT_FILE", "and TLS_KEY_FILE go together");
            return None;
        }
    };
    let read = || {
        let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_slice(&key).ok()?;
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).ok()
    };
    let config = read().map(Arc::new);
    if config.is_none() {
        env.mistake("TLS_CERT_FILE", "and TLS_KEY_FILE are not a certificate chain and its key");
    }
    config
}
