//! Hearing one channel over the REST API: a response that does not end, of lines (server-sent events, HTML standard,
//! section 9.2), of which the service writes one per message: `data: message,CHANNEL,TEXT`. Before the first it
//! confirms with `data: subscribe,CHANNEL,COUNT`. What it says in other lines is for others.

use super::without_answer;
use crate::db::transport::{MAX_MESSAGE_BYTES, Messages};
use crate::db::{Delivery, Error, ErrorKind, TOO_LONG};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Response, StatusCode};
use std::time::Duration;
use tokio::time::timeout;

/// How long the service may send nothing at all. It is not known to send anything while there is nothing to say, so
/// this is also how often a quiet subscription is made anew: a request a minute, and a look by whoever listens.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// What a line has besides the message: what it is, and the channel.
const AROUND: usize = 4 * 1024;

/// A response, and what has arrived of the next line.
struct EventStream {
    response: Response,
    reading: BytesMut,
    /// How much of it is known to have no end of a line.
    looked_at: usize,
    silence: Duration,
    channel: String,
}

/// The messages of a channel from the response to a subscription to it, once that is confirmed.
pub(super) async fn messages(response: Response, silence: Duration, channel: &str) -> Result<Messages, Error> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(Error::new(ErrorKind::Forbidden, Delivery::Answered));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            return Err(Error::new(ErrorKind::Throttled { retry_after: None }, Delivery::NotSent));
        }
        _ => return Err(Error::unexpected("a subscription")),
    }
    let channel = channel.to_owned();
    let mut events = EventStream { response, reading: BytesMut::new(), looked_at: 0, silence, channel };
    events.confirmed().await?;
    let heard = |mut events: EventStream| async {
        let message = events.message().await?;
        Ok(message.map(|message| (message, events)))
    };
    Ok(stream::try_unfold(events, heard).into_stream().boxed())
}

impl EventStream {
    /// Waits for the confirmation, which comes first.
    async fn confirmed(&mut self) -> Result<(), Error> {
        loop {
            let line = self.line().await?.ok_or(Error::new(ErrorKind::Disconnected, Delivery::Answered))?;
            if let Some(event) = event(&line) {
                let is_ours = said_of(event, "subscribe", &self.channel).is_some();
                return if is_ours { Ok(()) } else { Err(Error::unexpected("a confirmed subscription")) };
            }
        }
    }

    /// The next message, or nothing when it is time to subscribe anew.
    async fn message(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(line) = self.line().await? else { return Ok(None) };
            let text = event(&line).and_then(|event| said_of(event, "message", &self.channel));
            match text {
                Some(text) if text.len() > MAX_MESSAGE_BYTES => return Err(too_long()),
                Some(text) => return Ok(Some(line.slice_ref(text))),
                None => {}
            }
        }
    }

    /// The next line, without its end; nothing when the service has ended the response, or is silent. Both are to be
    /// expected of one that only hears, and no failure.
    async fn line(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let unseen = self.reading.get(self.looked_at..).unwrap_or_default();
            if let Some(end) = unseen.iter().position(|byte| *byte == b'\n') {
                let mut line = self.reading.split_to(self.looked_at + end + 1);
                self.looked_at = 0;
                let length = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
                line.truncate(length);
                return Ok(Some(line.freeze()));
            }
            self.looked_at = self.reading.len();
            if self.looked_at > MAX_MESSAGE_BYTES + AROUND {
                return Err(too_long());
            }
            match timeout(self.silence, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.reading.extend_from_slice(&chunk),
                Ok(Err(error)) => return Err(without_answer(&error)),
                Ok(Ok(None)) | Err(_) => return Ok(None),
            }
        }
    }
}

/// What a line of data says; nothing for a comment, an empty line or another field.
fn event(line: &[u8]) -> Option<&[u8]> {
    let data = line.strip_prefix(b"data:")?;
    Some(data.strip_prefix(b" ").unwrap_or(data))
}

/// What follows the kind and the channel, where they are these.
fn said_of<'a>(event: &'a [u8], kind: &str, channel: &str) -> Option<&'a [u8]> {
    let rest = event.strip_prefix(kind.as_bytes())?.strip_prefix(b",")?;
    rest.strip_prefix(channel.as_bytes())?.strip_prefix(b",")
}

fn too_long() -> Error {
    Error::new(ErrorKind::Protocol(TOO_LONG), Delivery::Answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_what_it_says_of_its_own_channel() {
        let heard = |line: &'static str| event(line.as_bytes()).and_then(|event| said_of(event, "message", "p:{s}:c"));
        assert_eq!(heard("data: message,p:{s}:c,{\"a\":1,\"b\":2}"), Some(&b"{\"a\":1,\"b\":2}"[..]));
        assert_eq!(heard("data:message,p:{s}:c,"), Some(&b""[..]));
        assert_eq!(heard("data: message,p:{s}:c,  x"), Some(&b"  x"[..]));
        for other in [
            "",
            ": ping",
            "event: message",
            "data: subscribe,p:{s}:c,1",
            "data: message,p:{s}:cc,x",
            "data: message,p:{s}:d,x",
            "data: message",
            "message,p:{s}:c,x",
        ] {
            assert_eq!(heard(other), None, "{other}");
        }
    }
}
