//! A backend under test: a transport, keys of its own, and a way to let time pass.

use super::redis_server::RedisServer;
use super::rest_double::RestDouble;
use agentapi::base::clock::{ManualClock, Timestamp};
use agentapi::base::secret::Secret;
use agentapi::db::transport::memory::Memory;
use agentapi::db::transport::native::{Native, NativeSettings, TlsFiles};
use agentapi::db::transport::rest::{MAX_REPLY_BYTES, Rest, RestSettings, RestUrl};
use agentapi::db::transport::{RedisTransport, Subscriber};
use agentapi::db::{Batch, Command, Effect, Reply};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the suite knows of one backend.
pub struct Backend {
    /// `memory`, `native`, `rest`.
    pub name: &'static str,
    pub transport: Arc<dyn RedisTransport>,
    pub subscriber: Arc<dyn Subscriber>,
    /// No other backend value has keys with this tag.
    tag: String,
    clock: Option<ManualClock>,
    _server: Option<Arc<RedisServer>>,
    _double: Option<Arc<RestDouble>>,
}

impl Backend {
    fn new(name: &'static str, backend: Arc<impl RedisTransport + Subscriber>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let tag = format!("{{test{}:00}}", NEXT.fetch_add(1, Ordering::Relaxed));
        Backend {
            name,
            transport: backend.clone(),
            subscriber: backend,
            tag,
            clock: None,
            _server: None,
            _double: None,
        }
    }

    /// The embedded backend, with a clock that stands still.
    pub fn memory() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let memory = Memory::new(Arc::new(clock.clone()));
        Backend { clock: Some(clock), ..Backend::new("memory", Arc::new(memory)) }
    }

    /// A real Redis over its own protocol.
    pub fn native() -> Self {
        Backend::on(RedisServer::shared())
    }

    /// A real Redis behind the REST protocol of Upstash.
    pub fn rest() -> Self {
        let server = RedisServer::shared();
        let double = Arc::new(RestDouble::start(server.port(), "token"));
        let rest = rest(&double.url(), double.token());
        Backend { _server: Some(server), _double: Some(double), ..Backend::new("rest", Arc::new(rest)) }
    }

    /// This Redis.
    pub fn on(server: Arc<RedisServer>) -> Self {
        let native = native(&server.url());
        Backend { _server: Some(server), ..Backend::new("native", Arc::new(native)) }
    }

    /// A key of this backend value and no other.
    pub fn key(&self, name: &str) -> String {
        format!("t:{}:{name}", self.tag)
    }

    /// Lets time pass, without waiting if the clock can be moved.
    pub async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => tokio::time::sleep(time).await,
        }
    }

    /// Runs a batch, which must be answered.
    pub async fn run(&self, batch: &Batch) -> Vec<Reply> {
        self.transport.execute(batch).await.unwrap_or_else(|error| panic!("{} failed: {error}", self.name))
    }

    /// Says one thing in raw words.
    pub async fn say(&self, words: impl IntoIterator<Item = impl Into<Bytes>>) -> Reply {
        self.run(&Batch::one(raw(words))).await.pop().expect("one answer")
    }

    /// The same in words that were put together.
    pub async fn ask(&self, words: &[&str]) -> Reply {
        self.say(words.iter().map(|word| (*word).to_owned())).await
    }

    /// The backend's own time, in milliseconds.
    pub async fn millis(&self) -> u64 {
        let [seconds, micros] = self.say(["TIME"]).await.array_of().expect("two parts");
        seconds.count().expect("seconds") * 1000 + micros.count().expect("microseconds") / 1000
    }
}

/// A native backend on this URL, with patient settings.
pub fn native(url: &str) -> Native {
    let settings = NativeSettings {
        url: Secret::new(url.to_owned()),
        tls: TlsFiles::default(),
        max_connections: 8,
        connection_timeout: Duration::from_secs(5),
        patience: Duration::from_secs(5),
        attempt: Duration::from_secs(5),
    };
    Native::new(settings).expect("a URL")
}

/// A REST backend on this URL, with patient settings.
pub fn rest(url: &str, token: &str) -> Rest {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever is first may install it; both install the same.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    }
    let settings = RestSettings {
        url: RestUrl::parse(url).expect("a URL"),
        token: Secret::new(token.to_owned()),
        connection_timeout: Duration::from_secs(5),
        command_timeout: Duration::from_secs(10),
        max_connections: 4,
        ca_pem: None,
        max_reply_bytes: MAX_REPLY_BYTES,
    };
    Rest::new(&settings).expect("usable settings")
}

/// A command in raw words.
pub fn raw(words: impl IntoIterator<Item = impl Into<Bytes>>) -> Command {
    Command::raw(Effect::Once, words)
}

/// A reply as text, whole: `nil`, `7`, `OK`, `"bytes"`, `[1, "x"]`, `-ERR line`.
pub fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Nil => "nil".to_owned(),
        Reply::Int(number) => number.to_string(),
        Reply::Status(text) => text.clone(),
        Reply::Bulk(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Reply::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Reply::Refused(refusal) => format!("-{}", refusal.line()),
    }
}
