//! Lets the body in that came with the head of a request.
//!
//! The framework (actix-http, `h1::Dispatcher`) polls a request when it has decoded its head, decodes what is behind that, and
//! polls again. Who asks for the body at the first time is woken for it, and then the whole connection is looked through once
//! more, when all is done: that costs as much as half of the walk. So nothing is begun before the second time.
//!
//! A request that was sent before the one in front of it was answered is only polled again when something of its body has
//! come. Who may be refused without that, and holds it back, waits for [`LATEST`].

use actix_web::dev::Payload;
use actix_web::rt;
use futures_util::{Stream, stream};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// When it is polled again in any case; up to twice that.
const LATEST: Duration = Duration::from_millis(5);

/// Waits until what came with the head is there, as [`LATEST`] allows. To be polled in a worker.
pub(super) async fn second_look(payload: &mut Payload) {
    if !has_come(payload) {
        SecondPoll { ticket: None }.await;
    }
}

/// Those that wait on this thread.
#[derive(Default)]
struct Waiting {
    /// The ticket of the first.
    first: u64,
    wakers: VecDeque<Option<Waker>>,
    is_watched: bool,
}

thread_local! {
    static WAITING: RefCell<Waiting> = RefCell::default();
}

impl Waiting {
    /// The ticket of the next.
    fn next(&self) -> u64 {
        self.first + self.wakers.len() as u64
    }

    /// The waker of one that still waits.
    fn take(&mut self, ticket: u64) -> Option<Waker> {
        let place = ticket.checked_sub(self.first)?;
        let waker = self.wakers.get_mut(usize::try_from(place).ok()?)?.take();
        while let Some(None) = self.wakers.front() {
            self.wakers.pop_front();
            self.first += 1;
        }
        waker
    }
}

/// Wakes those that wait for long, until nobody waits.
async fn watch() {
    loop {
        let newest = WAITING.with_borrow(Waiting::next);
        rt::time::sleep(LATEST).await;
        let (late, is_over) = WAITING.with_borrow_mut(|waiting| {
            let late: Vec<Waker> = (waiting.first..newest).filter_map(|ticket| waiting.take(ticket)).collect();
            waiting.is_watched = !waiting.wakers.is_empty();
            (late, !waiting.is_watched)
        });
        late.into_iter().for_each(Waker::wake);
        if is_over {
            return;
        }
    }
}

/// Is ready when it is polled for the second time.
struct SecondPoll {
    ticket: Option<u64>,
}

impl Future for SecondPoll {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.ticket.is_some() {
            return Poll::Ready(());
        }
        self.ticket = Some(WAITING.with_borrow_mut(|waiting| {
            let ticket = waiting.next();
            waiting.wakers.push_back(Some(context.waker().clone()));
            if !std::mem::replace(&mut waiting.is_watched, true) {
                rt::spawn(watch());
            }
            ticket
        }));
        Poll::Pending
    }
}

impl Drop for SecondPoll {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            WAITING.with_borrow_mut(|waiting| waiting.take(ticket));
        }
    }
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

    #[test]
    fn what_comes_before_the_second_time_is_there_and_wakes_nobody() {
        rt::System::new().block_on(async {
            let wakes = Arc::<Wakes>::default();
            let (mut sender, body) = h1::Payload::create(false);
            let mut payload = Payload::from(body);
            {
                let mut look = pin!(second_look(&mut payload));
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
        });
    }

    #[test]
    fn what_is_there_already_is_not_waited_for_and_stays_as_it_is() {
        rt::System::new().block_on(async {
            let (mut sender, body) = h1::Payload::create(false);
            sender.feed_data(Bytes::from_static(b"{"));
            sender.feed_data(Bytes::from_static(b"}"));
            let mut whole = Payload::from(body);
            let (mut sender, body) = h1::Payload::create(false);
            sender.set_error(PayloadError::EncodingCorrupted);
            let mut broken = Payload::from(body);
            for payload in [&mut whole, &mut broken, &mut Payload::None, &mut Payload::from(Bytes::from_static(b"{}"))]
            {
                second_look(payload).await;
            }
            assert_eq!(whole.next().await.unwrap().unwrap(), "{");
            assert_eq!(whole.next().await.unwrap().unwrap(), "}");
            assert!(matches!(broken.next().await, Some(Err(PayloadError::EncodingCorrupted))));
        });
    }

    #[test]
    fn whoever_is_not_polled_again_is_woken_in_the_end_and_nothing_is_left() {
        rt::System::new().block_on(async {
            let (senders, bodies): (Vec<_>, Vec<_>) = (0..3).map(|_| h1::Payload::create(false)).unzip();
            let looks = bodies.into_iter().map(|body| async move { second_look(&mut Payload::from(body)).await });
            futures_util::future::join_all(looks.map(rt::spawn)).await;
            WAITING.with_borrow(|waiting| assert!(waiting.wakers.is_empty() && waiting.first == 3));
            rt::time::sleep(LATEST * 2).await;
            WAITING.with_borrow(|waiting| assert!(!waiting.is_watched));
            drop(senders);
        });
    }

    #[test]
    fn one_that_goes_away_leaves_the_others_waiting() {
        rt::System::new().block_on(async {
            let look = || async {
                let (_sender, body) = h1::Payload::create(false);
                second_look(&mut Payload::from(body)).await;
            };
            let mut looks = [Box::pin(look()), Box::pin(look()), Box::pin(look())].map(Some);
            for look in looks.iter_mut().flatten() {
                assert!(look.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            let waiting = || WAITING.with_borrow(|waiting| (waiting.first, waiting.wakers.len()));
            assert_eq!(waiting(), (0, 3));
            looks[1] = None;
            assert_eq!(waiting(), (0, 3), "what is in front of it still waits");
            looks[0] = None;
            assert_eq!(waiting(), (2, 1));
            looks[2] = None;
            assert_eq!(waiting(), (3, 0));
        });
    }
}
