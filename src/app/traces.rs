//! Traces on their way to a collector: spans are kept in a bounded queue and sent by a thread of their own, and where that
//! fails they are lost and requests go on.

use crate::config::TraceSettings;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use std::time::Duration;

/// What sends traces.
#[derive(Clone)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Sends them where the settings say.
    pub(super) fn start(settings: &TraceSettings) -> Result<Traces, ExporterBuildError> {
        let headers = settings.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let exporter = SpanExporter::builder().with_http().with_endpoint(&settings.endpoint);
        let exporter = exporter.with_headers(headers.collect()).build()?;
        let resource = Resource::builder().with_service_name(settings.service.clone());
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.ratio)));
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler);
        Ok(Traces(provider.with_resource(resource.with_attribute(version).build()).build()))
    }

    /// What makes spans.
    pub(super) fn tracer(&self) -> SdkTracer {
        self.0.tracer("agentapi")
    }

    /// Sends what is still here, for at most so long.
    pub(super) async fn finish(self, patience: Duration) {
        // It waits for its thread, and must not keep this one.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(patience));
        if !matches!(ended.await, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}
