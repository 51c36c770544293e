//! What is shown of the backend when the metrics are read: how its ways are used, how failover stands, and what it tells
//! of itself. What it does not tell is absent, and not zero.

use super::server_report::ServerReport;
use crate::db::ServerInfo;
use crate::db::transport::doors::{Doors, Readiness};
use crate::db::transport::usage::{Usage, Used};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt::Error;
use std::sync::Arc;

/// Registers them.
pub(super) fn register(
    registry: &mut Registry,
    doors: Doors,
    used: Vec<(&'static str, Arc<dyn Used>)>,
    report: ServerReport,
) {
    registry.register_collector(Box::new(Shown { doors, used, report }));
}

struct Shown {
    doors: Doors,
    used: Vec<(&'static str, Arc<dyn Used>)>,
    report: ServerReport,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.encode_usage(&mut encoder)?;
        self.encode_failover(&mut encoder)?;
        self.report.last().map_or(Ok(()), |info| encode_report(&info, &mut encoder))
    }
}

impl Shown {
    fn encode_usage(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let usages: Vec<_> = self.used.iter().map(|(door, used)| (*door, used.usage())).collect();
        let mut gauge = |name: &str, help: &str, value: fn(&Usage) -> Option<u64>| {
            let known: Vec<_> = usages.iter().filter_map(|(door, usage)| Some((*door, value(usage)?))).collect();
            if known.is_empty() {
                return Ok(());
            }
            let mut family = encoder.encode_descriptor(name, help, None, whole(0).metric_type())?;
            known.iter().try_for_each(|(door, value)| whole(*value).encode(family.encode_family(&[("door", *door)])?))
        };
        let help = "Connections that carry calls; over REST, requests under way";
        gauge("agentapi_backend_connections", help, |usage| Some(usage.connections))?;
        let help = "The most connections for calls, where that is bounded";
        gauge("agentapi_backend_connections_limit", help, |usage| usage.most_connections)?;
        let help = "Connections that hear what is published";
        gauge("agentapi_backend_listeners", help, |usage| Some(usage.listeners))?;
        if usages.is_empty() {
            return Ok(());
        }
        let help = "Scripts that the backend did not know and was told again";
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor("agentapi_backend_script_misses", help, None, kind)?;
        usages.iter().try_for_each(|(door, usage)| {
            ConstCounter::new(usage.script_misses).encode(family.encode_family(&[("door", *door)])?)
        })
    }

    fn encode_failover(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let Some(now) = self.doors.failover() else { return Ok(()) };
        let help = "1 for how failover stands, 0 for every other state";
        let name = "agentapi_backend_failover_state";
        let mut family = encoder.encode_descriptor(name, help, None, whole(0).metric_type())?;
        let states = [Readiness::Ready, Readiness::Active, Readiness::Unproven, Readiness::Off];
        states.iter().try_for_each(|state| {
            let labels = [("state", state.word())];
            whole(u64::from(*state == now)).encode(family.encode_family(&labels)?)
        })
    }
}

fn encode_report(info: &ServerInfo, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
    let mut gauge = |name: &str, help: &str, value: Option<u64>| match value {
        None => Ok(()),
        Some(value) => whole(value).encode(encoder.encode_descriptor(name, help, None, whole(0).metric_type())?),
    };
    gauge("agentapi_redis_memory_used_bytes", "Memory that the backend takes", info.used_memory)?;
    let limit = info.maxmemory.filter(|limit| *limit > 0);
    gauge("agentapi_redis_memory_limit_bytes", "Memory that the backend may take; absent without a limit", limit)?;
    gauge("agentapi_redis_keys", "Keys in all databases of the backend", info.keys)?;
    gauge("agentapi_redis_clients", "Clients that are connected to the backend", info.connected_clients)?;
    gauge("agentapi_redis_uptime_seconds", "How long the backend runs", info.uptime_seconds)?;
    let is_kept = info.aof_enabled.map(u64::from);
    gauge("agentapi_redis_append_only_file", "1 if the backend keeps an append-only file, else 0", is_kept)?;
    let saved = info.rdb_last_save_time.map(|at| at.as_millis() / 1000);
    gauge("agentapi_redis_last_save_timestamp_seconds", "When the backend last saved all its data, or began", saved)?;
    let saves = info.rdb_last_bgsave_status.as_deref().map(|status| u64::from(status == "ok"));
    gauge("agentapi_redis_last_save_ok", "1 if its last save went well, else 0", saves)?;
    let mut counter = |name: &str, help: &str, value: Option<u64>| match value {
        None => Ok(()),
        Some(value) => {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        }
    };
    counter("agentapi_redis_keyspace_hits", "Look-ups in the backend that found their key", info.keyspace_hits)?;
    counter(
        "agentapi_redis_keyspace_misses",
        "Look-ups in the backend that did not find their key",
        info.keyspace_misses,
    )?;
    counter("agentapi_redis_evicted_keys", "Keys that the backend threw out for want of memory", info.evicted_keys)
}

fn whole(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
