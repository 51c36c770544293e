//! A Redis that is killed and comes back, under load.

use super::writer::{self, Orders, Writer};
use super::{SLACK, alone, spread};
use crate::harness::app::{App, Caller};
use crate::harness::redis_server::RedisServer;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const CRASHES: u64 = 20;
const WRITERS: usize = 16;
/// What `REQUEST_TIMEOUT` is by default.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks over one connection until it is served, and says when that was.
async fn served(caller: &Caller) -> Instant {
    let begun = Instant::now();
    loop {
        let status = caller.get("/v1/sessions/probe?touch=false").await.status;
        if status == StatusCode::OK {
            return Instant::now();
        }
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not served again");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_crashes_twenty_times_loses_nothing_that_was_acknowledged() {
    let _alone = alone().await;
    let server = Arc::new(RedisServer::start_durable());
    let app = App::over(server.clone(), &[("WORKERS", "2")]);
    let tenant = app.tenant().await;
    tenant.put("/v1/sessions/probe", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    // Connections go to the workers in turn, so that these reach both.
    let key = format!("Bearer {}", tenant.secret);
    let probes: Vec<Caller> = (0..8).map(|_| Caller::of(&app.base).with("authorization", &key)).collect();
    for probe in &probes {
        served(probe).await;
    }
    let orders = Arc::new(Orders::default());
    let writers = writer::start(&app, WRITERS, &orders).await;
    let mut again = Vec::new();
    for crash in 1..=CRASHES {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.kill();
        // Down for a moment, or for long enough that everything notices.
        tokio::time::sleep(Duration::from_millis(crash * 37 % 400)).await;
        assert_eq!(probes[0].get("/v1/sessions/probe").await.status, StatusCode::SERVICE_UNAVAILABLE, "it is down");
        let waits = server.clone();
        let answers = tokio::task::spawn_blocking(move || {
            waits.begin();
            waits.until_it_answers()
        });
        let (answers, served) = tokio::join!(answers, join_all(probes.iter().map(served)));
        let answers = answers.expect("it comes back");
        again.extend(served.into_iter().map(|served| served.saturating_duration_since(answers)));
        orders.looks.store(crash, SeqCst);
        let begun = Instant::now();
        while orders.looked.load(SeqCst) < crash * WRITERS as u64 {
            assert!(begun.elapsed() < Duration::from_secs(30) && writers.iter().all(|writer| !writer.is_finished()));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    orders.ends.store(true, SeqCst);
    let writers: Vec<Writer> =
        join_all(writers).await.into_iter().map(|writer| writer.expect("nothing is lost")).collect();
    let samples = || writers.iter().flat_map(|writer| &writer.samples);
    let (answers, refused) = (samples().count(), samples().filter(|sample| sample.status == 503).count());
    let longest = samples().map(|sample| sample.took).max().expect("answers");
    let acknowledged: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
    println!(
        "{CRASHES} crashes: {acknowledged} writes acknowledged, 0 lost; {answers} answers, {refused} of them 503, the \
         longest after {longest:?}; served again after Redis answered: {}",
        spread(&mut again)
    );
    assert!(acknowledged > 1000 && refused > CRASHES as usize, "there was load, and it was felt");
    assert!(longest < REQUEST_TIMEOUT + SLACK, "{longest:?}");
    assert!(again.iter().max() < Some(&Duration::from_secs(1)));
}
