//! Short-lived tokens in place of keys, for what can send nothing but a URL.

use crate::harness::app::{App, Caller};
use actix_web::HttpResponse;
use agentapi::http::{Actor, Endpoints, Parameter, Problem, Query, TokenIssuer};
use agentapi::tenancy::{Access, Area, Purpose, Scope};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

const READ: Scope = Scope::new(Area::Flags, Access::Read);
const WRITE: Scope = Scope::new(Area::Flags, Access::Write);
const EVENTS: Purpose = Purpose::new("test-events");
const OTHER: Purpose = Purpose::new("test-other");
const OF_OWN: &[Parameter] = &[Parameter { name: "own", kind: "string", meaning: "Its own" }];

async fn issue(issuer: TokenIssuer) -> Result<HttpResponse, Problem> {
    let token = issuer.issue(EVENTS, Duration::from_secs(300));
    Ok(HttpResponse::Ok().json(json!({"token": token.as_ref().map(|token| token.expose())})))
}

async fn who(actor: Actor, query: Query) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(json!({"actor": actor.to_string(), "own": query.get("own")})))
}

fn rows() -> Endpoints {
    Endpoints::under("/by-token")
        .get("/issue", READ, issue)
        .get("/events", READ, who)
        .query(OF_OWN)
        .or_by_token(EVENTS)
        .get("/issue-by-token", READ, issue)
        .or_by_token(EVENTS)
        .get("/other", READ, who)
        .or_by_token(OTHER)
        .get("/written", WRITE, who)
        .or_by_token(EVENTS)
        .get("/by-key-alone", READ, who)
        .query(&[Parameter { name: "token", kind: "string", meaning: "Its own, which is no credential" }])
}

