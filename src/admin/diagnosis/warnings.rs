//! What should be looked into.

use super::measured::{Measured, SlowCommand};
use crate::base::clock::Timestamp;
use crate::db::transport::door::Door;
use crate::db::transport::doors::{Doors, Readiness};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// From which share of its memory on the backend is full soon, and from which one on it is nearly so.
const FILLING: f64 = 0.8;
const NEARLY_FULL: f64 = 0.9;
/// Below which share of look-ups that find something they are few.
const FEW_HITS: f64 = 0.5;
/// Fewer look-ups than this tell nothing.
const ENOUGH: u64 = 1000;
/// By how many milliseconds clocks may differ.
const SKEW: i64 = 2000;
/// From how many microseconds on a command is told to be slow, and for how long.
const SLOW_US: u64 = 100_000;
const RECENTLY: Duration = Duration::from_secs(3600);

/// Something to look into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Warning {
    /// `info`, `warning` or `critical`.
    pub level: &'static str,
    /// What it is, for programs.
    pub code: &'static str,
    /// What it is, for people.
    pub detail: &'static str,
}

const fn warning(level: &'static str, code: &'static str, detail: &'static str) -> Warning {
    Warning { level, code, detail }
}

/// What was measured and should not be so.
pub(super) fn of_measured(measured: &Measured, now: Timestamp) -> Vec<Warning> {
    let share = measured.memory.share;
    let is_slow = |command: &SlowCommand| command.took_us > SLOW_US && now.since(command.at) < RECENTLY;
    let policy = measured.evictions.policy.as_deref().unwrap_or_default();
    let checks = [
        (
            measured.keeps_what_is_written == Some(false),
            warning(
                "critical",
                "does_not_keep",
                "The backend did not give back what was written to it a moment before.",
            ),
        ),
        (
            policy.starts_with("allkeys-"),
            warning(
                "critical",
                "evicts_tenants",
                "The eviction policy is allkeys-*, which throws out tenants and tokens when memory is full: set maxmemory-policy to volatile-lru.",
            ),
        ),
        (
            share.is_some_and(|share| share >= NEARLY_FULL),
            warning("critical", "memory_nearly_full", "More than 90 % of the backend's memory is in use."),
        ),
        (
            share.is_some_and(|share| (FILLING..NEARLY_FULL).contains(&share)),
            warning("warning", "memory_filling", "More than 80 % of the backend's memory is in use."),
        ),
        (
            measured.persistence.last_snapshot.as_deref() == Some("err"),
            warning(
                "critical",
                "snapshot_failed",
                "The backend could not write its last snapshot: see its log and its disk.",
            ),
        ),
        (
            measured.persists_nothing(now),
            warning(
                "warning",
                "no_persistence",
                "The backend has no append-only file and has written no snapshot since it runs: what it keeps ends with it.",
            ),
        ),
        (
            measured.evictions.evicted_keys.is_some_and(|keys| keys > 0),
            warning("warning", "has_evicted", "The backend has thrown out keys for want of memory since it runs."),
        ),
        (
            measured.hits.ratio.is_some_and(|ratio| ratio < FEW_HITS) && measured.hits.lookups() >= ENOUGH,
            warning("info", "few_hits", "Fewer than half of the look-ups find something."),
        ),
        (
            measured.slow_log.as_ref().is_some_and(|commands| commands.iter().any(is_slow)),
            warning(
                "info",
                "slow_commands",
                "In the last hour a command kept the backend from everything else for more than 100 ms: slow_log names it.",
            ),
        ),
        (
            measured.clock_ahead_ms.is_some_and(|ahead| ahead.abs() > SKEW),
            warning(
                "warning",
                "clock_skew",
                "The clocks of the backend and of this server differ by more than two seconds: expiry goes by the backend's, logs by this one's.",
            ),
        ),
    ];
    checks.into_iter().filter_map(|(holds, warning)| holds.then_some(warning)).collect()
}

fn of_failover(readiness: Readiness) -> Option<Warning> {
    Some(match readiness {
        Readiness::Active => {
            warning("warning", "failover_active", "The native way is or was shut a moment ago: requests go over REST.")
        }
        Readiness::Off => warning(
            "critical",
            "failover_off_different_databases",
            "UPSTASH_REDIS_REST_URL leads to another database than the native URL: there is no failover.",
        ),
        Readiness::Unproven => warning(
            "warning",
            "failover_unproven",
            "It is not known yet whether both ways lead to the same database: until then there is no failover.",
        ),
        Readiness::Ready => return None,
    })
}

