//! `/admin/v1/redis`, on every backend: what it tells, what it cannot tell and why, and that it is never held up.

use crate::harness::app::{App, On};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn diagnosis(app: &App) -> Value {
    app.admin().get("/admin/v1/redis").await.expect(StatusCode::OK)
}

fn codes(diagnosis: &Value) -> Vec<(&str, &str)> {
    let warnings = diagnosis["warnings"].as_array().unwrap().iter();
    warnings.map(|warning| (warning["level"].as_str().unwrap(), warning["code"].as_str().unwrap())).collect()
}

fn unknown(diagnosis: &Value) -> Vec<&str> {
    diagnosis["unknown"].as_array().unwrap().iter().map(|unknown| unknown["member"].as_str().unwrap()).collect()
}

/// Every null in it has its reason, and nothing else has one.
fn assert_each_null_is_explained(diagnosis: &Value) {
    let mut nulls = Vec::new();
    for (name, value) in diagnosis.as_object().unwrap() {
        match value {
            Value::Null if name != "failover" => nulls.push(name.clone()),
            Value::Object(members) if name != "failover" => {
                let null = members.iter().filter(|(_, value)| value.is_null());
                nulls.extend(null.map(|(member, _)| format!("{name}.{member}")));
            }
            _ => {}
        }
    }
    let mut told: Vec<String> = unknown(diagnosis).into_iter().map(str::to_owned).collect();
    nulls.sort();
    told.sort();
    assert_eq!(nulls, told, "{diagnosis:#}");
}

#[tokio::test]
async fn a_redis_is_told_of_in_full_over_both_its_ways() {
    for on in [On::Native, On::Rest] {
        let app = App::on(on);
        let found = diagnosis(&app).await;
        assert_each_null_is_explained(&found);
        assert_eq!(unknown(&found), ["memory.limit_bytes", "memory.share", "slow_log"], "{found:#}");
        assert_eq!(found["latency"]["count"], 20);
        let took = |member: &str| found["latency"][member].as_f64().unwrap();
        assert!(took("min_ms") > 0.0 && took("min_ms") <= took("median_ms"), "{found:#}");
        assert!(took("median_ms") <= took("p99_ms") && took("p99_ms") <= took("max_ms"), "{found:#}");
        assert_eq!(found["keeps_what_is_written"], true);
        assert!(found["server"]["version"].as_str().unwrap().starts_with(|c: char| c.is_ascii_digit()));
        assert!(found["connections"]["in_use"].as_u64().unwrap() >= 1);
        assert!(found["connections"]["limit"].as_u64().unwrap() >= 100);
        assert!(found["memory"]["used_bytes"].as_u64().unwrap() > 100_000);
        assert_eq!(found["evictions"]["policy"], "noeviction");
        assert_eq!(found["persistence"]["append_only_file"], false);
        assert!(found["clock_ahead_ms"].as_i64().unwrap().abs() < 2000, "{found:#}");
        assert!(codes(&found).contains(&("warning", "no_persistence")), "{found:#}");
    }
}

#[tokio::test]
async fn the_embedded_backend_says_what_it_does_not_count() {
    let app = App::on(On::Memory);
    app.tenant().await;
    let found = diagnosis(&app).await;
    assert_each_null_is_explained(&found);
    assert_eq!((&found["transport"], &found["doors"], &found["warnings"]), (&json!("memory"), &json!([]), &json!([])));
    assert_eq!((&found["keeps_what_is_written"], &found["latency"]["count"]), (&json!(true), &json!(20)));
    assert!(found["keys"].as_u64().unwrap() > 0);
    assert!(unknown(&found).contains(&"memory.used_bytes"), "{found:#}");
    assert_eq!(found["clock_ahead_ms"], 0);
}

#[tokio::test]
async fn memory_that_is_nearly_full_and_a_policy_that_throws_out_tenants_are_critical() {
    let redis = Arc::new(RedisServer::start_with(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]));
    let app = App::over(redis.clone(), &[]);
    let found = diagnosis(&app).await;
    assert_each_null_is_explained(&found);
    assert!(codes(&found).contains(&("critical", "evicts_tenants")), "{found:#}");
    assert!(found["memory"]["share"].as_f64().unwrap() < 0.8, "{found:#}");
    let used = found["memory"]["used_bytes"].as_u64().unwrap();
    for (per_mille, level, code) in [(1180, "warning", "memory_filling"), (1070, "critical", "memory_nearly_full")] {
        let limit = (used * per_mille / 1000).to_string();
        let set = std::process::Command::new("redis-cli")
            .args([
                "-p",
                &redis.port().to_string(),
                "CONFIG",
                "SET",
                "maxmemory-policy",
                "noeviction",
                "maxmemory",
                &limit,
            ])
            .output()
            .unwrap();
        assert!(set.status.success() && set.stdout.starts_with(b"OK"), "{set:?}");
        let found = diagnosis(&app).await;
        assert!(codes(&found).contains(&(level, code)), "{found:#}");
    }
}

#[tokio::test]
async fn a_backend_that_hangs_holds_up_a_look_for_two_seconds_at_the_most() {
    let redis = RedisServer::start();
    let network = ChaosProxy::before(redis.port());
    let app = App::over(Arc::new(redis), &[("REDIS_URL", &format!("redis://127.0.0.1:{}", network.port()))]);
    diagnosis(&app).await;
    network.set(Mode::BlackHole);
    let begun = Instant::now();
    let found = diagnosis(&app).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_each_null_is_explained(&found);
    assert!(unknown(&found).contains(&"latency"), "{found:#}");
    let text = found.to_string();
    assert!(!text.contains("127.0.0.1") && !text.contains(&network.port().to_string()), "{text}");
}
