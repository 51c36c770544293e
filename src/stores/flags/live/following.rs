//! What goes on in the background while flags are evaluated: listening, looking, comparing, counting.

use super::{Known, Live, WAIT_AFTER};
use crate::base::deadline::Deadline;
use crate::db::Heard;
use crate::stores::flags::looks;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// How often a process looks while flags are in use.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often the versions of those in use are compared with the backend's.
const COMPARE_EVERY: Duration = Duration::from_secs(30);
/// How often what was counted is added to the backend.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

impl Live {
    /// Listens, looks, compares and counts, as long as the process runs. Until flags are first asked for, nothing.
    pub async fn follow(self: Arc<Self>) {
        while !self.is_in_use() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let compare = async {
            loop {
                tokio::time::sleep(COMPARE_EVERY).await;
                self.compare().await;
            }
        };
        let count = async {
            loop {
                tokio::time::sleep(FLUSH_EVERY).await;
                self.flush().await;
            }
        };
        tokio::join!(self.hear_and_look(), compare, count);
    }

    async fn hear_and_look(&self) {
        let mut listener = looks::listen(&self.system);
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = listener.next() => self.hear(heard).await,
                _ = ticks.tick() => if self.is_in_use() { self.look_ahead().await },
            }
        }
    }

    /// Whether flags were evaluated since this was asked last, or are watched.
    fn is_in_use(&self) -> bool {
        self.is_used.swap(false, Ordering::Relaxed) || self.watched.load(Ordering::Relaxed) > 0
    }

    /// Somebody changed a tenant's flags, or may have while nothing was heard.
    async fn hear(&self, heard: Heard) {
        match heard {
            Heard::Resumed => self.look_ahead().await,
            Heard::Message(message) => {
                let Some(known) = looks::told(&message).and_then(|tenant| self.known.peek(&tenant)) else { return };
                if let Err(error) = self.refresh(&known, Deadline::after(Instant::now(), WAIT_AFTER)).await {
                    tracing::debug!(%error, "changed flags could not be loaded; the next look does");
                }
            }
        }
    }

    /// Looks before a request has to.
    async fn look_ahead(&self) {
        if self.outage.is_on() {
            return;
        }
        let seen = self.seen.lock().await;
        if let Err(error) = self.look(seen, Deadline::after(Instant::now(), WAIT_AFTER)).await {
            tracing::debug!(%error, "a look for changed flags failed");
        }
    }

    /// Loads those in use that are not what the backend has, although nobody said that they changed.
    pub(super) async fn compare(&self) {
        let used =
            |known: &Arc<Known>| known.place.is_used.swap(false, Ordering::Relaxed) || !known.place.news.is_closed();
        let known: Vec<Arc<Known>> = self.known.iter().map(|(_, known)| known).filter(used).collect();
        for known in known {
            if let Err(error) = self.refresh(&known, Deadline::NONE).await {
                tracing::debug!(%error, "a tenant's flags could not be compared with the backend's");
                return;
            }
        }
    }
}
