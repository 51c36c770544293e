//! The compose file and its two overrides.

use super::{configure, is_read, text, variables, yaml};
use crate::harness::app::{ADMIN_KEY, ROOT_KEY};
use agentapi::config::BackendSettings;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const FILE: &str = "docker-compose.multitenant.yml";
const PRODUCTION: &str = "docker-compose.production.yml";
const UPSTASH: &str = "docker-compose.upstash.yml";

/// Variables that mean another thing inside the container than in the environment of whoever starts it.
const FIXED: [(&str, &str); 4] =
    [("REDIS_HOST", "redis"), ("REDIS_PORT", "6379"), ("HOST", "0.0.0.0"), ("PORT", "3284")];

#[track_caller]
fn service(file: &str, name: &str) -> Value {
    let service = yaml(file)["services"][name].clone();
    assert!(service.is_object(), "{file} has no service {name}");
    service
}

#[track_caller]
fn environment(file: &str, name: &str) -> Map<String, Value> {
    service(file, name)["environment"].as_object().unwrap().clone()
}

/// What compose makes of a value, or why it refuses: `${NAME:-default}` and `${NAME:?why}`.
fn interpolated(value: &str, given: &BTreeMap<&str, &str>) -> Result<String, String> {
    let Some((before, rest)) = value.split_once("${") else { return Ok(value.replace("$$", "$")) };
    let (inside, after) = rest.split_once('}').unwrap();
    let (name, otherwise) = inside.split_once(':').unwrap_or_else(|| panic!("{inside} has no default"));
    let set = given.get(name).filter(|value| !value.is_empty());
    let value = match (set, otherwise.split_at(1)) {
        (Some(set), _) => (*set).to_owned(),
        (None, ("-", default)) => default.to_owned(),
        (None, (_, why)) => return Err(format!("{name}: {why}")),
    };
    Ok(format!("{before}{value}{}", interpolated(after, given)?))
}

/// The environment of the server, from these files in this order.
fn passed(files: &[&str], given: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
    let given = given.iter().copied().collect();
    let mut merged = BTreeMap::new();
    for file in files {
        for (name, value) in environment(file, "agentapi") {
            merged.insert(name.clone(), interpolated(value.as_str().unwrap_or_else(|| panic!("{name}")), &given)?);
        }
    }
    Ok(merged)
}

#[test]
fn every_variable_of_the_server_is_passed_with_its_default() {
    let (passed, variables) = (environment(FILE, "agentapi"), variables());
    for variable in &variables {
        let name = variable.name.as_str();
        let value = passed.get(name).and_then(Value::as_str);
        let fixed = FIXED.iter().find(|(fixed, _)| *fixed == name).map(|(_, value)| (*value).to_owned());
        match name {
            // In the open, so for development only: see the tests of production.
            "ADMIN_API_KEY" => assert!(value.unwrap().starts_with("${ADMIN_API_KEY:-development-only-"), "{value:?}"),
            _ => {
                let expected = fixed.unwrap_or_else(|| format!("${{{name}:-{}}}", variable.default));
                assert_eq!(value, Some(expected.as_str()), "{name} in {FILE}, from what the server reads");
            }
        }
    }
    for file in [FILE, PRODUCTION, UPSTASH] {
        for name in environment(file, "agentapi").keys() {
            assert!(is_read(name, &variables), "{file} passes {name}, which the server does not read");
        }
    }
}

#[test]
fn development_starts_with_nothing_set() {
    let config = configure(passed(&[FILE], &[]).unwrap()).unwrap();
    assert!(matches!(config.backend, BackendSettings::Native(_)));
    assert!(config.platform.admin_key.is_some() && config.vault.is_none());
}

#[test]
fn production_does_not_start_before_every_secret_is_in_a_file() {
    let document = yaml(PRODUCTION);
    for (secret, from) in document["secrets"].as_object().unwrap() {
        let name = format!("{}_FILE", secret.to_uppercase());
        let file = from["file"].as_str().unwrap();
        assert!(file.starts_with(&format!("${{{name}:?")), "{file}");
        let passed = passed(&[FILE, PRODUCTION], &[]).unwrap();
        assert_eq!(passed[&name], format!("/run/secrets/{secret}"));
        // Neither the key that everybody knows nor one of the environment stands beside the file.
        assert_eq!(passed[name.trim_end_matches("_FILE")], "");
        assert!(service(PRODUCTION, "agentapi")["secrets"].as_array().unwrap().contains(&secret.as_str().into()));
    }
    let secrets: Vec<&String> = document["secrets"].as_object().unwrap().keys().collect();
    assert_eq!(secrets, ["admin_api_key", "redis_password", "token_encryption_key"]);
    assert_eq!(service(PRODUCTION, "redis")["secrets"], serde_json::json!(["redis_password"]));
    // Only a server that finds its backend at once notices at its start that it lacks a root key.
    assert_eq!(service(PRODUCTION, "agentapi")["depends_on"]["redis"]["condition"], "service_healthy");
}

