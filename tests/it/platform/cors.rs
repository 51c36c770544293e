//! Pages of other origins: who may ask, and what they are told.

use crate::harness::app::{Answer, App, Caller, On};
use crate::harness::redis_server::RedisServer;
use crate::harness::table::rows;
use actix_web::HttpResponse;
use agentapi::http::{Access as Who, Endpoints, Event, EventStream, Problem};
use agentapi::tenancy::{Access, Area, Scope};
use futures_util::stream::{self, StreamExt};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;

const READ: Scope = Scope::new(Area::Flags, Access::Read);
const PAGE: &str = "https://app.example.com";
const OTHER_PAGE: &str = "http://localhost:3000";
const NAMED: (&str, &str) = ("CORS_ORIGINS", "https://app.example.com, http://localhost:3000");
const ANY: (&str, &str) = ("CORS_ORIGINS", "*");
const HOSTILE: [&str; 14] = [
    "null",
    "",
    "*",
    "https://app.example.com.evil",
    "https://app.example.co",
    "https://evil.app.example.com",
    "https://evilapp.example.com",
    "https://APP.example.com",
    "HTTPS://app.example.com",
    "https://app.example.com/",
    "https://app.example.com:443",
    "http://app.example.com",
    "https://app.example.com, http://localhost:3000",
    "https://\u{e4}pp.example.com",
];

async fn large() -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().body("x".repeat(300_000)))
}

async fn panics() -> Result<HttpResponse, Problem> {
    panic!("as the test wants it")
}

async fn hangs() -> Result<HttpResponse, Problem> {
    std::future::pending().await
}

async fn listen(stream: EventStream) -> Result<HttpResponse, Problem> {
    Ok(stream.answer(stream::iter([Event::default()]).chain(stream::pending())))
}

fn more() -> Endpoints {
    Endpoints::under("/pages")
        .get("/large", READ, large)
        .get("/panics", READ, panics)
        .get("/hangs", READ, hangs)
        .get("/listen", READ, listen)
}

/// Whether it is told to this origin, and to caches that it is for one origin alone.
#[track_caller]
fn is_for(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), origin, "{answer:?}");
    assert_eq!(answer.headers.get_all("access-control-allow-origin").iter().count(), 1, "{answer:?}");
    assert!(answer.header("access-control-expose-headers").contains("X-Request-Id"), "{answer:?}");
    assert_eq!(answer.header("vary"), if origin == "*" { "" } else { "Origin" }, "{answer:?}");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"), "{answer:?}");
}

#[track_caller]
fn is_for_nobody(answer: &Answer, vary: &str) {
    let told: Vec<_> = answer.headers.keys().filter(|name| name.as_str().starts_with("access-control")).collect();
    assert!(told.is_empty(), "{answer:?}");
    assert_eq!(answer.header("vary"), vary, "{answer:?}");
}

async fn preflight(caller: &Caller, path: &str) -> Answer {
    let asks = caller.with("access-control-request-method", "PUT");
    asks.with("access-control-request-headers", "authorization").send(Method::OPTIONS, path, None).await
}

#[tokio::test]
async fn where_no_origins_are_named_no_page_is_told_anything() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    for caller in [(*tenant).clone(), tenant.with("origin", PAGE), app.anyone().with("origin", PAGE)] {
        is_for_nobody(&caller.get("/v1/sessions").await, "");
        let asked = preflight(&caller, "/v1/sessions").await;
        asked.refused(405, "method_not_allowed");
        is_for_nobody(&asked, "");
    }
}

#[tokio::test]
async fn a_page_of_a_named_origin_may_read_answers_and_refusals() {
    let app = App::with_rows(&[NAMED], more);
    let tenant = app.tenant().await;
    for origin in [PAGE, OTHER_PAGE] {
        let (page, stranger) = (tenant.with("origin", origin), app.anyone().with("origin", origin));
        let created = page.post("/v1/sessions", json!({"user_id": "u"})).await;
        let read = format!("/v1/sessions/{}", created.expect(StatusCode::CREATED)["id"].as_str().unwrap());
        let not_modified = page.with("if-none-match", created.header("etag")).get(&read).await;
        for (answer, status) in [
            (created, 201),
            (not_modified, 304),
            (page.head("/v1/sessions").await, 200),
            (stranger.get("/status").await, 200),
            (stranger.get("/v1/sessions").await, 401),
            (page.get("/v1/sessions?x=1").await, 400),
            (page.get("/v1/sessions/nobody").await, 404),
            (stranger.get("/nowhere").await, 404),
            (page.send(Method::PATCH, "/v1/sessions", None).await, 405),
            (page.send(Method::OPTIONS, "/v1/sessions", None).await, 405),
            (page.get("/pages/panics").await, 500),
        ] {
            assert_eq!(answer.status.as_u16(), status, "{answer:?}");
            is_for(&answer, origin);
        }
        let large = page.get("/pages/large").await;
        assert_eq!(large.text.len(), 300_000);
        is_for(&large, origin);
        let events = page.get("/pages/listen").await;
        assert_eq!((events.status, events.header("content-type")), (StatusCode::OK, "text/event-stream"));
        is_for(&events, origin);
        is_for(&page.get("/ofrep/v1/events").await, origin);
    }
}

