//! The way through a rule, as it is told.

use super::*;

fn explained(ruleset: &Ruleset, context: &Value) -> Explanation {
    let arena = Arena::new();
    ruleset.flag(KEY).unwrap().explain(&Context::parse(&context.to_string(), &arena).unwrap(), NOW)
}

fn path(explained: &Explanation) -> Vec<(&str, &Value)> {
    explained.path.iter().map(|step| (step.pointer.as_str(), &step.result)).collect()
}

#[test]
fn the_way_goes_along_the_branches_that_are_taken() {
    let rule = json!({"if": [
        {"and": [{"==": [{"var": "plan"}, "gold"]}, {"$ref": "inside"}]}, "blue",
        {"or": [{"var": "beta"}, {"var": "alpha"}]}, {"fractional": [["green", 1]]},
        null,
    ]});
    let mut document = document(&rule);
    document["$evaluators"] = json!({"inside": {"in": ["@x", {"var": "email"}]}});
    let ruleset = compile(document).unwrap();
    let told = explained(&ruleset, &json!({"plan": "gold", "email": "a@y", "beta": true, "targetingKey": "u1"}));
    assert_eq!((told.variant.as_deref(), told.reason), (Some("green"), Some(Reason::TargetingMatch)));
    assert_eq!(told.value, Some(json!("#green")));
    assert_eq!(
        path(&told),
        [
            ("/targeting/if/0/and/0", &json!(true)),
            ("/$evaluators/inside", &json!(false)),
            ("/targeting/if/0", &json!(false)),
            ("/targeting/if/2/or/0", &json!(true)),
            ("/targeting/if/2", &json!(true)),
            ("/targeting/if/3", &json!("green")),
        ]
    );
    assert_eq!(told.path[0].expression, r#"{"==":[{"var":"plan"},"gold"]}"#);
    let bucket = &told.buckets[0];
    assert_eq!((bucket.seed_text.as_str(), bucket.bucket, bucket.of), ("headerColoru1", 0, 1));
    assert_eq!(bucket.variant, json!("green"));
    let told = explained(&ruleset, &json!({}));
    assert_eq!((told.variant.as_deref(), told.reason), (Some("red"), Some(Reason::Default)));
    assert_eq!(path(&told).last(), Some(&("/targeting/if/4", &json!(null))));
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!((&json["reason"], json.get("error_code")), (&json!("DEFAULT"), None));
}

#[test]
fn a_split_in_a_split_is_followed() {
    let inner = json!({"fractional": [{"var": "team"}, ["blue", 1]]});
    let ruleset = colours(&json!({"fractional": [{"var": "team"}, ["red", 0], [inner, 1]]}));
    let told = explained(&ruleset, &json!({"team": "t"}));
    let steps = [("/targeting", &json!("blue")), ("/targeting/fractional/2/0", &json!("blue"))];
    assert_eq!((path(&told).as_slice(), told.buckets.len()), (&steps[..], 2));
}

#[test]
fn where_it_cannot_be_decided_the_way_ends_there_and_the_failure_is_told() {
    let ruleset = colours(&json!({"if": [{"var": "a"}, {"fractional": [["green", 1]]}, "blue"]}));
    let told = explained(&ruleset, &json!({"a": 1}));
    assert_eq!((told.error_code, told.variant.as_deref(), told.reason), (Some("TARGETING_KEY_MISSING"), None, None));
    assert_eq!(path(&told), [("/targeting/if/0", &json!(1)), ("/targeting/if/1", &json!(null))]);
    assert!(told.error_details.is_some() && told.buckets.is_empty() && !told.cut);
}

#[test]
fn a_flag_that_asks_no_rule_has_no_way() {
    for (member, value) in [("targeting", json!(null)), ("state", json!("DISABLED"))] {
        let mut document = document(&json!({"if": [true, "blue"]}));
        document["flags"][KEY][member] = value;
        let told = explained(&compile(document).unwrap(), &json!({}));
        assert_eq!((told.variant.as_deref(), told.path.len()), (Some("red"), 0));
    }
}

#[test]
fn a_long_way_is_cut() {
    let operands: Vec<_> = (0..300).map(|at| json!({"var": format!("m{at}")})).collect();
    let told = explained(&colours(&json!({"if": [{"or": operands}, "blue", "green"]})), &json!({}));
    assert_eq!((told.variant.as_deref(), told.path.len(), told.cut), (Some("green"), 100, true));
    let told = explained(&colours(&json!({"if": [{"var": "a"}, "blue"]})), &json!({"a": "x".repeat(10_000)}));
    assert!(told.path[0].result.as_str().unwrap().len() < 300 && !told.cut);
}
