//! Who may call what: every row of the endpoint table, asked by everybody who may not.

use crate::harness::app::{App, On, Tenant};
use crate::harness::redis_server::RedisServer;
use crate::harness::table::{Row, rows_where};
use agentapi::base::clock::Timestamp;
use agentapi::http::Access;
use agentapi::tenancy::Scope;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::{Duration, Instant};

fn tenant_rows() -> Vec<Row> {
    rows_where(|access| matches!(access, Access::Tenant(_)))
}

fn admin_rows() -> Vec<Row> {
    rows_where(|access| access == Access::Admin)
}

/// Keys that are none: malformed, unknown, of another scheme.
fn strangers(app: &App, known: &Tenant) -> Vec<(&'static str, crate::harness::app::Caller)> {
    let (head, tail) = known.secret.split_at(known.secret.len() - 1);
    let miscopied = format!("Bearer {head}{}", if tail == "a" { "b" } else { "a" });
    vec![
        ("nothing", app.anyone()),
        ("an empty token", app.anyone().with("authorization", "Bearer ")),
        ("words", app.anyone().with("authorization", "Bearer let me in")),
        ("a key copied wrongly", app.anyone().with("authorization", &miscopied)),
        ("another scheme", app.anyone().with("authorization", &format!("Basic {}", known.secret))),
        ("the key without a scheme", app.anyone().with("authorization", &known.secret)),
        ("words in X-API-Key", app.anyone().with("x-api-key", "let me in")),
        ("a tenant's name alone", app.anyone().with("x-tenant-id", &known.id)),
    ]
}

