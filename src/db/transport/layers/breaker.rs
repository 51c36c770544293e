//! Spares a backend that fails, and its callers the wait: after some failures in a row it is probed, and if it
//! does not answer that either, calls are refused at once, unsent, until it does. Probes are the breaker's own:
//! no client's request is risked to find out.
//!
//! The probe reads a key that is never there. `TIME` would not do: Redis tells it while it is still loading
//! its data and can serve nothing else.

use crate::base::id;
use crate::db::command::Batch;
use crate::db::error::{Delivery, Error, ErrorKind, TOO_LONG};
use crate::db::reply::Reply;
use crate::db::transport::door::{Door, Failure};
use crate::db::transport::{Execution, RedisTransport};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// From one probe of a shut door to the next.
const PAUSE: Duration = Duration::from_millis(200);
/// A random part of this is added, so that many servers do not return in step.
const JITTER: Duration = Duration::from_millis(10);
/// From one probe to the next of a door that answers and that no caller takes, or that refuses the
/// credentials: those do not mend by themselves.
const WATCH: Duration = Duration::from_secs(1);

/// Refuses calls while the door behind it is shut.
pub struct Breaker<T> {
    inner: Arc<T>,
    door: Arc<Door>,
    probe: Batch,
    home: Option<Handle>,
    prober: OnceLock<Option<AbortHandle>>,
}

impl<T: RedisTransport> Breaker<T> {
    /// `inner`, behind `door`. Probes run on the runtime in which this is called, which must be kept running;
    /// outside of one, on that of the caller that finds the door shut.
    pub fn new(inner: T, door: Arc<Door>, probe: Batch) -> Self {
        Breaker { inner: Arc::new(inner), door, probe, home: Handle::try_current().ok(), prober: OnceLock::new() }
    }

    /// From the first failure on, whenever there is a reason to.
    fn keep_probing(&self) {
        self.prober.get_or_init(|| {
            let runtime = self.home.clone().or_else(|| Handle::try_current().ok())?;
            let task = keep_probing(Arc::clone(&self.inner), Arc::clone(&self.door), self.probe.clone());
            Some(runtime.spawn(task).abort_handle())
        });
    }
}

impl<T> Drop for Breaker<T> {
    fn drop(&mut self) {
        if let Some(Some(prober)) = self.prober.get() {
            prober.abort();
        }
    }
}

impl<T: RedisTransport> RedisTransport for Breaker<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let Some(period) = self.door.entry() else {
                return Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent));
            };
            let outcome = self.inner.execute(batch).await;
            match Verdict::on(&outcome) {
                Verdict::Served => self.door.served(),
                Verdict::SaysNothing => {}
                Verdict::Failed(why) => {
                    self.door.failed(period, why);
                    self.keep_probing();
                }
            }
            outcome
        })
    }
}

async fn keep_probing<T: RedisTransport>(inner: Arc<T>, door: Arc<Door>, probe: Batch) {
    let mut news = door.news();
    // The sender lives in the door.
    while news.wait_for(|known| known.is_open || known.is_doubted || known.is_watched).await.is_ok() {
        let verdict = Verdict::on(&inner.execute(&probe).await);
        match verdict {
            Verdict::Served => door.found_good(),
            Verdict::SaysNothing => door.found_bad(Failure::Refused),
            Verdict::Failed(why) => door.found_bad(why),
        }
        if door.is_open() {
            let pause = if verdict == Verdict::Failed(Failure::Forbidden) { WATCH } else { PAUSE };
            tokio::time::sleep(pause + id::random_part(JITTER)).await;
        } else if tokio::time::timeout(WATCH, news.wait_for(|known| known.is_open || known.is_doubted)).await.is_ok() {
            tracing::trace!(door = door.name(), "probed early: it was shut meanwhile");
        }
    }
}

/// What the outcome of a call says of the door.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Somebody who can work is there, whatever they said to this call.
    Served,
    /// It may be the caller's doing, or a bound of our own.
    SaysNothing,
    /// Nobody is there, or nobody who can work.
    Failed(Failure),
}

impl Verdict {
    fn on(outcome: &Result<Vec<Reply>, Error>) -> Verdict {
        match outcome {
            Ok(replies) => {
                // A connection that answers READONLY is replaced; the next may lead to the primary.
                let helpless = |reply: &Reply| match reply {
                    Reply::Refused(refusal) => match refusal.code() {
                        "LOADING" => Some(Failure::Loading),
                        "BUSY" => Some(Failure::Busy),
                        "CLUSTERDOWN" | "MASTERDOWN" => Some(Failure::Down),
                        _ => None,
                    },
                    _ => None,
                };
                match replies.first().and_then(helpless) {
                    Some(why) if replies.iter().all(|reply| helpless(reply).is_some()) => Verdict::Failed(why),
                    _ => Verdict::Served,
                }
            }
            Err(error) => match (&error.kind, error.delivery) {
                (ErrorKind::Unreachable, _) => Verdict::Failed(Failure::Unreachable),
                (ErrorKind::Disconnected, _) => Verdict::Failed(Failure::Disconnected),
                (ErrorKind::Forbidden, _) => Verdict::Failed(Failure::Forbidden),
                // A caller that asks for more than one answer may hold shuts the door to nobody.
                (ErrorKind::Protocol(TOO_LONG), _) => Verdict::SaysNothing,
                // What was not even sent is its caller's: too late, or not to be said.
                (ErrorKind::TimedOut | ErrorKind::Protocol(_), Delivery::NotSent) => Verdict::SaysNothing,
                (ErrorKind::TimedOut, _) => Verdict::Failed(Failure::TimedOut),
                (ErrorKind::Protocol(_), _) => Verdict::Failed(Failure::Protocol),
                // A whole request that was refused: by a server that failed, or one that cannot work yet.
                (ErrorKind::Refused(_), Delivery::NotSent | Delivery::Unknown) => Verdict::Failed(Failure::Refused),
                _ => Verdict::SaysNothing,
            },
        }
    }
}
