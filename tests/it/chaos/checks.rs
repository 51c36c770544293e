//! Rate limit checks while the way to Redis breaks again and again: none is ever counted twice, and what was answered
//! as counted is. Most checks have a key of their own, so that each can be looked at afterwards.

use super::alone;
use crate::harness::app::{App, Caller};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::{Fault, RestDouble};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const CALLERS: usize = 16;
/// How long faults go on.
const TIME: Duration = Duration::from_secs(3);
/// Holds that nobody came back to free themselves within this time.
const HOLD: Duration = Duration::from_millis(5500);
const ALGORITHMS: [&str; 4] = ["sliding_window", "sliding_log", "token_bucket", "fixed_window"];
/// A key that all callers use, beside those of their own.
const SHARED: &str = "shared";

/// Nothing that is used comes back, and nothing is ever denied.
fn check(key: &str, algorithm: &str) -> Value {
    json!({"key": key, "limit": 100_000, "window": "300d", "algorithm": algorithm})
}

/// A call that was made: what it asked, and whether the answer knows what all instances count.
struct Made {
    checks: Vec<Value>,
    is_certain: bool,
}

/// Asks until told to end: one key of its own, two in different partitions, the shared one.
async fn ask(caller: &Caller, lane: usize, ends: &AtomicBool) -> Vec<Made> {
    let mut made = Vec::new();
    for n in 0.. {
        if ends.load(SeqCst) {
            break;
        }
        let own = |part: &str| check(&format!("own-{lane}-{n}-{part}"), ALGORITHMS[(n + lane) % 4]);
        let checks = match n % 4 {
            0 | 1 => vec![own("a")],
            2 => vec![own("a"), own("b")],
            _ => vec![check(SHARED, "fixed_window")],
        };
        let body = if checks.len() == 1 { checks[0].clone() } else { json!({"checks": checks}) };
        let answer = caller.post("/v1/ratelimit/check", body).await;
        // A key that must be looked up again cannot be, once it is too long ago.
        let is_certain = match answer.status.as_u16() {
            200 => {
                let answer = answer.json();
                assert_eq!(answer["allowed"], true, "{answer}");
                !answer.to_string().contains("\"degraded\":true")
            }
            503 => false,
            _ => panic!("{answer:?}"),
        };
        if !is_certain {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        made.push(Made { checks, is_certain });
    }
    made
}

/// What was found in the end.
#[derive(Debug, Default)]
struct Found {
    asked: u64,
    certain: u64,
    counted: u64,
    /// Counted, although the answer was lost on the way.
    lost: u64,
}

/// Looks at every check that was made, through an application that nothing was done to.
async fn look(truth: &Caller, made: &[Made], ended: Instant) -> Found {
    let current = async |check: &Value| {
        let [key, window, algorithm] = ["key", "window", "algorithm"].map(|name| check[name].as_str().expect("a text"));
        let path = format!("/v1/ratelimit?key={key}&limit={}&window={window}&algorithm={algorithm}", check["limit"]);
        let answer = truth.get(&path).await.expect(StatusCode::OK);
        assert!(answer.get("degraded").is_none(), "{answer}");
        answer["current"].as_u64().expect("a number")
    };
    let (own, shared): (Vec<&Made>, Vec<&Made>) = made.iter().partition(|made| made.checks[0]["key"] != SHARED);
    let (alone, pairs): (Vec<&Made>, Vec<&Made>) = own.into_iter().partition(|made| made.checks.len() == 1);
    let checks = |made: Vec<&'_ Made>| -> Vec<(bool, Value)> {
        made.iter().flat_map(|made| made.checks.iter().map(|check| (made.is_certain, check.clone()))).collect()
    };
    let (alone, pairs) = (checks(alone), checks(pairs));
    let mut found = Found::default();
    for some in alone.chunks(CALLERS).chain(pairs.chunks(CALLERS)) {
        if some.first().map(|(_, check)| check) == pairs.first().map(|(_, check)| check) {
            tokio::time::sleep_until((ended + HOLD).into()).await;
        }
        let counted = join_all(some.iter().map(|(_, check)| current(check))).await;
        for ((is_certain, check), counted) in some.iter().zip(counted) {
            assert!(counted <= 1, "counted {counted} times: {check}");
            assert!(counted == 1 || !is_certain, "answered as counted, and is not: {check}");
            found.asked += 1;
            found.counted += counted;
            found.certain += u64::from(*is_certain);
            found.lost += u64::from(!is_certain && counted == 1);
        }
    }
    let counted = current(&check(SHARED, "fixed_window")).await;
    let (asked, certain) = (shared.len() as u64, shared.iter().filter(|made| made.is_certain).count() as u64);
    assert!((certain..=asked).contains(&counted), "{certain} answered, {counted} counted, {asked} asked");
    found.lost += counted - certain;
    found.asked += asked;
    found.certain += certain;
    found.counted += counted;
    found
}

