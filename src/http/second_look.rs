//! Lets the body in that came with the head of a request.
//!
//! The framework (actix-http, `h1::Dispatcher`) polls a request when it has decoded its head, decodes what is behind that, and
//! polls again. Who asks for the body at the first time is woken for it, and then the whole connection is looked through once
//! more, when all is done: that costs as much as half of the walk. So nothing is begun before the second time.
//!
//! A request that was sent before the one in front of it was answered is only polled again when something of its body has
//! come. Who may be refused without that, and holds it back, waits for [`LATEST`].

use crate::base::patience::Patience;
use actix_web::dev::Payload;
use futures_util::{Stream, stream};
use std::future::{poll_fn, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// When it is polled again in any case.
pub(super) const LATEST: Duration = Duration::from_millis(5);

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
        Poll::Ready(Some(Err(error))) => {
            *payload = Payload::Stream { payload: Box::pin(stream::once(ready(Err(error)))) }
        }
        Poll::Ready(None) => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_http::h1;
    use actix_web::error::PayloadError;
    use actix_web::web::Bytes;
    use futures_util::StreamExt;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn what_comes_before_the_second_time_is_there_and_wakes_nobody() {
        let (latest, wakes) = (Patience::new(Duration::from_secs(3600)), Arc::<Wakes>::default());
        let (mut sender, body) = h1::Payload::create(false);
        let mut payload = Payload::from(body);
        {
            let mut look = pin!(second_look(&mut payload, &latest, Instant::now()));
            let waker = Waker::from(wakes.clone());
            let mut context = Context::from_waker(&waker);
            assert!(look.as_mut().poll(&mut context).is_pending());
            sender.feed_data(Bytes::from_static(b"{}"));
            sender.feed_eof();
            assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
            assert!(look.as_mut().poll(&mut context).is_ready());
        }
        assert_eq!(payload.next().await.unwrap().unwrap(), "{}");
        assert!(payload.next().await.is_none());
    }

    #[tokio::test]
    async fn what_is_there_already_is_not_waited_for_and_stays_as_it_is() {
        let latest = Patience::new(Duration::from_secs(3600));
        let (mut sender, body) = h1::Payload::create(false);
        sender.feed_data(Bytes::from_static(b"{"));
        sender.feed_data(Bytes::from_static(b"}"));
        let mut whole = Payload::from(body);
        let (mut sender, body) = h1::Payload::create(false);
        sender.set_error(PayloadError::EncodingCorrupted);
        let mut broken = Payload::from(body);
        for payload in [&mut whole, &mut broken, &mut Payload::None, &mut Payload::from(Bytes::from_static(b"{}"))] {
            second_look(payload, &latest, Instant::now()).await;
        }
        assert_eq!(whole.next().await.unwrap().unwrap(), "{");
        assert_eq!(whole.next().await.unwrap().unwrap(), "}");
        assert!(matches!(broken.next().await, Some(Err(PayloadError::EncodingCorrupted))));
    }

    #[tokio::test]
    async fn whoever_is_not_polled_again_is_woken_in_the_end() {
        let (_sender, body) = h1::Payload::create(false);
        second_look(&mut Payload::from(body), &Patience::new(Duration::from_millis(1)), Instant::now()).await;
    }
}
