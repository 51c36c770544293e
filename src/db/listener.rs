//! Hearing what is published, for as long as somebody wants to: a [`Listener`] connects, and connects again whenever what it
//! hears over is lost.
//!
//! Nobody keeps what is published. What is said while a listener is away is missed, and what is said twice is heard
//! twice. So a message is a hint that something changed and never the change itself, and each time that a
//! listener begins to hear ([`Heard::Resumed`]) whoever listens looks for itself.

use super::channel::Channel;
use super::error::Error;
use super::transport::{Messages, Subscriber, Subscribing};
use crate::base::id;
use crate::base::sparing::Sparing;
use bytes::Bytes;
use futures_util::StreamExt;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// The pause before the first new attempt, and the longest. Each is a half and up to as much again by chance, so that
/// servers that lost the same backend do not come back in step.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Lines about what is lost.
static LOST: Sparing = Sparing::new();

/// What a listener hears.
#[derive(Clone, PartialEq, Eq)]
pub enum Heard {
    /// From here on messages are heard, for the first time or again: any published before may have been missed.
    Resumed,
    /// What was published: JSON, unless somebody else publishes here too.
    Message(Bytes),
}

/// Shows how long a message is: what it says is not for logs.
impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Heard::Resumed => f.write_str("Resumed"),
            Heard::Message(bytes) => write!(f, "Message({} bytes)", bytes.len()),
        }
    }
}

/// Hears one channel until it is dropped, which closes its connection. It works while it is asked for what is
/// [`next`](Listener::next), and has no task of its own: who does not ask for long is taken to be slow, and starts again.
pub struct Listener {
    subscriber: Arc<dyn Subscriber>,
    channel: Channel,
    state: State,
    pause: Duration,
    /// It was logged that nothing is heard.
    is_told: bool,
}

enum State {
    Pausing(Pin<Box<Sleep>>),
    Subscribing(Subscribing),
    Hearing { messages: Messages, since: Instant },
}

impl Listener {
    pub(super) fn new(subscriber: Arc<dyn Subscriber>, channel: Channel) -> Self {
        let state = State::Subscribing(subscriber.subscribe(&channel));
        Listener { subscriber, channel, state, pause: FIRST_PAUSE, is_told: false }
    }

    /// What is heard next; it may be waited for as long as one likes, and given up and asked for again: nothing is lost
    /// by that. It never ends, and fails in silence but for the log.
    pub async fn next(&mut self) -> Heard {
        loop {
            match &mut self.state {
                State::Pausing(pause) => {
                    pause.await;
                    self.state = State::Subscribing(self.subscriber.subscribe(&self.channel));
                }
                State::Subscribing(subscribing) => match subscribing.await {
                    Ok(messages) => {
                        self.state = State::Hearing { messages, since: Instant::now() };
                        if std::mem::take(&mut self.is_told) {
                            tracing::info!(channel = self.channel.name(), "what is published is heard again");
                        }
                        return Heard::Resumed;
                    }
                    Err(error) => self.lost(&error),
                },
                State::Hearing { messages, since } => match messages.next().await {
                    Some(Ok(message)) => return Heard::Message(message),
                    end => {
                        if since.elapsed() >= LONGEST_PAUSE {
                            self.pause = FIRST_PAUSE;
                        }
                        match end {
                            Some(Err(error)) => self.lost(&error),
                            _ => self.rest(),
                        }
                    }
                },
            }
        }
    }

    /// Whether it heard what is published when it was last asked. While it does not, one had better look more often.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Hearing { .. })
    }

    /// Says, once until it hears again, that it does not, and pauses.
    fn lost(&mut self, error: &Error) {
        if !std::mem::replace(&mut self.is_told, true)
            && let Some(left_out) = LOST.line()
        {
            let channel = self.channel.name();
            tracing::warn!(channel, %error, left_out, "what is published is not heard until there is a connection again");
        }
        self.rest();
    }

    /// Pauses before the next attempt: longer each time, until one has lasted.
    fn rest(&mut self) {
        self.state = State::Pausing(Box::pin(sleep(self.pause / 2 + id::random_part(self.pause / 2))));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests;
