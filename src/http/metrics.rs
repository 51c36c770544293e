//! What is counted and timed of every endpoint. Its handles are made with the table, so that a request looks
//! nothing up.

use super::endpoint::Endpoint;
use actix_web::http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

type EndpointLabels = [(&'static str, String); 2];
type AnswerLabels = [(&'static str, String); 3];

/// The metrics of all endpoints: labelled by method and path pattern, never by a name or a tenant.
#[derive(Clone)]
pub struct HttpMetrics {
    duration: Family<EndpointLabels, Histogram, fn() -> Histogram>,
    refusal: Histogram,
    answers: Family<AnswerLabels, Counter>,
}

/// The handles of one endpoint: a request looks nothing up.
#[derive(Clone)]
pub(super) struct EndpointMetrics {
    duration: Histogram,
    refusal: Histogram,
    classes: [Counter; 5],
}

impl HttpMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("agentapi_http");
        let metrics = HttpMetrics {
            duration: Family::new_with_constructor(|| {
                Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 2.0])
            }),
            refusal: Histogram::new([0.0001, 0.001, 0.01, 0.1, 1.0]),
            answers: Family::default(),
        };
        let help = "Time from head to answer of requests turned away because too much is going on";
        registry.register_with_unit("overload_refusal_duration", help, Unit::Seconds, metrics.refusal.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from head to answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register("answers", "Answers by class of status", metrics.answers.clone());
        metrics
    }

    pub(super) fn endpoint(&self, endpoint: &Endpoint) -> EndpointMetrics {
        let (method, path) = (("method", endpoint.method.to_string()), ("path", endpoint.path.clone()));
        let class = |class: &str| {
            self.answers.get_or_create_owned(&[method.clone(), path.clone(), ("status", class.to_owned())])
        };
        EndpointMetrics {
            duration: self.duration.get_or_create_owned(&[method.clone(), path.clone()]),
            refusal: self.refusal.clone(),
            classes: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(class),
        }
    }
}

impl EndpointMetrics {
    /// A request was answered with this status, so long after its head had come; turned away in a crowd or not.
    pub(super) fn observe(&self, status: StatusCode, elapsed: Duration, is_overload: bool) {
        let histogram = if is_overload { &self.refusal } else { &self.duration };
        histogram.observe(elapsed.as_secs_f64());
        if let Some(class) = self.classes.get(usize::from(status.as_u16() / 100).saturating_sub(1)) {
            class.inc();
        }
    }
}
