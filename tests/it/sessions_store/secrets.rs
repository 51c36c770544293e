//! What lies in the backend cannot be presented to the server. Only on a real Redis, which can be dumped.

use super::bench::{Bench, created, created_with_token, id, id_of, new, object, rotate};
use super::refreshing::refreshed;
use agentapi::db::Reply;
use agentapi::stores::sessions::NewSession;

async fn dump(bench: &Bench) -> String {
    let mut text = String::new();
    for key in bench.all_keys().await {
        let kind = bench.raw(&["TYPE", &key]).await.text().unwrap();
        let values: Vec<Reply> = match kind.as_str() {
            "hash" => bench.raw(&["HGETALL", &key]).await.array().unwrap(),
            "zset" => bench.raw(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]).await.array().unwrap(),
            "string" if key.contains("}:op:") => vec![bench.raw(&["GET", &key]).await],
            other => panic!("{key} is a {other}"),
        };
        let ends = bench.raw(&["PTTL", &key]).await.int().unwrap() > 0;
        assert_eq!(ends, kind != "zset", "what is somebody's ends by itself, and no index is evicted: {key}");
        text.push_str(&key);
        for value in values {
            text.push('\n');
            text.push_str(&value.text().unwrap());
        }
    }
    text
}

#[tokio::test]
async fn a_dump_holds_no_id_and_no_refresh_token() {
    let bench = Bench::native();
    let sessions = bench.sessions();
    let mut secrets = Vec::new();
    for number in 0..5 {
        let marked = NewSession { data: object(r#"{"canary":"found"}"#), refresh: true, ..new(&format!("u{number}")) };
        let (session, token) = created_with_token(&sessions, marked).await;
        let token = token.unwrap();
        let (after, next) = refreshed(&sessions, &token).await;
        let rotated = rotate(&sessions, &id_of(&after)).await.unwrap().unwrap();
        secrets.extend([session, after, rotated].iter().map(|s| s.id.as_ref().unwrap().as_str().to_owned()));
        secrets.extend([token, next]);
    }
    created(&sessions, NewSession { id: Some(id("a chosen id")), ..new("u") }).await;
    secrets.push("a chosen id".to_owned());
    let dump = dump(&bench).await;
    assert!(dump.contains("canary") && dump.contains("user-sessions:u3"), "it dumps what there is");
    for secret in secrets {
        // The parts of an id and of a token, without prefix and partition.
        let parts = match secret.len() {
            49 => vec![&secret[6..]],
            98 => vec![&secret[6..49], &secret[49..92]],
            _ => vec![&secret[..]],
        };
        assert!(parts.iter().all(|part| !dump.contains(part)), "a secret lies in the backend");
    }
}
