//! Evaluation contexts: what is read is a JSON object, and rules that look everywhere in it come to an end. Of a body of
//! which only some members are read, all is JSON nonetheless.
#![no_main]

use agentapi::stores::flags::rules::{Arena, Context, Ruleset};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::LazyLock;

/// Flags of which each looks in another way at whatever there is.
static RULESET: LazyLock<Ruleset> = LazyLock::new(|| {
    let rules = serde_json::json!([
        {"var": "a"}, {"var": {"var": "a"}}, {"cat": [{"var": ""}, {"var": "a"}, {"var": "a.0"}]}, {"+": [{"var": "a"}, 1]},
        {"==": [{"var": "a"}, {"var": "b"}]}, {"<": [{"var": "a"}, {"var": "b"}]}, {"in": [{"var": "a"}, {"var": "b"}]},
        {"map": [{"var": "a"}, {"map": [{"var": ""}, {"cat": [{"var": ""}]}]}]}, {"missing": {"var": "a"}},
        {"reduce": [{"var": "a"}, {"merge": [{"var": "accumulator"}, {"var": "current"}]}, {"var": "b"}]},
        {"substr": [{"var": "a"}, {"var": "b"}, {"var": "c"}]}, {"sem_ver": [{"var": "a"}, {"var": "b"}, {"var": "c"}]},
        {"fractional": [{"var": "a"}, ["v", {"var": "b"}], ["v", {"var": "c"}]]}, {"fractional": [["v", 1]]},
        {"starts_with": [{"var": "a"}, {"var": "b"}]}, {"max": [{"var": "a"}, {"var": "b"}]},
    ]);
    let flag = |rule| serde_json::json!({"state": "ENABLED", "variants": {"v": 1}, "targeting": rule});
    let rules = rules.as_array().expect("a list").iter().enumerate();
    let flags: serde_json::Map<_, _> = rules.map(|(at, rule)| (at.to_string(), flag(rule))).collect();
    let document = serde_json::json!({"flags": flags});
    Ruleset::compile(document.as_object().expect("an object")).expect("good rules")
});

/// What is read of a body, where that is not all.
static WANTED: LazyLock<[Box<str>; 2]> = LazyLock::new(|| ["a".into(), "targetingKey".into()]);

thread_local! {
    static ARENA: RefCell<Arena> = RefCell::new(Arena::new());
}

fuzz_target!(|text: &str| {
    ARENA.with_borrow_mut(|arena| {
        let context = Context::parse(text, arena);
        let json = serde_json::from_str::<serde_json::Value>(text);
        match &context {
            Ok(context) => {
                assert!(json.is_ok_and(|json| json.is_object()));
                for flag in RULESET.flags() {
                    if let Ok(decision) = flag.evaluate(context, 1_700_000_000) {
                        assert!(decision.variant.is_none_or(|variant| variant.name() == "v"));
                    }
                }
            }
            Err(fault) => assert!(!fault.to_string().is_empty()),
        }
        drop(context);
        if Context::within(text.as_bytes(), Some(&*WANTED), arena).is_some() {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok_and(|body| body.get().starts_with('{')));
        }
        arena.reset();
    });
});
