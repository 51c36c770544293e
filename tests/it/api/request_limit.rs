//! How often an API key may ask, and an address without one.

use super::{app_with, backend_of, suite, tenant_like, text};
use crate::harness::app::{ADMIN_KEY, Answer, App, Caller, On};
use crate::harness::redis_server::RedisServer;
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

suite! {
    every_answer_tells_how_its_key_stands
    beyond_limit_and_burst_a_request_is_refused_before_it_is_read
    each_key_has_a_limit_of_its_own
    a_changed_limit_of_the_tenant_is_in_force_within_a_second
    operators_and_what_anyone_may_call_are_not_limited
    without_the_limit_nothing_is_said_of_it
    the_older_fields_come_where_they_are_wanted
    two_servers_together_let_the_limit_through_and_no_more
    an_address_may_not_try_keys_without_end_and_nobody_with_a_key_suffers
}

const ON: (&str, &str) = ("RATE_LIMIT_ENABLED", "true");
const FIELDS: [&str; 2] = ["ratelimit-policy", "ratelimit"];

fn limited(app: &App, variables: &[(&str, &str)]) -> App {
    app_with(backend_of(app), &[&[ON], variables].concat())
}

#[track_caller]
fn fields(answer: &Answer) -> [&str; 2] {
    FIELDS.map(|name| answer.header(name))
}

/// A tenant whose keys may ask so often.
async fn tenant_of(app: &App, id: &str, requests_per_minute: u32, burst_size: u32) -> Caller {
    let limits = json!({"requests_per_minute": requests_per_minute, "burst_size": burst_size});
    tenant_like(app, id, limits, json!({})).await
}

/// Asks until it is refused: how often it was not.
async fn admitted(caller: &Caller, at_most: usize) -> usize {
    for n in 0..at_most {
        if caller.get("/v1/sessions").await.status == StatusCode::TOO_MANY_REQUESTS {
            return n;
        }
    }
    at_most
}

