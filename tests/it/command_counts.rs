//! What each operation costs a backend, counted: `docs/commands.md`.
//!
//! Round trips are counted where batches leave the store, commands by a real Redis, those inside scripts
//! included: some backends bill each.

mod breakers;
mod flags;
mod limits;
mod tokens;

use crate::generated::assert_current;
use crate::harness::backend::{Backend, native};
use crate::harness::redis_server::RedisServer;
use agentapi::base::clock::{Clock, ManualClock, SystemClock};
use agentapi::base::precondition::Precondition;
use agentapi::base::text::{Name, TenantId};
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Database};
use agentapi::stores::idempotency::{Answer, IdempotencyStore, Owner, Request};
use agentapi::stores::sessions::{
    CreateOutcome, JsonObject, NewSession, ObjectPatch, PatchSession, PutSession, RefreshOutcome, RefreshToken,
    RenewOutcome, Session, SessionId, SessionRef, SessionSettings, Sessions, Touch, Upkeep,
};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts the batches that pass through it.
struct Counting<T> {
    inner: T,
    batches: Arc<AtomicU64>,
}

impl<T: RedisTransport> RedisTransport for Counting<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.inner.execute(batch)
    }
}

/// A counted operation.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    round_trips: u64,
    commands: u64,
}

/// A server of its own, so that nobody else's commands are counted.
struct Counter {
    redis: Backend,
    batches: Arc<AtomicU64>,
    rows: String,
}

