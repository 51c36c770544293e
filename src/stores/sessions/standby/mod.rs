//! Sessions while the backend cannot be asked: `SESSION_FALLBACK=memory`.
//!
//! During an outage this process serves sessions from a store of its own, which is the same code over the embedded
//! backend. It serves what it can vouch for and refuses the rest: what it does not know may well exist, and who
//! is told that it does not would sign in again, or be let in twice. So a new session is made here, under an id that
//! cannot exist elsewhere; a session that was made here is served; any session can be ended. Everything else is 503.
//!
//! Then the outage ends, and this process is *returning*: it tells the backend first what has been ended ([`replay`]),
//! after which whatever is not held here is the backend's again, and hands over the sessions that it holds, a few
//! at a time ([`write_back`]). Each session is served by exactly one of the two at any moment.
//!
//! All of this process's sessions of that time, with what is known of them, lie behind one lock. Nothing that is done
//! under it waits for the backend.

mod ending;
mod here;
mod journal;
mod ledger;
mod replay;
mod served;
mod standing;
mod write_back;

use self::journal::Journal;
use self::ledger::{Fate, Ledger};
use super::id::SessionRef;
use super::settings::SessionSettings;
use super::store::Sessions;
use super::types::Error;
use super::upkeep::Upkeep;
use crate::base::clock::Clock;
use crate::base::text::TenantId;
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Database, Outage};
pub use served::Served;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// How often, during an outage, what has ended is cleared.
const SWEEP: Duration = Duration::from_secs(10);
/// How many keys are cleared at a time.
const SWEPT: usize = 1000;
/// How long after a failure the handing over goes on.
const PAUSE: Duration = Duration::from_millis(250);

/// How much is held here, of all tenants; one may have half of it at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Sessions.
    pub sessions: usize,
    /// What they take, in bytes, estimated.
    pub bytes: usize,
    /// Revocations that the backend has not been told, and as many ids that have ended here.
    pub noted: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { sessions: 50_000, bytes: 256 << 20, noted: 100_000 }
    }
}

/// Whether a tenant that has `own` of the `taken` may take so many `more` of `most`: at most as many as are free. So one
/// tenant has half at most, and however many take all that they get, there is something left for the next.
fn fits(own: usize, taken: usize, more: usize, most: usize) -> bool {
    own + more <= most.saturating_sub(taken)
}

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The backend.
    Idle,
    /// This process, what it can.
    Away,
    /// This process what it still holds, the backend everything else.
    Returning,
}

/// What this process holds.
struct Local {
    phase: Phase,
    database: Database,
    memory: Arc<Memory>,
    upkeep: Arc<Upkeep>,
    ledger: Ledger,
    journal: Journal,
}

impl Local {
    fn new(clock: &BackendClock, bounds: Bounds) -> Local {
        // The times of a session are the backend's: they will be read there.
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let memory = Arc::new(Memory::new(clock.clone()));
        Local {
            phase: Phase::Idle,
            database: Database::new(memory.clone(), "standby", BackendClock::new(clock)),
            memory,
            upkeep: Arc::default(),
            ledger: Ledger::new(bounds),
            journal: Journal::new(bounds),
        }
    }

    fn sessions(&self, tenant: &TenantId, settings: &SessionSettings) -> Sessions {
        Sessions::new(self.database.tenant(tenant), settings.clone(), self.upkeep.clone())
    }

    fn fate(&self, tenant: &TenantId, at: &SessionRef) -> Fate {
        if self.journal.has(tenant, at) { Fate::Ended } else { self.ledger.fate(tenant, at) }
    }
}

/// Serves sessions during an outage. One per process.
pub struct Standby {
    outage: Outage,
    backend: Database,
    settings: SessionSettings,
    upkeep: Arc<Upkeep>,
    clock: BackendClock,
    bounds: Bounds,
    /// Whether requests have to look at `local` at all.
    engaged: AtomicBool,
    local: Mutex<Local>,
    /// Held during a step of the handing over.
    step: Mutex<()>,
    given_back: Notify,
}

