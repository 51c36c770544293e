//! How far requests to providers may go, and how long they may take.

use super::address;
use crate::base::env::{Env, Variable};
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// What holds for all requests to servers that tenants name.
#[derive(Clone)]
pub struct OutboundSettings {
    /// `OAUTH_ALLOW_PRIVATE`: which addresses may be asked although they are not public.
    pub private: PrivateAddresses,
    /// `OAUTH_ALLOW_HTTP_LOOPBACK`: whether plain HTTP may be spoken with this machine itself.
    pub http_to_loopback: bool,
    /// `OAUTH_TIMEOUT`: the longest that one request may take, from looking up the name to the last byte of the answer.
    pub timeout: Duration,
    /// `OAUTH_CA_FILE`: certificates in PEM form that are trusted beside the system's.
    pub ca_pem: Option<Vec<u8>>,
}

const PRIVATE: Variable = Variable::new(
    "OAUTH_ALLOW_PRIVATE",
    "Which addresses that are not public providers may have: a comma-separated list of addresses and CIDR ranges, true for all, false for none.",
)
.default("false");
const HTTP: Variable = Variable::new(
    "OAUTH_ALLOW_HTTP_LOOPBACK",
    "Whether a provider on this machine may be asked over plain HTTP. For development.",
)
.default("false");
const TIMEOUT: Variable =
    Variable::new("OAUTH_TIMEOUT", "Longest that a request to a provider may take; connecting gets 5s of it at most.")
        .default("10s");
const CA: Variable = Variable::new("OAUTH_CA_FILE", "CA to trust beside the system's, in PEM.");

impl OutboundSettings {
    /// Reads and defines the variables.
    pub fn read(env: &mut Env) -> OutboundSettings {
        let must = "is neither true nor false nor a list of addresses and CIDR ranges";
        OutboundSettings {
            private: env.parsed(PRIVATE, must, PrivateAddresses::parse).unwrap_or_default(),
            http_to_loopback: env.flag(HTTP).unwrap_or(false),
            timeout: env.positive_duration(TIMEOUT),
            ca_pem: certificates(env),
        }
    }
}

/// Nothing but public addresses over HTTPS, for ten seconds.
impl Default for OutboundSettings {
    fn default() -> Self {
        OutboundSettings {
            private: PrivateAddresses::None,
            http_to_loopback: false,
            timeout: Duration::from_secs(10),
            ca_pem: None,
        }
    }
}

impl std::fmt::Debug for OutboundSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundSettings")
            .field("private", &self.private)
            .field("http_to_loopback", &self.http_to_loopback)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The file that `OAUTH_CA_FILE` names, where certificates can be read from it.
fn certificates(env: &mut Env) -> Option<Vec<u8>> {
    let path = env.text(CA)?;
    let Ok(pem) = std::fs::read(path) else {
        env.mistake("OAUTH_CA_FILE", "names a file that cannot be read");
        return None;
    };
    let holds_one = reqwest::Certificate::from_pem_bundle(&pem).is_ok_and(|certificates| !certificates.is_empty());
    if !holds_one {
        env.mistake("OAUTH_CA_FILE", "names a file without a certificate in PEM form");
    }
    holds_one.then_some(pem)
}

/// Which addresses may be asked although they are not public.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PrivateAddresses {
    /// None.
    #[default]
    None,
    /// These.
    Only(Vec<IpNet>),
    /// All.
    All,
}

impl PrivateAddresses {
    /// Reads `true`, `false`, or a comma-separated list of addresses and CIDR ranges.
    pub fn parse(text: &str) -> Option<PrivateAddresses> {
        let range = |part: &str| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from));
        match text.to_ascii_lowercase().as_str() {
            "true" => Some(PrivateAddresses::All),
            "false" => Some(PrivateAddresses::None),
            list => list.split(',').map(|part| range(part.trim())).collect::<Option<_>>().map(PrivateAddresses::Only),
        }
    }

    /// Whether an address may be asked: it is public, or one of these, as it is written or as what is reached through it.
    pub(super) fn permit(&self, address: IpAddr) -> bool {
        let reached = address::reached(address);
        let listed = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address) || range.contains(&reached));
        match self {
            PrivateAddresses::None => address::is_public(address),
            PrivateAddresses::Only(ranges) => address::is_public(address) || listed(ranges),
            PrivateAddresses::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (OutboundSettings, Vec<String>) {
        let mut env = Env::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let settings = OutboundSettings::read(&mut env);
        (settings, env.finish().err().map(|mistakes| mistakes.0).unwrap_or_default())
    }

    #[test]
    fn nothing_private_is_allowed_unless_it_is_said() {
        let (settings, mistakes) = read(&[]);
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(settings.private, PrivateAddresses::None);
        assert!(!settings.http_to_loopback && settings.ca_pem.is_none());
        assert_eq!(settings.timeout, Duration::from_secs(10));
    }

    #[test]
    fn a_list_lets_through_what_is_in_it_and_nothing_else_that_is_private() {
        let (settings, _) = read(&[("OAUTH_ALLOW_PRIVATE", "10.1.0.0/16, 192.168.7.7 ,fd00::/8")]);
        let permits = |address: &str| settings.private.permit(address.parse().unwrap());
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "192.168.7.7", "fd12::1", "8.8.8.8", "2606:4700::1"] {
            assert!(permits(allowed), "{allowed}");
        }
        for refused in ["10.2.0.1", "::ffff:10.2.0.1", "192.168.7.8", "127.0.0.1", "::1", "fe80::1", "169.254.169.254"]
        {
            assert!(!permits(refused), "{refused}");
        }
    }

    #[test]
    fn true_is_all_and_false_is_none() {
        let metadata = "169.254.169.254".parse().unwrap();
        assert!(read(&[("OAUTH_ALLOW_PRIVATE", "TRUE")]).0.private.permit(metadata));
        assert!(!read(&[("OAUTH_ALLOW_PRIVATE", "false")]).0.private.permit(metadata));
    }

    #[test]
    fn what_cannot_be_read_is_a_mistake_that_allows_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "canary").unwrap();
        let path = file.path().to_str().unwrap();
        let (settings, mistakes) = read(&[
            ("OAUTH_ALLOW_PRIVATE", "10.0.0.0/8,canary"),
            ("OAUTH_ALLOW_HTTP_LOOPBACK", "canary"),
            ("OAUTH_TIMEOUT", "0s"),
            ("OAUTH_CA_FILE", path),
        ]);
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert!(mistakes.iter().all(|mistake| mistake.starts_with("OAUTH_") && !mistake.contains("canary")));
        assert_eq!(settings.private, PrivateAddresses::None);
        assert!(!settings.http_to_loopback && settings.ca_pem.is_none());
        assert_eq!(read(&[("OAUTH_CA_FILE", "/does/not/exist")]).1.len(), 1);
        for list in ["10.0.0.0/33", "10.0.0.1,", ",", "10.0.0", "localhost", "yes"] {
            assert_eq!(PrivateAddresses::parse(list), None, "{list}");
        }
    }
}
