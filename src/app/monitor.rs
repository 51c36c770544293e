//! How the backend is: asked when somebody wants to know, and now and then so that its clock stays known.

use super::server_report::ServerReport;
use crate::base::deadline::Deadline;
use crate::db::transport::door::Failure;
use crate::db::transport::doors::{Doors, Readiness};
use crate::db::{Database, Delivery, Error, ErrorKind, Outage};
use crate::http::ports::{BackendState, Health};
use crate::http::server::Draining;
use crate::stores::sessions::standby::Standby;
use crate::tenancy::Registry;
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// An answer is good for this long: health checks of many balancers cost the backend two commands a second.
const GOOD_FOR: Duration = Duration::from_millis(500);
/// A bad one for this long: it must not hide that the backend is back.
const BAD_FOR: Duration = Duration::from_millis(100);
/// How often a healthy backend is asked, for its clock may drift. An idle server should cost next to nothing.
const WATCH: Duration = Duration::from_secs(30);

/// The longest that it is waited for: whoever asks about its health wants to hear that it hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// Watches one backend; all clones watch it together.
#[derive(Clone)]
pub(super) struct Monitor {
    database: Database,
    doors: Doors,
    outage: Outage,
    stand_in: Option<Arc<StandIn>>,
    started: Instant,
    draining: Draining,
    patience: Duration,
    last: Arc<Mutex<Option<Known>>>,
    report: ServerReport,
}

/// What serves sessions while the backend does not: whoever remembers no key can let nobody in.
pub(super) struct StandIn {
    pub(super) standby: Arc<Standby>,
    pub(super) registry: Registry,
}

/// What the backend answered, and when: after how many changes of its doors.
struct Known {
    at: Instant,
    changes: u64,
    answer: Result<(), Error>,
}

impl Monitor {
    /// For requests that take at most so long: what is asked here takes less.
    pub(super) fn new(
        database: Database,
        (doors, outage): (Doors, Outage),
        stand_in: Option<StandIn>,
        draining: Draining,
        request_timeout: Duration,
    ) -> Self {
        let (patience, started) = (PATIENCE.min(request_timeout / 2), Instant::now());
        let report = ServerReport::new(database.system(), outage.clone());
        let stand_in = stand_in.map(Arc::new);
        Monitor { database, doors, outage, stand_in, started, draining, patience, last: Arc::default(), report }
    }

    /// What the backend tells of itself, for the metrics.
    pub(super) fn report(&self) -> &ServerReport {
        &self.report
    }

    /// The last answer, or a new one when that is old or a door changed since. Those who ask at once share one
    /// question, which goes on when they leave: it must not begin anew for each of many who do not stay.
    async fn ask(&self) -> Result<(), Error> {
        let last = self.last.clone().lock_owned().await;
        let changes = self.doors.changes();
        if let Some(known) = &*last
            && known.at.elapsed() < if known.answer.is_ok() { GOOD_FOR } else { BAD_FOR }
            && known.changes == changes
        {
            return known.answer.clone();
        }
        let question = tokio::spawn(self.clone().ask_anew(last, changes));
        question.await.unwrap_or(Err(Error::new(ErrorKind::Disconnected, Delivery::Unknown)))
    }

    /// While every door is shut there is nothing to ask: the doors are being probed.
    async fn ask_anew(self, mut last: OwnedMutexGuard<Option<Known>>, changes: u64) -> Result<(), Error> {
        let answer = if self.outage.is_on() {
            Err(Error::new(self.why_shut(), Delivery::NotSent))
        } else {
            self.database.probe(Deadline::after(Instant::now(), self.patience)).await
        };
        if let Some(before) = &*last
            && before.answer.is_ok() != answer.is_ok()
        {
            let transport = self.doors.transport();
            tracing::warn!(transport, healthy = answer.is_ok(), "the backend's state has changed");
        }
        *last = Some(Known { at: Instant::now(), changes, answer: answer.clone() });
        answer
    }

    /// What the door in use said last.
    fn why_shut(&self) -> ErrorKind {
        let failure = self.doors.in_use().and_then(|door| door.known().last_failure);
        match failure {
            Some((Failure::Forbidden, _)) => ErrorKind::Forbidden,
            Some((Failure::Unreachable | Failure::Disconnected | Failure::TimedOut, _)) | None => {
                ErrorKind::Unreachable
            }
            Some((other, _)) => ErrorKind::Protocol(other.word()),
        }
    }

