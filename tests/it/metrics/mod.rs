//! What `/metrics` shows: in either format, to whom, under bounded labels; and that what is made of it (alert rules, a
//! dashboard, a table in the documentation) is made of what is really shown.

mod bounded;
mod counted;
mod documented;
mod exposition;
mod formats;
mod promql;
mod rules;

use crate::harness::app::{App, On, Tenant};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::RestDouble;
use exposition::Exposition;
use reqwest::StatusCode;
use serde_json::json;
use std::sync::Arc;

/// The metrics of an application now.
async fn shown(app: &App) -> Exposition {
    Exposition::read(&app.anyone().get("/metrics").await.text)
}

/// An application with two ways to a Redis of its own, and a REST server that must outlive it.
fn two_ways(variables: &[(&str, &str)]) -> (App, Arc<RestDouble>) {
    let redis = RedisServer::shared();
    let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
    let url = double.url();
    let mut all = vec![("UPSTASH_REDIS_REST_URL", url.as_str()), ("UPSTASH_REDIS_REST_TOKEN", "rest-token")];
    all.extend(variables);
    (App::over(redis, &all), double)
}

/// Does a bit of everything, and some of it wrongly.
async fn use_it(app: &App) -> Tenant {
    let tenant = app.tenant().await;
    let made = tenant.post("/v1/sessions", json!({"user_id": "u", "refresh": true})).await.expect(StatusCode::CREATED);
    let id = made["id"].as_str().expect("an id").to_owned();
    tenant.get(&format!("/v1/sessions/{id}")).await.expect(StatusCode::OK);
    tenant.get("/v1/sessions/nobodys").await.refused(404, "session_not_found");
    let token = made["refresh_token"].as_str().expect("a refresh token");
    tenant.post("/v1/sessions/refresh", json!({"refresh_token": token})).await.expect(StatusCode::OK);
    tenant.delete("/v1/users/u/sessions").await.expect(StatusCode::OK);
    tenant.put("/v1/tokens/u/p", json!({"access_token": "secret"})).await.expect(StatusCode::CREATED);
    tenant.get("/v1/tokens/u/p").await.expect(StatusCode::OK);
    let flag = json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"});
    tenant.put("/v1/flags/f", flag).await.expect(StatusCode::CREATED);
    tenant.post("/ofrep/v1/evaluate/flags/f", json!({"context": {}})).await.expect(StatusCode::OK);
    tenant.post("/v1/ratelimit/check", json!({"key": "k", "limit": 1, "window": "10d"})).await.expect(StatusCode::OK);
    tenant.get("/nowhere").await.refused(404, "not_found");
    app.anyone().get("/v1/sessions").await.refused(401, "unauthorized");
    tenant
}

/// Everything that any application shows once it was used: on memory, over two ways, with tenants named.
async fn everything() -> Exposition {
    let memory = App::with(On::Memory, &[("METRICS_TENANTS", "top:5"), ("RATE_LIMIT_ENABLED", "true")]);
    let (both, double) = two_ways(&[]);
    let mut all = Exposition::default();
    for app in [&memory, &both] {
        use_it(app).await;
        all.add(shown(app).await);
    }
    drop((both, double));
    all
}
