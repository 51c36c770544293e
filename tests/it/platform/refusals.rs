//! Endpoints that say more in a refusal than every problem does, whoever refuses; and those that no limit counts.

use crate::harness::app::{Answer, App, Caller};
use crate::harness::raw::exchange;
use actix_web::HttpResponse;
use agentapi::base::code::Code;
use agentapi::base::text::Name;
use agentapi::http::{Endpoints, Json, PathArg, Problem};
use agentapi::tenancy::{Access, Area, Scope};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

const READ: Scope = Scope::new(Area::Flags, Access::Read);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    #[serde(rename = "do")]
    what: String,
}

async fn one(PathArg(_): PathArg<Name>, Json(question): Json<Question>) -> Result<HttpResponse, Problem> {
    match &*question.what {
        "panic" => panic!("canary-of-a-panic"),
        "hang" => std::future::pending().await,
        "lack" => Err(Problem::new(Code::TargetingKeyMissing, "No targetingKey.")),
        "fail" => Err(Problem::new(Code::FlagFailed, "Nothing came of it.")),
        _ => Ok(HttpResponse::Ok().json(json!({}))),
    }
}

async fn all(Json(_): Json<Question>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(json!({})))
}

fn tell(problem: Problem, key: Option<&str>) -> Problem {
    let code = match problem.code() {
        Code::InvalidJson | Code::ValidationFailed => "PARSE_ERROR",
        Code::TargetingKeyMissing => "TARGETING_KEY_MISSING",
        _ => "GENERAL",
    };
    let details = problem.detail().to_owned();
    let problem = problem.with_member("errorCode", code).with_member("errorDetails", details);
    match key {
        Some(key) => problem.with_member("key", key),
        None => problem,
    }
}

fn rows() -> Endpoints {
    Endpoints::under("/told")
        .post("/of", READ, all)
        .unmetered()
        .refuses_as(tell)
        .post("/of/{*key}", READ, one)
        .unmetered()
        .refuses_as(tell)
        .post("/counted", READ, all)
}

/// The problem, if it is one of this status and code that also says this, of the flag where it is about one.
#[track_caller]
fn told(answer: &Answer, (status, code): (u16, &str), error_code: &str, key: Option<&str>) {
    let problem = answer.refused(status, code);
    assert_eq!(problem["errorCode"], error_code, "{problem}");
    assert_eq!(problem["errorDetails"], problem["detail"], "{problem}");
    assert_eq!(problem.get("key").and_then(Value::as_str), key, "{problem}");
    let wait = answer.header("retry-after");
    assert!(wait.is_empty() != matches!(status, 429 | 503) && wait.bytes().all(|b| b.is_ascii_digit()), "{answer:?}");
}

async fn send(caller: &Caller, path: &str, body: &str) -> Answer {
    caller.send(Method::POST, path, Some(body.as_bytes().to_vec())).await
}

const PATHS: [(&str, Option<&str>); 2] = [("/told/of/a%2Fb/c", Some("a/b/c")), ("/told/of", None)];

