//! What may be reached, and how patiently.

use super::address::Allowed;
use crate::base::env::{Env, Variable};
use std::sync::Arc;
use std::time::Duration;

/// What holds for requests to servers that tenants name.
#[derive(Debug, Clone)]
pub struct OutboundSettings {
    /// `OAUTH_ALLOW_PRIVATE`: which private and other special addresses may be reached.
    pub allowed: Allowed,
    /// `OAUTH_ALLOW_HTTP_LOOPBACK`: whether this machine may be reached over plain HTTP.
    pub http_loopback: bool,
    /// `OAUTH_TIMEOUT`: how long a whole request may take.
    pub timeout: Duration,
    /// `OAUTH_CA_FILE`: certificates that are trusted beside the system's, PEM.
    pub ca_pem: Option<Arc<[u8]>>,
}

impl OutboundSettings {
    /// Reads the variables.
    pub fn read(env: &mut Env) -> OutboundSettings {
        let allowed = Variable::new(
            "OAUTH_ALLOW_PRIVATE",
            "Private and link-local addresses where OAuth providers may be: addresses and CIDR ranges, comma separated, or true for all.",
        );
        let must = "is neither true nor false nor a list of addresses and CIDR ranges";
        let allowed = env.parsed(allowed, must, Allowed::parse).unwrap_or_default();
        let loopback = "Whether an OAuth provider may be on this machine over plain HTTP, for development.";
        let http_loopback =
            env.flag(Variable::new("OAUTH_ALLOW_HTTP_LOOPBACK", loopback).default("false")).unwrap_or_default();
        let timeout =
            Variable::new("OAUTH_TIMEOUT", "Longest that an OAuth provider may take to answer.").default("10s");
        let timeout = env.positive_duration(timeout);
        let ca =
            Variable::new("OAUTH_CA_FILE", "Certificates in PEM that OAuth providers may have beside the system's.");
        let ca_pem = env.text(ca).and_then(|path| {
            let read = std::fs::read(path).ok().map(Arc::from);
            if read.is_none() {
                env.mistake("OAUTH_CA_FILE", "names a file that cannot be read");
            }
            read
        });
        OutboundSettings { allowed, http_loopback, timeout, ca_pem }
    }
}
