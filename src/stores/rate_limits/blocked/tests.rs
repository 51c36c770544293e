use super::super::wire::{a_minute, check};
use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::tenancy::KeyId;

struct World {
    blocked: Blocked,
    clock: ManualClock,
    tenant: TenantId,
}

impl World {
    fn new() -> World {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let blocked = Blocked::new(Arc::new(clock.clone()));
        World { blocked, clock, tenant: TenantId::parse("acme").unwrap() }
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Asks; whether it was answered from memory. The backend denies for so many milliseconds.
    fn is_known(&self, check: &Check, for_millis: u64) -> bool {
        match self.blocked.denial(&self.tenant, check) {
            Ok(_) => true,
            Err(before) => {
                self.blocked.learn(&self.tenant, check, &denied(for_millis), before);
                false
            }
        }
    }

    /// Asks until the memory would answer.
    fn block(&self, check: &Check) {
        assert_eq!([false; 2].map(|_| self.is_known(check, 10_000)), [false; 2]);
    }
}

fn denied(for_millis: u64) -> Decision {
    let time = Duration::from_millis(for_millis);
    Decision { allowed: false, current: 70, reset: time, retry_after: time }
}

#[test]
fn the_third_denial_in_a_row_comes_from_memory_with_what_is_left_of_its_times() {
    let (world, check) = (World::new(), check("k", a_minute(60, 10), 1));
    world.block(&check);
    world.pass(200);
    let Ok(decision) = world.blocked.denial(&world.tenant, &check) else { panic!("the backend is asked") };
    assert_eq!(decision, denied(9_800));
    world.pass(50);
    assert!(!world.is_known(&check, 10_000), "it is asked again after 250 ms");
    assert!(world.is_known(&check, 10_000), "and the row goes on");
}

#[test]
fn nothing_is_denied_from_memory_past_its_true_time() {
    let (world, check) = (World::new(), check("k", a_minute(60, 10), 1));
    assert_eq!([100; 3].map(|time| world.is_known(&check, time)), [false, false, true]);
    world.pass(99);
    assert!(world.is_known(&check, 100));
    world.pass(1);
    assert!(!world.is_known(&check, 100));
}

#[test]
fn a_caller_who_pauses_is_always_asked_for() {
    let (world, check) = (World::new(), check("k", a_minute(60, 10), 1));
    for _ in 0..5 {
        assert!(!world.is_known(&check, 10_000));
        world.pass(251);
    }
    world.block(&check);
    assert!(world.is_known(&check, 10_000));
    world.pass(251);
    assert!(!world.is_known(&check, 10_000) && !world.is_known(&check, 10_000), "a new row");
}

#[test]
fn another_cost_another_quota_another_key_and_another_tenant_are_asked_for() {
    let (world, quota) = (World::new(), a_minute(60, 10));
    let denied = check("k", quota, 5);
    world.block(&denied);
    let other_tenant = TenantId::parse("other").unwrap();
    let more_would_have_to_wait_longer = check("k", quota, 6);
    let others = [check("k", quota, 4), more_would_have_to_wait_longer, check("k", a_minute(61, 10), 5)];
    for other in others.into_iter().chain([check("l", quota, 5)]) {
        assert!(world.blocked.denial(&world.tenant, &other).is_err(), "{other:?}");
    }
    assert!(world.blocked.denial(&world.tenant, &Check { shadow: true, ..denied.clone() }).is_err());
    assert!(world.blocked.denial(&other_tenant, &denied).is_err());
    assert!(world.blocked.denial(&world.tenant, &denied).is_ok());
}

#[test]
fn what_was_allowed_ends_the_row() {
    let (world, check) = (World::new(), check("k", a_minute(60, 10), 1));
    world.block(&check);
    let allowed = Decision { allowed: true, ..denied(0) };
    world.blocked.learn(&world.tenant, &check, &allowed, Before(0));
    world.block(&check);
}

#[test]
fn what_frees_quota_empties_the_memory() {
    let (world, quota) = (World::new(), a_minute(60, 10));
    let check = check("k", quota, 1);
    let reservation = |key: &str| Name::parse(&format!("rsv_{}abc", Partition::of(key).digits())).unwrap();
    world.block(&check);
    world.blocked.forget_reserved(&world.tenant, &reservation("another key"));
    world.blocked.forget(&world.tenant, &Subject::Requests(KeyId::parse("0123456789abcdef").unwrap()));
    assert!(world.is_known(&check, 10_000), "that was about others");
    world.blocked.forget(&world.tenant, &check.subject);
    world.block(&check);
    world.blocked.forget_reserved(&world.tenant, &reservation("k"));
    world.block(&check);
}

#[test]
fn a_denial_from_before_a_reset_is_not_learned_after_it() {
    let (world, check) = (World::new(), check("k", a_minute(60, 10), 1));
    assert!(!world.is_known(&check, 10_000));
    let Err(before) = world.blocked.denial(&world.tenant, &check) else { panic!() };
    world.blocked.forget(&world.tenant, &check.subject);
    world.blocked.learn(&world.tenant, &check, &denied(10_000), before);
    world.block(&check);
}

#[test]
fn the_memory_is_bounded() {
    let world = World::new();
    for n in 0..2 * REMEMBERED {
        assert!(!world.is_known(&check(&format!("k{n}"), a_minute(60, 10), 1), 10_000));
    }
    assert!(world.blocked.denied.len() <= REMEMBERED);
}
