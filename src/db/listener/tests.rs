//! When a listener tries again, and what it says meanwhile, on a clock that stands still until it is moved.

use super::*;
use crate::base::clock::SystemClock;
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Command, Database, Delivery, ErrorKind};
use futures_util::{FutureExt, stream};
use parking_lot::Mutex;
use serde_json::json;

/// Subscribes as told, and notes when it was asked to.
#[derive(Default)]
struct Told {
    attempts: Mutex<Vec<Instant>>,
    /// How long the messages of a subscription last; without it there is none.
    lasts: Mutex<Option<Duration>>,
}

impl Subscriber for Told {
    fn subscribe(&self, _: &Channel) -> Subscribing {
        self.attempts.lock().push(Instant::now());
        let lasts = *self.lasts.lock();
        Box::pin(async move {
            let lasts = lasts.ok_or(Error::new(ErrorKind::Unreachable, Delivery::NotSent))?;
            let end = async move {
                sleep(lasts).await;
                Err(Error::new(ErrorKind::Disconnected, Delivery::Unknown))
            };
            Ok(stream::iter([Ok(Bytes::from("m"))]).chain(stream::once(end)).boxed())
        })
    }
}

fn listener(told: &Arc<Told>) -> Listener {
    Listener::new(told.clone(), Channel::new("test", "_system", "c"))
}

fn pauses(told: &Told) -> Vec<Duration> {
    told.attempts.lock().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_away_is_asked_at_growing_intervals_that_are_bounded_and_not_in_step() {
    let told = Arc::new(Told::default());
    let mut listener = listener(&told);
    let waited = tokio::time::timeout(Duration::from_secs(3600), listener.next()).await;
    assert!(waited.is_err() && !listener.is_connected());
    let pauses = pauses(&told);
    assert!((700..=1500).contains(&pauses.len()), "{}", pauses.len());
    let mut expected = FIRST_PAUSE;
    // A sleep is as long as it says and up to a millisecond more.
    for pause in &pauses {
        assert!((expected / 2..=expected + Duration::from_millis(2)).contains(pause), "{pause:?} of {expected:?}");
        expected = (expected * 2).min(LONGEST_PAUSE);
    }
    let late: std::collections::HashSet<_> = pauses.iter().skip(10).collect();
    assert!(late.len() > 20, "they are by chance");
}

#[tokio::test(start_paused = true)]
async fn each_connection_is_said_and_only_one_that_lasts_shortens_the_pauses_again() {
    let told = Arc::new(Told::default());
    *told.lasts.lock() = Some(Duration::ZERO);
    let mut listener = listener(&told);
    for _ in 0..20 {
        assert_eq!(listener.next().await, Heard::Resumed);
        assert!(listener.is_connected());
        assert_eq!(listener.next().await, Heard::Message("m".into()));
    }
    assert!(*pauses(&told).last().unwrap() >= LONGEST_PAUSE / 2);
    *told.lasts.lock() = Some(LONGEST_PAUSE);
    for _ in 0..2 {
        assert_eq!(listener.next().await, Heard::Resumed);
        assert_eq!(listener.next().await, Heard::Message("m".into()));
    }
    let again = *pauses(&told).last().unwrap() - LONGEST_PAUSE;
    assert!(again <= FIRST_PAUSE + Duration::from_millis(2), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_asked_for_an_instant_at_a_time_gets_there_and_hears_all_the_same() {
    let told = Arc::new(Told::default());
    let mut listener = listener(&told);
    fn may_move_between_threads<T: Send>(value: T) -> T {
        value
    }
    assert!(may_move_between_threads(listener.next()).now_or_never().is_none());
    *told.lasts.lock() = Some(Duration::from_secs(60));
    let mut heard = Vec::new();
    for _ in 0..1000 {
        heard.extend(listener.next().now_or_never());
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(heard, [Heard::Resumed, Heard::Message("m".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_hears_what_was_kept_for_it_and_is_then_told_to_look_for_itself() {
    let memory = Arc::new(Memory::new(Arc::new(SystemClock)));
    let clock = BackendClock::new(Arc::new(SystemClock));
    let system = Database::new(memory.clone(), "test", clock).heard_over(memory).system();
    let channel = system.channel("c");
    let mut listener = system.listen(&channel);
    assert_eq!(listener.next().await, Heard::Resumed);
    for number in 0..10_000 {
        system.run(Command::publish(&channel, &json!(number))).await.unwrap().int().unwrap();
    }
    let mut kept = 0;
    while let Heard::Message(message) = listener.next().await {
        assert_eq!(message, kept.to_string());
        kept += 1;
    }
    assert!((1..1000).contains(&kept), "{kept}");
    assert_eq!(system.run(Command::publish(&channel, &json!("new"))).await.unwrap().int(), Ok(1));
    assert_eq!(listener.next().await, Heard::Message("\"new\"".into()));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_heard_a_listener_says_so() {
    let memory = Arc::new(Memory::new(Arc::new(SystemClock)));
    let system = Database::new(memory, "test", BackendClock::new(Arc::new(SystemClock))).system();
    let mut listener = system.listen(&system.channel("c"));
    assert!(tokio::time::timeout(Duration::from_secs(60), listener.next()).await.is_err());
    assert!(!listener.is_connected());
}
