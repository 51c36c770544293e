//! Requests to providers and what may become of them, against a real server that rotates refresh tokens: where they may
//! go, how long and how large an answer may be, and that nobody hears what they say.

mod bounds;
mod reaching;
mod refreshing;
mod secrets;

use crate::harness::app::install_crypto;
use crate::harness::oauth_server::{CLIENT_ID, CLIENT_SECRET, OauthServer};
use agentapi::base::secret::Secret;
use agentapi::outbound::{Outbound, OutboundSettings, PrivateAddresses, TargetUrl};
use agentapi::stores::tokens::oauth::{AuthStyle, Client, RefreshFailure, Refreshed, refresh};
use std::net::SocketAddr;
use std::time::Duration;

/// What a developer allows.
fn local() -> OutboundSettings {
    install_crypto();
    OutboundSettings { http_to_loopback: true, ..OutboundSettings::default() }
}

/// What trusts a server's certificate, and lets nothing private through.
fn trusting(server: &OauthServer) -> OutboundSettings {
    install_crypto();
    OutboundSettings { ca_pem: Some(server.certificate().into()), ..OutboundSettings::default() }
}

fn private(list: &str) -> PrivateAddresses {
    PrivateAddresses::parse(list).unwrap()
}

/// One for which every name leads to this address.
fn leading_to(address: &str, settings: OutboundSettings) -> Outbound {
    let address = SocketAddr::new(address.parse().unwrap(), 0);
    Outbound::with_names(settings, move |_| Ok(vec![address]))
}

/// Refreshes at this URL as the client that the server knows.
async fn refreshed(outbound: &Outbound, url: &str, refresh_token: &str) -> Result<Refreshed, RefreshFailure> {
    let url = TargetUrl::parse(url, outbound.settings()).expect("a URL that may be asked");
    refresh_at(outbound, &url, refresh_token).await
}

async fn refresh_at(outbound: &Outbound, url: &TargetUrl, refresh_token: &str) -> Result<Refreshed, RefreshFailure> {
    let secret = Secret::new(CLIENT_SECRET.to_owned());
    let client = Client {
        token_url: url,
        client_id: CLIENT_ID,
        client_secret: Some(&secret),
        style: AuthStyle::Basic,
        scopes: None,
    };
    refresh(outbound, &client, &Secret::new(refresh_token.to_owned())).await
}
