//! How much is let in, so that what is served is served in time and in bounded memory.
//!
//! Whoever comes when too many requests are in flight is turned away before anything else is done for it:
//! that costs next to nothing, and the caller learns at once what it would else have learned after waiting.
//! The bounds: requests in flight over all workers, under a limit that follows how long they take; a tenant's
//! share of them; half of them for keys that must be asked for, as anyone can make those up; the bytes of all
//! bodies together, and a tenant's part of those; and, apart from requests, the event streams that are open. Health, metrics and documentation take no slot, so that no
//! crowd keeps them from being answered: none of them costs the backend anything that grows with their number.

mod limit;
mod load;
mod metrics;
mod streams;

use super::busiest::Busiest;
use super::endpoint::Access;
use super::platform::PlatformSettings;
use super::problem::Problem;
use crate::base::code::Code;
use crate::base::text::TenantId;
use crate::tenancy::Tenant;
use limit::Limit;
pub(super) use load::{Load, Sending};
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
pub(super) use streams::StreamPlace;

/// The limit does not shrink below so many requests for each worker: that keeps a core busy.
const LEAST_PER_WORKER: u32 = 4;
/// The bytes of all bodies together; a single one of the largest size always fits.
const BODIES: usize = 64 << 20;
/// A tenant's part of them, likewise.
const BODIES_OF_TENANT: usize = BODIES / 4;
/// The bytes of large answers that are still being sent: while there are so many, no more are made.
const ANSWERS: usize = 64 << 20;
/// A tenant's part of them.
const ANSWERS_OF_TENANT: usize = ANSWERS / 4;
/// After this time it is worth trying again to open an event stream: they stay open for long.
const STREAMS_RETRY: Duration = Duration::from_secs(30);
/// Tenants whose counters a worker remembers.
const REMEMBERED: usize = 1024;

/// Why a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crowd {
    Process,
    Strangers,
    Tenant,
    Bodies,
    BodiesOfTenant,
    Answers,
    AnswersOfTenant,
    Streams,
    StreamsOfTenant,
}

impl Crowd {
    const ALL: [(Crowd, &'static str); 9] = [
        (Crowd::Process, "in_flight"),
        (Crowd::Strangers, "unknown_keys"),
        (Crowd::Tenant, "tenant"),
        (Crowd::Bodies, "body_bytes"),
        (Crowd::BodiesOfTenant, "tenant_body_bytes"),
        (Crowd::Answers, "answer_bytes"),
        (Crowd::AnswersOfTenant, "tenant_answer_bytes"),
        (Crowd::Streams, "event_streams"),
        (Crowd::StreamsOfTenant, "tenant_event_streams"),
    ];
}

/// What the whole process lets in.
#[derive(Debug)]
pub struct Admission {
    start: Instant,
    in_flight: AtomicU32,
    strangers: AtomicU32,
    body_bytes: AtomicUsize,
    answer_bytes: AtomicUsize,
    most_body_bytes: usize,
    most_body_bytes_of_tenant: usize,
    streams: AtomicU32,
    most_streams: u32,
    most_streams_of_tenant: u32,
    limit: Limit,
    /// The counters of tenants that have requests in flight, and of some more.
    tenants: Mutex<Counters>,
    refused: [AtomicU64; Crowd::ALL.len()],
    /// Who asks most, where that is wanted.
    busiest: Option<Arc<Busiest>>,
}

#[derive(Debug, Default)]
struct Counters {
    by_tenant: HashMap<TenantId, Weak<Taken>>,
    /// At this size those that nobody uses are cleared away.
    clear_at: usize,
}

/// What a tenant has of what there is.
#[derive(Debug, Default)]
struct Taken {
    slots: AtomicU32,
    body_bytes: AtomicUsize,
    answer_bytes: AtomicUsize,
    streams: AtomicU32,
}

impl Admission {
    /// Under these settings, for so many workers.
    pub fn new(settings: &PlatformSettings, workers: usize) -> Self {
        let least = u32::try_from(workers).unwrap_or(u32::MAX).saturating_mul(LEAST_PER_WORKER);
        Admission {
            start: Instant::now(),
            in_flight: AtomicU32::new(0),
            strangers: AtomicU32::new(0),
            body_bytes: AtomicUsize::new(0),
            answer_bytes: AtomicUsize::new(0),
            most_body_bytes: BODIES.max(settings.max_body_bytes),
            most_body_bytes_of_tenant: BODIES_OF_TENANT.max(settings.max_body_bytes),
            streams: AtomicU32::new(0),
            most_streams: settings.max_event_streams,
            most_streams_of_tenant: settings.max_event_streams_of_tenant,
            limit: Limit::new(least, settings.max_in_flight, settings.request_timeout / 2),
            tenants: Mutex::default(),
            refused: Default::default(),
            busiest: None,
        }
    }

