//! Server-sent events: answers that go on for as long as somebody listens.
//!
//! A stream that has begun is no request in flight any more: it has a place among the open streams instead, of which
//! there are so many in a process and for a tenant. What is sent is made when the connection has room for it, so whoever
//! reads slowly, or never, holds one event and the connection's buffer. A stream ends when the server is
//! about to stop, with the token that opened it, after a quarter of an hour at the latest, and when its key may not
//! listen any more: that is looked at with each heartbeat, and before an event unless it was a second ago, in the memory of
//! keys, so that it costs a round trip for all streams at most.

mod event;
mod standing;

use super::admission::StreamPlace;
use super::problem::Problem;
use super::request::{FromRequest, Request};
use super::server::Draining;
use crate::base::text::Name;
use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Bytes;
pub use event::Event;
use event::HEARTBEAT;
use futures_util::future::LocalBoxFuture;
use futures_util::{Stream, StreamExt, stream};
use standing::Standing;
use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// The longest that one goes on; clients come back by themselves.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// For so long what was found out about the caller holds.
const GOOD_FOR: Duration = Duration::from_secs(1);

type StillMay = Box<dyn Fn() -> LocalBoxFuture<'static, bool>>;

/// A place for a stream of events, for the handler that answers with it.
pub struct EventStream {
    place: StreamPlace,
    last_event_id: Option<Name>,
    has_body: bool,
    still_may: StillMay,
    draining: Draining,
    heartbeat: Duration,
    end: Instant,
}

impl EventStream {
    /// What the client says that it has seen last; nothing where that is no name, which is no reason to refuse it.
    pub fn last_event_id(&self) -> Option<&Name> {
        self.last_event_id.as_ref()
    }

    /// How long it may go on from now on.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// The answer: these events as they come, and heartbeats where none does; one at once, so that whoever is in
    /// between passes on that it has begun.
    pub fn answer(self, events: impl Stream<Item = Event> + 'static) -> HttpResponse {
        let mut head = HttpResponse::Ok();
        head.insert_header((CONTENT_TYPE, "text/event-stream"));
        head.insert_header((CACHE_CONTROL, "no-store"));
        // Or nginx keeps events until it has a buffer full of them.
        head.insert_header(("x-accel-buffering", "no"));
        if self.has_body { head.streaming(sent(self, Box::pin(events))) } else { head.finish() }
    }
}

impl FromRequest for EventStream {
    /// # Errors
    /// 429 `too_many_streams` where as many are open as may be.
    async fn from_request(request: &Rc<Request>, _: &mut Payload) -> Result<Self, Problem> {
        let platform = &request.platform;
        let place = platform.open_stream(request.tenant())?;
        let last = request.headers().get("last-event-id").map(|value| std::str::from_utf8(value.as_bytes()));
        let token_ends_at = request.principal().and_then(|principal| principal.token_ends_at);
        let left = token_ends_at.map_or(LIFETIME, |end| end.since(platform.registry().now()).min(LIFETIME));
        // It must not hold the request, which is what counts as one in flight.
        let standing = Rc::new(Standing::of(request));
        Ok(EventStream {
            place,
            last_event_id: last.and_then(|text| Name::parse(text.ok()?).ok()),
            has_body: request.method() != Method::HEAD,
            still_may: Box::new(move || {
                let standing = standing.clone();
                Box::pin(async move { standing.still_may().await })
            }),
            draining: platform.draining().clone(),
            heartbeat: platform.settings().event_heartbeat,
            end: Instant::now() + left,
        })
    }
}

/// A stream that is being sent.
struct Sent<E> {
    events: Pin<Box<E>>,
    still_may: StillMay,
    asked: Instant,
    draining: Draining,
    heartbeat: Duration,
    end: Instant,
    /// Given back when the client goes.
    _place: StreamPlace,
}

fn sent<E: Stream<Item = Event>>(
    stream: EventStream,
    events: Pin<Box<E>>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let EventStream { place: _place, still_may, draining, heartbeat, end, .. } = stream;
    let sent = Sent { events, still_may, asked: Instant::now(), draining, heartbeat, end, _place };
    let begun = stream::once(ready(Ok(HEARTBEAT)));
    begun.chain(stream::unfold(sent, |mut sent| async move { Some((Ok(sent.next().await?), sent)) }))
}

impl<E: Stream<Item = Event>> Sent<E> {
    /// The next thing to send; nothing at its end.
    async fn next(&mut self) -> Option<Bytes> {
        let event = tokio::select! {
            biased;
            () = self.draining.begun() => return None,
            () = sleep_until(self.end) => return None,
            event = self.events.next() => Some(event?),
            () = sleep(self.heartbeat) => None,
        };
        if event.is_none() || self.asked.elapsed() >= GOOD_FOR {
            self.asked = Instant::now();
            if !(self.still_may)().await {
                return None;
            }
        }
        Some(event.map_or(HEARTBEAT, |event| event.frame()))
    }
}

#[cfg(test)]
mod tests;
