//! Scripts: the same text, the same answers.

use super::transcript::{expect, holds, words};
use super::{Behaviour, does};
use crate::harness::backend::{Backend, shown};
use crate::harness::redis_server::RedisServer;
use agentapi::db::{Batch, Command, Effect, Reply, Script};
use std::sync::Arc;

static REACH: Script = Script::new("test/reach", "return redis.call('SET', ARGV[1], 'v')", Effect::Idempotent);
static CONSTANT: Script = Script::new("test/constant", "return 7", Effect::Read);

/// Runs a text over one key, `$k`.
async fn run(backend: &Backend, text: &str) -> Reply {
    backend.say(vec!["EVAL".to_owned(), text.to_owned(), "1".to_owned(), backend.key("k"), "first".to_owned()]).await
}

pub async fn returns(backend: &Backend, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let answer = shown(&run(backend, text).await);
        expect(backend, text, expected, &answer);
    }
}

pub async fn values_are_converted_both_ways(backend: Backend) {
    returns(
        &backend,
        &[
            ("", "nil"),
            ("return nil", "nil"),
            ("return 7", "7"),
            ("return 3.99", "3"),
            ("return -3.99", "-3"),
            ("return 2^53 + 2", "9007199254740994"),
            ("return 1/0", "-9223372036854775808"),
            ("return true", "1"),
            ("return false", "nil"),
            ("return 'a\\0b'", "\"a\\x00b\""),
            ("return {}", "[]"),
            ("return {1, 'a', {2, false, true}, 3.5}", "[1, \"a\", [2, nil, 1], 3]"),
            ("return {1, 2, nil, 3}", "[1, 2]"),
            ("return {ok = 'fine'}", "fine"),
            ("return {ok = 'two\\r\\nlines'}", "two  lines"),
            ("return {err = 'MYCODE some text'}", "-MYCODE some text"),
            ("return {{ok = 'fine'}, {err = 'MYCODE x'}}", "[fine, -MYCODE x]"),
            ("return {ok = 7, 1, 2}", "[1, 2]"),
            ("return function() end", "nil"),
            ("return {name = 1}", "[]"),
            ("return redis.call('GET', KEYS[1])", "nil"),
            ("return type(redis.call('GET', KEYS[1]))", "\"boolean\""),
            ("return redis.call('SET', KEYS[1], '7')", "OK"),
            ("return redis.call('SET', KEYS[1], '7').ok", "\"OK\""),
            ("return {redis.call('GET', KEYS[1]), type(redis.call('INCR', KEYS[1]))}", "[\"7\", \"number\"]"),
            ("redis.call('DEL', KEYS[1]) return redis.call('HSET', KEYS[1], 'f', 'v')", "1"),
            ("return redis.call('HMGET', KEYS[1], 'f', 'none')", "[\"v\", nil]"),
            ("return {#KEYS, #ARGV, ARGV[1]}", "[1, 1, \"first\"]"),
            ("return #redis.call('TIME')", "2"),
            ("return redis.sha1hex('')", "\"da39a3ee5e6b4b0d3255bfef95601890afd80709\""),
        ],
    )
    .await;
}

pub async fn arguments_are_strings_and_numbers(backend: Backend) {
    returns(
        &backend,
        &[
            ("redis.call('SET', KEYS[1], 12) return redis.call('GET', KEYS[1])", "\"12\""),
            ("redis.call('SET', KEYS[1], 1.5) return redis.call('GET', KEYS[1])", "\"1.5\""),
            ("redis.call('SET', KEYS[1], 0.1) return redis.call('GET', KEYS[1])", "\"0.10000000000000001\""),
            ("redis.call('SET', KEYS[1], 2^60) return redis.call('GET', KEYS[1])", "\"1.152921504606847e+18\""),
            ("redis.call('SET', KEYS[1], 1800000000123456) return redis.call('GET', KEYS[1])", "\"1800000000123456\""),
            (
                "return redis.call('SET', KEYS[1], true)",
                "-ERR Lua redis lib command arguments must be strings or integers…",
            ),
            (
                "return redis.call('SET', KEYS[1], nil)",
                "-ERR Lua redis lib command arguments must be strings or integers…",
            ),
            (
                "return redis.call('SET', KEYS[1], {})",
                "-ERR Lua redis lib command arguments must be strings or integers…",
            ),
            ("return redis.call()", "-ERR Please specify at least one argument for this redis…"),
        ],
    )
    .await;
}

