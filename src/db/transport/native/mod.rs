//! The native backend: RESP2 over TCP or TLS, by redis-rs.
//!
//! A multiplexed connection belongs to the thread that uses it. Each actix worker opens its own, on its
//! own runtime, so that a command neither takes a lock nor crosses to another thread; that is worth 1.5
//! times one connection shared by all. Where there are more threads than `REDIS_MAX_POOL_SIZE`, some share.

mod connection;
mod settings;
mod value;

pub use settings::{NativeSettings, TlsFiles, UnusableSettings};

use super::{Execution, RedisTransport};
use crate::db::command::{Batch, Command};
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::reply::Reply;
use connection::{Connections, Held};
use redis::aio::ConnectionLike;
use std::collections::HashSet;

/// Any Redis, over its own protocol.
pub struct Native {
    connections: Connections,
}

impl Native {
    /// A backend that connects when it is first used.
    ///
    /// # Errors
    /// When the settings cannot be used: a malformed URL, or certificates that cannot be read.
    pub fn new(settings: NativeSettings) -> Result<Self, UnusableSettings> {
        Ok(Native { connections: Connections::new(settings)? })
    }

    async fn run(&self, batch: &Batch) -> Result<Vec<Reply>, Error> {
        let mut held = self.connections.take().await?;
        let result = match batch.commands() {
            [command] if !batch.is_atomic() => one(&mut held, command).await,
            commands if batch.is_atomic() => transaction(&mut held, commands).await,
            commands => pipeline(&mut held, commands).await,
        };
        result.map_err(|failure| self.connections.give_up(&held, &failure))
    }
}

impl RedisTransport for Native {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(self.run(batch))
    }
}

/// What goes over the wire for a script: its digest, or its whole text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Digest,
    Text,
}

fn packed(command: &Command, form: Form) -> redis::Cmd {
    let size = command.args().iter().map(|arg| arg.len() + 16).sum();
    let mut cmd = redis::Cmd::with_capacity(command.args().len(), size);
    match (command.running(), form) {
        (Some(script), Form::Text) => {
            cmd.arg("EVAL").arg(script.text());
            for arg in command.args().iter().skip(2) {
                cmd.arg(&**arg);
            }
        }
        _ => {
            for arg in command.args() {
                cmd.arg(&**arg);
            }
        }
    }
    cmd
}

fn is_unknown_script(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(refusal) if refusal.code() == "NOSCRIPT")
}

async fn one(held: &mut Held, command: &Command) -> redis::RedisResult<Vec<Reply>> {
    let mut value = held.connection.req_packed_command(&packed(command, Form::Digest)).await?;
    if command.running().is_some() && value::is_refusal(&value, "NOSCRIPT") {
        value = held.connection.req_packed_command(&packed(command, Form::Text)).await?;
    }
    Ok(vec![value::into_reply(value)])
}

/// Sends all, then again, whole, the scripts that the server did not know: those did not run.
async fn pipeline(held: &mut Held, commands: &[Command]) -> redis::RedisResult<Vec<Reply>> {
    let mut replies = send(held, commands.iter(), Form::Digest).await?;
    let unknown = |(command, reply): &(&Command, &mut Reply)| command.running().is_some() && is_unknown_script(reply);
    let again: Vec<_> = commands.iter().zip(replies.iter_mut()).filter(unknown).collect();
    if !again.is_empty() {
        let answers = send(held, again.iter().map(|(command, _)| *command), Form::Text).await?;
        for ((_, reply), answer) in again.into_iter().zip(answers) {
            *reply = answer;
        }
    }
    Ok(replies)
}

async fn send(held: &mut Held, commands: impl Iterator<Item = &Command>, form: Form) -> redis::RedisResult<Vec<Reply>> {
    let mut pipe = redis::pipe();
    for command in commands {
        pipe.add_command(packed(command, form));
    }
    let values = held.connection.req_packed_commands(&pipe, 0, pipe.len()).await?;
    if values.len() != pipe.len() {
        return Err(redis::RedisError::from((redis::ErrorKind::Client, "wrong number of answers")));
    }
    Ok(values.into_iter().map(value::into_reply).collect())
}

/// MULTI … EXEC in one write. Within it a script that the server does not know would fail while its
/// neighbours are applied, so the first mention of each goes as text.
async fn transaction(held: &mut Held, commands: &[Command]) -> redis::RedisResult<Vec<Reply>> {
    let mut pipe = redis::pipe();
    pipe.atomic();
    let mut mentioned = HashSet::new();
    for command in commands {
        let first = command.running().is_some_and(|script| mentioned.insert(script.sha1()));
        pipe.add_command(packed(command, if first { Form::Text } else { Form::Digest }));
    }
    let mut answers = held.connection.req_packed_commands(&pipe, commands.len() + 1, 1).await?;
    match answers.pop().map(value::into_reply) {
        Some(Reply::Array(replies)) if replies.len() == commands.len() => Ok(replies),
        // The whole transaction was refused when it was queued: nothing ran, and each command has that answer.
        Some(Reply::Refused(refusal)) => Ok(commands.iter().map(|_| Reply::Refused(refusal.clone())).collect()),
        _ => Err(redis::RedisError::from((redis::ErrorKind::Client, "wrong answer to EXEC"))),
    }
}

/// What a failed exchange means: it may have run.
fn failure(error: &redis::RedisError) -> Error {
    let kind = if error.is_timeout() {
        ErrorKind::TimedOut
    } else if error.is_unrecoverable_error() || error.is_io_error() || error.is_connection_dropped() {
        ErrorKind::Disconnected
    } else {
        ErrorKind::Protocol("the answer was not RESP2")
    };
    Error::new(kind, Delivery::Unknown)
}
