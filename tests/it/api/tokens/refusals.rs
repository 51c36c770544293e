//! Every input that is refused: with which status and code, and that nothing was stored or changed.

use super::{at, provider_at, put, read, token};
use crate::api::suite;
use crate::harness::app::{Answer, App, Caller, On};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

suite! {
    a_body_that_is_no_token_is_refused_and_nothing_stored
    a_body_that_is_no_provider_is_refused_and_nothing_stored
    a_lease_for_too_long_or_too_short_is_refused_and_none_is_given
    names_that_are_none_are_refused
}

/// Sends a body and checks where it says the fault is.
async fn refuses(caller: &Caller, path: &str, body: Value, pointer: &str) -> Answer {
    let answer = caller.put(path, body.clone()).await;
    let problem = answer.refused(422, "validation_failed");
    let errors: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(errors, [json!(pointer)], "{body}: {problem}");
    assert!(!answer.text.contains("canary"), "{answer:?}");
    answer
}

fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

fn cases() -> Vec<(&'static str, Value)> {
    let long = "x".repeat(64 * 1024 + 1);
    vec![
        ("/access_token", json!("")),
        ("/access_token", json!("canary\n")),
        ("/access_token", json!("canary\u{0}")),
        ("/access_token", json!(long)),
        ("/access_token", json!("é".repeat(32 * 1024 + 1))),
        ("/access_token", json!(null)),
        ("/access_token", json!({"canary": 1})),
        ("/refresh_token", json!("")),
        ("/refresh_token", json!(long)),
        ("/refresh_token", json!(["canary"])),
        ("/token_type", json!("")),
        ("/token_type", json!("two words")),
        ("/token_type", json!("x".repeat(65))),
        ("/scopes", json!("read")),
        ("/scopes", json!(["two words"])),
        ("/scopes", json!([""])),
        ("/scopes", json!(vec!["s"; 101])),
        ("/scopes", json!(["s".repeat(257)])),
        ("/scopes/0", json!([1])),
        ("/expires_at", json!("2020-01-31T08:00:00.000Z")),
        ("/expires_at", json!("tomorrow")),
        ("/expires_at", json!(1_900_000_000)),
        ("/expires_in", json!(0)),
        ("/expires_in", json!("999ms")),
        ("/expires_in", json!("soon")),
        ("/expires_in", json!(-1)),
        ("/metadata", json!("text")),
        ("/metadata", json!([])),
        ("/metadata", json!({"canary": "x".repeat(16 * 1024)})),
        ("/canary~1", json!(1)),
        ("/lease", json!("x")),
    ]
}

async fn a_body_that_is_no_token_is_refused_and_nothing_stored(app: App) {
    let tenant = app.tenant().await;
    let kept = put(&tenant, "kept", "p", json!({"access_token": "a"})).await;
    for (pointer, value) in cases() {
        let member = if pointer == "/canary~1" { "canary/" } else { pointer.split('/').nth(1).unwrap() };
        let body = with(json!({"access_token": "a"}), member, value);
        for user in ["new", "kept"] {
            let at = at(user, "p");
            if pointer == "/canary~1" {
                tenant.put(&at, body.clone()).await.refused(422, "validation_failed");
            } else {
                refuses(&tenant, &at, body.clone(), pointer).await;
            }
        }
    }
    let both = json!({"access_token": "a", "expires_in": 5, "expires_at": "2090-01-31T08:00:00.000Z"});
    refuses(&tenant, &at("new", "p"), both, "/expires_in").await;
    refuses(&tenant, &at("new", "p"), json!({}), "/access_token").await;
    for (body, status, code) in
        [("{", 400, "invalid_json"), ("[]", 422, "validation_failed"), ("", 400, "invalid_json")]
    {
        let answer = tenant.send(Method::PUT, &at("new", "p"), Some(body.into())).await;
        answer.refused(status, code);
    }
    let huge = json!({"access_token": "x".repeat(1024 * 1024)});
    tenant.put(&at("new", "p"), huge).await.refused(413, "body_too_large");
    let plain = tenant.with("content-type", "text/plain").put(&at("new", "p"), json!({"access_token": "a"})).await;
    plain.refused(415, "unsupported_media_type");
    let no_lease = tenant.with("x-refresh-lease", "").put(&at("new", "p"), json!({"access_token": "a"})).await;
    no_lease.refused(400, "invalid_header");

    tenant.get(&at("new", "p")).await.refused(404, "token_not_found");
    assert_eq!(tenant.get("/v1/tokens/new").await.expect(StatusCode::OK)["items"], json!([]));
    let mut opened = read(&tenant, "kept", "p").await;
    opened.as_object_mut().unwrap().retain(|member, _| !member.ends_with("_token"));
    assert_eq!(opened, kept, "nothing of it has changed");
}

