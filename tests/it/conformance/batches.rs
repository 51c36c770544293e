//! Batches: in order, alone or together, whole or refused.

use super::transcript::{holds, words};
use super::{Behaviour, does};
use crate::harness::backend::{Backend, raw, shown};
use agentapi::db::transport::RedisTransport;
use agentapi::db::{Batch, Command};
use std::sync::Arc;

fn commands(backend: &Backend, lines: &[&str]) -> Vec<Command> {
    lines.iter().map(|line| raw(words(backend, line))).collect()
}

async fn answers(backend: &Backend, batch: Batch) -> Vec<String> {
    backend.run(&batch).await.iter().map(shown).collect()
}

pub async fn answers_come_in_order(backend: Backend) {
    let lines = ["SET $a 1", "INCR $a", "GET $a", "HMGET $none f", "TIME x", "EVAL \"return 9\" 0"];
    let expected = ["OK", "2", "\"2\"", "[nil]", "-ERR wrong number of arguments for 'time' command", "9"];
    assert_eq!(answers(&backend, Batch::pipeline(commands(&backend, &lines))).await, expected);
}

pub async fn a_thousand_commands_are_answered(backend: Backend) {
    for atomic in [false, true] {
        let all = (0..1000).map(|_| raw(words(&backend, if atomic { "INCR $atomic" } else { "INCR $n" }))).collect();
        let batch = if atomic { Batch::atomic(all) } else { Batch::pipeline(all) };
        let expected: Vec<String> = (1..=1000).map(|n| n.to_string()).collect();
        assert_eq!(answers(&backend, batch).await, expected);
    }
}

pub async fn a_refusal_leaves_its_neighbours_alone(backend: Backend) {
    let lines = ["SET $a x", "INCR $a", "FOO", "SET $b y"];
    let answers = answers(&backend, Batch::pipeline(commands(&backend, &lines))).await;
    assert_eq!(answers[..2], ["OK", "-ERR value is not an integer or out of range"]);
    assert!(answers[2].starts_with("-ERR unknown command 'FOO'"));
    assert_eq!(answers[3], "OK");
    holds(&backend, "GET $b -> \"y\"").await;
}

pub async fn a_transaction_applies_what_can_be_applied(backend: Backend) {
    let lines = ["SET $a x", "INCR $a", "EVAL \"return redis.call('INCR', KEYS[1])\" 1 $n", "SET $b y"];
    let answers = answers(&backend, Batch::atomic(commands(&backend, &lines))).await;
    assert_eq!(answers, ["OK", "-ERR value is not an integer or out of range", "1", "OK"]);
    holds(&backend, "GET $a -> \"x\"\nGET $b -> \"y\"").await;
}

pub async fn a_transaction_that_cannot_be_queued_does_nothing(backend: Backend) {
    for (bad, cause) in
        [("FOO", "-ERR unknown command 'FOO'"), ("GET", "-ERR wrong number of arguments for 'get' command")]
    {
        let batch = Batch::atomic(commands(&backend, &["SET $a x", bad, "SET $b y"]));
        let answers = backend.transport.execute(&batch).await;
        if does(&backend, Behaviour::AnswersDiscardedTransactions) {
            for answer in answers.unwrap() {
                assert!(shown(&answer).starts_with(cause), "{}", shown(&answer));
            }
        } else {
            assert!(answers.is_err());
        }
        holds(&backend, "EXISTS $a $b -> 0").await;
    }
}

pub async fn keys_of_two_slots_are_refused(backend: Backend) {
    let refused = "-CROSSSLOT Keys in request don't hash to the same slot";
    let refuses = does(&backend, Behaviour::RefusesOtherSlots);
    let elsewhere = format!("{{elsewhere:00}}:{}", backend.key("k"));
    let lines = [
        format!("EXISTS $k {elsewhere}"),
        format!("RENAME $k {elsewhere}"),
        format!("EVAL \"return 1\" 2 $k {elsewhere}"),
    ];
    for line in &lines {
        let answer = shown(&backend.say(words(&backend, line)).await);
        assert_eq!(answer == refused, refuses, "{line}: {answer}");
    }
    let both = commands(&backend, &["INCR $k", &format!("INCR {elsewhere}")]);
    let expected = if refuses { [refused; 2] } else { ["1"; 2] };
    assert_eq!(answers(&backend, Batch::atomic(both.clone())).await, expected);
    let expected = if refuses { ["1"; 2] } else { ["2"; 2] };
    assert_eq!(answers(&backend, Batch::pipeline(both)).await, expected);
}

pub async fn nothing_comes_between_the_commands_of_a_script(backend: Backend) {
    let text = "local n = redis.call('GET', KEYS[1]) or 0 redis.call('SET', KEYS[1], n + 1) return n";
    let key = backend.key("n");
    let said = async |transport: Arc<dyn RedisTransport>, words: [String; 4]| {
        for _ in 0..200 {
            let answers = transport.execute(&Batch::one(raw(words.clone()))).await.unwrap();
            assert!(!shown(&answers[0]).starts_with('-'), "{}", shown(&answers[0]));
        }
    };
    // Threads of one runtime, which ends with them: a connection belongs to the runtime that opened it.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
            let words = ["EVAL", text, "1", &key].map(str::to_owned);
            let callers: Vec<_> = (0..4)
                .map(|_| (Arc::clone(&backend.transport), words.clone()))
                .map(|(transport, words)| runtime.spawn(async move { said(transport, words).await }))
                .collect();
            for caller in callers {
                runtime.block_on(caller).unwrap();
            }
        });
    });
    holds(&backend, "GET $n -> \"800\"").await;
}