#[tokio::test]
async fn a_page_learns_that_it_asked_too_often_and_that_the_server_is_full() {
    let limit = [
        NAMED,
        ("RATE_LIMIT_ENABLED", "true"),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "1"),
        ("RATE_LIMIT_BURST_SIZE", "0"),
    ];
    let app = App::with_rows(&limit, more);
    let page = app.tenant().await.with("origin", PAGE);
    for _ in 0..5 {
        preflight(&page, "/v1/sessions").await.expect(StatusCode::NO_CONTENT);
    }
    // None of these was counted.
    page.get("/v1/sessions").await.expect(StatusCode::OK);
    let limited = page.get("/v1/sessions").await;
    limited.refused(429, "rate_limited");
    is_for(&limited, PAGE);
    preflight(&page, "/v1/sessions").await.expect(StatusCode::NO_CONTENT);

    let app = App::with_rows(&[NAMED, ("MAX_IN_FLIGHT", "1"), ("REQUEST_TIMEOUT", "20s")], more);
    let page = app.tenant().await.with("origin", PAGE);
    let hangs = page.clone();
    let held = tokio::spawn(async move { hangs.get("/pages/hangs").await });
    let full = loop {
        let answer = page.get("/v1/sessions").await;
        if answer.status != StatusCode::OK {
            break answer;
        }
    };
    full.refused(503, "overloaded");
    is_for(&full, PAGE);
    preflight(&page, "/v1/sessions").await.expect(StatusCode::NO_CONTENT);
    held.abort();
}

#[tokio::test]
async fn no_other_origin_is_told_anything_and_caches_learn_that_answers_differ() {
    let app = App::with(On::Memory, &[NAMED]);
    let tenant = app.tenant().await;
    let two = |first, second| tenant.with("origin", first).with("origin", second);
    let mut callers: Vec<Caller> = HOSTILE.iter().map(|origin| tenant.with("origin", origin)).collect();
    callers.extend([two(PAGE, "https://evil.example"), two("https://evil.example", PAGE), two(PAGE, PAGE)]);
    callers.push((*tenant).clone());
    for caller in callers {
        let answer = caller.get("/v1/sessions").await;
        answer.expect(StatusCode::OK);
        is_for_nobody(&answer, "Origin");
        let asked = preflight(&caller, "/v1/sessions").await;
        asked.refused(405, "method_not_allowed");
        is_for_nobody(&asked, "Origin");
    }
}

