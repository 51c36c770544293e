//! Jobs over the embedded backend, with a clock that is moved by hand and as many servers as a test wants.

use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::text::TenantId;
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Command, Database, Delivery, Error, ErrorKind, Expiry, Family};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const DOWN: Error = Error::new(ErrorKind::Unreachable, Delivery::NotSent);
const SECOND: Duration = Duration::from_secs(1);

/// What a step of a test does.
type Scripted = Box<dyn FnOnce(&Job) -> Result<Step, Error> + Send>;

/// Does what it was told, step by step, and writes down from which cursor on.
#[derive(Clone, Default)]
struct Told {
    steps: Arc<Mutex<VecDeque<Scripted>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Told {
    fn then(&self, step: impl FnOnce(&Job) -> Result<Step, Error> + Send + 'static) {
        self.steps.lock().push_back(Box::new(step));
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock())
    }
}

impl Work for Told {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn step<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Step, Error>> {
        self.seen.lock().push(job.cursor.clone());
        let step = self.steps.lock().pop_front();
        Box::pin(async move {
            match step {
                Some(step) => step(job),
                // It hangs, or its process has ended.
                None => std::future::pending().await,
            }
        })
    }
}

fn step(done: u64, cursor: &str, then: Then) -> Step {
    Step { done, total: Some(10), cursor: cursor.to_owned(), then }
}

fn ends(done: u64) -> Step {
    step(done, "", Then::Done { note: None })
}

struct World {
    clock: ManualClock,
    database: Database,
    work: Told,
}

impl World {
    fn new() -> World {
        let clock = ManualClock::at(Timestamp::parse_rfc3339("2026-01-31T08:00:00Z").unwrap());
        let memory = Arc::new(Memory::new(Arc::new(clock.clone())));
        let database = Database::new(memory, "test", BackendClock::new(Arc::new(clock.clone())));
        World { clock, database, work: Told::default() }
    }

    fn jobs(&self) -> Jobs {
        Jobs::new(self.database.system())
    }

    /// Another server.
    fn runner(&self) -> Runner {
        Runner::new(self.jobs(), vec![Arc::new(self.work.clone())], RunnerSettings::default()).unwrap()
    }

    async fn start(&self) -> Job {
        self.jobs().start("test", None).await.unwrap()
    }

