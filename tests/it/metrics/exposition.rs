//! A reader of the classic text format that believes nothing: every line must be of its form, every sample described,
//! every histogram whole.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

/// A metric.
#[derive(Debug, Default, Clone)]
pub struct Described {
    pub kind: String,
    pub help: String,
    /// Of each name of a sample (`_bucket` and so on): its labels and its value.
    pub samples: Vec<(String, Labels, f64)>,
}

/// All that is shown.
#[derive(Debug, Default)]
pub struct Exposition(pub BTreeMap<String, Described>);

impl Exposition {
    pub fn read(text: &str) -> Exposition {
        let mut all: BTreeMap<String, Described> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(
                    all.insert(name.to_owned(), Described { help: help.to_owned(), ..Described::default() }).is_none()
                );
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
                assert!(["counter", "gauge", "histogram", "untyped"].contains(&kind), "{line}");
                all.get_mut(name).unwrap_or_else(|| panic!("no help before {line}")).kind = kind.to_owned();
            } else {
                assert!(seen.insert(line.rsplit_once(' ').expect("a value").0.to_owned()), "twice: {line}");
                let (name, labels, value) = sample(line);
                let metric = all.get_mut(described_as(&name)).or(None);
                let metric = match metric {
                    Some(metric) if metric.kind == "histogram" => metric,
                    _ => all.get_mut(&name).unwrap_or_else(|| panic!("not described: {line}")),
                };
                assert!(value >= 0.0 && value.is_finite(), "{line}");
                metric.samples.push((name, labels, value));
            }
        }
        for (name, metric) in &all {
            assert!(metric.kind != "counter" || name.ends_with("_total"), "{name}");
            assert!(!metric.help.is_empty(), "{name}");
            if metric.kind == "histogram" {
                metric.is_whole(name);
            }
        }
        Exposition(all)
    }

    /// The names and labels of all samples.
    pub fn samples(&self) -> impl Iterator<Item = &(String, Labels, f64)> {
        self.0.values().flat_map(|metric| &metric.samples)
    }

    /// The sum of the samples of this name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |(label, value): &(&str, &str), of: &Labels| of.get(*label).is_some_and(|there| there == value);
        let samples =
            self.samples().filter(|(known, of, _)| known == name && labels.iter().all(|label| has(label, of)));
        samples.map(|(_, _, value)| value).sum()
    }

    /// Adds what another application shows.
    pub fn add(&mut self, other: Exposition) {
        for (name, metric) in other.0 {
            let known = self.0.entry(name).or_insert_with(|| Described { samples: Vec::new(), ..metric.clone() });
            known.samples.extend(metric.samples);
        }
    }
}

impl Described {
    /// The names of its labels, but for the bound of a bucket.
    pub fn labels(&self) -> BTreeSet<&str> {
        let names = self.samples.iter().flat_map(|(_, labels, _)| labels.keys());
        names.map(String::as_str).filter(|name| *name != "le").collect()
    }

    /// Buckets grow, end with all, and agree with the count.
    fn is_whole(&self, name: &str) {
        let mut buckets: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
        for (sample, labels, value) in &self.samples {
            let mut labels = labels.clone();
            let bound = labels.remove("le");
            match sample.strip_prefix(name).expect("its name") {
                "_bucket" => {
                    assert!(bound.is_some(), "{name}");
                    buckets.entry(labels).or_default().push(*value);
                }
                "_count" | "_sum" => {}
                other => panic!("{name}{other}"),
            }
        }
        for (labels, counts) in buckets {
            assert!(counts.is_sorted(), "{name}{labels:?} {counts:?}");
            let count = self.samples.iter().find(|(sample, of, _)| sample.ends_with("_count") && *of == labels);
            assert_eq!(count.map(|(_, _, value)| value), counts.last(), "{name}{labels:?}");
        }
    }
}

/// The metric that a sample of a histogram belongs to.
fn described_as(name: &str) -> &str {
    ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let (name, labels) = series.split_once('{').map_or((series, None), |(name, labels)| (name, Some(labels)));
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    assert!(is_name(name), "{line}");
    let mut found = Labels::new();
    let mut rest = labels.map_or("", |labels| labels.strip_suffix('}').unwrap_or_else(|| panic!("no end: {line}")));
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("no value of {label}: {line}"));
        assert!(is_name(label) && !value.contains('\\'), "{line}");
        assert!(found.insert(label.to_owned(), value.to_owned()).is_none(), "twice {label}: {line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name.to_owned(), found, value)
}
