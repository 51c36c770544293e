//! How checks ended, for Prometheus: by what and whose they are, never by tenant or key.

use super::types::{Check, Decision, Subject};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Allowed,
    Denied,
    /// It would have been denied if its policy did more than watch.
    ShadowDenied,
    /// By this process, while the backend could not be asked.
    ApproximatelyAllowed,
    ApproximatelyDenied,
    /// Because the backend could not be asked.
    Closed,
    /// From memory, without asking the backend.
    BlockedLocally,
}

const OUTCOMES: [(Outcome, &str); 7] = [
    (Outcome::Allowed, "allowed"),
    (Outcome::Denied, "denied"),
    (Outcome::ShadowDenied, "shadow_denied"),
    (Outcome::ApproximatelyAllowed, "approximately_allowed"),
    (Outcome::ApproximatelyDenied, "approximately_denied"),
    (Outcome::Closed, "closed"),
    (Outcome::BlockedLocally, "blocked_locally"),
];

/// Whose limits they are.
const SUBJECTS: [&str; 2] = ["named", "requests"];

#[derive(Debug, Default)]
pub(super) struct Counts([[AtomicU64; OUTCOMES.len()]; SUBJECTS.len()]);

impl Counts {
    pub(super) fn count(&self, outcome: Outcome, check: &Check) {
        let subject = usize::from(matches!(check.subject, Subject::Requests(_)));
        if let Some(count) = self.0.get(subject).and_then(|counts| counts.get(outcome as usize)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn count_all(&self, checks: &[Check], decisions: &[Decision], is_approximate: bool) {
        for (check, decision) in checks.iter().zip(decisions) {
            let outcome = match (is_approximate, decision.allowed, check.shadow) {
                (false, true, _) => Outcome::Allowed,
                (false, false, false) => Outcome::Denied,
                (false, false, true) => Outcome::ShadowDenied,
                (true, false, false) => Outcome::ApproximatelyDenied,
                (true, _, _) => Outcome::ApproximatelyAllowed,
            };
            self.count(outcome, check);
        }
    }

    pub(super) fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(Shown(self.clone())));
    }
}

#[derive(Debug)]
struct Shown(Arc<Counts>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kind = ConstCounter::new(0_u64).metric_type();
        let help = "Checks of limits by how they ended; those of the server's own limit are of requests";
        let mut checks = encoder.encode_descriptor("agentapi_rate_limit_checks", help, None, kind)?;
        for (subject, counts) in SUBJECTS.iter().zip(&self.0.0) {
            for ((_, outcome), count) in OUTCOMES.iter().zip(counts) {
                let labels = [("limit", *subject), ("outcome", *outcome)];
                ConstCounter::new(count.load(Relaxed)).encode(checks.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
