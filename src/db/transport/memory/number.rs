//! Numbers as Redis reads and writes them: stricter than Rust about integers, looser about the bounds of
//! a range, and with C's `%.17g` for scores.

use super::refusal::{NOT_A_FLOAT, NOT_AN_INTEGER, refuse};
use crate::db::Refusal;

/// An integer as Redis takes it: no plus sign, no leading zero, no space.
pub(super) fn integer(bytes: &[u8]) -> Result<i64, Refusal> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let canonical = match digits {
        [b'0'] => digits.len() == bytes.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    match std::str::from_utf8(bytes).ok().filter(|_| canonical).and_then(|text| text.parse().ok()) {
        Some(number) => Ok(number),
        None => refuse(NOT_AN_INTEGER),
    }
}

/// A score: any number that a `f64` can hold, or an infinity, but not a number too large or too small for it.
pub(super) fn score(bytes: &[u8]) -> Result<f64, Refusal> {
    let Some(number) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<f64>().ok()) else {
        return refuse(NOT_A_FLOAT);
    };
    let overflown = number.is_infinite() && bytes.iter().any(u8::is_ascii_digit);
    let mantissa = bytes.split(|b| matches!(b, b'e' | b'E')).next().unwrap_or_default();
    let underflown = number == 0.0 && mantissa.iter().any(|b| (b'1'..=b'9').contains(b));
    // Redis keeps -0 in large sets and loses it in small ones; here it is 0 everywhere.
    if number.is_nan() || overflown || underflown { refuse(NOT_A_FLOAT) } else { Ok(number + 0.0) }
}

/// One end of a range of scores. C's `strtod` reads it, so it may be empty or start with a space, and a
/// number out of range is an infinity.
pub(super) fn bound(bytes: &[u8]) -> Option<f64> {
    let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let text = std::str::from_utf8(text).ok()?.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    text.parse::<f64>().ok().filter(|number| !number.is_nan())
}

/// Writes a score like C's `%.17g`: 17 significant digits, without the zeros at the end.
pub(super) fn written(number: f64) -> String {
    const DIGITS: i32 = 17;
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if number.fract() == 0.0 && number.abs() < 1e17 {
        return format!("{number:.0}");
    }
    let scientific = format!("{number:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let places = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        without_zeros(&format!("{number:.places$}")).to_owned()
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs())
    }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_their_one_canonical_form() {
        for (text, number) in
            [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(integer(text.as_bytes()), Ok(number));
        }
        for text in ["", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "9223372036854775808", "\u{661}"] {
            assert!(integer(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn scores_are_written_as_c_writes_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (0.1, "0.10000000000000001"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(written(number), text);
        }
    }

    #[test]
    fn a_score_out_of_range_is_refused_and_a_bound_is_not() {
        for text in ["1e400", "-1e400", "1e-400", "nan", "", " 1", "1 ", "e"] {
            assert!(score(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(score(b"-inf"), Ok(f64::NEG_INFINITY));
        assert_eq!(score(b"0e5"), Ok(0.0));
        assert_eq!(bound(b"1e400"), Some(f64::INFINITY));
        assert_eq!(bound(b""), Some(0.0));
        assert_eq!(bound(b" 2"), Some(2.0));
        assert_eq!(bound(b"nan"), None);
    }
}
