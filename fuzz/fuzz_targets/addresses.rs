//! What an operator writes: URLs, and every variable of the configuration. Mistakes are told, never panics.
#![no_main]

use agentapi::base::env::Env;
use agentapi::config::{BackendSettings, Config};
use agentapi::db::transport::native::Native;
use agentapi::db::transport::rest::RestUrl;
use agentapi::http::TrustedProxies;
use agentapi::outbound::{OutboundSettings, TargetUrl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    drop(RestUrl::parse(data));
    drop(TrustedProxies::parse(data));
    let outbound = OutboundSettings::default();
    if let Ok(url) = TargetUrl::parse(data, &outbound) {
        assert!(url.as_str().starts_with("https://"));
        assert_eq!(TargetUrl::parse(url.as_str(), &outbound), Ok(url));
    }
    let mut known = Env::new([]);
    Config::read(&mut known);
    let values = known.described().into_iter().map(|variable| variable.name.to_owned());
    let values = values.filter(|name| !name.contains("FILE")).map(|name| (name, data.to_owned()));
    let mut env = Env::new(values);
    Config::read(&mut env);
    assert!(data.trim().is_empty() || env.finish().is_err(), "no text is right for every variable");
    for url in [format!("redis://{data}"), data.to_owned()] {
        let mut env = Env::new([("REDIS_URL".to_owned(), url)]);
        if let BackendSettings::Native(settings) = Config::read(&mut env).backend {
            drop(Native::new(settings));
        }
    }
});
