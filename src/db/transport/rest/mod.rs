//! The backend behind the Upstash REST API: a batch is one `POST` of JSON, `/multi-exec` when it is atomic
//! and `/pipeline` when it is not.
//!
//! It differs from the native backend in two things. An argument that is not UTF-8 cannot be said, and is
//! refused before anything is sent; values that come back may hold any bytes. A status other than `OK`
//! arrives as a value. Everything else is held equal by the conformance suite.
//!
//! An answer over HTTP/1.1 belongs to a request by its place alone, and a server or a proxy that loses count gives
//! each client another's answers from then on. So every request ends with a `PING` of a mark of its own (a command
//! that Upstash does not bill), and an answer without that mark is nobody's.
//!
//! Errors here are made of what is known about delivery and nothing else: those of the HTTP client print
//! URLs, so they are read and dropped.

mod event_stream;
mod mark;
mod obstacle;
mod settings;
mod sync_token;
mod wire;
mod wording;

pub use settings::{MAX_REPLY_BYTES, RestError, RestSettings, RestUrl};
pub use wording::KeyLocking;

use super::usage::{Open, Usage, Used};
use super::{Execution, Messages, RedisTransport, Subscriber, Subscribing};
use crate::base::duration;
use crate::db::{Batch, Channel, Command, Delivery, Error, ErrorKind, Reply, TOO_LONG};
use futures_util::StreamExt;
use mark::Marks;
use reqwest::header::{ACCEPT, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use sync_token::{SYNC_TOKEN, SyncToken};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};
use wording::Wordings;

/// The longest wait that the endpoint may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Answers above this size are read one at a time: how many are in flight is no factor in the memory they take.
const LARGE: usize = 1024 * 1024;

/// How much of a body, and for how long, is read where the status has said everything: enough for the sentence
/// that comes with it, so that the connection can be used again.
const COURTESY_BYTES: usize = 64 * 1024;
const COURTESY: Duration = Duration::from_millis(50);

/// One REST endpoint.
pub struct Rest {
    client: Client,
    pipeline: Url,
    multi_exec: Url,
    url: RestUrl,
    command_timeout: Duration,
    max_reply_bytes: usize,
    wordings: Wordings,
    sync: SyncToken,
    marks: Marks,
    large: Semaphore,
    silence: Duration,
    requests: Open,
    listeners: Open,
    script_misses: AtomicU64,
}

/// How scripts go into a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scripts {
    /// By their digests, which is short and fails when the endpoint does not know one.
    ByDigest,
    /// Each in full where it first occurs, which makes it known to those that follow.
    FirstInFull,
    /// Each in full, for the case that the endpoint keeps forgetting.
    InFull,
}

impl Rest {
    /// A client of the endpoint. Connects to nothing yet; needs a TLS provider installed in the process.
    pub fn new(settings: &RestSettings) -> Result<Rest, RestError> {
        let key_locking = if settings.url.is_upstash() { KeyLocking::On } else { KeyLocking::Off };
        Ok(Rest {
            client: settings.client()?,
            pipeline: settings.url.endpoint("pipeline"),
            multi_exec: settings.url.endpoint("multi-exec"),
            url: settings.url.clone(),
            command_timeout: settings.command_timeout,
            max_reply_bytes: settings.max_reply_bytes,
            wordings: Wordings::new(key_locking),
            sync: SyncToken::default(),
            marks: Marks::new(),
            large: Semaphore::new(1),
            silence: event_stream::SILENCE,
            requests: Open::default(),
            listeners: Open::default(),
            script_misses: AtomicU64::new(0),
        })
    }

    /// Overrides what the host says about key locking.
    pub fn with_key_locking(mut self, key_locking: KeyLocking) -> Rest {
        self.wordings = Wordings::new(key_locking);
        self
    }

    /// The same, whose subscriptions are made anew after so long a silence.
    pub fn renewing_after(self, silence: Duration) -> Rest {
        Rest { silence, ..self }
    }

