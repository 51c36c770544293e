//! The flags of a process over the embedded backend, with a clock that is moved by hand and a backend that can be away.

mod counting;
mod looking;
mod recent;

use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::precondition::Precondition;
use crate::base::text::Name;
use crate::db::transport::memory::Memory;
use crate::db::transport::{Execution, RedisTransport};
use crate::db::{BackendClock, Batch, Command, Delivery, ErrorKind};
use crate::stores::flags::rules::{Decision, Reason};
use crate::stores::flags::{Flags, keys};
use serde_json::{Value, json};
use tokio::sync::Notify;

const SECOND: Duration = Duration::from_secs(1);
const ANY: Precondition = Precondition { matches: None, differs: None };

/// A batch that is held: which, what tells that it has run, and what lets it go on.
type Hold = (fn(&Batch) -> bool, Arc<Notify>, Arc<Notify>);

/// Whether it has this text among its arguments, or as a part of one.
fn says(batch: &Batch, text: &str) -> bool {
    let mut args = batch.commands().iter().flat_map(|command| command.args());
    args.any(|arg| String::from_utf8_lossy(arg).contains(text))
}

/// Reads a whole set.
fn reads_a_set(batch: &Batch) -> bool {
    batch.effect() == crate::db::Effect::Read && says(batch, "document")
}

/// Writes a set.
fn writes_a_set(batch: &Batch) -> bool {
    batch.effect() != crate::db::Effect::Read && says(batch, "flagset-history")
}

/// Adds counts.
fn counts(batch: &Batch) -> bool {
    batch.effect() != crate::db::Effect::Read && says(batch, "flag-evaluations")
}

/// A backend that can be away, and counts what it is asked.
struct Switched {
    inner: Memory,
    is_away: AtomicBool,
    batches: AtomicUsize,
    /// The next batch of these is told of once it has run, and its answer given when that is allowed.
    hold: parking_lot::Mutex<Option<Hold>>,
}

impl RedisTransport for Switched {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        self.batches.fetch_add(1, Ordering::SeqCst);
        if self.is_away.load(Ordering::SeqCst) {
            return Box::pin(async {
                tokio::task::yield_now().await;
                Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent))
            });
        }
        let hold = self.hold.lock().take_if(|(which, ..)| which(batch));
        Box::pin(async move {
            // As the real ones do, so that callers meet.
            tokio::task::yield_now().await;
            let answer = self.inner.execute(batch).await;
            if let Some((_, held, go_on)) = hold {
                held.notify_one();
                go_on.notified().await;
            }
            answer
        })
    }
}

struct World {
    backend: Arc<Switched>,
    clock: ManualClock,
    outage: Outage,
    database: Database,
}

fn world() -> World {
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let backend = Switched {
        inner: Memory::new(Arc::new(clock.clone())),
        is_away: AtomicBool::new(false),
        batches: AtomicUsize::new(0),
        hold: parking_lot::Mutex::new(None),
    };
    let backend = Arc::new(backend);
    let database = Database::new(backend.clone(), "t", BackendClock::new(Arc::new(clock.clone())));
    World { backend, clock, outage: Outage::default(), database }
}

impl World {
    fn server(&self) -> Arc<Live> {
        Live::new(self.database.clone(), Arc::new(self.clock.clone()), self.outage.clone())
    }

    async fn put(&self, live: &Arc<Live>, tenant: &TenantId, value: i64) {
        let flag = json!({"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"});
        let flags = Flags::new(self.database.tenant(tenant), live.clone());
        flags.put(&Name::parse("f").unwrap(), &flag, &ANY, "admin").await.unwrap();
    }

    /// Holds the next of these batches: what tells that it has run, and what lets it go on.
    fn hold(&self, which: fn(&Batch) -> bool) -> (Arc<Notify>, Arc<Notify>) {
        let (held, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        *self.backend.hold.lock() = Some((which, held.clone(), go_on.clone()));
        (held, go_on)
    }

    /// How often the flag was counted.
    async fn counted(&self, live: &Arc<Live>, tenant: &TenantId) -> u64 {
        let flags = Flags::new(self.database.tenant(tenant), live.clone());
        let days = flags.evaluations(&Name::parse("f").unwrap(), 2).await.unwrap();
        days.iter().flat_map(|day| day.variants.values()).sum()
    }

    fn asked(&self) -> usize {
        self.backend.batches.swap(0, Ordering::SeqCst)
    }
}

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

/// What the flag is, and whether that may be out of date.
async fn value(live: &Arc<Live>, tenant: &TenantId) -> (Value, bool) {
    let current = live.current(tenant, Deadline::NONE).await.unwrap();
    let flag = current.compiled().rules.flag("f");
    (flag.map_or(Value::Null, |flag| flag.variants()[0].value().clone()), current.is_stale)
}
