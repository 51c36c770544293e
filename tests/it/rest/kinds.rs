//! The kinds of fault that a REST endpoint, and what stands before it, can have; and what is made of each.

use super::*;

/// What becomes of a batch.
#[derive(Debug)]
pub enum Fate {
    /// It fails as a whole, with this.
    Fails(Error),
    /// It is answered, and each of its commands was refused with this.
    EachRefused(&'static str),
    /// It is answered, with nothing for its first command.
    FirstNothing,
    /// It is served.
    Served,
}

/// One kind of fault.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub fault: Fault,
    pub fate: Fate,
    /// Whether the fate is known when the time is over, and not before.
    pub hangs: bool,
}

/// Longer than anybody waits.
const LATE: Duration = Duration::from_secs(4);
pub const HUGE: usize = 100 * 1024 * 1024;
const HTML: &str = "<html><body><h1>Oops</h1>canary-7f3a at 10.1.2.3</body></html>";
const JSON_ERROR: &str = r#"{"error":"ERR canary-7f3a is not well"}"#;

fn kind(name: &'static str, fault: Fault, error: ErrorKind, delivery: Delivery) -> Kind {
    Kind { name, fault, fate: Fate::Fails(Error::new(error, delivery)), hangs: false }
}

fn hang(name: &'static str, fault: Fault) -> Kind {
    Kind { hangs: true, ..kind(name, fault, ErrorKind::TimedOut, Delivery::Unknown) }
}

fn broken(name: &'static str, fault: Fault, rule: &'static str) -> Kind {
    kind(name, fault, ErrorKind::Protocol(rule), Delivery::Unknown)
}

fn lost(name: &'static str, fault: Fault) -> Kind {
    kind(name, fault, ErrorKind::Disconnected, Delivery::Unknown)
}

fn status(status: u16, headers: &[(&'static str, &str)], body: &str) -> Fault {
    let canary = ("x-served-by", CANARY);
    let headers = headers.iter().chain([&canary]).map(|(name, value)| (*name, (*value).to_owned())).collect();
    Fault::Answer { status, headers, body: body.into() }
}

fn throttled(name: &'static str, retry_after: Option<&str>, understood: Option<u64>) -> Kind {
    let headers: Vec<_> = retry_after.iter().map(|value| ("retry-after", *value)).collect();
    let retry_after = understood.map(Duration::from_secs);
    kind(name, status(429, &headers, JSON_ERROR), ErrorKind::Throttled { retry_after }, Delivery::NotSent)
}

/// All of them. `elsewhere` is where redirects lead.
pub fn kinds(elsewhere: &str) -> Vec<Kind> {
    let refused = ErrorKind::Refused(Refusal::from_line("ERR canary-7f3a is not well"));
    let (no_reason, not_json) = ("a status of failure without its reason", "the answer is not JSON of its form");
    let (count, too_long) = ("the number of results is not that of the commands", "the answer is longer than allowed");
    let not_ours = "the answer is not that of this request";
    let redirect = |code| status(code, &[("location", elsewhere)], HTML);
    vec![
        throttled("429", None, None),
        throttled("429, retry after 7", Some("7"), Some(7)),
        throttled("429, retry after 0", Some("0"), Some(0)),
        throttled("429, retry after a year", Some("31536000"), Some(60)),
        throttled("429, retry after the end of time", Some("99999999999999999999999999"), Some(60)),
        throttled("429, retry after less than nothing", Some("-5"), None),
        throttled("429, retry after a date", Some("Fri, 31 Dec 1999 23:59:59 GMT"), None),
        kind("400", status(400, &[], JSON_ERROR), refused.clone(), Delivery::Answered),
        broken("400 in HTML", status(400, &[], HTML), no_reason),
        kind(
            "401",
            status(401, &[("www-authenticate", "Bearer")], JSON_ERROR),
            ErrorKind::Forbidden,
            Delivery::Answered,
        ),
        kind("403", status(403, &[], HTML), ErrorKind::Forbidden, Delivery::Answered),
        kind("500", status(500, &[], JSON_ERROR), refused, Delivery::Unknown),
        broken("500 in HTML", status(500, &[], HTML), no_reason),
        broken("502", status(502, &[], HTML), no_reason),
        broken("503", status(503, &[("retry-after", "99999")], HTML), no_reason),
        broken("504", status(504, &[], ""), no_reason),
        lost("closed before it ran", Fault::HangUpBefore),
        lost("closed after it ran", Fault::HangUpAfter),
        lost("reset before it ran", Fault::ResetBefore),
        lost("reset after it ran", Fault::ResetAfter),
        lost("closed within the body", Fault::Truncated),
        lost("not HTTP", Fault::Raw(b"220 canary-7f3a ESMTP ready\r\n".to_vec())),
        broken("HTML with 200", status(200, &[("content-type", "text/html")], HTML), not_json),
        broken("half the JSON", Fault::HalfTheJson, not_json),
        broken("one result less", Fault::OneResultLess, count),
        broken("one result more", Fault::OneResultMore, count),
        Kind {
            name: "an item's error",
            fault: Fault::RefuseEach("ERR canary-7f3a"),
            fate: Fate::EachRefused("ERR canary-7f3a"),
            hangs: false,
        },
        Kind { name: "null", fault: Fault::FirstResult("null"), fate: Fate::FirstNothing, hangs: false },
        broken("null for everything", Fault::EachResult("null"), not_ours),
        broken("the answer to the request before", Fault::Stale, not_ours),
        broken("beyond 64 bits", Fault::EachResult("18446744073709551615"), "a number is beyond 64 bits"),
        broken("beyond a double", Fault::EachResult("1e308"), "a number is not an integer of 64 bits"),
        broken("bad base64", Fault::EachResult("\"canary-7f3a!\""), "a text is not base64"),
        broken("gzip bomb", Fault::GzipBomb(1), not_json),
        broken("100 MB announced", Fault::Announce(HUGE as u64), too_long),
        broken("100 MB", Fault::Bulky(HUGE as u64), too_long),
        broken("100 MB of spaces in chunks", Fault::Flood(HUGE), too_long),
        broken(
            "endless chunks",
            Fault::FloodOf { start: r#"[{"result":""#, piece: "AAAA", bytes: usize::MAX },
            too_long,
        ),
        hang("one byte a second", Fault::Drip(Duration::from_secs(1))),
        hang("a body that never comes", Fault::Announce(100)),
        broken("redirect", redirect(307), "a redirect, which is not followed"),
        broken("redirect for good", redirect(301), "a redirect, which is not followed"),
        hang("late, and runs late", Fault::DelayBefore(LATE)),
        hang("late, though it ran", Fault::DelayAfter(LATE)),
        Kind { name: "answered twice", fault: Fault::Twice(Duration::ZERO), fate: Fate::Served, hangs: false },
        Kind {
            name: "answered again later",
            fault: Fault::Twice(Duration::from_millis(20)),
            fate: Fate::Served,
            hangs: false,
        },
    ]
}
