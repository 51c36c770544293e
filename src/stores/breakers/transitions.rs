//! The one place that every change of state passes: it is counted here, and whoever wants to hear of it (the event
//! stream) is told here.

use super::types::{State, Transition};
use crate::base::text::{Name, TenantId};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

type Listener = dyn Fn(&TenantId, &Name, Transition) + Send + Sync;

/// Counts changes of state, and passes them on.
#[derive(Default)]
pub struct Transitions {
    changes: Family<[(&'static str, &'static str); 1], Counter>,
    listener: Option<Box<Listener>>,
}

impl Transitions {
    /// Passes every change on to `listener`, which must not wait.
    pub fn heard_by(listener: impl Fn(&TenantId, &Name, Transition) + Send + Sync + 'static) -> Transitions {
        Transitions { listener: Some(Box::new(listener)), ..Transitions::default() }
    }

    /// Registers the count, at zero for each state.
    pub fn register(&self, registry: &mut Registry) {
        for state in State::ALL {
            drop(self.changes.get_or_create(&[("to", state.as_str())]));
        }
        let help = "Changes of circuit breakers that this server made, by the new state";
        registry.register("agentapi_breaker_transitions", help, self.changes.clone());
    }

    /// A breaker has changed its state, and it was this process that changed it.
    pub fn announce(&self, tenant: &TenantId, name: &Name, transition: Transition) {
        self.changes.get_or_create(&[("to", transition.to.as_str())]).inc();
        if let Some(listener) = &self.listener {
            listener(tenant, name, transition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_change_is_counted_by_the_new_state_and_passed_on() {
        let heard = Arc::new(AtomicUsize::new(0));
        let counted = heard.clone();
        let transitions = Transitions::heard_by(move |_, _, _| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let mut registry = Registry::default();
        transitions.register(&mut registry);
        let (tenant, name) = (TenantId::parse("acme").unwrap(), Name::parse("b").unwrap());
        transitions.announce(&tenant, &name, Transition { from: State::Closed, to: State::Open });
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("agentapi_breaker_transitions_total{to=\"open\"} 1"), "{text}");
        assert!(text.contains("agentapi_breaker_transitions_total{to=\"disabled\"} 0"), "{text}");
        assert_eq!(heard.load(Ordering::Relaxed), 1);
    }
}
