//! What time does to sessions. Only on the memory backend, whose clock can be moved.

use super::bench::{
    Bench, created, created_with_token, data_of, extend, id, id_of, name, new, object, refreshable, rotate,
    unconditional,
};
use super::refreshing::refreshed;
use agentapi::stores::sessions::{
    CreateOutcome, Error, JsonObject, NewSession, PutOutcome, PutSession, RefreshOutcome, SessionSettings, Sessions,
    Touch,
};
use agentapi::tenancy::{SessionLimitPolicy, SessionTtlPolicy};
use prometheus_client::registry::Registry;
use std::time::Duration;

fn seconds(number: u64) -> Option<Duration> {
    Some(Duration::from_secs(number))
}

#[tokio::test]
async fn a_read_slides_the_expiry_at_most_once_per_tenth_of_the_lifetime() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let at = id_of(&created(&sessions, new("u")).await);
    bench.advance(359);
    let (read, cost) = bench.cost(sessions.read(&at, Touch::Yes)).await;
    assert_eq!((read.unwrap().unwrap().ttl, cost), (3600 - 359, (1, 1)));
    bench.advance(1);
    let (read, cost) = bench.cost(sessions.read(&at, Touch::No)).await;
    assert_eq!((read.unwrap().unwrap().ttl, cost), (3240, (1, 1)));
    let (read, cost) = bench.cost(sessions.read(&at, Touch::Yes)).await;
    let read = read.unwrap().unwrap();
    assert_eq!((read.ttl, cost), (3600, (2, 2)));
    assert_eq!(read.last_activity, bench.now());
    let (read, cost) = bench.cost(sessions.read(&at, Touch::Yes)).await;
    assert_eq!((read.unwrap().unwrap().ttl, cost), (3600, (1, 1)));
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let at = id_of(&created(&sessions, new("u")).await);
    bench.advance(3599);
    assert!(sessions.exists(&at).await.unwrap());
    // Redis ends a key after its moment, not at it.
    bench.advance(2);
    assert!(!sessions.exists(&at).await.unwrap());
    assert!(extend(&sessions, &at, None).await.unwrap().is_none());
    assert!(sessions.list(None, 10).await.unwrap().items.is_empty());
    assert!(sessions.list_user(&name("u"), None, 10).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn an_absolute_end_is_never_passed() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let (session, token) =
        created_with_token(&sessions, NewSession { absolute_ttl: seconds(5000), refresh: true, ..new("u") }).await;
    let (at, token) = (id_of(&session), token.unwrap());
    bench.advance(2000);
    let read = sessions.read(&at, Touch::Yes).await.unwrap().unwrap();
    assert_eq!((read.ttl, read.absolute_expires_at), (3000, Some(read.created_at + Duration::from_secs(5000))));
    let extended = extend(&sessions, &at, seconds(100_000)).await.unwrap().unwrap();
    assert_eq!(extended.ttl, 3000);
    let RefreshOutcome::Refreshed { session, refresh } = sessions.refresh(&token).await.unwrap() else {
        panic!("it lives")
    };
    assert_eq!((session.ttl, Some(refresh.expires_at)), (3000, session.absolute_expires_at));
    bench.advance(3001);
    assert!(!sessions.exists(&id_of(&session)).await.unwrap());
    assert!(matches!(sessions.refresh(refresh.token.expose()).await.unwrap(), RefreshOutcome::Invalid));
}

#[tokio::test]
async fn a_lifetime_of_its_own_wins_over_the_policy() {
    let bench = Bench::memory();
    for policy in [SessionTtlPolicy::Fixed, SessionTtlPolicy::Adaptive] {
        let sessions = bench.sessions_with(|settings| settings.policy = policy);
        let at = id_of(&created(&sessions, NewSession { ttl: seconds(20_000), ..new("u") }).await);
        bench.advance(1999);
        assert_eq!(sessions.read(&at, Touch::Yes).await.unwrap().unwrap().ttl, 18_001);
        bench.advance(1);
        assert_eq!(sessions.read(&at, Touch::Yes).await.unwrap().unwrap().ttl, 20_000);
        let put =
            PutSession { user_id: name("u"), data: JsonObject::default(), metadata: JsonObject::default(), ttl: None };
        let PutOutcome::Replaced(session) = sessions.put(&at, put, &unconditional()).await.unwrap() else {
            panic!("it lives")
        };
        assert_eq!(session.ttl, 3600, "replaced without one, it has none");
    }
}

