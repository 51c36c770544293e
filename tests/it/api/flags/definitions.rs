//! Definitions: put, read, listed, deleted, and what conditions on their versions do.

use super::{colour, everything, for_plan, put, switch};
use crate::api::suite;
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::json;

suite! {
    a_flag_is_read_back_as_it_was_put
    a_flag_has_the_version_in_which_it_changed_last
    what_is_so_already_makes_no_version
    conditions_on_a_flag_are_about_that_flag
    conditions_on_the_set_are_about_the_set
    a_set_replaces_all_that_was_there
    flags_are_listed_by_key_a_page_at_a_time
    a_deleted_flag_is_gone
    names_may_hold_anything
    many_writers_of_different_flags_lose_nothing
    numbers_stay_as_they_were_written
}

async fn a_flag_is_read_back_as_it_was_put(app: App) {
    let tenant = app.tenant().await;
    let flag = json!({
        "state": "DISABLED", "variants": {"a": {"x": [1, 2.5, null]}, "b": {}}, "defaultVariant": null,
        "targeting": {"if": [{"$ref": "paid"}, "a"]}, "metadata": {"team": "core", "level": 3, "old": false},
    });
    tenant.put("/v1/flags/f", flag.clone()).await.refused(422, "validation_failed");
    let set =
        json!({"flags": {}, "$evaluators": {"paid": {"==": [{"var": "plan"}, "paid"]}}, "metadata": {"owner": "us"}});
    tenant.put("/v1/flagset", set).await.expect(StatusCode::CREATED);
    let made = tenant.put("/v1/flags/f", flag.clone()).await;
    let body = made.expect(StatusCode::CREATED);
    assert_eq!((made.header("location"), made.header("etag")), ("/v1/flags/f", "\"2\""));
    assert_eq!((&body["version"], &body["changes"]), (&json!(2), &json!([{"key": "f", "change": "added"}])));
    let read = tenant.get("/v1/flags/f").await;
    assert_eq!((read.expect(StatusCode::OK), read.header("etag")), (flag.clone(), "\"2\""));
    let (set, tag) = everything(&tenant).await;
    assert_eq!((&set["flags"]["f"], &set["metadata"], &*tag), (&flag, &json!({"owner": "us"}), "\"2\""));
    tenant.put("/v1/flagset", set).await.expect(StatusCode::OK);
    assert_eq!(everything(&tenant).await.1, "\"2\"", "what is read can be put again");
}

async fn a_flag_has_the_version_in_which_it_changed_last(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "a", switch()).await;
    put(&tenant, "b", switch()).await;
    let changed = tenant.put("/v1/flags/a", for_plan("pro")).await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"3\""));
    for (key, version) in [("a", "\"3\""), ("b", "\"2\"")] {
        let path = format!("/v1/flags/{key}");
        assert_eq!(tenant.get(&path).await.header("etag"), version);
        let known = tenant.with("if-none-match", version).get(&path).await;
        assert_eq!((known.status, known.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    }
    let list = tenant.get("/v1/flags").await.expect(StatusCode::OK);
    assert_eq!((&list["items"][0]["version"], &list["items"][1]["version"]), (&json!(3), &json!(2)));
    assert_eq!(tenant.with("if-none-match", "\"3\"").get("/v1/flagset").await.status, StatusCode::NOT_MODIFIED);
}

async fn what_is_so_already_makes_no_version(app: App) {
    let tenant = app.tenant().await;
    let first = put(&tenant, "a", switch()).await;
    let again = tenant.put("/v1/flags/a", switch()).await;
    let body = again.expect(StatusCode::OK);
    assert_eq!((&body["version"], &body["changes"], again.header("etag")), (&json!(1), &json!([]), "\"1\""));
    assert_eq!(body["updated_at"], first["updated_at"]);
    let same = json!({"flags": {"a": switch()}});
    assert_eq!(tenant.put("/v1/flagset", same).await.expect(StatusCode::OK)["version"], 1);
    let versions = tenant.get("/v1/flagset/versions").await.expect(StatusCode::OK);
    assert_eq!(versions["items"].as_array().unwrap().len(), 1);
}

async fn conditions_on_a_flag_are_about_that_flag(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "a", switch()).await;
    put(&tenant, "b", switch()).await;
    let before = everything(&tenant).await;
    for (header, value, path) in [
        ("if-match", "\"2\"", "/v1/flags/a"),
        ("if-match", "*", "/v1/flags/c"),
        ("if-none-match", "*", "/v1/flags/a"),
        ("if-none-match", "\"1\"", "/v1/flags/a"),
    ] {
        tenant.with(header, value).put(path, for_plan("pro")).await.refused(412, "version_mismatch");
    }
    tenant.with("if-match", "\"2\"").delete("/v1/flags/a").await.refused(412, "version_mismatch");
    assert_eq!(everything(&tenant).await, before);
    tenant.with("if-match", "\"1\"").put("/v1/flags/a", for_plan("pro")).await.expect(StatusCode::OK);
    tenant.with("if-none-match", "*").put("/v1/flags/c", switch()).await.expect(StatusCode::CREATED);
    tenant.with("if-match", "\"3\"").delete("/v1/flags/a").await.expect(StatusCode::NO_CONTENT);
}

