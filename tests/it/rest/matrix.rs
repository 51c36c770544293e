//! Every kind of fault, times every kind of operation: what is said about it, what was done, that nobody gets
//! what belongs to another, and that what comes next is served.

use super::kinds::{Fate, Kind, kinds};
use super::*;
use agentapi::base::deadline::Deadline;
use futures_util::future::join_all;

/// How long somebody waits where the fault is that it takes for ever.
const SHORT: Duration = Duration::from_secs(1);
/// The same where a fault is answered at once: much, for machines that run many tests.
const LONG: Duration = Duration::from_secs(30);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(5);
const MAX_REPLY: usize = 2 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    IdempotentWrite,
    Once,
    ScriptByDigest,
    ScriptInFull,
    Merged,
    Atomic,
}

const OPERATIONS: [Operation; 7] = [
    Operation::Read,
    Operation::IdempotentWrite,
    Operation::Once,
    Operation::ScriptByDigest,
    Operation::ScriptInFull,
    Operation::Merged,
    Operation::Atomic,
];

/// One caller's batch, and its answer if all is well.
struct Asked {
    batch: Batch,
    answer: Vec<Reply>,
}

fn text(words: &[&str]) -> Command {
    Command::raw(Effect::Once, words.iter().map(|word| word.as_bytes().to_vec()))
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.to_owned().into())
}

/// The callers of an operation; `tag` is in each key that they write and each value that they read.
fn asked(operation: Operation, tag: &str) -> Vec<Asked> {
    let one = |command, reply| vec![Asked { batch: Batch::one(command), answer: vec![reply] }];
    let count = |script: &'static Script| Command::script(script, &[]).arg(tag.to_owned());
    match operation {
        Operation::Read => one(text(&["ECHO", tag]), bulk(tag)),
        Operation::IdempotentWrite => one(text(&["SET", tag, "1"]), ok()),
        Operation::Once => one(text(&["INCR", tag]), Reply::Int(1)),
        Operation::ScriptByDigest => one(count(&COUNTER), Reply::Int(1)),
        Operation::ScriptInFull => {
            // A text of its own, which no server has seen.
            let source = format!("return redis.call('INCR', ARGV[1]) -- {tag}").leak();
            let script = Box::leak(Box::new(Script::new("test/unknown", source, Effect::Idempotent)));
            one(count(script), Reply::Int(1))
        }
        Operation::Merged => (0..8)
            .map(|caller| {
                let own = format!("{tag}:{caller}");
                let batch = Batch::pipeline(vec![text(&["ECHO", &own]), text(&["INCR", &own])]);
                Asked { batch, answer: vec![bulk(&own), Reply::Int(1)] }
            })
            .collect(),
        Operation::Atomic => {
            let batch = Batch::atomic(vec![text(&["SET", tag, "0"]), text(&["INCR", tag]), text(&["ECHO", tag])]);
            vec![Asked { batch, answer: vec![ok(), Reply::Int(1), bulk(tag)] }]
        }
    }
}

// Not as operations, which would hide a second run: the count would be the same.
static COUNTER: Script = Script::new("test/counter", "return redis.call('INCR', ARGV[1])", Effect::Idempotent);

/// What somebody with this answer gets where the first result of all is nothing.
fn without_first(asked: &Asked, is_first: bool) -> Vec<Reply> {
    let mut answer = asked.answer.clone();
    if is_first {
        answer[0] = Reply::Nil;
    }
    answer
}

/// What the fault makes of one caller's batch; nothing when it is as it should be.
fn wrong(kind: &Kind, asked: &Asked, is_first: bool, outcome: &Result<Vec<Reply>, Error>) -> Option<String> {
    let expected = match &kind.fate {
        Fate::Fails(error) => Err(error.clone()),
        Fate::EachRefused(line) => Ok(vec![refused(line); asked.answer.len()]),
        Fate::FirstNothing => Ok(without_first(asked, is_first)),
        Fate::Served => Ok(asked.answer.clone()),
    };
    (*outcome != expected).then(|| format!("{outcome:?} in place of {expected:?}"))
}

/// How often a write can have been done, by what is said about it.
fn times(kind: &Kind) -> std::ops::RangeInclusive<i64> {
    match &kind.fate {
        Fate::Fails(Error { delivery: Delivery::NotSent | Delivery::Answered, .. }) | Fate::EachRefused(_) => 0..=0,
        _ if kind.fault.runs_nothing() => 0..=0,
        // It is not done yet.
        _ if matches!(kind.fault, Fault::DelayBefore(_)) => 0..=0,
        _ => 1..=1,
    }
}

