//! `agentapi doctor`, against what can be wrong with a configuration and with a backend.

use super::clocks::preload;
use super::run;
use crate::harness::app::{ADMIN_KEY, ROOT_KEY};
use crate::harness::redis_server::{RedisServer, free_port};
use crate::harness::rest_double::RestDouble;
use crate::tls::World;
use serde_json::Value;

const SECRETS: [(&str, &str); 3] =
    [("ADMIN_API_KEY", ADMIN_KEY), ("TOKEN_ENCRYPTION_KEY", ROOT_KEY), ("METRICS_TOKEN", "canary-metrics")];

/// Runs it: its exit code and what it found. Whatever it prints shows no secret.
#[track_caller]
fn doctor(variables: &[(&str, &str)]) -> (i32, Value) {
    let variables = [&SECRETS, variables].concat();
    let people = run(&["doctor"], &variables);
    let machines = run(&["doctor", "--json"], &variables);
    assert_eq!(people.status.code(), machines.status.code());
    for output in [&people, &machines] {
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("canary") && !text.contains(ADMIN_KEY) && !text.contains(ROOT_KEY), "{text}");
    }
    let report: Value = serde_json::from_slice(&machines.stdout).unwrap();
    let text = String::from_utf8_lossy(&people.stdout).into_owned();
    for finding in report["findings"].as_array().unwrap() {
        for member in ["code", "detail", "mend"] {
            assert!(text.contains(finding[member].as_str().unwrap()), "{member} of {finding} is not in\n{text}");
        }
    }
    assert_eq!(report["healthy"], Value::Bool(people.status.success()));
    (people.status.code().unwrap(), report)
}

fn codes(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| format!("{} {}", finding["level"].as_str().unwrap(), finding["code"].as_str().unwrap()))
        .collect()
}

#[track_caller]
fn assert_found(variables: &[(&str, &str)], exit: i32, found: &[&str]) -> Value {
    let (code, report) = doctor(variables);
    let codes = codes(&report);
    assert_eq!(code, exit, "{report:#}");
    for wanted in found {
        assert!(codes.iter().any(|code| code == wanted), "{wanted} is not in {codes:?}");
    }
    report
}

#[test]
fn a_durable_redis_with_all_secrets_is_healthy() {
    let redis = RedisServer::start_durable();
    let report = assert_found(&[("REDIS_URL", &redis.url())], 0, &[]);
    assert_eq!(codes(&report), Vec::<String>::new());
    assert_eq!(report["ways"][0]["answers"], true);
    assert_eq!(report["configured"]["ADMIN_API_KEY"], "(set)");
    assert_eq!(report["configured"]["REDIS_URL"], format!("{}/", redis.url()).trim_end_matches('/'));
}

#[test]
fn the_embedded_backend_is_healthy_and_said_to_end_with_the_process() {
    assert_found(&[], 0, &["info embedded"]);
}

#[test]
fn mistakes_are_told_together_and_nothing_is_asked() {
    let (code, report) = doctor(&[("PORT", "canary-1"), ("SESSION_TTL", "canary-2"), ("REDIS_URL", "canary-3")]);
    assert_eq!(code, 2);
    let mistakes = report["mistakes"].as_array().unwrap();
    for name in ["PORT", "SESSION_TTL", "REDIS_URL"] {
        assert!(mistakes.iter().any(|mistake| mistake.as_str().unwrap().starts_with(name)), "{mistakes:?}");
    }
}

#[test]
fn a_redis_that_is_down_is_told_from_one_that_hangs_and_from_a_host_that_is_not_there() {
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    assert_found(&[("REDIS_URL", &nobody)], 1, &["critical nothing_listens"]);
    assert_found(&[("REDIS_URL", "redis://no-such-host.invalid")], 1, &["critical no_such_host"]);
    let redis = RedisServer::start();
    redis.stop();
    assert_found(&[("REDIS_URL", &redis.url())], 1, &["critical no_answer"]);
    redis.go_on();
}

#[test]
fn a_wrong_password_is_told_and_none_where_one_is_wanted() {
    let redis = RedisServer::start_with(&[
        "--user",
        "canary-user",
        "on",
        ">canary-right",
        "~*",
        "&*",
        "+@all",
        "--user",
        "default",
        "off",
    ]);
    for credentials in ["canary-user:canary-wrong@", ""] {
        let url = format!("redis://{credentials}127.0.0.1:{}", redis.port());
        assert_found(&[("REDIS_URL", &url)], 1, &["critical credentials_refused"]);
    }
}

#[test]
fn tls_that_is_not_trusted_or_not_there_is_told_apart() {
    let world = World::new();
    let [certificate, key] = world.client.each_ref().map(|path| path.to_str().unwrap());
    let authority = world.authority.certificate.to_str().unwrap();
    let url = world.url("canary-password");
    let client = [("REDIS_TLS_CERT_FILE", certificate), ("REDIS_TLS_KEY_FILE", key)];
    let trusting = [&client[..], &[("REDIS_TLS_CA_FILE", authority), ("REDIS_URL", &url)]].concat();
    assert_found(&trusting, 0, &[]);
    let other = World::new();
    let wrong =
        [&client[..], &[("REDIS_TLS_CA_FILE", other.authority.certificate.to_str().unwrap()), ("REDIS_URL", &url)]]
            .concat();
    assert_found(&wrong, 1, &["critical certificate_not_trusted"]);
    let plain = url.replace("rediss://", "redis://");
    assert_found(&[("REDIS_URL", &plain)], 1, &["critical other_protocol"]);
    let redis = RedisServer::start();
    let encrypted = redis.url().replace("redis://", "rediss://");
    assert_found(&[("REDIS_URL", &encrypted), ("REDIS_TLS_CA_FILE", authority)], 1, &["critical no_tls"]);
}

