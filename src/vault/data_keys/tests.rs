//! Data keys over the embedded backend, as several servers see them.

use super::*;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::env::Env;
use crate::db::transport::memory::Memory;
use crate::db::{BackendClock, Database, Expiry};
use crate::tenancy::{NewTenant, Registry, RegistrySettings};
use crate::vault::Context;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a text is sealed for in these tests.
const PLACE: Context<'static> = Context { store: "test", name: &["a", "b"], version: 1 };

/// One backend, and servers with vaults over it.
struct World {
    database: Database,
    clock: ManualClock,
}

/// A ring of keys that end in these digits, the current one first.
fn ring(digits: &[char]) -> KeyRing {
    let keys: Vec<String> = digits.iter().map(|digit| format!("0123456789abcde{digit}").repeat(4)).collect();
    let variables =
        [("TOKEN_ENCRYPTION_KEY", keys[0].clone()), ("TOKEN_ENCRYPTION_KEYS_PREVIOUS", keys[1..].join(","))];
    KeyRing::read(&mut Env::new(variables.map(|(name, value)| (name.to_owned(), value)))).unwrap()
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

impl World {
    async fn new() -> World {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let memory = Arc::new(Memory::new(Arc::new(clock.clone())));
        let database = Database::new(memory, "test", BackendClock::new(Arc::new(clock.clone())));
        let world = World { database, clock };
        world.create_tenant().await;
        world
    }

    async fn create_tenant(&self) {
        let clock = Arc::new(self.clock.clone());
        let registry = Registry::new(self.database.system(), clock, RegistrySettings::default());
        registry.create_tenant(NewTenant::plain(acme())).await.unwrap();
    }

    /// As the first step of deleting it does.
    async fn delete_tenant(&self) {
        let system = self.database.system();
        system.run(Command::del(&tenancy::tenant_key(&system, &acme()))).await.unwrap().int().unwrap();
    }

    /// A server with these root keys.
    fn server(&self, digits: &[char]) -> Vault {
        Vault::new(Some(ring(digits)), self.database.system(), Arc::new(self.clock.clone()))
    }

    async fn stored(&self) -> String {
        let key = self.database.system().key(&DATA_KEYS, &["acme"]);
        let text = self.database.system().run(Command::get(&key)).await.unwrap().optional_bytes().unwrap();
        String::from_utf8(text.unwrap_or_default().to_vec()).unwrap()
    }
}

fn of(vault: &Vault) -> TenantVault {
    vault.of(&acme(), Deadline::NONE)
}

async fn seal(vault: &Vault) -> String {
    of(vault).newest().await.unwrap().seal(b"secret", PLACE).unwrap()
}

async fn open(vault: &Vault, sealed: &str) -> Result<Vec<u8>, VaultError> {
    of(vault).open(sealed, PLACE).await.map(|opened| opened.to_vec())
}

#[tokio::test]
async fn what_one_server_seals_another_opens_and_both_seal_under_one_key() {
    let world = World::new().await;
    let (one, other) = (world.server(&['a']), world.server(&['a']));
    assert_eq!(open(&other, &seal(&one).await).await.unwrap(), b"secret");
    assert_eq!(of(&other).newest().await.unwrap().version(), 1);
    assert_eq!(one.roots_in_use(Deadline::NONE).await.unwrap(), [(ring(&['a']).current().0, 1)]);
}

#[tokio::test]
async fn many_who_need_the_first_data_key_at_once_make_one() {
    let world = World::new().await;
    let servers: Vec<Vault> = (0..20).map(|_| world.server(&['a'])).collect();
    let sealed = futures_util::future::join_all(servers.iter().map(seal)).await;
    for text in sealed {
        assert_eq!(open(&servers[0], &text).await.unwrap(), b"secret");
    }
    assert_eq!(servers[0].list(&acme(), Deadline::NONE).await.unwrap().len(), 1);
}

#[tokio::test]
async fn root_keys_roll_over_two_servers_and_every_text_opens_at_each_step() {
    let world = World::new().await;
    // Told the new key first, then made to use it, one server after the other.
    let steps: [[&[char]; 2]; 5] = [
        [&['a'], &['a']],
        [&['a', 'b'], &['a']],
        [&['a', 'b'], &['a', 'b']],
        [&['b', 'a'], &['a', 'b']],
        [&['b', 'a'], &['b', 'a']],
    ];
    let mut sealed = Vec::new();
    for keys in steps {
        let servers = keys.map(|digits| world.server(digits));
        for server in &servers {
            sealed.push(seal(server).await);
        }
        for (server, text) in servers.iter().flat_map(|server| sealed.iter().map(move |text| (server, text))) {
            assert_eq!(open(server, text).await.unwrap(), b"secret", "{keys:?}");
        }
    }
    let server = world.server(&['b', 'a']);
    assert_eq!(server.rotate(&acme()).await.unwrap(), 2);
    let listed = server.list(&acme(), Deadline::NONE).await.unwrap();
    let roots = [ring(&['a']).current().0, ring(&['b']).current().0];
    assert_eq!(listed.iter().map(|key| (key.version, key.root)).collect::<Vec<_>>(), [(1, roots[0]), (2, roots[1])]);
}

#[tokio::test]
async fn without_the_root_key_nothing_opens_and_the_key_that_lacks_is_named() {
    let world = World::new().await;
    let sealed = seal(&world.server(&['a'])).await;
    let without = world.server(&['b']);
    let missing = ring(&['a']).current().0;
    assert_eq!(open(&without, &sealed).await, Err(VaultError::KeyMissing(missing)));
    assert_eq!(of(&without).newest().await.unwrap_err(), VaultError::KeyMissing(missing));
    assert_eq!(without.missing_roots(Deadline::NONE).await.unwrap(), [(missing, 1)]);
    assert_eq!(world.server(&['b', 'a']).missing_roots(Deadline::NONE).await.unwrap(), []);
}

#[tokio::test]
async fn without_any_root_key_nothing_is_sealed_and_nothing_stored() {
    let world = World::new().await;
    let vault = Vault::new(None, world.database.system(), Arc::new(world.clock.clone()));
    assert_eq!(of(&vault).newest().await.unwrap_err(), VaultError::NotConfigured);
    let sealed = world.server(&['a']).of(&TenantId::parse("other").unwrap(), Deadline::NONE).newest().await;
    assert_eq!(sealed.unwrap_err(), VaultError::TenantGone, "nor for a tenant that is not there");
    assert_eq!(world.stored().await, "");
}

#[tokio::test]
async fn a_rotation_elsewhere_is_known_at_once_to_who_asks_and_to_all_after_a_while() {
    let world = World::new().await;
    let (one, other) = (world.server(&['a']), world.server(&['a']));
    seal(&one).await;
    seal(&other).await;
    assert_eq!(one.rotate(&acme()).await.unwrap(), 2);
    assert_eq!(of(&one).newest().await.unwrap().version(), 2);
    assert_eq!(of(&other).newest().await.unwrap().version(), 1);
    assert_eq!(of(&other).newest_now().await.unwrap().version(), 2);
    assert_eq!(of(&other).newest().await.unwrap().version(), 2);
    one.rotate(&acme()).await.unwrap();
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(of(&other).newest().await.unwrap().version(), 3);
}

#[tokio::test]
async fn a_data_key_that_was_destroyed_opens_nothing_and_its_version_does_not_come_again() {
    let world = World::new().await;
    let vault = world.server(&['a']);
    let old = seal(&vault).await;
    vault.rotate(&acme()).await.unwrap();
    let new = seal(&vault).await;
    assert_eq!(vault.destroy(&acme(), &[1, 9]).await.unwrap(), 1);
    assert_eq!(vault.destroy(&acme(), &[1]).await.unwrap(), 0);
    assert_eq!(open(&vault, &old).await, Err(VaultError::Unopenable));
    assert_eq!(open(&vault, &new).await.unwrap(), b"secret");
    vault.destroy(&acme(), &[2]).await.unwrap();
    seal(&vault).await;
    assert_eq!(
        vault.list(&acme(), Deadline::NONE).await.unwrap().iter().map(|key| key.version).collect::<Vec<_>>(),
        [3]
    );
    assert_eq!(vault.roots_in_use(Deadline::NONE).await.unwrap(), [(ring(&['a']).current().0, 1)]);
}

#[tokio::test]
async fn when_all_are_destroyed_nothing_is_left_and_no_root_key_is_needed() {
    let world = World::new().await;
    let vault = world.server(&['a']);
    let sealed = seal(&vault).await;
    vault.rotate(&acme()).await.unwrap();
    let before = world.stored().await;
    assert_eq!(vault.destroy_all(&acme()).await, Ok(false), "another tenant of this id may have been made since");
    assert_eq!(world.stored().await, before);
    world.delete_tenant().await;
    assert_eq!(vault.destroy_all(&acme()).await, Ok(true));
    assert_eq!(vault.destroy_all(&acme()).await, Ok(true));
    assert_eq!(world.stored().await, "");
    assert_eq!(vault.roots_in_use(Deadline::NONE).await.unwrap(), []);
    assert_eq!(open(&vault, &sealed).await, Err(VaultError::Unopenable));
    assert_eq!(open(&world.server(&['a']), &sealed).await, Err(VaultError::Unopenable));
}

#[tokio::test]
async fn data_keys_that_were_exchanged_in_the_backend_do_not_open() {
    let world = World::new().await;
    let vault = world.server(&['a']);
    let sealed = seal(&vault).await;
    vault.rotate(&acme()).await.unwrap();
    let stored = Stored::parse(world.stored().await.as_bytes()).unwrap();
    let exchanged =
        Stored { newest: 2, keys: BTreeMap::from([(1, stored.keys[&2].clone()), (2, stored.keys[&1].clone())]) };
    let key = world.database.system().key(&DATA_KEYS, &["acme"]);
    let set = Command::set(&key, exchanged.text().unwrap(), Expiry::Never);
    world.database.system().run(set).await.unwrap().done().unwrap();
    assert_eq!(open(&world.server(&['a']), &sealed).await, Err(VaultError::Unopenable));
    assert_eq!(of(&world.server(&['a'])).newest().await.unwrap_err(), VaultError::Unopenable);
}

#[tokio::test]
async fn nothing_of_a_data_key_can_be_read_in_the_backend() {
    let world = World::new().await;
    let vault = world.server(&['a']);
    seal(&vault).await;
    let stored = world.stored().await;
    assert!(stored.starts_with(r#"{"newest":1,"keys":{"1":"A"#), "{stored}");
    let wrapped = Stored::parse(stored.as_bytes()).unwrap().keys[&1].clone();
    assert_eq!(wrapped.len(), ((13 + 32 + 12 + 32 + 32 + 16) * 4usize).div_ceil(3), "ciphertext and nothing else");
    let unwrapped = vault.get(&acme(), 1, Deadline::NONE).await.unwrap();
    assert_eq!(unwrapped.open(&wrapped, PLACE), Err(super::super::Unopenable));
}

#[tokio::test]
async fn a_server_that_knew_the_keys_of_a_tenant_does_not_take_them_for_those_of_one_that_came_after_it() {
    let world = World::new().await;
    let (one, other) = (world.server(&['a']), world.server(&['a']));
    seal(&one).await;
    open(&other, &seal(&other).await).await.unwrap();
    world.delete_tenant().await;
    assert_eq!(one.destroy_all(&acme()).await, Ok(true));
    // Another tenant of that id, as soon as there may be one; its first data key is made by this server.
    world.clock.advance(Duration::from_secs(3));
    world.create_tenant().await;
    let sealed_by_one = seal(&one).await;
    let sealed_by_other = seal(&other).await;
    let fresh = world.server(&['a']);
    assert_eq!(open(&fresh, &sealed_by_one).await.unwrap(), b"secret");
    assert_eq!(open(&fresh, &sealed_by_other).await.map_err(|_| "lost for ever").unwrap(), b"secret");
    assert_eq!(open(&other, &sealed_by_one).await.unwrap(), b"secret");
}
