//! Connections to a Redis that is well, through a network that is not: which are given up, how often a new
//! one is tried, and how soon all is well again. The times are the defaults.

use crate::harness::app::{App, Caller, Tenant};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a busy machine may add to any time.
const SLACK: Duration = Duration::from_secs(1);

/// An application whose Redis is behind a network of ours, and a session.
struct World {
    proxy: ChaosProxy,
    app: App,
    tenant: Tenant,
    session: String,
}

impl World {
    async fn with(workers: &str) -> World {
        let redis = Arc::new(RedisServer::start());
        let proxy = ChaosProxy::before(redis.port());
        let url = format!("redis://127.0.0.1:{}", proxy.port());
        let app = App::over(redis, &[("REDIS_URL", &url), ("WORKERS", workers)]);
        let tenant = app.tenant().await;
        let made = tenant.post("/v1/sessions", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
        let session = format!("/v1/sessions/{}?touch=false", made["id"].as_str().unwrap());
        World { proxy, app, tenant, session }
    }

    /// Waits until it is read again, by one call after the other, and says how long that took.
    async fn heals(&self) -> Duration {
        let begun = Instant::now();
        while self.tenant.get(&self.session).await.status != StatusCode::OK {
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not heal");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    fn accepted(&self) -> u64 {
        self.proxy.counts().accepted.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_black_holed_connection_is_replaced_within_two_seconds() {
    let world = World::with("1").await;
    for _ in 0..3 {
        world.heals().await;
        let (before, swallowed) = (world.accepted(), world.proxy.counts().swallowed.load(Ordering::SeqCst));
        world.proxy.black_hole_existing();
        let healed = world.heals().await;
        assert!(healed < Duration::from_secs(2) + SLACK, "{healed:?}");
        assert!(world.accepted() > before && world.proxy.counts().swallowed.load(Ordering::SeqCst) > swallowed);
    }
}

#[tokio::test]
async fn a_single_call_is_enough_to_find_a_black_hole_out() {
    let world = World::with("1").await;
    world.proxy.black_hole_existing();
    let lost = world.tenant.post("/v1/sessions", json!({"user_id": "u1"})).await;
    assert!(world.proxy.counts().swallowed.load(Ordering::SeqCst) > 0);
    if lost.status != StatusCode::CREATED {
        lost.refused(503, "backend_unavailable");
    }
    // Nobody asks anything until the connection is closed.
    let (begun, before) = (Instant::now(), world.proxy.open());
    while world.proxy.open() >= before && lost.status != StatusCode::CREATED {
        assert!(begun.elapsed() < Duration::from_secs(2) + SLACK);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.tenant.get(&world.session).await.status, StatusCode::OK, "the first that comes is served");
}

#[tokio::test]
async fn answers_that_drip_are_no_answers() {
    let world = World::with("1").await;
    let before = world.accepted();
    world.proxy.set(Mode::Drip(Duration::from_millis(200)));
    let begun = Instant::now();
    while world.accepted() == before {
        world.tenant.get(&world.session).await.refused(503, "backend_unavailable");
        assert!(begun.elapsed() < Duration::from_secs(10), "the connection is kept");
    }
    assert!(world.proxy.counts().dripped.load(Ordering::SeqCst) > 0);
    world.proxy.set(Mode::Pass);
    assert!(world.heals().await < Duration::from_secs(2) + SLACK);
}

/// Asks all the time, over as many connections as it takes to reach every worker, until it is told to stop.
fn hammer(world: &World, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<u64>> {
    let callers = (0..8).map(|_| {
        // A client of its own.
        let caller = Caller::of(&world.app.base).with("x-api-key", &world.tenant.secret);
        let (path, stop) = (world.session.clone(), stop.clone());
        tokio::spawn(async move {
            let mut asked = 0;
            while !stop.load(Ordering::SeqCst) {
                let answer = caller.get(&path).await;
                assert!(matches!(answer.status.as_u16(), 200 | 503), "{}", answer.text);
                asked += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            asked
        })
    });
    callers.collect()
}

#[tokio::test]
async fn a_redis_that_is_away_is_tried_five_times_a_second_and_served_by_at_once_when_it_is_back() {
    let world = World::with("4").await;
    let stop = Arc::default();
    let callers = hammer(&world, &stop);
    world.heals().await;
    world.proxy.set(Mode::HangUp);
    let (begun, before) = (Instant::now(), world.accepted());
    assert!(world.proxy.reset() > 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (tried, within) = (world.accepted() - before, begun.elapsed());
    // At first all who lost their connection try once: four workers and the background.
    let most = 5 + 5 * (within.as_secs() + 1);
    assert!((5..=most).contains(&tried), "{tried} in {within:?}");
    world.proxy.set(Mode::Pass);
    let healed = world.heals().await;
    assert!(healed < Duration::from_millis(250) + SLACK, "{healed:?}");
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        assert!(caller.await.unwrap() > 50, "refusals come at once");
    }
}

#[tokio::test]
async fn a_network_that_drops_each_connection_soon_is_not_flooded_with_new_ones() {
    let world = World::with("4").await;
    let stop = Arc::default();
    let callers = hammer(&world, &stop);
    let (begun, before) = (Instant::now(), world.accepted());
    let resets = AtomicU64::new(0);
    while begun.elapsed() < Duration::from_secs(3) {
        resets.fetch_add(world.proxy.reset(), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (opened, within) = (world.accepted() - before, begun.elapsed());
    assert!(resets.load(Ordering::SeqCst) > 10);
    let most = 10 + 5 * (within.as_secs() + 1);
    assert!((10..=most).contains(&opened), "{opened} in {within:?}");
    assert!(world.heals().await < SLACK);
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn a_redis_that_stands_still_is_left_and_found_again_when_it_goes_on() {
    let world = World::with("2").await;
    let redis = world.app.redis.clone().unwrap();
    let begun = Instant::now();
    redis.stop();
    world.tenant.get(&world.session).await.refused(503, "backend_unavailable");
    while begun.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        world.tenant.get(&world.session).await.refused(503, "backend_unavailable");
        assert!(asked.elapsed() < Duration::from_secs(2) + SLACK);
    }
    redis.go_on();
    let healed = world.heals().await;
    assert!(healed < Duration::from_millis(250) + SLACK, "{healed:?}");
}
