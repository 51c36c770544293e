//! Log lines: JSON, or text for people on a terminal.

use crate::config::LogSettings;
use std::io::IsTerminal;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends log lines to standard error. Libraries are heard from their warnings on: what they say below that
/// may quote keys and values.
pub(super) fn start(settings: LogSettings) {
    let terminal = std::io::stderr().is_terminal();
    let level = LevelFilter::from_level(settings.level);
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("agentapi", level);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = if settings.json.unwrap_or(!terminal) {
        layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        layer.with_ansi(terminal).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    // The default hook prints the message of a panic, which may quote what a client sent.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}
