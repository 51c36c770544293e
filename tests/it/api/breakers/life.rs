//! The life of a breaker: closed, open, half open, and closed again.

use super::{SHORT, acquire, at, configure, fail, probe, read, report};
use crate::api::{millis, suite};
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

suite! {
    a_breaker_that_nobody_knows_is_closed_and_asking_leaves_nothing
    five_failures_in_a_row_open_it_and_a_success_begins_anew
    an_open_breaker_tells_when_it_is_worth_asking_again
    two_successful_probes_close_it_one_at_a_time
    a_failed_probe_opens_it_again_for_longer_where_that_is_set
    a_probe_that_never_reports_gives_its_place_away
    settings_are_replaced_as_a_whole_and_the_state_stays
    a_forgotten_breaker_is_as_one_that_never_was
    the_last_failures_are_told_newest_first
}

async fn a_breaker_that_nobody_knows_is_closed_and_asking_leaves_nothing(app: App) {
    let tenant = app.tenant().await;
    let counters = json!({
        "consecutive_failures": 0, "successes": 0, "probes": 0, "failing_instances": 0, "times_opened": 0,
        "calls": 0, "failures": 0, "slow_calls": 0,
    });
    let settings = json!({
        "failure_threshold": 5, "success_threshold": 2, "timeout_ms": 30_000, "timeout_multiplier": 1.0,
        "timeout_max_ms": 300_000, "timeout_jitter": 0.0, "window_ms": null, "minimum_calls": null,
        "failure_rate": null, "slow_call_duration_ms": null, "slow_call_rate": null, "half_open_permits": 1,
        "permit_ttl_ms": 30_000, "trip_quorum": 1,
    });
    let unknown = json!({
        "name": "payments", "state": "closed", "since": null, "next_change": null, "counters": counters,
        "last_failures": [], "forced": null, "settings": settings, "configured": false,
    });
    assert_eq!(read(&tenant, "payments").await, unknown);
    for body in [None, Some(b"{}".to_vec()), Some(br#"{"instance":"i1"}"#.to_vec())] {
        let answer = tenant.send(reqwest::Method::POST, &format!("{}/acquire", at("payments")), body).await;
        let mut answer = answer.expect(StatusCode::OK);
        answer.as_object_mut().unwrap().remove("permit");
        assert_eq!(answer, json!({"allowed": true, "state": "closed", "retry_after_ms": 0}));
    }
    let success = report(&tenant, "payments", json!({"outcome": "success"})).await;
    assert_eq!(success, json!({"state": "closed", "next_change": null}));
    assert_eq!(read(&tenant, "payments").await, unknown);
    let list = tenant.get("/v1/breakers").await.expect(StatusCode::OK);
    assert_eq!(list, json!({"items": [], "next_cursor": null}));
}

async fn five_failures_in_a_row_open_it_and_a_success_begins_anew(app: App) {
    let tenant = app.tenant().await;
    for outcome in ["failure", "timeout", "failure", "timeout"] {
        assert_eq!(report(&tenant, "b", json!({"outcome": outcome})).await["state"], "closed");
    }
    assert_eq!(read(&tenant, "b").await["counters"]["consecutive_failures"], 4);
    report(&tenant, "b", json!({"outcome": "success"})).await;
    assert_eq!(read(&tenant, "b").await["counters"]["consecutive_failures"], 0);
    assert_eq!(fail(&tenant, "b", 4).await, "closed");
    assert_eq!(acquire(&tenant, "b").await["allowed"], true);
    assert_eq!(fail(&tenant, "b", 1).await, "open");
    assert_eq!(acquire(&tenant, "b").await["allowed"], false);
    assert_eq!(fail(&tenant, "many at once", 1_000_000).await, "open");
}

async fn an_open_breaker_tells_when_it_is_worth_asking_again(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 1, "timeout": "1h"})).await;
    let opened = report(&tenant, "b", json!({"outcome": "failure"})).await;
    let denied = acquire(&tenant, "b").await;
    assert_eq!(
        (&denied["allowed"], &denied["state"], &denied["permit"]),
        (&json!(false), &json!("open"), &Value::Null)
    );
    let left = denied["retry_after_ms"].as_u64().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{denied}");
    let breaker = read(&tenant, "b").await;
    assert_eq!((&breaker["state"], &breaker["next_change"]), (&json!("open"), &opened["next_change"]));
    assert_eq!(millis(&breaker, "next_change") - millis(&breaker, "since"), 3_600_000);
    let left = breaker["retry_after_ms"].as_u64().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{breaker}");
    assert_eq!(breaker["counters"]["times_opened"], 1);
    let again = acquire(&tenant, "b").await;
    assert!(again["retry_after_ms"].as_u64() <= denied["retry_after_ms"].as_u64(), "asking does not make it longer");
}

