//! An accepted connection, TLS and all, that is closed when nothing was asked over it for long, or when the server stops.
//!
//! The framework would set a timer after each answer and take it away with the next request, and ask at each step whether the
//! server stops: that costs more than to read the head of a request. Here each connection knows when it was used and what is
//! being asked over it, and one task for all of a worker goes through them.

use actix_server::GracefulShutdownSignal;
use actix_web::rt;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection is closed so many rounds after it was used.
const ROUNDS: u32 = 15;
/// While the server stops, it looks so often which connections are done.
const STOPPING: Duration = Duration::from_millis(50);

/// A connection of a worker.
pub(super) struct Connection<T> {
    io: T,
    line: Rc<Line>,
}

/// What is known of a connection.
pub(super) struct Line {
    /// The round that its worker is in.
    round: Rc<Cell<u32>>,
    used_in: Cell<u32>,
    /// Requests that were not answered yet, from their heads on.
    asked: Cell<usize>,
    is_over: Cell<bool>,
    /// Of whoever waits for something to come.
    waker: RefCell<Option<Waker>>,
}

/// The connections of a worker.
pub(super) struct Connections {
    quiet: Duration,
    stops: GracefulShutdownSignal,
    round: Rc<Cell<u32>>,
    lines: RefCell<Vec<Weak<Line>>>,
    is_watched: Cell<bool>,
}

impl Connections {
    /// None yet. Each is closed when it has been quiet for so long, or a fifteenth longer, and when the server stops.
    pub(super) fn new(quiet: Duration, stops: GracefulShutdownSignal) -> Rc<Self> {
        let (round, lines) = (Rc::default(), RefCell::default());
        Rc::new(Connections { quiet, stops, round, lines, is_watched: Cell::new(false) })
    }

    /// Looks after a new one. To be called in a worker.
    pub(super) fn accept<T>(self: &Rc<Self>, io: T) -> Connection<T> {
        let (round, used_in) = (self.round.clone(), Cell::new(self.round.get()));
        let (asked, is_over) = (Cell::new(0), Cell::new(false));
        let line = Rc::new(Line { round, used_in, asked, is_over, waker: RefCell::default() });
        self.lines.borrow_mut().push(Rc::downgrade(&line));
        if !self.is_watched.replace(true) {
            rt::spawn(self.clone().watch());
        }
        Connection { io, line }
    }

    /// Goes through them for as long as there are any.
    async fn watch(self: Rc<Self>) {
        let mut stops = pin!(self.stops.notified());
        let mut is_stopping = false;
        while !self.lines.borrow().is_empty() {
            if is_stopping {
                rt::time::sleep(STOPPING).await;
            } else {
                tokio::select! {
                    () = rt::time::sleep(self.quiet / ROUNDS) => self.round.set(self.round.get().wrapping_add(1)),
                    () = &mut stops => is_stopping = true,
                }
            }
            self.end(|line| is_stopping || line.is_quiet());
        }
        self.is_watched.set(false);
    }

    /// Ends some of those over which nothing is asked, and forgets those that are gone.
    fn end(&self, which: impl Fn(&Line) -> bool) {
        let mut over = Vec::new();
        self.lines.borrow_mut().retain(|line| {
            let Some(line) = line.upgrade() else { return false };
            let ends = line.asked.get() == 0 && which(&line);
            if ends {
                over.push(line);
            }
            !ends
        });
        over.iter().for_each(|line| line.end());
    }
}

impl Line {
    fn used(&self) {
        self.used_in.set(self.round.get());
    }

    fn is_quiet(&self) -> bool {
        self.round.get().wrapping_sub(self.used_in.get()) > ROUNDS
    }

    /// A request has come, and is answered when this is dropped.
    pub(super) fn ask(self: &Rc<Self>) -> Asked {
        self.asked.set(self.asked.get() + 1);
        Asked(self.clone())
    }

    fn end(&self) {
        self.is_over.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whoever waits is told of the end.
    fn wait(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }
}

/// A request that is not answered yet.
pub(super) struct Asked(Rc<Line>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.asked.set(self.0.asked.get() - 1);
        self.0.used();
    }
}

