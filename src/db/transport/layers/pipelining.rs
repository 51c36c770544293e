//! Many callers, few requests: batches that arrive while requests are under way travel together in the next
//! one. Over REST each request costs a round trip of its own and a place among the connections, and batches
//! that are not atomic are independent by contract.
//!
//! Nothing waits when there is room: a request is made as soon as fewer than the allowed number are in
//! flight, with whatever has arrived by the time it is written. Requests belong to tasks of their own, so
//! that a caller who goes away takes nothing from the others. The tasks, and with them the connections, live
//! on one runtime: that of the server's main thread, which outlives the workers and has little else to do.
//!
//! Nobody pays for those whom he travels with: a batch of many commands, whose answer may be large and slow,
//! goes alone; and where the answers together were longer than one may be, each half is asked again.

use crate::base::deadline::Deadline;
use crate::db::transport::{Execution, RedisTransport};
use crate::db::{Batch, Command, Delivery, Effect, Error, ErrorKind, Reply, TOO_LONG};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

/// How many requests are in flight when nothing else is asked for. One more than it takes to keep the
/// endpoint busy; with many more, they would leave half empty.
pub const IN_FLIGHT: usize = 2;
/// The most commands in a shared request. The official client splits there too.
const MAX_COMMANDS: usize = 1000;
/// The most bytes of arguments in a shared request: well below what the smallest plan takes.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most batches that wait, and the most bytes of their arguments: what an endpoint that hangs costs.
const MAX_WAITING: usize = 4096;
const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;
/// The most batches in flight that go alone. The others wait with their callers.
const MAX_ALONE: usize = 16;
/// A batch of more commands than this is heavy: with fewer, none has an answer that is too long by itself.
const HEAVY: usize = 32;
/// The most heavy batches in flight: they do not take the places of others that go alone.
const MAX_HEAVY: usize = 8;

type Outcome = Result<Vec<Reply>, Error>;

/// Lets concurrent batches share requests to `inner`.
pub struct Pipelining {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Arc<dyn RedisTransport>,
    in_flight: usize,
    home: Option<Handle>,
    alone: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// The bytes of those in `waiting`.
    bytes: usize,
    /// Tasks that will look at `waiting` again before they end.
    tasks: usize,
}

struct Waiting {
    commands: Vec<Command>,
    bytes: usize,
    deadline: Deadline,
    answer: oneshot::Sender<Outcome>,
}

impl Pipelining {
    /// A layer over `inner` with at most `in_flight` shared requests at a time, and at least one. They run on
    /// the runtime in which this is called, which must be kept running; outside of one, on that of whoever
    /// calls first.
    pub fn new(inner: Arc<dyn RedisTransport>, in_flight: usize) -> Self {
        let home = Handle::try_current().ok();
        let [alone, heavy] = [MAX_ALONE, MAX_HEAVY].map(|places| Arc::new(Semaphore::new(places)));
        let (in_flight, state) = (in_flight.max(1), Mutex::default());
        Pipelining { shared: Arc::new(Shared { inner, in_flight, home, alone, heavy, state }) }
    }
}

impl RedisTransport for Pipelining {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            // What the backend would refuse as a whole must not take others with it.
            let outcome = if batch.commands().len() > HEAVY {
                self.shared.alone(&self.shared.heavy, batch).await?
            } else if batch.is_atomic() || !is_text(batch) {
                self.shared.alone(&self.shared.alone, batch).await?
            } else {
                self.shared.enqueue(batch)?.await.ok()
            };
            // A task is gone only when its runtime ended or the transport below panicked.
            outcome.unwrap_or(Err(Error::new(ErrorKind::Disconnected, Delivery::Unknown)))
        })
    }
}

fn is_text(batch: &Batch) -> bool {
    batch.commands().iter().flat_map(Command::args).all(|argument| std::str::from_utf8(argument).is_ok())
}

impl Shared {
    fn runtime(&self) -> Result<Handle, Error> {
        let none = Error::new(ErrorKind::Protocol("there is no runtime to send from"), Delivery::NotSent);
        self.home.clone().or_else(|| Handle::try_current().ok()).ok_or(none)
    }

    /// A request of its own. Nothing when its task is gone.
    async fn alone(&self, places: &Arc<Semaphore>, batch: &Batch) -> Result<Option<Outcome>, Error> {
        let runtime = self.runtime()?;
        let gone = |_| Error::new(ErrorKind::Disconnected, Delivery::NotSent);
        let place = Arc::clone(places).acquire_owned().await.map_err(gone)?;
        let (inner, batch) = (Arc::clone(&self.inner), batch.clone());
        let request = async move {
            let outcome = inner.execute(&batch).await;
            drop(place);
            outcome
        };
        Ok(runtime.spawn(request).await.ok())
    }

    fn enqueue(self: &Arc<Self>, batch: &Batch) -> Result<oneshot::Receiver<Outcome>, Error> {
        let runtime = self.runtime()?;
        let commands = batch.commands().to_vec();
        let bytes = commands.iter().flat_map(Command::args).map(|argument| argument.len()).sum();
        let (answer, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if !state.has_room(bytes) {
            state.forget_who_left();
            if !state.has_room(bytes) {
                return Err(Error::new(ErrorKind::Throttled { retry_after: None }, Delivery::NotSent));
            }
        }
        state.bytes += bytes;
        state.waiting.push_back(Waiting { commands, bytes, deadline: batch.deadline(), answer });
        if state.tasks < self.in_flight {
            state.tasks += 1;
            drop(state);
            let task = Task { shared: Arc::clone(self), ended: false };
            runtime.spawn(task.run());
        }
        Ok(receiver)
    }
}

impl State {
    fn has_room(&self, bytes: usize) -> bool {
        // Whoever is alone may be of any size: the largest value must be storable.
        self.waiting.is_empty() || (self.waiting.len() < MAX_WAITING && self.bytes + bytes <= MAX_WAITING_BYTES)
    }

