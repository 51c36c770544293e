//! A tenant's part of it.

use super::{IN_FLIGHT, PATIENCE, SLOW, Unfinished, key, metric, tenant, turned_away, until};
use crate::harness::app::{App, On};
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_tenant_over_its_share_is_refused_while_others_are_served() {
    let app = App::with(On::Memory, &[&SLOW[..], &[("MAX_IN_FLIGHT", "8"), ("WORKERS", "2")]].concat());
    let body = json!({"id": "greedy", "limits": {"max_in_flight": 2}, "create_key": true});
    let made = app.admin().post("/admin/v1/tenants", body).await.expect(StatusCode::CREATED);
    let second = app.admin().post("/admin/v1/tenants/greedy/keys", json!({})).await.expect(StatusCode::CREATED);
    let (credential, greedy) = (format!("x-api-key: {}", key(&made)), app.anyone().with("x-api-key", key(&made)));
    let other = tenant(&app, "other", None).await;
    let held: Vec<_> = (0..2).map(|n| Unfinished::create(&app, &credential, &format!("s{n}"))).collect();
    until(&app, IN_FLIGHT, 2).await;

    // Connections of their own, so that each worker gets some.
    for _ in 0..4 {
        let through = crate::harness::app::Caller::of(&app.base);
        turned_away(&through.with("x-api-key", key(&made)).get("/v1/sessions").await, "tenant_busy");
        turned_away(
            &through.with("x-api-key", second["key"].as_str().unwrap()).get("/v1/sessions").await,
            "tenant_busy",
        );
    }
    turned_away(&app.admin().with("x-tenant-id", "greedy").get("/v1/sessions").await, "tenant_busy");
    other.get("/v1/sessions").await.expect(StatusCode::OK);
    app.admin().get("/admin/v1/tenants").await.expect(StatusCode::OK);
    assert_eq!(metric(&app, "agentapi_http_overload_refusals_total{reason=\"tenant\"}").await, 9);

    // Its record changes, and what it has in flight is still counted.
    let change = json!({"limits": {"max_in_flight": 3}});
    app.admin().patch("/admin/v1/tenants/greedy", change).await.expect(StatusCode::OK);
    let begun = Instant::now();
    while greedy.get("/v1/sessions").await.status != StatusCode::OK {
        assert!(begun.elapsed() < PATIENCE, "the new share is not in force");
    }
    let third = Unfinished::create(&app, &credential, "s2");
    until(&app, IN_FLIGHT, 3).await;
    turned_away(&greedy.get("/v1/sessions").await, "tenant_busy");

    for request in held.into_iter().chain([third]) {
        assert_eq!(request.finish(), "HTTP/1.1 201 Created");
    }
    until(&app, IN_FLIGHT, 0).await;
    greedy.get("/v1/sessions").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn half_of_all_is_a_tenants_share_where_nothing_else_is_said() {
    let app = App::with(On::Memory, &[&SLOW[..], &[("MAX_IN_FLIGHT", "5")]].concat());
    let tenant = app.tenant().await;
    let credential = format!("x-api-key: {}", tenant.secret);
    let held: Vec<_> = (0..2).map(|n| Unfinished::create(&app, &credential, &format!("s{n}"))).collect();
    until(&app, IN_FLIGHT, 2).await;
    turned_away(&tenant.get("/v1/sessions").await, "tenant_busy");
    drop(held);
    until(&app, IN_FLIGHT, 0).await;
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_large_batch_counts_as_much_as_it_asks_for() {
    let redis = RedisServer::shared();
    let proxy = ChaosProxy::before(redis.port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let app = App::over(redis, &[&SLOW[..], &[("REDIS_URL", &url), ("MAX_IN_FLIGHT", "250")]].concat());
    let tenant = app.tenant().await;
    let ids: Vec<String> = (0..1000).map(|n| format!("nobody-of-this-name-{n}")).collect();
    let batch = json!({"get": ids});
    // What is known of the tenant's key must be asked for every second: then a batch waits before it is
    // weighed, and the attempt does not count.
    for _ in 0..20 {
        tenant.get("/v1/sessions").await.expect(StatusCode::OK);
        proxy.set(Mode::Hold);
        let (caller, body) = (app.anyone().with("x-api-key", &tenant.secret), batch.clone());
        let first = tokio::spawn(async move { caller.post("/v1/sessions/batch", body).await });
        let begun = Instant::now();
        while metric(&app, IN_FLIGHT).await != 125 && begun.elapsed() < Duration::from_millis(300) {}
        let weighed = metric(&app, IN_FLIGHT).await == 125;
        let second = tokio::time::timeout(Duration::from_secs(1), tenant.post("/v1/sessions/batch", batch.clone()));
        let second = if weighed { second.await.ok() } else { None };
        proxy.set(Mode::Pass);
        first.await.unwrap().expect(StatusCode::OK);
        until(&app, IN_FLIGHT, 0).await;
        if let Some(second) = second {
            return turned_away(&second, "tenant_busy");
        }
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    panic!("no batch was weighed while another was in flight");
}
