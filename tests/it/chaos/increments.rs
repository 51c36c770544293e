//! Increments that must each be done once, over two ways to one Redis that both come and go.
//!
//! What is not acknowledged is asked for again as the same command, and so as the same operation, until it is.
//! Then the counter is exact, and each increment was told a number of its own.

use super::alone;
use crate::harness::app::install_crypto;
use crate::harness::chaos_proxy::{ChaosProxy, Mode};
use crate::harness::redis_server::RedisServer;
use crate::harness::rest_double::{Fault, RestDouble};
use agentapi::base::clock::{Clock, SystemClock};
use agentapi::base::deadline::Deadline;
use agentapi::base::secret::Secret;
use agentapi::base::text::TenantId;
use agentapi::db::transport::RedisTransport;
use agentapi::db::transport::layers::failover::{Pace, Proof};
use agentapi::db::transport::layers::metrics::BackendMetrics;
use agentapi::db::transport::native::{Native, NativeSettings, TlsFiles};
use agentapi::db::transport::rest::{MAX_REPLY_BYTES, Rest, RestSettings, RestUrl};
use agentapi::db::transport::stack::{self, Ground, TwoWays};
use agentapi::db::{
    BackendClock, Batch, Command, Database, Delivery, Effect, Family, Key, Outage, Partition, Reply, Script,
};
use futures_util::future::join_all;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const INCREMENTS: usize = 100_000;
const CALLERS: usize = 64;
/// How long one attempt and one call may take. An operation is known for a minute: many calls.
const ATTEMPT: Duration = Duration::from_millis(250);
const CALL: Duration = Duration::from_secs(1);

static COUNT: Script = Script::new("test/count", "return redis.call('INCR', KEYS[1])", Effect::Once);
const COUNTER: Family =
    Family { name: "counter", parts: "", kind: "", routed_by: "", lives: "", holds: "", stays: None };

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn native(port: u16) -> Native {
    let settings = NativeSettings {
        url: Secret::new(format!("redis://127.0.0.1:{port}")),
        tls: TlsFiles::default(),
        max_connections: 4,
        connection_timeout: ATTEMPT,
        patience: ATTEMPT * 9 / 10,
        attempt: ATTEMPT,
    };
    Native::new(settings).expect("a URL")
}

fn rest(double: &RestDouble) -> Rest {
    install_crypto();
    let settings = RestSettings {
        url: RestUrl::parse(&double.url()).expect("a URL"),
        token: Secret::new(double.token().to_owned()),
        connection_timeout: ATTEMPT,
        command_timeout: ATTEMPT,
        max_connections: 4,
        ca_pem: None,
        max_reply_bytes: MAX_REPLY_BYTES,
    };
    Rest::new(&settings).expect("usable settings")
}

/// The whole stack, as the application has it, but for switches that come more often than once in ten seconds.
fn stack(native: Native, rest: Rest) -> TwoWays {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = BackendMetrics::register(&mut Registry::default());
    let ground = Ground { metrics: &metrics, clock: &clock, outage: &Outage::default(), prefix: "chaos" };
    let pace = Pace { failback_after: Duration::from_millis(300), between_switches: Duration::from_millis(500) };
    let ways = stack::both((native, ATTEMPT), (rest, ATTEMPT), pace, ground);
    ways.switch.learn(Proof::Same);
    ways
}

/// Fails the native way in one way after another, with good moments between, until told to end.
async fn flap(proxy: &ChaosProxy, ends: &AtomicBool) -> u64 {
    let mut dice = Dice(1);
    let mut faults = 0;
    while !ends.load(SeqCst) {
        tokio::time::sleep(Duration::from_millis(20 + dice.below(150))).await;
        faults += 1;
        let mode = match dice.below(9) {
            0 => Mode::Refuse,
            1 => Mode::HangUp,
            2 => Mode::BlackHole,
            3 => Mode::Delay(Duration::from_millis(5)),
            4 => Mode::Drip(Duration::from_millis(1)),
            5 => Mode::Truncate,
            6 => Mode::Hold,
            7 => {
                proxy.black_hole_existing();
                continue;
            }
            _ => {
                proxy.reset();
                continue;
            }
        };
        proxy.set(mode);
        // Often with the connections that there are gone: the new ones feel it most.
        if dice.below(2) == 0 {
            proxy.reset();
        }
        tokio::time::sleep(Duration::from_millis(20 + dice.below(400))).await;
        proxy.set(Mode::Pass);
    }
    faults
}

/// Fails a part of what goes over REST, and all of it at times.
fn flap_rest(double: &RestDouble, faults: &Arc<AtomicU64>) {
    let (faults, begun) = (faults.clone(), Instant::now());
    double.inject(move |number, _| {
        let mut dice = Dice(number);
        let is_down = begun.elapsed().as_millis() % 1500 < 300;
        let fault = match dice.below(if is_down { 6 } else { 60 }) {
            0 => Fault::HangUpBefore,
            1 => Fault::HangUpAfter,
            2 => Fault::answer(503, "down"),
            3 => Fault::DelayAfter(ATTEMPT * 2),
            4 => Fault::DelayBefore(ATTEMPT * 2),
            5 => Fault::Truncated,
            _ => return None,
        };
        faults.fetch_add(1, SeqCst);
        Some(fault)
    });
}

/// What callers met.
#[derive(Default)]
struct Tally {
    not_sent: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
}

