//! Lists: every live session once, newest first, whatever the page size.

use super::bench::{Bench, created, id, name, new};
use agentapi::stores::sessions::{Cursor, NewSession, Page, Session, Sessions};
use std::collections::HashSet;

on_every_backend!(
    every_session_is_listed_once_and_newest_first,
    a_user_with_very_many_sessions_is_listed_too,
    a_list_costs_a_few_round_trips,
    list_items_hold_neither_id_nor_data,
    the_sessions_of_a_user_are_listed_across_partitions,
);

async fn pages<F: AsyncFn(Option<&Cursor>) -> Page>(page: F) -> Vec<Session> {
    let mut items = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let page = page(cursor.as_ref()).await;
        items.extend(page.items);
        match page.next {
            Some(next) => cursor = Some(Cursor::parse(next.as_str()).expect("a cursor is read back")),
            None => return items,
        }
    }
}

fn assert_exact(listed: &[Session], created: &HashSet<String>) {
    let references: HashSet<String> = listed.iter().map(|session| session.reference.to_string()).collect();
    assert_eq!(references.len(), listed.len(), "none twice");
    assert_eq!(&references, created, "none left out");
    assert!(listed.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at), "newest first");
}

async fn all(sessions: &Sessions, limit: usize) -> Vec<Session> {
    pages(async |cursor| {
        let page = sessions.list(cursor, limit).await.unwrap();
        assert!(page.items.len() <= limit);
        page
    })
    .await
}

async fn every_session_is_listed_once_and_newest_first(bench: &Bench) {
    let sessions = bench.sessions();
    let mut expected = HashSet::new();
    for number in 0..400 {
        // On a clock that is moved by hand, seven each are created in the same microsecond.
        if number % 7 == 0 {
            bench.tick();
        }
        let user = if number % 3 == 0 { "heavy".to_owned() } else { format!("u{}", number % 90) };
        expected.insert(created(&sessions, new(&user)).await.reference.to_string());
    }
    for limit in [1000, 100, 37, 1] {
        assert_exact(&all(&sessions, limit).await, &expected);
    }
    let revoked = sessions.revoke_all(&name("heavy"), None).await.unwrap();
    assert_eq!(all(&sessions, 50).await.len(), 400 - usize::try_from(revoked).unwrap());
}

async fn a_user_with_very_many_sessions_is_listed_too(bench: &Bench) {
    let sessions = bench.sessions();
    let mut expected = HashSet::new();
    for _ in 0..300 {
        bench.tick();
        expected.insert(created(&sessions, new("u")).await.reference.to_string());
    }
    assert_exact(&all(&sessions, 100).await, &expected);
    let of_user = pages(async |cursor| sessions.list_user(&name("u"), cursor, 70).await.unwrap()).await;
    assert_exact(&of_user, &expected);
}

async fn a_list_costs_a_few_round_trips(bench: &Bench) {
    let sessions = bench.sessions();
    for number in 0..150 {
        created(&sessions, new(&format!("u{number}"))).await;
    }
    let (page, cost) = bench.cost(sessions.list(None, 100)).await;
    assert_eq!(page.unwrap().items.len(), 100);
    assert!(cost.0 <= 3, "{cost:?}");
    let (page, cost) = bench.cost(sessions.list_user(&name("u1"), None, 100)).await;
    assert_eq!(page.unwrap().items.len(), 1);
    assert!(cost.0 <= 3, "{cost:?}");
}

async fn list_items_hold_neither_id_nor_data(bench: &Bench) {
    let sessions = bench.sessions();
    let session = created(&sessions, new("u")).await;
    let page = sessions.list(None, 10).await.unwrap();
    assert!(page.next.is_none());
    let item = serde_json::to_value(&page.items[0]).unwrap();
    assert_eq!(item["ref"], session.reference.to_string());
    assert!(item.get("id").is_none() && item.get("data").is_none());
}

async fn the_sessions_of_a_user_are_listed_across_partitions(bench: &Bench) {
    let sessions = bench.sessions();
    let mut expected = HashSet::new();
    for number in 0..12 {
        bench.tick();
        let chosen = (number % 2 == 0).then(|| id(&format!("chosen {number}")));
        let session = created(&sessions, NewSession { id: chosen, ..new("u") }).await;
        expected.insert(session.reference.to_string());
        created(&sessions, new("somebody else")).await;
    }
    for limit in [5, 100] {
        let listed = pages(async |cursor| sessions.list_user(&name("u"), cursor, limit).await.unwrap()).await;
        assert_exact(&listed, &expected);
    }
}
