//! Commands by chance: every one, with any options, over few keys and few values, so that they meet.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A word of a command; keys get the tag of their run.
#[derive(Clone, PartialEq)]
pub enum Word {
    Key(&'static str),
    Text(Vec<u8>),
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Word::Key(key) => write!(f, "${key}"),
            Word::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
        }
    }
}

pub type Words = BoxedStrategy<Vec<Word>>;

pub const KEYS: &[&str] = &["a", "b", "c", "d"];
/// Only ever a large sorted set of several scores, and of one score: Redis keeps large ones differently.
pub const LARGE: &str = "large";
pub const EVEN: &str = "even";

pub const VALUES: &[&str] = &["", "a", "b", "ab", "\u{0}\r\n", "é", "10", "-1", "3.5", "9223372036854775807", "{x}"];
const SCORES: &[&str] =
    &["0", "1", "-1", "1.5", "2", "0.1", "inf", "-inf", "1e17", "5e-324", "x", "1e400", "nan", "", "1e-400"];
const BOUNDS: &[&str] =
    &["-inf", "+inf", "(1", "1", "0", "(0", "2", "(2", "-1", "(inf", "(-inf", "x", "", "(", "1e400"];
const LEX_BOUNDS: &[&str] = &["-", "+", "[a", "(a", "[b", "(ab", "[", "(", "[\u{0}", "(m100", "[m150", "x", ""];
const INDEXES: &[&str] =
    &["0", "1", "2", "-1", "-2", "-3", "5", "100", "9223372036854775807", "-9223372036854775808", "x"];
const TIMES: &[&str] = &["99999999999998", "99999999999999", "1", "-1", "0", "x", "9223372036854775807"];

pub fn text(text: &str) -> Vec<Word> {
    vec![Word::Text(text.as_bytes().to_vec())]
}

fn one(pool: &'static [&'static str]) -> Words {
    select(pool).prop_map(text).boxed()
}

fn key() -> Words {
    select(KEYS).prop_map(|key| vec![Word::Key(key)]).boxed()
}

fn the(key: &'static str) -> Words {
    Just(vec![Word::Key(key)]).boxed()
}

fn some(of: Words, least: usize, most: usize) -> Words {
    vec(of, least..=most).prop_map(|words| words.concat()).boxed()
}

fn all(parts: Vec<Words>) -> Words {
    parts.prop_map(|words| words.concat()).boxed()
}

/// Up to `most` of these, each one or more words; most often none.
fn options(pool: &'static [&'static str], most: usize) -> Words {
    let option = select(pool).prop_map(|option| option.split(' ').flat_map(text).collect::<Vec<_>>()).boxed();
    prop_oneof![1 => Just(Vec::new()), 2 => some(option, 0, most)].boxed()
}

fn say(name: &'static str, parts: Vec<Words>) -> Words {
    all([vec![Just(text(name)).boxed()], parts].concat())
}

const LIMITS: &[&str] = &["LIMIT 0 2", "LIMIT 1 -1", "LIMIT -1 2", "LIMIT 0 0", "LIMIT 5 1", "LIMIT x 1", "LIMIT 1"];
const ADD: &[&str] = &["NX", "XX", "GT", "LT", "CH", "INCR", "nx"];
const EXPIRE: &[&str] = &["NX", "XX", "GT", "LT", "gt", "FOO"];
const STORE: &[&str] = &[
    "NX",
    "XX",
    "GET",
    "KEEPTTL",
    "EX 1500",
    "PX 1000000",
    "PXAT 99999999999998",
    "EXAT 99999999999",
    "EXAT 1",
    "PX 0",
    "EX x",
    "EX",
    "FOO",
];

fn range(key: fn() -> Words, by_bytes: bool) -> Words {
    let by = |how: &'static str, bounds, flags| {
        let how = if how.is_empty() { Just(Vec::new()).boxed() } else { Just(text(how)).boxed() };
        say("ZRANGE", vec![key(), one(bounds), one(bounds), how, options(flags, 2), options(LIMITS, 1)])
    };
    let by_index = say("ZRANGE", vec![key(), one(INDEXES), one(INDEXES), options(&["REV", "WITHSCORES", "rev"], 2)]);
    let by_score = by("BYSCORE", BOUNDS, &["REV", "WITHSCORES", "BYLEX"]);
    if by_bytes {
        let by_lex = by("BYLEX", LEX_BOUNDS, &["REV", "REV", "WITHSCORES"]);
        prop_oneof![by_index, by_score, by_lex].boxed()
    } else {
        prop_oneof![by_index, by_score].boxed()
    }
}

