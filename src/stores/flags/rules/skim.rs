//! Goes over JSON text (RFC 8259) without making anything of it: a request for one flag brings a context of which its rule
//! looks at a member or two, and of the others it has only to be known that they are JSON. What is taken is what serde_json
//! takes when it ignores a value, for half of what that costs.
//!
//! Each function takes what is left of a text, which is UTF-8, and gives what is left of it then; nothing where it is not as it
//! should be.

/// A string as it is written between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written<'a> {
    pub(super) text: &'a [u8],
    /// Whether it means something else than it says.
    pub(super) has_escapes: bool,
}

/// What `left` was before, up to `left`.
pub(super) fn up_to<'a>(before: &'a [u8], left: &[u8]) -> Option<&'a [u8]> {
    before.get(..before.len().checked_sub(left.len())?)
}

/// Goes over space.
#[inline(always)]
pub(super) fn space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\t' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

/// Goes over an object, and has `member` go over each value: it gets the name and what is left from the value on.
#[inline(always)]
pub(super) fn members<'a>(
    text: &'a [u8],
    mut member: impl FnMut(Written<'a>, &'a [u8]) -> Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    let mut rest = space(text.strip_prefix(b"{")?);
    if let [b'}', rest @ ..] = rest {
        return Some(rest);
    }
    loop {
        let (written, value) = name(rest)?;
        rest = match space(member(written, value)?) {
            [b',', rest @ ..] => space(rest),
            [b'}', rest @ ..] => return Some(rest),
            _ => return None,
        };
    }
}

/// Goes over a value.
#[inline(always)]
pub(super) fn value(text: &[u8]) -> Option<&[u8]> {
    if let [b'{' | b'[', ..] = text { nested(text) } else { scalar(text) }
}

/// Goes over a value that is neither an object nor an array.
#[inline(always)]
fn scalar(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"', rest @ ..] => string(rest).map(|(_, rest)| rest),
        _ => plain(text),
    }
}

/// Goes over an object or an array: without a call per level, of which there may be any number.
fn nested(text: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut open) = (text, Vec::new());
    loop {
        rest = match rest {
            [bracket @ (b'{' | b'['), inner @ ..] => {
                // Each closes two places after it in ASCII.
                let (closing, inner) = (bracket + 2, space(inner));
                match inner {
                    [first, behind @ ..] if *first == closing => behind,
                    _ => {
                        open.push(closing);
                        rest = enter(inner, closing)?;
                        continue;
                    }
                }
            }
            _ => scalar(rest)?,
        };
        // A value ends here, and with it whatever closes.
        loop {
            let Some(closing) = open.last().copied() else { return Some(rest) };
            match space(rest) {
                [b',', behind @ ..] => {
                    rest = enter(space(behind), closing)?;
                    break;
                }
                [byte, behind @ ..] if *byte == closing => {
                    open.pop();
                    rest = behind;
                }
                _ => return None,
            }
        }
    }
}

/// Goes to the next value in an array, or in an object, where its name comes first.
fn enter(text: &[u8], closing: u8) -> Option<&[u8]> {
    if closing == b'}' { name(text).map(|(_, rest)| rest) } else { Some(text) }
}

/// Goes over a name to its value.
#[inline(always)]
fn name(text: &[u8]) -> Option<(Written<'_>, &[u8])> {
    let (name, rest) = string(text.strip_prefix(b"\"")?)?;
    Some((name, space(space(rest).strip_prefix(b":")?)))
}

/// Goes over a string whose first quote is behind.
#[inline(always)]
fn string(text: &[u8]) -> Option<(Written<'_>, &[u8])> {
    let (mut rest, mut has_escapes) = (text, false);
    loop {
        // Eight bytes at a time while there are so many.
        let ordinary = rest.first_chunk().map_or(0, |eight| ordinary(u64::from_le_bytes(*eight)));
        rest = rest.get(ordinary..)?;
        match rest {
            [b'"', behind @ ..] => return Some((Written { text: up_to(text, rest)?, has_escapes }, behind)),
            [b'\\', behind @ ..] => {
                has_escapes = true;
                rest = escape(behind)?;
            }
            [0..=0x1F, ..] | [] => return None,
            [_, behind @ ..] => rest = behind,
        }
    }
}

/// How many of these eight bytes, the lowest first, come before a quote, a backslash or a control character.
fn ordinary(eight: u64) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // The lowest byte that is below `limit` has its high bit set in this; of those above it, any may have.
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(ONES * u64::from(limit)) & !bytes;
    let is = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    let found = (below(eight, b' ') | is(b'"') | is(b'\\')) & HIGH;
    found.trailing_zeros() as usize / 8
}

/// Goes over what is behind a backslash.
fn escape(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => Some(rest),
        [b'u', a, b, c, d, rest @ ..] => [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()).then_some(rest),
        _ => None,
    }
}

/// Goes over a number, `true`, `false` or `null`.
fn plain(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b't', b'r', b'u', b'e', rest @ ..]
        | [b'f', b'a', b'l', b's', b'e', rest @ ..]
        | [b'n', b'u', b'l', b'l', rest @ ..] => Some(rest),
        [b'-', b'0', rest @ ..] | [b'0', rest @ ..] => fraction(rest),
        [b'-', rest @ ..] | rest => fraction(digits(rest)?),
    }
}

/// Goes over what may be behind the whole part of a number.
fn fraction(text: &[u8]) -> Option<&[u8]> {
    let rest = if let [b'.', rest @ ..] = text { digits(rest)? } else { text };
    match rest {
        [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => digits(rest),
        _ => Some(rest),
    }
}

/// Goes over digits, of which there must be one.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    while let [b'0'..=b'9', behind @ ..] = rest {
        rest = behind;
    }
    (rest.len() < text.len()).then_some(rest)
}
