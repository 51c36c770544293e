//! Operations: a script that must act once does, however often and late its command arrives, and every time
//! answers the same.

use super::does;
use super::transcript::expect;
use super::{Behaviour, scripts::returns};
use crate::harness::backend::{Backend, shown};
use crate::harness::operations::{acting_once, key, operation_of};
use crate::harness::redis_server::RedisServer;
use agentapi::db::{Batch, Command, Reply};
use std::sync::Arc;
use std::time::Duration;

/// A count and what a script answers that changed it, which is another answer each time.
const ANSWERS: &[&str] = &[
    "n",
    "'text ' .. n",
    "''",
    "nil",
    "false",
    "true",
    "n + 0.75",
    "-n - 2.99",
    "n + 2^53 + 1",
    "redis.status_reply('DONE ' .. n)",
    "{}",
    "{n, 'a', {2, false, true, {'', {}}}, 3.5, redis.status_reply('FINE')}",
    "{1, 2, nil, n}",
    "{ok = 7, 1, n}",
    "{name = n}",
    "{{ok = 'fine ' .. n}, {err = 'MYCODE in the middle'}}",
    "function() end",
    "'s3:abc' .. n .. ':i1:2a0:'",
    "{'s3:', ':', n .. '', 'n0:'}",
    "'\\r\\n\\0\\195\\40\\255\\254' .. n",
    "(function() local t = {} for i = 0, 255 do t[#t + 1] = string.char(i) end return {table.concat(t), n} end)()",
    "string.rep('x', 300000) .. n",
    "(function() local t = {} for i = 1, 5000 do t[i] = i + n end return t end)()",
];

async fn one(backend: &Backend, command: &Command) -> Reply {
    backend.run(&Batch::one(command.clone())).await.pop().expect("one answer")
}

async fn count(backend: &Backend) -> String {
    shown(&backend.say(["GET".to_owned(), backend.key("k")]).await)
}

pub async fn a_repeated_script_acts_once_and_answers_the_same(backend: Backend) {
    let counter = key(&backend, "k");
    for answer in ANSWERS {
        assert_eq!(backend.say(["DEL".to_owned(), backend.key("k")]).await.count().map(|_| ()), Ok(()));
        let plain = ["EVAL", &format!("local n = 1 return {answer}"), "0"].map(str::to_owned);
        let expected = shown(&backend.say(plain).await);
        let script = acting_once(&format!("local n = redis.call('INCR', KEYS[1]) return {answer}"));
        let command = Command::script(script, &[&counter]).arg("ignored");
        for time in 1..=3 {
            assert_eq!(shown(&one(&backend, &command).await), expected, "{} {answer}, time {time}", backend.name);
            assert_eq!(count(&backend).await, "\"1\"", "{answer}, time {time}");
        }
        let both = || vec![command.clone(), Command::script(script, &[&counter]).arg("ignored"), command.clone()];
        for batch in [Batch::pipeline(both()), Batch::atomic(both())] {
            let replies = backend.run(&batch).await;
            assert_eq!([shown(&replies[0]), shown(&replies[2])], [expected.clone(), expected.clone()], "{answer}");
        }
        assert_eq!(count(&backend).await, "\"3\"", "other commands are other operations");
        assert_eq!(backend.say(["DEL".to_owned(), backend.key("k")]).await, Reply::Int(1));
        assert_eq!(shown(&one(&backend, &command).await), expected, "{answer}, after what it made is gone");
        assert_eq!(count(&backend).await, "nil", "what is gone does not come back");
    }
}

pub async fn the_body_sees_its_own_keys_and_arguments(backend: Backend) {
    let (first, second) = (key(&backend, "k"), key(&backend, "l"));
    let text = "KEYS[3] = 'x' return {#KEYS, KEYS[1], KEYS[2], #ARGV, ARGV[1]}";
    let reply = one(&backend, &Command::script(acting_once(text), &[&first, &second]).arg("argument")).await;
    let (k, l) = (backend.key("k"), backend.key("l"));
    assert_eq!(shown(&reply), format!("[3, \"{k}\", \"{l}\", 1, \"argument\"]"));
    let silent = Command::script(acting_once("redis.call('SET', KEYS[1], 'v') -- and no answer"), &[&first]);
    assert_eq!(one(&backend, &silent).await, Reply::Nil);
    assert_eq!(count(&backend).await, "\"v\"");
}

