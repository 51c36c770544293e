//! A document of flags and a context: whatever the rules are, they are refused, or give a variant of the flag or a failure.
#![no_main]

use agentapi::stores::flags::rules::{Arena, Context, Ruleset};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Map, Value};

const NOW: u64 = 1_700_000_000;

/// A document, or the rule of the only flag of one, and a context, with a zero byte between them.
fn read(data: &[u8]) -> Option<(Map<String, Value>, &str)> {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let document: Map<String, Value> = serde_json::from_slice(parts.next()?).ok()?;
    let context = std::str::from_utf8(parts.next()?).ok()?;
    if document.contains_key("flags") {
        return Some((document, context));
    }
    let flag = serde_json::json!({"state": "ENABLED", "variants": {"a": 1, "b": 2.5, "true": 3}, "targeting": document});
    let evaluators = serde_json::json!({"e": {"var": "a"}, "f": {"if": [{"$ref": "e"}, "b"]}});
    let document = serde_json::json!({"flags": {"flag": flag}, "$evaluators": evaluators});
    document.as_object().cloned().map(|document| (document, context))
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((document, context)) = read(data) else { return Corpus::Reject };
    let ruleset = match Ruleset::compile(&document) {
        Ok(ruleset) => ruleset,
        Err(faults) => {
            assert!((1..=100).contains(&faults.len()));
            assert!(faults.iter().all(|fault| fault.pointer.starts_with('/')));
            return Corpus::Keep;
        }
    };
    let arena = Arena::new();
    let context = Context::parse(context, &arena).unwrap_or_else(|_| Context::empty(&arena));
    for flag in ruleset.flags() {
        let explained = flag.explain(&context, NOW);
        match flag.evaluate(&context, NOW) {
            Ok(decision) => {
                let known = decision.variant.is_none_or(|variant| flag.variants().get(variant.index()) == Some(variant));
                assert!(known);
                assert_eq!(explained.variant.as_deref(), decision.variant.map(|variant| variant.name()));
                assert_eq!(explained.reason, Some(decision.reason));
            }
            Err(failure) => assert_eq!(explained.error_code, Some(failure.code())),
        }
        assert_eq!(ruleset.flag(flag.key()).map(|found| found.key()), Some(flag.key()));
    }
    Corpus::Keep
});
