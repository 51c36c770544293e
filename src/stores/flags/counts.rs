//! How often flags gave their variants: counted where they are evaluated, without a lock, and added to the backend now
//! and then, a tenant at a time.
//!
//! What was counted since the last time is lost when a process dies. What is counted is bounded by the flags that there
//! are: a key that names none is not counted.

use super::keys;
use super::rules::{Ruleset, Variant};
use super::scripts;
use crate::base::clock::Timestamp;
use crate::base::text::{Name, TenantId};
use crate::db::{Command, Database, Error, TenantDb};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long the counts of a day are kept after its begin: the longest period that can be asked for, and a few days more.
const KEPT: Duration = Duration::from_secs(36 * 86_400);
/// The most days that can be asked for.
pub const MOST_DAYS: u64 = 31;
/// How many flags one script counts.
const PER_SCRIPT: usize = 200;

/// All but letters and digits, so that no name looks like one of the marks.
const PLAIN: &AsciiSet = NON_ALPHANUMERIC;
/// Where the code's default was to be used.
const NONE: &str = "-";
/// Where the evaluation failed.
const FAILED: &str = "!";

/// The counts of one version of a tenant's flags.
pub struct Counts {
    flags: Vec<Counted>,
}

struct Counted {
    key: String,
    /// Of each variant by its index, then of none, then of failures.
    given: Vec<(String, AtomicU64)>,
}

impl Counts {
    pub(super) fn of(rules: &Ruleset) -> Counts {
        let marks = [NONE, FAILED].map(str::to_owned);
        let counted = rules.flags().map(|flag| {
            let names = flag.variants().iter().map(|variant| utf8_percent_encode(variant.name(), PLAIN).to_string());
            let given = names.chain(marks.iter().cloned()).map(|name| (name, AtomicU64::new(0))).collect();
            Counted { key: flag.key().to_owned(), given }
        });
        Counts { flags: counted.collect() }
    }

    /// The flag of this index gave a variant, or none.
    pub(super) fn given(&self, flag: usize, variant: Option<&Variant>) {
        self.count(flag, |given| variant.map_or(given.len().saturating_sub(2), Variant::index));
    }

    /// The evaluation of the flag of this index failed.
    pub(super) fn failed(&self, flag: usize) {
        self.count(flag, |given| given.len().saturating_sub(1));
    }

