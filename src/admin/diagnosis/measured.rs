//! What an examination of the backend says, in the shape of the answer. What could not be told is null, and
//! [`Unknown`] says why.

use crate::base::clock::Timestamp;
use crate::db::{self, Error, ErrorKind, Examination, ServerInfo};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// The server behind the backend.
#[derive(Serialize, JsonSchema)]
pub(super) struct Server {
    /// The version of Redis that it is, or that it is like.
    version: Option<String>,
    /// How long it runs.
    uptime_s: Option<u64>,
}

/// How long answers took, in milliseconds.
#[derive(Serialize, JsonSchema)]
pub(super) struct Pings {
    /// Of how many.
    count: usize,
    min_ms: f64,
    median_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// Clients of the backend, all servers together.
#[derive(Serialize, JsonSchema)]
pub(super) struct Connections {
    /// How many are connected.
    in_use: Option<u64>,
    /// How many may be.
    limit: Option<u64>,
}

/// Look-ups since the backend runs.
#[derive(Serialize, JsonSchema)]
pub(super) struct Hits {
    hits: Option<u64>,
    misses: Option<u64>,
    /// Hits of all, from 0 to 1.
    pub(super) ratio: Option<f64>,
}

/// The memory of the backend.
#[derive(Serialize, JsonSchema)]
pub(super) struct MemoryUse {
    used_bytes: Option<u64>,
    /// Null where there is no limit.
    limit_bytes: Option<u64>,
    /// What is used of the limit, from 0 to 1.
    pub(super) share: Option<f64>,
}

/// What is thrown out when memory is full.
#[derive(Serialize, JsonSchema)]
pub(super) struct Evictions {
    pub(super) policy: Option<String>,
    /// Keys that were thrown out since the backend runs.
    pub(super) evicted_keys: Option<u64>,
}

/// What survives the backend's end.
#[derive(Serialize, JsonSchema)]
pub(super) struct Persistence {
    pub(super) append_only_file: Option<bool>,
    last_snapshot_at: Option<Timestamp>,
    /// `ok` or `err`.
    pub(super) last_snapshot: Option<String>,
}

/// A command that the backend found slow.
#[derive(Serialize, JsonSchema)]
pub(super) struct SlowCommand {
    /// When it ran.
    pub(super) at: Timestamp,
    /// How long the backend did nothing else, in microseconds.
    pub(super) took_us: u64,
    /// Its name in upper case, and nothing of what it was given; `OTHER` where that is not a plain word of letters.
    command: String,
}

/// Something that could not be told.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Unknown {
    /// The member of this answer.
    pub(super) member: &'static str,
    /// Why it is null.
    pub(super) reason: &'static str,
}

/// All of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Measured {
    server: Server,
    latency: Option<Pings>,
    /// Whether the backend gave back what was written to it, and had it no more when it was deleted.
    pub(super) keeps_what_is_written: Option<bool>,
    connections: Connections,
    pub(super) hits: Hits,
    pub(super) memory: MemoryUse,
    pub(super) evictions: Evictions,
    pub(super) persistence: Persistence,
    /// Keys in all its databases, whosever they are.
    keys: Option<u64>,
    /// By how much the backend's clock is ahead of this server's; negative where it is behind.
    pub(super) clock_ahead_ms: Option<i64>,
    /// The last commands that the backend found slow, whosever they are: at most 10, the newest first.
    pub(super) slow_log: Option<Vec<SlowCommand>>,
    /// What is null above, and why.
    unknown: Vec<Unknown>,
}

impl Hits {
    /// How many there were.
    pub(super) fn lookups(&self) -> u64 {
        self.hits.unwrap_or(0).saturating_add(self.misses.unwrap_or(0))
    }
}

impl SlowCommand {
    fn of(command: &db::SlowCommand) -> SlowCommand {
        let took_us = u64::try_from(command.took.as_micros()).unwrap_or(u64::MAX);
        SlowCommand { at: command.at, took_us, command: command.name.clone() }
    }
}

fn millis(duration: Duration) -> f64 {
    // To the microsecond.
    duration.as_micros() as f64 / 1000.0
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

/// Why a question has no answer, in words that name nothing from inside.
pub(super) fn why(error: &Error) -> &'static str {
    match error.kind {
        ErrorKind::Unreachable => "the backend cannot be reached",
        ErrorKind::Disconnected => "the connection to the backend was lost",
        ErrorKind::TimedOut => "the backend did not answer in time",
        ErrorKind::Protocol(_) | ErrorKind::Unexpected(_) => "what answers does not speak as a backend does",
        ErrorKind::Forbidden => "the backend refuses the credentials, or this command for them",
        ErrorKind::Throttled { .. } => "the backend lets no more through at the moment",
        ErrorKind::Full => "the backend has no memory left",
        ErrorKind::Refused(_) => "the backend refuses this command",
    }
}

