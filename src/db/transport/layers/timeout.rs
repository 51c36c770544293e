//! A limit on the time of one attempt. What did not answer in time may still run.

use crate::base::patience::Patience;
use crate::db::command::Batch;
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::transport::{Execution, RedisTransport};
use std::time::Duration;

/// Gives up on an attempt after a while.
pub struct Timeout<T> {
    inner: T,
    patience: Patience,
}

impl<T: RedisTransport> Timeout<T> {
    /// `inner`, at most `limit` long per attempt.
    pub fn new(inner: T, limit: Duration) -> Self {
        Timeout { inner, patience: Patience::new(limit) }
    }
}

impl<T: RedisTransport> RedisTransport for Timeout<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let attempt = self.patience.within(self.inner.execute(batch));
            attempt.await.unwrap_or(Err(Error::new(ErrorKind::TimedOut, Delivery::Unknown)))
        })
    }
}
