//! `/admin/v1/jobs`: how far long work is.

use crate::base::code::Code;
use crate::base::text::Name;
use crate::http::{Access, CURSOR, CallerWaits, Endpoints, LIMIT, Page, PageRequest, PathArg, Problem, json};
use crate::jobs::{JobAnswer, JobId, Jobs};
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};

async fn list(jobs: web::Data<Jobs>, waits: CallerWaits, page: PageRequest) -> Result<HttpResponse, Problem> {
    let foreign = PageRequest::foreign_cursor;
    let after = page.after.as_deref().map(|id| JobId::parse(id).ok_or_else(foreign)).transpose()?;
    let found = jobs.by(waits.0).list(after.as_ref(), page.limit).await?;
    let items = found.items.into_iter().map(JobAnswer::from).collect();
    page.answer(items, found.next.as_ref().map(JobId::as_str))
}

async fn read(jobs: web::Data<Jobs>, waits: CallerWaits, id: PathArg<Name>) -> Result<HttpResponse, Problem> {
    // A text that no id can be is that of no job.
    let found = match JobId::parse(id.0.as_str()) {
        Some(id) => jobs.by(waits.0).read(&id).await?,
        None => None,
    };
    let job = found.ok_or_else(|| Problem::new(Code::JobNotFound, "No job has this id, or it was done long ago."))?;
    json(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")), &JobAnswer::from(job))
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/jobs")
        .get("", Access::Admin, list)
        .says("Lists jobs, newest first; of those that are finished, the newest thousand")
        .query(&[LIMIT, CURSOR])
        .answers::<Page<JobAnswer>>(200, "A page")
        .refuses(&[Code::InvalidCursor])
        .get("/{job_id}", Access::Admin, read)
        .says("Reads a job")
        .answers::<JobAnswer>(200, "How far it is")
        .refuses(&[Code::JobNotFound])
}
