//! Opening a connection: TCP or TLS or a socket file, and the first words over it.

use super::link::Link;
use super::resp;
use super::settings::{Endpoint, Place};
use crate::db::error::{Delivery, Error, ErrorKind};
use crate::db::reply::Reply;
use bytes::BytesMut;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// An idle connection is asked this often whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long the kernel keeps trying to get bytes through before it gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a connection, within `limit`. Whatever fails: nothing was sent.
pub(super) async fn dial(endpoint: &Endpoint, limit: Duration) -> Result<Link, Error> {
    let opened = tokio::time::timeout(limit, async {
        let link = connect(endpoint).await.map_err(|_| unreachable())?;
        greet(&link, endpoint).await.map(|()| link)
    });
    opened.await.unwrap_or_else(|_| Err(unreachable()))
}

fn unreachable() -> Error {
    Error::new(ErrorKind::Unreachable, Delivery::NotSent)
}

async fn connect(endpoint: &Endpoint) -> io::Result<Link> {
    match &endpoint.place {
        Place::Tcp { host, port } => Ok(Link::over(tcp(host, *port).await?)),
        Place::Tls { host, port, config } => {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let stream = TlsConnector::from(config.clone()).connect(name, tcp(host, *port).await?).await?;
            Ok(Link::over(stream))
        }
        Place::Unix(path) => Ok(Link::over(UnixStream::connect(path).await?)),
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // To a Redis on this machine Nagle's algorithm batches for free; over a network it costs a round trip.
    stream.set_nodelay(!stream.peer_addr()?.ip().is_loopback())?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}

/// Says who we are and which database it is about, and sees that the server serves.
async fn greet(link: &Link, endpoint: &Endpoint) -> Result<(), Error> {
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
    let write = |out: &mut BytesMut| words.iter().for_each(|command| resp::encode(command.iter().copied(), out));
    for reply in link.call(words.len(), write).await.map_err(|_| unreachable())? {
        if let Reply::Refused(refusal) = reply {
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
