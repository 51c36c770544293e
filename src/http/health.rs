//! For those who run the server: whether it lives, whether it can serve, and what it counts.

use super::answer::json;
use super::endpoint::Access;
use super::endpoints::Endpoints;
use super::ports::{BackendState, Health};
use super::problem::Problem;
use crate::base::code::Code;
use crate::base::id;
use crate::base::secret::Secret;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL};
use actix_web::{HttpRequest, HttpResponse};
use prometheus_client::registry::Registry;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// What `/status` and `/health` answer.
#[derive(Serialize, JsonSchema)]
struct Status {
    status: &'static str,
    version: &'static str,
    uptime_s: u64,
    transport: &'static str,
    redis_status: &'static str,
    /// Where Redis is reached both natively and over REST: `ready`; `active` while REST stands in; `unproven` while
    /// it is not known whether both lead to the same database; `off` where they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<&'static str>,
}

/// What the Kubernetes probes are answered.
#[derive(Serialize, JsonSchema)]
struct Checks {
    status: &'static str,
    checks: Vec<Check>,
}

/// One line of it.
#[derive(Serialize, JsonSchema)]
struct Check {
    name: &'static str,
    status: &'static str,
}

fn word(serves: bool) -> &'static str {
    if serves { "ok" } else { "unavailable" }
}

fn summary(state: BackendState) -> &'static str {
    if state.serves && state.is_degraded { "degraded" } else { word(state.serves) }
}

fn answer(status: StatusCode, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    json(HttpResponse::build(status).insert_header((CACHE_CONTROL, "no-store")), body)
}

fn code(state: BackendState) -> StatusCode {
    if state.serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn status(health: Arc<dyn Health>) -> (BackendState, Status) {
    let state = health.backend().await;
    let status = Status {
        status: summary(state),
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: health.uptime(),
        transport: state.transport,
        redis_status: state.redis_status,
        failover: state.failover,
    };
    (state, status)
}

async fn ready(health: Arc<dyn Health>) -> Result<HttpResponse, Problem> {
    let state = health.backend().await;
    let mut checks = vec![Check { name: "backend", status: word(state.answers) }];
    if state.stands_in {
        checks.push(Check { name: "sessions", status: "degraded" });
    }
    answer(code(state), &Checks { status: summary(state), checks })
}

/// The metrics, in OpenMetrics text, which the older text format's parsers read as well.
fn metrics(request: &HttpRequest, registry: &Registry, token: Option<&Secret>) -> Result<HttpResponse, Problem> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let presented = header(AUTHORIZATION).split_once(' ').map_or("", |(_, token)| token);
    if token.is_some_and(|token| {
        !id::same_digest(&id::sha256(presented.as_bytes()), &id::sha256(token.expose().as_bytes()))
    }) {
        return Err(Problem::new(Code::Unauthorized, "Send METRICS_TOKEN as a Bearer token."));
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)
        .map_err(|_| Problem::new(Code::Internal, "The metrics cannot be written."))?;
    let kind = if header(ACCEPT).contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    Ok(HttpResponse::Ok().content_type(kind).body(text))
}

/// The endpoints of this module.
pub fn health(health: Arc<dyn Health>, registry: Arc<Registry>, metrics_token: Option<Secret>) -> Endpoints {
    let (for_status, for_people, for_ready) = (health.clone(), health.clone(), health);
    Endpoints::default()
        .get("/status", Access::Public, move || {
            let health = for_status.clone();
            async move {
                let (state, status) = status(health).await;
                answer(code(state), &status)
            }
        })
        .says("Whether requests can be served, for load balancers: 200, or 503")
        .answers::<Status>(200, "They can")
        .answers::<Status>(503, "They cannot")
        .get("/health", Access::Public, move || {
            let health = for_people.clone();
            async move { answer(StatusCode::OK, &status(health).await.1) }
        })
        .says("The same for people: 200 while the process lives")
        .answers::<Status>(200, "How it is")
        .get("/health/live", Access::Public, || async {
            answer(StatusCode::OK, &Checks { status: "ok", checks: Vec::new() })
        })
        .says("Whether the process lives; never asks the backend")
        .answers::<Checks>(200, "It lives")
        .get("/health/ready", Access::Public, move || ready(for_ready.clone()))
        .says("Whether requests can be served, a line per check: 200, or 503")
        .answers::<Checks>(200, "They can")
        .answers::<Checks>(503, "They cannot")
        .get("/metrics", Access::Public, move |request: HttpRequest| {
            let answer = metrics(&request, &registry, metrics_token.as_ref());
            async move { answer }
        })
        .says("Counters and timings for Prometheus, as text or OpenMetrics; METRICS_TOKEN protects it when set")
        .answers_empty(200, "The metrics, as text")
        .refuses(&[Code::Unauthorized])
}
