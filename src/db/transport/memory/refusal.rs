//! What Redis 7.0 says when it refuses, word for word: clients tell errors apart by these lines.

use crate::db::Refusal;
use crate::db::reply::Reply;
use bytes::Bytes;

/// What a command answers.
pub(super) type Answer = Result<Reply, Refusal>;

pub(super) const SYNTAX: &str = "ERR syntax error";
pub(super) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const NOT_A_FLOAT: &str = "ERR value is not a valid float";
pub(super) const NOT_A_SCORE_RANGE: &str = "ERR min or max is not a float";
pub(super) const NOT_A_LEX_RANGE: &str = "ERR min or max not valid string range item";
pub(super) const NOT_A_NUMBER: &str = "ERR resulting score is not a number (NaN)";
pub(super) const NO_SUCH_KEY: &str = "ERR no such key";
pub(super) const OVERFLOW: &str = "ERR increment or decrement would overflow";
pub(super) const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
pub(super) const CROSS_SLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";
pub(super) const TOO_MANY_KEYS: &str = "ERR Number of keys can't be greater than number of args";
pub(super) const NEGATIVE_KEYS: &str = "ERR Number of keys can't be negative";
pub(super) const INVALID_CURSOR: &str = "ERR invalid cursor";
pub(super) const NO_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";

/// A refusal in these words.
pub(super) fn refuse<T>(line: &str) -> Result<T, Refusal> {
    Err(Refusal::from_line(line))
}

/// Too few or too many arguments for the command of this name, in lower case.
pub(super) fn wrong_arity(name: &str) -> Refusal {
    Refusal::from_line(&format!("ERR wrong number of arguments for '{name}' command"))
}

/// A command that this backend does not know. Quotes the beginning of it, as Redis does.
pub(super) fn unknown_command(args: &[Bytes]) -> Refusal {
    const MOST: usize = 128;
    let (name, rest) = args.split_first().map_or((&[][..], args), |(name, rest)| (&name[..], rest));
    let mut quoted = Vec::new();
    for arg in rest {
        if quoted.len() >= MOST {
            break;
        }
        let room = MOST - quoted.len();
        quoted.push(b'\'');
        quoted.extend(arg.iter().take(room));
        quoted.extend(b"' ");
    }
    let name = String::from_utf8_lossy(name.get(..MOST).unwrap_or(name));
    let quoted = String::from_utf8_lossy(&quoted);
    let line = format!("ERR unknown command '{name}', with args beginning with: {quoted}");
    Refusal::from_line(&line.replace(['\r', '\n'], " "))
}
