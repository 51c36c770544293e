//! How many sessions a user may have, as the server or the tenant says.

use super::{app_with, backend_of, create, create_later, path, suite, tenant_like, text};
use crate::harness::app::{App, Caller};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    the_oldest_session_makes_room
    a_further_session_is_refused_where_the_policy_says_so
    the_limit_holds_for_sessions_under_chosen_ids
    a_tenants_own_limit_and_policy_win
    concurrent_creations_stay_within_the_limit
    a_tenants_own_lifetime_wins
}

async fn live(tenant: &Caller, user: &str) -> Vec<String> {
    let list = tenant.get(&format!("/v1/users/{user}/sessions")).await.expect(StatusCode::OK);
    list["items"].as_array().expect("items").iter().map(|session| text(session, "ref").to_owned()).collect()
}

fn references(sessions: &[Value]) -> Vec<String> {
    sessions.iter().rev().map(|session| text(session, "ref").to_owned()).collect()
}

async fn the_oldest_session_makes_room(app: App) {
    let app = app_with(backend_of(&app), &[("SESSION_MAX_PER_USER", "3")]);
    let tenant = app.tenant().await;
    let mut made = Vec::new();
    for _ in 0..6 {
        made.push(create_later(&app, &tenant, json!({"user_id": "u1", "refresh": true})).await);
    }
    assert_eq!(live(&tenant, "u1").await, references(&made[3..]));
    for evicted in &made[..3] {
        tenant.get(&path(evicted)).await.refused(404, "session_not_found");
        let token = json!({"refresh_token": evicted["refresh_token"]});
        tenant.post("/v1/sessions/refresh", token).await.refused(401, "refresh_token_invalid");
    }
    create(&tenant, json!({"user_id": "u2"})).await;
    assert_eq!(live(&tenant, "u1").await.len(), 3, "another user takes nobody's place");
    assert_eq!(tenant.get("/v1/sessions").await.expect(StatusCode::OK)["items"].as_array().unwrap().len(), 4);
}

async fn a_further_session_is_refused_where_the_policy_says_so(app: App) {
    let variables = [("SESSION_MAX_PER_USER", "2"), ("SESSION_LIMIT_POLICY", "reject")];
    let app = app_with(backend_of(&app), &variables);
    let tenant = app.tenant().await;
    let made =
        [create(&tenant, json!({"user_id": "u1"})).await, create_later(&app, &tenant, json!({"user_id": "u1"})).await];
    tenant.post("/v1/sessions", json!({"user_id": "u1"})).await.refused(409, "session_limit_reached");
    tenant.put("/v1/sessions/mine", json!({"user_id": "u1"})).await.refused(409, "session_limit_reached");
    let guest = create(&tenant, json!({"user_id": "guest"})).await;
    tenant.put(&path(&guest), json!({"user_id": "u1"})).await.refused(409, "session_limit_reached");
    assert_eq!((live(&tenant, "u1").await, live(&tenant, "guest").await.len()), (references(&made), 1));
    tenant.put(&path(&made[0]), json!({"user_id": "u1"})).await.expect(StatusCode::OK);
    tenant.delete(&path(&made[0])).await.expect(StatusCode::NO_CONTENT);
    create(&tenant, json!({"user_id": "u1"})).await;
}

async fn the_limit_holds_for_sessions_under_chosen_ids(app: App) {
    let app = app_with(backend_of(&app), &[("SESSION_MAX_PER_USER", "2")]);
    let tenant = app.tenant().await;
    let mut made = Vec::new();
    for n in 0..6 {
        let mut body = json!({"user_id": "u1"});
        if n % 2 == 0 {
            body["id"] = json!(format!("chosen-{n}"));
        }
        made.push(create_later(&app, &tenant, body).await);
    }
    app.clock.advance(std::time::Duration::from_millis(1));
    tenant.put("/v1/sessions/put", json!({"user_id": "u1"})).await.expect(StatusCode::CREATED);
    let left = live(&tenant, "u1").await;
    assert_eq!((left.len(), &left[1..]), (2, &references(&made[5..])[..]));
}

async fn a_tenants_own_limit_and_policy_win(app: App) {
    let app = app_with(backend_of(&app), &[("SESSION_MAX_PER_USER", "1")]);
    let limits = json!({"max_sessions_per_user": 2});
    let strict = tenant_like(&app, "strict", limits.clone(), json!({"session_limit_policy": "reject"})).await;
    let (one, two) =
        (create(&strict, json!({"user_id": "u1"})).await, create_later(&app, &strict, json!({"user_id": "u1"})).await);
    strict.post("/v1/sessions", json!({"user_id": "u1"})).await.refused(409, "session_limit_reached");
    assert_eq!(live(&strict, "u1").await, references(&[one, two]));

    let lenient = tenant_like(&app, "lenient", limits, json!({"session_limit_policy": "evict_oldest"})).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(create_later(&app, &lenient, json!({"user_id": "u1"})).await);
    }
    assert_eq!(live(&lenient, "u1").await, references(&made[1..]));

    let unlimited = tenant_like(&app, "unlimited", json!({"max_sessions_per_user": 0}), json!({})).await;
    for _ in 0..3 {
        create(&unlimited, json!({"user_id": "u1"})).await;
    }
    assert_eq!(live(&unlimited, "u1").await.len(), 3);
}

async fn concurrent_creations_stay_within_the_limit(app: App) {
    for (policy, created) in [("reject", 3), ("evict_oldest", 10)] {
        let variables = [("SESSION_MAX_PER_USER", "3"), ("SESSION_LIMIT_POLICY", policy)];
        let app = app_with(backend_of(&app), &variables);
        let tenant = app.tenant().await;
        let answers = join_all((0..10).map(|_| tenant.post("/v1/sessions", json!({"user_id": "u1"})))).await;
        let done = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
        assert_eq!(done, created, "{policy}");
        for refused in answers.iter().filter(|answer| answer.status != StatusCode::CREATED) {
            refused.refused(409, "session_limit_reached");
        }
        assert_eq!(live(&tenant, "u1").await.len(), 3, "{policy}");
    }
}

async fn a_tenants_own_lifetime_wins(app: App) {
    let tenant = tenant_like(&app, "brief", json!({}), json!({"session_ttl": "90s"})).await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    assert_eq!(made["ttl"], 90);
    assert_eq!(create(&tenant, json!({"user_id": "u1", "ttl": 30})).await["ttl"], 30);
    assert_eq!(create(&*app.tenant().await, json!({"user_id": "u1"})).await["ttl"], 3600);
}
