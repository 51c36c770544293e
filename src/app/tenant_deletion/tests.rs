//! Deleting a tenant over the embedded backend, with a clock that is moved by hand, as many servers as a test wants, and
//! neighbours whose names are as close as names can be.

use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::deadline::Deadline;
use crate::db::transport::RedisTransport;
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Batch, Command, Effect, Expiry, Family, Outage, Partition, Reply};
use crate::jobs::{JobState, Jobs, Runner, RunnerSettings};
use crate::tenancy::{NewKey, NewTenant, RegistrySettings, Scopes, TenantCreation, Verification};
use crate::vault::{Context, KeyRing};
use std::collections::BTreeMap;

const FAMILY: Family = Family { name: "thing", parts: "", kind: "", routed_by: "", lives: "", holds: "", stays: None };
const NEIGHBOURS: [&str; 6] = ["aa2", "aa-2", "aa-", "2aa", "aaa", "a2"];
const PLACE: Context<'_> = Context { store: "test", name: &["n"], version: 1 };

struct World {
    clock: ManualClock,
    memory: Arc<Memory>,
    database: Database,
    ring: KeyRing,
}

struct Server {
    registry: Arc<Registry>,
    vault: Vault,
    jobs: Jobs,
    runner: Runner,
}

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

impl World {
    fn new() -> World {
        let clock = ManualClock::at(Timestamp::parse_rfc3339("2026-01-31T08:00:00Z").unwrap());
        let memory = Arc::new(Memory::new(Arc::new(clock.clone())));
        let database = Database::new(memory.clone(), "agentapi", BackendClock::new(Arc::new(clock.clone())));
        World { clock, memory, database, ring: KeyRing::random().unwrap() }
    }

    fn server(&self) -> Server {
        let clock = Arc::new(self.clock.clone());
        let system = self.database.system();
        let registry = Arc::new(Registry::new(system.clone(), clock.clone(), RegistrySettings::default()));
        let vault = Vault::new(Some(self.ring.clone()), system.clone(), clock);
        let jobs = Jobs::new(system);
        let databases = vec![self.database.clone()];
        let flags = Live::new(self.database.clone(), Arc::new(self.clock.clone()), Outage::default());
        let work = TenantDeletion::new(registry.clone(), vault.clone(), databases, flags, Duration::from_secs(2));
        let runner = Runner::new(jobs.clone(), vec![Arc::new(work)], RunnerSettings::default()).unwrap();
        Server { registry, vault, jobs, runner }
    }

    async fn say(&self, words: Vec<String>) -> Reply {
        let batch = Batch::one(Command::raw(Effect::Once, words));
        self.memory.execute(&batch).await.unwrap().pop().unwrap()
    }

    /// Every key of the backend that lasts, with its value, if its name contains this text.
    async fn dump(&self, text: &str) -> BTreeMap<String, String> {
        let words = ["SCAN", "0", "MATCH", &format!("*{text}*"), "COUNT", "1000000"].map(str::to_owned);
        let [_, keys] = self.say(words.to_vec()).await.array_of().unwrap();
        let mut dump = BTreeMap::new();
        for key in keys.array().unwrap() {
            let key = key.text().unwrap();
            if !key.contains(":op:") {
                let value = match self.say(vec!["GET".to_owned(), key.clone()]).await {
                    Reply::Refused(_) => {
                        let range = ["ZRANGE", &key, "0", "-1"].map(str::to_owned).to_vec();
                        let members = self.say(range).await.array().unwrap_or_default().into_iter();
                        members.map(|member| member.text().unwrap()).collect::<Vec<_>>().join(" ")
                    }
                    value => value.text().unwrap(),
                };
                dump.insert(key, value);
            }
        }
        dump
    }

    /// A tenant with keys in all partitions, API keys and a secret.
    async fn tenant(&self, server: &Server, name: &str) -> (crate::base::secret::Secret, String) {
        let made = server.registry.create_tenant(NewTenant::plain(id(name))).await.unwrap();
        assert!(matches!(made, TenantCreation::Created(_)), "{name}");
        self.write(name, Partition::all()).await;
        let sealed = server.vault.of(&id(name), Deadline::NONE).newest().await.unwrap().seal(b"secret", PLACE).unwrap();
        let new = || NewKey { name: None, scopes: Scopes::ALL, expires_at: None };
        for _ in 0..3 {
            server.registry.create_key(&id(name), new()).await.unwrap().unwrap();
        }
        (server.registry.create_key(&id(name), new()).await.unwrap().unwrap().1, sealed)
    }

    async fn write(&self, name: &str, partitions: impl Iterator<Item = Partition>) {
        let db = self.database.tenant(&id(name));
        let set = |partition| Command::set(&db.key(partition, &FAMILY, &["aa", name]), "v", Expiry::Never);
        for reply in db.pipeline(partitions.map(set).collect()).await.unwrap() {
            reply.done().unwrap();
        }
    }

    async fn own(&self, name: &str) -> usize {
        self.dump(&format!("{{{name}:")).await.len()
    }
}

impl Server {
    async fn knows(&self, key: &crate::base::secret::Secret) -> bool {
        matches!(self.registry.verify(key.expose(), Deadline::NONE).await.unwrap(), Verification::Known(_))
    }

    async fn state(&self, job: &Job) -> JobState {
        self.jobs.read(&job.id).await.unwrap().unwrap().state
    }

    /// Does what there is to do until the job is finished.
    async fn finish(&self, world: &World, job: &Job) {
        for _ in 0..100 {
            let wait = self.runner.round().await.unwrap();
            if self.state(job).await.is_finished() {
                return;
            }
            world.clock.advance(wait);
        }
        panic!("it does not end");
    }
}

