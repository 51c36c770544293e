//! The flags that this process evaluates: compiled once per version, and kept true without asking for each request.
//!
//! A *look* asks one sorted set which tenants' flags changed since the last look, and loads those again. While flags are
//! evaluated or watched, this process looks every 400 ms; a request for which the last look is too old waits for
//! the next. So a change is in force everywhere within a second although nobody was told, and an idle process asks
//! nothing. Who changes flags publishes that besides, and whoever hears it loads them at once. A note may be missing
//! where a writer ended between writing and noting: now and then the versions themselves are compared.
//!
//! When the backend cannot be asked the last known rules go on, and after [`STALE_AFTER`] answers say so.

mod following;
mod loading;
mod recent;
#[cfg(test)]
mod tests;

use super::compiled::Compiled;
use super::counts::Pending;
use super::looks::{self, Found, Seen};
use super::reasons::Reasons;
use crate::base::clock::{Clock, Timestamp};
use crate::base::deadline::Deadline;
use crate::base::lookups::Lookups;
use crate::base::sparing::Sparing;
use crate::base::text::TenantId;
use crate::db::{Database, Error, Outage, SystemDb};
use futures_util::future::try_join_all;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
pub use recent::RecentFlags;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{MutexGuard, watch};

/// From this age of the last look on, a request waits for the next.
const WAIT_AFTER: Duration = Duration::from_millis(900);
/// From this age of the last look on, answers say that they may be out of date.
const STALE_AFTER: Duration = Duration::from_secs(30);
/// How much memory compiled flags may take, of all tenants, in bytes, about.
const ROOM: u64 = 256 << 20;
/// No look yet.
const NEVER: u64 = u64::MAX;

static LAST_KNOWN: Sparing = Sparing::new();

/// A tenant's flags in this process. Another version is another value: the cache goes by its weight.
struct Known {
    compiled: Arc<Compiled>,
    place: Arc<Place>,
}

/// Shared by all workers, and passed on within one without an atomic operation.
type Held = Rc<Arc<Known>>;

/// What stays when the version changes.
struct Place {
    tenant: TenantId,
    /// One at a time loads them, so that nothing older is kept over something newer.
    loading: tokio::sync::Mutex<()>,
    is_used: AtomicBool,
    /// When the tenant was made, as who asked first said, ms; 0 until then.
    since: AtomicU64,
    /// Tells of new versions, by [`Compiled::id`].
    news: watch::Sender<String>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<TenantId, Arc<Known>> for Weight {
    fn weight(&self, _: &TenantId, known: &Arc<Known>) -> u64 {
        known.compiled.weight as u64
    }
}

/// A tenant's flags, for one request.
pub struct Current {
    /// Whether the backend could not be asked for so long that they may be out of date.
    pub is_stale: bool,
    known: Held,
}

impl Current {
    /// The compiled flags.
    pub fn compiled(&self) -> &Arc<Compiled> {
        &self.known.compiled
    }

    /// Whether they are of the tenant that was made then, rather than of one that had its id before and was deleted.
    pub fn is_of(&self, made: Timestamp) -> bool {
        let (made, since) = (made.as_millis(), &self.known.place.since);
        match since.load(Ordering::Acquire) {
            0 => since
                .compare_exchange(0, made, Ordering::AcqRel, Ordering::Acquire)
                .map_or_else(|now| now == made, |_| true),
            known => known == made,
        }
    }
}

/// The flags of all tenants that this process was asked for.
pub struct Live {
    database: Database,
    system: SystemDb,
    clock: Arc<dyn Clock>,
    outage: Outage,
    known: Cache<TenantId, Arc<Known>, Weight>,
    /// How often something in there became another: counted when it is done.
    changes: AtomicU64,
    lookups: Lookups,
    reasons: Arc<Reasons>,
    pending: Pending,
    /// When the last good look was started, in the clock's microseconds.
    looked: AtomicU64,
    /// How many looks have found something out: what was read before one may be older than what it found.
    findings: AtomicU64,
    /// How many looks have ended, well or not.
    looks: AtomicU64,
    is_used: AtomicBool,
    watched: AtomicUsize,
    /// What was seen last, held by whoever looks.
    seen: tokio::sync::Mutex<Seen>,
}

impl Live {
    /// Nothing is known yet. `clock` is never set back.
    pub fn new(database: Database, clock: Arc<dyn Clock>, outage: Outage) -> Arc<Live> {
        Arc::new(Live {
            system: database.system(),
            pending: Pending::new(database.clone()),
            database,
            clock,
            outage,
            known: Cache::with_weighter(1000, ROOM, Weight),
            changes: AtomicU64::new(0),
            lookups: Lookups::default(),
            reasons: Arc::default(),
            looked: AtomicU64::new(NEVER),
            findings: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            is_used: AtomicBool::new(false),
            watched: AtomicUsize::new(0),
            seen: tokio::sync::Mutex::default(),
        })
    }

