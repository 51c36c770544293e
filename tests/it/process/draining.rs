//! What happens between the signal and the end.

use super::Process;
use crate::harness::app::{ADMIN_KEY, ROOT_KEY};
use crate::harness::oauth_server::{Behaviour, CLIENT_ID, CLIENT_SECRET, OauthServer};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_server_that_is_told_to_stop_turns_unready_goes_on_serving_and_closes_each_connection() {
    let mut process = Process::serve(&[("SHUTDOWN_DELAY", "2s")]);
    let anyone = process.anyone();
    let before = anyone.get("/health/ready").await;
    assert_eq!((before.status, before.header("connection")), (StatusCode::OK, ""));
    process.signal();
    process.wait_for(|_, log| log.contains("draining").then_some(()));
    let ready = anyone.get("/health/ready").await;
    assert_eq!((ready.status, ready.header("connection")), (StatusCode::SERVICE_UNAVAILABLE, "close"));
    let live = anyone.get("/health/live").await;
    assert_eq!((live.status, live.header("connection")), (StatusCode::OK, "close"));
    anyone.get("/v1/sessions").await.refused(401, "unauthorized");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut process = Process::serve(&[("SHUTDOWN_DELAY", "1h")]);
    process.anyone().get("/health/live").await.expect(StatusCode::OK);
    process.signal();
    process.wait_for(|_, log| log.contains("draining").then_some(()));
    let (code, ..) = process.terminate();
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_while_requests_are_being_finished_too() {
    let mut process =
        Process::serve(&[("ADMIN_API_KEY", ADMIN_KEY), ("REQUEST_TIMEOUT", "60s"), ("SHUTDOWN_GRACE", "60s")]);
    let base = process.base();
    let mut stalled = std::net::TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    let head =
        "POST /admin/v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer canary\r\ncontent-length: 100\r\n\r\n{";
    stalled.write_all(head.replace("canary", ADMIN_KEY).as_bytes()).unwrap();
    process.anyone().get("/health/live").await.expect(StatusCode::OK);
    process.signal();
    process.wait_for(|_, log| log.contains("draining").then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    assert!(process.child.try_wait().unwrap().is_none(), "a request is under way");
    let begun = Instant::now();
    process.signal();
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_token_that_is_being_refreshed_is_stored_before_the_process_ends() {
    let (redis, provider) = (RedisServer::start(), OauthServer::start());
    let url = redis.url();
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("ADMIN_API_KEY", ADMIN_KEY),
        ("TOKEN_ENCRYPTION_KEY", ROOT_KEY),
        ("OAUTH_ALLOW_HTTP_LOOPBACK", "true"),
    ];
    let mut process = Process::serve(&variables);
    let admin = process.anyone().with("authorization", &format!("Bearer {ADMIN_KEY}"));
    let made = admin.post("/admin/v1/tenants", json!({"id": "acme", "create_key": true})).await;
    let key = made.expect(StatusCode::CREATED)["api_key"]["key"].as_str().unwrap().to_owned();
    let tenant = process.anyone().with("x-api-key", &key);
    let settings = json!({"token_url": provider.token_url(), "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET});
    tenant.put("/v1/oauth/providers/p", settings).await.expect(StatusCode::CREATED);
    let token = json!({"access_token": "old", "refresh_token": provider.issue(), "expires_in": "200s"});
    tenant.put("/v1/tokens/u/p", token).await.expect(StatusCode::CREATED);
    provider.behave(Behaviour::Slow(Duration::from_secs(5)));
    assert_eq!(tenant.get("/v1/tokens/u/p").await.expect(StatusCode::OK)["access_token"], "old");
    let (code, _, log) = process.terminate();
    assert_eq!((code, provider.refreshes()), (Some(0), 1), "{log}");

    let mut next = Process::serve(&variables);
    let token = next.anyone().with("x-api-key", &key).get("/v1/tokens/u/p").await.expect(StatusCode::OK);
    assert!(provider.accepts(token["access_token"].as_str().unwrap()));
    assert_eq!((provider.requests(), provider.reuses()), (1, 0));
}
