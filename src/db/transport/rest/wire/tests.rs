use super::*;
use proptest::prelude::*;

fn body(commands: &[&[&[u8]]]) -> Result<String, ErrorKind> {
    let mut body = Vec::new();
    for command in commands {
        push_command(&mut body, command.iter().copied())?;
    }
    Ok(String::from_utf8(body).unwrap() + "]")
}

fn one(result: &str) -> Result<Reply, Error> {
    replies(200, format!("[{{\"result\":{result}}}]").as_bytes(), 1).map(|mut all| all.pop().unwrap())
}

fn rule(status: u16, body: &str) -> &'static str {
    match replies(status, body.as_bytes(), 1) {
        Err(Error { kind: ErrorKind::Protocol(rule), delivery: Delivery::Unknown }) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_are_arrays_of_strings_whatever_they_hold() {
    assert_eq!(body(&[&[b"GET", b"k"], &[b"SET", b"k", "7\"\n\u{0}é".as_bytes()]]).unwrap(), {
        r#"[["GET","k"],["SET","k","7\"\n\u0000é"]]"#
    });
    assert_eq!(body(&[&[]]).unwrap(), "[[]]");
    assert!(matches!(body(&[&[b"GET", b"\xff"]]), Err(ErrorKind::Protocol(_))));
}

#[test]
fn every_shape_of_resp2_is_read() {
    assert_eq!(one("null"), Ok(Reply::Nil));
    assert_eq!(one("-3"), Ok(Reply::Int(-3)));
    assert_eq!(one("\"OK\""), Ok(Reply::Status("OK".into())));
    assert_eq!(one("\"T0s=\""), Ok(Reply::Bulk("OK".into())));
    assert_eq!(one("\"\""), Ok(Reply::Bulk("".into())));
    assert_eq!(one("\"/wA=\""), Ok(Reply::Bulk(b"\xff\0".as_slice().into())));
    assert_eq!(one("\"\\u0054\\u0030s=\""), Ok(Reply::Bulk("OK".into())));
    let nested = Reply::Array(vec![Reply::Array(vec![Reply::Nil]), Reply::Status("OK".into()), Reply::Int(1)]);
    assert_eq!(one("[[null],\"OK\",1]"), Ok(nested));
}

#[test]
fn integers_are_exact_as_numbers_and_as_text() {
    assert_eq!(one("9007199254740993").unwrap().int(), Ok(9_007_199_254_740_993));
    assert_eq!(one("\"OTAwNzE5OTI1NDc0MDk5Mw==\"").unwrap().int(), Ok(9_007_199_254_740_993));
    assert_eq!(one("9223372036854775807").unwrap().int(), Ok(i64::MAX));
    assert_eq!(one("-9223372036854775808").unwrap().int(), Ok(i64::MIN));
}

#[test]
fn what_redis_never_says_is_an_error_and_not_a_guess() {
    for result in ["9223372036854775808", "1e999", "1.5", "1e3", "true", "{}", "\"abcde\"", "\"é\"", "[1,true]"] {
        let error = one(result).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Protocol(_)), "{result}");
        assert_eq!(error.delivery, Delivery::Unknown, "{result}");
    }
    assert_eq!(rule(200, "[{}]"), "an item has neither a result nor an error");
    assert_eq!(rule(200, "{\"result\":1}"), "the answer is one result in place of a list");
    assert_eq!(rule(200, "[{\"result\":1}] x"), "something follows the answer");
    assert_eq!(rule(200, "[{\"result\":\"secret!\"}]"), "a text is not base64");
    for garbage in ["", "[", "[{\"result\":1}", "null", "7", "\"OK\"", "<html>", "[1]", "[[]]", "[{\"error\":5}]"] {
        assert_eq!(rule(200, garbage), "the answer is not JSON of its form", "{garbage}");
    }
}

#[test]
fn as_many_results_as_commands_or_none() {
    for wrong in ["[]", "[{\"result\":1},{\"result\":2}]"] {
        assert_eq!(rule(200, wrong), "the number of results is not that of the commands");
    }
}

#[test]
fn more_values_than_fit_are_refused_before_they_are_kept() {
    let many = format!("[{{\"result\":[{}1]}}]", "1,".repeat(MAX_VALUES));
    assert_eq!(rule(200, &many), "the answer has too many values");
    let deep = format!("[{{\"result\":{}1{}}}]", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(rule(200, &deep), "the answer is not JSON of its form");
}

#[test]
fn an_items_error_is_its_reply_and_the_others_stay() {
    let body = br#"[{"result":1},{"error":"WRONGTYPE x"},{"result":null,"error":null}]"#;
    let expected = [Reply::Int(1), Reply::Refused(Refusal::from_line("WRONGTYPE x")), Reply::Nil];
    assert_eq!(replies(200, body, 3).unwrap(), expected);
}

#[test]
fn a_refusal_of_everything_says_how_far_it_got() {
    let refused = |status, line: &str| {
        let error = replies(status, format!("{{\"error\":\"{line}\"}}").as_bytes(), 1).unwrap_err();
        (error.kind, error.delivery)
    };
    let kind = |line| ErrorKind::Refused(Refusal::from_line(line));
    assert_eq!(refused(400, "ERR x"), (kind("ERR x"), Delivery::Answered));
    assert_eq!(refused(200, "ERR x"), (kind("ERR x"), Delivery::Answered));
    assert_eq!(refused(400, "LOADING x"), (kind("LOADING x"), Delivery::NotSent));
    assert_eq!(refused(500, "ERR x"), (kind("ERR x"), Delivery::Unknown));
    assert_eq!(refused(400, "OOM x"), (ErrorKind::Full, Delivery::Answered));
}

#[test]
fn a_failure_without_a_reason_has_an_unknown_fate() {
    assert_eq!(rule(502, "<html>"), "a status of failure without its reason");
    assert_eq!(rule(500, "[{\"result\":1}]"), "a status of failure without its reason");
    assert_eq!(rule(307, ""), "a redirect, which is not followed");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(status in 100u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(replies(status, &body, 1).is_ok_and(|all| all.len() == 1) || replies(status, &body, 1).is_err());
    }

    #[test]
    fn arbitrary_json_like_text_never_panics(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "[", "]", "{", "}", "\"result\":", "\"error\":", "\"OK\"", "\"T0s=\"", "\"A\"", ",", "1", "-",
                "null", "true", "1e400", "\"\\ud800\"", "\\", " ",
            ]),
            0..40,
        ),
        expected in 0usize..4,
    ) {
        if let Ok(replies) = replies(200, parts.concat().as_bytes(), expected) {
            prop_assert_eq!(replies.len(), expected);
        }
    }

    #[test]
    fn any_bytes_come_back_as_they_were(value in prop::collection::vec(any::<u8>(), 0..100)) {
        let result = format!("\"{}\"", STANDARD.encode(&value));
        prop_assert_eq!(one(&result), Ok(Reply::Bulk(value.into())));
    }
}
