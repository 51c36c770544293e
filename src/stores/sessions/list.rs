//! Lists, newest first. The tenant's sessions lie in 256 partitions, each in order: they are fetched a few at
//! a time from all at once and merged, and nothing is given out that an unseen one might still precede.

use super::id::SessionRef;
use super::keys;
use super::record::{Named, Record, SUMMARY};
use super::revoke::fingerprint_of;
use super::store::Sessions;
use super::types::{Cursor, Error, Page, Session};
use crate::base::text::Name;
use crate::db::{Command, Partition, Reply};
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// How many times a page looks for further sessions in place of those that turned out to have ended.
const ROUNDS: usize = 4;

/// The newest sessions of all partitions, as far as they have been fetched.
struct Merge<'a> {
    sessions: &'a Sessions,
    /// What has been fetched and not given out.
    heads: BinaryHeap<(String, Partition)>,
    /// How many of each partition that are.
    waiting: HashMap<Partition, usize>,
    /// Where each partition that may have more goes on.
    unread: HashMap<Partition, Option<String>>,
    chunk: usize,
    largest: usize,
}

impl<'a> Merge<'a> {
    fn new(sessions: &'a Sessions, before: Option<&Cursor>, limit: usize) -> Merge<'a> {
        let before = before.map(|cursor| cursor.as_str().to_owned());
        let unread = Partition::all().map(|partition| (partition, before.clone())).collect();
        // What an even spread hardly ever exceeds; a partition that has more is asked again for more.
        let largest = limit.max(1);
        let chunk = (limit / 64 + 6).min(largest);
        Merge { sessions, heads: BinaryHeap::new(), waiting: HashMap::new(), unread, chunk, largest }
    }

    /// The next session of all, or nothing at the end.
    async fn next(&mut self) -> Result<Option<(String, Partition)>, Error> {
        let dry: Vec<_> = self
            .unread
            .keys()
            .filter(|partition| self.waiting.get(partition).is_none_or(|waiting| *waiting == 0))
            .copied()
            .collect();
        if !dry.is_empty() {
            self.fetch(dry).await?;
        }
        let Some((member, partition)) = self.heads.pop() else { return Ok(None) };
        if let Some(waiting) = self.waiting.get_mut(&partition) {
            *waiting -= 1;
        }
        Ok(Some((member, partition)))
    }

    async fn fetch(&mut self, dry: Vec<Partition>) -> Result<(), Error> {
        let db = &self.sessions.db;
        let command = |partition: &Partition| {
            let below = self.unread.get(partition).and_then(Option::as_deref);
            Command::zrange_below(&keys::all(db, *partition), below, self.chunk)
        };
        let replies = db.pipeline(dry.iter().map(command).collect()).await?;
        for (partition, reply) in dry.into_iter().zip(replies) {
            let members = reply.array()?.into_iter().map(Reply::text).collect::<Result<Vec<_>, _>>()?;
            if members.len() < self.chunk {
                self.unread.remove(&partition);
            } else {
                self.unread.insert(partition, members.last().cloned());
            }
            self.waiting.insert(partition, members.len());
            self.heads.extend(members.into_iter().map(|member| (member, partition)));
        }
        self.chunk = (self.chunk * 4).min(self.largest);
        Ok(())
    }

    fn may_go_on(&self) -> bool {
        !self.heads.is_empty() || !self.unread.is_empty()
    }
}

impl Sessions {
    /// The tenant's sessions, newest first, from after a cursor.
    pub async fn list(&self, before: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        let mut merge = Merge::new(self, before, limit);
        let mut items = Vec::with_capacity(limit.min(1000));
        let mut last = None;
        for _ in 0..ROUNDS {
            let mut members = Vec::new();
            while items.len() + members.len() < limit {
                let Some(member) = merge.next().await? else { break };
                members.push(member);
            }
            if members.is_empty() {
                break;
            }
            last = members.last().map(|(member, _)| Cursor(member.clone()));
            items.extend(self.summaries(members).await?);
        }
        Ok(Page { items, next: last.filter(|_| merge.may_go_on()) })
    }

    /// The sessions of a user, newest first, from after a cursor.
    pub async fn list_user(&self, user: &Name, before: Option<&Cursor>, limit: usize) -> Result<Page, Error> {
        let mut members = self.members_of(user, self.db.now().as_millis()).await?;
        members.retain(|(_, member)| before.is_none_or(|before| member.as_str() < before.as_str()));
        members.sort_unstable_by(|(_, a), (_, b)| b.cmp(a));
        let mut unread = members.into_iter().map(|(partition, member)| (member, partition)).peekable();
        let mut items = Vec::with_capacity(limit.min(1000));
        let mut last = None;
        while items.len() < limit && unread.peek().is_some() {
            let members: Vec<_> = unread.by_ref().take(limit - items.len()).collect();
            last = members.last().map(|(member, _)| Cursor(member.clone()));
            items.extend(self.summaries(members).await?.into_iter().filter(|session| session.user_id == *user));
        }
        Ok(Page { items, next: last.filter(|_| unread.peek().is_some()) })
    }

    /// Those of the sessions that live, in order.
    async fn summaries(&self, members: Vec<(String, Partition)>) -> Result<Vec<Session>, Error> {
        let command =
            |(member, partition): &(String, Partition)| Command::hmget(&self.session_key(*partition, member), SUMMARY);
        let replies = self.db.pipeline(members.iter().map(command).collect()).await?;
        let now = self.db.now();
        let mut sessions = Vec::with_capacity(members.len());
        for ((member, partition), reply) in members.into_iter().zip(replies) {
            let Some(record) = self.readable(Record::summary(reply)?) else { continue };
            let fingerprint = fingerprint_of(&member);
            // The indexes may still name a damaged session that was replaced under the same id.
            if record.times.live(now) && record.times.member(fingerprint) == member {
                let reference = SessionRef { partition, fingerprint: fingerprint.to_owned() };
                sessions.push(record.session(Named::Ref(reference), now));
            }
        }
        Ok(sessions)
    }

    /// The partitions in which a user may have sessions.
    pub(super) async fn partitions_of(&self, user: &Name) -> Result<BTreeSet<Partition>, Error> {
        let noted = self.db.run(Command::zrange_scored_above(&keys::partitions(&self.db, user.as_str()), 0)).await?;
        let mut partitions = BTreeSet::from([Partition::of(user.as_str())]);
        for digits in noted.array()? {
            partitions.extend(Partition::parse(&digits.text()?));
        }
        Ok(partitions)
    }

    /// What the indexes of a user's sessions hold that ends after `moment`, in milliseconds.
    pub(super) async fn members_of(&self, user: &Name, moment: u64) -> Result<Vec<(Partition, String)>, Error> {
        let partitions = self.partitions_of(user).await?;
        self.members_in(user, &partitions, moment).await
    }

    /// The same of these partitions alone.
    pub(super) async fn members_in(
        &self,
        user: &Name,
        partitions: &BTreeSet<Partition>,
        moment: u64,
    ) -> Result<Vec<(Partition, String)>, Error> {
        let command = |partition: &Partition| {
            Command::zrange_scored_above(&keys::user_sessions(&self.db, *partition, user.as_str()), moment)
        };
        let replies = self.db.pipeline(partitions.iter().map(command).collect()).await?;
        let mut members = Vec::new();
        for (partition, reply) in partitions.iter().zip(replies) {
            for member in reply.array()? {
                members.push((*partition, member.text()?));
            }
        }
        Ok(members)
    }
}
