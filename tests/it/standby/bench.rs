//! Servers over one backend that each can be cut off from it, by a clock that is moved.

use agentapi::base::clock::{ManualClock, Timestamp};
use agentapi::base::precondition::{Precondition, Versions};
use agentapi::base::text::{Name, TenantId};
use agentapi::db::transport::memory::Memory;
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Database, Delivery, Error as Failure, ErrorKind, Outage};
use agentapi::stores::sessions::standby::{Bounds, Served, Standby};
use agentapi::stores::sessions::{
    CreateOutcome, Error, JsonObject, NewSession, ObjectPatch, PatchSession, PutSession, Session, SessionId,
    SessionSettings, Sessions, Touch, Upkeep,
};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What becomes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fails {
    /// It is carried.
    Not,
    /// It is not sent.
    Unsent,
    /// It runs, and its answer is lost.
    Answerless,
    /// It is lost on its way, which nobody can tell from the former.
    Halfway,
    /// It is still on its way, and arrives when it is let.
    Late,
    /// It waits, and is carried when the failure is over.
    Hangs,
}

/// The way from one server to the backend.
pub struct Way {
    backend: Arc<Memory>,
    /// How many batches are carried before the failure.
    state: Mutex<(usize, Fails)>,
    late: Mutex<Vec<Batch>>,
    pub failed: AtomicUsize,
}

impl RedisTransport for Way {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let mut fails = {
                let mut state = self.state.lock().unwrap();
                match &mut *state {
                    (0, fails) => *fails,
                    (left, _) => {
                        *left -= 1;
                        Fails::Not
                    }
                }
            };
            while fails == Fails::Hangs {
                self.failed.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                fails = self.state.lock().unwrap().1;
            }
            if fails == Fails::Not || fails == Fails::Answerless {
                let replies = self.backend.execute(batch).await;
                if fails == Fails::Not {
                    return replies;
                }
            }
            self.failed.fetch_add(1, Ordering::SeqCst);
            if fails == Fails::Late {
                self.late.lock().unwrap().push(batch.clone());
            }
            Err(match fails {
                Fails::Unsent => Failure::new(ErrorKind::Unreachable, Delivery::NotSent),
                _ => Failure::new(ErrorKind::TimedOut, Delivery::Unknown),
            })
        })
    }
}

/// One backend, and its time.
pub struct World {
    pub clock: ManualClock,
    backend: Arc<Memory>,
    settings: SessionSettings,
}

impl World {
    pub fn new() -> World {
        World::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut SessionSettings)) -> World {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let backend = Arc::new(Memory::new(Arc::new(clock.clone())));
        let mut settings = SessionSettings::default();
        change(&mut settings);
        World { clock, backend, settings }
    }

    pub fn server(&self) -> Server {
        self.server_with(Bounds::default())
    }

    pub fn server_with(&self, bounds: Bounds) -> Server {
        self.start(bounds, Duration::ZERO)
    }

    /// A server that takes the backend's clock to be that much earlier than it is.
    pub fn server_behind(&self, by: Duration) -> Server {
        self.start(Bounds::default(), by)
    }

    fn start(&self, bounds: Bounds, behind: Duration) -> Server {
        let way = Way {
            backend: self.backend.clone(),
            state: Mutex::new((0, Fails::Not)),
            late: Mutex::default(),
            failed: AtomicUsize::new(0),
        };
        let (way, clock) = (Arc::new(way), BackendClock::new(Arc::new(self.clock.clone())));
        clock.learn(clock.local(), clock.local().shifted(-(behind.as_millis() as i64)));
        let database = Database::new(way.clone(), "agentapi", clock.clone());
        let (outage, upkeep) = (Outage::default(), Arc::new(Upkeep::default()));
        let settings = self.settings.clone();
        let standby = Standby::new(outage.clone(), database.clone(), clock, settings.clone(), upkeep.clone(), bounds);
        Server { way, outage, standby, database, settings, upkeep, clock: self.clock.clone() }
    }

    pub fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// One server.