/// What the ways to the backend show.
pub(super) fn of_doors(doors: &Doors) -> Vec<Warning> {
    let is_in_use = |door: &Door| doors.in_use().is_some_and(|in_use| in_use.name() == door.name());
    let shut = doors.all().iter().filter(|door| door.is_open()).map(|door| Warning {
        level: if is_in_use(door) { "critical" } else { "warning" },
        code: "door_open",
        detail: match door.name() {
            "rest" => "The breaker of REST is open: it fails, and is probed until it answers.",
            _ => "The breaker of the native way is open: it fails, and is probed until it answers.",
        },
    });
    doors.failover().and_then(of_failover).into_iter().chain(shut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Delivery, Error, ErrorKind, Examination, ServerInfo, SlowCommand};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn codes(info: ServerInfo, clock_ahead: i64, keeps: bool) -> Vec<&'static str> {
        let late = Error::new(ErrorKind::TimedOut, Delivery::Unknown);
        let clock_ahead = Some(clock_ahead);
        let found = Examination { clock_ahead, keeps: Ok(keeps), info: Ok(info), ..Examination::none(&late) };
        of_measured(&Measured::of(&found, "native"), NOW).iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn each_limit_is_where_it_is_said_to_be() {
        let memory = |used| ServerInfo { used_memory: Some(used), maxmemory: Some(1000), ..ServerInfo::default() };
        for (used, expected) in [(799, None), (800, Some("memory_filling")), (899, Some("memory_filling"))] {
            assert_eq!(codes(memory(used), 0, true), Vec::from_iter(expected), "{used}");
        }
        assert_eq!(codes(memory(900), 0, true), ["memory_nearly_full"]);
        let hits = |hits, misses| ServerInfo {
            keyspace_hits: Some(hits),
            keyspace_misses: Some(misses),
            ..ServerInfo::default()
        };
        assert_eq!(codes(hits(499, 501), 0, true), ["few_hits"]);
        assert_eq!(codes(hits(500, 500), 0, true), Vec::<&str>::new());
        assert_eq!(codes(hits(1, 998), 0, true), Vec::<&str>::new(), "too few to tell");
        for (ahead, skewed) in [(2000, false), (2001, true), (-2000, false), (-2001, true)] {
            assert_eq!(codes(ServerInfo::default(), ahead, true).contains(&"clock_skew"), skewed, "{ahead}");
        }
        assert_eq!(codes(ServerInfo::default(), 0, false), ["does_not_keep"]);
    }

    #[test]
    fn a_backend_persists_nothing_where_it_has_no_file_and_no_snapshot_of_its_own() {
        let info = |aof, saved_s_ago: u64| ServerInfo {
            uptime_seconds: Some(3600),
            aof_enabled: Some(aof),
            rdb_last_save_time: Some(Timestamp::from_millis(NOW.as_millis() - saved_s_ago * 1000)),
            ..ServerInfo::default()
        };
        assert_eq!(codes(info(false, 3600), 0, true), ["no_persistence"]);
        assert_eq!(codes(info(true, 3600), 0, true), Vec::<&str>::new());
        assert_eq!(codes(info(false, 60), 0, true), Vec::<&str>::new());
        assert_eq!(codes(ServerInfo::default(), 0, true), Vec::<&str>::new(), "what is not told is no warning");
    }

    #[test]
    fn a_command_is_slow_above_a_tenth_of_a_second_and_told_for_an_hour() {
        let codes = |seconds_ago: u64, micros| {
            let at = Timestamp::from_millis(NOW.as_millis() - seconds_ago * 1000);
            let slow = SlowCommand { at, took: Duration::from_micros(micros), name: "KEYS".to_owned() };
            let error = Error::new(ErrorKind::TimedOut, Delivery::Unknown);
            let found = Examination { slow_log: Ok(vec![slow]), ..Examination::none(&error) };
            let warnings = of_measured(&Measured::of(&found, "native"), NOW);
            warnings.iter().map(|warning| (warning.level, warning.code)).collect::<Vec<_>>()
        };
        assert_eq!(codes(3599, 100_001), [("info", "slow_commands")]);
        assert_eq!(codes(3600, 100_001), []);
        assert_eq!(codes(0, 100_000), []);
    }

    #[test]
    fn any_policy_that_throws_out_what_has_no_end_is_critical() {
        let policy = |name: &str| ServerInfo { maxmemory_policy: Some(name.to_owned()), ..ServerInfo::default() };
        for name in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
            assert_eq!(codes(policy(name), 0, true), ["evicts_tenants"], "{name}");
        }
        for name in ["volatile-lru", "noeviction"] {
            assert_eq!(codes(policy(name), 0, true), Vec::<&str>::new(), "{name}");
        }
    }
}
