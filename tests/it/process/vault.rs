//! Root keys of a server process, and the commands that change keys.

use super::{Process, run};
use crate::harness::app::{ADMIN_KEY, ROOT_KEY};
use crate::harness::oauth_server::{Behaviour, CLIENT_ID, CLIENT_SECRET, OauthServer};
use crate::harness::redis_server::RedisServer;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

const NEW_KEY: &str = "feedface01234567feedface01234567feedface01234567feedface01234567";

fn serve(redis: &RedisServer, current: &str, previous: &str) -> Process {
    Process::serve(&[
        ("REDIS_URL", &redis.url()),
        ("ADMIN_API_KEY", ADMIN_KEY),
        ("TOKEN_ENCRYPTION_KEY", current),
        ("TOKEN_ENCRYPTION_KEYS_PREVIOUS", previous),
    ])
}

/// Makes a tenant with some tokens: the key of the tenant.
async fn keep(process: &mut Process, tokens: usize) -> String {
    let admin = process.anyone().with("authorization", &format!("Bearer {ADMIN_KEY}"));
    let made = admin.post("/admin/v1/tenants", json!({"id": "acme", "create_key": true})).await;
    let key = made.expect(StatusCode::CREATED)["api_key"]["key"].as_str().unwrap().to_owned();
    let tenant = process.anyone().with("x-api-key", &key);
    for n in 0..tokens {
        let token = json!({"access_token": format!("access {n}")});
        tenant.put(&format!("/v1/tokens/u{n}/p"), token).await.expect(StatusCode::CREATED);
    }
    key
}

/// Runs a vault command against a process: what it prints, if it succeeds.
fn vault(process: &mut Process, words: &[&str]) -> String {
    let base = process.base();
    let arguments = [&["vault"], words, &["--url", &base]].concat();
    let output = run(&arguments, &[("ADMIN_API_KEY", ADMIN_KEY)]);
    let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*log), (Some(0), ""), "{out}");
    out.into_owned()
}