async fn two_successful_probes_close_it_one_at_a_time(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 1, "timeout": SHORT, "permit_ttl": "1h"})).await;
    fail(&tenant, "b", 1).await;
    for round in 0..2 {
        let permitted = probe(&app, &tenant, "b").await;
        assert_eq!((&permitted["state"], &permitted["retry_after_ms"]), (&json!("half_open"), &json!(0)));
        let permit = permitted["permit"].as_str().expect("a permit").to_owned();
        let denied = acquire(&tenant, "b").await;
        assert_eq!((&denied["allowed"], &denied["permit"]), (&json!(false), &Value::Null), "one at a time");
        assert!(denied["retry_after_ms"].as_u64() > Some(0), "{denied}");
        let breaker = read(&tenant, "b").await;
        assert_eq!((&breaker["counters"]["probes"], &breaker["counters"]["successes"]), (&json!(1), &json!(round)));
        let reported = report(&tenant, "b", json!({"outcome": "success", "permit": permit, "duration_ms": 3})).await;
        assert_eq!(reported["state"], ["half_open", "closed"][round]);
    }
    let closed = acquire(&tenant, "b").await;
    assert_eq!((&closed["allowed"], &closed["state"]), (&json!(true), &json!("closed")));
    assert_eq!(read(&tenant, "b").await["counters"]["times_opened"], 0);
}

async fn a_failed_probe_opens_it_again_for_longer_where_that_is_set(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 1, "timeout": SHORT})).await;
    fail(&tenant, "b", 1).await;
    let permit = probe(&app, &tenant, "b").await["permit"].clone();
    let longer = json!({"timeout": "1h", "timeout_multiplier": 1.5, "timeout_max": "80m"});
    configure(&tenant, "b", longer).await;
    // No two changes are of the same moment, on a clock that stands still too.
    app.clock.advance(Duration::from_millis(1));
    let reported = report(&tenant, "b", json!({"outcome": "timeout", "permit": permit})).await;
    assert_eq!(reported["state"], "open");
    let breaker = read(&tenant, "b").await;
    assert_eq!(breaker["counters"]["times_opened"], 2);
    let since = millis(&breaker, "since");
    let longest = 80 * 60_000;
    assert_eq!(millis(&reported, "next_change") - since, longest, "half as long again, and no longer than the longest");
}

async fn a_probe_that_never_reports_gives_its_place_away(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 1, "timeout": SHORT, "permit_ttl": SHORT})).await;
    fail(&tenant, "b", 1).await;
    let crashed = probe(&app, &tenant, "b").await;
    let next = probe(&app, &tenant, "b").await;
    assert_eq!(next["state"], "half_open");
    assert_ne!(next["permit"], crashed["permit"]);
}

