//! Everything that is refused: with which status and code, pointing where, showing nothing of the inside, and
//! changing nothing. Here are the bodies; heads and paths are in [`refused_requests`](super::refused_requests).

use super::raw::{chunked, exchange};
use super::{app_with, backend_of, create, peek, still, suite};
use crate::harness::app::{App, Caller};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

suite! {
    what_is_not_json_is_a_400_with_its_place
    a_body_that_does_not_fit_is_a_422_with_its_place
    a_lifetime_that_is_none_is_refused_wherever_it_stands
    a_body_of_another_media_type_is_refused
    a_body_that_is_too_large_is_refused_however_it_comes
}

/// Words that only the inside of the server would say, or the client itself.
const INSIDE: &[&str] = &[
    "canary",
    "serde",
    "actix",
    "redis",
    ".rs",
    "panic",
    "lua",
    "hmget",
    "invalid type",
    "invalid value",
    "expected struct",
    "expected `",
    "127.0.0.1",
];

/// What is sent, and the status, the code and the pointer that it is refused with.
pub struct Row<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<&'a [u8]>,
    pub refusal: (u16, &'a str, Option<&'a str>),
}

/// A tenant with one session, `mine`, that must stay as it is.
pub struct Table {
    pub tenant: crate::harness::app::Tenant,
    before: Value,
}

impl Table {
    pub async fn new(app: &App) -> Table {
        let tenant = app.tenant().await;
        let before = create(&tenant, json!({"user_id": "u1", "id": "mine", "data": {"n": 1}})).await;
        Table { tenant, before: still(before) }
    }

    /// Sends it, and gives back the problem.
    pub async fn refused(&self, row: &Row<'_>) -> Value {
        let caller =
            row.headers.iter().fold(Caller::clone(&self.tenant), |caller, (name, value)| caller.with(name, value));
        let method = Method::from_bytes(row.method.as_bytes()).expect("a method");
        let answer = caller.send(method, row.path, row.body.map(<[u8]>::to_vec)).await;
        let shown =
            format!("{} {} {:?} {:?}", row.method, row.path, row.headers, row.body.map(String::from_utf8_lossy));
        let (status, code, pointer) = row.refusal;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str()),
            (status, Some(code)),
            "{shown}: {}",
            answer.text
        );
        let problem = answer.refused(status, code);
        let pointed = problem["errors"].as_array().and_then(|errors| errors.first()).map(|first| &first["pointer"]);
        assert_eq!(pointed.and_then(Value::as_str), pointer, "{shown}: {problem}");
        let told = answer.text.to_lowercase();
        assert!(INSIDE.iter().all(|word| !told.contains(word)), "{shown}: {problem}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{shown}");
        let after = self.tenant.get(&peek(&self.before)).await.expect(StatusCode::OK);
        assert_eq!(still(after), self.before, "{shown} changed something");
        problem
    }

    /// The same for a body alone.
    async fn body_refused(&self, method: &str, path: &str, body: &[u8], refusal: (u16, &str, Option<&str>)) -> Value {
        self.refused(&Row { method, path, headers: &[], body: Some(body), refusal }).await
    }

    /// Nothing else came to be either.
    pub async fn untouched(&self) {
        let list = self.tenant.get("/v1/sessions").await.expect(StatusCode::OK);
        let items = list["items"].as_array().expect("items");
        assert_eq!((items.len(), &items[0]["ref"]), (1, &self.before["ref"]), "{list}");
    }
}

/// Every endpoint that takes a body.
const TAKES_BODY: &[(&str, &str)] = &[
    ("POST", "/v1/sessions"),
    ("PUT", "/v1/sessions/mine"),
    ("PUT", "/v1/sessions/new"),
    ("PATCH", "/v1/sessions/mine"),
    ("POST", "/v1/sessions/mine/extend"),
    ("POST", "/v1/sessions/batch"),
    ("POST", "/v1/sessions/refresh"),
];

async fn what_is_not_json_is_a_400_with_its_place(app: App) {
    let table = Table::new(&app).await;
    for (method, path) in TAKES_BODY {
        for (body, place) in [
            (&b"{"[..], "Line 1, column 1."),
            (b"canary", "Line 1, column 1."),
            (b"{\"user_id\":\n \"canary\",}", "Line 2, column 11."),
            (b"{} canary", "Line 1, column 4."),
            (b"{'user_id':'canary'}", "Line 1, column 2."),
            (b"NaN", "Line 1, column 1."),
            (b"\xef\xbb\xbf{}", "Line 1, column 1."),
        ] {
            let problem = table.body_refused(method, path, body, (400, "invalid_json", None)).await;
            assert_eq!(problem["detail"], place, "{method} {path} {body:?}");
        }
    }
    for body in [&b""[..], b"{\"user_id\":\"\xff\"}", b"{\"user_id\":\"\\ud800\"}", b"{\"user_id\":\"a\nb\"}"] {
        table.body_refused("POST", "/v1/sessions", body, (400, "invalid_json", None)).await;
    }
    table.untouched().await;
}

