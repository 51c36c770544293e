//! Data keys over each backend: made once by many at once, changed in every way, and by a call that comes twice.

use crate::harness::backend::Backend;
use agentapi::base::clock::SystemClock;
use agentapi::base::deadline::Deadline;
use agentapi::base::text::TenantId;
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Command, Database, Effect};
use agentapi::tenancy::{NewTenant, Registry, RegistrySettings, SteadyClock, tenant_key};
use agentapi::vault::{Context, KeyRing, Vault, VaultError};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const PLACE: Context<'static> = Context { store: "test", name: &["a"], version: 1 };

/// Says everything twice that may be said twice, as a retry does whose first answer was lost.
struct Twice(Arc<dyn RedisTransport>);

impl RedisTransport for Twice {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            if batch.effect() != Effect::Once {
                drop(self.0.execute(batch).await?);
            }
            self.0.execute(batch).await
        })
    }
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// A database with the tenant `acme`.
async fn database(transport: Arc<dyn RedisTransport>) -> Database {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let prefix = format!("vault{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let database = Database::new(transport, &prefix, BackendClock::new(Arc::new(SystemClock)));
    let registry = Registry::new(database.system(), Arc::new(SteadyClock::start()), RegistrySettings::default());
    registry.create_tenant(NewTenant::plain(acme())).await.unwrap();
    database
}

fn server(database: &Database, ring: &KeyRing) -> Vault {
    Vault::new(Some(ring.clone()), database.system(), Arc::new(SteadyClock::start()))
}

fn versions(keys: &[agentapi::vault::StoredKey]) -> Vec<u32> {
    keys.iter().map(|key| key.version).collect()
}

async fn data_keys_live(backend: Backend, transport: Arc<dyn RedisTransport>) {
    let (database, ring, tenant) = (database(transport).await, KeyRing::random().unwrap(), acme());
    let root = ring.ids().next().unwrap();
    let servers: Vec<Vault> = (0..16).map(|_| server(&database, &ring)).collect();
    let seal = |vault: Vault| async move {
        vault.of(&acme(), Deadline::NONE).newest().await.unwrap().seal(b"secret", PLACE).unwrap()
    };
    let sealed = join_all(servers.iter().cloned().map(seal)).await;
    assert_eq!(versions(&servers[0].list(&acme(), Deadline::NONE).await.unwrap()), [1], "{}", backend.name);
    for text in &sealed {
        let opened = servers[3].of(&acme(), Deadline::NONE).open(text, PLACE).await.unwrap();
        assert_eq!(opened.as_slice(), b"secret", "{}", backend.name);
    }
    let rotated = join_all(servers.iter().map(|vault| vault.rotate(&tenant))).await;
    let mut rotated: Vec<u32> = rotated.into_iter().map(Result::unwrap).collect();
    rotated.sort_unstable();
    assert_eq!(rotated, (2..=17).collect::<Vec<_>>(), "{}: each made one of its own", backend.name);
    assert_eq!(servers[0].roots_in_use(Deadline::NONE).await.unwrap(), [(root, 17)], "{}", backend.name);
    let old: Vec<u32> = (1..=16).collect();
    assert_eq!(servers[0].destroy(&acme(), &old).await, Ok(16), "{}", backend.name);
    assert_eq!(versions(&servers[1].list(&acme(), Deadline::NONE).await.unwrap()), [17]);
    assert_eq!(servers[0].roots_in_use(Deadline::NONE).await.unwrap(), [(root, 1)]);
    let fresh = server(&database, &ring);
    let opened = fresh.of(&acme(), Deadline::NONE).open(&sealed[0], PLACE).await;
    assert_eq!(opened.unwrap_err(), VaultError::Unopenable, "{}", backend.name);
    assert_eq!(servers[0].destroy_all(&acme()).await, Ok(false), "while there is such a tenant");
    assert_eq!(versions(&servers[1].list(&acme(), Deadline::NONE).await.unwrap()), [17]);
    let system = database.system();
    let gone = system.run(Command::del(&tenant_key(&system, &acme()))).await.unwrap();
    assert!(gone.int().is_ok());
    assert_eq!(servers[0].destroy_all(&acme()).await, Ok(true));
    assert_eq!(versions(&servers[1].list(&acme(), Deadline::NONE).await.unwrap()), [0; 0]);
    assert_eq!(servers[0].roots_in_use(Deadline::NONE).await.unwrap(), []);
    let stranger = TenantId::parse("nobody").unwrap();
    assert_eq!(servers[0].rotate(&stranger).await, Err(VaultError::TenantGone), "{}", backend.name);
}

#[tokio::test]
async fn data_keys_live_on_each_backend() {
    for backend in [Backend::memory(), Backend::native(), Backend::rest()] {
        let transport = backend.transport.clone();
        data_keys_live(backend, transport).await;
    }
}

#[tokio::test]
async fn data_keys_live_where_every_call_comes_twice() {
    for backend in [Backend::memory(), Backend::native(), Backend::rest()] {
        let transport = Arc::new(Twice(backend.transport.clone()));
        data_keys_live(backend, transport).await;
    }
}
