//! What the native backend is told, and what is made of it before the first connection.

use crate::base::id;
use crate::base::secret::Secret;
use redis::{ConnectionAddr, IntoConnectionInfo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where Redis is and how to talk to it.
#[derive(Clone)]
pub struct NativeSettings {
    /// `redis://`, `rediss://` or `redis+unix://`, with user name, password and database where they are needed.
    pub url: Secret,
    /// Certificates for `rediss://`.
    pub tls: TlsFiles,
    /// The most connections that are opened.
    pub max_connections: usize,
    /// The longest that opening one may take.
    pub connection_timeout: Duration,
    /// The longest that one call waits for a connection that is being opened.
    pub patience: Duration,
    /// The longest that one call waits for its answer. A connection on which nobody was answered for twice as
    /// long (and a second) is given up.
    pub attempt: Duration,
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
    /// A certificate or key was not understood, or the system has no roots to trust.
    #[error("needs TLS certificates that can be used")]
    Certificates,
}

/// A Redis to connect to.
pub(super) struct Endpoint {
    pub(super) place: Place,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: i64,
}

/// Where it listens.
pub(super) enum Place {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, config: Arc<ClientConfig> },
    Unix(PathBuf),
}

impl NativeSettings {
    /// Whether they can be used.
    ///
    /// # Errors
    /// Which part cannot.
    pub fn check(&self) -> Result<(), UnusableSettings> {
        self.endpoint().map(drop)
    }

    /// Tells this endpoint from others without naming it: 32 hexadecimal digits.
    ///
    /// # Errors
    /// When the URL or the certificates cannot be used.
    pub fn digest(&self) -> Result<String, UnusableSettings> {
        let endpoint = self.endpoint()?;
        let place = match &endpoint.place {
            Place::Tcp { host, port } | Place::Tls { host, port, .. } => format!("{host}:{port}"),
            Place::Unix(path) => path.display().to_string(),
        };
        let digest = id::sha256(format!("{place}/{}", endpoint.database).as_bytes());
        Ok(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// What the URL says, as redis-rs reads it.
    pub(super) fn endpoint(&self) -> Result<Endpoint, UnusableSettings> {
        let info = self.url.expose().into_connection_info().map_err(|_| UnusableSettings::Url)?;
        let redis = info.redis_settings();
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Place::Tcp { host: host.clone(), port: *port },
            ConnectionAddr::TcpTls { host, port, insecure: false, .. } => {
                Place::Tls { host: host.clone(), port: *port, config: Arc::new(self.tls.config()?) }
            }
            ConnectionAddr::Unix(path) => Place::Unix(path.clone()),
            // A certificate that is not checked protects nothing.
            _ => return Err(UnusableSettings::Url),
        };
        Ok(Endpoint {
            place,
            user: redis.username().map(str::to_owned),
            password: redis.password().map(|password| Secret::new(password.to_owned())),
            database: redis.db(),
        })
    }
}

impl TlsFiles {
    fn config(&self) -> Result<ClientConfig, UnusableSettings> {
        let wrong = UnusableSettings::Certificates;
        // rustls panics without one.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(wrong);
        }
        let builder = match &self.ca {
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    roots.add(certificate.map_err(|_| wrong)?).map_err(|_| wrong)?;
                }
                if roots.is_empty() {
                    return Err(wrong);
                }
                ClientConfig::builder().with_root_certificates(roots)
            }
            None => ClientConfig::builder().with_platform_verifier().map_err(|_| wrong)?,
        };
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|_| wrong)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| wrong)?;
                builder.with_client_auth_cert(chain, key).map_err(|_| wrong)
            }
        }
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
            attempt: second,
        }
    }

    #[test]
    fn a_password_may_be_percent_encoded() {
        let endpoint = settings("redis://alice:p%40ss@localhost:7000/3").endpoint().unwrap();
        assert!(matches!(&endpoint.place, Place::Tcp { host, port: 7000 } if host == "localhost"));
        assert_eq!(endpoint.user.as_deref(), Some("alice"));
        assert_eq!(endpoint.password.unwrap().expose(), "p@ss");
        assert_eq!(endpoint.database, 3);
    }

    #[test]
    fn another_scheme_or_an_unchecked_certificate_is_refused() {
        for url in ["http://localhost", "localhost:6379", "", "redis://", "rediss://localhost/#insecure"] {
            assert_eq!(settings(url).endpoint().err(), Some(UnusableSettings::Url), "{url}");
        }
    }
}
