//! Publishing, and hearing it: the same on every backend, whatever the message says.

use super::transcript::holds;
use crate::harness::backend::Backend;
use crate::harness::listening::{heard, next, publish, resumed, system};
use agentapi::db::transport::MAX_MESSAGE_BYTES;
use agentapi::db::{Batch, Heard};
use serde_json::{Value, json};

pub async fn publish_counts_those_who_hear_it(backend: Backend) {
    holds(
        &backend,
        r#"
        PUBLISH $c m -> 0
        PUBLISH $c "" -> 0
        EXISTS $c -> 0
        SET $c v -> OK
        PUBLISH $c m -> 0
        GET $c -> "v"
        "#,
    )
    .await;
}

pub async fn what_one_server_publishes_every_other_hears(backend: Backend) {
    let [publishes, one, other] = [(); 3].map(|()| system(&backend, &backend.key("")));
    let channel = publishes.channel("changes");
    let (mut one, mut other) = (resumed(&one).await, resumed(&other).await);
    assert!(one.is_connected() && other.is_connected());
    for number in 0..100 {
        assert_eq!(publish(&publishes, &channel, &json!(number)).await, 2);
    }
    for number in 0..100 {
        assert_eq!(heard(&mut one).await, json!(number));
        assert_eq!(heard(&mut other).await, json!(number));
    }
}

pub async fn a_listener_hears_nothing_of_another_prefix_or_channel(backend: Backend) {
    let (ours, theirs) = (system(&backend, &backend.key("ours")), system(&backend, &backend.key("theirs")));
    let mut listener = resumed(&ours).await;
    for (system, channel) in [(&theirs, "changes"), (&ours, "change"), (&ours, "changess"), (&ours, "*")] {
        assert_eq!(publish(system, &system.channel(channel), &json!("not for us")).await, 0);
    }
    assert_eq!(publish(&ours, &ours.channel("changes"), &json!("for us")).await, 1);
    assert_eq!(heard(&mut listener).await, json!("for us"));
}

pub async fn any_text_comes_as_it_was_published(backend: Backend) {
    let system = system(&backend, &backend.key(""));
    let mut listener = resumed(&system).await;
    let longest = "x".repeat(MAX_MESSAGE_BYTES - 2);
    let texts =
        ["", "a,b,,c", "a\nb\r\n\r\ndata: message,c,x\n", "é\u{2028}\u{0}\u{7f}", " x ", "data: x", "OK", &longest];
    for text in texts {
        for message in [json!(text), json!({"text": [text, 1, null]})] {
            if message.to_string().len() > MAX_MESSAGE_BYTES {
                continue;
            }
            assert_eq!(publish(&system, &system.channel("changes"), &message).await, 1);
            assert_eq!(heard(&mut listener).await, message);
        }
    }
}

pub async fn instead_of_a_message_that_is_too_long_a_listener_begins_again(backend: Backend) {
    let system = system(&backend, &backend.key(""));
    let mut listener = resumed(&system).await;
    let too_long = Value::String("x".repeat(MAX_MESSAGE_BYTES - 1));
    publish(&system, &system.channel("changes"), &too_long).await;
    assert_eq!(next(&mut listener).await, Heard::Resumed);
    publish(&system, &system.channel("changes"), &json!("next")).await;
    assert_eq!(heard(&mut listener).await, json!("next"));
}

pub async fn scripts_and_transactions_publish_too(backend: Backend) {
    let system = system(&backend, &backend.key(""));
    let mut listener = resumed(&system).await;
    let channel = format!("{}:{{_system:00}}:changes", backend.key(""));
    let script = "redis.call('SET', KEYS[1], 1) return redis.call('PUBLISH', ARGV[1], '\"script\"')";
    assert_eq!(backend.ask(&["EVAL", script, "1", &backend.key("k"), &channel]).await.int(), Ok(1));
    assert_eq!(heard(&mut listener).await, json!("script"));
    let words = |words: &[&str]| crate::harness::backend::raw(words.iter().map(|word| (*word).to_owned()));
    let both = [words(&["SET", &backend.key("k"), "2"]), words(&["PUBLISH", &channel, "\"transaction\""])];
    let [set, told] = backend.run(&Batch::atomic(both.into())).await.try_into().expect("two answers");
    assert_eq!((set.done(), told.int()), (Ok(()), Ok(1)));
    assert_eq!(heard(&mut listener).await, json!("transaction"));
}

pub async fn a_listener_that_is_dropped_has_gone(backend: Backend) {
    let system = system(&backend, &backend.key(""));
    let (stays, goes) = (resumed(&system).await, resumed(&system).await);
    assert_eq!(publish(&system, &system.channel("changes"), &json!(1)).await, 2);
    drop(goes);
    crate::harness::listening::until(async || publish(&system, &system.channel("changes"), &json!(2)).await == 1).await;
    drop(stays);
}
