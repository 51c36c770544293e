//! What a subscription does whatever its peer does.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n";

fn subscribed() -> (Subscription, DuplexStream) {
    let (ours, theirs) = duplex(1024 * 1024);
    (Subscription { frames: Frames::over(Box::new(ours)), silence: SILENCE, channel: "c".into() }, theirs)
}

#[tokio::test]
async fn it_begins_when_that_is_confirmed_for_its_own_channel() {
    for (answer, begins) in [
        (&b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"[..], true),
        (b"*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:1\r\n", false),
        (b"-NOPERM this user has no permissions to access one of the channels\r\n", false),
        (b"+OK\r\n", false),
        (b"", false),
    ] {
        let (mut subscription, mut theirs) = subscribed();
        theirs.write_all(answer).await.unwrap();
        theirs.shutdown().await.unwrap();
        assert_eq!(subscription.begin().await.is_ok(), begins, "{}", answer.escape_ascii());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_is_asked_now_and_then_and_kept() {
    let (subscription, mut theirs) = subscribed();
    let peer = tokio::spawn(async move {
        let mut ping = vec![0; PING.len()];
        for _ in 0..100 {
            theirs.read_exact(&mut ping).await.unwrap();
            assert_eq!(ping, PING);
            theirs.write_all(PONG).await.unwrap();
        }
        theirs.write_all(MESSAGE).await.unwrap();
        theirs
    });
    let begun = Instant::now();
    let mut messages = messages(subscription);
    assert_eq!(messages.next().await, Some(Ok("hello".into())));
    let elapsed = begun.elapsed();
    assert!(elapsed >= 100 * SILENCE && elapsed < 101 * SILENCE, "{elapsed:?}");
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_or_drips_what_completes_nothing_is_left() {
    for drips in [false, true] {
        let (subscription, mut theirs) = subscribed();
        let peer = tokio::spawn(async move {
            theirs.write_all(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1000\r\n").await.unwrap();
            while drips && theirs.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
            theirs
        });
        let begun = Instant::now();
        assert_eq!(messages(subscription).next().await, Some(Err(silent())));
        assert_eq!(begun.elapsed(), SILENCE + SILENCE / 4);
        drop(peer);
    }
}

#[tokio::test]
async fn a_message_in_pieces_is_heard_though_it_was_asked_for_again_and_again() {
    let (subscription, mut theirs) = subscribed();
    let mut messages = messages(subscription);
    for piece in MESSAGE.chunks(1) {
        assert!(futures_util::FutureExt::now_or_never(messages.next()).is_none());
        theirs.write_all(piece).await.unwrap();
    }
    assert_eq!(messages.next().await, Some(Ok("hello".into())));
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_it_before_it_is_held() {
    let length = MAX_MESSAGE_BYTES + 1;
    for announced in [length, 100 * 1024 * 1024] {
        let (subscription, mut theirs) = subscribed();
        let head = format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n${announced}\r\n");
        theirs.write_all(head.as_bytes()).await.unwrap();
        theirs.write_all(&vec![b'x'; length]).await.unwrap();
        theirs.write_all(b"\r\n").await.unwrap();
        let mut messages = messages(subscription);
        assert_eq!(messages.next().await, Some(Err(too_long())));
        assert_eq!(messages.next().await, None);
    }
}

#[tokio::test]
async fn the_longest_message_is_heard_and_one_of_another_channel_ends_it() {
    let (subscription, mut theirs) = subscribed();
    let longest = vec![b'x'; MAX_MESSAGE_BYTES];
    let head = format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n${MAX_MESSAGE_BYTES}\r\n");
    theirs.write_all(&[head.as_bytes(), &longest, b"\r\n"].concat()).await.unwrap();
    theirs.write_all(b"*3\r\n$7\r\nmessage\r\n$1\r\nd\r\n$1\r\nx\r\n").await.unwrap();
    let mut messages = messages(subscription);
    assert_eq!(messages.next().await, Some(Ok(longest.into())));
    assert!(messages.next().await.unwrap().is_err());
}

#[tokio::test]
async fn dropping_the_messages_closes_the_connection() {
    let (subscription, mut theirs) = subscribed();
    drop(messages(subscription));
    assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
}
