//! The listening side: sockets, TLS, workers, and the end of it all.

use super::connection::{Connection, Connections};
use super::endpoints::Endpoints;
use super::platform::Platform;
use super::router;
use actix_http::error::DispatchError;
use actix_http::{HttpServiceBuilder, KeepAlive};
use actix_server::ServerBuilder;
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::rt::net::TcpStream;
use std::cell::Cell;
use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// How to listen.
#[derive(Clone)]
pub struct ServerSettings {
    /// Threads that serve requests, each with connections of its own.
    pub workers: usize,
    /// How long requests that are under way may take once the server is told to stop.
    pub shutdown_grace: Duration,
    /// How long the server goes on serving once it is told to stop, so that load balancers see it leave.
    pub shutdown_delay: Duration,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Whether the server is about to stop. Readiness is red then, and every answer closes its connection, so
/// that no client sends a request over one that is about to go.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<Drain>);

#[derive(Debug, Default)]
struct Drain {
    has_begun: AtomicBool,
    begins: Notify,
}

impl Draining {
    /// From now on it is.
    pub fn begin(&self) {
        self.0.has_begun.store(true, Ordering::SeqCst);
        self.0.begins.notify_waiters();
    }

    /// Whether it is.
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Relaxed)
    }

    /// Waits until it is.
    pub(super) async fn begun(&self) {
        let mut begins = pin!(self.0.begins.notified());
        // Whoever is not entered yet would not be told of what begins right after the look.
        begins.as_mut().enable();
        if !self.0.has_begun.load(Ordering::SeqCst) {
            begins.await;
        }
    }
}

/// SIGTERM and SIGINT, heard from when this is made.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens.
    ///
    /// # Errors
    /// When the system lets no handler be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one, and tells whether it was SIGTERM.
    pub async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => false,
        }
    }
}

/// Stops a server as it should be: after SIGTERM it drains for a while and finishes what is under way; after
/// SIGINT, which somebody at a keyboard sends, it only finishes; a second signal ends it at once, and sets `at_once`.
pub async fn stop_on_signal(
    server: ServerHandle,
    mut signals: Signals,
    draining: &Draining,
    delay: Duration,
    at_once: &Cell<bool>,
) {
    let delay = if signals.next().await { delay } else { Duration::ZERO };
    draining.begin();
    tracing::info!(delay_ms = delay.as_millis() as u64, "told to stop: draining");
    let graceful = tokio::select! {
        () = tokio::time::sleep(delay) => true,
        _ = signals.next() => false,
    };
    at_once.set(!graceful);
    tokio::select! {
        () = server.stop(graceful) => {}
        // What is under way ends with the process: the server itself obeys one order, and that was to finish.
        _ = signals.next() => at_once.set(true),
    }
}

/// What a worker serves: made once per worker, on its thread.
pub trait Site: Clone + Send + 'static {
    /// The endpoint table.
    fn endpoints(&self) -> Endpoints;

    /// The worker's platform.
    fn platform(&self) -> Platform;
}

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may go on sending what nobody reads any more, until its connection is closed.
const LINGER: Duration = Duration::from_secs(1);
/// How long a connection stays open over which nothing is asked, comes or goes, at least.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Serves a site on a listener until its handle stops it: then no more connections are accepted, and requests
/// that are under way are finished.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(listener: TcpListener, settings: &ServerSettings, site: impl Site) -> io::Result<Server> {
    let server = ServerBuilder::default()
        .workers(settings.workers)
        .disable_signals()
        .shutdown_timeout(settings.shutdown_grace.as_secs().max(1));
    let stops = server.graceful_shutdown_signal();
    let server = match &settings.tls {
        None => server.listen("http", listener, move || {
            let connections = Connections::new(KEEP_ALIVE, stops.clone());
            let accepted = accepted().map(move |(io, peer)| (connections.accept(io), peer));
            accepted.map_err(DispatchError::Io).and_then(http(site.clone()))
        })?,
        Some(tls) => {
            let mut tls = rustls::ServerConfig::clone(tls);
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            server.listen("https", listener, move || {
                let connections = Connections::new(KEEP_ALIVE, stops.clone());
                let opened = accepted().map(|(io, _)| io).map_err(|error| TlsError::Service(DispatchError::Io(error)));
                let opened = opened.and_then(Acceptor::new(tls.clone()).map_err(TlsError::into_service_error));
                let opened = opened.map(move |io: TlsStream<TcpStream>| {
                    let peer = io.get_ref().0.peer_addr().ok();
                    (connections.accept(io), peer)
                });
                opened.and_then(http(site.clone()).map_err(TlsError::Service))
            })?
        }
    };
    Ok(server.run())
}

/// Connections as they come to a worker.
fn accepted()
-> impl ServiceFactory<TcpStream, Config = (), Response = (TcpStream, Option<SocketAddr>), Error = io::Error, InitError = ()>
{
    fn_service(|io: TcpStream| {
        let peer = io.peer_addr().ok();
        ready(io.set_nodelay(true).map(|()| (io, peer)))
    })
}

/// What a worker serves over its connections.
fn http<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    site: impl Site,
) -> impl ServiceFactory<
    (Connection<T>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> {
    HttpServiceBuilder::default()
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(LINGER)
        .on_connect_ext(|connection: &Connection<T>, of_connection: &mut Extensions| {
            of_connection.insert(connection.line().clone());
        })
        .h1(router::service(site.endpoints(), site.platform()))
}
