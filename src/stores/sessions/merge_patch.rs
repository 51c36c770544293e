//! JSON merge patch (RFC 7396) on text: what a patch does not touch keeps its exact text, so that no number
//! is rounded and no escape rewritten on the way.

use crate::base::json_object::DEEPEST;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;

/// Applies `patch` to `target`, both JSON texts. Nothing if either is not JSON, or the patch nests too deep: each of
/// its levels is a call and a scan of what lies below it.
pub fn merged(target: &str, patch: &str) -> Option<String> {
    let mut out = String::with_capacity(target.len() + patch.len());
    merge(Some(target), patch, DEEPEST, &mut out)?;
    Some(out)
}

/// A member of the result: its name as it was written, and where its value comes from.
struct Member<'a> {
    name: &'a str,
    value: Source<'a>,
}

enum Source<'a> {
    Removed,
    Kept(&'a str),
    Merged { target: Option<&'a str>, patch: &'a str },
}

fn merge(target: Option<&str>, patch: &str, depth: usize, out: &mut String) -> Option<()> {
    let patch = patch.trim_ascii();
    if !patch.starts_with('{') {
        out.push_str(patch);
        return Some(());
    }
    let depth = depth.checked_sub(1)?;
    let mut members: Vec<Member<'_>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    if let Some(target) = target.map(str::trim_ascii).filter(|target| target.starts_with('{')) {
        for (name, value) in Members::parse(target)?.0 {
            // A name that stands twice means its last value.
            if let Some(earlier) = places.insert(decoded(name), members.len()) {
                members.get_mut(earlier)?.value = Source::Removed;
            }
            members.push(Member { name, value: Source::Kept(value) });
        }
    }
    for (name, patch) in Members::parse(patch)?.0 {
        let place = *places.entry(decoded(name)).or_insert_with(|| {
            members.push(Member { name, value: Source::Removed });
            members.len() - 1
        });
        let member = members.get_mut(place)?;
        let target = match member.value {
            Source::Kept(value) => Some(value),
            // The patch has the name twice: its last value counts, on what was there before the patch.
            Source::Merged { target, .. } => target,
            Source::Removed => None,
        };
        member.value = if patch == "null" { Source::Removed } else { Source::Merged { target, patch } };
    }
    let mut separator = '{';
    for member in &members {
        if matches!(member.value, Source::Removed) {
            continue;
        }
        out.push(separator);
        separator = ',';
        out.push_str(member.name);
        out.push(':');
        match member.value {
            Source::Kept(value) => out.push_str(value),
            Source::Merged { target, patch } => merge(target, patch, depth, out)?,
            Source::Removed => {}
        }
    }
    if separator == '{' {
        out.push('{');
    }
    out.push('}');
    Some(())
}

/// A name without quotes and escapes, or as it was written where its escapes make no text.
fn decoded(name: &str) -> String {
    serde_json::from_str(name).unwrap_or_else(|_| name.to_owned())
}

/// The members of an object, names and values as they were written.
struct Members<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Members<'a> {
    fn parse(object: &'a str) -> Option<Members<'a>> {
        serde_json::from_str(object).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(&'de str, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    members.push((name.get(), value.get()));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    /// The definition in section 2 of the RFC.
    fn defined(target: Value, patch: Value) -> Value {
        let Value::Object(patch) = patch else { return patch };
        let mut result = match target {
            Value::Object(target) => target,
            _ => Map::new(),
        };
        for (name, value) in patch {
            if value.is_null() {
                result.remove(&name);
            } else {
                let before = result.remove(&name).unwrap_or(Value::Null);
                result.insert(name, defined(before, value));
            }
        }
        Value::Object(result)
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_examples_of_appendix_a_hold() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, r#"null"#, r#"null"#),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merged(target, patch).as_deref(), Some(result), "{target} {patch}");
            assert_eq!(defined(read(target), read(patch)), read(result));
        }
    }

    #[test]
    fn what_is_not_touched_keeps_its_text() {
        let target =
            r#"{ "n" : 1.50e+2, "big":123456789012345678901234567890 , "t\u0061g":"\u00e9\/" , "x": [ 1,  2 ] }"#;
        assert_eq!(
            merged(target, r#"{"tag":null,"y":2.0}"#).unwrap(),
            r#"{"n":1.50e+2,"big":123456789012345678901234567890,"x":[ 1,  2 ],"y":2.0}"#
        );
    }

    #[test]
    fn a_name_that_stands_twice_means_its_last_value() {
        assert_eq!(merged(r#"{"a":1,"b":2,"a":3}"#, r#"{"c":4}"#).unwrap(), r#"{"b":2,"a":3,"c":4}"#);
        assert_eq!(merged(r#"{"a":{"x":1}}"#, r#"{"a":5,"a":{"y":2}}"#).unwrap(), r#"{"a":{"x":1,"y":2}}"#);
    }

    #[test]
    fn a_patch_that_nests_without_end_is_refused() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(merged("{}", &nested(DEEPEST)).is_some());
        assert!(merged("{}", &nested(DEEPEST + 1)).is_none());
        assert!(merged("{}", &nested(100_000)).is_none());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c\"\\\\é]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("[a-c\"\\\\é]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_the_rfc_defines(target in any_json(), patch in any_json()) {
            let result = merged(&target.to_string(), &patch.to_string()).unwrap();
            prop_assert_eq!(read(&result), defined(target, patch));
        }

        #[test]
        fn no_text_makes_it_fail(target in "[\\[\\]{}:,\"a1 ]{0,12}", patch in "[\\[\\]{}:,\"a1 ]{0,12}") {
            let both = serde_json::from_str::<Value>(&target).is_ok() && serde_json::from_str::<Value>(&patch).is_ok();
            prop_assert!(!both || merged(&target, &patch).is_some());
        }
    }

    #[test]
    fn the_definition_used_here_bites() {
        assert_eq!(defined(json!({"a": 1}), json!({"a": null, "b": {"c": null}})), json!({"b": {}}));
    }
}