impl Measured {
    pub(super) fn of(found: &Examination, transport: &str) -> Measured {
        let nothing = ServerInfo::default();
        let info = found.info.as_ref().unwrap_or(&nothing);
        let latency = found.latency.as_ref().ok();
        let lookups = info.keyspace_hits.zip(info.keyspace_misses);
        let limit = info.maxmemory.filter(|limit| *limit > 0);
        let mut measured = Measured {
            server: Server { version: info.redis_version.clone(), uptime_s: info.uptime_seconds },
            latency: latency.map(|latency| Pings {
                count: latency.count,
                min_ms: millis(latency.min),
                median_ms: millis(latency.median),
                p99_ms: millis(latency.p99),
                max_ms: millis(latency.max),
            }),
            keeps_what_is_written: found.keeps.as_ref().ok().copied(),
            connections: Connections { in_use: info.connected_clients, limit: info.maxclients },
            hits: Hits {
                hits: info.keyspace_hits,
                misses: info.keyspace_misses,
                ratio: lookups.and_then(|(hits, misses)| share(hits, hits.saturating_add(misses))),
            },
            memory: MemoryUse {
                used_bytes: info.used_memory,
                limit_bytes: limit,
                share: info.used_memory.zip(limit).and_then(|(used, limit)| share(used, limit)),
            },
            evictions: Evictions { policy: info.maxmemory_policy.clone(), evicted_keys: info.evicted_keys },
            persistence: Persistence {
                append_only_file: info.aof_enabled,
                last_snapshot_at: info.rdb_last_save_time,
                last_snapshot: info.rdb_last_bgsave_status.clone(),
            },
            keys: info.keys,
            clock_ahead_ms: found.clock_ahead,
            slow_log: found.slow_log.as_ref().ok().map(|commands| commands.iter().map(SlowCommand::of).collect()),
            unknown: Vec::new(),
        };
        measured.unknown = measured.unknown(found, transport, info.maxmemory == Some(0));
        measured
    }

    fn unknown(&self, found: &Examination, transport: &str, unlimited: bool) -> Vec<Unknown> {
        let of_info = match &found.info {
            Err(error) => why(error),
            Ok(_) if transport == "memory" => "the embedded backend does not count it",
            Ok(_) => "the backend does not tell it",
        };
        let asked = |answer: Option<&Error>| answer.map_or("nothing was to be measured", why);
        let slow_log = match &found.slow_log {
            Err(_) if transport == "memory" => "the embedded backend keeps none",
            Err(Error { kind: ErrorKind::Refused(_) | ErrorKind::Forbidden, .. }) => "the backend refuses to tell it",
            other => asked(other.as_ref().err()),
        };
        let none_yet = if self.hits.hits == Some(0) { "nothing has been looked up yet" } else { of_info };
        let limit = if unlimited { "there is no limit" } else { of_info };
        [
            (self.server.version.is_none(), "server.version", of_info),
            (self.server.uptime_s.is_none(), "server.uptime_s", of_info),
            (self.latency.is_none(), "latency", asked(found.latency.as_ref().err())),
            (self.keeps_what_is_written.is_none(), "keeps_what_is_written", asked(found.keeps.as_ref().err())),
            (self.connections.in_use.is_none(), "connections.in_use", of_info),
            (self.connections.limit.is_none(), "connections.limit", of_info),
            (self.hits.hits.is_none(), "hits.hits", of_info),
            (self.hits.misses.is_none(), "hits.misses", of_info),
            (self.hits.ratio.is_none(), "hits.ratio", none_yet),
            (self.memory.used_bytes.is_none(), "memory.used_bytes", of_info),
            (self.memory.limit_bytes.is_none(), "memory.limit_bytes", limit),
            (self.memory.share.is_none(), "memory.share", limit),
            (self.evictions.policy.is_none(), "evictions.policy", of_info),
            (self.evictions.evicted_keys.is_none(), "evictions.evicted_keys", of_info),
            (self.persistence.append_only_file.is_none(), "persistence.append_only_file", of_info),
            (self.persistence.last_snapshot_at.is_none(), "persistence.last_snapshot_at", of_info),
            (self.persistence.last_snapshot.is_none(), "persistence.last_snapshot", of_info),
            (self.keys.is_none(), "keys", of_info),
            (self.clock_ahead_ms.is_none(), "clock_ahead_ms", asked(found.latency.as_ref().err())),
            (self.slow_log.is_none(), "slow_log", slow_log),
        ]
        .into_iter()
        .filter_map(|(is_missing, member, reason)| is_missing.then_some(Unknown { member, reason }))
        .collect()
    }

    /// What people want to know first, in a line.
    pub(super) fn summary(&self) -> String {
        let version = self
            .server
            .version
            .as_ref()
            .map_or("of an unknown version".to_owned(), |version| format!("Redis {version}"));
        let latency =
            self.latency.as_ref().map(|took| format!(", median {} ms, p99 {} ms", took.median_ms, took.p99_ms));
        let memory = |used: u64| match self.memory.limit_bytes {
            Some(limit) => format!(", {used} of {limit} bytes of memory"),
            None => format!(", {used} bytes of memory, no limit"),
        };
        let keys = self.keys.map(|keys| format!(", {keys} keys")).unwrap_or_default();
        format!(
            "{version}{}{}{keys}",
            latency.unwrap_or_default(),
            self.memory.used_bytes.map(memory).unwrap_or_default()
        )
    }

    /// Whether nothing that is kept has been put on a disk since the backend began to run.
    pub(super) fn persists_nothing(&self, now: Timestamp) -> bool {
        let snapshot = self.persistence.last_snapshot_at.zip(self.server.uptime_s);
        let never_saved = snapshot.is_some_and(|(saved, uptime)| {
            // A server without a snapshot tells when it began; seconds are cut off on both sides.
            now.as_millis().saturating_sub(uptime.saturating_mul(1000)).saturating_add(2000) >= saved.as_millis()
        });
        self.persistence.append_only_file == Some(false) && never_saved
    }
}
