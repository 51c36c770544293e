//! The server's own refresh, with a provider that takes each refresh token once.

use super::{at, lease, provider_at, put, read};
use crate::harness::app::{App, Caller, On, Tenant};
use crate::harness::oauth_server::{Behaviour, CLIENT_ID, CLIENT_SECRET, OauthServer};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATIENT: [(&str, &str); 3] =
    [("OAUTH_ALLOW_HTTP_LOOPBACK", "true"), ("REQUEST_TIMEOUT", "30s"), ("REDIS_COMMAND_TIMEOUT", "10s")];

fn settings(server: &OauthServer) -> Value {
    json!({"token_url": server.token_url(), "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET})
}

/// A tenant with that provider, and a token of it that is to be refreshed by now.
async fn due(app: &App, server: &OauthServer) -> Tenant {
    let tenant = app.tenant().await;
    tenant.put(&provider_at("p"), settings(server)).await.expect(StatusCode::CREATED);
    keep(&tenant, server, "200s").await;
    tenant
}

async fn keep(caller: &Caller, server: &OauthServer, expires_in: &str) {
    let token = json!({"access_token": "old", "refresh_token": server.issue(), "expires_in": expires_in,
        "scopes": ["old"], "metadata": {"kept": true}});
    put(caller, "u", "p", token).await;
}

/// Applications over one Redis, so that they have one database.
fn two(on: On, prefix: &str) -> (App, App) {
    let variables = [PATIENT.as_slice(), &[("REDIS_KEY_PREFIX", prefix)]].concat();
    let one = App::with(on, &variables);
    let redis = one.redis.clone().expect("a Redis");
    let other = match &one.rest {
        Some(rest) => App::over_rest(redis, rest.clone(), &variables),
        None => App::over(redis, &variables),
    };
    (one, other)
}

#[tokio::test]
async fn sixty_four_readers_over_two_instances_cause_exactly_one_refresh() {
    for on in [On::Native, On::Rest] {
        let server = OauthServer::start();
        server.behave(Behaviour::Slow(Duration::from_millis(300)));
        let (one, other) = two(on, "refresh-of-two");
        let tenant = due(&one, &server).await;
        let there = other.anyone().with("x-api-key", &tenant.secret);
        let path = at("u", "p");
        let asked = (0..64).map(|n| if n % 2 == 0 { tenant.get(&path) } else { there.get(&path) });
        for answer in join_all(asked).await {
            let token = answer.expect(StatusCode::OK);
            assert!(server.accepts(token["access_token"].as_str().unwrap()), "each waits for the new one");
            assert_ne!(token["refresh_token"], server.last().form["refresh_token"]);
            assert_eq!((&token["scopes"], &token["metadata"]), (&json!(["canary-scope"]), &json!({"kept": true})));
        }
        assert_eq!((server.refreshes(), server.reuses(), server.requests()), (1, 0, 1), "{on:?}");
        let metrics = one.anyone().get("/metrics").await.text + &other.anyone().get("/metrics").await.text;
        let refreshed =
            metrics.lines().filter(|line| line.starts_with("agentapi_token_refreshes_total{outcome=\"refreshed\"}"));
        assert_eq!(refreshed.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>(), 1);
    }
}

#[tokio::test]
async fn a_token_is_refreshed_again_and_again_and_no_refresh_token_comes_twice() {
    let server = OauthServer::start();
    let (one, other) = two(On::Native, "refresh-again");
    let tenant = due(&one, &server).await;
    // A token that lives 2 s is always due where it is refreshed 300 s before its end, but for its first half.
    server.grant_for(Duration::from_secs(2));
    let mut always = settings(&server);
    always["auth_style"] = json!("client_secret_post");
    always["scopes"] = json!(["a", "b"]);
    tenant.put(&provider_at("p"), always).await.expect(StatusCode::OK);
    let there = other.anyone().with("x-api-key", &tenant.secret);
    let begun = Instant::now();
    while server.refreshes() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        let answers = join_all(
            (0..16).map(|n| if n % 2 == 0 { tenant.get("/v1/tokens/u/p") } else { there.get("/v1/tokens/u/p") }),
        );
        for answer in answers.await {
            answer.expect(StatusCode::OK);
        }
    }
    assert_eq!(server.reuses(), 0);
    let form = server.last().form;
    assert_eq!(form.get("scope").map(String::as_str), Some("a b"));
    assert_eq!(form.get("client_secret").map(String::as_str), Some(CLIENT_SECRET));
}

#[tokio::test]
async fn a_refresh_token_that_lasts_is_kept_with_all_that_the_provider_does_not_say() {
    let server = OauthServer::start();
    let app = App::with(On::Memory, &PATIENT);
    let tenant = due(&app, &server).await;
    server.behave(Behaviour::refuse(200, r#"{"access_token": "next", "expires_in": "3600"}"#));
    let token = read(&tenant, "u", "p").await;
    assert_eq!(token["access_token"], "next");
    assert_eq!(token["refresh_token"], server.last().form["refresh_token"], "the one that was sent stays good");
    assert_eq!((&token["scopes"], &token["metadata"]), (&json!(["old"]), &json!({"kept": true})));
}

#[tokio::test]
async fn a_token_that_lives_shortly_is_not_refreshed_with_every_reading() {
    let server = OauthServer::start();
    server.grant_for(Duration::from_secs(120));
    let app = App::with(On::Memory, &PATIENT);
    let tenant = due(&app, &server).await;
    for (seconds, refreshes) in [(0, 1), (59, 1), (2, 2), (59, 2), (2, 3)] {
        app.clock.advance(Duration::from_secs(seconds));
        for _ in 0..3 {
            let token = read(&tenant, "u", "p").await;
            assert!(server.accepts(token["access_token"].as_str().unwrap()), "{token}");
        }
        assert_eq!((server.refreshes(), server.reuses()), (refreshes, 0));
    }
}

#[tokio::test]
async fn a_token_that_is_not_due_or_has_no_provider_is_left_alone() {
    let server = OauthServer::start();
    let app = App::with(On::Memory, &PATIENT);
    let tenant = due(&app, &server).await;
    keep(&tenant, &server, "301s").await;
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "old");
    let past = json!({"access_token": "old", "refresh_token": "r", "expires_in": "1s"});
    put(&tenant, "u", "unknown", past).await;
    app.clock.advance(Duration::from_secs(10));
    assert_eq!(read(&tenant, "u", "unknown").await["access_token"], "old", "its reader may refresh it");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_revoked_refresh_token_is_a_410_until_the_token_is_replaced() {
    let server = OauthServer::start();
    let app = App::with(On::Memory, &PATIENT);
    let tenant = due(&app, &server).await;
    put(&tenant, "u", "p", json!({"access_token": "old", "refresh_token": "never given", "expires_in": "200s"})).await;
    tenant.get(&at("u", "p")).await.refused(410, "token_revoked");
    tenant.get(&at("u", "p")).await.refused(410, "token_revoked");
    tenant.post(&format!("{}/lease", at("u", "p")), json!({})).await.refused(410, "token_revoked");
    assert_eq!(tenant.get("/v1/tokens/u").await.json()["items"][0]["status"], "revoked");
    assert_eq!(server.requests(), 1, "it is not asked again");
    keep(&tenant, &server, "1h").await;
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "old");
}

#[tokio::test]
async fn while_the_provider_fails_a_token_is_good_until_its_end_and_then_a_502() {
    for (behaviour, pause) in [
        (Behaviour::refuse_with(503, "retry-after", "20"), 20),
        (Behaviour::refuse(429, "canary"), 10),
        (Behaviour::refuse(401, r#"{"error":"invalid_client","error_description":"canary"}"#), 10),
        (Behaviour::refuse_with(307, "location", "/token"), 10),
    ] {
        let server = OauthServer::start();
        let app = App::with(On::Memory, &PATIENT);
        let tenant = due(&app, &server).await;
        server.behave(behaviour);
        assert_eq!(read(&tenant, "u", "p").await["access_token"], "old", "it has not ended yet");
        assert_eq!(server.requests(), 1, "nothing is repeated, and no redirect followed");
        read(&tenant, "u", "p").await;
        assert_eq!(server.requests(), 1, "not again for a while");
        app.clock.advance(Duration::from_secs(201));
        let failed = tenant.get(&at("u", "p")).await;
        failed.refused(502, "token_refresh_failed");
        assert_eq!(failed.header("retry-after"), pause.to_string());
        assert!(!failed.text.contains("canary"), "{failed:?}");
        assert_eq!(server.requests(), 2);
        server.behave(Behaviour::Faithful);
        tenant.get(&at("u", "p")).await.refused(502, "token_refresh_failed");
        assert_eq!(server.requests(), 2);
        app.clock.advance(Duration::from_secs(pause + 1));
        assert!(server.accepts(read(&tenant, "u", "p").await["access_token"].as_str().unwrap()));
        assert_eq!((server.refreshes(), server.reuses()), (1, 0));
    }
}

#[tokio::test]
async fn what_the_provider_may_have_taken_is_not_sent_again_while_the_access_token_lives() {
    for behaviour in [Behaviour::Garbage("<html>canary</html>"), Behaviour::Endless, Behaviour::HangUp] {
        let server = OauthServer::start();
        let app = App::with(On::Memory, &PATIENT);
        let tenant = due(&app, &server).await;
        server.behave(behaviour);
        assert_eq!(read(&tenant, "u", "p").await["access_token"], "old");
        server.behave(Behaviour::Faithful);
        for _ in 0..3 {
            app.clock.advance(Duration::from_secs(66));
            assert_eq!(read(&tenant, "u", "p").await["access_token"], "old");
        }
        assert_eq!((server.requests(), server.refreshes(), server.reuses()), (1, 1, 0));
        // It has ended, and to try the refresh token again is all that is left.
        app.clock.advance(Duration::from_secs(3));
        tenant.get(&at("u", "p")).await.refused(410, "token_revoked");
        assert_eq!(server.reuses(), 1);
    }
}

#[tokio::test]
async fn who_waits_longer_than_a_request_may_take_gets_the_old_token_and_the_refresh_goes_on() {
    let server = OauthServer::start();
    let app = App::with(On::Memory, &[PATIENT[0], ("REQUEST_TIMEOUT", "1s")]);
    let tenant = due(&app, &server).await;
    server.behave(Behaviour::Slow(Duration::from_secs(2)));
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "old");
    let begun = Instant::now();
    while read(&tenant, "u", "p").await["access_token"] == "old" {
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    assert_eq!((server.requests(), server.reuses()), (1, 0));
}

#[tokio::test]
async fn a_client_that_refreshes_by_itself_is_not_overtaken() {
    let server = OauthServer::start();
    let app = App::with(On::Memory, &[PATIENT[0], ("REQUEST_TIMEOUT", "1s")]);
    let tenant = due(&app, &server).await;
    let leased = lease(&tenant, "u", "p").await;
    assert_eq!(leased["granted"], true);
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "old", "the lease is the client's");
    assert_eq!(server.requests(), 0);
    let own = json!({"access_token": "by the client", "refresh_token": "r", "expires_in": "1h"});
    super::with_lease(&tenant, &leased).put(&at("u", "p"), own).await.expect(StatusCode::OK);
    assert_eq!(read(&tenant, "u", "p").await["access_token"], "by the client");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn what_may_be_reached_holds_for_urls_that_were_stored_when_more_might() {
    let server = OauthServer::start();
    let (one, prefix) = (App::with(On::Native, &[PATIENT[0], ("REDIS_KEY_PREFIX", "stricter")]), "stricter");
    let tenant = due(&one, &server).await;
    let strict = App::over(one.redis.clone().unwrap(), &[("REDIS_KEY_PREFIX", prefix), ("REQUEST_TIMEOUT", "30s")]);
    let there = strict.anyone().with("x-api-key", &tenant.secret);
    assert_eq!(read(&there, "u", "p").await["access_token"], "old");
    let metrics = strict.anyone().get("/metrics").await.text;
    assert!(metrics.contains("agentapi_token_refreshes_total{outcome=\"forbidden\"} 1"), "{metrics}");
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn who_waits_for_another_instance_hears_at_once_that_it_failed() {
    let server = OauthServer::start();
    let (one, other) = two(On::Native, "refresh-fails");
    let tenant = due(&one, &server).await;
    let mut wrong = settings(&server);
    wrong["client_secret"] = json!("wrong");
    tenant.put(&provider_at("p"), wrong).await.expect(StatusCode::OK);
    server.behave(Behaviour::Slow(Duration::from_secs(1)));
    let there = other.anyone().with("x-api-key", &tenant.secret);
    let begun = Instant::now();
    let path = at("u", "p");
    for answer in join_all([tenant.get(&path), there.get(&path)]).await {
        assert_eq!(answer.expect(StatusCode::OK)["access_token"], "old");
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "nobody waits for the next attempt, 10 s later");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_tenant_whose_provider_is_slow_has_a_bounded_number_of_refreshes_under_way() {
    let server = OauthServer::start();
    let app = App::with(On::Memory, &[PATIENT[0], ("REQUEST_TIMEOUT", "1s")]);
    let tenant = due(&app, &server).await;
    server.behave(Behaviour::Slow(Duration::from_secs(30)));
    for round in 0..4 {
        let readers = (0..50).map(|user| {
            let (user, tenant, refresh_token) = (format!("{round}-{user}"), &tenant, server.issue());
            async move {
                let token = json!({"access_token": "old", "refresh_token": refresh_token, "expires_in": "200s"});
                put(tenant, &user, "p", token).await;
                assert_eq!(read(tenant, &user, "p").await["access_token"], "old");
            }
        });
        join_all(readers).await;
    }
    assert_eq!(server.requests(), 128, "the other ones get the token that there is");
}
