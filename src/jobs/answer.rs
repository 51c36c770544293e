//! A job as it is shown, wherever one is answered.

use super::types::{Job, JobId, JobState};
use crate::base::clock::Timestamp;
use crate::base::text::TenantId;
use schemars::JsonSchema;
use serde::Serialize;

/// A job.
#[derive(Serialize, JsonSchema)]
pub struct JobAnswer {
    /// Sorts by when the job was started.
    id: JobId,
    /// What is done, such as `tenant.delete`.
    kind: String,
    /// Whom it concerns; null where that is not one tenant.
    tenant: Option<TenantId>,
    state: JobState,
    /// How much was done, in units of its kind.
    done: u64,
    /// How much there is to do; null where that is not known.
    total: Option<u64>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// Why it was given up, or what is to be said although it is done.
    error: Option<String>,
}

impl From<Job> for JobAnswer {
    fn from(job: Job) -> Self {
        let Job { id, kind, tenant, state, done, total, created_at, started_at, finished_at, error, .. } = job;
        JobAnswer { id, kind, tenant, state, done, total, created_at, started_at, finished_at, error }
    }
}
