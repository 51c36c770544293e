//! Moves bytes between the state of a connection and its socket, until one of them ends.

use super::super::resp::{self, Broken, Scanner};
use super::watch::Watch;
use super::{State, Stream};
use crate::db::error::{Delivery, Error, ErrorKind};
use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// How much room there is for a read.
const READ: usize = 16 * 1024;
/// A buffer that had to grow beyond this is not kept once it is empty.
const KEPT: usize = 1024 * 1024;

/// The order matters: the socket is closed, and what it had not sent is gone, before anybody is told and
/// perhaps tries again.
struct Driver<S> {
    stream: S,
    writing: BytesMut,
    reading: BytesMut,
    scanner: Scanner,
    watch: Watch,
    end: Ending,
}

/// Tells all who wait, whatever ends the driver; also that its runtime did.
struct Ending {
    state: Arc<Mutex<State>>,
    kind: ErrorKind,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.state.lock().end(&Error::new(self.kind.clone(), Delivery::Unknown));
    }
}

/// How a connection ended.
enum End {
    Lost,
    GivenUp,
    Broken(Broken),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        End::Lost
    }
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        End::Broken(broken)
    }
}

/// Runs until the connection ends; to drop it, even unpolled, ends the connection.
pub(super) fn drive<S: Stream>(stream: S, state: Arc<Mutex<State>>, tick: Duration) -> impl Future<Output = ()> + Send {
    let driver = Driver {
        stream,
        writing: BytesMut::new(),
        reading: BytesMut::with_capacity(READ),
        scanner: Scanner::default(),
        watch: Watch::new(tick),
        end: Ending { state, kind: ErrorKind::Disconnected },
    };
    driver.run()
}

impl<S: Stream> Driver<S> {
    async fn run(mut self) {
        match poll_fn(|context| self.poll(context)).await {
            End::Lost => {}
            End::GivenUp => {
                tracing::warn!("a connection to the backend is given up: calls wait, and none is answered in time");
                self.stream.abandon();
            }
            End::Broken(Broken(rule)) => {
                self.end.kind = ErrorKind::Protocol(rule);
                self.stream.abandon();
            }
        }
    }

    /// Runs until the connection ends, and says how.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Err(end) = self.write(context) {
                return Poll::Ready(end.into());
            }
            match self.read(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => {
                    let mut state = self.end.state.lock();
                    if state.ended.is_some() {
                        return Poll::Ready(End::Lost);
                    }
                    if state.out.is_empty() || !self.writing.is_empty() {
                        state.driver = Some(context.waker().clone());
                        let (anybody_waits, served) = (state.unanswered > 0, state.served);
                        drop(state);
                        return self.watch.poll(context, anybody_waits, served).map(|()| End::GivenUp);
                    }
                }
            }
        }
    }

    /// Writes as much as the socket takes.
    fn write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        loop {
            if self.writing.is_empty() {
                if self.writing.capacity() > KEPT {
                    self.writing = BytesMut::new();
                }
                std::mem::swap(&mut self.writing, &mut self.end.state.lock().out);
            }
            if self.writing.is_empty() {
                return match Pin::new(&mut self.stream).poll_flush(context) {
                    Poll::Ready(flushed) => flushed,
                    Poll::Pending => Ok(()),
                };
            }
            match Pin::new(&mut self.stream).poll_write(context, &self.writing) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(taken)) => {
                    self.writing.advance(taken);
                    self.end.state.lock().sent += taken as u64;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Reads once and hands out all replies that are complete.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.reading.reserve(READ);
        let read = pin!(self.stream.read_buf(&mut self.reading));
        if ready!(read.poll(context))? == 0 {
            return Poll::Ready(Err(End::Lost));
        }
        let mut state = self.end.state.lock();
        while let Some(length) = self.scanner.scan(&self.reading)? {
            let keeps = state.keeps(length)?;
            let frame = self.reading.split_to(length);
            let reply = if keeps { Some(resp::take(&frame.freeze())?) } else { None };
            state.deliver(reply, length)?;
        }
        if !state.keeps(self.scanner.known(self.reading.len()))? {
            self.scanner.skip(&mut self.reading);
        }
        Poll::Ready(Ok(()))
    }
}
