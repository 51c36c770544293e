//! Many callers, few requests: batches that arrive while requests are under way travel together in the next
//! one. Over REST each request costs a round trip of its own and a place among the connections, and batches
//! that are not atomic are independent by contract.
//!
//! Nothing waits when there is room: a request is made as soon as fewer than the allowed number are in
//! flight, with whatever has arrived by the time it is written. Requests belong to tasks of their own, so
//! that a caller who goes away takes nothing from the others. The tasks, and with them the connections, live
//! on one runtime: that of the server's main thread, which outlives the workers and has little else to do.

use crate::db::transport::{Execution, RedisTransport};
use crate::db::{Batch, Command, Delivery, Error, ErrorKind, Reply};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How many requests are in flight when nothing else is asked for. One more than it takes to keep the
/// endpoint busy; with many more, they would leave half empty.
pub const IN_FLIGHT: usize = 2;
/// The most commands in a shared request. The official client splits there too.
const MAX_COMMANDS: usize = 1000;
/// The most bytes of arguments in a shared request: well below what the smallest plan takes.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The most batches that wait.
const MAX_WAITING: usize = 4096;

/// Lets concurrent batches share requests to `inner`.
pub struct Pipelining {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Arc<dyn RedisTransport>,
    in_flight: usize,
    home: Option<Handle>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Tasks that will look at `waiting` again before they end.
    tasks: usize,
}

struct Waiting {
    commands: Vec<Command>,
    bytes: usize,
    answer: oneshot::Sender<Result<Vec<Reply>, Error>>,
}

impl Pipelining {
    /// A layer over `inner` with at most `in_flight` shared requests at a time, and at least one. They run on
    /// the runtime in which this is called, which must be kept running; outside of one, on that of whoever
    /// calls first.
    pub fn new(inner: Arc<dyn RedisTransport>, in_flight: usize) -> Self {
        let home = Handle::try_current().ok();
        Pipelining { shared: Arc::new(Shared { inner, in_flight: in_flight.max(1), home, state: Mutex::default() }) }
    }
}

impl RedisTransport for Pipelining {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            // What the backend would refuse as a whole must not take others with it.
            let outcome = if batch.is_atomic() || !is_text(batch) {
                let (inner, batch) = (Arc::clone(&self.shared.inner), batch.clone());
                self.shared.runtime()?.spawn(async move { inner.execute(&batch).await }).await.ok()
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

    fn enqueue(self: &Arc<Self>, batch: &Batch) -> Result<oneshot::Receiver<Result<Vec<Reply>, Error>>, Error> {
        let runtime = self.runtime()?;
        let commands = batch.commands().to_vec();
        let bytes = commands.iter().flat_map(Command::args).map(|argument| argument.len()).sum();
        let (answer, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if state.waiting.len() >= MAX_WAITING {
            state.waiting.retain(|waiting| !waiting.answer.is_closed());
            if state.waiting.len() >= MAX_WAITING {
                return Err(Error::new(ErrorKind::Throttled { retry_after: None }, Delivery::NotSent));
            }
        }
        state.waiting.push_back(Waiting { commands, bytes, answer });
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
    /// Takes what fits into one request, leaving out whoever does not wait any more.
    fn next(&mut self) -> Vec<Waiting> {
        let mut group: Vec<Waiting> = Vec::new();
        let (mut commands, mut bytes) = (0, 0);
        while let Some(next) = self.waiting.pop_front() {
            if next.answer.is_closed() {
                continue;
            }
            commands += next.commands.len();
            bytes += next.bytes;
            if !group.is_empty() && (commands > MAX_COMMANDS || bytes > MAX_BYTES) {
                self.waiting.push_front(next);
                break;
            }
            group.push(next);
        }
        group
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
            self.request(group).await;
            // Those who have just been answered often ask again at once: let them, so that they share.
            tokio::task::yield_now().await;
        }
    }

    async fn request(&self, group: Vec<Waiting>) {
        let mut commands = Vec::with_capacity(group.iter().map(|waiting| waiting.commands.len()).sum());
        let mut callers = Vec::with_capacity(group.len());
        for waiting in group {
            callers.push((waiting.commands.len(), waiting.answer));
            commands.extend(waiting.commands);
        }
        let expected = commands.len();
        let outcome = match self.shared.inner.execute(&Batch::pipeline(commands)).await {
            Ok(replies) if replies.len() != expected => {
                Err(Error::new(ErrorKind::Protocol("as many answers as commands were due"), Delivery::Unknown))
            }
            other => other,
        };
        let mut replies = outcome.map(Vec::into_iter);
        for (count, answer) in callers {
            let own = match &mut replies {
                Ok(replies) => Ok(replies.by_ref().take(count).collect()),
                Err(error) => Err(error.clone()),
            };
            if answer.send(own).is_err() {
                tracing::trace!("a caller left before its answer came");
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
            if state.tasks > 0 { Vec::new() } else { state.waiting.drain(..).collect() }
        };
        for waiting in left {
            let error = Error::new(ErrorKind::Disconnected, Delivery::NotSent);
            if waiting.answer.send(Err(error)).is_err() {
                tracing::trace!("a caller left before its answer came");
            }
        }
    }
}
