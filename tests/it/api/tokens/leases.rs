//! Single flight for clients that refresh by themselves.

use super::{at, lease, put, read, token, with_lease};
use crate::api::suite;
use crate::harness::app::App;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

suite! {
    one_caller_at_a_time_is_granted_the_lease_with_the_token
    of_64_callers_over_two_instances_one_is_granted
    a_commit_replaces_the_token_and_ends_the_lease
    a_lease_is_lost_to_whoever_stores_or_deletes
    what_is_no_lease_commits_nothing
    a_key_that_may_not_read_gets_no_lease
}

async fn one_caller_at_a_time_is_granted_the_lease_with_the_token(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", token()).await;
    let granted = lease(&tenant, "u", "p").await;
    assert_eq!((&granted["granted"], &granted["fencing"]), (&json!(true), &json!(1)));
    assert_eq!(granted["token"], read(&tenant, "u", "p").await, "the token as it is read");
    let held = lease(&tenant, "u", "p").await;
    let wait = held["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1000).contains(&wait), "{held}");
    assert_eq!(held, json!({"granted": false, "retry_after_ms": wait}), "and nothing of the token");
}

async fn of_64_callers_over_two_instances_one_is_granted(app: App) {
    let shared = [("REDIS_KEY_PREFIX", "leases-of-two"), ("REQUEST_TIMEOUT", "30s"), ("REDIS_COMMAND_TIMEOUT", "10s")];
    let (one, other) = match (&app.redis, &app.rest) {
        (None, _) => (None, None),
        (Some(redis), None) => (Some(App::over(redis.clone(), &shared)), Some(App::over(redis.clone(), &shared))),
        (Some(redis), Some(rest)) => (
            Some(App::over_rest(redis.clone(), rest.clone(), &shared)),
            Some(App::over_rest(redis.clone(), rest.clone(), &shared)),
        ),
    };
    let (one, other) = (one.as_ref().unwrap_or(&app), other.as_ref().unwrap_or(&app));
    let tenant = one.tenant().await;
    let there = other.anyone().with("x-api-key", &tenant.secret);
    put(&tenant, "u", "p", token()).await;
    let path = format!("{}/lease", at("u", "p"));
    for fencing in 1..=3 {
        let asked =
            (0..64).map(|n| if n % 2 == 0 { tenant.post(&path, json!({})) } else { there.post(&path, json!({})) });
        let answers = join_all(asked).await;
        let granted: Vec<Value> = answers
            .iter()
            .map(|answer| answer.expect(StatusCode::OK))
            .filter(|answer| answer["granted"] == true)
            .collect();
        assert_eq!(granted.len(), 1);
        assert_eq!(granted[0]["fencing"], fencing, "grows with each");
        let commit = with_lease(&there, &granted[0]).put(&at("u", "p"), token()).await;
        commit.expect(StatusCode::OK);
    }
}

async fn a_commit_replaces_the_token_and_ends_the_lease(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", token()).await;
    let granted = lease(&tenant, "u", "p").await;
    let next = json!({"access_token": "next", "refresh_token": "next-refresh"});
    with_lease(&tenant, &granted).put(&at("u", "p"), next.clone()).await.expect(StatusCode::OK);
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "next");
    with_lease(&tenant, &granted).put(&at("u", "p"), token()).await.refused(409, "lease_lost");
    assert_eq!(read(&tenant, "u", "p").await["version"], 2);
    let again = lease(&tenant, "u", "p").await;
    assert_eq!((&again["granted"], &again["fencing"]), (&json!(true), &json!(2)));
}

async fn a_lease_is_lost_to_whoever_stores_or_deletes(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", token()).await;
    let granted = lease(&tenant, "u", "p").await;
    put(&tenant, "u", "p", json!({"access_token": "by hand", "refresh_token": "r"})).await;
    with_lease(&tenant, &granted).put(&at("u", "p"), token()).await.refused(409, "lease_lost");
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "by hand");
    let granted = lease(&tenant, "u", "p").await;
    assert_eq!(granted["fencing"], 2, "a number does not come again when the token was replaced");
    tenant.delete(&at("u", "p")).await.expect(StatusCode::NO_CONTENT);
    with_lease(&tenant, &granted).put(&at("u", "p"), token()).await.refused(409, "lease_lost");
    tenant.get(&at("u", "p")).await.refused(404, "token_not_found");
}

async fn what_is_no_lease_commits_nothing(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", token()).await;
    put(&tenant, "u", "q", token()).await;
    let foreign = lease(&tenant, "u", "q").await;
    let body = json!({"access_token": "x"});
    with_lease(&tenant, &foreign).put(&at("u", "p"), body.clone()).await.refused(409, "lease_lost");
    for made_up in ["x", "*", "null", &"A".repeat(43), &"x".repeat(4000)] {
        let answer = tenant.with("x-refresh-lease", made_up).put(&at("u", "p"), body.clone()).await;
        answer.refused(409, "lease_lost");
    }
    with_lease(&tenant, &foreign).put(&at("u", "none"), body.clone()).await.refused(409, "lease_lost");
    tenant.get(&at("u", "none")).await.refused(404, "token_not_found");
    assert_eq!(read(&tenant, "u", "p").await["version"], 1);
}

#[tokio::test]
async fn a_lease_past_its_time_still_commits_until_another_is_given() {
    let app = App::on(crate::harness::app::On::Memory);
    let tenant = app.tenant().await;
    put(&tenant, "u", "p", token()).await;
    let (first, late) = (lease(&tenant, "u", "p").await, json!({"access_token": "late", "refresh_token": "only copy"}));
    app.clock.advance(Duration::from_secs(31));
    with_lease(&tenant, &first).put(&at("u", "p"), late.clone()).await.expect(StatusCode::OK);
    let second = lease(&tenant, "u", "p").await;
    app.clock.advance(Duration::from_secs(29));
    assert_eq!(lease(&tenant, "u", "p").await["granted"], false);
    app.clock.advance(Duration::from_secs(2));
    let third = lease(&tenant, "u", "p").await;
    assert_eq!((&third["granted"], &third["fencing"]), (&json!(true), &json!(3)));
    with_lease(&tenant, &second).put(&at("u", "p"), late.clone()).await.refused(409, "lease_lost");
    with_lease(&tenant, &third).put(&at("u", "p"), late).await.expect(StatusCode::OK);
}

async fn a_key_that_may_not_read_gets_no_lease(app: App) {
    let writer = app.tenant_with(&["tokens:write"]).await;
    put(&writer, "u", "p", token()).await;
    let path = format!("{}/lease", at("u", "p"));
    let refused = writer.post(&path, json!({})).await;
    refused.refused(403, "insufficient_scope");
    assert!(!refused.text.contains("access"), "{}", refused.text);
    app.admin().with("x-tenant-id", &writer.id).post(&path, json!({})).await.expect(StatusCode::OK);
}