async fn settings_are_replaced_as_a_whole_and_the_state_stays(app: App) {
    let tenant = app.tenant().await;
    let all = json!({
        "failure_threshold": 7, "success_threshold": 3, "timeout": 3600, "timeout_multiplier": 1.5,
        "timeout_max": "2h", "timeout_jitter": 0.125, "window": "1m", "minimum_calls": 20, "failure_rate": 0.25,
        "slow_call_duration": "1500ms", "slow_call_rate": 0.75, "half_open_permits": 4, "permit_ttl": "10s",
        "trip_quorum": 2,
    });
    let effective = json!({
        "failure_threshold": 7, "success_threshold": 3, "timeout_ms": 3_600_000, "timeout_multiplier": 1.5,
        "timeout_max_ms": 7_200_000, "timeout_jitter": 0.125, "window_ms": 60_000, "minimum_calls": 20,
        "failure_rate": 0.25, "slow_call_duration_ms": 1500, "slow_call_rate": 0.75, "half_open_permits": 4,
        "permit_ttl_ms": 10_000, "trip_quorum": 2,
    });
    let put = configure(&tenant, "b", all).await;
    assert_eq!((&put["settings"], &put["configured"], &put["state"]), (&effective, &json!(true), &json!("closed")));
    assert_eq!(read(&tenant, "b").await, put);
    for instance in ["i1", "i2"] {
        report(&tenant, "b", json!({"outcome": "failure", "count": 7, "instance": instance})).await;
    }
    let open = read(&tenant, "b").await;
    assert_eq!(open["state"], "open");
    let put = configure(&tenant, "b", json!({"window": "10s"})).await;
    assert_eq!(
        (&put["state"], &put["since"], &put["next_change"]),
        (&open["state"], &open["since"], &open["next_change"])
    );
    assert_eq!((&put["settings"]["failure_threshold"], &put["settings"]["trip_quorum"]), (&Value::Null, &json!(1)));
    assert_eq!((&put["settings"]["minimum_calls"], &put["settings"]["failure_rate"]), (&json!(10), &json!(0.5)));
    let put = configure(&tenant, "b", json!({"timeout": "2d"})).await;
    assert_eq!((&put["settings"]["failure_threshold"], &put["settings"]["window_ms"]), (&json!(5), &Value::Null));
    assert_eq!(put["settings"]["timeout_max_ms"], 1_728_000_000, "ten times as long, where nothing is said");
}

async fn a_forgotten_breaker_is_as_one_that_never_was(app: App) {
    let tenant = app.tenant().await;
    let before = read(&tenant, "b").await;
    configure(&tenant, "b", json!({"failure_threshold": 1, "timeout": "1h"})).await;
    fail(&tenant, "b", 1).await;
    assert_eq!(acquire(&tenant, "b").await["allowed"], false);
    for _ in 0..2 {
        let forgotten = tenant.delete(&at("b")).await;
        assert_eq!((forgotten.status, forgotten.text.as_str()), (StatusCode::NO_CONTENT, ""));
        assert_eq!(read(&tenant, "b").await, before);
    }
    assert_eq!(acquire(&tenant, "b").await["allowed"], true);
    assert_eq!(tenant.get("/v1/breakers").await.expect(StatusCode::OK)["items"], json!([]));
}

async fn the_last_failures_are_told_newest_first(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 1000})).await;
    for n in 1..=7 {
        let outcome = if n % 2 == 0 { "timeout" } else { "failure" };
        let instance = (n > 4).then(|| format!("i{n}"));
        report(&tenant, "b", json!({"outcome": outcome, "count": n, "instance": instance})).await;
    }
    let breaker = read(&tenant, "b").await;
    let failures = breaker["last_failures"].as_array().unwrap();
    let told: Vec<_> =
        failures.iter().map(|f| (f["count"].clone(), f["outcome"].clone(), f["instance"].clone())).collect();
    let expected = [
        (7, "failure", Some("i7")),
        (6, "timeout", Some("i6")),
        (5, "failure", Some("i5")),
        (4, "timeout", None),
        (3, "failure", None),
    ];
    assert_eq!(told, expected.map(|(count, outcome, instance)| (json!(count), json!(outcome), json!(instance))));
    assert!(failures.iter().all(|failure| millis(failure, "at") > 1_700_000_000_000));
}