pub async fn bytes_of_any_kind_come_back_from_an_operation(backend: Backend) {
    let bytes: Vec<u8> = if does(&backend, Behaviour::CarriesAnyBytes) {
        (0..=255).rev().collect()
    } else {
        "any text: \u{0}\u{e9}\u{1f600}".as_bytes().to_vec()
    };
    let text = "redis.call('SET', KEYS[1], ARGV[1]) return {ARGV[1], redis.call('GET', KEYS[1])}";
    let command = Command::script(acting_once(text), &[&key(&backend, "k")]).arg(bytes.clone());
    for _ in 0..2 {
        let both = vec![Reply::Bulk(bytes.clone().into()), Reply::Bulk(bytes.clone().into())];
        assert_eq!(one(&backend, &command).await, Reply::Array(both));
    }
}

pub async fn an_operation_that_was_refused_is_not_remembered(backend: Backend) {
    for refusal in ["return redis.error_reply('MYCODE not yet')", "error({err = 'MYCODE not yet'})"] {
        let text =
            format!("if redis.call('EXISTS', KEYS[2]) == 0 then {refusal} end return redis.call('INCR', KEYS[1])");
        let command = Command::script(acting_once(&text), &[&key(&backend, "k"), &key(&backend, "allowed")]);
        let forget = ["DEL".to_owned(), backend.key("k"), backend.key("allowed")];
        backend.say(forget).await.count().expect("it is forgotten");
        for _ in 0..2 {
            expect(&backend, &text, "-MYCODE not yet…", &shown(&one(&backend, &command).await));
        }
        assert_eq!(backend.say(["EXISTS".to_owned(), operation_of(&command)]).await, Reply::Int(0));
        assert!(shown(&backend.say(["SET".to_owned(), backend.key("allowed"), "v".to_owned()]).await).contains("OK"));
        for _ in 0..2 {
            assert_eq!(one(&backend, &command).await, Reply::Int(1), "it had not acted yet");
        }
    }
}

pub async fn errors_of_an_operation_name_the_line_of_its_body(backend: Backend) {
    let command = Command::script(acting_once("\n\nerror('boom')"), &[&key(&backend, "k")]);
    expect(&backend, "boom", "-ERR user_script:3: boom script: …", &shown(&one(&backend, &command).await));
    returns(&backend, &[("return redis.call('EXISTS', KEYS[1])", "0")]).await;
}

pub async fn an_operation_is_known_for_a_minute(backend: Backend) {
    let command = Command::script(acting_once("return redis.call('INCR', KEYS[1])"), &[&key(&backend, "k")]);
    assert_eq!(one(&backend, &command).await, Reply::Int(1));
    let lives = || async {
        let left = backend.say(["PTTL".to_owned(), operation_of(&command)]).await;
        left.int().expect("milliseconds")
    };
    assert!((30_000..=60_000).contains(&lives().await), "{}", lives().await);
    if backend.name == "memory" {
        backend.pass(Duration::from_millis(59_999)).await;
        assert_eq!(one(&backend, &command).await, Reply::Int(1));
        assert_eq!(lives().await, 1, "its time is that of the first run");
        backend.pass(Duration::from_millis(2)).await;
        assert_eq!(lives().await, -2, "it is gone");
    }
}

pub async fn an_operation_survives_a_flush_of_the_scripts(backend: Backend) {
    // A server of its own: the flush would hit others.
    let backend = if backend.name == "native" { Backend::on(Arc::new(RedisServer::start())) } else { backend };
    let command = Command::script(acting_once("return redis.call('INCR', KEYS[1])"), &[&key(&backend, "k")]);
    for _ in 0..3 {
        assert_eq!(one(&backend, &command).await, Reply::Int(1));
        if backend.name == "native" {
            assert_eq!(backend.say(["SCRIPT", "FLUSH"]).await.done(), Ok(()));
        }
    }
}

pub async fn what_has_no_key_cannot_be_an_operation(backend: Backend) {
    let command = Command::script(acting_once("return redis.call('INCR', ARGV[1])"), &[]).arg(backend.key("k"));
    assert!(shown(&one(&backend, &command).await).contains("Number of keys can't be negative"));
    assert_eq!(count(&backend).await, "nil", "it does not run at all");
}
