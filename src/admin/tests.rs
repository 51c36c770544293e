//! The admin API over the embedded backend, without a socket.

use crate::base::clock::{ManualClock, Timestamp};
use crate::base::deadline::Deadline;
use crate::base::secret::Secret;
use crate::base::text::TenantId;
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Database, Error};
use crate::http::ports::{Begun, IdempotencyRecords, KeptAnswer, KeyedRequest};
use crate::http::server::Draining;
use crate::http::{self, Admission, HttpMetrics, Platform, PlatformSettings};
use crate::tenancy::{Registry, RegistrySettings, Verification};
use actix_web::body::to_bytes;
use actix_web::dev::{Service, ServiceFactory};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::test::TestRequest;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

const ADMIN_KEY: &str = "an-admin-key-of-at-least-32-characters";

/// Every request is the first of its key: the platform's own tests have the rest.
struct NothingKept;

impl IdempotencyRecords for NothingKept {
    fn begin<'a>(&'a self, _: KeyedRequest<'a>) -> LocalBoxFuture<'a, Result<Begun, Error>> {
        Box::pin(async { Ok(Begun::First(String::new())) })
    }

    fn finish<'a>(&'a self, _: KeyedRequest<'a>, _: &'a KeptAnswer) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn abandon<'a>(&'a self, _: KeyedRequest<'a>, _: &'a str) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

struct World {
    clock: ManualClock,
    registry: Arc<Registry>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and code of a refusal.
    fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or("none"))
    }
}

impl World {
    fn new() -> World {
        let clock = ManualClock::at(Timestamp::parse_rfc3339("2026-01-31T08:00:00Z").unwrap());
        let shared = Arc::new(clock.clone());
        let memory = Arc::new(Memory::new(shared.clone()));
        let database = Database::new(memory, "agentapi", BackendClock::new(shared.clone()));
        let registry = Registry::new(database.system(), shared, RegistrySettings::default());
        World { clock, registry: Arc::new(registry) }
    }

