//! Where requests may go: judged after the name was resolved, for each connection, and never by what an answer says.

use super::*;
use crate::harness::oauth_server::Behaviour;
use crate::harness::redis_server::free_port;
use agentapi::outbound::Failure;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const NOT_SENT: RefreshFailure = RefreshFailure::NotConsumed { retry_after: None };

#[tokio::test]
async fn a_public_name_that_leads_inside_is_refused_before_a_connection_is_made() {
    let server = OauthServer::start_tls();
    let (token, url) = (server.issue(), server.token_url_at("provider.example"));
    for inside in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "fe80::1"] {
        let outbound = leading_to(inside, trusting(&server));
        assert_eq!(refreshed(&outbound, &url, &token).await.unwrap_err(), RefreshFailure::Forbidden, "{inside}");
    }
    assert_eq!(server.connections(), 0);
    // What shows that it was the address and nothing else.
    let allowed = OutboundSettings { private: private("127.0.0.1"), ..trusting(&server) };
    assert!(refreshed(&leading_to("127.0.0.1", allowed), &url, &token).await.is_ok());
    assert_eq!(server.refreshes(), 1);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_again() {
    let server = OauthServer::start_tls();
    let settings = OutboundSettings { private: private("127.0.0.1"), ..trusting(&server) };
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lookups);
    let outbound = Outbound::with_names(settings, move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        let address = if first { [127, 0, 0, 1] } else { [127, 0, 0, 2] };
        Ok(vec![(address, 0).into()])
    });
    let url = server.token_url_at("provider.example");
    assert!(refreshed(&outbound, &url, &server.issue()).await.is_ok());
    assert_eq!(refreshed(&outbound, &url, &server.issue()).await.unwrap_err(), RefreshFailure::Forbidden);
    assert_eq!((lookups.load(Ordering::SeqCst), server.connections()), (2, 1));
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_asked_are() {
    let server = OauthServer::start_tls();
    let settings = OutboundSettings { private: private("127.0.0.1"), ..trusting(&server) };
    let several = ["169.254.169.254", "10.0.0.1", "::1", "127.0.0.1"];
    let outbound = Outbound::with_names(settings, move |_| {
        Ok(several.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect())
    });
    assert!(refreshed(&outbound, &server.token_url_at("provider.example"), &server.issue()).await.is_ok());
}

#[tokio::test]
async fn the_systems_own_names_are_judged_too() {
    let server = OauthServer::start();
    let token = server.issue();
    let developing = Outbound::new(local());
    let url = TargetUrl::parse(&server.token_url_at("localhost"), developing.settings()).unwrap();
    assert!(refresh_at(&developing, &url, &token).await.is_ok());
    // A URL that passed when more was allowed.
    let strict = Outbound::new(OutboundSettings::default());
    assert_eq!(refresh_at(&strict, &url, &token).await.unwrap_err(), RefreshFailure::Forbidden);
    let by_address = TargetUrl::parse(&server.token_url(), developing.settings()).unwrap();
    assert_eq!(refresh_at(&strict, &by_address, &token).await.unwrap_err(), RefreshFailure::Forbidden);
    // Plain HTTP goes to this machine alone, whatever a name that should mean it leads to.
    let misled = leading_to("8.8.8.8", local());
    assert_eq!(refresh_at(&misled, &url, &token).await.unwrap_err(), RefreshFailure::Forbidden);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (server, other) = (OauthServer::start(), OauthServer::start());
    let outbound = Outbound::new(local());
    for status in [301, 302, 303, 307, 308] {
        server.behave(Behaviour::refuse_with(status, "location", &other.token_url()));
        let refused = refreshed(&outbound, &server.token_url(), &other.issue()).await.unwrap_err();
        assert_eq!(refused, RefreshFailure::Rejected("other"), "{status}");
    }
    assert_eq!((server.requests(), other.connections()), (5, 0));
}

#[tokio::test]
async fn over_tls_nothing_is_said_to_whom_nobody_vouches_for() {
    let (server, other) = (OauthServer::start_tls(), OauthServer::start_tls());
    let allowed = |ca: &OauthServer| OutboundSettings { private: private("127.0.0.1"), ..trusting(ca) };
    let token = server.issue();
    let stranger = leading_to("127.0.0.1", allowed(&other));
    assert_eq!(refreshed(&stranger, &server.token_url(), &token).await.unwrap_err(), NOT_SENT);
    let misnamed = leading_to("127.0.0.1", allowed(&server));
    assert_eq!(refreshed(&misnamed, &server.token_url_at("else.example"), &token).await.unwrap_err(), NOT_SENT);
    assert_eq!(server.requests(), 0);
    assert_eq!(server.connections(), 0, "no handshake came to its end");
    assert!(refreshed(&misnamed, &server.token_url(), &token).await.is_ok());
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let outbound = Outbound::new(local());
    let url = format!("http://127.0.0.1:{}/token", free_port());
    assert_eq!(refreshed(&outbound, &url, "token").await.unwrap_err(), NOT_SENT);
    let url = TargetUrl::parse(&url, outbound.settings()).unwrap();
    assert_eq!(outbound.post_form(&url, None, &[]).await.unwrap_err(), Failure::NotSent);
}

/// Runs itself again in a process whose system has no CA bundle and names a proxy that nobody runs.
#[test]
fn neither_the_systems_certificates_nor_its_proxies_are_needed() {
    const INSIDE: &str = "AGENTAPI_TEST_WITHOUT_CA_BUNDLE_BEHIND_A_PROXY";
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(without_certificates_behind_a_proxy());
    }
    let proxy = format!("http://127.0.0.1:{}", free_port());
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "outbound::reaching::neither_the_systems_certificates_nor_its_proxies_are_needed"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(name, &proxy);
    }
    again.env(INSIDE, "1").env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    let output = again.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

async fn without_certificates_behind_a_proxy() {
    let (plain, tls) = (OauthServer::start(), OauthServer::start_tls());
    let settings = OutboundSettings { private: private("127.0.0.1"), ..local() };
    let outbound = Outbound::new(settings.clone());
    assert!(refreshed(&outbound, &plain.token_url(), &plain.issue()).await.is_ok());
    // Nobody can be trusted, which is an outcome and no panic.
    assert_eq!(refreshed(&outbound, &tls.token_url(), &tls.issue()).await.unwrap_err(), NOT_SENT);
    let outbound = Outbound::new(OutboundSettings { private: private("127.0.0.1"), ..trusting(&tls) });
    assert!(refreshed(&outbound, &tls.token_url(), &tls.issue()).await.is_ok());
}
