//! The real application on a free loopback port, over any backend, with roles to speak to it as.

use super::more_rows::{MoreRows, Rows};
use super::redis_server::RedisServer;
use super::rest_double::RestDouble;
use actix_web::dev::ServerHandle;
use agentapi::app::Application;
use agentapi::base::clock::{Clock, ManualClock, SystemClock, Timestamp};
use agentapi::base::env::Env;
use agentapi::config::Config;
use agentapi::http::Endpoints;
use agentapi::http::server::{self, Draining};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// The admin key of every test application.
pub const ADMIN_KEY: &str = "adm_0123456789abcdefghijklmnopqrstuvwxyz";

/// The root key of every test application.
pub const ROOT_KEY: &str = "c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789";

/// On which backend an application runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Memory,
    Native,
    Rest,
}

/// A running application; ends when it is dropped.
pub struct App {
    pub base: String,
    /// Moves the time of an application on memory; the other backends have a time of their own.
    pub clock: ManualClock,
    pub redis: Option<Arc<RedisServer>>,
    pub rest: Option<Arc<RestDouble>>,
    /// Tells the application that it is about to stop.
    pub draining: Draining,
    client: reqwest::Client,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

static TENANTS: AtomicU64 = AtomicU64::new(0);

impl App {
    /// An application on this backend, with a fresh keyspace of its own.
    pub fn on(backend: On) -> App {
        App::with(backend, &[])
    }

    /// The same with more variables.
    pub fn with(backend: On, variables: &[(&str, &str)]) -> App {
        match backend {
            On::Memory => App::with_rows(variables, Endpoints::default),
            On::Native => App::over(RedisServer::shared(), variables),
            On::Rest => {
                let redis = RedisServer::shared();
                let double = Arc::new(RestDouble::start(redis.port(), "rest-token"));
                App::over_rest(redis, double, variables)
            }
        }
    }

    /// An application on memory with these endpoints beside its own.
    pub fn with_rows(variables: &[(&str, &str)], rows: Rows) -> App {
        App::start(variables, None, None, rows)
    }

    /// An application over a given Redis. Give `REDIS_KEY_PREFIX` to share data with another one.
    pub fn over(redis: Arc<RedisServer>, variables: &[(&str, &str)]) -> App {
        App::over_with_rows(redis, variables, Endpoints::default)
    }

    /// The same with these endpoints beside its own.
    pub fn over_with_rows(redis: Arc<RedisServer>, variables: &[(&str, &str)], rows: Rows) -> App {
        let url = redis.url();
        let mut all = vec![("REDIS_URL", url.as_str())];
        all.extend(variables);
        App::start(&all, Some(redis), None, rows)
    }

    /// An application over a given REST server.
    pub fn over_rest(redis: Arc<RedisServer>, double: Arc<RestDouble>, variables: &[(&str, &str)]) -> App {
        let url = double.url();
        let mut all = vec![
            ("REDIS_PROTOCOL", "rest"),
            ("UPSTASH_REDIS_REST_URL", &url),
            ("UPSTASH_REDIS_REST_TOKEN", "rest-token"),
        ];
        all.extend(variables);
        App::start(&all, Some(redis), Some(double), Endpoints::default)
    }

