//! A new root key, rolled over two servers, and a rewrap under load.

use super::{NEW_KEY, PATIENT, are_kept, census, ended, job, keep};
use crate::harness::app::{App, On, ROOT_KEY};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A server over the Redis of another one, with these root keys.
fn server(like: &App, prefix: &str, current: &str, previous: &str) -> App {
    let keys =
        [("TOKEN_ENCRYPTION_KEY", current), ("TOKEN_ENCRYPTION_KEYS_PREVIOUS", previous), ("REDIS_KEY_PREFIX", prefix)];
    App::over(like.redis.clone().expect("a Redis"), &[PATIENT.as_slice(), &keys].concat())
}

#[tokio::test]
async fn two_servers_change_the_root_key_step_by_step_and_serve_every_read() {
    let prefix = "rolling";
    let first = App::with(On::Native, &[PATIENT.as_slice(), &[("REDIS_KEY_PREFIX", prefix)]].concat());
    let tenant = first.tenant().await;
    keep(&tenant, 20).await;
    // Each step replaces one of the two, as a rolling deployment does.
    let mut servers = [server(&first, prefix, ROOT_KEY, ""), server(&first, prefix, ROOT_KEY, "")];
    for (current, previous) in [(ROOT_KEY, NEW_KEY), (NEW_KEY, ROOT_KEY)] {
        for at in 0..2 {
            servers[at] = server(&first, prefix, current, previous);
            for (n, server) in servers.iter().enumerate() {
                let caller = server.anyone().with("x-api-key", &tenant.secret);
                are_kept(&caller, 20).await;
                let written = caller.put("/v1/tokens/written/p", json!({"access_token": format!("{n}")})).await;
                assert!(written.status.is_success(), "{written:?}");
            }
        }
    }
    let rewrapped = job(&servers[0], "rewrap", json!({})).await;
    assert_eq!((&rewrapped["state"], &rewrapped["done"]), (&json!("done"), &json!(22)), "{rewrapped}");
    assert_eq!(census(&servers[1], &tenant).await, [(2, 22)]);
    let vault = servers[1].admin().get("/admin/v1/vault").await.expect(StatusCode::OK);
    let needed: Vec<_> =
        vault["root_keys"].as_array().unwrap().iter().map(|key| key["data_keys"].as_u64().unwrap()).collect();
    assert_eq!(needed, [1, 0], "the old one may go: {vault}");
    servers[0] = server(&first, prefix, NEW_KEY, "");
    for server in &servers {
        are_kept(&server.anyone().with("x-api-key", &tenant.secret), 20).await;
    }
}

#[tokio::test]
async fn reads_and_writes_go_on_while_everything_is_sealed_anew() {
    for on in [On::Native, On::Rest] {
        let prefix = "busy-rewrap";
        let app = App::with(on, &[PATIENT.as_slice(), &[("REDIS_KEY_PREFIX", prefix)]].concat());
        let other = server(&app, prefix, ROOT_KEY, NEW_KEY);
        let tenant = app.tenant().await;
        keep(&tenant, 60).await;
        let (stop, reads, writes) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0), AtomicU64::new(0));
        let there = other.anyone().with("x-api-key", &tenant.secret);
        let load = async |worker: usize| {
            let caller = if worker.is_multiple_of(2) { &there } else { &*tenant };
            let mut turn = worker;
            while !stop.load(Ordering::SeqCst) {
                turn += 7;
                let n = turn % 60;
                let token = caller.get(&format!("/v1/tokens/u{n}/p")).await.expect(StatusCode::OK);
                assert_eq!(token["access_token"], format!("access {n}"));
                reads.fetch_add(1, Ordering::SeqCst);
                let body = json!({"access_token": format!("by {worker} {turn}")});
                let own = format!("/v1/tokens/worker{worker}/p{}", turn % 5);
                assert!(caller.put(&own, body.clone()).await.status.is_success());
                assert_eq!(caller.get(&own).await.expect(StatusCode::OK)["access_token"], body["access_token"]);
                writes.fetch_add(1, Ordering::SeqCst);
            }
        };
        let rotations = async {
            for _ in 0..3 {
                job(&app, "rotate", json!({})).await;
                let rewrapped = job(&other, "rewrap", json!({})).await;
                assert_eq!((&rewrapped["state"], &rewrapped["error"]), (&json!("done"), &Value::Null), "{rewrapped}");
            }
            stop.store(true, Ordering::SeqCst);
        };
        tokio::join!(rotations, load(0), load(1), load(2), load(3));
        assert!(reads.load(Ordering::SeqCst) > 50 && writes.load(Ordering::SeqCst) > 50);
        are_kept(&tenant, 60).await;
        let keys = census(&app, &tenant).await;
        assert_eq!(keys.len(), 1, "{keys:?}: nothing was written under a key that was to go");
    }
}

#[tokio::test]
async fn a_rewrap_goes_on_where_the_server_that_began_it_ended() {
    let prefix = "resumed";
    let first = App::with(On::Native, &[PATIENT.as_slice(), &[("REDIS_KEY_PREFIX", prefix)]].concat());
    let tenant = first.tenant().await;
    keep(&tenant, 300).await;
    job(&first, "rotate", json!({})).await;
    let started = first.admin().post("/admin/v1/vault/rewrap", json!({})).await;
    let again = first.admin().post("/admin/v1/vault/rewrap", json!({})).await;
    let path = started.header("location").to_owned();
    let (id, state) = (&started.json()["id"], again.json()["state"].clone());
    assert!(again.json()["id"] == *id || state == "done", "a second one while it is under way is the same");
    let redis = first.redis.clone().unwrap();
    drop(first);
    let second = App::over(redis, &[PATIENT.as_slice(), &[("REDIS_KEY_PREFIX", prefix)]].concat());
    let job = ended(&second, &path).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(301)), "{job}");
    assert_eq!(census(&second, &tenant).await, [(2, 301)]);
    are_kept(&second.anyone().with("x-api-key", &tenant.secret), 300).await;
}
