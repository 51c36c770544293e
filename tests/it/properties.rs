//! The embedded backend against a real Redis, by chance: whatever is said, both answer alike and end alike.

use crate::harness::backend::{Backend, raw, shown};
use agentapi::base::clock::SystemClock;
use agentapi::db::transport::memory::Memory;
use agentapi::db::{Batch, Command, Reply};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::sync::Arc;

/// A word of a command; keys get the tag of their run.
#[derive(Clone, PartialEq)]
enum Word {
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

type Words = BoxedStrategy<Vec<Word>>;

const KEYS: &[&str] = &["a", "b", "c", "d"];
/// Only ever a large sorted set of several scores, and of one score: Redis keeps large ones differently.
const LARGE: &str = "large";
const EVEN: &str = "even";

const VALUES: &[&str] = &["", "a", "b", "ab", "\u{0}\r\n", "é", "10", "-1", "3.5", "9223372036854775807", "{x}"];
const SCORES: &[&str] =
    &["0", "1", "-1", "1.5", "2", "0.1", "inf", "-inf", "1e17", "5e-324", "x", "1e400", "nan", "", "1e-400"];
const BOUNDS: &[&str] =
    &["-inf", "+inf", "(1", "1", "0", "(0", "2", "(2", "-1", "(inf", "(-inf", "x", "", "(", "1e400"];
const LEX_BOUNDS: &[&str] = &["-", "+", "[a", "(a", "[b", "(ab", "[", "(", "[\u{0}", "(m100", "[m150", "x", ""];
const INDEXES: &[&str] =
    &["0", "1", "2", "-1", "-2", "-3", "5", "100", "9223372036854775807", "-9223372036854775808", "x"];
const TIMES: &[&str] = &["99999999999998", "99999999999999", "1", "-1", "0", "x", "9223372036854775807"];

fn text(text: &str) -> Vec<Word> {
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
        1 => say("HGET", vec![key(), value()]),
        1 => say("HMGET", vec![key(), some(value(), 1, 4)]),
        2 => say("HSET", vec![key(), some(value(), 2, 5)]),
        1 => say("INCR", vec![key()]),
        2 => say("PEXPIREAT", vec![key(), one(TIMES), options(EXPIRE, 2)]),
        1 => say("PTTL", vec![key()]),
        1 => say("RENAME", vec![key(), key()]),
        3 => say("SET", vec![key(), value(), options(STORE, 3)]),
        1 => say("TIME", vec![]),
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
fn command() -> Words {
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

/// Both backends, and a number for the tag of the next run.
struct Pair {
    runtime: tokio::runtime::Runtime,
    redis: Backend,
    memory: Memory,
    runs: std::cell::Cell<u64>,
}

impl Pair {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Pair { runtime, redis: Backend::native(), memory: Memory::new(Arc::new(SystemClock)), runs: 0.into() }
    }

    /// Says the same to both, and demands the same answers.
    fn agree(&self, run: u64, commands: &[Vec<Word>], atomic: bool) -> Result<(), TestCaseError> {
        let said: Vec<Command> = commands.iter().map(|words| raw(words.iter().map(|word| spelt(run, word)))).collect();
        let batch = if atomic { Batch::atomic(said) } else { Batch::pipeline(said) };
        let answers = self.runtime.block_on(async {
            let redis = self.redis.run(&batch).await;
            (redis, agentapi::db::transport::RedisTransport::execute(&self.memory, &batch).await.unwrap())
        });
        prop_assert_eq!(answers.0.len(), answers.1.len());
        for ((words, redis), memory) in commands.iter().zip(&answers.0).zip(&answers.1) {
            let alike = alike(words, redis, memory);
            prop_assert!(alike, "{:?}\n   redis {}\n  memory {}", words, shown(redis), shown(memory));
        }
        Ok(())
    }

    /// A tag that no run had before.
    fn next_run(&self) -> u64 {
        self.runs.set(self.runs.get() + 1);
        self.runs.get()
    }
}

fn spelt(run: u64, word: &Word) -> Vec<u8> {
    match word {
        Word::Key(key) => format!("p:{{run{run}:00}}:{key}").into_bytes(),
        Word::Text(text) => text.clone(),
    }
}

fn alike(words: &[Word], redis: &Reply, memory: &Reply) -> bool {
    let says = |name: &str| words.iter().any(|word| *word == Word::Text(name.as_bytes().to_vec()));
    let kind = |reply: &Reply| shown(reply).chars().next();
    match (redis, memory) {
        // The clock moves between the two.
        (Reply::Int(redis), Reply::Int(memory)) if says("PTTL") && *redis > 0 && *memory > 0 => {
            redis.abs_diff(*memory) < 10_000
        }
        (Reply::Array(redis), Reply::Array(memory)) if says("PTTL") => {
            redis.len() == memory.len() && redis.iter().zip(memory).all(|(redis, memory)| alike(words, redis, memory))
        }
        (redis, memory) if says("TIME") => kind(redis) == kind(memory),
        // Redis names a script by its digest, and the line of an error, which are not claimed.
        (Reply::Refused(redis), Reply::Refused(memory)) => {
            let claimed = |line: String| line.split(" script: ").next().unwrap_or_default().to_owned();
            claimed(redis.line()) == claimed(memory.line())
        }
        (redis, memory) => redis == memory,
    }
}

/// Questions that show everything a run left.
fn inventory() -> Vec<Vec<Word>> {
    let of = |key: &'static str| {
        let ask = |name: &str, rest: &[&str]| -> Vec<Word> {
            [text(name), vec![Word::Key(key)], rest.iter().flat_map(|word| text(word)).collect()].concat()
        };
        [
            ask("GET", &[]),
            ask("HMGET", VALUES),
            ask("ZRANGE", &["0", "-1", "WITHSCORES"]),
            ask("PTTL", &[]),
            ask("DEL", &[]),
        ]
    };
    KEYS.iter().chain(&[LARGE, EVEN]).flat_map(|key| of(key)).collect()
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 5000, ..Config::default() })
}

