//! Merging changes in (RFC 7396), by one writer and by many.

use super::{create, path, peek, still, suite};
use crate::harness::app::App;
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

suite! {
    a_patch_merges_deeply_and_null_removes
    a_patch_leaves_what_it_does_not_name
    what_a_patch_does_not_touch_keeps_its_exact_text
    concurrent_writers_lose_nothing
    concurrent_conditional_writers_win_one_at_a_time
    patches_cannot_make_a_session_too_large
    nothing_nests_deeper_than_64_levels
}

async fn a_patch_merges_deeply_and_null_removes(app: App) {
    let tenant = app.tenant().await;
    let data = json!({"keep": 1, "gone": 2, "deep": {"keep": [1, 2], "gone": {"x": 1}}, "list": [1, 2, 3]});
    let made = create(&tenant, json!({"user_id": "u1", "data": data, "metadata": {"a": "b"}})).await;
    let patch = json!({
        "data": {"gone": null, "never": null, "deep": {"gone": null, "new": {"y": null}}, "list": [4], "keep": {"now": 1}},
        "metadata": {"a": "c", "d": "e"},
    });
    let answer = tenant.patch(&path(&made), patch).await;
    let patched = answer.expect(StatusCode::OK);
    assert_eq!(patched["data"], json!({"keep": {"now": 1}, "deep": {"keep": [1, 2], "new": {}}, "list": [4]}));
    assert_eq!(patched["metadata"], json!({"a": "c", "d": "e"}));
    assert_eq!((answer.header("etag"), &patched["version"], &patched["user_id"]), ("\"2\"", &json!(2), &json!("u1")));
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(patched));

    let cleared = tenant.patch(&path(&made), json!({"data": null})).await.expect(StatusCode::OK);
    assert_eq!((&cleared["data"], &cleared["metadata"]), (&json!({}), &json!({"a": "c", "d": "e"})));
}

async fn a_patch_leaves_what_it_does_not_name(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "data": {"n": 1}, "metadata": {"m": 1}, "ttl": 60})).await;
    let patched = tenant.patch(&path(&made), json!({})).await.expect(StatusCode::OK);
    for kept in ["data", "metadata", "user_id", "created_at", "id", "ref", "ttl"] {
        assert_eq!(patched[kept], made[kept], "{kept}");
    }
    let merge = tenant.with("content-type", "application/merge-patch+json");
    let patched = merge.patch(&path(&made), json!({"metadata": {"m": 2}})).await.expect(StatusCode::OK);
    assert_eq!((&patched["data"], &patched["metadata"]), (&json!({"n": 1}), &json!({"m": 2})));
}

async fn what_a_patch_does_not_touch_keeps_its_exact_text(app: App) {
    let tenant = app.tenant().await;
    let body = r#"{"user_id":"u1","data":{"big":123456789012345678901234567890,"e":1.50e+2,"s":"\u00e9\/"}}"#;
    let made = tenant.send(Method::POST, "/v1/sessions", Some(body.into())).await.expect(StatusCode::CREATED);
    let patch = r#"{"data":{"more":0.10,"deep":{"n":98765432109876543210}}}"#;
    let patched = tenant.send(Method::PATCH, &path(&made), Some(patch.into())).await;
    patched.expect(StatusCode::OK);
    let exact = r#""data":{"big":123456789012345678901234567890,"e":1.50e+2,"s":"\u00e9\/","more":0.10,"deep":{"n":98765432109876543210}}"#;
    assert!(patched.text.contains(exact), "{}", patched.text);
    assert!(tenant.get(&peek(&made)).await.text.contains(exact));
}

async fn concurrent_writers_lose_nothing(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1", "data": {"first": true}})).await;
    let path = path(&made);
    let writers = 20;
    let patches = (0..writers).map(|n| {
        let body = json!({"data": {format!("d{n}"): n}, "metadata": {format!("m{n}"): n}});
        let (tenant, path) = (&tenant, &path);
        // A writer that was overtaken too often is told so, and tries again as a client would.
        async move {
            loop {
                let answer = tenant.patch(path, body.clone()).await;
                if answer.status != StatusCode::CONFLICT {
                    return answer;
                }
                answer.refused(409, "edit_conflict");
            }
        }
    });
    let mut versions: Vec<_> = join_all(patches)
        .await
        .iter()
        .map(|patched| patched.expect(StatusCode::OK)["version"].as_u64().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=writers + 1).collect::<Vec<_>>(), "each write has a version of its own");
    let mut data: Map<String, Value> = (0..writers).map(|n| (format!("d{n}"), n.into())).collect();
    data.insert("first".to_owned(), true.into());
    let metadata: Map<String, Value> = (0..writers).map(|n| (format!("m{n}"), n.into())).collect();
    let after = tenant.get(&peek(&made)).await.expect(StatusCode::OK);
    assert_eq!((&after["data"], &after["metadata"]), (&Value::from(data), &Value::from(metadata)));
}

async fn concurrent_conditional_writers_win_one_at_a_time(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let only = tenant.with("if-match", "\"1\"");
    let path = path(&made);
    let answers = join_all((0..8).map(|n| only.patch(&path, json!({"data": {"winner": n}})))).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::OK).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    for lost in answers.iter().filter(|answer| answer.status != StatusCode::OK) {
        lost.refused(412, "version_mismatch");
    }
    assert_eq!(tenant.get(&peek(&made)).await.expect(StatusCode::OK)["data"], won[0].json()["data"]);
}

async fn patches_cannot_make_a_session_too_large(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let half = "x".repeat(600_000);
    let large = tenant.patch(&path(&made), json!({"data": {"a": half}})).await.expect(StatusCode::OK);
    tenant.patch(&path(&made), json!({"data": {"b": half}})).await.refused(422, "validation_failed");
    assert_eq!(still(tenant.get(&peek(&made)).await.expect(StatusCode::OK)), still(large));
    let smaller = tenant.patch(&path(&made), json!({"data": {"a": null, "b": 1}})).await.expect(StatusCode::OK);
    assert_eq!(smaller["data"], json!({"b": 1}));
}

async fn nothing_nests_deeper_than_64_levels(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u1"})).await;
    let own = path(&made);
    let requests = [(Method::POST, "/v1/sessions"), (Method::PUT, "/v1/sessions/put"), (Method::PATCH, own.as_str())];
    for (method, path) in requests {
        for member in ["data", "metadata"] {
            let body = |open: &str, close: &str, depth: usize| {
                let user = if method == Method::PATCH { "" } else { r#""user_id":"u1","# };
                let (open, close) = (open.repeat(depth), close.repeat(depth));
                Some(format!(r#"{{{user}"{member}":{{"a":{open}1{close}}}}}"#).into_bytes())
            };
            for (open, close) in [(r#"{"a":"#, "}"), ("[", "]")] {
                let fits = tenant.send(method.clone(), path, body(open, close, 63)).await;
                assert!(fits.status.is_success(), "{fits:?}");
                for depth in [64, 50_000] {
                    let deep = tenant.send(method.clone(), path, body(open, close, depth)).await;
                    let problem = deep.refused(422, "validation_failed");
                    assert_eq!(problem["errors"][0]["pointer"], format!("/{member}"), "{problem}");
                    assert_eq!(problem["errors"][0]["detail"], "nests too deep", "{problem}");
                }
            }
        }
    }
}
