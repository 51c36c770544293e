//! Two ways to one database, the native protocol and REST: batches take the one in use, and while that is
//! shut the other.
//!
//! What was not sent goes to the other at once, whatever it does. What may have run is not for this layer to
//! repeat: `Retry`, above, judges that. There is no failover until it is proved that both lead to the same
//! database, and never more than one switch in ten seconds: two ways that both come and go must not make
//! the traffic swing between them.

use crate::base::clock::{Clock, Timestamp};
use crate::db::Outage;
use crate::db::command::Batch;
use crate::db::error::Delivery;
use crate::db::transport::door::Door;
use crate::db::transport::{Execution, RedisTransport};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// When to switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long the native way must have been found good before it is taken again.
    pub failback_after: Duration,
    /// The least time between two switches.
    pub between_switches: Duration,
}

impl Pace {
    /// One switch in ten seconds.
    pub fn new(failback_after: Duration) -> Self {
        Pace { failback_after, between_switches: Duration::from_secs(10) }
    }
}

/// What is known of whether both ways lead to the same database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing yet.
    None,
    /// They do.
    Same,
    /// They do not.
    Different,
}

/// Decides which of two doors is in use.
pub struct Switch {
    native: Arc<Door>,
    rest: Arc<Door>,
    pace: Pace,
    clock: Arc<dyn Clock>,
    outage: Outage,
    to: [Counter; 2],
    is_on_rest: AtomicBool,
    proof: watch::Sender<Proof>,
    last: Mutex<Option<(Instant, Timestamp)>>,
}

impl Switch {
    /// Both doors, the native one in use. `outage` is on while neither can be taken; `to` counts the switches
    /// to the native way and to REST.
    pub fn new(doors: [Arc<Door>; 2], pace: Pace, clock: Arc<dyn Clock>, outage: Outage, to: [Counter; 2]) -> Self {
        let [native, rest] = doors;
        let proof = watch::Sender::new(Proof::None);
        Switch {
            native,
            rest,
            pace,
            clock,
            outage,
            to,
            is_on_rest: AtomicBool::new(false),
            proof,
            last: Mutex::default(),
        }
    }

    /// Whether REST is in use.
    pub fn is_on_rest(&self) -> bool {
        self.is_on_rest.load(Ordering::Acquire)
    }

    /// The door in use.
    pub fn in_use(&self) -> &Arc<Door> {
        if self.is_on_rest() { &self.rest } else { &self.native }
    }

    /// When the last switch was.
    pub fn last_switch(&self) -> Option<Timestamp> {
        self.last.lock().map(|(_, at)| at)
    }

    /// How often it switched.
    pub fn switches(&self) -> u64 {
        self.to.iter().map(Counter::get).sum()
    }

    /// The pace that it keeps.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// What is known of the two databases.
    pub fn proof(&self) -> Proof {
        *self.proof.borrow()
    }

    /// Learns about the two databases. Says whether that is news.
    pub fn learn(&self, proof: Proof) -> bool {
        self.proof.send_if_modified(|known| std::mem::replace(known, proof) != proof)
    }

    /// Looks at both doors and switches if that is due. Says when to look again even if nothing happens.
    fn steer(&self) -> Option<Instant> {
        let mut last = self.last.lock();
        let now = Instant::now();
        let again = self.due(last.map(|(at, _)| at), now);
        let again = match again {
            Some(due) if due <= now => {
                *last = Some((now, self.clock.now()));
                self.turn();
                self.due(Some(now), now)
            }
            again => again,
        };
        self.outage.set(self.in_use().is_open());
        again
    }

    /// From when on the other door is to be taken, as things are now.
    fn due(&self, last_switch: Option<Instant>, now: Instant) -> Option<Instant> {
        let (here, there) = if self.is_on_rest() { (&self.rest, &self.native) } else { (&self.native, &self.rest) };
        let rested = last_switch.map_or(now, |at| at + self.pace.between_switches);
        let may = !there.is_open() && (self.is_on_rest() || self.proof() == Proof::Same);
        if may && here.is_open() {
            return Some(rested);
        }
        let good_since = there.good_since().filter(|_| may && self.is_on_rest());
        good_since.map(|since| rested.max(since + self.pace.failback_after))
    }

    /// Takes the other door. To be called with `last` locked.
    fn turn(&self) {
        let to_rest = !self.is_on_rest();
        self.is_on_rest.store(to_rest, Ordering::Release);
        self.native.watch(to_rest);
        let [to_native_count, to_rest_count] = &self.to;
        if to_rest {
            to_rest_count.inc();
            tracing::warn!("the native way to the database is shut: requests go over REST");
        } else {
            to_native_count.inc();
            tracing::info!("requests go the native way to the database again");
        }
    }

    /// Steers whenever something happens at a door, for ever.
    async fn keep_steering(self: Arc<Self>) {
        let (mut native, mut rest, mut proof) = (self.native.news(), self.rest.news(), self.proof.subscribe());
        loop {
            let again = self.steer();
            let later = async {
                match again {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // What they tell is looked up; the senders live as long as this.
            tokio::select! {
                _ = native.changed() => {}
                _ = rest.changed() => {}
                _ = proof.changed() => {}
                () = later => {}
            }
        }
    }
}

/// Sends batches the way that is in use.
pub struct Failover {
    native: Arc<dyn RedisTransport>,
    rest: Arc<dyn RedisTransport>,
    switch: Arc<Switch>,
    steering: Option<AbortHandle>,
}

impl Failover {
    /// Over two transports with a breaker each, whose doors `switch` looks at. It steers in the background, on
    /// the runtime in which this is called, which must be kept running.
    pub fn new(native: Arc<dyn RedisTransport>, rest: Arc<dyn RedisTransport>, switch: Arc<Switch>) -> Self {
        let steering = Handle::try_current().ok().map(|home| home.spawn(switch.clone().keep_steering()).abort_handle());
        Failover { native, rest, switch, steering }
    }

    fn way(&self, is_rest: bool) -> &Arc<dyn RedisTransport> {
        if is_rest { &self.rest } else { &self.native }
    }
}

impl Drop for Failover {
    fn drop(&mut self) {
        if let Some(steering) = &self.steering {
            steering.abort();
        }
    }
}

impl RedisTransport for Failover {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        Box::pin(async move {
            let first = self.switch.is_on_rest();
            let outcome = self.way(first).execute(batch).await;
            let Err(error) = &outcome else { return outcome };
            if self.switch.in_use().is_open() {
                self.switch.steer();
            }
            let then = self.switch.is_on_rest();
            if then == first || error.delivery != Delivery::NotSent {
                return outcome;
            }
            self.way(then).execute(batch).await
        })
    }
}