    /// Where the flags are.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// How often a tenant's flags were known here.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// Why flags gave what they gave.
    pub(crate) fn reasons(&self) -> &Arc<Reasons> {
        &self.reasons
    }

    /// A tenant's flags as they are, at most a second old; the last known where the backend cannot be asked. Costs no
    /// round trip while flags are in use.
    ///
    /// # Errors
    /// When the backend cannot be asked, and the tenant's flags were never known here.
    pub async fn current(&self, tenant: &TenantId, deadline: Deadline) -> Result<Current, Error> {
        note_use(&self.is_used);
        let asked = self.clock.coarse_micros();
        let known = match self.known.get(tenant) {
            Some(known) if self.has_looked(asked) => {
                self.lookups.count(true);
                known
            }
            // Boxed, as it is rare and large: every request would carry the room for it.
            _ => Box::pin(self.looked_for(tenant, asked, deadline)).await?,
        };
        Ok(self.used(Rc::new(known), asked))
    }

    /// Whether the last look is young enough for somebody who asked then.
    fn has_looked(&self, asked: u64) -> bool {
        self.age(asked).is_some_and(|age| age < WAIT_AFTER)
    }

    /// What is known, for somebody who asked for it then.
    fn used(&self, known: Held, asked: u64) -> Current {
        note_use(&known.place.is_used);
        // As old as when it was asked for: what was waited for is younger.
        Current { known, is_stale: self.age(asked).is_none_or(|age| age >= STALE_AFTER) }
    }

    /// What is known is no longer what it was.
    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// What is known of a tenant's flags once a look was waited for, where the last one is too old.
    async fn looked_for(&self, tenant: &TenantId, asked: u64, deadline: Deadline) -> Result<Arc<Known>, Error> {
        if !self.has_looked(asked)
            && !self.outage.is_on()
            && let Err(error) = self.wait_for_look(asked, deadline).await
        {
            note_failure(&error);
        }
        self.known(tenant, deadline).await
    }

    /// The same for somebody who was told of a configuration, by its [`Compiled::id`]: where it is not the one that is known
    /// here, another server may have heard of it first, and it is looked for.
    pub async fn current_for(&self, told: &str, tenant: &TenantId, deadline: Deadline) -> Result<Current, Error> {
        let asked = self.clock.micros();
        let current = self.current(tenant, deadline).await?;
        if current.compiled().id == told || self.outage.is_on() {
            return Ok(current);
        }
        if let Err(error) = self.look_since(asked, deadline).await {
            note_failure(&error);
        }
        self.current(tenant, deadline).await
    }

    /// Tells of each new version of a tenant's flags, from now on.
    pub async fn watch(self: &Arc<Self>, tenant: &TenantId, deadline: Deadline) -> Result<Watch, Error> {
        let news = self.known(tenant, deadline).await?.place.news.subscribe();
        self.watched.fetch_add(1, Ordering::Relaxed);
        Ok(Watch { news, live: self.clone() })
    }

    /// This process changed a tenant's flags, or may have: they are loaded anew here, and everybody else is told.
    pub async fn changed(&self, tenant: &TenantId) {
        if let Err(error) = looks::note(&self.system, tenant).await {
            tracing::warn!(%error, "other servers could not be told of changed flags; they find out within 30 s");
        }
        if let Some(known) = self.known.get(tenant)
            && let Err(error) = self.load(&known.place, Deadline::NONE).await
        {
            tracing::warn!(%error, "changed flags could not be loaded; the next look does");
        }
    }

    /// A tenant is being deleted: nothing is to name it any more.
    pub async fn erase(&self, tenant: &TenantId) -> Result<(), Error> {
        self.forget(tenant);
        looks::erase(&self.system, tenant).await
    }

