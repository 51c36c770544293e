//! Answers that go on: event streams, and what bounds them.

use crate::harness::app::App;
use crate::harness::raw::Raw;
use crate::harness::redis_server::RedisServer;
use actix_web::HttpResponse;
use agentapi::base::text::Name;
use agentapi::http::{Endpoints, Event, EventStream, InOutage, Problem, TokenIssuer};
use agentapi::tenancy::{Access, Area, Purpose, Scope};
use futures_util::stream::{self, StreamExt};
use reqwest::StatusCode;
use serde_json::json;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const READ: Scope = Scope::new(Area::Flags, Access::Read);
const EVENTS: Purpose = Purpose::new("test-streams");
const QUICK: (&str, &str) = ("EVENT_STREAM_HEARTBEAT", "10ms");

/// One event that repeats what the client has seen last, and then nothing.
async fn listen(stream: EventStream) -> Result<HttpResponse, Problem> {
    let seen = stream.last_event_id().map_or("nothing", Name::as_str).to_owned();
    let event = Event { id: Name::parse("7").ok(), data: format!("seen\n{seen}"), ..Event::default() };
    Ok(stream.answer(stream::iter([event]).chain(stream::pending())))
}

/// Events of this size that were made by the endless stream.
static MADE: AtomicUsize = AtomicUsize::new(0);
const LARGE: usize = 64 * 1024;

async fn flood(stream: EventStream) -> Result<HttpResponse, Problem> {
    let made = || {
        MADE.fetch_add(1, Ordering::Relaxed);
        Event { data: "x".repeat(LARGE), ..Event::default() }
    };
    Ok(stream.answer(stream::repeat_with(made)))
}

async fn issue(issuer: TokenIssuer) -> Result<HttpResponse, Problem> {
    let token = issuer.issue(EVENTS, Duration::from_millis(300));
    Ok(HttpResponse::Ok().json(json!({"token": token.as_ref().map(|token| token.expose())})))
}

fn rows() -> Endpoints {
    Endpoints::under("/streams")
        .get("/listen", READ, listen)
        .or_by_token(EVENTS)
        .get("/listen-on", READ, listen)
        .in_outage(InOutage::Approximate)
        .get("/flood", READ, flood)
        .get("/issue", READ, issue)
}

/// Somebody who listens.
struct Listener {
    connection: Raw,
    head: String,
}