    fn start(
        variables: &[(&str, &str)],
        redis: Option<Arc<RedisServer>>,
        rest: Option<Arc<RestDouble>>,
        rows: Rows,
    ) -> App {
        install_crypto();
        let unique = TENANTS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("t{}-{unique}", std::process::id());
        let mut all = vec![("ADMIN_API_KEY", ADMIN_KEY), ("WORKERS", "1"), ("REDIS_KEY_PREFIX", &prefix)];
        // Tests ask more often than anybody may by default; those of the limit switch it on.
        all.push(("RATE_LIMIT_ENABLED", "false"));
        all.push(("TOKEN_ENCRYPTION_KEY", ROOT_KEY));
        all.extend(variables);
        // An empty value takes a variable away again.
        let all: BTreeMap<&str, &str> = all.into_iter().collect();
        let mut env = Env::new(all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::read(&mut env);
        env.finish().expect("the test's configuration is valid");
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let told_by: Arc<dyn Clock> = if redis.is_none() { Arc::new(clock.clone()) } else { Arc::new(SystemClock) };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (send, receive) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let settings = config.server.clone();
                let app = Application::new(config, told_by).expect("the backend's settings are valid");
                app.start_background();
                app.look_at_backend().await;
                let draining = app.draining().clone();
                let site = MoreRows { inner: app, rows };
                let server = server::serve(listener, &settings, site).expect("the listener works");
                send.send((server.handle(), draining)).expect("the test waits");
                server.await.expect("the server ends well");
            });
        });
        let (handle, draining) = receive.recv().expect("the application starts");
        App { base, clock, redis, rest, draining, client: client(), handle, thread: Some(thread) }
    }

    /// A caller without a credential.
    pub fn anyone(&self) -> Caller {
        Caller { base: self.base.clone(), client: self.client.clone(), headers: Vec::new() }
    }

    /// The operator.
    pub fn admin(&self) -> Caller {
        self.anyone().with("authorization", &format!("Bearer {ADMIN_KEY}"))
    }

    /// A fresh tenant, by a key with these scopes.
    pub async fn tenant_with(&self, scopes: &[&str]) -> Tenant {
        self.made_tenant(format!("t-{}", TENANTS.fetch_add(1, Ordering::Relaxed)), scopes).await
    }

    /// A tenant of this id, by a key that may do everything.
    pub async fn named_tenant(&self, id: &str) -> Tenant {
        self.made_tenant(id.to_owned(), &["*"]).await
    }

    async fn made_tenant(&self, id: String, scopes: &[&str]) -> Tenant {
        let admin = self.admin();
        admin.post("/admin/v1/tenants", json!({"id": id})).await.expect(StatusCode::CREATED);
        let key = admin.post(&format!("/admin/v1/tenants/{id}/keys"), json!({"scopes": scopes})).await;
        let key = key.expect(StatusCode::CREATED);
        let secret = key["key"].as_str().expect("the secret is shown this once").to_owned();
        let caller = self.anyone().with("authorization", &format!("Bearer {secret}"));
        Tenant { id, key_id: key["id"].as_str().unwrap_or_default().to_owned(), secret, caller }
    }

    /// A fresh tenant, by a key that may do everything.
    pub async fn tenant(&self) -> Tenant {
        self.tenant_with(&["*"]).await
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the application panicked");
        }
    }
}

/// A tenant, and a caller with its key.
pub struct Tenant {
    pub id: String,
    pub key_id: String,
    pub secret: String,
    caller: Caller,
}

impl std::ops::Deref for Tenant {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Caller {
    base: String,
    client: reqwest::Client,
    headers: Vec<(String, String)>,
}

impl Caller {
    /// Somebody without a credential, before an application that another process runs.
    pub fn of(base: &str) -> Caller {
        Caller { base: base.to_owned(), client: client(), headers: Vec::new() }
    }

    /// The same with one more header.
    pub fn with(&self, name: &str, value: &str) -> Caller {
        let mut caller = self.clone();
        caller.headers.push((name.to_owned(), value.to_owned()));
        caller
    }

    /// Sends a request; a body goes as JSON unless a content type was set.
    pub async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            if !self.headers.iter().any(|(name, _)| name == "content-type") {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body);
        }
        Answer::read(request.send().await.expect("the application answers")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn head(&self, path: &str) -> Answer {
        self.send(Method::HEAD, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string().into_bytes())).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body.to_string().into_bytes())).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body.to_string().into_bytes())).await
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    /// All of it; of an event stream, which has no end, what comes first.
    async fn read(mut response: Response) -> Answer {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = if headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            let first = response.chunk().await.expect("it begins");
            first.map(|first| String::from_utf8_lossy(&first).into_owned()).unwrap_or_default()
        } else {
            response.text().await.expect("the body arrives")
        };
        Answer { status, headers, text }
    }

    /// A header's value, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The body, if the status is this one.
    #[track_caller]
    pub fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem, if it has this status and code and is well formed.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(
            (problem["code"].as_str(), problem["status"].as_u64()),
            (Some(code), Some(u64::from(status))),
            "{problem}"
        );
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{problem}");
        for member in ["type", "title", "detail"] {
            assert!(problem[member].is_string(), "{problem}");
        }
        problem
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client for loopback")
}

/// What `main` does first.
pub fn install_crypto() {
    // The second one to come finds it done.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
