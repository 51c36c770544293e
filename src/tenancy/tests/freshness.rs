//! How long what is remembered counts.

use super::*;
use crate::base::deadline::Deadline;

#[tokio::test]
async fn a_revoked_key_is_refused_here_at_once_and_on_a_busy_server_elsewhere_within_a_second() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    let (key, secret) = acme(&here).await;
    for started in [0, 100, 399, 400, 899, 900, 999] {
        // Revoked at different ages of the other server's last look.
        let (key, secret) = if started == 0 {
            (key.clone(), secret.clone())
        } else {
            here.create_key(&id("acme"), plain_key()).await.unwrap().unwrap()
        };
        world.pass(5_000);
        assert!(knows(&there, &secret).await);
        world.pass(started);
        assert!(here.revoke_key(&id("acme"), key.id).await.unwrap());
        assert!(!knows(&here, &secret).await, "here at once");
        let mut last_accepted = 0;
        for millis in 0..3_000 {
            if knows(&there, &secret).await {
                last_accepted = millis;
            }
            settle().await;
            world.pass(1);
        }
        assert!(last_accepted < 1_000, "accepted {last_accepted} ms after, revoked {started} ms after a look");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_on_an_idle_server_by_its_first_request_after_a_second() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    let (key, secret) = acme(&here).await;
    assert!(knows(&there, &secret).await);
    here.revoke_key(&id("acme"), key.id).await.unwrap();
    world.pass(1_000);
    assert!(!knows(&there, &secret).await);
}

#[tokio::test]
async fn an_idle_server_asks_nothing() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    settle().await;
    world.wire.said();
    world.pass(3_600_000);
    settle().await;
    assert_eq!(world.wire.said(), [""; 0]);
}

#[tokio::test]
async fn while_a_server_is_busy_looks_happen_behind_its_requests_and_one_at_a_time() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    settle().await;
    world.wire.said();
    world.pass(400);
    let hold = world.wire.hold("changes");
    for _ in 0..100 {
        assert!(knows(&registry, &secret).await, "no request waits");
    }
    hold.arrived().await;
    for _ in 0..100 {
        assert!(knows(&registry, &secret).await);
        settle().await;
    }
    assert_eq!(world.wire.said().len(), 1, "one look");
    hold.release();
    settle().await;
    world.pass(399);
    assert!(knows(&registry, &secret).await);
    settle().await;
    assert_eq!(world.wire.said(), [""; 0], "it counts from its start");
}

#[tokio::test]
async fn all_who_must_wait_share_one_look() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    settle().await;
    world.wire.said();
    world.pass(900);
    let hold = world.wire.hold("changes");
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (registry, secret) = (registry.clone(), secret.clone());
            tokio::spawn(async move { knows(&registry, &secret).await })
        })
        .collect();
    hold.arrived().await;
    settle().await;
    hold.release();
    for request in requests {
        assert!(request.await.unwrap());
    }
    assert_eq!(world.wire.said().len(), 1);
}

#[tokio::test]
async fn the_look_of_a_request_that_goes_away_is_taken_over() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    world.pass(2_000);
    let hold = world.wire.hold("changes");
    let spawn = || {
        let (registry, secret) = (registry.clone(), secret.clone());
        tokio::spawn(async move { knows(&registry, &secret).await })
    };
    let (first, second) = (spawn(), spawn());
    hold.arrived().await;
    settle().await;
    first.abort();
    assert!(second.await.unwrap(), "though the first look never ended");
}

#[tokio::test]
async fn a_look_that_takes_longer_than_a_second_still_serves_those_who_waited_for_it() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    world.pass(2_000);
    let hold = world.wire.hold("changes");
    let request = {
        let (registry, secret) = (registry.clone(), secret.clone());
        tokio::spawn(async move { knows(&registry, &secret).await })
    };
    hold.arrived().await;
    world.pass(3_000);
    world.wire.said();
    hold.release();
    assert!(request.await.unwrap());
    let looks = world.wire.said().iter().filter(|line| line.as_str() == "GET agentapi:{_system:00}:changes").count();
    assert_eq!(looks, 0, "it was not asked again");
    assert!(knows(&registry, &secret).await);
    assert_eq!(world.wire.said().len(), 1, "who comes later needs a younger look");
}

#[tokio::test]
async fn when_the_backend_is_down_requests_are_refused_after_a_second_and_served_when_it_is_back() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    settle().await;
    *world.wire.cut.lock() = true;
    for _ in 0..999 {
        world.pass(1);
        assert!(knows(&registry, &secret).await);
        settle().await;
    }
    world.pass(1);
    assert_eq!(registry.verify(secret.expose(), Deadline::NONE).await.unwrap_err(), DOWN);
    assert_eq!(registry.verify(made_up_key().expose(), Deadline::NONE).await.unwrap_err(), DOWN);
    assert_eq!(registry.tenant(&id("acme"), Deadline::NONE).await.unwrap_err(), DOWN);
    assert!(matches!(registry.verify("agk_malformed", Deadline::NONE).await, Ok(Verification::Unknown)));
    *world.wire.cut.lock() = false;
    assert!(knows(&registry, &secret).await);
}

#[tokio::test]
async fn a_look_that_fails_fails_all_who_waited_for_it() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    settle().await;
    world.pass(2_000);
    *world.wire.cut.lock() = true;
    world.wire.said();
    // Their first poll brings all of them to the same lock before the first one looks.
    let lock = registry.freshness.looking().lock_owned().await;
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (registry, secret) = (registry.clone(), secret.clone());
            tokio::spawn(async move { registry.verify(secret.expose(), Deadline::NONE).await.map(drop) })
        })
        .collect();
    settle().await;
    drop(lock);
    for request in requests {
        assert_eq!(request.await.unwrap(), Err(DOWN));
    }
    assert_eq!(world.wire.said().len(), 1, "a hundred would have waited a hundred timeouts in a row");
}