    fn forget_who_left(&mut self) {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        self.bytes = self.waiting.iter().map(|waiting| waiting.bytes).sum();
    }

    fn pop(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.bytes;
        Some(next)
    }

    /// Takes what fits into one request, leaving out whoever does not wait any more.
    fn next(&mut self) -> Vec<Waiting> {
        let mut group: Vec<Waiting> = Vec::new();
        let (mut commands, mut bytes) = (0, 0);
        while let Some(next) = self.pop() {
            if next.answer.is_closed() {
                continue;
            }
            if next.deadline.left(Duration::MAX).is_zero() {
                tell(next.answer, Err(Error::new(ErrorKind::TimedOut, Delivery::NotSent)));
                continue;
            }
            commands += next.commands.len();
            bytes += next.bytes;
            if !group.is_empty() && (commands > MAX_COMMANDS || bytes > MAX_BYTES) {
                self.bytes += next.bytes;
                self.waiting.push_front(next);
                break;
            }
            group.push(next);
        }
        group
    }
}

fn tell(caller: oneshot::Sender<Outcome>, outcome: Outcome) {
    if caller.send(outcome).is_err() {
        tracing::trace!("a caller left before its answer came");
    }
}

/// Makes one request after the other until nobody waits.
struct Task {
    shared: Arc<Shared>,
    ended: bool,
}

impl Task {
    async fn run(mut self) {
        loop {
            let group = {
                let mut state = self.shared.state.lock();
                let group = state.next();
                if group.is_empty() {
                    // Under the same lock as the look at the queue: who comes now starts a task.
                    state.tasks -= 1;
                    self.ended = true;
                    return;
                }
                group
            };
            self.request(group, false).await;
            // Those who have just been answered often ask again at once: let them, so that they share.
            tokio::task::yield_now().await;
        }
    }

    /// One request for all of them; `again` where they were part of one before.
    async fn request(&self, mut group: Vec<Waiting>, again: bool) {
        // Bounded by the most patient of them; the others leave when they like.
        let left = group.iter().map(|waiting| waiting.deadline.left(Duration::MAX)).max().unwrap_or(Duration::MAX);
        let deadline = Deadline::after(Instant::now(), left);
        let counts: Vec<usize> = group.iter().map(|waiting| waiting.commands.len()).collect();
        let commands = group.iter_mut().flat_map(|waiting| std::mem::take(&mut waiting.commands)).collect();
        let batch = Batch::pipeline(commands).by(deadline);
        let outcome = match self.shared.inner.execute(&batch).await {
            Ok(replies) if replies.len() != batch.commands().len() => {
                Err(Error::new(ErrorKind::Protocol("as many answers as commands were due"), Delivery::Unknown))
            }
            Err(error) if error.kind == ErrorKind::Protocol(TOO_LONG) && group.len() > 1 => {
                return self.request_in_halves(group, &counts, &batch, error).await;
            }
            // What was sent before may have run then.
            Err(error) if again && error.delivery == Delivery::NotSent => {
                Err(Error::new(error.kind, Delivery::Unknown))
            }
            other => other,
        };
        let mut replies = outcome.map(Vec::into_iter);
        for (count, waiting) in counts.into_iter().zip(group) {
            let own = match &mut replies {
                Ok(replies) => Ok(replies.by_ref().take(count).collect()),
                Err(error) => Err(error.clone()),
            };
            tell(waiting.answer, own);
        }
    }

    /// Asks again for those whose commands may be repeated.
    async fn request_in_halves(&self, group: Vec<Waiting>, counts: &[usize], batch: &Batch, error: Error) {
        let (mut commands, mut left) = (batch.commands().iter(), Vec::with_capacity(group.len()));
        for (mut waiting, count) in group.into_iter().zip(counts) {
            waiting.commands = commands.by_ref().take(*count).cloned().collect();
            if waiting.commands.iter().any(|command| command.effect() == Effect::Once) {
                tell(waiting.answer, Err(error.clone()));
            } else {
                left.push(waiting);
            }
        }
        let right = left.split_off(left.len() / 2);
        for mut half in [left, right] {
            half.retain(|waiting| !waiting.answer.is_closed());
            if !half.is_empty() {
                Box::pin(self.request(half, true)).await;
            }
        }
    }
}

/// A task that is dropped before it ended (its runtime stopped, or the transport panicked) frees its place.
/// Nobody may be left who looks at the queue, so those in it are told that nothing was sent.
impl Drop for Task {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let left: Vec<Waiting> = {
            let mut state = self.shared.state.lock();
            state.tasks -= 1;
            if state.tasks > 0 { Vec::new() } else { std::iter::from_fn(|| state.pop()).collect() }
        };
        for waiting in left {
            tell(waiting.answer, Err(Error::new(ErrorKind::Disconnected, Delivery::NotSent)));
        }
    }
}