    fn count(&self, flag: usize, place: impl FnOnce(&[(String, AtomicU64)]) -> usize) {
        let count = self.flags.get(flag).and_then(|flag| flag.given.get(place(&flag.given)));
        if let Some((_, count)) = count {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Forgets what was given to nobody; whether anything is left.
    fn keep_counted(&mut self) -> bool {
        for flag in &mut self.flags {
            flag.given.retain(|(_, count)| count.load(Relaxed) > 0);
            flag.given.shrink_to_fit();
        }
        self.flags.retain(|flag| !flag.given.is_empty());
        self.flags.shrink_to_fit();
        !self.flags.is_empty()
    }

    /// What was counted since it was taken last, as the script takes it.
    fn take(&self) -> Vec<(String, String)> {
        let taken = self.flags.iter().map(|flag| {
            let counts = flag.given.iter().map(|(name, count)| (name, count.swap(0, Relaxed)));
            let counts: Vec<String> =
                counts.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
            (flag.key.clone(), counts.join(" "))
        });
        taken.filter(|(_, counts)| !counts.is_empty()).collect()
    }
}

/// How often counts are held that no one evaluates any more, while they are added to the backend.
const HELD_HERE: usize = 2;

/// All counts of a process that may not have reached the backend.
pub struct Pending {
    database: Database,
    counts: Mutex<Vec<(TenantId, Arc<Counts>)>>,
}

impl Pending {
    pub(super) fn new(database: Database) -> Pending {
        Pending { database, counts: Mutex::default() }
    }

    pub(super) fn follow(&self, tenant: &TenantId, counts: &Arc<Counts>) {
        let mut pending = self.counts.lock();
        // Between two flushes there may be many versions. Of those that no one evaluates any more, what was counted stays.
        pending.retain_mut(|(_, counts)| Arc::get_mut(counts).is_none_or(Counts::keep_counted));
        pending.push((tenant.clone(), counts.clone()));
    }

    /// Forgets what was counted of a tenant that has no flags, and gave up whatever it had.
    pub(super) fn drop_of(&self, tenant: &TenantId) {
        self.counts.lock().retain(|(of, _)| of != tenant);
    }

    /// Of how many versions there are counts.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.counts.lock().len()
    }

    /// Adds what was counted to the backend, of one tenant or of all. What cannot be added, and counts as failed, is lost:
    /// to add it again, although the answer was only not heard, would count it twice.
    pub(super) async fn flush(&self, only: Option<&TenantId>) -> Result<(), Error> {
        let pending = self.counts.lock().clone();
        let (mut outcome, mut over) = (Ok(()), Vec::new());
        for (tenant, counts) in pending.iter().filter(|(tenant, _)| only.is_none_or(|only| only == tenant)) {
            // Seen before it is taken: what somebody evaluates meanwhile, and gives up then, is taken the next time.
            if Arc::strong_count(counts) == HELD_HERE {
                over.push(counts);
            }
            let db = self.database.tenant(tenant);
            for part in counts.take().chunks(PER_SCRIPT) {
                let added = add(&db, part).await;
                outcome = outcome.and(added);
            }
        }
        self.counts.lock().retain(|(_, counts)| !over.iter().any(|over| Arc::ptr_eq(over, counts)));
        outcome
    }
}

async fn add(db: &TenantDb, counts: &[(String, String)]) -> Result<(), Error> {
    let now = db.now();
    let day = day(now);
    let keys = [keys::flagset(db), keys::evaluations(db, &day)];
    let ends = (now + KEPT).as_millis();
    let mut command = Command::script(&scripts::COUNT, &keys.each_ref()).number(ends);
    for (flag, given) in counts {
        command = command.arg(flag.clone()).arg(given.clone());
    }
    db.run(command).await?.int().map(drop)
}

/// The day of a moment, in UTC: `2026-01-31`.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// What a flag gave on a day: by variant, by none (`None`), and how often it failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// The day, in UTC: `2026-01-31`.
    pub date: String,
    /// By the variant's name.
    pub variants: BTreeMap<String, u64>,
    /// Where the code's default was to be used.
    pub deferred: u64,
    /// Where the evaluation failed.
    pub failed: u64,
}

/// What a flag gave on each of the last `days` days, today included, the latest first.
pub(super) async fn read(db: &TenantDb, key: &Name, days: u64) -> Result<Vec<Day>, Error> {
    let dates: Vec<String> =
        (0..days).map(|back| day(db.now().shifted(-i64::try_from(back * 86_400_000).unwrap_or(0)))).collect();
    let reads = dates.iter().map(|date| Command::hget(&keys::evaluations(db, date), key.as_str())).collect();
    let replies = db.pipeline(reads).await?;
    dates
        .into_iter()
        .zip(replies)
        .map(|(date, reply)| {
            let stored = reply.optional_bytes()?.unwrap_or_default();
            let text = std::str::from_utf8(&stored).map_err(|_| Error::unexpected("counts of a flag"))?;
            parsed(date, text).ok_or(Error::unexpected("counts of a flag"))
        })
        .collect()
}

fn parsed(date: String, text: &str) -> Option<Day> {
    let mut day = Day { date, ..Day::default() };
    let mut words = text.split_ascii_whitespace();
    while let Some(variant) = words.next() {
        let count = words.next()?.parse().ok()?;
        match variant {
            NONE => day.deferred = count,
            FAILED => day.failed = count,
            name => {
                day.variants.insert(percent_decode_str(name).decode_utf8().ok()?.into_owned(), count);
            }
        }
    }
    Some(day)
}
