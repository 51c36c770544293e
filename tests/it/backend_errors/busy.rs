//! A Redis that is there and does nothing for now: a script runs, its data is being loaded, it has too many
//! clients, or its cluster is not complete.

use super::{World, is_unavailable};
use crate::harness::redis_server::{RedisServer, free_port};
use reqwest::StatusCode;
use std::sync::Arc;

#[tokio::test]
async fn while_a_script_runs_for_long_nothing_is_served_and_then_all_is() {
    let redis = Arc::new(RedisServer::start_with(&["--busy-reply-threshold", "10"]));
    let mut world = World::over(redis, &[]).await;
    let mut other = redis::Client::open(world.redis.url()).unwrap().get_connection().unwrap();
    let runs = tokio::task::spawn_blocking(move || {
        let killed = redis::cmd("EVAL").arg(&["while true do end", "0"]).exec(&mut other);
        assert!(killed.is_err());
    });
    world.is_ready(false).await;
    is_unavailable(&world.read().await);
    is_unavailable(&world.write().await);
    assert!(!runs.is_finished());
    world.tell(&["SCRIPT", "KILL"]).await;
    runs.await.unwrap();
    world.heals().await;
    assert!(world.gave("BUSY").await >= 3);
}

#[tokio::test]
async fn while_data_is_loaded_nothing_is_served_and_then_all_is() {
    let slowly = ["--loading-process-events-interval-bytes", "1024", "--key-load-delay", "500"];
    let mut world = World::over(Arc::new(RedisServer::start_with(&slowly)), &[]).await;
    world.tell(&["EVAL", "for n = 1, 6000 do redis.call('SET', 'other:' .. n, 'x') end", "0"]).await;
    world.tell(&["SAVE"]).await;
    world.redis.kill();
    world.redis.begin();
    world.is_ready(false).await;
    world.hand = loop {
        let client = redis::Client::open(world.redis.url()).expect("a URL");
        if let Ok(hand) = client.get_multiplexed_async_connection().await {
            break hand;
        }
        tokio::task::yield_now().await;
    };
    while world.gave("LOADING").await == 0 {
        is_unavailable(&world.read().await);
        is_unavailable(&world.write().await);
    }
    assert_eq!(world.figure("loading").await, 1);
    world.heals().await;
}

#[tokio::test]
async fn too_many_clients_are_a_redis_that_cannot_be_reached_until_there_are_fewer() {
    let mut world = World::new().await;
    world.tell(&["CONFIG", "SET", "maxclients", "1"]).await;
    assert_eq!(world.read().await.status, StatusCode::OK, "whoever is in stays in");
    world.hang_up().await;
    is_unavailable(&world.read().await);
    is_unavailable(&world.write().await);
    world.is_ready(false).await;
    assert!(world.figure("rejected_connections").await > 0);
    world.tell(&["CONFIG", "SET", "maxclients", "1000"]).await;
    world.heals().await;
}

#[tokio::test]
async fn a_cluster_that_is_down_refuses_until_it_is_complete() {
    let bus = free_port().to_string();
    let redis = Arc::new(RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus]));
    let mut hand = super::hand(&redis.url()).await;
    redis::cmd("CLUSTER").arg(&["ADDSLOTSRANGE", "0", "16383"]).exec_async(&mut hand).await.unwrap();
    while !redis::cmd("CLUSTER").arg("INFO").query_async::<String>(&mut hand).await.unwrap().contains("state:ok") {
        tokio::task::yield_now().await;
    }
    let mut world = World::over(redis, &[]).await;
    world.tell(&["CLUSTER", "DELSLOTSRANGE", "0", "16383"]).await;
    let before = world.gave("CLUSTERDOWN").await;
    is_unavailable(&world.read().await);
    is_unavailable(&world.write().await);
    assert!(world.gave("CLUSTERDOWN").await >= before + 2);
    world.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    world.heals().await;
}
