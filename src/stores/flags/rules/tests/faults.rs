//! What is wrong with documents, and where.

use super::*;

/// The faults of a document, each as its pointer and what is said.
fn faults(document: Value) -> Vec<String> {
    let faults = compile(document).err().unwrap_or_default();
    faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect()
}

#[track_caller]
fn only(document: Value, expected: &str) {
    assert_eq!(faults(document), [expected]);
}

fn flag_with(member: &str, value: Value) -> Value {
    let mut flag = json!({"state": "ENABLED", "variants": {"a": "x", "b": "y"}, "defaultVariant": "a"});
    flag[member] = value;
    json!({"flags": {"f": flag}})
}

#[test]
fn what_is_around_the_flags_is_checked() {
    only(json!({}), "/flags is missing");
    only(json!({"flags": []}), "/flags must be an object");
    only(json!({"flags": {}, "evaluators": {}}), "/evaluators is not known here");
    only(json!({"flags": {}, "a/b~c": 1}), "/a~1b~0c is not known here");
    only(json!({"flags": {}, "$evaluators": 7}), "/$evaluators must be an object");
    only(json!({"flags": {}, "metadata": {"a": []}}), "/metadata/a must be a boolean, a number or a text");
    only(json!({"flags": {}, "metadata": {"version": 1}}), "/metadata/version must be a text");
    only(json!({"flags": {}, "$schema": 1}), "/$schema must be a text");
    only(json!({"flags": {"f": 1}}), "/flags/f must be an object");
    assert_eq!(faults(json!({"flags": {}, "$evaluators": {}, "metadata": {}, "$schema": "x"})), [""; 0]);
}

