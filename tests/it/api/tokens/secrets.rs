//! What whoever has the backend learns, and what whoever may write there can do.

use super::{at, lease, provider_at, put, read};
use crate::harness::app::{App, On, Tenant};
use crate::harness::backend::Backend;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// What is planted wherever a client supplies something but a name.
const CANARIES: [&str; 9] = [
    "canary-access-token-0",
    "canary-refresh-token-1",
    "canary-scope-2",
    "canary-metadata-3",
    "canary-type-4",
    "canary-client-secret-5",
    "canary-client-id-6",
    "canary-url-7",
    "canary-provider-scope-8",
];

/// Every key with all that is in it, as one text.
async fn dump(redis: &Backend, pattern: &str) -> String {
    let mut text = String::new();
    for key in redis.ask(&["KEYS", pattern]).await.array().unwrap() {
        let key = key.text().unwrap();
        let read = match redis.ask(&["TYPE", &key]).await.text().unwrap().as_str() {
            "string" => redis.ask(&["GET", &key]).await,
            "hash" => redis.ask(&["HGETALL", &key]).await,
            "zset" => redis.ask(&["ZRANGE", &key, "0", "-1"]).await,
            other => panic!("{key} is a {other}"),
        };
        text.push_str(&format!("{key} {}\n", crate::harness::backend::shown(&read)));
    }
    text
}

/// The forms in which a secret could stand somewhere: as it is, in hexadecimal, in base64 at any offset.
fn forms(secret: &str) -> Vec<String> {
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![secret.to_owned(), hexadecimal.to_uppercase(), hexadecimal, secret.chars().rev().collect()];
    for offset in 0..3 {
        let shifted = format!("{}{secret}", "x".repeat(offset));
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&shifted);
            forms.push(encoded[4..encoded.len() - 4].to_owned());
        }
    }
    forms
}

async fn plant(tenant: &Tenant) {
    let [access, refresh, scope, metadata, kind, secret, id, url, provider_scope] = CANARIES;
    let token = json!({"access_token": access, "refresh_token": refresh, "scopes": [scope], "metadata": {metadata: metadata},
        "token_type": kind, "expires_in": "1h"});
    put(tenant, "alice", "google", token).await;
    let provider = json!({"token_url": format!("https://{url}.example.com/"), "client_id": id, "client_secret": secret,
        "scopes": [provider_scope], "refresh_before": 1});
    tenant.put(&provider_at("google"), provider).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_dump_of_the_backend_shows_nothing_readable() {
    for on in [On::Native, On::Rest] {
        let app = App::on(on);
        let tenant = app.tenant().await;
        plant(&tenant).await;
        let leased = lease(&tenant, "alice", "google").await;
        let redis = Backend::on(app.redis.clone().unwrap());
        let text = dump(&redis, &format!("*{{{}:*", tenant.id)).await + &dump(&redis, "*{_system:*").await;
        assert!(text.contains(":token:alice:google") && text.contains("sealed"), "the dump has the record");
        let lease = leased["lease"].as_str().unwrap();
        for secret in CANARIES.iter().copied().chain([lease, crate::harness::app::ROOT_KEY]) {
            for form in forms(secret) {
                assert!(!text.contains(&form), "{secret} is there as {form}");
            }
        }
    }
}

#[tokio::test]
async fn a_record_that_was_moved_or_changed_by_hand_does_not_open() {
    let app = App::on(On::Native);
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let redis = Backend::on(app.redis.clone().unwrap());
    for (user, provider) in [("alice", "google"), ("alice", "github"), ("bob", "google")] {
        put(&tenant, user, provider, json!({"access_token": format!("of {user} at {provider}")})).await;
    }
    put(&other, "alice", "google", json!({"access_token": "of another tenant"})).await;
    let key = async |tenant: &Tenant, user: &str, provider: &str| -> String {
        let found =
            redis.ask(&["KEYS", &format!("*{{{}:*}}:token:{user}:{provider}", tenant.id)]).await.array().unwrap();
        found.into_iter().next().expect("it is there").text().unwrap()
    };
    let own = key(&tenant, "alice", "google").await;
    let envelope = async |key: &str, field: &str| redis.ask(&["HGET", key, field]).await.text().unwrap();
    let (sealed, details) = (envelope(&own, "sealed").await, envelope(&own, "details").await);
    // A token is read from one envelope, a list from the other.
    let is_absent = async |field: &str, what: &str| {
        if field != "details" {
            tenant.get(&at("alice", "google")).await.refused(404, "token_not_found");
        }
        if field != "sealed" {
            let listed = tenant.get("/v1/tokens/alice").await.expect(StatusCode::OK);
            let providers: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| &item["provider"]).collect();
            assert_eq!(providers, ["github"], "{what}");
        }
        redis.ask(&["HSET", &own, "sealed", &sealed, "details", &details, "version", "1"]).await.int().unwrap();
        assert_eq!(read(&tenant, "alice", "google").await["access_token"], "of alice at google", "{what}");
    };
    for (whose, user, provider) in
        [(&tenant, "alice", "github"), (&tenant, "bob", "google"), (&other, "alice", "google")]
    {
        let from = key(whose, user, provider).await;
        assert_eq!(redis.ask(&["COPY", &from, &own, "REPLACE"]).await.int(), Ok(1));
        is_absent("all", "a whole record of another name").await;
        for field in ["sealed", "details"] {
            redis.ask(&["HSET", &own, field, &envelope(&from, field).await]).await.int().unwrap();
            is_absent(field, "an envelope of another name").await;
        }
    }
    for (field, value) in [
        ("sealed", details.as_str()),
        ("details", sealed.as_str()),
        ("version", "2"),
        ("sealed", ""),
        ("sealed", "AAAA"),
        ("sealed", "{\"access_token\":\"planted\"}"),
    ] {
        redis.ask(&["HSET", &own, field, value]).await.int().unwrap();
        is_absent(field, &format!("{field} = {value}")).await;
    }
    put(&tenant, "alice", "google", json!({"access_token": "second"})).await;
    redis.ask(&["HSET", &own, "sealed", &sealed]).await.int().unwrap();
    tenant.get(&at("alice", "google")).await.refused(404, "token_not_found");
    let listed = tenant.get("/v1/tokens/alice").await.expect(StatusCode::OK);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "its list still stands");
    let metrics = app.anyone().get("/metrics").await.text;
    let counted = metrics.lines().find(|line| line.starts_with("agentapi_tokens_unreadable_total ")).unwrap();
    assert!(counted.split(' ').nth(1).unwrap().parse::<u64>().unwrap() >= 10, "{counted}");
    // Whoever stores it anew, or destroys it, is not kept from that.
    put(&tenant, "alice", "google", json!({"access_token": "third"})).await;
    assert_eq!(read(&tenant, "alice", "google").await["access_token"], "third");
}

