//! The breaker against a plain model of it, under random operations.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Operation {
    Acquire(Option<u8>),
    /// Which permit of those that were given, from the newest.
    Report {
        outcome: CallOutcome,
        permit: Option<usize>,
        count: u32,
        duration: Option<u64>,
        instance: Option<u8>,
    },
    Force(Forced, Option<u64>),
    Configure(Policy),
    Forget,
    Pass(u64),
}

/// A permit, and between which two changes it was given.
#[derive(Clone)]
struct Given {
    permit: Name,
    epoch: u64,
    probe: Option<usize>,
}

#[derive(Clone, Copy)]
struct Event {
    start: u64,
    calls: u64,
    failures: u64,
    slow: u64,
}

struct Model {
    now: u64,
    own: Option<Policy>,
    state: State,
    ends: Option<u64>,
    epoch: u64,
    row: u64,
    opened: u64,
    successes: u64,
    /// Which, and until when.
    probes: Vec<(usize, u64)>,
    probes_given: usize,
    /// Who, when last, and whether since the last success.
    instances: Vec<(Option<u8>, u64, bool)>,
    events: Vec<Event>,
    listed: Vec<(u64, CallOutcome, u32)>,
    changes: Vec<(State, State)>,
}

impl Model {
    fn new() -> Model {
        Model {
            now: START,
            own: None,
            state: State::Closed,
            ends: None,
            epoch: 0,
            row: 0,
            opened: 0,
            successes: 0,
            probes: vec![],
            probes_given: 0,
            instances: vec![],
            events: vec![],
            listed: vec![],
            changes: vec![],
        }
    }

    fn policy(&self) -> Policy {
        self.own.unwrap_or(policy())
    }

    fn width(&self) -> Option<u64> {
        self.policy().window.map(|window| (window.as_millis() as u64).div_ceil(10))
    }

    fn become_state(&mut self, state: State) {
        self.changes.push((self.state, state));
        self.state = state;
        self.epoch += 1;
        (self.ends, self.row, self.successes) = (None, 0, 0);
        (self.probes, self.instances, self.events) = (vec![], vec![], vec![]);
        if !matches!(state, State::Open | State::HalfOpen) {
            self.opened = 0;
        }
    }

    fn open(&mut self) {
        let policy = self.policy();
        let opened = self.opened + 1;
        self.become_state(State::Open);
        self.opened = opened;
        let mut time = policy.timeout.as_millis() as u64;
        for _ in 1..opened.min(20) {
            time =
                (time * u64::from(policy.timeout_multiplier_millis) / 1000).min(policy.timeout_max.as_millis() as u64);
        }
        self.ends = Some(self.now + time);
    }

    /// What has changed with time alone, and is announced by whoever writes next.
    fn settled(&self) -> State {
        match (self.ends, self.state) {
            (Some(ends), State::Open) if ends <= self.now => State::HalfOpen,
            (Some(ends), _) if ends <= self.now => State::Closed,
            (_, state) => state,
        }
    }

    fn settle(&mut self) {
        if self.settled() != self.state {
            self.become_state(self.settled());
        }
    }

    /// Whether the call may be made, by which probe, and else how long to wait.
    fn acquire(&mut self) -> Result<Option<usize>, u64> {
        match self.settled() {
            State::Open | State::ForcedOpen => Err(self.ends.map_or(60_000, |ends| ends - self.now)),
            State::HalfOpen => {
                let live: Vec<_> = self.probes.iter().copied().filter(|(_, ends)| *ends > self.now).collect();
                if live.len() >= self.policy().half_open_permits as usize {
                    return Err(live.iter().map(|(_, ends)| ends - self.now).min().unwrap());
                }
                self.settle();
                self.probes = live;
                self.probes_given += 1;
                self.probes.push((self.probes_given, self.now + self.policy().permit_ttl.as_millis() as u64));
                Ok(Some(self.probes_given))
            }
            _ => {
                self.settle();
                Ok(None)
            }
        }
    }

    fn report(&mut self, report: &Report, given: Option<&Given>, instance: Option<u8>) {
        let (failed, mut count) = (report.outcome != CallOutcome::Success, u64::from(report.count));
        let epoch = self.epoch + u64::from(self.settled() != self.state);
        if self.settled() == State::Disabled || given.is_some_and(|given| given.epoch != epoch) {
            return;
        }
        if let Some(given) = given.filter(|_| self.settled() == State::HalfOpen) {
            let Some(at) = self.probes.iter().position(|(probe, _)| Some(*probe) == given.probe) else { return };
            self.probes.remove(at);
            count = 1;
        }
        // A success where nothing is to be reset is not even looked at.
        self.settle();
        if failed {
            self.listed.insert(0, (self.now, report.outcome, count as u32));
            self.listed.truncate(5);
        }
        match self.state {
            State::HalfOpen if failed => self.open(),
            State::HalfOpen => {
                self.successes += count;
                if self.successes >= u64::from(self.policy().success_threshold) {
                    self.become_state(State::Closed);
                }
            }
            State::Closed | State::ForcedClosed => self.count(report, failed, count, instance),
            _ => {}
        }
    }