async fn issued(caller: &Caller) -> String {
    caller.get("/by-token/issue").await.expect(StatusCode::OK)["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_opens_the_rows_of_its_purpose_with_its_keys_scopes_and_nothing_else() {
    let app = App::with_rows(&[], rows);
    let tenant = app.tenant_with(&["flags:read", "sessions:read"]).await;
    let token = issued(&tenant).await;
    let anyone = app.anyone();
    let who = anyone.get(&format!("/by-token/events?own=1&token={token}")).await.expect(StatusCode::OK);
    assert_eq!(who, json!({"actor": tenant.key_id, "own": "1"}));
    anyone.get(&format!("/by-token/written?token={token}")).await.refused(403, "insufficient_scope");
    for row in ["/by-token/other", "/by-token/by-key-alone", "/by-token/issue", "/v1/sessions", "/admin/v1/tenants"] {
        anyone.get(&format!("{row}?token={token}")).await.refused(401, "unauthorized");
        app.anyone().with("x-api-key", &token).get(row).await.refused(401, "unauthorized");
    }
    app.anyone()
        .with("authorization", &format!("Bearer {token}"))
        .get("/by-token/events")
        .await
        .refused(401, "unauthorized");
    app.clock.advance(Duration::from_millis(299_999));
    anyone.get(&format!("/by-token/events?token={token}")).await.expect(StatusCode::OK);
    app.clock.advance(Duration::from_millis(1));
    anyone.get(&format!("/by-token/events?token={token}")).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn what_is_no_token_is_an_unknown_key_there_and_a_key_in_the_header_goes_first() {
    let app = App::with_rows(&[], rows);
    let tenant = app.tenant().await;
    let token = issued(&tenant).await;
    let anyone = app.anyone();
    let events = |token: &str| format!("/by-token/events?token={token}");
    let encoded = token.replace('.', "%2E");
    let forged = format!("{}{}", &token[..token.len() - 1], if token.ends_with('A') { 'B' } else { 'A' });
    for wrong in ["", "x", &token[1..], &forged, &encoded, &tenant.secret, crate::harness::app::ADMIN_KEY] {
        let answer = anyone.get(&events(wrong)).await;
        let problem = answer.refused(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(wrong.len() < 2 || !problem.to_string().contains(wrong), "{problem}");
    }
    anyone.get(&format!("{}&token={token}", events(&token))).await.refused(400, "invalid_query");
    tenant.get(&events("x")).await.expect(StatusCode::OK);
    anyone.with("x-api-key", "agk_unknown").get(&events(&token)).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn neither_operators_nor_those_who_came_with_a_token_are_given_one() {
    let app = App::with_rows(&[], rows);
    let tenant = app.tenant().await;
    let admin = app.admin().with("x-tenant-id", &tenant.id);
    assert_eq!(admin.get("/by-token/issue").await.expect(StatusCode::OK), json!({"token": null}));
    let token = issued(&tenant).await;
    let again = app.anyone().get(&format!("/by-token/issue-by-token?token={token}")).await;
    assert_eq!(again.expect(StatusCode::OK), json!({"token": null}));
    assert!(tenant.get("/by-token/issue-by-token").await.expect(StatusCode::OK)["token"].is_string());
}

#[tokio::test]
async fn a_token_is_refused_with_its_key_and_with_its_tenant() {
    let app = App::with_rows(&[], rows);
    let (revoked, suspended) = (app.tenant().await, app.tenant().await);
    let events = |token: String| format!("/by-token/events?token={token}");
    let urls = [events(issued(&revoked).await), events(issued(&suspended).await)];
    let key = format!("/admin/v1/tenants/{}/keys/{}", revoked.id, revoked.key_id);
    app.admin().delete(&key).await.expect(StatusCode::NO_CONTENT);
    let tenant = format!("/admin/v1/tenants/{}", suspended.id);
    app.admin().patch(&tenant, json!({"status": "suspended"})).await.expect(StatusCode::OK);
    app.anyone().get(&urls[0]).await.refused(401, "unauthorized");
    app.anyone().get(&urls[1]).await.refused(403, "tenant_suspended");
}

#[tokio::test]
async fn a_wrong_token_counts_as_a_failed_authentication_of_its_address() {
    let limit =
        [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_REQUESTS_PER_MINUTE", "2"), ("RATE_LIMIT_BURST_SIZE", "0")];
    let app = App::with_rows(&limit, rows);
    let tenant = app.tenant().await;
    let token = issued(&tenant).await;
    for refused in [(401, "unauthorized"), (401, "unauthorized"), (429, "rate_limited")] {
        app.anyone().get("/by-token/events?token=x").await.refused(refused.0, refused.1);
    }
    app.anyone().get(&format!("/by-token/events?token={token}")).await.expect(StatusCode::OK);
}

#[test]
fn a_row_that_takes_a_token_is_described_so() {
    let document = agentapi::http::openapi::document(&rows());
    let security = |path: &str| document["paths"][path]["get"]["security"].as_array().unwrap().clone();
    let by_token = json!({"token": ["flags:read"]});
    assert!(security("/by-token/events").contains(&by_token) && !security("/by-token/issue").contains(&by_token));
    let scheme = &document["components"]["securitySchemes"]["token"];
    assert_eq!((&scheme["in"], &scheme["name"]), (&json!("query"), &json!("token")));
    assert!(agentapi::http::markdown(&rows()).contains("| `GET /by-token/events?own=&token=` |"));
}

static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);

struct IntoLog;

impl Write for IntoLog {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The same rows; whatever the thread that serves them says from then on, libraries too, is written down.
fn overheard() -> Endpoints {
    // With one listener alone, what another thread without one says first would be taken for what nobody hears.
    std::mem::forget(tracing::Dispatch::new(tracing_subscriber::registry()));
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| IntoLog).finish();
    std::mem::forget(tracing::subscriber::set_default(subscriber));
    rows()
}

#[tokio::test]
async fn a_token_is_never_in_the_log_nor_in_a_refusal() {
    let app = App::with_rows(&[], overheard);
    let tenant = app.tenant().await;
    let token = issued(&tenant).await;
    let (_, hmac) = token.rsplit_once('.').unwrap();
    let forged = token.replace(&token[..8], "agt_aaaa");
    let mut answers: Vec<Value> = Vec::new();
    for caller in [app.anyone(), (*tenant).clone(), app.anyone().with("x-api-key", &token)] {
        for query in [
            format!("token={token}"),
            format!("token={forged}"),
            format!("token={token}&token={token}"),
            format!("nope={token}"),
        ] {
            for row in ["events", "other", "written", "issue", "by-key-alone", "none", "issue-by-token"] {
                let answer = caller.get(&format!("/by-token/{row}?{query}")).await;
                caller.post(&format!("/by-token/{row}?{query}"), json!({})).await;
                if answer.status != StatusCode::OK {
                    answers.push(answer.json());
                }
            }
        }
    }
    assert!(answers.len() > 20 && !json!(answers).to_string().contains(hmac), "{answers:?}");
    let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
    assert!(log.matches("/by-token/events").count() >= 8 && log.contains("TRACE"), "it was listened to: {log}");
    let line = log.lines().find(|line| line.contains(hmac));
    assert_eq!(line, None);
}