    async fn run(&self, batch: &Batch) -> Result<Vec<Reply>, Error> {
        let commands: Vec<&Command> = batch.commands().iter().collect();
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + batch.deadline().left(self.command_timeout);
        if batch.is_atomic() {
            return self.send(&self.multi_exec, &commands, Scripts::FirstInFull, deadline).await;
        }
        let mut replies = self.send(&self.pipeline, &commands, Scripts::ByDigest, deadline).await?;
        // Not SCRIPT LOAD: it does not advance the sync token, so a lagging replica may miss the script.
        for scripts in [Scripts::FirstInFull, Scripts::InFull] {
            let (unknown, again): (Vec<usize>, Vec<&Command>) = commands
                .iter()
                .zip(&replies)
                .enumerate()
                .filter(|(_, (command, reply))| command.running().is_some() && is_noscript(reply))
                .map(|(index, (command, _))| (index, *command))
                .unzip();
            if again.is_empty() {
                break;
            }
            self.script_misses.fetch_add(again.len() as u64, Relaxed);
            let answers = self.send(&self.pipeline, &again, scripts, deadline).await.map_err(|error| {
                let others_ran = again.len() < commands.len();
                let known = error.delivery != Delivery::NotSent || !others_ran;
                if known { error } else { Error::new(error.kind, Delivery::Unknown) }
            })?;
            for (index, answer) in unknown.into_iter().zip(answers) {
                if let Some(reply) = replies.get_mut(index) {
                    *reply = answer;
                }
            }
        }
        Ok(replies)
    }

    /// One request and its answer: as many replies as commands.
    async fn send(
        &self,
        endpoint: &Url,
        commands: &[&Command],
        scripts: Scripts,
        deadline: Instant,
    ) -> Result<Vec<Reply>, Error> {
        let mark = self.marks.next();
        let body = self.body(commands, scripts, &mark).map_err(|kind| Error::new(kind, Delivery::NotSent))?;
        let time_left = deadline.saturating_duration_since(Instant::now());
        if time_left.is_zero() {
            return Err(Error::new(ErrorKind::TimedOut, Delivery::NotSent));
        }
        let _under_way = self.requests.one();
        let (turn, token) = self.sync.begin();
        let mut request = self.client.post(endpoint.clone()).timeout(time_left).body(body);
        if let Some(token) = token {
            request = request.header(SYNC_TOKEN, token);
        }
        let response = request.send().await.map_err(|error| without_answer(&error))?;
        self.sync.learn(turn, response.headers());
        let status = response.status();
        let by_status = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::new(ErrorKind::Forbidden, Delivery::Answered),
            StatusCode::TOO_MANY_REQUESTS => {
                let retry_after = retry_after(response.headers());
                Error::new(ErrorKind::Throttled { retry_after }, Delivery::NotSent)
            }
            status => {
                let (body, _place) = self.read(response, self.max_reply_bytes, deadline).await?;
                return mark::taken_off(wire::replies(status.as_u16(), &body, commands.len() + 1)?, &mark);
            }
        };
        // What is known must not be lost to a body that never ends.
        if timeout(COURTESY, self.read(response, COURTESY_BYTES, deadline)).await.is_err() {
            tracing::trace!("the body of a refusal did not end");
        }
        Err(by_status)
    }

    fn body(&self, commands: &[&Command], scripts: Scripts, mark: &str) -> Result<Vec<u8>, ErrorKind> {
        let mut body = Vec::with_capacity(commands.iter().flat_map(|c| c.args()).map(|arg| arg.len() + 8).sum());
        let mut said = HashSet::new();
        for command in commands {
            let arguments = command.args().iter().map(|argument| &**argument);
            let Some(script) = command.running() else {
                wire::push_command(&mut body, arguments)?;
                continue;
            };
            let wording = self.wordings.of(script);
            let in_full = match scripts {
                Scripts::ByDigest => false,
                Scripts::FirstInFull => said.insert(script.sha1()),
                Scripts::InFull => true,
            };
            let start: [&[u8]; 2] = match in_full {
                true => [b"EVAL", wording.text.as_bytes()],
                false => [b"EVALSHA", wording.sha1.as_bytes()],
            };
            wire::push_command(&mut body, start.into_iter().chain(arguments.skip(start.len())))?;
        }
        wire::push_command(&mut body, [b"PING", mark.as_bytes()].into_iter())?;
        body.push(b']');
        Ok(body)
    }

    /// The body of an answer, up to the bound, and the place among the large ones that it holds if it is one.
    async fn read(
        &self,
        mut response: Response,
        longest: usize,
        deadline: Instant,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Error> {
        let too_long = || Error::new(ErrorKind::Protocol(TOO_LONG), Delivery::Unknown);
        let announced = response.content_length().unwrap_or(0);
        if announced > longest as u64 {
            return Err(too_long());
        }
        // Room is made as bytes come: an announcement costs its sender nothing.
        let (mut body, mut place) = (Vec::new(), None);
        while let Some(chunk) = response.chunk().await.map_err(|error| without_answer(&error))? {
            let length = body.len() + chunk.len();
            if length > longest {
                return Err(too_long());
            }
            if length > LARGE && place.is_none() {
                let turn = timeout_at(deadline, self.large.acquire()).await;
                let late = Error::new(ErrorKind::TimedOut, Delivery::Unknown);
                place = Some(turn.map_err(|_| late.clone())?.map_err(|_| late)?);
                // Memory that is not written costs nothing; to move a body that grows would hold it twice.
                body.reserve_exact(longest - body.len());
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, place))
    }
}

