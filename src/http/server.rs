//! The listening side: sockets, TLS, workers, and the end of it all.

use super::endpoints::Endpoints;
use super::platform::Platform;
use super::router;
use actix_web::HttpServer;
use actix_web::dev::{Server, ServerHandle};
use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
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
/// How long a connection without requests stays open.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Serves a site on a listener until its handle stops it: then no more connections are accepted, and requests
/// that are under way are finished.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(listener: TcpListener, settings: &ServerSettings, site: impl Site) -> io::Result<Server> {
    let server = HttpServer::new(move || router::service(site.endpoints(), site.platform()))
        .workers(settings.workers)
        .disable_signals()
        .keep_alive(KEEP_ALIVE)
        .tcp_nodelay(true)
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(settings.shutdown_grace.as_secs().max(1));
    let server = match &settings.tls {
        Some(tls) => server.listen_rustls_0_23(listener, rustls::ServerConfig::clone(tls))?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}
