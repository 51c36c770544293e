//! What may be said to the backend. This file is the list: a command that is not made here is not used,
//! neither by a store nor by a script, so that every backend can know them all.

use super::channel::Channel;
use super::key::Key;
use super::operation;
use super::script::Script;
use crate::base::deadline::Deadline;
use bytes::Bytes;
use std::time::Duration;

/// Every Redis command that stores and scripts may use. The memory backend implements exactly these.
pub const COMMANDS: &[&str] = &[
    "DEL",
    "EXISTS",
    "GET",
    "HDEL",
    "HGET",
    "HGETALL",
    "HMGET",
    "HSET",
    "INCR",
    "INFO",
    "PEXPIREAT",
    "PTTL",
    "PUBLISH",
    "RENAME",
    "SCAN",
    "SET",
    "SLOWLOG",
    "TIME",
    "UNLINK",
    "ZADD",
    "ZCARD",
    "ZCOUNT",
    "ZRANGE",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "ZSCORE",
];

/// What repeating a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing is written.
    Read,
    /// Doing it twice is the same as doing it once.
    Idempotent,
    /// Doing it twice is not the same as doing it once. What stores say of this kind are scripts, whose commands
    /// are operations and so [`Effect::Idempotent`], unless a script says [`Script::at_most_once`].
    Once,
}

/// How long a value lives from when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Until it is deleted.
    Never,
    /// This long, at least a millisecond.
    After(Duration),
}

/// One command with its arguments.
#[derive(Clone)]
pub struct Command {
    args: Vec<Bytes>,
    effect: Effect,
    script: Option<&'static Script>,
}

impl Command {
    fn new(name: &'static str, effect: Effect, room: usize) -> Self {
        let mut args = Vec::with_capacity(room + 1);
        args.push(Bytes::from_static(name.as_bytes()));
        Command { args, effect, script: None }
    }

    fn key(mut self, key: &Key) -> Self {
        self.args.push(key.as_bytes().clone());
        self
    }

