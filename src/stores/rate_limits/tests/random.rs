//! Random schedules, judged by the model.

use super::model::Model;
use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// So many 64ths of a window, and so many milliseconds.
    Pass(u64, u64),
    Check {
        cost: u64,
        burst: bool,
        shadow: bool,
    },
    Peek {
        cost: u64,
        burst: bool,
    },
    /// For so many 64ths of a window and a millisecond.
    Reserve {
        cost: u64,
        hold: u64,
    },
    /// The one of those that live, with so much of what it holds, in 64ths.
    Commit(usize, u64),
    Cancel(usize),
    /// Asks, and waits exactly as long as it is told to, if at all.
    Wait {
        cost: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    // In 64ths of the room.
    let cost = prop_oneof![4 => 0..=2_u64, 2 => 3..=40_u64, 1 => 50..=64_u64];
    prop_oneof![
        4 => (prop_oneof![3 => 0..=20_u64, 1 => 0..=150_u64], 0..=2_u64).prop_map(|(part, millis)| Step::Pass(part, millis)),
        8 => (cost.clone(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(cost, burst, shadow)| Step::Check { cost, burst, shadow }),
        2 => (cost.clone(), any::<bool>()).prop_map(|(cost, burst)| Step::Peek { cost, burst }),
        1 => (cost.clone(), 0..=150_u64).prop_map(|(cost, hold)| Step::Reserve { cost, hold }),
        1 => (any::<usize>(), 0..=100_u64).prop_map(|(which, part)| Step::Commit(which, part)),
        1 => any::<usize>().prop_map(Step::Cancel),
        2 => cost.prop_map(|cost| Step::Wait { cost }),
    ]
}

fn quotas(algorithm: Algorithm) -> impl Strategy<Value = Quota> {
    let limit = prop_oneof![1..=12_u64, Just(100), Just(4096), 1..=90_000_u64, Just(MOST_UNITS), 1..=MOST_UNITS];
    let window = prop_oneof![
        1..=12_u64,
        Just(1_000),
        Just(4_095),
        Just(60_000),
        1..=100_000_u64,
        Just(86_400_000),
        Just(LONGEST_WINDOW.as_millis() as u64),
    ];
    let burst = prop_oneof![Just(0), 0..=10_u64, Just(MOST_UNITS)];
    (limit, window, burst).prop_filter_map("is kept exactly", move |(limit, window, burst)| {
        Quota::new(limit, burst, Duration::from_millis(window), algorithm).ok()
    })
}

/// The limiter under test, and what it should be.
struct Pair {
    quota: Quota,
    model: Model,
    reservations: Vec<(Name, (u128, u128))>,
}

impl Pair {
    fn asks(&self, cost: u64, burst: bool) -> Check {
        let least = if burst { self.quota.burst() } else { 0 };
        let quota = quota(self.quota.algorithm(), self.quota.limit(), least, self.quota.window_millis());
        let cost = u64::try_from(u128::from(quota.room()) * u128::from(cost) / 64).unwrap().max(1);
        check("k", quota, cost)
    }

    fn millis(&self, part: u64) -> u64 {
        u64::try_from(u128::from(self.quota.window_millis()) * u128::from(part) / 64).unwrap()
    }

    async fn step(&mut self, bench: &Bench, step: &Step) {
        let now = bench.now();
        self.reservations.retain(|(_, (ends, _))| *ends > now);
        match step {
            Step::Pass(part, millis) => bench.pass(self.millis(*part) + millis),
            Step::Check { cost, burst, shadow } => {
                let asked = Check { shadow: *shadow, ..self.asks(*cost, *burst) };
                let expected = self.model.check(now, asked.quota.room(), asked.cost, *shadow);
                assert_eq!(bench.check(&asked).await, expected, "{asked:?}");
            }
            Step::Peek { cost, burst } => {
                let asked = self.asks(*cost, *burst);
                let expected = self.model.peek(now, asked.quota.room(), asked.cost);
                assert_eq!(bench.limits.peek(&asked).await.unwrap(), expected, "{asked:?}");
            }
            Step::Reserve { cost, hold } => {
                let asked = self.asks(*cost, true);
                let hold = self.millis(*hold) + 1;
                let expected = self.model.reserve(now, asked.quota.room(), asked.cost, hold);
                let outcome = bench.limits.reserve(&asked, Duration::from_millis(hold)).await.unwrap();
                let ReserveOutcome::Decided(decision, reservation) = outcome else { panic!("{outcome:?}") };
                assert_eq!(decision, expected, "{asked:?}");
                assert_eq!(reservation.is_some(), expected.allowed);
                if let Some(made) = reservation {
                    assert_eq!(made.expires_at, Timestamp::from_millis((now + u128::from(hold)) as u64));
                    self.reservations.push((made.id, (now + u128::from(hold), asked.cost.into())));
                }
            }
            Step::Commit(which, part) => self.settle(bench, *which, |held| Settlement::Commit(held * part / 64)).await,
            Step::Cancel(which) => self.settle(bench, *which, |_| Settlement::Cancel).await,
            Step::Wait { cost } => {
                let asked = self.asks(*cost, true);
                let told = bench.check(&asked).await;
                assert_eq!(told, self.model.check(now, asked.quota.room(), asked.cost, false));
                if let Some(wait) = u64::try_from(told.retry_after.as_millis()).unwrap().checked_sub(1) {
                    bench.pass(wait);
                    assert!(!bench.limits.peek(&asked).await.unwrap().allowed, "a millisecond too early: {asked:?}");
                    bench.pass(1);
                    assert!(bench.limits.peek(&asked).await.unwrap().allowed, "after {wait} ms: {asked:?}");
                }
            }
        }
    }

    async fn settle(&mut self, bench: &Bench, which: usize, how: impl FnOnce(u64) -> Settlement) {
        if self.reservations.is_empty() {
            return;
        }
        let (id, hold) = self.reservations.remove(which % self.reservations.len());
        let how = how(hold.1.try_into().unwrap());
        let place = self.model.holds.iter().position(|held| *held == hold);
        self.model.holds.remove(place.expect("the model holds it"));
        let units = if let Settlement::Commit(units) = how { units } else { 0 };
        self.model.add(bench.now(), units);
        assert_eq!(bench.limits.settle(&id, how).await, Ok(SettleOutcome::Settled(units)));
        assert_eq!(bench.limits.settle(&id, how).await, Ok(SettleOutcome::Settled(units)), "counted once");
    }
}

/// Two limiters of one subject, so that they share what is stored.
fn run(quotas: [Quota; 2], steps: &[(bool, Step)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::new();
        let mut pairs = quotas.map(|quota| Pair { quota, model: Model::new(quota), reservations: Vec::new() });
        for (second, step) in steps {
            pairs[usize::from(*second)].step(&bench, step).await;
        }
        bench.everything_ends();
    });
}

macro_rules! as_the_model {
    ($($test:ident $algorithm:ident)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(150))]
            $(#[test]
            fn $test(
                one in quotas(Algorithm::$algorithm),
                other in quotas(Algorithm::$algorithm),
                second in prop_oneof![Just(0.0), Just(0.3)].prop_flat_map(|share| {
                    prop::collection::vec((prop::bool::weighted(share), step()), 1..60)
                }),
            ) {
                prop_assume!(one.window_millis() != other.window_millis());
                run([one, other], &second);
            })*
        }
    };
}

as_the_model! {
    sliding_windows_decide_as_the_model_does SlidingWindow
    sliding_logs_decide_as_the_model_does SlidingLog
    token_buckets_decide_as_the_model_does TokenBucket
    fixed_windows_decide_as_the_model_does FixedWindow
}
