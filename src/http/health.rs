//! For those who run the server: whether it lives, whether it can serve, and what it counts.

use super::answer::json;
use super::classic_text;
use super::endpoint::Access;
use super::endpoints::Endpoints;
use super::ports::{BackendState, Health};
use super::problem::Problem;
use super::request::Request;
use crate::base::code::Code;
use crate::base::id;
use crate::base::secret::Secret;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL};
use prometheus_client::registry::Registry;
use schemars::JsonSchema;
use serde::Serialize;
use std::rc::Rc;
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

/// Whether whoever asks for the metrics may see them.
fn may_see(request: &Request, token: Option<&Secret>) -> bool {
    let Some(token) = token else { return true };
    let presented = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let presented =
        presented.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map_or("", |(_, token)| token);
    id::same_digest(&id::sha256(presented.as_bytes()), &id::sha256(token.expose().as_bytes()))
}

const OPENMETRICS: &str = "application/openmetrics-text";

/// Whether the answer is to be OpenMetrics rather than the older text format: asked for, and not less than that.
fn wants_openmetrics(accept: &str) -> bool {
    let weight = |range: &str| {
        let weights = range.split(';').skip(1).filter_map(|parameter| parameter.trim().strip_prefix("q="));
        weights.filter_map(|weight| weight.trim().parse::<f64>().ok()).next().unwrap_or(1.0)
    };
    let best = |wanted: &str| {
        let of_kind =
            |range: &&str| range.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted));
        accept.split(',').filter(of_kind).map(weight).fold(0.0, f64::max)
    };
    let openmetrics = best(OPENMETRICS);
    openmetrics > 0.0 && openmetrics >= best("text/plain")
}

/// The metrics as text of either format.
async fn metrics(request: Rc<Request>, metrics: Arc<ShownMetrics>) -> Result<HttpResponse, Problem> {
    if !may_see(&request, metrics.token.as_ref()) {
        return Err(Problem::new(Code::Unauthorized, "Send METRICS_TOKEN as a Bearer token."));
    }
    metrics.health.before_metrics().await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &metrics.registry)
        .map_err(|_| Problem::new(Code::Internal, "The metrics cannot be written."))?;
    let accept =
        request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
    let (kind, text) = if wants_openmetrics(&accept) {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", text)
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", classic_text::from_openmetrics(&text))
    };
    Ok(HttpResponse::Ok().content_type(kind).body(text))
}

/// What `/metrics` shows, and to whom.
struct ShownMetrics {
    health: Arc<dyn Health>,
    registry: Arc<Registry>,
    token: Option<Secret>,
}

/// The endpoints of this module.
pub fn health(health: Arc<dyn Health>, registry: Arc<Registry>, metrics_token: Option<Secret>) -> Endpoints {
    let (for_status, for_people, for_ready) = (health.clone(), health.clone(), health.clone());
    let shown = Arc::new(ShownMetrics { health, registry, token: metrics_token });
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
        .get("/metrics", Access::Public, move |request: Rc<Request>| metrics(request, shown.clone()))
        .says("Counters and timings for Prometheus, as text or OpenMetrics; METRICS_TOKEN protects it when set")
        .answers_empty(200, "The metrics, as text")
        .refuses(&[Code::Unauthorized])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for_more() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for accept in
            [prometheus, "application/openmetrics-text", "text/plain;q=0.5, Application/OpenMetrics-Text ; q=0.5"]
        {
            assert!(wants_openmetrics(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/plain, application/openmetrics-text;q=0.9",
            "application/openmetrics-text;q=0",
        ] {
            assert!(!wants_openmetrics(accept), "{accept}");
        }
    }
}