#[test]
fn each_member_of_a_flag_is_checked() {
    only(flag_with("state", json!("enabled")), "/flags/f/state must be ENABLED or DISABLED");
    only(flag_with("state", json!(null)), "/flags/f/state must be ENABLED or DISABLED");
    only(json!({"flags": {"f": {"variants": {"a": 1}}}}), "/flags/f/state is missing");
    only(json!({"flags": {"f": {"state": "ENABLED"}}}), "/flags/f/variants is missing");
    only(flag_with("name", json!("x")), "/flags/f/name is not known here");
    only(flag_with("defaultVariant", json!("c")), r#"/flags/f/defaultVariant there is no variant "c""#);
    only(flag_with("defaultVariant", json!(7)), "/flags/f/defaultVariant must be the name of a variant, or null");
    only(flag_with("metadata", json!({"a": null})), "/flags/f/metadata/a must be a boolean, a number or a text");
    only(flag_with("metadata", json!(7)), "/flags/f/metadata must be an object");
    let some = "/flags/f/variants must be an object with at least one variant";
    only(flag_with("variants", json!({})), some);
    only(flag_with("variants", json!([1])), some);
    let alike = "/flags/f/variants/b must be of the same type as the other variants";
    only(flag_with("variants", json!({"a": 1, "b": "x"})), alike);
    only(flag_with("variants", json!({"a": true, "b": {}})), alike);
    let typed = "/flags/f/variants/a must be a boolean, a text, a number or an object";
    only(flag_with("variants", json!({"a": [1]})), typed);
    only(flag_with("variants", json!({"a": null})), typed);
    only(flag_with("variants", json!({"a": 1, "": 1})), "/flags/f/variants/ must have a name");
    let exact = "/flags/f/variants/a is too large to be exact: whole numbers go to 9007199254740991";
    only(flag_with("variants", json!({"a": 9007199254740992_u64})), exact);
    only(flag_with("variants", json!({"a": -9007199254740992_i64})), exact);
    only(flag_with("targeting", json!(true)), "/flags/f/targeting must be a rule, which is an object");
    only(flag_with("targeting", json!("a")), "/flags/f/targeting must be a rule, which is an object");
}

#[test]
fn keys_are_bounded_and_so_is_how_many_there_are() {
    let flag = json!({"state": "ENABLED", "variants": {"a": 1}});
    let key = |key: &str| faults(json!({"flags": {key: flag}}));
    assert_eq!(key(&"x".repeat(256)), [""; 0]);
    for bad in ["", &"x".repeat(257), &"é".repeat(129), "a\nb", "a\u{0}", "\u{85}"] {
        assert_eq!(key(bad).len(), 1, "{bad:?}");
        let evaluators = json!({"flags": {}, "$evaluators": {bad: {"var": "a"}}});
        assert_eq!(faults(evaluators).len(), 1, "{bad:?}");
    }
    let many = |count: usize| (0..count).map(|at| (format!("f{at}"), flag.clone())).collect::<Map<_, _>>();
    assert_eq!(faults(json!({"flags": many(2_000)})), [""; 0]);
    assert_eq!(faults(json!({"flags": many(2_001)})), ["/flags has more than 2000 members"]);
}

/// Rules that are wrong, where, and what is said of them.
const RULES: &[(&str, &str, &str)] = &[
    (r#"{"iff": [1]}"#, "/iff", r#"there is no operator "iff""#),
    (r#"{"fractionalEvaluation": []}"#, "/fractionalEvaluation", r#"there is no operator "fractionalEvaluation""#),
    (r#"{"our step": [1, 0]}"#, "/our step", r#"there is no operator "our step""#),
    (r#"{"val": "a"}"#, "/val", r#"there is no operator "val""#),
    (r#"{"if": [{}, "a"]}"#, "/if/0", "must have exactly one member, which is its operator"),
    (r#"{"if": [{"a": 1, "b": 2}, "a"]}"#, "/if/0", "must have exactly one member, which is its operator"),
    (r#"{"if": []}"#, "/if", "if takes 1 or more arguments, and here are 0"),
    (r#"{"==": [1]}"#, "/==", "== takes 2 arguments, and here are 1"),
    (r#"{"==": 1}"#, "/==", "== takes 2 arguments, and here are 1"),
    (r#"{"<": [1, 2, 3, 4]}"#, "/<", "< takes 2 to 3 arguments, and here are 4"),
    (r#"{"!": [1, 2]}"#, "/!", "! takes 1 arguments, and here are 2"),
    (r#"{"map": [1]}"#, "/map", "map takes 2 arguments, and here are 1"),
    (r#"{"starts_with": ["a"]}"#, "/starts_with", "starts_with takes 2 arguments, and here are 1"),
    (r#"{"if": [1, "c", "a"]}"#, "/if/1", r#"there is no variant "c""#),
    (r#"{"if": [1, "a", "c"]}"#, "/if/2", r#"there is no variant "c""#),
    (r#"{"if": [1, "a", 1, "b", "c"]}"#, "/if/4", r#"there is no variant "c""#),
    (r#"{"if": [1, true]}"#, "/if/1", r#"there is no variant "true""#),
    (r#"{"if": [1, 7]}"#, "/if/1", r#"there is no variant "7""#),
    (r#"{"if": [1, ["a"]]}"#, "/if/1", "is a list, which names no variant"),
    (r#"{"if": [1, {"if": [1, "c"]}]}"#, "/if/1/if/1", r#"there is no variant "c""#),
    (r#"{"if": [1, {"$ref": "violet"}]}"#, "/if/1/$ref", r#"the rule referred to: there is no variant "violet""#),
    (r#"{"$ref": "none"}"#, "/$ref", r#"there is no evaluator "none""#),
    (r#"{"$ref": ["good"]}"#, "/$ref", "must be the name of an evaluator"),
    (r#"{"$ref": 1}"#, "/$ref", "must be the name of an evaluator"),
    (r#"{"var": "$flagd.else"}"#, "/var", "of $flagd there are flagKey and timestamp"),
    (r#"{"var": "$flagd"}"#, "/var", "of $flagd there are flagKey and timestamp"),
    (r#"{"var": true}"#, "/var", "must have a text or a number as its path, or a rule for one"),
    (r#"{"var": [["a"]]}"#, "/var", "must have a text or a number as its path, or a rule for one"),
    (r#"{"sem_ver": ["1.0.0", "==", "1.0.0"]}"#, "/sem_ver/1", "must be one of = != < <= > >= ^ ~"),
    (r#"{"sem_ver": ["1.0.0", "=", "one"]}"#, "/sem_ver/2", "must be a version such as 1.2.3, or a rule for one"),
    (r#"{"sem_ver": [1, "=", "1.0.0"]}"#, "/sem_ver/0", "must be a version such as 1.2.3, or a rule for one"),
    (r#"{"fractional": []}"#, "/fractional", "fractional takes 1 or more arguments, and here are 0"),
    (r#"{"fractional": [{"var": "a"}]}"#, "/fractional", "must have at least one variant"),
    (r#"{"fractional": [["c", 1]]}"#, "/fractional/0/0", r#"there is no variant "c""#),
    (
        r#"{"fractional": [["a", -1]]}"#,
        "/fractional/0/1",
        "must be a whole number from 0 to 2147483647, or a rule for one",
    ),
    (
        r#"{"fractional": [["a", 0.5]]}"#,
        "/fractional/0/1",
        "must be a whole number from 0 to 2147483647, or a rule for one",
    ),
    (
        r#"{"fractional": [["a", "1"]]}"#,
        "/fractional/0/1",
        "must be a whole number from 0 to 2147483647, or a rule for one",
    ),
    (
        r#"{"fractional": [["a", 2147483648]]}"#,
        "/fractional/0/1",
        "must be a whole number from 0 to 2147483647, or a rule for one",
    ),
    (
        r#"{"fractional": [["a", 2147483647], ["b", 1]]}"#,
        "/fractional",
        "must have weights that add up to at most 2147483647",
    ),
    (r#"{"fractional": [["a", 0], ["b", 0]]}"#, "/fractional", "must have a weight that is not 0"),
    (
        r#"{"fractional": [["a", 1], "b"]}"#,
        "/fractional/1",
        "must be a list of a variant and its weight, or of a variant alone",
    ),
    (
        r#"{"fractional": [["a", 1], []]}"#,
        "/fractional/1",
        "must be a list of a variant and its weight, or of a variant alone",
    ),
    (
        r#"{"fractional": [["a", 1, 1]]}"#,
        "/fractional/0",
        "must be a list of a variant and its weight, or of a variant alone",
    ),
    (
        r#"{"fractional": [7, ["a", 1]]}"#,
        "/fractional/0",
        "must be what is hashed, a text, or a variant with its weight",
    ),
];

#[test]
fn each_fault_of_a_rule_is_told_with_its_place() {
    for (rule, place, detail) in RULES {
        let mut document = flag_with("targeting", serde_json::from_str(rule).unwrap());
        document["$evaluators"] = json!({"violet": {"if": [{"var": "x"}, "violet"]}, "good": {"var": "a"}});
        assert_eq!(faults(document), [format!("/flags/f/targeting{place} {detail}")], "{rule}");
    }
}

#[test]
fn the_faults_of_an_evaluator_are_told_once_and_at_its_place() {
    let mut document = flag_with("targeting", json!({"if": [{"$ref": "e"}, "a", {"$ref": "e"}]}));
    document["flags"]["g"] = document["flags"]["f"].clone();
    document["$evaluators"] = json!({"e": {"iff": [1]}});
    only(document, r#"/$evaluators/e/iff there is no operator "iff""#);
    only(json!({"flags": {}, "$evaluators": {"e": "x"}}), "/$evaluators/e must be a rule, which is an object");
}

#[test]
fn circles_are_refused() {
    let evaluators =
        json!({"a": {"!": {"$ref": "b"}}, "b": {"!": {"$ref": "a"}}, "c": {"$ref": "c"}, "d": {"$ref": "a"}});
    let mut document = flag_with("targeting", json!({"if": [{"$ref": "d"}, "a"]}));
    document["$evaluators"] = evaluators;
    let told = faults(document);
    for place in ["/$evaluators/a/!/$ref", "/$evaluators/b/!/$ref", "/$evaluators/c/$ref"] {
        assert!(told.iter().any(|fault| fault.starts_with(place)), "{place}: {told:?}");
    }
    assert_eq!(told.len(), 3, "each circle is told at each evaluator on it, and nowhere else: {told:?}");
    assert!(told.iter().all(|fault| fault.contains("refers back to itself")), "{told:?}");
}

#[test]
fn all_faults_are_told_up_to_a_hundred() {
    let operands: Vec<_> = (0..150).map(|_| json!({"iff": 1})).collect();
    assert_eq!(faults(flag_with("targeting", json!({"or": operands}))).len(), 100);
    let both = json!({"flags": {"f": {"state": 1, "variants": {"a": 1}, "x": 1, "targeting": {"iff": 1}}}, "y": 1});
    assert_eq!(faults(both).len(), 4);
}