/// Increments until it is acknowledged, and tells the number that this increment made.
async fn increment(transport: &dyn RedisTransport, key: &Key, tally: &Tally) -> i64 {
    let command = Command::script(&COUNT, &[key]);
    loop {
        let batch = Batch::one(command.clone()).by(Deadline::after(Instant::now(), CALL));
        match transport.execute(&batch).await {
            Ok(mut replies) => match replies.pop().expect("one answer") {
                Reply::Int(number) => return number,
                Reply::Refused(refusal) if refusal.is_transient() => tally.refused.fetch_add(1, SeqCst),
                other => panic!("{other:?}"),
            },
            Err(error) if error.delivery == Delivery::NotSent => tally.not_sent.fetch_add(1, SeqCst),
            Err(error) => {
                assert_eq!(error.delivery, Delivery::Unknown, "{error:?}");
                tally.unknown.fetch_add(1, SeqCst)
            }
        };
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_increments_are_exact_while_both_ways_come_and_go() {
    let _alone = alone().await;
    let (server, begun) = (RedisServer::start(), Instant::now());
    let proxy = Arc::new(ChaosProxy::before(server.port()));
    let double = RestDouble::start(server.port(), "token");
    let TwoWays { transport, switch, .. } = stack(native(proxy.port()), rest(&double));
    let database = Database::new(transport.clone(), "chaos", BackendClock::new(Arc::new(SystemClock)));
    let key = database.tenant(&TenantId::parse("acme").expect("an id")).key(Partition::FIRST, &COUNTER, &[]);

    let (ends, rest_faults) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    flap_rest(&double, &rest_faults);
    let flapping = tokio::spawn({
        let (proxy, ends) = (proxy.clone(), ends.clone());
        async move { flap(&proxy, &ends).await }
    });
    let tally = Arc::new(Tally::default());
    let callers = (0..CALLERS).map(|caller| {
        let (transport, key, tally) = (transport.clone(), key.clone(), tally.clone());
        tokio::spawn(async move {
            let mut told = Vec::new();
            for _ in (caller..INCREMENTS).step_by(CALLERS) {
                told.push(increment(&*transport, &key, &tally).await);
            }
            told
        })
    });
    let told = join_all(callers.collect::<Vec<_>>()).await;
    let mut told: Vec<i64> = told.into_iter().flat_map(|told| told.expect("no caller panicked")).collect();
    ends.store(true, SeqCst);
    let native_faults = flapping.await.expect("the flapping ends");
    double.heal();

    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it is up");
    let name = "chaos:{acme:00}:counter";
    let counted: usize = redis::cmd("GET").arg(name).query_async(&mut connection).await.expect("a number");
    let counts = proxy.counts();
    println!(
        "{INCREMENTS} increments: the counter says {counted}; {:?}, {} switches, {native_faults} native faults ({} \
         resets, {} bytes swallowed, {} held, {} answers cut short), {} REST faults in {} requests; asked again after {} unsent, \
         {} of unknown fate, {} refused",
        begun.elapsed(),
        switch.switches(),
        counts.resets.load(SeqCst),
        counts.swallowed.load(SeqCst),
        counts.held.load(SeqCst),
        counts.truncated.load(SeqCst),
        rest_faults.load(SeqCst),
        double.requests(),
        tally.not_sent.load(SeqCst),
        tally.unknown.load(SeqCst),
        tally.refused.load(SeqCst),
    );
    assert_eq!(counted, INCREMENTS);
    told.sort_unstable();
    assert!(told.into_iter().eq(1..=INCREMENTS as i64), "each was told a number of its own");
    assert!(native_faults > 10 && counts.resets.load(SeqCst) > 0 && counts.swallowed.load(SeqCst) > 0);
    assert!(tally.unknown.load(SeqCst) > 0, "something was left unknown");
    assert!(rest_faults.load(SeqCst) > 0 && switch.switches() > 1, "both ways were taken, and both failed");
}

#[tokio::test]
async fn a_first_attempt_that_arrives_after_the_second_does_not_act_again() {
    let server = RedisServer::start();
    let proxy = ChaosProxy::before(server.port());
    let double = RestDouble::start(server.port(), "token");
    let ways = stack(native(proxy.port()), rest(&double));
    let database = Database::new(ways.transport.clone(), "chaos", BackendClock::new(Arc::new(SystemClock)));
    let key = database.tenant(&TenantId::parse("acme").expect("an id")).key(Partition::FIRST, &COUNTER, &[]);
    let batch = |command: &Command| Batch::one(command.clone()).by(Deadline::after(Instant::now(), CALL));
    let warm = ways.native.transport.execute(&batch(&Command::script(&COUNT, &[&key]))).await;
    assert_eq!(warm, Ok(vec![Reply::Int(1)]), "the connection is there, and the script known");

    proxy.set(Mode::Hold);
    let command = Command::script(&COUNT, &[&key]);
    let first = ways.native.transport.execute(&batch(&command)).await.expect_err("it is held back");
    assert_eq!(first.delivery, Delivery::Unknown);
    let second = ways.rest.transport.execute(&batch(&command)).await;
    assert_eq!(second, Ok(vec![Reply::Int(2)]));
    assert!(proxy.counts().held.load(SeqCst) > 0);
    proxy.set(Mode::Pass);
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it is up");
    let released = Instant::now();
    loop {
        // The late one has run when it has found its operation: nothing else here reads a key that is there.
        let stats: String = redis::cmd("INFO").arg("stats").query_async(&mut connection).await.expect("statistics");
        if stats.contains("keyspace_hits:1\r") {
            break;
        }
        assert!(released.elapsed() < Duration::from_secs(10), "{stats}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let counted: i64 = redis::cmd("GET").arg("chaos:{acme:00}:counter").query_async(&mut connection).await.expect("it");
    assert_eq!(counted, 2);
}
