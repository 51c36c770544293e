//! One command of a batch, looked up: a command of the table, or a script with its keys and arguments.

use super::commands::Specification;
use super::refusal::{Answer, NEGATIVE_KEYS, NO_SCRIPT, TOO_MANY_KEYS, refuse, wrong_arity};
use super::table::Table;
use super::{lua, number};
use crate::db::{Command, Refusal};
use bytes::Bytes;

/// What is to be run.
pub(super) enum Request<'a> {
    Command { specification: &'static Specification, args: &'a [Bytes] },
    Script { digest: &'a Bytes, text: &'a str, keys: &'a [Bytes], args: &'a [Bytes] },
}

impl<'a> Request<'a> {
    /// Looks a command up, and refuses what Redis would not even queue.
    pub fn parse(command: &'a Command) -> Result<Self, Refusal> {
        let args = command.args();
        let is = |name: &[u8]| args.first().is_some_and(|first| first.eq_ignore_ascii_case(name));
        if is(b"EVALSHA") {
            return Request::script(args, command.running().map(|script| script.text()), "evalsha");
        }
        // So that the conformance suite can say any text; stores and other scripts only know `Script`.
        #[cfg(feature = "testing")]
        if is(b"EVAL") {
            let text = args.get(1).and_then(|text| std::str::from_utf8(text).ok());
            return Request::script(args, text, "eval");
        }
        Ok(Request::Command { specification: Specification::of(args)?, args })
    }

    fn script(args: &'a [Bytes], text: Option<&'a str>, name: &str) -> Result<Self, Refusal> {
        let [_, digest, count, rest @ ..] = args else { return Err(wrong_arity(name)) };
        let count = number::integer(count)?;
        let Ok(count) = usize::try_from(count) else { return refuse(NEGATIVE_KEYS) };
        let Some((keys, args)) = rest.split_at_checked(count) else { return refuse(TOO_MANY_KEYS) };
        let Some(text) = text else { return refuse(NO_SCRIPT) };
        Ok(Request::Script { digest, text, keys, args })
    }

    /// The keys that it names.
    pub fn keys(&self) -> &'a [Bytes] {
        match self {
            Request::Command { specification, args } => specification.keys(args),
            Request::Script { keys, .. } => keys,
        }
    }

    /// The arguments of a `SCAN`, which is about every table and not about one.
    pub fn scan(&self) -> Option<&'a [Bytes]> {
        match self {
            Request::Command { specification, args } if specification.name == "SCAN" => Some(args),
            _ => None,
        }
    }

    /// The arguments of an `INFO`, likewise.
    pub fn info(&self) -> Option<&'a [Bytes]> {
        match self {
            Request::Command { specification, args } if specification.name == "INFO" => Some(args),
            _ => None,
        }
    }

    /// Runs it on the table that has its keys.
    pub fn run(&self, table: &mut Table) -> Answer {
        match self {
            Request::Command { specification, args } => specification.run(table, args),
            Request::Script { digest, text, keys, args } => lua::run(table, digest, text, keys, args),
        }
    }
}
