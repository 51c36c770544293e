//! A backend that is gone, or that hangs: everything that needs it says so soon, and nothing else breaks.

use super::{create, path, text};
use crate::harness::app::{App, Caller, On};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::{Fault, RestDouble};
use agentapi::http::{Access, Endpoint, InOutage};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than any answer may take, on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(10);

/// Every endpoint that needs a tenant or the admin key and does not answer without the backend, with a body that it
/// would take.
fn endpoints() -> Vec<(Method, String, bool, Option<Vec<u8>>)> {
    let body = |method: &str, path: &str| {
        let body = match (method, path) {
            ("POST", "/v1/sessions") | ("PUT", "/v1/sessions/{id}") => json!({"user_id": "u1"}),
            ("POST", "/v1/sessions/batch") => json!({"get": ["mine"]}),
            ("POST", "/v1/sessions/refresh") => return None,
            ("POST", "/v1/breakers/{name}/force") => json!({"state": "open"}),
            ("POST", "/v1/ratelimit/reserve") => json!({"key": "k", "limit": 1, "window": "1m"}),
            ("PUT", "/v1/ratelimit/policies/{name}") => json!({"limit": 1, "window": "1m"}),
            ("PUT", "/v1/tokens/{user_id}/{provider}") => json!({"access_token": "a"}),
            ("PUT", "/v1/oauth/providers/{provider}") => {
                json!({"token_url": "https://example.com/", "client_id": "c", "client_secret": "s"})
            }
            ("POST", "/admin/v1/tenants") => json!({"id": "acme"}),
            ("POST" | "PUT" | "PATCH", _) => json!({}),
            _ => return None,
        };
        Some(body.to_string().into_bytes())
    };
    let described = agentapi::app::described();
    // What has an answer of its own then is tested where that is.
    let refuses = |row: &&Endpoint| row.access != Access::Public && row.in_outage != InOutage::Approximate;
    let rows = described.rows().filter(refuses);
    let rows = rows.map(|row| {
        let body = body(row.method.as_str(), &row.path);
        let concrete = |segment: &str| if segment.starts_with('{') { "mine".to_owned() } else { segment.to_owned() };
        let mut path = row.path.split('/').map(concrete).collect::<Vec<_>>().join("/");
        if path == "/v1/ratelimit" {
            path.push_str("?key=k");
        }
        let method = Method::from_bytes(row.method.as_str().as_bytes()).expect("a method");
        (method, path, row.access == Access::Admin, body)
    });
    rows.collect()
}

