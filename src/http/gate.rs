//! The walk of one request: who, may they, what is asked, the handler, the answer. Everything that holds
//! for every endpoint stands here once.

use super::admission::{Load, Slot};
use super::authenticate::authenticate;
use super::body;
use super::endpoint::{Access, Endpoint};
use super::idempotency;
use super::large;
use super::metrics::EndpointMetrics;
use super::platform::Platform;
use super::ports::RequestStanding;
use super::principal::Principal;
use super::problem::Problem;
use super::query::Query;
use super::request_log;
use super::server::Draining;
use super::span;
use super::trace::{self, Trace};
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::FutureExt;
use opentelemetry::trace::FutureExt as _;
use std::cell::{Cell, OnceCell};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

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
    /// How far it is.
    pub(super) stage: Cell<Stage>,
    /// What to tell of the limit on requests, once that is known.
    standing: Cell<Option<RequestStanding>>,
}

/// How far a request is, for whoever finds that it is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not begun: nothing was done.
    Before,
    /// Its body is still to come: it waits for its client.
    Body,
    /// Since then it has waited for nobody but this server.
    Since(Instant),
}

/// On answers that come from this process's memory, because the backend cannot be asked.
const DEGRADED: HeaderName = HeaderName::from_static("x-degraded");

impl Walk {
    /// Tells how long the request took, and whether that was for something. One that was refused on the way
    /// here, or that waited for its client, shows nothing.
    fn tell(&self, slot: &Slot<'_>, now: Instant, status: StatusCode) {
        if let Stage::Since(since) = self.stage.get() {
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
    let _active = metrics.begin();
    let mut trace = Trace::of(&request);
    let access = endpoint.access;
    let deadline = Deadline::after(start, platform.settings().request_timeout.mul_f64(BACKEND_SHARE));
    let slot = platform.admission().enter(access, slots(&endpoint, &request));
    // Who is turned away costs as little as can be, and what anyone may call is called all the time.
    let tracer = platform.tracer().filter(|_| slot.is_ok() && access != Access::Public);
    let span = tracer.map(|tracer| span::begin(tracer, &endpoint, &mut trace));
    let answer = match &slot {
        Err(problem) => Err(problem.clone()),
        Ok(slot) => {
            let answer = answer(&platform, endpoint.clone(), &request, payload, slot, (start, deadline));
            let answer = AssertUnwindSafe(answer).catch_unwind();
            let answer = match &span {
                Some(span) => Box::pin(answer.with_context(span.clone())).await,
                None => answer.await,
            };
            answer.unwrap_or_else(|_| {
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
    let walk = walk(&request);
    if let (Ok(slot), Some(walk)) = (&slot, &walk) {
        walk.tell(slot, now, status);
        walk.say_standing(&mut response);
    }
    let elapsed = now.saturating_duration_since(start);
    metrics.observe(status, elapsed, is_overload);
    let principal = walk.as_ref().and_then(|walk| walk.principal.as_ref());
    if let Some(span) = span {
        span::end(&span, status, principal);
    }
    request_log::write(&endpoint, principal, status.as_u16(), &trace, elapsed, is_overload);
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

/// Finishes the answer to a request that no endpoint serves.
pub(super) fn stray(platform: &Platform, request: &HttpRequest, answer: Result<HttpResponse, Problem>) -> HttpResponse {
    finish(answer, request, &Trace::of(request), Access::Public, platform.draining())
}

async fn answer(
    platform: &Rc<Platform>,
    endpoint: Rc<Endpoint>,
    request: &HttpRequest,
    payload: Payload,
    slot: &Slot<'_>,
    (start, deadline): (Instant, Deadline),
) -> Result<HttpResponse, Problem> {
    let takes_its_time = endpoint.takes_its_time;
    let work = async {
        let principal = authenticate(request, &endpoint, platform, deadline).await?;
        let tenant = principal.as_ref().and_then(|principal| principal.tenant.as_ref());
        let load = platform.entrance().admit(slot, tenant)?;
        let (platform, endpoint, standing) = (platform.clone(), endpoint.clone(), Cell::new(None));
        let (stage, degraded) = (Cell::new(Stage::Before), OnceCell::new());
        let walk = Rc::new(Walk { platform, endpoint, principal, deadline, load, stage, degraded, standing });
        request.extensions_mut().insert(walk.clone());
        let Walk { platform, endpoint, .. } = &*walk;
        if let (Some(limited), Access::Tenant(_), true) = (platform.limited(), endpoint.access, endpoint.is_metered) {
            limited.count(walk.principal.as_ref(), deadline, &walk.standing).await?;
        }
        Query::check(request.query_string(), endpoint)?;
        walk.stage.set(Stage::Since(start));
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
    if takes_its_time {
        return work.await;
    }
    platform
        .patience()
        .within(pin!(work))
        .await
        .unwrap_or_else(|| Err(late(walk(request).map(|walk| walk.stage.get()))))
}

/// What a request is told that was not answered in time.
fn late(stage: Option<Stage>) -> Problem {
    let problem = Problem::new(Code::BackendUnavailable, "The request took too long.");
    match stage {
        None | Some(Stage::Before) => problem,
        Some(Stage::Body) => body::late(),
        Some(Stage::Since(_)) => problem.with_unknown_outcome(),
    }
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
