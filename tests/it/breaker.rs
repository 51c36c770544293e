//! The breaker in front of a door: what opens it, what a caller meets while it is open, what closes it.

use crate::failover::scripted::{Outcome, Scripted, batch, call, door, guarded, probed, refused};
use agentapi::db::transport::RedisTransport;
use agentapi::db::{Delivery, Effect, Error, ErrorKind, Outage, Refusal, Reply};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::sleep;

fn error(kind: ErrorKind, delivery: Delivery) -> Outcome {
    Err(Error::new(kind, delivery))
}

fn refusal(line: &str) -> ErrorKind {
    ErrorKind::Refused(Refusal::from_line(line))
}

/// Whether five such outcomes, and a probe that ends like them, shut the door.
async fn shuts(outcome: Outcome) -> bool {
    let (inner, door) = (Scripted::default(), door("native", None));
    let breaker = guarded(&inner, &door);
    inner.answers(outcome.clone());
    for n in 1..=5 {
        assert!(!door.is_open(), "shut after {n} failures");
        assert_eq!(breaker.execute(&batch(Effect::Read)).await, outcome);
    }
    probed().await;
    door.is_open()
}

#[tokio::test(start_paused = true)]
async fn five_failures_that_show_a_door_that_leads_nowhere_shut_it() {
    for outcome in [
        error(ErrorKind::Unreachable, Delivery::NotSent),
        error(ErrorKind::Disconnected, Delivery::Unknown),
        error(ErrorKind::TimedOut, Delivery::Unknown),
        error(ErrorKind::Protocol("spoken to by somebody else"), Delivery::Unknown),
        error(ErrorKind::Forbidden, Delivery::NotSent),
        error(ErrorKind::Forbidden, Delivery::Answered),
        error(refusal("ERR internal"), Delivery::Unknown),
        error(refusal("LOADING all of it"), Delivery::NotSent),
        Ok(vec![refused("LOADING Redis is loading the dataset in memory")]),
        Ok(vec![refused("BUSY a script"), refused("BUSY a script")]),
        Ok(vec![refused("CLUSTERDOWN no slot")]),
        Ok(vec![refused("MASTERDOWN no link")]),
    ] {
        assert!(shuts(outcome.clone()).await, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_shows_somebody_who_can_work_or_is_the_callers_doing_does_not() {
    for outcome in [
        error(ErrorKind::TimedOut, Delivery::NotSent),
        error(ErrorKind::Protocol("it cannot be said"), Delivery::NotSent),
        error(ErrorKind::Throttled { retry_after: None }, Delivery::NotSent),
        error(ErrorKind::Full, Delivery::Answered),
        error(refusal("ERR unknown"), Delivery::Answered),
        error(ErrorKind::Unexpected("an integer"), Delivery::Answered),
        Ok(vec![refused("READONLY a replica")]),
        Ok(vec![refused("OOM no memory")]),
        Ok(vec![refused("MISCONF no disk")]),
        Ok(vec![refused("NOPERM no right")]),
        Ok(vec![refused("TRYAGAIN a slot moves")]),
        Ok(vec![refused("LOADING"), Reply::Int(1)]),
        Ok(vec![Reply::Int(1), refused("LOADING")]),
        Ok(vec![]),
    ] {
        assert!(!shuts(outcome.clone()).await, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_failures_at_once_do_not_shut_a_door_that_answers_a_probe() {
    let (inner, door) = (Scripted::default(), door("native", None));
    let breaker = guarded(&inner, &door);
    inner.fails(ErrorKind::Disconnected, Delivery::Unknown);
    inner.heals_probes();
    let lost = join_all((0..64).map(|_| call(&breaker, Effect::Read))).await;
    assert!(lost.iter().all(Result::is_err));
    probed().await;
    assert!(!door.is_open(), "a connection was lost, and no more");
    assert_eq!(inner.probes().len(), 1);
    // Callers are not helped by connections that probes alone can get.
    for doubt in 2..=3 {
        assert!(!door.is_open(), "doubt {doubt}");
        for _ in 0..5 {
            assert!(call(&breaker, Effect::Read).await.is_err());
        }
        assert_eq!(door.is_open(), doubt == 3);
        if doubt < 3 {
            probed().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failures_count_in_a_row_only() {
    let (inner, door) = (Scripted::default(), door("native", None));
    let breaker = guarded(&inner, &door);
    for round in 0..10 {
        inner.fails(ErrorKind::Disconnected, Delivery::Unknown);
        for _ in 0..4 {
            assert!(call(&breaker, Effect::Read).await.is_err());
        }
        inner.heals();
        assert_eq!(call(&breaker, Effect::Read).await, Ok(()), "round {round}");
    }
    assert!(!door.is_open());
}

/// A door that has just been shut.
async fn shut(inner: &Scripted, breaker: &dyn RedisTransport) {
    inner.fails(ErrorKind::Unreachable, Delivery::NotSent);
    for _ in 0..5 {
        assert!(call(breaker, Effect::Read).await.is_err());
    }
    probed().await;
    inner.calls();
    inner.probes();
}

#[tokio::test(start_paused = true)]
async fn while_it_is_open_callers_are_refused_unsent_and_only_the_breaker_itself_asks() {
    let (inner, outage) = (Scripted::default(), Outage::default());
    let door = door("native", Some(outage.clone()));
    let breaker = guarded(&inner, &door);
    assert!(!outage.is_on());
    shut(&inner, &breaker).await;
    assert!(door.is_open() && outage.is_on());
    for _ in 0..50 {
        let refused = Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent));
        assert_eq!(call(&breaker, Effect::Once).await, refused);
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(inner.calls(), Vec::<String>::new(), "no client's request was risked");
    let probes = inner.probes();
    assert!((4..=6).contains(&probes.len()), "{} probes in a second", probes.len());
    for pair in probes.windows(2) {
        let pause = pair[1] - pair[0];
        assert!((200..=227).contains(&pause.as_millis()), "{pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_good_probe_closes_it() {
    let (inner, outage) = (Scripted::default(), Outage::default());
    let door = door("native", Some(outage.clone()));
    let breaker = guarded(&inner, &door);
    shut(&inner, &breaker).await;
    sleep(Duration::from_secs(3)).await;
    assert!(door.is_open());
    inner.heals();
    sleep(Duration::from_millis(230)).await;
    assert!(!door.is_open() && !outage.is_on());
    assert_eq!(door.changes(), 2);
    assert_eq!(call(&breaker, Effect::Once).await, Ok(()));
    inner.probes();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(inner.probes(), [], "a door that callers take is not probed");
    shut(&inner, &breaker).await;
    inner.heals();
    sleep(Duration::from_millis(230)).await;
    assert!(!door.is_open(), "it is probed the second time as well");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_answered_by_a_server_that_loads_does_not_close_it() {
    let (inner, door) = (Scripted::default(), door("native", None));
    let breaker = guarded(&inner, &door);
    shut(&inner, &breaker).await;
    inner.answers(Ok(vec![refused("LOADING Redis is loading the dataset in memory")]));
    sleep(Duration::from_secs(5)).await;
    assert!(door.is_open());
    inner.answers(Ok(vec![refused("NOPERM this user has no permissions to access one of the keys")]));
    sleep(Duration::from_secs(1)).await;
    assert!(!door.is_open(), "who judges permissions can work");
}

#[tokio::test(start_paused = true)]
async fn a_door_that_refuses_the_credentials_is_probed_once_a_second() {
    let (inner, door) = (Scripted::default(), door("rest", None));
    let breaker = guarded(&inner, &door);
    inner.fails(ErrorKind::Forbidden, Delivery::Answered);
    for _ in 0..5 {
        assert!(call(&breaker, Effect::Read).await.is_err());
    }
    sleep(Duration::from_secs(10)).await;
    assert!((9..=11).contains(&inner.probes().len()));
}

#[tokio::test(start_paused = true)]
async fn probes_never_overlap() {
    let (inner, door) = (Scripted::default(), door("native", None));
    let breaker = guarded(&inner, &door);
    shut(&inner, &breaker).await;
    inner.hangs();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(inner.probes().len(), 1, "the one that hangs");
    assert_eq!(inner.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_began_before_it_opened_says_nothing_after_it_closed() {
    let (inner, door) = (Scripted::default(), door("native", None));
    let breaker = guarded(&inner, &door);
    inner.fails(ErrorKind::Disconnected, Delivery::Unknown);
    let late = batch(Effect::Read);
    // Begun, and not heard of again until the door has been shut and opened.
    let mut late: Vec<_> = (0..5).map(|_| breaker.execute(&late)).collect();
    for call in &mut late {
        let mut once = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut once).is_pending());
    }
    shut(&inner, &breaker).await;
    inner.heals();
    sleep(Duration::from_secs(1)).await;
    assert!(!door.is_open());
    for call in late {
        assert!(call.await.is_err());
    }
    assert!(!door.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_dropped_probes_no_more() {
    let (inner, door) = (Scripted::default(), door("native", None));
    let breaker = guarded(&inner, &door);
    shut(&inner, &breaker).await;
    sleep(Duration::from_secs(1)).await;
    assert!(!inner.probes().is_empty());
    drop(breaker);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(inner.probes(), []);
}
