//! `agentapi serve`.

use super::output::{complain, print};
use super::{logging, newcomer};
use crate::app::{Application, FIRST_LOOK};
use crate::base::clock::SystemClock;
use crate::config::Config;
use crate::http::server::{self, Signals};
use std::cell::Cell;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Serves until it is told to stop: 0; 1 when it could not start.
pub(super) fn serve(mut config: Config) -> ExitCode {
    logging::start(config.log);
    let embedded = newcomer::is_embedded(&config);
    let made_up = if embedded && config.platform.admin_key.is_none() { newcomer::admin_key() } else { None };
    if made_up.is_some() {
        config.platform.admin_key.clone_from(&made_up);
    }
    let (address, settings) = (config.address, config.server.clone());
    let system = actix_web::rt::System::new();
    let served = system.block_on(async {
        // Before anybody can know that the server is there: a signal from now on is heard.
        let signals = Signals::listen().map_err(|error| (1, format!("signals cannot be handled: {}", error.kind())))?;
        let listener = TcpListener::bind(address)
            .map_err(|error| (1, format!("cannot listen on {}:{}: {}", address.0, address.1, error.kind())))?;
        // What the backends run in the background belongs to this runtime, which outlives the workers'.
        let app = Application::new(config, Arc::new(SystemClock))
            .map_err(|error| (super::MISCONFIGURED, error.to_string()))?;
        let ended = |error: std::io::Error| (1, format!("the server ended: {}", error.kind()));
        let bound = listener.local_addr().map_err(ended)?;
        if embedded {
            let key = newcomer::first_tenant(&app).await;
            welcome(&newcomer::welcome(bound, settings.tls.is_some(), made_up.as_ref(), key.as_ref()));
        } else {
            let ready = tokio::time::timeout(FIRST_LOOK, app.look_at_backend()).await.unwrap_or(false);
            if let Some(mistake) = app.lacks_root_keys().await.filter(|_| ready) {
                return Err((super::MISCONFIGURED, mistake));
            }
            tracing::info!(address = %bound, ready, admin_api = app.config().platform.admin_key.is_some(), "listening");
        }
        app.start_background();
        let mut server = server::serve(listener, &settings, app.clone()).map_err(ended)?;
        let at_once = Cell::new(false);
        let stop = server::stop_on_signal(server.handle(), signals, app.draining(), settings.shutdown_delay, &at_once);
        let served = tokio::select! {
            served = &mut server => served,
            () = stop => Ok(()),
        };
        let mut signals = Signals::listen().map_err(ended)?;
        tokio::select! {
            () = app.finish(if at_once.get() { Duration::ZERO } else { settings.shutdown_grace }) => {}
            _ = signals.next() => {}
        }
        served.map_err(ended)
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => complain(&why, code),
    }
}

/// The one text that goes to standard output: a newcomer pastes from it.
fn welcome(text: &str) {
    if print(text) != ExitCode::SUCCESS {
        tracing::warn!("the welcome could not be printed");
    }
}
