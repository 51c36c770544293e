//! A connection on which one thing is said at a time: the first words over each, and a subscription. Calls that share
//! one go over a [`link`](super::link).

use super::link::Stream;
use super::resp::{self, Broken, Scanner};
use crate::db::TOO_LONG;
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::reply::Reply;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How much room there is for a read.
const READ: usize = 4 * 1024;

/// A stream, and what has arrived of the next reply.
pub(super) struct Frames {
    stream: Box<dyn Stream>,
    reading: BytesMut,
    scanner: Scanner,
}

impl Frames {
    pub(super) fn over(stream: Box<dyn Stream>) -> Frames {
        Frames { stream, reading: BytesMut::new(), scanner: Scanner::default() }
    }

    /// Says all of these commands at once.
    pub(super) async fn say(&mut self, commands: &[Vec<&[u8]>]) -> Result<(), Error> {
        let mut out = BytesMut::new();
        commands.iter().for_each(|command| resp::encode(command.iter().copied(), &mut out));
        let written = async {
            self.stream.write_all(&out).await?;
            self.stream.flush().await
        };
        written.await.map_err(|_| lost())
    }

    /// The next reply, of at most `longest` bytes. May be given up and asked for again.
    pub(super) async fn next(&mut self, longest: usize) -> Result<Reply, Error> {
        loop {
            let found = self.scanner.scan(&self.reading).map_err(broken)?;
            if found.unwrap_or_else(|| self.scanner.known(self.reading.len())) > longest {
                return Err(Error::new(ErrorKind::Protocol(TOO_LONG), Delivery::Answered));
            }
            if let Some(length) = found {
                return resp::take(&self.reading.split_to(length).freeze()).map_err(broken);
            }
            self.reading.reserve(READ);
            if self.stream.read_buf(&mut self.reading).await.map_err(|_| lost())? == 0 {
                return Err(lost());
            }
        }
    }

    /// The stream, if nothing has arrived that was not asked for.
    pub(super) fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.reading.is_empty().then_some(self.stream)
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Disconnected, Delivery::Unknown)
}

fn broken(Broken(rule): Broken) -> Error {
    Error::new(ErrorKind::Protocol(rule), Delivery::Unknown)
}
