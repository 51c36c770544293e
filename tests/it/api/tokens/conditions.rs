//! Versions and conditions, and writers at one time.

use super::{at, provider_at, put, read, token};
use crate::api::suite;
use crate::harness::app::App;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

suite! {
    a_condition_that_does_not_hold_changes_nothing
    of_many_who_create_one_does
    writers_at_one_time_each_leave_a_whole_token
    a_provider_has_versions_too
}

async fn a_condition_that_does_not_hold_changes_nothing(app: App) {
    let tenant = app.tenant().await;
    let path = at("u", "p");
    tenant.with("if-match", "*").put(&path, token()).await.refused(412, "version_mismatch");
    tenant.get(&path).await.refused(404, "token_not_found");
    put(&tenant, "u", "p", token()).await;
    for (name, value) in
        [("if-none-match", "*"), ("if-match", "\"2\""), ("if-match", "W/\"1\""), ("if-none-match", "\"1\"")]
    {
        let other = json!({"access_token": "other"});
        tenant.with(name, value).put(&path, other).await.refused(412, "version_mismatch");
    }
    tenant.with("if-match", "\"2\"").delete(&path).await.refused(412, "version_mismatch");
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "access");
    let known = tenant.with("if-none-match", "\"1\"").get(&path).await;
    assert_eq!((known.status, known.header("etag"), &*known.text), (StatusCode::NOT_MODIFIED, "\"1\"", ""));
    tenant.with("if-match", "\"1\"").put(&path, json!({"access_token": "second"})).await.expect(StatusCode::OK);
    tenant.with("if-match", "\"2\"").delete(&path).await.expect(StatusCode::NO_CONTENT);
    tenant.with("if-match", "\"2\"").delete(&path).await.refused(404, "token_not_found");
}

async fn of_many_who_create_one_does(app: App) {
    let tenant = app.tenant().await;
    let create = tenant.with("if-none-match", "*");
    let path = at("u", "p");
    let answers = join_all((0..32).map(|n| create.put(&path, json!({"access_token": format!("a{n}")})))).await;
    let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    let refused = answers.iter().filter(|answer| answer.status == StatusCode::PRECONDITION_FAILED).count();
    assert_eq!((made, refused), (1, 31));
    assert_eq!(read(&tenant, "u", "p").await["version"], 1);
}

async fn writers_at_one_time_each_leave_a_whole_token(app: App) {
    let tenant = app.tenant().await;
    let path = at("u", "p");
    let body = |n: usize| json!({"access_token": format!("a{n}"), "refresh_token": format!("r{n}"), "scopes": [format!("s{n}")]});
    let answers = join_all((0..8).map(|n| tenant.put(&path, body(n)))).await;
    let written = answers.iter().filter(|answer| answer.status.is_success()).count();
    assert!(written >= 1 && answers.iter().all(|answer| answer.status.is_success() || answer.status == 409));
    let last = read(&tenant, "u", "p").await;
    let n: usize = last["access_token"].as_str().unwrap()[1..].parse().unwrap();
    assert_eq!((&last["refresh_token"], &last["scopes"]), (&body(n)["refresh_token"], &body(n)["scopes"]));
    assert_eq!(last["version"], written, "each write is one version");
}

async fn a_provider_has_versions_too(app: App) {
    let tenant = app.tenant().await;
    let (path, body) = (provider_at("p"), super::providers::provider());
    tenant.with("if-match", "*").put(&path, body.clone()).await.refused(412, "version_mismatch");
    tenant.with("if-none-match", "*").put(&path, body.clone()).await.expect(StatusCode::CREATED);
    tenant.with("if-none-match", "*").put(&path, body.clone()).await.refused(412, "version_mismatch");
    assert_eq!(tenant.put(&path, body).await.header("etag"), "\"2\"");
    let known = tenant.with("if-none-match", "\"2\"").get(&path).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    tenant.with("if-match", "\"1\"").delete(&path).await.refused(412, "version_mismatch");
    tenant.with("if-match", "\"2\"").delete(&path).await.expect(StatusCode::NO_CONTENT);
}
