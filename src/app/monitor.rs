//! How the backend is: asked when somebody wants to know, and now and then so that its clock stays known.

use crate::db::{Database, Error, ErrorKind};
use crate::http::ports::{BackendState, Health};
use crate::http::server::Draining;
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// An answer is good for this long: health checks of many balancers cost the backend two commands a second.
const GOOD_FOR: Duration = Duration::from_millis(500);
/// How often a healthy backend is asked, for its clock may drift. An idle server should cost next to nothing.
const WATCH: Duration = Duration::from_secs(30);

/// Watches one backend.
pub(super) struct Monitor {
    database: Database,
    name: &'static str,
    started: Instant,
    draining: Draining,
    last: Mutex<Option<(Instant, Result<(), Error>)>>,
}

impl Monitor {
    pub(super) fn new(database: Database, name: &'static str, draining: Draining) -> Self {
        Monitor { database, name, started: Instant::now(), draining, last: Mutex::new(None) }
    }

    /// The last answer, or a new one when that is old. Those who ask at once share one question.
    async fn ask(&self) -> Result<(), Error> {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < GOOD_FOR
        {
            return answer.clone();
        }
        let answer = self.database.probe().await;
        if let Some((_, before)) = &*last
            && before.is_ok() != answer.is_ok()
        {
            tracing::warn!(backend = self.name, healthy = answer.is_ok(), "the backend's state has changed");
        }
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    /// Asks for ever: often while the backend is ill, so that its return is noticed.
    pub(super) async fn watch(self: Arc<Self>) {
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
                _ if self.name == "memory" => "not_initialized",
                Ok(()) => "healthy",
                Err(error) => match error.kind {
                    ErrorKind::Unreachable | ErrorKind::Disconnected | ErrorKind::TimedOut => "unhealthy",
                    _ => "error",
                },
            };
            BackendState { transport: self.name, redis_status, serves: answer.is_ok() && !self.draining.has_begun() }
        })
    }

    fn uptime(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

/// Stands in where endpoints are described and none is called.
pub(super) struct Nothing;

impl Health for Nothing {
    fn backend(&self) -> LocalBoxFuture<'_, BackendState> {
        Box::pin(async { BackendState { transport: "memory", redis_status: "not_initialized", serves: false } })
    }

    fn uptime(&self) -> u64 {
        0
    }
}
