//! One more try where that is safe: when the batch was not sent, or when doing it twice is the same as once.
//! Commands that the backend refused because of its state, and so did not run, go again alone: what their
//! neighbours in a pipeline were answered stands. A transaction goes again when all of it was refused.
//!
//! Retries have a budget, a tenth of the traffic: a backend that is failing is not helped by twice the load.

use crate::base::id;
use crate::db::command::{Batch, Effect};
use crate::db::error::{Delivery, Error, ErrorKind, TOO_LONG};
use crate::db::reply::Reply;
use crate::db::transport::{Execution, RedisTransport};
use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a retry costs, in tenths of a call; each call that needs none earns one tenth.
const COST: u32 = 10;
/// The most that is saved up: ten retries.
const SAVINGS: u32 = 100;
/// The longest pause before a retry; each takes a random part of it, so that callers do not return in step.
const PAUSE: Duration = Duration::from_millis(50);
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

/// After what pause it may go again after this failure; nothing when it may not.
fn may_repeat_after(batch: &Batch, error: &Error) -> Option<Duration> {
    match (&error.kind, error.delivery) {
        // Nothing that a moment later is different.
        (ErrorKind::Forbidden | ErrorKind::Unexpected(_) | ErrorKind::Full | ErrorKind::Protocol(TOO_LONG), _)
        | (_, Delivery::Answered) => None,
        (ErrorKind::Throttled { retry_after }, _) => retry_after.filter(|pause| *pause <= PATIENCE),
        (_, Delivery::NotSent) => Some(id::random_part(PAUSE)),
        (_, Delivery::Unknown) if batch.effect() == Effect::Once => None,
        (_, Delivery::Unknown) => Some(id::random_part(PAUSE)),
    }
}

fn may_go_again(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(refusal) if refusal.is_transient())
}

/// What of it goes again after these replies: all, or the commands that were refused.
fn refused<'a>(batch: &'a Batch, replies: &[Reply]) -> Option<Cow<'a, Batch>> {
    match replies.iter().filter(|reply| may_go_again(reply)).count() {
        0 => None,
        all if all == batch.commands().len() => Some(Cow::Borrowed(batch)),
        _ if batch.is_atomic() => None,
        _ => {
            let pairs = batch.commands().iter().zip(replies);
            let refused = pairs.filter(|(_, reply)| may_go_again(reply)).map(|(command, _)| command.clone());
            Some(Cow::Owned(Batch::pipeline(refused.collect()).by(batch.deadline())))
        }
    }
}

/// Puts the answers to what went again in the places of the refusals.
fn merged(mut replies: Vec<Reply>, again: Result<Vec<Reply>, Error>) -> Result<Vec<Reply>, Error> {
    match again {
        Ok(again) => {
            for (place, reply) in replies.iter_mut().filter(|reply| may_go_again(reply)).zip(again) {
                *place = reply;
            }
            Ok(replies)
        }
        // The refusals are still the last that is known.
        Err(error) if error.delivery == Delivery::NotSent => Ok(replies),
        Err(error) => Err(error),
    }
}

/// What is known after a second attempt. Where the first may have run, that nothing was done now does not say that
/// nothing was done.
fn known_after(batch: &Batch, first: Error, again: Result<Vec<Reply>, Error>) -> Result<Vec<Reply>, Error> {
    if first.delivery != Delivery::Unknown || batch.effect() == Effect::Read {
        return again;
    }
    let did_not_run = |reply: &Reply| matches!(reply, Reply::Refused(refusal) if refusal.is_of_the_moment());
    match again {
        Ok(replies) if replies.iter().any(did_not_run) => Err(first),
        Ok(replies) => Ok(replies),
        Err(error) => Err(Error::new(error.kind, Delivery::Unknown)),
    }
}

impl<T: RedisTransport> Retry<T> {
    /// Waits before the second attempt. Not so when its answer would come too late for anybody, nor when the
    /// budget is spent: what is known now is then what the caller gets.
    async fn pause(&self, batch: &Batch, pause: Duration) -> bool {
        if batch.deadline().left(Duration::MAX) <= pause || !self.spend() {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

impl<T: RedisTransport> RedisTransport for Retry<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            match self.inner.execute(batch).await {
                Ok(replies) => {
                    let Some(refused) = refused(batch, &replies) else {
                        self.earn();
                        return Ok(replies);
                    };
                    if !self.pause(batch, id::random_part(PAUSE)).await {
                        return Ok(replies);
                    }
                    merged(replies, self.inner.execute(&refused).await)
                }
                Err(error) => {
                    let Some(pause) = may_repeat_after(batch, &error) else {
                        self.earn();
                        return Err(error);
                    };
                    if !self.pause(batch, pause).await {
                        return Err(error);
                    }
                    known_after(batch, error, self.inner.execute(batch).await)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
