//! Many sessions in one request.

use super::{create, path, peek, still, suite, text};
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    a_batch_reads_in_order_with_null_for_what_is_not_there
    a_batch_revokes_by_id_and_by_reference
    a_thousand_are_taken_and_one_more_changes_nothing
    a_batch_is_either_for_reading_or_for_revoking
}

async fn a_batch_reads_in_order_with_null_for_what_is_not_there(app: App) {
    let tenant = app.tenant().await;
    let one = create(&tenant, json!({"user_id": "u1", "data": {"n": 1}})).await;
    let two = create(&tenant, json!({"user_id": "u2", "id": "two/*", "data": {"n": 2}})).await;
    let ids = json!([two["id"], "nobody", one["id"], one["ref"], one["id"]]);
    let answer = tenant.post("/v1/sessions/batch", json!({"get": ids})).await.expect(StatusCode::OK);
    let items: Vec<Value> = answer["items"].as_array().unwrap().iter().cloned().map(still).collect();
    let (one, two) = (still(one), still(two));
    assert_eq!(items, [two, Value::Null, one.clone(), Value::Null, one]);
    let nothing = tenant.post("/v1/sessions/batch", json!({"get": []})).await.expect(StatusCode::OK);
    assert_eq!(nothing, json!({"items": []}));
}

async fn a_batch_revokes_by_id_and_by_reference(app: App) {
    let tenant = app.tenant().await;
    let mut made = Vec::new();
    for n in 0..4 {
        made.push(create(&tenant, json!({"user_id": format!("u{n}"), "refresh": true})).await);
    }
    let victims = json!([made[0]["id"], made[1]["ref"], "nobody", made[0]["id"], made[2]["id"]]);
    let answer = tenant.post("/v1/sessions/batch", json!({"delete": victims})).await.expect(StatusCode::OK);
    assert_eq!(answer, json!({"deleted": 3}), "each counts once");
    for gone in &made[..3] {
        tenant.get(&path(gone)).await.refused(404, "session_not_found");
        let token = json!({"refresh_token": gone["refresh_token"]});
        tenant.post("/v1/sessions/refresh", token).await.refused(401, "refresh_token_invalid");
    }
    assert_eq!(tenant.head(&path(&made[3])).await.status, StatusCode::OK);
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        tenant.post("/v1/sessions/batch", json!({"delete": []})).await.expect(StatusCode::OK),
        json!({"deleted": 0})
    );
}

async fn a_thousand_are_taken_and_one_more_changes_nothing(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let mut ids: Vec<String> = (0..999).map(|n| format!("nobody-{n}")).collect();
    ids.push(text(&made, "id").to_owned());
    let mut more = ids.clone();
    more.push("one-more".to_owned());
    for (member, ids) in [("get", &more), ("delete", &more)] {
        let problem = tenant.post("/v1/sessions/batch", json!({member: ids})).await.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{member}"));
    }
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(made.clone()));
    let read = tenant.post("/v1/sessions/batch", json!({"get": ids})).await.expect(StatusCode::OK);
    let items = read["items"].as_array().unwrap();
    assert_eq!((items.len(), items.iter().filter(|item| !item.is_null()).count()), (1000, 1));
    assert_eq!(items[999]["id"], made["id"]);
    let deleted = tenant.post("/v1/sessions/batch", json!({"delete": ids})).await.expect(StatusCode::OK);
    assert_eq!(deleted["deleted"], 1);
    tenant.get(&path(&made)).await.refused(404, "session_not_found");
}

async fn a_batch_is_either_for_reading_or_for_revoking(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    for body in [json!({"get": [made["id"]], "delete": [made["id"]]}), json!({}), json!({"get": null})] {
        tenant.post("/v1/sessions/batch", body).await.refused(422, "validation_failed");
    }
    assert_eq!(tenant.head(&path(&made)).await.status, StatusCode::OK);
}