    /// One request with the admin key and these headers.
    async fn call_with(&self, method: &str, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        let settings = PlatformSettings {
            max_body_bytes: 1 << 20,
            max_in_flight: 1024,
            request_timeout: Duration::from_secs(2),
            admin_key: Some(Secret::new(ADMIN_KEY.to_owned())),
            max_event_streams: 3,
            max_event_streams_of_tenant: 2,
            event_heartbeat: Duration::from_secs(20),
            sessions_stand_in: false,
            cors_origins: None,
        };
        let metrics = HttpMetrics::register(&mut prometheus_client::registry::Registry::default());
        let admission = Arc::new(Admission::new(&settings, 1));
        let platform = Platform::new(
            settings,
            self.registry.clone(),
            Arc::new(NothingKept),
            metrics,
            Draining::default(),
            admission,
        );
        let service = http::service(super::endpoints(), platform).new_service(()).await.unwrap();
        let request = TestRequest::with_uri(path).method(Method::from_bytes(method.as_bytes()).unwrap());
        let request = request.insert_header(("authorization", format!("Bearer {ADMIN_KEY}")));
        let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
        let request = match body {
            Some(body) => request.set_json(body),
            None => request,
        };
        let response = service.call(request.to_request()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body()).await.ok().unwrap();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, headers, body }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    async fn made(&self, tenant: &str) {
        let answer = self.call("POST", "/admin/v1/tenants", Some(json!({"id": tenant}))).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    async fn knows(&self, key: &Value) -> bool {
        matches!(self.registry.verify(key.as_str().unwrap(), Deadline::NONE).await, Ok(Verification::Known(_)))
    }
}

#[tokio::test]
async fn a_tenant_is_made_with_a_first_key_that_works() {
    let world = World::new();
    let body = json!({"id": "acme", "name": "Acme", "limits": {"burst_size": 3}, "settings": {"session_ttl": "15m"}, "create_key": true});
    let answer = world.call("POST", "/admin/v1/tenants", Some(body.clone())).await;
    assert_eq!(answer.status, 201);
    assert_eq!((answer.header("location"), answer.header("etag")), ("/admin/v1/tenants/acme", "\"1\""));
    assert_eq!(answer.header("cache-control"), "no-store");
    let mut made = answer.body;
    let key = made.as_object_mut().unwrap().remove("api_key").unwrap();
    let time = "2026-01-31T08:00:00.000Z";
    assert_eq!(
        made,
        json!({"id": "acme", "name": "Acme", "status": "active", "limits": {"burst_size": 3}, "settings": {"session_ttl": 900},
            "version": 1, "created_at": time, "updated_at": time})
    );
    assert_eq!((&key["scopes"], &key["tenant"], &key["expires_at"]), (&json!(["*"]), &json!("acme"), &Value::Null));
    assert!(world.knows(&key["key"]).await);
    assert_eq!(world.call("POST", "/admin/v1/tenants", Some(body)).await.refusal(), (409, "tenant_exists"));
    assert_eq!(world.call("GET", "/admin/v1/tenants/acme", None).await.body, made);
    let keys = world.call("GET", "/admin/v1/tenants/acme/keys", None).await;
    assert_eq!(keys.body["items"].as_array().unwrap().len(), 1, "the refused one issued none");
}

#[tokio::test]
async fn a_tenant_without_create_key_has_no_key() {
    let world = World::new();
    let answer = world.call("POST", "/admin/v1/tenants", Some(json!({"id": "acme"}))).await;
    assert_eq!((answer.status, answer.body.get("api_key")), (201, None));
    assert_eq!(world.call("GET", "/admin/v1/tenants/acme/keys", None).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_body_that_is_not_valid_is_pointed_at_and_makes_nothing() {
    let world = World::new();
    for (body, pointer) in [
        (json!({}), "/id"),
        (json!({"id": "A"}), "/id"),
        (json!({"id": "acme", "nope": 1}), "/nope"),
        (json!({"id": "acme", "name": ""}), "/name"),
        (json!({"id": "acme", "limits": {"requests_per_minute": 0}}), "/limits/requests_per_minute"),
        (json!({"id": "acme", "limits": {"more": 1}}), "/limits/more"),
        (json!({"id": "acme", "settings": {"session_ttl": "1x"}}), "/settings/session_ttl"),
        (json!({"id": "acme", "create_key": "yes"}), "/create_key"),
    ] {
        let answer = world.call("POST", "/admin/v1/tenants", Some(body.clone())).await;
        assert_eq!(answer.refusal(), (422, "validation_failed"), "{body}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}");
    }
    assert_eq!(world.call("GET", "/admin/v1/tenants", None).await.body["items"], json!([]));
    world.made("acme").await;
    for (body, pointer) in [
        (json!({"scopes": ["nonsense"]}), "/scopes"),
        (json!({"scopes": []}), "/scopes"),
        (json!({"expires_at": "tomorrow"}), "/expires_at"),
        (json!({"expires_at": "2026-01-31T08:00:00Z"}), "/expires_at"),
        (json!({"id": "x"}), "/id"),
    ] {
        let answer = world.call("POST", "/admin/v1/tenants/acme/keys", Some(body.clone())).await;
        assert_eq!(
            (answer.refusal(), &answer.body["errors"][0]["pointer"]),
            ((422, "validation_failed"), &json!(pointer))
        );
    }
    assert_eq!(world.call("GET", "/admin/v1/tenants/acme/keys", None).await.body["items"], json!([]));
}

#[tokio::test]
async fn tenants_are_listed_in_pages_by_a_cursor() {
    let world = World::new();
    for tenant in ["c1", "a1", "b1"] {
        world.made(tenant).await;
    }
    let first = world.call("GET", "/admin/v1/tenants?limit=2", None).await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.call("GET", &format!("/admin/v1/tenants?limit=2&cursor={cursor}"), None).await.body;
    let ids = |page: &Value| page["items"].as_array().unwrap().iter().map(|t| t["id"].clone()).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&second)), (vec![json!("a1"), json!("b1")], vec![json!("c1")]));
    assert_eq!(second["next_cursor"], Value::Null);
    let elsewhere = world.call("GET", &format!("/admin/v1/tenants/a1/keys?cursor={cursor}"), None).await;
    assert_eq!(elsewhere.refusal(), (400, "invalid_cursor"));
}

