//! What is stored, listed and forgotten.

use super::*;

#[tokio::test]
async fn a_breaker_with_nothing_to_remember_is_not_stored() {
    let bench = Bench::new();
    bench.succeed().await;
    bench.acquire().await;
    assert_eq!(bench.text().await, None);
    assert_eq!(bench.breakers.list(None, 10).await.unwrap(), (vec![], None));
    let read = bench.read().await;
    assert_eq!((read.state, read.since, read.policy), (State::Closed, None, None));
}

#[tokio::test]
async fn the_state_is_readable() {
    let bench = Bench::new();
    bench.tell(from("web-1")).await;
    let digest = &crate::base::id::fingerprint("web-1")[..12];
    let text = format!("closed since=0 row=1\nfailure {START} failure 1 web-1\ninstance {digest} {START} 1");
    assert_eq!(bench.text().await.unwrap(), text);
    bench.succeed().await;
    assert_eq!(bench.text().await.unwrap(), format!("closed since=0\nfailure {START} failure 1 web-1"));
}

#[tokio::test]
async fn the_list_goes_by_name_and_says_where_it_goes_on() {
    let bench = Bench::new();
    for n in [3, 1, 2] {
        bench.breakers.configure(&name(&format!("c{n}")), &policy()).await.unwrap();
    }
    bench.fail(5).await;
    let (page, next) = bench.breakers.list(None, 2).await.unwrap();
    let states: Vec<_> = page.iter().map(|breaker| (breaker.name.as_str(), breaker.state)).collect();
    assert_eq!(states, [("b", State::Open), ("c1", State::Closed)]);
    assert_eq!(page[0], bench.read().await);
    assert_eq!(page[1].policy, Some(policy()));
    let (page, next) = bench.breakers.list(next.as_deref(), 2).await.unwrap();
    assert_eq!((page.len(), next), (2, None));
}

#[tokio::test]
async fn any_name_is_a_name() {
    let bench = Bench::new();
    let names =
        ["*", "?[a-z]", "{x}", "a:b", "../..", "b since=1", "-", "+", "(b", "[b", "é🦀", "%00", "'; DROP", "  "];
    for text in names {
        let report = Report { count: 5, instance: Some(name(text)), ..failure() };
        assert_eq!(bench.breakers.report(&name(text), &report).await.unwrap().state, State::Open, "{text}");
        let read = bench.breakers.read(&name(text)).await.unwrap();
        assert_eq!(read.last_failures[0].instance, Some(name(text)), "{text}");
    }
    assert_eq!(bench.read().await.state, State::Closed);
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let (page, next) = bench.breakers.list(after.as_deref(), 3).await.unwrap();
        listed.extend(page.into_iter().map(|breaker| breaker.name.to_string()));
        after = next;
        if after.is_none() {
            break;
        }
    }
    let mut sorted = names.map(str::to_owned);
    sorted.sort_unstable();
    assert_eq!(listed, sorted);
}

#[tokio::test]
async fn new_settings_leave_the_state_as_it_is() {
    let bench = Bench::new();
    bench.fail(4).await;
    bench.configure(Policy { failure_threshold: Some(6), ..policy() }).await;
    assert_eq!(bench.fail(1).await, State::Closed);
    assert_eq!(bench.fail(1).await, State::Open);
    let open = bench.read().await.next_change;
    let shorter = Policy { timeout: millis(1), ..policy() };
    let configured = bench.breakers.configure(&b(), &shorter).await.unwrap();
    assert_eq!((configured.state, configured.next_change, configured.policy), (State::Open, open, Some(shorter)));
    assert_eq!(bench.read().await, configured);
}

#[tokio::test]
async fn a_forgotten_breaker_is_closed_without_settings_and_not_listed() {
    let bench = Bench::new();
    bench.configure(Policy { failure_threshold: Some(1), ..policy() }).await;
    bench.fail(1).await;
    bench.heard();
    bench.breakers.forget(&b()).await.unwrap();
    assert_eq!(bench.heard(), [(State::Open, State::Closed)]);
    let read = bench.read().await;
    assert_eq!((read.state, read.policy, read.last_failures.len()), (State::Closed, None, 0));
    assert_eq!(bench.breakers.list(None, 10).await.unwrap().0, []);
    bench.breakers.forget(&b()).await.unwrap();
    assert!(bench.heard().is_empty());
}

