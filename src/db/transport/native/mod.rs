//! The native backend: RESP2 over TCP or TLS.
//!
//! A connection belongs to the thread that uses it. Each actix worker opens its own, on its own runtime, so
//! that a command crosses to no other thread; that is worth half as much again as one connection shared by
//! all. Where there are more threads than `REDIS_MAX_POOL_SIZE`, some share.

mod dial;
mod frames;
mod link;
mod obstacle;
mod pace;
mod pool;
mod resp;
mod settings;
mod subscription;

pub use settings::{NativeSettings, TlsFiles, UnusableSettings};

use super::usage::{Open, Usage, Used};
use super::{Execution, Messages, RedisTransport, Subscriber, Subscribing};
use crate::db::channel::Channel;
use crate::db::command::{Batch, Command};
use crate::db::error::{Delivery, Error};
use crate::db::reply::Reply;
use bytes::BytesMut;
use futures_util::StreamExt;
use link::Link;
use pool::Pool;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Any Redis, over its own protocol.
pub struct Native {
    pool: Pool,
    silence: Duration,
    listeners: Open,
    script_misses: AtomicU64,
}

impl Native {
    /// A backend that connects when it is first used.
    ///
    /// # Errors
    /// When the settings cannot be used: a malformed URL, or certificates that cannot be read.
    pub fn new(settings: NativeSettings) -> Result<Self, UnusableSettings> {
        let (pool, silence) = (Pool::new(settings)?, subscription::SILENCE);
        Ok(Native { pool, silence, listeners: Open::default(), script_misses: AtomicU64::new(0) })
    }

    /// The same, whose subscriptions ask their peer after so long a silence, and give it a quarter of that to answer.
    pub fn asking_after(self, silence: Duration) -> Self {
        Native { silence, ..self }
    }

    async fn run(&self, batch: &Batch) -> Result<Vec<Reply>, Error> {
        let link = self.pool.take().await?;
        match batch.commands() {
            [] => Ok(Vec::new()),
            commands => {
                let place = link.lane(commands.len()).await;
                let replies = match batch.is_atomic() {
                    true => transaction(&link, commands).await,
                    false => pipeline(&link, commands, &self.script_misses).await,
                };
                drop(place);
                replies
            }
        }
    }
}

impl RedisTransport for Native {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(self.run(batch))
    }
}

impl Subscriber for Native {
    fn subscribe(&self, channel: &Channel) -> Subscribing {
        let ((endpoint, limit), silence, channel) = (self.pool.way(), self.silence, channel.clone());
        let held = self.listeners.one();
        Box::pin(async move {
            let messages = subscription::subscribe(&endpoint, limit, silence, channel.as_str()).await?;
            // Held as long as they are.
            Ok(messages.map(move |message| held.with(message)).boxed() as Messages)
        })
    }
}

impl Used for Native {
    fn usage(&self) -> Usage {
        let (connections, most) = self.pool.connections();
        Usage {
            connections,
            most_connections: Some(most),
            listeners: self.listeners.now(),
            script_misses: self.script_misses.load(Relaxed),
        }
    }
}

/// What goes over the wire for a script: its digest, or its whole text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Digest,
    Text,
}

fn encode(command: &Command, form: Form, out: &mut BytesMut) {
    match (command.running(), form) {
        (Some(script), Form::Text) => {
            let rest = command.args().get(2..).unwrap_or_default();
            let words = [b"EVAL".as_slice(), script.text().as_bytes()];
            let args: Vec<&[u8]> = words.into_iter().chain(rest.iter().map(|arg| &**arg)).collect();
            resp::encode(args.into_iter(), out);
        }
        _ => resp::encode(command.args().iter().map(|arg| &**arg), out),
    }
}

fn is_unknown_script(command: &Command, reply: &Reply) -> bool {
    command.running().is_some() && matches!(reply, Reply::Refused(refusal) if refusal.code() == "NOSCRIPT")
}

/// Sends all, then again, whole, the scripts that the server did not know: those did not run.
async fn pipeline(link: &Link, commands: &[Command], script_misses: &AtomicU64) -> Result<Vec<Reply>, Error> {
    let write = |out: &mut BytesMut| commands.iter().for_each(|command| encode(command, Form::Digest, out));
    let mut replies = link.call(commands.len(), write).await?;
    let mut again: Vec<(&Command, &mut Reply)> = Vec::new();
    for (command, reply) in commands.iter().zip(replies.iter_mut()) {
        if is_unknown_script(command, reply) {
            again.push((command, reply));
        }
    }
    if !again.is_empty() {
        script_misses.fetch_add(again.len() as u64, Relaxed);
        let write = |out: &mut BytesMut| again.iter().for_each(|(command, _)| encode(command, Form::Text, out));
        let others_ran = again.len() < commands.len();
        let answers = link.call(again.len(), write).await.map_err(|error| match error.delivery {
            Delivery::NotSent if others_ran => Error::new(error.kind, Delivery::Unknown),
            _ => error,
        })?;
        for ((_, reply), answer) in again.into_iter().zip(answers) {
            *reply = answer;
        }
    }
    Ok(replies)
}

/// MULTI … EXEC in one write. Within it a script that the server does not know would fail while its
/// neighbours are applied, so the first mention of each goes as text.
async fn transaction(link: &Link, commands: &[Command]) -> Result<Vec<Reply>, Error> {
    let write = |out: &mut BytesMut| {
        let mut mentioned = HashSet::new();
        resp::encode([b"MULTI".as_slice()].into_iter(), out);
        for command in commands {
            let first = command.running().is_some_and(|script| mentioned.insert(script.sha1()));
            encode(command, if first { Form::Text } else { Form::Digest }, out);
        }
        resp::encode([b"EXEC".as_slice()].into_iter(), out);
    };
    // The answers to MULTI, to each command (that it is queued) and to EXEC.
    let mut answers = link.call(commands.len() + 2, write).await?;
    match answers.pop() {
        Some(Reply::Array(replies)) if replies.len() == commands.len() => Ok(replies),
        // Refused when it was queued: nothing ran. EXEC says only that; the command that was at fault says why.
        Some(Reply::Refused(aborted)) => {
            let cause = answers.into_iter().find(|answer| matches!(answer, Reply::Refused(_)));
            Ok(vec![cause.unwrap_or(Reply::Refused(aborted)); commands.len()])
        }
        _ => Err(Error::unexpected("the answers to a transaction")),
    }
}
