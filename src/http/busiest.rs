//! Requests by tenant, for those who ask for it (`METRICS_TENANTS=top:20`): of the busiest by name, of all others as one.
//! However many tenants there are, what is kept of them is bounded: a space-saving sketch of a few times as many as are
//! shown, in which who is new takes the place of who asked least.
//!
//! Each request is counted in one series, that of its tenant if it is shown at that moment: so none of them ever goes
//! back, and together they grow by what was asked, whoever comes and goes among the busiest.

use crate::base::text::TenantId;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::Arc;

/// All others; no tenant has this name, for none has a `_`.
const OTHER: &str = "_other";
/// So many times as many are watched as are shown.
const WATCHED: usize = 4;
/// After so many requests, what was before counts half: the busiest are those of late.
const HALVED_AFTER: u64 = 1 << 20;

/// Who asks most.
#[derive(Debug)]
pub struct Busiest {
    most: usize,
    watched: Mutex<Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    tenants: HashMap<TenantId, Counts>,
    shown: usize,
    other: u64,
    since_halved: u64,
}

#[derive(Debug)]
struct Counts {
    /// As the sketch has it: never too low, of those that are watched.
    estimate: u64,
    /// What was counted while it is shown, and how much of that was told; nothing while it is not shown.
    shown: Option<Series>,
}

#[derive(Debug, Default)]
struct Series {
    count: u64,
    told: u64,
}

impl Busiest {
    /// Shows so many.
    pub fn new(most: usize) -> Busiest {
        Busiest { most, watched: Mutex::default() }
    }

    /// Registers them.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(Shown(self.clone())));
    }

    /// A tenant asked.
    pub(super) fn count(&self, tenant: &TenantId) {
        let mut watched = self.watched.lock();
        watched.since_halved += 1;
        if let Some(counts) = watched.tenants.get_mut(tenant) {
            counts.estimate += 1;
            match &mut counts.shown {
                Some(series) => series.count += 1,
                None => watched.other += 1,
            }
            return;
        }
        let mut estimate = 1;
        if watched.tenants.len() >= self.most * WATCHED {
            let hidden = watched.tenants.iter().filter(|(_, counts)| counts.shown.is_none());
            let least = hidden.min_by_key(|(_, counts)| counts.estimate);
            let Some((id, least)) = least.map(|(id, counts)| (id.clone(), counts.estimate)) else { return };
            watched.tenants.remove(&id);
            estimate += least;
        }
        let is_shown = watched.shown < self.most;
        if is_shown {
            watched.shown += 1;
        } else {
            watched.other += 1;
        }
        let shown = is_shown.then_some(Series { count: 1, told: 0 });
        watched.tenants.insert(tenant.clone(), Counts { estimate, shown });
    }
}

impl Watched {
    /// Shows the busiest, and hides who no longer is one of them.
    fn choose(&mut self, most: usize) {
        let mut by_estimate: Vec<(u64, &mut Counts)> =
            self.tenants.values_mut().map(|counts| (counts.estimate, counts)).collect();
        // Of equals those that are shown stay.
        by_estimate.sort_by_key(|(estimate, counts)| std::cmp::Reverse((*estimate, counts.shown.is_some())));
        for (place, (_, counts)) in by_estimate.into_iter().enumerate() {
            if place < most {
                counts.shown.get_or_insert_default();
            } else if let Some(series) = counts.shown.take() {
                // Nobody will see these under its name.
                self.other += series.count - series.told;
            }
        }
        self.shown = self.tenants.len().min(most);
        if self.since_halved >= HALVED_AFTER {
            self.since_halved = 0;
            self.tenants.values_mut().for_each(|counts| counts.estimate /= 2);
        }
    }
}

#[derive(Debug)]
struct Shown(Arc<Busiest>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut watched = self.0.watched.lock();
        watched.choose(self.0.most);
        let help = "Requests with a key of each of the busiest tenants, and of all others";
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut requests = encoder.encode_descriptor("agentapi_tenant_requests", help, None, kind)?;
        for (id, counts) in &mut watched.tenants {
            if let Some(series) = &mut counts.shown {
                series.told = series.count;
                ConstCounter::new(series.count).encode(requests.encode_family(&[("tenant", id.as_str())])?)?;
            }
        }
        ConstCounter::new(watched.other).encode(requests.encode_family(&[("tenant", OTHER)])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn shown(registry: &Registry) -> BTreeMap<String, u64> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("agentapi_tenant_requests_total{tenant=\""));
        lines.map(|line| line.split_once("\"} ").unwrap()).map(|(id, n)| (id.to_owned(), n.parse().unwrap())).collect()
    }

    fn busiest(most: usize) -> (Arc<Busiest>, Registry) {
        let (busiest, mut registry) = (Arc::new(Busiest::new(most)), Registry::default());
        busiest.register(&mut registry);
        (busiest, registry)
    }

    fn tenant(name: impl std::fmt::Display) -> TenantId {
        TenantId::parse(&format!("t-{name}")).unwrap()
    }

    #[test]
    fn the_busiest_are_found_among_very_many_and_what_is_kept_stays_small() {
        let (busiest, registry) = busiest(3);
        for round in 0..20_000 {
            busiest.count(&tenant(format!("stranger-{round}")));
            busiest.count(&tenant(format!("busy-{}", round % 3)));
        }
        shown(&registry);
        for _ in 0..10 {
            (0..3).for_each(|busy| busiest.count(&tenant(format!("busy-{busy}"))));
        }
        let counts = shown(&registry);
        let names: Vec<&str> = counts.keys().map(String::as_str).collect();
        assert_eq!(names, ["_other", "t-busy-0", "t-busy-1", "t-busy-2"], "{counts:?}");
        assert!(busiest.watched.lock().tenants.len() <= 12);
    }

    #[test]
    fn every_request_is_counted_in_one_series_and_none_goes_back() {
        let (busiest, registry) = busiest(2);
        let (mut asked, mut before) = (0, BTreeMap::<String, u64>::new());
        let mut increases = 0;
        for round in 0..50_u64 {
            for number in 0..40_u64 {
                // Who is busy changes all the time.
                busiest.count(&tenant((number * number + round / 10) % 11));
                asked += 1;
            }
            let now = shown(&registry);
            assert!(now.len() <= 3, "{now:?}");
            for (name, count) in &now {
                let known = before.get(name).copied().unwrap_or(0);
                assert!(*count >= known, "{name} went back from {known} to {count}");
                increases += count - known;
            }
            before = now;
        }
        assert_eq!(increases, asked);
    }
}