#[tokio::test]
async fn whoever_refuses_a_request_says_what_its_endpoint_promises() {
    let app = App::with_rows(&[("MAX_BODY_BYTES", "100")], rows);
    let (tenant, poor, suspended) = (app.tenant().await, app.tenant_with(&["cache:read"]).await, app.tenant().await);
    let path = format!("/admin/v1/tenants/{}", suspended.id);
    app.admin().patch(&path, json!({"status": "suspended"})).await.expect(StatusCode::OK);
    let ask = r#"{"do": "it"}"#;
    let long = format!(r#"{{"do": "{}"}}"#, "x".repeat(100));
    for (path, key) in PATHS {
        send(&tenant, path, ask).await.expect(StatusCode::OK);
        told(&send(&app.anyone(), path, ask).await, (401, "unauthorized"), "GENERAL", key);
        told(&send(&poor, path, ask).await, (403, "insufficient_scope"), "GENERAL", key);
        told(&send(&suspended, path, ask).await, (403, "tenant_suspended"), "GENERAL", key);
        told(&send(&app.admin(), path, ask).await, (400, "invalid_header"), "GENERAL", key);
        told(&send(&tenant, &format!("{path}?x=1"), ask).await, (400, "invalid_query"), "GENERAL", key);
        told(&send(&tenant, path, "{").await, (400, "invalid_json"), "PARSE_ERROR", key);
        told(&send(&tenant, path, r#"{"not": 1}"#).await, (422, "validation_failed"), "PARSE_ERROR", key);
        told(&send(&tenant, path, &long).await, (413, "body_too_large"), "GENERAL", key);
        let text = tenant.with("content-type", "text/plain");
        told(&send(&text, path, ask).await, (415, "unsupported_media_type"), "GENERAL", key);
    }
}

#[tokio::test]
async fn a_handlers_own_refusals_its_panics_and_its_delays_are_told_so_too() {
    let app = App::with_rows(&[("REQUEST_TIMEOUT", "300ms")], rows);
    let tenant = app.tenant().await;
    for (what, refusal, error_code) in [
        ("lack", (400, "targeting_key_missing"), "TARGETING_KEY_MISSING"),
        ("fail", (400, "flag_evaluation_failed"), "GENERAL"),
        ("panic", (500, "internal_error"), "GENERAL"),
        ("hang", (503, "backend_unavailable"), "GENERAL"),
    ] {
        let answer = send(&tenant, "/told/of/f", &json!({"do": what}).to_string()).await;
        told(&answer, refusal, error_code, Some("f"));
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_read_is_told_as_it_came() {
    let app = App::with_rows(&[], rows);
    let tenant = app.tenant().await;
    for (raw, key) in [("a/%ff", "a/%ff"), ("%zz", "%zz"), ("a%00", "a\0")] {
        let head = format!("POST /told/of/{raw} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n", tenant.secret);
        let answer = exchange(
            &app.base,
            format!("{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes(),
        );
        let problem: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((&problem["code"], &problem["key"]), (&json!("invalid_name"), &json!(key)), "{raw}");
        assert_eq!(problem["errorCode"], "GENERAL");
    }
}

#[tokio::test]
async fn an_address_that_failed_too_often_and_a_server_that_is_full_say_it_too() {
    let limit =
        [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_REQUESTS_PER_MINUTE", "1"), ("RATE_LIMIT_BURST_SIZE", "0")];
    let app = App::with_rows(&limit, rows);
    let ask = r#"{"do": "it"}"#;
    app.anyone().get("/v1/sessions").await.refused(401, "unauthorized");
    for (path, key) in PATHS {
        told(&send(&app.anyone(), path, ask).await, (429, "rate_limited"), "GENERAL", key);
    }
    let app = App::with_rows(&[("MAX_IN_FLIGHT", "1"), ("REQUEST_TIMEOUT", "20s"), ("WORKERS", "1")], rows);
    let tenant = app.tenant().await;
    let hangs = (*tenant).clone();
    let held = tokio::spawn(async move { send(&hangs, "/told/of/f", r#"{"do": "hang"}"#).await });
    let (path, key) = PATHS[0];
    let full = loop {
        let answer = send(&tenant, path, ask).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
    };
    told(&full, (503, "overloaded"), "GENERAL", key);
    held.abort();
}

#[tokio::test]
async fn what_is_not_counted_neither_meets_the_limit_nor_uses_it_up() {
    let limit =
        [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_REQUESTS_PER_MINUTE", "2"), ("RATE_LIMIT_BURST_SIZE", "0")];
    let app = App::with_rows(&limit, rows);
    let tenant = app.tenant().await;
    let ask = r#"{"do": "it"}"#;
    for round in 0..4 {
        for _ in 0..5 {
            let free = send(&tenant, "/told/of", ask).await;
            free.expect(StatusCode::OK);
            assert_eq!((free.header("ratelimit"), free.header("ratelimit-policy")), ("", ""));
        }
        let counted = send(&tenant, "/told/counted", ask).await;
        match round {
            0 | 1 => assert_eq!(counted.header("ratelimit").split(';').nth(1), Some(["r=1", "r=0"][round])),
            _ => drop(counted.refused(429, "rate_limited")),
        }
    }
}
