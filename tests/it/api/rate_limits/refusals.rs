//! Checks that make no sense: refused with status, code and pointer, and nothing is counted.

use super::super::suite;
use super::{LONG, one_of, policy, used};
use crate::harness::app::{Answer, App, Caller};
use reqwest::Method;
use serde_json::{Value, json};

suite! {
    a_check_that_makes_no_sense_is_pointed_at
    every_fault_of_several_is_pointed_at
    a_query_that_makes_no_sense_is_pointed_at
    one_check_and_several_do_not_go_together
    a_policy_that_is_not_known_is_a_404
    a_key_is_limited_over_so_many_windows_and_no_more
    a_policy_that_makes_no_sense_is_pointed_at
    a_reservation_that_makes_no_sense_is_pointed_at
}

/// A check with one member changed; `null` takes it away.
fn with(member: &str, value: Value) -> Value {
    let mut body = one_of(10, "k");
    body[member] = value;
    body
}

/// What is wrong with the members of a check.
fn faulty() -> Vec<(Value, &'static str)> {
    let mut faulty = vec![
        (json!({}), "key"),
        (json!({"limit": 1, "window": "1s"}), "key"),
        (with("key", json!("")), "key"),
        (with("key", json!("a\nb")), "key"),
        (with("key", json!("x".repeat(257))), "key"),
        (with("key", json!(7)), "key"),
        (with("limit", Value::Null), "limit"),
        (with("window", Value::Null), "window"),
        (with("cost", json!(11)), "cost"),
        (with("algorithm", json!("leaky")), "algorithm"),
        (with("algorithm", json!("Sliding_Window")), "algorithm"),
        (with("algorithm", json!(1)), "algorithm"),
        (with("policy", json!("p")), "limit"),
        (with("policy", json!("")), "policy"),
        (json!({"key": "k", "policy": "p", "window": LONG}), "window"),
        (json!({"key": "k", "policy": "p", "burst": 0}), "burst"),
        (json!({"key": "k", "policy": "p", "algorithm": "fixed_window"}), "algorithm"),
        (json!({"key": "k", "policy": "p", "cost": 4}), "cost"),
        (with("nope", json!(1)), "nope"),
        (json!({"key": "k", "limit": 100_001, "window": LONG, "algorithm": "sliding_log"}), "limit"),
        (
            json!({"key": "k", "limit": 999_999_999_989u64, "window": "31622399999ms", "algorithm": "token_bucket"}),
            "window",
        ),
    ];
    let never = [json!(-1), json!(1.5), json!(1e3), json!("5"), json!(true), json!([1]), json!({}), json!(u64::MAX)];
    let large = [json!(1_000_000_000_001u64), json!(1u64 << 53), json!(1u64 << 63), json!(1e30)];
    for member in ["limit", "cost", "burst"] {
        faulty.extend(never.iter().chain(&large).map(|value| (with(member, value.clone()), member)));
    }
    for member in ["limit", "cost", "window"] {
        faulty.push((with(member, json!(0)), member));
    }
    let windows = [json!(-1), json!(1.5), json!(""), json!("1w"), json!("0ms"), json!("367d"), json!(1u64 << 53)];
    faulty.extend(windows.into_iter().map(|window| (with("window", window), "window")));
    faulty
}

/// The problem, if it is this one and points there first.
#[track_caller]
fn pointed(answer: &Answer, status: u16, code: &str, pointer: &str) {
    let found = &answer.json()["errors"][0]["pointer"];
    assert_eq!((answer.status.as_u16(), found), (status, &json!(pointer)), "{}", answer.text);
    let problem = answer.refused(status, code);
    for inside in ["canary", "leaky", "serde", "invalid type", "u64"] {
        assert!(!answer.text.contains(inside), "{problem}");
    }
}

async fn nothing_is_counted(tenant: &Caller) {
    for key in ["k", "a", "b"] {
        assert_eq!(used(tenant, &one_of(10, key)).await, 0, "{key}");
    }
}

async fn a_check_that_makes_no_sense_is_pointed_at(app: App) {
    let tenant = app.tenant().await;
    policy(&tenant, "p", json!({"limit": 2, "burst": 1, "window": LONG})).await;
    for (body, member) in faulty() {
        for call in ["check", "enforce", "reserve"] {
            let answer = tenant.post(&format!("/v1/ratelimit/{call}"), body.clone()).await;
            pointed(&answer, 422, "validation_failed", &format!("/{member}"));
        }
        let checks = json!({"checks": [one_of(10, "a"), one_of(10, "b"), one_of(10, "a"), body]});
        for call in ["check", "enforce"] {
            let answer = tenant.post(&format!("/v1/ratelimit/{call}"), checks.clone()).await;
            pointed(&answer, 422, "validation_failed", &format!("/checks/3/{member}"));
        }
    }
    nothing_is_counted(&tenant).await;
    let peeked = tenant.get("/v1/ratelimit?key=k&policy=p").await.json();
    assert_eq!(peeked["current"], 0);
}