impl Counter {
    /// Runs an operation and writes its row.
    async fn count<T>(&mut self, operation: &str, run: impl Future<Output = T>) -> (T, Cost) {
        // A lifetime that is renewed within the same millisecond costs a command more.
        let before = self.redis.millis().await;
        while self.redis.millis().await < before + 2 {}
        self.redis.say(["CONFIG", "RESETSTAT"]).await.text().unwrap();
        let start = self.batches.load(Ordering::Relaxed);
        let answer = run.await;
        let round_trips = self.batches.load(Ordering::Relaxed) - start;
        let statistics = self.redis.say(["INFO", "commandstats"]).await.bytes().unwrap();
        let calls = |line: &str| {
            let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let counted = !name.starts_with("config") && name != "info";
            counts.split(',').next()?.parse::<u64>().ok().filter(|_| counted)
        };
        let commands = String::from_utf8_lossy(&statistics).lines().filter_map(calls).sum();
        writeln!(self.rows, "| {operation} | {round_trips} | {commands} |").unwrap();
        (answer, Cost { round_trips, commands })
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn new(user: &str, id: Option<&str>, refresh: bool) -> NewSession {
    let (data, metadata) = (JsonObject::default(), JsonObject::default());
    let id = id.map(|id| SessionId::parse(&name(id)));
    NewSession { user_id: name(user), data, metadata, ttl: None, absolute_ttl: None, id, refresh }
}

fn put() -> PutSession {
    PutSession { user_id: name("u"), data: JsonObject::default(), metadata: JsonObject::default(), ttl: None }
}

fn created(outcome: CreateOutcome) -> (SessionId, Session, Option<RefreshToken>) {
    let CreateOutcome::Created { session, refresh } = outcome else { panic!("{outcome:?}") };
    (SessionId::parse(session.id.as_ref().unwrap()), session, refresh)
}

fn id_of(outcome: RenewOutcome) -> SessionId {
    let RenewOutcome::Renewed(session) = outcome else { panic!("{outcome:?}") };
    SessionId::parse(session.id.as_ref().unwrap())
}

const HEAD: &str = "\
# What operations cost

Made by `tests/it/command_counts.rs`, which counts them on a real Redis. A round trip is one batch, sent and answered
at once. Commands are those that Redis ran, each command inside a script included, and the script itself as one: so
a database that bills by the command counts them. Where the server has just started, the first use of each script
costs one more round trip, which brings its text. Knowing whose API key it is costs nothing but a look at one number
about twice a second, whatever the traffic.

| operation | round trips | commands |
|---|---|---|
";

async fn every_operation(counter: &mut Counter, database: &Database, clock: &ManualClock) {
    let tenant = database.tenant(&TenantId::parse("acme").unwrap());
    let open = |settings| Sessions::new(tenant.clone(), settings, Arc::new(Upkeep::default()));
    let limited = open(SessionSettings { max_per_user: 2, ..SessionSettings::default() });
    let store = open(SessionSettings::default());
    let only = Precondition::default();

    let (outcome, _) = counter.count("create a user's first session", store.create(new("u", None, false))).await;
    let (id, ..) = created(outcome.unwrap());
    let (outcome, _) = counter.count("create, with a refresh token", store.create(new("u", None, true))).await;
    let token = created(outcome.unwrap()).2.unwrap().token;
    let (outcome, _) =
        counter.count("create, under an id of the client", store.create(new("u", Some("mine"), false))).await;
    let own = created(outcome.unwrap()).0;
    let (outcome, _) =
        counter.count("create, the user's limit not reached", limited.create(new("v", None, false))).await;
    created(outcome.unwrap());
    limited.create(new("v", None, false)).await.unwrap();
    let (outcome, _) = counter.count("create, one evicted", limited.create(new("v", None, false))).await;
    created(outcome.unwrap());

    let (found, cost) = counter.count("read a session", store.read(&id, Touch::Yes)).await;
    assert!(found.unwrap().is_some());
    assert_eq!(cost, Cost { round_trips: 1, commands: 1 }, "a read is one round trip and one command");
    let (found, cost) = counter.count("does it exist", store.exists(&id)).await;
    assert!(found.unwrap());
    assert_eq!(cost, Cost { round_trips: 1, commands: 1 });
    let ten = vec![id.clone(); 10];
    let (found, cost) = counter.count("read 10 in a batch", store.read_many(&ten)).await;
    assert!(found.unwrap().iter().all(Option::is_some));
    assert_eq!(cost, Cost { round_trips: 1, commands: 10 });

    let patch = PatchSession { data: serde_json::from_str::<ObjectPatch>(r#"{"a":1}"#).unwrap(), ..Default::default() };
    counter.count("patch", store.patch(&id, &patch, &only)).await.0.unwrap();
    counter.count("put, replacing", store.put(&id, put(), &only)).await.0.unwrap();
    let fresh = SessionId::parse(&name("fresh"));
    counter.count("put, creating", store.put(&fresh, put(), &only)).await.0.unwrap();
    counter.count("extend", store.extend(&id, None, &only)).await.0.unwrap();
    let id = id_of(counter.count("rotate", store.rotate(&id, &only)).await.0.unwrap());
    let refreshed = counter.count("refresh", store.refresh(token.expose())).await.0.unwrap();
    assert!(matches!(refreshed, RefreshOutcome::Refreshed { .. }));
    let again = counter.count("refresh, repeated within the grace", store.refresh(token.expose())).await.0.unwrap();
    assert!(matches!(again, RefreshOutcome::Refreshed { .. }));

    let page =
        counter.count("list a user's sessions, 4 in 3 partitions", store.list_user(&name("u"), None, 100)).await.0;
    assert_eq!(page.unwrap().items.len(), 4);
    let page = counter.count("list the tenant's sessions, 6", store.list(None, 100)).await.0;
    assert_eq!(page.unwrap().items.len(), 6);
    counter.count("revoke", store.revoke(own.reference(), &only)).await.0.unwrap();
    let mut ten: Vec<SessionRef> = Vec::new();
    for _ in 0..10 {
        ten.push(created(store.create(new("w", None, false)).await.unwrap()).0.reference().clone());
    }
    assert_eq!(counter.count("revoke 10 of one user in a batch", store.revoke_many(&ten)).await.0.unwrap(), 10);
    clock.advance(Duration::from_secs(361));
    let (found, _) =
        counter.count("read, noting a use (at most once per tenth of its lifetime)", store.read(&id, Touch::Yes)).await;
    assert!(found.unwrap().is_some());
    assert_eq!(counter.count("revoke a user's 3 sessions", store.revoke_all(&name("u"), None)).await.0.unwrap(), 3);

    let records = IdempotencyStore::new(Owner::Tenant(tenant.clone()));
    let request = Request { credential: "key", key: "k", fingerprint: [7; 32] };
    counter.count("begin under an `Idempotency-Key`", records.begin(request)).await.0.unwrap();
    let answer = Answer { status: 201, headers: Vec::new(), body: "{}".to_owned() };
    counter.count("keep its answer", records.finish(request, &answer)).await.0.unwrap();
    counter.count("give it again", records.begin(request)).await.0.unwrap();

    limits::every_operation(counter, &tenant).await;
    breakers::every_operation(counter, &tenant).await;
    tokens::every_operation(counter, database).await;
    flags::every_operation(counter, database).await;
}

#[tokio::test]
async fn what_each_operation_costs_is_in_the_table() {
    let server = Arc::new(RedisServer::start());
    let batches = Arc::new(AtomicU64::new(0));
    let transport = Arc::new(Counting { inner: native(&server.url()), batches: batches.clone() });
    let mut counter = Counter { redis: Backend::on(server.clone()), batches, rows: String::new() };
    for round in ["warm", "counted"] {
        let clock = ManualClock::at(SystemClock.now());
        let database = Database::new(transport.clone(), round, BackendClock::new(Arc::new(clock.clone())));
        counter.rows = HEAD.to_owned();
        every_operation(&mut counter, &database, &clock).await;
    }
    assert_current("docs/commands.md", &counter.rows, "UPDATE_DOCS=1 cargo test --test it command_counts");
}
