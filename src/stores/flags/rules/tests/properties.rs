//! What holds for any document, any rule and any context.

use super::*;
use proptest::prelude::*;

fn scalar() -> impl Strategy<Value = Value> {
    let words = prop_oneof![
        Just("red"),
        Just("blue"),
        Just("a"),
        Just("a.b"),
        Just(""),
        Just("1.2.3"),
        Just("="),
        Just("targetingKey"),
        Just("$flagd.timestamp"),
        Just("$flagd.flagKey"),
        Just("current"),
        Just("accumulator"),
        Just("0"),
        Just("1")
    ];
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-3_i64..9).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        4 => words.prop_map(Value::from),
        1 => "\\PC{0,6}".prop_map(Value::from),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 48, 5, |inner| {
        let name = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("$flagd".to_owned()), "\\PC{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..5).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Rules that are mostly good: operators with about as many arguments as they take.
fn any_rule() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "var",
        "missing",
        "missing_some",
        "if",
        "?:",
        "and",
        "or",
        "!",
        "!!",
        "==",
        "!=",
        "===",
        "!==",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "*",
        "-",
        "/",
        "%",
        "max",
        "min",
        "in",
        "merge",
        "cat",
        "substr",
        "map",
        "filter",
        "all",
        "none",
        "some",
        "reduce",
        "starts_with",
        "ends_with",
        "sem_ver",
        "$ref",
    ];
    scalar().prop_recursive(5, 64, 4, |inner| {
        let weight = prop_oneof![Just(Value::from(1)), (0_u32..100).prop_map(Value::from), inner.clone()];
        let pair = (inner.clone(), weight).prop_map(|(variant, weight)| json!([variant, weight]));
        prop_oneof![
            8 => (prop::sample::select(NAMES), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(name, arguments)| json!({name: arguments})),
            1 => (inner.clone(), prop::collection::vec(pair.clone(), 1..4)).prop_map(|(first, pairs)| {
                json!({"fractional": std::iter::once(first).chain(pairs).collect::<Vec<_>>()})
            }),
            1 => prop::collection::vec(pair, 1..4).prop_map(|pairs| json!({"fractional": pairs})),
            1 => (prop::sample::select(NAMES), inner).prop_map(|(name, one)| json!({name: one})),
        ]
    })
}

fn any_context() -> impl Strategy<Value = Value> {
    prop::collection::vec((prop_oneof![Just("a"), Just("b"), Just("targetingKey"), Just("$flagd")], any_json()), 0..6)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// As far as a rule is good, it is evaluated and explained, and the two agree.
fn decide(rule: &Value, context: &Value) -> bool {
    let mut document = document(rule);
    document["$evaluators"] = json!({"red": {"var": "a"}, "blue": {"!": {"$ref": "red"}}});
    let Ok(ruleset) = compile(document) else { return false };
    let (flag, arena) = (ruleset.flag(KEY).unwrap(), Arena::new());
    decided(&ruleset, context);
    let context = Context::parse(&context.to_string(), &arena).unwrap();
    let explained = flag.explain(&context, NOW);
    match flag.evaluate(&context, NOW) {
        Ok(decision) => {
            let variant = decision.variant.expect("red by default");
            assert_eq!(flag.variants().get(variant.index()), Some(variant));
            assert_eq!((explained.variant.as_deref(), explained.reason), (Some(variant.name()), Some(decision.reason)));
            if let Some(step) = explained.path.last().filter(|_| !explained.cut) {
                let named = match &step.result {
                    Value::Null => "red".to_owned(),
                    Value::String(name) => name.clone(),
                    other => other.to_string(),
                };
                assert_eq!(named, variant.name(), "{rule}: {}", step.pointer);
            }
        }
        Err(failure) => assert_eq!(explained.error_code, Some(failure.code())),
    }
    true
}

#[test]
fn most_random_rules_are_good_ones() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let good =
        (0..400).filter(|_| decide(&any_rule().new_tree(&mut runner).unwrap().current(), &json!({"a": 1}))).count();
    assert!(good > 40, "{good}");
}

proptest! {
    #[test]
    fn no_document_makes_the_compiler_fail(document in any_json()) {
        if let Value::Object(document) = &document {
            drop(Ruleset::compile(document));
        }
        drop(compile(json!({"flags": {"f": document}})));
        drop(compile(json!({"flags": document, "$evaluators": document, "metadata": document})));
    }

    #[test]
    fn a_rule_gives_a_known_variant_or_a_failure_and_its_explanation_agrees(
        rule in any_rule(),
        context in any_context(),
    ) {
        decide(&rule, &context);
        decide(&json!({"if": [rule, "blue", "green"]}), &context);
        decide(&json!({"if": [true, rule]}), &context);
    }

    #[test]
    fn no_text_makes_the_reader_of_contexts_fail(text in "\\PC{0,80}|[\\[\\]{}\",:0-9a-e\\\\. -]{0,80}") {
        let arena = Arena::new();
        let read = Context::parse(&text, &arena).is_ok();
        let object = serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object());
        prop_assert_eq!(read, object);
    }

    #[test]
    fn a_weight_that_grows_at_the_front_only_adds_people(
        who in "\\PC{1,12}",
        weights in prop::collection::vec(0_u32..1000, 1..5),
        more in 0_u32..1000,
    ) {
        // The others shrink by what the first one grows, as in a rollout by percentages.
        let total: u32 = weights.iter().sum::<u32>() + 1000;
        let first = weights[0];
        let grown = first.saturating_add(more).min(total);
        let split = |first: u32| {
            let rule = json!({"fractional": [["blue", first], ["green", total - first]]});
            decided(&colours(&rule), &json!({"targetingKey": who}))
        };
        if split(first) == "blue TARGETING_MATCH" {
            prop_assert_eq!(split(grown), "blue TARGETING_MATCH");
        }
    }

}

proptest! {
    // Each case is two thousand evaluations.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn variants_get_about_their_share(seed in "[a-z]{4,12}") {
        let ruleset = colours(&json!({"fractional": [["blue", 10], ["green", 90]]}));
        let people = (0..2_000).map(|at| json!({"targetingKey": format!("{seed}{at}")}));
        let blue = people.filter(|who| decided(&ruleset, who).starts_with("blue")).count();
        prop_assert!((130..=270).contains(&blue), "{} of 2000", blue);
    }
}