#[tokio::test]
async fn a_fixed_lifetime_is_not_shortened_by_use() {
    let bench = Bench::memory();
    let at = id_of(&created(&bench.sessions(), new("u")).await);
    bench.advance(600);
    let shorter = bench.sessions_with(|settings| settings.ttl = Duration::from_secs(60));
    assert_eq!(shorter.read(&at, Touch::Yes).await.unwrap().unwrap().ttl, 3000);
}

#[tokio::test]
async fn the_adaptive_policy_grants_by_how_recently_a_session_was_used() {
    let bench = Bench::memory();
    let sessions = bench.sessions_with(|settings| settings.policy = SessionTtlPolicy::Adaptive);
    for (idle, granted) in [(300, 3600), (301, 1800), (1800, 1800), (1801, 900)] {
        let at = id_of(&created(&sessions, new("u")).await);
        bench.advance(idle);
        assert_eq!(sessions.read(&at, Touch::Yes).await.unwrap().unwrap().ttl, granted, "{idle}");
    }
    let at = id_of(&created(&sessions, new("u")).await);
    bench.advance(89);
    assert_eq!(bench.cost(sessions.read(&at, Touch::Yes)).await.1, (1, 1));
    bench.advance(1);
    assert_eq!(bench.cost(sessions.read(&at, Touch::Yes)).await.1, (2, 2));
}

#[tokio::test]
async fn the_adaptive_policy_ends_a_session_two_hours_after_its_creation() {
    let bench = Bench::memory();
    let sessions = bench.sessions_with(|settings| settings.policy = SessionTtlPolicy::Adaptive);
    let capped = id_of(&created(&sessions, new("u")).await);
    let absolute = id_of(&created(&sessions, NewSession { absolute_ttl: seconds(10_000), ..new("u") }).await);
    for _ in 0..(7200 / 240 - 1) {
        bench.advance(240);
        assert!(sessions.read(&capped, Touch::Yes).await.unwrap().is_some());
        assert!(sessions.read(&absolute, Touch::Yes).await.unwrap().is_some());
    }
    assert_eq!(sessions.read(&capped, Touch::Yes).await.unwrap().unwrap().ttl, 240);
    bench.advance(240);
    assert!(sessions.read(&capped, Touch::Yes).await.unwrap().is_none());
    assert!(sessions.read(&absolute, Touch::Yes).await.unwrap().is_some());
}

#[tokio::test]
async fn after_the_grace_a_used_token_ends_the_session() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let (_, token) = refreshable(&sessions, "u").await;
    let (_, next) = refreshed(&sessions, &token).await;
    bench.advance(10);
    assert_eq!(refreshed(&sessions, &token).await.1, next);
    bench.advance(1);
    assert!(matches!(sessions.refresh(&token).await.unwrap(), RefreshOutcome::Reused));
    assert!(matches!(sessions.refresh(&next).await.unwrap(), RefreshOutcome::Invalid));
}

