//! Moving a tenant: out of one backend, into another, and what is refused on the way.

use crate::harness::app::{Answer, App, Caller, On, Tenant};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const NDJSON: &str = "application/x-ndjson";

async fn export(app: &App, tenant: &str) -> String {
    let answer = app.admin().get(&format!("/admin/v1/tenants/{tenant}/export")).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, NDJSON), "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.text
}

async fn import(app: &App, tenant: &str, lines: &str) -> Answer {
    let admin = app.admin().with("content-type", NDJSON);
    admin.send(Method::POST, &format!("/admin/v1/tenants/{tenant}/import"), Some(lines.as_bytes().to_vec())).await
}

/// With an end that fits.
fn ended(lines: &[String]) -> String {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let digest: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{text}{}\n", json!({"end": {"lines": lines.len(), "sha256": digest}}))
}

fn lines(export: &str) -> Vec<String> {
    export.lines().map(str::to_owned).collect()
}

/// Everything but the end.
fn content(export: &str) -> Vec<String> {
    let mut lines = lines(export);
    lines.pop();
    lines
}

/// What an export says, whenever and in whatever order; and when its keys end.
fn meaning(export: &str) -> (Vec<String>, Vec<u64>) {
    let mut all: Vec<(String, u64)> = content(export)
        .iter()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            if let Some(head) = line.get_mut("agentapi_export") {
                head["exported_at"].take();
            }
            let Some(key) = line.get_mut("key") else { return (line.to_string(), 0) };
            let ends = key["ends_at_ms"].take().as_u64().unwrap_or(0);
            for kind in ["hash", "zset"] {
                if let Some(members) = key["value"].get_mut(kind).and_then(Value::as_array_mut) {
                    members.sort_by_key(Value::to_string);
                }
            }
            (line.to_string(), ends)
        })
        .collect();
    all.sort();
    all.into_iter().unzip()
}

#[track_caller]
fn assert_same(one: &str, other: &str) {
    let ((lines, ends), (others, other_ends)) = (meaning(one), meaning(other));
    assert_eq!(lines, others);
    for (line, (end, other)) in lines.iter().zip(ends.iter().zip(other_ends)) {
        // What is left is told in whole milliseconds, beside a clock that goes on.
        assert!(end.abs_diff(other) <= 2, "{line}: {end} {other}");
    }
}

/// A tenant that has something of everything.
async fn rich(app: &App) -> (Tenant, String) {
    let tenant = app.tenant().await;
    let session =
        json!({"user_id": "ü:{1}*", "data": {"n": 1, "text": "line\nfeed \u{1F980}"}, "ttl": "7d", "refresh": true});
    let session = tenant.post("/v1/sessions", session).await.expect(StatusCode::CREATED);
    for n in 0..30 {
        tenant.put(&format!("/v1/sessions/own-{n}"), json!({"user_id": "u"})).await.expect(StatusCode::CREATED);
    }
    let token = json!({"access_token": "canary-access", "refresh_token": "canary-refresh"});
    tenant.put("/v1/tokens/u/p", token).await.expect(StatusCode::CREATED);
    let provider = json!({"token_url": "https://example.com/", "client_id": "c", "client_secret": "canary-client"});
    tenant.put("/v1/oauth/providers/p", provider).await.expect(StatusCode::CREATED);
    let flag = json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"});
    tenant.put("/v1/flags/f", flag).await.expect(StatusCode::CREATED);
    tenant.post("/v1/breakers/b/force", json!({"state": "open"})).await.expect(StatusCode::OK);
    tenant.put("/v1/ratelimit/policies/p", json!({"limit": 5, "window": "1m"})).await.expect(StatusCode::CREATED);
    tenant.post("/v1/ratelimit/check", json!({"key": "k", "policy": "p"})).await.expect(StatusCode::OK);
    let keyed = tenant.with("idempotency-key", "once");
    keyed.post("/v1/sessions", json!({"user_id": "u"})).await.expect(StatusCode::CREATED);
    (tenant, session["id"].as_str().unwrap().to_owned())
}

/// The tenant's key, shown to another application.
fn at(app: &App, tenant: &Tenant) -> Caller {
    app.anyone().with("x-api-key", &tenant.secret)
}

