//! What this process holds is bounded; beyond the bounds it refuses.

use super::bench::{World, always, chosen, create, new, object, patch, refused};
use agentapi::stores::sessions::standby::Bounds;
use agentapi::stores::sessions::{CreateOutcome, NewSession};
use std::time::Duration;

#[tokio::test]
async fn more_sessions_than_may_be_held_are_refused_until_some_have_ended() {
    let world = World::new();
    let server = world.server_with(Bounds { sessions: 6, ..Bounds::default() });
    server.cut().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(create(&server.sessions(), "u").await);
    }
    refused(server.sessions().create(new("u")).await);
    server.sessions().revoke(made[0].reference(), &always()).await.unwrap();
    create(&server.sessions(), "u").await;
    assert_eq!(server.held().await, 3);
}

#[tokio::test]
async fn more_bytes_than_may_be_held_are_refused_however_they_come() {
    let world = World::new();
    let server = world.server_with(Bounds { bytes: 46_000, ..Bounds::default() });
    server.cut().await;
    let text = |length: usize| format!(r#"{{"t{length}":"{}"}}"#, "x".repeat(length));
    let large = || NewSession { data: object(&text(6_000)), ..new("u") };
    let id = super::bench::id_of(&super::bench::created(&server.sessions(), large()).await.0);
    server.sessions().create(large()).await.unwrap();
    refused(server.sessions().create(large()).await);
    refused(server.sessions().patch(&id, &patch(&text(6_001)), &always()).await);
    refused(server.sessions().put(&id, super::bench::put("u", &text(6_001)), &always()).await);
    // What is replaced by less makes room.
    server.sessions().put(&id, super::bench::put("u", "{}"), &always()).await.unwrap();
    server.sessions().create(large()).await.unwrap();
}

#[tokio::test]
async fn more_revocations_than_can_be_noted_are_refused() {
    let world = World::new();
    let server = world.server_with(Bounds { noted: 4, ..Bounds::default() });
    let ids = [create(&server.sessions(), "u").await, create(&server.sessions(), "u").await];
    let third = create(&server.sessions(), "v").await;
    server.cut().await;
    for id in &ids {
        server.sessions().revoke(id.reference(), &always()).await.unwrap();
    }
    refused(server.sessions().revoke(third.reference(), &always()).await);
    refused(server.sessions().revoke_many(&[third.reference().clone()]).await);
    refused(server.sessions().revoke_all(&super::bench::name("v"), None).await);
    server.heal().await.unwrap();
    assert!(super::bench::data(&server.sessions(), &third).await.is_some());
}

#[tokio::test]
async fn a_tenant_that_takes_all_it_gets_leaves_room_for_others() {
    let world = World::new();
    let server = world.server_with(Bounds { noted: 40, sessions: 40, ..Bounds::default() });
    server.cut().await;
    let unknown: Vec<_> = (0..100).map(|n| chosen(&format!("unknown {n}"))).collect();
    for (tenant, most) in [("greedy", 20), ("as-greedy", 10), ("modest", 5)] {
        let (mut made, mut noted) = (Vec::new(), 0);
        for id in &unknown {
            noted += usize::from(server.sessions_of(tenant).revoke(id.reference(), &always()).await.is_ok());
            if let Ok(CreateOutcome::Created { session, .. }) = server.sessions_of(tenant).create(new("u")).await {
                made.push(session);
            }
        }
        assert_eq!((made.len(), noted), (most, most), "{tenant}");
        // What is held here can be ended without a note.
        server.sessions_of(tenant).revoke(&made[0].reference, &always()).await.unwrap();
        server.sessions_of(tenant).revoke_many(&[made[1].reference.clone()]).await.unwrap();
        server.sessions_of(tenant).create(new("u")).await.unwrap();
        server.sessions_of(tenant).create(new("u")).await.unwrap();
    }
    // By bytes as well.
    let server = world.server_with(Bounds { bytes: 100_000, ..Bounds::default() });
    server.cut().await;
    while server.sessions_of("greedy").create(new("u")).await.is_ok() {}
    server.sessions_of("modest").create(new("u")).await.unwrap();
}

#[tokio::test]
async fn a_users_limit_counts_what_is_here_and_what_makes_room_has_ended() {
    let world = World::with(|settings| settings.max_per_user = 2);
    let server = world.server();
    let before = create(&server.sessions(), "u").await;
    server.cut().await;
    let first = create(&server.sessions(), "u").await;
    create(&server.sessions(), "u").await;
    create(&server.sessions(), "u").await;
    assert_eq!(server.held().await, 2);
    assert_eq!(super::bench::data(&server.sessions(), &first).await, None);
    server.heal().await.unwrap();
    assert!(super::bench::data(&server.sessions(), &before).await.is_some(), "no one is ended for what came later");
    assert_eq!(super::bench::data(&server.sessions(), &first).await, None);
    world.advance(Duration::from_secs(1));
}
