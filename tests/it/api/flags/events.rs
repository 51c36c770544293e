//! Changes told as server-sent events (OFREP, ADR-0008).

use super::{for_plan, put, switch};
use crate::api::suite;
use crate::harness::app::App;
use crate::harness::raw::Raw;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::io::Read;

suite! {
    a_change_is_told_to_who_listens_with_the_token_of_a_bulk_answer
    who_missed_a_change_hears_of_it_at_once
    a_token_opens_the_stream_and_nothing_else
    who_has_no_key_of_the_tenant_is_given_no_token
}

/// Somebody who listens.
struct Listener(Raw);

impl Listener {
    /// Opens a stream; its head.
    fn open(app: &App, uri: &str, headers: &str) -> (Listener, String) {
        let mut connection = Raw::connect(&app.base);
        connection.send(format!("GET {uri} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes());
        let head = connection.answer();
        (Listener(connection), head)
    }

    /// Listens on.
    fn at(app: &App, uri: &str, headers: &str) -> Listener {
        let (listener, head) = Listener::open(app, uri, headers);
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        listener
    }

    /// The next event: its id, and its data.
    fn next(&mut self) -> (String, Value) {
        let (mut text, mut byte) = (Vec::new(), [0]);
        loop {
            while !text.ends_with(b"\n\n") {
                self.0.0.read_exact(&mut byte).unwrap();
                text.push(byte[0]);
            }
            let event = String::from_utf8(std::mem::take(&mut text)).unwrap();
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let (Some(id), Some(data)) = (field("id: "), field("data: ")) else { continue };
            assert_eq!(field("retry: ").as_deref(), Some("3000"), "{event}");
            return (id, serde_json::from_str(&data).unwrap());
        }
    }
}

/// Where a bulk evaluation says that changes are told.
async fn uri(caller: &crate::harness::app::Caller) -> String {
    let body = caller.post("/ofrep/v1/evaluate/flags", json!({})).await.expect(StatusCode::OK);
    let streams = body["eventStreams"].as_array().unwrap();
    assert_eq!(
        (streams.len(), &streams[0]["type"], &streams[0]["inactivityDelaySec"]),
        (1, &json!("sse"), &json!(120))
    );
    streams[0]["endpoint"]["requestUri"].as_str().unwrap().to_owned()
}

async fn a_change_is_told_to_who_listens_with_the_token_of_a_bulk_answer(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "f", switch()).await;
    let mut listener = Listener::at(&app, &uri(&tenant).await, "");
    for (version, flag) in [(2, for_plan("pro")), (3, switch())] {
        tenant.put("/v1/flags/f", flag).await.expect(StatusCode::OK);
        let (id, data) = listener.next();
        assert!(id.starts_with(&format!("{version}-")), "{id}: nothing was told that was known before");
        assert_eq!(data, json!({"type": "refetchEvaluation", "etag": format!("\"{id}\"")}));
        let query = format!("flagConfigEtag=%22{id}%22");
        let bulk = tenant.post(&format!("/ofrep/v1/evaluate/flags?{query}"), json!({})).await;
        bulk.expect(StatusCode::OK);
        let again = tenant.with("if-none-match", bulk.header("etag"));
        let again = again.post(&format!("/ofrep/v1/evaluate/flags?{query}"), json!({})).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "the client has what was told");
    }
}

async fn who_missed_a_change_hears_of_it_at_once(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "f", switch()).await;
    let before = uri(&tenant).await;
    tenant.put("/v1/flags/f", for_plan("pro")).await.expect(StatusCode::OK);
    let (second, _) = Listener::at(&app, &before, "").next();
    assert!(second.starts_with("2-"), "{second}");
    // One that comes back says itself what it has seen.
    let mut back = Listener::at(&app, &before, &format!("Last-Event-ID: {second}\r\n"));
    tenant.put("/v1/flags/f", switch()).await.expect(StatusCode::OK);
    assert!(back.next().0.starts_with("3-"));
    // And one that says nothing is told what there is.
    let key = format!("X-API-Key: {}\r\n", tenant.secret);
    assert!(Listener::at(&app, "/ofrep/v1/events", &key).next().0.starts_with("3-"));
}

async fn a_token_opens_the_stream_and_nothing_else(app: App) {
    let tenant = app.tenant().await;
    let uri = uri(&tenant).await;
    let token = uri.split("token=").nth(1).unwrap();
    for path in ["/v1/flags", "/v1/flagset", "/v1/sessions"] {
        app.anyone().get(&format!("{path}?token={token}")).await.refused(401, "unauthorized");
    }
    let post = app.anyone().post(&format!("/ofrep/v1/evaluate/flags?token={token}"), json!({})).await;
    post.refused(401, "unauthorized");
    for broken in ["", "x", &token.replace("agt_", "agk_"), &format!("{token}0")] {
        let problem = app.anyone().get(&format!("/ofrep/v1/events?token={broken}")).await.refused(401, "unauthorized");
        assert_eq!(problem["errorCode"], "GENERAL");
        assert!(!problem.to_string().contains(token), "{problem}");
    }
    app.admin().delete(&format!("/admin/v1/tenants/{}/keys/{}", tenant.id, tenant.key_id)).await;
    app.anyone().get(&uri).await.refused(401, "unauthorized");
}

async fn who_has_no_key_of_the_tenant_is_given_no_token(app: App) {
    let tenant = app.tenant().await;
    let admin = app.admin().with("x-tenant-id", &tenant.id);
    let body = admin.post("/ofrep/v1/evaluate/flags", json!({})).await.expect(StatusCode::OK);
    assert_eq!(body["eventStreams"], Value::Null);
}
