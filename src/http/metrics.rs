//! What is counted and timed of requests, under the names and with the buckets of OpenTelemetry's semantic conventions.
//! The handles of an endpoint are made with the table, and that of a status when it is first answered: a request looks
//! nothing up, takes no lock, and adds to what is its worker's alone.

use super::endpoint::Endpoint;
use crate::base::histogram::{Histogram, HistogramPart};
use crate::base::sum::{Part, Sum};
use actix_web::http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

/// What the convention gives for `http.server.request.duration`.
const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Refusals are to be quick.
const REFUSAL_BUCKETS: &[f64] = &[0.0001, 0.001, 0.01, 0.1, 1.0];

/// Every status that is answered, ascending. What is not among them is counted under [`OTHER_STATUS`].
const STATUSES: [u16; 24] = [
    200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 428, 429, 500, 502, 503,
    507,
];
const OTHER_STATUS: &str = "other";

/// The methods by their names; others are one, or whoever makes up names would make up series.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
const OTHER_METHOD: &str = "_OTHER";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    http_request_method: &'static str,
    /// The pattern of the path; empty where no endpoint has it.
    http_route: String,
    http_response_status_code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    http_request_method: &'static str,
}

/// The metrics of all endpoints: labelled by method, route and status, never by a path, a name or a tenant.
#[derive(Clone)]
pub struct HttpMetrics {
    duration: Family<Labels, Histogram, fn() -> Histogram>,
    active: Family<MethodLabel, ActiveRequests>,
    refusal: Histogram,
}

/// The handles of one endpoint in one worker.
pub(super) struct EndpointMetrics {
    all: HttpMetrics,
    method: &'static str,
    route: String,
    active: Part,
    by_status: [OnceCell<HistogramPart>; STATUSES.len() + 1],
}

/// How many requests of a method are being served.
#[derive(Debug, Clone, Default)]
struct ActiveRequests(Arc<Sum>);

impl TypedMetric for ActiveRequests {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for ActiveRequests {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.encode_gauge(&self.0.get().cast_signed())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl HttpMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = HttpMetrics {
            duration: Family::new_with_constructor(|| Histogram::of_seconds(BUCKETS)),
            active: Family::default(),
            refusal: Histogram::of_seconds(REFUSAL_BUCKETS),
        };
        let help = "Time from the head of a request to its answer; the route is empty where no endpoint has the path";
        registry.register_with_unit("http_server_request_duration", help, Unit::Seconds, metrics.duration.clone());
        let help = "Requests that are being served";
        registry.register("http_server_active_requests", help, metrics.active.clone());
        let help = "Time from the head of a request to its answer, of those that were turned away because too much is going on";
        let name = "agentapi_http_overload_refusal_duration";
        registry.register_with_unit(name, help, Unit::Seconds, metrics.refusal.clone());
        metrics
    }

    pub(super) fn endpoint(&self, endpoint: &Endpoint) -> EndpointMetrics {
        let method = known(&endpoint.method);
        EndpointMetrics {
            all: self.clone(),
            method,
            route: endpoint.path.clone(),
            active: self.active.get_or_create_owned(&MethodLabel { http_request_method: method }).0.part(),
            by_status: Default::default(),
        }
    }

    /// A request that no endpoint serves was answered.
    pub(super) fn observe_stray(&self, method: &Method, status: StatusCode, elapsed: Duration) {
        self.with(known(method), String::new(), status).time(elapsed);
    }

    fn with(&self, method: &'static str, route: String, status: StatusCode) -> Histogram {
        let is_known = place(status) < STATUSES.len();
        let status = if is_known { status.as_str() } else { OTHER_STATUS };
        self.duration.get_or_create_owned(&Labels {
            http_request_method: method,
            http_route: route,
            http_response_status_code: status.to_owned(),
        })
    }
}

impl EndpointMetrics {
    /// A request is being served, until this is dropped.
    pub(super) fn begin(&self) -> Active<'_> {
        self.active.add(1);
        Active(&self.active)
    }

    /// A request was answered with this status, so long after its head had come; turned away in a crowd or not.
    pub(super) fn observe(&self, status: StatusCode, elapsed: Duration, is_overload: bool) {
        if is_overload {
            self.all.refusal.time(elapsed);
        }
        if let Some(cell) = self.by_status.get(place(status)) {
            cell.get_or_init(|| self.all.with(self.method, self.route.clone(), status).part()).time(elapsed);
        }
    }
}

/// A request that is being served.
pub(super) struct Active<'a>(&'a Part);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.take(1);
    }
}

/// Where a status stands; after all of them if it is none.
fn place(status: StatusCode) -> usize {
    STATUSES.binary_search(&status.as_u16()).unwrap_or(STATUSES.len())
}

fn known(method: &Method) -> &'static str {
    METHODS.iter().copied().find(|known| *known == method.as_str()).unwrap_or(OTHER_METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::code::Code;

    fn shown(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn every_status_of_a_code_has_a_series_of_its_own() {
        assert!(STATUSES.is_sorted());
        for code in Code::ALL {
            assert!(STATUSES.contains(&code.status()), "{code:?}");
        }
    }

    #[test]
    fn methods_and_statuses_that_somebody_makes_up_share_a_series() {
        let mut registry = Registry::default();
        let metrics = HttpMetrics::register(&mut registry);
        for number in 0..50 {
            let method = Method::from_bytes(format!("CANARY{number}").as_bytes()).unwrap();
            metrics.observe_stray(&method, StatusCode::from_u16(700 + number).unwrap(), Duration::ZERO);
        }
        let text = shown(&registry);
        let line = "http_server_request_duration_seconds_count{http_request_method=\"_OTHER\",http_route=\"\",http_response_status_code=\"other\"} 50\n";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
    }
}
