//! Which of two ways is taken, on a clock that stands still until it is moved.

use super::scripted::{Scripted, call, door, guarded, probed};
use agentapi::base::clock::SystemClock;
use agentapi::db::transport::door::Door;
use agentapi::db::transport::layers::failover::{Failover, Pace, Proof, Switch};
use agentapi::db::{Delivery, Effect, Error, ErrorKind, Outage};
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Two ways, and what stands before them.
struct Ways {
    native: Scripted,
    rest: Scripted,
    doors: [Arc<Door>; 2],
    outage: Outage,
    switch: Arc<Switch>,
    failover: Failover,
}

impl Ways {
    fn new(proof: Proof) -> Ways {
        let (native, rest, outage) = (Scripted::default(), Scripted::default(), Outage::default());
        let doors = [door("native", None), door("rest", None)];
        let pace = Pace::new(Duration::from_secs(30));
        let counters = [Counter::default(), Counter::default()];
        let switch = Switch::new(doors.clone(), pace, Arc::new(SystemClock), outage.clone(), counters);
        let switch = Arc::new(switch);
        switch.learn(proof);
        let (over_native, over_rest) = (guarded(&native, &doors[0]), guarded(&rest, &doors[1]));
        let failover = Failover::new(Arc::new(over_native), Arc::new(over_rest), switch.clone());
        Ways { native, rest, doors, outage, switch, failover }
    }

    async fn call(&self) -> Result<(), Error> {
        call(&self.failover, Effect::Once).await
    }

    /// Calls until the native way is shut.
    async fn lose_native(&self) {
        self.native.fails(ErrorKind::Disconnected, Delivery::Unknown);
        for _ in 0..5 {
            assert!(self.call().await.is_err());
        }
        probed().await;
        assert!(self.doors[0].is_open());
    }

