//! Numbers at their bounds: exact, or at the most that is counted.

use super::*;
use crate::db::{Command, Effect, Expiry, Script};

const MOST: u64 = 1 << 41;

/// The largest quota that each algorithm can keep.
fn largest(algorithm: Algorithm) -> Quota {
    let year = LONGEST_WINDOW.as_millis() as u64;
    match algorithm {
        Algorithm::SlidingLog => quota(algorithm, 99_999, 1, year),
        // Together with the burst 2^53 drops, all but some.
        Algorithm::TokenBucket => quota(algorithm, 1, (1 << 53) / year - 1, year),
        _ => quota(algorithm, MOST_UNITS, MOST_UNITS, year),
    }
}

#[tokio::test]
async fn the_largest_quotas_are_exact_to_the_unit() {
    for algorithm in Algorithm::ALL {
        let (bench, quota) = (Bench::new(), largest(*algorithm));
        assert!(bench.check(&check("k", quota, quota.room() - 1)).await.allowed, "{algorithm:?}");
        assert!(!bench.check(&check("k", quota, 2)).await.allowed);
        assert_eq!(bench.check(&check("k", quota, 1)).await.current, quota.room());
        let denied = bench.check(&check("k", quota, 1)).await;
        assert!(!denied.allowed);
        bench.pass(denied.retry_after.as_millis() as u64 - 1);
        assert!(!bench.check(&check("k", quota, 1)).await.allowed, "{algorithm:?}");
        bench.pass(1);
        assert!(bench.check(&check("k", quota, 1)).await.allowed, "{algorithm:?}");
        bench.everything_ends();
    }
}

#[tokio::test]
async fn what_is_counted_beyond_the_limit_stops_at_the_most() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new();
        let asked = check("k", quota(*algorithm, 1_000, 0, 1_000), 1);
        let shadow = Check { shadow: true, cost: u64::MAX, ..asked.clone() };
        for _ in 0..3 {
            let decision = bench.check(&shadow).await;
            assert_eq!((decision.allowed, decision.current), (false, MOST), "{algorithm:?}");
        }
        let outcome = bench.limits.reserve(&Check { cost: 7, ..shadow }, Duration::from_secs(1)).await.unwrap();
        let ReserveOutcome::Decided(decision, Some(held)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(decision.current, MOST + 7);
        let how = Settlement::Commit(u64::MAX);
        assert_eq!(bench.limits.settle(&held.id, how).await, Ok(SettleOutcome::Settled(u64::MAX)));
        assert_eq!(bench.limits.settle(&held.id, how).await, Ok(SettleOutcome::Settled(u64::MAX)));
        assert_eq!(bench.limits.peek(&asked).await.unwrap().current, MOST, "{algorithm:?}");
        let wait = bench.limits.peek(&asked).await.unwrap().retry_after;
        bench.pass(wait.as_millis() as u64 - 1);
        assert!(!bench.limits.peek(&asked).await.unwrap().allowed, "{algorithm:?}");
        bench.pass(1);
        assert!(bench.check(&asked).await.allowed, "{algorithm:?}");
        bench.everything_ends();
    }
}

#[tokio::test]
async fn a_log_whose_total_has_no_room_left_goes_on_and_forgets_no_use() {
    let bench = Bench::new();
    let asked = check("k", quota(Algorithm::SlidingLog, 10, 0, 10), 1);
    let part = Check { shadow: true, cost: MOST / 4, ..asked.clone() };
    // 2^52 is 8192 times this; each time the one before is still in the window.
    let mut moved = 0;
    for n in 0..8_300 {
        bench.pass(6);
        let current = bench.check(&part).await.current;
        assert!(n == 0 || current >= MOST / 2, "{n}: {current}");
        moved += u32::from(current > MOST / 2);
    }
    assert_eq!(moved, 1, "once what was used was counted as used later");
    bench.pass(10);
    assert_eq!(bench.check(&asked).await.current, 1);
}

#[tokio::test]
async fn a_cost_of_a_thousand_is_one_entry_and_leaves_as_one() {
    let bench = Bench::new();
    let of = |cost| check("k", quota(Algorithm::SlidingLog, 10_000, 0, 60_000), cost);
    for cost in [1_000, 3_000, 1, 5_999] {
        assert!(bench.check(&of(cost)).await.allowed);
        bench.pass(1_000);
    }
    // 1 needs the first to leave, 1001 the second, 4001 the third, 4002 the last.
    for (cost, expected) in [(1, 56_000), (1_000, 56_000), (1_001, 57_000), (4_001, 58_000), (4_002, 59_000)] {
        let denied = bench.check(&of(cost)).await;
        assert_eq!((denied.current, denied.retry_after.as_millis()), (10_000, expected), "{cost}");
    }
}