    /// Asks for ever: often while the backend is ill, so that its return is noticed.
    pub(super) async fn watch(self) {
        loop {
            let pause = if self.ask().await.is_ok() { WATCH } else { GOOD_FOR };
            tokio::time::sleep(pause).await;
        }
    }
}

impl Health for Monitor {
    fn backend(&self) -> LocalBoxFuture<'_, BackendState> {
        Box::pin(async {
            let answer = self.ask().await;
            let redis_status = match &answer {
                _ if self.doors.all().is_empty() => "not_initialized",
                Ok(()) => "healthy",
                Err(error) => match error.kind {
                    ErrorKind::Unreachable | ErrorKind::Disconnected | ErrorKind::TimedOut => "unhealthy",
                    _ => "error",
                },
            };
            let stand_in = self.stand_in.as_ref().filter(|stand_in| stand_in.standby.is_engaged());
            let serves_sessions = stand_in.is_some_and(|stand_in| stand_in.registry.recalls());
            let failover = self.doors.failover();
            BackendState {
                transport: self.doors.transport(),
                redis_status,
                answers: answer.is_ok(),
                stands_in: stand_in.is_some(),
                serves: (answer.is_ok() || serves_sessions) && !self.draining.has_begun(),
                failover: failover.map(Readiness::word),
                is_degraded: stand_in.is_some() || failover.is_some_and(|readiness| readiness != Readiness::Ready),
            }
        })
    }

    fn uptime(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    fn before_metrics(&self) -> LocalBoxFuture<'_, ()> {
        Box::pin(self.report.refresh())
    }
}

/// Stands in where endpoints are described and none is called.
pub(super) struct Nothing;

impl Health for Nothing {
    fn backend(&self) -> LocalBoxFuture<'_, BackendState> {
        let state = BackendState {
            transport: "memory",
            redis_status: "not_initialized",
            answers: false,
            stands_in: false,
            serves: false,
            failover: None,
            is_degraded: false,
        };
        Box::pin(async move { state })
    }

    fn uptime(&self) -> u64 {
        0
    }

    fn before_metrics(&self) -> LocalBoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;
    use crate::db::transport::door::Door;
    use crate::db::transport::layers::breaker::Breaker;
    use crate::db::transport::{Execution, RedisTransport};
    use crate::db::{BackendClock, Batch, Command, Effect, Reply};
    use prometheus_client::metrics::gauge::Gauge;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    /// Tells the time, or cannot be reached.
    #[derive(Clone, Default)]
    struct Redis(Arc<(AtomicBool, AtomicU32)>);

    impl RedisTransport for Redis {
        fn execute<'a>(&'a self, _: &'a Batch) -> Execution<'a> {
            self.0.1.fetch_add(1, Ordering::SeqCst);
            let time = || vec![Reply::Array(vec![Reply::Int(1), Reply::Int(0)])];
            let gone = Error::new(ErrorKind::Unreachable, Delivery::NotSent);
            let answer = if self.0.0.load(Ordering::SeqCst) { Err(gone) } else { Ok(time()) };
            Box::pin(async { answer })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_a_door_changed_is_not_given_again() {
        let (redis, outage, clock) = (Redis::default(), Outage::default(), Arc::new(SystemClock));
        let door = Arc::new(Door::new("native", clock.clone(), Some(outage.clone()), Gauge::default()));
        let probe = Batch::one(Command::raw(Effect::Read, ["GET"]));
        let breaker = Arc::new(Breaker::new(redis.clone(), door.clone(), probe));
        let database = Database::new(breaker.clone(), "t", BackendClock::new(clock));
        let ways = (Doors::one(door.clone()), outage);
        let monitor = Monitor::new(database, ways, None, Draining::default(), PATIENCE);
        assert!(monitor.ask().await.is_ok());
        redis.0.0.store(true, Ordering::SeqCst);
        assert!(monitor.ask().await.is_ok(), "nobody has noticed yet");
        for _ in 0..5 {
            assert!(breaker.execute(&Batch::one(Command::time())).await.is_err());
        }
        // One probe more is asked before the door is shut.
        while !door.is_open() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let asked = redis.0.1.load(Ordering::SeqCst);
        assert!(monitor.ask().await.is_err());
        assert_eq!(redis.0.1.load(Ordering::SeqCst), asked, "a door that is shut is not asked");
        redis.0.0.store(false, Ordering::SeqCst);
        while door.is_open() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(monitor.ask().await.is_ok(), "it is back");
    }
}
