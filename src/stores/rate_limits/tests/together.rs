//! Several checks in one call: all or none.

use super::*;

#[tokio::test]
async fn checks_are_counted_all_or_none_wherever_they_lie() {
    let (one, apart, beside) = keys();
    for algorithm in Algorithm::ALL {
        for other in [&apart, &beside] {
            let bench = Bench::new();
            let (a, b) =
                (check(&one, quota(*algorithm, 3, 0, 60_000), 1), check(other, quota(*algorithm, 2, 0, 60_000), 1));
            for n in 1..=2 {
                let decisions = bench.all(&[a.clone(), b.clone()]).await;
                assert!(decisions.iter().all(|decision| decision.allowed && decision.current == n), "{decisions:?}");
            }
            let decisions = bench.all(&[a.clone(), b.clone()]).await;
            assert_eq!(decisions.iter().map(|d| (d.allowed, d.current)).collect::<Vec<_>>(), [(true, 2), (false, 2)]);
            assert!(decisions[1].retry_after > Duration::ZERO);
            assert_eq!(bench.check(&a).await.current, 3, "{algorithm:?}: nothing was counted, nothing is held");
        }
    }
}

#[tokio::test]
async fn two_checks_of_one_limiter_see_each_other() {
    let (one, apart, _) = keys();
    for algorithm in Algorithm::ALL {
        for across in [false, true] {
            let bench = Bench::new();
            let quota = quota(*algorithm, 10, 0, 60_000);
            let mut checks = vec![check(&one, quota, 4), check(&one, quota, 5)];
            checks.extend(across.then(|| check(&apart, quota, 1)));
            let decisions = bench.all(&checks).await;
            assert!(decisions.iter().all(|decision| decision.allowed), "{algorithm:?} {decisions:?}");
            assert_eq!(bench.limits.peek(&checks[0]).await.unwrap().current, 9, "{algorithm:?}");
            checks[0].cost = 1;
            checks[1].cost = 1;
            let decisions = bench.all(&checks).await;
            assert_eq!(decisions.iter().map(|d| d.allowed).take(2).collect::<Vec<_>>(), [true, false], "{algorithm:?}");
            assert!(decisions[1].retry_after > Duration::ZERO);
            assert_eq!(bench.limits.peek(&checks[0]).await.unwrap().current, 9, "{algorithm:?}");
            bench.everything_ends();
        }
    }
}

#[tokio::test]
async fn the_wait_of_one_of_two_is_until_both_would_be_allowed() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new();
        let quota = quota(*algorithm, 10, 0, 60_000);
        bench.check(&check("k", quota, 6)).await;
        bench.pass(7);
        bench.check(&check("k", quota, 2)).await;
        let both = [check("k", quota, 2), check("k", quota, 3)];
        let decisions = bench.all(&both).await;
        assert_eq!(decisions.iter().map(|decision| decision.allowed).collect::<Vec<_>>(), [true, false]);
        bench.pass(decisions[1].retry_after.as_millis() as u64 - 1);
        assert!(!bench.all(&both).await[1].allowed, "{algorithm:?}");
        bench.pass(1);
        assert!(bench.all(&both).await[1].allowed, "{algorithm:?}");
    }
}

#[tokio::test]
async fn a_shadowed_check_never_holds_up_the_others() {
    let (one, apart, beside) = keys();
    for algorithm in Algorithm::ALL {
        for other in [&apart, &beside] {
            let bench = Bench::new();
            let quota = quota(*algorithm, 1, 0, 60_000);
            let shadow = Check { shadow: true, ..check(&one, quota, 1) };
            bench.check(&shadow).await;
            let decisions = bench.all(&[shadow.clone(), check(other, quota, 1)]).await;
            let told: Vec<_> = decisions.iter().map(|d| (d.allowed, d.current, d.retry_after.is_zero())).collect();
            assert_eq!(told, [(false, 2, false), (true, 1, true)], "{algorithm:?}");
        }
    }
}

#[tokio::test]
async fn what_one_call_holds_elsewhere_is_used_for_all_others_and_then_free() {
    let (one, apart, _) = keys();
    let bench = Bench::new();
    let quota = quota(Algorithm::SlidingWindow, 10, 0, 60_000);
    let both = [check(&one, quota, 6), check(&apart, quota, 6)];
    // A caller that died after its first round trip.
    for check in &both {
        let outcome = bench.limits.reserve(check, Duration::from_secs(5)).await.unwrap();
        assert!(matches!(outcome, ReserveOutcome::Decided(_, Some(_))), "{outcome:?}");
    }
    let denied = bench.all(&both).await;
    assert!(denied.iter().all(|d| !d.allowed && d.retry_after == Duration::from_secs(5)), "{denied:?}");
    bench.pass(5_000);
    let counted = bench.all(&both).await;
    assert!(counted.iter().all(|d| d.allowed && d.current == 6 && d.reset == Duration::from_secs(60)), "{counted:?}");
}

#[tokio::test]
async fn checks_that_are_too_much_together_are_denied_and_say_how_long_nothing_changes() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new();
        let quota = quota(*algorithm, 10, 0, 60_000);
        let decisions = bench.all(&[check("k", quota, 6), check("k", quota, 6)]).await;
        assert_eq!(decisions.iter().map(|d| (d.allowed, d.current)).collect::<Vec<_>>(), [(true, 0), (false, 0)]);
        assert_eq!(decisions[1].retry_after, Duration::from_secs(60), "{algorithm:?}");
    }
}
