//! One way to the backend, and what is known of it: whether calls are let through or refused at once, since
//! when, and why it last failed. The breaker in front of it writes this down, failover and the operators read it.

use crate::base::clock::{Clock, Timestamp};
use crate::db::Outage;
use crate::db::key::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use tokio::sync::watch;
use tokio::time::Instant;

/// Where the server keeps what tells its ways to the backend apart.
pub const DOOR: Family = Family {
    name: "door",
    parts: "digest",
    kind: "string",
    routed_by: "nothing",
    lives: "always",
    holds: "a random token, written over the native protocol at the endpoint with this digest and read over REST: proof that both lead here",
    stays: Some("it tells ways to this backend apart"),
};

/// This many failures in a row, and the door is doubted: one connection that is lost fails many calls. A probe
/// then tells.
const THRESHOLD: u32 = 5;
/// This many doubts in a row without a call that was served, and it is taken to be shut whatever probes say:
/// they have a connection that callers may not get.
const DOUBTS: u32 = 3;
/// What a doubt counts, above the failures.
const DOUBT: u32 = 1 << 24;

/// How a call failed, as far as it shows that the door leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made.
    Unreachable,
    /// It was lost on the way.
    Disconnected,
    /// No answer in time.
    TimedOut,
    /// What answers does not speak the protocol.
    Protocol,
    /// It refused the credentials.
    Forbidden,
    /// It is loading its data.
    Loading,
    /// It runs a script that does not end.
    Busy,
    /// Its cluster, or its primary, is down.
    Down,
    /// It refused for another reason.
    Refused,
}

impl Failure {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Failure::Unreachable => "unreachable",
            Failure::Disconnected => "disconnected",
            Failure::TimedOut => "timed_out",
            Failure::Protocol => "protocol",
            Failure::Forbidden => "forbidden",
            Failure::Loading => "loading",
            Failure::Busy => "busy",
            Failure::Down => "down",
            Failure::Refused => "refused",
        }
    }
}

/// One way to the backend. Its breaker is closed, and calls pass, or open, and they do not.
pub struct Door {
    name: &'static str,
    clock: Arc<dyn Clock>,
    outage: Option<Outage>,
    gauge: Gauge,
    /// How often the breaker opened or closed: even while it is closed, odd while it is open.
    period: AtomicU64,
    /// Failures and doubts since a call was last served.
    failures: AtomicU32,
    told: watch::Sender<Known>,
}

/// What is known of a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Whether the breaker is open.
    pub is_open: bool,
    /// Since when.
    pub since: Timestamp,
    /// The last failure, and when it was.
    pub last_failure: Option<(Failure, Timestamp)>,
    /// Whether it is probed although its breaker is closed, because no caller takes it.
    pub(super) is_watched: bool,
    /// Whether it is probed because calls have failed.
    pub(super) is_doubted: bool,
    /// Since when all probes were good.
    good_since: Option<Instant>,
}

impl Door {
    /// A door whose breaker is closed. `outage` goes with it where it is the only one; `gauge` is 1 while its
    /// breaker is open.
    pub fn new(name: &'static str, clock: Arc<dyn Clock>, outage: Option<Outage>, gauge: Gauge) -> Self {
        let since = clock.now();
        let known =
            Known { is_open: false, since, last_failure: None, is_watched: false, is_doubted: false, good_since: None };
        gauge.set(0);
        let told = watch::Sender::new(known);
        Door { name, clock, outage, gauge, period: AtomicU64::new(0), failures: AtomicU32::new(0), told }
    }

    /// `native` or `rest`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether calls are refused at once.
    pub fn is_open(&self) -> bool {
        self.entry().is_none()
    }

    /// How often its breaker opened or closed.
    pub fn changes(&self) -> u64 {
        self.period.load(Ordering::Acquire)
    }

    /// What is known now.
    pub fn known(&self) -> Known {
        self.told.borrow().clone()
    }

    /// Tells whoever holds it of every change.
    pub(super) fn news(&self) -> watch::Receiver<Known> {
        self.told.subscribe()
    }

    /// Since when it was found good each time it was probed.
    pub(super) fn good_since(&self) -> Option<Instant> {
        self.told.borrow().good_since
    }

    /// From now on it is probed although no caller takes it, or no longer.
    pub(super) fn watch(&self, is_watched: bool) {
        self.told.send_if_modified(|known| {
            known.good_since = None;
            std::mem::replace(&mut known.is_watched, is_watched) != is_watched
        });
    }

    /// Lets a call pass, in the period that is returned; nothing while the breaker is open.
    pub(super) fn entry(&self) -> Option<u64> {
        Some(self.period.load(Ordering::Acquire)).filter(|period| period % 2 == 0)
    }

    /// A call was served.
    pub(super) fn served(&self) {
        // No failures are the rule: reading them first keeps the line shared between the workers.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A call of that period failed. What began before the breaker closed again says nothing of now.
    pub(super) fn failed(&self, period: u64, why: Failure) {
        if self.period.load(Ordering::Acquire) != period {
            return;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.clock.now();
        self.told.send_if_modified(|known| {
            known.last_failure = Some((why, now));
            known.good_since = None;
            if failures % DOUBT < THRESHOLD || known.is_doubted {
                return false;
            }
            known.is_doubted = true;
            failures / DOUBT + 1 < DOUBTS || self.turn(known, period, true, now)
        });
    }

    /// A probe was good: the first one closes the breaker, or ends a doubt.
    pub(super) fn found_good(&self) {
        let (period, now) = (self.changes(), self.clock.now());
        self.told.send_if_modified(|known| {
            let first = known.good_since.is_none();
            let doubts = self.failures.load(Ordering::Relaxed) / DOUBT + u32::from(known.is_doubted);
            self.failures.store(doubts * DOUBT, Ordering::Relaxed);
            known.is_doubted = false;
            known.good_since.get_or_insert_with(Instant::now);
            (period % 2 == 1 && self.turn(known, period, false, now)) || (first && known.is_watched)
        });
    }

    /// A probe failed.
    pub(super) fn found_bad(&self, why: Failure) {
        let (period, now) = (self.changes(), self.clock.now());
        self.told.send_if_modified(|known| {
            known.last_failure = Some((why, now));
            known.good_since = None;
            // One that nobody takes and that fails is doubted as well.
            period % 2 == 0 && (known.is_doubted || known.is_watched) && self.turn(known, period, true, now)
        });
    }

    /// Opens or closes the breaker, once per period. To be called with `known` locked.
    fn turn(&self, known: &mut Known, period: u64, is_open: bool, now: Timestamp) -> bool {
        if self.period.load(Ordering::Acquire) != period {
            return false;
        }
        (known.is_open, known.since, known.is_doubted) = (is_open, now, false);
        self.failures.store(0, Ordering::Relaxed);
        self.gauge.set(i64::from(is_open));
        if let Some(outage) = &self.outage {
            outage.set(is_open);
        }
        self.period.store(period + 1, Ordering::Release);
        if is_open {
            let failure = known.last_failure.map_or("", |(why, _)| why.word());
            tracing::warn!(door = self.name, failure, "this way to the backend is shut until a probe is answered");
        } else {
            tracing::info!(door = self.name, "this way to the backend is open again");
        }
        true
    }
}
