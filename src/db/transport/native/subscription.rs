//! Hearing one channel over a connection of its own, which says `SUBSCRIBE` and then only hears, but for a `PING` whenever it
//! has been silent for long: a peer that is gone without a word looks like one that has nothing to say.

use super::dial::{GREETING, dial};
use super::frames::Frames;
use super::settings::Endpoint;
use crate::db::TOO_LONG;
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::reply::Reply;
use crate::db::transport::{MAX_MESSAGE_BYTES, Messages};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::time::Duration;
use tokio::time::timeout;

/// How long a connection may be silent before it is asked, where nothing else is wanted. It has a quarter of that to
/// answer.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// What a message takes besides what it says: its kind, the channel, and their lengths.
const AROUND: usize = 4 * 1024;

/// Connects within `limit` and subscribes.
pub(super) async fn subscribe(
    endpoint: &Endpoint,
    limit: Duration,
    silence: Duration,
    channel: &str,
) -> Result<Messages, Error> {
    let frames = Frames::over(dial(endpoint, limit).await?);
    let mut subscription = Subscription { frames, silence, channel: Bytes::copy_from_slice(channel.as_bytes()) };
    timeout(GREETING, subscription.begin()).await.map_err(|_| silent())??;
    Ok(messages(subscription))
}

fn messages(subscription: Subscription) -> Messages {
    let heard = |mut subscription: Subscription| async {
        let message = subscription.next().await?;
        Ok(Some((message, subscription)))
    };
    stream::try_unfold(subscription, heard).into_stream().boxed()
}

struct Subscription {
    frames: Frames,
    silence: Duration,
    channel: Bytes,
}

impl Subscription {
    /// Subscribes, and waits until that is confirmed.
    async fn begin(&mut self) -> Result<(), Error> {
        let channel = self.channel.clone();
        self.frames.say(&[vec![b"SUBSCRIBE", &channel]]).await?;
        match said(self.frames.next(AROUND).await?)? {
            Said { kind, channel, .. } if kind == "subscribe" && channel == self.channel => Ok(()),
            _ => Err(Error::unexpected("a confirmed subscription")),
        }
    }

    /// The next message.
    async fn next(&mut self) -> Result<Bytes, Error> {
        loop {
            let reply = match timeout(self.silence, self.hear()).await {
                Ok(reply) => reply?,
                // Partial replies are silence too: a drip of bytes that completes nothing says nothing.
                Err(_) => timeout(self.silence / 4, self.ask()).await.map_err(|_| silent())??,
            };
            match said(reply)? {
                Said { kind, channel, message } if kind == "message" && channel == self.channel => return Ok(message),
                Said { kind, .. } if kind == "pong" => {}
                _ => return Err(Error::unexpected("a message")),
            }
        }
    }

    async fn ask(&mut self) -> Result<Reply, Error> {
        self.frames.say(&[vec![b"PING"]]).await?;
        self.hear().await
    }

    async fn hear(&mut self) -> Result<Reply, Error> {
        self.frames.next(MAX_MESSAGE_BYTES + AROUND).await
    }
}

/// What is said to who has subscribed: a kind, mostly a channel, and what there is to say.
struct Said {
    kind: Bytes,
    channel: Bytes,
    message: Bytes,
}

fn said(reply: Reply) -> Result<Said, Error> {
    let mut parts = reply.array()?.into_iter();
    let kind = parts.next().ok_or(Error::unexpected("a message"))?.bytes()?;
    let channel = parts.next().ok_or(Error::unexpected("a message"))?.bytes()?;
    // A confirmation has a number here, and a PONG nothing.
    let message = match parts.next() {
        Some(Reply::Bulk(message)) if message.len() > MAX_MESSAGE_BYTES => return Err(too_long()),
        Some(Reply::Bulk(message)) => message,
        _ => Bytes::new(),
    };
    Ok(Said { kind, channel, message })
}

fn too_long() -> Error {
    Error::new(ErrorKind::Protocol(TOO_LONG), Delivery::Answered)
}

fn silent() -> Error {
    Error::new(ErrorKind::TimedOut, Delivery::Unknown)
}

#[cfg(test)]
mod tests;
