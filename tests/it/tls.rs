//! Redis over TLS with its own certificate authority, client certificates, user names and passwords; and that
//! whatever is wrong with them is a backend that cannot be asked, told in no detail.

use crate::harness::app::App;
use crate::harness::listening::{heard, over, publish, resumed};
use crate::harness::redis_server::{RedisServer, free_port};
use agentapi::base::secret::Secret;
use agentapi::db::transport::native::{Native, NativeSettings, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reqwest::StatusCode;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A certificate authority, and files of what it signed.
pub struct Authority {
    pub certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = folder.join(format!("{name}.pem"));
        std::fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// The files of a certificate for a host and of its key.
    fn sign(&self, folder: &Path, name: &str, host: &str) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let files = [folder.join(format!("{name}.crt")), folder.join(format!("{name}.key"))];
        std::fs::write(&files[0], signed.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A Redis that speaks TLS on 127.0.0.1, and the files and words with which it is reached.
pub struct World {
    folder: tempfile::TempDir,
    redis: Arc<RedisServer>,
    port: u16,
    pub authority: Authority,
    pub client: [PathBuf; 2],
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "authority");
        let [certificate, key] = authority.sign(folder.path(), "server", "127.0.0.1");
        let client = authority.sign(folder.path(), "client", "client.example");
        let port = free_port();
        let user = ["--user", "canary-user", "on", ">canary-password", "~*", "&*", "+@all", "--user", "default", "off"];
        let port_text = port.to_string();
        let mut options = vec!["--tls-port", &port_text, "--tls-auth-clients", "yes"];
        options.extend(["--tls-cert-file", text(&certificate), "--tls-key-file", text(&key)]);
        options.extend(["--tls-ca-cert-file", text(&authority.certificate)]);
        options.extend(user);
        let redis = Arc::new(RedisServer::start_with(&options));
        World { redis, port, client, authority, folder }
    }

    pub fn url(&self, password: &str) -> String {
        format!("rediss://canary-user:{password}@127.0.0.1:{}/0", self.port)
    }

    /// An application with these variables over those that are right.
    fn app(&self, variables: &[(&str, &str)]) -> App {
        let url = self.url("canary-password");
        let mut all = vec![
            ("REDIS_URL", url.as_str()),
            ("REDIS_TLS_CA_FILE", text(&self.authority.certificate)),
            ("REDIS_TLS_CERT_FILE", text(&self.client[0])),
            ("REDIS_TLS_KEY_FILE", text(&self.client[1])),
        ];
        all.extend(variables);
        App::over(self.redis.clone(), &all)
    }
}

async fn assert_serves(app: &App) {
    app.anyone().get("/health/ready").await.expect(StatusCode::OK);
    let tenant = app.tenant().await;
    let session = tenant.post("/v1/sessions", json!({"user_id": "u"})).await.expect(StatusCode::CREATED);
    tenant.get(&format!("/v1/sessions/{}", session["id"].as_str().unwrap())).await.expect(StatusCode::OK);
}

async fn assert_is_red_and_silent(app: &App, redis_status: &str) {
    let anyone = app.anyone();
    let answers = [
        anyone.get("/health/ready").await,
        anyone.get("/status").await,
        anyone.get("/health").await,
        app.admin().post("/admin/v1/tenants", json!({"id": "acme"})).await,
        app.admin().with("x-tenant-id", "acme").get("/v1/sessions").await,
        anyone.get("/metrics").await,
    ];
    let statuses = answers.each_ref().map(|answer| answer.status.as_u16());
    assert_eq!(statuses, [503, 503, 200, 503, 503, 200], "{answers:?}");
    assert_eq!(answers[1].json()["redis_status"], redis_status);
    for refused in &answers[3..5] {
        refused.refused(503, "backend_unavailable");
        assert_eq!(refused.header("retry-after"), "1");
    }
    for answer in &answers {
        let said = format!("{answer:?}").to_ascii_lowercase();
        for inside in
            ["canary", "certificate", "tls", "wrongpass", "rediss://", &app.redis.as_ref().unwrap().port().to_string()]
        {
            assert!(!said.contains(inside), "{inside} is in {said}");
        }
    }
}

#[tokio::test]
async fn a_redis_behind_tls_with_certificates_and_passwords_is_a_backend() {
    let world = World::new();
    assert_serves(&world.app(&[])).await;
    let port = world.port.to_string();
    let single = [
        ("REDIS_URL", ""),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_USERNAME", "canary-user"),
        ("REDIS_PASSWORD", "canary-password"),
        ("REDIS_TLS", "true"),
    ];
    assert_serves(&world.app(&single)).await;
}

#[tokio::test]
async fn what_is_published_is_heard_over_tls() {
    let world = World::new();
    // An application installs what does the cryptography.
    drop(world.app(&[]));
    let read = |path: &Path| std::fs::read(path).unwrap();
    let tls = TlsFiles {
        ca: Some(read(&world.authority.certificate)),
        client: Some((read(&world.client[0]), read(&world.client[1]))),
    };
    let (url, patient) = (Secret::new(world.url("canary-password")), Duration::from_secs(5));
    let settings = NativeSettings {
        url,
        tls,
        max_connections: 1,
        connection_timeout: patient,
        patience: patient,
        attempt: patient,
    };
    let native = Arc::new(Native::new(settings).unwrap());
    let system = over(native.clone(), native, "p");
    let mut listener = resumed(&system).await;
    assert_eq!(publish(&system, &system.channel("changes"), &json!("heard")).await, 1);
    assert_eq!(heard(&mut listener).await, json!("heard"));
}

#[tokio::test]
async fn an_authority_that_did_not_sign_it_is_refused() {
    let world = World::new();
    let other = Authority::new(world.folder.path(), "other");
    let app = world.app(&[("REDIS_TLS_CA_FILE", text(&other.certificate))]);
    assert_is_red_and_silent(&app, "unhealthy").await;
    let app = world.app(&[("REDIS_TLS_CA_FILE", "")]);
    assert_is_red_and_silent(&app, "unhealthy").await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let world = World::new();
    let url = world.url("canary-password").replace("127.0.0.1", "localhost");
    assert_is_red_and_silent(&world.app(&[("REDIS_URL", &url)]), "unhealthy").await;
}

#[tokio::test]
async fn without_a_client_certificate_that_it_trusts_it_refuses() {
    let world = World::new();
    let app = world.app(&[("REDIS_TLS_CERT_FILE", ""), ("REDIS_TLS_KEY_FILE", "")]);
    assert_is_red_and_silent(&app, "unhealthy").await;
    let [certificate, key] = Authority::new(world.folder.path(), "own").sign(world.folder.path(), "stranger", "x");
    let app = world.app(&[("REDIS_TLS_CERT_FILE", text(&certificate)), ("REDIS_TLS_KEY_FILE", text(&key))]);
    assert_is_red_and_silent(&app, "unhealthy").await;
}

#[tokio::test]
async fn a_wrong_password_or_none_is_refused() {
    let world = World::new();
    let wrong = world.url("canary-wrong");
    assert_is_red_and_silent(&world.app(&[("REDIS_URL", &wrong)]), "error").await;
    let none = format!("rediss://127.0.0.1:{}", world.port);
    assert_is_red_and_silent(&world.app(&[("REDIS_URL", &none)]), "error").await;
}