#[test]
fn any_conversation_has_the_same_answers_and_the_same_end_on_both() {
    let pair = Pair::new();
    let conversation = (vec(command(), 1..60), any::<bool>());
    let outcome = runner(400).run(&conversation, |(commands, atomic)| {
        let run = pair.next_run();
        // A transaction with a command that cannot be queued does nothing; the conformance suite has those.
        pair.agree(run, &commands, false)?;
        pair.agree(run, &inventory(), atomic)
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(pair.memory.is_empty(), "what was deleted left something");
}

#[test]
fn any_score_is_written_alike_by_both() {
    let pair = Pair::new();
    let number =
        any::<f64>().prop_filter("NaN has its own lines, -0 is a declared difference", |n| !n.is_nan() && *n != 0.0);
    let rounded = (-1e18..1e18).prop_map(|n: f64| (n * 1000.0).round() / 1000.0);
    let outcome = runner(100).run(&vec(prop_oneof![number, rounded], 50), |numbers| {
        let run = pair.next_run();
        let commands: Vec<Vec<Word>> = numbers
            .iter()
            .flat_map(|number| {
                let add = [text("ZADD"), vec![Word::Key("z")], text(&format!("{number:e}")), text("m")].concat();
                let ask = [text("ZSCORE"), vec![Word::Key("z")], text("m")].concat();
                let echo =
                    "redis.call('SET', KEYS[1], tonumber(ARGV[1])) return {redis.call('GET', KEYS[1]), ARGV[1] + 0}";
                let echo = [text("EVAL"), text(echo), text("1"), vec![Word::Key("s")], text(&format!("{number:e}"))];
                [add, ask, echo.concat()]
            })
            .collect();
        pair.agree(run, &commands, false)
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn any_value_that_a_script_returns_is_the_same_reply_of_both() {
    let pair = Pair::new();
    let leaf = prop_oneof![
        (-1e19..1e19f64).prop_map(|n| format!("{n:?}")),
        any::<i32>().prop_map(|n| format!("{n}")),
        (-10.0..10.0f64).prop_map(|n| format!("{n:?}")),
        "[a-z ]{0,5}".prop_map(|text| format!("'{text}'")),
        "[\\x00-\\x7f]{0,4}"
            .prop_map(|text| { format!("'{}'", text.bytes().map(|byte| format!("\\{byte:03}")).collect::<String>()) }),
        select(&["nil", "true", "false", "{}", "redis.status_reply('X')", "redis.error_reply('MYCODE y')"][..])
            .prop_map(str::to_owned),
        select(&["redis.error_reply('z')", "function() end", "1/0", "-1/0", "0/0", "2^53", "#KEYS"][..])
            .prop_map(str::to_owned),
    ];
    let value = leaf.prop_recursive(4, 24, 5, |inner| {
        let field =
            (select(&["", "", "", "ok=", "err=", "x="][..]), inner).prop_map(|(name, value)| name.to_owned() + &value);
        vec(field, 0..5).prop_map(|fields| format!("{{{}}}", fields.join(",")))
    });
    let outcome = runner(100).run(&vec(value, 20), |values| {
        let commands: Vec<Vec<Word>> =
            values.iter().map(|value| [text("EVAL"), text(&format!("return {value}")), text("0")].concat()).collect();
        pair.agree(pair.next_run(), &commands, false)
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
