//! What the native backend needs to know, and the client that redis-rs makes of it.

use crate::base::secret::Secret;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates};
use std::time::Duration;

/// Where Redis is and how to talk to it.
#[derive(Clone)]
pub struct NativeSettings {
    /// `redis://` or `rediss://`, with user name, password and database where they are needed.
    pub url: Secret,
    /// Certificates for `rediss://`.
    pub tls: TlsFiles,
    /// The most connections that are opened.
    pub max_connections: usize,
    /// The longest that opening one may take.
    pub connection_timeout: Duration,
    /// The longest that one call waits for a connection that is being opened.
    pub patience: Duration,
}

/// PEM texts for TLS. Without an own CA the system's roots are trusted.
#[derive(Clone, Default)]
pub struct TlsFiles {
    /// The CA that alone is trusted.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate and its key.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

/// Settings that cannot be used. Says which part, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSettings {
    /// The URL was not understood.
    #[error("is not a redis:// or rediss:// URL")]
    Url,
    /// A certificate or key was not understood.
    #[error("the TLS certificates cannot be used")]
    Certificates,
}

/// How long the kernel keeps trying to get bytes through before it gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

impl NativeSettings {
    pub(super) fn client(&self) -> Result<redis::Client, UnusableSettings> {
        let info = self.url.expose().into_connection_info().map_err(|_| UnusableSettings::Url)?;
        let remote = !is_loopback(info.addr());
        // Against a Redis on this machine Nagle's algorithm batches for free; over a network it costs a round trip.
        let tcp = TcpSettings::default()
            .set_nodelay(remote)
            .set_keepalive(TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5)))
            .set_user_timeout(USER_TIMEOUT);
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        let info: ConnectionInfo = info.set_tcp_settings(tcp).set_redis_settings(redis);
        match info.addr() {
            ConnectionAddr::TcpTls { .. } => {
                let client_tls = self
                    .tls
                    .client
                    .clone()
                    .map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
                let certificates = TlsCertificates { client_tls, root_cert: self.tls.ca.clone() };
                redis::Client::build_with_tls(info, certificates).map_err(|_| UnusableSettings::Certificates)
            }
            _ => redis::Client::open(info).map_err(|_| UnusableSettings::Url),
        }
    }
}

fn is_loopback(address: &ConnectionAddr) -> bool {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> NativeSettings {
        let second = Duration::from_secs(1);
        NativeSettings {
            url: Secret::new(url.into()),
            tls: TlsFiles::default(),
            max_connections: 1,
            connection_timeout: second,
            patience: second,
        }
    }

    #[test]
    fn a_password_may_be_percent_encoded() {
        let client = settings("redis://alice:p%40ss@localhost:7000/3").client().unwrap();
        let redis = client.get_connection_info().redis_settings();
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("alice"), Some("p@ss"), 3));
    }

    #[test]
    fn another_scheme_is_refused() {
        for url in ["http://localhost", "localhost:6379", "", "redis://"] {
            assert_eq!(settings(url).client().err(), Some(UnusableSettings::Url), "{url}");
        }
    }
}
