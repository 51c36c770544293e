//! `/admin/v1/redis`, on every backend: what it tells, what it cannot tell and why, and that it is never held up.

use crate::harness::app::{App, On};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use agentapi::base::clock::Timestamp;
use redis::aio::MultiplexedConnection;
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

fn reason<'a>(diagnosis: &'a Value, member: &str) -> &'a str {
    let unknown = diagnosis["unknown"].as_array().unwrap().iter().find(|unknown| unknown["member"] == member);
    unknown.unwrap_or_else(|| panic!("{member} has no reason in {diagnosis:#}"))["reason"].as_str().unwrap()
}

async fn hand(redis: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn tell(hand: &mut MultiplexedConnection, words: &[&str]) {
    redis::cmd(words[0]).arg(&words[1..]).exec_async(hand).await.unwrap();
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
        assert_eq!(unknown(&found), ["memory.limit_bytes", "memory.share"], "{found:#}");
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
    assert_eq!(reason(&found, "slow_log"), "the embedded backend keeps none");
}

#[tokio::test]
async fn slow_commands_are_told_by_their_names_and_nothing_that_a_client_sent_is() {
    for is_rest in [false, true] {
        let redis =
            Arc::new(RedisServer::start_with(&["--slowlog-log-slower-than", "0", "--enable-debug-command", "local"]));
        let mut hand = hand(&redis).await;
        let app = if is_rest {
            let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
            App::over_rest(redis.clone(), double, &[])
        } else {
            App::over(redis.clone(), &[])
        };
        // What the look itself asks is slow by this measure, and so is what else the server asks meanwhile.
        let found = diagnosis(&app).await;
        let entries = found["slow_log"].as_array().unwrap();
        let has = |name: &str| entries.iter().any(|entry| entry["command"] == name);
        assert!(entries.len() == 10 && has("INFO") && has("TIME"), "{found:#}");

        tell(&mut hand, &["CLIENT", "SETNAME", "canary-client"]).await;
        tell(&mut hand, &["SET", "canary-key", "canary-value"]).await;
        tell(&mut hand, &["eval", "return 'canary'", "1", "canary-key", "canary-argument"]).await;
        tell(&mut hand, &["DEBUG", "SLEEP", "0.11"]).await;
        // From here on nothing is slow, and what was stays at the head.
        tell(&mut hand, &["CONFIG", "SET", "slowlog-log-slower-than", "-1"]).await;
        let kept: redis::Value = redis::cmd("SLOWLOG").arg("GET").arg(10).query_async(&mut hand).await.unwrap();
        assert!(format!("{kept:?}").contains("canary-argument"), "{kept:?}");

        let found = diagnosis(&app).await;
        assert_each_null_is_explained(&found);
        let entries = found["slow_log"].as_array().unwrap();
        let named: Vec<&str> = entries.iter().map(|entry| entry["command"].as_str().unwrap()).collect();
        assert_eq!((named.len(), &named[..4]), (10, &["DEBUG", "EVAL", "SET", "CLIENT"][..]), "{found:#}");
        assert!(entries[0]["took_us"].as_u64().unwrap() > 100_000, "{found:#}");
        for entry in entries {
            assert_eq!(entry.as_object().unwrap().len(), 3, "{entry}");
            assert!(Timestamp::parse_rfc3339(entry["at"].as_str().unwrap()).is_some(), "{entry}");
        }
        assert!(codes(&found).contains(&("info", "slow_commands")), "{found:#}");
        let text = found.to_string();
        assert!(!text.contains("canary") && !text.contains("127.0.0.1"), "{text}");
    }
}

/// The user of docs/security.md, and that user without a right to the slow log.
#[tokio::test]
async fn the_user_of_the_documents_may_ask_everything_and_one_without_the_slow_log_is_told_so() {
    let redis = Arc::new(RedisServer::start());
    let mut hand = hand(&redis).await;
    let document = include_str!("../../docs/security.md");
    let line = document.lines().find_map(|line| line.trim().strip_prefix("redis-cli ")).expect("the line of the user");
    let user: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches('\'')).collect();
    tell(&mut hand, &user).await;
    let url = format!("redis://agentapi:PASSWORD@127.0.0.1:{}/0", redis.port());
    let app = App::over(redis.clone(), &[("REDIS_URL", &url), ("REDIS_KEY_PREFIX", "agentapi")]);
    app.tenant().await;
    let found = diagnosis(&app).await;
    assert_eq!(unknown(&found), ["memory.limit_bytes", "memory.share"], "{found:#}");
    assert_eq!(found["slow_log"], json!([]));

    tell(&mut hand, &["ACL", "SETUSER", "agentapi", "-slowlog"]).await;
    let found = diagnosis(&app).await;
    assert_each_null_is_explained(&found);
    assert_eq!(unknown(&found), ["memory.limit_bytes", "memory.share", "slow_log"], "{found:#}");
    assert_eq!(reason(&found, "slow_log"), "the backend refuses to tell it");
    assert_eq!((&found["doors"][0]["state"], &found["doors"][0]["last_failure"]), (&json!("closed"), &Value::Null));

    // As a Redis says it in which the command was renamed away.
    let without = Arc::new(RedisServer::start_with(&["--rename-command", "SLOWLOG", ""]));
    let found = diagnosis(&App::over(without, &[])).await;
    assert_eq!(reason(&found, "slow_log"), "the backend refuses to tell it");
    assert_eq!(found["latency"]["count"], 20);
}

#[tokio::test]
async fn memory_that_is_nearly_full_and_a_policy_that_throws_out_tenants_are_critical() {
    let redis = Arc::new(RedisServer::start_with(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]));
    let app = App::over(redis.clone(), &[]);
    // Redis takes memory for its statistics of a command when that is first said.
    diagnosis(&app).await;
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