    /// Appends an argument: of a script, and of nothing else from outside this module.
    pub fn arg(mut self, arg: impl Into<Bytes>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Appends a number as an argument.
    pub fn number(self, number: impl Into<i128>) -> Self {
        self.arg(number.into().to_string())
    }

    /// The backend's clock: `[seconds, microseconds]`.
    pub fn time() -> Self {
        Command::new("TIME", Effect::Read, 0)
    }

    /// What the backend tells of itself: lines of text, in sections.
    pub(super) fn info() -> Self {
        Command::new("INFO", Effect::Read, 0)
    }

    /// The last commands that the backend found slow, so many at most: an array of entries, with what clients sent.
    pub(super) fn slow_log(most: u32) -> Self {
        Command::new("SLOWLOG", Effect::Read, 2).arg(Bytes::from_static(b"GET")).number(most)
    }

    /// The value, or nothing.
    pub fn get(key: &Key) -> Self {
        Command::new("GET", Effect::Read, 1).key(key)
    }

    /// Stores a value over whatever was there: `OK`.
    pub fn set(key: &Key, value: impl Into<Bytes>, expiry: Expiry) -> Self {
        Command::new("SET", Effect::Idempotent, 5).key(key).arg(value).expiring(expiry)
    }

    /// Stores a value where there is none: `OK`, or nothing when there was one, which may be this very value
    /// when the command was repeated: whoever must know gives it something random of its own.
    pub fn set_if_absent(key: &Key, value: impl Into<Bytes>, expiry: Expiry) -> Self {
        let mut command = Command::new("SET", Effect::Idempotent, 5).key(key).arg(value).expiring(expiry);
        command.args.push(Bytes::from_static(b"NX"));
        command
    }

    fn expiring(self, expiry: Expiry) -> Self {
        match expiry {
            Expiry::Never => self,
            Expiry::After(time) => {
                let millis = i128::try_from(time.as_millis()).unwrap_or(i128::MAX).max(1);
                self.arg(Bytes::from_static(b"PX")).number(millis)
            }
        }
    }

    /// Deletes the key: how many there were, 0 or 1.
    pub fn del(key: &Key) -> Self {
        Command::new("DEL", Effect::Idempotent, 1).key(key)
    }

    /// Looks at about `count` keys of the database from a cursor on: where it goes on, `0` at the end, and those of the
    /// keys that match.
    pub(super) fn scan(cursor: &str, pattern: impl Into<Bytes>, count: u32) -> Self {
        Command::new("SCAN", Effect::Read, 5)
            .arg(cursor.to_owned())
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .number(count)
    }

    /// One field of a hash, whatever its name: its value, or nothing.
    pub fn hget(key: &Key, field: &str) -> Self {
        Command::new("HGET", Effect::Read, 2).key(key).arg(field.to_owned())
    }

    /// Tells whoever listens to the channel: how many heard it, of those that the answering node of a cluster knows. A
    /// message is JSON, and so one line of text whatever it says, which is all that every backend carries; one of more
    /// than [`MAX_MESSAGE_BYTES`](super::transport::MAX_MESSAGE_BYTES) makes listeners start again in its place.
    ///
    /// It counts as idempotent: a message says that something changed, and to look twice is no harm. A message that was
    /// not repeated and got lost would cost more.
    pub fn publish(channel: &Channel, message: &serde_json::Value) -> Self {
        let channel = channel.as_str().to_owned();
        Command::new("PUBLISH", Effect::Idempotent, 2).arg(channel).arg(message.to_string())
    }

    /// The named fields of a hash, in order, each a value or nothing.
    pub fn hmget(key: &Key, fields: &[&'static str]) -> Self {
        let mut command = Command::new("HMGET", Effect::Read, fields.len() + 1).key(key);
        command.args.extend(fields.iter().map(|field| Bytes::from_static(field.as_bytes())));
        command
    }

    /// At most `limit` members of a sorted set whose scores are all equal, in ascending order of their
    /// bytes, from after `after`.
    pub fn zrange_after(key: &Key, after: Option<&str>, limit: usize) -> Self {
        let from = after.map_or_else(|| Bytes::from_static(b"-"), |member| Bytes::from(format!("({member}")));
        Command::new("ZRANGE", Effect::Read, 7).key(key).arg(from).arg("+").arg("BYLEX").limit(limit)
    }

    /// At most `limit` members of a sorted set whose scores are all equal, in descending order of their
    /// bytes, from below `below`.
    pub fn zrange_below(key: &Key, below: Option<&str>, limit: usize) -> Self {
        let from = below.map_or_else(|| Bytes::from_static(b"+"), |member| Bytes::from(format!("({member}")));
        Command::new("ZRANGE", Effect::Read, 8).key(key).arg(from).arg("-").arg("BYLEX").arg("REV").limit(limit)
    }

    fn limit(self, limit: usize) -> Self {
        self.arg("LIMIT").arg("0").number(limit as i128)
    }

    /// All members of a sorted set with a score above `score`, lowest first.
    pub fn zrange_scored_above(key: &Key, score: u64) -> Self {
        Command::new("ZRANGE", Effect::Read, 4).key(key).arg(format!("({score}")).arg("+inf").arg("BYSCORE")
    }

    /// At most `limit` members of a sorted set with a score of at least `score`, each followed by its score, lowest first.
    pub fn zrange_scored_from(key: &Key, score: u64, limit: usize) -> Self {
        let command = Command::new("ZRANGE", Effect::Read, 8).key(key).arg(score.to_string()).arg("+inf");
        command.arg("BYSCORE").limit(limit).arg("WITHSCORES")
    }

    /// At most `limit` members of a sorted set with a score of at most `score`, lowest first.
    pub fn zrange_scored_to(key: &Key, score: u64, limit: usize) -> Self {
        let command = Command::new("ZRANGE", Effect::Read, 7).key(key).arg("-inf").arg(score.to_string());
        command.arg("BYSCORE").limit(limit)
    }

    /// Takes a member out of a sorted set: how many there were, 0 or 1.
    pub fn zrem(key: &Key, member: &str) -> Self {
        Command::new("ZREM", Effect::Idempotent, 2).key(key).arg(member.to_owned())
    }

    /// How many members of a sorted set have this score.
    pub fn zcount_scored(key: &Key, score: u64) -> Self {
        Command::new("ZCOUNT", Effect::Read, 3).key(key).number(score).number(score)
    }

    /// At most `limit` members of a sorted set with a score below `score`, lowest first, past the first `skip`.
    pub fn zrange_scored_below(key: &Key, score: u64, skip: u64, limit: usize) -> Self {
        let command = Command::new("ZRANGE", Effect::Read, 7).key(key).arg("-inf").arg(format!("({score}"));
        command.arg("BYSCORE").arg("LIMIT").number(skip).number(limit as i128)
    }

    /// All members of a sorted set, each followed by its score, lowest first.
    pub fn zrange_with_scores(key: &Key) -> Self {
        Command::new("ZRANGE", Effect::Read, 4).key(key).arg("0").arg("-1").arg("WITHSCORES")
    }

    /// The member of a sorted set with the lowest score above `score`, and that score; nothing if there is none.
    pub fn zrange_next_scored(key: &Key, score: u64) -> Self {
        let command = Command::new("ZRANGE", Effect::Read, 8).key(key).arg(format!("({score}")).arg("+inf");
        command.arg("BYSCORE").limit(1).arg("WITHSCORES")
    }

    /// Runs a script over these keys, which must lie in one partition; its arguments follow with [`Command::arg`].
    /// A script that must act once becomes an operation: this command may be repeated, and a second one like
    /// it is another operation.
    pub fn script(script: &'static Script, keys: &[&Key]) -> Self {
        let once = script.is_operation();
        let operation = keys.first().filter(|_| once).and_then(|key| operation::key_beside(key.as_bytes()));
        let (count, effect) = match (once, &operation) {
            (true, Some(_)) => ((keys.len() + 1).to_string(), Effect::Idempotent),
            // Without a key or randomness there is no operation. This count is one that every backend refuses.
            (true, None) => ("-1".to_owned(), Effect::Once),
            (false, _) => (keys.len().to_string(), script.effect()),
        };
        let mut args = Vec::with_capacity(keys.len() + 16);
        args.push(Bytes::from_static(b"EVALSHA"));
        args.push(Bytes::from_static(script.sha1().as_bytes()));
        args.push(Bytes::from(count));
        args.extend(keys.iter().map(|key| key.as_bytes().clone()));
        args.extend(operation);
        Command { args, effect, script: Some(script) }
    }

    /// The command and its arguments as they go over the wire. A script goes by its digest.
    pub fn args(&self) -> &[Bytes] {
        &self.args
    }

    /// What repeating it does.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The script that it runs, if it runs one.
    pub fn running(&self) -> Option<&'static Script> {
        self.script
    }

    /// A command from raw parts; for the conformance suite, which says everything that scripts may say.
    #[cfg(feature = "testing")]
    pub fn raw(effect: Effect, args: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        Command { args: args.into_iter().map(Into::into).collect(), effect, script: None }
    }
}

/// Commands that travel together.
///
/// The commands of a batch that is not atomic must not depend on one another: they are sent in order, but
/// one that the backend did not run yet (an unknown script, say) may be repeated after the others.
#[derive(Clone)]
pub struct Batch {
    commands: Vec<Command>,
    atomic: bool,
    deadline: Deadline,
}

impl Batch {
    /// One command.
    pub fn one(command: Command) -> Self {
        Batch::pipeline(vec![command])
    }

    /// Several independent commands in one round trip.
    pub fn pipeline(commands: Vec<Command>) -> Self {
        Batch { commands, atomic: false, deadline: Deadline::NONE }
    }

    /// Several commands in one transaction: all run, in order, with nothing between them.
    pub fn atomic(commands: Vec<Command>) -> Self {
        Batch { commands, atomic: true, deadline: Deadline::NONE }
    }

    /// The same, for somebody who waits until then.
    pub fn by(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Until when somebody waits for it.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The commands, in order.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Whether it is a transaction.
    pub fn is_atomic(&self) -> bool {
        self.atomic
    }

    /// What repeating the whole batch does: the worst of its commands.
    pub fn effect(&self) -> Effect {
        self.commands.iter().map(Command::effect).max().unwrap_or(Effect::Read)
    }
}
