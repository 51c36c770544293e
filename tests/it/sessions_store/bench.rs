//! A session store over each backend, with every call to the backend counted, and made to give way first, so
//! that concurrent callers meet at every step.

use crate::harness::app::install_crypto;
use crate::harness::backend::{native, raw};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use agentapi::base::clock::{ManualClock, SystemClock, Timestamp};
use agentapi::base::precondition::{Precondition, Versions};
use agentapi::base::secret::Secret;
use agentapi::base::text::{Name, TenantId};
use agentapi::db::transport::layers::pipelining::{IN_FLIGHT, Pipelining};
use agentapi::db::transport::memory::Memory;
use agentapi::db::transport::rest::{MAX_REPLY_BYTES, Rest, RestSettings, RestUrl};
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Database, Effect, Reply, TenantDb};
use agentapi::stores::sessions::{
    CreateOutcome, Error, JsonObject, NewSession, RenewOutcome, Session, SessionId, SessionSettings, Sessions, Upkeep,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Counts batches and commands on their way to the backend. Can say everything twice that may be said twice,
/// as a retry does whose first answer was lost.
struct Counted {
    twice: AtomicBool,
    /// Moves on between the first time and the second.
    clock: Option<ManualClock>,
    inner: Arc<dyn RedisTransport>,
    batches: AtomicUsize,
    commands: AtomicUsize,
}

impl RedisTransport for Counted {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        self.batches.fetch_add(1, Ordering::SeqCst);
        self.commands.fetch_add(batch.commands().len(), Ordering::SeqCst);
        Box::pin(async move {
            tokio::task::yield_now().await;
            if self.twice.load(Ordering::SeqCst) && batch.effect() != Effect::Once {
                drop(self.inner.execute(batch).await?);
                if let Some(clock) = &self.clock {
                    clock.advance(Duration::from_secs(1));
                }
            }
            self.inner.execute(batch).await
        })
    }
}

pub struct Bench {
    pub db: TenantDb,
    pub other_tenant: TenantDb,
    pub upkeep: Arc<Upkeep>,
    counted: Arc<Counted>,
    /// The time of the memory backend; a real server's cannot be moved.
    clock: Option<ManualClock>,
    memory: Option<Arc<Memory>>,
    /// No other bench has keys with this prefix.
    prefix: String,
    _server: Option<Arc<RedisServer>>,
    _double: Option<RestDouble>,
}

