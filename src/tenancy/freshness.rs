//! How a server knows that what it remembers is still true, without asking for each thing.
//!
//! Every admin change puts a random token of its own into `changes`, in the step that makes it. A server
//! looks at that token while it is being used (an idle one asks nothing: some backends bill by the command)
//! and gives each run of equal looks an *epoch*; a change of its own begins one too. What is remembered
//! carries the epoch that was read before it was loaded and counts only while that epoch lasts: nothing has
//! to be cleared, and nothing that was loaded before a change can slip in behind it.
//!
//! Why that is enough: no two changes share a token, so a token names one state of tenants and keys. A
//! look that saw the token with which the epoch began proves that the state is the one of that beginning,
//! and [`Freshness::load`] sees to it that what was loaded meanwhile is of that state too.
//! A request may rely on a look that started less than [`VALID`] before the request did, so whatever was
//! changed a second before a request is in force for it, however slow the looks are.
//!
//! A count would not do: a backend that crashes, fails over or is restored may lose its last changes, and
//! the next change would bring the count to a number that was seen with another state behind it.

use super::keys::CHANGES;
use crate::base::clock::Clock;
use crate::base::deadline::Deadline;
use crate::base::id::random_base62;
use crate::db::{Command, Delivery, Error, ErrorKind, Key, Reply, SystemDb};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// From this age of the last look on, a request causes another one and does not wait for it.
const LOOK_AFTER: Duration = Duration::from_millis(400);
/// From this age on, a request waits for the next look: well before it is worth nothing, as what most requests take for now
/// is some milliseconds ago.
const WAIT_AFTER: Duration = Duration::from_millis(900);
/// At this age a look is worth nothing; what cannot be proved then is refused.
const VALID: Duration = Duration::from_secs(1);

/// How long before an outage the last look may have been, for what it proved to count during the outage: a server
/// that nobody used for longer has missed too much.
const RECALLED: Duration = Duration::from_secs(15 * 60);

/// No look yet.
const NEVER: u64 = u64::MAX;

/// Base62 characters that hold at least 128 random bits: 22 times log2(62) is 130.99.
const TOKEN_LENGTH: usize = 22;

/// What tells one change from every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token(Bytes);

impl Token {
    /// One that was never used before.
    pub(super) fn random() -> Result<Token, Error> {
        let text = random_base62(TOKEN_LENGTH);
        let text = text.map_err(|_| Error::new(ErrorKind::Unexpected("random bits"), Delivery::NotSent))?;
        Ok(Token(text.into()))
    }

    /// As it stands in the backend.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.0
    }
}

/// What a look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// Nothing that the next look could confirm.
    Never,
    /// There is no token: nothing was ever changed, or all is lost.
    Nothing,
    /// The token of the last change.
    Last(Token),
}

impl Seen {
    fn read(reply: Reply) -> Result<Seen, Error> {
        Ok(reply.optional_bytes()?.map_or(Seen::Nothing, |token| Seen::Last(Token(token))))
    }
}

/// A run of time in which `changes` had one value, as this server saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// The server's view of `changes`.
pub(super) struct Freshness {
    db: SystemDb,
    changes: Key,
    clock: Arc<dyn Clock>,
    /// When the last good look was started, in the clock's microseconds.
    looked: AtomicU64,
    epoch: AtomicU64,
    seen: Mutex<Seen>,
    /// Held by whoever is looking, so that one look serves all who wait for it.
    looking: Arc<tokio::sync::Mutex<()>>,
    last: Mutex<Outcome>,
    /// The last look before an outage, the number of the outage, and when it was noticed first.
    outage: Mutex<(u64, u64, u64)>,
}

/// How the last look ended.
#[derive(Default)]
struct Outcome {
    looks: u64,
    failure: Option<Error>,
}

