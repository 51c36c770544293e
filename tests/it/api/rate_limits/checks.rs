//! One check at a time: what is counted and told.

use super::super::{segment, suite};
use super::{LONG, check, one_of, peek, used};
use crate::harness::app::App;
use agentapi::stores::rate_limits::Algorithm;
use reqwest::StatusCode;
use serde_json::json;

suite! {
    a_check_counts_and_tells_what_is_left
    a_check_that_is_denied_counts_nothing
    a_cost_counts_as_so_many_and_the_burst_is_on_top
    every_algorithm_and_window_is_counted_by_itself
    a_look_counts_nothing
    a_reset_forgets_a_key_by_every_algorithm_and_no_other
    whatever_a_key_is_called_it_is_itself_and_no_other
    the_largest_numbers_are_counted_exactly
}

async fn a_check_counts_and_tells_what_is_left(app: App) {
    let tenant = app.tenant().await;
    let body = json!({"key": "user:1:chat", "limit": 100, "window": "60s"});
    let answer = tenant.post("/v1/ratelimit/check", body).await;
    let expected = r#"{"allowed":true,"limit":100,"current":1,"remaining":99,"reset_ms":60000,"retry_after_ms":0}"#;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, expected));
    assert_eq!((answer.header("content-type"), answer.header("x-degraded")), ("application/json", ""));
    assert_eq!(answer.header("cache-control"), "no-store");
}

async fn a_check_that_is_denied_counts_nothing(app: App) {
    let tenant = app.tenant().await;
    for algorithm in Algorithm::ALL {
        let body = json!({"key": "k", "limit": 3, "window": LONG, "algorithm": algorithm.as_str()});
        for current in 1..=3 {
            let answer = check(&tenant, body.clone()).await;
            assert_eq!((&answer["allowed"], &answer["current"]), (&json!(true), &json!(current)), "{answer}");
            assert_eq!((&answer["remaining"], &answer["retry_after_ms"]), (&json!(3 - current), &json!(0)), "{answer}");
        }
        // More often than it takes to be remembered as one who is denied.
        for _ in 0..5 {
            let answer = check(&tenant, body.clone()).await;
            assert_eq!((&answer["allowed"], &answer["current"]), (&json!(false), &json!(3)), "{answer}");
            let wait = answer["retry_after_ms"].as_u64().unwrap();
            assert!((1..=20 * 86_400_000).contains(&wait), "{answer}");
        }
        assert_eq!(used(&tenant, &body).await, 3);
    }
}

async fn a_cost_counts_as_so_many_and_the_burst_is_on_top(app: App) {
    let tenant = app.tenant().await;
    for algorithm in Algorithm::ALL {
        let ask = |cost: u64| {
            let algorithm = algorithm.as_str();
            json!({"key": "k", "limit": 10, "burst": 5, "window": LONG, "cost": cost, "algorithm": algorithm})
        };
        for (cost, allowed, current, remaining) in [
            (9, true, 9, 1),
            (7, false, 9, 1),
            (5, true, 14, 0),
            (2, false, 14, 0),
            (1, true, 15, 0),
            (1, false, 15, 0),
        ] {
            let answer = check(&tenant, ask(cost)).await;
            let told = (&answer["allowed"], &answer["limit"], &answer["current"], &answer["remaining"]);
            assert_eq!(told, (&json!(allowed), &json!(10), &json!(current), &json!(remaining)), "{algorithm:?} {cost}");
        }
    }
}

async fn every_algorithm_and_window_is_counted_by_itself(app: App) {
    let tenant = app.tenant().await;
    let asks = Algorithm::ALL.iter().flat_map(|algorithm| {
        [LONG, "11d"].map(|window| json!({"key": "k", "limit": 9, "window": window, "algorithm": algorithm.as_str()}))
    });
    for (uses, ask) in asks.clone().enumerate() {
        for _ in 0..uses {
            check(&tenant, ask.clone()).await;
        }
    }
    for (uses, ask) in asks.enumerate() {
        assert_eq!(used(&tenant, &ask).await, uses as u64, "{ask}");
    }
}

