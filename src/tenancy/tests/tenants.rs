//! What an admin does to tenants.

use super::*;
use crate::base::deadline::Deadline;

fn named(name: &str) -> TenantChange {
    TenantChange { name: Change::Set(Label::parse(name).unwrap()), ..TenantChange::default() }
}

#[tokio::test]
async fn a_tenant_is_made_once_and_read_back() {
    let world = World::new();
    let registry = world.server();
    let made = tenant(&registry, "acme").await;
    assert_eq!((made.version, made.status, made.created_at), (1, Status::Active, world.clock.now()));
    assert_eq!(registry.load_tenant(&id("acme")).await.unwrap(), Some(made));
    let again = registry.create_tenant(NewTenant::plain(id("acme"))).await.unwrap();
    assert_eq!(again, TenantCreation::Exists);
    assert_eq!(registry.load_tenant(&id("nobody")).await.unwrap(), None);
}

#[tokio::test]
async fn tenants_are_listed_by_id_in_pages() {
    let world = World::new();
    let registry = world.server();
    assert_eq!(registry.list_tenants(None, 10).await.unwrap().items, []);
    for name in ["b1", "a-2", "a-1", "zz", "00"] {
        tenant(&registry, name).await;
    }
    let page = |after: Option<&'static str>| {
        let registry = registry.clone();
        async move {
            let Listing { items, next } = registry.list_tenants(after, 2).await.unwrap();
            (items.into_iter().map(|tenant| tenant.id.to_string()).collect::<Vec<_>>().join(" "), next)
        }
    };
    assert_eq!(page(None).await, ("00 a-1".into(), Some("a-1".into())));
    assert_eq!(page(Some("a-1")).await, ("a-2 b1".into(), Some("b1".into())));
    assert_eq!(page(Some("b1")).await, ("zz".into(), None));
    assert_eq!(page(Some("zz")).await, (String::new(), None));
    assert_eq!(registry.list_tenants(Some("a-1"), 3).await.unwrap().next, None, "a full page may be the last");
}

#[tokio::test]
async fn a_change_counts_the_version_and_honours_the_one_expected() {
    let world = World::new();
    let registry = world.server();
    let made = tenant(&registry, "acme").await;
    world.pass(1_000);
    let TenantUpdate::Updated { before, after: changed } =
        registry.update_tenant(&made.id, |version| version == 1, named("Acme")).await.unwrap()
    else {
        panic!("was not changed")
    };
    assert_eq!(*before, made);
    assert_eq!((changed.version, changed.created_at, changed.updated_at), (2, made.created_at, world.clock.now()));
    assert_eq!(registry.load_tenant(&made.id).await.unwrap(), Some(changed.clone()));
    let late = registry.update_tenant(&made.id, |version| version == 1, named("Late")).await.unwrap();
    assert_eq!(late, TenantUpdate::VersionMismatch);
    assert_eq!(registry.load_tenant(&made.id).await.unwrap(), Some(changed), "nothing was written");
    let missing = registry.update_tenant(&id("nobody"), |_| true, named("x")).await.unwrap();
    assert_eq!(missing, TenantUpdate::NotFound);
}

/// Holds a change between its reading and its writing while `meanwhile` runs.
async fn overtaken(
    world: &World,
    expected: Option<u64>,
    change: TenantChange,
    meanwhile: TenantChange,
) -> TenantUpdate {
    let registry = world.server();
    let hold = world.wire.hold("GET agentapi:{_system:00}:tenant:acme");
    let slow = {
        let registry = registry.clone();
        tokio::spawn(async move {
            registry.update_tenant(&id("acme"), |version| expected.is_none_or(|v| v == version), change).await.unwrap()
        })
    };
    hold.arrived().await;
    registry.update_tenant(&id("acme"), |_| true, meanwhile).await.unwrap();
    hold.release();
    slow.await.unwrap()
}

#[tokio::test]
async fn two_who_change_different_members_at_one_time_lose_nothing() {
    let world = World::new();
    tenant(&world.server(), "acme").await;
    let limits: TenantChange = serde_json::from_str(r#"{"limits":{"burst_size":7}}"#).unwrap();
    let TenantUpdate::Updated { after: both, .. } = overtaken(&world, None, named("Acme"), limits).await else {
        panic!("was not changed")
    };
    assert_eq!((both.name.map(|n| n.to_string()).as_deref(), both.limits.burst_size), (Some("Acme"), Some(7)));
    assert_eq!(both.version, 3);
}

#[tokio::test]
async fn of_two_who_expect_the_same_version_one_changes_it() {
    let world = World::new();
    tenant(&world.server(), "acme").await;
    assert_eq!(overtaken(&world, Some(1), named("late"), named("early")).await, TenantUpdate::VersionMismatch);
    let tenant = world.server().load_tenant(&id("acme")).await.unwrap().unwrap();
    assert_eq!((tenant.name.unwrap().as_str(), tenant.version), ("early", 2));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_an_error_and_not_a_missing_tenant() {
    let world = World::new();
    let registry = world.server();
    let (_, secret) = acme(&registry).await;
    let key = registry.db.key(&crate::tenancy::keys::TENANT, &["acme"]);
    let broken = crate::db::Command::set(&key, "{broken", crate::db::Expiry::Never);
    registry.db.run(broken).await.unwrap().done().unwrap();
    assert_eq!(registry.load_tenant(&id("acme")).await, Err(Error::unexpected("a tenant")));
    assert_eq!(
        world.server().verify(secret.expose(), Deadline::NONE).await.unwrap_err(),
        Error::unexpected("a tenant")
    );
}
