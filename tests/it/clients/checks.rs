//! What is asked of every client, and what it gives where it keeps to what the server answered.

use super::ERROR;
use serde_json::{Value, json};

/// One evaluation, of a flag of `flags.json`.
pub struct Check {
    pub name: &'static str,
    /// `flag`, `type`, `otherwise` (the code's default) and `context`.
    pub asked: Value,
    /// The details of the evaluation, as OpenFeature calls them.
    pub gives: Value,
}

/// The metadata of the whole set, which every flag has that does not say otherwise.
pub fn of_set() -> Value {
    json!({"set": "shop", "owner": "core"})
}

/// The details of a flag that was evaluated.
pub fn found(value: Value, variant: &str, reason: &str) -> Value {
    json!({"value": value, "variant": variant, "reason": reason, "flagMetadata": of_set()})
}

/// The details of an evaluation that failed: the code's default, and why.
pub fn failed(otherwise: Value, code: &str, message: &str) -> Value {
    let metadata = json!({});
    json!({"value": otherwise, "reason": ERROR, "errorCode": code, "errorMessage": message, "flagMetadata": metadata})
}

fn check(name: &'static str, (flag, kind): (&str, &str), otherwise: Value, context: Value, gives: Value) -> Check {
    Check { name, asked: json!({"flag": flag, "type": kind, "otherwise": otherwise, "context": context}), gives }
}

/// All of them. Every default differs from what is given.
pub fn checks() -> Vec<Check> {
    [values(), rules(), names(), failures()].into_iter().flatten().collect()
}

fn values() -> Vec<Check> {
    let user = || json!({"targetingKey": "u-1"});
    let mut boolean = found(json!(true), "on", "STATIC");
    boolean["flagMetadata"] = json!({"set": "shop", "owner": "payments", "since": 2026, "share": 0.5, "beta": true});
    let object = json!({"colour": "#00f", "sizes": [1, 2.5], "nested": {"on": true, "name": "é"}});
    let more = json!({"targetingKey": "u-1", "wants": "more"});
    vec![
        check("a boolean", ("boolean", "boolean"), json!(false), user(), boolean),
        check(
            "a string",
            ("string", "string"),
            json!("none"),
            user(),
            found(json!("Grüße, 世界 🚀"), "greeting", "STATIC"),
        ),
        check(
            "an integer",
            ("integer", "integer"),
            json!(0),
            user(),
            found(json!(9_007_199_254_740_991_u64), "most", "STATIC"),
        ),
        check("a float that is whole", ("float", "float"), json!(0.5), user(), found(json!(1.0), "one", "DEFAULT")),
        check("a float", ("float", "float"), json!(0.5), more, found(json!(2.5), "more", "TARGETING_MATCH")),
        check("an object", ("object", "object"), json!({}), user(), found(object, "blue", "STATIC")),
    ]
}

fn rules() -> Vec<Check> {
    let boolean = |flag: &'static str| (flag, "boolean");
    let premium = json!({"targetingKey": "u-1", "plan": "premium", "age": 18});
    let minor = json!({"targetingKey": "u-1", "plan": "premium", "age": 17});
    let colour = |name, who: &str, value: &str, variant| {
        let context = json!({"targetingKey": who});
        let gives = found(json!(value), variant, "TARGETING_MATCH");
        check(name, ("headerColor", "string"), json!("none"), context, gives)
    };
    vec![
        check(
            "a rule that matches",
            boolean("targeted"),
            json!(false),
            premium,
            found(json!(true), "on", "TARGETING_MATCH"),
        ),
        check("a rule that does not", boolean("targeted"), json!(true), minor, found(json!(false), "off", "DEFAULT")),
        // Buckets that flagd's own tests expect.
        colour("a split, first part", "joey@faas.com", "#f00", "red"),
        colour("a split, second part", "rachel@faas.com", "#00f", "blue"),
        colour("a split, last part", "monica@faas.com", "#ff0", "yellow"),
        check(
            "a flag that is off",
            boolean("disabled"),
            json!(true),
            json!({"targetingKey": "u-1"}),
            found(json!(false), "off", "DISABLED"),
        ),
        check(
            "a flag that defers to the code",
            boolean("deferring"),
            json!(true),
            json!({"targetingKey": "u-1"}),
            found(json!(true), "", "DEFAULT"),
        ),
    ]
}

fn names() -> Vec<Check> {
    let named = |name, flag| {
        let user = json!({"targetingKey": "u-1"});
        check(name, (flag, "boolean"), json!(false), user, found(json!(true), "on", "STATIC"))
    };
    vec![
        named("a name with a slash", "checkout/new"),
        named("a name with a space", "new checkout"),
        named("a name beyond ASCII", "größe-世界"),
    ]
}

fn failures() -> Vec<Check> {
    let failing = |name, (flag, kind), otherwise: Value, context, code, message| {
        check(name, (flag, kind), otherwise.clone(), context, failed(otherwise, code, message))
    };
    let user = || json!({"targetingKey": "u-1"});
    vec![
        failing(
            "a flag that nobody knows",
            ("unknown", "boolean"),
            json!(true),
            user(),
            "FLAG_NOT_FOUND",
            "No flag has this key.",
        ),
        // Each client finds that out by itself, and says it in words of its own.
        failing("another type than the flag's", ("string", "boolean"), json!(true), user(), "TYPE_MISMATCH", ""),
        failing(
            "a split without a targeting key",
            ("headerColor", "string"),
            json!("none"),
            json!({}),
            "TARGETING_KEY_MISSING",
            "the flag splits by targetingKey, which must be a text that is not empty",
        ),
        failing(
            "a rule that gives no variant",
            ("failing", "boolean"),
            json!(false),
            user(),
            "GENERAL",
            "the rule gives something that is the name of no variant",
        ),
    ]
}
