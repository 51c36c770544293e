//! SCAN: every key that is there all the time is found, by a pattern of Redis' own.

use super::transcript::{expect, holds};
use crate::harness::backend::{Backend, shown};
use agentapi::db::Reply;
use std::collections::BTreeSet;

/// All keys that match, and how many questions it took.
async fn scan(backend: &Backend, pattern: &str, count: &str) -> (BTreeSet<String>, usize) {
    let (mut cursor, mut found, mut asked) = ("0".to_owned(), BTreeSet::new(), 0);
    loop {
        let answer = backend.ask(&["SCAN", &cursor, "MATCH", pattern, "COUNT", count]).await;
        let [next, keys] = answer.array_of().expect("a cursor and keys");
        found.extend(keys.array().expect("keys").into_iter().map(|key| key.text().expect("a key")));
        cursor = next.text().expect("a cursor");
        asked += 1;
        assert!(asked < 100_000, "it ends");
        if cursor == "0" {
            return (found, asked);
        }
    }
}

pub async fn a_scan_finds_every_key_that_matches(backend: Backend) {
    for tag in 0..300 {
        // Tags of their own, so that the keys lie in many places.
        let key = backend.key("x").replace('{', &format!("{{s{tag}-"));
        assert_eq!(backend.ask(&["SET", &key, "v"]).await.done(), Ok(()));
    }
    let all = |pattern: &str| backend.key("x").replace('{', &format!("{{{pattern}-"));
    for count in ["1", "10", "100000"] {
        assert_eq!(scan(&backend, &all("s*"), count).await.0.len(), 300, "{count}");
    }
    for (pattern, expected) in [
        ("s?", 10),
        ("s1?", 10),
        ("s[0-4]", 5),
        ("s[^0-4]", 5),
        ("s[4-0]", 5),
        ("s\\1", 1),
        ("s\\*", 0),
        ("s[12][0]?", 20),
    ] {
        assert_eq!(scan(&backend, &all(pattern), "1000").await.0.len(), expected, "{pattern}");
    }
    let (_, asked) = scan(&backend, "nothing", "100000").await;
    assert!(asked <= 3, "{asked}");
}

pub async fn what_stays_is_found_whatever_is_written_and_removed_meanwhile(backend: Backend) {
    let key = |name: &str, tag: usize| backend.key(name).replace('{', &format!("{{w{tag}-"));
    for tag in 0..200 {
        assert_eq!(backend.ask(&["SET", &key("stays", tag), "v"]).await.done(), Ok(()));
        assert_eq!(backend.ask(&["SET", &key("goes", tag), "v"]).await.done(), Ok(()));
    }
    let (mut cursor, mut found, mut tag) = ("0".to_owned(), BTreeSet::new(), 0);
    loop {
        let pattern = backend.key("stays").replace('{', "{w*-");
        let answer = backend.ask(&["SCAN", &cursor, "MATCH", &pattern, "COUNT", "20"]).await;
        let [next, keys] = answer.array_of().expect("a cursor and keys");
        found.extend(keys.array().expect("keys").into_iter().map(|key| key.text().expect("a key")));
        cursor = next.text().expect("a cursor");
        if cursor == "0" {
            break;
        }
        assert!(backend.ask(&["UNLINK", &key("goes", tag % 200)]).await.int().is_ok());
        assert_eq!(backend.ask(&["SET", &key("comes", tag), "v"]).await.done(), Ok(()));
        tag += 1;
    }
    assert_eq!(found.len(), 200);
}

pub async fn scans_that_make_no_sense_are_refused(backend: Backend) {
    holds(
        &backend,
        r#"
        SCAN x -> -ERR invalid cursor
        SCAN 1x -> -ERR invalid cursor
        SCAN " 1" -> -ERR invalid cursor
        SCAN 0 COUNT 0 -> -ERR syntax error
        SCAN 0 COUNT -1 -> -ERR syntax error
        SCAN 0 COUNT x -> -ERR value is not an integer or out of range
        SCAN 0 COUNT -> -ERR syntax error
        SCAN 0 MATCH -> -ERR syntax error
        SCAN 0 FOO x -> -ERR syntax error
        "#,
    )
    .await;
    let answer = backend.ask(&["SCAN", "0", "MATCH", "nothing", "COUNT", "100000"]).await;
    assert!(matches!(answer, Reply::Array(_)));
    let soon = backend.key("soon");
    assert_eq!(backend.ask(&["SET", &soon, "v", "PX", "20"]).await.done(), Ok(()));
    backend.pass(std::time::Duration::from_millis(40)).await;
    let (found, _) = scan(&backend, &soon.replace('{', "\\{"), "1000").await;
    expect(
        &backend,
        "SCAN",
        "[]",
        &shown(&Reply::Array(found.into_iter().map(|key| Reply::Bulk(key.into())).collect())),
    );
}
