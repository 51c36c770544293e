use super::RefreshFailure::{NotConsumed, Rejected, Revoked, Unknown};
use super::*;

fn outcome(status: u16, body: &str) -> Result<Refreshed, RefreshFailure> {
    read_answer(status, body.as_bytes(), None)
}

fn failure(status: u16, body: &str) -> Option<RefreshFailure> {
    outcome(status, body).err()
}

/// A good answer with these further members.
fn with(members: &str) -> Result<Refreshed, RefreshFailure> {
    outcome(200, &format!(r#"{{"access_token":"fresh"{members}}}"#))
}

fn seconds(number: u64) -> Option<Duration> {
    Some(Duration::from_secs(number))
}

#[test]
fn the_example_of_the_standard_is_read() {
    let body = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600,
        "refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","example_parameter":"example_value","scope":"read write"}"#;
    let read = outcome(200, body).unwrap();
    assert_eq!(read.access_token.expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(read.refresh_token.unwrap().expose(), "tGzv3JOkF0XG5Qx2TlKWIA");
    assert_eq!(read.token_type.as_deref(), Some("example"));
    assert_eq!(read.expires_in, seconds(3600));
    assert_eq!(read.scopes.unwrap(), ["read", "write"]);
}

#[test]
fn an_access_token_is_all_that_is_needed() {
    let bare = with("").unwrap();
    assert_eq!(bare.access_token.expose(), "fresh");
    assert!(bare.refresh_token.is_none() && bare.token_type.is_none());
    assert_eq!((bare.expires_in, bare.scopes), (None, None));
    assert!(outcome(201, r#"{"access_token":"fresh"}"#).is_ok());
}

#[test]
fn an_answer_without_a_token_that_can_be_kept_is_as_good_as_lost() {
    let long = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(LONGEST_TOKEN + 1));
    for body in [
        "",
        "{}",
        "null",
        "[]",
        r#"["fresh"]"#,
        r#""fresh""#,
        "<html>canary</html>",
        "access_token=fresh&scope=repo",
        r#"{"access_token":"fresh""#,
        r#"{"access_token":"fresh"} trailing"#,
        r#"{"access_token":""}"#,
        r#"{"access_token":null}"#,
        r#"{"access_token":7}"#,
        r#"{"access_token":{"value":"fresh"}}"#,
        r#"{"access_token":"fresh","access_token":"again"}"#,
        r#"{"access_token":"\ud800"}"#,
        r#"{"access_token":"fresh","refresh_token":7}"#,
        &long,
    ] {
        assert_eq!(failure(200, body), Some(Unknown), "{body:.60}");
    }
    assert_eq!(read_answer(200, b"{\"access_token\":\"\xff\"}", None).err(), Some(Unknown));
    let longest = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(LONGEST_TOKEN));
    assert!(outcome(200, &longest).is_ok());
}

#[test]
fn a_lifetime_is_whole_seconds_in_any_of_the_ways_in_which_providers_write_them() {
    for (text, expected) in [
        ("0", seconds(0)),
        ("3600", seconds(3600)),
        ("3600.0", seconds(3600)),
        ("3.6e3", seconds(3600)),
        (r#""3600""#, seconds(3600)),
        (r#""0""#, seconds(0)),
        ("null", None),
        ("18446744073709551615", Some(LONGEST_LIFETIME)),
        ("99999999999999999999999", Some(LONGEST_LIFETIME)),
        ("1e300", Some(LONGEST_LIFETIME)),
        (r#""99999999999999999999999""#, Some(LONGEST_LIFETIME)),
    ] {
        assert_eq!(with(&format!(r#","expires_in":{text}"#)).unwrap().expires_in, expected, "{text}");
    }
    for text in ["-1", "-1e3", "1.5", r#""""#, r#""-1""#, r#""1.5""#, r#""1h""#, r#""soon""#, "true", "[3600]", "{}"] {
        assert_eq!(with(&format!(r#","expires_in":{text}"#)).err(), Some(Unknown), "{text}");
    }
}

#[test]
fn what_nothing_depends_on_may_be_anything() {
    let long = format!(r#""{}""#, "a".repeat(257));
    for value in ["null", "7", "true", "{}", r#""""#, r#""a\nb""#, &long] {
        let read = with(&format!(r#","token_type":{value},"scope":{value},"error":{value},"more":{value}"#)).unwrap();
        assert_eq!((read.token_type, read.scopes), (None, None), "{value:.20}");
    }
    for (scope, expected) in [
        (r#""a""#, Some(vec!["a"])),
        (r#"" a  b ""#, Some(vec!["a", "b"])),
        (r#""repo,gist""#, Some(vec!["repo,gist"])),
        (r#"["a","b c"]"#, Some(vec!["a", "b c"])),
        (r#"[]"#, None),
        (r#"["a",7]"#, None),
        (r#"["a",""]"#, None),
        (r#"" ""#, None),
    ] {
        let read = with(&format!(r#","scope":{scope}"#)).unwrap().scopes;
        assert_eq!(read, expected.map(|words| words.into_iter().map(str::to_owned).collect()), "{scope}");
    }
    assert!(with(r#","refresh_token":"""#).unwrap().refresh_token.is_none());
    assert!(with(r#","refresh_token":null"#).unwrap().refresh_token.is_none());
}

#[test]
fn a_refresh_token_that_is_worth_nothing_is_told_from_every_other_refusal() {
    for status in [400, 401] {
        assert_eq!(failure(status, r#"{"error":"invalid_grant","error_description":"canary"}"#), Some(Revoked));
        for code in CODES {
            assert_eq!(failure(status, &format!(r#"{{"error":"{code}"}}"#)), Some(Rejected(code)));
        }
        for body in ["", "canary", "{}", r#"{"error":"canary"}"#, r#"{"error":{"message":"invalid_grant"}}"#, "[]"] {
            assert_eq!(failure(status, body), Some(Rejected("other")), "{body}");
        }
        // A token in a refusal is none.
        assert_eq!(failure(status, r#"{"access_token":"a","error":"invalid_grant"}"#), Some(Revoked));
    }
}

#[test]
fn a_refusal_with_a_status_of_success_is_one() {
    assert_eq!(failure(200, r#"{"error":"bad_refresh_token","error_uri":"canary"}"#), Some(Revoked));
    assert_eq!(failure(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#), Some(Revoked));
    assert_eq!(failure(200, r#"{"error":"invalid_client"}"#), Some(Rejected("invalid_client")));
    assert_eq!(failure(200, r#"{"error":"canary"}"#), Some(Rejected("other")));
    assert!(with(r#","error":"""#).is_ok());
}

#[test]
fn a_status_says_what_became_of_the_refresh_token() {
    let good = r#"{"access_token":"a","error":"invalid_grant"}"#;
    let wait = Some(Duration::from_secs(7));
    for status in [429, 503] {
        assert_eq!(read_answer(status, good.as_bytes(), wait).err(), Some(NotConsumed { retry_after: wait }));
        assert_eq!(failure(status, ""), Some(NotConsumed { retry_after: None }));
    }
    for status in [408, 500, 501, 502, 504, 520, 599, 999] {
        assert_eq!(failure(status, good), Some(Unknown), "{status}");
    }
    for status in [100, 301, 302, 307, 308, 402, 403, 404, 405, 409, 413, 422] {
        assert_eq!(failure(status, good), Some(Rejected("other")), "{status}");
    }
}

#[test]
fn nothing_that_the_provider_said_is_shown() {
    let body = r#"{"access_token":"canary","refresh_token":"canary","token_type":"canary","scope":"canary"}"#;
    assert!(!format!("{:?}", outcome(200, body).unwrap()).contains("canary"));
    for status in [200, 400, 500] {
        let said = failure(status, r#"{"error":"canary","error_description":"canary"}"#).unwrap();
        assert!(!format!("{said} {said:?}").contains("canary"), "{said:?}");
    }
}
