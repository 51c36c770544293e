//! The four algorithms as they are defined, in integers that cannot overflow: what the scripts are held to.

use super::*;

const MOST: u128 = 1 << 41;

/// What is used and held of one limiter. Waiting times are found by trying moments, not by a formula.
#[derive(Clone)]
pub struct Model {
    quota: Quota,
    used: Used,
    /// When they are free, and how many units.
    pub holds: Vec<(u128, u128)>,
}

#[derive(Clone)]
enum Used {
    Sliding(Option<(u128, u128, u128)>),
    Log(Vec<(u128, u128)>),
    Bucket(u128, u128),
    Fixed(u128, u128),
}

impl Model {
    pub fn new(quota: Quota) -> Model {
        let used = match quota.algorithm() {
            Algorithm::SlidingWindow => Used::Sliding(None),
            Algorithm::SlidingLog => Used::Log(Vec::new()),
            Algorithm::TokenBucket => Used::Bucket(0, 0),
            Algorithm::FixedWindow => Used::Fixed(0, 0),
        };
        Model { quota, used, holds: Vec::new() }
    }

    fn window(&self) -> u128 {
        u128::from(self.quota.window_millis())
    }

    fn drain(&self) -> (u128, u128) {
        let (drops, unit) = self.quota.drain();
        (drops.into(), unit.into())
    }

    /// The same at a later moment, with what is over left out.
    fn at(&self, now: u128) -> Model {
        let mut then = self.clone();
        let (window, drops) = (self.window(), self.drain().0);
        then.holds.retain(|(ends, _)| *ends > now);
        match &mut then.used {
            Used::Sliding(None) => {}
            Used::Sliding(Some((start, previous, current))) => match now - *start {
                elapsed if elapsed < window => {}
                elapsed if elapsed < 2 * window && *current > 0 => {
                    (*start, *previous, *current) = (*start + window, *current, 0)
                }
                _ => then.used = Used::Sliding(None),
            },
            Used::Log(uses) => uses.retain(|(when, _)| when + window > now),
            Used::Bucket(when, level) => {
                *level = level.saturating_sub((now - *when) * drops);
                *when = now;
            }
            Used::Fixed(start, current) => {
                if now / window * window != *start {
                    (*start, *current) = (now / window * window, 0);
                }
            }
        }
        then
    }

    fn units(&self, now: u128) -> u128 {
        let window = self.window();
        match &self.used {
            Used::Sliding(None) => 0,
            Used::Sliding(Some((start, previous, current))) => {
                current + previous * ((window - (now - start)) * 4096 / window) / 4096
            }
            Used::Log(uses) => uses.iter().map(|(_, cost)| cost).sum(),
            Used::Bucket(_, level) => level.div_ceil(self.drain().1),
            Used::Fixed(_, current) => *current,
        }
    }

    fn reset(&self, now: u128) -> u128 {
        if self.units(now) == 0 {
            return self.holds.iter().map(|(ends, _)| ends - now).min().unwrap_or(0);
        }
        let (drops, unit) = self.drain();
        match &self.used {
            Used::Sliding(None) => 0,
            Used::Sliding(Some((start, ..))) | Used::Fixed(start, _) => start + self.window() - now,
            Used::Log(uses) => uses[0].0 + self.window() - now,
            Used::Bucket(_, level) => (level - (level.div_ceil(unit) - 1) * unit).div_ceil(drops),
        }
    }

    fn fits(&self, now: u128, room: u128, cost: u128) -> bool {
        let then = self.at(now);
        then.units(now) + then.holds.iter().map(|(_, units)| units).sum::<u128>() + cost <= room
    }

    /// What a peek is answered.
    pub fn peek(&self, now: u128, room: u64, cost: u64) -> Decision {
        let (room, cost) = (room.into(), cost.into());
        let then = self.at(now);
        let allowed = self.fits(now, room, cost);
        let (mut below, mut wait) = (0, 0);
        if !allowed {
            wait = 1;
            while !self.fits(now + wait, room, cost) {
                (below, wait) = (wait, wait * 2);
            }
            while wait - below > 1 {
                let middle = (wait + below) / 2;
                if self.fits(now + middle, room, cost) { wait = middle } else { below = middle }
            }
        }
        let millis = |millis: u128| Duration::from_millis(millis.try_into().unwrap());
        let held: u128 = then.holds.iter().map(|(_, units)| units).sum();
        Decision {
            allowed,
            current: (then.units(now) + held).try_into().unwrap(),
            reset: millis(then.reset(now)),
            retry_after: millis(wait),
        }
    }

    pub fn add(&mut self, now: u128, units: u64) {
        *self = self.at(now);
        let units = u128::from(units).min(MOST);
        if units == 0 {
            return;
        }
        let (used, unit) = (self.units(now), self.drain().1);
        match &mut self.used {
            Used::Sliding(window) => {
                let (start, previous, current) = window.unwrap_or((now, 0, 0));
                *window = Some((start, previous, (current + units).min(MOST)));
            }
            Used::Log(uses) => {
                let units = units.min(MOST - used);
                uses.extend((units > 0).then_some((now, units)));
            }
            Used::Bucket(_, level) => *level = (*level + units * unit).min(1 << 53).min(MOST * unit),
            Used::Fixed(_, current) => *current = (*current + units).min(MOST),
        }
    }

    /// What a check is answered, counted if it may be.
    pub fn check(&mut self, now: u128, room: u64, cost: u64, shadow: bool) -> Decision {
        let judged = self.peek(now, room, cost);
        if !judged.allowed && !shadow {
            return judged;
        }
        self.add(now, cost);
        let after = self.peek(now, room, cost);
        Decision { current: after.current, reset: after.reset, ..judged }
    }

    /// What a reservation is answered.
    pub fn reserve(&mut self, now: u128, room: u64, cost: u64, hold: u64) -> Decision {
        let judged = self.peek(now, room, cost);
        if !judged.allowed {
            return judged;
        }
        self.holds.push((now + u128::from(hold), cost.into()));
        let reset = Duration::from_millis(self.at(now).reset(now).try_into().unwrap());
        Decision { current: judged.current + cost, reset, ..judged }
    }
}
