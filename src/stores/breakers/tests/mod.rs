//! The breakers over the embedded backend, with a clock that can be moved.

mod by_hand;
mod consecutive;
mod model;
mod probes;
mod stored;
mod windows;

use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::text::{Name, TenantId};
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Database, TenantDb};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When the tests begin.
const START: u64 = 1_700_000_000_000;

struct Bench {
    breakers: Breakers,
    db: TenantDb,
    clock: ManualClock,
    heard: Arc<Mutex<Vec<(String, Transition)>>>,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(BreakerSettings::default().policy())
    }

    fn with(defaults: Policy) -> Bench {
        let clock = ManualClock::at(Timestamp::from_millis(START));
        let memory = Arc::new(Memory::new(Arc::new(clock.clone())));
        let database = Database::new(memory, "test", BackendClock::new(Arc::new(clock.clone())));
        let db = database.tenant(&TenantId::parse("acme").unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let said = heard.clone();
        let transitions = Transitions::heard_by(move |tenant, name, transition| {
            assert_eq!(tenant.as_str(), "acme");
            said.lock().unwrap().push((name.to_string(), transition));
        });
        Bench { breakers: Breakers::new(db.clone(), defaults, Arc::new(transitions)), db, clock, heard }
    }

    /// The changes that were announced since this was last asked.
    fn heard(&self) -> Vec<(State, State)> {
        self.heard.lock().unwrap().drain(..).map(|(_, change)| (change.from, change.to)).collect()
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    async fn acquire(&self) -> Acquired {
        self.breakers.acquire(&b(), None).await.unwrap()
    }

    /// The permit of a call that may be made.
    async fn permit(&self) -> Name {
        self.acquire().await.permit.expect("a permit")
    }

    async fn tell(&self, report: Report) -> State {
        self.breakers.report(&b(), &report).await.unwrap().state
    }

    async fn fail(&self, times: u32) -> State {
        self.tell(Report { count: times, ..failure() }).await
    }

    async fn succeed(&self) -> State {
        self.tell(success()).await
    }

    async fn read(&self) -> Breaker {
        self.breakers.read(&b()).await.unwrap()
    }

    async fn configure(&self, policy: Policy) {
        self.breakers.configure(&b(), &policy).await.unwrap();
    }

    /// The state text, or nothing.
    async fn text(&self) -> Option<String> {
        let command = crate::db::Command::hget(&keys::states(&self.db), "b");
        let bytes = self.db.run(command).await.unwrap().optional_bytes().unwrap();
        bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn b() -> Name {
    name("b")
}

fn success() -> Report {
    Report { outcome: CallOutcome::Success, duration: None, permit: None, count: 1, instance: None }
}

fn failure() -> Report {
    Report { outcome: CallOutcome::Failure, ..success() }
}

fn from(instance: &str) -> Report {
    Report { instance: Some(name(instance)), ..failure() }
}

fn with(permit: &Name, report: Report) -> Report {
    Report { permit: Some(permit.clone()), ..report }
}

fn policy() -> Policy {
    BreakerSettings::default().policy()
}

/// The answer to a call that may not be made for so long.
fn denied(state: State, retry_after: Duration) -> Acquired {
    Acquired { allowed: false, state, permit: None, retry_after, until_further_notice: false }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
