//! The configuration of the whole process, read from the environment in one place.

mod backend;
mod traces;

use crate::base::duration;
use crate::base::env::{Env, Variable};
use crate::base::secret::Secret;
use crate::http::server::ServerSettings;
use crate::http::{CorsOrigins, PlatformSettings, TrustedProxies};
use crate::outbound::OutboundSettings;
use crate::stores::breakers::BreakerSettings;
use crate::stores::rate_limits::RateLimitSettings;
use crate::stores::sessions::{SessionFallback, SessionSettings};
use crate::vault::KeyRing;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use backend::BackendSettings;
pub use traces::TraceSettings;

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
    /// What holds for circuit breakers that have no settings of their own.
    pub breakers: BreakerSettings,
    /// What may be reached of what tenants name.
    pub outbound: OutboundSettings,
    /// How long the operator keeps backups of the backend, if that was said.
    pub backup_retention: Option<Duration>,
    /// The root keys of the vault, if there are any.
    pub vault: Option<KeyRing>,
    /// How often each API key may ask, and what limits do in an outage.
    pub rate_limits: RateLimitSettings,
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
    /// How many tenants are named there, if any is.
    pub metrics_tenants: Option<usize>,
    /// How to log.
    pub log: LogSettings,
    /// Where traces go, if anywhere.
    pub traces: Option<TraceSettings>,
}

/// How to log.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// From which level on.
    pub level: tracing::Level,
    /// As JSON, or as text for people; as fits the terminal when nothing is said.
    pub json: Option<bool>,
}

impl Config {
    /// Reads everything; mistakes stay in `env`, for [`Env::finish`].
    pub fn read(env: &mut Env) -> Config {
        let (backend, key_prefix) = backend::read(env);
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
        env.section("The vault");
        let vault = KeyRing::read(env);
        let retention = Variable::new(
            "BACKUP_RETENTION",
            "How long backups of the backend are kept, such as 30d: told to whoever deletes a tenant. Nothing is told when not set.",
        );
        let backup_retention =
            env.parsed(retention, "is not a duration (3600, 30s, 5m, 1h, 7d)", |text| duration::parse(text).ok());
        env.section("OAuth providers");
        let outbound = OutboundSettings::read(env);
        env.section("Circuit breakers");
        let breakers = BreakerSettings::read(env);
        env.section("Rate limits");
        let rate_limits = RateLimitSettings::read(env);
        env.section("Server");
        let address = address(env);
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
        let (max_event_streams, max_event_streams_of_tenant) = event_streams(env);
        let beat = "How long nothing may be sent on an event stream before a heartbeat is.";
        let event_heartbeat = env.positive_duration(Variable::new("EVENT_STREAM_HEARTBEAT", beat).default("20s"));
        let platform = PlatformSettings {
            max_in_flight: max_in_flight.unwrap_or(1),
            max_event_streams,
            max_event_streams_of_tenant,
            event_heartbeat,
            max_body_bytes: env.bytes(Variable::new("MAX_BODY_BYTES", "Largest request body.").default("1MiB")),
            request_timeout: env.positive_duration(
                Variable::new("REQUEST_TIMEOUT", "Longest that one request may take.").default("2s"),
            ),
            admin_key,
            sessions_stand_in: session_fallback == SessionFallback::Memory,
            cors_origins: cors_origins(env),
        };
        let proxies = Variable::new(
            "TRUSTED_PROXIES",
            "Addresses and CIDR ranges whose X-Forwarded-For counts, comma separated.",
        );
        let trusted_proxies = env.parsed(proxies, "is not a list of addresses and CIDR ranges", TrustedProxies::parse);
        let log = log(env);
        let traces = TraceSettings::read(env);
        let metrics_token = env.secret(Variable::new("METRICS_TOKEN", "Bearer token that protects /metrics."));
        let tenants = "Whether /metrics names tenants: none, or top:N (N from 1 to 100) for the N that ask most, all others as one.";
        let tenants = Variable::new("METRICS_TENANTS", tenants).default("none");
        let metrics_tenants = env.parsed(tenants, "is neither none nor top:N with N from 1 to 100", named_tenants);
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
            breakers,
            backup_retention,
            vault,
            outbound,
            rate_limits,
            address,
            server: ServerSettings { workers: workers.unwrap_or(cores), shutdown_grace, shutdown_delay, tls },
            platform,
            trusted_proxies: trusted_proxies.unwrap_or_default(),
            metrics_token,
            metrics_tenants: metrics_tenants.flatten(),
            log,
            traces,
        }
    }
}

/// Where the server listens.
pub fn address(env: &mut Env) -> (IpAddr, u16) {
    let host = Variable::new("HOST", "Address to listen on.").default("0.0.0.0");
    let host = env.parsed(host, "is not an IP address", |text| text.parse().ok()).unwrap_or(IpAddr::from([0, 0, 0, 0]));
    (host, env.number(Variable::new("PORT", "Port to listen on.").default("3284")))
}

/// The certificate that the server shows; without one it speaks plain HTTP.
pub const TLS_CERT_FILE: Variable = Variable::new("TLS_CERT_FILE", "Certificate chain in PEM: serve HTTPS.");

/// The most of all tenants together, and of one.
fn event_streams(env: &mut Env) -> (u32, u32) {
    let mut most = |name, meaning, default| {
        let wrong = "is not a number from 1 to 1000000";
        let read = |text: &str| text.parse().ok().filter(|n| (1..=1_000_000).contains(n));
        env.parsed(Variable::new(name, meaning).default(default), wrong, read).unwrap_or(1)
    };
    let all = most("MAX_EVENT_STREAMS", "Most event streams open at one time; each is a connection.", "1000");
    (all, most("MAX_EVENT_STREAMS_PER_TENANT", "Most of them of one tenant.", "250"))
}

/// The origins whose pages may ask.
fn cors_origins(env: &mut Env) -> Option<CorsOrigins> {
    let meaning = "Origins whose pages may ask (CORS), as browsers send them, such as https://app.example.com, comma separated; * for all. Never for /admin.";
    let must = "is neither * nor a list of origins as browsers send them: http or https, host, and port unless it is the usual one, in lower case and without a path";
    env.parsed(Variable::new("CORS_ORIGINS", meaning), must, CorsOrigins::parse)
}

/// How many tenants the metrics name.
fn named_tenants(text: &str) -> Option<Option<usize>> {
    match text.strip_prefix("top:") {
        None => (text == "none").then_some(None),
        Some(most) => most.parse().ok().filter(|most| (1..=100).contains(most)).map(Some),
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

fn file(env: &mut Env, variable: Variable, name: &str) -> Option<Vec<u8>> {
    let path = env.text(variable)?;
    let read = std::fs::read(path).ok();
    if read.is_none() {
        env.mistake(name, "names a file that cannot be read");
    }
    read
}

/// TLS for those who connect to this server.
fn tls(env: &mut Env) -> Option<Arc<rustls::ServerConfig>> {
    let certificate = file(env, TLS_CERT_FILE, "TLS_CERT_FILE");
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
