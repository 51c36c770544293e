//! Refreshing as it should go, and what providers refuse.

use super::*;
use crate::harness::oauth_server::Behaviour;

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_the_next_pair() {
    let server = OauthServer::start();
    let outbound = Outbound::new(local());
    let (mut token, url) = (server.issue(), server.token_url());
    for round in 1..=3 {
        server.grant_for(Duration::from_secs(60 * round));
        let fresh = refreshed(&outbound, &url, &token).await.unwrap();
        assert!(server.accepts(fresh.access_token.expose()));
        assert_eq!(fresh.token_type.as_deref(), Some("Bearer"));
        assert_eq!(fresh.expires_in, Some(Duration::from_secs(60 * round)));
        assert_eq!(fresh.scopes.unwrap(), ["canary-scope"]);
        token = fresh.refresh_token.unwrap().expose().to_owned();
        assert_eq!((server.refreshes(), server.reuses(), server.requests()), (round, 0, round));
    }
    assert_eq!(server.connections(), 3, "no connection is used twice");
}

#[tokio::test]
async fn the_client_shows_its_secret_in_one_place_and_asks_for_what_it_wants() {
    let server = OauthServer::start();
    let outbound = Outbound::new(local());
    let url = TargetUrl::parse(&server.token_url(), outbound.settings()).unwrap();
    let secret = Secret::new(CLIENT_SECRET.to_owned());
    let scopes = ["read".to_owned(), "offline access".to_owned()];
    let client =
        |client_secret, style, scopes| Client { token_url: &url, client_id: CLIENT_ID, client_secret, style, scopes };
    let sent = |server: &OauthServer| {
        let seen = server.last();
        let mut names: Vec<String> = seen.form.into_keys().collect();
        names.sort();
        (names.join(" "), seen.headers.contains_key("authorization"))
    };

    let basic = client(Some(&secret), AuthStyle::Basic, None);
    refresh(&outbound, &basic, &Secret::new(server.issue())).await.unwrap();
    assert_eq!(sent(&server), ("grant_type refresh_token".to_owned(), true));

    let post = client(Some(&secret), AuthStyle::Post, Some(&scopes[..]));
    let fresh = refresh(&outbound, &post, &Secret::new(server.issue())).await.unwrap();
    assert_eq!(sent(&server), ("client_id client_secret grant_type refresh_token scope".to_owned(), false));
    assert_eq!(server.last().form["scope"], "read offline access");
    assert_eq!(fresh.scopes.unwrap().join(" "), "read offline access");

    let public = client(None, AuthStyle::Basic, Some(&[]));
    let refused = refresh(&outbound, &public, &Secret::new(server.issue())).await.unwrap_err();
    assert_eq!(refused, RefreshFailure::Rejected("invalid_client"), "this server has no public clients");
    assert_eq!(sent(&server), ("client_id grant_type refresh_token".to_owned(), false));

    let headers = server.last().headers;
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    for absent in ["accept-encoding", "cookie", "referer", "user-agent"] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_no_verdict_on_the_refresh_token() {
    let server = OauthServer::start();
    let outbound = Outbound::new(local());
    let url = TargetUrl::parse(&server.token_url(), outbound.settings()).unwrap();
    let (wrong, token) = (Secret::new("wrong".into()), server.issue());
    for style in [AuthStyle::Basic, AuthStyle::Post] {
        let client = Client { token_url: &url, client_id: CLIENT_ID, client_secret: Some(&wrong), style, scopes: None };
        let refused = refresh(&outbound, &client, &Secret::new(token.clone())).await.unwrap_err();
        assert_eq!(refused, RefreshFailure::Rejected("invalid_client"));
    }
    assert_eq!(server.refreshes(), 0);
    assert!(refresh_at(&outbound, &url, &token).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_is_revoked_with_all_that_came_of_it() {
    let server = OauthServer::start();
    let outbound = Outbound::new(local());
    let (first, url) = (server.issue(), server.token_url());
    let fresh = refreshed(&outbound, &url, &first).await.unwrap();
    assert_eq!(refreshed(&outbound, &url, &first).await.unwrap_err(), RefreshFailure::Revoked);
    let second = fresh.refresh_token.unwrap();
    assert_eq!(refreshed(&outbound, &url, second.expose()).await.unwrap_err(), RefreshFailure::Revoked);
    assert_eq!(refreshed(&outbound, &url, "never issued").await.unwrap_err(), RefreshFailure::Revoked);
    assert_eq!((server.refreshes(), server.reuses()), (1, 1));
    assert!(!server.accepts(fresh.access_token.expose()));
}

#[tokio::test]
async fn who_is_too_busy_has_used_nothing_up_and_says_when_to_come_back() {
    let server = OauthServer::start();
    let outbound = Outbound::new(local());
    let (token, url) = (server.issue(), server.token_url());
    for (header, seconds) in
        [("7", Some(7)), ("99999", Some(3600)), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
    {
        for status in [429, 503] {
            server.behave(Behaviour::refuse_with(status, "retry-after", header));
            let retry_after = seconds.map(Duration::from_secs);
            let busy = refreshed(&outbound, &url, &token).await.unwrap_err();
            assert_eq!(busy, RefreshFailure::NotConsumed { retry_after }, "{status} {header}");
        }
    }
    assert_eq!(server.requests(), 8, "none was tried again");
    server.behave(Behaviour::Faithful);
    assert!(refreshed(&outbound, &url, &token).await.is_ok());
}
