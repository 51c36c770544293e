//! INFO: what a backend tells of itself, and what it keeps quiet about because it does not know.

use super::transcript::holds;
use super::{Behaviour, does};
use crate::harness::backend::Backend;
use crate::harness::listening::system;
use std::time::Duration;

pub async fn a_backend_tells_since_when_it_runs_and_how_many_keys_it_has(backend: Backend) {
    let system = system(&backend, "t");
    let before = system.info().await.expect("an answer");
    for number in 0..50 {
        let (key, expiring) = (backend.key(&format!("k{number}")), backend.key(&format!("e{number}")));
        assert_eq!(backend.ask(&["SET", &key, "v"]).await.done(), Ok(()));
        assert_eq!(backend.ask(&["SET", &expiring, "v", "EX", "100"]).await.done(), Ok(()));
    }
    backend.pass(Duration::from_millis(1100)).await;
    let after = system.info().await.expect("an answer");
    // Others use the same Redis meanwhile, so there may be more.
    assert!(after.keys.expect("told") >= 100, "{after:?}");
    assert!(after.uptime_seconds > before.uptime_seconds, "{before:?} {after:?}");
    if backend.name == "memory" {
        assert_eq!((before.keys, after.keys), (Some(0), Some(100)));
        let text = backend.say(["INFO"]).await.text().expect("text");
        assert!(text.ends_with("\r\ndb0:keys=100,expires=50,avg_ttl=0\r\n"), "{text}");
    }
}

pub async fn sections_are_told_by_name(backend: Backend) {
    assert_eq!(backend.ask(&["SET", &backend.key("k"), "v"]).await.done(), Ok(()));
    holds(
        &backend,
        r##"
        INFO nothing-of-the-kind -> ""
        INFO server -> "# Server\r\n…
        info SERVER -> "# Server\r\n…
        INFO keyspace -> "# Keyspace\r\ndb0:keys=…
        INFO nothing-of-the-kind keyspace -> "# Keyspace\r\ndb0:keys=…
        INFO all -> "# Server\r\n…
        INFO everything -> "# Server\r\n…
        INFO -> "# Server\r\n…
        "##,
    )
    .await;
}

pub async fn what_a_backend_does_not_count_is_missing_and_not_zero(backend: Backend) {
    let info = system(&backend, "t").info().await.expect("an answer");
    let told = [
        info.redis_version.is_some(),
        info.used_memory.is_some(),
        info.maxmemory.is_some(),
        info.maxmemory_policy.is_some(),
        info.keyspace_hits.is_some(),
        info.keyspace_misses.is_some(),
        info.evicted_keys.is_some(),
        info.connected_clients.is_some(),
        info.aof_enabled.is_some(),
        info.rdb_last_save_time.is_some(),
        info.rdb_last_bgsave_status.is_some(),
    ];
    assert_eq!(told, [does(&backend, Behaviour::TellsOfItsMemory); 11], "{info:?}");
    assert!(info.used_memory.is_none_or(|bytes| bytes > 100_000), "{info:?}");
}

pub async fn a_slow_log_is_told_or_said_not_to_be_kept(backend: Backend) {
    let kept = does(&backend, Behaviour::KeepsASlowLog);
    let said = if kept { "[…" } else { "-ERR the embedded backend keeps no slow log" };
    let transcript = r#"
        SLOWLOG GET 10 -> SAID
        slowlog get 0 -> SAID
        "#;
    holds(&backend, &transcript.replace("SAID", said)).await;
}
