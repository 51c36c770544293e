//! A small OAuth 2.0 server on loopback, on a thread of its own: it refreshes tokens, rotates refresh tokens, and can be
//! told to fail in the ways that providers do. It shares no code with what it tests.

mod families;
mod protocol;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use families::Families;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the server knows its one client by; both need encoding in a header.
pub const CLIENT_ID: &str = "canary:client";
pub const CLIENT_SECRET: &str = "canary secret+&=%é";

/// The names that its certificate is for.
pub const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "provider.example"];

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Serves it.
    Faithful,
    /// Waits, then serves it.
    Slow(Duration),
    /// Uses nothing up and answers this.
    Refuse { status: u16, headers: Vec<(&'static str, String)>, body: &'static str },
    /// Uses nothing up and answers with this status and a body that never ends.
    RefuseWithoutEnd(u16),
    /// Uses the refresh token up and answers this with status 200.
    Garbage(&'static str),
    /// Uses the refresh token up and answers with a body that never ends.
    Endless,
    /// Uses the refresh token up and announces a body of so many bytes that never comes.
    Announce(u64),
    /// Uses the refresh token up and closes the connection.
    HangUp,
}

impl Behaviour {
    /// A refusal without further headers.
    pub fn refuse(status: u16, body: &'static str) -> Behaviour {
        Behaviour::Refuse { status, headers: Vec::new(), body }
    }

    /// A refusal with a header.
    pub fn refuse_with(status: u16, name: &'static str, value: &str) -> Behaviour {
        Behaviour::Refuse { status, headers: vec![(name, value.to_owned())], body: "" }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub headers: HashMap<String, String>,
    pub form: HashMap<String, String>,
}

/// What the server and its owner share.
struct Shared {
    families: Mutex<Families>,
    behaviour: Mutex<Behaviour>,
    lifetime: AtomicU64,
    connections: AtomicU64,
    requests: AtomicU64,
    last: Mutex<Option<Seen>>,
}

/// A running server; it ends when it is dropped.
pub struct OauthServer {
    shared: Arc<Shared>,
    port: u16,
    /// Its certificate in PEM form, which is its own authority; nothing without TLS.
    certificate: Option<String>,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl OauthServer {
    /// Serves over plain HTTP.
    pub fn start() -> OauthServer {
        OauthServer::launch(None)
    }

    /// Serves over TLS, with a certificate for [`NAMES`] that nobody knows yet.
    pub fn start_tls() -> OauthServer {
        super::app::install_crypto();
        let made = rcgen::generate_simple_self_signed(NAMES.map(str::to_owned)).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a certificate and its key");
        OauthServer::launch(Some((tls, made.cert.pem())))
    }

    fn launch(tls: Option<(rustls::ServerConfig, String)>) -> OauthServer {
        let shared = Arc::new(Shared {
            families: Mutex::default(),
            behaviour: Mutex::new(Behaviour::Faithful),
            lifetime: AtomicU64::new(3600),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            last: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (tls, certificate) = tls.unzip();
        let (started, server) = std::sync::mpsc::channel();
        let data = web::Data::from(Arc::clone(&shared));
        let counted = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let serve = async move {
                let app = move || App::new().app_data(data.clone()).route("/token", web::post().to(protocol::token));
                let server = HttpServer::new(app)
                    .on_connect(move |_, _| {
                        counted.connections.fetch_add(1, Ordering::SeqCst);
                    })
                    .workers(1)
                    .disable_signals()
                    .shutdown_timeout(0);
                let server = match tls {
                    Some(tls) => server.listen_rustls_0_23(listener, tls),
                    None => server.listen(listener),
                };
                let running = server.expect("a server").run();
                started.send(running.handle()).expect("an owner");
                running.await.expect("a server that ran");
            };
            actix_web::rt::System::new().block_on(serve);
        });
        let server = server.recv().expect("a running server");
        OauthServer { shared, port, certificate, server, thread: Some(thread) }
    }

    /// Its token endpoint, by address.
    pub fn token_url(&self) -> String {
        self.token_url_at("127.0.0.1")
    }

    /// Its token endpoint, by a name that leads here.
    pub fn token_url_at(&self, host: &str) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{}/token", self.port)
    }

    /// The certificate to trust, in PEM form.
    pub fn certificate(&self) -> &str {
        self.certificate.as_deref().expect("a server that speaks TLS")
    }

    /// A first refresh token, as somebody who signed in just now would get it.
    pub fn issue(&self) -> String {
        self.shared.families.lock().issue()
    }

    /// How long access tokens live that it hands out from now on; an hour unless this is called.
    pub fn grant_for(&self, lifetime: Duration) {
        self.shared.lifetime.store(lifetime.as_secs(), Ordering::SeqCst);
    }

    /// What it does with every request from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock() = behaviour;
    }

    /// Whether an access token is the newest of its family, which has not been revoked.
    pub fn accepts(&self, access_token: &str) -> bool {
        self.shared.families.lock().accepts(access_token)
    }

    /// How many refresh tokens were used up.
    pub fn refreshes(&self) -> u64 {
        self.shared.families.lock().refreshes
    }

    /// How often a refresh token came that had been used up before; each time its family was revoked.
    pub fn reuses(&self) -> u64 {
        self.shared.families.lock().reuses
    }

    /// How many requests came, good or bad.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many connections were made.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The last request that was read.
    pub fn last(&self) -> Seen {
        self.shared.last.lock().clone().expect("a request")
    }
}

impl Drop for OauthServer {
    fn drop(&mut self) {
        // The command is sent by the call; the thread's end is what is waited for.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}