impl Bench {
    fn over(inner: Arc<dyn RedisTransport>, manual: Option<ManualClock>) -> Bench {
        let clock = match &manual {
            Some(manual) => BackendClock::new(Arc::new(manual.clone())),
            None => BackendClock::new(Arc::new(SystemClock)),
        };
        let counted = Arc::new(Counted {
            inner,
            twice: AtomicBool::new(false),
            clock: manual.clone(),
            batches: AtomicUsize::new(0),
            commands: AtomicUsize::new(0),
        });
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("sessions{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Database::new(counted.clone(), &prefix, clock);
        Bench {
            db: database.tenant(&TenantId::parse("acme").unwrap()),
            other_tenant: database.tenant(&TenantId::parse("other").unwrap()),
            upkeep: Arc::default(),
            counted,
            clock: manual,
            memory: None,
            prefix,
            _server: None,
            _double: None,
        }
    }

    pub fn memory() -> Bench {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let memory = Arc::new(Memory::new(Arc::new(clock.clone())));
        let bench = Bench::over(memory.clone(), Some(clock));
        Bench { memory: Some(memory), ..bench }
    }

    pub fn native() -> Bench {
        Bench::on(RedisServer::shared())
    }

    /// This Redis.
    pub fn on(server: Arc<RedisServer>) -> Bench {
        let bench = Bench::over(Arc::new(native(&server.url())), None);
        Bench { _server: Some(server), ..bench }
    }

    /// An Upstash-like REST server in front of a real Redis.
    pub fn rest() -> Bench {
        install_crypto();
        let server = RedisServer::shared();
        let double = RestDouble::start(server.port(), "token");
        let rest = Rest::new(&RestSettings {
            url: RestUrl::parse(&double.url()).unwrap(),
            token: Secret::new(double.token().to_owned()),
            connection_timeout: Duration::from_secs(5),
            command_timeout: Duration::from_secs(5),
            max_connections: 4,
            ca_pem: None,
            max_reply_bytes: MAX_REPLY_BYTES,
        })
        .unwrap();
        let bench = Bench::over(Arc::new(Pipelining::new(Arc::new(rest), IN_FLIGHT)), None);
        Bench { _server: Some(server), _double: Some(double), ..bench }
    }

    pub fn sessions(&self) -> Sessions {
        self.sessions_with(|_| ())
    }

    pub fn sessions_with(&self, change: impl FnOnce(&mut SessionSettings)) -> Sessions {
        let mut settings = SessionSettings::default();
        change(&mut settings);
        Sessions::new(self.db.clone(), settings, self.upkeep.clone())
    }

    /// From now on, says everything twice that may be said twice.
    pub fn say_twice(&self) {
        self.counted.twice.store(true, Ordering::SeqCst);
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.as_ref().expect("time moves on the memory backend only").advance(Duration::from_secs(seconds));
    }

    /// Moves the clock of the memory backend.
    pub fn tick_millis(&self, millis: u64) {
        self.clock.as_ref().expect("the memory backend").advance(Duration::from_millis(millis));
    }

    /// Lets the next session be created later than the last one. A real clock ticks by itself.
    pub fn tick(&self) {
        if let Some(clock) = &self.clock {
            clock.advance(Duration::from_micros(1));
        }
    }

    pub fn now(&self) -> Timestamp {
        self.db.now()
    }

    /// How many keys the memory backend holds.
    pub fn keys(&self) -> usize {
        let memory = self.memory.as_ref().expect("the memory backend");
        memory.sweep(usize::MAX);
        memory.len()
    }

    /// What it says to the backend: batches and commands.
    pub async fn cost<T>(&self, what: impl Future<Output = T>) -> (T, (usize, usize)) {
        let counts = || (self.counted.batches.load(Ordering::SeqCst), self.counted.commands.load(Ordering::SeqCst));
        let before = counts();
        let result = what.await;
        let after = counts();
        (result, (after.0 - before.0, after.1 - before.1))
    }

    /// The key of this tenant with this tag and what follows it, in the words of the backend.
    pub fn key(&self, partition: &str, rest: &str) -> String {
        format!("{}:{{acme:{partition}}}:{rest}", self.prefix)
    }

    /// The names of all keys of this bench; on a real Redis.
    pub async fn all_keys(&self) -> Vec<String> {
        let keys = self.raw(&["KEYS", &format!("{}:*", self.prefix)]).await.array().unwrap();
        keys.into_iter().map(|key| key.text().unwrap()).collect()
    }

    /// Says anything to the backend.
    pub async fn raw(&self, args: &[&str]) -> Reply {
        self.db.run(raw(args.iter().map(|arg| arg.to_string()))).await.unwrap()
    }
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn id(text: &str) -> SessionId {
    SessionId::parse(&name(text))
}

pub fn id_of(session: &Session) -> SessionId {
    SessionId::parse(session.id.as_ref().expect("it was named"))
}

pub fn object(text: &str) -> JsonObject {
    JsonObject::parse(text.as_bytes()).unwrap()
}

pub fn data_of(session: &Session) -> &str {
    session.data.as_ref().expect("it was read whole").as_str()
}

/// `If-Match` with this version.
pub fn at_version(number: u64) -> Precondition {
    Precondition { matches: Some(Versions::These(vec![number])), differs: None }
}

/// No condition.
pub fn unconditional() -> Precondition {
    Precondition::default()
}

pub fn new(user: &str) -> NewSession {
    NewSession {
        user_id: name(user),
        data: JsonObject::default(),
        metadata: JsonObject::default(),
        ttl: None,
        absolute_ttl: None,
        id: None,
        refresh: false,
    }
}

pub async fn created(sessions: &Sessions, new: NewSession) -> Session {
    created_with_token(sessions, new).await.0
}

pub async fn created_with_token(sessions: &Sessions, new: NewSession) -> (Session, Option<String>) {
    match sessions.create(new).await.unwrap() {
        CreateOutcome::Created { session, refresh } => (session, refresh.map(|r| r.token.expose().to_owned())),
        other => panic!("not created: {other:?}"),
    }
}

/// A session of the user with a refresh token.
pub async fn refreshable(sessions: &Sessions, user: &str) -> (Session, String) {
    let (session, token) = created_with_token(sessions, NewSession { refresh: true, ..new(user) }).await;
    (session, token.unwrap())
}

fn renewed(outcome: RenewOutcome) -> Option<Session> {
    match outcome {
        RenewOutcome::Renewed(session) => Some(session),
        RenewOutcome::Absent => None,
        RenewOutcome::VersionMismatch => panic!("nothing was demanded"),
    }
}

pub async fn extend(sessions: &Sessions, id: &SessionId, ttl: Option<Duration>) -> Result<Option<Session>, Error> {
    sessions.extend(id, ttl, &unconditional()).await.map(renewed)
}

pub async fn rotate(sessions: &Sessions, id: &SessionId) -> Result<Option<Session>, Error> {
    sessions.rotate(id, &unconditional()).await.map(renewed)
}
