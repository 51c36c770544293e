//! A Redis that cannot write to its disk: it takes no writes, and everything else goes on.

use super::{World, is_unavailable};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use std::sync::Arc;

#[tokio::test]
async fn a_redis_that_cannot_save_is_read_and_takes_no_writes_until_it_can() {
    let redis = Arc::new(RedisServer::start_with(&["--enable-protected-configs", "yes"]));
    let mut world = World::over(redis, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    world.tell(&["CONFIG", "SET", "dir", gone.to_str().unwrap(), "save", "3600 1000000"]).await;
    // A directory that was removed takes no file, from root neither.
    std::fs::remove_dir(&gone).unwrap();
    world.saves("err").await;

    is_unavailable(&world.write().await);
    is_unavailable(&world.tenant.delete(&format!("/v1/sessions/{}", world.session)).await);
    assert_eq!(world.read().await.status, StatusCode::OK);
    world.is_ready(true).await;
    // A new connection is one to read over: that Redis refuses the PING with which it begins is no reason.
    world.hang_up().await;
    assert_eq!(world.read().await.status, StatusCode::OK);
    is_unavailable(&world.write().await);
    assert!(world.gave("MISCONF").await >= 3);

    world.tell(&["CONFIG", "SET", "dir", folder.path().to_str().unwrap()]).await;
    world.saves("ok").await;
    world.heals().await;
}

impl World {
    /// Lets it save in the background, and waits until that has ended so.
    async fn saves(&mut self, how: &str) {
        self.tell(&["BGSAVE"]).await;
        let ended = format!("rdb_last_bgsave_status:{how}");
        loop {
            let info: String = redis::cmd("INFO").arg("persistence").query_async(&mut self.hand).await.unwrap();
            if info.contains("rdb_bgsave_in_progress:0") && info.contains(&ended) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}
