//! What stands in the way to a Redis.

use super::dial::{GREETING, introduce};
use super::frames::Frames;
use super::link::Stream;
use super::settings::{Endpoint, NativeSettings, Place};
use crate::db::error::ErrorKind;
use crate::db::transport::obstacle::{Obstacle, of_handshake, reach};
use rustls::pki_types::ServerName;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

impl NativeSettings {
    /// The first step on the way there that fails, each within `limit`; nothing when all go well.
    pub async fn obstacle(&self, limit: Duration) -> Option<Obstacle> {
        // Settings that cannot be used were refused before.
        let endpoint = self.endpoint().ok()?;
        let stream = match open(&endpoint, limit).await {
            Ok(stream) => stream,
            Err(obstacle) => return Some(obstacle),
        };
        let mut frames = Frames::over(stream);
        match timeout(GREETING, introduce(&mut frames, &endpoint)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(match error.kind {
                ErrorKind::Forbidden => Obstacle::Credentials,
                ErrorKind::Unreachable => Obstacle::NotServing,
                // It hung up on the first words, or answered something else.
                _ => Obstacle::OtherProtocol,
            }),
            Err(_) => Some(Obstacle::Silent),
        }
    }
}

async fn open(endpoint: &Endpoint, limit: Duration) -> Result<Box<dyn Stream>, Obstacle> {
    match &endpoint.place {
        Place::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(_) => Err(Obstacle::NothingListens),
        },
        Place::Tcp { host, port } => Ok(Box::new(reach(host, *port, limit).await?)),
        Place::Tls { host, port, config } => {
            let stream = reach(host, *port, limit).await?;
            let name = ServerName::try_from(host.clone()).map_err(|_| Obstacle::NoSuchHost)?;
            match timeout(limit, TlsConnector::from(config.clone()).connect(name, stream)).await {
                Ok(Ok(stream)) => Ok(Box::new(stream)),
                Ok(Err(error)) => Err(of_handshake(&error)),
                Err(_) => Err(Obstacle::NoTls),
            }
        }
    }
}
