//! The embedded backend against a real Redis, by chance: whatever is said, both answer alike and end alike.

mod conversation;

use self::conversation::{EVEN, KEYS, LARGE, VALUES, Word, command, text};
use crate::harness::backend::{Backend, raw, shown};
use agentapi::base::clock::SystemClock;
use agentapi::db::transport::memory::Memory;
use agentapi::db::{Batch, Command, Reply};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::sync::Arc;

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
