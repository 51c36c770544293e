//! Identity of requests, and the answers to those that go nowhere.

use crate::harness::app::{App, On};
use crate::harness::raw::exchange;
use crate::harness::table::{rows, rows_where};
use agentapi::http::Access;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn every_answer_carries_the_clients_request_id_or_a_new_one() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let longest = "x".repeat(128);
    let paths = ["/v1/sessions", "/v1/sessions/none", "/status", "/nowhere", "/v1/sessions/batch/x"];
    for path in paths {
        for caller in [app.anyone(), (*tenant).clone()] {
            for given in ["abc-1", "!", &longest] {
                assert_eq!(caller.with("x-request-id", given).get(path).await.header("x-request-id"), given, "{path}");
            }
            let mut made = BTreeSet::new();
            for bad in ["", "two words", &format!("{longest}x"), "t\u{e9}l\u{e9}"] {
                let id = caller.with("x-request-id", bad).get(path).await.header("x-request-id").to_owned();
                assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{path} answered {id} to {bad:?}");
                made.insert(id);
            }
            assert_eq!(made.len(), 4, "each request has its own");
        }
    }
}

#[tokio::test]
async fn no_answer_is_sniffed_and_none_with_a_secret_is_stored() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    for row in rows() {
        for caller in [app.anyone(), (*tenant).clone(), app.admin().with("x-tenant-id", &tenant.id)] {
            let answer = row.send_garbage(&caller).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{row:?}");
            if row.access != Access::Public {
                assert_eq!(answer.header("cache-control"), "no-store", "{row:?}");
            }
        }
    }
    assert_eq!(app.anyone().get("/nowhere").await.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn an_unknown_path_is_a_404_problem() {
    let app = App::on(On::Memory);
    let paths = [
        "/",
        "/v1",
        "/v1/",
        "/v1/sessions/",
        "/v1/sessions/a/b/c",
        "/v2/sessions",
        "//v1/sessions",
        "/%ff",
        "/status/",
    ];
    for path in paths {
        app.anyone().get(path).await.refused(404, "not_found");
        app.anyone().post(path, json!({})).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_a_405_that_allows_those_it_has() {
    let app = App::on(On::Memory);
    let mut paths: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows() {
        let methods = paths.entry(row.any_path()).or_default();
        methods.insert(row.method.to_string());
        if row.method == Method::GET {
            methods.insert("HEAD".to_owned());
        }
    }
    // A session may be called `batch`: its own methods are there too.
    for literal in ["/v1/sessions/batch", "/v1/sessions/refresh"] {
        let of_sessions = ["GET", "HEAD", "PUT", "PATCH", "DELETE"].map(str::to_owned);
        paths.get_mut(literal).unwrap().extend(of_sessions);
    }
    for (path, methods) in paths {
        for method in
            [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::TRACE]
        {
            if methods.contains(method.as_str()) {
                continue;
            }
            let answer = app.anyone().send(method.clone(), &path, None).await;
            answer.refused(405, "method_not_allowed");
            let allowed: BTreeSet<String> = answer.header("allow").split(", ").map(str::to_owned).collect();
            assert_eq!(allowed, methods, "{path}");
        }
    }
}

#[tokio::test]
async fn head_answers_as_get_does_without_the_body() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    tenant.put("/v1/sessions/some-id", json!({"user_id": "some-user-id"})).await.expect(StatusCode::CREATED);
    let policy = json!({"limit": 9, "window": "1m"});
    tenant.put("/v1/ratelimit/policies/some-name", policy).await.expect(StatusCode::CREATED);
    let token = json!({"access_token": "a"});
    tenant.put("/v1/tokens/some-user-id/some-provider", token).await.expect(StatusCode::CREATED);
    let provider = json!({"token_url": "https://example.com/", "client_id": "c", "client_secret": "s"});
    tenant.put("/v1/oauth/providers/some-provider", provider).await.expect(StatusCode::CREATED);
    let flag = json!({"state": "ENABLED", "variants": {"v": 1}});
    tenant.put("/v1/flags/some-key", flag).await.expect(StatusCode::CREATED);
    for row in rows_where(|access| access != Access::Admin).iter().filter(|row| row.method == Method::GET) {
        let names_a_limit = ["/v1/ratelimit", "/v1/ratelimit/enforce"].contains(&row.path.as_str());
        let path = row.any_path() + if names_a_limit { "?key=k&policy=some-name" } else { "" };
        let path = path.replace("some-version", "1");
        let (get, head) = (tenant.get(&path).await, tenant.head(&path).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{row:?}");
        assert!(get.status.is_success() && !get.text.is_empty(), "{row:?}: {get:?}");
        // The endpoint that only asks whether a session exists has nothing to describe.
        if row.path != "/v1/sessions/{id}" {
            assert_eq!(head.header("content-type"), get.header("content-type"), "{row:?}");
        }
    }
}

#[tokio::test]
async fn a_query_that_the_endpoint_does_not_take_is_a_400() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    for query in ["nope=1", "limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "cursor=x", "%zz=1", "limit=%ff"] {
        let problem = tenant.get(&format!("/v1/sessions?{query}")).await;
        assert_eq!(problem.status, 400, "{query}: {problem:?}");
        assert!(matches!(problem.json()["code"].as_str(), Some("invalid_query" | "invalid_cursor")), "{query}");
    }
    tenant.get("/v1/sessions?limit=1000").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_name_that_is_none_is_a_400_and_is_read_from_its_raw_bytes() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let longest = "x".repeat(256);
    tenant.get(&format!("/v1/sessions/{longest}")).await.refused(404, "session_not_found");
    for bad in ["%00", "a%0ab", "%7f", "%ff", "%c3", "%", "%f", "%zz", &format!("{longest}x")] {
        tenant.get(&format!("/v1/sessions/{bad}")).await.refused(400, "invalid_name");
        tenant.get(&format!("/v1/users/{bad}/sessions")).await.refused(400, "invalid_name");
    }
}

#[tokio::test]
async fn every_malformed_request_is_answered_with_a_refusal() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let long = "x".repeat(300_000);
    let key = &tenant.secret;
    for request in [
        "GARBAGE\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET /\0 HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
        "GET / HTTP/1.1\r\nbad header\r\n\r\n".to_owned(),
        format!("POST /v1/sessions HTTP/1.1\r\nX-API-Key: {key}\r\nContent-Length: -1\r\n\r\n"),
        format!("POST /v1/sessions HTTP/1.1\r\nX-API-Key: {key}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"),
        format!("POST /v1/sessions HTTP/1.1\r\nX-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n"),
        format!(
            "POST /v1/sessions HTTP/1.1\r\nX-API-Key: {key}\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{{}}"
        ),
    ] {
        let answer = exchange(&app.base, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 4"), "{}: {answer}", &request[..request.len().min(200)]);
    }
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
}
