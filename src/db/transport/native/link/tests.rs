//! What a link promises its callers, whatever the peer does.

use super::*;
use futures_util::FutureExt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// Between two looks at the link.
const TICK: Duration = Duration::from_millis(500);

impl Stream for DuplexStream {
    fn abandon(&self) {}
}

fn ping(link: &Link) -> Exchange {
    link.call(1, |out| out.extend_from_slice(b"PING\r\n"))
}

#[tokio::test]
async fn answers_go_to_their_callers_in_order_though_one_has_gone_away() {
    let (ours, mut theirs) = duplex(1024);
    let link = Link::over(ours, TICK);
    let (first, second) = (ping(&link), ping(&link));
    let third = link.call(2, |out| out.extend_from_slice(b"PING\r\nPING\r\n"));
    drop(second);
    theirs.write_all(b":1\r\n:2\r\n:3\r\n:4\r\n").await.unwrap();
    assert_eq!(third.await, Ok(vec![Reply::Int(3), Reply::Int(4)]));
    assert_eq!(first.await, Ok(vec![Reply::Int(1)]));
    assert!(link.0.state.lock().calls.is_empty(), "nothing is kept of calls that are over");
}

#[tokio::test]
async fn who_asks_for_much_waits_for_others_who_do_and_nobody_else_waits() {
    let (ours, _theirs) = duplex(1024);
    let link = Link::over(ours, TICK);
    let much = link.lane(LANE * 2).await;
    assert!(much.is_some());
    assert!(link.lane(MANY - 1).now_or_never().is_some_and(|place| place.is_none()), "needs no place");
    assert!(link.lane(MANY).now_or_never().is_none(), "waits");
    drop(much);
    let places: Vec<_> = (0..LANE / MANY).map(|_| link.lane(MANY).now_or_never()).collect();
    assert!(places.iter().all(Option::is_some));
    assert!(link.lane(MANY).now_or_never().is_none());
}

#[tokio::test]
async fn a_lost_connection_tells_what_was_sent_from_what_was_not() {
    let (ours, mut theirs) = duplex(6);
    let link = Link::over(ours, TICK);
    let (sent, unsent) = (ping(&link), ping(&link));
    let mut taken = [0; 3];
    theirs.read_exact(&mut taken).await.unwrap();
    drop(theirs);
    assert_eq!(sent.await, Err(Error::new(ErrorKind::Disconnected, Delivery::Unknown)));
    let unsent = unsent.await.unwrap_err();
    assert_eq!(unsent.kind, ErrorKind::Disconnected);
    assert!(link.has_ended());
    assert_eq!(ping(&link).await, Err(Error::new(ErrorKind::Disconnected, Delivery::NotSent)));
}

#[tokio::test]
async fn a_call_that_never_reached_the_socket_was_not_sent() {
    let (ours, theirs) = duplex(6);
    let link = Link::over(ours, TICK);
    let first = ping(&link);
    // The pipe holds one ping; the second one stays here.
    let second = ping(&link);
    tokio::task::yield_now().await;
    drop(theirs);
    assert_eq!(first.await.unwrap_err().delivery, Delivery::Unknown);
    assert_eq!(second.await.unwrap_err().delivery, Delivery::NotSent);
}

#[tokio::test]
async fn a_peer_that_answers_what_nobody_asked_loses_the_connection() {
    let (ours, mut theirs) = duplex(64);
    let link = Link::over(ours, TICK);
    theirs.write_all(b":1\r\n").await.unwrap();
    while !link.has_ended() {
        tokio::task::yield_now().await;
    }
    let unasked = ErrorKind::Protocol("an answer came to no question");
    assert_eq!(ping(&link).await, Err(Error::new(unasked, Delivery::NotSent)));
}

