//! Tokens that were derived from a key, wherever they are shown.

use super::*;

const EVENTS: Purpose = Purpose::new("events");
const OTHER: Purpose = Purpose::new("other");
const FIVE_MINUTES: Duration = Duration::from_secs(300);

async fn opens(registry: &Registry, token: &Secret, purpose: Purpose) -> Option<Identity> {
    match registry.verify(Credential::Token(token.expose(), purpose), Deadline::NONE).await.unwrap() {
        Verification::Known(identity) => Some(identity),
        Verification::Unknown => None,
    }
}

fn token(world: &World, key: &ApiKey) -> Secret {
    key.derive_token(EVENTS, world.clock.now() + FIVE_MINUTES)
}

#[tokio::test]
async fn a_token_is_its_keys_on_every_server_until_it_ends_and_for_its_purpose_alone() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    let (key, secret) = acme(&here).await;
    let token = token(&world, &key);
    for server in [&here, &there] {
        assert_eq!(opens(server, &token, EVENTS).await.unwrap().key.id, key.id);
        assert!(opens(server, &token, OTHER).await.is_none());
        assert!(opens(server, &secret, EVENTS).await.is_none(), "a key is no token");
        assert!(!knows(server, &token).await, "a token is no key");
    }
    world.pass(299_999);
    assert!(opens(&there, &token, EVENTS).await.is_some());
    world.pass(1);
    assert!(opens(&here, &token, EVENTS).await.is_none() && opens(&there, &token, EVENTS).await.is_none());
    assert!(knows(&there, &secret).await);
}

#[tokio::test]
async fn a_token_of_a_key_that_is_remembered_costs_no_call_and_a_malformed_one_never_does() {
    let world = World::new();
    let registry = world.server();
    for text in ["", "agt_", "agt_0123456789abcdef.1.x", &"agt_".repeat(100), made_up_key().expose()] {
        let verified = registry.verify(Credential::Token(text, EVENTS), Deadline::NONE).await;
        assert!(matches!(verified, Ok(Verification::Unknown)), "{text}");
    }
    assert_eq!(world.wire.said(), [""; 0], "even on a cold server");
    let (key, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    settle().await;
    world.wire.said();
    assert!(opens(&registry, &token(&world, &key), EVENTS).await.is_some());
    assert_eq!(world.wire.said(), [""; 0]);
}

#[tokio::test]
async fn a_token_ends_with_its_key_and_shows_that_its_tenant_was_suspended_within_a_second() {
    let world = World::new();
    let (here, there) = (world.server(), world.server());
    let (key, _) = acme(&here).await;
    let token = token(&world, &key);
    assert!(opens(&there, &token, EVENTS).await.is_some());
    let change = TenantChange { status: Some(Status::Suspended), ..TenantChange::default() };
    here.update_tenant(&id("acme"), |_| true, change).await.unwrap();
    world.pass(1_000);
    assert_eq!(opens(&there, &token, EVENTS).await.unwrap().tenant.status, Status::Suspended);
    here.revoke_key(&id("acme"), key.id).await.unwrap();
    assert!(opens(&here, &token, EVENTS).await.is_none());
    world.pass(1_000);
    assert!(opens(&there, &token, EVENTS).await.is_none());
}

#[tokio::test]
async fn a_token_that_nobody_made_is_a_strangers_and_one_of_a_known_key_is_not() {
    let world = World::new();
    let registry = world.server();
    let (key, _) = acme(&registry).await;
    assert!(opens(&registry, &token(&world, &key), EVENTS).await.is_some());
    world.pass(1_000);
    let refused = || Err::<(), _>(DOWN);
    let good = token(&world, &key);
    let known = registry.verify_if(Credential::Token(good.expose(), EVENTS), Deadline::NONE, refused).await;
    assert!(matches!(known, Ok(Verification::Known(_))));
    world.pass(1_000);
    let (forged, _) = ApiKey::issue(id("acme"), None, Scopes::ALL, None, Timestamp::default()).unwrap();
    let forged = token(&world, &forged);
    let stranger = registry.verify_if(Credential::Token(forged.expose(), EVENTS), Deadline::NONE, refused).await;
    assert_eq!(stranger.unwrap_err(), DOWN, "the backend was not to be asked for it");
}

#[tokio::test]
async fn a_token_is_recalled_in_an_outage_as_its_key_is() {
    let world = World::new();
    let outage = crate::db::Outage::default();
    let registry = world.server().recalling_in(outage.clone());
    let (key, secret) = acme(&registry).await;
    assert!(knows(&registry, &secret).await);
    let token = token(&world, &key);
    *world.wire.cut.lock() = true;
    outage.set(true);
    let recalled = |purpose| registry.recall_in_outage(Credential::Token(token.expose(), purpose));
    assert!(matches!(recalled(EVENTS), Some(Verification::Known(_))));
    assert!(matches!(recalled(OTHER), Some(Verification::Unknown)));
    world.pass(300_000);
    assert!(matches!(recalled(EVENTS), Some(Verification::Unknown)), "it ends all the same");
}