#[tokio::test]
async fn without_a_known_key_every_row_is_401_before_its_body_is_read() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    for mut row in [tenant_rows(), admin_rows()].concat() {
        for (who, caller) in strangers(&app, &tenant) {
            let answer = row.send_garbage(&caller).await;
            row.refused(&answer, 401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{row:?} by {who}");
            assert_eq!(answer.header("cache-control"), "no-store", "{row:?} by {who}");
        }
        if row.method == Method::GET {
            row.method = Method::HEAD;
            row.refused(&row.send_garbage(&app.anyone()).await, 401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn a_key_with_every_scope_but_one_lacks_exactly_that_one() {
    let app = App::on(On::Memory);
    let admin = app.admin();
    let tenant = app.tenant().await;
    for scope in Scope::all() {
        let others: Vec<String> = Scope::all().filter(|other| *other != scope).map(|other| other.to_string()).collect();
        let path = format!("/admin/v1/tenants/{}/keys", tenant.id);
        let key = admin.post(&path, json!({"scopes": others})).await.expect(StatusCode::CREATED);
        let lacking = app.anyone().with("x-api-key", key["key"].as_str().unwrap());
        let key = admin.post(&path, json!({"scopes": [scope.to_string()]})).await.expect(StatusCode::CREATED);
        let having = app.anyone().with("x-api-key", key["key"].as_str().unwrap());
        for row in tenant_rows() {
            let (refused, let_in) =
                if row.access == Access::Tenant(scope) { (&lacking, &having) } else { (&having, &lacking) };
            let answer = row.send_garbage(refused).await;
            row.refused(&answer, 403, "insufficient_scope");
            let answer = row.send_garbage(let_in).await;
            assert!(!matches!(answer.status.as_u16(), 401 | 403), "{row:?} with the scope: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_everywhere_until_it_is_active_again() {
    let app = App::on(On::Memory);
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let status = |status: &str| json!({"status": status});
    let path = format!("/admin/v1/tenants/{}", tenant.id);
    app.admin().patch(&path, status("suspended")).await.expect(StatusCode::OK);
    let as_admin = app.admin().with("x-tenant-id", &tenant.id);
    for row in tenant_rows() {
        row.refused(&row.send_garbage(&tenant).await, 403, "tenant_suspended");
        row.refused(&row.send_garbage(&as_admin).await, 403, "tenant_suspended");
        assert_ne!(row.send_garbage(&other).await.status, 403, "{row:?}: another tenant is not concerned");
    }
    app.admin().patch(&path, status("active")).await.expect(StatusCode::OK);
    tenant.get("/v1/sessions").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn the_admin_key_acts_for_the_tenant_it_names_and_for_none_otherwise() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    for row in tenant_rows() {
        row.refused(&row.send_garbage(&app.admin()).await, 400, "invalid_header");
        for bad in ["NOT-AN-ID", "a", "*", "../x"] {
            row.refused(&row.send_garbage(&app.admin().with("x-tenant-id", bad)).await, 400, "invalid_header");
        }
        row.refused(&row.send_garbage(&app.admin().with("x-tenant-id", "nobody")).await, 404, "tenant_not_found");
        let answer = row.send_garbage(&app.admin().with("x-tenant-id", &tenant.id)).await;
        assert!(!matches!(answer.status.as_u16(), 401 | 403), "{row:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_tenants_key_opens_no_row_of_the_admin_api() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    for row in admin_rows() {
        row.refused(&row.send_garbage(&tenant).await, 403, "insufficient_scope");
        row.refused(&row.send_garbage(&tenant.with("x-tenant-id", &tenant.id)).await, 403, "insufficient_scope");
    }
}

#[tokio::test]
async fn without_an_admin_key_there_is_no_admin_api() {
    let app = App::with(On::Memory, &[("ADMIN_API_KEY", "")]);
    for row in admin_rows() {
        row.refused(&row.send_garbage(&app.admin()).await, 404, "not_found");
    }
    for row in tenant_rows() {
        row.refused(&row.send_garbage(&app.admin().with("x-tenant-id", "acme")).await, 401, "unauthorized");
    }
}

#[tokio::test]
async fn a_key_works_in_either_header_and_whatever_the_case_of_the_scheme() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    for (header, value) in [("x-api-key", ""), ("authorization", "Bearer "), ("authorization", "bEARER   ")] {
        let caller = app.anyone().with(header, &format!("{value}{}", tenant.secret));
        caller.get("/v1/sessions").await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn an_expired_key_is_refused_from_its_end_on() {
    let app = App::on(On::Memory);
    let tenant = app.tenant().await;
    let end = Timestamp::from_millis(1_800_000_000_000 + 60_000);
    let body = json!({"expires_at": serde_json::to_value(end).unwrap()});
    let key =
        app.admin().post(&format!("/admin/v1/tenants/{}/keys", tenant.id), body).await.expect(StatusCode::CREATED);
    let caller = app.anyone().with("x-api-key", key["key"].as_str().unwrap());
    app.clock.advance(Duration::from_millis(59_999));
    caller.get("/v1/sessions").await.expect(StatusCode::OK);
    app.clock.advance(Duration::from_millis(1));
    caller.get("/v1/sessions").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn what_an_admin_changes_is_in_force_on_every_instance_a_second_later() {
    let redis = RedisServer::shared();
    let shared = [("REDIS_KEY_PREFIX", "authorization-shared")];
    let (here, there) = (App::over(redis.clone(), &shared), App::over(redis, &shared));
    let (revoked, suspended) = (here.tenant().await, here.tenant().await);
    let over_there = |tenant: &Tenant| there.anyone().with("x-api-key", &tenant.secret);
    let callers = [over_there(&revoked), over_there(&suspended)];
    for caller in &callers {
        caller.get("/v1/sessions").await.expect(StatusCode::OK);
    }
    let admin = here.admin();
    let key = format!("/admin/v1/tenants/{}/keys/{}", revoked.id, revoked.key_id);
    admin.delete(&key).await.expect(StatusCode::NO_CONTENT);
    let tenant = format!("/admin/v1/tenants/{}", suspended.id);
    admin.patch(&tenant, json!({"status": "suspended"})).await.expect(StatusCode::OK);
    let changed = Instant::now();
    revoked.get("/v1/sessions").await.refused(401, "unauthorized");
    suspended.get("/v1/sessions").await.refused(403, "tenant_suspended");
    // The other instance stays in use meanwhile: what it remembers is as fresh as it ever is.
    while changed.elapsed() < Duration::from_secs(1) {
        for caller in &callers {
            assert!(matches!(caller.get("/v1/sessions").await.status.as_u16(), 200 | 401 | 403));
        }
    }
    callers[0].get("/v1/sessions").await.refused(401, "unauthorized");
    callers[1].get("/v1/sessions").await.refused(403, "tenant_suspended");
}
