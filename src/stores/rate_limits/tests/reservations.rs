//! Reservations: held, settled, given up, forgotten.

use super::*;
use crate::db::Command;

const HOLD: Duration = Duration::from_secs(30);

async fn reserved(bench: &Bench, check: &Check) -> Reservation {
    match bench.limits.reserve(check, HOLD).await.unwrap() {
        ReserveOutcome::Decided(decision, Some(reservation)) if decision.allowed => reservation,
        other => panic!("{other:?}"),
    }
}

/// Each algorithm with a limit of 10 in a minute.
fn each() -> impl Iterator<Item = (Bench, Quota)> {
    Algorithm::ALL.iter().map(|algorithm| (Bench::new(), quota(*algorithm, 10, 0, 60_000)))
}

#[tokio::test]
async fn what_is_held_is_used_until_it_is_settled() {
    for (bench, quota) in each() {
        let held = reserved(&bench, &check("k", quota, 8)).await;
        assert_eq!(held.expires_at.as_millis(), START + 30_000);
        assert!(held.id.as_str().starts_with("rsv_") && held.id.as_str().len() == 28);
        let denied = bench.check(&check("k", quota, 3)).await;
        assert_eq!((denied.allowed, denied.current, denied.retry_after), (false, 8, HOLD), "{quota:?}");
        assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(2)).await, Ok(SettleOutcome::Settled(2)));
        assert_eq!(bench.check(&check("k", quota, 8)).await.current, 10, "{quota:?}");
    }
}

#[tokio::test]
async fn a_commit_counts_what_was_used_even_beyond_the_limit_and_once() {
    for (bench, quota) in each() {
        let (one, other) = (check("k", quota, 1), check("k", quota, 2));
        let held = reserved(&bench, &one).await;
        let left = reserved(&bench, &other).await;
        for _ in 0..2 {
            assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(25)).await, Ok(SettleOutcome::Settled(25)));
            assert_eq!(bench.limits.peek(&one).await.unwrap().current, 27, "{quota:?}");
        }
        for how in [Settlement::Commit(24), Settlement::Cancel] {
            assert_eq!(bench.limits.settle(&held.id, how).await, Ok(SettleOutcome::SettledOtherwise));
        }
        assert_eq!(bench.limits.settle(&left.id, Settlement::Cancel).await, Ok(SettleOutcome::Settled(0)));
        assert_eq!(bench.limits.settle(&left.id, Settlement::Commit(2)).await, Ok(SettleOutcome::SettledOtherwise));
        assert_eq!(bench.limits.peek(&one).await.unwrap().current, 25);
    }
}

#[tokio::test]
async fn how_it_was_settled_is_known_for_a_minute() {
    let bench = Bench::new();
    let quota = quota(Algorithm::SlidingWindow, 10, 0, 60_000);
    let held = reserved(&bench, &check("k", quota, 1)).await;
    bench.pass(29_999);
    assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(1)).await, Ok(SettleOutcome::Settled(1)));
    bench.pass(59_999);
    assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(1)).await, Ok(SettleOutcome::Settled(1)));
    bench.pass(2);
    assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(1)).await, Ok(SettleOutcome::Absent));
}

#[tokio::test]
async fn an_abandoned_reservation_frees_itself_and_cannot_be_settled() {
    for (bench, quota) in each() {
        let all = check("k", quota, 10);
        let held = reserved(&bench, &all).await;
        bench.pass(29_999);
        assert!(!bench.check(&all).await.allowed);
        bench.pass(1);
        assert_eq!(bench.limits.peek(&all).await.unwrap().current, 0, "{quota:?}");
        assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(1)).await, Ok(SettleOutcome::Absent));
        assert!(bench.check(&all).await.allowed, "{quota:?}");
        bench.everything_ends();
    }
}

#[tokio::test]
async fn reservations_that_end_one_after_the_other_come_back_one_by_one() {
    for (bench, quota) in each() {
        for _ in 0..5 {
            reserved(&bench, &check("k", quota, 2)).await;
            bench.pass(1_000);
        }
        for (cost, expected) in [(1, 25_000), (3, 26_000), (10, 29_000)] {
            let wait = bench.limits.peek(&check("k", quota, cost)).await.unwrap().retry_after;
            assert_eq!(wait, Duration::from_millis(expected), "{quota:?} {cost}");
        }
    }
}

#[tokio::test]
async fn more_than_one_script_takes_back_are_taken_back_by_the_next_ones() {
    let bench = Bench::new();
    let quota = quota(Algorithm::FixedWindow, 2_500, 0, 60_000);
    let one = check("k", quota, 1);
    for _ in 0..2_500 {
        reserved(&bench, &one).await;
    }
    assert!(!bench.check(&one).await.allowed);
    bench.pass(30_000);
    let mut currents = Vec::new();
    for _ in 0..4 {
        currents.push(bench.check(&one).await.current);
    }
    // A thousand of them, and the check itself, each time.
    assert_eq!(currents, [1_501, 502, 3, 4]);
    bench.everything_ends();
}

