//! Policies over the embedded backend, as several processes see them, whose clocks a test moves.

use super::*;
use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::base::text::TenantId;
use crate::db::transport::memory::Memory;
use crate::db::transport::{Execution, RedisTransport};
use crate::db::{BackendClock, Batch, Database, Delivery, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// A backend that counts what it is asked, and can be away.
struct Backend {
    memory: Memory,
    asked: AtomicU64,
    is_away: AtomicBool,
}

impl RedisTransport for Backend {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        self.asked.fetch_add(1, SeqCst);
        if self.is_away.load(SeqCst) {
            return Box::pin(async { Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent)) });
        }
        self.memory.execute(batch)
    }
}

struct World {
    backend: Arc<Backend>,
    database: Database,
    clock: ManualClock,
}

fn world() -> World {
    let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let told: Arc<dyn Clock> = Arc::new(clock.clone());
    let memory = Memory::new(told.clone());
    let backend = Arc::new(Backend { memory, asked: AtomicU64::new(0), is_away: AtomicBool::new(false) });
    let database = Database::new(backend.clone(), "test", BackendClock::new(told));
    World { backend, database, clock }
}

impl World {
    /// A process that has just started.
    fn process(&self) -> Policies {
        self.process_of("acme", &self.memory())
    }

    fn memory(&self) -> Arc<PolicyMemory> {
        Arc::new(PolicyMemory::new(Arc::new(self.clock.clone())))
    }

    fn process_of(&self, tenant: &str, memory: &Arc<PolicyMemory>) -> Policies {
        Policies::new(self.database.tenant(&TenantId::parse(tenant).unwrap()), memory.clone())
    }

