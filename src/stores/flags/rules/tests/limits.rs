//! What a rule may cost, whatever the context.

use super::*;

/// A context of about a megabyte: an array of small numbers, one of texts, long texts, and perhaps an object of many
/// members, next to which every step is dear.
fn large(wide: bool) -> String {
    let members: Map<String, Value> = (0..12_000).map(|at| (format!("m{at}"), json!(at))).collect();
    let numbers: Vec<u8> = (0..100_000).map(|at| (at % 10) as u8).collect();
    let members = if wide { members } else { Map::new() };
    json!({"numbers": numbers, "texts": vec!["0123456789"; 10_000], "wide": members, "long": "7".repeat(400_000),
        "targetingKey": "x".repeat(100_000)})
    .to_string()
}

/// A rule many times over, as the operands of one that takes any number of them.
fn times(count: usize, operator: &str, rule: &Value) -> Value {
    json!({operator: vec![rule; count]})
}

#[test]
fn a_rule_that_would_keep_a_worker_busy_is_given_up() {
    let numbers = json!({"var": "numbers"});
    let each = |rule: Value| json!({"map": [numbers, rule]});
    let digits = json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let rules = [
        each(json!({"map": [digits, {"var": ""}]})),
        each(json!({"reduce": [{"merge": [digits]}, {"var": "current"}, 0]})),
        each(json!({"reduce": [[1], {"map": [digits, 1]}, 0]})),
        each(times(400, "merge", &json!(1))),
        each(times(60, "+", &json!({"var": ""}))),
        json!({"filter": [numbers, {"some": [digits, {"==": [{"var": ""}, 11]}]}]}),
        json!({"reduce": [numbers, {"merge": [{"var": "accumulator"}, {"var": "current"}]}, []]}),
        json!({"reduce": [numbers, {"cat": [{"var": "accumulator"}, {"var": "current"}]}, ""]}),
        json!({"map": [vec![&numbers; 6], {"map": [{"var": ""}, 1]}]}),
        times(3_000, "cat", &json!({"var": "long"})),
        times(3_000, "merge", &numbers),
        times(3_000, "merge", &json!({"filter": [numbers, true]})),
        times(3_000, "merge", &json!({"in": ["x", {"var": "long"}]})),
        times(3_000, "merge", &json!({"in": ["x", {"var": "texts"}]})),
        times(3_000, "merge", &json!({"==": [{"var": "long"}, {"var": "long"}]})),
        times(3_000, "merge", &json!({"<": [{"var": "long"}, {"var": "long"}]})),
        times(3_000, "+", &json!({"var": "long"})),
        times(3_000, "+", &numbers),
        times(3_000, "merge", &json!({"substr": [{"var": "long"}, -1]})),
        times(3_000, "merge", &json!({"missing": {"var": "texts"}})),
        times(3_000, "merge", &json!({"var": {"var": "long"}})),
        times(1_500, "merge", &json!({"sem_ver": [{"var": "long"}, "=", "1.0.0"]})),
        times(2_000, "merge", &json!({"fractional": [["a", 1]]})),
        times(2_000, "merge", &json!({"starts_with": [{"var": "long"}, {"var": "long"}]})),
    ];
    let data = large(false);
    for rule in &rules {
        let arena = Arena::new();
        let ruleset = colours(&json!({"if": [rule, "blue", "blue"]}));
        let context = Context::parse(&data, &arena).unwrap();
        let outcome = ruleset.flag(KEY).unwrap().evaluate(&context, NOW);
        let shown: String = rule.to_string().chars().take(120).collect();
        assert_eq!(outcome, Err(Failure::General(meter::SPENT.into())), "{shown}");
        assert!(arena.held() < 32 << 20, "{shown} took {} bytes", arena.held());
    }
}

#[test]
fn absent_members_of_wide_objects_are_paid_for() {
    let each = json!({"all": [{"var": "numbers"}, {"!": {"var": "wide.absent"}}]});
    let often = times(3_000, "merge", &json!({"var": "wide.absent"}));
    for rule in [each, often] {
        let ruleset = colours(&json!({"if": [rule, "blue", "green"]}));
        let decided = |wide| decided(&ruleset, &serde_json::from_str(&large(wide)).unwrap());
        assert_eq!((decided(false).as_str(), decided(true).as_str()), ("blue TARGETING_MATCH", "GENERAL"));
    }
}

