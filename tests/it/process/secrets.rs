//! Secrets and clients' data never reach the output, at the loudest level, whatever fails.

use super::Process;
use crate::harness::app::Caller;
use crate::harness::collector::Collector;
use crate::harness::redis_server::{RedisServer, free_port};
use crate::harness::rest_double::RestDouble;
use crate::harness::table::rows;
use agentapi::http::Access;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use reqwest::Method;
use serde_json::{Value, json};

const ADMIN: &str = "canary-admin-key-of-more-than-32-characters";
const TRACE: (&str, &str) = ("LOG_LEVEL", "trace");

/// Sends secrets through every part of requests that a log could quote, to every endpoint; gives back the
/// secrets that the server made meanwhile.
async fn walk(anyone: &Caller) -> Vec<String> {
    let admin = anyone.with("authorization", &format!("Bearer {ADMIN}"));
    let mut secrets = Vec::new();
    let mut keep = |answer: &Value| {
        let made = ["key", "id", "refresh_token"].map(|member| answer[member].as_str().unwrap_or_default().to_owned());
        secrets.extend(made.into_iter().filter(|secret| secret.len() > 20));
    };
    admin.post("/admin/v1/tenants", json!({"id": "walked"})).await;
    let key = admin.post("/admin/v1/tenants/walked/keys", json!({})).await;
    keep(&key.json());
    let secret = key.json()["key"].as_str().unwrap_or("canary-unknown-key").to_owned();
    let tenant = anyone.with("x-api-key", &secret).with("idempotency-key", "canary-idempotency");
    let body = json!({"user_id": "canary-user", "data": {"canary-member": "canary-data"}, "refresh": true});
    let session = tenant.post("/v1/sessions", body).await.json();
    keep(&session);
    let chosen = tenant.put("/v1/sessions/canary-id", json!({"user_id": "canary-user"})).await;
    keep(&chosen.json());
    // Names are told in the audit log; what they name is not.
    let token = json!({"access_token": "canary-access", "refresh_token": "canary-refresh", "scopes": ["canary-scope"],
        "token_type": "canary-type", "metadata": {"canary-member": "canary-data"}, "expires_in": "60s"});
    tenant.put("/v1/tokens/alice/google", token).await;
    let provider = json!({"token_url": "https://canary-host.invalid/canary-path", "client_id": "canary-client",
        "client_secret": "canary-secret", "scopes": ["canary-scope"]});
    tenant.put("/v1/oauth/providers/google", provider).await;
    keep(&tenant.get("/v1/tokens/alice/google").await.json());
    let leased = tenant.post("/v1/tokens/alice/google/lease", json!({})).await.json();
    tenant
        .with("x-refresh-lease", "canary-lease")
        .put("/v1/tokens/alice/google", json!({"access_token": "canary"}))
        .await;
    keep(&json!({"key": leased["lease"]}));
    admin.post("/admin/v1/vault/rotate", json!({})).await;
    admin.post("/admin/v1/vault/rewrap", json!({})).await;
    let refreshed =
        tenant.post("/v1/sessions/refresh", json!({"refresh_token": session["refresh_token"]})).await.json();
    keep(&refreshed);
    for caller in [&tenant, &admin, &anyone.with("authorization", "Bearer canary-of-a-stranger")] {
        for row in rows() {
            let path = row.filled(|name| if name == "tenant" { "walked".to_owned() } else { format!("canary-{name}") });
            let bodies = [r#"{"canary-member":"canary-value"}"#, "{ canary", r#"{"user_id":["canary"]}"#];
            for body in bodies.map(|body| Some(body.as_bytes().to_vec())) {
                let body = body.filter(|_| row.method != Method::GET && row.method != Method::HEAD);
                // Rotating and suspending come back as answers; deleting keys would end the walk.
                if row.access == Access::Admin && row.method == Method::DELETE {
                    continue;
                }
                let path = format!("{path}?cursor=canary-cursor&canary=canary");
                caller.send(row.method.clone(), &path, body.clone()).await;
                caller.send(row.method.clone(), path.split('?').next().unwrap(), body).await;
            }
        }
    }
    secrets
}

/// What a text looks like where it is written in another way: as it is, in hexadecimal digits, percent-encoded, and in the
/// base64 of something that it is a part of, wherever it begins there.
fn written(text: &str) -> Vec<String> {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut all = vec![text.to_owned(), hex.to_uppercase(), hex, percent];
    for start in 0..3 {
        let moved = [vec![0; start], text.as_bytes().to_vec()].concat();
        // The first characters depend on what comes before it, the last ones on what follows.
        let inside = |encoded: String| encoded[(start * 8).div_ceil(6)..moved.len() * 8 / 6].to_owned();
        all.extend([inside(STANDARD.encode(&moved)), inside(URL_SAFE.encode(&moved))]);
    }
    all
}

#[track_caller]
fn assert_silent(text: &str, secrets: &[String]) {
    for secret in secrets.iter().map(String::as_str).chain(["canary"]) {
        for written in written(secret) {
            let line = text.lines().find(|line| line.contains(&written));
            assert_eq!(line, None, "a secret is in the output, as {written}");
        }
    }
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    for around in [b"x" as &[u8], b"", b"xy", b"{\"data\":\""] {
        let whole = [around, b"canary-data", around].concat();
        for encoded in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
            assert!(written("canary-data").iter().any(|written| encoded.contains(written)), "{encoded}");
        }
    }
    assert!(written("canary").iter().any(|written| "637a 63616e617279".contains(written)));
}

