//! The embedded backend: the commands of [`COMMANDS`](crate::db::COMMANDS) in this process, as Redis 7.0 has
//! them, for a laptop, for tests, and for whoever embeds the library without a server beside it.
//!
//! Keys of one hash tag lie in one table under one lock, so that a script or a transaction, which may
//! touch one tag only, as in Redis Cluster, holds back nobody but its neighbours. Nothing is kept when the
//! process ends.

mod channels;
mod commands;
mod glob;
mod hashes;
mod info;
mod keys;
mod lua;
mod lua_value;
mod number;
mod ranges;
mod refusal;
mod request;
mod scan;
mod sorted_set;
mod sorted_sets;
mod strings;
mod table;

use self::channels::Channels;
use self::refusal::{Answer, CROSS_SLOT, refuse};
use self::request::Request;
use self::table::Table;
use super::{Execution, Messages, RedisTransport, Subscriber, Subscribing};
use crate::base::clock::Clock;
use crate::db::key::tag_of;
use crate::db::reply::Reply;
use crate::db::{Batch, Channel, Delivery, Error, ErrorKind, Refusal};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use parking_lot::{Mutex, MutexGuard};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many tables there are. Two tags that share one wait for each other, which so many make rare.
const STRIPES: usize = 1024;

/// An embedded backend; its time is the clock's.
pub struct Memory {
    clock: Arc<dyn Clock>,
    began: u64,
    first: Mutex<Table>,
    others: Box<[Mutex<Table>]>,
    hasher: RandomState,
    swept: AtomicUsize,
    channels: Arc<Channels>,
}

impl Memory {
    /// An empty backend.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let channels = Arc::new(Channels::default());
        let table = || Mutex::new(Table::publishing_to(&channels));
        Memory {
            began: clock.micros(),
            clock,
            first: table(),
            others: std::iter::repeat_with(table).take(STRIPES - 1).collect(),
            hasher: RandomState::new(),
            swept: AtomicUsize::new(0),
            channels,
        }
    }

    /// Removes up to `most` keys past their time, starting where the last sweep ended: how many it were.
    /// To be called on an interval: an expired key is absent to every command, but keeps its memory until it
    /// is looked at or swept.
    pub fn sweep(&self, most: usize) -> usize {
        let mut removed = 0;
        for _ in 0..STRIPES {
            if removed >= most {
                break;
            }
            let at = self.swept.fetch_add(1, Ordering::Relaxed) % STRIPES;
            removed += self.turn(self.stripe(at)).sweep(most - removed);
        }
        removed
    }

    /// How many keys there are, with those that expired and were not removed yet.
    pub fn len(&self) -> usize {
        (0..STRIPES).map(|at| self.stripe(at).lock().len()).sum()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn run(&self, batch: &Batch) -> Vec<Reply> {
        let requests = batch.commands().iter().map(Request::parse);
        let answers: Vec<Answer> = if batch.is_atomic() {
            self.transaction(&requests.collect::<Vec<_>>())
        } else {
            requests.map(|request| self.one(&request?)).collect()
        };
        answers.into_iter().map(|answer| answer.unwrap_or_else(Reply::Refused)).collect()
    }

    fn one(&self, request: &Request<'_>) -> Answer {
        if let Some(args) = request.scan() {
            return self.scan(&scan::Scan::parse(args)?);
        }
        if let Some(args) = request.info() {
            return Ok(self.info(args));
        }
        let mut tags = request.keys().iter().map(|key| tag_of(key));
        let Some(tag) = tags.next() else { return request.run(&mut self.apart()) };
        if tags.any(|other| other != tag) {
            return refuse(CROSS_SLOT);
        }
        request.run(&mut self.table(tag))
    }

    /// Looks through whole tables, one after the other, until it has seen as many keys as it was asked to: a cursor is
    /// the number of the next table. A key never changes its table, so one that is there all the time is found.
    fn scan(&self, scan: &scan::Scan<'_>) -> Answer {
        let (mut seen, mut found) = (0, Vec::new());
        for at in scan.cursor..STRIPES {
            if seen >= scan.count {
                return Ok(scan::answer(at, found));
            }
            let table = self.turn(self.stripe(at));
            for key in table.keys() {
                seen += 1;
                found.extend(scan.wants(key).then(|| key.clone()));
            }
        }
        Ok(scan::answer(0, found))
    }

    fn info(&self, args: &[Bytes]) -> Reply {
        let (mut keys, mut expires) = (0, 0);
        for at in 0..STRIPES {
            let table = self.stripe(at).lock();
            keys += table.len();
            expires += table.expiring();
        }
        let uptime_seconds = self.clock.micros().saturating_sub(self.began) / 1_000_000;
        info::answer(args, &info::Told { uptime_seconds, keys, expires })
    }

    /// As `MULTI` does, runs nothing if one command cannot even be queued, which then is everybody's answer;
    /// else all, whatever they answer.
    fn transaction(&self, requests: &[Result<Request<'_>, Refusal>]) -> Vec<Answer> {
        let keys = requests.iter().flatten().flat_map(Request::keys);
        let mut tags = keys.map(|key| tag_of(key));
        let tag = tags.next();
        if tags.any(|other| Some(other) != tag) {
            return requests.iter().map(|_| refuse(CROSS_SLOT)).collect();
        }
        if let Some(cause) = requests.iter().find_map(|request| request.as_ref().err()) {
            return requests.iter().map(|_| Err(cause.clone())).collect();
        }
        let run = |table: &mut Table| requests.iter().flatten().map(|request| request.run(table)).collect();
        match tag {
            Some(tag) => run(&mut self.table(tag)),
            None => run(&mut self.apart()),
        }
    }

    /// The locked table of a tag.
    fn table(&self, tag: &[u8]) -> MutexGuard<'_, Table> {
        let hash = self.hasher.hash_one(tag);
        self.turn(self.stripe(usize::try_from(hash % STRIPES as u64).unwrap_or(0)))
    }

    /// A table of its own for what has no key.
    fn apart(&self) -> Table {
        let mut table = Table::publishing_to(&self.channels);
        table.begin_turn(self.clock.micros());
        table
    }

    /// Locks a table, and only then looks at the clock, so that no turn is earlier than the one before.
    fn turn<'a>(&self, stripe: &'a Mutex<Table>) -> MutexGuard<'a, Table> {
        let mut table = stripe.lock();
        table.begin_turn(self.clock.micros());
        table
    }

    fn stripe(&self, at: usize) -> &Mutex<Table> {
        at.checked_sub(1).and_then(|at| self.others.get(at)).unwrap_or(&self.first)
    }
}