    async fn now(&self, job: &Job) -> Job {
        self.jobs().read(&job.id).await.unwrap().unwrap()
    }
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

#[tokio::test]
async fn starting_twice_is_one_job_for_each_kind_and_tenant_until_it_is_finished() {
    let world = World::new();
    let jobs = world.jobs();
    let first = jobs.start("test", Some(&acme())).await.unwrap();
    assert_eq!((first.state, first.done, first.total, first.cursor.as_str()), (JobState::Waiting, 0, None, ""));
    assert_eq!((first.kind.as_str(), &first.tenant), ("test", &Some(acme())));
    assert_eq!(jobs.start("test", Some(&acme())).await.unwrap(), first);
    let others = [jobs.start("test", None).await.unwrap(), jobs.start("other", Some(&acme())).await.unwrap()];
    assert!(others.iter().all(|other| other.id != first.id) && others[0].id != others[1].id);
    world.work.then(|_| Ok(ends(1)));
    world.work.then(|_| Ok(ends(1)));
    world.runner().round().await.unwrap();
    assert_eq!(world.now(&first).await.state, JobState::Done);
    assert_ne!(jobs.start("test", Some(&acme())).await.unwrap().id, first.id);
    assert_eq!(world.now(&others[1]).await.state, JobState::Waiting, "nobody here knows this kind");
}

#[tokio::test]
async fn a_job_goes_on_from_its_cursor_and_keeps_what_was_saved() {
    let world = World::new();
    let job = world.start().await;
    world.work.then(|_| Ok(step(3, "three", Then::Again)));
    world.work.then(|job| {
        assert_eq!((job.state, job.done, job.total, job.fencing), (JobState::Running, 3, Some(10), 1));
        Ok(step(7, "seven", Then::After(5 * SECOND)))
    });
    let runner = world.runner();
    assert_eq!(runner.round().await.unwrap(), 5 * SECOND);
    let saved = world.now(&job).await;
    assert_eq!((saved.done, saved.cursor.as_str(), saved.started_at), (7, "seven", Some(job.created_at)));
    world.clock.advance(4 * SECOND);
    assert_eq!(runner.round().await.unwrap(), SECOND, "not yet");
    world.clock.advance(SECOND);
    world.work.then(|_| Ok(step(10, "ten", Then::Done { note: Some("two could not be read".to_owned()) })));
    runner.round().await.unwrap();
    assert_eq!(world.work.seen(), ["", "three", "seven"]);
    let done = world.now(&job).await;
    assert_eq!((done.state, done.done, done.error.as_deref()), (JobState::Done, 10, Some("two could not be read")));
    assert_eq!(done.finished_at, Some(job.created_at + 5 * SECOND));
    assert_eq!(runner.round().await.unwrap(), RunnerSettings::default().look, "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn another_server_goes_on_when_the_lease_has_ended_and_not_before() {
    let world = World::new();
    let job = world.start().await;
    let (first, second) = (world.runner(), world.runner());
    world.work.then(|_| Ok(step(1, "one", Then::Again)));
    // The first server ends in its second step.
    assert!(tokio::time::timeout(SECOND, first.round()).await.is_err());
    assert_eq!(second.round().await.unwrap(), 10 * SECOND, "the first has the lease");
    world.clock.advance(10 * SECOND);
    world.work.then(|job| {
        assert_eq!(job.fencing, 2);
        Ok(ends(10))
    });
    second.round().await.unwrap();
    assert_eq!(world.work.seen(), ["", "one", "one"]);
    assert_eq!(world.now(&job).await.state, JobState::Done);
}

#[tokio::test]
async fn a_server_that_was_held_up_saves_nothing_over_another() {
    let world = World::new();
    let job = world.start().await;
    let (late, other) = (world.runner(), Arc::new(world.runner()));
    let clock = world.clock.clone();
    let taken = world.jobs();
    let (id, holder) = (job.id.clone(), "the other".to_owned());
    world.work.then(move |_| {
        clock.advance(11 * SECOND);
        // Nothing of the embedded backend waits.
        let take = futures_util::FutureExt::now_or_never(taken.take(&id, &holder, 10 * SECOND));
        assert!(take.unwrap().unwrap().is_some());
        Ok(step(9, "late", Then::Again))
    });
    late.round().await.unwrap();
    assert_eq!(world.work.seen(), [""], "it stopped at once");
    let now = world.now(&job).await;
    assert_eq!((now.done, now.cursor.as_str(), now.fencing), (0, "", 2));
    // Nor does one finish what it has lost.
    world.clock.advance(11 * SECOND);
    let clock = world.clock.clone();
    let (taken, id) = (world.jobs(), job.id.clone());
    world.work.then(move |_| {
        clock.advance(11 * SECOND);
        let take = futures_util::FutureExt::now_or_never(taken.take(&id, "a third", 10 * SECOND));
        assert!(take.unwrap().unwrap().is_some());
        Ok(ends(10))
    });
    other.round().await.unwrap();
    assert_eq!((world.now(&job).await.state, world.now(&job).await.finished_at), (JobState::Running, None));
}

#[tokio::test]
async fn a_step_that_fails_or_panics_is_tried_again_with_growing_pauses() {
    let world = World::new();
    let job = world.start().await;
    let runner = world.runner();
    world.work.then(|_| Ok(step(1, "one", Then::Again)));
    for _ in 0..4 {
        world.work.then(|_| Err(DOWN));
    }
    for pause in [1, 2, 4, 8] {
        assert_eq!(runner.round().await.unwrap(), pause * SECOND);
        world.clock.advance(pause * SECOND);
    }
    world.work.then(|_| panic!("a defect"));
    assert_eq!(runner.round().await.unwrap(), 16 * SECOND);
    world.clock.advance(16 * SECOND);
    // One that went well makes the pauses short again.
    world.work.then(|_| Ok(step(2, "two", Then::Again)));
    world.work.then(|_| Err(DOWN));
    assert_eq!(runner.round().await.unwrap(), SECOND);
    world.clock.advance(SECOND);
    world.work.then(|_| Ok(step(2, "two", Then::Failed("it cannot be".to_owned()))));
    runner.round().await.unwrap();
    assert_eq!(world.work.seen(), ["", "one", "one", "one", "one", "one", "one", "two", "two"]);
    let failed = world.now(&job).await;
    assert_eq!((failed.state, failed.error.as_deref()), (JobState::Failed, Some("it cannot be")));
}

#[tokio::test]
async fn a_long_job_keeps_none_that_was_started_later_waiting() {
    let world = World::new();
    let (long, short) = (world.start().await, world.jobs().start("test", Some(&acme())).await.unwrap());
    let settings = RunnerSettings { turn: Duration::ZERO, ..RunnerSettings::default() };
    let runner = Runner::new(world.jobs(), vec![Arc::new(world.work.clone())], settings).unwrap();
    // Both were started in one millisecond, so either may be the older one.
    for n in [1, 2] {
        for _ in [&long, &short] {
            world.work.then(move |job| Ok(step(n, job.tenant.as_ref().map_or("long", |_| "short"), Then::Again)));
        }
        assert_eq!(runner.round().await.unwrap(), Duration::ZERO);
    }
    let seen = world.work.seen();
    assert_eq!((seen[0].as_str(), seen[1].as_str()), ("", ""), "each had its turn");
    assert_ne!(seen[2], seen[3], "and again, although the lease on it still runs");
    assert_eq!((world.now(&long).await.done, world.now(&short).await.fencing), (2, 1));
}

#[tokio::test]
async fn who_does_not_hold_the_lease_takes_no_job_from_who_does() {
    let world = World::new();
    let job = world.start().await;
    let jobs = world.jobs();
    let taken = jobs.take(&job.id, "one", 10 * SECOND).await.unwrap().unwrap();
    assert_eq!((taken.job.fencing, taken.holder.as_str()), (1, "one"));
    world.clock.advance(Duration::from_millis(9_999));
    assert_eq!(jobs.take(&job.id, "another", 10 * SECOND).await.unwrap(), None);
    let kept = jobs.take(&job.id, "one", 10 * SECOND).await.unwrap().unwrap();
    assert_eq!((kept.job.fencing, kept.job.started_at), (1, taken.job.started_at), "its own again, for longer");
    world.clock.advance(Duration::from_millis(9_999));
    assert_eq!(jobs.take(&job.id, "another", 10 * SECOND).await.unwrap(), None);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(jobs.take(&job.id, "another", 10 * SECOND).await.unwrap().unwrap().job.fencing, 2);
}

#[tokio::test]
async fn a_job_that_cannot_be_read_keeps_no_other_from_being_done() {
    let world = World::new();
    let broken = world.start().await;
    world.clock.advance(SECOND);
    let good = world.jobs().start("test", Some(&acme())).await.unwrap();
    const JOB: Family = Family { name: "job", parts: "", kind: "", routed_by: "", lives: "", holds: "", stays: None };
    let system = world.database.system();
    let key = system.key(&JOB, &[broken.id.as_str()]);
    system.run(Command::set(&key, "nonsense", Expiry::Never)).await.unwrap().done().unwrap();
    world.work.then(|_| Ok(ends(1)));
    world.runner().round().await.unwrap();
    assert_eq!(world.now(&good).await.state, JobState::Done);
}

#[tokio::test]
async fn jobs_are_listed_newest_first_and_the_newest_thousand_finished_ones_are_kept() {
    let world = World::new();
    let runner = world.runner();
    let waiting = world.jobs().start("unknown here", None).await.unwrap();
    let mut ids = vec![waiting.id.clone()];
    for _ in 0..1003 {
        world.clock.advance(Duration::from_millis(1));
        ids.push(world.start().await.id);
        world.work.then(|_| Ok(ends(1)));
        runner.round().await.unwrap();
    }
    let kept: Vec<JobId> = ids.drain(4..).rev().chain([waiting.id]).collect();
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = world.jobs().list(after.as_ref(), 300).await.unwrap();
        listed.extend(page.items.into_iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, kept);
    assert_eq!(world.jobs().read(&ids[1]).await.unwrap(), None, "what is beyond them is gone");
}

#[tokio::test(start_paused = true)]
async fn a_runner_hears_at_once_of_what_this_process_starts() {
    let world = World::new();
    let jobs = world.jobs();
    let runner = Runner::new(jobs.clone(), vec![Arc::new(world.work.clone())], RunnerSettings::default()).unwrap();
    let running = tokio::spawn(async move { runner.run().await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    world.work.then(|_| Ok(ends(1)));
    let job = jobs.start("test", None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.now(&job).await.state, JobState::Done);
    running.abort();
}

#[tokio::test]
async fn each_job_is_counted_once_however_often_it_is_started_or_tried() {
    let world = World::new();
    let jobs = world.jobs();
    let runner = Runner::new(jobs.clone(), vec![Arc::new(world.work.clone())], RunnerSettings::default()).unwrap();
    let counted = || [&jobs.counts.started, &jobs.counts.finished, &jobs.counts.failed, &jobs.counts.failed_steps];
    let counted = || counted().map(|counter| counter.get());
    for _ in 0..3 {
        jobs.start("test", None).await.unwrap();
    }
    world.work.then(|_| Err(DOWN));
    runner.round().await.unwrap();
    assert_eq!(counted(), [1, 0, 0, 1]);
    world.clock.advance(Duration::from_secs(3600));
    world.work.then(|_| Ok(step(1, "c", Then::Again)));
    world.work.then(|_| Ok(ends(2)));
    runner.round().await.unwrap();
    assert_eq!(counted(), [1, 1, 0, 1]);
    jobs.by(crate::base::deadline::Deadline::NONE).start("test", None).await.unwrap();
    world.work.then(|_| Ok(step(0, "", Then::Failed("canary".to_owned()))));
    runner.round().await.unwrap();
    assert_eq!(counted(), [2, 1, 1, 1]);
}

#[test]
fn an_id_is_read_in_its_own_form_alone() {
    let id = JobId::new(Timestamp::from_millis(1_700_000_000_000));
    assert_eq!(JobId::parse(id.as_str()), Some(id.clone()));
    let upper = id.as_str().to_uppercase();
    for bad in ["", "x", "018bcfe5-6800-4000-8000-000000000000", &upper, &id.as_str().replace('-', "_")] {
        assert_eq!(JobId::parse(bad), None, "{bad}");
    }
}
