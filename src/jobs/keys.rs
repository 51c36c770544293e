//! The key families of jobs. All belong to the server and lie in one partition, so that a job and the lists that name it
//! change in one step.

use super::types::JobId;
use crate::base::text::TenantId;
use crate::db::{Family, Key, SystemDb};

const JOB: Family = Family {
    name: "job",
    parts: "job id",
    kind: "hash",
    routed_by: "nothing",
    lives: "until it is done and a thousand newer ones are too",
    holds: "kind, tenant, state, done, total, cursor, error; created, started and finished (ms); holder of the lease, its \
            end (ms), how often it changed hands (fencing); when the next step is due (ms), failures in a row",
    stays: Some("it is the server's"),
};

const JOBS: Family = Family {
    name: "jobs",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "while there are jobs",
    holds: "the ids of all jobs, every score 0",
    stays: Some("it is the server's"),
};

const UNFINISHED: Family = Family {
    name: "jobs-unfinished",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "while there are such jobs",
    holds: "the ids of the jobs that are not finished, every score 0",
    stays: Some("it is the server's"),
};

const FINISHED: Family = Family {
    name: "jobs-finished",
    parts: "",
    kind: "zset",
    routed_by: "nothing",
    lives: "while there are such jobs",
    holds: "the ids of the newest thousand jobs that are finished, every score 0",
    stays: Some("it is the server's"),
};

const CURRENT: Family = Family {
    name: "job-of",
    parts: "kind:tenant",
    kind: "string",
    routed_by: "nothing",
    lives: "until the job is finished",
    holds: "the id of the unfinished job of this kind and tenant, or of this kind alone where it concerns no tenant",
    stays: Some("it is the server's"),
};

/// Every family of jobs, for `docs/keys.md`.
pub const FAMILIES: &[&Family] = &[&JOB, &JOBS, &UNFINISHED, &FINISHED, &CURRENT];

pub(super) fn job(db: &SystemDb, id: &JobId) -> Key {
    db.key(&JOB, &[id.as_str()])
}

pub(super) fn jobs(db: &SystemDb) -> Key {
    db.key(&JOBS, &[])
}

pub(super) fn unfinished(db: &SystemDb) -> Key {
    db.key(&UNFINISHED, &[])
}

pub(super) fn finished(db: &SystemDb) -> Key {
    db.key(&FINISHED, &[])
}

/// The key that holds the unfinished job of a kind and tenant, for scripts that must know whether there is one.
pub fn current_key(db: &SystemDb, kind: &str, tenant: Option<&TenantId>) -> Key {
    match tenant {
        Some(tenant) => db.key(&CURRENT, &[kind, tenant.as_str()]),
        None => db.key(&CURRENT, &[kind]),
    }
}
