//! Reading it in again.

use super::{Transfer, step};
use crate::base::code::Code;
use crate::base::text::TenantId;
use crate::db::Command;
use crate::http::{Access, Audit, Endpoints, Lines, PathArg, Problem, Tenancy, json};
use crate::tenancy::transfer::{End, Entry, FORMAT, Head, ImportBegin, KeyImport, LONGEST_LINE, Line, Tally};
use crate::tenancy::{Registry, Tenant};
use actix_web::HttpResponse;
use actix_web::web::Data;
use schemars::JsonSchema;
use serde::Serialize;

/// How many lines are written at once, and about how many bytes of them.
const TOGETHER: usize = 64;
const BYTES: usize = 512 * 1024;

/// A tenant that was imported.
#[derive(Serialize, JsonSchema)]
struct Imported {
    /// The tenant, as it was where it comes from.
    tenant: Tenant,
    /// How many API keys came along.
    api_keys: u64,
    /// How many lines of keys were written.
    entries: u64,
}

/// What a line that cannot be taken is refused with.
fn invalid(line: u64, what: &str) -> Problem {
    Problem::new(Code::ImportInvalid, format!("Line {line} {what}."))
}

/// The head, if this server can take what follows it. Nothing has been written.
async fn head(lines: &mut Lines, tally: &mut Tally, tenant: &TenantId, transfer: &Transfer) -> Result<Head, Problem> {
    let text = lines.next(LONGEST_LINE).await?.ok_or_else(|| invalid(1, "is missing"))?;
    let Line::Head(head) = Line::parse(&text).map_err(|what| invalid(1, what))? else {
        return Err(invalid(1, "is not the head of an export"));
    };
    tally.add(&text);
    if head.format != FORMAT {
        return Err(invalid(1, &format!("is of a format that this version does not read; it reads {FORMAT}")));
    }
    if head.tenant.id != *tenant {
        return Err(invalid(1, "is of another tenant than the path: what is sealed for one opens for no other"));
    }
    if let Some(data_keys) = &head.data_keys {
        let lacks = transfer.vault.lacks(data_keys).map_err(|_| invalid(1, "has data keys that cannot be read"))?;
        if let Some(root) = lacks {
            let detail = format!("Give this server the root key {root}, in TOKEN_ENCRYPTION_KEYS_PREVIOUS.");
            return Err(Problem::new(Code::RootKeyUnknown, detail));
        }
    }
    Ok(*head)
}

/// An import whose tenant has been made.
struct Import<'a> {
    transfer: &'a Transfer,
    registry: &'a Registry,
    head: &'a Head,
    /// The tenant as it is while it is imported.
    begun: Tenant,
    batch: Vec<Command>,
    bytes: usize,
    api_keys: u64,
    entries: u64,
}

