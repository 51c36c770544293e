//! The slow log of a backend: which commands it took long over. An entry there holds what clients sent, so the name of the
//! command is all of that which is taken over, and only where it is a word that can be nothing else.

use super::command::Command;
use super::database::SystemDb;
use super::error::Error;
use super::reply::Reply;
use crate::base::clock::Timestamp;
use std::cmp::Reverse;
use std::time::Duration;

/// The most entries that are asked for and told.
const MOST: u32 = 10;
/// The longest name of a command that is taken over; Redis has none as long that is a plain word.
const LONGEST_NAME: usize = 24;
/// What stands for any other name: of a module's command, say, or one that was renamed to be a secret.
const OTHER: &str = "OTHER";

/// A command that the backend found slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowCommand {
    /// When it ran, by the backend's clock, to the second.
    pub at: Timestamp,
    /// How long the backend did nothing else.
    pub took: Duration,
    /// Its name in upper case, or `OTHER`. Never an argument.
    pub name: String,
}

impl SystemDb {
    /// Asks the backend for its last slow commands, the newest first. Many refuse that.
    pub(super) async fn slow_log(&self) -> Result<Vec<SlowCommand>, Error> {
        parse(self.run(Command::slow_log(MOST)).await?)
    }
}

/// Reads the answer to `SLOWLOG GET`: entries of an id, seconds, microseconds, the command, and whatever follows. One
/// that is not of this form is left out, as a part of `INFO` is: a report is no reason to fail.
fn parse(reply: Reply) -> Result<Vec<SlowCommand>, Error> {
    let mut commands: Vec<SlowCommand> = reply.array()?.into_iter().filter_map(SlowCommand::of).collect();
    // Redis has this order already, and within a second it knows more: the sort is stable.
    commands.sort_by_key(|command| Reverse(command.at));
    commands.truncate(MOST as usize);
    Ok(commands)
}

impl SlowCommand {
    fn of(entry: Reply) -> Option<SlowCommand> {
        let mut parts = entry.array().ok()?.into_iter().skip(1);
        let (seconds, micros) = (parts.next()?.count().ok()?, parts.next()?.count().ok()?);
        let words = parts.next()?.array().ok()?;
        Some(SlowCommand {
            at: Timestamp::from_millis(seconds.saturating_mul(1000)),
            took: Duration::from_micros(micros),
            name: words.into_iter().next().and_then(plain_name).unwrap_or_else(|| OTHER.to_owned()),
        })
    }
}

