//! What B tries, and what must come back, by the slice whose rows they are.

use super::Treasure;
use crate::harness::app::{Answer, Caller};
use crate::harness::table::Row;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The same for the rows of tokens and their providers.
pub(super) async fn attempt_token(row: &Row, b: &Caller, path: &str) -> Answer {
    let send = |body: Option<Value>| b.send(row.method.clone(), path, body.map(|body| body.to_string().into_bytes()));
    let absent = if row.path.starts_with("/v1/oauth") { "provider_not_found" } else { "token_not_found" };
    match (row.method.as_str(), row.path.as_str()) {
        ("GET", "/v1/tokens/{user_id}" | "/v1/oauth/providers") => {
            let list = send(None).await;
            assert_eq!(list.expect(StatusCode::OK)["items"], json!([]), "{row:?}");
            list
        }
        ("GET" | "DELETE" | "POST", _) => {
            let answer = send((row.method == Method::POST).then(|| json!({}))).await;
            row.refused(&answer, 404, absent);
            answer
        }
        ("PUT", "/v1/tokens/{user_id}/{provider}" | "/v1/oauth/providers/{provider}") => {
            let body = match absent {
                "token_not_found" => json!({"access_token": "b"}),
                _ => json!({"token_url": "https://b.example.com/", "client_id": "b", "client_secret": "b"}),
            };
            let made = send(Some(body)).await;
            assert_eq!(made.expect(StatusCode::CREATED)["version"], 1, "{row:?}");
            b.delete(path).await.expect(StatusCode::NO_CONTENT);
            made
        }
        (method, path) => panic!("{method} {path} is new: say here how it keeps tenants apart"),
    }
}

/// The same for the rows of flags.
pub(super) async fn attempt_flag(row: &Row, b: &Caller, treasure: &Treasure, path: &str) -> Answer {
    let send = |body: Option<Value>| b.send(row.method.clone(), path, body.map(|body| body.to_string().into_bytes()));
    let own = json!({"state": "ENABLED", "variants": {"v": 1}, "defaultVariant": "v"});
    match (row.method.as_str(), row.path.as_str()) {
        ("GET", "/v1/flags") => {
            let list = send(None).await;
            assert_eq!(list.expect(StatusCode::OK)["items"], json!([]), "{row:?}");
            list
        }
        ("GET" | "DELETE", "/v1/flags/{key}")
        | ("POST", "/v1/flags/{key}/explain" | "/ofrep/v1/evaluate/flags/{key}") => {
            let answer = send((row.method == Method::POST).then(|| json!({}))).await;
            row.refused(&answer, 404, "flag_not_found");
            answer
        }
        ("PUT", "/v1/flags/{key}") => {
            let made = send(Some(own)).await;
            made.expect(StatusCode::CREATED);
            b.delete(path).await.expect(StatusCode::NO_CONTENT);
            made
        }
        ("GET", "/v1/flags/{key}/stats") => {
            let stats = send(None).await;
            assert_eq!(stats.expect(StatusCode::OK)["total"], 0, "{row:?}");
            stats
        }
        ("GET", "/v1/flagset") => {
            let set = send(None).await;
            assert_eq!(set.expect(StatusCode::OK), json!({"flags": {}}), "{row:?}");
            set
        }
        ("PUT", "/v1/flagset") => {
            let made = send(Some(json!({"flags": {treasure.name: own}}))).await;
            assert!(made.status.is_success(), "{row:?}: {made:?}");
            b.put(path, json!({"flags": {}})).await.expect(StatusCode::OK);
            made
        }
        ("GET", "/v1/flagset/versions") => {
            let list = send(None).await;
            list.expect(StatusCode::OK);
            list
        }
        ("GET" | "POST", "/v1/flagset/versions/{version}" | "/v1/flagset/versions/{version}/restore") => {
            let unknown = send((row.method == Method::POST).then(|| json!({}))).await;
            row.refused(&unknown, 404, "flagset_version_not_found");
            unknown
        }
        // A stream does not end; whose changes it tells is what tests of it show.
        ("GET", "/ofrep/v1/events") => b.head(path).await,
        ("POST", "/ofrep/v1/evaluate/flags") => {
            let all = send(Some(json!({}))).await;
            assert_eq!(all.expect(StatusCode::OK)["flags"], json!([]), "{row:?}");
            all
        }
        (method, path) => panic!("{method} {path} is new: say here how it keeps tenants apart"),
    }
}

/// The same for the rows of rate limits.
pub(super) async fn attempt_limit(row: &Row, b: &Caller, treasure: &Treasure, path: &str) -> Vec<Answer> {
    let body = |value: Value| Some(value.to_string().into_bytes());
    let key = &treasure.own;
    let send = |path: String, body| async move { b.send(row.method.clone(), &path, body).await };
    let forgotten = b.delete(&format!("/v1/ratelimit?key={key}")).await;
    forgotten.expect(StatusCode::NO_CONTENT);
    let own = json!({"key": treasure.name, "limit": 1000, "window": "10d"});
    let by_policy = json!({"key": treasure.name, "policy": treasure.name});
    let mut answers = match (row.method.as_str(), row.path.as_str()) {
        ("POST", "/v1/ratelimit/check" | "/v1/ratelimit/enforce" | "/v1/ratelimit/reserve") => {
            let counted = send(path.to_owned(), body(own)).await;
            assert_eq!(counted.json()["current"], 1, "{row:?}: {counted:?}");
            let unknown = send(path.to_owned(), body(by_policy)).await;
            row.refused(&unknown, 404, "policy_not_found");
            vec![counted, unknown]
        }
        ("GET", "/v1/ratelimit" | "/v1/ratelimit/enforce") => {
            let counted = send(format!("{path}?key={key}&limit=1000&window=10d"), None).await;
            let current = u64::from(path.ends_with("enforce"));
            assert_eq!(counted.expect(StatusCode::OK)["current"], current, "{row:?}");
            let unknown = send(format!("{path}?key={key}&policy={key}"), None).await;
            row.refused(&unknown, 404, "policy_not_found");
            vec![counted, unknown]
        }
        ("DELETE", "/v1/ratelimit") => vec![],
        ("POST", "/v1/ratelimit/reservations/{id}/commit" | "/v1/ratelimit/reservations/{id}/cancel") => {
            let unknown = send(path.to_owned(), body(json!({"cost": 1}))).await;
            row.refused(&unknown, 404, "reservation_not_found");
            vec![unknown]
        }
        ("GET", "/v1/ratelimit/policies") => {
            let list = send(path.to_owned(), None).await;
            assert_eq!(list.expect(StatusCode::OK)["items"], json!([]));
            vec![list]
        }
        ("GET" | "DELETE", "/v1/ratelimit/policies/{name}") => {
            let unknown = send(path.to_owned(), None).await;
            row.refused(&unknown, 404, "policy_not_found");
            vec![unknown]
        }
        ("PUT", "/v1/ratelimit/policies/{name}") => {
            let made = send(path.to_owned(), body(json!({"limit": 1, "window": "1s"}))).await;
            made.expect(StatusCode::CREATED);
            b.delete(path).await.expect(StatusCode::NO_CONTENT);
            vec![made]
        }
        (method, path) => panic!("{method} {path} is new: say here how it keeps tenants apart"),
    };
    answers.push(forgotten);
    answers
}