#[tokio::test]
async fn keys_are_changed_from_the_command_line_and_the_old_root_key_may_go_only_then() {
    let redis = RedisServer::start();
    let mut old = serve(&redis, ROOT_KEY, "");
    let key = keep(&mut old, 30).await;
    assert_eq!(vault(&mut old, &["rotate"]), "vault rotate done: 1 done\n");
    let mut new = serve(&redis, NEW_KEY, ROOT_KEY);
    let status: Value = serde_json::from_str(&vault(&mut new, &["status", "--json"])).unwrap();
    let old_id = status["root_keys"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!((&status["root_keys"][1]["data_keys"], &status["items"][0]["tenant"]), (&json!(2), &json!("acme")));

    // Taken away too early.
    let hasty = serve(&redis, NEW_KEY, "");
    let (code, out, log) = hasty.ends();
    assert_eq!((code, &*out), (Some(2), ""), "{log}");
    assert!(
        log.contains(&format!(
            "TOKEN_ENCRYPTION_KEYS_PREVIOUS: lacks a root key that is in use: {old_id} (2 data keys"
        )),
        "{log}"
    );
    assert!(!log.contains(ROOT_KEY) && !log.contains(NEW_KEY), "{log}");

    assert_eq!(vault(&mut new, &["rewrap"]), "vault rewrap done: 30 done\n");
    let again: Value = serde_json::from_str(&vault(&mut new, &["rewrap", "--tenant", "acme", "--json"])).unwrap();
    assert_eq!((&again["state"], &again["done"], &again["tenant"]), (&json!("done"), &json!(0), &json!("acme")));
    let shown = vault(&mut new, &["status"]);
    assert!(shown.contains(&format!("root key {old_id}  previous, 0 data keys\n")), "{shown}");
    assert!(shown.contains("acme  data key 3  under ") && shown.contains(", 30 records\n"), "{shown}");
    let mut last = serve(&redis, NEW_KEY, "");
    let token = last.anyone().with("x-api-key", &key).get("/v1/tokens/u7/p").await;
    assert_eq!(token.expect(StatusCode::OK)["access_token"], "access 7");
}

#[tokio::test]
async fn a_vault_command_that_cannot_be_done_says_why() {
    let mut process = Process::serve(&[("ADMIN_API_KEY", ADMIN_KEY)]);
    let base = process.base();
    for (words, variables, code, said) in [
        (vec!["vault", "rewrap", "--url", &base], vec![("ADMIN_API_KEY", "canary-wrong-key")], 1, "answers 401"),
        (vec!["vault", "rewrap", "--url", &base], vec![], 2, "ADMIN_API_KEY: is not set"),
        (
            vec!["vault", "rewrap", "--url", "ftp://x"],
            vec![("ADMIN_API_KEY", ADMIN_KEY)],
            2,
            "AGENTAPI_URL: is not a URL",
        ),
        (
            vec!["vault", "rewrap", "--url", "http://127.0.0.1:9"],
            vec![("ADMIN_API_KEY", ADMIN_KEY)],
            1,
            "does not answer",
        ),
        (
            vec!["vault", "status", "--tenant", "nobody", "--url", &base],
            vec![("ADMIN_API_KEY", ADMIN_KEY)],
            1,
            "answers 404",
        ),
        (
            vec!["vault", "open", "--url", &base],
            vec![("ADMIN_API_KEY", ADMIN_KEY)],
            2,
            "unrecognized subcommand 'open'",
        ),
        (vec!["vault", "rewrap", "--port", "1"], vec![("ADMIN_API_KEY", ADMIN_KEY)], 2, "unexpected argument '--port'"),
        (vec!["vault"], vec![], 2, "requires a subcommand"),
    ] {
        let output = run(&words, &variables);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{words:?}: {log}");
        assert!(log.contains(said) && !log.contains("canary") && !log.contains(ADMIN_KEY), "{words:?}: {log}");
    }
}

#[test]
fn a_root_key_that_is_none_is_named_and_not_shown() {
    for (name, value) in
        [("TOKEN_ENCRYPTION_KEY", "canary-key"), ("TOKEN_ENCRYPTION_KEYS_PREVIOUS", "canary-1,canary-2")]
    {
        let output = run(&["serve"], &[(name, value), ("HOST", "127.0.0.1"), ("PORT", "0")]);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{log}");
        assert!(log.contains(name) && !log.contains("canary"), "{log}");
    }
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_keeps_what_a_provider_is_about_to_give() {
    let (redis, provider) = (RedisServer::start(), OauthServer::start());
    let (url, variables) = (redis.url(), |url| {
        [
            ("REDIS_URL", url),
            ("ADMIN_API_KEY", ADMIN_KEY),
            ("TOKEN_ENCRYPTION_KEY", ROOT_KEY),
            ("OAUTH_ALLOW_HTTP_LOOPBACK", "true"),
            ("REQUEST_TIMEOUT", "1s"),
        ]
    });
    let mut first = Process::serve(&variables(&url));
    let key = keep(&mut first, 0).await;
    let tenant = first.anyone().with("x-api-key", &key);
    let settings = json!({"token_url": provider.token_url(), "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET});
    tenant.put("/v1/oauth/providers/p", settings).await.expect(StatusCode::CREATED);
    let token = json!({"access_token": "old", "refresh_token": provider.issue(), "expires_in": "200s"});
    tenant.put("/v1/tokens/u/p", token).await.expect(StatusCode::CREATED);
    provider.behave(Behaviour::Slow(Duration::from_secs(3)));
    assert_eq!(tenant.get("/v1/tokens/u/p").await.expect(StatusCode::OK)["access_token"], "old", "it took too long");
    let (code, _, log) = first.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(provider.refreshes(), 1, "the provider was asked, and its answer came after the signal");
    let mut second = Process::serve(&variables(&url));
    let token = second.anyone().with("x-api-key", &key).get("/v1/tokens/u/p").await.expect(StatusCode::OK);
    assert!(provider.accepts(token["access_token"].as_str().unwrap()), "{token}");
    assert_eq!((provider.requests(), provider.reuses()), (1, 0));
}
