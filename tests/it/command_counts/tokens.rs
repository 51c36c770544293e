//! Rows of the tokens.

use super::{Cost, Counter, name};
use agentapi::base::clock::{Clock, SystemClock};
use agentapi::base::deadline::Deadline;
use agentapi::base::precondition::Precondition;
use agentapi::base::secret::Secret;
use agentapi::base::text::TenantId;
use agentapi::db::Database;
use agentapi::stores::tokens::{Deleted, LeaseOutcome, NewToken, Put, Read, Shared, Tokens};
use agentapi::tenancy::{NewTenant, Registry, RegistrySettings, SteadyClock};
use agentapi::vault::{KeyRing, Vault};
use std::sync::Arc;
use std::time::Duration;

pub async fn every_operation(counter: &mut Counter, database: &Database) {
    let (steady, tenant) = (Arc::new(SteadyClock::start()), TenantId::parse("vaulted").unwrap());
    let registry = Registry::new(database.system(), steady.clone(), RegistrySettings::default());
    registry.create_tenant(NewTenant::plain(tenant.clone())).await.unwrap();
    let vault = Vault::new(Some(KeyRing::random().unwrap()), database.system(), steady);
    let open = || Tokens::new(database.tenant(&tenant), vault.of(&tenant, Deadline::NONE), &Shared::default());
    let (tokens, user, any) = (open(), name("u"), Precondition::default());
    let new = NewToken {
        access_token: Secret::new("a".to_owned()),
        refresh_token: Some(Secret::new("r".to_owned())),
        token_type: "Bearer".to_owned(),
        scopes: Vec::new(),
        expires_at: Some(SystemClock.now() + Duration::from_secs(3600)),
        metadata: Default::default(),
    };
    let is_stored = |put: Put<_>| matches!(put, Put::Stored { .. });

    let (put, _) = counter.count("keep a tenant's first token", tokens.put(&user, &name("p"), &new, &any, None)).await;
    assert!(is_stored(put.unwrap()));
    let (put, cost) = counter.count("keep a token", tokens.put(&user, &name("q"), &new, &any, None)).await;
    assert!(is_stored(put.unwrap()) && cost.round_trips == 2, "{cost:?}");
    let (put, _) = counter.count("replace a token", tokens.put(&user, &name("q"), &new, &any, None)).await;
    assert!(is_stored(put.unwrap()));
    let (read, cost) = counter.count("open a token", tokens.read(&user, &name("p"))).await;
    assert!(matches!(read.unwrap(), Read::Found(_)));
    assert_eq!(cost, Cost { round_trips: 1, commands: 1 }, "opening is one round trip and one command");
    let (read, _) = counter.count("open a token that is not there", tokens.read(&user, &name("none"))).await;
    assert!(matches!(read.unwrap(), Read::NotFound));
    let (listed, cost) = counter.count("list a user's 2 tokens", tokens.list(&user, None, 100)).await;
    assert_eq!((listed.unwrap().items.len(), cost.round_trips), (2, 2));
    let lease = |provider| {
        let tokens = tokens.clone();
        let user = user.clone();
        async move { tokens.lease(&user, &name(provider), Duration::from_secs(30)).await }
    };
    let (leased, cost) = counter.count("lease a token's refresh, granted", lease("p")).await;
    let Ok(LeaseOutcome::Granted(leased)) = leased else { panic!("it is free") };
    assert_eq!(cost.round_trips, 2);
    let (held, cost) = counter.count("lease a token's refresh, held by another", lease("p")).await;
    assert!(matches!(held, Ok(LeaseOutcome::Held(_))) && cost.round_trips == 2);
    let provider = name("p");
    let commit = tokens.put(&user, &provider, &new, &any, Some(&leased.lease));
    assert!(is_stored(counter.count("commit a refreshed token", commit).await.0.unwrap()));
    let (deleted, _) = counter.count("destroy a token", tokens.delete(&user, &name("p"), &any)).await;
    assert_eq!(deleted.unwrap(), Deleted::Deleted);
}