impl Import<'_> {
    /// Takes every line up to the end, which must fit.
    async fn run(&mut self, lines: &mut Lines, mut tally: Tally) -> Result<(), Problem> {
        let tenant = &self.head.tenant.id;
        if let Some(data_keys) = &self.head.data_keys {
            self.transfer.vault.import(tenant, data_keys, step()).await?;
        }
        loop {
            let text = lines.next(LONGEST_LINE).await?;
            let Some(text) = text else {
                return Err(invalid(lines.taken() + 1, "is missing: the export was broken off"));
            };
            let number = lines.taken();
            match Line::parse(&text).map_err(|what| invalid(number, what))? {
                Line::Head(_) => return Err(invalid(number, "is a second head")),
                Line::ApiKey(record) => self.api_key(tenant, &record, number).await?,
                Line::Entry(entry) => self.entry(&entry, text.len(), number).await?,
                Line::End(end) => return self.end(lines, &end, &tally).await,
            }
            tally.add(&text);
        }
    }

    async fn api_key(&mut self, tenant: &TenantId, record: &str, number: u64) -> Result<(), Problem> {
        match self.registry.by(step()).import_key(tenant, record).await? {
            KeyImport::Stored => self.api_keys += 1,
            KeyImport::NotAKey => return Err(invalid(number, "is no API key of this tenant")),
            KeyImport::Exists => return Err(invalid(number, "is an API key that is here already")),
            KeyImport::TenantGone => return Err(gone()),
        }
        Ok(())
    }

    async fn entry(&mut self, entry: &Entry, bytes: usize, number: u64) -> Result<(), Problem> {
        let db = self.transfer.database.tenant(&self.head.tenant.id);
        let command = self.transfer.families.write(&db, entry);
        self.batch.push(command.ok_or_else(|| invalid(number, "is nothing that a tenant keeps"))?);
        (self.bytes, self.entries) = (self.bytes + bytes, self.entries + 1);
        if self.batch.len() >= TOGETHER || self.bytes >= BYTES { self.flush().await } else { Ok(()) }
    }

    /// Writes what has gathered, while the tenant is the one that this import made.
    async fn flush(&mut self) -> Result<(), Problem> {
        let until = step();
        if !self.registry.by(until).is_importing(&self.begun).await? {
            return Err(gone());
        }
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        for reply in self.transfer.database.tenant(&self.head.tenant.id).by(until).pipeline(batch).await? {
            reply.int()?;
        }
        Ok(())
    }

    async fn end(&mut self, lines: &mut Lines, end: &End, tally: &Tally) -> Result<(), Problem> {
        let number = lines.taken();
        if *end != tally.end() {
            return Err(invalid(number, "does not fit what came before it: lines were lost or changed"));
        }
        if lines.next(LONGEST_LINE).await?.is_some() {
            return Err(invalid(number + 1, "comes after the end"));
        }
        self.flush().await?;
        if self.registry.by(step()).finish_import(&self.begun, &self.head.tenant).await? { Ok(()) } else { Err(gone()) }
    }
}

fn gone() -> Problem {
    Problem::new(Code::EditConflict, "The tenant was changed or deleted while it was imported.")
}

async fn import(
    Tenancy(registry): Tenancy,
    transfer: Data<Transfer>,
    audit: Audit,
    tenant: PathArg<TenantId>,
    mut lines: Lines,
) -> Result<HttpResponse, Problem> {
    let mut tally = Tally::default();
    let head = head(&mut lines, &mut tally, &tenant.0, &transfer).await?;
    let begun = match registry.by(step()).begin_import(&head.tenant).await? {
        ImportBegin::Begun(tenant) => *tenant,
        ImportBegin::Exists => {
            return Err(Problem::new(Code::TenantExists, "Purge that one first: an import does not merge."));
        }
        ImportBegin::BeingDeleted => {
            return Err(Problem::new(Code::TenantBeingDeleted, "Wait for the job to be done."));
        }
    };
    audit.tenant("tenant.import", tenant.0.as_str(), None::<&Tenant>, &head.tenant);
    let (batch, bytes, api_keys, entries) = (Vec::new(), 0, 0, 0);
    let mut import =
        Import { transfer: &transfer, registry: &registry, head: &head, begun, batch, bytes, api_keys, entries };
    import.run(&mut lines, tally).await.map_err(|problem| {
        let detail = format!("{} The tenant stays suspended: purge it, then try again.", problem.detail());
        Problem::new(problem.code(), detail)
    })?;
    let Import { api_keys, entries, .. } = import;
    (transfer.arrived)(tenant.0.clone()).await;
    json(&mut HttpResponse::Created(), &Imported { tenant: head.tenant, api_keys, entries })
}

pub(super) fn endpoints() -> Endpoints {
    Endpoints::under("/admin/v1/tenants/{tenant}/import")
        .post("", Access::Admin, import)
        .says("Makes a tenant of the lines that an export wrote (application/x-ndjson), which must not be there yet")
        .answers::<Imported>(201, "All lines were written, and the tenant is what it was where it comes from")
        .refuses(&[
            Code::ImportInvalid,
            Code::RootKeyUnknown,
            Code::TenantExists,
            Code::TenantBeingDeleted,
            Code::EditConflict,
            Code::StorageFull,
        ])
        .takes_its_time()
}
