//! Flags but for their rules: states, defaults, metadata, values, and what they look at.

use super::*;

fn told_of(flag: Value) -> String {
    let ruleset = compile(json!({"flags": {KEY: flag}})).unwrap();
    decided(&ruleset, &json!({}))
}

#[test]
fn a_flag_without_a_rule_is_its_default_variant() {
    let variants = json!({"on": true, "off": false});
    let with = |more: Value| {
        let mut flag = json!({"state": "ENABLED", "variants": variants});
        flag.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        told_of(flag)
    };
    assert_eq!(with(json!({"defaultVariant": "off"})), "off STATIC");
    assert_eq!(with(json!({"defaultVariant": "off", "targeting": {}})), "off STATIC");
    assert_eq!(with(json!({})), "- DEFAULT");
    assert_eq!(with(json!({"defaultVariant": null})), "- DEFAULT");
    assert_eq!(with(json!({"targeting": {"if": [false, "on"]}})), "- DEFAULT");
    let rule = json!({"if": [true, "on"]});
    assert_eq!(with(json!({"state": "DISABLED", "defaultVariant": "off", "targeting": rule})), "off DISABLED");
    assert_eq!(with(json!({"state": "DISABLED", "targeting": rule})), "- DISABLED");
}

#[test]
fn flags_are_found_by_their_keys_and_listed_in_their_order() {
    let flag = json!({"state": "DISABLED", "variants": {"b": 1, "a": 2}, "defaultVariant": "b"});
    let ruleset = compile(json!({"$schema": "x", "flags": {"z": flag, "a": flag, "é~/": flag}})).unwrap();
    assert_eq!(ruleset.flags().map(Flag::key).collect::<Vec<_>>(), ["a", "z", "é~/"]);
    assert_eq!((ruleset.flags().len(), ruleset.flag("é~/").map(Flag::state)), (3, Some(State::Disabled)));
    assert!(ruleset.flag("b").is_none());
    let variants = ruleset.flag("z").unwrap().variants();
    let told: Vec<_> = variants.iter().map(|one| (one.index(), one.name(), one.value())).collect();
    assert_eq!(told, [(0, "a", &json!(2)), (1, "b", &json!(1))]);
}

#[test]
fn the_numbers_of_a_flag_are_all_written_alike() {
    let values = |variants: &str| {
        let document = format!(r#"{{"flags": {{"f": {{"state": "ENABLED", "variants": {variants}}}}}}}"#);
        let ruleset = compile(serde_json::from_str(&document).unwrap()).unwrap();
        let variants = ruleset.flag("f").unwrap().variants();
        variants.iter().map(|variant| variant.value().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(values(r#"{"a": 1, "b": 2.5}"#), "1.0 2.5");
    assert_eq!(values(r#"{"a": 1.0, "b": 2}"#), "1.0 2.0");
    assert_eq!(values(r#"{"a": 1, "b": 9007199254740991}"#), "1 9007199254740991");
    assert_eq!(values(r#"{"a": {"n": 1}, "b": {"n": 1.5}}"#), r#"{"n":1} {"n":1.5}"#);
}

#[test]
fn metadata_of_the_set_is_overlaid_by_the_flag_s() {
    let flag = |metadata: Value| json!({"state": "ENABLED", "variants": {"a": 1}, "metadata": metadata});
    let flags = json!({"own": flag(json!({"owner": "me", "n": 1})), "none": flag(json!({}))});
    let ruleset = compile(json!({"flags": flags, "metadata": {"owner": "all", "flagSetId": "s"}})).unwrap();
    let metadata = |key| Value::Object(ruleset.flag(key).unwrap().metadata().clone());
    assert_eq!(metadata("own"), json!({"owner": "me", "n": 1, "flagSetId": "s"}));
    assert_eq!(metadata("none"), json!({"owner": "all", "flagSetId": "s"}));
}

#[test]
fn a_flag_says_what_it_looks_at() {
    let evaluators = json!({"late": {">": [{"var": "$flagd.timestamp"}, 7]}, "later": {"!": {"$ref": "late"}}});
    for (rule, expected) in [
        (json!(null), (false, false)),
        (json!({"if": [{"var": "a"}, "red"]}), (true, false)),
        (json!({"if": [{"var": "$flagd.flagKey"}, "red"]}), (true, false)),
        (json!({"if": [{"var": "$flagd.timestamp"}, "red"]}), (true, true)),
        (json!({"if": [{"var": ["$flagd.timestamp", 1]}, "red"]}), (true, true)),
        (json!({"if": [{"all": [[1], {"var": "$flagd.timestamp"}]}, "red"]}), (true, true)),
        (json!({"if": [{"var": {"var": "a"}}, "red"]}), (true, true)),
        (json!({"if": [{"$ref": "later"}, "red"]}), (true, true)),
    ] {
        let mut document = document(&rule);
        document["$evaluators"] = evaluators.clone();
        let ruleset = compile(document.clone()).unwrap();
        let flag = ruleset.flag(KEY).unwrap();
        assert_eq!((flag.reads_context(), flag.reads_clock()), expected, "{rule}");
        document["flags"][KEY]["state"] = json!("DISABLED");
        let ruleset = compile(document).unwrap();
        let flag = ruleset.flag(KEY).unwrap();
        assert_eq!((flag.reads_context(), flag.reads_clock()), (false, false), "{rule}");
    }
}

#[test]
fn a_ruleset_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Ruleset>();
}
