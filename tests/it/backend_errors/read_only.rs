//! A Redis that became a replica: somebody else is the master now, and a new connection may lead there.

use super::{World, is_unavailable};
use crate::harness::redis_server::free_port;
use reqwest::StatusCode;
use std::collections::BTreeSet;

impl World {
    /// Makes it the replica of nobody who is there, so that it keeps its data.
    async fn becomes_a_replica(&mut self) {
        self.tell(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]).await;
    }

    /// The connections of the application that sent a command which writes.
    async fn connections(&mut self) -> BTreeSet<String> {
        let mut list = redis::cmd("CLIENT");
        let list: String = list.arg("LIST").query_async(&mut self.hand).await.expect("it tells");
        let others = list.lines().filter(|line| line.contains("user=default"));
        others.map(|line| line.split(' ').next().expect("an id").to_owned()).collect()
    }
}

#[tokio::test]
async fn a_replica_is_read_and_each_refused_write_looks_for_the_master_again() {
    let mut world = World::new().await;
    world.heals().await;
    let before = world.connections().await;
    world.becomes_a_replica().await;
    for _ in 0..5 {
        is_unavailable(&world.write().await);
        assert_eq!(world.read().await.status, StatusCode::OK);
    }
    assert!(world.gave("READONLY").await >= 5);
    world.tell(&["REPLICAOF", "NO", "ONE"]).await;
    world.heals().await;
    let after = world.connections().await;
    let kept = before.intersection(&after).count();
    // The background has a connection of its own, over which nothing was refused.
    assert!(kept < before.len() && kept <= 1, "{before:?} {after:?}");
}

#[tokio::test]
async fn writes_that_a_replica_refuses_cost_a_bounded_number_of_connections() {
    let mut world = World::new().await;
    world.becomes_a_replica().await;
    let before = world.figure("total_connections_received").await;
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        is_unavailable(&world.write().await);
        assert_eq!(world.read().await.status, StatusCode::OK, "reads go on, over whatever there is");
    }
    let opened = world.figure("total_connections_received").await - before;
    let bound = 10 + 5 * (begun.elapsed().as_secs() + 1);
    assert!((1..=bound).contains(&opened), "{opened} in {:?}", begun.elapsed());
    assert!(world.gave("READONLY").await >= 100);
    world.tell(&["REPLICAOF", "NO", "ONE"]).await;
    world.heals().await;
}

#[tokio::test]
async fn a_replica_that_shows_nothing_stale_serves_nothing() {
    let mut world = World::new().await;
    world.tell(&["CONFIG", "SET", "replica-serve-stale-data", "no"]).await;
    world.becomes_a_replica().await;
    is_unavailable(&world.read().await);
    is_unavailable(&world.write().await);
    assert!(world.gave("MASTERDOWN").await >= 2);
    world.tell(&["REPLICAOF", "NO", "ONE"]).await;
    world.heals().await;
}
