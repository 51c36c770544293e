//! What the backend tells of itself, asked for by nobody but whoever reads the metrics: once in a quarter of a minute at
//! most, however many do, and never while its doors are shut.

use crate::base::deadline::Deadline;
use crate::db::{Outage, ServerInfo, SystemDb};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// From one question to the next.
const PAUSE: Duration = Duration::from_secs(15);
/// How long whoever reads the metrics waits for an answer. One that comes later is for the next.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a question may take.
const LIMIT: Duration = Duration::from_secs(2);
/// An answer of this age says nothing of now.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(150);

/// The last report; clones share it.
#[derive(Clone)]
pub(super) struct ServerReport {
    db: SystemDb,
    outage: Outage,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    asked: Option<Instant>,
    answer: Option<(Instant, ServerInfo)>,
}

impl ServerReport {
    /// Nothing is known yet.
    pub(super) fn new(db: SystemDb, outage: Outage) -> ServerReport {
        ServerReport { db, outage, known: Arc::default() }
    }

    /// What was told last, if that was not long ago.
    pub(super) fn last(&self) -> Option<ServerInfo> {
        let known = self.known.lock();
        let (at, info) = known.answer.as_ref()?;
        (at.elapsed() < FORGOTTEN_AFTER).then(|| info.clone())
    }

    /// Asks, unless somebody has a moment ago, and waits a little for the answer.
    pub(super) async fn refresh(&self) {
        if self.outage.is_on() || !self.is_due() {
            return;
        }
        let this = self.clone();
        // It goes on when whoever reads the metrics leaves.
        let asking = tokio::spawn(async move {
            match this.db.by(Deadline::after(std::time::Instant::now(), LIMIT)).info().await {
                Ok(info) => this.known.lock().answer = Some((Instant::now(), info)),
                Err(error) => tracing::debug!(%error, "the backend does not tell of itself"),
            }
        });
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            tracing::debug!("what the backend tells of itself comes too late for these metrics");
        }
    }

    /// Whether it is to be asked now; then it counts as asked.
    fn is_due(&self) -> bool {
        let mut known = self.known.lock();
        let is_due = known.asked.is_none_or(|at| at.elapsed() >= PAUSE);
        if is_due {
            known.asked = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;
    use crate::db::transport::{Execution, RedisTransport};
    use crate::db::{BackendClock, Batch, Database, Reply};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Tells of itself, after a while.
    #[derive(Clone, Default)]
    struct Redis(Arc<(AtomicU32, Mutex<Duration>)>);

    impl RedisTransport for Redis {
        fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
            assert_eq!(batch.commands()[0].args(), ["INFO"]);
            self.0.0.fetch_add(1, Ordering::SeqCst);
            let takes = *self.0.1.lock();
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                Ok(vec![Reply::Bulk("used_memory:7\r\n".into())])
            })
        }
    }

    fn report() -> (ServerReport, Redis, Outage) {
        let (redis, outage) = (Redis::default(), Outage::default());
        let database = Database::new(Arc::new(redis.clone()), "t", BackendClock::new(Arc::new(SystemClock)));
        (ServerReport::new(database.system(), outage.clone()), redis, outage)
    }

    #[tokio::test(start_paused = true)]
    async fn however_often_the_metrics_are_read_the_backend_is_asked_once_in_fifteen_seconds() {
        let (report, redis, outage) = report();
        let asked = || redis.0.0.load(Ordering::SeqCst);
        for _ in 0..100 {
            report.refresh().await;
        }
        assert_eq!((asked(), report.last().unwrap().used_memory), (1, Some(7)));
        tokio::time::advance(PAUSE).await;
        for _ in 0..100 {
            report.refresh().await;
        }
        assert_eq!(asked(), 2);
        outage.set(true);
        tokio::time::advance(PAUSE).await;
        report.refresh().await;
        assert_eq!(asked(), 2, "doors that are shut are not knocked at");
        tokio::time::advance(FORGOTTEN_AFTER).await;
        assert_eq!(report.last(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_hangs_keeps_nobody_from_the_metrics() {
        let (report, redis, _) = report();
        *redis.0.1.lock() = Duration::from_secs(1);
        let begun = Instant::now();
        report.refresh().await;
        assert_eq!((begun.elapsed(), report.last()), (PATIENCE, None));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(report.last().is_some(), "what came late is there for the next");
    }
}