async fn every_fault_of_several_is_pointed_at(app: App) {
    let tenant = app.tenant().await;
    let checks = json!({"checks": [one_of(0, "k"), one_of(1, "a"), with("cost", json!(0)), with("window", json!(0))]});
    let problem = tenant.post("/v1/ratelimit/check", checks).await.refused(422, "validation_failed");
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/checks/0/limit", "/checks/2/cost", "/checks/3/window"]);
    nothing_is_counted(&tenant).await;
}

async fn a_query_that_makes_no_sense_is_pointed_at(app: App) {
    let tenant = app.tenant().await;
    policy(&tenant, "p", json!({"limit": 2, "burst": 1, "window": LONG})).await;
    for (query, parameter) in [
        ("", "key"),
        ("limit=1&window=1s", "key"),
        ("key=&limit=1&window=1s", "key"),
        ("key=%00&limit=1&window=1s", "key"),
        ("key=k&window=1s", "limit"),
        ("key=k&limit=1", "window"),
        ("key=k&limit=0&window=1s", "limit"),
        ("key=k&limit=-1&window=1s", "limit"),
        ("key=k&limit=%2B1&window=1s", "limit"),
        ("key=k&limit=1.5&window=1s", "limit"),
        ("key=k&limit=&window=1s", "limit"),
        ("key=k&limit=canary&window=1s", "limit"),
        ("key=k&limit=9007199254740992&window=1s", "limit"),
        ("key=k&limit=9223372036854775808&window=1s", "limit"),
        ("key=k&limit=99999999999999999999&window=1s", "limit"),
        ("key=k&limit=1&window=0", "window"),
        ("key=k&limit=1&window=canary", "window"),
        ("key=k&limit=1&window=367d", "window"),
        ("key=k&limit=1&window=1s&burst=-1", "burst"),
        ("key=k&limit=1&window=1s&cost=0", "cost"),
        ("key=k&limit=1&window=1s&cost=2", "cost"),
        ("key=k&limit=1&window=1s&algorithm=leaky", "algorithm"),
        ("key=k&limit=1&window=1s&nope=1", "nope"),
        ("key=k&limit=1&limit=1&window=1s", "limit"),
        ("key=k&policy=p&limit=1", "limit"),
        ("key=k&policy=p&cost=4", "cost"),
        ("key=k&policy=", "policy"),
    ] {
        for path in ["/v1/ratelimit", "/v1/ratelimit/enforce"] {
            let answer = tenant.get(&format!("{path}?{query}")).await;
            pointed(&answer, 400, "invalid_query", parameter);
        }
    }
    for query in ["", "?key=", "?key=%0a", "?key=k&limit=1"] {
        let answer = tenant.delete(&format!("/v1/ratelimit{query}")).await;
        answer.refused(400, "invalid_query");
    }
    nothing_is_counted(&tenant).await;
}

async fn one_check_and_several_do_not_go_together(app: App) {
    let tenant = app.tenant().await;
    let many = |count: usize| vec![one_of(10, "k"); count];
    for (body, pointer) in [
        (json!({"checks": [one_of(10, "a")], "key": "k"}), "/key"),
        (json!({"checks": [one_of(10, "a")], "cost": 1}), "/cost"),
        (json!({"checks": [], "limit": 1}), "/limit"),
        (json!({"checks": []}), "/checks"),
        (json!({"checks": many(33)}), "/checks"),
        (json!({"checks": many(10_000)}), "/checks"),
        (json!({"checks": {"key": "k"}}), "/checks"),
        (json!({"checks": "all"}), "/checks"),
        (json!({"checks": [one_of(10, "a"), null]}), "/checks/1"),
        (json!({"checks": [["k", 10, LONG]]}), "/checks/0"),
        (json!({"checks": [{"checks": []}]}), "/checks/0/checks"),
        (json!({"checks": null}), "/key"),
    ] {
        for call in ["check", "enforce"] {
            let answer = tenant.post(&format!("/v1/ratelimit/{call}"), body.clone()).await;
            pointed(&answer, 422, "validation_failed", pointer);
        }
    }
    tenant.post("/v1/ratelimit/check", json!({"checks": many(10)})).await.expect(reqwest::StatusCode::OK);
    assert_eq!(used(&tenant, &one_of(10, "k")).await, 10, "what is well asked is counted");
    assert_eq!(used(&tenant, &one_of(10, "a")).await, 0);
}

async fn a_policy_that_is_not_known_is_a_404(app: App) {
    let tenant = app.tenant().await;
    let unknown = json!({"key": "k", "policy": "nobody's"});
    for call in ["check", "enforce", "reserve"] {
        let answer = tenant.post(&format!("/v1/ratelimit/{call}"), unknown.clone()).await;
        pointed(&answer, 404, "policy_not_found", "/policy");
    }
    let several = json!({"checks": [one_of(10, "a"), unknown, one_of(10, "b"), unknown]});
    let answer = tenant.post("/v1/ratelimit/check", several).await;
    pointed(&answer, 404, "policy_not_found", "/checks/1/policy");
    assert_eq!(answer.json()["errors"][1]["pointer"], "/checks/3/policy");
    for path in ["/v1/ratelimit", "/v1/ratelimit/enforce"] {
        let answer = tenant.get(&format!("{path}?key=k&policy=nobody%27s")).await;
        pointed(&answer, 404, "policy_not_found", "policy");
    }
    nothing_is_counted(&tenant).await;
}

