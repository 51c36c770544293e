//! A network that fails on demand: a TCP proxy in front of one address, on a thread of its own, whose ways
//! are switched while connections are open. It counts what it did, so that a fault test can prove that it
//! injected. Bytes are dropped from a connection only for good: one that lost some never carries any again,
//! for TCP does not do that either.

mod connection;
mod tests;

use connection::{accept, bound};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How bytes and new connections are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As they come.
    Pass,
    /// New connections are refused by the kernel: nobody listens. Those that are open pass.
    Refuse,
    /// New connections are accepted and reset. Those that are open pass.
    HangUp,
    /// New connections are accepted, and whatever is sent over any of them is swallowed.
    BlackHole,
    /// What arrives within this time goes on after it, in each direction.
    Delay(Duration),
    /// The client gets one byte per interval.
    Drip(Duration),
    /// The client gets half of the next answer and is hung up on; then it is [`Mode::Pass`] again.
    Truncate,
    /// What clients send is held back, and goes on when the mode changes, even if the client has left.
    Hold,
}

/// What was done so far.
#[derive(Debug, Default)]
pub struct Counts {
    pub accepted: AtomicU64,
    /// Connections that were closed when the server behind could not be reached.
    pub unreachable: AtomicU64,
    /// Connections that were reset, by [`ChaosProxy::reset`] or [`Mode::HangUp`].
    pub resets: AtomicU64,
    /// Bytes carried.
    pub to_server: AtomicU64,
    pub to_client: AtomicU64,
    /// Bytes swallowed, delayed, dripped and held back.
    pub swallowed: AtomicU64,
    pub delayed: AtomicU64,
    pub dripped: AtomicU64,
    pub held: AtomicU64,
    /// Answers cut short.
    pub truncated: AtomicU64,
}

#[derive(Clone, Copy)]
struct Orders {
    mode: Mode,
    /// Connections are numbered; those below are to be reset, or are black holes.
    reset_below: u64,
    black_below: u64,
    ends: bool,
}

struct Shared {
    server: SocketAddr,
    orders: watch::Sender<Orders>,
    counts: Counts,
    open: Mutex<BTreeSet<u64>>,
    listens: AtomicBool,
}

/// A running proxy; it ends, and its connections with it, when it is dropped.
pub struct ChaosProxy {
    shared: Arc<Shared>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl ChaosProxy {
    /// A proxy on a free loopback port that passes everything on to `127.0.0.1:server`.
    pub fn before(server: u16) -> Self {
        let orders = Orders { mode: Mode::Pass, reset_below: 0, black_below: 0, ends: false };
        let shared = Arc::new(Shared {
            server: (Ipv4Addr::LOCALHOST, server).into(),
            orders: watch::Sender::new(orders),
            counts: Counts::default(),
            open: Mutex::default(),
            listens: AtomicBool::new(false),
        });
        // Bound and never listening, it keeps the port while connections are refused.
        let reserved = bound(0);
        let port = reserved.local_addr().expect("it is bound").as_socket().expect("an IP address").port();
        let runs = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(accept(runs, port));
            drop(reserved);
        });
        let proxy = ChaosProxy { shared, port, thread: Some(thread) };
        proxy.set(Mode::Pass);
        proxy
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it did so far.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.lock().len()
    }

    /// Treats everything like this from now on; whether it listens has changed when this returns.
    pub fn set(&self, mode: Mode) {
        self.shared.orders.send_modify(|orders| orders.mode = mode);
        until(|| self.shared.listens.load(SeqCst) == (mode != Mode::Refuse));
    }

    /// Resets the connections that are open, and says how many; they are gone when this returns.
    pub fn reset(&self) -> u64 {
        let (before, below) = (self.counts().resets.load(SeqCst), self.counts().accepted.load(SeqCst));
        self.shared.orders.send_modify(|orders| orders.reset_below = below);
        until(|| self.shared.open.lock().range(..below).next().is_none());
        self.counts().resets.load(SeqCst) - before
    }

    /// From now on the connections that are open swallow what is sent over them, both ways. New ones do not.
    pub fn black_hole_existing(&self) {
        let below = self.counts().accepted.load(SeqCst);
        self.shared.orders.send_modify(|orders| orders.black_below = below);
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.shared.orders.send_modify(|orders| orders.ends = true);
        let ended = self.thread.take().is_some_and(|thread| thread.join().is_ok());
        assert!(ended || std::thread::panicking(), "the proxy panicked");
    }
}

/// Waits for the proxy's own thread.
fn until(reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the proxy does not answer its owner");
        std::thread::sleep(Duration::from_micros(100));
    }
}
