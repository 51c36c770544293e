//! Connections: one per thread as long as there are enough, opened in the background, replaced when lost.

use super::dial::dial;
use super::link::Link;
use super::settings::{Endpoint, NativeSettings, UnusableSettings};
use crate::db::error::{Delivery, Error, ErrorKind};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A connection that could not be opened is not tried again sooner than this.
const PAUSE: Duration = Duration::from_millis(100);

type Opening = Shared<BoxFuture<'static, Result<Link, Error>>>;

/// One place for a connection. Its generation grows with every connection that was opened in it.
#[derive(Default)]
struct Slot {
    generation: u64,
    opening: Option<Opening>,
    failed_at: Option<Instant>,
}

pub(super) struct Pool {
    /// Tells this backend's connections apart from another's in a thread's own store.
    id: u64,
    endpoint: Arc<Endpoint>,
    connection_timeout: Duration,
    patience: Duration,
    slots: Box<[Mutex<Slot>]>,
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
        Ok(Pool {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            endpoint: Arc::new(settings.endpoint()?),
            connection_timeout: settings.connection_timeout,
            patience: settings.patience,
            slots: (0..settings.max_connections.max(1)).map(|_| Mutex::default()).collect(),
            threads: AtomicUsize::new(0),
        })
    }

    /// This thread's connection, opened if need be.
    pub(super) async fn take(&self) -> Result<Link, Error> {
        let (slot, link) = self.local();
        if let Some(link) = link.filter(|link| !link.has_ended()) {
            return Ok(link);
        }
        let (opening, generation) = self.opening(slot)?;
        match tokio::time::timeout(self.patience, opening).await {
            Ok(Ok(link)) if !link.has_ended() => {
                self.keep(link.clone());
                Ok(link)
            }
            Ok(Ok(_)) => {
                self.discard(slot, generation, None);
                Err(unreachable())
            }
            Ok(Err(error)) => {
                self.discard(slot, generation, Some(Instant::now()));
                Err(error)
            }
            // It goes on being opened, for those who come next.
            Err(_) => Err(unreachable()),
        }
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

    /// The connection of a slot, being opened or open. Whoever finds none starts to open one, on its own runtime.
    fn opening(&self, slot: usize) -> Result<(Opening, u64), Error> {
        let mut state = self.slots.get(slot).ok_or_else(unreachable)?.lock();
        // One that was opened and has been lost since is replaced.
        let lost = |opening: &Opening| matches!(opening.peek(), Some(Ok(link)) if link.has_ended());
        if let Some(opening) = state.opening.as_ref().filter(|opening| !lost(opening)) {
            return Ok((opening.clone(), state.generation));
        }
        if state.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(unreachable());
        }
        let (endpoint, limit) = (self.endpoint.clone(), self.connection_timeout);
        let task = tokio::spawn(async move { dial(&endpoint, limit).await });
        let opening = task.map(|joined| joined.unwrap_or_else(|_| Err(unreachable()))).boxed().shared();
        state.generation += 1;
        state.opening = Some(opening.clone());
        Ok((opening, state.generation))
    }

    fn discard(&self, slot: usize, generation: u64, failed_at: Option<Instant>) {
        let Some(slot) = self.slots.get(slot) else { return };
        let mut state = slot.lock();
        if state.generation == generation {
            state.opening = None;
            state.failed_at = failed_at;
        }
    }
}

fn unreachable() -> Error {
    Error::new(ErrorKind::Unreachable, Delivery::NotSent)
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
