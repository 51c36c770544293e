//! What is done now and then: clearing indexes of what has ended, destroying expired tokens, and the embedded backend of what nobody
//! looks at any more.

use crate::db::transport::memory::Memory;
use crate::stores::sessions::Upkeep;
use crate::stores::tokens::Expiring;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// How many keys the embedded backend clears at a time, so that no request waits long for it.
const KEYS: usize = 1000;

/// Clears every `interval`, for ever.
pub(super) async fn run(sessions: Arc<Upkeep>, tokens: Arc<Expiring>, embedded: Vec<Arc<Memory>>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        match sessions.sweep().await {
            Ok(cleared) => tracing::debug!(cleared, "ended sessions were cleared from indexes"),
            Err(error) => tracing::warn!(%error, "ended sessions could not be cleared from indexes"),
        }
        match tokens.sweep().await {
            Ok(cleared) => tracing::debug!(cleared, "expired tokens were destroyed"),
            Err(error) => tracing::warn!(%error, "expired tokens could not be destroyed"),
        }
        for memory in &embedded {
            while memory.sweep(KEYS) == KEYS {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Exports what the stores count.
pub(super) fn register(registry: &mut Registry, sessions: &Arc<Upkeep>) {
    registry.register_collector(Box::new(Counted(sessions.clone())));
}

struct Counted(Arc<Upkeep>);

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counted")
    }
}

impl Collector for Counted {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let unreadable = ConstCounter::new(self.0.unreadable());
        let help = "Stored sessions that could not be read";
        let metric = encoder.encode_descriptor("agentapi_sessions_unreadable", help, None, unreadable.metric_type())?;
        unreadable.encode(metric)
    }
}
