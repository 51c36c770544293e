//! Two servers, one of them cut off: what is ended on either side stays ended.

use super::bench::{World, always, create, data, id_of, name};
use agentapi::stores::sessions::{RenewOutcome, RevokeOutcome};

#[tokio::test]
async fn ending_all_sessions_of_a_user_ends_those_that_a_server_holds_for_itself() {
    let world = World::new();
    let (cut_off, other) = (world.server(), world.server());
    cut_off.cut().await;
    let ended = create(&cut_off.sessions(), "u").await;
    let of_another = create(&cut_off.sessions(), "v").await;
    other.sessions().revoke_all(&name("u"), None).await.unwrap();
    let later = create(&cut_off.sessions(), "u").await;
    assert!(data(&cut_off.sessions(), &ended).await.is_some(), "nobody could tell it");
    cut_off.heal().await.unwrap();
    for server in [&cut_off, &other] {
        assert_eq!(data(&server.sessions(), &ended).await, None);
        assert!(data(&server.sessions(), &later).await.is_some());
        assert!(data(&server.sessions(), &of_another).await.is_some());
    }
}

#[tokio::test]
async fn the_session_that_is_spared_there_is_spared_here_unless_another_call_ends_it() {
    let world = World::new();
    let (cut_off, other) = (world.server(), world.server());
    cut_off.cut().await;
    let (spared, ended) = (create(&cut_off.sessions(), "u").await, create(&cut_off.sessions(), "u").await);
    let twice = [create(&cut_off.sessions(), "v").await, create(&cut_off.sessions(), "v").await];
    let later_spared = create(&cut_off.sessions(), "w").await;
    other.sessions().revoke_all(&name("u"), Some(spared.reference())).await.unwrap();
    for id in &twice {
        other.sessions().revoke_all(&name("v"), Some(id.reference())).await.unwrap();
    }
    other.sessions().revoke_all(&name("w"), None).await.unwrap();
    other.sessions().revoke_all(&name("w"), Some(later_spared.reference())).await.unwrap();
    cut_off.heal().await.unwrap();
    assert!(data(&other.sessions(), &spared).await.is_some());
    for id in [&ended, &twice[0], &twice[1], &later_spared] {
        assert_eq!(data(&other.sessions(), id).await, None);
    }
}

#[tokio::test]
async fn what_one_ended_alone_is_ended_for_another_that_was_cut_off_too() {
    let world = World::new();
    let (one, other) = (world.server(), world.server());
    one.cut().await;
    other.cut().await;
    let held = create(&other.sessions(), "u").await;
    one.sessions().revoke_all(&name("u"), None).await.unwrap();
    one.heal().await.unwrap();
    other.heal().await.unwrap();
    assert_eq!(data(&one.sessions(), &held).await, None);
}

#[tokio::test]
async fn what_moves_on_elsewhere_does_not_outrun_the_end_of_all_of_a_users() {
    let world = World::new();
    let (cut_off, other) = (world.server(), world.server());
    let id = create(&other.sessions(), "u").await;
    cut_off.cut().await;
    cut_off.sessions().revoke_all(&name("u"), None).await.unwrap();
    let RenewOutcome::Renewed(moved) = other.sessions().rotate(&id, &always()).await.unwrap() else { panic!() };
    cut_off.heal().await.unwrap();
    assert_eq!(data(&other.sessions(), &id_of(&moved)).await, None);
}

#[tokio::test]
async fn a_session_of_the_outage_is_not_seen_elsewhere_until_it_is_over() {
    let world = World::new();
    let (cut_off, other) = (world.server(), world.server());
    cut_off.cut().await;
    let id = create(&cut_off.sessions(), "u").await;
    assert_eq!(data(&other.sessions(), &id).await, None);
    assert_eq!(other.sessions().revoke(id.reference(), &always()).await.unwrap(), RevokeOutcome::Absent);
    cut_off.heal().await.unwrap();
    assert!(data(&other.sessions(), &id).await.is_some());
}
