//! Connections: one per thread as long as there are enough, opened in the background, replaced when lost or
//! when their server says that it is a replica: to dial is to resolve the name again.

use super::dial::dial;
use super::link::Link;
use super::pace::{JITTER, Pace, TooSoon, unreachable};
use super::settings::{Endpoint, NativeSettings, UnusableSettings};
use crate::db::error::Error;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A connection is watched in ticks of an attempt's length, and no shorter than this.
const SHORTEST_TICK: Duration = Duration::from_millis(500);

/// A connection that is being opened, was opened, or could not be.
type Opening = Shared<BoxFuture<'static, Result<Link, Error>>>;

pub(super) struct Pool {
    /// Tells this backend's connections apart from another's in a thread's own store.
    id: u64,
    endpoint: Arc<Endpoint>,
    connection_timeout: Duration,
    patience: Duration,
    tick: Duration,
    pace: Arc<Pace>,
    slots: Box<[Mutex<Option<Opening>>]>,
    threads: AtomicUsize,
}

struct Local {
    backend: u64,
    slot: usize,
    link: Option<Link>,
}

thread_local! {
    static LOCAL: RefCell<Vec<Local>> = const { RefCell::new(Vec::new()) };
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Pool {
    pub(super) fn new(settings: NativeSettings) -> Result<Self, UnusableSettings> {
        let places = settings.max_connections.max(1);
        Ok(Pool {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            endpoint: Arc::new(settings.endpoint()?),
            connection_timeout: settings.connection_timeout,
            patience: settings.patience,
            tick: settings.attempt.max(SHORTEST_TICK),
            pace: Pace::new(places),
            slots: (0..places).map(|_| Mutex::default()).collect(),
            threads: AtomicUsize::new(0),
        })
    }

    /// Where it connects to, and how long that may take.
    pub(super) fn way(&self) -> (Arc<Endpoint>, Duration) {
        (self.endpoint.clone(), self.connection_timeout)
    }

    /// How many connections are open, and the most there may be.
    pub(super) fn connections(&self) -> (u64, u64) {
        let is_open =
            |opening: &Opening| opening.peek().is_some_and(|it| it.as_ref().is_ok_and(|link| !link.has_ended()));
        let open = self.slots.iter().filter(|slot| slot.lock().as_ref().is_some_and(is_open)).count();
        (open as u64, self.slots.len() as u64)
    }

    /// This thread's connection, opened if need be.
    pub(super) async fn take(&self) -> Result<Link, Error> {
        let (slot, link) = self.local();
        let link = match link {
            Some(link) if link.is_good() => return Ok(link),
            link => link.filter(|link| !link.has_ended()),
        };
        let opening = match self.opening(slot) {
            // So little that it is not worth failing for.
            Err(TooSoon { left: Some(left), .. }) if link.is_none() && left <= JITTER => {
                tokio::time::sleep(left).await;
                self.opening(slot)
            }
            opening => opening,
        };
        let opening = match (opening, link) {
            (Ok(opening), _) => opening,
            // A replica is better than nothing: it may still be read.
            (Err(_), Some(link)) => return Ok(link),
            (Err(TooSoon { error, .. }), None) => return Err(error),
        };
        // Without an answer in time it goes on being opened, for those who come next.
        let link = tokio::time::timeout(self.patience, opening).await.map_err(|_| unreachable())??;
        self.keep(link.clone());
        Ok(link)
    }

    fn local(&self) -> (usize, Option<Link>) {
        LOCAL.with_borrow_mut(|locals| {
            if let Some(local) = locals.iter().find(|local| local.backend == self.id) {
                return (local.slot, local.link.clone());
            }
            let slot = self.threads.fetch_add(1, Ordering::Relaxed) % self.slots.len();
            locals.push(Local { backend: self.id, slot, link: None });
            (slot, None)
        })
    }

    fn keep(&self, link: Link) {
        LOCAL.with_borrow_mut(|locals| {
            if let Some(local) = locals.iter_mut().find(|local| local.backend == self.id) {
                local.link = Some(link);
            }
        });
    }

    /// The connection of a slot, being opened or open. Whoever finds none that is good starts to open one, on
    /// its own runtime.
    fn opening(&self, slot: usize) -> Result<Opening, TooSoon> {
        let slot = self.slots.get(slot).ok_or_else(|| TooSoon { error: unreachable(), left: None })?;
        let mut slot = slot.lock();
        let is_worth = |opening: &&Opening| opening.peek().is_none_or(|it| it.as_ref().is_ok_and(Link::is_good));
        if let Some(opening) = slot.as_ref().filter(is_worth) {
            return Ok(opening.clone());
        }
        let attempt = self.pace.begin(Instant::now())?;
        let (endpoint, limit, tick) = (self.endpoint.clone(), self.connection_timeout, self.tick);
        let task = tokio::spawn(async move {
            let opened = dial(&endpoint, limit).await.map(|stream| Link::over(stream, tick));
            attempt.ended(opened.as_ref().err());
            opened
        });
        let opening = task.map(|joined| joined.unwrap_or_else(|_| Err(unreachable()))).boxed().shared();
        // So that it is known how it ended though nobody waits any more.
        drop(tokio::spawn(opening.clone()));
        *slot = Some(opening.clone());
        Ok(opening)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Another thread's handle goes with its thread; this one's goes now.
        let forgotten = LOCAL.try_with(|locals| {
            if let Ok(mut locals) = locals.try_borrow_mut() {
                locals.retain(|local| local.backend != self.id);
            }
        });
        if forgotten.is_err() {
            tracing::trace!("the thread is ending, and its connections with it");
        }
    }
}
