//! A transport that does what it is told, and the parts that stand around it.

use agentapi::base::clock::SystemClock;
use agentapi::db::transport::door::Door;
use agentapi::db::transport::layers::breaker::Breaker;
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{Batch, Command, Delivery, Effect, Error, ErrorKind, Outage, Refusal, Reply};
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use tokio::time::Instant;

pub type Outcome = Result<Vec<Reply>, Error>;

/// What a transport does until it is told otherwise, and what it saw.
#[derive(Default)]
struct Script {
    /// Nothing: everything is served.
    answer: Option<Outcome>,
    hangs: bool,
    /// Probes are served, whatever becomes of calls.
    serves_probes: bool,
    calls: Vec<String>,
    probes: Vec<Instant>,
    running: usize,
    most_at_once: usize,
}

/// Answers as told; all clones are one.
#[derive(Clone, Default)]
pub struct Scripted(Arc<Mutex<Script>>);

impl Scripted {
    /// From now on everything is answered with this.
    pub fn answers(&self, outcome: Outcome) {
        let mut script = self.0.lock();
        (script.answer, script.hangs) = (Some(outcome), false);
    }

    /// From now on everything fails like this.
    pub fn fails(&self, kind: ErrorKind, delivery: Delivery) {
        self.answers(Err(Error::new(kind, delivery)));
    }

    /// From now on nothing is answered.
    pub fn hangs(&self) {
        self.0.lock().hangs = true;
    }

    /// From now on everything is served.
    pub fn heals(&self) {
        let mut script = self.0.lock();
        (script.answer, script.hangs) = (None, false);
    }

    /// From now on probes are served.
    pub fn heals_probes(&self) {
        self.0.lock().serves_probes = true;
    }

    /// The names of the commands that came, probes left out; forgets them.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().calls)
    }

    /// When probes came; forgets them.
    pub fn probes(&self) -> Vec<Instant> {
        std::mem::take(&mut self.0.lock().probes)
    }

    /// How many probes and calls ran at once at most.
    pub fn most_at_once(&self) -> usize {
        self.0.lock().most_at_once
    }
}

/// Counts a call as running until it ends or is given up.
struct Running(Scripted);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.lock().running -= 1;
    }
}

impl RedisTransport for Scripted {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        let name = String::from_utf8_lossy(&batch.commands()[0].args()[0]).into_owned();
        let (answer, hangs) = {
            let mut script = self.0.lock();
            script.running += 1;
            script.most_at_once = script.most_at_once.max(script.running);
            let is_probe = name == "PROBE";
            if is_probe {
                script.probes.push(Instant::now())
            } else {
                script.calls.push(name)
            }
            (script.answer.clone().filter(|_| !(is_probe && script.serves_probes)), script.hangs)
        };
        let running = Running(self.clone());
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            tokio::task::yield_now().await;
            drop(running);
            answer.unwrap_or(Ok(vec![Reply::Int(1)]))
        })
    }
}

/// A door that nobody counts.
pub fn door(name: &'static str, outage: Option<Outage>) -> Arc<Door> {
    Arc::new(Door::new(name, Arc::new(SystemClock), outage, Gauge::default()))
}

/// Lets a probe that is due be made.
pub async fn probed() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

/// What a breaker finds out by.
pub fn probe() -> Batch {
    Batch::one(Command::raw(Effect::Read, ["PROBE"]))
}

/// A transport behind a breaker.
pub fn guarded(inner: &Scripted, door: &Arc<Door>) -> Breaker<Scripted> {
    Breaker::new(inner.clone(), door.clone(), probe())
}

pub fn batch(effect: Effect) -> Batch {
    Batch::one(Command::raw(effect, [format!("{effect:?}")]))
}

pub fn refused(line: &str) -> Reply {
    Reply::Refused(Refusal::from_line(line))
}

/// An increment, say: how it went.
pub async fn call(transport: &dyn RedisTransport, effect: Effect) -> Result<(), Error> {
    transport.execute(&batch(effect)).await.map(|replies| assert_eq!(replies.len(), 1))
}
