//! What every request needs, put together once for each worker.

use super::admission::{Admission, Entrance, StreamPlace};
use super::cors::CorsOrigins;
use super::metrics::HttpMetrics;
use super::ports::{IdempotencyRecords, RequestLimit};
use super::problem::Problem;
use super::quota::QuotaFields;
use super::request_limit::Limited;
use super::server::Draining;
use crate::base::id;
use crate::base::patience::Patience;
use crate::base::secret::Secret;
use crate::tenancy::{RecentKeys, Registry, Tenant};
use actix_web::dev::Extensions;
use opentelemetry_sdk::trace::SdkTracer;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How much of a request's time the backend may take: the rest is for saying how it ended.
const BACKEND_SHARE: f64 = 0.9;

/// What the platform is told.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// The most requests in flight at one time, over all workers.
    pub max_in_flight: u32,
    /// The longest that one request may take, its body included.
    pub request_timeout: Duration,
    /// The admin key; without one there is no admin API.
    pub admin_key: Option<Secret>,
    /// The most event streams open at one time, over all workers.
    pub max_event_streams: u32,
    /// A tenant's part of them.
    pub max_event_streams_of_tenant: u32,
    /// How long nothing may be sent on an event stream.
    pub event_heartbeat: Duration,
    /// Whether something stands in for sessions while the backend cannot be asked.
    pub sessions_stand_in: bool,
    /// The origins whose pages may ask, beside the server's own; CORS is off where none are given.
    pub cors_origins: Option<CorsOrigins>,
}

/// What every request needs, one per worker.
pub struct Platform {
    settings: PlatformSettings,
    admin_key_digest: Option<[u8; 32]>,
    patience: Patience,
    backend_limit: Duration,
    recent_keys: RecentKeys,
    idempotency: Arc<dyn IdempotencyRecords>,
    metrics: HttpMetrics,
    draining: Draining,
    entrance: Rc<Entrance>,
    limited: Option<Limited>,
    tracer: Option<SdkTracer>,
    provided: Extensions,
}

impl Platform {
    /// Puts the parts together.
    pub fn new(
        settings: PlatformSettings,
        registry: Arc<Registry>,
        idempotency: Arc<dyn IdempotencyRecords>,
        metrics: HttpMetrics,
        draining: Draining,
        admission: Arc<Admission>,
    ) -> Self {
        let admin_key_digest = settings.admin_key.as_ref().map(|key| id::sha256(key.expose().as_bytes()));
        let patience = Patience::new(settings.request_timeout);
        let backend_limit = settings.request_timeout.mul_f64(BACKEND_SHARE);
        let entrance = Entrance::new(admission);
        Platform {
            settings,
            admin_key_digest,
            patience,
            backend_limit,
            recent_keys: RecentKeys::of(registry),
            idempotency,
            metrics,
            draining,
            entrance,
            limited: None,
            tracer: None,
            provided: Extensions::new(),
        }
    }

    /// The same with a limit on requests, told in these fields.
    pub fn limited_by(self, limit: Arc<dyn RequestLimit>, fields: QuotaFields) -> Self {
        Platform { limited: Some(Limited::new(limit, fields)), ..self }
    }

    /// The same with spans by this tracer, if there is one.
    pub fn traced_by(self, tracer: Option<SdkTracer>) -> Self {
        Platform { tracer, ..self }
    }

    /// The same with this for its handlers: of each type that is `web::Data`, one.
    pub fn providing(self, provided: Extensions) -> Self {
        Platform { provided, ..self }
    }

    pub(super) fn provided(&self) -> &Extensions {
        &self.provided
    }

    pub(super) fn tracer(&self) -> Option<&SdkTracer> {
        self.tracer.as_ref()
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// How long the backend may be waited for, for one request.
    pub(super) fn backend_limit(&self) -> Duration {
        self.backend_limit
    }

    pub(super) fn entrance(&self) -> &Rc<Entrance> {
        &self.entrance
    }

    pub(super) fn limited(&self) -> Option<&Limited> {
        self.limited.as_ref()
    }

    pub(super) fn settings(&self) -> &PlatformSettings {
        &self.settings
    }

    pub(super) fn cors(&self) -> Option<&CorsOrigins> {
        self.settings.cors_origins.as_ref()
    }

    pub(super) fn admin_key_digest(&self) -> Option<&[u8; 32]> {
        self.admin_key_digest.as_ref()
    }

    pub(super) fn registry(&self) -> &Registry {
        self.recent_keys.registry()
    }

    pub(super) fn recent_keys(&self) -> &RecentKeys {
        &self.recent_keys
    }

    pub(super) fn idempotency(&self) -> &dyn IdempotencyRecords {
        &*self.idempotency
    }

    pub(super) fn admission(&self) -> &Admission {
        self.entrance.admission()
    }

    /// A place for an event stream, of this tenant's where it has one.
    ///
    /// # Errors
    /// 429 `too_many_streams` when there is none.
    pub(super) fn open_stream(&self, tenant: Option<&Arc<Tenant>>) -> Result<StreamPlace, Problem> {
        self.entrance.open_stream(tenant)
    }

    pub(super) fn draining(&self) -> &Draining {
        &self.draining
    }

    pub(super) fn metrics(&self) -> &HttpMetrics {
        &self.metrics
    }
}
