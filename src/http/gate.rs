//! The walk of one request: who, may they, what is asked, the handler, the answer. Everything that holds
//! for every endpoint stands here once.

use super::admission::Slot;
use super::authenticate::authenticate;
use super::body;
use super::endpoint::{Access, Endpoint};
use super::idempotency;
use super::large;
use super::metrics::EndpointMetrics;
use super::platform::Platform;
use super::principal::Principal;
use super::problem::Problem;
use super::query::Query;
use super::request::{Admitted, Request, Stage};
use super::request_log;
use super::second_look::second_look;
use super::span;
use super::trace::{self, Trace};
use crate::base::code::Code;
use crate::base::deadline::Deadline;
use actix_http::Message;
use actix_web::HttpResponse;
use actix_web::dev::{Payload, RequestHead};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use futures_util::FutureExt;
use opentelemetry::trace::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

/// On answers that come from this process's memory, because the backend cannot be asked.
const DEGRADED: HeaderName = HeaderName::from_static("x-degraded");

/// Serves one request.
pub(super) async fn serve(
    platform: Rc<Platform>,
    endpoint: Rc<Endpoint>,
    metrics: &EndpointMetrics,
    head: Message<RequestHead>,
    mut payload: Payload,
) -> HttpResponse {
    let start = Instant::now();
    second_look(&mut payload).await;
    let _active = metrics.begin();
    let mut trace = Trace::of(&head);
    let access = endpoint.access;
    let deadline = Deadline::after(start, platform.backend_limit());
    let request = Rc::new(Request::new(head, platform, endpoint, deadline));
    let Request { platform, endpoint, .. } = &*request;
    let slot = platform.admission().enter(access, slots(&request));
    // Who is turned away costs as little as can be, and what anyone may call is called all the time.
    let tracer = platform.tracer().filter(|_| slot.is_ok() && access != Access::Public);
    let span = tracer.map(|tracer| span::begin(tracer, endpoint, &mut trace));
    let answer = match &slot {
        Err(problem) => Err(problem.clone()),
        Ok(slot) => {
            let answer = AssertUnwindSafe(answer(&request, payload, slot, start)).catch_unwind();
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
    let answer = answer.map_err(|problem| endpoint.refusal(problem, request.path()));
    let is_overload = answer.as_ref().is_err_and(|problem| problem.code().is_overload());
    let mut response = finish(answer, request.head(), &trace, access, platform);
    let (status, now) = (response.status(), Instant::now());
    if let Ok(slot) = &slot {
        tell(&request, slot, now, status);
    }
    // Every answer tells how its caller stands with the limit on requests, a refusal too.
    if let (Some(limited), Some(standing)) = (platform.limited(), request.standing.get()) {
        limited.tell(&standing, response.headers_mut());
    }
    let elapsed = now.saturating_duration_since(start);
    metrics.observe(status, elapsed, is_overload);
    if let Some(span) = span {
        span::end(&span, status, request.principal());
    }
    request_log::write(endpoint, request.principal(), status.as_u16(), &trace, elapsed, is_overload);
    response
}

/// Tells how long the request took, and whether that was for something. One that was refused on the way here, or that
/// waited for its client, shows nothing.
fn tell(request: &Request, slot: &Slot<'_>, now: Instant, status: StatusCode) {
    if let (Stage::Since(since), Ok(admitted)) = (request.stage.get(), request.admitted()) {
        slot.answered(since, now, if status.is_server_error() { 0 } else { admitted.load.slots() });
    }
}

/// How much the request may cost, as far as its head tells: what names many things is long.
fn slots(request: &Request) -> u32 {
    const BYTES_PER_SLOT: u32 = 128;
    let most = request.endpoint.slots;
    if most == 1 {
        return 1;
    }
    let length = request.text_of(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    length.map_or(most, |length: u32| most.min(1 + length / BYTES_PER_SLOT))
}

/// Finishes the answer to a request that no endpoint serves.
pub(super) fn stray(platform: &Platform, head: &RequestHead, answer: Result<HttpResponse, Problem>) -> HttpResponse {
    finish(answer, head, &Trace::of(head), Access::Public, platform)
}

async fn answer(
    request: &Rc<Request>,
    payload: Payload,
    slot: &Slot<'_>,
    start: Instant,
) -> Result<HttpResponse, Problem> {
    let Request { platform, endpoint, .. } = &**request;
    let work = async {
        let principal = authenticate(request).await?;
        let load = platform.entrance().admit(slot, principal.as_ref().and_then(Principal::tenant))?;
        let Admitted { principal, load } = request.admit(principal, load)?;
        if let (Some(limited), Access::Tenant(_), true) = (platform.limited(), endpoint.access, endpoint.is_metered) {
            limited.count(principal.as_ref(), request.deadline, &request.standing).await?;
        }
        Query::check(request.query_string(), endpoint)?;
        request.stage.set(Stage::Since(start));
        let answer = match idempotency::key(request)? {
            // Boxed, as it is rare and large: every request would carry the room for it.
            Some(key) => Box::pin(idempotency::once(request, key, payload)).await,
            None => endpoint.run(request.clone(), payload).await,
        };
        let answer = say_if_degraded(request, answer)?;
        if !large::is_large(&answer) {
            return Ok(answer);
        }
        if reads(request.method()) {
            // What was done must be told, whatever that takes.
            load.room_to_answer()?;
        }
        Ok(large::in_pieces(answer, principal.as_ref().map(|_| load)))
    };
    if endpoint.takes_its_time {
        return work.await;
    }
    platform.patience().within(start, pin!(work)).await.unwrap_or_else(|| Err(late(request.stage.get())))
}

fn say_if_degraded(request: &Request, answer: Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
    if !request.is_degraded() {
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

/// What a request is told that was not answered in time.
fn late(stage: Stage) -> Problem {
    let problem = Problem::new(Code::BackendUnavailable, "The request took too long.");
    match stage {
        Stage::Before => problem,
        Stage::Body => body::late(),
        Stage::Since(_) => problem.with_unknown_outcome(),
    }
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn finish(
    answer: Result<HttpResponse, Problem>,
    head: &RequestHead,
    trace: &Trace,
    access: Access,
    platform: &Platform,
) -> HttpResponse {
    let mut response = answer.unwrap_or_else(|problem| {
        let problem = if reads(&head.method) { problem.of_a_read() } else { problem };
        problem.into_response(trace.request_id())
    });
    let headers = response.headers_mut();
    headers.insert(trace::REQUEST_ID, trace.header());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if access != Access::Public {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(origins) = platform.cors() {
        origins.tell(head, headers);
    }
    if platform.draining().has_begun() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}