impl Standby {
    /// Stands in for `backend`, whose time is told by `clock`, while there is an `outage`.
    pub fn new(
        outage: Outage,
        backend: Database,
        clock: BackendClock,
        settings: SessionSettings,
        upkeep: Arc<Upkeep>,
        bounds: Bounds,
    ) -> Arc<Standby> {
        let local = Mutex::new(Local::new(&clock, bounds));
        let (engaged, step, given_back) = (AtomicBool::new(false), Mutex::default(), Notify::new());
        Arc::new(Standby { outage, backend, settings, upkeep, clock, bounds, engaged, local, step, given_back })
    }

    /// Whether this process serves anything.
    pub fn is_engaged(&self) -> bool {
        self.engaged.load(Ordering::Acquire)
    }

    fn backend_sessions(&self, tenant: &TenantId) -> Sessions {
        Sessions::new(self.backend.tenant(tenant), self.settings.clone(), self.upkeep.clone())
    }

    /// Steps in when an outage begins, and gives everything back when it ends; for ever.
    pub async fn follow(self: Arc<Self>) {
        loop {
            self.outage.becomes(true).await;
            self.engage().await;
            tracing::warn!("the backend cannot be asked; sessions are served from this process's memory");
            while let Err(error) = self.give_back_after_outage().await {
                tracing::warn!(%error, "sessions could not be written to the backend yet");
                tokio::time::sleep(PAUSE).await;
            }
            tracing::info!("sessions are served from the backend again");
        }
    }

    async fn give_back_after_outage(&self) -> Result<(), Error> {
        if self.outage.is_on() {
            self.engage().await;
        }
        while tokio::time::timeout(SWEEP, self.outage.becomes(false)).await.is_err() {
            self.sweep().await?;
        }
        self.give_back().await
    }

    /// From now on this process serves.
    pub async fn engage(&self) {
        self.local.lock().await.phase = Phase::Away;
        self.engaged.store(true, Ordering::Release);
    }

    /// Tells the backend what has been ended, hands over what is held, and steps back. After an error it may be
    /// called again, and goes on where it was.
    pub async fn give_back(&self) -> Result<(), Error> {
        loop {
            self.replay().await?;
            if self.hand_over_some().await? {
                continue;
            }
            let mut local = self.local.lock().await;
            if local.ledger.holds_nothing() && local.journal.is_empty() {
                // Those who come late find nothing here, and ask the backend.
                *local = Local::new(&self.clock, self.bounds);
                self.engaged.store(false, Ordering::Release);
                self.given_back.notify_waiters();
                return Ok(());
            }
        }
    }

    /// Tells the backend what has been ended. When it knows all, it serves what is not held here.
    async fn replay(&self) -> Result<(), Error> {
        loop {
            let told = {
                let mut local = self.local.lock().await;
                if local.journal.is_empty() {
                    local.phase = Phase::Returning;
                    return Ok(());
                }
                local.journal.clone()
            };
            for (tenant, sessions) in told.sessions() {
                self.backend_sessions(tenant).end_noted(&sessions).await?;
            }
            for (tenant, user, ended) in told.users() {
                self.backend_sessions(tenant).end_all_noted(user, ended).await?;
            }
            self.local.lock().await.journal.settle(&told);
        }
    }

    /// Clears what has ended by time, so that its room can be used again.
    async fn sweep(&self) -> Result<(), Error> {
        let (memory, upkeep) = {
            let mut local = self.local.lock().await;
            local.ledger.expire(self.clock.now());
            (local.memory.clone(), local.upkeep.clone())
        };
        upkeep.sweep().await?;
        while memory.sweep(SWEPT) == SWEPT {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// How many sessions are held here, and how many revocations the backend has not been told.
    pub async fn held(&self) -> (usize, usize) {
        let local = self.local.lock().await;
        (local.ledger.held(), local.journal.entries())
    }

    /// At the end of the process: waits while all that is held can still be handed over, at most for `patience`, and
    /// says what is lost.
    pub async fn finish(&self, patience: Duration) {
        let handed_over = async {
            loop {
                // Before the look: what is given back in between is told.
                let given_back = self.given_back.notified();
                if !self.is_engaged() {
                    return;
                }
                given_back.await;
            }
        };
        tokio::select! {
            () = handed_over => return,
            () = self.outage.becomes(true) => {}
            () = tokio::time::sleep(patience) => {}
        }
        let (sessions, revocations) = self.held().await;
        if sessions + revocations > 0 {
            tracing::error!(sessions, revocations, "the backend was not told what this process alone knew: it is lost");
        }
    }
}
