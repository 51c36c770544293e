//! A limit on the time of a future, for where every request has one.
//!
//! A timer of the runtime is entered into a wheel and taken out again each time. Here all futures of a
//! thread that share a limit stand in a queue, in which those that came first end first: one timer looks
//! after the first of them, and setting a limit is an entry at the end. Who began to wait some time after its start, behind
//! others, may be ended late by that time.

use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A limit that many futures share.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    id: u64,
}

#[derive(Default)]
struct Queue {
    /// The ticket of the first that waits.
    first: u64,
    waiting: VecDeque<Wait>,
    /// Whether a task looks after the first one.
    is_watched: bool,
}

struct Wait {
    deadline: Instant,
    waker: Option<Waker>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Waiting,
    Late,
    Over,
}

thread_local! {
    static QUEUES: RefCell<Vec<(u64, Arc<Mutex<Queue>>)>> = const { RefCell::new(Vec::new()) };
}

impl Patience {
    /// A limit of this length.
    pub fn new(limit: Duration) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Patience { limit, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// What `future` gives, or nothing when it takes longer than the limit from `start` on; it is then dropped with this.
    /// To be polled within a tokio runtime.
    pub fn within<F: Future + Unpin>(&self, start: Instant, future: F) -> Within<'_, F> {
        Within { future, patience: self, deadline: start + self.limit, place: None }
    }

    fn queue(&self) -> Arc<Mutex<Queue>> {
        QUEUES.with_borrow_mut(|queues| {
            if let Some((_, queue)) = queues.iter().find(|(id, _)| *id == self.id) {
                return queue.clone();
            }
            // Those of limits that are gone are only held here.
            queues.retain(|(_, queue)| Arc::strong_count(queue) > 1 || !queue.lock().waiting.is_empty());
            let queue = Arc::<Mutex<Queue>>::default();
            queues.push((self.id, queue.clone()));
            queue
        })
    }
}

impl Queue {
    fn wait(&mut self, ticket: u64) -> Option<&mut Wait> {
        let place = ticket.checked_sub(self.first)?;
        self.waiting.get_mut(usize::try_from(place).ok()?)
    }

    fn forget(&mut self) {
        while self.waiting.front().is_some_and(|wait| wait.state == State::Over) {
            self.waiting.pop_front();
            self.first += 1;
        }
    }

    /// Wakes those whose time is over, and tells when the next one's is.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        for wait in self.waiting.iter_mut().take_while(|wait| wait.deadline <= now) {
            if wait.state == State::Waiting {
                wait.state = State::Late;
                if let Some(waker) = wait.waker.take() {
                    waker.wake();
                }
            }
        }
        let next = self.waiting.iter().find(|wait| wait.state == State::Waiting).map(|wait| wait.deadline);
        self.is_watched = next.is_some();
        next
    }
}

/// Looks after a queue from then on until nobody waits in it. Not before: most have gone by then, and with them the need.
async fn watch(queue: Arc<Mutex<Queue>>, first: Instant) {
    let mut next = Some(first);
    while let Some(deadline) = next {
        tokio::time::sleep_until(deadline.into()).await;
        next = queue.lock().expire(Instant::now());
    }
}

/// A future with a limit; see [`Patience::within`].
pub struct Within<'a, F> {
    future: F,
    patience: &'a Patience,
    deadline: Instant,
    place: Option<(Arc<Mutex<Queue>>, u64)>,
}

impl<F: Future + Unpin> Future for Within<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(context) {
            return Poll::Ready(Some(output));
        }
        let Some((queue, ticket)) = &self.place else {
            let queue = self.patience.queue();
            let mut state = queue.lock();
            let ticket = state.first + state.waiting.len() as u64;
            state.waiting.push_back(Wait {
                deadline: self.deadline,
                waker: Some(context.waker().clone()),
                state: State::Waiting,
            });
            if !std::mem::replace(&mut state.is_watched, true) {
                tokio::spawn(watch(queue.clone(), self.deadline));
            }
            drop(state);
            self.place = Some((queue, ticket));
            return Poll::Pending;
        };
        match queue.lock().wait(*ticket) {
            Some(wait) if wait.state == State::Waiting => {
                match &mut wait.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => wait.waker = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            _ => Poll::Ready(None),
        }
    }
}

impl<F> Drop for Within<'_, F> {
    fn drop(&mut self) {
        let Some((queue, ticket)) = &self.place else { return };
        let mut queue = queue.lock();
        if let Some(wait) = queue.wait(*ticket) {
            wait.state = State::Over;
            wait.waker = None;
        }
        queue.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::pin::pin;

    #[tokio::test]
    async fn a_future_that_is_ready_in_time_is_not_cut_off_and_one_that_is_not_is() {
        let patience = Patience::new(Duration::from_millis(10));
        assert_eq!(patience.within(Instant::now(), ready(7)).await, Some(7));
        assert_eq!(patience.within(Instant::now(), pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn many_at_once_each_have_their_own_time_and_leave_nothing_behind() {
        let patience = Arc::new(Patience::new(Duration::from_millis(20)));
        let all: Vec<_> = (0..100)
            .map(|n| {
                let patience = patience.clone();
                tokio::spawn(async move {
                    let work = pin!(async {
                        tokio::task::yield_now().await;
                        if n % 2 == 0 { n } else { pending().await }
                    });
                    patience.within(Instant::now(), work).await
                })
            })
            .collect();
        for (n, outcome) in all.into_iter().enumerate() {
            assert_eq!(outcome.await.unwrap(), (n % 2 == 0).then_some(n));
        }
        assert!(patience.queue().lock().waiting.is_empty());
        assert_eq!(patience.within(Instant::now(), pending::<()>()).await, None, "the next one is looked after too");
    }
}
