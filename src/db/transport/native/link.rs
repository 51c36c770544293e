//! One connection, shared by all calls of its thread: commands go out in the order in which they were given,
//! and answers come back in that order. What is given while the thread is busy goes out in one write.
//!
//! A call costs a place in a queue and an uncontended lock: no channel, no task of its own, no copy of the
//! answer. Measured beside redis-rs's multiplexed connection that is a third less time per request.
//!
//! Everything is bounded: what waits to be sent, what waits to be answered, and the answer to one call.
//! Whether the peer serves at all is for [`watch`] to see.

mod driver;
mod watch;

use super::resp::Broken;
use crate::db::TOO_LONG;
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::reply::Reply;
use bytes::BytesMut;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The most commands that wait for their answers on one connection.
const MAX_QUEUED_COMMANDS: usize = 8192;
/// From so many commands on a call takes the lane of those who ask for much at once, which holds so many: others
/// do not wait behind more, and what is being answered fits into the processor's cache.
const MANY: usize = 16;
const LANE: usize = 512;
/// The most bytes that the socket has not taken yet.
const MAX_QUEUED_BYTES: u64 = 32 * 1024 * 1024;
/// The most bytes of all replies to one call.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// What a link runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// From now on, closing it throws away what the peer has not received yet.
    fn abandon(&self);
}

impl Stream for Box<dyn Stream> {
    fn abandon(&self) {
        (**self).abandon();
    }
}

/// A connection in use. Ends when the last handle to it is gone.
#[derive(Clone)]
pub(super) struct Link(Arc<Handle>);

struct Handle {
    state: Arc<Mutex<State>>,
    /// The lane of those who ask for much at once.
    lane: Semaphore,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state.lock().end(&Error::new(ErrorKind::Disconnected, Delivery::Unknown));
    }
}

/// Which call: they are counted.
type Ticket = u64;

#[derive(Default)]
struct State {
    /// Encoded, and not yet taken by the driver.
    out: BytesMut,
    /// How many bytes were ever put into `out`, and how many of them the socket has taken.
    given: u64,
    sent: u64,
    /// The calls that are not over, in order; `first` is the ticket of the first of them.
    calls: VecDeque<Call>,
    first: Ticket,
    /// Whose answer comes next.
    answered: Ticket,
    /// Replies that are still to come, those to callers who have gone included.
    unanswered: usize,
    /// How many callers got what they waited for.
    served: u64,
    /// The peer does not take writes: who comes next should look for another one.
    is_retired: bool,
    driver: Option<Waker>,
    ended: Option<Error>,
}

struct Call {
    /// How many bytes were given before it: while no more than that are sent, nothing of it is.
    start: u64,
    /// Replies that are still to come.
    missing: usize,
    replies: Vec<Reply>,
    /// How many bytes the replies have that came.
    bytes: usize,
    is_too_long: bool,
    failure: Option<Error>,
    waker: Waker,
    /// Its outcome was taken, or nobody will.
    over: bool,
}

impl State {
    fn call(&mut self, ticket: Ticket) -> Option<&mut Call> {
        let place = ticket.checked_sub(self.first)?;
        self.calls.get_mut(usize::try_from(place).ok()?)
    }

    /// Forgets calls that are over. Those in the middle wait for those before them, and those whose answers
    /// are still to come keep their place: the answers are counted.
    fn forget(&mut self) {
        let ended = self.ended.is_some();
        while self.calls.front().is_some_and(|call| call.over && (call.missing == 0 || ended)) {
            self.calls.pop_front();
            self.first += 1;
        }
    }

    /// Takes a call in, if there is room. One that is larger than all the room has it to itself.
    fn admit(&mut self, expected: usize, write: impl FnOnce(&mut BytesMut)) -> Result<Ticket, Error> {
        if let Some(error) = &self.ended {
            return Err(Error::new(error.kind.clone(), Delivery::NotSent));
        }
        let full = || Err(Error::new(ErrorKind::Throttled { retry_after: None }, Delivery::NotSent));
        if self.unanswered > 0 && self.unanswered + expected > MAX_QUEUED_COMMANDS {
            return full();
        }
        let (start, before) = (self.given, self.out.len());
        write(&mut self.out);
        let bytes = (self.out.len() - before) as u64;
        let queued = self.given - self.sent;
        if queued > 0 && queued + bytes > MAX_QUEUED_BYTES {
            self.out.truncate(before);
            return full();
        }
        self.given += bytes;
        self.unanswered += expected;
        let ticket = self.first + self.calls.len() as u64;
        self.calls.push_back(Call {
            start,
            missing: expected,
            replies: Vec::with_capacity(expected),
            bytes: 0,
            is_too_long: false,
            failure: None,
            waker: Waker::noop().clone(),
            over: false,
        });
        Ok(ticket)
    }

