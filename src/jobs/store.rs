//! Jobs in the backend: starting and looking at them is for everybody, the rest for runners.

use super::counts::Counts;
use super::keys;
use super::record::{self, FIELDS, Record};
use super::scripts::{FINISH, FORGET, SAVE, START, TAKE};
use super::types::{Job, JobId, JobState};
use super::work::Step;
use crate::base::clock::Timestamp;
use crate::base::deadline::Deadline;
use crate::base::duration;
use crate::base::text::TenantId;
use crate::db::{Command, Error, Reply, SystemDb};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How many finished jobs are kept.
const KEPT: u64 = 1000;
/// How many of those beyond them are forgotten at a time.
const FORGOTTEN: u64 = 100;

/// All jobs. Cheap to clone; the runner of this process hears of what any clone starts.
#[derive(Clone)]
pub struct Jobs {
    db: SystemDb,
    started: Arc<Notify>,
    pub(super) counts: Counts,
}

/// Some of a list of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobList {
    /// The jobs, newest first.
    pub items: Vec<Job>,
    /// The id below which the list goes on; nothing at its end.
    pub next: Option<JobId>,
}

impl Jobs {
    /// Jobs over the server's own data.
    pub fn new(db: SystemDb) -> Jobs {
        Jobs { db, started: Arc::default(), counts: Counts::default() }
    }

    /// The same, for somebody who waits until then.
    pub fn by(&self, deadline: Deadline) -> Jobs {
        Jobs { db: self.db.by(deadline), ..self.clone() }
    }

    /// Registers what is counted of them.
    pub fn register(&self, registry: &mut Registry) {
        self.counts.register(registry);
    }

    /// Starts a job, or answers the one of this kind and tenant that is not finished yet: starting twice is one job.
    pub async fn start(&self, kind: &'static str, tenant: Option<&TenantId>) -> Result<Job, Error> {
        let id = JobId::new(self.db.now());
        let keys = [
            keys::current_key(&self.db, kind, tenant),
            keys::job(&self.db, &id),
            keys::jobs(&self.db),
            keys::unfinished(&self.db),
        ];
        let script = Command::script(&START, &keys.each_ref())
            .arg(id.as_str().to_owned())
            .arg(kind)
            .arg(tenant.map_or_else(String::new, TenantId::to_string));
        let started = parse(&self.db.run(script).await?.text()?)?;
        if started == id {
            self.counts.started.inc();
        }
        let id = started;
        let job = self.read(&id).await?.ok_or(Error::unexpected("a job that was just started"))?;
        self.started.notify_one();
        Ok(job)
    }

    /// The job of this kind and tenant that is not finished, if there is one.
    pub async fn current(&self, kind: &'static str, tenant: Option<&TenantId>) -> Result<Option<Job>, Error> {
        let read = Command::get(&keys::current_key(&self.db, kind, tenant));
        match self.db.run(read).await?.optional_bytes()? {
            Some(id) => self.read(&parse(&String::from_utf8_lossy(&id))?).await,
            None => Ok(None),
        }
    }

    /// A job by its id.
    pub async fn read(&self, id: &JobId) -> Result<Option<Job>, Error> {
        let read = Command::hmget(&keys::job(&self.db, id), &FIELDS);
        Ok(record::read(id.clone(), self.db.run(read).await?)?.map(|record| record.job))
    }

    /// At most `limit` jobs, newest first, from below the id `after`.
    pub async fn list(&self, after: Option<&JobId>, limit: usize) -> Result<JobList, Error> {
        let list = Command::zrange_below(&keys::jobs(&self.db), after.map(JobId::as_str), limit + 1);
        let mut ids = self.ids(list).await?;
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = ids.last().filter(|_| more).cloned();
        let items = self.records(ids).await?.into_iter().map(|record| record.map(|record| record.job));
        Ok(JobList { items: items.collect::<Result<_, _>>()?, next })
    }

    /// Waits until this process starts a job; returns at once if it has since the last time.
    pub(super) async fn started(&self) {
        self.started.notified().await;
    }

    /// The oldest `limit` jobs that are not finished. One that cannot be read is left out, with a warning: the others can
    /// be done.
    pub(super) async fn unfinished(&self, limit: usize) -> Result<Vec<Record>, Error> {
        let ids = self.ids(Command::zrange_after(&keys::unfinished(&self.db), None, limit)).await?;
        let readable = |record: Result<Record, Error>| {
            record.inspect_err(|error| tracing::warn!(%error, "a job cannot be read")).ok()
        };
        Ok(self.records(ids).await?.into_iter().filter_map(readable).collect())
    }