fn plain_name(word: Reply) -> Option<String> {
    let name = word.text().ok()?;
    let is_plain = (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_plain.then(|| name.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Refusal;
    use proptest::prelude::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.to_owned().into())
    }

    /// As Redis has it: with the client's address and name behind the command.
    fn entry(seconds: i64, micros: i64, words: &[&str]) -> Reply {
        let words = Reply::Array(words.iter().map(|word| bulk(word)).collect());
        let client = [bulk("canary.example:7000"), bulk("canary-client")];
        Reply::Array(
            [Reply::Int(7), Reply::Int(seconds), Reply::Int(micros), words].into_iter().chain(client).collect(),
        )
    }

    fn names(entries: Vec<Reply>) -> Vec<String> {
        parse(Reply::Array(entries)).unwrap().into_iter().map(|command| command.name).collect()
    }

    #[test]
    fn of_an_entry_nothing_is_taken_over_but_time_duration_and_name() {
        let found = parse(Reply::Array(vec![entry(1_700_000_000, 150_001, &["evalsha", "canary", "1", "canary"])]));
        let at = Timestamp::from_millis(1_700_000_000_000);
        let expected = SlowCommand { at, took: Duration::from_micros(150_001), name: "EVALSHA".to_owned() };
        assert_eq!(found, Ok(vec![expected]));
    }

    #[test]
    fn a_name_that_is_not_a_plain_word_is_told_as_other() {
        let long = "a".repeat(LONGEST_NAME + 1);
        for name in ["", "canary-1", "json.get", "b840fc02d5", "GET canary", "\u{e9}t\u{e9}", "a\0", &long] {
            assert_eq!(names(vec![entry(1, 1, &[name, "canary"])]), [OTHER], "{name}");
        }
        assert_eq!(names(vec![entry(1, 1, &[])]), [OTHER]);
        let unreadable = Reply::Array(vec![Reply::Bulk(bytes::Bytes::from_static(b"\xff")), bulk("canary")]);
        let nested = Reply::Array(vec![Reply::Array(vec![bulk("canary")])]);
        for words in [unreadable, nested] {
            assert_eq!(names(vec![Reply::Array(vec![Reply::Nil, Reply::Int(1), Reply::Int(1), words])]), [OTHER]);
        }
    }

    #[test]
    fn the_newest_ten_are_told_and_of_one_second_in_the_order_that_they_came() {
        let entries = (0..12).map(|seconds| entry(seconds, seconds, &["GET"])).collect();
        let found = parse(Reply::Array(entries)).unwrap();
        let seconds: Vec<u64> = found.iter().map(|command| command.at.as_millis() / 1000).collect();
        assert_eq!(seconds, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
        assert_eq!(names(vec![entry(5, 1, &["a"]), entry(5, 1, &["b"]), entry(6, 1, &["c"])]), ["C", "A", "B"]);
    }

    #[test]
    fn what_is_not_of_its_form_is_left_out_and_a_refusal_is_none() {
        let words = || Reply::Array(vec![bulk("get")]);
        let hostile = vec![
            Reply::Nil,
            Reply::Array(Vec::new()),
            Reply::Array(vec![Reply::Int(1), Reply::Int(1), Reply::Int(1)]),
            Reply::Array(vec![Reply::Int(1), Reply::Int(1), words()]),
            Reply::Array(vec![Reply::Int(1), Reply::Int(1), Reply::Int(1), bulk("canary")]),
            Reply::Array(vec![Reply::Int(1), Reply::Refused(Refusal::from_line("ERR canary")), Reply::Int(1), words()]),
            entry(-1, 1, &["get"]),
            entry(1, -1, &["get"]),
            entry(i64::MAX, i64::MAX, &["set"]),
        ];
        assert_eq!(names(hostile), ["SET"]);
        assert_eq!(parse(Reply::Nil), Err(Error::unexpected("an array")));
        let refusal = || Refusal::from_line("NOPERM canary");
        assert_eq!(parse(Reply::Refused(refusal())), Err(refusal().into()));
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            Just(Reply::Nil),
            any::<i64>().prop_map(Reply::Int),
            any::<String>().prop_map(Reply::Status),
            any::<Vec<u8>>().prop_map(|bytes| Reply::Bulk(bytes.into())),
            "(get|SET|canary-[0-9]|[0-9]{1,3})".prop_map(|text| bulk(&text)),
            "(ERR|NOPERM) canary".prop_map(|line| Reply::Refused(Refusal::from_line(&line))),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| prop::collection::vec(inner, 0..8).prop_map(Reply::Array))
    }

    /// Mostly well-formed, so that more than nothing is read of it.
    fn any_entry() -> impl Strategy<Value = Reply> {
        let words = prop::collection::vec(any_reply(), 0..4).prop_map(Reply::Array);
        let whole = (any_reply(), any::<i64>(), any::<i64>(), words, prop::collection::vec(any_reply(), 0..3));
        let whole = whole.prop_map(|(id, seconds, micros, words, rest)| {
            Reply::Array([id, Reply::Int(seconds), Reply::Int(micros), words].into_iter().chain(rest).collect())
        });
        prop_oneof![3 => whole, 1 => any_reply()]
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused_and_told_in_bounds(
            reply in prop_oneof![
                any_reply(),
                prop::collection::vec(any_entry(), 0..16).prop_map(Reply::Array),
            ],
        ) {
            let Ok(found) = parse(reply) else { return Ok(()) };
            prop_assert!(found.len() <= MOST as usize);
            prop_assert!(found.is_sorted_by(|before, after| before.at >= after.at));
            for command in found {
                prop_assert!((1..=LONGEST_NAME).contains(&command.name.len()), "{}", command.name);
                prop_assert!(command.name.bytes().all(|byte| byte.is_ascii_uppercase()), "{}", command.name);
            }
        }
    }
}
