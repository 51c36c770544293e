//! A backend that comes and goes faster than anybody can follow, under load.

use crate::harness::app::{App, Caller};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const FLAPS: usize = 16;

#[derive(Default)]
struct Seen {
    alive: Vec<Value>,
    ended: Vec<String>,
    from_memory: usize,
    slowest: Duration,
}

fn path(session: &Value) -> String {
    format!("/v1/sessions/{}", session["id"].as_str().unwrap())
}

/// Signs in, refreshes, moves and ends the sessions of one user until it is told to stop.
async fn live(caller: Caller, user: String, flaps: Arc<AtomicUsize>) -> Seen {
    let mut seen = Seen::default();
    let mut turn = 0;
    while flaps.load(Ordering::SeqCst) < FLAPS {
        turn += 1;
        let begun = Instant::now();
        let answer = match (turn % 6, seen.alive.pop()) {
            (1, Some(one)) => {
                let answer = caller.delete(&path(&one)).await;
                match answer.status {
                    StatusCode::NO_CONTENT => seen.ended.push(path(&one)),
                    // It may have been ended by an attempt whose answer was lost.
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    other => panic!("{other}: {}", answer.text),
                }
                answer
            }
            (2, Some(one)) => {
                let token = json!({"refresh_token": one["refresh_token"]});
                let answer = caller.post("/v1/sessions/refresh", token).await;
                match answer.status {
                    StatusCode::OK => {
                        seen.ended.push(path(&one));
                        seen.alive.push(answer.json());
                    }
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    other => panic!("{other}: {}", answer.text),
                }
                answer
            }
            (3, Some(one)) => {
                let answer = caller.get(&path(&one)).await;
                assert!(matches!(answer.status.as_u16(), 200 | 503), "{}", answer.text);
                seen.alive.push(one);
                answer
            }
            (_, last) => {
                seen.alive.extend(last);
                let answer = caller.post("/v1/sessions", json!({"user_id": user, "refresh": true})).await;
                match answer.status {
                    StatusCode::CREATED => seen.alive.insert(0, answer.json()),
                    other => assert_eq!(other, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text),
                }
                answer
            }
        };
        seen.slowest = seen.slowest.max(begun.elapsed());
        seen.from_memory += usize::from(answer.header("x-degraded") == "memory");
        assert!(answer.status != StatusCode::SERVICE_UNAVAILABLE || answer.header("x-degraded").is_empty());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_comes_and_goes_loses_no_session_and_brings_none_back() {
    let redis = Arc::new(RedisServer::start());
    let network = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", network.port());
    let app = App::over(redis.clone(), &[("REDIS_URL", &url), ("SESSION_FALLBACK", "memory"), ("WORKERS", "2")]);
    let tenant = app.tenant().await;
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    let flaps = Arc::new(AtomicUsize::new(0));
    let users: Vec<_> = (0..6).map(|n| tokio::spawn(live((*tenant).clone(), format!("u{n}"), flaps.clone()))).collect();
    let mut cut = 0;
    for flap in 0..FLAPS {
        // Shorter and longer than a probe, than a step of the way back and than what opens a breaker.
        tokio::time::sleep(Duration::from_millis([300, 100, 700, 450][flap % 4])).await;
        if flap % 2 == 0 {
            network.set(Mode::Refuse);
            cut += network.reset();
        } else {
            network.set(Mode::Pass);
        }
        flaps.store(flap + 1, Ordering::SeqCst);
    }
    assert!(cut >= FLAPS as u64 / 2, "only {cut} connections were lost");
    let mut all = Vec::new();
    for user in users {
        all.push(user.await.expect("nothing unexpected was answered"));
    }
    let begun = Instant::now();
    while tenant.get("/v1/sessions").await.status != StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never comes back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (mut from_memory, mut alive, mut ended) = (0, 0, 0);
    for seen in &all {
        from_memory += seen.from_memory;
        assert!(seen.slowest < Duration::from_secs(4), "REQUEST_TIMEOUT is 2 s: {:?}", seen.slowest);
        for (paths, status) in [(seen.alive.iter().map(path).collect(), 200), (seen.ended.clone(), 404)] {
            for path in &paths as &Vec<String> {
                let answer = tenant.get(path).await;
                assert_eq!((answer.status.as_u16(), answer.header("x-degraded")), (status, ""), "{}", answer.text);
            }
        }
        alive += seen.alive.len();
        ended += seen.ended.len();
    }
    assert!(from_memory > 50 && alive > 50 && ended > 50, "{from_memory} from memory, {alive} alive, {ended} ended");
}
