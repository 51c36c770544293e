//! Changing keys over HTTP, while everything is read and written: new data keys, new root keys, the census, the jobs.

mod rolling;
mod unopenable;

use crate::harness::app::{App, Caller, On, ROOT_KEY, Tenant};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Another root key.
const NEW_KEY: &str = "feedface01234567feedface01234567feedface01234567feedface01234567";
const PATIENT: [(&str, &str); 2] = [("REQUEST_TIMEOUT", "30s"), ("REDIS_COMMAND_TIMEOUT", "10s")];

/// Starts a job and waits for its end.
async fn job(app: &App, what: &str, body: Value) -> Value {
    let started = app.admin().post(&format!("/admin/v1/vault/{what}"), body).await;
    let started_job = started.expect(StatusCode::ACCEPTED);
    let path = started.header("location").to_owned();
    assert_eq!(path, format!("/admin/v1/jobs/{}", started_job["id"].as_str().unwrap()));
    ended(app, &path).await
}

/// Waits for the end of a job.
async fn ended(app: &App, path: &str) -> Value {
    let begun = Instant::now();
    loop {
        let job = app.admin().get(path).await.expect(StatusCode::OK);
        if job["state"] == "done" || job["state"] == "failed" {
            return job;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{job}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Keeps so many tokens, of as many users.
async fn keep(caller: &Caller, count: usize) {
    for n in 0..count {
        let body =
            json!({"access_token": format!("access {n}"), "refresh_token": format!("refresh {n}"), "scopes": ["s"]});
        caller.put(&format!("/v1/tokens/u{n}/p"), body).await.expect(StatusCode::CREATED);
    }
    let provider = json!({"token_url": "https://example.com/", "client_id": "c", "client_secret": "s"});
    caller.put("/v1/oauth/providers/p", provider).await.expect(StatusCode::CREATED);
}

/// Checks that so many tokens are as they were kept.
async fn are_kept(caller: &Caller, count: usize) {
    for n in 0..count {
        let token = caller.get(&format!("/v1/tokens/u{n}/p")).await.expect(StatusCode::OK);
        assert_eq!((&token["access_token"], &token["version"]), (&json!(format!("access {n}")), &json!(1)));
    }
    assert_eq!(caller.get("/v1/oauth/providers/p").await.expect(StatusCode::OK)["client_id"], "c");
}

/// The data keys of a tenant: version and records of each.
async fn census(app: &App, tenant: &Tenant) -> Vec<(u64, u64)> {
    let vault = app.admin().get(&format!("/admin/v1/vault?tenant={}", tenant.id)).await.expect(StatusCode::OK);
    let keys = vault["items"][0]["data_keys"].as_array().unwrap();
    keys.iter().map(|key| (key["version"].as_u64().unwrap(), key["records"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn data_keys_are_rotated_and_everything_is_sealed_anew_on_each_backend() {
    for on in [On::Memory, On::Native, On::Rest] {
        let app = App::with(on, &PATIENT);
        let (tenant, other, idle) = (app.tenant().await, app.tenant().await, app.tenant().await);
        keep(&tenant, 25).await;
        keep(&other, 3).await;
        assert_eq!(census(&app, &tenant).await, [(1, 26)], "{on:?}");
        let rotated = job(&app, "rotate", json!({"tenant": tenant.id})).await;
        assert_eq!((&rotated["kind"], &rotated["done"]), (&json!("vault.rotate"), &json!(1)), "{rotated}");
        assert_eq!(census(&app, &tenant).await, [(1, 26), (2, 0)]);
        tenant.put("/v1/tokens/new/p", json!({"access_token": "a"})).await.expect(StatusCode::CREATED);
        assert_eq!(census(&app, &tenant).await, [(1, 26), (2, 1)], "what is new goes under the newest");
        are_kept(&tenant, 25).await;
        let rewrapped = job(&app, "rewrap", json!({})).await;
        assert_eq!((&rewrapped["state"], &rewrapped["error"]), (&json!("done"), &Value::Null), "{rewrapped}");
        assert_eq!((&rewrapped["done"], &rewrapped["total"]), (&json!(26), &json!(26)));
        assert_eq!(census(&app, &tenant).await, [(2, 27)], "{on:?}: the old key is destroyed");
        assert_eq!(census(&app, &other).await, [(1, 4)], "there was nothing to be done");
        assert_eq!(census(&app, &idle).await, []);
        are_kept(&tenant, 25).await;
        are_kept(&other, 3).await;
        let again = job(&app, "rewrap", json!({})).await;
        assert_eq!((&again["done"], &again["total"]), (&json!(0), &json!(0)), "{again}");
        let all = job(&app, "rotate", json!({})).await;
        assert_eq!(all["done"], 2, "who has no data key gets none: {all}");
        assert_eq!(census(&app, &other).await, [(1, 4), (2, 0)]);
    }
}

#[tokio::test]
async fn the_census_is_of_every_tenant_a_page_at_a_time() {
    let app = App::with(On::Memory, &PATIENT);
    let mut tenants = Vec::new();
    for n in 0..5 {
        let tenant = app.tenant().await;
        keep(&tenant, n).await;
        tenants.push(tenant);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.admin().get(&format!("/admin/v1/vault?limit=2{cursor}")).await.expect(StatusCode::OK);
        let root_keys = page["root_keys"].as_array().unwrap();
        assert_eq!(root_keys.len(), 1);
        assert_eq!(
            (&root_keys[0]["current"], &root_keys[0]["held"], &root_keys[0]["data_keys"]),
            (&json!(true), &json!(true), &json!(5))
        );
        assert!(!page.to_string().contains(ROOT_KEY), "{page}");
        for item in page["items"].as_array().unwrap() {
            assert_eq!(item["data_keys"][0]["root_key"], root_keys[0]["id"]);
            seen.push((item["tenant"].as_str().unwrap().to_owned(), item["data_keys"][0]["records"].as_u64().unwrap()));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut expected: Vec<_> =
        tenants.iter().enumerate().map(|(n, tenant)| (tenant.id.clone(), n as u64 + 1)).collect();
    expected.sort();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_starts_nothing() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    for what in ["rotate", "rewrap"] {
        let path = format!("/admin/v1/vault/{what}");
        app.admin().post(&path, json!({"tenant": "nobody"})).await.refused(404, "tenant_not_found");
        for bad in [json!({"tenant": "NOT AN ID"}), json!({"tenants": []}), json!({"tenant": 7})] {
            app.admin().post(&path, bad).await.refused(422, "validation_failed");
        }
        tenant.post(&path, json!({})).await.refused(403, "insufficient_scope");
    }
    app.admin().get("/admin/v1/vault?tenant=nobody").await.refused(404, "tenant_not_found");
    app.admin().get("/admin/v1/vault?tenant=*").await.refused(400, "invalid_query");
    app.admin().get("/admin/v1/vault?cursor=x").await.refused(400, "invalid_cursor");
    assert_eq!(app.admin().get("/admin/v1/jobs").await.expect(StatusCode::OK)["items"], json!([]));
    let without = App::with(On::Native, &[("TOKEN_ENCRYPTION_KEY", "")]);
    without.admin().post("/admin/v1/vault/rewrap", json!({})).await.refused(503, "vault_not_configured");
    assert_eq!(without.admin().get("/admin/v1/vault").await.expect(StatusCode::OK)["root_keys"], json!([]));
}
