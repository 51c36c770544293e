//! From names to addresses that may be asked, for the client's own use: what it connects to has passed here, each time.

use super::address;
use super::settings::{OutboundSettings, PrivateAddresses};
use reqwest::dns::{Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many names are looked up at a time. A lookup holds a thread, of which there are few, for as long as the name's
/// servers please; what the server itself needs must find one.
const LOOKUPS: usize = 16;

/// A name led to addresses, and none of them may be asked.
#[derive(Debug, thiserror::Error)]
#[error("no address that may be asked")]
pub(super) struct Refused;

/// Which addresses a connection may go to.
#[derive(Debug, Clone)]
pub(super) enum Permitted {
    /// This machine's own.
    Loopback,
    /// The public ones and these.
    PublicAnd(PrivateAddresses),
}

impl Permitted {
    /// What holds over TLS, or without it.
    pub(super) fn over(is_https: bool, settings: &OutboundSettings) -> Permitted {
        if is_https { Permitted::PublicAnd(settings.private.clone()) } else { Permitted::Loopback }
    }

    pub(super) fn permits(&self, address: IpAddr) -> bool {
        match self {
            Permitted::Loopback => address::is_loopback(address),
            Permitted::PublicAnd(private) => private.permit(address),
        }
    }
}

/// Finds the addresses of a name; blocks its thread. Ports mean nothing in it.
pub(super) type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// As the system does it.
pub(super) fn system() -> Lookup {
    Arc::new(|name| (name, 0).to_socket_addrs().map(Iterator::collect))
}

/// The names of servers, and which of them are being looked up.
#[derive(Clone)]
pub(super) struct Names {
    lookup: Lookup,
    places: Arc<Semaphore>,
}

impl Names {
    pub(super) fn new(lookup: Lookup) -> Names {
        Names { lookup, places: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// A resolver that lets these addresses through.
    pub(super) fn resolver(&self, permitted: Permitted) -> Resolver {
        Resolver { names: self.clone(), permitted }
    }

    async fn addresses(&self, name: Name) -> io::Result<Vec<SocketAddr>> {
        let lookup = Arc::clone(&self.lookup);
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
        let look_up = move || {
            let found = lookup(name.as_str());
            // Held to here, where the thread is free again: whoever asked may have gone long ago.
            drop(place);
            found
        };
        tokio::task::spawn_blocking(look_up).await?
    }
}

/// The resolver of one client.
pub(super) struct Resolver {
    names: Names,
    permitted: Permitted,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, permitted) = (self.names.clone(), self.permitted.clone());
        Box::pin(async move {
            let mut addresses = names.addresses(name).await?;
            let found = addresses.len();
            addresses.retain(|address| permitted.permits(address.ip()));
            if addresses.is_empty() && found > 0 {
                return Err(Refused.into());
            }
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    async fn resolved(permitted: Permitted, found: &'static [&'static str]) -> Result<Vec<String>, bool> {
        let addresses = move |_: &str| Ok(found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect());
        let resolver = Names::new(Arc::new(addresses)).resolver(permitted);
        match resolver.resolve(Name::from_str("provider.example").unwrap()).await {
            Ok(addresses) => Ok(addresses.map(|address| address.ip().to_string()).collect()),
            Err(error) => Err(error.is::<Refused>()),
        }
    }

    #[tokio::test]
    async fn only_addresses_that_may_be_asked_are_let_through() {
        let public = || Permitted::PublicAnd(PrivateAddresses::None);
        let mixed = &["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1", "::ffff:127.0.0.1"];
        assert_eq!(resolved(public(), mixed).await, Ok(vec!["8.8.8.8".to_owned(), "2606:4700::1".to_owned()]));
        assert_eq!(resolved(public(), &["10.0.0.1", "169.254.169.254"]).await, Err(true));
        assert_eq!(resolved(public(), &[]).await, Ok(vec![]));
        let loopback = resolved(Permitted::Loopback, mixed).await.unwrap();
        assert_eq!(loopback, ["::1", "::ffff:127.0.0.1"]);
        assert_eq!(resolved(Permitted::Loopback, &["8.8.8.8"]).await, Err(true));
    }

    #[tokio::test]
    async fn a_name_that_never_resolves_holds_its_place_and_others_wait_for_one() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = parking_lot::Mutex::new(held);
        let names = Names::new(Arc::new(move |name| {
            if name == "slow.example" {
                held.lock().recv().map_err(io::Error::other)?;
            }
            Ok(Vec::new())
        }));
        let ask = |name| names.addresses(Name::from_str(name).unwrap());
        let slow: Vec<_> = (0..LOOKUPS)
            .map(|_| {
                tokio::spawn({
                    let names = names.clone();
                    async move { names.addresses(Name::from_str("slow.example").unwrap()).await }
                })
            })
            .collect();
        while names.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        for waiting in &slow {
            waiting.abort();
        }
        let soon = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, ask("quick.example")).await.is_err(), "no place, though nobody waits");
        for _ in 0..LOOKUPS {
            release.send(()).unwrap();
        }
        assert!(ask("quick.example").await.is_ok());
    }
}