impl<T> Connection<T> {
    /// What its requests are told of it.
    pub(super) fn line(&self) -> &Rc<Line> {
        &self.line
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.line.is_over.get() {
            // As if the client had ended its side: what is being sent is sent, and then it is closed.
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if read.is_ready() {
            self.line.used()
        } else {
            self.line.wait(context)
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> Connection<T> {
    fn written<W>(&self, written: Poll<W>) -> Poll<W> {
        if written.is_ready() {
            self.line.used();
        }
        written
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, bytes);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_server::ServerBuilder;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const QUIET: Duration = Duration::from_secs(75);
    /// A round, and what sixteen timers may be late.
    const ROUND: Duration = Duration::from_millis(5_100);

    /// Runs it in a worker whose time goes on when there is nothing else to do.
    fn in_a_worker<F: Future<Output = ()>>(test: impl FnOnce(Rc<Connections>) -> F) {
        rt::System::new().block_on(async {
            tokio::time::pause();
            test(Connections::new(QUIET, ServerBuilder::default().graceful_shutdown_signal())).await;
        });
    }

    /// How long it takes until the server sees an end.
    async fn ends_after(connection: &mut Connection<DuplexStream>) -> Duration {
        let start = tokio::time::Instant::now();
        while connection.read(&mut [0; 16]).await.unwrap() > 0 {}
        start.elapsed()
    }

    #[test]
    fn a_connection_over_which_nothing_comes_or_goes_ends() {
        in_a_worker(|connections| async move {
            let (_client, io) = duplex(64);
            let mut connection = connections.accept(io);
            let took = ends_after(&mut connection).await;
            assert!(took >= QUIET && took <= QUIET + ROUND, "{took:?}");
            assert_eq!(connection.read(&mut [0; 16]).await.unwrap(), 0, "and stays so");
        });
    }

    #[test]
    fn whatever_comes_or_goes_keeps_it() {
        in_a_worker(|connections| async move {
            for client_speaks in [true, false] {
                let (mut client, io) = duplex(64);
                let mut connection = connections.accept(io);
                for _ in 0..5 {
                    tokio::time::sleep(QUIET - ROUND).await;
                    let mut text = [0; 2];
                    if client_speaks {
                        client.write_all(b"hi").await.unwrap();
                        connection.read_exact(&mut text).await.unwrap();
                    } else {
                        connection.write_all(b"hi").await.unwrap();
                        client.read_exact(&mut text).await.unwrap();
                    }
                    assert_eq!(&text, b"hi");
                }
                let took = ends_after(&mut connection).await;
                assert!(took >= QUIET && took <= QUIET + 2 * ROUND, "{took:?}, {client_speaks}");
            }
        });
    }

    #[test]
    fn one_over_which_something_is_asked_ends_only_some_time_after_all_is_answered() {
        in_a_worker(|connections| async move {
            let (_client, io) = duplex(64);
            let mut connection = connections.accept(io);
            let (first, second) = (connection.line().ask(), connection.line().ask());
            drop(first);
            tokio::time::sleep(10 * QUIET).await;
            assert!(!connection.line.is_over.get());
            drop(second);
            let took = ends_after(&mut connection).await;
            assert!(took >= QUIET && took <= QUIET + 2 * ROUND, "{took:?}");
        });
    }

    #[test]
    fn each_has_its_own_time_and_nothing_is_left_of_those_that_went() {
        in_a_worker(|connections| async move {
            let (_first, io) = duplex(64);
            let mut early = connections.accept(io);
            tokio::time::sleep(8 * ROUND).await;
            let (_second, io) = duplex(64);
            let mut late = connections.accept(io);
            let (_third, io) = duplex(64);
            drop(connections.accept(io));
            ends_after(&mut early).await;
            let took = ends_after(&mut late).await;
            assert!(took >= 7 * ROUND && took <= 9 * ROUND, "{took:?}");
            assert!(connections.lines.borrow().is_empty());
            tokio::time::sleep(ROUND).await;
            assert!(!connections.is_watched.get());
            let (_fourth, io) = duplex(64);
            let mut again = connections.accept(io);
            assert!(ends_after(&mut again).await >= QUIET, "the next is looked after too");
        });
    }
}
