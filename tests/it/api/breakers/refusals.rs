//! What is refused: with which status and code, pointing where, and changing nothing.

use super::{at, configure, fail, read};
use crate::api::{app, suite};
use crate::harness::app::{App, On, Tenant};
use crate::harness::backend::Backend;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

suite! {
    a_setting_that_does_not_fit_is_refused_by_its_name
    settings_that_mean_nothing_without_others_are_refused
    a_report_that_does_not_fit_is_refused_by_its_member
    a_force_that_does_not_fit_is_refused_by_its_member
    what_is_no_body_of_an_endpoint_is_refused
    a_name_that_is_none_is_refused
}

/// A tenant with one breaker that has settings, failures and counters, and must stay as it is.
struct Table {
    tenant: Tenant,
    before: Value,
}

impl Table {
    async fn new(app: &App) -> Table {
        let tenant = app.tenant().await;
        let settings =
            json!({"failure_threshold": 9, "success_threshold": 3, "timeout": "5s", "window": "1d", "trip_quorum": 2});
        configure(&tenant, "mine", settings).await;
        fail(&tenant, "mine", 3).await;
        Table { before: read(&tenant, "mine").await, tenant }
    }

    /// Refused with this pointer, for a breaker that there is and one that there is not; nothing was changed.
    async fn refused(&self, method: Method, call: &str, body: &str, pointer: &str) {
        for name in ["mine", "new"] {
            let path = format!("{}{call}", at(name));
            let answer = self.tenant.send(method.clone(), &path, Some(body.as_bytes().to_vec())).await;
            assert_eq!(answer.status.as_u16(), 422, "{path} {body}: {}", answer.text);
            let problem = answer.refused(422, "validation_failed");
            let pointers: Vec<_> =
                problem["errors"].as_array().expect("errors").iter().map(|e| &e["pointer"]).collect();
            assert_eq!(pointers, [pointer], "{path} {body}: {problem}");
            assert!(!answer.text.contains("canary") && !answer.text.contains(" line "), "{problem}");
        }
        self.unchanged(body).await;
    }

    async fn unchanged(&self, after: &str) {
        assert_eq!(read(&self.tenant, "mine").await, self.before, "{after}");
        let list = self.tenant.get("/v1/breakers").await.expect(StatusCode::OK);
        assert_eq!(list["items"], json!([self.before]), "{after}");
    }
}

/// What is no number at all, or none that anything here takes.
const NO_NUMBERS: &[&str] = &[
    "-1",
    "9007199254740992",
    "9223372036854775808",
    "18446744073709551616",
    "1e300",
    "\"1\"",
    "\"NaN\"",
    "true",
    "[1]",
    "{}",
];
const NO_DURATIONS: &[&str] = &[
    "-1",
    "0",
    "\"0ms\"",
    "1.5",
    "\"\"",
    "\"canary\"",
    "\"1w\"",
    "9007199254740992",
    "9223372036854775808",
    "31622401",
    "\"367d\"",
    "true",
    "{}",
];

async fn a_setting_that_does_not_fit_is_refused_by_its_name(app: App) {
    let table = Table::new(&app).await;
    let numbers: &[(&str, &[&str])] = &[
        ("failure_threshold", &["0", "1000001", "1.5"]),
        ("success_threshold", &["0", "10001", "2.0"]),
        ("timeout_multiplier", &["0", "0.999", "10.001"]),
        ("timeout_jitter", &["1.001", "-0.001"]),
        ("minimum_calls", &["0", "1000001", "1.5"]),
        ("failure_rate", &["0", "0.0", "0.0000009", "1.000001", "2"]),
        ("slow_call_rate", &["0", "1.1"]),
        ("half_open_permits", &["0", "101", "1.5"]),
        ("trip_quorum", &["0", "101", "1.5"]),
    ];
    let durations: &[(&str, &[&str])] = &[
        ("timeout", &[]),
        ("timeout_max", &["\"29s\""]),
        ("window", &["\"999ms\"", "86401", "\"2d\""]),
        ("slow_call_duration", &[]),
        ("permit_ttl", &[]),
    ];
    for (rows, shared) in [(numbers, NO_NUMBERS), (durations, NO_DURATIONS)] {
        for (member, value) in rows.iter().flat_map(|(member, own)| own.iter().chain(shared).map(move |v| (*member, v)))
        {
            let company = match member {
                "window" => "",
                "slow_call_rate" => ",\"window\":\"1m\",\"slow_call_duration\":\"1s\"",
                _ => ",\"window\":\"1m\"",
            };
            let body = format!("{{\"{member}\":{value}{company}}}");
            table.refused(Method::PUT, "", &body, &format!("/{member}")).await;
        }
    }
    let shorter = r#"{"timeout":"2h","timeout_max":"1h"}"#;
    table.refused(Method::PUT, "", shorter, "/timeout_max").await;
}

