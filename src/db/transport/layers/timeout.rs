//! A limit on the time of one attempt. What did not answer in time may still run.

use crate::db::command::Batch;
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::transport::{Execution, RedisTransport};
use std::time::Duration;

/// Gives up on an attempt after a while.
pub struct Timeout<T> {
    inner: T,
    limit: Duration,
}

impl<T: RedisTransport> Timeout<T> {
    /// `inner`, at most `limit` long per attempt.
    pub fn new(inner: T, limit: Duration) -> Self {
        Timeout { inner, limit }
    }
}

impl<T: RedisTransport> RedisTransport for Timeout<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let attempt = tokio::time::timeout(self.limit, self.inner.execute(batch));
            attempt.await.unwrap_or(Err(Error::new(ErrorKind::TimedOut, Delivery::Unknown)))
        })
    }
}