#[tokio::test]
async fn nothing_of_the_tenant_is_left_and_nothing_of_its_neighbours_is_touched() {
    let world = World::new();
    let server = world.server();
    for neighbour in NEIGHBOURS {
        world.tenant(&server, neighbour).await;
    }
    let neighbours = async || {
        let mut all = world.dump("").await;
        all.retain(|key, _| !key.contains("{aa:") && !key.contains(":job") && !key.ends_with(":changes"));
        all
    };
    let before = neighbours().await;
    assert!(before.len() > NEIGHBOURS.len() * 256, "{}", before.len());
    let (key, sealed) = world.tenant(&server, "aa").await;
    assert!(server.knows(&key).await);
    let job = server.jobs.start(DELETE_TENANT, Some(&id("aa"))).await.unwrap();
    server.finish(&world, &job).await;
    let done = server.jobs.read(&job.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.done, done.error), (JobState::Done, 256 + 4, None));
    assert_eq!(world.own("aa").await, 0);
    let named = world.dump("{_system:").await;
    let named: Vec<&String> = named.keys().filter(|key| key.ends_with(":aa")).collect();
    assert_eq!(named, [""; 0], "API keys, data keys and the job's own are gone");
    assert!(!server.knows(&key).await);
    let vault = world.server().vault;
    assert!(vault.of(&id("aa"), Deadline::NONE).open(&sealed, PLACE).await.is_err());
    assert!(neighbours().await == before);
}

#[tokio::test]
async fn what_requests_under_way_still_write_is_found_and_the_id_is_taken_until_the_end() {
    let world = World::new();
    let server = world.server();
    world.tenant(&server, "aa").await;
    let job = server.jobs.start(DELETE_TENANT, Some(&id("aa"))).await.unwrap();
    let again = async || server.registry.create_tenant(NewTenant::plain(id("aa"))).await.unwrap();
    assert_eq!(again().await, TenantCreation::Exists);
    assert_eq!(server.runner.round().await.unwrap(), Duration::from_secs(5), "a second, the request timeout and two");
    assert_eq!(again().await, TenantCreation::BeingDeleted);
    assert_eq!(world.own("aa").await, 256, "the marks alone");
    world.clock.advance(Duration::from_millis(4_900));
    world.write("aa", Partition::all().take(7)).await;
    assert_eq!(again().await, TenantCreation::BeingDeleted);
    server.finish(&world, &job).await;
    assert_eq!(server.jobs.read(&job.id).await.unwrap().unwrap().done, 256 + 4 + 7);
    assert_eq!(world.own("aa").await, 0);
    assert!(matches!(again().await, TenantCreation::Created(_)));
}

#[tokio::test]
async fn another_server_finishes_what_one_began() {
    let world = World::new();
    let (first, second) = (world.server(), world.server());
    let (key, _) = world.tenant(&first, "aa").await;
    let job = first.jobs.start(DELETE_TENANT, Some(&id("aa"))).await.unwrap();
    // The first comes to the end of its first pass, and ends.
    first.runner.round().await.unwrap();
    assert!(!second.knows(&key).await);
    second.finish(&world, &job).await;
    assert_eq!(world.own("aa").await, 0);
    let new = second.jobs.start(DELETE_TENANT, Some(&id("aa"))).await.unwrap();
    assert_ne!(new.id, job.id);
}

#[tokio::test]
async fn who_goes_on_late_deletes_nothing_of_the_next_tenant_of_the_same_id() {
    let world = World::new();
    let server = world.server();
    world.tenant(&server, "aa").await;
    let job = server.jobs.start(DELETE_TENANT, Some(&id("aa"))).await.unwrap();
    server.finish(&world, &job).await;
    let (key, sealed) = world.tenant(&server, "aa").await;
    let before = world.dump("aa").await;

    let late = |fencing| Purge::new(world.database.tenant(&id("aa")), &Job { fencing, ..job.clone() });
    assert_eq!(late(1).step(&ScanCursor::start()).await.unwrap(), Purged::Unmarked);
    // Two are late: one sets its marks, and the other does not take them for its own.
    late(2).mark().await.unwrap();
    assert_eq!(late(1).step(&ScanCursor::start()).await.unwrap(), Purged::Unmarked);
    late(2).unmark().await.unwrap();
    // Nor does one end the access, the API keys or the secrets of the new tenant.
    assert!(!server.registry.end_tenant(&id("aa"), &job.id).await.unwrap());
    assert_eq!(server.registry.delete_keys_of(&id("aa"), &job.id, 100).await.unwrap(), 0);
    assert_eq!(server.vault.destroy_all(&id("aa")).await, Ok(false));
    assert!(world.dump("aa").await == before);
    assert!(server.knows(&key).await);
    assert!(server.vault.of(&id("aa"), Deadline::NONE).open(&sealed, PLACE).await.is_ok());
    // The next deletion of that id is another job, which the marks of a late one only hold up.
    let next = server.jobs.start(DELETE_TENANT, Some(&id("aa"))).await.unwrap();
    late(1).mark().await.unwrap();
    server.finish(&world, &next).await;
    assert_eq!(world.own("aa").await, 0);
}

#[tokio::test]
async fn marks_of_another_process_hold_a_deletion_up_and_do_not_stop_it() {
    let world = World::new();
    let server = world.server();
    world.tenant(&server, "aa").await;
    let job = server.jobs.start(DELETE_TENANT, Some(&id("aa"))).await.unwrap();
    server.runner.round().await.unwrap();
    world.write("aa", Partition::all()).await;
    Purge::new(world.database.tenant(&id("aa")), &Job { fencing: 99, ..job.clone() }).mark().await.unwrap();
    world.clock.advance(Duration::from_secs(5));
    server.finish(&world, &job).await;
    assert_eq!(world.own("aa").await, 0);
}
