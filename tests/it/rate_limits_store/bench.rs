//! A rate limit store over a backend, with every script noted that it runs, and everything said twice that may be.

use crate::harness::backend::Backend;
use agentapi::base::clock::SystemClock;
use agentapi::base::text::{Name, TenantId};
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Database, Effect, Reply};
use agentapi::stores::rate_limits::policies::{Policies, PolicyMemory};
use agentapi::stores::rate_limits::{
    Algorithm, Check, Checked, Decision, Quota, RateLimits, Reservation, ReserveOutcome, Subject,
};
use agentapi::tenancy::SteadyClock;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Notes scripts, and repeats what may be repeated, as a retry does whose first answer was lost.
struct Noting {
    inner: Arc<dyn RedisTransport>,
    ran: Mutex<BTreeSet<&'static str>>,
    twice: AtomicBool,
}

impl RedisTransport for Noting {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        let scripts = batch.commands().iter().filter_map(|command| command.running());
        self.ran.lock().unwrap().extend(scripts.map(|script| script.name()));
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.twice.load(Ordering::SeqCst) && batch.effect() != Effect::Once {
                drop(self.inner.execute(batch).await?);
            }
            self.inner.execute(batch).await
        })
    }
}

pub struct Bench {
    pub limits: RateLimits,
    pub policies: Policies,
    pub backend: Backend,
    noting: Arc<Noting>,
    prefix: String,
}

impl Bench {
    pub fn on(backend: Backend) -> Bench {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("limits{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (ran, twice) = (Mutex::default(), AtomicBool::new(false));
        let noting = Arc::new(Noting { inner: backend.transport.clone(), ran, twice });
        let database = Database::new(noting.clone(), &prefix, BackendClock::new(Arc::new(SystemClock)));
        let db = database.tenant(&TenantId::parse("acme").unwrap());
        let policies = Policies::new(db.clone(), Arc::new(PolicyMemory::new(Arc::new(SteadyClock::start()))));
        Bench { limits: RateLimits::new(db), policies, backend, noting, prefix }
    }

    pub fn memory() -> Bench {
        Bench::on(Backend::memory())
    }

    pub fn native() -> Bench {
        Bench::on(Backend::native())
    }

    pub fn rest() -> Bench {
        Bench::on(Backend::rest())
    }

    /// From now on everything is said twice that may be.
    pub fn twice(&self) {
        self.noting.twice.store(true, Ordering::SeqCst);
    }

    /// The scripts that ran.
    pub fn ran(&self) -> Vec<&'static str> {
        self.noting.ran.lock().unwrap().iter().copied().collect()
    }

    pub async fn check(&self, check: &Check) -> Decision {
        self.all(std::slice::from_ref(check)).await[0]
    }

    pub async fn all(&self, checks: &[Check]) -> Vec<Decision> {
        decided(self.limits.check(checks).await.unwrap())
    }

    pub async fn reserve(&self, check: &Check) -> (Decision, Option<Reservation>) {
        match self.limits.reserve(check, Duration::from_secs(30)).await.unwrap() {
            ReserveOutcome::Decided(decision, reservation) => (decision, reservation),
            other => panic!("{other:?}"),
        }
    }

    /// The keys of this bench that have no end.
    pub async fn endless(&self) -> Vec<String> {
        let mut endless = Vec::new();
        let Reply::Array(keys) = self.backend.say(["KEYS".to_owned(), format!("{}:*", self.prefix)]).await else {
            panic!()
        };
        assert!(!keys.is_empty(), "there are keys to look at");
        for key in keys {
            let key = key.text().unwrap();
            if self.backend.say(["PTTL".to_owned(), key.clone()]).await.int().unwrap() == -1 {
                endless.push(key);
            }
        }
        endless
    }
}

pub fn decided(checked: Checked) -> Vec<Decision> {
    match checked {
        Checked::Decided(decisions) => decisions,
        other => panic!("{other:?}"),
    }
}

pub fn check(key: &str, algorithm: Algorithm, limit: u64, window: Duration, cost: u64) -> Check {
    let quota = Quota::new(limit, 0, window, algorithm).unwrap();
    Check { subject: Subject::Named(Name::parse(key).unwrap()), quota, cost, shadow: false }
}
