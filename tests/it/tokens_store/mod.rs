//! The tokens over each backend: every script, what is said twice, and what a change of keys needs of them.

mod bench;

use agentapi::base::precondition::Precondition;
use agentapi::stores::tokens::{Deleted, LeaseOutcome, ProviderSettings, Put, Read, Rewrapped, SCRIPTS, TokenStatus};
use bench::{Bench, name, token};
use std::time::Duration;

const ANY: Precondition = Precondition { matches: None, differs: None };

/// Runs a test over each backend, and over each where everything is said twice that may be.
macro_rules! suite {
    ($($test:ident)*) => {
        mod memory { $(#[tokio::test] async fn $test() { super::both(crate::harness::backend::Backend::memory, super::$test).await; })* }
        mod native { $(#[tokio::test] async fn $test() { super::both(crate::harness::backend::Backend::native, super::$test).await; })* }
        mod rest { $(#[tokio::test] async fn $test() { super::both(crate::harness::backend::Backend::rest, super::$test).await; })* }
    };
}

async fn both<T: Future<Output = ()>>(backend: fn() -> crate::harness::backend::Backend, test: fn(Bench) -> T) {
    for twice in [false, true] {
        test(Bench::on(backend(), twice).await).await;
    }
}

suite! {
    each_script_answers_the_same
    a_key_that_is_about_to_be_destroyed_seals_nothing_more
    records_are_sealed_anew_and_counted_under_their_key
    a_tenant_that_comes_again_is_counted_wherever_it_is_sealed
}

fn stored<T>(put: Put<T>) -> (T, bool) {
    match put {
        Put::Stored { stored, is_new } => (*stored, is_new),
        Put::VersionMismatch => panic!("another version"),
        Put::LeaseLost => panic!("the lease is lost"),
        Put::LimitReached => panic!("too many"),
    }
}

async fn each_script_answers_the_same(bench: Bench) {
    let (tokens, user, provider) = (bench.tokens(), name("u"), name("p"));
    let new = token("first", Some("refresh"), None);
    let (summary, is_new) = stored(tokens.put(&user, &provider, &new, &ANY, None).await.unwrap());
    assert_eq!((summary.version, is_new), (1, true));
    let LeaseOutcome::Granted(leased) = tokens.lease(&user, &provider, Duration::from_secs(60)).await.unwrap() else {
        panic!("nobody else has it")
    };
    assert_eq!((leased.fencing, leased.token.access_token.expose()), (1, "first"));
    let held = tokens.lease(&user, &provider, Duration::from_secs(60)).await.unwrap();
    assert!(
        matches!(held, LeaseOutcome::Held(left) if left <= Duration::from_secs(60) && left > Duration::from_secs(30))
    );
    let second = token("second", Some("refresh"), None);
    let (summary, is_new) = stored(tokens.put(&user, &provider, &second, &ANY, Some(&leased.lease)).await.unwrap());
    assert_eq!((summary.version, is_new, summary.status), (2, false, TokenStatus::Active));
    let lost = tokens.put(&user, &provider, &new, &ANY, Some(&leased.lease)).await.unwrap();
    assert!(matches!(lost, Put::LeaseLost));
    let Read::Found(found) = tokens.read(&user, &provider).await.unwrap() else { panic!("it is there") };
    assert_eq!((found.access_token.expose(), found.summary.created_at), ("second", summary.created_at));
    let secret = agentapi::base::secret::Secret::new("s".to_owned());
    let settings = ProviderSettings {
        token_url: "https://example.com/".to_owned(),
        client_id: "c".to_owned(),
        auth_style: Default::default(),
        scopes: Vec::new(),
        refresh_before: Duration::from_secs(300),
    };
    let (made, is_new) = stored(bench.providers().put(&provider, settings, secret, &ANY).await.unwrap());
    assert_eq!((made.version, is_new), (1, true));
    assert_eq!(tokens.delete(&user, &provider, &ANY).await.unwrap(), Deleted::Deleted);
    assert_eq!(tokens.delete(&user, &provider, &ANY).await.unwrap(), Deleted::NotFound);
    assert_eq!(tokens.list(&user, None, 10).await.unwrap().items.len(), 0);
    bench.all_sealed_records().raise_floor(1).await.unwrap();
    bench.rotated().await;
    for partition in bench.all_sealed_records().partitions().await.unwrap() {
        bench.rewrap(partition, 2, 0).await;
    }
    let mut ran = bench.ran();
    // A lease is given back without a new token where a provider fails, which is tested with one.
    ran.insert("tokens/settle");
    let all: std::collections::BTreeSet<&str> = SCRIPTS.iter().map(|script| script.name()).collect();
    assert_eq!(ran, all, "each has been run");
}

async fn a_key_that_is_about_to_be_destroyed_seals_nothing_more(bench: Bench) {
    // Another server, which knows the first data key for the newest for a while yet.
    let (here, there) = (bench.tokens(), bench.another_server().await);
    let new = token("a", None, None);
    for user in 0..20 {
        stored(there.tokens().put(&name(&format!("u{user}")), &name("p"), &new, &ANY, None).await.unwrap());
    }
    stored(here.put(&name("u0"), &name("q"), &new, &ANY, None).await.unwrap());
    assert_eq!(bench.rotated().await, 2);
    bench.all_sealed_records().raise_floor(2).await.unwrap();
    for user in 0..40 {
        let (summary, _) =
            stored(there.tokens().put(&name(&format!("u{user}")), &name("r"), &new, &ANY, None).await.unwrap());
        assert_eq!(summary.key_version, 2, "also in partitions that it has noted, and in those that are new");
    }
    let counts = bench.all_sealed_records().census(&[1, 2]).await.unwrap();
    assert_eq!(counts, [21, 40]);
}

async fn records_are_sealed_anew_and_counted_under_their_key(bench: Bench) {
    let tokens = bench.tokens();
    for user in 0..30 {
        let new = token(&format!("of {user}"), Some("r"), None);
        stored(tokens.put(&name(&format!("u{user}")), &name("p"), &new, &ANY, None).await.unwrap());
    }
    bench.rotated().await;
    let records = bench.all_sealed_records();
    records.raise_floor(2).await.unwrap();
    assert_eq!(records.census(&[1, 2]).await.unwrap(), [30, 0]);
    let mut done = 0;
    for partition in records.partitions().await.unwrap() {
        let Rewrapped { done: some, unopenable, has_more } = bench.rewrap(partition, 2, 0).await;
        assert_eq!((unopenable, has_more), (0, false));
        assert_eq!(bench.rewrap(partition, 2, 0).await, Rewrapped::default(), "there is nothing left to be done");
        done += some;
    }
    // Where it is said twice, the first answer is lost, and nobody knows that it was this one who did it.
    assert!(done == 30 || (bench.says_twice() && done == 0), "{done}");
    assert_eq!(records.census(&[1, 2]).await.unwrap(), [0, 30]);
    assert_eq!(bench.vault.destroy(bench.tenant(), &[1]).await.unwrap(), 1);
    for user in 0..30 {
        let Read::Found(found) =
            bench.another_server().await.tokens().read(&name(&format!("u{user}")), &name("p")).await.unwrap()
        else {
            panic!("it is there")
        };
        assert_eq!((found.access_token.expose(), found.summary.version), (&*format!("of {user}"), 1));
        assert_eq!(found.summary.key_version, 2);
    }
}

async fn a_tenant_that_comes_again_is_counted_wherever_it_is_sealed(bench: Bench) {
    let users: Vec<_> = (0..20).map(|user| name(&format!("u{user}"))).collect();
    let (other, new) = (bench.another_server().await, token("a", None, None));
    for server in [&bench, &other] {
        for user in &users {
            stored(server.tokens().put(user, &name("p"), &new, &ANY, None).await.unwrap());
        }
    }
    bench.delete_everything_of(&users).await;
    for (place, user) in users.iter().enumerate() {
        // Both have written to each partition before, and had a data key of this version.
        let server = if place % 2 == 0 { &bench } else { &other };
        server.vault.of(bench.tenant(), agentapi::base::deadline::Deadline::NONE).newest_now().await.unwrap();
        let (_, is_new) = stored(server.tokens().put(user, &name("p"), &new, &ANY, None).await.unwrap());
        assert!(is_new);
    }
    assert_eq!(bench.all_sealed_records().census(&[1]).await.unwrap(), [20]);
    for user in &users {
        for server in [&bench, &other, &bench.another_server().await] {
            assert!(matches!(server.tokens().read(user, &name("p")).await.unwrap(), Read::Found(_)), "{user}");
        }
    }
}
