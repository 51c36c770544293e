//! Whose key it is while the backend cannot be asked: by what is remembered, for those who ask that.

use super::*;
use crate::db::Outage;

struct Server {
    registry: Registry,
    outage: Outage,
}

impl Server {
    fn new(world: &World) -> Server {
        let outage = Outage::default();
        Server { registry: world.server().recalling_in(outage.clone()), outage }
    }

    /// Whether the key is remembered as good (`Some(true)`), as not good, or not at all.
    fn recalls(&self, key: &str) -> Option<bool> {
        self.registry.recall_in_outage(key).map(|verified| matches!(verified, Verification::Known(_)))
    }
}

impl World {
    fn cut(&self, server: &Server) {
        *self.wire.cut.lock() = true;
        server.outage.set(true);
    }
}

#[tokio::test]
async fn a_key_that_was_good_at_the_last_look_is_remembered_in_an_outage_and_only_then() {
    let world = World::new();
    let server = Server::new(&world);
    let (key, secret) = acme(&server.registry).await;
    assert!(knows(&server.registry, &secret).await);
    assert_eq!(server.recalls(secret.expose()), None, "there is no outage");
    world.cut(&server);
    assert_eq!(server.recalls(secret.expose()), Some(true));
    world.pass(3_600_000);
    assert_eq!(server.recalls(secret.expose()), Some(true), "however long the outage lasts");
    assert!(server.registry.verify(secret.expose(), Deadline::NONE).await.is_err(), "nobody else is let in by it");
    let Some(Verification::Known(identity)) = server.registry.recall_in_outage(secret.expose()) else { panic!() };
    assert_eq!((identity.key.id, identity.tenant.id.as_str()), (key.id, "acme"));
    server.outage.set(false);
    assert_eq!(server.recalls(secret.expose()), None);
}

#[tokio::test]
async fn without_a_fallback_no_key_is_remembered() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    *world.wire.cut.lock() = true;
    assert!(registry.recall_in_outage(secret.expose()).is_none());
}

#[tokio::test]
async fn a_wrong_secret_and_an_expired_key_are_not_good_and_an_unknown_key_may_be() {
    let world = World::new();
    let server = Server::new(&world);
    let (key, secret) = acme(&server.registry).await;
    let expires_at = Some(world.clock.now() + Duration::from_secs(60));
    let expiring = NewKey { expires_at, ..plain_key() };
    let (_, expiring) = server.registry.create_key(&id("acme"), expiring).await.unwrap().unwrap();
    let (_, unused) = server.registry.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
    let (nobodys, other) = (made_up_key(), made_up_key());
    for key in [&secret, &expiring] {
        assert!(knows(&server.registry, key).await);
    }
    assert!(!knows(&server.registry, &nobodys).await);
    world.cut(&server);
    // The public part of the known key with another's secret, and a checksum that fits.
    let body = format!("agk_{}{}", key.id, secret_part(&other));
    let wrong = format!("{body}{}", crate::base::id::checksum(&body).iter().collect::<String>());
    assert_eq!(server.recalls(&wrong), Some(false));
    assert_eq!(server.recalls(expiring.expose()), Some(true));
    world.pass(60_000);
    assert_eq!(server.recalls(expiring.expose()), Some(false));
    for key in [&unused, &nobodys] {
        assert_eq!(server.recalls(key.expose()), None, "it may exist by now");
    }
    assert_eq!(server.recalls("no key"), None);
}

/// A server that has seen a change since it knew the first key, which was revoked elsewhere, and has used the second since.
async fn after_a_seen_revocation(world: &World) -> (Server, Secret, Secret) {
    let (server, other) = (Server::new(world), world.server());
    let (key, secret) = acme(&server.registry).await;
    let (_, in_use) = server.registry.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
    assert!(knows(&server.registry, &secret).await);
    other.revoke_key(&id("acme"), key.id).await.unwrap();
    world.pass(1_000);
    assert!(knows(&server.registry, &in_use).await);
    (server, secret, in_use)
}

#[tokio::test]
async fn what_a_seen_change_has_put_in_doubt_is_not_remembered() {
    let world = World::new();
    let (server, secret, in_use) = after_a_seen_revocation(&world).await;
    world.cut(&server);
    assert_eq!(server.recalls(secret.expose()), None, "it was revoked before the last look");
    assert_eq!(server.recalls(in_use.expose()), Some(true));
}

