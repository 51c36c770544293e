//! Log lines: JSON, or text for people on a terminal.

use crate::config::LogSettings;
use crate::http::AUDIT_LOG;
use std::io::IsTerminal;
use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries are heard from their warnings on: what they say below that may quote keys and values. The audit
/// log is no matter of taste and is always heard.
fn filter(level: Level) -> Targets {
    let level = LevelFilter::from_level(level);
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("agentapi", level)
        .with_target(AUDIT_LOG, level.max(LevelFilter::INFO))
}

/// Sends log lines to standard error.
pub(super) fn start(settings: LogSettings) {
    let terminal = std::io::stderr().is_terminal();
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = if settings.json.unwrap_or(!terminal) {
        layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        layer.with_ansi(terminal).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter(settings.level))).init();
    // The default hook prints the message of a panic, which may quote what a client sent.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_holds_for_the_server_libraries_are_quieter_and_the_audit_log_is_always_heard() {
        for (level, server_debugs, library_warns) in
            [(Level::ERROR, false, false), (Level::INFO, false, true), (Level::TRACE, true, true)]
        {
            let filter = filter(level);
            assert_eq!(filter.would_enable("agentapi::http::gate", &Level::DEBUG), server_debugs, "{level}");
            assert_eq!(filter.would_enable("redis", &Level::WARN), library_warns, "{level}");
            assert!(!filter.would_enable("redis", &Level::INFO), "{level}");
            assert!(filter.would_enable(AUDIT_LOG, &Level::INFO), "{level}");
        }
    }
}
