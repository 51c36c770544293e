//! The embedded backend and a real Redis on the same schedule. Scripts on Redis are told the time of the other's clock,
//! which runs ahead: so keys there outlive their end, and what has ended must not be seen all the same.

use super::bench::{check, decided};
use crate::harness::backend::{Backend, raw};
use agentapi::base::clock::{Clock, ManualClock, SystemClock};
use agentapi::base::text::TenantId;
use agentapi::db::transport::memory::Memory;
use agentapi::db::transport::{Execution, RedisTransport};
use agentapi::db::{BackendClock, Batch, Command, Database};
use agentapi::stores::rate_limits::{Algorithm, Check, Decision, RateLimits, Reservation, ReserveOutcome, Settlement};
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Runs scripts as if it were the time of this clock.
struct ToldTime {
    inner: Arc<dyn RedisTransport>,
    clock: ManualClock,
}

impl ToldTime {
    fn told(&self, command: &Command) -> Command {
        let Some(script) = command.running() else { return command.clone() };
        let (seconds, micros) = (self.clock.micros() / 1_000_000, self.clock.micros() % 1_000_000);
        let head = format!(
            "local real = redis local redis = {{ pcall = real.pcall, call = function(name, ...) \
             if name == 'TIME' then return {{ '{seconds}', '{micros}' }} end \
             if name == 'PTTL' then local ends = real.call('PEXPIRETIME', ...) \
             return ends >= {millis} and ends - {millis} or -2 end return real.call(name, ...) end }} ",
            millis = self.clock.micros() / 1000
        );
        let text = format!("{head}{}", script.text());
        raw(["EVAL".into(), text.into()].into_iter().chain(command.args().iter().skip(2).cloned()))
    }
}

impl RedisTransport for ToldTime {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        let told = Batch::pipeline(batch.commands().iter().map(|command| self.told(command)).collect());
        Box::pin(async move { self.inner.execute(&told).await })
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Check { cost: u64, shadow: bool },
    Both { cost: u64 },
    Peek { cost: u64 },
    Reserve { cost: u64, hold: u64 },
    Settle { which: usize, units: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2_500_u64).prop_map(Step::Pass),
        6 => (1..=6_u64, prop::bool::weighted(0.1)).prop_map(|(cost, shadow)| Step::Check { cost, shadow }),
        1 => (1..=6_u64).prop_map(|cost| Step::Both { cost }),
        1 => (1..=12_u64).prop_map(|cost| Step::Peek { cost }),
        2 => (1..=6_u64, 1..3_000_u64).prop_map(|(cost, hold)| Step::Reserve { cost, hold }),
        1 => (any::<usize>(), 0..8_u64).prop_map(|(which, units)| Step::Settle { which, units }),
    ]
}

struct Two {
    clock: ManualClock,
    stores: [RateLimits; 2],
    reservations: Vec<[Reservation; 2]>,
}

impl Two {
    fn new(native: &Backend) -> Two {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("same{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let clock = ManualClock::at(SystemClock.now() + Duration::from_secs(60));
        let memory: Arc<dyn RedisTransport> = Arc::new(Memory::new(Arc::new(clock.clone())));
        let redis = Arc::new(ToldTime { inner: native.transport.clone(), clock: clock.clone() });
        let stores = [memory, redis].map(|transport| {
            let database = Database::new(transport, &prefix, BackendClock::new(Arc::new(clock.clone())));
            RateLimits::new(database.tenant(&TenantId::parse("acme").unwrap()))
        });
        Two { clock, stores, reservations: Vec::new() }
    }

    async fn both(&self, checks: &[Check]) -> [Vec<Decision>; 2] {
        let [memory, redis] = &self.stores;
        [decided(memory.check(checks).await.unwrap()), decided(redis.check(checks).await.unwrap())]
    }

    async fn step(&mut self, algorithm: Algorithm, second: bool, step: &Step) {
        let window = Duration::from_millis(if second { 1_100 } else { 1_000 });
        let of = |cost| check("a", algorithm, 12, window, cost);
        match *step {
            Step::Pass(millis) => self.clock.advance(Duration::from_millis(millis)),
            Step::Check { cost, shadow } => {
                let [memory, redis] = self.both(&[Check { shadow, ..of(cost) }]).await;
                assert_eq!(memory, redis);
            }
            Step::Both { cost } => {
                let [memory, redis] = self.both(&[of(cost), check("b", algorithm, 12, window, cost), of(1)]).await;
                assert_eq!(memory, redis);
            }
            Step::Peek { cost } => {
                let [memory, redis] = &self.stores;
                assert_eq!(memory.peek(&of(cost)).await, redis.peek(&of(cost)).await);
            }
            Step::Reserve { cost, hold } => {
                let mut held = Vec::new();
                let mut decisions = Vec::new();
                for store in &self.stores {
                    let outcome = store.reserve(&of(cost), Duration::from_millis(hold)).await.unwrap();
                    let ReserveOutcome::Decided(decision, reservation) = outcome else { panic!("{outcome:?}") };
                    decisions.push(decision);
                    held.extend(reservation);
                }
                assert_eq!(decisions[0], decisions[1]);
                self.reservations.extend(<[Reservation; 2]>::try_from(held).ok());
            }
            Step::Settle { which, units } => {
                if self.reservations.is_empty() {
                    return;
                }
                let [here, there] = self.reservations.remove(which % self.reservations.len());
                let [memory, redis] = &self.stores;
                let how = Settlement::Commit(units);
                assert_eq!(memory.settle(&here.id, how).await, redis.settle(&there.id, how).await);
            }
        }
    }
}

fn same(algorithm: Algorithm, steps: &[(bool, Step)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let native = Backend::native();
        let mut two = Two::new(&native);
        for (second, step) in steps {
            two.step(algorithm, *second, step).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn memory_and_redis_decide_the_same_whatever_is_asked_when(
        algorithm in prop::sample::select(Algorithm::ALL),
        steps in prop::collection::vec((prop::bool::weighted(0.2), step()), 1..40),
    ) {
        same(algorithm, &steps);
    }
}

#[test]
fn a_hold_whose_state_ended_first_takes_nothing_off_what_is_held_later() {
    let steps = [
        Step::Reserve { cost: 1, hold: 1 },
        Step::Pass(2),
        Step::Check { cost: 1, shadow: false },
        Step::Reserve { cost: 1, hold: 1_563 },
        Step::Pass(77),
        Step::Reserve { cost: 1, hold: 1_487 },
        Step::Pass(1_486),
        Step::Check { cost: 1, shadow: false },
    ];
    same(Algorithm::SlidingWindow, &steps.map(|step| (false, step)));
}
