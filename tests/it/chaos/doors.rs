//! Two ways to one Redis, of which one, the other or both fail, under writers who know what was acknowledged.

use super::writer::{self, Orders, Writer};
use super::{SLACK, Sample, alone, is_full, spread};
use crate::harness::app::{App, Caller};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::{Fault, RestDouble};
use futures_util::future::join_all;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

struct World {
    redis: Arc<RedisServer>,
    network: ChaosProxy,
    double: RestDouble,
    app: App,
}

async fn world(fallback: &str) -> World {
    let redis = Arc::new(RedisServer::start_durable());
    let (network, double) = (ChaosProxy::before(redis.port()), RestDouble::start(redis.port(), "rest-token"));
    let (native, rest) = (format!("redis://127.0.0.1:{}", network.port()), double.url());
    let app = App::over(
        redis.clone(),
        &[
            ("REDIS_URL", &native),
            ("UPSTASH_REDIS_REST_URL", &rest),
            ("UPSTASH_REDIS_REST_TOKEN", "rest-token"),
            ("REDIS_REST_FALLBACK", fallback),
            ("REDIS_FAILBACK_AFTER", "2s"),
            ("WORKERS", "2"),
        ],
    );
    let world = World { redis, network, double, app };
    world.until(|status| fallback == "false" || status["failover"] == "ready").await;
    world
}

impl World {
    async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Duration {
        let (begun, anyone) = (Instant::now(), Caller::of(&self.app.base));
        loop {
            let status = anyone.get("/status").await.json();
            if wanted(&status) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it stays {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_either_way_and_both_fail_under_writers() {
    let _alone = alone().await;
    let world = world("true").await;
    let orders = Arc::new(Orders::default());
    let writers = writer::start(&world.app, 16, &orders).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut marks = Vec::new();
    let on_rest = |status: &Value| status["transport"] == "rest" && status["status"] != "unavailable";
    let on_native = |status: &Value| status["transport"] == "native" && status["status"] == "ok";
    let serves = |status: &Value| status["status"] != "unavailable";

    // The native way swallows what is sent, for new connections too.
    world.network.set(Mode::BlackHole);
    world.network.black_hole_existing();
    marks.push(("native black-holed: served over REST", world.until(on_rest).await));
    tokio::time::sleep(Duration::from_millis(500)).await;
    // A crash behind REST.
    world.redis.kill();
    marks.push(("crash behind REST: noticed", world.until(|status| status["status"] == "unavailable").await));
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.redis.begin();
    world.redis.until_it_answers();
    marks.push(("back behind REST: served", world.until(serves).await));
    world.network.set(Mode::Pass);
    world.network.reset();
    marks.push(("native healed: taken again", world.until(on_native).await));
    // A crash under both while native is in use.
    world.redis.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.redis.begin();
    world.redis.until_it_answers();
    marks.push(("crash under both: served", world.until(serves).await));
    tokio::time::sleep(Duration::from_secs(11)).await;
    world.until(on_native).await;
    // What is sent is held back: it arrives when the same was done over REST.
    world.network.set(Mode::Hold);
    marks.push(("native held: served over REST", world.until(on_rest).await));
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.network.set(Mode::Pass);
    marks.push(("native let go: taken again", world.until(on_native).await));
    // Both dead, then one of them.
    world.double.always(Fault::DelayBefore(Duration::from_secs(600)));
    world.network.set(Mode::BlackHole);
    world.network.black_hole_existing();
    marks.push(("both hang: said so", world.until(|status| status["status"] == "unavailable").await));
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.double.heal();
    marks.push(("REST healed: served", world.until(serves).await));
    world.network.set(Mode::Pass);
    world.network.reset();
    marks.push(("native healed: taken again", world.until(on_native).await));
    orders.ends.store(true, SeqCst);
    let writers: Vec<Writer> =
        join_all(writers).await.into_iter().map(|writer| writer.expect("nothing is lost")).collect();
    let samples: Vec<Sample> = writers.iter().flat_map(|writer| writer.samples.iter().copied()).collect();
    let longest = samples.iter().map(|sample| sample.took).max().expect("answers");
    let acknowledged: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
    for (what, took) in &marks {
        println!("{what}: {took:?}");
    }
    let slow = samples.iter().filter(|sample| sample.took > Duration::from_millis(1100)).count();
    println!(
        "{acknowledged} acknowledged, 0 lost; {} answers, {} 503, {slow} slower than 1.1 s, longest {longest:?}",
        samples.len(),
        samples.iter().filter(|sample| sample.status == 503).count()
    );
    assert!(world.network.counts().swallowed.load(SeqCst) > 0 && world.network.counts().held.load(SeqCst) > 0);
    assert!(longest < REQUEST_TIMEOUT + SLACK, "{longest:?}");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_faults_leave_no_connection_behind() {
    let _alone = alone().await;
    let world = world("false").await;
    let tenant = world.app.tenant().await;
    let key = format!("Bearer {}", tenant.secret);
    let callers: Vec<Caller> = (0..8).map(|_| Caller::of(&world.app.base).with("authorization", &key)).collect();
    let serve = async || {
        let begun = Instant::now();
        let answers = join_all(callers.iter().map(async |caller| {
            while caller.get("/v1/sessions?limit=1").await.status != 200 {
                assert!(begun.elapsed() < Duration::from_secs(30), "it is not served again");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }));
        answers.await;
        begun.elapsed()
    };
    serve().await;
    let (before, open) = (descriptors(), world.network.open());
    let mut took = Vec::new();
    for fault in 0..if is_full() { 100 } else { 24 } {
        match fault % 4 {
            0 => drop(world.network.reset()),
            1 => world.network.set(Mode::Truncate),
            2 => world.network.set(Mode::HangUp),
            _ => {
                world.network.set(Mode::Refuse);
                world.network.reset();
            }
        }
        if fault % 4 > 1 {
            world.network.reset();
            drop(callers[0].get("/v1/sessions?limit=1").await);
            world.network.set(Mode::Pass);
        }
        took.push(serve().await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (after, open_now) = (descriptors(), world.network.open());
    println!(
        "descriptors {before} to {after}, native connections {open} to {open_now} of {} accepted; served again: {}",
        world.network.counts().accepted.load(SeqCst),
        spread(&mut took)
    );
    assert!(open_now <= 4, "one for each thread at most");
    assert!(after <= before + 24, "{before} to {after}");
}
