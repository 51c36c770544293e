//! The table of commands: name, arity, where its keys stand, and who runs it.

use super::refusal::{Answer, unknown_command, wrong_arity};
use super::table::Table;
use super::{channels, hashes, info, keys, ranges, scan, sorted_sets, strings};
use crate::db::Refusal;
use bytes::Bytes;

/// Which arguments of a command are keys.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    None,
    First,
    FirstTwo,
    All,
}

/// One command.
pub(super) struct Specification {
    pub name: &'static str,
    /// With the name itself; negative: at least so many.
    arity: isize,
    keys: Keys,
    run: fn(&mut Table, &[Bytes]) -> Answer,
}

const fn command(
    name: &'static str,
    arity: isize,
    keys: Keys,
    run: fn(&mut Table, &[Bytes]) -> Answer,
) -> Specification {
    Specification { name, arity, keys, run }
}

/// Every command of [`COMMANDS`](crate::db::COMMANDS), in the same order.
pub(super) static TABLE: &[Specification] = &[
    command("DEL", -2, Keys::All, keys::del),
    command("EXISTS", -2, Keys::All, keys::exists),
    command("GET", 2, Keys::First, strings::get),
    command("HDEL", -3, Keys::First, hashes::hdel),
    command("HGET", 3, Keys::First, hashes::hget),
    command("HGETALL", 2, Keys::First, hashes::hgetall),
    command("HMGET", -3, Keys::First, hashes::hmget),
    command("HSET", -4, Keys::First, hashes::hset),
    command("INCR", 2, Keys::First, strings::incr),
    command("INFO", -1, Keys::None, info::apart),
    command("PEXPIREAT", -3, Keys::First, keys::pexpireat),
    command("PTTL", 2, Keys::First, keys::pttl),
    command("PUBLISH", 3, Keys::None, channels::publish),
    command("RENAME", 3, Keys::FirstTwo, keys::rename),
    command("SCAN", -2, Keys::None, scan::apart),
    command("SET", -3, Keys::First, strings::set),
    command("SLOWLOG", -2, Keys::None, info::slow_log),
    command("TIME", 1, Keys::None, keys::time),
    command("UNLINK", -2, Keys::All, keys::del),
    command("ZADD", -4, Keys::First, sorted_sets::zadd),
    command("ZCARD", 2, Keys::First, sorted_sets::zcard),
    command("ZCOUNT", 4, Keys::First, ranges::zcount),
    command("ZRANGE", -4, Keys::First, ranges::zrange),
    command("ZREM", -3, Keys::First, sorted_sets::zrem),
    command("ZREMRANGEBYSCORE", 4, Keys::First, ranges::zremrangebyscore),
    command("ZSCORE", 3, Keys::First, sorted_sets::zscore),
];

impl Specification {
    /// The command that `args` names.
    pub fn named(args: &[Bytes]) -> Option<&'static Specification> {
        let name = args.first()?;
        TABLE.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether it takes as many arguments as these.
    pub fn accepts(&self, args: &[Bytes]) -> bool {
        match self.arity {
            exactly @ 0.. => args.len() == exactly.unsigned_abs(),
            at_least => args.len() >= at_least.unsigned_abs(),
        }
    }

    /// The command that `args` names, if it takes as many arguments.
    pub fn of(args: &[Bytes]) -> Result<&'static Specification, Refusal> {
        let command = Specification::named(args).ok_or_else(|| unknown_command(args))?;
        if command.accepts(args) { Ok(command) } else { Err(wrong_arity(&command.name.to_ascii_lowercase())) }
    }

    /// The keys among its arguments.
    pub fn keys<'a>(&self, args: &'a [Bytes]) -> &'a [Bytes] {
        let most = match self.keys {
            Keys::None => 0,
            Keys::First => 1,
            Keys::FirstTwo => 2,
            Keys::All => args.len(),
        };
        let args = args.get(1..).unwrap_or_default();
        args.get(..most).unwrap_or(args)
    }

    /// Runs it on the table that has its keys.
    pub fn run(&self, table: &mut Table, args: &[Bytes]) -> Answer {
        (self.run)(table, args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::COMMANDS;

    #[test]
    fn the_table_has_exactly_the_commands_that_may_be_said() {
        assert_eq!(TABLE.iter().map(|command| command.name).collect::<Vec<_>>(), COMMANDS);
    }
}