#[tokio::test]
async fn a_bucket_whose_limit_changes_keeps_its_units() {
    let bench = Bench::new();
    let of = |limit, burst, cost| check("k", quota(Algorithm::TokenBucket, limit, burst, 60_000), cost);
    assert_eq!(bench.check(&of(7, 13, 12)).await.current, 12);
    // 7 and 11 in a minute have different drops: what is used is rounded up, by less than a 4096th of a unit.
    let other = bench.limits.peek(&of(11, 9, 1)).await.unwrap();
    assert_eq!(other.current, 12);
    bench.pass(3_000);
    let before = bench.limits.peek(&of(7, 13, 1)).await.unwrap();
    assert_eq!((before.current, before.reset.as_millis()), (12, 5_572), "3000 of 8571.43 ms");
    for limit in [11, 13, 17, 7] {
        let current = bench.limits.peek(&of(limit, 13, 1)).await.unwrap().current;
        assert!((11..=12).contains(&current), "{limit}: {current}");
    }
    assert_eq!(bench.check(&of(11, 9, 1)).await.current, 13);
}

#[tokio::test]
async fn ten_thousand_keys_are_counted_each_for_itself() {
    let bench = Bench::new();
    let quota = quota(Algorithm::SlidingWindow, 2, 0, 60_000);
    for round in 1..=3 {
        for n in 0..10_000 {
            let decision = bench.check(&check(&format!("user:{n}"), quota, 1)).await;
            assert_eq!((decision.allowed, decision.current), (round <= 2, round.min(2)));
        }
    }
    bench.everything_ends();
}

#[tokio::test]
async fn a_bucket_that_drains_more_slowly_by_now_is_not_empty_before_its_time() {
    let bench = Bench::new();
    let of = |limit, burst| check("k", quota(Algorithm::TokenBucket, limit, burst, 60_000), 1);
    bench.check(&Check { cost: 100, ..of(100, 0) }).await;
    let denied = bench.check(&of(10, 0)).await;
    assert_eq!((denied.allowed, denied.retry_after), (false, Duration::from_secs(91 * 6)));
    bench.pass(91 * 6_000 - 1);
    assert_eq!(bench.check(&of(10, 0)).await.retry_after, Duration::from_millis(1));
    bench.pass(1);
    assert!(bench.check(&of(10, 0)).await.allowed);
    bench.everything_ends();
}

#[tokio::test]
async fn a_state_that_has_lost_its_end_counts_and_gets_one_again() {
    let bench = Bench::new();
    let asked = check("k", quota(Algorithm::SlidingWindow, 10, 0, 60_000), 4);
    bench.check(&asked).await;
    let (db, key) = (&bench.limits.db, keys::state(&bench.limits.db, asked.subject.partition(), &asked.subject));
    let state = db.run(Command::get(&key)).await.unwrap().bytes().unwrap();
    db.run(Command::set(&key, state, Expiry::Never)).await.unwrap().done().unwrap();
    assert_eq!(bench.check(&asked).await.current, 8);
    assert!(!bench.check(&asked).await.allowed);
    bench.everything_ends();
}

static SIZE: Script = Script::new("test/size", "return redis.call('ZCARD', KEYS[1])", Effect::Read);
static FILL: Script = Script::new(
    "test/fill",
    "for used = 1, 99999 do redis.call('ZADD', KEYS[1], ARGV[1], string.format('%016.0f:1', used)) end
    return redis.call('ZCARD', KEYS[1])",
    Effect::Idempotent,
);

#[tokio::test]
async fn a_shadow_that_nobody_stops_keeps_no_more_entries_than_a_log_may_hold() {
    let bench = Bench::new();
    let asked = Check { shadow: true, ..check("k", quota(Algorithm::SlidingLog, 10, 0, 40_960_000), 1) };
    bench.check(&asked).await;
    let log = keys::log(&bench.limits.db, asked.subject.partition(), &asked.subject, "40960000");
    assert_eq!(bench.limits.db.run(Command::script(&FILL, &[&log]).number(START)).await.unwrap().int(), Ok(100_000));
    for used in 1..=100 {
        // Ten to a part of the window.
        bench.pass(1_000);
        assert_eq!(bench.check(&asked).await.current, 100_000 + used);
    }
    let entries = bench.limits.db.run(Command::script(&SIZE, &[&log])).await.unwrap().int();
    assert_eq!(entries, Ok(100_010));
    bench.pass(40_960_000 - 100_000);
    let current = bench.check(&asked).await.current;
    assert_eq!(current, 102, "the first have left, but for one that counted as used with those of its part");
}
