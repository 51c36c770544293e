//! The flags over each backend: every script, and what is said twice.

use crate::harness::backend::Backend;
use crate::harness::noting::Noting;
use agentapi::base::clock::SystemClock;
use agentapi::base::deadline::Deadline;
use agentapi::base::precondition::Precondition;
use agentapi::base::text::{Name, TenantId};
use agentapi::db::{BackendClock, Database, Outage};
use agentapi::stores::flags::rules::{Arena, Context};
use agentapi::stores::flags::{Flags, Live, Put, SCRIPTS, Written};
use agentapi::tenancy::SteadyClock;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const ANY: Precondition = Precondition { matches: None, differs: None };

/// Runs a test over each backend, and over each where everything is said twice that may be.
macro_rules! suite {
    ($($test:ident)*) => {
        mod memory { $(#[tokio::test] async fn $test() { super::both(crate::harness::backend::Backend::memory, super::$test).await; })* }
        mod native { $(#[tokio::test] async fn $test() { super::both(crate::harness::backend::Backend::native, super::$test).await; })* }
        mod rest { $(#[tokio::test] async fn $test() { super::both(crate::harness::backend::Backend::rest, super::$test).await; })* }
    };
}

async fn both<T: Future<Output = ()>>(backend: fn() -> Backend, test: fn(Bench) -> T) {
    for twice in [false, true] {
        test(Bench::on(backend(), twice).await).await;
    }
}

suite! {
    each_script_answers_the_same
    a_tenant_without_flags_has_nothing_counted
    the_versions_of_large_sets_can_be_read
}

struct Bench {
    backend: Backend,
    prefix: String,
    database: Database,
    noting: Arc<Noting>,
    tenant: TenantId,
}

impl Bench {
    async fn on(backend: Backend, twice: bool) -> Bench {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("flags{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let noting = Arc::new(Noting::over(backend.transport.clone(), "flags/", twice));
        let database = Database::new(noting.clone(), &prefix, BackendClock::new(Arc::new(SystemClock)));
        // The embedded backend has a time of its own here.
        database.probe(Deadline::NONE).await.unwrap();
        Bench { backend, prefix, database, noting, tenant: TenantId::parse("acme").unwrap() }
    }

    /// The key of the tenant's flags.
    fn flagset(&self) -> String {
        format!("{}:{{{}:00}}:flagset", self.prefix, self.tenant)
    }

    /// A server, and the tenant's flags as it has them.
    fn server(&self) -> (Arc<Live>, Flags) {
        let live = Live::new(self.database.clone(), Arc::new(SteadyClock::start()), Outage::default());
        (live.clone(), Flags::new(self.database.tenant(&self.tenant), live))
    }
}

fn flag(value: i64) -> Value {
    json!({"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"})
}

fn key(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn written(put: Put) -> Written {
    match put {
        Put::Written(written) => *written,
        other => panic!("{other:?}"),
    }
}

/// Evaluates all flags once.
async fn evaluate(live: &Arc<Live>, tenant: &TenantId) {
    let current = live.current(tenant, Deadline::NONE).await.unwrap();
    let arena = Arena::new();
    for (index, flag) in current.compiled().rules.flags().enumerate() {
        let decision = flag.evaluate(&Context::empty(&arena), 0).unwrap();
        current.compiled().given(index, &decision);
    }
}

async fn each_script_answers_the_same(bench: Bench) {
    let ((live, flags), (_, elsewhere)) = (bench.server(), bench.server());
    for version in 1..=3 {
        let by = if version == 2 { &elsewhere } else { &flags };
        let put = written(by.put(&key("f"), &flag(version), &ANY, "k1").await.unwrap());
        assert_eq!((put.set.version, put.is_new), (version as u64, version == 1));
    }
    let set = flags.read().await.unwrap();
    assert_eq!((set.version, &set.document), (3, json!({"flags": {"f": flag(3)}}).as_object().unwrap()));
    for version in 1..=3 {
        let there = flags.at(version as u64).await.unwrap().unwrap();
        assert_eq!(there["flags"]["f"], flag(version));
    }
    assert!(flags.at(4).await.unwrap().is_none());
    let versions: Vec<u64> = flags.versions(None, 10).await.unwrap().iter().map(|version| version.version).collect();
    assert_eq!(versions, [3, 2, 1]);
    for _ in 0..3 {
        evaluate(&live, &bench.tenant).await;
    }
    live.flush().await;
    evaluate(&live, &bench.tenant).await;
    live.flush().await;
    let days = flags.evaluations(&key("f"), 2).await.unwrap();
    assert_eq!((days.len(), days.iter().filter_map(|day| day.variants.get("v")).sum::<u64>()), (2, 4));
    let all: BTreeSet<&str> = SCRIPTS.iter().map(|script| script.name()).collect();
    assert_eq!(bench.noting.ran(), all, "each has been run");
}

async fn a_tenant_without_flags_has_nothing_counted(bench: Bench) {
    let (live, flags) = bench.server();
    written(flags.put(&key("f"), &flag(1), &ANY, "k1").await.unwrap());
    evaluate(&live, &bench.tenant).await;
    // As deleting the tenant does.
    assert_eq!(bench.backend.say(["DEL".to_owned(), bench.flagset()]).await.int(), Ok(1));
    let all = format!("{}:{{{}:*", bench.prefix, bench.tenant);
    // The embedded backend does not know the command.
    let keys = async || match bench.backend.name {
        "memory" => 0,
        _ => bench.backend.ask(&["KEYS", &all]).await.array().unwrap().len(),
    };
    let before = keys().await;
    live.flush().await;
    assert_eq!(keys().await, before, "a late count leaves nothing at all");
    let days = flags.evaluations(&key("f"), 2).await.unwrap();
    assert!(days.iter().all(|day| day.variants.is_empty()), "a late count must not bring back a key: {days:?}");
}

async fn the_versions_of_large_sets_can_be_read(bench: Bench) {
    let (_, flags) = bench.server();
    let large = |letter: &str| json!({"state": "ENABLED", "variants": {"v": letter.repeat(1_000_000)}});
    for letter in ["a", "b"] {
        written(flags.put(&key("f"), &large(letter), &ANY, "k1").await.unwrap());
    }
    // As if it had been changed so again and again: together it is more than a backend may answer at once.
    let say = async |words: &[&str]| bench.backend.say(words.iter().map(|word| (*word).to_owned())).await;
    let history = format!("{}-history", bench.flagset());
    let change = say(&["HGET", &history, "2"]).await.text().unwrap();
    for version in 3..=36 {
        assert_eq!(say(&["HSET", &history, &version.to_string(), &change]).await.int(), Ok(1));
    }
    assert_eq!(say(&["HSET", &bench.flagset(), "version", "36"]).await.int(), Ok(0));
    let numbers = |versions: Vec<agentapi::stores::flags::Version>| {
        versions.iter().map(|version| version.version).collect::<Vec<_>>()
    };
    assert_eq!(numbers(flags.versions(None, 100).await.unwrap()), (1..=36).rev().collect::<Vec<_>>());
    assert_eq!(numbers(flags.versions(Some(31), 20).await.unwrap()), (11..=30).rev().collect::<Vec<_>>());
    for (version, letter) in [(36, "b"), (35, "a"), (28, "a"), (27, "a"), (1, "a")] {
        assert_eq!(flags.at(version).await.unwrap().unwrap()["flags"]["f"], large(letter), "{version}");
    }
}