#[tokio::test]
async fn what_was_loaded_before_a_change_cannot_slip_in_behind_it() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    let (key, secret) = acme(&here).await;
    assert!(!knows(&there, &made_up_key()).await, "it has looked");
    let hold = world.wire.hold("api-key:");
    let slow = {
        let (there, secret) = (there.clone(), secret.clone());
        tokio::spawn(async move { knows(&there, &secret).await })
    };
    hold.arrived().await;
    here.revoke_key(&id("acme"), key.id).await.unwrap();
    world.pass(1_000);
    assert!(!knows(&there, &made_up_key()).await, "it has looked again, and knows of the change");
    hold.release();
    assert!(slow.await.unwrap(), "this one had begun before the key was revoked");
    assert!(!knows(&there, &secret).await, "but what it read is not believed any more");
}

#[tokio::test]
async fn what_was_loaded_before_a_change_of_its_own_cannot_slip_in_behind_it_either() {
    let world = World::new();
    let registry = world.server();
    let (key, secret) = acme(&registry).await;
    let hold = world.wire.hold("api-key:");
    let slow = {
        let (registry, secret) = (registry.clone(), secret.clone());
        tokio::spawn(async move { knows(&registry, &secret).await })
    };
    hold.arrived().await;
    registry.revoke_key(&id("acme"), key.id).await.unwrap();
    hold.release();
    assert!(slow.await.unwrap());
    assert!(!knows(&registry, &secret).await);
}

#[tokio::test]
async fn a_look_that_started_before_a_change_does_not_vouch_for_a_second_after_it() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    let (key, secret) = acme(&here).await;
    assert!(knows(&there, &secret).await);
    world.pass(400);
    let hold = world.wire.hold("changes");
    assert!(knows(&there, &secret).await, "starts a look");
    hold.arrived().await;
    here.revoke_key(&id("acme"), key.id).await.unwrap();
    world.pass(300);
    hold.release();
    settle().await;
    world.pass(700);
    assert!(!knows(&there, &secret).await);
}

#[tokio::test]
async fn when_the_backend_loses_its_data_what_is_remembered_of_it_ends_too() {
    let world = World::new();
    let registry = world.server();
    let (key, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    for family in crate::tenancy::FAMILIES {
        for parts in [vec![], vec!["acme"], vec![key.id.as_str()]] {
            let delete = crate::db::Command::del(&registry.db.key(family, &parts));
            registry.db.run(delete).await.unwrap().count().unwrap();
        }
    }
    settle().await;
    world.pass(1_000);
    assert!(!knows(&registry, &secret).await, "that the token is gone is a change too");
    assert_eq!(world.lasting(), 0, "all of it was lost");
}

/// What `changes` and the record of a key hold, to be put back.
async fn backup(registry: &Registry, key: &ApiKey) -> Vec<crate::db::Command> {
    let mut restore = Vec::new();
    for key in [
        registry.db.key(&crate::tenancy::keys::CHANGES, &[]),
        registry.db.key(&crate::tenancy::keys::API_KEY, &[key.id.as_str()]),
    ] {
        let value = registry.db.run(crate::db::Command::get(&key)).await.unwrap().optional_bytes().unwrap();
        restore.push(match value {
            Some(value) => crate::db::Command::set(&key, value, crate::db::Expiry::Never),
            None => crate::db::Command::del(&key),
        });
    }
    restore
}

async fn restore(registry: &Registry, backup: Vec<crate::db::Command>) {
    for reply in registry.db.pipeline(backup).await.unwrap() {
        assert!(!matches!(reply, crate::db::Reply::Refused(_)));
    }
}

#[tokio::test]
async fn a_change_after_lost_changes_is_no_state_that_was_seen_before() {
    for lost in 1..4 {
        let world = World::new();
        let (here, there) = (world.server(), world.server());
        let (key, secret) = acme(&here).await;
        let before = backup(&here, &key).await;
        for _ in 0..lost {
            here.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
        }
        world.pass(1_000);
        assert!(knows(&here, &secret).await && knows(&there, &secret).await);
        restore(&here, before).await;
        // As many changes as were lost: a count would be where it was.
        for _ in 1..lost {
            here.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
        }
        assert!(here.revoke_key(&id("acme"), key.id).await.unwrap());
        assert!(!knows(&here, &secret).await, "here at once");
        world.pass(1_000);
        assert!(!knows(&there, &secret).await, "elsewhere within a second");
    }
}

#[tokio::test]
async fn what_was_loaded_from_a_state_that_is_lost_then_is_not_believed_when_the_one_before_is_back() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    acme(&here).await;
    let (other, _) = here.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
    assert!(!knows(&there, &made_up_key()).await, "it has looked");
    let before = backup(&here, &other).await;
    let (key, secret) = here.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
    assert!(knows(&there, &secret).await, "loaded before the next look");
    restore(&here, before).await;
    let record = here.db.key(&crate::tenancy::keys::API_KEY, &[key.id.as_str()]);
    here.db.run(crate::db::Command::del(&record)).await.unwrap().count().unwrap();
    world.pass(1_000);
    assert!(!knows(&there, &secret).await, "the key is lost, nobody could revoke it");
}
