//! Each script on each backend, with all that it can answer, and again where it may be repeated.

use super::bench::{Bench, check};
use agentapi::base::text::Name;
use agentapi::stores::rate_limits::policies::{Policy, PutPolicyOutcome};
use agentapi::stores::rate_limits::{Algorithm, Check, Checked, ReserveOutcome, SCRIPTS, SettleOutcome, Settlement};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Two keys in different partitions, and one in the partition of the first: as SHA-256 has it.
const KEYS: [&str; 3] = ["a", "b", "k103"];

async fn each_script_answers_the_same(bench: &Bench) {
    for algorithm in Algorithm::ALL {
        let [one, apart, beside] = KEYS.map(|key| check(key, *algorithm, 10, HOUR, 3));
        assert_eq!(bench.check(&one).await.current, 3, "{algorithm:?}");
        let shadow = Check { shadow: true, cost: 9, ..beside.clone() };
        assert!(bench.check(&shadow).await.allowed);
        assert!(!bench.check(&shadow).await.allowed);
        let told = bench.all(&[one.clone(), shadow, one.clone()]).await;
        assert_eq!(
            told.iter().map(|d| (d.allowed, d.current)).collect::<Vec<_>>(),
            [(true, 9), (false, 27), (true, 9)]
        );
        let denied = bench.all(&[one.clone(), apart.clone()]).await;
        assert_eq!(denied.iter().map(|d| (d.allowed, d.current)).collect::<Vec<_>>(), [(false, 9), (true, 0)]);
        let peeked = bench.limits.peek(&one).await.unwrap();
        assert!(!peeked.allowed && peeked.retry_after > Duration::ZERO && peeked.retry_after <= 2 * HOUR, "{peeked:?}");

        let (decision, held) = bench.reserve(&apart).await;
        assert_eq!((decision.allowed, decision.current), (true, 3));
        assert_eq!(bench.all(&[apart.clone(), check("c", *algorithm, 10, HOUR, 1)]).await[0].current, 6);
        let (decision, none) = bench.reserve(&one).await;
        assert!(!decision.allowed && none.is_none());
        let (id, how) = (held.unwrap().id, Settlement::Commit(5));
        assert_eq!(bench.limits.settle(&id, how).await, Ok(SettleOutcome::Settled(5)));
        assert_eq!(bench.limits.settle(&id, how).await, Ok(SettleOutcome::Settled(5)));
        assert_eq!(bench.limits.settle(&id, Settlement::Cancel).await, Ok(SettleOutcome::SettledOtherwise));
        assert_eq!(bench.limits.peek(&apart).await.unwrap().current, 8, "{algorithm:?}");
    }
    if bench.backend.name == "native" {
        assert_eq!(bench.endless().await, [""; 0]);
    }
    for key in ["a", "b", "c", "k103"] {
        let subject = check(key, Algorithm::SlidingLog, 1, HOUR, 1).subject;
        assert_eq!(bench.limits.reset(&subject).await, Ok(true), "{key}");
        assert_eq!(bench.limits.reset(&subject).await, Ok(false), "{key}");
    }
    policies(bench).await;
    let mut all: Vec<&str> = SCRIPTS.iter().map(|script| script.name()).collect();
    all.sort_unstable();
    assert_eq!(bench.ran(), all, "each has been run");
}

async fn policies(bench: &Bench) {
    let [one, other] = ["one", "other"].map(|name| Name::parse(name).unwrap());
    let policy =
        |limit| Policy { quota: check("any", Algorithm::TokenBucket, limit, HOUR, 1).quota, shadow: limit == 2 };
    for (name, limit, outcome) in [
        (&one, 1, PutPolicyOutcome::Created),
        (&one, 2, PutPolicyOutcome::Replaced),
        (&other, 3, PutPolicyOutcome::Created),
    ] {
        assert_eq!(bench.policies.put(name, policy(limit)).await, Ok(outcome));
    }
    let page = bench.policies.list(None, 1).await.unwrap();
    assert_eq!((page.items, page.next.as_deref()), (vec![(one.clone(), policy(2))], Some("one")));
    let page = bench.policies.list(Some("one"), 1).await.unwrap();
    assert_eq!((page.items, page.next), (vec![(other, policy(3))], None));
    assert_eq!((bench.policies.delete(&one).await, bench.policies.delete(&one).await), (Ok(true), Ok(false)));
}

async fn what_may_be_said_twice_changes_nothing_the_second_time(bench: &Bench) {
    bench.twice();
    each_script_answers_the_same(bench).await;
}

async fn too_many_windows_are_told_by_every_script(bench: &Bench) {
    let of = |n: u64| check("k", Algorithm::FixedWindow, 10, HOUR + Duration::from_millis(n), 1);
    for n in 0..32 {
        assert!(bench.check(&of(n)).await.allowed);
    }
    let more = of(99);
    assert_eq!(bench.limits.check(&[of(1), more.clone()]).await, Ok(Checked::TooManyWindows(1)));
    let elsewhere = check("a", Algorithm::SlidingWindow, 10, HOUR, 1);
    assert_eq!(bench.limits.check(&[elsewhere.clone(), more.clone()]).await, Ok(Checked::TooManyWindows(1)));
    assert_eq!(bench.limits.peek(&elsewhere).await.unwrap().current, 0);
    assert_eq!(bench.limits.reserve(&more, HOUR).await, Ok(ReserveOutcome::TooManyWindows));
}

on_every_backend!(
    each_script_answers_the_same,
    what_may_be_said_twice_changes_nothing_the_second_time,
    too_many_windows_are_told_by_every_script,
);

/// How many commands a real Redis ran, the script itself included.
#[tokio::test]
async fn a_check_is_four_commands_and_a_denied_one_three() {
    use crate::harness::{backend::Backend, redis_server::RedisServer};
    let bench = Bench::on(Backend::on(std::sync::Arc::new(RedisServer::start())));
    let commands = async || {
        let stats = bench.backend.say(["INFO", "commandstats"]).await.text().unwrap();
        let own =
            stats.lines().filter(|line| !line.contains("config") && !line.contains("info|") && !line.contains("_info"));
        own.filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    for (algorithm, allowed, denied) in [
        (Algorithm::SlidingWindow, 4, 3),
        (Algorithm::FixedWindow, 4, 3),
        (Algorithm::TokenBucket, 4, 3),
        (Algorithm::SlidingLog, 8, 5),
    ] {
        let one = check("k", algorithm, 2, HOUR, 1);
        bench.check(&one).await;
        for (expected, pass) in [(allowed, true), (denied, false)] {
            bench.backend.say(["CONFIG", "RESETSTAT"]).await.text().unwrap();
            assert_eq!(bench.check(&one).await.allowed, pass);
            assert_eq!(commands().await, expected, "{algorithm:?}");
        }
    }
}
