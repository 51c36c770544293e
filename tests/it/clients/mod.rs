//! OpenFeature's own clients against the real application: what programs that use them see of a flag.
//!
//! One table of checks ([`checks`]) is asked of every client. Where a client makes something else of what was answered,
//! its file says so, and why. The clients are installed by `./test`, which [`installed`] looks after.

mod checks;
mod installed;
mod javascript;
mod python;
mod rust;
mod script;
mod web;

use crate::harness::app::{App, On, Tenant};
use crate::harness::raw::Raw;
use checks::{Check, checks};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The longest that anything may take which a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The reason of every evaluation that failed.
const ERROR: &str = "ERROR";

/// An OpenFeature client with the provider for OFREP.
trait Client {
    /// Evaluates what was asked for; the members that the client's details have.
    async fn ask(&mut self, asked: &Value) -> Value;
}

/// An application, and a tenant with the flags of `flags.json`.
async fn shop() -> (App, Tenant) {
    let app = App::on(On::Memory);
    let tenant = app.tenant_with(&["flags:read", "flags:write"]).await;
    let flags = serde_json::from_str(include_str!("flags.json")).unwrap();
    tenant.put("/v1/flagset", flags).await.expect(StatusCode::CREATED);
    (app, tenant)
}

/// Asks a client for every check. `differences` are what it makes of some of them instead, by their names.
async fn evaluates_as_told(client: &mut impl Client, differences: &[(&str, Value)]) {
    let checks = checks();
    for (name, instead) in differences {
        let check = checks.iter().find(|check| check.name == *name).unwrap_or_else(|| panic!("no check is {name}"));
        assert_ne!(&check.gives, instead, "{name} is no difference");
    }
    let mut wrong = String::new();
    for Check { name, asked, gives } in &checks {
        let instead = differences.iter().find(|(of, _)| of == name).map(|(_, instead)| instead);
        let (wanted, given) = (instead.unwrap_or(gives), client.ask(asked).await);
        if given != *wanted {
            wrong.push_str(&format!("{name}: {asked}\n  gave   {given}\n  wanted {wanted}\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// What is asked where the answer does not depend on the flag.
fn any() -> Value {
    json!({"flag": "boolean", "type": "boolean", "otherwise": false, "context": {"targetingKey": "u-1"}})
}

/// Asks until the server has refused a key that nobody has so often that it says when to ask again, and checks that
/// the client asks nothing until then, and something afterwards. `refused` is what it gives for a 401, and `paused` how
/// its message begins while it waits.
async fn asks_nothing_while_told_to_wait(app: &App, client: &mut impl Client, refused: &Value, paused: &str) {
    for _ in 0..UNKNOWN_KEYS {
        assert_eq!(client.ask(&any()).await, *refused);
    }
    client.ask(&any()).await;
    let asked = answers(app, "4xx").await;
    assert_eq!(asked, UNKNOWN_KEYS + 1, "the last one was told to wait");
    let begun = Instant::now();
    let message = |given: &Value| given["errorMessage"].as_str().unwrap_or_default().to_owned();
    let told = message(&client.ask(&any()).await);
    assert!(told.starts_with(paused), "{told}");
    assert_eq!(answers(app, "4xx").await, asked, "it asked before its time");
    app.clock.advance(Duration::from_secs(60));
    while client.ask(&any()).await != *refused {
        assert!(begun.elapsed() < PATIENCE, "it never asks again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How many unknown keys of one address [`strict`] refuses before it says to come back in three seconds.
const UNKNOWN_KEYS: u64 = 20;

/// An application that does not refuse unknown keys without end.
fn strict() -> App {
    let each_minute = UNKNOWN_KEYS.to_string();
    let limit = [("RATE_LIMIT_REQUESTS_PER_MINUTE", &*each_minute), ("RATE_LIMIT_BURST_SIZE", "0")];
    App::with(On::Memory, &[&[("RATE_LIMIT_ENABLED", "true")], &limit[..]].concat())
}

/// Asks while the tenant has no room for another request, and once it has: no client waits after a 503. The failure has
/// this code, and `because` in its message.
async fn falls_back_while_there_is_no_room<C: Client>(
    start: impl AsyncFnOnce(&App, &str) -> Option<C>,
    code: &str,
    because: &str,
) {
    let app = App::with(On::Memory, &[("REQUEST_TIMEOUT", "60s")]);
    let body = json!({"id": "shop", "limits": {"max_in_flight": 1}, "create_key": true});
    let made = app.admin().post("/admin/v1/tenants", body).await.expect(StatusCode::CREATED);
    let key = made["api_key"]["key"].as_str().unwrap();
    let flag = json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"});
    let caller = app.anyone().with("x-api-key", key);
    caller.put("/v1/flags/boolean", flag).await.expect(StatusCode::CREATED);
    let Some(mut client) = start(&app, key).await else { return };
    let held = hold(&app, key).await;
    let mut given = client.ask(&any()).await;
    let message = given.as_object_mut().unwrap().remove("errorMessage").unwrap();
    assert!(message.as_str().unwrap().contains(because), "{message}");
    given.as_object_mut().unwrap().remove("flagMetadata");
    assert_eq!(given, json!({"value": false, "reason": ERROR, "errorCode": code}));
    drop(held);
    in_flight(&app, 0).await;
    assert_eq!(client.ask(&any()).await["value"], true);
}

/// A request that does not end until it is dropped.
async fn hold(app: &App, key: &str) -> Raw {
    let mut connection = Raw::connect(&app.base);
    let head = format!(
        "POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{"
    );
    assert!(connection.send(head.as_bytes()));
    in_flight(app, 1).await;
    connection
}

async fn in_flight(app: &App, wanted: u64) {
    let (begun, line) = (Instant::now(), format!("agentapi_http_in_flight {wanted}"));
    while !app.anyone().get("/metrics").await.text.lines().any(|there| there == line) {
        assert!(begun.elapsed() < PATIENCE, "not {line}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How many evaluations of single flags had an answer of this class.
async fn answers(app: &App, class: &str) -> u64 {
    answers_of(app, "/ofrep/v1/evaluate/flags/{key}", class).await
}

/// The same of another endpoint.
async fn answers_of(app: &App, path: &str, class: &str) -> u64 {
    let text = app.anyone().get("/metrics").await.text;
    let lines = text.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count{"));
    let (route, status) = (format!("http_route=\"{path}\""), format!("http_response_status_code=\"{}", &class[..1]));
    let labels = [route, status, "http_request_method=\"POST\"".to_owned()];
    let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok()).expect("a count")).sum()
}