    /// Fails everything that waits: what the socket has not begun to take was not sent.
    fn end(&mut self, error: &Error) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(error.clone());
        self.out = BytesMut::new();
        for call in self.calls.iter_mut().filter(|call| call.missing > 0 && !call.over && call.failure.is_none()) {
            let delivery = if self.sent <= call.start { Delivery::NotSent } else { error.delivery };
            call.failure = Some(Error::new(error.kind.clone(), delivery));
            call.waker.wake_by_ref();
        }
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
        self.forget();
    }

    /// Whether the next reply, of which this many bytes are known of, is to be kept. When the answer that it
    /// belongs to becomes too long, its caller is told so and waits no more.
    fn keeps(&mut self, bytes: usize) -> Result<bool, Broken> {
        if bytes == 0 {
            return Ok(true);
        }
        let call = self.call(self.answered).ok_or(Broken("an answer came to no question"))?;
        let becomes_too_long = !call.is_too_long && call.bytes.saturating_add(bytes) > MAX_ANSWER_BYTES;
        call.is_too_long |= becomes_too_long;
        let keeps = !call.is_too_long;
        if becomes_too_long {
            call.replies = Vec::new();
            call.failure = Some(Error::new(ErrorKind::Protocol(TOO_LONG), Delivery::Answered));
            call.waker.wake_by_ref();
            self.served += u64::from(!call.over);
        }
        Ok(keeps)
    }

    /// Hands out a reply of this many bytes, or nothing in the place of one that is not kept.
    fn deliver(&mut self, reply: Option<Reply>, bytes: usize) -> Result<(), Broken> {
        self.is_retired |= reply.as_ref().is_some_and(refuses_writes);
        let call = self.call(self.answered).ok_or(Broken("an answer came to no question"))?;
        call.missing -= 1;
        call.bytes += bytes;
        if let Some(reply) = reply.filter(|_| !call.over) {
            call.replies.push(reply);
        }
        if call.missing == 0 {
            let serves = !call.over && !call.is_too_long;
            call.waker.wake_by_ref();
            self.served += u64::from(serves);
            self.answered += 1;
            self.forget();
        }
        self.unanswered -= 1;
        Ok(())
    }
}

/// Whether it says that this server is a replica.
fn refuses_writes(reply: &Reply) -> bool {
    match reply {
        Reply::Refused(refusal) => refusal.code() == "READONLY",
        Reply::Array(items) => items.iter().any(refuses_writes),
        _ => false,
    }
}

impl Link {
    /// A connection over this stream, driven by a task on the runtime of whoever calls, and given up when
    /// it serves nobody for two ticks.
    pub(super) fn over(stream: impl Stream, tick: Duration) -> Link {
        let state = Arc::new(Mutex::new(State::default()));
        tokio::spawn(driver::drive(stream, state.clone(), tick));
        Link(Arc::new(Handle { state, lane: Semaphore::new(LANE) }))
    }

    /// Whether nothing can be sent any more.
    pub(super) fn has_ended(&self) -> bool {
        self.0.state.lock().ended.is_some()
    }

    /// Whether it is one to begin a call on: it has not ended, and its server takes writes.
    pub(super) fn is_good(&self) -> bool {
        let state = self.0.state.lock();
        state.ended.is_none() && !state.is_retired
    }

    /// A place in the lane of those who ask for much at once; nothing for others, who need none.
    pub(super) async fn lane(&self, commands: usize) -> Option<SemaphorePermit<'_>> {
        if commands < MANY {
            return None;
        }
        // It is never closed.
        self.0.lane.acquire_many(u32::try_from(commands.min(LANE)).ok()?).await.ok()
    }

    /// Sends what `write` encodes, and waits for as many replies; at least one.
    pub(super) fn call(&self, expected: usize, write: impl FnOnce(&mut BytesMut)) -> Exchange {
        let mut state = self.0.state.lock();
        let ticket = state.admit(expected, write);
        if let (Ok(_), Some(driver)) = (&ticket, state.driver.take()) {
            driver.wake();
        }
        drop(state);
        Exchange { link: self.clone(), ticket }
    }
}

/// A call on its way, or why it is not.
pub(super) struct Exchange {
    link: Link,
    ticket: Result<Ticket, Error>,
}

impl Future for Exchange {
    type Output = Result<Vec<Reply>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = match &self.ticket {
            Ok(ticket) => *ticket,
            Err(error) => return Poll::Ready(Err(error.clone())),
        };
        let mut state = self.link.0.state.lock();
        let Some(call) = state.call(ticket).filter(|call| !call.over) else {
            return Poll::Ready(Err(Error::new(ErrorKind::Disconnected, Delivery::Unknown)));
        };
        let outcome = match call.failure.take() {
            Some(failure) => Err(failure),
            None if call.missing == 0 => Ok(std::mem::take(&mut call.replies)),
            None => {
                call.waker.clone_from(context.waker());
                return Poll::Pending;
            }
        };
        call.over = true;
        state.forget();
        Poll::Ready(outcome)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Ok(ticket) = self.ticket else { return };
        let mut state = self.link.0.state.lock();
        let Some(call) = state.call(ticket) else { return };
        call.over = true;
        call.replies = Vec::new();
        state.forget();
    }
}

#[cfg(test)]
mod tests;