    /// Waits until the way in use is this one, without any traffic, and says how long that took.
    async fn until(&self, is_rest: bool) -> Duration {
        let begun = Instant::now();
        while self.switch.is_on_rest() != is_rest {
            assert!(begun.elapsed() < Duration::from_secs(3600), "it is never taken");
            sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed()
    }
}

const UNSENT: Result<(), Error> = Err(Error::new(ErrorKind::Unreachable, Delivery::NotSent));

fn between(time: Duration, from: f64, to: f64) -> bool {
    (from..=to).contains(&time.as_secs_f64())
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_takes_the_other_door_at_once_whatever_it_does() {
    let ways = Ways::new(Proof::Same);
    ways.native.fails(ErrorKind::Unreachable, Delivery::NotSent);
    for _ in 0..5 {
        assert_eq!(ways.call().await, UNSENT);
    }
    assert_eq!(ways.rest.calls(), Vec::<String>::new());
    probed().await;
    assert_eq!(ways.call().await, Ok(()));
    assert_eq!(ways.rest.calls(), ["Once"]);
    assert!(ways.switch.is_on_rest() && !ways.outage.is_on());
    ways.native.calls();
    assert_eq!(ways.call().await, Ok(()));
    assert_eq!((ways.native.calls(), ways.rest.calls()), (vec![], vec!["Once".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_run_is_never_sent_again() {
    let ways = Ways::new(Proof::Same);
    ways.native.fails(ErrorKind::TimedOut, Delivery::Unknown);
    for n in 1..=5 {
        for effect in [Effect::Read, Effect::Idempotent, Effect::Once] {
            if !ways.switch.is_on_rest() {
                assert!(call(&ways.failover, effect).await.is_err(), "call {n}");
                probed().await;
                assert_eq!(ways.rest.calls(), Vec::<String>::new());
            }
        }
    }
    assert!(ways.switch.is_on_rest());
    assert_eq!(ways.native.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn between_databases_that_are_not_proved_to_be_one_nothing_is_switched() {
    for proof in [Proof::None, Proof::Different] {
        let ways = Ways::new(proof);
        ways.lose_native().await;
        assert_eq!(ways.call().await, UNSENT);
        sleep(Duration::from_secs(100)).await;
        assert_eq!(ways.call().await, UNSENT);
        assert!(ways.outage.is_on() && !ways.switch.is_on_rest());
        assert_eq!(ways.rest.calls(), Vec::<String>::new());
        // Proved at last: it is taken at once.
        ways.switch.learn(Proof::Same);
        sleep(Duration::from_millis(1)).await;
        assert!(ways.switch.is_on_rest() && !ways.outage.is_on());
        assert_eq!(ways.call().await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn native_is_taken_again_when_it_has_been_good_for_long_enough() {
    let ways = Ways::new(Proof::Same);
    ways.lose_native().await;
    sleep(Duration::from_secs(60)).await;
    assert!(ways.switch.is_on_rest(), "for as long as it is shut");
    ways.native.heals();
    ways.native.probes();
    let took = ways.until(false).await;
    assert!(between(took, 30.0, 30.3), "{took:?}");
    assert!((29..=33).contains(&ways.native.probes().len()), "one a second while REST is in use");
    ways.rest.calls();
    assert_eq!(ways.call().await, Ok(()));
    assert_eq!(ways.rest.calls(), Vec::<String>::new());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ways.native.probes().len(), 0, "callers take it again: nobody probes it");
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_starts_the_count_anew_and_a_door_that_flaps_is_never_taken() {
    let ways = Ways::new(Proof::Same);
    ways.lose_native().await;
    for _ in 0..20 {
        ways.native.heals();
        sleep(Duration::from_secs(25)).await;
        assert!(!ways.doors[0].is_open());
        ways.native.fails(ErrorKind::Disconnected, Delivery::Unknown);
        // One probe of the door that is not in use shuts it: it is no way out of the other.
        sleep(Duration::from_millis(1100)).await;
        assert!(ways.doors[0].is_open() && ways.switch.is_on_rest());
    }
    assert_eq!(ways.switch.switches(), 1);
    ways.native.heals();
    let took = ways.until(false).await;
    assert!(between(took, 29.9, 31.3), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn there_are_ten_seconds_between_two_switches_and_an_outage_where_neither_can_be_taken() {
    let ways = Ways::new(Proof::Same);
    ways.lose_native().await;
    assert!(ways.switch.is_on_rest());
    // Native comes back, and REST goes: native would do, but it is too soon.
    ways.native.heals();
    sleep(Duration::from_secs(2)).await;
    ways.rest.fails(ErrorKind::Unreachable, Delivery::NotSent);
    for _ in 0..5 {
        assert!(ways.call().await.is_err());
    }
    probed().await;
    assert!(ways.doors[1].is_open() && ways.switch.is_on_rest());
    assert!(ways.outage.is_on());
    assert_eq!(ways.call().await, UNSENT);
    let took = ways.until(false).await;
    assert!(between(took, 7.9, 8.1), "{took:?}");
    assert!(!ways.outage.is_on(), "without any traffic");
    assert_eq!(ways.call().await, Ok(()));
    assert_eq!(ways.switch.switches(), 2);
}

#[tokio::test(start_paused = true)]
async fn when_rest_goes_a_native_way_that_is_good_is_taken_without_waiting_for_the_rest_of_the_thirty_seconds() {
    let ways = Ways::new(Proof::Same);
    ways.lose_native().await;
    ways.native.heals();
    sleep(Duration::from_secs(15)).await;
    assert!(ways.switch.is_on_rest());
    ways.rest.fails(ErrorKind::Unreachable, Delivery::NotSent);
    for _ in 0..5 {
        assert_eq!(ways.call().await, UNSENT);
    }
    probed().await;
    assert_eq!(ways.call().await, Ok(()));
    assert!(!ways.switch.is_on_rest());
}

#[tokio::test(start_paused = true)]
async fn while_both_are_shut_there_is_an_outage_that_ends_with_whichever_opens_first() {
    for native_first in [true, false] {
        let ways = Ways::new(Proof::Same);
        ways.lose_native().await;
        ways.rest.fails(ErrorKind::Unreachable, Delivery::NotSent);
        for _ in 0..5 {
            assert!(ways.call().await.is_err());
        }
        probed().await;
        assert!(ways.outage.is_on());
        sleep(Duration::from_secs(20)).await;
        assert!(ways.outage.is_on());
        if native_first {
            ways.native.heals()
        } else {
            ways.rest.heals()
        }
        sleep(Duration::from_millis(230)).await;
        assert!(!ways.outage.is_on());
        assert_eq!(ways.switch.is_on_rest(), !native_first);
        assert_eq!(ways.call().await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_is_dropped_leaves_nothing_behind() {
    let ways = Ways::new(Proof::Same);
    ways.lose_native().await;
    let Ways { native, switch, failover, .. } = ways;
    drop(failover);
    native.probes();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(native.probes(), []);
    assert_eq!(Arc::strong_count(&switch), 1);
}
