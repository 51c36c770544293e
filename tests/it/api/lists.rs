//! Lists: exact, newest first, in pages that neither repeat nor skip.

use super::{create, create_later, path, suite, text};
use crate::harness::app::{App, Caller};
use reqwest::StatusCode;
use serde_json::{Value, json};

suite! {
    a_list_is_exact_and_newest_first_without_ids_and_data
    pages_of_any_size_make_the_whole_list
    a_list_that_changes_under_the_reader_stays_without_repeats
    a_users_list_has_that_users_sessions
    a_cursor_belongs_to_its_list_and_its_tenant
    what_changes_in_a_session_shows_in_its_list
}

/// Creates sessions of a few users, some under ids of the client's choice; their references, newest first.
async fn populate(app: &App, tenant: &Caller, count: usize) -> Vec<String> {
    let mut references = Vec::new();
    for n in 0..count {
        let mut body = json!({"user_id": format!("u{}", n % 3), "data": {"secret": n}, "metadata": {"n": n}});
        if n % 4 == 0 {
            body["id"] = json!(format!("chosen-{n}"));
        }
        references.insert(0, text(&create_later(app, tenant, body).await, "ref").to_owned());
    }
    references
}

fn references(page: &Value) -> Vec<String> {
    page["items"].as_array().expect("items").iter().map(|session| text(session, "ref").to_owned()).collect()
}

/// The whole list, page by page.
async fn pages(tenant: &Caller, list: &str, limit: usize) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..100 {
        let page = tenant.get(&format!("{list}?limit={limit}{cursor}")).await.expect(StatusCode::OK);
        let found = references(&page);
        assert!(found.len() <= limit, "{page}");
        all.extend(found);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
    panic!("{list} goes on for ever");
}

async fn a_list_is_exact_and_newest_first_without_ids_and_data(app: App) {
    let tenant = app.tenant().await;
    let empty = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(empty, json!({"items": [], "next_cursor": null}));
    let made = populate(&app, &tenant, 9).await;
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(references(&list), made);
    assert_eq!(list["next_cursor"], Value::Null);
    for (place, item) in list["items"].as_array().unwrap().iter().enumerate() {
        let mut members: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        let documented = [
            "absolute_expires_at",
            "created_at",
            "expires_at",
            "last_activity",
            "metadata",
            "ref",
            "ttl",
            "user_id",
            "version",
        ];
        assert_eq!(members, documented);
        assert_eq!(item["metadata"], json!({"n": 8 - place}));
    }
}

async fn pages_of_any_size_make_the_whole_list(app: App) {
    let tenant = app.tenant().await;
    let made = populate(&app, &tenant, 23).await;
    for limit in [1, 2, 7, 22, 23, 24, 1000] {
        assert_eq!(pages(&tenant, "/v1/sessions", limit).await, made, "{limit}");
    }
    let of_user: Vec<_> = made.iter().rev().step_by(3).rev().cloned().collect();
    for limit in [1, 3, 7, 8, 9, 1000] {
        assert_eq!(pages(&tenant, "/v1/users/u0/sessions", limit).await, of_user, "{limit}");
    }
}

async fn a_list_that_changes_under_the_reader_stays_without_repeats(app: App) {
    let tenant = app.tenant().await;
    populate(&app, &tenant, 10).await;
    for list in ["/v1/sessions", "/v1/users/u0/sessions"] {
        let all = pages(&tenant, list, 1000).await;
        let first = tenant.get(&format!("{list}?limit=2")).await.expect(StatusCode::OK);
        assert_eq!(references(&first), all[..2]);
        // What was given out already ends, and something newer comes: neither moves the rest of the list.
        tenant.delete(&format!("/v1/sessions/{}", all[0])).await.expect(StatusCode::NO_CONTENT);
        tenant.delete(&format!("/v1/sessions/{}", all[1])).await.expect(StatusCode::NO_CONTENT);
        create_later(&app, &tenant, json!({"user_id": "u0"})).await;
        let cursor = text(&first, "next_cursor");
        let rest = tenant.get(&format!("{list}?cursor={cursor}")).await.expect(StatusCode::OK);
        assert_eq!(references(&rest), all[2..]);
        assert_eq!(rest["next_cursor"], Value::Null);
    }
}

async fn a_users_list_has_that_users_sessions(app: App) {
    let tenant = app.tenant().await;
    let made = populate(&app, &tenant, 7).await;
    for (user, place) in [("u0", 0), ("u1", 1), ("u2", 2)] {
        let list = tenant.get(&format!("/v1/users/{user}/sessions")).await.expect(StatusCode::OK);
        let expected: Vec<_> = made.iter().rev().skip(place).step_by(3).rev().cloned().collect();
        assert_eq!(references(&list), expected);
        assert!(
            list["items"]
                .as_array()
                .unwrap()
                .iter()
                .all(|session| session["user_id"] == user && session.get("id").is_none())
        );
    }
    let nobody = tenant.get("/v1/users/nobody/sessions").await.expect(StatusCode::OK);
    assert_eq!(nobody, json!({"items": [], "next_cursor": null}));
}

async fn a_cursor_belongs_to_its_list_and_its_tenant(app: App) {
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    populate(&app, &tenant, 6).await;
    populate(&app, &other, 6).await;
    let cursor_of = async |caller: &Caller, list: &str| {
        let page = caller.get(&format!("{list}?limit=1")).await.expect(StatusCode::OK);
        text(&page, "next_cursor").to_owned()
    };
    let cursor = cursor_of(&tenant, "/v1/sessions").await;
    let of_user = cursor_of(&tenant, "/v1/users/u0/sessions").await;
    tenant.get(&format!("/v1/sessions?cursor={cursor}")).await.expect(StatusCode::OK);
    other.get(&format!("/v1/sessions?cursor={cursor}")).await.refused(400, "invalid_cursor");
    tenant.get(&format!("/v1/users/u0/sessions?cursor={cursor}")).await.refused(400, "invalid_cursor");
    tenant.get(&format!("/v1/users/u1/sessions?cursor={of_user}")).await.refused(400, "invalid_cursor");
    tenant.get(&format!("/v1/sessions?cursor={of_user}")).await.refused(400, "invalid_cursor");
    for bad in ["x", "", "AAAA", &cursor[1..], &format!("{cursor}A"), "%00", "*"] {
        let problem = tenant.get(&format!("/v1/sessions?cursor={bad}")).await.refused(400, "invalid_cursor");
        assert_eq!(problem["errors"][0]["pointer"], "cursor");
    }
}

async fn what_changes_in_a_session_shows_in_its_list(app: App) {
    let tenant = app.tenant().await;
    let made = create(&tenant, json!({"user_id": "u0", "id": "mine"})).await;
    populate(&app, &tenant, 3).await;
    tenant.patch(&path(&made), json!({"metadata": {"m": 1}})).await.expect(StatusCode::OK);
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    let item = list["items"].as_array().unwrap().last().unwrap();
    assert_eq!((&item["metadata"], &item["version"], &item["ref"]), (&json!({"m": 1}), &json!(2), &made["ref"]));
    let rotated = tenant.post(&format!("{}/rotate", path(&made)), json!({})).await.expect(StatusCode::OK);
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().last().unwrap()["ref"], rotated["ref"], "its place is its creation's");
    tenant.delete(&path(&rotated)).await.expect(StatusCode::NO_CONTENT);
    let list = tenant.get("/v1/sessions").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
}