#[tokio::test]
async fn nothing_is_told_on_the_embedded_backend() {
    let mut process = Process::serve(&[TRACE, ("ADMIN_API_KEY", ADMIN), ("METRICS_TOKEN", "canary-metrics")]);
    let secrets = walk(&process.anyone()).await;
    assert!(secrets.len() >= 5, "{}", secrets.len());
    let (code, _, log) = process.terminate();
    assert_eq!(code, Some(0));
    assert!(log.lines().count() > 100, "it logged every request: {log}");
    // The welcome is the one text that shows keys: those which it made.
    assert_silent(&log, &secrets);
}

#[tokio::test]
async fn nothing_is_told_over_redis_that_works_and_then_fails() {
    let redis = RedisServer::start_with(&["--requirepass", "canary-password"]);
    let url = format!("redis://:canary-password@127.0.0.1:{}/0", redis.port());
    let collector = Collector::start();
    let traces = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.endpoint());
    let mut process = Process::serve(&[TRACE, ("ADMIN_API_KEY", ADMIN), ("REDIS_URL", &url), traces]);
    let anyone = process.anyone();
    let secrets = walk(&anyone).await;
    assert!(secrets.len() >= 5, "{}", secrets.len());
    redis.kill();
    walk(&anyone).await;
    let (_, out, log) = process.terminate();
    assert!(log.contains("a backend call failed"), "the failures are logged: {log}");
    assert_silent(&format!("{out}{log}"), &secrets);
    let traces = collector.taken();
    assert!(collector.count("db.operation.name") > 100, "calls to the backend are traced");
    assert_silent(&String::from_utf8_lossy(&traces), &secrets);
}

#[tokio::test]
async fn nothing_is_told_of_a_password_that_is_wrong() {
    let redis = RedisServer::start_with(&["--requirepass", "another"]);
    let port = redis.port().to_string();
    let mut process = Process::serve(&[
        TRACE,
        ("ADMIN_API_KEY", ADMIN),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_USERNAME", "canary-name"),
        ("REDIS_PASSWORD", "canary-password"),
    ]);
    let anyone = process.anyone();
    anyone
        .with("authorization", &format!("Bearer {ADMIN}"))
        .get("/admin/v1/tenants")
        .await
        .refused(503, "backend_unavailable");
    walk(&anyone).await;
    let (_, out, log) = process.terminate();
    assert_silent(&format!("{out}{log}"), &[]);
}

#[tokio::test]
async fn nothing_is_told_over_rest_with_and_without_its_server() {
    let redis = RedisServer::shared();
    let double = RestDouble::start(redis.port(), "canary-token");
    let over = |url: String| {
        Process::serve(&[
            TRACE,
            ("ADMIN_API_KEY", ADMIN),
            ("REDIS_PROTOCOL", "rest"),
            ("UPSTASH_REDIS_REST_URL", &url),
            ("UPSTASH_REDIS_REST_TOKEN", "canary-token"),
            ("REDIS_KEY_PREFIX", "process-secrets"),
        ])
    };
    let mut process = over(double.url());
    let secrets = walk(&process.anyone()).await;
    assert!(secrets.len() >= 5, "{}", secrets.len());
    let (_, out, log) = process.terminate();
    assert_silent(&format!("{out}{log}"), &secrets);

    let mut process = over(format!("http://127.0.0.1:{}/canary-path", free_port()));
    walk(&process.anyone()).await;
    let (_, out, log) = process.terminate();
    assert!(log.contains("a backend call failed"), "{log}");
    assert_silent(&format!("{out}{log}"), &[]);
}
