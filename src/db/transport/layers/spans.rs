//! A span for each call to the backend that is made for a traced request (OpenTelemetry semantic conventions for database
//! client spans). It says what kind of call it was, and for a script which one; never a key, an argument or a reply.

use super::kinds::{Kind, Outcome};
use crate::db::command::{Batch, Command};
use crate::db::script::Script;
use crate::db::transport::{Execution, RedisTransport};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use std::sync::Arc;

/// Traces what its inner transport does, for whoever is being traced.
pub struct Spans {
    inner: Arc<dyn RedisTransport>,
    tracer: SdkTracer,
}

impl Spans {
    /// `inner`, with spans by this tracer.
    pub fn new(inner: Arc<dyn RedisTransport>, tracer: SdkTracer) -> Self {
        Spans { inner, tracer }
    }

    fn begin(&self, batch: &Batch, parent: &Context) -> Span {
        let kind = Kind::of_batch(batch).word();
        let mut attributes = vec![KeyValue::new("db.system.name", "redis"), KeyValue::new("db.operation.name", kind)];
        let scripts: Vec<&str> = batch.commands().iter().filter_map(Command::running).map(Script::name).collect();
        if !scripts.is_empty() {
            attributes.push(KeyValue::new("db.stored_procedure.name", scripts.join(" ")));
        }
        if let size @ 2.. = batch.commands().len() {
            attributes.push(KeyValue::new("db.operation.batch.size", i64::try_from(size).unwrap_or(i64::MAX)));
        }
        let span = self.tracer.span_builder(kind).with_kind(SpanKind::Client).with_attributes(attributes);
        span.start_with_context(&self.tracer, parent)
    }
}

impl RedisTransport for Spans {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let parent = Context::current();
            if !parent.span().is_recording() {
                return self.inner.execute(batch).await;
            }
            let mut span = self.begin(batch, &parent);
            let outcome = self.inner.execute(batch).await;
            let ended = Outcome::of(&outcome);
            if ended != Outcome::Ok {
                span.set_attribute(KeyValue::new("error.type", ended.word()));
                span.set_status(Status::error(""));
            }
            span.end();
            outcome
        })
    }
}