#[tokio::test]
async fn a_server_that_was_idle_for_long_before_the_outage_remembers_nothing() {
    for (idle, remembered) in [(14 * 60, Some(true)), (16 * 60, None)] {
        let world = World::new();
        let server = Server::new(&world);
        let (_, secret) = acme(&server.registry).await;
        assert!(knows(&server.registry, &secret).await);
        world.pass(idle * 1000);
        world.cut(&server);
        assert_eq!(server.recalls(secret.expose()), remembered);
        world.pass(3_600_000);
        assert_eq!(server.recalls(secret.expose()), remembered);
        // Another outage, another look before it.
        *world.wire.cut.lock() = false;
        server.outage.set(false);
        assert!(knows(&server.registry, &secret).await);
        world.cut(&server);
        assert_eq!(server.recalls(secret.expose()), Some(true));
    }
}

#[tokio::test]
async fn a_look_before_an_earlier_outage_says_nothing_hours_later() {
    let world = World::new();
    let (server, other) = (Server::new(&world), world.server());
    let (key, secret) = acme(&server.registry).await;
    assert!(knows(&server.registry, &secret).await);
    world.cut(&server);
    assert_eq!(server.recalls(secret.expose()), Some(true));
    *world.wire.cut.lock() = false;
    server.outage.set(false);
    // Nobody asks this server anything, and the key is revoked at another one.
    other.revoke_key(&id("acme"), key.id).await.unwrap();
    world.pass(3 * 3_600_000);
    world.cut(&server);
    assert_eq!(server.recalls(secret.expose()), None);
}

#[tokio::test]
async fn a_server_that_never_looked_remembers_nothing() {
    let world = World::new();
    let server = Server::new(&world);
    let (_, secret) = acme(&world.server()).await;
    world.cut(&server);
    assert_eq!(server.recalls(secret.expose()), None);
}

#[tokio::test]
async fn before_an_outage_is_declared_a_key_is_recalled_by_whoever_failed_to_ask_for_it() {
    let world = World::new();
    let server = Server::new(&world);
    let recalls = |key: &str| {
        let verified = server.registry.recall_unreachable(key);
        verified.map(|verified| matches!(verified, Verification::Known(_)))
    };
    let (_, secret) = acme(&server.registry).await;
    let (_, unused) = server.registry.create_key(&id("acme"), plain_key()).await.unwrap().unwrap();
    assert_eq!(recalls(secret.expose()), None, "nothing was looked at yet");
    assert!(knows(&server.registry, &secret).await);
    *world.wire.cut.lock() = true;
    world.pass(1_000);
    assert!(server.registry.verify(secret.expose(), Deadline::NONE).await.is_err());
    assert_eq!(server.recalls(secret.expose()), None, "there is no outage yet");
    assert_eq!((recalls(secret.expose()), recalls(unused.expose())), (Some(true), None));
    world.pass(14 * 60_000);
    assert_eq!(recalls(secret.expose()), Some(true));
    world.pass(60_000);
    assert_eq!(recalls(secret.expose()), None, "the last look was more than 15 minutes ago");
}

#[tokio::test]
async fn what_may_be_recalled_in_an_outage_may_be_recalled_by_whoever_failed_to_ask() {
    let world = World::new();
    let server = Server::new(&world);
    let (_, secret) = acme(&server.registry).await;
    assert!(knows(&server.registry, &secret).await);
    world.cut(&server);
    assert_eq!(server.recalls(secret.expose()), Some(true));
    world.pass(3_600_000);
    assert!(server.registry.recall_unreachable(secret.expose()).is_some(), "the look was just before the outage");
    assert!(world.server().recall_unreachable(secret.expose()).is_none(), "without a fallback nothing is");
}

#[tokio::test]
async fn whoever_failed_to_ask_recalls_nothing_that_a_seen_change_has_put_in_doubt() {
    let world = World::new();
    let (server, secret, in_use) = after_a_seen_revocation(&world).await;
    *world.wire.cut.lock() = true;
    assert!(server.registry.recall_unreachable(secret.expose()).is_none());
    assert!(server.registry.recall_unreachable(in_use.expose()).is_some());
}