    /// The same, which counts the requests of each tenant there.
    pub fn counted_in(self, busiest: Arc<Busiest>) -> Self {
        Admission { busiest: Some(busiest), ..self }
    }

    /// So many slots for a request that has just come, but no more than half of all, or it would keep
    /// everybody out while the limit is low; it needs one that is free. What anyone may call needs none.
    ///
    /// # Errors
    /// 503 `overloaded` when there is none.
    pub(super) fn enter(&self, access: Access, slots: u32) -> Result<Slot<'_>, Problem> {
        if access == Access::Public {
            return Ok(Slot { admission: self, slots: Cell::new(0), in_a_crowd: false });
        }
        let limit = self.limit.now();
        let slots = slots.min((limit / 2).max(1));
        let before = self.in_flight.fetch_add(slots, Relaxed);
        let in_a_crowd = before.saturating_mul(2) >= limit;
        let slot = Slot { admission: self, slots: Cell::new(slots), in_a_crowd };
        // Dropping the slot gives it back.
        if self.answer_bytes.load(Relaxed) >= ANSWERS {
            return Err(self.refuse(Crowd::Answers));
        }
        if before < limit { Ok(slot) } else { Err(self.refuse(Crowd::Process)) }
    }

    /// A place for a request whose key must be asked for. There are half as many as slots: keys that nobody
    /// has keep those who are known from no more than that.
    ///
    /// # Errors
    /// 503 `overloaded` when there is none.
    pub(super) fn stranger(&self) -> Result<Stranger<'_>, Problem> {
        let before = self.strangers.fetch_add(1, Relaxed);
        let place = Stranger(self);
        if before < self.limit.now().div_ceil(2) { Ok(place) } else { Err(self.refuse(Crowd::Strangers)) }
    }

    fn refuse(&self, crowd: Crowd) -> Problem {
        if let Some(count) = self.refused.get(crowd as usize) {
            count.fetch_add(1, Relaxed);
        }
        match crowd {
            Crowd::Tenant | Crowd::BodiesOfTenant | Crowd::AnswersOfTenant => {
                Problem::new(Code::TenantBusy, "Wait for the tenant's other requests to end.")
            }
            Crowd::Streams | Crowd::StreamsOfTenant => {
                Problem::new(Code::TooManyStreams, "Close another one, or come back later.").after(STREAMS_RETRY)
            }
            _ => Problem::new(Code::Overloaded, "Nothing was done. Try again later."),
        }
    }

    /// How many requests of this tenant may be in flight: its own limit, or half of all; of which it gets the
    /// same part as everyone while the limit of all is smaller than it could be.
    fn share(&self, tenant: &Tenant) -> u32 {
        let (now, most) = (u64::from(self.limit.now()), u64::from(self.limit.most().max(1)));
        let own = tenant.limits.max_in_flight.map_or(most / 2, u64::from).min(most);
        u32::try_from((own * now / most).max(1)).unwrap_or(u32::MAX)
    }

    /// The counter of a tenant, the same for all workers for as long as anyone holds it.
    fn counter(&self, tenant: &TenantId) -> Arc<Taken> {
        let mut counters = self.tenants.lock();
        if let Some(counter) = counters.by_tenant.get(tenant).and_then(Weak::upgrade) {
            return counter;
        }
        if counters.by_tenant.len() >= counters.clear_at {
            counters.by_tenant.retain(|_, counter| counter.strong_count() > 0);
            counters.clear_at = counters.by_tenant.len() * 2 + REMEMBERED;
        }
        let counter = Arc::default();
        counters.by_tenant.insert(tenant.clone(), Arc::downgrade(&counter));
        counter
    }
}

