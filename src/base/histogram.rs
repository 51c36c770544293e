//! A histogram that many threads fill without a lock: a count per bucket, and the sum. What is observed costs two additions.

use super::sum::{Part, Sum};
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};
use std::sync::Arc;
use std::time::Duration;

/// Nanoseconds are counted, and seconds are shown.
const NANOSECOND: f64 = 1e-9;

/// How many values there were up to each bound; clones share it.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The upper bounds in the unit that is shown, ascending.
    bounds: &'static [f64],
    /// The same in the unit that is counted.
    limits: Box<[u64]>,
    /// The unit that is counted, in the one that is shown.
    unit: f64,
    /// Of each bound, and of what lies above all.
    counts: Box<[Sum]>,
    sum: Sum,
}

/// What one thread observes, without an atomic operation; see [`Histogram::part`].
#[derive(Debug)]
pub struct HistogramPart {
    whole: Histogram,
    counts: Box<[Part]>,
    sum: Part,
}

impl Histogram {
    /// Of durations; `bounds` are in seconds.
    pub fn of_seconds(bounds: &'static [f64]) -> Histogram {
        Histogram::new(bounds, NANOSECOND)
    }

    /// Of numbers of things.
    pub fn of_counts(bounds: &'static [f64]) -> Histogram {
        Histogram::new(bounds, 1.0)
    }

    fn new(bounds: &'static [f64], unit: f64) -> Histogram {
        let counts = (0..=bounds.len()).map(|_| Sum::default()).collect();
        let limits = bounds.iter().map(|bound| (bound / unit).round() as u64).collect();
        Histogram(Arc::new(Inner { bounds, limits, unit, counts, sum: Sum::default() }))
    }

    /// A part for one thread, as of a [`Sum`].
    pub fn part(&self) -> HistogramPart {
        let Inner { counts, sum, .. } = &*self.0;
        HistogramPart { whole: self.clone(), counts: counts.iter().map(Sum::part).collect(), sum: sum.part() }
    }

    /// Something took this long.
    pub fn time(&self, took: Duration) {
        self.observe(nanos(took));
    }

    /// There were so many.
    pub fn count(&self, number: usize) {
        self.observe(number as u64);
    }

    fn observe(&self, value: u64) {
        if let Some(count) = self.0.counts.get(self.bucket(value)) {
            count.add(1);
        }
        self.0.sum.add(value);
    }

    fn bucket(&self, value: u64) -> usize {
        self.0.limits.partition_point(|limit| *limit < value)
    }
}

impl HistogramPart {
    /// Something took this long.
    pub fn time(&self, took: Duration) {
        let value = nanos(took);
        if let Some(count) = self.counts.get(self.whole.bucket(value)) {
            count.add(1);
        }
        self.sum.add(value);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Inner { bounds, unit, counts, sum, .. } = &*self.0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().map(Sum::get)).collect();
        // Added up from what is shown, so that it is what the last bucket says whatever is observed meanwhile.
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(sum.get() as f64 * unit, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::{Registry, Unit};

    #[test]
    fn a_value_on_a_bound_belongs_below_it_and_the_last_bucket_has_all() {
        let histogram = Histogram::of_seconds(&[0.005, 0.01, 1.0]);
        for micros in [1, 5_001, 90_000_000] {
            histogram.time(Duration::from_micros(micros));
        }
        for micros in [5_000, 10_000, 1_000_000] {
            histogram.part().time(Duration::from_micros(micros));
        }
        let mut registry = Registry::default();
        registry.register_with_unit("h", "Help", Unit::Seconds, histogram);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for (bound, count) in [("0.005", 2), ("0.01", 4), ("1.0", 5), ("+Inf", 6)] {
            assert!(text.contains(&format!("h_seconds_bucket{{le=\"{bound}\"}} {count}\n")), "{text}");
        }
        assert!(text.contains("h_seconds_count 6\n") && text.contains("h_seconds_sum 91.0200"), "{text}");
    }
}