#[tokio::test]
async fn the_connection_closes_when_its_last_handle_is_gone() {
    let (ours, mut theirs) = duplex(64);
    drop(Link::over(ours, TICK));
    let mut rest = Vec::new();
    theirs.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

fn gone() -> Error {
    Error::new(ErrorKind::Disconnected, Delivery::Unknown)
}

/// Answers the first that are asked, each after so long, and swallows the others.
async fn answer(peer: DuplexStream, first: usize, delay: Duration) {
    let (mut reads, mut writes) = tokio::io::split(peer);
    let (send, mut due) = tokio::sync::mpsc::unbounded_channel();
    let asked = async move {
        let mut ping = [0; 6];
        while reads.read_exact(&mut ping).await.is_ok() && send.send(Instant::now() + delay).is_ok() {}
    };
    let answered = async move {
        for _ in 0..first {
            let Some(due) = due.recv().await else { return };
            tokio::time::sleep_until(due).await;
            if writes.write_all(b"+PONG\r\n").await.is_err() {
                return;
            }
        }
        while due.recv().await.is_some() {}
    };
    tokio::join!(asked, answered);
}

#[tokio::test(start_paused = true)]
async fn a_single_call_into_a_black_hole_costs_the_link_two_ticks() {
    let (ours, _theirs) = duplex(1024);
    let link = Link::over(ours, TICK);
    let begun = Instant::now();
    assert_eq!(ping(&link).await, Err(gone()));
    assert_eq!(begun.elapsed(), 2 * TICK);
    assert!(link.has_ended());
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_found_out_within_three_ticks_though_all_its_callers_gave_up() {
    let (ours, theirs) = duplex(1024);
    let link = Link::over(ours, TICK);
    tokio::spawn(answer(theirs, 33, Duration::from_millis(1)));
    for _ in 0..33 {
        ping(&link).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let begun = Instant::now();
    while !link.has_ended() {
        let late = timeout(Duration::from_millis(50), ping(&link)).await;
        assert!(late.is_err() || late.is_ok_and(|outcome| outcome == Err(gone())));
        assert!(begun.elapsed() <= 3 * TICK);
    }
    assert!(begun.elapsed() >= 2 * TICK - Duration::from_millis(50));
}

/// Counts how often somebody looks.
struct Counted(DuplexStream, Arc<AtomicU64>);

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_read(context, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl Stream for Counted {
    fn abandon(&self) {}
}

#[tokio::test(start_paused = true)]
async fn a_link_that_serves_or_is_idle_is_kept_and_idle_it_has_no_timer() {
    let (ours, theirs) = duplex(1024);
    let looks = Arc::new(AtomicU64::new(0));
    let link = Link::over(Counted(ours, looks.clone()), TICK);
    tokio::spawn(answer(theirs, usize::MAX, TICK - Duration::from_millis(1)));
    // Slow answers, each in time, for a while: somebody always waits, and somebody is always served.
    let begun = Instant::now();
    while begun.elapsed() < 20 * TICK {
        let (one, other) = (ping(&link), async {
            sleep(TICK / 2).await;
            ping(&link).await
        });
        let (one, other) = tokio::join!(one, other);
        assert!(one.is_ok() && other.is_ok());
    }
    let before = looks.load(Ordering::Relaxed);
    sleep(Duration::from_secs(86_400)).await;
    assert!(looks.load(Ordering::Relaxed) <= before + 1, "a last tick, and none after it");
    assert!(ping(&link).await.is_ok());
}

#[test]
fn calls_over_a_link_whose_runtime_has_ended_end_too() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (ours, _theirs) = duplex(1024);
    let ends = runtime();
    let link = ends.block_on(async { Link::over(ours, TICK) });
    let waits = ping(&link);
    drop(ends);
    assert_eq!(runtime().block_on(waits), Err(Error::new(ErrorKind::Disconnected, Delivery::NotSent)));
    assert!(link.has_ended());
}

#[tokio::test(start_paused = true)]
async fn answers_that_only_come_for_those_who_have_gone_are_no_service() {
    let (ours, theirs) = duplex(1024);
    let link = Link::over(ours, TICK);
    tokio::spawn(answer(theirs, usize::MAX, TICK + Duration::from_millis(100)));
    let begun = Instant::now();
    while !link.has_ended() {
        let late = timeout(TICK, ping(&link)).await;
        assert!(late.is_err() || late.is_ok_and(|outcome| outcome == Err(gone())), "nobody gets an answer in time");
        assert!(begun.elapsed() < 4 * TICK);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drip_of_bytes_that_completes_nothing_is_no_service() {
    let (ours, mut theirs) = duplex(1024);
    let link = Link::over(ours, TICK);
    tokio::spawn(async move {
        theirs.write_all(b"$1000\r\n").await.unwrap();
        while theirs.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    let begun = Instant::now();
    assert_eq!(ping(&link).await, Err(gone()));
    assert_eq!(begun.elapsed(), 2 * TICK);
}

#[tokio::test]
async fn what_a_link_that_is_given_up_had_not_sent_never_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut theirs, _) = listener.accept().await.unwrap();
    let link = Link::over(ours, Duration::from_millis(20));
    // More than the kernels hold while nobody reads.
    let large = link.call(1, |out| out.extend_from_slice(&vec![b'x'; 16 * 1024 * 1024]));
    let behind = ping(&link);
    assert_eq!(large.await, Err(gone()));
    assert_eq!(behind.await.unwrap_err().delivery, Delivery::NotSent);
    let mut arrived = Vec::new();
    let end = theirs.read_to_end(&mut arrived).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(arrived.len() < 16 * 1024 * 1024);
}

#[tokio::test]
async fn what_waits_is_bounded_in_commands_and_in_bytes_and_one_call_may_be_larger() {
    let (ours, mut theirs) = duplex(64);
    let link = Link::over(ours, TICK);
    let throttled = Err(Error::new(ErrorKind::Throttled { retry_after: None }, Delivery::NotSent));
    let many = |count: usize| link.call(count, |out| out.extend_from_slice(b"PING\r\n"));
    let all = many(MAX_QUEUED_COMMANDS + 1);
    assert_eq!(many(1).await, throttled);
    theirs.write_all(&b":1\r\n".repeat(MAX_QUEUED_COMMANDS + 1)).await.unwrap();
    assert_eq!(all.await.unwrap().len(), MAX_QUEUED_COMMANDS + 1);
    // Callers who leave make no room: what they asked for is still to be answered.
    let kept: Vec<Exchange> = (0..MAX_QUEUED_COMMANDS).map(|_| ping(&link)).collect();
    drop(kept);
    assert_eq!(ping(&link).await, throttled);

    let (ours, _theirs) = duplex(64);
    let link = Link::over(ours, TICK);
    let large = |bytes: u64| link.call(1, |out| out.extend_from_slice(&vec![b'x'; usize::try_from(bytes).unwrap()]));
    let first = large(MAX_QUEUED_BYTES + 1);
    assert_eq!(large(1).await, throttled);
    drop(first);
    assert_eq!(link.0.state.lock().given, MAX_QUEUED_BYTES + 1, "what was refused is not sent");
}

#[tokio::test]
async fn an_answer_that_is_too_long_fails_its_own_call_and_is_not_kept() {
    let piece = [b"$1048576\r\n".as_slice(), &vec![b'x'; 1024 * 1024], b"\r\n"].concat();
    let pieces = MAX_ANSWER_BYTES / (1024 * 1024) + 1;
    // One value alone, which is known to be too long when it begins; many values; many replies.
    let value =
        || [format!("*2\r\n:7\r\n${}\r\n", pieces * piece.len() - 2).into_bytes(), piece.repeat(pieces)].concat();
    let array = || [format!("*{pieces}\r\n").into_bytes(), piece.repeat(pieces)].concat();
    for (long, replies) in [(value(), 1), (array(), 1), (piece.repeat(pieces), pieces)] {
        let (ours, mut theirs) = duplex(1024 * 1024);
        let link = Link::over(ours, Duration::from_secs(60));
        let ask = |count| link.call(count, |out| out.extend_from_slice(b"GET\r\n"));
        let (before, too_long, after) = (ask(1), ask(replies + 2), ask(1));
        let peer = tokio::spawn(async move {
            for part in [b":1\r\n:2\r\n", long.as_slice(), b"$3\r\nend\r\n", b":9\r\n"] {
                theirs.write_all(part).await.unwrap();
            }
            theirs
        });
        assert_eq!(before.await, Ok(vec![Reply::Int(1)]));
        let rule = ErrorKind::Protocol(TOO_LONG);
        assert_eq!(too_long.await, Err(Error::new(rule, Delivery::Answered)));
        let kept = |call: &Call| call.is_too_long && !call.replies.is_empty();
        assert!(!link.0.state.lock().calls.iter().any(kept));
        assert_eq!(after.await, Ok(vec![Reply::Int(9)]));
        let mut theirs = peer.await.unwrap();
        let next = ping(&link);
        theirs.write_all(b"+PONG\r\n").await.unwrap();
        assert_eq!(next.await, Ok(vec![Reply::Status("PONG".into())]));
        assert!(link.is_good());
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_not_one_to_begin_a_call_on() {
    for answer in [&b"-READONLY no\r\n"[..], b"*2\r\n:1\r\n*1\r\n-READONLY no\r\n"] {
        let (ours, mut theirs) = duplex(1024);
        let link = Link::over(ours, TICK);
        let (refused, under_way) = (ping(&link), ping(&link));
        theirs.write_all(b"-ERR READONLY\r\n").await.unwrap();
        assert!(refused.await.is_ok() && link.is_good(), "the code decides, not the text");
        theirs.write_all(answer).await.unwrap();
        assert!(under_way.await.is_ok());
        assert!(!link.is_good() && !link.has_ended());
    }
}