    fn count(&mut self, report: &Report, failed: bool, count: u64, instance: Option<u8>) {
        let policy = self.policy();
        let width = self.width();
        let is_in_window = |start: u64, now: u64| width.is_some_and(|width| start + 10 * width > now);
        let slow = width.is_some() && policy.slow_call_duration.is_some_and(|least| report.duration >= Some(least));
        self.row = if failed { self.row + count } else { 0 };
        for known in &mut self.instances {
            known.2 &= failed && policy.failure_threshold.is_some();
        }
        self.instances.retain(|(_, at, in_row)| *in_row || is_in_window(*at, self.now));
        if failed || slow {
            let before =
                self.instances.iter().position(|known| known.0 == instance).map(|at| self.instances.remove(at));
            let in_row = failed && policy.failure_threshold.is_some() || before.is_some_and(|known| known.2);
            self.instances.push((instance, self.now, in_row));
            while self.instances.len() > policy.trip_quorum as usize {
                self.instances.remove(0);
            }
        }
        let number = |counts: bool| if counts { count } else { 0 };
        self.events.push(Event { start: self.now, calls: count, failures: number(failed), slow: number(slow) });
        match width {
            None => self.events.clear(),
            Some(width) => {
                self.events.iter_mut().for_each(|event| event.start -= event.start % width);
                self.events.retain(|event| is_in_window(event.start, self.now));
            }
        }
        let quorum = policy.trip_quorum as usize;
        let in_row = self.instances.iter().filter(|known| known.2).count();
        let in_window = self.instances.iter().filter(|known| is_in_window(known.1, self.now)).count();
        let by_row = policy.failure_threshold.is_some_and(|n| self.row >= u64::from(n)) && in_row >= quorum;
        let sum = |of: fn(&Event) -> u64| self.events.iter().map(of).sum::<u64>();
        let (calls, failures, slow) = (sum(|e| e.calls), sum(|e| e.failures), sum(|e| e.slow));
        let by_rate = failures * 1_000_000 >= u64::from(policy.failure_rate) * calls
            || policy.slow_call_duration.is_some() && slow * 1_000_000 >= u64::from(policy.slow_call_rate) * calls;
        let by_window = width.is_some() && calls >= u64::from(policy.minimum_calls) && in_window >= quorum && by_rate;
        if self.state == State::Closed && (by_row || by_window) {
            self.open();
        }
    }

    fn force(&mut self, state: Forced, ttl: Option<u64>) {
        self.settle();
        let wanted = match state {
            Forced::Open => State::ForcedOpen,
            Forced::Closed => State::ForcedClosed,
            Forced::Disabled => State::Disabled,
            Forced::Auto => State::Closed,
        };
        if self.state != wanted {
            self.become_state(wanted);
        } else if wanted == State::Closed {
            (self.row, self.instances, self.events) = (0, vec![], vec![]);
        }
        self.ends = ttl.filter(|_| wanted != State::Closed).map(|ttl| self.now + ttl);
    }

    fn forget(&mut self) {
        self.settle();
        if self.state != State::Closed {
            self.become_state(State::Closed);
        }
        let (now, probes_given, changes) = (self.now, self.probes_given, std::mem::take(&mut self.changes));
        // Permits of a breaker that never changed are the same after it; all others are void.
        *self = Model { now, probes_given, changes, ..Model::new() };
    }

