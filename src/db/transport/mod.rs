//! Who carries a batch to Redis and its answers back: one trait, three backends, and layers that wrap them. A second trait
//! is for what is held open, and hears what is published.

pub mod door;
pub mod doors;
pub mod layers;
pub mod memory;
pub mod native;
pub mod obstacle;
pub mod rest;
pub mod stack;
pub mod usage;

use super::channel::Channel;
use super::command::Batch;
use super::error::{Delivery, Error, ErrorKind};
use super::reply::Reply;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
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

/// The most bytes of one message: it is a hint, and not what it is about.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// What is published from now on, as it came, until an error, or until the end: then it is time to subscribe anew.
pub type Messages = BoxStream<'static, Result<Bytes, Error>>;

/// What [`Subscriber::subscribe`] returns.
pub type Subscribing = BoxFuture<'static, Result<Messages, Error>>;

/// Hears what is published, each subscription over a connection of its own.
pub trait Subscriber: Send + Sync + 'static {
    /// Subscribes to a channel. When the future is ready the backend has confirmed it, and hears for us; dropping it,
    /// or the messages, ends that. Whoever does not take messages for long may be left behind, which ends them.
    fn subscribe(&self, channel: &Channel) -> Subscribing;
}

/// Hears nothing.
pub(super) struct Nobody;

impl Subscriber for Nobody {
    fn subscribe(&self, _: &Channel) -> Subscribing {
        Box::pin(std::future::ready(Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent))))
    }
}