async fn a_body_that_is_no_provider_is_refused_and_nothing_stored(app: App) {
    let tenant = app.tenant().await;
    let good = || json!({"token_url": "https://login.example.com/token", "client_id": "c", "client_secret": "s"});
    for (member, value) in [
        ("token_url", json!("")),
        ("token_url", json!("canary")),
        ("token_url", json!("/token")),
        ("token_url", json!("http://login.example.com/token")),
        ("token_url", json!("ftp://login.example.com/")),
        ("token_url", json!("https://user:canary@login.example.com/")),
        ("token_url", json!("https://login.example.com/#canary")),
        ("token_url", json!("https://127.0.0.1/token")),
        ("token_url", json!("https://2130706433/")),
        ("token_url", json!("https://169.254.169.254/latest/meta-data/")),
        ("token_url", json!("https://10.1.2.3/")),
        ("token_url", json!("https://[::1]/")),
        ("token_url", json!("https://[::ffff:10.0.0.1]/")),
        ("token_url", json!("http://localhost:9000/")),
        ("token_url", json!(format!("https://login.example.com/{}", "x".repeat(2048)))),
        ("token_url", json!(7)),
        ("client_id", json!("")),
        ("client_id", json!("x".repeat(513))),
        ("client_secret", json!("")),
        ("client_secret", json!("x".repeat(64 * 1024 + 1))),
        ("client_secret", json!(null)),
        ("auth_style", json!("none")),
        ("auth_style", json!({"client_secret_post": null})),
        ("scopes", json!("read")),
        ("refresh_before", json!("25h")),
        ("refresh_before", json!("soon")),
        ("client_assertion", json!("x")),
    ] {
        refuses(&tenant, &provider_at("p"), with(good(), member, value), &format!("/{member}")).await;
    }
    for missing in ["token_url", "client_id", "client_secret"] {
        let mut body = good();
        body.as_object_mut().unwrap().remove(missing);
        refuses(&tenant, &provider_at("p"), body, &format!("/{missing}")).await;
    }
    tenant.get(&provider_at("p")).await.refused(404, "provider_not_found");
    tenant.delete(&provider_at("p")).await.refused(404, "provider_not_found");
    assert_eq!(tenant.get("/v1/oauth/providers").await.expect(StatusCode::OK)["items"], json!([]));
}

async fn a_lease_for_too_long_or_too_short_is_refused_and_none_is_given(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", token()).await;
    for ttl in [json!(0), json!("999ms"), json!("301s"), json!("x"), json!(-1)] {
        let answer = tenant.post(&format!("{}/lease", at("u", "p")), json!({"ttl": ttl})).await;
        let problem = answer.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/ttl", "{problem}");
    }
    tenant.post(&format!("{}/lease", at("u", "p")), json!({"more": 1})).await.refused(422, "validation_failed");
    tenant.post(&format!("{}/lease", at("u", "none")), json!({})).await.refused(404, "token_not_found");
    let granted = tenant.post(&format!("{}/lease", at("u", "p")), json!({"ttl": "5m"})).await.expect(StatusCode::OK);
    assert_eq!((&granted["granted"], &granted["fencing"]), (&json!(true), &json!(1)), "none was given before");
}

async fn names_that_are_none_are_refused(app: App) {
    let tenant = app.tenant().await;
    let long = "x".repeat(257);
    for bad in ["%00", "%0a", "a%ff", &long, "%C2%85"] {
        for path in [format!("/v1/tokens/{bad}/p"), format!("/v1/tokens/u/{bad}"), format!("/v1/oauth/providers/{bad}")]
        {
            let answer = tenant.put(&path, json!({"access_token": "a"})).await;
            answer.refused(400, "invalid_name");
            tenant.get(&path).await.refused(400, "invalid_name");
            tenant.delete(&path).await.refused(400, "invalid_name");
        }
        tenant.get(&format!("/v1/tokens/{bad}")).await.refused(400, "invalid_name");
    }
    tenant.get("/v1/tokens/u?limit=0").await.refused(400, "invalid_query");
    tenant.get("/v1/tokens/u?cursor=x").await.refused(400, "invalid_cursor");
    tenant.get("/v1/tokens/u/p?x=1").await.refused(400, "invalid_query");
}

#[tokio::test]
async fn without_a_root_key_every_endpoint_says_so_and_stores_nothing() {
    for on in [On::Native, On::Rest] {
        let app = App::with(on, &[("TOKEN_ENCRYPTION_KEY", "")]);
        let tenant = app.tenant().await;
        let provider = json!({"token_url": "https://login.example.com/token", "client_id": "c", "client_secret": "s"});
        tenant.put(&at("u", "p"), token()).await.refused(503, "vault_not_configured");
        tenant.put(&provider_at("p"), provider).await.refused(503, "vault_not_configured");
        for path in ["/v1/tokens/u", "/v1/tokens/u/p", "/v1/oauth/providers", "/v1/oauth/providers/p"] {
            tenant.get(path).await.refused(503, "vault_not_configured");
        }
        tenant.post(&format!("{}/lease", at("u", "p")), json!({})).await.refused(503, "vault_not_configured");
        tenant.delete(&at("u", "p")).await.refused(503, "vault_not_configured");
        tenant.delete(&provider_at("p")).await.refused(503, "vault_not_configured");
    }
}
