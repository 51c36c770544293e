//! How long and how large an answer may be, and what its loss says of the refresh token.

use super::*;
use crate::harness::oauth_server::Behaviour;
use agentapi::outbound::{Failure, LONGEST_ANSWER};
use std::time::Instant;

/// How long a hasty request may take, and a patient one; what is soon is far from both.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(40);
const SOON: Duration = Duration::from_secs(10);

fn within(timeout: Duration) -> Outbound {
    Outbound::new(OutboundSettings { timeout, ..local() })
}

/// Refreshes at a server that behaves so: the answer is lost, and so many refresh tokens are used up.
async fn lost(behaviour: Behaviour, outbound: Outbound, refreshes: u64) {
    let server = OauthServer::start();
    server.behave(behaviour.clone());
    let start = Instant::now();
    let failure = refreshed(&outbound, &server.token_url(), &server.issue()).await.unwrap_err();
    assert_eq!(failure, RefreshFailure::Unknown, "{behaviour:?}");
    assert!(start.elapsed() < SOON, "{behaviour:?}");
    assert_eq!(server.requests(), 1, "{behaviour:?}: what may have been used up is not sent again");
    assert_eq!(server.refreshes(), refreshes, "{behaviour:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_lost() {
    lost(Behaviour::Slow(LONG), within(SHORT), 0).await;
    lost(Behaviour::Announce(100), within(SHORT), 1).await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_lost_at_once() {
    lost(Behaviour::Endless, within(LONG), 1).await;
    lost(Behaviour::Announce(LONGEST_ANSWER as u64 + 1), within(LONG), 1).await;
    lost(Behaviour::RefuseWithoutEnd(400), within(LONG), 0).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_cannot_be_read_is_lost() {
    lost(Behaviour::HangUp, Outbound::new(local()), 1).await;
    for garbage in ["", "{", "<html>", r#"{"access_token":""}"#, r#"{"access_token":"a","expires_in":"soon"}"#] {
        lost(Behaviour::Garbage(garbage), Outbound::new(local()), 1).await;
    }
    for status in [500, 502, 504] {
        lost(Behaviour::refuse(status, r#"{"error":"invalid_grant"}"#), Outbound::new(local()), 0).await;
    }
}

#[tokio::test]
async fn a_status_that_says_everything_is_not_lost_to_a_body_without_end() {
    let server = OauthServer::start();
    let outbound = within(LONG);
    let start = Instant::now();
    for (status, expected) in [
        (429, RefreshFailure::NotConsumed { retry_after: None }),
        (503, RefreshFailure::NotConsumed { retry_after: None }),
        (500, RefreshFailure::Unknown),
        (302, RefreshFailure::Rejected("other")),
    ] {
        server.behave(Behaviour::RefuseWithoutEnd(status));
        let failure = refreshed(&outbound, &server.token_url(), &server.issue()).await.unwrap_err();
        assert_eq!(failure, expected, "{status}");
    }
    assert!(start.elapsed() < SOON);
}

#[tokio::test]
async fn the_longest_answer_is_read_whole() {
    let server = OauthServer::start();
    let body: &'static str = "x".repeat(LONGEST_ANSWER).leak();
    server.behave(Behaviour::refuse(400, body));
    let outbound = Outbound::new(local());
    let url = TargetUrl::parse(&server.token_url(), outbound.settings()).unwrap();
    let received = outbound.post_form(&url, None, &[("a", "b")]).await.unwrap();
    assert_eq!((received.status, received.body.len()), (400, LONGEST_ANSWER));
    server.behave(Behaviour::refuse(400, format!("{body}x").leak()));
    assert_eq!(outbound.post_form(&url, None, &[("a", "b")]).await.unwrap_err(), Failure::Unknown);
}

#[tokio::test]
async fn a_connection_that_is_never_finished_was_not_sent() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    install_crypto();
    let server = OauthServer::start_tls();
    let settings = OutboundSettings { private: private("127.0.0.1"), timeout: SHORT, ..trusting(&server) };
    let outbound = Outbound::new(settings);
    let url = format!("https://{}/token", silent.local_addr().unwrap());
    let url = TargetUrl::parse(&url, outbound.settings()).unwrap();
    let start = Instant::now();
    assert_eq!(outbound.post_form(&url, None, &[]).await.unwrap_err(), Failure::NotSent, "no TLS came of it");
    assert!(start.elapsed() < SOON);
    assert_eq!(outbound.connect_timeout(), SHORT * 3 / 4);
    assert_eq!(Outbound::new(OutboundSettings::default()).connect_timeout(), Duration::from_secs(5));
}
