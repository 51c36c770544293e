//! One more try where that is safe: when the batch was not sent, or when doing it twice is the same as once.
//!
//! Retries have a budget, a tenth of the traffic: a backend that is failing is not helped by twice the load.

use crate::base::id;
use crate::db::command::{Batch, Effect};
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::reply::Reply;
use crate::db::transport::{Execution, RedisTransport};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a retry costs, in tenths of a call; each call that needs none earns one tenth.
const COST: u32 = 10;
/// The most that is saved up: ten retries.
const SAVINGS: u32 = 100;
/// The longest pause before a retry; each takes a random part of it, so that callers do not return in step.
const PAUSE: Duration = Duration::from_millis(20);

/// A backend that asks for a longer pause than this is left alone: the request would not live to see it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Repeats a failed call once.
pub struct Retry<T> {
    inner: T,
    budget: AtomicU32,
}

impl<T: RedisTransport> Retry<T> {
    /// `inner`, with one retry per call.
    pub fn new(inner: T) -> Self {
        Retry { inner, budget: AtomicU32::new(SAVINGS) }
    }

    fn earn(&self) {
        // Full savings are the rule: reading them first keeps the line shared between the workers.
        if self.budget.load(Ordering::Relaxed) < SAVINGS {
            self.budget.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn spend(&self) -> bool {
        self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| saved.checked_sub(COST)).is_ok()
    }
}

/// After what pause the batch may go again; nothing when it may not.
fn may_repeat_after(batch: &Batch, outcome: &Result<Vec<Reply>, Error>) -> Option<Duration> {
    let soon = || Some(jitter());
    match outcome {
        Err(error) => match (&error.kind, error.delivery) {
            // Nothing that a moment later is different.
            (ErrorKind::Forbidden | ErrorKind::Unexpected(_) | ErrorKind::Full, _) | (_, Delivery::Answered) => None,
            (ErrorKind::Throttled { retry_after }, _) => retry_after.filter(|pause| *pause <= PATIENCE),
            (_, Delivery::NotSent) => soon(),
            (_, Delivery::Unknown) if batch.effect() == Effect::Once => None,
            (_, Delivery::Unknown) => soon(),
        },
        Ok(replies) => match replies.as_slice() {
            [Reply::Refused(refusal)] if refusal.is_transient() => soon(),
            _ => None,
        },
    }
}

fn jitter() -> Duration {
    let [part] = id::random_bytes::<1>().unwrap_or([128]);
    PAUSE * u32::from(part) / 255
}

impl<T: RedisTransport> RedisTransport for Retry<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let outcome = self.inner.execute(batch).await;
            let Some(pause) = may_repeat_after(batch, &outcome) else {
                self.earn();
                return outcome;
            };
            // Too late for the answer to reach anybody: what is known now is what the caller gets.
            if batch.deadline().left(Duration::MAX) <= pause || !self.spend() {
                return outcome;
            }
            tokio::time::sleep(pause).await;
            self.inner.execute(batch).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::command::Command;
    use crate::db::error::Refusal;
    use parking_lot::Mutex;
    use std::collections::VecDeque;
    use std::sync::Arc;

    /// Answers from a list, and counts.
    #[derive(Clone, Default)]
    struct Scripted(Arc<Mutex<(VecDeque<Answer>, u32)>>);

    type Answer = Result<Vec<Reply>, Error>;

    impl RedisTransport for Scripted {
        fn execute<'a>(&'a self, _: &'a Batch) -> Execution<'a> {
            let mut state = self.0.lock();
            state.1 += 1;
            let answer = state.0.pop_front().unwrap_or(Ok(vec![Reply::Int(1)]));
            Box::pin(async { answer })
        }
    }

    async fn calls(effect: Effect, first: Result<Vec<Reply>, Error>) -> u32 {
        let inner = Scripted::default();
        inner.0.lock().0.push_back(first);
        let batch = Batch::one(Command::raw(effect, ["X"]));
        let outcome = Retry::new(inner.clone()).execute(&batch).await;
        let calls = inner.0.lock().1;
        assert_eq!(
            outcome.is_ok_and(|r| r == [Reply::Int(1)]),
            calls == 2,
            "the second answer is what the caller gets"
        );
        calls
    }

    #[tokio::test]
    async fn a_batch_that_was_not_sent_goes_again_whatever_it_does() {
        for effect in [Effect::Read, Effect::Idempotent, Effect::Once] {
            assert_eq!(calls(effect, Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent))).await, 2);
        }
    }

    #[tokio::test]
    async fn an_unknown_outcome_is_repeated_only_where_twice_is_once() {
        let lost = || Err(Error::new(ErrorKind::TimedOut, Delivery::Unknown));
        assert_eq!(calls(Effect::Read, lost()).await, 2);
        assert_eq!(calls(Effect::Idempotent, lost()).await, 2);
        assert_eq!(calls(Effect::Once, lost()).await, 1);
    }

    #[tokio::test]
    async fn a_transient_refusal_goes_again_and_a_final_one_does_not() {
        let refused = |line| Ok(vec![Reply::Refused(Refusal::from_line(line))]);
        assert_eq!(calls(Effect::Once, refused("LOADING Redis is loading")).await, 2);
        assert_eq!(calls(Effect::Read, refused("WRONGTYPE no")).await, 1);
        assert_eq!(calls(Effect::Read, Err(Error::new(ErrorKind::Forbidden, Delivery::NotSent))).await, 1);
    }

    #[tokio::test]
    async fn a_throttling_backend_is_asked_again_when_it_says_and_only_if_that_is_soon() {
        let throttled = |retry_after| Err(Error::new(ErrorKind::Throttled { retry_after }, Delivery::NotSent));
        assert_eq!(calls(Effect::Once, throttled(Some(Duration::ZERO))).await, 2);
        assert_eq!(calls(Effect::Once, throttled(Some(Duration::from_secs(2)))).await, 1);
        assert_eq!(calls(Effect::Once, throttled(None)).await, 1);
    }

    #[tokio::test]
    async fn retries_end_when_the_budget_is_spent_and_come_back_with_traffic() {
        let inner = Scripted::default();
        let retry = Retry::new(inner.clone());
        let batch = Batch::one(Command::raw(Effect::Read, ["X"]));
        let fail = |times| {
            let error = || Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent));
            *inner.0.lock() = ((0..times).map(|_| error()).collect(), 0);
        };
        fail(100);
        for _ in 0..30 {
            assert!(retry.execute(&batch).await.is_err());
        }
        assert_eq!(inner.0.lock().1, 40, "thirty calls, ten retries");
        fail(0);
        for _ in 0..10 {
            assert!(retry.execute(&batch).await.is_ok());
        }
        fail(1);
        assert!(retry.execute(&batch).await.is_ok(), "ten good calls earned a retry");
    }
}
