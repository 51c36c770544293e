//! What an admin does to API keys, and what stays of them in the backend.

use super::*;

async fn listed(registry: &Registry, tenant: &str) -> Vec<ApiKeyInfo> {
    registry.list_keys(&id(tenant), None, 100).await.unwrap().unwrap().items
}

#[tokio::test]
async fn a_key_needs_a_tenant() {
    let world = World::new();
    let registry = world.server();
    assert!(registry.create_key(&id("nobody"), plain_key()).await.unwrap().is_none());
    assert_eq!(registry.list_keys(&id("nobody"), None, 10).await.unwrap(), None);
    assert_eq!(world.lasting(), 0, "nothing was stored");
}

#[tokio::test]
async fn keys_are_listed_by_id_in_pages_each_tenant_for_itself() {
    let world = World::new();
    let registry = world.server();
    tenant(&registry, "acme").await;
    tenant(&registry, "acme-2").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(registry.create_key(&id("acme"), plain_key()).await.unwrap().unwrap().0);
        registry.create_key(&id("acme-2"), plain_key()).await.unwrap();
    }
    made.sort_by_key(|key| key.id);
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    while pages == 0 || after.is_some() {
        let page = registry.list_keys(&id("acme"), after.as_deref(), 2).await.unwrap().unwrap();
        seen.extend(page.items.into_iter().map(|info| info.key));
        (after, pages) = (page.next, pages + 1);
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, made);
}

#[tokio::test]
async fn only_its_own_tenant_can_revoke_or_rotate_a_key() {
    let world = World::new();
    let registry = world.server();
    let (key, secret) = acme(&registry).await;
    tenant(&registry, "other").await;
    assert!(!registry.revoke_key(&id("other"), key.id).await.unwrap());
    assert!(registry.rotate_key(&id("other"), key.id, Duration::ZERO).await.unwrap().is_none());
    assert!(knows(&registry, &secret).await);
    assert!(registry.revoke_key(&id("acme"), key.id).await.unwrap());
    assert!(!registry.revoke_key(&id("acme"), key.id).await.unwrap(), "there is none any more");
    assert!(!knows(&registry, &secret).await);
    assert_eq!(listed(&registry, "acme").await, []);
}