pub async fn an_error_keeps_its_code_and_what_was_written_before(backend: Backend) {
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value script: …";
    returns(
        &backend,
        &[
            (
                "redis.call('SET', KEYS[1], 'x') redis.call('INCR', KEYS[1]) redis.call('DEL', KEYS[1])",
                "-ERR value is not an integer or out of range script: …",
            ),
            ("return redis.call('GET', KEYS[1])", "\"x\""),
            ("redis.call('SET', KEYS[1], 'y') return redis.call('HGET', KEYS[1], 'f')", wrong),
            ("return redis.call('GET', KEYS[1])", "\"y\""),
            ("redis.call('SET', KEYS[1], 'z') error('boom')", "-ERR user_script:1: boom script: …"),
            ("return redis.call('GET', KEYS[1])", "\"z\""),
            ("error({err = 'MYCODE text'})", "-MYCODE text script: …"),
            ("\n\nlocal x = nil + 1", "-ERR user_script:3: attempt to perform arithmetic on a nil value script: …"),
            ("return redis.call('FOO')", "-ERR Unknown Redis command called from script script: …"),
            ("return redis.call('GET')", "-ERR Wrong number of args calling Redis command from script script: …"),
            ("return redis.call('EVAL', 'return 1', 0)", "-ERR …"),
            ("return }", "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '}'…"),
        ],
    )
    .await;
}

pub async fn pcall_hands_the_error_over(backend: Backend) {
    let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
    returns(
        &backend,
        &[
            ("redis.call('SET', KEYS[1], 'x') return redis.pcall('HGET', KEYS[1], 'f').err", &format!("\"{wrong}\"")),
            ("return redis.pcall('HGET', KEYS[1], 'f')", &format!("-{wrong}…")),
            ("return {1, redis.pcall('HGET', KEYS[1], 'f')}", &format!("[1, -{wrong}…")),
            ("local ok, e = pcall(redis.call, 'HGET', KEYS[1], 'f') return {ok, e}", &format!("[nil, \"{wrong}\"]")),
            ("local ok, e = pcall(error, 'x') return {ok, e}", "[nil, \"x\"]"),
            ("local ok, e = pcall(error, {err = 'A b'}) return {type(e), e}", "[\"string\", \"A b\"]"),
            ("local ok, e = pcall(error, {other = 'A b'}) return {type(e), e.other}", "[\"table\", \"A b\"]"),
            ("return {pcall(function() end)}", "[1]"),
            ("local ok, e = xpcall(redis.call, function(e) return e.err end) return ok", "nil"),
            ("return {pcall(function() return 1, 2 end)}", "[1, 1, 2]"),
            ("local ok, e = xpcall(function() error('x', 0) end, function(e) return e .. '!' end) return e", "\"x!\""),
            ("return redis.pcall('GET').err", "\"ERR Wrong number of args calling Redis command from script\""),
            ("return redis.pcall('NOPE').err", "\"ERR Unknown Redis command called from script\""),
        ],
    )
    .await;
}

pub async fn replies_can_be_made(backend: Backend) {
    returns(
        &backend,
        &[
            ("return redis.status_reply('DONE')", "DONE"),
            ("return redis.status_reply('DONE').ok", "\"DONE\""),
            ("return redis.error_reply('MYCODE text')", "-MYCODE text"),
            ("return redis.error_reply('-MYCODE text')", "-MYCODE text"),
            ("return redis.error_reply('single')", "-ERR single"),
            ("return redis.error_reply('MYCODE a\\nb').err", "\"MYCODE a\\nb\""),
            ("return redis.error_reply(1)", "-ERR wrong number or type of arguments"),
            ("return redis.status_reply()", "-ERR wrong number or type of arguments"),
        ],
    )
    .await;
}

pub async fn globals_are_protected(backend: Backend) {
    let absent = "-ERR user_script:1: Script attempted to access nonexistent global variable 'undefined'…";
    let readonly = "-ERR user_script:1: Attempt to modify a readonly table…";
    returns(
        &backend,
        &[
            ("return undefined", absent),
            ("undefined()", absent),
            ("defined = 1", readonly),
            ("function defined() end", readonly),
            ("redis.call = nil", readonly),
            ("string.upper = nil", readonly),
            ("local t = {} t.x = 1 return t.x", "1"),
            ("KEYS[1] = 'x' ARGV[2] = 'y' return {KEYS[1], ARGV[2]}", "[\"x\", \"y\"]"),
            ("return {#KEYS, #ARGV}", "[1, 1]"),
        ],
    )
    .await;
}

