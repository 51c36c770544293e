//! Request bodies: too large, of another kind, broken, late.

use crate::harness::app::{App, On, Tenant};
use crate::harness::raw::Raw;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn head(tenant: &Tenant, more: &str) -> Vec<u8> {
    let key = &tenant.secret;
    format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n{more}\r\n\r\n"
    )
    .into_bytes()
}

/// The problem in a raw answer.
fn problem(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_ascii_lowercase().contains("content-type: application/problem+json"), "{answer}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_announced_or_not() {
    let app = App::with(On::Memory, &[("MAX_BODY_BYTES", "1KiB")]);
    let tenant = app.tenant().await;
    let body = |length: usize| {
        let frame = json!({"user_id": "u", "data": {"x": ""}}).to_string().len();
        json!({"user_id": "u", "data": {"x": "y".repeat(length - frame)}}).to_string()
    };
    let send = |text: String| tenant.send(Method::POST, "/v1/sessions", Some(text.into_bytes()));
    send(body(1024)).await.expect(StatusCode::CREATED);
    send(body(1025)).await.refused(413, "body_too_large");

    let mut connection = Raw::connect(&app.base);
    connection.send(&head(&tenant, "Content-Length: 1000000000000"));
    assert_eq!(problem(&connection.answer())["code"], "body_too_large", "before any of it has arrived");

    let mut connection = Raw::connect(&app.base);
    connection.send(&head(&tenant, "Transfer-Encoding: chunked"));
    for _ in 0..3 {
        connection.send(format!("200\r\n{}\r\n", "x".repeat(512)).as_bytes());
    }
    assert_eq!(problem(&connection.answer())["code"], "body_too_large");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_with_its_place() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let post = |text: &'static str| tenant.send(Method::POST, "/v1/sessions", Some(text.into()));
    let problem = post("{\"user_id\":\n  nope}").await.refused(400, "invalid_json");
    assert!(problem["detail"].as_str().unwrap().contains("ine 2, column"), "{problem}");
    post("").await.refused(400, "invalid_json");
    for deep in ["[".repeat(100_000), format!("{{\"user_id\":\"u\",\"data\":{}", "{\"a\":".repeat(100_000))] {
        let answer = tenant.send(Method::POST, "/v1/sessions", Some(deep.into_bytes())).await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{answer:?}");
    }
    let problem = post(r#"{"user_id":"u","canary":1}"#).await.refused(422, "validation_failed");
    assert_eq!(problem["errors"], json!([{"pointer": "/canary", "detail": "is not a member here"}]));
}

#[tokio::test]
async fn an_array_does_not_stand_for_an_object_at_any_depth() {
    let app = App::on(On::Memory);
    let admin = app.admin();
    let tenant = app.tenant().await;
    let path = format!("/admin/v1/tenants/{}", tenant.id);
    let before = admin.get(&path).await.expect(StatusCode::OK);
    let fault = |pointer: &str| json!([{"pointer": pointer, "detail": "is not of the type that is expected"}]);
    for (body, pointer) in [
        (json!({"limits": [9, 8]}), "/limits"),
        (json!({"limits": []}), "/limits"),
        (json!({"settings": ["15m", "fixed", "reject"]}), "/settings"),
        (json!(["a", "suspended"]), ""),
        (json!([]), ""),
    ] {
        let problem = admin.patch(&path, body.clone()).await.refused(422, "validation_failed");
        assert_eq!(problem["errors"], fault(pointer), "{body}");
    }
    for (body, pointer) in [
        (json!({"id": "arrays", "limits": [9, 8]}), "/limits"),
        (json!({"id": "arrays", "settings": []}), "/settings"),
        (json!(["arrays", null, null, null, false]), ""),
    ] {
        let problem = admin.post("/admin/v1/tenants", body.clone()).await.refused(422, "validation_failed");
        assert_eq!(problem["errors"], fault(pointer), "{body}");
    }
    let inside = admin.patch(&path, json!({"limits": {"burst_size": [1]}})).await.refused(422, "validation_failed");
    assert_eq!(inside["errors"], fault("/limits/burst_size"));
    assert_eq!(admin.get(&path).await.expect(StatusCode::OK), before, "nothing was changed");
    admin.get("/admin/v1/tenants/arrays").await.refused(404, "tenant_not_found");
}

#[tokio::test]
async fn a_body_of_another_media_type_or_encoding_is_refused() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let body = || Some(br#"{"user_id":"u"}"#.to_vec());
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""] {
        let answer = tenant.with("content-type", kind).send(Method::POST, "/v1/sessions", body()).await;
        answer.refused(415, "unsupported_media_type");
    }
    let zipped = tenant.with("content-encoding", "gzip").send(Method::POST, "/v1/sessions", body()).await;
    zipped.refused(415, "unsupported_media_type");
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.acme+json"] {
        let answer = tenant.with("content-type", kind).send(Method::POST, "/v1/sessions", body()).await;
        answer.expect(StatusCode::CREATED);
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_a_408_and_holds_nothing() {
    let app = App::with(On::Memory, &[("REQUEST_TIMEOUT", "300ms")]);
    let tenant = app.tenant().await;
    let mut connections: Vec<Raw> = (0..20).map(|_| Raw::connect(&app.base)).collect();
    let started = Instant::now();
    for connection in &mut connections {
        connection.send(&head(&tenant, "Content-Length: 100"));
        connection.send(b"{\"user_id\":");
    }
    // The one worker goes on serving others meanwhile.
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    for connection in &mut connections {
        let problem = problem(&connection.answer());
        assert_eq!((&problem["status"], &problem["code"]), (&json!(408), &json!("request_timeout")));
    }
    assert!(started.elapsed() >= Duration::from_millis(200), "it waited for the body");
}

#[tokio::test]
async fn a_body_that_drips_is_a_408_however_steadily_it_drips() {
    let app = App::with(On::Memory, &[("REQUEST_TIMEOUT", "300ms")]);
    let tenant = app.tenant().await;
    let mut connection = Raw::connect(&app.base);
    connection.send(&head(&tenant, "Content-Length: 1000000"));
    let mut drip = Raw(connection.0.try_clone().unwrap());
    let dripping = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until && drip.send(b"{") {
            std::thread::sleep(Duration::from_millis(20));
        }
        Instant::now() < until
    });
    assert_eq!(problem(&connection.answer())["code"], "request_timeout");
    connection.0.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(dripping.join().unwrap(), "the connection ended while it dripped");
}

