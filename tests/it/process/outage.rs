//! What a backend that is away does to the log.

use super::Process;
use crate::harness::app::{ADMIN_KEY, Caller};
use crate::harness::redis_server::RedisServer;
use futures_util::future::join_all;
use std::time::{Duration, Instant};

#[tokio::test]
async fn an_outage_under_load_does_not_flood_the_log_nor_keep_the_server_from_stopping() {
    let redis = RedisServer::start();
    let mut process = Process::serve(&[("REDIS_URL", &redis.url()), ("ADMIN_API_KEY", ADMIN_KEY)]);
    let anyone = process.anyone();
    let admin = |caller: &Caller| caller.with("authorization", &format!("Bearer {ADMIN_KEY}"));
    admin(&anyone).get("/admin/v1/tenants").await.expect(reqwest::StatusCode::OK);
    redis.kill();
    let begun = Instant::now();
    let refused = join_all((0..8).map(|_| async {
        let admin = admin(&anyone);
        let mut refused = 0_u64;
        while begun.elapsed() < Duration::from_secs(3) {
            admin.get("/admin/v1/tenants").await.refused(503, "backend_unavailable");
            refused += 1;
        }
        refused
    }));
    let refused: u64 = refused.await.into_iter().sum();
    assert!(refused > 500, "{refused} is no load");
    let seconds = begun.elapsed().as_secs() + 2;
    let told = Instant::now();
    let (code, _, log) = process.terminate();
    assert_eq!(code, Some(0), "it ends well all the same");
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    for line in ["a backend call failed", "\"request\""] {
        let lines: Vec<&str> = log.lines().filter(|known| known.contains(line)).collect();
        assert!(!lines.is_empty() && lines.len() as u64 <= 10 * seconds, "{line}: {}", lines.len());
        assert!(lines.iter().any(|line| line.contains("left_out") && !line.contains("\"left_out\":0")), "{lines:?}");
    }
}
