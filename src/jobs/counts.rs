//! How jobs go, for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Shared by the jobs and the runner of a process.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// This process started one that was not there.
    pub started: Counter,
    /// This process did the last step of one.
    pub finished: Counter,
    /// This process gave one up.
    pub failed: Counter,
    /// A step failed here, and will be tried again.
    pub failed_steps: Counter,
}

impl Counts {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("agentapi_jobs");
        registry.register("started", "Jobs that this process started", self.started.clone());
        registry.register("finished", "Jobs that this process finished", self.finished.clone());
        registry.register("failed", "Jobs that this process gave up", self.failed.clone());
        let help = "Steps of jobs that failed in this process and are tried again";
        registry.register("failed_steps", help, self.failed_steps.clone());
    }
}
