//! What this process holds is bounded; beyond the bounds it refuses.

use super::bench::{World, always, create, new, object, patch, refused};
use agentapi::stores::sessions::NewSession;
use agentapi::stores::sessions::standby::Bounds;
use std::time::Duration;

#[tokio::test]
async fn more_sessions_than_may_be_held_are_refused_until_some_have_ended() {
    let world = World::new();
    let server = world.server_with(Bounds { sessions: 3, ..Bounds::default() });
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
    let server = world.server_with(Bounds { bytes: 20_000, ..Bounds::default() });
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
    let server = world.server_with(Bounds { noted: 2, ..Bounds::default() });
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
