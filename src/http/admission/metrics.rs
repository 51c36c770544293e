//! What of admission is shown to Prometheus: read when asked for, so that a request counts nothing twice.

use super::{Admission, Crowd};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Admission {
    /// Registers its metrics.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(Shown(self.clone())));
    }
}

#[derive(Debug)]
struct Shown(Arc<Admission>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let Shown(admission) = self;
        let mut gauge = |name: &str, help: &str, value: u64| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        let in_flight = u64::from(admission.in_flight.load(Relaxed));
        gauge("agentapi_http_in_flight", "Slots taken by requests; a batch takes several", in_flight)?;
        let strangers = u64::from(admission.strangers.load(Relaxed));
        gauge("agentapi_http_unknown_keys", "Requests whose keys are being asked for", strangers)?;
        gauge("agentapi_http_in_flight_limit", "Slots that there are now", u64::from(admission.limit.now()))?;
        let bytes = admission.body_bytes.load(Relaxed) as u64;
        gauge("agentapi_http_body_bytes", "Bytes of request bodies held in memory, beyond 4 KiB of each", bytes)?;
        let bytes = admission.answer_bytes.load(Relaxed) as u64;
        gauge("agentapi_http_answer_bytes", "Bytes of large answers that are still being sent", bytes)?;
        let streams = u64::from(admission.streams.load(Relaxed));
        gauge("agentapi_http_event_streams", "Event streams that are open", streams)?;
        let help = "Requests turned away because too much is going on";
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut refused = encoder.encode_descriptor("agentapi_http_overload_refusals", help, None, kind)?;
        for (crowd, reason) in Crowd::ALL {
            let count = admission.refused.get(crowd as usize).map_or(0, |count| count.load(Relaxed));
            ConstCounter::new(count).encode(refused.encode_family(&[("reason", reason)])?)?;
        }
        Ok(())
    }
}
