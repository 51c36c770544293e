//! RESP2 on the wire (Redis serialization protocol specification): commands as arrays of bulk strings, and
//! replies, found in whatever pieces they arrive and then taken without copying.

use crate::db::error::Refusal;
use crate::db::reply::Reply;
use bytes::{Buf, Bytes, BytesMut};

/// The most bytes of one value: no Redis keeps a longer one, so a peer that announces it is broken.
const MAX_VALUE_BYTES: usize = 512 * 1024 * 1024;
/// How deep replies may nest. Scripts of ours answer two levels.
const MAX_DEPTH: usize = 32;

/// The peer broke the protocol; says which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken(pub(super) &'static str);

/// Appends a command.
pub(super) fn encode<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut BytesMut) {
    header(b'*', args.len(), out);
    for arg in args {
        header(b'$', arg.len(), out);
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

fn header(kind: u8, number: usize, out: &mut BytesMut) {
    let mut digits = [0u8; 20];
    let (mut rest, mut used) = (number, 0);
    for digit in digits.iter_mut().rev() {
        // `rest % 10` is a digit.
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&[kind]);
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// Finds where the reply at the start of a buffer ends, without looking at any byte of it twice.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Where the next line begins or, within a value, where that ends.
    position: usize,
    is_in_value: bool,
    /// For each array that is open, how many of its items are still to come.
    open: Vec<usize>,
}

impl Scanner {
    /// The length of the first reply in `buffer`, once all of it is there. Between two calls the buffer may
    /// only have grown at its end, or been shortened by [`Scanner::skip`].
    pub(super) fn scan(&mut self, buffer: &[u8]) -> Result<Option<usize>, Broken> {
        loop {
            if self.is_in_value {
                if buffer.len() < self.position {
                    return Ok(None);
                }
                self.is_in_value = false;
            } else {
                let Some((kind, number, after)) = self.head(buffer)? else { return Ok(None) };
                self.position = after;
                if kind == b'$' && number >= 0 {
                    let length = usize::try_from(number).ok().filter(|length| *length <= MAX_VALUE_BYTES);
                    self.position += length.ok_or(Broken("a value was too long"))? + 2;
                    self.is_in_value = true;
                    continue;
                }
                if kind == b'*' && number > 0 {
                    if self.open.len() == MAX_DEPTH {
                        return Err(Broken("an answer nested too deep"));
                    }
                    self.open.push(usize::try_from(number).map_err(|_| Broken("a length was out of range"))?);
                    continue;
                }
            }
            if self.item_ended() {
                let length = self.position;
                self.position = 0;
                return Ok(Some(length));
            }
        }
    }

    /// How many bytes the reply at the start of the buffer has at least, of which so many are there.
    pub(super) fn known(&self, there: usize) -> usize {
        self.position.max(there)
    }

    /// Throws away what was seen of a reply that is not wanted. What [`Scanner::scan`] finds of it is its rest.
    pub(super) fn skip(&mut self, buffer: &mut BytesMut) {
        let seen = self.position.min(buffer.len());
        buffer.advance(seen);
        self.position -= seen;
    }

    /// The type and number of the line at the position, and where it ends; nothing while it is incomplete.
    fn head(&self, buffer: &[u8]) -> Result<Option<(u8, i64, usize)>, Broken> {
        let line = buffer.get(self.position..).unwrap_or_default();
        let Some(end) = line_end(line) else {
            let too_long = line.len() > 64 * 1024;
            return if too_long { Err(Broken("a line had no end")) } else { Ok(None) };
        };
        let (kind, text) = line.get(..end).and_then(<[u8]>::split_first).ok_or(Broken("a line was empty"))?;
        let number = match kind {
            b'+' | b'-' => 0,
            b':' | b'$' | b'*' => decimal(text).ok_or(Broken("a number was none"))?,
            _ => return Err(Broken("a type was unknown")),
        };
        Ok(Some((*kind, number, self.position + end + 2)))
    }

    /// Counts an item of the innermost array, which may end that and those around it; whether all has ended.
    fn item_ended(&mut self) -> bool {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }
}

fn decimal(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The reply that `frame` is, whose extent a [`Scanner`] has found. Values are slices of it.
pub(super) fn take(frame: &Bytes) -> Result<Reply, Broken> {
    take_at(frame, &mut 0)
}

fn take_at(frame: &Bytes, position: &mut usize) -> Result<Reply, Broken> {
    let rest = frame.get(*position..).unwrap_or_default();
    let end = line_end(rest).ok_or(Broken("a line had no end"))?;
    let (kind, text) = rest.get(..end).and_then(<[u8]>::split_first).ok_or(Broken("a line was empty"))?;
    *position += end + 2;
    Ok(match kind {
        b'+' => Reply::Status(String::from_utf8_lossy(text).into_owned()),
        b'-' => Reply::Refused(Refusal::from_line(&String::from_utf8_lossy(text))),
        b':' => Reply::Int(decimal(text).ok_or(Broken("a number was none"))?),
        b'$' | b'*' => match (kind, usize::try_from(decimal(text).unwrap_or(-1))) {
            (_, Err(_)) => Reply::Nil,
            (b'$', Ok(length)) => {
                let start = *position;
                if frame.len() < start + length + 2 {
                    return Err(Broken("a value was cut off"));
                }
                *position += length + 2;
                Reply::Bulk(frame.slice(start..start + length))
            }
            (_, Ok(items)) => Reply::Array((0..items).map(|_| take_at(frame, position)).collect::<Result<_, _>>()?),
        },
        _ => return Err(Broken("a type was unknown")),
    })
}

/// Where the first line of a text ends. Lines are short, but for errors and statuses just a number.
fn line_end(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == b'\r')?;
        match text.get(at + 1) {
            Some(b'\n') => return Some(at),
            _ => from = at + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            Just(Reply::Nil),
            any::<i64>().prop_map(Reply::Int),
            "[A-Za-z ]{0,8}".prop_map(Reply::Status),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Reply::Bulk(bytes.into())),
            "[A-Z]{1,6} [a-z ]{0,8}".prop_map(|line| Reply::Refused(Refusal::from_line(&line))),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| prop::collection::vec(inner, 0..5).prop_map(Reply::Array))
    }

    fn written(reply: &Reply) -> Vec<u8> {
        match reply {
            Reply::Nil => b"$-1\r\n".to_vec(),
            Reply::Int(number) => format!(":{number}\r\n").into_bytes(),
            Reply::Status(text) => format!("+{text}\r\n").into_bytes(),
            Reply::Refused(refusal) => format!("-{}\r\n", refusal.line()).into_bytes(),
            Reply::Bulk(bytes) => [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
            Reply::Array(items) => {
                let items: Vec<u8> = items.iter().flat_map(written).collect();
                let head = if let Reply::Array(all) = reply { format!("*{}\r\n", all.len()) } else { String::new() };
                [head.into_bytes(), items].concat()
            }
        }
    }

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = BytesMut::new();
        encode([b"SET".as_slice(), b"", b"0123456789"].into_iter(), &mut out);
        assert_eq!(out, "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$10\r\n0123456789\r\n");
    }

    #[test]
    fn a_peer_that_breaks_the_protocol_is_found_out() {
        for bad in [&b"?\r\n"[..], b":x\r\n", b"$99999999999\r\n", b"\r\n", b"*x\r\n", b"$-x\r\n", b":\r\n"] {
            assert!(Scanner::default().scan(bad).is_err(), "{}", bad.escape_ascii());
        }
        assert_eq!(Scanner::default().scan(&b"*1\r\n".repeat(MAX_DEPTH + 1)), Err(Broken("an answer nested too deep")));
        assert_eq!(Scanner::default().scan(&[b'+'; 70_000]), Err(Broken("a line had no end")));
    }

    proptest! {
        #[test]
        fn replies_are_found_however_they_are_cut(replies in prop::collection::vec(reply(), 1..5), cuts in prop::collection::vec(1usize..9, 1..200)) {
            let stream: Vec<u8> = replies.iter().flat_map(written).collect();
            let (mut buffer, mut scanner, mut found) = (BytesMut::new(), Scanner::default(), Vec::new());
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                rest = after;
                buffer.extend_from_slice(piece);
                while let Some(length) = scanner.scan(&buffer).unwrap() {
                    found.push(take(&buffer.split_to(length).freeze()).unwrap());
                }
            }
            prop_assert_eq!(found, replies);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn a_reply_that_is_skipped_takes_no_room_and_nothing_of_the_next(skipped in reply(), next in reply(), cuts in prop::collection::vec(1usize..9, 1..200)) {
            let stream = [written(&skipped), written(&next)].concat();
            let (mut buffer, mut scanner, mut skipping) = (BytesMut::new(), Scanner::default(), true);
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.into_iter().cycle());
            let mut found = None;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                rest = after;
                buffer.extend_from_slice(piece);
                while let Some(length) = scanner.scan(&buffer).unwrap() {
                    let frame = buffer.split_to(length).freeze();
                    found = if skipping { None } else { Some(take(&frame).unwrap()) };
                    skipping = false;
                }
                if skipping {
                    scanner.skip(&mut buffer);
                    // What is left is the beginning of one line.
                    prop_assert!(buffer.len() < 24, "{}", buffer.len());
                }
            }
            prop_assert_eq!(found, Some(next));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1')], 0..60)) {
            if let Ok(Some(length)) = Scanner::default().scan(&bytes) {
                prop_assert!(length <= bytes.len());
                drop(take(&Bytes::from(bytes).slice(..length)));
            }
        }
    }
}
