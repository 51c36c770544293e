//! What stands in the way to a REST endpoint.

use super::settings::RestSettings;
use crate::db::transport::obstacle::{Obstacle, of_handshake, reach};
use reqwest::StatusCode;
use serde_json::Value;
use std::error::Error;
use std::io;
use std::time::Duration;

impl RestSettings {
    /// The first step on the way there that fails, each within `limit`; nothing when all go well.
    pub async fn obstacle(&self, limit: Duration) -> Option<Obstacle> {
        let (host, port) = self.url.place()?;
        match reach(host, port, limit).await {
            // A connection of the client's own follows.
            Ok(stream) => drop(stream),
            Err(obstacle) => return Some(obstacle),
        }
        let Ok(client) = self.client() else { return Some(Obstacle::NoTls) };
        let request = client.post(self.url.endpoint("pipeline")).timeout(limit).body(r#"[["PING"]]"#);
        match request.send().await {
            Err(error) if error.is_connect() && self.url.is_https() => Some(of_chain(&error)),
            Err(error) if error.is_timeout() => Some(Obstacle::Silent),
            Err(_) => Some(Obstacle::OtherProtocol),
            Ok(answer) => match answer.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Obstacle::Credentials),
                StatusCode::OK if is_of_a_pipeline(answer).await => None,
                _ => Some(Obstacle::OtherProtocol),
            },
        }
    }
}

async fn is_of_a_pipeline(mut answer: reqwest::Response) -> bool {
    // One answer is short, or it is another's.
    let body = answer.chunk().await.ok().flatten().unwrap_or_default();
    serde_json::from_slice::<Value>(&body)
        .is_ok_and(|body| body.get(0).is_some_and(|first| first.get("result").is_some()))
}

/// Where the handshake failed, which the client's error has somewhere among its causes.
fn of_chain(error: &reqwest::Error) -> Obstacle {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>().filter(|error| error.get_ref().is_some()) {
            let obstacle = of_handshake(error);
            if obstacle == Obstacle::Untrusted {
                return obstacle;
            }
        }
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return Obstacle::Untrusted;
        }
        cause = error.source();
    }
    Obstacle::NoTls
}