impl Freshness {
    pub(super) fn new(db: SystemDb, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Freshness {
            changes: db.key(&CHANGES, &[]),
            db,
            clock,
            looked: AtomicU64::new(NEVER),
            epoch: AtomicU64::new(0),
            seen: Mutex::new(Seen::Never),
            looking: Arc::default(),
            last: Mutex::default(),
            outage: Mutex::new((NEVER, 0, 0)),
        })
    }

    /// The epoch that holds for a request that starts now. Costs no round trip while the last look is
    /// young; an error when the backend could not be asked and the last look is too old.
    pub(super) async fn epoch(self: &Arc<Self>, deadline: Deadline) -> Result<Epoch, Error> {
        if let Some(epoch) = self.epoch_at_once() {
            return Ok(epoch);
        }
        self.wait_for_look(self.clock.micros(), deadline).await?;
        Ok(Epoch(self.epoch.load(Ordering::Acquire)))
    }

    /// The same where nothing has to be waited for.
    pub(super) fn epoch_at_once(self: &Arc<Self>) -> Option<Epoch> {
        self.look_at_once().map(|(epoch, _)| epoch)
    }

    /// The same, with the time by the steady clock, in microseconds.
    pub(super) fn look_at_once(self: &Arc<Self>) -> Option<(Epoch, u64)> {
        let asked = self.clock.coarse_micros();
        match self.age(asked) {
            Some(age) if age < LOOK_AFTER => {}
            Some(age) if age < WAIT_AFTER => self.look_in_background(asked),
            _ => return None,
        }
        Some((Epoch(self.epoch.load(Ordering::Acquire)), asked))
    }

    /// The epoch of the last look, during the outage of this number, if that look was not long before it.
    pub(super) fn epoch_before_outage(&self, number: u64) -> Option<Epoch> {
        let looked = self.looked.load(Ordering::Acquire);
        let mut outage = self.outage.lock();
        if (outage.0, outage.1) != (looked, number) {
            *outage = (looked, number, self.clock.micros());
        }
        let before = Duration::from_micros(outage.2.checked_sub(looked)?);
        (before <= RECALLED).then(|| Epoch(self.epoch.load(Ordering::Acquire)))
    }

    /// The epoch of the last look, for somebody who cannot look again: what an outage that began now would go by.
    pub(super) fn epoch_of_last_look(&self) -> Option<Epoch> {
        let before = Duration::from_micros(self.clock.micros().checked_sub(self.looked.load(Ordering::Acquire))?);
        (before <= RECALLED).then(|| Epoch(self.epoch.load(Ordering::Acquire)))
    }

    /// Begins an epoch with a change that this server made.
    pub(super) fn begin(&self, change: Token) {
        let mut seen = self.seen.lock();
        *seen = Seen::Last(change);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes note of what a look saw, and begins an epoch if it is not what was seen last.
    fn observe(&self, now: Seen) {
        let mut seen = self.seen.lock();
        if *seen != now {
            *seen = now;
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How long before `asked` the last good look was started; nothing when there was none. A look that
    /// was started after `asked` could not be younger.
    fn age(&self, asked: u64) -> Option<Duration> {
        match self.looked.load(Ordering::Acquire) {
            NEVER => None,
            looked => Some(Duration::from_micros(asked.saturating_sub(looked))),
        }
    }

    fn is_younger(&self, than: Duration, asked: u64) -> bool {
        self.age(asked).is_some_and(|age| age < than)
    }

    fn look_in_background(self: &Arc<Self>, asked: u64) {
        let Ok(turn) = Arc::clone(&self.looking).try_lock_owned() else { return };
        if self.is_younger(LOOK_AFTER, asked) {
            return;
        }
        let this = Arc::clone(self);
        // One that takes longer is worth nothing, and would only keep the next from being tried.
        let deadline = Deadline::after(Instant::now(), VALID);
        tokio::spawn(async move {
            if let Err(error) = this.look(deadline).await {
                // Whoever comes when the last look is too old waits for the next and is told.
                tracing::debug!(%error, "a look for changes of tenants failed");
            }
            drop(turn);
        });
    }

    /// Waits for the look that is under way, or looks. A look that fails, fails all who waited for it, or
    /// each would try again in turn. When a waiter's request is dropped the next one takes its place.
    async fn wait_for_look(&self, asked: u64, deadline: Deadline) -> Result<(), Error> {
        let looks = self.last.lock().looks;
        let turn = self.looking.lock().await;
        if self.is_younger(WAIT_AFTER, asked) {
            return Ok(());
        }
        let failure = {
            let last = self.last.lock();
            if last.looks == looks { None } else { last.failure.clone() }
        };
        let outcome = match failure {
            Some(error) => Err(error),
            None => self.look(deadline).await,
        };
        drop(turn);
        if self.is_younger(VALID, asked) { Ok(()) } else { outcome }
    }

    /// Only for whoever holds `looking`.
    async fn look(&self, deadline: Deadline) -> Result<(), Error> {
        let started = self.clock.micros();
        let outcome = self.ask(deadline).await;
        let mut last = self.last.lock();
        last.looks += 1;
        match outcome {
            Ok(seen) => {
                // The epoch first: whoever sees the new time of the look must see its epoch too.
                self.observe(seen);
                self.looked.store(started, Ordering::Release);
                last.failure = None;
                Ok(())
            }
            Err(error) => {
                last.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// What whoever looks holds.
    #[cfg(test)]
    pub(super) fn looking(&self) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.looking)
    }

    /// A value from the backend, read just before the token that vouches for it. When that is not the one
    /// of the epoch, the value may be from a state that the backend loses yet, so that the next look finds
    /// the old token again: that look begins an epoch whatever it sees.
    pub(super) async fn load(&self, key: &Key, epoch: Epoch, deadline: Deadline) -> Result<Option<Bytes>, Error> {
        let both = vec![Command::get(key), Command::get(&self.changes)];
        let [value, token] =
            self.db.by(deadline).pipeline(both).await?.try_into().map_err(|_| Error::unexpected("two answers"))?;
        let now = Seen::read(token)?;
        let mut seen = self.seen.lock();
        if *seen != now && self.epoch.load(Ordering::Acquire) == epoch.0 {
            *seen = Seen::Never;
        }
        drop(seen);
        value.optional_bytes()
    }

    async fn ask(&self, deadline: Deadline) -> Result<Seen, Error> {
        Seen::read(self.db.by(deadline).run(Command::get(&self.changes)).await?)
    }
}