async fn settings_that_mean_nothing_without_others_are_refused(app: App) {
    let table = Table::new(&app).await;
    for (member, value) in
        [("minimum_calls", "5"), ("failure_rate", "0.5"), ("slow_call_duration", "\"1s\""), ("slow_call_rate", "0.5")]
    {
        let body = format!("{{\"{member}\":{value}}}");
        table.refused(Method::PUT, "", &body, &format!("/{member}")).await;
        let said = table.tenant.send(Method::PUT, &at("mine"), Some(body.into_bytes())).await.json();
        assert_eq!(said["errors"][0]["detail"], "means nothing without window");
    }
    table.refused(Method::PUT, "", r#"{"window":"1m","slow_call_rate":0.5}"#, "/slow_call_rate").await;
}

async fn a_report_that_does_not_fit_is_refused_by_its_member(app: App) {
    let table = Table::new(&app).await;
    for (members, pointer) in [("", "/outcome"), (r#""count":1"#, "/outcome")] {
        table.refused(Method::POST, "/report", &format!("{{{members}}}"), pointer).await;
    }
    for outcome in ["\"canary\"", "\"Success\"", "\"\"", "1", "null", "{}", "{\"failure\":null}"] {
        table.refused(Method::POST, "/report", &format!("{{\"outcome\":{outcome}}}"), "/outcome").await;
    }
    let long = format!("\"{}\"", "x".repeat(257));
    let no_names = ["\"\"", "\"a\\nb\"", "\"\\u0000\"", "7", &long];
    let no_times = ["-1", "1.5", "31622400001", "9007199254740992", "9223372036854775808", "1e300", "\"5\"", "true"];
    let no_counts: Vec<&str> = NO_NUMBERS.iter().copied().chain(["0", "1000001", "1.5"]).collect();
    for (member, values) in
        [("permit", &no_names[..]), ("instance", &no_names), ("duration_ms", &no_times), ("count", &no_counts)]
    {
        for value in values {
            let body = format!("{{\"outcome\":\"failure\",\"{member}\":{value}}}");
            table.refused(Method::POST, "/report", &body, &format!("/{member}")).await;
        }
    }
}

async fn a_force_that_does_not_fit_is_refused_by_its_member(app: App) {
    let table = Table::new(&app).await;
    table.refused(Method::POST, "/force", "{}", "/state").await;
    for state in ["\"canary\"", "\"half_open\"", "\"forced_open\"", "\"OPEN\"", "1", "null", "{\"open\":null}"] {
        table.refused(Method::POST, "/force", &format!("{{\"state\":{state}}}"), "/state").await;
    }
    let long = format!("\"{}\"", "é".repeat(257));
    for reason in ["\"\"", "\"a\\nb\"", "\"\\u0000\"", "\"\\u0085\"", "7", &long] {
        table.refused(Method::POST, "/force", &format!("{{\"state\":\"open\",\"reason\":{reason}}}"), "/reason").await;
    }
    for ttl in NO_DURATIONS {
        table.refused(Method::POST, "/force", &format!("{{\"state\":\"open\",\"ttl\":{ttl}}}"), "/ttl").await;
    }
    table.refused(Method::POST, "/force", r#"{"state":"auto","ttl":1}"#, "/ttl").await;
    table.refused(Method::POST, "/force", r#"{"state":"open","actor":"admin"}"#, "/actor").await;
}

async fn what_is_no_body_of_an_endpoint_is_refused(app: App) {
    let table = Table::new(&app).await;
    for (method, call, body) in [
        (Method::PUT, "", "{}"),
        (Method::POST, "/acquire", "{}"),
        (Method::POST, "/report", r#"{"outcome":"failure"}"#),
        (Method::POST, "/force", r#"{"state":"open"}"#),
    ] {
        let path = format!("{}{call}", at("mine"));
        for wrong in ["{", "canary", "{} canary", "NaN"] {
            let answer = table.tenant.send(method.clone(), &path, Some(wrong.as_bytes().to_vec())).await;
            answer.refused(400, "invalid_json");
        }
        for wrong in ["[]", "null", "1", "\"canary\""] {
            table.refused(method.clone(), call, wrong, "").await;
        }
        let unknown = format!("{},\"nope\":1}}", body.trim_end_matches('}')).replace("{,", "{");
        table.refused(method.clone(), call, &unknown, "/nope").await;
        if body != "{}" {
            let answer = table.tenant.send(method.clone(), &path, None).await;
            assert!(matches!(answer.status.as_u16(), 400 | 415), "{path}: {}", answer.text);
        }
        let typed = table.tenant.with("content-type", "text/plain");
        let answer = typed.send(method.clone(), &path, Some(body.as_bytes().to_vec())).await;
        answer.refused(415, "unsupported_media_type");
        table.unchanged(&path).await;
    }
    for instance in ["\"\"", "7", "\"\\u0000\""] {
        table.refused(Method::POST, "/acquire", &format!("{{\"instance\":{instance}}}"), "/instance").await;
    }
    let reader = app
        .admin()
        .post(&format!("/admin/v1/tenants/{}/keys", table.tenant.id), json!({"scopes": ["breakers:read"]}))
        .await;
    let reader = app.anyone().with("x-api-key", reader.expect(StatusCode::CREATED)["key"].as_str().unwrap());
    assert_eq!(read(&reader, "mine").await, table.before);
    reader.get("/v1/breakers").await.expect(StatusCode::OK);
    for (method, call) in [
        (Method::PUT, ""),
        (Method::DELETE, ""),
        (Method::POST, "/acquire"),
        (Method::POST, "/report"),
        (Method::POST, "/force"),
    ] {
        let answer = reader.send(method, &format!("{}{call}", at("mine")), Some(b"{}".to_vec())).await;
        answer.refused(403, "insufficient_scope");
    }
    table.tenant.send(Method::PATCH, &at("mine"), Some(b"{}".to_vec())).await.refused(405, "method_not_allowed");
    table.tenant.get(&format!("{}/acquire", at("mine"))).await.refused(405, "method_not_allowed");
    table.unchanged("all of it").await;
}

async fn a_name_that_is_none_is_refused(app: App) {
    let table = Table::new(&app).await;
    let names =
        [super::segment(&"x".repeat(257)), "%00".to_owned(), "a%0Ab".to_owned(), "%ff".to_owned(), "%C2%85".to_owned()];
    for name in &names {
        for (method, call, body) in [
            (Method::GET, "", None),
            (Method::DELETE, "", None),
            (Method::PUT, "", Some("{}")),
            (Method::POST, "/acquire", None),
            (Method::POST, "/report", Some(r#"{"outcome":"failure"}"#)),
            (Method::POST, "/force", Some(r#"{"state":"open"}"#)),
        ] {
            let path = format!("/v1/breakers/{name}{call}");
            let answer = table.tenant.send(method, &path, body.map(|body| body.as_bytes().to_vec())).await;
            answer.refused(400, "invalid_name");
        }
    }
    table.unchanged("names").await;
}

/// On a Redis, whose index can be filled from behind; over memory ten thousand requests would be needed.
#[tokio::test]
async fn a_tenant_has_at_most_ten_thousand_breakers() {
    for on in [On::Native, On::Rest] {
        let app = app(on);
        let tenant = app.tenant().await;
        configure(&tenant, "first", json!({})).await;
        let backend = Backend::on(app.redis.clone().expect("it is on one"));
        let pattern = format!("*{{{}:00}}:breaker-names", tenant.id);
        let keys = backend.say(["KEYS".to_owned(), pattern]).await.array().expect("keys");
        let [key] = &keys[..] else { panic!("one index, not {}", keys.len()) };
        let mut command = vec!["ZADD".to_owned(), key.clone().text().expect("a key")];
        command.extend((1..10_000).flat_map(|n| ["0".to_owned(), format!("n{n}")]));
        assert_eq!(backend.say(command).await.int().expect("a number"), 9_999);
        full(&tenant).await;
    }
}

async fn full(tenant: &Tenant) {
    let put = tenant.put(&at("one more"), json!({})).await;
    put.refused(422, "breaker_limit_reached");
    tenant
        .post(&format!("{}/force", at("one more")), json!({"state": "open"}))
        .await
        .refused(422, "breaker_limit_reached");
    let report = tenant.post(&format!("{}/report", at("one more")), json!({"outcome": "failure"})).await;
    report.refused(422, "breaker_limit_reached");
    let unknown = read(tenant, "one more").await;
    assert_eq!((&unknown["state"], &unknown["configured"]), (&json!("closed"), &json!(false)));
    configure(tenant, "first", json!({"timeout": 1})).await;
    tenant.delete(&at("first")).await.expect(StatusCode::NO_CONTENT);
    configure(tenant, "one more", json!({})).await;
}
