//! Opening a connection: TCP or TLS or a socket file, and the first words over it.

use super::frames::Frames;
use super::link::Stream;
use super::pace::unreachable;
use super::settings::{Endpoint, Place};
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::reply::Reply;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An idle connection is asked this often whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long the kernel keeps trying to get bytes through before it gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the first words may take, TLS included. Who accepts and then is silent is given up soon.
pub(super) const GREETING: Duration = Duration::from_millis(1500);

/// The most bytes of an answer to the first words: `OK`, or a refusal.
const ANSWER: usize = 16 * 1024;

/// Opens a connection, within `limit`, over which commands may be said. Whatever fails: nothing was sent.
pub(super) async fn dial(endpoint: &Endpoint, limit: Duration) -> Result<Box<dyn Stream>, Error> {
    let opened = async {
        match &endpoint.place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                Ok(greet(async { Ok(boxed(stream)) }, endpoint).await)
            }
            Place::Tcp { host, port } => {
                let stream = tcp(host, *port).await?;
                Ok(greet(async { Ok(boxed(stream)) }, endpoint).await)
            }
            Place::Tls { host, port, config } => {
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let stream = TlsConnector::from(config.clone()).connect(name, tcp(host, *port).await?);
                Ok(greet(async { Ok(boxed(stream.await?)) }, endpoint).await)
            }
        }
    };
    match tokio::time::timeout(limit, opened).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err::<_, io::Error>(_)) | Err(_) => Err(unreachable()),
    }
}

/// Which of them it is matters to nobody from here on, and a call through a table costs nothing beside one of the kernel.
fn boxed(stream: impl Stream) -> Box<dyn Stream> {
    Box::new(stream)
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    tune(&stream, stream.peer_addr()?.ip().is_loopback())?;
    Ok(stream)
}

fn tune(stream: &TcpStream, is_local: bool) -> io::Result<()> {
    // To a Redis on this machine Nagle's algorithm batches for free; over a network it costs a round trip.
    stream.set_nodelay(!is_local)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

/// With no time to linger, closing resets the connection: what our kernel still holds never arrives.
fn never_linger(stream: &TcpStream) {
    if SockRef::from(stream).set_linger(Some(Duration::ZERO)).is_err() {
        tracing::debug!("a connection is closed without a reset");
    }
}

impl Stream for TcpStream {
    fn abandon(&self) {
        never_linger(self);
    }
}

impl Stream for TlsStream<TcpStream> {
    fn abandon(&self) {
        never_linger(self.get_ref().0);
    }
}

impl Stream for UnixStream {
    /// What was written is with the peer's kernel, which is ours.
    fn abandon(&self) {}
}

/// Brings a connection that is there to life.
async fn greet(
    opening: impl Future<Output = io::Result<Box<dyn Stream>>>,
    endpoint: &Endpoint,
) -> Result<Box<dyn Stream>, Error> {
    let greeted = async {
        let mut frames = Frames::over(opening.await.map_err(|_| unreachable())?);
        introduce(&mut frames, endpoint).await.map_err(|error| match error.kind {
            ErrorKind::Forbidden => error,
            _ => unreachable(),
        })?;
        frames.into_stream().ok_or_else(unreachable)
    };
    tokio::time::timeout(GREETING, greeted).await.unwrap_or_else(|_| Err(unreachable()))
}

/// Says who we are and which database it is about, and sees that the server serves.
pub(super) async fn introduce(frames: &mut Frames, endpoint: &Endpoint) -> Result<(), Error> {
    let mut words: Vec<Vec<&[u8]>> = Vec::new();
    match (&endpoint.user, &endpoint.password) {
        (Some(user), Some(password)) => words.push(vec![b"AUTH", user.as_bytes(), password.expose().as_bytes()]),
        (None, Some(password)) => words.push(vec![b"AUTH", password.expose().as_bytes()]),
        (_, None) => {}
    }
    let database = endpoint.database.to_string();
    if endpoint.database != 0 {
        words.push(vec![b"SELECT", database.as_bytes()]);
    }
    words.push(vec![b"PING"]);
    frames.say(&words).await?;
    for _ in &words {
        let reply = frames.next(ANSWER).await?;
        if let Reply::Refused(refusal) = reply {
            // It cannot save what is written, and refuses even a PING for that, but serves reads.
            if refusal.code() == "MISCONF" {
                continue;
            }
            let kind = match Error::from(refusal).kind {
                ErrorKind::Forbidden => ErrorKind::Forbidden,
                // Loading, too many clients, or no such database: not one to work with.
                _ => ErrorKind::Unreachable,
            };
            return Err(Error::new(kind, Delivery::NotSent));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_kernel_watches_each_connection_and_sends_at_once_over_a_network() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tcp("127.0.0.1", listener.local_addr().unwrap().port()).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE / 3);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        assert!(!stream.nodelay().unwrap());
        tune(&stream, false).unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
