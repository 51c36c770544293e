//! What is counted, and when.

use super::*;

#[tokio::test]
async fn the_limit_is_what_is_allowed_under_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new();
        let one = check("k", quota(*algorithm, 3, 2, 60_000), 1);
        for n in 1..=5 {
            let decision = bench.check(&one).await;
            assert!(decision.allowed, "{algorithm:?} {n}");
            assert_eq!((decision.current, decision.retry_after), (n, Duration::ZERO), "{algorithm:?}");
            assert!(decision.reset > Duration::ZERO);
        }
        for _ in 0..3 {
            let decision = bench.check(&one).await;
            assert!(!decision.allowed, "{algorithm:?}");
            assert_eq!(decision.current, 5);
            assert!(decision.retry_after > Duration::ZERO);
            assert_eq!(bench.limits.peek(&one).await.unwrap(), decision);
        }
    }
}

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
