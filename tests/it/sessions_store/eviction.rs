//! A Redis that evicts what has an expiry when it runs out of memory.

use super::bench::{Bench, created, id, id_of, name, new, object};
use crate::harness::redis_server::RedisServer;
use agentapi::stores::sessions::NewSession;
use std::sync::Arc;

async fn evicted(bench: &Bench) -> u64 {
    let statistics = bench.raw(&["INFO", "stats"]).await.text().unwrap();
    let line = statistics.lines().find_map(|line| line.strip_prefix("evicted_keys:")).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn revoking_all_ends_every_session_that_was_not_evicted() {
    let options = ["--maxmemory", "4mb", "--maxmemory-policy", "volatile-lru"];
    let bench = Bench::on(Arc::new(RedisServer::start_with(&options)));
    let sessions = bench.sessions();
    let users: Vec<_> = (0..20).map(|number| format!("victim {number}")).collect();
    let mut living = Vec::new();
    for user in &users {
        for number in 0..8 {
            let chosen = (number % 2 == 0).then(|| id(&format!("{user} {number}")));
            living.push(id_of(&created(&sessions, NewSession { id: chosen, ..new(user) }).await));
        }
    }
    let data = object(&format!(r#"{{"large":"{}"}}"#, "x".repeat(4000)));
    let mut number = 0;
    while evicted(&bench).await < 80 {
        number += 1;
        created(&sessions, NewSession { data: data.clone(), ..new(&format!("another {number}")) }).await;
    }
    let mut survivors = Vec::new();
    for at in living {
        if sessions.exists(&at).await.unwrap() {
            survivors.push(at);
        }
    }
    assert!(!survivors.is_empty());
    for user in &users {
        sessions.revoke_all(&name(user), None).await.unwrap();
    }
    for at in survivors {
        assert!(!sessions.exists(&at).await.unwrap());
    }
}