async fn a_body_that_does_not_fit_is_a_422_with_its_place(app: App) {
    let table = Table::new(&app).await;
    let long = format!(r#"{{"user_id":"{}"}}"#, "canary".repeat(43));
    let long_id = format!(r#"{{"user_id":"u1","id":"{}"}}"#, "é".repeat(129));
    let (create, put, patch, extend) = (TAKES_BODY[0], TAKES_BODY[1], TAKES_BODY[3], TAKES_BODY[4]);
    let (batch, refresh) = (TAKES_BODY[5], TAKES_BODY[6]);
    for ((method, path), body, pointer) in [
        (create, r#"{}"#, "/user_id"),
        (create, r#"{"user_id":"u1","colour":"canary"}"#, "/colour"),
        (create, r#"{"user_id":"u1","a/b~c":"canary"}"#, "/a~1b~0c"),
        (create, r#"{"user_id":"u1","a`b`":"canary"}"#, "/a`b`"),
        (create, r#"{"user_id":"u1","user_id":"canary"}"#, "/user_id"),
        (create, r#"{"user_id":7}"#, "/user_id"),
        (create, r#"{"user_id":null}"#, "/user_id"),
        (create, r#"{"user_id":["canary"]}"#, "/user_id"),
        (create, r#"{"user_id":""}"#, "/user_id"),
        (create, r#"{"user_id":"canary\u0000"}"#, "/user_id"),
        (create, r#"{"user_id":"canary\n"}"#, "/user_id"),
        (create, r#"{"user_id":"canary\u007f"}"#, "/user_id"),
        (create, r#"{"user_id":"canary\u0085"}"#, "/user_id"),
        (create, &long, "/user_id"),
        (create, &long_id, "/id"),
        (create, r#"{"user_id":"u1","id":""}"#, "/id"),
        (create, r#"{"user_id":"u1","id":7}"#, "/id"),
        (create, r#"{"user_id":"u1","id":"ses_canary"}"#, "/id"),
        (create, r#"{"user_id":"u1","data":"canary"}"#, "/data"),
        (create, r#"{"user_id":"u1","data":["canary"]}"#, "/data"),
        (create, r#"{"user_id":"u1","data":null}"#, "/data"),
        (create, r#"{"user_id":"u1","metadata":7}"#, "/metadata"),
        (create, r#"{"user_id":"u1","refresh":"canary"}"#, "/refresh"),
        (create, r#"{"user_id":"u1","refresh":1}"#, "/refresh"),
        (create, r#"null"#, ""),
        (create, r#""canary""#, ""),
        (create, r#"[]"#, ""),
        (create, r#"["u1",{},{},null,null,null,false]"#, ""),
        (put, r#"{}"#, "/user_id"),
        (put, r#"{"user_id":"u1","id":"mine"}"#, "/id"),
        (put, r#"{"user_id":"u1","absolute_ttl":60}"#, "/absolute_ttl"),
        (put, r#"{"user_id":"u1","refresh":true}"#, "/refresh"),
        (put, r#"{"user_id":"u1","version":1}"#, "/version"),
        (put, r#"["u1",{},{},null]"#, ""),
        (patch, r#"{"user_id":"canary"}"#, "/user_id"),
        (patch, r#"{"data":"canary"}"#, "/data"),
        (patch, r#"{"data":["canary"]}"#, "/data"),
        (patch, r#"{"metadata":true}"#, "/metadata"),
        (patch, r#"{"data":{},"data":{"n":2}}"#, "/data"),
        (patch, r#"null"#, ""),
        (patch, r#"[{"n":2},{}]"#, ""),
        (extend, r#"{"until":"canary"}"#, "/until"),
        (extend, r#"[60]"#, ""),
        (batch, r#"{}"#, ""),
        (batch, r#"{"get":["mine"],"delete":["mine"]}"#, ""),
        (batch, r#"{"get":"canary"}"#, "/get"),
        (batch, r#"{"delete":["mine",7]}"#, "/delete/1"),
        (batch, r#"{"delete":["mine",""]}"#, "/delete/1"),
        (batch, r#"{"delete":["mine"],"all":true}"#, "/all"),
        (batch, r#"[null,["mine"]]"#, ""),
        (refresh, r#"{}"#, "/refresh_token"),
        (refresh, r#"{"refresh_token":7}"#, "/refresh_token"),
        (refresh, r#"{"refresh_token":"canary","token":"canary"}"#, "/token"),
    ] {
        table.body_refused(method, path, body.as_bytes(), (422, "validation_failed", Some(pointer))).await;
    }
    table.untouched().await;
}

async fn a_lifetime_that_is_none_is_refused_wherever_it_stands(app: App) {
    let table = Table::new(&app).await;
    let not_times = [
        "0",
        r#""0""#,
        r#""0s""#,
        r#""0ms""#,
        "-1",
        "1.5",
        "1e3",
        r#""1.5s""#,
        r#""canary""#,
        r#""""#,
        r#""-1s""#,
        r#""1 s""#,
        "true",
        "[60]",
        "{}",
        "3153600001",
        r#""36501d""#,
        "18446744073709551616",
        r#""99999999999999999999d""#,
    ];
    for time in not_times {
        for (method, path, member, body) in [
            ("POST", "/v1/sessions", "/ttl", format!(r#"{{"user_id":"u1","ttl":{time}}}"#)),
            ("POST", "/v1/sessions", "/absolute_ttl", format!(r#"{{"user_id":"u1","absolute_ttl":{time}}}"#)),
            ("PUT", "/v1/sessions/mine", "/ttl", format!(r#"{{"user_id":"u1","ttl":{time}}}"#)),
            ("POST", "/v1/sessions/mine/extend", "/ttl", format!(r#"{{"ttl":{time}}}"#)),
        ] {
            table.body_refused(method, path, body.as_bytes(), (422, "validation_failed", Some(member))).await;
        }
    }
    table.untouched().await;
    let longest = json!({"user_id": "u1", "ttl": 3_153_600_000_u64, "absolute_ttl": "36500d"});
    assert_eq!(create(&table.tenant, longest).await["ttl"], 3_153_600_000_u64);
}

async fn a_body_of_another_media_type_is_refused(app: App) {
    let table = Table::new(&app).await;
    let refusal = (415, "unsupported_media_type", None);
    for kind in ["", "text/plain", "text/json", "application/xml", "application/jsonx", "multipart/form-data", "canary"]
    {
        for (method, path) in TAKES_BODY {
            let headers = &[("content-type", kind)];
            table.refused(&Row { method, path, headers, body: Some(br#"{"user_id":"u1"}"#), refusal }).await;
        }
    }
    for coding in ["gzip", "br", "canary"] {
        let headers = &[("content-encoding", coding)];
        table.refused(&Row { method: "POST", path: "/v1/sessions", headers, body: Some(b"{}"), refusal }).await;
    }
    table.untouched().await;
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"] {
        let caller = table.tenant.with("content-type", kind);
        caller.post("/v1/sessions", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    }
}

async fn a_body_that_is_too_large_is_refused_however_it_comes(app: App) {
    let app = app_with(backend_of(&app), &[("MAX_BODY_BYTES", "400")]);
    let table = Table::new(&app).await;
    let of_length = |length: usize| {
        let body = format!(r#"{{"user_id":"u1","data":{{"x":"{}"}}}}"#, "x".repeat(length));
        let missing = length - (body.len() - length);
        format!(r#"{{"user_id":"u1","data":{{"x":"{}"}}}}"#, "x".repeat(missing)).into_bytes()
    };
    let (fits, large) = (of_length(400), of_length(401));
    assert_eq!((fits.len(), large.len()), (400, 401));
    for (method, path) in TAKES_BODY {
        table.body_refused(method, path, &large, (413, "body_too_large", None)).await;
    }
    let key = format!("authorization: Bearer {}", table.tenant.secret);
    let headers = [key.as_str(), "content-type: application/json", "transfer-encoding: chunked"];
    let in_pieces = exchange(&app, "POST /v1/sessions", &headers, &chunked(&large)).await;
    assert!(in_pieces.status == 413 && in_pieces.text.contains("body_too_large"), "{}", in_pieces.text);
    table.untouched().await;
    table.tenant.send(Method::POST, "/v1/sessions", Some(fits.clone())).await.expect(StatusCode::CREATED);
    let in_pieces = exchange(&app, "POST /v1/sessions", &headers, &chunked(&fits)).await;
    assert_eq!(in_pieces.status, 201, "{}", in_pieces.text);
}
