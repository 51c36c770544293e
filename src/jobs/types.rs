//! What a job is, as others see it.

use crate::base::clock::Timestamp;
use crate::base::id;
use crate::base::text::TenantId;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// The id of a job: a UUID of version 7 as text, so that ids sort by when their jobs were started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct JobId(String);

impl JobId {
    /// An id that no other job has.
    pub(super) fn new(now: Timestamp) -> JobId {
        JobId(id::uuid_v7(now).map(char::from).iter().collect())
    }

    /// Reads an id: 36 characters in lower case, as a job's are.
    pub fn parse(text: &str) -> Option<JobId> {
        let form = |(at, byte): (usize, u8)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'7',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        };
        (text.len() == 36 && text.bytes().enumerate().all(form)).then(|| JobId(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// No instance has begun it.
    Waiting,
    /// Begun, and not finished.
    Running,
    /// Finished.
    Done,
    /// Given up.
    Failed,
}

impl JobState {
    /// The word in the backend and in answers.
    pub const fn word(self) -> &'static str {
        match self {
            JobState::Waiting => "waiting",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed => "failed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<JobState> {
        let all = [JobState::Waiting, JobState::Running, JobState::Done, JobState::Failed];
        all.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more will happen to it.
    pub const fn is_finished(self) -> bool {
        matches!(self, JobState::Done | JobState::Failed)
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is done, such as `tenant.delete`.
    pub kind: String,
    /// Whom it concerns, if that is one tenant.
    pub tenant: Option<TenantId>,
    /// How far it is.
    pub state: JobState,
    /// How much was done, in units of its kind.
    pub done: u64,
    /// How much there is to do, where that is known.
    pub total: Option<u64>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When an instance began it.
    pub started_at: Option<Timestamp>,
    /// When it was done or given up.
    pub finished_at: Option<Timestamp>,
    /// Why it was given up, or what is to be said although it is done.
    pub error: Option<String>,
    /// Where the next step goes on; only its [`Work`](super::Work) can read it. Empty at the beginning.
    pub cursor: String,
    /// Rises whenever another process takes the job over: who acts under a lower number is late.
    pub fencing: u64,
}