    /// Takes the lease on a job: the job as it is now, unless it is another's, finished or not due.
    pub(super) async fn take(&self, id: &JobId, holder: &str, lease: Duration) -> Result<Option<Record>, Error> {
        let script =
            Command::script(&TAKE, &[&keys::job(&self.db, id)]).arg(holder.to_owned()).number(duration::millis(lease));
        let script = FIELDS.iter().fold(script, |script, field| script.arg(*field));
        match self.db.run(script).await? {
            Reply::Nil => Ok(None),
            fields => record::read(id.clone(), fields),
        }
    }

    /// Saves how far a job has got: whether the lease still holds. A `lease` of nothing gives it back.
    pub(super) async fn save(&self, id: &JobId, holder: &str, step: &Step, saved: Saved) -> Result<bool, Error> {
        let script = Command::script(&SAVE, &[&keys::job(&self.db, id)])
            .arg(holder.to_owned())
            .number(duration::millis(saved.lease))
            .number(duration::millis(saved.due))
            .number(saved.failures);
        Ok(self.db.run(progress(script, step)).await?.int()? == 1)
    }

    /// Finishes a job: whether the lease still held. Then forgets the oldest finished ones beyond those that are kept.
    pub(super) async fn finish(
        &self,
        job: &Job,
        holder: &str,
        step: &Step,
        (state, error): (JobState, &str),
    ) -> Result<bool, Error> {
        let keys = [
            keys::job(&self.db, &job.id),
            keys::current_key(&self.db, &job.kind, job.tenant.as_ref()),
            keys::unfinished(&self.db),
            keys::finished(&self.db),
        ];
        let script = Command::script(&FINISH, &keys.each_ref())
            .arg(job.id.as_str().to_owned())
            .arg(holder.to_owned())
            .arg(state.word())
            .arg(error.to_owned());
        let script = progress(script, step).number(KEPT).number(FORGOTTEN);
        let mut answer = self.db.run(script).await?.array()?.into_iter();
        if answer.next().ok_or(Error::unexpected("an answer"))?.int()? == 0 {
            return Ok(false);
        }
        let beyond = answer.map(|id| parse(&id.text()?)).collect::<Result<Vec<_>, Error>>()?;
        self.forget(&beyond).await?;
        Ok(true)
    }

    async fn forget(&self, ids: &[JobId]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let lists = [keys::jobs(&self.db), keys::finished(&self.db)];
        let keys: Vec<_> = lists.into_iter().chain(ids.iter().map(|id| keys::job(&self.db, id))).collect();
        let script = Command::script(&FORGET, &keys.iter().collect::<Vec<_>>());
        let script = ids.iter().fold(script, |script, id| script.arg(id.as_str().to_owned()));
        self.db.run(script).await?.count().map(drop)
    }

    async fn ids(&self, list: Command) -> Result<Vec<JobId>, Error> {
        self.db.run(list).await?.array()?.into_iter().map(|id| parse(&id.text()?)).collect()
    }

    /// What there is of these jobs, each as far as it can be read.
    async fn records(&self, ids: Vec<JobId>) -> Result<Vec<Result<Record, Error>>, Error> {
        let reads = ids.iter().map(|id| Command::hmget(&keys::job(&self.db, id), &FIELDS)).collect();
        let replies = self.db.pipeline(reads).await?;
        // One that was forgotten between the two steps is no longer there.
        Ok(ids.into_iter().zip(replies).filter_map(|(id, reply)| record::read(id, reply).transpose()).collect())
    }

    /// The backend's time now.
    pub(super) fn now(&self) -> Timestamp {
        self.db.now()
    }
}

/// What is saved beside the progress.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saved {
    /// How long the lease lasts from now on.
    pub lease: Duration,
    /// In how long the next step is due.
    pub due: Duration,
    /// Steps that failed in a row.
    pub failures: u32,
}

fn progress(script: Command, step: &Step) -> Command {
    let total = step.total.map_or_else(String::new, |total| total.to_string());
    script.number(step.done).arg(total).arg(step.cursor.clone())
}

fn parse(id: &str) -> Result<JobId, Error> {
    JobId::parse(id).ok_or(Error::unexpected("the id of a job"))
}
