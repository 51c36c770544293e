//! Connections: one per thread as long as there are enough, opened in the background, replaced when lost.

use super::settings::{NativeSettings, UnusableSettings};
use crate::db::error::{Delivery, Error, ErrorKind};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A connection that could not be opened is not tried again sooner than this.
const PAUSE: Duration = Duration::from_millis(100);

type Opening = Shared<BoxFuture<'static, Result<MultiplexedConnection, Error>>>;

/// A connection in hand, with what is needed to report it lost.
pub(super) struct Held {
    pub(super) connection: MultiplexedConnection,
    slot: usize,
    generation: u64,
}

/// One place for a connection. Its generation grows with every connection that was opened in it.
#[derive(Default)]
struct Slot {
    generation: u64,
    opening: Option<Opening>,
    failed_at: Option<Instant>,
}

pub(super) struct Connections {
    /// Tells this backend's connections apart from another's in a thread's own store.
    id: u64,
    client: redis::Client,
    config: AsyncConnectionConfig,
    patience: Duration,
    slots: Box<[Mutex<Slot>]>,
    threads: AtomicUsize,
}

struct Local {
    backend: u64,
    slot: usize,
    open: Option<(MultiplexedConnection, u64)>,
}

thread_local! {
    static LOCAL: RefCell<Vec<Local>> = const { RefCell::new(Vec::new()) };
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Connections {
    pub(super) fn new(settings: NativeSettings) -> Result<Self, UnusableSettings> {
        // The client's own timer for answers is off: the timeout layer's is enough, and one is cheaper than two.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.connection_timeout))
            .set_response_timeout(None);
        Ok(Connections {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            client: settings.client()?,
            config,
            patience: settings.patience,
            slots: (0..settings.max_connections.max(1)).map(|_| Mutex::default()).collect(),
            threads: AtomicUsize::new(0),
        })
    }

    /// This thread's connection, opened if need be.
    pub(super) async fn take(&self) -> Result<Held, Error> {
        let (slot, open) = self.local();
        if let Some((connection, generation)) = open {
            return Ok(Held { connection, slot, generation });
        }
        let (opening, generation) = self.opening(slot)?;
        match tokio::time::timeout(self.patience, opening).await {
            Ok(Ok(connection)) => {
                self.keep(Some((connection.clone(), generation)));
                Ok(Held { connection, slot, generation })
            }
            Ok(Err(error)) => {
                self.discard(slot, generation, Some(Instant::now()));
                Err(error)
            }
            // It goes on being opened, for those who come next.
            Err(_) => Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent)),
        }
    }

    /// After a failed exchange: drops the connection if it is of no more use, and says what the failure means.
    pub(super) fn give_up(&self, held: &Held, error: &RedisError) -> Error {
        self.keep(None);
        self.discard(held.slot, held.generation, None);
        super::failure(error)
    }

    fn local(&self) -> (usize, Option<(MultiplexedConnection, u64)>) {
        LOCAL.with_borrow_mut(|locals| {
            if let Some(local) = locals.iter().find(|local| local.backend == self.id) {
                return (local.slot, local.open.clone());
            }
            let slot = self.threads.fetch_add(1, Ordering::Relaxed) % self.slots.len();
            locals.push(Local { backend: self.id, slot, open: None });
            (slot, None)
        })
    }

    fn keep(&self, open: Option<(MultiplexedConnection, u64)>) {
        LOCAL.with_borrow_mut(|locals| {
            if let Some(local) = locals.iter_mut().find(|local| local.backend == self.id) {
                local.open = open;
            }
        });
    }

    /// The connection of a slot, being opened or open. Whoever finds none starts to open one, on its own runtime.
    fn opening(&self, slot: usize) -> Result<(Opening, u64), Error> {
        let unreachable = Error::new(ErrorKind::Unreachable, Delivery::NotSent);
        let mut state = self.slots.get(slot).ok_or_else(|| unreachable.clone())?.lock();
        if let Some(opening) = &state.opening {
            return Ok((opening.clone(), state.generation));
        }
        if state.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(unreachable);
        }
        let (client, config) = (self.client.clone(), self.config.clone());
        let task = tokio::spawn(async move {
            client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| refused(&error))
        });
        let opening = task.map(move |joined| joined.unwrap_or(Err(unreachable))).boxed().shared();
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

impl Drop for Connections {
    fn drop(&mut self) {
        // Another thread's copy goes with its thread; this one's goes now.
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

/// Why a connection could not be opened. Nothing was sent over it.
fn refused(error: &RedisError) -> Error {
    let denied = error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    let kind = if denied { ErrorKind::Forbidden } else { ErrorKind::Unreachable };
    Error::new(kind, Delivery::NotSent)
}