async fn every_answer_tells_how_its_key_stands(app: App) {
    let app = limited(&app, &[]);
    let tenant = app.tenant().await;
    let first = tenant.get("/v1/sessions").await;
    first.expect(StatusCode::OK);
    assert_eq!(fields(&first), [r#""api";q=60;w=60"#, r#""api";r=59;t=60"#]);
    let all = [
        tenant.get("/v1/sessions/absent").await,
        tenant.head("/v1/sessions/absent").await,
        tenant.get("/v1/sessions?no=such").await,
        tenant.post("/v1/sessions", json!({"user_id": 7})).await,
        tenant.post("/v1/sessions", json!({"user_id": "u1"})).await,
    ];
    assert_eq!(all.each_ref().map(|answer| answer.status.as_u16()), [404, 404, 400, 422, 201]);
    for (answer, left) in all.iter().zip((0..59).rev()) {
        let [policy, standing] = fields(answer);
        let seconds = standing.strip_prefix(&format!(r#""api";r={left};t="#)).unwrap_or_else(|| panic!("{standing}"));
        assert!(policy == r#""api";q=60;w=60"# && (1..=60).contains(&seconds.parse::<u32>().unwrap()), "{standing}");
    }
}

async fn beyond_limit_and_burst_a_request_is_refused_before_it_is_read(app: App) {
    let app = limited(&app, &[("RATE_LIMIT_REQUESTS_PER_MINUTE", "5"), ("RATE_LIMIT_BURST_SIZE", "2")]);
    let tenant = app.tenant().await;
    for left in [4, 3, 2, 1, 0, 0, 0] {
        let answer = tenant.get("/v1/sessions").await;
        answer.expect(StatusCode::OK);
        assert!(answer.header("ratelimit").starts_with(&format!(r#""api";r={left};t="#)), "{answer:?}");
    }
    let begun = Instant::now();
    for body in [b"{ no json".to_vec(), b"{}".to_vec(), vec![b' '; 100_000], b"{}".to_vec()] {
        let answer = tenant.send(Method::POST, "/v1/sessions", Some(body)).await;
        let problem = answer.refused(429, "rate_limited");
        assert_eq!(problem["violated-policies"], json!(["api"]));
        assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
        assert_eq!(fields(&answer)[0], r#""api";q=5;w=60"#);
        assert!(answer.header("ratelimit").starts_with(r#""api";r=0;t="#), "{answer:?}");
        let after: u64 = answer.header("retry-after").parse().expect("whole seconds");
        assert!((1..=120).contains(&after) && after + begun.elapsed().as_secs() + 1 >= 60, "{after}");
    }
    if backend_of(&app) == On::Memory {
        // What is remembered of denials, on the machine's clock, is over by then.
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.clock.advance(Duration::from_secs(120));
        assert_eq!(admitted(&tenant, 10).await, 7);
    }
}

async fn each_key_has_a_limit_of_its_own(app: App) {
    let app = limited(&app, &[]);
    let caller = tenant_of(&app, "acme", 2, 1).await;
    assert_eq!(admitted(&caller, 10).await, 3);
    let other = app.admin().post("/admin/v1/tenants/acme/keys", json!({})).await.expect(StatusCode::CREATED);
    let other = app.anyone().with("x-api-key", text(&other, "key"));
    assert_eq!(admitted(&other, 10).await, 3);
    assert_eq!(admitted(&tenant_of(&app, "other", 4, 0).await, 10).await, 4);
    caller.get("/v1/sessions").await.refused(429, "rate_limited");
}

async fn a_changed_limit_of_the_tenant_is_in_force_within_a_second(app: App) {
    let app = limited(&app, &[]);
    let caller = tenant_of(&app, "acme", 3, 0).await;
    assert_eq!(admitted(&caller, 10).await, 3);
    let change = json!({"limits": {"requests_per_minute": 100}});
    app.admin().patch("/admin/v1/tenants/acme", change).await.expect(StatusCode::OK);
    let begun = Instant::now();
    let answer = loop {
        let answer = caller.get("/v1/sessions").await;
        if answer.status == StatusCode::OK {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{answer:?}");
    };
    assert_eq!(fields(&answer)[0], r#""api";q=100;w=60"#);
    assert!(answer.header("ratelimit").starts_with(r#""api";r=96;t="#), "what was used counts on: {answer:?}");
}

async fn operators_and_what_anyone_may_call_are_not_limited(app: App) {
    let app = limited(&app, &[("RATE_LIMIT_REQUESTS_PER_MINUTE", "1"), ("RATE_LIMIT_BURST_SIZE", "0")]);
    let tenant = app.tenant().await;
    let acting = app.admin().with("x-tenant-id", &tenant.id);
    for _ in 0..5 {
        for answer in [
            acting.get("/v1/sessions").await,
            app.admin().get("/admin/v1/tenants").await,
            app.anyone().get("/health/live").await,
        ] {
            answer.expect(StatusCode::OK);
            assert_eq!(fields(&answer), ["", ""]);
        }
    }
    assert_eq!(admitted(&tenant, 3).await, 1);
}

async fn without_the_limit_nothing_is_said_of_it(app: App) {
    let tenant = app.tenant().await;
    for _ in 0..100 {
        let answer = tenant.get("/v1/sessions").await;
        answer.expect(StatusCode::OK);
        assert_eq!(fields(&answer), ["", ""]);
        app.anyone().get("/v1/sessions").await.refused(401, "unauthorized");
    }
}

async fn the_older_fields_come_where_they_are_wanted(app: App) {
    let app = limited(&app, &[("RATE_LIMIT_LEGACY_HEADERS", "true")]);
    let answer = app.tenant().await.get("/v1/sessions").await;
    assert_eq!(fields(&answer), [r#""api";q=60;w=60"#, r#""api";r=59;t=60"#]);
    let older = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"].map(|name| answer.header(name));
    assert_eq!(older, ["60", "59", "60"]);
}

async fn two_servers_together_let_the_limit_through_and_no_more(app: App) {
    let prefix = [("REDIS_KEY_PREFIX", "two-servers"), ("WORKERS", "2"), ON];
    let patient = super::PATIENT;
    let variables = [&patient[..], &prefix[..]].concat();
    let apps = match backend_of(&app) {
        On::Memory => vec![app_with(On::Memory, &prefix)],
        On::Native => {
            let redis = Arc::new(RedisServer::start());
            vec![App::over(redis.clone(), &variables), App::over(redis, &variables)]
        }
        On::Rest => {
            let (redis, rest) = (app.redis.clone().unwrap(), app.rest.clone().unwrap());
            let prefix = format!("two-{}", std::process::id());
            let variables = [&variables[..], &[("REDIS_KEY_PREFIX", prefix.as_str())][..]].concat();
            vec![App::over_rest(redis.clone(), rest.clone(), &variables), App::over_rest(redis, rest, &variables)]
        }
    };
    let limits = json!({"requests_per_minute": 80, "burst_size": 20});
    let made = json!({"id": "acme", "limits": limits, "create_key": true});
    let made = apps[0].admin().post("/admin/v1/tenants", made).await.expect(StatusCode::CREATED);
    let callers: Vec<_> =
        apps.iter().map(|app| app.anyone().with("x-api-key", text(&made["api_key"], "key"))).collect();
    // Some after another, and then many at once.
    let mut admitted = 0;
    for n in 0..20 {
        admitted += usize::from(callers[n % callers.len()].get("/v1/sessions").await.status == StatusCode::OK);
    }
    let many = join_all((0..120).map(|n| callers[n % callers.len()].get("/v1/sessions"))).await;
    for answer in many {
        match answer.status {
            StatusCode::OK => admitted += 1,
            _ => drop(answer.refused(429, "rate_limited")),
        }
    }
    for n in 0..20 {
        admitted += usize::from(callers[n % callers.len()].get("/v1/sessions").await.status == StatusCode::OK);
    }
    assert!((85..=100).contains(&admitted), "{admitted} of 100");
}

async fn an_address_may_not_try_keys_without_end_and_nobody_with_a_key_suffers(app: App) {
    let variables = [("RATE_LIMIT_REQUESTS_PER_MINUTE", "10"), ("RATE_LIMIT_BURST_SIZE", "2")];
    let app = limited(&app, &[&variables[..], &[("TRUSTED_PROXIES", "127.0.0.1")]].concat());
    let tenant = app.tenant().await;
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    let stranger = |address: &str| app.anyone().with("x-forwarded-for", address);
    let unknown = App::on(On::Memory).tenant().await.secret;
    let tries = [
        stranger("192.0.2.1"),
        stranger("192.0.2.1").with("x-api-key", "no key"),
        stranger("192.0.2.1").with("authorization", &format!("Bearer {unknown}")),
    ];
    let begun = Instant::now();
    for n in 0..12 {
        tries[n % 3].get("/v1/sessions").await.refused(401, "unauthorized");
    }
    // One drains each six seconds.
    let mut more = 0;
    loop {
        let answer = tries[more % 3].get("/v1/sessions").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let problem = answer.refused(429, "rate_limited");
            assert_eq!(problem["violated-policies"], json!(["unauthenticated"]));
            assert!((1..=6).contains(&answer.header("retry-after").parse::<u32>().unwrap()), "{answer:?}");
            break;
        }
        answer.refused(401, "unauthorized");
        more += 1;
        assert!(more as u64 <= begun.elapsed().as_secs() / 6 + 1, "{more} more");
    }
    stranger("192.0.2.2").get("/v1/sessions").await.refused(401, "unauthorized");
    for address in ["2001:db8::1", "2001:db8::2"] {
        stranger(address).get("/v1/sessions").await.refused(401, "unauthorized");
    }
    let same = [("x-forwarded-for", "192.0.2.1")];
    for (name, value) in same {
        tenant.with(name, value).get("/v1/sessions").await.expect(StatusCode::OK);
        app.admin().with(name, value).get("/admin/v1/tenants").await.expect(StatusCode::OK);
    }
}

/// A server over a Redis of its own, and a tenant whose key is known to it, with a session.
async fn before_an_outage(variables: &[(&str, &str)]) -> (Arc<RedisServer>, App, Caller, Value) {
    let server = Arc::new(RedisServer::start());
    let app = App::over(server.clone(), &[&[ON, ("REQUEST_TIMEOUT", "10s")], variables].concat());
    let tenant = tenant_of(&app, "acme", 6, 0).await;
    let session = tenant.post("/v1/sessions", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    (server, app, tenant, session)
}

/// Asks for a session until this is the answer.
async fn until_degraded(caller: &Caller) -> Answer {
    let begun = Instant::now();
    loop {
        let body = json!({"user_id": "u2"});
        let answer = caller.post("/v1/sessions", body).await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE || answer.text.contains("Limits cannot be checked") {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn in_an_outage_each_server_goes_on_counting_for_itself() {
    let (server, app, tenant, _) = before_an_outage(&[("SESSION_FALLBACK", "memory")]).await;
    server.kill();
    let first = until_degraded(&tenant).await;
    first.expect(StatusCode::CREATED);
    assert_eq!(first.header("x-degraded"), "memory", "it is an outage");
    assert_eq!(fields(&first)[0], r#""api";q=6;w=60"#);
    let mut allowed = 1;
    while allowed < 20 {
        let answer = tenant.post("/v1/sessions", json!({"user_id": "u2"})).await;
        if answer.status != StatusCode::CREATED {
            answer.refused(429, "rate_limited");
            break;
        }
        allowed += 1;
    }
    // Those that failed on the way into the outage may have been counted.
    assert!((1..=6).contains(&allowed), "{allowed}");
    assert_eq!(app.anyone().get("/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn in_an_outage_a_server_that_fails_closed_refuses() {
    let variables = [("SESSION_FALLBACK", "memory"), ("RATE_LIMIT_FAIL", "closed")];
    let (server, app, tenant, _) = before_an_outage(&variables).await;
    server.kill();
    let answer = until_degraded(&tenant).await;
    answer.refused(503, "backend_unavailable");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    server.restart();
    let begun = Instant::now();
    while app.admin().get("/admin/v1/tenants").await.status != StatusCode::OK {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn beyond_its_limit_an_address_costs_the_backend_nothing() {
    let server = Arc::new(RedisServer::start());
    let app = App::over(server.clone(), &[ON, ("RATE_LIMIT_REQUESTS_PER_MINUTE", "1")]);
    let stranger = app.anyone().with("x-api-key", &App::on(On::Memory).tenant().await.secret);
    let begun = Instant::now();
    while stranger.get("/v1/sessions").await.status != StatusCode::TOO_MANY_REQUESTS {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    server.kill();
    stranger.get("/v1/sessions").await.refused(429, "rate_limited");
    let admin = app.anyone().with("x-api-key", ADMIN_KEY);
    assert_ne!(admin.get("/admin/v1/tenants").await.status, StatusCode::TOO_MANY_REQUESTS);
}

/// Checks that are asked for from the first moment of an outage on are answered, before anybody has noticed it too.
async fn checks_are_answered_all_the_way_into(outage: impl FnOnce(&RedisServer)) {
    let server = Arc::new(RedisServer::start());
    let patience = [ON, ("REQUEST_TIMEOUT", "10s"), ("REDIS_COMMAND_TIMEOUT", "300ms")];
    let app = App::over(server.clone(), &patience);
    let tenant = app.tenant().await;
    let body = |key: &str| json!({"key": key, "limit": 3, "window": "1h"});
    let exact = tenant.post("/v1/ratelimit/check", body("k")).await;
    assert_eq!((exact.expect(StatusCode::OK).get("degraded"), exact.header("x-degraded")), (None, ""));
    // So long that nobody knows any more whose key it is without asking.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    outage(&server);
    let begun = Instant::now();
    let mut allowed = 0;
    for n in 0..12 {
        let asked = Instant::now();
        let answer = tenant.post("/v1/ratelimit/check", body("k")).await;
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        let told = answer.expect(StatusCode::OK);
        assert_eq!((&told["degraded"], answer.header("x-degraded")), (&json!(true), "memory"), "{n}: {told}");
        assert_eq!(fields(&answer)[0], r#""api";q=60;w=60"#, "the server's own limit goes on too");
        allowed += usize::from(told["allowed"] == true);
    }
    assert_eq!(allowed, 3, "after {:?}", begun.elapsed());
    // What must not be approximated is refused, by the same key at the same time.
    tenant.get("/v1/sessions").await.refused(503, "backend_unavailable");
    tenant.delete("/v1/ratelimit?key=k").await.refused(503, "backend_unavailable");
    let metrics = app.anyone().get("/metrics").await.text;
    let line = r#"agentapi_rate_limit_checks_total{limit="named",outcome="approximately_denied"} 9"#;
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}

#[tokio::test]
async fn checks_are_answered_all_the_way_into_the_end_of_the_backend() {
    checks_are_answered_all_the_way_into(RedisServer::kill).await;
}

#[tokio::test]
async fn checks_are_answered_all_the_way_into_a_backend_that_hangs() {
    checks_are_answered_all_the_way_into(RedisServer::stop).await;
}
