//! Many callers of several instances at once.

use super::{Heard, changes, every_backend, instance, policy, report};
use crate::sessions_store::bench::name;
use agentapi::stores::breakers::{CallOutcome, Force, Forced, Policy, Report, State};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_failures_of_two_instances_open_it_once() {
    for (backend, bench) in every_backend() {
        let heard = Heard::default();
        let instances = [instance(&bench.db, policy(), &heard), instance(&bench.db, policy(), &heard)];
        let reports = (0..64).map(|n| {
            let breakers = instances[n % 2].clone();
            tokio::spawn(async move { breakers.report(&name("b"), &report(CallOutcome::Failure, 1)).await.unwrap() })
        });
        let answers = join_all(reports).await;
        let still_closed = answers.into_iter().filter(|answer| answer.as_ref().unwrap().state == State::Closed).count();
        assert_eq!(still_closed, 4, "{backend}");
        assert_eq!(changes(&heard), [(State::Closed, State::Open)], "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_who_ask_one_is_the_probe() {
    for (backend, bench) in every_backend() {
        let heard = Heard::default();
        let short = Policy { timeout: Duration::from_millis(20), ..policy() };
        let instances = [instance(&bench.db, short, &heard), instance(&bench.db, short, &heard)];
        instances[0].report(&name("b"), &report(CallOutcome::Failure, 5)).await.unwrap();
        if backend == "memory" {
            bench.advance(1);
        }
        while instances[0].read(&name("b")).await.unwrap().state == State::Open {}
        let questions = (0..64).map(|n| {
            let breakers = instances[n % 2].clone();
            tokio::spawn(async move { breakers.acquire(&name("b"), None).await.unwrap() })
        });
        let answers: Vec<_> = join_all(questions).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().filter(|answer| answer.allowed).count(), 1, "{backend}");
        assert!(answers.iter().all(|answer| answer.state == State::HalfOpen), "{backend}");
        assert_eq!(changes(&heard), [(State::Closed, State::Open), (State::Open, State::HalfOpen)], "{backend}");
    }
}

/// Numbers that look random and are the same each time (SplitMix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 27)
}

/// Whatever happens, the changes that all instances announced make one chain from the first state to the last: each
/// state was entered as often as it was left, but for these two. So none was missed and none announced twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_is_announced_by_exactly_one_of_many() {
    for (backend, bench) in every_backend() {
        let heard = Heard::default();
        let quick = Policy {
            failure_threshold: Some(2),
            timeout: Duration::from_millis(1),
            success_threshold: 1,
            half_open_permits: 2,
            permit_ttl: Duration::from_millis(2),
            ..policy()
        };
        let tasks = (0..16_u64).map(|seed| {
            let breakers = instance(&bench.db, quick, &heard);
            let mut chance = seed;
            tokio::spawn(async move {
                let b = name("b");
                for _ in 0..40 {
                    let outcome = if next(&mut chance) % 2 == 0 { CallOutcome::Success } else { CallOutcome::Failure };
                    match next(&mut chance) % 12 {
                        0 => {
                            let state = [Forced::Open, Forced::Closed, Forced::Disabled, Forced::Auto]
                                [next(&mut chance) as usize % 4];
                            let ttl = Some(Duration::from_millis(next(&mut chance) % 3));
                            let force = Force { state, reason: None, actor: "admin".into(), ttl };
                            breakers.force(&b, &force).await.unwrap();
                        }
                        1 => breakers.forget(&b).await.unwrap(),
                        2..=6 => {
                            let permit = breakers.acquire(&b, None).await.unwrap().permit;
                            breakers.report(&b, &Report { permit, ..report(outcome, 1) }).await.unwrap();
                        }
                        _ => drop(breakers.report(&b, &report(outcome, 1)).await.unwrap()),
                    }
                }
            })
        });
        let tasks: Vec<_> = tasks.collect();
        if backend == "memory" {
            // Its time stands still but for this.
            for _ in 0..50 {
                bench.tick_millis(1);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        join_all(tasks).await.into_iter().for_each(Result::unwrap);
        let breakers = instance(&bench.db, quick, &heard);
        let by_hand = Force { state: Forced::Disabled, reason: None, actor: "admin".into(), ttl: None };
        breakers.force(&name("b"), &by_hand).await.unwrap();

        let heard = changes(&heard);
        let mut balance: HashMap<State, i64> = HashMap::new();
        for (from, to) in &heard {
            *balance.entry(*from).or_default() -= 1;
            *balance.entry(*to).or_default() += 1;
        }
        balance.retain(|_, balance| *balance != 0);
        let once = HashMap::from([(State::Closed, -1), (State::Disabled, 1)]);
        assert_eq!(balance, once, "{backend}: {heard:?}");
        let kinds: std::collections::HashSet<_> = heard.iter().collect();
        assert!(heard.len() > 50 && kinds.len() > 6, "{backend}: much happens: {kinds:?}");
    }
}
