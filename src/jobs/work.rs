//! What a job's work must be able to do: one step.

use super::types::Job;
use crate::db::Error;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// The work of all jobs of one kind.
pub trait Work: Send + Sync {
    /// The kind, such as `tenant.delete`: letters, digits, `.` and `_`.
    fn kind(&self) -> &'static str;

    /// Does the next bit of a job, from its cursor on: well under a second, for others wait and the lease runs. The process
    /// may end after any step and before what it gave was saved, so a step may be done again; and one that was
    /// held up may go on after another process took the job over: what it then does must be no harm.
    ///
    /// # Errors
    /// When the backend failed: the step is tried again later, as often as it takes.
    fn step<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Step, Error>>;
}

/// What came of a step, all of which is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How much was done since the job began, in units of its kind.
    pub done: u64,
    /// How much there is to do in all, where that is known.
    pub total: Option<u64>,
    /// Where the next step goes on.
    pub cursor: String,
    /// How it goes on.
    pub then: Then,
}

/// How a job goes on after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// With another step at once.
    Again,
    /// With another step after this time, on whichever instance.
    After(Duration),
    /// Not at all: it is done.
    Done {
        /// Something to be said although it is done.
        note: Option<String>,
    },
    /// Not at all, for this reason, which operators see: it holds no secret.
    Failed(String),
}
