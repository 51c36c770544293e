//! When something is sent, and when a stream ends. The clock is the runtime's, and moves by itself while all wait.

use super::*;
use crate::http::PlatformSettings;
use crate::http::admission::{Admission, Entrance};
use futures_util::stream::{iter, pending};
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;

const BEAT: Duration = Duration::from_secs(20);

/// Whose caller may listen while `may` says so, and is asked for as `asked` says.
fn stream(may: &Rc<Cell<bool>>, asked: &Rc<Cell<u32>>) -> EventStream {
    let settings = PlatformSettings {
        max_body_bytes: 1,
        max_in_flight: 1,
        max_event_streams: 1,
        max_event_streams_of_tenant: 1,
        event_heartbeat: BEAT,
        request_timeout: BEAT,
        admin_key: None,
        sessions_stand_in: false,
        cors_origins: None,
    };
    let (may, asked) = (may.clone(), asked.clone());
    EventStream {
        place: Entrance::new(Arc::new(Admission::new(&settings, 1))).open_stream(None).ok().unwrap(),
        last_event_id: None,
        has_body: true,
        still_may: Box::new(move || {
            asked.set(asked.get() + 1);
            Box::pin(std::future::ready(may.get()))
        }),
        draining: Draining::default(),
        heartbeat: BEAT,
        end: Instant::now() + LIFETIME,
    }
}

fn plain() -> EventStream {
    stream(&Rc::new(Cell::new(true)), &Rc::default())
}

fn event(data: &str) -> Event {
    Event { data: data.to_owned(), ..Event::default() }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_when_nothing_else_has_for_a_while_and_the_end_after_a_quarter_of_an_hour() {
    let begun = Instant::now();
    let once = stream::once(async {
        sleep(Duration::from_secs(30)).await;
        event("late")
    });
    let mut sent = pin!(sent(plain(), Box::pin(once.chain(pending()))));
    let mut came = Vec::new();
    while let Some(Ok(chunk)) = sent.next().await {
        came.push((begun.elapsed().as_secs(), chunk));
    }
    assert_eq!(came[..4], [(0, HEARTBEAT), (20, HEARTBEAT), (30, event("late").frame()), (50, HEARTBEAT)]);
    assert_eq!((came.len(), begun.elapsed().as_secs()), (46, 15 * 60));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_server_is_about_to_stop_and_with_its_events() {
    let waits = plain();
    let draining = waits.draining.clone();
    let mut waiting = pin!(sent(waits, Box::pin(pending())).skip(1));
    let begun = Instant::now();
    let ends = async {
        sleep(Duration::from_secs(3)).await;
        draining.begin();
    };
    assert!(tokio::join!(waiting.next(), ends).0.is_none());
    assert_eq!(begun.elapsed().as_secs(), 3);
    let late = EventStream { draining, ..plain() };
    let late: Vec<_> = sent(late, Box::pin(iter([event("a")]))).collect().await;
    assert_eq!(late, [Ok(HEARTBEAT)], "it had begun before");
    let all: Vec<_> = sent(plain(), Box::pin(iter([event("a"), event("b")]))).collect().await;
    assert_eq!(all, [Ok(HEARTBEAT), Ok(event("a").frame()), Ok(event("b").frame())]);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_listen_any_more_gets_neither_a_heartbeat_nor_an_event_a_second_later() {
    let (may, asked) = (Rc::new(Cell::new(true)), Rc::default());
    let every = |pause: Duration| {
        Box::pin(stream::unfold((), move |()| async move {
            sleep(pause).await;
            Some((event("e"), ()))
        }))
    };
    let mut quiet = pin!(sent(stream(&may, &asked), Box::pin(pending())).skip(1));
    assert!(quiet.next().await.is_some());
    assert_eq!(asked.get(), 1, "with each heartbeat");
    let mut busy = pin!(sent(stream(&may, &asked), every(Duration::from_millis(100))).skip(1));
    for _ in 0..9 {
        assert!(busy.next().await.is_some());
    }
    assert_eq!(asked.get(), 1, "not with each event");
    assert!(busy.next().await.is_some());
    assert_eq!(asked.get(), 2);
    may.set(false);
    for _ in 0..9 {
        assert!(busy.next().await.is_some());
    }
    assert!(busy.next().await.is_none() && quiet.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn no_event_is_made_before_the_one_before_it_is_taken() {
    let made = Rc::new(Cell::new(0));
    let counts = made.clone();
    let events = iter(std::iter::from_fn(move || {
        counts.set(counts.get() + 1);
        Some(event("e"))
    }));
    let mut sent = pin!(sent(plain(), Box::pin(events)));
    for taken in 0..3 {
        assert!(sent.next().await.is_some());
        assert_eq!(made.get(), taken);
    }
}
