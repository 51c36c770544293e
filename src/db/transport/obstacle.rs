//! What stands in the way to a backend, found step by step: for people who want to mend it. Calls themselves only need to
//! know that they did not get through.

use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// The first step that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The host's name leads to no address.
    NoSuchHost,
    /// Nothing listens there.
    NothingListens,
    /// Nothing answers: a firewall, or a host that is down.
    Silent,
    /// There is no way there.
    NoRoute,
    /// The server's certificate is not trusted, or is for another name.
    Untrusted,
    /// It does not speak TLS as it should, or refuses the client's certificate.
    NoTls,
    /// It does not speak the protocol.
    OtherProtocol,
    /// It refuses the credentials.
    Credentials,
    /// It has no such database, is loading its data, or takes no more clients.
    NotServing,
}

/// Connects as far as TCP.
pub(super) async fn reach(host: &str, port: u16, limit: Duration) -> Result<TcpStream, Obstacle> {
    let addresses = timeout(limit, lookup_host((host, port))).await;
    let addresses: Vec<_> = addresses.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default();
    if addresses.is_empty() {
        return Err(Obstacle::NoSuchHost);
    }
    match timeout(limit, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(match error.kind() {
            io::ErrorKind::ConnectionRefused => Obstacle::NothingListens,
            io::ErrorKind::TimedOut => Obstacle::Silent,
            _ => Obstacle::NoRoute,
        }),
        Err(_) => Err(Obstacle::Silent),
    }
}

/// What a failed handshake shows.
pub(super) fn of_handshake(error: &io::Error) -> Obstacle {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => Obstacle::Untrusted,
        _ => Obstacle::NoTls,
    }
}
