//! `DELETE /admin/v1/tenants/{tenant}`: ends a tenant's access at once and begins the job that deletes what it has.

use super::tenants::not_found;
use crate::base::clock::Timestamp;
use crate::base::code::Code;
use crate::base::text::TenantId;
use crate::http::{Access, Audit, CallerWaits, Endpoints, PathArg, Problem, Tenancy, json};
use crate::jobs::{JobAnswer, Jobs};
use crate::tenancy::DELETE_TENANT;
use crate::vault::Vault;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// For how long the answers to admin requests with an `Idempotency-Key` are kept.
const ADMIN_ANSWERS: Duration = Duration::from_secs(24 * 3600);

/// How long the operator keeps backups of the backend, if that was said.
#[derive(Debug, Clone, Copy)]
pub struct BackupRetention(pub Option<Duration>);

/// What of a tenant outlives the job.
#[derive(Serialize, JsonSchema)]
struct Remains {
    /// What copies of the backend hold.
    backups: &'static str,
    /// Until when there may be copies that were made before this answer; null where `BACKUP_RETENTION` does not say.
    backups_until: Option<Timestamp>,
    /// Until when the answers to admin requests that carried an `Idempotency-Key` are kept, sealed.
    admin_answers_until: Timestamp,
    /// What else names the tenant.
    elsewhere: &'static str,
}

impl Remains {
    fn new(now: Timestamp, retention: BackupRetention) -> Remains {
        Remains {
            backups: match retention.0 {
                Some(_) => {
                    "Copies of the backend that were made before the job is done (snapshots, append-only files, replicas, \
                     backups) hold the tenant's data, and its data keys wrapped under a root key: sealed tokens in them \
                     can be read with that root key, other data without it. As told by BACKUP_RETENTION, those made \
                     until now are gone at `backups_until`."
                }
                None => {
                    "Copies of the backend that were made before the job is done (snapshots, append-only files, replicas, \
                     backups) hold the tenant's data, and its data keys wrapped under a root key: sealed tokens in them \
                     can be read with that root key, other data without it. This server cannot know for how long they \
                     are kept; BACKUP_RETENTION tells it."
                }
            },
            backups_until: retention.0.map(|retention| now + retention),
            admin_answers_until: now + ADMIN_ANSWERS,
            elsewhere: "Log lines, the audit log among them, and the record of this job name the tenant.",
        }
    }
}

/// The job that deletes a tenant, and what it will leave.
#[derive(Serialize, JsonSchema)]
struct DeletionAnswer {
    #[serde(flatten)]
    job: JobAnswer,
    /// What it will leave.
    remains: Remains,
}

async fn delete(
    Tenancy(registry): Tenancy,
    (vault, jobs, retention): (web::Data<Vault>, web::Data<Jobs>, web::Data<BackupRetention>),
    waits: CallerWaits,
    audit: Audit,
    tenant: PathArg<TenantId>,
) -> Result<HttpResponse, Problem> {
    let (tenant, jobs) = (tenant.0, jobs.by(waits.0));
    let job = match registry.load_tenant(&tenant).await? {
        None => jobs.current(DELETE_TENANT, Some(&tenant)).await?.ok_or_else(not_found)?,
        Some(before) => {
            // From here on the job does all of it, whatever becomes of this process. At once, without waiting for it:
            let job = jobs.start(DELETE_TENANT, Some(&tenant)).await?;
            registry.end_tenant(&tenant, &job.id).await?;
            vault.destroy_all(&tenant).await?;
            let answer = JobAnswer::from(job.clone());
            audit.tenant("tenant.delete", tenant.as_str(), Some(&before), &answer);
            job
        }
    };
    let location = (LOCATION, format!("/admin/v1/jobs/{}", job.id));
    let answer = DeletionAnswer { job: job.into(), remains: Remains::new(registry.now(), **retention) };
    json(HttpResponse::Accepted().insert_header(location).insert_header((CACHE_CONTROL, "no-store")), &answer)
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/tenants/{tenant}")
        .delete("", Access::Admin, delete)
        .says("Deletes a tenant: its access ends everywhere within a second, its data keys are destroyed, and a job deletes the rest")
        .answers::<DeletionAnswer>(202, "The job, which may have been begun before, and what it will leave")
        .refuses(&[Code::TenantNotFound, Code::EditConflict, Code::StorageFull])
}