impl Listener {
    fn to(app: &App, path: &str, headers: &str) -> Listener {
        let mut connection = Raw::connect(&app.base);
        connection.send(format!("GET /streams/{path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes());
        let head = connection.answer();
        Listener { connection, head }
    }

    fn of(app: &App, key: &str) -> Listener {
        Listener::to(app, "listen", &format!("X-API-Key: {key}\r\n"))
    }

    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// Listens until this has come.
    fn hears(&mut self, wanted: &str) -> String {
        let (mut text, mut byte, begun) = (Vec::new(), [0], Instant::now());
        while !text.ends_with(wanted.as_bytes()) {
            // Heartbeats would keep it waiting for ever.
            assert!(begun.elapsed() < Duration::from_secs(20), "{wanted:?} never came");
            self.connection.0.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Listens until the answer ends, as it should.
    fn hears_the_end(&mut self) -> String {
        self.hears("\r\n0\r\n\r\n")
    }
}

#[tokio::test]
async fn events_come_at_once_and_heartbeats_after_them() {
    let app = App::with_rows(&[QUICK], rows);
    let tenant = app.tenant().await;
    let mut listener = Listener::of(&app, &tenant.secret);
    let head = listener.head.to_ascii_lowercase();
    for line in [
        "http/1.1 200 ",
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
        "x-request-id: ",
        "transfer-encoding: chunked\r\n",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let heard = listener.hears("\r\n4\r\n: \n\n\r\n");
    assert!(heard.contains("id: 7\ndata: seen\ndata: nothing\n\n"), "{heard}");
    let head = tenant.head("/streams/listen").await;
    assert_eq!((head.status, head.header("content-type"), &*head.text), (StatusCode::OK, "text/event-stream", ""));
    assert_eq!(tenant.get("/streams/listen").await.text.get(..4), Some(": \n\n"), "it begins at once");
}

#[tokio::test]
async fn what_was_seen_last_is_read_where_it_is_a_name() {
    let app = App::with_rows(&[], rows);
    let tenant = app.tenant().await;
    let longest = "x".repeat(256);
    for (given, seen) in [("12-1", "12-1"), (&longest, &*longest), ("", "nothing"), (&format!("{longest}x"), "nothing")]
    {
        let headers = format!("X-API-Key: {}\r\nLast-Event-ID: {given}\r\n", tenant.secret);
        // The test would wait in vain for another answer.
        Listener::to(&app, "listen", &headers).hears(&format!("data: seen\ndata: {seen}\n\n"));
    }
}

#[tokio::test]
async fn a_tenant_has_so_many_streams_and_gets_a_place_back_when_a_client_goes() {
    let bounds = [QUICK, ("MAX_EVENT_STREAMS", "3"), ("MAX_EVENT_STREAMS_PER_TENANT", "2")];
    let app = App::with_rows(&bounds, rows);
    let (one, other) = (app.tenant().await, app.tenant().await);
    let mut open = [Listener::of(&app, &one.secret), Listener::of(&app, &one.secret)].map(Some);
    let refused = one.get("/streams/listen").await;
    refused.refused(429, "too_many_streams");
    assert_eq!(refused.header("retry-after"), "30");
    let third = Listener::of(&app, &other.secret);
    assert_eq!(third.status(), "200");
    other.get("/streams/listen").await.refused(429, "too_many_streams");
    let gauge = |text: &str| text.contains("\nagentapi_http_event_streams 3\n");
    assert!(gauge(&app.anyone().get("/metrics").await.text));
    open[0].take();
    let gone = Instant::now();
    while Listener::of(&app, &one.secret).status() != "200" {
        assert!(gone.elapsed() < Duration::from_secs(20), "its place was not given back");
    }
}

#[tokio::test]
async fn an_open_stream_is_no_request_in_flight() {
    let app = App::with_rows(&[("MAX_IN_FLIGHT", "1"), ("REQUEST_TIMEOUT", "300ms"), QUICK], rows);
    let tenant = app.tenant().await;
    let mut open: Vec<Listener> = (0..10).map(|_| Listener::of(&app, &tenant.secret)).collect();
    assert!(open.iter().all(|listener| listener.status() == "200"));
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert!(app.anyone().get("/metrics").await.text.contains("\nagentapi_http_in_flight 0\n"));
    // And the time that a request has is not for it: it goes on for longer than that.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(400) {
        open[0].hears(": \n\n");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_key_with_its_tenant_and_with_its_token() {
    let app = App::with_rows(&[QUICK], rows);
    let (revoked, suspended, other) = (app.tenant().await, app.tenant().await, app.tenant().await);
    let mut streams = [&revoked, &suspended, &other].map(|tenant| Listener::of(&app, &tenant.secret));
    let key = format!("/admin/v1/tenants/{}/keys/{}", revoked.id, revoked.key_id);
    app.admin().delete(&key).await.expect(StatusCode::NO_CONTENT);
    streams[0].hears_the_end();
    let as_admin =
        format!("Authorization: Bearer {}\r\nX-Tenant-Id: {}\r\n", crate::harness::app::ADMIN_KEY, suspended.id);
    let mut operator = Listener::to(&app, "listen", &as_admin);
    operator.hears(": \n\n");
    let tenant = format!("/admin/v1/tenants/{}", suspended.id);
    app.admin().patch(&tenant, json!({"status": "suspended"})).await.expect(StatusCode::OK);
    streams[1].hears_the_end();
    operator.hears_the_end();
    let token = other.get("/streams/issue").await.expect(StatusCode::OK)["token"].as_str().unwrap().to_owned();
    let mut by_token = Listener::to(&app, &format!("listen?token={token}"), "");
    assert_eq!(by_token.status(), "200");
    let heard = by_token.hears_the_end();
    assert!(heard.contains(": \n\n"), "{heard}");
    streams[2].hears(": \n\n");
}

#[tokio::test]
async fn while_the_backend_cannot_be_asked_streams_go_on_where_the_last_known_will_do() {
    let redis = Arc::new(RedisServer::start());
    let app = App::over_with_rows(redis.clone(), &[QUICK], rows);
    let tenant = app.tenant().await;
    let key = format!("X-API-Key: {}\r\n", tenant.secret);
    let (mut ends, mut goes_on) = (Listener::to(&app, "listen", &key), Listener::to(&app, "listen-on", &key));
    redis.kill();
    ends.hears_the_end();
    // Some of these were sent before; the last one was not.
    let ended = Instant::now();
    while ended.elapsed() < Duration::from_secs(1) {
        goes_on.hears(": \n\n");
    }
}

#[tokio::test]
async fn streams_end_when_the_server_is_about_to_stop() {
    let app = App::with_rows(&[], rows);
    let tenant = app.tenant().await;
    let mut open: Vec<Listener> = (0..3).map(|_| Listener::of(&app, &tenant.secret)).collect();
    open.iter_mut().for_each(|listener| drop(listener.hears("\n\n")));
    app.draining.begin();
    open.iter_mut().for_each(|listener| drop(listener.hears_the_end()));
}

#[tokio::test]
async fn a_reader_who_does_not_read_keeps_no_more_than_a_connection_holds() {
    let app = App::with_rows(&[], rows);
    let tenant = app.tenant().await;
    let mut lazy = Raw::connect(&app.base);
    lazy.send(format!("GET /streams/flood HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n", tenant.secret).as_bytes());
    // It stops being made once nothing more can be sent; others are served meanwhile.
    let mut before = 0;
    for _ in 0..1000 {
        tenant.get("/v1/sessions").await.expect(StatusCode::OK);
        let now = MADE.load(Ordering::Relaxed);
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    let held = before * LARGE;
    assert!(before > 0 && held < 32 << 20, "{held} bytes");
}