    fn counters(&self) -> Counters {
        if self.settled() != self.state {
            let times_opened = if self.state == State::Open { self.opened } else { 0 };
            return Counters { times_opened, ..Counters::default() };
        }
        let width = self.width();
        let is_in_window = |start: u64| width.is_some_and(|width| start + 10 * width > self.now);
        let aligned = |event: &&Event| is_in_window(width.map_or(0, |width| event.start - event.start % width));
        let sum = |of: fn(&Event) -> u64| self.events.iter().filter(aligned).map(of).sum();
        Counters {
            consecutive_failures: self.row,
            successes: self.successes,
            probes: self.probes.iter().filter(|(_, ends)| *ends > self.now).count() as u64,
            failing_instances: self.instances.iter().filter(|known| known.2 || is_in_window(known.1)).count() as u64,
            times_opened: self.opened,
            calls: sum(|event| event.calls),
            failures: sum(|event| event.failures),
            slow_calls: sum(|event| event.slow),
        }
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    let counts = (proptest::option::of(1_u32..6), 1_u32..4, 1_u32..4, 1_u32..4, 1_u32..12);
    let times = (proptest::option::of(prop_oneof![Just(995_u64), Just(3000), Just(20_000)]), 100_u64..3000, 0..3_u32);
    let slow = (proptest::option::of(0..300_u64), 1..=1_000_000_u32, 1..=1_000_000_u32);
    (counts, times, slow).prop_map(|((row, successes, permits, quorum, least), (window, timeout, growth), slow)| {
        Policy {
            failure_threshold: row,
            success_threshold: successes,
            timeout: millis(timeout),
            // In halves, so that every step of it is exact.
            timeout_multiplier_millis: 1000 + growth * 1000,
            timeout_max: millis(timeout * 5),
            timeout_jitter_millis: 0,
            window: window.map(millis),
            minimum_calls: least,
            failure_rate: slow.1,
            slow_call_duration: slow.0.map(millis),
            slow_call_rate: slow.2,
            half_open_permits: permits,
            permit_ttl: millis(timeout / 2),
            trip_quorum: quorum,
        }
    })
}

fn operations() -> impl Strategy<Value = Operation> {
    let instance = || proptest::option::of(0..4_u8);
    let outcome = prop_oneof![
        3 => Just(CallOutcome::Success),
        3 => Just(CallOutcome::Failure),
        1 => Just(CallOutcome::Timeout)
    ];
    let permit = proptest::option::of(prop_oneof![4 => Just(0_usize), 1 => 0..6_usize]);
    let count = prop_oneof![4 => Just(1_u32), 1 => 2..8_u32];
    let forced = prop_oneof![
        Just(Forced::Open),
        Just(Forced::Closed),
        Just(Forced::Disabled),
        Just(Forced::Auto),
        Just(Forced::Auto)
    ];
    prop_oneof![
        8 => instance().prop_map(Operation::Acquire),
        16 => (outcome, permit, count, proptest::option::of(0..400_u64), instance()).prop_map(
            |(outcome, permit, count, duration, instance)| Operation::Report { outcome, permit, count, duration, instance }
        ),
        1 => (forced, proptest::option::of(50..2000_u64)).prop_map(|(state, ttl)| Operation::Force(state, ttl)),
        1 => policies().prop_map(Operation::Configure),
        1 => prop_oneof![9 => Just(Operation::Pass(0)), 1 => Just(Operation::Forget)],
        6 => prop_oneof![0..50_u64, 50..3000_u64].prop_map(Operation::Pass),
    ]
}

async fn agrees(policy: Policy, operations: Vec<Operation>) -> Result<(), TestCaseError> {
    let (bench, mut model) = (Bench::new(), Model::new());
    let mut given: Vec<Given> = Vec::new();
    bench.configure(policy).await;
    model.own = Some(policy);
    for operation in operations {
        match operation.clone() {
            Operation::Acquire(instance) => {
                let instance = instance.map(|n| name(&n.to_string()));
                let acquired = bench.breakers.acquire(&b(), instance.as_ref()).await.unwrap();
                let expected = model.acquire();
                prop_assert_eq!(acquired.allowed, expected.is_ok());
                prop_assert_eq!(acquired.retry_after, millis(expected.err().unwrap_or(0)));
                prop_assert_eq!(acquired.state, model.settled());
                if let (Some(permit), Ok(probe)) = (acquired.permit, expected) {
                    given.insert(0, Given { permit, epoch: model.epoch, probe });
                }
            }
            Operation::Report { outcome, permit, count, duration, instance } => {
                let permit = permit.and_then(|at| given.get(at).cloned());
                let report = Report {
                    outcome,
                    duration: duration.map(millis),
                    permit: permit.as_ref().map(|given| given.permit.clone()),
                    count,
                    instance: instance.map(|n| name(&n.to_string())),
                };
                let reported = bench.breakers.report(&b(), &report).await.unwrap();
                model.report(&report, permit.as_ref(), instance);
                let next = model.ends.filter(|_| model.settled() == model.state).map(Timestamp::from_millis);
                prop_assert_eq!((reported.state, reported.next_change), (model.settled(), next), "{:?}", operation);
            }
            Operation::Force(state, ttl) => {
                let force = Force { state, reason: None, actor: "admin".into(), ttl: ttl.map(millis) };
                bench.breakers.force(&b(), &force).await.unwrap();
                model.force(state, ttl);
            }
            Operation::Configure(policy) => {
                bench.configure(policy).await;
                model.own = Some(policy);
            }
            Operation::Forget => {
                bench.breakers.forget(&b()).await.unwrap();
                model.forget();
                given.clear();
            }
            Operation::Pass(time) => {
                bench.pass(time);
                model.now += time;
            }
        }
        let read = bench.read().await;
        prop_assert_eq!(read.state, model.settled(), "{:?}", operation);
        prop_assert_eq!(read.counters, model.counters(), "{:?}\n{:?}", operation, bench.text().await);
        let next = model.ends.filter(|_| model.settled() == model.state).map(Timestamp::from_millis);
        prop_assert_eq!(read.next_change, next, "{:?}", operation);
        let listed: Vec<_> = read.last_failures.iter().map(|f| (f.at.as_millis(), f.outcome, f.count)).collect();
        prop_assert_eq!(&listed, &model.listed, "{:?}", operation);
        prop_assert_eq!(bench.heard(), std::mem::take(&mut model.changes), "{:?}", operation);
        prop_assert_eq!(read.policy, model.own);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn it_does_what_the_model_does(
        policy in policies(),
        operations in proptest::collection::vec(operations(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(agrees(policy, operations))?;
    }
}