#[tokio::test]
async fn nothing_is_forgotten_of_what_is_taken_back_in_parts() {
    let bench = Bench::new();
    let all = check("k", quota(Algorithm::FixedWindow, 2_500, 0, 60_000), 2_500);
    for _ in 0..2_500 {
        reserved(&bench, &Check { cost: 1, ..all.clone() }).await;
    }
    // Keeps what is stored of the subject beyond the end of the other line.
    bench.check(&check("k", quota(Algorithm::FixedWindow, 1, 0, 3_600_000), 1)).await;
    bench.pass(30_000);
    let mut told = Vec::new();
    for _ in 0..3 {
        let decision = bench.check(&all).await;
        told.push((decision.allowed, decision.current));
    }
    assert_eq!(told, [(false, 1_500), (false, 500), (true, 2_500)]);
}

#[tokio::test]
async fn a_reservation_is_refused_as_a_check_is() {
    for (bench, quota) in each() {
        assert!(bench.check(&check("k", quota, 9)).await.allowed);
        let asked = check("k", quota, 2);
        let expected = bench.limits.peek(&asked).await.unwrap();
        assert!(!expected.allowed);
        let outcome = bench.limits.reserve(&asked, HOLD).await;
        assert_eq!(outcome, Ok(ReserveOutcome::Decided(expected, None)), "{quota:?}");
        let shadowed = Check { shadow: true, ..asked };
        let outcome = bench.limits.reserve(&shadowed, HOLD).await.unwrap();
        let ReserveOutcome::Decided(decision, Some(_)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((decision.allowed, decision.current), (false, 11), "{quota:?}");
    }
}

#[tokio::test]
async fn an_id_that_nobody_gave_settles_nothing() {
    let bench = Bench::new();
    let known = reserved(&bench, &check("k", quota(Algorithm::SlidingWindow, 10, 0, 60_000), 1)).await.id;
    let other: String = known.as_str().chars().take(27).chain(['_']).collect();
    for id in ["x", "rsv_", "rsv_00", "rsv_zz0000000000000000000000", "rsv_000000000000000000000000", &other, "rsv_é"]
    {
        let id = Name::parse(id).unwrap();
        assert_eq!(bench.limits.settle(&id, Settlement::Cancel).await, Ok(SettleOutcome::Absent), "{id:?}");
    }
}

#[tokio::test]
async fn subjects_of_any_name_and_kind_can_be_reserved() {
    let bench = Bench::new();
    let quota = quota(Algorithm::SlidingLog, 10, 0, 60_000);
    let id = crate::tenancy::KeyId::parse("0123456789abcdef").expect("the form of a key's id");
    for subject in [named("a b  c:{}%\u{e9}"), named("settled 1 2"), Subject::Requests(id)] {
        let asked = Check { subject, quota, cost: 3, shadow: false };
        let held = reserved(&bench, &asked).await;
        assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(4)).await, Ok(SettleOutcome::Settled(4)));
        assert_eq!(bench.limits.peek(&asked).await.unwrap().current, 4);
        assert_eq!(bench.limits.settle(&held.id, Settlement::Commit(4)).await, Ok(SettleOutcome::Settled(4)));
    }
}

#[tokio::test]
async fn while_more_is_past_than_one_script_takes_back_the_wait_is_until_the_next_one() {
    let bench = Bench::new();
    let all = check("k", quota(Algorithm::FixedWindow, 2_501, 0, 3_600_000), 2_500);
    let one = Check { cost: 1, ..all.clone() };
    for _ in 0..2_500 {
        reserved(&bench, &one).await;
    }
    // What is held longer keeps the others from being forgotten all at once.
    bench.limits.reserve(&one, 2 * HOLD).await.unwrap();
    bench.pass(30_000);
    let mut told = Vec::new();
    for _ in 0..3 {
        let decision = bench.check(&all).await;
        told.push((decision.allowed, decision.retry_after.as_millis()));
        bench.pass(1);
    }
    assert_eq!(told, [(false, 1), (false, 1), (true, 0)]);
}

#[tokio::test]
async fn what_is_only_held_comes_back_when_the_first_of_it_is_free() {
    for (bench, quota) in each() {
        let one = check("k", quota, 1);
        assert_eq!(bench.limits.peek(&one).await.unwrap().reset, Duration::ZERO);
        let first = reserved(&bench, &one).await;
        bench.pass(1_000);
        reserved(&bench, &one).await;
        assert_eq!(bench.limits.peek(&one).await.unwrap().reset, Duration::from_secs(29), "{quota:?}");
        bench.limits.settle(&first.id, Settlement::Cancel).await.unwrap();
        assert_eq!(bench.limits.peek(&one).await.unwrap().reset, HOLD, "{quota:?}");
    }
}

#[tokio::test]
async fn nothing_remains_of_what_was_held_once_it_is_settled() {
    let (one, apart, _) = keys();
    for how in [Settlement::Commit(1), Settlement::Cancel] {
        let bench = Bench::new();
        let quota = quota(Algorithm::SlidingWindow, 10, 0, 60_000);
        let (asked, other) = (check(&one, quota, 1), check(&apart, quota, 1));
        bench.all(&[asked.clone(), other]).await;
        let held = reserved(&bench, &asked).await;
        bench.limits.settle(&held.id, how).await.unwrap();
        let key = keys::state(&bench.limits.db, asked.subject.partition(), &asked.subject);
        let state = bench.limits.db.run(Command::get(&key)).await.unwrap().text().unwrap();
        let words: Vec<&str> = state.split(' ').collect();
        assert_eq!(words[3..5], ["0", "0"], "held and next free, as a key of which nothing was ever held: {state}");
    }
}
