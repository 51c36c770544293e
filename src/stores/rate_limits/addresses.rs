//! How many requests without a valid key may come from one network: each costs work, and those with made-up keys a
//! question to the backend.
//!
//! Counted in this process alone, by the generic cell rate algorithm in one number for each network. Not by the
//! scripts that count everything else: to be asked before a key is looked up, without waiting, is the point, and a
//! script costs more than the refusal that it would save.

use super::remembered::known_or_new;
use super::settings::{MINUTE, RateLimitSettings};
use crate::base::clock::Clock;
use quick_cache::sync::Cache;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Networks that are remembered.
const REMEMBERED: usize = 10_000;

/// Refused requests by network, of one process.
pub struct Addresses {
    /// When what was counted of a network will all have drained away, in nanoseconds of the clock.
    drained: Cache<IpAddr, Arc<AtomicU64>>,
    clock: Arc<dyn Clock>,
    /// How long one takes to drain.
    each: u64,
    /// How long all take that may be counted at a time.
    all: u64,
}

impl Addresses {
    /// As many as requests of a key. Time is told by `clock`, which must not be set back.
    pub fn new(settings: &RateLimitSettings, clock: Arc<dyn Clock>) -> Self {
        let minute = u64::try_from(MINUTE.as_nanos()).unwrap_or(u64::MAX);
        let each = minute / u64::from(settings.requests_per_minute).max(1);
        let room = u64::from(settings.requests_per_minute) + u64::from(settings.burst_size);
        Addresses { drained: Cache::new(REMEMBERED), clock, each, all: each.saturating_mul(room) }
    }

    /// Whether another one may be refused; else after which time.
    ///
    /// # Errors
    /// The time.
    pub fn may_fail(&self, address: IpAddr) -> Result<(), Duration> {
        let now = self.now();
        let drained = self.drained.get(&network(address)).map_or(0, |drained| drained.load(Relaxed));
        self.with_one_more(drained, now).map(|_| ())
    }

    /// Counts one that is refused.
    ///
    /// # Errors
    /// It is one too many; the time after which it is not.
    pub fn failed(&self, address: IpAddr) -> Result<(), Duration> {
        let drained = known_or_new(&self.drained, &network(address));
        let now = self.now();
        let counted = drained.fetch_update(Relaxed, Relaxed, |drained| self.with_one_more(drained, now).ok());
        counted.map(|_| ()).or_else(|drained| self.with_one_more(drained, now).map(|_| ()))
    }

    fn with_one_more(&self, drained: u64, now: u64) -> Result<u64, Duration> {
        let then = drained.max(now).saturating_add(self.each);
        let latest = now.saturating_add(self.all);
        if then <= latest { Ok(then) } else { Err(Duration::from_nanos(then - latest)) }
    }

    fn now(&self) -> u64 {
        self.clock.micros().saturating_mul(1000)
    }
}

/// Whoever has an IPv6 address has the 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};

    fn addresses() -> (Addresses, ManualClock) {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        (Addresses::new(&RateLimitSettings::default(), Arc::new(clock.clone())), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_may_fail_as_often_as_a_key_may_ask_and_then_once_a_second() {
        let (addresses, clock) = addresses();
        let (one, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for _ in 0..70 {
            assert_eq!((addresses.may_fail(one), addresses.failed(one)), (Ok(()), Ok(())));
        }
        let second = Err(Duration::from_secs(1));
        assert_eq!((addresses.may_fail(one), addresses.failed(one)), (second, second));
        assert_eq!(addresses.may_fail(other), Ok(()));
        clock.advance(Duration::from_millis(999));
        assert_eq!(addresses.failed(one), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!((addresses.failed(one), addresses.failed(one)), (Ok(()), second));
        clock.advance(Duration::from_secs(70));
        assert_eq!((0..100).filter(|_| addresses.failed(one).is_ok()).count(), 70);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_and_those_of_ipv4_are_not() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_ne!(network(ip("2001:db8:1:3::1")), network(ip("2001:db8:1:2::1")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn any_settings_keep_the_arithmetic_in_range() {
        let (_, clock) = addresses();
        for (requests_per_minute, burst_size) in [(1, u32::MAX), (u32::MAX, u32::MAX), (u32::MAX, 0), (1, 0)] {
            let settings = RateLimitSettings { requests_per_minute, burst_size, ..Default::default() };
            let addresses = Addresses::new(&settings, Arc::new(clock.clone()));
            assert_eq!(addresses.failed(ip("192.0.2.1")), Ok(()));
        }
    }
}
