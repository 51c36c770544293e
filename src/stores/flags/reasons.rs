//! Why flags gave what they gave, over all tenants, for Prometheus: by the reasons of OFREP, never by flag.

use super::rules::Reason;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const REASONS: [Reason; 4] = [Reason::Static, Reason::TargetingMatch, Reason::Default, Reason::Disabled];
/// Where the evaluation failed.
const ERROR: &str = "ERROR";

/// Shared by all flags of a process.
#[derive(Debug, Default)]
pub struct Reasons {
    given: [AtomicU64; REASONS.len()],
    failed: AtomicU64,
}

impl Reasons {
    /// Registers them.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(Shown(self.clone())));
    }

    pub(super) fn given(&self, reason: Reason) {
        let place = REASONS.iter().position(|known| *known == reason);
        if let Some(count) = place.and_then(|place| self.given.get(place)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }
}

#[derive(Debug)]
struct Shown(Arc<Reasons>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kind = ConstCounter::new(0_u64).metric_type();
        let help = "Evaluations of flags by the reason for what they gave";
        let mut family = encoder.encode_descriptor("agentapi_flag_evaluations", help, None, kind)?;
        let given = REASONS.iter().map(|reason| reason.as_str()).zip(&self.0.given);
        for (reason, count) in given.chain([(ERROR, &self.0.failed)]) {
            ConstCounter::new(count.load(Relaxed)).encode(family.encode_family(&[("reason", reason)])?)?;
        }
        Ok(())
    }
}