#[test]
fn over_rest_a_wrong_token_and_what_is_no_rest_api_are_told() {
    let redis = RedisServer::start();
    let double = RestDouble::start(redis.port(), "canary-token");
    let rest =
        |url, token| [("REDIS_PROTOCOL", "rest"), ("UPSTASH_REDIS_REST_URL", url), ("UPSTASH_REDIS_REST_TOKEN", token)];
    let url = double.url();
    assert_found(&rest(&url, "canary-token"), 0, &["warning no_persistence"]);
    assert_found(&rest(&url, "canary-wrong"), 1, &["critical credentials_refused"]);
    let other = redis.url().replace("redis://", "http://");
    assert_found(&rest(&other, "canary-token"), 1, &["critical other_protocol"]);
}

#[test]
fn two_ways_are_tried_each_by_itself_and_seen_to_lead_to_different_databases() {
    let (redis, elsewhere) = (RedisServer::start(), RedisServer::start());
    let (double, other) =
        (RestDouble::start(redis.port(), "canary-token"), RestDouble::start(elsewhere.port(), "canary-token"));
    let both = |native: &str, rest: &str, exit, found: &[&str]| {
        let variables =
            [("REDIS_URL", native), ("UPSTASH_REDIS_REST_URL", rest), ("UPSTASH_REDIS_REST_TOKEN", "canary-token")];
        assert_found(&variables, exit, found)
    };
    let report = both(&redis.url(), &double.url(), 0, &["warning no_persistence"]);
    assert_eq!((&report["ways"][0]["name"], &report["ways"][1]["name"]), (&"native".into(), &"rest".into()));
    both(&redis.url(), &other.url(), 1, &["critical failover_off_different_databases"]);
    let report = both(&format!("redis://127.0.0.1:{}", free_port()), &double.url(), 1, &["critical nothing_listens"]);
    assert_eq!((&report["ways"][0]["answers"], &report["ways"][1]["answers"]), (&false.into(), &true.into()));
    assert_eq!(report["findings"][0]["way"], "native");
}

#[test]
fn a_policy_that_throws_out_tenants_must_be_mended_and_comes_before_what_need_not_be() {
    let redis = RedisServer::start_with(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    let report = assert_found(&[("REDIS_URL", &redis.url())], 1, &["warning no_persistence"]);
    assert_eq!(codes(&report)[0], "critical evicts_tenants");
}

#[test]
fn slow_commands_are_told_without_what_they_were_given_and_a_refusal_to_tell_them_is_no_failure() {
    let redis = RedisServer::start_with(&["--slowlog-log-slower-than", "100000"]);
    let say = |words: &[&str]| {
        let port = redis.port().to_string();
        let said = std::process::Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap()
    };
    // Takes over 100 ms, and holds a text of a client.
    let script = "for _ = 1, 100000000 do end return ARGV[1]";
    assert_eq!(say(&["EVAL", script, "0", "canary-argument"]).trim(), "canary-argument");
    assert!(say(&["SLOWLOG", "GET"]).contains("canary-argument"));
    let report = assert_found(&[("REDIS_URL", &redis.url())], 0, &["info slow_commands"]);
    assert_eq!(report["ways"][0]["diagnosis"]["slow_log"][0]["command"], "EVAL");

    let user = ["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-slowlog"];
    let redis = RedisServer::start_with(&user);
    let report = assert_found(&[("REDIS_URL", &redis.url())], 0, &["warning no_persistence"]);
    assert_eq!(
        (&report["ways"][0]["answers"], &report["ways"][0]["diagnosis"]["slow_log"]),
        (&true.into(), &Value::Null)
    );
}

#[test]
fn secrets_that_are_missing_in_production_are_told() {
    let redis = RedisServer::start_durable();
    let url = redis.url();
    let without = [("REDIS_URL", &*url), ("ADMIN_API_KEY", ""), ("TOKEN_ENCRYPTION_KEY", ""), ("METRICS_TOKEN", "")];
    assert_found(&without, 1, &["critical no_root_key", "warning no_admin_key", "info metrics_open"]);
}

#[test]
fn clocks_that_differ_by_an_hour_are_told() {
    let redis = RedisServer::start_durable();
    let (library, url) = (preload(), redis.url());
    let ahead = [
        ("REDIS_URL", &*url),
        ("LD_PRELOAD", &*library),
        ("FAKETIME", "+1h"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];
    let report = assert_found(&ahead, 0, &["warning clock_skew"]);
    let difference = report["ways"][0]["diagnosis"]["clock_ahead_ms"].as_i64().unwrap();
    assert!((-3_660_000..=-3_540_000).contains(&difference), "{difference}");
}