pub struct Server {
    pub way: Arc<Way>,
    pub outage: Outage,
    pub standby: Arc<Standby>,
    database: Database,
    settings: SessionSettings,
    upkeep: Arc<Upkeep>,
    clock: ManualClock,
}

impl Server {
    /// What a request of this tenant gets.
    pub fn sessions_of(&self, tenant: &str) -> Served {
        // Every request comes later than the one before.
        self.clock.advance(Duration::from_millis(1));
        let db = self.database.tenant(&TenantId::parse(tenant).unwrap());
        let sessions = Sessions::new(db, self.settings.clone(), self.upkeep.clone());
        Served::open(sessions, Some(&self.standby))
    }

    pub fn sessions(&self) -> Served {
        self.sessions_of("acme")
    }

    /// After so many batches more, they fail.
    pub fn fail_after(&self, batches: usize, fails: Fails) {
        *self.way.state.lock().unwrap() = (batches, fails);
    }

    /// The backend is gone, and the server knows.
    pub async fn cut(&self) {
        self.fail_after(0, Fails::Unsent);
        self.outage.set(true);
        self.standby.engage().await;
    }

    /// The backend is back; what the server makes of that.
    pub async fn heal(&self) -> Result<(), Error> {
        self.fail_after(0, Fails::Not);
        self.outage.set(false);
        self.standby.give_back().await
    }

    /// What was still on its way arrives: how many batches.
    pub async fn arrive(&self) -> usize {
        let late = std::mem::take(&mut *self.way.late.lock().unwrap());
        for batch in &late {
            drop(self.way.backend.execute(batch).await);
        }
        late.len()
    }

    pub async fn held(&self) -> usize {
        self.standby.held().await.0
    }
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn object(text: &str) -> JsonObject {
    JsonObject::parse(text.as_bytes()).unwrap()
}

pub fn id_of(session: &Session) -> SessionId {
    SessionId::parse(session.id.as_ref().expect("an answer with an id"))
}

pub fn chosen(id: &str) -> SessionId {
    SessionId::parse(&name(id))
}

pub fn new(user: &str) -> NewSession {
    NewSession {
        user_id: name(user),
        data: object(r#"{"a":1}"#),
        metadata: JsonObject::default(),
        ttl: None,
        absolute_ttl: None,
        id: None,
        refresh: false,
    }
}

pub fn put(user: &str, data: &str) -> PutSession {
    PutSession { user_id: name(user), data: object(data), metadata: JsonObject::default(), ttl: None }
}

pub fn patch(data: &str) -> PatchSession {
    PatchSession { data: ObjectPatch::Merge(object(data)), metadata: ObjectPatch::Keep }
}

pub fn at_version(version: u64) -> Precondition {
    Precondition { matches: Some(Versions::These(vec![version])), differs: None }
}

pub fn always() -> Precondition {
    Precondition::default()
}

pub async fn created(sessions: &Served, new: NewSession) -> (Session, Option<String>) {
    match sessions.create(new).await.unwrap() {
        CreateOutcome::Created { session, refresh } => (session, refresh.map(|r| r.token.expose().to_owned())),
        other => panic!("not created: {other:?}"),
    }
}

pub async fn create(sessions: &Served, user: &str) -> SessionId {
    id_of(&created(sessions, new(user)).await.0)
}

/// The data of a session, or nothing where there is none.
pub async fn data(sessions: &Served, id: &SessionId) -> Option<String> {
    let session = sessions.read(id, Touch::No).await.unwrap()?;
    Some(session.data.expect("a read has data").as_str().to_owned())
}

/// Whether that was refused because the backend cannot be asked, and nothing was done.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    match outcome {
        Err(Error::Backend(error)) => assert_eq!(error.delivery, Delivery::NotSent, "{error}"),
        other => panic!("not refused: {other:?}"),
    }
}

/// Whether an answer of this store came from the server's own memory.
pub fn is_degraded(sessions: &Served) -> bool {
    sessions.degraded().is_some_and(|degraded| degraded.load(Ordering::SeqCst))
}
