//! Heads and paths that are refused, as [`refusals`](super::refusals) says.

use super::refusals::{Row, Table};
use super::suite;
use crate::harness::app::App;
use reqwest::{Method, StatusCode};

suite! {
    a_name_that_is_none_is_refused_in_a_path
    a_query_that_does_not_fit_is_refused
    a_header_that_cannot_be_read_is_refused
    what_is_not_there_is_a_404
    a_wrong_method_is_told_the_right_ones
}

async fn a_name_that_is_none_is_refused_in_a_path(app: App) {
    let table = Table::new(&app).await;
    let long = "x".repeat(257);
    let put = Some(&br#"{"user_id":"u1"}"#[..]);
    for name in ["%ff", "%c3", "%zz", "%", "a%", "%f", "%00", "%0a", "%7f", "%c2%85", "mine%00", &long] {
        let session = format!("/v1/sessions/{name}");
        let (extend, rotate) = (format!("{session}/extend"), format!("{session}/rotate"));
        let user = format!("/v1/users/{name}/sessions");
        for (method, path, body) in [
            ("GET", &session, None),
            ("DELETE", &session, None),
            ("PUT", &session, put),
            ("PATCH", &session, Some(&b"{}"[..])),
            ("POST", &extend, None),
            ("POST", &rotate, None),
            ("GET", &user, None),
            ("DELETE", &user, None),
        ] {
            let refusal = (400, "invalid_name", None);
            table.refused(&Row { method, path, headers: &[], body, refusal }).await;
        }
        assert_eq!(table.tenant.head(&session).await.status, StatusCode::BAD_REQUEST);
    }
    table.untouched().await;
}

async fn a_query_that_does_not_fit_is_refused(app: App) {
    let table = Table::new(&app).await;
    let long = format!("/v1/users/u1/sessions?except={}", "x".repeat(257));
    for (method, path, pointer) in [
        ("GET", "/v1/sessions?limit=0", "limit"),
        ("GET", "/v1/sessions?limit=1001", "limit"),
        ("GET", "/v1/sessions?limit=-1", "limit"),
        ("GET", "/v1/sessions?limit=1.5", "limit"),
        ("GET", "/v1/sessions?limit=canary", "limit"),
        ("GET", "/v1/sessions?limit=", "limit"),
        ("GET", "/v1/sessions?limit", "limit"),
        ("GET", "/v1/sessions?limit=99999999999999999999", "limit"),
        ("GET", "/v1/sessions?limit=1&limit=1", "limit"),
        ("GET", "/v1/users/u1/sessions?limit=0", "limit"),
        ("GET", "/v1/sessions?colour=canary", "colour"),
        ("GET", "/v1/sessions?Limit=1", "Limit"),
        ("GET", "/v1/sessions?touch=false", "touch"),
        ("GET", "/v1/sessions?limit=%ff", ""),
        ("GET", "/v1/sessions?limit=%zz", ""),
        ("GET", "/v1/sessions/mine?touch=canary", "touch"),
        ("GET", "/v1/sessions/mine?touch=", "touch"),
        ("GET", "/v1/sessions/mine?touch=False", "touch"),
        ("GET", "/v1/sessions/mine?touch=true&touch=false", "touch"),
        ("GET", "/v1/sessions/mine?limit=1", "limit"),
        ("DELETE", "/v1/sessions/mine?force=true", "force"),
        ("DELETE", "/v1/users/u1/sessions?except=", "except"),
        ("DELETE", "/v1/users/u1/sessions?except=%00", "except"),
        ("DELETE", "/v1/users/u1/sessions?except=%ff", ""),
        ("DELETE", "/v1/users/u1/sessions?except=mine&except=mine", "except"),
        ("DELETE", "/v1/users/u1/sessions?exept=mine", "exept"),
        ("DELETE", &long, "except"),
    ] {
        let refusal = (400, "invalid_query", Some(pointer));
        table.refused(&Row { method, path, headers: &[], body: None, refusal }).await;
    }
    let create = Some(&br#"{"user_id":"u2"}"#[..]);
    let refusal = (400, "invalid_query", Some("dry_run"));
    table.refused(&Row { method: "POST", path: "/v1/sessions?dry_run=1", headers: &[], body: create, refusal }).await;
    for cursor in ["", "canary", "%00", "AAAAAAAAAAAAAAAA"] {
        let (path, refusal) = (format!("/v1/sessions?cursor={cursor}"), (400, "invalid_cursor", Some("cursor")));
        table.refused(&Row { method: "GET", path: &path, headers: &[], body: None, refusal }).await;
    }
    table.untouched().await;
}

async fn a_header_that_cannot_be_read_is_refused(app: App) {
    let table = Table::new(&app).await;
    let (body, refusal) = (Some(&br#"{"user_id":"u2"}"#[..]), (400, "invalid_header", None));
    let long = "k".repeat(256);
    for key in ["", "canary key", "canary\tkey", &long] {
        let headers = &[("idempotency-key", key)];
        table.refused(&Row { method: "POST", path: "/v1/sessions", headers, body, refusal }).await;
    }
    for tag in ["1", "\"1", "canary", "", "**", "\"1\"\"2\"", "w/\"1\""] {
        for (method, name, body) in [
            ("PUT", "if-match", body),
            ("PUT", "if-none-match", body),
            ("PATCH", "if-match", Some(&b"{}"[..])),
            ("DELETE", "if-match", None),
            ("GET", "if-none-match", None),
        ] {
            table.refused(&Row { method, path: "/v1/sessions/mine", headers: &[(name, tag)], body, refusal }).await;
        }
    }
    table.untouched().await;
}

async fn what_is_not_there_is_a_404(app: App) {
    let table = Table::new(&app).await;
    let paths = [
        "/nope",
        "/v1",
        "/v1/",
        "/v1/nope",
        "/v1/sessions/",
        "/v1//sessions",
        "//v1/sessions",
        "/V1/sessions",
        "/v1/Sessions",
        "/v1/sessions/mine/nope",
        "/v1/sessions/mine/extend/more",
        "/v1/users//sessions",
        "/v1/users/u1/nope",
        "/v2/sessions",
    ];
    for path in paths {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let body = (method == "POST").then_some(&b"{"[..]);
            let refusal = (404, "not_found", None);
            table.refused(&Row { method, path, headers: &[], body, refusal }).await;
        }
        app.anyone().get(path).await.refused(404, "not_found");
    }
    table.untouched().await;
}

async fn a_wrong_method_is_told_the_right_ones(app: App) {
    let table = Table::new(&app).await;
    for (path, wrong, right) in [
        ("/v1/sessions", &["PUT", "PATCH", "DELETE", "OPTIONS", "BREW"][..], "GET, HEAD, POST"),
        ("/v1/sessions/mine", &["POST", "OPTIONS", "TRACE"], "DELETE, GET, HEAD, PATCH, PUT"),
        ("/v1/sessions/mine/extend", &["GET", "PUT", "DELETE"], "POST"),
        ("/v1/sessions/mine/rotate", &["GET", "PATCH"], "POST"),
        ("/v1/sessions/batch", &["OPTIONS"], "DELETE, GET, HEAD, PATCH, POST, PUT"),
        ("/v1/users/u1/sessions", &["POST", "PUT", "PATCH"], "DELETE, GET, HEAD"),
    ] {
        for method in wrong {
            let refusal = (405, "method_not_allowed", None);
            table.refused(&Row { method, path, headers: &[], body: None, refusal }).await;
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(table.tenant.send(method, path, None).await.header("allow"), right, "{path}");
        }
    }
    table.untouched().await;
}