#[tokio::test]
async fn with_an_asterisk_every_page_may_ask() {
    let app = App::with(On::Memory, &[ANY]);
    let tenant = app.tenant().await;
    for origin in [PAGE].iter().chain(&HOSTILE) {
        let page = tenant.with("origin", origin);
        is_for(&page.get("/v1/sessions").await, "*");
        let asked = preflight(&page, "/v1/sessions").await;
        asked.expect(StatusCode::NO_CONTENT);
        is_for(&asked, "*");
    }
    // The answers to all are alike, so that a cache may keep one of them.
    is_for(&tenant.get("/v1/sessions").await, "*");
    preflight(&tenant, "/v1/sessions").await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_preflight_tells_what_may_be_sent_to_a_path_that_exists() {
    let app = App::with(On::Memory, &[NAMED]);
    let page = app.anyone().with("origin", PAGE);
    for row in rows().iter().filter(|row| row.access != Who::Admin) {
        let asked = preflight(&page, &row.any_path()).await;
        assert_eq!((asked.status.as_u16(), &*asked.text), (204, ""), "{row:?}");
        is_for(&asked, PAGE);
        let methods: Vec<&str> = asked.header("access-control-allow-methods").split(", ").collect();
        assert!(methods.contains(&row.method.as_str()), "{row:?}: {methods:?}");
        assert_eq!(asked.header("access-control-max-age"), "600");
        assert_eq!((asked.header("x-request-id").len(), asked.header("x-content-type-options")), (36, "nosniff"));
    }
    let asked = preflight(&page, "/v1/sessions").await;
    assert_eq!(asked.header("access-control-allow-methods"), "GET, HEAD, POST");
    let missing = preflight(&page, "/v1/nowhere").await;
    missing.refused(404, "not_found");
    is_for(&missing, PAGE);
}

#[tokio::test]
async fn a_preflight_asks_no_backend() {
    let redis = Arc::new(RedisServer::start());
    let app = App::over(redis.clone(), &[NAMED]);
    let page = app.tenant().await.with("origin", PAGE);
    redis.kill();
    for key in ["sk_nobody", ""] {
        let asks = page.with("x-api-key", key);
        preflight(&asks, "/v1/sessions/some").await.expect(StatusCode::NO_CONTENT);
    }
    let away = page.get("/v1/sessions/some").await;
    away.refused(503, "backend_unavailable");
    is_for(&away, PAGE);
    let shown = app.anyone().get("/metrics").await.text;
    let counted =
        shown.lines().find(|line| line.contains("request_duration_seconds_count") && line.contains("OPTIONS"));
    assert!(counted.is_some_and(|line| line.contains("204") && line.ends_with(" 2")), "{counted:?}");
}

#[tokio::test]
async fn the_admin_api_tells_no_page_anything() {
    for origins in [NAMED, ANY] {
        let app = App::with(On::Memory, &[origins]);
        let page = app.admin().with("origin", PAGE);
        for row in rows().iter().filter(|row| row.access == Who::Admin) {
            is_for_nobody(&row.send_garbage(&page).await, "");
            let asked = preflight(&page, &row.any_path()).await;
            asked.refused(405, "method_not_allowed");
            is_for_nobody(&asked, "");
        }
        for path in ["/admin", "/admin/", "/admin/v1/tenants?limit=1", "/admin/nowhere"] {
            is_for_nobody(&page.get(path).await, "");
        }
    }
}

#[tokio::test]
async fn every_header_that_an_answer_has_may_be_read_and_every_header_that_is_read_may_be_sent() {
    let variables = [ANY, ("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_REQUESTS_PER_MINUTE", "100000")];
    let app = App::with(On::Memory, &variables);
    let page = app.tenant().await.with("origin", PAGE);
    let once = page.with("idempotency-key", "once");
    let session = json!({"user_id": "u", "id": "s"});
    let mut answers = vec![once.post("/v1/sessions", session.clone()).await, once.post("/v1/sessions", session).await];
    assert_eq!(answers[1].header("idempotency-replayed"), "true");
    for row in rows().iter().filter(|row| row.access != Who::Admin) {
        answers.push(row.send_garbage(&page).await);
        answers.push(row.send_garbage(&app.anyone()).await);
    }
    // What pages may read anyway, and what tells them nothing.
    let others = ["cache-control", "content-length", "content-type", "date", "vary", "connection", "transfer-encoding"];
    let nothing =
        ["x-content-type-options", "www-authenticate", "content-security-policy", "x-accel-buffering", "allow"];
    for answer in &answers {
        let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
        for name in answer.headers.keys().map(|name| name.as_str()) {
            let is_told = exposed.split(", ").any(|told| told == name) || name.starts_with("access-control-");
            assert!(is_told || others.contains(&name) || nothing.contains(&name), "{name} in {answer:?}");
        }
    }
    let asked = preflight(&page, "/v1/sessions").await;
    let allowed = asked.header("access-control-allow-headers").to_ascii_lowercase();
    let description = app.anyone().get("/openapi.json").await.json();
    let mut described = vec!["authorization".to_owned(), "x-api-key".to_owned(), "content-type".to_owned()];
    for operation in
        description["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let headers = parameters.filter(|parameter| parameter["in"] == "header");
        described.extend(headers.map(|header| header["name"].as_str().unwrap().to_ascii_lowercase()));
    }
    assert!(described.len() > 10);
    for name in described {
        assert!(allowed.split(", ").any(|told| told == name), "{name} is not in {allowed}");
    }
}
