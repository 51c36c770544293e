//! What tests of publishing say again and again.

use super::backend::Backend;
use agentapi::base::clock::SystemClock;
use agentapi::db::transport::{RedisTransport, Subscriber};
use agentapi::db::{BackendClock, Channel, Command, Database, Heard, Listener, SystemDb};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The server's own data on this backend, under this prefix.
pub fn system(backend: &Backend, prefix: &str) -> SystemDb {
    over(backend.transport.clone(), backend.subscriber.clone(), prefix)
}

/// The same over these.
pub fn over(transport: Arc<dyn RedisTransport>, subscriber: Arc<dyn Subscriber>, prefix: &str) -> SystemDb {
    Database::new(transport, prefix, BackendClock::new(Arc::new(SystemClock))).heard_over(subscriber).system()
}

/// A listener to the channel `changes` that has begun to hear.
pub async fn resumed(system: &SystemDb) -> Listener {
    let mut listener = system.listen(&system.channel("changes"));
    assert_eq!(next(&mut listener).await, Heard::Resumed);
    listener
}

/// What it hears next, which must come.
pub async fn next(listener: &mut Listener) -> Heard {
    tokio::time::timeout(PATIENCE, listener.next()).await.expect("something is heard")
}

/// The message that it hears next.
pub async fn heard(listener: &mut Listener) -> Value {
    match next(listener).await {
        Heard::Message(message) => serde_json::from_slice(&message).expect("JSON"),
        Heard::Resumed => panic!("it begins again in place of a message"),
    }
}

/// Publishes, and says how many heard it.
pub async fn publish(system: &SystemDb, channel: &Channel, message: &Value) -> i64 {
    let answer = system.run(Command::publish(channel, message)).await.expect("an answer");
    answer.int().expect("a count")
}

/// Asks until it is so.
pub async fn until(is_so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "it does not become so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
