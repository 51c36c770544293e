//! What is done now and then: clearing indexes of what has ended, destroying expired tokens, and the embedded backend of what nobody
//! looks at any more.

use crate::db::transport::memory::Memory;
use crate::stores::sessions::Upkeep;
use crate::stores::tokens::Expiring;
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
