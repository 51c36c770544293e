//! Time: when keys go, and what changes that.

use super::transcript::{holds, words};
use crate::harness::backend::{Backend, shown};
use std::time::Duration;

const MOMENT: Duration = Duration::from_millis(60);

pub async fn a_key_is_gone_after_its_time(backend: Backend) {
    holds(
        &backend,
        r#"
        SET $s v PX 50 -> OK
        SET $long v PX 100000 -> OK
        HSET $h f v -> 1
        ZADD $z 1 m -> 1
        SET $counter 5 PX 50 -> OK
        "#,
    )
    .await;
    let soon = backend.millis().await + 50;
    for key in ["$h", "$z"] {
        holds(&backend, &format!("PEXPIREAT {key} {soon} -> 1")).await;
    }
    backend.pass(MOMENT).await;
    holds(
        &backend,
        r#"
        EXISTS $s $h $z $counter $long -> 1
        GET $s -> nil
        HMGET $h f -> [nil]
        ZCARD $z -> 0
        DEL $s -> 0
        PTTL $s -> -2
        INCR $counter -> 1
        PTTL $counter -> -1
        RENAME $s $other -> -ERR no such key
        SET $s v XX -> nil
        SET $s v NX -> OK
        HSET $z f v -> 1
        ZADD $h 1 m -> 1
        GET $long -> "v"
        "#,
    )
    .await;
}

pub async fn pexpireat_takes_every_condition(backend: Backend) {
    holds(
        &backend,
        r#"
        PEXPIREAT $k 99999999999999 -> 0
        SET $k v -> OK
        PTTL $k -> -1
        PEXPIREAT $k 99999999990000 XX -> 0
        PEXPIREAT $k 99999999990000 GT -> 0
        PEXPIREAT $k 99999999990000 LT -> 1
        PEXPIREAT $k 99999999990000 NX -> 0
        PEXPIREAT $k 99999999990000 GT -> 0
        PEXPIREAT $k 99999999990001 gt -> 1
        PEXPIREAT $k 99999999990001 LT -> 0
        PEXPIREAT $k 99999999990002 XX LT -> 0
        PEXPIREAT $k 99999999990002 XX GT -> 1
        PEXPIREAT $k 99999999990000 xx -> 1
        PEXPIREAT $k 99999999990000 NX XX -> -ERR NX and XX, GT or LT options at the same time are not compatible
        PEXPIREAT $k 99999999990000 NX GT -> -ERR NX and XX, GT or LT options at the same time are not compatible
        PEXPIREAT $k 99999999990000 GT LT -> -ERR GT and LT options at the same time are not compatible
        PEXPIREAT $k 99999999990000 FOO -> -ERR Unsupported option FOO
        PEXPIREAT $k x FOO -> -ERR Unsupported option FOO
        PEXPIREAT $k x -> -ERR value is not an integer or out of range
        PEXPIREAT $none x -> -ERR value is not an integer or out of range
        "#,
    )
    .await;
    let left = backend.say(words(&backend, "PTTL $k")).await.count().unwrap();
    let expected = 99_999_999_990_000 - backend.millis().await;
    assert!(left.abs_diff(expected) < 5_000, "{left} of {expected}");
}

pub async fn a_time_in_the_past_deletes(backend: Backend) {
    holds(
        &backend,
        r#"
        SET $k v -> OK
        PEXPIREAT $k 1 -> 1
        EXISTS $k -> 0
        SET $k v -> OK
        PEXPIREAT $k -1 GT -> 0
        PEXPIREAT $k -1 -> 1
        EXISTS $k -> 0
        SET $k v PXAT 1 -> OK
        EXISTS $k -> 0
        SET $k old -> OK
        SET $k v EXAT 1 GET -> "old"
        GET $k -> nil
        "#,
    )
    .await;
}

pub async fn what_keeps_the_time_and_what_drops_it(backend: Backend) {
    holds(
        &backend,
        r#"
        SET $k 1 EX 100 -> OK
        INCR $k -> 2
        PEXPIREAT $k 99999999999999 NX -> 0
        SET $k 3 KEEPTTL -> OK
        PEXPIREAT $k 99999999999999 NX -> 0
        SET $k 4 -> OK
        PTTL $k -> -1
        HSET $h f v -> 1
        PEXPIREAT $h 99999999999999 -> 1
        HSET $h f w g x -> 1
        PEXPIREAT $h 99999999999999 NX -> 0
        DEL $h -> 1
        HSET $h f v -> 1
        PTTL $h -> -1
        ZADD $z 1 m -> 1
        PEXPIREAT $z 99999999999999 -> 1
        ZADD $z 2 n -> 1
        PEXPIREAT $z 99999999999999 NX -> 0
        SET $new 1 KEEPTTL -> OK
        PTTL $new -> -1
        "#,
    )
    .await;
    let left = |name: &'static str| {
        let backend = &backend;
        async move { backend.say(words(backend, name)).await.int().unwrap() }
    };
    holds(&backend, "SET $t v PX 90000 -> OK").await;
    assert!((80_000..=90_000).contains(&left("PTTL $t").await));
    holds(&backend, "SET $t v EX 70 -> OK").await;
    assert!((60_000..=70_000).contains(&left("PTTL $t").await));
}

pub async fn time_is_told_in_two_parts(backend: Backend) {
    let before = backend.millis().await;
    backend.pass(Duration::from_millis(5)).await;
    let after = backend.millis().await;
    assert!(after >= before + 5, "{before} {after}");
    let reply = backend.say(["time"]).await;
    assert!(shown(&reply).starts_with("[\""), "{}", shown(&reply));
}
