//! Rows of the rate limits.

use super::{Cost, Counter, name};
use agentapi::db::{Partition, TenantDb};
use agentapi::stores::rate_limits::policies::{Policies, Policy, PolicyMemory, PutPolicyOutcome};
use agentapi::stores::rate_limits::{
    Algorithm, Check, Checked, Quota, RateLimits, ReserveOutcome, SettleOutcome, Settlement, Subject,
};
use agentapi::tenancy::SteadyClock;
use std::sync::Arc;
use std::time::Duration;

fn check(key: &str, limit: u64, algorithm: Algorithm) -> Check {
    let quota = Quota::new(limit, 0, Duration::from_secs(3600), algorithm).unwrap();
    Check { subject: Subject::Named(name(key)), quota, cost: 1, shadow: false }
}

/// Whether each was allowed.
fn decided(checked: Checked) -> Vec<bool> {
    let Checked::Decided(decisions) = checked else { panic!("{checked:?}") };
    decisions.iter().map(|decision| decision.allowed).collect()
}

/// Checks of three keys that lie in one partition, or in three.
fn three(together: bool) -> Vec<Check> {
    let mut keys: Vec<String> = Vec::new();
    for n in 0.. {
        let (key, digits) = (format!("three-{n}"), |key: &str| Partition::of(key).digits());
        if keys.iter().all(|known| (digits(known) == digits(&key)) == together) {
            keys.push(key);
        }
        if keys.len() == 3 {
            break;
        }
    }
    let limit = if together { 5 } else { 6 };
    keys.iter().map(|key| check(key, limit, Algorithm::SlidingWindow)).collect()
}

pub async fn every_operation(counter: &mut Counter, tenant: &TenantDb) {
    let limits = RateLimits::new(tenant.clone());
    for algorithm in Algorithm::ALL {
        let (named, one) = (algorithm.as_str(), [check("one", 2, *algorithm)]);
        let (first, cost) = counter.count(&format!("check, `{named}`, the first use"), limits.check(&one)).await;
        assert_eq!(decided(first.unwrap()), [true]);
        assert_eq!(cost.round_trips, 1);
        let (next, cost) = counter.count(&format!("check, `{named}`, allowed"), limits.check(&one)).await;
        assert_eq!(decided(next.unwrap()), [true]);
        assert_eq!(cost.round_trips, 1);
        if *algorithm == Algorithm::SlidingWindow {
            assert!(cost.commands <= 4, "{cost:?}: the default is what most callers pay for");
        }
        let (denied, cost) = counter.count(&format!("check, `{named}`, denied"), limits.check(&one)).await;
        assert_eq!(decided(denied.unwrap()), [false]);
        assert_eq!(cost.round_trips, 1);
    }

    let (together, apart) = (three(true), three(false));
    let (checked, cost) = counter.count("3 checks in one partition", limits.check(&together)).await;
    assert_eq!((decided(checked.unwrap()), cost.round_trips), (vec![true; 3], 1));
    let (checked, cost) = counter.count("3 checks in 3 partitions, allowed", limits.check(&apart)).await;
    assert_eq!((decided(checked.unwrap()), cost.round_trips), (vec![true; 3], 2));
    let last = Check {
        quota: Quota::new(1, 0, Duration::from_secs(60), Algorithm::SlidingWindow).unwrap(),
        ..apart[2].clone()
    };
    assert_eq!(decided(limits.check(std::slice::from_ref(&last)).await.unwrap()), [true]);
    let full = [apart[0].clone(), apart[1].clone(), last];
    let (checked, cost) = counter.count("3 checks in 3 partitions, one denied", limits.check(&full)).await;
    assert_eq!((decided(checked.unwrap()), cost.round_trips), (vec![true, true, false], 2));

    let one = check("one", 2, Algorithm::SlidingWindow);
    let (seen, cost) = counter.count("peek", limits.peek(&one)).await;
    assert_eq!((seen.unwrap().current, cost.round_trips), (2, 1));
    assert!(counter.count("reset a key of 4 algorithms", limits.reset(&one.subject)).await.0.unwrap());
    reservations(counter, &limits).await;
    policies(counter, tenant, &limits).await;
}

async fn reservations(counter: &mut Counter, limits: &RateLimits) {
    let check = Check { cost: 3, ..check("held", 100, Algorithm::SlidingWindow) };
    let hold = Duration::from_secs(60);
    let (reserved, cost) = counter.count("reserve", limits.reserve(&check, hold)).await;
    assert_eq!(cost.round_trips, 1);
    let id = |outcome| match outcome {
        ReserveOutcome::Decided(_, Some(reservation)) => reservation.id,
        _ => panic!("{outcome:?}"),
    };
    let (first, second) = (id(reserved.unwrap()), id(limits.reserve(&check, hold).await.unwrap()));
    let (settled, _) = counter.count("commit", limits.settle(&first, Settlement::Commit(2))).await;
    assert_eq!(settled.unwrap(), SettleOutcome::Settled(2));
    let (settled, _) = counter.count("commit, repeated", limits.settle(&first, Settlement::Commit(2))).await;
    assert_eq!(settled.unwrap(), SettleOutcome::Settled(2));
    let (settled, _) = counter.count("cancel", limits.settle(&second, Settlement::Cancel)).await;
    assert_eq!(settled.unwrap(), SettleOutcome::Settled(0));
}

async fn policies(counter: &mut Counter, tenant: &TenantDb, limits: &RateLimits) {
    let policies = Policies::new(tenant.clone(), Arc::new(PolicyMemory::new(Arc::new(SteadyClock::start()))));
    let (gold, check) = (name("gold"), check("named", 5, Algorithm::SlidingWindow));
    let policy = Policy { quota: check.quota, shadow: false };
    let (put, _) = counter.count("put a policy", policies.put(&gold, policy)).await;
    assert_eq!(put.unwrap(), PutPolicyOutcome::Created);
    let (found, cost) = counter.count("find the policy of a check, once a second", policies.find(&[&gold])).await;
    assert_eq!((found.unwrap(), cost.round_trips), (vec![Some(policy)], 1));
    let by_policy = async {
        let quota = policies.find(&[&gold]).await.unwrap()[0].unwrap().quota;
        decided(limits.check(&[Check { quota, ..check.clone() }]).await.unwrap())
    };
    let (checked, cost) = counter.count("check, by a policy that was read within a second", by_policy).await;
    assert_eq!(checked, [true]);
    let Cost { round_trips, commands } = cost;
    assert!(round_trips == 1 && commands <= 4, "a policy costs nothing more: {cost:?}");
    let (listed, cost) = counter.count("list a page of policies", policies.list(None, 100)).await;
    assert_eq!((listed.unwrap().items.len(), cost.round_trips), (1, 1));
    let (deleted, _) = counter.count("delete a policy", policies.delete(&gold)).await;
    assert!(deleted.unwrap());
}