/// Lets callers ask `app` while `fail` breaks its way, and looks at what became of it through another application.
async fn under_faults(redis: &Arc<RedisServer>, app: &App, fail: impl AsyncFnOnce(Instant)) -> Found {
    let truth = App::over(redis.clone(), &[("REDIS_KEY_PREFIX", "checks"), ("RATE_LIMIT_ENABLED", "false")]);
    let secret = format!("Bearer {}", app.tenant().await.secret);
    let callers: Vec<Caller> = (0..CALLERS).map(|_| app.anyone().with("authorization", &secret)).collect();
    let ends = AtomicBool::new(false);
    let asking = join_all(callers.iter().enumerate().map(|(lane, caller)| ask(caller, lane, &ends)));
    let failing = async {
        fail(Instant::now() + TIME).await;
        ends.store(true, SeqCst);
    };
    let (made, ()) = tokio::join!(asking, failing);
    let ended = Instant::now();
    let made: Vec<Made> = made.into_iter().flatten().collect();
    let found = look(&truth.anyone().with("authorization", &secret), &made, ended).await;
    println!("{CALLERS} callers for {TIME:?}: {found:?}");
    assert!(found.certain <= found.counted && found.counted <= found.asked);
    assert!(found.certain > 500 && found.asked > found.certain, "some were answered, some were not: {found:?}");
    assert!(found.lost > 0, "no check was counted whose answer was lost, which is what could be repeated: {found:?}");
    found
}

const PREFIX: (&str, &str) = ("REDIS_KEY_PREFIX", "checks");
const UNLIMITED: (&str, &str) = ("RATE_LIMIT_ENABLED", "false");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_check_is_counted_twice_while_connections_are_cut() {
    let _alone = alone().await;
    let redis = Arc::new(RedisServer::start());
    let network = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", network.port());
    let app = App::over(redis.clone(), &[("REDIS_URL", &url), PREFIX, UNLIMITED]);
    let faults = AtomicU64::new(0);
    under_faults(&redis, &app, async |end| {
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(150)).await;
            match faults.fetch_add(1, SeqCst) % 4 {
                // An answer is cut short, and the connection with it: what it carried has run.
                0 | 2 => network.set(Mode::Truncate),
                1 => drop(network.reset()),
                _ => {
                    network.set(Mode::Hold);
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    network.set(Mode::Pass);
                }
            }
        }
        network.set(Mode::Pass);
    })
    .await;
    let counts = network.counts();
    let [resets, truncated, held] = [&counts.resets, &counts.truncated, &counts.held].map(|count| count.load(SeqCst));
    println!("{} faults: {resets} resets, {truncated} answers cut short, {held} bytes held", faults.into_inner());
    assert!(resets > 1 && truncated > 1 && held > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_check_is_counted_twice_while_answers_over_rest_are_lost() {
    let _alone = alone().await;
    let redis = Arc::new(RedisServer::start());
    let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
    let app = App::over_rest(redis.clone(), double.clone(), &[PREFIX, UNLIMITED]);
    let faults = [Fault::HangUpAfter, Fault::Truncated, Fault::ResetAfter, Fault::HangUpBefore, Fault::answer(503, "")];
    under_faults(&redis, &app, async |end| {
        let these = faults.clone();
        double.inject(move |number, _| {
            number.is_multiple_of(12).then(|| these[number as usize / 12 % these.len()].clone())
        });
        tokio::time::sleep_until(end.into()).await;
        double.heal();
    })
    .await;
    let injected = faults.each_ref().map(|fault| double.injected(fault));
    println!("injected: {injected:?}");
    assert!(injected.iter().all(|count| *count > 0), "{injected:?}");
}
