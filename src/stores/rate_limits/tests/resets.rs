//! What a reset forgets, and how much is known of one subject.

use super::*;

#[tokio::test]
async fn a_reset_forgets_every_algorithm_window_log_and_hold() {
    let bench = Bench::new();
    let mut checks = Vec::new();
    for algorithm in Algorithm::ALL {
        for window in [1_000, 60_000, 86_400_000] {
            let asked = check("k", quota(*algorithm, 4, 0, window), 1);
            bench.check(&asked).await;
            checks.push(asked);
        }
    }
    let beside = check("l", quota(Algorithm::SlidingLog, 4, 0, 60_000), 1);
    bench.check(&beside).await;
    bench.limits.reserve(&checks[0], Duration::from_secs(30)).await.unwrap();
    assert_eq!(bench.limits.reset(&named("k")).await, Ok(true));
    for asked in &checks {
        assert_eq!(bench.limits.peek(asked).await.unwrap().current, 0, "{asked:?}");
        assert_eq!(bench.check(asked).await.current, 1, "{asked:?}");
    }
    assert_eq!(bench.limits.peek(&beside).await.unwrap().current, 1, "another subject");
    assert_eq!(bench.limits.reset(&named("k")).await, Ok(true));
    assert_eq!(bench.limits.reset(&named("k")).await, Ok(false));
}

#[tokio::test]
async fn what_was_reserved_before_a_reset_is_counted_when_it_is_committed() {
    let bench = Bench::new();
    let asked = check("k", quota(Algorithm::SlidingWindow, 10, 0, 60_000), 4);
    let outcome = bench.limits.reserve(&asked, Duration::from_secs(30)).await.unwrap();
    let ReserveOutcome::Decided(_, Some(held)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(bench.limits.reset(&asked.subject).await, Ok(true));
    bench.limits.reserve(&asked, Duration::from_secs(30)).await.unwrap();
    assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(3)).await, Ok(SettleOutcome::Settled(3)));
    assert_eq!(bench.limits.peek(&asked).await.unwrap().current, 7, "what is held anew is held");
}

#[tokio::test]
async fn a_key_and_an_api_key_of_one_name_are_two_subjects() {
    let bench = Bench::new();
    let id = crate::tenancy::KeyId::parse("0123456789abcdef").expect("the form of a key's id");
    for algorithm in Algorithm::ALL {
        let quota = quota(*algorithm, 1, 0, 60_000);
        let api = Check { subject: Subject::Requests(id), ..check(id.as_str(), quota, 1) };
        assert!(bench.check(&check(id.as_str(), quota, 1)).await.allowed);
        assert!(bench.check(&api).await.allowed, "{algorithm:?}");
        assert!(!bench.check(&api).await.allowed);
    }
    assert_eq!(bench.limits.reset(&Subject::Requests(id)).await, Ok(true));
    assert!(!bench.check(&check(id.as_str(), quota(Algorithm::SlidingLog, 1, 0, 60_000), 1)).await.allowed);
}

#[tokio::test]
async fn a_subject_has_no_more_than_32_windows_at_a_time() {
    let bench = Bench::new();
    let of = |window| check("k", quota(Algorithm::FixedWindow, 10, 0, window), 1);
    let first = 1_000_000;
    for n in 0..32 {
        assert!(bench.check(&of(first + n)).await.allowed);
    }
    let (more, beside) = (of(999), check("other", quota(Algorithm::SlidingWindow, 10, 0, 1_000), 1));
    assert_eq!(bench.limits.check(std::slice::from_ref(&more)).await, Ok(Checked::TooManyWindows(0)));
    let both = [beside.clone(), of(first), more.clone()];
    assert_eq!(bench.limits.check(&both).await, Ok(Checked::TooManyWindows(2)));
    assert_eq!(bench.limits.peek(&beside).await.unwrap().current, 0, "nothing was counted, nothing is held");
    assert_eq!(bench.limits.peek(&of(first)).await.unwrap().current, 1);
    assert_eq!(bench.limits.reserve(&more, Duration::from_secs(1)).await, Ok(ReserveOutcome::TooManyWindows));
    assert!(bench.limits.peek(&more).await.unwrap().allowed);
    assert!(bench.check(&of(first)).await.allowed, "those that are there go on");
    bench.pass(first + 32);
    assert!(bench.check(&more).await.allowed, "they have ended");
}
