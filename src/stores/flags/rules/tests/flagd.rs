//! What flagd's documentation and its published expectations say of flags: a rule, a context and the decision.

use super::*;

const TABLE: &str = r##"
    nothing to ask
    [null, {}, "red STATIC"]
    [{}, {}, "red STATIC"]

    conditions
    [{"if": [{"in": ["@example.com", {"var": "email"}]}, "blue", null]}, {"email": "a@example.com"}, "blue TARGETING_MATCH"]
    [{"if": [{"in": ["@example.com", {"var": "email"}]}, "blue", null]}, {"email": "a@other.com"}, "red DEFAULT"]
    [{"if": [{"in": ["@example.com", {"var": "email"}]}, "blue", null]}, {}, "red DEFAULT"]
    [{"if": [{"in": ["@example.com", {"var": "email"}]}, "blue"]}, {}, "red DEFAULT"]
    [{"if": [{"==": [{"var": "plan"}, "gold"]}, "red", "green"]}, {"plan": "gold"}, "red TARGETING_MATCH"]
    [{"if": [{"starts_with": [{"var": "ip"}, "192.168"]}, "blue", "green"]}, {"ip": "192.168.0.1"}, "blue TARGETING_MATCH"]
    [{"if": [{"starts_with": [{"var": "ip"}, "192.168"]}, "blue", "green"]}, {"ip": 7}, "green TARGETING_MATCH"]
    [{"if": [{"sem_ver": [{"var": "version"}, ">=", "1.0.0"]}, "red", "green"]}, {"version": "1.0.1"}, "red TARGETING_MATCH"]
    [{"if": [{"sem_ver": [{"var": "version"}, ">=", "1.0.0"]}, "red", "green"]}, {"version": "0.1.0"}, "green TARGETING_MATCH"]
    [{"if": [{"sem_ver": [{"var": "version"}, ">=", "1.0.0"]}, "red", "green"]}, {}, "green TARGETING_MATCH"]
    [{"if": [{"$ref": "faas"}, "green", null]}, {"email": "a@faas.com"}, "green TARGETING_MATCH"]
    [{"if": [{"$ref": "both"}, "green", null]}, {"email": "a@faas.com", "n": 1}, "green TARGETING_MATCH"]
    [{"if": [{"$ref": "both"}, "green", null]}, {"email": "a@faas.com", "n": 2}, "red DEFAULT"]
    [{"$ref": "split"}, {"targetingKey": "ross@faas.com"}, "blue TARGETING_MATCH"]
    [{"if": [{"<": [{"var": "$flagd.timestamp"}, 1700000001]}, "blue", "green"]}, {}, "blue TARGETING_MATCH"]
    [{"if": [{"<": [{"var": "$flagd.timestamp"}, 1700000000]}, "blue", "green"]}, {"$flagd": {"timestamp": 1}}, "green TARGETING_MATCH"]

    what is no text
    [{"==": [1, 1]}, {}, "true TARGETING_MATCH"]
    [{"in": ["a", {"var": "email"}]}, {}, "false TARGETING_MATCH"]
    [{"+": [1, 0]}, {}, "1 TARGETING_MATCH"]
    [{"/": [3, 2]}, {}, "1.5 TARGETING_MATCH"]
    [{"/": [3, 4]}, {}, "GENERAL"]
    [{"/": [1, 0]}, {}, "GENERAL"]
    [{"/": [0, 0]}, {}, "GENERAL"]
    [{"merge": ["red"]}, {}, "GENERAL"]
    [{"var": "a"}, {"a": {}}, "GENERAL"]
    [{"var": "a"}, {"a": "blue"}, "blue TARGETING_MATCH"]
    [{"var": "a"}, {"a": "violet"}, "GENERAL"]
    [{"var": "a"}, {"a": ""}, "GENERAL"]
    [{"var": "a"}, {"a": null}, "red DEFAULT"]
    [{"starts_with": [{"var": "a"}, "x"]}, {}, "red DEFAULT"]
    [{"ends_with": [{"var": "a"}, "x"]}, {}, "false TARGETING_MATCH"]

    splits by email
    [{"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"email": "rachel@faas.com"}, "blue TARGETING_MATCH"]
    [{"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"email": "monica@faas.com"}, "yellow TARGETING_MATCH"]
    [{"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"email": "joey@faas.com"}, "red TARGETING_MATCH"]
    [{"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"email": "ross@faas.com"}, "blue TARGETING_MATCH"]
    [{"fractional": [{"cat": ["my-seed", {"var": "email"}]}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"email": "rachel@faas.com"}, "green TARGETING_MATCH"]
    [{"fractional": [{"cat": ["my-seed", {"var": "email"}]}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"email": "monica@faas.com"}, "red TARGETING_MATCH"]
    [{"fractional": [{"cat": ["my-seed", {"var": "email"}]}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"email": "joey@faas.com"}, "blue TARGETING_MATCH"]
    [{"fractional": [{"cat": ["my-seed", {"var": "email"}]}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"email": "ross@faas.com"}, "green TARGETING_MATCH"]

    splits by targeting key
    [{"fractional": [["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"targetingKey": "rachel@faas.com"}, "blue TARGETING_MATCH"]
    [{"fractional": [["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"targetingKey": "monica@faas.com"}, "yellow TARGETING_MATCH"]
    [{"fractional": [["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"targetingKey": "joey@faas.com"}, "red TARGETING_MATCH"]
    [{"fractional": [["red"], ["blue"], ["green"], ["yellow"]]}, {"targetingKey": "joey@faas.com"}, "red TARGETING_MATCH"]
    [{"fractional": [{"var": "email"}, ["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]}, {"targetingKey": "monica@faas.com"}, "yellow TARGETING_MATCH"]
    [{"fractional": [["blue", 100]]}, {"targetingKey": "x"}, "blue TARGETING_MATCH"]
    [{"fractional": [["blue", 0], ["green", 1]]}, {"targetingKey": "x"}, "green TARGETING_MATCH"]
    [{"fractional": [["blue"], ["blue", 7]]}, {"targetingKey": "x"}, "blue TARGETING_MATCH"]
    [{"fractional": [[null, 1]]}, {"targetingKey": "x"}, "red DEFAULT"]
    [{"fractional": [[true, 1]]}, {"targetingKey": "x"}, "true TARGETING_MATCH"]
    [{"fractional": [[{"if": [{"var": "a"}, "green", "blue"]}, 1]]}, {"targetingKey": "x", "a": 1}, "green TARGETING_MATCH"]
    [{"fractional": [["blue", 1]]}, {}, "TARGETING_KEY_MISSING"]
    [{"fractional": [["blue", 1]]}, {"targetingKey": ""}, "TARGETING_KEY_MISSING"]
    [{"fractional": [["blue", 1]]}, {"targetingKey": 7}, "TARGETING_KEY_MISSING"]
    [{"fractional": [{"var": "email"}, ["blue", 1]]}, {"email": null}, "TARGETING_KEY_MISSING"]
    [{"fractional": [{"var": "email"}, ["blue", 1]]}, {"email": ""}, "blue TARGETING_MATCH"]
    [{"fractional": [{"var": "id"}, ["blue", 1]]}, {"id": 7, "targetingKey": "x"}, "GENERAL"]
    [{"fractional": ["all alike", ["blue", 1]]}, {}, "blue TARGETING_MATCH"]
    [{"if": [{"var": "split"}, {"fractional": [["blue", 1]]}, "green"]}, {}, "green TARGETING_MATCH"]
    [{"if": [{"==": [{"fractional": [["a", 1]]}, "a"]}, "blue", "green"]}, {}, "TARGETING_KEY_MISSING"]

    weights that are computed
    [{"fractional": [["blue", {"var": "w"}], ["green", 0]]}, {"targetingKey": "x", "w": 5}, "blue TARGETING_MATCH"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 0]]}, {"targetingKey": "x"}, "blue TARGETING_MATCH"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 5]]}, {"targetingKey": "x", "w": 0}, "green TARGETING_MATCH"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 5]]}, {"targetingKey": "x", "w": -1}, "GENERAL"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 5]]}, {"targetingKey": "x", "w": 0.5}, "GENERAL"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 5]]}, {"targetingKey": "x", "w": "5"}, "GENERAL"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 5]]}, {"targetingKey": "x", "w": 2147483648}, "GENERAL"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 5]]}, {"targetingKey": "x", "w": 2147483643}, "GENERAL"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 5]]}, {"targetingKey": "x", "w": 1e300}, "GENERAL"]
    [{"fractional": [["blue", {"var": "w"}], ["blue", {"var": "w"}], ["blue", {"var": "w"}], ["blue", {"var": "w"}], ["green", 5]]}, {"targetingKey": "x", "w": 4611686018427387904}, "GENERAL"]
    [{"fractional": [["blue", {"/": [1, 0]}], ["green", 5]]}, {"targetingKey": "x"}, "GENERAL"]
    [{"fractional": [["blue", {"var": "w"}]]}, {"targetingKey": "x", "w": 0}, "GENERAL"]
    [{"fractional": [["blue", {"var": "w"}], ["green", 0]]}, {"targetingKey": "x", "w": 2147483647}, "blue TARGETING_MATCH"]
    [{"fractional": [["blue", {"-": [100, 50]}], ["green", 50.0]]}, {"targetingKey": "joey@faas.com"}, "blue TARGETING_MATCH"]
"##;

#[test]
fn each_rule_decides_as_flagd_says() {
    let rows = rows(TABLE);
    assert!(rows.len() > 65, "{} rows", rows.len());
    let wrong = rows.iter().filter_map(|[rule, context, expected]| {
        let mut document = document(rule);
        document["$evaluators"] = json!({
            "faas": {"in": ["@faas.com", {"var": ["email"]}]},
            "both": {"and": [{"$ref": "faas"}, {"==": [{"var": "n"}, 1]}]},
            "split": {"fractional": [["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]},
        });
        let ruleset = compile(document).unwrap_or_else(|faults| panic!("{rule}: {faults:?}"));
        let decided = decided(&ruleset, context);
        (decided != *expected).then(|| format!("{rule} on {context}: {decided}, not {expected}"))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_published_buckets_come_out() {
    let split = json!({"fractional": [["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]});
    let seeded = json!({"fractional": [{"cat": ["my-seed", {"var": "targetingKey"}]}, ["red", 100]]});
    for (rule, buckets) in [(&split, [42, 77, 7, 37]), (&seeded, [68, 7, 30, 70])] {
        let ruleset = colours(rule);
        for (who, expected) in ["rachel", "monica", "joey", "ross"].iter().zip(buckets) {
            let arena = Arena::new();
            let context = json!({"targetingKey": format!("{who}@faas.com")}).to_string();
            let explained = ruleset.flag(KEY).unwrap().explain(&Context::parse(&context, &arena).unwrap(), NOW);
            let told: Vec<_> = explained.buckets.iter().map(|bucket| (bucket.bucket, bucket.of)).collect();
            assert_eq!(told, [(expected, 100)], "{who}");
        }
    }
}