#[tokio::test]
async fn a_change_honours_its_conditions_and_suspends() {
    let world = World::new();
    world.made("acme").await;
    let path = "/admin/v1/tenants/acme";
    let suspend = json!({"status": "suspended", "limits": {"max_in_flight": 5}});
    let answer = world.call_with("PATCH", path, Some(suspend), &[("if-match", "\"1\"")]).await;
    assert_eq!((answer.status, answer.header("etag"), &answer.body["status"]), (200, "\"2\"", &json!("suspended")));
    let late = world.call_with("PATCH", path, Some(json!({"name": "late"})), &[("if-match", "\"1\"")]).await;
    assert_eq!(late.refusal(), (412, "version_mismatch"));
    let merged = world.call("PATCH", path, Some(json!({"limits": {"burst_size": 1}}))).await;
    assert_eq!(merged.body["limits"], json!({"burst_size": 1, "max_in_flight": 5}));
    assert_eq!((&merged.body["name"], &merged.body["status"]), (&Value::Null, &json!("suspended")));
    let fault = world.call("PATCH", path, Some(json!({"status": "gone"}))).await;
    assert_eq!((fault.refusal(), &fault.body["errors"][0]["pointer"]), ((422, "validation_failed"), &json!("/status")));
    let known = world.call_with("GET", path, None, &[("if-none-match", "\"3\"")]).await;
    assert_eq!((known.status, known.header("etag")), (304, "\"3\""));
    assert_eq!(world.call_with("GET", path, None, &[("if-none-match", "\"2\"")]).await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_a_404_of_its_kind() {
    let world = World::new();
    world.made("acme").await;
    world.made("other").await;
    let issued = world.call("POST", "/admin/v1/tenants/other/keys", None).await.body;
    let foreign = issued["id"].as_str().unwrap();
    for (method, path, body, code) in [
        ("GET", "nobody".to_owned(), None, "tenant_not_found"),
        ("PATCH", "nobody".to_owned(), Some(json!({})), "tenant_not_found"),
        ("GET", "nobody/keys".to_owned(), None, "tenant_not_found"),
        ("POST", "nobody/keys".to_owned(), None, "tenant_not_found"),
        ("DELETE", "acme/keys/short".to_owned(), None, "key_not_found"),
        ("DELETE", "acme/keys/%2A".to_owned(), None, "key_not_found"),
        ("DELETE", format!("acme/keys/{foreign}"), None, "key_not_found"),
        ("POST", format!("acme/keys/{foreign}/rotate"), None, "key_not_found"),
        ("DELETE", format!("nobody/keys/{foreign}"), None, "key_not_found"),
    ] {
        let answer = world.call(method, &format!("/admin/v1/tenants/{path}"), body).await;
        assert_eq!(answer.refusal(), (404, code), "{method} {path}");
    }
    assert!(world.knows(&issued["key"]).await, "another tenant's key is untouched");
    assert_eq!(world.call("GET", "/admin/v1/tenants/A%2F", None).await.refusal(), (400, "invalid_name"));
}

#[tokio::test]
async fn a_key_is_issued_listed_rotated_and_revoked_and_shown_once() {
    let world = World::new();
    world.made("acme").await;
    let keys = "/admin/v1/tenants/acme/keys";
    let asked =
        json!({"name": "ci", "scopes": ["sessions:write", "sessions:read"], "expires_at": "2026-02-01T08:00:00Z"});
    let issued = world.call("POST", keys, Some(asked)).await;
    let id = issued.body["id"].as_str().unwrap();
    assert_eq!((issued.status, issued.header("location")), (201, format!("{keys}/{id}").as_str()));
    assert_eq!(issued.body["scopes"], json!(["sessions:read", "sessions:write"]));
    assert!(world.knows(&issued.body["key"]).await);

    let mut shown = issued.body.clone();
    let secret = shown.as_object_mut().unwrap().remove("key").unwrap();
    let rotated = world.call("POST", &format!("{keys}/{id}/rotate"), Some(json!({"overlap": "1h"}))).await;
    assert_eq!((rotated.status, &rotated.body["name"]), (201, &json!("ci")));
    assert_eq!(rotated.body["expires_at"], "2026-02-01T08:00:00.000Z");
    let listed = world.call("GET", keys, None).await.body;
    assert!(!listed.to_string().contains("agk_"), "{listed}");
    let old = listed["items"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
    assert_eq!(old["expires_at"], "2026-01-31T09:00:00.000Z", "the end of the overlap");
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert!(world.knows(&secret).await && world.knows(&rotated.body["key"]).await);
    world.clock.advance(Duration::from_secs(3600));
    assert!(!world.knows(&secret).await && world.knows(&rotated.body["key"]).await);

    let new = format!("{keys}/{}", rotated.body["id"].as_str().unwrap());
    let revoked = world.call("DELETE", &new, None).await;
    assert_eq!((revoked.status, revoked.body), (204, Value::Null));
    assert!(!world.knows(&rotated.body["key"]).await);
    assert_eq!(world.call("DELETE", &new, None).await.refusal(), (404, "key_not_found"));
    assert!(world.registry.load_tenant(&TenantId::parse("acme").unwrap()).await.unwrap().is_some());
}

#[tokio::test]
async fn without_a_body_a_rotated_key_ends_at_once_and_a_new_key_may_do_everything() {
    let world = World::new();
    world.made("acme").await;
    let keys = "/admin/v1/tenants/acme/keys";
    let issued = world.call("POST", keys, None).await.body;
    assert_eq!(issued["scopes"], json!(["*"]));
    let rotated = world.call("POST", &format!("{keys}/{}/rotate", issued["id"].as_str().unwrap()), None).await.body;
    assert!(!world.knows(&issued["key"]).await && world.knows(&rotated["key"]).await);
}

#[tokio::test]
async fn only_the_admin_key_opens_the_admin_api() {
    let world = World::new();
    let made = world.call("POST", "/admin/v1/tenants", Some(json!({"id": "acme", "create_key": true}))).await.body;
    let bearer = format!("Bearer {}", made["api_key"]["key"].as_str().unwrap());
    for row in super::endpoints().rows() {
        let path = row.path.replace("{tenant}", "acme").replace("{key_id}", "k").replace("{job_id}", "j");
        let as_tenant = world.call_with(row.method.as_str(), &path, None, &[("authorization", &bearer)]).await;
        assert_eq!(as_tenant.refusal(), (403, "insufficient_scope"), "{} {path}", row.method);
        let as_nobody = world.call_with(row.method.as_str(), &path, None, &[("authorization", "Bearer x")]).await;
        assert_eq!(as_nobody.refusal(), (401, "unauthorized"), "{} {path}", row.method);
        assert_eq!(as_nobody.headers.get("www-authenticate"), Some(&HeaderValue::from_static("Bearer")));
    }
}

thread_local! {
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Collects what its thread logs.
struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_with_before_and_after_and_no_key_is() {
    // For the whole process: one for this thread alone is not asked about places in the code that another
    // thread comes by first.
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(|| Log).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = World::new();
    let made = world.call("POST", "/admin/v1/tenants", Some(json!({"id": "acme", "create_key": true}))).await.body;
    world.call("PATCH", "/admin/v1/tenants/acme", Some(json!({"name": "new name"}))).await;
    let key = format!("/admin/v1/tenants/acme/keys/{}", made["api_key"]["id"].as_str().unwrap());
    let rotated = world.call("POST", &format!("{key}/rotate"), Some(json!({"overlap": 60}))).await.body;
    world.call("DELETE", &key, None).await;
    // Refused, so not a change.
    world.call("DELETE", &key, None).await;
    world.call("POST", "/admin/v1/tenants", Some(json!({"id": "acme"}))).await;
    world.call("GET", "/admin/v1/tenants/acme/keys", None).await;

    let text = String::from_utf8(LOGGED.take()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let audit: Vec<&Value> =
        lines.iter().filter(|l| l["target"] == crate::http::AUDIT_LOG).map(|line| &line["fields"]).collect();
    let actions: Vec<_> = audit.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["tenant.create", "key.create", "tenant.change", "key.rotate", "key.revoke"]);
    for line in &audit {
        assert_eq!((&line["tenant"], &line["actor"]), (&json!("acme"), &json!("admin")), "{line}");
        assert!(line["address"].is_string(), "{line}");
    }
    let resource = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap();
    let change = audit[2];
    assert_eq!(
        (&resource(&change["before"])["name"], &resource(&change["after"])["name"]),
        (&Value::Null, &json!("new name"))
    );
    assert_eq!(audit[3]["key_id"], made["api_key"]["id"]);
    assert_eq!(resource(&audit[3]["after"])["id"], rotated["id"]);
    for secret in [&made["api_key"]["key"], &rotated["key"]] {
        let secret = secret.as_str().unwrap();
        assert!(!text.contains(&secret[20..40]) && !text.contains("agk_"));
    }
    assert!(!text.contains(ADMIN_KEY));
}
