//! By chance: whatever is done, it ends as if each operation had arrived once, however often and late it did.

use crate::harness::operations::acting_once;
use agentapi::base::clock::{ManualClock, Timestamp};
use agentapi::base::precondition::Precondition;
use agentapi::base::text::{Name, TenantId};
use agentapi::db::transport::memory::Memory;
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Command, Database, Effect, Family, Partition, Script, TenantDb};
use agentapi::stores::sessions::{
    CreateOutcome, JsonObject, NewSession, PatchOutcome, PatchSession, PutOutcome, PutSession, Session, SessionId,
    SessionRef, SessionSettings, Sessions, Touch, Upkeep,
};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const LOG: Family = Family { name: "log", parts: "", kind: "string", routed_by: "", lives: "", holds: "", stays: None };

/// What it is said twice stands twice in the log.
static APPEND: LazyLock<&Script> = LazyLock::new(|| {
    acting_once("local log = (redis.call('GET', KEYS[1]) or '') .. ARGV[1] redis.call('SET', KEYS[1], log) return log")
});

/// Something that is done. Sessions and users are few, so that they meet.
#[derive(Debug, Clone)]
enum Step {
    Create { id: u8, user: u8 },
    Put { id: u8, user: u8, data: u8 },
    Patch { id: u8, data: u8 },
    Revoke { id: u8 },
    RevokeAll { user: u8 },
    Append { word: u8 },
    Wait { millis: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let (id, user, data) = (|| 0..3_u8, || 0..2_u8, || 0..9_u8);
    prop_oneof![
        (id(), user()).prop_map(|(id, user)| Step::Create { id, user }),
        (id(), user(), data()).prop_map(|(id, user, data)| Step::Put { id, user, data }),
        (id(), data()).prop_map(|(id, data)| Step::Patch { id, data }),
        id().prop_map(|id| Step::Revoke { id }),
        user().prop_map(|user| Step::RevokeAll { user }),
        data().prop_map(|word| Step::Append { word }),
        // Thirty of them are less than the minute in which an operation is known.
        (0..1_500_u16).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// Says again what was said before, as its chances have it: at once, or later, or both, in any order.
struct Repeating {
    inner: Memory,
    /// Empty for a transport that repeats nothing.
    chances: Vec<u8>,
    drawn: Mutex<usize>,
    said: Mutex<Vec<Batch>>,
    repeated: AtomicU64,
}

impl Repeating {
    fn draw(&self) -> usize {
        let mut drawn = self.drawn.lock();
        *drawn += 1;
        self.chances.get(*drawn % self.chances.len().max(1)).copied().unwrap_or(0).into()
    }

    async fn again(&self, batch: &Batch) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
        // Nobody waits for this answer any more.
        drop(self.inner.execute(batch).await);
    }

    async fn late_ones(&self) {
        let said = self.said.lock().clone();
        for _ in 0..3 {
            let late = said.get(self.draw() % (2 * said.len() + 1));
            if let Some(batch) = late {
                self.again(batch).await;
            }
        }
    }
}

impl RedisTransport for Repeating {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            self.late_ones().await;
            let once = |command: &Command| command.running().is_some_and(|script| script.effect() == Effect::Once);
            if batch.commands().iter().any(once) && !self.chances.is_empty() {
                assert_eq!(batch.effect(), Effect::Idempotent, "it may be repeated");
                self.said.lock().push(batch.clone());
                for _ in 0..self.draw() % 3 {
                    self.again(batch).await;
                }
            }
            self.inner.execute(batch).await
        })
    }
}

struct World {
    clock: ManualClock,
    transport: Arc<Repeating>,
    db: TenantDb,
    sessions: Sessions,
}

fn name(kind: &str, number: u8) -> Name {
    Name::parse(&format!("{kind}{number}")).unwrap()
}

fn id(number: u8) -> SessionId {
    SessionId::parse(&name("id", number))
}

