//! Two instances of the application on one Redis, and two clients at once: one refresh token that is presented
//! twice, and a session that is ended while it is saved.

use super::alone;
use crate::harness::app::{Answer, App, Caller};
use crate::harness::redis_server::RedisServer;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How many races run at the same time.
const LANES: usize = 40;

/// How many races there are in all.
fn races() -> usize {
    if super::is_full() { 10_000 } else { 2_000 }
}

/// Two applications on one Redis, and somebody with the same key before each.
struct Two {
    _apps: [App; 2],
    callers: [Caller; 2],
}

impl Two {
    async fn new() -> Two {
        let redis = Arc::new(RedisServer::start());
        let apps = [(); 2].map(|()| {
            App::over(
                redis.clone(),
                &[("REDIS_KEY_PREFIX", "races"), ("REQUEST_TIMEOUT", "30s"), ("REDIS_COMMAND_TIMEOUT", "10s")],
            )
        });
        let secret = format!("Bearer {}", apps[0].tenant().await.secret);
        let callers = apps.each_ref().map(|app| app.anyone().with("authorization", &secret));
        Two { _apps: apps, callers }
    }

    /// Which of them is first, in this race, and which is second.
    fn order(&self, race: usize) -> (&Caller, &Caller) {
        (&self.callers[race % 2], &self.callers[1 - race % 2])
    }
}

/// Asks two things at once, the second with a start that is a little later in some races, and counts in
/// `overlaps` whether both were under way at the same time.
async fn race(
    number: usize,
    overlaps: &AtomicU64,
    first: impl Future<Output = Answer>,
    second: impl Future<Output = Answer>,
) -> (Answer, Answer) {
    let first = async { (first.await, Instant::now()) };
    let second = async {
        if number % 8 > 3 {
            tokio::time::sleep(Duration::from_millis(number as u64 % 8 - 3)).await;
        }
        let begun = Instant::now();
        (second.await, begun)
    };
    let ((first, first_ended), (second, second_began)) = tokio::join!(first, second);
    overlaps.fetch_add(u64::from(second_began < first_ended), SeqCst);
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_presented_twice_at_once_has_one_successor() {
    let _alone = alone().await;
    let (two, begun) = (Two::new().await, Instant::now());
    let (overlaps, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let per_lane = races() / LANES;
    let lane = async |lane: usize| {
        let user = format!("u{lane}");
        let body = json!({"user_id": user, "data": {"lane": lane}, "refresh": true});
        let mut last = two.callers[0].post("/v1/sessions", body).await.expect(StatusCode::CREATED);
        for number in 0..per_lane {
            let (first, second) = two.order(number);
            let present = async |caller: &Caller| {
                caller.post("/v1/sessions/refresh", json!({"refresh_token": last["refresh_token"]})).await
            };
            let (first, second) = race(number, &overlaps, present(first), present(second)).await;
            let winners: Vec<Value> = [&first, &second]
                .into_iter()
                .filter(|answer| answer.status == StatusCode::OK)
                .map(Answer::json)
                .collect();
            if let [one, other] = &winners[..] {
                assert_eq!((&one["id"], &one["refresh_token"]), (&other["id"], &other["refresh_token"]), "a fork");
            } else {
                refused.fetch_add(1, SeqCst);
                let refusal = [&first, &second].into_iter().find(|answer| answer.status != StatusCode::OK);
                assert_eq!(refusal.expect("one of them").status, StatusCode::UNAUTHORIZED);
            }
            let next = winners.into_iter().next().expect("one of them is served");
            assert_ne!(next["id"], last["id"]);
            assert_eq!(next["data"], json!({"lane": lane}));
            last = next;
        }
        let sessions = two.callers[1].get(&format!("/v1/users/{user}/sessions")).await.expect(StatusCode::OK);
        let references: Vec<&Value> =
            sessions["items"].as_array().expect("items").iter().map(|one| &one["ref"]).collect();
        assert_eq!(references, [&last["ref"]], "the family is one session, and goes on");
        let id = last["id"].as_str().expect("an id");
        two.callers[0].get(&format!("/v1/sessions/{id}")).await.expect(StatusCode::OK);
    };
    join_all((0..LANES).map(lane)).await;
    let (races, overlaps) = (per_lane * LANES, overlaps.into_inner());
    println!(
        "{races} refresh races over two instances in {:?}: {overlaps} overlapped, {} had one refused, 0 forks",
        begun.elapsed(),
        refused.into_inner()
    );
    assert!(overlaps as usize > races / 2, "they were races");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_ended_while_it_is_saved_stays_ended() {
    let _alone = alone().await;
    let (two, begun) = (Two::new().await, Instant::now());
    let (overlaps, saved, renewed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let per_lane = races() / LANES;
    let lane = async |lane: usize| {
        let user = format!("u{lane}");
        for number in 0..per_lane {
            let made = json!({"user_id": user, "data": {"n": number}, "refresh": true});
            let made = two.callers[lane % 2].post("/v1/sessions", made).await.expect(StatusCode::CREATED);
            let path = format!("/v1/sessions/{}", made["id"].as_str().expect("an id"));
            let (saver, ender) = two.order(lane + number);
            // Ways of saving, and of being given a new id, that need a session to be there; a plain PUT would create one.
            let save = async {
                let body = json!({"data": {"saved": true}});
                let whole = json!({"user_id": user, "data": {"saved": true}});
                match number / 2 % 4 {
                    0 => saver.post("/v1/sessions/refresh", json!({"refresh_token": made["refresh_token"]})).await,
                    1 => saver.patch(&path, body).await,
                    2 => saver.with("if-match", "\"1\"").patch(&path, body).await,
                    _ => saver.with("if-match", "\"1\"").put(&path, whole).await,
                }
            };
            let end = ender.delete(&path);
            let (save, end) = if number % 2 == 0 {
                race(number / 8, &overlaps, save, end).await
            } else {
                let (end, save) = race(number / 8, &overlaps, end, save).await;
                (save, end)
            };
            match (save.status.as_u16(), end.status.as_u16()) {
                (200, 204) if save.json().get("refresh_token").is_none() => drop(saved.fetch_add(1, SeqCst)),
                // It had a new id already, so that it was not ended; that one is.
                (200, 404) => {
                    renewed.fetch_add(1, SeqCst);
                    let renewed = save.json();
                    let path = format!("/v1/sessions/{}", renewed["id"].as_str().expect("an id"));
                    saver.delete(&path).await.expect(StatusCode::NO_CONTENT);
                }
                (401 | 404 | 412, 204) => {}
                _ => panic!("{save:?} {end:?}"),
            }
            saver.get(&path).await.refused(404, "session_not_found");
        }
        let sessions = two.callers[0].get(&format!("/v1/users/{user}/sessions")).await.expect(StatusCode::OK);
        assert_eq!(sessions["items"], json!([]));
    };
    join_all((0..LANES).map(lane)).await;
    let (races, overlaps, saved) = (per_lane * LANES, overlaps.into_inner(), saved.into_inner());
    println!(
        "{races} logout-against-save races over two instances in {:?}: {overlaps} overlapped, the save came first in \
         {saved}, a refresh in {}, 0 resurrections",
        begun.elapsed(),
        renewed.load(SeqCst)
    );
    assert!(overlaps as usize > races / 2, "they were races");
    assert!(saved > 0 && (saved as usize) < races * 3 / 4, "either came first: {saved}");
    assert!((1..races as u64 / 4).contains(&renewed.into_inner()), "and either came first with a refresh");
}