impl RedisTransport for Memory {
    fn execute<'a>(&'a self, batch: &'a Batch) -> Execution<'a> {
        // Nothing here waits, so the future is ready at its first poll and holds no lock across one.
        Box::pin(async move { Ok(self.run(batch)) })
    }
}

impl Subscriber for Memory {
    fn subscribe(&self, channel: &Channel) -> Subscribing {
        let (channels, channel) = (self.channels.clone(), channel.clone());
        Box::pin(async move {
            let left_behind = Error::new(ErrorKind::Throttled { retry_after: None }, Delivery::Answered);
            let heard = stream::unfold(channels.listen(channel.as_str()), |mut queue| async move {
                Some((Ok(queue.recv().await?), queue))
            });
            Ok(heard.chain(stream::iter([Err(left_behind)])).boxed() as Messages)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{ManualClock, Timestamp};
    use crate::db::{Command, Effect};
    use std::time::Duration;

    fn memory() -> (Memory, ManualClock) {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        (Memory::new(Arc::new(clock.clone())), clock)
    }

    fn say(memory: &Memory, words: &[&str]) -> Reply {
        let command = Command::raw(Effect::Once, words.iter().map(ToString::to_string));
        memory.run(&Batch::one(command)).pop().unwrap()
    }

    #[test]
    fn the_last_millisecond_of_a_key_is_the_one_of_its_expiry() {
        let (memory, clock) = memory();
        assert_eq!(say(&memory, &["SET", "k", "v", "PX", "10"]).done(), Ok(()));
        clock.advance(Duration::from_millis(10));
        assert_eq!(say(&memory, &["PTTL", "k"]), Reply::Int(0));
        clock.advance(Duration::from_millis(1));
        assert_eq!(say(&memory, &["PTTL", "k"]), Reply::Int(-2));
    }

    #[test]
    fn sweeps_remove_in_turn_every_expired_key_of_every_tag_and_nothing_else() {
        let (memory, clock) = memory();
        for tag in 0..5_000 {
            assert_eq!(say(&memory, &["SET", &format!("{{{tag}}}"), "v", "PX", "10"]).done(), Ok(()));
        }
        assert_eq!(say(&memory, &["SET", "stays", "v"]).done(), Ok(()));
        assert_eq!(memory.sweep(10_000), 0);
        clock.advance(Duration::from_millis(11));
        assert_eq!(memory.len(), 5_001);
        assert_eq!(memory.sweep(1_000), 1_000);
        let mut sweeps = 0;
        while memory.sweep(1_000) > 0 {
            sweeps += 1;
        }
        // The last tables of a sweep may be cut short, and come again a round later.
        assert!((4..=6).contains(&sweeps), "{sweeps}");
        assert_eq!(memory.len(), 1);
    }

    #[test]
    fn a_batch_runs_when_its_future_is_polled_and_not_before() {
        let (memory, _) = memory();
        let batch = Batch::one(Command::raw(Effect::Once, ["SET", "k", "v"]));
        drop(memory.execute(&batch));
        assert!(memory.is_empty());
        fn may_move_between_threads<T: Send>(value: T) -> T {
            value
        }
        let replies = futures_util::FutureExt::now_or_never(may_move_between_threads(memory.execute(&batch)));
        assert_eq!(replies.unwrap().unwrap(), [Reply::Status("OK".into())]);
    }
}