pub async fn the_outside_is_out_of_reach(backend: Backend) {
    for name in ["io", "require", "dofile", "loadfile", "print", "package", "debug", "module", "setfenv"] {
        let answer = shown(&run(&backend, &format!("return type({name})")).await);
        let nonexistent = format!("nonexistent global variable '{name}'");
        assert!(answer.contains(&nonexistent), "{name}: {answer}");
    }
    let random = shown(&run(&backend, "return type(math.random)").await);
    let expected = if does(&backend, Behaviour::DrawsRandomNumbers) { "\"function\"" } else { "\"nil\"" };
    assert_eq!(random, expected);
    if does(&backend, Behaviour::StopsRunaways) {
        returns(&backend, &[("while true do end", "-ERR Script stopped after 5000000 instructions")]).await;
        returns(&backend, &[("return 1", "1")]).await;
    }
}

pub async fn a_script_is_known_again_after_a_flush(backend: Backend) {
    // A server of its own: the flush would hit others.
    let backend = if backend.name == "native" { Backend::on(Arc::new(RedisServer::start())) } else { backend };
    let constant = || Command::script(&CONSTANT, &[]);
    for _ in 0..2 {
        assert_eq!(backend.run(&Batch::one(constant())).await, [Reply::Int(7)]);
        if backend.name == "native" {
            assert_eq!(backend.say(["SCRIPT", "FLUSH"]).await.done(), Ok(()));
        }
        assert_eq!(backend.run(&Batch::pipeline(vec![constant(), constant()])).await, [Reply::Int(7), Reply::Int(7)]);
    }
    let unknown = backend.say(["EVALSHA", "ffffffffffffffffffffffffffffffffffffffff", "0"]).await;
    assert_eq!(shown(&unknown), "-NOSCRIPT No matching script. Please use EVAL.");
}

pub async fn keys_must_be_declared(backend: Backend) {
    let reach = Command::script(&REACH, &[]).arg(backend.key("undeclared"));
    let answer = shown(&backend.run(&Batch::one(reach)).await[0]);
    let declared = does(&backend, Behaviour::RefusesUndeclaredKeys);
    assert_eq!(answer.starts_with("-ERR Script attempted to access a key that is not in KEYS"), declared, "{answer}");
    let exists = backend.say(words(&backend, "EXISTS $undeclared")).await;
    assert_eq!(exists, Reply::Int(i64::from(!declared)));
}

pub async fn a_script_is_found_by_its_digest_in_a_transaction(backend: Backend) {
    let set = crate::harness::backend::raw(words(&backend, "SET $k 1"));
    let batch = vec![Command::script(&CONSTANT, &[]), set, Command::script(&CONSTANT, &[])];
    let replies = backend.run(&Batch::atomic(batch)).await;
    assert_eq!(replies, [Reply::Int(7), Reply::Status("OK".into()), Reply::Int(7)]);
}

pub async fn lines_and_calls_are_checked(backend: Backend) {
    holds(
        &backend,
        r##"
        EVAL "return 1" 1 -> -ERR Number of keys can't be greater than number of args
        EVAL "return 1" -1 -> -ERR Number of keys can't be negative
        EVAL "return 1" x -> -ERR value is not an integer or out of range
        EVAL "return 1" -> -ERR wrong number of arguments for 'eval' command
        EVALSHA x -> -ERR wrong number of arguments for 'evalsha' command
        EVAL "return #KEYS" 2 $a $b $c -> 2
        eval "#!lua\nreturn 2" 0 -> 2
        "##,
    )
    .await;
}

pub async fn a_script_sees_one_moment(backend: Backend) {
    let text = "redis.call('SET', KEYS[1], 'v', 'PX', 1) local n = 0 for i = 1, 200000 do n = n + i end \
                return redis.call('EXISTS', KEYS[1])";
    returns(&backend, &[(text, "1")]).await;
}

pub async fn a_script_may_say_and_hear_much_at_once(backend: Backend) {
    let text = "for round = 1, 6 do local pairs = {} for n = 1, 3500 do pairs[2 * n - 1] = n pairs[2 * n] = round .. ':' .. n end \
                redis.call('ZADD', KEYS[1], unpack(pairs)) end \
                local all = redis.call('ZRANGE', KEYS[1], 0, -1) return {#all, #redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}";
    returns(&backend, &[(text, "[21000, 42000]"), ("return redis.call('ZRANGE', KEYS[1], 0, 0)", "[\"1:1\"]")]).await;
    let Reply::Array(all) = run(&backend, "return redis.call('ZRANGE', KEYS[1], 0, -1)").await else { panic!() };
    assert_eq!(all.len(), 21_000);
    let many: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let words = [vec!["EVAL".to_owned(), "return {#ARGV, ARGV[5000]}".to_owned(), "0".to_owned()], many].concat();
    assert_eq!(shown(&backend.say(words).await), "[5000, \"4999\"]");
}
