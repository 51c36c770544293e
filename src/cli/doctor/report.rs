//! What is told: for people, and for machines.

use super::findings::Finding;
use super::ways::Way;
use crate::base::env::SetVariable;
use reqwest::Url;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Everything that was found.
pub(super) struct Report {
    configured: Vec<(&'static str, String)>,
    mistakes: Vec<String>,
    ways: Vec<Way>,
    findings: Vec<Finding>,
}

/// A variable's value as it may be shown: of a secret that is a URL, where it leads; of another, that it is there.
fn shown(variable: SetVariable) -> (&'static str, String) {
    let value = match variable {
        SetVariable { value: Ok(value), .. } => value,
        SetVariable { value: Err(secret), .. } => place(secret.expose()).unwrap_or_else(|| "(set)".to_owned()),
    };
    (variable.name, value)
}

fn place(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme().starts_with("redis"))?;
    let host = url.host_str()?;
    let credentials = if url.password().is_some() || !url.username().is_empty() { "***@" } else { "" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{credentials}{host}{port}{}", url.scheme(), url.path()))
}

impl Report {
    pub(super) fn new(configured: Vec<SetVariable>, ways: Vec<Way>, mut findings: Vec<Finding>) -> Report {
        findings.sort_by_key(Finding::rank);
        Report { configured: configured.into_iter().map(shown).collect(), mistakes: Vec::new(), ways, findings }
    }

    pub(super) fn of_mistakes(configured: Vec<SetVariable>, mistakes: Vec<String>) -> Report {
        // A value that is not understood may be a secret in the wrong place.
        let wrong = |name: &str| mistakes.iter().any(|mistake| mistake.contains(name));
        let configured = configured.into_iter().map(shown);
        let configured =
            configured.map(|(name, value)| (name, if wrong(name) { "(not valid)".to_owned() } else { value }));
        Report { configured: configured.collect(), mistakes, ways: Vec::new(), findings: Vec::new() }
    }

    /// Whether nothing must be mended.
    pub(super) fn is_healthy(&self) -> bool {
        self.mistakes.is_empty() && self.findings.iter().all(|finding| finding.level != "critical")
    }

    pub(super) fn json(&self) -> Value {
        let configured: Map<String, Value> =
            self.configured.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let way = |way: &Way| json!({"name": way.name, "answers": way.answers, "diagnosis": way.diagnosis});
        json!({
            "healthy": self.is_healthy(),
            "version": env!("CARGO_PKG_VERSION"),
            "configured": configured,
            "mistakes": self.mistakes,
            "ways": self.ways.iter().map(way).collect::<Vec<_>>(),
            "findings": self.findings,
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("AgentAPI {}\n\nConfigured\n", env!("CARGO_PKG_VERSION"));
        let mut line = |words: String| {
            let written = writeln!(text, "{words}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        };
        if self.configured.is_empty() {
            line("  nothing: every variable has its default".to_owned());
        }
        let width = self.configured.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        self.configured.iter().for_each(|(name, value)| line(format!("  {name:<width$}  {value}")));
        if !self.mistakes.is_empty() {
            line("\nMistakes: nothing works until these are mended".to_owned());
            self.mistakes.iter().for_each(|mistake| line(format!("  {mistake}")));
            return text;
        }
        line("\nBackend".to_owned());
        for way in &self.ways {
            let said = if way.answers { format!("answers: {}", way.diagnosis.summary()) } else { "fails".to_owned() };
            line(format!("  {:<7} {said}", way.name));
        }
        line(match self.findings.as_slice() {
            [] => "\nNothing to mend".to_owned(),
            _ if self.is_healthy() => "\nNothing must be mended; to know:".to_owned(),
            _ => "\nTo mend, in this order".to_owned(),
        });
        for (at, finding) in self.findings.iter().enumerate() {
            let way = finding.way.map(|way| format!(" ({way})")).unwrap_or_default();
            line(format!("  {}. {} {}{way}: {}", at + 1, finding.level, finding.code, finding.detail));
            line(format!("     {}", finding.mend));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_its_place_is_shown_and_nothing_that_opens_it() {
        assert_eq!(place("rediss://u:canary@h:7000/3?x=canary").as_deref(), Some("rediss://***@h:7000/3"));
        assert_eq!(place("redis://:canary@h").as_deref(), Some("redis://***@h"));
        assert_eq!(place("redis://localhost:6379/0").as_deref(), Some("redis://localhost:6379/0"));
        assert_eq!(place("canary"), None);
        assert_eq!(place("https://canary"), None);
    }
}