fn many(key: &'static str, scores: u64) -> Words {
    (0..60u64)
        .prop_map(move |shift| {
            let pairs = (0..200u64).flat_map(|n| {
                let score = if scores == 1 { 0 } else { (n + shift) * 31 % scores };
                [text(&score.to_string()), text(&format!("m{n:03}"))].concat()
            });
            text("ZADD").into_iter().chain([Word::Key(key)]).chain(pairs).collect()
        })
        .boxed()
}

fn plain_command() -> Words {
    let value = || one(VALUES);
    let pair = || all(vec![one(SCORES), value()]);
    let small = prop_oneof![
        1 => say("DEL", vec![some(key(), 1, 3)]),
        1 => say("EXISTS", vec![some(key(), 1, 3)]),
        1 => say("GET", vec![key()]),
        1 => say("HDEL", vec![key(), some(value(), 1, 3)]),
        1 => say("HGET", vec![key(), value()]),
        1 => say("HMGET", vec![key(), some(value(), 1, 4)]),
        2 => say("HSET", vec![key(), some(value(), 2, 5)]),
        1 => say("INCR", vec![key()]),
        2 => say("PEXPIREAT", vec![key(), one(TIMES), options(EXPIRE, 2)]),
        1 => say("PTTL", vec![key()]),
        1 => say("RENAME", vec![key(), key()]),
        3 => say("SET", vec![key(), value(), options(STORE, 3)]),
        1 => say("TIME", vec![]),
        1 => say("UNLINK", vec![some(key(), 1, 3)]),
        4 => say("ZADD", vec![key(), options(ADD, 2), some(pair(), 1, 4)]),
        1 => say("ZCARD", vec![key()]),
        1 => say("ZCOUNT", vec![key(), one(BOUNDS), one(BOUNDS)]),
        3 => range(key, true),
        1 => say("ZREM", vec![key(), some(value(), 1, 3)]),
        1 => say("ZREMRANGEBYSCORE", vec![key(), one(BOUNDS), one(BOUNDS)]),
        1 => say("ZSCORE", vec![key(), value()]),
    ];
    let members: &[&str] = &["m000", "m017", "m100", "m150", "m199", "none"];
    let large = prop_oneof![
        1 => many(LARGE, 7),
        1 => many(EVEN, 1),
        1 => range(|| the(LARGE), false),
        1 => range(|| the(EVEN), true),
        1 => say(
            "ZREM",
            vec![select(&[LARGE, EVEN][..]).prop_map(|key| vec![Word::Key(key)]).boxed(), some(one(members), 1, 3)]
        ),
        1 => say("ZCOUNT", vec![the(LARGE), one(BOUNDS), one(BOUNDS)]),
        1 => say("ZREMRANGEBYSCORE", vec![the(LARGE), one(BOUNDS), one(BOUNDS)]),
        1 => say("ZADD", vec![the(LARGE), options(ADD, 2), one(SCORES), one(members)]),
    ];
    prop_oneof![6 => small, 1 => large].boxed()
}

/// One command: as it is, with a word too many or too few, or said by a script.
pub fn command() -> Words {
    const SCRIPTS: &[&str] = &[
        "return redis.call(unpack(ARGV))",
        "return redis.pcall(unpack(ARGV))",
        "local r = redis.pcall(unpack(ARGV)) return {type(r), r, {r}}",
        "redis.call('SET', KEYS[1], 'by the script') return redis.call(unpack(ARGV))",
        "local ok, r = pcall(redis.call, unpack(ARGV)) return {tostring(ok), r}",
    ];
    let scripted = (select(SCRIPTS), plain_command()).prop_map(|(script, words)| {
        let keys: Vec<Word> = KEYS.iter().chain(&[LARGE, EVEN]).map(|key| Word::Key(key)).collect();
        [text("EVAL"), text(script), text(&keys.len().to_string()), keys, words].concat()
    });
    let shortened = plain_command().prop_map(|mut words| {
        words.truncate(words.len().saturating_sub(1).max(1));
        words
    });
    let lengthened = (plain_command(), key()).prop_map(|(words, more)| [words, more].concat());
    prop_oneof![20 => plain_command(), 4 => scripted, 1 => shortened, 1 => lengthened].boxed()
}
