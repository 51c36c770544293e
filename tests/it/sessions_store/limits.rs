//! How many sessions a user may have.

use super::bench::{Bench, created, id, id_of, name, new, refreshable, unconditional};
use agentapi::stores::sessions::{
    CreateOutcome, JsonObject, NewSession, PutOutcome, PutSession, RefreshOutcome, Sessions,
};
use agentapi::tenancy::SessionLimitPolicy;

on_every_backend!(
    the_oldest_session_makes_room,
    a_lowered_limit_is_kept_at_the_next_creation,
    a_full_user_is_refused,
    concurrent_creations_keep_the_limit,
    sessions_in_other_partitions_count,
    a_crowd_of_creations_all_succeed,
);

fn limited(bench: &Bench, limit: u32, policy: SessionLimitPolicy) -> Sessions {
    bench.sessions_with(|settings| {
        settings.max_per_user = limit;
        settings.limit_policy = policy;
    })
}

async fn count(sessions: &Sessions, user: &str) -> usize {
    sessions.list_user(&name(user), None, 1000).await.unwrap().items.len()
}

async fn the_oldest_session_makes_room(bench: &Bench) {
    let sessions = limited(bench, 2, SessionLimitPolicy::EvictOldest);
    let (oldest, token) = refreshable(&sessions, "u").await;
    bench.tick();
    let middle = created(&sessions, new("u")).await;
    bench.tick();
    let newest = created(&sessions, new("u")).await;
    assert!(!sessions.exists(&id_of(&oldest)).await.unwrap());
    assert!(matches!(sessions.refresh(&token).await.unwrap(), RefreshOutcome::Invalid));
    assert!(sessions.exists(&id_of(&middle)).await.unwrap());
    assert!(sessions.exists(&id_of(&newest)).await.unwrap());
    assert_eq!(count(&sessions, "u").await, 2);
    created(&sessions, new("another")).await;
    assert_eq!(count(&sessions, "u").await, 2);
}

async fn a_lowered_limit_is_kept_at_the_next_creation(bench: &Bench) {
    let sessions = bench.sessions();
    for _ in 0..250 {
        created(&sessions, new("u")).await;
    }
    created(&limited(bench, 3, SessionLimitPolicy::EvictOldest), new("u")).await;
    assert_eq!(count(&sessions, "u").await, 3);
}

async fn a_full_user_is_refused(bench: &Bench) {
    let sessions = limited(bench, 2, SessionLimitPolicy::Reject);
    let first = created(&sessions, new("u")).await;
    created(&sessions, new("u")).await;
    assert!(matches!(sessions.create(new("u")).await.unwrap(), CreateOutcome::LimitReached));
    let chosen = NewSession { id: Some(id("chosen")), ..new("u") };
    assert!(matches!(sessions.create(chosen).await.unwrap(), CreateOutcome::LimitReached));
    let other = id_of(&created(&sessions, new("other")).await);
    let put =
        PutSession { user_id: name("u"), data: JsonObject::default(), metadata: JsonObject::default(), ttl: None };
    let moved = sessions.put(&other, put, &unconditional()).await.unwrap();
    assert!(matches!(moved, PutOutcome::LimitReached));
    sessions.revoke(&first.reference, &unconditional()).await.unwrap();
    created(&sessions, new("u")).await;
    assert_eq!(count(&sessions, "u").await, 2);
}

async fn concurrent_creations_keep_the_limit(bench: &Bench) {
    for policy in [SessionLimitPolicy::EvictOldest, SessionLimitPolicy::Reject] {
        let user = format!("{policy:?}");
        let sessions = limited(bench, 3, policy);
        let creators = (0..8).map(|_| {
            let (sessions, user) = (sessions.clone(), user.clone());
            tokio::spawn(async move { sessions.create(new(&user)).await.unwrap() })
        });
        let mut there = 0;
        for creator in creators.collect::<Vec<_>>() {
            there += usize::from(matches!(creator.await.unwrap(), CreateOutcome::Created { .. }));
        }
        assert_eq!(there, if policy == SessionLimitPolicy::Reject { 3 } else { 8 });
        assert_eq!(count(&sessions, &user).await, 3);
    }
}

async fn a_crowd_of_creations_all_succeed(bench: &Bench) {
    for limit in [5, 1] {
        let sessions = limited(bench, limit, SessionLimitPolicy::EvictOldest);
        let creators = (0..64).map(|_| {
            let sessions = sessions.clone();
            tokio::spawn(async move { created(&sessions, new("u")).await })
        });
        for creator in creators.collect::<Vec<_>>() {
            creator.await.unwrap();
        }
        assert_eq!(count(&sessions, "u").await, limit as usize);
    }
}

async fn sessions_in_other_partitions_count(bench: &Bench) {
    let sessions = limited(bench, 2, SessionLimitPolicy::EvictOldest);
    created(&sessions, NewSession { id: Some(id("first")), ..new("u") }).await;
    bench.tick();
    created(&sessions, NewSession { id: Some(id("second")), ..new("u") }).await;
    bench.tick();
    created(&sessions, new("u")).await;
    assert_eq!(count(&sessions, "u").await, 2);
    assert!(!sessions.exists(&id("first")).await.unwrap());
    assert!(sessions.exists(&id("second")).await.unwrap());
    let rejecting = limited(bench, 2, SessionLimitPolicy::Reject);
    assert!(matches!(rejecting.create(new("u")).await.unwrap(), CreateOutcome::LimitReached));
}
