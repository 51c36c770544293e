//! What is counted: tokens that were sealed and opened, records that could not be, and how refreshes ended.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// How a refresh ends.
const OUTCOMES: [&str; 9] =
    ["refreshed", "overtaken", "elsewhere", "backend", "revoked", "rejected", "not_consumed", "unknown", "forbidden"];

/// Shared by all token stores of a process.
#[derive(Default)]
pub struct TokenMetrics {
    opened: Counter,
    sealed: Counter,
    unreadable: Counter,
    refreshes: Family<Outcome, Counter>,
}

impl TokenMetrics {
    /// Exports them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("agentapi_tokens_opened", "OAuth tokens that were opened", self.opened.clone());
        registry.register("agentapi_tokens_sealed", "OAuth tokens that were sealed and stored", self.sealed.clone());
        let help = "Stored OAuth tokens and providers that could not be read";
        registry.register("agentapi_tokens_unreadable", help, self.unreadable.clone());
        for outcome in OUTCOMES {
            drop(self.refreshes.get_or_create(&Outcome { outcome }));
        }
        let help = "Refreshes of OAuth tokens by this server, by how they ended";
        registry.register("agentapi_token_refreshes", help, self.refreshes.clone());
    }

    pub(super) fn opened(&self) {
        self.opened.inc();
    }

    pub(super) fn sealed(&self) {
        self.sealed.inc();
    }

    /// How many times a stored record could not be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.get()
    }

    pub(super) fn count_unreadable(&self) {
        self.unreadable.inc();
        tracing::warn!("a sealed record does not open; it is treated as absent");
    }

    pub(super) fn refreshed(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&Outcome { outcome }).inc();
    }
}
