//! Changes of flags as server-sent events (OFREP, ADR-0008): each tells a client to fetch its evaluations again.

use super::super::live::Watch;
use super::{OpenFlags, STREAM};
use crate::base::text::Name;
use crate::http::{Event, EventStream, Problem, Query, Scoped, TokenIssuer};
use actix_web::HttpResponse;
use futures_util::{Stream, stream};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long a token for the stream lives. An answer stands behind its entity tag for five minutes, and is used a while
/// after that.
const TOKEN_LIVES: Duration = Duration::from_secs(15 * 60);
/// How long before the end of a stream its client is told to fetch anew: so it has a new token when it comes back.
const BEFORE_END: Duration = Duration::from_secs(5);
/// How long a client should wait before it comes back.
const RETRY: Duration = Duration::from_secs(3);

/// Where the caller can hear of changes, from this configuration on; nothing for one who cannot be given a token.
pub(super) fn uri(issuer: &TokenIssuer, id: &str) -> Option<String> {
    let token = issuer.issue(STREAM, TOKEN_LIVES)?;
    // Both are made of characters that mean nothing in a URL.
    Some(format!("/ofrep/v1/events?since={id}&token={}", token.expose()))
}

pub(super) async fn listen(
    Scoped(served): Scoped<OpenFlags>,
    query: Query,
    events: EventStream,
) -> Result<HttpResponse, Problem> {
    let watch = served.watch().await?;
    // What the client has: as it says itself when it comes back, else as the answer said that led it here.
    let has = events.last_event_id().map(Name::as_str).or_else(|| query.get("since")).map(str::to_owned);
    let end = Instant::now() + events.left().saturating_sub(BEFORE_END);
    Ok(events.answer(changes(watch, has, end)))
}

/// Where a stream is.
enum At {
    Begun(Option<String>),
    Waiting,
    Ended,
}

fn changes(watch: Watch, has: Option<String>, end: Instant) -> impl Stream<Item = Event> {
    stream::unfold((watch, At::Begun(has)), move |(mut watch, at)| async move {
        match at {
            At::Begun(has) => {
                let id = watch.id();
                // A client that does not say what it has may have missed something since it fetched.
                if has.as_deref() != Some(id.as_str()) {
                    return Some((event(&id), (watch, At::Waiting)));
                }
            }
            At::Waiting => {}
            At::Ended => return None,
        }
        tokio::select! {
            id = watch.next() => Some((event(&id?), (watch, At::Waiting))),
            () = sleep_until(end) => {
                let id = watch.id();
                Some((event(&id), (watch, At::Ended)))
            }
        }
    })
}

/// Tells that the flags are now of this configuration.
fn event(id: &str) -> Event {
    let data = json!({"type": "refetchEvaluation", "etag": format!("\"{id}\"")}).to_string();
    Event { id: Name::parse(id).ok(), event: None, data, retry: Some(RETRY) }
}
