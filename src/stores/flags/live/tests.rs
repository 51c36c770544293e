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

#[tokio::test]
async fn what_is_in_use_is_asked_for_once_a_look() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    assert_eq!(value(&live, &acme).await, (json!(1), false));
    world.asked();
    for _ in 0..100 {
        world.clock.advance(Duration::from_millis(8));
        assert_eq!(value(&live, &acme).await, (json!(1), false));
    }
    assert_eq!(world.asked(), 0, "no command while the last look is young");
    world.clock.advance(SECOND);
    for _ in 0..100 {
        value(&live, &acme).await;
    }
    assert_eq!(world.asked(), 1, "one look, whatever the number of those who wait for it");
}

#[tokio::test]
async fn a_look_finds_the_changes_of_others_and_loads_nothing_else() {
    let world = world();
    let (here, there, acme, other) = (world.server(), world.server(), tenant("acme"), tenant("other"));
    for id in [&acme, &other] {
        world.put(&there, id, 1).await;
        assert_eq!(value(&here, id).await.0, json!(1));
    }
    world.clock.advance(SECOND);
    value(&here, &acme).await;
    world.put(&there, &acme, 2).await;
    assert_eq!(value(&here, &acme).await.0, json!(1), "as young as that");
    world.clock.advance(SECOND);
    world.asked();
    assert_eq!(value(&here, &acme).await.0, json!(2));
    assert_eq!(world.asked(), 3, "a look, what it found, and what that is now");
    world.clock.advance(SECOND);
    assert_eq!(value(&here, &other).await.0, json!(1));
    assert_eq!(world.asked(), 1, "a look that found nothing new");
}

#[tokio::test]
async fn the_last_known_goes_on_and_is_called_stale_after_a_while() {
    let world = world();
    let (live, acme, other) = (world.server(), tenant("acme"), tenant("other"));
    world.put(&live, &acme, 1).await;
    assert_eq!(value(&live, &acme).await, (json!(1), false));
    world.backend.is_away.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(value(&live, &acme).await, (json!(1), false));
    world.clock.advance(SECOND);
    assert_eq!(value(&live, &acme).await, (json!(1), true));
    world.asked();
    world.outage.set(true);
    for _ in 0..10 {
        assert_eq!(value(&live, &acme).await, (json!(1), true));
    }
    assert_eq!(world.asked(), 0, "what is away is not asked");
    assert!(live.current(&other, Deadline::NONE).await.is_err(), "nobody knows its flags");
    world.backend.is_away.store(false, Ordering::SeqCst);
    world.outage.set(false);
    world.put(&world.server(), &acme, 2).await;
    assert_eq!(value(&live, &acme).await, (json!(2), false));
}

#[tokio::test]
async fn a_change_that_nobody_noted_is_found_when_versions_are_compared() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    world.put(&there, &acme, 2).await;
    let system = world.database.system();
    // As if the writer had ended before it noted anything since the last look.
    system.run(Command::del(&keys::changes(&system))).await.unwrap().int().unwrap();
    looks::note(&system, &tenant("witness")).await.unwrap();
    let mut seen = here.seen.lock().await;
    *seen = looks::look(&system, &Seen::default()).await.unwrap().1;
    drop(seen);
    world.clock.advance(SECOND);
    assert_eq!(value(&here, &acme).await.0, json!(1));
    here.compare().await;
    assert_eq!(value(&here, &acme).await.0, json!(2));
}

#[tokio::test]
async fn who_watches_hears_of_each_version_that_is_seen() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    let mut watch = here.watch(&acme, Deadline::NONE).await.unwrap();
    assert_eq!(watch.id(), "0-");
    world.put(&here, &acme, 1).await;
    assert!(watch.next().await.unwrap().starts_with("1-"));
    world.put(&there, &acme, 2).await;
    world.clock.advance(SECOND);
    value(&here, &acme).await;
    assert!(watch.next().await.unwrap().starts_with("2-"));
    assert_eq!(here.watched.load(Ordering::SeqCst), 1);
    drop(watch);
    assert_eq!(here.watched.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_cannot_be_read_does_not_take_the_place_of_what_could() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    assert_eq!(value(&live, &acme).await.0, json!(1));
    let db = world.database.tenant(&acme);
    let broken = Command::raw(
        crate::db::Effect::Once,
        ["HSET".to_owned(), "t:{acme:00}:flagset".to_owned(), "document".to_owned(), "{\"flags\":1}".to_owned()],
    );
    db.run(broken).await.unwrap().int().unwrap();
    looks::note(&world.database.system(), &acme).await.unwrap();
    world.clock.advance(SECOND);
    assert_eq!(value(&live, &acme).await.0, json!(1));
    assert!(world.server().current(&acme, Deadline::NONE).await.is_err());
}

#[tokio::test]
async fn a_change_between_reading_and_keeping_is_not_lost() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    // The read of this server is held until another look of it has come by.
    let (held, go_on) = world.hold(reads_a_set);
    let reading = tokio::spawn({
        let (here, acme) = (here.clone(), acme.clone());
        async move { value(&here, &acme).await.0 }
    });
    held.notified().await;
    world.put(&there, &acme, 2).await;
    world.clock.advance(SECOND);
    here.wait_for_look(world.clock.micros(), Deadline::NONE).await.unwrap();
    go_on.notify_one();
    assert_eq!(reading.await.unwrap(), json!(2));
}