#[test]
fn upstash_needs_no_redis_of_its_own_and_does_not_start_without_secrets() {
    let all = [
        ("UPSTASH_REDIS_REST_URL", "https://db.example"),
        ("UPSTASH_REDIS_REST_TOKEN", "a token"),
        ("ADMIN_API_KEY", ADMIN_KEY),
        ("TOKEN_ENCRYPTION_KEY", ROOT_KEY),
    ];
    for missing in all {
        let others: Vec<_> = all.into_iter().filter(|pair| *pair != missing).collect();
        let refused = passed(&[FILE, UPSTASH], &others).unwrap_err();
        assert!(refused.starts_with(missing.0), "{refused}");
    }
    let config = configure(passed(&[FILE, UPSTASH], &all).unwrap()).unwrap();
    assert!(matches!(config.backend, BackendSettings::Rest(_)));
    let both = [&all[..], &[("REDIS_PROTOCOL", "native"), ("UPSTASH_REDIS_URL", "rediss://db.example")]].concat();
    let config = configure(passed(&[FILE, UPSTASH], &both).unwrap()).unwrap();
    assert!(matches!(config.backend, BackendSettings::Both { .. }));
    assert!(service(UPSTASH, "redis")["profiles"].is_array());
    assert!(service(FILE, "agentapi")["depends_on"].is_null());
}

#[test]
fn redis_keeps_what_it_is_told_and_evicts_nothing_without_an_expiry() {
    let redis = service(FILE, "redis");
    let lines: Vec<&str> = redis["command"][2].as_str().unwrap().lines().map(str::trim).collect();
    for line in [
        "appendonly yes",
        "save 900 1",
        "save 300 10",
        "save 60 10000",
        "maxmemory ${REDIS_MAX_MEMORY:-256mb}",
        "maxmemory-policy ${REDIS_MAX_MEMORY_POLICY:-volatile-lru}",
        "loglevel ${REDIS_LOG_LEVEL:-notice}",
    ] {
        assert!(lines.contains(&line), "{line} is not in {lines:?}");
    }
    for file in [FILE, PRODUCTION, UPSTASH] {
        let said = text(file);
        let code = said.lines().filter(|line| !line.trim_start().starts_with('#'));
        assert!(!code.collect::<String>().contains("allkeys"), "{file} would evict tenants and API keys");
    }
    assert_eq!(
        (redis["image"].as_str(), redis["container_name"].as_str()),
        (Some("redis:7-alpine"), Some("agentapi-redis"))
    );
    assert_eq!(redis["volumes"], serde_json::json!(["redis-data:/data"]));
    assert!(yaml(FILE)["volumes"].as_object().unwrap().contains_key("redis-data"));
}

#[test]
fn nothing_is_reachable_from_elsewhere_unless_that_is_asked_for() {
    let services = yaml(FILE)["services"].as_object().unwrap().clone();
    assert_eq!(services.keys().collect::<Vec<_>>(), ["agentapi", "redis", "redis-insights"]);
    let nothing = BTreeMap::new();
    let published = |name: &str| interpolated(services[name]["ports"][0].as_str().unwrap(), &nothing).unwrap();
    assert_eq!(published("agentapi"), "127.0.0.1:3284:3284");
    assert_eq!(published("redis"), "127.0.0.1:6379:6379");
    assert_eq!(published("redis-insights"), "127.0.0.1:8001:5540");
    assert!(services.values().all(|service| service["ports"].as_array().unwrap().len() == 1));
    assert_eq!(services["redis-insights"]["profiles"], serde_json::json!(["development", "debug"]));
    assert!(services["agentapi"]["profiles"].is_null() && services["redis"]["profiles"].is_null());
}

#[test]
fn the_server_may_write_nothing_and_has_the_time_to_end() {
    let server = service(FILE, "agentapi");
    assert_eq!((&server["read_only"], &server["cap_drop"]), (&true.into(), &serde_json::json!(["ALL"])));
    assert_eq!(server["healthcheck"]["test"], serde_json::json!(["CMD", "agentapi", "healthcheck"]));
    let config = configure(passed(&[FILE], &[]).unwrap()).unwrap();
    let grace = agentapi::base::duration::parse(server["stop_grace_period"].as_str().unwrap()).unwrap();
    assert!(grace > config.server.shutdown_delay + config.server.shutdown_grace);
}
