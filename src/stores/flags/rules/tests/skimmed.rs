//! What is JSON and what is not, without making anything of it.

use super::super::skim;
use proptest::prelude::*;
use serde::de::IgnoredAny;

/// Whether both say that it is JSON, which must be the same.
fn is_json(text: &str) -> bool {
    let begin = skim::space(text.as_bytes());
    let rest = skim::value(begin);
    let ours = rest.is_some_and(|rest| skim::space(rest).is_empty());
    let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
    assert_eq!(ours, theirs, "{text:?}");
    let value = rest.and_then(|rest| skim::up_to(begin, rest));
    assert!(!ours || value == Some(text.trim_matches([' ', '\n', '\t', '\r']).as_bytes()), "{text:?}: {value:?}");
    ours
}

#[test]
fn what_is_json_is_gone_over_and_nothing_else() {
    for text in [
        "{}",
        " [ ] ",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.5e+10",
        "12E9",
        "1e-999",
        r#""""#,
        r#""\ud800""#,
        "\"\u{7f}é\u{10ffff}\"",
        r#"{"a":{"b":[{},[],"\\\"\/\b\f\n\r\t\u00Ff"]},"":[1,{"x":null}]}"#,
        "\t{ \"a\" :\r\n[ 1 , 2 ] , \"b\" : { \"c\" : 3 } } ",
    ] {
        assert!(is_json(text), "{text}");
    }
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[}",
        "{]",
        "[1}",
        r#"{"a":1]"#,
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        "{1:2}",
        "{a:1}",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "tru",
        "truth",
        "nul",
        "Null",
        "1 2",
        "{}{}",
        "[[]",
        "[]]",
        "\"",
        "\"\\\"",
        r#""\x""#,
        r#""\u12g4""#,
        r#""\u123""#,
        "\"\n\"",
        "\"\u{0}\"",
        "\u{feff}1",
        "'a'",
        "\u{a0}1",
        "NaN",
        "-Infinity",
        "/**/1",
    ] {
        assert!(!is_json(text), "{text}");
    }
    let nested = |depth| format!("{}{}", "[{\"a\":".repeat(depth), "[]".to_owned() + &"}]".repeat(depth));
    assert!(is_json(&nested(100_000)), "to any depth");
}

#[test]
fn the_members_of_an_object_are_told_as_they_are_written() {
    let (text, mut told) = (br#"{"a" : 1 , "\u0061":[{"b":2}],"a":{}} "#, Vec::new());
    let rest = skim::members(text, |name, value| {
        let rest = skim::value(value)?;
        told.push([name.text, if name.has_escapes { b"escaped" } else { b"plain" }, skim::up_to(value, rest)?]);
        Some(rest)
    });
    assert_eq!(rest, Some(&b" "[..]));
    let told: Vec<_> = told.iter().map(|one| one.map(|part| std::str::from_utf8(part).unwrap())).collect();
    assert_eq!(told, [["a", "plain", "1"], ["\\u0061", "escaped", r#"[{"b":2}]"#], ["a", "plain", "{}"]]);
    for text in ["", "[]", "{", r#"{"a":1"#, r#"{"a":1,}"#, r#"{"a":1 "b":2}"#, r#"{"a"}"#, "{1:2}"] {
        assert!(skim::members(text.as_bytes(), |_, value| skim::value(value)).is_none(), "{text}");
    }
}

/// JSON, and what is almost JSON.
fn texts() -> impl Strategy<Value = String> {
    const PARTS: [&str; 28] = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\"a\"", "\"\\n\"", "\\u00e9", "\\ud800", "0", "1", "12", "-", ".",
        "e", "+", "true", "false", "null", " ", "\n", "x", "é", "\u{1}", "\u{2028}",
    ];
    let part = prop::sample::select(&PARTS[..]);
    let leaf = prop_oneof![
        Just("1.5e3".to_owned()),
        Just("\"s\\\"t\"".to_owned()),
        Just("null".to_owned()),
        Just("{}".to_owned())
    ];
    let json = leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[ {} ]", all.join(" ,"))),
            prop::collection::vec(inner, 1..4).prop_map(|all| format!("{{\"m\" :{}}}", all.join(",\"n\": "))),
        ]
    });
    let broken = (json.clone(), any::<prop::sample::Index>(), part.clone()).prop_map(|(mut json, at, part)| {
        let places: Vec<usize> = json.char_indices().map(|(at, _)| at).collect();
        json.insert_str(*at.get(&places), part);
        json
    });
    prop_oneof![json, broken, prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn what_means_something_in_a_string_is_found_wherever_it_is(text in "[ -~é\"\\\\\u{1f}]{0,40}") {
        is_json(&format!("\"{text}\""));
    }

    #[test]
    fn json_is_what_serde_json_takes_for_it(text in texts()) {
        is_json(&text);
    }
}
