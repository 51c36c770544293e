//! What outlives a request: counters, and the partitions whose indexes this process will clear.
//!
//! The indexes have no expiry, because Redis evicts what has one first, and must not evict what names sessions that it
//! still has. So they are cleared: of what has ended, in every partition that this process has written to, until
//! nothing is left there. Where every process that knew a partition has gone, what remains is cleared after
//! the next write there. Until then no list shows it, and it costs nothing but its memory.

use super::counts::{Became, SessionCounts};
use super::{keys, scripts};
use crate::base::text::TenantId;
use crate::db::{self, Command, Delivery, Key, Partition, Reply, TenantDb};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many tenants are remembered.
const TENANTS: usize = 16_384;

/// How many ended sessions one script clears at most.
const PER_SCRIPT: usize = 500;

/// How many partitions one round trip is about: with names of common lengths, less than a megabyte.
const PER_TRIP: usize = 16;

/// How often one sweep asks a partition that has ever more; what is left then waits for the next sweep.
const ROUNDS: usize = 200;

/// The partitions of a tenant that have something to clear, each with the moment before which there is nothing, in
/// milliseconds.
type Due = BTreeMap<Partition, u64>;

/// Shared by all session stores of a process.
#[derive(Default)]
pub struct Upkeep {
    counts: Arc<SessionCounts>,
    written: Mutex<HashMap<TenantId, (TenantDb, Due)>>,
}

impl Upkeep {
    /// What became of sessions.
    pub fn counts(&self) -> &Arc<SessionCounts> {
        &self.counts
    }

    /// How many times a stored session could not be read.
    pub fn unreadable(&self) -> u64 {
        self.counts.of(Became::Unreadable)
    }

    pub(super) fn count_unreadable(&self) {
        self.counts.count(Became::Unreadable, 1);
        tracing::warn!("a stored session cannot be read; it is treated as absent");
    }

    /// Notes that something in a partition will have to be cleared.
    pub(super) fn wrote(&self, db: &TenantDb, partition: Partition) {
        self.expect(db, partition, 0);
    }

    fn expect(&self, db: &TenantDb, partition: Partition, from: u64) {
        let mut written = self.written.lock();
        if let Some((_, due)) = written.get_mut(db.tenant()) {
            due.entry(partition).and_modify(|known| *known = from.min(*known)).or_insert(from);
        } else if written.len() < TENANTS {
            written.insert(db.tenant().clone(), (db.clone(), Due::from([(partition, from)])));
        }
    }

    /// Clears ended sessions from the indexes: how many. Two round trips per tenant and 16 partitions in which some
    /// have ended, more where there is much to clear. What fails is left to the next sweep.
    pub async fn sweep(&self) -> Result<u64, db::Error> {
        let tenants: Vec<TenantDb> = self.written.lock().values().map(|(db, _)| db.clone()).collect();
        let (mut cleared, mut failed) = (0, Ok::<(), db::Error>(()));
        for db in tenants {
            let due = self.take_due(&db);
            for some in due.chunks(PER_TRIP) {
                // A damaged index is no reason to leave the others, a backend that does not answer is one.
                let swept = match &failed {
                    Err(error) if error.delivery != Delivery::Answered => Err(error.clone()),
                    _ => self.sweep_partitions(&db, some.to_vec()).await,
                };
                match swept {
                    Ok(count) => cleared += count,
                    Err(error) => {
                        some.iter().for_each(|partition| self.wrote(&db, *partition));
                        failed = Err(error);
                    }
                }
            }
        }
        failed.map(|()| cleared)
    }

    /// Takes out the partitions of a tenant in which something may have ended.
    fn take_due(&self, db: &TenantDb) -> Vec<Partition> {
        let now = db.now().as_millis();
        let mut written = self.written.lock();
        let Some((_, due)) = written.get_mut(db.tenant()) else { return Vec::new() };
        let taken: Vec<_> = due.iter().filter(|(_, from)| **from <= now).map(|(partition, _)| *partition).collect();
        due.retain(|_, from| *from > now);
        if due.is_empty() {
            written.remove(db.tenant());
        }
        taken
    }

    async fn sweep_partitions(&self, db: &TenantDb, mut due: Vec<Partition>) -> Result<u64, db::Error> {
        let mut cleared = 0;
        for _ in 0..ROUNDS {
            let now = db.now().as_millis();
            let ask = |partition: &Partition| {
                let expiries = keys::expiries(db, *partition);
                [Command::zrange_scored_to(&expiries, now, PER_SCRIPT), Command::zrange_next_scored(&expiries, now)]
            };
            let mut replies = db.pipeline(due.iter().flat_map(ask).collect()).await?.into_iter();
            let mut found = Vec::new();
            for partition in due {
                let (ended, next) = (replies.next().map(Reply::array), replies.next().map(Reply::array));
                let ended = ended.transpose()?.unwrap_or_default();
                let ended = ended.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
                if let Some(next) = next.transpose()?.unwrap_or_default().pop() {
                    // Where the backend writes the moment in another way, it is asked again next time.
                    self.expect(db, partition, next.count().unwrap_or(0));
                }
                if !ended.is_empty() {
                    found.push((partition, ended));
                }
            }
            let clear = |(partition, ended): &(Partition, Vec<String>)| clear_command(db, *partition, ended);
            let replies = db.pipeline(found.iter().map(clear).collect()).await?;
            due = Vec::new();
            for ((partition, ended), reply) in found.into_iter().zip(replies) {
                let count = reply.count()?;
                cleared += count;
                // What is noted of partitions is cleared with them.
                let sessions = ended.iter().filter(|member| !member.starts_with('p')).count() as u64;
                self.counts.count(Became::Expired, count.min(sessions));
                if count > 0 && ended.len() == PER_SCRIPT {
                    due.push(partition);
                } else if count < ended.len() as u64 {
                    // Used meanwhile, or ended by our clock alone: there is something left.
                    self.wrote(db, partition);
                }
            }
            if due.is_empty() {
                return Ok(cleared);
            }
        }
        for partition in due {
            self.wrote(db, partition);
        }
        Ok(cleared)
    }
}

/// Clears these members of a partition's `session-expiries` from there and from where else they stand.
fn clear_command(db: &TenantDb, at: Partition, ended: &[String]) -> Command {
    let mut keys = vec![keys::all(db, at), keys::expiries(db, at)];
    let mut places: HashMap<(bool, &str), usize> = HashMap::new();
    let mut args = Vec::with_capacity(ended.len());
    for member in ended {
        // A session, and then its user; or `p`, a partition, and the user who may have sessions there.
        let noted = member.starts_with('p');
        let user = member.get(if noted { 3 } else { 59 }..).unwrap_or_default();
        let place = *places.entry((noted, user)).or_insert_with(|| {
            keys.push(if noted { keys::partitions(db, user) } else { keys::user_sessions(db, at, user) });
            keys.len()
        });
        args.push((place, member.clone()));
    }
    let keys: Vec<&Key> = keys.iter().collect();
    args.into_iter().fold(Command::script(&scripts::SWEEP, &keys), |command, (place, member)| {
        command.number(place as i128).arg(member)
    })
}
