//! Lists of breakers, a page at a time.

use super::{acquire, configure, fail, force, names, read};
use crate::api::{suite, text};
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    pages_of_any_size_make_the_whole_list_in_the_order_of_names
    a_list_shows_each_breaker_as_it_is
    a_cursor_belongs_to_its_tenant
}

async fn pages_of_any_size_make_the_whole_list_in_the_order_of_names(app: App) {
    let tenant = app.tenant().await;
    let mut made: Vec<String> = (0..20).map(|n| format!("b{n}")).collect();
    made.extend(["A", "~", "é", "", " ", ":", "b", "🦀"].map(|text| format!("{text}x")));
    for name in &made {
        configure(&tenant, name, json!({})).await;
    }
    made.sort();
    for limit in [1, 3, 27, 28, 29, 1000] {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = tenant.get(&format!("/v1/breakers?limit={limit}{cursor}")).await.expect(StatusCode::OK);
            let found = names(&page);
            assert!(found.len() <= limit, "{page}");
            all.extend(found.into_iter().map(str::to_owned));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(all, made, "{limit}");
    }
}

async fn a_list_shows_each_breaker_as_it_is(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "configured", json!({"timeout": "1h", "failure_threshold": 1})).await;
    fail(&tenant, "open", 5).await;
    fail(&tenant, "failing", 1).await;
    force(&tenant, "forced", json!({"state": "disabled", "reason": "a test"})).await;
    acquire(&tenant, "asked").await;
    let list = tenant.get("/v1/breakers").await.expect(StatusCode::OK);
    assert_eq!(names(&list), ["configured", "failing", "forced", "open"], "one that is not stored is not listed");
    for item in list["items"].as_array().unwrap() {
        let (mut item, mut alone) = (item.clone(), read(&tenant, text(item, "name")).await);
        let left = |breaker: &mut Value| breaker.as_object_mut().unwrap().remove("retry_after_ms").is_some();
        assert_eq!((left(&mut item), left(&mut alone)), (item["state"] == "open", item["state"] == "open"));
        assert_eq!(item, alone);
    }
    tenant.delete("/v1/breakers/failing").await.expect(StatusCode::NO_CONTENT);
    let list = tenant.get("/v1/breakers").await.expect(StatusCode::OK);
    assert_eq!(names(&list), ["configured", "forced", "open"]);
}

async fn a_cursor_belongs_to_its_tenant(app: App) {
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    for name in ["a", "b"] {
        configure(&tenant, name, json!({})).await;
        configure(&other, name, json!({})).await;
    }
    let page = tenant.get("/v1/breakers?limit=1").await.expect(StatusCode::OK);
    let cursor = text(&page, "next_cursor");
    assert_eq!(names(&tenant.get(&format!("/v1/breakers?cursor={cursor}")).await.expect(StatusCode::OK)), ["b"]);
    other.get(&format!("/v1/breakers?cursor={cursor}")).await.refused(400, "invalid_cursor");
    for bad in ["x", "", "AAAA", "%00", "*"] {
        let problem = tenant.get(&format!("/v1/breakers?cursor={bad}")).await.refused(400, "invalid_cursor");
        assert_eq!(problem["errors"][0]["pointer"], "cursor");
    }
    for bad in ["limit=0", "limit=1001", "limit=x", "other=1", "limit=1&limit=1"] {
        tenant.get(&format!("/v1/breakers?{bad}")).await.refused(400, "invalid_query");
    }
}