#[tokio::test]
async fn a_refresh_brings_an_ended_session_back_with_its_data() {
    let bench = Bench::memory();
    for policy in [SessionTtlPolicy::Fixed, SessionTtlPolicy::Adaptive] {
        let sessions = bench.sessions_with(|settings| settings.policy = policy);
        let new = NewSession { data: object(r#"{"a":1}"#), refresh: true, ..new("u") };
        let (session, token) = created_with_token(&sessions, new).await;
        bench.advance(20 * 86_400);
        assert!(!sessions.exists(&id_of(&session)).await.unwrap());
        assert!(extend(&sessions, &id_of(&session), None).await.unwrap().is_none());
        assert!(sessions.list(None, 10).await.unwrap().items.is_empty());
        let (back, next) = refreshed(&sessions, &token.unwrap()).await;
        assert_eq!((data_of(&back), back.ttl), (r#"{"a":1}"#, 3600));
        assert_eq!(sessions.list(None, 10).await.unwrap().items.len(), 1);
        bench.advance(100);
        let used = sessions.read(&id_of(&back), Touch::Yes).await.unwrap().unwrap();
        assert_eq!(used.ttl, 3500, "what a refresh granted is not taken back");
        bench.advance(20 * 86_400);
        let (back, next) = refreshed(&sessions, &next).await;
        assert_eq!(sessions.read(&id_of(&back), Touch::Yes).await.unwrap().unwrap().ttl, 3600);
        bench.advance(30 * 86_400 + 1);
        assert!(matches!(sessions.refresh(&next).await.unwrap(), RefreshOutcome::Invalid));
    }
}

#[tokio::test]
async fn revoking_all_ends_sessions_that_only_wait_for_their_refresh_token() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let (_, token) = refreshable(&sessions, "u").await;
    let chosen = NewSession { id: Some(id("chosen")), refresh: true, ..new("u") };
    let (_, elsewhere) = created_with_token(&sessions, chosen).await;
    bench.advance(20 * 86_400);
    created(&sessions, new("u")).await;
    assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 3);
    for token in [token, elsewhere.unwrap()] {
        assert!(matches!(sessions.refresh(&token).await.unwrap(), RefreshOutcome::Invalid));
    }
}

#[tokio::test]
async fn the_id_of_an_ended_session_is_free_again_and_its_token_dead() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let chosen = |user| NewSession { id: Some(id("chosen")), refresh: true, ..new(user) };
    let (_, token) = created_with_token(&sessions, chosen("first")).await;
    bench.advance(4000);
    assert!(matches!(sessions.create(chosen("second")).await.unwrap(), CreateOutcome::Created { .. }));
    assert!(matches!(sessions.refresh(&token.unwrap()).await.unwrap(), RefreshOutcome::Invalid));
    assert_eq!(sessions.revoke_all(&name("first"), None).await.unwrap(), 0);
    assert!(sessions.exists(&id("chosen")).await.unwrap());
}

#[tokio::test]
async fn an_ended_session_does_not_count_against_the_limit() {
    let bench = Bench::memory();
    let sessions = bench.sessions_with(|settings| {
        settings.max_per_user = 1;
        settings.limit_policy = SessionLimitPolicy::Reject;
    });
    created(&sessions, new("u")).await;
    bench.advance(3600);
    created(&sessions, new("u")).await;
    assert!(matches!(sessions.create(new("u")).await.unwrap(), CreateOutcome::LimitReached));
}

#[tokio::test]
async fn sweeping_clears_the_indexes_of_ended_sessions() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    for _ in 0..1200 {
        created(&sessions, new("u")).await;
    }
    let longer = created(&sessions, NewSession { ttl: seconds(100_000), ..new("u") }).await;
    bench.advance(3600);
    assert_eq!(bench.upkeep.sweep().await.unwrap(), 1200);
    assert_eq!(bench.upkeep.sweep().await.unwrap(), 0);
    let listed = sessions.list(None, 10).await.unwrap();
    assert_eq!((listed.items.len(), listed.next), (1, None));
    assert_eq!(listed.items[0].reference, longer.reference);
}

/// How many sessions are counted as cleared after their time.
fn expired(bench: &Bench) -> u64 {
    let (mut registry, mut text) = (Registry::default(), String::new());
    bench.upkeep.counts().register(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text.lines().find_map(|line| line.strip_prefix("agentapi_sessions_expired_total ")?.parse().ok()).unwrap()
}

#[tokio::test]
async fn nothing_is_left_when_all_sessions_have_ended() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    for number in 0..30 {
        let user = format!("u{number}");
        let chosen = (number % 3 == 0).then(|| id(&format!("chosen {number}")));
        let session = created(&sessions, NewSession { id: chosen, refresh: number % 2 == 0, ..new(&user) }).await;
        bench.advance(400);
        sessions.read(&id_of(&session), Touch::Yes).await.unwrap().unwrap();
    }
    assert!(bench.keys() > 100);
    bench.advance(32 * 86_400);
    assert_eq!(bench.upkeep.sweep().await.unwrap(), 30 + 10, "the sessions, and the notes that some lie elsewhere");
    assert_eq!(expired(&bench), 30, "a note is no session");
    assert_eq!(bench.keys(), 0);
    let (cleared, cost) = bench.cost(bench.upkeep.sweep()).await;
    assert_eq!((cleared.unwrap(), cost), (0, (0, 0)), "and nobody looks there any more");
}

