//! Does jobs: the oldest first and each in its turn, one at a time in each process, and each on one instance at a time. Whoever works on a job
//! holds a lease on it, by the backend's clock, and renews it by saving its progress; when the process ends, the lease
//! does too and another goes on from what was saved.

use super::record::Record;
use super::store::{Jobs, Saved};
use super::types::{Job, JobState};
use super::work::{Step, Then, Work};
use crate::base::id::{self, NoRandomness};
use crate::db::Error;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many unfinished jobs are looked at in one round.
const ROUND: usize = 100;

/// The pace of a runner.
#[derive(Debug, Clone, Copy)]
pub struct RunnerSettings {
    /// How long a job stays taken without a sign of its runner.
    pub lease: Duration,
    /// How long one job is worked on before it is another's turn.
    pub turn: Duration,
    /// How often it is looked whether there is anything to do: some backends bill by the command.
    pub look: Duration,
    /// How long it is waited after a failure; twice as long after each further one.
    pub pause: Duration,
    /// The longest of these pauses.
    pub longest_pause: Duration,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        RunnerSettings {
            lease: Duration::from_secs(10),
            turn: Duration::from_secs(2),
            look: Duration::from_secs(30),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
        }
    }
}

/// Does the jobs whose work it knows.
pub struct Runner {
    jobs: Jobs,
    works: Vec<Arc<dyn Work>>,
    settings: RunnerSettings,
    /// Tells this process from every other.
    holder: String,
}

impl Runner {
    /// A runner of these kinds of work; jobs of other kinds are left to servers that know them.
    ///
    /// # Errors
    /// Where there is no randomness to tell this process from others.
    pub fn new(jobs: Jobs, works: Vec<Arc<dyn Work>>, settings: RunnerSettings) -> Result<Runner, NoRandomness> {
        Ok(Runner { jobs, works, settings, holder: id::random_base62(22)? })
    }

    /// Does jobs for ever: when it begins, when this process starts one, and whenever it is time to look.
    pub async fn run(&self) {
        let mut failures = 0;
        loop {
            let wait = match self.round().await {
                Ok(wait) => {
                    failures = 0;
                    wait
                }
                Err(error) => {
                    let pause = self.pause(failures).min(self.settings.look);
                    tracing::debug!(%error, ?pause, "jobs cannot be looked at");
                    failures = failures.saturating_add(1);
                    pause
                }
            };
            if tokio::time::timeout(wait, self.jobs.started()).await.is_err() {
                tracing::trace!("it is time to look for jobs");
            }
        }
    }

    /// Does what can be done now: how long it is until there may be more.
    ///
    /// # Errors
    /// When the backend failed between steps. What was saved stays, and the next round goes on from there.
    pub async fn round(&self) -> Result<Duration, Error> {
        let mut wait = self.settings.look;
        let unfinished = self.jobs.unfinished(ROUND).await?;
        for record in unfinished {
            let Some(work) = self.works.iter().find(|work| work.kind() == record.job.kind) else { continue };
            let lease = if record.holder == self.holder { record.due } else { record.lease };
            let free = record.due.max(lease).since(self.jobs.now());
            let until = if free.is_zero() { self.attempt(work.as_ref(), &record).await? } else { Some(free) };
            wait = until.map_or(wait, |until| until.min(wait));
        }
        Ok(wait)
    }

    /// Takes a job and does as much of it as its turn allows: how long it is until there is more, if that is known.
    async fn attempt(&self, work: &dyn Work, record: &Record) -> Result<Option<Duration>, Error> {
        let Some(mut record) = self.jobs.take(&record.job.id, &self.holder, self.settings.lease).await? else {
            return Ok(None);
        };
        let begun = Instant::now();
        loop {
            let Some(step) = self.step(work, &record.job).await else {
                self.jobs.counts.failed_steps.inc();
                return self.postpone(&record).await;
            };
            let job = &mut record.job;
            let (lease, due) = match &step.then {
                Then::Again => (self.settings.lease, Duration::ZERO),
                Then::After(pause) => (Duration::ZERO, *pause),
                Then::Done { note } => {
                    return self.finish(job, &step, (JobState::Done, note.as_deref().unwrap_or_default())).await;
                }
                Then::Failed(reason) => return self.finish(job, &step, (JobState::Failed, reason)).await,
            };
            if !self.jobs.save(&job.id, &self.holder, &step, Saved { lease, due, failures: 0 }).await? {
                return Ok(lost(job));
            }
            if lease.is_zero() {
                return Ok(Some(due));
            }
            (job.done, job.total, job.cursor) = (step.done, step.total, step.cursor);
            record.failures = 0;
            if begun.elapsed() >= self.settings.turn {
                return Ok(Some(Duration::ZERO));
            }
            // On the embedded backend nothing else lets this thread serve requests.
            tokio::task::yield_now().await;
        }
    }

    /// One step; nothing when it failed.
    async fn step(&self, work: &dyn Work, job: &Job) -> Option<Step> {
        // A step shares nothing that could be left half changed: what it does is in the backend.
        match AssertUnwindSafe(work.step(job)).catch_unwind().await {
            Ok(Ok(step)) => Some(step),
            Ok(Err(error)) => {
                tracing::warn!(job = %job.id, kind = job.kind, %error, "a step of a job failed and will be tried again");
                None
            }
            Err(_) => {
                tracing::error!(job = %job.id, kind = job.kind, "a step of a job panicked and will be tried again");
                None
            }
        }
    }

    /// Gives a job back after a failure, to be tried again later.
    async fn postpone(&self, Record { job, failures, .. }: &Record) -> Result<Option<Duration>, Error> {
        let due = self.pause(*failures);
        let step = Step { done: job.done, total: job.total, cursor: job.cursor.clone(), then: Then::After(due) };
        let saved = Saved { lease: Duration::ZERO, due, failures: failures.saturating_add(1) };
        let held = self.jobs.save(&job.id, &self.holder, &step, saved).await?;
        Ok(if held { Some(due) } else { lost(job) })
    }

    async fn finish(&self, job: &Job, step: &Step, end: (JobState, &str)) -> Result<Option<Duration>, Error> {
        if !self.jobs.finish(job, &self.holder, step, end).await? {
            return Ok(lost(job));
        }
        let counts = &self.jobs.counts;
        let ended = if end.0 == JobState::Failed { &counts.failed } else { &counts.finished };
        ended.inc();
        tracing::info!(job = %job.id, kind = job.kind, state = end.0.word(), done = step.done, "a job has ended");
        Ok(None)
    }

    fn pause(&self, failures: u32) -> Duration {
        self.settings.pause.saturating_mul(1 << failures.min(20)).min(self.settings.longest_pause)
    }
}

fn lost(job: &Job) -> Option<Duration> {
    tracing::info!(job = %job.id, kind = job.kind, "another instance has taken a job over");
    None
}
