//! A Redis that hangs: its process is stopped, its connections stay open, and nothing is answered.

use super::writer::{self, Orders, Writer};
use super::{SLACK, Sample, alone, percentile};
use crate::harness::app::App;
use crate::harness::redis_server::RedisServer;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const STOPPED: Duration = Duration::from_secs(5);
/// A refusal that came sooner than this was not waited for.
const AT_ONCE: Duration = Duration::from_millis(50);
const PROMISED: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_noticed_once_and_then_holds_nobody_up() {
    let _alone = alone().await;
    let server = Arc::new(RedisServer::start_durable());
    let app = App::over(server.clone(), &[("WORKERS", "2")]);
    let orders = Arc::new(Orders::default());
    let writers = writer::start(&app, 16, &orders).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.stop();
    let stopped = Instant::now();
    tokio::time::sleep(STOPPED).await;
    let goes_on = Instant::now();
    server.go_on();
    tokio::time::sleep(Duration::from_secs(2)).await;
    orders.ends.store(true, SeqCst);
    let writers: Vec<Writer> =
        join_all(writers).await.into_iter().map(|writer| writer.expect("nothing is lost")).collect();
    let mut samples: Vec<Sample> = writers.iter().flat_map(|writer| writer.samples.iter().copied()).collect();
    samples.sort_by_key(|sample| sample.begun);
    let during = || samples.iter().filter(|sample| sample.begun + sample.took > stopped && sample.begun < goes_on);
    let refused = during().filter(|sample| sample.begun > stopped && sample.begun + sample.took < goes_on);
    assert!(
        refused.clone().count() > 1000 && refused.clone().all(|sample| sample.status == 503),
        "it hung, under load"
    );
    let longest = during().map(|sample| sample.took).max().expect("answers");
    let opened = during().find(|sample| sample.status == 503 && sample.took < AT_ONCE).expect("a refusal at once");
    let mut times: Vec<_> = during().filter(|sample| sample.begun >= opened.begun).map(|sample| sample.took).collect();
    let [half, most, longest_open] = [500, 999, 1000].map(|part| percentile(&mut times, part));
    // The end of the first one that was served, of any and of the slowest writer.
    let served = |writer: &Writer| {
        let mut after = writer.samples.iter().filter(|sample| sample.begun > goes_on && sample.status != 503);
        after.next().map(|sample| sample.begun + sample.took - goes_on).expect("it is served again")
    };
    let again: Vec<Duration> = writers.iter().map(served).collect();
    println!(
        "stopped for {STOPPED:?}: the longest answer {longest:?}; refused at once from {:?} on: {} answers, median \
         {half:?}, p99.9 {most:?}, max {longest_open:?}; served again after {:?} to {:?}; {} writes acknowledged, 0 lost",
        opened.begun - stopped,
        times.len(),
        again.iter().min().expect("writers"),
        again.iter().max().expect("writers"),
        writers.iter().map(|writer| writer.acknowledged).sum::<u64>(),
    );
    assert!(opened.begun < stopped + Duration::from_secs(3), "it is noticed while it lasts");
    assert!(most < PROMISED + SLACK, "{most:?}");
    assert!(longest < Duration::from_secs(2) + SLACK, "{longest:?}");
}
