//! Strings, hashes, and what is said of a key whatever it holds. Expiry has a file of its own.

use super::transcript::holds;
use super::{Behaviour, does};
use crate::harness::backend::{Backend, raw, shown};
use agentapi::db::Batch;

pub async fn get_and_set(backend: Backend) {
    holds(
        &backend,
        r#"
        GET $k -> nil
        SET $k v -> OK
        GET $k -> "v"
        set $k "" -> OK
        gEt $k -> ""
        "#,
    )
    .await;
}

pub async fn set_takes_every_option(backend: Backend) {
    holds(
        &backend,
        r#"
        SET $k 1 XX -> nil
        GET $k -> nil
        SET $k 1 NX -> OK
        SET $k 2 NX -> nil
        SET $k 2 nx GET -> "1"
        GET $k -> "1"
        SET $k 2 XX GET -> "1"
        SET $k 3 GET -> "2"
        SET $new 1 GET -> nil
        GET $new -> "1"
        SET $none 1 XX GET -> nil
        GET $none -> nil
        SET $k 1 EX 100 EX 200 -> OK
        SET $k 1 PX 100000 NX -> nil
        SET $k 1 EXAT 99999999999 -> OK
        SET $k 1 PXAT 99999999999999 XX -> OK
        SET $k 1 KEEPTTL GET KEEPTTL -> "1"
        HSET $h f v -> 1
        SET $h 1 GET -> -WRONGTYPE Operation against a key holding the wrong kind of value
        SET $h 1 NX -> nil
        SET $h 1 -> OK
        GET $h -> "1"
        "#,
    )
    .await;
}

pub async fn set_refuses_options_that_contradict(backend: Backend) {
    holds(
        &backend,
        r#"
        SET $k 1 NX XX -> -ERR syntax error
        SET $k 1 XX NX -> -ERR syntax error
        SET $k 1 EX 1 PX 1 -> -ERR syntax error
        SET $k 1 EX 1 KEEPTTL -> -ERR syntax error
        SET $k 1 KEEPTTL PXAT 1 -> -ERR syntax error
        SET $k 1 EX -> -ERR syntax error
        SET $k 1 FOO -> -ERR syntax error
        SET $k 1 EX x -> -ERR value is not an integer or out of range
        SET $k 1 PX 01 -> -ERR value is not an integer or out of range
        SET $k 1 EX 0 -> -ERR invalid expire time in 'set' command
        SET $k 1 PXAT -1 -> -ERR invalid expire time in 'set' command
        SET $k 1 EX 9223372036854775807 -> -ERR invalid expire time in 'set' command
        SET $k 1 PX 9223372036854775807 -> -ERR invalid expire time in 'set' command
        SET $k 1 PX 0 XX -> -ERR invalid expire time in 'set' command
        GET $k -> nil
        "#,
    )
    .await;
}

pub async fn incr(backend: Backend) {
    holds(
        &backend,
        r#"
        INCR $k -> 1
        INCR $k -> 2
        GET $k -> "2"
        SET $k -1 -> OK
        INCR $k -> 0
        SET $k 9223372036854775806 -> OK
        INCR $k -> 9223372036854775807
        INCR $k -> -ERR increment or decrement would overflow
        SET $k 1.0 -> OK
        INCR $k -> -ERR value is not an integer or out of range
        SET $k " 1" -> OK
        INCR $k -> -ERR value is not an integer or out of range
        SET $k 9223372036854775808 -> OK
        INCR $k -> -ERR value is not an integer or out of range
        SET $k "" -> OK
        INCR $k -> -ERR value is not an integer or out of range
        "#,
    )
    .await;
}

