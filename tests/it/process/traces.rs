//! Traces that a collector gets, and what they do not say.

use super::{Process, run};
use crate::harness::app::Caller;
use crate::harness::collector::Collector;
use crate::harness::redis_server::{RedisServer, free_port};
use serde_json::json;

const ADMIN: &str = "an-admin-key-of-more-than-32-characters";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACE_BYTES: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];

fn serve(collector: &str, more: &[(&str, &str)]) -> Process {
    let mut variables =
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", collector), ("ADMIN_API_KEY", ADMIN), ("LOG_LEVEL", "debug")];
    variables.extend(more);
    Process::serve(&variables)
}

async fn tenant(anyone: &Caller, id: &str) -> Caller {
    let admin = anyone.with("authorization", &format!("Bearer {ADMIN}"));
    let made = admin.post("/admin/v1/tenants", json!({"id": id, "create_key": true})).await.json();
    anyone.with("x-api-key", made["api_key"]["key"].as_str().expect("a key"))
}

#[tokio::test]
async fn a_request_and_what_it_asks_the_backend_are_parts_of_its_callers_trace() {
    let (collector, redis) = (Collector::start(), RedisServer::start_with(&[]));
    let url = format!("redis://127.0.0.1:{}/0", redis.port());
    let mut process = serve(&collector.endpoint(), &[("REDIS_URL", &url), ("OTEL_SERVICE_NAME", "the-service")]);
    let tenant = tenant(&process.anyone(), "traced").await;
    let caller = tenant.with("traceparent", &format!("00-{TRACE_ID}-00f067aa0ba902b7-01"));
    let session = caller.post("/v1/sessions", json!({"user_id": "somebody-in-particular"})).await.json();
    let id = session["id"].as_str().unwrap();
    caller.get(&format!("/v1/sessions/{id}")).await;
    let (code, _, log) = process.terminate();
    assert_eq!(code, Some(0));
    for told in
        ["the-service", "POST /v1/sessions", "GET /v1/sessions/{id}", "sessions/create", "db.operation.name", "traced"]
    {
        assert!(collector.count(told) > 0, "{told} is not told");
    }
    // Two requests, and at least one call to the backend for each.
    assert!(collector.count(TRACE_BYTES) >= 4);
    for secret in [id, "somebody-in-particular", "agentapi:{"] {
        assert_eq!(collector.count(secret), 0, "{secret} is told");
    }
    let line = log.lines().find(|line| line.contains(TRACE_ID) && line.contains("/v1/sessions")).expect("a line");
    assert!(line.contains("span_id") && line.contains("traced") && line.contains("key_id"), "{line}");
}

#[tokio::test]
async fn what_its_caller_does_not_record_is_not_recorded_and_of_the_rest_as_much_as_is_wanted() {
    let collector = Collector::start();
    let mut process = serve(&collector.endpoint(), &[("OTEL_TRACES_SAMPLER_ARG", "0")]);
    let tenant = tenant(&process.anyone(), "traced").await;
    tenant.with("traceparent", &format!("00-{TRACE_ID}-00f067aa0ba902b7-00")).get("/v1/sessions").await;
    tenant.get("/v1/flags").await;
    tenant.with("traceparent", &format!("00-{TRACE_ID}-00f067aa0ba902b7-01")).get("/v1/flagset").await;
    assert_eq!(process.terminate().0, Some(0));
    let told = ["GET /v1/sessions", "GET /v1/flags", "GET /v1/flagset"].map(|route| collector.count(route));
    // The name of the second is the begin of the third.
    assert_eq!(told, [0, 1, 1]);
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_no_matter_of_requests() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let mut process = serve(&nobody, &[("SHUTDOWN_GRACE", "1s")]);
    let tenant = tenant(&process.anyone(), "traced").await;
    for _ in 0..20 {
        tenant.get("/v1/sessions").await.expect(reqwest::StatusCode::OK);
    }
    let (code, _, log) = process.terminate();
    assert_eq!(code, Some(0));
    let told = log.lines().filter(|line| line.contains("opentelemetry")).collect::<Vec<_>>().join("\n");
    assert!(told.contains("network error") && !told.contains(&nobody), "{log}");
}

#[test]
fn a_collector_that_cannot_be_one_is_a_mistake_whose_value_is_not_told() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:canary@example.com"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "canary"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
    ] {
        let output = run(&["serve"], &[(name, value)]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(name) && !told.contains("canary"), "{told}");
    }
}
