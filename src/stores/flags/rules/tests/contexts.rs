//! Contexts: what is read of them, and what is refused.

use super::*;

fn read(json: &str) -> Result<Value, ContextFault> {
    let arena = Arena::new();
    Context::parse(json, &arena).map(|context| shown(context.root()))
}

#[test]
fn any_json_object_is_a_context() {
    for (json, expected) in [
        ("{}", json!({})),
        (r#" {"b":1,"a":[null,true,"é\u00e9\n"]} "#, json!({"a": [null, true, "éé\n"], "b": 1})),
        (r#"{"a":1,"a":2,"b":0,"a":3}"#, json!({"a": 3, "b": 0})),
        (r#"{"a":{"x":1},"a":{"y":2}}"#, json!({"a": {"y": 2}})),
        (r#"{"a":18446744073709551615}"#, json!({"a": 18446744073709551615_u64 as f64})),
        (r#"{"a":-9223372036854775808}"#, json!({"a": i64::MIN})),
        (r#"{"a":1e-400}"#, json!({"a": 0})),
        (r#"{"$flagd":{"flagKey":"x"},"a":{"$flagd":1}}"#, json!({"a": {}})),
    ] {
        assert_eq!(read(json), Ok(expected), "{json}");
    }
}

#[test]
fn a_context_is_found_in_the_body_of_a_request_or_the_body_has_to_be_looked_at() {
    let within = |body: &str| {
        let arena = Arena::new();
        Context::within(body.as_bytes(), None, &arena).map(|context| (shown(context.root()), context.widest()))
    };
    for body in ["{}", r#"{"context":null}"#, r#"{"context":{}}"#, r#" {"other":[{"context":1}]} "#] {
        assert_eq!(within(body), Some((json!({}), 0)), "{body}");
    }
    for context in
        [r#"{"b":1,"a":[null,true,"é\u00e9\n"]}"#, r#"{"a":1,"$flagd":2,"\u0061":3}"#, r#"{"x":{"y":1,"z":[{}]}}"#]
    {
        let (arena, body) = (Arena::new(), format!(r#"{{"a":1,"cont\u0065xt": {context} ,"z":{{}}}}"#));
        let parsed = Context::parse(context, &arena).unwrap();
        assert_eq!(within(&body), Some((shown(parsed.root()), parsed.widest())), "{body}");
    }
    let deep = format!(r#"{{"context":{{"a":{}{}}}}}"#, "[".repeat(64), "]".repeat(64));
    let long = format!(r#"{{"context":{{"a":"{}"}}}}"#, "x".repeat(1024 * 1024));
    for body in
        ["", "[]", "{", "{}{}", r#"{"context":[]}"#, r#"{"context":1}"#, r#"{"context":{},"context":{}}"#, &deep, &long]
    {
        assert_eq!(within(body), None, "{}", body.get(..40).unwrap_or(body));
    }
}

#[test]
fn of_many_duplicates_the_last_one_counts() {
    let members: Vec<_> = (0..100).map(|at| format!(r#""m{}":{at}"#, at % 40)).collect();
    let arena = Arena::new();
    let context = Context::parse(&format!("{{{}}}", members.join(",")), &arena).unwrap();
    let members = context.root().as_object().unwrap();
    assert_eq!((members.len(), context.widest()), (40, 40));
    for (name, value) in members {
        let number: i64 = name[1..].parse().unwrap();
        assert_eq!(value.as_i64(), Some(if number < 20 { 80 + number } else { 40 + number }), "{name}");
    }
}

#[test]
fn what_is_no_object_or_too_much_is_refused() {
    for json in ["[]", "null", "1", "\"{}\"", "true"] {
        assert_eq!(read(json), Err(ContextFault::NotAnObject), "{json}");
    }
    for json in ["", "{", "{}{}", "{a:1}", r#"{"a":1,}"#, "{\"a\":\"\u{0}\"}", r#"{"a":"\ud800"}"#, r#"{"a":1e999}"#] {
        assert!(matches!(read(json), Err(ContextFault::Malformed { .. })), "{json}");
    }
    let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(read(&nested(64)).is_ok());
    assert_eq!(read(&nested(65)), Err(ContextFault::TooDeep));
    assert_eq!(read(&nested(100_000)), Err(ContextFault::TooDeep));
    assert_eq!(read(&format!(r#"{{{}1{}}}"#, r#""a":{"#.repeat(70), "}".repeat(70))), Err(ContextFault::TooDeep));
    let long = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
    assert!(read(&long(1024 * 1024)).is_ok());
    assert_eq!(read(&long(1024 * 1024 + 1)), Err(ContextFault::TooLong));
}

#[test]
fn nothing_of_the_client_is_in_what_is_said_of_its_context() {
    for json in [r#"{"secret":secret}"#, r#"{"secret" "secret"}"#, r#"["secret"]"#, r#"{"a":"secret\x"}"#] {
        let arena = Arena::new();
        let fault = Context::parse(json, &arena).unwrap_err();
        assert!(!format!("{fault} {fault:?}").contains("secret"), "{json}");
    }
    let arena = Arena::new();
    assert!(!format!("{:?}", Context::parse(r#"{"secret":"secret"}"#, &arena).unwrap()).contains("secret"));
}

#[test]
fn the_memory_of_a_context_stays_within_a_small_multiple_of_its_text() {
    for element in ["{},", r#"{"a":1},"#, "[1],", "1,", r#""","#] {
        let count = 1_000_000 / element.len();
        let json = format!(r#"{{"a":[{}1]}}"#, element.repeat(count));
        let arena = Arena::new();
        let context = Context::parse(&json, &arena).unwrap();
        assert_eq!(context.root().as_object().unwrap()[0].1.as_array().unwrap().len(), count + 1);
        assert!(arena.held() < 64 << 20, "{element}: {}", arena.held());
    }
}

#[test]
fn an_arena_is_used_again_and_keeps_little() {
    let mut arena = Arena::new();
    for round in 0..100 {
        let context = Context::parse(&json!({"n": round, "s": "x".repeat(100_000)}).to_string(), &arena).unwrap();
        let ruleset = colours(&json!({"if": [{"==": [{"var": "n"}, round]}, "blue", "green"]}));
        assert_eq!(told(ruleset.flag(KEY).unwrap(), &context), "blue TARGETING_MATCH");
        arena.reset();
    }
    assert!(arena.held() <= 512 * 1024, "{}", arena.held());
    assert_eq!(told(colours(&json!({"var": "a"})).flag(KEY).unwrap(), &Context::empty(&arena)), "red DEFAULT");
}
