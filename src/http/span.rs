//! The span of a request, where requests are traced (OpenTelemetry semantic conventions for HTTP server spans): a part of its
//! caller's trace if it brought one. It tells the route and never the path, which may hold secrets.

use super::endpoint::Endpoint;
use super::principal::Principal;
use super::trace::Trace;
use actix_web::http::StatusCode;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, SpanId, TraceId};
use opentelemetry_sdk::trace::SdkTracer;

/// Begins it. What is done within the context that it gives is a part of it.
pub(super) fn begin(tracer: &SdkTracer, endpoint: &Endpoint, trace: &mut Trace) -> Context {
    let caller = trace.caller().and_then(|(trace_id, span_id, is_sampled)| {
        let ids = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
        let flags = TraceFlags::default().with_sampled(is_sampled);
        Some(SpanContext::new(ids.0, ids.1, flags, true, TraceState::NONE))
    });
    let parent = caller.map_or_else(Context::new, |caller| Context::new().with_remote_span_context(caller));
    let span = tracer.span_builder(format!("{} {}", endpoint.method, endpoint.path)).with_kind(SpanKind::Server);
    let span = span.with_attributes([
        KeyValue::new("http.request.method", endpoint.method.to_string()),
        KeyValue::new("http.route", endpoint.path.clone()),
        KeyValue::new("agentapi.request_id", trace.request_id().to_owned()),
    ]);
    let span = span.start_with_context(tracer, &parent);
    let ids = span.span_context();
    trace.recorded_as(ids.trace_id().to_string(), ids.span_id().to_string());
    parent.with_span(span)
}

/// Ends it.
pub(super) fn end(context: &Context, status: StatusCode, principal: Option<&Principal>) {
    let span = context.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if let Some(principal) = principal {
        span.set_attribute(KeyValue::new("agentapi.key_id", principal.actor().to_string()));
        if let Some(tenant) = principal.tenant() {
            span.set_attribute(KeyValue::new("agentapi.tenant", tenant.id.as_str().to_owned()));
        }
    }
    if status.is_server_error() {
        span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
        span.set_status(Status::error(""));
    }
    span.end();
}