async fn a_look_counts_nothing(app: App) {
    let tenant = app.tenant().await;
    let ask = one_of(2, "k");
    for _ in 0..3 {
        let answer = peek(&tenant, &ask).await;
        assert_eq!((&answer["allowed"], &answer["current"], &answer["reset_ms"]), (&json!(true), &json!(0), &json!(0)));
    }
    check(&tenant, ask.clone()).await;
    assert_eq!(peek(&tenant, &ask).await["allowed"], true);
    check(&tenant, ask.clone()).await;
    let answer = peek(&tenant, &ask).await;
    assert_eq!((&answer["allowed"], &answer["remaining"]), (&json!(false), &json!(0)));
    assert!(answer["retry_after_ms"].as_u64().unwrap() > 0, "{answer}");
}

async fn a_reset_forgets_a_key_by_every_algorithm_and_no_other(app: App) {
    let tenant = app.tenant().await;
    let ask = |key: &str, algorithm: &Algorithm| json!({"key": key, "limit": 2, "window": LONG, "algorithm": algorithm.as_str()});
    for algorithm in Algorithm::ALL {
        for key in ["a/b", "other"] {
            check(&tenant, ask(key, algorithm)).await;
        }
    }
    for _ in 0..2 {
        let answer = tenant.delete(&format!("/v1/ratelimit?key={}", segment("a/b"))).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NO_CONTENT, ""));
    }
    for algorithm in Algorithm::ALL {
        assert_eq!(used(&tenant, &ask("a/b", algorithm)).await, 0, "{algorithm:?}");
        assert_eq!(used(&tenant, &ask("other", algorithm)).await, 1, "{algorithm:?}");
    }
    // Whoever was denied again and again is let in at once.
    let ask = ask("a/b", &Algorithm::FixedWindow);
    for _ in 0..6 {
        check(&tenant, ask.clone()).await;
    }
    assert_eq!(check(&tenant, ask.clone()).await["allowed"], false);
    tenant.delete("/v1/ratelimit?key=a/b").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(check(&tenant, ask).await["allowed"], true);
}

async fn whatever_a_key_is_called_it_is_itself_and_no_other(app: App) {
    let tenant = app.tenant().await;
    let long = "x".repeat(256);
    let names = [
        "plain",
        "*",
        "?",
        "[a-z]*",
        "{x}",
        "}{",
        "a:b",
        "a/b",
        "..",
        "../../other",
        "%2e%2e",
        "%",
        "+",
        " ",
        "a&b=c",
        "{other:00}:rate-limit",
        "' OR 1=1 --",
        "return redis.call('KEYS','*')",
        "\"\\",
        "ünï©ode",
        "\u{202e}txt",
        &long,
    ];
    for (uses, name) in names.iter().enumerate() {
        for _ in 0..=uses % 3 {
            assert_eq!(check(&tenant, one_of(99, name)).await["allowed"], true, "{name}");
        }
    }
    for (uses, name) in names.iter().enumerate() {
        assert_eq!(used(&tenant, &one_of(99, name)).await, uses as u64 % 3 + 1, "{name}");
    }
}

async fn the_largest_numbers_are_counted_exactly(app: App) {
    const MOST: u64 = 1_000_000_000_000;
    let tenant = app.tenant().await;
    for algorithm in ["sliding_window", "fixed_window"] {
        let ask = |cost: u64| json!({"key": "k", "limit": MOST, "burst": MOST, "window": "366d", "cost": cost, "algorithm": algorithm});
        for (cost, allowed, current) in
            [(MOST, true, MOST), (MOST - 1, true, MOST * 2 - 1), (2, false, MOST * 2 - 1), (1, true, MOST * 2)]
        {
            let answer = check(&tenant, ask(cost)).await;
            assert_eq!((&answer["allowed"], &answer["current"]), (&json!(allowed), &json!(current)), "{answer}");
        }
        assert_eq!(check(&tenant, ask(1)).await["allowed"], false);
    }
}
