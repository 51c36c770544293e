//! What this process remembers of the backend, and how often that was enough.

use crate::stores::flags::Live;
use crate::tenancy::Registry;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry as Metrics;
use std::sync::Arc;

/// Registers them.
pub(super) fn register(metrics: &mut Metrics, registry: Arc<Registry>, flags: Arc<Live>) {
    metrics.register_collector(Box::new(Shown { registry, flags }));
}

struct Shown {
    registry: Arc<Registry>,
    flags: Arc<Live>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help =
            "Times that something was looked for in this process's memory: API keys, and tenants' compiled flags";
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor("agentapi_cache_lookups", help, None, kind)?;
        for (cache, lookups) in [("identity", self.registry.lookups()), ("flags", self.flags.lookups())] {
            for (result, count) in [("hit", lookups.hits()), ("miss", lookups.misses())] {
                let labels = [("cache", cache), ("result", result)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