/// Asks until the answer has this status.
async fn until(caller: &Caller, path: &str, status: StatusCode) {
    let begun = Instant::now();
    while caller.get(path).await.status != status {
        assert!(begun.elapsed() < Duration::from_secs(30), "{path} does not become {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is answered while the backend cannot be asked.
async fn all_say_so(app: &App, tenant: &Caller, refresh_token: &str) {
    let anyone = app.anyone();
    for (method, path, admin, body) in endpoints() {
        let caller = if admin { app.admin() } else { tenant.clone() };
        let body = match path.as_str() {
            "/v1/sessions/refresh" if method == Method::POST => {
                Some(json!({"refresh_token": refresh_token}).to_string().into_bytes())
            }
            // What is known of the backend is known without it.
            "/admin/v1/redis" => continue,
            // What is no export is refused without asking.
            path if path.ends_with("/import") => continue,
            // What is no id of a key, a reservation or a job, and no version, is refused without asking.
            path if ["/keys/", "/reservations/", "/jobs/", "/versions/"].iter().any(|part| path.contains(part)) => {
                continue;
            }
            _ => body,
        };
        let begun = Instant::now();
        let answer = caller.send(method.clone(), &path, body).await;
        assert!(begun.elapsed() < SOON, "{method} {path} took {:?}", begun.elapsed());
        assert_eq!(answer.status.as_u16(), 503, "{method} {path}: {}", answer.text);
        let after: u64 = answer.header("retry-after").parse().expect("whole seconds");
        assert!((1..60).contains(&after), "{method} {path}");
        if method != Method::HEAD {
            let problem = answer.refused(503, "backend_unavailable").to_string();
            assert!(!problem.contains("127.0.0.1") && !problem.to_lowercase().contains("redis"), "{problem}");
        }
    }
    for (path, status) in [
        ("/health/live", 200),
        ("/health", 200),
        ("/health/ready", 503),
        ("/status", 503),
        ("/metrics", 200),
        ("/openapi.json", 200),
    ] {
        let begun = Instant::now();
        assert_eq!(anyone.get(path).await.status.as_u16(), status, "{path}");
        assert!(begun.elapsed() < SOON, "{path}");
    }
    let status = anyone.get("/status").await.json();
    assert_eq!(status["status"], "unavailable");
    assert!(status["redis_status"] == "unhealthy" || status["redis_status"] == "error", "{status}");
}

/// Walks through an outage that `begin` causes and `end` ends; what was stored may be lost with it.
async fn outage(app: App, begin: impl FnOnce(), end: impl FnOnce()) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    tenant.get(&path(&made)).await.expect(StatusCode::OK);
    until(&app.anyone(), "/health/ready", StatusCode::OK).await;
    begin();
    until(&app.anyone(), "/health/ready", StatusCode::SERVICE_UNAVAILABLE).await;
    all_say_so(&app, &tenant, text(&made, "refresh_token")).await;
    end();
    until(&app.anyone(), "/health/ready", StatusCode::OK).await;
    assert_eq!(app.anyone().get("/status").await.json()["redis_status"], "healthy");
    let again = app.tenant().await;
    let made = create(&again, json!({"user_id": "u1"})).await;
    again.get(&path(&made)).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_redis_that_is_gone_is_said_to_be_and_its_return_is_noticed() {
    let server = Arc::new(RedisServer::start());
    outage(App::over(server.clone(), &[]), || server.kill(), || server.restart()).await;
}

#[tokio::test]
async fn a_redis_behind_rest_that_is_gone_is_said_to_be_and_its_return_is_noticed() {
    let server = Arc::new(RedisServer::start());
    let double = Arc::new(RestDouble::start(server.port(), "rest-token"));
    let app = App::over_rest(server, double.clone(), &[]);
    outage(app, || double.always(Fault::HangUpBefore), || double.heal()).await;
}

#[tokio::test]
async fn a_rest_server_that_hangs_holds_nobody_up() {
    let server = Arc::new(RedisServer::start());
    let double = Arc::new(RestDouble::start(server.port(), "rest-token"));
    let variables = [("REQUEST_TIMEOUT", "300ms"), ("REDIS_COMMAND_TIMEOUT", "200ms")];
    let app = App::over_rest(server, double.clone(), &variables);
    let hang = || double.always(Fault::DelayBefore(Duration::from_secs(60)));
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    hang();
    until(&app.anyone(), "/health/ready", StatusCode::SERVICE_UNAVAILABLE).await;
    all_say_so(&app, &tenant, text(&made, "refresh_token")).await;
}

#[tokio::test]
async fn a_rest_server_whose_database_is_gone_is_a_backend_that_is_gone() {
    let server = Arc::new(RedisServer::start());
    let double = Arc::new(RestDouble::start(server.port(), "rest-token"));
    let app = App::over_rest(server.clone(), double, &[]);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    server.kill();
    until(&app.anyone(), "/health/ready", StatusCode::SERVICE_UNAVAILABLE).await;
    all_say_so(&app, &tenant, text(&made, "refresh_token")).await;
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up() {
    let server = Arc::new(RedisServer::start());
    let variables = [("REQUEST_TIMEOUT", "1s"), ("REDIS_COMMAND_TIMEOUT", "300ms")];
    let app = App::over(server.clone(), &variables);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it runs");
    let pause = redis::cmd("CLIENT").arg("PAUSE").arg(600_000).arg("ALL").query_async::<()>(&mut connection).await;
    pause.expect("it pauses");
    until(&app.anyone(), "/health/ready", StatusCode::SERVICE_UNAVAILABLE).await;
    all_say_so(&app, &tenant, text(&made, "refresh_token")).await;
}

#[tokio::test]
async fn a_server_starts_without_its_redis_and_becomes_ready_when_it_comes() {
    let server = Arc::new(RedisServer::start());
    server.kill();
    let app = App::over(server.clone(), &[]);
    assert_eq!(app.anyone().get("/health/live").await.status, StatusCode::OK);
    assert_eq!(app.anyone().get("/health/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    app.admin().get("/admin/v1/tenants").await.refused(503, "backend_unavailable");
    server.restart();
    until(&app.anyone(), "/health/ready", StatusCode::OK).await;
    let tenant = app.tenant().await;
    create(&tenant, json!({"user_id": "u1"})).await;
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_is_not_called_unknown() {
    let key = App::on(On::Memory).tenant().await.secret;
    let server = Arc::new(RedisServer::start());
    server.kill();
    let app = App::over(server, &[]);
    let someone = app.anyone().with("x-api-key", &key);
    someone.get("/v1/sessions").await.refused(503, "backend_unavailable");
    app.anyone().get("/v1/sessions").await.refused(401, "unauthorized");
    app.anyone().with("x-api-key", "no key at all").get("/v1/sessions").await.refused(401, "unauthorized");
}
