//! What is checked before the first request: settings, certificates, whom to trust.

use super::*;

fn certificate() -> (rustls::ServerConfig, String) {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    install_tls_provider();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    (config, key.cert.pem())
}

#[tokio::test]
async fn over_tls_only_whom_we_trust_sees_the_token() {
    let redis = Redis::start();
    let (config, own) = certificate();
    let (_, other) = certificate();
    let double = RestDouble::start_tls(redis.port, CANARY, config);
    let trusting = |pem: String| RestSettings { ca_pem: Some(pem.into_bytes()), ..settings(&double.url(), CANARY) };
    let rest = Rest::new(&trusting(other)).unwrap();
    assert_eq!(say(&rest, "PING").await, Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent)));
    assert_eq!(double.requests(), 0);
    let rest = Rest::new(&trusting(own)).unwrap();
    assert_eq!(say(&rest, "PING").await, Ok(Reply::Bulk("PONG".into())));
}

#[test]
fn settings_that_cannot_work_are_refused_without_showing_a_secret() {
    let good = settings("https://localhost", CANARY);
    let cases = [
        (RestSettings { token: Secret::new(" ".into()), ..good.clone() }, RestError::Token),
        (RestSettings { token: Secret::new(format!("{CANARY}\nx")), ..good.clone() }, RestError::Token),
        (RestSettings { ca_pem: Some(b"".to_vec()), ..good.clone() }, RestError::Certificates),
        (RestSettings { ca_pem: Some(CANARY.as_bytes().to_vec()), ..good.clone() }, RestError::Certificates),
    ];
    for (settings, expected) in cases {
        let error = Rest::new(&settings).err().unwrap();
        assert_eq!(error, expected);
        assert!(!format!("{error} {error:?} {settings:?}").contains(CANARY));
    }
}

/// Runs itself again in a process whose system has no CA bundle.
#[test]
fn an_http_endpoint_needs_no_ca_bundle_and_an_https_one_says_what_is_missing() {
    const INSIDE: &str = "AGENTAPI_TEST_WITHOUT_CA_BUNDLE";
    if std::env::var_os(INSIDE).is_some() {
        assert!(Rest::new(&settings("http://127.0.0.1:1", CANARY)).is_ok());
        assert_eq!(Rest::new(&settings("https://127.0.0.1:1", CANARY)).err(), Some(RestError::NoTrust));
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rest::setup::an_http_endpoint_needs_no_ca_bundle_and_an_https_one_says_what_is_missing"])
        .env(INSIDE, "1")
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}