    fn asked(&self) -> u64 {
        self.backend.asked.load(SeqCst)
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn policy(limit: u64) -> Policy {
    Policy { quota: Quota::new(limit, 1, Duration::from_millis(1500), Algorithm::FixedWindow).unwrap(), shadow: true }
}

async fn limit(policies: &Policies, of: &str) -> Option<u64> {
    policies.find(&[&name(of)]).await.unwrap()[0].map(|policy| policy.quota.limit())
}

#[tokio::test]
async fn a_policy_is_read_as_it_was_written() {
    let world = world();
    let policies = world.process();
    assert_eq!(policies.put(&name("p"), policy(5)).await, Ok(PutPolicyOutcome::Created));
    assert_eq!(policies.read(&name("p")).await, Ok(Some(policy(5))));
    assert_eq!(policies.put(&name("p"), policy(6)).await, Ok(PutPolicyOutcome::Replaced));
    assert_eq!(policies.read(&name("p")).await, Ok(Some(policy(6))));
    assert_eq!(policies.delete(&name("p")).await, Ok(true));
    assert_eq!(policies.delete(&name("p")).await, Ok(false));
    assert_eq!(policies.read(&name("p")).await, Ok(None));
}

#[tokio::test]
async fn what_was_read_counts_for_a_second_and_no_longer() {
    let world = world();
    let (here, there) = (world.process(), world.process());
    here.put(&name("p"), policy(5)).await.unwrap();
    assert_eq!((limit(&there, "p").await, limit(&there, "none").await), (Some(5), None));
    here.put(&name("p"), policy(6)).await.unwrap();
    here.put(&name("none"), policy(7)).await.unwrap();
    let asked = world.asked();
    world.pass(999);
    assert_eq!((limit(&there, "p").await, limit(&there, "none").await), (Some(5), None));
    assert_eq!(world.asked(), asked, "what is remembered costs nothing");
    world.pass(1);
    assert_eq!((limit(&there, "p").await, limit(&there, "none").await), (Some(6), Some(7)));
}

#[tokio::test]
async fn several_unknown_names_are_one_round_trip_and_come_in_order() {
    let world = world();
    let (here, there) = (world.process(), world.process());
    for (name_of, limit) in [("a", 1), ("b", 2), ("c", 3)] {
        here.put(&name(name_of), policy(limit)).await.unwrap();
    }
    limit(&there, "b").await;
    let asked = world.asked();
    let names = ["c", "none", "b", "a", "c"].map(name);
    let found = there.find(&names.each_ref()).await.unwrap();
    let limits: Vec<_> = found.iter().map(|found| found.map(|policy| policy.quota.limit())).collect();
    assert_eq!(limits, [Some(3), None, Some(2), Some(1), Some(3)]);
    assert_eq!(world.asked(), asked + 1);
}

#[tokio::test]
async fn a_change_is_in_force_at_once_where_it_was_made() {
    let world = world();
    let policies = world.process();
    assert_eq!(limit(&policies, "p").await, None);
    policies.put(&name("p"), policy(5)).await.unwrap();
    assert_eq!(limit(&policies, "p").await, Some(5));
    policies.put(&name("p"), policy(6)).await.unwrap();
    assert_eq!(limit(&policies, "p").await, Some(6));
    policies.delete(&name("p")).await.unwrap();
    assert_eq!(limit(&policies, "p").await, None);
}

#[test]
fn what_was_asked_for_before_a_change_is_not_kept_after_it() {
    let world = world();
    let (memory, tenant, p) = (world.memory(), TenantId::parse("acme").unwrap(), name("p"));
    let asked = memory.now();
    world.pass(1);
    memory.changed(&tenant, &p, Some(policy(6)));
    memory.keep(&tenant, &p, asked, Some(policy(5)));
    assert_eq!((memory.fresh(&tenant, &p), memory.last(&tenant, &p)), (None, Some(policy(6))));
    memory.changed(&tenant, &p, None);
    memory.keep(&tenant, &p, asked, Some(policy(5)));
    assert_eq!((memory.fresh(&tenant, &p), memory.last(&tenant, &p)), (None, None));
    memory.keep(&tenant, &p, memory.now(), Some(policy(7)));
    assert_eq!(memory.fresh(&tenant, &p), Some(Some(policy(7))));
    memory.keep(&tenant, &p, asked, None);
    assert_eq!(memory.fresh(&tenant, &p), Some(Some(policy(7))), "an answer that was overtaken");
}

#[tokio::test]
async fn while_the_backend_is_away_the_last_known_policies_are_in_force() {
    let world = world();
    let policies = world.process();
    policies.put(&name("p"), policy(5)).await.unwrap();
    assert_eq!((limit(&policies, "p").await, limit(&policies, "none").await), (Some(5), None));
    world.backend.is_away.store(true, SeqCst);
    world.pass(60_000);
    assert_eq!(limit(&policies, "p").await, Some(5));
    for unknown in ["none", "other"] {
        assert!(policies.find(&[&name("p"), &name(unknown)]).await.is_err(), "{unknown} may be there by now");
    }
    assert!(policies.put(&name("p"), policy(6)).await.is_err());
    assert!(policies.delete(&name("p")).await.is_err());
    assert_eq!(limit(&policies, "p").await, Some(5));
    world.backend.is_away.store(false, SeqCst);
    assert_eq!(limit(&policies, "p").await, Some(5));
}

#[tokio::test]
async fn names_are_a_tenants_own_though_memory_is_shared() {
    let world = world();
    let memory = world.memory();
    let (a, b) = (world.process_of("acme", &memory), world.process_of("bravo", &memory));
    a.put(&name("p"), policy(5)).await.unwrap();
    assert_eq!((limit(&a, "p").await, limit(&b, "p").await), (Some(5), None));
    b.put(&name("p"), policy(6)).await.unwrap();
    assert_eq!((limit(&a, "p").await, limit(&b, "p").await), (Some(5), Some(6)));
}

#[tokio::test]
async fn guesses_push_out_one_another_and_no_policy_that_is_in_use() {
    let world = world();
    let policies = world.process();
    policies.put(&name("p"), policy(5)).await.unwrap();
    limit(&policies, "p").await;
    for guess in 0..5_000 {
        policies.find(&[&name(&format!("guess-{guess}"))]).await.unwrap();
    }
    let asked = world.asked();
    assert_eq!(limit(&policies, "p").await, Some(5));
    assert_eq!(world.asked(), asked);
    assert!(policies.memory.sizes().1 <= 1_000, "{:?}", policies.memory.sizes());
}

#[tokio::test]
async fn a_tenant_has_a_thousand_policies_and_no_more() {
    let world = world();
    let policies = world.process();
    for number in 0..MOST_POLICIES {
        policies.put(&name(&format!("p{number:04}")), policy(1)).await.unwrap();
    }
    assert_eq!(policies.put(&name("one more"), policy(1)).await, Ok(PutPolicyOutcome::LimitReached));
    assert_eq!(policies.read(&name("one more")).await, Ok(None));
    assert_eq!(policies.put(&name("p0000"), policy(2)).await, Ok(PutPolicyOutcome::Replaced));
    let page = policies.list(None, 1000).await.unwrap();
    assert_eq!((page.items.len(), page.next), (MOST_POLICIES, None));
    policies.delete(&name("p0500")).await.unwrap();
    assert_eq!(policies.put(&name("one more"), policy(1)).await, Ok(PutPolicyOutcome::Created));
}

#[tokio::test]
async fn a_list_goes_on_after_the_last_name_of_its_page() {
    let world = world();
    let policies = world.process();
    for text in ["b", "(a", "[c", "-", "é", "a b"] {
        policies.put(&name(text), policy(1)).await.unwrap();
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = policies.list(after.as_deref(), 2).await.unwrap();
        assert!(page.items.len() <= 2);
        names.extend(page.items.into_iter().map(|(name, _)| name.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["(a", "-", "[c", "a b", "b", "é"]);
}
