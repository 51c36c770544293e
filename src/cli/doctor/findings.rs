//! What is wrong, and what mends it.

use super::is_embedded;
use crate::admin::Warning;
use crate::config::Config;
use crate::db::transport::obstacle::Obstacle;
use serde::Serialize;

/// Something to mend or to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// `critical`: it must be mended; `warning`; `info`.
    pub(super) level: &'static str,
    /// What it is, for programs.
    pub(super) code: &'static str,
    /// The way to the backend that it concerns, if it is one.
    pub(super) way: Option<&'static str>,
    /// What it is, for people.
    pub(super) detail: String,
    /// What to do.
    pub(super) mend: &'static str,
}

impl Finding {
    pub(super) fn new(
        level: &'static str,
        code: &'static str,
        detail: impl Into<String>,
        mend: &'static str,
    ) -> Finding {
        Finding { level, code, way: None, detail: detail.into(), mend }
    }

    pub(super) fn of(self, way: &'static str) -> Finding {
        Finding { way: Some(way), ..self }
    }

    /// The worst first; what is found first of those that are as bad.
    pub(super) fn rank(&self) -> usize {
        ["critical", "warning", "info"].iter().position(|level| *level == self.level).unwrap_or_default()
    }
}

/// What the configuration lacks although it is valid.
pub(super) fn of_configuration(config: &Config) -> Vec<Finding> {
    if is_embedded(config) {
        return vec![Finding::new(
            "info",
            "embedded",
            "The embedded backend is used: everything is in the process and ends with it.",
            "Set REDIS_URL, or UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, to keep it.",
        )];
    }
    let lacks = [
        (
            config.vault.is_none(),
            Finding::new(
                "critical",
                "no_root_key",
                "TOKEN_ENCRYPTION_KEY is not set: the token endpoints answer 503.",
                "Set it to what `agentapi keygen` prints, and keep it safe: without it nothing that was sealed can be read.",
            ),
        ),
        (
            config.platform.admin_key.is_none(),
            Finding::new(
                "warning",
                "no_admin_key",
                "ADMIN_API_KEY is not set: the admin API is off, and no tenant can be made.",
                "Set it to what `agentapi keygen` prints.",
            ),
        ),
        (
            config.metrics_token.is_none(),
            Finding::new(
                "info",
                "metrics_open",
                "METRICS_TOKEN is not set: whoever reaches the server reads /metrics.",
                "Set it, unless only your monitoring reaches the server.",
            ),
        ),
    ];
    lacks.into_iter().filter_map(|(lacks, finding)| lacks.then_some(finding)).collect()
}

/// Why a way does not lead to the backend.
pub(super) fn of_obstacle(way: &'static str, obstacle: Obstacle) -> Finding {
    let is_rest = way == "rest";
    let name = if is_rest { "UPSTASH_REDIS_REST_URL" } else { "REDIS_URL" };
    let (code, detail, mend) = match obstacle {
        Obstacle::NoSuchHost => (
            "no_such_host",
            "The name of its host leads to no address.",
            "Correct the host, or see to the DNS of this machine.",
        ),
        Obstacle::NothingListens => (
            "nothing_listens",
            "Its host refuses the connection: nothing listens on that port.",
            "Start the backend, or correct host and port. In a container localhost is the container itself.",
        ),
        Obstacle::Silent => (
            "no_answer",
            "It does not answer in time.",
            "See whether the host is up and a firewall lets this machine through; a process that is stopped is silent too.",
        ),
        Obstacle::NoRoute => ("no_route", "The network leads to no such host.", "See to the network of this machine."),
        Obstacle::Untrusted => (
            "certificate_not_trusted",
            "Its TLS certificate is not trusted, has expired, or is for another name.",
            "Name its CA in REDIS_TLS_CA_FILE, and the host as the certificate does.",
        ),
        Obstacle::NoTls => (
            "no_tls",
            "The TLS handshake fails: what listens there speaks no TLS, or wants a certificate of this client.",
            if is_rest {
                "Use http:// if it speaks no TLS, or correct the port."
            } else {
                "Use redis:// in place of rediss:// if it speaks no TLS; else give REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE."
            },
        ),
        Obstacle::OtherProtocol if is_rest => (
            "other_protocol",
            "What listens there is not the Upstash REST API.",
            "Correct the URL: Upstash shows it under REST API.",
        ),
        Obstacle::OtherProtocol => (
            "other_protocol",
            "What listens there does not speak as a Redis does.",
            "Use rediss:// if it speaks TLS, or correct the port.",
        ),
        Obstacle::Credentials if is_rest => (
            "credentials_refused",
            "It refuses the token.",
            "Correct UPSTASH_REDIS_REST_TOKEN; a read-only token does not do.",
        ),
        Obstacle::Credentials => (
            "credentials_refused",
            "It refuses the user name and password, or wants some.",
            "Correct the password in REDIS_URL or REDIS_PASSWORD, and the user name if there is one.",
        ),
        Obstacle::NotServing => (
            "not_serving",
            "It answers, and does not serve: it is loading its data, takes no more clients, or has no such database.",
            "Wait until it has loaded; see its maxclients; correct the number of the database.",
        ),
    };
    Finding::new("critical", code, format!("{name}: {detail}"), mend).of(way)
}

/// What mends what an examination warns of.
pub(super) fn of_warning(way: &'static str, warning: &Warning) -> Finding {
    let mend = match warning.code {
        "evicts_tenants" => "redis-cli CONFIG SET maxmemory-policy volatile-lru, and the same in redis.conf.",
        "memory_nearly_full" | "memory_filling" => {
            "Raise maxmemory, shorten SESSION_TTL, or delete tenants that are not needed: a full backend refuses writes (507)."
        }
        "no_persistence" => {
            "redis-cli CONFIG SET appendonly yes, and the same in redis.conf, unless it may all be lost."
        }
        "snapshot_failed" => "See the log of Redis: most often the disk is full, or its folder may not be written.",
        "has_evicted" => "Raise maxmemory: sessions that were thrown out ended early.",
        "few_hits" => "Nothing, where much is asked for that is not there; else see whether keys end too early.",
        "slow_commands" => {
            "See slow_log with --json: most often it is KEYS, a long script, or another user of this Redis; if it is EVALSHA, its processor is busy."
        }
        "clock_skew" => "Let both machines keep their time (NTP).",
        "does_not_keep" => "See whether the URL leads to a replica, or to a proxy that answers by itself.",
        _ => "See docs/faults.md.",
    };
    Finding::new(warning.level, warning.code, warning.detail, mend).of(way)
}
