//! The listening side: sockets, TLS, workers, and the end of it all.

use super::endpoints::Endpoints;
use super::gate::Platform;
use super::router;
use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// How to listen.
#[derive(Clone)]
pub struct ServerSettings {
    /// Threads that serve requests, each with connections of its own.
    pub workers: usize,
    /// How long requests that are under way may take once the server is told to stop.
    pub shutdown_grace: Duration,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What a worker serves: made once per worker, on its thread.
pub trait Site: Clone + Send + 'static {
    /// The endpoint table.
    fn endpoints(&self) -> Endpoints;

    /// The worker's platform.
    fn platform(&self) -> Platform;

    /// What handlers and extractors find as application data.
    fn provide(&self, config: &mut web::ServiceConfig);
}

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection without requests stays open.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Serves a site on a listener until SIGTERM or SIGINT: then no more connections are accepted, and requests
/// that are under way are finished.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(listener: TcpListener, settings: &ServerSettings, site: impl Site) -> io::Result<Server> {
    let app = move || {
        let site = site.clone();
        App::new().configure(move |config| {
            site.provide(config);
            router::mount(site.endpoints(), site.platform(), config);
        })
    };
    let server = HttpServer::new(app)
        .workers(settings.workers)
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
