//! Whether the backend can be asked at all, for those who have something to do while it cannot. The layers
//! that open and close the doors to it tell; whoever holds a handle is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// A handle on the one answer; all clones share it.
#[derive(Debug, Clone, Default)]
pub struct Outage {
    known: watch::Sender<Known>,
    /// The number of the outage that there is, 0 for none: each request asks for it.
    number: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Known {
    is_on: bool,
    begun: u64,
}

impl Outage {
    /// From now on there is one, or none any more. Says whether that is news.
    pub fn set(&self, is_on: bool) -> bool {
        self.known.send_if_modified(|known| {
            let is_news = std::mem::replace(&mut known.is_on, is_on) != is_on;
            known.begun += u64::from(is_news && is_on);
            self.number.store(if is_on { known.begun } else { 0 }, Ordering::Release);
            is_news
        })
    }

    /// Whether there is one: every door to the backend is shut.
    pub fn is_on(&self) -> bool {
        self.number().is_some()
    }

    /// The number of the outage that there is: no two have the same. Nothing where there is none.
    pub fn number(&self) -> Option<u64> {
        Some(self.number.load(Ordering::Acquire)).filter(|number| *number > 0)
    }

    /// Waits until there is one, or none.
    pub async fn becomes(&self, is_on: bool) {
        // The sender lives as long as this handle.
        if self.known.subscribe().wait_for(|now| now.is_on == is_on).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_is_told_when_it_begins_and_when_it_ends() {
        let (told, tells) = {
            let outage = Outage::default();
            (outage.clone(), outage)
        };
        assert!(!told.is_on());
        assert!(tells.set(true) && !tells.set(true), "news only once");
        told.becomes(true).await;
        assert!(told.is_on() && told.number().is_some());
        let first = told.number();
        tells.set(false);
        told.becomes(false).await;
        assert_eq!(told.number(), None);
        tells.set(true);
        assert_ne!(told.number(), first);
    }
}