fn object(number: u8) -> JsonObject {
    JsonObject::parse(format!(r#"{{"n{number}":{number}}}"#).as_bytes()).unwrap()
}

/// Everything of a session that its client sees.
fn seen(session: &Session) -> String {
    let data = session.data.as_ref().map(JsonObject::as_str);
    let times = [session.created_at, session.last_activity, session.expires_at].map(Timestamp::as_millis);
    format!("{} v{} {data:?} {times:?}", session.user_id.as_str(), session.version)
}

impl World {
    fn new(chances: Vec<u8>) -> World {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let inner = Memory::new(Arc::new(clock.clone()));
        let (drawn, said, repeated) = Default::default();
        let transport = Arc::new(Repeating { inner, chances, drawn, said, repeated });
        let backend_clock = BackendClock::new(Arc::new(clock.clone()));
        let db = Database::new(transport.clone(), "chance", backend_clock).tenant(&TenantId::parse("acme").unwrap());
        let settings = SessionSettings { max_per_user: 2, ..SessionSettings::default() };
        let sessions = Sessions::new(db.clone(), settings, Arc::new(Upkeep::default()));
        World { clock, transport, db, sessions }
    }

    /// Does it, and tells what its caller is told.
    async fn take(&self, step: &Step) -> String {
        let only = Precondition::default();
        match *step {
            Step::Create { id: number, user } => {
                let (user_id, data, metadata) = (name("u", user), object(number), JsonObject::default());
                let id = Some(id(number));
                let new = NewSession { user_id, data, metadata, ttl: None, absolute_ttl: None, id, refresh: false };
                match self.sessions.create(new).await.unwrap() {
                    CreateOutcome::Created { session, .. } => seen(&session),
                    other => format!("{other:?}"),
                }
            }
            Step::Put { id: number, user, data } => {
                let (user_id, data, metadata) = (name("u", user), object(data), JsonObject::default());
                let put = PutSession { user_id, data, metadata, ttl: None };
                match self.sessions.put(&id(number), put, &only).await.unwrap() {
                    PutOutcome::Created(session) => format!("created {}", seen(&session)),
                    PutOutcome::Replaced(session) => format!("replaced {}", seen(&session)),
                    other => format!("{other:?}"),
                }
            }
            Step::Patch { id: number, data } => {
                let data = serde_json::from_str(object(data).as_str()).unwrap();
                let patch = PatchSession { data, ..Default::default() };
                match self.sessions.patch(&id(number), &patch, &only).await.unwrap() {
                    PatchOutcome::Patched(session) => seen(&session),
                    other => format!("{other:?}"),
                }
            }
            Step::Revoke { id: number } => {
                let at = SessionRef::to_revoke(&name("id", number));
                format!("{:?}", self.sessions.revoke(&at, &only).await.unwrap())
            }
            Step::RevokeAll { user } => self.sessions.revoke_all(&name("u", user), None).await.unwrap().to_string(),
            Step::Append { word } => {
                let log = self.db.key(Partition::FIRST, &LOG, &[]);
                let append = Command::script(*APPEND, &[&log]).arg(word.to_string());
                self.db.run(append).await.unwrap().text().unwrap()
            }
            Step::Wait { millis } => {
                self.clock.advance(Duration::from_millis(millis.into()));
                String::new()
            }
        }
    }

    /// What there is at the end.
    async fn state(&self) -> Vec<String> {
        let mut state = Vec::new();
        for number in 0..3 {
            let session = self.sessions.read(&id(number), Touch::No).await.unwrap();
            state.push(session.as_ref().map(seen).unwrap_or_default());
        }
        for user in 0..2 {
            let list = self.sessions.list_user(&name("u", user), None, 10).await.unwrap();
            state.extend(list.items.iter().map(|session| format!("{user}: {}", seen(session))));
        }
        let log = self.db.run(Command::get(&self.db.key(Partition::FIRST, &LOG, &[]))).await.unwrap();
        state.push(format!("{:?}", log.optional_bytes().unwrap()));
        state
    }
}

#[test]
fn operations_that_arrive_often_late_and_in_any_order_end_as_if_each_had_arrived_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let repeated = AtomicU64::new(0);
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(vec(step(), 1..30), vec(any::<u8>(), 1..200)), |(steps, chances)| {
        runtime.block_on(async {
            let (plain, repeating) = (World::new(Vec::new()), World::new(chances));
            for step in &steps {
                let (expected, told) = (plain.take(step).await, repeating.take(step).await);
                prop_assert_eq!(expected, told, "{:?}", step);
            }
            repeating.transport.late_ones().await;
            prop_assert_eq!(plain.state().await, repeating.state().await);
            repeated.fetch_add(repeating.transport.repeated.load(Ordering::Relaxed), Ordering::Relaxed);
            Ok::<(), TestCaseError>(())
        })
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(repeated.into_inner() > 1_000, "operations were repeated");
}