async fn conditions_on_the_set_are_about_the_set(app: App) {
    let tenant = app.tenant().await;
    let set = |key: &str| json!({"flags": {key: switch()}});
    tenant.with("if-match", "*").put("/v1/flagset", set("a")).await.refused(412, "version_mismatch");
    assert_eq!(everything(&tenant).await, (json!({"flags": {}}), "\"0\"".to_owned()));
    tenant.with("if-none-match", "*").put("/v1/flagset", set("a")).await.expect(StatusCode::CREATED);
    tenant.with("if-none-match", "*").put("/v1/flagset", set("b")).await.refused(412, "version_mismatch");
    put(&tenant, "b", switch()).await;
    tenant.with("if-match", "\"1\"").put("/v1/flagset", set("c")).await.refused(412, "version_mismatch");
    let other = tenant.with("if-match", "\"1\"").post("/v1/flagset/versions/1/restore", json!({})).await;
    other.refused(412, "version_mismatch");
    assert_eq!(everything(&tenant).await.1, "\"2\"");
    tenant.with("if-match", "\"2\"").put("/v1/flagset", set("c")).await.expect(StatusCode::OK);
}

async fn a_set_replaces_all_that_was_there(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "kept", switch()).await;
    put(&tenant, "gone", switch()).await;
    put(&tenant, "other", switch()).await;
    let set = json!({"flags": {"kept": switch(), "other": colour(), "new": switch()}});
    let body = tenant.put("/v1/flagset", set.clone()).await.expect(StatusCode::OK);
    let change = |key: &str, change: &str| json!({"key": key, "change": change});
    assert_eq!(body["changes"], json!([change("gone", "removed"), change("new", "added"), change("other", "changed")]));
    assert_eq!(everything(&tenant).await, (set, "\"4\"".to_owned()));
    assert_eq!(tenant.get("/v1/flags/kept").await.header("etag"), "\"1\"");
}

async fn flags_are_listed_by_key_a_page_at_a_time(app: App) {
    let tenant = app.tenant().await;
    let keys = ["B", "a", "a/b", "b", "ä"];
    let flags: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), switch())).collect();
    tenant.put("/v1/flagset", json!({"flags": flags})).await.expect(StatusCode::CREATED);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = tenant.get(&format!("/v1/flags?limit=2{cursor}")).await.expect(StatusCode::OK);
        for item in page["items"].as_array().unwrap() {
            assert_eq!(item["definition"], switch());
            seen.push(item["key"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, keys);
    tenant.get("/v1/flags?cursor=x").await.refused(400, "invalid_cursor");
}

async fn a_deleted_flag_is_gone(app: App) {
    let tenant = app.tenant().await;
    put(&tenant, "a", switch()).await;
    tenant.delete("/v1/flags/a").await.expect(StatusCode::NO_CONTENT);
    tenant.get("/v1/flags/a").await.refused(404, "flag_not_found");
    tenant.delete("/v1/flags/a").await.refused(404, "flag_not_found");
    tenant.post("/ofrep/v1/evaluate/flags/a", json!({})).await.refused(404, "flag_not_found");
    assert_eq!(everything(&tenant).await, (json!({"flags": {}}), "\"2\"".to_owned()));
    put(&tenant, "a", switch()).await;
    assert_eq!(tenant.get("/v1/flags/a").await.header("etag"), "\"3\"", "no version comes twice");
}

async fn names_may_hold_anything(app: App) {
    let tenant = app.tenant().await;
    for key in ["a/b", "a b", "é", "*", "%2F", "~0/~1", "$flagd", "explain", "}{"] {
        put(&tenant, key, switch()).await;
        let path = format!("/v1/flags/{}", crate::api::segment(key));
        assert_eq!(tenant.get(&path).await.expect(StatusCode::OK), switch(), "{key}");
        let answer = super::evaluate(&tenant, key, json!({})).await;
        assert_eq!((&answer["key"], &answer["value"]), (&json!(key), &json!(true)));
    }
}

async fn many_writers_of_different_flags_lose_nothing(app: App) {
    let tenant = app.tenant().await;
    let writes = (0..8).map(|n| {
        let tenant = (*tenant).clone();
        async move { tenant.put(&format!("/v1/flags/f{n}"), switch()).await.expect(StatusCode::CREATED) }
    });
    futures_util::future::join_all(writes).await;
    let (set, tag) = everything(&tenant).await;
    assert_eq!((set["flags"].as_object().unwrap().len(), &*tag), (8, "\"8\""));
    let versions = tenant.get("/v1/flagset/versions").await.expect(StatusCode::OK);
    assert_eq!(versions["items"].as_array().unwrap().len(), 8);
}

async fn numbers_stay_as_they_were_written(app: App) {
    let tenant = app.tenant().await;
    let text = r#"{"state":"ENABLED","variants":{"a":1.0,"b":2},"defaultVariant":"b"}"#;
    let put = tenant.send(reqwest::Method::PUT, "/v1/flags/n", Some(text.as_bytes().to_vec())).await;
    put.expect(StatusCode::CREATED);
    let read = tenant.get("/v1/flags/n").await.text;
    assert!(read.contains("\"a\":1.0") && read.contains("\"b\":2}"), "{read}");
    let answer = tenant.post("/ofrep/v1/evaluate/flags/n", json!({})).await.text;
    assert!(answer.contains("\"value\":2.0,"), "a flag of numbers with fractions has none without: {answer}");
}
