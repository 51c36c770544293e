//! The alert rules and the dashboard ask for what is really shown, and every alert is explained.

use super::promql::{self, Asked};
use super::{Exposition, everything};
use serde_json::Value;
use std::collections::BTreeSet;

const ALERTS: &str = include_str!("../../../deploy/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../../deploy/grafana/agentapi.json");
const EXPLAINED: &str = include_str!("../../../docs/alerts.md");

/// What Prometheus itself adds.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// What a rule says.
#[derive(Debug, Default)]
struct Rule {
    alert: String,
    expr: String,
    severity: String,
    summary: String,
    runbook: String,
}

/// The rules, of which each line is a member.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for line in ALERTS.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            rules.push(Rule { alert: alert.to_owned(), ..Rule::default() });
        }
        let (Some(rule), Some((member, value))) = (rules.last_mut(), line.split_once(": ")) else { continue };
        let value = value.trim_matches('\'').to_owned();
        match member {
            "expr" => rule.expr = value,
            "severity" => rule.severity = value,
            "summary" => rule.summary = value,
            "runbook_url" => rule.runbook = value,
            _ => {}
        }
    }
    rules
}

/// Every expression of the dashboard, with what Grafana puts into it.
fn dashboard() -> Vec<String> {
    fn look(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| look(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    look(&serde_json::from_str(DASHBOARD).expect("JSON"), &mut found);
    let filled = |text: String| text.replace("$__rate_interval", "5m").replace("$job", "j").replace("$instance", ".*");
    found.into_iter().map(filled).collect()
}

/// What an expression asks for that is not shown.
fn missing(asked: &Asked, shown: &Exposition) -> Vec<String> {
    let mut missing = Vec::new();
    let mut known: BTreeSet<&str> = BTreeSet::from(ADDED);
    for (name, chosen_by) in asked.metrics.iter().filter(|(name, _)| name != "up") {
        let samples: Vec<_> = shown.samples().filter(|(sample, _, _)| sample == name).collect();
        if samples.is_empty() {
            missing.push(name.clone());
        }
        known.extend(samples.iter().flat_map(|(_, labels, _)| labels.keys().map(String::as_str)));
        for (label, value) in chosen_by.iter().filter(|(label, _)| !ADDED.contains(&label.as_str())) {
            let is_shown = |labels: &super::exposition::Labels| {
                labels.get(label).is_some_and(|there| value.as_ref().is_none_or(|value| there == value))
            };
            if !samples.iter().any(|(_, labels, _)| is_shown(labels)) {
                missing.push(format!("{name}{{{label}={value:?}}}"));
            }
        }
    }
    missing.extend(asked.grouped_by.iter().filter(|label| !known.contains(label.as_str())).cloned());
    missing
}

#[tokio::test]
async fn every_expression_asks_for_what_a_running_server_shows() {
    let shown = everything().await;
    let (alerts, dashboard) = (rules(), dashboard());
    assert!(alerts.len() >= 12 && dashboard.len() >= 20, "{} {}", alerts.len(), dashboard.len());
    for text in alerts.iter().map(|rule| &rule.expr).chain(&dashboard) {
        let asked = promql::read(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(!asked.metrics.is_empty(), "{text}");
        // A Redis without a limit tells of none.
        let missing: Vec<_> =
            missing(&asked, &shown).into_iter().filter(|name| name != "agentapi_redis_memory_limit_bytes").collect();
        assert!(missing.is_empty(), "{missing:?} in {text}");
    }
    let asked =
        promql::read("sum by (tenant) (agentapi_gone{door=\"x\"} + agentapi_backend_commands_total{door=\"x\"})");
    let expected = [
        "agentapi_gone",
        "agentapi_gone{door=Some(\"x\")}",
        "agentapi_backend_commands_total{door=Some(\"x\")}",
        "tenant",
    ];
    assert_eq!(missing(&asked.expect("an expression"), &shown), expected);
}

#[test]
fn every_alert_says_how_bad_it_is_and_is_explained() {
    let rules = rules();
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.alert.as_str()).collect();
    for rule in &rules {
        assert!(["critical", "warning", "info"].contains(&rule.severity.as_str()), "{rule:?}");
        assert!(
            !rule.summary.is_empty() && rule.runbook.ends_with(&format!("#{}", rule.alert.to_lowercase())),
            "{rule:?}"
        );
        assert!(EXPLAINED.contains(&format!("\n### {}\n", rule.alert)), "{} is not explained", rule.alert);
    }
    for explained in EXPLAINED.lines().filter_map(|line| line.strip_prefix("### ")) {
        assert!(names.contains(explained), "{explained} is no alert");
    }
}