impl RedisTransport for Rest {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(self.run(batch))
    }
}

impl Subscriber for Rest {
    fn subscribe(&self, channel: &Channel) -> Subscribing {
        let request = self.client.post(self.url.subscription(channel.as_str())).header(ACCEPT, "text/event-stream");
        let (limit, silence, channel) = (self.command_timeout, self.silence, channel.clone());
        let held = self.listeners.one();
        let subscribed = async move {
            let response = request.send().await.map_err(|error| without_answer(&error))?;
            let messages = event_stream::messages(response, silence, channel.as_str()).await?;
            // Held as long as they are.
            Ok(messages.map(move |message| held.with(message)).boxed() as Messages)
        };
        Box::pin(async move {
            let late = Error::new(ErrorKind::TimedOut, Delivery::Unknown);
            timeout(limit, subscribed).await.map_err(|_| late)?
        })
    }
}

impl Used for Rest {
    fn usage(&self) -> Usage {
        Usage {
            connections: self.requests.now(),
            most_connections: None,
            listeners: self.listeners.now(),
            script_misses: self.script_misses.load(Relaxed),
        }
    }
}

fn is_noscript(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(refusal) if refusal.code() == "NOSCRIPT")
}

/// A failure of the HTTP client, in terms of delivery.
fn without_answer(error: &reqwest::Error) -> Error {
    if error.is_connect() {
        // Also when connecting took too long: nothing was said yet.
        Error::new(ErrorKind::Unreachable, Delivery::NotSent)
    } else if error.is_timeout() {
        Error::new(ErrorKind::TimedOut, Delivery::Unknown)
    } else if error.is_builder() {
        Error::new(ErrorKind::Protocol("the request could not be made"), Delivery::NotSent)
    } else {
        Error::new(ErrorKind::Disconnected, Delivery::Unknown)
    }
}

/// How long to wait, if the endpoint says so in seconds. A date (RFC 9110, section 10.2.3) is passed over: it is
/// right only where two clocks agree, and whoever throttles an API counts seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    duration::whole_seconds(text.trim()).map(|wait| wait.min(LONGEST_RETRY_AFTER))
}