#[tokio::test]
async fn who_waits_for_a_look_that_fails_does_not_look_again() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    value(&live, &acme).await;
    world.clock.advance(SECOND);
    world.backend.is_away.store(true, Ordering::SeqCst);
    world.asked();
    let all = (0..50).map(|_| value(&live, &acme));
    assert!(futures_util::future::join_all(all).await.iter().all(|value| value.0 == json!(1)));
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn what_was_read_before_it_was_forgotten_does_not_take_the_place_of_what_was_read_since() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    world.put(&there, &acme, 2).await;
    let (held, go_on) = world.hold(reads_a_set);
    let loading = tokio::spawn({
        let (here, acme) = (here.clone(), acme.clone());
        async move { here.changed(&acme).await }
    });
    held.notified().await;
    world.put(&there, &acme, 3).await;
    here.known.clear();
    assert_eq!(value(&here, &acme).await.0, json!(3));
    go_on.notify_one();
    loading.await.unwrap();
    assert_eq!(value(&here, &acme).await.0, json!(3));
}

#[tokio::test]
async fn another_set_of_the_same_version_is_another_one() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    // As where the backend lost what it had, or the tenant was deleted and made anew.
    let db = world.database.tenant(&acme);
    db.run(Command::del(&keys::flagset(&db))).await.unwrap().int().unwrap();
    world.put(&there, &acme, 2).await;
    world.clock.advance(SECOND);
    let current = here.current(&acme, Deadline::NONE).await.unwrap();
    assert_eq!((current.compiled().version, value(&here, &acme).await.0), (1, json!(2)));
}

#[tokio::test]
async fn a_change_is_told_although_its_writer_does_not_wait_for_that() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    let (held, go_on) = world.hold(writes_a_set);
    let mut put = Box::pin(world.put(&there, &acme, 2));
    tokio::select! {
        () = put.as_mut() => panic!("it is held"),
        () = held.notified() => {}
    }
    // As where the client goes, or the request takes too long.
    drop(put);
    go_on.notify_one();
    // It goes on by itself, where nobody sees its end.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(SECOND);
    assert_eq!(value(&here, &acme).await.0, json!(2));
}

#[tokio::test]
async fn who_was_told_of_a_configuration_by_another_server_is_given_it() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    world.clock.advance(Duration::from_millis(1));
    world.put(&there, &acme, 2).await;
    let told = there.current(&acme, Deadline::NONE).await.unwrap().compiled().id.clone();
    assert_eq!(value(&here, &acme).await.0, json!(1), "it has not looked since");
    let current = here.current_for(&told, &acme, Deadline::NONE).await.unwrap();
    assert_eq!(current.compiled().id, told);
    world.asked();
    here.current_for(&told, &acme, Deadline::NONE).await.unwrap();
    assert_eq!(world.asked(), 0, "what is known is not looked for");
    world.backend.is_away.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_millis(1));
    let current = here.current_for("3-other", &acme, Deadline::NONE).await.unwrap();
    assert_eq!(current.compiled().id, told, "the last known is better than nothing");
}

/// Evaluates the flag so often.
fn give(current: &Current, times: usize) {
    for _ in 0..times {
        let variant = current.compiled().rules.flag("f").unwrap().variants().first();
        current.compiled().given(0, &Decision { variant, reason: Reason::Static });
    }
}

#[tokio::test]
async fn what_is_counted_while_counts_are_added_is_added_the_next_time() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    let before = live.current(&acme, Deadline::NONE).await.unwrap();
    give(&before, 2);
    let (held, go_on) = world.hold(counts);
    let flushing = tokio::spawn({
        let live = live.clone();
        async move { live.flush().await }
    });
    held.notified().await;
    // Whoever was evaluating the version before is done with it only now.
    give(&before, 3);
    world.put(&live, &acme, 2).await;
    drop(before);
    go_on.notify_one();
    flushing.await.unwrap();
    assert_eq!(world.counted(&live, &acme).await, 2);
    live.flush().await;
    assert_eq!(world.counted(&live, &acme).await, 5);
    live.flush().await;
    assert_eq!(live.pending.len(), 1, "and is not kept for ever");
}

#[tokio::test]
async fn versions_that_nobody_evaluated_are_not_kept_to_be_counted() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 0).await;
    for value in 1..=50 {
        let current = live.current(&acme, Deadline::NONE).await.unwrap();
        give(&current, usize::from(value % 10 == 0));
        drop(current);
        world.put(&live, &acme, value).await;
    }
    assert_eq!(live.pending.len(), 6, "five that were evaluated, and the last");
    live.flush().await;
    assert_eq!(world.counted(&live, &acme).await, 5);
}

#[tokio::test]
async fn what_is_counted_in_an_outage_is_added_after_it() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    give(&live.current(&acme, Deadline::NONE).await.unwrap(), 3);
    world.outage.set(true);
    world.backend.is_away.store(true, Ordering::SeqCst);
    live.flush().await;
    world.backend.is_away.store(false, Ordering::SeqCst);
    world.outage.set(false);
    live.flush().await;
    assert_eq!(world.counted(&live, &acme).await, 3);
}

#[tokio::test]
async fn what_a_deleted_tenant_counted_is_not_told_to_the_next_of_its_id() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    give(&live.current(&acme, Deadline::NONE).await.unwrap(), 3);
    let db = world.database.tenant(&acme);
    db.run(Command::del(&keys::flagset(&db))).await.unwrap().int().unwrap();
    live.forget(&acme);
    world.put(&live, &acme, 1).await;
    give(&live.current(&acme, Deadline::NONE).await.unwrap(), 1);
    live.flush().await;
    assert_eq!(world.counted(&live, &acme).await, 1);
}
