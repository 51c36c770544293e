//! Lets the body in that came with the head of a request.
//!
//! The framework (actix-http, `h1::Dispatcher`) polls a request when it has decoded its head, decodes what is behind that, and
//! polls again whatever was decoded. Who asks for the body at the first time is woken for it, and then the whole connection
//! is looked through once more, when all is done: that costs as much as half of the walk. So nothing is begun before the
//! second time.

use crate::base::patience::Patience;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// When it is polled again in any case: the framework may come to do otherwise.
pub(super) const LATEST: Duration = Duration::from_millis(50);

/// Waits until what came with the head is there, as [`LATEST`] allows.
pub(super) async fn second_look(payload: &mut Payload, latest: &Patience, start: Instant) {
    if has_come(payload) {
        return;
    }
    let mut is_second = false;
    let second = poll_fn(|_| if std::mem::replace(&mut is_second, true) { Poll::Ready(()) } else { Poll::Pending });
    latest.within(start, second).await;
}

/// Whether there is something of a body already, as where requests are sent one after another, or none to come.
fn has_come(payload: &mut Payload) -> bool {
    let Payload::H1 { payload: body } = payload else { return true };
    match Pin::new(&mut *body).poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => return false,
        Poll::Ready(Some(Ok(chunk))) => body.unread_data(chunk),
        Poll::Ready(Some(Err(error))) => *payload = broken(error),
        Poll::Ready(None) => {}
    }
    true
}

fn broken(error: PayloadError) -> Payload {
    let broken: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(stream::once(ready(Err(error))));
    Payload::Stream { payload: broken }
}
