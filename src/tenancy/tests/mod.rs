//! The registry over the embedded backend, with a clock that is moved by hand and a wire that is watched.

mod freshness;
mod keys;
mod outage;
mod recent_keys;
mod tenants;
mod tokens;
mod verification;

use super::*;
use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::base::deadline::Deadline;
use crate::base::secret::Secret;
use crate::base::text::TenantId;
use crate::db::transport::memory::Memory;
use crate::db::transport::{Execution, RedisTransport};
use crate::db::{BackendClock, Batch, Database, Delivery, Error, ErrorKind};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const DOWN: Error = Error::new(ErrorKind::Unreachable, Delivery::NotSent);

/// The embedded backend behind a wire that writes down what passes, and can be cut or held.
struct Wire {
    backend: Memory,
    passed: Mutex<Vec<String>>,
    cut: Mutex<bool>,
    held: Mutex<Option<(&'static str, Hold)>>,
}

/// An answer that has left the backend and waits on the wire.
#[derive(Clone)]
struct Hold {
    arrived: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Hold {
    /// Waits until something is held.
    async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Lets it go on.
    fn release(&self) {
        self.released.add_permits(1);
    }
}

impl RedisTransport for Wire {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let words = batch.commands().iter().flat_map(|command| command.args());
            let said: Vec<_> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            let said = said.join(" ");
            self.passed.lock().push(said.clone());
            if *self.cut.lock() {
                return Err(DOWN);
            }
            let replies = self.backend.execute(batch).await;
            let hold = self.held.lock().take_if(|(what, _)| said.contains(*what));
            if let Some((_, hold)) = hold {
                hold.arrived.add_permits(1);
                hold.released.acquire().await.unwrap().forget();
            }
            replies
        })
    }
}

impl Wire {
    /// What was said since the last time, one line for each batch.
    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.passed.lock())
    }

    /// Holds back the answer to the next batch that contains `what`, once the backend has run it.
    fn hold(&self, what: &'static str) -> Hold {
        let hold = Hold { arrived: Arc::new(Semaphore::new(0)), released: Arc::new(Semaphore::new(0)) };
        *self.held.lock() = Some((what, hold.clone()));
        hold
    }
}

/// One backend, one clock, and as many servers as a test wants.
struct World {
    clock: ManualClock,
    wire: Arc<Wire>,
}

impl World {
    fn new() -> World {
        let clock = ManualClock::at(Timestamp::parse_rfc3339("2026-01-31T08:20:00Z").unwrap());
        let wire = Wire {
            backend: Memory::new(Arc::new(clock.clone())),
            passed: Mutex::default(),
            cut: Mutex::default(),
            held: Mutex::default(),
        };
        World { clock, wire: Arc::new(wire) }
    }

    fn database(&self, local: &ManualClock) -> Database {
        Database::new(self.wire.clone(), "agentapi", BackendClock::new(Arc::new(local.clone())))
    }

    /// Another server.
    fn server(&self) -> Registry {
        self.server_with(RegistrySettings::default())
    }

    fn server_with(&self, settings: RegistrySettings) -> Registry {
        Registry::new(self.database(&self.clock).system(), Arc::new(self.clock.clone()), settings)
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// How many keys there are when a minute has passed and what operations answered is forgotten.
    fn lasting(&self) -> usize {
        self.pass(61_000);
        self.wire.backend.sweep(usize::MAX);
        self.wire.backend.len()
    }
}

/// Lets everything that was spawned come to its end, or to where it is held.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn plain_key() -> NewKey {
    NewKey { name: None, scopes: Scopes::ALL, expires_at: None }
}

async fn tenant(registry: &Registry, name: &str) -> Tenant {
    match registry.create_tenant(NewTenant::plain(id(name))).await.unwrap() {
        TenantCreation::Created(tenant) => tenant,
        refused => panic!("{name}: {refused:?}"),
    }
}

/// A tenant `acme` with a key.
async fn acme(registry: &Registry) -> (ApiKey, Secret) {
    tenant(registry, "acme").await;
    registry.create_key(&id("acme"), plain_key()).await.unwrap().unwrap()
}

/// A key of the right form that was never stored.
fn made_up_key() -> Secret {
    ApiKey::issue(id("acme"), None, Scopes::ALL, None, Timestamp::default()).unwrap().1
}

/// The part of a key that is secret.
fn secret_part(key: &Secret) -> &str {
    key.expose().get(20..63).unwrap()
}

async fn identity(registry: &Registry, key: &Secret) -> Option<Identity> {
    match registry.verify(key.expose(), Deadline::NONE).await.unwrap() {
        Verification::Known(identity) => Some(identity),
        Verification::Unknown => None,
    }
}

async fn knows(registry: &Registry, key: &Secret) -> bool {
    identity(registry, key).await.is_some()
}