    /// Forgets what is known here of a tenant, and what of it was counted.
    pub fn forget(&self, tenant: &TenantId) {
        self.known.remove(tenant);
        self.note_change();
        self.pending.drop_of(tenant);
    }

    /// How long before `asked` the last good look was started.
    fn age(&self, asked: u64) -> Option<Duration> {
        match self.looked.load(Ordering::Acquire) {
            NEVER => None,
            looked => Some(Duration::from_micros(asked.saturating_sub(looked))),
        }
    }

    /// Looks, unless somebody has begun to since `asked`.
    async fn look_since(&self, asked: u64, deadline: Deadline) -> Result<(), Error> {
        let seen = self.seen.lock().await;
        match self.looked.load(Ordering::Acquire) {
            looked if looked != NEVER && looked >= asked => Ok(()),
            _ => self.look(seen, deadline).await,
        }
    }

    /// Waits for the look that is under way, or looks. One that fails, fails all who waited for it: each would try again in
    /// turn.
    async fn wait_for_look(&self, asked: u64, deadline: Deadline) -> Result<(), Error> {
        let looks = self.looks.load(Ordering::Acquire);
        let seen = self.seen.lock().await;
        if self.has_looked(asked) || self.looks.load(Ordering::Acquire) != looks {
            return Ok(());
        }
        self.look(seen, deadline).await
    }

    /// Looks, and loads what changed. What was loaded is at least as new as the look.
    async fn look(&self, mut seen: MutexGuard<'_, Seen>, deadline: Deadline) -> Result<(), Error> {
        let started = self.clock.micros();
        let outcome = self.look_and_load(&mut seen, deadline).await;
        if outcome.is_ok() {
            self.looked.store(started, Ordering::Release);
        }
        self.looks.fetch_add(1, Ordering::AcqRel);
        outcome
    }

    async fn look_and_load(&self, seen: &mut Seen, deadline: Deadline) -> Result<(), Error> {
        let (found, last) = looks::look(&self.system.by(deadline), seen).await?;
        // Before what is known is looked at: what is being read meanwhile is compared again.
        self.findings.fetch_add(1, Ordering::AcqRel);
        match found {
            Found::These(tenants) => {
                let changed: Vec<Arc<Known>> = tenants.iter().filter_map(|tenant| self.known.peek(tenant)).collect();
                try_join_all(changed.iter().map(|known| self.refresh(known, deadline))).await?;
            }
            // All are read again when they are asked for.
            Found::Unknown => {
                self.known.clear();
                self.note_change();
            }
        }
        *seen = last;
        Ok(())
    }

    /// Adds what was counted to the backend, unless that is known to be away: it is not lost by waiting.
    pub async fn flush(&self) {
        if self.outage.is_on() {
            return;
        }
        if let Err(error) = self.pending.flush(None).await {
            tracing::warn!(%error, "some evaluations of flags could not be counted");
        }
    }

    /// Adds what was counted here of a tenant, for somebody who is about to read its counts.
    pub(super) async fn flush_of(&self, tenant: &TenantId) -> Result<(), Error> {
        self.pending.flush(Some(tenant)).await
    }
}

/// As many lines as can be read: each request would write one.
fn note_failure(error: &Error) {
    if let Some(left_out) = LAST_KNOWN.line() {
        tracing::warn!(%error, left_out, "changes of flags cannot be looked for; the last known are evaluated");
    }
}

/// Written only where it is news: all workers read it.
fn note_use(is_used: &AtomicBool) {
    if !is_used.load(Ordering::Relaxed) {
        is_used.store(true, Ordering::Relaxed);
    }
}

/// Hears of new versions of a tenant's flags.
pub struct Watch {
    news: watch::Receiver<String>,
    live: Arc<Live>,
}

impl Watch {
    /// What the flags are now.
    pub fn id(&mut self) -> String {
        self.news.borrow_and_update().clone()
    }

    /// Waits for the next version; nothing where this process has forgotten the tenant's flags, to make room for others.
    pub async fn next(&mut self) -> Option<String> {
        self.news.changed().await.ok()?;
        Some(self.id())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.live.watched.fetch_sub(1, Ordering::Relaxed);
    }
}
