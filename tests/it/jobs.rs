//! Jobs over each backend: every script of theirs, with its refusals, and said twice where that may happen.

use crate::harness::backend::Backend;
use agentapi::base::clock::{Clock, SystemClock, Timestamp};
use agentapi::base::text::TenantId;
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Database, Effect, Error};
use agentapi::jobs::{Job, JobId, JobState, Jobs, Runner, RunnerSettings, SCRIPTS, Step, Then, Work};
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Notes which scripts are run, and says everything twice that may be said twice, as a retry does whose first answer was
/// lost.
struct Wire {
    backend: Arc<dyn RedisTransport>,
    ran: Mutex<BTreeSet<&'static str>>,
}

impl RedisTransport for Wire {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        let scripts = batch.commands().iter().filter_map(|command| command.running()).map(|script| script.name());
        self.ran.lock().unwrap().extend(scripts);
        Box::pin(async move {
            if batch.effect() != Effect::Once {
                drop(self.backend.execute(batch).await?);
            }
            self.backend.execute(batch).await
        })
    }
}

/// Three steps: one goes on at once, one a little later, the last one ends it.
struct Three;

impl Work for Three {
    fn kind(&self) -> &'static str {
        "three"
    }

    fn step<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Step, Error>> {
        Box::pin(async move {
            let then = match job.cursor.as_str() {
                "" => Then::Again,
                "1" => Then::After(Duration::from_millis(50)),
                _ if job.tenant.is_some() => Then::Failed("it cannot be".to_owned()),
                _ => Then::Done { note: Some("with a word".to_owned()) },
            };
            Ok(Step { done: job.done + 1, total: Some(3), cursor: (job.done + 1).to_string(), then })
        })
    }
}

struct Bench {
    backend: Backend,
    wire: Arc<Wire>,
    database: Database,
}

impl Bench {
    fn on(backend: Backend) -> Bench {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("jobs{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let wire = Arc::new(Wire { backend: backend.transport.clone(), ran: Mutex::default() });
        let clock = BackendClock::new(Arc::new(SystemClock));
        Bench { database: Database::new(wire.clone(), &prefix, clock), wire, backend }
    }

    /// The clock of the embedded backend stands elsewhere than this machine's.
    async fn set_clock(&self) {
        self.database.probe(agentapi::base::deadline::Deadline::NONE).await.unwrap();
    }

    fn jobs(&self) -> Jobs {
        Jobs::new(self.database.system())
    }

    fn runner(&self) -> Runner {
        Runner::new(self.jobs(), vec![Arc::new(Three)], RunnerSettings::default()).unwrap()
    }

    async fn finish(&self, runner: &Runner, job: &JobId) -> Job {
        for _ in 0..100 {
            let wait = runner.round().await.unwrap();
            let now = self.jobs().read(job).await.unwrap().unwrap();
            if now.state.is_finished() {
                return now;
            }
            self.backend.pass(wait + Duration::from_millis(2)).await;
            self.set_clock().await;
        }
        panic!("it does not end");
    }
}

async fn each_script_answers_the_same(backend: Backend) {
    let bench = Bench::on(backend);
    bench.set_clock().await;
    let (jobs, tenant) = (bench.jobs(), TenantId::parse("acme").unwrap());
    let job = jobs.start("three", None).await.unwrap();
    assert_eq!(jobs.start("three", None).await.unwrap(), job, "{}", bench.backend.name);
    assert_eq!(jobs.current("three", None).await.unwrap(), Some(job.clone()));
    let other = jobs.start("three", Some(&tenant)).await.unwrap();
    assert_ne!(other.id, job.id);
    assert_eq!(other.tenant, Some(tenant.clone()));
    let runner = bench.runner();
    let done = bench.finish(&runner, &job.id).await;
    assert_eq!((done.state, done.done, done.total, done.fencing), (JobState::Done, 3, Some(3), 1));
    assert_eq!(done.error.as_deref(), Some("with a word"));
    assert!(done.created_at <= done.started_at.unwrap() && done.started_at < done.finished_at, "{done:?}");
    let failed = bench.finish(&runner, &other.id).await;
    assert_eq!((failed.state, failed.error.as_deref()), (JobState::Failed, Some("it cannot be")));
    for (kind, tenant) in [("three", None), ("three", Some(&tenant)), ("none", None)] {
        assert_eq!(jobs.current(kind, tenant).await.unwrap(), None);
    }
    let listed = jobs.list(None, 1).await.unwrap();
    let rest = jobs.list(listed.next.as_ref(), 1).await.unwrap();
    let ids: BTreeSet<_> = listed.items.iter().chain(&rest.items).map(|job| job.id.clone()).collect();
    assert_eq!((ids, rest.next), ([job.id, other.id].into(), None));
    assert_eq!(jobs.read(&JobId::parse("018bcfe5-6800-7000-8000-000000000000").unwrap()).await.unwrap(), None);
}

/// The one script that a thousand jobs would be needed for.
async fn jobs_beyond_those_that_are_kept_are_forgotten(backend: Backend) {
    let bench = Bench::on(backend);
    bench.set_clock().await;
    let (jobs, runner) = (bench.jobs(), bench.runner());
    let (kept, old) = (jobs.start("three", None).await.unwrap(), "00000000-0000-7000-8000-0000000000");
    // As if so many had been finished long ago.
    let name = |list: &str| {
        let key = agentapi::jobs::FAMILIES.iter().find(|family| family.name == list).unwrap();
        bench.database.system().key(key, &[])
    };
    for list in ["jobs", "jobs-finished"] {
        let members = (0..1005).flat_map(|n| ["0".to_owned(), format!("{old}{n:02x}")]).collect::<Vec<_>>();
        for pairs in members.chunks(500) {
            let add = agentapi::db::Command::script(&ADD, &[&name(list)]);
            let add = pairs.iter().fold(add, |add, word| add.arg(word.clone()));
            bench.database.system().run(add).await.unwrap().int().unwrap();
        }
    }
    bench.finish(&runner, &kept.id).await;
    let ran = bench.wire.ran.lock().unwrap().clone();
    let all: BTreeSet<&str> = SCRIPTS.iter().map(|script| script.name()).chain([ADD.name()]).collect();
    assert_eq!(ran, all, "{}: each has been run", bench.backend.name);
}

static ADD: agentapi::db::Script =
    agentapi::db::Script::new("test/add", "return redis.call('ZADD', KEYS[1], unpack(ARGV))", Effect::Idempotent);

#[tokio::test]
async fn scripts_answer_the_same_on_each_backend() {
    for backend in [Backend::memory(), Backend::native(), Backend::rest()] {
        each_script_answers_the_same(backend).await;
    }
}

#[tokio::test]
async fn the_oldest_are_forgotten_on_each_backend() {
    for backend in [Backend::memory(), Backend::native(), Backend::rest()] {
        jobs_beyond_those_that_are_kept_are_forgotten(backend).await;
    }
}

#[tokio::test]
async fn of_two_servers_one_does_each_step() {
    let bench = Bench::on(Backend::native());
    bench.set_clock().await;
    let job = bench.jobs().start("three", None).await.unwrap();
    let runners = [bench.runner(), bench.runner(), bench.runner()];
    let begun = SystemClock.now();
    loop {
        let rounds = runners.iter().map(Runner::round);
        for round in futures_util::future::join_all(rounds).await {
            round.unwrap();
        }
        let now = bench.jobs().read(&job.id).await.unwrap().unwrap();
        assert!(now.done <= 3);
        if now.state.is_finished() {
            assert_eq!(now.done, 3);
            break;
        }
        assert!(Timestamp::since(SystemClock.now(), begun) < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
