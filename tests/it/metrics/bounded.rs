//! Whatever clients send, it makes no series and stands nowhere among the metrics.

use super::{shown, two_ways, use_it};
use crate::harness::app::{App, On};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;

/// Everything that somebody may name, with a name that would be found again.
async fn name_canaries(app: &App, number: usize) {
    let tenant = app.tenant().await;
    let canary = format!("canary-{number}");
    let body = json!({"user_id": canary, "id": canary, "data": {"canary": canary}});
    tenant.post("/v1/sessions", body).await.expect(StatusCode::CREATED);
    for path in ["/v1/sessions/", "/v1/flags/", "/v1/breakers/", "/canary/", "/v1/%22canary%0A", "/ofrep/v1/canary/"] {
        tenant.get(&format!("{path}{canary}")).await;
        let method = Method::from_bytes(format!("CANARY{number}").as_bytes()).expect("a method");
        tenant.send(method, &format!("{path}{canary}"), None).await;
    }
    tenant.put(&format!("/v1/tokens/{canary}/{canary}"), json!({"access_token": "canary-secret"})).await;
    let flag = json!({"state": "ENABLED", "variants": {"canary": true}, "defaultVariant": "canary"});
    tenant.put(&format!("/v1/flags/{canary}"), flag).await.expect(StatusCode::CREATED);
    tenant.post(&format!("/ofrep/v1/evaluate/flags/{canary}"), json!({"context": {"canary": canary}})).await;
    app.anyone().with("authorization", "Bearer canary").with("user-agent", &canary).get("/v1/sessions").await;
}

#[tokio::test]
async fn what_clients_name_stands_nowhere_and_makes_no_series() {
    let (both, _double) = two_ways(&[]);
    for app in [App::on(On::Memory), both] {
        let tenant = use_it(&app).await;
        name_canaries(&app, 0).await;
        let series = |exposition: super::Exposition| {
            exposition.samples().map(|(name, labels, _)| format!("{name}{labels:?}")).collect::<BTreeSet<_>>()
        };
        // That they are read is counted too.
        drop(shown(&app).await);
        let before = series(shown(&app).await);
        for number in 1..8 {
            name_canaries(&app, number).await;
        }
        let text = app.anyone().get("/metrics").await.text;
        for secret in ["canary", "CANARY", &tenant.id, &tenant.secret, &tenant.key_id] {
            assert!(!text.contains(secret), "{secret} is in\n{text}");
        }
        let after = series(super::Exposition::read(&text));
        // What is first asked for by the background in the meantime is of the backend alone.
        let new: Vec<_> = after.difference(&before).filter(|series| !series.contains("db_operation_name")).collect();
        assert!(new.is_empty(), "{new:?}");
    }
}

#[tokio::test]
async fn every_route_among_the_labels_is_one_of_the_table() {
    let app = App::on(On::Memory);
    use_it(&app).await;
    let rows = agentapi::app::described();
    let known: BTreeSet<String> = rows.rows().map(|row| row.path.clone()).chain([String::new()]).collect();
    let documents = ["/docs", "/openapi.json"].map(str::to_owned);
    for (_, labels, _) in shown(&app).await.samples() {
        if let Some(route) = labels.get("http_route") {
            assert!(known.contains(route) || documents.contains(route), "{route}");
        }
    }
}

#[tokio::test]
async fn tenants_are_named_only_where_that_is_wanted_and_only_the_busiest() {
    let silent = App::on(On::Memory);
    use_it(&silent).await;
    assert!(!silent.anyone().get("/metrics").await.text.contains("agentapi_tenant_requests"));

    let app = App::with(On::Memory, &[("METRICS_TENANTS", "top:2")]);
    let mut tenants = Vec::new();
    for _ in 0..5 {
        tenants.push(app.tenant().await);
    }
    for (number, tenant) in tenants.iter().enumerate() {
        for _ in 0..=number {
            tenant.get("/v1/sessions").await.expect(StatusCode::OK);
        }
    }
    // From the first look on the busiest have series of their own.
    shown(&app).await;
    for _ in 0..3 {
        tenants[4].get("/v1/sessions").await.expect(StatusCode::OK);
    }
    tenants[0].get("/v1/sessions").await.expect(StatusCode::OK);
    let now = shown(&app).await;
    let counted = |tenant: &str| now.sum("agentapi_tenant_requests_total", &[("tenant", tenant)]);
    let named = now.0["agentapi_tenant_requests_total"].samples.iter().map(|(_, labels, _)| labels["tenant"].as_str());
    let expected = BTreeSet::from(["_other", &tenants[3].id, &tenants[4].id]);
    assert_eq!(named.collect::<BTreeSet<_>>(), expected);
    assert_eq!((counted(&tenants[4].id), now.sum("agentapi_tenant_requests_total", &[])), (3.0, 19.0));
}

#[test]
fn what_is_no_number_of_tenants_is_a_mistake() {
    use agentapi::base::env::Env;
    use agentapi::config::Config;
    let read = |value: &str| {
        let mut env = Env::new([("METRICS_TENANTS".to_owned(), value.to_owned())]);
        let tenants = Config::read(&mut env).metrics_tenants;
        env.finish().map(|()| tenants).map_err(|mistakes| mistakes.0)
    };
    assert_eq!((read("none"), read("top:1"), read("top:100")), (Ok(None), Ok(Some(1)), Ok(Some(100))));
    for wrong in ["top:0", "top:101", "top:", "top", "20", "all", "top:-1"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