pub async fn hashes(backend: Backend) {
    holds(
        &backend,
        r#"
        HGET $h f -> nil
        HMGET $h f g -> [nil, nil]
        HSET $h f 1 g 2 -> 2
        HGETALL $none -> []
        HSET $one f v -> 1
        HGETALL $one -> ["f", "v"]
        HSET $h f 3 i 4 i 5 -> 1
        HGET $h f -> "3"
        HGET $h i -> "5"
        HGET $h none -> nil
        HMGET $h g none f g -> ["2", nil, "3", "2"]
        HSET $h "" "" -> 1
        HGET $h "" -> ""
        HSET $h f -> -ERR wrong number of arguments for 'hset' command
        HSET $h f 1 g -> -ERR wrong number of arguments for 'hset' command
        HDEL $none f -> 0
        HDEL $h f none i f -> 2
        HMGET $h f g i -> [nil, "2", nil]
        EXISTS $h -> 1
        HDEL $h g "" -> 2
        EXISTS $h -> 0
        "#,
    )
    .await;
}

pub async fn del_and_exists(backend: Backend) {
    holds(
        &backend,
        r#"
        SET $a 1 -> OK
        HSET $b f v -> 1
        ZADD $c 1 m -> 1
        EXISTS $a $b $c $none $a -> 4
        DEL $a $none $a $c -> 2
        EXISTS $a $b $c -> 1
        DEL $none -> 0
        SET $a 1 -> OK
        UNLINK $a $none $a $b -> 2
        EXISTS $a $b -> 0
        UNLINK $none -> 0
        "#,
    )
    .await;
}

pub async fn rename_moves_value_and_expiry(backend: Backend) {
    holds(
        &backend,
        r#"
        RENAME $a $b -> -ERR no such key
        RENAME $a $a -> -ERR no such key
        SET $a 1 PXAT 99999999999999 -> OK
        HSET $b f v -> 1
        RENAME $a $b -> OK
        EXISTS $a -> 0
        GET $b -> "1"
        PEXPIREAT $b 99999999999999 NX -> 0
        RENAME $b $b -> OK
        GET $b -> "1"
        SET $c 2 -> OK
        RENAME $c $b -> OK
        PTTL $b -> -1
        "#,
    )
    .await;
}

pub async fn any_bytes_are_kept(backend: Backend) {
    if !does(&backend, Behaviour::CarriesAnyBytes) {
        let batch = Batch::one(raw([&b"SET"[..], b"k", b"\xff"]));
        assert!(backend.transport.execute(&batch).await.is_err());
        return;
    }
    let all: Vec<u8> = (0..=255).collect();
    let key = [backend.key("").into_bytes(), all.clone()].concat();
    let say = async |words: &[&[u8]]| shown(&backend.say(words.iter().map(|word| word.to_vec())).await);
    let quoted = format!("\"{}\"", all.escape_ascii());
    assert_eq!(say(&[b"SET", &key, &all]).await, "OK");
    assert_eq!(say(&[b"GET", &key]).await, quoted);
    assert_eq!(say(&[b"DEL", &key]).await, "1");
    assert_eq!(say(&[b"HSET", &key, &all, &all]).await, "1");
    assert_eq!(say(&[b"HMGET", &key, &all]).await, format!("[{quoted}]"));
    assert_eq!(say(&[b"DEL", &key]).await, "1");
    assert_eq!(say(&[b"ZADD", &key, b"1", &all]).await, "1");
    assert_eq!(say(&[b"ZRANGE", &key, b"0", b"-1"]).await, format!("[{quoted}]"));
    let echo = b"return {KEYS[1], ARGV[1], redis.call('ZSCORE', KEYS[1], ARGV[1])}";
    let key_quoted = format!("\"{}\"", key.escape_ascii());
    assert_eq!(say(&[b"EVAL", echo, b"1", &key, &all]).await, format!("[{key_quoted}, {quoted}, \"1\"]"));
    let large = vec![b'x'; 1 << 20];
    assert_eq!(say(&[b"SET", &key, &large]).await, "OK");
    assert_eq!(say(&[b"GET", &key]).await.len(), large.len() + 2);
}