#[tokio::test]
async fn a_tenant_goes_from_memory_to_redis_to_rest_and_back_and_is_the_same() {
    let first = App::on(On::Memory);
    let (tenant, session) = rich(&first).await;
    let mut text = export(&first, &tenant.id).await;
    assert!(!text.contains("canary") && !text.contains(&tenant.secret), "{text}");
    let names: Vec<&str> = ["session:", "refresh:", "token:u:p", "flagset", "breakers", "rate-limit-policies"].to_vec();
    names.iter().for_each(|name| assert!(text.contains(&format!("\"name\":\"{name}")), "{name} is not in {text}"));
    for stays in ["\"idempotency:", "\"rate-limit:", "\"op:", "\"session-fence:"] {
        assert!(!text.contains(stays), "{stays} is in {text}");
    }
    for on in [On::Native, On::Rest, On::Memory] {
        let app = App::on(on);
        let answer = import(&app, &tenant.id, &text).await.expect(StatusCode::CREATED);
        assert_eq!((&answer["tenant"]["status"], &answer["api_keys"]), (&json!("active"), &json!(1)), "{on:?}");
        // Before anything is done there: what is read may be written to.
        let again = export(&app, &tenant.id).await;
        assert_same(&text, &again);
        text = again;
        let caller = at(&app, &tenant);
        let read = caller.get(&format!("/v1/sessions/{session}?touch=false")).await.expect(StatusCode::OK);
        assert_eq!(read["data"]["text"], "line\nfeed \u{1F980}");
        let opened = caller.get("/v1/tokens/u/p").await.expect(StatusCode::OK);
        assert_eq!(opened["access_token"], "canary-access");
        let flag = caller.post("/ofrep/v1/evaluate/flags/f", json!({"context": {}})).await.expect(StatusCode::OK);
        assert_eq!(flag["value"], true);
        assert_eq!(caller.get("/v1/breakers/b").await.expect(StatusCode::OK)["state"], "forced_open");
        caller.get("/v1/ratelimit/policies/p").await.expect(StatusCode::OK);
        let revoked = caller.delete("/v1/users/u/sessions").await.expect(StatusCode::OK);
        assert_eq!(revoked["revoked"], 31, "{on:?}");
    }
}