async fn walk(kind: &Kind, redis: &Redis) -> usize {
    let double = RestDouble::start(redis.port, CANARY);
    let settings =
        RestSettings { command_timeout: LONG, max_reply_bytes: MAX_REPLY, ..settings(&double.url(), double.token()) };
    let rest = Arc::new(Rest::new(&settings).unwrap());
    let honest = Rest::new(&super::settings(&double.url(), double.token())).unwrap();
    let mut cases = 0;
    for operation in OPERATIONS {
        let case = format!("{} times {operation:?}", kind.name);
        let tag = format!("{}:{operation:?}", kind.name);
        let callers = asked(operation, &tag);
        if operation == Operation::ScriptByDigest {
            let known = Command::script(&COUNTER, &[]).arg(format!("{tag}:warm"));
            assert_eq!(say_batch(&honest, known).await, Ok(Reply::Int(1)), "{case}");
        }
        let merged = Pipelining::new(rest.clone(), 1);
        let door: &dyn RedisTransport = if operation == Operation::Merged { &merged } else { &*rest };
        if matches!(kind.fault, Fault::Stale) {
            // The answer of which this one will get another's.
            let others = asked(operation, &format!("{tag}:other"));
            assert!(join_all(others.iter().map(|other| door.execute(&other.batch))).await.iter().all(Result::is_ok));
        }
        let before = double.injected(&kind.fault);
        let (fault, in_full) = (kind.fault.clone(), operation == Operation::ScriptInFull);
        double.inject_where(move |call| (!in_full || call.says("\"EVAL\"")).then(|| fault.clone()));
        let start = Instant::now();
        let limit = if kind.hangs { SHORT } else { LONG };
        let deadline = Deadline::after(start, limit);
        let batches: Vec<_> = callers.iter().map(|caller| caller.batch.clone().by(deadline)).collect();
        let outcomes = join_all(batches.iter().map(|batch| door.execute(batch))).await;
        let took = start.elapsed();
        double.heal();
        let injected = double.injected(&kind.fault) - before;
        assert_eq!(injected, 1, "{case}: faults injected; merged callers share one request");
        for (index, (caller, outcome)) in callers.iter().zip(&outcomes).enumerate() {
            assert_eq!(wrong(kind, caller, index == 0, outcome), None, "{case}");
            assert!(!format!("{outcome:?}").contains(CANARY), "{case} shows the fault");
        }
        assert!(took < limit + SLACK, "{case} took {took:?}");

        if matches!(kind.fault, Fault::Twice(pause) if !pause.is_zero()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Now that all is well: the same client, perhaps on the same connection.
        let next = format!("{tag}:next");
        let replies = rest.execute(&Batch::pipeline(vec![text(&["ECHO", &next]), text(&["GET", &next])])).await;
        assert!(replies == Ok(vec![bulk(&next), Reply::Nil]), "{case}, then {replies:?}");
        let keys: Vec<String> = match operation {
            Operation::Read => Vec::new(),
            Operation::Merged => (0..8).map(|caller| format!("{tag}:{caller}")).collect(),
            _ => vec![tag],
        };
        for key in keys {
            let done = say_batch(&honest, text(&["GET", &key])).await.unwrap().optional_bytes().unwrap();
            let done: i64 = done.map_or(0, |text| std::str::from_utf8(&text).unwrap().parse().unwrap());
            assert!(times(kind).contains(&done), "{case}: done {done} times");
        }
        cases += 1;
    }
    cases
}

#[tokio::test]
async fn whatever_fails_is_said_as_it_is_and_belongs_to_nobody_else() {
    let redis = Redis::start();
    let elsewhere = RestDouble::start(redis.port, CANARY);
    let kinds = kinds(&elsewhere.url());
    let cases: usize = join_all(kinds.iter().map(|kind| walk(kind, &redis))).await.iter().sum();
    assert_eq!(cases, kinds.len() * OPERATIONS.len());
    assert!(cases >= 24 * 7, "{cases}");
    assert_eq!(elsewhere.requests(), 0, "no redirect was followed");
}

#[tokio::test]
async fn the_late_answer_to_one_request_is_never_that_of_the_next() {
    let Pair { rest, double, _redis } = pair();
    // One connection, which the first request takes and the second would find.
    say(&rest, "PING").await.unwrap().text().unwrap();
    double.inject_where(|call| {
        let slow = if call.says("first") { 2 } else { 1 };
        Some(Fault::DelayAfter(Duration::from_millis(slow * 400)))
    });
    for _ in 0..2 {
        let first = Batch::one(words("ECHO first")).by(Deadline::after(Instant::now(), Duration::from_millis(600)));
        assert_eq!(rest.execute(&first).await, Err(Error::new(ErrorKind::TimedOut, Delivery::Unknown)));
        for _ in 0..2 {
            assert_eq!(say(&rest, "ECHO second").await, Ok(bulk("second")));
        }
    }
    assert_eq!(double.injected(&Fault::DelayAfter(Duration::ZERO)), 6);
}
