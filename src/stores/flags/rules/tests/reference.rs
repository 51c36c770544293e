//! What flagd's documentation and its published expectations say.

use super::*;

#[test]
fn people_fall_where_flagd_puts_them() {
    let split = json!([["red", 25], ["blue", 25], ["green", 25], ["yellow", 25]]);
    let by_email = |prefix: Value| {
        let mut list = vec![json!({"cat": [prefix, {"var": "email"}]})];
        list.extend(split.as_array().unwrap().iter().cloned());
        json!({"fractional": list})
    };
    for (rule, expected) in [
        (by_email(json!({"var": "$flagd.flagKey"})), ["blue", "yellow", "red", "blue"]),
        (by_email(json!("my-seed")), ["green", "red", "blue", "green"]),
    ] {
        let ruleset = colours(rule);
        for (who, expected) in ["rachel", "monica", "joey", "ross"].iter().zip(expected) {
            let context = json!({"email": format!("{who}@faas.com")});
            assert_eq!(outcome(ruleset.flag("headerColor").unwrap(), &context).0, expected, "{who}");
        }
    }
    let ruleset = colours(json!({"fractional": split}));
    for (who, expected) in [("rachel", "blue"), ("monica", "yellow"), ("joey", "red"), ("ross", "blue")] {
        let context = json!({"targetingKey": format!("{who}@faas.com")});
        assert_eq!(outcome(ruleset.flag("headerColor").unwrap(), &context).0, expected, "{who}");
    }
}