#[tokio::test]
async fn large_hashes_and_sets_go_in_pieces() {
    let (from, to) = (App::on(On::Memory), App::on(On::Native));
    let tenant = from.tenant().await;
    for n in 0..1100 {
        let path = format!("/v1/ratelimit/policies/p{n}");
        if tenant.put(&path, json!({"limit": 5, "window": "1m"})).await.status != StatusCode::CREATED {
            break;
        }
    }
    for n in 0..600 {
        tenant.post(&format!("/v1/breakers/b{n}/force"), json!({"state": "open"})).await.expect(StatusCode::OK);
    }
    let text = export(&from, &tenant.id).await;
    assert!(text.matches("\"name\":\"breakers\"").count() >= 2, "it is in several lines");
    import(&to, &tenant.id, &text).await.expect(StatusCode::CREATED);
    let again = export(&to, &tenant.id).await;
    let members = |text: &str| {
        let mut all: Vec<String> = content(text)
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).unwrap().get("key").cloned())
            .flat_map(|key| {
                let name = key["name"].as_str().unwrap().to_owned();
                let value = key["value"].as_object().unwrap().values().next().unwrap().clone();
                let members = value.as_array().cloned().unwrap_or_else(|| vec![value]);
                members.into_iter().map(move |member| format!("{name} {member}"))
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(members(&text), members(&again));
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_before_anything_is_written() {
    let from = App::on(On::Memory);
    let (tenant, _) = rich(&from).await;
    let text = export(&from, &tenant.id).await;
    let to = App::on(On::Memory);
    let head = |change: &dyn Fn(&mut Value)| {
        let mut all = content(&text);
        let mut first: Value = serde_json::from_str(&all[0]).unwrap();
        change(&mut first["agentapi_export"]);
        all[0] = first.to_string();
        ended(&all)
    };
    for (body, status, code) in [
        (String::new(), 422, "import_invalid"),
        ("\n".to_owned(), 422, "import_invalid"),
        ("{}".to_owned(), 422, "import_invalid"),
        (ended(&content(&text)[1..]), 422, "import_invalid"),
        (head(&|head| head["format"] = json!(2)), 422, "import_invalid"),
        (head(&|head| head["more"] = json!(2)), 422, "import_invalid"),
        (head(&|head| head["tenant"]["id"] = json!("another")), 422, "import_invalid"),
        (head(&|head| head["data_keys"] = json!("{}")), 422, "import_invalid"),
        (head(&|head| head["data_keys"] = json!("{\"newest\":1,\"keys\":{\"1\":\"x\"}}")), 422, "import_invalid"),
        ("x".repeat(17 * 1024 * 1024), 413, "body_too_large"),
    ] {
        let answer = import(&to, &tenant.id, &body).await;
        answer.refused(status, code);
        to.admin().get(&format!("/admin/v1/tenants/{}", tenant.id)).await.refused(404, "tenant_not_found");
    }
    let path = format!("/admin/v1/tenants/{}/import", tenant.id);
    for kind in ["application/json", "text/plain", ""] {
        let admin = to.admin().with("content-type", kind);
        admin.send(Method::POST, &path, Some(text.clone().into_bytes())).await.refused(415, "unsupported_media_type");
    }
    let other = "feedface01234567feedface01234567feedface01234567feedface01234567";
    let elsewhere = App::with(On::Memory, &[("TOKEN_ENCRYPTION_KEY", other)]);
    let problem = import(&elsewhere, &tenant.id, &text).await.refused(409, "root_key_unknown");
    assert!(problem["detail"].as_str().unwrap().contains("TOKEN_ENCRYPTION_KEYS_PREVIOUS"), "{problem}");
    elsewhere.admin().get(&format!("/admin/v1/tenants/{}", tenant.id)).await.refused(404, "tenant_not_found");
    let old = [("TOKEN_ENCRYPTION_KEY", other), ("TOKEN_ENCRYPTION_KEYS_PREVIOUS", crate::harness::app::ROOT_KEY)];
    let elsewhere = App::with(On::Memory, &old);
    import(&elsewhere, &tenant.id, &text).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn an_import_that_fails_leaves_the_tenant_suspended_and_others_alone() {
    let from = App::on(On::Memory);
    let (tenant, _) = rich(&from).await;
    let other = from.tenant().await;
    let text = export(&from, &tenant.id).await;
    let whole = content(&text);
    let with = |line: Value| ended(&[&whole[..], &[line.to_string()]].concat());
    let entry = |name: &str, value: Value| {
        with(json!({"key": {"partition": "00", "name": name, "ends_at_ms": null, "value": value}}))
    };
    let foreign = content(&export(&from, &other.id).await);
    let string = || json!({"string": "x"});
    let path = format!("/admin/v1/tenants/{}", tenant.id);
    for (what, body) in [
        ("broken off", whole.iter().map(|line| format!("{line}\n")).collect()),
        ("broken off in a line", text[..text.len() / 2].to_owned()),
        ("a line less", [&whole[..], &lines(&ended(&whole[1..]))[whole.len() - 1..]].concat().join("\n")),
        ("changed", text.replacen("user", "User", 1)),
        ("more after the end", format!("{text}{{}}\n")),
        ("two heads", with(serde_json::from_str(&whole[0]).unwrap())),
        ("a key of another tenant", with(serde_json::from_str(&foreign[1]).unwrap())),
        ("an API key twice", with(serde_json::from_str(&whole[1]).unwrap())),
        ("no API key", with(json!({"api_key": "{}"}))),
        ("a family of the server", entry("tenant:acme", string())),
        ("a family that stays", entry("idempotency:x", string())),
        ("a family that is none", entry("other:x", string())),
        ("another key's tag", entry("token:a:b}:session:x", json!({"hash": [["f", "v"]]}))),
        ("another type", entry("flagset", string())),
        ("too many parts", entry("token:a:b:c", json!({"hash": [["f", "v"]]}))),
        ("nothing in it", entry("flagset", json!({"hash": []}))),
        ("no score", entry("sessions", json!({"zset": [["m", "nan"]]}))),
        ("no partition", text.replacen("\"partition\":\"", "\"partition\":\"x", 1)),
        ("not a line", ended(&[&whole[..], &["nonsense".to_owned()]].concat())),
    ] {
        let to = App::on(On::Memory);
        let neighbour = to.tenant().await;
        neighbour.put("/v1/sessions/own", json!({"user_id": "u"})).await.expect(StatusCode::CREATED);
        let before = export(&to, &neighbour.id).await;
        let answer = import(&to, &tenant.id, &body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {answer:?}");
        let problem = answer.refused(422, "import_invalid");
        assert!(problem["detail"].as_str().unwrap().contains("purge it"), "{what}: {problem}");
        assert!(!problem.to_string().contains("nonsense"), "{problem}");
        assert_eq!(to.admin().get(&path).await.expect(StatusCode::OK)["status"], "suspended", "{what}");
        let refused = at(&to, &tenant).get("/v1/sessions").await;
        assert!([401, 403].contains(&refused.status.as_u16()), "{what}: {refused:?}");
        import(&to, &tenant.id, &text).await.refused(409, "tenant_exists");
        assert_same(&before, &export(&to, &neighbour.id).await);
    }
}

#[tokio::test]
async fn what_was_broken_off_is_purged_and_tried_again_and_not_while_it_is_being_deleted() {
    let (from, to) = (App::on(On::Memory), App::on(On::Memory));
    let (tenant, session) = rich(&from).await;
    let text = export(&from, &tenant.id).await;
    let path = format!("/admin/v1/tenants/{}", tenant.id);
    import(&to, &tenant.id, &content(&text).join("\n")).await.refused(422, "import_invalid");
    let job = to.admin().delete(&path).await.expect(StatusCode::ACCEPTED);
    import(&to, &tenant.id, &text).await.refused(409, "tenant_being_deleted");
    purged(&to, job["id"].as_str().unwrap()).await;
    to.admin().get(&path).await.refused(404, "tenant_not_found");
    import(&to, &tenant.id, &text).await.expect(StatusCode::CREATED);
    at(&to, &tenant).get(&format!("/v1/sessions/{session}")).await.expect(StatusCode::OK);
}

/// Waits for the job; the clock of the embedded backend is the test's.
async fn purged(app: &App, job: &str) {
    for _ in 0..2000 {
        app.clock.advance(std::time::Duration::from_millis(500));
        let state = app.admin().get(&format!("/admin/v1/jobs/{job}")).await.expect(StatusCode::OK);
        if state["state"] == "done" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the job is not done");
}

#[tokio::test]
async fn an_import_takes_longer_than_a_request_may_and_more_than_a_body_may_be() {
    let (from, to) =
        (App::on(On::Memory), App::with(On::Memory, &[("REQUEST_TIMEOUT", "100ms"), ("MAX_BODY_BYTES", "1KiB")]));
    let (tenant, session) = rich(&from).await;
    let text = export(&from, &tenant.id).await;
    let pieces: Vec<Vec<u8>> = text.as_bytes().chunks(text.len() / 3).map(<[u8]>::to_vec).collect();
    let slowly = futures_util::stream::unfold(pieces.into_iter(), |mut pieces| async move {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        pieces.next().map(|piece| (Ok::<_, std::io::Error>(piece), pieces))
    });
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let sent = client
        .post(format!("{}/admin/v1/tenants/{}/import", to.base, tenant.id))
        .bearer_auth(crate::harness::app::ADMIN_KEY)
        .header("content-type", NDJSON)
        .body(reqwest::Body::wrap_stream(slowly));
    assert_eq!(sent.send().await.unwrap().status(), StatusCode::CREATED);
    at(&to, &tenant).get(&format!("/v1/sessions/{session}")).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_suspended_tenant_is_exported_and_comes_back_suspended_and_none_is_exported_that_is_not_there() {
    let (from, to) = (App::on(On::Memory), App::on(On::Memory));
    let tenant = from.tenant().await;
    let path = format!("/admin/v1/tenants/{}", tenant.id);
    from.admin().patch(&path, json!({"status": "suspended"})).await.expect(StatusCode::OK);
    let text = export(&from, &tenant.id).await;
    let imported = import(&to, &tenant.id, &text).await.expect(StatusCode::CREATED);
    assert_eq!(imported["tenant"]["status"], "suspended");
    assert_eq!(imported["tenant"], to.admin().get(&path).await.expect(StatusCode::OK));
    assert_eq!(imported["tenant"], from.admin().get(&path).await.expect(StatusCode::OK));
    from.admin().get("/admin/v1/tenants/nobody/export").await.refused(404, "tenant_not_found");
    let head = from.admin().head(&format!("{path}/export")).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    tenant.get(&format!("{path}/export")).await.refused(403, "insufficient_scope");
}