#[tokio::test]
async fn a_rotated_key_works_until_the_overlap_ends_and_its_successor_is_like_it() {
    let world = World::new();
    let registry = world.server();
    tenant(&registry, "acme").await;
    let end = world.clock.now() + Duration::from_secs(3600);
    let new = NewKey {
        name: Some(Label::parse("ci").unwrap()),
        scopes: Scopes::parse(["cache:read"]).unwrap(),
        expires_at: Some(end),
    };
    let (old, old_secret) = registry.create_key(&id("acme"), new).await.unwrap().unwrap();
    let (new, new_secret) = registry.rotate_key(&id("acme"), old.id, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_ne!(new.id, old.id);
    assert_eq!((&new.name, new.scopes, new.ends_at()), (&old.name, old.scopes, Some(end)));
    world.pass(59_999);
    assert!(knows(&registry, &old_secret).await && knows(&registry, &new_secret).await);
    // Once more, with less time left than asked for: the earlier end stays, and is not inherited.
    let again = registry.rotate_key(&id("acme"), old.id, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(again.0.ends_at(), Some(end));
    world.pass(1);
    assert!(!knows(&registry, &old_secret).await);
    assert!(knows(&registry, &new_secret).await && knows(&registry, &again.1).await);
    assert!(registry.rotate_key(&id("acme"), old.id, Duration::ZERO).await.unwrap().is_none(), "it has expired");
}

#[tokio::test]
async fn without_an_overlap_a_rotated_key_ends_at_once() {
    let world = World::new();
    let registry = world.server();
    let (old, old_secret) = acme(&registry).await;
    let (new, new_secret) = registry.rotate_key(&id("acme"), old.id, Duration::ZERO).await.unwrap().unwrap();
    assert!(!knows(&registry, &old_secret).await);
    assert!(knows(&registry, &new_secret).await);
    let left: Vec<ApiKey> = listed(&registry, "acme").await.into_iter().map(|info| info.key).collect();
    assert_eq!(left, [new]);
}

#[tokio::test]
async fn of_many_who_rotate_one_key_without_overlap_one_gets_a_successor() {
    let world = World::new();
    let registry = world.server();
    let (old, _) = acme(&registry).await;
    let hold = world.wire.hold("api-key:");
    let slow = {
        let registry = registry.clone();
        tokio::spawn(async move { registry.rotate_key(&id("acme"), old.id, Duration::ZERO).await.unwrap() })
    };
    hold.arrived().await;
    assert!(registry.rotate_key(&id("acme"), old.id, Duration::ZERO).await.unwrap().is_some());
    hold.release();
    assert!(slow.await.unwrap().is_none());
    assert_eq!(listed(&registry, "acme").await.len(), 1);
}

#[tokio::test]
async fn the_last_use_is_written_once_an_hour_to_the_hour() {
    let world = World::new();
    let registry = world.server();
    let (key, secret) = acme(&registry).await;
    assert_eq!(listed(&registry, "acme").await[0].last_used, None);
    for _ in 0..10 {
        assert!(knows(&registry, &secret).await);
        settle().await;
        world.pass(200_000);
    }
    let stamps = |world: &World| {
        let said = world.wire.said();
        said.iter().filter(|line| line.contains("api-key-used") && line.starts_with("EVALSHA")).count()
    };
    assert_eq!(stamps(&world), 1, "08:20 to 08:50");
    assert_eq!(listed(&registry, "acme").await[0].last_used, Timestamp::parse_rfc3339("2026-01-31T08:00:00Z"));
    world.pass(1_800_000);
    assert!(knows(&registry, &secret).await);
    settle().await;
    assert_eq!(stamps(&world), 1, "09:23");
    assert_eq!(listed(&registry, "acme").await[0].last_used, Timestamp::parse_rfc3339("2026-01-31T09:00:00Z"));
    assert!(registry.revoke_key(&id("acme"), key.id).await.unwrap());
}

#[tokio::test]
async fn a_late_note_of_the_last_use_leaves_nothing_of_a_revoked_key() {
    let world = World::new();
    let registry = world.server();
    let (key, secret) = acme(&registry).await;
    let before = world.lasting();
    assert!(knows(&registry, &secret).await);
    // The note was spawned and has not run yet.
    assert!(registry.revoke_key(&id("acme"), key.id).await.unwrap());
    world.wire.said();
    settle().await;
    assert!(world.wire.said().iter().any(|line| line.contains("api-key-used")), "it ran after");
    assert_eq!(world.lasting(), before - 2, "the key and the tenant's list of keys are gone");
}

#[tokio::test]
async fn a_failure_to_write_the_last_use_is_not_the_requests() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    *world.wire.cut.lock() = true;
    settle().await;
    assert!(knows(&registry, &secret).await);
}

#[tokio::test]
async fn every_change_leaves_a_token_of_its_own_and_what_changes_nothing_leaves_none() {
    let world = World::new();
    let registry = world.server();
    let token = || async {
        let key = registry.db.key(&crate::tenancy::keys::CHANGES, &[]);
        let token = registry.db.run(crate::db::Command::get(&key)).await.unwrap().optional_bytes().unwrap();
        token.map(|token| String::from_utf8(token.to_vec()).unwrap())
    };
    assert_eq!(token().await, None);
    let mut tokens = Vec::new();
    tenant(&registry, "acme").await;
    tokens.push(token().await);
    let (key, _) = registry.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
    tokens.push(token().await);
    let change = TenantChange { status: Some(Status::Suspended), ..TenantChange::default() };
    registry.update_tenant(&id("acme"), |_| true, change.clone()).await.unwrap();
    tokens.push(token().await);
    let (key, _) = registry.rotate_key(&id("acme"), key.id, Duration::from_secs(1)).await.unwrap().unwrap();
    tokens.push(token().await);
    registry.revoke_key(&id("acme"), key.id).await.unwrap();
    tokens.push(token().await);
    registry.create_tenant(NewTenant::plain(id("acme"))).await.unwrap();
    registry.update_tenant(&id("acme"), |version| version == 9, change).await.unwrap();
    registry.revoke_key(&id("acme"), key.id).await.unwrap();
    registry.create_key(&id("nobody"), plain_key()).await.unwrap();
    assert_eq!(tokens.last(), Some(&token().await), "nothing was changed");
    assert!(tokens.iter().flatten().all(|token| token.len() == 22 && crate::base::id::is_base62(token)), "{tokens:?}");
    let different: std::collections::HashSet<_> = tokens.iter().flatten().collect();
    assert_eq!(different.len(), 5, "{tokens:?}");
}

#[tokio::test]
async fn nothing_that_is_said_to_the_backend_holds_a_key_or_its_secret() {
    let world = World::new();
    let registry = world.server();
    let (key, first) = acme(&registry).await;
    assert!(knows(&registry, &first).await);
    let (key, second) = registry.rotate_key(&id("acme"), key.id, Duration::from_secs(9)).await.unwrap().unwrap();
    assert!(knows(&registry, &second).await);
    listed(&registry, "acme").await;
    registry.revoke_key(&id("acme"), key.id).await.unwrap();
    settle().await;
    let said = world.wire.said().join("\n");
    assert!(said.contains(&crate::base::id::fingerprint(secret_part(&second))), "the digest passed");
    for secret in [&first, &second] {
        let (beginning, end) = secret_part(secret).split_at(20);
        assert!(!said.contains(beginning) && !said.contains(end));
    }
}
