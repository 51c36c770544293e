//! A limit on the time of one attempt, which ends with the request's own. What did not answer in time may
//! still run.

use crate::base::patience::Patience;
use crate::db::command::Batch;
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::transport::{Execution, RedisTransport};
use std::time::{Duration, Instant};

/// Gives up on an attempt after a while.
pub struct Timeout<T> {
    inner: T,
    limit: Duration,
    patience: Patience,
}

impl<T: RedisTransport> Timeout<T> {
    /// `inner`, at most `limit` long per attempt, and no longer than its caller waits.
    pub fn new(inner: T, limit: Duration) -> Self {
        Timeout { inner, limit, patience: Patience::new(limit) }
    }
}

impl<T: RedisTransport> RedisTransport for Timeout<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let left = batch.deadline().left(self.limit);
            if left.is_zero() {
                return Err(Error::new(ErrorKind::TimedOut, Delivery::NotSent));
            }
            let attempt = self.inner.execute(batch);
            let outcome = if left == self.limit {
                self.patience.within(Instant::now(), attempt).await
            } else {
                tokio::time::timeout(left, attempt).await.ok()
            };
            outcome.unwrap_or(Err(Error::new(ErrorKind::TimedOut, Delivery::Unknown)))
        })
    }
}
