//! How a job is written: a hash that a person can read in the backend. What is empty is not there.

use super::types::{Job, JobId, JobState};
use crate::base::clock::Timestamp;
use crate::base::text::TenantId;
use crate::db::{Error, Reply};

/// The fields, in the order in which they are read.
pub(super) const FIELDS: [&str; 15] = [
    "kind", "tenant", "state", "done", "total", "cursor", "created", "started", "finished", "error", "holder", "lease",
    "fencing", "due", "failures",
];

/// A job with what only runners look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub job: Job,
    /// Who has or had the lease; empty for nobody.
    pub holder: String,
    /// Until when it is theirs.
    pub lease: Timestamp,
    /// From when on its next step may be done.
    pub due: Timestamp,
    /// Steps that failed in a row.
    pub failures: u32,
}

fn wrong() -> Error {
    Error::unexpected("a job")
}

fn number(text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| wrong())
}

fn optional<T>(text: &str, read: impl Fn(&str) -> Result<T, Error>) -> Result<Option<T>, Error> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

fn time(text: &str) -> Result<Timestamp, Error> {
    number(text).map(Timestamp::from_millis)
}

/// Reads the values of [`FIELDS`]; nothing where there is no such job.
pub(super) fn read(id: JobId, reply: Reply) -> Result<Option<Record>, Error> {
    let values = reply.array()?.into_iter().map(Reply::optional_bytes).collect::<Result<Vec<_>, _>>()?;
    if values.iter().all(Option::is_none) {
        return Ok(None);
    }
    let text = |value: Option<bytes::Bytes>| String::from_utf8(value.unwrap_or_default().into()).map_err(|_| wrong());
    let texts = values.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let texts: [String; FIELDS.len()] = texts.try_into().map_err(|_| wrong())?;
    let [
        kind,
        tenant,
        state,
        done,
        total,
        cursor,
        created,
        started,
        finished,
        error,
        holder,
        lease,
        fencing,
        due,
        failures,
    ] = texts;
    let job = Job {
        id,
        kind,
        tenant: optional(&tenant, |text| TenantId::parse(text).map_err(|_| wrong()))?,
        state: JobState::parse(&state).ok_or_else(wrong)?,
        done: number(&done)?,
        total: optional(&total, number)?,
        created_at: time(&created)?,
        started_at: optional(&started, time)?,
        finished_at: optional(&finished, time)?,
        error: Some(error).filter(|text| !text.is_empty()),
        cursor,
        fencing: number(&fencing)?,
    };
    let failures = u32::try_from(number(&failures)?).unwrap_or(u32::MAX);
    Ok(Some(Record { job, holder, lease: time(&lease)?, due: time(&due)?, failures }))
}
