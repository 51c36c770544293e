//! A server of the Upstash REST protocol in front of a real Redis, on a thread of its own, that can be told
//! to fail in the ways that servers, proxies and networks do. It shares no code with what it tests.

mod faults;
mod gzip;
mod protocol;
mod resp;
mod subscription;

pub use faults::Fault;

use actix_web::dev::ServerHandle;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use faults::Socket;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: HashMap<String, String>,
    /// The names of its commands, but for the mark at their end.
    pub commands: Vec<String>,
}

/// A request, as a hook sees it.
pub struct Call<'a> {
    /// From 1.
    pub number: u64,
    pub path: &'a str,
    pub body: &'a [u8],
}

impl Call<'_> {
    /// Whether the body has this text.
    pub fn says(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

type Hook = Box<dyn Fn(&Call) -> Option<Fault> + Send + Sync>;

/// What the server and its owner share.
struct Shared {
    redis_port: u16,
    token: String,
    idle: Mutex<Vec<resp::Connection>>,
    /// Digests of scripts as they were sent, to those of what stock Redis was given.
    stripped: Mutex<HashMap<String, String>>,
    requests: AtomicU64,
    commands: AtomicU64,
    seen: Mutex<Vec<Seen>>,
    /// The last results of each number, for [`Fault::Stale`].
    last: Mutex<HashMap<usize, Vec<serde_json::Value>>>,
    hook: RwLock<Option<Hook>>,
    injected: Mutex<HashMap<Discriminant<Fault>, u64>>,
    /// Changes to end all subscriptions.
    cuts: watch::Sender<()>,
}

/// How many requests are remembered.
const MEMORY: usize = 1000;

impl Shared {
    fn fault(&self, call: &Call) -> Option<Fault> {
        self.hook.read().as_ref().and_then(|hook| hook(call))
    }

    /// Notes a fault where it is really done.
    fn inject(&self, fault: &Fault) {
        *self.injected.lock().entry(discriminant(fault)).or_default() += 1;
    }

    fn remember(&self, seen: Seen) {
        self.commands.fetch_add(seen.commands.len() as u64, Ordering::SeqCst);
        let mut all = self.seen.lock();
        if all.len() < MEMORY {
            all.push(seen);
        }
    }
}

/// A running double; it ends when it is dropped.
pub struct RestDouble {
    shared: Arc<Shared>,
    port: u16,
    scheme: &'static str,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl RestDouble {
    /// Serves the Redis at `redis_port` to whoever has the token.
    pub fn start(redis_port: u16, token: &str) -> Self {
        Self::launch(redis_port, token, None)
    }

    /// The same over TLS. The faults that close connections do not work there.
    pub fn start_tls(redis_port: u16, token: &str, tls: rustls::ServerConfig) -> Self {
        Self::launch(redis_port, token, Some(tls))
    }

    fn launch(redis_port: u16, token: &str, tls: Option<rustls::ServerConfig>) -> Self {
        let shared = Arc::new(Shared {
            redis_port,
            token: token.to_owned(),
            idle: Mutex::default(),
            stripped: Mutex::default(),
            requests: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            seen: Mutex::default(),
            last: Mutex::default(),
            hook: RwLock::default(),
            injected: Mutex::default(),
            cuts: watch::Sender::new(()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (started, server) = std::sync::mpsc::channel();
        let data = web::Data::from(Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let serve = async move {
                let server = HttpServer::new(move || {
                    App::new().app_data(data.clone()).default_service(web::to(protocol::answer))
                })
                .on_connect(|connection, extensions| {
                    if let Some(socket) = connection.downcast_ref::<TcpStream>().and_then(Socket::of) {
                        extensions.insert(socket);
                    }
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
        RestDouble { shared, port, scheme, server, thread: Some(thread) }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// The token it accepts.
    pub fn token(&self) -> &str {
        &self.shared.token
    }

    /// How many requests came, good or bad.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many commands came in well-formed requests, their marks not counted.
    pub fn commands(&self) -> u64 {
        self.shared.commands.load(Ordering::SeqCst)
    }

    /// The first thousand well-formed requests.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().clone()
    }

    /// Asks the hook about every request from now on: its number, from 1, and its path.
    pub fn inject(&self, hook: impl Fn(u64, &str) -> Option<Fault> + Send + Sync + 'static) {
        self.inject_where(move |call| hook(call.number, call.path));
    }

    /// The same, for a hook that looks at bodies too.
    pub fn inject_where(&self, hook: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) {
        *self.shared.hook.write() = Some(Box::new(hook));
    }

    /// How often this kind of fault was injected so far.
    pub fn injected(&self, fault: &Fault) -> u64 {
        self.shared.injected.lock().get(&discriminant(fault)).copied().unwrap_or(0)
    }

    /// Fails every request from now on in this way.
    pub fn always(&self, fault: Fault) {
        self.inject(move |_, _| Some(fault.clone()));
    }

    /// Ends every subscription that there is.
    pub fn cut(&self) {
        self.shared.cuts.send_replace(());
    }

    /// Serves faithfully again.
    pub fn heal(&self) {
        *self.shared.hook.write() = None;
    }
}

impl Drop for RestDouble {
    fn drop(&mut self) {
        // The command is sent by the call; the thread's end is what is waited for.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the double panicked");
        }
    }
}
