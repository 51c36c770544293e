//! Several checks in one call, from all sides at once: all are counted or none is, in one partition and across.

use super::{ALGORITHMS, Two, ask, check, is_allowed, number};
use crate::harness::app::On;
use agentapi::db::Partition;
use serde_json::{Value, json};
use std::time::Duration;

/// An instance that has denied often denies from memory, at most 250 ms long.
const REMEMBERED: Duration = Duration::from_millis(300);

/// This many keys that lie in one partition, or that each lie in one of their own.
fn keys(count: usize, together: bool) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for n in 0.. {
        let (key, known) = (format!("several-{together}-{n}"), |key: &String| Partition::of(key).digits());
        let fits = |of: &String| (known(of) == known(&key)) == together;
        if keys.iter().all(fits) {
            keys.push(key);
        }
        if keys.len() == count {
            break;
        }
    }
    keys
}

/// What each check of an answer says, if the whole is coherent.
fn results<'a>(answer: &'a Value, checks: &[Value]) -> Vec<&'a Value> {
    let results: Vec<&Value> = answer["results"].as_array().expect("results").iter().collect();
    assert_eq!(results.len(), checks.len());
    assert!(results.iter().zip(checks).all(|(result, check)| result["key"] == check["key"]), "{answer}");
    // A key may be asked for twice in one call.
    let mut violated: Vec<&Value> = Vec::new();
    for result in results.iter().filter(|result| !is_allowed(result)) {
        if !violated.contains(&&result["key"]) {
            violated.push(&result["key"]);
        }
    }
    assert_eq!(answer["violated"].as_array().expect("a list").iter().collect::<Vec<_>>(), violated, "{answer}");
    assert_eq!(is_allowed(answer), violated.is_empty(), "{answer}");
    assert_eq!(number(answer, "retry_after_ms") > 0, !violated.is_empty(), "{answer}");
    results
}

/// Three keys with different limits in every call: the smallest decides.
async fn the_smallest_limit_decides(on: On, together: bool) {
    const LIMITS: [u64; 3] = [50, 40, 60];
    let two = Two::on(on).await;
    for algorithm in ALGORITHMS {
        let checks: Vec<Value> =
            keys(3, together).iter().zip(LIMITS).map(|(key, limit)| check(key, limit, algorithm)).collect();
        let call = json!({"checks": checks});
        let answers = two.ask(1, async |caller, _| ask(caller, &call).await).await;
        let mut allowed = 0;
        for answer in &answers {
            let results = results(answer, &checks);
            assert!(results.iter().zip(LIMITS).all(|(result, limit)| number(result, "current") <= limit), "{answer}");
            allowed += u64::from(is_allowed(answer));
        }
        if together {
            assert_eq!(allowed, 40, "{algorithm}");
        }
        // Calls that were under way at the same time may have refused each other. One that is alone is served, once
        // the instances have forgotten that.
        tokio::time::sleep(REMEMBERED).await;
        while is_allowed(&ask(&two.callers[0], &call).await) {
            allowed += 1;
        }
        assert_eq!(allowed, 40, "{algorithm}");
        for check in &checks {
            assert_eq!(two.current(check).await, 40, "counted without being allowed, or the reverse: {check}");
        }
    }
    two.every_limiter_key_expires().await;
}

#[tokio::test]
async fn in_one_partition_all_are_counted_or_none_on_native() {
    the_smallest_limit_decides(On::Native, true).await;
}

#[tokio::test]
async fn in_one_partition_all_are_counted_or_none_on_rest() {
    the_smallest_limit_decides(On::Rest, true).await;
}

#[tokio::test]
async fn across_partitions_all_are_counted_or_none_on_native() {
    the_smallest_limit_decides(On::Native, false).await;
}

#[tokio::test]
async fn across_partitions_all_are_counted_or_none_on_rest() {
    the_smallest_limit_decides(On::Rest, false).await;
}

/// Overlapping choices of keys, algorithms and costs, with single checks between.
async fn overlapping_calls_count_what_was_allowed(on: On) {
    let two = Two::on(on).await;
    let keys: Vec<String> = [keys(3, true), keys(3, false)].concat();
    let one = |n: usize| {
        let key = n % keys.len();
        let mut check = check(&keys[key], 60, ALGORITHMS[key % 4]);
        check["cost"] = json!(1 + n % 3);
        check
    };
    let of = |n: usize| match n % 3 {
        0 => json!({"checks": [one(n), one(n / 3 + 1), one(n / 7 + 2)]}),
        1 => json!({"checks": [one(n), one(n / 5)]}),
        _ => json!({"checks": [one(n / 3)]}),
    };
    let answers = two.ask(4, async |caller, n| (of(n), ask(caller, &of(n)).await)).await;
    let mut used = vec![0; keys.len()];
    for (call, answer) in &answers {
        let checks = call["checks"].as_array().expect("checks");
        results(answer, checks);
        for check in checks.iter().filter(|_| is_allowed(answer)) {
            used[keys.iter().position(|key| check["key"] == **key).expect("one of them")] += number(check, "cost");
        }
    }
    tokio::time::sleep(REMEMBERED).await;
    for (n, mut used) in used.into_iter().enumerate() {
        let mut check = one(n);
        assert!((1..=60).contains(&used), "{used} of 60");
        assert_eq!(two.current(&check).await, used, "{check}");
        check["cost"] = json!(1);
        while is_allowed(&ask(&two.callers[n % 2], &check).await) {
            used += 1;
        }
        assert_eq!(used, 60, "nothing is lost to calls that were refused: {check}");
    }
    two.every_limiter_key_expires().await;
}

#[tokio::test]
async fn overlapping_calls_count_exactly_what_was_allowed_on_native() {
    overlapping_calls_count_what_was_allowed(On::Native).await;
}

#[tokio::test]
async fn overlapping_calls_count_exactly_what_was_allowed_on_rest() {
    overlapping_calls_count_what_was_allowed(On::Rest).await;
}