#[test]
fn a_pass_over_an_array_of_an_element_for_each_byte_is_too_much_and_one_of_thousands_is_not() {
    let ruleset = colours(&json!({"if": [{"some": [{"var": "l"}, {"==": [{"var": "x"}, 7]}]}, "blue", "green"]}));
    let mut elements = vec![json!({"x": 1}); 20_000];
    elements.push(json!({"x": 7}));
    assert_eq!(decided(&ruleset, &json!({"l": elements})), "blue TARGETING_MATCH");
    let nested = json!({"if": [{"map": [{"var": "l"}, {"map": [{"var": "m"}, 1]}]}, "blue", "green"]});
    let element = json!({"m": vec![1; 2_000]});
    assert_eq!(decided(&colours(&nested), &json!({"l": vec![element; 200]})), "GENERAL");
}

#[test]
fn each_evaluation_has_a_budget_of_its_own() {
    let ruleset = colours(&json!({"if": [{"all": [{"var": "l"}, {">": [{"var": ""}, 0]}]}, "blue", "green"]}));
    let arena = Arena::new();
    let context = Context::parse(&json!({"l": vec![1; 50_000]}).to_string(), &arena).unwrap();
    for _ in 0..10 {
        assert_eq!(told(ruleset.flag(KEY).unwrap(), &context), "blue TARGETING_MATCH");
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({"var": "a"}), |rule, _| json!({"!": [rule]}))
}

#[test]
fn the_deepest_rule_is_evaluated_and_a_deeper_one_refused() {
    let deepest = json!({"if": [nested(63), "blue", "green"]});
    assert_eq!(decided(&colours(&deepest), &json!({"a": 1})), "green TARGETING_MATCH");
    let maps = (0..63).fold(json!({"var": ""}), |rule, _| json!({"map": [{"var": "a"}, rule]}));
    assert_eq!(decided(&colours(&maps), &json!({})), "GENERAL");
    for deeper in [json!({"if": [nested(64), "blue", "green"]}), json!({"if": [nested(300), "blue", "green"]})] {
        let faults = compile(document(&deeper)).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].detail.contains("deeper than 64"), "{faults:?}");
    }
}

#[test]
fn references_that_double_are_refused_before_they_are_resolved() {
    let mut evaluators = Map::new();
    evaluators.insert("e0".to_owned(), json!({"var": "a"}));
    for at in 1..20 {
        let before = format!("e{}", at - 1);
        evaluators.insert(format!("e{at}"), json!({"and": [{"$ref": before}, {"$ref": before}]}));
    }
    let mut document = document(&json!({"if": [{"$ref": "e14"}, "blue"]}));
    document["$evaluators"] = Value::Object(evaluators);
    let faults = compile(document).unwrap_err();
    let place = format!("/flags/{KEY}/targeting/if/0/$ref");
    assert!(faults.iter().any(|fault| fault.pointer == place && fault.detail.contains("10000 nodes")), "{faults:?}");
}

#[test]
fn the_rules_of_a_document_are_bounded_together() {
    let operands: Vec<_> = (0..9_000).map(|at| json!(at)).collect();
    let flag = json!({"state": "ENABLED", "variants": {"a": 1}, "targeting": {"if": [{"$ref": "e"}, "a"]}});
    let flags = |count: usize| (0..count).map(|at| (format!("f{at:03}"), flag.clone())).collect::<Map<_, _>>();
    let document = |count: usize| json!({"flags": flags(count), "$evaluators": {"e": {"merge": operands}}});
    assert!(compile(document(27)).is_ok());
    let faults = compile(document(40)).unwrap_err();
    assert!(faults[0].pointer.starts_with("/flags/f027/targeting"), "{faults:?}");
    assert!(faults.len() <= 100);
}

#[test]
fn a_long_text_counts_each_time_that_a_reference_puts_it_in_place() {
    let flag =
        json!({"state": "ENABLED", "variants": {"a": 1, "b": 2}, "targeting": {"if": [{"$ref": "e"}, "a", "b"]}});
    let document = |flags: usize| {
        let flags: Map<String, Value> = (0..flags).map(|n| (format!("f{n}"), flag.clone())).collect();
        json!({"flags": flags, "$evaluators": {"e": {"==": [{"var": "x"}, "x".repeat(60_000)]}}})
    };
    assert!(compile(document(100)).is_ok());
    assert!(compile(document(2_000)).is_err(), "a hundred megabytes of 260 kilobytes");
}