#[tokio::test]
async fn the_ten_thousand_and_first_breaker_is_refused_and_those_that_are_there_go_on() {
    let bench = Bench::new();
    for n in 0..9_999 {
        bench.breakers.configure(&name(&format!("c{n}")), &policy()).await.unwrap();
    }
    bench.fail(1).await;
    let other = name("other");
    assert_eq!(bench.breakers.configure(&other, &policy()).await, Err(Error::TooMany));
    assert_eq!(bench.breakers.report(&other, &failure()).await, Err(Error::TooMany));
    let by_hand = Force { state: Forced::Open, reason: None, actor: "admin".into(), ttl: None };
    assert_eq!(bench.breakers.force(&other, &by_hand).await, Err(Error::TooMany));
    assert_eq!(bench.breakers.report(&other, &success()).await.unwrap().state, State::Closed);
    assert!(bench.breakers.acquire(&other, None).await.unwrap().allowed);
    assert_eq!(bench.breakers.read(&other).await.unwrap().policy, None);
    assert_eq!(bench.fail(4).await, State::Open);
    assert_eq!(bench.breakers.report(&name("c7"), &Report { count: 5, ..failure() }).await.unwrap().state, State::Open);
    bench.breakers.forget(&name("c7")).await.unwrap();
    bench.breakers.configure(&other, &policy()).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_closed_and_is_replaced() {
    let bench = Bench::new();
    let garbage =
        ["", "x", "open", "open since=x", "ajar since=1 ends=99999999999999", "open\nsince=1", "\nopen since=1"];
    for text in garbage {
        bench.put(text).await;
        assert_eq!(bench.read().await.state, State::Closed, "{text}");
        assert!(bench.acquire().await.allowed, "{text}");
        assert_eq!(bench.fail(1).await, State::Closed, "{text}");
        assert_eq!(bench.read().await.counters.consecutive_failures, 1, "{text}");
    }
}

#[tokio::test]
async fn asking_a_breaker_that_cannot_be_read_writes_nothing() {
    let bench = Bench::new();
    bench.configure(policy()).await;
    bench.put("x").await;
    assert!(bench.acquire().await.allowed);
    assert_eq!(bench.text().await.as_deref(), Some("x"), "half of it would be left");
}

#[tokio::test]
async fn settings_that_cannot_be_read_are_as_if_there_were_none() {
    let whole = policy().text();
    let without_one = whole.replace("permits=1 ", "");
    for text in ["", "x", "timeout=1 failure_threshold=1", without_one.as_str()] {
        let bench = Bench::new();
        bench.configure(policy()).await;
        bench.put_in(keys::settings(&bench.db), text).await;
        assert_eq!(bench.read().await.policy, None, "{text}");
        assert_eq!(bench.fail(4).await, State::Closed, "{text}");
        assert_eq!(bench.fail(1).await, State::Open, "{text}");
        assert_eq!(bench.acquire().await.retry_after, policy().timeout, "{text}");
        bench.pass(30_000);
        let probe = bench.permit().await;
        assert!(!bench.acquire().await.allowed, "{text}");
        assert_eq!(bench.tell(with(&probe, success())).await, State::HalfOpen, "{text}");
        let probe = bench.permit().await;
        assert_eq!(bench.tell(with(&probe, success())).await, State::Closed, "{text}");
    }
}

static PUT: crate::db::Script = crate::db::Script::new(
    "test/put",
    "return redis.call('HSET', KEYS[1], 'b', ARGV[1])",
    crate::db::Effect::Idempotent,
);

impl Bench {
    /// Stores a state text.
    async fn put(&self, text: &str) {
        self.put_in(keys::states(&self.db), text).await;
    }

    async fn put_in(&self, key: crate::db::Key, text: &str) {
        let command = crate::db::Command::script(&PUT, &[&key]).arg(text.to_owned());
        self.db.run(command).await.unwrap().count().unwrap();
    }
}

#[tokio::test]
async fn nothing_overflows_at_the_largest_numbers() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    let largest = Policy {
        failure_threshold: Some(u32::MAX),
        timeout: century,
        timeout_multiplier_millis: u32::MAX,
        timeout_max: century * 10,
        timeout_jitter_millis: 1000,
        window: Some(century),
        minimum_calls: u32::MAX,
        permit_ttl: century,
        trip_quorum: 1,
        ..policy()
    };
    let bench = Bench::with(largest);
    bench.put(&format!("closed since=0 row={0}\nbucket 1700000000000 {0} {0} {0}", 1_u64 << 50)).await;
    let slow = Report { count: 1_000_000, duration: Some(century), ..failure() };
    let answer = bench.breakers.report(&b(), &slow).await.unwrap();
    assert_eq!(answer.state, State::Open);
    let wait = bench.acquire().await.retry_after;
    assert!(wait >= century && wait <= century * 2, "{wait:?}");
    bench.put("open since=1 ends=2 opened=1125899906842624").await;
    assert_eq!(bench.fail(1).await, State::Open);
    let read = bench.read().await;
    assert_eq!(read.counters.times_opened, 1 << 50);
    let wait = bench.acquire().await.retry_after;
    assert!(wait >= century * 10 && wait <= century * 20, "{wait:?}");
}
