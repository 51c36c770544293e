//! Checks of one key at a time, by each algorithm: exactly the limit, and each use a number of its own.

use super::{ALGORITHMS, CALLERS, Two, ask, check, is_allowed, number};
use crate::harness::app::On;
use serde_json::{Value, json};

/// What was asked, and the answer.
type Asked = (u64, Value);

/// A cost from 1 to 7, the same each time for a question.
fn cost_of(question: usize) -> u64 {
    1 + (question as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 7
}

/// The allowed, in the order in which they were counted. Each stands on the one before, so that nothing was counted
/// that was not told, and nobody was told what somebody else used.
fn chained(answers: &[Asked], room: u64) -> u64 {
    let mut uses: Vec<(u64, u64)> =
        answers.iter().filter(|(_, a)| is_allowed(a)).map(|(cost, a)| (number(a, "current"), *cost)).collect();
    uses.sort_unstable();
    let used = uses.iter().fold(0, |used, (current, cost)| {
        assert_eq!(used + cost, *current, "{uses:?}");
        *current
    });
    assert!(used <= room, "{used} of {room}");
    used
}

/// What each answer must say, whoever was served before.
fn coherent((cost, answer): &Asked, limit: u64, room: u64) {
    let [current, retry] = ["current", "retry_after_ms"].map(|member| number(answer, member));
    assert_eq!(number(answer, "limit"), limit);
    assert_eq!(number(answer, "remaining"), limit.saturating_sub(current), "{answer}");
    assert!(number(answer, "reset_ms") > 0, "{answer}");
    if is_allowed(answer) {
        assert!(retry == 0 && current <= room, "{answer}");
    } else {
        assert!(retry > 0 && current + cost > room, "{cost} fits: {answer}");
    }
}

async fn the_limit_is_exact(on: On) {
    let two = Two::on(on).await;
    for (algorithm, burst) in ALGORITHMS.into_iter().flat_map(|algorithm| [(algorithm, 0), (algorithm, 17)]) {
        let mut body = check(&format!("ones:{burst}"), 100, algorithm);
        body["burst"] = json!(burst);
        let answers = two.ask(2, async |caller, _| (1, ask(caller, &body).await)).await;
        assert!(answers.len() == 2 * CALLERS && answers.len() as u64 > 100 + burst);
        answers.iter().for_each(|asked| coherent(asked, 100, 100 + burst));
        assert_eq!(chained(&answers, 100 + burst), 100 + burst, "{algorithm}");
        assert_eq!(two.current(&body).await, 100 + burst, "{algorithm}");
    }
    two.every_limiter_key_expires().await;
}

#[tokio::test]
async fn sixty_four_callers_over_two_instances_are_allowed_exactly_the_limit_on_native() {
    the_limit_is_exact(On::Native).await;
}

#[tokio::test]
async fn sixty_four_callers_over_two_instances_are_allowed_exactly_the_limit_on_rest() {
    the_limit_is_exact(On::Rest).await;
}

async fn mixed_costs_are_exact(on: On) {
    let two = Two::on(on).await;
    for algorithm in ALGORITHMS {
        let (limit, burst) = (400, 10);
        let mut body = check("mixed", limit, algorithm);
        body["burst"] = json!(burst);
        let of = |cost: u64| {
            let mut body = body.clone();
            body["cost"] = json!(cost);
            body
        };
        let answers = two.ask(2, async |caller, n| (cost_of(n), ask(caller, &of(cost_of(n))).await)).await;
        answers.iter().for_each(|asked| coherent(asked, limit, limit + burst));
        let used = chained(&answers, limit + burst);
        assert_eq!(two.current(&body).await, used, "{algorithm}");
        assert!(used + 7 > limit + burst, "{algorithm}: what fits is not refused, and {used} are used");
        // What is left is exactly what is left.
        let left = limit + burst - used;
        assert!(!is_allowed(&ask(&two.callers[0], &of(left + 1)).await), "{algorithm}");
        if left > 0 {
            assert!(is_allowed(&ask(&two.callers[1], &of(left)).await), "{algorithm}");
        }
        assert!(!is_allowed(&ask(&two.callers[0], &of(1)).await), "{algorithm}");
        assert_eq!(two.current(&body).await, limit + burst, "{algorithm}");
    }
    two.every_limiter_key_expires().await;
}

#[tokio::test]
async fn mixed_costs_never_exceed_the_limit_and_one_that_fits_is_not_refused_on_native() {
    mixed_costs_are_exact(On::Native).await;
}

#[tokio::test]
async fn mixed_costs_never_exceed_the_limit_and_one_that_fits_is_not_refused_on_rest() {
    mixed_costs_are_exact(On::Rest).await;
}

#[tokio::test]
async fn algorithms_and_windows_of_one_key_are_counted_apart_while_all_are_used_at_once() {
    let two = Two::on(On::Native).await;
    let limit = |n: usize| 20 + (n % 8) as u64;
    let of = |n: usize| {
        let mut body = check("many", limit(n), ALGORITHMS[n % 4]);
        body["window"] = json!(["300d", "299d"][n / 4 % 2]);
        body
    };
    let answers = two.ask(6, async |caller, n| (n % 8, ask(caller, &of(n)).await)).await;
    for kind in 0..8 {
        let these: Vec<Asked> =
            answers.iter().filter(|(asked, _)| *asked == kind).map(|(_, answer)| (1, answer.clone())).collect();
        assert!(these.len() as u64 > limit(kind));
        assert_eq!(chained(&these, limit(kind)), limit(kind), "{}", of(kind));
    }
    two.every_limiter_key_expires().await;
}
