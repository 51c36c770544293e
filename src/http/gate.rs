//! The walk of one request: who, may they, what is asked, the handler, the answer. Everything that holds
//! for every endpoint stands here once.

use super::admission::{Admission, Entrance, Load, Slot, StreamPlace};
use super::authenticate::authenticate;
use super::endpoint::{Access, Endpoint};
use super::idempotency;
use super::large;
use super::metrics::{EndpointMetrics, HttpMetrics};
use super::ports::{IdempotencyRecords, RequestLimit, RequestStanding};
use super::principal::Principal;
use super::problem::Problem;
use super::query::Query;
use super::quota::QuotaFields;
use super::request_limit::Limited;
use super::request_log;
use super::server::Draining;
use super::trace::{self, Trace};
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use crate::base::id;
use crate::base::patience::Patience;
use crate::base::secret::Secret;
use crate::tenancy::{Registry, Tenant};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::FutureExt;
use std::cell::{Cell, OnceCell};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
}

/// What every request needs, one per worker.
pub struct Platform {
    settings: PlatformSettings,
    admin_key_digest: Option<[u8; 32]>,
    patience: Patience,
    registry: Arc<Registry>,
    idempotency: Arc<dyn IdempotencyRecords>,
    metrics: HttpMetrics,
    draining: Draining,
    entrance: Rc<Entrance>,
    limited: Option<Limited>,
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
        let entrance = Entrance::new(admission);
        let limited = None;
        Platform { settings, admin_key_digest, patience, registry, idempotency, metrics, draining, entrance, limited }
    }

    /// The same with a limit on requests, told in these fields.
    pub fn limited_by(self, limit: Arc<dyn RequestLimit>, fields: QuotaFields) -> Self {
        Platform { limited: Some(Limited::new(limit, fields)), ..self }
    }

    pub(super) fn limited(&self) -> Option<&Limited> {
        self.limited.as_ref()
    }

    pub(super) fn settings(&self) -> &PlatformSettings {
        &self.settings
    }

    pub(super) fn admin_key_digest(&self) -> Option<&[u8; 32]> {
        self.admin_key_digest.as_ref()
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
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

/// How much of a request's time the backend may take: the rest is for saying how it ended.
const BACKEND_SHARE: f64 = 0.9;

/// What has been learned of a request so far; extractors read it.
pub(super) struct Walk {
    pub(super) platform: Rc<Platform>,
    pub(super) endpoint: Rc<Endpoint>,
    pub(super) principal: Option<Principal>,
    pub(super) deadline: Deadline,
    /// Set where a store may answer from this process's memory, and true once it has.
    pub(super) degraded: OnceCell<Arc<AtomicBool>>,
    /// What it takes of what there is.
    pub(super) load: Load,
    /// Since when it waits for nobody but this server; nothing while its body is still to come.
    pub(super) since: Cell<Option<Instant>>,
    /// What to tell of the limit on requests, once that is known.
    standing: Cell<Option<RequestStanding>>,
}

/// On answers that come from this process's memory, because the backend cannot be asked.
const DEGRADED: HeaderName = HeaderName::from_static("x-degraded");

impl Walk {
    /// Tells how long the request took, and whether that was for something. One that was refused on the way
    /// here, or that waited for its client, shows nothing.
    fn tell(&self, slot: &Slot<'_>, now: Instant, status: StatusCode) {
        if let Some(since) = self.since.get() {
            slot.answered(since, now, if status.is_server_error() { 0 } else { self.load.slots() });
        }
    }

    /// Every answer tells how its caller stands with the limit on requests, a refusal too.
    fn say_standing(&self, response: &mut HttpResponse) {
        if let (Some(limited), Some(standing)) = (self.platform.limited(), self.standing.get()) {
            limited.tell(&standing, response.headers_mut());
        }
    }

    fn say_if_degraded(&self, answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
        if self.degraded.get().is_none_or(|degraded| !degraded.load(Ordering::Relaxed)) {
            return answer;
        }
        let memory = HeaderValue::from_static("memory");
        match answer {
            Ok(mut response) => {
                response.headers_mut().insert(DEGRADED, memory);
                Ok(response)
            }
            // A refusal comes from nowhere.
            Err(problem) if problem.code().status() >= 500 => Err(problem),
            Err(problem) => Err(problem.with_header(DEGRADED, memory)),
        }
    }
}

/// The walk of this request; none outside the gate.
pub(super) fn walk(request: &HttpRequest) -> Option<Rc<Walk>> {
    request.extensions().get::<Rc<Walk>>().cloned()
}

/// Serves one request.
pub(super) async fn serve(
    platform: Rc<Platform>,
    endpoint: Rc<Endpoint>,
    metrics: &EndpointMetrics,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let start = Instant::now();
    let trace = Trace::of(&request);
    let access = endpoint.access;
    let deadline = Deadline::after(start, platform.settings.request_timeout.mul_f64(BACKEND_SHARE));
    let slot = platform.admission().enter(access, slots(&endpoint, &request));
    let answer = match &slot {
        Err(problem) => Err(problem.clone()),
        Ok(slot) => {
            let answer = answer(&platform, endpoint.clone(), &request, payload, slot, (start, deadline));
            AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(request_id = trace.request_id(), "a handler panicked");
                Err(Problem::new(Code::Internal, "The request could not be completed."))
            })
        }
    };
    let answer = answer.map_err(|problem| endpoint.refusal(problem, request.uri().path()));
    let is_overload = answer.as_ref().is_err_and(|problem| problem.code().is_overload());
    let is_refused_soon = is_overload || answer.as_ref().is_err_and(|problem| problem.code() == Code::RateLimited);
    if is_refused_soon && request.headers().contains_key(header::CONTENT_LENGTH) {
        // A body that has come already is then skipped, and its connection kept: to make new ones is dear.
        tokio::task::yield_now().await;
    }
    let mut response = finish(answer, &request, &trace, access, platform.draining());
    let (status, now) = (response.status(), Instant::now());
    if let (Ok(slot), Some(walk)) = (&slot, walk(&request)) {
        walk.tell(slot, now, status);
        walk.say_standing(&mut response);
    }
    let elapsed = now.saturating_duration_since(start);
    metrics.observe(status, elapsed, is_overload);
    request_log::write(&request, &endpoint.path, status.as_u16(), &trace, elapsed, is_overload);
    response
}