#[tokio::test]
async fn whoever_goes_on_sending_what_was_refused_can_read_why() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    // More than sockets hold: were the connection closed at once, sending would fail, and most clients look no further.
    let body = vec![b' '; 8 << 20];
    let announced = format!("Content-Length: {}", body.len());
    let (too_large, unknown) = (head(&tenant, &announced), head(&tenant, &announced));
    let unknown = String::from_utf8(unknown).unwrap().replace(&tenant.secret, "nobody");
    for (head, code) in [(too_large, "body_too_large"), (unknown.into_bytes(), "unauthorized")] {
        let mut connection = Raw::connect(&app.base);
        connection.send(&head);
        assert!(connection.send(&body), "{code}");
        assert_eq!(problem(&connection.answer())["code"], code);
    }
}

#[tokio::test]
async fn a_body_in_pieces_is_one_body() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let mut connection = Raw::connect(&app.base);
    connection.0.set_nodelay(true).unwrap();
    connection.send(&head(&tenant, "Transfer-Encoding: chunked"));
    for byte in br#"{"user_id":"u"}"# {
        connection.send(&[b"1\r\n".as_slice(), &[*byte], b"\r\n"].concat());
    }
    connection.send(b"0\r\n\r\n");
    assert!(connection.answer().starts_with("HTTP/1.1 201 "));
}

#[tokio::test]
async fn requests_that_are_sent_together_are_answered_one_after_another_each_with_its_body() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let mut connection = Raw::connect(&app.base);
    let bodies: Vec<String> = (0..20).map(|at| json!({"user_id": format!("u{at}")}).to_string()).collect();
    let posts = bodies.iter().map(|body| {
        let head = head(&tenant, &format!("Content-Length: {}", body.len()));
        [head, body.clone().into_bytes()].concat()
    });
    connection.send(&posts.collect::<Vec<_>>().concat());
    for at in 0..20 {
        let answer = connection.answer();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.contains(&format!("\"user_id\":\"u{at}\"")), "{answer}");
    }
    let broken = [head(&tenant, "Transfer-Encoding: chunked"), b"2\r\n{}\r\nx\r\n".to_vec()].concat();
    connection.send(&[head(&tenant, "Content-Length: 2"), b"{}".to_vec(), broken].concat());
    assert_eq!(problem(&connection.answer())["code"], "validation_failed");
    assert!(connection.answer().starts_with("HTTP/1.1 400 "), "a body that breaks off is never taken for a whole one");
}

#[tokio::test]
async fn who_is_refused_before_a_body_that_came_along_is_read_keeps_the_connection() {
    let app = App::with(On::Memory, &[("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_REQUESTS_PER_MINUTE", "1")]);
    let tenant = app.tenant().await;
    let mut connection = Raw::connect(&app.base);
    let unknown = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nX-API-Key: nobody\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    let known = [head(&tenant, "Content-Length: 2"), b"{}".to_vec()].concat();
    let mut send = |request: &[u8]| {
        connection.send(request);
        problem(&connection.answer())["status"].as_u64()
    };
    assert_eq!(send(&unknown), Some(401));
    assert!((0..20).any(|_| send(&known) == Some(429)), "the limit is reached");
    assert_eq!([send(&known), send(&unknown), send(&known)], [Some(429), Some(401), Some(429)]);
}

#[tokio::test]
async fn a_refused_body_that_goes_on_is_not_read_as_the_next_request() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let smuggled = format!("DELETE /v1/users/u/sessions HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n", tenant.secret);
    tenant.post("/v1/sessions", json!({"user_id": "u"})).await.expect(StatusCode::CREATED);
    let mut connection = Raw::connect(&app.base);
    let head = format!("POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", smuggled.len());
    connection.send(head.as_bytes());
    assert_eq!(problem(&connection.answer())["code"], "unauthorized", "before the body has arrived");
    connection.send(smuggled.as_bytes());
    let mut rest = Vec::new();
    drop(std::io::Read::read_to_end(&mut connection.0, &mut rest));
    assert_eq!(String::from_utf8_lossy(&rest), "", "the body is dropped, or the connection is");
    let left = tenant.get("/v1/users/u/sessions").await.expect(StatusCode::OK);
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}