#[tokio::test]
async fn a_server_without_the_root_key_in_use_refuses_and_changes_nothing() {
    let app = App::with(On::Native, &[("REDIS_KEY_PREFIX", "other-root")]);
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", json!({"access_token": "a"})).await;
    let other = "feedface01234567feedface01234567feedface01234567feedface01234567";
    let shared = [("REDIS_KEY_PREFIX", "other-root"), ("TOKEN_ENCRYPTION_KEY", other)];
    let without = App::over(app.redis.clone().unwrap(), &shared);
    let there = without.anyone().with("x-api-key", &tenant.secret);
    there.get(&at("u", "p")).await.refused(503, "vault_key_missing");
    there.put(&at("u", "p"), json!({"access_token": "b"})).await.refused(503, "vault_key_missing");
    there.get("/v1/tokens/u").await.refused(503, "vault_key_missing");
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "a");
    let previous = [shared[0], shared[1], ("TOKEN_ENCRYPTION_KEYS_PREVIOUS", crate::harness::app::ROOT_KEY)];
    let with = App::over(app.redis.clone().unwrap(), &previous);
    let opened: Value = read(&with.anyone().with("x-api-key", &tenant.secret), "u", "p").await;
    assert_eq!(opened["access_token"], "a");
}

#[tokio::test]
async fn a_record_that_lacks_something_is_none_and_hides_no_other() {
    let app = App::on(On::Native);
    let tenant = app.tenant().await;
    let redis = Backend::on(app.redis.clone().unwrap());
    for provider in ["damaged", "whole"] {
        put(&tenant, "u", provider, json!({"access_token": "a", "expires_in": "1h"})).await;
    }
    let keys = redis.ask(&["KEYS", &format!("*{{{}:*}}:token:u:damaged", tenant.id)]).await.array().unwrap();
    let key = keys.into_iter().next().unwrap().text().unwrap();
    for field in ["sealed", "details", "key", "created", "updated", "expires", "refreshable"] {
        let value = redis.ask(&["HGET", &key, field]).await.text().unwrap();
        redis.ask(&["HDEL", &key, field]).await.int().unwrap();
        // A list does not open what a token is read from, nor the other way round.
        if field != "details" {
            tenant.get(&at("u", "damaged")).await.refused(404, "token_not_found");
        }
        let listed = tenant.get("/v1/tokens/u").await.expect(StatusCode::OK);
        let providers: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| &item["provider"]).collect();
        assert!(providers.contains(&&json!("whole")), "{field}");
        assert_eq!(providers.contains(&&json!("damaged")), field == "sealed", "{field}");
        redis.ask(&["HSET", &key, field, &value]).await.int().unwrap();
        assert_eq!(read(&tenant, "u", "damaged").await["access_token"], "a", "{field}");
    }
}
