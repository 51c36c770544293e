//! The breakers of a tenant as a handler gets them: asked of the backend, and, where that cannot be asked, answered
//! as this process knew them last. Whoever asks a breaker is about to make a call and has no use for an error.

use super::last_known::{Ends, LastKnown, Recalled};
use super::store::{Breakers, Reported};
use super::types::{Acquired, Breaker, Counters, Error, FURTHER_NOTICE, Force, Policy, Report, State};
use crate::base::clock::Timestamp;
use crate::base::sparing::Sparing;
use crate::base::text::Name;
use crate::db::{self, TenantDb};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static FROM_MEMORY: Sparing = Sparing::new();

/// The breakers of one tenant.
pub struct Served {
    breakers: Breakers,
    db: TenantDb,
    default: Policy,
    is_enabled: bool,
    last_known: Arc<LastKnown>,
    degraded: Arc<AtomicBool>,
}

impl Served {
    /// The breakers that are in `db`, with this policy by default. Where they are not enabled, every call may be made.
    pub fn new(
        breakers: Breakers,
        db: TenantDb,
        default: Policy,
        is_enabled: bool,
        last_known: Arc<LastKnown>,
    ) -> Self {
        Served { breakers, db, default, is_enabled, last_known, degraded: Arc::default() }
    }

    /// Becomes true when an answer is the last known.
    pub fn degraded(&self) -> Arc<AtomicBool> {
        self.degraded.clone()
    }

    /// Whether an answer was the last known.
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed)
    }

    /// The policy of a breaker without settings.
    pub fn default_policy(&self) -> &Policy {
        &self.default
    }

    /// The backend's time now.
    pub fn now(&self) -> Timestamp {
        self.db.now()
    }

    /// As [`Breakers::acquire`], or as last known.
    pub async fn acquire(&self, name: &Name, instance: Option<&Name>) -> Result<Acquired, Error> {
        if !self.is_enabled {
            return Ok(unasked(Recalled { state: State::Disabled, changes_in: None }));
        }
        match self.breakers.acquire(name, instance).await {
            Ok(acquired) => {
                let ends = match acquired.state {
                    State::ForcedOpen if acquired.until_further_notice => Ends::Never,
                    State::Open | State::ForcedOpen => ends_in(acquired.retry_after),
                    State::Closed | State::HalfOpen => Ends::Never,
                    State::ForcedClosed | State::Disabled => Ends::Unknown,
                };
                self.see(name, acquired.state, ends);
                Ok(acquired)
            }
            Err(error) => Ok(unasked(self.recall(name, error)?)),
        }
    }

    /// As [`Breakers::report`], or the last known state, and then nothing is recorded.
    pub async fn report(&self, name: &Name, report: &Report) -> Result<Reported, Error> {
        if !self.is_enabled {
            return Ok(Reported { state: State::Disabled, next_change: None });
        }
        match self.breakers.report(name, report).await {
            Ok(reported) => {
                self.see(name, reported.state, self.ends(reported.next_change));
                Ok(reported)
            }
            Err(error) => {
                let known = self.recall(name, error)?;
                Ok(Reported { state: known.state, next_change: self.at(known.changes_in) })
            }
        }
    }

    /// As [`Breakers::read`], or the last known state and nothing else.
    pub async fn read(&self, name: &Name) -> Result<Breaker, Error> {
        match self.breakers.read(name).await {
            Ok(breaker) => Ok(self.saw(breaker)),
            Err(error) => {
                let known = self.recall(name, error)?;
                Ok(Breaker {
                    name: name.clone(),
                    state: known.state,
                    since: None,
                    next_change: self.at(known.changes_in),
                    counters: Counters::default(),
                    last_failures: Vec::new(),
                    forced: None,
                    policy: None,
                })
            }
        }
    }

    /// As [`Breakers::configure`].
    pub async fn configure(&self, name: &Name, policy: &Policy) -> Result<Breaker, Error> {
        self.breakers.configure(name, policy).await.map(|breaker| self.saw(breaker))
    }

    /// As [`Breakers::force`].
    pub async fn force(&self, name: &Name, force: &Force) -> Result<Breaker, Error> {
        self.breakers.force(name, force).await.map(|breaker| self.saw(breaker))
    }

    /// As [`Breakers::forget`].
    pub async fn forget(&self, name: &Name) -> Result<(), Error> {
        self.breakers.forget(name).await?;
        self.see(name, State::Closed, Ends::Never);
        Ok(())
    }

    /// As [`Breakers::list`].
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<(Vec<Breaker>, Option<String>), Error> {
        self.breakers.list(after, limit).await
    }

    fn saw(&self, breaker: Breaker) -> Breaker {
        self.see(&breaker.name, breaker.state, self.ends(breaker.next_change));
        breaker
    }

    fn see(&self, name: &Name, state: State, ends: Ends) {
        self.last_known.see(self.db.tenant(), name, state, ends);
    }

    /// What is known, if it is the backend that failed.
    fn recall(&self, name: &Name, error: Error) -> Result<Recalled, Error> {
        let error: db::Error = match error {
            Error::Backend(error) => error,
            other => return Err(other),
        };
        if let Some(left_out) = FROM_MEMORY.line() {
            tracing::warn!(%error, left_out, "circuit breakers are answered as last known");
        }
        self.degraded.store(true, Ordering::Relaxed);
        Ok(self.last_known.recall(self.db.tenant(), name, Instant::now()))
    }

    fn ends(&self, end: Option<Timestamp>) -> Ends {
        end.map_or(Ends::Never, |end| ends_in(end.since(self.db.now())))
    }

    fn at(&self, left: Option<Duration>) -> Option<Timestamp> {
        left.map(|left| self.db.now() + left)
    }
}

/// The answer by a state for which nobody was asked: without a permit, which the breaker would not know.
fn unasked(known: Recalled) -> Acquired {
    let Recalled { state, changes_in } = known;
    let allowed = known.allows();
    let retry_after = if allowed { Duration::ZERO } else { changes_in.unwrap_or(FURTHER_NOTICE) };
    let until_further_notice = !allowed && changes_in.is_none();
    Acquired { allowed, state, permit: None, retry_after, until_further_notice }
}

fn ends_in(left: Duration) -> Ends {
    Instant::now().checked_add(left).map_or(Ends::Never, Ends::At)
}
