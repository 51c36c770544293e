//! The tokens of a tenant over a backend, as one server has them, with every script noted that runs.

use crate::harness::backend::Backend;
use crate::harness::noting::Noting;
use agentapi::base::clock::{SystemClock, Timestamp};
use agentapi::base::deadline::Deadline;
use agentapi::base::secret::Secret;
use agentapi::base::text::{Name, TenantId};
use agentapi::db::{BackendClock, Command, Database, Partition};
use agentapi::stores::tokens::{NewToken, Providers, Rewrapped, SealedRecords, Shared, Tokens};
use agentapi::tenancy::{NewTenant, Registry, RegistrySettings, SteadyClock, tenant_key};
use agentapi::vault::{KeyRing, TenantVault, Vault};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct Bench {
    pub vault: Vault,
    tenant: TenantId,
    database: Database,
    noting: Arc<Noting>,
    backend: Arc<Backend>,
    ring: KeyRing,
    shared: Shared,
    prefix: String,
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn token(access: &str, refresh: Option<&str>, expires_at: Option<Timestamp>) -> NewToken {
    NewToken {
        access_token: Secret::new(access.to_owned()),
        refresh_token: refresh.map(|text| Secret::new(text.to_owned())),
        token_type: "Bearer".to_owned(),
        scopes: vec!["s".to_owned()],
        expires_at,
        metadata: Default::default(),
    }
}

impl Bench {
    pub async fn on(backend: Backend, twice: bool) -> Bench {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("tokens{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let noting = Arc::new(Noting::over(backend.transport.clone(), "tokens/", twice));
        let database = Database::new(noting.clone(), &prefix, BackendClock::new(Arc::new(SystemClock)));
        let tenant = TenantId::parse("acme").unwrap();
        let ring = KeyRing::random().unwrap();
        let vault = Vault::new(Some(ring.clone()), database.system(), Arc::new(SteadyClock::start()));
        let backend = Arc::new(backend);
        let bench = Bench { vault, tenant, database, noting, backend, ring, shared: Shared::default(), prefix };
        bench.create_tenant().await;
        bench
    }

    async fn create_tenant(&self) {
        let clock = Arc::new(SteadyClock::start());
        let registry = Registry::new(self.database.system(), clock, RegistrySettings::default());
        registry.create_tenant(NewTenant::plain(self.tenant.clone())).await.unwrap();
    }

    /// Another server over the same backend, which has used its vault already.
    pub async fn another_server(&self) -> Bench {
        let vault = Vault::new(Some(self.ring.clone()), self.database.system(), Arc::new(SteadyClock::start()));
        let server = Bench {
            vault,
            tenant: self.tenant.clone(),
            database: self.database.clone(),
            noting: self.noting.clone(),
            backend: self.backend.clone(),
            ring: self.ring.clone(),
            shared: Shared::default(),
            prefix: self.prefix.clone(),
        };
        server.tenant_vault().newest().await.unwrap();
        server
    }

    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn tenant_vault(&self) -> TenantVault {
        self.vault.of(&self.tenant, Deadline::NONE)
    }

    pub fn tokens(&self) -> Tokens {
        Tokens::new(self.database.tenant(&self.tenant), self.tenant_vault(), &self.shared)
    }

    pub fn providers(&self) -> Providers {
        Providers::new(self.database.tenant(&self.tenant), self.tenant_vault(), &self.shared)
    }

    pub fn all_sealed_records(&self) -> SealedRecords {
        SealedRecords::new(self.database.tenant(&self.tenant), self.tenant_vault())
    }

    /// Gives the tenant a new data key: its version.
    pub async fn rotated(&self) -> u32 {
        self.vault.rotate(&self.tenant).await.unwrap()
    }

    pub async fn rewrap(&self, partition: Partition, key: u32, skip: u64) -> Rewrapped {
        let key = self.tenant_vault().get(key).await.unwrap();
        self.all_sealed_records().rewrap(partition, &key, skip, 100).await.unwrap()
    }

    /// Destroys the tenant's data keys and deletes everything of these users, as when the tenant is deleted; then there is
    /// another one of its id.
    pub async fn delete_everything_of(&self, users: &[Name]) {
        let system = self.database.system();
        system.run(Command::del(&tenant_key(&system, &self.tenant))).await.unwrap().int().unwrap();
        assert!(self.vault.destroy_all(&self.tenant).await.unwrap(), "the tenant is gone");
        let partitions = users.iter().map(|user| Partition::of(user.as_str())).chain([Partition::FIRST]);
        let of_partition = ["sealed-records", "sealing-floor", "sealed-partitions"].map(str::to_owned);
        let of_users = users.iter().flat_map(|user| [format!("token:{user}:p"), format!("user-tokens:{user}")]);
        let families: Vec<String> = of_partition.into_iter().chain(of_users).collect();
        for partition in partitions.collect::<BTreeSet<_>>() {
            let tag = format!("{}:{{{}:{}}}", self.prefix, self.tenant, partition.digits());
            let keys = families.iter().map(|family| format!("{tag}:{family}"));
            let words = std::iter::once("DEL".to_owned()).chain(keys);
            self.backend.say(words.collect::<Vec<_>>()).await.count().unwrap();
        }
        self.create_tenant().await;
    }

    /// The scripts of the slice that have run.
    pub fn ran(&self) -> BTreeSet<&'static str> {
        self.noting.ran()
    }

    pub fn says_twice(&self) -> bool {
        self.noting.says_twice()
    }
}
