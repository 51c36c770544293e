//! States by hand: who set them, why, and for how long.

use super::{SHORT, acquire, at, configure, fail, force, read, report};
use crate::api::{millis, suite};
use crate::harness::app::App;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

suite! {
    a_state_by_hand_holds_whatever_is_reported
    a_forced_state_says_by_whom_and_why
    auto_gives_the_breaker_back_closed
    a_forced_state_ends_with_its_time
}

async fn a_state_by_hand_holds_whatever_is_reported(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 1, "timeout": "1h"})).await;
    for (wanted, state, allowed) in
        [("open", "forced_open", false), ("closed", "forced_closed", true), ("disabled", "disabled", true)]
    {
        assert_eq!(force(&tenant, "b", json!({"state": wanted})).await["state"], state);
        for outcome in ["failure", "success", "timeout"] {
            assert_eq!(report(&tenant, "b", json!({"outcome": outcome})).await["state"], state, "{outcome}");
            let asked = acquire(&tenant, "b").await;
            assert_eq!((&asked["allowed"], &asked["state"]), (&json!(allowed), &json!(state)), "{outcome}");
            assert!(asked["permit"].is_null() || allowed, "{asked}");
        }
        assert_eq!(read(&tenant, "b").await["state"], state);
    }
}

async fn a_forced_state_says_by_whom_and_why(app: App) {
    let tenant = app.tenant().await;
    let reason = "Wartung der Datenbank \u{1f6e0} ".repeat(11);
    let reason: String = reason.chars().take(256).collect();
    assert_eq!(reason.chars().count(), 256);
    let forced = force(&tenant, "b", json!({"state": "open", "reason": reason})).await;
    assert_eq!(forced["forced"], json!({"actor": tenant.key_id, "reason": reason, "until": null}));
    assert_eq!((&forced["next_change"], &forced.get("retry_after_ms")), (&Value::Null, &None));
    assert_eq!(read(&tenant, "b").await, forced);
    let admin = app.admin().with("x-tenant-id", &tenant.id);
    // No two changes are of the same moment, on a clock that stands still too.
    app.clock.advance(Duration::from_millis(1));
    let forced = force(&admin, "b", json!({"state": "closed", "ttl": 3600})).await;
    assert_eq!((&forced["forced"]["actor"], &forced["forced"]["reason"]), (&json!("admin"), &Value::Null));
    assert_eq!(forced["forced"]["until"], forced["next_change"]);
    let breaker = read(&tenant, "b").await;
    assert_eq!(breaker, forced);
    assert_eq!(millis(&breaker, "next_change") - millis(&breaker, "since"), 3_600_000);
    assert_eq!(tenant.get("/v1/breakers").await.expect(StatusCode::OK)["items"], json!([breaker]));
}

async fn auto_gives_the_breaker_back_closed(app: App) {
    let tenant = app.tenant().await;
    configure(&tenant, "b", json!({"failure_threshold": 1, "timeout": "1h"})).await;
    assert_eq!(fail(&tenant, "b", 1).await, "open");
    force(&tenant, "b", json!({"state": "open"})).await;
    let back = force(&tenant, "b", json!({"state": "auto", "reason": "over"})).await;
    assert_eq!((&back["state"], &back["forced"], &back["configured"]), (&json!("closed"), &Value::Null, &json!(true)));
    assert_eq!(acquire(&tenant, "b").await["allowed"], true);
    assert_eq!(fail(&tenant, "b", 1).await, "open", "it decides again");
    assert_eq!(force(&tenant, "b", json!({"state": "auto"})).await["state"], "closed");
}

async fn a_forced_state_ends_with_its_time(app: App) {
    let tenant = app.tenant().await;
    let forced = force(&tenant, "b", json!({"state": "open", "ttl": "1h"})).await;
    let left = forced["retry_after_ms"].as_u64().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{forced}");
    assert_eq!(acquire(&tenant, "b").await["allowed"], false);
    force(&tenant, "b", json!({"state": "open", "ttl": SHORT})).await;
    app.clock.advance(Duration::from_millis(50));
    let begun = Instant::now();
    while acquire(&tenant, "b").await["allowed"] == false {
        assert!(begun.elapsed() < Duration::from_secs(30), "it stays forced");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let breaker = read(&tenant, "b").await;
    assert_eq!((&breaker["state"], &breaker["forced"]), (&json!("closed"), &Value::Null));
    tenant.delete(&at("b")).await.expect(StatusCode::NO_CONTENT);
}
