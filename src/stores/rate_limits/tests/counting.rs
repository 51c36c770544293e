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
