//! Writing down what a tenant has.

use super::{Transfer, step};
use crate::admin::tenants::not_found;
use crate::base::code::Code;
use crate::base::text::TenantId;
use crate::db::{Error, ScanCursor};
use crate::http::{Access, Audit, Endpoints, LinesAnswer, PathArg, Problem, Tenancy};
use crate::tenancy::Registry;
use crate::tenancy::transfer::{Found, Head, Line, TOGETHER, Tally, read};
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use futures_util::{Stream, TryStreamExt, stream};
use std::future::ready;

/// How many API keys are read at once.
const API_KEYS: usize = 100;

/// Where an export is.
enum At {
    Head(Box<Head>),
    ApiKeys(Option<String>),
    /// What was found and not read yet, the last first, and where the scan goes on.
    Data(Vec<Found>, Option<ScanCursor>),
    End,
}

struct Export {
    transfer: Transfer,
    registry: Registry,
    tenant: TenantId,
    at: At,
    tally: Tally,
}

impl Export {
    /// The next lines, with their line feeds, and what comes after them if they are not the last.
    async fn next(mut self) -> Result<(Bytes, Option<Export>), Error> {
        let (lines, at) = match self.at {
            At::Head(head) => (vec![Line::Head(head)], Some(At::ApiKeys(None))),
            At::ApiKeys(after) => {
                let found = self.registry.by(step()).export_keys(&self.tenant, after.as_deref(), API_KEYS).await?;
                let next = found
                    .next
                    .map_or(At::Data(Vec::new(), Some(ScanCursor::start())), |after| At::ApiKeys(Some(after)));
                (found.items.into_iter().map(Line::ApiKey).collect(), Some(next))
            }
            At::Data(found, next) if found.is_empty() => match next {
                None => (Vec::new(), Some(At::End)),
                Some(from) => {
                    let db = self.transfer.database.tenant(&self.tenant).by(step());
                    let (found, next) = self.transfer.families.find(&db, &from).await?;
                    (Vec::new(), Some(At::Data(found, next)))
                }
            },
            At::Data(mut found, next) => {
                let db = self.transfer.database.tenant(&self.tenant).by(step());
                let some = found.split_off(found.len().saturating_sub(TOGETHER));
                let entries = read(&db, &some).await?;
                (entries.into_iter().map(Line::Entry).collect(), Some(At::Data(found, next)))
            }
            At::End => (vec![Line::End(self.tally.end())], None),
        };
        let mut text = Vec::new();
        for line in lines {
            let line = line.text().ok_or(Error::unexpected("a value that fits into a line"))?;
            self.tally.add(&line);
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        Ok((text.into(), at.map(|at| Export { at, ..self })))
    }
}

fn lines(export: Export) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold(Some(export), |export| async move {
        match export {
            Some(export) => export.next().await.map(Some),
            None => Ok(None),
        }
    })
}

async fn export(
    Tenancy(registry): Tenancy,
    transfer: Data<Transfer>,
    audit: Audit,
    tenant: PathArg<TenantId>,
    answer: LinesAnswer,
) -> Result<HttpResponse, Problem> {
    let tenant = tenant.0;
    let record = registry.load_tenant(&tenant).await?.ok_or_else(not_found)?;
    let data_keys = transfer.vault.export(&tenant, step()).await?;
    let (data_keys, roots) = data_keys.map_or((None, Vec::new()), |(text, roots)| (Some(text), roots));
    let roots = roots.iter().map(ToString::to_string).collect();
    audit.tenant("tenant.export", tenant.as_str(), Some(&record), &record);
    let head = Box::new(Head::new(record, roots, data_keys, registry.now()));
    let transfer = transfer.get_ref().clone();
    let export = Export { transfer, registry, tenant, at: At::Head(head), tally: Tally::default() };
    let told = |error: &Error| tracing::warn!(%error, "an export was broken off");
    // A step may find nothing, and an empty piece would be the end of the body.
    let some = |text: &Bytes| ready(!text.is_empty());
    Ok(answer.of(lines(export).inspect_err(told).try_filter(some)))
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/tenants/{tenant}/export")
        .get("", Access::Admin, export)
        .says("Writes down all that a tenant has, as lines of JSON (application/x-ndjson); the last tells whether all arrived")
        .answers_empty(200, "The lines, as they are read; see docs/moving-a-tenant.md")
        .refuses(&[Code::TenantNotFound])
}