/// A request's place among those in flight; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    admission: &'a Admission,
    /// None where it needs no place.
    slots: Cell<u32>,
    in_a_crowd: bool,
}

impl Slot<'_> {
    /// The request was answered `now`, after it had waited for this server alone since then; of so many
    /// slots, or none where it was not served.
    pub(super) fn answered(&self, since: Instant, now: Instant, served: u32) {
        if self.slots.get() > 0 {
            let (took, at) =
                (now.saturating_duration_since(since), now.saturating_duration_since(self.admission.start));
            self.admission.limit.observe(took, served, self.in_a_crowd, at);
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if self.slots.get() > 0 {
            self.admission.in_flight.fetch_sub(self.slots.get(), Relaxed);
        }
    }
}

/// A place among those whose keys are being asked for; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Stranger<'a>(&'a Admission);

impl Drop for Stranger<'_> {
    fn drop(&mut self) {
        self.0.strangers.fetch_sub(1, Relaxed);
    }
}

/// Where the requests of one worker come in: it remembers the counters of its tenants, so that a request
/// takes no lock that workers share.
pub(super) struct Entrance {
    admission: Arc<Admission>,
    /// By the place of a tenant's record in memory, which is the record's own while it is held here.
    remembered: RefCell<Vec<Option<Remembered>>>,
}

/// Shared by all workers, and cheap to pass on within one.
type Counter = Rc<Arc<Taken>>;
type Remembered = (Arc<Tenant>, Counter);

impl Entrance {
    pub(super) fn new(admission: Arc<Admission>) -> Rc<Self> {
        Rc::new(Entrance { admission, remembered: RefCell::new(vec![None; REMEMBERED]) })
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// A place in a tenant's share, as large as the slot; outside of tenants there are none.
    ///
    /// # Errors
    /// 503 `tenant_busy` when the share is used up.
    pub(super) fn admit(self: &Rc<Self>, slot: &Slot<'_>, tenant: Option<&Arc<Tenant>>) -> Result<Load, Problem> {
        // All but one slot are the load's from here on, which may learn that it needs fewer.
        let slots = slot.slots.get();
        slot.slots.set(slots.min(1));
        let (entrance, more, bytes) = (self.clone(), Cell::new(slots.saturating_sub(1)), Cell::new(0));
        let Some(tenant) = tenant else { return Ok(Load { entrance, share: None, more, bytes }) };
        if let Some(busiest) = &self.admission.busiest {
            busiest.count(&tenant.id);
        }
        let (counter, share) = (self.counter(tenant), self.admission.share(tenant));
        let before = counter.slots.fetch_add(slots, Relaxed);
        let load = Load { entrance, share: Some(counter), more, bytes };
        load.room_to_answer()?;
        if before < share { Ok(load) } else { Err(self.admission.refuse(Crowd::Tenant)) }
    }

    fn counter(&self, tenant: &Arc<Tenant>) -> Counter {
        // Records are far apart: the low bits of their addresses say nothing.
        let place = (Arc::as_ptr(tenant).addr() >> 4).wrapping_mul(0x9E37_79B9) >> 12;
        let mut remembered = self.remembered.borrow_mut();
        let Some(entry) = remembered.get_mut(place % REMEMBERED) else {
            return Rc::new(self.admission.counter(&tenant.id));
        };
        match entry {
            Some((known, counter)) if Arc::ptr_eq(known, tenant) => counter.clone(),
            _ => {
                let counter = Rc::new(self.admission.counter(&tenant.id));
                *entry = Some((tenant.clone(), counter.clone()));
                counter
            }
        }
    }
}

#[cfg(test)]
mod tests;
