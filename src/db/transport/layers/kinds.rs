//! What a call to the backend says and how it ends, in few enough words to be labels: never a key, a script's arguments
//! or what a server wrote.

use crate::db::command::{Batch, Command};
use crate::db::error::{Error, ErrorKind};
use crate::db::reply::Reply;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($variant,)* }

        impl $name {
            /// How many there are.
            pub(super) const COUNT: usize = [$($name::$variant),*].len();

            /// The word for it.
            pub(super) fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// A family of commands, or how several travel together.
    Kind {
        Get => "get",
        Set => "set",
        Hash => "hash",
        SortedSet => "sorted_set",
        Key => "key",
        Script => "script",
        Publish => "publish",
        Scan => "scan",
        Server => "server",
        Pipeline => "pipeline",
        Transaction => "transaction",
        Other => "other",
    }
}

words! {
    /// How a command or a call ended.
    Outcome {
        Ok => "ok",
        Refused => "refused",
        TimedOut => "timed_out",
        Unreachable => "unreachable",
        Disconnected => "disconnected",
        Throttled => "throttled",
        Failed => "failed",
    }
}

impl Kind {
    /// Of one command.
    pub(super) fn of(command: &Command) -> Kind {
        let Some(name) = command.args().first() else { return Kind::Other };
        const FAMILIES: &[(&[&str], Kind)] = &[
            (&["GET"], Kind::Get),
            (&["EVALSHA"], Kind::Script),
            (&["HMGET", "HGET", "HGETALL", "HSET", "HDEL"], Kind::Hash),
            (&["SET", "INCR"], Kind::Set),
            (&["ZRANGE", "ZADD", "ZCARD", "ZCOUNT", "ZREM", "ZREMRANGEBYSCORE", "ZSCORE"], Kind::SortedSet),
            (&["DEL", "UNLINK", "EXISTS", "PEXPIREAT", "PTTL", "RENAME"], Kind::Key),
            (&["PUBLISH"], Kind::Publish),
            (&["SCAN"], Kind::Scan),
            (&["TIME", "INFO", "SLOWLOG"], Kind::Server),
        ];
        let has = |names: &[&str]| names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
        FAMILIES.iter().find(|(names, _)| has(names)).map_or(Kind::Other, |(_, kind)| *kind)
    }

    /// Of a whole batch: that of its command if it has one.
    pub(super) fn of_batch(batch: &Batch) -> Kind {
        match batch.commands() {
            _ if batch.is_atomic() => Kind::Transaction,
            [command] => Kind::of(command),
            _ => Kind::Pipeline,
        }
    }
}

impl Outcome {
    /// Of a call: refused if any of its commands was.
    pub(super) fn of(outcome: &Result<Vec<Reply>, Error>) -> Outcome {
        match outcome {
            Ok(replies) if replies.iter().any(|reply| Outcome::of_reply(reply) == Outcome::Refused) => Outcome::Refused,
            Ok(_) => Outcome::Ok,
            Err(error) => match &error.kind {
                ErrorKind::TimedOut => Outcome::TimedOut,
                ErrorKind::Unreachable => Outcome::Unreachable,
                ErrorKind::Disconnected => Outcome::Disconnected,
                ErrorKind::Throttled { .. } => Outcome::Throttled,
                ErrorKind::Refused(_) | ErrorKind::Full | ErrorKind::Forbidden => Outcome::Refused,
                ErrorKind::Protocol(_) | ErrorKind::Unexpected(_) => Outcome::Failed,
            },
        }
    }

    /// Of one command that was answered.
    pub(super) fn of_reply(reply: &Reply) -> Outcome {
        match reply {
            Reply::Refused(_) => Outcome::Refused,
            _ => Outcome::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{COMMANDS, Effect};

    #[test]
    fn every_command_that_may_be_said_has_a_family() {
        for name in COMMANDS.iter().chain(&["EVALSHA"]) {
            assert_ne!(Kind::of(&Command::raw(Effect::Read, [*name])), Kind::Other, "{name}");
        }
    }
}
