//! Who carries a batch to Redis and its answers back: one trait, three backends, and layers that wrap them.

pub mod door;
pub mod doors;
pub mod layers;
pub mod memory;
pub mod native;
pub mod rest;
pub mod stack;

use super::command::Batch;
use super::error::Error;
use super::reply::Reply;
use std::future::Future;
use std::pin::Pin;

/// What [`RedisTransport::execute`] returns: as many answers as the batch has commands, in order.
pub type Execution<'a> = Pin<Box<dyn Future<Output = Result<Vec<Reply>, Error>> + Send + 'a>>;

/// Carries batches to a backend.
///
/// A transaction that cannot be queued did nothing, and each of its commands has the cause as its answer.
/// A refusal by Redis is a [`Reply`], so that the fourth command of a pipeline still has its answer; an
/// [`Error`] concerns the whole batch and says how far it got. A future that is dropped leaves the
/// batch's fate unknown.
pub trait RedisTransport: Send + Sync + 'static {
    /// Runs the batch.
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a>;
}

/// A shared transport is one.
impl<T: RedisTransport + ?Sized> RedisTransport for std::sync::Arc<T> {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        (**self).execute(batch)
    }
}
