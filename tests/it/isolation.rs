//! Two tenants use the same names everywhere, hostile ones among them, and never meet.
//!
//! The walk is written down per row of the endpoint table; a row that is missing from it fails the test,
//! so that no endpoint can be added without saying how tenants are kept apart in it.

mod attempts;

use crate::harness::app::{Answer, App, Caller, On, Tenant};
use crate::harness::raw::exchange;
use crate::harness::table::{Row, rows_where};
use agentapi::http::Access;
use attempts::{attempt_flag, attempt_limit, attempt_token};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Names that mean something to a key, a pattern, a script, a path or a log.
const HOSTILE: &[&str] = &[
    "plain",
    "*",
    "?",
    "[a-z]*",
    "{x}",
    "}{",
    "a:b",
    "a/b",
    "...",
    "../../other",
    "%2e%2e",
    "%",
    "{other:00}:session",
    "' OR 1=1 --",
    "return redis.call('KEYS','*')",
    "<script>",
    "ünï©ode",
    "\u{202e}txt",
];

fn encoded(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// What tenant A has under a name, for tenant B to be kept from.
struct Treasure {
    name: &'static str,
    /// The id that A chose, encoded.
    own: String,
    /// The id that the server made.
    made: String,
    reference: String,
    refresh_token: String,
    /// Units that A holds of the limit of this name.
    reservation: String,
}

/// The secret that no answer to B may hold.
const CANARY: &str = "canary-of-tenant-a";

async fn treasure(a: &Tenant, name: &'static str) -> Treasure {
    let body = json!({"user_id": name, "data": {"secret": CANARY}, "metadata": {"m": CANARY}, "refresh": true});
    let made = a.post("/v1/sessions", body).await.expect(StatusCode::CREATED);
    let own = encoded(name);
    let put = json!({"user_id": name, "data": {"secret": CANARY}});
    a.put(&format!("/v1/sessions/{own}"), put).await.expect(StatusCode::CREATED);
    let forced = json!({"state": "open", "reason": CANARY});
    a.post(&format!("/v1/breakers/{own}/force"), forced).await.expect(StatusCode::OK);
    let policy = json!({"limit": 1000, "window": "10d"});
    a.put(&format!("/v1/ratelimit/policies/{own}"), policy).await.expect(StatusCode::CREATED);
    let limit = json!({"key": name, "policy": name, "cost": 7});
    a.post("/v1/ratelimit/check", limit).await.expect(StatusCode::OK);
    // It must outlast the walk, which may take minutes.
    let hold = json!({"key": name, "policy": name, "cost": 7, "ttl": "1h"});
    let held = a.post("/v1/ratelimit/reserve", hold).await.expect(StatusCode::CREATED);
    let token = json!({"access_token": CANARY, "refresh_token": CANARY, "metadata": {"m": CANARY}});
    a.put(&format!("/v1/tokens/{own}/{own}"), token).await.expect(StatusCode::CREATED);
    let provider =
        json!({"token_url": format!("https://{CANARY}.example.com/"), "client_id": CANARY, "client_secret": CANARY});
    a.put(&format!("/v1/oauth/providers/{own}"), provider).await.expect(StatusCode::CREATED);
    let flag = json!({"state": "ENABLED", "variants": {"v": CANARY}, "defaultVariant": "v"});
    a.put(&format!("/v1/flags/{own}"), flag).await.expect(StatusCode::CREATED);
    let text = |value: &Value, member: &str| value[member].as_str().unwrap().to_owned();
    Treasure {
        name,
        own,
        made: text(&made, "id"),
        reference: text(&made, "ref"),
        refresh_token: text(&made, "refresh_token"),
        reservation: text(&held, "reservation"),
    }
}

/// The state of everything that A has, but for what reading it changes.
async fn inventory(a: &Tenant, treasures: &[Treasure]) -> Vec<Value> {
    let mut all = Vec::new();
    for treasure in treasures {
        for id in [&treasure.own, &treasure.made] {
            let mut session = a.get(&format!("/v1/sessions/{id}?touch=false")).await.expect(StatusCode::OK);
            session.as_object_mut().unwrap().remove("ttl");
            all.push(session);
        }
        let of_user = a.get(&format!("/v1/users/{}/sessions", treasure.own)).await.expect(StatusCode::OK);
        assert_eq!(of_user["items"].as_array().unwrap().len(), 2, "{}", treasure.name);
        let breaker = a.get(&format!("/v1/breakers/{}", treasure.own)).await.expect(StatusCode::OK);
        assert_eq!(breaker["forced"]["reason"], CANARY, "{}", treasure.name);
        all.push(breaker);
        let limit = a.get(&format!("/v1/ratelimit?key={0}&policy={0}", treasure.own)).await.expect(StatusCode::OK);
        all.push(json!([limit["allowed"], limit["limit"], limit["current"]]));
        all.push(a.get(&format!("/v1/ratelimit/policies/{}", treasure.own)).await.expect(StatusCode::OK));
        let token = a.get(&format!("/v1/tokens/{0}/{0}", treasure.own)).await.expect(StatusCode::OK);
        assert_eq!(token["access_token"], CANARY, "{}", treasure.name);
        all.push(token);
        all.push(a.get(&format!("/v1/oauth/providers/{}", treasure.own)).await.expect(StatusCode::OK));
        let flag =
            a.post(&format!("/ofrep/v1/evaluate/flags/{}", treasure.own), json!({})).await.expect(StatusCode::OK);
        assert_eq!(flag["value"], CANARY, "{}", treasure.name);
    }
    all.push(a.get("/v1/flagset").await.expect(StatusCode::OK));
    all
}

/// Does through one row, as B, what would reach A's treasure if anything could; says what must come back.
async fn attempt(row: &Row, b: &Caller, treasure: &Treasure) {
    let mut answers: Vec<Answer> = Vec::new();
    let body = |value: Value| Some(value.to_string().into_bytes());
    for id in [&treasure.own, &treasure.made] {
        let path = row.filled(|name| match name {
            "user_id" | "name" | "provider" | "key" => treasure.own.clone(),
            _ if row.path.contains("reservations") => treasure.reservation.clone(),
            _ => id.clone(),
        });
        if row.path.starts_with("/v1/ratelimit") {
            answers.extend(attempt_limit(row, b, treasure, &path).await);
            continue;
        }
        if row.path.starts_with("/v1/tokens") || row.path.starts_with("/v1/oauth") {
            answers.push(attempt_token(row, b, &path).await);
            continue;
        }
        if row.path.contains("/flag") || row.path.starts_with("/ofrep") {
            answers.push(attempt_flag(row, b, treasure, &path).await);
            continue;
        }
        let send = |body| b.send(row.method.clone(), &path, body);
        let ids = json!([treasure.name, treasure.made]);
        match (row.method.as_str(), row.path.as_str()) {
            ("GET" | "HEAD" | "DELETE", "/v1/sessions/{id}") => {
                let answer = send(None).await;
                row.refused(&answer, 404, "session_not_found");
                answers.push(answer);
            }
            ("POST", "/v1/sessions/{id}/extend" | "/v1/sessions/{id}/rotate") => {
                answers.push(send(None).await);
                row.refused(answers.last().unwrap(), 404, "session_not_found");
            }
            ("PATCH", "/v1/sessions/{id}") => {
                answers.push(send(body(json!({"data": {"b": 1}}))).await);
                row.refused(answers.last().unwrap(), 404, "session_not_found");
            }
            ("PUT", "/v1/sessions/{id}") => {
                answers.push(b.with("if-match", "*").send(Method::PUT, &path, body(json!({"user_id": "u"}))).await);
                row.refused(answers.last().unwrap(), 412, "version_mismatch");
            }
            ("POST", "/v1/sessions/batch") => {
                let read = send(body(json!({"get": ids}))).await;
                assert_eq!(read.expect(StatusCode::OK), json!({"items": [null, null]}));
                let ids = json!([treasure.name, treasure.made, treasure.reference]);
                let deleted = send(body(json!({"delete": ids}))).await;
                assert_eq!(deleted.expect(StatusCode::OK), json!({"deleted": 0}));
                answers.extend([read, deleted]);
            }
            ("POST", "/v1/sessions/refresh") => {
                let answer = send(body(json!({"refresh_token": treasure.refresh_token}))).await;
                answer.refused(401, "refresh_token_invalid");
                answers.push(answer);
            }
            ("GET", "/v1/sessions" | "/v1/users/{user_id}/sessions") => {
                answers.push(send(None).await);
                assert_eq!(answers.last().unwrap().expect(StatusCode::OK)["items"], json!([]));
            }
            ("DELETE", "/v1/users/{user_id}/sessions") => {
                answers.push(send(None).await);
                assert_eq!(answers.last().unwrap().expect(StatusCode::OK), json!({"revoked": 0}));
            }
            ("GET", "/v1/breakers") => {
                answers.push(send(None).await);
                assert_eq!(answers.last().unwrap().expect(StatusCode::OK)["items"], json!([]));
            }
            (_, path) if path.starts_with("/v1/breakers/{name}") => {
                let sent = match path {
                    "/v1/breakers/{name}/report" => Some(json!({"outcome": "failure", "count": 9})),
                    "/v1/breakers/{name}/force" => Some(json!({"state": "closed"})),
                    _ => (row.method != Method::GET && row.method != Method::DELETE).then(|| json!({})),
                };
                answers.push(send(sent.and_then(body)).await);
                assert!(answers.last().unwrap().status.is_success(), "a breaker of B's own: {:?}", answers.last());
                let own = format!("/v1/breakers/{}", treasure.own);
                answers.push(b.get(&own).await);
                assert_ne!(answers.last().unwrap().expect(StatusCode::OK)["state"], "forced_open");
                b.delete(&own).await.expect(StatusCode::NO_CONTENT);
            }
            // That the same names are free for B is what the test does at its end.
            ("POST", "/v1/sessions") => {}
            (method, path) => panic!("{method} {path} is new: say here how it keeps tenants apart"),
        }
    }
    for answer in answers {
        assert!(!format!("{answer:?}").contains(CANARY), "{row:?}: {answer:?}");
    }
}

async fn two_tenants_never_meet(on: On) {
    let app = App::on(on);
    let (a, b) = (app.tenant().await, app.tenant().await);
    let mut treasures = Vec::new();
    for name in HOSTILE {
        treasures.push(treasure(&a, name).await);
    }
    let before = inventory(&a, &treasures).await;
    // B's own key stays B's, whatever tenant it names, and an admin key reaches the one it names.
    let as_b = [(*b).clone(), b.with("x-tenant-id", &a.id), app.admin().with("x-tenant-id", &b.id)];
    for row in rows_where(|access| matches!(access, Access::Tenant(_))) {
        for caller in &as_b {
            for treasure in &treasures {
                attempt(&row, caller, treasure).await;
            }
        }
    }
    assert_eq!(inventory(&a, &treasures).await, before, "what B did changed nothing of A");

    // The same names are free for B, and B's sessions under them are no business of A's.
    for treasure in &treasures {
        let body = json!({"user_id": treasure.name, "id": treasure.name, "data": {"of": "b"}});
        b.post("/v1/sessions", body).await.expect(StatusCode::CREATED);
    }
    assert_eq!(inventory(&a, &treasures).await, before);
    for treasure in &treasures {
        let revoked = b.delete(&format!("/v1/users/{}/sessions", treasure.own)).await.expect(StatusCode::OK);
        assert_eq!(revoked, json!({"revoked": 1}));
    }
    assert_eq!(inventory(&a, &treasures).await, before);
}

#[tokio::test]
async fn tenants_never_meet_on_memory() {
    two_tenants_never_meet(On::Memory).await;
}

#[tokio::test]
async fn tenants_never_meet_on_redis() {
    two_tenants_never_meet(On::Native).await;
}

#[tokio::test]
async fn tenants_never_meet_over_rest() {
    two_tenants_never_meet(On::Rest).await;
}

#[tokio::test]
async fn a_cursor_means_nothing_to_another_tenant_or_another_list() {
    let app = App::on(On::Memory);
    let (a, b) = (app.tenant().await, app.tenant().await);
    for tenant in [&a, &b] {
        for _ in 0..3 {
            tenant.post("/v1/sessions", json!({"user_id": "u"})).await.expect(StatusCode::CREATED);
        }
    }
    let lists = ["/v1/sessions", "/v1/users/u/sessions"];
    for list in lists {
        let page = a.get(&format!("{list}?limit=1")).await.expect(StatusCode::OK);
        let cursor = page["next_cursor"].as_str().unwrap();
        a.get(&format!("{list}?cursor={cursor}")).await.expect(StatusCode::OK);
        for (who, other) in lists.iter().flat_map(|list| [(&a, *list), (&b, *list)]) {
            if !(who.id == a.id && other == list) {
                who.get(&format!("{other}?cursor={cursor}")).await.refused(400, "invalid_cursor");
            }
        }
    }
}

#[tokio::test]
async fn an_idempotency_key_means_nothing_to_another_tenant() {
    let app = App::on(On::Memory);
    let (a, b) = (app.tenant().await, app.tenant().await);
    let create = |tenant: &Tenant, user: &str| {
        let caller = tenant.with("idempotency-key", "same");
        let body = json!({"user_id": user});
        async move { caller.post("/v1/sessions", body).await }
    };
    let first = create(&a, "u").await;
    first.expect(StatusCode::CREATED);
    let other = create(&b, "u").await;
    assert_ne!(other.expect(StatusCode::CREATED)["id"], first.json()["id"]);
    assert_eq!(other.header("idempotency-replayed"), "");
    let again = create(&a, "u").await;
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
    create(&a, "v").await.refused(422, "idempotency_key_reused");
    create(&b, "v").await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn dots_in_a_path_are_a_name_and_lead_nowhere() {
    let app = App::on(On::Memory);
    let (a, b) = (app.tenant().await, app.tenant().await);
    for name in [".", ".."] {
        a.post("/v1/sessions", json!({"user_id": "u", "id": name})).await.expect(StatusCode::CREATED);
        for (tenant, status) in [(&a, "HTTP/1.1 200 "), (&b, "HTTP/1.1 404 ")] {
            // Client libraries resolve dots, encoded or not, before they send them.
            for path in [name.to_owned(), name.replace('.', "%2e")] {
                let head =
                    format!("GET /v1/sessions/{path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n", tenant.secret);
                let answer = exchange(&app.base, head.as_bytes());
                assert!(answer.starts_with(status), "{path}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn every_key_of_a_tenant_carries_its_tag_whatever_the_names_hold() {
    let app = App::with(On::Native, &[("REDIS_KEY_PREFIX", "isolation-keys")]);
    let a = app.tenant().await;
    for name in HOSTILE {
        treasure(&a, name).await;
    }
    let redis = crate::harness::backend::Backend::on(app.redis.clone().unwrap());
    let keys = redis.say(["KEYS", "isolation-keys:*"]).await.array().unwrap();
    let keys: BTreeSet<String> = keys.into_iter().map(|key| key.text().unwrap()).collect();
    let tag = format!("isolation-keys:{{{}:", a.id);
    let strange = |key: &&String| {
        let rest = key.strip_prefix(&tag).or_else(|| key.strip_prefix("isolation-keys:{_system:"));
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b":._~-%".contains(&b));
        !rest.is_some_and(|rest| rest.get(2..4) == Some("}:") && plain(&rest[4..]))
    };
    assert_eq!(keys.iter().find(strange), None);
    assert!(keys.len() > HOSTILE.len() * 2, "{}", keys.len());
}
