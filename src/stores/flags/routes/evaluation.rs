//! Evaluation by the OpenFeature Remote Evaluation Protocol (OFREP 0.3.0): nothing here asks the backend while flags are in
//! use.

use super::super::answers::ofrep;
use super::super::compiled::Compiled;
use super::super::live::Current;
use super::super::rules::{Arena, Context, Decision, Failure, Flag};
use super::definitions::{Outcome, Store};
use super::{Served, events};
use crate::base::code::Code;
use crate::base::id;
use crate::http::{JsonBytes, PathName, Problem, Query, Request, Scoped, TokenIssuer, json_bytes};
use actix_web::HttpResponse;
use actix_web::http::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What flags are evaluated for. What else clients send is theirs to know.
#[derive(Default, Deserialize)]
struct EvaluationBody<'a> {
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
}

impl<'a> EvaluationBody<'a> {
    /// Reads it; what is JSON and no such body is told as OFREP knows it.
    fn read(body: &'a JsonBytes) -> Result<EvaluationBody<'a>, Problem> {
        body.read().map_err(|problem| match problem.code() {
            Code::ValidationFailed => {
                Problem::new(Code::InvalidContext, "The body must be an object with one context.")
            }
            _ => problem,
        })
    }

    /// The text of the context.
    fn context(&self) -> &str {
        self.context.map_or("{}", RawValue::get)
    }
}

thread_local! {
    /// For the contexts of single evaluations, each of which is read, looked at and forgotten in one go.
    static ARENA: RefCell<Arena> = RefCell::default();
}

pub(super) async fn evaluate(Scoped(served): Store, key: PathName, body: JsonBytes) -> Outcome {
    let current = served.current().await?;
    let (compiled, is_stale) = (current.compiled(), current.is_stale);
    let found = compiled.rules.find(&key.text());
    let (index, flag) = found.ok_or_else(|| Problem::new(Code::FlagNotFound, "No flag has this key."))?;
    let now = if flag.reads_clock() { served.seconds() } else { 0 };
    let decided = ARENA.with_borrow_mut(|arena| {
        let decided = decide(flag, &body, now, arena);
        arena.reset();
        decided
    });
    match decided? {
        Ok(decision) => {
            compiled.given(index, &decision);
            let text = compiled.shapes.get(index).map(|shape| shape.whole(&decision, is_stale));
            Ok(json_bytes(&mut HttpResponse::Ok(), text.unwrap_or_default()))
        }
        Err(failure) => {
            compiled.failed(index);
            Err(failed(&failure))
        }
    }
}

fn decide<'f>(
    flag: &'f Flag,
    body: &JsonBytes,
    now: u64,
    arena: &Arena,
) -> Result<Result<Decision<'f>, Failure>, Problem> {
    let context = match Context::within(body.bytes(), flag.reads(), arena) {
        Some(context) => context,
        None => looked_at(body, flag, arena)?,
    };
    Ok(flag.evaluate(&context, now))
}

pub(super) async fn evaluate_all(
    Scoped(served): Store,
    query: Query,
    (request, issuer): (Rc<Request>, TokenIssuer),
    body: JsonBytes,
) -> Outcome {
    let body = EvaluationBody::read(&body)?;
    let awaits = query.get("flagConfigEtag").map(|etag| etag.trim_matches('"'));
    let current = match awaits {
        Some(told) => served.current_for(told).await?,
        None => served.current().await?,
    };
    let now = served.seconds();
    let tag = tag(&served, &current, body.context(), now)?;
    // A client that was told of another configuration wants that one, whatever it had before (protocol, `flagConfigEtag`).
    if awaits.is_none_or(|id| id == current.compiled().id) && has(request.headers(), &tag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    let arena = Arena::new();
    let context = context(body.context(), &arena)?;
    let (compiled, is_stale) = (current.compiled(), current.is_stale);
    let stream = events::uri(&issuer, &compiled.id);
    let mut text = Vec::with_capacity(compiled.length);
    write_all(compiled, is_stale, &context, now, &mut text).await;
    ofrep::write_end(compiled, is_stale, stream.as_deref(), &mut text);
    Ok(json_bytes(HttpResponse::Ok().insert_header((ETAG, tag)), text))
}

/// For how long flags are evaluated before others on this thread have their turn. A rule may take tens of milliseconds, and
/// there may be two thousand.
const TURN: Duration = Duration::from_millis(2);

async fn write_all(compiled: &Compiled, is_stale: bool, context: &Context<'_>, now: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"flags":["#);
    let mut turn = Instant::now();
    for (index, (flag, shape)) in compiled.rules.flags().zip(&compiled.shapes).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match flag.evaluate(context, now) {
            Ok(decision) => {
                compiled.given(index, &decision);
                shape.write(&decision, is_stale, out);
            }
            Err(failure) => {
                compiled.failed(index);
                ofrep::write_failure(flag, &failure, out);
            }
        }
        if flag.reads_context() && turn.elapsed() >= TURN {
            tokio::task::yield_now().await;
            turn = Instant::now();
        }
    }
}

fn context<'a>(json: &str, arena: &'a Arena) -> Result<Context<'a>, Problem> {
    Context::parse(json, arena).map_err(|fault| Problem::new(Code::InvalidContext, fault.to_string()))
}

/// The context of a body that is not of the usual form, or what is wrong with it. A flag that looks at none of it gets none.
fn looked_at<'a>(body: &JsonBytes, flag: &Flag, arena: &'a Arena) -> Result<Context<'a>, Problem> {
    let body = EvaluationBody::read(body)?;
    if flag.reads_context() || !body.context().starts_with('{') {
        return context(body.context(), arena);
    }
    Ok(Context::empty(arena))
}

fn failed(failure: &Failure) -> Problem {
    let code = match failure {
        Failure::TargetingKeyMissing => Code::TargetingKeyMissing,
        Failure::General(_) => Code::FlagFailed,
    };
    Problem::new(code, failure.detail().to_owned())
}

/// How long an entity tag may be valid though nothing changed: the token in the answer that it stands for is to be valid
/// whenever that answer is used again.
const TAG_LIVES: u64 = 300;

/// What tells one bulk answer from every other: rules and context, and the clock where a rule reads it. Made without
/// evaluating anything.
fn tag(served: &Served, current: &Current, context: &str, now: u64) -> Result<HeaderValue, Problem> {
    let context: Value = serde_json::from_str(context).map_err(|_| {
        let fault = self::context(context, &Arena::new()).err();
        fault.unwrap_or_else(|| Problem::new(Code::InvalidContext, "The context nests too deep."))
    })?;
    let time = if current.compiled().reads_clock { now } else { now / TAG_LIVES };
    // The members of an object are in order, so that one context has one text.
    let parts = (
        ofrep::SCHEMA,
        served.tenant.as_str(),
        &current.compiled().id,
        current.is_stale,
        current.compiled().reads_clock,
        time,
        &context,
    );
    let text =
        serde_json::to_string(&parts).map_err(|_| Problem::new(Code::InvalidContext, "The context is not JSON."))?;
    let tag = format!("\"{}\"", id::fingerprint(&text));
    HeaderValue::from_str(&tag).map_err(|_| Problem::new(Code::Internal, "The request could not be completed."))
}

/// Whether a client has what this tag stands for (RFC 9110, section 13.1.2). No tag of ours has a comma.
fn has(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let given =
        headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut given = given.map(|one| one.trim()).map(|one| one.strip_prefix("W/").unwrap_or(one));
    given.any(|one| one.as_bytes() == tag.as_bytes())
}
