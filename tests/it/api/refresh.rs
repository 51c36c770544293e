//! Refresh tokens: each is good once, and its answer can be had again for a moment.

use super::{app_with, backend_of, create, path, peek, still, suite, text};
use crate::harness::app::{Answer, App, Caller};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

suite! {
    a_refresh_gives_the_session_a_new_id_and_a_new_token
    a_token_presented_again_at_once_gets_the_same_answer
    concurrent_presenters_get_one_answer
    a_token_presented_again_without_grace_ends_the_family
    a_tampered_token_revokes_nothing
    a_revoked_session_cannot_be_refreshed
    a_rotated_session_keeps_its_refresh_token
    a_session_without_a_refresh_token_has_none
}

async fn refresh(caller: &Caller, token: &Value) -> Answer {
    caller.post("/v1/sessions/refresh", json!({"refresh_token": token})).await
}

async fn a_refresh_gives_the_session_a_new_id_and_a_new_token(app: App) {
    let tenant = app.tenant().await;
    let body = json!({"user_id": "u1", "data": {"n": 1}, "metadata": {"m": 1}, "refresh": true});
    let made = create(&tenant, body).await;
    assert!(text(&made, "refresh_token").starts_with("rft_") && made["refresh_expires_at"].is_string(), "{made}");
    assert!(!tenant.get(&path(&made)).await.text.contains("rft_"), "it is shown once");
    let mut known = BTreeSet::from([text(&made, "id").to_owned(), text(&made, "refresh_token").to_owned()]);
    let mut last = made.clone();
    for _ in 0..3 {
        let answer = refresh(&tenant, &last["refresh_token"]).await;
        let next = answer.expect(StatusCode::OK);
        assert_eq!((answer.header("etag"), answer.header("cache-control")), ("\"1\"", "no-store"));
        for kept in ["user_id", "data", "metadata", "version", "created_at"] {
            assert_eq!(next[kept], made[kept], "{kept}");
        }
        assert!(known.insert(text(&next, "id").to_owned()) && known.insert(text(&next, "refresh_token").to_owned()));
        tenant.get(&path(&last)).await.refused(404, "session_not_found");
        assert_eq!(tenant.get(&peek(&next)).await.expect(StatusCode::OK)["data"], json!({"n": 1}));
        last = next;
    }
    let list = tenant.get("/v1/users/u1/sessions").await.expect(StatusCode::OK);
    let references: Vec<_> = list["items"].as_array().unwrap().iter().map(|session| &session["ref"]).collect();
    assert_eq!(references, [&last["ref"]], "it stays one session");
}

async fn a_token_presented_again_at_once_gets_the_same_answer(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "data": {"n": 1}, "refresh": true})).await;
    let first = refresh(&tenant, &made["refresh_token"]).await.expect(StatusCode::OK);
    for _ in 0..2 {
        let again = refresh(&tenant, &made["refresh_token"]).await;
        assert_eq!(still(again.expect(StatusCode::OK)), still(first.clone()));
        assert_eq!(again.header("etag"), "\"1\"");
    }
    let next = refresh(&tenant, &first["refresh_token"]).await.expect(StatusCode::OK);
    assert_ne!(next["id"], first["id"], "the token of the repeated answer is good");
}

async fn concurrent_presenters_get_one_answer(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    let answers = join_all((0..8).map(|_| refresh(&tenant, &made["refresh_token"]))).await;
    let answers: BTreeSet<_> = answers.iter().map(|answer| still(answer.expect(StatusCode::OK)).to_string()).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

async fn a_token_presented_again_without_grace_ends_the_family(app: App) {
    let app = app_with(backend_of(&app), &[("SESSION_REFRESH_GRACE", "0s")]);
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    let bystander = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    let first = refresh(&tenant, &made["refresh_token"]).await.expect(StatusCode::OK);
    let second = refresh(&tenant, &first["refresh_token"]).await.expect(StatusCode::OK);
    refresh(&tenant, &made["refresh_token"]).await.refused(401, "refresh_token_reused");
    for token in [&made, &first, &second] {
        refresh(&tenant, &token["refresh_token"]).await.refused(401, "refresh_token_invalid");
    }
    tenant.get(&path(&second)).await.refused(404, "session_not_found");
    refresh(&tenant, &bystander["refresh_token"]).await.expect(StatusCode::OK);
}

async fn a_tampered_token_revokes_nothing(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
    let (good, stranger) =
        (text(&made, "refresh_token"), create(&tenant, json!({"user_id": "u2", "refresh": true})).await);
    let mut bad: Vec<String> = (0..good.len())
        .step_by(7)
        .map(|at| {
            let mut bytes = good.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            String::from_utf8(bytes).unwrap()
        })
        .collect();
    bad.extend([
        String::new(),
        good[..good.len() - 1].to_owned(),
        format!("{good}x"),
        format!(" {good}"),
        good.to_uppercase(),
    ]);
    bad.extend([text(&made, "id").to_owned(), text(&made, "ref").to_owned(), "rft_".to_owned(), "\0\n*".to_owned()]);
    // The family of one token with the secret of another, and the checksum of neither.
    bad.push(format!("{}{}", &good[..49], &text(&stranger, "refresh_token")[49..]));
    for token in &bad {
        refresh(&tenant, &json!(token)).await.refused(401, "refresh_token_invalid");
    }
    assert_eq!(tenant.head(&path(&made)).await.status, StatusCode::OK);
    refresh(&tenant, &made["refresh_token"]).await.expect(StatusCode::OK);
}

async fn a_revoked_session_cannot_be_refreshed(app: App) {
    let tenant = app.tenant().await;
    for how in ["id", "ref", "all", "refreshed"] {
        let mut made = create(&tenant, json!({"user_id": "u1", "refresh": true})).await;
        let before = made.clone();
        if how == "refreshed" {
            made = refresh(&tenant, &made["refresh_token"]).await.expect(StatusCode::OK);
        }
        match how {
            "ref" => drop(
                tenant.delete(&format!("/v1/sessions/{}", text(&made, "ref"))).await.expect(StatusCode::NO_CONTENT),
            ),
            "all" => drop(tenant.delete("/v1/users/u1/sessions").await.expect(StatusCode::OK)),
            _ => drop(tenant.delete(&path(&made)).await.expect(StatusCode::NO_CONTENT)),
        }
        for token in [&before, &made] {
            refresh(&tenant, &token["refresh_token"]).await.refused(401, "refresh_token_invalid");
        }
        assert_eq!(tenant.get("/v1/sessions").await.expect(StatusCode::OK)["items"], json!([]), "{how}");
    }
}

async fn a_rotated_session_keeps_its_refresh_token(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "id": "mine", "data": {"n": 1}, "refresh": true})).await;
    let rotated = tenant.send(Method::POST, &format!("{}/rotate", path(&made)), None).await.expect(StatusCode::OK);
    let refreshed = refresh(&tenant, &made["refresh_token"]).await.expect(StatusCode::OK);
    assert_eq!(refreshed["data"], json!({"n": 1}));
    tenant.get(&path(&rotated)).await.refused(404, "session_not_found");
}

async fn a_session_without_a_refresh_token_has_none(app: App) {
    let tenant = app.tenant().await;
    for body in [json!({"user_id": "u1"}), json!({"user_id": "u1", "refresh": false})] {
        let made = create(&tenant, body).await;
        assert!(made.get("refresh_token").is_none() && made.get("refresh_expires_at").is_none(), "{made}");
    }
}
