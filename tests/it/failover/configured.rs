//! Which variables make one way of it, and which two.

use agentapi::base::env::Env;
use agentapi::config::{BackendSettings, Config};
use std::time::Duration;

const NATIVE: (&str, &str) = ("REDIS_URL", "redis://localhost:6379/0");
const URL: (&str, &str) = ("UPSTASH_REDIS_REST_URL", "https://db.example.com");
const TOKEN: (&str, &str) = ("UPSTASH_REDIS_REST_TOKEN", "canary-token");

/// The backend that these variables choose, or what is wrong with them.
fn chosen(variables: &[(&str, &str)]) -> Result<BackendSettings, Vec<String>> {
    let mut env = Env::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let backend = Config::read(&mut env).backend;
    env.finish().map(|()| backend).map_err(|mistakes| mistakes.0)
}

fn word(variables: &[(&str, &str)]) -> &'static str {
    match chosen(variables) {
        Ok(BackendSettings::Memory) => "memory",
        Ok(BackendSettings::Native(..)) => "native",
        Ok(BackendSettings::Rest(..)) => "rest",
        Ok(BackendSettings::Both { .. }) => "both",
        Err(_) => "mistakes",
    }
}

#[test]
fn there_are_two_ways_where_both_are_configured_and_nobody_says_no() {
    assert_eq!(word(&[NATIVE, URL, TOKEN]), "both");
    assert_eq!(word(&[NATIVE, URL, TOKEN, ("REDIS_REST_FALLBACK", "true")]), "both");
    assert_eq!(word(&[NATIVE, URL, TOKEN, ("REDIS_REST_FALLBACK", "false")]), "native");
    assert_eq!(word(&[NATIVE]), "native");
    assert_eq!(word(&[NATIVE, URL, TOKEN, ("REDIS_PROTOCOL", "rest")]), "rest");
    assert_eq!(word(&[NATIVE, URL, TOKEN, ("REDIS_ENABLE", "false")]), "memory");
}

#[test]
fn each_way_has_its_own_time_unless_one_is_given_for_both() {
    let times = |variables: &[(&str, &str)]| match chosen(variables) {
        Ok(BackendSettings::Both { native, rest, failback_after }) => {
            (native.attempt, rest.command_timeout, failback_after)
        }
        _ => panic!("there are two ways"),
    };
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    assert_eq!(times(&[NATIVE, URL, TOKEN]), (ms(500), s(3), s(30)));
    let given = [NATIVE, URL, TOKEN, ("REDIS_COMMAND_TIMEOUT", "700ms"), ("REDIS_FAILBACK_AFTER", "2m")];
    assert_eq!(times(&given), (ms(700), ms(700), s(120)));
}

#[test]
fn a_fallback_that_could_not_be_kept_is_refused() {
    let asked = ("REDIS_REST_FALLBACK", "true");
    let url = "UPSTASH_REDIS_REST_URL: is needed for REDIS_REST_FALLBACK";
    let token = "UPSTASH_REDIS_REST_TOKEN: is needed for REDIS_REST_FALLBACK";
    for (variables, missing) in [
        (vec![NATIVE, asked], vec![url, token]),
        (vec![NATIVE, URL, asked], vec![token]),
        (vec![NATIVE, URL], vec![token]),
        (vec![NATIVE, TOKEN], vec![url]),
    ] {
        assert_eq!(chosen(&variables).err().unwrap(), missing, "{variables:?}");
    }
}
