//! Ending sessions: one, and all of a user at once.

use super::{create, path, segment, suite, text};
use crate::harness::app::App;
use futures_util::future::{join, join_all};
use reqwest::{Method, StatusCode};
use serde_json::json;

suite! {
    a_session_is_revoked_once
    a_reference_revokes_and_neither_reads_nor_writes
    all_sessions_of_a_user_end_together
    one_session_can_be_spared
    nothing_that_races_brings_a_session_back
}

async fn a_session_is_revoked_once(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let answer = tenant.delete(&path(&made)).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    tenant.delete(&path(&made)).await.refused(404, "session_not_found");
    tenant.patch(&path(&made), json!({"data": {"n": 1}})).await.refused(404, "session_not_found");
    let racing = create(&tenant, json!({"user_id": "u1"})).await;
    let racing = path(&racing);
    let answers = join_all((0..6).map(|_| tenant.delete(&racing))).await;
    let done = answers.iter().filter(|answer| answer.status == StatusCode::NO_CONTENT).count();
    assert_eq!(done, 1, "{answers:?}");
}

async fn a_reference_revokes_and_neither_reads_nor_writes(app: App) {
    let tenant = app.tenant().await;
    for body in [json!({"user_id": "u1"}), json!({"user_id": "u1", "id": "mine"})] {
        let made = create(&tenant, body).await;
        let reference = format!("/v1/sessions/{}", text(&made, "ref"));
        assert!(text(&made, "ref").starts_with("sref_"));
        tenant.get(&reference).await.refused(404, "session_not_found");
        assert_eq!(tenant.head(&reference).await.status, StatusCode::NOT_FOUND);
        tenant.patch(&reference, json!({"data": {"n": 1}})).await.refused(404, "session_not_found");
        tenant.put(&reference, json!({"user_id": "u1"})).await.refused(400, "invalid_name");
        tenant.post(&format!("{reference}/extend"), json!({"ttl": 1})).await.refused(404, "session_not_found");
        tenant.post(&format!("{reference}/rotate"), json!({})).await.refused(404, "session_not_found");
        assert_eq!(tenant.get(&path(&made)).await.expect(StatusCode::OK)["version"], 1);
        tenant.delete(&reference).await.expect(StatusCode::NO_CONTENT);
        tenant.get(&path(&made)).await.refused(404, "session_not_found");
        tenant.delete(&reference).await.refused(404, "session_not_found");
    }
}

async fn all_sessions_of_a_user_end_together(app: App) {
    let tenant = app.tenant().await;
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(create(&tenant, json!({"user_id": "u1", "refresh": n % 2 == 0})).await);
        made.push(create(&tenant, json!({"user_id": "u1", "id": format!("chosen-{n}")})).await);
    }
    let other = create(&tenant, json!({"user_id": "u2"})).await;
    assert_eq!(tenant.delete("/v1/users/u1/sessions").await.expect(StatusCode::OK), json!({"revoked": 10}));
    for session in &made {
        tenant.get(&path(session)).await.refused(404, "session_not_found");
    }
    assert_eq!(tenant.get("/v1/users/u1/sessions").await.expect(StatusCode::OK)["items"], json!([]));
    assert_eq!(tenant.head(&path(&other)).await.status, StatusCode::OK);
    assert_eq!(tenant.delete("/v1/users/u1/sessions").await.expect(StatusCode::OK), json!({"revoked": 0}));
    assert_eq!(tenant.delete("/v1/users/nobody/sessions").await.expect(StatusCode::OK), json!({"revoked": 0}));
}

async fn one_session_can_be_spared(app: App) {
    let tenant = app.tenant().await;
    for (id, known_by) in [(None, "id"), (Some("mine/*"), "id"), (None, "ref"), (Some("mine/*"), "ref")] {
        let mut body = json!({"user_id": "u1", "refresh": true});
        if let Some(id) = id {
            body["id"] = json!(id);
        }
        let spared = create(&tenant, body).await;
        create(&tenant, json!({"user_id": "u1"})).await;
        create(&tenant, json!({"user_id": "u1", "id": "chosen"})).await;
        let others = format!("/v1/users/u1/sessions?except={}", segment(text(&spared, known_by)));
        assert_eq!(tenant.delete(&others).await.expect(StatusCode::OK), json!({"revoked": 2}));
        assert_eq!(tenant.delete(&others).await.expect(StatusCode::OK), json!({"revoked": 0}));
        let list = tenant.get("/v1/users/u1/sessions").await.expect(StatusCode::OK);
        assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["ref"]), (1, &spared["ref"]));
        let refreshed = tenant.post("/v1/sessions/refresh", json!({"refresh_token": spared["refresh_token"]})).await;
        tenant.delete(&path(&refreshed.expect(StatusCode::OK))).await.expect(StatusCode::NO_CONTENT);
    }
}

async fn nothing_that_races_brings_a_session_back(app: App) {
    let tenant = app.tenant().await;
    for _ in 0..3 {
        let mut made = Vec::new();
        for n in 0..9 {
            let mut body = json!({"user_id": "u1", "refresh": n % 3 == 0});
            if n % 2 == 0 {
                body["id"] = json!(format!("chosen-{n}"));
            }
            made.push(create(&tenant, body).await);
        }
        let uses = made.iter().enumerate().map(|(n, session)| {
            let tenant = &tenant;
            async move {
                match n % 3 {
                    0 => tenant.post("/v1/sessions/refresh", json!({"refresh_token": session["refresh_token"]})).await,
                    1 => tenant.send(Method::POST, &format!("{}/rotate", path(session)), None).await,
                    _ => tenant.post(&format!("{}/extend", path(session)), json!({"ttl": "2h"})).await,
                }
            }
        });
        let (used, revoked) = join(join_all(uses), tenant.delete("/v1/users/u1/sessions")).await;
        revoked.expect(StatusCode::OK);
        for session in
            used.iter().filter(|answer| answer.status == StatusCode::OK).map(|answer| answer.json()).chain(made)
        {
            tenant.get(&path(&session)).await.refused(404, "session_not_found");
        }
        assert_eq!(tenant.get("/v1/users/u1/sessions").await.expect(StatusCode::OK)["items"], json!([]));
    }
}
