//! A session store over each backend, with every call to the backend counted, and made to give way first, so
//! that concurrent callers meet at every step.

use agentapi::base::clock::{ManualClock, SystemClock, Timestamp};
use agentapi::base::precondition::{Precondition, Versions};
use agentapi::base::secret::Secret;
use agentapi::base::text::{Name, TenantId};
use agentapi::db::transport::memory::Memory;
use agentapi::db::transport::native::{Native, NativeSettings, TlsFiles};
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Command, Database, Effect, Reply, TenantDb};
use agentapi::stores::sessions::{
    CreateOutcome, JsonObject, NewSession, Session, SessionId, SessionSettings, Sessions, Upkeep,
};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts batches and commands on their way to the backend.
struct Counted {
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
            self.inner.execute(batch).await
        })
    }
}

/// A Redis of its own, which ends with the test.
struct Redis {
    process: Child,
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().expect("the server was ours to end");
        self.process.wait().expect("the server ends");
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
    _server: Option<Redis>,
}

impl Bench {
    fn over(inner: Arc<dyn RedisTransport>, clock: BackendClock) -> Bench {
        let counted = Arc::new(Counted { inner, batches: AtomicUsize::new(0), commands: AtomicUsize::new(0) });
        let database = Database::new(counted.clone(), "agentapi", clock);
        Bench {
            db: database.tenant(&TenantId::parse("acme").unwrap()),
            other_tenant: database.tenant(&TenantId::parse("other").unwrap()),
            upkeep: Arc::default(),
            counted,
            clock: None,
            memory: None,
            _server: None,
        }
    }

    pub fn memory() -> Bench {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let memory = Arc::new(Memory::new(Arc::new(clock.clone())));
        let bench = Bench::over(memory.clone(), BackendClock::new(Arc::new(clock.clone())));
        Bench { clock: Some(clock), memory: Some(memory), ..bench }
    }

    /// Nothing where there is no `redis-server` to start.
    pub async fn native() -> Option<Bench> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = std::process::Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let server = Redis { process };
        let native = Native::new(NativeSettings {
            url: Secret::new(format!("redis://127.0.0.1:{port}/0")),
            tls: TlsFiles::default(),
            max_connections: 4,
            connection_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(5),
        })
        .unwrap();
        let bench = Bench::over(Arc::new(native), BackendClock::new(Arc::new(SystemClock)));
        for _ in 0..500 {
            if bench.db.run(Command::time()).await.is_ok() {
                return Some(Bench { _server: Some(server), ..bench });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server did not come up");
    }

    pub fn sessions(&self) -> Sessions {
        self.sessions_with(|_| ())
    }

    pub fn sessions_with(&self, change: impl FnOnce(&mut SessionSettings)) -> Sessions {
        let mut settings = SessionSettings::default();
        change(&mut settings);
        Sessions::new(self.db.clone(), settings, self.upkeep.clone())
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.as_ref().expect("time moves on the memory backend only").advance(Duration::from_secs(seconds));
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

    /// Says anything to the backend.
    pub async fn raw(&self, args: &[&str]) -> Reply {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        self.db.run(Command::raw(Effect::Once, args)).await.unwrap()
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

/// A condition that always holds.
pub fn unconditional() -> Precondition {
    Precondition::default()
}

/// The condition that the session is at this version.
pub fn at_version(number: u64) -> Precondition {
    Precondition { matches: Some(Versions::These(vec![number])), differs: None }
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