#[tokio::test]
async fn a_process_clears_what_it_created_however_much_later_that_ends() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    created(&sessions, new("u")).await;
    created(&sessions, NewSession { ttl: seconds(90_000), ..new("u") }).await;
    bench.advance(3601);
    assert_eq!(bench.upkeep.sweep().await.unwrap(), 1);
    let (cleared, cost) = bench.cost(bench.upkeep.sweep()).await;
    assert_eq!((cleared.unwrap(), cost), (0, (0, 0)), "it is known when the next one ends");
    bench.advance(90_000);
    assert_eq!(bench.upkeep.sweep().await.unwrap(), 1);
    assert_eq!(bench.keys(), 0);
}

#[tokio::test]
async fn a_damaged_index_keeps_no_other_from_being_cleared() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let others = Sessions::new(bench.other_tenant.clone(), SessionSettings::default(), bench.upkeep.clone());
    for number in 0..20 {
        created(&others, new(&format!("u{number}"))).await;
    }
    let shown = created(&sessions, new("u")).await.reference.to_string();
    let expiries = bench.key(&shown[5..7], "session-expiries");
    bench.raw(&["SET", &expiries, "no index"]).await.done().unwrap();
    bench.advance(3601);
    assert!(bench.upkeep.sweep().await.is_err());
    assert_eq!(bench.keys(), 3, "what the damaged one would have named, and itself");
    bench.raw(&["DEL", &expiries]).await.count().unwrap();
    assert_eq!(bench.upkeep.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_used_before_it_ended_is_not_cleared() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let at = id_of(&created(&sessions, new("u")).await);
    bench.advance(3000);
    assert_eq!(bench.upkeep.sweep().await.unwrap(), 0);
    sessions.read(&at, Touch::Yes).await.unwrap().unwrap();
    bench.advance(3000);
    assert_eq!(bench.upkeep.sweep().await.unwrap(), 0);
    assert_eq!(sessions.list(None, 10).await.unwrap().items.len(), 1);
    assert_eq!(sessions.revoke_all(&name("u"), None).await.unwrap(), 1);
    // What the revocation answered is kept for a minute.
    bench.advance(61);
    assert_eq!(bench.keys(), 0);
}

#[tokio::test]
async fn revoking_leaves_nothing_behind() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    // What creations answered is forgotten by then.
    let keys = || {
        bench.advance(61);
        bench.keys()
    };
    for _ in 0..3 {
        let (_, token) = refreshable(&sessions, "u").await;
        let (_, token) = refreshed(&sessions, &token).await;
        let (session, _) = refreshed(&sessions, &token).await;
        sessions.revoke(&session.reference, &unconditional()).await.unwrap();
    }
    assert_eq!(keys(), 0);
    let (_, first) = refreshable(&sessions, "u").await;
    let (_, second) = refreshed(&sessions, &first).await;
    refreshed(&sessions, &second).await;
    assert!(matches!(sessions.refresh(&first).await.unwrap(), RefreshOutcome::Reused));
    assert_eq!(keys(), 0);
    let limited = bench.sessions_with(|settings| settings.max_per_user = 1);
    for _ in 0..3 {
        refreshable(&limited, "u").await;
    }
    assert_eq!(keys(), 5, "one session with its family and three indexes");
    sessions.revoke_all(&name("u"), None).await.unwrap();
    assert_eq!(keys(), 0);
}

#[tokio::test]
async fn while_all_sessions_are_being_ended_none_takes_another_name() {
    let bench = Bench::memory();
    let sessions = bench.sessions();
    let user = name("u");
    let (session, token) = refreshable(&sessions, "u").await;
    let at = id_of(&session);
    let fence = bench.key(&session.reference.to_string()[5..7], "session-fence:u");
    bench.raw(&["SET", &fence, "1"]).await.done().unwrap();
    let put = |user: &str| PutSession {
        user_id: name(user),
        data: JsonObject::default(),
        metadata: JsonObject::default(),
        ttl: None,
    };
    let condition = unconditional();
    let (rotated, refreshed, moved) =
        tokio::join!(rotate(&sessions, &at), sessions.refresh(&token), sessions.put(&at, put("v"), &condition));
    assert_eq!(rotated.unwrap_err(), Error::EditConflict);
    assert_eq!(refreshed.unwrap_err(), Error::EditConflict);
    assert_eq!(moved.unwrap_err(), Error::EditConflict);
    assert!(matches!(sessions.put(&at, put("u"), &condition).await.unwrap(), PutOutcome::Replaced(_)));
    assert_eq!(sessions.revoke_all(&user, None).await.unwrap(), 1);
}