/// How much the request may cost, as far as its head tells: what names many things is long.
fn slots(endpoint: &Endpoint, request: &HttpRequest) -> u32 {
    const BYTES_PER_SLOT: u32 = 128;
    if endpoint.slots == 1 {
        return 1;
    }
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.map_or(endpoint.slots, |length: u32| endpoint.slots.min(1 + length / BYTES_PER_SLOT))
}

/// Answers a request that no endpoint serves.
pub(super) fn refuse(platform: &Platform, request: &HttpRequest, problem: Problem) -> HttpResponse {
    finish(Err(problem), request, &Trace::of(request), Access::Public, platform.draining())
}

async fn answer(
    platform: &Rc<Platform>,
    endpoint: Rc<Endpoint>,
    request: &HttpRequest,
    payload: Payload,
    slot: &Slot<'_>,
    (start, deadline): (Instant, Deadline),
) -> Result<HttpResponse, Problem> {
    let (has_begun, takes_its_time) = (Cell::new(false), endpoint.takes_its_time);
    let work = async {
        let principal = authenticate(request, &endpoint, platform, deadline).await?;
        let tenant = principal.as_ref().and_then(|principal| principal.tenant.as_ref());
        let load = platform.entrance.admit(slot, tenant)?;
        let (platform, endpoint, standing) = (platform.clone(), endpoint.clone(), Cell::new(None));
        let (since, degraded) = (Cell::new(None), OnceCell::new());
        let walk = Rc::new(Walk { platform, endpoint, principal, deadline, load, since, degraded, standing });
        request.extensions_mut().insert(walk.clone());
        let Walk { platform, endpoint, .. } = &*walk;
        if let (Some(limited), Access::Tenant(_), true) = (platform.limited(), endpoint.access, endpoint.is_metered) {
            limited.count(walk.principal.as_ref(), deadline, &walk.standing).await?;
        }
        Query::check(request.query_string(), endpoint)?;
        walk.since.set(Some(start));
        has_begun.set(true);
        let answer = match idempotency::key(request, endpoint)? {
            // Boxed, as it is rare and large: every request would carry the room for it.
            Some(key) => Box::pin(idempotency::once(&walk, key, request, payload)).await,
            None => endpoint.run(request.clone(), payload).await,
        };
        let answer = walk.say_if_degraded(answer)?;
        if !large::is_large(&answer) {
            return Ok(answer);
        }
        if reads(request) {
            // What was done must be told, whatever that takes.
            walk.load.room_to_answer()?;
        }
        Ok(large::in_pieces(answer, walk.principal.as_ref().map(|_| &walk.load)))
    };
    let late = || {
        let problem = Problem::new(Code::BackendUnavailable, "The request took too long.");
        Err(if has_begun.get() { problem.with_unknown_outcome() } else { problem })
    };
    if takes_its_time {
        return work.await;
    }
    platform.patience.within(pin!(work)).await.unwrap_or_else(late)
}

fn reads(request: &HttpRequest) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn finish(
    answer: Result<HttpResponse, Problem>,
    request: &HttpRequest,
    trace: &Trace,
    access: Access,
    draining: &Draining,
) -> HttpResponse {
    let mut response = answer.unwrap_or_else(|problem| {
        let problem = if reads(request) { problem.of_a_read() } else { problem };
        problem.into_response(trace.request_id())
    });
    let headers = response.headers_mut();
    headers.insert(trace::REQUEST_ID, trace.header());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if access != Access::Public {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if draining.has_begun() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}
