//! 64 callers at once: exactly the limit gets in.

use super::bench::{Bench, check, decided};
use agentapi::stores::rate_limits::{Algorithm, ReserveOutcome, SettleOutcome, Settlement};
use std::time::Duration;
use tokio::task::JoinSet;

const HOUR: Duration = Duration::from_secs(3600);

async fn sixty_four_callers_are_let_in_as_often_as_the_limit_says(bench: &Bench) {
    for algorithm in Algorithm::ALL {
        let mut callers = JoinSet::new();
        for _ in 0..64 {
            let (limits, one) = (bench.limits.clone(), check("k", *algorithm, 100, HOUR, 1));
            callers.spawn(async move {
                let mut allowed = 0;
                for _ in 0..4 {
                    allowed += u64::from(decided(limits.check(std::slice::from_ref(&one)).await.unwrap())[0].allowed);
                }
                allowed
            });
        }
        assert_eq!(callers.join_all().await.iter().sum::<u64>(), 100, "{algorithm:?}");
    }
}

async fn calls_over_two_partitions_are_counted_in_both_or_in_none(bench: &Bench) {
    for algorithm in Algorithm::ALL {
        let mut callers = JoinSet::new();
        for n in 0..16 {
            let limits = bench.limits.clone();
            let mut both = [check("a", *algorithm, 30, HOUR, 1), check("b", *algorithm, 20, HOUR, 1)];
            if n % 2 == 0 {
                both.reverse();
            }
            callers.spawn(async move {
                let mut allowed = 0;
                for _ in 0..4 {
                    let decisions = decided(limits.check(&both).await.unwrap());
                    allowed += u64::from(decisions.iter().all(|decision| decision.allowed));
                }
                allowed
            });
        }
        let allowed = callers.join_all().await.iter().sum::<u64>();
        assert!((1..=20).contains(&allowed), "{algorithm:?}: {allowed}");
        for key in ["a", "b"] {
            let used = bench.limits.peek(&check(key, *algorithm, 30, HOUR, 1)).await.unwrap().current;
            assert_eq!(used, allowed, "{algorithm:?} {key}: counted for each that was told so, and nothing is held");
        }
    }
}

async fn reservations_at_once_hold_no_more_than_there_is_and_settle_once(bench: &Bench) {
    for algorithm in Algorithm::ALL {
        let mut callers = JoinSet::new();
        for n in 0..64 {
            let (limits, one) = (bench.limits.clone(), check("k", *algorithm, 40, HOUR, 2));
            callers.spawn(async move {
                let outcome = limits.reserve(&one, HOUR).await.unwrap();
                let ReserveOutcome::Decided(_, Some(held)) = outcome else { return 0 };
                let how = if n % 2 == 0 { Settlement::Commit(2) } else { Settlement::Commit(1) };
                let both = tokio::join!(limits.settle(&held.id, how), limits.settle(&held.id, how));
                let units = if n % 2 == 0 { 2 } else { 1 };
                assert_eq!(both, (Ok(SettleOutcome::Settled(units)), Ok(SettleOutcome::Settled(units))));
                units
            });
        }
        let used = callers.join_all().await.iter().sum::<u64>();
        assert!((20..=40).contains(&used), "{used}");
        assert_eq!(bench.limits.peek(&check("k", *algorithm, 40, HOUR, 1)).await.unwrap().current, used);
    }
}

on_every_backend!(
    sixty_four_callers_are_let_in_as_often_as_the_limit_says,
    calls_over_two_partitions_are_counted_in_both_or_in_none,
    reservations_at_once_hold_no_more_than_there_is_and_settle_once,
);
