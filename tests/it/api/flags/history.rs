//! The versions of a set: who, when, what changed, and the way back.

use super::{everything, for_plan, put, switch};
use crate::api::{millis, suite};
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    a_version_says_who_changed_what
    every_version_can_be_read_as_it_was
    an_earlier_version_can_be_restored
    what_is_older_than_fifty_versions_is_forgotten
    versions_are_listed_a_page_at_a_time
}

async fn versions(caller: &crate::harness::app::Caller) -> Vec<Value> {
    let page = caller.get("/v1/flagset/versions").await.expect(StatusCode::OK);
    assert_eq!(page["next_cursor"], Value::Null);
    page["items"].as_array().unwrap().clone()
}

async fn a_version_says_who_changed_what(app: App) {
    let tenant = app.tenant().await;
    let made = put(&tenant, "a", switch()).await;
    let admin = app.admin().with("x-tenant-id", &tenant.id);
    admin.put("/v1/flags/a", for_plan("pro")).await.expect(StatusCode::OK);
    let set = json!({"flags": {"b": switch()}, "metadata": {"m": 1}});
    tenant.put("/v1/flagset", set).await.expect(StatusCode::OK);
    tenant.delete("/v1/flags/b").await.expect(StatusCode::NO_CONTENT);
    let items = versions(&tenant).await;
    let shown = |version: u64| {
        let item = &items[items.len() - version as usize];
        assert_eq!(item["version"], version);
        [&item["created_by"], &item["action"], &item["changes"], &item["other_changes"]].map(Value::clone)
    };
    let change = |key: &str, change: &str| json!({"key": key, "change": change});
    let key = json!(tenant.key_id);
    assert_eq!(shown(1), [key.clone(), json!("put_flag"), json!([change("a", "added")]), json!(false)]);
    assert_eq!(shown(2), [json!("admin"), json!("put_flag"), json!([change("a", "changed")]), json!(false)]);
    let both = json!([change("a", "removed"), change("b", "added")]);
    assert_eq!(shown(3), [key.clone(), json!("put_flagset"), both, json!(true)]);
    assert_eq!(shown(4), [key, json!("delete_flag"), json!([change("b", "removed")]), json!(false)]);
    assert_eq!(millis(&items[3], "created_at"), millis(&made, "updated_at"));
}

async fn every_version_can_be_read_as_it_was(app: App) {
    let tenant = app.tenant().await;
    let mut known = Vec::new();
    let sets = [
        json!({"flags": {"a": switch()}}),
        json!({"flags": {"a": for_plan("pro"), "a/b~": switch()}, "metadata": {"m": 1}}),
        json!({"flags": {"a/b~": switch()}, "$evaluators": {"e": {"==": [1, 1]}}, "metadata": {"m": 2}}),
        json!({"flags": {}}),
        json!({"flags": {"a": switch()}, "metadata": {"m": 2}}),
    ];
    for set in sets {
        tenant.put("/v1/flagset", set.clone()).await;
        known.push(set);
    }
    for (index, set) in known.iter().enumerate() {
        let version = index + 1;
        let read = tenant.get(&format!("/v1/flagset/versions/{version}")).await;
        assert_eq!((read.expect(StatusCode::OK), read.header("etag")), (set.clone(), &*format!("\"{version}\"")));
    }
    for unknown in ["0", "6", "x", "-1", "+1", "01", "1.0", "18446744073709551615", "99999999999999999999"] {
        let path = format!("/v1/flagset/versions/{unknown}");
        tenant.get(&path).await.refused(404, "flagset_version_not_found");
        tenant.post(&format!("{path}/restore"), json!({})).await.refused(404, "flagset_version_not_found");
    }
    assert_eq!(everything(&tenant).await.1, "\"5\"");
}

async fn an_earlier_version_can_be_restored(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "a", switch()).await;
    put(&tenant, "b", switch()).await;
    tenant.put("/v1/flags/a", for_plan("pro")).await.expect(StatusCode::OK);
    tenant.delete("/v1/flags/b").await.expect(StatusCode::NO_CONTENT);
    let restored = tenant.post("/v1/flagset/versions/2/restore", json!({})).await;
    assert_eq!((restored.expect(StatusCode::OK)["version"].as_u64(), restored.header("etag")), (Some(5), "\"5\""));
    assert_eq!(everything(&tenant).await.0, json!({"flags": {"a": switch(), "b": switch()}}));
    let last = versions(&tenant).await.remove(0);
    assert_eq!((&last["action"], &last["restored"]), (&json!("restore"), &json!(2)));
    let again = tenant.post("/v1/flagset/versions/5/restore", json!({})).await.expect(StatusCode::OK);
    assert_eq!((&again["version"], &again["changes"]), (&json!(5), &json!([])));
    tenant.post("/v1/flagset/versions/4/restore", json!({})).await.expect(StatusCode::OK);
    assert_eq!(everything(&tenant).await.0, json!({"flags": {"a": for_plan("pro")}}));
}

async fn what_is_older_than_fifty_versions_is_forgotten(app: App) {
    let tenant = app.tenant().await;
    for version in 1..=53 {
        let flag = for_plan(&version.to_string());
        assert!(tenant.put("/v1/flags/a", flag).await.status.is_success());
    }
    let items = versions(&tenant).await;
    let numbers: Vec<u64> = items.iter().map(|item| item["version"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (4..=53).rev().collect::<Vec<_>>());
    for version in [3, 4, 30, 53] {
        let read = tenant.get(&format!("/v1/flagset/versions/{version}")).await.expect(StatusCode::OK);
        assert_eq!(read["flags"]["a"], for_plan(&version.to_string()));
    }
    tenant.get("/v1/flagset/versions/2").await.refused(404, "flagset_version_not_found");
}

async fn versions_are_listed_a_page_at_a_time(app: App) {
    let tenant = app.tenant().await;
    assert!(versions(&tenant).await.is_empty());
    for key in ["a", "b", "c", "d", "e"] {
        put(&tenant, key, switch()).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.get(&format!("/v1/flagset/versions?limit=2{cursor}")).await.expect(StatusCode::OK);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["version"].as_u64().unwrap()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    tenant.get("/v1/flagset/versions?cursor=x").await.refused(400, "invalid_cursor");
}