async fn a_key_is_limited_over_so_many_windows_and_no_more(app: App) {
    let tenant = app.tenant().await;
    let over = |days: u64| json!({"key": "k", "limit": 10, "window": format!("{days}d")});
    for days in 1..=32 {
        super::check(&tenant, over(days)).await;
    }
    let both = json!({"checks": [one_of(10, "a"), over(33)]});
    let query = format!("/v1/ratelimit/enforce?{}", super::query(&over(33)));
    pointed(&tenant.post("/v1/ratelimit/check", over(33)).await, 422, "too_many_windows", "/window");
    pointed(&tenant.post("/v1/ratelimit/enforce", both).await, 422, "too_many_windows", "/checks/1/window");
    pointed(&tenant.post("/v1/ratelimit/reserve", over(33)).await, 422, "too_many_windows", "/window");
    pointed(&tenant.get(&query).await, 422, "too_many_windows", "window");
    assert_eq!(used(&tenant, &one_of(10, "a")).await, 0);
    assert_eq!(super::check(&tenant, over(32)).await["current"], 2);
}

async fn a_policy_that_makes_no_sense_is_pointed_at(app: App) {
    let tenant = app.tenant().await;
    for (body, member) in faulty() {
        let mut body = body;
        if body["policy"] != Value::Null || ["key", "cost"].contains(&member) {
            continue;
        }
        body.as_object_mut().unwrap().remove("key");
        let answer = tenant.put("/v1/ratelimit/policies/p", body.clone()).await;
        pointed(&answer, 422, "validation_failed", &format!("/{member}"));
    }
    let fine = json!({"limit": 1, "window": "1s"});
    for (member, value) in [("shadow", json!("yes")), ("shadow", json!(1)), ("name", json!("p")), ("key", json!("k"))] {
        let mut body = fine.clone();
        body[member] = value;
        let answer = tenant.put("/v1/ratelimit/policies/p", body).await;
        pointed(&answer, 422, "validation_failed", &format!("/{member}"));
    }
    for name in ["%00", "%ff", &"x".repeat(257)] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let body = (method == Method::PUT).then(|| fine.to_string().into_bytes());
            let answer = tenant.send(method, &format!("/v1/ratelimit/policies/{name}"), body).await;
            answer.refused(400, "invalid_name");
        }
    }
    tenant.get("/v1/ratelimit/policies/p").await.refused(404, "policy_not_found");
    tenant.delete("/v1/ratelimit/policies/p").await.refused(404, "policy_not_found");
}

async fn a_reservation_that_makes_no_sense_is_pointed_at(app: App) {
    let tenant = app.tenant().await;
    for ttl in [json!(0), json!("999ms"), json!(3601), json!(-1), json!(1.5), json!("soon"), json!(true)] {
        let answer = tenant.post("/v1/ratelimit/reserve", with("ttl", ttl)).await;
        pointed(&answer, 422, "validation_failed", "/ttl");
    }
    let answer = tenant.post("/v1/ratelimit/reserve", json!({"checks": [one_of(1, "k")]})).await;
    pointed(&answer, 422, "validation_failed", "/checks");
    nothing_is_counted(&tenant).await;
    let held = tenant.post("/v1/ratelimit/reserve", one_of(10, "k")).await.expect(reqwest::StatusCode::CREATED);
    let commit = format!("/v1/ratelimit/reservations/{}/commit", held["reservation"].as_str().unwrap());
    for cost in [json!(-1), json!(1.5), json!("1"), json!(null), json!(1u64 << 53), json!(1u64 << 63), json!(1e30)] {
        pointed(&tenant.post(&commit, json!({"cost": cost})).await, 422, "validation_failed", "/cost");
    }
    pointed(&tenant.post(&commit, json!({})).await, 422, "validation_failed", "/cost");
    pointed(&tenant.post(&commit, json!({"cost": 1, "nope": 1})).await, 422, "validation_failed", "/nope");
    for (call, body) in [("commit", json!({"cost": 1})), ("cancel", json!({}))] {
        for unknown in ["nobody", "rsv_", "rsv_00AAAAAAAAAAAAAAAAAAAAAA", "*", "%7Bx%7D"] {
            let answer = tenant.post(&format!("/v1/ratelimit/reservations/{unknown}/{call}"), body.clone()).await;
            answer.refused(404, "reservation_not_found");
        }
        let answer = tenant.post(&format!("/v1/ratelimit/reservations/%00/{call}"), body).await;
        answer.refused(400, "invalid_name");
    }
    assert_eq!(used(&tenant, &one_of(10, "k")).await, 1, "what is held is held still");
}
